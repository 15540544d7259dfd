"""Which losses can be used with which outputs and targets.

n samples, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .losses import LOGIT_LOSSES, LOSSES, Loss, levels_of_outputs, name_and_settings

# name -> the output activations that a loss accepts from their predictions; those that are not listed
# accept all, and those in LOGIT_LOSSES also, or only, what is listed there.
OUTPUTS: dict[str, tuple[str, ...]] = {
    "poisson": (),
    "gamma": (),
    "binary_cross_entropy": (),
    "cross_entropy": (),
    "hinge": ("identity", "tanh"),
    "focal": (),
}


def accepted_outputs(name: str) -> list[str] | None:
    """The output activations that a loss can be trained with; None for all."""
    if name not in OUTPUTS:
        return None
    return [*LOGIT_LOSSES.get(name, {}), *OUTPUTS[name]]


def choose_loss(
    loss: str | Loss, activation: str, outputs: int
) -> tuple[Callable[..., float], Callable[..., list[float]], dict[str, Any], bool]:
    """Value and derivative of a loss, their settings, and whether they are functions of z instead of p."""
    name, settings = name_and_settings(loss)
    if name not in LOSSES:
        raise ValueError(f"loss is {name!r}; known are {', '.join(LOSSES)}")
    accepted = accepted_outputs(name)
    if accepted is not None and activation not in accepted:
        raise ValueError(f"{name} needs {' or '.join(accepted)} outputs; these are {activation}")
    if name == "focal" and activation == "softmax" and settings.get("alpha") is not None:
        raise ValueError("alpha of focal is for sigmoid outputs; these are softmax")
    if name == "quantile":
        levels_of_outputs(settings.get("levels", 0.5), outputs)
    if activation in LOGIT_LOSSES.get(name, {}):
        return (*LOGIT_LOSSES[name][activation], settings, True)
    return (*LOSSES[name], settings, False)


def targets_of(y: Iterable[Any], loss: str | Loss, activation: str, outputs: int) -> list[list[float]]:
    """y as rows of floats (n, K): labels become one-hot rows, plain numbers rows of one."""
    name, settings = name_and_settings(loss)
    labels = name == "cross_entropy" or (name == "focal" and activation == "softmax")
    levels = settings.get("levels", 0.5)
    several_levels = not isinstance(levels, (int, float)) and len(levels) > 1
    targets = []
    for value in y:
        if hasattr(value, "__len__"):
            target = [float(t) for t in value]
        elif labels:
            if value not in range(outputs):
                raise ValueError(f"y has the label {value}; labels are 0 to {outputs - 1}")
            target = [1.0 if k == value else 0.0 for k in range(outputs)]
        else:
            target = [float(value)]
        if len(target) == 1 and several_levels:
            target = target * outputs  # one target for all quantiles
        if len(target) != outputs:
            raise ValueError(f"y has a row of {len(target)} numbers for {outputs} outputs")
        targets.append(target)
    check_targets(name, targets)
    return targets


def check_targets(name: str, targets: list[list[float]]) -> None:
    """Raise ValueError for targets (n, K) for which a loss is not defined."""
    values = [t for target in targets for t in target]
    if name == "poisson" and not all(t >= 0.0 for t in values):
        raise ValueError("y has a negative number; poisson needs 0 or more")
    if name == "gamma" and not all(t > 0.0 for t in values):
        raise ValueError("y has a number that is not positive; gamma needs positive ones")
    if name == "focal" and not all(0.0 <= t <= 1.0 for t in values):
        raise ValueError("y has a number outside of 0 to 1; focal needs targets from 0 to 1")
    if name == "hinge" and not (set(values) <= {0.0, 1.0} or set(values) <= {-1.0, 1.0}):
        raise ValueError("y has other numbers than hinge needs: -1 and 1, or 0 and 1")
