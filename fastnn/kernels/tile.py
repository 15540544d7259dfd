"""One tile of samples through the whole network, forward and back, as a plan says."""

from __future__ import annotations

from typing import Any

from fastnn.kernels import dense
from fastnn.kernels.activations import activate, multiply_by_slope
from fastnn.kernels.jit import kernel
from fastnn.kernels.layout import (
    FUSED,
    HEAD,
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
from fastnn.kernels.simd import offset


@kernel
def forward(plan: Any, parameters: Any, x: Any, scratch: Any, samples: int) -> Any:
    """Overwrite the scratch rows z and y of every layer; the last layer's y (x without layers)."""
    stride = plan[STRIDE]
    y = x
    for i in range(plan[LAYERS]):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        weights, bias = offset(parameters, layer[LAYER_WEIGHTS]), offset(parameters, layer[LAYER_BIAS])
        z, source = offset(scratch, layer[LAYER_Z] * stride), y
        y = offset(scratch, layer[LAYER_Y] * stride)
        units = layer[LAYER_OUTPUTS]
        dense.forward(source, weights, bias, z, stride, samples, layer[LAYER_INPUTS], units)
        activate(layer[LAYER_ACTIVATION], z, y, (stride, samples, units))
    return y


@kernel
def loss(
    plan: Any, y: Any, targets: Any, weights: Any, scratch: Any, spare: Any, samples: int
) -> float:
    """The weighted sum of the tile's losses; overwrite the last layer's scratch rows d.

    Without layers the derivative goes to the rows ``spare``.
    """
    stride, z, d = plan[STRIDE], y, spare
    if plan[LAYERS] > 0:
        layer = offset(plan, HEAD + (plan[LAYERS] - 1) * LAYER_FIELDS)
        z = offset(scratch, layer[LAYER_Z] * stride)
        d = offset(scratch, layer[LAYER_D] * stride)
    return loss_and_slope(plan[LOSS], (z, y, targets, weights, d), (stride, samples, plan[OUTPUTS]))


@kernel
def backward(
    plan: Any, parameters: Any, gradient: Any, x: Any, scratch: Any, zero: Any, samples: int, add: bool
) -> None:
    """Overwrite the gradient (or add to it), from the last layer's scratch rows d; ``zero`` points to a 0."""
    stride = plan[STRIDE]
    for i in range(plan[LAYERS] - 1, -1, -1):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        before = offset(plan, HEAD + (i - 1) * LAYER_FIELDS)
        inputs, units = layer[LAYER_INPUTS], layer[LAYER_OUTPUTS]
        z, y = offset(scratch, layer[LAYER_Z] * stride), offset(scratch, layer[LAYER_Y] * stride)
        d = offset(scratch, layer[LAYER_D] * stride)
        if not (plan[FUSED] != 0 and i == plan[LAYERS] - 1):
            multiply_by_slope(layer[LAYER_ACTIVATION], z, y, d, (stride, samples, units))
        source = x
        if i > 0:
            source = offset(scratch, before[LAYER_Y] * stride)
            weights, dx = offset(parameters, layer[LAYER_WEIGHTS]), offset(scratch, before[LAYER_D] * stride)
            dense.backward_inputs(d, weights, zero, dx, stride, samples, inputs, units)
        dw, db = offset(gradient, layer[LAYER_WEIGHTS]), offset(gradient, layer[LAYER_BIAS])
        dense.backward_weights(source, d, dw, db, stride, samples, inputs, units, add)
