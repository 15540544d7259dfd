"""What it costs to watch a training."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import overhead
from bench.handwriting import MadeUp, thirds
from bench.subjects import DisagreementError
from bench.timing import time_epochs

pytestmark = pytest.mark.compiled
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
WAYS = ("nothing", "validation", "validation, accuracy", "validation, accuracy, early stopping")


def made_up() -> overhead.Rows:
    """Rows for where scikit-learn is not installed."""
    X, y = MadeUp(150).data
    return X[:100], X[100:], y[:100], y[100:]


@DTYPES
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batches", overhead.BATCHES)
def test_epoch(benchmark: BenchmarkFixture, batches: str, way: str, dtype: str) -> None:
    """All ways train alike; then, and only then, their times are taken."""
    if benchmark.enabled:
        pytest.importorskip("sklearn", reason="scikit-learn, which has the digits, is not installed")
    watched = overhead.Watched(dtype, overhead.BATCHES[batches], thirds(0) if benchmark.enabled else made_up())
    assert tuple(watched.ways(1)) == WAYS
    overhead.check(watched)
    time_epochs(benchmark, f"overhead {batches} {dtype}", partial(watched.fit, way), overhead.SECONDS, 3)


def test_disagreement_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of labels that are not those of the validation rows, and of a fit that does not train alike."""
    watched = overhead.Watched("float64", None, made_up())
    overhead.check(watched)
    right = watched.labels
    watched.labels = (right + 1) % 10
    with pytest.raises(DisagreementError, match="accuracy"):
        overhead.check(watched)
    watched.labels = right
    validation, watched.validation = watched.validation, watched.repeated
    ways = {"nothing": {}, "validation": {"validation_data": watched.data}}
    monkeypatch.setattr(watched, "ways", lambda epochs: ways)
    with pytest.raises(DisagreementError, match="validation loss"):
        overhead.check(watched)
    watched.validation = validation
    monkeypatch.setattr(watched, "ways", lambda epochs: {"nothing": {}, "weights": {"class_weight": {0: 2.0}}})
    with pytest.raises(DisagreementError, match="weights"):
        overhead.check(watched)


def test_measure() -> None:
    """A row for each; without watching there is nothing more."""
    rows = overhead.measure("float64", 2, seconds=1e-4, rows=made_up())
    assert [row["way"] for row in rows] == [*WAYS, *WAYS]
    assert all(row["us"] > 0 and row["forward_us"] > 0 for row in rows)
    assert all(row["more_us"] == 0 for row in rows if row["way"] == "nothing")
    assert np.isfinite([row["more_forward"] for row in rows]).all()
