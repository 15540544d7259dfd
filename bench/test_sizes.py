"""What more data costs: time per sample over density, and memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench import sizes
from bench.problems import Problem
from bench.subjects import FASTNN_ALONE, Subject

pytestmark = pytest.mark.compiled
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


@DTYPES
@pytest.mark.parametrize("density", sizes.DENSITIES, ids="density{}".format)
def test_epoch(time_epoch: Callable[[Problem, Subject, str], int], density: int, dtype: str) -> None:
    """[2, 4, 1] on up to a million samples."""
    time_epoch(Problem("circle", (2, 4, 1), density), FASTNN_ALONE[dtype], f"sizes {dtype}")


@DTYPES
@pytest.mark.skipif(not sizes.memory_known(), reason="needs Linux's /proc")
def test_memory(dtype: str) -> None:
    """At most the data twice, and 64 MB."""
    found = sizes.memory(dtype)
    assert found["memory"] <= 2 * found["data"] + (64 << 20)
