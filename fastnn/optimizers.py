"""Optimizers: how the parameters follow the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import checks
from fastnn.kernels import layout
from fastnn.kernels import optimizers as kinds


class SGD:
    """Stochastic gradient descent, with momentum (B. Polyak, 1964) and Nesterov's variant (1983).

    With gradient g and velocity v, which is 0 when a fit starts: v = momentum·v + g, and the parameters change
    by -learning_rate·v, or with ``nesterov`` by -learning_rate·(g + momentum·v).

    Parameters
    ----------
    learning_rate : above 0.
    momentum : from 0 to below 1.
    nesterov : needs a momentum above 0.

    Raises
    ------
    TypeError, ValueError
        For anything else, with the argument's name and value.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9)
    SGD(0.1, momentum=0.9)
    """

    kind = kinds.SGD

    def __init__(self, learning_rate: float = 0.01, *, momentum: float = 0.0, nesterov: bool = False) -> None:
        self.learning_rate = checks.real_number(learning_rate, "learning_rate", above=0.0)
        self.momentum = checks.real_number(momentum, "momentum", least=0.0, below=1.0)
        self.nesterov = checks.truth(nesterov, "nesterov")
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("nesterov is True and momentum 0; Nesterov's variant needs a momentum above 0")

    def numbers(self) -> npt.NDArray[np.float64]:
        """What the compiled loop reads of it."""
        numbers = np.zeros(layout.NUMBERS)
        numbers[layout.LEARNING_RATE] = self.learning_rate
        numbers[layout.MOMENTUM] = self.momentum
        numbers[layout.NESTEROV] = self.nesterov
        return numbers

    def __repr__(self) -> str:
        extra = f", momentum={self.momentum}" if self.momentum else ""
        return f"SGD({self.learning_rate}{extra}{', nesterov=True' if self.nesterov else ''})"


OPTIMIZERS = {"sgd": SGD}


def optimizer_of(value: Any) -> SGD:
    """An optimizer, given as itself, by name, or not at all."""
    if isinstance(value, SGD):
        return value
    if value is None:
        return SGD()
    if not isinstance(value, str):
        raise TypeError(f"optimizer is {value!r}; an optimizer like SGD(0.1) or a name is needed")
    return OPTIMIZERS[checks.choice(value, "optimizer", OPTIMIZERS)]()
