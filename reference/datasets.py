"""Small data sets: inputs X (n, 2) and targets y (n,)."""

from __future__ import annotations


def circle(density: int = 10) -> tuple[list[list[float]], list[float]]:
    """Is a point inside the unit circle? Returns the (density + 1)² points of a grid over [-2, 2]².

    Points -2 + 4i/density on both axes, x outermost; target 1.0 where x² + y² < 1, else 0.0.
    """
    if density < 1:
        raise ValueError(f"density is {density}; it must be at least 1")
    axis = [-2.0 + 4.0 * i / density for i in range(density + 1)]
    X = [[x, y] for x in axis for y in axis]
    return X, [1.0 if x * x + y * y < 1.0 else 0.0 for x, y in X]


def xor() -> tuple[list[list[float]], list[float]]:
    """Exclusive or: the smallest problem that needs a hidden layer."""
    return [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0, 0.0]
