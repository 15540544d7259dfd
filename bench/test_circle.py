"""The grid with pytest-benchmark: a group is a question at one network and density, a row a library and dtype."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench import circle
from bench.problems import Problem
from bench.subjects import (
    FASTNN,
    SUBJECTS,
    DisagreementError,
    NumpyTrainer,
    Subject,
    check,
)

pytestmark = pytest.mark.compiled
TimeEpoch = Callable[[Problem, Subject, str], int]
SMALL = Problem("circle", (2, 4, 1), 10)


def test_row(time_epoch: TimeEpoch, row: tuple[Problem, Subject]) -> None:
    """Its losses are those of the problem; then, and only then, its time is taken."""
    problem, subject = row
    time_epoch(problem, subject, f"{problem.question} {problem.name}, density {problem.density}")


class Faster(Problem):
    """A subject that has the learning rate a little wrong."""

    @property
    def rate(self) -> float:
        """A millionth too large."""
        return super().rate * (1.0 + 1e-6)


class Elsewhere(Problem):
    """A subject that starts elsewhere."""

    def weights(self, dtype: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """One weight is a millionth larger."""
        layers = super().weights(dtype)
        layers[0][0][0, 0] *= 1.0 + 1e-6
        return layers


FAULTS = {
    "a rate": lambda: NumpyTrainer(Faster("circle", (2, 4, 1), 10), "float64", "rows").run(20),
    "a start": lambda: NumpyTrainer(Elsewhere("circle", (2, 4, 1), 10), "float64", "rows").run(20),
    "float32": lambda: FASTNN["float32"].trainer(SMALL, "float32", "").run(20),
    "an epoch less": lambda: FASTNN["float64"].trainer(SMALL, "float64", "").run(19),
    "not a number": lambda: [float("nan")] * 20,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_disagreement_is_seen(fault: str) -> None:
    """Planted faults, each in what would else pass."""
    assert SMALL.epochs_to_agree == 20
    check(FASTNN["float64"].trainer(SMALL, "float64", "").run(20), SMALL, "float64", "a sound one")
    with pytest.raises(DisagreementError):
        check(FAULTS[fault](), SMALL, "float64", fault)


def test_measure_takes_all_in_turns() -> None:
    """Every subject that can be here has a row, with its ratios; fastnn's to itself is 1."""
    rows = circle.measure(SMALL, rounds=2, seconds=1e-4)
    names = {subject.name for subject in SUBJECTS if subject.takes(SMALL) and not subject.missing}
    assert len(rows) == len(names)
    assert all(row["ns"] > 0 and row["to_fastnn"] > 0 and row["to_reference"] > 0 for row in rows)
    assert {row["to_fastnn"] for row in rows if row["library"] == "fastnn"} == {1.0}


def test_plain_python_is_compared() -> None:
    """The losses that all are compared with are plain Python's, for both questions and several layers."""
    for question in ("circle", "regression"):
        problem = Problem(question, (2, 16, 16, 1), 10)
        trainer = SUBJECTS[0].trainer(problem, "float64", "")
        check(trainer.run(problem.epochs_to_agree), problem, "float64", "reference")
