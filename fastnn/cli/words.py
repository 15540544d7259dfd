"""Numbers as people read them."""

from __future__ import annotations


def count(number: int, thing: str, things: str | None = None) -> str:
    """1 epoch, 2,000 epochs."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def duration(seconds: float) -> str:
    """The time in a unit in which it is a handy number."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:,.0f} s"


def significant(number: float, digits: int = 3) -> str:
    """A number of any size, rounded to some digits, with commas between the thousands."""
    rounded = float(f"{number:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:#.{digits}g}".rstrip(".")


def some(names: list[str], most: int = 10) -> str:
    """Names in a row, cut where it gets long."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
