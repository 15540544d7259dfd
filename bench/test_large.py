"""What it costs that rows do not fit into memory."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from bench import large
from bench.sizes import memory_known
from bench.subjects import DisagreementError

pytestmark = pytest.mark.compiled


def test_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for each way."""
    limits = {way: (kind, limit and "300 KB") for way, (kind, limit) in large.WAYS.items()}
    monkeypatch.setattr(large, "WAYS", limits)
    rows = large.measure("float64", 2, (30, 100), seconds=1e-4)
    assert [(row["density"], row["way"]) for row in rows] == [
        (30, "arrays, packed"),
        *((100, way) for way in limits),
    ]
    assert np.isfinite([row["ns"] for row in rows]).all()


@pytest.mark.skipif(not memory_known(), reason="needs Linux's /proc")
def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is packed takes as much as the data, and windows take what they may; 16 MB are everything else."""
    data = fastnn.datasets.circle(density=1500)
    with large.kept_in_files(data) as paths:
        packed, windows = (large.memory(paths, "float64", limit) for limit in (None, "8 MB"))
    size = sum(array.nbytes for array in data)
    assert 0.9 * size < packed < 1.1 * size + (16 << 20)
    assert windows < (8 << 20) + (16 << 20) < 0.5 * size


def test_disagreement_is_seen() -> None:
    """Of rows that are not those of the files."""
    data = fastnn.datasets.circle(density=10)
    large.check({"arrays": data, "files": data}, "float64")
    with pytest.raises(DisagreementError, match="files, packed"):
        large.check({"arrays": data, "files": (data[0], 1 - data[1])}, "float64")
