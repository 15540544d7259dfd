"""L-BFGS to the loss at which scikit-learn's ends."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import lbfgs
from bench.handwriting import MadeUp
from bench.subjects import DisagreementError

pytestmark = pytest.mark.compiled


def small() -> lbfgs.Task:
    """Few rows, and so few iterations."""
    X, y = MadeUp(60).data
    return lbfgs.Task("small", (64, 4, 10), "tanh", True, X, y)


def test_the_least_number_of_iterations() -> None:
    """One less is not enough; and what cannot be reached is not claimed."""
    descent = lbfgs.FastnnDescent(small(), 0)
    end = descent.run(20).loss[12]
    iterations = descent.iterations_to(end, 20)
    assert iterations == 12
    losses = {}
    for count in (iterations - 1, iterations):
        descent.run(count)
        losses[count] = descent.loss_at(descent.net.parameters.copy())
    assert losses[iterations] <= end < losses[iterations - 1]
    assert descent.iterations_to(0.0, 5) == 0


@pytest.mark.parametrize("task", lbfgs.TASKS)
@pytest.mark.parametrize("library", ["scikit-learn", "fastnn"])
def test_descent(benchmark: BenchmarkFixture, task: str, library: str) -> None:
    """Both mean the same loss and get there; then, and only then, their times are taken."""
    pytest.importorskip("sklearn", reason="scikit-learn, which has the data, is not installed")
    rows = lbfgs.TASKS[task]() if benchmark.enabled else small()
    theirs, ours, iterations = lbfgs.agreed(rows, 0)
    assert iterations > 0
    benchmark.group = f"lbfgs {task}"
    if library == "fastnn":
        benchmark.pedantic(ours.run, args=(iterations,), rounds=10, warmup_rounds=1)
    else:
        benchmark.pedantic(theirs.run, args=(1,), rounds=10 if benchmark.enabled else 1)


def test_another_loss_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A penalty that is not the same."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    made = lbfgs.FastnnDescent

    def wrong(task: lbfgs.Task, seed: int) -> lbfgs.FastnnDescent:
        with monkeypatch.context() as patch:
            patch.setattr(lbfgs, "PENALTY", 1.001 * lbfgs.PENALTY)
            return made(task, seed)

    monkeypatch.setattr(lbfgs, "FastnnDescent", wrong)
    with pytest.raises(DisagreementError, match="another loss"):
        lbfgs.agreed(small(), 0)


def test_measure() -> None:
    """A row for each start."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    rows = lbfgs.measure(small(), 2, starts=(0, 1))
    assert [row["start"] for row in rows] == [0, 1]
    assert all(row["to_fastnn"] > 0 and row["iterations"] > 0 and np.isfinite(row["loss"]) for row in rows)
