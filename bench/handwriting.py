"""What is trained on real data: scikit-learn's digits, 1,797 pictures of 8×8 pixels with their labels 0 to 9."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

NETWORK = (64, 64, 10)  # hidden relu; softmax and cross entropy
BATCH = 64
RATE, BETA_1, BETA_2, EPSILON = 0.001, 0.9, 0.999, 1e-8  # Adam's, as all libraries have them


def pictures() -> tuple[Doubles, Labels]:
    """All of them: X (1797, 64) from 0 to 1, labels (1797,)."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


def thirds(seed: int) -> tuple[Doubles, Doubles, Labels, Labels]:
    """Training and held-out X (1198, 64), (599, 64), and their labels: a third of each class is held out."""
    from sklearn.model_selection import train_test_split

    X, y = pictures()
    found: tuple[Doubles, Doubles, Labels, Labels] = train_test_split(
        X, y, test_size=599, stratify=y, random_state=seed
    )
    return found


def glorot(sizes: tuple[int, ...], dtype: str, seed: int = 0) -> list[tuple[Array, Array]]:
    """(weights (in, out), bias (out,)) of each layer: uniform within ±√(6/(in + out)), and 0."""
    stream, layers = np.random.default_rng(seed), []
    for inputs, units in itertools.pairwise(sizes):
        bound = np.sqrt(6.0 / (inputs + units))
        layers.append((stream.uniform(-bound, bound, (inputs, units)).astype(dtype), np.zeros(units, dtype)))
    return layers


def flat(layers: list[tuple[Array, Array]]) -> Array:
    """One vector, in fastnn's order."""
    return np.concatenate([array.reshape(-1) for layer in layers for array in layer])


@dataclass(frozen=True)
class Digits:
    """Mini-batches with Adam, on the first rows of the digits, from Glorot's initial weights."""

    rows: int = 1257
    epochs_to_agree: int = 3  # epochs whose losses are compared: 60 updates

    @cached_property
    def data(self) -> tuple[Doubles, Labels]:
        """X (rows, 64), labels (rows,)."""
        X, y = pictures()
        return X[: self.rows], y[: self.rows]

    def weights(self, dtype: str) -> list[tuple[Array, Array]]:
        """Of each layer, at the start."""
        return glorot(NETWORK, dtype)

    @property
    def counts(self) -> list[int]:
        """Rows of each batch; the last is short."""
        whole, rest = divmod(self.rows, BATCH)
        return [BATCH] * whole + [rest] * (rest > 0)


class MadeUp(Digits):
    """Numbers of the same shapes, for where scikit-learn is not installed."""

    @cached_property
    def data(self) -> tuple[Doubles, Labels]:
        """As Digits has it."""
        stream = np.random.default_rng(1)
        return stream.random((self.rows, 64)), stream.integers(0, 10, self.rows)
