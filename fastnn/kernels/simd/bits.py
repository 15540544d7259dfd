"""The bits of floating-point numbers: exponent and significand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from fastnn.kernels.simd.arithmetic import fill
from fastnn.kernels.simd.types import VECTOR_BYTES, Lanes, compiled_form, table_signature

MAGIC, MAGIC_SINGLE = 1.5 * 2.0**52 + 1023, 1.5 * 2.0**23 + 127


def is_double(a: Any) -> bool:
    """Return whether the numbers are float64; a compile-time constant, so that the other branch vanishes."""
    return bool(a.dtype == np.float64)


@compiled_form(is_double, lambda a: types.boolean if isinstance(a, Lanes) else None, Lanes)
def _is_double(context, builder, sig, args):
    return ir.Constant(ir.IntType(1), int(sig.args[0].dtype == types.float64))


def magic(like: Any) -> Any:
    """A number so large that x + magic holds x, rounded to a whole number, in the low bits of the significand.

    It is 1.5·2**(bits of the significand) plus the bias of the exponent.
    """
    return fill(like, MAGIC if like.dtype == np.float64 else MAGIC_SINGLE)


def power_of_two(raised: Any) -> Any:
    """2**n for raised = magic + n, with n in the range of normal numbers."""
    whole, bits = (np.int64, 52) if raised.dtype == np.float64 else (np.int32, 23)
    return (raised.view(whole) << bits).view(raised.dtype)


def looks_up(a: Any) -> bool:
    """Return whether one instruction looks up all lanes in 16 numbers, as on AVX-512; a compile-time constant."""
    return VECTOR_BYTES == 64


@compiled_form(looks_up, lambda a: types.boolean if isinstance(a, Lanes) else None, Lanes)
def _looks_up(context, builder, sig, args):
    return ir.Constant(ir.IntType(1), int(VECTOR_BYTES == 64))


def sixteenth_power(raised: Any, table: tuple) -> Any:
    """table[j]·2**e for raised = magic + 16·e + j with 0 <= j < 16, where lanes can be looked up.

    The table, a compile-time constant, has a number in [1, 2) for each j; only the first may be a little less.
    """
    n = (raised - magic(raised)).astype(int)
    return np.ldexp(np.array(table, raised.dtype)[n % 16], n // 16)


@compiled_form(sixteenth_power, table_signature, Lanes, types.UniTuple)
def _sixteenth_power(context, builder, sig, args):
    raised, table = args
    lanes = sig.return_type
    floats, integers, bits, bias = _layout(context, lanes)
    if VECTOR_BYTES < 64:
        return ir.Constant(floats, ir.Undefined)  # in a branch that is never taken
    # The last bits of the sum that raised is, n + bias, are both: four of the place in the table and, further up,
    # those of the exponent. What the place adds there is taken away in the table beforehand.
    raised = builder.bitcast(raised, integers)
    tables = []
    for first in range(0, 16, lanes.count):
        powers = [(first + lane - bias) % 16 for lane in range(lanes.count)]
        numbers = ir.Constant(floats, ir.Undefined)
        for lane, j in enumerate(powers):
            number = context.cast(builder, builder.extract_value(table, j), sig.args[1].dtype, lanes.dtype)
            numbers = builder.insert_element(numbers, number, ir.IntType(32)(lane))
        excess = ir.Constant(integers, [(j + bias) << (bits - 4) for j in powers])
        tables.append(builder.bitcast(builder.sub(builder.bitcast(numbers, integers), excess), floats))
    if len(tables) == 1:
        name, arguments = "llvm.x86.avx512.permvar.sf.512", [tables[0], raised]
    else:
        name, arguments = "llvm.x86.avx512.vpermi2var.pd.512", [tables[0], raised, tables[1]]
    kind = ir.FunctionType(floats, [argument.type for argument in arguments])
    found = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)
    exponents = builder.shl(raised, _same(integers, bits - 4))
    return builder.bitcast(builder.add(builder.bitcast(found, integers), exponents), floats)


def exponent(a: Any) -> Any:
    """The e of a = m·2**e with m in [1, 2), for normal positive a."""
    return (np.frexp(a)[1] - 1).astype(a.dtype)


def significand(a: Any) -> Any:
    """The m of a = m·2**e with m in [1, 2), for normal positive a."""
    return (np.frexp(a)[0] * 2).astype(a.dtype)


def _same(integers: Any, value: float) -> Any:
    return ir.Constant(integers, [value] * integers.count)


def _layout(context: Any, lanes: Lanes) -> tuple[Any, Any, int, int]:
    """Vector types of the numbers and of their bits, the bits of the significand, and the bias of the exponent."""
    integers = ir.VectorType(ir.IntType(lanes.dtype.bitwidth), lanes.count)
    return context.get_value_type(lanes), integers, *((52, 1023) if lanes.dtype == types.float64 else (23, 127))


def _emit_magic(builder, a, floats, integers, bits, bias):
    return _same(floats, MAGIC if bits == 52 else MAGIC_SINGLE)


def _emit_power_of_two(builder, raised, floats, integers, bits, bias):
    return builder.bitcast(builder.shl(builder.bitcast(raised, integers), _same(integers, bits)), floats)


def _emit_exponent(builder, a, floats, integers, bits, bias):
    # The exponent's bits, under the significand of 2**bits, are a number 2**bits + (e + bias): no conversion
    # from integers, which for 64 bits needs AVX-512.
    raised = builder.lshr(builder.bitcast(a, integers), _same(integers, bits))
    number = builder.or_(raised, _same(integers, (bits + bias) << bits))
    return builder.fsub(builder.bitcast(number, floats), _same(floats, 2.0**bits + bias))


def _emit_significand(builder, a, floats, integers, bits, bias):
    kept = builder.and_(builder.bitcast(a, integers), _same(integers, (1 << bits) - 1))
    return builder.bitcast(builder.or_(kept, _same(integers, bias << bits)), floats)


def _register(function: Callable[..., Any], emit: Callable[..., Any]) -> None:
    """Give ``function`` the compiled form of ``emit``, which is given the results of ``_layout``."""

    @compiled_form(function, lambda a: a if isinstance(a, Lanes) else None, Lanes)
    def lower(context, builder, sig, args):
        return emit(builder, args[0], *_layout(context, sig.return_type))


_register(magic, _emit_magic)
_register(power_of_two, _emit_power_of_two)
_register(exponent, _emit_exponent)
_register(significand, _emit_significand)
