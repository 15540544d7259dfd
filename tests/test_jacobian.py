"""Derivatives by the inputs: against the reference, against central differences, and of single rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
from tests.problems import EPSILON, HIDDEN, JIT, OUTPUTS, largest_error, problem

LAYERS = {
    "normalization": lambda of: [of.Dense(6, "tanh"), of.LayerNormalization(), of.Dense(3)],
    "normalization first": lambda of: [of.LayerNormalization(0.1), of.Dense(6, "sine"), of.Dense(3, "softmax")],
    "dropout": lambda of: [of.Dropout(0.5), of.Dense(6, "gelu"), of.Dropout(0.5), of.Dense(3, "sigmoid")],
}


def jacobians_of_rows(net, X):
    """What ``gradient_one`` finds, row by row."""
    found = np.full((len(X), net.outputs, net.inputs), np.nan, net.dtype)
    for row, jacobian in zip(X, found, strict=True):
        fastnn.gradient_one(net.handle, row, jacobian)
    return found


def compare(p):
    expected = np.array(p.twin.jacobian(p.X.tolist()))
    found = p.net.jacobian(p.X)
    assert (found.shape, found.dtype) == ((len(p.X), p.sizes[-1], p.sizes[0]), p.dtype)
    bound = 1e-12 if p.dtype == "float64" else 200 * EPSILON["float32"]
    assert largest_error(found, expected) <= bound
    assert largest_error(jacobians_of_rows(p.net, p.X), expected) <= bound


@pytest.mark.parametrize("hidden", HIDDEN)
def test_jacobian_is_the_reference_s(rng, hidden, dtype):
    compare(problem(rng, (3, 5, 7, 2), 19, hidden=hidden, dtype=dtype))


@pytest.mark.parametrize("output", OUTPUTS)
def test_jacobian_by_outputs_is_the_reference_s(rng, output, dtype):
    compare(problem(rng, (3, 5, 4), 19, output=output, dtype=dtype))


@pytest.mark.parametrize("layers", LAYERS)
def test_jacobian_through_other_layers_is_the_reference_s(rng, layers, dtype):
    compare(problem(rng, (4, 3), 19, layers=LAYERS[layers], dtype=dtype))


# One of all; a single number; more than a tile's rows, and than a vector's lanes.
@pytest.mark.parametrize("sizes", [(2, 1), (1, 3, 1), (1, 1), (9, 17, 33, 10) if JIT else (9, 17, 3)], ids=str)
def test_jacobian_of_any_size_is_the_reference_s(rng, sizes):
    for samples in (1, 2, 37) if JIT else (1, 3):
        compare(problem(rng, sizes, samples))


@pytest.mark.parametrize("name", sorted({*HIDDEN, *OUTPUTS}))
def test_jacobian_is_that_of_central_differences(rng, name):
    hidden = name if name in HIDDEN else "tanh"
    p = problem(rng, (3, 5, 2), 7, hidden=hidden, output=name)
    net, h = p.net, 1e-6
    expected = np.empty((7, 2, 3))
    for j in range(3):
        step = np.where(np.arange(3) == j, h, 0.0)
        expected[:, :, j] = (net.predict(p.X + step) - net.predict(p.X - step)) / (2 * h)
    assert_allclose(net.jacobian(p.X), expected, rtol=1e-6, atol=1e-8)
    assert_allclose(jacobians_of_rows(net, p.X), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("sizes", [(3, 6, 2), (9, 17, 33, 10) if JIT else (9, 17, 3)], ids=str)
def test_rows_have_the_same_bits_alone(rng, sizes, dtype):
    p = problem(rng, sizes, 23, output="softmax", dtype=dtype)
    whole = p.net.jacobian(p.X)
    for i in (0, 7, 22):
        assert_array_equal(p.net.jacobian(p.X[i : i + 1])[0], whole[i])
    assert_array_equal(p.net.jacobian(p.X[8:10]), whole[8:10])


def test_input_gradient_is_a_row_of_the_jacobian(rng, dtype):
    p = problem(rng, (3, 6, 4), 23, dtype=dtype)
    jacobian = p.net.jacobian(p.X)
    assert_array_equal(p.net.input_gradient(p.X), jacobian[:, 0])
    assert_array_equal(p.net.input_gradient(p.X, output=3), jacobian[:, 3])
    assert largest_error(p.net.input_gradient(p.X, 2), p.twin.input_gradient(p.X.tolist(), 2)) <= 1e-4


def test_nothing_of_the_network_changes(rng):
    p = problem(rng, (3, 6, 4))
    net = p.net
    net.forward(p.X)
    net.backward(p.y)
    before = net.parameters.copy(), net.gradients.copy()
    net.jacobian(p.X)
    jacobians_of_rows(net, p.X)
    assert_array_equal(net.parameters, before[0])
    assert_array_equal(net.gradients, before[1])


def test_frozen_layers_have_derivatives_too(rng):
    p = problem(rng, (3, 6, 4))
    net = p.net
    for layer in net.layers:
        layer.trainable = False
    compare(p)
    assert_array_equal(net.jacobian(p.X), p.net.jacobian(p.X))


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([1.0, 2.0, 3.0],), ValueError, r"X has 1 dimension\(s\), \(rows, 3\) is needed"),
        (([[1.0, 2.0]],), ValueError, r"X has 2 column\(s\); \(rows, 3\) is needed"),
        (([[1.0, 2.0, np.nan]],), ValueError, r"X\[0, 2\] is nan; finite float64 numbers are needed"),
        (([[1.0, 2.0, 3.0]], 2), ValueError, "output is 2; a whole number from 0 to 1 is needed"),
        (([[1.0, 2.0, 3.0]], -1), ValueError, "output is -1; a whole number from 0 to 1 is needed"),
        (([[1.0, 2.0, 3.0]], "y"), TypeError, "output is 'y'; a whole number from 0 to 1 is needed"),
    ],
)
def test_input_gradient_refuses(rng, arguments, error, match):
    net = problem(rng, (3, 6, 2)).net
    with pytest.raises(error, match=match):
        net.input_gradient(*arguments)
    if len(arguments) == 1:
        with pytest.raises(error, match=match):
            net.jacobian(*arguments)


def test_number_of_threads_is_checked(rng):
    net = problem(rng, (3, 6, 2)).net
    for derive in net.jacobian, net.input_gradient:
        with pytest.raises(ValueError, match="threads is 0; a whole number from 1 to 1024 is needed"):
            derive([[1.0, 2.0, 3.0]], threads=0)


def test_derivatives_are_found_in_parts_of_any_size(rng, monkeypatch):
    p = problem(rng, (3, 6, 5), 900 if JIT else 300)  # more than a tile
    whole = p.net.jacobian(p.X)
    monkeypatch.setattr("fastnn.inference.PREDICTION_OPERATIONS", 1.0)
    tile_by_tile = p.net.jacobian(p.X)
    monkeypatch.setattr("fastnn.inference.LEAST_TOGETHER", 2)  # of five outputs
    in_pieces = p.net.jacobian(p.X)  # not where the one before stood: what is left out would be right there
    assert_array_equal(tile_by_tile, whole)
    assert_array_equal(in_pieces, whole)
    assert_array_equal(p.net.input_gradient(p.X, 4), whole[:, 4])


@pytest.mark.parametrize(("output", "error"), [(1, ValueError), (-1, ValueError), ("y", TypeError)])
def test_input_gradient_of_one_output_refuses(rng, output, error):
    net = problem(rng, (3, 6, 1)).net
    match = f"output is {output!r}; the network has one output, and only 0 is accepted"
    with pytest.raises(error, match=match):
        net.input_gradient([[1.0, 2.0, 3.0]], output)


def test_reference_refuses_an_output_that_is_not_there(rng):
    p = problem(rng, (3, 6, 2))
    for output in (-1, 2):
        with pytest.raises(ValueError, match=rf"output is {output}; it must be from 0 to 1"):
            p.twin.input_gradient(p.X.tolist(), output)
