"""The grid: samples × width × batch, fastnn beside PyTorch, JAX and scikit-learn.

Networks of eight inputs, two hidden layers of tanh and one output, trained with Adam, the rows in their order.
Of each library the fastest way to write it is looked for in each cell, and then all have turns. Where an epoch
takes longer than a timing should, its first batches are timed; only a full batch is always whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.descent import INPUTS, Descent
from bench.descent_subjects import DESCENT_SUBJECTS, DescentSubject, DescentTrainer, agreed
from bench.interleave import SECONDS, epochs_for, in_turns, median, seconds_of, spread

LIBRARIES = ("scikit-learn", "PyTorch", "JAX", "fastnn")
SAMPLES = (100, 1_000, 10_000, 100_000)
WIDTHS = (4, 16, 64, 256, 512, 1024)
BATCHES = (1, 32, 256, None)
WIDEST_OF_BATCHES = 256  # wider ones are trained on all rows at once only
MOST_OPERATIONS = 2e10  # of an epoch of a full batch, none of whose ways is to take much more than 0.2 s
DOUBLE_SAMPLES = 10_000  # for which there is float64 too
MOST_SECONDS = 10.0  # of all rounds of a cell; then there are fewer
FEWEST_ROUNDS = 3
HOPELESS = 2.0  # times the fastest way's time at the first look: it is not looked at again

Way = tuple[DescentSubject, DescentTrainer]


def cells() -> Iterator[tuple[Descent, str]]:
    """Problem and dtype of each."""
    for samples in SAMPLES:
        for width in WIDTHS:
            for batch in BATCHES:
                problem = Descent((INPUTS, width, width, 1), samples, batch)
                if batch is None:
                    wanted = problem.operations <= MOST_OPERATIONS
                else:
                    wanted = batch < samples and width <= WIDEST_OF_BATCHES
                if not wanted:
                    continue
                yield problem, "float32"
                if samples == DOUBLE_SAMPLES and width <= WIDEST_OF_BATCHES:
                    yield problem, "float64"


def portion(trainer: DescentTrainer, seconds: float) -> tuple[int, int]:
    """How many epochs of how many rows take about that long: whole epochs, if one does not take longer."""
    problem = trainer.problem
    size, rows = problem.rows_of_batch, problem.head
    for _ in range(3):  # from the first batches to more of them
        taken = seconds_of(partial(trainer.run, 1, rows))
        if rows == problem.samples:
            return epochs_for(trainer.run, seconds, max(1, min(50, round(seconds / taken)))), rows
        if taken > seconds / 2:
            break
        rows = min(problem.samples, max(rows, round(rows * seconds / taken / size) * size))
        trainer.run(1, rows)
    return 1, rows


def fastest(problem: Descent, dtype: str, library: str, seconds: float = SECONDS) -> list[Way]:
    """[(subject, trainer)] of the library's fastest way, its losses found right; [] if it is not installed."""
    ways = [
        (subject, agreed(problem, subject))
        for subject in DESCENT_SUBJECTS
        if (subject.library, subject.dtype) == (library, dtype) and subject.fits(problem)
    ]
    if len(ways) < 2:
        return ways
    looks = {subject.name: partial(trainer.run, 1, problem.head) for subject, trainer in ways}
    first = {name: taken.min() for name, taken in in_turns(looks, 2).items()}
    ways = [way for way in ways if first[way[0].name] < HOPELESS * min(first.values())]
    ns = {}
    for subject, trainer in ways:
        epochs, rows = portion(trainer, seconds / 2)
        taken = in_turns({"": partial(trainer.run, epochs, rows)}, 2)[""]
        ns[subject.name] = taken.min() / (epochs * rows)
    return [min(ways, key=lambda way: ns[way[0].name])]


def measure(
    problem: Descent, dtype: str, rounds: int, seconds: float = SECONDS, libraries: tuple[str, ...] = LIBRARIES
) -> list[dict[str, Any]]:
    """A row for each library that is installed: ns per sample and epoch, and in times of fastnn's."""
    runs, rows, work = {}, {}, {}
    for library in libraries:
        for subject, trainer in fastest(problem, dtype, library, seconds):
            epochs, of_rows = portion(trainer, seconds)
            runs[library], work[library] = partial(trainer.run, epochs, of_rows), epochs * of_rows
            rows[library] = {
                "samples": problem.samples,
                "width": problem.network[1],
                "batch": problem.batch or "full",
                "dtype": dtype,
                "library": library,
                "layout": subject.layout,
                "epochs": epochs,
                "rows": of_rows,
                "compile_seconds": round(trainer.compile_seconds, 2),
            }
    once = sum(taken[0] for taken in in_turns(runs, 1).values())
    rounds = max(min(rounds, FEWEST_ROUNDS), min(rounds, int(MOST_SECONDS / once)))
    ns = {library: 1e9 * taken / work[library] for library, taken in in_turns(runs, rounds).items()}
    for library, row in rows.items():
        row["rounds"] = rounds
        row["ns"] = median(ns[library])
        row["spread"] = spread(ns[library])
        row["to_fastnn"] = median(ns[library] / ns["fastnn"])
    return list(rows.values())
