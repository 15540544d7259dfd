"""Activation functions on lanes: of z, each gives its value and its derivative, which share their work.

U units, S samples (whole vectors); rows of samples are ``stride`` numbers apart; a shape is (stride, S, U).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.kernels import maths
from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.simd import fill, fma, load, maximum, minimum, select, store, width

# The numbers by which a plan names them.
IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, SOFTPLUS, SILU, GELU, STEP, SOFTMAX = range(11)

Shape = tuple[int, int, int]

LEAKY_SLOPE = 0.01
SQRT_HALF = 0.7071067811865476
DENSITY_AT_0 = 0.3989422804014327  # of the standard normal distribution: 1/sqrt(2·pi)


@inlined
def identity(z: Any) -> Any:
    return z, fill(z, 1.0)


@inlined
def sigmoid(z: Any) -> Any:
    y = maths.sigmoid(z)
    return y, fma(-y, y, y)


@inlined
def tanh(z: Any) -> Any:
    y = maths.tanh(z)
    return y, fma(-y, y, 1.0)


@inlined
def relu(z: Any) -> Any:
    off = z <= 0.0  # in this way NaN stays NaN
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
def softplus(z: Any) -> Any:
    return maths.softplus(z), maths.sigmoid(z)


@inlined
def silu(z: Any) -> Any:
    s = maths.sigmoid(z)
    y = z * s
    return y, fma(y, 1.0 - s, s)


@inlined
def gelu(z: Any) -> Any:
    below = 0.5 * maths.erfc(-SQRT_HALF * z)  # the normal distribution up to z, and its density there
    density = DENSITY_AT_0 * maths.exp(-0.5 * z * z)
    return z * below, fma(z, density, below)


@inlined
def step(z: Any) -> Any:
    none = 0.0 * z  # NaN stays NaN
    return select(z > 0.0, 1.0, none), none


@inlined
def _each(function: Callable[..., Any], z: Any, y: Any, slope: Any, shape: Shape, with_slope: bool) -> None:
    """Overwrite y (U, S) with the value at z and, if asked for, slope (U, S) with the derivative."""
    stride, samples, units = shape
    for u in range(units):
        if with_slope:
            for t in range(u * stride, u * stride + samples, width(z)):
                value, derivative = function(load(z, t))
                store(y, t, value)
                store(slope, t, derivative)
        else:
            for t in range(u * stride, u * stride + samples, width(z)):
                store(y, t, function(load(z, t))[0])


@inlined
def _softmax(z: Any, y: Any, shape: Shape) -> None:
    """Overwrite y (U, S) with e**z / Σ e**z over the units, after taking away the greatest z."""
    stride, samples, units = shape
    for t in range(0, samples, width(z)):
        greatest = load(z, t)
        for u in range(1, units):
            greatest = maximum(greatest, load(z, u * stride + t))
        sum_ = fill(greatest, 0.0)
        for u in range(units):
            e = maths.exp(load(z, u * stride + t) - greatest)
            store(y, u * stride + t, e)
            sum_ = sum_ + e
        for u in range(units):
            store(y, u * stride + t, load(y, u * stride + t) / sum_)


@kernel
def activate(kind: int, z: Any, y: Any, slope: Any, shape: Shape, with_slope: bool) -> None:
    """Overwrite y (U, S) with the activation of z; y may be z itself.

    With ``with_slope``, overwrite slope (U, S) with its derivative. Softmax has none, but a matrix: see
    ``multiply_by_softmax_slope``.
    """
    if kind == IDENTITY:
        _each(identity, z, y, slope, shape, with_slope)
    elif kind == SIGMOID:
        _each(sigmoid, z, y, slope, shape, with_slope)
    elif kind == TANH:
        _each(tanh, z, y, slope, shape, with_slope)
    elif kind == RELU:
        _each(relu, z, y, slope, shape, with_slope)
    elif kind == LEAKY_RELU:
        _each(leaky_relu, z, y, slope, shape, with_slope)
    elif kind == ELU:
        _each(elu, z, y, slope, shape, with_slope)
    elif kind == SOFTPLUS:
        _each(softplus, z, y, slope, shape, with_slope)
    elif kind == SILU:
        _each(silu, z, y, slope, shape, with_slope)
    elif kind == GELU:
        _each(gelu, z, y, slope, shape, with_slope)
    elif kind == STEP:
        _each(step, z, y, slope, shape, with_slope)
    elif kind == SOFTMAX:
        _softmax(z, y, shape)


@kernel
def multiply_by_softmax_slope(y: Any, d: Any, shape: Shape) -> None:
    """Overwrite d (U, S) with y·(d - Σ d·y), the product with softmax's Jacobian."""
    stride, samples, units = shape
    for t in range(0, samples, width(y)):
        sum_ = load(d, t) * load(y, t)
        for u in range(1, units):
            sum_ = fma(load(d, u * stride + t), load(y, u * stride + t), sum_)
        for u in range(units):
            at = u * stride + t
            store(d, at, load(y, at) * (load(d, at) - sum_))


@kernel
def multiply(d: Any, slope: Any, shape: Shape) -> None:
    """Overwrite d (U, S) with d·slope."""
    stride, samples, units = shape
    for u in range(units):
        for t in range(u * stride, u * stride + samples, width(d)):
            store(d, t, load(d, t) * load(slope, t))
