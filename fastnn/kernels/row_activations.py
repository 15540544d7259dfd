"""Activation functions of whole rows: those that need all units of a sample, and the sine, which takes two passes.

U units, S samples (whole vectors); rows of samples are ``stride`` numbers apart; a shape is (stride, S, U). Each
is (z, y, d, shape, mode) with a mode of ``kernels.activations``; y may be z itself.
"""

from __future__ import annotations

import math
from typing import Any

from fastnn.kernels import maths
from fastnn.kernels.activations import TIMES_SLOPE, VALUE
from fastnn.kernels.jit import inlined
from fastnn.kernels.simd import absolute, fill, fma, load, maximum, select, store, total, width

Shape = tuple[int, int, int]


@inlined
def _softmax(z: Any, y: Any, shape: Shape) -> None:
    """Overwrite y (U, S) with e**z / Σ e**z over the units, after subtracting the greatest z."""
    stride, samples, units = shape
    for t in range(0, samples, width(z)):
        greatest = load(z, t)
        for u in range(1, units):
            greatest = maximum(greatest, load(z, u * stride + t))
        sum_ = fill(greatest, 0.0)
        for u in range(units):
            e = maths.exp(load(z, u * stride + t) - greatest)
            store(y, u * stride + t, e)
            sum_ = sum_ + e
        for u in range(units):
            store(y, u * stride + t, load(y, u * stride + t) / sum_)


@inlined
def _times_softmax_slope(y: Any, d: Any, shape: Shape) -> None:
    """Overwrite d (U, S) with y·(d - Σ d·y), the product with softmax's Jacobian."""
    stride, samples, units = shape
    for t in range(0, samples, width(y)):
        sum_ = load(d, t) * load(y, t)
        for u in range(1, units):
            sum_ = fma(load(d, u * stride + t), load(y, u * stride + t), sum_)
        for u in range(units):
            at = u * stride + t
            store(d, at, load(y, at) * (load(d, at) - sum_))


@inlined
def softmax(z: Any, y: Any, d: Any, shape: Shape, mode: int) -> None:
    if mode == TIMES_SLOPE:
        _times_softmax_slope(y, d, shape)
    else:
        _softmax(z, y, shape)


@inlined
def _log_softmax(z: Any, y: Any, shape: Shape) -> None:
    """Overwrite y (U, S) with z - ln Σ e**z over the units.

    That is z - greatest z - ln(1 + rest), where the rest of the sum excludes the greatest's e**0 = 1: so the
    greatest y keeps its digits where it is nearly 0.
    """
    stride, samples, units = shape
    for t in range(0, samples, width(z)):
        greatest = load(z, t)
        for u in range(1, units):
            greatest = maximum(greatest, load(z, u * stride + t))
        rest, equal = fill(greatest, 0.0), fill(greatest, -1.0)
        for u in range(units):
            x = load(z, u * stride + t) - greatest
            top = x == 0.0
            rest = rest + select(top, 0.0, maths.exp_of_negative(x))
            equal = equal + select(top, 1.0, fill(x, 0.0))
        log_sum = maths.log1p(rest + equal)
        for u in range(units):
            store(y, u * stride + t, (load(z, u * stride + t) - greatest) - log_sum)


@inlined
def _times_log_softmax_slope(y: Any, d: Any, shape: Shape) -> None:
    """Overwrite d (U, S) with d - e**y·Σ d, the product with log_softmax's Jacobian."""
    stride, samples, units = shape
    for t in range(0, samples, width(y)):
        sum_ = load(d, t)
        for u in range(1, units):
            sum_ = sum_ + load(d, u * stride + t)
        for u in range(units):
            at = u * stride + t
            store(d, at, fma(-maths.exp_of_negative(load(y, at)), sum_, load(d, at)))


@inlined
def log_softmax(z: Any, y: Any, d: Any, shape: Shape, mode: int) -> None:
    if mode == TIMES_SLOPE:
        _times_log_softmax_slope(y, d, shape)
    else:
        _log_softmax(z, y, shape)


@inlined
def _finish_sine(p: Any, first: int, samples: int, of_sine: bool) -> None:
    """Replace each large z that a row still holds by its sine (or cosine)."""
    for t in range(first, first + samples):
        if abs(p[t]) > 1.5:  # no sine is that large
            z = float(p[t])
            p[t] = math.sin(z) if of_sine else math.cos(z)


@inlined
def sine(z: Any, y: Any, d: Any, shape: Shape, mode: int) -> None:
    """Overwrite y (U, S) with sin z and, if needed, d (U, S) with cos z; y may be z itself.

    A z that is too large for lanes is passed on in place of the result, and the row is then processed once more,
    number by number.
    """
    stride, samples, units = shape
    for first in range(0, units * stride, stride):
        greatest = fill(load(z, first), 0.0)
        for t in range(first, first + samples, width(z)):
            x = load(z, t)
            large = maths.beyond_sine(x)
            value, slope = maths.sine_and_cosine(select(large, 0.0, x))
            greatest = maximum(absolute(x), greatest)
            x = fma(0.0, x, x)  # infinity has no sine: NaN (and math.sin would raise)
            store(y, t, select(large, x, value))
            if mode != VALUE:
                store(d, t, select(large, x, slope))
        if total(select(maths.beyond_sine(greatest), 1.0, fill(greatest, 0.0))) > 0.0:
            _finish_sine(y, first, samples, True)
            if mode != VALUE:
                _finish_sine(d, first, samples, False)
