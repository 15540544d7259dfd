"""The loss functions that a network can be trained with, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.kernels import losses as kinds


@dataclass(frozen=True)
class Loss:
    """What the other rooms need to know of a loss function."""

    kind: int | None = None  # its number in the kernels, where it is computed from the predictions
    from_logits: dict[str, int] | None = None  # its number by the activation of the outputs, from their z
    classes: bool = False  # targets are labels or shares of classes
    probabilities: bool = False  # targets are from 0 to 1

    def kind_for(self, name: str, activation: str) -> tuple[int, bool]:
        """(its number, whether its derivative is by z) for outputs of an activation; ValueError if they
        do not fit.
        """
        if self.from_logits is None:
            assert self.kind is not None
            return self.kind, False
        if activation not in self.from_logits:
            fitting = " or ".join(self.from_logits)
            raise ValueError(
                f"loss {name!r} needs {fitting} outputs; the last layer's activation is {activation!r}"
            )
        return self.from_logits[activation], True


LOSSES = {
    "mse": Loss(kinds.MSE),
    "half_sse": Loss(kinds.HALF_SSE),
    "mae": Loss(kinds.MAE),
    "binary_cross_entropy": Loss(from_logits={"sigmoid": kinds.BINARY_CROSS_ENTROPY}, probabilities=True),
    "cross_entropy": Loss(
        from_logits={
            "softmax": kinds.CROSS_ENTROPY_OF_SOFTMAX,
            "sigmoid": kinds.CROSS_ENTROPY_OF_SIGMOID,
        },
        classes=True,
    ),
}


def check_targets(loss: Loss, value: Any, rows: int, outputs: int, dtype: np.dtype[Any]) -> checks.Array:
    """Targets for a loss as numbers (rows, outputs)."""
    if loss.classes:
        return checks.class_targets(value, rows, outputs, dtype)
    found = checks.targets(value, rows, outputs, dtype)
    if loss.probabilities:
        wrong = (found < 0) | (found > 1)
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(f"y[{at[0]}] is {found[at]}; targets of this loss are from 0 to 1")
    return found
