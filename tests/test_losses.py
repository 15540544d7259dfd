"""Losses of plain predictions, against the reference and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fastnn
import reference
from fastnn import losses
from fastnn.loss_kinds import LOSSES


def mean_of_twin(name, p, t, weights=None):
    """The reference has the loss of one sample."""
    twin = getattr(reference.losses, name)
    each = [twin(row, target) for row, target in zip(p.tolist(), t.tolist(), strict=True)]
    return np.average(each, weights=weights)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("outputs", [1, 3])
def test_against_the_reference(rng, name, outputs):
    p, t = rng.uniform(size=(2, 17, outputs))
    if LOSSES[name].classes:
        t /= t.sum(axis=1, keepdims=True)
    weights = rng.integers(3, size=17)
    loss = getattr(losses, name)
    # Rounding of 17 summands.
    assert loss(p, t) == pytest.approx(mean_of_twin(name, p, t), rel=1e-13)
    assert loss(p, t, weights) == pytest.approx(mean_of_twin(name, p, t, weights), rel=1e-13)
    assert loss(p.tolist(), t.tolist(), sample_weight=weights.tolist()) == loss(p, t, weights)
    assert loss(p[0], t[0]) == pytest.approx(mean_of_twin(name, p[:1], t[:1]), rel=1e-14)


@pytest.mark.parametrize("name", ["mse", "half_sse", "mae"])
def test_is_what_a_network_reports(rng, name):
    net = fastnn.mlp([2, 3, 2])
    X, y = rng.normal(size=(9, 2)), rng.normal(size=(9, 2))
    assert getattr(losses, name)(net.predict(X), y) == pytest.approx(net.evaluate(X, y, loss=name), rel=1e-14)


def test_labels():
    p = [[0.2, 0.8], [0.5, 0.5]]
    assert losses.cross_entropy(p, [1, 0]) == losses.cross_entropy(p, [[0, 1], [1, 0]])
    assert losses.cross_entropy([0.2, 0.8], 1) == pytest.approx(-math.log(0.8), rel=1e-6)


def test_epsilon_keeps_logarithms_finite():
    assert losses.cross_entropy([0.0, 1.0], [1, 0]) == pytest.approx(-math.log(1e-7), rel=1e-14)
    assert losses.cross_entropy([0.0, 1.0], [1, 0], epsilon=1e-3) == pytest.approx(-math.log(1e-3), rel=1e-14)
    assert losses.binary_cross_entropy([[1.0]], [[0.0]]) == pytest.approx(-math.log(1e-7), rel=1e-8)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("p", "t", "error", "match"),
    [
        ([[0.5, np.nan]], [[0, 1]], ValueError, r"predictions\[\(0, 1\)\] is nan"),
        ([[0.5, 0.5]], [[0, np.inf]], ValueError, r"targets\[\(0, 1\)\] is inf"),
        ([[0.5, 0.5]], [[0, 1, 0]], ValueError, r"targets has shape \(1, 3\); \(rows, 2\)"),
        ([[0.5, 0.5]], [[0, 1], [1, 0]], ValueError, r"targets has 2 row\(s\)"),
        ([], [], ValueError, "predictions"),
        (0.5, 1, ValueError, "predictions has 0 dimension"),
        ("text", [1], TypeError, "predictions holds text"),
    ],
    ids=["NaN", "infinity", "width", "rows", "empty", "number", "text"],
)
def test_bad_input(name, p, t, error, match):
    with pytest.raises(error, match=match):
        getattr(losses, name)(p, t)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_probabilities(name):
    loss = getattr(losses, name)
    with pytest.raises(ValueError, match=r"predictions\[\(0, 1\)\] is 1\.5; probabilities from 0 to 1"):
        loss([[0.5, 1.5]], [[0.0, 1.0]])
    with pytest.raises(ValueError, match="epsilon is 0; a finite number above 0"):
        loss([[0.5, 0.5]], [[0.0, 1.0]], epsilon=0)
