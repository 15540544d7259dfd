"""Pictures of functions of two variables, made of characters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Shades from 0 to 1, then the frame's corners, horizontal and vertical lines.
UNICODE = " ░▒▓█", "┌┐└┘", "─", "│"
ASCII = " .:-=+*#%@", "++++", "-", "|"
COLUMNS = 48  # a character is about twice as high as wide, so half as many rows make a square


def picture(function: Callable[[Array], Array], *, most: float = 2.0, plain: bool | None = None) -> str:
    r"""Draw the values of a function over the square [-most, most]²: x to the right, y up.

    Parameters
    ----------
    function : takes points (n, 2) and returns values (n,); values outside of 0 to 1 are drawn like 0 or 1.
    most : half the side of the square.
    plain : whether to draw with ASCII only; None does so if stdout's encoding lacks the other characters.

    Examples
    --------
    >>> print("\n".join(picture(lambda X: X[:, 0] > 0, plain=True).splitlines()[:3]))
      2 +------------------------------------------------+
        |                        @@@@@@@@@@@@@@@@@@@@@@@@|
        |                        @@@@@@@@@@@@@@@@@@@@@@@@|
    """
    if plain is None:
        plain = not _can_be_shown("".join(UNICODE[:2]) + UNICODE[2] + UNICODE[3])
    shades, corners, horizontal, vertical = ASCII if plain else UNICODE
    rows = COLUMNS // 2
    # The value in the middle of each character's cell.
    across = most * (2 * np.arange(COLUMNS) + 1 - COLUMNS) / COLUMNS
    down = -most * (2 * np.arange(rows) + 1 - rows) / rows
    points = np.stack(np.broadcast_arrays(across, down[:, np.newaxis]), axis=-1).reshape(-1, 2)
    values = np.asarray(function(points), np.float64).reshape(rows, COLUMNS)
    levels = (np.clip(values, 0.0, 1.0) * len(shades)).astype(int).clip(0, len(shades) - 1)

    marks = {-1: f"{most:g}", rows // 2: "0", rows: f"{-most:g}"}
    lines = [corners[0] + horizontal * COLUMNS + corners[1]]
    lines += [vertical + "".join(shades[level] for level in row) + vertical for row in levels]
    lines += [corners[2] + horizontal * COLUMNS + corners[3]]
    labelled = [f"{marks.get(i - 1, ''):>3} {line}" for i, line in enumerate(lines)]
    middle = "0".center(COLUMNS)
    axis = marks[rows] + middle[len(marks[rows]) : -len(marks[-1])] + marks[-1]
    return "\n".join([*labelled, f"{'':5}{axis}"])


def _can_be_shown(text: str) -> bool:
    """Whether stdout's encoding has these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
