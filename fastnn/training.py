"""The loss of a network on rows, its gradient, and training."""

from __future__ import annotations

import contextlib
import functools
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from fastnn import compiled
from fastnn.callbacks import call_all
from fastnn.dataset import Data, Dataset, Kept, Rows
from fastnn.history import History
from fastnn.inference import ShortPass
from fastnn.kernels import layout
from fastnn.loss_kinds import Loss
from fastnn.plan import LayerShape, Plan, Task, make_plan
from fastnn.running import Feed, Measured, Run, Validation
from fastnn.threads import allowed

if TYPE_CHECKING:
    from fastnn.optimizers import Optimizer
    from fastnn.streams import Stream

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """The shape of a network, and its loss."""

    layers: Sequence[LayerShape]
    output: str  # the activation of the outputs
    loss: Loss

    @property
    def drops(self) -> bool:
        """Whether any layer is dropout."""
        return any(layer.dropout is not None for layer in self.layers)

    def on(self, rows: Rows | Stream, task: Task) -> Task:
        """Return the task with this problem's loss, for these rows."""
        loss = self.loss.part(self.output, rows.outputs)
        return replace(task, loss=loss, weighted=rows.is_weighted, packed=not rows.in_place)

    def plan(self, rows: Rows | Stream, task: Task) -> Plan:
        """Return the plan for a task on rows."""
        return make_plan(self.layers, rows.features, rows.outputs, len(rows), rows.dtype, task)


def evaluate(problem: Problem, parameters: Array, rows: Rows | Stream, dataset: Dataset | None = None) -> float:
    """Return the loss on rows."""
    return whole_pass(problem, parameters, rows, layout.EVALUATE, dataset).loss()


def gradient(
    problem: Problem, parameters: Array, rows: Rows, dataset: Dataset | None = None
) -> tuple[float, Array]:
    """Return the loss on rows, and its gradient with respect to the parameters."""
    return whole_pass(problem, parameters, rows, layout.GRADIENT, dataset).gradient()


def summed_gradient(problem: Problem, parameters: Array, rows: Rows) -> Array:
    """Return the gradient of the sum, not the mean, of the rows' losses."""
    return whole_pass(problem, parameters, rows, layout.GRADIENT, None).summed_gradient()


class Pass(Protocol):
    """One pass of all rows through a network, for one of these results."""

    def loss(self) -> float:
        """Return the loss."""

    def gradient(self) -> tuple[float, Array]:
        """Return the loss and its gradient, an array that the caller owns."""

    def summed_gradient(self) -> Array:
        """Return the gradient of the weighted sum of the rows' losses."""


def whole_pass(
    problem: Problem, parameters: Array, rows: Rows | Stream, what: int, dataset: Dataset | None
) -> Pass:
    """Return the pass for the task ``what`` on checked rows, and on the data set they come from, if any."""
    rows = _counting(rows, dataset)
    task = problem.on(rows, Task(what))
    plan = problem.plan(rows, task)
    weight = float(len(rows))
    if isinstance(rows, Rows) and rows.weights is not None:
        weight = float(rows.weights.sum(dtype=np.float64))
    data = _data(rows, plan, dataset)
    if isinstance(data, tuple) and ShortPass.holds(plan):
        return ShortPass(plan, data, parameters, weight)
    return _LongPass(plan, data, parameters, weight, task)


@dataclass(frozen=True)
class _LongPass:
    """A pass as a run of one epoch."""

    plan: Plan
    data: Data | Feed
    parameters: Array
    weight: float
    task: Task

    def _run(self) -> tuple[float, Array]:
        run = Run(self.plan, self.data, self.parameters, self.task, threads=allowed())
        with contextlib.closing(run):
            run.compile()
            with run.helped():
                for _ in run.chunks():
                    pass
        sums = run.records[1]
        # A loss that is not finite ends a run before it is recorded.
        loss = run.losses[0] if run.epochs else sums[layout.BATCH_LOSS] / sums[layout.BATCH_WEIGHT]
        return float(loss), run.vectors[1][: len(self.parameters)]

    def loss(self) -> float:
        return self._run()[0]

    def gradient(self) -> tuple[float, Array]:
        loss, sums = self._run()
        return loss, sums / sums.dtype.type(self.weight)

    def summed_gradient(self) -> Array:
        return self._run()[1]


def _counting(rows: Rows | Stream, dataset: Kept | None) -> Rows | Stream:
    """Return the rows without those of weight 0."""
    return rows.counting() if dataset is None or not isinstance(rows, Rows) else dataset.counting(rows)


def _data(rows: Rows | Stream, plan: Plan, dataset: Kept | None) -> Data | Feed:
    """Return the data that the compiled loop reads, or the windows that read them for it."""
    if not isinstance(rows, Rows):
        from fastnn.streams import Windows

        return Windows(rows, plan, rows.limit)
    if not plan.numbers[layout.PACKED]:
        return rows.flat(plan)
    return rows.packed(plan) if dataset is None else dataset.packed(rows, plan)


@dataclass(frozen=True)
class Fit:
    """A fit, after all checks; its task is complete except for what depends on the rows."""

    problem: Problem
    rows: Rows | Stream
    dataset: Dataset | None  # that the rows come from, if they are unchanged
    validation: Rows | None
    optimizer: Optimizer
    task: Task
    threads: int = 1  # at most
    resume: Callable[[Run], None] | None = None  # puts the run into the state of a checkpoint


class Watcher(Protocol):
    """An observer of a network's training."""

    def begin(self, run: Run) -> None:
        """Called before the first chunk; ``end`` is then called too, even if this raises."""

    def look(self, run: Run) -> None:
        """Called after each chunk."""

    def end(self, run: Run) -> None:
        """Called after the last chunk, however the run ended."""


def train(fit: Fit, parameters: Array, watchers: Sequence[Watcher], report: Callable[[History], None]) -> None:
    """Train; however that ends, store the parameters of the last finished update and report the history."""
    compiling = compiled.seconds_spent()
    run = prepare(fit).run(parameters)
    run.compile()
    run.compile_seconds = compiled.seconds_spent() - compiling
    if fit.resume is not None:
        fit.resume(run)
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
        seconds = run.seconds_before + time.perf_counter() - start
        call_all(
            [
                lambda: conclude(run, parameters, restore),
                lambda: report(history_of(run, seconds)),
                run.close,
                *(functools.partial(watcher.end, run) for watcher in begun),
            ]
        )
    if run.status == "diverged":
        smaller = (
            "" if fit.optimizer.line_search else f"a smaller learning rate than {fit.optimizer.first_rate:g}, or "
        )
        warnings.warn(
            f"the loss was no longer finite after epoch {run.epochs}; the last finite parameters are kept. "
            f"Try {smaller}to scale inputs and targets to about 1",
            RuntimeWarning,
            stacklevel=3,
        )


def conclude(run: Run, parameters: Array, restore: bool) -> None:
    """Overwrite the network's parameters with the run's: the best ones if its monitor and ``restore`` say so."""
    monitor = run.task.monitor
    best = restore and monitor is not None and monitor.restore_best
    kept = run.vectors[4] if best and run.cursor[layout.BEST_EPOCH] else run.parameters
    parameters[:] = kept[: len(parameters)]


@dataclass(frozen=True)
class Material:
    """What runs of the same task on the same rows can share: all except what they write to."""

    plan: Plan
    data: Data | Feed
    task: Task
    measured: Measured | None
    validation: Validation | None
    threads: int  # at most

    def run(self, parameters: Array, seed: int | None = None) -> Run:
        """Return a run that starts from these parameters, with the task's seed or another one."""
        task = self.task if seed is None else replace(self.task, seed=seed)
        return Run(self.plan, self.data, parameters, task, self.measured, self.validation, self.threads)


def prepare(fit: Fit, kept: Kept | None = None) -> Material:
    """Return plans and data for training; what ``kept`` holds from an earlier fit is not made again."""
    dataset = kept if fit.dataset is None else fit.dataset
    kept = Kept() if kept is None else kept
    problem, rows, validation = fit.problem, fit.rows, fit.validation
    # With dropout, rows keep their indices, on which the masks depend.
    if fit.task.batch_size is None and not problem.drops:
        rows = _counting(rows, dataset)
    task = problem.on(rows, fit.task)
    plan = problem.plan(rows, task)
    labels = any(metric.of_labels for metric in task.metrics)

    def measured(rows: Rows | Stream) -> Measured | None:
        if not task.metrics:
            return None
        compared = rows if isinstance(rows, Rows) else rows.compared()
        work = max(metric.work(len(compared.X)) for metric in task.metrics)
        targets, weights = kept.once(_compared, compared, labels)
        return Measured(targets, weights, work)

    of_training = measured(rows)
    data = _data(rows, plan, dataset)
    if validation is None:
        return Material(plan, data, task, of_training, None, fit.threads)
    seen = kept.once(_seen, validation)
    plan_of_validation = problem.plan(
        seen, replace(task, what=layout.EVALUATE, batch_size=None, weighted=True, packed=True)
    )
    of_validation = Validation(plan_of_validation, kept.packed(seen, plan_of_validation), measured(seen))
    return Material(plan, data, task, of_training, of_validation, fit.threads)


def _seen(validation: Rows) -> Rows:
    return validation.counting().weighted()


def _compared(rows: Rows, labels: bool) -> tuple[Array, Array]:
    """Return the targets row by row, followed by the labels if those are wanted; and the weights."""
    weights = rows.weighted().weights
    assert weights is not None
    targets = rows.given.reshape(-1)
    if labels:
        targets = np.concatenate([targets, rows.given.argmax(axis=1).astype(rows.dtype)])
    return targets, weights


def history_of(run: Run, seconds: float) -> History:
    """Return the history of a run so far."""
    found = run.task.named(run.record)
    assert run.task.update is not None
    constant = np.full(run.epochs, run.task.update.settings[0])
    return History(
        loss=found.pop("loss"),
        status=run.status,
        compile_seconds=run.compile_seconds,
        run_seconds=seconds,
        samples_per_second=run.samples / seconds if seconds > 0.0 else 0.0,
        val_loss=found.pop("val_loss", None),
        learning_rate=found.pop("learning_rate", constant),
        metrics=found,
        best_epoch=int(run.cursor[layout.BEST_EPOCH]) or None,
    )
