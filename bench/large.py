"""What it costs that rows do not fit into memory: time per sample and memory, with and without ``memory_limit``.

[2, 4, 1] on the circle at density 3000, 9,006,001 rows, from arrays and from files that are mapped into memory,
packed as a whole or read in windows; and at density 100, packed, with which all are compared. The cost of an epoch
is the difference between a longer fit and a shorter one: packing once, or the first look at rows, does not count.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from bench.interleave import SECONDS, SHORT_PAUSE, Doubles, in_turns, median
from bench.sizes import memory_known
from bench.subjects import DisagreementError

SMALL, LARGE = 100, 3000
LIMIT = "64 MB"
RATE = 10.0
EPOCHS = 10  # that the longer fit has more
Rows = tuple[np.ndarray, np.ndarray]

WAYS: dict[str, tuple[str, str | None]] = {
    "arrays, packed": ("arrays", None),
    f"arrays, {LIMIT}": ("arrays", LIMIT),
    "files, packed": ("files", None),
    f"files, {LIMIT}": ("files", LIMIT),
}

# The highest memory that is not of files, from when everything is compiled and the rows are there.
MEMORY_PROGRAM = """
import json, re, sys
import numpy as np
import fastnn

def status(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1])

X, y, limit, dtype = np.load(sys.argv[1]), np.load(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4]
net = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform", seed=0, dtype=dtype)
net.fit(X[:100], y[:100], optimizer=fastnn.SGD(10.0))
net.fit([(X[:100], y[:100])], optimizer=fastnn.SGD(10.0))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the highest so far is forgotten
before = status("VmRSS")
net.fit(X, y, epochs=2, optimizer=fastnn.SGD(10.0), memory_limit=limit)
print(json.dumps(status("VmHWM") - before))
"""


@contextmanager
def kept_in_files(rows: Rows) -> Iterator[tuple[Path, Path]]:
    """Where they are, as long as this lasts."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "X.npy"), Path(folder, "y.npy")
        for path, array in zip(paths, rows, strict=True):
            np.save(path, array)
        yield paths


def fit(rows: Rows, dtype: str, limit: str | None, epochs: int) -> np.ndarray:
    """The losses of a fit from the textbook's start."""
    net = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform", seed=0, dtype=dtype)
    return net.fit(*rows, epochs=epochs, optimizer=fastnn.SGD(RATE), memory_limit=limit).loss


def memory(paths: tuple[Path, Path], dtype: str, limit: str | None) -> int:
    """Bytes that a fit takes at most, beside rows that are in arrays."""
    command = [sys.executable, "-c", MEMORY_PROGRAM, *map(str, paths), json.dumps(limit), dtype]
    return int(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def check(rows: dict[str, Rows], dtype: str) -> None:
    """Raise unless all ways train alike, to the last bit."""
    losses = {way: fit(rows[kind], dtype, limit, 3) for way, (kind, limit) in WAYS.items()}
    first = next(iter(losses.values()))
    for way, found in losses.items():
        if not np.array_equal(found, first):
            raise DisagreementError(f"the losses are others with {way}")


def measure(
    dtype: str, rounds: int, densities: tuple[int, int] = (SMALL, LARGE), seconds: float = SECONDS
) -> list[dict[str, Any]]:
    """A row for each way: ns per sample and epoch, in parts of that of the small density, and bytes of memory."""
    small, large = (
        tuple(array.astype(dtype) for array in fastnn.datasets.circle(density=density)) for density in densities
    )
    found = []
    with kept_in_files(large) as paths:
        files = tuple(np.load(path, mmap_mode="r") for path in paths)
        rows: dict[str, Rows] = {"arrays": large, "files": files}
        check(rows, dtype)
        often = max(1, round(seconds * 2e8 / len(small[1]) / EPOCHS)) * EPOCHS
        runs: dict[str, Callable[[], object]] = {
            "short": partial(fit, small, dtype, None, often),
            "long": partial(fit, small, dtype, None, 2 * often),
        }
        for way, (kind, limit) in WAYS.items():
            runs[f"short {way}"] = partial(fit, rows[kind], dtype, limit, 1)
            runs[f"long {way}"] = partial(fit, rows[kind], dtype, limit, 1 + EPOCHS)
        # Some systems take memory back in a long pause; to get it again takes longer than the epochs.
        taken = in_turns(runs, rounds, SHORT_PAUSE)
        of_small = 1e9 * (taken["long"] - taken["short"]) / (often * len(small[1]))
        found.append(_row(densities[0], dtype, "arrays, packed", of_small, of_small))
        for way, (_, limit) in WAYS.items():
            ns = 1e9 * (taken[f"long {way}"] - taken[f"short {way}"]) / (EPOCHS * len(large[1]))
            found.append(_row(densities[1], dtype, way, ns, of_small))
            if way.startswith("arrays") and memory_known():
                found[-1] |= {"memory": memory(paths, dtype, limit), "data": sum(array.nbytes for array in large)}
        del files, rows, runs  # a file that is mapped cannot be removed on Windows
    return found


def _row(density: int, dtype: str, way: str, ns: Doubles, of_small: Doubles) -> dict[str, Any]:
    return {"density": density, "dtype": dtype, "way": way, "ns": median(ns), "of_small": median(ns / of_small)}
