"""Atomic whole numbers that several threads write to, and ways for threads to wait for each other.

``write`` publishes a number: a thread that sees it by ``read`` or ``add`` sees all that was stored before it.
"""

from __future__ import annotations

import platform
import sys
import threading
import time
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing import signature

from fastnn.kernels.simd.types import Pointer, compiled_form

_one_at_a_time = threading.Lock()


def read(p: Any, at: int) -> int:
    """Return the number that was last published at p[at]."""
    return int(p[at])


@compiled_form(
    read,
    lambda p, at: signature(p.dtype, p, types.intp) if isinstance(p, Pointer) else None,
    Pointer,
    types.intp,
)
def _read(context, builder, sig, args):
    return builder.load_atomic(builder.gep(args[0], [args[1]]), "acquire", 8)


def write(p: Any, at: int, number: int) -> None:
    """Publish a number at p[at]."""
    p[at] = number


@compiled_form(
    write,
    lambda p, at, number: signature(types.none, p, types.intp, p.dtype) if isinstance(p, Pointer) else None,
    Pointer,
    types.intp,
    types.Integer,
)
def _write(context, builder, sig, args):
    builder.store_atomic(args[2], builder.gep(args[0], [args[1]]), "release", 8)
    return context.get_dummy_value()


def add(p: Any, at: int, number: int) -> int:
    """Add atomically to p[at], and return its value before."""
    with _one_at_a_time:
        before = int(p[at])
        p[at] = before + number
    return before


@compiled_form(
    add,
    lambda p, at, number: signature(p.dtype, p, types.intp, p.dtype) if isinstance(p, Pointer) else None,
    Pointer,
    types.intp,
    types.Integer,
)
def _add(context, builder, sig, args):
    return builder.atomic_rmw("add", builder.gep(args[0], [args[1]]), args[2], "acq_rel")


def _call(builder: Any, name: str, *arguments: Any) -> None:
    """Emit the call of a processor or system function that takes whole numbers and returns nothing."""
    described = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, described, name), arguments)


def pause() -> None:
    """Pause for a few cycles, in a loop that waits for another thread."""


@compiled_form(pause, lambda: types.none)
def _pause(context, builder, sig, args):
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64", "i686", "x86"):
        _call(builder, "llvm.x86.sse2.pause")
    elif machine in ("arm64", "aarch64"):
        _call(builder, "llvm.aarch64.hint", ir.IntType(32)(1))
    return context.get_dummy_value()


def give_way() -> None:
    """Yield this core to another thread, if one waits for it."""
    time.sleep(0)


@compiled_form(give_way, lambda: types.none)
def _give_way(context, builder, sig, args):
    _call(builder, "SwitchToThread" if sys.platform == "win32" else "sched_yield")
    return context.get_dummy_value()


def sleep(microseconds: int) -> None:
    """Sleep for about that many microseconds, less than a million."""
    time.sleep(microseconds * 1e-6)


@compiled_form(sleep, lambda microseconds: signature(types.none, types.int64), types.int64)
def _sleep(context, builder, sig, args):
    if sys.platform == "win32":
        milliseconds = builder.udiv(builder.add(args[0], args[0].type(999)), args[0].type(1000))
        _call(builder, "Sleep", builder.trunc(milliseconds, ir.IntType(32)))
    else:
        _call(builder, "usleep", builder.trunc(args[0], ir.IntType(32)))
    return context.get_dummy_value()
