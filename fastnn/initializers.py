"""Initializers: random initial weights from the same doubles as ``random.Random`` gives, drawn in bulk.

One random stream is used for the whole network: layer by layer, neuron by neuron, input by input.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


class RandomStream:
    """A stream of the numbers that repeated calls of ``random.Random(seed).random()`` would return."""

    def __init__(self, seed: int) -> None:
        # Both use the Mersenne Twister and make doubles in the same way, so only its state has to be copied.
        *key, position = random.Random(seed).getstate()[1]
        self._twister = np.random.RandomState()
        self._twister.set_state(("MT19937", np.array(key, np.uint32), position, 0, 0.0))

    def uniform(self, count: int) -> Doubles:
        """Return the next numbers, uniform in [0, 1)."""
        return self._twister.random_sample(count)

    def normal(self, count: int) -> Doubles:
        """Return standard normal numbers, each made from the next two of the stream (G. Box, M. Muller, 1958)."""
        pairs = self.uniform(2 * count).reshape(count, 2)
        return np.sqrt(-2.0 * np.log(1.0 - pairs[:, 0])) * np.cos(2.0 * math.pi * pairs[:, 1])


def uniform(stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """Uniform in [-1/2, 1/2), as in the textbook."""
    return stream.uniform(inputs * outputs) - 0.5


def normal(stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """Normal with mean 0 and standard deviation 1."""
    return stream.normal(inputs * outputs)


def glorot_uniform(stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """Glorot: uniform within ±sqrt(6/(inputs + outputs)) (X. Glorot, Y. Bengio, 2010)."""
    return (2.0 * stream.uniform(inputs * outputs) - 1.0) * math.sqrt(6.0 / (inputs + outputs))


def glorot_normal(stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """Glorot: normal with variance 2/(inputs + outputs) (X. Glorot, Y. Bengio, 2010)."""
    return stream.normal(inputs * outputs) * math.sqrt(2.0 / (inputs + outputs))


def he_uniform(stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """He: uniform within ±sqrt(6/inputs) (K. He and others, 2015)."""
    return (2.0 * stream.uniform(inputs * outputs) - 1.0) * math.sqrt(6.0 / inputs)


def he_normal(stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """He: normal with variance 2/inputs (K. He and others, 2015)."""
    return stream.normal(inputs * outputs) * math.sqrt(2.0 / inputs)


def lecun_uniform(stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """LeCun: uniform within ±sqrt(3/inputs) (Y. LeCun and others, 1998)."""
    return (2.0 * stream.uniform(inputs * outputs) - 1.0) * math.sqrt(3.0 / inputs)


def lecun_normal(stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """LeCun: normal with variance 1/inputs (Y. LeCun and others, 1998)."""
    return stream.normal(inputs * outputs) * math.sqrt(1.0 / inputs)


def orthogonal(stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """Orthonormal neurons, or orthonormal inputs if there are more neurons (A. Saxe and others, 2014)."""
    drawn = stream.normal(inputs * outputs).reshape(outputs, inputs)
    columns, triangle = np.linalg.qr(drawn.T if outputs <= inputs else drawn)
    columns = columns * np.where(np.diag(triangle) < 0.0, -1.0, 1.0)
    found: Doubles = (columns.T if outputs <= inputs else columns).reshape(-1)
    return found


def zeros(stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """All weights 0, with no random numbers drawn. Hidden units that start equal stay equal."""
    return np.zeros(inputs * outputs)


INITIALIZERS: dict[str, Callable[[RandomStream, int, int], Doubles]] = {
    "uniform": uniform,
    "normal": normal,
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "orthogonal": orthogonal,
    "zeros": zeros,
}


def initial_weights(name: str | float, stream: RandomStream, inputs: int, outputs: int) -> Doubles:
    """Return initial weights (inputs, outputs); if a number is given instead of a name, all are set to it."""
    if not isinstance(name, str):
        return np.full((inputs, outputs), name)
    by_neuron = INITIALIZERS[name](stream, inputs, outputs)
    return by_neuron.reshape(outputs, inputs).T
