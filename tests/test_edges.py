"""Training at the edges: little data, no numbers, divergence, a single epoch, a single class."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
import reference
from fastnn.optimizers import OPTIMIZERS
from tests.oracle import compare_histories, compare_runs
from tests.problems import call, problem

X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
NAN_X = [[0.0, 0.0], [0.0, math.nan], [1.0, 0.0], [1.0, 1.0]]
Y = [0.0, 1.0, 1.0, 0.0]
NAN_Y = [0.0, math.nan, 1.0, 0.0]


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        ((X, NAN_Y), {}, r"y\[1\] is nan"),
        ((NAN_X, Y), {}, r"X\[1, 1\] is nan"),
        ((X, NAN_Y), {"validation_split": 0.5}, r"y\[1\] is nan"),
        ((X, Y), {"validation_data": (NAN_X, Y)}, r"validation_data: X\[1, 1\] is nan"),
        ((X, Y), {"validation_data": (X, NAN_Y)}, r"validation_data: y\[1\] is nan"),
        ((X, Y), {"validation_data": (X, Y, [1, 1, math.nan, 1])}, r"validation_data: sample_weight\[2\] is nan"),
        ((X, Y), {"validation_data": (X, Y, [0, 0, 0, 0])}, "validation_data: sample_weight .*0"),
        ((X, Y), {"sample_weight": [0, 0, 0, 0], "validation_data": (X, Y)}, "sample_weight .*0"),
        ((X, Y), {"validation_data": ([[0.0]], [1.0])}, "validation_data: X has .*1.* 2"),
        ((X, Y), {"validation_data": (X, Y[:3])}, "validation_data: y has 3"),
    ],
)
def test_what_is_no_number_is_refused(data, options, match):
    net = fastnn.mlp([2, 3, 1])
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=match):
        net.fit(*data, epochs=2, **options)
    with pytest.raises(ValueError, match=match):
        net.fit(*data, epochs=2, **options, memory_limit="100 MB")
    assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("given", [X, "rows", (X,), (X, Y, None, None), 5, {"X": X}], ids=str)
def test_validation_data_of_another_form(given):
    with pytest.raises(TypeError, match="validation_data is "):
        fastnn.mlp([2, 3, 1]).fit(X, Y, validation_data=given if given is not X else np.array(X))


def test_divergence_of_a_search_is_not_blamed_on_a_rate():
    """Its first loss is infinite."""
    for optimizer in (fastnn.LBFGS(), fastnn.LevenbergMarquardt()):
        net = fastnn.mlp([1, 1], initializer=1.0)
        with pytest.warns(RuntimeWarning, match=r"kept\. Try to scale inputs and targets to about 1$"):
            net.fit([[1e200], [-1e200]], [0.0, 1.0], optimizer=optimizer)


# Little ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 1, 2])
@pytest.mark.parametrize(("output", "loss"), [("identity", "mse"), ("softmax", "cross_entropy")])
def test_two_rows(rng, output, loss, batch_size):
    p = problem(rng, (2, 3, 2), 2, output=output, loss=loss)
    options = {"epochs": 3, "validation_split": 0.5, "batch_size": batch_size, "metrics": ["mse"]}
    _, history = compare_runs(p, 1e-9, early_stopping=call("EarlyStopping", patience=1), **options)
    assert len(history.val_loss) == history.epochs


def test_one_row_for_both(rng):
    p = problem(rng, (2, 3, 1), 1)
    _, history = compare_runs(
        p, 1e-9, epochs=2, validation_data=p.rows, metrics=["mse", "r2", "explained_variance"]
    )
    assert history.val_loss[0] == history.loss[1]


@pytest.mark.parametrize("stopping", [None, call("EarlyStopping", patience=1)], ids=str)
def test_a_single_epoch(rng, stopping):
    p = problem(rng, (2, 3, 1), 9)
    for optimizer in OPTIMIZERS:
        options = {"epochs": 1, "validation_split": 0.3, "metrics": ["mae"], "early_stopping": stopping}
        _, history = compare_runs(p, 1e-9, optimizer=optimizer, **options)
        assert history.status == "finished"
        assert history.best_epoch == (None if stopping is None else 1)


def test_patience_of_1_stops_at_the_first_that_is_not_better(rng):
    p = problem(rng, (2, 3, 1), 9)
    options = {"optimizer": call("SGD", 1.5), "early_stopping": call("EarlyStopping", patience=1)}
    _, history = compare_runs(p, 1e-9, epochs=50, validation_split=0.3, **options)
    assert history.status == "stopped"
    assert history.best_epoch == history.epochs - 1
    assert (np.diff(history.val_loss)[:-1] < 0).all()
    assert history.val_loss[-1] >= history.val_loss[-2]


CLASS_METRICS = ["accuracy", "precision", "recall", "f1", "auc", "log_loss", "confusion_matrix"]


@pytest.mark.parametrize(
    ("output", "loss", "outputs"), [("sigmoid", "binary_cross_entropy", 1), ("softmax", "cross_entropy", 3)]
)
def test_one_class_in_the_validation_rows(rng, output, loss, outputs):
    p = problem(rng, (2, 3, outputs), 12, output=output, loss=loss)
    if outputs == 1:
        p.y[:] = p.y > 0.5
    for label in range(2):
        labels = np.full(5, label)
        rows = p.X[:5], labels if outputs > 1 else labels.astype(float)
        _, history = compare_runs(p, 1e-9, epochs=3, metrics=CLASS_METRICS, validation_data=rows)
        assert np.isnan(history.metrics["val_auc"]).all()
        assert np.isfinite(history.metrics["auc"]).all()
        monitor = call("EarlyStopping", "val_auc", patience=2)
        _, history = compare_runs(p, 1e-9, epochs=9, metrics=["auc"], validation_data=rows, early_stopping=monitor)
        # What is no number is never better.
        assert (history.status, history.epochs, history.best_epoch) == ("stopped", 2, None)


def test_one_class_in_all_rows(rng):
    p = problem(rng, (2, 3, 1), 12, output="sigmoid", loss="binary_cross_entropy")
    p.y[:] = 1.0
    options = {"metrics": CLASS_METRICS, "validation_split": 0.3, "class_weight": "balanced"}
    compare_runs(p, 1e-9, epochs=3, **options)


# Divergence ------------------------------------------------------------------------------------------

FAST = {
    # The length of a step does not grow with the gradient for most: a huge rate does it.
    "sgd": call("SGD", 1e6),
    "adagrad": call("Adagrad", 1e155),
    "adadelta": call("Adadelta", 1e160),
    "rmsprop": call("RMSprop", 1e155),
    "adam": call("Adam", 1e155),
    "amsgrad": call("AMSGrad", 1e155),
    "adamw": call("AdamW", 1e155),
    "nadam": call("Nadam", 1e155),
    "lion": call("Lion", 1e155),
    "rprop": call("Rprop", 1e155, step_max=1e200),
}


@pytest.mark.parametrize(
    ("name", "batch_size"), [*((name, None) for name in FAST), *((name, 4) for name in FAST if name != "rprop")]
)
def test_divergence(rng, name, batch_size):
    p = problem(rng, (2, 3, 1), 9, hidden="identity")
    optimizer = FAST[name]
    net, twin = p.net, p.twin
    options = {"epochs": 60, "batch_size": batch_size, "validation_data": p.rows}
    with pytest.warns(RuntimeWarning, match="no longer finite after epoch .*Try a smaller learning rate than"):
        found = net.fit(
            *p.rows,
            optimizer=getattr(fastnn, optimizer.name)(*optimizer.arguments, **optimizer.settings),
            early_stopping=fastnn.EarlyStopping("loss"),
            **options,
        )
    with pytest.warns(RuntimeWarning, match="diverged"):
        expected = twin.fit(
            *p.row_lists,
            optimizer=getattr(reference, optimizer.name)(*optimizer.arguments, **optimizer.settings),
            early_stopping=reference.EarlyStopping("loss"),
            **{**options, "validation_data": p.row_lists},
        )
    assert found.status == expected.status == "diverged"
    assert found.epochs == expected.epochs
    assert np.isfinite(net.parameters).all()
    # Those of the last update whose loss was finite, not the best ones.
    assert net.parameters == pytest.approx(twin.parameters, rel=1e-9)


@pytest.mark.parametrize("name", ["lbfgs", "levenberg_marquardt"])
def test_a_line_search_does_not_diverge(rng, name):
    p = problem(rng, (2, 3, 1), 9, hidden="exponential")
    net = p.net
    net.parameters = 20 * p.parameters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        history = net.fit(*p.rows, epochs=20, optimizer=name)
    assert np.isfinite(net.parameters).all()
    assert (history.status, history.epochs) == ("finished", 20)
    assert history.loss[-1] <= history.loss[0]


def test_every_optimizer_has_a_way_to_diverge():
    assert {*FAST, "lbfgs", "levenberg_marquardt"} == set(OPTIMIZERS)


def test_divergence_in_the_first_epoch(rng):
    p = problem(rng, (2, 3, 1), 9)
    net, twin = p.net, p.twin
    for network in (net, twin):
        network.parameters = [1e200] * len(p.parameters)
    with pytest.warns(RuntimeWarning, match="after epoch 0"):
        found = net.fit(*p.rows, validation_split=0.3, metrics=["mse"], early_stopping=fastnn.EarlyStopping())
    with pytest.warns(RuntimeWarning, match="diverged"):
        expected = twin.fit(
            *p.row_lists, validation_split=0.3, metrics=["mse"], early_stopping=reference.EarlyStopping()
        )
    compare_histories(found, expected, 1e-9)
    assert found.loss.shape == found.val_loss.shape == found.metrics["val_mse"].shape == (0,)
    assert_array_equal(net.parameters, 1e200)


def test_a_validation_loss_that_is_not_finite_ends_nothing(rng):
    p = problem(rng, (2, 1), 9)
    rows = np.full((3, 2), 1e200), np.zeros(3)
    for stopping, epochs in ((None, 5), (call("EarlyStopping", patience=2), 2)):
        _, history = compare_runs(
            p, 1e-9, epochs=5, validation_data=rows, metrics=["mae"], early_stopping=stopping
        )
        assert history.epochs == epochs
        assert history.status == ("finished" if stopping is None else "stopped")
        assert np.isinf(history.val_loss).all()
        assert history.best_epoch is None
    schedule = call("schedules.ReduceOnPlateau", 0.01, patience=1)
    compare_runs(p, 1e-9, epochs=5, validation_data=rows, optimizer=call("SGD", schedule))


def test_a_fit_after_one_that_diverged(rng):
    p = problem(rng, (2, 3, 1), 9)
    net = p.net
    with pytest.warns(RuntimeWarning):
        net.fit(*p.rows, epochs=60, optimizer=fastnn.SGD(1e6))
    assert net.history.status == "diverged"
    net.parameters = p.parameters
    assert net.fit(*p.rows, epochs=3).status == "finished"
