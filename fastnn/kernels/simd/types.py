"""The types, and the decorator that gives a plain function its compiled form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.core.typeconv import Conversion
from numba.core.typing import signature
from numba.extending import lower_builtin, lower_cast, models, register_model, type_callable


def _vector_bytes() -> int:
    """Return the bytes of the machine's widest vector register, as Numba will know it."""
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


class Lanes(types.Type):
    """One number for each sample of a vector register."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.count = VECTOR_BYTES * 8 // dtype.bitwidth
        self.alignment = dtype.bitwidth // 8  # that of one number in memory
        super().__init__(name=f"Lanes({dtype}, {self.count})")

    def can_convert_from(self, typingctx: Any, other: types.Type) -> Conversion | None:
        """Accept a plain number as lanes that all hold it."""
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


def compiled_form(function: Callable[..., Any], typer: Callable[..., Any], *kinds: Any) -> Callable[..., Any]:
    """Make the decorated function lower calls of ``function`` with arguments of these kinds.

    ``typer`` is given the types of a call and returns its signature, the type of its result, or None if the
    call is not for it. The decorated function emits the instructions: (context, builder, sig, args) -> value.
    """
    type_callable(function)(lambda context: typer)
    return lower_builtin(function, *kinds)


def splat(builder: Any, vector_type: Any, scalar: Any) -> Any:
    """Emit instructions that put one number into every lane."""
    start = builder.insert_element(ir.Constant(vector_type, ir.Undefined), scalar, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector_type.count), None)
    return builder.shuffle_vector(start, ir.Constant(vector_type, ir.Undefined), zeros)


@lower_cast(types.Float, Lanes)
@lower_cast(types.Integer, Lanes)
def number_to_lanes(context, builder, fromty, toty, value):
    """Spread a number over lanes, rounded to their dtype."""
    scalar = context.cast(builder, value, fromty, toty.dtype)
    return splat(builder, context.get_value_type(toty), scalar)


def common_lanes(*arguments: types.Type) -> Lanes | None:
    """Return the only Lanes type among the arguments, if the others are that or plain numbers."""
    found = {a for a in arguments if isinstance(a, Lanes)}
    if len(found) != 1 or not all(isinstance(a, (Lanes, types.Number)) for a in arguments):
        return None
    return found.pop()


def table_signature(lanes: types.Type, table: types.Type) -> Any:
    """Return the signature of an operation from lanes and a tuple of constant numbers to lanes."""
    fits = isinstance(lanes, Lanes) and isinstance(table, types.UniTuple)
    return signature(lanes, lanes, table) if fits else None


def lanes_signature(*arguments: types.Type) -> Any:
    """Return the signature of an operation from lanes (and numbers) to lanes."""
    lanes = common_lanes(*arguments)
    return None if lanes is None else signature(lanes, *[lanes] * len(arguments))
