"""The dense layer: outputs, and the gradients with respect to its weights, bias and inputs.

I inputs, O outputs, S samples (whole vectors). Rows of samples are ``stride`` numbers apart: x (I, S),
z and d (O, S). Weights are (I, O), row by row. Products are accumulated in registers (see ``products``), always in
the same order, so that a sample's result does not depend on what is computed beside it. ``wide`` does the same for
layers of many inputs or outputs.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.products import MULTIPLY, OVERWRITE, in_fours
from fastnn.kernels.simd import (
    FOUR,
    ONE,
    TWO,
    add_outer,
    add_outer_spread,
    add_rows,
    load_columns,
    load_rows,
    offset,
    put_totals,
    store_block,
    times_stored,
    width,
    zeros,
)

# Inputs whose rows stay in the cache while the gradient of their weights is computed for all outputs.
INPUT_BLOCK = 32
# How many units ``backward_two`` does at a time: the first of the two layers has a multiple of them. Supporting
# other numbers would gain too little to be worth a longer compilation for everybody.
PAIR_BLOCK = len(FOUR)


@kernel
def forward(x: Any, weights: Any, bias: Any, z: Any, shape: tuple, inputs: int) -> None:
    """Overwrite z (O, S) with weightsᵀ·x + bias; shape is (stride, S, O)."""
    stride, samples, units = shape
    in_fours((x, stride), (weights, units, 1), (bias, 1), (z, stride), (samples, units), inputs, OVERWRITE)


@kernel
def backward_inputs(d: Any, weights: Any, zero: Any, dx: Any, shape: tuple, inputs: int) -> None:
    """Multiply dx (I, S) by weights·d; shape is (stride, S, O), and ``zero`` points to a 0."""
    stride, samples, outputs = shape
    in_fours((d, stride), (weights, 1, outputs), (zero, 0), (dx, stride), (samples, inputs), outputs, MULTIPLY)


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
    """Do the same, and overwrite (or add to) db[o] with Σ_t d[o, t], while d is in registers."""
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
    """Do the same, and the bias together with the very first inputs."""
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
def backward_weights(x: Any, d: Any, dw: Any, db: Any, shape: tuple, inputs: int, first: int, add: bool) -> None:
    """Overwrite (or add to) dw (I, O) with x·dᵀ and db (O) with the sums of d, from output ``first`` on.

    shape is (stride, S, O).
    """
    stride, _, outputs = shape
    for i in range(0, inputs, INPUT_BLOCK):
        last = min(i + INPUT_BLOCK, inputs)
        o = first
        while o < outputs:
            do, dwo, dbo = offset(d, o * stride), offset(dw, o), offset(db, o)
            if o + 4 <= outputs:
                _weights_columns(x, do, dwo, dbo, shape, i, last, add, FOUR)
                o += 4
            else:
                _weights_columns(x, do, dwo, dbo, shape, i, last, add, ONE)
                o += 1


@inlined
def _two_block(
    rows: tuple, weights: Any, gradients: tuple, shape: tuple, flags: tuple, inputs: tuple, units: tuple
) -> None:
    """Do a part of ``backward_two``: a few units of the first layer and its first inputs."""
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
    """Do the backward pass of a layer and of the next one, which has one unit, together.

    shape is (stride, S, O) of the first layer, where O is a multiple of PAIR_BLOCK. ``rows`` are the first layer's
    x (I, S) and y (O, S), the derivatives dx (O, S) of its activation, and d (S), the gradient with respect to the
    second layer's z. ``gradients``, those of the first layer's weights (I, O) and bias (O) and of the second's
    weights (O) and bias, are overwritten (or added to); each has the same bits as from the functions above. flags
    are (add, keep): with keep, dx is multiplied by weights·d; without, it holds anything.
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
