"""One tile of samples through the whole network, forward and back, as a plan says."""

from __future__ import annotations

from typing import Any

from fastnn.kernels import dense
from fastnn.kernels.activations import SOFTMAX, activate, multiply, multiply_by_softmax_slope
from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.layout import (
    FETCH_AHEAD,
    FUSED,
    GRADIENT_ROW,
    HEAD,
    INPUTS,
    LAYER_ACTIVATION,
    LAYER_BIAS,
    LAYER_D,
    LAYER_FIELDS,
    LAYER_INPUTS,
    LAYER_OUTPUTS,
    LAYER_WEIGHTS,
    LAYER_Y,
    LAYER_Z,
    LAYERS,
    LOSS,
    OUTPUTS,
    STRIDE,
)
from fastnn.kernels.losses import loss_and_slope
from fastnn.kernels.simd import offset, prefetch


@inlined
def _fetch_ahead(plan: Any, x: Any, part: int) -> None:
    """Ask for one of as many parts of the next tile's inputs as the network has layers, forward and back.

    The hardware foresees the rest of a row, but not the next tile; and asked for it all at once it would
    have to wait.
    """
    if plan[FETCH_AHEAD] != 0:
        tile = plan[INPUTS] * plan[STRIDE]
        count = tile // (2 * plan[LAYERS]) + 1
        prefetch(offset(x, tile + part * count), count)


@kernel
def forward(plan: Any, parameters: Any, x: Any, scratch: Any, samples: int, training: bool) -> Any:
    """Overwrite the scratch rows z and y of every layer; the last layer's y (x without layers).

    When training, overwrite the rows d with the derivatives of the activations too.
    """
    stride = plan[STRIDE]
    y = x
    for i in range(plan[LAYERS]):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        weights, bias = offset(parameters, layer[LAYER_WEIGHTS]), offset(parameters, layer[LAYER_BIAS])
        z, source = offset(scratch, layer[LAYER_Z] * stride), y
        y, d = offset(scratch, layer[LAYER_Y] * stride), offset(scratch, layer[LAYER_D] * stride)
        shape = (stride, samples, layer[LAYER_OUTPUTS])
        dense.forward(source, weights, bias, z, shape, layer[LAYER_INPUTS])
        _fetch_ahead(plan, x, i)
        with_slope = training and not (plan[FUSED] != 0 and i == plan[LAYERS] - 1)
        activate(layer[LAYER_ACTIVATION], z, y, d, shape, with_slope)
    return y


@kernel
def loss(plan: Any, y: Any, targets: Any, weights: Any, scratch: Any, samples: int) -> float:
    """The weighted sum of the tile's losses; overwrite the scratch rows of the gradient by the outputs.

    That is by the last layer's z where the plan says FUSED, else by its y.
    """
    if plan[FETCH_AHEAD] != 0:  # the next tile's targets, as _fetch_ahead does it with its inputs
        tile = plan[OUTPUTS] * plan[STRIDE]
        prefetch(offset(targets, tile), tile)
    z, d = y, offset(scratch, plan[GRADIENT_ROW] * plan[STRIDE])
    if plan[LAYERS] > 0:
        layer = offset(plan, HEAD + (plan[LAYERS] - 1) * LAYER_FIELDS)
        z = offset(scratch, layer[LAYER_Z] * plan[STRIDE])
    return loss_and_slope(plan[LOSS], (z, y, targets, weights, d), (plan[STRIDE], samples, plan[OUTPUTS]))


@kernel
def backward(
    plan: Any, parameters: Any, gradient: Any, x: Any, scratch: Any, zero: Any, samples: int, add: bool
) -> None:
    """Overwrite the gradient (or add to it), from the scratch rows of the gradient by the outputs.

    ``zero`` points to a 0. Multiplies the rows d of every layer, which are the derivatives of its activation, so
    that they become the gradient by its z.
    """
    stride = plan[STRIDE]
    d = offset(scratch, plan[GRADIENT_ROW] * stride)
    for i in range(plan[LAYERS] - 1, -1, -1):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        inputs, units = layer[LAYER_INPUTS], layer[LAYER_OUTPUTS]
        shape = (stride, samples, units)
        if i == plan[LAYERS] - 1 and plan[FUSED] == 0:
            if layer[LAYER_ACTIVATION] == SOFTMAX:
                multiply_by_softmax_slope(offset(scratch, layer[LAYER_Y] * stride), d, shape)
            else:
                multiply(d, offset(scratch, layer[LAYER_D] * stride), shape)
        _fetch_ahead(plan, x, 2 * plan[LAYERS] - 1 - i)
        source = x
        if i > 0:
            before = offset(plan, HEAD + (i - 1) * LAYER_FIELDS)
            source = offset(scratch, before[LAYER_Y] * stride)
            dx = offset(scratch, before[LAYER_D] * stride)
            dense.backward_inputs(d, offset(parameters, layer[LAYER_WEIGHTS]), zero, dx, shape, inputs)
        dw, db = offset(gradient, layer[LAYER_WEIGHTS]), offset(gradient, layer[LAYER_BIAS])
        dense.backward_weights(source, d, dw, db, shape, inputs, add)
        if i > 0:
            d = dx
