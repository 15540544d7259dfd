"""Metrics: against scikit-learn, against the reference, and where both have nothing to say, by hand."""

from __future__ import annotations

import inspect
import itertools
import math
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import reference
from fastnn import metrics
from fastnn.arrays import read_only
from fastnn.kernels import metrics as kernels
from fastnn.loss_kinds import loss_of
from fastnn.metrics import METRICS, metric_of, metrics_of

N = 60
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}  # scikit-learn computes in float32 where it gets that

CLASSES = [name for name, metric in METRICS.items() if metric.targets == metrics.CLASSES]
NUMBERS = [name for name in METRICS if name not in CLASSES]
SHARES = ["precision", "recall", "f1"]
DECIDED = ["accuracy", *SHARES, "confusion_matrix"]
AVERAGES = ["macro", "micro", "weighted"]


@pytest.fixture(params=["none", "whole", "real", "some 0"])
def weights(request, rng):
    """Weights of N rows."""
    return {
        "none": None,
        "whole": rng.integers(1, 4, size=N),
        "real": rng.uniform(0.1, 3, size=N),
        "some 0": np.where(rng.uniform(size=N) < 0.3, 0.0, rng.uniform(size=N)),
    }[request.param]


def probabilities(rng, outputs, dtype="float64", *, rows=N, ties=False):
    """Predictions (rows, outputs) of several classes, or (rows,) of one."""
    if outputs == 1:
        p = rng.uniform(size=rows)
    elif ties:
        p = rng.multinomial(8, np.full(outputs, 1 / outputs), size=rows) / 8.0
    else:
        p = rng.dirichlet(np.ones(outputs), size=rows)
    return (np.round(p * 8) / 8 if ties else p).astype(dtype)


def labels(rng, outputs, rows=N):
    """Labels (rows,), each of them at least once."""
    y = rng.integers(max(2, outputs), size=rows)
    y[: max(2, outputs)] = np.arange(max(2, outputs))
    return y


def said(p):
    """The labels that predictions say."""
    return (p > 0.5).astype(int) if p.ndim == 1 else p.argmax(axis=1)


def same(found, expected, tolerance=1e-12):
    """Numbers or matrices that agree, NaN with NaN."""
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def twin(name, p, t, w=None, **options):
    """The reference's metric of the same rows."""
    p, t = np.asarray(p), np.asarray(t)
    return getattr(reference.metrics, name)(p.tolist(), t.tolist(), None if w is None else w.tolist(), **options)


# Against scikit-learn ----------------------------------------------------------------------------------


@pytest.fixture
def sklearn():
    """The metrics of scikit-learn."""
    return pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("outputs", [1, 2, 4])
@pytest.mark.parametrize("ties", [False, True])
def test_accuracy_and_matrix(rng, sklearn, weights, dtype, outputs, ties):
    p, y = probabilities(rng, outputs, dtype, ties=ties), labels(rng, outputs)
    tolerance = TOLERANCE[dtype]
    same(metrics.accuracy(p, y, weights), sklearn.accuracy_score(y, said(p), sample_weight=weights), tolerance)
    matrix = metrics.confusion_matrix(p, y, weights)
    same(matrix, sklearn.confusion_matrix(y, said(p), sample_weight=weights), tolerance)
    assert matrix.dtype == (np.int64 if weights is None else np.float64)


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize(
    ("outputs", "average"),
    [*itertools.product([1, 2], ["binary", None, *AVERAGES]), *itertools.product([4], [None, *AVERAGES])],
)
def test_precision_recall_f1(rng, sklearn, weights, dtype, name, average, outputs):
    p, y = probabilities(rng, outputs, dtype), labels(rng, outputs)
    theirs = getattr(sklearn, f"{name}_score")
    chosen = average or ("binary" if outputs == 1 else "macro")
    expected = theirs(y, said(p), average=chosen, sample_weight=weights, zero_division=0)
    same(getattr(metrics, name)(p, y, weights, average=average), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("average", AVERAGES)
def test_classes_that_do_not_occur(rng, sklearn, name, average):
    """Class 2 is never predicted, class 3 never true, and class 4 neither."""
    p, y = probabilities(rng, 5), rng.integers(3, size=N)
    p[:, [2, 4]] = 0
    expected = getattr(sklearn, f"{name}_score")(y, said(p), average=average, zero_division=0)
    same(getattr(metrics, name)(p, y, average=average), expected)
    same(getattr(metrics, name)(said(p), y, average=average), expected)
    same(twin(name, p, y, average=average), expected)


@pytest.mark.parametrize("outputs", [1, 2, 4])
@pytest.mark.parametrize("ties", [False, True])
def test_auc(rng, sklearn, weights, dtype, outputs, ties):
    p, y = probabilities(rng, outputs, dtype, ties=ties), labels(rng, outputs)
    scores = p[:, 1] if outputs == 2 else p
    expected = sklearn.roc_auc_score(y, scores, sample_weight=weights, multi_class="ovr")
    same(metrics.auc(p, y, weights), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("rows", [2, 3, 7, 8, 9, 1000])
def test_auc_of_any_number_of_rows(rng, sklearn, rows):
    p, y = rng.integers(rows, size=rows) / rows, labels(rng, 1, rows)
    same(metrics.auc(p, y), sklearn.roc_auc_score(y, p))
    same(metrics.auc(np.sort(p), y), sklearn.roc_auc_score(y, np.sort(p)))
    same(metrics.auc(-np.sort(p), y), sklearn.roc_auc_score(y, -np.sort(p)))


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("ties", [False, True])
def test_top_k_accuracy(rng, sklearn, weights, dtype, k, ties):
    p, y = probabilities(rng, 4, dtype, ties=ties), labels(rng, 4)
    expected = sklearn.top_k_accuracy_score(y, p, k=k, sample_weight=weights)
    same(metrics.top_k_accuracy(p, y, weights, k=k), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_log_loss(rng, sklearn, weights, dtype, outputs):
    p, y = probabilities(rng, outputs, dtype), labels(rng, outputs)
    p[:5] = np.round(p[:5])  # 0 and 1, right and wrong
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows that do not sum to 1
        expected = sklearn.log_loss(y, p, sample_weight=weights)
    same(metrics.log_loss(p, y, weights), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("offset", [0, 100])
def test_numbers(rng, sklearn, weights, dtype, name, outputs, offset):
    t = (offset + rng.normal(size=(N, outputs))).astype(dtype)
    p = (t + 0.3 * rng.normal(size=(N, outputs)) + 0.1).astype(dtype)
    theirs = {
        "mse": "mean_squared_error",
        "rmse": "root_mean_squared_error",
        "mae": "mean_absolute_error",
        "r2": "r2_score",
        "explained_variance": "explained_variance_score",
    }[name]
    expected = getattr(sklearn, theirs)(t, p, sample_weight=weights)
    # Before the mean is taken away a float32 near 100 has an error of 4e-6.
    same(getattr(metrics, name)(p, t, weights), expected, TOLERANCE[dtype] * (1 + offset))


@pytest.mark.parametrize("name", ["r2", "explained_variance"])
@pytest.mark.parametrize("error", [[0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
def test_constant_targets(sklearn, name, error):
    """And the same beside an output that is as usual."""
    t = np.full(4, 0.5)
    p = t + error
    theirs = getattr(sklearn, {"r2": "r2_score"}.get(name, f"{name}_score"))
    assert getattr(metrics, name)(p, t) == theirs(t, p) == twin(name, p, t)
    t, p = np.column_stack([t, [1, 2, 3, 4]]), np.column_stack([p, [1, 2, 3, 3]])
    same(getattr(metrics, name)(p, t), theirs(t, p))


@pytest.mark.parametrize("name", ["r2", "explained_variance"])
def test_constant_targets_stay_constant_after_rounding(name, dtype):
    t = np.full(10, 0.1, dtype)
    w = np.arange(1, 11) / 7
    assert getattr(metrics, name)(t, t, w) == 1
    assert getattr(metrics, name)(t + np.arange(10, dtype=dtype), t, w) == 0
    assert twin(name, t, t, w) == 1


@pytest.mark.parametrize("average", AVERAGES)
def test_several_labels_a_row(rng, sklearn, weights, average):
    p, y = rng.uniform(size=(N, 4)), rng.integers(2, size=(N, 4))
    y[:, 3] = 0  # without a yes
    chosen = {"average": average, "sample_weight": weights, "zero_division": 0}
    for name in SHARES:
        expected = getattr(sklearn, f"{name}_score")(y, p > 0.5, **chosen)
        same(getattr(metrics, name)(p, y, weights, average=average, multilabel=True), expected)
    same(
        metrics.accuracy(p, y, weights, multilabel=True),
        1 - sklearn.hamming_loss(y, p > 0.5, sample_weight=weights),
    )
    same(
        metrics.auc(p[:, :3], y[:, :3], weights, multilabel=True),
        sklearn.roc_auc_score(y[:, :3], p[:, :3], sample_weight=weights),
    )
    each = [sklearn.log_loss(y[:, k], p[:, k], sample_weight=weights, labels=[0, 1]) for k in range(4)]
    same(metrics.log_loss(p, y, weights, multilabel=True), np.mean(each))


@pytest.mark.parametrize("classes", [2, 5])
def test_labels_as_predictions(rng, sklearn, weights, classes):
    said_, y = rng.integers(classes, size=N), labels(rng, classes)
    same(metrics.accuracy(said_, y, weights), sklearn.accuracy_score(y, said_, sample_weight=weights))
    same(
        metrics.confusion_matrix(said_, y, weights),
        sklearn.confusion_matrix(y, said_, sample_weight=weights),
    )
    for name in SHARES:
        for average in AVERAGES if classes > 2 else ["binary", *AVERAGES]:
            theirs = getattr(sklearn, f"{name}_score")
            expected = theirs(y, said_, average=average, sample_weight=weights, zero_division=0)
            same(getattr(metrics, name)(said_, y, weights, average=average), expected)
            same(twin(name, said_, y, weights, average=average), expected)
        usual = {"average": "binary" if classes == 2 else "macro", "zero_division": 0}
        expected = getattr(sklearn, f"{name}_score")(y, said_, sample_weight=weights, **usual)
        same(getattr(metrics, name)(said_, y, weights), expected)


# Against the reference ---------------------------------------------------------------------------------


def compare_with_the_reference(rng, w=None, **exact):
    """All metrics, with ties, weights, thresholds, and several labels a row."""
    for outputs in (1, 2, 4):
        for ties in (False, True):
            p, y = probabilities(rng, outputs, ties=ties), labels(rng, outputs)
            for name in CLASSES:
                if name == "top_k_accuracy":
                    if outputs > 1:
                        same(metrics.top_k_accuracy(p, y, w, k=2), twin(name, p, y, w, k=2), **exact)
                    continue
                same(getattr(metrics, name)(p, y, w), twin(name, p, y, w), **exact)
                if name in SHARES:
                    for average in AVERAGES:
                        options = {"average": average}
                        same(getattr(metrics, name)(p, y, w, **options), twin(name, p, y, w, **options), **exact)
                if name in DECIDED and outputs == 1:
                    options = {"threshold": 0.25}
                    same(getattr(metrics, name)(p, y, w, **options), twin(name, p, y, w, **options), **exact)
                if name != "confusion_matrix" and outputs > 1:
                    options = {"multilabel": True}
                    t = rng.integers(2, size=p.shape)
                    same(getattr(metrics, name)(p, t, w, **options), twin(name, p, t, w, **options), **exact)
        p, t = rng.normal(size=(2, N, outputs))
        for name in NUMBERS:
            same(getattr(metrics, name)(p, t, w), twin(name, p, t, w), **exact)
            if outputs == 1:
                assert getattr(metrics, name)(p[:, 0], t, w) == getattr(metrics, name)(p, t[:, 0], w)


def test_against_the_reference(rng, weights):
    compare_with_the_reference(rng, weights)


def test_shares_as_targets(rng):
    p, shares = probabilities(rng, 3), probabilities(rng, 3)
    for name in CLASSES:
        options = {"k": 2} if name == "top_k_accuracy" else {}
        found = getattr(metrics, name)(p, shares, **options)
        same(found, twin(name, p, shares, **options))
        if name != "log_loss":
            same(found, getattr(metrics, name)(p, shares.argmax(axis=1), **options))
    soft = rng.uniform(size=N)
    same(metrics.log_loss(p[:, 0], soft), twin("log_loss", p[:, 0], soft))


@pytest.mark.parametrize("name", METRICS)
def test_takes_the_same_as_the_reference(name):
    ours = inspect.signature(getattr(metrics, name)).parameters
    theirs = inspect.signature(getattr(reference.metrics, name)).parameters
    extra = {"epsilon"} if name == "log_loss" else set()  # fastnn has that of the predictions' type
    assert set(ours) == set(theirs) - extra
    assert all(ours[key].default == theirs[key].default for key in ours)


# As fit has them ---------------------------------------------------------------------------------------

LOSSES = {  # loss: activations of the outputs
    "mse": ("identity", "sigmoid"),
    "huber": ("tanh",),
    "binary_cross_entropy": ("sigmoid",),
    "focal": ("sigmoid", "softmax"),
    "hinge": ("identity",),
    "cross_entropy": ("softmax", "sigmoid", "log_softmax"),
    "poisson": ("exponential",),
}


def run_kernel(metric, settings, p, t, w):
    """A metric's kernel as fit calls it."""
    rows, outputs = p.shape
    work = np.full(metric.work_size(rows, outputs) + 1, 7.0)
    out = np.full(metric.out_size(outputs) + 1, 7.0)
    *arrays, settings = (read_only(np.ascontiguousarray(each).reshape(-1)) for each in (p, t, w, settings))
    metrics._call(metric.kernel, *arrays, rows, outputs, settings, work, out)
    assert work[-1] == out[-1] == 7  # nothing is written behind them
    return out[:-1].reshape(metric.shape(outputs))


def rows_for(rng, loss, output, outputs):
    """Predictions and targets that a network with this loss can have."""
    p = probabilities(rng, outputs).reshape(N, outputs)
    several = outputs > 1 and output not in ("softmax", "log_softmax")
    if loss in ("binary_cross_entropy", "focal", "hinge") and several:
        t = rng.integers(2, size=(N, outputs)) * 1.0
    elif outputs == 1:
        t = labels(rng, 1)[:, np.newaxis] * 1.0
    else:
        t = np.eye(outputs)[labels(rng, outputs)]
    if loss == "hinge":
        p, t = 2 * p - 1, 2 * t - 1
    if output == "log_softmax":
        p = np.log(p)
    return p, t


FITS = [
    (loss, output, outputs)
    for loss in LOSSES
    for output in LOSSES[loss]
    for outputs in (1, 2, 4)
    # One output has no softmax, and no share of classes to be.
    if outputs > 1 or not (loss == "cross_entropy" or output == "softmax")
]


@pytest.mark.parametrize(("loss", "output", "outputs"), FITS)
def test_kernels_as_fit_calls_them(rng, dtype, loss, output, outputs):
    p, t = (each.astype(dtype) for each in rows_for(rng, loss, output, outputs))
    w = rng.choice([0, 0.5, 2], size=N).astype(dtype)
    computed = []
    for name in [*METRICS, "top_2_accuracy"]:
        metric = metric_of(name)
        try:
            settings = metric.settings(loss_of(loss), output, outputs, np.dtype(dtype))
        except ValueError:
            continue
        computed.append(name)
        metric.check_targets(t, loss_of(loss))
        expected = reference.metrics.of_network(name, loss, output, p.tolist(), t.tolist(), w.tolist())
        same(run_kernel(metric, settings, p, t, w), expected, 1e-9 if dtype == "float64" else 1e-6)
        # What stands in rows of weight 0 is left out, whatever it is; elsewhere NaN is seen.
        spoilt = np.where(w[:, np.newaxis] > 0, p, np.nan)
        same(run_kernel(metric, settings, spoilt, t, w), run_kernel(metric, settings, p, t, w))
        spoilt[np.flatnonzero(w)[3], outputs - 1] = np.nan
        found = run_kernel(metric, settings, spoilt, t, w)
        assert np.isnan(found).all()
        same(reference.metrics.of_network(name, loss, output, spoilt.tolist(), t.tolist(), w.tolist()), found)
    each = outputs > 1 and loss in ("binary_cross_entropy", "focal", "hinge") and output != "softmax"
    refused = set()
    if loss == "poisson":
        refused = {*CLASSES, "top_2_accuracy"}
    else:
        if outputs < 5:
            refused.add("top_k_accuracy")
        if each or outputs == 1:
            refused.add("top_2_accuracy")
        if each:
            refused.add("confusion_matrix")
        if output in ("identity", "tanh"):
            refused.add("log_loss")
    assert set(computed) == {*METRICS, "top_2_accuracy"} - refused


@pytest.mark.parametrize(
    ("name", "loss", "output", "outputs", "match"),
    [
        ("accuracy", "poisson", "exponential", 1, "'accuracy' needs targets that are classes; .* 'poisson'"),
        ("log_loss", "mse", "identity", 1, "'log_loss' needs outputs that are probabilities.* 'identity'"),
        ("log_loss", "hinge", "sigmoid", 1, "'log_loss' needs targets that are probabilities"),
        ("confusion_matrix", "focal", "sigmoid", 3, "'confusion_matrix' needs one class a row"),
        ("top_2_accuracy", "focal", "sigmoid", 3, "'top_2_accuracy' needs one class a row"),
        ("top_3_accuracy", "cross_entropy", "softmax", 2, "'top_3_accuracy' needs at least 3 outputs .* are 2"),
        ("top_1_accuracy", "mse", "identity", 1, "'top_1_accuracy' needs at least 2 outputs .* is 1"),
    ],
)
def test_what_makes_no_sense_is_refused(name, loss, output, outputs, match):
    with pytest.raises(ValueError, match=match):
        metric_of(name).settings(loss_of(loss), output, outputs, np.dtype("float64"))


def test_targets_that_are_no_classes():
    metric = metric_of("accuracy")
    metric.check_targets(np.array([[0.3, 0.4]]), loss_of("binary_cross_entropy"))
    metric_of("r2").check_targets(np.array([[0.3]]), loss_of("mse"))
    with pytest.raises(ValueError, match=r"y\[1\] is 0\.5; metric 'accuracy' needs .* 'mse' each is 0 or 1"):
        metric.check_targets(np.array([[0], [0.5]]), loss_of("mse"))
    with pytest.raises(ValueError, match=r"y\[1\] is \[1\.0, 1\.0\]; .* a row of 0 with a single 1"):
        metric.check_targets(np.array([[0, 1.0], [1, 1]]), loss_of("mse"))
    with pytest.raises(ValueError, match=r"y\[0\] is \[0\.0, 0\.0\]"):
        metric.check_targets(np.zeros((1, 2)), loss_of("mse"))


# Few rows, one class -----------------------------------------------------------------------------------


def test_one_row():
    assert metrics.accuracy([0.7], [1]) == 1
    assert metrics.precision([0.2], [1]) == 0
    assert metrics.recall([0.2], [0]) == 0
    assert metrics.f1([[0.2, 0.8]], [1], average="macro") == 1
    assert metrics.top_k_accuracy([[0.2, 0.8]], [0], k=1) == 0
    assert metrics.confusion_matrix([[0.2, 0.8, 0]], [0]).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert metrics.log_loss([0.5], [1]) == pytest.approx(math.log(2))
    assert metrics.mse([3.0], [1.0]) == 4
    assert metrics.explained_variance([3.0], [1.0]) == 1
    for nan in (metrics.r2([3.0], [1.0]), metrics.auc([0.3], [1]), twin("r2", [3.0], [1.0])):
        assert math.isnan(nan)
    # Of two rows one that counts.
    assert math.isnan(metrics.r2([3.0, 1.0], [1.0, 2.0], [0, 1]))


@pytest.mark.parametrize("label", [0, 1])
def test_one_class(rng, label):
    p, y = rng.uniform(size=N), np.full(N, label)
    for name in CLASSES:
        if name != "top_k_accuracy":
            same(getattr(metrics, name)(p, y), twin(name, p, y))
    assert math.isnan(metrics.auc(p, y))


def test_auc_is_of_the_classes_that_occur(rng):
    p, y = probabilities(rng, 4), rng.integers(2, size=N)
    each = [metrics.auc(p[:, k], y == k) for k in range(2)]
    same(metrics.auc(p, y), np.mean(each))
    assert math.isnan(metrics.auc(p, np.full(N, 3)))


def test_equals():
    assert metrics.accuracy([0.5], [0]) == 1  # above the threshold is class 1
    assert metrics.accuracy([[0.4, 0.4, 0.2]], [0]) == 1
    assert metrics.top_k_accuracy([[0.4, 0.4, 0.2]], [1], k=1) == 1
    assert metrics.auc([0.5, 0.5], [0, 1]) == 0.5
    assert metrics.accuracy(np.array([0.1], np.float32), [0], threshold=0.1) == 1


def test_weight_2_is_the_row_twice(rng):
    p, y = probabilities(rng, 3), labels(rng, 3)
    w = rng.integers(3, size=N)
    for name in CLASSES:
        options = {"k": 2} if name == "top_k_accuracy" else {}
        metric = getattr(metrics, name)
        same(metric(p, y, w, **options), metric(np.repeat(p, w, axis=0), np.repeat(y, w), **options))


def test_input_is_left_alone(rng):
    p, y, w = probabilities(rng, 3), labels(rng, 3), rng.uniform(size=N)
    copies = p.copy(), y.copy(), w.copy()
    for array in (p, y, w):
        array.flags.writeable = False
    for name in CLASSES:
        getattr(metrics, name)(p, y, w, **({"k": 2} if name == "top_k_accuracy" else {}))
    for array, copy in zip((p, y, w), copies, strict=True):
        assert_array_equal(array, copy)


# Names -------------------------------------------------------------------------------------------------


def test_names():
    assert list(METRICS) == list(reference.metrics.METRICS)
    for name in METRICS:
        assert METRICS[name].name == METRICS[name].kernel == name
        assert callable(getattr(metrics, name))
        assert callable(getattr(kernels, name))
    greater = {name for name, metric in METRICS.items() if metric.greater_is_better}
    assert greater == {*DECIDED, "top_k_accuracy", "auc", "r2", "explained_variance"} - {"confusion_matrix"}
    assert METRICS["confusion_matrix"].greater_is_better is None


def test_metric_of():
    found = metric_of("top_3_accuracy")
    assert (found.name, found.kernel, found.top) == ("top_3_accuracy", "top_k_accuracy", 3)
    assert metric_of("top_k_accuracy").top == 5
    assert [metric.name for metric in metrics_of(["f1", "top_2_accuracy"])] == ["f1", "top_2_accuracy"]
    assert metrics_of("auc") == [METRICS["auc"]]
    assert metrics_of(()) == []
    assert METRICS["confusion_matrix"].shape(1) == (2, 2)
    assert METRICS["confusion_matrix"].shape(3) == (3, 3)
    assert METRICS["auc"].shape(3) == ()


@pytest.mark.parametrize(
    ("names", "error", "match"),
    [
        (
            ["acc"],
            ValueError,
            r"metrics\[0\] is 'acc'; known are accuracy, .*explained_variance, and top_3_accuracy",
        ),
        (["f1", "top_0_accuracy"], ValueError, r"metrics\[1\] is 'top_0_accuracy'; known are"),
        ([3], TypeError, r"metrics\[0\] is 3; one of these names is needed: accuracy"),
        (3, TypeError, "metrics is 3; a list of names of metrics is needed"),
        (["f1", "f1"], ValueError, r"metrics\[1\] is 'f1', which is there already"),
    ],
)
def test_bad_names(names, error, match):
    with pytest.raises(error, match=match):
        metrics_of(names)


# Bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("p", "t", "w", "error", "match"),
    [
        ([[0.5, np.nan]], [[0, 1]], None, ValueError, r"predictions\[0, 1\] is nan"),
        ([[0.5, 0.5]], [[0, np.inf]], None, ValueError, r"targets\[0, 1\] is inf"),
        ([[0.5, 0.5]], [[0, 1, 0]], None, ValueError, r"targets has shape \(1, 3\); \(rows, 2\)"),
        ([[0.5, 0.5]], [[0, 1], [1, 0]], None, ValueError, r"targets has 2 row\(s\)"),
        ([], [], None, ValueError, "predictions has no rows"),
        (0.5, 1, None, ValueError, "predictions has 0 dimension"),
        ("text", [1], None, TypeError, "predictions holds text"),
        ([[0.5, 0.5]], ["a"], None, TypeError, "targets holds text"),
        ([[0.5, 0.5]], [[0, 1]], [-1], ValueError, r"sample_weight\[0\] is -1"),
        ([[0.5, 0.5]], [[0, 1]], [0], ValueError, "sample_weight is 0 for every row"),
        ([[0.5, 0.5]], [[0, 1]], [1, 1], ValueError, r"sample_weight has 2 row\(s\)"),
    ],
)
def test_bad_input(name, p, t, w, error, match):
    options = {"k": 1} if name == "top_k_accuracy" else {}
    with pytest.raises(error, match=match):
        getattr(metrics, name)(p, t, w, **options)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: metrics.accuracy([0.5, 0.5], [1, 2]), ValueError, r"targets\[1\] is 2.*of one output is 0 or 1"),
        (lambda: metrics.accuracy([[0.5, 0.5]], [2]), ValueError, r"targets\[0\] is 2; a label is"),
        (lambda: metrics.accuracy([0, -1], [1, 0]), ValueError, r"predictions\[1\] is -1"),
        (lambda: metrics.accuracy([0, 1], [1, 0.5]), ValueError, r"targets\[1\] is 0.5; a label is"),
        (lambda: metrics.accuracy([[0.5, 0.5]], [[1, 1]]), ValueError, r"targets\[0\] is .*sum to 1"),
        (
            lambda: metrics.accuracy([[0.5, 0.5]], [[1, 0.5]], multilabel=True),
            ValueError,
            r"targets\[0, 1\] is 0\.5; a target of each output is 0 or 1",
        ),
        (lambda: metrics.accuracy([0, 2], [1, 0], multilabel=1), TypeError, "multilabel is 1; True or False"),
        (lambda: metrics.accuracy([0.5], [1], threshold="a"), TypeError, "threshold is 'a'"),
        (lambda: metrics.f1([0.5], [1], average="mean"), ValueError, "average is 'mean'; known are binary, macro"),
        (lambda: metrics.f1([0, 1, 2], [0, 1, 2], average="binary"), ValueError, "average is 'binary'"),
        (
            lambda: metrics.f1([[0.5, 0.5]], [[1, 1]], average="binary", multilabel=True),
            ValueError,
            "average is 'binary'.* one of macro, micro, weighted is needed",
        ),
        (lambda: metrics.top_k_accuracy([0.5], [1]), ValueError, "predictions has one output"),
        (lambda: metrics.top_k_accuracy([[0.5, 0.5]], [1]), ValueError, "k is 5; .* from 1 to 2"),
        (lambda: metrics.top_k_accuracy([[0.5, 0.5]], [1], k=1.0), TypeError, "k is 1.0"),
        (lambda: metrics.log_loss([0.5, 1.5], [1, 0]), ValueError, r"predictions\[1\] is 1\.5; probabilities"),
        (lambda: metrics.log_loss([[0.5, -0.5]], [1]), ValueError, r"predictions\[0, 1\] is -0\.5"),
        (lambda: metrics.log_loss([0.5], [1.5]), ValueError, r"targets\[0\] is 1\.5; .* from 0 to 1"),
        (lambda: metrics.mse([[0.5, 0.5]], [1]), ValueError, r"targets has shape \(1,\); \(rows, 2\)"),
    ],
)
def test_bad_choices(call, error, match):
    with pytest.raises(error, match=match):
        call()


# Planted faults ----------------------------------------------------------------------------------------


def test_without_a_fault_the_comparison_passes(rng):
    compare_with_the_reference(rng, rng.uniform(size=N))


@pytest.mark.parametrize("name", METRICS)
def test_fault_in_the_reference(rng, monkeypatch, name):
    right = getattr(reference.metrics, name)

    def wrong(*arguments, **options):
        return np.asarray(right(*arguments, **options)) * (1 + 1e-10)

    monkeypatch.setattr(reference.metrics, name, wrong)
    with pytest.raises(AssertionError):
        compare_with_the_reference(rng, rng.uniform(size=N))


KERNELS = """
import sys
import numpy as np
from fastnn import metrics
from fastnn.kernels import metrics as kernels
from tests.test_metrics import compare_with_the_reference

def compare():
    rng = np.random.default_rng(5)
    compare_with_the_reference(rng, rng.choice([0, 0.5, 1.5], size=60))

def at_least(right):  # the threshold itself
    def wrong(p, i, outputs, mode, threshold):
        return int(p[i] >= threshold) if mode == kernels.ONE_OUTPUT else right(p, i, outputs, mode, threshold)
    return wrong

def last_of_equals(right):
    def wrong(p, i, outputs, mode, threshold):
        if mode != kernels.GREATEST:
            return right(p, i, outputs, mode, threshold)
        row = p[i * outputs : (i + 1) * outputs]
        return outputs - 1 - int(row[::-1].argmax())
    return wrong

def transposed(right):
    def wrong(predictions, targets, *others):
        right(targets, predictions, *others)
    return wrong

def not_weighted(right):
    def wrong(predictions, targets, weights, *others):
        return right(predictions, targets, np.sign(weights), *others)
    return wrong

def zero_counts(right):
    def wrong(predictions, targets, weights, *others):
        return right(predictions, targets, np.maximum(weights, 1e-6), *others)
    return wrong

def other_alpha(right):
    return lambda hits, predicted, true, alpha: right(hits, predicted, true, 1 - alpha)

def not_sorted(right):
    return lambda pairs, spare, stride, count: pairs

def almost_sorted(right):
    return lambda pairs, spare, stride, count: right(pairs, spare, stride, count - 1)

def not_kept(right):
    return lambda t, p, epsilon: right(t, p, 1e-3)

def about_mean(right):
    return lambda p, t, w, n, outputs, yes, work: right(p, t, w, n, outputs, not yes, work)

WEIGHTED = ["accuracy", "top_k_accuracy", "_count", "confusion_matrix", "auc", "log_loss", "mse", "rmse", "mae",
            "r2", "explained_variance"]
FAULTS = [(at_least, "_class_of"), (last_of_equals, "_class_of"), (transposed, "confusion_matrix"),
          (other_alpha, "_share"), (not_sorted, "_sorted"), (almost_sorted, "_sorted"), (not_kept, "_surprise"),
          (about_mean, "_explained"),
          *((fault, name) for fault in (not_weighted, zero_counts) for name in WEIGHTED)]
compare()
for fault, name in FAULTS:
    right = getattr(kernels, name)
    setattr(kernels, name, fault(right))
    try:
        compare()
    except AssertionError:
        pass
    else:
        sys.exit(f"nothing found the fault {fault.__name__} in {name}")
    setattr(kernels, name, right)
compare()
print(len(FAULTS))
"""


@pytest.mark.slow
def test_faults_in_the_kernels(run_python):
    assert run_python(KERNELS, NUMBA_DISABLE_JIT="1").stdout.split() == ["30"]
