"""Shared by all tests: random numbers, hypothesis' profiles, Python processes, and what runs without JIT."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import hypothesis
import numba
import numpy as np
import pytest

# They compare, and are to show what they compared when it is not equal.
pytest.register_assert_rewrite("tests.oracle", "tests.problems")

ROOT = Path(__file__).resolve().parents[1]

# The same examples in every run: a failure is everybody's. No deadline: the first example may compile.
# CI asks for more with --hypothesis-profile=thorough.
COMMON = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],  # the reference is plain Python
}
hypothesis.settings.register_profile("quick", max_examples=30, **COMMON)
hypothesis.settings.register_profile("thorough", max_examples=1000, **COMMON)
hypothesis.settings.load_profile("quick")


def pytest_configure():
    # A shell's background jobs begin with Ctrl-C ignored, and so would the processes that tests start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    if numba.config.DISABLE_JIT:
        skip = pytest.mark.skip(reason="needs machine code, and NUMBA_DISABLE_JIT is set")
        for item in items:
            if "compiled" in item.keywords:
                item.add_marker(skip)


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(20240229)


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    """Each of the two dtypes that a network can have."""
    return request.param


@pytest.fixture
def run_python():
    """A function that runs source text, or a file, in a Python process of its own."""

    def run(source, *arguments, root=ROOT, timeout=120, **environment):
        program = [source] if isinstance(source, Path) else ["-c", source]
        finished = subprocess.run(
            [sys.executable, "-W", "error", *map(str, [*program, *arguments])],
            env={**os.environ, "PYTHONPATH": str(root), **environment},
            capture_output=True,
            text=True,
            cwd=root,  # which stands before PYTHONPATH
            timeout=timeout,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished

    return run
