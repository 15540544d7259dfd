"""Metrics: numbers that tell people how good predictions are, each equal to scikit-learn's of that name.

All take ``predictions``, ``targets`` and ``sample_weight``, in the order of ``fastnn.losses``; in scikit-learn the
targets come first. ``fit`` takes metrics by name; "top_3_accuracy" is top_k_accuracy with k = 3.

- ``predictions`` are the outputs of a network, (n, K) for n rows and K outputs, or (n,) for one output. For
  metrics of predicted classes they can also be labels: whole numbers (n,) of an integer type.
- ``targets`` for several outputs are labels (n,) from 0 to K - 1, or rows (n, K) of class shares, like one-hot
  rows; those for one output are 0 and 1. For regression metrics they are numbers of the predictions' shape.
- ``sample_weight`` (n,) makes a row count as often as its weight says; a row of weight 0 is left out.
- One output predicts class 1 where it is above ``threshold``, else class 0. Of several outputs the greatest is the
  predicted class, the first if several are equal. With ``multilabel=True`` each of several outputs says yes or no
  to a class of its own, by the threshold, and targets are rows (n, K) of 0 and 1.

If an argument is invalid, TypeError or ValueError is raised with its name and value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn import checks, compiled, parts
from fastnn.arrays import read_only
from fastnn.kernels import metrics as kernels
from fastnn.loss_kinds import Kind, Loss

# What a metric needs as targets: numbers, or classes.
NUMBERS, CLASSES = "numbers", "classes"

AVERAGES = {
    "binary": kernels.BINARY,
    "macro": kernels.MACRO,
    "micro": kernels.MICRO,
    "weighted": kernels.WEIGHTED,
}

PROBABILITIES = ("sigmoid", "hard_sigmoid", "softmax", "log_softmax")

# Greater whole numbers are taken not to be labels.
MOST_LABELS = 65536


@dataclass(frozen=True)
class Metric:
    """What the rest of the package needs to know about a metric."""

    kernel: str  # the name of its function in fastnn/kernels/metrics.py
    name: str = ""  # the name by which it was asked for
    targets: str = CLASSES
    greater_is_better: bool | None = True  # None: the metric is more than one number
    top: int = 5  # k of top_k_accuracy
    of_labels: bool = False  # whether the predicted classes are all that it needs

    def shape(self, outputs: int) -> tuple[int, ...]:
        """Return the shape of its value for K outputs: () for a number, (C, C), C = max(2, K), for a matrix."""
        return (max(2, outputs),) * 2 if self.greater_is_better is None else ()

    def out_size(self, outputs: int) -> int:
        """Return how many numbers the metric's kernel writes."""
        return kernels.out_size(self.kernel, outputs)

    def work_size(self, rows: int, outputs: int) -> int:
        """Return how many float64 numbers the metric's kernel needs as working memory."""
        return kernels.work_size(self.kernel, rows, outputs)

    def settings(self, loss: Loss, activation: str, outputs: int, dtype: np.dtype[Any]) -> checks.Array:
        """Return the kernel's settings for a network's outputs; ValueError if the metric makes no sense for them.

        ``loss`` is the loss of training, ``activation`` the name of the outputs' activation.
        """
        if self.targets == NUMBERS:
            return _settings()
        asked = f"metric {self.name!r}"
        if loss.kind is Kind.AMOUNTS:
            raise ValueError(f"{asked} needs targets that are classes; those of loss {loss.name!r} are numbers")
        mode = _mode(loss, activation, outputs)
        if self.kernel in ("confusion_matrix", "top_k_accuracy") and mode == kernels.EACH:
            raise ValueError(
                f"{asked} needs one class a row; with loss {loss.name!r} each output is a class of its own"
            )
        if self.kernel == "log_loss" and activation not in PROBABILITIES:
            raise ValueError(
                f"{asked} needs outputs that are probabilities: {', '.join(PROBABILITIES)}; "
                f"the last layer's activation is {activation!r}"
            )
        if self.kernel == "log_loss" and loss.signs:
            raise ValueError(
                f"{asked} needs targets that are probabilities; those of loss {loss.name!r} are -1 and 1"
            )
        if self.kernel == "top_k_accuracy" and (mode != kernels.GREATEST or self.top > outputs):
            raise ValueError(
                f"{asked} needs at least {max(2, self.top)} outputs of which one is right; "
                f"there {'is' if outputs == 1 else 'are'} {outputs}, with loss {loss.name!r}"
            )
        middle = 0.0 if loss.signs else 0.5
        return _settings(
            mode,
            threshold=middle,
            target_threshold=middle,
            classes=max(2, outputs),
            top=self.top,
            epsilon=float(np.finfo(dtype).eps),
            logarithms=activation == "log_softmax",
        )

    def check_targets(self, targets: checks.Array, loss: Loss, name: str = "y") -> None:
        """Raise ValueError if this metric needs classes and the targets (n, K) of a regression loss are not."""
        if self.targets == NUMBERS or loss.of_classes:
            return
        wrong = ((targets != 0) & (targets != 1)).any(axis=1)
        needed = "0 or 1"
        if targets.shape[1] > 1:
            wrong |= targets.sum(axis=1) != 1
            needed = "a row of 0 with a single 1"
        if wrong.any():
            at = int(np.argmax(wrong))
            shown = checks.shown(targets[at].tolist() if targets.shape[1] > 1 else float(targets[at, 0]))
            raise ValueError(
                f"{name}[{at}] is {shown}; metric {self.name!r} needs targets that are classes: "
                f"with loss {loss.name!r} each is {needed}"
            )


def _mode(loss: Loss, activation: str, outputs: int) -> int:
    """Return how classes are read from a row of outputs and from its target."""
    if outputs == 1:
        return kernels.ONE_OUTPUT
    if loss.kind is Kind.YES_OR_NO and activation not in ("softmax", "log_softmax"):
        return kernels.EACH
    return kernels.GREATEST


def _settings(
    mode: int = kernels.GREATEST,
    *,
    threshold: float = 0.5,
    target_threshold: float = 0.5,
    classes: int = 0,
    average: int | None = None,
    top: int = 0,
    epsilon: float = 0.0,
    logarithms: bool = False,
) -> checks.Array:
    """Return settings in the order that the kernels expect."""
    settings = np.zeros(kernels.SETTINGS)
    if average is None:
        average = kernels.BINARY if mode == kernels.ONE_OUTPUT else kernels.MACRO
    settings[kernels.MODE] = mode
    settings[kernels.THRESHOLD] = threshold
    settings[kernels.TARGET_THRESHOLD] = target_threshold
    settings[kernels.CLASSES] = classes
    settings[kernels.AVERAGE] = average
    settings[kernels.TOP] = top
    settings[kernels.EPSILON] = epsilon
    settings[kernels.LOGARITHMS] = logarithms
    return settings


def _table(*metrics: Metric) -> dict[str, Metric]:
    return {metric.kernel: replace(metric, name=metric.kernel) for metric in metrics}


METRICS = _table(
    Metric("accuracy", of_labels=True),
    Metric("top_k_accuracy"),
    Metric("precision", of_labels=True),
    Metric("recall", of_labels=True),
    Metric("f1", of_labels=True),
    Metric("auc"),
    Metric("confusion_matrix", greater_is_better=None, of_labels=True),
    Metric("log_loss", greater_is_better=False),
    Metric("mse", targets=NUMBERS, greater_is_better=False),
    Metric("rmse", targets=NUMBERS, greater_is_better=False),
    Metric("mae", targets=NUMBERS, greater_is_better=False),
    Metric("r2", targets=NUMBERS),
    Metric("explained_variance", targets=NUMBERS),
)


def metric_of(name: Any, argument: str = "metrics") -> Metric:
    """Return the metric of a name, also of one like "top_3_accuracy"; TypeError or ValueError if unknown."""
    found = re.fullmatch(r"top_([1-9][0-9]{0,8})_accuracy", name) if isinstance(name, str) else None
    if found:
        return replace(METRICS["top_k_accuracy"], name=name, top=int(found[1]))
    if isinstance(name, str) and name not in METRICS:
        raise ValueError(
            f"{argument} is {checks.shown(name)}; known are {', '.join(METRICS)}, and top_3_accuracy and the like"
            f"{checks.meant(name, METRICS)}"
        )
    return METRICS[checks.choice(name, argument, METRICS)]


def metrics_of(names: Any, argument: str = "metrics") -> list[Metric]:
    """Return the metrics for one or several names; TypeError or ValueError if one is unknown or given twice."""
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, Iterable) or isinstance(names, (bytes, bytearray)):
        raise TypeError(f"{argument} is {checks.shown(names)}; a list of names of metrics is needed")
    found: list[Metric] = []
    for i, name in enumerate(names):
        metric = metric_of(name, f"{argument}[{i}]")
        if metric in found:
            raise ValueError(f"{argument}[{i}] is {name!r}, which is there already; each metric is named once")
        found.append(metric)
    return found


# Classes -----------------------------------------------------------------------------------------------


def accuracy(
    predictions: Any,
    targets: Any,
    sample_weight: Any = None,
    *,
    threshold: float = 0.5,
    multilabel: bool = False,
) -> float:
    """Accuracy: the share of rows whose predicted class is right; with ``multilabel``, the share of right outputs.

    Parameters
    ----------
    predictions
        (n, K) outputs, (n,) for one output, or labels (n,) of an integer type.
    targets
        Labels (n,), or (n, K) class shares; 0 and 1 for one output, or with ``multilabel``.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.
    threshold
        One output, or with ``multilabel`` each output, says yes above this.
    multilabel
        Whether each output stands for a class of its own.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> accuracy([0.2, 0.7, 0.9], [0, 1, 0], [1, 1, 2])
    0.5
    >>> accuracy([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], [2, 0])
    1.0
    """
    return _number("accuracy", _decided(predictions, targets, sample_weight, threshold, multilabel))


def top_k_accuracy(predictions: Any, targets: Any, sample_weight: Any = None, *, k: int = 5) -> float:
    """Top-k accuracy: the share of rows whose true class is among the k greatest outputs.

    Of equal outputs the last comes first, as in scikit-learn; ``accuracy`` takes the first, like NumPy's argmax.

    Parameters
    ----------
    predictions
        (n, K) outputs, at least k for each row.
    targets
        Labels (n,) from 0 to K - 1, or (n, K) class shares.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.
    k
        How many of the greatest outputs count, a whole number from 1 to K.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> top_k_accuracy([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    case = _scored(predictions, targets, sample_weight)
    if case.mode != kernels.GREATEST:
        raise ValueError("predictions has one output; top_k_accuracy needs rows of several outputs")
    k = checks.whole_number(k, "k", least=1, most=case.classes)
    return _number("top_k_accuracy", case, top=k)


def precision(
    predictions: Any,
    targets: Any,
    sample_weight: Any = None,
    *,
    average: str | None = None,
    threshold: float = 0.5,
    multilabel: bool = False,
) -> float:
    """Precision: of the rows that are predicted to be of a class, the share that is; 0 where there are none.

    Parameters
    ----------
    predictions
        (n, K) outputs, (n,) for one output, or labels (n,) of an integer type.
    targets
        Labels (n,), or (n, K) class shares; 0 and 1 for one output, or with ``multilabel``.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.
    threshold
        One output, or with ``multilabel`` each output, says yes above this.
    multilabel
        Whether each output stands for a class of its own.
    average
        "binary": the precision of class 1, for two classes; "macro": the mean over the classes that are true or
        predicted in any row; "micro": all classes together; "weighted": the mean weighted by how often a class is
        true. None is "binary" for one output and for labels 0 and 1, else "macro".

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> precision([0.2, 0.7, 0.9], [0, 1, 0])
    0.5
    >>> precision([2, 0, 1, 0], [2, 0, 0, 1], average="macro")
    0.5
    """
    return _share("precision", predictions, targets, sample_weight, average, threshold, multilabel)


def recall(
    predictions: Any,
    targets: Any,
    sample_weight: Any = None,
    *,
    average: str | None = None,
    threshold: float = 0.5,
    multilabel: bool = False,
) -> float:
    """Recall: of the rows that are of a class, the share that is predicted to be; 0 where there are none.

    Parameters
    ----------
    predictions
        (n, K) outputs, (n,) for one output, or labels (n,) of an integer type.
    targets
        Labels (n,), or (n, K) class shares; 0 and 1 for one output, or with ``multilabel``.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.
    threshold
        One output, or with ``multilabel`` each output, says yes above this.
    multilabel
        Whether each output stands for a class of its own.
    average
        As for :func:`precision`.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> recall([0.2, 0.7, 0.4, 0.1], [0, 1, 1, 0])
    0.5
    """
    return _share("recall", predictions, targets, sample_weight, average, threshold, multilabel)


def f1(
    predictions: Any,
    targets: Any,
    sample_weight: Any = None,
    *,
    average: str | None = None,
    threshold: float = 0.5,
    multilabel: bool = False,
) -> float:
    """F1 score: 2·precision·recall / (precision + recall), the harmonic mean of both; 0 where both are 0.

    Parameters
    ----------
    predictions
        (n, K) outputs, (n,) for one output, or labels (n,) of an integer type.
    targets
        Labels (n,), or (n, K) class shares; 0 and 1 for one output, or with ``multilabel``.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.
    threshold
        One output, or with ``multilabel`` each output, says yes above this.
    multilabel
        Whether each output stands for a class of its own.
    average
        As for :func:`precision`; means are taken over the F1 scores of the classes.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> f1([0.2, 0.7, 0.9, 0.8], [0, 1, 0, 1])
    0.8
    """
    return _share("f1", predictions, targets, sample_weight, average, threshold, multilabel)


def confusion_matrix(
    predictions: Any, targets: Any, sample_weight: Any = None, *, threshold: float = 0.5
) -> checks.Array:
    """Confusion matrix: how many rows of each true class (down) are predicted to be of each class (across).

    Parameters
    ----------
    predictions
        (n, K) outputs, (n,) for one output, or labels (n,) of an integer type.
    targets
        Labels (n,), or (n, K) class shares; 0 and 1 for one output.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.
    threshold
        One output predicts class 1 above this.

    Returns
    -------
    ndarray
        (C, C): int64, or float64 sums of weights where there are weights. C is 2 for one output, K for K of them,
        and for labels one more than the greatest, but at least 2.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> confusion_matrix([0.2, 0.7, 0.9], [0, 1, 0])
    array([[1, 1],
           [0, 1]])
    """
    case = _decided(predictions, targets, sample_weight, threshold, multilabel=False)
    matrix = _run("confusion_matrix", case).reshape(case.classes, case.classes)
    return matrix if sample_weight is not None else matrix.astype(np.int64)


# Scores ------------------------------------------------------------------------------------------------


def auc(predictions: Any, targets: Any, sample_weight: Any = None, *, multilabel: bool = False) -> float:
    """Area under the ROC curve: how often a row of the class has a greater score than a row of another.

    Equal scores count half. Several classes are each compared with the rest, and the mean is taken over those
    classes that have both rows of their own and rows of others. If no class has both, the result is NaN. Of two
    outputs the second is the score of class 1.

    Parameters
    ----------
    predictions
        (n, K) scores, or (n,) for one output; whole numbers (n,) are scores too, not labels.
    targets
        Labels (n,) from 0 to K - 1, or (n, K) class shares; 0 and 1 for one output, or with ``multilabel``.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.
    multilabel
        Whether each output is the score of a class of its own.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    >>> auc([0.1, 0.4], [1, 1])
    nan
    """
    return _number("auc", _scored(predictions, targets, sample_weight, multilabel))


def log_loss(predictions: Any, targets: Any, sample_weight: Any = None, *, multilabel: bool = False) -> float:
    """Log loss: -Σ t·ln p over the classes, and the mean over the rows; with ``multilabel`` also over the outputs.

    As in scikit-learn, p is clipped to [eps, 1 - eps], with eps the distance from 1 to the next number of the
    predictions' type (2.2e-16 for float64).

    Parameters
    ----------
    predictions
        (n, K) probabilities from 0 to 1, or (n,) for one output; whole numbers (n,) are probabilities, not labels.
    targets
        Labels (n,) from 0 to K - 1, or (n, K) class shares; any numbers from 0 to 1 for one output, or with
        ``multilabel``.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.
    multilabel
        Whether each output is the probability of a class of its own.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> round(log_loss([[0.25, 0.75]], [1]), 6)
    0.287682
    """
    case = _scored(predictions, targets, sample_weight, multilabel, shares=True)
    wrong = (case.predictions < 0) | (case.predictions > 1)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = checks.place(at if case.predictions.shape[1] > 1 else at[:1])
        raise ValueError(f"predictions[{place}] is {case.predictions[at]}; probabilities from 0 to 1 are needed")
    return _number("log_loss", case, epsilon=float(np.finfo(case.predictions.dtype).eps))


# Numbers -----------------------------------------------------------------------------------------------


def mse(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Mean squared error: the mean of (p - t)² over rows and outputs.

    Parameters
    ----------
    predictions, targets
        (n, K) numbers, or (n,) for one output.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> mse([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    return _number("mse", _numbers(predictions, targets, sample_weight))


def rmse(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Root mean squared error: the root of the mean of (p - t)² over the rows, and its mean over the outputs.

    Parameters
    ----------
    predictions, targets
        (n, K) numbers, or (n,) for one output.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> rmse([[1.0, 2.0]], [[1.0, 4.0]])
    1.0
    """
    return _number("rmse", _numbers(predictions, targets, sample_weight))


def mae(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Mean absolute error: the mean of |p - t| over rows and outputs.

    Parameters
    ----------
    predictions, targets
        (n, K) numbers, or (n,) for one output.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    return _number("mae", _numbers(predictions, targets, sample_weight))


def r2(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """R², the coefficient of determination: 1 - Σ (t - p)² / Σ (t - mean t)², and its mean over the outputs.

    An output whose targets are all the same counts 1 if it is right in every row, else 0. For fewer than two rows
    of non-zero weight the result is NaN.

    Parameters
    ----------
    predictions, targets
        (n, K) numbers, or (n,) for one output.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> r2([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    0.5
    """
    return _number("r2", _numbers(predictions, targets, sample_weight))


def explained_variance(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Explained variance: 1 - var(t - p) / var(t), and its mean over the outputs; r2 without constant errors.

    An output whose targets are all the same counts 1 if its errors are all the same, else 0.

    Parameters
    ----------
    predictions, targets
        (n, K) numbers, or (n,) for one output.
    sample_weight
        (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> explained_variance([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    1.0
    """
    return _number("explained_variance", _numbers(predictions, targets, sample_weight))


# Checked arguments -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Case:
    """Checked predictions and targets (n, K) and weights (n,) of one dtype, and how classes are read from them."""

    predictions: checks.Array
    targets: checks.Array
    weights: checks.Array
    mode: int = kernels.GREATEST
    classes: int = 0
    threshold: float = 0.5


def _case(p: checks.Array, t: checks.Array, sample_weight: Any, **how: Any) -> _Case:
    weights = checks.sample_weights(sample_weight, len(p), p.dtype)
    return _Case(p, t, np.ones(len(p), p.dtype) if weights is None else weights, **how)


def _rows(predictions: Any, *others: Any) -> checks.Array:
    """Return predictions as (n, K), in float32 if they and all the others are, else in float64."""
    array = checks.numbers_of(predictions, "predictions")
    single = all(np.asarray(each).dtype == np.float32 for each in (array, *others))
    return checks.matrix(
        array.reshape(-1, 1) if array.ndim == 1 else array,
        "predictions",
        checks.DTYPES["float32" if single else "float64"],
    )


def _numbers(predictions: Any, targets: Any, sample_weight: Any) -> _Case:
    """Check the arguments of a regression metric."""
    t = checks.numbers_of(targets, "targets")
    p = _rows(predictions, t)
    rows, outputs = p.shape
    return _case(p, checks.targets(t, rows, outputs, p.dtype, "targets"), sample_weight)


def _scored(
    predictions: Any, targets: Any, sample_weight: Any, multilabel: bool = False, *, shares: bool = False
) -> _Case:
    """Check the arguments of a metric of scores; with ``shares`` yes-or-no targets may lie between 0 and 1."""
    p = _rows(predictions)
    rows, outputs = p.shape
    each = checks.truth(multilabel, "multilabel")
    if outputs > 1 and not each:
        t = checks.class_targets(targets, rows, outputs, p.dtype, "targets")
        return _case(p, t, sample_weight, mode=kernels.GREATEST, classes=outputs)
    t = checks.targets(targets, rows, outputs, p.dtype, "targets")
    wrong = (t < 0) | (t > 1) if shares else (t != 0) & (t != 1)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        of = "each output" if outputs > 1 else "one output"
        needed = "from 0 to 1" if shares else "0 or 1"
        raise ValueError(
            f"targets[{checks.place(at if outputs > 1 else at[:1])}] is {t[at]}; a target of {of} is {needed}"
        )
    mode = kernels.EACH if outputs > 1 else kernels.ONE_OUTPUT
    return _case(p, t, sample_weight, mode=mode, classes=max(2, outputs))


def _decided(predictions: Any, targets: Any, sample_weight: Any, threshold: Any, multilabel: Any) -> _Case:
    """Check the arguments of a metric of predicted classes."""
    threshold = checks.real_number(threshold, "threshold")
    array = checks.numbers_of(predictions, "predictions")
    flat = array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array
    if checks.truth(multilabel, "multilabel") or flat.ndim != 1 or flat.dtype.kind == "f":
        case = _scored(array, targets, sample_weight, multilabel)
        return replace(case, threshold=float(case.predictions.dtype.type(threshold)))  # 0.1 is not above 0.1
    said = checks.labels(_rows(flat)[:, 0], MOST_LABELS, "predictions")
    true, classes = _labels(targets, len(said))
    classes = max(2, classes, int(said.max()) + 1)
    p, t = (each.astype(np.float64).reshape(-1, 1) for each in (said, true))
    return _case(p, t, sample_weight, mode=kernels.LABELS, classes=classes, threshold=threshold)


def _labels(targets: Any, rows: int) -> tuple[checks.Array, int]:
    """Return labels (n,) for targets that are labels or rows of class shares, and the number of classes."""
    array = checks.numbers_of(targets, "targets")
    if array.ndim == 2 and array.shape[1] > 1:
        shares = checks.class_targets(array, rows, array.shape[1], checks.DTYPES["float64"], "targets")
        if not np.isin(shares, (0, 1)).all():
            raise ValueError(
                "predictions are labels, and targets shares of classes; predictions come first, and then targets"
            )
        return shares.argmax(axis=1), array.shape[1]
    column = checks.targets(array, rows, 1, checks.DTYPES["float64"], "targets")
    found = checks.labels(column[:, 0], MOST_LABELS, "targets")
    return found, int(found.max()) + 1


def _share(
    name: str,
    predictions: Any,
    targets: Any,
    sample_weight: Any,
    average: Any,
    threshold: Any,
    multilabel: Any,
) -> float:
    """Return precision, recall or f1."""
    case = _decided(predictions, targets, sample_weight, threshold, multilabel)
    two_labels = case.mode == kernels.ONE_OUTPUT or (case.mode == kernels.LABELS and case.classes == 2)
    if average is None:
        average = "binary" if two_labels else "macro"
    checks.choice(average, "average", AVERAGES)
    if average == "binary" and (case.classes > 2 or case.mode == kernels.EACH):
        others = ", ".join(name for name in AVERAGES if name != "binary")
        raise ValueError(f"average is 'binary', which is for two classes; here one of {others} is needed")
    return _number(name, case, average=AVERAGES[average])


# Running the kernels -----------------------------------------------------------------------------------


def _number(name: str, case: _Case, **settings: Any) -> float:
    return float(_run(name, case, **settings)[0])


def _run(name: str, case: _Case, **settings: Any) -> checks.Array:
    """Return what a metric's kernel computes for a case."""
    rows, outputs = case.predictions.shape
    size = max(outputs, case.classes)
    numbers = _settings(case.mode, threshold=case.threshold, classes=case.classes, **settings)
    out = np.zeros(kernels.out_size(name, size))
    work = np.zeros(max(1, kernels.work_size(name, rows, size)))
    predictions, targets, weights = (each.reshape(-1) for each in (case.predictions, case.targets, case.weights))
    _call(name, predictions, targets, weights, rows, outputs, numbers, work, out)
    return out


def _call(
    name: str,
    predictions: checks.Array,
    targets: checks.Array,
    weights: checks.Array,
    rows: int,
    outputs: int,
    settings: checks.Array,
    work: checks.Array,
    out: checks.Array,
) -> None:
    """Compute a metric of flat arrays into ``out``; ``work`` is overwritten."""
    dtype = predictions.dtype
    address = parts.address_of(parts.metric, getattr(kernels, name), dtype)
    given = (read_only(each) for each in (predictions, targets, weights))
    arguments = address, *given, rows, outputs, read_only(settings), work, out
    compiled.measure.prepare(dtype, *arguments)
    compiled.measure(*arguments)
