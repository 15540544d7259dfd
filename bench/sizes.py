"""What more data costs: time per sample over density on one thread, and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench.interleave import SECONDS, epochs_for, in_turns, median
from bench.problems import Problem
from bench.subjects import FASTNN_ALONE, agreed

DENSITIES = (30, 100, 300, 1000)  # 961 to 1,002,001 samples
DENSEST = DENSITIES[-1]

# The highest resident memory, from when everything is loaded and compiled and there is no data yet.
MEMORY_PROGRAM = """
import json, re, sys
import fastnn

def status(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1])

density, dtype = int(sys.argv[1]), sys.argv[2]
net = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform", seed=0, dtype=dtype)
net.fit(*fastnn.datasets.circle(density=10), optimizer=fastnn.SGD(10.0))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the highest so far is forgotten
before = status("VmRSS")
X, y = fastnn.datasets.circle(density=density)
net.fit(X, y, epochs=3, optimizer=fastnn.SGD(10.0))
print(json.dumps({"data": X.nbytes + y.nbytes, "memory": status("VmHWM") - before}))
"""


def memory_known() -> bool:
    """Whether this system tells of the highest memory use since a moment: Linux does."""
    return Path("/proc/self/clear_refs").exists()


def memory(dtype: str, density: int = DENSEST) -> dict[str, int]:
    """Bytes of data (float64), and of memory that making it and training [2, 4, 1] on it took at most."""
    command = [sys.executable, "-c", MEMORY_PROGRAM, str(density), dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def measure(dtype: str, rounds: int, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """A row for each density: ns per sample and epoch of [2, 4, 1], and in parts of that at density 100."""
    problems = {str(density): Problem("circle", (2, 4, 1), density) for density in DENSITIES}
    runs, work = {}, {}
    for name, problem in problems.items():
        run = agreed(problem, FASTNN_ALONE[dtype]).run
        epochs = epochs_for(run, seconds, problem.epochs_to_agree)
        runs[name], work[name] = partial(run, epochs), epochs * problem.samples
    taken = in_turns(runs, rounds)
    ns = {name: 1e9 * taken[name] / work[name] for name in runs}
    return [
        {
            "density": problem.density,
            "dtype": dtype,
            "ns": median(ns[name]),
            "of_100": median(ns[name] / ns["100"]),
        }
        for name, problem in problems.items()
    ]
