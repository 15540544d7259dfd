"""Updates of the parameter vector from one gradient: what an optimizer is given, and what it returns.

An optimizer is a kernel (given, memory, settings, count, stride, scale, loss); given are p, g, previous and state:

p, g, previous
    parameters, gradient, and the parameters before the update: ``count`` numbers each, in whole vectors that
    are filled up with 0. The gradient is scale·g.
state
    vectors that persist, one after the other, ``stride`` numbers apart; 0 at first.
memory
    real numbers (float64) that persist; 0 at first.
settings
    the learning rate of this update, then the optimizer's own (float64), in the order of its docstring.
loss
    the mean loss of the batch.

It overwrites previous with p, then p, and returns one of the answers in ``kernels.layout``.
Moving averages are called m, of g, and v, of g².
"""

from __future__ import annotations

import math
from typing import Any

from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.layout import MOVED, NOT_FINITE
from fastnn.kernels.simd import (
    all_zero,
    fill,
    fma,
    load,
    maximum,
    minimum,
    select,
    square_root,
    store,
    width,
)


@inlined
def _none(p: Any) -> Any:
    """Return 0 in every lane, the start of sums over a vector."""
    return fill(load(p, 0), 0.0)


@inlined
def _put(p: Any, previous: Any, i: int, before: Any, after: Any, check: Any) -> Any:
    """Overwrite a vector of p with ``after`` and of previous with ``before``; return the check including it."""
    store(previous, i, before)
    store(p, i, after)
    return fma(0.0, after, check)


@inlined
def _moved(check: Any) -> int:
    """Return the answer for a sum of 0·p, which is NaN if any p is not finite."""
    if all_zero(check):
        return MOVED
    return NOT_FINITE


@inlined
def _sign(x: Any) -> Any:
    """1, 0 or -1; NaN stays NaN."""
    return select(x > 0.0, 1.0, select(x < 0.0, -1.0, x))


@kernel
def sgd(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """velocity = momentum·velocity + g; p -= rate·velocity (Nesterov: rate·(g + momentum·velocity)).

    Settings: rate, momentum, whether Nesterov's. State, with momentum only: velocity.
    """
    p, g, previous, state = given
    rate, momentum, nesterov = float(settings[0]), float(settings[1]), settings[2] != 0.0
    check = _none(p)
    for i in range(0, count, width(p)):
        gradient, before = scale * load(g, i), load(p, i)
        change = gradient
        if momentum != 0.0:
            change = fma(momentum, load(state, i), gradient)
            store(state, i, change)
            if nesterov:
                change = fma(momentum, change, gradient)
        after = fma(-rate, change, before)
        check = _put(p, previous, i, before, after, check)
    return _moved(check)


@kernel
def adagrad(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """squares += g²; p -= rate·g/(√squares + epsilon).

    Settings: rate, epsilon. State: squares.
    """
    p, g, previous, state = given
    rate, epsilon = float(settings[0]), float(settings[1])
    check = _none(p)
    for i in range(0, count, width(p)):
        gradient, before = scale * load(g, i), load(p, i)
        squares = fma(gradient, gradient, load(state, i))
        after = before - rate * gradient / (square_root(squares) + epsilon)
        store(state, i, squares)
        check = _put(p, previous, i, before, after, check)
    return _moved(check)


@kernel
def adadelta(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """d = g·√(mean of d² + epsilon)/√(v + epsilon), v first and the mean of d² afterwards; p -= rate·d.

    Settings: rate, rho, epsilon. State: v, mean of d².
    """
    p, g, previous, state = given
    rate, rho, epsilon = float(settings[0]), float(settings[1]), float(settings[2])
    fresh = 1.0 - rho
    check = _none(p)
    for i in range(0, count, width(p)):
        gradient, before = scale * load(g, i), load(p, i)
        squares = fma(rho, load(state, i), fresh * gradient * gradient)
        steps = load(state, stride + i)
        step = gradient * square_root((steps + epsilon) / (squares + epsilon))
        after = fma(-rate, step, before)
        store(state, i, squares)
        store(state, stride + i, fma(rho, steps, fresh * step * step))
        check = _put(p, previous, i, before, after, check)
    return _moved(check)


@kernel
def rmsprop(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """step = g/(√v + epsilon) (centered: √(v - m²)); velocity = momentum·velocity + step; p -= rate·velocity.

    Settings: rate, rho, momentum, whether centered, epsilon. State: v, m if centered, velocity with momentum.
    """
    p, g, previous, state = given
    rate, rho, momentum = float(settings[0]), float(settings[1]), float(settings[2])
    centered, epsilon = settings[3] != 0.0, float(settings[4])
    fresh = 1.0 - rho
    velocity = 2 * stride if centered else stride
    check = _none(p)
    for i in range(0, count, width(p)):
        gradient, before = scale * load(g, i), load(p, i)
        squares = fma(rho, load(state, i), fresh * gradient * gradient)
        store(state, i, squares)
        if centered:
            mean = fma(rho, load(state, stride + i), fresh * gradient)
            store(state, stride + i, mean)
            # Rounding may make it negative; in this order, NaN stays NaN.
            squares = maximum(0.0, squares - mean * mean)
        step = gradient / (square_root(squares) + epsilon)
        if momentum != 0.0:
            step = fma(momentum, load(state, velocity + i), step)
            store(state, velocity + i, step)
        after = fma(-rate, step, before)
        check = _put(p, previous, i, before, after, check)
    return _moved(check)


@inlined
def _correction(memory: Any, at: int, beta: float) -> float:
    """Return 1 - beta**t at update number t, computed as a moving average of ones."""
    memory[at] = beta * memory[at] + (1.0 - beta)
    return float(memory[at])


@inlined
def _adam(
    p: Any,
    g: Any,
    previous: Any,
    state: Any,
    memory: Any,
    numbers: tuple,
    count: int,
    stride: int,
    scale: float,
    greatest: bool,
) -> int:
    """p = keep·p - rate/(1 - beta_1**t)·m/(√v/√(1 - beta_2**t) + epsilon); ``greatest``: the greatest v so far.

    Numbers: rate, beta_1, beta_2, epsilon, keep. Memory: 1 - beta_1**t, 1 - beta_2**t.
    """
    rate, beta_1, beta_2, epsilon, keep = numbers
    fresh_1, fresh_2 = 1.0 - beta_1, 1.0 - beta_2
    rate = rate / _correction(memory, 0, beta_1)
    factor = 1.0 / math.sqrt(_correction(memory, 1, beta_2))
    check = _none(p)
    for i in range(0, count, width(p)):
        gradient, before = scale * load(g, i), load(p, i)
        mean = fma(beta_1, load(state, i), fresh_1 * gradient)
        squares = fma(beta_2, load(state, stride + i), fresh_2 * gradient * gradient)
        store(state, i, mean)
        store(state, stride + i, squares)
        if greatest:
            squares = maximum(load(state, 2 * stride + i), squares)
            store(state, 2 * stride + i, squares)
        step = mean / fma(factor, square_root(squares), epsilon)
        after = fma(-rate, step, keep * before)
        check = _put(p, previous, i, before, after, check)
    return _moved(check)


@kernel
def adam(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """p -= rate/(1 - beta_1**t)·m/(√v/√(1 - beta_2**t) + epsilon).

    Settings: rate, beta_1, beta_2, epsilon. State: m, v.
    """
    p, g, previous, state = given
    numbers = float(settings[0]), float(settings[1]), float(settings[2]), float(settings[3]), 1.0
    return _adam(p, g, previous, state, memory, numbers, count, stride, scale, False)


@kernel
def amsgrad(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """Adam with the greatest v so far in place of v.

    Settings: rate, beta_1, beta_2, epsilon. State: m, v, the greatest v.
    """
    p, g, previous, state = given
    numbers = float(settings[0]), float(settings[1]), float(settings[2]), float(settings[3]), 1.0
    return _adam(p, g, previous, state, memory, numbers, count, stride, scale, True)


@kernel
def adamw(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """p -= rate·decay·p, then as in adam.

    Settings: rate, beta_1, beta_2, epsilon, decay. State: m, v.
    """
    p, g, previous, state = given
    keep = 1.0 - float(settings[0]) * float(settings[4])
    numbers = float(settings[0]), float(settings[1]), float(settings[2]), float(settings[3]), keep
    return _adam(p, g, previous, state, memory, numbers, count, stride, scale, False)


@kernel
def nadam(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """p -= rate·((1-μ_t)/(1-M_t)·g + μ_{t+1}/(1-M_t·μ_{t+1})·m)/(√(v/(1 - beta_2**t)) + epsilon).

    μ_t = beta_1·(1 - 0.96**(t·decay)/2), M_t = μ_1·…·μ_t. Settings: rate, beta_1, beta_2, epsilon, decay.
    State: m, v. Memory: 1 - beta_2**t, t, M_t.
    """
    p, g, previous, state = given
    rate, beta_1, beta_2 = float(settings[0]), float(settings[1]), float(settings[2])
    epsilon, decay = float(settings[3]), float(settings[4])
    fresh_1, fresh_2 = 1.0 - beta_1, 1.0 - beta_2
    factor = 1.0 / math.sqrt(_correction(memory, 0, beta_2))
    t = memory[1] + 1.0
    now = beta_1 * (1.0 - 0.5 * 0.96 ** (t * decay))
    ahead = beta_1 * (1.0 - 0.5 * 0.96 ** ((t + 1.0) * decay))
    product = now if t == 1.0 else memory[2] * now
    memory[1] = t
    memory[2] = product
    of_gradient = float(rate * (1.0 - now) / (1.0 - product))
    of_mean = float(rate * ahead / (1.0 - product * ahead))
    check = _none(p)
    for i in range(0, count, width(p)):
        gradient, before = scale * load(g, i), load(p, i)
        mean = fma(beta_1, load(state, i), fresh_1 * gradient)
        squares = fma(beta_2, load(state, stride + i), fresh_2 * gradient * gradient)
        step = fma(of_gradient, gradient, of_mean * mean) / fma(factor, square_root(squares), epsilon)
        after = before - step
        store(state, i, mean)
        store(state, stride + i, squares)
        check = _put(p, previous, i, before, after, check)
    return _moved(check)


@kernel
def lion(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """p -= rate·(decay·p + sign(beta_1·m + (1-beta_1)·g)), then m = beta_2·m + (1-beta_2)·g.

    Settings: rate, beta_1, beta_2, decay. State: m.
    """
    p, g, previous, state = given
    rate, beta_1, beta_2 = float(settings[0]), float(settings[1]), float(settings[2])
    keep = 1.0 - rate * float(settings[3])
    fresh_1, fresh_2 = 1.0 - beta_1, 1.0 - beta_2
    check = _none(p)
    for i in range(0, count, width(p)):
        gradient, before, mean = scale * load(g, i), load(p, i), load(state, i)
        after = fma(-rate, _sign(fma(beta_1, mean, fresh_1 * gradient)), keep * before)
        store(state, i, fma(beta_2, mean, fresh_2 * gradient))
        check = _put(p, previous, i, before, after, check)
    return _moved(check)


@kernel
def rprop(given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float) -> int:
    """p -= sign(g)·step; step times plus where the sign stays; times minus where it turns, and then p stays.

    Settings: the first step, minus, plus, least step, greatest step. State: signs (0 after a turn), steps.
    Memory: 1 once the steps are set.
    """
    p, g, previous, state = given
    first, minus, plus = float(settings[0]), float(settings[1]), float(settings[2])
    least, most = float(settings[3]), float(settings[4])
    begun = memory[0] != 0.0
    memory[0] = 1.0
    check = _none(p)
    for i in range(0, count, width(p)):
        sign, before = _sign(scale * load(g, i)), load(p, i)
        same = sign * load(state, i)
        step = load(state, stride + i) if begun else fill(before, first)
        step = step * select(same > 0.0, fill(before, plus), select(same < 0.0, fill(before, minus), 1.0))
        step = minimum(maximum(step, least), most)
        sign = select(same < 0.0, fill(before, 0.0), sign)
        after = fma(-sign, step, before)
        store(state, i, sign)
        store(state, stride + i, step)
        check = _put(p, previous, i, before, after, check)
    return _moved(check)
