"""Learning rates that change while a network is trained, given to an optimizer in place of a number.

A schedule is a function of the time, which is counted in epochs: T = updates made / updates of an epoch, so that
mini-batches move along it within an epoch. It is evaluated in compiled code before each update. All raise
TypeError or ValueError, with the argument's name and value, for what they do not accept.

>>> import fastnn
>>> X, y = fastnn.datasets.circle(density=10)
>>> net = fastnn.mlp([2, 4, 1], output="sigmoid")
>>> rate = CosineDecay(10.0, epochs=100)
>>> net.fit(X, y, epochs=100, optimizer=fastnn.SGD(rate)).learning_rate[[0, 50, 99]].round(3).tolist()
[10.0, 5.0, 0.002]
"""

from __future__ import annotations

from typing import Any

from fastnn import checks
from fastnn.kernels import schedules as kernels


class Schedule:
    """What all schedules have.

    Attributes
    ----------
    initial : the rate of the first update (of a OneCycle that has no time to rise, nearly).
    """

    kernel: Any = None  # static: its function of the time; None: a constant, or a reaction to the loss
    initial: float
    warm_epochs = 0  # in which the rate rises to the initial one

    @property
    def numbers(self) -> tuple[float, ...]:
        """What its kernel is given."""
        return ()

    @property
    def plateau(self) -> tuple[float, float, int, float] | None:
        """Factor, least gain, patience and least rate, if the rate is reduced where the loss stays."""
        return None

    @property
    def _shown(self) -> dict[str, Any]:
        """The arguments after the first, as they were given."""
        return {}

    def __repr__(self) -> str:
        parts = [f"{self._first:g}", *(f"{name}={value!r}" for name, value in self._shown.items())]
        return f"{type(self).__name__}({', '.join(parts)})"

    @property
    def _first(self) -> float:
        return self.initial


def _positive(value: Any, name: str) -> float:
    return checks.real_number(value, name, above=0.0)


def _whole(value: Any, name: str) -> int:
    return checks.whole_number(value, name, least=1, most=checks.MOST_EPOCHS)


class StepDecay(Schedule):
    """initial·factor**floor(T/every): another rate every so many epochs.

    Parameters
    ----------
    initial, factor : above 0.
    every : epochs, a whole number from 1 on.

    Examples
    --------
    >>> StepDecay(0.1, factor=0.5, every=20)
    StepDecay(0.1, factor=0.5, every=20)
    """

    kernel = staticmethod(kernels.step_decay)

    def __init__(self, initial: float, *, factor: float = 0.1, every: int = 10) -> None:
        self.initial = _positive(initial, "initial")
        self.factor = _positive(factor, "factor")
        self.every = _whole(every, "every")

    @property
    def numbers(self) -> tuple[float, ...]:
        """What its kernel is given."""
        return self.initial, self.factor, self.every

    @property
    def _shown(self) -> dict[str, Any]:
        return {"factor": self.factor, "every": self.every}


class ExponentialDecay(Schedule):
    """initial·factor**T: a little lower with each update.

    Parameters
    ----------
    initial, factor : above 0; factor is that of an epoch.

    Examples
    --------
    >>> ExponentialDecay(0.1, factor=0.9)
    ExponentialDecay(0.1, factor=0.9)
    """

    kernel = staticmethod(kernels.exponential_decay)

    def __init__(self, initial: float, *, factor: float = 0.96) -> None:
        self.initial = _positive(initial, "initial")
        self.factor = _positive(factor, "factor")

    @property
    def numbers(self) -> tuple[float, ...]:
        """What its kernel is given."""
        return self.initial, self.factor

    @property
    def _shown(self) -> dict[str, Any]:
        return {"factor": self.factor}


class CosineDecay(Schedule):
    """final + (initial - final)·(1 + cos(π·min(T/epochs, 1)))/2 (I. Loshchilov, F. Hutter, 2017).

    Parameters
    ----------
    initial : above 0.
    epochs : that it takes to come down, a whole number from 1 on.
    final : 0 or more.

    Examples
    --------
    >>> CosineDecay(0.1, epochs=50)
    CosineDecay(0.1, epochs=50, final=0.0)
    """

    kernel = staticmethod(kernels.cosine_decay)

    def __init__(self, initial: float, *, epochs: int, final: float = 0.0) -> None:
        self.initial = _positive(initial, "initial")
        self.epochs = _whole(epochs, "epochs")
        self.final = checks.real_number(final, "final", least=0.0)

    @property
    def numbers(self) -> tuple[float, ...]:
        """What its kernel is given."""
        return self.initial, self.final, self.epochs

    @property
    def _shown(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "final": self.final}


class CosineRestarts(Schedule):
    """As CosineDecay, again and again (SGDR: I. Loshchilov, F. Hutter, 2017).

    Parameters
    ----------
    initial : above 0.
    epochs : of the first cycle, a whole number from 1 on.
    growth : each cycle is so many times as long as the one before; 1 or more.
    decay : each cycle begins so many times as far above ``final``; above 0.
    final : 0 or more.

    Examples
    --------
    >>> CosineRestarts(0.1, epochs=10, growth=2)
    CosineRestarts(0.1, epochs=10, growth=2.0, decay=1.0, final=0.0)
    """

    kernel = staticmethod(kernels.cosine_restarts)

    def __init__(
        self, initial: float, *, epochs: int, growth: float = 1.0, decay: float = 1.0, final: float = 0.0
    ) -> None:
        self.initial = _positive(initial, "initial")
        self.epochs = _whole(epochs, "epochs")
        self.growth = checks.real_number(growth, "growth", least=1.0)
        self.decay = _positive(decay, "decay")
        self.final = checks.real_number(final, "final", least=0.0)

    @property
    def numbers(self) -> tuple[float, ...]:
        """What its kernel is given."""
        return self.initial, self.final, self.epochs, self.growth, self.decay

    @property
    def _shown(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "growth": self.growth, "decay": self.decay, "final": self.final}


class InverseScaling(Schedule):
    """initial/(1 + T)**power.

    Parameters
    ----------
    initial, power : above 0.

    Examples
    --------
    >>> InverseScaling(0.1)
    InverseScaling(0.1, power=0.5)
    """

    kernel = staticmethod(kernels.inverse_scaling)

    def __init__(self, initial: float, *, power: float = 0.5) -> None:
        self.initial = _positive(initial, "initial")
        self.power = _positive(power, "power")

    @property
    def numbers(self) -> tuple[float, ...]:
        """What its kernel is given."""
        return self.initial, self.power

    @property
    def _shown(self) -> dict[str, Any]:
        return {"power": self.power}


class OneCycle(Schedule):
    """Up from maximum/initial_factor to maximum, then down to 1/final_factor of where it began (L. Smith, 2018).

    Both ways as half a wave of the cosine, over all updates of ``epochs``, as PyTorch's OneCycleLR has it.

    Parameters
    ----------
    maximum : above 0.
    epochs : of the whole cycle, a whole number from 1 on; after it the rate stays.
    warm_up : the share of the way up, from 0 to below 1.
    initial_factor, final_factor : 1 or more.

    Examples
    --------
    >>> OneCycle(0.1, epochs=50)
    OneCycle(0.1, epochs=50, warm_up=0.3, initial_factor=25.0, final_factor=10000.0)
    """

    kernel = staticmethod(kernels.one_cycle)

    def __init__(
        self,
        maximum: float,
        *,
        epochs: int,
        warm_up: float = 0.3,
        initial_factor: float = 25.0,
        final_factor: float = 1e4,
    ) -> None:
        self.maximum = _positive(maximum, "maximum")
        self.epochs = _whole(epochs, "epochs")
        self.warm_up = checks.real_number(warm_up, "warm_up", least=0.0, below=1.0)
        self.initial_factor = checks.real_number(initial_factor, "initial_factor", least=1.0)
        self.final_factor = checks.real_number(final_factor, "final_factor", least=1.0)
        self.initial = self.maximum / self.initial_factor if self.warm_up > 0.0 else self.maximum

    @property
    def numbers(self) -> tuple[float, ...]:
        """What its kernel is given."""
        return self.maximum, self.epochs, self.warm_up, self.initial_factor, self.final_factor

    @property
    def _first(self) -> float:
        return self.maximum

    @property
    def _shown(self) -> dict[str, Any]:
        return {
            "epochs": self.epochs,
            "warm_up": self.warm_up,
            "initial_factor": self.initial_factor,
            "final_factor": self.final_factor,
        }


class ReduceOnPlateau(Schedule):
    """Multiplied by a factor whenever the loss has not become better for some epochs.

    It looks at the loss of the validation rows, and without them at that of training.

    Parameters
    ----------
    initial : the rate at first, above 0.
    factor : above 0 and below 1.
    patience : epochs without a better loss, a whole number from 1 on.
    min_delta : a loss is better if it is lower than the best by more than this; 0 or more.
    least : the rate does not go below it; from 0 to ``initial``.

    Examples
    --------
    >>> ReduceOnPlateau(0.1, patience=5)
    ReduceOnPlateau(0.1, factor=0.1, patience=5, min_delta=0.0001, least=0.0)
    """

    def __init__(
        self,
        initial: float,
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        least: float = 0.0,
    ) -> None:
        self.initial = _positive(initial, "initial")
        self.factor = checks.real_number(factor, "factor", above=0.0, below=1.0)
        self.patience = _whole(patience, "patience")
        self.min_delta = checks.real_number(min_delta, "min_delta", least=0.0)
        self.least = checks.real_number(least, "least", least=0.0)
        if self.least > self.initial:
            raise ValueError(f"least is {self.least:g}; a number up to initial, {self.initial:g}, is needed")

    @property
    def plateau(self) -> tuple[float, float, int, float] | None:
        """Factor, least gain, patience and least rate."""
        return self.factor, self.min_delta, self.patience, self.least

    @property
    def _shown(self) -> dict[str, Any]:
        return {
            "factor": self.factor,
            "patience": self.patience,
            "min_delta": self.min_delta,
            "least": self.least,
        }


class WarmUp(Schedule):
    """The rate rises in equal steps, one an update, to that of another schedule, which then begins.

    Parameters
    ----------
    after : a rate above 0, or any schedule but a WarmUp.
    epochs : that the rise takes, a whole number from 1 on.

    Examples
    --------
    >>> WarmUp(CosineDecay(0.1, epochs=50), epochs=5)
    WarmUp(CosineDecay(0.1, epochs=50, final=0.0), epochs=5)
    """

    def __init__(self, after: float | Schedule, *, epochs: int) -> None:
        if isinstance(after, WarmUp):
            raise ValueError(f"after is {after!r}; a rate or a schedule that is no WarmUp itself is needed")
        self.after = after if isinstance(after, Schedule) else _positive(after, "after")
        self.warm_epochs = _whole(epochs, "epochs")
        inner = self.after
        self.initial = inner.initial if isinstance(inner, Schedule) else inner
        self.kernel = inner.kernel if isinstance(inner, Schedule) else None

    @property
    def numbers(self) -> tuple[float, ...]:
        """What the other schedule's kernel is given."""
        return self.after.numbers if isinstance(self.after, Schedule) else ()

    @property
    def plateau(self) -> tuple[float, float, int, float] | None:
        """That of the other schedule."""
        return self.after.plateau if isinstance(self.after, Schedule) else None

    def __repr__(self) -> str:
        after = repr(self.after) if isinstance(self.after, Schedule) else f"{self.after:g}"
        return f"WarmUp({after}, epochs={self.warm_epochs})"
