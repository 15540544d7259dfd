"""Loss functions on lanes, each beside its derivative.

``<name>(z, y, t)`` is the loss of one output and ``<name>_slope(z, y, t)`` its derivative: by the prediction y,
or, for the losses that work from logits, by z, what the output's activation was given. t is the target.
K outputs, S samples (whole vectors); rows of samples are ``stride`` numbers apart. A sample's loss is
``scale`` times the sum over its outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.kernels import maths
from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.simd import absolute, fill, fma, load, maximum, select, store, total, width

# The numbers by which a plan names them.
(
    LINEAR,
    MSE,
    HALF_SSE,
    MAE,
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY_OF_SIGMOID,
    CROSS_ENTROPY_OF_SOFTMAX,
    CROSS_ENTROPY_OF_PROBABILITIES,
) = range(8)

Rows = tuple[Any, Any, Any, Any, Any]
Shape = tuple[int, int, int]


@inlined
def linear(z: Any, y: Any, t: Any) -> Any:
    """y·t, whose derivative is given: t."""
    return y * t


@inlined
def linear_slope(z: Any, y: Any, t: Any) -> Any:
    return t


@inlined
def squared_error(z: Any, y: Any, t: Any) -> Any:
    e = y - t
    return e * e


@inlined
def squared_error_slope(z: Any, y: Any, t: Any) -> Any:
    return 2.0 * (y - t)


@inlined
def absolute_error(z: Any, y: Any, t: Any) -> Any:
    return absolute(y - t)


@inlined
def absolute_error_slope(z: Any, y: Any, t: Any) -> Any:
    return select(y > t, 1.0, select(y < t, -1.0, y - t))  # 0 where equal; NaN stays NaN


@inlined
def binary_cross_entropy(z: Any, y: Any, t: Any) -> Any:
    """-t·ln y - (1 - t)·ln(1 - y) for y = sigmoid(z), as softplus(z) - t·z."""
    # For t = 1 and great z both parts of the difference are exactly z: it has to come first.
    return fma(-t, z, maximum(0.0, z)) + maths.softplus_above_relu(z)


@inlined
def binary_cross_entropy_slope(z: Any, y: Any, t: Any) -> Any:
    return y - t


@inlined
def cross_entropy_of_sigmoid(z: Any, y: Any, t: Any) -> Any:
    """-t·ln y for y = sigmoid(z)."""
    return t * maths.softplus(-z)


@inlined
def cross_entropy_of_sigmoid_slope(z: Any, y: Any, t: Any) -> Any:
    return -t * maths.sigmoid(-z)


@inlined
def cross_entropy_of_probabilities(z: Any, y: Any, t: Any) -> Any:
    """-t·ln y."""
    return -t * maths.log(y)


@inlined
def cross_entropy_of_probabilities_slope(z: Any, y: Any, t: Any) -> Any:
    return -t / y


@inlined
def _each(loss: Callable[..., Any], slope: Callable[..., Any], rows: Rows, shape: Shape, scale: float) -> float:
    """Overwrite d (K, S) with weight·scale·slope; the sum of weight·scale·loss over all samples."""
    z, y, targets, weights, d = rows
    stride, samples, outputs = shape
    sum_ = fill(load(weights, 0), 0.0)
    for s in range(0, samples, width(y)):
        weight = load(weights, s) * scale
        used = weight > 0.0
        of_sample = fill(weight, 0.0)
        for k in range(outputs):
            at = k * stride + s
            zk, yk, tk = load(z, at), load(y, at), load(targets, at)
            of_sample = of_sample + loss(zk, yk, tk)
            # What is left out must not come in as 0·infinity.
            store(d, at, select(used, weight * slope(zk, yk, tk), 0.0))
        sum_ = sum_ + select(used, weight * of_sample, 0.0)
    return float(total(sum_))


@inlined
def _cross_entropy_of_softmax(rows: Rows, shape: Shape) -> float:
    """The same for -Σ t·ln y with y = softmax(z), as Σ t·(ln Σ e**z - z); by z, y·Σt - t."""
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


@kernel
def loss_and_slope(kind: int, rows: Rows, shape: Shape) -> float:
    """The weighted sum of the losses of all samples; overwrite d with its derivative.

    ``rows`` are z, y, targets (K, S each), weights (S) and d (K, S); ``shape`` is (stride, S, K).
    """
    mean = 1.0 / shape[2]
    if kind == LINEAR:
        return _each(linear, linear_slope, rows, shape, 1.0)
    if kind == MSE:
        return _each(squared_error, squared_error_slope, rows, shape, mean)
    if kind == HALF_SSE:
        return _each(squared_error, squared_error_slope, rows, shape, 0.5)
    if kind == MAE:
        return _each(absolute_error, absolute_error_slope, rows, shape, mean)
    if kind == BINARY_CROSS_ENTROPY:
        return _each(binary_cross_entropy, binary_cross_entropy_slope, rows, shape, mean)
    if kind == CROSS_ENTROPY_OF_SIGMOID:
        return _each(cross_entropy_of_sigmoid, cross_entropy_of_sigmoid_slope, rows, shape, 1.0)
    if kind == CROSS_ENTROPY_OF_SOFTMAX:
        return _cross_entropy_of_softmax(rows, shape)
    return _each(cross_entropy_of_probabilities, cross_entropy_of_probabilities_slope, rows, shape, 1.0)
