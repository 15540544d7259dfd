"""Batches of one or two rows, processed row by row (``kernels.single``), as they would leave lanes nearly empty.

All of it is one part (see ``kernels.calls``), so that it is compiled only for users who need it.
"""

from __future__ import annotations

import numpy as np

from fastnn.kernels import calls, passes, single
from fastnn.kernels.jit import kernel
from fastnn.kernels.layout import (
    BATCH,
    DIVERGED,
    EPOCH,
    EPOCH_LOSS,
    EPOCH_WEIGHT,
    FIRST,
    IDENTIFIED,
    INPUTS,
    MEMORY,
    METRICS,
    MOVED,
    NOT_FINITE,
    OPTIMIZER,
    OUTPUTS,
    PARAMETERS,
    SAMPLES,
    SCALE,
    SHIFT,
    SHUFFLED,
    STATUS,
    UPDATES,
    WEIGHTED,
    WINDOW_END,
)
from fastnn.kernels.simd import load_part, offset, store, width
from fastnn.kernels.vectors import copy


@kernel
def _pass(given: tuple) -> None:
    """Do what ``passes.of_batch`` does."""
    plan, numbers, inputs, targets, weights, order, parameters, gradient = given[:8]
    scratch, places, cursor, predictions, out = given[10:15]
    w = single.weight_of_one(plan, scratch)
    first, batch_loss, batch_weight = cursor[FIRST], 0.0, 0.0
    for at in range(first, min(first + plan[BATCH], plan[SAMPLES])):
        row = (order[at] if plan[SHUFFLED] != 0 else at) + plan[SHIFT]
        x, target = offset(inputs, row * plan[INPUTS]), offset(targets, row * plan[OUTPUTS])
        weight = 1.0
        if plan[WEIGHTED] != 0:
            weight = float(weights[row])
            store(w, 0, load_part(weights, row, 1))
        if plan[IDENTIFIED] != 0:
            passes.number_rows(plan, order, places, at, width(scratch), 1)
        y = single.forward(plan, numbers, parameters, x, scratch, True, (places, cursor[EPOCH]))
        if plan[METRICS] != 0:
            passes.keep_predictions(
                plan, single.spread_outputs(plan, y, scratch), scratch, order, predictions, at, 1
            )
        batch_loss += single.loss(plan, numbers, y, target, w, scratch)
        batch_weight += weight
        single.backward(plan, parameters, gradient, x, scratch, at > first)
    out[0] = batch_loss
    out[1] = batch_weight


@kernel
def _descend(given: tuple, budget: int) -> int:
    """Do whole batches, except the last of the epoch or the window, and return how many.

    This does what ``loop`` would do with them one by one, without all that is not needed. A batch whose loss is
    not finite is left to ``loop``.
    """
    plan, numbers, inputs, targets, _, order, parameters, gradient, previous, state, scratch = given[:11]
    cursor, sums = given[12], given[15]
    features, outputs, shuffled = plan[INPUTS], plan[OUTPUTS], plan[SHUFFLED] != 0
    size, length = plan[BATCH], plan[PARAMETERS]
    weight = np.float64(size)
    updated = parameters, gradient, previous, state
    memory, w = offset(sums, MEMORY), single.weight_of_one(plan, scratch)
    first, end = cursor[FIRST], plan[WINDOW_END] - size
    count, epoch_loss, answer = 0, sums[EPOCH_LOSS], MOVED
    while answer != NOT_FINITE and first < end and count < budget:
        loss = 0.0
        for at in range(first, first + size):
            row = (order[at] if shuffled else at) + plan[SHIFT]
            x, target = offset(inputs, row * features), offset(targets, row * outputs)
            y = single.forward(plan, numbers, parameters, x, scratch, True, (order, 0))
            loss += single.loss(plan, numbers, y, target, w, scratch)
            single.backward(plan, parameters, gradient, x, scratch, at > first)
        if not np.isfinite(loss):
            break
        answer = calls.update(
            plan[OPTIMIZER], updated, memory, numbers, length, length, 1.0 / weight, loss / weight
        )
        epoch_loss += loss
        count += 1
        if answer != NOT_FINITE:
            first += size
    if count > 0:
        sums[SCALE] = 1.0 / weight
        sums[EPOCH_LOSS] = epoch_loss
        sums[EPOCH_WEIGHT] += weight * count
        cursor[UPDATES] += count
        cursor[FIRST] = first
    if answer == NOT_FINITE:
        copy(previous, parameters, 1.0, length)
        cursor[STATUS] = DIVERGED
    return count


@kernel
def row_by_row(given: tuple, budget: int) -> int:
    """Do one pass over a batch if the budget is 0, or up to ``budget`` batches with updates; return how many.

    ``given`` is plan, numbers, inputs, targets, weights, order, parameters, gradient, previous parameters, state,
    scratch, memory for the indices of rows, cursor, predictions, where (loss, weight) of a pass go, and sums.
    """
    if budget == 0:
        _pass(given)
        return 0
    return _descend(given, budget)
