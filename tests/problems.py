"""One problem for two libraries: the same network and the same rows in fastnn and in its reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

import numba
import numpy as np
from numpy.testing import assert_array_equal

import fastnn
import reference
from fastnn.activations import ACTIVATIONS
from fastnn.loss_kinds import ANY, LOSSES, Kind, loss_of

JIT = not numba.config.DISABLE_JIT

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23}


@dataclass(frozen=True)
class Call:
    """Something that both libraries make alike, such as Adam(0.1): a name in them, and arguments."""

    name: str
    arguments: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self):
        given = [str(value) for value in self.arguments]
        given += [f"{name}={value}" for name, value in self.settings.items()]
        return f"{self.name}({', '.join(given)})"


def call(name, *arguments, **settings):
    """A Call."""
    return Call(name, arguments, settings)


def made(value, library):
    """Return what a Call makes in a library; anything else as it is, but arrays as lists for the reference."""
    if isinstance(value, Call):
        arguments = [made(argument, library) for argument in value.arguments]
        settings = {name: made(setting, library) for name, setting in value.settings.items()}
        return attrgetter(value.name)(library)(*arguments, **settings)
    if isinstance(value, tuple):
        return tuple(made(part, library) for part in value)
    return value.tolist() if library is reference and isinstance(value, np.ndarray) else value


# step has derivative 0, so it learns nothing; those that need all units are for outputs.
HIDDEN = [name for name, found in ACTIVATIONS.items() if name != "step" and not found.coupled]
OUTPUTS = [name for name in ACTIVATIONS if name != "step"]
# Where a derivative jumps, rounding may put the two libraries on different sides.
KINKED = ("hard_sigmoid", "relu", "leaky_relu", "selu", "mae", "quantile", "hinge")


def losses_for(output):
    """The losses that an output activation can be trained with."""
    return [name for name, loss in LOSSES.items() if {output, ANY} & set(loss.formulas)]


OUTPUT_AND_LOSS = [(output, loss) for output in OUTPUTS for loss in losses_for(output)]
# Each loss with its natural output and all for which it has a formula, and each output with mse.
PAIRS = [
    (output, loss)
    for output, loss in OUTPUT_AND_LOSS
    if loss == "mse" or output in {LOSSES[loss].natural, *LOSSES[loss].formulas}
]
# Losses with settings of their own, and the outputs they are for: (output, loss, how many outputs).
LOSSES_WITH_SETTINGS = [
    ("identity", call("losses.Huber", 0.3), 2),
    ("identity", call("losses.Quantile", 0.2), 2),
    ("tanh", call("losses.Quantile", [0.1, 0.5, 0.9]), 3),
    ("sigmoid", call("losses.BinaryCrossEntropy", 0.1), 1),
    ("softmax", call("losses.CrossEntropy", 0.2), 4),
    ("sigmoid", call("losses.CrossEntropy", label_smoothing=0.2), 4),
    ("log_softmax", call("losses.CrossEntropy", 0.2), 4),
    ("sigmoid", call("losses.Focal", 1.5, alpha=0.25), 1),
    ("sigmoid", call("losses.Focal", gamma=1.0), 3),
    ("softmax", call("losses.Focal", 3.0), 3),
]


@dataclass(frozen=True)
class Problem:
    """A network with its parameters, and rows for it, all exact in its dtype."""

    sizes: tuple[int, ...]
    hidden: str
    output: str
    asked: str | Call  # the loss
    dtype: str
    X: Any
    y: Any
    weights: Any
    layers: Callable[[Any], list[Any]]  # library -> new layers
    settings: Mapping[str, Any]  # of the network
    parameters: Any = None

    @property
    def loss(self):
        """The loss as fastnn takes it."""
        return made(self.asked, fastnn)

    @property
    def twin_loss(self):
        """The loss as the reference takes it."""
        return made(self.asked, reference)

    @property
    def net(self):
        """A new network of fastnn."""
        net = fastnn.Sequential(self.layers(fastnn), inputs=self.sizes[0], dtype=self.dtype, **self.settings)
        if self.parameters is not None:
            net.parameters = self.parameters
        return net

    @property
    def twin(self):
        """A new network of the reference."""
        net = reference.Sequential(self.layers(reference), inputs=self.sizes[0], **self.settings)
        net.parameters = self.parameters.tolist()
        return net

    @property
    def rows(self):
        """X and y as fastnn takes them."""
        return self.X, self.y

    @property
    def row_lists(self):
        """X and y as the reference takes them."""
        return self.X.tolist(), self.y.tolist()

    @property
    def weight_list(self):
        """The weights as the reference takes them."""
        return None if self.weights is None else self.weights.tolist()


def targets(rng, asked, samples, outputs, dtype, labels=True):
    """Targets that a loss accepts."""
    loss = loss_of(made(asked, fastnn))
    if loss.kind is Kind.LABELS and labels:
        return rng.integers(outputs, size=samples)
    if loss.kind is Kind.LABELS:
        y = rng.integers(1, 9, size=(samples, outputs)) * 1.0
        return (y / y.sum(axis=1, keepdims=True)).astype(dtype)
    if loss.signs:
        return rng.choice([0.0 if labels else -1.0, 1.0], size=(samples, outputs)).astype(dtype)
    if loss.most is not None:
        return rng.integers(0, 9, size=(samples, outputs)).astype(dtype) / 8
    if loss.least is not None:
        return rng.poisson(1.5, size=(samples, outputs)).astype(dtype)
    if loss.above is not None:
        return rng.gamma(2.0, size=(samples, outputs)).astype(dtype)
    return rng.normal(size=(samples, outputs)).astype(dtype)


def some_weights(rng, samples, dtype):
    """Weights with zeros, of which not all are."""
    weights = rng.choice([0.0, 0.25, 1.0, 2.0, 3.0], size=samples).astype(dtype)
    weights[rng.integers(samples)] = 1.5
    return weights


def dropping(library):
    """Layers that drop, normalize, are penalized and bounded, for networks of two outputs."""
    return [
        library.Dropout(0.2),
        library.Dense(9, "tanh", l1=0.01, max_norm=2.0),
        library.LayerNormalization(),
        library.Dropout(0.4),
        library.Dense(2, l2=0.01),
    ]


def problem(
    rng,
    sizes=(3, 5, 2),
    samples=19,
    *,
    hidden="tanh",
    output="identity",
    loss="mse",
    dtype="float64",
    weighted=False,
    labels=True,
    layers=None,
    **settings,
):
    """A Problem with random parameters (biases too) and rows.

    ``layers`` makes the layers with a library's classes; without it they are dense ones.
    """

    def dense_layers(library):
        *hiddens, last = sizes[1:]
        return [*(library.Dense(units, hidden) for units in hiddens), library.Dense(last, output)]

    X = rng.normal(size=(samples, sizes[0])).astype(dtype)
    y = targets(rng, loss, samples, sizes[-1], dtype, labels)
    weights = some_weights(rng, samples, dtype) if weighted else None
    made_of = layers or dense_layers
    plain = Problem(tuple(sizes), hidden, output, loss, dtype, X, y, weights, made_of, settings)
    drawn = plain.net.parameters
    parameters = drawn + 0.1 * rng.normal(size=len(drawn)).astype(dtype)
    return Problem(**{**vars(plain), "parameters": parameters})


def assert_same_history(found, expected):
    """Assert that two histories are equal bit for bit, except for the times."""
    times = {"compile_seconds", "run_seconds", "samples_per_second"}
    for name in {f.name for f in fields(found)} - times - {"metrics"}:
        assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert found.metrics.keys() == expected.metrics.keys()
    for name, values in found.metrics.items():
        assert_array_equal(values, expected.metrics[name], err_msg=name)


def largest_error(found, expected, floor=1e-3):
    """The largest deviation, relative to the largest expected number, or to ``floor`` if that is more.

    The floor is for what cancels from numbers of about 1, like the gradient of mae through softmax.
    """
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    return np.abs(found - expected).max() / max(floor, np.abs(expected).max())
