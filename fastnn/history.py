"""What a fit did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class History:
    """The record of one fit.

    Attributes
    ----------
    loss : (epochs,) the loss of each finished epoch, at the parameters before each of its updates.
    status : "finished", "diverged" (the loss was no longer finite) or "interrupted" (by Ctrl-C).
    compile_seconds, run_seconds : seconds spent on compiling, and on training without it.
    samples_per_second : samples trained on, of all epochs, for each second of running.
    """

    loss: npt.NDArray[np.float64]
    status: str
    compile_seconds: float
    run_seconds: float
    samples_per_second: float

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
