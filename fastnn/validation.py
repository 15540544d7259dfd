"""fastnn beside its reference in plain Python: a table of configurations, and how far the two are apart in each.

>>> deviation = compare(CASES[0])
>>> deviation.run < deviation.bound_of_run and deviation.step < deviation.bound_of_step
True
"""

from __future__ import annotations

import importlib
import random
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import datasets
from fastnn.layers import Dense
from fastnn.network import Sequential
from fastnn.optimizers import SGD

Array = npt.NDArray[Any]

# A number is measured against itself, but against a thousandth of the largest beside it where it is nearly 0:
# then it is a sum in which larger ones cancelled, and cannot be better than those.
FLOOR = 1e-3
SMALLEST = 1e-300  # so that 0 beside 0 is no deviation

# float64: both libraries round differently in each of the hundred or so operations that a number is made of, and
# a run carries that along. Usual are 1e-15 to 1e-13; a formula that is wrong shows far above the bounds.
# float32: the reference stays in float64. A rounding is half an epsilon of the largest number, which is 500
# epsilons of the thousandth that small ones are measured against; as many again are for the roundings before it.
EPSILON = float(np.finfo(np.float32).eps)
BOUND_OF_STEP = {"float64": 1e-12, "float32": EPSILON / FLOOR}
BOUND_OF_RUN = {"float64": 1e-9, "float32": EPSILON / FLOOR}


@dataclass(frozen=True)
class Case:
    """One configuration: a network, a loss, and a run."""

    hidden: tuple[str, ...] = ("sigmoid",)  # activations of the hidden layers
    output: str = "identity"
    outputs: int = 1
    loss: str = "mse"
    batch: int | None = None
    shuffle: bool = True
    momentum: float = 0.0
    nesterov: bool = False
    initializer: str | None = None
    weighted: bool = False
    dtype: str = "float64"
    epochs: int = 40  # 0: only the gradient of one step
    rate: float = 0.1
    samples: int = 61  # a prime, so that no batch size and no register divides it
    units: tuple[int, ...] = (5, 7)
    circle: bool = False

    @property
    def name(self) -> str:
        """What is particular to it, in a line."""
        layers = " > ".join([*self.hidden, f"{self.outputs} {self.output}"])
        parts = ["circle: " * self.circle + layers, self.loss]
        if self.batch is not None:
            parts.append(f"batch {self.batch}" + ("" if self.shuffle else " in order"))
        if self.momentum:
            parts.append(f"{'nesterov' if self.nesterov else 'momentum'} {self.momentum:g}")
        if self.initializer is not None:
            parts.append(self.initializer)
        if self.weighted:
            parts.append("weights")
        if self.samples > 100:
            parts.append(f"{self.samples} samples")
        if not self.epochs:
            parts.append("gradient only")
        return ", ".join(parts)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, units of each layer."""
        hidden = (4,) if self.circle else self.units[: len(self.hidden)]
        return (2 if self.circle else 3, *hidden, self.outputs)


@dataclass(frozen=True)
class Deviation:
    """How far fastnn is from the reference: the largest relative deviations, and what is allowed.

    run: of each epoch's loss and of the parameters at the end; step: of the loss and the gradient at the start.
    """

    run: float
    step: float
    bound_of_run: float
    bound_of_step: float

    @property
    def within(self) -> bool:
        """Whether neither bound is broken (as it is by NaN)."""
        return self.run <= self.bound_of_run and self.step <= self.bound_of_step


SOFTMAX: dict[str, Any] = {"output": "softmax", "loss": "cross_entropy", "outputs": 3}
BINARY: dict[str, Any] = {"output": "sigmoid", "loss": "binary_cross_entropy"}

CASES: tuple[Case, ...] = (
    Case(circle=True, output="sigmoid", initializer="uniform", rate=10.0, epochs=100),
    # each activation, with one initializer or another
    Case(("identity",), initializer="glorot_normal"),
    Case(("sigmoid",), initializer="normal"),
    Case(("tanh",), initializer="glorot_uniform"),
    Case(("relu",), initializer="he_normal"),
    Case(("leaky_relu",), initializer="he_uniform"),
    Case(("elu",)),
    Case(("softplus",)),
    Case(("silu",)),
    Case(("gelu",)),
    Case(("tanh",), output="step", epochs=0),
    Case(("tanh",), output="softmax", outputs=3, loss="half_sse"),
    # each loss with one output and with three
    Case(("tanh",), outputs=3),
    Case(("tanh",), loss="half_sse"),
    Case(("tanh",), loss="half_sse", outputs=3),
    Case(("tanh",), loss="mae"),
    Case(("tanh",), loss="mae", outputs=3),
    Case(("tanh",), **BINARY),
    Case(("tanh",), **BINARY, outputs=3),
    Case(("tanh",), **SOFTMAX),
    Case(("tanh",), output="sigmoid", loss="cross_entropy", outputs=3),
    # depth, and no hidden layer at all
    Case((), **SOFTMAX),
    Case((), initializer="zeros"),
    Case(("silu", "tanh"), **SOFTMAX),
    # batches: several tiles, mini-batches with a short last one, single samples
    Case(("tanh",), samples=1201, epochs=5),
    Case(("tanh",), samples=1201, epochs=5, batch=600),
    Case(("tanh",), batch=16, epochs=20),
    Case(("gelu",), batch=16, epochs=20, shuffle=False, outputs=3),
    Case(("sigmoid",), batch=1, epochs=5, rate=0.05),
    Case(("elu", "softplus"), batch=1, epochs=5, rate=0.05, **SOFTMAX),
    # optimizers and sample weights
    Case(("tanh",), momentum=0.9, rate=0.02),
    Case(("tanh",), momentum=0.9, nesterov=True, rate=0.02),
    Case(("tanh",), batch=16, epochs=20, momentum=0.9, nesterov=True, rate=0.02, **SOFTMAX),
    Case(("tanh",), weighted=True),
    Case(("silu",), batch=16, epochs=20, weighted=True, **BINARY),
    # float32
    Case(circle=True, output="sigmoid", initializer="uniform", rate=10.0, epochs=100, dtype="float32"),
    Case(("relu",), outputs=3, dtype="float32"),
    Case(("gelu", "tanh"), batch=16, epochs=20, dtype="float32", **SOFTMAX),
    Case(("silu",), batch=1, epochs=5, rate=0.05, dtype="float32", **BINARY),
    Case(("softplus",), momentum=0.9, nesterov=True, rate=0.02, weighted=True, dtype="float32"),
)


def reference() -> ModuleType:
    """The reference: part of the installed package, or beside it in a bare checkout."""
    try:
        return importlib.import_module("fastnn.reference")
    except ModuleNotFoundError:
        return importlib.import_module("reference")


def compare(case: Case) -> Deviation:
    """Train fastnn and the reference from the same start, and measure how far they are apart."""
    plain = reference()
    net, twin = _network(case, Sequential, Dense, dtype=case.dtype), _network(case, plain.Sequential, plain.Dense)
    X, y, weights = _data(case)
    run = _deviation(net.parameters, twin.parameters)
    if case.dtype == "float32":  # from here on the same numbers for both: those that float32 has
        twin.parameters = net.parameters.tolist()
        X = X.astype(np.float32).astype(np.float64)
        y = y if y.dtype.kind == "i" else y.astype(np.float32).astype(np.float64)
    given = {"loss": case.loss, "sample_weight": weights}
    plainly: dict[str, Any] = {"loss": case.loss, "sample_weight": None if weights is None else weights.tolist()}
    rows, targets = X.tolist(), y.tolist()

    loss, gradient = net.loss_and_gradient(X, y, **given)
    plain_loss, plain_gradient = twin.loss_and_gradient(rows, targets, **plainly)
    step = max(_deviation([loss], [plain_loss]), _deviation(gradient, plain_gradient))
    if case.epochs:
        options: dict[str, Any] = {"epochs": case.epochs, "batch_size": case.batch, "shuffle": case.shuffle}
        settings: dict[str, Any] = {"momentum": case.momentum, "nesterov": case.nesterov}
        history = net.fit(X, y, optimizer=SGD(case.rate, **settings), **options, **given)
        plain_sgd = plain.SGD(case.rate, **settings)
        plain_history = twin.fit(rows, targets, optimizer=plain_sgd, **options, **plainly)
        of_losses = _deviation(history.loss, plain_history.loss, floor=0.0)
        run = max(run, of_losses, _deviation(net.parameters, twin.parameters))
    return Deviation(run, step, BOUND_OF_RUN[case.dtype], BOUND_OF_STEP[case.dtype])


def _network(case: Case, sequential: Any, dense: Any, **settings: Any) -> Any:
    """The case's network, made with one library's classes or the other's: they are called alike."""
    *hidden, outputs = case.sizes[1:]
    layers = [dense(units, name) for units, name in zip(hidden, case.hidden, strict=True)]
    layers.append(dense(outputs, case.output))
    return sequential(layers, inputs=case.sizes[0], initializer=case.initializer, seed=1, **settings)


def _data(case: Case) -> tuple[Array, Array, Array | None]:
    """Inputs (n, I), targets that suit the loss, (n,) labels or (n, K), and weights (n,) if there are any."""
    if case.circle:
        X, y = datasets.circle(density=10)
        return X, y[:, np.newaxis], None
    r = random.Random(7)
    n = case.samples
    X = np.array([[3 * r.random() - 1.5 for _ in range(case.sizes[0])] for _ in range(n)])
    numbers = np.array([[r.random() for _ in range(case.outputs)] for _ in range(n)])
    weights = np.array([r.randrange(4) / 2 for _ in range(n)]) if case.weighted else None
    if case.loss == "cross_entropy":
        return X, numbers.argmax(axis=1), weights
    if case.loss == "binary_cross_entropy":
        return X, (numbers > 0.5).astype(float), weights
    return X, numbers, weights


def _deviation(found: Any, expected: Any, floor: float = FLOOR) -> float:
    """The largest |found - expected|, relative to the larger of both; infinite where the lengths differ."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if a.shape != b.shape:
        return float("inf")
    magnitude = np.maximum(np.abs(a), np.abs(b))
    smallest_measure = max(floor * float(magnitude.max()), SMALLEST)
    return float((np.abs(a - b) / np.maximum(magnitude, smallest_measure)).max())
