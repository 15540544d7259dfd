"""What a fit did."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class History:
    """The record of one fit.

    Attributes
    ----------
    loss : (epochs,) the loss of each finished epoch, at the parameters before each of its updates.
    status : "finished", "stopped" (early, or by a callback), "converged" (nothing more was to be gained),
        "diverged" (the loss was no longer finite) or "interrupted" (by Ctrl-C or an exception).
    compile_seconds, run_seconds : seconds spent on compiling, and on training without it.
    samples_per_second : samples trained on, of all epochs, for each second of running.
    val_loss : (epochs,) the loss of the validation rows after each epoch, or None.
    metrics : for each metric that was asked for, and "val_" before its name for the validation rows, its values
        (epochs,); of the confusion matrix (epochs, classes, classes). Those of training are of the predictions
        that made up ``loss``.
    learning_rate : (epochs,) that of each epoch's first update; 1 for optimizers that search for their step.
    best_epoch : the epoch, counted from 1, that early stopping found best; None without it.
    """

    loss: npt.NDArray[np.float64]
    status: str
    compile_seconds: float
    run_seconds: float
    samples_per_second: float
    val_loss: npt.NDArray[np.float64] | None = None
    metrics: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    learning_rate: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    best_epoch: int | None = None

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return len(self.loss)

    def __repr__(self) -> str:
        last = f", loss {self.loss[-1]:.4g}" if self.epochs else ""
        return (
            f"<History: {self.epochs} epochs{last}, {self.status}, "
            f"{self.run_seconds:.3g} s, {self.samples_per_second:.3g} samples/s>"
        )
