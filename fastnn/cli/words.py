"""Numbers and names as text for people."""

from __future__ import annotations


def count(number: int, thing: str, things: str | None = None) -> str:
    """Return a number with a noun, like "1 epoch" or "2,000 epochs"."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def duration(seconds: float) -> str:
    """Return a duration in a suitable unit."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:,.0f} s"


def significant(number: float, digits: int = 3) -> str:
    """Return a number of any size, rounded to some digits, with commas between the thousands."""
    rounded = float(f"{number:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:#.{digits}g}".rstrip(".")


def some(names: list[str], most: int = 10) -> str:
    """Return a list of names as text, with only the number of those beyond the first few."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
