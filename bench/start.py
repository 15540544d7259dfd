"""What the first result costs: imports, and whole processes with and without compiled code on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

from bench.interleave import in_turns, median

IMPORTS = ("numba", "fastnn", "torch", "jax", "sklearn.neural_network")
COLD_ROUNDS = 3  # seconds each

# What the console script does.
TRAIN = "import sys; sys.argv = ['fastnn', 'train', 'circle']; from fastnn.cli import main; sys.exit(main())"


def process(code: str, cache: str) -> None:
    """Run a program in a new process, with a folder for Numba's cache."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{code!r} failed: {done.stdout}{done.stderr}")


def train_cold() -> None:
    """``fastnn train circle`` with nothing compiled."""
    with tempfile.TemporaryDirectory() as cache:
        process(TRAIN, cache)


@contextmanager
def warm_programs() -> Iterator[dict[str, Callable[[], None]]]:
    """Whole processes: an import each, and ``fastnn train circle`` with its compiled code on disk."""
    with tempfile.TemporaryDirectory() as cache:
        programs = {
            f"import {module}": partial(process, f"import {module}", cache)
            for module in IMPORTS
            if find_spec(module.partition(".")[0]) is not None
        }
        programs["fastnn train circle"] = partial(process, TRAIN, cache)
        for run in programs.values():
            run()
        yield programs


def measure(rounds: int) -> list[dict[str, Any]]:
    """A row for each program: its seconds, and those more than ``import numba`` takes."""
    with warm_programs() as programs:
        taken = in_turns(programs, rounds)
    cold = in_turns({"first": train_cold}, min(rounds, COLD_ROUNDS))["first"]
    base = taken["import numba"]
    rows = [
        {"what": name, "seconds": median(values), "over_numba": median(values - base)}
        for name, values in taken.items()
    ]
    rows.append({"what": "fastnn train circle, the first time", "seconds": median(cold), "over_numba": None})
    return rows
