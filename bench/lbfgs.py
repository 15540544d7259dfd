"""L-BFGS beside scikit-learn's, from the same start, to the same loss."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import fastnn
from bench.handwriting import NETWORK, Digits, Doubles, flat, glorot
from bench.interleave import in_turns, median
from bench.subjects import BOUNDS, DisagreementError

STARTS = (0, 1, 2, 3, 4)  # seeds: where a line search leads to is a matter of luck
PENALTY = 1e-4  # scikit-learn's default alpha; it adds alpha/2·Σw²/n to the loss
MOST = 10  # times scikit-learn's iterations in which its loss is to be reached
THREADS = {"all threads": None, "1 thread": 1}


@dataclass(frozen=True)
class Task:
    """A network and its rows."""

    name: str
    network: tuple[int, ...]
    activation: str  # relu and tanh have the same names in both libraries
    classes: bool
    X: Doubles
    y: np.ndarray

    @property
    def loss(self) -> str:
        """Its name in fastnn; the regressor's is half the squared error."""
        return "cross_entropy" if self.classes else "half_sse"


def digits(rows: int = 1257) -> Task:
    """The network of the mini-batches."""
    return Task("digits", NETWORK, "relu", True, *Digits(rows).data)


def diabetes() -> Task:
    """442 patients, 10 measurements: scaled, and so is the target."""
    from sklearn.datasets import load_diabetes

    X, y = ((values - values.mean(axis=0)) / values.std(axis=0) for values in load_diabetes(return_X_y=True))
    return Task("diabetes", (10, 50, 1), "tanh", False, X, y)


TASKS = {"digits": digits, "diabetes": diabetes}


class SklearnDescent:
    """MLPClassifier or MLPRegressor with ``solver="lbfgs"`` and its defaults: 200 iterations at most."""

    def __init__(self, task: Task, seed: int) -> None:
        from sklearn.neural_network import MLPClassifier, MLPRegressor
        from threadpoolctl import ThreadpoolController

        self.task, self.weights = task, glorot(task.network, "float64", seed)
        self.threads = ThreadpoolController()
        kind = MLPClassifier if task.classes else MLPRegressor
        self.net = kind(
            hidden_layer_sizes=task.network[1:-1],
            activation=task.activation,
            solver="lbfgs",
            alpha=PENALTY,
            warm_start=True,
            max_iter=1,
            random_state=0,
        )
        self._fit()  # makes the arrays that ``run`` then fills
        self.net.max_iter = 200

    def _fit(self) -> None:
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.net.fit(self.task.X, self.task.y)

    def run(self, threads: int | None) -> None:
        """Train from the start to where it ends."""
        self.net.coefs_ = [weights.copy() for weights, _ in self.weights]
        self.net.intercepts_ = [bias.copy() for _, bias in self.weights]
        with self.threads.limit(limits=threads):
            self._fit()

    @property
    def loss(self) -> float:
        """Where it has ended, with the penalty."""
        return float(self.net.loss_)

    @property
    def parameters(self) -> np.ndarray:
        """The same, in fastnn's order."""
        return flat(list(zip(self.net.coefs_, self.net.intercepts_, strict=True)))


class FastnnDescent:
    """``fastnn.LBFGS``, for as many iterations as it needs to a loss: no gradient is small enough before."""

    def __init__(self, task: Task, seed: int) -> None:
        output = "softmax" if task.classes else "identity"
        l2 = PENALTY / 2.0 / len(task.X)
        self.task = task
        self.net = fastnn.mlp(task.network, activation=task.activation, output=output, l2=l2)
        self.start = flat(glorot(task.network, "float64", seed))
        self.data = fastnn.Dataset(task.X, task.y)

    def loss_at(self, parameters: np.ndarray) -> float:
        """The penalty included."""
        self.net.parameters = parameters
        return self.net.evaluate(self.data, loss=self.task.loss)

    def run(self, iterations: int) -> fastnn.History:
        """Train from the start."""
        self.net.parameters = self.start
        optimizer = fastnn.LBFGS(tolerance=0.0)
        return self.net.fit(self.data, epochs=iterations, optimizer=optimizer, loss=self.task.loss, verbose=0)

    def iterations_to(self, loss: float, most: int) -> int:
        """The least number after which the loss is no greater; 0 if none of so many is enough."""
        # The loss of an epoch is that from which it began.
        reached = np.flatnonzero(self.run(most + 1).loss <= loss)
        return int(reached[0]) if len(reached) else 0


def agreed(task: Task, seed: int) -> tuple[SklearnDescent, FastnnDescent, int]:
    """Both, and fastnn's iterations to scikit-learn's last loss; raise if they do not mean the same loss."""
    theirs, ours = SklearnDescent(task, seed), FastnnDescent(task, seed)
    theirs.run(1)
    deviation = abs(ours.loss_at(theirs.parameters) / theirs.loss - 1.0)
    # The loss on the digits is a ten-thousandth of what its sums are made of.
    if not deviation <= 10 * BOUNDS["float64"]:
        raise DisagreementError(
            f"{task.name}: fastnn finds another loss where scikit-learn ended: {deviation:.1e}"
        )
    iterations = ours.iterations_to(theirs.loss, MOST * theirs.net.n_iter_)
    if iterations:
        ours.run(iterations)
        if not ours.loss_at(ours.net.parameters.copy()) <= theirs.loss:
            raise DisagreementError(f"{task.name}: the loss is not reached in {iterations} iterations")
    return theirs, ours, iterations


def measure(task: Task, rounds: int, starts: tuple[int, ...] = STARTS) -> list[dict[str, Any]]:
    """A row for each start: milliseconds to scikit-learn's last loss, and the ratio to it at its fastest.

    Where fastnn does not get there, its iterations are 0 and so is the ratio.
    """
    rows = []
    for seed in starts:
        theirs, ours, iterations = agreed(task, seed)
        loss, their_iterations = theirs.loss, theirs.net.n_iter_
        runs: dict[str, Any] = {name: partial(theirs.run, limit) for name, limit in THREADS.items()}
        taken = in_turns({**runs, "fastnn": partial(ours.run, max(1, iterations))}, rounds)
        fastest = min(THREADS, key=lambda name: float(np.median(taken[name])))
        rows.append(
            {
                "task": task.name,
                "network": "-".join(map(str, task.network)),
                "start": seed,
                "loss": loss,
                "iterations": iterations,
                "sklearn_iterations": their_iterations,
                "sklearn_threads": fastest,
                "ms": median(1e3 * taken["fastnn"]),
                "sklearn_ms": median(1e3 * taken[fastest]),
                "to_fastnn": median(taken[fastest] / taken["fastnn"]) if iterations else 0.0,
            }
        )
    return rows
