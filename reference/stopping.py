"""The history of a fit, and early stopping."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

# For these lower is better; for the other metrics higher.
LESS_IS_BETTER = ("loss", "log_loss", "mse", "rmse", "mae")


@dataclass
class History:
    """The record of a fit: numbers for each epoch, and how it ended."""

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] | None = None  # without validation data
    metrics: dict[str, list[Any]] = field(default_factory=dict)  # "val_" and the name for those of validation
    learning_rate: list[float] = field(default_factory=list)  # of each epoch's first update
    best_epoch: int | None = None  # counted from 1; None without early stopping
    status: str = "finished"  # or "stopped", "converged" or "diverged"

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return len(self.loss)

    def latest(self, name: str) -> float:
        """The last value of "loss", "val_loss" or a metric."""
        if name == "loss":
            return self.loss[-1]
        if name == "val_loss" and self.val_loss is not None:
            return self.val_loss[-1]
        return float(self.metrics[name][-1])


class EarlyStopping:
    """End a fit when a monitored value has not improved for `patience` epochs.

    monitor: "loss", "val_loss", the name of a metric, or "val_" and that; None is "val_loss", or "loss"
    without validation data. An improvement has to be greater than min_delta. With restore_best the network
    has its best parameters at the end, unless it diverged.
    """

    def __init__(
        self,
        monitor: str | None = None,
        *,
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience is {patience}; it must be at least 1")
        if not 0.0 <= min_delta < math.inf:
            raise ValueError(f"min_delta is {min_delta}; it must be at least 0 and finite")
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.restore_best = restore_best

    def start(self, history: History) -> None:
        """Before each fit; its empty history shows which values there will be."""
        losses = ["loss"] if history.val_loss is None else ["loss", "val_loss"]
        known = [*losses, *history.metrics]
        self.watched = losses[-1] if self.monitor is None else self.monitor
        if self.watched not in known or self.watched.endswith("confusion_matrix"):
            raise ValueError(f"monitor is {self.watched!r}; there are {', '.join(known)}")
        self.best = math.nan
        self.best_epoch: int | None = None
        self.best_parameters: list[float] = []
        self.wait = 0

    def look(self, history: History, parameters: list[float]) -> bool:
        """After each epoch: whether the fit should stop."""
        value = history.latest(self.watched)
        if self.watched.removeprefix("val_") in LESS_IS_BETTER:
            ahead = value < self.best - self.min_delta
        else:
            ahead = value > self.best + self.min_delta
        better = math.isfinite(value) and (ahead or self.best_epoch is None)
        if better:
            self.best = value
            self.best_epoch = history.epochs
            self.best_parameters = parameters
            self.wait = 0
            return False
        self.wait += 1
        return self.wait >= self.patience
