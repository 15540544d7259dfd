"""Losses together with the output activation, as functions of its input z ("logits").

z (K,) pre-activations of the output layer, t (K,) targets. The exp of the activation and the log of the
loss cancel: no log(0), and simple derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .activations import exponential, log_softmax, sigmoid, softmax, softplus

Row = Sequence[float]
# Value and derivative for one sample, both functions of (p, t) or (z, t) and the settings of the loss.
Pair = tuple[Callable[..., float], Callable[..., list[float]]]


def smoothed_pair(t: Row, label_smoothing: float) -> list[float]:
    """Targets moved towards 1/2: t (1 - e) + e/2."""
    return [t_k * (1.0 - label_smoothing) + label_smoothing / 2.0 for t_k in t]


def smoothed_shares(t: Row, label_smoothing: float) -> list[float]:
    """Targets moved towards equal shares of K classes: t (1 - e) + e/K."""
    return [t_k * (1.0 - label_smoothing) + label_smoothing / len(t) for t_k in t]


def sigmoid_binary_cross_entropy(z: Row, t: Row, label_smoothing: float = 0.0) -> float:
    """l = mean_k -(t_k log p_k + (1 - t_k) log(1 - p_k)) for p_k = sigmoid(z_k).

    Since log p = -softplus(-z) and log(1 - p) = -softplus(z), this is mean_k softplus(z_k) - t_k z_k
    = mean_k max(z_k, 0) - t_k z_k + log(1 + exp(-|z_k|)).
    """
    total = 0.0
    for z_k, t_k in zip(z, smoothed_pair(t, label_smoothing)):
        total += max(z_k, 0.0) - t_k * z_k + math.log1p(math.exp(-abs(z_k)))
    return total / len(z)


def sigmoid_binary_cross_entropy_derivative(z: Row, t: Row, label_smoothing: float = 0.0) -> list[float]:
    """dl/dz_k = (p_k - t_k) / K."""
    return [(sigmoid(z_k) - t_k) / len(z) for z_k, t_k in zip(z, smoothed_pair(t, label_smoothing))]


def softmax_cross_entropy(z: Row, t: Row, label_smoothing: float = 0.0) -> float:
    """l = -Σ_k t_k log p_k for p = softmax(z); the same for log_softmax outputs, which are log p themselves."""
    loss = 0.0
    for log_p, t_k in zip(log_softmax(z), smoothed_shares(t, label_smoothing)):
        loss -= t_k * log_p
    return loss


def softmax_cross_entropy_derivative(z: Row, t: Row, label_smoothing: float = 0.0) -> list[float]:
    """dl/dz_k = p_k Σ_j t_j - t_k."""
    t = smoothed_shares(t, label_smoothing)
    total = 0.0
    for t_k in t:
        total += t_k
    return [p_k * total - t_k for p_k, t_k in zip(softmax(z), t)]


def sigmoid_cross_entropy(z: Row, t: Row, label_smoothing: float = 0.0) -> float:
    """l = -Σ_k t_k log p_k for p_k = sigmoid(z_k): Σ_k t_k softplus(-z_k)."""
    loss = 0.0
    for z_k, t_k in zip(z, smoothed_shares(t, label_smoothing)):
        loss += t_k * softplus(-z_k)
    return loss


def sigmoid_cross_entropy_derivative(z: Row, t: Row, label_smoothing: float = 0.0) -> list[float]:
    """dl/dz_k = -t_k (1 - p_k), where 1 - p_k = sigmoid(-z_k)."""
    return [-t_k * sigmoid(-z_k) for z_k, t_k in zip(z, smoothed_shares(t, label_smoothing))]


def exponential_poisson(z: Row, t: Row) -> float:
    """l = mean_k p_k - t_k log p_k for p_k = exp(z_k): exp(z_k) - t_k z_k."""
    total = 0.0
    for z_k, t_k in zip(z, t):
        total += exponential(z_k) - t_k * z_k
    return total / len(z)


def exponential_poisson_derivative(z: Row, t: Row) -> list[float]:
    """dl/dz_k = (p_k - t_k) / K."""
    return [(exponential(z_k) - t_k) / len(z) for z_k, t_k in zip(z, t)]


def log_softplus(z: float) -> float:
    """log softplus(z). Below -40 softplus(z) is exp(z) to the last digit, and at last 0: its logarithm is z."""
    return z if z < -40.0 else math.log(softplus(z))


def softplus_growth(z: float) -> float:
    """softplus'(z) / softplus(z), where softplus' is the sigmoid; below -40 both are exp(z)."""
    return 1.0 if z < -40.0 else sigmoid(z) / softplus(z)


def softplus_poisson(z: Row, t: Row) -> float:
    """l = mean_k p_k - t_k log p_k for p_k = softplus(z_k)."""
    total = 0.0
    for z_k, t_k in zip(z, t):
        total += softplus(z_k) - t_k * log_softplus(z_k)
    return total / len(z)


def softplus_poisson_derivative(z: Row, t: Row) -> list[float]:
    """dl/dz_k = (1 - t_k / p_k) softplus'(z_k) / K, as (p_k - t_k) softplus'(z_k) / p_k / K."""
    return [(softplus(z_k) - t_k) * softplus_growth(z_k) / len(z) for z_k, t_k in zip(z, t)]


def softplus_gamma(z: Row, t: Row) -> float:
    """l = mean_k t_k / p_k + log p_k for p_k = softplus(z_k)."""
    total = 0.0
    for z_k, t_k in zip(z, t):
        total += t_k * exponential(-log_softplus(z_k)) + log_softplus(z_k)
    return total / len(z)


def softplus_gamma_derivative(z: Row, t: Row) -> list[float]:
    """dl/dz_k = (1 - t_k / p_k) softplus'(z_k) / p_k / K."""
    return [
        (1.0 - t_k * exponential(-log_softplus(z_k))) * softplus_growth(z_k) / len(z) for z_k, t_k in zip(z, t)
    ]


def exponential_gamma(z: Row, t: Row) -> float:
    """l = mean_k t_k / p_k + log p_k for p_k = exp(z_k): t_k exp(-z_k) + z_k."""
    total = 0.0
    for z_k, t_k in zip(z, t):
        total += t_k * exponential(-z_k) + z_k
    return total / len(z)


def exponential_gamma_derivative(z: Row, t: Row) -> list[float]:
    """dl/dz_k = (1 - t_k exp(-z_k)) / K."""
    return [(1.0 - t_k * exponential(-z_k)) / len(z) for z_k, t_k in zip(z, t)]


def sigmoid_focal(z: Row, t: Row, gamma: float = 2.0, alpha: float | None = None) -> float:
    """l = mean_k a1 t_k q_k^gamma (-log p_k) + a0 (1 - t_k) p_k^gamma (-log q_k).

    Here p_k = sigmoid(z_k), q_k = 1 - p_k = sigmoid(-z_k), -log p_k = softplus(-z_k) and
    -log q_k = softplus(z_k); a1 = alpha and a0 = 1 - alpha, or both 1 without alpha.
    """
    a1, a0 = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    total = 0.0
    for z_k, t_k in zip(z, t):
        p, q = sigmoid(z_k), sigmoid(-z_k)
        total += a1 * t_k * q**gamma * softplus(-z_k) + a0 * (1.0 - t_k) * p**gamma * softplus(z_k)
    return total / len(z)


def sigmoid_focal_derivative(z: Row, t: Row, gamma: float = 2.0, alpha: float | None = None) -> list[float]:
    """dl/dz_k, by dp/dz = p q, dq/dz = -p q, d softplus(-z)/dz = -q and d softplus(z)/dz = p:

    (-a1 t_k q^gamma (gamma p softplus(-z) + q) + a0 (1 - t_k) p^gamma (gamma q softplus(z) + p)) / K.
    """
    a1, a0 = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    slopes = []
    for z_k, t_k in zip(z, t):
        p, q = sigmoid(z_k), sigmoid(-z_k)
        of_ones = -a1 * t_k * q**gamma * (gamma * p * softplus(-z_k) + q)
        of_zeros = a0 * (1.0 - t_k) * p**gamma * (gamma * q * softplus(z_k) + p)
        slopes.append((of_ones + of_zeros) / len(z))
    return slopes


def softmax_focal(z: Row, t: Row, gamma: float = 2.0, alpha: None = None) -> float:
    """l = Σ_k t_k (1 - p_k)^gamma (-log p_k) for p = softmax(z)."""
    loss = 0.0
    for log_p, t_k, q_k in zip(log_softmax(z), t, others(softmax(z))):
        loss -= t_k * q_k**gamma * log_p
    return loss


def softmax_focal_derivative(z: Row, t: Row, gamma: float = 2.0, alpha: None = None) -> list[float]:
    """dl/dz_k = g_k - p_k Σ_j g_j, where g_j = p_j dl/dp_j = t_j q_j^(gamma - 1) (gamma p_j log p_j - q_j)."""
    p = softmax(z)
    g = []
    total = 0.0
    for log_p, t_j, p_j, q_j in zip(log_softmax(z), t, p, others(p)):
        g_j = t_j * q_j ** (gamma - 1.0) * (gamma * p_j * log_p - q_j)
        g.append(g_j)
        total += g_j
    return [g_k - p_k * total for g_k, p_k in zip(g, p)]


def others(p: Row) -> list[float]:
    """q_k = 1 - p_k, as the sum of the others, which is accurate even where p_k is nearly 1."""
    q = []
    for k in range(len(p)):
        total = 0.0
        for j, p_j in enumerate(p):
            if j != k:
                total += p_j
        q.append(total)
    return q


# name -> output activation -> value and derivative, both functions of (z, t): how a network is trained
# if loss and activation have a common formula.
LOGIT_LOSSES: dict[str, dict[str, Pair]] = {
    "poisson": {
        "exponential": (exponential_poisson, exponential_poisson_derivative),
        "softplus": (softplus_poisson, softplus_poisson_derivative),
    },
    "gamma": {
        "exponential": (exponential_gamma, exponential_gamma_derivative),
        "softplus": (softplus_gamma, softplus_gamma_derivative),
    },
    "binary_cross_entropy": {
        "sigmoid": (sigmoid_binary_cross_entropy, sigmoid_binary_cross_entropy_derivative),
    },
    "cross_entropy": {
        "softmax": (softmax_cross_entropy, softmax_cross_entropy_derivative),
        "sigmoid": (sigmoid_cross_entropy, sigmoid_cross_entropy_derivative),
        "log_softmax": (softmax_cross_entropy, softmax_cross_entropy_derivative),
    },
    "focal": {
        "sigmoid": (sigmoid_focal, sigmoid_focal_derivative),
        "softmax": (softmax_focal, softmax_focal_derivative),
    },
}
