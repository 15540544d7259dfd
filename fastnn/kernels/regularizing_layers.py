"""Dropout and layer normalization. U units, S samples (whole vectors); a shape is (stride, S, U).

In the forward pass, a layer is given rows (x, z, y, d), its weights, its setting, (the indices of the tile's rows,
the epoch), seed, its own index, and shape. In the backward pass, it is given rows (z, d, before), its weights, the
place of their gradient, flags (whether that is added to, whether the layer is trained, whether layers before it
need a gradient), and shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.activations import multiply
from fastnn.kernels.jit import kernel
from fastnn.kernels.random import draw, key
from fastnn.kernels.simd import fill, fma, is_double, load, offset, select, square_root, store, total, width

DROPOUT = 1 << 62  # streams from here on are for dropout, those before it for shuffling
INFINITY = float("inf")
SMALL, SMALL_SINGLE = 2.0**-600, 2.0**-80  # multiplied by the greatest number, it has a finite square
SHIFT, UNIT = np.uint64(11), 2.0**-53  # 53 random bits make a number from [0, 1)


@kernel
def drop(rows: tuple, weights: Any, rate: float, at: tuple, seed: int, layer: int, shape: tuple) -> None:
    """Overwrite y (U, S) with x·d, where d is 0 with probability ``rate``, and else 1/(1 - rate).

    What is dropped depends only on seed, epoch, layer, unit and the row's index.
    """
    (x, _, y, d), (numbers, epoch), (stride, samples, units) = rows, at, shape
    kept = 1.0 / (1.0 - rate)
    of_layer = draw(key(seed, epoch + DROPOUT), layer)
    for u in range(units):
        of_unit = draw(of_layer, u)
        for s in range(samples):
            number = float(draw(of_unit, numbers[s]) >> SHIFT) * UNIT
            d[u * stride + s] = kept if number >= rate else 0.0
        for t in range(u * stride, u * stride + samples, width(y)):
            store(y, t, load(x, t) * load(d, t))


@kernel
def drop_backward(rows: tuple, weights: Any, dw: Any, flags: tuple, shape: tuple) -> None:
    """Multiply ``before`` by d (U, S): what was dropped is the derivative."""
    _, d, before = rows
    if flags[2]:
        multiply(before, d, shape)


@kernel
def normalize(rows: tuple, gain: Any, epsilon: float, at: tuple, seed: int, layer: int, shape: tuple) -> None:
    """Overwrite z (U, S) with (x - mean)/sqrt(variance + epsilon) over the units, and y with gain·z + bias.

    The row after z gets 1/sqrt(variance + epsilon), and d (U, S) ones.
    """
    (x, z, y, d), (stride, samples, units) = rows, shape
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
        scale = fill(mean, 1.0)
        finite = variance < INFINITY
        if total(select(finite, 0.0, scale)) > 0.0:  # some squares overflow: use those of smaller numbers
            scale = select(finite, 1.0, fill(mean, SMALL if is_double(mean) else SMALL_SINGLE))
            variance = fill(mean, 0.0)
            for u in range(units):
                e = (load(x, u * stride + s) - mean) * scale
                variance = fma(e, e, variance)
        inverse = scale / square_root(fma(variance, share, epsilon * scale * scale))
        store(z, units * stride + s, inverse)
        for u in range(units):
            t = u * stride + s
            normal = (load(x, t) - mean) * inverse
            store(z, t, normal)
            store(y, t, fma(gain[u], normal, gain[units + u]))
            store(d, t, fill(mean, 1.0))


@kernel
def normalize_backward(rows: tuple, gain: Any, dw: Any, flags: tuple, shape: tuple) -> None:
    """From d (U, S), the gradient with respect to y, compute those of gain and bias, and multiply ``before``.

    Those of gain and bias are overwritten (or added to). The gradient with respect to x is
    (a - mean(a) - z·mean(a·z))/sqrt(variance + epsilon) with a = gain·d.
    """
    (z, d, before), (add, trained, goes_on), (stride, samples, units) = rows, flags, shape
    share = 1.0 / units
    if trained:
        for u in range(units):
            of_gain, of_bias = fill(load(d, 0), 0.0), fill(load(d, 0), 0.0)
            for at in range(u * stride, u * stride + samples, width(d)):
                of_gain = fma(load(d, at), load(z, at), of_gain)
                of_bias = of_bias + load(d, at)
            if add:
                dw[u] = dw[u] + total(of_gain)
                dw[units + u] = dw[units + u] + total(of_bias)
            else:
                dw[u] = total(of_gain)
                dw[units + u] = total(of_bias)
    if goes_on:
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
