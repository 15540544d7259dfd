"""The loss on few rows, and its gradient, with a table of the addresses of all memory.

So a call from Python takes few arguments, each of which costs a tenth of a microsecond or more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels import tile
from fastnn.kernels.jit import kernel
from fastnn.kernels.layout import GRADIENT, PARAMETERS, SAMPLES, TASK, TILE, WEIGHTED
from fastnn.kernels.simd import at_address, offset
from fastnn.kernels.vectors import add_up, padded

# The table: addresses of the plan and its real numbers; of the packed rows, see ``Rows.packed``; of the network's
# parameters; of a gradient in whole vectors, followed by a 0, which is overwritten; and of scratch memory.
(PLAN, NUMBERS, ROWS, TARGETS, WEIGHTS, NETWORK, SUMS, SCRATCH) = range(8)


@kernel
def loss_and_gradient(table: Any, gradient: Any, count: int, divisor: float) -> float:
    """Return the loss as in a run of one epoch; if the plan's task is GRADIENT, overwrite the gradient (count).

    That is the gradient of the weighted sum of the rows' losses, divided by ``divisor``. Overwrites sums and
    scratch memory.
    """
    plan, numbers = at_address(table[PLAN], np.int64), at_address(table[NUMBERS], np.float64)
    inputs, targets = at_address(table[ROWS], gradient), at_address(table[TARGETS], gradient)
    weights, parameters = at_address(table[WEIGHTS], gradient), at_address(table[NETWORK], gradient)
    sums, scratch = at_address(table[SUMS], gradient), at_address(table[SCRATCH], gradient)
    training = plan[TASK] == GRADIENT
    data, zero = (inputs, targets, weights), offset(sums, plan[PARAMETERS])
    loss, weight = 0.0, 0.0
    for first in range(0, plan[SAMPLES], plan[TILE]):
        used = min(plan[TILE], plan[SAMPLES] - first)
        samples, number = padded(used, scratch), first // plan[TILE]
        x, t, w = tile.packed(plan, data, number, first + plan[TILE] >= plan[SAMPLES])
        ahead = tile.after(plan, data, number)
        y = tile.forward(plan, numbers, parameters, x, ahead, scratch, samples, training, (plan, 0))
        loss += tile.loss(plan, numbers, y, t, w, scratch, samples)
        weight += add_up(w, samples) if plan[WEIGHTED] != 0 else np.float64(used)
        if training:
            tile.backward(plan, parameters, sums, x, scratch, zero, samples, first > 0)
    loss += weight * tile.penalty(plan, numbers, parameters, sums, weight if training else 0.0)
    if training:
        for p in range(count):
            gradient[p] = sums[p] / divisor
    return float(loss / weight)
