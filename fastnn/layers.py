"""Layers of a network."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from fastnn import checks
from fastnn.activations import ACTIVATIONS
from fastnn.initializers import INITIALIZERS, Stream, initial_weights
from fastnn.plan import LayerShape

Array = npt.NDArray[Any]

MOST_UNITS = 1_000_000


class Dense:
    """A fully connected layer: activation(X @ weights + bias).

    Parameters
    ----------
    units : how many outputs it has.
    activation : one of identity, sigmoid, tanh, relu, leaky_relu, elu, softplus, silu, gelu, step, softmax.
    initializer : of the weights; one of uniform, normal, glorot_uniform, glorot_normal, he_uniform, he_normal,
        zeros. Without one the network's is taken, and else the one that suits the activation.
    weights, bias : own initial values, (inputs, units) and (units,). Without ``bias`` it is 0.

    Attributes
    ----------
    weights, bias : views into the network's parameters, once the layer belongs to one.

    Raises
    ------
    TypeError, ValueError
        For anything else, with the argument's name and value.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Sequential([Dense(1, "sigmoid", weights=[[0.0], [1.0]], bias=[4.0])], inputs=2)
    >>> float(net.predict([[2.0, 3.0]])[0, 0])
    0.9990889488055994
    """

    def __init__(
        self,
        units: int,
        activation: str = "identity",
        *,
        initializer: str | None = None,
        weights: Any = None,
        bias: Any = None,
    ) -> None:
        self.units = checks.whole_number(units, "units", least=1, most=MOST_UNITS)
        self.activation = checks.choice(activation, "activation", ACTIVATIONS)
        if initializer is not None:
            checks.choice(initializer, "initializer", INITIALIZERS)
            if weights is not None:
                raise ValueError(f"initializer is {initializer!r} and weights are given; one of them is needed")
        self.initializer = initializer
        if self.activation == "softmax" and self.units == 1:
            raise ValueError("softmax over one unit is always 1; use sigmoid, or a unit for each class")
        double = checks.DTYPES["float64"]
        self._given_weights: Array | None = None
        if weights is not None:
            self._given_weights = checks.matrix(weights, "weights", double, self.units)
        self._given_bias: Array | None = None
        if bias is not None:
            self._given_bias = checks.finite(checks.numbers_of(bias, "bias"), double, "bias")
            if self._given_bias.shape != (self.units,):
                raise ValueError(f"bias has shape {self._given_bias.shape}; ({self.units},) is needed")
        self._weights: Array | None = None
        self._bias: Array | None = None

    @property
    def weights(self) -> Array:
        """(inputs, units), a view into the network's parameters. Assigning copies numbers into it."""
        return self._built(self._weights)

    @weights.setter
    def weights(self, values: Any) -> None:
        checked = checks.matrix(values, "weights", self.weights.dtype, self.units)
        if checked.shape != self.weights.shape:
            raise ValueError(f"weights have shape {checked.shape}; {self.weights.shape} is needed")
        self.weights[:] = checked

    @property
    def bias(self) -> Array:
        """(units,), a view into the network's parameters. Assigning copies numbers into it."""
        return self._built(self._bias)

    @bias.setter
    def bias(self, values: Any) -> None:
        checked = checks.finite(checks.numbers_of(values, "bias"), self.bias.dtype, "bias")
        if checked.shape != self.bias.shape:
            raise ValueError(f"bias has shape {checked.shape}; {self.bias.shape} is needed")
        self.bias[:] = checked

    def _built(self, view: Array | None) -> Array:
        if view is None:
            raise AttributeError("a layer has weights and bias once it belongs to a network")
        return view

    @property
    def belongs_to_a_network(self) -> bool:
        """Whether it has its weights."""
        return self._weights is not None

    def check(self, inputs: int, name: str) -> None:
        """ValueError if the layer cannot follow after so many outputs."""
        if self.belongs_to_a_network:
            raise ValueError(f"{name} belongs to another network already; make a Dense for each")
        if self._given_weights is not None and len(self._given_weights) != inputs:
            shape = self._given_weights.shape
            raise ValueError(f"weights of {name} have shape {shape}; ({inputs}, {self.units}) is needed")

    def shape(self, inputs: int) -> LayerShape:
        """What the kernels need to know."""
        return LayerShape(inputs, self.units, ACTIVATIONS[self.activation].kind)

    def bind(self, weights: Array, bias: Array, default_initializer: str | None, stream: Stream) -> None:
        """Make these views the layer's weights and bias, and overwrite them with initial values."""
        if self._given_weights is not None:
            weights[:] = self._given_weights
        else:
            suited = ACTIVATIONS[self.activation].initializer
            self.initializer = self.initializer or default_initializer or suited
            weights[:] = initial_weights(self.initializer, stream, *weights.shape)
        bias[:] = 0.0 if self._given_bias is None else self._given_bias
        self._weights, self._bias = weights, bias

    def __repr__(self) -> str:
        return f"Dense({self.units}, {self.activation!r})"


def parameter_views(layer: LayerShape, parameters: Array, start: int) -> tuple[Array, Array]:
    """The layer's weights (I, O) and bias (O,) in a flat vector where they start at ``start``."""
    split = start + layer.inputs * layer.units
    weights = parameters[start:split].reshape(layer.inputs, layer.units)
    return weights, parameters[split : split + layer.units]
