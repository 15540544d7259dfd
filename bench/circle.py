"""The grid: every subject on one problem, in turns."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.interleave import SECONDS, epochs_for, in_turns, median, spread
from bench.problems import Problem
from bench.subjects import FASTNN, SUBJECTS, agreed


def measure(problem: Problem, rounds: int, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """A row for each subject that is installed: ns per sample and epoch, and how it compares.

    ``to_fastnn`` and ``to_fastnn64`` are the time in times of fastnn's on all threads, in the same dtype and in
    float64; ``to_reference`` the speed in times of plain Python's, if that has a row: medians of the ratios.
    """
    runs, rows, ns = {}, {}, {}
    for subject in SUBJECTS:
        if subject.takes(problem) and not subject.missing:
            trainer = agreed(problem, subject)
            epochs = epochs_for(trainer.run, seconds, problem.epochs_to_agree)
            runs[subject.name] = partial(trainer.run, epochs)
            rows[subject.name] = {
                "network": problem.name,
                "density": problem.density,
                "library": subject.library,
                "dtype": subject.dtype,
                "layout": subject.layout,
                "epochs": epochs,
                "compile_seconds": round(trainer.compile_seconds, 2),
            }
    for name, taken in in_turns(runs, rounds).items():
        ns[name] = 1e9 * taken / (rows[name]["epochs"] * problem.samples)
    for name, row in rows.items():
        row["ns"] = median(ns[name])
        row["spread"] = spread(ns[name])
        row["to_fastnn"] = median(ns[name] / ns[FASTNN[row["dtype"]].name])
        row["to_fastnn64"] = median(ns[name] / ns[FASTNN["float64"].name])
        row["to_reference"] = median(ns["reference-float64"] / ns[name]) if "reference-float64" in ns else None
    return list(rows.values())
