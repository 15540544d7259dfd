"""Rows set apart for validation, and weights of classes."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fastnn
import reference
from fastnn import splits
from fastnn.dataset import Rows
from fastnn.loss_kinds import LOSSES
from reference.random import permutation


def rows_of(labels, classes=3, weights=None):
    """Rows whose only feature is their number, with one-hot targets."""
    labels = np.asarray(labels)
    X = np.arange(len(labels), dtype=float)[:, np.newaxis]
    weights = None if weights is None else np.asarray(weights, float)
    return Rows(X, np.eye(classes)[labels], weights)


def numbers(part):
    """Which rows they are."""
    return part.X[:, 0].astype(int).tolist()


@given(st.integers(1, 200), st.integers(0, 2**63 - 1))
def test_permutation_is_the_reference_s(n, seed):
    assert splits.permutation(n, seed).tolist() == permutation(n, seed, 2**61)


@settings(max_examples=300)  # the first are too simple to tell which class comes first
@given(
    st.lists(st.integers(0, 2), min_size=2, max_size=60),
    st.floats(0.001, 0.999),
    st.integers(0, 2**63 - 1),
    st.booleans(),
)
def test_split_is_a_partition_by_classes(labels, share, seed, classes):
    loss = LOSSES["cross_entropy" if classes else "mse"]
    training, validation = splits.split(rows_of(labels), share, loss, seed)
    both = numbers(training) + numbers(validation)
    assert sorted(both) == list(range(len(labels)))
    assert numbers(training) == sorted(numbers(training))
    assert numbers(validation) == sorted(numbers(validation))
    assert numbers(training)
    assert numbers(validation)
    wanted = min(max(1, math.floor(share * len(labels) + 0.5)), len(labels) - 1)
    if not classes:
        assert len(numbers(validation)) == wanted
    elif any(reference.classes.quotas(Counter(labels), wanted).values()):  # else classes are too small to be cut
        counts = np.bincount(labels, minlength=3)
        apart = np.bincount(np.asarray(labels)[numbers(validation)], minlength=3)
        assert (apart <= np.maximum(counts - 1, 0)).all()  # none is missing in training
        assert (np.abs(apart - counts * wanted / len(labels)) < 1 + 1e-9).all()
    twins = [([float(i)], np.eye(3)[label].tolist(), 1.0) for i, label in enumerate(labels)]
    of_twin = reference.classes.split(twins, loss.name, share, seed)
    assert numbers(validation) == [int(row[0]) for row, _, _ in of_twin[1]]


def test_same_seed_same_rows():
    rows, loss = rows_of([0, 1, 2] * 20), LOSSES["cross_entropy"]
    one, other, third = (numbers(splits.split(rows, 0.3, loss, seed)[1]) for seed in (5, 5, 6))
    assert one == other != third


@pytest.mark.parametrize(
    ("labels", "share", "apart"),
    [
        ([0, 1], 0.5, 1),  # a row of each class: then without classes
        ([0, 0], 0.5, 1),
        ([1] * 10, 0.3, 3),  # one class
        ([0] * 9 + [1], 0.5, 5),  # a class with one row stays in training
        ([0] * 5 + [1] * 5, 0.9, 8),  # a row of each class stays
        ([0, 1, 2], 0.9, 2),
    ],
)
def test_small_splits(labels, share, apart):
    training, validation = splits.split(rows_of(labels), share, LOSSES["cross_entropy"], 0)
    assert len(numbers(validation)) == apart
    assert len(numbers(training)) == len(labels) - apart
    if labels == [0] * 9 + [1]:
        assert 9 in numbers(training)


def test_weights_and_targets_go_with_their_rows(rng):
    rows = rows_of(rng.integers(3, size=30), weights=rng.uniform(0.1, 1, size=30))
    for part in splits.split(rows, 0.4, LOSSES["cross_entropy"], 1):
        assert_array_equal(part.y, rows.y[numbers(part)])
        assert_array_equal(part.weights, rows.weights[numbers(part)])


def test_part_without_weight_is_refused():
    X, y = np.arange(10.0)[:, np.newaxis], np.zeros(10)
    net = fastnn.mlp([1, 1])
    training, validation = splits.split(Rows(X, y[:, np.newaxis], np.ones(10)), 0.3, LOSSES["mse"], 0)
    for part, name in ((training, "training"), (validation, "validation")):
        weights = np.ones(10)
        weights[numbers(part)] = 0.0
        with pytest.raises(ValueError, match=f"validation_split is 0.3, which leaves no row for {name}"):
            net.fit(X, y, sample_weight=weights, validation_split=0.3)
        twin = reference.mlp([1, 1])
        with pytest.raises(ValueError, match=f"the weights of all rows for {name} are 0"):
            twin.fit(X.tolist(), y.tolist(), sample_weight=weights.tolist(), validation_split=0.3)


SHARES = {
    "0": (0.0, ValueError, "validation_split is 0"),
    "1": (1.0, ValueError, "validation_split is 1"),
    "negative": (-0.1, ValueError, "validation_split is -0.1"),
    "NaN": (math.nan, ValueError, "validation_split is nan"),
    "text": ("0.5", TypeError, "validation_split is '0.5'"),
    "truth": (True, TypeError, "validation_split is True"),
}


@pytest.mark.parametrize(("share", "error", "match"), SHARES.values(), ids=SHARES)
def test_bad_shares(share, error, match):
    with pytest.raises(error, match=match):
        fastnn.mlp([1, 1]).fit([[1.0], [2.0]], [1.0, 2.0], validation_split=share)


def test_one_row_cannot_be_split():
    with pytest.raises(ValueError, match="validation_split needs at least two rows, and X has one"):
        fastnn.mlp([1, 1]).fit([[1.0]], [1.0], validation_split=0.5)


def test_split_and_data_are_too_much():
    with pytest.raises(ValueError, match="validation_data and validation_split are both given"):
        fastnn.mlp([1, 1]).fit([[1.0]], [1.0], validation_split=0.5, validation_data=([[1.0]], [1.0]))


# Weights of classes ----------------------------------------------------------------------------------


def test_balanced_weights():
    rows = splits.with_class_weights("balanced", LOSSES["cross_entropy"], rows_of([0, 0, 0, 2]))
    assert rows.weights.tolist() == pytest.approx([4 / 6, 4 / 6, 4 / 6, 2.0])


def test_balanced_weights_count_rows_by_their_weights():
    """A row of weight 0 is left out of it; so is a class whose rows all are."""
    weights = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0.5, 0.5]
    rows = rows_of([0] * 8 + [1] * 4, weights=weights)
    found = splits.with_class_weights("balanced", LOSSES["cross_entropy"], rows)
    assert found.weights.tolist() == pytest.approx([0.0] * 6 + [1.25, 1.25] + [5 / 6] * 2 + [5 / 12] * 2)
    kept = rows.counting()
    alone = splits.with_class_weights("balanced", LOSSES["cross_entropy"], kept)
    assert found.weights[6:].tolist() == alone.weights.tolist()
    samples = [(x, t, w) for x, t, w in zip(rows.X.tolist(), rows.y.tolist(), weights, strict=True)]
    twins = reference.classes.weigh_classes(samples, "cross_entropy", "balanced")
    assert [weight for _, _, weight in twins] == found.weights.tolist()


def test_balanced_weights_whose_factor_overflows():
    rows = rows_of([0, 1], weights=[1e-30, 1e20])
    found = splits.with_class_weights(
        "balanced",
        LOSSES["cross_entropy"],
        Rows(rows.X.astype("f4"), rows.y.astype("f4"), rows.weights.astype("f4")),
    )
    assert found.weights.tolist() == pytest.approx([0.5e20, 0.5e20])


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_labels_of_focal_are_classes_too(output):
    labels = np.repeat([0, 1, 2], [80, 15, 5])
    rows = rows_of(labels)
    for seed in range(4):
        _, validation = splits.split(rows, 0.2, LOSSES["focal"], seed)
        assert np.bincount(labels[numbers(validation)]).tolist() == [16, 3, 1]
    net = fastnn.mlp([1, 3], output=output)
    options = {"loss": "focal", "class_weight": "balanced", "validation_split": 0.2}
    history = net.fit(rows.X / 100, labels, epochs=2, **options)
    twin = reference.mlp([1, 3], output=output)
    twin.parameters = fastnn.mlp([1, 3], output=output).parameters.tolist()
    expected = twin.fit((rows.X / 100).tolist(), rows.y.tolist(), epochs=2, **options)
    assert history.loss.tolist() == pytest.approx(expected.loss, rel=1e-12)
    assert history.val_loss.tolist() == pytest.approx(expected.val_loss, rel=1e-12)


def test_shares_of_focal_are_no_classes():
    rows = Rows(np.zeros((4, 1)), np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]), None)
    with pytest.raises(ValueError, match="targets of loss 'focal' are no classes here"):
        splits.with_class_weights("balanced", LOSSES["focal"], rows)


def test_weights_of_classes_multiply_those_of_rows():
    rows = rows_of([0, 1, 2, 1], weights=[1, 2, 3, 4])
    weighted = splits.with_class_weights({1: 0.5, 2: 0}, LOSSES["cross_entropy"], rows)
    assert weighted.weights.tolist() == [1.0, 1.0, 0.0, 2.0]
    assert rows.weights.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert splits.with_class_weights(None, LOSSES["mse"], rows) is rows


def test_products_of_weights_too_small_to_divide_by_are_0():
    rows = rows_of([0, 1], weights=[1e-300, 1.0])
    weighted = splits.with_class_weights({0: 1e-20}, LOSSES["cross_entropy"], rows)
    assert weighted.weights.tolist() == [0.0, 1.0]


CLASS_WEIGHTS = {
    "no classes": ("mse", {0: 1.0}, ValueError, "targets of loss 'mse' are no classes here"),
    "unknown word": ("cross_entropy", "even", ValueError, "class_weight is 'even'"),
    "a list": ("cross_entropy", [1.0, 2.0], TypeError, "class_weight is .*; a dictionary"),
    "a class too many": ("cross_entropy", {3: 1.0}, ValueError, "class_weight"),
    "a negative class": ("cross_entropy", {-1: 1.0}, ValueError, "class_weight"),
    "text for a class": ("cross_entropy", {"0": 1.0}, TypeError, "class_weight"),
    "a negative weight": ("cross_entropy", {0: -1.0}, ValueError, r"class_weight\[0\] is -1"),
    "an infinite weight": ("cross_entropy", {0: math.inf}, ValueError, r"class_weight\[0\] is inf"),
    "a sum beyond all": ("cross_entropy", {0: 1e308, 1: 1e308}, ValueError, "class_weight has the sum inf"),
    "a truth": ("cross_entropy", {0: True}, TypeError, r"class_weight\[0\] is True"),
    "all 0": ("cross_entropy", {0: 0, 1: 0, 2: 0}, ValueError, "which leaves every row the weight 0"),
}


@pytest.mark.parametrize(("loss", "given_", "error", "match"), CLASS_WEIGHTS.values(), ids=CLASS_WEIGHTS)
def test_bad_class_weights(loss, given_, error, match):
    output = "softmax" if loss == "cross_entropy" else "identity"
    net = fastnn.mlp([1, 3], output=output)
    y = [0, 1, 2] if loss == "cross_entropy" else np.zeros((3, 3))
    with pytest.raises(error, match=match):
        net.fit([[1.0], [2.0], [3.0]], y, loss=loss, class_weight=given_)


def test_class_weights_that_the_dtype_cannot_hold():
    net = fastnn.mlp([1, 2], output="softmax", dtype="float32")
    X, y = [[1.0], [2.0]], [0, 1]
    with pytest.raises(ValueError, match=r"^class_weight\[0\] is 1e\+300; finite float32 numbers are needed"):
        net.fit(X, y, loss="cross_entropy", class_weight={0: 1e300})
    with pytest.raises(ValueError, match=r"^class_weight times sample_weight\[1\] is 1\.0.*e\+60; finite float32"):
        net.fit(X, y, loss="cross_entropy", class_weight={1: 1e30}, sample_weight=[1.0, 1e30])
