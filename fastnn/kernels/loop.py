"""Whole epochs: batches, shuffling and updates, in chunks that can be left and entered at any tile.

A run ends as DIVERGED when a batch's loss is not finite: then the parameters go back to those before the last
update, the last whose loss was finite. An update that makes a parameter infinite is undone as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels import optimizers, tile
from fastnn.kernels.jit import kernel
from fastnn.kernels.layout import (
    BATCH,
    BATCH_LOSS,
    BATCH_WEIGHT,
    DIVERGED,
    DONE,
    EPOCH,
    EPOCH_LOSS,
    EPOCH_WEIGHT,
    EPOCHS,
    FINISHED,
    FIRST,
    INPUT_ROW,
    INPUTS,
    OPTIMIZER,
    OUTPUTS,
    PACKED,
    PARAMETERS,
    SAMPLES,
    SEED,
    SHUFFLED,
    STATUS,
    STRIDE,
    TARGET_ROW,
    TILE,
    TO_SHUFFLE,
    UPDATES,
    WEIGHT_ROW,
    WEIGHTED,
)
from fastnn.kernels.random import key, shuffle
from fastnn.kernels.rows import gather
from fastnn.kernels.simd import load, offset, store, width

SHUFFLE_STEPS = 16384  # rows shuffled for one unit of a chunk's budget: about a tile's time


@kernel
def _gather(
    plan: Any, inputs: Any, targets: Any, weights: Any, order: Any, scratch: Any, first: int, count: int
) -> None:
    """Lay ``count`` rows out in scratch, sample beside sample; up to whole vectors, the last with weight 0."""
    stride, features, outputs = plan[STRIDE], plan[INPUTS], plan[OUTPUTS]
    x = offset(scratch, plan[INPUT_ROW] * stride)
    t = offset(scratch, plan[TARGET_ROW] * stride)
    w = offset(scratch, plan[WEIGHT_ROW] * stride)
    lanes = width(scratch)
    for s in range((count + lanes - 1) // lanes * lanes):
        at = first + min(s, count - 1)
        row = order[at] if plan[SHUFFLED] != 0 else at
        gather(inputs, row, features, x, stride, s)
        gather(targets, row, outputs, t, stride, s)
        w[s] = 0.0
        if s < count:
            w[s] = weights[row] if plan[WEIGHTED] != 0 else 1.0


@kernel
def _copy(source: Any, target: Any, count: int) -> None:
    """Overwrite ``count`` numbers (whole vectors) of the target."""
    for i in range(0, count, width(source)):
        store(target, i, load(source, i))


@kernel
def _tile(
    plan: Any, data: tuple, order: Any, vectors: tuple, scratch: Any, sums: Any, first: int, done: int
) -> int:
    """The gradient and loss of the batch's next tile, added to those of the tiles before; its rows."""
    inputs, targets, weights = data
    parameters, gradient = vectors[0], vectors[1]
    stride, lanes = plan[STRIDE], width(scratch)
    count = min(plan[TILE], min(plan[BATCH], plan[SAMPLES] - first) - done)
    samples = (count + lanes - 1) // lanes * lanes
    if plan[PACKED] != 0:
        number = done // plan[TILE]
        last = done + plan[TILE] >= plan[SAMPLES]
        x = offset(inputs, number * plan[INPUTS] * stride)
        t = offset(targets, number * plan[OUTPUTS] * stride)
        w = offset(weights, (number if plan[WEIGHTED] != 0 else np.int64(last)) * stride)
    else:
        _gather(plan, inputs, targets, weights, order, scratch, first + done, count)
        x = offset(scratch, plan[INPUT_ROW] * stride)
        t = offset(scratch, plan[TARGET_ROW] * stride)
        w = offset(scratch, plan[WEIGHT_ROW] * stride)
    training = plan[OPTIMIZER] != optimizers.EVALUATE
    y = tile.forward(plan, parameters, x, scratch, samples, training)
    sums[BATCH_LOSS] += tile.loss(plan, y, t, w, scratch, samples)
    if plan[WEIGHTED] != 0:
        for s in range(count):
            sums[BATCH_WEIGHT] += w[s]
    else:
        sums[BATCH_WEIGHT] += count
    if training:
        zero = offset(gradient, plan[PARAMETERS])
        tile.backward(plan, parameters, gradient, x, scratch, zero, samples, done > 0)
    return count


@kernel
def _finish_batch(plan: Any, numbers: Any, vectors: tuple, sums: Any, cursor: Any) -> bool:
    """Update the parameters with the batch's gradient; False if that was undone, as one was not finite."""
    parameters, gradient, previous, velocity = vectors
    weight = sums[BATCH_WEIGHT]
    sums[EPOCH_LOSS] += sums[BATCH_LOSS]
    sums[EPOCH_WEIGHT] += weight
    sums[BATCH_LOSS] = 0.0
    sums[BATCH_WEIGHT] = 0.0
    if plan[OPTIMIZER] != optimizers.SGD or weight == 0.0:
        return True
    count = plan[PARAMETERS]
    finite = optimizers.sgd(parameters, gradient, velocity, previous, count, 1.0 / weight, numbers)
    cursor[UPDATES] += 1
    if not finite:
        _copy(previous, parameters, count)
    return finite


@kernel
def run(
    plan: Any,
    numbers: Any,
    data: tuple,
    order: Any,
    vectors: tuple,
    scratch: Any,
    history: Any,
    sums: Any,
    cursor: Any,
    budget: int,
) -> None:
    """Train on for ``budget`` tiles, or until cursor[STATUS] is no longer RUNNING.

    data: inputs, targets, weights. vectors: parameters, gradient, previous parameters, velocity, each in whole
    vectors; the gradient is followed by a 0. Overwrites the vectors, scratch, sums, cursor, order, and
    history (epochs) as far as epochs are finished.
    """
    samples = plan[SAMPLES]
    for _ in range(budget):
        if plan[SHUFFLED] != 0 and cursor[TO_SHUFFLE] != 0:
            if cursor[TO_SHUFFLE] < 0:
                for i in range(samples):
                    order[i] = i
                cursor[TO_SHUFFLE] = samples
            start = key(plan[SEED], cursor[EPOCH])
            cursor[TO_SHUFFLE] = shuffle(order, start, cursor[TO_SHUFFLE], SHUFFLE_STEPS)
            if cursor[TO_SHUFFLE] != 0:
                continue
        first, done = cursor[FIRST], cursor[DONE]
        done += _tile(plan, data, order, vectors, scratch, sums, first, done)
        cursor[DONE] = done
        if done < min(plan[BATCH], samples - first):
            continue
        if not np.isfinite(sums[BATCH_LOSS]):
            if cursor[UPDATES] > 0:
                _copy(vectors[2], vectors[0], plan[PARAMETERS])
            cursor[STATUS] = DIVERGED
            return
        if not _finish_batch(plan, numbers, vectors, sums, cursor):
            cursor[STATUS] = DIVERGED
            return
        cursor[DONE] = 0
        cursor[FIRST] = first + done
        if cursor[FIRST] == samples:
            history[cursor[EPOCH]] = sums[EPOCH_LOSS] / sums[EPOCH_WEIGHT]
            sums[EPOCH_LOSS] = 0.0
            sums[EPOCH_WEIGHT] = 0.0
            cursor[FIRST] = 0
            cursor[TO_SHUFFLE] = -1
            cursor[EPOCH] += 1
        if cursor[EPOCH] == plan[EPOCHS]:
            cursor[STATUS] = FINISHED
            return
