"""Times taken in turns: each round runs every subject once, and a ratio is one of neighbours in time.

What slows the machine for a while then slows all of them, and the median of the ratios does not see it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

SECONDS = 0.05  # of one timing: far above the clock's grain and a switch of tasks
ROUNDS = 15
TRIES = 6  # to find a number of epochs; each is nearer, unless the machine is very busy
# The rivals' threads spin after their work, on the cores where the next subject is to run: onnxruntime's for some
# 30 milliseconds, OpenBLAS' for some 100. fastnn's are gone.
PAUSE, SHORT_PAUSE = 0.12, 0.005


def seconds_of(run: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def epochs_for(run: Callable[[int], object], seconds: float, epochs: int) -> int:
    """How many epochs take about that long, to a factor of two, from a number on that it has run before.

    It has run the number that is returned, too, so that whatever is compiled for it is.
    """
    for _ in range(TRIES):
        taken = seconds_of(partial(run, epochs))
        wanted = max(1, min(round(epochs * seconds / taken), 50 * epochs))  # short timings are mostly overhead
        if epochs / 2 <= wanted <= 2 * epochs:
            break
        epochs = wanted
        run(epochs)
    return epochs


def in_turns(
    runs: Mapping[str, Callable[[], object]], rounds: int = ROUNDS, pause: float = PAUSE
) -> dict[str, Doubles]:
    """Seconds (rounds,) of each, one after the other in each round; each round begins with another one.

    ``pause`` : seconds before each turn.
    """
    names = list(runs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for r in range(rounds):
        first = r % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(pause)
            seconds[name].append(seconds_of(runs[name]))
    return {name: np.array(taken) for name, taken in seconds.items()}


def median(values: Doubles) -> float:
    """Rounded to four digits: what is behind them is noise."""
    return float(f"{np.median(values):.4g}")


def spread(values: Doubles) -> float:
    """The median deviation from the median, in parts of it."""
    return median(np.abs(values / np.median(values) - 1.0))
