"""Dropout and layer normalization. U units, S samples (whole vectors); a shape is (stride, S, U)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.jit import kernel
from fastnn.kernels.random import draw, key
from fastnn.kernels.simd import fill, fma, load, offset, square_root, store, total, width

DROPOUT = 1 << 62  # streams from here on are dropout's, before it those of shuffling
SHIFT, UNIT = np.uint64(11), 2.0**-53  # 53 random bits make a number from [0, 1)


@kernel
def drop(
    x: Any,
    y: Any,
    d: Any,
    rate: float,
    rows: Any,
    epoch: int,
    seed: int,
    layer: int,
    shape: tuple,
) -> None:
    """Overwrite y (U, S) with x·d, where d is 0 with probability ``rate``, and else 1/(1 - rate).

    What is dropped depends on seed, epoch, layer, unit and the row's number alone.
    """
    stride, samples, units = shape
    kept = 1.0 / (1.0 - rate)
    of_layer = draw(key(seed, epoch + DROPOUT), layer)
    for u in range(units):
        of_unit = draw(of_layer, u)
        for s in range(samples):
            number = float(draw(of_unit, rows[s]) >> SHIFT) * UNIT
            d[u * stride + s] = kept if number >= rate else 0.0
        for at in range(u * stride, u * stride + samples, width(y)):
            store(y, at, load(x, at) * load(d, at))


@kernel
def normalize(x: Any, z: Any, y: Any, d: Any, gain: Any, epsilon: float, shape: tuple) -> None:
    """Overwrite z (U, S) with (x - mean)/sqrt(variance + epsilon) over the units, and y with gain·z + bias.

    The row after z gets 1/sqrt(variance + epsilon), and d (U, S) ones.
    """
    stride, samples, units = shape
    share = 1.0 / units
    for s in range(0, samples, width(x)):
        mean = load(x, s)
        for u in range(1, units):
            mean = mean + load(x, u * stride + s)
        mean = mean * share
        variance = fill(mean, 0.0)
        for u in range(units):
            e = load(x, u * stride + s) - mean
            variance = fma(e, e, variance)
        inverse = 1.0 / square_root(fma(variance, share, epsilon))
        store(z, units * stride + s, inverse)
        for u in range(units):
            at = u * stride + s
            normal = (load(x, at) - mean) * inverse
            store(z, at, normal)
            store(y, at, fma(gain[u], normal, gain[units + u]))
            store(d, at, fill(mean, 1.0))


@kernel
def normalize_backward(
    z: Any, d: Any, before: Any, gain: Any, dw: Any, add: int, trained: int, goes_on: int, shape: tuple
) -> None:
    """From d (U, S), the gradient by y: overwrite (or add to) that by gain and bias, and multiply ``before``.

    By x it is (a - mean(a) - z·mean(a·z))/sqrt(variance + epsilon) with a = gain·d.
    """
    stride, samples, units = shape
    share = 1.0 / units
    if trained != 0:
        for u in range(units):
            of_gain, of_bias = fill(load(d, 0), 0.0), fill(load(d, 0), 0.0)
            for at in range(u * stride, u * stride + samples, width(d)):
                of_gain = fma(load(d, at), load(z, at), of_gain)
                of_bias = of_bias + load(d, at)
            if add != 0:
                dw[u] = dw[u] + total(of_gain)
                dw[units + u] = dw[units + u] + total(of_bias)
            else:
                dw[u] = total(of_gain)
                dw[units + u] = total(of_bias)
    if goes_on != 0:
        inverses = offset(z, units * stride)
        for s in range(0, samples, width(d)):
            mean, along = fill(load(d, s), 0.0), fill(load(d, s), 0.0)
            for u in range(units):
                a = gain[u] * load(d, u * stride + s)
                mean = mean + a
                along = fma(a, load(z, u * stride + s), along)
            mean, along = mean * share, along * share
            for u in range(units):
                at = u * stride + s
                dx = (gain[u] * load(d, at) - mean - load(z, at) * along) * load(inverses, s)
                store(before, at, load(before, at) * dx)
