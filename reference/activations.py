"""Activation functions a = f(z), each above its derivative da/dz.

A derivative gets z and the value a = f(z) that the forward pass has already computed, and uses
whichever is simpler. All of them are written so that exp never sees a large positive number.
A z that is not a number (NaN) stays one, so that a diverging network cannot hide behind a relu.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

LEAKY_SLOPE = 0.01


def identity(z: float) -> float:
    """a = z."""
    return z


def identity_derivative(z: float, a: float) -> float:
    """da/dz = 1."""
    return 1.0


def sigmoid(z: float) -> float:
    """a = 1 / (1 + exp(-z)); for z < 0 the same as exp(z) / (1 + exp(z)), which cannot overflow."""
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    power = math.exp(z)
    return power / (1.0 + power)


def sigmoid_derivative(z: float, a: float) -> float:
    """da/dz = a (1 - a)."""
    return a * (1.0 - a)


def tanh(z: float) -> float:
    """a = tanh(z)."""
    return math.tanh(z)


def tanh_derivative(z: float, a: float) -> float:
    """da/dz = 1 - a²."""
    return 1.0 - a * a


def relu(z: float) -> float:
    """a = max(z, 0)."""
    return max(z, 0.0)  # z first: max(0.0, NaN) would be 0.0


def relu_derivative(z: float, a: float) -> float:
    """da/dz = 1 where z > 0, else 0; at the kink itself 0 by convention."""
    return 0.0 if z <= 0.0 else 1.0


def leaky_relu(z: float) -> float:
    """a = z where z > 0, else 0.01 z."""
    return LEAKY_SLOPE * z if z <= 0.0 else z


def leaky_relu_derivative(z: float, a: float) -> float:
    """da/dz = 1 where z > 0, else 0.01."""
    return LEAKY_SLOPE if z <= 0.0 else 1.0


def elu(z: float) -> float:
    """a = z where z > 0, else exp(z) - 1."""
    return math.expm1(z) if z <= 0.0 else z


def elu_derivative(z: float, a: float) -> float:
    """da/dz = 1 where z > 0, else exp(z)."""
    return math.exp(z) if z <= 0.0 else 1.0


def softplus(z: float) -> float:
    """a = log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def softplus_derivative(z: float, a: float) -> float:
    """da/dz = sigmoid(z)."""
    return sigmoid(z)


def silu(z: float) -> float:
    """a = z sigmoid(z)."""
    return z * sigmoid(z)


def silu_derivative(z: float, a: float) -> float:
    """da/dz = s + z s (1 - s) = s + a (1 - s), where s = sigmoid(z)."""
    s = sigmoid(z)
    return s + a * (1.0 - s)


def gelu(z: float) -> float:
    """a = z Φ(z), Φ(z) = ½ (1 + erf(z/√2)) = ½ erfc(-z/√2), the normal distribution function."""
    return z * 0.5 * math.erfc(-z / math.sqrt(2.0))


def gelu_derivative(z: float, a: float) -> float:
    """da/dz = Φ(z) + z φ(z), where φ(z) = exp(-z²/2) / √(2π) is the normal density."""
    distribution = 0.5 * math.erfc(-z / math.sqrt(2.0))
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return distribution + z * density


def step(z: float) -> float:
    """a = 1 where z > 0, else 0."""
    return 1.0 if z > 0.0 else 0.0


def step_derivative(z: float, a: float) -> float:
    """da/dz = 0: nothing behind a step can learn."""
    return 0.0


def softmax(z: Sequence[float]) -> list[float]:
    """a_k = exp(z_k) / Σ_j exp(z_j) of a row; subtracting the largest z first changes nothing.

    z (K,) -> a (K,)
    """
    largest = max(z)
    powers = [math.exp(z_k - largest) for z_k in z]
    total = 0.0
    for power in powers:
        total += power
    return [power / total for power in powers]


def softmax_backward(a: Sequence[float], d_a: Sequence[float]) -> list[float]:
    """dL/dz_k = a_k (dL/da_k - Σ_j a_j dL/da_j), for a = softmax(z).

    a (K,), d_a (K,) -> d_z (K,)
    """
    mean = 0.0
    for a_j, d_j in zip(a, d_a):
        mean += a_j * d_j
    return [a_k * (d_k - mean) for a_k, d_k in zip(a, d_a)]


# The activations of one unit. softmax needs the whole row, so the layer calls it by itself.
ACTIVATIONS: dict[str, tuple[Callable[[float], float], Callable[[float, float], float]]] = {
    "identity": (identity, identity_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (tanh, tanh_derivative),
    "relu": (relu, relu_derivative),
    "leaky_relu": (leaky_relu, leaky_relu_derivative),
    "elu": (elu, elu_derivative),
    "softplus": (softplus, softplus_derivative),
    "silu": (silu, silu_derivative),
    "gelu": (gelu, gelu_derivative),
    "step": (step, step_derivative),
}
