"""What a single answer costs."""

from __future__ import annotations

from functools import partial

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import latency
from bench.subjects import DisagreementError
from bench.timing import time_epochs

pytestmark = pytest.mark.compiled
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


@DTYPES
@pytest.mark.parametrize("library", latency.LIBRARIES)
@pytest.mark.parametrize("number", range(len(latency.tasks("float64"))))
def test_call(benchmark: BenchmarkFixture, number: int, library: str, dtype: str) -> None:
    """Each answer is the right one, and only then its time is taken."""
    task = latency.tasks(dtype)[number]
    if task.what == latency.IN_LOOP and library != "fastnn":
        pytest.skip("fastnn alone can be called in compiled code")
    package, make = latency.LIBRARIES[library]
    pytest.importorskip(package)
    if library == "onnxruntime":
        pytest.importorskip("onnx")
    found = dict(make(task))
    if not found:
        pytest.skip(f"{library} cannot be asked for that")
    for layout, call in found.items():
        latency.check(task, (library, layout), call())
    run = partial(latency.repeated, next(iter(found.values())))
    time_epochs(benchmark, f"{task.what} {task.name} {dtype}", run, latency.SECONDS, 1)


def test_wrong_answers_are_seen() -> None:
    """A thousandth more is another answer, also of the gradient alone."""
    for task in latency.tasks("float64"):
        right = latency.expected(task)
        for i in range(len(right)):
            answer = [1.001 * part if i == j else part for j, part in enumerate(right)]
            if task.what != latency.GRADIENT:
                (answer,), (right,) = answer, right
            latency.check(task, ("somebody", ""), right)
            with pytest.raises(DisagreementError, match="somebody"):
                latency.check(task, ("somebody", ""), answer)


def test_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for each who can do it, with fastnn's own time as the unit."""
    monkeypatch.setattr(latency, "LIBRARIES", {"fastnn": latency.LIBRARIES["fastnn"]})
    rows = latency.measure_all("float64", 2, seconds=1e-4)
    assert [row["what"] for row in rows] == [task.what for task in latency.tasks("float64")]
    assert all(row["us"] > 0 and row["to_fastnn"] == 1.0 for row in rows)
