"""Updates of the parameter vector. P parameters (whole vectors)."""

from __future__ import annotations

from typing import Any

from fastnn.kernels.jit import kernel
from fastnn.kernels.layout import LEARNING_RATE, MOMENTUM, NESTEROV
from fastnn.kernels.simd import fill, fma, load, store, total, width

# The numbers by which a plan names them; without an optimizer only the loss and its gradient are computed.
EVALUATE, GRADIENT, SGD = range(3)


@kernel
def sgd(
    parameters: Any, gradient: Any, velocity: Any, previous: Any, count: int, scale: float, numbers: Any
) -> bool:
    """One step of gradient descent; whether all parameters are finite after it.

    With g = scale·gradient: velocity = momentum·velocity + g, and the parameters change by -rate·velocity
    (Nesterov: by -rate·(g + momentum·velocity)). ``previous`` is overwritten with the parameters before.
    """
    rate, momentum = numbers[LEARNING_RATE], numbers[MOMENTUM]
    check = fill(load(gradient, 0), 0.0)
    for i in range(0, count, width(parameters)):
        g = scale * load(gradient, i)
        change = g
        if momentum != 0.0:
            change = fma(momentum, load(velocity, i), g)
            store(velocity, i, change)
            if numbers[NESTEROV] != 0.0:
                change = fma(momentum, change, g)
        p = load(parameters, i)
        store(previous, i, p)
        p = fma(-rate, change, p)
        store(parameters, i, p)
        check = fma(0.0, p, check)
    return total(check) == 0.0
