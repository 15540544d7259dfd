"""Loss functions of predictions; a network takes them by name.

The loss of a batch is Σ w·l / Σ w over its samples, with w = 1 without ``sample_weight``. The functions here take
predictions and targets of shape (n, K), n samples with K outputs each, or (K,) for one sample; for
``cross_entropy`` a target may be a label, n of them or one. They raise TypeError or ValueError, naming the
argument and its value, for whatever is not that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import checks
from fastnn.dataset import Rows
from fastnn.kernels import losses as kinds
from fastnn.loss_kinds import LOSSES
from fastnn.training import Problem, evaluate

EPSILON = 1e-7  # keeps the logarithm of a probability away from ln 0


def mse(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """The mean of (p - t)² over the outputs, and over the samples.

    Examples
    --------
    >>> mse([[1.0, 2.0]], [[1.0, 4.0]])
    2.0
    """
    return _of_predictions("mse", predictions, targets, sample_weight)


def half_sse(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """½ Σ (p - t)² over the outputs, and the mean over the samples.

    Examples
    --------
    >>> half_sse([[1.0, 2.0]], [[1.0, 4.0]])
    2.0
    """
    return _of_predictions("half_sse", predictions, targets, sample_weight)


def mae(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """The mean of |p - t| over the outputs, and over the samples.

    Examples
    --------
    >>> mae([[1.0, 2.0]], [[1.0, 4.0]])
    1.0
    """
    return _of_predictions("mae", predictions, targets, sample_weight)


def cross_entropy(predictions: Any, targets: Any, sample_weight: Any = None, *, epsilon: float = EPSILON) -> float:
    """-Σ t·ln(p + epsilon) over the outputs, and the mean over the samples; p are probabilities.

    A network's own cross entropy is computed from its logits and needs no epsilon.

    Examples
    --------
    >>> round(cross_entropy([[0.25, 0.75]], [1]), 6)
    0.287682
    """
    p, single = _rows(predictions)
    rows, outputs = p.shape
    shares = checks.class_targets(_targets(targets, single), rows, outputs, p.dtype, "targets")
    return _evaluate(kinds.CROSS_ENTROPY_OF_PROBABILITIES, _logarithm_of(p, epsilon), shares, sample_weight)


def binary_cross_entropy(
    predictions: Any, targets: Any, sample_weight: Any = None, *, epsilon: float = EPSILON
) -> float:
    """The mean of -t·ln(p + epsilon) - (1 - t)·ln(1 - p + epsilon) over the outputs, and over the samples.

    Examples
    --------
    >>> round(binary_cross_entropy([[0.25]], [[1.0]]), 6)
    1.386294
    """
    p, single = _rows(predictions)
    rows, outputs = p.shape
    t = checks.targets(_targets(targets, single), rows, outputs, p.dtype, "targets")
    both = np.hstack([_logarithm_of(p, epsilon), _logarithm_of(1.0 - p, epsilon)])
    total = _evaluate(kinds.CROSS_ENTROPY_OF_PROBABILITIES, both, np.hstack([t, 1.0 - t]), sample_weight)
    return total / float(outputs)


def _rows(predictions: Any) -> tuple[checks.Array, bool]:
    """Predictions as (n, K), and whether they were (K,)."""
    array = checks.numbers_of(predictions, "predictions")
    single = array.ndim == 1
    return checks.matrix(array[np.newaxis] if single else array, "predictions", checks.DTYPES["float64"]), single


def _targets(targets: Any, single: bool) -> Any:
    return [targets] if single else targets


def _logarithm_of(p: checks.Array, epsilon: float) -> checks.Array:
    """Probabilities, moved so far from 0 that their logarithm is finite."""
    wrong = (p < 0) | (p > 1)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"predictions[{at}] is {p[at]}; probabilities from 0 to 1 are needed")
    return p + checks.real_number(epsilon, "epsilon", above=0.0)


def _of_predictions(name: str, predictions: Any, targets: Any, sample_weight: Any) -> float:
    p, single = _rows(predictions)
    rows, outputs = p.shape
    t = checks.targets(_targets(targets, single), rows, outputs, p.dtype, "targets")
    kind = LOSSES[name].kind
    assert kind is not None
    return _evaluate(kind, p, t, sample_weight)


def _evaluate(kind: int, p: checks.Array, t: checks.Array, sample_weight: Any) -> float:
    """The loss of predictions: that of a network without layers."""
    weights = checks.sample_weights(sample_weight, len(p), p.dtype)
    return evaluate(Problem(layers=(), loss=kind, fused=False), np.zeros(0), Rows(p, t, weights))
