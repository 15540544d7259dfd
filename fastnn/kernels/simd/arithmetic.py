"""Arithmetic on lanes. A plain number among the operands is spread over all lanes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing import signature

from fastnn.kernels.simd.types import (
    Lanes,
    Mask,
    common_lanes,
    compiled_form,
    lanes_signature,
    number_to_lanes,
    table_signature,
)


def _dtype_of(a: Any, b: Any) -> np.dtype:
    return a.dtype if isinstance(a, np.ndarray) else b.dtype


def fma(a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once where the machine can."""
    return a * b + c


def maximum(a: Any, b: Any) -> Any:
    """The greater of each pair; ``b`` where one is NaN."""
    return np.where(a > b, a, b).astype(_dtype_of(a, b))


def minimum(a: Any, b: Any) -> Any:
    """The smaller of each pair; ``b`` where one is NaN."""
    return np.where(a < b, a, b).astype(_dtype_of(a, b))


def absolute(a: Any) -> Any:
    """The magnitude."""
    return np.abs(a)


def copy_sign(a: Any, b: Any) -> Any:
    """The magnitude of ``a`` with the sign of ``b``."""
    return np.copysign(a, b)


def square_root(a: Any) -> Any:
    """The square root, rounded correctly; NaN below 0."""
    return np.sqrt(a)


def intrinsic(name: str) -> Callable[..., Any]:
    """Return a function that emits a call of one of LLVM's vector functions."""

    def emit(builder: Any, *args: Any) -> Any:
        vector = args[0].type
        kind = f"v{vector.count}f{64 if vector.element == ir.DoubleType() else 32}"
        function = builder.module.globals.get(f"llvm.{name}.{kind}")
        if function is None:
            described = ir.FunctionType(vector, [a.type for a in args])
            function = ir.Function(builder.module, described, f"llvm.{name}.{kind}")
        return builder.call(function, args)

    return emit


# fmuladd, not fma: on a machine without the instruction, fma is a slow library call for each lane.
emit_fma = intrinsic("fmuladd")


def _register(function: Callable[..., Any], typer: Callable[..., Any], emit: Callable[..., Any]) -> None:
    """Give ``function`` the compiled form that ``emit(builder, *args)`` emits."""
    count = typer.__code__.co_argcount

    @compiled_form(function, typer, *[Lanes] * count)
    def lower(context, builder, sig, args):
        return emit(builder, *args)


# Numba binds the arguments of a call to those of the typer: one for each count of them.
def _one(a: Any) -> Any:
    return lanes_signature(a)


def _two(a: Any, b: Any) -> Any:
    return lanes_signature(a, b)


def _three(a: Any, b: Any, c: Any) -> Any:
    return lanes_signature(a, b, c)


_register(operator.add, _two, lambda builder, a, b: builder.fadd(a, b))
_register(operator.sub, _two, lambda builder, a, b: builder.fsub(a, b))
_register(operator.mul, _two, lambda builder, a, b: builder.fmul(a, b))
_register(operator.truediv, _two, lambda builder, a, b: builder.fdiv(a, b))
_register(operator.neg, _one, lambda builder, a: builder.fneg(a))
_register(fma, _three, emit_fma)
_register(absolute, _one, intrinsic("fabs"))
_register(copy_sign, _two, intrinsic("copysign"))
_register(square_root, _one, intrinsic("sqrt"))
_register(maximum, _two, lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
_register(minimum, _two, lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b))


def _compare(function: Callable[..., Any], sign: str) -> None:
    def typer(a: Any, b: Any) -> Any:
        lanes = common_lanes(a, b)
        return None if lanes is None else signature(Mask(lanes.count), lanes, lanes)

    @compiled_form(function, typer, Lanes, Lanes)
    def lower(context, builder, sig, args):
        return builder.fcmp_ordered(sign, *args)


_compare(operator.gt, ">")
_compare(operator.ge, ">=")
_compare(operator.lt, "<")
_compare(operator.le, "<=")
_compare(operator.eq, "==")


def select(mask: Any, a: Any, b: Any) -> Any:
    """``a`` where the mask is true, else ``b``."""
    return np.where(mask, a, b).astype(_dtype_of(a, b))


def _type_of_select(mask: Any, a: Any, b: Any) -> Any:
    lanes = common_lanes(a, b)
    return signature(lanes, mask, lanes, lanes) if lanes and isinstance(mask, Mask) else None


@compiled_form(select, _type_of_select, Mask, Lanes, Lanes)
def _select(context, builder, sig, args):
    return builder.select(*args)


def fill(like: Any, number: float) -> Any:
    """The number in every lane."""
    return np.full_like(like, number)


@compiled_form(
    fill,
    lambda like, number: signature(like, like, like) if isinstance(like, Lanes) else None,
    Lanes,
    Lanes,
)
def _fill(context, builder, sig, args):
    return args[1]


def polynomial(x: Any, coefficients: tuple) -> Any:
    """c[0] + c[1]·x + c[2]·x² + … by Horner's rule; the coefficients are known to the compiler."""
    value = fma(x, coefficients[-1], coefficients[-2])
    for c in coefficients[-3::-1]:
        value = fma(x, value, c)
    return value


@compiled_form(polynomial, table_signature, Lanes, types.UniTuple)
def _polynomial(context, builder, sig, args):
    x, coefficients = args
    spread = [
        number_to_lanes(context, builder, sig.args[1].dtype, sig.args[0], builder.extract_value(coefficients, i))
        for i in range(len(sig.args[1]))
    ]
    value = spread[-1]
    for c in spread[-2::-1]:
        value = emit_fma(builder, x, value, c)
    return value


def total(lanes: Any) -> Any:
    """The sum over the lanes, as a tree: halves are added until one number is left."""
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = lanes[:half] + lanes[half:]
    return lanes[0]


def emit_total(builder: Any, lanes: Any) -> Any:
    """Emit instructions for the sum over the lanes."""
    while lanes.type.count > 1:
        half = lanes.type.count // 2
        halves = []
        for first in (0, half):
            chosen = ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(first, first + half)))
            halves.append(builder.shuffle_vector(lanes, ir.Constant(lanes.type, ir.Undefined), chosen))
        lanes = builder.fadd(*halves)
    return builder.extract_element(lanes, ir.IntType(32)(0))


@compiled_form(total, lambda lanes: lanes.dtype if isinstance(lanes, Lanes) else None, Lanes)
def _total(context, builder, sig, args):
    return emit_total(builder, args[0])


def all_zero(lanes: Any) -> bool:
    """Return whether every lane is 0; NaN is not."""
    return bool(np.all(lanes == 0.0))


@compiled_form(all_zero, lambda lanes: types.boolean if isinstance(lanes, Lanes) else None, Lanes)
def _all_zero(context, builder, sig, args):
    (lanes,) = args
    found = builder.fcmp_ordered("==", lanes, ir.Constant(lanes.type, [0.0] * lanes.type.count))
    bits = ir.IntType(lanes.type.count)
    return builder.icmp_unsigned("==", builder.bitcast(found, bits), bits(-1))
