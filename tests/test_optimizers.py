"""Optimizers: their descriptions, and their kernels against the reference, against PyTorch, and at work."""

from __future__ import annotations

import dataclasses
import inspect

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
import reference.optimizers
from fastnn import SGD, optimizers, schedules
from fastnn.kernels.jit import FLAGS
from fastnn.kernels.layout import MOVED, NOT_FINITE
from fastnn.kernels.simd import LANES, pointer
from fastnn.optimizers import OPTIMIZERS, Adam, Rprop, optimizer_of
from tests.marks import core, float64_in_the_core

# Kernels at work, without a network -------------------------------------------------------------------

_entries = {}


def entry(kernel):
    """A function of arrays that calls a kernel."""
    if kernel not in _entries:

        def call(p, g, previous, state, memory, settings, count, stride, scale, loss):
            vectors = pointer(p), pointer(g), pointer(previous), pointer(state)
            return kernel(vectors, pointer(memory), pointer(settings), count, stride, scale, loss)

        _entries[kernel] = numba.njit(**FLAGS)(call)
    return _entries[kernel]


class Machine:
    """The memory of an optimizer's kernel, and calls of it."""

    def __init__(self, optimizer, start, dtype="float64"):
        lanes = LANES[np.dtype(dtype)]
        self.size = len(start)
        self.count = -(-self.size // lanes) * lanes
        self.p, self.g, self.previous = np.zeros((3, self.count), dtype)
        self.p[: self.size] = start
        self.state = np.zeros(max(1, optimizer.states(self.size)) * self.count, dtype)
        self.memory = np.zeros(64)
        self.settings = optimizer.settings()
        self._call = entry(optimizer.kernel)

    @property
    def parameters(self):
        return self.p[: self.size].astype(float)

    @property
    def accepted(self):
        return self.previous[: self.size].astype(float)

    def call(self, gradient, loss=0.0, scale=1.0):
        """One call with a gradient of which 1/scale is handed over; the kernel's answer."""
        with np.errstate(all="ignore"):  # compiled code does not warn either
            self.g[: self.size] = np.asarray(gradient) / scale
            return self._call(
                self.p,
                self.g,
                self.previous,
                self.state,
                self.memory,
                self.settings,
                self.count,
                self.count,
                scale,
                loss,
            )


def rosenbrock(x):
    """Loss and gradient of Σ 100·(x[i+1] - x[i]²)² + (1 - x[i])², which is 0 where all x are 1."""
    x = np.asarray(x, float)
    bend, rest = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    gradient = np.zeros_like(x)
    gradient[1:] += 200 * bend
    gradient[:-1] -= 400 * bend * x[:-1] + 2 * rest
    return float((100 * bend**2 + rest**2).sum()), gradient


def parabola(x):
    """Loss and gradient of Σ c·(x - i)²/2 with c from 0.2 to 2."""
    x = np.asarray(x, float)
    c, e = np.linspace(0.2, 2, len(x)), x - np.arange(len(x)) / 4
    return float((c * e * e).sum() / 2), c * e


# Each with all its options away from their defaults, at least once.
CASES = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.5, "nesterov": True}),
    ("adagrad", {}),
    ("adagrad", {"epsilon": 0.1}),
    ("adadelta", {}),
    ("adadelta", {"rho": 0.5, "epsilon": 1e-3}),
    ("rmsprop", {}),
    ("rmsprop", {"rho": 0.8, "epsilon": 0.1}),
    ("rmsprop", {"momentum": 0.9}),
    ("rmsprop", {"centered": True}),
    ("rmsprop", {"centered": True, "momentum": 0.5, "rho": 0.9}),
    ("adam", {}),
    ("adam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}),
    ("amsgrad", {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.1}),
    ("adamw", {}),
    ("adamw", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1, "weight_decay": 0.5}),
    ("nadam", {}),
    ("nadam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1, "momentum_decay": 0.5}),
    ("lion", {}),
    ("lion", {"beta_1": 0.5, "beta_2": 0.7, "weight_decay": 0.5}),
    ("rprop", {}),
    ("rprop", {"eta_minus": 0.3, "eta_plus": 1.7, "step_min": 0.005, "step_max": 0.03}),
]
NAMES = ["sgd", "adagrad", "adadelta", "rmsprop", "adam", "amsgrad", "adamw", "nadam", "lion", "rprop"]
each_case = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))


def test_cases_have_every_option():
    assert {name for name, _ in CASES} == set(NAMES)
    assert set(NAMES) == {name for name, optimizer in OPTIMIZERS.items() if not optimizer.line_search}
    for name in NAMES:
        used = {option for other, options in CASES for option in options if other == name}
        all_of_them = set(inspect.signature(OPTIMIZERS[name]).parameters)
        assert used == all_of_them - {"learning_rate", "clip_value", "clip_norm"}


def gradients(rng, size, updates=10):
    """Gradients whose numbers differ by many orders, with zeros, and signs that stay and turn."""
    drawn = rng.normal(size=(updates, size)) * 10.0 ** rng.integers(-4, 3, size=size)
    drawn[:, 0] = 0
    drawn[3, 1] = 0
    drawn[:, 2] = np.abs(drawn[:, 2])
    return drawn


@each_case
@pytest.mark.parametrize("scale", [1.0, 1 / 3])
def test_first_steps_are_the_reference_s(rng, name, options, scale):
    optimizer = OPTIMIZERS[name](0.03, **options)
    twin = getattr(reference.optimizers, type(optimizer).__name__)(0.03, **options)
    expected = rng.normal(size=19).tolist()
    machine = Machine(optimizer, expected)
    twin.start(len(expected))
    for s, gradient in enumerate(gradients(rng, 19)):
        before, rate = machine.p.copy(), 0.03 / (1 + s % 3)  # as a schedule would have it
        machine.settings[0] = 0.03 if name == "rprop" else rate
        assert machine.call(gradient, scale=scale) == MOVED
        expected = twin.update(expected, gradient.tolist(), machine.settings[0])
        assert_allclose(machine.parameters, expected, rtol=1e-12)
        assert_array_equal(machine.previous, before)
        assert not machine.p[19:].any()


@pytest.mark.parametrize(("name", "options"), core(CASES, ("sgd", {}), ("adam", {})), ids=str)
def test_float32_stays_float32(rng, name, options):
    optimizer = OPTIMIZERS[name](0.03, **options)
    start = rng.normal(size=19)
    single, double = Machine(optimizer, start, "float32"), Machine(optimizer, start)
    for gradient in gradients(rng, 19):
        gradient = gradient.astype("float32")
        assert single.call(gradient) == double.call(gradient) == MOVED
    assert single.p.dtype == single.state.dtype == np.float32
    assert_allclose(single.parameters, double.parameters, rtol=2e-5, atol=2e-6)


# Rates with which 2,000 steps are enough; those that do not end are as near as the rate.
RATES = {
    "sgd": 0.3,
    "adagrad": 1.0,
    "adadelta": 30.0,
    "rmsprop": 0.003,
    "adam": 0.03,
    "amsgrad": 0.1,
    "adamw": 0.03,
    "nadam": 0.03,
    "lion": 0.003,
    "rprop": 0.03,
}


@pytest.mark.parametrize("name", NAMES)
@float64_in_the_core
def test_parabola_is_solved(name, dtype):
    optimizer = OPTIMIZERS[name](RATES[name], **({"weight_decay": 0.0} if name == "adamw" else {}))
    machine = Machine(optimizer, np.zeros(9), dtype)
    for _ in range(2000):
        machine.call(parabola(machine.parameters)[1], scale=0.25)
    assert_allclose(machine.parameters, np.arange(9) / 4, atol=0.006)


@each_case
def test_rosenbrock_decreases(name, options):
    rate = {"sgd": 1e-4, "adadelta": 1.0, "adagrad": 0.05}.get(name, 0.003)
    machine = Machine(OPTIMIZERS[name](rate, **options), np.linspace(-1, 1, 9))
    start, _ = rosenbrock(machine.parameters)
    for _ in range(300):
        machine.call(rosenbrock(machine.parameters)[1])
    assert rosenbrock(machine.parameters)[0] < 0.5 * start


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_is_reported(rng, name, wrong, dtype):
    machine = Machine(OPTIMIZERS[name](0.03), rng.normal(size=9), dtype)
    assert machine.call(np.ones(9)) == MOVED
    before = machine.p.copy()
    gradient = np.ones(9)
    gradient[7] = wrong
    answer = machine.call(gradient)
    # Only the sign of infinity counts for the last two; over its own root it is 0 or NaN.
    if np.isnan(wrong) or name not in ("lion", "rprop", "adagrad", "amsgrad"):
        assert answer == NOT_FINITE
    assert_array_equal(machine.previous, before)


def test_constant_gradient_does_not_break_centered_rmsprop(dtype):
    """Its variance is 0, and below it by rounding."""
    machine = Machine(OPTIMIZERS["rmsprop"](1e-9, centered=True, rho=0.9), np.zeros(99), dtype)
    for _ in range(400):
        assert machine.call(np.linspace(0.1, 1, 99)) == MOVED


# PyTorch's --------------------------------------------------------------------------------------------

TORCH = {
    "sgd": ("SGD", {}),
    "adagrad": ("Adagrad", {"epsilon": "eps"}),
    "adadelta": ("Adadelta", {"epsilon": "eps"}),
    "rmsprop": ("RMSprop", {"rho": "alpha", "epsilon": "eps"}),
    "adam": ("Adam", {"epsilon": "eps"}),
    "amsgrad": ("Adam", {"epsilon": "eps"}),
    "adamw": ("AdamW", {"epsilon": "eps"}),
    "nadam": ("NAdam", {"epsilon": "eps"}),
    "rprop": ("Rprop", {}),
}


@pytest.fixture
def torch():
    """PyTorch, computing in float64 what no tensor of ours says the dtype of (as the M of NAdam)."""
    library = pytest.importorskip("torch")
    before = library.get_default_dtype()
    library.set_default_dtype(library.float64)
    yield library
    library.set_default_dtype(before)


def torch_options(optimizer):
    """PyTorch's names for the options."""
    names = TORCH[optimizer.name][1]
    options = {field.name: getattr(optimizer, field.name) for field in dataclasses.fields(optimizer)}
    found = {"lr": options.pop("learning_rate")}
    for together, pair in {
        "betas": ("beta_1", "beta_2"),
        "etas": ("eta_minus", "eta_plus"),
        "step_sizes": ("step_min", "step_max"),
    }.items():
        if pair[0] in options:
            found[together] = options.pop(pair[0]), options.pop(pair[1])
    if optimizer.name == "amsgrad":
        found["amsgrad"] = True
    found.update({names.get(name, name): value for name, value in options.items() if "clip" not in name})
    return found


@pytest.mark.slow  # PyTorch is long in being imported
@pytest.mark.parametrize(
    ("name", "options"), [case for case in CASES if case[0] in TORCH], ids=lambda value: str(value)
)
def test_steps_are_pytorch_s(rng, torch, name, options):
    optimizer = OPTIMIZERS[name](0.03, **options)
    start = rng.normal(size=19)
    parameters = torch.tensor(start.copy(), requires_grad=True)
    other = getattr(torch.optim, TORCH[name][0])([parameters], **torch_options(optimizer))
    machine = Machine(optimizer, start)
    for gradient in gradients(rng, 19, 30):
        parameters.grad = torch.tensor(gradient)
        other.step()
        machine.call(gradient)
        assert_allclose(machine.parameters, parameters.detach().numpy(), rtol=1e-9, atol=1e-15)


# Descriptions -----------------------------------------------------------------------------------------


def test_registry():
    for name, cls in OPTIMIZERS.items():
        assert cls.name == name == cls.kernel.__name__
        assert optimizer_of(name) == cls()
        twin = getattr(reference, cls.__name__)
        assert inspect.signature(cls).parameters.keys() == inspect.signature(twin).parameters.keys()
        for parameter in inspect.signature(twin).parameters.values():
            assert parameter.default == inspect.signature(cls).parameters[parameter.name].default
        assert cls.full_batch == twin.full_batch
    assert optimizer_of(None) == SGD()
    assert optimizer_of(Adam(0.5)) == Adam(0.5)


def test_optimizer_of_something_else():
    with pytest.raises(TypeError, match=r"optimizer is 0\.1; an optimizer like SGD\(0\.1\) or a name"):
        optimizer_of(0.1)
    with pytest.raises(ValueError, match=r"optimizer is 'adm'; known are sgd, adagrad, .*, levenberg"):
        optimizer_of("adm")


@each_case
def test_settings_and_states(name, options):
    optimizer = OPTIMIZERS[name](0.25, **options)
    settings = optimizer.settings()
    assert settings.dtype == np.float64
    assert settings[0] == 0.25
    assert_array_equal(settings[1:].sum(), sum(list(dataclasses.asdict(optimizer).values())[3:]))
    assert optimizer.states(7) == optimizer.states(100)
    part = optimizer.part(7)
    assert (part.kernel, part.settings, part.states) == (
        optimizer.kernel,
        tuple(settings),
        optimizer.states(7),
    )


def test_states_are_as_many_as_needed():
    counts = [OPTIMIZERS[name](**options).states(5) for name, options in CASES]
    assert counts == [0, 1, 1, 1, 1, 2, 2, 1, 1, 2, 2, 3, 2, 2, 3, 2, 2, 2, 2, 1, 1, 2, 2]


def test_repr_is_how_it_is_made():
    assert repr(SGD()) == "SGD(0.01)"
    assert repr(SGD(0.1, momentum=0.9, nesterov=True)) == "SGD(0.1, momentum=0.9, nesterov=True)"
    assert eval(repr(SGD(0.5, momentum=0.25))).momentum == 0.25
    assert repr(Adam(0.1, clip_norm=1)) == "Adam(0.1, clip_norm=1.0)"
    rate = schedules.StepDecay(0.1)
    assert repr(Adam(rate)) == f"Adam({rate!r})"
    for name, options in CASES:
        made = OPTIMIZERS[name](0.25, **options)
        assert eval(repr(made), vars(optimizers)) == made


def test_descriptions_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Adam().beta_1 = 0.5
    assert Adam() == Adam(0.001) != OPTIMIZERS["amsgrad"](0.001)
    assert len({Adam(), Adam(0.001), Adam(0.002)}) == 2


def test_schedule_and_bounds_reach_the_loop():
    rate = schedules.WarmUp(schedules.StepDecay(0.5, every=3), epochs=2)
    part = Adam(rate, clip_norm=2).part(9)
    assert part.settings[0] == 0.5
    assert part.schedule is rate.kernel
    assert part.schedule_settings == rate.numbers
    assert (part.warm_epochs, part.plateau, part.clip_value, part.clip_norm) == (2.0, None, 0.0, 2.0)
    plateau = schedules.ReduceOnPlateau(0.5)
    assert SGD(plateau).part(9).plateau == plateau.plateau
    assert SGD(0.5, clip_value=3).part(9).clip_value == 3.0


WRONG = {
    "rate 0": (lambda: Adam(0), "learning_rate is 0; a finite number above 0"),
    "momentum 1": (lambda: SGD(momentum=1), "momentum is 1; a finite number at least 0 and below 1"),
    "no momentum": (lambda: SGD(nesterov=True), "nesterov is True and momentum 0"),
    "both bounds": (lambda: Adam(clip_value=1, clip_norm=2), "clip_value is 1 and clip_norm 2; one of the two"),
    "bound 0": (lambda: SGD(clip_norm=0), "clip_norm is 0; a finite number above 0"),
    "epsilon 0": (lambda: OPTIMIZERS["adagrad"](epsilon=0), "epsilon is 0; a finite number above 0"),
    "rho 1": (lambda: OPTIMIZERS["adadelta"](rho=1.0), "rho is 1.0; a finite number at least 0 and below 1"),
    "beta_2": (lambda: OPTIMIZERS["lion"](beta_2=1.5), "beta_2 is 1.5; a finite number at least 0 and below 1"),
    "decay": (lambda: OPTIMIZERS["adamw"](weight_decay=-1), "weight_decay is -1; a finite number at least 0"),
    "eta_plus": (lambda: Rprop(eta_plus=1), "eta_plus is 1; a finite number above 1"),
    "eta_minus": (lambda: Rprop(eta_minus=1), "eta_minus is 1; a finite number above 0 and below 1"),
    "steps": (lambda: Rprop(step_min=2, step_max=1), "step_max is 1.0; a finite number at least 2"),
    "memory": (lambda: OPTIMIZERS["lbfgs"](memory=21), "memory is 21; a whole number from 1 to 20"),
    "curvature": (lambda: OPTIMIZERS["lbfgs"](decrease=0.5, curvature=0.4), "curvature is 0.4; .* above 0.5"),
    "evaluations": (lambda: OPTIMIZERS["lbfgs"](evaluations=1), "evaluations is 1; a whole number from 2"),
    "damping": (lambda: OPTIMIZERS["levenberg_marquardt"](0), "damping is 0; a finite number above 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name):
    make, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_what_has_the_wrong_type():
    for name in NAMES:
        with pytest.raises(TypeError, match=r"learning_rate is '0\.1'; a finite number"):
            OPTIMIZERS[name]("0.1")
    with pytest.raises(TypeError, match="centered is 1; True or False"):
        OPTIMIZERS["rmsprop"](centered=1)
    with pytest.raises(TypeError, match=r"learning_rate is StepDecay.*; Rprop finds its steps itself"):
        Rprop(schedules.StepDecay(0.1))


# In a fit ---------------------------------------------------------------------------------------------


def line_after(updates, **options):
    """Weight and bias of y = w·x + b at x = 1 after some updates for target 0, from w = 2, b = 1."""
    net = fastnn.Sequential([fastnn.Dense(1, weights=[[2.0]], bias=[1.0])], inputs=1)
    net.fit([[1.0]], [0.0], epochs=updates, optimizer=SGD(0.1, **options), loss="half_sse")
    return net.parameters


def test_by_hand():
    # The gradient is the output p, for w and b alike; p falls by 2·rate·velocity.
    assert_allclose(line_after(1), [2 - 0.3, 1 - 0.3], rtol=1e-15)
    assert_allclose(line_after(2), [1.7 - 0.24, 0.7 - 0.24], rtol=1e-15)
    # v = 3, then 0.5·3 + 2.4
    assert_allclose(line_after(2, momentum=0.5), [1.7 - 0.39, 0.7 - 0.39], rtol=1e-14)
    # the first step is g + 0.5·v = 4.5, so p = 2.1, v = 0.5·3 + 2.1 = 3.6, and the step 2.1 + 0.5·3.6
    assert_allclose(line_after(2, momentum=0.5, nesterov=True), [2 - 0.45 - 0.39, 1 - 0.45 - 0.39], rtol=1e-14)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}], ids=str)
def test_parabola_is_descended(options, dtype):
    net = fastnn.mlp([1, 1], dtype=dtype)
    history = net.fit([[1.0], [-1.0]], [3.0, 1.0], epochs=300, optimizer=SGD(0.05, **options))
    assert_allclose(net.parameters, [1, 2], atol=1e-4)
    assert history.loss[-1] < 1e-8
    assert net.parameters.dtype == dtype
