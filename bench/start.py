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

# Of the size of the digits, which themselves would be an import of scikit-learn more.
FIT = """
import numpy as np
import fastnn
X = np.sin(np.arange(1797.0 * 64)).reshape(1797, 64)
y = np.arange(1797) % 10
net = fastnn.mlp([64, 64, 10], activation="relu", output="softmax")
history = net.fit(
    X, y, epochs=10, batch_size=64, optimizer=fastnn.Adam(0.001), loss="cross_entropy",
    validation_split=1 / 3, metrics=["accuracy"],
)
assert len(history.metrics["val_accuracy"]) == 10
"""

# Programs that compile, by what they are called.
FIT_NAME = "a fit with Adam, softmax, validation and accuracy"
COMPILING = {"fastnn train circle": TRAIN, FIT_NAME: FIT}
FIRST_TIME = ", the first time"


def process(code: str, cache: str) -> None:
    """Run a program in a new process, with a folder for Numba's cache, and Python's own cache as users have it."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{code!r} failed: {done.stdout}{done.stderr}")


def cold(code: str) -> None:
    """Run a program with nothing compiled."""
    with tempfile.TemporaryDirectory() as cache:
        process(code, cache)


@contextmanager
def warm_programs() -> Iterator[dict[str, Callable[[], None]]]:
    """Whole processes: an import each, and what compiles, with its compiled code on disk.

    Each has run once, so that Python's compiled code is on disk too.
    """
    with tempfile.TemporaryDirectory() as cache:
        programs = {
            f"import {module}": partial(process, f"import {module}", cache)
            for module in IMPORTS
            if find_spec(module.partition(".")[0]) is not None
        }
        programs |= {name: partial(process, code, cache) for name, code in COMPILING.items()}
        for run in programs.values():
            run()
        yield programs


def measure(rounds: int) -> list[dict[str, Any]]:
    """A row for each program: its seconds, and those more than ``import numba`` takes."""
    with warm_programs() as programs:
        taken = in_turns(programs, rounds)
    first = in_turns({name: partial(cold, code) for name, code in COMPILING.items()}, min(rounds, COLD_ROUNDS))
    base = taken["import numba"]
    rows = [
        {"what": name, "seconds": median(values), "over_numba": median(values - base)}
        for name, values in taken.items()
    ]
    rows += [
        {"what": f"{name}{FIRST_TIME}", "seconds": median(values), "over_numba": None}
        for name, values in first.items()
    ]
    return rows
