"""The dense layer of many inputs or many outputs: what ``dense`` computes for few, in larger blocks.

Networks without such layers do not need it, so these are separate parts (see ``kernels.calls``). I inputs, O
outputs, S samples, as in ``dense``.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels.jit import kernel
from fastnn.kernels.products import ADD, GO_ON, MULTIPLY, OVERWRITE, many
from fastnn.kernels.simd import (
    FOUR,
    ONE,
    VECTOR_BYTES,
    add_rows,
    load,
    load_rows,
    offset,
    put_totals,
    room,
    store,
    transpose_rows,
    width,
    zeros,
)

# The inputs from which ``forward`` is worthwhile, and the outputs from which ``backward_inputs`` is.
FORWARD_FROM_INPUTS = BACKWARD_FROM_OUTPUTS = 8

# The inputs and vectors of outputs from which transposing d for the gradient of the weights is worthwhile
# (measured with 16 to 752 samples). With AVX2, the four by four sums of ``dense`` take all registers.
GRADIENT_FROM_INPUTS, GRADIENT_FROM_VECTORS = 64 if VECTOR_BYTES == 64 else 8, 2

# Weights that do not stay in the cache between two blocks of samples are copied, a panel at a time, for all
# samples of the tile: in their own order, those of 4 units are a row apart, where they compete for a few cache
# lines.
PANEL_FROM_BYTES = 1 << 20  # a second-level cache
PANEL_VECTORS = 4  # units of a panel: whole cache lines of each row
PANEL_TERMS = 128  # inputs of a panel: their rows of samples, and what 4 units need, stay in the first-level cache
PANEL = PANEL_VECTORS * PANEL_TERMS

# How many samples are added one after the other; the inputs whose sums over these stay in the cache; and the
# vectors of these sums, for a panel's outputs.
PART_SAMPLES, PART_INPUTS = 64, 32
PARTS = PART_INPUTS * PANEL_VECTORS


@kernel
def _forward_in_panels(x: Any, weights: Any, bias: Any, z: Any, shape: tuple, inputs: int) -> None:
    """Do the same as ``forward`` in panels; units beyond whole vectors use the weights where they are."""
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


@kernel
def forward(x: Any, weights: Any, bias: Any, z: Any, shape: tuple, inputs: int) -> None:
    """Overwrite z (O, S) with weightsᵀ·x + bias; shape is (stride, S, O)."""
    stride, samples, units = shape
    if inputs * units * VECTOR_BYTES > PANEL_FROM_BYTES * width(x):
        _forward_in_panels(x, weights, bias, z, shape, inputs)
    else:
        many((x, stride), (weights, units, 1), (bias, 1), (z, stride), (samples, units), inputs, OVERWRITE)


@kernel
def backward_inputs(d: Any, weights: Any, zero: Any, dx: Any, shape: tuple, inputs: int) -> None:
    """Multiply dx (I, S) by weights·d; shape is (stride, S, O), and ``zero`` points to a 0."""
    stride, samples, outputs = shape
    many((d, stride), (weights, 1, outputs), (zero, 0), (dx, stride), (samples, inputs), outputs, MULTIPLY)


@kernel
def _sum_of_parts(
    panel: Any, count: int, x: Any, dw: Any, zero: Any, shape: tuple, inputs: int, add: bool
) -> None:
    """Overwrite (or add to) dw[i, o] with Σ_s x[i, s]·panel[s, o] for ``count`` outputs; shape is (stride, S, O).

    Sums over PART_SAMPLES samples are added up. So they are nearly as exact as with samples in the lanes.
    """
    stride, samples, outputs = shape
    lanes = width(x)
    parts = room(x, PARTS)
    if samples <= PART_SAMPLES:
        out, mode = (dw, outputs), ADD if add else OVERWRITE
        many((panel, count), (x, 1, stride), (zero, 0), out, (count, inputs), samples, mode)
        return
    for first in range(0, inputs, PART_INPUTS):
        rows = min(PART_INPUTS, inputs - first)
        for s in range(0, samples, PART_SAMPLES):
            part, numbers = (offset(panel, s * count), count), (offset(x, first * stride + s), 1, stride)
            terms, mode = min(PART_SAMPLES, samples - s), ADD if s > 0 else OVERWRITE
            many(part, numbers, (zero, 0), (parts, count), (count, rows), terms, mode)
        for i in range(rows):
            for u in range(0, count, lanes):
                at, sum_ = (first + i) * outputs + u, load(parts, i * count + u)
                store(dw, at, load(dw, at) + sum_ if add else sum_)


@kernel
def backward_weights(
    x: Any, d: Any, gradients: tuple, zero: Any, panel: Any, shape: tuple, inputs: int, add: bool
) -> int:
    """Overwrite (or add to) gradients (dw (I, O), db (O)) with x·dᵀ and the sums of d; shape is (stride, S, O).

    This is done for the outputs in whole vectors, whose number is returned; the rest is left to ``dense``. Lanes
    are outputs, so that no sums over lanes are needed, and whole cache lines of dw are written. For this, d is
    transposed into ``panel``, some outputs at a time, which takes at most as much memory as d. ``zero`` points to
    a 0.
    """
    (dw, db), (stride, samples, outputs) = gradients, shape
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
