"""Pointers, and lanes in memory."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing import signature

from fastnn.kernels.simd.types import LANES, Lanes, Pointer, compiled_form

CACHE_LINE_BYTES = 64


def vector_address(context: Any, builder: Any, lanes: Lanes, p: Any, at: Any) -> Any:
    """Instructions for the address of the lanes that start at p[at]."""
    return builder.bitcast(builder.gep(p, [at]), context.get_value_type(lanes).as_pointer())


def pointer(array: np.ndarray) -> Any:
    """The start of a contiguous array."""
    return array


@compiled_form(
    pointer,
    lambda array: Pointer(array.dtype) if isinstance(array, types.Array) and array.layout == "C" else None,
    types.Array,
)
def _pointer(context, builder, sig, args):
    return context.make_array(sig.args[0])(context, builder, args[0]).data


def offset(p: Any, count: int) -> Any:
    """The place ``count`` numbers further on."""
    return p[count:]


@compiled_form(
    offset,
    lambda p, count: signature(p, p, types.intp) if isinstance(p, Pointer) else None,
    Pointer,
    types.intp,
)
def _offset(context, builder, sig, args):
    return builder.gep(args[0], [args[1]])


def load(p: Any, at: int) -> Any:
    """The samples from ``at`` on, one a lane."""
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
    """Ask for the next ``count`` numbers to be brought into the cache; the place may lie outside the array."""


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
    """How many lanes go side by side."""
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
