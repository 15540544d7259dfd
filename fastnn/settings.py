"""Descriptions that people make, such as optimizers: what they are given is checked, and never changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
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
