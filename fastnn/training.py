"""Runs of the compiled loop: it works in chunks, and between chunks Python looks at signals and the clock."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import compiled
from fastnn.dataset import Dataset, Rows
from fastnn.history import History
from fastnn.kernels import layout
from fastnn.kernels import optimizers as kinds
from fastnn.kernels.simd import LANES
from fastnn.optimizers import SGD
from fastnn.plan import LayerShape, Plan, Task, aligned_zeros, make_plan, read_only

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

CHUNK_SECONDS = 0.05  # how long compiled code runs before Python may handle Ctrl-C
FIRST_CHUNK_OPERATIONS = 2e7  # a few milliseconds, from which the speed is then known

STATUS = {layout.FINISHED: "finished", layout.DIVERGED: "diverged", layout.RUNNING: "interrupted"}


@dataclass(frozen=True)
class Problem:
    """A network's shape and the number of its loss."""

    layers: Sequence[LayerShape]
    loss: int
    fused: bool

    @property
    def parameters(self) -> int:
        """Weights and biases of all layers."""
        return sum(layer.parameters for layer in self.layers)

    def plan(self, rows: Rows, **task: Any) -> Plan:
        """The plan for a task on rows."""
        described = Task(loss=self.loss, fused=self.fused, weighted=rows.weights is not None, **task)
        return make_plan(self.layers, rows.X.shape[1], rows.y.shape[1], len(rows.X), rows.dtype, described)


class Run:
    """All the memory of a run, and how far it has got."""

    def __init__(self, plan: Plan, data: tuple[Array, Array, Array], parameters: Array, numbers: Doubles) -> None:
        dtype, length = plan.dtype, plan.vector_length
        lanes = LANES[dtype]
        self.plan = plan
        self.numbers = numbers
        self.data = tuple(read_only(array) for array in data)
        self.vectors = tuple(aligned_zeros(length + lanes, dtype) for _ in range(4))
        self.vectors[0][: len(parameters)] = parameters
        shuffled = bool(plan.numbers[layout.SHUFFLED])
        self.order = np.zeros(plan.numbers[layout.SAMPLES] if shuffled else 1, np.int64)
        self.scratch = plan.scratch()
        self.records = np.zeros(plan.numbers[layout.EPOCHS]), np.zeros(layout.SUMS)
        self.cursor = np.zeros(layout.CURSOR, np.int64)
        self.cursor[layout.TO_SHUFFLE] = -1
        self.compile_seconds = compiled.train.prepare(dtype, *self._arguments(0))

    def _arguments(self, budget: int) -> tuple[Any, ...]:
        return (
            self.plan.numbers,
            self.numbers,
            self.data,
            self.order,
            self.vectors,
            self.scratch,
            self.records,
            self.cursor,
            budget,
        )

    @property
    def running(self) -> bool:
        """Whether there is anything left to do."""
        return bool(self.cursor[layout.STATUS] == layout.RUNNING)

    @property
    def epochs(self) -> int:
        """How many are finished."""
        return int(self.cursor[layout.EPOCH])

    @property
    def losses(self) -> Doubles:
        """The loss of each finished epoch."""
        return self.records[0][: self.epochs]

    def chunks(self) -> Iterator[None]:
        """Run to the end; after each chunk the caller has its turn."""
        samples = min(self.plan.tile, int(self.plan.numbers[layout.BATCH]))
        budget = max(1, int(FIRST_CHUNK_OPERATIONS / (6 * samples * (self.plan.vector_length + 1))))
        while self.running:
            start = time.perf_counter()
            compiled.train(*self._arguments(budget))
            seconds = max(time.perf_counter() - start, 1e-9)
            budget = max(1, min(8 * budget, int(budget * CHUNK_SECONDS / seconds)))
            yield


def evaluate(problem: Problem, parameters: Array, rows: Rows, dataset: Dataset | None = None) -> float:
    """The loss of rows."""
    return _single_pass(problem, parameters, rows, kinds.EVALUATE, dataset)[0]


def gradient(
    problem: Problem, parameters: Array, rows: Rows, dataset: Dataset | None = None
) -> tuple[float, Array]:
    """The loss of rows and its gradient by the parameters."""
    loss, sums, weight = _single_pass(problem, parameters, rows, kinds.GRADIENT, dataset)
    return loss, sums / sums.dtype.type(weight)


def summed_gradient(problem: Problem, parameters: Array, rows: Rows) -> Array:
    """The gradient of the sum, not the mean, of the rows' losses."""
    return _single_pass(problem, parameters, rows, kinds.GRADIENT, None)[1]


def _single_pass(
    problem: Problem, parameters: Array, rows: Rows, what: int, dataset: Dataset | None
) -> tuple[float, Array, float]:
    """(loss, gradient of the weighted sum of losses, sum of weights) of all rows in one batch."""
    rows = rows.counting() if dataset is None else dataset.counting(rows)
    plan = problem.plan(rows, optimizer=what)
    run = Run(plan, _packed(rows, plan, dataset), parameters, np.zeros(layout.NUMBERS))
    for _ in run.chunks():
        pass
    sums = run.records[1]
    # A loss that is not finite ends a run before it gets into the record of epochs.
    loss = run.losses[0] if run.epochs else sums[layout.BATCH_LOSS] / sums[layout.BATCH_WEIGHT]
    weight = len(rows.X) if rows.weights is None else float(rows.weights.sum(dtype=np.float64))
    return float(loss), run.vectors[1][: len(parameters)], weight


def _packed(rows: Rows, plan: Plan, dataset: Dataset | None) -> tuple[Array, Array, Array]:
    return rows.packed(plan) if dataset is None else dataset.packed(rows, plan)


@dataclass(frozen=True)
class Options:
    """How to train, after all checks; as ``Sequential.fit`` has them."""

    epochs: int
    batch_size: int | None
    optimizer: SGD
    shuffle: bool
    seed: int
    log_every: int | None


def fit(
    problem: Problem,
    parameters: Array,
    rows: Rows,
    dataset: Dataset | None,
    options: Options,
    report: Callable[[History], None],
) -> None:
    """Train. However it ends: overwrite ``parameters`` with those of the last finished update, and report."""
    if options.batch_size is None:
        rows = rows.counting() if dataset is None else dataset.counting(rows)
    plan = problem.plan(
        rows,
        optimizer=options.optimizer.kind,
        epochs=options.epochs,
        batch_size=options.batch_size,
        shuffled=options.shuffle,
        seed=options.seed,
    )
    data = _packed(rows, plan, dataset) if options.batch_size is None else rows.flat()
    run = Run(plan, data, parameters, options.optimizer.numbers())
    start = time.perf_counter()
    logged = 0
    try:
        for _ in run.chunks():
            if options.log_every is not None:
                logged = _log(run.losses, logged, options.log_every, options.epochs)
    finally:
        parameters[:] = run.vectors[0][: len(parameters)]
        seconds = time.perf_counter() - start
        samples = run.epochs * len(rows.X) + int(run.cursor[layout.FIRST] + run.cursor[layout.DONE])
        report(
            History(
                loss=run.losses.copy(),
                status=STATUS[int(run.cursor[layout.STATUS])],
                compile_seconds=run.compile_seconds,
                run_seconds=seconds,
                samples_per_second=samples / seconds,
            )
        )
    if run.cursor[layout.STATUS] == layout.DIVERGED:
        warnings.warn(
            f"the loss was no longer finite after epoch {run.epochs}; the last finite parameters are kept. "
            f"Try a smaller learning rate than {options.optimizer.learning_rate:g}, "
            "or scale inputs and targets to about 1",
            RuntimeWarning,
            stacklevel=3,
        )


def _log(losses: Doubles, logged: int, every: int, epochs: int) -> int:
    """Print epoch and loss of the first epoch, of each multiple of ``every``, and of the last."""
    for epoch in range(logged + 1, len(losses) + 1):
        if epoch == 1 or epoch % every == 0 or epoch == epochs:
            sys.stdout.write(f"{epoch} {losses[epoch - 1]:.4f}\n")
    sys.stdout.flush()
    return len(losses)
