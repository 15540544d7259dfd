"""One sample with a lane for each unit, against the same sample in lanes of samples."""

from __future__ import annotations

import numba
import numpy as np

import fastnn
from fastnn.arrays import aligned_zeros
from fastnn.kernels import layout, single
from fastnn.kernels.jit import FLAGS
from fastnn.kernels.simd import LANES, load_part, pointer, store
from fastnn.loss_kinds import loss_of
from fastnn.plan import Task, make_plan
from tests.marks import float64_in_the_core
from tests.problems import EPSILON, JIT, largest_error, problem


@numba.njit(**FLAGS)
def _gradient(plan, numbers, parameters, x, target, weight, scratch, rows, gradient, add, out):
    p, n, w, s = pointer(plan), pointer(numbers), pointer(parameters), pointer(scratch)
    y = single.forward(p, n, w, pointer(x), s, True, (pointer(rows), 0))
    for k in range(len(out)):
        out[k] = y[k]
    loss = single.loss(p, n, y, pointer(target), pointer(weight), s)
    single.backward(p, w, pointer(gradient), pointer(x), s, add)
    return loss


@numba.njit(**FLAGS)
def _input_gradient(plan, numbers, parameters, x, given, scratch, rows, out):
    p, w, s = pointer(plan), pointer(parameters), pointer(scratch)
    single.forward(p, pointer(numbers), w, pointer(x), s, True, (pointer(rows), 0))
    single.input_gradient(p, w, pointer(given), s, pointer(out))


@numba.njit(**FLAGS)
def _load_part(source, target, at, count):
    store(pointer(target), 0, load_part(pointer(source), at, count))


def _memory(net, task):
    """A plan for one row, and the memory that goes with it, which holds nothing that could be used."""
    inputs, outputs = net.inputs, net.layers[-1].units
    plan = make_plan(net._shapes, inputs, outputs, 1, net.dtype, task)
    scratch = plan.scratch()
    scratch[:] = np.nan
    return plan.numbers, plan.reals, scratch, np.zeros(LANES[net.dtype], np.int64)


# A single unit; less than a vector, one, and a little more; four at once, and a rest.
SIZES = (
    [(2, 4, 1), (1, 1, 1), (3, 1, 2), (5, 16, 8), (9, 17, 3), (4, 71, 5, 33)] if JIT else [(2, 4, 1), (3, 17, 2)]
)
OUTPUTS = [
    ("sigmoid", "mse"),
    ("sigmoid", "binary_cross_entropy"),
    ("softmax", "mse"),
    ("softmax", "cross_entropy"),
]
LAYERS = {
    "normalization": lambda of: [of.Dense(6, "tanh"), of.LayerNormalization(), of.Dense(2)],
    "normalization first": lambda of: [of.LayerNormalization(0.1), of.Dense(6, "sine"), of.Dense(2, "softmax")],
    "normalization twice": lambda of: [
        of.Dense(9, "silu"),
        of.LayerNormalization(),
        of.LayerNormalization(0.1),
        of.Dense(2),
    ],
}


def _problems(rng, dtype):
    for sizes in SIZES:
        for output, loss in OUTPUTS:
            if output == "sigmoid" or sizes[-1] > 1:
                yield problem(rng, sizes, 1, output=output, loss=loss, dtype=dtype)
    for layers in LAYERS.values():
        yield problem(rng, (3, 2), 1, layers=layers, dtype=dtype)


def _gradient_of(p, *, add, before):
    """(outputs, loss, gradient, and what stands behind it) of one row."""
    net, outputs = p.net, p.sizes[-1]
    loss = loss_of(p.loss).part(net.layers[-1].activation, outputs)
    numbers, reals, scratch, rows = _memory(net, Task(what=layout.GRADIENT, loss=loss, batch_size=1))
    weight = np.zeros(LANES[net.dtype], net.dtype)
    weight[0] = 1
    gradient = aligned_zeros(int(numbers[layout.PARAMETERS]) + LANES[net.dtype], net.dtype)
    gradient[: len(before)] = before
    target = p.y[0] if p.y.ndim == 2 else np.eye(outputs, dtype=net.dtype)[p.y[0]]
    out, memory = np.zeros(outputs, net.dtype), (scratch, rows, gradient)
    found = _gradient(numbers, reals, net.parameters, p.X[0], target, weight, *memory, add, out)
    return out, found, gradient[: len(before)], gradient[len(before) :]


@float64_in_the_core
def test_outputs_loss_and_gradient(rng, dtype):
    for p in _problems(rng, dtype):
        expected_loss, expected = p.net.loss_and_gradient(*p.rows, loss=p.loss)
        before = rng.normal(size=len(expected)).astype(dtype)
        out, loss, gradient, rest = _gradient_of(p, add=False, before=before)
        # The same bits as with lanes of samples.
        assert (out == p.net.predict(p.X)[0]).all(), (p.sizes, p.output)
        assert loss == expected_loss
        # Sums over the units of a layer, in another order.
        bound = 4 * EPSILON[dtype] * np.sqrt(max(p.sizes))
        assert largest_error(gradient, expected) <= bound, (p.sizes, p.output)
        if p.sizes[2:] == (1,):  # nothing to sum
            assert (gradient == expected).all()
        assert (rest == 0).all()
        _, _, added, rest = _gradient_of(p, add=True, before=before)
        assert largest_error(added, before + expected) <= bound
        assert (rest == 0).all()


@float64_in_the_core
def test_gradient_by_the_inputs(rng, dtype):
    for p in _problems(rng, dtype):
        net, inputs = p.net, p.sizes[0]
        # With x + bias in front, that by the bias.
        longer = fastnn.Sequential([fastnn.Dense(inputs), *p.layers(fastnn)], inputs=inputs, dtype=dtype)
        front = np.concatenate([np.eye(inputs, dtype=dtype).reshape(-1), np.zeros(inputs, dtype)])
        longer.parameters = np.concatenate([front, net.parameters])
        given = rng.normal(size=net.layers[-1].units).astype(dtype)
        longer.forward(p.X)
        longer.backward(given[np.newaxis])
        expected = longer.gradients[inputs * inputs : len(front)]
        numbers, reals, scratch, rows = _memory(net, Task(batch_size=1))
        out = np.zeros(inputs, dtype)
        _input_gradient(numbers, reals, net.parameters, p.X[0], given, scratch, rows, out)
        assert largest_error(out, expected) <= 8 * EPSILON[dtype] * np.sqrt(max(p.sizes)), (p.sizes, p.output)


def test_part_of_a_vector(dtype):
    lanes = LANES[np.dtype(dtype)]
    numbers = np.arange(1, 2 * lanes + 1).astype(dtype)
    for count in range(lanes + 1):
        found = np.full(lanes, np.nan, dtype)
        _load_part(numbers, found, 3, count)
        assert (found == np.where(np.arange(lanes) < count, numbers[3 : 3 + lanes], 0)).all()
