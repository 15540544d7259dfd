"""L-BFGS with a line search for the strong Wolfe conditions, as a state machine called once per evaluation.

It is an optimizer as described in ``kernels.optimizers``. Each call is given loss and gradient at p, and no point
is evaluated twice (except when a line search has failed and goes back to its best step). Its answers:

TRIAL
    p is a step of the line search. The accepted parameters are in ``previous``.
MOVED
    The point has been accepted, which ends an epoch. It is now in ``previous``, while p is already the first trial
    of the next epoch.
LAST
    The same, but no further improvement is possible: p and ``previous`` are both the accepted parameters.
NOT_FINITE
    Loss or gradient at the very first point is not finite: p and ``previous`` are that point.

So the parameters that a user wants are always in ``previous``, whenever a run ends or is interrupted, and
memory[STARTED_LOSS] is the loss at which an epoch that has just ended had begun. If loss, gradient or parameters
of a trial are not finite, the step was too long. The batches have to be the same in all calls.

Algorithms and equations are those of J. Nocedal and S. Wright, Numerical Optimization, 2nd edition, 2006.
Settings: 1 (the first step tried), pairs kept (M), tolerance, decrease, curvature, evaluations.
State: direction d, gradient at ``previous``, M changes s of parameters, M changes y of the gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.kernels import vectors
from fastnn.kernels.jit import kernel
from fastnn.kernels.layout import LAST, MOST_PAIRS, MOVED, NOT_FINITE, STARTED_LOSS, TRIAL
from fastnn.kernels.simd import fill, fma, load, offset, store, total, width

# Settings.
(_, PAIRS_KEPT, TOLERANCE, DECREASE, CURVATURE, EVALUATIONS) = range(6)

# Memory. LOW and HIGH are the ends of an interval on the line: step, loss, slope.
PHASE = 1
START_LOSS, START_SLOPE = 2, 3  # at step 0
STEP = 4  # the step of the current trial
LEFT = 5  # evaluations left in this line search
PAIRS, NEXT = 6, 7  # the number of pairs, and which is overwritten next
GAMMA = 8  # s·y / y·y of the newest pair
LOW, HIGH = 9, 12
PRODUCTS, ALPHAS = 16, 16 + MOST_PAIRS  # s·y of each pair; what the first loop leaves for the second

# Phases: no point yet; looking for an interval that contains a good step; narrowing it down; going back to the
# best step so far; already there.
FRESH, BRACKET, ZOOM, BACK, THERE = range(5)

# Answers of the line search.
LOOK, TAKE, NOTHING = range(3)

LEAST_CURVATURE = 2.0**-52  # pairs with less s·y / y·y than this are only rounding


@kernel
def _keep(memory: Any, at: int, step: float, loss: float, slope: float) -> None:
    """Overwrite an end of the interval."""
    memory[at] = step
    memory[at + 1] = loss
    memory[at + 2] = slope


@kernel
def _cubic_minimum(memory: Any, a: int, b: int) -> float:
    """Return the minimum of the cubic through two points (equation 3.59); their midpoint if there is none.

    If the loss at the second is infinite, the result is the first point itself.
    """
    step_a, loss_a, slope_a = memory[a], memory[a + 1], memory[a + 2]
    step_b, loss_b, slope_b = memory[b], memory[b + 1], memory[b + 2]
    if loss_b == np.inf:
        return step_a
    d1 = slope_a + slope_b - 3.0 * (loss_a - loss_b) / (step_a - step_b)
    square = d1 * d1 - slope_a * slope_b
    if square >= 0.0:
        d2 = math.copysign(math.sqrt(square), step_b - step_a)
        bottom = slope_b - slope_a + 2.0 * d2
        if bottom != 0.0 and np.isfinite(bottom):
            return step_b - (step_b - step_a) * (slope_b + d2 - d1) / bottom
    return 0.5 * (step_a + step_b)


@kernel
def _bracket(memory: Any, loss: float, slope: float, low: bool, flat: bool) -> int:
    """Algorithm 3.5: increase the step until the last interval contains a good one, or a good one is found."""
    step, before = memory[STEP], memory[LOW]
    if not low or (before > 0.0 and loss >= memory[LOW + 1]):
        _keep(memory, HIGH, step, loss, slope)
        memory[PHASE] = ZOOM
        return LOOK
    if flat:
        return TAKE
    if slope >= 0.0:
        _keep(memory, HIGH, before, memory[LOW + 1], memory[LOW + 2])
        _keep(memory, LOW, step, loss, slope)
        memory[PHASE] = ZOOM
        return LOOK
    if memory[LEFT] == 0.0:
        return TAKE
    gap = step - before
    _keep(memory, HIGH, step, loss, slope)
    ahead = _cubic_minimum(memory, LOW, HIGH) - step
    _keep(memory, LOW, step, loss, slope)
    if ahead <= 0.0:
        ahead = 4.0 * gap  # the cubic falls for ever
    memory[STEP] = step + min(max(ahead, 1.1 * gap), 4.0 * gap)
    return LOOK


@kernel
def _narrow(memory: Any, loss: float, slope: float, low: bool, flat: bool) -> int:
    """Algorithm 3.6, second half: replace one end of the interval by the trial."""
    step = memory[STEP]
    if not low or loss >= memory[LOW + 1]:
        _keep(memory, HIGH, step, loss, slope)
        return LOOK
    if flat:
        return TAKE
    if slope * (memory[HIGH] - memory[LOW]) >= 0.0:
        _keep(memory, HIGH, memory[LOW], memory[LOW + 1], memory[LOW + 2])
    _keep(memory, LOW, step, loss, slope)
    return LOOK


@kernel
def _zoom(memory: Any) -> int:
    """Algorithm 3.6, first half: choose a step within the interval.

    If no evaluations or no numbers between its ends are left, go back to the lowest step so far, or answer NOTHING
    if that is 0.
    """
    low, high = memory[LOW], memory[HIGH]
    if memory[LEFT] > 0.0:
        gap = high - low
        share = (_cubic_minimum(memory, LOW, HIGH) - low) / gap
        # Far enough from both ends for the interval to shrink in any case.
        step = low + min(max(share, 0.1), 0.9) * gap
        if step != low and step != high:
            memory[STEP] = step
            return LOOK
    if low == 0.0:
        return NOTHING
    if memory[STEP] == low:
        return TAKE
    memory[STEP] = low
    memory[PHASE] = BACK
    return LOOK


@kernel
def _search(memory: Any, settings: Any, loss: float, slope: float) -> int:
    """Judge loss and slope at memory[STEP]: TAKE it, LOOK at the new memory[STEP], or there is NOTHING."""
    memory[LEFT] -= 1.0
    low = loss <= memory[START_LOSS] + settings[DECREASE] * memory[STEP] * memory[START_SLOPE]
    flat = abs(slope) <= -settings[CURVATURE] * memory[START_SLOPE]
    if memory[PHASE] == BRACKET:
        answer = _bracket(memory, loss, slope, low, flat)
    else:
        answer = _narrow(memory, loss, slope, low, flat)
    if answer == LOOK and memory[PHASE] == ZOOM:
        answer = _zoom(memory)
    return answer


@kernel
def _aim(state: Any, memory: Any, kept: int, count: int, stride: int) -> None:
    """Overwrite the direction with -H·gradient (algorithm 7.4)."""
    d, gradient = state, offset(state, stride)
    s, y = offset(state, 2 * stride), offset(state, (2 + kept) * stride)
    pairs, next_ = int(memory[PAIRS]), int(memory[NEXT])
    vectors.copy(gradient, d, -1.0, count)
    for back in range(1, pairs + 1):
        i = (next_ + kept - back) % kept
        alpha = vectors.dot(offset(s, i * stride), d, count) / memory[PRODUCTS + i]
        memory[ALPHAS + i] = alpha
        vectors.add(d, -alpha, offset(y, i * stride), d, count)
    if pairs > 0:
        vectors.copy(d, d, float(memory[GAMMA]), count)
    for back in range(pairs, 0, -1):
        i = (next_ + kept - back) % kept
        beta = vectors.dot(offset(y, i * stride), d, count) / memory[PRODUCTS + i]
        vectors.add(d, float(memory[ALPHAS + i] - beta), offset(s, i * stride), d, count)


@kernel
def _begin(p: Any, previous: Any, state: Any, memory: Any, settings: Any, count: int, stride: int) -> bool:
    """Start a line search from ``previous``: set direction, first step, and p there.

    Returns False if no direction leads down; p is then ``previous``.
    """
    kept = int(settings[PAIRS_KEPT])
    d, gradient = state, offset(state, stride)
    _aim(state, memory, kept, count, stride)
    slope = vectors.dot(gradient, d, count)
    if not slope < 0.0 and memory[PAIRS] > 0.0:
        memory[PAIRS] = 0.0  # rounding has made them useless
        _aim(state, memory, kept, count, stride)
        slope = vectors.dot(gradient, d, count)
    step = 1.0
    if memory[PAIRS] == 0.0:
        length = math.sqrt(vectors.dot(gradient, gradient, count))
        if length > 1.0:
            step = 1.0 / length
    memory[PHASE] = BRACKET
    memory[START_SLOPE] = slope
    memory[STEP] = step
    memory[LEFT] = settings[EVALUATIONS]
    _keep(memory, LOW, 0.0, memory[START_LOSS], slope)
    vectors.add(previous, float(step) if slope < 0.0 else 0.0, d, p, count)
    return slope < 0.0


@kernel
def _accept(
    p: Any,
    g: Any,
    previous: Any,
    state: Any,
    memory: Any,
    kept: int,
    count: int,
    stride: int,
    scale: float,
) -> None:
    """Overwrite ``previous`` with p and the gradient with scale·g; keep the changes if they are informative."""
    gradient = offset(state, stride)
    s_y = fill(load(p, 0), 0.0)
    y_y = s_y
    for i in range(0, count, width(p)):
        s, y = load(p, i) - load(previous, i), scale * load(g, i) - load(gradient, i)
        s_y = fma(s, y, s_y)
        y_y = fma(y, y, y_y)
    product, square = np.float64(total(s_y)), np.float64(total(y_y))
    if product > LEAST_CURVATURE * square:
        at = int(memory[NEXT])
        changes = offset(state, (2 + at) * stride)
        for i in range(0, count, width(p)):
            store(changes, i, load(p, i) - load(previous, i))
            store(changes, kept * stride + i, scale * load(g, i) - load(gradient, i))
        memory[PRODUCTS + at] = product
        memory[GAMMA] = product / square
        memory[NEXT] = (at + 1) % kept
        memory[PAIRS] = min(memory[PAIRS] + 1.0, float(kept))
    vectors.copy(p, previous, 1.0, count)
    vectors.copy(g, gradient, scale, count)


@kernel
def lbfgs(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """Take in one evaluation of a line search and answer; see the top of this file."""
    p, g, previous, state = given
    d, gradient = state, offset(state, stride)
    # A gradient whose square would overflow cannot be used.
    known = np.isfinite(loss + scale * scale * vectors.dot(g, g, count))
    if memory[PHASE] == THERE:
        memory[STARTED_LOSS] = memory[START_LOSS]
        return LAST
    if memory[PHASE] == FRESH:
        vectors.copy(p, previous, 1.0, count)
        vectors.copy(g, gradient, scale, count)
        memory[STARTED_LOSS] = loss
        memory[START_LOSS] = loss
        if not known:
            return NOT_FINITE
        if vectors.within(gradient, float(settings[TOLERANCE]), count):
            return LAST
        return TRIAL if _begin(p, previous, state, memory, settings, count, stride) else LAST

    answer = TAKE
    if memory[PHASE] != BACK:
        slope = scale * vectors.dot(g, d, count)
        if not (known and np.isfinite(slope) and vectors.finite(p, count)):
            loss, slope = np.inf, 0.0
        answer = _search(memory, settings, loss, slope)
    if answer == LOOK:
        vectors.add(previous, float(memory[STEP]), d, p, count)
        return TRIAL
    if answer == NOTHING:
        had_pairs = memory[PAIRS] > 0.0
        memory[PAIRS] = 0.0
        if had_pairs and _begin(p, previous, state, memory, settings, count, stride):
            return TRIAL
        vectors.copy(previous, p, 1.0, count)
        memory[STARTED_LOSS] = memory[START_LOSS]
        return LAST
    _accept(p, g, previous, state, memory, int(settings[PAIRS_KEPT]), count, stride, scale)
    memory[STARTED_LOSS] = memory[START_LOSS]
    memory[START_LOSS] = loss
    if vectors.within(gradient, float(settings[TOLERANCE]), count):
        return LAST
    if not _begin(p, previous, state, memory, settings, count, stride):
        memory[PHASE] = THERE
    return MOVED
