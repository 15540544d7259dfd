"""The worked examples of the textbooks, in fastnn and in its reference alike.

Circle, the neuron and the straight line are the classic first programs; the layer, softmax and
loss figures are those of "Deep Learning from Scratch" (Saito, 2016); the eight numbers with their
targets [1, 0, 0, 1] are those of "Machine Learning for Beginners" (Zhou, 2019).
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn
import reference
from tests.marks import core


@pytest.fixture(params=[reference, fastnn], ids=lambda module: module.__name__)
def library(request):
    """The module under test; both have the same face."""
    return request.param


# Circle


@pytest.fixture
def circle_net(library):
    """[2, 4, 1], sigmoid throughout, weights uniform in ±½ from seed 0."""
    layers = [library.Dense(4, "sigmoid"), library.Dense(1, "sigmoid")]
    return library.Sequential(layers, inputs=2, initializer="uniform", seed=0)


def test_circle_starts_from_the_textbooks_weights(circle_net):
    assert_allclose(circle_net.predict([[0, 0]]), [[0.5588236746843033]], rtol=1e-14)


@pytest.mark.parametrize("library", core([fastnn, reference], fastnn), ids=["fastnn", "reference"], indirect=True)
def test_circle_is_learnt_in_2000_epochs(library, circle_net, capsys):
    X, y = library.datasets.circle(density=10)
    history = circle_net.fit(X, y, epochs=2000, optimizer=library.SGD(10.0), log_every=100)

    assert (history.status, history.epochs, len(history.loss)) == ("finished", 2000, 2000)
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in lines] == [1, *range(100, 2001, 100)]
    expected = {"1 0.2919", "100 0.1420", "200 0.0663", "500 0.0202", "1000 0.0103", "2000 0.0035"}
    assert expected <= set(lines)
    assert_allclose(circle_net.predict([[1, 2]]), [[7.4239e-06]], rtol=1e-4)
    inside = np.ravel(circle_net.predict(X)) > 0.5
    assert np.array_equal(inside, np.asarray(y) == 1.0)


def test_circle_step_by_step_is_the_same_as_fit(library, circle_net):
    X, y = library.datasets.circle(density=10)
    losses = []
    for _ in range(100):
        circle_net.zero_grad()
        error = np.asarray(circle_net.forward(X)) - np.reshape(y, (-1, 1))
        losses.append(np.mean(error**2))
        circle_net.backward(2 * error / len(error))
        circle_net.update(learning_rate=10.0)
    assert [f"{losses[i]:.4f}" for i in (0, 99)] == ["0.2919", "0.1420"]


def test_mlp_is_the_short_form(library, circle_net):
    short = library.mlp([2, 4, 1], output="sigmoid", initializer="uniform", seed=0)
    assert list(short.parameters) == list(circle_net.parameters)


# One layer


@pytest.mark.parametrize(
    ("activation", "expected", "rtol"),
    [
        ("identity", [0.3, 0.7, 1.1], 1e-12),
        ("sigmoid", [0.57444252, 0.66818777, 0.75026011], 1e-8),
        ("softmax", [0.21198272, 0.31624106, 0.47177622], 2e-8),
    ],
)
def test_layer_with_weights_and_bias(library, activation, expected, rtol):
    W1, B1 = [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]], [0.1, 0.2, 0.3]
    layer = library.Dense(3, activation, weights=W1, bias=B1)
    net = library.Sequential([layer], inputs=2)
    assert_allclose(net.predict([[1.0, 0.5]]), [expected], rtol=rtol)
    assert_allclose(net.layers[0].weights, W1)
    assert_allclose(net.layers[0].bias, B1)


def test_layer_is_a_matrix_product(library):
    layer = library.Dense(3, weights=[[1, 3, 5], [2, 4, 6]])
    net = library.Sequential([layer], inputs=2)
    assert_allclose(net.predict([[1, 2]]), [[5, 11, 17]], rtol=0)


def test_neuron(library):
    layer = library.Dense(1, "sigmoid", weights=[[0], [1]], bias=[4])
    net = library.Sequential([layer], inputs=2)
    assert_allclose(net.predict([[2, 3]]), [[0.9990889488055994]], rtol=1e-15)


# Losses of given predictions


@pytest.mark.parametrize(("loss", "expected"), [("half_sse", 0.0975), ("cross_entropy", 0.510825457099338)])
def test_loss_against_class_2(library, loss, expected):
    predictions = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]
    target = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert getattr(library.losses, loss)(predictions, target) == pytest.approx(expected, rel=1e-14)


# Numerical derivatives


@pytest.mark.parametrize(("x", "expected"), [(5, 0.1999999999990898), (10, 0.2999999999986347)])
def test_numerical_diff(library, x, expected):
    slope = library.numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, x)
    assert slope == pytest.approx(expected, rel=1e-15)


def test_tangent_line(library):
    line = library.tangent_line(lambda x: 0.01 * x**2 + 0.1 * x, 5)
    # f(5) = 0.75 and f'(5) = 0.2
    assert [line(0), line(5), line(10)] == pytest.approx([-0.25, 0.75, 1.75], rel=1e-9)


def test_numerical_gradient(library):
    gradient = library.numerical_gradient(lambda x: x[0] ** 2 + x[1] ** 2, [3, 4])
    assert_allclose(gradient, [6, 8], rtol=1e-10)


# Training, one sample at a time


def test_xor(library):
    X, y = library.datasets.xor()
    net = library.mlp([2, 2, 1], output="sigmoid", initializer="normal", seed=0)
    text = net.fit(X, y, epochs=1000, batch_size=1, optimizer=library.SGD(0.1), shuffle=False, log_every=100)
    assert_allclose([text.loss[0], text.loss[-1]], [0.322898337042, 0.145596440291], rtol=1e-9)
    # 1,000 epochs at rate 0.1 are not enough: more, with a higher rate, are.
    more = net.fit(X, y, epochs=2000, batch_size=1, optimizer=library.SGD(1.0), shuffle=False)
    assert more.loss[-1] < 1e-3
    assert np.round(np.ravel(net.predict(X))).tolist() == [0, 1, 1, 0]


def test_four_people(library, capsys):
    X, y = [[-2, -1], [25, 6], [17, 4], [-15, -6]], [1, 0, 0, 1]
    net = library.mlp([2, 2, 1], output="sigmoid", initializer="normal", seed=0)
    history = net.fit(X, y, epochs=1000, batch_size=1, optimizer=library.SGD(0.1), shuffle=False, log_every=10)
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in lines] == [1, *range(10, 1001, 10)]
    assert lines[-1] == "1000 0.0016"
    assert history.loss[-1] < 0.002 < history.loss[0]
    assert np.round(np.ravel(net.predict(X))).tolist() == y


def test_straight_line(library):
    X, y = [[1], [2], [3], [4], [5]], [1, 2, 3, 4, 5]
    net = library.Sequential([library.Dense(1, weights=[[2]], bias=[1])], inputs=1)
    net.fit(X, y, epochs=1000, optimizer=library.SGD(0.05))
    assert_allclose(net.parameters, [1, 0], atol=1e-6)
