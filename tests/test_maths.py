"""Errors of the vector maths in ulps, over the whole range, against more digits.

Dense samples are compared with NumPy's long double where its 64 bits of significand are worth it, which is
on machines that have it; a few thousand points with mpmath everywhere.
"""

from __future__ import annotations

import mpmath
import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnn.kernels import maths
from fastnn.kernels.jit import FLAGS, inlined
from fastnn.kernels.simd import load, pointer, store, width
from tests.marks import core
from tests.problems import JIT

Long = np.longdouble
LONG = np.finfo(Long).nmant >= 63  # 11 bits more than float64: its own error of 1 ulp counts 0.0005
POINTS = 1 << 18 if JIT else 1 << 12
FEW = 1500 if JIT else 300

ULPS = {"exp": 1, "sigmoid": 2, "tanh": 2, "softplus": 2, "log": 2, "log1p": 2, "expm1": 2, "erfc": 4}
ULPS |= {"sine": 1.5, "cosine": 1.5}
if not JIT:
    # A fused multiply-add is then a product and a sum, each rounded, and erfc needs what the square of its
    # argument loses in rounding: about x² = 700 ulp at the end of its range.
    ULPS["erfc"] = 2000

mpmath.mp.dps = 50

EXACT = {
    "exp": mpmath.exp,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "expm1": mpmath.expm1,
    "erfc": mpmath.erfc,
    "sine": mpmath.sin,
    "cosine": mpmath.cos,
}


def long_softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# erfc is not in NumPy.
IN_LONG_DOUBLE = {
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": long_softplus,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "sine": np.sin,
    "cosine": np.cos,
}

# Where the result is neither 0 nor 1 nor infinite. sigmoid is never less than e**-708 (e**-87), and expm1, sine
# and cosine are made for these ranges only.
RANGES = {
    "exp": {"float64": (-745.2, 709.78), "float32": (-103.9, 88.72)},
    "sigmoid": {"float64": (-707.9, 40), "float32": (-86.9, 20)},
    "tanh": {"float64": (-22, 22), "float32": (-10, 10)},
    "softplus": {"float64": (-707.9, 800), "float32": (-86.9, 100)},
    "log": {"float64": (5e-324, 1.79e308), "float32": (1e-45, 3.4e38)},
    "log1p": {"float64": (0, 1e6), "float32": (0, 1e6)},
    "expm1": {"float64": (-80, 80), "float32": (-80, 80)},
    "erfc": {"float64": (-6, 26.54), "float32": (-4, 9.19)},
    "sine": {"float64": (-1.6e6, 1.6e6), "float32": (-1600, 1600)},
    "cosine": {"float64": (-1.6e6, 1.6e6), "float32": (-1600, 1600)},
}


@inlined
def sine(x):
    return maths.sine_and_cosine(x)[0]


@inlined
def cosine(x):
    return maths.sine_and_cosine(x)[1]


PARTS = {"sine": sine, "cosine": cosine}


def evaluate(name, x):
    """A function of maths.py on an array, compiled as kernels are."""
    if (name, x.dtype) not in _compiled:
        function = PARTS[name] if name in PARTS else getattr(maths, name)

        def apply(a, b):
            p, q = pointer(a), pointer(b)
            for i in range(0, len(a), width(p)):
                store(q, i, function(load(p, i)))

        _compiled[name, x.dtype] = numba.njit(**FLAGS)(apply)
    padded = np.resize(x, -(-len(x) // 64) * 64)  # whole vectors of any machine
    y = np.empty_like(padded)
    with np.errstate(all="ignore"):
        _compiled[name, x.dtype](padded, y)
    return y[: len(x)]


_compiled = {}


def samples(rng, name, dtype, count):
    """Numbers over the whole range, around 0, around 1, and of all magnitudes down to subnormal ones."""
    low, high = RANGES[name][dtype]
    tiny = np.log(float(np.finfo(dtype).smallest_subnormal))
    quarter = count // 4
    magnitudes = np.exp(rng.uniform(tiny, np.log(high), quarter))
    if name == "log":
        parts = [
            magnitudes,
            rng.uniform(0.5, 2, quarter),
            1 + 1e-3 * rng.normal(size=quarter),
            rng.uniform(0, 1e5, quarter),
        ]
    elif name == "log1p":
        parts = [rng.uniform(0, 1, 2 * quarter), rng.uniform(low, high, quarter), magnitudes]
    else:
        parts = [
            rng.uniform(low, high, quarter),
            rng.normal(size=quarter),
            rng.uniform(-4, 4, quarter),
            magnitudes * rng.choice([-1, 1], quarter),
        ]
    with np.errstate(under="ignore", over="ignore"):
        x = np.clip(np.concatenate(parts), low, high).astype(dtype)
    x[:2] = np.array([low, high], dtype)
    return x[np.isfinite(x)]


def in_ulps(y, exact, dtype):
    """Distance to long doubles, in units of the last place of a result in this dtype."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = exact.astype(dtype)
    # What rounds to infinity is measured with the last place of the largest number.
    last_place = np.spacing(np.minimum(np.abs(rounded), np.finfo(dtype).max)).astype(Long)
    return np.abs(y.astype(Long) - exact) / last_place


@pytest.mark.skipif(not LONG, reason="long double has no more digits than float64 here")
@pytest.mark.parametrize("name", IN_LONG_DOUBLE)
def test_dense_samples(rng, name, dtype):
    x = samples(rng, name, dtype, POINTS)
    y = evaluate(name, x)
    with np.errstate(over="ignore", under="ignore"):
        errors = in_ulps(y, IN_LONG_DOUBLE[name](x.astype(Long)), dtype)
    worst = np.argmax(np.where(np.isnan(errors), np.inf, errors))
    assert errors[worst] <= ULPS[name], f"at {x[worst]!r} it is {y[worst]!r}"


@pytest.mark.parametrize("name", EXACT)
def test_points_with_many_digits(rng, name, dtype):
    x = samples(rng, name, dtype, FEW)
    y = evaluate(name, x)
    for number, found in zip(x, y, strict=True):
        exact = EXACT[name](mpmath.mpf(float(number)))
        last_place = mpmath.mpf(float(np.spacing(np.abs(np.asarray(float(exact)).astype(dtype)))))
        assert abs(mpmath.mpf(float(found)) - exact) <= ULPS[name] * last_place, f"at {number!r} it is {found!r}"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gauge_finds_an_error_of_one_ulp_more(rng, dtype):
    """The check itself: moved by 3 last places, sigmoid fails, and by none it is right to half of one."""
    if not LONG:
        pytest.skip("long double has no more digits than float64 here")
    x = rng.uniform(-5, 5, 100).astype(dtype)
    exact = IN_LONG_DOUBLE["sigmoid"](x.astype(Long))
    right = exact.astype(dtype)
    assert in_ulps(right, exact, dtype).max() <= 0.5
    assert in_ulps(right + 3 * np.spacing(right), exact, dtype).min() > 2


NAN, INF = np.nan, np.inf
LIMITS = {  # x: expected, exactly
    "exp": {NAN: NAN, INF: INF, -INF: 0, 0.0: 1, 1e4: INF, -1e4: 0, 1e30: INF, -1e30: 0},
    "sigmoid": {NAN: NAN, INF: 1, 0.0: 0.5, 1e4: 1, 1e30: 1},
    "tanh": {NAN: NAN, INF: 1, -INF: -1, 0.0: 0.0, 1e4: 1, -1e4: -1, 1e30: 1, -1e30: -1},
    "softplus": {NAN: NAN, 0.0: np.log(2), INF: INF, -INF: 0, 1e4: 1e4, -1e4: 0, 1e30: 1e30, -1e30: 0},
    "log": {NAN: NAN, INF: INF, -INF: NAN, 0.0: -INF, 1.0: 0, -1.0: NAN},
    "log1p": {0.0: 0.0, NAN: NAN},
    "expm1": {0.0: 0.0, NAN: NAN},
    "sine": {0.0: 0.0, NAN: NAN},
    "cosine": {0.0: 1.0, NAN: NAN},
    "erfc": {NAN: NAN, INF: 0, -INF: 2, 0.0: 1, 1e4: 0, -1e4: 2, 1e30: 0, -1e30: 2},
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name, dtype):
    x = np.array([*LIMITS[name], -NAN, -0.0], dtype)
    expected = np.array([*LIMITS[name].values(), NAN, LIMITS[name][0.0]], dtype)
    assert_array_equal(evaluate(name, x), expected)


@pytest.mark.parametrize("name", ["tanh", "sine"])
def test_sign_of_0_survives(name, dtype):
    assert np.signbit(evaluate(name, np.array([-0.0, 0.0], dtype))).tolist() == [True, False]


def test_sine_and_cosine_of_the_nearest_to_their_zeros(rng, dtype):
    """Where least is left of x after the multiples of pi/2: every digit of the rest counts."""
    most = int({"float64": 1.6e6, "float32": 1600}[dtype] * 2 / np.pi)
    multiples = np.unique(np.append(rng.integers(1, most, FEW), [1, 2, 3, 355, most]))
    x = np.array([float(int(k) * mpmath.pi / 2) for k in multiples[multiples <= most]]).astype(dtype)
    for name in ("sine", "cosine"):
        for number, found in zip(x.tolist(), evaluate(name, x).tolist(), strict=True):
            exact = EXACT[name](mpmath.mpf(number))
            last_place = mpmath.mpf(float(np.spacing(np.abs(np.asarray(float(exact)).astype(dtype)))))
            assert abs(mpmath.mpf(found) - exact) <= last_place, f"{name} at {number!r} is {found!r}"


@pytest.mark.parametrize("k", core([0.5, 1.0, 2.0, 3.7], 0.5, 3.7))
def test_power(rng, k, dtype):
    @inlined
    def power(x):
        return maths.power(x, k)

    PARTS[f"power {k}"] = power
    least = {"float64": -600.0, "float32": -70.0}[dtype] / max(k, 1)
    x = np.exp(np.append(rng.uniform(least, 0, FEW), rng.uniform(-1, 0, FEW))).astype(dtype)
    y = evaluate(f"power {k}", x)
    exact = [mpmath.mpf(number) ** k for number in x.tolist()]
    for number, found, right in zip(x.tolist(), y.tolist(), exact, strict=True):
        ulps = 2 + abs(float(mpmath.log(right)))
        assert abs(mpmath.mpf(found) - right) <= ulps * right * float(np.finfo(dtype).eps), f"at {number!r}"
    assert_array_equal(evaluate(f"power {k}", np.array([0.0, 1.0, NAN], dtype)), np.array([0, 1, NAN], dtype))


def test_sigmoid_stays_above_0(dtype):
    least = {"float64": -708.0, "float32": -87.0}[dtype]
    y = evaluate("sigmoid", np.array([least, least - 1, -1e30, -INF], dtype))
    assert (y == y[0]).all()
    assert float(y[0]) == pytest.approx(np.exp(least), rel=1e-6)
    assert y[0] >= np.finfo(dtype).tiny


def test_subnormal_results_and_arguments(dtype):
    smallest = np.finfo(dtype).smallest_subnormal
    x = np.array([smallest, 3 * smallest, np.finfo(dtype).tiny], dtype)
    assert_array_equal(evaluate("tanh", x), x)
    assert_array_equal(evaluate("expm1", x), x)
    assert_array_equal(evaluate("log1p", x), x)
    assert_array_equal(evaluate("exp", x), [1, 1, 1])
    assert evaluate("log", x).tolist() == pytest.approx([float(mpmath.log(float(v))) for v in x], rel=1e-6)
    rising = evaluate(
        "exp", np.linspace(*{"float64": (-744.9, -709), "float32": (-103.8, -88)}[dtype], 50).astype(dtype)
    )
    assert (np.diff(rising) >= 0).all()
    assert 0 < rising[0] < np.finfo(dtype).tiny


@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh", "softplus"])
def test_rises_from_end_to_end(name, dtype):
    x = np.linspace(-800, 800, 4001).astype(dtype)
    y = evaluate(name, x)
    # On a plateau one result may be 2 ulp too large and the next 2 too small.
    slack = 4 * np.finfo(dtype).eps * np.minimum(np.abs(y[:-1]), np.finfo(dtype).max)
    assert (y[1:] >= y[:-1] - slack).all()
