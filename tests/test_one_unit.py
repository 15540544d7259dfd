"""A layer of one unit goes back together with the layer before it, to the bits that they have one by one."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import plan
from fastnn.kernels import dense, layout
from tests.marks import slow

SIZES = [(1, 4, 1), (2, 4, 1), (3, 8, 1), (4, 8, 1), (7, 12, 1), (32, 4, 1)]
SIZES += [(2, 3, 4, 1), (1, 2, 8, 1), (5, 4, 1, 3, 1), (5, 4, 1, 8, 1)]


@pytest.fixture
def one_by_one(monkeypatch):
    """What a function gives while no layers go back together; that they do so otherwise has been seen."""

    def run(function):
        pairs, right = [], plan._pair

        def count(records):
            right(records)
            pairs.append(sum(int(record[layout.LAYER_PAIRED]) for record in records))
            for record in records:
                record[layout.LAYER_PAIRED] = 0

        with monkeypatch.context() as patched:
            patched.setattr(plan, "_pair", count)
            return function(), max(pairs)

    return run


def rows(rng, n, inputs, dtype):
    return rng.standard_normal((n, inputs)).astype(dtype), rng.standard_normal(n).astype(dtype)


@pytest.mark.parametrize("dtype", ["float64", slow("float32")])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_gradients_have_the_same_bits(rng, one_by_one, sizes, dtype):
    net = fastnn.mlp(sizes, activation="tanh", dtype=dtype, seed=1)
    for n in (3, 40, 900):  # less than a vector, one tile, several
        X, y = rows(rng, n, sizes[0], dtype)
        loss, gradient = net.loss_and_gradient(X, y)
        (expected_loss, expected), pairs = one_by_one(lambda: net.loss_and_gradient(X, y))  # noqa: B023
        assert pairs > 0
        assert loss == expected_loss
        np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize("sizes", [(dense.INPUT_BLOCK + 1, 4, 1), (2, 5, 1), (2, 4, 2), (2, 1)], ids=str)
def test_others_go_back_one_by_one(rng, one_by_one, sizes):
    net = fastnn.mlp(sizes, seed=1)
    X, y = rng.standard_normal((40, net.inputs)), rng.standard_normal((40, net.outputs))
    assert one_by_one(lambda: net.loss_and_gradient(X, y))[1] == 0


@pytest.mark.parametrize("frozen", [(), (0,), (1,), (2,), (0, 1), (1, 2)], ids=str)
def test_frozen_layers_stay_and_the_others_go_as_they_would(rng, one_by_one, frozen):
    X, y = rows(rng, 500, 2, "float64")

    def fit():
        layers = [fastnn.Dense(u, "tanh", trainable=i not in frozen) for i, u in enumerate((3, 4, 1))]
        net = fastnn.Sequential(layers, inputs=2, seed=3)
        before = net.parameters.copy()
        net.fit(X, y, epochs=5, optimizer=fastnn.SGD(0.1, momentum=0.5))
        for i in frozen:
            start = sum(layer.weights.size + layer.bias.size for layer in net.layers[:i])
            stop = start + net.layers[i].weights.size + net.layers[i].bias.size
            np.testing.assert_array_equal(net.parameters[start:stop], before[start:stop])
        return net.parameters.copy()

    expected, pairs = one_by_one(fit)
    assert pairs == (1 not in frozen and 2 not in frozen)
    np.testing.assert_array_equal(fit(), expected)


def test_what_is_no_dense_layer_goes_back_alone(rng, one_by_one):
    net = fastnn.Sequential(
        [fastnn.Dense(4, "tanh"), fastnn.LayerNormalization(), fastnn.Dense(1)], inputs=2, seed=1
    )
    X, y = rows(rng, 40, 2, "float64")
    assert one_by_one(lambda: net.loss_and_gradient(X, y))[1] == 0
