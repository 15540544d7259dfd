"""Metrics: numbers that tell people how good predictions are.

Each takes predictions, targets and weights of n rows. A row of predictions is the output of a network: K numbers,
or a plain number for one output. A target for several outputs is a label from 0 to K - 1 or a row of class shares
(like one-hot rows), that for one output 0 or 1. In metrics of predicted classes, predictions that are ints are
labels. With `multilabel` each output says yes or no to a class of its own, and so does each target of a row.

Every formula is the definition, however long it takes: the area under the curve compares all pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Row = list[float]
Weights = Sequence[float] | None

EPSILON = 2.0**-52  # the least distance of a probability from 0 and 1: that from 1 to the next float


# Rows ------------------------------------------------------------------------------------------------------------


def _is_row(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _weighted(predictions: Any, targets: Any, weights: Weights) -> list[tuple[Any, Any, float]]:
    """(prediction, target, weight) of each row that counts."""
    if weights is None:
        weights = [1.0] * len(predictions)
    return [(p, t, w) for p, t, w in zip(predictions, targets, weights) if w > 0.0]


def _numbers(predictions: Any, targets: Any, weights: Weights) -> list[tuple[Row, Row, float]]:
    """The same, with prediction and target as rows of K numbers."""
    rows = []
    for p, t, w in _weighted(predictions, targets, weights):
        rows.append((list(p) if _is_row(p) else [p], list(t) if _is_row(t) else [t], w))
    return rows


def _shares(predictions: Any, targets: Any, weights: Weights) -> list[tuple[Row, Row, float]]:
    """The same; a label for several outputs becomes a one-hot row."""
    rows = []
    for p, t, w in _weighted(predictions, targets, weights):
        row = list(p) if _is_row(p) else [p]
        if _is_row(t):
            target = list(t)
        elif len(row) == 1:
            target = [t]
        else:
            target = [1.0 if k == t else 0.0 for k in range(len(row))]
        rows.append((row, target, w))
    return rows


def _classes(predictions: Any, targets: Any, weights: Weights, threshold: float) -> list[tuple[int, int, float]]:
    """(predicted class, true class, weight) of each row that counts."""
    rows = []
    for p, t, w in _weighted(predictions, targets, weights):
        if isinstance(p, int):
            predicted = p
        else:
            row = list(p) if _is_row(p) else [p]
            predicted = row.index(max(row)) if len(row) > 1 else int(row[0] > threshold)
        if _is_row(t):
            true = t.index(max(t)) if len(t) > 1 else int(t[0] > 0.5)
        else:
            true = int(t)
        rows.append((predicted, true, w))
    return rows


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    """Σ w·value / Σ w."""
    return math.fsum(w * value for value, w in zip(values, weights)) / math.fsum(weights)


# Classes ---------------------------------------------------------------------------------------------------------


def accuracy(
    predictions: Any,
    targets: Any,
    sample_weight: Weights = None,
    *,
    threshold: float = 0.5,
    multilabel: bool = False,
) -> float:
    """The share of rows whose predicted class is right; with multilabel, the share of right outputs."""
    if multilabel:
        each = _columns(predictions, targets, sample_weight)
        return math.fsum(accuracy(*column, threshold=threshold) for column in each) / len(each)
    rows = _classes(predictions, targets, sample_weight, threshold)
    return _mean([float(predicted == true) for predicted, true, _ in rows], [w for _, _, w in rows])


def top_k_accuracy(predictions: Any, targets: Any, sample_weight: Weights = None, *, k: int = 5) -> float:
    """The share of rows whose true class is among the k greatest outputs; of equal ones the last comes first."""
    hits, weights = [], []
    for row, target, w in _shares(predictions, targets, sample_weight):
        ranking = sorted(range(len(row)), key=lambda c: (row[c], c), reverse=True)
        hits.append(float(target.index(max(target)) in ranking[:k]))
        weights.append(w)
    return _mean(hits, weights)


def precision(
    predictions: Any,
    targets: Any,
    sample_weight: Weights = None,
    *,
    average: str | None = None,
    threshold: float = 0.5,
    multilabel: bool = False,
) -> float:
    """Of the rows predicted as a class, the share that is of it; 0 if there are none."""

    def of_class(hits: float, predicted: float, true: float) -> float:
        return hits / predicted if predicted > 0.0 else 0.0

    return _averaged(of_class, predictions, targets, sample_weight, average, threshold, multilabel)


def recall(
    predictions: Any,
    targets: Any,
    sample_weight: Weights = None,
    *,
    average: str | None = None,
    threshold: float = 0.5,
    multilabel: bool = False,
) -> float:
    """Of the rows of a class, the share that is predicted as it; 0 if there are none."""

    def of_class(hits: float, predicted: float, true: float) -> float:
        return hits / true if true > 0.0 else 0.0

    return _averaged(of_class, predictions, targets, sample_weight, average, threshold, multilabel)


def f1(
    predictions: Any,
    targets: Any,
    sample_weight: Weights = None,
    *,
    average: str | None = None,
    threshold: float = 0.5,
    multilabel: bool = False,
) -> float:
    """The harmonic mean of precision and recall of a class; 0 if one of them is 0."""

    def of_class(hits: float, predicted: float, true: float) -> float:
        if hits == 0.0:
            return 0.0
        return 2.0 / (predicted / hits + true / hits)

    return _averaged(of_class, predictions, targets, sample_weight, average, threshold, multilabel)


def _averaged(
    of_class: Callable[[float, float, float], float],
    predictions: Any,
    targets: Any,
    weights: Weights,
    average: str | None,
    threshold: float,
    multilabel: bool,
) -> float:
    """binary: the value for class 1. macro: the mean over the classes. micro: that of all classes together.

    weighted: the mean weighted by how often a class is true.
    """
    if multilabel:
        # Only the class "yes" of each output's matrix counts.
        matrices = [confusion_matrix(*c, threshold=threshold) for c in _columns(predictions, targets, weights)]
        counts = [(m[1][1], m[0][1] + m[1][1], m[1][0] + m[1][1]) for m in matrices]
    else:
        matrix = confusion_matrix(predictions, targets, weights, threshold=threshold)
        counts = []
        for c in range(len(matrix)):
            counts.append((matrix[c][c], math.fsum(row[c] for row in matrix), math.fsum(matrix[c])))
    if average is None:
        several = multilabel or len(counts) > 2 or (_is_row(predictions[0]) and len(predictions[0]) > 1)
        average = "macro" if several else "binary"
    if average == "binary":
        return of_class(*counts[1])
    if average == "micro":
        hits, predicted, true = (math.fsum(column) for column in zip(*counts))
        return of_class(hits, predicted, true)
    if average == "weighted":
        support = [true for _, _, true in counts]
        return _mean([of_class(*each) for each in counts], support) if any(support) else 0.0
    if not multilabel:
        counts = [each for each in counts if each[1] > 0.0 or each[2] > 0.0]
    return math.fsum(of_class(*each) for each in counts) / len(counts)


def confusion_matrix(
    predictions: Any, targets: Any, sample_weight: Weights = None, *, threshold: float = 0.5
) -> list[Row]:
    """The (C, C) matrix whose [a][b] is the weight of the rows of class a that are predicted as class b."""
    size = 2
    for value in [*predictions, *targets]:
        if _is_row(value):
            size = max(size, len(value))
        elif isinstance(value, int):
            size = max(size, value + 1)
    matrix = [[0.0] * size for _ in range(size)]
    for predicted, true, w in _classes(predictions, targets, sample_weight, threshold):
        matrix[true][predicted] += w
    return matrix


def _columns(predictions: Any, targets: Any, weights: Weights) -> list[tuple[Row, Row, Row]]:
    """Each output on its own: its predictions, targets and weights."""
    rows = _numbers(predictions, targets, weights)
    return [
        ([float(p[k]) for p, _, _ in rows], [t[k] for _, t, _ in rows], [w for _, _, w in rows])
        for k in range(len(rows[0][0]))
    ]


# Scores ----------------------------------------------------------------------------------------------------------


def auc(predictions: Any, targets: Any, sample_weight: Weights = None, *, multilabel: bool = False) -> float:
    """The share of pairs of a row of the class and another in which the first has the greater score; ½ if equal.

    For several classes it is the mean over those that have pairs; NaN if there is no pair at all.
    """
    rows = _shares(predictions, targets, sample_weight)
    outputs = len(rows[0][0])
    areas = []
    for k in range(1 if outputs == 2 and not multilabel else 0, outputs):
        yes: list[tuple[float, float]] = []
        no: list[tuple[float, float]] = []
        for row, target, w in rows:
            if outputs == 1 or multilabel:
                is_one = target[k] > 0.5
            else:
                is_one = target.index(max(target)) == k
            (yes if is_one else no).append((row[k], w))
        if yes and no:
            won = [
                w_yes * w_no * (1.0 if score > other else 0.5 if score == other else 0.0)
                for score, w_yes in yes
                for other, w_no in no
            ]
            pairs = [w_yes * w_no for _, w_yes in yes for _, w_no in no]
            areas.append(math.fsum(won) / math.fsum(pairs))
    return math.fsum(areas) / len(areas) if areas else math.nan


def log_loss(
    predictions: Any,
    targets: Any,
    sample_weight: Weights = None,
    *,
    multilabel: bool = False,
    epsilon: float = EPSILON,
) -> float:
    """-Σ t log p over the classes, p clipped to [epsilon, 1 - epsilon]; multilabel: the mean over the outputs."""
    if multilabel:
        each = _columns(predictions, targets, sample_weight)
        return math.fsum(log_loss(*column, epsilon=epsilon) for column in each) / len(each)
    losses, weights = [], []
    for row, target, w in _shares(predictions, targets, sample_weight):
        if len(row) == 1:
            row, target = [1.0 - row[0], row[0]], [1.0 - target[0], target[0]]
        kept = [min(max(p, epsilon), 1.0 - epsilon) for p in row]
        losses.append(-math.fsum(t * math.log(p) for p, t in zip(kept, target)))
        weights.append(w)
    return _mean(losses, weights)


# Numbers ---------------------------------------------------------------------------------------------------------


def mse(predictions: Any, targets: Any, sample_weight: Weights = None) -> float:
    """The mean over rows and outputs of (p - t)²."""
    return _over_outputs(lambda p, t, w: _mean([(a - b) ** 2 for a, b in zip(p, t)], w))(
        predictions, targets, sample_weight
    )


def rmse(predictions: Any, targets: Any, sample_weight: Weights = None) -> float:
    """The mean over the outputs of the root of the mean of (p - t)²."""
    return _over_outputs(lambda p, t, w: math.sqrt(_mean([(a - b) ** 2 for a, b in zip(p, t)], w)))(
        predictions, targets, sample_weight
    )


def mae(predictions: Any, targets: Any, sample_weight: Weights = None) -> float:
    """The mean over rows and outputs of |p - t|."""
    return _over_outputs(lambda p, t, w: _mean([abs(a - b) for a, b in zip(p, t)], w))(
        predictions, targets, sample_weight
    )


def r2(predictions: Any, targets: Any, sample_weight: Weights = None) -> float:
    """1 - Σ (t - p)² / Σ (t - mean t)², the mean over the outputs; NaN for less than two rows."""

    def of_output(p: Row, t: Row, w: Row) -> float:
        return _determination(_mean([(b - a) ** 2 for a, b in zip(p, t)], w), _variance(t, w))

    if len(_numbers(predictions, targets, sample_weight)) < 2:
        return math.nan
    return _over_outputs(of_output)(predictions, targets, sample_weight)


def explained_variance(predictions: Any, targets: Any, sample_weight: Weights = None) -> float:
    """1 - var(t - p) / var(t), the mean over the outputs."""

    def of_output(p: Row, t: Row, w: Row) -> float:
        return _determination(_variance([b - a for a, b in zip(p, t)], w), _variance(t, w))

    return _over_outputs(of_output)(predictions, targets, sample_weight)


def _over_outputs(of_output: Callable[[Row, Row, Row], float]) -> Callable[[Any, Any, Weights], float]:
    """The mean over the outputs of a function of one output's predictions, targets and weights."""

    def mean(predictions: Any, targets: Any, weights: Weights) -> float:
        each = _columns(predictions, targets, weights)
        return math.fsum(of_output(p, t, w) for p, t, w in each) / len(each)

    return mean


def _variance(values: Row, weights: Row) -> float:
    """The weighted mean of the squares about the mean; exactly 0 where all values are the same."""
    if min(values) == max(values):
        return 0.0
    mean = _mean(values, weights)
    return _mean([(value - mean) ** 2 for value in values], weights)


def _determination(unexplained: float, variance: float) -> float:
    """1 - unexplained / variance; with constant targets 1 if nothing is left unexplained, else 0."""
    if variance == 0.0:
        return 1.0 if unexplained == 0.0 else 0.0
    return 1.0 - unexplained / variance


# Of a network ----------------------------------------------------------------------------------------------------

METRICS: dict[str, Callable[..., Any]] = {
    "accuracy": accuracy,
    "top_k_accuracy": top_k_accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "auc": auc,
    "confusion_matrix": confusion_matrix,
    "log_loss": log_loss,
    "mse": mse,
    "rmse": rmse,
    "mae": mae,
    "r2": r2,
    "explained_variance": explained_variance,
}


def of_network(
    name: str,
    loss: str,
    output: str,
    predictions: Sequence[Row],
    targets: Sequence[Row],
    sample_weight: Weights = None,
) -> Any:
    """A metric by name ("top_3_accuracy" too) as fit reports it, for rows of K outputs and of K targets.

    `loss` and `output` (the activation of the last layer) determine how a row is interpreted.
    """
    options: dict[str, Any] = {}
    outputs = len(predictions[0])
    if name.startswith("top_") and name != "top_k_accuracy":
        options["k"] = int(name.split("_")[1])
        name = "top_k_accuracy"
    if name in ("mse", "rmse", "mae", "r2", "explained_variance"):
        return METRICS[name](predictions, targets, sample_weight)
    counted = [p for p, _, _ in _weighted(predictions, targets, sample_weight)]
    if any(math.isnan(number) for p in counted for number in p):
        # NaN belongs to no class and has no rank.
        size = max(2, outputs)
        return [[math.nan] * size for _ in range(size)] if name == "confusion_matrix" else math.nan
    each = loss in ("binary_cross_entropy", "focal", "hinge") and output not in ("softmax", "log_softmax")
    if each and outputs > 1:
        options["multilabel"] = True
    if loss == "hinge":
        # "Yes" is above 0: a target 1 rather than -1, and a positive prediction.
        targets = [[1.0 if t_k > 0.0 else 0.0 for t_k in t] for t in targets]
        if name in ("accuracy", "precision", "recall", "f1", "confusion_matrix"):
            options["threshold"] = 0.0
    elif (each or outputs == 1) and name != "log_loss":
        targets = [[1.0 if t_k > 0.5 else 0.0 for t_k in t] for t in targets]
    if output == "log_softmax" and name == "log_loss":
        predictions = [[math.exp(p_k) for p_k in p] for p in predictions]
    return METRICS[name](predictions, targets, sample_weight, **options)
