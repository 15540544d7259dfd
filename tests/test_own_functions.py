"""Activations and losses that people write themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import own_activation, own_loss
from tests.problems import EPSILON, JIT, largest_error, problem

SHIFT = 0.25


def bent(z):
    return (math.sqrt(z * z + 1.0) - 1.0) / 2.0 + z


def bent_slope(z):
    return z / (2.0 * math.sqrt(z * z + 1.0)) + 1.0


def my_tanh(z):
    return math.tanh(z)


def my_tanh_slope(z):
    return 1.0 - math.tanh(z) ** 2


def my_relu(z):
    if z > 0.0:
        return z
    return 0.0


def my_relu_slope(z):
    return 1.0 if z > 0.0 else 0.0


def square(p, t):
    return (p - t) ** 2


def square_slope(p, t):
    return 2.0 * (p - t)


def cauchy(p, t):
    return math.log(1.0 + (p - t) ** 2)


@pytest.fixture
def p(rng, dtype):
    """A problem whose hidden layer may be any."""
    return problem(rng, (3, 6, 2), 23, dtype=dtype, weighted=True)


def with_hidden(p, activation):
    """The network of a problem, with another hidden activation."""
    layers = [fastnn.Dense(6, activation), fastnn.Dense(2, p.output)]
    net = fastnn.Sequential(layers, inputs=3, dtype=p.dtype)
    net.parameters = p.parameters
    return net


# Numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_differences", [False, True])
def test_activation_is_as_fastnn_s_own(p, by_differences):
    own = own_activation(my_tanh, None if by_differences else my_tanh_slope)
    net, usual = with_hidden(p, own), p.net
    # float32: own functions are computed in float64 and rounded once; fastnn's are good to 2 last digits.
    assert largest_error(net.predict(p.X), usual.predict(p.X)) <= 8 * EPSILON[p.dtype]
    found, expected = (n.loss_and_gradient(*p.rows, sample_weight=p.weights) for n in (net, usual))
    # Differences are good to some 10 digits.
    bound = max(1e-9 if by_differences else 1e-14, 30 * EPSILON[p.dtype])
    assert found[0] == pytest.approx(expected[0], rel=30 * EPSILON[p.dtype])
    assert largest_error(found[1], expected[1]) <= bound
    histories = [n.fit(*p.rows, epochs=9, optimizer="adam", batch_size=5) for n in (net, usual)]
    assert histories[0].loss == pytest.approx(histories[1].loss, rel=1e3 * bound)


@pytest.mark.parametrize("by_differences", [False, True])
def test_loss_is_as_fastnn_s_own(p, by_differences):
    own = own_loss(square, None if by_differences else square_slope)
    net = p.net
    found, expected = (net.loss_and_gradient(*p.rows, loss=loss, sample_weight=p.weights) for loss in (own, "mse"))
    assert found[0] == pytest.approx(expected[0], rel=30 * EPSILON[p.dtype])
    assert largest_error(found[1], expected[1]) <= max(1e-9 if by_differences else 1e-13, 30 * EPSILON[p.dtype])
    history = net.fit(*p.rows, loss=own, epochs=5, validation_split=0.3, metrics=["mse"], batch_size=4)
    assert history.metrics["mse"] == pytest.approx(history.loss, rel=1e-6)


def test_gradients_are_those_of_the_reported_loss(rng):
    p = problem(rng, (3, 6, 2), 23)
    net = with_hidden(p, own_activation(bent, bent_slope))
    assert fastnn.check_gradients(net, *p.rows, loss=own_loss(cauchy)) < 1e-6


def test_weights_of_0_are_not_looked_at(p):
    own = own_loss(lambda _, t: math.log(t), lambda _, t: 0.0, name="logarithm")
    X, y = p.X[:3], np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 1.0]])
    assert p.net.evaluate(X, y, loss=own, sample_weight=[1, 0, 1]) == pytest.approx(math.log(2) / 4)


def test_outputs_and_several_at_once(rng):
    one, other = own_activation(bent, bent_slope), own_activation(my_relu, my_relu_slope)
    layers = [fastnn.Dense(4, one), fastnn.LayerNormalization(), fastnn.Dense(3, other), fastnn.Dense(1, one)]
    net = fastnn.Sequential(layers, inputs=2)
    X = rng.normal(size=(30, 2))
    history = net.fit(X, X[:, 0], epochs=20, optimizer=fastnn.Adam(0.05), loss=own_loss(cauchy))
    assert history.loss[-1] < history.loss[0]
    assert [layer.activation for layer in net.layers if isinstance(layer, fastnn.Dense)] == [
        "bent",
        "my_relu",
        "bent",
    ]
    assert "4 bent" in repr(net)


def test_initializer_and_natural_output():
    own = own_activation(bent, bent_slope, initializer="he_normal", name="bent_2")
    net = fastnn.Sequential([fastnn.Dense(4, own), fastnn.Dense(1)], inputs=2)
    assert net.layers[0].initializer == "he_normal"
    assert net.layers[0].activation == "bent_2"
    assert own_loss(square, natural="sigmoid").natural == "sigmoid"


def test_constants_from_around(rng):
    inner = 3.0

    def scaled(z):
        return inner * z + SHIFT

    def scaled_slope(z):
        return inner

    p = problem(rng, (3, 6, 2), 9)
    net = with_hidden(p, own_activation(scaled, scaled_slope))
    hidden = 3.0 * (p.X @ net.layers[0].weights + net.layers[0].bias) + SHIFT
    assert net.predict(p.X) == pytest.approx(hidden @ net.layers[1].weights + net.layers[1].bias, rel=1e-13)


def test_an_array_from_around(rng):
    table = np.array([0.5, 2.0])

    def scaled(z):
        return table[1] * z

    def slope(z):
        return table[1]

    net = fastnn.Sequential([fastnn.Dense(1, fastnn.own_activation(scaled, slope))], inputs=1, initializer=1.0)
    assert_array_equal(net.predict([[3.0], [4.0]]), [[6.0], [8.0]])


def test_functions_that_differ_in_their_defaults_alone():
    """Long arrays look alike when they are printed."""

    def with_default(table):
        def scaled(z, t=table):
            return z * t[1000]

        return fastnn.own_activation(scaled)

    def predicted(activation):
        net = fastnn.Sequential([fastnn.Dense(1, activation)], inputs=1, initializer=1.0)
        return net.predict([[3.0], [4.0]]).tolist()

    one, other = np.zeros(2000), np.zeros(2000)
    one[1000], other[1000] = 0.5, 2.0
    assert predicted(with_default(one)) == [[1.5], [2.0]]
    assert predicted(with_default(other)) == [[6.0], [8.0]]


def test_numpy_functions(rng):
    p = problem(rng, (3, 6, 2), 9)
    net = with_hidden(p, own_activation(lambda z: np.tanh(z), lambda z: 1.0 - np.tanh(z) ** 2, name="by_numpy"))
    assert largest_error(net.predict(p.X), p.net.predict(p.X)) <= 1e-14


# Files -----------------------------------------------------------------------------------------------


def test_saved_and_loaded(tmp_path, p):
    own = own_activation(bent, bent_slope)
    net = with_hidden(p, own)
    net.save(tmp_path / "net.npz")
    with pytest.raises(ValueError, match=r"net.npz has a layer with activation 'bent', .* activations=\[own"):
        fastnn.load(tmp_path / "net.npz")
    again = fastnn.load(tmp_path / "net.npz", activations=[own])
    assert_array_equal(again.predict(p.X), net.predict(p.X))
    assert again.layers[0].activation == "bent"


def test_layers_of_it_are_copied(p):
    net = with_hidden(p, own_activation(bent, bent_slope))
    copied = fastnn.Sequential([net.layers[0].copy(), fastnn.Dense(1)], inputs=3, dtype=p.dtype)
    assert copied.layers[0].activation == "bent"
    assert_array_equal(copied.layers[0].weights, net.layers[0].weights)


CACHED = """
import math
import fastnn

def bent(z):
    return (math.sqrt(z * z + 1.0) - {number}) / 2.0 + z

def slope(z):
    return z / (2.0 * math.sqrt(z * z + 1.0)) + 1.0

net = fastnn.Sequential([fastnn.Dense(1, fastnn.own_activation(bent, slope), weights=[[1.0]])], inputs=1)
print(net.predict([[1.0]])[0, 0])
"""


@pytest.mark.slow
@pytest.mark.compiled
def test_it_is_kept_on_disk(run_python, tmp_path):
    def run(number):
        found = run_python(CACHED.format(number=number), NUMBA_CACHE_DIR=str(tmp_path)).stdout
        return float(found), len(list(tmp_path.rglob("*.nbc")))

    first, second, edited = run(1.0), run(1.0), run(2.0)
    assert first[0] == second[0] == pytest.approx(math.sqrt(2) / 2 - 0.5 + 1.0)
    assert edited[0] == pytest.approx(math.sqrt(2) / 2)
    assert first[1] == second[1] > 0  # nothing was compiled
    assert edited[1] == second[1] + 1  # another function is not taken for it


@pytest.mark.skipif(not JIT, reason="needs Numba's compiler")
def test_compiled_functions_are_taken_too(rng):
    numba = pytest.importorskip("numba")
    p = problem(rng, (3, 6, 2), 9)
    net = with_hidden(p, own_activation(numba.njit(my_tanh), numba.njit(my_tanh_slope)))
    assert largest_error(net.predict(p.X), p.net.predict(p.X)) <= 1e-14
