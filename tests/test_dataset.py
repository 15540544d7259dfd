"""Data sets that are checked and packed once."""

from __future__ import annotations

import copy
import pickle
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn


@pytest.fixture
def rows(rng):
    return rng.normal(size=(30, 2)), rng.integers(2, size=30)


def test_later_changes_of_the_arrays_do_not_reach_it(rows):
    X, y = rows
    y, weights = y * 1.0, np.ones(30)
    data = fastnn.Dataset(X, y, weights)
    net = fastnn.mlp([2, 3, 1])
    before = net.evaluate(X, y, sample_weight=weights)
    X += 1
    y[:] = 9
    weights[3] = 5
    assert net.evaluate(data) == before


def test_one_for_many_networks_and_losses(rows):
    X, y = rows
    data = fastnn.Dataset(X, y)
    for dtype in ("float64", "float32"):
        for output, outputs, loss in (
            ("softmax", 2, "cross_entropy"),
            ("identity", 1, "mse"),
            ("sigmoid", 1, "binary_cross_entropy"),
        ):
            for batch_size in (None, 8):
                one, other = (fastnn.mlp([2, 4, outputs], output=output, dtype=dtype) for _ in range(2))
                options = {"loss": loss, "batch_size": batch_size, "epochs": 2}
                assert_array_equal(one.fit(data, **options).loss, other.fit(X, y, **options).loss)
                assert_array_equal(one.parameters, other.parameters)


@pytest.mark.parametrize("weights", [None, np.arange(30) % 3])
def test_packed_once(rows, weights, monkeypatch):
    """Also for other losses, if they take the same targets as they are."""
    data = fastnn.Dataset(*rows, weights)
    net = fastnn.mlp([2, 3, 1])
    net.fit(data)
    made = len(data._made)

    def fail(*arguments):
        raise AssertionError("packed or checked again")

    monkeypatch.setattr("fastnn.dataset.Rows.packed", fail)
    monkeypatch.setattr("fastnn.dataset.rows_for", fail)
    net.fit(data, epochs=3)
    net.evaluate(data)
    net.loss_and_gradient(data)
    for loss in (fastnn.losses.Huber(0.5), fastnn.losses.Huber(2.0), "mae"):
        net.fit(data, loss=loss)
    assert len(data._made) == made


def test_losses_that_take_other_targets_have_rows_of_their_own(rows):
    X, _ = rows
    labels = np.arange(30) % 3
    net, data = fastnn.mlp([2, 3], output="softmax"), fastnn.Dataset(X, labels)
    for smoothing in (0.0, 0.3):
        loss = fastnn.losses.CrossEntropy(label_smoothing=smoothing)
        assert net.evaluate(data, loss=loss) == net.evaluate(X, labels, loss=loss)
    with pytest.raises(ValueError, match="y has shape"):
        net.evaluate(data, loss="mse")


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))])
def test_a_copy_keeps_nothing_of_what_was_made(rows, how):
    X, y = rows
    net = fastnn.mlp([X.shape[1], 3, 1])
    data = fastnn.Dataset(X, y)
    size = len(pickle.dumps(data))
    expected = net.evaluate(data)
    assert len(pickle.dumps(data)) == size
    other = how(data)
    assert other._made == {}
    assert net.evaluate(other) == expected


def test_cannot_be_written_to(rows):
    data = fastnn.Dataset(*rows, np.ones(len(rows[0])))
    for array in (data.X, data.y, data.sample_weight):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_does_not_fit_the_network(rows):
    data = fastnn.Dataset(*rows)
    net = fastnn.mlp([3, 1])
    with pytest.raises(ValueError, match=r"X has 2 column\(s\); \(rows, 3\)"):
        net.fit(data)
    with pytest.raises(ValueError, match=r"y has shape \(30,\); \(rows, 3\)"):
        fastnn.mlp([2, 3]).fit(data)
    fastnn.mlp([2, 1]).fit(data)


def test_rows_and_targets_of_different_length_are_refused():
    net = fastnn.mlp([2, 1])
    with pytest.raises(ValueError, match=r"y has 3 row\(s\) and X has 2"):
        net.fit(fastnn.Dataset([[1, 2], [3, 4]], [1, 2, 3]))


def test_precision_of_the_rows_is_kept(rows):
    data = fastnn.Dataset(rows[0].astype(np.float32), rows[1])
    assert data.X.dtype == np.float32
    assert fastnn.Dataset(rows[0].astype(np.float16), rows[1]).X.dtype == np.float64


def test_length_and_repr(rows):
    data = fastnn.Dataset(*rows)
    assert len(data) == 30
    assert repr(data) == "Dataset(30 rows, 2 features)"
    assert repr(fastnn.Dataset(*rows, np.ones(30))) == "Dataset(30 rows, 2 features, weighted)"


def test_is_gone_when_nobody_has_it(rows):
    """At once, with all that was packed of it: nothing refers back to it."""
    data = fastnn.Dataset(*rows)
    fastnn.mlp([2, 3, 1]).fit(data, validation_data=data, metrics=["mae"])
    seen = weakref.ref(data)
    del data
    assert seen() is None
