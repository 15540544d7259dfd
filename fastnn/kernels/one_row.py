"""One row through the network in a single call, forward or with all derivatives, which takes only a table.

The table begins with the numbers below, followed by the plan. Working memory is on the caller's stack, so that any
number of threads may use one table at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels import single
from fastnn.kernels.jit import kernel
from fastnn.kernels.layout import INPUTS, OUTPUTS
from fastnn.kernels.simd import at_address, offset, on_heap, on_stack, release
from fastnn.kernels.vectors import copy

(
    ITSELF,  # the address of the table plus FORM, which tells it from a copy or a table of another form
    PREDICT,  # address of the part that predicts
    DERIVE,  # address of the part that finds the derivatives; 0: not needed so far
    NUMBERS,  # address of the plan's real numbers
    PARAMETERS,  # address of the network's parameters
    FEATURES,  # how many numbers a row has
    UNITS,  # how many numbers are predicted for it
    SCRATCH,  # how many numbers of working memory are needed
    START,  # where the plan starts
) = range(9)

# The version of this table: another number, less than 8, whenever the positions above change. Users' compiled code
# reads them, and may stay on their disks for long.
FORM = 1

MOST_ON_STACK = 1 << 13  # numbers, 64 kB of float64: the smallest stacks that threads are given have 128 kB


@kernel
def _predict(table: Any, x: Any, out: Any, scratch: Any) -> None:
    plan = offset(table, START)
    numbers, parameters = at_address(table[NUMBERS], np.float64), at_address(table[PARAMETERS], x)
    y = single.forward(plan, numbers, parameters, x, scratch, False, (plan, 0))
    for k in range(plan[OUTPUTS]):
        out[k] = y[k]


@kernel
def predict(table: Any, x: Any, out: Any) -> None:
    """Overwrite out (K), which may be x, with the outputs for a row x (F)."""
    count = table[SCRATCH]
    if count <= MOST_ON_STACK:
        _predict(table, x, out, on_stack(x, count))
    else:
        scratch = on_heap(x, count)
        _predict(table, x, out, scratch)
        release(scratch)


@kernel
def _derive(table: Any, x: Any, out: Any, memory: Any) -> None:
    plan, count = offset(table, START), table[SCRATCH]
    numbers, parameters = at_address(table[NUMBERS], np.float64), at_address(table[PARAMETERS], x)
    # The backward pass overwrites the results of the forward pass, which are saved for the next output.
    scratch, found = memory, offset(memory, count)
    given = offset(found, count)
    single.forward(plan, numbers, parameters, x, scratch, True, (plan, 0))
    copy(scratch, found, 1.0, count)
    for k in range(plan[OUTPUTS]):
        given[k] = 0.0
    for k in range(plan[OUTPUTS]):
        if k > 0:
            copy(found, scratch, 1.0, count)
            given[k - 1] = 0.0
        given[k] = 1.0
        single.input_gradient(plan, parameters, given, scratch, offset(out, k * plan[INPUTS]))


@kernel
def derive(table: Any, x: Any, out: Any) -> None:
    """Overwrite out (K, F) with the derivatives of the outputs with respect to a row x (F)."""
    count = 2 * table[SCRATCH] + table[UNITS]
    if count <= MOST_ON_STACK:
        _derive(table, x, out, on_stack(x, count))
    else:
        memory = on_heap(x, count)
        _derive(table, x, out, memory)
        release(memory)
