"""Levenberg-Marquardt: the Gauss-Newton matrix of tiles of samples, and the steps computed from it.

P parameters (whole vectors), S samples (whole vectors), K outputs. The loss is Σ w·c·(y - t)² over samples and
outputs, divided by Σ w; its Gauss-Newton matrix is H = Σ w·2c·J Jᵀ/Σ w, where J (P) is the gradient of one output
of one sample. Only the lower triangle of symmetric matrices is stored: row i up to column i, rows P numbers apart.

As an optimizer (see ``kernels.optimizers``) it is a state machine that is called once per evaluation. Before each
call, the state's first P vectors are overwritten with the sums Σ w·2c·J Jᵀ at p, by ``tile``, and 2·l2·Σ w is
added to the diagonal for weights with such a penalty; H is scale times that. Its answers mean the same as in
``kernels.lbfgs``: the parameters that a user wants are always in ``previous``, p is the next trial, and
memory[STARTED_LOSS] is the loss at which an epoch that has just ended had begun. A trial with anything that is not
finite is treated as if its loss were higher.

Settings: 1 (the whole step is taken), damping, tolerance.
State: P vectors for the sums, also used as working memory; P vectors for H at ``previous``, gradient there, step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.kernels import calls, vectors
from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.layout import (
    DENSE,
    FIRST_TRAINED,
    HEAD,
    LAST,
    LAYER_BACKWARD,
    LAYER_BIAS,
    LAYER_D,
    LAYER_FIELDS,
    LAYER_INPUTS,
    LAYER_KIND,
    LAYER_OUTPUTS,
    LAYER_TRAINED,
    LAYER_WEIGHTS,
    LAYER_Y,
    LAYER_Z,
    LAYERS,
    MOVED,
    NOT_FINITE,
    OUTPUTS,
    PARAMETERS,
    STARTED_LOSS,
    STRIDE,
    TRIAL,
)
from fastnn.kernels.simd import (
    FOUR,
    TWO,
    add_outer,
    fill,
    is_double,
    load,
    load_rows,
    offset,
    put_totals,
    square_root,
    store,
    width,
    zeros,
)
from fastnn.kernels.tile import backward_inputs, times_last_slope

# Settings.
(_, DAMPING, TOLERANCE) = range(3)

# Memory.
PHASE = 1
START_LOSS = 2  # the loss at ``previous``
MU, NU = 3, 4  # the damping; the factor by which it grows next
PROMISED = 5  # by how much the step is predicted to lower the loss

# Phases: no point yet; a step is being tried; already there.
FRESH, TRYING, THERE = range(3)


# The Gauss-Newton matrix -----------------------------------------------------------------------------


@inlined
def _products_block(a: Any, b: Any, out: Any, strides: tuple, length: int, add: bool, size: tuple) -> None:
    """Overwrite (or add to) out[i, j] with Σ_t a[i, t]·b[j, t], for a few rows of each."""
    of_rows, of_out = strides
    sums = zeros(a, size, size)
    for t in range(0, length, width(a)):
        sums = add_outer(sums, load_rows(a, t, of_rows, size), load_rows(b, t, of_rows, size))
    put_totals(out, of_out, sums, size, add)


@kernel
def _products(a: Any, out: Any, strides: tuple, first: tuple, last: tuple, length: int, add: bool) -> None:
    """Do the same for rows and columns from ``first`` up to ``last``, except above the diagonal.

    ``a`` starts at row 0, ``out`` at (0, 0).
    """
    of_rows, of_out = strides
    few = 2 if width(a) == 2 else 4  # rows come in whole vectors
    for i in range(first[0], last[0], few):
        for j in range(first[1], min(last[1], i + few), few):
            rows, columns = offset(a, i * of_rows), offset(a, j * of_rows)
            place = offset(out, i * of_out + j)
            if few == 2:
                _products_block(rows, columns, place, strides, length, add, TWO)
            else:
                _products_block(rows, columns, place, strides, length, add, FOUR)


@kernel
def _seed(weights: Any, d: Any, which: int, factor: float, shape: tuple) -> None:
    """Overwrite d (K, S) with √(w·factor) for one output, 0 for the others."""
    stride, samples, outputs = shape
    for k in range(outputs):
        for s in range(0, samples, width(d)):
            root = square_root(factor * load(weights, s))
            store(d, k * stride + s, root if k == which else fill(root, 0.0))


@kernel
def _dense_rows(source: Any, d: Any, weights: Any, bias: Any, inputs: int, shape: tuple) -> None:
    """Overwrite each sample's gradients of the weights (I·O, S) with source·d, and of the bias (O, S) with d."""
    stride, samples, units = shape
    for u in range(units):
        for s in range(u * stride, u * stride + samples, width(d)):
            store(bias, s, load(d, s))
    for i in range(inputs):
        for u in range(units):
            row = (i * units + u) * stride
            for s in range(0, samples, width(d)):
                store(weights, row + s, load(source, i * stride + s) * load(d, u * stride + s))


@kernel
def _normalization_rows(z: Any, d: Any, gain: Any, bias: Any, shape: tuple) -> None:
    """Overwrite each sample's gradients of the gain (U, S) with z·d, and of the bias (U, S) with d."""
    stride, samples, units = shape
    for u in range(units):
        for s in range(u * stride, u * stride + samples, width(d)):
            store(gain, s, load(z, s) * load(d, s))
            store(bias, s, load(d, s))


@kernel
def _jacobian(
    plan: Any, parameters: Any, x: Any, scratch: Any, jacobian: Any, zero: Any, d: Any, samples: int
) -> None:
    """Overwrite the rows (P, S) of trained parameters with the gradients of each sample.

    ``d`` holds the gradients with respect to the outputs, followed by rows for those of all other layers' units.
    """
    stride = plan[STRIDE]
    for i in range(plan[LAYERS] - 1, plan[FIRST_TRAINED] - 1, -1):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        inputs, units = layer[LAYER_INPUTS], layer[LAYER_OUTPUTS]
        shape = (stride, samples, units)
        if i == plan[LAYERS] - 1:
            times_last_slope(plan, d, scratch, samples)
        weights = offset(parameters, layer[LAYER_WEIGHTS])
        of_weights = offset(jacobian, layer[LAYER_WEIGHTS] * stride)
        goes_on = i > plan[FIRST_TRAINED]
        source, dx = x, offset(d, units * stride)
        if i > 0:
            before = offset(plan, HEAD + (i - 1) * LAYER_FIELDS)
            source = offset(scratch, before[LAYER_Y] * stride)
            if goes_on:  # the derivatives of its activation, which the next output needs again
                slopes = offset(scratch, before[LAYER_D] * stride)
                vectors.copy(slopes, dx, 1.0, (before[LAYER_OUTPUTS] - 1) * stride + samples)
        if layer[LAYER_KIND] == DENSE:
            if layer[LAYER_TRAINED] != 0:
                of_bias = offset(jacobian, layer[LAYER_BIAS] * stride)
                _dense_rows(source, d, of_weights, of_bias, inputs, shape)
            if goes_on:
                backward_inputs(layer, d, weights, zero, dx, shape)
        else:
            z = offset(scratch, layer[LAYER_Z] * stride)
            if layer[LAYER_TRAINED] != 0:
                _normalization_rows(z, d, of_weights, offset(of_weights, units * stride), shape)
            flags = (False, False, goes_on)
            calls.layer_backward(layer[LAYER_BACKWARD], (z, d, dx), weights, of_weights, flags, shape)
        d = dx


@kernel
def tile(
    plan: Any,
    parameters: Any,
    x: Any,
    weights: Any,
    scratch: Any,
    work: Any,
    sums: Any,
    samples: int,
    factor: float,
    add: bool,
) -> None:
    """Overwrite the sums (P, P) with Σ w·factor·J Jᵀ over a tile's samples and outputs, or add that to them.

    ``scratch`` is as ``tile.forward`` leaves it for training, and is not changed: this must be called before
    ``tile.backward``. ``work`` is P + 1 + U rows, initially 0, where U is the number of units of all layers.
    """
    stride, count = plan[STRIDE], plan[PARAMETERS]
    zero, d = offset(work, count * stride), offset(work, (count + 1) * stride)
    for k in range(plan[OUTPUTS]):
        _seed(weights, d, k, factor, (stride, samples, plan[OUTPUTS]))
        _jacobian(plan, parameters, x, scratch, work, zero, d, samples)
        _products(work, sums, (stride, count), (0, 0), (count, count), samples, add or k > 0)


# Steps -----------------------------------------------------------------------------------------------


@inlined
def _up_to(p: Any, i: int) -> int:
    """Return how many numbers there are in whole vectors up to the one that contains number i."""
    return (i // width(p) + 1) * width(p)


@kernel
def _finish_row(work: Any, row: Any, i: int, first: int, count: int) -> bool:
    """Overwrite row i of -(the rest of the matrix) with that of L, from column ``first`` on, for one vector.

    Numbers above the diagonal become 0. Returns False if the matrix is not positive definite.
    """
    for j in range(first, first + width(row)):
        if j > i:
            row[j] = 0.0
            continue
        other = offset(work, j * count)
        rest = -row[j]
        for k in range(first, j):
            rest = rest - row[k] * other[k]
        if j < i:
            row[j] = rest / other[j]
        elif rest > 0.0:
            row[j] = math.sqrt(rest)
        else:
            return False
    return True


@kernel
def _factorize(hessian: Any, mu: float, work: Any, count: int) -> bool:
    """Overwrite ``work`` with Cholesky's L, where L Lᵀ = H + mu·1; False if that is not positive definite.

    This goes by vectors of columns: -H + L·Lᵀ with the part of L that is known, in blocks, then row by row.
    """
    lanes = width(work)
    for i in range(count):
        row = offset(work, i * count)
        vectors.copy(offset(hessian, i * count), row, -1.0, _up_to(work, i))
        row[i] = row[i] - mu
    for first in range(0, count, lanes):
        if first > 0:
            _products(work, work, (count, count), (first, first), (count, first + lanes), first, True)
        for i in range(first, count):
            if not _finish_row(work, offset(work, i * count), i, first, count):
                return False
    return True


@kernel
def _solve(work: Any, x: Any, count: int) -> None:
    """Overwrite x with the solution of L Lᵀ·solution = x."""
    for i in range(count):
        row, right = offset(work, i * count), x[i]
        x[i] = 0.0
        x[i] = (right - vectors.dot(row, x, _up_to(x, i))) / row[i]
    for i in range(count - 1, -1, -1):
        row = offset(work, i * count)
        solution = x[i] / row[i]
        vectors.add(x, -solution, row, x, _up_to(x, i))
        x[i] = solution


@inlined
def _last_digit(p: Any) -> float:
    """Return the last digit of 1 in the dtype of p."""
    if is_double(load(p, 0)):
        return 2.0**-52
    return 2.0**-23


@kernel
def _aim(p: Any, previous: Any, state: Any, memory: Any, count: int, stride: int) -> bool:
    """Overwrite p with ``previous`` + the step, with more damping if necessary.

    Returns False if no step is predicted to lower the loss; p is then ``previous``.
    """
    hessian = offset(state, count * stride)
    gradient, step = offset(state, 2 * count * stride), offset(state, (2 * count + 1) * stride)
    while np.isfinite(memory[MU]):
        mu = memory[MU]
        if _factorize(hessian, mu, state, count):
            vectors.copy(gradient, step, -1.0, count)
            _solve(state, step, count)
            along = vectors.dot(step, gradient, count)
            promised = 0.5 * (mu * vectors.dot(step, step, count) - along)
            if not promised > _last_digit(p) * abs(memory[START_LOSS]):
                break
            memory[PROMISED] = promised
            vectors.add(previous, 1.0, step, p, count)
            return True
        memory[MU] = mu * memory[NU]
        memory[NU] *= 2.0
    vectors.copy(previous, p, 1.0, count)
    return False


@kernel
def _set_damping(state: Any, memory: Any, damping: float, count: int, stride: int, last_digit: float) -> None:
    """Set the damping at first; later keep it large enough not to be lost in the diagonal by rounding."""
    hessian, greatest = offset(state, count * stride), 0.0
    for i in range(count):
        greatest = max(greatest, np.float64(hessian[i * count + i]))
    if memory[MU] == 0.0:
        memory[MU] = damping * (greatest if greatest > 0.0 else 1.0)
    memory[MU] = max(memory[MU], last_digit * greatest)
    memory[NU] = 2.0


@kernel
def levenberg_marquardt(
    given: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float
) -> int:
    """Accept or reject a step (H. B. Nielsen, 1999); see the top of this file. ``stride`` is P."""
    p, g, previous, state = given
    hessian, gradient = offset(state, count * stride), offset(state, 2 * count * stride)
    known = np.isfinite(loss + scale * scale * vectors.dot(g, g, count)) and vectors.finite(p, count)
    phase = memory[PHASE]
    memory[STARTED_LOSS] = loss if phase == FRESH else memory[START_LOSS]
    if phase == THERE:
        return LAST
    if phase == FRESH and not known:
        vectors.copy(p, previous, 1.0, count)
        return NOT_FINITE
    if phase == TRYING:
        gained = memory[START_LOSS] - loss
        if not (known and gained > 0.0):
            memory[MU] *= memory[NU]
            memory[NU] *= 2.0
            return TRIAL if _aim(p, previous, state, memory, count, stride) else LAST
        surprise = 2.0 * gained / memory[PROMISED] - 1.0
        memory[MU] *= max(1.0 / 3.0, 1.0 - surprise * surprise * surprise)
    memory[PHASE] = TRYING
    memory[START_LOSS] = loss
    vectors.copy(p, previous, 1.0, count)
    vectors.copy(g, gradient, scale, count)
    for i in range(count):
        vectors.copy(offset(state, i * stride), offset(hessian, i * stride), scale, _up_to(p, i))
    if vectors.within(gradient, float(settings[TOLERANCE]), count):
        return LAST
    _set_damping(state, memory, float(settings[DAMPING]), count, stride, _last_digit(p))
    if _aim(p, previous, state, memory, count, stride):
        return TRIAL if phase == FRESH else MOVED
    if phase == FRESH:
        return LAST
    memory[PHASE] = THERE
    return MOVED
