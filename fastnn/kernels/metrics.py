"""Metrics: measures of predictions against targets, computed in scalar loops.

Each is ``<name>(predictions, targets, weights, n, outputs, settings, work, out)``. n rows, K outputs, C classes:
predictions and targets (n, K) row by row, weights (n); settings, work and out are float64, and all sums are.
``settings`` has one layout for all of them (MODE … LOGARITHMS); ``work`` has ``work_size`` numbers and ``out``
``out_size``, and both are overwritten. A row of weight 0 is left out, whatever it contains. A prediction that is
NaN makes the metric NaN, since it has no class and no rank.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.simd import offset

# The positions of the settings: how a row is read (a mode); the thresholds of predictions and of targets above
# which an output means yes; C; how classes are averaged; k of top_k_accuracy; how far a probability is kept from 0
# and 1; whether predictions are logarithms of probabilities.
MODE, THRESHOLD, TARGET_THRESHOLD, CLASSES, AVERAGE, TOP, EPSILON, LOGARITHMS = range(8)
SETTINGS = 8

# Modes: the only output means class 1 or class 0 (C = 2); the class is that of the greatest output, the first of
# equals (C = K); each output means yes or no for its own class (C = K); predictions and targets are labels from 0
# to C - 1 (K = 1).
ONE_OUTPUT, GREATEST, EACH, LABELS = range(4)

# Averages: class 1 alone; the mean over the classes; all decisions together; the mean weighted by how often a
# class is true.
BINARY, MACRO, MICRO, WEIGHTED = range(4)


def work_size(name: str, n: int, classes: int) -> int:
    """Return how many numbers of ``work`` a metric needs; ``classes`` is K, or C if that is more."""
    if name == "auc":
        return 4 * n
    if name in ("precision", "recall", "f1"):
        return 3 * max(2, classes)
    return {"rmse": 1, "r2": 6, "explained_variance": 6}.get(name, 0) * classes


def out_size(name: str, classes: int) -> int:
    """Return how many numbers a metric has."""
    return max(2, classes) ** 2 if name == "confusion_matrix" else 1


# Shared by all -----------------------------------------------------------------------------------------


@inlined
def _number(p: Any, i: int) -> float:
    """p[i] as float64, whatever the run's dtype is."""
    return np.float64(p[i])


@inlined
def _over(a: float, b: float) -> float:
    """a / b, or NaN if b is 0: no row counts."""
    if b > 0.0:
        return a / b
    return math.nan


@kernel
def _class_of(p: Any, i: int, outputs: int, mode: float, threshold: float) -> int:
    """Return the class of row i of predictions or targets; -1 if the row has a NaN."""
    if mode == LABELS:
        return int(p[i])
    if mode == ONE_OUTPUT:
        number = _number(p, i)
        if number != number:
            return -1
        return 1 if number > threshold else 0
    first = i * outputs
    greatest = p[first]
    if greatest != greatest:
        return -1
    best = 0
    for k in range(1, outputs):
        number = p[first + k]
        if not number <= greatest:
            if number != number:
                return -1
            greatest = number
            best = k
    return best


# Classes -----------------------------------------------------------------------------------------------


@kernel
def accuracy(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """Σ w·[class is right] / Σ w; in mode EACH, the share of right outputs."""
    mode = settings[MODE]
    threshold, target_threshold = settings[THRESHOLD], settings[TARGET_THRESHOLD]
    right, total = 0.0, 0.0
    for i in range(n):
        weight = _number(weights, i)
        if weight > 0.0:
            total += weight
            if mode == EACH:
                agreeing = 0
                for at in range(i * outputs, (i + 1) * outputs):
                    p, t = _number(predictions, at), _number(targets, at)
                    if p != p:
                        out[0] = math.nan
                        return
                    if (p > threshold) == (t > target_threshold):
                        agreeing += 1
                right += weight * (agreeing / outputs)
            else:
                said = _class_of(predictions, i, outputs, mode, threshold)
                if said < 0:
                    out[0] = math.nan
                    return
                if said == _class_of(targets, i, outputs, mode, target_threshold):
                    right += weight
    out[0] = _over(right, total)


@kernel
def top_k_accuracy(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """Σ w·[the true class is among the k greatest outputs] / Σ w; of equal outputs the last comes first."""
    right, total = 0.0, 0.0
    for i in range(n):
        weight = _number(weights, i)
        if weight > 0.0:
            total += weight
            first = i * outputs
            truth = _class_of(targets, i, outputs, GREATEST, 0.0)
            score = predictions[first + truth]
            before = 0
            for k in range(outputs):
                p = predictions[first + k]
                if p != p:
                    out[0] = math.nan
                    return
                if p > score or (p == score and k > truth):
                    before += 1
            if before < settings[TOP]:
                right += weight
    out[0] = _over(right, total)


@kernel
def _count(predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any) -> bool:
    """Overwrite work with the weights (C) of hits, predicted and true classes; return False if there is a NaN."""
    mode = settings[MODE]
    threshold, target_threshold = settings[THRESHOLD], settings[TARGET_THRESHOLD]
    C = int(settings[CLASSES])
    for c in range(3 * C):
        work[c] = 0.0
    for i in range(n):
        weight = _number(weights, i)
        if weight > 0.0:
            if mode == EACH:
                for k in range(outputs):
                    p, t = _number(predictions, i * outputs + k), _number(targets, i * outputs + k)
                    if p != p:
                        return False
                    if p > threshold:
                        work[C + k] += weight
                        if t > target_threshold:
                            work[k] += weight
                    if t > target_threshold:
                        work[2 * C + k] += weight
            else:
                said = _class_of(predictions, i, outputs, mode, threshold)
                if said < 0:
                    return False
                truth = _class_of(targets, i, outputs, mode, target_threshold)
                work[C + said] += weight
                work[2 * C + truth] += weight
                if said == truth:
                    work[said] += weight
    return True


@kernel
def _share(hits: float, predicted: float, true: float, alpha: float) -> float:
    """Hits / (alpha·predicted + (1-alpha)·true), and 0 for 0/0.

    alpha = 1 is precision, 0 recall, ½ f1 (C. J. van Rijsbergen, Information Retrieval, 1979, chapter 7).
    """
    return hits / (alpha * predicted + (1.0 - alpha) * true) if hits > 0.0 else 0.0


@kernel
def _average_share(settings: Any, work: Any, alpha: float) -> float:
    """``_share`` of the counts that ``_count`` left in work, averaged over the classes."""
    C = int(settings[CLASSES])
    average = settings[AVERAGE]
    if average == BINARY:
        return _share(work[1], work[C + 1], work[2 * C + 1], alpha)  # C is 2
    hits, predicted, true = 0.0, 0.0, 0.0
    sum_, total = 0.0, 0.0
    for c in range(C):
        hits += work[c]
        predicted += work[C + c]
        true += work[2 * C + c]
        weight = 0.0
        if average == WEIGHTED:
            weight = work[2 * C + c]
        elif settings[MODE] == EACH or work[C + c] + work[2 * C + c] > 0.0:
            weight = 1.0  # a class that is neither predicted nor true is left out, but an output never is
        sum_ += weight * _share(work[c], work[C + c], work[2 * C + c], alpha)
        total += weight
    if average == MICRO:
        return _share(hits, predicted, true, alpha)
    return sum_ / total if total > 0.0 else 0.0


@kernel
def precision(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """The share of rows predicted as a class that are of it."""
    numbers = _count(predictions, targets, weights, n, outputs, settings, work)
    out[0] = _average_share(settings, work, 1.0) if numbers else math.nan


@kernel
def recall(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """The share of rows of a class that are predicted as it."""
    numbers = _count(predictions, targets, weights, n, outputs, settings, work)
    out[0] = _average_share(settings, work, 0.0) if numbers else math.nan


@kernel
def f1(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """2·precision·recall / (precision + recall) of each class."""
    numbers = _count(predictions, targets, weights, n, outputs, settings, work)
    out[0] = _average_share(settings, work, 0.5) if numbers else math.nan


@kernel
def confusion_matrix(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """Σ w over the rows of true class a that are predicted as class b, at out[a·C + b]."""
    mode = settings[MODE]
    C = int(settings[CLASSES])
    for at in range(C * C):
        out[at] = 0.0
    for i in range(n):
        weight = _number(weights, i)
        if weight > 0.0:
            said = _class_of(predictions, i, outputs, mode, settings[THRESHOLD])
            if said < 0:
                for at in range(C * C):
                    out[at] = math.nan
                return
            truth = _class_of(targets, i, outputs, mode, settings[TARGET_THRESHOLD])
            out[truth * C + said] += weight


# Scores ------------------------------------------------------------------------------------------------


@kernel
def _sorted(pairs: Any, spare: Any, stride: int, count: int) -> Any:
    """Sort keys (count) and, ``stride`` numbers on, their values, by stable merging; return where they are."""
    source, goal = pairs, spare
    run = 1
    while run < count:
        for first in range(0, count, 2 * run):
            middle, last = min(first + run, count), min(first + 2 * run, count)
            left, right = first, middle
            for at in range(first, last):
                if left < middle and (right >= last or source[left] <= source[right]):
                    goal[at] = source[left]
                    goal[stride + at] = source[stride + left]
                    left += 1
                else:
                    goal[at] = source[right]
                    goal[stride + at] = source[stride + right]
                    right += 1
        kept = source
        source = goal
        goal = kept
        run = 2 * run
    return source


@kernel
def _area(pairs: Any, stride: int, count: int) -> float:
    """Σ over pairs of a yes and a no of [score of yes > score of no] + ½ [equal], as a share of all pairs.

    pairs are sorted scores and, ``stride`` numbers on, weights, which are negative for a no. NaN without a pair.
    """
    area, yes, no = 0.0, 0.0, 0.0
    at = 0
    while at < count:
        score = pairs[at]
        yes_here, no_here = 0.0, 0.0
        while at < count and pairs[at] == score:
            weight = pairs[stride + at]
            if weight > 0.0:
                yes_here += weight
            else:
                no_here -= weight
            at += 1
        area += yes_here * (no + 0.5 * no_here)
        yes += yes_here
        no += no_here
    return _over(_over(area, yes), no)


@kernel
def auc(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """The area under the ROC curve, each class against the rest; the mean over the classes that have both."""
    mode = settings[MODE]
    spare = offset(work, 2 * n)
    sum_, classes = 0.0, 0
    # Of two classes, the second is enough, and is not rounded where the first is nearly 1.
    for k in range(1 if mode == GREATEST and outputs == 2 else 0, outputs):
        count = 0
        for i in range(n):
            weight = _number(weights, i)
            if weight > 0.0:
                score = _number(predictions, i * outputs + k)
                if score != score:
                    out[0] = math.nan
                    return
                if mode == GREATEST:
                    yes = _class_of(targets, i, outputs, mode, 0.0) == k
                else:
                    yes = _number(targets, i * outputs + k) > settings[TARGET_THRESHOLD]
                work[count] = score
                work[n + count] = weight if yes else -weight
                count += 1
        area = _area(_sorted(work, spare, n, count), n, count)
        if area == area:
            sum_ += area
            classes += 1
    out[0] = _over(sum_, classes)


@inlined
def _surprise(t: float, p: float, epsilon: float) -> float:
    """-t·ln p, with p kept in [epsilon, 1 - epsilon]; no logarithm where t is 0."""
    if t == 0.0:
        return 0.0
    return -t * math.log(min(max(p, epsilon), 1.0 - epsilon))


@kernel
def log_loss(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """Σ w·l / Σ w with l = -Σ t·ln p over the classes; in mode EACH over yes and no, and the mean over outputs."""
    epsilon = settings[EPSILON]
    sum_, total = 0.0, 0.0
    for i in range(n):
        weight = _number(weights, i)
        if weight > 0.0:
            total += weight
            of_row = 0.0
            for at in range(i * outputs, (i + 1) * outputs):
                p, t = _number(predictions, at), _number(targets, at)
                if p != p:
                    out[0] = math.nan
                    return
                if settings[LOGARITHMS] != 0.0:
                    p = math.exp(p)
                of_row += _surprise(t, p, epsilon)
                if settings[MODE] != GREATEST:
                    of_row += _surprise(1.0 - t, 1.0 - p, epsilon)
            sum_ += weight * (of_row if settings[MODE] == GREATEST else of_row / outputs)
    out[0] = _over(sum_, total)


# Numbers -----------------------------------------------------------------------------------------------


@kernel
def mse(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """Σ w·(p - t)² / Σ w, and its mean over the outputs."""
    sum_, total = 0.0, 0.0
    for i in range(n):
        weight = _number(weights, i)
        if weight > 0.0:
            total += weight
            for at in range(i * outputs, (i + 1) * outputs):
                e = _number(predictions, at) - _number(targets, at)
                sum_ += weight * e * e
    out[0] = _over(sum_, total * outputs)


@kernel
def rmse(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """The root of the mse of each output, and their mean; work (K)."""
    total = 0.0
    for k in range(outputs):
        work[k] = 0.0
    for i in range(n):
        weight = _number(weights, i)
        if weight > 0.0:
            total += weight
            for k in range(outputs):
                e = _number(predictions, i * outputs + k) - _number(targets, i * outputs + k)
                work[k] += weight * e * e
    sum_ = 0.0
    for k in range(outputs):
        sum_ += math.sqrt(_over(work[k], total))
    out[0] = sum_ / outputs


@kernel
def mae(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """Σ w·|p - t| / Σ w, and its mean over the outputs."""
    sum_, total = 0.0, 0.0
    for i in range(n):
        weight = _number(weights, i)
        if weight > 0.0:
            total += weight
            for at in range(i * outputs, (i + 1) * outputs):
                sum_ += weight * abs(_number(predictions, at) - _number(targets, at))
    out[0] = _over(sum_, total * outputs)


@kernel
def _explained(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, about_mean: bool, work: Any
) -> float:
    """1 - Σ w·e² / Σ w·(t - mean t)² of each output, and their mean; e = t - p, or that about its own mean.

    If all targets are the same, it is 1 if all e are 0, and else 0. work (6 K): the first target and its error,
    the means of both relative to these, and the two sums. The means are relative since a rounded mean of equal
    numbers need not be that number, but a mean of zeros is 0.
    """
    t_first, e_first = work, offset(work, outputs)
    t_mean, e_mean = offset(work, 2 * outputs), offset(work, 3 * outputs)
    left, whole = offset(work, 4 * outputs), offset(work, 5 * outputs)
    for k in range(6 * outputs):
        work[k] = 0.0
    total = 0.0
    for i in range(n):
        weight = _number(weights, i)
        if weight > 0.0:
            for k in range(outputs):
                t = _number(targets, i * outputs + k)
                e = t - _number(predictions, i * outputs + k)
                if total == 0.0:
                    t_first[k] = t
                    e_first[k] = e
                t_mean[k] += weight * (t - t_first[k])
                e_mean[k] += weight * (e - e_first[k])
            total += weight
    for k in range(outputs):
        t_mean[k] = _over(t_mean[k], total)
        e_mean[k] = _over(e_mean[k], total)
    for i in range(n):
        weight = _number(weights, i)
        if weight > 0.0:
            for k in range(outputs):
                t = _number(targets, i * outputs + k)
                e = t - _number(predictions, i * outputs + k)
                if about_mean:
                    e = (e - e_first[k]) - e_mean[k]
                t = (t - t_first[k]) - t_mean[k]
                left[k] += weight * e * e
                whole[k] += weight * t * t
    sum_ = 0.0
    for k in range(outputs):
        if whole[k] > 0.0:
            sum_ += 1.0 - left[k] / whole[k]
        elif left[k] != left[k]:
            sum_ = math.nan
        elif left[k] == 0.0:
            sum_ += 1.0
    return sum_ / outputs if total > 0.0 else math.nan


@kernel
def r2(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """The coefficient of determination; NaN for less than two rows. work (6 K)."""
    rows = 0
    for i in range(n):
        if weights[i] > 0.0:
            rows += 1
    out[0] = _explained(predictions, targets, weights, n, outputs, False, work) if rows > 1 else math.nan


@kernel
def explained_variance(
    predictions: Any, targets: Any, weights: Any, n: int, outputs: int, settings: Any, work: Any, out: Any
) -> None:
    """The share of the targets' variance that is not in the errors' variance. work (6 K)."""
    out[0] = _explained(predictions, targets, weights, n, outputs, True, work)
