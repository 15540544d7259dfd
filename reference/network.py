"""The network: a sequence of layers, its loss and its gradient.

n samples, I inputs, K outputs of the last layer, P parameters in total.

The loss of a batch is L = Σ_i w_i l_i / Σ_i w_i + Σ penalties of the layers, over its samples, with
w_i = 1 without sample_weight. So sample i contributes to the gradient with its share w_i / Σ w.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from random import Random  # the standard library's: imports are absolute, ours is `.random`
from typing import Any

from . import options, training
from .activations import ROW_ACTIVATIONS
from .dropout import Dropout
from .initializers import check_initializer
from .layers import Dense, check_penalties
from .loss_choice import choose_loss, targets_of
from .losses import Loss
from .normalization import LayerNormalization
from .stopping import EarlyStopping, History

Layer = Dense | Dropout | LayerNormalization
Sample = tuple[list[float], list[float], float]  # row (I,), target (K,), weight


class Sequential:
    """A sequence of layers: the outputs of each are the inputs of the next."""

    def __init__(
        self,
        layers: Iterable[Layer],
        *,
        inputs: int,
        initializer: str | float | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.layers = list(layers)
        self.inputs = inputs
        self.seed = seed
        self._last_rows: list[list[float]] = []
        if not self.layers:
            raise ValueError("layers is empty; a network needs at least one")
        if inputs < 1:
            raise ValueError(f"inputs is {inputs}; a network needs at least one")
        check_initializer(initializer)
        check_penalties(l1, l2)
        last = self.layers[-1]
        if not isinstance(last, Dense):
            raise ValueError(f"the last layer is a {type(last).__name__}; it must be Dense")
        self.last = last  # the output layer
        for layer in self.layers[:-1]:
            if isinstance(layer, Dense) and layer.activation in ROW_ACTIVATIONS:
                raise ValueError(f"{layer.activation} is for the output layer only, not for a hidden one")
        self.dropouts = [(i, layer) for i, layer in enumerate(self.layers) if isinstance(layer, Dropout)]
        r = Random(seed)  # one stream for the whole network
        for layer in self.layers:
            layer.build(inputs, initializer, r)
            inputs = layer.units
            if isinstance(layer, Dense):
                layer.l1 = l1 if layer.l1 is None else layer.l1
                layer.l2 = l2 if layer.l2 is None else layer.l2

    # One sample: forward through the layers, backward through them in reverse.

    def forward_row(self, row: Sequence[float]) -> Sequence[float]:
        """row (I,) -> outputs (K,)."""
        values = row
        for layer in self.layers:
            values = layer.forward(values)
        return values

    def backward_row(self, d_output: Sequence[float], *, of_logits: bool = False) -> None:
        """Add dL/dparameters of the last row to the gradients, given dL/doutput (K,).

        With of_logits, d_output is dL/dz of the output layer instead.
        """
        d_values = self.last.backward_z(d_output) if of_logits else self.last.backward(d_output)
        for layer in reversed(self.layers[:-1]):
            d_values = layer.backward(d_values)

    # Step by step.

    def predict(self, X: Iterable[Iterable[float]]) -> list[list[float]]:
        """X (n, I) -> outputs (n, K)."""
        return [list(self.forward_row(row)) for row in self._rows(X)]

    def forward(self, X: Iterable[Iterable[float]]) -> list[list[float]]:
        """X (n, I) -> outputs (n, K), and keep X for backward."""
        self._last_rows = self._rows(X)
        return self.predict(self._last_rows)

    def backward(self, d_output: Iterable[Iterable[float]]) -> None:
        """Add dL/dparameters to the gradients, given dL/doutput (n, K) for the last forward.

        A layer remembers one row only, so each row goes forward once more before it goes backward.
        """
        d_rows = [[float(d) for d in d_row] for d_row in d_output]
        shape = (len(self._last_rows), self.last.units)
        if len(d_rows) != shape[0] or any(len(d_row) != shape[1] for d_row in d_rows):
            raise ValueError(f"d_output does not have the shape {shape} of the last forward")
        for row, d_row in zip(self._last_rows, d_rows):
            self.forward_row(row)
            self.backward_row(d_row)

    # Derivatives by the inputs: each layer's backward returns the derivatives by the layer's inputs.

    def jacobian(self, X: Iterable[Iterable[float]]) -> list[list[list[float]]]:
        """X (n, I) -> dy/dx (n, K, I): for each sample the row k holds the derivatives of output k.

        Sets the gradients to 0.

        >>> net = Sequential([Dense(2, weights=[[1.0, 2.0], [3.0, 4.0]])], inputs=2)
        >>> net.jacobian([[0.5, 0.5]])
        [[[1.0, 3.0], [2.0, 4.0]]]
        """
        return [[self._row_gradient(row, k) for k in range(self.last.units)] for row in self._rows(X)]

    def input_gradient(self, X: Iterable[Iterable[float]], output: int = 0) -> list[list[float]]:
        """X (n, I) -> the derivatives (n, I) of one output. Sets the gradients to 0."""
        if not 0 <= output < self.last.units:
            raise ValueError(f"output is {output}; it must be from 0 to {self.last.units - 1}")
        return [self._row_gradient(row, output) for row in self._rows(X)]

    def _row_gradient(self, row: Sequence[float], k: int) -> list[float]:
        """row (I,) -> dy_k/dx (I,)."""
        self.forward_row(row)
        d_values = [1.0 if j == k else 0.0 for j in range(self.last.units)]  # dy_k/dy_j
        for layer in reversed(self.layers):
            d_values = layer.backward(d_values)
        self.zero_grad()  # the layers have also added to their parameters' gradients
        return d_values

    def zero_grad(self) -> None:
        """Set the gradients to 0."""
        for layer in self.layers:
            layer.zero_grad()

    def update(self, learning_rate: float) -> None:
        """One step of gradient descent: p -= learning_rate g."""
        for layer in self.layers:
            layer.update(learning_rate)

    @property
    def parameters(self) -> list[float]:
        """A copy of all parameters (P,), layer by layer: weights (I, U) row by row, then bias (U,).

        Assigning a list sets them.
        """
        return [value for layer in self.layers for value in layer.parameters]

    @parameters.setter
    def parameters(self, values: Sequence[float]) -> None:
        values = [float(value) for value in values]
        if len(values) != len(self.parameters):
            raise ValueError(f"parameters are {len(self.parameters)} numbers, not {len(values)}")
        start = 0
        for layer in self.layers:
            stop = start + len(layer.parameters)
            layer.parameters = values[start:stop]
            start = stop

    @property
    def gradients(self) -> list[float]:
        """dL/dparameters (P,), in the order of parameters."""
        return [value for layer in self.layers for value in layer.gradients]

    # The loss and its gradient.

    def evaluate(
        self,
        X: Iterable[Iterable[float]],
        y: Iterable[Any],
        loss: str | Loss = "mse",
        sample_weight: Iterable[float] | None = None,
    ) -> float:
        """The loss L over all rows. X (n, I), y (n,) or (n, K), sample_weight (n,)."""
        return self._evaluate(self._samples(X, y, loss, sample_weight), loss)[0]

    def loss_and_gradient(
        self,
        X: Iterable[Iterable[float]],
        y: Iterable[Any],
        loss: str | Loss = "mse",
        sample_weight: Iterable[float] | None = None,
    ) -> tuple[float, list[float]]:
        """L and dL/dparameters (P,), over all rows; `gradients` holds the same afterwards."""
        samples = self._samples(X, y, loss, sample_weight)
        total, total_weight, _ = self._backpropagate(samples, range(len(samples)), loss)
        return total / total_weight, self.gradients

    def _evaluate(self, samples: list[Sample], loss: str | Loss) -> tuple[float, dict[int, list[float]]]:
        """L, and the outputs of the samples that count."""
        value, _, settings, of_logits = choose_loss(loss, self.last.activation, self.last.units)
        total = 0.0
        total_weight = 0.0
        outputs = {}
        for i, (row, target, weight) in enumerate(samples):
            if weight != 0.0:
                output = self.forward_row(row)
                total += weight * value(self.last.z if of_logits else output, target, **settings)
                total_weight += weight
                outputs[i] = list(output)
        return (total + total_weight * self.penalty()) / total_weight, outputs

    def _backpropagate(
        self,
        samples: list[Sample],
        batch: Sequence[int],
        loss: str | Loss,
        dropout: tuple[int, int] | None = None,
        *,
        keep_outputs: bool = False,
    ) -> tuple[float, float, dict[int, list[float]]]:
        """Set the gradients to dL/dparameters of a batch, which is given as the numbers of its samples.

        Returns L Σ w, Σ w and, if they are to be kept, the outputs of the samples that count. Values are
        dropped if `dropout`, the seed and the epoch of a training, is given.
        """
        value, derivative, settings, of_logits = choose_loss(loss, self.last.activation, self.last.units)
        total = 0.0
        total_weight = 0.0
        outputs = {}
        for i in batch:
            total_weight += samples[i][2]
        self.zero_grad()
        for i in batch:
            row, target, weight = samples[i]
            if weight != 0.0:
                if self.dropouts and dropout is not None:
                    self._drop(*dropout, i)
                output = self.forward_row(row)
                seen = self.last.z if of_logits else output
                total += weight * value(seen, target, **settings)
                share = weight / total_weight
                d_output = [share * d for d in derivative(seen, target, **settings)]
                self.backward_row(d_output, of_logits=of_logits)
                if keep_outputs:
                    outputs[i] = list(output)
        for layer in self.layers:
            if isinstance(layer, Dense):
                layer.backward_penalty()
        return total + total_weight * self.penalty(), total_weight, outputs

    def penalty(self) -> float:
        """Σ of the layers' penalties."""
        total = 0.0
        for layer in self.layers:
            if isinstance(layer, Dense):
                total += layer.penalty()
        return total

    def _drop(self, seed: int, epoch: int, sample: int) -> None:
        """Choose what the Dropout layers drop for a sample."""
        for number, layer in self.dropouts:
            layer.choose(seed, epoch, number, sample)

    def drop_nothing(self) -> None:
        """Make the Dropout layers drop nothing, after training and between its epochs."""
        for _, layer in self.dropouts:
            layer.choose_nothing()

    # Whole runs.

    def fit(
        self,
        X: Iterable[Iterable[float]],
        y: Iterable[Any],
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        optimizer: Any = None,
        loss: str | Loss = "mse",
        shuffle: bool = True,
        sample_weight: Iterable[float] | None = None,
        class_weight: dict[int, float] | str | None = None,
        validation_data: Sequence[Any] | None = None,
        validation_split: float | None = None,
        metrics: Iterable[str] = (),
        early_stopping: EarlyStopping | None = None,
        seed: int | None = None,
        log_every: int | None = None,
    ) -> History:
        """Train for some epochs. X (n, I), y (n,) or (n, K), sample_weight (n,).

        batch_size=None makes one update per epoch, over all rows in their order; a number makes
        mini-batches of that many rows, the last one shorter, in an order that changes each epoch
        unless shuffle is False. The loss of an epoch is the mean over its rows, each with the
        parameters its batch started from. If a loss or a parameter is not finite, the fit ends with
        the last parameters whose loss was finite, status "diverged" and a RuntimeWarning.

        optimizer is an object or a name; None is SGD(). class_weight multiplies the weights of the rows
        of a class. validation_data, (X, y) or (X, y, sample_weight), or the share validation_split of the
        rows, is not trained on: val_loss is its loss after each epoch. metrics are names, like "accuracy".
        """
        return training.fit(
            self,
            X,
            y,
            options.Options(
                epochs=epochs,
                batch_size=batch_size,
                optimizer=options.optimizer_of(optimizer),
                loss=loss,
                shuffle=shuffle,
                sample_weight=sample_weight,
                class_weight=class_weight,
                validation_data=validation_data,
                validation_split=validation_split,
                metrics=[metrics] if isinstance(metrics, str) else list(metrics),
                early_stopping=early_stopping,
                seed=self.seed if seed is None else seed,
                log_every=log_every,
            ),
        )

    # The user's arguments, as lists of floats.

    def _rows(self, X: Iterable[Iterable[float]]) -> list[list[float]]:
        """X as rows of floats (n, I)."""
        rows = [[float(x) for x in row] for row in X]
        if not rows:
            raise ValueError("X has no rows")
        for row in rows:
            if len(row) != self.inputs:
                raise ValueError(f"X has a row of {len(row)} numbers; inputs is {self.inputs}")
        return rows

    def _samples(
        self,
        X: Iterable[Iterable[float]],
        y: Iterable[Any],
        loss: str | Loss,
        sample_weight: Iterable[float] | None,
    ) -> list[Sample]:
        """The samples as (row (I,), target (K,), weight)."""
        choose_loss(loss, self.last.activation, self.last.units)  # raises if they do not fit, before y is read
        rows = self._rows(X)
        targets = targets_of(y, loss, self.last.activation, self.last.units)
        if sample_weight is None:
            weights = [1.0] * len(rows)
        else:
            weights = [float(weight) for weight in sample_weight]
        if len(targets) != len(rows):
            raise ValueError(f"y has {len(targets)} rows, X has {len(rows)}")
        if len(weights) != len(rows):
            raise ValueError(f"sample_weight has {len(weights)} entries, X has {len(rows)} rows")
        if not all(math.isfinite(weight) and weight >= 0.0 for weight in weights):
            raise ValueError("sample_weight has an entry that is negative or not finite")
        if not any(weights):
            raise ValueError("sample_weight is 0 everywhere; no row is left")
        return list(zip(rows, targets, weights))


def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "sigmoid",
    output: str = "identity",
    initializer: str | float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    dropout: float = 0.0,
    seed: int = 0,
) -> Sequential:
    """A network of dense layers: mlp([2, 4, 1]) has 2 inputs, 4 hidden units and 1 output.

    With `dropout` above 0 a Dropout layer of this rate follows each hidden layer.
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes has {len(sizes)} entries; it needs inputs and outputs at least")
    layers: list[Layer] = []
    for units in sizes[1:-1]:
        layers.append(Dense(units, activation))
        if dropout != 0.0:
            layers.append(Dropout(dropout))
    layers.append(Dense(sizes[-1], output))
    return Sequential(layers, inputs=sizes[0], initializer=initializer, l1=l1, l2=l2, seed=seed)
