"""What can be measured of a network's layers: their outputs for rows, how steep their activations are there, and
their gradients. All of it comes from the compiled core, layer by layer; no formula stands here a second time.
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
NUMBERS_AT_ONCE = 1 << 18  # outputs of a layer that are looked at together: a few megabytes of memory
# Where functions are probed: near 0, where they bend, and so far out that only what has no bound is beyond FAR.
NEAR, OUT, FAR = np.linspace(-30.0, 30.0, 2401), np.array([-1e4, -1e3, 1e3, 1e4]), 50.0


@dataclass(frozen=True)
class LayerDiagnosis:
    """What ``fastnn.diagnose`` measured of a layer.

    Attributes
    ----------
    name, kind : "layers[0]", and what it is, like "16 relu".
    trainable : whether ``fit`` changes its parameters.
    parameters : how many it has.
    gradient_norm : Euclidean norm of the gradient of the loss by its weights and bias.
    relative_gradient : that, divided by the norm of the weights and bias themselves.
    dead : of activations that have no bound above or below, like relu: the share of units whose derivative is 0
        (less than a thousandth) for all rows. None for others.
    saturated : of bounded activations, like sigmoid, tanh and softmax: the share of outputs, over units and rows,
        where the derivative is below 1 % of its maximum. None for others.
    mean, spread : of the outputs, over units and rows: their mean and standard deviation.
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
    """What an activation can give: values from low to high, and how steep it gets."""

    low: float
    high: float
    steepest: float
    saturates: bool  # towards both ends


def run_layer(shape: LayerShape, parameters: Array, rows: Array) -> Array:
    """The outputs (n, units) of a layer for its inputs (n, inputs), without dropout."""
    if shape.dropout is not None:
        return rows
    plan = plan_of_predictions([shape], len(rows), rows.dtype)
    return inference.predict(plan, parameters, np.ascontiguousarray(rows))[0]


def _values(activation: Activation, z: Array) -> Array:
    """An activation that takes each number by itself, of numbers of any shape."""
    through = np.array([1.0, 0.0], z.dtype)  # weight and bias of a unit that changes nothing
    return run_layer(LayerShape(1, 1, activation), through, z.reshape(-1, 1)).reshape(z.shape)


def slopes(activation: Activation, z: Array) -> Array:
    """The derivative at z, from the values around it: good to a few digits, and without a formula of its own."""
    step = np.finfo(z.dtype).eps ** (1 / 3) * np.maximum(1.0, np.abs(z))
    above, below = (z + step).astype(z.dtype), (z - step).astype(z.dtype)
    with np.errstate(all="ignore"):
        found: Array = (_values(activation, above) - _values(activation, below)) / (above - below)
    return found


def _bound(value: float) -> float:
    """The whole number that a value comes near to, or the value."""
    return float(round(value)) if abs(value - round(value)) < 1e-3 else value


def reach_of(activation: Activation, name: str, dtype: np.dtype[Any]) -> Reach:
    """What an activation can give, found by trying."""
    if activation.coupled:
        return Reach(-np.inf, 0.0, np.inf, False) if name == "log_softmax" else Reach(0.0, 1.0, 0.25, True)
    with np.errstate(all="ignore"):
        near, out = (_values(activation, z.astype(dtype)).astype(np.float64) for z in (NEAR, OUT))
        low, high = min(near.min(), out.min()), max(near.max(), out.max())
        steepness = np.abs(np.gradient(near, NEAR))
    bounded = out.min() > -FAR and out.max() < FAR
    flat_ends = steepness[0] < 1e-2 and steepness[-1] < 1e-2  # of sine they are not
    return Reach(
        low=_bound(float(low)) if out.min() > -FAR else -np.inf,
        high=_bound(float(high)) if out.max() < FAR else np.inf,
        steepest=float(steepness.max()),
        saturates=bool(bounded and flat_ends and name != "step"),
    )


class _Inspected:
    """A layer, and sums over its outputs, chunk by chunk of rows."""

    def __init__(self, layer: Layer, shape: LayerShape, parameters: Array) -> None:
        self.layer, self.shape, self.parameters = layer, shape, parameters
        self.reach: Reach | None = None  # None: nothing is to be said of its slopes
        if shape.activation is not None and layer.activation not in ("identity", "log_softmax"):
            self.reach = reach_of(shape.activation, layer.activation, parameters.dtype)
        self.count = self.saturated = 0
        self.mean = self.squares = 0.0  # of the outputs so far; and of what they differ from it by, the sum
        self.alive = np.zeros(shape.units, bool)

    def outputs(self, inputs: Array) -> tuple[Array, Truths | None]:
        """Outputs (n, units) for inputs (n, inputs), and which are saturated, if the layer can be."""
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
            # Where a slope is not a number, nothing is known; that is not what is called dead.
            self.alive |= ~(steepness < DEAD_SLOPE).all(axis=0)
            return y, None
        found: Truths = steepness < SATURATED_SLOPE * self.reach.steepest
        self.saturated += int(found.sum())
        return y, found

    def _steepness(self, inputs: Array, y: Array) -> Array:
        function = self.shape.activation
        assert function is not None
        if function.coupled:
            return y * (1.0 - y)  # of softmax, by a unit's own z
        if self.layer.activation == "step":
            return np.zeros_like(y)  # also where the difference of two values would find the step
        flat = replace(self.shape, activation=ACTIVATIONS["identity"])
        return np.abs(slopes(function, run_layer(flat, self.parameters, inputs)))

    def diagnosis(self, name: str, gradient: Array) -> LayerDiagnosis:
        """What was measured."""
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
    """Euclidean, or infinite where it overflows."""
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(vector.astype(np.float64)))


def _kind(layer: Layer) -> str:
    return f"{layer.units} {layer.activation}" if isinstance(layer, Dense) else repr(layer)


@dataclass(frozen=True)
class Inspection:
    """Layers as they were found, the network's outputs (n, K), and which of these are saturated."""

    layers: tuple[LayerDiagnosis, ...]
    outputs: Array
    saturated: Truths | None


def inspect(net: Sequential, X: Array, gradient: Array) -> Inspection:
    """Run checked rows through a network, layer by layer; ``gradient`` (P,) is that of a loss."""
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
