"""Initial weights: each function draws the weight of one connection.

r is the random stream of the whole network; inputs and outputs are the numbers of inputs and units of
the layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random  # the standard library's: imports are absolute, ours is `.random`

Matrix = list[list[float]]


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


def lecun_uniform(r: Random, inputs: int, outputs: int) -> float:
    """Uniform in ±√(3 / inputs) (LeCun and others, 1998)."""
    return (2.0 * r.random() - 1.0) * math.sqrt(3.0 / inputs)


def lecun_normal(r: Random, inputs: int, outputs: int) -> float:
    """Normal of variance 1 / inputs."""
    return normal(r, inputs, outputs) * math.sqrt(1.0 / inputs)


def orthogonal(r: Random, inputs: int, outputs: int) -> float:
    """Standard normal; initial_weights makes an orthogonal matrix from all draws of a layer."""
    return normal(r, inputs, outputs)


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
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "orthogonal": orthogonal,
    "zeros": zeros,
}


def initial_weights(initializer: str | float, r: Random, inputs: int, outputs: int) -> Matrix:
    """The weights of a layer (outputs, inputs), drawn neuron by neuron, input by input.

    If a number is given instead of a name, every weight is set to it, and nothing is drawn.
    """
    if not isinstance(initializer, str):
        return [[float(initializer)] * inputs for _ in range(outputs)]
    draw = INITIALIZERS[initializer]
    weights = [[draw(r, inputs, outputs) for _ in range(inputs)] for _ in range(outputs)]
    return orthogonal_matrix(weights) if initializer == "orthogonal" else weights


def orthogonal_matrix(A: Matrix) -> Matrix:
    """A with orthonormal rows or, if it has more rows than columns, columns (Saxe and others, 2014)."""
    if len(A) <= len(A[0]):
        return orthonormal(A)
    return transposed(orthonormal(transposed(A)))


def orthonormal(rows: Matrix) -> Matrix:
    """Gram-Schmidt: each row loses its components along the rows before it, then is scaled to length 1."""
    done: Matrix = []
    for row in rows:
        rest = list(row)
        for other in done:
            shared = 0.0
            for a, b in zip(rest, other):
                shared += a * b
            rest = [a - shared * b for a, b in zip(rest, other)]
        square = 0.0
        for a in rest:
            square += a * a
        length = math.sqrt(square)
        done.append([a / length for a in rest])
    return done


def transposed(rows: Matrix) -> Matrix:
    """The transpose: columns become rows."""
    return [list(column) for column in zip(*rows)]


def check_initializer(initializer: str | float | None) -> None:
    """Raise an error for anything but a known name, a number or None, which leaves the choice to others."""
    if isinstance(initializer, str):
        if initializer not in INITIALIZERS:
            raise ValueError(f"initializer is {initializer!r}; known are {', '.join(INITIALIZERS)}, or a number")
    elif initializer is not None and not math.isfinite(initializer):
        raise ValueError(f"initializer is {initializer}; a name or a finite number is needed")


RELU_FAMILY = ("relu", "leaky_relu", "elu", "gelu", "silu", "mish")


def default_initializer(activation: str) -> str:
    """He for the ReLU family, which lets half of the signal through, and for sine; LeCun's for selu, whose
    constants were made for it; Glorot for the others.
    """
    if activation == "selu":
        return "lecun_normal"
    return "he_uniform" if activation in (*RELU_FAMILY, "sine") else "glorot_uniform"
