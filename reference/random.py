"""A counter-based random number generator: number i of a stream is a function of (key, i) alone.

All numbers are 64-bit integers that wrap around. The mixing function is that of SplitMix64 (Steele,
Lea and Flood, "Fast splittable pseudorandom number generators", 2014). The generator shuffles the samples
of an epoch; initial weights come from the standard library's Random (see initializers.py).
"""

from __future__ import annotations

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio, made odd
MASK = 0xFFFFFFFFFFFFFFFF  # keeps the low 64 bits


def mix(x: int) -> int:
    """Scramble 64 bits so that every input bit changes about half of the output bits."""
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & MASK
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def key(seed: int, stream: int) -> int:
    """mix(mix(seed + GOLDEN) + stream GOLDEN): the key of one of the many streams of a seed."""
    return mix(mix(seed + GOLDEN & MASK) + stream * GOLDEN & MASK)


def draw(key: int, i: int) -> int:
    """mix(key + (i + 1) GOLDEN): number i of a stream, uniform in 0 ... 2**64 - 1."""
    return mix(key + (i + 1) * GOLDEN & MASK)


def permutation(n: int, seed: int, epoch: int) -> list[int]:
    """The numbers 0 ... n - 1 in the order of this epoch (counted from 0), by a Fisher-Yates shuffle."""
    order = list(range(n))
    k = key(seed, epoch)
    for i in range(n - 1, 0, -1):
        j = (draw(k, i) >> 32) * (i + 1) >> 32  # uniform in 0 ... i
        order[i], order[j] = order[j], order[i]
    return order
