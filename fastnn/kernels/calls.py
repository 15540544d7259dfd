"""Calls of parts: functions that are compiled separately and that the loop calls by their addresses.

A part takes pointers, whole numbers (int64) and real numbers (float64), as C functions do; the items of tuples are
passed one by one. In plain Python, an address is an index into ``FUNCTIONS``.
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

FUNCTIONS: list[Any] = [None]  # the parts by address without compilation; 0 means that there is none


def _flat(arguments: tuple) -> Iterator[Any]:
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from argument
        else:
            yield argument


def _call(address: int, *arguments: Any) -> Any:
    return FUNCTIONS[address](*_flat(arguments))


def activate(address: int, z: Any, y: Any, d: Any, stride: int, samples: int, units: int, mode: int) -> None:
    """Compute an activation, in one of the modes of ``kernels.activations``."""
    _call(address, z, y, d, stride, samples, units, mode)


def loss(address: int, z: Any, y: Any, t: Any, w: Any, d: Any, settings: Any, shape: int) -> float:
    """Return the weighted sum of a tile's losses; overwrite d with its derivative. ``shape`` is ``packed``."""
    return _call(address, z, y, t, w, d, settings, shape)


FIELD = 21  # bits


@inlined
def packed(stride: int, samples: int, units: int) -> int:
    """Return three numbers, each below 2**21, packed into one.

    Arguments beyond the sixth are passed in memory, and two of them are then copied at once: that has to wait
    until both have been stored, which takes longer than the loss of a single sample (25 ns).
    """
    return (stride << 2 * FIELD) | (samples << FIELD) | units


@inlined
def unpacked(shape: int) -> tuple[int, int, int]:
    """Return the three numbers of ``packed``."""
    mask = (1 << FIELD) - 1
    return shape >> 2 * FIELD, (shape >> FIELD) & mask, shape & mask


def update(
    address: int, vectors: tuple, memory: Any, settings: Any, count: int, stride: int, scale: float, loss: float
) -> int:
    """Do an optimizer's step, see ``kernels.optimizers``; vectors are p, g, previous, state."""
    return _call(address, vectors, memory, settings, count, stride, scale, loss)


def schedule(address: int, settings: Any, updates: float, each_epoch: float) -> float:
    """Return the learning rate after ``updates`` updates, of which each epoch has ``each_epoch``."""
    return _call(address, settings, updates, each_epoch)


def penalty(
    address: int, parameters: Any, gradient: Any, places: Any, settings: Any, count: int, weight: float
) -> float:
    """Return the penalties of all layers; add weight times their derivative to the gradient."""
    return _call(address, parameters, gradient, places, settings, count, weight)


def clip(address: int, gradient: Any, count: int, scale: float, value: float, norm: float) -> None:
    """Bound each number of scale·gradient, or its norm; a bound of 0 is none."""
    _call(address, gradient, count, scale, value, norm)


def constraint(address: int, parameters: Any, places: Any, settings: Any, count: int) -> None:
    """Bound the norms of weights."""
    _call(address, parameters, places, settings, count)


def layer_forward(
    address: int, rows: tuple, weights: Any, setting: float, at: tuple, seed: int, number: int, shape: tuple
) -> None:
    """Do the forward pass of a layer that is not dense: from x, overwrite z, y and d."""
    _call(address, rows, weights, setting, at, seed, number, shape)


def layer_backward(address: int, rows: tuple, weights: Any, dw: Any, flags: tuple, shape: tuple) -> None:
    """Do the backward pass of such a layer, from z and d; multiply the d of the layer before."""
    _call(address, rows, weights, dw, flags, shape)


def wide_layer(address: int, x: Any, weights: Any, start: Any, out: Any, shape: tuple, inputs: int) -> None:
    """Do a forward pass of a dense layer of many inputs, or a backward pass to the inputs of one of many outputs.

    See ``kernels.wide``. Overwrites z, from x, weights and bias; or multiplies the d of the layer before, from d,
    weights and a 0.
    """
    _call(address, x, weights, start, out, shape, inputs)


def wide_gradient(
    address: int, x: Any, d: Any, gradients: tuple, zero: Any, panel: Any, shape: tuple, inputs: int, add: int
) -> int:
    """Compute the gradient of a dense layer's many weights, and of its bias; return for how many outputs."""
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
    """Compute a metric of predictions, row by row; overwrite out and work."""
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
    """Compute a tile's part of the Gauss-Newton matrix, which is overwritten or added to."""
    _call(address, plan, parameters, x, weights, scratch, work, sums, samples, factor, add)


def row(address: int, table: Any, x: Any, out: Any) -> None:
    """Take one row through the network that a table describes, see ``kernels.one_row``; overwrite out."""
    _call(address, table, x, out)


def few_rows(address: int, given: tuple, budget: int) -> int:
    """Process batches row by row, see ``kernels.stochastic``."""
    return _call(address, given, budget)


def _passed_as(kind: Any) -> Any:
    """Return the type with which an argument is passed."""
    if isinstance(kind, types.BaseTuple):
        return types.Tuple(tuple(map(_passed_as, kind)))
    if isinstance(kind, Pointer):
        return kind
    return types.float64 if isinstance(kind, types.Float) else types.int64


def _compile(function: Callable[..., Any], result: Any, reals: str = "") -> None:
    """Define the compiled form of a call; ``reals`` are arguments that are real even if given as whole numbers."""
    names = list(inspect.signature(function).parameters)[1:]
    real = set(reals.split())

    def typed(address: Any, *kinds: Any) -> Any:
        passed = [
            types.float64 if name in real else _passed_as(kind) for name, kind in zip(names, kinds, strict=True)
        ]
        return signature(result, types.int64, *passed)

    # Numba binds the arguments of a call to those of the typer, which therefore needs the same names.
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
