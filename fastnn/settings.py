"""Immutable descriptions such as optimizers and schedules, whose settings are checked when they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, astuple, dataclass, field, fields
from functools import partial
from typing import Any

from fastnn import checks


def setting(check: Callable[..., Any], default: Any = MISSING, **bounds: Any) -> Any:
    """Make a field of a ``Description``: ``check(value, name, **bounds)`` returns the value to keep, or raises."""
    metadata = {"check": partial(check, **bounds)}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def above_0(value: Any, name: str) -> float:
    """Return a number above 0; TypeError or ValueError for anything else."""
    return checks.real_number(value, name, above=0.0)


def from_0(value: Any, name: str) -> float:
    """Return a number of 0 or more; TypeError or ValueError for anything else."""
    return checks.real_number(value, name, least=0.0)


def share(value: Any, name: str) -> float:
    """Return a number from 0 to below 1; TypeError or ValueError for anything else."""
    return checks.real_number(value, name, least=0.0, below=1.0)


def whole(value: Any, name: str, least: int = 1, most: int = checks.MOST_EPOCHS) -> int:
    """Return a whole number from ``least`` to ``most``; TypeError or ValueError for anything else."""
    return checks.whole_number(value, name, least=least, most=most)


@dataclass(frozen=True)
class Description:
    """Base class of dataclasses of settings. Instances compare by value and are hashable."""

    def __post_init__(self) -> None:
        for each in fields(self):
            if "check" in each.metadata:
                checked = each.metadata["check"](getattr(self, each.name), each.name)
                object.__setattr__(self, each.name, checked)  # safe: it is still being made
        self._check_together()

    def _check_together(self) -> None:
        """Raise ValueError if settings contradict each other."""


class Schedule(Description):
    """Base class of all schedules, which are in ``fastnn.schedules``, since few programs need them.

    Attributes
    ----------
    initial : the rate of the first update (for a OneCycle without time to rise, only approximately).
    """

    kernel: Any = None  # a plain function of time, not a method; None: constant, or dependent on the loss
    initial: float

    @property
    def warm_epochs(self) -> int:
        """The number of epochs in which the rate rises to the initial one."""
        return 0

    @property
    def numbers(self) -> tuple[float, ...]:
        """The numbers its kernel is given: all settings, in class order."""
        return astuple(self) if self.kernel is not None else ()

    @property
    def plateau(self) -> tuple[float, float, int, float] | None:
        """The numbers (factor, min_delta, patience, least) of ReduceOnPlateau; None for other schedules."""
        return None

    def __repr__(self) -> str:
        first, *others = ((each.name, getattr(self, each.name)) for each in fields(self))
        rate = f"{first[1]!r}" if isinstance(first[1], Schedule) else f"{first[1]:g}"
        return f"{type(self).__name__}({', '.join([rate, *(f'{name}={value!r}' for name, value in others)])})"
