"""Learning rate schedules: rates that change during training, given to an optimizer in place of a number.

A schedule is a function of the time T in epochs: the number of updates made, divided by the updates of an epoch.
So with mini-batches the rate changes within an epoch. It is evaluated in compiled code before each update. If an
argument is invalid, all schedules raise TypeError or ValueError with its name and value.

>>> import fastnn
>>> X, y = fastnn.datasets.circle(density=10)
>>> net = fastnn.mlp([2, 4, 1], output="sigmoid")
>>> rate = CosineDecay(10.0, epochs=100)
>>> net.fit(X, y, epochs=100, optimizer=fastnn.SGD(rate)).learning_rate[[0, 50, 99]].round(3).tolist()
[10.0, 5.0, 0.002]
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from fastnn import checks
from fastnn.kernels import schedules as kernels
from fastnn.settings import Schedule as Schedule
from fastnn.settings import above_0, from_0, setting, share, whole


@dataclass(frozen=True, repr=False)
class StepDecay(Schedule):
    """Step decay: initial·factor**floor(T/every), the rate is multiplied by a factor every few epochs.

    Parameters
    ----------
    initial, factor : above 0.
    every : the number of epochs between two steps, a whole number from 1 on.

    Examples
    --------
    >>> StepDecay(0.1, factor=0.5, every=20)
    StepDecay(0.1, factor=0.5, every=20)
    """

    kernel = staticmethod(kernels.step_decay)

    initial: float = setting(above_0)
    _: KW_ONLY
    factor: float = setting(above_0, 0.1)
    every: int = setting(whole, 10)


@dataclass(frozen=True, repr=False)
class ExponentialDecay(Schedule):
    """Exponential decay: initial·factor**T, a little lower after each update.

    Parameters
    ----------
    initial : the first rate, above 0.
    factor : by which the rate is multiplied in an epoch, above 0.

    Examples
    --------
    >>> ExponentialDecay(0.1, factor=0.9)
    ExponentialDecay(0.1, factor=0.9)
    """

    kernel = staticmethod(kernels.exponential_decay)

    initial: float = setting(above_0)
    _: KW_ONLY
    factor: float = setting(above_0, 0.96)


@dataclass(frozen=True, repr=False)
class CosineDecay(Schedule):
    """Cosine decay: final + (initial - final)·(1 + cos(π·min(T/epochs, 1)))/2 (I. Loshchilov, F. Hutter, 2017).

    Parameters
    ----------
    initial : the first rate, above 0.
    epochs : the number of epochs of the decay, a whole number from 1 on.
    final : the rate at its end, 0 or more.

    Examples
    --------
    >>> CosineDecay(0.1, epochs=50)
    CosineDecay(0.1, epochs=50, final=0.0)
    """

    kernel = staticmethod(kernels.cosine_decay)

    initial: float = setting(above_0)
    _: KW_ONLY
    epochs: int = setting(whole)
    final: float = setting(from_0, 0.0)


@dataclass(frozen=True, repr=False)
class CosineRestarts(Schedule):
    """Cosine decay with warm restarts: repeated cycles of CosineDecay (SGDR: I. Loshchilov, F. Hutter, 2017).

    Parameters
    ----------
    initial : the first rate, above 0.
    epochs : the number of epochs of the first cycle, a whole number from 1 on.
    growth : the length of each cycle, divided by that of the one before; 1 or more.
    decay : the height above ``final`` at which each cycle begins, divided by that of the one before; above 0.
    final : the rate at the end of each cycle, 0 or more.

    Examples
    --------
    >>> CosineRestarts(0.1, epochs=10, growth=2)
    CosineRestarts(0.1, epochs=10, growth=2.0, decay=1.0, final=0.0)
    """

    kernel = staticmethod(kernels.cosine_restarts)

    initial: float = setting(above_0)
    _: KW_ONLY
    epochs: int = setting(whole)
    growth: float = setting(checks.real_number, 1.0, least=1.0)
    decay: float = setting(above_0, 1.0)
    final: float = setting(from_0, 0.0)


@dataclass(frozen=True, repr=False)
class InverseScaling(Schedule):
    """Inverse scaling: initial/(1 + T)**power.

    Parameters
    ----------
    initial, power : above 0.

    Examples
    --------
    >>> InverseScaling(0.1)
    InverseScaling(0.1, power=0.5)
    """

    kernel = staticmethod(kernels.inverse_scaling)

    initial: float = setting(above_0)
    _: KW_ONLY
    power: float = setting(above_0, 0.5)


@dataclass(frozen=True, repr=False)
class OneCycle(Schedule):
    """One-cycle policy: up from maximum/initial_factor, then down to 1/final_factor of that (L. Smith, 2018).

    The rate rises to the maximum and falls again, both along half a cosine wave, over all updates of ``epochs``,
    as in PyTorch's OneCycleLR.

    Parameters
    ----------
    maximum : the greatest rate, above 0.
    epochs : the number of epochs of the whole cycle, a whole number from 1 on; after it the rate stays.
    warm_up : the share of the cycle in which the rate rises, from 0 to below 1.
    initial_factor, final_factor : 1 or more.

    Examples
    --------
    >>> OneCycle(0.1, epochs=50)
    OneCycle(0.1, epochs=50, warm_up=0.3, initial_factor=25.0, final_factor=10000.0)
    """

    kernel = staticmethod(kernels.one_cycle)

    maximum: float = setting(above_0)
    _: KW_ONLY
    epochs: int = setting(whole)
    warm_up: float = setting(share, 0.3)
    initial_factor: float = setting(checks.real_number, 25.0, least=1.0)
    final_factor: float = setting(checks.real_number, 1e4, least=1.0)

    @property
    def initial(self) -> float:  # type: ignore[override]
        """The rate of the first update."""
        return self.maximum / self.initial_factor if self.warm_up > 0.0 else self.maximum


@dataclass(frozen=True, repr=False)
class ReduceOnPlateau(Schedule):
    """Reduce on plateau: the rate is multiplied by a factor when the loss has not improved for some epochs.

    The loss is that of the validation rows, or without them that of training.

    Parameters
    ----------
    initial : the first rate, above 0.
    factor : above 0 and below 1.
    patience : the number of epochs without improvement, a whole number from 1 on.
    min_delta : a loss is an improvement if it is lower than the best by more than this; 0 or more.
    least : the lower bound of the rate; from 0 to ``initial``.

    Examples
    --------
    >>> ReduceOnPlateau(0.1, patience=5)
    ReduceOnPlateau(0.1, factor=0.1, patience=5, min_delta=0.0001, least=0.0)
    """

    initial: float = setting(above_0)
    _: KW_ONLY
    factor: float = setting(checks.real_number, 0.1, above=0.0, below=1.0)
    patience: int = setting(whole, 10)
    min_delta: float = setting(from_0, 1e-4)
    least: float = setting(from_0, 0.0)

    def _check_together(self) -> None:
        if self.least > self.initial:
            raise ValueError(f"least is {self.least:g}; a number up to initial, {self.initial:g}, is needed")

    @property
    def plateau(self) -> tuple[float, float, int, float] | None:
        """The numbers (factor, min_delta, patience, least) for the compiled loop."""
        return self.factor, self.min_delta, self.patience, self.least


def _no_warm_up(value: Any, name: str) -> float | Schedule:
    if isinstance(value, WarmUp):
        raise ValueError(f"{name} is {value!r}; a rate or a schedule that is no WarmUp itself is needed")
    return value if isinstance(value, Schedule) else above_0(value, name)


@dataclass(frozen=True, repr=False)
class WarmUp(Schedule):
    """Linear warm-up: the rate rises in equal steps, one per update, to that of another schedule, which follows.

    Parameters
    ----------
    after : a rate above 0, or any schedule but a WarmUp.
    epochs : the number of epochs of the rise, a whole number from 1 on.

    Examples
    --------
    >>> WarmUp(CosineDecay(0.1, epochs=50), epochs=5)
    WarmUp(CosineDecay(0.1, epochs=50, final=0.0), epochs=5)
    """

    after: float | Schedule = setting(_no_warm_up)
    _: KW_ONLY
    epochs: int = setting(whole)

    @property
    def initial(self) -> float:  # type: ignore[override]
        """The initial rate of the other schedule, at the end of the warm-up."""
        return self.after.initial if isinstance(self.after, Schedule) else self.after

    @property
    def warm_epochs(self) -> int:
        """The number of epochs in which the rate rises to the initial one."""
        return self.epochs

    @property
    def kernel(self) -> Any:
        """The other schedule's kernel; None for a constant rate."""
        return self.after.kernel if isinstance(self.after, Schedule) else None

    @property
    def numbers(self) -> tuple[float, ...]:
        """The numbers that the other schedule's kernel is given."""
        return self.after.numbers if isinstance(self.after, Schedule) else ()

    @property
    def plateau(self) -> tuple[float, float, int, float] | None:
        """The other schedule's plateau settings, or None."""
        return self.after.plateau if isinstance(self.after, Schedule) else None
