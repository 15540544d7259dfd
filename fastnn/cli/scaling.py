"""Scaling of columns to mean 0 and deviation 1, which is folded into the weights of a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fastnn import Sequential

Doubles = npt.NDArray[np.float64]

ROOM_FOR_WEIGHTS = 1e-6  # the bound on weights with folded-in scaling, as a share of the dtype's greatest number


class Scale:
    """Mean and deviation of each column of numbers (n,) or (n, columns), for a network of a dtype.

    ValueError if columns are so large or small that the weights with folded-in scaling might overflow.
    """

    def __init__(self, values: Doubles, dtype: np.dtype[Any]) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            self.mean: Any = values.mean(axis=0)
            deviation: Any = values.std(axis=0)
        most = ROOM_FOR_WEIGHTS * float(np.finfo(dtype).max)
        greatest = float(np.abs(values).max())
        if greatest > most or not np.isfinite(deviation).all():
            raise ValueError(
                f"the table holds {greatest:g}, which is too large to be scaled for {dtype}; divide such columns "
                "by some power of 10"
            )
        # A column that is constant (up to the rounding of its mean) becomes 0, and its folded weights become 0.
        self.deviation: Any = np.where(deviation <= 1e-12 * np.abs(self.mean), np.inf, deviation)
        least = float(np.min(self.deviation))
        if least < 1.0 / most:
            raise ValueError(
                f"the table holds a column of standard deviation {least:.3g}, which is too little to be scaled "
                f"for {dtype}; multiply it by some power of 10"
            )

    def scaled(self, values: Doubles) -> Doubles:
        """Return scaled values, (x - mean)/deviation."""
        scaled: Doubles = (values - self.mean) / self.deviation
        return scaled

    def unscaled(self, values: Doubles) -> Doubles:
        """Return the values that would be scaled to these; the inverse of ``scaled``."""
        unscaled: Doubles = values * self.deviation + self.mean
        return unscaled


def fold_inputs(net: Sequential, scale: Scale) -> None:
    """Turn a network of inputs (x - m)/d into one of inputs x: Σ w (x - m)/d + b = Σ (w/d) x + (b - Σ (w/d) m)."""
    from fastnn import Dense

    layer = net.layers[0]
    assert isinstance(layer, Dense)  # as the command line makes them
    weights = layer.weights.astype(np.float64) / scale.deviation[:, np.newaxis]
    layer.bias = layer.bias.astype(np.float64) - scale.mean @ weights
    layer.weights = weights


def fold_outputs(net: Sequential, scale: Scale) -> None:
    """Turn a network with identity outputs that predicts (t - m)/d into one that predicts t: d (Σ w x + b) + m."""
    from fastnn import Dense

    layer = net.layers[-1]
    assert isinstance(layer, Dense)
    layer.weights = layer.weights.astype(np.float64) * scale.deviation
    layer.bias = layer.bias.astype(np.float64) * scale.deviation + scale.mean
