"""Who trains: one registry, for the check that all compute the same and for the timings.

A trainer gets a problem, puts data and initial weights into the form it likes best, and then ``run(epochs)``
trains from those initial weights and returns the loss of each epoch. Only ``run`` is timed. All record every
loss, since fastnn does; nobody has to wait for it or turn it into a Python number on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

import fastnn
import reference
from bench.problems import Problem
from bench.rivals import JaxTrainer, SklearnTrainer, TorchTrainer, Trainer


class ReferenceTrainer(Trainer):
    """Plain Python, lists of floats."""

    def __init__(self, problem: Problem, dtype: str, layout: str) -> None:
        X, y = problem.data
        self.problem, self.X, self.y = problem, X.tolist(), y.tolist()
        self.net = reference.mlp(problem.network, output=problem.output, initializer="uniform", seed=0)
        self.start = self.net.parameters

    def run(self, epochs: int) -> Sequence[float]:
        """As Trainer has it."""
        self.net.parameters = self.start
        sgd = reference.SGD(self.problem.rate)
        return self.net.fit(self.X, self.y, epochs=epochs, optimizer=sgd, loss=self.problem.loss).loss


class FastnnTrainer(Trainer):
    """fastnn on all threads it may use, or on one; the data packed beforehand as the rivals' is."""

    threads: int | None = None

    def __init__(self, problem: Problem, dtype: str, layout: str) -> None:
        self.problem = problem
        self.net = fastnn.mlp(problem.network, output=problem.output, initializer="uniform", seed=0, dtype=dtype)
        self.start = self.net.parameters.copy()
        self.data = fastnn.Dataset(*problem.data)

    def run(self, epochs: int) -> Sequence[float]:
        """As Trainer has it."""
        self.net.parameters = self.start
        sgd = fastnn.SGD(self.problem.rate)
        history = self.net.fit(
            self.data, epochs=epochs, optimizer=sgd, loss=self.problem.loss, threads=self.threads
        )
        assert history.status == "finished"
        return history.loss


class OneThreadTrainer(FastnnTrainer):
    """fastnn on one thread."""

    threads = 1


class NumpyTrainer(Trainer):
    """Whole arrays, written in place into memory that is taken once.

    n samples, U units of a layer. The layout is the order in memory of all (n, U) arrays: "columns" keeps the
    samples of a unit together, "rows" the units of a sample.
    """

    def __init__(self, problem: Problem, dtype: str, layout: str) -> None:
        X, y = problem.data
        order = "F" if layout == "columns" else "C"
        self.problem = problem
        self.y = y[:, np.newaxis].astype(dtype)
        self.weights = problem.weights(dtype)
        self.values = [X.astype(dtype, order=order)]
        self.values += [np.empty((len(X), units), dtype, order) for units in problem.network[1:]]
        self.d_values = [np.empty_like(values) for values in self.values]

    def run(self, epochs: int) -> Sequence[float]:
        """As Trainer has it."""
        layers = [(weights.copy(), bias.copy()) for weights, bias in self.weights]
        return [self._step(layers) for _ in range(epochs)]

    def _step(self, layers: list[tuple[np.ndarray, np.ndarray]]) -> float:
        """The loss; overwrite the layers' weights and biases."""
        values, d_values, last = self.values, self.d_values, len(layers) - 1
        for i, (weights, bias) in enumerate(layers):
            out = np.matmul(values[i], weights, out=values[i + 1])
            out += bias
            if i < last or self.problem.output == "sigmoid":
                np.negative(out, out=out)
                np.exp(out, out=out)
                out += 1.0
                np.reciprocal(out, out=out)
        scale = 1.0 if self.problem.loss == "mse" else 0.5
        error = np.subtract(values[-1], self.y, out=d_values[-1])
        flat = error[:, 0]
        loss = scale * float(flat @ flat) / len(flat)
        error *= 2.0 * scale / len(flat)
        for i in range(last, -1, -1):
            weights, bias = layers[i]
            d, out = d_values[i + 1], values[i + 1]
            if i < last or self.problem.output == "sigmoid":
                d *= out
                np.subtract(1.0, out, out=out)
                d *= out
            if i > 0:
                np.matmul(d, weights.T, out=d_values[i])
            weights -= self.problem.rate * (values[i].T @ d)
            bias -= self.problem.rate * d.sum(axis=0)
        return loss


@dataclass(frozen=True)
class Subject:
    """A library in one dtype and one layout: a row. Of several layouts, the report shows the fastest."""

    library: str
    dtype: str
    trainer: type[Trainer]
    layout: str = ""
    questions: tuple[str, ...] = ("circle",)

    @property
    def name(self) -> str:
        """All of it in one word."""
        return "-".join(filter(None, [self.library, self.dtype, self.layout]))

    @property
    def missing(self) -> str:
        """The reason why there cannot be this row here, if there is one."""
        package = self.trainer.package
        return f"{package} is not installed" if package and find_spec(package) is None else ""

    def takes(self, problem: Problem) -> bool:
        """Whether it has a row for this problem."""
        if problem.question not in self.questions:
            return False
        if self.trainer is ReferenceTrainer:  # more would take minutes; its cost per sample is the same
            return problem.parameters < 100 or problem.density <= 10
        # Products written as sums save JAX a call or two, and cost it ten times the time in wider networks.
        return not self.layout.startswith("sums") or problem.parameters < 100


BOTH = ("circle", "regression")
DTYPES = ("float64", "float32")
ONE_THREAD = "fastnn on 1 thread"
SUBJECTS = (
    Subject("reference", "float64", ReferenceTrainer),
    *(Subject("NumPy", "float64", NumpyTrainer, layout, BOTH) for layout in ("rows", "columns")),
    *(
        Subject("PyTorch", dtype, TorchTrainer, f"{order}, {threads}")
        for dtype in DTYPES
        for order in ("rows", "columns")
        for threads in ("all threads", "1 thread")
    ),
    *(
        Subject("JAX", dtype, JaxTrainer, layout)
        for dtype in DTYPES
        for layout in ("rows", "columns", "sums", "sums, one vector")
    ),
    *(Subject("scikit-learn", dtype, SklearnTrainer, questions=("regression",)) for dtype in DTYPES),
    *(Subject(ONE_THREAD, dtype, OneThreadTrainer, questions=BOTH) for dtype in DTYPES),
    *(Subject("fastnn", dtype, FastnnTrainer, questions=BOTH) for dtype in DTYPES),
)
FASTNN = {subject.dtype: subject for subject in SUBJECTS if subject.library == "fastnn"}
FASTNN_ALONE = {subject.dtype: subject for subject in SUBJECTS if subject.library == ONE_THREAD}

# Relative deviation of any epoch's loss. float64: sums of many terms in another order, seen up to 2e-15;
# float32 the same, seen up to 2e-7. The bounds leave other machines and libraries room, and none for a float32
# that calls itself float64.
BOUNDS = {"float64": 1e-12, "float32": 1e-5}


class DisagreementError(AssertionError):
    """A subject computes something else than the others, so that its time means nothing."""


def agreed(problem: Problem, subject: Subject) -> Trainer:
    """A trainer whose losses have been shown to be those of the problem; else raise."""
    trainer = subject.trainer(problem, subject.dtype, subject.layout)
    check(trainer.run(problem.epochs_to_agree), problem, subject.dtype, subject.name)
    return trainer


def check(losses: Sequence[float], problem: Problem, dtype: str, name: str) -> None:
    """Raise unless the losses are those that NumPy finds in float64."""
    check_losses(losses, expected_losses(problem), dtype, name)


def check_losses(losses: npt.ArrayLike, expected: np.ndarray, dtype: str, name: str) -> None:
    """Raise unless the losses are those expected, and as many."""
    if np.shape(losses) != expected.shape:
        raise DisagreementError(f"{name} returns losses of shape {np.shape(losses)}, not {expected.shape}")
    deviation = np.max(np.abs(np.asarray(losses, np.float64) / expected - 1.0))
    if not deviation <= BOUNDS[dtype]:
        raise DisagreementError(f"{name}: losses deviate by {deviation:.1e}; bound {BOUNDS[dtype]:.0e}")


@cache
def expected_losses(problem: Problem) -> np.ndarray:
    """Of the first epochs, by NumPy, which itself is compared with plain Python where that has a row."""
    return np.array(NumpyTrainer(problem, "float64", "rows").run(problem.epochs_to_agree))
