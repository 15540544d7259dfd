"""Activation functions on lanes, each beside its derivative.

``<name>(z)`` is the value and ``<name>_slope(z, y)`` the derivative at z, where y is the value. U units, S
samples (whole vectors); rows of samples are ``stride`` numbers apart; a shape is (stride, S, U).
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
def sigmoid(z: Any) -> Any:
    return maths.sigmoid(z)


@inlined
def sigmoid_slope(z: Any, y: Any) -> Any:
    return y - y * y


@inlined
def tanh(z: Any) -> Any:
    return maths.tanh(z)


@inlined
def tanh_slope(z: Any, y: Any) -> Any:
    return fma(-y, y, 1.0)


@inlined
def relu(z: Any) -> Any:
    return select(z < 0.0, 0.0, z)  # in this order NaN stays NaN


@inlined
def relu_slope(z: Any, y: Any) -> Any:
    return select(y > 0.0, fill(y, 1.0), 0.0)


@inlined
def leaky_relu(z: Any) -> Any:
    return select(z > 0.0, z, LEAKY_SLOPE * z)


@inlined
def leaky_relu_slope(z: Any, y: Any) -> Any:
    return select(y > 0.0, fill(y, 1.0), LEAKY_SLOPE)


@inlined
def elu(z: Any) -> Any:
    return select(z > 0.0, z, maths.expm1(maximum(-44.0, minimum(0.0, z))))


@inlined
def elu_slope(z: Any, y: Any) -> Any:
    return select(y > 0.0, 1.0, 1.0 + y)


@inlined
def softplus(z: Any) -> Any:
    return maths.softplus(z)


@inlined
def softplus_slope(z: Any, y: Any) -> Any:
    return maths.sigmoid(z)


@inlined
def silu(z: Any) -> Any:
    return z * maths.sigmoid(z)


@inlined
def silu_slope(z: Any, y: Any) -> Any:
    s = maths.sigmoid(z)
    return fma(y, 1.0 - s, s)


@inlined
def gelu(z: Any) -> Any:
    return z * (0.5 * maths.erfc(-SQRT_HALF * z))


@inlined
def gelu_slope(z: Any, y: Any) -> Any:
    density = DENSITY_AT_0 * maths.exp(-0.5 * z * z)
    return fma(z, density, 0.5 * maths.erfc(-SQRT_HALF * z))


@inlined
def step(z: Any) -> Any:
    return select(z > 0.0, 1.0, 0.0 * z)


@inlined
def step_slope(z: Any, y: Any) -> Any:
    return 0.0 * z


@inlined
def _each(function: Callable[..., Any], z: Any, y: Any, shape: Shape) -> None:
    """Overwrite y (U, S) with function(z)."""
    stride, samples, units = shape
    for u in range(units):
        for t in range(u * stride, u * stride + samples, width(z)):
            store(y, t, function(load(z, t)))


@inlined
def _each_slope(
    function: Callable[..., Any], z: Any, y: Any, d: Any, shape: Shape
) -> None:
    """Multiply d (U, S) by function(z, y)."""
    stride, samples, units = shape
    for u in range(units):
        for t in range(u * stride, u * stride + samples, width(z)):
            store(d, t, load(d, t) * function(load(z, t), load(y, t)))


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


@inlined
def _softmax_slope(y: Any, d: Any, shape: Shape) -> None:
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
def activate(kind: int, z: Any, y: Any, shape: Shape) -> None:
    """Overwrite y (U, S) with the activation of z; y may be z itself."""
    if kind == SIGMOID:
        _each(sigmoid, z, y, shape)
    elif kind == TANH:
        _each(tanh, z, y, shape)
    elif kind == RELU:
        _each(relu, z, y, shape)
    elif kind == LEAKY_RELU:
        _each(leaky_relu, z, y, shape)
    elif kind == ELU:
        _each(elu, z, y, shape)
    elif kind == SOFTPLUS:
        _each(softplus, z, y, shape)
    elif kind == SILU:
        _each(silu, z, y, shape)
    elif kind == GELU:
        _each(gelu, z, y, shape)
    elif kind == STEP:
        _each(step, z, y, shape)
    elif kind == SOFTMAX:
        _softmax(z, y, shape)
    # IDENTITY: the plan gives z and y the same rows.


@kernel
def multiply_by_slope(
    kind: int, z: Any, y: Any, d: Any, shape: Shape
) -> None:
    """From the gradient by y make that by z: multiply d (U, S) by the activation's derivative."""
    if kind == SIGMOID:
        _each_slope(sigmoid_slope, z, y, d, shape)
    elif kind == TANH:
        _each_slope(tanh_slope, z, y, d, shape)
    elif kind == RELU:
        _each_slope(relu_slope, z, y, d, shape)
    elif kind == LEAKY_RELU:
        _each_slope(leaky_relu_slope, z, y, d, shape)
    elif kind == ELU:
        _each_slope(elu_slope, z, y, d, shape)
    elif kind == SOFTPLUS:
        _each_slope(softplus_slope, z, y, d, shape)
    elif kind == SILU:
        _each_slope(silu_slope, z, y, d, shape)
    elif kind == GELU:
        _each_slope(gelu_slope, z, y, d, shape)
    elif kind == STEP:
        _each_slope(step_slope, z, y, d, shape)
    elif kind == SOFTMAX:
        _softmax_slope(y, d, shape)
