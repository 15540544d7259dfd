"""Descriptions that people make, such as optimizers: what they are given is checked, and never changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, astuple, dataclass, field, fields
from functools import partial
from typing import Any

from fastnn import checks


def setting(check: Callable[..., Any], default: Any = MISSING, **bounds: Any) -> Any:
    """A field of a ``Description``: ``check(value, name, **bounds)`` gives what is kept, or raises."""
    metadata = {"check": partial(check, **bounds)}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def above_0(value: Any, name: str) -> float:
    """A number, or TypeError or ValueError."""
    return checks.real_number(value, name, above=0.0)


def from_0(value: Any, name: str) -> float:
    """A number, or TypeError or ValueError."""
    return checks.real_number(value, name, least=0.0)


def share(value: Any, name: str) -> float:
    """A number from 0 to below 1, or TypeError or ValueError."""
    return checks.real_number(value, name, least=0.0, below=1.0)


def whole(value: Any, name: str, least: int = 1, most: int = checks.MOST_EPOCHS) -> int:
    """A whole number, or TypeError or ValueError."""
    return checks.whole_number(value, name, least=least, most=most)


@dataclass(frozen=True)
class Description:
    """A dataclass of settings. Equal ones are equal, and can be keys."""

    def __post_init__(self) -> None:
        for each in fields(self):
            if "check" in each.metadata:
                checked = each.metadata["check"](getattr(self, each.name), each.name)
                object.__setattr__(self, each.name, checked)  # nobody has seen it yet
        self._check_together()

    def _check_together(self) -> None:
        """ValueError for settings that do not go with each other."""


class Schedule(Description):
    """What all schedules have. They are in ``fastnn.schedules``, which few programs need.

    Attributes
    ----------
    initial : the rate of the first update (of a OneCycle that has no time to rise, nearly).
    """

    kernel: Any = None  # static: its function of the time; None: a constant, or a reaction to the loss
    initial: float

    @property
    def warm_epochs(self) -> int:
        """In which the rate rises to the initial one."""
        return 0

    @property
    def numbers(self) -> tuple[float, ...]:
        """What its kernel is given: all settings, as they stand in the class."""
        return astuple(self) if self.kernel is not None else ()

    @property
    def plateau(self) -> tuple[float, float, int, float] | None:
        """Factor, least gain, patience and least rate, if the rate is reduced where the loss stays."""
        return None

    def __repr__(self) -> str:
        first, *others = ((each.name, getattr(self, each.name)) for each in fields(self))
        rate = f"{first[1]!r}" if isinstance(first[1], Schedule) else f"{first[1]:g}"
        return f"{type(self).__name__}({', '.join([rate, *(f'{name}={value!r}' for name, value in others)])})"
