"""Rows by class: class weights, and rows set apart for validation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import checks, compiled
from fastnn.dataset import Rows
from fastnn.loss_kinds import Kind, Loss

Array = npt.NDArray[Any]

SPLIT = 2**61  # the stream of random numbers for the split; those of epochs stay far below


def labels_of(loss: Loss, rows: Rows) -> Array | None:
    """Return the class (n,) of each row, or None if the targets are not classes."""
    given = rows.given
    if loss.kind is Kind.LABELS:
        return np.asarray(given.argmax(axis=1))
    if loss.kind is Kind.YES_OR_NO and given.shape[1] == 1 and np.isin(given, (-1, 0, 1)).all():
        return (given[:, 0] > 0).astype(np.int64)
    if loss.takes_labels(given.shape[1]) and np.isin(given, (0, 1)).all() and (given.sum(axis=1) == 1).all():
        return np.asarray(given.argmax(axis=1))
    return None


def with_class_weights(class_weight: Any, loss: Loss, rows: Rows) -> Rows:
    """Return the rows with their weights multiplied by those of their classes."""
    if class_weight is None:
        return rows
    labels = labels_of(loss, rows)
    if labels is None:
        raise ValueError(
            f"class_weight is {checks.shown(class_weight)}, and targets of loss {loss.name!r} are no classes here"
        )
    weights = _factors(class_weight, labels, rows, max(2, rows.given.shape[1]))[labels]
    if rows.weights is not None:
        with np.errstate(all="ignore"):
            weights = weights * rows.weights
    if not checks.without_subnormal(weights).any():
        raise ValueError(f"class_weight is {checks.shown(class_weight)}, which leaves every row the weight 0")
    name = "class_weight" if rows.weights is None else "class_weight times sample_weight"
    return replace(rows, weights=checks.sample_weights(weights, len(rows), rows.dtype, name))


def _factors(class_weight: Any, labels: Array, rows: Rows, classes: int) -> Array:
    """Return the factor (classes,) of each class; 1 for classes that are given none."""
    factors = np.ones(classes)
    if isinstance(class_weight, str):
        checks.choice(class_weight, "class_weight", ["balanced"])
        sums = np.bincount(labels, rows.weights, classes)
        found = sums > 0
        with np.errstate(all="ignore"):
            factors[found] = sums.sum() / (np.count_nonzero(found) * sums[found])
        return factors
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight is {checks.shown(class_weight)}; a dictionary of labels and weights, or 'balanced', "
            "is needed"
        )
    for label, weight in class_weight.items():
        number = checks.whole_number(label, "a label in class_weight", least=0, most=classes - 1)
        name = f"class_weight[{number}]"
        factors[number] = checks.finite(np.array(checks.real_number(weight, name, least=0.0)), rows.dtype, name)
    return factors


def split(rows: Rows, share: float, loss: Loss, seed: int) -> tuple[Rows, Rows]:
    """Return (training rows, validation rows): those that ``apart`` does not choose, and those that it does."""
    chosen = apart(rows, share, loss, seed)
    parts = rows.chosen(~chosen), rows.chosen(chosen)
    for part, what in zip(parts, ("training", "validation"), strict=True):
        if part.weights is not None and not part.weights.any():
            raise ValueError(
                f"validation_split is {share:g}, which leaves no row for {what} that has a weight above 0"
            )
    return parts


def apart(rows: Rows, share: Any, loss: Loss, seed: int) -> npt.NDArray[np.bool_]:
    """Return a mask (n,) of the rows set apart for validation: the same share of each class.

    The same seed sets the same rows apart.
    """
    share = checks.real_number(share, "validation_split", above=0.0, below=1.0)
    n = len(rows.X)
    if n < 2:
        raise ValueError("validation_split needs at least two rows, and X has one")
    count = min(max(1, math.floor(share * n + 0.5)), n - 1)
    order = permutation(n, seed)
    labels = labels_of(loss, rows)
    chosen = order[:0] if labels is None else _of_each_class(order, labels, count)
    if len(chosen) == 0:
        chosen = order[:count]
    found = np.zeros(n, bool)
    found[chosen] = True
    return found


def _of_each_class(order: Array, labels: Array, count: int) -> Array:
    """Return the first rows of each class: its share of ``count`` rows in all, but never the whole class."""
    n = len(order)
    sizes = np.unique(labels, return_counts=True)[1]
    quotas = count * sizes // n
    missing = count - int(quotas.sum())
    for i in np.argsort(-(count * sizes % n), kind="stable"):  # the classes that lost most by rounding come first
        if missing > 0 and quotas[i] + 1 <= sizes[i] - 1:
            quotas[i] += 1
            missing -= 1
    by_class = np.argsort(labels[order], kind="stable")
    place_in_class = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen: Array = order[by_class[place_in_class < np.repeat(quotas, sizes)]]
    return chosen


def permutation(n: int, seed: int) -> Array:
    """Return the numbers 0 … n - 1, shuffled with this seed."""
    order = np.arange(n, dtype=np.int64)
    arguments = order, seed, SPLIT
    compiled.permute.prepare(order.dtype, *arguments)
    compiled.permute(*arguments)
    return order
