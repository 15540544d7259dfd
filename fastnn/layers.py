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
    """An attribute that is given when something is made, and cannot be set later: others have noted it."""

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
    """What all layers have.

    Attributes
    ----------
    kind : its name in files.
    units : how many outputs it has; of a layer that has as many as inputs, 0 until it belongs to a network.
    trainable : whether ``fit`` changes its parameters; may be set at any time.
    """

    kind: ClassVar[str]

    def __init__(self, trainable: bool) -> None:
        vars(self)["units"] = 0
        self._trainable = checks.truth(trainable, "trainable")
        self._views: tuple[Array, Array] | None = None

    @property
    def units(self) -> int:
        """How many outputs it has."""
        return int(vars(self)["units"])

    @property
    def activation(self) -> str:
        """The name of a function of its outputs, one by one."""
        return "identity"

    @property
    def initializer(self) -> str | float | None:
        """What its weights were drawn from; None for one that has none, or whose weights were given."""
        return None

    @property
    def trainable(self) -> bool:
        """Whether ``fit`` changes its parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = checks.truth(value, "trainable")

    @property
    def is_built(self) -> bool:
        """Whether it belongs to a network, which has noted what it computes and given it its parameters."""
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
        """ValueError if the layer cannot follow after so many outputs, or cannot be the last or another one."""
        if self.is_built:
            raise ValueError(
                f"{name} belongs to another network already; make a {type(self).__name__} for each, or copy() it"
            )

    @abstractmethod
    def shape(self, inputs: int, l1: float = 0.0, l2: float = 0.0) -> LayerShape:
        """What the kernels need to know. The network's penalties are for weights that have none of their own."""

    @abstractmethod
    def bind(
        self, shape: LayerShape, parameters: Array, default_initializer: str | float | None, stream: RandomStream
    ) -> None:
        """Make these numbers the layer's parameters, and overwrite them with initial values."""

    @abstractmethod
    def look_at(self, shape: LayerShape, parameters: Array) -> None:
        """Make these numbers the layer's parameters, as they are."""

    @abstractmethod
    def copy(self) -> Layer:
        """A new layer, of no network yet, that begins with this one's parameters."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """All of it but its parameters, as JSON can hold it."""

    @classmethod
    @abstractmethod
    def described(cls, description: Mapping[str, Any], own: Mapping[str | None, Activation]) -> Layer:
        """One that was described so, with these own activations; TypeError or ValueError if there is none."""

    @abstractmethod
    def cells(self, shape: LayerShape) -> tuple[str, str, str]:
        """For a table of layers: the shape of its weights, its activation and its initializer."""

    @property
    @abstractmethod
    def shown(self) -> str:
        """For a line of layers."""


class Dense(Layer):
    """A fully connected layer: activation(X @ weights + bias).

    Parameters
    ----------
    units : how many outputs it has.
    activation : a name in the table ``fastnn.activations.ACTIVATIONS``, like "relu", or one of your own, see
        ``fastnn.own_activation``.
    initializer : of the weights; one of uniform, normal, glorot_uniform, glorot_normal, he_uniform, he_normal,
        lecun_uniform, lecun_normal, orthogonal, zeros, or a number that all of them are. Without one the network's
        is taken, and else the one that suits the activation.
    weights, bias : own initial values, (inputs, units) and (units,). Without ``bias`` it is 0.
    l1, l2 : penalties that are added to the loss: l1·Σ|w| + l2·Σw² over the weights. Without one, the network's.
    max_norm : after each update the incoming weights of a unit are shortened to this Euclidean norm.
    trainable : whether ``fit`` changes weights and bias.

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
            if np.ndim(weights) == 2 and np.shape(weights)[0] == self.units != np.shape(weights)[1]:
                raise ValueError(
                    f"weights have shape {np.shape(weights)}; (inputs, {self.units}) is needed, which is the "
                    "transpose of what PyTorch has: weights.T"
                )
            self._given_weights = checks.matrix(weights, "weights", double, self.units)
        self._given_bias: Array | None = None
        if bias is not None:
            self._given_bias = checks.finite(checks.numbers_of(bias, "bias"), double, "bias")
            if self._given_bias.shape != (self.units,):
                raise ValueError(f"bias has shape {self._given_bias.shape}; ({self.units},) is needed")

    @property
    def function(self) -> Activation:
        """What its activation computes."""
        found: Activation = vars(self)["function"]
        return found

    @property
    def weights(self) -> Array:
        """(inputs, units), a view into the network's parameters. Assigning copies numbers into it."""
        return self._built()[0]

    @weights.setter
    def weights(self, values: Any) -> None:
        checked = checks.matrix(values, "weights", self.weights.dtype, self.units)
        if checked.shape != self.weights.shape:
            raise ValueError(f"weights have shape {checked.shape}; {self.weights.shape} is needed")
        self.weights[:] = checked

    @property
    def bias(self) -> Array:
        """(units,), a view into the network's parameters. Assigning copies numbers into it."""
        return self._built()[1]

    @bias.setter
    def bias(self, values: Any) -> None:
        _assign(self.bias, values, "bias")

    def check(self, inputs: int, name: str, last: bool) -> None:
        """ValueError if the layer cannot follow after so many outputs, or cannot be the last or another one."""
        super().check(inputs, name, last)
        if self._given_weights is not None and len(self._given_weights) != inputs:
            shape = self._given_weights.shape
            raise ValueError(f"weights of {name} have shape {shape}; ({inputs}, {self.units}) is needed")
        if self.function.coupled and not last:
            raise ValueError(f"activation of {name} is {self.activation!r}, which is for the output layer only")

    def shape(self, inputs: int, l1: float = 0.0, l2: float = 0.0) -> LayerShape:
        """What the kernels need to know; with the network's penalties, if the layer has none of its own."""
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
        """Make these numbers the layer's weights and bias, and overwrite them with initial values."""
        self.look_at(shape, parameters)
        weights = self._given_weights
        if weights is None:
            suited = self.function.initializer
            own = default_initializer if self.initializer is None else self.initializer
            drawn_from = suited if own is None else own
            vars(self)["initializer"] = drawn_from
            weights = initial_weights(drawn_from, stream, *self.weights.shape)
        with np.errstate(all="ignore"):  # what is rounded to 0 on the way to float32
            self.weights[:] = weights
            self.bias[:] = 0.0 if self._given_bias is None else self._given_bias

    def look_at(self, shape: LayerShape, parameters: Array) -> None:
        """Make these numbers the layer's weights and bias."""
        split = shape.inputs * shape.units
        self._views = parameters[:split].reshape(shape.inputs, shape.units), parameters[split:]

    def copy(self) -> Dense:
        """A new layer, of no network yet, that begins with this one's weights and bias.

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
        vars(new)["initializer"] = self.initializer  # whatever weights there are
        return new

    def describe(self) -> dict[str, Any]:
        """All of it but its parameters, as JSON can hold it."""
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
        """One that was described so, but for what its weights were drawn from: they are in the file."""
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
        """For a table of layers: the shape of its weights, its activation and its initializer."""
        drawn = "own" if self.initializer is None else f"{self.initializer}"
        return f"({shape.inputs}, {shape.units})", self.activation, drawn

    @property
    def shown(self) -> str:
        """For a line of layers."""
        return f"{self.units} {self.activation}"

    def __repr__(self) -> str:
        return f"Dense({self.units}, {self.activation!r})"


class Dropout(Layer):
    """Leaves out a random share of its inputs in training, and divides the others by what remains of 1.

    In ``predict``, ``evaluate`` and ``loss_and_gradient`` nothing is left out (N. Srivastava and others, 2014; the
    division is "inverted dropout"). What is left out depends on seed, epoch, layer, unit and the row's number
    alone, so not on how the rows are cut into batches.

    Parameters
    ----------
    rate : the share that is left out, from 0 to below 1.

    Raises
    ------
    TypeError, ValueError
        For anything else, with the argument's name and value.

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
        """What the kernels need to know; there are no weights to be penalized."""
        return LayerShape(inputs, inputs, dropout=self.rate)

    def bind(
        self, shape: LayerShape, parameters: Array, default_initializer: str | float | None, stream: RandomStream
    ) -> None:
        """Let it have as many units as inputs; it has no parameters."""
        self.look_at(shape, parameters)

    def look_at(self, shape: LayerShape, parameters: Array) -> None:
        """Let it have as many units as inputs."""
        vars(self)["units"] = shape.units
        self._views = parameters, parameters

    def copy(self) -> Dropout:
        """A new layer, of no network yet."""
        return Dropout(self.rate)

    def describe(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {"kind": self.kind, "rate": self.rate}

    @classmethod
    def described(cls, description: Mapping[str, Any], own: Mapping[str | None, Activation]) -> Dropout:
        """One that was described so."""
        return cls(description.get("rate", -1.0))

    def cells(self, shape: LayerShape) -> tuple[str, str, str]:
        """For a table of layers: its rate."""
        return f"rate {self.rate:g}", "", ""

    @property
    def shown(self) -> str:
        """For a line of layers."""
        return f"dropout {self.rate:g}"

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"


class LayerNormalization(Layer):
    """Brings the inputs of each sample to mean 0 and variance 1, then to a learnt gain and bias for each unit.

    y = gain·(x - mean)/sqrt(variance + epsilon) + bias, with mean and variance over the units of a sample (J. Ba,
    J. Kiros, G. Hinton, 2016). Gain begins as 1, bias as 0.

    Parameters
    ----------
    epsilon : above 0.
    trainable : whether ``fit`` changes gain and bias.

    Attributes
    ----------
    gain, bias : (units,) views into the network's parameters, once the layer belongs to one.

    Raises
    ------
    TypeError, ValueError
        For anything else, with the argument's name and value.

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
        """(units,), a view into the network's parameters. Assigning copies numbers into it."""
        return self._built()[0]

    @gain.setter
    def gain(self, values: Any) -> None:
        _assign(self.gain, values, "gain")

    @property
    def bias(self) -> Array:
        """(units,), a view into the network's parameters. Assigning copies numbers into it."""
        return self._built()[1]

    @bias.setter
    def bias(self, values: Any) -> None:
        _assign(self.bias, values, "bias")

    def check(self, inputs: int, name: str, last: bool) -> None:
        """ValueError if the layer cannot follow after so many outputs."""
        super().check(inputs, name, last)
        if self._given is not None and len(self._given[0]) != inputs:
            raise ValueError(f"gain of {name} has shape {self._given[0].shape}; ({inputs},) is needed")

    def shape(self, inputs: int, l1: float = 0.0, l2: float = 0.0) -> LayerShape:
        """What the kernels need to know; there are no weights to be penalized."""
        return LayerShape(inputs, inputs, epsilon=self.epsilon, trained=self.trainable)

    def bind(
        self, shape: LayerShape, parameters: Array, default_initializer: str | float | None, stream: RandomStream
    ) -> None:
        """Make these numbers the layer's gain and bias, and overwrite them with initial values."""
        self.look_at(shape, parameters)
        self.gain[:], self.bias[:] = (1.0, 0.0) if self._given is None else self._given

    def look_at(self, shape: LayerShape, parameters: Array) -> None:
        """Make these numbers the layer's gain and bias."""
        vars(self)["units"] = shape.units
        self._views = parameters[: self.units], parameters[self.units :]

    def copy(self) -> LayerNormalization:
        """A new layer, of no network yet, that begins with this one's gain and bias."""
        new = LayerNormalization(self.epsilon, trainable=self.trainable)
        new._given = (self.gain.copy(), self.bias.copy()) if self.is_built else self._given
        return new

    def describe(self) -> dict[str, Any]:
        """All of it but its parameters, as JSON can hold it."""
        return {"kind": self.kind, "epsilon": self.epsilon, "trainable": self.trainable}

    @classmethod
    def described(cls, description: Mapping[str, Any], own: Mapping[str | None, Activation]) -> LayerNormalization:
        """One that was described so."""
        return cls(description.get("epsilon", -1.0), trainable=description.get("trainable", True))

    def cells(self, shape: LayerShape) -> tuple[str, str, str]:
        """For a table of layers: the shape of its gains."""
        return f"({shape.units},)", "", ""

    @property
    def shown(self) -> str:
        """For a line of layers."""
        return "normalization"

    def __repr__(self) -> str:
        return f"LayerNormalization({self.epsilon:g})"


class NotGivenError(ValueError):
    """What a file tells of is not in it."""


KINDS: dict[str, type[Layer]] = {layer.kind: layer for layer in (Dense, Dropout, LayerNormalization)}


def layer_of(description: Mapping[str, Any], own: Mapping[str | None, Activation]) -> Layer:
    """A layer that ``describe`` described, with these own activations; TypeError or ValueError if it is none."""
    kind = checks.choice(description.get("kind", Dense.kind), "kind", KINDS)
    return KINDS[kind].described(description, own)


class BatchNormalization:
    """Is not there: it makes each sample's outputs depend on the others of its batch."""

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
    """An activation and its name, given by name or as an own one."""
    if isinstance(value, Activation) and value.name is not None:
        return value, value.name
    if callable(value):
        raise TypeError(
            f"{argument} is {checks.shown(value)}; fastnn.own_activation makes an activation of a function"
        )
    name = checks.choice(value, argument, ACTIVATIONS)
    return ACTIVATIONS[name], name


def initializer_of(value: Any) -> str | float:
    """An initializer's name, or the number that all weights are."""
    if isinstance(value, str):
        return checks.choice(value, "initializer", INITIALIZERS)
    try:
        return checks.real_number(value, "initializer")
    except TypeError:
        known = ", ".join(INITIALIZERS)
        raise TypeError(
            f"initializer is {checks.shown(value)}; a number or one of these names is needed: {known}"
        ) from None
