"""One tile of samples through the whole network, forward and backward, as a plan says."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels import calls, dense
from fastnn.kernels.activations import TIMES_SLOPE, VALUE, VALUE_AND_SLOPE, multiply
from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.layout import (
    DENSE,
    FETCH_INPUTS,
    FETCH_TARGETS,
    FIRST_TRAINED,
    FUSED,
    GRADIENT_ROW,
    HEAD,
    INPUTS,
    LAYER_ACTIVATION,
    LAYER_BACKWARD,
    LAYER_BIAS,
    LAYER_COUPLED,
    LAYER_D,
    LAYER_FIELDS,
    LAYER_FORWARD,
    LAYER_GRADIENT,
    LAYER_GROUP,
    LAYER_INPUTS,
    LAYER_KIND,
    LAYER_NUMBER,
    LAYER_OUTPUTS,
    LAYER_PAIRED,
    LAYER_SETTING,
    LAYER_TRAINED,
    LAYER_WEIGHTS,
    LAYER_Y,
    LAYER_Z,
    LAYERS,
    LOSS,
    LOSS_SETTINGS,
    OUTPUTS,
    PENALTIES,
    PENALTY,
    PENALTY_LIST,
    PENALTY_SETTINGS,
    SEED,
    STRIDE,
    WEIGHTED,
)
from fastnn.kernels.simd import offset, prefetch


@kernel
def packed(plan: Any, data: tuple, number: int, is_last: bool) -> tuple:
    """Return pointers to a tile's inputs, targets and weights among packed rows."""
    inputs, targets, weights = data
    stride = plan[STRIDE]
    # Without weights, there is a tile of ones, and then another for the last tile.
    of_weights = number if plan[WEIGHTED] != 0 else np.int64(is_last)
    return (
        offset(inputs, number * plan[INPUTS] * stride),
        offset(targets, number * plan[OUTPUTS] * stride),
        offset(weights, of_weights * stride),
    )


@inlined
def after(plan: Any, data: tuple, number: int) -> tuple:
    """Return pointers to inputs and targets of the next tile among packed rows."""
    inputs, targets, _ = packed(plan, data, number + 1, False)
    return inputs, targets


@inlined
def _fetch(plan: Any, ahead: tuple, part: int) -> None:
    """Prefetch a part of the next tile.

    The hardware predicts the rest of a row, but not the next tile. Prefetched at once, it would delay everything
    else that is not in the nearest cache. The last part arrives during the backward pass of the current tile.
    """
    if plan[FETCH_INPUTS] != 0:
        inputs, targets = ahead
        prefetch(offset(inputs, part * plan[FETCH_INPUTS]), plan[FETCH_INPUTS])
        prefetch(offset(targets, part * plan[FETCH_TARGETS]), plan[FETCH_TARGETS])


@kernel
def forward(
    plan: Any,
    numbers: Any,
    parameters: Any,
    x: Any,
    ahead: tuple,
    scratch: Any,
    samples: int,
    training: bool,
    at: tuple,
) -> Any:
    """Overwrite the scratch rows z and y of every layer; return the last layer's y (x without layers).

    When training, also overwrite the rows d with the derivatives of the activations. ``ahead`` points to inputs
    and targets of the next tile; ``at`` is (the indices of the tile's rows, the epoch), for dropout.
    """
    stride = plan[STRIDE]
    y, part = x, 0
    for i in range(plan[LAYERS]):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        weights = offset(parameters, layer[LAYER_WEIGHTS])
        z, source = offset(scratch, layer[LAYER_Z] * stride), y
        y, d = offset(scratch, layer[LAYER_Y] * stride), offset(scratch, layer[LAYER_D] * stride)
        units = layer[LAYER_OUTPUTS]
        if layer[LAYER_KIND] == DENSE:
            bias, inputs = offset(parameters, layer[LAYER_BIAS]), layer[LAYER_INPUTS]
            shape = (stride, samples, units)
            if layer[LAYER_FORWARD] != 0:
                calls.wide_layer(layer[LAYER_FORWARD], source, weights, bias, z, shape, inputs)
            else:
                dense.forward(source, weights, bias, z, shape, inputs)
            wanted = training and i >= plan[FIRST_TRAINED] and not (plan[FUSED] != 0 and i == plan[LAYERS] - 1)
            mode = VALUE_AND_SLOPE if wanted else VALUE
            for u in range(0, units, layer[LAYER_GROUP]):
                here, count = u * stride, min(layer[LAYER_GROUP], units - u)
                z_here, y_here, d_here = offset(z, here), offset(y, here), offset(d, here)
                calls.activate(layer[LAYER_ACTIVATION], z_here, y_here, d_here, stride, samples, count, mode)
                _fetch(plan, ahead, part)
                part += 1
        else:
            setting, number = numbers[layer[LAYER_SETTING]], layer[LAYER_NUMBER]
            rows = source, z, y, d
            calls.layer_forward(
                layer[LAYER_FORWARD], rows, weights, setting, at, plan[SEED], number, (stride, samples, units)
            )
    return y


@kernel
def loss(plan: Any, numbers: Any, y: Any, targets: Any, weights: Any, scratch: Any, samples: int) -> float:
    """Return the weighted sum of the tile's losses; overwrite the scratch rows of the output gradient.

    That is with respect to the last layer's z if the plan says FUSED, else to its y.
    """
    stride = plan[STRIDE]
    z, d = y, offset(scratch, plan[GRADIENT_ROW] * stride)
    if plan[LAYERS] > 0:
        layer = offset(plan, HEAD + (plan[LAYERS] - 1) * LAYER_FIELDS)
        z = offset(scratch, layer[LAYER_Z] * stride)
    settings = offset(numbers, plan[LOSS_SETTINGS])
    shape = calls.packed(stride, samples, plan[OUTPUTS])
    return calls.loss(plan[LOSS], z, y, targets, weights, d, settings, shape)


@kernel
def penalty(plan: Any, numbers: Any, parameters: Any, gradient: Any, weight: float) -> float:
    """Return the penalty of all layers; add weight times its derivative to the gradient."""
    if plan[PENALTY] == 0:
        return 0.0
    places, settings = offset(plan, plan[PENALTY_LIST]), offset(numbers, plan[PENALTY_SETTINGS])
    return calls.penalty(plan[PENALTY], parameters, gradient, places, settings, plan[PENALTIES], weight)


@inlined
def _backward_two(
    plan: Any, i: int, weights: Any, gradient: Any, x: Any, rows: tuple, scratch: Any, samples: int, add: bool
) -> None:
    """Do the backward pass of layer i, of one unit, and the one before; rows are (y, dx, d), see ``dense``."""
    y, dx, d = rows
    layer = offset(plan, HEAD + i * LAYER_FIELDS)
    before = offset(plan, HEAD + (i - 1) * LAYER_FIELDS)
    if i > 1:
        x = offset(scratch, offset(plan, HEAD + (i - 2) * LAYER_FIELDS)[LAYER_Y] * plan[STRIDE])
    gradients = (
        offset(gradient, before[LAYER_WEIGHTS]),
        offset(gradient, before[LAYER_BIAS]),
        offset(gradient, layer[LAYER_WEIGHTS]),
        offset(gradient, layer[LAYER_BIAS]),
    )
    shape, flags = (plan[STRIDE], samples, before[LAYER_OUTPUTS]), (add, i - 1 > plan[FIRST_TRAINED])
    dense.backward_two((x, y, dx, d), weights, gradients, shape, before[LAYER_INPUTS], flags)


@inlined
def times_last_slope(plan: Any, d: Any, scratch: Any, samples: int) -> None:
    """Multiply d (K, S), the output gradient, by the derivative of the last layer's activation."""
    stride, layer = plan[STRIDE], offset(plan, HEAD + (plan[LAYERS] - 1) * LAYER_FIELDS)
    if layer[LAYER_COUPLED] != 0:
        y = offset(scratch, layer[LAYER_Y] * stride)
        calls.activate(layer[LAYER_ACTIVATION], y, y, d, stride, samples, plan[OUTPUTS], TIMES_SLOPE)
    else:
        multiply(d, offset(scratch, layer[LAYER_D] * stride), (stride, samples, plan[OUTPUTS]))


@inlined
def backward_inputs(layer: Any, d: Any, weights: Any, zero: Any, dx: Any, shape: tuple) -> None:
    """Multiply dx (I, S) by weights·d for a dense layer; shape is (stride, S, O), and ``zero`` points to a 0."""
    if layer[LAYER_BACKWARD] != 0:
        calls.wide_layer(layer[LAYER_BACKWARD], d, weights, zero, dx, shape, layer[LAYER_INPUTS])
    else:
        dense.backward_inputs(d, weights, zero, dx, shape, layer[LAYER_INPUTS])


@inlined
def _backward_weights(
    layer: Any, gradient: Any, x: Any, d: Any, zero: Any, spare: Any, shape: tuple, add: bool
) -> None:
    """Overwrite a dense layer's part of the gradient, or add to it; overwrite spare, which is as large as d."""
    dw, db = offset(gradient, layer[LAYER_WEIGHTS]), offset(gradient, layer[LAYER_BIAS])
    done, inputs = 0, layer[LAYER_INPUTS]
    if layer[LAYER_GRADIENT] != 0:
        done = calls.wide_gradient(layer[LAYER_GRADIENT], x, d, (dw, db), zero, spare, shape, inputs, add)
    if done < shape[2]:
        dense.backward_weights(x, d, dw, db, shape, inputs, done, add)


@kernel
def backward(
    plan: Any, parameters: Any, gradient: Any, x: Any, scratch: Any, zero: Any, samples: int, add: bool
) -> None:
    """Overwrite the gradient (or add to it), from the scratch rows of the output gradient.

    ``zero`` points to a 0. Multiplies the rows d of every layer, which are the derivatives of its activation, so
    that they become the gradient with respect to its z, if needed. Overwrites the rows y, which later layers no
    longer need. Goes back to the first layer that is trained.
    """
    stride, paired = plan[STRIDE], False
    d = offset(scratch, plan[GRADIENT_ROW] * stride)
    for i in range(plan[LAYERS] - 1, plan[FIRST_TRAINED] - 1, -1):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        shape = (stride, samples, layer[LAYER_OUTPUTS])
        weights = offset(parameters, layer[LAYER_WEIGHTS])
        goes_on = i > plan[FIRST_TRAINED]
        source, dx = x, d
        if i > 0:
            before = offset(plan, HEAD + (i - 1) * LAYER_FIELDS)
            source = offset(scratch, before[LAYER_Y] * stride)
            dx = offset(scratch, before[LAYER_D] * stride)
        if layer[LAYER_KIND] == DENSE:
            if i == plan[LAYERS] - 1 and plan[FUSED] == 0:
                times_last_slope(plan, d, scratch, samples)
            if layer[LAYER_PAIRED] != 0:
                _backward_two(plan, i, weights, gradient, x, (source, dx, d), scratch, samples, add)
            else:
                if goes_on:
                    backward_inputs(layer, d, weights, zero, dx, shape)
                if layer[LAYER_TRAINED] != 0 and not paired:
                    y = offset(scratch, layer[LAYER_Y] * stride)
                    _backward_weights(layer, gradient, source, d, zero, y, shape, add)
            paired = layer[LAYER_PAIRED] != 0  # then the layer before has been done too
        else:
            z, dw = offset(scratch, layer[LAYER_Z] * stride), offset(gradient, layer[LAYER_WEIGHTS])
            flags = (add, layer[LAYER_TRAINED] != 0, goes_on)
            calls.layer_backward(layer[LAYER_BACKWARD], (z, d, dx), weights, dw, flags, shape)
        if goes_on:
            d = dx
