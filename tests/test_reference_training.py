"""The training loop of the reference: clipping, validation, classes, metrics, early stopping, least squares."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reference import (
    LBFGS,
    SGD,
    Adam,
    Dense,
    Dropout,
    EarlyStopping,
    LayerNormalization,
    LevenbergMarquardt,
    Rprop,
    Sequential,
    datasets,
    losses,
    metrics,
    mlp,
    numerical_gradient,
)
from reference.classes import labels_of, quotas, weigh_classes
from reference.problem import Problem
from reference.random import permutation
from reference.training import clipped
from tests.test_reference import problem

# Clipping


@pytest.mark.parametrize("bound", [0.05, 1e3])
def test_clip_value_and_norm(bound):
    X, y, w = problem(3)
    net = mlp([2, 3, 3], activation="tanh")
    _, gradient = net.loss_and_gradient(X, y, "mse", w)
    before, g = np.array(net.parameters), np.array(gradient)
    assert np.abs(g).max() > 0.05
    for name, expected in (
        ("clip_value", np.clip(g, -bound, bound)),
        ("clip_norm", g * min(1.0, bound / np.linalg.norm(g))),
    ):
        net.parameters = before
        net.fit(X, y, sample_weight=w, optimizer=SGD(0.1, **{name: bound}))
        assert net.parameters == pytest.approx(before - 0.1 * expected, rel=1e-12, abs=1e-15)


def test_clipping_comes_after_penalties():
    X, y, _ = problem()
    net = mlp([2, 1], l2=100.0)
    before = np.array(net.parameters)
    net.fit(X, y, optimizer=SGD(0.1, clip_norm=1e-3))
    assert np.linalg.norm(before - net.parameters) == pytest.approx(1e-4, rel=1e-9)


@pytest.mark.parametrize("settings", [{"clip_value": 1.0}, {"clip_norm": 1.0}], ids=str)
def test_clipping_does_not_hide_nan(settings):
    optimizer = SGD(0.1, **settings)
    assert any(math.isnan(g) for g in clipped([3.0, math.nan], optimizer))
    assert clipped([3.0, -4.0], optimizer) == pytest.approx(
        [1.0, -1.0] if "clip_value" in settings else [0.6, -0.8]
    )
    # squares of numbers like these are infinite
    assert clipped([3e200, -4e200], SGD(0.1, clip_norm=1.0)) == pytest.approx([0.6, -0.8])


# Validation


def test_validation_data():
    X, y, w = problem(2, samples=9)
    net, twin = (mlp([2, 3, 2], l2=0.1) for _ in range(2))
    options = {"batch_size": 2, "optimizer": SGD(0.1), "loss": "mae"}
    history = net.fit(X[:5], y[:5], epochs=3, validation_data=(X[5:], y[5:], w[5:]), seed=0, **options)
    plain = twin.fit(X[:5], y[:5], epochs=3, seed=0, **options)
    assert net.parameters == twin.parameters
    assert history.loss == plain.loss
    assert plain.val_loss is None
    assert len(history.val_loss) == 3
    assert history.val_loss[-1] == net.evaluate(X[5:], y[5:], "mae", w[5:])
    assert history.val_loss[0] != history.val_loss[1]
    unweighted = net.fit(X[:5], y[:5], validation_data=(X[5:], y[5:]), **options)
    assert unweighted.val_loss == [net.evaluate(X[5:], y[5:], "mae")]


def test_validation_is_without_dropout():
    X, y, _ = problem(2)
    net = mlp([2, 3, 2], dropout=0.5)
    history = net.fit(X, y, epochs=3, validation_data=(X, y), optimizer=SGD(0.1))
    assert history.val_loss[-1] == net.evaluate(X, y)
    assert history.loss[-1] != net.evaluate(X, y)


def split_of(n, share, seed):
    m = min(max(1, math.floor(share * n + 0.5)), n - 1)
    chosen = set(permutation(n, seed, 2**61)[:m])
    return [i for i in range(n) if i not in chosen], [i for i in range(n) if i in chosen]


@pytest.mark.parametrize(
    ("n", "share", "m"), [(10, 0.25, 3), (10, 0.24, 2), (2, 0.9, 1), (3, 0.01, 1), (7, 0.99, 6)]
)
def test_validation_split(n, share, m):
    X, y, w = problem(2, samples=n)
    training, validation = split_of(n, share, 3)
    assert len(validation) == m

    def pick(values, rows):
        return [values[i] for i in rows]

    net, twin = (mlp([2, 3, 2], dropout=0.3) for _ in range(2))
    options = {"epochs": 3, "batch_size": 2, "optimizer": SGD(0.1), "seed": 3}
    history = net.fit(X, y, sample_weight=w, validation_split=share, **options)
    held = tuple(pick(values, validation) for values in (X, y, w))
    plain = twin.fit(
        pick(X, training), pick(y, training), sample_weight=pick(w, training), validation_data=held, **options
    )
    assert net.parameters == twin.parameters
    assert (history.loss, history.val_loss) == (plain.loss, plain.val_loss)


@pytest.mark.parametrize(
    ("counts", "m", "expected"),
    [
        ([6, 4], 5, [3, 2]),
        ([5, 5], 3, [2, 1]),  # both 1.5: the smaller label gets the rest
        ([7, 2, 1], 5, [4, 1, 0]),  # 3.5, 1, 0.5: the first remainder of the two equal ones, and no more rows
        ([9, 1], 5, [5, 0]),  # 4.5 and 0.5: the class of one row keeps it, the other takes what is left
        ([1, 1, 1], 2, [0, 0, 0]),
        ([3, 3, 4], 1, [0, 0, 1]),
    ],
)
def test_quotas(counts, m, expected):
    assert list(quotas(dict(enumerate(counts)), m).values()) == expected


def test_validation_split_with_classes():
    r = np.random.default_rng(1)
    X, y = r.normal(size=(30, 2)).tolist(), [0.0] * 20 + [1.0] * 10
    order = permutation(30, 5, 2**61)
    ones, zeros = [i for i in order if y[i] == 1.0], [i for i in order if y[i] == 0.0]
    chosen = sorted(zeros[:5] + ones[:3])  # of m = 8 rows 5.33 and 2.67
    rest = [i for i in range(30) if i not in chosen]

    def pick(values, rows):
        return [values[i] for i in rows]

    for loss, output, labels in (
        ("binary_cross_entropy", "sigmoid", y),
        ("focal", "sigmoid", y),
        ("hinge", "tanh", [2 * t - 1 for t in y]),
        ("cross_entropy", "softmax", [int(t) for t in y]),
        ("cross_entropy", "softmax", [[1 - t, t] for t in y]),
    ):
        sizes = [2, 2 if output == "softmax" else 1]
        net, twin = (mlp(sizes, output=output) for _ in range(2))
        options = {"epochs": 2, "loss": loss, "seed": 5, "optimizer": SGD(0.1)}
        history = net.fit(X, labels, validation_split=0.25, **options)
        held = (pick(X, chosen), pick(labels, chosen))
        plain = twin.fit(pick(X, rest), pick(labels, rest), validation_data=held, **options)
        assert (history.loss, history.val_loss) == (plain.loss, plain.val_loss)


def test_validation_split_of_classes_with_one_row_each_is_done_without_classes():
    X = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    net, twin = (mlp([2, 3], output="softmax") for _ in range(2))
    history = net.fit(X, [2, 0, 1], validation_split=0.4, loss="cross_entropy", seed=1)
    training, validation = split_of(3, 0.4, 1)
    held = ([X[i] for i in validation], [[2, 0, 1][i] for i in validation])
    plain = twin.fit(
        [X[i] for i in training], [[2, 0, 1][i] for i in training], validation_data=held, loss="cross_entropy"
    )
    assert (history.loss, history.val_loss) == (plain.loss, plain.val_loss)


def test_a_validation_loss_that_is_not_finite_ends_nothing():
    X, y, _ = problem()
    with np.errstate(all="ignore"):
        history = mlp([2, 1]).fit(X, y, epochs=3, validation_data=([[1e200, 0.0]], [0.0]))
    assert history.status == "finished"
    assert history.val_loss == [math.inf] * 3


# Classes


def test_labels():
    def samples(*targets):
        return [([0.0], list(target), 1.0) for target in targets]

    assert labels_of(samples([0.2, 0.5, 0.3], [0.4, 0.4, 0.2]), "cross_entropy") == [1, 0]
    assert labels_of(samples([0.0], [1.0]), "binary_cross_entropy") == [0, 1]
    assert labels_of(samples([0.0], [1.0]), losses.Focal(3.0)) == [0, 1]
    assert labels_of(samples([-1.0], [1.0]), "hinge") == labels_of(samples([0.0], [1.0]), "hinge") == [0, 1]
    assert labels_of(samples([0.5], [1.0]), "binary_cross_entropy") is None
    assert labels_of(samples([0.0, 1.0]), "binary_cross_entropy") is None
    assert labels_of(samples([0.0], [1.0]), "mse") is None


@pytest.mark.parametrize(
    ("class_weight", "expected"),
    [
        ({0: 3.0, 2: 0.5}, [3.0, 1.0, 0.5, 3.0]),
        ({}, [1.0, 1.0, 1.0, 1.0]),
        ("balanced", [4.5 / 8.4, 4.5 / 1.5, 4.5 / 3.6, 4.5 / 8.4]),
        ({1: 0.0}, [1.0, 0.0, 1.0, 1.0]),
    ],
)
def test_class_weight(class_weight, expected):
    X, _, _ = problem(samples=4)
    y, w = [0, 1, 2, 0], [2.0, 0.5, 1.2, 0.8]
    net, twin = (mlp([2, 3], output="softmax") for _ in range(2))
    options = {"epochs": 3, "loss": "cross_entropy", "validation_data": (X, y, w)}
    history = net.fit(X, y, sample_weight=w, class_weight=class_weight, **options)
    product = [a * b for a, b in zip(w, expected, strict=True)]
    plain = twin.fit(X, y, sample_weight=product, **options)
    assert net.parameters == pytest.approx(twin.parameters, rel=1e-12)
    assert history.loss == pytest.approx(plain.loss, rel=1e-12)
    assert history.val_loss == pytest.approx(plain.val_loss, rel=1e-12)


def test_balanced_weights_by_hand():
    samples = [([0.0], [1.0], 2.0), ([0.0], [0.0], 1.5), ([0.0], [1.0], 0.0), ([0.0], [1.0], 1.0)]
    weights = [w for _, _, w in weigh_classes(samples, "hinge", "balanced")]
    assert weights == pytest.approx([2 * 4.5 / (2 * 3), 1.5 * 4.5 / (2 * 1.5), 0.0, 4.5 / (2 * 3)])


def test_balanced_counts_rows_of_the_training_part():
    X, _, _ = problem(samples=9)
    y = [1.0, -1.0, -1.0, -1.0, 1.0, -1.0, -1.0, -1.0, 1.0]
    net, twin = (mlp([2, 1]) for _ in range(2))
    options = {"loss": "hinge", "validation_split": 0.3, "seed": 2}  # 1 of 3 and 2 of 6 rows are held back
    net.fit(X, y, class_weight="balanced", **options)
    twin.fit(X, y, class_weight={0: 6 / (2 * 4), 1: 6 / (2 * 2)}, **options)
    assert net.parameters == twin.parameters


# Metrics


def test_metrics_are_of_the_predictions_of_the_loss():
    X, y, w = problem(2, samples=6)
    w[2] = 0.0
    net, twin = (mlp([2, 3, 2], dropout=0.3) for _ in range(2))
    options = {"epochs": 2, "sample_weight": w, "optimizer": SGD(0.1)}
    history = net.fit(X, y, metrics=["mse", "rmse", "mae"], batch_size=4, validation_data=(X, y, w), **options)
    assert list(history.metrics) == ["mse", "rmse", "mae", "val_mse", "val_rmse", "val_mae"]
    # the loss of an epoch is that of the predictions before each update, with dropout: so are metrics
    assert history.metrics["mse"] == pytest.approx(history.loss, rel=1e-12)
    assert history.metrics["val_mse"] == pytest.approx(history.val_loss, rel=1e-12)
    assert history.metrics["mse"] == twin.fit(X, y, metrics="mse", batch_size=4, **options).metrics["mse"]
    assert net.fit(X, y).metrics == {}


def test_metrics_of_classes():
    X, _, w = problem(samples=8)
    y = [0, 1, 2, 0, 1, 2, 0, 1]
    net = mlp([2, 3], output="softmax")
    before = net.predict(X)
    names = ["accuracy", "top_2_accuracy", "confusion_matrix", "auc", "log_loss"]
    history = net.fit(X, y, loss="cross_entropy", sample_weight=w, metrics=names)
    assert history.metrics["accuracy"] == [metrics.accuracy(before, y, w)]
    assert history.metrics["top_2_accuracy"] == [metrics.top_k_accuracy(before, y, w, k=2)]
    assert history.metrics["confusion_matrix"] == [metrics.confusion_matrix(before, y, w)]
    assert history.metrics["log_loss"] == pytest.approx(history.loss, rel=1e-12)


@pytest.mark.parametrize("optimizer", [LBFGS(), LevenbergMarquardt()])
def test_metrics_of_optimizers_that_look_around(optimizer):
    X, y, _ = problem(2)
    net = mlp([2, 3, 2], activation="tanh")
    history = net.fit(X, y, epochs=3, optimizer=optimizer, metrics=["mse"])
    assert history.metrics["mse"] == pytest.approx(history.loss, rel=1e-12)


# Early stopping


class Scripted(SGD):
    """Goes through given biases of a network of one bias, whose loss (mae with target 0) they are."""

    def __init__(self, values):
        super().__init__(1.0)
        self.values = values

    def start(self, count):
        self.left = list(self.values[1:])

    def update(self, parameters, gradients, rate):
        return [0.0, self.left.pop(0)]


def scripted(values, stopping, **options):
    """A fit whose loss at the end of epoch i is values[i + 1]."""
    net = Sequential([Dense(1, weights=[[0.0]], bias=[values[0]])], inputs=1)
    X, y = [[0.0]], [0.0]
    history = net.fit(
        X,
        y,
        epochs=len(values) - 1,
        loss="mae",
        optimizer=Scripted(values),
        early_stopping=stopping,
        **options,
    )
    return net.parameters[1], history


HELD = {"validation_data": ([[0.0]], [0.0])}
VALUES = [9.0, 5.0, 6.0, 4.0, 4.5, 4.0, 4.2, 3.0, 2.0]


@pytest.mark.parametrize(
    ("settings", "options", "epochs", "best", "at_end"),
    [
        ({"patience": 3}, HELD, 6, 3, 4.0),  # 5 6 4 4.5 4 4.2: equal is not better
        ({"patience": 3, "restore_best": False}, HELD, 6, 3, 4.2),
        ({"patience": 4}, HELD, 8, 8, 2.0),
        ({"patience": 1}, HELD, 2, 1, 5.0),
        ({"patience": 2, "min_delta": 1.5}, HELD, 3, 1, 5.0),
        ({"patience": 2, "min_delta": 1.0}, HELD, 3, 1, 5.0),  # 4 is not below 5 - 1
        ({"patience": 2, "min_delta": 0.9}, HELD, 5, 3, 4.0),
        # without validation the loss of the epoch, at its start, but the parameters at its end
        ({"patience": 3}, {}, 7, 4, 4.5),
        ({"patience": 3, "monitor": "loss"}, HELD, 7, 4, 4.5),
        ({"patience": 3, "monitor": "val_loss"}, HELD, 6, 3, 4.0),
        ({"patience": 3, "monitor": "mae"}, {"metrics": ["mae"]}, 7, 4, 4.5),
        ({"patience": 3, "monitor": "val_mae"}, {"metrics": ["mae"], **HELD}, 6, 3, 4.0),
    ],
)
def test_early_stopping(settings, options, epochs, best, at_end):
    parameter, history = scripted(VALUES, EarlyStopping(**settings), **options)
    assert (history.epochs, history.best_epoch, parameter) == (epochs, best, at_end)
    assert history.status == ("stopped" if epochs < 8 else "finished")
    assert len(history.learning_rate) == epochs


def test_the_first_finite_value_is_better():
    class Held(Scripted):
        def update(self, parameters, gradients, rate):
            return [self.left.pop(0), 0.0]  # the loss of training stays 0: its input is

    net = Sequential([Dense(1, weights=[[1.0]])], inputs=1)
    big = [1.0, 1e308, 1e308, 5.0, 6.0, 7.0, 1.0]
    held = ([[10.0]], [0.0])  # 1e309 is infinite

    def fit(patience):
        return net.fit(
            [[0.0]],
            [0.0],
            epochs=6,
            loss="mae",
            optimizer=Held(big),
            early_stopping=EarlyStopping(patience=patience),
            validation_data=held,
        )

    history = fit(4)
    assert history.val_loss == [math.inf, math.inf, 50.0, 60.0, 70.0, 10.0]
    assert (history.best_epoch, history.status) == (6, "finished")
    history = fit(2)
    assert (history.epochs, history.best_epoch, history.status) == (2, None, "stopped")
    assert net.parameters[0] == 1e308  # there is no best to go back to


def test_more_is_better_for_accuracy():
    X, y = datasets.xor()
    net = mlp([2, 4, 1], activation="tanh", output="sigmoid", seed=3)
    options = {"loss": "binary_cross_entropy", "optimizer": Adam(0.05), "metrics": ["accuracy"]}
    history = net.fit(X, y, epochs=300, early_stopping=EarlyStopping("accuracy", patience=20), **options)
    best = history.metrics["accuracy"].index(max(history.metrics["accuracy"]))
    assert history.best_epoch == best + 1
    assert history.status == "stopped"
    assert history.epochs == best + 1 + 20
    twin = mlp([2, 4, 1], activation="tanh", output="sigmoid", seed=3)
    twin.fit(X, y, epochs=history.best_epoch, **options)
    assert net.parameters == twin.parameters


def test_divergence_keeps_the_last_finite_parameters_and_not_the_best():
    values = [3.0, 2.0, 4.0, math.inf]
    with pytest.warns(RuntimeWarning):
        parameter, history = scripted(values, EarlyStopping(patience=5), **HELD)
    assert (history.status, history.epochs, history.best_epoch, parameter) == ("diverged", 2, 1, 4.0)
    assert len(history.val_loss) == len(history.learning_rate) == 2


def test_early_stopping_can_be_used_again():
    stopping = EarlyStopping(patience=3)
    first = scripted(VALUES, stopping, **HELD)
    assert scripted(VALUES, stopping, **HELD) == first


# Optimizers that look around


def problem_of(net, X, y, w, loss="mse"):
    samples = net._samples(X, y, loss, w)
    frozen = [not layer.trainable for layer in net.layers for _ in layer.parameters]
    return Problem(net, samples, loss, (0, 0), frozen)


def curved(outputs):
    layers = [Dense(3, "tanh", l2=0.05), LayerNormalization(), Dense(outputs, "sigmoid")]
    return Sequential(layers, inputs=2, l2=0.02, seed=3)


@pytest.mark.parametrize("loss", ["mse", "half_sse"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_normal_equations(loss, outputs):
    X, y, w = problem(outputs)
    net = curved(outputs)
    p = net.parameters
    value, gradient, matrix = problem_of(net, X, y, w, loss).normal_equations(p)
    assert (value, gradient) == net.loss_and_gradient(X, y, loss, w)
    # by differences: rows of predictions and weights, scaled so that the loss is the sum of their squares
    K = outputs if loss == "mse" else 2
    root = np.sqrt(np.repeat(w, outputs) / np.sum(w) / K)

    def residuals(parameters):
        net.parameters = parameters
        return root * (np.array(net.predict(X)) - y).ravel()

    assert np.sum(residuals(p) ** 2) + net.penalty() == pytest.approx(value, rel=1e-12)
    J = np.array([numerical_gradient(lambda q, i=i: residuals(q)[i], p, 1e-5) for i in range(len(root))])
    penalty = [0.1] * 6 + [0.0] * 9 + [0.04] * (3 * outputs) + [0.0] * outputs
    assert np.array(matrix) == pytest.approx(2 * J.T @ J + np.diag(penalty), abs=1e-7)


def test_where_all_errors_are_0_the_matrix_is_the_second_derivative():
    X, _, w = problem(2)
    net = curved(2)
    y, p = net.predict(X), net.parameters
    _, _, matrix = problem_of(net, X, y, w).normal_equations(p)

    def gradient(parameters):
        net.parameters = parameters
        return net.loss_and_gradient(X, y, "mse", w)[1]

    hessian = [numerical_gradient(lambda q, i=i: gradient(q)[i], p, 1e-5) for i in range(len(p))]
    assert np.array(matrix) == pytest.approx(np.array(hessian), abs=1e-7)


@pytest.mark.parametrize("fault", ["mean over outputs", "weights", "penalty", "rows left out"])
def test_faults_in_normal_equations_are_found(monkeypatch, fault):
    right = Problem.normal_equations

    def wrong(self, parameters):
        loss, gradient, matrix = right(self, parameters)
        matrix = np.array(matrix)
        if fault == "mean over outputs":
            matrix *= 3
        elif fault == "weights":
            self.samples = [(row, target, 1.0) for row, target, _ in self.samples]
            matrix = np.array(right(self, parameters)[2])
        elif fault == "penalty":
            matrix -= np.diag(self._curvature_of_penalties())
        else:
            self.samples = self.samples[1:]
            matrix = np.array(right(self, parameters)[2])
        return loss, gradient, matrix.tolist()

    monkeypatch.setattr(Problem, "normal_equations", wrong)
    with pytest.raises(AssertionError):
        test_normal_equations("mse", 3)


def test_frozen_parameters_have_no_part_in_a_problem():
    X, y, w = problem(2)
    net = curved(2)
    net.layers[0].trainable = False
    p = net.parameters
    posed = problem_of(net, X, y, w)
    _, gradient, matrix = posed.normal_equations(p)
    assert gradient[:9] == posed.loss_and_gradient(p)[1][:9] == [0.0] * 9
    assert not np.array(matrix)[:9].any()
    assert not np.array(matrix)[:, :9].any()
    assert np.array(matrix)[9:, 9:].any(axis=0).all()


@pytest.mark.parametrize("optimizer", [LBFGS(), LevenbergMarquardt(), "lbfgs", "levenberg_marquardt"])
def test_line_fitted_to_the_end(optimizer):
    X, y, w = problem(2)
    net = mlp([2, 2])
    history = net.fit(X, y, epochs=200, optimizer=optimizer, sample_weight=w)
    assert history.status == "converged"
    assert history.epochs < 200
    A = np.column_stack([X, np.ones(len(X))]) * np.sqrt(w)[:, None]
    exact, *_ = np.linalg.lstsq(A, np.array(y) * np.sqrt(w)[:, None], rcond=None)
    assert net.parameters == pytest.approx(exact.ravel(), abs=1e-4)
    assert history.loss == sorted(history.loss, reverse=True)
    assert history.loss[0] == mlp([2, 2]).evaluate(X, y, "mse", w)


@pytest.mark.parametrize("optimizer", [LBFGS(), LevenbergMarquardt()])
def test_early_stopping_and_divergence_of_optimizers_that_look_around(optimizer):
    X, y, _ = problem(2)
    net = mlp([2, 4, 2], activation="tanh")
    stopping = EarlyStopping(patience=2, min_delta=10.0)
    history = net.fit(X, y, epochs=9, optimizer=optimizer, early_stopping=stopping)
    assert (history.status, history.epochs, history.best_epoch) == ("stopped", 3, 1)
    net = Sequential([Dense(1, weights=[[1e200]])], inputs=1)
    with pytest.warns(RuntimeWarning):
        history = net.fit([[1.0]], [0.0], epochs=5, optimizer=optimizer)
    assert (history.status, history.epochs, net.parameters) == ("diverged", 0, [1e200, 0.0])


@pytest.mark.parametrize(
    "name", ["sgd", "adagrad", "adadelta", "rmsprop", "adam", "amsgrad", "adamw", "nadam", "lion", "rprop"]
)
def test_optimizers_by_name(name):
    X, y, _ = problem()
    net = mlp([2, 3, 1], activation="tanh")
    history = net.fit(X, y, epochs=30, optimizer=name)
    assert history.loss[-1] < history.loss[0]
    assert history.learning_rate[0] > 0


X2, Y2 = [[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0]
HELD2 = (X2, Y2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamax"}, "'adamax'; known are sgd, adagrad,.*lbfgs, levenberg_marquardt"),
        ({"optimizer": Rprop(), "batch_size": 1}, "batch_size is 1; Rprop needs all rows"),
        ({"optimizer": "lbfgs", "batch_size": 2}, "batch_size is 2; LBFGS needs all rows"),
        ({"optimizer": "levenberg_marquardt", "loss": "mae"}, "the loss mse or half_sse, not mae"),
        ({"validation_data": HELD2, "validation_split": 0.5}, "both given"),
        ({"validation_data": (X2,)}, r"must be \(X, y\) or \(X, y, sample_weight\)"),
        ({"validation_data": (X2, [1.0])}, "y has 1 rows"),
        ({"validation_split": 1.0}, "validation_split is 1.0"),
        ({"validation_split": 0.0}, "validation_split is 0.0"),
        (
            {"validation_split": 0.5, "sample_weight": [0, 1], "seed": 0},
            "weights of all rows for (training|validation)",
        ),
        ({"class_weight": "balanced"}, "class_weight needs classes"),
        ({"class_weight": {2: 1.0}, "loss": "hinge"}, "label 2; labels are 0 to 1"),
        ({"class_weight": {1: -1.0}, "loss": "hinge"}, r"class_weight\[1\] is -1.0"),
        ({"class_weight": "equal", "loss": "hinge"}, "class_weight is 'equal'"),
        ({"class_weight": {0: 0.0, 1: 0.0}, "loss": "hinge"}, "weights of all rows for training are 0"),
        ({"metrics": ["accuracies"]}, "'accuracies'; known are accuracy"),
        ({"metrics": ["mse", "mse"]}, "'mse' is named twice"),
        ({"early_stopping": EarlyStopping("val_loss")}, "monitor is 'val_loss'; there are loss"),
        ({"early_stopping": EarlyStopping("mae")}, "monitor is 'mae'; there are loss"),
    ],
    ids=str,
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        mlp([2, 1]).fit(X2, Y2, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EarlyStopping(patience=0), "patience is 0"),
        (lambda: EarlyStopping(min_delta=-1.0), "min_delta is -1.0"),
        (lambda: mlp([2, 1]).fit(X2[:1], Y2[:1], validation_split=0.5), "X has 1 row; validation_split needs"),
        (lambda: mlp([2, 1], l1=0.1).fit(X2, Y2, optimizer="levenberg_marquardt"), "without l1 and max_norm"),
        (
            lambda: Sequential([Dense(1, max_norm=1.0)], inputs=2).fit(X2, Y2, optimizer="levenberg_marquardt"),
            "without l1 and max_norm",
        ),
        (
            lambda: Sequential([Dropout(0.1), Dense(1)], inputs=2).fit(X2, Y2, optimizer="levenberg_marquardt"),
            "without Dropout",
        ),
        (
            lambda: mlp([2, 500, 1]).fit(X2, Y2, optimizer="levenberg_marquardt"),
            "2001 parameters; LevenbergMarquardt takes 2000",
        ),
    ],
)
def test_other_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
