"""Rows that are read piece by piece: from arrays too large to be packed at once, or from an iterable of blocks.

They are cut into windows of whole tiles, the same tiles as if all were in memory, so that every number is the same
to the last bit. A thread reads and packs the next windows while the compiled loop works on the current one.
"""

from __future__ import annotations

import contextlib
import copy
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn import checks, dataset, memory
from fastnn.arrays import aligned
from fastnn.dataset import Data, Dataset, Format, Rows, Tiles, columns_of, rows_for
from fastnn.kernels import layout
from fastnn.plan import Plan
from fastnn.threads import started

Array = npt.NDArray[Any]

WINDOWS = 3  # one is worked on, one is ready, one is being filled
WINDOW_BYTES = (
    8 << 20
)  # at most, if there are several: packed rows are then still in a cache when they are worked on
PIECE_BYTES = 1 << 20  # size of the rows that are converted and checked at a time
PIECES = 4  # how many copies are then alive: converted, compared with infinity, cut by weights
LEAVE_SECONDS = 0.1  # how long an error, or Ctrl-C, waits for the reader, which may wait for the user's blocks
LOOK_SECONDS = 0.1  # how long to wait before looking whether Ctrl-C was pressed; not all systems interrupt a wait


class Block(NamedTuple):
    """Rows as they were given, and how errors say where they are."""

    X: Array
    y: Array
    weights: Array | None
    where: str = ""


Blocks: TypeAlias = Generator[Block, None, None]


@dataclass(frozen=True)
class Found:
    """What the first pass found: how many rows, how many of a weight above 0, and whether they have weights."""

    rows: int
    counting: int
    weighted: bool


class Stream:
    """Rows that are read piece by piece, any number of times; a stream can replace ``Rows``.

    Attributes
    ----------
    limit : how many bytes may be used for what is made from the rows; None: as few as will do.
    taken : how many bytes were left for other uses; they are no longer part of ``limit``.
    in_place : False; the rows are packed window by window.
    """

    in_place = False

    def __init__(self, blocks: Callable[[], Blocks], wanted: Format, limit: int | None) -> None:
        self._blocks = blocks
        self._wanted = wanted
        self.limit = limit
        self.taken = 0
        self._without_weight_0 = False
        self._compared: Rows | None = None
        self._found = self._first_pass()

    def __len__(self) -> int:
        return self._found.counting if self._without_weight_0 else self._found.rows

    @property
    def features(self) -> int:
        """The number of features of a row."""
        return self._wanted.features

    @property
    def outputs(self) -> int:
        """The number of targets of a row."""
        return self._wanted.outputs

    @property
    def is_weighted(self) -> bool:
        """Whether each row has a weight."""
        return self._found.weighted

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the network."""
        return self._wanted.dtype

    @property
    def row_bytes(self) -> int:
        """The size of one row with a weight, in bytes."""
        return self._wanted.row_bytes

    @property
    def _piece_rows(self) -> int:
        """The number of rows that are converted and checked at a time."""
        room = PIECE_BYTES if self.limit is None else min(PIECE_BYTES, self.limit // (4 * PIECES))
        return max(1, room // self.row_bytes)

    @property
    def piece_bytes(self) -> int:
        """The bytes of all pieces that are alive at a time."""
        return PIECES * self._piece_rows * self.row_bytes

    def leave(self, count: int) -> None:
        """Leave that many bytes of the limit for other uses."""
        if self.limit is None:
            return
        if count > self.limit:
            raise ValueError(
                f"memory_limit is {memory.shown(self.limit)}; metrics and validation rows alone take "
                f"{memory.enough(count)}"
            )
        self.limit -= count
        self.taken += count

    def counting(self) -> Stream:
        """Return the stream without the rows of weight 0."""
        if self._found.counting == self._found.rows:
            return self
        found = copy.copy(self)
        found._without_weight_0 = True
        found._compared = None if self._compared is None else self._compared.counting()
        return found

    def compared(self) -> Rows:
        """Return what metrics compare, and keep it: targets as they were given, and weights; X has no columns."""
        if self._compared is None:
            n = len(self)
            targets = np.empty((n, self.outputs), self.dtype)
            weights = np.empty(n, self.dtype) if self.is_weighted else None
            at = 0
            for piece in self.pieces():
                targets[at : at + len(piece)] = piece.given
                if weights is not None:
                    weights[at : at + len(piece)] = piece.weights
                at += len(piece)
            self._compared = Rows(np.empty((n, 0), self.dtype), targets, weights)
        return self._compared

    def pieces(self, ended: Callable[[], bool] = lambda: False) -> Generator[Rows, None, None]:
        """Yield all rows, checked and converted, until ``ended`` returns True.

        Raises
        ------
        TypeError, ValueError
            If rows are invalid, or if there are more or fewer than in the first pass.
        """
        first, rows, counting = self._found, 0, 0
        for piece in self._all_pieces(ended):
            if piece.is_weighted != self.is_weighted:
                if piece.is_weighted:
                    raise _others("this pass had sample weights, the first none")
                raise _others("the first pass had sample weights, this one none")
            of_weight = piece.counting()
            rows += len(piece)
            counting += len(of_weight)
            if rows > 2 * first.rows:  # there may be no end of them
                raise _others(f"the first pass had {first.rows} rows, this one {rows} or more")
            if rows > first.rows or counting > first.counting:  # the others are only counted
                continue
            kept = of_weight if self._without_weight_0 else piece
            if len(kept):
                yield kept
        if ended():
            return
        if rows != first.rows:
            raise _others(f"the first pass had {first.rows} rows, this one {rows}")
        if counting != first.counting:
            raise _others(f"the first pass had {first.counting} rows of a weight above 0, this one {counting}")

    def _all_pieces(self, ended: Callable[[], bool] = lambda: False) -> Generator[Rows, None, None]:
        count = self._piece_rows
        with contextlib.closing(self._blocks()) as blocks:
            for block in blocks:
                for first in range(0, len(block.X), count):
                    if ended():
                        return
                    yield self._piece(block, first, first + count)
                if ended():
                    return

    def _piece(self, block: Block, first: int, stop: int) -> Rows:
        wanted, part = self._wanted, slice(first, stop)
        cut = f"[{first}:{stop}]" if stop - first < len(block.X) else ""
        with _said_of(block.where, len(block.X)):
            X = checks.matrix(block.X[part], f"X{cut}", wanted.dtype, wanted.features)
            weights = None
            if block.weights is not None:
                weights = checks.row_weights(block.weights[part], len(X), wanted.dtype, f"sample_weight{cut}")
            return rows_for(wanted, X, block.y[part], weights, f"y{cut}")

    def _first_pass(self) -> Found:
        rows = counting = 0
        sum_of_weights = 0.0
        weighted: bool | None = None
        minus = zero = False
        for piece in self._all_pieces():
            if weighted is None:
                weighted = piece.is_weighted
            if weighted != piece.is_weighted:
                raise ValueError("some blocks have sample weights and others have none; all or none is needed")
            rows += len(piece)
            counting += len(piece) if piece.weights is None else int(np.count_nonzero(piece.weights))
            sum_of_weights += 0.0 if piece.weights is None else float(piece.weights.sum(dtype=np.float64))
            if self._wanted.loss.signs:
                minus |= bool((piece.given == -1).any())
                zero |= bool((piece.given == 0).any())
        if rows == 0:
            raise ValueError(
                "X has no rows: there is no block, or none that is not empty; at least one row is needed"
            )
        if counting == 0:
            raise ValueError("sample_weight is 0 for every row; at least one is needed that counts")
        if weighted:
            checks.refuse_sum(sum_of_weights, self.dtype)
        self._wanted.loss.refuse_mixture(minus, zero)
        return Found(rows, counting, bool(weighted))


def _others(how: str) -> ValueError:
    """Return the error for rows that change from pass to pass."""
    return ValueError(
        f"the rows are others than when they were read first: {how}; an object is needed that gives the same rows "
        "each time it is gone through"
    )


@contextlib.contextmanager
def _said_of(where: str, rows: int = 0) -> Iterator[None]:
    """Make errors begin with where the rows are, and use indices into the whole block of that many rows."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(where + checks.said_of_whole(str(error), rows)) from None


# Where rows come from ------------------------------------------------------------------------------


def are_blocks(X: Any) -> bool:
    """Return whether X is an iterable of blocks, rather than an array or something that becomes one.

    Raises
    ------
    TypeError
        If it can be iterated over only once.
    """
    if not isinstance(X, Iterable) or isinstance(X, (str, bytes, Mapping)) or hasattr(X, "__array__"):
        return False
    if isinstance(X, (list, tuple)):
        return bool(X) and isinstance(X[0], tuple) and len(X[0]) in (2, 3) and _is_table(X[0][0])
    if hasattr(X, "toarray"):  # a sparse matrix
        return False
    if isinstance(X, Iterator):
        raise TypeError(
            f"X is {checks.shown(X)}, which can be gone through only once, and rows are read once to be checked, "
            "and then again; a list of blocks, or an object whose __iter__ begins anew, is needed"
        )
    return True


def _is_table(value: Any) -> bool:
    try:
        return np.ndim(value) == 2
    except ValueError:  # rows of different lengths
        return True


def of_blocks(blocks: Iterable[Any], wanted: Format, limit: int | None) -> Stream:
    """Return a stream of blocks (X, y) or (X, y, sample_weight)."""

    def read() -> Blocks:
        for i, given in enumerate(blocks):
            if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
                raise TypeError(f"block {i} is {checks.shown(given)}; (X, y) or (X, y, sample_weight) is needed")
            where = f"block {i}: "
            with _said_of(where):
                yield block_of(where, *given)

    return Stream(read, wanted, limit)


def block_of(where: str, X: Any, y: Any, weights: Any = None) -> Block:
    """Return a block of arrays of numbers, after checking that they have the same number of rows."""
    rows = checks.numbers_of(X, "X")
    found = [checks.numbers_of(y, "y")]
    if weights is not None:
        found.append(checks.numbers_of(weights, "sample_weight"))
    if rows.ndim != 2:
        checks.matrix(rows, "X", checks.DTYPES["float64"])
    for array, name in zip(found, ("y", "sample_weight"), strict=False):
        if array.ndim == 0:
            raise ValueError(f"{name} has 0 dimension(s); one for each row is needed")
        checks.same_rows(array, len(rows), name)
    return Block(rows, found[0], found[1] if weights is not None else None, where)


def of_arrays(block: Block, wanted: Format, limit: int) -> Stream:
    """Return a stream of the rows of arrays."""

    def read() -> Blocks:
        yield block

    return Stream(read, wanted, limit)


def copied_bytes(block: Block, wanted: Format) -> int:
    """Return the bytes of the copies of given arrays that are needed before they can be packed."""

    def copied(array: Array | None, columns: int) -> int:
        if array is None:
            return 0
        fits = array.dtype == wanted.dtype and array.flags.c_contiguous and array.flags.aligned
        return 0 if fits and array.size == len(array) * columns else len(array) * columns * wanted.dtype.itemsize

    targets = copied(block.y, wanted.outputs)
    if wanted.loss.smoothing:
        targets += len(block.y) * wanted.outputs * wanted.dtype.itemsize
    return copied(block.X, wanted.features) + targets + copied(block.weights, 1)


def packed_bytes(rows: int, wanted: Format) -> int:
    """Return the most bytes that rows take in tiles: each with a weight, and one register in eight as a gap."""
    return rows * wanted.row_bytes * 9 // 8


def compared_bytes(rows: int, wanted: Format) -> int:
    """Return the most bytes that metrics keep: predictions, targets, weights and labels, with rows of weight 0."""
    return rows * (3 * wanted.outputs + 4) * wanted.dtype.itemsize


@dataclass(frozen=True)
class Use:
    """How rows are used, as far as it decides how they may be held.

    Attributes
    ----------
    mini_batches : whether there are mini-batches; if not, all rows are one batch.
    shuffled : whether mini-batches are drawn in a new order each epoch.
    beside : a function that returns how many bytes are needed beside that many rows.
    in_memory : why the rows cannot be read piece by piece; "" if they can.
    """

    mini_batches: bool = False
    shuffled: bool = False
    beside: Callable[[int], int] = lambda rows: 0
    in_memory: str = ""


def rows_of(
    X: Any, y: Any, sample_weight: Any, wanted: Format, memory_limit: Any, use: Use
) -> tuple[Rows | Stream, Dataset | None]:
    """Return checked rows and their Dataset, if any; or a stream, for blocks and rows too large to be packed."""
    limit = None if memory_limit is None else checks.byte_count(memory_limit, "memory_limit")
    if y is None and not isinstance(X, Dataset):
        if not are_blocks(X):
            raise TypeError(
                "y is missing; targets are needed, or in place of X and y a Dataset or blocks: an iterable of "
                "(X, y) or (X, y, sample_weight)"
            )
        if sample_weight is not None:
            raise TypeError("sample_weight is given beside blocks; a block with weights is (X, y, sample_weight)")
        return _stream_of_blocks(X, wanted, limit, use), None
    if limit is None:
        return dataset.rows_of(X, y, sample_weight, wanted)
    block = Block(X.X, X.y, X.sample_weight) if isinstance(X, Dataset) else block_of("", X, y, sample_weight)
    beside, needed = use.beside(len(block.X)), _bytes_to_hold(block, wanted, use)
    if needed + beside <= limit:
        return dataset.rows_of(X, y, sample_weight, wanted)
    _refuse_bits(len(block.X), wanted, limit, needed, beside, use)
    if not use.mini_batches and copied_bytes(block, wanted) == 0 and beside <= limit:
        rows = dataset.rows_of(X, y, sample_weight, wanted)[0]
        if rows.weights is None or rows.weights.all():
            return replace(rows, in_place=True), None
    stream = of_arrays(block, wanted, limit)
    stream.leave(beside)
    return stream, None


def _stream_of_blocks(blocks: Iterable[Any], wanted: Format, limit: int | None, use: Use) -> Stream:
    if use.mini_batches and use.shuffled:
        raise ValueError(
            "shuffle is True, as it is by default, and blocks are read in their order; shuffle=False is needed"
        )
    if use.in_memory:
        raise ValueError(f"blocks are read in windows, and {use.in_memory}")
    stream = of_blocks(blocks, wanted, limit)
    stream.leave(use.beside(len(stream)))
    return stream


def _bytes_to_hold(block: Block, wanted: Format, use: Use) -> int:
    """Return the bytes of all that is made from arrays to hold all rows in memory."""
    rows = len(block.X)
    order = 8 * rows if use.shuffled else 0
    return copied_bytes(block, wanted) + (order if use.mini_batches else packed_bytes(rows, wanted))


def _refuse_bits(rows: int, wanted: Format, limit: int, needed: int, beside: int, use: Use) -> None:
    """Raise ValueError for rows that the limit has no room for if they cannot be read piece by piece."""
    if use.mini_batches and use.shuffled:
        copied = f", and so do X, y and weights of type {wanted.dtype} in C order and native byte order"
        raise ValueError(
            f"memory_limit is {memory.shown(limit)}, and to draw {rows:,} rows in a new order each epoch takes "
            f"{memory.enough(needed + beside)} here; shuffle=False takes less{copied if needed > 8 * rows else ''}"
        )
    if use.in_memory:
        raise ValueError(
            f"memory_limit is {memory.shown(limit)}, too little to pack {rows:,} rows, which takes "
            f"{memory.enough(needed + beside)} here, and {use.in_memory}"
        )


# Where they go -------------------------------------------------------------------------------------


class Flat:
    """Memory for rows, one after the other, from which mini-batches are gathered.

    Attributes
    ----------
    data : inputs, targets and weights, as the compiled loop reads them.
    """

    def __init__(self, plan: Plan, rows: int, weighted: bool) -> None:
        sizes = [rows * count for count in columns_of(plan)]
        inputs, targets = (aligned(size, plan.dtype) for size in sizes)
        self.data = inputs, targets, np.ones(rows if weighted else plan.tile, plan.dtype)

    def put(self, at: int, rows: Rows) -> None:
        """Overwrite the rows from number ``at`` on."""
        inputs, targets, weights = self.data
        inputs[at * rows.features : (at + len(rows)) * rows.features] = rows.X.reshape(-1)
        targets[at * rows.outputs : (at + len(rows)) * rows.outputs] = rows.y.reshape(-1)
        if rows.weights is not None:
            weights[at : at + len(rows)] = rows.weights

    def end(self, count: int) -> None:
        """Do nothing: there are no tiles to fill up."""


class Windows:
    """The rows of a stream in windows for a plan, read by a thread of its own.

    Parameters
    ----------
    room : how many bytes the windows, and what is needed to fill them, may take; None: as few as will do.

    Attributes
    ----------
    data : inputs, targets and weights of a window.

    Raises
    ------
    ValueError
        If there is not enough room.
    """

    def __init__(self, stream: Stream, plan: Plan, room: int | None) -> None:
        self._stream = stream
        self._n, self._batch = len(stream), int(plan.numbers[layout.BATCH])
        self._unit = min(plan.tile, self._batch)
        packed = bool(plan.numbers[layout.PACKED])
        columns = sum(columns_of(plan)) + stream.is_weighted
        unit_bytes = columns * plan.dtype.itemsize * (plan.stride if packed else self._unit)
        most = self._units(room, unit_bytes)
        units = -(-self._n // self._unit)
        self._size = self._n if units <= most else self._whole(most)
        slots = 1 if self._size >= self._n else WINDOWS
        self._memory = (Tiles if packed else Flat)(plan, slots * self._size, stream.is_weighted)
        self.data: Data = self._memory.data
        self._free: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[tuple[int, int, int] | BaseException] = queue.SimpleQueue()
        for slot in range(slots):
            self._free.put(slot * self._size)
        self._shown: int | None = None
        self._handled = sys.exc_info()[1]  # the caller may be in an except clause
        self._reader: threading.Thread | None = None
        self._closed = False

    def _units(self, room: int | None, unit_bytes: int) -> int:
        """Return how many tiles a window may have: all of them, or as many as leave room for several windows."""
        least = max(1, WINDOW_BYTES // unit_bytes)
        if room is None:
            return least
        left = (room - self._stream.piece_bytes) // unit_bytes
        if left * self._unit >= self._n:
            return left
        if left < WINDOWS:
            # Pieces take a fourth of the room, up to PIECES · PIECE_BYTES, but at least one row each.
            pieces = max(PIECES * self._stream.row_bytes, min(PIECES * PIECE_BYTES, unit_bytes))
            taken = self._stream.taken
            beside = f", beside the {memory.shown(taken)} of metrics and validation rows" if taken else ""
            raise ValueError(
                f"memory_limit is {memory.shown(room + taken)}, too little to read {self._n:,} rows in windows"
                f"{beside}; {memory.enough(WINDOWS * unit_bytes + pieces + taken)} is enough"
            )
        return min(left // WINDOWS, least)

    def _whole(self, units: int) -> int:
        """Return the rows of a window: whole batches or whole tiles of one batch, so no tile is in two windows."""
        rows = units * self._unit
        return rows // self._batch * self._batch if rows >= self._batch else rows

    def _cuts(self) -> Iterator[tuple[int, int]]:
        """Yield the first row of each window, and the first row after it."""
        step = max(self._size, self._batch)
        for batch in range(0, self._n, step):
            end = min(batch + step, self._n)
            for first in range(batch, end, self._size):
                yield first, min(first + self._size, end)

    def window(self, passes: int | None) -> tuple[int, int, int]:
        """Return the next window: (its first row, the first row after it, the first one's place in the data).

        The previous window may be overwritten. In the first call, ``passes`` says how many times at most all
        windows will be asked for; None if that is not known. Exceptions of reading are raised here.
        """
        if self._reader is None:
            reader = threading.Thread(target=self._read, args=(passes,), name="fastnn reader", daemon=True)
            if not started(reader):
                raise RuntimeError("a thread is needed to read the rows, and the system has none left")
            self._reader = reader
        if self._shown is not None:
            self._free.put(self._shown)
        while True:
            alive = self._reader.is_alive()
            with contextlib.suppress(queue.Empty):
                found = self._ready.get(timeout=LOOK_SECONDS)
                break
            if not alive:  # as in a process that was forked meanwhile
                raise RuntimeError("the thread that reads the rows has ended, and there are rows to come")
        if isinstance(found, BaseException):
            raise found
        self._shown = found[2]
        return found

    def close(self) -> None:
        """End the thread; at most, it finishes reading its current block.

        If an exception such as that of Ctrl-C is being handled, this does not wait for the user's iterable to give
        that block: the thread then ends by itself, and what it writes to is its own.
        """
        self._closed = True
        self._free.put(None)
        if self._reader is None:
            return
        if sys.exc_info()[1] is not self._handled:
            self._reader.join(LEAVE_SECONDS)
            return
        while self._reader.is_alive():
            self._reader.join(LOOK_SECONDS)

    def _read(self, passes: int | None) -> None:
        """Fill free windows, pass after pass, until closed."""
        try:
            done = 0
            if self._size >= self._n:
                passes = 1
            while not self._closed and (passes is None or done < passes):
                with contextlib.closing(self._one_pass()) as windows:
                    for window in windows:
                        self._ready.put(window)
                done += 1
        except BaseException as error:  # raised again by ``window``
            self._ready.put(error)

    def _one_pass(self) -> Generator[tuple[int, int, int], None, None]:
        """Yield the windows of one pass.

        The last one comes only once it is certain that no rows follow, as nobody may ask for more.
        """
        cuts = self._cuts()
        first = at = stop = 0
        place: int | None = None
        with contextlib.closing(self._stream.pieces(lambda: self._closed)) as pieces:
            for piece in pieces:
                done = 0
                while done < len(piece):
                    if place is None:
                        first, stop = next(cuts)
                        at, place = first, self._free.get()
                        if place is None or self._closed:
                            return
                    count = min(len(piece) - done, stop - at)
                    self._memory.put(place + at - first, piece.part(done, done + count))
                    done, at = done + count, at + count
                    if at == stop:
                        self._memory.end(place + stop - first)
                        if stop < self._n:
                            yield first, stop, place
                            place = None
        if place is not None and not self._closed:
            yield first, stop, place
