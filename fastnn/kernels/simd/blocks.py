"""Blocks: tuples of lanes that stay in registers, rows × columns of them, row after row.

Their sizes are compile-time constants: kernels are given them as tuples of that length.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing import signature

from fastnn.kernels.simd.arithmetic import emit_fma, fma, total
from fastnn.kernels.simd.memory import emit_load_part, load, load_part, store, vector_address
from fastnn.kernels.simd.types import LANES, Lanes, Pointer, compiled_form, splat

ONE, TWO, FOUR, SIX, EIGHT = (0,), (0,) * 2, (0,) * 4, (0,) * 6, (0,) * 8


def _block_type(p: Any, *sizes: Any) -> Any:
    count = 1
    for size in sizes:
        count *= len(size)
    return types.UniTuple(Lanes(p.dtype), count)


def _pack(context: Any, builder: Any, block_type: Any, values: list[Any]) -> Any:
    return context.make_tuple(builder, block_type, values)


def _unpack(builder: Any, block: Any) -> list[Any]:
    return [builder.extract_value(block, i) for i in range(block.type.count)]


def _times(builder: Any, stride: Any, count: int) -> Any:
    return builder.mul(stride, ir.Constant(stride.type, count))


def _places(context: Any, builder: Any, block_type: Any, rows_type: Any, p: Any, stride: Any) -> list[Any]:
    """Return the addresses of the vectors of a block in memory, with its rows ``stride`` numbers apart."""
    lanes, columns = block_type.dtype, len(block_type) // len(rows_type)
    places = []
    for i in range(len(block_type)):
        within = ir.Constant(stride.type, i % columns * lanes.count)
        at = builder.add(_times(builder, stride, i // columns), within)
        places.append(vector_address(context, builder, lanes, p, at))
    return places


def zeros(p: Any, rows: tuple, columns: tuple) -> Any:
    """A block of zeros."""
    return tuple(np.zeros(LANES[p.dtype], p.dtype) for _ in range(len(rows) * len(columns)))


@compiled_form(
    zeros,
    lambda p, rows, columns: (
        signature(_block_type(p, rows, columns), p, rows, columns) if isinstance(p, Pointer) else None
    ),
    Pointer,
    types.BaseTuple,
    types.BaseTuple,
)
def _zeros(context, builder, sig, args):
    return ir.Constant(context.get_value_type(sig.return_type), None)


def _emit_spread(context: Any, builder: Any, lanes: Lanes, p: Any, stride: Any, rows: int) -> list[Any]:
    """Emit, for each row, a vector with the number p[r·stride] in every lane."""
    vector = context.get_value_type(lanes)
    places = [builder.gep(p, [_times(builder, stride, r)]) for r in range(rows)]
    return [splat(builder, vector, builder.load(place)) for place in places]


def spread_rows(p: Any, stride: int, rows: tuple, columns: tuple) -> Any:
    """A block whose every lane in row r is the number p[r·stride]."""
    return tuple(np.full(LANES[p.dtype], p[r * stride]) for r in range(len(rows)) for _ in columns)


@compiled_form(
    spread_rows,
    lambda p, stride, rows, columns: (
        signature(_block_type(p, rows, columns), p, types.intp, rows, columns) if isinstance(p, Pointer) else None
    ),
    Pointer,
    types.intp,
    types.BaseTuple,
    types.BaseTuple,
)
def _spread_rows(context, builder, sig, args):
    block = sig.return_type
    spread = _emit_spread(context, builder, block.dtype, args[0], args[1], len(sig.args[2]))
    return _pack(context, builder, block, [lanes for lanes in spread for _ in range(len(sig.args[3]))])


def load_rows(p: Any, at: int, stride: int, rows: tuple) -> Any:
    """One vector from each of the rows: a block of one column."""
    return tuple(load(p, at + r * stride) for r in range(len(rows)))


@compiled_form(
    load_rows,
    lambda p, at, stride, rows: (
        signature(_block_type(p, rows), p, types.intp, types.intp, rows) if isinstance(p, Pointer) else None
    ),
    Pointer,
    types.intp,
    types.intp,
    types.BaseTuple,
)
def _load_rows(context, builder, sig, args):
    block = sig.return_type
    first = builder.gep(args[0], [args[1]])
    places = _places(context, builder, block, sig.args[3], first, args[2])
    return _pack(context, builder, block, [builder.load(p, align=block.dtype.alignment) for p in places])


def load_rows_part(p: Any, at: int, stride: int, rows: tuple, count: int) -> Any:
    """Only the first ``count`` numbers of one vector from each of the rows; see ``load_part``."""
    return tuple(load_part(p, at + r * stride, count) for r in range(len(rows)))


@compiled_form(
    load_rows_part,
    lambda p, at, stride, rows, count: (
        signature(_block_type(p, rows), p, types.intp, types.intp, rows, types.intp)
        if isinstance(p, Pointer)
        else None
    ),
    Pointer,
    types.intp,
    types.intp,
    types.BaseTuple,
    types.intp,
)
def _load_rows_part(context, builder, sig, args):
    block = sig.return_type
    first = builder.gep(args[0], [args[1]])
    places = _places(context, builder, block, sig.args[3], first, args[2])
    return _pack(context, builder, block, [emit_load_part(builder, block.dtype, p, args[4]) for p in places])


def load_columns(p: Any, at: int, columns: tuple) -> Any:
    """Consecutive vectors: a block of one row."""
    return tuple(load(p, at + c * LANES[p.dtype]) for c in range(len(columns)))


@compiled_form(
    load_columns,
    lambda p, at, columns: (
        signature(_block_type(p, columns), p, types.intp, columns) if isinstance(p, Pointer) else None
    ),
    Pointer,
    types.intp,
    types.BaseTuple,
)
def _load_columns(context, builder, sig, args):
    block = sig.return_type
    first = builder.gep(args[0], [args[1]])
    places = _places(context, builder, block, ONE, first, ir.Constant(args[1].type, 0))
    return _pack(context, builder, block, [builder.load(p, align=block.dtype.alignment) for p in places])


def load_block(p: Any, stride: int, rows: tuple, columns: tuple) -> Any:
    """The first vectors of each of the rows, as ``store_block`` puts them."""
    return tuple(load(p, r * stride + c * LANES[p.dtype]) for r in range(len(rows)) for c in range(len(columns)))


@compiled_form(
    load_block,
    lambda p, stride, rows, columns: (
        signature(_block_type(p, rows, columns), p, types.intp, rows, columns) if isinstance(p, Pointer) else None
    ),
    Pointer,
    types.intp,
    types.BaseTuple,
    types.BaseTuple,
)
def _load_block(context, builder, sig, args):
    block = sig.return_type
    places = _places(context, builder, block, sig.args[2], args[0], args[1])
    return _pack(context, builder, block, [builder.load(p, align=block.dtype.alignment) for p in places])


def add_rows(block: Any, other: Any) -> Any:
    """The sum of two blocks."""
    return tuple(a + b for a, b in zip(block, other, strict=True))


@compiled_form(
    add_rows,
    lambda block, other: block if isinstance(block, types.UniTuple) and block == other else None,
    types.UniTuple,
    types.UniTuple,
)
def _add_rows(context, builder, sig, args):
    pairs = zip(_unpack(builder, args[0]), _unpack(builder, args[1]), strict=True)
    return _pack(context, builder, sig.return_type, [builder.fadd(a, b) for a, b in pairs])


def _emit_add_outer(context: Any, builder: Any, block_type: Any, block: Any, a: list, b: list) -> Any:
    pairs = [(x, y) for x in a for y in b]
    sums = zip(pairs, _unpack(builder, block), strict=True)
    return _pack(context, builder, block_type, [emit_fma(builder, x, y, z) for (x, y), z in sums])


def add_outer(block: Any, a: Any, b: Any) -> Any:
    """block[r, c] + a[r]·b[c]: each pair meets in one fma."""
    pairs = [(x, y) for x in a for y in b]
    return tuple(fma(x, y, z) for (x, y), z in zip(pairs, block, strict=True))


@compiled_form(
    add_outer,
    lambda block, a, b: (
        signature(block, block, a, b) if all(isinstance(t, types.UniTuple) for t in (block, a, b)) else None
    ),
    types.UniTuple,
    types.UniTuple,
    types.UniTuple,
)
def _add_outer(context, builder, sig, args):
    block, a, b = args
    return _emit_add_outer(context, builder, sig.return_type, block, _unpack(builder, a), _unpack(builder, b))


def add_outer_spread(block: Any, p: Any, stride: int, rows: tuple, b: Any) -> Any:
    """block[r, c] + p[r·stride]·b[c]: numbers times vectors."""
    return add_outer(block, tuple(p[r * stride] for r in range(len(rows))), b)


@compiled_form(
    add_outer_spread,
    lambda block, p, stride, rows, b: (
        signature(block, block, p, types.intp, rows, b)
        if isinstance(p, Pointer) and isinstance(block, types.UniTuple)
        else None
    ),
    types.UniTuple,
    Pointer,
    types.intp,
    types.BaseTuple,
    types.UniTuple,
)
def _add_outer_spread(context, builder, sig, args):
    block, p, stride, _, b = args
    spread = _emit_spread(context, builder, sig.return_type.dtype, p, stride, len(sig.args[3]))
    return _emit_add_outer(context, builder, sig.return_type, block, spread, _unpack(builder, b))


def times_stored(block: Any, p: Any, stride: int, rows: tuple) -> Any:
    """block[r, c] times the vectors where ``store_block`` would put it."""
    columns = len(block) // len(rows)
    places = [i // columns * stride + i % columns * LANES[p.dtype] for i in range(len(block))]
    return tuple(lanes * load(p, at) for lanes, at in zip(block, places, strict=True))


@compiled_form(
    times_stored,
    lambda block, p, stride, rows: (
        signature(block, block, p, types.intp, rows)
        if isinstance(p, Pointer) and isinstance(block, types.UniTuple)
        else None
    ),
    types.UniTuple,
    Pointer,
    types.intp,
    types.BaseTuple,
)
def _times_stored(context, builder, sig, args):
    block, p, stride, _ = args
    places = _places(context, builder, sig.return_type, sig.args[3], p, stride)
    stored = [builder.load(place, align=sig.return_type.dtype.alignment) for place in places]
    values = [builder.fmul(a, b) for a, b in zip(_unpack(builder, block), stored, strict=True)]
    return _pack(context, builder, sig.return_type, values)


def store_block(p: Any, stride: int, block: Any, rows: tuple) -> None:
    """Overwrite the first vectors of each of the rows."""
    columns = len(block) // len(rows)
    for i, lanes in enumerate(block):
        store(p, i // columns * stride + i % columns * len(lanes), lanes)


@compiled_form(
    store_block,
    lambda p, stride, block, rows: (
        signature(types.none, p, types.intp, block, rows)
        if isinstance(p, Pointer) and isinstance(block, types.UniTuple)
        else None
    ),
    Pointer,
    types.intp,
    types.UniTuple,
    types.BaseTuple,
)
def _store_block(context, builder, sig, args):
    p, stride, block, _ = args
    places = _places(context, builder, sig.args[2], sig.args[3], p, stride)
    for value, place in zip(_unpack(builder, block), places, strict=True):
        builder.store(value, place, align=sig.args[2].dtype.alignment)
    return context.get_dummy_value()


def put_totals(p: Any, stride: int, block: Any, rows: tuple, add: bool) -> None:
    """Overwrite (or add to) p[r·stride + c] with the sum over the lanes of block[r, c]."""
    columns = len(block) // len(rows)
    for i, lanes in enumerate(block):
        place = i // columns * stride + i % columns
        p[place] = (p[place] if add else 0) + total(lanes)


@compiled_form(
    put_totals,
    lambda p, stride, block, rows, add: (
        signature(types.none, p, types.intp, block, rows, types.boolean)
        if isinstance(p, Pointer) and isinstance(block, types.UniTuple)
        else None
    ),
    Pointer,
    types.intp,
    types.UniTuple,
    types.BaseTuple,
    types.boolean,
)
def _put_totals(context, builder, sig, args):
    p, stride, block, _, add = args
    columns = len(sig.args[2]) // len(sig.args[3])
    totals = _emit_totals(builder, _unpack(builder, block))
    lanes = totals[0].type.count
    step = min(columns, lanes)
    for i in range(0, len(totals) * lanes, step):
        within = ir.Constant(stride.type, i % columns)
        place = builder.gep(p, [builder.add(_times(builder, stride, i // columns), within)])
        chosen = _chosen(builder, totals[i // lanes], None, range(i % lanes, i % lanes + step))
        place = builder.bitcast(place, chosen.type.as_pointer())
        stored = builder.load(place, align=sig.args[0].dtype.bitwidth // 8)
        before = builder.select(add, stored, ir.Constant(chosen.type, None))
        builder.store(builder.fadd(before, chosen), place, align=sig.args[0].dtype.bitwidth // 8)
    return context.get_dummy_value()


def _chosen(builder: Any, a: Any, b: Any, places: Any) -> Any:
    """Emit a vector of lanes chosen from two, those of the second numbered after those of the first."""
    chosen = list(places)
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(chosen)), chosen)
    return builder.shuffle_vector(a, ir.Constant(a.type, ir.Undefined) if b is None else b, mask)


def _emit_totals(builder: Any, values: list[Any]) -> list[Any]:
    """Emit vectors that hold the sums over the lanes of all values, in their order.

    These are the same additions as in ``emit_total``, but for many values side by side: two vectors, each of which
    needs only half of its lanes, become one. ``size`` is how many lanes a value still has.
    """
    size = values[0].type.count
    while size > 1:
        pairs = len(values) > 1 and len(values) % 2 == 0
        merged = []
        for i in range(0, len(values), 2 if pairs else 1):
            a, b = values[i], values[i + 1] if pairs else None
            lanes = range(a.type.count * (2 if pairs else 1))
            low, high = ([k for k in lanes if k % size // (size // 2) == half] for half in (0, 1))
            merged.append(builder.fadd(_chosen(builder, a, b, low), _chosen(builder, a, b, high)))
        values, size = merged, size // 2
    return values


def transpose(source: Any, places: Any, step: int, target: Any, stride: int) -> None:
    """Overwrite as many vectors of the target, ``stride`` numbers apart, as a vector has lanes.

    Lane i of vector k is source[places[i]·step + k].
    """
    lanes = LANES[source.dtype]
    _store_columns(np.stack([load(source, int(places[i] * step)) for i in range(lanes)]), target, stride)


def transpose_rows(source: Any, step: int, target: Any, stride: int) -> None:
    """Transpose rows that are ``step`` numbers apart: lane i of vector k is source[i·step + k]."""
    lanes = LANES[source.dtype]
    _store_columns(np.stack([load(source, i * step) for i in range(lanes)]), target, stride)


def _store_columns(rows: Any, target: Any, stride: int) -> None:
    for k in range(len(rows)):
        store(target, k * stride, rows[:, k].copy())


@compiled_form(
    transpose,
    lambda source, places, step, target, stride: (
        signature(types.none, source, places, types.intp, target, types.intp)
        if isinstance(source, Pointer) and isinstance(places, Pointer)
        else None
    ),
    Pointer,
    Pointer,
    types.intp,
    Pointer,
    types.intp,
)
def _transpose(context, builder, sig, args):
    source, places, step, target, stride = args
    lanes = Lanes(sig.args[0].dtype)
    rows = [
        builder.mul(builder.load(builder.gep(places, [ir.Constant(stride.type, i)])), step)
        for i in range(lanes.count)
    ]
    _emit_transpose(context, builder, lanes, source, rows, target, stride)
    return context.get_dummy_value()


@compiled_form(
    transpose_rows,
    lambda source, step, target, stride: (
        signature(types.none, source, types.intp, target, types.intp) if isinstance(source, Pointer) else None
    ),
    Pointer,
    types.intp,
    Pointer,
    types.intp,
)
def _transpose_rows(context, builder, sig, args):
    source, step, target, stride = args
    lanes = Lanes(sig.args[0].dtype)
    rows = [_times(builder, step, i) for i in range(lanes.count)]
    _emit_transpose(context, builder, lanes, source, rows, target, stride)
    return context.get_dummy_value()


def _emit_transpose(
    context: Any, builder: Any, lanes: Lanes, source: Any, rows: list[Any], target: Any, stride: Any
) -> None:
    """Emit instructions that overwrite vectors of the target with the columns of these rows of the source."""
    count = lanes.count
    values = [
        builder.load(vector_address(context, builder, lanes, source, row), align=lanes.alignment) for row in rows
    ]
    # Squares of ``half`` lanes that lie off the diagonal are exchanged, from large ones to single lanes.
    half = count // 2
    while half:
        for i in range(count):
            if i & half:
                continue
            a, b = values[i], values[i + half]
            values[i] = _chosen(builder, a, b, [count + k - half if k & half else k for k in range(count)])
            values[i + half] = _chosen(builder, a, b, [count + k if k & half else k + half for k in range(count)])
        half //= 2
    for k, value in enumerate(values):
        place = vector_address(context, builder, lanes, target, _times(builder, stride, k))
        builder.store(value, place, align=lanes.alignment)


def unzip(pair: Any) -> Any:
    """Return the first, third … numbers of two consecutive vectors, and their second, fourth … numbers."""
    both = np.concatenate(pair)
    return both[::2].copy(), both[1::2].copy()


@compiled_form(
    unzip,
    lambda pair: pair if isinstance(pair, types.UniTuple) and len(pair) == 2 else None,
    types.UniTuple,
)
def _unzip(context, builder, sig, args):
    a, b = _unpack(builder, args[0])
    chosen = [_chosen(builder, a, b, range(first, 2 * a.type.count, 2)) for first in range(2)]
    return _pack(context, builder, sig.return_type, chosen)
