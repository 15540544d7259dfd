"""The dense layer: outputs, and the gradients by its weights, bias and inputs.

I inputs, O outputs, S samples (whole vectors). Rows of samples are ``stride`` numbers apart: x (I, S),
z and d (O, S). Weights are (I, O), row by row. Products are accumulated in registers (see ``products``), always in
the same order, so that a sample's result does not depend on what is computed beside it.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.products import ADD, GO_ON, LEAST_TERMS, MULTIPLY, OVERWRITE, few, in_fours, many
from fastnn.kernels.simd import (
    FOUR,
    ONE,
    TWO,
    VECTOR_BYTES,
    add_outer,
    add_outer_spread,
    add_rows,
    load,
    load_columns,
    load_rows,
    offset,
    put_totals,
    room,
    store,
    store_block,
    times_stored,
    transpose_rows,
    width,
    zeros,
)

# Weights that do not stay in the cache between two blocks of samples are copied out, a panel at a time, for all
# samples of the tile: in a row's own order those of 4 units lie a row apart, where they compete for a few places.
PANEL_FROM_BYTES = 1 << 20  # a second-level cache
PANEL_VECTORS = 4  # units of a panel: whole cache lines of each row
PANEL_TERMS = 128  # inputs of a panel: the samples' rows for them, and what 4 units need, stay in the first level
PANEL = PANEL_VECTORS * PANEL_TERMS

# From so many inputs and vectors of outputs on it is worth transposing d for the gradient by the weights (measured
# with 16 to 752 samples). With AVX2 the four by four sums of ``_weights_block`` take all the registers there are.
LARGE_FROM_INPUTS, LARGE_FROM_VECTORS = 64 if VECTOR_BYTES == 64 else 8, 2

# Inputs whose rows stay in the cache while the gradient by their weights is computed for all outputs.
INPUT_BLOCK = 32
# Samples that are added up one after the other, where they are not in the lanes; and vectors of such sums, of so
# many inputs by a panel's outputs.
PART_SAMPLES, PARTS = 64, INPUT_BLOCK * PANEL_VECTORS

# Units that ``backward_two`` does at a time: the first of the two layers has a multiple of them. What other
# numbers would gain is not worth a longer compilation for all.
PAIR_BLOCK = len(FOUR)


@kernel
def _small_forward(x: Any, weights: Any, bias: Any, z: Any, shape: tuple, inputs: int) -> None:
    """The same as ``forward``, for few inputs."""
    stride, samples, units = shape
    in_fours((x, stride), (weights, units, 1), (bias, 1), (z, stride), (samples, units), inputs, OVERWRITE)


@kernel
def _large_forward(x: Any, weights: Any, bias: Any, z: Any, shape: tuple, inputs: int) -> None:
    """The same panel by panel; units that are no whole vectors from where their weights are."""
    stride, samples, units = shape
    lanes = width(x)
    panel, most = room(weights, PANEL), PANEL_VECTORS * lanes
    for u in range(0, units, most):
        count = min(most, units - u)
        for i in range(0, inputs, PANEL_TERMS):
            terms = min(PANEL_TERMS, inputs - i)
            w, by_term = offset(weights, i * units + u), units
            if count % lanes == 0:
                for k in range(terms):
                    for v in range(0, count, lanes):
                        store(panel, k * most + v, load(w, k * units + v))
                w, by_term = panel, most
            rows, out = (offset(x, i * stride), stride), (offset(z, u * stride), stride)
            mode = GO_ON if i > 0 else OVERWRITE
            many(rows, (w, by_term, 1), (offset(bias, u), 1), out, (samples, count), terms, mode)


@inlined
def forward(x: Any, weights: Any, bias: Any, z: Any, shape: tuple, inputs: int) -> None:
    """Overwrite z (O, S) with weightsᵀ·x + bias; shape is (stride, S, O)."""
    stride, samples, units = shape
    if inputs < LEAST_TERMS:
        _small_forward(x, weights, bias, z, shape, inputs)
    elif inputs * units * VECTOR_BYTES > PANEL_FROM_BYTES * width(x):
        _large_forward(x, weights, bias, z, shape, inputs)
    else:
        many((x, stride), (weights, units, 1), (bias, 1), (z, stride), (samples, units), inputs, OVERWRITE)


@inlined
def backward_inputs(d: Any, weights: Any, zero: Any, dx: Any, shape: tuple, inputs: int) -> None:
    """Multiply dx (I, S) by weights·d; shape is (stride, S, O), and ``zero`` points to a 0."""
    stride, samples, outputs = shape
    if outputs < LEAST_TERMS:
        few((d, stride), (weights, 1, outputs), (zero, 0), (dx, stride), (samples, inputs), outputs, MULTIPLY)
    else:
        many((d, stride), (weights, 1, outputs), (zero, 0), (dx, stride), (samples, inputs), outputs, MULTIPLY)


@inlined
def _weights_block(x: Any, d: Any, dw: Any, shape: tuple, add: bool, rows: tuple, columns: tuple) -> None:
    """Overwrite (or add to) dw[i, o] with Σ_t x[i, t]·d[o, t], for a few inputs and outputs."""
    stride, samples, outputs = shape
    sums = zeros(x, rows, columns)
    for t in range(0, samples, width(x)):
        sums = add_outer(sums, load_rows(x, t, stride, rows), load_rows(d, t, stride, columns))
    put_totals(dw, outputs, sums, rows, add)


@inlined
def _weights_and_bias_block(
    x: Any, d: Any, dw: Any, db: Any, shape: tuple, add: bool, rows: tuple, columns: tuple
) -> None:
    """The same, and overwrite (or add to) db[o] with Σ_t d[o, t], while the d are at hand."""
    stride, samples, outputs = shape
    sums, bias_sums = zeros(x, rows, columns), zeros(x, ONE, columns)
    for t in range(0, samples, width(x)):
        dt = load_rows(d, t, stride, columns)
        sums = add_outer(sums, load_rows(x, t, stride, rows), dt)
        bias_sums = add_rows(bias_sums, dt)
    put_totals(dw, outputs, sums, rows, add)
    put_totals(db, outputs, bias_sums, ONE, add)


@kernel
def _weights_rows(x: Any, d: Any, dw: Any, shape: tuple, first: int, last: int, add: bool, columns: tuple) -> None:
    """Overwrite (or add to) dw[i, o] for a few outputs and some inputs, four at a time, then one."""
    stride, outputs, i = shape[0], shape[2], first
    while i < last:
        xi, dwi = offset(x, i * stride), offset(dw, i * outputs)
        if i + 4 <= last:
            _weights_block(xi, d, dwi, shape, add, FOUR, columns)
            i += 4
        else:
            _weights_block(xi, d, dwi, shape, add, ONE, columns)
            i += 1


@inlined
def _weights_columns(
    x: Any, d: Any, dw: Any, db: Any, shape: tuple, first: int, last: int, add: bool, columns: tuple
) -> None:
    """The same, and the bias with the very first inputs."""
    i = first
    if first == 0:
        if last >= 4:
            _weights_and_bias_block(x, d, dw, db, shape, add, FOUR, columns)
            i = 4
        elif last >= 2:
            _weights_and_bias_block(x, d, dw, db, shape, add, TWO, columns)
            i = 2
        else:
            _weights_and_bias_block(x, d, dw, db, shape, add, ONE, columns)
            i = 1
    _weights_rows(x, d, dw, shape, i, last, add, columns)


@kernel
def _sum_of_parts(
    panel: Any, count: int, x: Any, dw: Any, zero: Any, shape: tuple, inputs: int, add: bool
) -> None:
    """Overwrite (or add to) dw[i, o] with Σ_s x[i, s]·panel[s, o] for ``count`` outputs; shape as below.

    Sums go over PART_SAMPLES; then those are added. So they are nearly as exact as with samples in the lanes.
    """
    stride, samples, outputs = shape
    lanes = width(x)
    parts = room(x, PARTS)
    if samples <= PART_SAMPLES:
        out, mode = (dw, outputs), ADD if add else OVERWRITE
        many((panel, count), (x, 1, stride), (zero, 0), out, (count, inputs), samples, mode)
        return
    for first in range(0, inputs, INPUT_BLOCK):
        rows = min(INPUT_BLOCK, inputs - first)
        for s in range(0, samples, PART_SAMPLES):
            part, numbers = (offset(panel, s * count), count), (offset(x, first * stride + s), 1, stride)
            terms, mode = min(PART_SAMPLES, samples - s), ADD if s > 0 else OVERWRITE
            many(part, numbers, (zero, 0), (parts, count), (count, rows), terms, mode)
        for i in range(rows):
            for u in range(0, count, lanes):
                at, sum_ = (first + i) * outputs + u, load(parts, i * count + u)
                store(dw, at, load(dw, at) + sum_ if add else sum_)


@kernel
def _large_backward_weights(
    x: Any, d: Any, dw: Any, db: Any, zero: Any, panel: Any, shape: tuple, inputs: int, add: bool
) -> int:
    """The same as ``backward_weights`` for as many outputs as are whole vectors; how many.

    Outputs take the lanes, so that there is nothing to sum up over lanes, and whole cache lines of dw are written.
    For that d is transposed, a panel of some outputs at a time.
    """
    stride, samples, outputs = shape
    lanes = width(x)
    most, least = PANEL_VECTORS * lanes, max(lanes, len(FOUR))
    whole = outputs // least * least
    for o in range(0, whole, most):
        count = min(most, whole - o)
        for u in range(0, count, lanes):
            for t in range(0, samples, lanes):
                transpose_rows(offset(d, (o + u) * stride + t), stride, offset(panel, t * count + u), count)
        _sum_of_parts(panel, count, x, offset(dw, o), zero, shape, inputs, add)
    for o in range(0, whole, len(FOUR)):
        sums = zeros(d, ONE, FOUR)
        for t in range(0, samples, lanes):
            sums = add_rows(sums, load_rows(d, o * stride + t, stride, FOUR))
        put_totals(offset(db, o), 0, sums, ONE, add)
    return whole


@kernel
def backward_weights(
    x: Any, d: Any, dw: Any, db: Any, zero: Any, spare: Any, shape: tuple, inputs: int, add: bool
) -> None:
    """Overwrite (or add to) dw (I, O) with x·dᵀ and db (O) with the sums of d; shape is (stride, S, O).

    ``zero`` points to a 0. Overwrites ``spare``, as much memory as d takes.
    """
    stride, _, outputs = shape
    done = 0
    if inputs >= LARGE_FROM_INPUTS and outputs >= LARGE_FROM_VECTORS * width(x):
        done = _large_backward_weights(x, d, dw, db, zero, spare, shape, inputs, add)
        if done == outputs:
            return
    for first in range(0, inputs, INPUT_BLOCK):
        last = min(first + INPUT_BLOCK, inputs)
        o = done
        while o < outputs:
            do, dwo, dbo = offset(d, o * stride), offset(dw, o), offset(db, o)
            if o + 4 <= outputs:
                _weights_columns(x, do, dwo, dbo, shape, first, last, add, FOUR)
                o += 4
            else:
                _weights_columns(x, do, dwo, dbo, shape, first, last, add, ONE)
                o += 1


@inlined
def _two_block(
    rows: tuple, weights: Any, gradients: tuple, shape: tuple, flags: tuple, inputs: tuple, units: tuple
) -> None:
    """Of ``backward_two``, a few units of the first layer and its first inputs."""
    (x, y, dx, d), (dw, db, dw2, db2), (add, keep, begins) = rows, gradients, flags
    stride, samples, outputs = shape
    sums, bias_sums = zeros(x, inputs, units), zeros(x, ONE, units)
    sums2, bias_sums2 = zeros(x, units, ONE), zeros(x, ONE, ONE)
    for t in range(0, samples, width(x)):
        dt = load_columns(d, t, ONE)
        products = add_outer_spread(zeros(x, units, ONE), weights, 1, units, dt)
        dxt = times_stored(products, offset(dx, t), stride, units)
        if keep:
            store_block(offset(dx, t), stride, dxt, units)
        sums, bias_sums = add_outer(sums, load_rows(x, t, stride, inputs), dxt), add_rows(bias_sums, dxt)
        sums2, bias_sums2 = add_outer(sums2, load_rows(y, t, stride, units), dt), add_rows(bias_sums2, dt)
    put_totals(dw, outputs, sums, inputs, add)
    put_totals(db, outputs, bias_sums, ONE, add)
    put_totals(dw2, 1, sums2, units, add)
    if begins:
        put_totals(db2, 1, bias_sums2, ONE, add)


@kernel
def backward_two(rows: tuple, weights: Any, gradients: tuple, shape: tuple, inputs: int, flags: tuple) -> None:
    """The same for a layer and the one behind it, of one unit, together; shape is (stride, S, O) of the first.

    O is a multiple of PAIR_BLOCK. ``rows`` are the first layer's x (I, S) and y (O, S), the derivatives dx (O, S)
    of its activation, and d (S), the gradient by the second's z. ``gradients``, by the first's weights (I, O) and
    bias (O) and by the second's weights (O) and bias, are overwritten (or added to); each has the bits that the
    functions above give it. flags are (add, keep): to keep dx multiplied by weights·d; if not, it holds anything.
    """
    (x, y, dx, d), (dw, db, dw2, db2), (add, keep) = rows, gradients, flags
    for u in range(0, shape[2], PAIR_BLOCK):
        at = u * shape[0]
        rows_u, w = (x, offset(y, at), offset(dx, at), d), offset(weights, u)
        gradients_u = offset(dw, u), offset(db, u), offset(dw2, u), db2
        flags_u = add, keep or inputs > 2, u == 0
        if inputs >= 2:
            _two_block(rows_u, w, gradients_u, shape, flags_u, TWO, FOUR)
            _weights_rows(x, rows_u[2], gradients_u[0], shape, 2, inputs, add, FOUR)
        else:
            _two_block(rows_u, w, gradients_u, shape, flags_u, ONE, FOUR)
