"""Diagnosis: each thing it can find is provoked by a real network, and where all is well it finds nothing."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
from fastnn.activations import ACTIVATIONS
from fastnn.callbacks import EarlyStopping
from fastnn.diagnosis import Diagnosis, diagnose
from fastnn.findings import percent
from fastnn.inspection import reach_of, slopes
from fastnn.layers import Dense, Dropout, LayerNormalization
from fastnn.optimizers import SGD, Adam

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0, 0.0])
BOUNDED = ("sigmoid", "hard_sigmoid", "tanh", "softsign")
# The derivatives of a few, written down here once more, to compare with.
SLOPES = {
    "identity": lambda z: np.ones_like(z),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)) / (1 + np.exp(z)),
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "relu": lambda z: np.where(z > 0, 1.0, 0.0),
    "softplus": lambda z: 1 / (1 + np.exp(-z)),
}


@pytest.fixture
def line(rng):
    """Rows of two columns, and a target that is a smooth function of them, all about 1."""
    X = rng.normal(size=(60, 2))
    return X, np.tanh(X[:, 0] - 0.5 * X[:, 1])


def found(diagnosis, *words):
    """The one sentence that has these words; all sentences are shown if it is not there."""
    sentences = [sentence for sentence in diagnosis.advice if all(word in sentence for word in words)]
    assert len(sentences) == 1, (words, diagnosis.advice)
    return sentences[0]


@pytest.mark.parametrize(
    ("share", "shown"),
    [(1.0, "100 %"), (0.99999, "99.9 %"), (0.9949, "99.5 %"), (0.98, "98 %"), (0.123, "12 %"), (0.0, "0 %")],
)
def test_only_all_are_100_percent(share, shown):
    assert percent(share) == shown


def saying_nothing_of(diagnosis, *words):
    assert not [sentence for sentence in diagnosis.advice if any(word in sentence for word in words)]


# What is measured


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_are_the_derivatives(name, dtype):
    z = np.concatenate([np.linspace(-8, 8, 33) + 0.1, [-300.0, 250.0]]).astype(dtype)
    # Between two places whose distance is the cube root of the precision.
    bound = {"float64": 1e-8, "float32": 2e-3}[dtype]
    assert_allclose(
        slopes(ACTIVATIONS[name], z), SLOPES[name](z.clip(-600, 600).astype(float)), atol=bound, rtol=0
    )


@pytest.mark.parametrize(
    ("name", "low", "high", "steepest"),
    [
        ("identity", -np.inf, np.inf, 1.0),
        ("sigmoid", 0.0, 1.0, 0.25),
        ("tanh", -1.0, 1.0, 1.0),
        ("relu", 0.0, np.inf, 1.0),
        ("leaky_relu", -np.inf, np.inf, 1.0),
        ("elu", -1.0, np.inf, 1.0),
        ("softplus", 0.0, np.inf, 1.0),
        ("silu", -0.278, np.inf, 1.1),
        ("gelu", -0.17, np.inf, 1.13),
    ],
)
def test_what_an_activation_can_give_is_found_by_trying(name, low, high, steepest, dtype):
    reach = reach_of(ACTIVATIONS[name], name, np.dtype(dtype))
    assert_allclose([reach.low, reach.high, reach.steepest], [low, high, steepest], atol=2e-3)
    assert reach.saturates == (name in BOUNDED)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if not ACTIVATIONS[name].coupled])
def test_every_activation_has_a_reach(name):
    with np.errstate(all="raise"):
        reach = reach_of(ACTIVATIONS[name], name, np.dtype("float64"))
    assert reach.low < reach.high
    assert reach.steepest > 0
    assert reach.saturates == (name in BOUNDED)


def test_numbers_of_each_layer(line, dtype):
    X, y = line
    net = fastnn.Sequential(
        [
            fastnn.Dense(6, "tanh", l2=0.01),
            Dropout(0.5),
            LayerNormalization(),
            fastnn.Dense(5, "relu"),
            fastnn.Dense(1),
        ],
        inputs=2,
        dtype=dtype,
    )
    weights = np.linspace(0.0, 2.0, len(X))
    diagnosis = diagnose(net, X, y, sample_weight=weights)
    loss, gradient = net.loss_and_gradient(X, y, sample_weight=weights)
    assert diagnosis.rows == 59  # the first one weighs nothing
    assert_allclose(diagnosis.loss, loss, rtol=1e-6)
    assert_allclose(diagnosis.gradient_norm, np.linalg.norm(gradient), rtol=1e-5)
    assert [layer.name for layer in diagnosis.layers] == [f"layers[{i}]" for i in range(5)]
    assert [layer.parameters for layer in diagnosis.layers] == [18, 0, 12, 35, 6]
    parts, own = np.split(gradient, [18, 18, 30, 65]), np.split(net.parameters, [18, 18, 30, 65])
    assert_allclose(
        [layer.gradient_norm for layer in diagnosis.layers], [np.linalg.norm(p) for p in parts], rtol=1e-5
    )
    assert_allclose(
        [layer.relative_gradient for layer in diagnosis.layers if layer.parameters],
        [np.linalg.norm(g) / np.linalg.norm(p) for g, p in zip(parts, own, strict=True) if len(p)],
        rtol=1e-5,
    )

    rows = X[1:]
    first = np.tanh(rows @ net.layers[0].weights)
    normal = (first - first.mean(axis=1, keepdims=True)) / np.sqrt(first.var(axis=1, keepdims=True) + 1e-5)
    z = normal @ net.layers[3].weights
    second = np.maximum(z, 0)
    last = second @ net.layers[4].weights
    for layer, outputs in zip(diagnosis.layers, (first, first, normal, second, last), strict=True):
        assert_allclose([layer.mean, layer.spread], [outputs.mean(), outputs.std()], atol=1e-5)
    assert_allclose(diagnosis.layers[0].saturated, (1 - first**2 < 0.01).mean(), atol=1e-3)
    assert diagnosis.layers[3].dead == (z <= 0).all(axis=0).mean()
    assert [layer.dead is None for layer in diagnosis.layers] == [True, True, True, False, True]
    assert [layer.saturated is None for layer in diagnosis.layers] == [False, True, True, True, True]

    mean = np.average(y[1:], weights=weights[1:])
    squares = weights[1:] @ (y[1:] - last[:, 0]) ** 2, weights[1:] @ (y[1:] - mean) ** 2
    assert_allclose(diagnosis.explained, 1 - squares[0] / squares[1], atol=1e-5)


def test_many_rows_are_looked_at_in_chunks(rng, monkeypatch):
    X, y = rng.normal(size=(50, 3)), rng.integers(0, 4, 50)
    net = fastnn.mlp([3, 7, 4], activation="relu", output="softmax")
    whole = diagnose(net, X, y, loss="cross_entropy")
    monkeypatch.setattr("fastnn.inspection.NUMBERS_AT_ONCE", 7 * 8)
    for here, there in zip(whole.layers, diagnose(net, X, y, loss="cross_entropy").layers, strict=True):
        assert_allclose([here.mean, here.spread], [there.mean, there.spread], rtol=1e-12)
        assert (here.dead, here.saturated) == (there.dead, there.saturated)


def test_a_dataset_is_as_good_as_its_rows(line):
    X, y = line
    weights = np.arange(60.0)
    net = fastnn.mlp([2, 3, 1])
    assert diagnose(net, fastnn.Dataset(X, y, weights)) == diagnose(net, X, y, sample_weight=weights)


def test_nothing_in_the_network_is_changed(line):
    X, y = line
    net = fastnn.mlp([2, 5, 1], activation="relu", dropout=0.2)
    net.fit(X, y, epochs=3)
    net.forward(X)
    before = net.parameters.copy(), net.gradients.copy(), net.history, net._last_forward
    given = X.copy(), y.copy()
    diagnose(net, X, y, learning_rate=1e6)
    assert_array_equal(net.parameters, before[0])
    assert_array_equal(net.gradients, before[1])
    assert net.history is before[2]
    assert net._last_forward is before[3]
    assert_array_equal(X, given[0])
    assert_array_equal(y, given[1])


def test_a_diagnosis_cannot_be_written_to_and_is_a_table(line):
    diagnosis = diagnose(fastnn.mlp([2, 3, 1], activation="relu", dropout=0.1), *line)
    assert isinstance(diagnosis, Diagnosis)
    with pytest.raises(FrozenInstanceError):
        diagnosis.loss = 0.0
    lines = str(diagnosis).splitlines()
    assert lines[0].split() == ["layer", "gradient", "relative", "dead", "saturated", "mean", "spread"]
    assert lines[1].startswith("layers[0]  3 relu")
    assert lines[2].split()[:4] == ["layers[1]", "Dropout(0.1)", "-", "-"]
    assert lines[4].startswith(f"mse {diagnosis.loss:.3g} for 60 rows, ")
    assert lines[5:] == ["- nothing found"]
    assert max(map(len, lines)) <= 90
    told = str(replace(diagnosis, advice=["so " * 40, "x"])).splitlines()[5:]
    assert [line[:2] for line in told] == ["- ", "  ", "- "]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net": 3}, "net is 3; a network is needed"),
        ({"X": [[1.0]]}, "X has 1 column"),
        ({"y": None}, "y is missing"),
        ({"y": [1.0]}, "y has 1 row"),
        ({"loss": "mss"}, "loss is 'mss'"),
        ({"loss": "cross_entropy"}, "cross_entropy"),
        ({"sample_weight": [-1.0] * 60}, "sample_weight"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; a finite number above 0"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
    ],
)
def test_what_is_no_question_is_refused(line, change, message):
    X, y = line
    given = {"net": fastnn.mlp([2, 3, 1]), "X": X, "y": y, **change}
    with pytest.raises((TypeError, ValueError), match=message.replace("(", r"\(")):
        diagnose(given.pop("net"), given.pop("X"), given.pop("y"), **given)


# Good health


@pytest.mark.compiled
@pytest.mark.parametrize("dtype_", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("activation", "rate"), [("sigmoid", 10.0), ("tanh", 1.0)])
def test_a_circle_is_in_good_health(activation, rate, seed, dtype_):
    X, y = fastnn.datasets.circle(density=10)
    net = fastnn.mlp(
        [2, 4, 1], activation=activation, output="sigmoid", initializer="uniform", seed=seed, dtype=dtype_
    )
    assert diagnose(net, X, y).advice == []  # before
    net.fit(X, y, epochs=2000, optimizer=SGD(rate))
    assert diagnose(net, X, y, learning_rate=rate).advice == []  # and after


@pytest.mark.compiled
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("seed", range(3))
def test_xor_is_in_good_health(activation, seed):
    net = fastnn.mlp([2, 4, 1], activation=activation, output="sigmoid", seed=seed)
    net.fit(*XOR, epochs=2000, optimizer=Adam(0.05), loss="binary_cross_entropy")
    diagnosis = diagnose(net, *XOR, loss="binary_cross_entropy")
    assert diagnosis.explained > 0.99
    assert diagnosis.advice == []


def digits(rng, n=600):
    """Ten classes of pictures of 8·8 points from 0 to 1: a sketch of each, shifted and with noise."""
    sketches = (rng.random((10, 8, 8)) < 0.4) * rng.uniform(0.5, 1.0, (10, 8, 8))
    labels = np.arange(n) % 10
    moved = np.array([np.roll(sketches[k], rng.integers(-1, 2), axis=1) for k in labels])
    return np.clip(moved + rng.normal(0, 0.1, moved.shape), 0, 1).reshape(n, 64), labels


@pytest.mark.compiled
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_pictures_of_digits_are_in_good_health(rng, activation):
    X, y = digits(rng)
    net = fastnn.mlp([64, 32, 10], activation=activation, output="softmax")
    assert diagnose(net, X, y, loss="cross_entropy").advice == []
    options = {"batch_size": 32, "optimizer": Adam(0.005), "loss": "cross_entropy", "validation_split": 0.3}
    for _ in range(2):  # the second fit begins with a network that knows nearly all
        net.fit(X, y, epochs=30, **options)
        assert diagnose(net, X, y, loss="cross_entropy").advice == []


@pytest.mark.compiled
def test_a_deep_network_with_good_initial_values_is_in_good_health(line):
    X, y = line
    net = fastnn.mlp([2, *[16] * 6, 1], activation="relu")
    assert diagnose(net, X, y).advice == []
    net.fit(X, y, epochs=200, optimizer=Adam(0.002))
    assert diagnose(net, X, y).advice == []


# Inputs and targets


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda column: 400.0 * column, "and deviation 4"),
        (lambda column: 1990.0 + 10.0 * column, "has mean 1,99"),
        (lambda column: 5.0 + 0.1 * column, "has mean 5"),
        (lambda column: 1e-4 * column, "and deviation 0.000109"),
    ],
)
def test_unscaled_inputs(line, change, words):
    X, y = line
    X[:, 1] = change(X[:, 1])
    sentence = found(diagnose(fastnn.mlp([2, 4, 1]), X, y), "inputs are unscaled: X[:, 1]")
    assert words in sentence
    assert "bring columns to mean 0 and deviation 1" in sentence


def test_several_unscaled_columns_are_counted(rng):
    X = rng.normal(size=(30, 6)) * [1, 30, 40, 2000, 1, 1]
    sentence = found(diagnose(fastnn.mlp([6, 4, 1]), X, rng.normal(size=30)), "inputs are unscaled")
    assert "X[:, 3]" in sentence
    assert "3 of 6 columns" in sentence


def test_constant_columns(rng, line):
    X, y = line
    X[:, 0] = 0.1 + 0.2  # its mean is another number, by rounding
    diagnosis = diagnose(fastnn.mlp([2, 4, 1]), X, y)
    found(diagnosis, "X[:, 0] is 0.3 in every row", "leave it out")
    saying_nothing_of(diagnosis, "unscaled")
    many = rng.normal(size=(20, 9)) * ([0] * 5 + [1] * 4)
    found(
        diagnose(fastnn.mlp([9, 1]), many, many[:, 8]),
        "5 of 9 columns of X are the same",
        "(X[:, 0], X[:, 1], X[:, 2] and 2 more)",
    )


def test_one_row_has_no_constant_columns():
    assert diagnose(fastnn.mlp([2, 1]), [[0.5, 1.0]], [1.0]).advice == []


def test_targets_that_are_all_the_same(line):
    diagnosis = diagnose(fastnn.mlp([2, 4, 1]), line[0], np.full(60, 3.0))
    found(diagnosis, "y is 3 in every row")
    assert diagnosis.explained is None
    one_class = diagnose(fastnn.mlp([2, 4, 2], output="softmax"), line[0], np.ones(60), loss="cross_entropy")
    found(one_class, "y is [0, 1] in every row")


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_unscaled_targets(line, loss):
    X, y = line
    for values, words in (
        (100 * y, "and deviation 59.5"),
        (50 + y, "has mean 49.8"),
        (1e-4 * y, "and deviation 5.95e-05"),
    ):
        found(diagnose(fastnn.mlp([2, 4, 1]), X, values, loss=loss), "targets are unscaled: y ", words)
    both = np.stack([y, 300 * y], axis=1)
    found(diagnose(fastnn.mlp([2, 4, 2]), X, both, loss=loss), "targets are unscaled: y[:, 1] ")


@pytest.mark.parametrize(
    ("output", "scale", "reach"),
    [
        ("sigmoid", 3.0, "sigmoid outputs from 0 to 1"),
        ("tanh", 3.0, "tanh outputs from -1 to 1"),
        ("relu", 1.0, "relu outputs from 0 on"),
        ("softplus", 1.0, "softplus outputs from 0 on"),
        ("elu", 3.0, "elu outputs from -1 on"),
    ],
)
def test_targets_out_of_reach(line, output, scale, reach):
    X, y = line
    sentence = found(diagnose(fastnn.mlp([2, 4, 1], output=output), X, scale * y), reach)
    assert f"y goes from {(scale * y).min():.3g} to {(scale * y).max():.3g}" in sentence
    inside = np.abs(y) if output != "tanh" else y
    saying_nothing_of(diagnose(fastnn.mlp([2, 4, 1], output=output), X, inside), "y goes from")


def test_targets_at_the_ends_are_within_reach():
    saying_nothing_of(diagnose(fastnn.mlp([2, 4, 1], output="sigmoid"), *XOR), "y goes from")


# Units


@pytest.mark.parametrize("initializer", ["zeros", 0.5])
def test_units_that_are_alike(initializer):
    net = fastnn.mlp([2, 4, 1], output="sigmoid", initializer=initializer)
    found(diagnose(net, *XOR), "all 4 units of layers[0] have the same weights", "use random initial values")
    net.layers[0].weights[0, 0] += 0.1
    saying_nothing_of(diagnose(net, *XOR), "the same weights")


def test_dead_units(line, dtype):
    X, y = line
    net = fastnn.mlp([2, 8, 1], activation="relu", dtype=dtype)
    net.layers[0].bias[:5] = -100.0
    diagnosis = diagnose(net, X, y)
    assert diagnosis.layers[0].dead == 5 / 8
    found(diagnosis, "5 of 8 units of layers[0] (relu) are dead", "use leaky_relu or elu")
    net.layers[0].bias[:] = -100.0
    diagnosis = diagnose(net, X, y)
    found(diagnosis, "all 8 units of layers[0] (relu) are dead")
    saying_nothing_of(diagnosis, "vanish")  # one cause, one sentence


@pytest.mark.compiled
def test_units_die_of_a_learning_rate(line):
    X, y = line
    net = fastnn.mlp([2, 16, 1], activation="relu")
    saying_nothing_of(diagnose(net, X, y), "dead")
    net.fit(X, y + 2, epochs=30, optimizer=SGD(3.0, clip_norm=5.0))
    found(diagnose(net, X, y + 2), "units of layers[0] (relu) are dead")


def test_dead_outputs(line):
    X, y = line
    net = fastnn.mlp([2, 4, 1], output="relu")
    net.layers[1].bias[:] = -50.0
    found(diagnose(net, X, abs(y)), "1 of 1 unit of layers[1] (relu) is dead", "like identity or softplus")


def test_a_few_dead_units_do_not_matter_to_a_network_that_does_its_work(line):
    X, _ = line
    net = fastnn.mlp([2, 8, 1], activation="relu")
    net.layers[0].bias[:4] = -100.0
    own = net.predict(X)
    assert diagnose(net, X, own).advice == []


def test_steps_cannot_learn():
    net = fastnn.mlp([2, 4, 1], activation="step", output="sigmoid")
    found(diagnose(net, *XOR), "all 4 units of layers[0] (step) have derivative 0", "train with sigmoid")


@pytest.mark.parametrize("activation", [name for name in BOUNDED if name in ACTIVATIONS])
def test_saturated_units(line, activation, dtype):
    X, y = line
    net = fastnn.mlp([2, 6, 1], activation=activation, dtype=dtype)
    diagnosis = diagnose(net, X, y)
    assert diagnosis.layers[0].saturated < 0.01
    saying_nothing_of(diagnosis, "saturated")
    net.layers[0].weights *= 3000
    diagnosis = diagnose(net, X, y)
    assert diagnosis.layers[0].saturated > 0.95
    found(diagnosis, f"of the outputs of layers[0] ({activation}) are saturated", "scale the inputs")


@pytest.mark.parametrize("output", ["sigmoid", "tanh"])
def test_outputs_that_are_saturated_at_the_wrong_end(output):
    X, y = XOR
    net = fastnn.mlp([2, 4, 1], output=output)
    net.layers[1].bias[:] = 30.0
    diagnosis = diagnose(net, X, 2 * y - 1 if output == "tanh" else y)
    remedy = {"sigmoid": "binary_cross_entropy with sigmoid outputs", "tanh": "identity outputs"}[output]
    found(diagnosis, f"50 % of the outputs ({output}) are saturated at the wrong end, where loss mse", remedy)
    if output == "sigmoid":  # that loss has a gradient there
        saying_nothing_of(diagnose(net, X, y, loss="binary_cross_entropy"), "wrong end")


def test_softmax_outputs_that_are_saturated_at_the_wrong_end(line):
    net = fastnn.mlp([2, 4, 2], output="softmax")
    net.layers[1].bias = [30.0, 0.0]
    shares = np.tile([0.0, 1.0], (60, 1))
    shares[0] = [1.0, 0.0]
    diagnosis = diagnose(net, line[0], shares)
    assert diagnosis.layers[1].saturated == 1.0
    found(diagnosis, "of the outputs (softmax) are saturated at the wrong end", "use loss cross_entropy")


# Gradients


def test_vanishing_gradients(line):
    X, y = line
    net = fastnn.mlp([2, *[8] * 7, 1], activation="sigmoid")
    diagnosis = diagnose(net, X, y)
    norms = [layer.gradient_norm for layer in diagnosis.layers]
    sentence = found(diagnosis, "layers[0] gets a gradient ", "times smaller than layers[7]: gradients vanish")
    assert "use relu with He initial values instead of sigmoid" in sentence
    times = float(sentence.split(" gets a gradient ")[1].split(" times")[0].replace(",", ""))
    assert_allclose(times, norms[7] / norms[0], rtol=0.01)


def test_vanishing_gradients_of_small_weights(line):
    X, y = line
    net = fastnn.mlp([2, *[8] * 5, 1], activation="relu")
    for layer in net.layers[1:]:
        layer.weights *= 0.05
    found(diagnose(net, X, y), "gradients vanish; use He initial values")


def test_gradients_that_do_not_get_through_at_all(line):
    X, y = line
    net = fastnn.mlp([2, 4, 4, 1], activation="tanh")
    net.layers[2].weights[:] = 0.0
    found(diagnose(net, X, y), "layers[0] gets no gradient at all, and layers[2] one of norm", "gradients vanish")


def test_no_gradient_anywhere(line):
    X, y = line
    net = fastnn.mlp([2, 3, 1], output="sigmoid")
    net.layers[1].bias[:] = 800.0
    found(diagnose(net, X, abs(y)), "the gradient is 0 in every layer")


def test_exploding_gradients(line):
    X, y = line
    net = fastnn.mlp([2, *[16] * 6, 1], activation="relu", initializer="normal")
    found(diagnose(net, X, y), "times as long as its parameters: gradients explode", "clip_norm=1")


def test_one_layer_that_begins_at_zero(line):
    """Logistic regression as it is often begun: a gradient, and no parameters to compare it with."""
    X, y = line
    net = fastnn.Sequential([fastnn.Dense(1, "sigmoid", initializer="zeros")], inputs=2)
    assert "explode" not in str(diagnose(net, X, y))


def test_gradients_that_grow_on_their_way_back(line):
    X, y = line
    net = fastnn.mlp([2, 8, 8, 8, 1], activation="tanh")
    net.layers[0].weights *= 1e-6  # nothing is saturated, and the later layers see next to nothing
    for layer in net.layers[1:]:
        layer.weights *= 20
    found(diagnose(net, X, y), "layers[0] gets a gradient", "times larger than layers[3]: gradients explode")


def test_a_loss_that_is_no_number():
    net = fastnn.mlp([2, 4, 1], activation="relu")
    net.parameters[:] = 1e200
    diagnosis = diagnose(net, *XOR)
    assert not math.isfinite(diagnosis.loss)
    found(diagnosis, "the loss is inf: outputs are too large")
    found(diagnosis, "the gradient of layers[", "is not finite")
    assert diagnosis.explained is None


# Learning rates and curves


def test_a_step_that_is_too_long(line):
    X, y = line
    net = fastnn.mlp([2, 4, 1], activation="tanh")
    assert diagnose(net, X, y, learning_rate=0.01).advice == []
    diagnosis = diagnose(net, X, y, learning_rate=100.0)
    sentence = found(diagnosis, "with learning rate 100 takes the loss from", "the rate is too large")
    proposed = float(sentence.split("; ")[1].split(" would lower it")[0])
    loss, gradient = net.loss_and_gradient(X, y)
    for rate, rises in ((100.0, True), (proposed, False)):
        moved = fastnn.mlp([2, 4, 1], activation="tanh")
        moved.parameters = net.parameters - rate * gradient
        assert (moved.evaluate(X, y) > loss) == rises
    assert_allclose(diagnosis.loss_after_step, moved_loss(net, X, y, 100.0 * gradient), rtol=1e-9)
    assert diagnose(net, X, y, learning_rate=1e300).loss_after_step == math.inf


def moved_loss(net, X, y, step):
    other = fastnn.mlp([2, 4, 1], activation="tanh")
    other.parameters = net.parameters - step
    return other.evaluate(X, y)


def test_a_step_leaves_frozen_layers_where_they_are(line):
    X, y = line
    net = fastnn.mlp([2, 4, 1], activation="tanh")
    net.layers[0].trainable = False
    step = 0.5 * net.loss_and_gradient(X, y)[1]
    step[:12] = 0
    assert_allclose(
        diagnose(net, X, y, learning_rate=0.5).loss_after_step, moved_loss(net, X, y, step), rtol=1e-12
    )


def test_divergence(line):
    X, y = line
    net = fastnn.mlp([2, 4, 1], activation="relu")
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        net.fit(X, y, epochs=500, optimizer=SGD(1e3))
    assert net.history.epochs > 0
    found(
        diagnose(net, X, y),
        f"the fit diverged after epoch {net.history.epochs}",
        "use a smaller learning rate than 1000",
    )


@pytest.mark.compiled
def test_a_loss_that_rises(line):
    X, y = line
    net = fastnn.mlp([2, 1])
    net.fit(X, y, epochs=200, optimizer=SGD(1.05))
    assert net.history.loss[-1] > net.history.loss[0]
    found(diagnose(net, X, y), "the loss rose from", "use a smaller learning rate than 1.05")


@pytest.mark.compiled
def test_a_loss_that_oscillates(line):
    X, y = line[0], line[1] > 0
    net = fastnn.mlp([2, 8, 1], activation="tanh", output="sigmoid")
    net.fit(X, y, epochs=100, optimizer=SGD(30.0), loss="binary_cross_entropy")
    diagnosis = diagnose(net, X, y, loss="binary_cross_entropy")
    found(diagnosis, "the loss goes up and down", "use a smaller learning rate than 30")


@pytest.mark.compiled
def test_overfitting(rng):
    X = rng.normal(size=(40, 5))
    y = X[:, 0] + rng.normal(size=40)
    net = fastnn.mlp([5, 32, 1], activation="tanh")
    options = {"epochs": 600, "optimizer": Adam(0.01), "validation_split": 0.4}
    net.fit(X, y, **options)
    sentence = found(diagnose(net, X, y), "the network overfits")
    assert f"val_loss was lowest in epoch {net.history.val_loss.argmin() + 1} (" in sentence
    # Early stopping is the cure.
    stopped = fastnn.mlp([5, 32, 1], activation="tanh")
    stopped.fit(X, y, early_stopping=EarlyStopping(patience=20), **options)
    assert stopped.history.status == "stopped"
    saying_nothing_of(diagnose(stopped, X, y), "val_loss was lowest")


@pytest.mark.compiled
def test_rows_known_by_heart(rng):
    X, y = rng.normal(size=(60, 8)), rng.integers(0, 2, 60).astype(float)  # there is nothing to know
    net = fastnn.mlp([8, 32, 1], activation="tanh", output="sigmoid")
    net.fit(X, y, epochs=300, optimizer=Adam(0.01), validation_data=(X[:1] * 0 + 5.0, [0.5]))
    net.history.val_loss[:] = 0.25  # as flat as it can be
    found(diagnose(net, X, y), "val_loss is 0.25 and the loss", "the network overfits")


@pytest.mark.compiled
def test_underfitting(line):
    X, y = XOR
    net = fastnn.mlp([2, 1], output="sigmoid")
    net.fit(X, y, epochs=500, optimizer=SGD(1.0), validation_data=(X, y))
    diagnosis = diagnose(net, X, y)
    found(diagnosis, "the loss is 0.25 and val_loss 0.25", "the network underfits; use more units or layers")
    saying_nothing_of(diagnosis, "overfits")

    X, y = line
    short = fastnn.mlp([2, 4, 1], activation="tanh")
    short.fit(X, y + 1, epochs=30, optimizer=SGD(0.001))
    found(diagnose(short, X, y + 1), "was still falling: the network underfits; train for more epochs")


@pytest.mark.compiled
def test_curves_of_other_rows_are_left_aside():
    X, y = fastnn.datasets.circle(density=10)
    net = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform")
    net.fit(X, y, epochs=2000, optimizer=SGD(10.0))
    saying_nothing_of(diagnose(net, X, 1 - y), "underfits")


# Losses


@pytest.mark.parametrize(
    ("loss", "output", "targets"),
    [
        ("huber", "identity", "numbers"),
        ("log_cosh", "identity", "numbers"),
        ("quantile", "identity", "numbers"),
        ("poisson", "exponential", "amounts"),
        ("gamma", "exponential", "amounts"),
        ("hinge", "identity", "signs"),
        ("hinge", "tanh", "truths"),
        ("focal", "sigmoid", "truths"),
    ],
)
def test_all_losses_can_be_diagnosed(line, loss, output, targets):
    X, y = line
    y = {"numbers": y, "amounts": abs(y) + 0.1, "signs": np.sign(y), "truths": (y > 0) * 1.0}[targets]
    net = fastnn.mlp([2, 4, 1], activation="tanh", output=output)
    diagnosis = diagnose(net, X, y, loss=loss)
    assert diagnosis.advice == []
    assert (diagnosis.explained is None) == (loss == "quantile")


@pytest.mark.parametrize("output", ["softmax", "log_softmax"])
def test_classes_are_explained_by_their_shares(line, output):
    X, y = line
    net = fastnn.mlp([2, 4, 2], activation="tanh", output=output)
    diagnosis = diagnose(net, X, y > 0, loss="cross_entropy")
    shares = net.predict(X) if output == "softmax" else np.exp(net.predict(X))
    squares = (np.eye(2)[(y > 0).astype(int)] - shares) ** 2
    assert_allclose(diagnosis.explained, 1 - squares.sum() / (2 * 60 * np.var(y > 0)), rtol=1e-9)


def test_own_functions_are_diagnosed_as_well(line):
    X, y = line
    own = fastnn.own_activation(lambda z: z / math.sqrt(1 + z * z), name="bent")
    net = fastnn.Sequential([Dense(5, own), Dense(1, own)], inputs=2)
    loss = fastnn.own_loss(lambda p, t: abs(p - t) ** 3, name="cubic")
    diagnosis = diagnose(net, X, y, loss=loss)
    assert diagnosis.advice == []
    assert diagnosis.layers[0].saturated == 0
    net.layers[0].weights *= 1e4
    found(diagnose(net, X, y, loss=loss), "of the outputs of layers[0] (bent) are saturated")
    found(diagnose(net, X, 3 * y, loss=loss), "bent outputs from -1 to 1")
