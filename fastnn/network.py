"""Networks: a sequence of layers, its parameters, and what can be done with it."""

from __future__ import annotations

import contextlib
import copy
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.extending import typeof_impl

from fastnn import checks, files, inference, memory, training
from fastnn.activations import Activation
from fastnn.dataset import Dataset, Format, Rows, rows_of
from fastnn.fitting import fit
from fastnn.handles import Handle
from fastnn.history import History
from fastnn.inference import InferenceCache, OneRow
from fastnn.initializers import RandomStream
from fastnn.kernels import layout
from fastnn.layers import (
    Dense,
    Dropout,
    Fixed,
    Layer,
    NotGivenError,
    activation_of,
    initializer_of,
    layer_of,
)
from fastnn.loss_kinds import LINEAR, Loss, loss_of
from fastnn.plan import LayerShape
from fastnn.threads import allowed, from_environment

Array = npt.NDArray[Any]


class Sequential:
    """A feedforward network: a sequence of layers.

    Parameters
    ----------
    layers : Dense, Dropout and LayerNormalization layers; the last is Dense.
    inputs : the number of features of a sample.
    initializer : how weights are initialized in layers without an initializer of their own; None takes the one
        that suits each layer's activation (He for the ReLU family, else Glorot).
    seed : the seed of the initial weights, and of the shuffling in ``fit``; 0 or more.
    l1, l2 : penalties of all Dense layers that have none of their own; they are part of every loss.
    dtype : the floating-point type of all computations, "float64" or "float32".

    Attributes
    ----------
    parameters, gradients : (P,) all weights and biases, and the gradient that ``backward`` accumulates: layer by
        layer, weights (inputs, units) row by row, then bias. Both are views: writing to them changes the network.
    layers : the layers; those that are Dense have ``weights`` and ``bias``, which are views too.
    history : the History of the last ``fit``, even if it was interrupted; None before the first.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> import fastnn
    >>> net = Sequential(
    ...     [fastnn.Dense(4, "sigmoid"), fastnn.Dense(1, "sigmoid")], inputs=2, initializer="uniform"
    ... )
    >>> net
    <Sequential: 2 > 4 sigmoid > 1 sigmoid, 17 parameters, float64>
    >>> float(net.predict([[0.0, 0.0]])[0, 0])
    0.5588236746843033
    """

    layers = Fixed[tuple[Layer, ...]]()
    inputs = Fixed[int]()
    initializer = Fixed[str | float | None]()
    l1 = Fixed[float]()
    l2 = Fixed[float]()
    dtype = Fixed[np.dtype[Any]]()

    def __init__(
        self,
        layers: Iterable[Layer],
        *,
        inputs: int,
        initializer: str | float | None = None,
        seed: int = 0,
        l1: float = 0.0,
        l2: float = 0.0,
        dtype: Any = "float64",
    ) -> None:
        self.layers = tuple(checks.members(layers, "layers", Layer))
        self.inputs = checks.whole_number(inputs, "inputs", least=1)
        self.seed = seed
        self.dtype = checks.dtype_of(dtype)
        self.l1 = checks.real_number(l1, "l1", least=0.0)
        self.l2 = checks.real_number(l2, "l2", least=0.0)
        self.initializer = None if initializer is None else initializer_of(initializer)
        self.history: History | None = None
        self._shapes = self._check_layers()
        count = sum(shape.parameters for shape in self._shapes)
        memory.refuse(2 * count * self.dtype.itemsize, f"{count:,} parameters and their gradients")
        self._parameters = np.zeros(count, self.dtype)
        self._gradients = np.zeros(count, self.dtype)
        self._kept = InferenceCache()
        self._last_forward: tuple[Array, Array] | None = None  # rows, and the parameters at that time
        stream = RandomStream(self.seed)
        for layer, shape, own in self._placed():
            layer.bind(shape, own, self.initializer, stream)

    def of_layers(self, vector: Array) -> list[Array]:
        """Split a vector (P,) into the parts that belong to each layer, as views."""
        return np.split(vector, np.cumsum([shape.parameters for shape in self._shapes])[:-1].tolist())

    def _placed(self) -> Iterator[tuple[Layer, LayerShape, Array]]:
        """Yield each layer with its shape and its part of the parameters."""
        return zip(self.layers, self._shapes, self.of_layers(self._parameters), strict=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # After unpickling or copy.deepcopy, the layers need views of this network's parameters. Some libraries,
        # like joblib, map arrays into read-only memory.
        self.__dict__.update(state)
        self.__dict__.pop("_trainer", None)
        self._parameters = np.require(self._parameters, requirements=["C", "A", "W"])
        self._gradients = np.require(self._gradients, requirements=["C", "A", "W"])
        for layer, shape, own in self._placed():
            layer.look_at(shape, own)

    @contextlib.contextmanager
    def being_trained(self) -> Iterator[None]:
        """Mark the network as being trained; RuntimeError if another thread is training it already.

        What one of the two threads learns would be lost. A fit in a callback of another fit runs in the same
        thread and is allowed; the parameters of the outer fit are kept.
        """
        mine = [os.getpid(), threading.get_ident()]
        trainer = self.__dict__.setdefault("_trainer", mine)  # at once, for all threads
        if trainer[0] != mine[0]:  # forked from a process that was training it
            trainer = self.__dict__["_trainer"] = mine
        if trainer != mine:
            raise RuntimeError(
                "another thread is training this network; copy.deepcopy(net) makes one that it leaves alone"
            )
        try:
            yield
        finally:
            if trainer is mine:
                del self.__dict__["_trainer"]

    def __copy__(self) -> Sequential:
        return copy.deepcopy(self)  # a shallow copy would share the parameters, and be trained with this one

    def _check_layers(self) -> tuple[LayerShape, ...]:
        shapes, inputs = [], self.inputs
        for i, layer in enumerate(self.layers):
            name = f"layers[{i}]"
            layer.check(inputs, name, last=i == len(self.layers) - 1)
            if any(layer is other for other in self.layers[:i]):
                raise ValueError(f"{name} stands in the network twice; make a {type(layer).__name__} for each")
            shapes.append(layer.shape(inputs, self.l1, self.l2))
            inputs = shapes[-1].units
        if not isinstance(self.layers[-1], Dense):
            raise ValueError(f"the last layer is {self.layers[-1]!r}; a Dense is needed there")
        return tuple(shapes)

    @property
    def shapes(self) -> tuple[LayerShape, ...]:
        """What the kernels need to know about the layers as they are now."""
        return tuple(
            shape if shape.trained == layer.trainable else replace(shape, trained=layer.trainable)
            for layer, shape in zip(self.layers, self._shapes, strict=True)
        )

    @property
    def outputs(self) -> int:
        """The number of outputs for each sample."""
        return self.layers[-1].units

    @property
    def seed(self) -> int:
        """The seed that ``fit`` uses if it is given none."""
        return int(vars(self)["seed"])

    @seed.setter
    def seed(self, value: int) -> None:
        vars(self)["seed"] = checks.whole_number(value, "seed", least=0, most=checks.MOST_SEED)

    @property
    def parameters(self) -> Array:
        """All weights and biases (P,), a view. Assigning copies values into it.

        ``net.parameters -= step`` is checked only after NumPy has written into the view.
        """
        return self._parameters

    @parameters.setter
    def parameters(self, values: Any) -> None:
        checked = checks.finite(checks.numbers_of(values, "parameters"), self.dtype, "parameters")
        if checked.shape != self._parameters.shape:
            raise ValueError(f"parameters have shape {checked.shape}; {self._parameters.shape} is needed")
        self._parameters[:] = checked

    @property
    def gradients(self) -> Array:
        """The gradient (P,) accumulated by ``backward`` since ``zero_grad``, ordered as ``parameters``; a view."""
        return self._gradients

    # Step by step ----------------------------------------------------------------------------------

    def predict(self, X: Any, *, threads: int | None = None) -> Array:
        """Return the network's outputs for rows of inputs.

        Parameters
        ----------
        X : (n, inputs) numbers.
        threads : the greatest number of threads to use, as in ``fit``; one is used where there is little to do.

        Returns
        -------
        (n, outputs) in the network's dtype. A row gives the same bits alone as among others.

        Raises
        ------
        TypeError, ValueError
            If X or threads has the wrong type or value.
        """
        row = self._kept.row
        if row is not None and threads is None:
            if type(X) is list and len(X) == 1:
                with contextlib.suppress(ValueError):  # the error is reported below
                    X = np.asarray(X)
            if type(X) is np.ndarray:
                found = row.predict(X)
                if found is not None:
                    return found
        given = checks.numbers_of(X, "X")
        fits = given.dtype == self.dtype and given.flags.c_contiguous
        most = allowed(threads)
        checks.refuse_shape(given, "X", self.inputs)
        if fits or given.size <= checks.NUMBERS_AT_ONCE:
            return self._predict(given, "X", most)
        # In pieces, so that there is never a copy of all of X.
        n, step = len(given), max(1, checks.NUMBERS_AT_ONCE // given.shape[1])
        memory.refuse(n * self.outputs * self.dtype.itemsize, f"predictions for {n:,} rows")
        outputs = np.empty((n, self.outputs), self.dtype)
        for first in range(0, n, step):
            name = f"X[{first}:{first + step}]"
            outputs[first : first + step] = self._predict(given[first : first + step], name, most)
        return outputs

    def _matrix(self, X: Any) -> Array:
        return checks.matrix(X, "X", self.dtype, self.inputs)

    def _predict(self, given: Array, name: str, threads: int) -> Array:
        """Return the outputs for rows that have the right shape."""
        rows = checks.converted(given, self.dtype, name)
        found: Array | None
        if len(rows) == 1:
            found = self._row().predict(rows if rows.flags.writeable else rows.copy())
        else:
            plan = self._kept.plan_for(len(rows), self._shapes, self.dtype)
            found, finite = inference.predict(plan, self._parameters, rows, threads)
            found = found if finite else None
        if found is None:
            checks.finite(given, self.dtype, name)  # raises, and names the number that is not finite
        assert found is not None
        return found

    def jacobian(self, X: Any, *, threads: int | None = None) -> Array:
        """Return the Jacobian: the derivatives of all outputs by all inputs at rows of inputs, without dropout.

        Parameters
        ----------
        X : (n, inputs) numbers.
        threads : the greatest number of threads to use, as in ``predict``.

        Returns
        -------
        (n, outputs, inputs) in the network's dtype: ``[i, k, j]`` is dy_k/dx_j at row i, computed by
        backpropagation. At a kink, like relu's at 0, it is the derivative that training uses.

        Raises
        ------
        TypeError, ValueError
            If X or threads has the wrong type or value.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Sequential([fastnn.Dense(2, weights=[[1.0, 2.0], [3.0, 4.0]])], inputs=2)
        >>> net.jacobian([[0.5, 0.5]])
        array([[[1., 3.],
                [2., 4.]]])
        """
        return self._jacobian(self._matrix(X), 0, self.outputs, threads)

    def input_gradient(self, X: Any, output: int = 0, *, threads: int | None = None) -> Array:
        """Return the derivatives of one output by all inputs at rows of inputs, without dropout.

        If the output is an energy, the negative of this is the force.

        Parameters
        ----------
        X : (n, inputs) numbers.
        output : the index of the output, from 0 on.
        threads : the greatest number of threads to use, as in ``predict``.

        Returns
        -------
        (n, inputs) in the network's dtype, the same as ``jacobian(X)[:, output]``.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or value.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Sequential([fastnn.Dense(1, "exponential", weights=[[2.0]])], inputs=1)
        >>> net.input_gradient([[0.0], [0.5]]).round(4)
        array([[2.    ],
               [5.4366]])
        """
        try:
            which = checks.whole_number(output, "output", least=0, most=self.outputs - 1)
        except (TypeError, ValueError) as error:
            if self.outputs > 1:
                raise
            message = f"output is {checks.shown(output)}; the network has one output, and only 0 is accepted"
            raise type(error)(message) from None
        return self._jacobian(self._matrix(X), which, 1, threads)[:, 0]

    def _jacobian(self, rows: Array, first: int, many: int, threads: int | None) -> Array:
        most = allowed(threads)
        plan = self._kept.plan_for(len(rows), self._shapes, self.dtype, layout.GRADIENT)
        return inference.jacobian(plan, self._parameters, rows, first, many, most)

    def forward(self, X: Any) -> Array:
        """Return the outputs like ``predict``, and keep the rows and the parameters for ``backward``.

        Parameters
        ----------
        X : (n, inputs) numbers.

        Returns
        -------
        (n, outputs) in the network's dtype, without dropout.

        Raises
        ------
        TypeError, ValueError
            If X has the wrong type or value.
        """
        rows = self._matrix(X)
        outputs = self._predict(rows, "X", allowed())
        self._last_forward = rows.copy() if np.may_share_memory(rows, X) else rows, self._parameters.copy()
        return outputs

    def zero_grad(self) -> None:
        """Set ``gradients`` to 0."""
        self._gradients[:] = 0

    def backward(self, d_output: Any) -> None:
        """Backpropagate from the outputs of the last ``forward`` and add the gradient to ``gradients``.

        Parameters
        ----------
        d_output : (n, outputs), or (n,) for one output: the derivative of the quantity to be minimized by each
            output of the last ``forward``. The gradient has no penalties in it.

        Raises
        ------
        RuntimeError
            If ``forward`` was not called before.
        TypeError, ValueError
            If d_output has the wrong type or value.

        Examples
        --------
        >>> import fastnn
        >>> X, y = fastnn.datasets.circle(density=10)
        >>> net = fastnn.mlp([2, 4, 1], output="sigmoid")
        >>> for _ in range(3):
        ...     p = net.forward(X)[:, 0]
        ...     net.zero_grad()
        ...     net.backward(2 * (p - y) / len(y))
        ...     net.update(learning_rate=10.0)
        """
        if self._last_forward is None:
            raise RuntimeError("backward needs a forward before it")
        rows, parameters = self._last_forward
        d = checks.targets(d_output, len(rows), self.outputs, self.dtype, "d_output")
        # The loss Σ d·output has the derivative d by the outputs.
        unpenalized = tuple(replace(shape, l1=0.0, l2=0.0) for shape in self._shapes)
        problem = training.Problem(unpenalized, self.layers[-1].activation, LINEAR)
        self._gradients += training.summed_gradient(problem, parameters, Rows(rows, d, None))

    def update(self, learning_rate: float) -> None:
        """Take one step of gradient descent: subtract learning_rate·gradients from all trainable parameters.

        Raises
        ------
        TypeError, ValueError
            If learning_rate is not a number above 0.
        """
        rate = checks.real_number(learning_rate, "learning_rate", above=0.0)
        with np.errstate(all="ignore"):
            steps = self.of_layers(self.dtype.type(rate) * self._gradients)
            for (layer, _, own), step in zip(self._placed(), steps, strict=True):
                if layer.trainable:
                    own -= step

    # Whole runs ------------------------------------------------------------------------------------

    fit = fit

    def problem(self, loss: str | Loss) -> training.Problem:
        """Return the layers with a loss, for the kernels; ValueError if the loss does not suit the outputs."""
        problem = training.Problem(self._shapes, self.layers[-1].activation, loss_of(loss))
        problem.loss.part(problem.output, self.outputs)
        return problem

    def format(self, loss: Loss) -> Format:
        """Return what the network, with a loss, asks of rows."""
        return Format(self.inputs, self.outputs, loss, self.dtype)

    def evaluate(
        self,
        X: Any,
        y: Any = None,
        *,
        loss: str | Loss = "mse",
        sample_weight: Any = None,
        memory_limit: float | str | None = None,
    ) -> float:
        """Return the loss for the given rows, with penalties and without dropout.

        Parameters
        ----------
        X, y, loss, sample_weight, memory_limit : as for ``fit``; X may be a Dataset, or an iterable of blocks.

        Returns
        -------
        Σ w·l / Σ w over the rows, plus the penalties.

        Raises
        ------
        TypeError, ValueError, MemoryError
            As for ``fit``.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform")
        >>> round(net.evaluate(*fastnn.datasets.circle(density=10)), 4)
        0.2919
        """
        if type(X) is Dataset and y is None and sample_weight is None and memory_limit is None:
            kept = self._pass(layout.EVALUATE, X, loss)
            found = kept[-1].loss()
            self._kept.put(kept)
            return found  # type: ignore[no-any-return]
        from_environment()  # raises if the variable is invalid, even if one thread is enough for these rows
        problem = self.problem(loss)
        from fastnn import streams

        wanted = self.format(problem.loss)
        rows, dataset = streams.rows_of(X, y, sample_weight, wanted, memory_limit, streams.Use())
        return training.evaluate(problem, self._parameters, rows, dataset)

    def loss_and_gradient(
        self, X: Any, y: Any = None, *, loss: str | Loss = "mse", sample_weight: Any = None
    ) -> tuple[float, Array]:
        """Return the loss for the given rows and its gradient by the parameters, for optimizers outside of fastnn.

        The network is not changed. With a small ``Dataset`` a call takes a few microseconds more than its
        arithmetic.

        Parameters
        ----------
        X, y, loss, sample_weight : as for ``fit``, but X has to be an array or a Dataset; blocks are refused.

        Returns
        -------
        The loss, the same as ``evaluate`` returns, and its gradient, an array (P,) in the order and the dtype of
        ``parameters``.

        Raises
        ------
        TypeError, ValueError, MemoryError
            As for ``fit``; also if X is an iterable of blocks.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.mlp([2, 4, 1], output="sigmoid")
        >>> loss, gradient = net.loss_and_gradient(*fastnn.datasets.xor())
        >>> gradient.shape == net.parameters.shape
        True
        >>> net.parameters -= 0.5 * gradient
        """
        if type(X) is Dataset and y is None and sample_weight is None:
            kept = self._pass(layout.GRADIENT, X, loss)
            found = kept[-1].gradient()
            self._kept.put(kept)
            return found  # type: ignore[no-any-return]
        from_environment()  # as in ``evaluate``
        problem = self.problem(loss)
        rows, dataset = rows_of(X, y, sample_weight, self.format(problem.loss))
        return training.gradient(problem, self._parameters, rows, dataset)

    def _pass(self, what: int, data: Dataset, loss: str | Loss) -> Any:
        """Return an ``InferenceCache`` entry for a pass over a data set: the one from last time, or a new one."""
        kept = self._kept.take(what, loss, data, self._parameters)
        if kept is None:
            from_environment()  # as in ``evaluate``
            problem = self.problem(loss)
            rows = data.rows(self.format(problem.loss))
            kept = self._kept.new(
                what, loss, data, training.whole_pass(problem, self._parameters, rows, what, data)
            )
        return kept

    def _row(self) -> OneRow:
        """The predictor for a single row, made when it is first needed."""
        if self._kept.row is None:
            self._kept.row = OneRow(self._shapes, self._parameters)
        return self._kept.row

    @property
    def handle(self) -> Handle:
        """The handle of the network for ``fastnn.predict_one`` and ``fastnn.gradient_one``, also in compiled code.

        It is a NamedTuple of arrays, and shares its parameters with the network: after a ``fit`` it predicts with
        the new ones. It is valid in this process only. Pass it to a compiled function as an argument, not as a
        global variable.
        """
        return self._row().handle

    # For people ------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to a file (.npz, without pickle), either completely or not at all.

        ``fastnn.load`` reads it. The history is not saved.

        Raises
        ------
        OSError
            If the file cannot be written; an older file of that name is then left unchanged.
        TypeError
            If path is neither a string nor a path.
        """
        files.write(path, describe(self), self._parameters)

    def summary(self) -> str:
        """Return a table of the layers: shape of the weights, activation, initializer and number of parameters.

        Examples
        --------
        >>> print(mlp([2, 3, 1]).summary())
        layer    weights  activation  initializer     parameters
        dense 1  (2, 3)   sigmoid     glorot_uniform           9
        dense 2  (3, 1)   identity    glorot_uniform           4
        13 parameters, 104 bytes, float64, 2 inputs
        """
        rows = [("layer", "weights", "activation", "initializer", "parameters")]
        for i, (layer, shape) in enumerate(zip(self.layers, self._shapes, strict=True)):
            count = f"{shape.parameters:,}" + ("" if layer.trainable else " frozen")
            rows.append((f"{layer.kind.removeprefix('layer_')} {i + 1}", *layer.cells(shape), count))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = [
            "  ".join(
                [
                    *(f"{cell:<{w}}" for cell, w in zip(row[:4], widths, strict=False)),
                    f"{row[4]:>{widths[4]}}",
                ]
            )
            for row in rows
        ]
        total, memory = len(self._parameters), self._parameters.nbytes
        lines.append(f"{total:,} parameters, {memory:,} bytes, {self.dtype}, {self.inputs} inputs")
        return "\n".join(lines)

    def __repr__(self) -> str:
        layers = " > ".join(layer.shown for layer in self.layers)
        return f"<Sequential: {self.inputs} > {layers}, {len(self._parameters)} parameters, {self.dtype}>"


@typeof_impl.register(Sequential)  # type: ignore[untyped-decorator]
def _no_argument(network: Sequential, context: Any) -> Any:
    """Raise a short error instead of the long one that Numba would give."""
    raise TypeError("a network cannot be an argument of compiled code; net.handle can, for fastnn.predict_one")


def mlp(
    sizes: Sequence[int],
    *,
    activation: str | Activation = "sigmoid",
    output: str | Activation = "identity",
    initializer: str | float | None = None,
    seed: int = 0,
    l1: float = 0.0,
    l2: float = 0.0,
    dropout: float = 0.0,
    dtype: Any = "float64",
) -> Sequential:
    """Make a multilayer perceptron, a network of dense layers, from their sizes.

    Parameters
    ----------
    sizes : the number of inputs, the number of units of each hidden layer, and the number of outputs.
    activation, output : the activations of the hidden layers and of the output layer.
    initializer, seed, l1, l2, dtype : as for ``Sequential``.
    dropout : the rate of a Dropout after each hidden layer; 0 for none.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> mlp([2, 16, 16, 3], activation="relu", output="softmax")
    <Sequential: 2 > 16 relu > 16 relu > 3 softmax, 371 parameters, float64>
    """
    numbers = [checks.whole_number(size, f"sizes[{i}]", least=1) for i, size in enumerate(_list(sizes))]
    if len(numbers) < 2:
        raise ValueError(f"sizes is {sizes!r}; at least the numbers of inputs and outputs are needed")
    activation_of(activation, "activation")
    activation_of(output, "output")
    rate = checks.real_number(dropout, "dropout", least=0.0, below=1.0)
    layers: list[Layer] = []
    for units in numbers[1:-1]:
        layers.append(Dense(units, activation))
        if rate:
            layers.append(Dropout(rate))
    return Sequential(
        [*layers, Dense(numbers[-1], output)],
        inputs=numbers[0],
        initializer=initializer,
        seed=seed,
        l1=l1,
        l2=l2,
        dtype=dtype,
    )


def _list(sizes: Any) -> list[Any]:
    if not isinstance(sizes, Iterable) or isinstance(sizes, (str, bytes)):
        raise TypeError(f"sizes is {sizes!r}; a list of whole numbers is needed")
    return list(sizes)


def describe(net: Sequential) -> dict[str, Any]:
    """Return the settings of a network, without its parameters, as a dictionary for JSON."""
    return {
        "inputs": net.inputs,
        "seed": net.seed,
        "initializer": net.initializer,
        "l1": net.l1,
        "l2": net.l2,
        "layers": [layer.describe() for layer in net.layers],
    }


def _functions(activations: Any) -> Sequence[Activation]:
    if not isinstance(activations, Iterable):
        raise TypeError(f"activations is {checks.shown(activations)}; a list of own activations is needed")
    found = list(activations)
    return checks.members(found, "activations", Activation) if found else []


def load(path: str | PathLike[str], *, activations: Iterable[Activation] = ()) -> Sequential:
    """Read a network from a file that ``Sequential.save`` wrote.

    Parameters
    ----------
    path : the path of the file.
    activations : the activations made with ``own_activation`` that the network has; files do not hold functions.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    TypeError
        If path or activations has the wrong type.
    ValueError
        If the file is broken, was written by another program or a later version, or needs an activation that is
        not given.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.npz"
    >>> mlp([2, 3, 1]).save(path)
    >>> load(path)
    <Sequential: 2 > 3 sigmoid > 1 identity, 13 parameters, float64>
    """
    own = {function.name: function for function in _functions(activations)}
    description, parameters = files.read(path)
    try:
        layers = [layer_of(layer, own) for layer in description["layers"]]
        net = Sequential(
            layers,
            inputs=description["inputs"],
            seed=description.get("seed", -1),
            l1=description.get("l1", 0.0),
            l2=description.get("l2", 0.0),
            dtype=parameters.dtype.name,
        )
        net.parameters = parameters
        parts: list[Sequential | Layer] = [net, *layers]
        for part, described in zip(parts, [description, *description["layers"]], strict=True):
            initializer = described.get("initializer")
            vars(part)["initializer"] = None if initializer is None else initializer_of(initializer)
    except NotGivenError as error:
        raise ValueError(f"{path} {error}") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is broken: {error}") from None
    return net
