"""Losses of one sample over its K outputs, each above its derivative.

p (K,) predictions, t (K,) targets, z (K,) pre-activations of the output layer ("logits").
A batch's loss is the mean of its samples' losses, weighted by sample_weight; see network.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .activations import sigmoid, softmax, softplus

Row = Sequence[float]
Pair = tuple[Callable[[Row, Row], float], Callable[[Row, Row], list[float]]]

# Keeps the logarithm of a prediction away from log(0), where only predictions are known.
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


def binary_cross_entropy(p: Row, t: Row, epsilon: float = EPSILON) -> float:
    """l = mean_k -(t_k log(p_k + epsilon) + (1 - t_k) log(1 - p_k + epsilon))."""
    total = 0.0
    for p_k, t_k in zip(p, t):
        total -= t_k * math.log(p_k + epsilon) + (1.0 - t_k) * math.log(1.0 - p_k + epsilon)
    return total / len(p)


def binary_cross_entropy_derivative(p: Row, t: Row, epsilon: float = EPSILON) -> list[float]:
    """dl/dp_k = ((1 - t_k) / (1 - p_k + epsilon) - t_k / (p_k + epsilon)) / K."""
    return [((1.0 - t_k) / (1.0 - p_k + epsilon) - t_k / (p_k + epsilon)) / len(p) for p_k, t_k in zip(p, t)]


def cross_entropy(p: Row, t: Row, epsilon: float = EPSILON) -> float:
    """l = -Σ_k t_k log(p_k + epsilon)."""
    total = 0.0
    for p_k, t_k in zip(p, t):
        total -= t_k * math.log(p_k + epsilon)
    return total


def cross_entropy_derivative(p: Row, t: Row, epsilon: float = EPSILON) -> list[float]:
    """dl/dp_k = -t_k / (p_k + epsilon)."""
    return [-t_k / (p_k + epsilon) for p_k, t_k in zip(p, t)]


# The cross entropies again, now together with the output activation and as functions of its
# input z. The activation's exp and the loss's log cancel: no log(0), and simple derivatives.


def sigmoid_binary_cross_entropy(z: Row, t: Row) -> float:
    """l = mean_k -(t_k log p_k + (1 - t_k) log(1 - p_k)) for p_k = sigmoid(z_k).

    Since log p = -softplus(-z) and log(1 - p) = -softplus(z), this is mean_k softplus(z_k) - t_k z_k
    = mean_k max(z_k, 0) - t_k z_k + log(1 + exp(-|z_k|)).
    """
    total = 0.0
    for z_k, t_k in zip(z, t):
        total += max(z_k, 0.0) - t_k * z_k + math.log1p(math.exp(-abs(z_k)))
    return total / len(z)


def sigmoid_binary_cross_entropy_derivative(z: Row, t: Row) -> list[float]:
    """dl/dz_k = (p_k - t_k) / K."""
    return [(sigmoid(z_k) - t_k) / len(z) for z_k, t_k in zip(z, t)]


def softmax_cross_entropy(z: Row, t: Row) -> float:
    """l = -Σ_k t_k log p_k for p = softmax(z): Σ_k t_k (log Σ_j exp(z_j) - z_k)."""
    largest = max(z)
    total = 0.0
    for z_k in z:
        total += math.exp(z_k - largest)
    log_sum_exp = largest + math.log(total)
    loss = 0.0
    for z_k, t_k in zip(z, t):
        loss += t_k * (log_sum_exp - z_k)
    return loss


def softmax_cross_entropy_derivative(z: Row, t: Row) -> list[float]:
    """dl/dz_k = p_k Σ_j t_j - t_k."""
    total = 0.0
    for t_k in t:
        total += t_k
    return [p_k * total - t_k for p_k, t_k in zip(softmax(z), t)]


def sigmoid_cross_entropy(z: Row, t: Row) -> float:
    """l = -Σ_k t_k log p_k for p_k = sigmoid(z_k): Σ_k t_k softplus(-z_k)."""
    loss = 0.0
    for z_k, t_k in zip(z, t):
        loss += t_k * softplus(-z_k)
    return loss


def sigmoid_cross_entropy_derivative(z: Row, t: Row) -> list[float]:
    """dl/dz_k = -t_k (1 - p_k), where 1 - p_k = sigmoid(-z_k)."""
    return [-t_k * sigmoid(-z_k) for z_k, t_k in zip(z, t)]


# name -> value and derivative, both of (p, t)
LOSSES: dict[str, Pair] = {
    "mse": (mse, mse_derivative),
    "half_sse": (half_sse, half_sse_derivative),
    "mae": (mae, mae_derivative),
    "binary_cross_entropy": (binary_cross_entropy, binary_cross_entropy_derivative),
    "cross_entropy": (cross_entropy, cross_entropy_derivative),
}

# name -> output activation -> value and derivative, both of (z, t): how a network is trained with
# a cross entropy. An output activation that is not listed here is refused for that loss.
LOGIT_LOSSES: dict[str, dict[str, Pair]] = {
    "binary_cross_entropy": {
        "sigmoid": (sigmoid_binary_cross_entropy, sigmoid_binary_cross_entropy_derivative),
    },
    "cross_entropy": {
        "softmax": (softmax_cross_entropy, softmax_cross_entropy_derivative),
        "sigmoid": (sigmoid_cross_entropy, sigmoid_cross_entropy_derivative),
    },
}
