"""How much of the machine's FMA peak training reaches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import peak
from bench.interleave import SECONDS, epochs_for
from bench.problems import Problem
from bench.subjects import FASTNN_ALONE, Subject

pytestmark = pytest.mark.compiled
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


@DTYPES
def test_fma(benchmark: BenchmarkFixture, dtype: str) -> None:
    """Multiply and add alone, what a core can do at most; speed is operations over time, as below."""
    fma = peak.Fma(dtype)
    fma.run(1)
    repeats = epochs_for(fma.run, SECONDS, 1000) if benchmark.enabled else 1000
    benchmark.group = f"peak {dtype}"
    benchmark.pedantic(fma.run, args=(repeats,), rounds=10, warmup_rounds=1)
    benchmark.extra_info["operations"] = repeats * fma.operations
    # It did multiply and add: a lane has sixteen sums of products of 1e-3 and 1e-3.
    fma.run(1000)
    assert fma.out == pytest.approx(0.016, rel=1e-4)


@DTYPES
@pytest.mark.parametrize("problem", peak.WIDE, ids=lambda problem: problem.name)
def test_training(
    benchmark: BenchmarkFixture, time_epoch: Callable[[Problem, Subject, str], int], problem: Problem, dtype: str
) -> None:
    """Wide networks, where the matrix products are nearly all of the work."""
    time_epoch(problem, FASTNN_ALONE[dtype], f"peak {dtype}")
    benchmark.extra_info["operations"] = peak.operations(problem.network, problem.samples)


@DTYPES
@pytest.mark.parametrize("batch_size", [None, *peak.BATCHES])
def test_many_inputs(benchmark: BenchmarkFixture, batch_size: int | None, dtype: str) -> None:
    """Batches of a wide network, each of which goes through all of its weights."""
    many = peak.ManyInputs(dtype, batch_size)
    losses = many.run(2)
    assert losses[1] < losses[0]
    benchmark.group = f"peak {dtype}"
    benchmark.pedantic(many.run, args=(1,), rounds=5)
    benchmark.extra_info["operations"] = peak.operations(peak.MANY, peak.ROWS)


def test_operations_of_a_sample() -> None:
    """[2, 64, 64, 1] by hand: 128 + 4096 + 64 products forward and for the weights, 4096 + 64 for the inputs."""
    assert peak.operations((2, 64, 64, 1), 10_201) == 10_201 * 2 * (2 * 4288 + 4160)
