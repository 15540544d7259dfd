"""Passes of one tile of a run's rows through the network: layout, forward, backward, predictions for metrics.

Several threads may do tiles of the same batch, each with its own scratch memory, sums and gradient.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels import calls, tile
from fastnn.kernels.jit import kernel
from fastnn.kernels.job import Data, Job
from fastnn.kernels.layout import (
    BATCH,
    EPOCH,
    EVALUATE,
    FEW_ROWS,
    FIRST,
    GAUSS_NEWTON,
    GRADIENT_ROW,
    IDENTIFIED,
    INPUT_ROW,
    INPUTS,
    LINE_SEARCH,
    LOSS_SETTINGS,
    NEWTON_WORK,
    OF_LABELS,
    OF_OUTPUTS,
    OUTPUTS,
    PACKED,
    PARAMETERS,
    SAMPLES,
    SHIFT,
    SHUFFLED,
    STRIDE,
    TARGET_ROW,
    TASK,
    TILE,
    WEIGHT_ROW,
    WEIGHTED,
)
from fastnn.kernels.rows import lay_out, predicted_class, scatter, taken_apart
from fastnn.kernels.simd import fill, load, offset, store, width
from fastnn.kernels.vectors import add_up, padded


@kernel
def _gather(plan: Any, data: Data, order: Any, places: Any, scratch: Any, first: int, count: int) -> tuple:
    """Return pointers to inputs, targets and weights of ``count`` rows, sample beside sample.

    They are laid out in scratch, filled up to whole vectors with samples of weight 0; or stay where they are.
    Overwrites the places.
    """
    inputs, targets, weights = data
    stride, lanes = plan[STRIDE], width(scratch)
    samples = padded(count, scratch)
    x, t = offset(scratch, plan[INPUT_ROW] * stride), offset(scratch, plan[TARGET_ROW] * stride)
    w = offset(scratch, plan[WEIGHT_ROW] * stride)
    run = 0 if plan[SHUFFLED] != 0 else count
    in_turn = run == samples
    if in_turn and taken_apart(plan[INPUTS], lanes) and taken_apart(plan[OUTPUTS], lanes):
        places[0] = first
    else:
        number_rows(plan, order, places, first, samples, count)
    lay_out(inputs, places, run, plan[INPUTS], x, stride, samples)
    if in_turn and plan[OUTPUTS] == 1:
        t = offset(targets, first)
    else:
        lay_out(targets, places, run, plan[OUTPUTS], t, stride, samples)
    if count == samples and (plan[WEIGHTED] == 0 or in_turn):
        return x, t, offset(weights, first * plan[WEIGHTED])
    if plan[WEIGHTED] != 0:
        lay_out(weights, places, run, 1, w, stride, samples)
    else:
        for s in range(0, samples, lanes):
            store(w, s, fill(load(w, s), 1.0))
    for s in range(count, samples):
        w[s] = 0.0
    return x, t, w


@kernel
def number_rows(plan: Any, order: Any, places: Any, first: int, samples: int, count: int) -> None:
    """Overwrite the places with the indices of a tile's rows, and those after ``count`` with the last."""
    if plan[SHUFFLED] != 0:
        for s in range(count):
            places[s] = order[first + s]
    else:
        for s in range(count):
            places[s] = first + s
    for s in range(count, samples):
        places[s] = places[count - 1]


@kernel
def keep_predictions(
    plan: Any, y: Any, scratch: Any, order: Any, predictions: Any, first: int, count: int
) -> None:
    """Overwrite, for the metrics, the predictions of a tile's rows and, after all predictions, their classes.

    Overwrites the scratch rows of the gradient with respect to the outputs.
    """
    stride, outputs = plan[STRIDE], plan[OUTPUTS]
    if plan[OF_OUTPUTS] != 0:
        for s in range(count):
            at = first + s
            scatter(y, stride, s, predictions, order[at] if plan[SHUFFLED] != 0 else at, outputs)
    if plan[OF_LABELS] != 0:
        said, labels = offset(scratch, plan[GRADIENT_ROW] * stride), offset(predictions, plan[SAMPLES] * outputs)
        predicted_class(y, stride, count, outputs, said)
        for s in range(count):
            at = first + s
            labels[order[at] if plan[SHUFFLED] != 0 else at] = said[s]


@kernel
def few_rows(job: Job, memory: tuple, out: Any, sums: Any, budget: int) -> int:
    """Process batches of few rows row by row; see ``kernels.stochastic``."""
    data, vectors, (scratch, places) = job.data, job.vectors, memory
    given = (
        job.plan,
        job.numbers,
        data.inputs,
        data.targets,
        data.weights,
        job.order,
        vectors.parameters,
        vectors.gradient,
        vectors.previous,
        vectors.state,
        scratch,
        places,
        job.cursor,
        job.trained.predictions,
        out,
        sums,
    )
    return calls.few_rows(job.plan[FEW_ROWS], given, budget)


@kernel
def of_batch(job: Job, memory: tuple, gradient: Any, sums: Any, number: int, add: bool) -> None:
    """Do a tile of the current batch: overwrite (or add to) the gradient, and overwrite sums with (loss, weight).

    ``memory`` is the thread's own scratch, and the place for indices of rows.
    """
    plan, numbers, data, order, cursor = job.plan, job.numbers, job.data, job.order, job.cursor
    if plan[FEW_ROWS] != 0:
        few_rows(job, memory, sums, sums, 0)
        return
    scratch, places = memory
    parameters, zero = job.vectors.parameters, offset(job.vectors.gradient, plan[PARAMETERS])
    done = number * plan[TILE]
    first = cursor[FIRST] + done
    count = min(plan[TILE], min(plan[BATCH], plan[SAMPLES] - cursor[FIRST]) - done)
    samples = padded(count, scratch)
    if plan[PACKED] != 0:
        place = number + plan[SHIFT] // plan[TILE]
        x, t, w = tile.packed(plan, data, place, done + plan[TILE] >= plan[SAMPLES])
        ahead = tile.after(plan, data, place)
    else:
        given = first + plan[SHIFT]
        x, t, w = _gather(plan, data, order, places, scratch, given, count)
        behind = given + plan[TILE]
        ahead = offset(data.inputs, behind * plan[INPUTS]), offset(data.targets, behind * plan[OUTPUTS])
    if plan[IDENTIFIED] != 0:
        number_rows(plan, order, places, first, samples, count)
    training = plan[TASK] != EVALUATE
    at = places, cursor[EPOCH]
    y = tile.forward(plan, numbers, parameters, x, ahead, scratch, samples, training, at)
    keep_predictions(plan, y, scratch, order, job.trained.predictions, first, count)
    sums[0] = tile.loss(plan, numbers, y, t, w, scratch, samples)
    sums[1] = add_up(w, samples) if plan[WEIGHTED] != 0 else count
    if plan[GAUSS_NEWTON] != 0:
        state = job.vectors.state
        work, factor = offset(state, plan[NEWTON_WORK]), 2.0 * numbers[plan[LOSS_SETTINGS]]
        calls.gauss_newton(plan[GAUSS_NEWTON], plan, parameters, x, w, scratch, work, state, samples, factor, add)
    if training:
        tile.backward(plan, parameters, gradient, x, scratch, zero, samples, add)


@kernel
def of_validation(job: Job, scratch: Any, sums: Any, number: int) -> None:
    """Do a tile of validation rows: overwrite sums with (loss, weight)."""
    cursor, (plan, numbers, data) = job.cursor, job.validation
    # A line search keeps its trial points in the first vector.
    parameters = job.vectors.previous if job.plan[LINE_SEARCH] != 0 else job.vectors.parameters
    done = number * plan[TILE]
    count = min(plan[TILE], plan[SAMPLES] - done)
    samples = padded(count, scratch)
    x, t, w = tile.packed(plan, data, number, False)
    ahead = tile.after(plan, data, number)
    y = tile.forward(plan, numbers, parameters, x, ahead, scratch, samples, False, (cursor, cursor[EPOCH]))
    keep_predictions(plan, y, scratch, cursor, job.validated.predictions, done, count)
    sums[0] = tile.loss(plan, numbers, y, t, w, scratch, samples)
    sums[1] = add_up(w, samples)
