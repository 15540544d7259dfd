"""Whole epochs: batches, shuffling, updates and validation, in chunks that can be left and entered at any tile.

A run ends as DIVERGED when a batch's loss is not finite: the parameters are then restored to those before the last
update, the last ones whose loss was finite. An update that makes a parameter infinite is undone as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels import calls, passes, stopping, team, tile
from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.job import Crew, Job, Measured
from fastnn.kernels.layout import (
    BATCH,
    BATCH_LOSS,
    BATCH_MEAN,
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
    FEW_ROWS,
    FINISHED,
    FIRST,
    FROZEN,
    FROZEN_LIST,
    GAUSS_NEWTON,
    IDENTIFIED,
    LAST,
    LINE_SEARCH,
    LOSS_COLUMN,
    MEMORY,
    METRIC_LIST,
    METRICS,
    MONITOR_COLUMN,
    MOST_MEMORY,
    MOVED,
    NOT_FINITE,
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
    STARTED_LOSS,
    STATUS,
    STRIDE,
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
    WEIGHTED,
    WINDOW,
    WINDOW_END,
)
from fastnn.kernels.random import key, shuffle
from fastnn.kernels.simd import offset
from fastnn.kernels.vectors import add as add_vector
from fastnn.kernels.vectors import add_up, copy, padded

SHUFFLE_STEPS = 16384  # rows shuffled for one unit of a chunk's budget: about a tile's time


@kernel
def _add_penalties(plan: Any, numbers: Any, matrix: Any, weight: float) -> None:
    """Add the second derivatives of the l2 penalties to the Gauss-Newton matrix."""
    for i in range(plan[PENALTIES]):
        place, settings = offset(plan, plan[PENALTY_LIST] + 2 * i), offset(numbers, plan[PENALTY_SETTINGS] + 3 * i)
        amount = 2.0 * settings[1] * settings[2] * weight
        for p in range(place[0], place[0] + place[1]):
            at = p * plan[PARAMETERS] + p
            matrix[at] = matrix[at] + amount


@kernel
def _rate(plan: Any, numbers: Any, sums: Any, cursor: Any) -> float:
    """Return the learning rate of the next update."""
    each_epoch = (plan[SAMPLES] + plan[BATCH] - 1) // plan[BATCH]
    # Counted in batches, not updates: batches of weight 0 make no update, but time goes on.
    batches = cursor[EPOCH] * each_epoch + cursor[FIRST] // plan[BATCH]
    warm = numbers[WARM_EPOCHS] * each_epoch
    rate = sums[PLATEAU_RATE]
    if plan[SCHEDULE] != 0:
        settings = offset(numbers, plan[SCHEDULE_SETTINGS])
        rate = calls.schedule(plan[SCHEDULE], settings, max(batches - warm, 0.0), float(each_epoch))
    return rate * (batches + 1) / warm if batches < warm else rate


@kernel
def _measure(plan: Any, numbers: Any, measured: Measured, work: Any, row: Any) -> None:
    """Overwrite an epoch's metrics."""
    targets, weights, predictions = measured
    for i in range(plan[METRICS]):
        place = offset(plan, plan[METRIC_LIST] + 4 * i)
        settings, out = offset(numbers, place[1]), offset(row, place[2])
        outputs, start = plan[OUTPUTS], 0
        if place[3] != 0:
            outputs, start = 1, plan[SAMPLES] * plan[OUTPUTS]
        predicted, given = offset(predictions, start), offset(targets, start)
        calls.metric(place[0], predicted, given, weights, plan[SAMPLES], outputs, settings, work, out)


@kernel
def _finish_epoch(plan: Any, numbers: Any, parameters: Any, best: Any, row: Any, sums: Any, cursor: Any) -> None:
    """Count an epoch that has ended, and act on its results: early stopping, the rate, the end of the run."""
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
    """Continue shuffling the rows; return whether that is done."""
    if cursor[TO_SHUFFLE] < 0:
        for i in range(plan[SAMPLES]):
            order[i] = i
        cursor[TO_SHUFFLE] = plan[SAMPLES]
    start = key(plan[SEED], cursor[EPOCH])
    cursor[TO_SHUFFLE] = shuffle(order, start, cursor[TO_SHUFFLE], SHUFFLE_STEPS)
    return cursor[TO_SHUFFLE] == 0


@kernel
def _sum_slots(plan: Any, slots: Any, count: int, gradient: Any, first: int, length: int, add: bool) -> None:
    """Overwrite (or add to) a stretch of the gradient with the sum of that many slots, in their order."""
    start = 0
    sums = offset(gradient, first)
    if not add:
        copy(offset(slots, first), sums, 1.0, length)
        start = 1
    for slot in range(start, count):
        add_vector(sums, 1.0, offset(slots, slot * plan[PARAMETERS] + first), sums, length)


@kernel
def _update_stretch(job: Job, crew: Crew, item: int) -> None:
    """Update a stretch of the parameters, each of which is independent of the others.

    The optimizer works with a copy of its memory, which all stretches leave in the same state.
    """
    plan, board, sums = job.plan, crew.board, crew.sums
    parameters, gradient, previous, state, _ = job.vectors
    first = item * board[team.SETTING]
    stretches = offset(parameters, first), offset(gradient, first), offset(previous, first), offset(state, first)
    memory, length = offset(crew.memories, item * MOST_MEMORY), min(board[team.SETTING], plan[PARAMETERS] - first)
    for i in range(MOST_MEMORY):
        memory[i] = sums[MEMORY + i]
    crew.slot_sums[item] = calls.update(
        plan[OPTIMIZER], stretches, memory, job.numbers, length, plan[PARAMETERS], sums[SCALE], sums[BATCH_MEAN]
    )


@kernel
def _memory_of(job: Job, crew: Crew, thread: int) -> tuple:
    """Return a thread's own scratch, and the place for the indices of a tile's rows."""
    plan = job.plan
    behind = plan[SAMPLES] if plan[SHUFFLED] != 0 else 0
    scratch = offset(job.scratch, thread * crew.board[team.SCRATCH])
    return scratch, offset(job.order, behind + thread * plan[STRIDE])


@kernel
def _work(job: Job, crew: Crew, thread: int) -> int:
    """Do items of the current round until none is left, and return how many."""
    plan, board, slots, slot_sums = job.plan, crew.board, crew.slots, crew.slot_sums
    memory = _memory_of(job, crew, thread)
    done = 0
    while True:
        item = team.claim(board, thread)
        if item < 0:
            return done
        number, kind = board[team.FIRST_ITEM] + item, board[team.KIND]
        if kind == team.TILES:
            slot, sums = offset(slots, item * plan[PARAMETERS]), offset(slot_sums, 2 * item)
            passes.of_batch(job, memory, slot, sums, number, False)
        elif kind == team.VALIDATION_TILES:
            passes.of_validation(job, memory[0], offset(slot_sums, 2 * item), number)
        elif kind == team.UPDATE_STRETCHES:
            _update_stretch(job, crew, item)
        else:
            first = item * team.STRETCH
            length, add = min(team.STRETCH, plan[PARAMETERS] - first), board[team.ADDED] != 0
            _sum_slots(plan, slots, board[team.SETTING], job.vectors.gradient, first, length, add)
        done += 1


@kernel
def _round(job: Job, crew: Crew, kind: int, first: int, count: int) -> None:
    """Do that many items, all threads together."""
    team.begin(crew.board, kind, first, count)
    team.finish(crew.board, _work(job, crew, 0))


@kernel
def _sum_up(job: Job, crew: Crew, count: int, add: bool) -> None:
    """Overwrite (or add to) the gradient with the sum of that many slots."""
    plan, board = job.plan, crew.board
    length = plan[PARAMETERS]
    if count * length < team.LEAST_SHARED:
        _sum_slots(plan, crew.slots, count, job.vectors.gradient, 0, length, add)
        return
    board[team.SETTING] = count
    board[team.ADDED] = 1 if add else 0
    _round(job, crew, team.STRETCHES, 0, (length + team.STRETCH - 1) // team.STRETCH)


@inlined
def _shares_updates(plan: Any, board: Any) -> bool:
    """Return whether an update is shared by threads: if there are enough parameters, and no line search."""
    return board[team.THREADS] > 1 and plan[PARAMETERS] >= team.LEAST_SHARED and plan[LINE_SEARCH] == 0


@kernel
def _update_together(job: Job, crew: Crew, loss: float) -> int:
    """Do an optimizer's step with all threads, in stretches of the parameters, and return its answer."""
    count, board, sums = job.plan[PARAMETERS], crew.board, crew.sums
    stretch = (count + team.UPDATES_EACH * board[team.THREADS] - 1) // (team.UPDATES_EACH * board[team.THREADS])
    stretch = max(team.STRETCH, padded(stretch, job.vectors.parameters))
    stretches = (count + stretch - 1) // stretch
    board[team.SETTING] = stretch
    sums[BATCH_MEAN] = loss
    _round(job, crew, team.UPDATE_STRETCHES, 0, stretches)
    answer = MOVED
    for item in range(stretches):
        if crew.slot_sums[item] == NOT_FINITE:
            answer = NOT_FINITE
    for i in range(MOST_MEMORY):
        sums[MEMORY + i] = crew.memories[i]
    return answer


@kernel
def _update(job: Job, crew: Crew, weight: float, loss: float) -> int:
    """Update the parameters with the batch's gradient, clipped and bounded; return the optimizer's answer."""
    plan, numbers, cursor, sums = job.plan, job.numbers, job.cursor, crew.sums
    parameters, gradient, previous, state, _ = job.vectors
    count, scale = plan[PARAMETERS], 1.0 / weight
    if plan[RATE_COLUMN] >= 0:
        numbers[0] = _rate(plan, numbers, sums, cursor)
    if plan[CLIP] != 0:
        calls.clip(plan[CLIP], gradient, count, scale, numbers[CLIP_VALUE], numbers[CLIP_NORM])
    sums[SCALE] = scale
    memory = offset(sums, MEMORY)
    if plan[GAUSS_NEWTON] != 0:
        _add_penalties(plan, numbers, state, weight)
    if _shares_updates(plan, crew.board):
        answer = _update_together(job, crew, loss)
    else:
        updated = parameters, gradient, previous, state
        answer = calls.update(plan[OPTIMIZER], updated, memory, numbers, count, count, scale, loss)
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
def _finish_batch(job: Job, crew: Crew) -> int:
    """Add up the batch's loss, update the parameters, and return the optimizer's answer."""
    plan, cursor, sums = job.plan, job.cursor, crew.sums
    parameters, gradient, previous, _, _ = job.vectors
    weight = sums[BATCH_WEIGHT]
    penalty = tile.penalty(plan, job.numbers, parameters, gradient, weight if plan[TASK] != EVALUATE else 0.0)
    loss = sums[BATCH_LOSS] + weight * penalty
    searching = plan[LINE_SEARCH] != 0
    if not np.isfinite(loss) and not searching:
        if cursor[UPDATES] > 0:
            copy(previous, parameters, 1.0, plan[PARAMETERS])
        sums[BATCH_LOSS] = loss
        return NOT_FINITE
    sums[EPOCH_LOSS] += loss
    sums[EPOCH_WEIGHT] += weight
    sums[BATCH_LOSS] = 0.0
    sums[BATCH_WEIGHT] = 0.0
    if plan[TASK] != TRAIN or weight == 0.0:
        return MOVED
    answer = _update(job, crew, weight, loss / weight)
    if answer == NOT_FINITE and not searching:
        copy(previous, parameters, 1.0, plan[PARAMETERS])
    return answer


@kernel
def _train(job: Job, crew: Crew, budget: int) -> int:
    """Add gradient and loss of the batch's next tiles to those of the tiles before; return how many they were."""
    plan, cursor, board, slot_sums, sums = job.plan, job.cursor, crew.board, crew.slot_sums, crew.sums
    rows = min(plan[BATCH], plan[WINDOW_END] - cursor[FIRST])
    number, left = cursor[DONE] // plan[TILE], (rows - cursor[DONE] + plan[TILE] - 1) // plan[TILE]
    count, add = 1, number > 0
    if left == 1 or team.is_alone(board):
        passes.of_batch(job, _memory_of(job, crew, 0), job.vectors.gradient, slot_sums, number, add)
    else:
        count = min(left, team.most_items(board, budget))
        _round(job, crew, team.TILES, number, count)
        if plan[TASK] != EVALUATE:
            _sum_up(job, crew, count, add)
    for i in range(count):
        sums[BATCH_LOSS] += slot_sums[2 * i]
        sums[BATCH_WEIGHT] += slot_sums[2 * i + 1]
    cursor[DONE] = min(rows, cursor[DONE] + count * plan[TILE])
    return count


@kernel
def _plain(plan: Any) -> bool:
    """Return whether nothing is needed besides the updates of training and its loss."""
    extras = plan[PENALTY] + plan[CLIP] + plan[CONSTRAINT] + plan[FROZEN] + plan[METRICS] + plan[IDENTIFIED]
    return extras == 0 and plan[RATE_COLUMN] < 0 and plan[TASK] == TRAIN


@kernel
def _quick(plan: Any) -> bool:
    """Return whether batches are so small and plain that several whole ones can be done at once."""
    return _plain(plan) and plan[FEW_ROWS] != 0 and plan[WEIGHTED] == 0


@kernel
def _epoch_is_tile(plan: Any, board: Any) -> bool:
    """Return whether an epoch is one tile, its loss and its update, so that many can be done at once.

    Packed rows are one batch.
    """
    one = plan[PACKED] != 0 and plan[SAMPLES] <= plan[TILE]
    asked = plan[VALIDATION_COLUMN] >= 0 or plan[MONITOR_COLUMN] >= 0 or plan[PAUSE_EVERY] != 0
    unusual = plan[LINE_SEARCH] != 0 or plan[GAUSS_NEWTON] != 0
    return one and _plain(plan) and not (asked or unusual or _shares_updates(plan, board))


@kernel
def _whole_epochs(job: Job, crew: Crew, budget: int) -> int:
    """Do epochs of one tile, except the last of the run, and return how many.

    This does what ``run`` would do with them one by one, without all that is not needed: for 16 rows that saves a
    fifth of the time. An epoch whose loss is not finite is left to ``run``.
    """
    plan, numbers, cursor, sums = job.plan, job.numbers, job.cursor, crew.sums
    parameters, gradient, previous, state, _ = job.vectors
    updated = parameters, gradient, previous, state
    scratch, places = _memory_of(job, crew, 0)
    count, samples = plan[PARAMETERS], padded(plan[SAMPLES], scratch)
    zero = offset(gradient, count)
    x, t, w = tile.packed(plan, job.data, 0, True)
    weight = np.float64(add_up(w, samples) if plan[WEIGHTED] != 0 else plan[SAMPLES])
    first, done, most = cursor[EPOCH], 0, min(budget, plan[EPOCHS] - 1 - cursor[EPOCH])
    while done < most and cursor[STATUS] == RUNNING:
        y = tile.forward(plan, numbers, parameters, x, (x, t), scratch, samples, True, (places, 0))
        loss = np.float64(tile.loss(plan, numbers, y, t, w, scratch, samples))
        if not np.isfinite(loss) or weight == 0.0:
            break
        tile.backward(plan, parameters, gradient, x, scratch, zero, samples, False)
        answer = calls.update(
            plan[OPTIMIZER], updated, offset(sums, MEMORY), numbers, count, count, 1.0 / weight, loss / weight
        )
        cursor[UPDATES] += 1
        if answer == NOT_FINITE:
            copy(previous, parameters, 1.0, count)
            cursor[STATUS] = DIVERGED
        else:
            job.history[(first + done) * plan[COLUMNS] + LOSS_COLUMN] = loss / weight
            done += 1
    cursor[EPOCH] = first + done
    return done


@kernel
def _validate(job: Job, crew: Crew, budget: int) -> int:
    """Add the loss of the next tiles of validation rows, and return how many they were."""
    plan, cursor, board = job.validation.plan, job.cursor, crew.board
    slot_sums, sums = crew.slot_sums, crew.sums
    number = cursor[VALIDATED] // plan[TILE]
    left = (plan[SAMPLES] - cursor[VALIDATED] + plan[TILE] - 1) // plan[TILE]
    if team.is_alone(board) and plan[SAMPLES] <= job.plan[BATCH]:
        count = 1
        passes.of_validation(job, _memory_of(job, crew, 0)[0], slot_sums, number)
    else:
        count = min(left, team.most_items(board, budget))
        _round(job, crew, team.VALIDATION_TILES, number, count)
    for i in range(count):
        sums[VALIDATION_LOSS] += slot_sums[2 * i]
        sums[VALIDATION_WEIGHT] += slot_sums[2 * i + 1]
    cursor[VALIDATED] = min(plan[SAMPLES], cursor[VALIDATED] + count * plan[TILE])
    return count


@kernel
def _record(job: Job, sums: Any, answer: int, row: Any) -> bool:
    """Record a pass over all rows; return whether it ends an epoch, which a trial of a line search does not.

    ``row`` is the epoch's row in the history.
    """
    plan, numbers, cursor = job.plan, job.numbers, job.cursor
    loss = sums[EPOCH_LOSS] / sums[EPOCH_WEIGHT]
    sums[EPOCH_LOSS] = 0.0
    sums[EPOCH_WEIGHT] = 0.0
    if plan[LINE_SEARCH] == 0:
        row[LOSS_COLUMN] = loss
        _measure(plan, numbers, job.trained, job.work, row)
        return True
    # An accepted point ends an epoch and begins the next, whose loss and metrics are those at this point.
    first = cursor[UPDATES] == 1
    row[LOSS_COLUMN] = sums[MEMORY + STARTED_LOSS]
    if first or answer != TRIAL:
        _measure(plan, numbers, job.trained, job.work, row if first else offset(row, plan[COLUMNS]))
    if answer == LAST:
        cursor[STATUS] = CONVERGED
    return answer != TRIAL


@kernel
def _record_validation(job: Job, sums: Any, parameters: Any, row: Any) -> None:
    """Record the loss and the metrics of the validation rows."""
    plan, validation = job.plan, job.validation
    penalty = tile.penalty(plan, job.numbers, parameters, job.vectors.gradient, 0.0)
    row[plan[VALIDATION_COLUMN]] = sums[VALIDATION_LOSS] / sums[VALIDATION_WEIGHT] + penalty
    _measure(validation.plan, validation.numbers, job.validated, job.work, row)


@kernel
def assist(job: Job, crew: Crew, thread: int) -> None:
    """As a helper, work on the leader's rounds until there are no more."""
    board, seen = crew.board, 0
    while True:
        seen = team.wait(board, seen)
        if seen == team.LEAVE:
            return
        done = _work(job, crew, thread)
        team.report(board, done)


@kernel
def run(job: Job, crew: Crew, budget: int) -> None:
    """Train on for ``budget`` tiles, or to the window's end, to a pause, or until cursor[STATUS] is not RUNNING.

    Overwrites the vectors, scratch, sums, cursor, order, predictions, the crew's memory, and history as far as
    epochs are finished.
    """
    plan, numbers, cursor, vectors = job.plan, job.numbers, job.cursor, job.vectors
    board, sums = crew.board, crew.sums
    samples = plan[SAMPLES]
    accepted = vectors.previous if plan[LINE_SEARCH] != 0 else vectors.parameters
    quick = _quick(plan)
    if _epoch_is_tile(plan, board):
        budget -= _whole_epochs(job, crew, budget)
        if cursor[STATUS] != RUNNING:
            return
    while budget > 0:
        row = offset(job.history, cursor[EPOCH] * plan[COLUMNS])
        if cursor[VALIDATED] < 0:
            if plan[SHUFFLED] != 0 and cursor[TO_SHUFFLE] != 0:
                budget -= 1
                if not _shuffle(plan, job.order, cursor):
                    continue
            at = cursor[FIRST] + cursor[DONE]
            if at < plan[WINDOW] or at >= plan[WINDOW_END]:
                return
            if plan[RATE_COLUMN] >= 0 and cursor[FIRST] == 0 and cursor[DONE] == 0:
                row[plan[RATE_COLUMN]] = _rate(plan, numbers, sums, cursor)
            if cursor[DONE] == 0:
                team.choose(board)
            if quick and cursor[DONE] == 0 and budget > 0:
                budget -= passes.few_rows(job, _memory_of(job, crew, 0), crew.slot_sums, sums, budget)
                if cursor[STATUS] != RUNNING:
                    return
                if budget <= 0:
                    continue
            budget -= _train(job, crew, budget)
            done = cursor[DONE]
            if done < min(plan[BATCH], samples - cursor[FIRST]):
                continue
            answer = _finish_batch(job, crew)
            if answer == NOT_FINITE:
                cursor[STATUS] = DIVERGED
                return
            cursor[DONE] = 0
            cursor[FIRST] += done
            if cursor[FIRST] < samples:
                continue
            cursor[FIRST] = 0
            if not _record(job, sums, answer, row):
                continue
            if plan[VALIDATION_COLUMN] >= 0:
                cursor[VALIDATED] = 0
                sums[VALIDATION_LOSS] = 0.0
                sums[VALIDATION_WEIGHT] = 0.0
                continue
        else:
            budget -= _validate(job, crew, budget)
            if cursor[VALIDATED] < job.validation.plan[SAMPLES]:
                continue
            _record_validation(job, sums, accepted, row)
        _finish_epoch(plan, numbers, accepted, vectors.best, row, sums, cursor)
        if cursor[STATUS] != RUNNING or (plan[PAUSE_EVERY] != 0 and cursor[EPOCH] % plan[PAUSE_EVERY] == 0):
            return
