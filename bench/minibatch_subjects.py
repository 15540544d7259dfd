"""Who trains on the digits in mini-batches: one registry, for the check that all compute the same and the timings.

Orders differ between libraries, so losses are compared with the rows in the order of the data, and only times
are taken with shuffling.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np

import fastnn
from bench.handwriting import BATCH, BETA_1, BETA_2, EPSILON, NETWORK, RATE, Digits, flat
from bench.minibatch_rivals import JaxMinibatches, MinibatchTrainer, SklearnMinibatches, TorchMinibatches
from bench.subjects import DTYPES, Subject, check_losses


class FastnnMinibatches(MinibatchTrainer):
    """fastnn, the data checked beforehand as the rivals' is."""

    def __init__(self, problem: Digits, dtype: str, layout: str) -> None:
        self.net = fastnn.mlp(NETWORK, activation="relu", output="softmax", dtype=dtype)
        self.start = flat(problem.weights(dtype))
        self.data = fastnn.Dataset(problem.data[0].astype(dtype), problem.data[1])
        self.adam = fastnn.Adam(RATE, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON)

    def run(self, epochs: int, shuffle: bool = True) -> Sequence[float]:
        """As MinibatchTrainer has it."""
        self.net.parameters = self.start
        history = self.net.fit(
            self.data,
            epochs=epochs,
            batch_size=BATCH,
            optimizer=self.adam,
            loss="cross_entropy",
            shuffle=shuffle,
            verbose=0,
        )
        assert history.status == "finished"
        return history.loss


class NumpyMinibatches(MinibatchTrainer):
    """Whole arrays; all parameters are one vector, which Adam updates in place."""

    network: tuple[int, ...] = NETWORK

    def __init__(self, problem: Digits, dtype: str, layout: str) -> None:
        X, y = problem.data
        self.X, self.y = X.astype(dtype), np.eye(NETWORK[-1], dtype=dtype)[y]
        self.counts = problem.counts
        self.start = flat(problem.weights(dtype))

    def _views(self, vector: np.ndarray) -> list[np.ndarray]:
        """Weights, bias, weights, bias."""
        views, at = [], 0
        for inputs, units in itertools.pairwise(self.network):
            for shape in ((inputs, units), (units,)):
                size = int(np.prod(shape))
                views.append(vector[at : at + size].reshape(shape))
                at += size
        return views

    def run(self, epochs: int, shuffle: bool = True) -> Sequence[float]:
        """As MinibatchTrainer has it."""
        self.parameters = self.start.copy()
        self.gradient, self.m, self.v, self.work = (np.zeros_like(self.start) for _ in range(4))
        self.t = 0
        stream = np.random.default_rng(0)
        return [self._epoch(stream.permutation(len(self.X)) if shuffle else None) for _ in range(epochs)]

    def _epoch(self, order: np.ndarray | None) -> float:
        X, y = (self.X, self.y) if order is None else (self.X[order], self.y[order])
        loss, first = 0.0, 0
        for count in self.counts:
            loss += self._batch(X[first : first + count], y[first : first + count])
            self._adam()
            first += count
        return loss / len(X)

    def _batch(self, X: np.ndarray, y: np.ndarray) -> float:
        """The sum of losses; overwrite the gradient."""
        weights, bias, out_weights, out_bias = self._views(self.parameters)
        dw, db, d_out_weights, d_out_bias = self._views(self.gradient)
        hidden = np.maximum(X @ weights + bias, 0.0)
        z = hidden @ out_weights + out_bias
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        sums = p.sum(axis=1, keepdims=True)
        loss = float(np.log(sums).sum() - (z * y).sum())
        p /= sums
        p -= y
        p /= len(X)
        np.matmul(hidden.T, p, out=d_out_weights)
        p.sum(axis=0, out=d_out_bias)
        d = p @ out_weights.T
        d *= hidden > 0.0
        np.matmul(X.T, d, out=dw)
        d.sum(axis=0, out=db)
        return loss

    def _adam(self) -> None:
        gradient, m, v, work = self.gradient, self.m, self.v, self.work
        self.t += 1
        root = 1.0 if self.epsilon_hat else np.sqrt(1.0 - BETA_2**self.t)
        rate = RATE / (1.0 - BETA_1**self.t) * (np.sqrt(1.0 - BETA_2**self.t) / root)
        m *= BETA_1
        m += np.multiply(gradient, 1.0 - BETA_1, out=work)
        v *= BETA_2
        np.multiply(gradient, gradient, out=work)
        work *= 1.0 - BETA_2
        v += work
        np.sqrt(v, out=work)
        work /= root
        work += EPSILON
        np.divide(m, work, out=work)
        work *= rate
        self.parameters -= work


class NumpyOfSecondForm(NumpyMinibatches):
    """What losses are like with Adam's epsilon at the other place."""

    epsilon_hat = True


MINIBATCH_SUBJECTS = (
    Subject("NumPy", "float64", NumpyMinibatches),
    *(
        Subject("scikit-learn", dtype, SklearnMinibatches, layout)
        for dtype in DTYPES
        for layout in ("all threads", "1 thread")
    ),
    *(
        Subject("PyTorch", dtype, TorchMinibatches, f"{adam}, {threads}")
        for dtype in DTYPES
        for adam in ("fused", "foreach", "direct")
        for threads in ("all threads", "1 thread")
    ),
    *(Subject("JAX", dtype, JaxMinibatches, layout) for dtype in DTYPES for layout in ("once", "each", "columns")),
    *(Subject("fastnn", dtype, FastnnMinibatches) for dtype in DTYPES),
)
MINIBATCH_FASTNN = {s.dtype: s for s in MINIBATCH_SUBJECTS if s.library == "fastnn"}


def agreed(problem: Digits, subject: Subject) -> MinibatchTrainer:
    """A trainer whose losses have been shown to be those of the problem; else raise."""
    trainer = subject.trainer(problem, subject.dtype, subject.layout)
    check(trainer.run(problem.epochs_to_agree, shuffle=False), problem, subject)
    return trainer


def check(losses: Sequence[float], problem: Digits, subject: Subject) -> None:
    """Raise unless the losses are those that NumPy finds in float64."""
    expected = expected_losses(problem, subject.trainer.epsilon_hat)
    check_losses(losses, expected, subject.dtype, subject.name)


@cache
def expected_losses(problem: Digits, epsilon_hat: bool) -> np.ndarray:
    """Of the first epochs, by NumPy, which itself is compared with plain Python."""
    trainer = NumpyOfSecondForm if epsilon_hat else NumpyMinibatches
    return np.array(trainer(problem, "float64", "").run(problem.epochs_to_agree, shuffle=False))
