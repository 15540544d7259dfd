"""Loss functions of predictions; ``fit`` takes them by name, or those with settings as objects like Huber(0.5).

The loss of a batch is Σ w·l / Σ w over its samples, where w is 1 without ``sample_weight``. The functions here
take predictions and targets of shape (n, K), n samples with K outputs each, or (K,) for one sample; for
``cross_entropy`` targets may also be labels (n,), or one label for one sample. If an argument is invalid, they
raise TypeError or ValueError with its name and value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.dataset import Rows
from fastnn.loss_kinds import LOSSES, OF_PROBABILITIES, Loss, loss_of
from fastnn.training import Problem, evaluate

EPSILON = 1e-7  # keeps the logarithm of a probability away from ln 0


def mse(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Mean squared error: the mean of (p - t)² over outputs and samples.

    Parameters
    ----------
    predictions, targets : (n, K) numbers, or (K,) for one sample.
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> mse([[1.0, 2.0]], [[1.0, 4.0]])
    2.0
    """
    return _of_predictions("mse", predictions, targets, sample_weight)


def half_sse(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Half the sum of squared errors: ½ Σ (p - t)² over the outputs, and the mean over the samples.

    Parameters
    ----------
    predictions, targets : (n, K) numbers, or (K,) for one sample.
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> half_sse([[1.0, 2.0]], [[1.0, 4.0]])
    2.0
    """
    return _of_predictions("half_sse", predictions, targets, sample_weight)


def mae(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Mean absolute error: the mean of |p - t| over outputs and samples.

    Parameters
    ----------
    predictions, targets : (n, K) numbers, or (K,) for one sample.
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> mae([[1.0, 2.0]], [[1.0, 4.0]])
    1.0
    """
    return _of_predictions("mae", predictions, targets, sample_weight)


def huber(predictions: Any, targets: Any, sample_weight: Any = None, *, delta: float = 1.0) -> float:
    """Huber loss: e²/2 where |e| <= delta, else delta·(|e| - delta/2), with e = p - t (P. Huber, 1964).

    The mean over outputs and samples is taken.

    Parameters
    ----------
    predictions, targets : (n, K) numbers, or (K,) for one sample.
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.
    delta : the distance up to which errors are squared, above 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> huber([[0.5, 3.0]], [[0.0, 0.0]])
    1.3125
    """
    return _of_predictions(Huber(delta), predictions, targets, sample_weight)


def log_cosh(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Log-cosh loss: the mean of ln cosh(p - t) over outputs and samples.

    It is quadratic near 0, and linear far out.

    Parameters
    ----------
    predictions, targets : (n, K) numbers, or (K,) for one sample.
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> round(log_cosh([[1.0]], [[0.0]]), 6)
    0.433781
    """
    return _of_predictions("log_cosh", predictions, targets, sample_weight)


def quantile(predictions: Any, targets: Any, sample_weight: Any = None, *, levels: Any = 0.5) -> float:
    """Quantile (pinball) loss: max(q·u, (q - 1)·u), with u = t - p (R. Koenker, G. Bassett, 1978).

    The mean over outputs and samples is taken.

    Parameters
    ----------
    predictions : (n, K) numbers, or (K,) for one sample.
    targets : as the predictions; with several levels also (n,), one target for all outputs of a sample.
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.
    levels : q, above 0 and below 1: a number for all outputs, or one for each output; see ``Quantile``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> quantile([[1.0, 1.0]], [2.0], levels=[0.25, 0.75])
    0.5
    """
    return _of_predictions(Quantile(levels), predictions, targets, sample_weight)


def poisson(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Poisson loss: the mean of p - t·ln p over outputs and samples, for counts t with expected value p.

    Parameters
    ----------
    predictions : (n, K) numbers, 0 or more, or (K,) for one sample.
    targets : as the predictions.
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> poisson([[1.0]], [[3.0]])
    1.0
    """
    return _of_predictions("poisson", predictions, targets, sample_weight)


def gamma(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Gamma loss: the mean of t/p + ln p over outputs and samples, for positive t whose spread grows with p.

    Parameters
    ----------
    predictions : (n, K) numbers above 0, or (K,) for one sample.
    targets : as the predictions, above 0.
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> gamma([[1.0]], [[3.0]])
    3.0
    """
    return _of_predictions("gamma", predictions, targets, sample_weight)


def hinge(predictions: Any, targets: Any, sample_weight: Any = None) -> float:
    """Hinge loss: the mean of max(0, 1 - t·p) over outputs and samples.

    Parameters
    ----------
    predictions : (n, K) numbers, or (K,) for one sample.
    targets : as the predictions, -1 and 1, or 0 and 1 (0 then means -1).
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> hinge([0.5, -2.0], [1, -1])
    0.25
    """
    return _of_predictions("hinge", predictions, targets, sample_weight)


def focal(
    predictions: Any,
    targets: Any,
    sample_weight: Any = None,
    *,
    epsilon: float = EPSILON,
    gamma: float = 2.0,
    alpha: float | None = None,
) -> float:
    """Focal loss: the mean over the outputs of -a·t·q**gamma·ln(p + epsilon) - b·(1 - t)·p**gamma·ln(q + epsilon).

    Here q = 1 - p, a is alpha and b is 1 - alpha; both are 1 without alpha (T. Lin and others, 2017). The mean is
    taken over the samples too. Each p is the probability of a class of its own, as sigmoid gives it; targets that
    are labels stand for rows with a single 1. The loss of a network with softmax outputs is -Σ t·q**gamma·ln p
    instead.

    Parameters
    ----------
    predictions : (n, K) probabilities from 0 to 1, or (K,) for one sample.
    targets : as the predictions, from 0 to 1; for several outputs also labels (n,).
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.
    epsilon : keeps the logarithms finite; above 0.
    gamma, alpha : as for ``Focal``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> round(focal([[0.25]], [[1.0]]), 5)
    0.77979
    """
    Focal(gamma, alpha)
    with np.errstate(all="ignore"):  # powers may be rounded to 0
        return _focal(predictions, targets, sample_weight, epsilon, gamma, alpha)


def _focal(
    predictions: Any, targets: Any, sample_weight: Any, epsilon: float, gamma: float, alpha: float | None
) -> float:
    p, single = _rows(predictions)
    t = LOSSES["focal"].targets(_targets(targets, single), len(p), p.shape[1], p.dtype, "targets")
    weights = checks.sample_weights(sample_weight, len(p), p.dtype)
    share, other = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    q = 1.0 - p
    of_one = -np.log(_kept_from_0(p, epsilon)) * q**gamma
    of_zero = -np.log(_kept_from_0(q, epsilon)) * p**gamma
    each = (share * t * of_one + other * (1.0 - t) * of_zero).mean(axis=1)
    return float(np.average(each, weights=weights))


def _smoothing(value: Any) -> float:
    return checks.real_number(value, "label_smoothing", least=0.0, below=1.0)


class _Set(Loss):
    """Base class of losses with settings."""

    def __init__(self, name: str, shown: dict[str, Any], **changed: Any) -> None:
        usual = {field.name: getattr(LOSSES[name], field.name) for field in fields(Loss)}
        super().__init__(**{**usual, **changed})
        object.__setattr__(self, "_shown", shown)

    def __repr__(self) -> str:
        shown: dict[str, Any] = self._shown  # type: ignore[attr-defined]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class Huber(_Set):
    """The loss "huber" with a distance of your own: quadratic up to it, linear beyond it.

    Parameters
    ----------
    delta : the distance, above 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> Huber(0.5)
    Huber(delta=0.5)
    """

    def __init__(self, delta: float = 1.0) -> None:
        number = checks.real_number(delta, "delta", above=0.0)
        super().__init__("huber", {"delta": number}, settings=((number, 0.0),))


class Quantile(_Set):
    """The loss "quantile" with levels of your own: it is least at the value that a share of targets lies below.

    Parameters
    ----------
    levels : the share, above 0 and below 1, for all outputs; or a list with one for each output, and then a single
        target can stand for all of them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.circle(density=10)
    >>> net = fastnn.mlp([2, 8, 3])
    >>> history = net.fit(X, y, loss=Quantile([0.1, 0.5, 0.9]), epochs=10)
    """

    def __init__(self, levels: Any = 0.5) -> None:
        several = isinstance(levels, Iterable) and not isinstance(levels, (str, bytes))
        given = list(levels) if several else [levels]
        if not given:
            raise ValueError("levels is empty; at least one number above 0 and below 1 is needed")
        checked = [
            checks.real_number(level, f"levels[{i}]" if several else "levels", above=0.0, below=1.0)
            for i, level in enumerate(given)
        ]
        shown = checked if several else checked[0]
        super().__init__("quantile", {"levels": shown}, settings=tuple((level, 0.0) for level in checked))


class BinaryCrossEntropy(_Set):
    """The loss "binary_cross_entropy" with label smoothing: targets move a little from 0 and 1 towards 1/2.

    Parameters
    ----------
    label_smoothing : targets become t·(1 - label_smoothing) + label_smoothing/2; from 0 to below 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> BinaryCrossEntropy(label_smoothing=0.1)
    BinaryCrossEntropy(label_smoothing=0.1)
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        number = _smoothing(label_smoothing)
        super().__init__("binary_cross_entropy", {"label_smoothing": number}, smoothing=number)


class CrossEntropy(_Set):
    """The loss "cross_entropy" with label smoothing: targets move a little to equal shares (C. Szegedy, 2016).

    Parameters
    ----------
    label_smoothing : targets become t·(1 - label_smoothing) + label_smoothing/K for K classes; from 0 to below 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> CrossEntropy(label_smoothing=0.1)
    CrossEntropy(label_smoothing=0.1)
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        number = _smoothing(label_smoothing)
        super().__init__("cross_entropy", {"label_smoothing": number}, smoothing=number)


class Focal(_Set):
    """The loss "focal": cross entropy in which well-classified samples count less (T. Lin and others, 2017).

    Parameters
    ----------
    gamma : the focusing exponent, 1 or more; the greater, the less they count.
    alpha : the weight of targets 1, from 0 to 1; that of targets 0 is 1 - alpha. None gives both the weight 1. For
        sigmoid outputs only.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> Focal(gamma=1.5)
    Focal(gamma=1.5, alpha=None)
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None) -> None:
        power = checks.real_number(gamma, "gamma", least=1.0)
        share = -1.0
        if alpha is not None:
            share = checks.real_number(alpha, "alpha", least=0.0)
            if share > 1.0:
                raise ValueError(f"alpha is {alpha!r}; a number from 0 to 1, or None, is needed")
        super().__init__("focal", {"gamma": power, "alpha": alpha}, settings=((power, share),))


def cross_entropy(
    predictions: Any,
    targets: Any,
    sample_weight: Any = None,
    *,
    epsilon: float = EPSILON,
    label_smoothing: float = 0.0,
) -> float:
    """Cross entropy: -Σ t·ln(p + epsilon) over the outputs, and the mean over the samples.

    A network's own cross entropy is computed from its logits and needs no epsilon.

    Parameters
    ----------
    predictions : (n, K) probabilities from 0 to 1, or (K,) for one sample.
    targets : labels (n,) from 0 to K - 1, or (n, K) class shares that sum to 1; for one sample a label or (K,).
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.
    epsilon : keeps the logarithm finite; above 0.
    label_smoothing : as for ``CrossEntropy``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> round(cross_entropy([[0.25, 0.75]], [1]), 6)
    0.287682
    """
    p, single = _rows(predictions)
    rows, outputs = p.shape
    shares = checks.class_targets(_targets(targets, single), rows, outputs, p.dtype, "targets")
    shares = CrossEntropy(label_smoothing).smoothed(shares)
    return _evaluate(OF_PROBABILITIES, _kept_from_0(p, epsilon), shares, sample_weight)


def binary_cross_entropy(
    predictions: Any,
    targets: Any,
    sample_weight: Any = None,
    *,
    epsilon: float = EPSILON,
    label_smoothing: float = 0.0,
) -> float:
    """Binary cross entropy: the mean of -t·ln(p + epsilon) - (1 - t)·ln(1 - p + epsilon).

    The mean is over outputs and samples.

    Parameters
    ----------
    predictions : (n, K) probabilities from 0 to 1, or (K,) for one sample.
    targets : as the predictions, from 0 to 1.
    sample_weight : (n,) numbers, 0 or more, or None for equal weights.
    epsilon : keeps the logarithms finite; above 0.
    label_smoothing : as for ``BinaryCrossEntropy``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> round(binary_cross_entropy([[0.25]], [[1.0]]), 6)
    1.386294
    """
    p, single = _rows(predictions)
    rows, outputs = p.shape
    loss = BinaryCrossEntropy(label_smoothing)
    t = loss.smoothed(loss.targets(_targets(targets, single), rows, outputs, p.dtype, "targets"))
    both = np.hstack([_kept_from_0(p, epsilon), _kept_from_0(1.0 - p, epsilon)])
    total = _evaluate(OF_PROBABILITIES, both, np.hstack([t, 1.0 - t]), sample_weight)
    return total / float(outputs)


def _rows(predictions: Any) -> tuple[checks.Array, bool]:
    """Return predictions as (n, K), and whether they were given as (K,)."""
    array = checks.numbers_of(predictions, "predictions")
    single = array.ndim == 1
    return checks.matrix(array[np.newaxis] if single else array, "predictions", checks.DTYPES["float64"]), single


def _targets(targets: Any, single: bool) -> Any:
    return [targets] if single else targets


def _kept_from_0(p: checks.Array, epsilon: float) -> checks.Array:
    """Return probabilities plus epsilon, so that their logarithms are finite; ValueError outside of 0 to 1."""
    wrong = (p < 0) | (p > 1)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"predictions[{checks.place(at)}] is {p[at]}; probabilities from 0 to 1 are needed")
    return p + checks.real_number(epsilon, "epsilon", above=0.0)


def _of_predictions(loss: str | Loss, predictions: Any, targets: Any, sample_weight: Any) -> float:
    p, single = _rows(predictions)
    rows, outputs = p.shape
    known = loss_of(loss)
    if known.of_numbers is not None:  # what activation made them is not known
        weights = checks.sample_weights(sample_weight, rows, p.dtype)
        counting = p if weights is None else np.where(weights[:, np.newaxis] > 0, p, 1.0)
        known.refuse_out_of_range(counting, "predictions")
    t = known.targets(_targets(targets, single), rows, outputs, p.dtype, "targets")
    return _evaluate(known.of_predictions, p, t, sample_weight)


def _evaluate(loss: Loss, p: checks.Array, t: checks.Array, sample_weight: Any) -> float:
    """Return the loss of predictions, computed as that of a network without layers."""
    weights = checks.sample_weights(sample_weight, len(p), p.dtype)
    return evaluate(Problem((), "identity", loss), np.zeros(0), Rows(p, t, weights))
