"""A neuron, and a dense layer of neurons: forward and backward of one sample.

Other layers, in files of their own, have the same interface: build, forward, backward, zero_grad, update,
parameters and gradients.

I inputs, U units (the neurons of a layer). Gradients are named d_<what they belong to>: d_weights
holds dL/dweights. backward adds to them, so that they are summed over a batch; zero_grad clears them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from random import Random

from .activations import ACTIVATIONS, ROW_ACTIVATIONS
from .initializers import check_initializer, default_initializer, initial_weights


class Neuron:
    """a = f(z), z = bias + Σ_i weights_i x_i.

    >>> Neuron([0, 1], 4, "sigmoid").forward([2, 3])
    0.9990889488055994
    """

    def __init__(self, weights: Iterable[float], bias: float = 0.0, activation: str = "identity") -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation of a neuron is {activation!r}; known are {', '.join(ACTIVATIONS)}")
        self.weights = [float(weight) for weight in weights]
        self.bias = float(bias)
        self.function, self.derivative = ACTIVATIONS[activation]
        self.zero_grad()

    def forward(self, inputs: Sequence[float]) -> float:
        """inputs (I,) -> a; keeps inputs, z and a for the backward pass."""
        z = self.bias
        for weight, x in zip(self.weights, inputs):
            z += weight * x
        self.inputs = inputs
        self.z = z
        self.output = self.function(z)
        return self.output

    def backward(self, d_output: float) -> list[float]:
        """Chain rule through the activation: dL/dz = dL/da f'(z). Returns d_inputs (I,)."""
        return self.backward_z(d_output * self.derivative(self.z, self.output))

    def backward_z(self, d_z: float) -> list[float]:
        """Given dL/dz, d_weights_i += dL/dz x_i, d_bias += dL/dz; returns d_inputs_i = dL/dz w_i."""
        for i, x in enumerate(self.inputs):
            self.d_weights[i] += d_z * x
        self.d_bias += d_z
        return [d_z * weight for weight in self.weights]

    def zero_grad(self) -> None:
        """d_weights = 0, d_bias = 0."""
        self.d_weights = [0.0] * len(self.weights)
        self.d_bias = 0.0

    def update(self, learning_rate: float) -> None:
        """One step of gradient descent: w -= learning_rate dL/dw."""
        for i, d_weight in enumerate(self.d_weights):
            self.weights[i] -= learning_rate * d_weight
        self.bias -= learning_rate * self.d_bias


class Dense:
    """A layer of neurons that all see the same inputs.

    weights (I, U) and bias (U,) set the initial values; if they are not given, weights are drawn by the
    initializer and bias is 0 when Sequential builds the layer.

    The loss of a network includes the penalties of its layers: l1 Σ|w| + l2 Σw² over the weights, not
    the bias. After each update of fit the incoming weights of a unit are scaled down to the norm max_norm.
    With trainable=False fit leaves the layer unchanged.
    """

    def __init__(
        self,
        units: int,
        activation: str = "identity",
        *,
        initializer: str | float | None = None,
        weights: Iterable[Iterable[float]] | None = None,
        bias: Iterable[float] | None = None,
        l1: float | None = None,
        l2: float | None = None,
        max_norm: float | None = None,
        trainable: bool = True,
    ) -> None:
        if units < 1:
            raise ValueError(f"units is {units}; a layer needs at least one")
        if activation not in ACTIVATIONS and activation not in ROW_ACTIVATIONS:
            known = ", ".join([*ACTIVATIONS, *ROW_ACTIVATIONS])
            raise ValueError(f"activation is {activation!r}; known are {known}")
        if activation in ROW_ACTIVATIONS and units == 1:
            raise ValueError(f"{activation} of one unit is always the same; use sigmoid, or two units")
        check_initializer(initializer)
        check_penalties(l1, l2)
        if max_norm is not None and not 0.0 < max_norm < math.inf:
            raise ValueError(f"max_norm is {max_norm}; it must be positive and finite")
        self.l1 = l1  # None until the layer is built: then the network's
        self.l2 = l2
        self.max_norm = max_norm
        self.trainable = trainable
        self.inputs = 0  # known once the layer is built
        self.units = units
        self.activation = activation
        self.initializer = initializer
        self.neurons: list[Neuron] = []
        self._own_weights = None if weights is None else [list(row) for row in weights]
        self._own_bias = [0.0] * units if bias is None else list(bias)

    def build(self, inputs: int, initializer: str | float | None, r: Random) -> None:
        """Make the neurons. The layer's own initializer has priority over the network's `initializer`."""
        if self.neurons:
            raise ValueError("a layer is already part of a network; make a new Dense for each")
        if self._own_weights is None:
            if self.initializer is not None:
                initializer = self.initializer
            elif initializer is None:
                initializer = default_initializer(self.activation)
            columns = initial_weights(initializer, r, inputs, self.units)
        else:
            rows = self._own_weights
            if len(rows) != inputs or any(len(row) != self.units for row in rows):
                raise ValueError(f"weights must be {inputs} rows (inputs) of {self.units} (units)")
            columns = [[row[u] for row in rows] for u in range(self.units)]
        if len(self._own_bias) != self.units:
            raise ValueError(f"bias has {len(self._own_bias)} entries for {self.units} units")
        # Softmax needs the whole row: its neurons return z, and the layer does the rest.
        activation = "identity" if self.activation in ROW_ACTIVATIONS else self.activation
        self.inputs = inputs
        self.neurons = [Neuron(column, bias, activation) for column, bias in zip(columns, self._own_bias)]

    def forward(self, inputs: Sequence[float]) -> list[float]:
        """inputs (I,) -> outputs (U,)."""
        self.outputs = [neuron.forward(inputs) for neuron in self.neurons]
        if self.activation in ROW_ACTIVATIONS:
            of_row, _ = ROW_ACTIVATIONS[self.activation]
            self.outputs = of_row(self.outputs)
        return self.outputs

    def backward(self, d_outputs: Sequence[float]) -> list[float]:
        """d_outputs (U,) -> d_inputs (I,); adds to the neurons' gradients."""
        if self.activation in ROW_ACTIVATIONS:
            _, backward = ROW_ACTIVATIONS[self.activation]
            return self.backward_z(backward(self.outputs, d_outputs))
        return self._add_up([n.backward(d_a) for n, d_a in zip(self.neurons, d_outputs)])

    def backward_z(self, d_z: Sequence[float]) -> list[float]:
        """The same from dL/dz (U,), for a loss that is differentiated through its activation."""
        return self._add_up([n.backward_z(d_u) for n, d_u in zip(self.neurons, d_z)])

    def _add_up(self, of_neurons: list[list[float]]) -> list[float]:
        """Every neuron saw every input: d_inputs_i = Σ_u of_neurons[u][i]."""
        d_inputs = [0.0] * self.inputs
        for of_neuron in of_neurons:
            for i, d_input in enumerate(of_neuron):
                d_inputs[i] += d_input
        return d_inputs

    def zero_grad(self) -> None:
        """Clear the gradients of all neurons."""
        for neuron in self.neurons:
            neuron.zero_grad()

    def update(self, learning_rate: float) -> None:
        """One step of gradient descent of all neurons."""
        for neuron in self.neurons:
            neuron.update(learning_rate)

    def penalty(self) -> float:
        """l1 Σ|w| + l2 Σw² over the weights."""
        total = 0.0
        if self.l1 or self.l2:
            for neuron in self.neurons:
                for w in neuron.weights:
                    total += (self.l1 or 0.0) * abs(w) + (self.l2 or 0.0) * w * w
        return total

    def backward_penalty(self) -> None:
        """d_weights += l1 sign(w) + 2 l2 w, where sign(0) = 0."""
        if self.l1 or self.l2:
            for neuron in self.neurons:
                for i, w in enumerate(neuron.weights):
                    sign = (w > 0.0) - (w < 0.0)
                    neuron.d_weights[i] += (self.l1 or 0.0) * sign + 2.0 * (self.l2 or 0.0) * w

    def limit_norms(self) -> None:
        """Scale the incoming weights of each unit down to max_norm if their norm is greater."""
        if self.max_norm is not None:
            for neuron in self.neurons:
                norm = math.hypot(*neuron.weights)
                if norm > self.max_norm:
                    neuron.weights = [w * (self.max_norm / norm) for w in neuron.weights]

    @property
    def z(self) -> list[float]:
        """Pre-activations (U,) of the last forward pass."""
        return [neuron.z for neuron in self.neurons]

    @property
    def weights(self) -> list[list[float]]:
        """A copy of the weights (I, U)."""
        return [[neuron.weights[i] for neuron in self.neurons] for i in range(self.inputs)]

    @property
    def bias(self) -> list[float]:
        """A copy of the biases (U,)."""
        return [neuron.bias for neuron in self.neurons]

    @property
    def parameters(self) -> list[float]:
        """weights (I, U) row by row, then bias (U,), in one list. Assigning sets the neurons."""
        return [weight for row in self.weights for weight in row] + self.bias

    @parameters.setter
    def parameters(self, values: Sequence[float]) -> None:
        for u, neuron in enumerate(self.neurons):
            neuron.weights = [values[i * self.units + u] for i in range(self.inputs)]
            neuron.bias = values[self.inputs * self.units + u]

    @property
    def gradients(self) -> list[float]:
        """dL/dparameters, in the same order."""
        d_weights = [neuron.d_weights[i] for i in range(self.inputs) for neuron in self.neurons]
        return d_weights + [neuron.d_bias for neuron in self.neurons]


def check_penalties(l1: float | None, l2: float | None) -> None:
    """Raise ValueError if a penalty is negative or not finite."""
    for name, factor in (("l1", l1), ("l2", l2)):
        if factor is not None and not 0.0 <= factor < math.inf:
            raise ValueError(f"{name} is {factor}; it must be at least 0 and finite")
