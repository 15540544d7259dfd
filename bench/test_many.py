"""Many networks at once with pytest-benchmark: a row for each who trains them and each dtype."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import many
from bench.subjects import DisagreementError
from bench.timing import divide_times

pytestmark = pytest.mark.compiled
SMALL = many.Networks(count=5)
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


@DTYPES
@pytest.mark.parametrize("subject", many.SUBJECTS, ids=lambda subject: subject.name)
def test_epochs(benchmark: BenchmarkFixture, subject: many.Subject, dtype: str) -> None:
    """Its losses are those of all; then, and only then, its time is taken."""
    if subject.missing:
        pytest.skip(subject.missing)
    problem, epochs = (many.WHOLE, many.EPOCHS) if benchmark.enabled else (SMALL, 1)
    run = many.agreed(problem, subject, dtype).run
    benchmark.group = f"many {dtype}"
    benchmark.pedantic(run, args=(epochs,), rounds=5, warmup_rounds=1)
    divide_times(benchmark, epochs * problem.count)
    if benchmark.enabled:
        benchmark.extra_info["ns"] = 1e9 * benchmark.stats.stats.median / problem.samples


def test_disagreement_is_seen() -> None:
    """Of losses of another network, of another epoch, in float32, and of too few networks."""
    losses = np.array(many.agreed(SMALL, many.SUBJECTS[0], "float64").run(many.EPOCHS_TO_AGREE))
    many.check(losses, SMALL, "float64", "these")
    for wrong in (losses[::-1], np.roll(losses, 1, axis=1), losses.astype(np.float32), losses[:-1], losses.T):
        with pytest.raises(DisagreementError, match="these"):
            many.check(wrong, SMALL, "float64", "these")


def test_numpy_is_compared() -> None:
    """The losses that all are compared with are those of networks alone."""
    one = many.OneByOne(SMALL, "float64", "").run(many.EPOCHS_TO_AGREE)
    many.check(one, SMALL, "float64", "one by one")
    losses = np.asarray(one)
    assert (losses[:, -1] < losses[:, 0]).all()
    assert len(np.unique(losses[:, 0])) == SMALL.count


def test_measure() -> None:
    """A row for each that is there."""
    subjects = [subject for subject in many.SUBJECTS if not subject.package]
    rows = many.measure("float64", 2, SMALL, 3, subjects)
    assert [row["who"] for row in rows] == [many.MANY, many.ON_ONE, many.ONE_BY_ONE, many.ALONE]
    assert rows[0]["to_many"] == rows[-1]["to_alone"] == 1.0
    assert all(row["ns"] > 0 for row in rows)
