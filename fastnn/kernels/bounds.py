"""Kernels that keep parameters and gradients small: penalties, clipping, bounds on norms."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.jit import kernel
from fastnn.kernels.simd import load, maximum, minimum, store, width


@kernel
def penalty(parameters: Any, gradient: Any, places: Any, settings: Any, count: int, weight: float) -> float:
    """Return Σ l1·|w| + l2·w² over ``count`` stretches of the parameters; add weight times its derivative to the
    gradient.

    ``places`` holds (start, length) of each stretch, ``settings`` its l1, l2, and 0 if it has no gradient.
    """
    sum_ = 0.0
    for i in range(count):
        first, length = places[2 * i], places[2 * i + 1]
        l1, l2 = settings[3 * i], settings[3 * i + 1]
        factor = weight * settings[3 * i + 2]
        for p in range(first, first + length):
            w = float(parameters[p])
            sum_ += l1 * abs(w) + l2 * w * w
            if factor != 0.0:
                sign = 1.0 if w > 0.0 else (-1.0 if w < 0.0 else 0.0)
                gradient[p] = gradient[p] + factor * (l1 * sign + 2.0 * l2 * w)
    return sum_


@kernel
def clip(gradient: Any, count: int, scale: float, value: float, norm: float) -> None:
    """Bound each number of scale·gradient to ±value, or its Euclidean norm; a bound of 0 is none."""
    if value > 0.0:
        bound = value / scale  # NaN stays NaN
        for i in range(0, count, width(gradient)):
            store(gradient, i, maximum(-bound, minimum(bound, load(gradient, i))))
    if norm > 0.0:
        # The norm of numbers of at most 1, so that squares do not overflow.
        greatest = 0.0
        for i in range(count):
            greatest = max(greatest, abs(float(gradient[i])))
        if greatest > 0.0 and np.isfinite(greatest):
            sum_ = 0.0
            for i in range(count):
                part = float(gradient[i]) / greatest
                sum_ += part * part
            length = scale * greatest * np.sqrt(sum_)
            if length > norm:
                factor = norm / length
                for i in range(0, count, width(gradient)):
                    store(gradient, i, factor * load(gradient, i))


@kernel
def constraint(parameters: Any, places: Any, settings: Any, count: int) -> None:
    """Shorten the incoming weights of each unit to a norm of at most settings[i].

    ``places`` holds (start, inputs, units) of each of ``count`` layers.
    """
    for i in range(count):
        start, inputs, units = places[3 * i], places[3 * i + 1], places[3 * i + 2]
        for u in range(units):
            sum_ = 0.0
            for k in range(inputs):
                w = float(parameters[start + k * units + u])
                sum_ += w * w
            norm = np.sqrt(sum_)
            if norm > settings[i]:
                factor = settings[i] / norm
                for k in range(inputs):
                    at = start + k * units + u
                    parameters[at] = parameters[at] * factor
