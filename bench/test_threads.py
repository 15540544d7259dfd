"""Two threads against one, with pytest-benchmark."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import threads
from bench.interleave import SECONDS
from bench.subjects import DisagreementError
from bench.timing import time_epochs

pytestmark = pytest.mark.compiled


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("network", threads.DENSITIES)
def test_epoch(benchmark: BenchmarkFixture, network: str, count: int) -> None:
    """Both compute the same; then, and only then, their times are taken."""
    density = 100 if benchmark.enabled else 10
    fit = threads.Fit(network, density, None, "float64")
    fit.check(count)
    time_epochs(benchmark, f"threads {network}, density {density}", partial(fit.run, count), SECONDS, 3)


class Other(threads.Fit):
    """Two threads that learn a little more."""

    def run(self, threads: int, epochs: int) -> np.ndarray:
        """As Fit has it."""
        losses = super().run(threads, epochs)
        self.net.parameters = self.net.parameters * (1.0 + 2.0**-52 * (threads - 1))
        return losses


class Fewer(threads.Fit):
    """Two threads that do an epoch less."""

    def run(self, threads: int, epochs: int) -> np.ndarray:
        """As Fit has it."""
        return super().run(threads, epochs + 1 - threads)


def test_disagreement_is_seen() -> None:
    """To the last bit."""
    threads.Fit("2-4-1", 10, None, "float64").check(2)
    for fault in (Other, Fewer):
        with pytest.raises(DisagreementError, match="2 threads"):
            fault("2-4-1", 10, None, "float64").check(2)


def test_swept() -> None:
    """Tiny networks and few samples are among the cells, and no batch is larger than the data."""
    cells = list(threads.swept())
    assert len(set(cells)) == len(cells)
    assert {("2-1", 3, None), ("2-1", 3, 1), ("2-4-1", 100, 32), ("2-64-64-1", 100, 4096)} <= set(cells)
    assert all(batch is None or batch < (density + 1) ** 2 for _, density, batch in cells)


def test_measure() -> None:
    """A row for each network and density; the bounds are those of cells that are measured."""
    rows = threads.measure("float32", 2, seconds=1e-4, densest=30)
    assert [row["network"] for row in rows] == list(threads.DENSITIES)
    assert all(row["faster"] > 0 and row["threads"] == 2 for row in rows)
    for network, bounds in threads.WANTED.items():
        assert set(bounds) <= set(threads.DENSITIES[network])


def test_sweep_measures_again_what_seems_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    """In more rounds, and only that."""
    asked: list[int] = []

    def compared(self: threads.Fit, count: int, rounds: int, seconds: float) -> dict[str, Any]:
        asked.append(rounds)
        return {"faster": 0.9 if self.batch == 1 and rounds == 5 else 1.0, "rounds": rounds}

    monkeypatch.setattr(threads.Fit, "compared", compared)
    rows = threads.sweep("float64", 5, densities=(3,))
    assert len(rows) == len(threads.SWEPT_NETWORKS) * 2  # batches of 1 and all rows
    assert asked.count(5 * threads.AGAIN) == len(threads.SWEPT_NETWORKS)
    assert {row["rounds"] for row in rows} == {5, 5 * threads.AGAIN}
