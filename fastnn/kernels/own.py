"""Patterns for users' own activations and losses, whose functions replace the names below.

They are computed in float64, number by number. U units or K outputs, S samples; a shape is (stride, S, U).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.activations import VALUE

# The functions to be replaced: f(z) or l(p, t), and the derivative; without one, a slope function from below.
value: Any = None
derivative: Any = None

STEP = 6e-6  # the cube root of 2**-53, which is best for central differences: 10 to 11 digits


def activation(z: Any, y: Any, d: Any, shape: tuple, mode: int) -> None:
    stride, samples, units = shape
    for u in range(units):
        for at in range(u * stride, u * stride + samples):
            number = np.float64(z[at])
            if mode != VALUE:
                d[at] = derivative(number)
            y[at] = value(number)


def slope_of_activation(number: float) -> float:
    """The derivative by a central difference."""
    h = STEP * max(1.0, abs(number))
    return (value(number + h) - value(number - h)) / (2.0 * h)


def loss(rows: tuple, settings: Any, shape: tuple) -> float:
    """Overwrite d (K, S) with the weighted derivative; return the weighted sum of all samples' losses."""
    _, y, targets, weights, d = rows
    stride, samples, outputs = shape
    sum_ = 0.0
    for k in range(outputs):
        for s in range(samples):
            at = k * stride + s
            weight = np.float64(weights[s]) * settings[0]
            d[at] = 0.0
            if weight > 0.0:
                p, t = np.float64(y[at]), np.float64(targets[at])
                sum_ += weight * value(p, t)
                d[at] = weight * derivative(p, t)
    return sum_


def slope_of_loss(p: float, t: float) -> float:
    """The derivative with respect to the prediction, by a central difference."""
    h = STEP * max(1.0, abs(p))
    return (value(p + h, t) - value(p - h, t)) / (2.0 * h)
