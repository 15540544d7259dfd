"""Measurements of a network's layers: outputs for rows, slopes of the activations, and gradients.

All of them come from the compiled core, layer by layer; no formula is repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import inference
from fastnn.activations import ACTIVATIONS, Activation
from fastnn.layers import Dense, Layer
from fastnn.plan import LayerShape, plan_of_predictions

if TYPE_CHECKING:
    from fastnn.network import Sequential

Array = npt.NDArray[Any]
Truths = npt.NDArray[np.bool_]

SATURATED_SLOPE = 0.01  # below this share of the greatest slope, an output is saturated
DEAD_SLOPE = 1e-3  # a unit whose slope is below this for all rows is dead
NUMBERS_AT_ONCE = 1 << 18  # outputs of a layer that are examined together: a few megabytes of memory
# Where functions are probed: near 0, where they bend, and so far out that only unbounded ones are beyond FAR.
NEAR, OUT, FAR = np.linspace(-30.0, 30.0, 2401), np.array([-1e4, -1e3, 1e3, 1e4]), 50.0


@dataclass(frozen=True)
class LayerDiagnosis:
    """The measurements of ``fastnn.diagnose`` for one layer.

    Attributes
    ----------
    name, kind : the place of the layer, like "layers[0]", and what it is, like "16 relu".
    trainable : whether ``fit`` changes the layer's parameters.
    parameters : the number of parameters.
    gradient_norm : the Euclidean norm of the gradient of the loss by the layer's parameters.
    relative_gradient : gradient_norm divided by the norm of the parameters themselves.
    dead : for activations that are unbounded above or below, like relu, the share of units whose derivative is 0
        (less than a thousandth) for all rows. None for others.
    saturated : for bounded activations, like sigmoid, tanh and softmax, the share of outputs, over units and rows,
        where the derivative is below 1 % of its maximum. None for others.
    mean, spread : the mean and the standard deviation of the outputs, over units and rows.
    """

    name: str
    kind: str
    trainable: bool
    parameters: int
    gradient_norm: float
    relative_gradient: float
    dead: float | None
    saturated: float | None
    mean: float
    spread: float


@dataclass(frozen=True)
class Reach:
    """The range of an activation's values, from low to high, and its greatest slope."""

    low: float
    high: float
    steepest: float
    saturates: bool  # whether it does at both ends


def run_layer(shape: LayerShape, parameters: Array, rows: Array) -> Array:
    """Return the outputs (n, units) of a layer for its inputs (n, inputs), without dropout."""
    if shape.dropout is not None:
        return rows
    plan = plan_of_predictions([shape], len(rows), rows.dtype)
    return inference.predict(plan, parameters, np.ascontiguousarray(rows))[0]


def _values(activation: Activation, z: Array) -> Array:
    """Return the values of an elementwise activation for numbers of any shape."""
    through = np.array([1.0, 0.0], z.dtype)  # weight and bias of a unit with z equal to its input
    return run_layer(LayerShape(1, 1, activation), through, z.reshape(-1, 1)).reshape(z.shape)


def slopes(activation: Activation, z: Array) -> Array:
    """Return the derivative at z by central differences: accurate to a few digits, and without another formula."""
    step = np.finfo(z.dtype).eps ** (1 / 3) * np.maximum(1.0, np.abs(z))
    above, below = (z + step).astype(z.dtype), (z - step).astype(z.dtype)
    with np.errstate(all="ignore"):
        found: Array = (_values(activation, above) - _values(activation, below)) / (above - below)
    return found


def _bound(value: float) -> float:
    """Return the nearest whole number if a value is close to it, else the value."""
    return float(round(value)) if abs(value - round(value)) < 1e-3 else value


def reach_of(activation: Activation, name: str, dtype: np.dtype[Any]) -> Reach:
    """Return the range of an activation, found by probing it."""
    if activation.coupled:
        return Reach(-np.inf, 0.0, np.inf, False) if name == "log_softmax" else Reach(0.0, 1.0, 0.25, True)
    with np.errstate(all="ignore"):
        near, out = (_values(activation, z.astype(dtype)).astype(np.float64) for z in (NEAR, OUT))
        low, high = min(near.min(), out.min()), max(near.max(), out.max())
        steepness = np.abs(np.gradient(near, NEAR))
    bounded = out.min() > -FAR and out.max() < FAR
    flat_ends = steepness[0] < 1e-2 and steepness[-1] < 1e-2  # not true of sine
    return Reach(
        low=_bound(float(low)) if out.min() > -FAR else -np.inf,
        high=_bound(float(high)) if out.max() < FAR else np.inf,
        steepest=float(steepness.max()),
        saturates=bool(bounded and flat_ends and name != "step"),
    )


class _Inspected:
    """A layer with sums over its outputs, which are accumulated chunk by chunk of rows."""

    def __init__(self, layer: Layer, shape: LayerShape, parameters: Array) -> None:
        self.layer, self.shape, self.parameters = layer, shape, parameters
        self.reach: Reach | None = None  # None: its slopes are of no interest
        if shape.activation is not None and layer.activation not in ("identity", "log_softmax"):
            self.reach = reach_of(shape.activation, layer.activation, parameters.dtype)
        self.count = self.saturated = 0
        self.mean = self.squares = 0.0  # of the outputs so far; and of what they differ from it by, the sum
        self.alive = np.zeros(shape.units, bool)

    def outputs(self, inputs: Array) -> tuple[Array, Truths | None]:
        """Return the outputs (n, units) for inputs (n, inputs), and which are saturated, or None."""
        y = run_layer(self.shape, self.parameters, inputs)
        with np.errstate(all="ignore"):  # T. Chan, G. Golub, R. LeVeque, 1983: no digits are lost to a large mean
            mean = y.mean(dtype=np.float64)
            step, before = mean - self.mean, self.count
            self.count += y.size
            self.mean += step * (y.size / self.count)
            between = step * step * (y.size / self.count) * before
            self.squares += float(np.square(y - mean, dtype=np.float64).sum() + between)
        if self.reach is None:
            return y, None
        steepness = self._steepness(inputs, y)
        if not self.reach.saturates:
            # Where a slope is NaN, nothing is known, and the unit does not count as dead.
            self.alive |= ~(steepness < DEAD_SLOPE).all(axis=0)
            return y, None
        found: Truths = steepness < SATURATED_SLOPE * self.reach.steepest
        self.saturated += int(found.sum())
        return y, found

    def _steepness(self, inputs: Array, y: Array) -> Array:
        function = self.shape.activation
        assert function is not None
        if function.coupled:
            return y * (1.0 - y)  # the derivative of softmax by the unit's own z
        if self.layer.activation == "step":
            return np.zeros_like(y)  # also at the step itself, where a difference would not be 0
        flat = replace(self.shape, activation=ACTIVATIONS["identity"])
        return np.abs(slopes(function, run_layer(flat, self.parameters, inputs)))

    def diagnosis(self, name: str, gradient: Array) -> LayerDiagnosis:
        """Return the measurements."""
        length, size = norm(gradient), norm(self.parameters)
        saturates = self.reach is not None and self.reach.saturates
        return LayerDiagnosis(
            name=name,
            kind=_kind(self.layer),
            trainable=self.layer.trainable,
            parameters=len(self.parameters),
            gradient_norm=length,
            relative_gradient=length / size if size else (np.inf if length else 0.0),
            dead=None if self.reach is None or saturates else float(1.0 - self.alive.mean()),
            saturated=self.saturated / self.count if saturates else None,
            mean=float(self.mean),
            spread=float(np.sqrt(self.squares / self.count)),
        )


def norm(vector: Array) -> float:
    """Return the Euclidean norm, infinite if it overflows."""
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(vector.astype(np.float64)))


def _kind(layer: Layer) -> str:
    return f"{layer.units} {layer.activation}" if isinstance(layer, Dense) else repr(layer)


@dataclass(frozen=True)
class Inspection:
    """The measurements of all layers, the network's outputs (n, K), and which of these are saturated."""

    layers: tuple[LayerDiagnosis, ...]
    outputs: Array
    saturated: Truths | None


def inspect(net: Sequential, X: Array, gradient: Array) -> Inspection:
    """Run checked rows through a network, layer by layer, and measure; ``gradient`` (P,) is that of the loss."""
    parameters, gradients = net.of_layers(net.parameters), net.of_layers(gradient)
    inspected = [_Inspected(*given) for given in zip(net.layers, net.shapes, parameters, strict=True)]
    at_once = max(1, NUMBERS_AT_ONCE // max(shape.units for shape in net.shapes))
    outputs, saturated = [], []
    for first in range(0, len(X), at_once):
        y, found = X[first : first + at_once], None
        for each in inspected:
            y, found = each.outputs(y)
        outputs.append(y)
        saturated.append(found)
    return Inspection(
        tuple(each.diagnosis(f"layers[{i}]", gradients[i]) for i, each in enumerate(inspected)),
        np.concatenate(outputs),
        None if saturated[0] is None else np.concatenate(saturated),  # type: ignore[arg-type]
    )
