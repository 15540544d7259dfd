"""A neuron, and a dense layer of neurons: forward and backward of one sample.

I inputs, U units (the neurons of a layer). Gradients are named d_<what they belong to>: d_weights
holds dL/dweights. backward adds to them, so that the samples of a batch add up; zero_grad clears.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from .activations import ACTIVATIONS, softmax, softmax_backward
from .initializers import INITIALIZERS, default_initializer


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

    weights (I, U) and bias (U,) set the initial values; what is not given is drawn by the
    initializer (weights) or 0 (bias) when Sequential builds the layer.
    """

    def __init__(
        self,
        units: int,
        activation: str = "identity",
        *,
        initializer: str | None = None,
        weights: Iterable[Iterable[float]] | None = None,
        bias: Iterable[float] | None = None,
    ) -> None:
        if units < 1:
            raise ValueError(f"units is {units}; a layer needs at least one")
        if activation not in ACTIVATIONS and activation != "softmax":
            known = ", ".join([*ACTIVATIONS, "softmax"])
            raise ValueError(f"activation is {activation!r}; known are {known}")
        if activation == "softmax" and units == 1:
            raise ValueError("softmax of one unit is always 1; use sigmoid, or two units")
        if initializer is not None and initializer not in INITIALIZERS:
            raise ValueError(f"initializer is {initializer!r}; known are {', '.join(INITIALIZERS)}")
        self.inputs = 0  # known once the layer is built
        self.units = units
        self.activation = activation
        self.initializer = initializer
        self.neurons: list[Neuron] = []
        self._own_weights = None if weights is None else [list(row) for row in weights]
        self._own_bias = [0.0] * units if bias is None else list(bias)

    def build(self, inputs: int, initializer: str | None, r: Random) -> None:
        """Make the neurons. The layer's own initializer goes before the network's `initializer`."""
        if self.neurons:
            raise ValueError("a layer is already part of a network; make a new Dense for each")
        if self._own_weights is None:
            name = self.initializer or initializer or default_initializer(self.activation)
            draw = INITIALIZERS[name]
            columns = [[draw(r, inputs, self.units) for _ in range(inputs)] for _ in range(self.units)]
        else:
            rows = self._own_weights
            if len(rows) != inputs or any(len(row) != self.units for row in rows):
                raise ValueError(f"weights must be {inputs} rows (inputs) of {self.units} (units)")
            columns = [[row[u] for row in rows] for u in range(self.units)]
        if len(self._own_bias) != self.units:
            raise ValueError(f"bias has {len(self._own_bias)} entries for {self.units} units")
        # Softmax needs the whole row: its neurons deliver z, and the layer does the rest.
        activation = "identity" if self.activation == "softmax" else self.activation
        self.inputs = inputs
        self.neurons = [Neuron(column, bias, activation) for column, bias in zip(columns, self._own_bias)]

    def forward(self, inputs: Sequence[float]) -> list[float]:
        """inputs (I,) -> outputs (U,)."""
        self.outputs = [neuron.forward(inputs) for neuron in self.neurons]
        if self.activation == "softmax":
            self.outputs = softmax(self.outputs)
        return self.outputs

    def backward(self, d_outputs: Sequence[float]) -> list[float]:
        """d_outputs (U,) -> d_inputs (I,); adds to the neurons' gradients."""
        if self.activation == "softmax":
            return self.backward_z(softmax_backward(self.outputs, d_outputs))
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
