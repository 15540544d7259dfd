"""What must not matter does not: the company of a row, order, batches, chunks, packing, repetition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import running
from fastnn.activations import ACTIVATIONS
from fastnn.kernels.simd import LANES
from tests.problems import EPSILON, HIDDEN, JIT, PAIRS, largest_error, problem

# Batches around vectors, pairs of vectors and tiles of any machine (2 to 16 lanes; tiles up to 512).
BATCHES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 257, 511, 513, 1030]
if not JIT:
    BATCHES = [1, 3, 8, 17, 33]
# For the tests that train: how many rows, so that there are several tiles.
MANY = 1030 if JIT else 150


def fitted(p, *data, **options):
    """History and network after a fit of a problem's own rows, or of other data."""
    net = p.net
    options = {"epochs": 5, "optimizer": fastnn.SGD(0.05, momentum=0.5), **options}
    if not data:
        data, options["sample_weight"] = p.rows, p.weights
    return net.fit(*data, loss=p.loss, **options), net


def assert_same_fit(one, other):
    """Bit for bit."""
    assert_array_equal(one[0].loss, other[0].loss)
    assert_array_equal(one[1].parameters, other[1].parameters)


# A row and its company -------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ACTIVATIONS)
def test_row_alone_has_the_bits_it_has_in_a_batch(rng, output, dtype):
    hidden = output if output in HIDDEN else "tanh"
    net = fastnn.mlp([3, 9, 6, 5], activation=hidden, output=output, dtype=dtype)
    X = rng.normal(scale=2, size=(max(BATCHES), 3)).astype(dtype)
    whole = net.predict(X)
    for batch in BATCHES:
        assert_array_equal(net.predict(X[:batch]), whole[:batch])
        assert_array_equal(net.predict(X[-batch:]), whole[-batch:])
    for i in rng.integers(len(X), size=20):
        assert_array_equal(net.predict(X[i : i + 1]), whole[i : i + 1])


@pytest.mark.parametrize("sizes", [(1, 1), (1, 2, 3), (4, 7, 2), (17, 33, 67, 5)], ids=str)
def test_row_alone_in_networks_of_any_width(rng, sizes, dtype):
    net = fastnn.mlp(sizes, dtype=dtype)
    X = rng.normal(size=(2 * LANES[net.dtype] + 1, sizes[0])).astype(dtype)
    whole = net.predict(X)
    for i in range(len(X)):
        assert_array_equal(net.predict(X[i : i + 1]), whole[i : i + 1])


def test_rows_are_predicted_in_parts_of_any_size(rng, monkeypatch):
    net = fastnn.mlp([2, 4, 1])
    X = rng.normal(size=(MANY, 2))
    whole = net.predict(X)
    monkeypatch.setattr("fastnn.inference.PREDICTION_OPERATIONS", 1.0)
    assert_array_equal(net.predict(X), whole)


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("batch_size", [None, 1, 7])
def test_training_sees_the_predictions_bit_for_bit(rng, hidden, batch_size, dtype):
    p = problem(rng, (3, 9, 6, 1), 1, hidden=hidden, dtype=dtype)
    prediction = float(p.net.predict(p.X)[0, 0])
    history, _ = fitted(p, p.X, [0.0], epochs=1, batch_size=batch_size)
    # With one output, one row and target 0 the loss is the prediction squared, in the network's dtype.
    square = np.dtype(dtype).type(prediction) ** 2
    assert history.loss[0] == square
    assert p.net.forward(p.X)[0, 0] == prediction


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_evaluate_is_the_first_loss_of_a_fit(rng, output, loss, dtype):
    p = problem(rng, (3, 5, 4), 37, output=output, loss=loss, dtype=dtype, weighted=True)
    options = {"loss": loss, "sample_weight": p.weights}
    first = fitted(p, epochs=1)[0].loss[0]
    assert p.net.evaluate(*p.rows, **options) == first
    assert p.net.loss_and_gradient(*p.rows, **options)[0] == first


# Order and batches -----------------------------------------------------------------------------------


def test_order_does_not_matter_in_full_batch(rng, dtype):
    p = problem(rng, (3, 5, 2), MANY, dtype=dtype, weighted=True)
    order = rng.permutation(MANY)
    one = p.net.loss_and_gradient(*p.rows, sample_weight=p.weights)
    other = p.net.loss_and_gradient(p.X[order], p.y[order], sample_weight=p.weights[order])
    # Sums in another order; roundings of n summands add up like a random walk.
    bound = np.sqrt(MANY) * EPSILON[dtype]
    assert one[0] == pytest.approx(other[0], rel=bound)
    assert largest_error(one[1], other[1]) <= 4 * bound  # gradients have both signs, and cancel


@pytest.mark.parametrize("batch_size", [MANY, 10 * MANY])
def test_one_batch_of_all_rows_is_full_batch(rng, batch_size):
    p = problem(rng, (3, 5, 2), MANY, weighted=True)
    one, other = fitted(p), fitted(p, batch_size=batch_size, shuffle=False)
    assert one[0].loss == pytest.approx(other[0].loss, rel=1e-13)  # rounding: rows of weight 0 are left out
    assert largest_error(one[1].parameters, other[1].parameters) <= 1e-13


def test_shuffling_changes_the_order_and_not_the_rows(rng):
    p = problem(rng, (3, 5, 2), MANY)
    one, other = fitted(p, epochs=1, batch_size=MANY, shuffle=False), fitted(p, epochs=1, batch_size=MANY)
    assert one[0].loss == pytest.approx(other[0].loss, rel=1e-13)  # the same rows, summed in another order
    in_order, shuffled = fitted(p, batch_size=10, shuffle=False), fitted(p, batch_size=10)
    assert largest_error(in_order[1].parameters, shuffled[1].parameters) > 1e-6


def test_seed_of_a_fit_is_that_of_the_network(rng):
    p = problem(rng, (3, 5, 2), 50)
    same = fitted(p, batch_size=10, seed=p.net.seed)
    assert_same_fit(same, fitted(p, batch_size=10))
    assert largest_error(same[1].parameters, fitted(p, batch_size=10, seed=1)[1].parameters) > 1e-6


# Weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_weight_2_is_the_row_twice(rng, output, loss):
    p = problem(rng, (3, 5, 3), 21, output=output, loss=loss)
    counts = rng.integers(1, 4, size=21)
    weighted = p.net.loss_and_gradient(*p.rows, loss=loss, sample_weight=counts)
    repeated = p.net.loss_and_gradient(*(np.repeat(a, counts, axis=0) for a in p.rows), loss=loss)
    assert weighted[0] == pytest.approx(repeated[0], rel=1e-13)  # rounding of some 40 summands
    assert largest_error(weighted[1], repeated[1]) <= 1e-13


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_weight_0_is_the_row_left_out_bit_for_bit(rng, output, loss, dtype):
    p = problem(rng, (3, 5, 3), 41, output=output, loss=loss, dtype=dtype, weighted=True)
    used = p.weights > 0
    assert 0 < used.sum() < 41
    left_out = p.X[used], p.y[used]
    assert_same_fit(fitted(p), fitted(p, *left_out, sample_weight=p.weights[used]))
    options = {"loss": loss, "sample_weight": p.weights[used]}
    one = p.net.loss_and_gradient(*p.rows, loss=loss, sample_weight=p.weights)
    other = p.net.loss_and_gradient(*left_out, **options)
    assert one[0] == other[0] == p.net.evaluate(*left_out, **options)
    assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("batch_size", [None, 4])
def test_row_of_weight_0_may_be_as_large_as_it_likes(rng, batch_size):
    p = problem(rng, (3, 5, 1), 12)
    X, y, weights = p.X.copy(), p.y.copy(), np.ones(12)
    weights[5], X[5], y[5] = 0, 1e200, 1e200  # its loss is infinite
    history, net = fitted(p, X, y, sample_weight=weights, batch_size=batch_size)
    assert history.status == "finished"
    assert np.isfinite(net.parameters).all()


def test_weights_count_by_their_ratio(rng, dtype):
    p = problem(rng, (3, 5, 1), 33, dtype=dtype, weighted=True)
    one = p.net.loss_and_gradient(*p.rows, sample_weight=p.weights)
    # A power of two changes no digit.
    other = p.net.loss_and_gradient(*p.rows, sample_weight=1024 * p.weights)
    assert one[0] == other[0]
    assert_array_equal(one[1], other[1])


# Chunks, packing, repetition ---------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 1, 7, 100])
@pytest.mark.parametrize("rows", [5, MANY])
def test_chunks_do_not_matter(rng, monkeypatch, batch_size, rows, dtype):
    p = problem(rng, (2, 4, 1), rows, dtype=dtype, weighted=True)
    epochs = 3 if JIT else 2
    whole = fitted(p, epochs=epochs, batch_size=batch_size)
    calls = []
    chunks = running.Run.chunks

    def counted(run):
        for chunk in chunks(run):
            calls.append(1)
            yield chunk

    monkeypatch.setattr(running.Run, "chunks", counted)
    monkeypatch.setattr(running, "CHUNK_SECONDS", 0.0)
    monkeypatch.setattr(running, "FIRST_CHUNK_OPERATIONS", 0.0)
    assert_same_fit(whole, fitted(p, epochs=epochs, batch_size=batch_size))
    assert len(calls) >= epochs  # one tile at a time


@pytest.mark.compiled  # a hundred thousand rows
def test_shuffle_in_chunks(rng, monkeypatch):
    p = problem(rng, (1, 1), 100_000)
    whole = fitted(p, epochs=2, batch_size=1000)
    monkeypatch.setattr(running, "CHUNK_SECONDS", 0.0)
    monkeypatch.setattr(running, "FIRST_CHUNK_OPERATIONS", 0.0)
    assert_same_fit(whole, fitted(p, epochs=2, batch_size=1000))


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_dataset_is_the_same_as_its_arrays(rng, batch_size, weighted, dtype):
    p = problem(rng, (3, 4, 2), 100, dtype=dtype, weighted=weighted)
    data = fastnn.Dataset(*p.rows, p.weights)
    plain = fitted(p, batch_size=batch_size)
    for _ in range(2):  # the second time it is packed already
        assert_same_fit(plain, fitted(p, data, batch_size=batch_size))
    one, other = p.net.loss_and_gradient(data), p.net.loss_and_gradient(*p.rows, sample_weight=p.weights)
    assert one[0] == other[0] == p.net.evaluate(data)
    assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("batch_size", [None, 16])
def test_fit_twice_from_the_same_start_is_the_same(rng, batch_size, dtype):
    p = problem(rng, (3, 9, 2), MANY, dtype=dtype, weighted=True)
    assert_same_fit(fitted(p, batch_size=batch_size), fitted(p, batch_size=batch_size))


def test_fit_of_2_epochs_is_2_fits_of_1(rng):
    p = problem(rng, (3, 4, 2), 100)
    net = p.net
    one = [net.fit(*p.rows, optimizer=fastnn.SGD(0.05)).loss[0] for _ in range(2)]
    history, other = fitted(p, epochs=2, optimizer=fastnn.SGD(0.05))
    assert_array_equal(history.loss, one)
    assert_array_equal(net.parameters, other.parameters)
