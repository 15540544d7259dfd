"""How much of the machine is used: FMA peak of one core, beside what training reaches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numba
import numpy as np

import fastnn
from bench.interleave import SECONDS, epochs_for, in_turns, median
from bench.problems import Problem
from bench.subjects import FASTNN_ALONE, agreed
from fastnn.kernels.jit import FLAGS
from fastnn.kernels.simd import FOUR, LANES, add_outer, load_rows, pointer, store, width, zeros

WIDE = (
    Problem("circle", (2, 64, 64, 1), 100),
    Problem("circle", (2, 256, 256, 1), 100),
    Problem("circle", (2, 512, 512, 1), 30),
    Problem("circle", (2, 1024, 1024, 1), 30),
)
BATCHES = (64, 256)  # for many inputs and outputs, beside all rows at once
MANY, ROWS = (64, 1024, 1024, 10), 1024


@cache
def _fma_kernel() -> Any:
    @numba.njit(**FLAGS)
    def multiply_and_add(numbers: Any, out: Any, repeats: int) -> None:
        # Sixteen sums that do not wait for each other: more than any core has fma in flight.
        p = pointer(numbers)
        a, b = load_rows(p, 0, width(p), FOUR), load_rows(p, 4 * width(p), width(p), FOUR)
        sums = zeros(p, FOUR, FOUR)
        for _ in range(repeats):
            sums = add_outer(sums, a, b)
        whole = sums[0]
        for lanes in sums[1:]:
            whole = whole + lanes
        store(pointer(out), 0, whole)

    return multiply_and_add


class Fma:
    """A kernel that does nothing but multiply and add, in registers."""

    def __init__(self, dtype: str) -> None:
        self.numbers = np.full(8 * LANES[np.dtype(dtype)], 1e-3, dtype)
        self.out = np.zeros(LANES[np.dtype(dtype)], dtype)

    def run(self, repeats: int) -> None:
        """So many times sixteen vectors."""
        _fma_kernel()(self.numbers, self.out, repeats)

    @property
    def operations(self) -> int:
        """Of one repeat: a multiplication and an addition in each lane of sixteen vectors."""
        return 2 * 2 * len(self.numbers)


def operations(network: Sequence[int], samples: int) -> int:
    """Multiplications and additions of the matrix products of an epoch, and nothing else that is done in it.

    Per sample and layer 2·I·O each for forward, the gradient by the weights, and (not in the first) by the inputs.
    """
    products = [i * o for i, o in pairwise(network)]
    return samples * 2 * (3 * sum(products) - products[0])


class ManyInputs:
    """Two layers of 1,024 units between many inputs and several outputs, which no problem of the grid has."""

    def __init__(self, dtype: str, batch_size: int | None) -> None:
        numbers = np.random.default_rng(0)
        X, y = numbers.standard_normal((ROWS, MANY[0])), numbers.standard_normal((ROWS, MANY[-1]))
        self.data, self.batch_size = fastnn.Dataset(X, y), batch_size
        self.net = fastnn.mlp(MANY, activation="relu", dtype=dtype, seed=0)
        self.start = self.net.parameters.copy()

    @property
    def name(self) -> str:
        """The network's sizes in one word, and how many rows a batch has."""
        return "-".join(map(str, MANY)) + f" in batches of {self.batch_size or ROWS}"

    def run(self, epochs: int) -> Sequence[float]:
        """Train from the start."""
        self.net.parameters = self.start
        sgd = fastnn.SGD(1e-3)
        history = self.net.fit(
            self.data, epochs=epochs, batch_size=self.batch_size, optimizer=sgd, loss="mse", threads=1
        )
        assert history.status == "finished"
        return history.loss


def measure(dtype: str, rounds: int, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """A row for the peak and for each network: GFLOP/s, and its share of the peak."""
    fma = Fma(dtype)
    fma.run(1)
    repeats = epochs_for(fma.run, seconds, 1000)
    runs, work = {"peak": partial(fma.run, repeats)}, {"peak": repeats * fma.operations}
    for problem in WIDE:
        run = agreed(problem, FASTNN_ALONE[dtype]).run
        epochs = epochs_for(run, seconds, problem.epochs_to_agree)
        runs[problem.name] = partial(run, epochs)
        work[problem.name] = epochs * operations(problem.network, problem.samples)
    for batch_size in (None, *BATCHES):
        many = ManyInputs(dtype, batch_size)
        epochs = epochs_for(many.run, seconds, 1)
        runs[many.name], work[many.name] = partial(many.run, epochs), epochs * operations(MANY, ROWS)
    taken = in_turns(runs, rounds)
    speed = {name: work[name] / taken[name] / 1e9 for name in runs}
    return [
        {
            "what": name,
            "dtype": dtype,
            "gflops": median(speed[name]),
            "share": median(speed[name] / speed["peak"]),
        }
        for name in runs
    ]
