"""Derivatives by central differences: f'(x) ≈ (f(x + h) - f(x - h)) / 2h.

They do not use the chain rule, so every backward pass can be checked against them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from .losses import Loss
from .network import Sequential


def numerical_diff(f: Callable[[float], float], x: float, h: float = 1e-4) -> float:
    """Slope of f at x.

    >>> numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 5)
    0.1999999999990898
    """
    return (f(x + h) - f(x - h)) / (2 * h)


def numerical_gradient(f: Callable[[list[Any]], float], x: Iterable[Any], h: float = 1e-4) -> Any:
    """Partial derivatives of f at x, a list of numbers or of lists; the result has its shape.

    >>> [round(slope, 6) for slope in numerical_gradient(lambda x: x[0]**2 + x[1]**2, [3, 4])]
    [6.0, 8.0]
    """
    point = _copy(x)

    def gradient_of(part: list[Any]) -> list[Any]:
        gradient: list[Any] = []
        for i, value in enumerate(part):
            if isinstance(value, list):
                gradient.append(gradient_of(value))
                continue
            part[i] = value + h  # part is a piece of point, so f sees the change
            above = f(point)
            part[i] = value - h
            below = f(point)
            part[i] = value
            gradient.append((above - below) / (2 * h))
        return gradient

    return gradient_of(point)


def _copy(x: Iterable[Any]) -> list[Any]:
    """A copy of x as nested lists of floats."""
    return [_copy(value) if hasattr(value, "__len__") else float(value) for value in x]


def tangent_line(f: Callable[[float], float], x: float) -> Callable[[float], float]:
    """The line that touches f at x: t -> f(x) + slope (t - x).

    >>> round(tangent_line(lambda x: x**2, 3)(5), 6)
    21.0
    """
    value = f(x)
    slope = numerical_diff(f, x)
    return lambda t: value + slope * (t - x)


def check_gradients(
    net: Sequential,
    X: Iterable[Iterable[float]],
    y: Iterable[Any],
    loss: str | Loss = "mse",
    sample_weight: Iterable[float] | None = None,
    h: float = 1e-5,
) -> float:
    """Largest relative error between the gradient and central differences of the reported loss.

    For each parameter with gradient a (backpropagated) and n (numerical) the error is
    |a - n| / max(|a|, |n|, floor). The floor, a thousandth of the largest gradient of all and at
    least 1e-12, keeps the rounding of gradients that are nearly 0 from counting. X and y are read
    more than once. The parameters are restored afterwards. The result is inf if a gradient is not finite.
    """
    _, analytic = net.loss_and_gradient(X, y, loss, sample_weight)
    parameters = net.parameters

    def loss_at(values: list[float]) -> float:
        net.parameters = values
        return net.evaluate(X, y, loss, sample_weight)

    try:
        numeric = numerical_gradient(loss_at, parameters, h)
    finally:
        net.parameters = parameters

    floor = 1e-12
    for a, n in zip(analytic, numeric):
        floor = max(floor, 1e-3 * abs(a), 1e-3 * abs(n))
    worst = 0.0
    for a, n in zip(analytic, numeric):
        error = abs(a - n) / max(abs(a), abs(n), floor)
        if math.isnan(error):
            return math.inf  # an infinite or undefined gradient, which max() would skip
        worst = max(worst, error)
    return worst
