"""Layer normalization (Ba, Kiros and Hinton, 2016): each sample's values get mean 0 and variance 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random


class LayerNormalization:
    """y_u = gain_u (x_u - mean) / √(variance + epsilon) + bias_u, over the U values of a sample.

    The variance is the mean squared deviation from the mean. gain (U,) starts at 1 and bias (U,) at 0. With
    trainable=False fit leaves the layer unchanged.
    """

    def __init__(self, epsilon: float = 1e-5, *, trainable: bool = True) -> None:
        if not 0.0 < epsilon < math.inf:
            raise ValueError(f"epsilon is {epsilon}; it must be positive and finite")
        self.epsilon = epsilon
        self.trainable = trainable
        self.units = 0  # known once the layer is built
        self.gain: list[float] = []
        self.bias: list[float] = []

    def build(self, inputs: int, initializer: str | float | None, r: Random) -> None:
        """Set the number of units to that of the inputs; nothing is drawn."""
        if self.units:
            raise ValueError("a layer is already part of a network; make a new LayerNormalization for each")
        self.units = inputs
        self.gain = [1.0] * inputs
        self.bias = [0.0] * inputs
        self.zero_grad()

    def forward(self, inputs: Sequence[float]) -> list[float]:
        """inputs (U,) -> outputs (U,); keeps the normalized values n (U,) and 1 / √(variance + epsilon)."""
        mean = 0.0
        for x in inputs:
            mean += x / self.units
        variance = 0.0
        for x in inputs:
            variance += (x - mean) * (x - mean) / self.units
        self.inverse = 1.0 / math.sqrt(variance + self.epsilon)
        self.normal = [(x - mean) * self.inverse for x in inputs]
        return [g * n + b for g, n, b in zip(self.gain, self.normal, self.bias)]

    def backward(self, d_outputs: Sequence[float]) -> list[float]:
        """d_outputs (U,) -> d_inputs (U,); adds to the gradients.

        d_gain_u += dL/dy_u n_u, d_bias_u += dL/dy_u. Every x changes mean and variance too, so with
        a_u = dL/dn_u = gain_u dL/dy_u: dL/dx_u = (a_u - mean(a) - n_u mean(a n)) / √(variance + epsilon).
        """
        mean = 0.0
        along = 0.0
        for u, d in enumerate(d_outputs):
            self.d_gain[u] += d * self.normal[u]
            self.d_bias[u] += d
            a = self.gain[u] * d
            mean += a / self.units
            along += a * self.normal[u] / self.units
        return [(g * d - mean - n * along) * self.inverse for g, d, n in zip(self.gain, d_outputs, self.normal)]

    def zero_grad(self) -> None:
        """d_gain = 0, d_bias = 0."""
        self.d_gain = [0.0] * self.units
        self.d_bias = [0.0] * self.units

    def update(self, learning_rate: float) -> None:
        """One step of gradient descent."""
        for u in range(self.units):
            self.gain[u] -= learning_rate * self.d_gain[u]
            self.bias[u] -= learning_rate * self.d_bias[u]

    @property
    def parameters(self) -> list[float]:
        """gain (U,), then bias (U,), in one list. Assigning sets them."""
        return self.gain + self.bias

    @parameters.setter
    def parameters(self, values: Sequence[float]) -> None:
        self.gain = list(values[: self.units])
        self.bias = list(values[self.units :])

    @property
    def gradients(self) -> list[float]:
        """dL/dparameters, in the same order."""
        return self.d_gain + self.d_bias
