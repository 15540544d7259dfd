"""Networks: layers in a row, their parameters, and what can be done with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import checks, compiled, files, training
from fastnn.activations import ACTIVATIONS
from fastnn.dataset import Dataset, Rows
from fastnn.history import History
from fastnn.initializers import INITIALIZERS, Stream
from fastnn.kernels import losses as loss_kinds_of_kernels
from fastnn.layers import Dense, parameter_views
from fastnn.loss_kinds import LOSSES, check_targets
from fastnn.optimizers import SGD, optimizer_of
from fastnn.plan import LayerShape, Task, make_plan, read_only

Array = npt.NDArray[Any]

MOST_SEED = 2**63 - 1
MOST_EPOCHS = 10**9
# Rows for which predict() stays in compiled code at a time: a tenth of a second for a big network.
PREDICTION_OPERATIONS = 1e9


class Sequential:
    """A network of layers in a row.

    Parameters
    ----------
    layers : Dense layers, from the first to the output layer.
    inputs : how many numbers (features) a sample has.
    initializer : of the weights of layers that have none of their own; without one, each layer has the one that
        suits its activation (He for the ReLU family, else Glorot).
    seed : of the initial weights, and of the shuffling in ``fit``; 0 or more.
    dtype : "float64" or "float32", of all that is computed.

    Attributes
    ----------
    parameters, gradients : (P,) all weights and biases, and the gradient that ``backward`` adds up: layer by
        layer, weights (inputs, units) row by row, then bias. Views: what is written there, the network has.
    layers : the Dense layers, with ``weights`` and ``bias``, which are views too.
    history : the History of the last ``fit``, also of one that was interrupted; None before.

    Raises
    ------
    TypeError, ValueError
        For anything else, with the argument's name and value.

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

    def __init__(
        self,
        layers: Iterable[Dense],
        *,
        inputs: int,
        initializer: str | None = None,
        seed: int = 0,
        dtype: Any = "float64",
    ) -> None:
        self.layers: Sequence[Dense] = tuple(checks.members(layers, "layers", Dense))
        self.inputs = checks.whole_number(inputs, "inputs", least=1)
        self.seed = checks.whole_number(seed, "seed", least=0, most=MOST_SEED)
        self.dtype = checks.dtype_of(dtype)
        if initializer is not None:
            checks.choice(initializer, "initializer", INITIALIZERS)
        self.initializer = initializer
        self.history: History | None = None
        self._shapes = self._check_layers()
        count = sum(shape.parameters for shape in self._shapes)
        self._parameters = np.zeros(count, self.dtype)
        self._gradients = np.zeros(count, self.dtype)
        self._last_forward: tuple[Array, Array] | None = None  # rows, and the parameters they met
        stream, start = Stream(self.seed), 0
        for layer, shape in zip(self.layers, self._shapes, strict=True):
            layer.bind(*parameter_views(shape, self._parameters, start), initializer, stream)
            start += shape.parameters

    def _check_layers(self) -> tuple[LayerShape, ...]:
        shapes, inputs = [], self.inputs
        for i, layer in enumerate(self.layers):
            name = f"layers[{i}]"
            layer.check(inputs, name)
            if any(layer is other for other in self.layers[:i]):
                raise ValueError(f"{name} stands in the network twice; make a Dense for each")
            if layer.activation == "softmax" and i < len(self.layers) - 1:
                raise ValueError(f"activation of {name} is 'softmax', which is for the output layer only")
            shapes.append(layer.shape(inputs))
            inputs = layer.units
        return tuple(shapes)

    @property
    def outputs(self) -> int:
        """How many numbers are predicted for a sample."""
        return self.layers[-1].units

    @property
    def parameters(self) -> Array:
        """(P,) all weights and biases, a view. Assigning copies numbers into it."""
        return self._parameters

    @parameters.setter
    def parameters(self, values: Any) -> None:
        checked = checks.finite(checks.numbers_of(values, "parameters"), self.dtype, "parameters")
        if checked.shape != self._parameters.shape:
            raise ValueError(f"parameters have shape {checked.shape}; {self._parameters.shape} is needed")
        self._parameters[:] = checked

    @property
    def gradients(self) -> Array:
        """(P,) the sum of what ``backward`` found since ``zero_grad``, in the order of ``parameters``; a view."""
        return self._gradients

    # Step by step ----------------------------------------------------------------------------------

    def predict(self, X: Any) -> Array:
        """The outputs for rows of inputs.

        Parameters
        ----------
        X : (n, inputs) numbers.

        Returns
        -------
        (n, outputs) in the network's dtype. A row gets the same bits alone as among others.

        Raises
        ------
        TypeError, ValueError
            If X is not that.
        """
        return self._predict(self._matrix(X))

    def _matrix(self, X: Any) -> Array:
        return checks.matrix(X, "X", self.dtype, self.inputs)

    def _predict(self, rows: Array) -> Array:
        plan = make_plan(
            self._shapes, self.inputs, self.outputs, len(rows), self.dtype, Task(batch_size=len(rows))
        )
        outputs = np.empty((len(rows), self.outputs), self.dtype)
        flat = read_only(rows.reshape(-1))
        memory = plan.numbers, self._parameters, flat, outputs.reshape(-1), plan.scratch()
        compiled.predict.prepare(self.dtype, *memory, 0, 0)
        at_once = max(plan.tile, int(PREDICTION_OPERATIONS / (2 * len(self._parameters))))
        for first in range(0, len(rows), at_once):
            compiled.predict(*memory, first, min(at_once, len(rows) - first))
        return outputs

    def forward(self, X: Any) -> Array:
        """Like ``predict``, and remembers the rows for ``backward``."""
        rows = self._matrix(X)
        outputs = self._predict(rows)
        self._last_forward = rows.copy() if np.may_share_memory(rows, X) else rows, self._parameters.copy()
        return outputs

    def zero_grad(self) -> None:
        """Set ``gradients`` to 0."""
        self._gradients[:] = 0

    def backward(self, d_output: Any) -> None:
        """Add the gradient by the parameters to ``gradients``.

        Parameters
        ----------
        d_output : (n, outputs), or (n,) for one output: the derivative of what is to be made small by each
            of the outputs of the last ``forward``.

        Raises
        ------
        RuntimeError
            If there was no ``forward``.
        TypeError, ValueError
            If d_output is not that.

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
        # Σ d·output is a loss whose derivative by the outputs is d.
        problem = training.Problem(self._shapes, loss_kinds_of_kernels.LINEAR, fused=False)
        self._gradients += training.summed_gradient(problem, parameters, Rows(rows, d, None))

    def update(self, learning_rate: float) -> None:
        """One step of gradient descent: take learning_rate·gradients from the parameters.

        Raises
        ------
        TypeError, ValueError
            If learning_rate is no number above 0.
        """
        rate = checks.real_number(learning_rate, "learning_rate", above=0.0)
        self._parameters -= self.dtype.type(rate) * self._gradients

    # Whole runs ------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        optimizer: SGD | str | None = None,
        loss: str = "mse",
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        log_every: int | None = None,
    ) -> History:
        """Train the network.

        Ctrl-C ends it within a fraction of a second; the parameters are then those of the last finished update,
        and ``history`` tells how far it got. If the loss is no longer finite, the fit ends with a warning and
        the last finite parameters.

        Parameters
        ----------
        X : (n, inputs) numbers, or a Dataset in place of X, y and sample_weight.
        y : (n,) or (n, outputs) targets; for loss "cross_entropy" labels (n,) or class shares (n, outputs).
        epochs : passes over the data.
        batch_size : rows for one update. None is batch gradient descent: one update an epoch, with all rows;
            1 is stochastic gradient descent. A last batch may be short.
        optimizer : SGD(…) or "sgd"; without one SGD(0.01).
        loss : "mse", "half_sse", "mae", "binary_cross_entropy" (for sigmoid outputs) or "cross_entropy" (for
            softmax or sigmoid outputs); see ``fastnn.losses``.
        shuffle : whether mini-batches are drawn in a new order each epoch.
        sample_weight : (n,) numbers, 0 or more. The loss of a batch is Σ w·l / Σ w: weight 2 counts as the row
            twice, weight 0 as the row left out.
        seed : of the shuffling; without one the network's.
        log_every : print epoch and loss for the first epoch, each multiple of this, and the last.

        Returns
        -------
        History : with the loss of each epoch, before its updates. It is ``net.history`` too.

        Raises
        ------
        TypeError, ValueError
            If an argument is not that, before anything is changed.
        """
        options = training.Options(
            epochs=checks.whole_number(epochs, "epochs", least=1, most=MOST_EPOCHS),
            batch_size=None if batch_size is None else checks.whole_number(batch_size, "batch_size", least=1),
            optimizer=optimizer_of(optimizer),
            shuffle=checks.truth(shuffle, "shuffle"),
            seed=self.seed if seed is None else checks.whole_number(seed, "seed", least=0, most=MOST_SEED),
            log_every=None if log_every is None else checks.whole_number(log_every, "log_every", least=1),
        )
        self._refuse_steps()
        problem, rows, dataset = self._problem(X, y, sample_weight, loss)

        def report(history: History) -> None:
            self.history = history

        training.fit(problem, self._parameters, rows, dataset, options, report)
        assert self.history is not None
        return self.history

    def _refuse_steps(self) -> None:
        for i, layer in enumerate(self.layers):
            if layer.activation == "step":
                raise ValueError(
                    f"activation of layers[{i}] is 'step', whose derivative is 0: nothing up to it would learn; "
                    "train with 'sigmoid' and predict with 'step'"
                )

    def _problem(
        self, X: Any, y: Any, sample_weight: Any, loss: str
    ) -> tuple[training.Problem, Rows, Dataset | None]:
        """What a loss of rows is for the kernels, after all checks."""
        name = checks.choice(loss, "loss", LOSSES)
        kind, fused = LOSSES[name].kind_for(name, self.layers[-1].activation)
        problem = training.Problem(self._shapes, kind, fused)
        if isinstance(X, Dataset):
            if y is not None or sample_weight is not None:
                raise TypeError("X is a Dataset, which has its own y and sample_weight; they cannot be given too")
            return problem, X.rows(self.inputs, self.outputs, name, self.dtype), X
        if y is None:
            raise TypeError("y is missing; targets are needed, or a Dataset in place of X and y")
        matrix = self._matrix(X)
        targets = check_targets(LOSSES[name], y, len(matrix), self.outputs, self.dtype)
        weights = checks.sample_weights(sample_weight, len(matrix), self.dtype)
        return problem, Rows(matrix, targets, weights), None

    def evaluate(self, X: Any, y: Any = None, *, loss: str = "mse", sample_weight: Any = None) -> float:
        """The loss of rows, as ``fit`` takes them, without training.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform")
        >>> round(net.evaluate(*fastnn.datasets.circle(density=10)), 4)
        0.2919
        """
        problem, rows, dataset = self._problem(X, y, sample_weight, loss)
        return training.evaluate(problem, self._parameters, rows, dataset)

    def loss_and_gradient(
        self, X: Any, y: Any = None, *, loss: str = "mse", sample_weight: Any = None
    ) -> tuple[float, Array]:
        """The loss of rows, as ``fit`` takes them, and its gradient (P,) by the parameters.

        Changes nothing in the network; for other people's optimizers.
        """
        problem, rows, dataset = self._problem(X, y, sample_weight, loss)
        return training.gradient(problem, self._parameters, rows, dataset)

    # For people ------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to a file (.npz, without pickle); whole or not at all.

        ``fastnn.load`` reads it. The history is not part of it.

        Raises
        ------
        OSError
            If the file cannot be written; an older file of that name is then as it was.
        """
        files.write(path, describe(self), self._parameters)

    def summary(self) -> str:
        """A table of the layers: shape, activation, initializer and number of parameters."""
        rows = [("layer", "weights", "activation", "initializer", "parameters")]
        for i, (layer, shape) in enumerate(zip(self.layers, self._shapes, strict=True)):
            size = f"({shape.inputs}, {shape.units})"
            rows.append(
                (
                    f"dense {i + 1}",
                    size,
                    layer.activation,
                    layer.initializer or "own",
                    f"{shape.parameters:,}",
                )
            )
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
        count, memory = len(self._parameters), self._parameters.nbytes
        lines.append(f"{count:,} parameters, {memory:,} bytes, {self.dtype}, {self.inputs} inputs")
        return "\n".join(lines)

    def __repr__(self) -> str:
        layers = " > ".join(f"{layer.units} {layer.activation}" for layer in self.layers)
        return f"<Sequential: {self.inputs} > {layers}, {len(self._parameters)} parameters, {self.dtype}>"


def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "sigmoid",
    output: str = "identity",
    initializer: str | None = None,
    seed: int = 0,
    dtype: Any = "float64",
) -> Sequential:
    """A network of dense layers, by their sizes.

    Parameters
    ----------
    sizes : numbers of inputs, of units of each hidden layer, and of outputs.
    activation, output : of the hidden layers, and of the output layer.
    initializer, seed, dtype : as ``Sequential`` has them.

    Raises
    ------
    TypeError, ValueError
        For anything else, with the argument's name and value.

    Examples
    --------
    >>> mlp([2, 16, 16, 3], activation="relu", output="softmax")
    <Sequential: 2 > 16 relu > 16 relu > 3 softmax, 371 parameters, float64>
    """
    numbers = [checks.whole_number(size, f"sizes[{i}]", least=1) for i, size in enumerate(_list(sizes))]
    if len(numbers) < 2:
        raise ValueError(f"sizes is {sizes!r}; at least the numbers of inputs and outputs are needed")
    checks.choice(activation, "activation", ACTIVATIONS)
    checks.choice(output, "output", ACTIVATIONS)
    layers = [Dense(units, activation) for units in numbers[1:-1]]
    return Sequential(
        [*layers, Dense(numbers[-1], output)],
        inputs=numbers[0],
        initializer=initializer,
        seed=seed,
        dtype=dtype,
    )


def _list(sizes: Any) -> list[Any]:
    if not isinstance(sizes, Iterable) or isinstance(sizes, (str, bytes)):
        raise TypeError(f"sizes is {sizes!r}; a list of whole numbers is needed")
    return list(sizes)


def describe(net: Sequential) -> dict[str, Any]:
    """All of a network but its parameters, as JSON can hold it."""
    return {
        "inputs": net.inputs,
        "seed": net.seed,
        "initializer": net.initializer,
        "layers": [
            {"units": layer.units, "activation": layer.activation, "initializer": layer.initializer}
            for layer in net.layers
        ],
    }


def load(path: str | PathLike[str]) -> Sequential:
    """Read a network from a file that ``Sequential.save`` wrote.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is broken, of another program, or of a later version.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.npz"
    >>> mlp([2, 3, 1]).save(path)
    >>> load(path)
    <Sequential: 2 > 3 sigmoid > 1 identity, 13 parameters, float64>
    """
    description, parameters = files.read(path)
    try:
        described: list[dict[str, Any]] = description["layers"]
        net = Sequential(
            [Dense(layer["units"], layer.get("activation", "")) for layer in described],
            inputs=description["inputs"],
            seed=description.get("seed", -1),
            dtype=parameters.dtype.name,
        )
        net.parameters = parameters
        initializers = [description.get("initializer"), *(layer.get("initializer") for layer in described)]
        for name in initializers:
            if name is not None:
                checks.choice(name, "initializer", INITIALIZERS)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is broken: {error}") from None
    net.initializer = initializers[0]
    for layer, name in zip(net.layers, initializers[1:], strict=True):
        layer.initializer = name
    return net
