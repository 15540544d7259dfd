"""A run of the compiled loop: its memory, and how far it has got.

It works in chunks, between which Python handles signals and looks at the clock.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastnn import compiled
from fastnn.arrays import aligned_zeros, read_only
from fastnn.dataset import Data
from fastnn.kernels import layout, team
from fastnn.kernels.simd import LANES, address_of
from fastnn.plan import Plan, Task
from fastnn.threads import Helpers, reserve

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

CHUNK_SECONDS = 0.05  # how long compiled code runs before Python may handle Ctrl-C
FIRST_CHUNK_OPERATIONS = 2e7  # a few milliseconds, which show the speed

# Bounds on a round, in which each tile has a gradient of its own.
MOST_SLOTS, MOST_SLOT_BYTES = 64, 32 << 20

# A thread is worthwhile if it has this much to do between two updates, and if the run takes at least that long.
SECONDS_OF_THREAD, LEAST_SECONDS = 0.8e-6, 1e-3
# If a step takes at most DOUBTFUL_SECONDS, the loop tries out whether helpers are indeed worthwhile, in trials of
# LEAST_TRIAL to MOST_TRIAL steps that take about TRIAL_SECONDS; provided that the run has at least TRIALS_WORTH
# times as many steps.
DOUBTFUL_SECONDS, TRIAL_SECONDS, LEAST_TRIAL, MOST_TRIAL, TRIALS_WORTH = 100e-6, 60e-6, 4, 32, 50

STATUS = {
    layout.FINISHED: "finished",
    layout.DIVERGED: "diverged",
    layout.STOPPED: "stopped",
    layout.CONVERGED: "converged",
    layout.RUNNING: "interrupted",
}


@dataclass(frozen=True)
class Measured:
    """What metrics compare: targets (n·K) row by row, then labels (n) if a metric needs them; and weights (n).

    ``work`` is how many numbers of memory they need.
    """

    targets: Array
    weights: Array
    work: int = 0


@dataclass(frozen=True)
class Validation:
    """Validation rows, evaluated after each epoch: their plan, their packed data, and what metrics compare."""

    plan: Plan
    data: Data
    measured: Measured | None = None


class Feed(Protocol):
    """Rows that are read while the run works on the previous ones."""

    data: Data  # into which they are read

    def window(self, passes: int | None) -> tuple[int, int, int]:
        """Return the next window: (its first row, the first row after it, the first one's place in the data).

        All windows are asked for in turn, over and over, at most ``passes`` times. The previous window may be
        overwritten.
        """

    def close(self) -> None:
        """Stop reading."""


def _seconds_of_step(plan: Plan, task: Task) -> float:
    """Return about how long one thread works between two updates."""
    share = 1.0 if task.what == layout.TRAIN else 0.5
    return plan.seconds_per_sample * int(plan.numbers[layout.BATCH]) * share


def _worth(plan: Plan, task: Task) -> int:
    """Return how many threads are worth waking, judged by the work of a step and that of the whole run."""
    if task.update is not None and task.update.gauss_newton is not None:
        return 1  # tiles add to one matrix
    batch, step = int(plan.numbers[layout.BATCH]), _seconds_of_step(plan, task)
    if step / batch * int(plan.numbers[layout.SAMPLES]) * task.epochs < LEAST_SECONDS:
        return 1
    return max(1, min(-(-batch // plan.tile), int(step / SECONDS_OF_THREAD)))


def _trial(plan: Plan, task: Task) -> int:
    """Return the steps of a trial whether helpers are worthwhile; 0 if none is needed or would pay."""
    step = _seconds_of_step(plan, task)
    trial = max(LEAST_TRIAL, min(MOST_TRIAL, int(TRIAL_SECONDS / step)))
    steps = task.epochs * -(-int(plan.numbers[layout.SAMPLES]) // int(plan.numbers[layout.BATCH]))
    return trial if step <= DOUBTFUL_SECONDS and steps >= TRIALS_WORTH * trial else 0


def memory_of_crew(
    threads: int, scratch: int, dtype: np.dtype[Any], tiles: int = 1, length: int = 0, trial: int = 0
) -> tuple[Array, Array, Array, Array]:
    """Return the board, and for the items of a round the gradients, losses, and memory of the optimizer.

    ``tiles`` is the number of tiles of a batch, ``length`` that of numbers in a gradient, and ``trial`` that of
    steps in a trial of the helpers.
    """
    length = length if threads > 1 else 0
    fitting = MOST_SLOT_BYTES // max(1, length * dtype.itemsize)
    slots = max(threads, min(MOST_SLOTS, fitting))
    board = aligned_zeros(team.board_length(threads) * 8, np.dtype(np.uint8)).view(np.int64)
    board[team.THREADS], board[team.SLOTS], board[team.SCRATCH] = 1, slots, scratch
    board[team.TRIAL] = trial if threads > 1 else 0
    updates = team.UPDATES_EACH * threads if threads > 1 else 0
    return (
        board,
        aligned_zeros(min(slots, tiles) * length, dtype),
        np.zeros(2 * max(slots, updates)),
        np.zeros(updates * layout.MOST_MEMORY),
    )


# Stands in for arrays that a run does not have, and for what only fit_many needs; never read or written.
NOTHING = np.zeros(1, np.int64)


class Run:
    """All the memory of a run, and how far it has got.

    Attributes
    ----------
    threads : the greatest number of threads that may work on it; ``helped`` decides how many do.
    scratch_length : how many numbers of scratch memory each thread needs.
    compile_seconds : the seconds spent compiling the code that it needs.
    seconds_before : how long it had already run when it was resumed from a checkpoint.
    """

    compile_seconds = 0.0
    seconds_before = 0.0

    def __init__(
        self,
        plan: Plan,
        data: Data | Feed,
        parameters: Array,
        task: Task,
        measured: Measured | None = None,
        validation: Validation | None = None,
        threads: int = 1,
    ) -> None:
        dtype, length = plan.dtype, plan.vector_length
        lanes = LANES[dtype]
        self.plan = plan
        self.task = task
        self.numbers, self.reals = plan.numbers.copy(), plan.reals.copy()  # both change as the run goes on
        self.numbers[layout.SEED] = task.seed
        self._feed = None if isinstance(data, tuple) else data
        self.data = data if isinstance(data, tuple) else data.data
        if self._feed is not None:
            self.numbers[layout.WINDOW_END] = 0  # nothing has been read
        sizes = [length, length, length, plan.state_length, length if task.monitor is not None else 0]
        ends = np.cumsum(np.array(sizes) + lanes).tolist()
        memory = aligned_zeros(ends[-1], dtype)
        self.vectors = tuple(memory[end - size - lanes : end] for end, size in zip(ends, sizes, strict=True))
        self.count = len(parameters)
        self.vectors[0][: self.count] = parameters
        shuffled = int(plan.numbers[layout.SAMPLES]) if plan.numbers[layout.SHUFFLED] else 0
        self.threads = min(threads, _worth(plan, task)) if threads > 1 else 1
        # After the order of the rows, each thread has room for the indices of a tile's rows.
        self.order = np.zeros(shuffled + self.threads * plan.stride, np.int64)
        # One epoch more than there will be: when a line search ends an epoch, it has begun the next.
        self.records = np.zeros((task.epochs + 1) * task.width), np.zeros(layout.SUMS)
        self.cursor = np.zeros(layout.CURSOR, np.int64)
        self.cursor[layout.TO_SHUFFLE] = self.cursor[layout.VALIDATED] = -1
        if task.update is not None:
            self.records[1][layout.PLATEAU_RATE] = task.update.settings[0]
            self.records[1][layout.PLATEAU_BEST] = np.inf
        self._validation: tuple[Array, ...] = (NOTHING,) * 5
        if validation is not None:
            self._validation = validation.plan.numbers, validation.plan.reals, *validation.data
        work = max(1, *(part.work for part in (measured, validation and validation.measured) if part), 0)
        self._measured = (
            self._compared(measured),
            self._compared(validation.measured if validation else None),
            np.zeros(work),
        )
        self.scratch_length = max(part.scratch_length for part in (plan, validation and validation.plan) if part)

    def _compared(self, measured: Measured | None) -> tuple[Array, ...]:
        if measured is None:
            return (NOTHING,) * 3
        return measured.targets, measured.weights, np.zeros(len(measured.targets), self.plan.dtype)

    @functools.cached_property
    def scratch(self) -> Array:
        """The scratch memory of all threads, which keeps nothing from one tile to the next."""
        return aligned_zeros(self.threads * self.scratch_length, self.plan.dtype)

    @functools.cached_property
    def _crew(self) -> tuple[Array, Array, Array, Array]:
        plan = self.plan
        tiles, trial = -(-int(plan.numbers[layout.BATCH]) // plan.tile), _trial(plan, self.task)
        return memory_of_crew(self.threads, self.scratch_length, plan.dtype, tiles, plan.vector_length, trial)

    def compile(self) -> None:
        """Compile the loop that ``chunks`` needs, or load it from disk."""
        compiled.train.prepare(self.plan.dtype, *self._arguments(0, 0))

    @functools.cached_property
    def addresses(self) -> Array:
        """The addresses of all that the loop works on except scratch memory, in the order of ``kernels.job``."""
        arrays = self._arrays
        found = {id(array): address_of(array) for array in {id(array): array for array in arrays}.values()}
        return np.array([found[id(array)] for array in arrays], np.int64)

    def _arguments(self, thread: int, budget: int) -> tuple[Any, ...]:
        return self.addresses, NOTHING, self.scratch, self._crew, thread, budget

    @contextmanager
    def helped(self) -> Iterator[None]:
        """Let other threads help with the chunks inside this context; an exception in one of them is raised."""
        board = self._crew[0]
        with reserve(self.threads) as granted, Helpers() as helpers:
            board[team.ROUND] = 0
            try:
                board[team.THREADS] = 1 + helpers.start(granted - 1, self._help)
                yield
            finally:
                board[team.ROUND] = team.LEAVE
                board[team.THREADS] = 1

    def _help(self, thread: int) -> None:
        try:
            compiled.train(*self._arguments(thread, 0))
        except BaseException:  # only in plain Python; the leader would wait for the items this thread has claimed
            self._crew[0][team.HELPED] = team.ALL
            self.stop()
            raise

    @property
    def running(self) -> bool:
        """Whether there is anything left to do."""
        return bool(self.cursor[layout.STATUS] == layout.RUNNING)

    @property
    def status(self) -> str:
        """The status of the run, as the history names it."""
        return STATUS[int(self.cursor[layout.STATUS])]

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return int(self.cursor[layout.EPOCH])

    @property
    def record(self) -> Doubles:
        """The record (epochs, width) of the finished epochs."""
        width = self.task.width
        return self.records[0][: self.epochs * width].reshape(-1, width)

    @property
    def losses(self) -> Doubles:
        """The loss of each finished epoch."""
        losses: Doubles = self.record[:, layout.LOSS_COLUMN]
        return losses

    @property
    def parameters(self) -> Array:
        """The parameters (P,) after the last finished update, a read-only view."""
        update = self.task.update
        # A line search keeps its trial points in the first vector.
        searching = update is not None and update.line_search and self.cursor[layout.UPDATES] > 0
        return read_only(self.vectors[2 if searching else 0][: self.count])

    @property
    def between_epochs(self) -> bool:
        """Whether the run is between two epochs: nothing of the next is done that could not be repeated."""
        begun = self.cursor[layout.FIRST] + self.cursor[layout.DONE]
        diverged = self.cursor[layout.STATUS] == layout.DIVERGED  # maybe in an epoch's first update
        return bool(begun == 0 and self.cursor[layout.VALIDATED] < 0 and not diverged)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last update, or of the first one if there was none yet."""
        numbers = self.numbers
        warm = self.reals[layout.WARM_EPOCHS] * -(-numbers[layout.SAMPLES] // numbers[layout.BATCH])
        if self.cursor[layout.UPDATES] == 0 and warm > 0:
            return float(self.reals[0] / warm)
        return float(self.reals[0])

    @property
    def gradient_norm(self) -> float:
        """The Euclidean norm of the last update's gradient."""
        gradient = self.vectors[1][: self.plan.vector_length].astype(np.float64)
        with np.errstate(all="ignore"):
            gradient *= self.records[1][layout.SCALE]
            greatest = float(np.abs(gradient).max())
            if greatest == 0.0 or not np.isfinite(greatest):
                return greatest
            # The norm of numbers of at most 1: squares of large ones would overflow.
            return greatest * float(np.linalg.norm(gradient / greatest))

    @property
    def samples(self) -> int:
        """The number of samples trained on, counted once for each time."""
        rows = int(self.numbers[layout.SAMPLES])
        return self.epochs * rows + int(self.cursor[layout.FIRST] + self.cursor[layout.DONE])

    @property
    def share(self) -> float:
        """The share of all epochs that is done, from 0 to 1."""
        return self.samples / (self.task.epochs * int(self.numbers[layout.SAMPLES]))

    def told(self) -> list[str]:
        """Return texts for a progress display: the epoch, and its losses."""
        said = [f"epoch {self.epochs}/{self.task.epochs}"]
        if self.epochs:
            last = self.record[-1]
            said.append(f"loss {last[layout.LOSS_COLUMN]:.4g}")
            if self.task.validated:
                said.append(f"val_loss {last[self.task.column('val_loss')]:.4g}")
        return said

    def stop(self) -> None:
        """Stop the run, between two chunks."""
        self.cursor[layout.STATUS] = layout.STOPPED

    def pause_after_epoch(self, wanted: bool) -> None:
        """Make the next chunk end with its epoch, if wanted; else when it would end anyway."""
        self.numbers[layout.PAUSE_EVERY] = 1 if wanted else self.task.pause_every

    def _has_row(self) -> bool:
        """Return whether the row that the loop needs next, if any, has been read."""
        if self._feed is None or self.cursor[layout.VALIDATED] >= 0:
            return True
        numbers, row = self.numbers, self.cursor[layout.FIRST] + self.cursor[layout.DONE]
        return bool(numbers[layout.WINDOW] <= row < numbers[layout.WINDOW_END])

    def _read_on(self) -> None:
        """Get the next window."""
        assert self._feed is not None
        searching = self.task.update is not None and self.task.update.line_search
        first, stop, place = self._feed.window(None if searching else self.task.epochs - self.epochs)
        numbers = self.numbers
        numbers[layout.WINDOW], numbers[layout.WINDOW_END], numbers[layout.SHIFT] = first, stop, place - first

    def close(self) -> None:
        """Stop what reads its rows."""
        if self._feed is not None:
            self._feed.close()

    @property
    def _arrays(self) -> tuple[Array, ...]:
        trained, validated, work = self._measured
        return (
            self.numbers,
            self.reals,
            *self.data,
            self.order,
            *self.vectors,
            *self.records,
            self.cursor,
            *self._validation,
            *trained,
            *validated,
            work,
        )

    @property
    def first_budget(self) -> int:
        """The number of tiles that take a few milliseconds, by estimate."""
        samples = min(self.plan.tile, int(self.numbers[layout.BATCH]))
        return max(1, int(FIRST_CHUNK_OPERATIONS / (6 * samples * (self.plan.vector_length + 1))))

    def chunks(self) -> Iterator[None]:
        """Run to the end, yielding after each chunk."""
        budget = self.first_budget
        while self.running:
            if not self._has_row():
                self._read_on()
            pauses = self.numbers[layout.PAUSE_EVERY] > 0
            start = time.perf_counter()
            compiled.train(*self._arguments(0, budget))
            seconds = max(time.perf_counter() - start, 1e-9)
            # A chunk that ends before its budget is spent does not show how long the budget takes.
            if (not pauses and self._has_row()) or seconds > CHUNK_SECONDS / 2:
                budget = max(1, min(8 * budget, int(budget * CHUNK_SECONDS / seconds)))
            yield
