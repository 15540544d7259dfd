"""Loss functions on lanes, each beside its derivative.

``<name>(z, y, t, a, b)`` returns the loss of one output and its derivative: with respect to the prediction y or,
for losses that work from logits, to z, the input of the output's activation. t is the target; a and b are two
settings of the loss for this output. K outputs, S samples (whole vectors); rows of samples are ``stride`` numbers
apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.kernels import maths
from fastnn.kernels.jit import inlined
from fastnn.kernels.simd import (
    absolute,
    copy_sign,
    fill,
    fma,
    is_double,
    load,
    maximum,
    minimum,
    select,
    store,
    total,
    width,
)

Rows = tuple[Any, Any, Any, Any, Any]
Shape = tuple[int, int, int]

LN2 = 0.6931471805599453


@inlined
def linear(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """y·t, whose derivative is given: t."""
    return y * t, t


@inlined
def squared_error(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    e = y - t
    return e * e, 2.0 * e


@inlined
def absolute_error(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    # The derivative is 0 where both are equal; NaN stays NaN.
    return absolute(y - t), select(y > t, 1.0, select(y < t, -1.0, y - t))


@inlined
def huber(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """e²/2 where |e| <= a, else a·(|e| - a/2), with e = y - t (P. Huber, 1964)."""
    e = y - t
    slope = maximum(-a, minimum(a, e))
    return absolute(slope) * (absolute(e) - 0.5 * absolute(slope)), slope


@inlined
def log_cosh(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """ln cosh e with e = y - t; the derivative is tanh e.

    Near 0 it is ln(1 + (cosh e - 1)), which loses no digits, with cosh e - 1 = m²/(2w), m = e**-|e| - 1 and
    w = e**-|e|; farther out |e| - ln 2 + ln(1 + w²).
    """
    e = y - t
    size = absolute(e)
    m = maths.expm1(maximum(-44.0, -size))  # from here on m rounds to -1
    w = 1.0 + m
    near = size < 1.3  # so far cosh e - 1 < 1
    square = w * w
    sum_ = maths.log1p(select(near, 0.5 * m * m / w, square))
    value = select(near, sum_, (size - LN2) + sum_)
    return value, copy_sign(-m * (1.0 + w) / (1.0 + square), e)


@inlined
def quantile(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """The greater of a·u and (a - 1)·u, u = t - y, for a level a (R. Koenker and G. Bassett, 1978)."""
    u = t - y
    # The derivative is 0 where both are equal; NaN stays NaN.
    return maximum(a * u, (a - 1.0) * u), select(u > 0.0, -a, select(u < 0.0, 1.0 - a, u))


@inlined
def poisson_of_exponential(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """y - t·ln y for y = e**z; by z."""
    return fma(-t, z, y), y - t


@inlined
def poisson(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """y - t·ln y, which is y for t = 0 even if y is 0."""
    none = t == 0.0
    return y - select(none, 0.0, t * maths.log(y)), 1.0 - select(none, 0.0, t / y)


@inlined
def of_softplus(z: Any, y: Any) -> Any:
    """(ln y, y'/y) for y = softplus(z) and its derivative y'; also where y has underflowed to 0."""
    small = z < (-40.0 if is_double(z) else -20.0)  # y and y' are e**z then, to the last digit
    return select(small, z, maths.log(y)), select(small, 1.0, maths.sigmoid(z) / y)


@inlined
def poisson_of_softplus(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """y - t·ln y for y = softplus(z); by z."""
    log, ratio = of_softplus(z, y)
    return fma(-t, log, y), ratio * (y - t)


@inlined
def gamma_of_softplus(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """t/y + ln y for y = softplus(z); by z."""
    log, ratio = of_softplus(z, y)
    share = t * select(z < (-40.0 if is_double(z) else -20.0), maths.exp(-z), 1.0 / y)
    return share + log, ratio * (1.0 - share)


@inlined
def gamma_of_exponential(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """t/y + ln y for y = e**z; by z."""
    share = t * maths.exp(-z)
    return share + z, 1.0 - share


@inlined
def gamma(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """t/y + ln y."""
    # At y = 0, one term is infinity and the other -infinity; no logarithm of a number is below -1000.
    return t / y + maximum(-1000.0, maths.log(y)), (y - t) / y / y


@inlined
def binary_cross_entropy(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """-t·ln y - (1 - t)·ln(1 - y) for y = sigmoid(z), as softplus(z) - t·z; by z."""
    # For t = 1 and large z, both parts of the difference are exactly z: it has to be computed first.
    return fma(-t, z, maximum(0.0, z)) + maths.softplus_above_relu(z), y - t


@inlined
def cross_entropy_of_sigmoid(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """-t·ln y for y = sigmoid(z); by z."""
    return t * maths.softplus(-z), -t * maths.sigmoid(-z)


@inlined
def cross_entropy_of_probabilities(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """-t·ln y."""
    return -t * maths.log(y), -t / y


@inlined
def hinge(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """The greater of 0 and 1 - t·y, for targets 1 and -1; a target 0 stands for -1."""
    side = select(t > 0.0, fill(t, 1.0), -1.0)
    margin = fma(-side, y, 1.0)
    value = maximum(0.0, margin)
    return value, select(margin > 0.0, -side, value)  # the value is 0 then, or NaN


@inlined
def focal_of_sigmoid(z: Any, y: Any, t: Any, a: float, b: float) -> Any:
    """-t·q**a·ln p - (1 - t)·p**a·ln q for p = y = sigmoid(z) and q = 1 - p; by z (T. Lin and others, 2017).

    The first part is multiplied by b and the second by 1 - b, except for negative b. With respect to z, the first
    part has the derivative t·q**a·(a·p·ln p - q), the second -(1 - t)·p**a·(a·q·ln q - p).
    """
    share, other = (b, 1.0 - b) if b >= 0.0 else (1.0, 1.0)
    below = maths.exp_of_negative(-absolute(z))
    log_sum = maths.log1p(below)
    minus_log_p, minus_log_q = maximum(0.0, -z) + log_sum, maximum(0.0, z) + log_sum
    likelier = 1.0 / (1.0 + below)
    above = z > 0.0
    p, q = select(above, likelier, below * likelier), select(above, below * likelier, likelier)
    of_one = share * t * maths.exp_of_negative(-a * minus_log_q)
    of_zero = other * (1.0 - t) * maths.exp_of_negative(-a * minus_log_p)
    value = fma(of_one, minus_log_p, of_zero * minus_log_q)
    slope = fma(of_zero, fma(a * q, minus_log_q, p), -of_one * fma(a * p, minus_log_p, q))
    return value, slope


@inlined
def each(function: Callable[..., Any], rows: Rows, settings: Any, shape: Shape) -> float:
    """Overwrite d (K, S) with the weighted derivative; return the weighted sum of the losses of all samples.

    ``rows`` are z, y, targets (K, S each), weights (S) and d; ``shape`` is (stride, S, K). A sample's loss is
    settings[0] times the sum over its outputs; of output k, a and b are settings[1 + 2k] and settings[2 + 2k].
    """
    z, y, targets, weights, d = rows
    stride, samples, outputs = shape
    scale = float(settings[0])
    sum_ = fill(load(weights, 0), 0.0)
    for s in range(0, samples, width(y)):
        weight = load(weights, s) * scale
        used = weight > 0.0
        of_sample = fill(weight, 0.0)
        for k in range(outputs):
            at = k * stride + s
            value, slope = function(
                load(z, at), load(y, at), load(targets, at), float(settings[1 + 2 * k]), float(settings[2 + 2 * k])
            )
            of_sample = of_sample + value
            # Rows of weight 0 must not enter as 0·infinity.
            store(d, at, select(used, weight * slope, 0.0))
        sum_ = sum_ + select(used, weight * of_sample, 0.0)
    return float(total(sum_))
