"""Memory that is known only by its address, and memory for the duration of a call."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing import signature

from fastnn.kernels.simd.types import VECTOR_BYTES, Pointer, compiled_form

_BYTES: dict[int, int] = {}  # the size of the longest array at each address, for use without compilation


class _Place:
    """An object from which NumPy makes an array that begins at an address."""

    def __init__(self, address: int, dtype: Any) -> None:
        self.__array_interface__ = {
            "data": (address, False),
            "shape": (_BYTES[address] // np.dtype(dtype).itemsize,),
            "typestr": np.dtype(dtype).str,
            "version": 3,
        }


def address_of(array: np.ndarray) -> int:
    """Return the address of an array's first number, for Python; the array must be kept alive."""
    address = array.ctypes.data
    if numba.config.DISABLE_JIT:
        _BYTES[address] = max(array.nbytes, _BYTES.get(address, 0))
    return address


def at_address(address: int, like: Any) -> Any:
    """Return a pointer to numbers of a type, such as np.int64, or of the type that another pointer points to."""
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
    """Return a pointer's address."""
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
    """Return uninitialized memory for ``count`` numbers, until the caller returns; not for use in loops."""
    return np.empty(count, like.dtype)


@compiled_form(on_stack, _memory_like, Pointer, types.intp)
def _on_stack(context, builder, sig, args):
    memory = builder.alloca(context.get_data_type(sig.return_type.dtype), size=args[1])
    memory.align = VECTOR_BYTES
    return memory


def on_heap(like: Any, count: int) -> Any:
    """Return uninitialized memory for ``count`` numbers, until ``release``."""
    return np.empty(count, like.dtype)


@compiled_form(on_heap, _memory_like, Pointer, types.intp)
def _on_heap(context, builder, sig, args):
    size = builder.mul(args[1], args[1].type(sig.return_type.dtype.bitwidth // 8))
    memory = context.nrt.allocate(builder, size)
    return builder.bitcast(memory, context.get_value_type(sig.return_type))


def release(p: Any) -> None:
    """Free memory of ``on_heap``."""


@compiled_form(
    release,
    lambda p: signature(types.none, p) if isinstance(p, Pointer) else None,
    Pointer,
)
def _release(context, builder, sig, args):
    context.nrt.free(builder, builder.bitcast(args[0], ir.IntType(8).as_pointer()))
    return context.get_dummy_value()
