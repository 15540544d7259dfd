"""Layers of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from fastnn import checks
from fastnn.activations import ACTIVATIONS, Activation
from fastnn.initializers import INITIALIZERS, RandomStream, initial_weights
from fastnn.plan import LayerShape

Array = npt.NDArray[Any]
T = TypeVar("T")

MOST_UNITS = 1_000_000


class Fixed(Generic[T]):
    """An attribute that is set in the constructor and cannot be changed later, because others have noted it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        return self if instance is None else vars(instance)[self._name]  # type: ignore[return-value]

    def __set__(self, instance: Any, value: T) -> None:
        if self._name in vars(instance):
            raise AttributeError(
                f"{self._name} of a {type(instance).__name__} cannot be changed; make another one with "
                f"{self._name}={checks.shown(value)}, and give it the parameters of this one"
            )
        vars(instance)[self._name] = value

    def __delete__(self, instance: Any) -> None:
        raise AttributeError(f"{self._name} of a {type(instance).__name__} cannot be deleted")


class Layer(ABC):
    """Base class of all layers.

    Attributes
    ----------
    kind : the name of this kind of layer in files.
    units : the number of outputs; 0 until the layer belongs to a network if it has as many outputs as inputs.
    trainable : whether ``fit`` changes the layer's parameters; may be set at any time.
    """

    kind: ClassVar[str]

    def __init__(self, trainable: bool) -> None:
        vars(self)["units"] = 0
        self._trainable = checks.truth(trainable, "trainable")
        self._views: tuple[Array, Array] | None = None

    @property
    def units(self) -> int:
        """The number of outputs of the layer."""
        return int(vars(self)["units"])

    @property
    def activation(self) -> str:
        """The name of the layer's activation function; "identity" unless a subclass has one."""
        return "identity"

    @property
    def initializer(self) -> str | float | None:
        """The initializer of the weights; None if the layer has no weights or if they were given."""
        return None

    @property
    def trainable(self) -> bool:
        """Whether ``fit`` changes the layer's parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = checks.truth(value, "trainable")

    @property
    def is_built(self) -> bool:
        """Whether the layer belongs to a network, which has noted its settings and allocated its parameters."""
        return self._views is not None

    def __setattr__(self, name: str, value: Any) -> None:
        # What is misspelt would do nothing, like trainabel.
        if not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(f"a {type(self).__name__} layer has no attribute {name!r} to be set")
        super().__setattr__(name, value)

    def _built(self) -> tuple[Array, Array]:
        if self._views is None:
            raise AttributeError("a layer has weights and bias once it belongs to a network")
        return self._views

    def check(self, inputs: int, name: str, last: bool) -> None:
        """Raise ValueError if the layer cannot take so many inputs, or cannot stand at this place.

        ``last`` says whether it is the output layer.
        """
        if self.is_built:
            raise ValueError(
                f"{name} belongs to another network already; make a {type(self).__name__} for each, or copy() it"
            )

    @abstractmethod
    def shape(self, inputs: int, l1: float = 0.0, l2: float = 0.0) -> LayerShape:
        """Return what the kernels need to know; ``l1`` and ``l2`` are the network's penalties, the defaults."""

    @abstractmethod
    def bind(
        self, shape: LayerShape, parameters: Array, default_initializer: str | float | None, stream: RandomStream
    ) -> None:
        """Use this part of the network's parameter vector as the layer's parameters, and set initial values."""

    @abstractmethod
    def look_at(self, shape: LayerShape, parameters: Array) -> None:
        """Use this part of the network's parameter vector as the layer's parameters, and keep its values."""

    @abstractmethod
    def copy(self) -> Layer:
        """Return a new layer that starts with this one's parameters and does not belong to a network yet."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the layer's settings, without its parameters, as a dictionary for JSON."""

    @classmethod
    @abstractmethod
    def described(cls, description: Mapping[str, Any], own: Mapping[str | None, Activation]) -> Layer:
        """Make a layer from what ``describe`` returned, with user-defined activations by name.

        Raises TypeError or ValueError if the description is invalid.
        """

    @abstractmethod
    def cells(self, shape: LayerShape) -> tuple[str, str, str]:
        """Return the cells of ``Sequential.summary``: shape of the weights, activation and initializer."""

    @property
    @abstractmethod
    def shown(self) -> str:
        """The layer in the ``repr`` of a network, like "16 relu"."""


class Dense(Layer):
    """A fully connected layer: activation(X @ weights + bias).

    Parameters
    ----------
    units : the number of outputs.
    activation : a name in the table ``fastnn.activations.ACTIVATIONS``, like "relu", or a function of your own,
        see ``fastnn.own_activation``.
    initializer : how the weights are initialized: uniform, normal, glorot_uniform, glorot_normal, he_uniform,
        he_normal, lecun_uniform, lecun_normal, orthogonal, zeros, or a number to set all weights to. None takes
        the network's initializer, or if it has none, the one that suits the activation.
    weights, bias : initial values of your own, (inputs, units) and (units,). The default bias is 0.
    l1, l2 : penalties that are added to the loss: l1·Σ|w| + l2·Σw² over the weights. None takes the network's.
    max_norm : the greatest Euclidean norm of a unit's incoming weights; they are scaled down to it after each
        update.
    trainable : whether ``fit`` changes weights and bias.

    Attributes
    ----------
    weights, bias : views into the network's parameters, once the layer belongs to one.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Sequential([Dense(1, "sigmoid", weights=[[0.0], [1.0]], bias=[4.0])], inputs=2)
    >>> float(net.predict([[2.0, 3.0]])[0, 0])
    0.9990889488055994
    """

    kind = "dense"
    activation = Fixed[str]()
    initializer = Fixed[str | float | None]()
    l1 = Fixed[float | None]()
    l2 = Fixed[float | None]()
    max_norm = Fixed[float | None]()

    def __init__(
        self,
        units: int,
        activation: str | Activation = "identity",
        *,
        initializer: str | float | None = None,
        weights: Any = None,
        bias: Any = None,
        l1: float | None = None,
        l2: float | None = None,
        max_norm: float | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(trainable)
        vars(self)["units"] = checks.whole_number(units, "units", least=1, most=MOST_UNITS)
        vars(self)["function"], self.activation = activation_of(activation)
        if initializer is not None:
            initializer = initializer_of(initializer)
            if weights is not None:
                raise ValueError(f"initializer is {initializer!r} and weights are given; one of them is needed")
        self.initializer = initializer
        self.l1 = None if l1 is None else checks.real_number(l1, "l1", least=0.0)
        self.l2 = None if l2 is None else checks.real_number(l2, "l2", least=0.0)
        self.max_norm = None if max_norm is None else checks.real_number(max_norm, "max_norm", above=0.0)
        if self.function.coupled and self.units == 1:
            raise ValueError(
                f"{self.activation} over one unit is always {int(self.activation == 'softmax')}; use sigmoid, or "
                "a unit for each class"
            )
        double = checks.DTYPES["float64"]
        self._given_weights: Array | None = None
        if weights is not None:
            given = checks.numbers_of(weights, "weights")
            if given.ndim == 2 and given.shape[0] == self.units != given.shape[1]:
                raise ValueError(
                    f"weights have shape {given.shape}; (inputs, {self.units}) is needed, which is the "
                    "transpose of what PyTorch has: weights.T"
                )
            self._given_weights = checks.matrix(given, "weights", double, self.units)
        self._given_bias: Array | None = None
        if bias is not None:
            self._given_bias = checks.finite(checks.numbers_of(bias, "bias"), double, "bias")
            if self._given_bias.shape != (self.units,):
                raise ValueError(f"bias has shape {self._given_bias.shape}; ({self.units},) is needed")

    @property
    def function(self) -> Activation:
        """The activation function."""
        found: Activation = vars(self)["function"]
        return found

    @property
    def weights(self) -> Array:
        """The weights (inputs, units), a view into the network's parameters. Assigning copies values into it."""
        return self._built()[0]

    @weights.setter
    def weights(self, values: Any) -> None:
        checked = checks.matrix(values, "weights", self.weights.dtype, self.units)
        if checked.shape != self.weights.shape:
            raise ValueError(f"weights have shape {checked.shape}; {self.weights.shape} is needed")
        self.weights[:] = checked

    @property
    def bias(self) -> Array:
        """The bias (units,), a view into the network's parameters. Assigning copies values into it."""
        return self._built()[1]

    @bias.setter
    def bias(self, values: Any) -> None:
        _assign(self.bias, values, "bias")

    def check(self, inputs: int, name: str, last: bool) -> None:
        """Raise ValueError if the layer cannot take so many inputs, or cannot stand at this place."""
        super().check(inputs, name, last)
        if self._given_weights is not None and len(self._given_weights) != inputs:
            shape = self._given_weights.shape
            raise ValueError(f"weights of {name} have shape {shape}; ({inputs}, {self.units}) is needed")
        if self.function.coupled and not last:
            raise ValueError(f"activation of {name} is {self.activation!r}, which is for the output layer only")

    def shape(self, inputs: int, l1: float = 0.0, l2: float = 0.0) -> LayerShape:
        """Return what the kernels need to know; ``l1`` and ``l2`` apply if the layer has none of its own."""
        return LayerShape(
            inputs,
            self.units,
            self.function,
            trained=self.trainable,
            l1=l1 if self.l1 is None else self.l1,
            l2=l2 if self.l2 is None else self.l2,
            max_norm=self.max_norm,
        )

    def bind(
        self, shape: LayerShape, parameters: Array, default_initializer: str | float | None, stream: RandomStream
    ) -> None:
        """Use this part of the network's parameter vector as weights and bias, and set initial values."""
        self.look_at(shape, parameters)
        weights = self._given_weights
        if weights is None:
            suited = self.function.initializer
            own = default_initializer if self.initializer is None else self.initializer
            drawn_from = suited if own is None else own
            vars(self)["initializer"] = drawn_from
            weights = initial_weights(drawn_from, stream, *self.weights.shape)
        with np.errstate(all="ignore"):  # float32 may round values to 0
            self.weights[:] = weights
            self.bias[:] = 0.0 if self._given_bias is None else self._given_bias

    def look_at(self, shape: LayerShape, parameters: Array) -> None:
        """Use this part of the network's parameter vector as weights and bias, and keep its values."""
        split = shape.inputs * shape.units
        self._views = parameters[:split].reshape(shape.inputs, shape.units), parameters[split:]

    def copy(self) -> Dense:
        """Return a new layer that starts with this one's weights and bias and does not belong to a network yet.

        Examples
        --------
        >>> import fastnn
        >>> trained = fastnn.mlp([2, 4, 1], activation="tanh")
        >>> first = trained.layers[0].copy()
        >>> first.trainable = False
        >>> net = fastnn.Sequential([first, Dense(3, "softmax")], inputs=2)
        >>> bool((net.layers[0].weights == trained.layers[0].weights).all())
        True
        """
        new = Dense(
            self.units,
            self.activation if self.function.name is None else self.function,
            weights=self.weights if self.is_built else self._given_weights,
            bias=self.bias if self.is_built else self._given_bias,
            l1=self.l1,
            l2=self.l2,
            max_norm=self.max_norm,
            trainable=self.trainable,
        )
        vars(new)["initializer"] = self.initializer  # although the weights are given
        return new

    def describe(self) -> dict[str, Any]:
        """Return the layer's settings, without its parameters, as a dictionary for JSON."""
        return {
            "units": self.units,
            "activation": self.activation,
            "initializer": self.initializer,
            "l1": self.l1,
            "l2": self.l2,
            "max_norm": self.max_norm,
            "trainable": self.trainable,
        }

    @classmethod
    def described(cls, description: Mapping[str, Any], own: Mapping[str | None, Activation]) -> Dense:
        """Make a layer from what ``describe`` returned, all but its initializer: the weights are in the file."""
        name = description.get("activation", "")
        if isinstance(name, str) and name not in own and name not in ACTIVATIONS:
            raise NotGivenError(
                f"has a layer with activation {name!r}, which is not among fastnn's and not given; "
                "activations=[own_activation(...)] brings it along"
            )
        return cls(
            description["units"],
            own.get(name, name),
            initializer=0.0,
            l1=description.get("l1"),
            l2=description.get("l2"),
            max_norm=description.get("max_norm"),
            trainable=description.get("trainable", True),
        )

    def cells(self, shape: LayerShape) -> tuple[str, str, str]:
        """Return the cells of ``Sequential.summary``: shape of the weights, activation and initializer."""
        drawn = "own" if self.initializer is None else f"{self.initializer}"
        return f"({shape.inputs}, {shape.units})", self.activation, drawn

    @property
    def shown(self) -> str:
        """The layer in the ``repr`` of a network."""
        return f"{self.units} {self.activation}"

    def __repr__(self) -> str:
        return f"Dense({self.units}, {self.activation!r})"


class Dropout(Layer):
    """Dropout: in training, a random share of the inputs is set to 0, and the others are divided by 1 - rate.

    In ``predict``, ``evaluate`` and ``loss_and_gradient`` nothing is dropped (N. Srivastava and others, 2014; the
    division is "inverted dropout"). Which inputs are dropped depends only on seed, epoch, layer, unit and row
    number, and so not on how the rows are divided into batches.

    Parameters
    ----------
    rate : the share of the inputs to drop, from 0 to below 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Sequential([fastnn.Dense(16, "relu"), Dropout(0.2), fastnn.Dense(1)], inputs=3)
    <Sequential: 3 > 16 relu > dropout 0.2 > 1 identity, 81 parameters, float64>
    """

    kind = "dropout"
    rate = Fixed[float]()

    def __init__(self, rate: float) -> None:
        super().__init__(trainable=True)
        self.rate = checks.real_number(rate, "rate", least=0.0, below=1.0)

    def shape(self, inputs: int, l1: float = 0.0, l2: float = 0.0) -> LayerShape:
        """Return what the kernels need to know; the layer has no weights to penalize."""
        return LayerShape(inputs, inputs, dropout=self.rate)

    def bind(
        self, shape: LayerShape, parameters: Array, default_initializer: str | float | None, stream: RandomStream
    ) -> None:
        """Give the layer as many units as inputs; it has no parameters."""
        self.look_at(shape, parameters)

    def look_at(self, shape: LayerShape, parameters: Array) -> None:
        """Give the layer as many units as inputs."""
        vars(self)["units"] = shape.units
        self._views = parameters, parameters

    def copy(self) -> Dropout:
        """Return a new layer with the same rate, which does not belong to a network yet."""
        return Dropout(self.rate)

    def describe(self) -> dict[str, Any]:
        """Return the layer's settings as a dictionary for JSON."""
        return {"kind": self.kind, "rate": self.rate}

    @classmethod
    def described(cls, description: Mapping[str, Any], own: Mapping[str | None, Activation]) -> Dropout:
        """Make a layer from what ``describe`` returned."""
        return cls(description.get("rate", -1.0))

    def cells(self, shape: LayerShape) -> tuple[str, str, str]:
        """Return the cells of ``Sequential.summary``: the rate."""
        return f"rate {self.rate:g}", "", ""

    @property
    def shown(self) -> str:
        """The layer in the ``repr`` of a network."""
        return f"dropout {self.rate:g}"

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"


class LayerNormalization(Layer):
    """Layer normalization: each sample is brought to mean 0 and variance 1, then scaled and shifted per unit.

    y = gain·(x - mean)/sqrt(variance + epsilon) + bias, with mean and variance over the units of a sample (J. Ba,
    J. Kiros, G. Hinton, 2016). Gain and bias are learnt; initially gain is 1 and bias 0.

    Parameters
    ----------
    epsilon : the number added to the variance, above 0.
    trainable : whether ``fit`` changes gain and bias.

    Attributes
    ----------
    gain, bias : (units,) views into the network's parameters, once the layer belongs to one.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Sequential([fastnn.Dense(4, "tanh"), LayerNormalization(), fastnn.Dense(1)], inputs=2)
    >>> net.layers[1].gain
    array([1., 1., 1., 1.])
    """

    kind = "layer_normalization"
    epsilon = Fixed[float]()

    def __init__(self, epsilon: float = 1e-5, *, trainable: bool = True) -> None:
        super().__init__(trainable)
        self.epsilon = checks.real_number(epsilon, "epsilon", above=0.0)
        self._given: tuple[Array, Array] | None = None

    @property
    def gain(self) -> Array:
        """The gain (units,), a view into the network's parameters. Assigning copies values into it."""
        return self._built()[0]

    @gain.setter
    def gain(self, values: Any) -> None:
        _assign(self.gain, values, "gain")

    @property
    def bias(self) -> Array:
        """The bias (units,), a view into the network's parameters. Assigning copies values into it."""
        return self._built()[1]

    @bias.setter
    def bias(self, values: Any) -> None:
        _assign(self.bias, values, "bias")

    def check(self, inputs: int, name: str, last: bool) -> None:
        """Raise ValueError if the layer cannot take so many inputs."""
        super().check(inputs, name, last)
        if self._given is not None and len(self._given[0]) != inputs:
            raise ValueError(f"gain of {name} has shape {self._given[0].shape}; ({inputs},) is needed")

    def shape(self, inputs: int, l1: float = 0.0, l2: float = 0.0) -> LayerShape:
        """Return what the kernels need to know; the layer has no weights to penalize."""
        return LayerShape(inputs, inputs, epsilon=self.epsilon, trained=self.trainable)

    def bind(
        self, shape: LayerShape, parameters: Array, default_initializer: str | float | None, stream: RandomStream
    ) -> None:
        """Use this part of the network's parameter vector as gain and bias, and set initial values."""
        self.look_at(shape, parameters)
        self.gain[:], self.bias[:] = (1.0, 0.0) if self._given is None else self._given

    def look_at(self, shape: LayerShape, parameters: Array) -> None:
        """Use this part of the network's parameter vector as gain and bias, and keep its values."""
        vars(self)["units"] = shape.units
        self._views = parameters[: self.units], parameters[self.units :]

    def copy(self) -> LayerNormalization:
        """Return a new layer that starts with this one's gain and bias and does not belong to a network yet."""
        new = LayerNormalization(self.epsilon, trainable=self.trainable)
        new._given = (self.gain.copy(), self.bias.copy()) if self.is_built else self._given
        return new

    def describe(self) -> dict[str, Any]:
        """Return the layer's settings, without its parameters, as a dictionary for JSON."""
        return {"kind": self.kind, "epsilon": self.epsilon, "trainable": self.trainable}

    @classmethod
    def described(cls, description: Mapping[str, Any], own: Mapping[str | None, Activation]) -> LayerNormalization:
        """Make a layer from what ``describe`` returned."""
        return cls(description.get("epsilon", -1.0), trainable=description.get("trainable", True))

    def cells(self, shape: LayerShape) -> tuple[str, str, str]:
        """Return the cells of ``Sequential.summary``: the shape of the gain."""
        return f"({shape.units},)", "", ""

    @property
    def shown(self) -> str:
        """The layer in the ``repr`` of a network."""
        return "normalization"

    def __repr__(self) -> str:
        return f"LayerNormalization({self.epsilon:g})"


class NotGivenError(ValueError):
    """A file refers to something it does not contain."""


KINDS: dict[str, type[Layer]] = {layer.kind: layer for layer in (Dense, Dropout, LayerNormalization)}


def layer_of(description: Mapping[str, Any], own: Mapping[str | None, Activation]) -> Layer:
    """Make a layer of any kind from what its ``describe`` returned, with user-defined activations by name.

    Raises TypeError or ValueError if the description is invalid.
    """
    kind = checks.choice(description.get("kind", Dense.kind), "kind", KINDS)
    return KINDS[kind].described(description, own)


class BatchNormalization:
    """Not implemented: batch normalization makes each sample's outputs depend on the rest of its batch."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        raise NotImplementedError(
            "BatchNormalization makes the samples of a batch depend on each other, which fastnn's kernels do "
            "not do yet; LayerNormalization normalizes each sample by itself"
        )


def _assign(view: Array, values: Any, name: str) -> None:
    checked = checks.finite(checks.numbers_of(values, name), view.dtype, name)
    if checked.shape != view.shape:
        raise ValueError(f"{name} has shape {checked.shape}; {view.shape} is needed")
    view[:] = checked


def activation_of(value: Any, argument: str = "activation") -> tuple[Activation, str]:
    """Return an activation and its name; ``value`` is a name or a user-defined activation."""
    if isinstance(value, Activation) and value.name is not None:
        return value, value.name
    if callable(value):
        raise TypeError(
            f"{argument} is {checks.shown(value)}; fastnn.own_activation makes an activation of a function"
        )
    name = checks.choice(value, argument, ACTIVATIONS)
    return ACTIVATIONS[name], name


def initializer_of(value: Any) -> str | float:
    """Return a checked initializer: a name, or the number that all weights are set to."""
    if isinstance(value, str):
        return checks.choice(value, "initializer", INITIALIZERS)
    try:
        return checks.real_number(value, "initializer")
    except TypeError:
        known = ", ".join(INITIALIZERS)
        raise TypeError(
            f"initializer is {checks.shown(value)}; a number or one of these names is needed: {known}"
        ) from None
