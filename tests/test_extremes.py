"""Numbers near the ends of what a dtype holds, against mpmath with digits enough: a network of one weight 1."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
from tests.problems import EPSILON

DTYPES = ["float64", "float32"]


def through(*layers, inputs=1, dtype="float64"):
    """A network whose Dense layers pass their inputs on to their activations."""
    return fastnn.Sequential(layers, inputs=inputs, dtype=dtype)


def passing(units, activation="identity"):
    return fastnn.Dense(units, activation, weights=np.eye(units))


def poisson(z, t):
    return mpmath.log1p(mpmath.exp(z)) - t * mpmath.log(mpmath.log1p(mpmath.exp(z)))


def gamma(z, t):
    return t / mpmath.log1p(mpmath.exp(z)) + mpmath.log(mpmath.log1p(mpmath.exp(z)))


@pytest.mark.parametrize("exact", [poisson, gamma], ids=lambda exact: exact.__name__)
@pytest.mark.parametrize(
    ("dtype", "places"),
    [("float64", (-740, -370, -41, -39, -5, 0, 3, 50)), ("float32", (-100, -44, -21, -19, -5, 0, 3, 50))],
)
def test_losses_of_softplus_outputs(exact, dtype, places):
    for z in places:
        if exact is gamma and z < (-400 if dtype == "float64" else -60):  # beyond what the dtype holds
            continue
        found, gradient = through(passing(1, "softplus"), dtype=dtype).loss_and_gradient(
            [[z]], [3.0], loss=exact.__name__
        )
        with mpmath.workdps(700):
            expected, slope = exact(mpf(z), 3), mpmath.diff(lambda at: exact(at, 3), mpf(z), h=mpf(10) ** -300)
        size = max(1.0, abs(float(z)))  # the sum of parts of that size
        assert found == pytest.approx(float(expected), rel=8 * EPSILON[dtype], abs=8 * size * EPSILON[dtype])
        assert gradient[1] == pytest.approx(float(slope), rel=8 * EPSILON[dtype], abs=8 * EPSILON[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_silu_far_below_0(dtype):
    most = float(np.finfo(dtype).max)
    net = through(passing(1, "silu"), dtype=dtype)
    below, slopes = net.predict([[-most], [-1e30]]), net.jacobian([[-most], [-1e30]])
    assert_array_equal(below, [[0], [0]])
    assert_allclose(slopes.ravel(), 0, atol=1e-37)
    near = -86.0 if dtype == "float32" else -700.0
    assert_allclose(net.predict([[near]]), near * np.exp(near), rtol=4 * EPSILON[dtype])


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e20), ("float32", 4e37), ("float64", 1e160), ("float64", 2e307)]
)
def test_layer_normalization_whose_squares_overflow(dtype, size):
    """Rows beside them, in the same vector, keep their bits."""
    net = through(fastnn.LayerNormalization(), passing(3), inputs=3, dtype=dtype)
    X = np.array([[1.0, 2.0, 4.0], [0.1, -0.5, 0.2]])
    alone = net.predict(X[1:])
    found = net.predict(X * [[size], [1.0]])
    exact = (X[0] - X[0].mean()) / X[0].std()
    assert_allclose(found[0], exact, rtol=8 * EPSILON[dtype])
    assert_array_equal(found[1:], alone)
    slopes = net.jacobian(X * [[size], [1.0]])[0] * size
    assert_allclose(
        slopes, (np.eye(3) - 1 / 3 - np.outer(exact, exact) / 3) / X[0].std(), atol=16 * EPSILON[dtype]
    )


@pytest.mark.parametrize(
    ("output", "loss"),
    [("softmax", "cross_entropy"), ("log_softmax", "cross_entropy"), ("softmax", "focal")],
)
@pytest.mark.parametrize("label", [0, 1])
def test_infinite_logits_are_seen(output, loss, label):
    net = fastnn.Sequential([fastnn.Dense(2, output, weights=[[0.0, -1e155]])], inputs=1)
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        assert net.fit([[1e155]], [label], loss=loss).status == "diverged"


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e7, 1e9])
def test_spread_of_a_layer_with_a_large_mean(rng, mean):
    X = rng.normal(size=(500, 1))
    net = fastnn.Sequential([fastnn.Dense(1, weights=[[1.0]], bias=[mean])], inputs=1)
    layer = fastnn.diagnose(net, X, X + mean).layers[0]
    assert layer.spread == pytest.approx(float((X + mean).std()), rel=1e-12)
    assert layer.mean == pytest.approx(float((X + mean).mean()), rel=1e-12)
