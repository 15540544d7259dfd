"""The time, for compiled code that measures without returning to Python."""

from __future__ import annotations

import sys
import time

from llvmlite import ir
from numba.core import cgutils, types

from fastnn.kernels.simd.types import compiled_form


def now() -> int:
    """Return nanoseconds since some fixed moment, monotonically."""
    return time.perf_counter_ns()


@compiled_form(now, lambda: types.int64)
def _now(context, builder, sig, args):
    whole = ir.IntType(64)
    found = [cgutils.alloca_once(builder, whole, size=2) for _ in range(2)]
    number, first = ir.IntType(32), whole.as_pointer()
    if sys.platform == "win32":
        for name, place in zip(("QueryPerformanceCounter", "QueryPerformanceFrequency"), found, strict=True):
            described = ir.FunctionType(number, [first])
            builder.call(cgutils.get_or_insert_function(builder.module, described, name), [place])
        ticks, each_second = (builder.load(place) for place in found)
        seconds, rest = builder.sdiv(ticks, each_second), builder.srem(ticks, each_second)
        billion = whole(1_000_000_000)
        return builder.add(builder.mul(seconds, billion), builder.sdiv(builder.mul(rest, billion), each_second))
    described = ir.FunctionType(number, [number, first])
    function = cgutils.get_or_insert_function(builder.module, described, "clock_gettime")
    builder.call(function, [number(time.CLOCK_MONOTONIC), found[0]])
    seconds = builder.load(found[0])
    rest = builder.load(builder.gep(found[0], [whole(1)]))
    return builder.add(builder.mul(seconds, whole(1_000_000_000)), rest)
