"""Random numbers as a function of seed, stream and counter: without state, and the same in any thread.

SplitMix64 (G. Steele, D. Lea, C. Flood, 2014): whole numbers of 64 bits, whose arithmetic wraps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.jit import inlined

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
SECOND_FACTOR = np.uint64(0x94D049BB133111EB)


@inlined
def mix(x: Any) -> Any:
    """Mix the bits of x."""
    x = (x ^ (x >> np.uint64(30))) * FIRST_FACTOR
    x = (x ^ (x >> np.uint64(27))) * SECOND_FACTOR
    return x ^ (x >> np.uint64(31))


@inlined
def key(seed: int, stream: int) -> Any:
    """Return the start of one of a seed's streams."""
    return mix(mix(np.uint64(seed) + GOLDEN) + np.uint64(stream) * GOLDEN)


@inlined
def draw(start: Any, i: int) -> Any:
    """Return the i-th number of a stream."""
    return mix(start + np.uint64(i + 1) * GOLDEN)


@inlined
def shuffle(order: Any, start: Any, remaining: int, steps: int) -> int:
    """Continue a Fisher-Yates shuffle from the end of ``order``; return how many rows remain."""
    stop = max(1, remaining - steps)
    for i in range(remaining - 1, stop - 1, -1):
        # 32 random bits times i + 1, without the last 32 bits of the product: a number from 0 to i.
        j = np.int64(((draw(start, i) >> np.uint64(32)) * np.uint64(i + 1)) >> np.uint64(32))
        kept = order[i]
        order[i] = order[j]
        order[j] = kept
    return stop if stop > 1 else 0
