"""The record of a fit."""

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
    status : "finished", "stopped" (early, or by a callback), "converged" (no further improvement was possible),
        "diverged" (the loss was no longer finite) or "interrupted" (by Ctrl-C or an exception).
    compile_seconds, run_seconds : the seconds spent on compiling, and on training without compiling.
    samples_per_second : the number of samples trained on in all epochs, divided by ``run_seconds``.
    val_loss : (epochs,) the loss of the validation rows after each epoch, or None.
    metrics : the values (epochs,) of each metric that was asked for, by its name, and for validation rows by
        "val_" and its name; (epochs, classes, classes) for confusion_matrix. Training metrics are computed from
        the same predictions as ``loss``.
    learning_rate : (epochs,) the rate of each epoch's first update; 1 for optimizers with a line search.
    best_epoch : the best epoch, counted from 1, according to early stopping; None without it.
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
        """The number of finished epochs."""
        return len(self.loss)

    def __repr__(self) -> str:
        last = f", loss {self.loss[-1]:.4g}" if self.epochs else ""
        return (
            f"<History: {self.epochs} epochs{last}, {self.status}, "
            f"{self.run_seconds:.3g} s, {self.samples_per_second:.3g} samples/s>"
        )
