"""With pytest-benchmark: many epochs are timed at once, and what is reported is the time of one."""

from __future__ import annotations

from collections.abc import Callable

from pytest_benchmark.fixture import BenchmarkFixture

from bench.interleave import epochs_for


def time_epochs(
    benchmark: BenchmarkFixture, group: str, run: Callable[[int], object], seconds: float, epochs: int
) -> int:
    """How many epochs were timed: as many as take about that long (see ``epochs_for``), or one without timing."""
    epochs = epochs_for(run, seconds, epochs) if benchmark.enabled else 1
    benchmark.group = group
    benchmark.pedantic(run, args=(epochs,), rounds=10, warmup_rounds=1)
    divide_times(benchmark, epochs)
    return epochs


def divide_times(benchmark: BenchmarkFixture, count: float) -> None:
    """Of so many at once, the times of one."""
    if benchmark.enabled:
        stats = benchmark.stats.stats
        stats.data[:] = [seconds / count for seconds in stats.data]
