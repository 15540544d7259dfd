"""Initial weights: the reference's draws, and their distributions."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
import reference
from fastnn.activations import ACTIVATIONS
from fastnn.initializers import INITIALIZERS, RandomStream


@pytest.mark.parametrize("name", [None, *INITIALIZERS, 0.25, -3])
@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**63 - 1])
def test_draws_of_the_reference(name, seed):
    # NumPy's and the C library's log, cos and sqrt may differ in the last digit.
    nets = [
        library.mlp([3, 7, 5, 2], activation="relu", initializer=name, seed=seed)
        for library in (fastnn, reference)
    ]
    # LAPACK makes rows orthonormal by reflections, and the reference one after the other: some roundings apart.
    bound = 1e-14 if name == "orthogonal" else 1e-15
    assert_allclose(nets[0].parameters, nets[1].parameters, rtol=bound, atol=bound)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if not ACTIVATIONS[name].coupled])
def test_default_draws_of_the_reference(activation):
    nets = [
        library.mlp([3, 4, 2], activation=activation, output=activation, seed=5) for library in (fastnn, reference)
    ]
    assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-15, atol=1e-15)


def test_one_stream_through_layers_that_draw_nothing():
    def net(library):
        layers = [
            library.Dense(3, initializer="normal"),
            library.Dense(2, weights=[[1, 2], [3, 4], [5, 6]]),
            library.Dense(2, initializer="zeros"),
            library.Dense(2, initializer=0.5),
            library.Dense(3, initializer="uniform", bias=[1, 2, 3]),
        ]
        return library.Sequential(layers, inputs=4, seed=9)

    assert_allclose(net(fastnn).parameters, net(reference).parameters, rtol=1e-15, atol=1e-15)


def test_float32_weights_are_the_rounded_ones():
    one, other = (fastnn.mlp([5, 9, 2], seed=3, dtype=dtype) for dtype in ("float64", "float32"))
    assert_array_equal(one.parameters.astype(np.float32), other.parameters)


@pytest.mark.parametrize("seed", [0, 12345, 2**63 - 1])
def test_stream_is_the_standard_library_s(seed):
    stream, r = RandomStream(seed), Random(seed)
    assert stream.uniform(1000).tolist() == [r.random() for _ in range(1000)]
    assert stream.uniform(3).tolist() == [r.random() for _ in range(3)]


SPREAD = {  # standard deviation, and the largest there may be
    "uniform": (math.sqrt(1 / 12), 0.5),
    "normal": (1.0, math.inf),
    "glorot_uniform": (math.sqrt(2 / 300), math.sqrt(6 / 300)),
    "glorot_normal": (math.sqrt(2 / 300), math.inf),
    "he_uniform": (math.sqrt(2 / 100), math.sqrt(6 / 100)),
    "he_normal": (math.sqrt(2 / 100), math.inf),
    "lecun_uniform": (math.sqrt(1 / 100), math.sqrt(3 / 100)),
    "lecun_normal": (math.sqrt(1 / 100), math.inf),
    "orthogonal": (math.sqrt(1 / 200), 1.0),  # each of 100 columns has length 1 in 200 rows
    "zeros": (0.0, 0.0),
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_distribution(name):
    net = fastnn.mlp([100, 200], initializer=name, seed=7)
    weights = net.layers[0].weights
    deviation, most = SPREAD[name]
    # 20,000 draws: the deviation is known to about half a percent, the mean to a hundredth of it.
    assert weights.std() == pytest.approx(deviation, rel=0.03)
    assert abs(weights.mean()) <= 0.04 * deviation
    assert np.abs(weights).max() <= most
    assert not net.layers[0].bias.any()


@pytest.mark.parametrize(("inputs", "outputs"), [(5, 3), (3, 5), (4, 4), (1, 6), (6, 1)])
@pytest.mark.parametrize("library", [fastnn, reference], ids=["fastnn", "reference"])
def test_orthogonal_weights(library, inputs, outputs):
    net = library.mlp([inputs, outputs], initializer="orthogonal", seed=3)
    weights = np.array(net.layers[0].weights)
    short = weights if outputs <= inputs else weights.T
    assert_allclose(short.T @ short, np.eye(min(inputs, outputs)), atol=1e-14)


def test_a_number_for_all_weights(dtype):
    net = fastnn.mlp([3, 4, 2], initializer=0.1, dtype=dtype)
    for layer in net.layers:
        assert_array_equal(layer.weights, np.full(layer.weights.shape, 0.1, dtype))
        assert not layer.bias.any()
        assert layer.initializer == 0.1
    with pytest.raises(ValueError, match="initializer is nan"):
        fastnn.mlp([3, 4, 2], initializer=math.nan)
    with pytest.raises(TypeError, match=r"initializer is \[0.1\]; a number or one of these names"):
        fastnn.Dense(3, initializer=[0.1])
