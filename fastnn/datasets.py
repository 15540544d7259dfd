"""Small data sets that the textbooks use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastnn import checks

Doubles = npt.NDArray[np.float64]

MOST_DENSITY = 10_000  # a hundred million samples, 2.4 GB


def circle(density: int = 10) -> tuple[Doubles, Doubles]:
    """Return the points of a grid, and whether they lie inside the unit circle.

    Parameters
    ----------
    density : steps of the grid along each axis, from 1 to 10,000.

    Returns
    -------
    X : (n, 2) with n = (density + 1)², the points -2 + 4i/density on both axes, the first axis outermost.
    y : (n,), 1.0 where x² + y² < 1, else 0.0.

    Raises
    ------
    TypeError, ValueError
        If density is not a whole number in that range.

    Examples
    --------
    >>> X, y = circle(density=10)
    >>> X.shape, int(y.sum())
    ((121, 2), 21)
    """
    density = checks.whole_number(density, "density", least=1, most=MOST_DENSITY)
    axis = -2.0 + 4.0 * np.arange(density + 1) / density
    grid = np.empty((density + 1, density + 1, 2))
    grid[:, :, 0] = axis[:, np.newaxis]
    grid[:, :, 1] = axis
    X = grid.reshape(-1, 2)
    return X, np.where(X[:, 0] * X[:, 0] + X[:, 1] * X[:, 1] < 1.0, 1.0, 0.0)


def xor() -> tuple[Doubles, Doubles]:
    """Return the exclusive or: X (4, 2), the four pairs of 0 and 1, and y (4,).

    Examples
    --------
    >>> xor()[1]
    array([0., 1., 1., 0.])
    """
    return np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0, 0.0])
