"""Blocks: tuples of lanes that stay in registers, rows × columns of them, row after row.

Their sizes are known to the compiler: kernels are given them as tuples of that length.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing import signature

from fastnn.kernels.simd.arithmetic import emit_fma, emit_total, fma, total
from fastnn.kernels.simd.memory import load, store, vector_address
from fastnn.kernels.simd.types import LANES, Lanes, Pointer, compiled_form, splat

ONE, TWO, FOUR = (0,), (0,) * 2, (0,) * 4


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
    """The address of each vector of a block that lies in memory, its rows ``stride`` numbers apart."""
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
    """For each row the number p[r·stride] in every lane."""
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
    for i, value in enumerate(_unpack(builder, block)):
        within = ir.Constant(stride.type, i % columns)
        place = builder.gep(p, [builder.add(_times(builder, stride, i // columns), within)])
        summed = emit_total(builder, value)
        before = builder.select(add, builder.load(place), ir.Constant(summed.type, 0.0))
        builder.store(builder.fadd(before, summed), place)
    return context.get_dummy_value()
