"""Products of matrices: out[u, t] = start[u] + Σ_k weights[k, u]·x[k, t], with lanes along t.

T numbers of t (whole vectors), U of u. Every matrix is a pointer and the distances of its numbers: x (rows, along
k; along t they are neighbours), weights (numbers, along k, along u), start (numbers, along u), out (rows, along
u). Sums are accumulated in registers, a block of u by a few vectors at a time, always in the order of k, so that a
number does not depend on its block.
"""

from __future__ import annotations

from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.simd import (
    EIGHT,
    FOUR,
    ONE,
    SIX,
    TWO,
    VECTOR_BYTES,
    add_outer_spread,
    add_rows,
    load_block,
    load_columns,
    offset,
    spread_rows,
    store_block,
    times_stored,
    width,
)

# What is done with out: it is overwritten; its sums are continued, whatever start is; it is multiplied; or added
# to.
OVERWRITE, GO_ON, MULTIPLY, ADD = range(4)

# How many u are in a block if there are many: as many sums as the registers hold, since each addition waits for
# the one before it, and two arithmetic units should be busy meanwhile.
MANY = EIGHT if VECTOR_BYTES == 64 else SIX


@inlined
def _block(
    x: tuple, weights: tuple, start: tuple, out: tuple, terms: int, mode: int, units: tuple, vectors: tuple
) -> None:
    """Compute the product for a few u and vectors."""
    (x_rows, by_row), (numbers, by_term, by_unit), (place, stride) = x, weights, out
    if mode == GO_ON:
        sums = load_block(place, stride, units, vectors)
    else:
        sums = spread_rows(start[0], start[1], units, vectors)
    for k in range(terms):
        columns = load_columns(x_rows, k * by_row, vectors)
        sums = add_outer_spread(sums, offset(numbers, k * by_term), by_unit, units, columns)
    if mode == MULTIPLY:
        sums = times_stored(sums, place, stride, units)
    if mode == ADD:
        sums = add_rows(load_block(place, stride, units, vectors), sums)
    store_block(place, stride, sums, units)


@inlined
def _from(weights: tuple, start: tuple, out: tuple, u: int, t: int) -> tuple:
    """Return the matrices from u and t on."""
    return (
        (offset(weights[0], u * weights[2]), weights[1], weights[2]),
        (offset(start[0], u * start[1]), start[1]),
        (offset(out[0], u * out[1] + t), out[1]),
    )


@inlined
def in_fours(x: tuple, weights: tuple, start: tuple, out: tuple, shape: tuple, terms: int, mode: int) -> None:
    """Compute the product, four u at a time, then one; shape is (T, U)."""
    samples, units = shape
    lanes = width(x[0])
    for t in range(0, samples, 2 * lanes):
        xt = offset(x[0], t), x[1]
        two = t + lanes < samples
        u = 0
        while u < units:
            w, s, o = _from(weights, start, out, u, t)
            if u + 4 <= units:
                if two:
                    _block(xt, w, s, o, terms, mode, FOUR, TWO)
                else:
                    _block(xt, w, s, o, terms, mode, FOUR, ONE)
                u += 4
            else:
                if two:
                    _block(xt, w, s, o, terms, mode, ONE, TWO)
                else:
                    _block(xt, w, s, o, terms, mode, ONE, ONE)
                u += 1


@kernel
def many(x: tuple, weights: tuple, start: tuple, out: tuple, shape: tuple, terms: int, mode: int) -> None:
    """Compute the product, MANY u at a time, then as above; shape is (T, U)."""
    samples, units = shape
    lanes = width(x[0])
    left = units % len(MANY)
    if (left + len(MANY)) % 4 < left % 4:
        left += len(MANY)  # which leaves more of them for blocks of four
    whole = max(0, units - left)
    for t in range(0, samples, 2 * lanes):
        xt = offset(x[0], t), x[1]
        two = t + lanes < samples
        for u in range(0, whole, len(MANY)):
            w, s, o = _from(weights, start, out, u, t)
            if two:
                _block(xt, w, s, o, terms, mode, MANY, TWO)
            else:
                _block(xt, w, s, o, terms, mode, MANY, ONE)
    if whole < units:
        w, s, o = _from(weights, start, out, whole, 0)
        in_fours(x, w, s, o, (samples, units - whole), terms, mode)
