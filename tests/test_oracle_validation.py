"""fastnn against the reference: runs with validation rows, metrics, early stopping, and weights of classes."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
import reference
from tests.oracle import compare_histories, compare_runs
from tests.problems import call, made, problem, some_weights, targets

ADAM = call("Adam", 0.02)

VALIDATION = {
    "split": {"validation_split": 0.25},
    "split in batches": {"validation_split": 0.5, "batch_size": 4},
    "split of another seed": {"validation_split": 0.25, "seed": 5},
    "data": {"validation_data": "plain"},
    "data with weights": {"validation_data": "weighted", "batch_size": 8},
}
OUTPUT_AND_LOSS = [
    ("identity", "mse", 2),
    ("identity", call("losses.Huber", 0.5), 1),
    ("sigmoid", "binary_cross_entropy", 1),
    ("softmax", call("losses.CrossEntropy", 0.1), 3),
    ("tanh", "hinge", 1),
    ("softmax", "focal", 3),
    ("exponential", "poisson", 1),
]


def with_rows(options, rng, p):
    """The options, with rows of the problem's kind where they name them."""
    kind = options.get("validation_data")
    if kind is None:
        return options
    K = p.sizes[-1]
    rows = rng.normal(size=(13, p.sizes[0])).astype(p.dtype), targets(rng, p.asked, 13, K, p.dtype)
    if kind == "weighted":
        rows = (*rows, some_weights(rng, 13, p.dtype))
    return {**options, "validation_data": rows}


@pytest.mark.parametrize("options", VALIDATION.values(), ids=VALIDATION)
@pytest.mark.parametrize(("output", "loss", "outputs"), OUTPUT_AND_LOSS, ids=str)
def test_validation(rng, output, loss, outputs, options, dtype):
    p = problem(rng, (2, 4, outputs), 30, output=output, loss=loss, dtype=dtype, weighted=True, l2=0.01)
    # float32: 24 updates at most, each rounded and of a rounded gradient.
    bound = 1e-9 if dtype == "float64" else 1e-4
    _, history = compare_runs(p, bound, epochs=6, optimizer=ADAM, **with_rows(options, rng, p))
    assert len(history.val_loss) == 6


def test_validation_is_without_dropout_and_with_penalties(rng):
    def layers(of):
        return [of.Dropout(0.2), of.Dense(6, "tanh", l1=0.02), of.Dropout(0.5), of.Dense(2)]

    p = problem(rng, (3, 2), 30, layers=layers)
    for options in VALIDATION.values():
        given = with_rows(options, rng, p)
        compare_runs(p, 1e-9, epochs=6, optimizer=ADAM, metrics=["mse"], **given)


@pytest.mark.parametrize("optimizer", ["LBFGS", "LevenbergMarquardt"])
def test_validation_with_a_line_search(rng, optimizer):
    p = problem(rng, (2, 4, 1), 30, weighted=True, l2=0.01)
    options = {"epochs": 7, "optimizer": call(optimizer), "metrics": ["r2", "mae"], "validation_split": 0.3}
    compare_runs(p, 1e-9, **options)
    stopping = call("EarlyStopping", "val_mae", patience=2, min_delta=0.05)
    compare_runs(p, 1e-9, early_stopping=stopping, **options)


# Metrics ---------------------------------------------------------------------------------------------

OF_NUMBERS = ["mse", "rmse", "mae", "r2", "explained_variance"]
OF_CLASSES = ["accuracy", "precision", "recall", "f1", "auc"]
METRICS = {
    "numbers": {"output": "identity", "loss": "mse", "outputs": 2, "metrics": OF_NUMBERS},
    "one number": {"output": "softplus", "loss": "gamma", "outputs": 1, "metrics": OF_NUMBERS},
    "classes": {
        "output": "softmax",
        "loss": "cross_entropy",
        "outputs": 4,
        "metrics": [*OF_CLASSES, "log_loss", "confusion_matrix", "top_2_accuracy", "mse"],
    },
    "logarithms": {
        "output": "log_softmax",
        "loss": "cross_entropy",
        "outputs": 6,
        "metrics": [*OF_CLASSES, "log_loss", "top_k_accuracy", "confusion_matrix"],
    },
    "smoothed": {
        "output": "softmax",
        "loss": call("losses.CrossEntropy", 0.2),
        "outputs": 3,
        "metrics": ["accuracy", "log_loss", "mse"],
    },
    "yes and no": {
        "output": "sigmoid",
        "loss": "binary_cross_entropy",
        "outputs": 1,
        "metrics": [*OF_CLASSES, "log_loss", "confusion_matrix", "r2"],
    },
    "each output a class": {
        "output": "sigmoid",
        "loss": "binary_cross_entropy",
        "outputs": 3,
        "metrics": [*OF_CLASSES, "log_loss"],
    },
    "signs": {"output": "identity", "loss": "hinge", "outputs": 1, "metrics": [*OF_CLASSES, "confusion_matrix"]},
}


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("case", METRICS.values(), ids=METRICS)
def test_metrics(rng, case, batch_size, dtype):
    output, loss, outputs, names = case.values()
    p = problem(rng, (2, 5, outputs), 40, output=output, loss=loss, dtype=dtype, weighted=True)
    given = with_rows({"validation_data": "weighted"}, rng, p)
    # float32: decisions fall alike unless a prediction is within a rounding of another, which none of these are.
    bound = 1e-9 if dtype == "float64" else 1e-4
    _, history = compare_runs(
        p, bound, epochs=5, optimizer=ADAM, batch_size=batch_size, metrics=names, validation_split=None, **given
    )
    assert list(history.metrics) == [*names, *(f"val_{name}" for name in names)]
    for name in names:
        shape = (5, max(2, outputs), max(2, outputs)) if name == "confusion_matrix" else (5,)
        assert history.metrics[name].shape == shape


def test_metrics_of_training_are_with_dropout(rng):
    def layers(of):
        return [of.Dense(9, "tanh"), of.Dropout(0.4), of.Dense(2)]

    p = problem(rng, (3, 2), 30, layers=layers, weighted=True)
    for batch_size in (None, 7):
        _, history = compare_runs(p, 1e-9, epochs=3, optimizer=ADAM, batch_size=batch_size, metrics=["mse"])
        assert history.metrics["mse"] == pytest.approx(history.loss, rel=1e-12)


# Early stopping --------------------------------------------------------------------------------------

STOPPING = {
    "loss": {"early_stopping": call("EarlyStopping", "loss", patience=2, min_delta=0.01)},
    "of training alone": {"early_stopping": call("EarlyStopping", patience=1, min_delta=0.01)},
    "val_loss": {"early_stopping": call("EarlyStopping", patience=3), "validation_split": 0.3},
    "patience 1": {"early_stopping": call("EarlyStopping", patience=1), "validation_split": 0.3},
    "best not restored": {
        "early_stopping": call("EarlyStopping", patience=2, restore_best=False),
        "validation_split": 0.3,
    },
    "a metric": {
        "early_stopping": call("EarlyStopping", "mae", patience=2, min_delta=0.02),
        "metrics": ["mae"],
    },
    "a metric where greater is better": {
        "early_stopping": call("EarlyStopping", "val_r2", patience=2, min_delta=0.05),
        "metrics": ["r2", "mse"],
        "validation_split": 0.3,
    },
    "never": {"early_stopping": call("EarlyStopping", patience=10**6), "shuffle": False},
}


@pytest.mark.parametrize("batch_size", [None, 6])
@pytest.mark.parametrize("options", STOPPING.values(), ids=STOPPING)
def test_early_stopping(rng, options, batch_size):
    p = problem(rng, (2, 6, 1), 24)
    _, history = compare_runs(p, 1e-9, epochs=60, optimizer=call("Adam", 0.05), batch_size=batch_size, **options)
    assert history.status == ("stopped" if history.epochs < 60 else "finished")
    assert 1 <= history.best_epoch <= history.epochs


# Weights of classes ----------------------------------------------------------------------------------

CLASS_WEIGHTS = {
    "dictionary": {"class_weight": {0: 2.0, 1: 0.5}},
    "of one class": {"class_weight": {1: 3}},
    "balanced": {"class_weight": "balanced"},
    "with validation": {"class_weight": "balanced", "validation_split": 0.3},
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("options", CLASS_WEIGHTS.values(), ids=CLASS_WEIGHTS)
@pytest.mark.parametrize(
    ("output", "loss", "outputs", "labels"),
    [
        ("softmax", "cross_entropy", 3, True),
        ("softmax", "cross_entropy", 3, False),
        ("sigmoid", call("losses.BinaryCrossEntropy", 0.1), 1, True),
        ("sigmoid", "focal", 1, True),
        ("identity", "hinge", 1, True),
        ("identity", "hinge", 1, False),
    ],
    ids=str,
)
def test_class_weight(rng, output, loss, outputs, labels, options, weighted):
    p = problem(rng, (2, 4, outputs), 30, output=output, loss=loss, labels=labels, weighted=weighted)
    if output == "sigmoid":
        p.y[:] = p.y > 0.3  # 0 and 1
    compare_runs(p, 1e-9, epochs=4, optimizer=ADAM, batch_size=8, **options)


def test_split_of_classes_is_the_reference_s(rng):
    for samples in (2, 3, 10, 31):
        for share in (0.01, 0.3, 0.5, 0.99):
            p = problem(rng, (2, 3), samples, output="softmax", loss="cross_entropy")
            compare_runs(p, 1e-9, epochs=1, validation_split=share, seed=samples)


def test_compare_histories_sees_what_is_different(rng):
    p = problem(rng, (2, 3, 1), 12)
    options = {"epochs": 3, "validation_split": 0.5, "metrics": ["r2"], "early_stopping": call("EarlyStopping")}
    found, same = (
        p.net.fit(*p.rows, **{name: made(value, fastnn) for name, value in options.items()}) for _ in range(2)
    )
    expected = p.twin.fit(*p.row_lists, **{name: made(value, reference) for name, value in options.items()})
    compare_histories(same, expected, 1e-9)
    for name in ("loss", "val_loss", "learning_rate", "metrics"):
        values = getattr(found, name)
        values = values["val_r2"] if name == "metrics" else values
        kept = values[1]
        for wrong in (kept * (1 + 1e-6), np.nan):
            values[1] = wrong
            with pytest.raises(AssertionError):
                compare_histories(found, expected, 1e-9)
        values[1] = kept
    compare_histories(found, expected, 1e-9)
