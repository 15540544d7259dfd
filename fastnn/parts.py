"""Parts: kernels that are compiled on their own, as C functions, when they are first needed, and kept on disk.

Activations, losses, optimizers and so on are not compiled into the training loop, which calls them by their
addresses. So what is not used costs neither compile time nor speed, and user-defined functions are parts too.
"""

from __future__ import annotations

import re
import types as python_types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba.core import types

from fastnn import compiled
from fastnn.kernels import activations, calls, losses
from fastnn.kernels.jit import FLAGS
from fastnn.kernels.simd import Pointer

ALLOWED = "A function of numbers may use arithmetic, conditions, loops, and functions of math and numpy on numbers"

# The functions below are patterns: wrappers with arguments of C types around the kernel that a part is made of. In
# a part's own copy of its pattern, ``function`` is that kernel and ``label`` is its name with a digest of all
# kernels' sources: a closure variable, and so part of the key by which Numba's cache finds it.
function: Any = None


def elementwise_activation(label: str) -> Callable[..., None]:
    """Pattern for an activation, a function z -> (value, slope)."""

    def part(z: Any, y: Any, d: Any, stride: int, samples: int, units: int, mode: int) -> None:
        _ = label
        activations.each(function, z, y, d, (stride, samples, units), mode)

    return part


def row_activation(label: str) -> Callable[..., None]:
    """Pattern for an activation that is a function of whole rows."""

    def part(z: Any, y: Any, d: Any, stride: int, samples: int, units: int, mode: int) -> None:
        _ = label
        function(z, y, d, (stride, samples, units), mode)

    return part


def elementwise_loss(label: str) -> Callable[..., float]:
    """Pattern for a loss, a function (z, y, t, a, b) -> (value, slope)."""

    def part(z: Any, y: Any, t: Any, w: Any, d: Any, settings: Any, shape: int) -> float:
        _ = label
        return losses.each(function, (z, y, t, w, d), settings, calls.unpacked(shape))

    return part


def row_loss(label: str) -> Callable[..., float]:
    """Pattern for a loss that is a function of all outputs."""

    def part(z: Any, y: Any, t: Any, w: Any, d: Any, settings: Any, shape: int) -> float:
        _ = label
        return function((z, y, t, w, d), settings, calls.unpacked(shape))  # type: ignore[no-any-return]

    return part


def optimizer(label: str) -> Callable[..., int]:
    """Pattern for an optimizer's update."""

    def part(
        p: Any,
        g: Any,
        previous: Any,
        state: Any,
        memory: Any,
        settings: Any,
        count: int,
        stride: int,
        scale: float,
        loss: float,
    ) -> int:
        _ = label
        vectors = p, g, previous, state
        return function(vectors, memory, settings, count, stride, scale, loss)  # type: ignore[no-any-return]

    return part


def schedule(label: str) -> Callable[..., float]:
    """Pattern for a learning rate schedule."""

    def part(settings: Any, updates: float, each_epoch: float) -> float:
        _ = label
        return function(settings, updates, each_epoch)  # type: ignore[no-any-return]

    return part


def penalty(label: str) -> Callable[..., float]:
    """Pattern for ``kernels.bounds.penalty``."""

    def part(parameters: Any, gradient: Any, places: Any, settings: Any, count: int, weight: float) -> float:
        _ = label
        return function(parameters, gradient, places, settings, count, weight)  # type: ignore[no-any-return]

    return part


def clip(label: str) -> Callable[..., None]:
    """Pattern for ``kernels.bounds.clip``."""

    def part(gradient: Any, count: int, scale: float, value: float, norm: float) -> None:
        _ = label
        function(gradient, count, scale, value, norm)

    return part


def constraint(label: str) -> Callable[..., None]:
    """Pattern for ``kernels.bounds.constraint``."""

    def part(parameters: Any, places: Any, settings: Any, count: int) -> None:
        _ = label
        function(parameters, places, settings, count)

    return part


def layer_forward(label: str) -> Callable[..., None]:
    """Pattern for the forward pass of a layer that is not dense, see ``kernels.regularizing_layers``."""

    def part(
        x: Any,
        z: Any,
        y: Any,
        d: Any,
        weights: Any,
        setting: float,
        rows: Any,
        epoch: int,
        seed: int,
        number: int,
        stride: int,
        samples: int,
        units: int,
    ) -> None:
        _ = label
        function((x, z, y, d), weights, setting, (rows, epoch), seed, number, (stride, samples, units))

    return part


def layer_backward(label: str) -> Callable[..., None]:
    """Pattern for the backward pass of such a layer."""

    def part(
        z: Any,
        d: Any,
        before: Any,
        weights: Any,
        dw: Any,
        add: int,
        trained: int,
        goes_on: int,
        stride: int,
        samples: int,
        units: int,
    ) -> None:
        _ = label
        function((z, d, before), weights, dw, (add != 0, trained != 0, goes_on != 0), (stride, samples, units))

    return part


def wide_layer(label: str) -> Callable[..., None]:
    """Pattern for ``kernels.wide.forward`` and ``kernels.wide.backward_inputs``."""

    def part(
        x: Any, weights: Any, start: Any, out: Any, stride: int, samples: int, units: int, inputs: int
    ) -> None:
        _ = label
        function(x, weights, start, out, (stride, samples, units), inputs)

    return part


def wide_gradient(label: str) -> Callable[..., int]:
    """Pattern for ``kernels.wide.backward_weights``."""

    def part(
        x: Any,
        d: Any,
        dw: Any,
        db: Any,
        zero: Any,
        panel: Any,
        stride: int,
        samples: int,
        outputs: int,
        inputs: int,
        add: int,
    ) -> int:
        _ = label
        return function(x, d, (dw, db), zero, panel, (stride, samples, outputs), inputs, add != 0)  # type: ignore[no-any-return]

    return part


def metric(label: str) -> Callable[..., None]:
    """Pattern for a metric."""

    def part(
        predictions: Any,
        targets: Any,
        weights: Any,
        rows: int,
        outputs: int,
        settings: Any,
        work: Any,
        out: Any,
    ) -> None:
        _ = label
        function(predictions, targets, weights, rows, outputs, settings, work, out)

    return part


def gauss_newton(label: str) -> Callable[..., None]:
    """Pattern for ``kernels.levenberg_marquardt.tile``."""

    def part(
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
        _ = label
        function(plan, parameters, x, weights, scratch, work, sums, samples, factor, add != 0)

    return part


def row(label: str) -> Callable[..., None]:
    """Pattern for a kernel of ``kernels.one_row``."""

    def part(table: Any, x: Any, out: Any) -> None:
        _ = label
        function(table, x, out)

    return part


def descent(label: str) -> Callable[..., int]:
    """Pattern for ``kernels.stochastic.row_by_row``."""

    def part(
        plan: Any,
        numbers: Any,
        inputs: Any,
        targets: Any,
        weights: Any,
        order: Any,
        parameters: Any,
        gradient: Any,
        previous: Any,
        state: Any,
        scratch: Any,
        places: Any,
        cursor: Any,
        predictions: Any,
        out: Any,
        sums: Any,
        budget: int,
    ) -> int:
        _ = label
        rows = inputs, targets, weights, order
        vectors = parameters, gradient, previous, state
        return function((plan, numbers, *rows, *vectors, scratch, places, cursor, predictions, out, sums), budget)  # type: ignore[no-any-return]

    return part


# The patterns' return types and arguments: p is a pointer to numbers of the run's dtype, d one to float64, n one
# to int64; f is a floating-point number, i an integer.
SIGNATURES: dict[Callable[[str], Callable[..., Any]], tuple[Any, str]] = {
    elementwise_activation: (types.none, "ppp iiii"),
    row_activation: (types.none, "ppp iiii"),
    elementwise_loss: (types.float64, "ppppp d i"),
    row_loss: (types.float64, "ppppp d i"),
    optimizer: (types.int64, "pppp dd ii ff"),
    schedule: (types.float64, "d ff"),
    penalty: (types.float64, "pp n d i f"),
    clip: (types.none, "p i fff"),
    constraint: (types.none, "p n d i"),
    layer_forward: (types.none, "pppp p f n iii iii"),
    layer_backward: (types.none, "ppp pp iii iii"),
    wide_layer: (types.none, "pppp iii i"),
    wide_gradient: (types.int64, "pppp pp iii i i"),
    metric: (types.none, "ppp ii ddd"),
    gauss_newton: (types.none, "n pppppp i f i"),
    descent: (types.int64, "nd pppn pppp pn n p dd i"),
    row: (types.none, "n pp"),
}

_addresses: dict[Any, int] = {}
_alive: list[Any] = []  # the machine code, which is freed with the last reference to it


def address_of(pattern: Callable[[str], Callable[..., Any]], kernel: Any, dtype: np.dtype[Any]) -> int:
    """Return the address of the part for a kernel, after compiling it or loading it from disk if necessary."""
    found = (pattern, kernel, dtype)
    if found not in _addresses:
        what = f"{pattern.__name__.replace('_', ' ')} {_name(kernel)}"
        with compiled.preparing(what, dtype, "1 to 3 s"):
            if found not in _addresses:
                _addresses[found] = _made(pattern, kernel, dtype)
    return _addresses[found]


@dataclass(frozen=True)
class Own:
    """What has to be known about a user-defined kernel."""

    name: str  # for messages
    digest: str  # a digest of what it computes
    told: bool  # whether the digest covers all that it refers to; if not, it is not kept on disk


_own: dict[Any, Own] = {}


def describe(kernel: Any, own: Own) -> None:
    """Register a user-defined kernel."""
    _own[kernel] = own


def digest_of(kernel: Any) -> str:
    """Return a user-defined kernel's digest; "" for the project's own kernels."""
    return _own[kernel].digest if kernel in _own else ""


def _name(kernel: Any) -> str:
    return _own[kernel].name if kernel in _own else str(kernel.__name__).replace("_", " ")


def _made(pattern: Callable[[str], Callable[..., Any]], kernel: Any, dtype: np.dtype[Any]) -> int:
    own = _own.get(kernel)
    of_kernel = f"{kernel.__module__} {_name(kernel)}" if own is None else own.digest
    label = f"{compiled.digest_of_sources()} {of_kernel}"
    blank: Any = pattern(label)
    scope = {**blank.__globals__, "function": kernel}
    part = python_types.FunctionType(blank.__code__, scope, blank.__name__, None, blank.__closure__)
    part.__qualname__ = blank.__qualname__
    if numba.config.DISABLE_JIT:
        calls.FUNCTIONS.append(part)
        return len(calls.FUNCTIONS) - 1
    result, described = SIGNATURES[pattern]
    number = numba.from_dtype(dtype)
    kinds = {
        "p": Pointer(number),
        "d": Pointer(types.float64),
        "n": Pointer(types.int64),
        "f": types.float64,
        "i": types.int64,
    }
    signature = result(*(kinds[letter] for letter in described.replace(" ", "")))

    def make(**cache: bool) -> Any:
        return numba.cfunc(signature, **cache, **FLAGS)(part)

    if own is None:
        made = compiled.kept_on_disk(make)
    else:
        try:
            made = compiled.kept_on_disk(make) if own.told else make()
        except Exception as error:  # Numba raises many types of exceptions for what it cannot compile
            raise ValueError(f"{own.name} cannot be compiled: {_reason(error)}. {ALLOWED}") from None
    _alive.append(made)
    return int(made.address)


def _reason(error: Exception) -> str:
    """Return the line of a long Numba error that says what is wrong."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in str(error).splitlines()]
    telling = [
        line
        for line in lines
        if re.search(r"[Uu]ntyped|[Uu]nknown|[Uu]nsupported|[Nn]o implementation|NameError|not ", line)
    ]
    return (telling or lines or ["its types are not known"])[0].rstrip(".:")
