"""Calls of parts: functions that are compiled on their own and known to the loop by their addresses.

A part takes pointers, whole numbers (int64) and real numbers (float64), as C functions do; tuples are handed over
one by one. In plain Python an address is a place in ``FUNCTIONS``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing import signature

from fastnn.kernels.jit import inlined
from fastnn.kernels.simd.types import Pointer, compiled_form

FUNCTIONS: list[Any] = [None]  # what an address stands for without compilation; 0 stands for none


def _flat(arguments: tuple) -> Iterator[Any]:
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from argument
        else:
            yield argument


def _call(address: int, *arguments: Any) -> Any:
    return FUNCTIONS[address](*_flat(arguments))


def activate(address: int, z: Any, y: Any, d: Any, stride: int, samples: int, units: int, mode: int) -> None:
    """An activation, in one of the modes of ``kernels.activations``."""
    _call(address, z, y, d, stride, samples, units, mode)


def loss(address: int, z: Any, y: Any, t: Any, w: Any, d: Any, settings: Any, shape: int) -> float:
    """The weighted sum of a tile's losses; overwrites d with its derivative. ``shape`` is ``packed``."""
    return _call(address, z, y, t, w, d, settings, shape)


FIELD = 21  # bits


@inlined
def packed(stride: int, samples: int, units: int) -> int:
    """Three numbers, each below 2**21, in one.

    Arguments beyond the sixth are handed over in memory, and two of them are then copied at once: that has to wait
    until both have arrived there, which takes longer than the loss of a single sample (25 ns).
    """
    return (stride << 2 * FIELD) | (samples << FIELD) | units


@inlined
def unpacked(shape: int) -> tuple[int, int, int]:
    """The three numbers."""
    mask = (1 << FIELD) - 1
    return shape >> 2 * FIELD, (shape >> FIELD) & mask, shape & mask


def update(
    address: int, vectors: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float
) -> int:
    """An optimizer's step, see ``kernels.optimizers``; vectors are p, g, previous, state."""
    return _call(address, vectors, memory, settings, count, stride, scale, loss)


def schedule(address: int, settings: Any, updates: float, each_epoch: float) -> float:
    """The learning rate after so many updates, of which each epoch has ``each_epoch``."""
    return _call(address, settings, updates, each_epoch)


def penalty(
    address: int, parameters: Any, gradient: Any, places: Any, settings: Any, count: int, weight: float
) -> float:
    """The penalties of all layers; adds weight times their derivative to the gradient."""
    return _call(address, parameters, gradient, places, settings, count, weight)


def clip(address: int, gradient: Any, count: int, scale: float, value: float, norm: float) -> None:
    """Bounds on scale·gradient, of each number or of its norm; a bound of 0 is none."""
    _call(address, gradient, count, scale, value, norm)


def constraint(address: int, parameters: Any, places: Any, settings: Any, count: int) -> None:
    """Bounds on the norms of weights."""
    _call(address, parameters, places, settings, count)


def layer_forward(
    address: int, rows: tuple, weights: Any, setting: float, at: tuple, seed: int, number: int, shape: tuple
) -> None:
    """A layer that is not dense: from x, overwrites z, y and d."""
    _call(address, rows, weights, setting, at, seed, number, shape)


def layer_backward(address: int, rows: tuple, weights: Any, dw: Any, flags: tuple, shape: tuple) -> None:
    """Its gradient, from z and d; multiplies the d of the layer before."""
    _call(address, rows, weights, dw, flags, shape)


def wide_layer(address: int, x: Any, weights: Any, start: Any, out: Any, shape: tuple, inputs: int) -> None:
    """A dense layer of many inputs forward, or of many outputs back to its inputs; see ``kernels.wide``.

    From x, weights and bias overwrites z; or with d, weights and a 0 multiplies the d of the layer before.
    """
    _call(address, x, weights, start, out, shape, inputs)


def wide_gradient(
    address: int, x: Any, d: Any, gradients: tuple, zero: Any, panel: Any, shape: tuple, inputs: int, add: int
) -> int:
    """The gradient by a dense layer's many weights, and by its bias; for how many of its outputs."""
    return _call(address, x, d, gradients, zero, panel, shape, inputs, add)


def metric(
    address: int,
    predictions: Any,
    targets: Any,
    weights: Any,
    rows: int,
    outputs: int,
    settings: Any,
    work: Any,
    out: Any,
) -> None:
    """A metric of predictions, row by row; overwrites out and work."""
    _call(address, predictions, targets, weights, rows, outputs, settings, work, out)


def gauss_newton(
    address: int,
    plan: Any,
    parameters: Any,
    x: Any,
    weights: Any,
    scratch: Any,
    work: Any,
    sums: Any,
    samples: int,
    factor: float,
    add: int,
) -> None:
    """A tile's part of the Gauss-Newton matrix, which is overwritten or added to."""
    _call(address, plan, parameters, x, weights, scratch, work, sums, samples, factor, add)


def row(address: int, table: Any, x: Any, out: Any) -> None:
    """One row through the network that a table tells of, see ``kernels.one_row``; overwrites out."""
    _call(address, table, x, out)


def few_rows(address: int, given: tuple, budget: int) -> int:
    """Work on batches that go row by row, see ``kernels.stochastic``."""
    return _call(address, given, budget)


def _passed_as(kind: Any) -> Any:
    """The type that an argument is handed over as."""
    if isinstance(kind, types.BaseTuple):
        return types.Tuple(tuple(map(_passed_as, kind)))
    if isinstance(kind, Pointer):
        return kind
    return types.float64 if isinstance(kind, types.Float) else types.int64


def _compile(function: Callable[..., Any], result: Any, reals: str = "") -> None:
    """The compiled form of a call; ``reals`` are the arguments that are real even if a whole number is given."""
    names = list(inspect.signature(function).parameters)[1:]
    real = set(reals.split())

    def typed(address: Any, *kinds: Any) -> Any:
        passed = [
            types.float64 if name in real else _passed_as(kind) for name, kind in zip(names, kinds, strict=True)
        ]
        return signature(result, types.int64, *passed)

    # Numba binds the arguments of a call to those of the typer, which therefore needs their names.
    arguments = ", ".join(["address", *names])
    typer = eval(f"lambda {arguments}: typed({arguments})", {"typed": typed})

    @compiled_form(function, typer, types.Any, *[types.Any] * len(names))
    def lower(context, builder, sig, args):
        values = []
        for kind, value in zip(sig.args[1:], args[1:], strict=True):
            values += cgutils.unpack_tuple(builder, value) if isinstance(kind, types.BaseTuple) else [value]
        nothing = result == types.none
        returned = ir.VoidType() if nothing else context.get_value_type(result)
        form = ir.FunctionType(returned, [value.type for value in values])
        found = builder.call(builder.inttoptr(args[0], form.as_pointer()), values)
        return context.get_dummy_value() if nothing else found


_compile(activate, types.none)
_compile(loss, types.float64)
_compile(update, types.int64, "scale loss")
_compile(schedule, types.float64, "updates each_epoch")
_compile(penalty, types.float64, "weight")
_compile(clip, types.none, "scale value norm")
_compile(constraint, types.none)
_compile(layer_forward, types.none, "setting")
_compile(layer_backward, types.none)
_compile(wide_layer, types.none)
_compile(wide_gradient, types.int64)
_compile(metric, types.none)
_compile(gauss_newton, types.none, "factor")
_compile(row, types.none)
_compile(few_rows, types.int64)
