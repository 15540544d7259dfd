"""Rows of numbers: checked, and packed into the tiles that the kernels read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from fastnn import checks, memory
from fastnn.arrays import aligned, aligned_zeros
from fastnn.kernels import layout
from fastnn.loss_kinds import Loss
from fastnn.plan import Plan

Array = npt.NDArray[Any]
Data: TypeAlias = tuple[Array, Array, Array]  # inputs, targets, weights
T = TypeVar("T")


@dataclass(frozen=True)
class Format:
    """The format in which a network and its loss need rows."""

    features: int
    outputs: int
    loss: Loss
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """The size of one row with a weight, in bytes."""
        return (self.features + self.outputs + 1) * self.dtype.itemsize


@dataclass(frozen=True)
class Rows:
    """Checked rows of one dtype: X (n, F), targets (n, K) of the loss, weights (n,) or None.

    ``labels`` are the targets as they were given, if the loss smooths them. Rows ``in_place`` are not packed, but
    gathered from the given arrays each time they are needed.
    """

    X: Array
    y: Array
    weights: Array | None
    labels: Array | None = None
    in_place: bool = False

    def __len__(self) -> int:
        return len(self.X)

    @property
    def features(self) -> int:
        """The number of features of a row."""
        return int(self.X.shape[1])

    @property
    def outputs(self) -> int:
        """The number of targets of a row."""
        return int(self.y.shape[1])

    @property
    def is_weighted(self) -> bool:
        """Whether each row has a weight."""
        return self.weights is not None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of all these arrays."""
        return self.X.dtype

    @property
    def given(self) -> Array:
        """The targets (n, K) as they were given."""
        return self.y if self.labels is None else self.labels

    def counting(self) -> Rows:
        """Return the rows without those of weight 0."""
        if self.weights is None or self.weights.all():
            return self
        return self.chosen(self.weights > 0)

    def chosen(self, which: Array) -> Rows:
        """Return some of the rows, chosen by their indices or by a Boolean mask."""
        weights = None if self.weights is None else self.weights[which]
        labels = None if self.labels is None else self.labels[which]
        return Rows(self.X[which], self.y[which], weights, labels)

    def weighted(self) -> Rows:
        """Return the same rows, with a weight for each."""
        weights = np.ones(len(self.X), self.dtype) if self.weights is None else self.weights
        return Rows(self.X, self.y, weights, self.labels)

    def part(self, first: int, stop: int) -> Rows:
        """Return the rows from ``first`` up to but not including ``stop``, as views."""
        weights = None if self.weights is None else self.weights[first:stop]
        labels = None if self.labels is None else self.labels[first:stop]
        return Rows(self.X[first:stop], self.y[first:stop], weights, labels)

    def pieces(self) -> Iterator[Rows]:
        """Yield all rows in one piece; a stream yields several."""
        yield self

    def packed(self, plan: Plan) -> Data:
        """Return the rows in tiles, feature by feature, as the compiled loop reads them for full batches."""
        tiles = Tiles(plan, len(self), self.is_weighted)
        tiles.put(0, self)
        tiles.end(len(self))
        return tiles.data

    def flat(self, plan: Plan) -> Data:
        """Return them row after row, as the compiled loop reads mini-batches; without weights, a tile of ones."""
        weights = np.ones(plan.tile, self.dtype) if self.weights is None else self.weights
        return self.X.reshape(-1), self.y.reshape(-1), weights


class Tiles:
    """Memory for ``rows`` rows, from anywhere in the data set, packed in tiles feature by feature.

    Attributes
    ----------
    data : inputs, targets and weights, as the compiled loop reads them.
    """

    def __init__(self, plan: Plan, rows: int, weighted: bool) -> None:
        self._tile = plan.tile
        tiles, (features, outputs) = -(-rows // plan.tile), columns_of(plan)
        memory.refuse(
            tiles * (features + outputs + weighted) * plan.stride * plan.dtype.itemsize,
            f"to pack {rows:,} rows",
            "fit and evaluate can do with less: memory_limit says with how much",
        )
        inputs, targets = (aligned(tiles * count * plan.stride, plan.dtype) for count in (features, outputs))
        if weighted:
            weights = aligned_zeros(tiles * plan.stride, plan.dtype)
        else:
            # A tile of ones, then the weights of the data set's last tile.
            weights = aligned_zeros(2 * plan.stride, plan.dtype)
            weights[: plan.tile] = 1
            weights[plan.stride : plan.stride + (int(plan.numbers[layout.SAMPLES]) - 1) % plan.tile + 1] = 1
        self.data = inputs, targets, weights
        self._inputs = inputs.reshape(tiles, features, plan.stride)
        self._targets = targets.reshape(tiles, outputs, plan.stride)
        self._weights = weights.reshape(tiles, 1, plan.stride) if weighted else None

    def put(self, at: int, rows: Rows) -> None:
        """Overwrite the rows from number ``at`` on."""
        self._put(self._inputs, at, rows.X)
        self._put(self._targets, at, rows.y)
        if self._weights is not None:
            assert rows.weights is not None
            self._put(self._weights, at, rows.weights[:, np.newaxis])

    def _put(self, packed: Array, at: int, values: Array) -> None:
        """Overwrite lanes of packed (tiles, columns, stride) with values (n, columns)."""
        tile, n = self._tile, len(values)
        head = min(n, -at % tile)  # up to the end of a tile that has been begun
        whole = (n - head) // tile
        first, rest = -(-at // tile), n - head - whole * tile
        if head:
            packed[at // tile, :, at % tile : at % tile + head] = values[:head].T
        between = values[head : head + whole * tile].reshape(whole, tile, values.shape[1])
        packed[first : first + whole, :, :tile] = between.transpose(0, 2, 1)
        if rest:
            packed[first + whole, :, :rest] = values[n - rest :].T

    def end(self, count: int) -> None:
        """Fill up the tile that holds the last of ``count`` rows with copies of that row, of weight 0.

        The padding thus behaves like a row of the data, and never overflows where the data does not.
        """
        tile, rest = divmod(count, self._tile)
        if rest:
            for packed in (self._inputs, self._targets):
                packed[tile, :, rest : self._tile] = packed[tile, :, rest - 1 : rest]
            if self._weights is not None:
                self._weights[tile, :, rest:] = 0


def columns_of(plan: Plan) -> tuple[int, int]:
    """Return the numbers (features, outputs) of a row."""
    return int(plan.numbers[layout.INPUTS]), int(plan.numbers[layout.OUTPUTS])


def rows_for(wanted: Format, X: Array, y: Any, weights: Array | None, name: str = "y") -> Rows:
    """Return rows of checked X and weights, with the targets y as the loss takes them."""
    given = wanted.loss.targets(y, len(X), wanted.outputs, X.dtype, name)
    targets = wanted.loss.smoothed(given)
    return Rows(X, targets, weights, None if targets is given else given)


class Kept:
    """A cache of what is made from rows, which lasts as long as this object."""

    def __init__(self) -> None:
        self._made: dict[Any, tuple[Any, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the cache: its keys are ids of objects that a copy does not share."""
        return {**self.__dict__, "_made": {}}

    def once(self, make: Callable[..., T], *arguments: Any) -> T:
        """Return ``make(*arguments)``, made once for the same objects, or for equal ones of the types BY_VALUE."""
        key = make, *(each if isinstance(each, BY_VALUE) else id(each) for each in arguments)
        return self._once(key, lambda: make(*arguments), arguments)

    def _once(self, key: Any, make: Callable[[], T], alive: Any) -> T:
        if key not in self._made:
            self._made[key] = make(), alive  # so that no other object gets the id of one of the arguments
        made: T = self._made[key][0]
        return made

    def counting(self, rows: Rows) -> Rows:
        """Return ``rows.counting()``, made once."""
        return self.once(Rows.counting, rows)

    def packed(self, rows: Rows, plan: Plan) -> Data:
        """Return ``rows.packed(plan)``, made once for each size of tiles."""
        return self._once((id(rows), plan.tile, plan.stride), lambda: rows.packed(plan), rows)


BY_VALUE = (bool, int, float, str, type(None), np.dtype, Loss, Format)


class Dataset(Kept):
    """A data set that is checked and packed once, for many calls.

    It can be given wherever ``X, y`` and ``sample_weight`` are taken, in their place:
    ``net.fit(dataset, epochs=10)``.

    Parameters
    ----------
    X : (n, features) numbers.
    y : (n,) or (n, outputs) targets; for cross entropy labels (n,) or class shares (n, classes).
    sample_weight : (n,) numbers, 0 or more; if it is None, every row has weight 1.

    Raises
    ------
    TypeError, ValueError
        If X or sample_weight have the wrong type or value. Targets are checked once a network and a loss are
        known.

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
        super().__init__()
        given = checks.numbers_of(X, "X")
        dtype = checks.DTYPES.get(given.dtype.name, checks.DTYPES["float64"])
        memory.refuse(given.size * dtype.itemsize, f"to copy X, {given.size:,} numbers,")
        self.X = _own(checks.matrix(given, "X", dtype), X)
        self.y = _own(checks.numbers_of(y, "y"), y)
        weights = checks.sample_weights(sample_weight, len(self.X), checks.DTYPES["float64"])
        self.sample_weight = None if weights is None else _own(weights, sample_weight)

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        weighted = "" if self.sample_weight is None else ", weighted"
        return f"Dataset({len(self)} rows, {self.X.shape[1]} features{weighted})"

    def rows(self, wanted: Format) -> Rows:
        """Return its rows, checked for a network and a loss."""

        def checked() -> Rows:
            return _checked(self.X, self.y, self.sample_weight, wanted)

        return self._once((wanted.features, wanted.outputs, wanted.loss.of_targets, wanted.dtype), checked, None)


def rows_of(X: Any, y: Any, sample_weight: Any, wanted: Format) -> tuple[Rows, Dataset | None]:
    """Return checked rows, and the Dataset that they come from, or None if they come from arrays."""
    if isinstance(X, Dataset):
        if y is not None or sample_weight is not None:
            raise TypeError("X is a Dataset, which has its own y and sample_weight; they cannot be given too")
        return X.rows(wanted), X
    if y is None:
        raise TypeError("y is missing; targets are needed, or a Dataset in place of X and y")
    return _checked(X, y, sample_weight, wanted), None


def _checked(X: Any, y: Any, sample_weight: Any, wanted: Format) -> Rows:
    matrix = checks.matrix(X, "X", wanted.dtype, wanted.features)
    weights = checks.sample_weights(sample_weight, len(matrix), wanted.dtype)
    return rows_for(wanted, matrix, y, weights)


def _own(array: Array, given: Any) -> Array:
    """Return the array, or a copy if its memory is the caller's, who may change it later; made read-only."""
    own = array.copy() if np.may_share_memory(array, np.asarray(given)) else array
    own.flags.writeable = False
    return own
