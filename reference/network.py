"""The network: layers in a row, and the training loop.

n samples, I inputs, K outputs of the last layer, P parameters in all.

The loss of a batch is L = Σ_i w_i l_i / Σ_i w_i over its samples, with w_i = 1 unless sample_weight
says otherwise. So sample i enters the gradient with its share w_i / Σ w.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random  # the standard library's: imports are absolute, ours is `.random`
from typing import Any

from .initializers import INITIALIZERS
from .layers import Dense
from .losses import LOGIT_LOSSES, LOSSES
from .optimizers import SGD
from .random import permutation

Sample = tuple[list[float], list[float], float]  # row (I,), target (K,), weight


@dataclass
class History:
    """What a fit did: the loss of each epoch that was run, and how it ended."""

    loss: list[float]
    status: str  # "finished" or "diverged"

    @property
    def epochs(self) -> int:
        """How many epochs were run to their end."""
        return len(self.loss)


class Sequential:
    """Layers in a row: the outputs of each are the inputs of the next."""

    def __init__(
        self,
        layers: Iterable[Dense],
        *,
        inputs: int,
        initializer: str | None = None,
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
        if initializer is not None and initializer not in INITIALIZERS:
            raise ValueError(f"initializer is {initializer!r}; known are {', '.join(INITIALIZERS)}")
        for layer in self.layers[:-1]:
            if layer.activation == "softmax":
                raise ValueError("softmax is for the output layer only, not for a hidden one")
        r = Random(seed)  # one stream for the whole network
        for layer in self.layers:
            layer.build(inputs, initializer, r)
            inputs = layer.units

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
        last = self.layers[-1]
        d_values = last.backward_z(d_output) if of_logits else last.backward(d_output)
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

        A layer remembers one row only, so each row goes forward once more before it goes back.
        """
        d_rows = [[float(d) for d in d_row] for d_row in d_output]
        shape = (len(self._last_rows), self.layers[-1].units)
        if len(d_rows) != shape[0] or any(len(d_row) != shape[1] for d_row in d_rows):
            raise ValueError(f"d_output does not have the shape {shape} of the last forward")
        for row, d_row in zip(self._last_rows, d_rows):
            self.forward_row(row)
            self.backward_row(d_row)

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
            stop = start + (layer.inputs + 1) * layer.units
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
        loss: str = "mse",
        sample_weight: Iterable[float] | None = None,
    ) -> float:
        """L = Σ w l / Σ w over all rows. X (n, I), y (n,) or (n, K), sample_weight (n,)."""
        samples = self._samples(X, y, loss, sample_weight)
        value, _, of_logits = self._choose_loss(loss)
        total = 0.0
        total_weight = 0.0
        for row, target, weight in samples:
            if weight != 0.0:
                output = self.forward_row(row)
                total += weight * value(self.layers[-1].z if of_logits else output, target)
                total_weight += weight
        return total / total_weight

    def loss_and_gradient(
        self,
        X: Iterable[Iterable[float]],
        y: Iterable[Any],
        loss: str = "mse",
        sample_weight: Iterable[float] | None = None,
    ) -> tuple[float, list[float]]:
        """L and dL/dparameters (P,), over all rows; `gradients` holds the same afterwards."""
        total, total_weight = self._backpropagate(self._samples(X, y, loss, sample_weight), loss)
        return total / total_weight, self.gradients

    def _backpropagate(self, samples: list[Sample], loss: str) -> tuple[float, float]:
        """Set the gradients to dL/dparameters of these samples; returns Σ w l and Σ w."""
        value, derivative, of_logits = self._choose_loss(loss)
        total = 0.0
        total_weight = 0.0
        for _, _, weight in samples:
            total_weight += weight
        self.zero_grad()
        for row, target, weight in samples:
            if weight != 0.0:
                output = self.forward_row(row)
                seen = self.layers[-1].z if of_logits else output
                total += weight * value(seen, target)
                share = weight / total_weight
                d_output = [share * d for d in derivative(seen, target)]
                self.backward_row(d_output, of_logits=of_logits)
        return total, total_weight

    # Whole runs.

    def fit(
        self,
        X: Iterable[Iterable[float]],
        y: Iterable[Any],
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        optimizer: SGD | None = None,
        loss: str = "mse",
        shuffle: bool = True,
        sample_weight: Iterable[float] | None = None,
        seed: int | None = None,
        log_every: int | None = None,
    ) -> History:
        """Train for some epochs. X (n, I), y (n,) or (n, K), sample_weight (n,).

        batch_size=None makes one update an epoch, over all rows in their order; a number makes
        mini-batches of so many rows, the last one shorter, in an order that changes each epoch
        unless shuffle is False. The loss of an epoch is the mean over its rows, each with the
        parameters its batch started from. If a loss or gradient is not finite, the fit ends with
        the last parameters whose loss was, status "diverged" and a RuntimeWarning.
        """
        for name, number in [
            ("epochs", epochs),
            ("batch_size", batch_size),
            ("log_every", log_every),
        ]:
            if number is not None and number < 1:
                raise ValueError(f"{name} is {number}; it must be at least 1")
        for layer in self.layers:
            if layer.activation == "step":
                raise ValueError(
                    "a network with step cannot be trained: its derivative is 0, so nothing up to it "
                    "would learn; use sigmoid"
                )
        samples = self._samples(X, y, loss, sample_weight)
        if optimizer is None:
            optimizer = SGD()
        if seed is None:
            seed = self.seed

        previous = self.parameters  # from before the last update
        optimizer.start(len(previous))
        losses: list[float] = []
        for epoch in range(epochs):
            epoch_total = 0.0
            epoch_weight = 0.0
            for batch in _batches(samples, batch_size, shuffle, seed, epoch):
                total, weight = self._backpropagate(batch, loss)
                if weight == 0.0:
                    continue  # only rows that are left out
                if not math.isfinite(total):
                    return self._diverged(previous, losses)
                previous = self.parameters
                self.parameters = optimizer.update(previous, self.gradients)
                if not _all_finite(self.parameters):
                    return self._diverged(previous, losses)
                epoch_total += total
                epoch_weight += weight
            losses.append(epoch_total / epoch_weight)
            number = epoch + 1
            if log_every is not None and (number in (1, epochs) or number % log_every == 0):
                print(f"{number} {losses[-1]:.4f}")
        return History(losses, "finished")

    def _diverged(self, previous: list[float], losses: list[float]) -> History:
        """Go back one update and say so."""
        self.parameters = previous
        warnings.warn(
            f"the training diverged after {len(losses)} whole epochs and went back to the last "
            "finite parameters; try a smaller learning rate, or inputs scaled to about 1",
            RuntimeWarning,
            stacklevel=3,
        )
        return History(losses, "diverged")

    # What the user gives, as lists of floats.

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
        loss: str,
        sample_weight: Iterable[float] | None,
    ) -> list[Sample]:
        """The samples as (row (I,), target (K,), weight)."""
        self._choose_loss(loss)  # refuses what does not fit, before a look at y
        rows = self._rows(X)
        targets = self._targets(y, loss)
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

    def _targets(self, y: Iterable[Any], loss: str) -> list[list[float]]:
        """y as rows of floats (n, K): labels become one-hot rows, plain numbers rows of one."""
        units = self.layers[-1].units
        targets = []
        for value in y:
            if hasattr(value, "__len__"):
                target = [float(t) for t in value]
            elif loss == "cross_entropy":
                if value not in range(units):
                    raise ValueError(f"y has the label {value}; labels are 0 to {units - 1}")
                target = [1.0 if k == value else 0.0 for k in range(units)]
            else:
                target = [float(value)]
            if len(target) != units:
                raise ValueError(f"y has a row of {len(target)} numbers for {units} outputs")
            targets.append(target)
        return targets

    def _choose_loss(self, loss: str) -> tuple[Any, Any, bool]:
        """The value and derivative of a loss, and whether they are functions of z instead of p."""
        if loss not in LOSSES:
            raise ValueError(f"loss is {loss!r}; known are {', '.join(LOSSES)}")
        if loss not in LOGIT_LOSSES:
            return (*LOSSES[loss], False)
        activation = self.layers[-1].activation
        if activation not in LOGIT_LOSSES[loss]:
            accepted = " or ".join(LOGIT_LOSSES[loss])
            raise ValueError(f"{loss} needs {accepted} outputs; these are {activation}")
        return (*LOGIT_LOSSES[loss][activation], True)


def _batches(
    samples: list[Sample], batch_size: int | None, shuffle: bool, seed: int, epoch: int
) -> list[list[Sample]]:
    """The batches of one epoch."""
    if batch_size is None:
        return [samples]
    if shuffle:
        samples = [samples[i] for i in permutation(len(samples), seed, epoch)]
    starts = range(0, len(samples), batch_size)
    return [samples[start : start + batch_size] for start in starts]


def _all_finite(values: Iterable[float]) -> bool:
    """No infinity and no NaN."""
    return all(math.isfinite(value) for value in values)


def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "sigmoid",
    output: str = "identity",
    initializer: str | None = None,
    seed: int = 0,
) -> Sequential:
    """A network of dense layers: mlp([2, 4, 1]) has 2 inputs, 4 hidden units and 1 output."""
    if len(sizes) < 2:
        raise ValueError(f"sizes has {len(sizes)} entries; it needs inputs and outputs at least")
    layers = [Dense(units, activation) for units in sizes[1:-1]]
    layers.append(Dense(sizes[-1], output))
    return Sequential(layers, inputs=sizes[0], initializer=initializer, seed=seed)
