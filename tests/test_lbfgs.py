"""L-BFGS: the line search, what it answers, and its steps against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from fastnn.kernels.layout import LAST, MOVED, NOT_FINITE, STARTED_LOSS, TRIAL
from fastnn.optimizers import LBFGS
from tests.test_optimizers import Machine, parabola, rosenbrock


def wave(x):
    """Loss and gradient of Σ cos 3x + x²/5 + 2, which has many minima."""
    x = np.asarray(x, float)
    return float((np.cos(3 * x) + x * x / 5 + 2).sum()), -3 * np.sin(3 * x) + 0.4 * x


def steep(x):
    """Loss and gradient of Σ e**(4x) - 8x: on one side hardly any slope, on the other it overflows soon."""
    x = np.asarray(x, float)
    with np.errstate(over="ignore"):
        power = np.exp(4 * x)
        return float((power - 8 * x).sum()), 4 * power - 8


def cliff(x):
    """Loss and gradient of Σ x - ln x, which are not numbers from 0 on."""
    x = np.asarray(x, float)
    with np.errstate(all="ignore"):
        return float((x - np.log(x)).sum()), np.where(x > 0, 1 - 1 / x, np.nan)


def flat(x):
    """Loss and gradient of Σ √(1 + x²): the first step from afar is short, and the search goes on and on."""
    x = np.asarray(x, float)
    root = np.sqrt(1 + x * x)
    return float(root.sum()), x / root


PROBLEMS = {
    "rosenbrock": (rosenbrock, np.linspace(-1, 1, 9)),
    "parabola": (parabola, np.linspace(3, -5, 17)),
    "wave": (wave, np.linspace(0.2, 3, 5)),
    "steep": (steep, np.linspace(-20, 1, 6)),
    "cliff": (cliff, np.linspace(0.01, 30, 7)),
    "flat": (flat, np.linspace(100, -300, 4)),
    "one": (parabola, np.array([40.0])),
}
each_problem = pytest.mark.parametrize("name", PROBLEMS)


class Twin:
    """The problem of a function, for the reference."""

    def __init__(self, function):
        self.function = function
        self.evaluations = 0

    def loss_and_gradient(self, x):
        self.evaluations += 1
        loss, gradient = self.function(x)
        return loss, gradient.tolist()


def run(machine, function, epochs=100, scale=0.25):
    """Train: yields (answer, loss of the epoch, evaluations for it, where it was accepted) for each epoch."""
    for _ in range(epochs):
        answer, evaluations = TRIAL, 0
        while answer == TRIAL:
            loss, gradient = function(machine.parameters)
            answer = machine.call(gradient, loss, scale)
            evaluations += 1
            assert evaluations < 60
        yield answer, machine.memory[STARTED_LOSS], evaluations, machine.accepted
        if answer in (LAST, NOT_FINITE):
            return


@each_problem
@pytest.mark.parametrize(
    "options", [{}, {"memory": 1}, {"memory": 3, "curvature": 0.1}, {"evaluations": 2}], ids=str
)
def test_steps_are_the_reference_s(name, options):
    function, start = PROBLEMS[name]
    machine, twin = Machine(LBFGS(**options), start), reference.LBFGS(**options)
    twin.start(len(start))
    problem, x = Twin(function), start.tolist()
    for answer, loss, _, accepted in run(machine, function, 30):
        expected, x, converged = twin.step(x, problem)
        assert_allclose(loss, expected, rtol=1e-9)
        assert_allclose(accepted, x, rtol=1e-9, atol=1e-9)
        assert (answer == LAST) == converged
    assert not machine.p[len(start) :].any()


@each_problem
def test_problems_are_solved(name, dtype):
    function, start = PROBLEMS[name]
    tolerance = {"float64": 1e-6, "float32": 1e-2}[dtype]
    machine = Machine(LBFGS(tolerance=tolerance), start, dtype)
    answers, losses, evaluations, accepted = zip(*run(machine, function, 300), strict=True)
    assert answers == (*[MOVED] * (len(answers) - 1), LAST)
    assert np.abs(function(accepted[-1])[1]).max() <= 1.1 * tolerance
    assert machine.p.dtype == machine.state.dtype == dtype
    assert (np.diff(losses) < 0).all()
    assert sum(evaluations) < 3 * len(evaluations) + 15  # most steps are taken at once


@each_problem
@pytest.mark.parametrize("curvature", [0.9, 0.1])
def test_protocol_and_wolfe_conditions(name, curvature):
    """Each epoch starts where the last was accepted; its step meets the conditions; nothing is asked for twice."""
    function, start = PROBLEMS[name]
    seen = []

    def watched(x):
        assert not any((x == other).all() for other in seen)
        seen.append(x)
        return function(x)

    machine = Machine(LBFGS(curvature=curvature), start)
    before = start
    for answer, loss, _, accepted in run(machine, watched, 60):
        old, gradient = function(before)
        assert loss == old
        step = accepted - before
        new, new_gradient = function(accepted)
        slope = gradient @ step
        assert slope < 0
        assert new <= old + 1e-4 * slope + 1e-12 * abs(old)
        assert abs(new_gradient @ step) <= -1.000001 * curvature * slope
        if answer == LAST:
            assert_array_equal(machine.p, machine.previous)
        else:
            assert (machine.p != machine.previous).any()
        before = accepted


def test_accepted_parameters_are_in_previous_at_any_time():
    function, start = PROBLEMS["rosenbrock"]
    machine = Machine(LBFGS(), start)
    losses = []
    for _ in range(60):
        loss, gradient = function(machine.parameters)
        answer = machine.call(gradient, loss)
        losses.append(function(machine.accepted)[0])
        if answer == TRIAL and len(losses) > 1:
            assert losses[-1] == losses[-2]
        if answer == MOVED:
            assert losses[-1] < losses[-2]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_start_that_is_not_finite(what, wrong, dtype):
    machine = Machine(LBFGS(), np.ones(5), dtype)
    gradient = np.array([1.0, 2, wrong if what == "gradient" else 3, 4, 5])
    assert machine.call(gradient, wrong if what == "loss" else 1.0) == NOT_FINITE
    assert_array_equal(machine.parameters, np.ones(5))
    assert_array_equal(machine.accepted, np.ones(5))
    assert np.isnan(reference_step(gradient, wrong if what == "loss" else 1.0)[0])


def reference_step(gradient, loss):
    """The reference's at a place where all is constant."""
    twin = reference.LBFGS()
    twin.start(len(gradient))
    return twin.step([1.0] * len(gradient), Twin(lambda x: (loss, gradient)))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_trial_that_is_not_finite_was_too_far(what, wrong):
    machine = Machine(LBFGS(), np.ones(5))
    assert machine.call(np.ones(5), 1.0) == TRIAL
    first = machine.p.copy()
    bad = np.array([1, 1, wrong if what == "gradient" else 1, 1, 1])
    assert machine.call(bad, wrong if what == "loss" else 0.5) == TRIAL
    assert_allclose(machine.parameters - 1, 0.1 * (first[:5] - 1))
    assert_array_equal(machine.accepted, np.ones(5))


def test_start_at_the_minimum():
    machine = Machine(LBFGS(), np.ones(5))
    assert machine.call(np.full(5, 9e-6), 3.0) == LAST
    assert machine.memory[STARTED_LOSS] == 3
    assert_array_equal(machine.accepted, np.ones(5))
    assert_array_equal(machine.p, machine.previous)
    assert reference_step(np.full(5, 9e-6), 3.0) == (3.0, [1.0] * 5, True)


def lying(x):
    """Parabola whose gradient points the wrong way: nothing along it is lower."""
    loss, gradient = parabola(x)
    return loss, -gradient


def test_nothing_lower_to_be_found():
    start = np.full(5, 7.0)
    machine = Machine(LBFGS(), start)
    answer, loss, evaluations, accepted = next(run(machine, lying))
    assert (answer, loss, evaluations) == (LAST, lying(start)[0], 26)
    assert_array_equal(accepted, start)
    assert_array_equal(machine.p, machine.previous)


def test_pairs_are_forgotten_when_they_lead_nowhere():
    """The gradient turns round at some time, so that the direction does not lead down, but straight down does."""
    start = np.linspace(3, -5, 9)
    machine, twin = Machine(LBFGS(evaluations=5), start), reference.LBFGS(evaluations=5)
    twin.start(9)

    def rough(x):  # kinks, where the pairs tell nothing of what lies behind them
        x = np.asarray(x, float)
        loss, gradient = parabola(x)
        return loss + 3 * float(np.abs(x).sum()), gradient + 3 * np.sign(x)

    x, dropped = start.tolist(), 0
    for _, loss, evaluations, accepted in run(machine, rough, 12):
        expected, x, _ = twin.step(x, Twin(rough))
        assert_allclose(loss, expected, rtol=1e-9)
        assert_allclose(accepted, x, rtol=1e-9, atol=1e-12)
        dropped += evaluations > 6
    assert dropped > 0


def bumps(rng):
    """A function of one number, a wide valley full of bumps: line searches meet everything on it."""
    size, pace, start = rng.normal(size=8), rng.exponential(size=8) * 3, rng.uniform(0, 6, 8)
    middle = rng.normal() * 30

    def function(x):
        angle, off = pace * np.asarray(x, float) + start, x[0] - middle
        loss = size @ np.sin(angle) + off * off / 50
        return float(loss), np.array([size @ (pace * np.cos(angle)) + off / 25])

    return function


@pytest.mark.parametrize("evaluations", [2, 3, 5, 25])
def test_line_search_on_bumps_is_the_reference_s(rng, evaluations):
    for _ in range(60):
        function = bumps(rng)
        options = {"evaluations": evaluations, "curvature": rng.choice([0.01, 0.1, 0.5])}
        machine, twin = Machine(LBFGS(**options), np.zeros(1)), reference.LBFGS(**options)
        twin.start(1)
        x, asked = [0.0], [np.inf]

        def watched(at, function=function, asked=asked):
            assert at[0] != asked[-1]
            asked.append(at[0])
            return function(at)

        for _, loss, _, accepted in run(machine, watched, 4):
            expected, x, _ = twin.step(x, Twin(function))
            # Bumps make a great deal of roundings; another decision leads to another bump.
            assert_allclose(loss, expected, rtol=1e-5, atol=1e-5)
            assert_allclose(accepted, x, rtol=1e-5, atol=1e-5)


def test_is_as_good_as_scipy_s():
    optimize = pytest.importorskip("scipy.optimize")
    function, start = PROBLEMS["rosenbrock"]
    found = optimize.minimize(function, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-5})
    machine = Machine(LBFGS(), start)
    epochs = list(run(machine, function))
    assert sum(epoch[2] for epoch in epochs) < 1.2 * found.nfev
