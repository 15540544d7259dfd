"""Dropout, layer normalization, penalties, bounds and frozen layers of the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reference import (
    SGD,
    AdamW,
    Dense,
    Dropout,
    LayerNormalization,
    Sequential,
    check_gradients,
    mlp,
)
from reference.random import draw, key
from tests.test_reference import problem

# Layer normalization


def test_layer_normalization_by_hand():
    layer = LayerNormalization(epsilon=0.01)
    Sequential([layer, Dense(1)], inputs=3)
    assert layer.parameters == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    layer.parameters = [1.0, 2.0, 3.0, 0.5, 0.0, -1.0]
    assert (layer.gain, layer.bias) == ([1.0, 2.0, 3.0], [0.5, 0.0, -1.0])
    root = math.sqrt((1 + 0 + 1) / 3 + 0.01)
    assert layer.forward([1.0, 2.0, 3.0]) == pytest.approx([0.5 - 1 / root, 0.0, 3 / root - 1.0])


@pytest.mark.slow  # PyTorch is long in being imported
def test_layer_normalization_against_pytorch():
    torch = pytest.importorskip("torch")
    r = np.random.default_rng(1)
    x, gain, bias, d = r.normal(size=(4, 5))
    layer = LayerNormalization()
    Sequential([layer, Dense(1)], inputs=5)
    layer.parameters = [*gain.tolist(), *bias.tolist()]
    tensors = [torch.tensor(v, requires_grad=True) for v in (x, gain, bias)]
    theirs = torch.nn.functional.layer_norm(tensors[0], [5], tensors[1], tensors[2])
    theirs.backward(torch.tensor(d))
    assert layer.forward(x.tolist()) == pytest.approx(theirs.tolist(), rel=1e-13)
    assert layer.backward(d.tolist()) == pytest.approx(tensors[0].grad.tolist(), rel=1e-12)
    assert layer.gradients == pytest.approx([*tensors[1].grad.tolist(), *tensors[2].grad.tolist()], rel=1e-12)


def normalized(outputs, epsilon=1e-5):
    layers = [
        LayerNormalization(epsilon),
        Dense(4, "tanh"),
        LayerNormalization(epsilon),
        Dense(3, "gelu"),
        LayerNormalization(epsilon),
        Dense(outputs),
    ]
    net = Sequential(layers, inputs=3, seed=2)
    net.parameters = [p + 0.1 * math.sin(i) for i, p in enumerate(net.parameters)]
    return net


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
def test_gradients_of_layer_normalization(outputs, epsilon):
    X, y, weights = problem(outputs, inputs=3)
    net = normalized(outputs, epsilon)
    assert check_gradients(net, X, y, "mse", weights) < 1e-6
    assert all(any(layer.gradients) for layer in net.layers)


@pytest.mark.parametrize("fault", ["mean", "along", "variance", "added"])
def test_faults_in_layer_normalization_are_found(monkeypatch, fault):
    right = LayerNormalization.backward

    def wrong(self, d_outputs):
        before = list(self.d_gain)
        d_inputs = right(self, d_outputs)
        a = [g * d for g, d in zip(self.gain, d_outputs, strict=True)]
        if fault == "mean":
            return [d + np.mean(a) * self.inverse for d in d_inputs]
        if fault == "along":
            return [
                d + n * np.dot(a, self.normal) / len(a) * self.inverse
                for d, n in zip(d_inputs, self.normal, strict=True)
            ]
        if fault == "variance":
            return [d * (1 + 1e-3) for d in d_inputs]
        self.d_gain = [new - old for new, old in zip(self.d_gain, before, strict=True)]
        return d_inputs

    monkeypatch.setattr(LayerNormalization, "backward", wrong)
    X, y, weights = problem(3, inputs=3)
    assert check_gradients(normalized(3), X, y, "mse", weights) > 1e-4


def test_layer_normalization_is_trained():
    X, y, _ = problem(inputs=3)
    net = normalized(1)
    first = net.layers[0].parameters
    loss = net.fit(X, y, epochs=200, optimizer=SGD(0.1)).loss
    assert loss[-1] < 0.5 * loss[0]
    assert net.layers[0].parameters != first
    by_hand = normalized(1)
    by_hand.zero_grad()
    by_hand.backward([[2 * (p[0] - t[0]) / len(X)] for p, t in zip(by_hand.forward(X), y, strict=True)])
    by_hand.update(0.1)
    twin = normalized(1)
    twin.fit(X, y, optimizer=SGD(0.1))
    assert by_hand.parameters == pytest.approx(twin.parameters, rel=1e-12)


# Dropout


def mask(seed, epoch, layer, unit, sample, rate):
    """Written once more, from the agreement."""
    layer_key = draw(key(seed, epoch + 2**62), layer)
    u = (draw(draw(layer_key, unit), sample) >> 11) * 2.0**-53
    return 0.0 if u < rate else 1.0 / (1.0 - rate)


def test_dropout_drops_what_is_agreed():
    layer = Dropout(0.4)
    Sequential([layer, Dense(1)], inputs=50)
    assert layer.forward([2.0] * 50) == [2.0] * 50
    layer.choose(7, 3, 5, 11)
    expected = [mask(7, 3, 5, u, 11, 0.4) for u in range(50)]
    assert layer.forward([2.0] * 50) == [2.0 * m for m in expected]
    assert layer.backward([3.0] * 50) == [3.0 * m for m in expected]
    assert set(expected) == {0.0, 1.0 / 0.6}
    layer.choose_nothing()
    assert layer.forward([2.0] * 50) == [2.0] * 50


def test_dropout_is_as_frequent_as_its_rate():
    layer = Dropout(0.3)
    Sequential([layer, Dense(1)], inputs=100)
    dropped = 0
    for sample in range(100):
        layer.choose(1, 0, 0, sample)
        dropped += layer.factors.count(0.0)
    assert abs(dropped - 3000) < 5 * math.sqrt(10000 * 0.3 * 0.7)


def test_first_draws_of_dropout():
    layer = Dropout(0.5)
    Sequential([layer, Dense(1)], inputs=3)
    found = []
    for epoch, sample in ((0, 0), (0, 1), (1, 0), (1, 1)):
        layer.choose(0, epoch, 1, sample)
        found.append(layer.factors)
    assert found == FIRST


FIRST = [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]]


def dropped(rates=(0.3, 0.5), seed=4):
    layers = [Dropout(rates[0]), Dense(4, "tanh"), Dropout(rates[1]), Dense(3, "tanh"), Dropout(0.0), Dense(2)]
    return Sequential(layers, inputs=3, seed=seed)


def by_masks(net, X, rows, epoch, seed):
    """Outputs of the rows of X, by NumPy, with masks that multiply inputs and hidden values."""
    outputs = []
    for i in rows:
        values = np.array(X[i])
        for number, layer in enumerate(net.layers):
            if isinstance(layer, Dropout):
                values = values * [mask(seed, epoch, number, u, i, layer.rate) for u in range(len(values))]
            else:
                values = values @ np.array(layer.weights) + layer.bias
                values = np.tanh(values) if layer.activation == "tanh" else values
        outputs.append(values)
    return np.array(outputs)


@pytest.mark.parametrize("batch_size", [None, 3, 1])
def test_loss_with_dropout(batch_size):
    X, y, w = problem(2, inputs=3)
    net = dropped()
    # a rate so small that parameters stay what they were
    history = net.fit(X, y, epochs=3, optimizer=SGD(1e-12), batch_size=batch_size, sample_weight=w, seed=9)
    for epoch in range(3):
        errors = np.mean((by_masks(net, X, range(7), epoch, 9) - y) ** 2, axis=1)
        assert history.loss[epoch] == pytest.approx(np.average(errors, weights=w), rel=1e-9)
    assert len({round(loss, 6) for loss in history.loss}) == 3


def test_gradient_with_dropout():
    X, y, w = problem(2, inputs=3)
    net = dropped()
    before = net.parameters
    net.fit(X, y, optimizer=SGD(1.0), sample_weight=w, seed=9)
    gradient = np.array(before) - net.parameters
    h = 1e-6
    for i in range(len(before)):
        losses = []
        for sign in (1, -1):
            net.parameters = [p + sign * h * (i == k) for k, p in enumerate(before)]
            losses.append(np.average(np.mean((by_masks(net, X, range(7), 0, 9) - y) ** 2, axis=1), weights=w))
        assert gradient[i] == pytest.approx((losses[0] - losses[1]) / (2 * h), abs=1e-7)


def test_dropout_is_off_outside_of_fit():
    X, y, w = problem(2, inputs=3)
    net, twin = dropped(), mlp([3, 4, 3, 2], activation="tanh")
    twin.parameters = net.parameters
    net.fit(X, y, optimizer=SGD(1e-300))
    assert net.predict(X) == twin.predict(X)
    assert net.evaluate(X, y, "mse", w) == twin.evaluate(X, y, "mse", w)
    assert net.loss_and_gradient(X, y, "mse", w) == twin.loss_and_gradient(X, y, "mse", w)
    assert check_gradients(net, X, y) < 1e-6


def test_dropout_is_off_after_a_fit_that_was_broken_off(monkeypatch):
    X, y, _ = problem(2, inputs=3)
    net = dropped()
    expected = net.predict(X)

    def broken(self, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(SGD, "update", broken)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y)
    assert net.predict(X) == expected


def test_sample_numbers_stay_when_rows_are_left_out():
    X, y, _ = problem(2, inputs=3)
    net = dropped()
    w = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    kept = [0, 2, 4, 5, 6]
    loss = net.fit(X, y, optimizer=SGD(1e-12), sample_weight=w).loss[0]
    errors = (by_masks(net, X, kept, 0, 4) - np.array(y)[kept]) ** 2
    assert loss == pytest.approx(np.mean(errors), rel=1e-9)


def test_mlp_with_dropout():
    net = mlp([2, 5, 4, 1], dropout=0.25)
    assert [type(layer).__name__ for layer in net.layers] == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.rate for layer in net.layers[1::2]] == [0.25, 0.25]
    assert [type(layer).__name__ for layer in mlp([2, 5, 1]).layers] == ["Dense", "Dense"]
    assert net.parameters == mlp([2, 5, 4, 1]).parameters


# Penalties


def penalized(outputs=3, output="identity"):
    layers = [Dense(4, "tanh", l1=0.03), Dense(3, "tanh", l2=0.0), LayerNormalization(), Dense(outputs, output)]
    return Sequential(layers, inputs=2, l1=0.01, l2=0.02, seed=5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_gradients_of_penalties(outputs):
    X, y, w = problem(outputs)
    assert check_gradients(penalized(outputs), X, y, "mse", w) < 1e-6
    assert check_gradients(penalized(outputs, "sigmoid"), X, y, "binary_cross_entropy", w) < 1e-6


@pytest.mark.parametrize("fault", ["twice", "of the bias", "forgotten"])
def test_faults_in_penalties_are_found(monkeypatch, fault):
    right = Dense.backward_penalty

    def wrong(self):
        if fault == "twice":
            right(self)
        if fault != "forgotten":
            right(self)
        if fault == "of the bias":
            for neuron in self.neurons:
                neuron.d_bias += 0.02 * neuron.bias

    monkeypatch.setattr(Dense, "backward_penalty", wrong)
    X, y, w = problem(3)
    net = penalized()
    net.parameters = [p + 0.1 for p in net.parameters]
    assert check_gradients(net, X, y, "mse", w) > 1e-3


def test_penalty_by_hand():
    layers = [Dense(1, weights=[[3.0], [-4.0]], bias=[7.0], l1=0.5), Dense(1, weights=[[2.0]], bias=[5.0], l2=0.0)]
    net = Sequential(layers, inputs=2, l1=0.1, l2=0.01)
    assert net.penalty() == pytest.approx(0.5 * 7 + 0.01 * 25 + 0.1 * 2)
    X, y, w = problem()
    plain = Sequential(
        [Dense(1, weights=[[3.0], [-4.0]], bias=[7.0]), Dense(1, weights=[[2.0]], bias=[5.0])], inputs=2
    )
    assert net.evaluate(X, y, "mae", w) == pytest.approx(plain.evaluate(X, y, "mae", w) + net.penalty())
    loss, gradient = net.loss_and_gradient(X, y, "mse", w)
    loss_of_plain, gradient_of_plain = plain.loss_and_gradient(X, y, "mse", w)
    assert loss == pytest.approx(loss_of_plain + net.penalty())
    added = np.array(gradient) - gradient_of_plain
    assert added == pytest.approx([0.5 + 0.02 * 3, -0.5 - 0.02 * 4, 0, 0.1, 0], abs=1e-12)
    # of a weight 0 the penalty has no slope
    net = Sequential([Dense(1, weights=[[0.0]])], inputs=1, l1=0.3)
    assert net.loss_and_gradient([[0.0]], [0.0])[1] == [0.0, 0.0]


def test_epoch_loss_with_penalties_is_weighted_by_batches():
    X, y, w = problem(3)
    net, twin = penalized(), penalized()
    history = net.fit(X, y, epochs=2, batch_size=3, shuffle=False, sample_weight=w, optimizer=SGD(0.1))
    for epoch in range(2):
        total = 0.0
        for part in (slice(0, 3), slice(3, 6), slice(6, 7)):
            loss, gradient = twin.loss_and_gradient(X[part], y[part], "mse", w[part])
            total += loss * np.sum(w[part])
            twin.parameters = np.array(twin.parameters) - 0.1 * np.array(gradient)
        assert history.loss[epoch] == pytest.approx(total / np.sum(w), rel=1e-12)
    assert net.parameters == pytest.approx(twin.parameters, rel=1e-12)


def test_l2_is_weight_decay_of_plain_descent():
    X, y, _ = problem()
    net, twin = mlp([2, 1], l2=0.05), mlp([2, 1])
    net.fit(X, y, optimizer=SGD(0.1))
    weights = [w for (w,) in twin.layers[0].weights]
    twin.fit(X, y, optimizer=SGD(0.1))
    moved = [w for (w,) in twin.layers[0].weights]
    expected = [b - 0.1 * 0.1 * a for a, b in zip(weights, moved, strict=True)]
    assert [w for (w,) in net.layers[0].weights] == pytest.approx(expected, rel=1e-12)
    assert net.layers[0].bias == twin.layers[0].bias


# Bounds and frozen layers


def test_max_norm():
    X, y, _ = problem(2)

    def trained(bound):
        net = Sequential([Dense(4, "tanh", max_norm=bound), Dense(2)], inputs=2, seed=1)
        net.fit(X, y, optimizer=SGD(0.5))
        return net

    free, bound = trained(None), trained(0.9)
    weights = np.array(free.layers[0].weights)
    norms = np.linalg.norm(weights, axis=0)
    assert 0 < (norms > 0.9).sum() < 4
    assert np.array(bound.layers[0].weights) == pytest.approx(weights * np.minimum(1.0, 0.9 / norms), rel=1e-12)
    assert bound.layers[0].bias == free.layers[0].bias
    assert bound.layers[1].parameters == free.layers[1].parameters
    assert trained(1e3).parameters == free.parameters  # to the last digit


@pytest.mark.parametrize("frozen", [0, 1, 2])
@pytest.mark.parametrize(
    "optimizer", [SGD(0.1, momentum=0.9), AdamW(0.1, weight_decay=0.5), "lbfgs", "levenberg_marquardt"]
)
def test_frozen_layers(frozen, optimizer):
    X, y, _ = problem(2)
    layers = [Dense(3, "tanh"), LayerNormalization(), Dense(2)]
    net = Sequential(layers, inputs=2, seed=1)
    net.parameters = [p + 0.1 for p in net.parameters]
    net.layers[frozen].trainable = False
    before = [layer.parameters for layer in layers]
    net.fit(X, y, epochs=3, optimizer=optimizer)
    after = [layer.parameters for layer in layers]
    assert [a == b for a, b in zip(after, before, strict=True)] == [i == frozen for i in range(3)]
    _, gradient = net.loss_and_gradient(X, y)
    assert any(layers[frozen].gradients)  # which is not for fit alone
    assert len(gradient) == len(net.parameters)


def test_a_frozen_layer_is_not_shortened_and_does_not_count_in_a_norm():
    X, y, _ = problem(2)
    net = Sequential([Dense(3, "tanh", max_norm=0.1, trainable=False), Dense(2)], inputs=2, seed=1)
    first, second = (layer.parameters for layer in net.layers)
    _, gradient = net.loss_and_gradient(X, y)
    of_second = np.array(gradient[9:])
    net.fit(X, y, optimizer=SGD(0.1, clip_norm=1e-3))
    assert net.layers[0].parameters == first
    step = 0.1 * 1e-3 * of_second / np.linalg.norm(of_second)
    assert net.layers[1].parameters == pytest.approx(second - step, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dropout(1.0), "rate is 1.0"),
        (lambda: Dropout(-0.1), "rate is -0.1"),
        (lambda: LayerNormalization(0.0), "epsilon is 0.0"),
        (lambda: Sequential([Dense(2), Dropout(0.1)], inputs=1), "the last layer is a Dropout; it must be Dense"),
        (lambda: Sequential([LayerNormalization()], inputs=1), "the last layer is a LayerNormalization"),
        (lambda: Sequential([*[Dropout(0.1)] * 2, Dense(1)], inputs=1), "already part of a network"),
        (lambda: Sequential([*[LayerNormalization()] * 2, Dense(1)], inputs=1), "already part of a network"),
        (lambda: Dense(1, l1=-1.0), "l1 is -1.0"),
        (lambda: Dense(1, l2=math.inf), "l2 is inf"),
        (lambda: mlp([1, 1], l2=-1.0), "l2 is -1.0"),
        (lambda: Dense(1, max_norm=0.0), "max_norm is 0.0"),
        (lambda: mlp([1, 1, 1], dropout=1.0), "rate is 1.0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
