"""An epoch of mini-batches on the digits: every subject, in turns."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.handwriting import NETWORK, Digits
from bench.interleave import epochs_for, in_turns, median, spread
from bench.minibatch_subjects import MINIBATCH_FASTNN, MINIBATCH_SUBJECTS, agreed

WHOLE = Digits()
SECONDS = 0.1  # of one timing: what a call of fit does once shall not count


def measure(rounds: int, problem: Digits = WHOLE, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """A row for each subject that is installed: ms of an epoch, and in times of fastnn's in the same dtype."""
    runs, rows, ms = {}, {}, {}
    for subject in MINIBATCH_SUBJECTS:
        if subject.missing:
            continue
        trainer = agreed(problem, subject)
        epochs = epochs_for(trainer.run, seconds, problem.epochs_to_agree)
        runs[subject.name] = partial(trainer.run, epochs)
        rows[subject.name] = {
            "network": "-".join(map(str, NETWORK)),
            "library": subject.library,
            "dtype": subject.dtype,
            "layout": subject.layout,
            "epochs": epochs,
            "compile_seconds": round(trainer.compile_seconds, 2),
        }
    for name, taken in in_turns(runs, rounds).items():
        ms[name] = 1e3 * taken / rows[name]["epochs"]
    for name, row in rows.items():
        row["ms"] = median(ms[name])
        row["spread"] = spread(ms[name])
        row["to_fastnn"] = median(ms[name] / ms[MINIBATCH_FASTNN[row["dtype"]].name])
    return list(rows.values())
