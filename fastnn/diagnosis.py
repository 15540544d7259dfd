"""Diagnosis: measures what keeps a network from learning, and says it in sentences."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import checks, findings, training
from fastnn.dataset import Rows, rows_of
from fastnn.findings import figure, percent
from fastnn.inspection import LayerDiagnosis as LayerDiagnosis
from fastnn.inspection import inspect, norm, reach_of
from fastnn.loss_kinds import Kind, Loss
from fastnn.network import Sequential

Array = npt.NDArray[Any]

# Smaller rates are tried until one lowers the loss, down to a billionth.
SMALLER, TRIALS = 0.5, 30


@dataclass(frozen=True)
class Diagnosis:
    """The result of ``fastnn.diagnose``; ``str()`` of it is a table with the advice.

    Attributes
    ----------
    rows : the number of rows that were used, without those of weight 0.
    loss_name, loss : the loss of these rows and its name, with penalties and without dropout.
    loss_after_step : the loss after a step of gradient descent with the learning rate that was given, or None.
    explained : the share of the targets' variance that the outputs explain, 1 at best; for classes, of the
        variance of their shares. None for loss quantile, and for targets that are all the same.
    gradient_norm : the Euclidean norm of the whole gradient.
    layers : a LayerDiagnosis for each layer.
    advice : a sentence for each problem that was found; an empty list if there is none.
    """

    rows: int
    loss_name: str
    loss: float
    loss_after_step: float | None
    explained: float | None
    gradient_norm: float
    layers: tuple[LayerDiagnosis, ...]
    advice: list[str]

    def __str__(self) -> str:

        names = [f"{layer.name}  {layer.kind}" for layer in self.layers]
        width = max(map(len, names))
        lines = [f"{'layer':<{width}}  gradient  relative   dead  saturated      mean    spread"]
        for name, layer in zip(names, self.layers, strict=True):
            gradient = f"{layer.gradient_norm:>8.1e}  {layer.relative_gradient:>8.1e}"
            if layer.parameters == 0:
                gradient = f"{'-':>8}  {'-':>8}"
            shares = f"{_share(layer.dead):>5}  {_share(layer.saturated):>9}"
            lines.append(f"{name:<{width}}  {gradient}  {shares}  {layer.mean:>8.3g}  {layer.spread:>8.3g}")
        total = f"{self.loss_name} {figure(self.loss)} for {self.rows:,} row{'s' * (self.rows != 1)}"
        if self.explained is not None:
            total += f", {percent(max(0.0, self.explained))} of the variance explained"
        lines.append(f"{total}, gradient norm {self.gradient_norm:.1e}")
        for sentence in self.advice or ["nothing found"]:
            lines += textwrap.wrap(sentence, 79, initial_indent="- ", subsequent_indent="  ")
        return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def diagnose(
    net: Sequential,
    X: Any,
    y: Any = None,
    *,
    loss: str | Loss = "mse",
    sample_weight: Any = None,
    learning_rate: float | None = None,
) -> Diagnosis:
    """Find out what keeps a network from learning, without changing the network.

    At the current parameters it looks for inputs and targets that are unscaled, constant or out of the outputs'
    range; units that are alike, dead or saturated; gradients that vanish or explode on their way back to the first
    layer (S. Hochreiter, 1991; X. Glorot, Y. Bengio, 2010); and a learning rate that is too large. In the curves
    of ``net.history`` it looks for a loss that diverged, rose or oscillated, overfitting and underfitting. The
    limits are rules of thumb.

    Parameters
    ----------
    net : a network, before or after training.
    X, y, loss, sample_weight : as for ``net.fit``, but X has to be an array or a Dataset; blocks are refused. Best
        use the rows of training.
    learning_rate : a rate to check: would a step of gradient descent with it, for all rows, raise the loss?

    Returns
    -------
    Diagnosis : the measurements, layer by layer, and the advice.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value; also if X is an iterable of blocks.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.circle(density=10)
    >>> net = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform")
    >>> history = net.fit(X, y, epochs=2000, optimizer=fastnn.SGD(10.0))
    >>> print(diagnose(net, X, y))
    layer                 gradient  relative   dead  saturated      mean    spread
    layers[0]  4 sigmoid   2.4e-04   1.9e-05      -       41 %     0.417     0.438
    layers[1]  1 sigmoid   4.8e-04   1.8e-05      -       55 %     0.179      0.35
    mse 0.00346 for 121 rows, 98 % of the variance explained, gradient norm 5.3e-04
    - nothing found
    >>> diagnose(net, 50 * X, y).advice[0].split(";")[0]
    'inputs are unscaled: X[:, 0] has mean 0 and deviation 63.2'
    """
    if not isinstance(net, Sequential):
        raise TypeError(f"net is {checks.shown(net)}; a network is needed")
    with np.errstate(all="ignore"):
        return _diagnosis(net, X, y, loss, sample_weight, learning_rate)


def _diagnosis(
    net: Sequential, X: Any, y: Any, loss: str | Loss, sample_weight: Any, learning_rate: Any
) -> Diagnosis:
    rate = None if learning_rate is None else checks.real_number(learning_rate, "learning_rate", above=0.0)
    problem = net.problem(loss)
    rows = rows_of(X, y, sample_weight, net.format(problem.loss))[0].counting()
    value, gradient = training.gradient(problem, net.parameters, rows)
    found = inspect(net, rows.X, gradient)
    last = net.layers[-1]
    function = net.shapes[-1].activation
    assert function is not None  # it is a Dense
    after, fitting = (None, None) if rate is None else _step(net, problem, rows, value, gradient, rate)
    explained = _explained(problem.loss, last.activation, found.outputs, rows)
    facts = findings.Facts(
        net=net,
        rows=rows,
        loss=problem.loss,
        loss_now=value,
        fused=problem.loss.part(last.activation, net.outputs).fused,
        reach=reach_of(function, last.activation, net.dtype),
        layers=found.layers,
        outputs=found.outputs,
        saturated=found.saturated,
        explained=explained,
        guessing=_guessing(problem.loss, rows),
        rate=rate,
        loss_after_step=after,
        fitting_rate=fitting,
    )
    return Diagnosis(
        rows=len(rows.X),
        loss_name=problem.loss.name,
        loss=value,
        loss_after_step=after,
        explained=explained,
        gradient_norm=norm(gradient),
        layers=found.layers,
        advice=findings.advice(facts),
    )


def _step(
    net: Sequential, problem: training.Problem, rows: Rows, loss: float, gradient: Array, rate: float
) -> tuple[float, float | None]:
    """Return the loss after a step of gradient descent, and a rate that lowers the loss if this one does not."""
    direction = gradient.copy()
    for part, shape in zip(net.of_layers(direction), net.shapes, strict=True):
        part *= shape.trained

    def after(tried: float) -> float:
        moved = net.parameters - net.dtype.type(tried) * direction
        return training.evaluate(problem, moved, rows) if np.isfinite(moved).all() else np.inf

    found = after(rate)
    if np.isnan(found):
        found = np.inf
    if found <= loss:
        return found, None
    for trial in range(1, TRIALS + 1):
        if after(rate * SMALLER**trial) < loss:
            return found, rate * SMALLER**trial
    return found, None


def _weighted(rows: Rows) -> tuple[Array, Array, Array]:
    """Return targets (n, K) as they were given, their weights (n,), and their weighted mean (K,)."""
    t = rows.given.astype(np.float64)
    w = np.ones(len(t)) if rows.weights is None else rows.weights.astype(np.float64)
    return t, w, np.average(t, axis=0, weights=w)


def _explained(loss: Loss, activation: str, outputs: Array, rows: Rows) -> float | None:
    """Return the share of explained variance, 1 - Σ w·(t - p)² / Σ w·(t - mean)², over all outputs together."""
    if loss.name == "quantile":
        return None
    p = outputs.astype(np.float64)
    t, w, mean = _weighted(rows)
    if activation == "log_softmax" and loss.kind is Kind.LABELS:
        p = np.exp(p)
    if loss.signs:  # only the side counts
        p, t = np.sign(p), np.where(t > 0, 1.0, -1.0)
        mean = np.average(t, axis=0, weights=w)
    total = float(w @ np.square(t - mean).sum(axis=1))
    rest = float(w @ np.square(t - p).sum(axis=1))
    return 1.0 - rest / total if total > 0 and np.isfinite(rest) else None


def _guessing(loss: Loss, rows: Rows) -> float | None:
    """Return the loss of the best constant outputs, the variance or entropy of the targets; None if unknown."""
    t, w, mean = _weighted(rows)
    if loss.squares:
        of_outputs = np.average(np.square(t - mean), axis=0, weights=w)
        return float(of_outputs.mean() if loss.scale is None else loss.scale * of_outputs.sum())
    if loss.name not in ("cross_entropy", "binary_cross_entropy"):
        return None
    shares = mean if loss.kind is Kind.LABELS else np.stack([mean, 1.0 - mean])
    entropy = -(shares * np.log(np.maximum(shares, np.finfo(np.float64).tiny))).sum(axis=0)
    return float(entropy.mean())
