"""Dense layers: own arrays, initializers, views."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import Dense


def test_own_arrays_are_copied():
    weights, bias = np.ones((2, 3)), np.zeros(3)
    layer = Dense(3, weights=weights, bias=bias)
    net = fastnn.Sequential([layer], inputs=2)
    net.parameters = np.arange(9)
    assert_array_equal(weights, np.ones((2, 3)))
    assert_array_equal(bias, np.zeros(3))


@pytest.mark.parametrize(
    "form", [list, tuple, np.asfortranarray, lambda a: a.astype(">f4"), lambda a: a.astype(int)]
)
def test_own_arrays_in_any_form(form):
    weights = np.arange(6.0).reshape(2, 3)
    net = fastnn.Sequential([Dense(3, weights=form(weights), bias=form(weights[0]))], inputs=2, dtype="float32")
    assert_array_equal(net.layers[0].weights, weights)
    assert_array_equal(net.layers[0].bias, weights[0])


def test_own_bias_with_drawn_weights():
    net = fastnn.Sequential([Dense(2, bias=[5, 6])], inputs=3)
    assert_array_equal(net.layers[0].bias, [5, 6])
    assert net.layers[0].weights.any()


def test_layer_knows_where_its_weights_came_from():
    layers = [Dense(2, "relu"), Dense(2, initializer="zeros"), Dense(2, weights=np.ones((2, 2))), Dense(1)]
    net = fastnn.Sequential(layers, inputs=2)
    assert [layer.initializer for layer in net.layers] == ["he_uniform", "zeros", None, "glorot_uniform"]
    net = fastnn.Sequential([Dense(2, "relu"), Dense(1, initializer="zeros")], inputs=2, initializer="uniform")
    assert [layer.initializer for layer in net.layers] == ["uniform", "zeros"]


def test_before_it_is_built_it_has_no_weights():
    layer = Dense(3)
    assert not layer.is_built
    with pytest.raises(AttributeError, match="once it belongs to a network"):
        layer.bias = [1, 2, 3]
    fastnn.Sequential([layer], inputs=2)
    assert layer.is_built
    assert (layer.weights.shape, layer.bias.shape) == ((2, 3), (3,))


def test_repr():
    assert repr(Dense(3, "relu")) == "Dense(3, 'relu')"
