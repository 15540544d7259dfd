"""Vectors of ``count`` numbers (whole registers): copies, sums, and checks for numbers that are not finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.simd import absolute, all_zero, fill, fma, load, select, store, total, width


@inlined
def padded(count: int, p: Any) -> int:
    """Return ``count`` rounded up to whole vectors of the type that p points to."""
    return (count + width(p) - 1) // width(p) * width(p)


@kernel
def copy(source: Any, target: Any, factor: float, count: int) -> None:
    """Overwrite the target with factor·source."""
    for i in range(0, count, width(source)):
        store(target, i, factor * load(source, i))


@kernel
def add(a: Any, factor: float, b: Any, out: Any, count: int) -> None:
    """Overwrite out, which may be a, with a + factor·b."""
    for i in range(0, count, width(a)):
        store(out, i, fma(factor, load(b, i), load(a, i)))


@kernel
def add_up(a: Any, count: int) -> float:
    """Σ a."""
    sum_ = fill(load(a, 0), 0.0)
    for i in range(0, count, width(a)):
        sum_ = sum_ + load(a, i)
    return float(total(sum_))


@kernel
def dot(a: Any, b: Any, count: int) -> float:
    """Σ a·b."""
    sum_ = fill(load(a, 0), 0.0)
    for i in range(0, count, width(a)):
        sum_ = fma(load(a, i), load(b, i), sum_)
    return np.float64(total(sum_))


@kernel
def finite(a: Any, count: int) -> bool:
    """Return whether all numbers are finite."""
    check = fill(load(a, 0), 0.0)
    for i in range(0, count, width(a)):
        check = fma(0.0, load(a, i), check)
    return all_zero(check)


@kernel
def within(a: Any, bound: float, count: int) -> bool:
    """Return whether all numbers are within ±bound."""
    beyond = fill(load(a, 0), 0.0)
    for i in range(0, count, width(a)):
        beyond = beyond + select(absolute(load(a, i)) > bound, fill(beyond, 1.0), 0.0)
    return all_zero(beyond)
