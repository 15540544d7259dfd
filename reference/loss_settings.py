"""Losses with settings, given to fit in place of a name: Huber(delta=0.5) for "huber".

The fields of each class are the settings that its functions in losses.py and logit_losses.py take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Huber:
    """Squared error up to delta, absolute error beyond."""

    name: ClassVar[str] = "huber"
    delta: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.delta < math.inf:
            raise ValueError(f"delta is {self.delta}; it must be positive and finite")


@dataclass(frozen=True)
class Quantile:
    """Quantile loss: one level for all outputs, or a level for each output."""

    name: ClassVar[str] = "quantile"
    levels: float | Sequence[float] = 0.5

    def __post_init__(self) -> None:
        levels = [self.levels] if isinstance(self.levels, (int, float)) else list(self.levels)
        if not levels:
            raise ValueError("levels is empty; at least one is needed")
        for level in levels:
            if not 0.0 < level < 1.0:
                raise ValueError(f"levels has {level}; a level is above 0 and below 1")


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Binary cross entropy with label smoothing: targets move a little from 0 and 1 towards 1/2."""

    name: ClassVar[str] = "binary_cross_entropy"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)


@dataclass(frozen=True)
class CrossEntropy:
    """Cross entropy with label smoothing: targets move a little towards equal shares of all classes."""

    name: ClassVar[str] = "cross_entropy"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)


@dataclass(frozen=True)
class Focal:
    """Cross entropy in which well-classified samples count less (Lin and others, 2017)."""

    name: ClassVar[str] = "focal"
    gamma: float = 2.0
    alpha: float | None = None

    def __post_init__(self) -> None:
        if not 1.0 <= self.gamma < math.inf:
            raise ValueError(f"gamma is {self.gamma}; it must be at least 1 and finite")
        if self.alpha is not None and not 0.0 <= self.alpha <= 1.0:
            raise ValueError(f"alpha is {self.alpha}; it must be from 0 to 1, or None")


def _check_smoothing(label_smoothing: float) -> None:
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing is {label_smoothing}; it must be at least 0 and below 1")


Loss = Huber | Quantile | BinaryCrossEntropy | CrossEntropy | Focal


def name_and_settings(loss: str | Loss) -> tuple[str, dict[str, Any]]:
    """The name of a loss, and its settings if they are not the defaults."""
    if isinstance(loss, str):
        return loss, {}
    return loss.name, dict(vars(loss))
