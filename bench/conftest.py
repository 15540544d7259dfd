"""The rows of the grid. Without --benchmark-enable they run once each, on little data and for a few epochs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import machine
from bench.interleave import SECONDS
from bench.problems import DENSITIES, NETWORKS, Problem
from bench.subjects import BOTH, SUBJECTS, Subject, agreed
from bench.timing import time_epochs

SMOKE_DENSITIES = (10,)  # where no subject takes longer to run than to get ready


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``row`` its values: (problem, subject), wherever the subject has a row."""
    if "row" not in metafunc.fixturenames:
        return
    enabled = metafunc.config.getoption("benchmark_enable")
    rows = [
        pytest.param((problem, subject), id=f"density{density}-{problem.name}-{question}-{subject.name}")
        for density in (DENSITIES if enabled else SMOKE_DENSITIES)
        for network in NETWORKS
        for question in BOTH
        for subject in SUBJECTS
        if subject.takes(problem := Problem(question, network, density))
    ]
    metafunc.parametrize("row", rows)


@pytest.fixture
def time_epoch(benchmark: BenchmarkFixture) -> Callable[[Problem, Subject, str], int]:
    """Time an epoch of a subject, after its losses have been shown to agree; the number of epochs of a timing.

    As many epochs are timed as take long enough, and the times divided by that: within a group, times compare.
    """

    def time_it(problem: Problem, subject: Subject, group: str) -> int:
        if subject.missing:
            pytest.skip(subject.missing)
        run = agreed(problem, subject).run
        epochs = time_epochs(benchmark, group, run, SECONDS, problem.epochs_to_agree)
        benchmark.extra_info.update(
            question=problem.question,
            network=problem.name,
            density=problem.density,
            library=subject.library,
            dtype=subject.dtype,
            layout=subject.layout,
            epochs=epochs,
            machine=machine.describe(),
        )
        if benchmark.enabled:
            # Per sample and epoch.
            benchmark.extra_info["ns"] = 1e9 * benchmark.stats.stats.median / problem.samples
        return epochs

    return time_it
