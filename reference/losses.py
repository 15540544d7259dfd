"""Losses of one sample over its K outputs, each above its derivative.

p (K,) predictions, t (K,) targets. A batch's loss is the mean of its samples' losses, weighted by
sample_weight, with the penalties of the layers added; see network.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .logit_losses import LOGIT_LOSSES as LOGIT_LOSSES
from .logit_losses import Pair, Row, smoothed_pair, smoothed_shares
from .loss_settings import BinaryCrossEntropy as BinaryCrossEntropy
from .loss_settings import CrossEntropy as CrossEntropy
from .loss_settings import Focal as Focal
from .loss_settings import Huber as Huber
from .loss_settings import Loss as Loss
from .loss_settings import Quantile as Quantile
from .loss_settings import name_and_settings as name_and_settings

# Keeps the logarithm away from log(0) where only predictions are known, not logits.
EPSILON = 1e-7


def mse(p: Row, t: Row) -> float:
    """l = mean_k (p_k - t_k)²."""
    total = 0.0
    for p_k, t_k in zip(p, t):
        total += (p_k - t_k) * (p_k - t_k)
    return total / len(p)


def mse_derivative(p: Row, t: Row) -> list[float]:
    """dl/dp_k = 2 (p_k - t_k) / K."""
    return [2.0 * (p_k - t_k) / len(p) for p_k, t_k in zip(p, t)]


def half_sse(p: Row, t: Row) -> float:
    """l = ½ Σ_k (p_k - t_k)²."""
    total = 0.0
    for p_k, t_k in zip(p, t):
        total += (p_k - t_k) * (p_k - t_k)
    return 0.5 * total


def half_sse_derivative(p: Row, t: Row) -> list[float]:
    """dl/dp_k = p_k - t_k."""
    return [p_k - t_k for p_k, t_k in zip(p, t)]


def mae(p: Row, t: Row) -> float:
    """l = mean_k |p_k - t_k|."""
    total = 0.0
    for p_k, t_k in zip(p, t):
        total += abs(p_k - t_k)
    return total / len(p)


def mae_derivative(p: Row, t: Row) -> list[float]:
    """dl/dp_k = sign(p_k - t_k) / K; 0 where both are equal."""
    return [((p_k > t_k) - (p_k < t_k)) / len(p) for p_k, t_k in zip(p, t)]


def huber(p: Row, t: Row, delta: float = 1.0) -> float:
    """l = mean_k of e²/2 where |e| <= delta, else delta (|e| - delta/2), for e = p_k - t_k (Huber, 1964)."""
    total = 0.0
    for p_k, t_k in zip(p, t):
        e = abs(p_k - t_k)
        total += 0.5 * e * e if e <= delta else delta * (e - 0.5 * delta)
    return total / len(p)


def huber_derivative(p: Row, t: Row, delta: float = 1.0) -> list[float]:
    """dl/dp_k = e / K where |e| <= delta, else delta sign(e) / K."""
    return [min(max(p_k - t_k, -delta), delta) / len(p) for p_k, t_k in zip(p, t)]


def log_cosh(p: Row, t: Row) -> float:
    """l = mean_k log cosh(p_k - t_k).

    Far from 0 that is |e| + log(1 + exp(-2|e|)) - log 2. Near 0 this would be a small difference of large
    numbers; there it is log(1 + 2 sinh²(e/2)).
    """
    total = 0.0
    for p_k, t_k in zip(p, t):
        e = abs(p_k - t_k)
        if e < 1.0:
            total += math.log1p(2.0 * math.sinh(0.5 * e) * math.sinh(0.5 * e))
        else:
            total += e + math.log1p(math.exp(-2.0 * e)) - math.log(2.0)
    return total / len(p)


def log_cosh_derivative(p: Row, t: Row) -> list[float]:
    """dl/dp_k = tanh(p_k - t_k) / K."""
    return [math.tanh(p_k - t_k) / len(p) for p_k, t_k in zip(p, t)]


def quantile(p: Row, t: Row, levels: float | Sequence[float] = 0.5) -> float:
    """l = mean_k of q u where u > 0, else (q - 1) u, for u = t_k - p_k (Koenker and Bassett, 1978).

    q is the level of output k. The best prediction is the value that a share q of the targets lies below.
    """
    total = 0.0
    for p_k, t_k, q in zip(p, t, levels_of_outputs(levels, len(p))):
        u = t_k - p_k
        total += q * u if u > 0.0 else (q - 1.0) * u
    return total / len(p)


def quantile_derivative(p: Row, t: Row, levels: float | Sequence[float] = 0.5) -> list[float]:
    """dl/dp_k = -q / K where u > 0, (1 - q) / K where u < 0, 0 where u = 0."""
    slopes = []
    for p_k, t_k, q in zip(p, t, levels_of_outputs(levels, len(p))):
        u = t_k - p_k
        slopes.append((-q if u > 0.0 else 1.0 - q if u < 0.0 else 0.0) / len(p))
    return slopes


def levels_of_outputs(levels: float | Sequence[float], outputs: int) -> list[float]:
    """A level for each of K outputs; a single level is repeated for all of them."""
    given = [levels] if isinstance(levels, (int, float)) else list(levels)
    if len(given) == 1:
        return given * outputs
    if len(given) != outputs:
        raise ValueError(f"levels has {len(given)} entries for {outputs} outputs")
    return given


def poisson(p: Row, t: Row) -> float:
    """l = mean_k p_k - t_k log p_k; p_k alone where t_k = 0, infinite where p_k = 0 and t_k is not."""
    total = 0.0
    for p_k, t_k in zip(p, t):
        if t_k == 0.0:
            total += p_k
        else:
            total += math.inf if p_k == 0.0 else p_k - t_k * math.log(p_k)
    return total / len(p)


def poisson_derivative(p: Row, t: Row) -> list[float]:
    """dl/dp_k = (1 - t_k / p_k) / K."""
    slopes = []
    for p_k, t_k in zip(p, t):
        if t_k == 0.0:
            slopes.append(1.0 / len(p))
        else:
            slopes.append(-math.inf if p_k == 0.0 else (1.0 - t_k / p_k) / len(p))
    return slopes


def gamma(p: Row, t: Row) -> float:
    """l = mean_k t_k / p_k + log p_k, for t_k > 0; infinite where p_k = 0."""
    total = 0.0
    for p_k, t_k in zip(p, t):
        total += math.inf if p_k == 0.0 else t_k / p_k + math.log(p_k)
    return total / len(p)


def gamma_derivative(p: Row, t: Row) -> list[float]:
    """dl/dp_k = (p_k - t_k) / p_k² / K."""
    return [-math.inf if p_k == 0.0 else (p_k - t_k) / p_k / p_k / len(p) for p_k, t_k in zip(p, t)]


def binary_cross_entropy(p: Row, t: Row, epsilon: float = EPSILON, label_smoothing: float = 0.0) -> float:
    """l = mean_k -(t_k log(p_k + epsilon) + (1 - t_k) log(1 - p_k + epsilon))."""
    total = 0.0
    for p_k, t_k in zip(p, smoothed_pair(t, label_smoothing)):
        total -= t_k * math.log(p_k + epsilon) + (1.0 - t_k) * math.log(1.0 - p_k + epsilon)
    return total / len(p)


def binary_cross_entropy_derivative(
    p: Row, t: Row, epsilon: float = EPSILON, label_smoothing: float = 0.0
) -> list[float]:
    """dl/dp_k = ((1 - t_k) / (1 - p_k + epsilon) - t_k / (p_k + epsilon)) / K."""
    return [
        ((1.0 - t_k) / (1.0 - p_k + epsilon) - t_k / (p_k + epsilon)) / len(p)
        for p_k, t_k in zip(p, smoothed_pair(t, label_smoothing))
    ]


def cross_entropy(p: Row, t: Row, epsilon: float = EPSILON, label_smoothing: float = 0.0) -> float:
    """l = -Σ_k t_k log(p_k + epsilon)."""
    total = 0.0
    for p_k, t_k in zip(p, smoothed_shares(t, label_smoothing)):
        total -= t_k * math.log(p_k + epsilon)
    return total


def cross_entropy_derivative(
    p: Row, t: Row, epsilon: float = EPSILON, label_smoothing: float = 0.0
) -> list[float]:
    """dl/dp_k = -t_k / (p_k + epsilon)."""
    return [-t_k / (p_k + epsilon) for p_k, t_k in zip(p, smoothed_shares(t, label_smoothing))]


def hinge(p: Row, t: Row) -> float:
    """l = mean_k max(0, 1 - t_k p_k) for targets -1 and 1; 0 stands for -1."""
    total = 0.0
    for p_k, t_k in zip(p, t):
        total += max(1.0 - side(t_k) * p_k, 0.0)
    return total / len(p)


def hinge_derivative(p: Row, t: Row) -> list[float]:
    """dl/dp_k = -t_k / K where t_k p_k < 1, else 0."""
    return [-side(t_k) / len(p) if side(t_k) * p_k < 1.0 else 0.0 for p_k, t_k in zip(p, t)]


def side(t: float) -> float:
    """The target of hinge, -1 or 1."""
    return -1.0 if t == 0.0 else t


def focal(p: Row, t: Row, epsilon: float = EPSILON, gamma: float = 2.0, alpha: float | None = None) -> float:
    """l = mean_k -a1 t_k q_k^gamma log(p_k + epsilon) - a0 (1 - t_k) p_k^gamma log(q_k + epsilon), q = 1 - p.

    Lin and others, 2017. a1 = alpha and a0 = 1 - alpha, or both 1 without alpha.
    """
    a1, a0 = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    total = 0.0
    for p_k, t_k in zip(p, t):
        q_k = 1.0 - p_k
        total -= a1 * t_k * q_k**gamma * math.log(p_k + epsilon)
        total -= a0 * (1.0 - t_k) * p_k**gamma * math.log(q_k + epsilon)
    return total / len(p)


def focal_derivative(
    p: Row, t: Row, epsilon: float = EPSILON, gamma: float = 2.0, alpha: float | None = None
) -> list[float]:
    """dl/dp_k, by the product rule."""
    a1, a0 = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    slopes = []
    for p_k, t_k in zip(p, t):
        q_k = 1.0 - p_k
        of_ones = gamma * q_k ** (gamma - 1.0) * math.log(p_k + epsilon) - q_k**gamma / (p_k + epsilon)
        of_zeros = p_k**gamma / (q_k + epsilon) - gamma * p_k ** (gamma - 1.0) * math.log(q_k + epsilon)
        slopes.append((a1 * t_k * of_ones + a0 * (1.0 - t_k) * of_zeros) / len(p))
    return slopes


# name -> value and derivative, both functions of (p, t) and the settings
LOSSES: dict[str, Pair] = {
    "mse": (mse, mse_derivative),
    "half_sse": (half_sse, half_sse_derivative),
    "mae": (mae, mae_derivative),
    "huber": (huber, huber_derivative),
    "log_cosh": (log_cosh, log_cosh_derivative),
    "quantile": (quantile, quantile_derivative),
    "poisson": (poisson, poisson_derivative),
    "gamma": (gamma, gamma_derivative),
    "binary_cross_entropy": (binary_cross_entropy, binary_cross_entropy_derivative),
    "cross_entropy": (cross_entropy, cross_entropy_derivative),
    "hinge": (hinge, hinge_derivative),
    "focal": (focal, focal_derivative),
}
