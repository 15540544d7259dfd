"""The dense layer: outputs, and the gradients by its weights, bias and inputs.

I inputs, O outputs, S samples (whole vectors). Rows of samples are ``stride`` numbers apart: x (I, S),
z and d (O, S). Weights are (I, O), row by row. Products are accumulated in registers, a block of units by a
few vectors at a time, always in the same order, so that a sample's result does not depend on its block.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.simd import (
    FOUR,
    ONE,
    TWO,
    add_outer,
    add_rows,
    add_outer_spread,
    load_columns,
    load_rows,
    offset,
    put_totals,
    spread_rows,
    store_block,
    width,
    zeros,
)


@inlined
def _block(
    x: Any,
    weights: Any,
    start: Any,
    out: Any,
    stride: int,
    terms: int,
    weight_strides: tuple,
    units: tuple,
    vectors: tuple,
) -> None:
    """Overwrite out[u, t] with start[u] + Σ_k weights[k, u]·x[k, t], for a few units and vectors."""
    by_term, by_unit, by_start = weight_strides
    sums = spread_rows(start, by_start, units, vectors)
    for k in range(terms):
        columns = load_columns(x, k * stride, vectors)
        sums = add_outer_spread(sums, offset(weights, k * by_term), by_unit, units, columns)
    store_block(out, 0, stride, sums, units)


@inlined
def _products(
    x: Any,
    weights: Any,
    start: Any,
    out: Any,
    stride: int,
    samples: int,
    terms: int,
    units: int,
    weight_strides: tuple,
) -> None:
    """Overwrite out (units, S) with start + weightsᵀ·x, in blocks."""
    lanes = width(x)
    by_term, by_unit, by_start = weight_strides
    for t in range(0, samples, 2 * lanes):
        xt = offset(x, t)
        u = 0
        while u + 4 <= units:
            w, b, o = offset(weights, u * by_unit), offset(start, u * by_start), offset(out, u * stride + t)
            if t + lanes < samples:
                _block(xt, w, b, o, stride, terms, weight_strides, FOUR, TWO)
            else:
                _block(xt, w, b, o, stride, terms, weight_strides, FOUR, ONE)
            u += 4
        while u < units:
            w, b, o = offset(weights, u * by_unit), offset(start, u * by_start), offset(out, u * stride + t)
            if t + lanes < samples:
                _block(xt, w, b, o, stride, terms, weight_strides, ONE, TWO)
            else:
                _block(xt, w, b, o, stride, terms, weight_strides, ONE, ONE)
            u += 1


@kernel
def forward(
    x: Any, weights: Any, bias: Any, z: Any, stride: int, samples: int, inputs: int, outputs: int
) -> None:
    """Overwrite z (O, S) with weightsᵀ·x + bias."""
    _products(x, weights, bias, z, stride, samples, inputs, outputs, (outputs, 1, 1))


@kernel
def backward_inputs(
    d: Any, weights: Any, zero: Any, dx: Any, stride: int, samples: int, inputs: int, outputs: int
) -> None:
    """Overwrite dx (I, S) with weights·d; ``zero`` points to a 0."""
    _products(d, weights, zero, dx, stride, samples, outputs, inputs, (1, outputs, 0))


@inlined
def _weights_block(
    x: Any, d: Any, dw: Any, stride: int, samples: int, outputs: int, add: bool, rows: tuple, columns: tuple
) -> None:
    """Overwrite (or add to) dw[i, o] with Σ_t x[i, t]·d[o, t], for a few inputs and outputs."""
    sums = zeros(x, rows, columns)
    for t in range(0, samples, width(x)):
        sums = add_outer(sums, load_rows(x, t, stride, rows), load_rows(d, t, stride, columns))
    put_totals(dw, 0, outputs, sums, rows, add)


@inlined
def _bias_block(d: Any, db: Any, stride: int, samples: int, add: bool, columns: tuple) -> None:
    """Overwrite (or add to) db[o] with Σ_t d[o, t], for a few outputs."""
    sums = zeros(d, columns, ONE)
    for t in range(0, samples, width(d)):
        sums = add_rows(sums, load_rows(d, t, stride, columns))
    put_totals(db, 0, 1, sums, columns, add)


@kernel
def backward_weights(
    x: Any, d: Any, dw: Any, db: Any, stride: int, samples: int, inputs: int, outputs: int, add: bool
) -> None:
    """Overwrite (or add to) dw (I, O) with x·dᵀ and db (O) with the sums of d over the samples."""
    o = 0
    while o < outputs:
        do = offset(d, o * stride)
        four = o + 4 <= outputs
        i = 0
        while i < inputs:
            xi, dwi = offset(x, i * stride), offset(dw, i * outputs + o)
            if i + 4 <= inputs:
                if four:
                    _weights_block(xi, do, dwi, stride, samples, outputs, add, FOUR, FOUR)
                else:
                    _weights_block(xi, do, dwi, stride, samples, outputs, add, FOUR, ONE)
                i += 4
            else:
                if four:
                    _weights_block(xi, do, dwi, stride, samples, outputs, add, ONE, FOUR)
                else:
                    _weights_block(xi, do, dwi, stride, samples, outputs, add, ONE, ONE)
                i += 1
        if four:
            _bias_block(do, offset(db, o), stride, samples, add, FOUR)
        else:
            _bias_block(do, offset(db, o), stride, samples, add, ONE)
        o += 4 if four else 1
