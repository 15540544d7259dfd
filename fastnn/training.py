"""What is done with a network and rows: the loss, its gradient, and training."""

from __future__ import annotations

import contextlib
import functools
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from fastnn import compiled, memory
from fastnn.callbacks import call_all
from fastnn.dataset import Data, Dataset, Rows
from fastnn.history import History
from fastnn.kernels import layout
from fastnn.loss_kinds import Loss
from fastnn.plan import LayerShape, MetricPart, Monitor, Plan, Task, UpdatePart, make_plan, read_only
from fastnn.running import Feed, Measured, Run, Validation

if TYPE_CHECKING:
    from fastnn.streams import Stream

Array = npt.NDArray[Any]

# Rows for which predict() stays in compiled code at a time: a tenth of a second for a big network.
PREDICTION_OPERATIONS = 1e9


@dataclass(frozen=True)
class Problem:
    """A network's shape and its loss."""

    layers: Sequence[LayerShape]
    output: str  # the activation of the outputs
    loss: Loss

    @property
    def drops(self) -> bool:
        """Whether there is dropout."""
        return any(layer.dropout is not None for layer in self.layers)

    def task(self, rows: Rows | Stream, **described: Any) -> Task:
        """What is to be done with rows."""
        loss = self.loss.part(self.output, rows.outputs)
        return Task(loss=loss, weighted=rows.is_weighted, **described)

    def plan(self, rows: Rows | Stream, task: Task) -> Plan:
        """The plan for that."""
        return make_plan(self.layers, rows.features, rows.outputs, len(rows), rows.dtype, task)


def evaluate(problem: Problem, parameters: Array, rows: Rows | Stream, dataset: Dataset | None = None) -> float:
    """The loss of rows."""
    return _single_pass(problem, parameters, rows, layout.EVALUATE, dataset)[0]


def gradient(
    problem: Problem, parameters: Array, rows: Rows, dataset: Dataset | None = None
) -> tuple[float, Array]:
    """The loss of rows and its gradient by the parameters."""
    loss, sums, weight = _single_pass(problem, parameters, rows, layout.GRADIENT, dataset)
    return loss, sums / sums.dtype.type(weight)


def summed_gradient(problem: Problem, parameters: Array, rows: Rows) -> Array:
    """The gradient of the sum, not the mean, of the rows' losses."""
    return _single_pass(problem, parameters, rows, layout.GRADIENT, None)[1]


def _single_pass(
    problem: Problem, parameters: Array, rows: Rows | Stream, what: int, dataset: Dataset | None
) -> tuple[float, Array, float]:
    """(loss, gradient of the weighted sum of losses, sum of weights) of all rows in one batch."""
    rows = _counting(rows, dataset)
    task = problem.task(rows, what=what)
    plan = problem.plan(rows, task)
    run = Run(plan, _data(rows, plan, dataset), parameters, task)
    with contextlib.closing(run):
        for _ in run.chunks():
            pass
    sums = run.records[1]
    # A loss that is not finite ends a run before it gets into the record of epochs.
    loss = run.losses[0] if run.epochs else sums[layout.BATCH_LOSS] / sums[layout.BATCH_WEIGHT]
    weight = float(len(rows))
    if isinstance(rows, Rows) and rows.weights is not None:
        weight = float(rows.weights.sum(dtype=np.float64))
    return float(loss), run.vectors[1][: len(parameters)], weight


def predict(layers: Sequence[LayerShape], parameters: Array, rows: Array) -> Array:
    """The outputs (n, units) of layers for checked rows (n, inputs), without dropout."""
    units = layers[-1].units
    plan = make_plan(layers, rows.shape[1], units, len(rows), rows.dtype, Task(batch_size=len(rows)))
    memory.refuse(len(rows) * units * rows.dtype.itemsize, f"predictions for {len(rows):,} rows")
    outputs = np.empty((len(rows), units), rows.dtype)
    flat = read_only(rows.reshape(-1))
    arguments = plan.numbers, plan.reals, parameters, flat, outputs.reshape(-1), plan.scratch()
    compiled.predict.prepare(rows.dtype, *arguments, 0, 0)
    at_once = max(plan.tile, int(PREDICTION_OPERATIONS / (2 * len(parameters))))
    for first in range(0, len(rows), at_once):
        compiled.predict(*arguments, first, min(at_once, len(rows) - first))
    return outputs


def _counting(rows: Rows | Stream, dataset: Dataset | None) -> Rows | Stream:
    """Without the rows of weight 0."""
    return rows.counting() if dataset is None or not isinstance(rows, Rows) else dataset.counting(rows)


def _data(rows: Rows | Stream, plan: Plan, dataset: Dataset | None) -> Data | Feed:
    """What the compiled loop reads, or who reads it."""
    if not isinstance(rows, Rows):
        from fastnn.streams import Windows

        return Windows(rows, plan, rows.limit)
    if not plan.numbers[layout.PACKED]:
        return rows.flat()
    return rows.packed(plan) if dataset is None else dataset.packed(rows, plan)


@dataclass(frozen=True)
class MetricOption:
    """A metric that is kept of each epoch."""

    name: str
    part: MetricPart
    shape: tuple[int, ...] = ()
    work: Callable[[int], int] = lambda rows: 0  # numbers of memory for so many rows
    greater: bool | None = False  # whether greater is better; None: it is several numbers


@dataclass(frozen=True)
class Stopping:
    """When to stop early, and whether to go back to the best parameters."""

    monitor: str
    greater: bool
    patience: int
    min_delta: float
    restore_best: bool


@dataclass(frozen=True)
class Options:
    """How to train, after all checks; as ``Sequential.fit`` has them."""

    epochs: int
    batch_size: int | None
    update: UpdatePart
    shuffle: bool
    seed: int
    metrics: tuple[MetricOption, ...] = ()
    stopping: Stopping | None = None
    pause_every: int = 0
    threads: int = 1  # at most
    resume: Callable[[Run], None] | None = None  # what puts the run where another was left


class Watcher(Protocol):
    """Somebody who looks on while a network is trained."""

    def begin(self, run: Run) -> None:
        """Before the first chunk; whoever is asked this is told the end too, even if this raises."""

    def look(self, run: Run) -> None:
        """After each chunk."""

    def end(self, run: Run) -> None:
        """After the last, however it ended."""


def fit(
    problem: Problem,
    parameters: Array,
    rows: Rows | Stream,
    dataset: Dataset | None,
    validation: Rows | None,
    options: Options,
    watchers: Sequence[Watcher],
    report: Callable[[History], None],
) -> None:
    """Train. However it ends: overwrite ``parameters`` with those of the last finished update, and report."""
    compiling = compiled.seconds_spent()
    run = prepare(problem, parameters, rows, dataset, validation, options)
    run.compile_seconds = compiled.seconds_spent() - compiling
    if options.resume is not None:
        options.resume(run)
    start = time.perf_counter()
    restore = False
    begun: list[Watcher] = []
    try:
        for watcher in watchers:
            begun.append(watcher)
            watcher.begin(run)
        with run.helped():
            for _ in run.chunks():
                for watcher in watchers:
                    watcher.look(run)
        restore = run.status != "diverged"
    finally:
        best = restore and options.stopping is not None and options.stopping.restore_best
        kept = run.vectors[4] if best and run.cursor[layout.BEST_EPOCH] else run.parameters
        parameters[:] = kept[: len(parameters)]
        report(history_of(run, options, run.seconds_before + time.perf_counter() - start))
        call_all([run.close, *(functools.partial(watcher.end, run) for watcher in begun)])
    if run.status == "diverged":
        warnings.warn(
            f"the loss was no longer finite after epoch {run.epochs}; the last finite parameters are kept. "
            f"Try a smaller learning rate than {options.update.settings[0]:g}, "
            "or scale inputs and targets to about 1",
            RuntimeWarning,
            stacklevel=3,
        )


def prepare(
    problem: Problem,
    parameters: Array,
    rows: Rows | Stream,
    dataset: Dataset | None,
    validation: Rows | None,
    options: Options,
) -> Run:
    """All the memory that training needs."""
    # The numbers of rows, by which dropout knows them, stay as they are.
    if options.batch_size is None and not problem.drops:
        rows = _counting(rows, dataset)
    task = problem.task(
        rows,
        what=layout.TRAIN,
        update=options.update,
        epochs=options.epochs,
        batch_size=options.batch_size,
        shuffled=options.shuffle,
        seed=options.seed,
        metrics=tuple(metric.part for metric in options.metrics),
        validated=validation is not None,
        pause_every=options.pause_every,
    )
    if options.stopping is not None:
        task = replace(task, monitor=_monitor(task, options, options.stopping))
    plan = problem.plan(rows, task)
    measured = _measured(rows, options)
    data = _data(rows, plan, dataset)
    if validation is None:
        return Run(plan, data, parameters, task, measured, threads=options.threads)
    seen = validation.counting().weighted()
    plan_of_validation = problem.plan(seen, replace(task, what=layout.EVALUATE, batch_size=None, weighted=True))
    of_validation = Validation(plan_of_validation, seen.packed(plan_of_validation), _measured(seen, options))
    return Run(plan, data, parameters, task, measured, of_validation, options.threads)


def _measured(rows: Rows | Stream, options: Options) -> Measured | None:
    if not options.metrics:
        return None
    if not isinstance(rows, Rows):
        rows = rows.compared()
    work = max(metric.work(len(rows.X)) for metric in options.metrics)
    weights = rows.weighted().weights
    assert weights is not None
    targets = rows.given.reshape(-1)
    if any(metric.part.of_labels for metric in options.metrics):
        targets = np.concatenate([targets, rows.given.argmax(axis=1).astype(rows.dtype)])
    return Measured(targets, weights, work)


def named_columns(task: Task, options: Options) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Where in the record of an epoch things stand, and their shape, by the names that people give them."""
    found: dict[str, tuple[int, tuple[int, ...]]] = {"loss": (layout.LOSS_COLUMN, ())}
    if task.validated:
        found["val_loss"] = task.validation_column, ()
    for prefix, of_validation in (("", False), ("val_", True))[: 1 + task.validated]:
        for metric, column in zip(options.metrics, task.metric_columns(of_validation), strict=True):
            found[prefix + metric.name] = column, metric.shape
    return found


def named_values(task: Task, options: Options, record: Array) -> dict[str, Array]:
    """What is kept of an epoch (columns), or of epochs (epochs, columns), by the names that people give it."""
    found = {}
    for name, (column, shape) in named_columns(task, options).items():
        values = record[..., column : column + math.prod(shape)]
        found[name] = values.reshape((*record.shape[:-1], *shape)).copy()
    return found


def _monitor(task: Task, options: Options, stopping: Stopping) -> Monitor:
    return Monitor(
        column=named_columns(task, options)[stopping.monitor][0],
        sign=-1.0 if stopping.greater else 1.0,
        delta=stopping.min_delta,
        patience=stopping.patience,
    )


def history_of(run: Run, options: Options, seconds: float) -> History:
    """What a run did, so far."""
    record = run.record
    found = named_values(run.task, options, record)
    rate = run.task.rate_column
    best = int(run.cursor[layout.BEST_EPOCH])
    return History(
        loss=found.pop("loss"),
        status=run.status,
        compile_seconds=run.compile_seconds,
        run_seconds=seconds,
        samples_per_second=run.samples / seconds,
        val_loss=found.pop("val_loss", None),
        metrics=found,
        learning_rate=record[:, rate].copy() if rate > 0 else np.full(len(record), options.update.settings[0]),
        best_epoch=best or None,
    )
