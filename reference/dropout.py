"""Dropout (Srivastava and others, 2014): in training, each value is set to 0 with some probability."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from .random import draw, key

# The random streams from this number on are for dropout; those before it are for the order of samples.
DROPOUT_STREAMS = 2**62


class Dropout:
    """y = 0 with probability `rate`, else x / (1 - rate), so that the mean stays; outside of fit y = x.

    U units, the values of the layer before, or the inputs of the network if it is the first layer.
    """

    trainable = True  # though there is nothing to train

    def __init__(self, rate: float) -> None:
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"rate is {rate}; it must be at least 0 and below 1")
        self.rate = rate
        self.units = 0  # known once the layer is built
        self.factors: list[float] = []  # those of the current sample in training; else empty

    def build(self, inputs: int, initializer: str | float | None, r: Random) -> None:
        """Set the number of units to that of the inputs; there are no weights to draw."""
        if self.units:
            raise ValueError("a layer is already part of a network; make a new Dropout for each")
        self.units = inputs

    def choose(self, seed: int, epoch: int, layer: int, sample: int) -> None:
        """Choose what is dropped: it depends on these numbers and the unit only, not on batches."""
        layer_key = draw(key(seed, epoch + DROPOUT_STREAMS), layer)
        self.factors = []
        for unit in range(self.units):
            u = (draw(draw(layer_key, unit), sample) >> 11) * 2.0**-53  # uniform in [0, 1)
            self.factors.append(0.0 if u < self.rate else 1.0 / (1.0 - self.rate))

    def choose_nothing(self) -> None:
        """Drop nothing."""
        self.factors = []

    def forward(self, inputs: Sequence[float]) -> list[float]:
        """inputs (U,) -> outputs (U,): y_u = factor_u x_u."""
        if not self.factors:
            return list(inputs)
        return [factor * x for factor, x in zip(self.factors, inputs)]

    def backward(self, d_outputs: Sequence[float]) -> list[float]:
        """d_outputs (U,) -> d_inputs (U,): dL/dx_u = factor_u dL/dy_u."""
        return self.forward(d_outputs)

    def zero_grad(self) -> None:
        """There are no gradients."""

    def update(self, learning_rate: float) -> None:
        """There are no parameters."""

    @property
    def parameters(self) -> list[float]:
        """None."""
        return []

    @parameters.setter
    def parameters(self, values: Sequence[float]) -> None:
        pass

    @property
    def gradients(self) -> list[float]:
        """None."""
        return []
