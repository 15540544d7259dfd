"""Loss functions that need all outputs of a sample. ``settings`` and shapes are those of ``kernels.losses.each``.

K outputs, S samples (whole vectors); ``rows`` are z, y, targets (K, S each), weights (S) and d (K, S), which is
overwritten with the derivative with respect to z; each returns the weighted sum of the losses of all samples.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels import maths
from fastnn.kernels.jit import inlined
from fastnn.kernels.simd import fill, fma, is_double, load, maximum, select, store, total, width

Rows = tuple[Any, Any, Any, Any, Any]
Shape = tuple[int, int, int]


@inlined
def cross_entropy_of_softmax(rows: Rows, settings: Any, shape: Shape) -> float:
    """The weighted sum of -Σ t·ln y with y = softmax(z), as Σ t·(ln Σ e**z - z); by z, y·Σt - t."""
    z, y, targets, weights, d = rows
    stride, samples, outputs = shape
    sum_ = fill(load(weights, 0), 0.0)
    for s in range(0, samples, width(y)):
        weight = load(weights, s)
        used = weight > 0.0
        greatest, likeliest, mass = load(z, s), load(y, s), load(targets, s)
        for at in range(stride + s, outputs * stride + s, stride):
            greatest = maximum(greatest, load(z, at))
            likeliest = maximum(likeliest, load(y, at))
            mass = mass + load(targets, at)
        # The greatest z has y = e**0 / Σ e**(z - greatest).
        log_sum = -maths.log_positive(likeliest)
        of_sample = fill(weight, 0.0)
        for at in range(s, outputs * stride + s, stride):
            t = load(targets, at)
            of_sample = fma(t, (greatest - load(z, at)) + log_sum, of_sample)
            store(d, at, select(used, weight * fma(mass, load(y, at), -t), 0.0))
        sum_ = sum_ + select(used, weight * of_sample, 0.0)
    return float(total(sum_))


@inlined
def cross_entropy_of_log_softmax(rows: Rows, settings: Any, shape: Shape) -> float:
    """The weighted sum of -Σ t·y with y = log_softmax(z); by z, e**y·Σt - t."""
    _, y, targets, weights, d = rows
    stride, samples, outputs = shape
    sum_ = fill(load(weights, 0), 0.0)
    for s in range(0, samples, width(y)):
        weight = load(weights, s)
        used = weight > 0.0
        mass = load(targets, s)
        for at in range(stride + s, outputs * stride + s, stride):
            mass = mass + load(targets, at)
        of_sample = fill(weight, 0.0)
        for at in range(s, outputs * stride + s, stride):
            t, log_p = load(targets, at), load(y, at)
            of_sample = fma(-t, log_p, of_sample)
            # Rows of weight 0 must not enter as 0·infinity.
            store(d, at, select(used, weight * fma(mass, maths.exp_of_negative(log_p), -t), 0.0))
        sum_ = sum_ + select(used, weight * of_sample, 0.0)
    return float(total(sum_))


@inlined
def focal_of_softmax(rows: Rows, settings: Any, shape: Shape) -> float:
    """The weighted sum of -Σ t·q**a·ln p with p = y = softmax(z), q = 1 - p and a = settings[1].

    With respect to z, it has the derivative g - p·Σg with g = t·q**a·(a·p·ln(p)/q - 1). ln p is z - greatest z -
    ln(1 + rest), where 1 : rest is the greatest p to the sum of all others: so q keeps its digits where p is
    nearly 1.
    """
    z, y, targets, weights, d = rows
    stride, samples, outputs = shape
    a = float(settings[1])
    sum_ = fill(load(weights, 0), 0.0)
    smallest = 2.2250738585072014e-308 if is_double(sum_) else 1.1754943508222875e-38
    for s in range(0, samples, width(y)):
        weight = load(weights, s)
        used = weight > 0.0
        greatest, likeliest = load(z, s), load(y, s)
        for at in range(stride + s, outputs * stride + s, stride):
            greatest = maximum(greatest, load(z, at))
            likeliest = maximum(likeliest, load(y, at))
        rest, equal = fill(greatest, 0.0), fill(greatest, -1.0)
        for at in range(s, outputs * stride + s, stride):
            top = load(z, at) == greatest
            rest = rest + select(top, 0.0, load(y, at))
            equal = equal + select(top, 1.0, fill(rest, 0.0))
        log_sum = maths.log1p(rest / likeliest + equal)
        of_sample, sum_of_slopes = fill(weight, 0.0), fill(weight, 0.0)
        for at in range(s, outputs * stride + s, stride):
            log_p = (load(z, at) - greatest) - log_sum
            q = -maths.expm1(maximum(-44.0, log_p))
            power = load(targets, at) * maths.power(q, a)
            of_sample = fma(-power, log_p, of_sample)
            # Where q is 0, so is the power: any other divisor will do.
            slope = power * fma(a * load(y, at), log_p / maximum(smallest, q), -1.0)
            sum_of_slopes = sum_of_slopes + slope
            store(d, at, slope)
        for at in range(s, outputs * stride + s, stride):
            slope = fma(-load(y, at), sum_of_slopes, load(d, at))
            store(d, at, select(used, weight * slope, 0.0))
        sum_ = sum_ + select(used, weight * of_sample, 0.0)
    return float(total(sum_))
