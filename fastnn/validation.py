"""Validation: compares fastnn with its reference in plain Python, in each of a table of configurations.

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

import fastnn
from fastnn import datasets
from fastnn.configurations import CASES as CASES
from fastnn.configurations import Case, Choice, choice
from fastnn.loss_kinds import loss_of

Array = npt.NDArray[Any]

# Deviations are relative to the number itself, but to a thousandth of the largest number in its array if it is
# nearly 0: then it is a sum in which larger numbers cancelled, and cannot be more accurate than those.
FLOOR = 1e-3
SMALLEST = 1e-300  # so that 0 does not deviate from 0

# float64: the two libraries round differently in each of the hundred or so operations behind a number, and these
# differences accumulate in a run. 1e-15 to 1e-13 is usual; a wrong formula deviates far above the bounds.
# float32: the reference stays in float64. One rounding is half an epsilon of the largest number, which is 500
# epsilons of the thousandth that small numbers are compared with; as many again are for the roundings before it.
EPSILON = float(np.finfo(np.float32).eps)
BOUND_OF_STEP = {"float64": 1e-12, "float32": EPSILON / FLOOR}
BOUND_OF_RUN = {"float64": 1e-9, "float32": EPSILON / FLOOR}


@dataclass(frozen=True)
class Deviation:
    """The largest relative deviations of fastnn from the reference, and the bounds on them.

    ``run`` is that of each epoch's loss and of the final parameters, ``step`` that of the loss and the gradient at
    the start.
    """

    run: float
    step: float
    bound_of_run: float
    bound_of_step: float

    @property
    def within(self) -> bool:
        """Whether both deviations are within their bounds; NaN is not."""
        return self.run <= self.bound_of_run and self.step <= self.bound_of_step


def reference() -> ModuleType:
    """Import the reference, which is part of the installed package, or beside it in a bare checkout."""
    try:
        return importlib.import_module("fastnn.reference")
    except ModuleNotFoundError:
        return importlib.import_module("reference")


def compare(case: Case) -> Deviation:
    """Train fastnn and the reference from the same start, and measure how far apart they are."""
    plain = reference()
    net, twin = _network(case, fastnn, dtype=case.dtype), _network(case, plain)
    X, y, weights = _data(case)
    run = _deviation(net.parameters, twin.parameters)
    if case.dtype == "float32":  # from here on both have the same numbers, rounded to float32
        twin.parameters = net.parameters.tolist()
        X = X.astype(np.float32).astype(np.float64)
        y = y if y.dtype.kind == "i" else y.astype(np.float32).astype(np.float64)
    rows = [(X, y), (X.tolist(), y.tolist())]
    lists = None if weights is None else weights.tolist()
    given: list[dict[str, Any]] = [
        {"loss": _made(case.loss, library), "sample_weight": of_rows}
        for library, of_rows in ((fastnn, weights), (plain, lists))
    ]
    (loss, gradient), (plain_loss, plain_gradient) = (
        network.loss_and_gradient(*data, **options)
        for network, data, options in zip((net, twin), rows, given, strict=True)
    )
    step = max(_deviation([loss], [plain_loss]), _deviation(gradient, plain_gradient))
    if case.epochs:
        found, expected = (
            network.fit(*data, **options, **_options(case, library))
            for network, data, options, library in zip((net, twin), rows, given, (fastnn, plain), strict=True)
        )
        run = max(run, _deviation_of_histories(found, expected), _deviation(net.parameters, twin.parameters))
    return Deviation(run, step, BOUND_OF_RUN[case.dtype], BOUND_OF_STEP[case.dtype])


def _made(value: Any, library: Any) -> Any:
    return value.of(library) if isinstance(value, Choice) else value


def _options(case: Case, library: Any) -> dict[str, Any]:
    """Return the arguments of ``fit``, with one library's objects."""
    optimizer = case.optimizer or choice("SGD", learning_rate=case.rate)
    return {
        "epochs": case.epochs,
        "batch_size": case.batch,
        "shuffle": case.shuffle,
        "optimizer": optimizer.of(library),
        "validation_split": case.validation,
        "metrics": case.metrics,
        "early_stopping": _made(case.stopping, library),
        "class_weight": case.class_weight,
    }


def _deviation_of_histories(found: Any, expected: Any) -> float:
    """Return the largest deviation of all that is recorded per epoch; infinite if the runs end differently."""
    if (found.status, found.best_epoch) != (expected.status, expected.best_epoch):
        return float("inf")
    pairs = [(found.loss, expected.loss), (found.learning_rate, expected.learning_rate)]
    if found.val_loss is not None:
        pairs.append((found.val_loss, expected.val_loss))
    pairs += [(values, expected.metrics[name]) for name, values in found.metrics.items()]
    return max(_deviation(one, other, floor=0.0) for one, other in pairs)


def _network(case: Case, library: Any, **settings: Any) -> Any:
    """Make the case's network with one of the libraries, whose classes have the same names."""
    *hidden, outputs = case.sizes[1:]
    layers = []
    for i, (units, name) in enumerate(zip(hidden, case.hidden, strict=True)):
        layers.append(library.Dense(units, name, max_norm=case.max_norm, trainable=not case.frozen or i > 0))
        if case.normalized:
            layers.append(library.LayerNormalization())
        if case.dropout is not None:
            layers.append(library.Dropout(case.dropout))
    layers.append(library.Dense(outputs, case.output))
    given = {"initializer": case.initializer, "l1": case.l1, "l2": case.l2, "seed": 1, **settings}
    return library.Sequential(layers, inputs=case.sizes[0], **given)


def _data(case: Case) -> tuple[Array, Array, Array | None]:
    """Return inputs (n, I), targets that suit the loss, (n,) labels or (n, K), and weights (n,) or None."""
    if case.circle:
        X, y = datasets.circle(density=10)
        return X, y[:, np.newaxis], None
    r = random.Random(7)
    n = case.samples
    X = np.array([[3 * r.random() - 1.5 for _ in range(case.sizes[0])] for _ in range(n)])
    numbers = np.array([[r.random() for _ in range(case.outputs)] for _ in range(n)])
    weights = np.array([r.randrange(4) / 2 for _ in range(n)]) if case.weighted else None
    loss = loss_of(_made(case.loss, fastnn))
    if loss.takes_labels(case.outputs):
        return X, numbers.argmax(axis=1), weights
    if loss.most is not None or loss.signs:
        return X, (numbers > 0.5).astype(float), weights
    return X, numbers, weights


def _deviation(found: Any, expected: Any, floor: float = FLOOR) -> float:
    """Return the largest |found - expected|, relative to the larger of the two; infinite if the shapes differ."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if a.shape != b.shape:
        return float("inf")
    magnitude = np.maximum(np.abs(a), np.abs(b))
    smallest_measure = max(floor * float(magnitude.max()), SMALLEST)
    return float((np.abs(a - b) / np.maximum(magnitude, smallest_measure)).max())
