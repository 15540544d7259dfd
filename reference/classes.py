"""Classes of samples: class weights, and a stratified split into training and validation samples."""

from __future__ import annotations

import math
from typing import Any

from .losses import Loss, name_and_settings
from .random import permutation

Samples = list[tuple[list[float], list[float], float]]  # row (I,), target (K,), weight

# The stream of random numbers that chooses the validation part: no epoch, and no dropout, gets there.
SPLIT_STREAM = 2**61


def labels_of(samples: Samples, loss: str | Loss) -> list[int] | None:
    """The class of each sample; None if the targets are not classes.

    With cross_entropy it is the position of the largest share, and with focal, of several outputs, that of
    the only 1 among zeros. Of one output, with a loss of yes and no, it is the target, which must be 0 or
    1; for hinge -1 and 1 are classes 0 and 1.
    """
    name, _ = name_and_settings(loss)
    targets = [target for _, target, _ in samples]
    if name == "cross_entropy":
        return [target.index(max(target)) for target in targets]
    if name in ("binary_cross_entropy", "focal", "hinge") and len(targets[0]) == 1:
        values = [target[0] for target in targets]
        if set(values) <= {0.0, 1.0} or (name == "hinge" and set(values) <= {-1.0, 1.0}):
            return [1 if value == 1.0 else 0 for value in values]
    if name == "focal" and all(sorted(target) == [0.0] * (len(target) - 1) + [1.0] for target in targets):
        return [target.index(1.0) for target in targets]
    return None


def weigh_classes(samples: Samples, loss: str | Loss, class_weight: dict[int, float] | str) -> Samples:
    """The samples with their weights multiplied by those of their classes.

    class_weight: label -> weight, 1 for labels that are not named; or "balanced": W / (C W_c), where the
    samples of class c have weights that sum to W_c and all of them W, for each of the C classes whose sum is
    not 0. So all classes count the same.
    """
    labels = labels_of(samples, loss)
    if labels is None:
        raise ValueError(
            "class_weight needs classes: labels with cross_entropy, or targets 0 and 1 of one output "
            "with binary_cross_entropy, focal or hinge"
        )
    if class_weight == "balanced":
        sums = dict.fromkeys(count(labels), 0.0)
        for (_, _, weight), label in zip(samples, labels):
            sums[label] += weight
        sums = {c: w for c, w in sums.items() if w > 0.0}
        total = 0.0
        for w in sums.values():
            total += w
        weights: dict[Any, float] = {c: total / (len(sums) * w) for c, w in sums.items()}
    elif isinstance(class_weight, dict):
        classes = max(2, len(samples[0][1]))
        for label, weight in class_weight.items():
            if label not in range(classes):
                raise ValueError(f"class_weight has the label {label}; labels are 0 to {classes - 1}")
            if not 0.0 <= weight < math.inf:
                raise ValueError(f"class_weight[{label}] is {weight}; it must be at least 0 and finite")
        weights = class_weight
    else:
        raise ValueError(f"class_weight is {class_weight!r}; a dict or 'balanced' is needed")
    weighed = []
    for (row, target, weight), label in zip(samples, labels):
        weighed.append((row, target, weight * weights.get(label, 1.0)))
    return weighed


def split(samples: Samples, loss: str | Loss, share: float, seed: int) -> tuple[Samples, Samples]:
    """Samples for training and for validation, both in their original order.

    About `share` of all rows, and of the rows of each class, are for validation: the first ones in a
    random order.
    """
    n = len(samples)
    if not 0.0 < share < 1.0:
        raise ValueError(f"validation_split is {share}; it must be above 0 and below 1")
    if n < 2:
        raise ValueError(f"X has {n} row; validation_split needs at least 2")
    order = permutation(n, seed, SPLIT_STREAM)
    m = min(max(1, math.floor(share * n + 0.5)), n - 1)
    labels = labels_of(samples, loss)
    chosen: set[int] = set()
    if labels is not None:
        left = quotas(count(labels), m)
        for i in order:
            if left[labels[i]] > 0:
                left[labels[i]] -= 1
                chosen.add(i)
    if not chosen:
        chosen = set(order[:m])
    training = [sample for i, sample in enumerate(samples) if i not in chosen]
    validation = [sample for i, sample in enumerate(samples) if i in chosen]
    return training, validation


def quotas(counts: dict[int, int], m: int) -> dict[int, int]:
    """How many of the n_c rows of each class are among m of all n: m n_c / n, rounded down.

    The rows then missing to m are taken, one each, from the classes with the largest remainders, the smaller
    label first if these are equal; but each class keeps at least one row for training.
    """
    n = 0
    for n_c in counts.values():
        n += n_c
    quota = {c: m * counts[c] // n for c in counts}
    missing = m
    for q in quota.values():
        missing -= q
    for c in sorted(counts, key=lambda c: (-(m * counts[c] % n), c)):
        if missing > 0 and quota[c] + 1 <= counts[c] - 1:
            quota[c] += 1
            missing -= 1
    return quota


def count(labels: list[int]) -> dict[int, int]:
    """label -> how often it occurs, in the order of the labels."""
    return {label: labels.count(label) for label in sorted(set(labels))}
