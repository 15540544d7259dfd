"""Activation functions on lanes: each returns its value at z and its derivative, which share their work.

U units, S samples (whole vectors); rows of samples are ``stride`` numbers apart; a shape is (stride, S, U).
Activations that need more than single numbers are functions of whole rows, in one of three modes: see
``row_activations``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.kernels import maths
from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.simd import (
    absolute,
    copy_sign,
    fill,
    fma,
    is_double,
    load,
    maximum,
    minimum,
    power_of_two,
    select,
    store,
    width,
)

# The modes of an activation: compute y from z; compute y and the derivative d; or, if it needs all units and its
# derivative is a matrix, multiply d by that.
VALUE, VALUE_AND_SLOPE, TIMES_SLOPE = range(3)

Shape = tuple[int, int, int]

LEAKY_SLOPE = 0.01
SQRT_HALF = 0.7071067811865476
SIXTH = 0.16666666666666666
# The constants of selu: G. Klambauer and others, 2017.
SELU_SCALE, SELU_BELOW = 1.0507009873554805, 1.7580993408473766  # the second times its alpha
DENSITY_AT_0 = 0.3989422804014327  # the standard normal density at 0: 1/sqrt(2·pi)


@inlined
def identity(z: Any) -> Any:
    return z, fill(z, 1.0)


@inlined
def sigmoid(z: Any) -> Any:
    y = maths.sigmoid(z)
    return y, fma(-y, y, y)


@inlined
def hard_sigmoid(z: Any) -> Any:
    # z + 3 is exact where it is nearly 0, so that no digit is lost there.
    y = minimum(1.0, maximum(0.0, (z + 3.0) * SIXTH))
    return y, select(absolute(z) >= 3.0, fill(z, 0.0), SIXTH)


@inlined
def tanh(z: Any) -> Any:
    y = maths.tanh(z)
    return y, fma(-y, y, 1.0)


@inlined
def softsign(z: Any) -> Any:
    a = minimum(2.0**1000 if is_double(z) else 2.0**100, absolute(z))  # else infinity would be divided by itself
    r = 1.0 / (1.0 + a)
    return copy_sign(a / (1.0 + a), z), r * r


@inlined
def relu(z: Any) -> Any:
    off = z <= 0.0  # so that NaN stays NaN
    return select(off, 0.0, z), select(off, fill(z, 0.0), 1.0)


@inlined
def leaky_relu(z: Any) -> Any:
    on = z > 0.0
    return select(on, z, LEAKY_SLOPE * z), select(on, fill(z, 1.0), LEAKY_SLOPE)


@inlined
def elu(z: Any) -> Any:
    on = z > 0.0
    below = maths.expm1(maximum(-44.0, minimum(0.0, z)))
    return select(on, z, below), select(on, 1.0, 1.0 + below)


@inlined
def selu(z: Any) -> Any:
    on = z > 0.0
    raised, high, low = maths.reduce(maximum(-44.0, minimum(0.0, z)))
    scale, rest = SELU_BELOW * power_of_two(raised), maths.expm1_rest(high, low)
    below = fma(scale, high, fma(scale, rest, scale - SELU_BELOW))  # times e**z - 1, apart from its rounding
    return select(on, SELU_SCALE * z, below), select(on, SELU_SCALE, fma(scale, high + rest, scale))


@inlined
def softplus(z: Any) -> Any:
    return maths.softplus(z), maths.sigmoid(z)


@inlined
def silu(z: Any) -> Any:
    # The sigmoid stays above 0 there, and would be multiplied by z.
    s = select(z < (-708.0 if is_double(z) else -87.0), 0.0, maths.sigmoid(z))
    y = z * s
    return y, fma(y, 1.0 - s, s)


@inlined
def gelu(z: Any) -> Any:
    below = 0.5 * maths.erfc(-SQRT_HALF * z)  # the normal distribution up to z, and its density there
    density = DENSITY_AT_0 * maths.exp(-0.5 * z * z)
    return z * below, fma(z, density, below)


@inlined
def mish(z: Any) -> Any:
    """z·tanh(ln(1 + e**z)).

    With u = e**-|z|, tanh(ln(1 + e**z)) is p/q, p = u·(u + 2) and q = p + 2 for z <= 0, else p = 1 + 2u and
    q = p + 2u². Its derivative is 4·u·(1 + u)/q², times u for z > 0.
    """
    above = z > 0.0
    u = maths.exp_of_negative(-absolute(z))
    square = u * u
    p = fma(2.0, u, select(above, 1.0, square))
    q = p + select(above, 2.0 * square, 2.0)
    r = 1.0 / q
    # Below -1000 the value is 0, and above 1000 the derivative is 1: this avoids multiplying infinity by 0.
    z = maximum(-1000.0, z)
    rise = 4.0 * select(above, square, u) * (1.0 + u)
    return z * (p / q), fma(minimum(1000.0, z) * r, rise * r, p * r)


@inlined
def exponential(z: Any) -> Any:
    y = maths.exp(z)
    return y, y


@inlined
def step(z: Any) -> Any:
    none = 0.0 * z  # NaN stays NaN
    return select(z > 0.0, 1.0, none), none


@inlined
def each(function: Callable[..., Any], z: Any, y: Any, d: Any, shape: Shape, mode: int) -> None:
    """Overwrite y (U, S) with the value at z and, if needed, d (U, S) with the derivative; y may be z."""
    stride, samples, units = shape
    for u in range(units):
        if mode != VALUE:
            for t in range(u * stride, u * stride + samples, width(z)):
                value, derivative = function(load(z, t))
                store(y, t, value)
                store(d, t, derivative)
        else:
            for t in range(u * stride, u * stride + samples, width(z)):
                store(y, t, function(load(z, t))[0])


@kernel
def multiply(d: Any, slope: Any, shape: Shape) -> None:
    """Overwrite d (U, S) with d·slope."""
    stride, samples, units = shape
    for u in range(units):
        for t in range(u * stride, u * stride + samples, width(d)):
            store(d, t, load(d, t) * load(slope, t))
