"""The losses of the reference: values by hand, derivatives by central differences, settings and refusals."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

from reference import check_gradients, losses, mlp, numerical_gradient
from reference.activations import ACTIVATIONS, ROW_ACTIVATIONS
from reference.loss_choice import accepted_outputs
from reference.losses import (
    LOGIT_LOSSES,
    LOSSES,
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Huber,
    Quantile,
)

P, T = [0.2, 0.9, 0.5], [0.0, 1.0, 0.75]
Z = [-1.5, 2.0, 0.3]
VALUES = {  # by hand
    "mse": (0.04 + 0.01 + 0.0625) / 3,
    "half_sse": (0.04 + 0.01 + 0.0625) / 2,
    "mae": (0.2 + 0.1 + 0.25) / 3,
    "huber": (0.04 + 0.01 + 0.0625) / 6,
    "log_cosh": (math.log(math.cosh(0.2)) + math.log(math.cosh(0.1)) + math.log(math.cosh(0.25))) / 3,
    "quantile": (0.2 + 0.1 + 0.25) / 6,
    "poisson": (0.2 + 0.9 - math.log(0.9) + 0.5 - 0.75 * math.log(0.5)) / 3,
    "gamma": (math.log(0.2) + 1 / 0.9 + math.log(0.9) + 1.5 + math.log(0.5)) / 3,
    "binary_cross_entropy": -(math.log(0.8) + math.log(0.9) + math.log(0.5)) / 3,
    "cross_entropy": -math.log(0.9) - 0.75 * math.log(0.5),
    "hinge": (1 + 0.2 + 1 - 0.9 + 1 - 0.75 * 0.5) / 3,
    "focal": -(0.04 * math.log(0.8) + 0.01 * math.log(0.9) + 0.25 * math.log(0.5)) / 3,
}

SETTINGS = [
    ("huber", {"delta": 0.15}),
    ("huber", {"delta": 2.0}),
    ("quantile", {"levels": 0.9}),
    ("quantile", {"levels": [0.1, 0.5, 0.8]}),
    ("binary_cross_entropy", {"label_smoothing": 0.2}),
    ("cross_entropy", {"label_smoothing": 0.2}),
    ("focal", {"gamma": 1.0}),
    ("focal", {"gamma": 3.5, "alpha": 0.25}),
]
OBJECTS = [
    Huber(delta=0.3),
    Huber(1.0),
    Quantile(0.9),
    BinaryCrossEntropy(label_smoothing=0.3),
    CrossEntropy(label_smoothing=0.3),
    Focal(gamma=1.0),
    Focal(gamma=2.5, alpha=0.25),
]


def test_order_of_names():
    assert list(LOSSES) == list(VALUES)


@pytest.mark.parametrize(("name", "settings"), [*((name, {}) for name in LOSSES), *SETTINGS], ids=str)
@pytest.mark.parametrize("outputs", [1, 3])
def test_derivatives_of_predictions(name, settings, outputs):
    value, derivative = LOSSES[name]
    if np.ndim(settings.get("levels")) and outputs == 1:
        outputs = 3
    p, t = P[:outputs], [1.0, 0.0, 0.75][:outputs]
    numeric = numerical_gradient(lambda p: value(p, t, **settings), p, 1e-6)
    assert derivative(p, t, **settings) == pytest.approx(numeric, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_values(name):
    assert LOSSES[name][0](P, T) == pytest.approx(VALUES[name], rel=1e-6)  # epsilon moves them by 1e-7
    assert getattr(losses, name) is LOSSES[name][0]


FUSED = [(name, output) for name in LOGIT_LOSSES for output in LOGIT_LOSSES[name]]
SETTINGS_OF_LOGITS = [
    (name, output, settings)
    for name, settings in [*((name, {}) for name in LOSSES), *SETTINGS]
    for output in LOGIT_LOSSES.get(name, {})
    if not (output == "softmax" and "alpha" in settings)
]


def activated(output, z):
    if output in ROW_ACTIVATIONS:
        return ROW_ACTIVATIONS[output][0](z)
    return [ACTIVATIONS[output][0](z_k) for z_k in z]


@pytest.mark.parametrize(("name", "output", "settings"), SETTINGS_OF_LOGITS, ids=str)
@pytest.mark.parametrize("outputs", [1, 3])
def test_derivatives_of_logits(name, output, settings, outputs):
    value, derivative = LOGIT_LOSSES[name][output]
    z, t = Z[:outputs], [0.75, 0.0, 1.0][:outputs]
    numeric = numerical_gradient(lambda z: value(z, t, **settings), z)
    assert derivative(z, t, **settings) == pytest.approx(numeric, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("name", "output", "settings"), SETTINGS_OF_LOGITS, ids=str)
def test_losses_of_logits_are_the_plain_ones(name, output, settings):
    p = activated("softmax" if output == "log_softmax" else output, Z)
    if name == "focal" and output == "softmax":  # of classes, which has no plain function
        gamma = settings.get("gamma", 2.0)
        plain = -sum(t_k * (1 - p_k) ** gamma * math.log(p_k) for p_k, t_k in zip(p, T, strict=True))
    else:
        exact = {} if name in ("poisson", "gamma") else {"epsilon": 0.0}
        plain = LOSSES[name][0](p, T, **exact, **settings)
    assert LOGIT_LOSSES[name][output][0](Z, T, **settings) == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize(("name", "output"), FUSED)
@pytest.mark.parametrize("t", [[1.0, 0.0, 0.0], [0.25, 0.5, 0.25]])
def test_losses_of_large_logits(name, output, t):
    value, derivative = LOGIT_LOSSES[name][output]
    if name == "gamma":
        t = [t_k + 1.0 for t_k in t]  # which must not be 0
    for z in ([1e3, -1e3, 1e3], [-1e3, 1e3, 0.0], [-300.0, -300.0, 300.0]):
        results = [value(z, t), *derivative(z, t)]
        assert not any(math.isnan(result) for result in results)
        if output != "exponential" and name != "gamma":  # whose loss is t/p
            assert all(math.isfinite(result) for result in results)


def test_focal_of_softmax_keeps_its_digits_where_a_class_is_nearly_certain():
    mpmath = pytest.importorskip("mpmath")
    value, derivative = LOGIT_LOSSES["focal"]["softmax"]
    z, t = [20.0, -3.0, -5.0], [1.0, 0.0, 0.0]

    def exactly(z, k=None):
        with mpmath.workdps(60):
            powers = [mpmath.exp(mpmath.mpf(z_k)) for z_k in z]
            p = powers[0] / mpmath.fsum(powers)
            return -((1 - p) ** 2) * mpmath.log(p)

    assert value(z, t) == pytest.approx(float(exactly(z)), rel=1e-12)
    with mpmath.workdps(60):
        slope = float(mpmath.diff(lambda first: exactly([first, *z[1:]]), z[0]))
    assert derivative(z, t)[0] == pytest.approx(slope, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 0.9, 1.1, 30.0, 1e3])
def test_log_cosh_keeps_its_digits(scale):
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(1000):
        exact = float(mpmath.log(mpmath.cosh(mpmath.mpf(scale))))
    assert losses.log_cosh([scale], [0.0]) == pytest.approx(exact, rel=1e-15)
    assert losses.log_cosh([0.0], [scale]) == losses.log_cosh([scale], [0.0])


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    p, t = torch.tensor(P, dtype=torch.float64), torch.tensor(T, dtype=torch.float64)
    z = torch.tensor(Z, dtype=torch.float64)
    assert losses.huber(P, T, 0.15) == pytest.approx(functional.huber_loss(p, t, delta=0.15).item(), rel=1e-14)
    poisson = functional.poisson_nll_loss(z, t, log_input=True).item()
    assert LOGIT_LOSSES["poisson"]["exponential"][0](Z, T) == pytest.approx(poisson, rel=1e-14)
    smooth = functional.cross_entropy(z, torch.tensor(1), label_smoothing=0.3).item()
    fused = LOGIT_LOSSES["cross_entropy"]["softmax"][0](Z, [0.0, 1.0, 0.0], label_smoothing=0.3)
    assert fused == pytest.approx(smooth, rel=1e-14)


def test_where_derivatives_jump():
    assert losses.mae_derivative([1.0, 2.0], [1.0, 0.0]) == [0.0, 0.5]
    assert losses.quantile_derivative([1.0, 2.0, 0.0], [1.0, 1.0, 1.0], 0.75) == [0.0, 0.25 / 3, -0.25]
    assert losses.hinge_derivative([1.0, 0.5, -1.0], [1.0, 1.0, -1.0]) == [0.0, -1 / 3, 0.0]
    assert losses.huber_derivative([1.0, -1.0], [0.0, 0.0], 1.0) == [0.5, -0.5]


def test_zero_stands_for_minus_one_in_hinge():
    for function in LOSSES["hinge"]:
        assert function([0.3, -0.2], [0.0, 1.0]) == function([0.3, -0.2], [-1.0, 1.0])


def test_zeros_that_softplus_reaches_by_rounding():
    assert losses.poisson([0.0, 1.0], [0.0, 0.0]) == 0.5
    assert losses.poisson_derivative([0.0, 1.0], [0.0, 0.0]) == [0.5, 0.5]
    assert losses.poisson([0.0], [1.0]) == losses.gamma([0.0], [1.0]) == math.inf
    assert losses.poisson_derivative([0.0], [1.0]) == losses.gamma_derivative([0.0], [1.0]) == [-math.inf]
    for name in ("poisson", "gamma"):
        assert math.isnan(LOSSES[name][0]([math.nan], [1.0]))


# Through a network


def rows(outputs, samples=6):
    r = Random(2)
    X = [[3 * r.random() - 1.5 for _ in range(2)] for _ in range(samples)]
    y = [[float(r.random() > 0.5) for _ in range(outputs)] for _ in range(samples)]
    return X, y, [0.5 + 2 * r.random() for _ in range(samples)]


@pytest.mark.parametrize("loss", OBJECTS, ids=str)
@pytest.mark.parametrize("outputs", [1, 3])
def test_gradients_of_networks(loss, outputs):
    for output in accepted_outputs(loss.name) or ["identity"]:
        if output in ROW_ACTIVATIONS and (outputs == 1 or getattr(loss, "alpha", None) is not None):
            continue
        X, y, weights = rows(outputs)
        net = mlp([2, 3, outputs], activation="tanh", output=output, seed=3)
        assert check_gradients(net, X, y, loss, weights) < 1e-6
        assert any(net.gradients)


@pytest.mark.parametrize(
    ("loss", "output"),
    [
        (Huber(), "identity"),
        (Quantile(), "identity"),
        (Quantile([0.5]), "identity"),
        (BinaryCrossEntropy(), "sigmoid"),
        (CrossEntropy(), "softmax"),
        (Focal(), "sigmoid"),
        (Focal(), "softmax"),
    ],
    ids=str,
)
def test_a_name_means_the_usual_settings(loss, output):
    X, y, weights = rows(3)
    net = mlp([2, 3], output=output, seed=3)
    assert net.loss_and_gradient(X, y, loss, weights) == net.loss_and_gradient(X, y, loss.name, weights)


def test_several_quantiles_share_a_target():
    X, _, weights = rows(1)
    y = [0.3, -0.2, 0.8, 1.5, 0.1, 0.9]
    net = mlp([2, 3, 3], activation="tanh", seed=3)
    loss = Quantile([0.1, 0.5, 0.9])
    assert check_gradients(net, X, y, loss, weights) < 1e-6
    expected = net.loss_and_gradient(X, [[t] * 3 for t in y], loss, weights)
    assert net.loss_and_gradient(X, y, loss, weights) == expected
    assert net.loss_and_gradient(X, [[t] for t in y], loss, weights) == expected
    # each output is the loss of its own level
    p, t = [0.2, 0.9, 0.5], [0.7, 0.7, 0.7]
    each = [losses.quantile([p_k], [0.7], q) for p_k, q in zip(p, loss.levels, strict=True)]
    assert losses.quantile(p, t, loss.levels) == pytest.approx(np.mean(each), rel=1e-15)


def test_the_best_constant_of_a_quantile_is_the_quantile():
    net = mlp([1, 1], initializer=0)
    X, y = [[0.0]] * 5, [1.0, 2.0, 3.0, 4.0, 10.0]

    def loss_of(constant):
        net.parameters = [0.0, constant]
        return net.evaluate(X, y, Quantile(0.7))

    assert loss_of(4.0) < min(loss_of(constant) for constant in (1.0, 2.0, 3.0, 3.9, 4.1, 10.0))


X2, Y2 = [[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Huber(0.0), "delta is 0.0; it must be positive"),
        (lambda: Quantile(1.0), "levels has 1.0; a level is above 0 and below 1"),
        (lambda: Quantile([0.5, 0.0]), "levels has 0.0"),
        (lambda: Quantile([]), "levels is empty"),
        (lambda: BinaryCrossEntropy(1.0), "label_smoothing is 1.0"),
        (lambda: CrossEntropy(-0.1), "label_smoothing is -0.1"),
        (lambda: Focal(0.5), "gamma is 0.5; it must be at least 1"),
        (lambda: Focal(alpha=1.5), "alpha is 1.5"),
        (lambda: mlp([2, 2]).evaluate(X2, X2, Quantile([0.1, 0.5, 0.9])), "levels has 3 entries for 2 outputs"),
        (
            lambda: mlp([2, 2], output="softmax").evaluate(X2, X2, Focal(alpha=0.5)),
            "alpha of focal is for sigmoid",
        ),
        (lambda: mlp([2, 1]).evaluate(X2, Y2, "poisson"), "poisson needs exponential or softplus outputs"),
        (lambda: mlp([2, 1], output="relu").evaluate(X2, Y2, "gamma"), "gamma needs exponential or softplus"),
        (lambda: mlp([2, 1], output="sigmoid").evaluate(X2, Y2, "hinge"), "hinge needs identity or tanh"),
        (lambda: mlp([2, 1]).evaluate(X2, Y2, "focal"), "focal needs sigmoid or softmax"),
        (lambda: mlp([2, 1], output="softplus").evaluate(X2, [-1, 1], "poisson"), "y has a negative number"),
        (lambda: mlp([2, 1], output="softplus").evaluate(X2, Y2, "gamma"), "not positive"),
        (lambda: mlp([2, 1]).evaluate(X2, [0, -1], "hinge"), "-1 and 1, or 0 and 1"),
        (lambda: mlp([2, 1], output="sigmoid").evaluate(X2, [0, 2], "focal"), "targets from 0 to 1"),
        (lambda: mlp([2, 2], output="softmax").evaluate(X2, [0, 2], "focal"), "label 2; labels are 0 to 1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_planted_fault_in_a_setting_is_found(monkeypatch):
    # the derivative of a delta that is not the value's
    value, derivative = LOSSES["huber"]
    monkeypatch.setitem(LOSSES, "huber", (value, lambda p, t, delta: derivative(p, t, 1.01 * delta)))
    X, y, _ = rows(3)
    assert check_gradients(mlp([2, 3, 3]), X, y, Huber(0.1)) > 1e-3
