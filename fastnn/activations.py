"""The activation functions that a layer can be given by name."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn.kernels import activations as kinds


@dataclass(frozen=True)
class Activation:
    """What the other rooms need to know of an activation function."""

    kind: int  # its number in the kernels
    initializer: str = "glorot_uniform"  # for a layer that has it, where none is named


ACTIVATIONS = {
    "identity": Activation(kinds.IDENTITY),
    "sigmoid": Activation(kinds.SIGMOID),
    "tanh": Activation(kinds.TANH),
    "relu": Activation(kinds.RELU, initializer="he_uniform"),
    "leaky_relu": Activation(kinds.LEAKY_RELU, initializer="he_uniform"),
    "elu": Activation(kinds.ELU, initializer="he_uniform"),
    "softplus": Activation(kinds.SOFTPLUS),
    "silu": Activation(kinds.SILU, initializer="he_uniform"),
    "gelu": Activation(kinds.GELU, initializer="he_uniform"),
    "step": Activation(kinds.STEP),
    "softmax": Activation(kinds.SOFTMAX),
}
