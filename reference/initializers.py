"""Initial weights: each function draws the weight of one connection.

r is the one stream of random numbers of the whole network; inputs and outputs are the numbers of
inputs and units of the layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random  # the standard library's: imports are absolute, ours is `.random`


def uniform(r: Random, inputs: int, outputs: int) -> float:
    """w = u - ½: uniform in [-½, ½)."""
    return r.random() - 0.5


def normal(r: Random, inputs: int, outputs: int) -> float:
    """Standard normal by Box and Muller from two uniforms: √(-2 log(1 - u)) cos(2π v)."""
    u = r.random()
    v = r.random()
    return math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(2.0 * math.pi * v)


def glorot_uniform(r: Random, inputs: int, outputs: int) -> float:
    """Uniform in ±√(6 / (inputs + outputs)) (Glorot and Bengio, 2010)."""
    return (2.0 * r.random() - 1.0) * math.sqrt(6.0 / (inputs + outputs))


def glorot_normal(r: Random, inputs: int, outputs: int) -> float:
    """Normal of variance 2 / (inputs + outputs)."""
    return normal(r, inputs, outputs) * math.sqrt(2.0 / (inputs + outputs))


def he_uniform(r: Random, inputs: int, outputs: int) -> float:
    """Uniform in ±√(6 / inputs) (He and others, 2015)."""
    return (2.0 * r.random() - 1.0) * math.sqrt(6.0 / inputs)


def he_normal(r: Random, inputs: int, outputs: int) -> float:
    """Normal of variance 2 / inputs."""
    return normal(r, inputs, outputs) * math.sqrt(2.0 / inputs)


def zeros(r: Random, inputs: int, outputs: int) -> float:
    """w = 0; draws nothing."""
    return 0.0


INITIALIZERS: dict[str, Callable[[Random, int, int], float]] = {
    "uniform": uniform,
    "normal": normal,
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "zeros": zeros,
}

RELU_FAMILY = ("relu", "leaky_relu", "elu", "gelu", "silu")


def default_initializer(activation: str) -> str:
    """He for the ReLU family, which lets half of the signal through, and Glorot for the others."""
    return "he_uniform" if activation in RELU_FAMILY else "glorot_uniform"
