"""Reactions to the results of an epoch: early stopping, and reducing the learning rate on a plateau."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.jit import kernel
from fastnn.kernels.layout import (
    BEST_EPOCH,
    BEST_VALUE,
    EPOCH,
    LOSS_COLUMN,
    MONITOR_COLUMN,
    MONITOR_DELTA,
    MONITOR_SIGN,
    PATIENCE,
    PLATEAU,
    PLATEAU_BEST,
    PLATEAU_DELTA,
    PLATEAU_FACTOR,
    PLATEAU_LEAST,
    PLATEAU_PATIENCE,
    PLATEAU_RATE,
    PLATEAU_WAITED,
    RUNNING,
    STATUS,
    STOPPED,
    VALIDATION_COLUMN,
    WAITED,
    WARM_EPOCHS,
)


@kernel
def better(plan: Any, numbers: Any, row: Any, sums: Any, cursor: Any) -> bool:
    """Return whether an epoch is the best so far; end the run after too many that are not."""
    if plan[MONITOR_COLUMN] < 0:
        return False
    value = numbers[MONITOR_SIGN] * row[plan[MONITOR_COLUMN]]  # smaller is better
    if np.isfinite(value) and (cursor[BEST_EPOCH] == 0 or value < sums[BEST_VALUE] - numbers[MONITOR_DELTA]):
        sums[BEST_VALUE] = value
        cursor[BEST_EPOCH] = cursor[EPOCH]
        cursor[WAITED] = 0
        return True
    cursor[WAITED] += 1
    if cursor[WAITED] >= plan[PATIENCE] and cursor[STATUS] == RUNNING:
        cursor[STATUS] = STOPPED
    return False


@kernel
def reduce_rate(plan: Any, numbers: Any, row: Any, sums: Any, cursor: Any) -> None:
    """Multiply the learning rate by a factor after too many epochs without a better loss."""
    if plan[PLATEAU] == 0 or cursor[EPOCH] <= numbers[WARM_EPOCHS]:
        return
    value = row[plan[VALIDATION_COLUMN] if plan[VALIDATION_COLUMN] >= 0 else LOSS_COLUMN]
    if value < sums[PLATEAU_BEST] - numbers[PLATEAU_DELTA]:
        sums[PLATEAU_BEST] = value
        cursor[PLATEAU_WAITED] = 0
    else:
        cursor[PLATEAU_WAITED] += 1
        if cursor[PLATEAU_WAITED] >= plan[PLATEAU_PATIENCE]:
            sums[PLATEAU_RATE] = max(sums[PLATEAU_RATE] * numbers[PLATEAU_FACTOR], numbers[PLATEAU_LEAST])
            cursor[PLATEAU_WAITED] = 0
