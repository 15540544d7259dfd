"""What threads are worth: two against one, and that more of them are nowhere slower.

Both fit the same from the same start, so that parameters and losses must be the same to the last bit.

What two cores are worth is measured too, by two fits side by side that have nothing to do with each other: where
cores are lent, they may be one core that two share.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

import fastnn
from bench.interleave import SECONDS, SHORT_PAUSE, epochs_for, in_turns, median
from bench.subjects import DisagreementError
from fastnn.threads import cores

# Densities with their bounds, where there is one: [2, 4, 1] and [2, 64, 64, 1].
WANTED: dict[str, dict[int, float]] = {
    "2-4-1": {30: 1.5, 100: 1.85, 300: 1.85, 1000: 1.85},
    "2-16-16-1": {},
    "2-64-64-1": {30: 1.85, 100: 1.85, 300: 1.85},
}
LONG = 4 * SECONDS  # of one timing: to start a thread is not to count
DENSITIES = {"2-4-1": (30, 100, 300, 1000), "2-16-16-1": (30, 100, 300), "2-64-64-1": (30, 100, 300)}

SLOWER = 1.03  # the most that more threads may take, in times of one thread's
SWEPT_NETWORKS = ("2-1", "2-4-1", "2-16-16-1", "2-64-64-1")
SWEPT_DENSITIES = (3, 10, 30, 100)
SWEPT_BATCHES = (1, 32, 256, 4096, None)
AGAIN = 4  # times the rounds for what seems slower: the worst of many cells is mostly noise

Row = dict[str, Any]


def wanted(network: str, density: int) -> float | None:
    """How many times as fast two threads are to be, if it is said."""
    return WANTED.get(network, {}).get(density)


def described(row: Row) -> str:
    """Where a row was measured."""
    batch = "full batch" if row["batch"] == "full" else f"batches of {row['batch']}"
    return f"[{row['network'].replace('-', ', ')}], density {row['density']}, {batch}, {row['dtype']}"


class Fit:
    """A network on the circle, trained from the same start with as many threads as are asked for."""

    def __init__(self, network: str, density: int, batch: int | None, dtype: str) -> None:
        self.network, self.density, self.batch = network, density, batch
        sizes = [int(size) for size in network.split("-")]
        self.net = fastnn.mlp(sizes, output="sigmoid", initializer="uniform", seed=0, dtype=dtype)
        self.start = self.net.parameters.copy()
        self.data = fastnn.Dataset(*fastnn.datasets.circle(density=density))

    def run(self, threads: int, epochs: int) -> np.ndarray:
        """The losses."""
        self.net.parameters = self.start
        history = self.net.fit(
            self.data,
            epochs=epochs,
            batch_size=self.batch,
            optimizer=fastnn.SGD(1.0),
            loss="mse",
            shuffle=False,
            threads=threads,
            verbose=0,
        )
        assert history.status == "finished"
        return history.loss

    def check(self, threads: int, epochs: int = 3) -> None:
        """Raise unless as many threads compute what one does, bit for bit."""
        losses = self.run(1, epochs)
        parameters = self.net.parameters.copy()
        same = np.array_equal(self.run(threads, epochs), losses)
        if not (same and np.array_equal(self.net.parameters, parameters)):
            raise DisagreementError(f"{threads} threads compute something else than one")

    def compared(self, threads: int, rounds: int, seconds: float, twin: Fit | None = None) -> Row:
        """A row: µs of an epoch with one thread and with as many, and how many times as fast those are.

        With a twin, also how many times as fast two fits are that run side by side, on a thread each.
        """
        self.check(threads)
        epochs = epochs_for(partial(self.run, 1), seconds, 3)
        runs = {"one": partial(self.run, 1, epochs), "all": partial(self.run, threads, epochs)}
        if twin is not None:
            runs["side by side"] = partial(_side_by_side, self, twin, epochs)
        taken = in_turns(runs, rounds, SHORT_PAUSE)
        row: Row = {
            "network": self.network,
            "density": self.density,
            "batch": self.batch or "full",
            "dtype": self.net.dtype.name,
            "threads": threads,
            "epochs": epochs,
            "rounds": rounds,
            "one_us": median(1e6 * taken["one"] / epochs),
            "all_us": median(1e6 * taken["all"] / epochs),
            "faster": median(taken["one"] / taken["all"]),
        }
        if twin is not None:
            row["side_by_side"] = median(2 * taken["one"] / taken["side by side"])
        return row


def _side_by_side(one: Fit, other: Fit, epochs: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        for fit in [pool.submit(fit.run, 1, epochs) for fit in (one, other)]:
            fit.result()


def measure(dtype: str, rounds: int, seconds: float = LONG, densest: int = 1000) -> list[Row]:
    """A row for each network and density: two threads, and two fits, against one; all rows in a batch."""
    return [
        Fit(network, density, None, dtype).compared(2, rounds, seconds, Fit(network, density, None, dtype))
        for network, densities in DENSITIES.items()
        for density in densities
        if density <= densest
    ]


def swept(densities: tuple[int, ...] = SWEPT_DENSITIES) -> Iterator[tuple[str, int, int | None]]:
    """Network, density and batch of each cell of the sweep."""
    for network in SWEPT_NETWORKS:
        for density in densities:
            for batch in SWEPT_BATCHES:
                if batch is None or batch < (density + 1) ** 2:
                    yield network, density, batch


def sweep(
    dtype: str, rounds: int, seconds: float = SECONDS, densities: tuple[int, ...] = SWEPT_DENSITIES
) -> list[Row]:
    """A row for each cell: all threads against one. What seems slower is measured again in more rounds."""
    threads = cores()
    rows = []
    for network, density, batch in swept(densities):
        fit = Fit(network, density, batch, dtype)
        row = fit.compared(threads, rounds, seconds)
        if 1.0 / row["faster"] > SLOWER:
            row = fit.compared(threads, AGAIN * rounds, seconds)
        rows.append(row)
    return rows
