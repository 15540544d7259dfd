"""Who trains where whole training runs are compared, and the check that all compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

import fastnn
from bench.descent import Descent
from bench.descent_rivals import DescentTrainer, JaxDescent, SklearnDescent, TorchDescent
from bench.handwriting import BETA_1, BETA_2, EPSILON, RATE, flat
from bench.minibatch_subjects import NumpyMinibatches
from bench.subjects import DTYPES, Subject, check_losses


class FastnnDescent(DescentTrainer):
    """fastnn, the data checked beforehand as the rivals' is."""

    def __init__(self, problem: Descent, dtype: str, layout: str) -> None:
        self.problem = problem
        self.net = fastnn.mlp(problem.network, activation="tanh", dtype=dtype)
        self.start = flat(problem.weights(dtype))
        self.datasets: dict[int, fastnn.Dataset] = {}
        self.adam = fastnn.Adam(RATE, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON)

    def run(self, epochs: int, rows: int | None = None) -> Sequence[float]:
        """As DescentTrainer has it."""
        rows = rows or self.problem.samples
        if rows not in self.datasets:
            X, y = (values[:rows].astype(self.net.dtype) for values in self.problem.data)
            self.datasets[rows] = fastnn.Dataset(X, y)
        self.net.parameters = self.start
        history = self.net.fit(
            self.datasets[rows],
            epochs=epochs,
            batch_size=self.problem.batch,
            optimizer=self.adam,
            loss="half_sse",
            shuffle=False,
            verbose=0,
        )
        assert history.status == "finished"
        return history.loss


class NumpyDescent(NumpyMinibatches):
    """Whole arrays, from which all losses are expected."""

    def __init__(self, problem: Descent, epsilon_hat: bool) -> None:
        X, y = problem.data
        self.X, self.y = X[: problem.head], y[: problem.head]
        self.network, self.epsilon_hat = problem.network, epsilon_hat
        size = problem.rows_of_batch
        self.counts = [min(size, problem.head - first) for first in range(0, problem.head, size)]
        self.start = flat(problem.weights("float64"))

    def _batch(self, X: np.ndarray, y: np.ndarray) -> float:
        """The sum of losses; overwrite the gradient."""
        parameters, gradients = self._views(self.parameters), self._views(self.gradient)
        values = [X]
        for weights, bias in zip(parameters[::2], parameters[1::2], strict=True):
            z = values[-1] @ weights + bias
            values.append(z if bias is parameters[-1] else np.tanh(z))
        d = (values[-1] - y) / len(X)
        loss = 0.5 * float(np.sum((values[-1] - y) ** 2))
        for i in reversed(range(len(values) - 1)):
            np.matmul(values[i].T, d, out=gradients[2 * i])
            d.sum(axis=0, out=gradients[2 * i + 1])
            if i > 0:
                d = d @ parameters[2 * i].T * (1.0 - values[i] ** 2)
        return loss


@dataclass(frozen=True)
class DescentSubject(Subject):
    """A library in one dtype and one way to write it."""

    def fits(self, problem: Descent) -> bool:
        """Whether it is worth trying: JAX's sums cost wide networks ten times the time."""
        return not self.missing and (self.layout != "sums" or problem.parameters < 1000)


DESCENT_SUBJECTS = tuple(
    DescentSubject(library, dtype, trainer, layout)
    for dtype in DTYPES
    for library, trainer, layouts in (
        ("scikit-learn", SklearnDescent, ("all threads", "1 thread")),
        (
            "PyTorch",
            TorchDescent,
            [f"{order}, {threads}" for order in ("rows", "columns") for threads in ("all threads", "1 thread")],
        ),
        ("JAX", JaxDescent, ("rows", "columns", "sums")),
        ("fastnn", FastnnDescent, ("",)),
    )
    for layout in layouts
)


def agreed(problem: Descent, subject: Subject) -> DescentTrainer:
    """A trainer whose losses have been shown to be those of the problem; else raise."""
    trainer = subject.trainer(problem, subject.dtype, subject.layout)
    check(trainer.run(problem.epochs_to_agree, problem.head), problem, subject)
    return trainer


def check(losses: Sequence[float], problem: Descent, subject: Subject) -> None:
    """Raise unless the losses are those that NumPy finds in float64."""
    expected = expected_losses(problem, subject.trainer.epsilon_hat)
    check_losses(losses, expected, subject.dtype, subject.name)


@cache
def expected_losses(problem: Descent, epsilon_hat: bool) -> np.ndarray:
    """Of the first epochs on the first rows, by NumPy, which itself is compared with plain Python."""
    return np.array(NumpyDescent(problem, epsilon_hat).run(problem.epochs_to_agree, shuffle=False))
