"""Transfer: layers that stay as they are, that go into other networks, and parameters that are set and read."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
from fastnn.kernels import layout
from fastnn.layers import Dense, Dropout, LayerNormalization
from fastnn.optimizers import LBFGS, OPTIMIZERS, SGD, Adam, AdamW, Lion

EVERY_OPTIMIZER = sorted(OPTIMIZERS)


@pytest.fixture
def rows(rng):
    """Forty rows of three columns, and a target."""
    X = rng.normal(size=(40, 3))
    return X, np.sin(X @ [1.0, -0.5, 0.25])


def four(trainable=(True, True, True), **settings):
    """A network of three Dense layers, and a LayerNormalization before the second."""
    first, middle, last = trainable
    return fastnn.Sequential(
        [
            Dense(5, "tanh", trainable=first, **settings),
            LayerNormalization(trainable=middle),
            Dense(4, "sigmoid", trainable=middle, **settings),
            Dense(1, trainable=last, **settings),
        ],
        inputs=3,
    )


def parameters_of(net):
    """Copies of each layer's parameters."""
    counts = [shape.parameters for shape in net.shapes]
    return np.split(net.parameters.copy(), np.cumsum(counts)[:-1])


def check_what_changed(net, before, trainable):
    for i, (here, there, changes) in enumerate(zip(parameters_of(net), before, trainable, strict=True)):
        if not len(here):
            continue
        if changes:
            assert (here != there).any(), f"layers[{i}] is not frozen, and is as before"
        else:
            assert_array_equal(here, there, f"layers[{i}] is frozen")


# Layers that stay as they are


@pytest.mark.parametrize("name", EVERY_OPTIMIZER)
@pytest.mark.parametrize("frozen", [(0,), (1, 2), (3,), (0, 2), (1,), (0, 1, 2)])
def test_what_is_frozen_keeps_every_bit(rows, name, frozen):
    net = four()
    for i in frozen:
        net.layers[i].trainable = False
    before = parameters_of(net)
    net.fit(*rows, epochs=3, optimizer=name)
    check_what_changed(net, before, [i not in frozen for i in range(4)])


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1),
        SGD(0.1, momentum=0.9, nesterov=True),
        SGD(0.1, clip_norm=0.01),
        SGD(0.1, clip_value=0.001),
        AdamW(0.01, weight_decay=0.5),
        Lion(0.01, weight_decay=0.5),
        Adam(0.01, clip_norm=0.1),
    ],
    ids=repr,
)
@pytest.mark.parametrize("settings", [{}, {"l2": 0.1}, {"l1": 0.1}, {"max_norm": 0.1}], ids=str)
@pytest.mark.parametrize("batch_size", [None, 7])
def test_neither_penalties_nor_decay_nor_bounds_move_it(rows, dtype, optimizer, settings, batch_size):
    net = fastnn.Sequential(
        [Dense(5, "tanh", trainable=False, **settings), Dense(4, "tanh", **settings), Dense(1, **settings)],
        inputs=3,
        dtype=dtype,
    )
    before = parameters_of(net)
    net.fit(*rows, epochs=3, batch_size=batch_size, optimizer=optimizer)
    check_what_changed(net, before, [False, True, True])


def test_frozen_in_the_middle_of_dropout_and_normalization(rows):
    layers = [
        Dropout(0.1),
        Dense(6, "relu"),
        LayerNormalization(trainable=False),
        Dropout(0.3),
        Dense(5, "tanh", trainable=False),
        LayerNormalization(),
        Dense(1),
    ]
    net = fastnn.Sequential(layers, inputs=3)
    before = parameters_of(net)
    net.fit(*rows, epochs=5, batch_size=16, optimizer=Adam(0.01))
    check_what_changed(net, before, [False, True, False, False, False, True, True])


def test_a_frozen_layer_is_as_good_as_its_outputs(rows):
    """With the first layers frozen, the rest learns what a network of the rest learns from their outputs."""
    X, y = rows
    net = four((False, False, True), l2=0.01)
    rest = fastnn.Sequential([net.layers[-1].copy()], inputs=4)
    assert rest.layers[0].l2 == 0.01
    shown = fastnn.Sequential(
        [*(layer.copy() for layer in net.layers[:-1]), Dense(4, weights=np.eye(4))], inputs=3
    )
    net.fit(X, y, epochs=20, optimizer=SGD(0.1, momentum=0.5))
    rest.fit(shown.predict(X), y, epochs=20, optimizer=SGD(0.1, momentum=0.5))
    assert_allclose(net.layers[-1].weights, rest.layers[0].weights, rtol=1e-12)
    assert_allclose(net.predict(X), rest.predict(shown.predict(X)), rtol=1e-12)
    # The penalties of what is frozen are part of the loss all the same.
    still = 0.01 * sum((layer.weights**2).sum() for layer in (net.layers[0], net.layers[2]))
    assert_allclose(net.history.loss, rest.history.loss + still, rtol=1e-12)


@pytest.mark.parametrize("trainable", list(itertools.product([True, False], repeat=3))[:-1])
def test_a_gradient_counts_as_0_where_nothing_moves(rows, trainable):
    """Clipping measures what is trained, so one update has a length that is known."""
    net = four(trainable)
    before = net.parameters.copy()
    gradient = net.loss_and_gradient(*rows)[1]
    first, middle, last = trainable
    moves = np.repeat([first, middle, middle, last], [shape.parameters for shape in net.shapes])
    assert gradient[~moves].any() == (not all(trainable))  # the gradient as such is whole
    net.fit(*rows, optimizer=SGD(1.0, clip_norm=1e-3))
    own = gradient * moves
    assert_allclose(net.parameters - before, -own * 1e-3 / np.linalg.norm(own), atol=1e-14)


def test_callbacks_see_the_norm_of_what_moves(rows):
    net = four((False, True, True))
    own = net.loss_and_gradient(*rows)[1][20:]
    seen = []
    net.fit(*rows, optimizer=SGD(0.1), callbacks=[lambda progress: seen.append(progress.gradient_norm)])
    assert_allclose(seen, [np.linalg.norm(own)], rtol=1e-12)


@pytest.mark.parametrize(
    ("trainable", "first"), [((True, True, True), 0), ((False, True, True), 1), ((False, False, True), 3)]
)
def test_the_way_back_ends_where_nothing_is_left_to_train(rows, monkeypatch, trainable, first):
    """The work for the gradient of what comes before the first trained layer is not done."""
    plans = []
    from fastnn import training

    make_plan = training.make_plan
    monkeypatch.setattr(training, "make_plan", lambda *given: plans.append(make_plan(*given)) or plans[-1])
    net = four(trainable)
    net.fit(*rows, optimizer=SGD(0.1))
    assert [plan.numbers[layout.FIRST_TRAINED] for plan in plans] == [first]


@pytest.mark.compiled
@pytest.mark.slow
def test_less_to_train_takes_less_time(rng):
    X, y = rng.normal(size=(2000, 64)), rng.normal(size=2000)
    seconds = []
    for frozen in (False, True):
        net = fastnn.mlp([64, 128, 128, 1], activation="relu")
        for layer in net.layers[:-1]:
            layer.trainable = not frozen
        net.fit(X, y, epochs=2)  # what is compiled is no part of it, but memory is fresh the first time
        seconds.append(min(net.fit(X, y, epochs=20).run_seconds for _ in range(3)))
    # Going forward is a third of the work, and all that is left for the layers that are frozen.
    assert seconds[1] < 0.7 * seconds[0]


def test_freezing_can_be_changed_between_fits(rows):
    net = four()
    net.layers[0].trainable = False
    before = parameters_of(net)
    net.fit(*rows, epochs=2, optimizer=SGD(0.1))
    check_what_changed(net, before, [False, True, True, True])
    net.layers[0].trainable = True
    net.layers[3].trainable = False
    before = parameters_of(net)
    net.fit(*rows, epochs=2, optimizer=SGD(0.1))
    check_what_changed(net, before, [True, True, True, False])


def test_with_nothing_left_to_train_a_fit_is_refused(rows):
    net = four((False, False, False))
    with pytest.raises(ValueError, match="trainable is False for all layers"):
        net.fit(*rows)
    only_dropout = fastnn.Sequential([Dropout(0.5), Dense(1, trainable=False)], inputs=3)
    with pytest.raises(ValueError, match="trainable is False for all layers"):
        only_dropout.fit(*rows)
    assert net.evaluate(*rows) > 0  # it still predicts


def test_trainable_is_true_or_false():
    for wrong in (1, None, "no"):
        with pytest.raises(TypeError, match=r"trainable is .*; True or False is needed"):
            Dense(3, trainable=wrong)
        layer = LayerNormalization()
        with pytest.raises(TypeError, match=r"trainable is .*; True or False is needed"):
            layer.trainable = wrong
        assert layer.trainable is True


def test_the_gradient_by_hand_is_whole(rows):
    """backward and loss_and_gradient are for other people's optimizers: they decide what stays."""
    X, y = rows
    net, twin = four((False, False, True)), four()
    assert_array_equal(net.loss_and_gradient(X, y)[1], twin.loss_and_gradient(X, y)[1])
    net.backward(2 * (net.forward(X)[:, 0] - y) / len(y))
    assert_allclose(net.gradients, twin.loss_and_gradient(X, y)[1], rtol=1e-9, atol=1e-15)


# Layers that go elsewhere


def test_layers_of_a_trained_network_go_into_a_new_one(rows):
    X, y = rows
    trained = four(l2=0.5, max_norm=3.0)
    trained.fit(X, y, epochs=50, optimizer=Adam(0.02))
    taken = [layer.copy() for layer in trained.layers[:-1]]
    for layer in taken:
        layer.trainable = False
    net = fastnn.Sequential([*taken, Dense(2, "softmax")], inputs=3, seed=9)
    for here, there in zip(net.layers[:-1], trained.layers[:-1], strict=True):
        assert here is not there
        assert (here.trainable, there.trainable) == (False, True)
        assert here.describe() == {**there.describe(), "trainable": False}
    before = parameters_of(net)
    for here, there in zip(before[:-1], parameters_of(trained)[:-1], strict=True):
        assert_array_equal(here, there)
    net.fit(X, y > 0, epochs=50, optimizer=Adam(0.05), loss="cross_entropy")
    check_what_changed(net, before, [False, False, False, True])
    assert net.history.loss[-1] < net.history.loss[0]


def test_a_copy_of_a_copy_has_the_parameters(rows):
    one = four()
    one.fit(*rows, epochs=2, optimizer=SGD(0.1))
    two = fastnn.Sequential([layer.copy().copy() for layer in one.layers], inputs=3)
    assert_array_equal(one.parameters, two.parameters)


def test_a_copy_has_parameters_of_its_own(rows):
    one = four()
    two = fastnn.Sequential([layer.copy() for layer in one.layers], inputs=3)
    assert_array_equal(one.parameters, two.parameters)
    assert not np.shares_memory(one.parameters, two.parameters)
    kept = one.parameters.copy()
    two.fit(*rows, epochs=2, optimizer=SGD(0.1))
    assert_array_equal(one.parameters, kept)


def test_a_copy_goes_into_a_network_of_another_dtype():
    one = four()
    two = fastnn.Sequential([layer.copy() for layer in one.layers], inputs=3, dtype="float32")
    assert_array_equal(two.parameters, one.parameters.astype("float32"))
    back = fastnn.Sequential([layer.copy() for layer in two.layers], inputs=3)
    assert_array_equal(back.parameters, two.parameters.astype("float64"))


def test_a_layer_without_a_network_is_copied_too():
    layer = Dense(2, "relu", weights=[[1.0, 2.0]], l1=0.5, trainable=False)
    net = fastnn.Sequential([layer.copy(), Dense(1)], inputs=1)
    assert net.layers[0].weights.tolist() == [[1.0, 2.0]]
    assert (net.layers[0].l1, net.layers[0].trainable) == (0.5, False)
    drawn = Dense(3, "relu", initializer="he_normal").copy()
    again = fastnn.Sequential([Dense(3, "relu", initializer="he_normal")], inputs=2)
    assert_array_equal(fastnn.Sequential([drawn], inputs=2).parameters, again.parameters)
    assert Dropout(0.25).copy().rate == 0.25


def test_a_layer_that_has_a_network_is_not_given_to_another():
    net = four()
    with pytest.raises(ValueError, match=r"layers\[0\] belongs to another network already; .*copy\(\) it"):
        fastnn.Sequential([net.layers[0], Dense(1)], inputs=3)
    layer = Dense(3)
    with pytest.raises(ValueError, match=r"layers\[1\] stands in the network twice"):
        fastnn.Sequential([layer, layer], inputs=3)


@pytest.mark.parametrize(("layer", "name"), [(0, "weights"), (1, "gain")])
def test_a_copy_that_does_not_fit_is_refused(layer, name):
    with pytest.raises(ValueError, match=rf"{name} of layers\[0\] ha.*is needed"):
        fastnn.Sequential([four().layers[layer].copy(), Dense(1)], inputs=7)


def test_stacking_networks(rows):
    """Two trained networks become one, whose predictions are those of one after the other."""
    X, _ = rows
    inner = fastnn.Sequential([Dense(4, "tanh"), LayerNormalization(), Dense(2, "tanh")], inputs=3)
    outer = fastnn.mlp([2, 3, 1])
    both = fastnn.Sequential([layer.copy() for layer in (*inner.layers, *outer.layers)], inputs=3)
    assert_array_equal(both.predict(X), outer.predict(inner.predict(X)))


# Files, tables, parameters


def test_a_file_keeps_what_is_frozen(rows, tmp_path):
    net = four((False, True, True))
    net.layers[1].trainable = False
    net.save(tmp_path / "net.npz")
    loaded = fastnn.load(tmp_path / "net.npz")
    assert [layer.trainable for layer in loaded.layers] == [False, False, True, True]
    before = parameters_of(loaded)
    loaded.fit(*rows, epochs=2, optimizer=SGD(0.1))
    net.fit(*rows, epochs=2, optimizer=SGD(0.1))
    check_what_changed(loaded, before, [False, False, True, True])
    assert_array_equal(loaded.parameters, net.parameters)


def test_a_summary_says_what_is_frozen():
    net = four((False, True, True))
    net.layers[1].trainable = False
    lines = net.summary().splitlines()
    assert [line.rstrip().endswith("frozen") for line in lines] == [False, True, True, False, False, False]
    net.layers[0].trainable = True
    assert net.summary().count("frozen") == 1


def test_parameters_are_read_and_set(rows):
    X, y = rows
    one, two = four(), four((False, False, True))
    one.fit(X, y, epochs=5, optimizer=SGD(0.1))
    two.parameters = one.parameters  # also those of layers that fit would not touch
    assert_array_equal(one.predict(X), two.predict(X))
    two.layers[0].weights = np.zeros((3, 5))
    two.layers[1].gain = np.full(5, 2.0)
    two.layers[1].bias = np.arange(5.0)
    two.layers[0].bias[:] = 1.0
    start = two.parameters[:30]
    assert_array_equal(start, [*[0.0] * 15, *[1.0] * 5, *[2.0] * 5, *range(5)])
    two.parameters[:] = 0.5
    assert two.layers[2].weights.tolist() == [[0.5] * 4] * 5


@pytest.mark.parametrize("wrong", [np.zeros(3), np.full(59, np.nan), "text"])
def test_parameters_that_do_not_fit_are_refused(wrong):
    net = four()
    before = net.parameters.copy()
    with pytest.raises((TypeError, ValueError), match="parameters"):
        net.parameters = wrong
    assert_array_equal(net.parameters, before)


def test_the_best_parameters_come_back_with_frozen_layers_as_they_were(rows):
    from fastnn.callbacks import EarlyStopping

    net = four((False, True, True))
    before = parameters_of(net)
    net.fit(
        *rows,
        epochs=200,
        optimizer=SGD(1.5),
        validation_split=0.5,
        early_stopping=EarlyStopping(patience=3),
    )
    check_what_changed(net, before, [False, True, True, True])


def test_a_line_search_moves_only_what_is_trained(rows):
    net = four((False, False, True))
    before = parameters_of(net)
    history = net.fit(*rows, epochs=50, optimizer=LBFGS())
    check_what_changed(net, before, [False, False, False, True])
    assert (np.diff(history.loss) <= 0).all()
    # Four weights and a bias on outputs that stay: linear least squares, whose answer is known.
    X, y = rows
    shown = fastnn.Sequential(
        [*(layer.copy() for layer in net.layers[:-1]), Dense(4, weights=np.eye(4))], inputs=3
    )
    inputs = np.column_stack([shown.predict(X), np.ones(len(X))])
    best = np.mean((inputs @ np.linalg.lstsq(inputs, y, rcond=None)[0] - y) ** 2)
    assert_allclose(net.evaluate(X, y), best, rtol=1e-3)
