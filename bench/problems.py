"""What is trained: the questions, networks and densities of the grid."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fastnn import datasets

Doubles = npt.NDArray[np.float64]

DENSITIES = (10, 30, 100, 300)  # 121 to 90,601 samples
NETWORKS = ((2, 4, 1), (2, 16, 16, 1), (2, 64, 64, 1))

# The textbook's rate for the textbook's network; the wider ones would be thrown into saturation by it.
RATES = {(2, 4, 1): 10.0}
OTHER_RATE = 1.0
# The regression's loss is not bounded, so its rate is that with which the widest network still learns.
REGRESSION_RATE = 0.02


@dataclass(frozen=True)
class Problem:
    """Batch gradient descent on the circle, from the textbook's initial weights.

    The question is "circle" (sigmoid outputs, mse) or "regression" (identity outputs, half_sse, which is the
    only thing that scikit-learn's networks can do here). Hidden layers are sigmoid in both.
    """

    question: str
    network: tuple[int, ...]
    density: int

    @property
    def name(self) -> str:
        """The network's sizes in one word."""
        return "-".join(map(str, self.network))

    @property
    def samples(self) -> int:
        """How many rows there are."""
        return (self.density + 1) ** 2

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum((i + 1) * o for i, o in zip(self.network, self.network[1:], strict=False))

    @property
    def rate(self) -> float:
        """The learning rate, for all subjects alike."""
        return RATES.get(self.network, OTHER_RATE) if self.question == "circle" else REGRESSION_RATE

    @property
    def output(self) -> str:
        """The activation of the output layer."""
        return "sigmoid" if self.question == "circle" else "identity"

    @property
    def loss(self) -> str:
        """Its name in fastnn."""
        return "mse" if self.question == "circle" else "half_sse"

    @cached_property
    def data(self) -> tuple[Doubles, Doubles]:
        """X (n, 2), y (n,)."""
        return datasets.circle(density=self.density)

    def weights(self, dtype: str) -> list[tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]]:
        """Initial (weights (in, out), bias (out,)) of each layer: uniform, seed 0, drawn neuron by neuron."""
        stream = random.Random(0)
        layers = []
        for inputs, units in zip(self.network, self.network[1:], strict=False):
            drawn = [[stream.random() - 0.5 for _ in range(inputs)] for _ in range(units)]
            layers.append((np.array(drawn).T.astype(dtype), np.zeros(units, dtype)))
        return layers

    @property
    def epochs_to_agree(self) -> int:
        """Epochs whose losses are compared: 20, or as many as take plain Python about a second."""
        return max(3, min(20, 1_000_000 // (self.samples * self.parameters)))
