"""Activation functions a = f(z), each above its derivative da/dz.

A derivative gets z and the value a = f(z) that the forward pass has already computed, and uses
whichever is simpler. They are written so that exp gets a large positive number only in exponential
itself. If z is NaN, so is a: a relu cannot hide that a network diverges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Row = Sequence[float]

LEAKY_SLOPE = 0.01

# With these two a deep selu network keeps its values at mean 0 and variance 1 (Klambauer and others, 2017).
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772


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


def hard_sigmoid(z: float) -> float:
    """a = z/6 + 1/2, but at least 0 and at most 1."""
    return min(max(z / 6.0 + 0.5, 0.0), 1.0)


def hard_sigmoid_derivative(z: float, a: float) -> float:
    """da/dz = 1/6 where -3 < z < 3, else 0."""
    return 1.0 / 6.0 if -3.0 < z < 3.0 else 0.0


def tanh(z: float) -> float:
    """a = tanh(z)."""
    return math.tanh(z)


def tanh_derivative(z: float, a: float) -> float:
    """da/dz = 1 - a²."""
    return 1.0 - a * a


def softsign(z: float) -> float:
    """a = z / (1 + |z|)."""
    return z / (1.0 + abs(z))


def softsign_derivative(z: float, a: float) -> float:
    """da/dz = 1 / (1 + |z|)²."""
    return 1.0 / ((1.0 + abs(z)) * (1.0 + abs(z)))


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


def selu(z: float) -> float:
    """a = scale z where z > 0, else scale alpha (exp(z) - 1)."""
    return SELU_SCALE * SELU_ALPHA * math.expm1(z) if z <= 0.0 else SELU_SCALE * z


def selu_derivative(z: float, a: float) -> float:
    """da/dz = scale where z > 0, else scale alpha exp(z)."""
    return SELU_SCALE * SELU_ALPHA * math.exp(z) if z <= 0.0 else SELU_SCALE


def gelu(z: float) -> float:
    """a = z Φ(z), Φ(z) = ½ (1 + erf(z/√2)) = ½ erfc(-z/√2), the normal distribution function."""
    return z * 0.5 * math.erfc(-z / math.sqrt(2.0))


def gelu_derivative(z: float, a: float) -> float:
    """da/dz = Φ(z) + z φ(z), where φ(z) = exp(-z²/2) / √(2π) is the normal density."""
    distribution = 0.5 * math.erfc(-z / math.sqrt(2.0))
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return distribution + z * density


def silu(z: float) -> float:
    """a = z sigmoid(z)."""
    return z * sigmoid(z)


def silu_derivative(z: float, a: float) -> float:
    """da/dz = s + z s (1 - s) = s + a (1 - s), where s = sigmoid(z)."""
    s = sigmoid(z)
    return s + a * (1.0 - s)


def mish(z: float) -> float:
    """a = z tanh(softplus(z))."""
    return z * math.tanh(softplus(z))


def mish_derivative(z: float, a: float) -> float:
    """da/dz = t + z (1 - t²) sigmoid(z), where t = tanh(softplus(z))."""
    t = math.tanh(softplus(z))
    return t + z * (1.0 - t * t) * sigmoid(z)


def softplus(z: float) -> float:
    """a = log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def softplus_derivative(z: float, a: float) -> float:
    """da/dz = sigmoid(z)."""
    return sigmoid(z)


def exponential(z: float) -> float:
    """a = exp(z); infinity if that is too large for a float."""
    try:
        return math.exp(z)
    except OverflowError:
        return math.inf


def exponential_derivative(z: float, a: float) -> float:
    """da/dz = a."""
    return a


def sine(z: float) -> float:
    """a = sin(z); NaN where z is infinite."""
    return math.sin(z) if math.isfinite(z) else math.nan


def sine_derivative(z: float, a: float) -> float:
    """da/dz = cos(z)."""
    return math.cos(z) if math.isfinite(z) else math.nan


def step(z: float) -> float:
    """a = 1 where z > 0, else 0."""
    if math.isnan(z):
        return z
    return 1.0 if z > 0.0 else 0.0


def step_derivative(z: float, a: float) -> float:
    """da/dz = 0: the layers up to a step cannot learn."""
    return 0.0


def softmax(z: Row) -> list[float]:
    """a_k = exp(z_k) / Σ_j exp(z_j) of a row; subtracting the largest z first changes nothing.

    z (K,) -> a (K,)
    """
    largest = max(z)
    powers = [math.exp(z_k - largest) for z_k in z]
    total = 0.0
    for power in powers:
        total += power
    return [power / total for power in powers]


def softmax_backward(a: Row, d_a: Row) -> list[float]:
    """dL/dz_k = a_k (dL/da_k - Σ_j a_j dL/da_j), for a = softmax(z).

    a (K,), d_a (K,) -> d_z (K,)
    """
    mean = 0.0
    for a_j, d_j in zip(a, d_a):
        mean += a_j * d_j
    return [a_k * (d_k - mean) for a_k, d_k in zip(a, d_a)]


def log_softmax(z: Row) -> list[float]:
    """a_k = z_k - log Σ_j exp(z_j), the logarithm of softmax.

    The largest z is subtracted first, so that exp cannot overflow and the sum is 1 + rest, whose logarithm
    keeps its digits where the rest is small.

    z (K,) -> a (K,)
    """
    largest = max(range(len(z)), key=lambda k: z[k])
    rest = 0.0
    for k, z_k in enumerate(z):
        if k != largest:
            rest += math.exp(z_k - z[largest])
    return [z_k - z[largest] - math.log1p(rest) for z_k in z]


def log_softmax_backward(a: Row, d_a: Row) -> list[float]:
    """dL/dz_k = dL/da_k - exp(a_k) Σ_j dL/da_j, for a = log_softmax(z).

    a (K,), d_a (K,) -> d_z (K,)
    """
    total = 0.0
    for d_j in d_a:
        total += d_j
    return [d_k - math.exp(a_k) * total for a_k, d_k in zip(a, d_a)]


# The activations of one unit.
ACTIVATIONS: dict[str, tuple[Callable[[float], float], Callable[[float, float], float]]] = {
    "identity": (identity, identity_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "hard_sigmoid": (hard_sigmoid, hard_sigmoid_derivative),
    "tanh": (tanh, tanh_derivative),
    "softsign": (softsign, softsign_derivative),
    "relu": (relu, relu_derivative),
    "leaky_relu": (leaky_relu, leaky_relu_derivative),
    "elu": (elu, elu_derivative),
    "selu": (selu, selu_derivative),
    "gelu": (gelu, gelu_derivative),
    "silu": (silu, silu_derivative),
    "mish": (mish, mish_derivative),
    "softplus": (softplus, softplus_derivative),
    "exponential": (exponential, exponential_derivative),
    "sine": (sine, sine_derivative),
    "step": (step, step_derivative),
}

# These need the whole row, so they are for the output layer only, which calls them directly: the value,
# and the backward step from dL/da to dL/dz.
ROW_ACTIVATIONS: dict[str, tuple[Callable[[Row], list[float]], Callable[[Row, Row], list[float]]]] = {
    "softmax": (softmax, softmax_backward),
    "log_softmax": (log_softmax, log_softmax_backward),
}
