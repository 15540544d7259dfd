"""Levenberg-Marquardt: the Gauss-Newton matrix of a network, Cholesky, and steps against the reference."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
import reference
from fastnn.kernels import layout, levenberg_marquardt, tile
from fastnn.kernels.jit import FLAGS
from fastnn.kernels.layout import LAST, MOVED, NOT_FINITE, STARTED_LOSS, TRIAL
from fastnn.kernels.levenberg_marquardt import MU
from fastnn.kernels.simd import LANES, pointer
from fastnn.optimizers import LevenbergMarquardt
from fastnn.plan import Task, make_plan
from tests.marks import float64_in_the_core
from tests.problems import EPSILON, JIT
from tests.test_optimizers import Machine


def jit(function):
    """Compiled with the project's flags."""
    return numba.njit(**FLAGS)(function)


# The Gauss-Newton matrix of a tile ---------------------------------------------------------------------


@jit
def matrix_of_tile(plan, numbers, parameters, x, weights, scratch, work, sums, samples, factor, add):
    of_plan, p, rows, reals = pointer(plan), pointer(parameters), pointer(scratch), pointer(numbers)
    tile.forward(of_plan, reals, p, pointer(x), (pointer(x), pointer(x)), rows, samples, True, (of_plan, 0))
    levenberg_marquardt.tile(
        of_plan, p, pointer(x), pointer(weights), rows, pointer(work), pointer(sums), samples, factor, add
    )


NETWORKS = {
    "one unit": (2, [("Dense", (1,), {})]),
    "one hidden layer": (2, [("Dense", (5, "tanh"), {}), ("Dense", (1,), {})]),
    "wide": (2, [("Dense", (3, "tanh"), {}), ("Dense", (9, "tanh"), {}), ("Dense", (2,), {})]),
    "two outputs": (3, [("Dense", (4, "sigmoid"), {}), ("Dense", (3, "tanh"), {}), ("Dense", (2,), {})]),
    "softmax": (1, [("Dense", (3, "gelu"), {}), ("Dense", (3, "softmax"), {})]),
    "normalization": (
        2,
        [
            ("LayerNormalization", (), {}),
            ("Dense", (4, "tanh"), {}),
            ("LayerNormalization", (), {}),
            ("Dense", (2,), {}),
        ],
    ),
    "frozen": (
        2,
        [
            ("Dense", (3, "tanh"), {"trainable": False}),
            ("Dense", (4, "tanh"), {}),
            ("Dense", (3, "tanh"), {"trainable": False}),
            ("Dense", (2,), {}),
        ],
    ),
}


def network(library, name):
    """The network of a library."""
    inputs, layers = NETWORKS[name]
    kinds = fastnn.layers if library is fastnn else reference
    made = [getattr(kinds, kind)(*arguments, **options) for kind, arguments, options in layers]
    return library.Sequential(made, inputs=inputs)


@pytest.mark.parametrize("name", NETWORKS)
@float64_in_the_core
def test_matrix_is_the_sum_over_samples_and_outputs(rng, name, dtype):
    kind = np.dtype(dtype)
    net, twin = network(fastnn, name), network(reference, name)
    net.parameters = twin.parameters = (rng.normal(size=len(twin.parameters)) / 2).astype(dtype).tolist()
    samples = 3 * LANES[kind]
    task = Task(layout.TRAIN)
    plan = make_plan(net.shapes, net.inputs, net.outputs, samples, kind, task)
    count, stride, size = plan.vector_length, plan.stride, len(net.parameters)
    parameters = np.zeros(count + LANES[kind], dtype)
    parameters[:size] = net.parameters

    expected = np.full((count, count), 0.0)
    units = sum(layer.units for layer in net.shapes)
    work = np.zeros((count + 1 + units) * stride, dtype)
    sums = rng.normal(size=count * count).astype(dtype)
    for add in (False, True):
        x = np.full((net.inputs, stride), 99, dtype)
        x[:, :samples] = rng.normal(size=(net.inputs, samples))
        weights = rng.choice([0, 1, 0.25], size=samples).astype(dtype)
        scratch = plan.scratch()
        matrix_of_tile(
            plan.numbers,
            plan.reals,
            parameters,
            x.ravel(),
            weights,
            scratch,
            work,
            sums,
            samples,
            0.5,
            add,
        )
        for s in range(samples):
            for k in range(net.outputs):
                twin.zero_grad()
                twin.forward_row(x[:, s].tolist())
                twin.backward_row([float(j == k) for j in range(net.outputs)])
                gradient = np.array(twin.gradients)
                start = 0
                for layer in twin.layers:
                    stop = start + len(layer.parameters)
                    gradient[start:stop] *= layer.trainable
                    start = stop
                expected[:size, :size] += 0.5 * weights[s] * np.outer(gradient, gradient)
    found = np.tril(sums.reshape(count, count))
    tolerance = {"float64": 1e-12, "float32": 2e-5}[dtype]
    assert_allclose(found, np.tril(expected), rtol=tolerance, atol=tolerance)


# Equations ---------------------------------------------------------------------------------------------


@jit
def factorize_and_solve(hessian, mu, work, x, count):
    definite = levenberg_marquardt._factorize(pointer(hessian), mu, pointer(work), count)
    if definite:
        levenberg_marquardt._solve(pointer(work), pointer(x), count)
    return definite


@pytest.mark.parametrize("vectors", [1, 2, 3, 7, 20])
def test_equations_are_solved(rng, vectors, dtype):
    count = vectors * LANES[np.dtype(dtype)]
    if not JIT and count > 40:
        pytest.skip("takes too long in plain Python")
    root = rng.normal(size=(count, count + 3))
    matrix = root @ root.T / count
    right = rng.normal(size=count)
    expected = np.linalg.solve(matrix + 0.5 * np.eye(count), right)
    # What lies above the diagonal is not looked at.
    hessian = np.where(np.tri(count, dtype=bool), matrix, 77).astype(dtype).ravel()
    work, x = rng.normal(size=count * count).astype(dtype), right.astype(dtype)
    assert factorize_and_solve(hessian, 0.5, work, x, count)
    assert_allclose(x, expected, rtol=0, atol={"float64": 1e-12, "float32": 1e-4}[dtype])
    factor = np.tril(work.reshape(count, count).astype(float))
    assert_allclose(
        factor @ factor.T, matrix + 0.5 * np.eye(count), atol={"float64": 1e-12, "float32": 1e-4}[dtype]
    )


@pytest.mark.parametrize("at", [0, 5, 15])
@pytest.mark.parametrize("wrong", [-1.0, 0.0, np.nan])
def test_matrix_that_is_not_positive_definite_is_refused(at, wrong, dtype):
    hessian = np.diag(np.ones(16))
    hessian[at, at] = wrong
    work, x = np.zeros(256, dtype), np.ones(16, dtype)
    assert not factorize_and_solve(hessian.astype(dtype).ravel(), 0.0, work, x, 16)
    assert_array_equal(x, np.ones(16))


# Steps -------------------------------------------------------------------------------------------------


def valley(x):
    """Residuals and their derivatives of Rosenbrock's function."""
    J = np.zeros((2 * len(x) - 2, len(x)))
    for i in range(len(x) - 1):
        J[i, i], J[i, i + 1] = -20 * x[i], 10
        J[len(x) - 1 + i, i] = -1
    return np.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]]), J


TIMES = np.linspace(0, 3, 12)


def decay(x):
    """A sum of two exponentials, fitted to one that it cannot meet: the loss stays above 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        one, two = np.exp(-x[1] * TIMES), np.exp(-x[3] * TIMES)
        r = x[0] * one + x[2] * two - 1 / (1 + TIMES)
        return r, np.stack([one, -x[0] * TIMES * one, two, -x[2] * TIMES * two], axis=1)


def line(x):
    """One that is solved at a stroke, but for the damping; the last two parameters count for nothing."""
    J = np.zeros((5, len(x)))
    J[:, :3] = [[1, 2, 3], [0, 1, 2], [4, 0, 1], [1, 1, 1], [2, 0, 5]]
    return J @ x - np.arange(5), J


def exact(x):
    """The same, but met without a rest."""
    r, J = line(x)
    return r + np.arange(5) - J[:, :3] @ [1, 2, 3], J


def gap(x):
    """Not a number from 0 on, where the first step goes."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(x) + 2, np.diag(1 / x)


PROBLEMS = {
    "valley": (valley, np.linspace(-1, 1, 9)),
    "decay": (decay, np.array([1.0, 0.5, -0.7, 2.0])),
    "line": (line, np.array([1.0, -5.0, 7.0, 3.0, 2.0])),
    "exact": (exact, np.array([1.0, -5.0, 7.0, 3.0, 2.0])),
    "gap": (gap, np.array([9.0, 0.01, 3.0])),
}
each_problem = pytest.mark.parametrize("name", PROBLEMS)


def normal_equations(function, x):
    """Loss r·r, its gradient and its Gauss-Newton matrix."""
    with np.errstate(all="ignore"):
        r, J = function(np.asarray(x, float))
        return float(r @ r), 2 * J.T @ r, 2 * J.T @ J


class Twin:
    """The problem of residuals, for the reference."""

    def __init__(self, function):
        self.function = function

    def normal_equations(self, x):
        loss, gradient, matrix = normal_equations(self.function, x)
        return loss, gradient.tolist(), matrix.tolist()


def call(machine, loss, gradient, matrix, scale=0.25):
    """One call of the kernel, with the matrix where it wants it."""
    place = machine.state[: machine.count**2].reshape(machine.count, machine.count)
    size = machine.size
    with np.errstate(all="ignore"):
        place[:] = 77  # above the diagonal
        place[np.tril_indices(machine.count)] = 0
        place[:size, :size] = np.where(np.tri(size, dtype=bool), matrix / scale, 77)
    return machine.call(gradient, loss, scale)


def run(machine, function, epochs=100):
    """Train: yields (answer, loss of the epoch, evaluations for it, where it was accepted) for each epoch."""
    for _ in range(epochs):
        answer, evaluations = TRIAL, 0
        while answer == TRIAL:
            answer = call(machine, *normal_equations(function, machine.parameters))
            evaluations += 1
            assert evaluations < 60
        yield answer, machine.memory[STARTED_LOSS], evaluations, machine.accepted
        if answer in (LAST, NOT_FINITE):
            return


@each_problem
@pytest.mark.parametrize("options", [{}, {"damping": 10.0}, {"damping": 1e-9, "tolerance": 1e-3}], ids=str)
def test_steps_are_the_reference_s(name, options):
    function, start = PROBLEMS[name]
    machine, twin = Machine(LevenbergMarquardt(**options), start), reference.LevenbergMarquardt(**options)
    twin.start(len(start))
    x = start.tolist()
    for answer, loss, _, accepted in run(machine, function, 30):
        expected, x, converged = twin.step(x, Twin(function))
        assert_allclose(loss, expected, rtol=1e-9, atol=1e-15)
        assert_allclose(accepted, x, rtol=1e-9, atol=1e-9)
        assert (answer == LAST) == converged
    assert not machine.p[len(start) :].any()


@each_problem
def test_problems_are_solved(name, dtype):
    function, start = PROBLEMS[name]
    machine = Machine(LevenbergMarquardt(), start, dtype)
    answers, losses, _, accepted = zip(*run(machine, function), strict=True)
    assert answers == (*[MOVED] * (len(answers) - 1), LAST)
    loss, gradient, _ = normal_equations(function, accepted[-1])
    assert np.abs(gradient).max() < {"float64": 2e-7, "float32": 2e-2}[dtype]
    if name in ("valley", "exact", "gap"):
        assert loss < {"float64": 1e-14, "float32": 1e-6}[dtype]
    assert (np.diff(losses) <= 0).all()
    assert machine.p.dtype == machine.state.dtype == dtype


@each_problem
def test_protocol(name):
    """Each epoch starts where the last was accepted, and makes the loss lower."""
    function, start = PROBLEMS[name]
    machine = Machine(LevenbergMarquardt(), start)
    before = start
    for answer, loss, _, accepted in run(machine, function):
        old, _, _ = normal_equations(function, before)
        assert loss == old
        if answer == LAST:
            assert_array_equal(machine.p, machine.previous)
        else:
            assert normal_equations(function, accepted)[0] < old
        before = accepted


def test_trial_that_is_no_better_is_damped():
    loss, gradient, matrix = normal_equations(valley, np.linspace(-1, 1, 9))
    for bad in (loss, loss + 1, np.nan, np.inf, -np.inf):
        machine = Machine(LevenbergMarquardt(), np.linspace(-1, 1, 9))
        assert call(machine, loss, gradient, matrix) == TRIAL
        start, step, damping = machine.accepted, machine.parameters - machine.accepted, machine.memory[MU]
        assert call(machine, bad, gradient * 3, matrix * 3) == TRIAL
        assert_array_equal(machine.accepted, start)
        assert machine.memory[MU] == 2 * damping
        again = np.linalg.solve(matrix + 2 * damping * np.eye(9), -gradient)
        assert_allclose(machine.parameters - start, again, rtol=1e-9, atol=1e-12)
        assert np.linalg.norm(again) < np.linalg.norm(step)


def test_damping_is_never_lost_in_rounding(dtype):
    machine = Machine(LevenbergMarquardt(1e-30), np.ones(3), dtype)
    assert call(machine, 1.0, np.ones(3), np.diag([4.0, 1, 0])) == TRIAL
    assert machine.memory[MU] >= 4 * EPSILON[dtype]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_start_that_is_not_finite(what, wrong, dtype):
    loss = wrong if what == "loss" else 1.0
    gradient = np.array([1.0, wrong if what == "gradient" else 1.0, 1.0])
    machine = Machine(LevenbergMarquardt(), np.ones(3), dtype)
    assert call(machine, loss, gradient, np.eye(3)) == NOT_FINITE
    assert_array_equal(machine.accepted, np.ones(3))


def test_start_at_the_minimum():
    machine = Machine(LevenbergMarquardt(), np.ones(3))
    assert call(machine, 2.0, np.full(3, 1e-8), np.eye(3)) == LAST
    assert machine.memory[STARTED_LOSS] == 2
    assert_array_equal(machine.accepted, np.ones(3))


def test_nothing_lower_to_be_found():
    """The gradient points the wrong way: the more damping, the less is promised, until it is nothing."""
    machine, answers = Machine(LevenbergMarquardt(), np.ones(3)), [TRIAL]
    while answers[-1] == TRIAL:
        answers.append(call(machine, 2.0 + np.sum((machine.parameters - 1) ** 2), np.ones(3), np.eye(3)))
    assert answers[-1] == LAST
    assert len(answers) < 25
    assert_array_equal(machine.p, machine.previous)
    assert_array_equal(machine.parameters, np.ones(3))


def test_states_hold_two_matrices_in_whole_vectors():
    for parameters in (1, 8, 17, 40):
        for lanes in LANES.values():
            count = -(-parameters // lanes) * lanes
            assert LevenbergMarquardt().states(parameters) >= 2 * count + 2
