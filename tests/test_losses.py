"""Losses of plain predictions, against the reference and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fastnn
import reference
from fastnn import losses
from fastnn.loss_kinds import LOSSES, Kind, loss_of
from tests.problems import LOSSES_WITH_SETTINGS, made


def mean_of_twin(name, p, t, weights=None, **settings):
    """The reference has the loss of one sample."""
    twin = getattr(reference.losses, name)
    each = [twin(row, target, **settings) for row, target in zip(p.tolist(), t.tolist(), strict=True)]
    return np.average(each, weights=weights)


def predictions_and_targets(rng, name, outputs):
    """Of 17 rows, within what the loss accepts."""
    p, t = rng.uniform(size=(2, 17, outputs))
    if LOSSES[name].kind is Kind.LABELS:
        t /= t.sum(axis=1, keepdims=True)
    if LOSSES[name].signs:
        p, t = 4 * p - 2, rng.choice([-1.0, 1.0], size=t.shape)
    return p, t


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("outputs", [1, 3])
def test_against_the_reference(rng, name, outputs):
    p, t = predictions_and_targets(rng, name, outputs)
    weights = rng.integers(3, size=17)
    loss = getattr(losses, name)
    # Rounding of 17 summands.
    assert loss(p, t) == pytest.approx(mean_of_twin(name, p, t), rel=1e-13)
    assert loss(p, t, weights) == pytest.approx(mean_of_twin(name, p, t, weights), rel=1e-13)
    assert loss(p.tolist(), t.tolist(), sample_weight=weights.tolist()) == loss(p, t, weights)
    assert loss(p[0], t[0]) == pytest.approx(mean_of_twin(name, p[:1], t[:1]), rel=1e-14)


@pytest.mark.parametrize(("loss", "wrong"), [(losses.poisson, -1.0), (losses.gamma, 0.0)])
def test_predictions_out_of_range(loss, wrong):
    with pytest.raises(ValueError, match=rf"predictions\[1\] is {wrong}; predictions of loss .* are "):
        loss([[1.0], [wrong]], [[3.0], [3.0]])
    assert loss([[1.0], [wrong]], [[3.0], [3.0]], [1.0, 0.0]) == loss([[1.0]], [[3.0]])


SETTINGS = {
    "huber": {"delta": 0.2},
    "quantile": {"levels": [0.1, 0.5, 0.9]},
    "binary_cross_entropy": {"epsilon": 1e-3, "label_smoothing": 0.1},
    "cross_entropy": {"epsilon": 1e-3, "label_smoothing": 0.1},
    "focal": {"gamma": 1.5, "alpha": 0.25, "epsilon": 1e-3},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(rng, name):
    p, t = predictions_and_targets(rng, name, 3)
    expected = mean_of_twin(name, p, t, **SETTINGS[name])
    assert getattr(losses, name)(p, t, **SETTINGS[name]) == pytest.approx(expected, rel=1e-13)
    assert getattr(losses, name)(p, t) != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("loss", [loss for _, loss, _ in LOSSES_WITH_SETTINGS], ids=str)
def test_objects_have_the_settings_of_the_reference_s(loss):
    ours, twin = made(loss, fastnn), made(loss, reference)
    assert loss_of(ours) is ours
    assert ours.name == twin.name
    shown = ", ".join(f"{name}={value!r}" for name, value in vars(twin).items())
    assert repr(ours) == f"{type(twin).__name__}({shown})"


BAD_SETTINGS = {
    "delta 0": (lambda: losses.Huber(0), ValueError, "delta is 0; a finite number above 0"),
    "delta infinite": (lambda: losses.Huber(math.inf), ValueError, "delta is inf"),
    "delta text": (lambda: losses.Huber("1"), TypeError, "delta is '1'"),
    "no level": (lambda: losses.Quantile([]), ValueError, "levels is empty"),
    "level 1": (lambda: losses.Quantile(1.0), ValueError, "levels is 1.*below 1"),
    "second level": (lambda: losses.Quantile([0.5, 0.0]), ValueError, r"levels\[1\] is 0"),
    "levels text": (lambda: losses.Quantile("0.5"), TypeError, "levels is '0.5'"),
    "smoothing 1": (lambda: losses.CrossEntropy(1.0), ValueError, "label_smoothing is 1"),
    "smoothing below 0": (lambda: losses.BinaryCrossEntropy(-0.1), ValueError, "label_smoothing is -0.1"),
    "gamma": (lambda: losses.Focal(0.5), ValueError, "gamma is 0.5"),
    "alpha": (lambda: losses.Focal(alpha=1.5), ValueError, "alpha is 1.5; a number from 0 to 1, or None"),
    "alpha below 0": (lambda: losses.Focal(alpha=-0.5), ValueError, "alpha is -0.5"),
}


@pytest.mark.parametrize(("make", "error", "match"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_bad_settings(make, error, match):
    with pytest.raises(error, match=match):
        make()


TARGETS = {
    "poisson": ("exponential", -1.0, "targets of loss 'poisson' are 0 or more"),
    "gamma": ("exponential", 0.0, "targets of loss 'gamma' are above 0"),
    "binary_cross_entropy": ("sigmoid", 1.5, "targets of loss 'binary_cross_entropy' are from 0 to 1"),
    "focal": ("sigmoid", -0.5, "targets of loss 'focal' are from 0 to 1"),
    "hinge": ("identity", 0.5, "targets of loss 'hinge' are -1 and 1, or 0 and 1"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_a_loss_has_no_meaning_for(name):
    output, bad, match = TARGETS[name]
    net, twin = fastnn.mlp([1, 1], output=output), reference.mlp([1, 1], output=output)
    X, y = [[1.0], [2.0], [3.0]], [1.0, bad, 1.0]
    with pytest.raises(ValueError, match=rf"y\[1\] is {bad}; {match}"):
        net.fit(X, y, loss=name)
    if name != "binary_cross_entropy":  # which is defined for any number, and so is its twin
        with pytest.raises(ValueError, match="y has"):
            twin.fit(X, y, loss=name)
    net.fit(X, [1.0, 1.0, 1.0], loss=name)


@pytest.mark.parametrize("name", TARGETS)
def test_functions_refuse_the_same_targets(name):
    _, bad, match = TARGETS[name]
    with pytest.raises(ValueError, match=rf"targets\[1\] is {bad}; {match}"):
        getattr(losses, name)([[0.5], [0.5], [0.5]], [1.0, bad, 1.0])


def test_hinge_takes_one_kind_of_no():
    with pytest.raises(ValueError, match="y has -1 and 0"):
        fastnn.mlp([1, 1]).fit([[1.0], [2.0]], [-1.0, 0.0], loss="hinge")


def test_focal_of_classes_has_no_alpha():
    net = fastnn.mlp([1, 3], output="softmax")
    with pytest.raises(ValueError, match="which is for sigmoid outputs"):
        net.fit([[1.0]], [0], loss=losses.Focal(alpha=0.5))


def test_levels_are_for_as_many_outputs():
    with pytest.raises(
        ValueError, match=r"loss Quantile\(levels=\[0.1, 0.9\]\) is for 2 outputs; the network has 3"
    ):
        fastnn.mlp([1, 3]).fit([[1.0]], [0.0], loss=losses.Quantile([0.1, 0.9]))


def test_one_target_stands_for_all_levels(rng):
    net, loss = fastnn.mlp([2, 3]), losses.Quantile([0.1, 0.5, 0.9])
    X, y = rng.normal(size=(9, 2)), rng.normal(size=9)
    expected = net.evaluate(X, np.repeat(y[:, np.newaxis], 3, axis=1), loss=loss)
    assert net.evaluate(X, y, loss=loss) == net.evaluate(X, y[:, np.newaxis], loss=loss) == expected


@pytest.mark.parametrize("name", ["mse", "half_sse", "mae", "huber", "log_cosh", "quantile"])
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
        ([[0.5, np.nan]], [[0, 1]], ValueError, r"predictions\[0, 1\] is nan"),
        ([[0.5, 0.5]], [[0, np.inf]], ValueError, r"targets\[0, 1\] is inf"),
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
    with pytest.raises(ValueError, match=r"predictions\[0, 1\] is 1\.5; probabilities from 0 to 1"):
        loss([[0.5, 1.5]], [[0.0, 1.0]])
    with pytest.raises(ValueError, match="epsilon is 0; a finite number above 0"):
        loss([[0.5, 0.5]], [[0.0, 1.0]], epsilon=0)
