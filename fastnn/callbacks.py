"""Callbacks, which observe the training of a network and may end it, and early stopping."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import checks
from fastnn.arrays import read_only
from fastnn.kernels import layout
from fastnn.settings import Description, from_0, setting, whole

if TYPE_CHECKING:
    from fastnn.network import Sequential
    from fastnn.running import Run


Array = npt.NDArray[Any]


class StopTraining(Exception):  # noqa: N818 - it is no error, but a way to end a fit
    """Raised by a callback to end the fit; the status is then "stopped"."""


def _name(value: Any, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is {checks.shown(value)}; a name like 'val_loss' is needed")
    return value


@dataclass(frozen=True, repr=False)
class EarlyStopping(Description):
    """Early stopping: end a fit when a monitored value has not improved for some epochs.

    After each epoch the value is compared with the best so far. Lower is better for losses and errors, and higher
    for accuracy and the like; a value that is not finite is never better.

    Parameters
    ----------
    monitor : "loss", "val_loss", the name of one of the fit's metrics, or "val_" and that name. None is
        "val_loss", or "loss" for a fit without validation rows.
    patience : the number of epochs without improvement after which the fit ends, a whole number from 1 on.
    min_delta : an improvement counts only if it is greater than this; 0 or more.
    restore_best : whether the network gets back the parameters that it had after the best epoch, if the fit ends
        by itself. As in Keras, a value of the training rows is from before the epoch's updates (or from between
        them), and one of the validation rows from after them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.circle(density=10)
    >>> net = fastnn.mlp([2, 4, 1], output="sigmoid")
    >>> history = net.fit(
    ...     X, y, epochs=5000, optimizer=fastnn.SGD(10.0), validation_split=0.3,
    ...     early_stopping=EarlyStopping(patience=50),
    ... )
    >>> history.status
    'stopped'
    """

    monitor: str | None = setting(_name, None)
    _: KW_ONLY
    patience: int = setting(whole, 10)
    min_delta: float = setting(from_0, 0.0)
    restore_best: bool = setting(checks.truth, True)

    def __repr__(self) -> str:
        return (
            f"EarlyStopping({self.monitor!r}, patience={self.patience}, min_delta={self.min_delta:g}, "
            f"restore_best={self.restore_best})"
        )


@dataclass(frozen=True, eq=False)
class Progress:
    """The progress of a fit, as it is passed to callbacks.

    Attributes
    ----------
    network : the network with its current parameters; ``predict`` and the like can be called. Writes to them do
        not affect the fit.
    epoch, epochs : the number of finished epochs, and the number that was asked for.
    loss, val_loss : the losses of the last epoch; NaN before the first. val_loss is None without validation rows.
    metrics : the metrics of the last epoch, by name.
    learning_rate : the rate of the last epoch's first update; before the first epoch, that of the first update.
    gradient_norm : the Euclidean norm of the last update's gradient.
    parameters : (P,) the current parameters, a read-only view; copy it to keep the values.
    status : "running", or at the end the status of the History.
    """

    network: Sequential = field(repr=False)
    epoch: int
    epochs: int
    loss: float
    val_loss: float | None
    learning_rate: float
    gradient_norm: float
    parameters: npt.NDArray[Any] = field(repr=False)
    status: str
    metrics: dict[str, Any] = field(default_factory=dict)


class Callback:
    """Base class of callbacks; its methods do nothing unless a subclass overrides them.

    Examples
    --------
    >>> import fastnn
    >>> class StopBelow(Callback):
    ...     def on_epoch_end(self, progress):
    ...         return progress.loss < 0.1
    >>> net = fastnn.mlp([2, 4, 1], output="sigmoid")
    >>> X, y = fastnn.datasets.circle(density=10)
    >>> history = net.fit(X, y, epochs=5000, optimizer=fastnn.SGD(10.0), callbacks=[StopBelow()])
    >>> history.status, bool(history.loss[-1] < 0.1 <= history.loss[-2])
    ('stopped', True)
    """

    def on_train_begin(self, progress: Progress) -> bool | None:
        """Called before the first epoch; returning True or raising StopTraining ends the fit."""

    def on_epoch_end(self, progress: Progress) -> bool | None:
        """Called after each epoch; returning True or raising StopTraining ends the fit."""

    def on_train_end(self, progress: Progress) -> None:
        """Called after the fit, when the network has its final parameters and its history.

        This also happens if Ctrl-C or an exception ended the fit, but not if this callback's ``on_train_begin``
        raised one.
        """


def call_all(functions: Iterable[Callable[[], None]]) -> None:
    """Call all functions even if some raise; then raise the first exception."""
    first: BaseException | None = None
    for function in functions:
        try:
            function()
        except BaseException as error:  # noqa: PERF203 - for each of them, not for all together
            first = first or error
    if first is not None:
        raise first


MOMENTS = ("on_train_begin", "on_epoch_end", "on_train_end")


def callbacks_of(value: Any) -> list[Any]:
    """Return checked callbacks as a list: objects with some of the methods, or functions for ends of epochs."""
    if callable(value) or any(hasattr(value, moment) for moment in MOMENTS):
        value = [value]
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        raise TypeError(f"callbacks is {checks.shown(value)}; a list of callbacks is needed")
    found = list(value)
    for i, callback in enumerate(found):
        if isinstance(callback, EarlyStopping):
            raise TypeError(
                f"callbacks[{i}] is {checks.shown(callback)}, which is given as early_stopping instead"
            )
        methods = [name for name in dir(callback) if name.startswith("on_") and callable(getattr(callback, name))]
        never = [name for name in methods if name not in MOMENTS]
        if isinstance(callback, Callback) and never:
            raise TypeError(f"callbacks[{i}] has {never[0]}, which is never called; {', '.join(MOMENTS)} are")
        if isinstance(callback, type) or not (
            callable(callback) or any(callable(getattr(callback, moment, None)) for moment in MOMENTS)
        ):
            raise TypeError(
                f"callbacks[{i}] is {checks.shown(callback)}; a function, or an object with one of "
                f"{', '.join(MOMENTS)}, is needed"
            )
    return found


class Callbacks:
    """Calls a fit's callbacks at the right times."""

    def __init__(self, network: Sequential, callbacks: list[Any]) -> None:
        self._network = network
        self._callbacks = callbacks
        self._seen = 0
        self._begun: list[Any] = []

    def begin(self, run: Run) -> None:
        """Call ``on_train_begin`` of all callbacks."""
        self._seen = run.epochs
        progress = self._progress(run)
        for callback in self._callbacks:
            self._call(callback, "on_train_begin", progress, run)
            self._begun.append(callback)

    def look(self, run: Run) -> None:
        """Call ``on_epoch_end`` of all callbacks if an epoch has been finished."""
        if run.epochs > self._seen:
            self._seen = run.epochs
            progress = self._progress(run)
            for callback in self._callbacks:
                self._call(callback, "on_epoch_end", progress, run)

    def end(self, run: Run) -> None:
        """Call ``on_train_end`` of each callback that has begun, even if another raises."""
        progress = self._progress(run, at_the_end=True)
        call_all(
            functools.partial(self._call, callback, "on_train_end", progress, run) for callback in self._begun
        )

    def _call(self, callback: Any, moment: str, progress: Progress, run: Run) -> None:
        method = getattr(callback, moment, None)
        if method is None and moment == "on_epoch_end" and callable(callback):
            method = callback
        if method is None:
            return
        try:
            answer = method(progress)
            ends = isinstance(answer, (bool, np.bool_)) and bool(answer)
        except StopTraining:
            ends = True
        if ends and run.running and progress.status == "running":
            run.stop()

    def _progress(self, run: Run, *, at_the_end: bool = False) -> Progress:
        if not at_the_end:
            self._network.parameters[:] = run.parameters
        last = run.record[-1] if run.epochs else np.full(run.task.width, np.nan)
        found: dict[str, Any] = {
            name: values if values.shape else float(values) for name, values in run.task.named(last).items()
        }
        rate = found.pop("learning_rate", run.learning_rate)
        return Progress(
            network=self._network,
            epoch=run.epochs,
            epochs=int(run.numbers[layout.EPOCHS]),
            loss=found.pop("loss"),
            val_loss=found.pop("val_loss", None),
            learning_rate=rate if run.epochs else run.learning_rate,
            gradient_norm=run.gradient_norm,
            parameters=read_only(self._network.parameters) if at_the_end else run.parameters,
            status=run.status if at_the_end else "running",
            metrics=found,
        )
