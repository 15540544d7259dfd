"""Memory that is known by its address alone, and memory for the time of a call."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing import signature

from fastnn.kernels.simd.types import VECTOR_BYTES, Pointer, compiled_form

_BYTES: dict[int, int] = {}  # of the longest array that began at an address, for where nothing is compiled


class _Place:
    """What NumPy makes an array from that begins at an address."""

    def __init__(self, address: int, dtype: Any) -> None:
        self.__array_interface__ = {
            "data": (address, False),
            "shape": (_BYTES[address] // np.dtype(dtype).itemsize,),
            "typestr": np.dtype(dtype).str,
            "version": 3,
        }


def address_of(array: np.ndarray) -> int:
    """The address of an array's first number, for Python; the array is to be kept alive."""
    address = array.ctypes.data
    if numba.config.DISABLE_JIT:
        _BYTES[address] = max(array.nbytes, _BYTES.get(address, 0))
    return address


def at_address(address: int, like: Any) -> Any:
    """The numbers at an address: of a type, such as np.int64, or of the type that another pointer points to."""
    return np.asarray(_Place(int(address), like.dtype if isinstance(like, np.ndarray) else like))


def _pointer_like(like: Any) -> Any:
    if isinstance(like, Pointer):
        return like
    return Pointer(like.instance_type) if isinstance(like, types.NumberClass) else None


def _type_at_address(address: Any, like: Any) -> Any:
    found = _pointer_like(like)
    return None if found is None else signature(found, types.int64, like)


@compiled_form(at_address, _type_at_address, types.int64, types.Any)
def _at_address(context, builder, sig, args):
    return builder.inttoptr(args[0], context.get_value_type(sig.return_type))


def address(p: Any) -> int:
    """The address that a pointer is."""
    return p.ctypes.data


@compiled_form(
    address,
    lambda p: signature(types.int64, p) if isinstance(p, Pointer) else None,
    Pointer,
)
def _address(context, builder, sig, args):
    return builder.ptrtoint(args[0], ir.IntType(64))


def _memory_like(like: Any, count: Any) -> Any:
    return signature(like, like, types.intp) if isinstance(like, Pointer) else None


def on_stack(like: Any, count: int) -> Any:
    """Memory for ``count`` numbers, holding anything, until the calling function returns. Not in a loop."""
    return np.empty(count, like.dtype)


@compiled_form(on_stack, _memory_like, Pointer, types.intp)
def _on_stack(context, builder, sig, args):
    memory = builder.alloca(context.get_data_type(sig.return_type.dtype), size=args[1])
    memory.align = VECTOR_BYTES
    return memory


def on_heap(like: Any, count: int) -> Any:
    """Memory for ``count`` numbers, holding anything, until ``release``."""
    return np.empty(count, like.dtype)


@compiled_form(on_heap, _memory_like, Pointer, types.intp)
def _on_heap(context, builder, sig, args):
    size = builder.mul(args[1], args[1].type(sig.return_type.dtype.bitwidth // 8))
    memory = context.nrt.allocate(builder, size)
    return builder.bitcast(memory, context.get_value_type(sig.return_type))


def release(p: Any) -> None:
    """Give memory of ``on_heap`` back."""


@compiled_form(
    release,
    lambda p: signature(types.none, p) if isinstance(p, Pointer) else None,
    Pointer,
)
def _release(context, builder, sig, args):
    context.nrt.free(builder, builder.bitcast(args[0], ir.IntType(8).as_pointer()))
    return context.get_dummy_value()
