"""Layers of many units, and those whose weights leave the cache: in blocks, to the same bits as narrow ones."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn.kernels import layout
from fastnn.kernels.simd import LANES
from fastnn.kernels.wide import GRADIENT_FROM_INPUTS, GRADIENT_FROM_VECTORS, PANEL_FROM_BYTES
from fastnn.loss_kinds import loss_of
from fastnn.plan import Task, make_plan, plan_of_predictions

pytestmark = pytest.mark.compiled
# Blocks of eight or six units, of four, and single ones, in all their company.
WIDTHS = pytest.mark.parametrize("units", [*range(1, 27), 40])
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
INPUTS, UNITS, NARROW = 299, 1003, 100  # neither is whole blocks


@pytest.fixture
def wide(rng):
    """A function of the dtype: and of how many rows there are: one wide linear layer, and the rows."""

    def make(dtype, rows):
        net = fastnn.Sequential([fastnn.Dense(UNITS, "identity")], inputs=INPUTS, dtype=dtype)
        assert net.layers[0].weights.nbytes > PANEL_FROM_BYTES
        net.parameters = rng.standard_normal(len(net.parameters))
        return net, rng.standard_normal((rows, INPUTS)).astype(dtype)

    return make


def with_wide_parts(sizes, what, of_loss, batch_size=None, frozen=0):
    """Of each layer, which of forward, backward and gradient are parts for wide layers; the first are frozen."""
    net = fastnn.mlp(sizes)
    for layer in net.layers[:frozen]:
        layer.trainable = False
    task = Task(what, loss_of("mse").part("identity", sizes[-1]) if of_loss else None, batch_size=batch_size)
    layers = make_plan(net.shapes, net.inputs, net.outputs, 100, net.dtype, task).layers
    names = {"f": layout.LAYER_FORWARD, "b": layout.LAYER_BACKWARD, "g": layout.LAYER_GRADIENT}
    return ["".join(name for name, field in names.items() if layer[field]) for layer in layers]


def test_what_nobody_asks_for_is_not_compiled():
    inputs, units = GRADIENT_FROM_INPUTS, GRADIENT_FROM_VECTORS * LANES[np.dtype("f8")]
    assert with_wide_parts((2, 4, 1), layout.TRAIN, of_loss=True) == ["", ""]
    assert with_wide_parts((2, 16, 1), layout.TRAIN, of_loss=True) == ["", "f"]  # nothing goes back to inputs
    assert with_wide_parts((2, 16, 1), layout.GRADIENT, of_loss=False) == ["b", "f"]
    assert with_wide_parts((2, 16, 1), layout.EVALUATE, of_loss=False) == ["", "f"]
    assert with_wide_parts((inputs, units, 7, 3), layout.TRAIN, of_loss=True) == ["fg", "f", ""]
    assert with_wide_parts((3, inputs, units, 3), layout.TRAIN, of_loss=True) == ["", "fbg", "f"]
    assert with_wide_parts((3, inputs, units, 3), layout.GRADIENT, of_loss=False) == ["b", "fb", "f"]
    assert with_wide_parts((3, inputs, units, 3), layout.TRAIN, of_loss=True, batch_size=1) == ["", "", ""]
    assert with_wide_parts((3, inputs, units, 3), layout.TRAIN, of_loss=True, frozen=1) == ["", "fg", "f"]
    assert with_wide_parts((9, 2 * units, 1), layout.TRAIN, of_loss=True) == ["f", "f"]  # they go back together


@pytest.mark.parametrize("what", [layout.EVALUATE, layout.GRADIENT])
def test_any_number_of_rows_is_predicted_in_the_large_blocks(what):
    shapes = fastnn.mlp([16, 16, 16]).shapes
    for rows in (1, 2, 3, 100):
        layers = plan_of_predictions(shapes, rows, np.dtype("f8"), what).layers
        assert (layers[:, layout.LAYER_FORWARD] != 0).all()
        assert ((layers[:, layout.LAYER_BACKWARD] != 0) == (what == layout.GRADIENT)).all()


@DTYPES
def test_a_wide_layer_predicts_as_narrow_ones_side_by_side(wide, dtype):
    net, X = wide(dtype, 50)
    layer, parts = net.layers[0], []
    for start in range(0, UNITS, NARROW):
        units = slice(start, start + NARROW)
        weights = layer.weights[:, units]
        narrow = fastnn.Sequential([fastnn.Dense(weights.shape[1], "identity")], inputs=INPUTS, dtype=dtype)
        assert weights.nbytes < PANEL_FROM_BYTES
        narrow.parameters = np.concatenate([weights.ravel(), layer.bias[units]])
        parts.append(narrow.predict(X))
    expected = np.hstack(parts)
    np.testing.assert_array_equal(net.predict(X), expected)
    np.testing.assert_array_equal(net.predict(X[17:18]), expected[17:18])
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(expected, X @ layer.weights + layer.bias, atol=tolerance * INPUTS)


@DTYPES
def test_the_gradient_of_many_inputs_is_that_of_a_few_side_by_side(wide, dtype):
    net, X = wide(dtype, 300)  # more than a tile
    Y = np.ones((len(X), UNITS))
    net.parameters = np.zeros(len(net.parameters))  # then outputs and their gradient are the same for any inputs
    _, gradient = net.loss_and_gradient(X, Y, loss="half_sse")
    weights = gradient[: INPUTS * UNITS].reshape(INPUTS, UNITS)
    for start in range(0, INPUTS, NARROW):
        few = X[:, start : start + NARROW]
        narrow = fastnn.Sequential([fastnn.Dense(UNITS, "identity")], inputs=few.shape[1], dtype=dtype)
        narrow.parameters = np.zeros(len(narrow.parameters))
        _, expected = narrow.loss_and_gradient(few, Y, loss="half_sse")
        np.testing.assert_array_equal(weights[start : start + NARROW].ravel(), expected[: few.shape[1] * UNITS])
        np.testing.assert_array_equal(gradient[INPUTS * UNITS :], expected[few.shape[1] * UNITS :])


@DTYPES
@WIDTHS
@pytest.mark.parametrize("rows", [1, 2, 40, 41])
def test_units_side_by_side_have_the_bits_they_have_alone(rng, units, rows, dtype):
    net = fastnn.Sequential([fastnn.Dense(units, "identity")], inputs=9, dtype=dtype)
    net.parameters = rng.standard_normal(len(net.parameters))
    X = rng.standard_normal((rows, 9))
    outputs = net.predict(X)
    for unit in range(units):
        alone = fastnn.Sequential([fastnn.Dense(1, "identity")], inputs=9, dtype=dtype)
        alone.parameters = np.append(net.layers[0].weights[:, unit], net.layers[0].bias[unit])
        np.testing.assert_array_equal(outputs[:, unit], alone.predict(X)[:, 0])


@DTYPES
@WIDTHS
def test_whole_numbers_go_back_exactly(rng, units, dtype):
    net = fastnn.Sequential([fastnn.Dense(units, "identity"), fastnn.Dense(10, "identity")], inputs=3, dtype=dtype)
    net.parameters = rng.integers(-3, 4, len(net.parameters))
    X, Y = rng.integers(-3, 4, (41, 3)), rng.integers(-3, 4, (41, 10))
    _, gradient = net.loss_and_gradient(X, Y, loss="half_sse")
    first, second = net.layers
    hidden = X @ first.weights + first.bias
    error = hidden @ second.weights + second.bias - Y
    back = error @ second.weights.T
    expected = np.concatenate([(X.T @ back).ravel(), back.sum(0), (hidden.T @ error).ravel(), error.sum(0)])
    np.testing.assert_array_equal(gradient, (expected / len(X)).astype(dtype))


@DTYPES
@pytest.mark.parametrize(
    ("inputs", "units"), [(7, 40), (8, 15), (8, 16), (63, 40), (64, 15), (64, 16), (65, 33), (70, 64), (77, 100)]
)
@pytest.mark.parametrize("rows", [1, 41, 900])
def test_whole_numbers_have_exact_gradients_by_many_weights(rng, inputs, units, rows, dtype):
    """With 900 rows in several tiles, the gradients of which are added."""
    net = fastnn.Sequential([fastnn.Dense(units, "identity")], inputs=inputs, dtype=dtype)
    net.parameters = rng.integers(-3, 4, len(net.parameters))
    X, Y = rng.integers(-3, 4, (rows, inputs)), rng.integers(-3, 4, (rows, units))
    _, gradient = net.loss_and_gradient(X, Y, loss="half_sse")
    error = X @ net.layers[0].weights + net.layers[0].bias - Y
    expected = np.concatenate([(X.T @ error).ravel(), error.sum(0)]) / rows
    np.testing.assert_array_equal(gradient, expected.astype(dtype))


def test_sums_over_many_samples_are_in_parts(rng):
    """The error is 1.6e-7; if 768 samples were added one after the other it would be 3.2e-7, in lanes 1.4e-7."""
    X, Y = rng.standard_normal((768, 64)).astype("f4"), rng.standard_normal((768, 64)).astype("f4")
    nets = [fastnn.mlp([64, 64], output="tanh", dtype=dtype) for dtype in ("float32", "float64")]
    nets[1].parameters = nets[0].parameters.astype("f8")
    single, double = (net.loss_and_gradient(X, Y, loss="half_sse")[1][: 64 * 64] for net in nets)
    error = single - double
    assert np.sqrt((error**2).mean()) < 2e-7 * np.sqrt((double**2).mean())
