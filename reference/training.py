"""The training loop."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import metrics
from .layers import Dense
from .lbfgs import LBFGS
from .levenberg_marquardt import LevenbergMarquardt
from .losses import name_and_settings
from .options import Options, check_options, training_and_validation
from .problem import Problem, without
from .random import permutation
from .schedules import Schedule, rate_of
from .stopping import History

if TYPE_CHECKING:
    from .network import Sample, Sequential


class Diverged(Exception):  # noqa: N818 (it is not an error of the program)
    """A loss or a parameter is not finite."""


def fit(net: Sequential, X: Iterable[Iterable[float]], y: Iterable[Any], options: Options) -> History:
    """Train a network; see Sequential.fit."""
    check_options(net, options)
    samples, validation = training_and_validation(net, X, y, options)
    history = empty_history(options, validation is not None)
    stopping = options.early_stopping
    if stopping is not None:
        stopping.start(history)
    run = Run(net, samples, options)
    for epoch in range(options.epochs):
        try:
            loss, rate, outputs = run.epoch(epoch)
        except Diverged:
            history.status = "diverged"
            break
        finally:
            net.drop_nothing()
        history.loss.append(loss)
        history.learning_rate.append(rate)
        add_metrics(history, "", net, options, samples, outputs)
        if validation is not None and history.val_loss is not None:
            val_loss, outputs = net._evaluate(validation, options.loss)
            history.val_loss.append(val_loss)
            add_metrics(history, "val_", net, options, validation, outputs)
        number = epoch + 1
        if options.log_every is not None and (number in (1, options.epochs) or number % options.log_every == 0):
            print(f"{number} {loss:.4f}")
        if isinstance(run.learning_rate, Schedule):
            run.learning_rate.after_epoch(epoch, loss if validation is None else val_loss)
        stop = stopping is not None and stopping.look(history, net.parameters)
        if run.converged or stop:
            history.status = "converged" if run.converged else "stopped"
            break
    if stopping is not None:
        history.best_epoch = stopping.best_epoch
    if history.status == "diverged":
        net.parameters = run.previous
        warnings.warn(
            f"the training diverged after {history.epochs} whole epochs and went back to the last "
            "finite parameters; try a smaller learning rate, or inputs scaled to about 1",
            RuntimeWarning,
            stacklevel=3,
        )
    elif stopping is not None and stopping.restore_best and stopping.best_epoch is not None:
        net.parameters = stopping.best_parameters
    return history


def empty_history(options: Options, with_validation: bool) -> History:
    """A history without epochs, which has all the entries that there will be."""
    history = History(metrics={name: [] for name in options.metrics})
    if with_validation:
        history.val_loss = []
        history.metrics.update({f"val_{name}": [] for name in options.metrics})
    return history


def add_metrics(
    history: History,
    prefix: str,
    net: Sequential,
    options: Options,
    samples: list[Sample],
    outputs: dict[int, list[float]],
) -> None:
    """Add the metrics of an epoch; outputs has those of the samples that count, by the numbers of the samples."""
    numbers = sorted(outputs)
    for name in options.metrics:
        value = metrics.of_network(
            name,
            name_and_settings(options.loss)[0],
            net.last.activation,
            [outputs[i] for i in numbers],
            [samples[i][1] for i in numbers],
            [samples[i][2] for i in numbers],
        )
        history.metrics[prefix + name].append(value)


class Run:
    """The updates of one fit."""

    def __init__(self, net: Sequential, samples: list[Sample], options: Options) -> None:
        self.net = net
        self.samples = samples
        self.options = options
        self.optimizer = options.optimizer
        self.previous = net.parameters  # from before the last update
        self.converged = False
        self.frozen = [not layer.trainable for layer in net.layers for _ in layer.parameters]
        self.optimizer.start(len(self.previous))
        self.learning_rate = options.optimizer.learning_rate  # a number or a schedule
        if isinstance(self.learning_rate, Schedule):
            self.learning_rate.start()

    def epoch(self, epoch: int) -> tuple[float, float, dict[int, list[float]]]:
        """Make the updates of an epoch: its loss, the first learning rate, and the outputs of the samples."""
        if isinstance(self.optimizer, (LBFGS, LevenbergMarquardt)):
            return self.iteration(epoch)
        n, size = len(self.samples), self.options.batch_size
        batches = batches_of(n, size, self.options.shuffle, self.options.seed, epoch)
        first = epoch * len(batches)  # the number of its first update
        total = 0.0
        total_weight = 0.0
        outputs: dict[int, list[float]] = {}
        for s, batch in enumerate(batches, first):
            rate = rate_of(self.learning_rate, s, len(batches))
            loss, weight, of_batch = self.net._backpropagate(
                self.samples,
                batch,
                self.options.loss,
                (self.options.seed, epoch),
                keep_outputs=bool(self.options.metrics),
            )
            if weight == 0.0:
                continue  # all rows of the batch have weight 0
            if not math.isfinite(loss):
                raise Diverged
            self.previous = self.net.parameters
            gradient = clipped(without(self.frozen, self.net.gradients), self.optimizer)
            self.move(self.optimizer.update(self.previous, gradient, rate))
            total += loss
            total_weight += weight
            outputs.update(of_batch)
        return total / total_weight, rate_of(self.learning_rate, first, len(batches)), outputs

    def iteration(self, epoch: int) -> tuple[float, float, dict[int, list[float]]]:
        """The same for an optimizer that tries several points; the loss and outputs are those at the start."""
        problem = Problem(self.net, self.samples, self.options.loss, (self.options.seed, epoch), self.frozen)
        parameters = self.net.parameters
        problem.loss_and_gradient(parameters)
        outputs = problem.outputs  # before the optimizer tries other points
        loss, moved, self.converged = self.optimizer.step(parameters, problem)
        if not math.isfinite(loss):
            raise Diverged
        self.previous = parameters
        self.move(moved)
        return loss, rate_of(self.learning_rate, epoch, 1), outputs

    def move(self, parameters: list[float]) -> None:
        """Set new parameters, except those of frozen layers, and apply max_norm."""
        if any(self.frozen):
            both = zip(self.previous, parameters, self.frozen)
            parameters = [old if still else new for old, new, still in both]
        if not all(map(math.isfinite, parameters)):
            raise Diverged
        self.net.parameters = parameters
        for layer in self.net.layers:
            if isinstance(layer, Dense) and layer.trainable:
                layer.limit_norms()


def batches_of(n: int, batch_size: int | None, shuffle: bool, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch, as numbers of samples."""
    if batch_size is None:
        return [list(range(n))]
    order = permutation(n, seed, epoch) if shuffle else list(range(n))
    return [order[start : start + batch_size] for start in range(0, n, batch_size)]


def clipped(gradient: list[float], optimizer: Any) -> list[float]:
    """The gradient with each number clipped to ±clip_value, or its norm to clip_norm; NaN stays NaN."""
    if optimizer.clip_value is not None:
        c = optimizer.clip_value
        return [min(max(g, -c), c) for g in gradient]
    if optimizer.clip_norm is not None:
        norm = math.hypot(*gradient)
        if norm > optimizer.clip_norm:
            return [g * (optimizer.clip_norm / norm) for g in gradient]
    return gradient
