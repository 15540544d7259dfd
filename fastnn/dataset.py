"""Rows of numbers: checked, and packed into the tiles that the kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import checks
from fastnn.loss_kinds import Loss
from fastnn.plan import Plan, aligned, aligned_zeros

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Checked rows of one dtype: X (n, F), targets (n, K) of the loss, weights (n,) or None.

    ``labels`` are the targets as they were given, where the loss smooths them.
    """

    X: Array
    y: Array
    weights: Array | None
    labels: Array | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of all of them."""
        return self.X.dtype

    @property
    def given(self) -> Array:
        """(n, K) the targets as they were given."""
        return self.y if self.labels is None else self.labels

    def counting(self) -> Rows:
        """Without the rows of weight 0."""
        if self.weights is None or self.weights.all():
            return self
        return self.chosen(self.weights > 0)

    def chosen(self, which: Array) -> Rows:
        """Some of the rows, by their numbers or by a truth value for each."""
        weights = None if self.weights is None else self.weights[which]
        labels = None if self.labels is None else self.labels[which]
        return Rows(self.X[which], self.y[which], weights, labels)

    def weighted(self) -> Rows:
        """The same rows, with a weight for each."""
        weights = np.ones(len(self.X), self.dtype) if self.weights is None else self.weights
        return Rows(self.X, self.y, weights, self.labels)

    def packed(self, plan: Plan) -> tuple[Array, Array, Array]:
        """In tiles, feature by feature: what the compiled loop reads in full batch."""
        tiles = -(-len(self.X) // plan.tile)
        if self.weights is None:
            # A tile of ones, then that of the last tile.
            weights = aligned_zeros(2 * plan.stride, self.dtype)
            weights[: plan.tile] = 1
            weights[plan.stride : plan.stride + len(self.X) - (tiles - 1) * plan.tile] = 1
        else:
            weights = aligned_zeros(tiles * plan.stride, self.dtype)
            _fill_tiles(weights.reshape(tiles, 1, plan.stride), self.weights[:, np.newaxis], plan.tile)
            weights[(tiles - 1) * plan.stride + len(self.X) - (tiles - 1) * plan.tile :] = 0
        return _in_tiles(self.X, tiles, plan), _in_tiles(self.y, tiles, plan), weights

    def flat(self) -> tuple[Array, Array, Array]:
        """Row after row: what the compiled loop reads in mini-batches."""
        weights = np.ones(1, self.dtype) if self.weights is None else self.weights
        return self.X.reshape(-1), self.y.reshape(-1), weights


def _in_tiles(values: Array, tiles: int, plan: Plan) -> Array:
    columns = values.shape[1]
    packed = aligned(tiles * columns * plan.stride, values.dtype)
    _fill_tiles(packed.reshape(tiles, columns, plan.stride), values, plan.tile)
    return packed


def _fill_tiles(packed: Array, values: Array, tile: int) -> None:
    """Overwrite packed (tiles, columns, stride) with values (n, columns); the last row fills up its tile.

    So padding behaves like a row of the data, and never overflows where the data does not.
    """
    whole = len(values) // tile
    columns = values.shape[1]
    packed[:whole, :, :tile] = values[: whole * tile].reshape(whole, tile, columns).transpose(0, 2, 1)
    rest = len(values) - whole * tile
    if rest:
        packed[whole, :, :rest] = values[whole * tile :].T
        packed[whole, :, rest:tile] = values[-1][:, np.newaxis]


def rows_for(loss: Loss, X: Array, y: Any, weights: Array | None, outputs: int) -> Rows:
    """Checked rows X and weights, with targets y as a loss of so many outputs takes them."""
    given = loss.targets(y, len(X), outputs, X.dtype)
    targets = loss.smoothed(given)
    return Rows(X, targets, weights, None if targets is given else given)


class Dataset:
    """Rows that are checked and packed once, for many calls.

    Wherever ``X, y`` and ``sample_weight`` are taken, a data set can be given in their place:
    ``net.fit(dataset, epochs=10)``.

    Parameters
    ----------
    X : (n, features) numbers.
    y : (n,) or (n, outputs) targets; for cross entropy labels (n,) or class shares (n, classes).
    sample_weight : (n,) numbers, 0 or more; without it every row counts 1.

    Raises
    ------
    TypeError, ValueError
        If X or sample_weight are not that. Targets are checked when a network and a loss are known.

    Examples
    --------
    >>> import fastnn
    >>> data = Dataset(*fastnn.datasets.circle(density=10))
    >>> data
    Dataset(121 rows, 2 features)
    >>> net = fastnn.mlp([2, 4, 1], output="sigmoid")
    >>> net.evaluate(data) == net.evaluate(*fastnn.datasets.circle(density=10))
    True
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any = None) -> None:
        given = checks.numbers_of(X, "X")
        dtype = checks.DTYPES.get(given.dtype.name, checks.DTYPES["float64"])
        self.X = _own(checks.matrix(given, "X", dtype), X)
        self.y = _own(checks.numbers_of(y, "y"), y)
        weights = checks.sample_weights(sample_weight, len(self.X), checks.DTYPES["float64"])
        self.sample_weight = None if weights is None else _own(weights, sample_weight)
        self._rows: dict[Any, Rows] = {}
        self._packed: dict[Any, tuple[Array, Array, Array]] = {}

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        weighted = "" if self.sample_weight is None else ", weighted"
        return f"Dataset({len(self)} rows, {self.X.shape[1]} features{weighted})"

    def rows(self, features: int, outputs: int, loss: Loss, dtype: np.dtype[Any]) -> Rows:
        """Checked for a network and a loss."""
        key = features, outputs, loss, dtype
        if key not in self._rows:
            X = checks.matrix(self.X, "X", dtype, features)
            weights = checks.sample_weights(self.sample_weight, len(X), dtype)
            self._rows[key] = rows_for(loss, X, self.y, weights, outputs)
        return self._rows[key]

    def counting(self, rows: Rows) -> Rows:
        """``rows.counting()``, made once."""
        key = id(rows), "counting"
        if key not in self._rows:
            self._rows[key] = rows.counting()
        return self._rows[key]

    def packed(self, rows: Rows, plan: Plan) -> tuple[Array, Array, Array]:
        """``rows.packed(plan)``, made once for each size of tiles."""
        key = id(rows), plan.tile, plan.stride
        if key not in self._packed:
            self._packed[key] = rows.packed(plan)
        return self._packed[key]


def _own(array: Array, given: Any) -> Array:
    """The array, or a copy if it is still the caller's, who may change it later."""
    return array.copy() if np.may_share_memory(array, np.asarray(given)) else array
