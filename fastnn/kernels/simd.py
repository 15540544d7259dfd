"""Lanes: a Numba type for a SIMD register, and the operations that the kernels are written with.

A lane is a sample. A value of type ``Lanes`` holds one number for each of ``LANES[dtype]`` samples side by
side; ``Pointer`` is the start of a run of numbers in memory; a block is a tuple of ``Lanes``. Every
operation is a plain Python function with a NumPy meaning (a pointer is an array, lanes are a short array),
so that kernels run, slowly, under ``NUMBA_DISABLE_JIT=1``; next to it stands what it compiles to.

No instruction carries a fast-math flag, and where a multiplication and an addition are to be one
instruction the source says ``fma``. A lane therefore goes through the same roundings wherever it sits:
the same row gives the same bits alone, in a batch, in training and in prediction.
"""

from __future__ import annotations

import operator
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.core.typeconv import Conversion
from numba.core.typing import signature
from numba.extending import (
    lower_builtin,
    lower_cast,
    models,
    register_model,
    type_callable,
)


def _vector_bytes() -> int:
    """Bytes of the machine's widest vector register, as Numba will be told of it."""
    if config.CPU_FEATURES is not None:
        features = {name for name in config.CPU_FEATURES.split(",") if name.startswith("+")}
    else:
        host = llvm.get_host_cpu_features()
        features = {f"+{name}" for name, present in host.items() if present}
    if "+avx512f" in features:
        return 64
    return 32 if "+avx" in features else 16


VECTOR_BYTES = _vector_bytes()
LANES = {np.dtype(t): VECTOR_BYTES // np.dtype(t).itemsize for t in (np.float32, np.float64)}

# Sizes of blocks are given to kernels as tuples: their length is known to the compiler.
ONE, TWO, FOUR, EIGHT = (0,), (0,) * 2, (0,) * 4, (0,) * 8


MAGIC, MAGIC_SINGLE = 1.5 * 2.0**52 + 1023, 1.5 * 2.0**23 + 127

# Types ---------------------------------------------------------------------------------------------


class Lanes(types.Type):
    """One number for each sample of a vector register, or of a few registers."""

    def __init__(self, dtype: types.Float, registers: int = 1) -> None:
        self.dtype = dtype
        self.count = registers * VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Lanes({dtype}, {self.count})")

    def can_convert_from(self, typingctx: Any, other: types.Type) -> Conversion | None:
        return Conversion.safe if isinstance(other, types.Number) else None


class Mask(types.Type):
    """One truth value for each lane."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(name=f"Mask({count})")


class Pointer(types.Type):
    """The address of a number in an array that the caller keeps alive."""

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        super().__init__(name=f"Pointer({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        scalar = manager.lookup(fe_type.dtype).get_value_type()
        super().__init__(manager, fe_type, ir.VectorType(scalar, fe_type.count))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, ir.VectorType(ir.IntType(1), fe_type.count))


@register_model(Pointer)
class _PointerModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, manager.lookup(fe_type.dtype).get_data_type().as_pointer())


def _lanes_type(context, lanes):
    return context.get_value_type(lanes)


def _splat(builder, vector_type, scalar):
    start = builder.insert_element(ir.Constant(vector_type, ir.Undefined), scalar, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector_type.count), None)
    return builder.shuffle_vector(start, ir.Constant(vector_type, ir.Undefined), zeros)


@lower_cast(types.Float, Lanes)
@lower_cast(types.Integer, Lanes)
def _number_to_lanes(context, builder, fromty, toty, value):
    scalar = context.cast(builder, value, fromty, toty.dtype)
    return _splat(builder, _lanes_type(context, toty), scalar)


def _common_lanes(args):
    """The one Lanes type among the arguments, if the others are that or plain numbers."""
    found = {a for a in args if isinstance(a, Lanes)}
    if len(found) != 1 or not all(isinstance(a, (Lanes, types.Number)) for a in args):
        return None
    return found.pop()


# Memory --------------------------------------------------------------------------------------------


def pointer(array: np.ndarray) -> Any:
    """The start of a contiguous array."""
    return array


def offset(p: Any, count: int) -> Any:
    """The place ``count`` numbers further on."""
    return p[count:]


def load(p: Any, at: int) -> Any:
    """The samples from ``at`` on, one a lane."""
    lanes = p[at : at + LANES[p.dtype]].copy()
    assert len(lanes) == LANES[p.dtype], "read past the end of the array"
    return lanes


def store(p: Any, at: int, lanes: Any) -> None:
    """Overwrite the samples from ``at`` on."""
    assert len(p[at : at + len(lanes)]) == len(lanes), "write past the end of the array"
    p[at : at + len(lanes)] = lanes


def width(p: Any) -> int:
    """How many lanes go side by side."""
    return LANES[p.dtype]


@type_callable(pointer)
def _type_pointer(context):
    def typer(array):
        if isinstance(array, types.Array) and array.layout == "C":
            return Pointer(array.dtype)
        return None

    return typer


@lower_builtin(pointer, types.Array)
def _lower_pointer(context, builder, sig, args):
    return context.make_array(sig.args[0])(context, builder, args[0]).data


@type_callable(offset)
def _type_offset(context):
    def typer(p, count):
        return signature(p, p, types.intp) if isinstance(p, Pointer) else None

    return typer


@lower_builtin(offset, Pointer, types.intp)
def _lower_offset(context, builder, sig, args):
    return builder.gep(args[0], [args[1]])


def _vector_address(context, builder, lanes, p, at):
    address = builder.gep(p, [at])
    return builder.bitcast(address, _lanes_type(context, lanes).as_pointer())


@type_callable(load)
def _type_load(context):
    def typer(p, at):
        return signature(Lanes(p.dtype), p, types.intp) if isinstance(p, Pointer) else None

    return typer


@lower_builtin(load, Pointer, types.intp)
def _lower_load(context, builder, sig, args):
    lanes = sig.return_type
    return builder.load(_vector_address(context, builder, lanes, *args), align=lanes.dtype.bitwidth // 8)


@type_callable(store)
def _type_store(context):
    def typer(p, at, lanes):
        if isinstance(p, Pointer):
            return signature(types.none, p, types.intp, Lanes(p.dtype))
        return None

    return typer


@lower_builtin(store, Pointer, types.intp, Lanes)
def _lower_store(context, builder, sig, args):
    lanes = sig.args[2]
    address = _vector_address(context, builder, lanes, args[0], args[1])
    builder.store(args[2], address, align=lanes.dtype.bitwidth // 8)
    return context.get_dummy_value()


@type_callable(width)
def _type_width(context):
    def typer(p):
        return types.intp if isinstance(p, (Pointer, Lanes)) else None

    return typer


@lower_builtin(width, Pointer)
@lower_builtin(width, Lanes)
def _lower_width(context, builder, sig, args):
    return ir.Constant(context.get_value_type(types.intp), Lanes(sig.args[0].dtype).count)


@type_callable(operator.getitem)
def _type_getitem(context):
    def typer(p, at):
        if isinstance(p, Pointer) and isinstance(at, types.Integer):
            return signature(p.dtype, p, types.intp)
        return None

    return typer


@lower_builtin(operator.getitem, Pointer, types.intp)
def _lower_getitem(context, builder, sig, args):
    return context.unpack_value(builder, sig.return_type, builder.gep(args[0], [args[1]]))


@type_callable(operator.setitem)
def _type_setitem(context):
    def typer(p, at, value):
        if isinstance(p, Pointer) and isinstance(at, types.Integer):
            return signature(types.none, p, types.intp, p.dtype)
        return None

    return typer


@lower_builtin(operator.setitem, Pointer, types.intp, types.Any)
def _lower_setitem(context, builder, sig, args):
    context.pack_value(builder, sig.args[2], args[2], builder.gep(args[0], [args[1]]))
    return context.get_dummy_value()


# Arithmetic ----------------------------------------------------------------------------------------


def fma(a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once where the machine can."""
    return a * b + c


def maximum(a: Any, b: Any) -> Any:
    """The greater of each pair; ``b`` where one is NaN."""
    return np.where(a > b, a, b).astype(_dtype_of(a, b))


def minimum(a: Any, b: Any) -> Any:
    """The smaller of each pair; ``b`` where one is NaN."""
    return np.where(a < b, a, b).astype(_dtype_of(a, b))


def select(mask: Any, a: Any, b: Any) -> Any:
    """``a`` where the mask is true, else ``b``."""
    return np.where(mask, a, b).astype(_dtype_of(a, b))


def absolute(a: Any) -> Any:
    """The magnitude."""
    return np.abs(a)


def copy_sign(a: Any, b: Any) -> Any:
    """The magnitude of ``a`` with the sign of ``b``."""
    return np.copysign(a, b)


def fill(like: Any, number: float) -> Any:
    """The number in every lane."""
    return np.full_like(like, number)


def polynomial(x: Any, coefficients: tuple) -> Any:
    """c[0] + c[1]·x + c[2]·x² + … by Horner's rule; the coefficients are known to the compiler."""
    value = fma(x, coefficients[-1], coefficients[-2])
    for c in coefficients[-3::-1]:
        value = fma(x, value, c)
    return value


def _dtype_of(a: Any, b: Any) -> np.dtype:
    return a.dtype if isinstance(a, np.ndarray) else b.dtype


def _arithmetic(function, emit):
    """Give ``function`` of lanes (and numbers, which are spread over the lanes) its instruction."""

    @type_callable(function)
    def _type(context):
        # type_callable binds the arguments by name, hence one typer for each count of them
        def one(a):
            lanes = _common_lanes((a,))
            return None if lanes is None else signature(lanes, lanes)

        def two(a, b):
            lanes = _common_lanes((a, b))
            return None if lanes is None else signature(lanes, lanes, lanes)

        def three(a, b, c):
            lanes = _common_lanes((a, b, c))
            return None if lanes is None else signature(lanes, lanes, lanes, lanes)

        return {1: one, 2: two, 3: three}[emit.__code__.co_argcount - 1]

    @lower_builtin(function, *[Lanes] * (emit.__code__.co_argcount - 1))
    def _lower(context, builder, sig, args):
        return emit(builder, *args)


def _call(name):
    def emit(builder, *args):
        kind = f"v{args[0].type.count}f{64 if args[0].type.element == ir.DoubleType() else 32}"
        callee = ir.FunctionType(args[0].type, [a.type for a in args])
        function = builder.module.globals.get(f"llvm.{name}.{kind}")
        if function is None:
            function = ir.Function(builder.module, callee, f"llvm.{name}.{kind}")
        return builder.call(function, args)

    return emit


_arithmetic(operator.add, lambda builder, a, b: builder.fadd(a, b))
_arithmetic(operator.sub, lambda builder, a, b: builder.fsub(a, b))
_arithmetic(operator.mul, lambda builder, a, b: builder.fmul(a, b))
_arithmetic(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
_arithmetic(operator.neg, lambda builder, a: builder.fneg(a))
# fmuladd, not fma: on a machine without the instruction, fma is a slow library call for each lane.
_arithmetic(fma, lambda builder, a, b, c: _call("fmuladd")(builder, a, b, c))
_arithmetic(absolute, lambda builder, a: _call("fabs")(builder, a))
_arithmetic(copy_sign, lambda builder, a, b: _call("copysign")(builder, a, b))
_arithmetic(maximum, lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
_arithmetic(minimum, lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b))


@type_callable(fill)
def _type_fill(context):
    def typer(like, number):
        return signature(like, like, like) if isinstance(like, Lanes) else None

    return typer


@lower_builtin(fill, Lanes, Lanes)
def _lower_fill(context, builder, sig, args):
    return args[1]


@type_callable(polynomial)
def _type_polynomial(context):
    def typer(x, coefficients):
        if isinstance(x, Lanes) and isinstance(coefficients, types.UniTuple):
            return signature(x, x, coefficients)
        return None

    return typer


@lower_builtin(polynomial, Lanes, types.UniTuple)
def _lower_polynomial(context, builder, sig, args):
    x, fused = args[0], _call("fmuladd")
    spread = [
        _number_to_lanes(context, builder, sig.args[1].dtype, sig.args[0], c) for c in _unpack(builder, args[1])
    ]
    value = spread[-1]
    for c in spread[-2::-1]:
        value = fused(builder, x, value, c)
    return value


def _comparison(function, sign):
    @type_callable(function)
    def _type(context):
        def typer(a, b):
            lanes = _common_lanes((a, b))
            return None if lanes is None else signature(Mask(lanes.count), lanes, lanes)

        return typer

    @lower_builtin(function, Lanes, Lanes)
    def _lower(context, builder, sig, args):
        return builder.fcmp_ordered(sign, *args)


_comparison(operator.gt, ">")
_comparison(operator.ge, ">=")
_comparison(operator.lt, "<")
_comparison(operator.le, "<=")
_comparison(operator.eq, "==")


@type_callable(select)
def _type_select(context):
    def typer(mask, a, b):
        lanes = _common_lanes((a, b))
        return signature(lanes, mask, lanes, lanes) if lanes and isinstance(mask, Mask) else None

    return typer


@lower_builtin(select, Mask, Lanes, Lanes)
def _lower_select(context, builder, sig, args):
    return builder.select(*args)


# The bits of a number ------------------------------------------------------------------------------


def is_double(a: Any) -> bool:
    """Whether the numbers are float64; known to the compiler, so that the other branch vanishes."""
    return bool(a.dtype == np.float64)


def magic(like: Any) -> Any:
    """A number so large that x + magic is x, rounded to a whole number, in the low bits of the significand.

    It is 1.5·2**(bits of the significand), and the bias of the exponent on top.
    """
    return fill(like, MAGIC if like.dtype == np.float64 else MAGIC_SINGLE)


def power_of_two(raised: Any) -> Any:
    """2**n for raised = magic + n, with n in the range of normal numbers."""
    bits = (np.int64, 52) if raised.dtype == np.float64 else (np.int32, 23)
    return (raised.view(bits[0]) << bits[1]).view(raised.dtype)


def exponent(a: Any) -> Any:
    """The e of a = m·2**e with m in [1, 2), for normal positive a."""
    return (np.frexp(a)[1] - 1).astype(a.dtype)


def significand(a: Any) -> Any:
    """The m of a = m·2**e with m in [1, 2), for normal positive a."""
    return (np.frexp(a)[0] * 2).astype(a.dtype)


def _float_layout(lanes):
    """(integer vector type, bits of the significand, bias of the exponent)."""
    bits = lanes.dtype.bitwidth
    return ir.VectorType(ir.IntType(bits), lanes.count), *((52, 1023) if bits == 64 else (23, 127))


def _same(integers, value):
    return ir.Constant(integers, [value] * integers.count)


@type_callable(is_double)
def _type_is_double(context):
    def typer(a):
        return types.boolean if isinstance(a, (Lanes, Pointer)) else None

    return typer


@lower_builtin(is_double, Lanes)
@lower_builtin(is_double, Pointer)
def _lower_is_double(context, builder, sig, args):
    return ir.Constant(ir.IntType(1), int(sig.args[0].dtype == types.float64))


def _bits(function, emit):
    @type_callable(function)
    def _type(context):
        def typer(a):
            return a if isinstance(a, Lanes) else None

        return typer

    @lower_builtin(function, Lanes)
    def _lower(context, builder, sig, args):
        lanes = sig.return_type
        return emit(builder, args[0], _lanes_type(context, lanes), *_float_layout(lanes))


def _emit_magic(builder, a, floats, integers, bits, bias):
    return _same(floats, 1.5 * 2.0**bits + bias)


def _emit_power_of_two(builder, raised, floats, integers, bits, bias):
    return builder.bitcast(builder.shl(builder.bitcast(raised, integers), _same(integers, bits)), floats)


def _emit_exponent(builder, a, floats, integers, bits, bias):
    # The exponent's bits, under the significand of 2**bits, are a number 2**bits + (e + bias).
    raised = builder.lshr(builder.bitcast(a, integers), _same(integers, bits))
    number = builder.or_(raised, _same(integers, (bits + bias) << bits))
    return builder.fsub(builder.bitcast(number, floats), _same(floats, 2.0**bits + bias))


def _emit_significand(builder, a, floats, integers, bits, bias):
    kept = builder.and_(builder.bitcast(a, integers), _same(integers, (1 << bits) - 1))
    return builder.bitcast(builder.or_(kept, _same(integers, bias << bits)), floats)


_bits(magic, _emit_magic)
_bits(power_of_two, _emit_power_of_two)
_bits(exponent, _emit_exponent)
_bits(significand, _emit_significand)


# Blocks: tuples of lanes ---------------------------------------------------------------------------


def total(lanes: Any) -> Any:
    """The sum over the lanes, as a tree: halves are added until one number is left."""
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = lanes[:half] + lanes[half:]
    return lanes[0]


def zeros(p: Any, rows: tuple, columns: tuple) -> Any:
    """A block of rows × columns lanes, all zero."""
    return tuple(np.zeros(LANES[p.dtype], p.dtype) for _ in range(len(rows) * len(columns)))


def spread_rows(p: Any, stride: int, rows: tuple, columns: tuple) -> Any:
    """A block whose every lane in row r is the number p[r·stride]."""
    return tuple(np.full(LANES[p.dtype], p[r * stride]) for r in range(len(rows)) for _ in columns)


def load_rows(p: Any, at: int, stride: int, rows: tuple) -> Any:
    """One vector from each of the rows."""
    return tuple(load(p, at + r * stride) for r in range(len(rows)))


def load_columns(p: Any, at: int, columns: tuple) -> Any:
    """Consecutive vectors."""
    return tuple(load(p, at + c * LANES[p.dtype]) for c in range(len(columns)))


def add_outer(block: Any, a: Any, b: Any) -> Any:
    """block[r, c] + a[r]·b[c]: each pair meets in one fma."""
    pairs = [(x, y) for x in a for y in b]
    return tuple(fma(x, y, z) for (x, y), z in zip(pairs, block, strict=True))


def add_rows(block: Any, other: Any) -> Any:
    """The sum of two blocks."""
    return tuple(a + b for a, b in zip(block, other, strict=True))


def add_outer_spread(block: Any, p: Any, stride: int, rows: tuple, b: Any) -> Any:
    """block[r, c] + p[r·stride]·b[c]: numbers times vectors."""
    return add_outer(block, tuple(p[r * stride] for r in range(len(rows))), b)


def times_stored(block: Any, p: Any, stride: int, rows: tuple) -> Any:
    """block[r, c] times the vectors where ``store_block`` would put it."""
    columns = len(block) // len(rows)
    places = [i // columns * stride + i % columns * LANES[p.dtype] for i in range(len(block))]
    return tuple(lanes * load(p, at) for lanes, at in zip(block, places, strict=True))


def store_block(p: Any, stride: int, block: Any, rows: tuple) -> None:
    """Overwrite the first vectors of each of the rows."""
    columns = len(block) // len(rows)
    for i, lanes in enumerate(block):
        store(p, i // columns * stride + i % columns * len(lanes), lanes)


def put_totals(p: Any, at: int, stride: int, block: Any, rows: tuple, add: bool) -> None:
    """Overwrite (or add to) p[at + r·stride + c] with the sum over the lanes of block[r, c]."""
    columns = len(block) // len(rows)
    for i, lanes in enumerate(block):
        place = at + i // columns * stride + i % columns
        p[place] = (p[place] if add else 0) + total(lanes)


def _emit_total(builder, lanes):
    while lanes.type.count > 1:
        half = lanes.type.count // 2
        halves = []
        for first in (0, half):
            chosen = ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(first, first + half)))
            halves.append(builder.shuffle_vector(lanes, ir.Constant(lanes.type, ir.Undefined), chosen))
        lanes = builder.fadd(*halves)
    return builder.extract_element(lanes, ir.IntType(32)(0))


@type_callable(total)
def _type_total(context):
    def typer(lanes):
        return lanes.dtype if isinstance(lanes, Lanes) else None

    return typer


@lower_builtin(total, Lanes)
def _lower_total(context, builder, sig, args):
    return _emit_total(builder, args[0])


def _block_type(p, *sizes):
    count = 1
    for size in sizes:
        count *= len(size)
    return types.UniTuple(Lanes(p.dtype), count)


def _pack(context, builder, block_type, values):
    return context.make_tuple(builder, block_type, values)


def _unpack(builder, block):
    return [builder.extract_value(block, i) for i in range(block.type.count)]


def _index(context, builder, start, stride, count):
    """start + count·stride as an instruction; ``start`` may be None for 0."""
    step = builder.mul(stride, ir.Constant(stride.type, count))
    return step if start is None else builder.add(start, step)


@type_callable(zeros)
def _type_zeros(context):
    def typer(p, rows, columns):
        if isinstance(p, Pointer):
            return signature(_block_type(p, rows, columns), p, rows, columns)
        return None

    return typer


@lower_builtin(zeros, Pointer, types.BaseTuple, types.BaseTuple)
def _lower_zeros(context, builder, sig, args):
    return ir.Constant(context.get_value_type(sig.return_type), None)


@type_callable(spread_rows)
def _type_spread_rows(context):
    def typer(p, stride, rows, columns):
        if isinstance(p, Pointer):
            return signature(_block_type(p, rows, columns), p, types.intp, rows, columns)
        return None

    return typer


@lower_builtin(spread_rows, Pointer, types.intp, types.BaseTuple, types.BaseTuple)
def _lower_spread_rows(context, builder, sig, args):
    p, stride = args[0], args[1]
    values = []
    for r in range(len(sig.args[2])):
        scalar = builder.load(builder.gep(p, [_index(context, builder, None, stride, r)]))
        lanes = _splat(builder, _lanes_type(context, sig.return_type.dtype), scalar)
        values.extend([lanes] * len(sig.args[3]))
    return _pack(context, builder, sig.return_type, values)


@type_callable(load_rows)
def _type_load_rows(context):
    def typer(p, at, stride, rows):
        if isinstance(p, Pointer):
            return signature(_block_type(p, rows), p, types.intp, types.intp, rows)
        return None

    return typer


@lower_builtin(load_rows, Pointer, types.intp, types.intp, types.BaseTuple)
def _lower_load_rows(context, builder, sig, args):
    p, at, stride, _ = args
    lanes, align = sig.return_type.dtype, sig.args[0].dtype.bitwidth // 8
    values = []
    for r in range(len(sig.args[3])):
        address = _vector_address(context, builder, lanes, p, _index(context, builder, at, stride, r))
        values.append(builder.load(address, align=align))
    return _pack(context, builder, sig.return_type, values)


@type_callable(load_columns)
def _type_load_columns(context):
    def typer(p, at, columns):
        if isinstance(p, Pointer):
            return signature(_block_type(p, columns), p, types.intp, columns)
        return None

    return typer


@lower_builtin(load_columns, Pointer, types.intp, types.BaseTuple)
def _lower_load_columns(context, builder, sig, args):
    p, at, _ = args
    lanes, align = sig.return_type.dtype, sig.args[0].dtype.bitwidth // 8
    values = []
    for c in range(len(sig.args[2])):
        here = builder.add(at, ir.Constant(at.type, c * lanes.count))
        values.append(builder.load(_vector_address(context, builder, lanes, p, here), align=align))
    return _pack(context, builder, sig.return_type, values)


@type_callable(add_rows)
def _type_add_rows(context):
    def typer(block, other):
        return block if isinstance(block, types.UniTuple) and block == other else None

    return typer


@lower_builtin(add_rows, types.UniTuple, types.UniTuple)
def _lower_add_rows(context, builder, sig, args):
    pairs = zip(_unpack(builder, args[0]), _unpack(builder, args[1]), strict=True)
    return _pack(context, builder, sig.return_type, [builder.fadd(a, b) for a, b in pairs])


@type_callable(add_outer)
def _type_add_outer(context):
    def typer(block, a, b):
        if all(isinstance(t, types.UniTuple) for t in (block, a, b)):
            return signature(block, block, a, b)
        return None

    return typer


def _emit_add_outer(context, builder, block_type, block, a, b):
    fused, sums = _call("fmuladd"), _unpack(builder, block)
    pairs = [(x, y) for x in a for y in b]
    values = [fused(builder, x, y, z) for (x, y), z in zip(pairs, sums, strict=True)]
    return _pack(context, builder, block_type, values)


@lower_builtin(add_outer, types.UniTuple, types.UniTuple, types.UniTuple)
def _lower_add_outer(context, builder, sig, args):
    a, b = _unpack(builder, args[1]), _unpack(builder, args[2])
    return _emit_add_outer(context, builder, sig.return_type, args[0], a, b)


@type_callable(add_outer_spread)
def _type_add_outer_spread(context):
    def typer(block, p, stride, rows, b):
        if isinstance(p, Pointer) and isinstance(block, types.UniTuple):
            return signature(block, block, p, types.intp, rows, b)
        return None

    return typer


@lower_builtin(add_outer_spread, types.UniTuple, Pointer, types.intp, types.BaseTuple, types.UniTuple)
def _lower_add_outer_spread(context, builder, sig, args):
    block, p, stride, _, b = args
    vector_type = _lanes_type(context, sig.return_type.dtype)
    spread = []
    for r in range(len(sig.args[3])):
        scalar = builder.load(builder.gep(p, [_index(context, builder, None, stride, r)]))
        spread.append(_splat(builder, vector_type, scalar))
    return _emit_add_outer(context, builder, sig.return_type, block, spread, _unpack(builder, b))


def _places_of_block(context, builder, block_type, rows_type, p, stride):
    """The address of each vector of a block."""
    lanes, columns = block_type.dtype, len(block_type) // len(rows_type)
    for i in range(len(block_type)):
        row = _index(context, builder, None, stride, i // columns)
        here = builder.add(row, ir.Constant(stride.type, i % columns * lanes.count))
        yield _vector_address(context, builder, lanes, p, here)


@type_callable(times_stored)
def _type_times_stored(context):
    def typer(block, p, stride, rows):
        if isinstance(p, Pointer) and isinstance(block, types.UniTuple):
            return signature(block, block, p, types.intp, rows)
        return None

    return typer


@lower_builtin(times_stored, types.UniTuple, Pointer, types.intp, types.BaseTuple)
def _lower_times_stored(context, builder, sig, args):
    block, p, stride, _ = args
    align = sig.return_type.dtype.dtype.bitwidth // 8
    places = _places_of_block(context, builder, sig.return_type, sig.args[3], p, stride)
    stored = [builder.load(place, align=align) for place in places]
    values = [builder.fmul(a, b) for a, b in zip(_unpack(builder, block), stored, strict=True)]
    return _pack(context, builder, sig.return_type, values)


@type_callable(store_block)
def _type_store_block(context):
    def typer(p, stride, block, rows):
        if isinstance(p, Pointer) and isinstance(block, types.UniTuple):
            return signature(types.none, p, types.intp, block, rows)
        return None

    return typer


@lower_builtin(store_block, Pointer, types.intp, types.UniTuple, types.BaseTuple)
def _lower_store_block(context, builder, sig, args):
    p, stride, block, _ = args
    places = _places_of_block(context, builder, sig.args[2], sig.args[3], p, stride)
    for value, place in zip(_unpack(builder, block), places, strict=True):
        builder.store(value, place, align=sig.args[0].dtype.bitwidth // 8)
    return context.get_dummy_value()


@type_callable(put_totals)
def _type_put_totals(context):
    def typer(p, at, stride, block, rows, add):
        if isinstance(p, Pointer) and isinstance(block, types.UniTuple):
            return signature(types.none, p, types.intp, types.intp, block, rows, types.boolean)
        return None

    return typer


@lower_builtin(put_totals, Pointer, types.intp, types.intp, types.UniTuple, types.BaseTuple, types.boolean)
def _lower_put_totals(context, builder, sig, args):
    p, at, stride, block, _, add = args
    columns = len(sig.args[3]) // len(sig.args[4])
    for i, value in enumerate(_unpack(builder, block)):
        here = _index(context, builder, at, stride, i // columns)
        place = builder.gep(p, [builder.add(here, ir.Constant(at.type, i % columns))])
        summed = _emit_total(builder, value)
        before = builder.select(add, builder.load(place), ir.Constant(summed.type, 0.0))
        builder.store(builder.fadd(before, summed), place)
    return context.get_dummy_value()
