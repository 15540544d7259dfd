"""Optimizers: how parameters move, given the gradient. Both are flat lists of P numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence


class SGD:
    """Gradient descent, p -= learning_rate g, if wanted with momentum.

    With momentum m the velocity v = m v + g takes the place of g; Nesterov's variant looks one
    step ahead and uses g + m v.
    """

    def __init__(self, learning_rate: float = 0.01, *, momentum: float = 0.0, nesterov: bool = False) -> None:
        if not (learning_rate > 0.0 and math.isfinite(learning_rate)):
            raise ValueError(f"learning_rate is {learning_rate}; it must be positive and finite")
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum is {momentum}; it must be at least 0 and below 1")
        if nesterov and momentum == 0.0:
            raise ValueError("nesterov needs a momentum above 0")
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.nesterov = nesterov

    def start(self, count: int) -> None:
        """Before each fit of `count` parameters: v = 0."""
        self.velocity = [0.0] * count

    def update(self, parameters: Sequence[float], gradients: Sequence[float]) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,); moves the velocity along."""
        moved = []
        for i, (p, g) in enumerate(zip(parameters, gradients)):
            self.velocity[i] = self.momentum * self.velocity[i] + g
            step = g + self.momentum * self.velocity[i] if self.nesterov else self.velocity[i]
            moved.append(p - self.learning_rate * step)
        return moved
