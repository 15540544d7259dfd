"""Cold start, warm start and imports, each as a whole process."""

from __future__ import annotations

import os

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import start

pytestmark = pytest.mark.compiled


PROGRAMS = pytest.mark.parametrize("code", start.COMPILING.values(), ids=["circle", "digits"])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the compiled code of all programs."""
    folder = str(tmp_path_factory.mktemp("cache"))
    for code in start.COMPILING.values():
        start.process(code, folder)
    assert any(files for _, _, files in os.walk(folder))
    return folder


@pytest.mark.parametrize("module", start.IMPORTS)
def test_import(benchmark: BenchmarkFixture, module: str, tmp_path: object) -> None:
    """An import, beside which that of fastnn is to be seen: numba is what it is made of."""
    pytest.importorskip(module.partition(".")[0])
    benchmark.group = "start"
    benchmark.pedantic(start.process, args=(f"import {module}", str(tmp_path)), rounds=5, warmup_rounds=1)


@pytest.mark.slow
@PROGRAMS
def test_warm(benchmark: BenchmarkFixture, cache: str, code: str) -> None:
    """With its compiled code on disk."""
    benchmark.group = "start"
    benchmark.pedantic(start.process, args=(code, cache), rounds=5, warmup_rounds=1)


@pytest.mark.slow
@PROGRAMS
def test_cold(benchmark: BenchmarkFixture, code: str) -> None:
    """With nothing compiled."""
    benchmark.group = "start"
    benchmark.pedantic(start.cold, args=(code,), rounds=start.COLD_ROUNDS)
