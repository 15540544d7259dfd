"""The activation functions that are available by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import parts
from fastnn.kernels import activations as kernels
from fastnn.kernels import row_activations


@dataclass(frozen=True)
class Activation:
    """What the rest of the package needs to know about an activation function."""

    kernel: Any
    initializer: str = "glorot_uniform"  # the default for layers with this activation
    whole: bool = False  # whether its kernel is a function of whole rows
    coupled: bool = False  # whether it needs all units of a sample; for the output layer only
    name: str | None = None  # the name of a user-defined activation, else None

    @property
    def hidden(self) -> bool:
        """Whether a hidden layer can be trained with this activation."""
        return not self.coupled and self.kernel is not kernels.step

    def address(self, dtype: np.dtype[Any]) -> int:
        """Return the address at which compiled code calls the activation."""
        pattern = parts.row_activation if self.whole else parts.elementwise_activation
        return parts.address_of(pattern, self.kernel, dtype)


ACTIVATIONS = {
    "identity": Activation(kernels.identity),
    "sigmoid": Activation(kernels.sigmoid),
    "hard_sigmoid": Activation(kernels.hard_sigmoid),
    "tanh": Activation(kernels.tanh),
    "softsign": Activation(kernels.softsign),
    "relu": Activation(kernels.relu, initializer="he_uniform"),
    "leaky_relu": Activation(kernels.leaky_relu, initializer="he_uniform"),
    "elu": Activation(kernels.elu, initializer="he_uniform"),
    "selu": Activation(kernels.selu, initializer="lecun_normal"),
    "gelu": Activation(kernels.gelu, initializer="he_uniform"),
    "silu": Activation(kernels.silu, initializer="he_uniform"),
    "mish": Activation(kernels.mish, initializer="he_uniform"),
    "softplus": Activation(kernels.softplus),
    "exponential": Activation(kernels.exponential),
    "sine": Activation(row_activations.sine, initializer="he_uniform", whole=True),
    "step": Activation(kernels.step),
    "softmax": Activation(row_activations.softmax, coupled=True, whole=True),
    "log_softmax": Activation(row_activations.log_softmax, coupled=True, whole=True),
}
