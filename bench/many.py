"""Many small networks on the same data: ``fit_many`` beside ``jax.vmap`` and beside fits one by one.

256 networks [2, 16, 1] from seeds of their own, the circle at density 10, sigmoid, mse, batch gradient descent.
Who takes part gets data and initial weights into the form it likes best beforehand; timed is from there to the
losses of all epochs of all networks. Times are per sample, epoch and network.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

import fastnn
from bench.interleave import in_turns, median
from bench.rivals import JaxTrainer
from bench.subjects import check_losses

EPOCHS = 2000
EPOCHS_TO_AGREE = 20
MOST_ROUNDS = 5  # of some ten seconds each
ALONE = "one network alone"
MANY, ON_ONE, ONE_BY_ONE, VMAP = "fit_many", "fit_many, 1 thread", "fit, one by one", "jax.vmap"
Layers = list[tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]]


@dataclass(frozen=True)
class Networks:
    """What is trained."""

    count: int = 256
    network: tuple[int, ...] = (2, 16, 1)
    density: int = 10
    rate: float = 1.0

    @cached_property
    def data(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """X (n, 2), y (n,)."""
        return fastnn.datasets.circle(density=self.density)

    @property
    def samples(self) -> int:
        """How many rows there are."""
        return (self.density + 1) ** 2

    def weights(self, dtype: str) -> Layers:
        """Initial (weights (networks, in, out), bias (networks, out)) of each layer: uniform, seeds 0, 1, …"""
        streams = [random.Random(seed) for seed in range(self.count)]
        layers = []
        for inputs, units in zip(self.network, self.network[1:], strict=False):
            drawn = [[[stream.random() - 0.5 for _ in range(inputs)] for _ in range(units)] for stream in streams]
            weights = np.ascontiguousarray(np.array(drawn).transpose(0, 2, 1).astype(dtype))
            layers.append((weights, np.zeros((self.count, units), dtype)))
        return layers


WHOLE = Networks()


class Trainer:
    """Trains all networks from their starts, as often as it is asked to."""

    compile_seconds = 0.0

    def __init__(self, problem: Networks, dtype: str, layout: str) -> None:
        raise NotImplementedError

    def run(self, epochs: int) -> npt.ArrayLike:
        """The loss of each network and epoch (networks, epochs), before its update."""
        raise NotImplementedError


class FitMany(Trainer):
    """On all threads, or on as many as the layout says."""

    def __init__(self, problem: Networks, dtype: str, layout: str) -> None:
        self.problem, self.threads = problem, int(layout) if layout else None
        self.nets = [
            fastnn.mlp(problem.network, output="sigmoid", initializer="uniform", seed=seed, dtype=dtype)
            for seed in range(problem.count)
        ]
        self.starts = [net.parameters.copy() for net in self.nets]
        self.data = fastnn.Dataset(*problem.data)

    def _go_back(self) -> fastnn.SGD:
        for net, start in zip(self.nets, self.starts, strict=True):
            net.parameters = start
        return fastnn.SGD(self.problem.rate)

    def run(self, epochs: int) -> npt.ArrayLike:
        """As Trainer has it."""
        sgd = self._go_back()
        fits = fastnn.fit_many(self.nets, self.data, epochs=epochs, optimizer=sgd, threads=self.threads, verbose=0)
        return [history.loss for history in fits]


class OneByOne(FitMany):
    """A Python loop."""

    def run(self, epochs: int) -> npt.ArrayLike:
        """As Trainer has it."""
        sgd = self._go_back()
        return [net.fit(self.data, epochs=epochs, optimizer=sgd, threads=1, verbose=0).loss for net in self.nets]


class Vmap(JaxTrainer, Trainer):
    """JAX: ``vmap`` of the whole training of one network, which is JaxTrainer's ``scan``, jitted; on all cores.

    Samples in "columns" are the faster way here too. Products spelt out as sums, which help a network alone, take
    twice to five times as long as that.
    """

    def _of_all(self, train: Callable[..., Any]) -> Callable[..., Any]:
        return self.jax.vmap(train, in_axes=(0, None, None))


@dataclass(frozen=True)
class Subject:
    """Who trains, in what way."""

    who: str
    trainer: type[Trainer]
    layout: str = ""
    package: str = ""

    @property
    def missing(self) -> str:
        """The reason why it cannot take part here, if there is one."""
        return f"{self.package} is not installed" if self.package and find_spec(self.package) is None else ""

    @property
    def name(self) -> str:
        """All of it."""
        return " ".join(filter(None, [self.who, self.layout]))


SUBJECTS = (
    Subject(MANY, FitMany),
    Subject(ON_ONE, FitMany, "1"),
    Subject(ONE_BY_ONE, OneByOne),
    *(Subject(VMAP, Vmap, layout, "jax") for layout in ("rows", "columns")),
)


@cache
def expected_losses(problem: Networks) -> npt.NDArray[np.float64]:
    """(networks, EPOCHS_TO_AGREE), by NumPy: m networks, n samples, I inputs and O outputs of a layer."""
    X, y = problem.data
    layers = problem.weights("float64")
    losses = []
    for _ in range(EPOCHS_TO_AGREE):
        values = [np.broadcast_to(X, (problem.count, *X.shape))]
        for weights, bias in layers:
            z = np.einsum("mni,mio->mno", values[-1], weights) + bias[:, np.newaxis]
            values.append(1.0 / (1.0 + np.exp(-z)))
        error = values[-1][:, :, 0] - y
        losses.append(np.mean(error**2, axis=1))
        d = (2.0 / len(y)) * error[:, :, np.newaxis]
        steps = []
        for i in range(len(layers) - 1, -1, -1):
            d = d * values[i + 1] * (1.0 - values[i + 1])
            steps.insert(0, (np.einsum("mni,mno->mio", values[i], d), d.sum(axis=1)))
            d = np.einsum("mno,mio->mni", d, layers[i][0])
        layers = [
            (weights - problem.rate * dw, bias - problem.rate * db)
            for (weights, bias), (dw, db) in zip(layers, steps, strict=True)
        ]
    return np.array(losses).T


def check(losses: npt.ArrayLike, problem: Networks, dtype: str, name: str) -> None:
    """Raise unless the losses are those of the problem's networks, in their order."""
    check_losses(losses, expected_losses(problem), dtype, name)


def agreed(problem: Networks, subject: Subject, dtype: str) -> Trainer:
    """A trainer whose losses have been shown to be those of the problem; else raise."""
    trainer = subject.trainer(problem, dtype, subject.layout)
    check(trainer.run(EPOCHS_TO_AGREE), problem, dtype, subject.name)
    return trainer


def measure(
    dtype: str,
    rounds: int,
    problem: Networks = WHOLE,
    epochs: int = EPOCHS,
    subjects: Sequence[Subject] = SUBJECTS,
) -> list[dict[str, Any]]:
    """A row for each who takes part, and for a network alone: ns, and in times of fit_many's on all threads."""
    runs: dict[str, Any] = {}
    work = {}
    for subject in subjects:
        if not subject.missing:
            runs[subject.name] = partial(agreed(problem, subject, dtype).run, epochs)
            runs[subject.name]()
            work[subject.name] = epochs * problem.samples * problem.count
    alone = OneByOne(Networks(1, problem.network, problem.density, problem.rate), dtype, "")
    repeated = max(1, problem.count // 8) * epochs  # long enough that its call does not count
    runs[ALONE], work[ALONE] = partial(alone.run, repeated), repeated * problem.samples
    taken = in_turns(runs, min(rounds, MOST_ROUNDS))
    ns = {name: 1e9 * taken[name] / work[name] for name in runs}
    rows = [
        {"who": subject.who, "layout": subject.layout if subject.package else "", "name": subject.name}
        for subject in subjects
        if subject.name in runs
    ]
    rows.append({"who": ALONE, "layout": "", "name": ALONE})
    return [
        {
            "who": row["who"],
            "layout": row["layout"],
            "dtype": dtype,
            "networks": problem.count,
            "epochs": epochs,
            "ns": median(ns[row["name"]]),
            "to_many": median(ns[row["name"]] / ns[MANY]),
            "to_alone": median(ns[row["name"]] / ns[ALONE]),
        }
        for row in rows
    ]
