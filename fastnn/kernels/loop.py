"""Whole epochs: batches, shuffling, updates and validation, in chunks that can be left and entered at any tile.

A run ends as DIVERGED when a batch's loss is not finite: then the parameters go back to those before the last
update, the last whose loss was finite. An update that makes a parameter infinite is undone as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels import calls, stopping, tile
from fastnn.kernels.jit import kernel
from fastnn.kernels.layout import (
    BATCH,
    BATCH_LOSS,
    BATCH_WEIGHT,
    CLIP,
    CLIP_NORM,
    CLIP_VALUE,
    COLUMNS,
    CONSTRAINT,
    CONSTRAINT_LIST,
    CONSTRAINT_SETTINGS,
    CONSTRAINTS,
    CONVERGED,
    DIVERGED,
    DONE,
    EPOCH,
    EPOCH_LOSS,
    EPOCH_WEIGHT,
    EPOCHS,
    EVALUATE,
    FINISHED,
    FIRST,
    FROZEN,
    FROZEN_LIST,
    GAUSS_NEWTON,
    GRADIENT_ROW,
    IDENTIFIED,
    INPUT_ROW,
    INPUTS,
    LAST,
    LINE_SEARCH,
    LOSS_COLUMN,
    LOSS_SETTINGS,
    MEMORY,
    METRIC_LIST,
    METRICS,
    MOVED,
    NEWTON_WORK,
    NOT_FINITE,
    OF_LABELS,
    OF_OUTPUTS,
    OPTIMIZER,
    OUTPUTS,
    PACKED,
    PARAMETERS,
    PAUSE_EVERY,
    PENALTIES,
    PENALTY,
    PENALTY_LIST,
    PENALTY_SETTINGS,
    PLATEAU_RATE,
    RATE_COLUMN,
    RUNNING,
    SAMPLES,
    SCALE,
    SCHEDULE,
    SCHEDULE_SETTINGS,
    SEED,
    SHUFFLED,
    STATUS,
    STRIDE,
    TARGET_ROW,
    TASK,
    TILE,
    TO_SHUFFLE,
    TRAIN,
    TRIAL,
    UPDATES,
    VALIDATED,
    VALIDATION_COLUMN,
    VALIDATION_LOSS,
    VALIDATION_WEIGHT,
    WARM_EPOCHS,
    WARM_RATE,
    WEIGHT_ROW,
    WEIGHTED,
)
from fastnn.kernels.random import key, shuffle
from fastnn.kernels.rows import gather, say, scatter
from fastnn.kernels.simd import fill, load, offset, total, transpose, width
from fastnn.kernels.vectors import copy

SHUFFLE_STEPS = 16384  # rows shuffled for one unit of a chunk's budget: about a tile's time


@kernel
def _gather(
    plan: Any, inputs: Any, targets: Any, weights: Any, order: Any, scratch: Any, first: int, count: int
) -> None:
    """Lay ``count`` rows out in scratch, sample beside sample; up to whole vectors, the last with weight 0.

    Overwrites what stands behind the order.
    """
    stride, features, outputs = plan[STRIDE], plan[INPUTS], plan[OUTPUTS]
    x = offset(scratch, plan[INPUT_ROW] * stride)
    t = offset(scratch, plan[TARGET_ROW] * stride)
    w = offset(scratch, plan[WEIGHT_ROW] * stride)
    lanes = width(scratch)
    places = offset(order, plan[SAMPLES] if plan[SHUFFLED] != 0 else 0)
    whole = features - features % lanes
    for group in range(0, count, lanes):
        for i in range(lanes):
            s = group + i
            at = first + min(s, count - 1)
            row = order[at] if plan[SHUFFLED] != 0 else at
            places[i] = row * features
            for f in range(whole, features):
                x[f * stride + s] = inputs[row * features + f]
            gather(targets, row, outputs, t, stride, s)
            w[s] = 0.0
            if s < count:
                w[s] = weights[row] if plan[WEIGHTED] != 0 else 1.0
        for f in range(0, whole, lanes):
            transpose(offset(inputs, f), places, offset(x, f * stride + group), stride)


@kernel
def _sum(values: Any, count: int) -> float:
    """Of whole vectors."""
    sum_ = fill(load(values, 0), 0.0)
    for i in range(0, count, width(values)):
        sum_ = sum_ + load(values, i)
    return float(total(sum_))


@kernel
def _number_rows(plan: Any, order: Any, first: int, samples: int, count: int) -> Any:
    """Overwrite what stands behind the order with the numbers of a tile's rows; its place."""
    numbers = offset(order, plan[SAMPLES] if plan[SHUFFLED] != 0 else 0)
    for s in range(samples):
        at = first + min(s, count - 1)
        numbers[s] = order[at] if plan[SHUFFLED] != 0 else at
    return numbers


@kernel
def _note(plan: Any, y: Any, scratch: Any, order: Any, predictions: Any, first: int, count: int) -> None:
    """Overwrite, for the metrics, the predictions of a tile's rows, and behind all of those the classes they say.

    Overwrites the scratch rows of the gradient by the outputs.
    """
    stride, outputs = plan[STRIDE], plan[OUTPUTS]
    if plan[OF_OUTPUTS] != 0:
        for s in range(count):
            at = first + s
            scatter(y, stride, s, predictions, order[at] if plan[SHUFFLED] != 0 else at, outputs)
    if plan[OF_LABELS] != 0:
        said, labels = offset(scratch, plan[GRADIENT_ROW] * stride), offset(predictions, plan[SAMPLES] * outputs)
        say(y, stride, count, outputs, said)
        for s in range(count):
            at = first + s
            labels[order[at] if plan[SHUFFLED] != 0 else at] = said[s]


@kernel
def _tile(
    plan: Any,
    numbers: Any,
    data: tuple,
    order: Any,
    vectors: tuple,
    scratch: Any,
    sums: Any,
    cursor: Any,
    predictions: Any,
) -> int:
    """The gradient and loss of the batch's next tile, added to those of the tiles before; its rows."""
    inputs, targets, weights = data
    parameters, gradient = vectors[0], vectors[1]
    stride, lanes = plan[STRIDE], width(scratch)
    first, done = cursor[FIRST], cursor[DONE]
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
    rows = order
    if plan[IDENTIFIED] != 0:
        rows = _number_rows(plan, order, first + done, samples, count)
    training = plan[TASK] != EVALUATE
    add = done > 0
    y = tile.forward(plan, numbers, parameters, x, scratch, samples, training, (rows, cursor[EPOCH]))
    _note(plan, y, scratch, order, predictions, first + done, count)
    sums[BATCH_LOSS] += tile.loss(plan, numbers, y, t, w, scratch, samples)
    sums[BATCH_WEIGHT] += _sum(w, samples) if plan[WEIGHTED] != 0 else count
    if plan[GAUSS_NEWTON] != 0:
        work, factor = offset(vectors[3], plan[NEWTON_WORK]), 2.0 * numbers[plan[LOSS_SETTINGS]]
        calls.gauss_newton(
            plan[GAUSS_NEWTON], plan, parameters, x, w, scratch, work, vectors[3], samples, factor, add
        )
    if training:
        zero = offset(gradient, plan[PARAMETERS])
        tile.backward(plan, parameters, gradient, x, scratch, zero, samples, add)
    return count


@kernel
def _penalty(plan: Any, numbers: Any, parameters: Any, gradient: Any, weight: float) -> float:
    """That of all layers; add weight times its derivative to the gradient."""
    if plan[PENALTY] == 0:
        return 0.0
    places, settings = offset(plan, plan[PENALTY_LIST]), offset(numbers, plan[PENALTY_SETTINGS])
    return calls.penalty(plan[PENALTY], parameters, gradient, places, settings, plan[PENALTIES], weight)


@kernel
def _add_penalties(plan: Any, numbers: Any, matrix: Any, weight: float) -> None:
    """Add those of l2 to the Gauss-Newton matrix."""
    for i in range(plan[PENALTIES]):
        place, settings = offset(plan, plan[PENALTY_LIST] + 2 * i), offset(numbers, plan[PENALTY_SETTINGS] + 3 * i)
        amount = 2.0 * settings[1] * settings[2] * weight
        for p in range(place[0], place[0] + place[1]):
            at = p * plan[PARAMETERS] + p
            matrix[at] = matrix[at] + amount


@kernel
def _rate(plan: Any, numbers: Any, sums: Any, cursor: Any) -> float:
    """The learning rate of the next update."""
    each_epoch = (plan[SAMPLES] + plan[BATCH] - 1) // plan[BATCH]
    # Batches, not updates: those of weight 0 are none, but time goes on.
    batches = cursor[EPOCH] * each_epoch + cursor[FIRST] // plan[BATCH]
    warm = numbers[WARM_EPOCHS] * each_epoch
    if batches < warm:
        return numbers[WARM_RATE] * (batches + 1) / warm
    if plan[SCHEDULE] == 0:
        return sums[PLATEAU_RATE]
    settings = offset(numbers, plan[SCHEDULE_SETTINGS])
    return calls.schedule(plan[SCHEDULE], settings, batches - warm, float(each_epoch))


@kernel
def _update(plan: Any, numbers: Any, vectors: tuple, sums: Any, cursor: Any, weight: float, loss: float) -> int:
    """What the optimizer does with the batch's gradient, and all that follows from it; the optimizer's answer."""
    parameters, gradient, previous, state, _ = vectors
    count, scale = plan[PARAMETERS], 1.0 / weight
    if plan[RATE_COLUMN] >= 0:
        numbers[0] = _rate(plan, numbers, sums, cursor)
    if plan[CLIP] != 0:
        calls.clip(plan[CLIP], gradient, count, scale, numbers[CLIP_VALUE], numbers[CLIP_NORM])
    sums[SCALE] = scale
    memory = offset(sums, MEMORY)
    if plan[GAUSS_NEWTON] != 0:
        _add_penalties(plan, numbers, state, weight)
    answer = calls.update(
        plan[OPTIMIZER], parameters, gradient, previous, state, memory, numbers, count, count, scale, loss
    )
    cursor[UPDATES] += 1
    for i in range(plan[FROZEN]):
        place = offset(plan, plan[FROZEN_LIST] + 2 * i)
        for p in range(place[0], place[0] + place[1]):
            parameters[p] = previous[p]
    if plan[CONSTRAINT] != 0:
        places, settings = offset(plan, plan[CONSTRAINT_LIST]), offset(numbers, plan[CONSTRAINT_SETTINGS])
        calls.constraint(plan[CONSTRAINT], parameters, places, settings, plan[CONSTRAINTS])
    return answer


@kernel
def _finish_batch(plan: Any, numbers: Any, vectors: tuple, sums: Any, cursor: Any) -> int:
    """Update the parameters with the batch's gradient; the optimizer's answer."""
    weight = sums[BATCH_WEIGHT]
    penalty = _penalty(plan, numbers, vectors[0], vectors[1], weight if plan[TASK] != EVALUATE else 0.0)
    loss = sums[BATCH_LOSS] + weight * penalty
    searching = plan[LINE_SEARCH] != 0
    if not np.isfinite(loss) and not searching:
        if cursor[UPDATES] > 0:
            copy(vectors[2], vectors[0], 1.0, plan[PARAMETERS])
        sums[BATCH_LOSS] = loss
        return NOT_FINITE
    sums[EPOCH_LOSS] += loss
    sums[EPOCH_WEIGHT] += weight
    sums[BATCH_LOSS] = 0.0
    sums[BATCH_WEIGHT] = 0.0
    if plan[TASK] != TRAIN or weight == 0.0:
        return MOVED
    answer = _update(plan, numbers, vectors, sums, cursor, weight, loss / weight)
    if answer == NOT_FINITE and not searching:
        copy(vectors[2], vectors[0], 1.0, plan[PARAMETERS])
    return answer


@kernel
def _measure(plan: Any, numbers: Any, measured: tuple, row: Any) -> None:
    """Overwrite an epoch's metrics."""
    for i in range(plan[METRICS]):
        place = offset(plan, plan[METRIC_LIST] + 4 * i)
        targets, weights, predictions, work = measured
        settings, out = offset(numbers, place[1]), offset(row, place[2])
        outputs, start = plan[OUTPUTS], 0
        if place[3] != 0:
            outputs, start = 1, plan[SAMPLES] * plan[OUTPUTS]
        predicted, given = offset(predictions, start), offset(targets, start)
        calls.metric(place[0], predicted, given, weights, plan[SAMPLES], outputs, settings, work, out)


@kernel
def _validate(
    plan: Any, numbers: Any, data: tuple, parameters: Any, scratch: Any, sums: Any, cursor: Any, predictions: Any
) -> None:
    """The loss of the next tile of validation rows; the plan is theirs."""
    inputs, targets, weights = data
    stride, lanes, done = plan[STRIDE], width(scratch), cursor[VALIDATED]
    number = done // plan[TILE]
    count = min(plan[TILE], plan[SAMPLES] - done)
    samples = (count + lanes - 1) // lanes * lanes
    x = offset(inputs, number * plan[INPUTS] * stride)
    t, w = offset(targets, number * plan[OUTPUTS] * stride), offset(weights, number * stride)
    y = tile.forward(plan, numbers, parameters, x, scratch, samples, False, (cursor, cursor[EPOCH]))
    _note(plan, y, scratch, cursor, predictions, done, count)
    sums[VALIDATION_LOSS] += tile.loss(plan, numbers, y, t, w, scratch, samples)
    sums[VALIDATION_WEIGHT] += _sum(w, samples)
    cursor[VALIDATED] = done + count


@kernel
def _finish_epoch(plan: Any, numbers: Any, parameters: Any, best: Any, row: Any, sums: Any, cursor: Any) -> None:
    """Count it, and look at what it has brought."""
    cursor[EPOCH] += 1
    cursor[TO_SHUFFLE] = -1
    cursor[VALIDATED] = -1
    if plan[TASK] != TRAIN:
        cursor[STATUS] = FINISHED
        return
    if stopping.better(plan, numbers, row, sums, cursor):
        copy(parameters, best, 1.0, plan[PARAMETERS])
    stopping.reduce_rate(plan, numbers, row, sums, cursor)
    if cursor[STATUS] == RUNNING and cursor[EPOCH] == plan[EPOCHS]:
        cursor[STATUS] = FINISHED


@kernel
def _shuffle(plan: Any, order: Any, cursor: Any) -> bool:
    """Go on with shuffling the rows; whether that is done."""
    if cursor[TO_SHUFFLE] < 0:
        for i in range(plan[SAMPLES]):
            order[i] = i
        cursor[TO_SHUFFLE] = plan[SAMPLES]
    start = key(plan[SEED], cursor[EPOCH])
    cursor[TO_SHUFFLE] = shuffle(order, start, cursor[TO_SHUFFLE], SHUFFLE_STEPS)
    return cursor[TO_SHUFFLE] == 0


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
    validation: tuple,
    measured: tuple,
    budget: int,
) -> None:
    """Train on for ``budget`` tiles, or until cursor[STATUS] is no longer RUNNING, or to a pause.

    data: inputs, targets, weights. vectors: parameters, gradient, previous parameters, the optimizer's state and
    the best parameters, in whole vectors; the gradient is followed by a 0. history: a row of COLUMNS numbers for
    each epoch, and one more. validation: plan, numbers and data of the validation rows. measured: (targets,
    weights, predictions) of the training rows and of those, row by row, and memory for the metrics. Overwrites the
    vectors, scratch, sums, cursor, order, predictions, and history as far as epochs are finished.
    """
    samples = plan[SAMPLES]
    accepted = vectors[2] if plan[LINE_SEARCH] != 0 else vectors[0]
    plan_of_validation, numbers_of_validation, validation_data = validation
    trained, validated, work = measured
    for _ in range(budget):
        row = offset(history, cursor[EPOCH] * plan[COLUMNS])
        if cursor[VALIDATED] < 0:
            if plan[SHUFFLED] != 0 and cursor[TO_SHUFFLE] != 0 and not _shuffle(plan, order, cursor):
                continue
            if plan[RATE_COLUMN] >= 0 and cursor[FIRST] == 0 and cursor[DONE] == 0:
                row[plan[RATE_COLUMN]] = _rate(plan, numbers, sums, cursor)
            cursor[DONE] += _tile(plan, numbers, data, order, vectors, scratch, sums, cursor, trained[2])
            done = cursor[DONE]
            if done < min(plan[BATCH], samples - cursor[FIRST]):
                continue
            answer = _finish_batch(plan, numbers, vectors, sums, cursor)
            if answer == NOT_FINITE:
                cursor[STATUS] = DIVERGED
                return
            cursor[DONE] = 0
            cursor[FIRST] += done
            if cursor[FIRST] < samples:
                continue
            cursor[FIRST] = 0
            epoch_loss = sums[EPOCH_LOSS] / sums[EPOCH_WEIGHT]
            sums[EPOCH_LOSS] = 0.0
            sums[EPOCH_WEIGHT] = 0.0
            if plan[LINE_SEARCH] == 0:
                row[LOSS_COLUMN] = epoch_loss
                _measure(plan, numbers, (trained[0], trained[1], trained[2], work), row)
            else:
                # A place that is accepted ends an epoch and begins the next, whose loss and metrics are there.
                first = cursor[UPDATES] == 1
                row[LOSS_COLUMN] = sums[MEMORY]
                begun = row if first else offset(row, plan[COLUMNS])
                if first or answer != TRIAL:
                    _measure(plan, numbers, (trained[0], trained[1], trained[2], work), begun)
                if answer == TRIAL:
                    continue
                if answer == LAST:
                    cursor[STATUS] = CONVERGED
            if plan[VALIDATION_COLUMN] >= 0:
                cursor[VALIDATED] = 0
                sums[VALIDATION_LOSS] = 0.0
                sums[VALIDATION_WEIGHT] = 0.0
                continue
        else:
            _validate(
                plan_of_validation,
                numbers_of_validation,
                validation_data,
                accepted,
                scratch,
                sums,
                cursor,
                validated[2],
            )
            if cursor[VALIDATED] < plan_of_validation[SAMPLES]:
                continue
            penalty = _penalty(plan, numbers, accepted, vectors[1], 0.0)
            row[plan[VALIDATION_COLUMN]] = sums[VALIDATION_LOSS] / sums[VALIDATION_WEIGHT] + penalty
            _measure(
                plan_of_validation, numbers_of_validation, (validated[0], validated[1], validated[2], work), row
            )
        _finish_epoch(plan, numbers, accepted, vectors[4], row, sums, cursor)
        if cursor[STATUS] != RUNNING or (plan[PAUSE_EVERY] != 0 and cursor[EPOCH] % plan[PAUSE_EVERY] == 0):
            return
