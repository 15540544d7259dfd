"""What is trained where whole runs are compared: tanh layers, half_sse and Adam, in batches of any size."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.handwriting import Array, Doubles, glorot

INPUTS = 8
CHECKED_UPDATES = 20  # of an epoch whose losses are compared, at most


@dataclass(frozen=True)
class Descent:
    """Adam on J. Friedman's function (1991) of eight inputs, the rows in their order, from Glorot's weights.

    The hidden layers are tanh, the outputs are as they come, and the loss is half_sse, which is the one that
    scikit-learn's networks have. ``batch`` of None is all rows.
    """

    network: tuple[int, ...]
    samples: int
    batch: int | None = None

    @property
    def name(self) -> str:
        """The network's sizes in one word."""
        return "-".join(map(str, self.network))

    @cached_property
    def data(self) -> tuple[Doubles, Doubles]:
        """X (samples, inputs) from 0 to 1, y (samples, 1) around 0."""
        X = np.random.default_rng(0).random((self.samples, INPUTS))
        y = np.sin(np.pi * X[:, 0] * X[:, 1]) + 2.0 * (X[:, 2] - 0.5) ** 2 + X[:, 3] + 0.5 * X[:, 4] - 1.4
        return X, y[:, np.newaxis]

    def weights(self, dtype: str) -> list[tuple[Array, Array]]:
        """(weights (in, out), bias (out,)) of each layer at the start."""
        return glorot(self.network, dtype)

    @property
    def rows_of_batch(self) -> int:
        """How many rows there are in a batch that is not the last one."""
        return self.batch or self.samples

    @property
    def head(self) -> int:
        """Rows on which losses are compared: the first few batches, or all."""
        return min(self.samples, CHECKED_UPDATES * self.rows_of_batch)

    @property
    def epochs_to_agree(self) -> int:
        """Epochs on the head whose losses are compared: some dozens of updates, or fewer if NumPy takes long."""
        affordable = int(1e9 * self.samples / (self.operations * self.head))
        return max(2, min(3 * CHECKED_UPDATES * self.rows_of_batch // self.head, CHECKED_UPDATES, affordable))

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum((i + 1) * o for i, o in itertools.pairwise(self.network))

    @property
    def operations(self) -> int:
        """Multiplications and additions of the matrix products of an epoch."""
        products = [i * o for i, o in itertools.pairwise(self.network)]
        return self.samples * 2 * (3 * sum(products) - products[0])


@dataclass(frozen=True)
class MatrixExponential(Descent):
    """The exponential of a 2×2 matrix of standard normal numbers: SimpleChains' example of a small network."""

    network: tuple[int, ...] = (4, 32, 16, 4)
    samples: int = 10_000

    @cached_property
    def data(self) -> tuple[Doubles, Doubles]:
        """X (samples, 4) matrices row by row, y (samples, 4) their exponentials."""
        X = np.random.default_rng(0).standard_normal((self.samples, 4))
        return X, exponentials(X)


def exponentials(X: Doubles) -> Doubles:
    """exp of 2×2 matrices (n, 4), row by row.

    M = s + N with s half the trace: N² = q is a number (Cayley and Hamilton), and so
    exp(M) = eˢ (cosh √q + N sinh(√q)/√q), with a √q that may be imaginary.
    """
    a, b, c, d = X.T
    s = (a + d) / 2.0
    root = np.sqrt(((a - d) / 2.0) ** 2 + b * c + 0j)
    even, odd = np.cosh(root).real, (np.sinh(root) / root).real
    exponential = np.stack([even + odd * (a - s), odd * b, odd * c, even + odd * (d - s)], axis=1)
    return np.exp(s)[:, np.newaxis] * exponential
