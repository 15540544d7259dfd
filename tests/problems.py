"""One problem for two libraries: the same network and the same rows in fastnn and in its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

import fastnn
import reference
from fastnn.activations import ACTIVATIONS
from fastnn.loss_kinds import LOSSES
from reference.losses import LOGIT_LOSSES

JIT = not numba.config.DISABLE_JIT

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23}

# step has derivative 0, so it learns nothing; softmax is for outputs.
HIDDEN = [name for name in ACTIVATIONS if name not in ("step", "softmax")]
OUTPUTS = [name for name in ACTIVATIONS if name != "step"]
# Where a derivative jumps, rounding may put the two libraries on different sides.
KINKED = ("relu", "leaky_relu", "mae")


def losses_for(output):
    """The losses that an output activation can be trained with."""
    return [loss for loss in LOSSES if loss not in LOGIT_LOSSES or output in LOGIT_LOSSES[loss]]


OUTPUT_AND_LOSS = [(output, loss) for output in OUTPUTS for loss in losses_for(output)]


@dataclass(frozen=True)
class Problem:
    """A network with its parameters, and rows for it, all exact in its dtype."""

    sizes: tuple[int, ...]
    hidden: str
    output: str
    loss: str
    dtype: str
    parameters: Any
    X: Any
    y: Any
    weights: Any

    @property
    def net(self):
        """A new network of fastnn."""
        net = fastnn.mlp(self.sizes, activation=self.hidden, output=self.output, dtype=self.dtype)
        net.parameters = self.parameters
        return net

    @property
    def twin(self):
        """A new network of the reference."""
        net = reference.mlp(self.sizes, activation=self.hidden, output=self.output)
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
):
    """A Problem with random parameters (biases too) and rows."""
    net = fastnn.mlp(sizes, activation=hidden, output=output, dtype=dtype)
    parameters = net.parameters + 0.1 * rng.normal(size=len(net.parameters)).astype(dtype)
    X = rng.normal(size=(samples, sizes[0])).astype(dtype)
    K = sizes[-1]
    if LOSSES[loss].classes and labels:
        y = rng.integers(K, size=samples)
    elif LOSSES[loss].classes:
        y = rng.integers(1, 9, size=(samples, K)) * 1.0
        y = (y / y.sum(axis=1, keepdims=True)).astype(dtype)
    elif LOSSES[loss].probabilities:
        y = rng.integers(0, 9, size=(samples, K)).astype(dtype) / 8
    else:
        y = rng.normal(size=(samples, K)).astype(dtype)
    weights = None
    if weighted:
        weights = rng.choice([0.0, 0.25, 1.0, 2.0, 3.0], size=samples).astype(dtype)
        weights[rng.integers(samples)] = 1.5  # one of them counts
    return Problem(tuple(sizes), hidden, output, loss, dtype, parameters, X, y, weights)


def largest_error(found, expected, floor=1e-3):
    """The largest deviation, relative to the largest expected number, or to ``floor`` if that is more.

    The floor is for what cancels from numbers of about 1, like the gradient of mae through softmax.
    """
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    return np.abs(found - expected).max() / max(floor, np.abs(expected).max())
