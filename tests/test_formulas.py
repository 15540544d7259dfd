"""Activations and losses on lanes, their values and their derivatives, against mpmath.

An exact derivative is mpmath's numerical derivative of the definition, so that it shares nothing with the kernels.
"""

from __future__ import annotations

import mpmath
import numba
import numpy as np
import pytest
from mpmath import mpf
from numpy.testing import assert_array_equal

from fastnn.kernels import activations, losses, row_activations, row_losses
from fastnn.kernels.activations import TIMES_SLOPE, VALUE, VALUE_AND_SLOPE
from fastnn.kernels.jit import FLAGS
from fastnn.kernels.simd import load, pointer, store, width
from tests.marks import core, float64_in_the_core
from tests.problems import EPSILON, JIT

COUNT = 1000 if JIT else 200
NAN, INF = np.nan, np.inf
PADDED = 16  # a whole number of vectors of any machine

_compiled = {}


def compiled(key, make):
    """A test's little entry function, compiled once."""
    if key not in _compiled:
        _compiled[key] = numba.njit(**FLAGS)(make())
    return _compiled[key]


def padded(a):
    """An array with its last axis filled up to whole vectors."""
    missing = -a.shape[-1] % PADDED
    return np.concatenate([a, np.repeat(a[..., :1], missing, axis=-1)], axis=-1)


# Activations

ROWS = ("sine", "log_softmax")


def call_rows(name, z, y, d, mode):
    """A function of rows; all arrays are (U, S), S a whole number of vectors."""
    function = getattr(row_activations, name)

    def make():
        def apply(z, y, d, shape, mode):
            function(pointer(z), pointer(y), pointer(d), shape, mode)

        return apply

    units, samples = z.shape
    with np.errstate(all="ignore"):
        compiled(name, make)(z.reshape(-1), y.reshape(-1), d.reshape(-1), (samples, samples, units), mode)


def activate(name, z):
    """(value, derivative) at each of an array's numbers."""
    row = padded(z)
    y, d = np.empty_like(row), np.empty_like(row)
    if name in ROWS:
        call_rows(name, *(rows[np.newaxis] for rows in (row, y, d)), VALUE_AND_SLOPE)
        return y[: len(z)], d[: len(z)]
    function = getattr(activations, name)

    def make():
        def apply(z, y, d):
            p, q, r = pointer(z), pointer(y), pointer(d)
            for t in range(0, len(z), width(p)):
                value, slope = function(load(p, t))
                store(q, t, value)
                store(r, t, slope)

        return apply

    with np.errstate(all="ignore"):
        compiled(name, make)(row, y, d)
    return y[: len(z)], d[: len(z)]


SCALE, ALPHA = mpf(1.0507009873554805), mpf(1.6732632423543772)

EXACT = {
    "hard_sigmoid": lambda z: min(max((z + 3) / 6, mpf(0)), mpf(1)),
    "softsign": lambda z: z / (1 + abs(z)),
    "selu": lambda z: SCALE * z if z > 0 else SCALE * ALPHA * mpmath.expm1(z),
    "mish": lambda z: z * mpmath.tanh(mpmath.log1p(mpmath.exp(z))),
    "exponential": mpmath.exp,
    "sine": mpmath.sin,
}
RANGES = {
    "hard_sigmoid": {"float64": (-4, 4), "float32": (-4, 4)},
    "softsign": {"float64": (-1e6, 1e6), "float32": (-1e6, 1e6)},
    "selu": {"float64": (-60, 1e3), "float32": (-60, 1e3)},
    "mish": {"float64": (-700, 1e3), "float32": (-86, 1e3)},
    "exponential": {"float64": (-700, 700), "float32": (-85, 85)},
    "sine": {"float64": (-1e9, 1e9), "float32": (-1e6, 1e6)},
}
VALUE_ULPS = {"hard_sigmoid": 2, "softsign": 2, "selu": 2, "mish": 4, "exponential": 1, "sine": 2}
# Of a derivative, the units are those of the larger of it and 1: it is a sum that may be nearly 0.
SLOPE_ULPS = {"hard_sigmoid": 1, "softsign": 2, "selu": 2, "mish": 2, "exponential": 1, "sine": 2}


def numbers(rng, low, high, dtype, count=COUNT):
    """Numbers of a range, from all its magnitudes."""
    sign = rng.choice([-1, 1], count // 4)
    parts = [
        rng.uniform(low, high, count // 4),
        rng.normal(size=count // 4),
        rng.uniform(-4, 4, count // 4),
        sign * np.exp(rng.uniform(np.log(1e-30), np.log(high), count // 4)),
    ]
    return np.clip(np.concatenate(parts), low, high).astype(dtype)


def last_place(exact, dtype):
    """The unit in the last place of a number of mpmath."""
    return mpf(float(np.spacing(np.abs(np.asarray(float(exact)).astype(dtype)))))


def errors_of(name, z, dtype):
    """For each z the errors of value and derivative, in ulps."""
    kinks = {"hard_sigmoid": (-3, 3), "softsign": (0,), "selu": (0,)}.get(name, ())
    y, d = activate(name, z)
    for number, value, slope in zip(z.tolist(), y.tolist(), d.tolist(), strict=True):
        exact = EXACT[name](mpf(number))
        of_value = abs(mpf(value) - exact) / last_place(exact, dtype)
        if all(abs(number - kink) > 1e-9 for kink in kinks):
            exact_slope = mpmath.diff(EXACT[name], mpf(number))
            of_slope = abs(mpf(slope) - exact_slope) / last_place(max(mpf(1), abs(exact_slope)), dtype)
        else:
            of_slope = mpf(0)
        yield number, float(of_value), float(of_slope)


@pytest.mark.parametrize("name", core(EXACT, "softsign", "mish"))
def test_activation(rng, name, dtype):
    with mpmath.workdps(60):
        z = numbers(rng, *RANGES[name][dtype], dtype)
        for number, of_value, of_slope in errors_of(name, z, dtype):
            assert of_value <= VALUE_ULPS[name], f"value at {number!r}"
            assert of_slope <= SLOPE_ULPS[name], f"derivative at {number!r}"


LIMITS = {  # z: (value, derivative), exactly
    "hard_sigmoid": {-INF: (0, 0), INF: (1, 0), -3.0: (0, 0), 3.0: (1, 0), 0.0: (0.5, 1 / 6), 1e30: (1, 0)},
    "softsign": {-INF: (-1, 0), INF: (1, 0), 0.0: (0, 1), 1e30: (1, 0), -1e30: (-1, 0)},
    "selu": {INF: (INF, float(SCALE)), -INF: (-float(SCALE * ALPHA), 0), 0.0: (0, float(SCALE * ALPHA))},
    "mish": {INF: (INF, 1), -INF: (0, 0), 0.0: (0, 0.6), 1e30: (1e30, 1), -1e30: (0, 0)},
    "exponential": {INF: (INF, INF), -INF: (0, 0), 0.0: (1, 1), 1e30: (INF, INF), -1e30: (0, 0)},
    "sine": {INF: (NAN, NAN), -INF: (NAN, NAN), 0.0: (0, 1)},
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name, dtype):
    z = np.array([*LIMITS[name], NAN, -NAN], dtype)
    y, d = activate(name, z)
    expected = np.array([*LIMITS[name].values(), (NAN, NAN), (NAN, NAN)], dtype).T
    assert_array_equal(y, expected[0])
    assert d[:-2] == pytest.approx(expected[1][:-2], rel=EPSILON[dtype], abs=1e-15, nan_ok=True)


@pytest.mark.parametrize("name", ["softsign", "sine"])
def test_sign_of_0(name, dtype):
    assert np.signbit(activate(name, np.array([-0.0, 0.0], dtype))[0]).tolist() == [True, False]


def test_sine_near_its_zeros(rng, dtype):
    """What is left of z after the multiples of pi/2 has all its digits, up to where lanes are left and beyond."""
    limit = {"float64": 1.6e6, "float32": 1600}[dtype]
    most = int(2 * limit)
    multiples = [*range(1, 50), *rng.integers(50, most, COUNT).tolist()]
    with mpmath.workdps(60):
        z = np.array([float(k * mpmath.pi / 2) for k in multiples]).astype(dtype)
        assert all(e <= 2 and f <= 2 for _, e, f in errors_of("sine", z, dtype))


def test_a_large_neighbour_changes_no_bit_of_sine(rng, dtype):
    z = rng.normal(size=(3, 2 * PADDED)).astype(dtype)
    z[2] *= 1e3
    large = z.copy()
    large[0, 5], large[0, 7], large[1, PADDED], large[2, 3] = 1e7, -1e30, INF, NAN
    results = []
    for rows in (z, large):
        y, d = np.empty_like(z), np.empty_like(z)
        call_rows("sine", rows, y, d, VALUE_AND_SLOPE)
        results.append((y, d))
        in_place, untouched = rows.copy(), np.full_like(z, 7)
        call_rows("sine", in_place, in_place, untouched, VALUE)
        assert_array_equal(in_place, y)
        assert (untouched == 7).all()
    same = z == large
    assert_array_equal(results[0][0][same], results[1][0][same])
    assert_array_equal(results[0][1][same], results[1][1][same])
    finite = np.isfinite(large) & ~same
    wide = large.astype(float)
    assert results[1][0][finite] == pytest.approx(np.sin(wide[finite]), rel=EPSILON[dtype])
    assert results[1][1][finite] == pytest.approx(np.cos(wide[finite]), rel=EPSILON[dtype])
    assert np.isnan(results[1][0][~np.isfinite(large)]).all()


def exact_log_softmax(z):
    """ln p of each unit, for the units of one sample."""
    parts = [mpmath.exp(x - max(z)) for x in z]
    return [-mpmath.log1p((mpmath.fsum(parts[:k] + parts[k + 1 :])) / parts[k]) for k in range(len(z))]


def units(rng, outputs, dtype, count=48):
    """z (K, S) of all magnitudes; some units equal, and some sure of themselves."""
    z = (rng.normal(size=(outputs, count)) * np.exp(rng.uniform(-4, 6, count))).astype(dtype)
    z[:, 0], z[:, 1], z[0, 2], z[-1, 3] = 0.0, 300.0, 1e3, -1e3
    z[: outputs - 1, 4] = 17.0
    z[0, 5:12] = z[:, 5:12].max(axis=0) + np.array([5, 10, 20, 30, 50, 100, 800])
    return np.clip(z, -1e3, 1e3)


@pytest.mark.parametrize("outputs", [2, 3, 10])
def test_log_softmax(rng, outputs, dtype):
    z = units(rng, outputs, dtype)
    y, in_place = np.empty_like(z), z.copy()
    call_rows("log_softmax", z, y, y, VALUE)
    call_rows("log_softmax", in_place, in_place, y, VALUE)
    assert_array_equal(in_place, y)
    with mpmath.workdps(60):
        for s in range(z.shape[1]):
            exact = exact_log_softmax([mpf(x) for x in z[:, s].tolist()])
            second, greatest = np.sort(z[:, s])[-2:].tolist()
            for k in range(outputs):
                # The greatest is about -e**(second - greatest); the others are differences of numbers like z.
                top = z[k, s] == greatest
                size = abs(exact[k]) * (1 + greatest - second) if top else max(abs(exact[k]), abs(greatest))
                smallest = 64 * float(np.finfo(dtype).tiny)  # the sum leaves out what has no digits
                assert abs(mpf(float(y[k, s])) - exact[k]) <= 3 * EPSILON[dtype] * size + smallest, f"z {z[:, s]}"


def test_log_softmax_in_the_limit(dtype):
    z = np.full((3, PADDED), 1.0, dtype)
    z[1, 0], z[1, 1], z[2, 2] = -INF, INF, NAN
    y = np.empty_like(z)
    call_rows("log_softmax", z, y, y, VALUE)
    assert y[:, 0] == pytest.approx([-np.log(2), -INF, -np.log(2)], rel=EPSILON[dtype])
    assert np.isnan(y[:, 1:3]).all()
    assert y[:, 3:] == pytest.approx(np.full((3, PADDED - 3), -np.log(3)), rel=EPSILON[dtype])


def test_product_with_the_slope_of_log_softmax(rng, dtype):
    z = units(rng, 4, dtype)
    y, d = np.empty_like(z), rng.normal(size=z.shape).astype(dtype)
    call_rows("log_softmax", z, y, y, VALUE)
    product = d.copy()
    call_rows("log_softmax", z, y, product, TIMES_SLOPE)
    wide = z.astype(float)
    p = np.exp(wide - wide.max(axis=0))
    p = p / p.sum(axis=0)
    for s in range(z.shape[1]):
        jacobian = np.eye(4) - p[:, s]  # of y by z, [y, z]
        size = max(1.0, np.abs(wide[:, s]).max())
        assert product[:, s] == pytest.approx(jacobian.T @ d[:, s].astype(float), abs=20 * EPSILON[dtype] * size)


# Losses

LOSS_ROWS = ("cross_entropy_of_log_softmax", "focal_of_softmax")


def evaluate(name, z, y, t, weights, a=0.0, b=0.0):
    """(weighted sum of losses, d) for arrays (K, S) of whole vectors."""
    coupled = name in LOSS_ROWS
    function = getattr(row_losses if coupled else losses, name)

    def make():
        def of_rows(z, y, t, weights, d, settings, shape):
            rows = pointer(z), pointer(y), pointer(t), pointer(weights), pointer(d)
            return function(rows, pointer(settings), shape)

        def of_each(z, y, t, weights, d, settings, shape):
            rows = pointer(z), pointer(y), pointer(t), pointer(weights), pointer(d)
            return losses.each(function, rows, pointer(settings), shape)

        return of_rows if coupled else of_each

    outputs, samples = z.shape
    d = np.full(z.size, 7, z.dtype)
    settings = np.array([1.0] + [float(a), float(b)] * outputs)
    with np.errstate(all="ignore"):
        arrays = z.reshape(-1), y.reshape(-1), t.reshape(-1), weights, d, settings
        sum_ = compiled(name, make)(*arrays, (samples, samples, outputs))
    return sum_, d.reshape(z.shape)


def one_by_one(name, z, y, t, a=0.0, b=0.0):
    """(loss, derivative) of each of S samples, z, y and t (K, S): each with a weight of its own."""
    found = np.empty(z.shape[1])
    slopes = np.empty_like(z)
    for s in range(z.shape[1]):
        weights = np.zeros(PADDED, z.dtype)
        weights[0] = 1
        parts = [np.repeat(rows[:, s : s + 1], PADDED, axis=1) for rows in (z, y, t)]
        found[s], d = evaluate(name, *parts, weights, a, b)
        slopes[:, s] = d[:, 0]
        assert not d[:, 1:].any()
    return found, slopes


def softplus(x):
    return mpmath.log1p(mpmath.exp(x))


def exact_focal(z, t, a, b):
    share, other = (mpf(1), mpf(1)) if b < 0 else (b, 1 - b)
    one = share * t * mpmath.exp(-a * softplus(z)) * softplus(-z)
    return one + other * (1 - t) * mpmath.exp(-a * softplus(-z)) * softplus(z)


def exact_huber(y, t, a, b):
    e = abs(y - t)
    return e * e / 2 if e <= a else a * (e - a / 2)


# Losses by y, and those by z; x stands for what the derivative is by.
BY_Y = {
    "huber": exact_huber,
    "log_cosh": lambda y, t, a, b: mpmath.log(mpmath.cosh(y - t)),
    "quantile": lambda y, t, a, b: max(a * (t - y), (a - 1) * (t - y)),
    "poisson": lambda y, t, a, b: y - (t * mpmath.log(y) if t else 0),
    "gamma": lambda y, t, a, b: t / y + mpmath.log(y),
    "hinge": lambda y, t, a, b: max(mpf(0), 1 - (1 if t > 0 else -1) * y),
}
BY_Z = {
    "poisson_of_exponential": lambda z, t, a, b: mpmath.exp(z) - t * z,
    "gamma_of_exponential": lambda z, t, a, b: t * mpmath.exp(-z) + z,
    "focal_of_sigmoid": exact_focal,
}
SETTINGS = {
    "huber": [(1.0, 0.0), (0.25, 0.0)],
    "quantile": [(0.5, 0.0), (0.9, 0.0)],
    "focal_of_sigmoid": [(2.0, -1.0), (1.0, 0.25), (3.5, 0.75)],
}
CASES = [(name, *pair) for name in [*BY_Y, *BY_Z] for pair in SETTINGS.get(name, [(0.0, 0.0)])]


def targets_of(rng, name, count, dtype):
    if name == "hinge":
        return rng.choice([-1.0, 0.0, 1.0], count).astype(dtype)
    if name == "focal_of_sigmoid":
        return rng.choice([0.0, 1.0, 0.125], count).astype(dtype)
    if "poisson" in name:
        return np.floor(np.exp(rng.uniform(-1, 5, count))).astype(dtype)
    if "gamma" in name:
        return np.exp(rng.normal(size=count)).astype(dtype)
    return rng.normal(size=count).astype(dtype)


def points_of(rng, name, t, dtype):
    """Predictions, or z, for targets."""
    count = len(t)
    if name in ("poisson", "gamma"):
        x = np.exp(rng.uniform(-30, 10, count))
        return np.where(rng.random(count) < 0.3, t + 0.01 * x.clip(max=1) + 1e-3, x).astype(dtype)
    if name in BY_Z:
        x = rng.normal(size=count) * np.exp(rng.uniform(-4, 3, count))
        if name == "focal_of_sigmoid":
            x[:8] = [-1e3, 1e3, -100, 100, -30, 30, 0, 80]
        return np.clip(x, -80, 80).astype(dtype) if name != "focal_of_sigmoid" else x.astype(dtype)
    x = t + rng.normal(size=count) * np.exp(rng.uniform(-8, 6, count))
    x[:4] = [1e3, -1e3, t[2] + 1.3, t[3] - 1.3]
    return x.astype(dtype)


def sizes_of(name, z, t, a):
    """What the rounding errors of a value and a derivative are in proportion to, beside themselves."""
    if name == "poisson_of_exponential":
        return mpmath.exp(z) + abs(t * z), mpmath.exp(z) + t
    if name == "gamma_of_exponential":
        return t * mpmath.exp(-z) + abs(z), 1 + t * mpmath.exp(-z)
    if name == "poisson":
        return z + abs(t * mpmath.log(z)), 1 + t / z
    if name == "gamma":
        return t / z + abs(mpmath.log(z)), mpf(0)
    if name == "hinge":
        return mpf(1), mpf(0)
    return mpf(0), mpf(0)


def loss_errors(rng, name, a, b, dtype, count):
    """The errors of value and derivative over their sizes, in units of the dtype's epsilon."""
    exact = {**BY_Y, **BY_Z}[name]
    t = targets_of(rng, name, count, dtype)
    x = points_of(rng, name, t, dtype)
    y = activate("exponential", x)[0] if name.endswith("_of_exponential") else x
    found, slopes = one_by_one(name, x[np.newaxis], y[np.newaxis], t[np.newaxis], a, b)
    numbers_ = zip(x.tolist(), t.tolist(), found.tolist(), slopes[0].tolist(), strict=True)
    for number, target, value, slope in numbers_:
        of_value, of_slope = sizes_of(name, mpf(number), mpf(target), a)
        settings = mpf(target), mpf(a), mpf(b)
        truth = exact(mpf(number), *settings)
        e = abs(number - target)
        kink = {"huber": abs(e - a), "quantile": e, "hinge": abs(1 - abs(number))}.get(name, 1.0)
        rise = mpf(slope) if kink < 1e-9 else mpmath.diff(lambda x, s=settings: exact(x, *s), mpf(number))
        if name == "focal_of_sigmoid":
            # A power of a probability has as many more ulps as its logarithm; two summands go against each other.
            more = 1 + a * abs(number)
            parts = [mpmath.diff(lambda x, t=t: exact_focal(x, t, mpf(a), mpf(b)), mpf(number)) for t in (0, 1)]
            of_value = abs(truth) * more
            of_slope = (abs((1 - settings[0]) * parts[0]) + abs(settings[0] * parts[1])) * more
        floor = mpf(float(np.finfo(dtype).tiny)) * 1000 / EPSILON[dtype]
        errors = (
            abs(mpf(value) - truth) / max(of_value, abs(truth), floor),
            abs(mpf(slope) - rise) / max(of_slope, abs(rise), floor),
        )
        yield number, target, *(float(error) / EPSILON[dtype] for error in errors)


@pytest.mark.parametrize(
    ("name", "a", "b"), core(CASES, ("huber", 0.25, 0.0), ("log_cosh", 0.0, 0.0), ("focal_of_sigmoid", 3.5, 0.75))
)
@float64_in_the_core
def test_loss(rng, name, a, b, dtype):
    with mpmath.workdps(60):
        for number, target, of_value, of_slope in loss_errors(rng, name, a, b, dtype, 80):
            assert of_value <= 6, f"value at {number!r}, target {target!r}"
            assert of_slope <= 6, f"derivative at {number!r}, target {target!r}"


def exact_focal_of_softmax(z, t, a):
    logs = exact_log_softmax(z)
    parts = [mpmath.exp(log_p) for log_p in logs]
    others = [mpmath.fsum(parts[:k] + parts[k + 1 :]) for k in range(len(z))]
    return mpmath.fsum(-t[k] * others[k] ** a * logs[k] for k in range(len(z)))


def gradient_of(function, z):
    """Its derivatives by each of several numbers."""
    return [
        mpmath.diff(lambda x, k=k: function([*z[:k], x, *z[k + 1 :]]), z[k], h=mpf(10) ** -20)
        for k in range(len(z))
    ]


@pytest.mark.parametrize("outputs", core([2, 3, 10], 3))
@pytest.mark.parametrize(("name", "a"), [("cross_entropy_of_log_softmax", 0.0), ("focal_of_softmax", 1.0)])
def test_loss_of_rows(rng, name, a, outputs, dtype):
    check_loss_of_rows(rng, name, a, outputs, dtype)


@pytest.mark.parametrize("a", [2.0, 3.5])
def test_powers_of_focal(rng, a, dtype):
    check_loss_of_rows(rng, "focal_of_softmax", a, 3, dtype)


def check_loss_of_rows(rng, name, a, outputs, dtype):
    z = units(rng, outputs, dtype)[:, :24]
    t = np.zeros_like(z)
    t[rng.integers(outputs, size=24), np.arange(24)] = 1
    t[:, ::3] = rng.integers(0, 8, size=(outputs, 8)) / 8
    y = np.empty_like(padded(z))
    if name == "focal_of_softmax":
        call_softmax(padded(z), y)
    else:
        call_rows("log_softmax", padded(z), y, y, VALUE)
    found, slopes = one_by_one(name, z, y[:, :24], t, a)
    with mpmath.workdps(60):
        for s in range(24):
            column, target = [mpf(x) for x in z[:, s].tolist()], [mpf(x) for x in t[:, s].tolist()]

            def exact(x, target=target):
                if name == "focal_of_softmax":
                    return exact_focal_of_softmax(x, target, a)
                return mpmath.fsum(-u * log_p for u, log_p in zip(target, exact_log_softmax(x), strict=True))

            truth, rise = exact(column), gradient_of(exact, column)
            # The differences of z are off by as many ulps of 1 as they are large, and so are ln p, and p and q
            # relative to themselves; the sums over the outputs may be nearly 0.
            reach = 1 + float(np.abs(z[:, s]).max())
            mass = 1 + sum(target)
            tolerance = 4 * EPSILON[dtype] * reach * (1 + a) * mass
            assert abs(mpf(float(found[s])) - truth) <= tolerance * (1 if a == 0 else max(truth, mpf(1e-3)))
            for k in range(outputs):
                assert abs(mpf(float(slopes[k, s])) - rise[k]) <= tolerance, f"output {k} of z {z[:, s]}"


def call_softmax(z, y):
    """Overwrite y with the probabilities as the product computes them."""

    def make():
        def apply(z, y, shape, mode):
            row_activations.softmax(pointer(z), pointer(y), pointer(y), shape, mode)

        return apply

    units, samples = z.shape
    compiled("softmax", make)(z.reshape(-1), y.reshape(-1), (samples, samples, units), VALUE)


EXTREME = [-1e3, -999.5, -720, -110, -90, -50, -1, -0.0, 0.0, 1, 50, 90, 110, 720, 999.5, 1e3]


@pytest.mark.parametrize(("name", "a", "b"), CASES)
@float64_in_the_core
def test_extreme_predictions(name, a, b, dtype):
    """Finite, but where the loss is greater than the greatest number; never NaN."""
    z = np.array(EXTREME, dtype)
    by_exponential = name.endswith("_of_exponential")
    y = activate("exponential", z)[0] if by_exponential else np.abs(z) if name in ("poisson", "gamma") else z
    for target in (-1.0, 0.0, 1.0, 0.5):
        if target < 0 and ("focal" in name or "poisson" in name):
            continue
        if target <= 0 and "gamma" in name:
            continue
        found, slopes = one_by_one(name, z[np.newaxis], y[np.newaxis], np.full((1, 16), target, dtype), a, b)
        assert not np.isnan(found).any()
        assert not np.isnan(slopes).any()
        with mpmath.workdps(60), np.errstate(over="ignore"):
            for x, value in zip(y.tolist() if name in BY_Y else z.tolist(), found, strict=True):
                if x == 0.0 and name in ("poisson", "gamma"):
                    assert value == (0.0 if target == 0 else INF)
                    continue
                truth = float({**BY_Y, **BY_Z}[name](mpf(x), mpf(target), mpf(a), mpf(b)))
                assert np.isfinite(value) == np.isfinite(np.array(truth).astype(dtype)), f"{value} at {x}"


@pytest.mark.parametrize("name", LOSS_ROWS)
@pytest.mark.parametrize("a", [1.0, 2.0, 5.0])
def test_extreme_logits(name, a, dtype):
    z = np.zeros((3, PADDED), dtype)
    z[0], z[1], z[2] = EXTREME, EXTREME[::-1], 17.0
    y = np.empty_like(z)
    if name == "focal_of_softmax":
        call_softmax(z, y)
    else:
        call_rows("log_softmax", z, y, y, VALUE)
    for k in range(3):
        t = np.zeros_like(z)
        t[k] = 1
        found, slopes = one_by_one(name, z, y, t, a)
        assert np.isfinite(found).all()
        assert np.isfinite(slopes).all()
        assert (found >= 0).all()
        assert found.max() > 900
        assert np.abs(slopes.sum(axis=0)).max() < 10 * a * EPSILON[dtype] * 1e3


@pytest.mark.parametrize("name", [*BY_Y, *BY_Z, *LOSS_ROWS])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@float64_in_the_core
def test_rows_without_weight_do_not_leak(rng, name, bad, dtype):
    a, b = SETTINGS.get(name, [(2.0, 0.0)])[0]
    K, S = 3, 2 * PADDED
    z = rng.uniform(0.5, 2, size=(K, S)).astype(dtype)
    t = rng.integers(0, 2, size=(K, S)).astype(dtype)
    y = np.log(z / z.sum(axis=0)) if name in LOSS_ROWS[:1] else z / z.sum(axis=0)
    weights = rng.uniform(0.5, 2, size=S).astype(dtype)
    weights[[1, 20]] = 0
    plain = evaluate(name, z, y, t, weights, a, b)
    for at in (1, 20):
        z[:, at], y[1, at], t[2, at] = bad, bad, bad
    spoilt = evaluate(name, z, y, t, weights, a, b)
    assert np.isfinite(plain[0])
    assert plain[0] == spoilt[0]
    assert_array_equal(plain[1], spoilt[1])
    assert (plain[1][:, [1, 20]] == 0).all()


@pytest.mark.parametrize("name", [*BY_Y, *BY_Z, *LOSS_ROWS])
@float64_in_the_core
def test_nan_shows_in_a_loss(rng, name, dtype):
    a, b = SETTINGS.get(name, [(2.0, 0.0)])[0]
    z = rng.uniform(0.5, 2, size=(2, PADDED)).astype(dtype)
    z[:, 3] = NAN
    t = np.ones_like(z)
    sum_, d = evaluate(name, z, z, t, np.ones(PADDED, dtype), a, b)
    assert np.isnan(sum_)
    assert np.isnan(d).any(axis=0).tolist() == [s == 3 for s in range(PADDED)]


def test_kinks(dtype):
    """The derivatives where there are two: those of the agreement."""
    t = np.array([[0.0, 1.0, -1.0, 0.0]], dtype)

    def slope(name, y, a=0.0):
        y = np.array([y], dtype)
        return one_by_one(name, y, y, t[:, : y.shape[1]], a)[1][0].tolist()

    assert slope("quantile", [0.0, 1.0, -1.0, 0.5], 0.25) == [0, 0, 0, 0.75]
    assert slope("huber", [2.0, -1.0, -3.0, 0.0], 2.0) == [2, -2, -2, 0]
    assert slope("hinge", [-1.0, 1.0, -1.0, 0.5]) == [0, 0, 0, 1]
    assert slope("hinge", [0.5, 0.5, 0.5, -0.5]) == [1, -1, 1, 1]
