"""Rows by class: weights of classes, and rows set apart for validation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import checks, compiled
from fastnn.dataset import Rows
from fastnn.loss_kinds import Kind, Loss

Array = npt.NDArray[Any]

SPLIT = 2**61  # the stream of random numbers for what is set apart; those of epochs stay far below


def labels_of(loss: Loss, rows: Rows) -> Array | None:
    """(n,) the class of each row, or None where targets are no classes."""
    given = rows.given
    if loss.kind is Kind.LABELS:
        return np.asarray(given.argmax(axis=1))
    if loss.kind is Kind.YES_OR_NO and given.shape[1] == 1 and np.isin(given, (-1, 0, 1)).all():
        return (given[:, 0] > 0).astype(np.int64)
    return None


def with_class_weights(class_weight: Any, loss: Loss, rows: Rows) -> Rows:
    """Rows whose weights are multiplied by those of their classes."""
    if class_weight is None:
        return rows
    labels = labels_of(loss, rows)
    if labels is None:
        raise ValueError(
            f"class_weight is {checks.shown(class_weight)}, and targets of loss {loss.name!r} are no classes here"
        )
    factors = _factors(class_weight, labels, max(2, rows.given.shape[1]))
    weights = np.array([factors.get(label, 1.0) for label in labels.tolist()], rows.dtype)
    if rows.weights is not None:
        weights *= rows.weights
    weights = checks.without_subnormal(weights)
    if not weights.any():
        raise ValueError(f"class_weight is {checks.shown(class_weight)}, which leaves every row the weight 0")
    return Rows(rows.X, rows.y, weights, rows.labels)


def _factors(class_weight: Any, labels: Array, classes: int) -> dict[int, float]:
    """The factor of each class that has one."""
    found, counts = np.unique(labels, return_counts=True)
    if isinstance(class_weight, str):
        checks.choice(class_weight, "class_weight", ["balanced"])
        shares = len(labels) / (len(found) * counts)
        return dict(zip(found.tolist(), shares.tolist(), strict=True))
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight is {checks.shown(class_weight)}; a dictionary of labels and weights, or 'balanced', "
            "is needed"
        )
    factors = {}
    for label, weight in class_weight.items():
        number = checks.whole_number(label, "a label in class_weight", least=0, most=classes - 1)
        factors[number] = checks.real_number(weight, f"class_weight[{number}]", least=0.0)
    return factors


def split(rows: Rows, share: float, loss: Loss, seed: int) -> tuple[Rows, Rows]:
    """(for training, for validation): a share of the rows is set apart, of each class alike.

    The same seed sets the same rows apart. Both parts keep the order of the rows.
    """
    n = len(rows.X)
    if n < 2:
        raise ValueError("validation_split needs at least two rows, and X has one")
    count = min(max(1, math.floor(share * n + 0.5)), n - 1)
    order = permutation(n, seed)
    labels = labels_of(loss, rows)
    chosen = _of_each_class(order, labels, count) if labels is not None else []
    if not chosen:
        chosen = order[:count]
    apart = np.zeros(n, bool)
    apart[chosen] = True
    parts = rows.chosen(~apart), rows.chosen(apart)
    for part, what in zip(parts, ("training", "validation"), strict=True):
        if part.weights is not None and not part.weights.any():
            raise ValueError(
                f"validation_split is {share:g}, which leaves no row for {what} that has a weight above 0"
            )
    return parts


def _of_each_class(order: list[int], labels: Array, count: int) -> list[int]:
    """The first rows of each class, as many as its share of ``count`` is, but never all of a class."""
    n = len(order)
    classes, sizes = (found.tolist() for found in np.unique(labels, return_counts=True))
    quotas = {label: count * size // n for label, size in zip(classes, sizes, strict=True)}
    missing = count - sum(quotas.values())
    for label, size in sorted(
        zip(classes, sizes, strict=True), key=lambda pair: (-(count * pair[1] % n), pair[0])
    ):
        if missing > 0 and quotas[label] + 1 <= size - 1:
            quotas[label] += 1
            missing -= 1
    chosen = []
    for row in order:
        label = int(labels[row])
        if quotas[label] > 0:
            quotas[label] -= 1
            chosen.append(row)
    return chosen


def permutation(n: int, seed: int) -> list[int]:
    """The numbers 0 … n - 1 in the order of this seed."""
    order = np.arange(n, dtype=np.int64)
    arguments = order, seed, SPLIT
    compiled.permute.prepare(order.dtype, *arguments)
    compiled.permute(*arguments)
    found: list[int] = order.tolist()
    return found
