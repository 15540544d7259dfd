"""Samples row by row, as people have them, and one a lane, as kernels do; predictions from row to row.

n rows, F features, K outputs. Rows of a tile are ``stride`` numbers apart.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels import tile
from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.layout import EPOCHS, INPUT_ROW, INPUTS, OUTPUTS, STRIDE, TILE
from fastnn.kernels.simd import fill, load, offset, select, store, width


@inlined
def gather(source: Any, row: int, count: int, target: Any, stride: int, sample: int) -> None:
    """Overwrite one sample's lane in ``count`` rows of the target with a row (F) of the source."""
    for f in range(count):
        target[f * stride + sample] = source[row * count + f]


@inlined
def scatter(source: Any, stride: int, sample: int, target: Any, row: int, count: int) -> None:
    """Overwrite a row (K) of the target with one sample's lane in ``count`` rows of the source."""
    for k in range(count):
        target[row * count + k] = source[k * stride + sample]


@kernel
def say(y: Any, stride: int, samples: int, outputs: int, said: Any) -> None:
    """Overwrite said (S) with each sample's class: the first of its greatest outputs (K, S), -1 if one is NaN."""
    for s in range(0, samples, width(y)):
        greatest = load(y, s)
        best, flaw = fill(greatest, 0.0), select(greatest == greatest, fill(greatest, 0.0), 1.0)
        for k in range(1, outputs):
            number = load(y, k * stride + s)
            better = number > greatest
            best = select(better, float(k), best)
            greatest = select(better, number, greatest)
            flaw = select(number == number, flaw, 1.0)
        store(said, s, select(flaw > 0.0, -1.0, best))


@kernel
def predict(
    plan: Any, numbers: Any, parameters: Any, inputs: Any, outputs: Any, scratch: Any, first: int, count: int
) -> None:
    """Overwrite ``count`` rows of the outputs (n, K), from row ``first`` on, from rows of the inputs (n, F)."""
    stride, features, units = plan[STRIDE], plan[INPUTS], plan[OUTPUTS]
    lanes = width(scratch)
    x = offset(scratch, plan[INPUT_ROW] * stride)
    for start in range(first, first + count, plan[TILE]):
        used = min(plan[TILE], first + count - start)
        samples = (used + lanes - 1) // lanes * lanes
        for s in range(samples):
            gather(inputs, start + min(s, used - 1), features, x, stride, s)
        y = tile.forward(plan, numbers, parameters, x, scratch, samples, False, (plan, plan[EPOCHS]))
        for s in range(used):
            scatter(y, stride, s, outputs, start + s, units)
