"""Learning rates as functions of time.

Each takes its settings, the number of updates so far, and the number of updates in an epoch.
"""

from __future__ import annotations

import math
from typing import Any

from fastnn.kernels.jit import inlined, kernel


@inlined
def _cosine(start: float, end: float, share: float) -> float:
    """From start to end along half a wave of the cosine."""
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0


@kernel
def step_decay(settings: Any, updates: float, each_epoch: float) -> float:
    """Initial·factor**floor(epochs/every)."""
    initial, factor, every = settings[0], settings[1], settings[2]
    return initial * factor ** math.floor(updates / (each_epoch * every))


@kernel
def exponential_decay(settings: Any, updates: float, each_epoch: float) -> float:
    """Initial·factor**epochs."""
    return settings[0] * settings[1] ** (updates / each_epoch)


@kernel
def cosine_decay(settings: Any, updates: float, each_epoch: float) -> float:
    """From initial to final, along a cosine, within the epochs of its setting."""
    initial, epochs, final = settings[0], settings[1], settings[2]
    return _cosine(initial, final, min(updates / each_epoch / epochs, 1.0))


@kernel
def cosine_restarts(settings: Any, updates: float, each_epoch: float) -> float:
    """Repeated cosine decay, each time ``growth`` times as long, from a start ``decay`` times as high."""
    initial, epochs, growth, decay, final = settings[0], settings[1], settings[2], settings[3], settings[4]
    passed, height = updates / each_epoch, 1.0
    if growth == 1.0:  # there may then be many restarts
        cycles = math.floor(passed / epochs)
        passed -= cycles * epochs
        height = decay**cycles
    while passed >= epochs:
        passed -= epochs
        epochs *= growth
        height *= decay
    return _cosine(final + (initial - final) * height, final, passed / epochs)


@kernel
def inverse_scaling(settings: Any, updates: float, each_epoch: float) -> float:
    """Initial/(1 + epochs)**power."""
    return settings[0] / (1.0 + updates / each_epoch) ** settings[1]


@kernel
def one_cycle(settings: Any, updates: float, each_epoch: float) -> float:
    """Up from low to maximum, then down to least."""
    maximum, epochs, warm_up, initial_factor, final_factor = (
        settings[0],
        settings[1],
        settings[2],
        settings[3],
        settings[4],
    )
    steps = epochs * each_epoch
    top, last = warm_up * steps - 1.0, steps - 1.0
    low = maximum / initial_factor
    least = low / final_factor
    if updates <= top:
        return _cosine(low, maximum, updates / top if top > 0.0 else 1.0)
    if updates >= last:
        return least
    return _cosine(maximum, least, (updates - top) / (last - top))
