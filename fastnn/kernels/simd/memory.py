"""Pointers, and lanes in memory."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing import signature

from fastnn.kernels.simd.types import LANES, Lanes, Pointer, compiled_form, splat

CACHE_LINE_BYTES = 64


def vector_address(context: Any, builder: Any, lanes: Lanes, p: Any, at: Any) -> Any:
    """Emit the address of the lanes that start at p[at]."""
    return builder.bitcast(builder.gep(p, [at]), context.get_value_type(lanes).as_pointer())


def pointer(array: np.ndarray) -> Any:
    """Return a pointer to the start of a contiguous array."""
    return array.reshape(-1)


@compiled_form(
    pointer,
    lambda array: Pointer(array.dtype) if isinstance(array, types.Array) and array.layout == "C" else None,
    types.Array,
)
def _pointer(context, builder, sig, args):
    return context.make_array(sig.args[0])(context, builder, args[0]).data


def offset(p: Any, count: int) -> Any:
    """Return a pointer to the place ``count`` numbers further on."""
    return p[count:]


@compiled_form(
    offset,
    lambda p, count: signature(p, p, types.intp) if isinstance(p, Pointer) else None,
    Pointer,
    types.intp,
)
def _offset(context, builder, sig, args):
    return builder.gep(args[0], [args[1]])


def room(p: Any, vectors: int) -> Any:
    """Return uninitialized memory for ``vectors`` vectors of numbers like those of p, until the function returns.

    It is on the stack: ``vectors`` must be a constant, and small.
    """
    return np.empty(vectors * LANES[p.dtype], p.dtype)


@compiled_form(
    room,
    lambda p, vectors: (
        signature(p, p, vectors) if isinstance(p, Pointer) and isinstance(vectors, types.IntegerLiteral) else None
    ),
    Pointer,
    types.IntegerLiteral,
)
def _room(context, builder, sig, args):
    lanes, count = Lanes(sig.args[0].dtype), sig.args[1].literal_value
    with builder.goto_entry_block():
        place = builder.alloca(ir.ArrayType(context.get_value_type(lanes), count))
        place.align = CACHE_LINE_BYTES
        return builder.bitcast(place, context.get_value_type(sig.return_type))


def load(p: Any, at: int) -> Any:
    """Return the samples from ``at`` on, one per lane."""
    lanes = p[at : at + LANES[p.dtype]].copy()
    assert len(lanes) == LANES[p.dtype], "read past the end of the array"
    return lanes


@compiled_form(
    load,
    lambda p, at: signature(Lanes(p.dtype), p, types.intp) if isinstance(p, Pointer) else None,
    Pointer,
    types.intp,
)
def _load(context, builder, sig, args):
    lanes = sig.return_type
    return builder.load(vector_address(context, builder, lanes, *args), align=lanes.alignment)


def load_part(p: Any, at: int, count: int) -> Any:
    """Return ``count`` numbers from ``at`` on, at most as many as a vector has lanes; 0 in the other lanes.

    No other memory is read.
    """
    lanes = np.zeros(LANES[p.dtype], p.dtype)
    assert len(p[at : at + count]) == count, "read past the end of the array"
    lanes[:count] = p[at : at + count]
    return lanes


@compiled_form(
    load_part,
    lambda p, at, count: signature(Lanes(p.dtype), p, types.intp, types.intp) if isinstance(p, Pointer) else None,
    Pointer,
    types.intp,
    types.intp,
)
def _load_part(context, builder, sig, args):
    p, at, count = args
    return emit_load_part(
        builder, sig.return_type, vector_address(context, builder, sig.return_type, p, at), count
    )


def emit_load_part(builder: Any, lanes: Lanes, place: Any, count: Any) -> Any:
    """Emit the first ``count`` lanes at a place, the others 0."""
    whole = ir.VectorType(ir.IntType(32), lanes.count)
    bound = splat(builder, whole, builder.trunc(count, ir.IntType(32)))
    mask = builder.icmp_signed("<", ir.Constant(whole, list(range(lanes.count))), bound)
    vector = place.type.pointee
    name = f"llvm.masked.load.v{lanes.count}f{lanes.dtype.bitwidth}.p0"
    function = builder.module.globals.get(name)
    if function is None:
        described = ir.FunctionType(vector, [place.type, ir.IntType(32), mask.type, vector])
        function = ir.Function(builder.module, described, name)
    return builder.call(function, [place, ir.IntType(32)(lanes.alignment), mask, ir.Constant(vector, None)])


def load_first(p: Any, at: int, numbers: tuple) -> Any:
    """Return as many numbers as the tuple is long, at most a vector, from ``at`` on; 0 in the other lanes.

    Unlike ``load_part``, this is a load of that width, which need not wait for stores around it.
    """
    return load_part(p, at, min(len(numbers), LANES[p.dtype]))


def _narrow(lanes: Lanes, numbers: Any) -> tuple[Any, list[int], list[int]]:
    """Return the type of a vector's first lanes, their places, and those of a vector of them and zeros."""
    count = min(len(numbers), lanes.count)
    scalar = ir.DoubleType() if lanes.dtype == types.float64 else ir.FloatType()
    chosen = list(range(count))
    return ir.VectorType(scalar, count), chosen, chosen + [count] * (lanes.count - count)


def _chosen_lanes(builder: Any, vector: Any, places: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, None), mask)


@compiled_form(
    load_first,
    lambda p, at, numbers: signature(Lanes(p.dtype), p, types.intp, numbers) if isinstance(p, Pointer) else None,
    Pointer,
    types.intp,
    types.BaseTuple,
)
def _load_first(context, builder, sig, args):
    narrow, _, widened = _narrow(sig.return_type, sig.args[2])
    place = builder.bitcast(builder.gep(args[0], [args[1]]), narrow.as_pointer())
    return _chosen_lanes(builder, builder.load(place, align=sig.return_type.alignment), widened)


def store_first(p: Any, at: int, lanes: Any, numbers: tuple) -> None:
    """Overwrite as many numbers as the tuple is long, at most a vector, with the first lanes."""
    count = min(len(numbers), len(lanes))
    assert len(p[at : at + count]) == count, "write past the end of the array"
    p[at : at + count] = lanes[:count]


@compiled_form(
    store_first,
    lambda p, at, lanes, numbers: (
        signature(types.none, p, types.intp, Lanes(p.dtype), numbers) if isinstance(p, Pointer) else None
    ),
    Pointer,
    types.intp,
    Lanes,
    types.BaseTuple,
)
def _store_first(context, builder, sig, args):
    lanes = sig.args[2]
    narrow, chosen, _ = _narrow(lanes, sig.args[3])
    place = builder.bitcast(builder.gep(args[0], [args[1]]), narrow.as_pointer())
    builder.store(_chosen_lanes(builder, args[2], chosen), place, align=lanes.alignment)
    return context.get_dummy_value()


def store(p: Any, at: int, lanes: Any) -> None:
    """Overwrite the samples from ``at`` on."""
    assert len(p[at : at + len(lanes)]) == len(lanes), "write past the end of the array"
    p[at : at + len(lanes)] = lanes


@compiled_form(
    store,
    lambda p, at, lanes: signature(types.none, p, types.intp, Lanes(p.dtype)) if isinstance(p, Pointer) else None,
    Pointer,
    types.intp,
    Lanes,
)
def _store(context, builder, sig, args):
    lanes = sig.args[2]
    builder.store(args[2], vector_address(context, builder, lanes, args[0], args[1]), align=lanes.alignment)
    return context.get_dummy_value()


def prefetch(p: Any, count: int) -> None:
    """Prefetch the next ``count`` numbers into the cache; the place may be outside the array."""


@compiled_form(
    prefetch,
    lambda p, count: signature(types.none, p, types.intp) if isinstance(p, Pointer) else None,
    Pointer,
    types.intp,
)
def _prefetch(context, builder, sig, args):
    p, count = args
    byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
    described = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
    function = builder.module.globals.get("llvm.prefetch.p0")
    if function is None:
        function = ir.Function(builder.module, described, "llvm.prefetch.p0")
    per_line = ir.Constant(count.type, CACHE_LINE_BYTES * 8 // sig.args[0].dtype.bitwidth)
    with cgutils.for_range_slice(builder, ir.Constant(count.type, 0), count, per_line) as (at, _):
        address = builder.bitcast(builder.gep(p, [at]), byte)
        builder.call(function, [address, whole(0), whole(2), whole(1)])  # to read, second level, data
    return context.get_dummy_value()


def width(p: Any) -> int:
    """Return how many lanes a vector has."""
    return LANES[p.dtype]


@compiled_form(width, lambda p: types.intp if isinstance(p, (Lanes, Pointer)) else None, types.Any)
def _width(context, builder, sig, args):
    return ir.Constant(context.get_value_type(types.intp), Lanes(sig.args[0].dtype).count)


# p[at] and p[at] = number, as arrays have them.


@compiled_form(
    operator.getitem,
    lambda p, at: (
        signature(p.dtype, p, types.intp) if isinstance(p, Pointer) and isinstance(at, types.Integer) else None
    ),
    Pointer,
    types.intp,
)
def _getitem(context, builder, sig, args):
    return context.unpack_value(builder, sig.return_type, builder.gep(args[0], [args[1]]))


@compiled_form(
    operator.setitem,
    lambda p, at, number: (
        signature(types.none, p, types.intp, p.dtype)
        if isinstance(p, Pointer) and isinstance(at, types.Integer)
        else None
    ),
    Pointer,
    types.intp,
    types.Any,
)
def _setitem(context, builder, sig, args):
    context.pack_value(builder, sig.args[2], args[2], builder.gep(args[0], [args[1]]))
    return context.get_dummy_value()
