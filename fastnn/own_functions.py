"""User-defined activations and losses: plain functions of numbers that are compiled for the training loop."""

from __future__ import annotations

import hashlib
import math
import types
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from fastnn import checks, parts
from fastnn.activations import ACTIVATIONS, Activation
from fastnn.initializers import INITIALIZERS
from fastnn.kernels import own
from fastnn.kernels.jit import kernel
from fastnn.loss_kinds import ANY, LOSSES, Formula, Loss

Function = Callable[..., float]

# Where derivatives are compared with differences: not at round numbers, since kinks may be there.
POINTS = [k * 0.1003 for k in range(-40, 41)]
PREDICTIONS, TARGETS = [k * 0.1003 for k in range(-25, 26)], [-1.0, 0.0, 0.3, 1.0, 2.0]
STEP = 1e-5
MOST_ERROR = 1e-4  # relative, or absolute for slopes below 1: differences are accurate to about 1e-6


def own_activation(
    value: Function,
    derivative: Function | None = None,
    *,
    name: str | None = None,
    initializer: str = "glorot_uniform",
) -> Activation:
    """Make an activation from a function of your own, for ``Dense(4, activation=…)``.

    It is compiled when it is first used. The compiled code is kept on disk if the function refers to nothing but
    numbers and functions of ``math`` and ``numpy``. To load a network with it, pass it to
    ``fastnn.load(path, activations=[…])``.

    Parameters
    ----------
    value : f(z), a function of a number; it may use arithmetic, conditions, loops, and functions of ``math``.
    derivative : f'(z). It is first checked against differences of f. Without it, training uses differences, which
        are accurate to about 10 digits.
    name : the name by which the activation is shown and saved; by default the function's.
    initializer : the default initializer of layers with this activation.

    Returns
    -------
    Activation : to be given to ``Dense`` or ``mlp``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, a function fails, or the derivative does not match the value.

    Examples
    --------
    >>> import fastnn
    >>> def bent(z):
    ...     return (math.sqrt(z * z + 1.0) - 1.0) / 2.0 + z
    >>> def bent_slope(z):
    ...     return z / (2.0 * math.sqrt(z * z + 1.0)) + 1.0
    >>> bent_identity = own_activation(bent, bent_slope)
    >>> net = fastnn.Sequential([fastnn.Dense(4, bent_identity), fastnn.Dense(1)], inputs=2)
    >>> net
    <Sequential: 2 > 4 bent > 1 identity, 17 parameters, float64>
    """
    value, derivative, name = _checked(value, derivative, name, ACTIVATIONS)
    checks.choice(initializer, "initializer", INITIALIZERS)
    what = f"activation {name!r}"
    _compare(value, derivative, [(z,) for z in POINTS], what, ["z"])
    return Activation(
        _kernel(own.activation, own.slope_of_activation, value, derivative, what),
        initializer,
        whole=True,
        name=name,
    )


def own_loss(
    value: Function,
    derivative: Function | None = None,
    *,
    name: str | None = None,
    natural: str = "identity",
) -> Loss:
    """Make a loss from a function of your own, for ``fit(…, loss=…)``; its mean over the outputs is taken.

    Parameters
    ----------
    value : l(p, t), a function of two numbers, prediction and target.
    derivative : its derivative by p. It is first checked against differences. Without it, training uses
        differences.
    name : the name by which the loss is shown; by default the function's.
    natural : the activation of the outputs that suits it best.

    Returns
    -------
    Loss : to be given to ``fit`` and the like.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, a function fails, or the derivative does not match the value.

    Examples
    --------
    >>> import fastnn
    >>> def cauchy(p, t):
    ...     return math.log(1.0 + (p - t) ** 2)
    >>> def cauchy_slope(p, t):
    ...     return 2.0 * (p - t) / (1.0 + (p - t) ** 2)
    >>> X, y = fastnn.datasets.circle(density=10)
    >>> net = fastnn.mlp([2, 4, 1], output="sigmoid")
    >>> history = net.fit(X, y, epochs=100, loss=own_loss(cauchy, cauchy_slope), optimizer=fastnn.SGD(1.0))
    >>> bool(history.loss[-1] < history.loss[0])
    True
    """
    value, derivative, name = _checked(value, derivative, name, LOSSES)
    checks.choice(natural, "natural", ACTIVATIONS)
    what = f"loss {name!r}"
    _compare(value, derivative, [(p, t) for p in PREDICTIONS for t in TARGETS], what, ["p", "t"])
    made = _kernel(own.loss, own.slope_of_loss, value, derivative, what)
    return Loss(name, {ANY: Formula(made, coupled=True)}, natural=natural)


def _checked(value: Any, derivative: Any, name: Any, known: Any) -> tuple[Function, Function | None, str]:
    """Return checked plain Python functions, and a name that is not taken yet."""
    found: list[Any] = []
    for function, argument in ((value, "value"), (derivative, "derivative")):
        function = getattr(function, "py_func", function)
        if not isinstance(function, types.FunctionType) and not (function is None and argument == "derivative"):
            raise TypeError(f"{argument} is {checks.shown(function)}; a function written in Python is needed")
        if function is not None and "print" in function.__code__.co_names:
            raise ValueError(
                f"{argument} is {function.__name__}, which prints; compiled code has nowhere to print to"
            )
        if function is not None and function.__code__.co_kwonlyargcount:
            raise ValueError(
                f"{argument} is {function.__name__}, which has arguments that can be given by name only; "
                "compiled code gives them by place"
            )
        found.append(function)
    if name is None:
        name = found[0].__name__
        if name == "<lambda>":
            raise ValueError("name is missing, by which it is shown and saved; a lambda has none of its own")
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"name is {checks.shown(name)}; letters, digits and underscores are needed")
    if name in known:
        raise ValueError(f"name is {name!r}, which fastnn has already; another one is needed")
    return found[0], found[1], name


def _compare(value: Function, derivative: Function | None, points: list[Any], what: str, names: list[str]) -> None:
    """Raise ValueError if a function fails, or if the derivative does not match the value."""
    usable = 0
    for point in points:
        at = ", ".join(f"{name} = {number:g}" for name, number in zip(names, point, strict=True))
        first, *others = point
        middle = _number(value, point, what, at)
        if not math.isfinite(middle):
            continue
        usable += 1
        if derivative is None:
            continue
        slope = _number(derivative, point, f"the derivative of {what}", at)
        below = (middle - _number(value, (first - STEP, *others), what, at)) / STEP
        above = (_number(value, (first + STEP, *others), what, at) - middle) / STEP
        middle_slope = (below + above) / 2.0
        # At a kink the slope on either side is accepted.
        if math.isfinite(middle_slope) and not any(
            abs(slope - found) <= MOST_ERROR * max(1.0, abs(found)) for found in (middle_slope, below, above)
        ):
            raise ValueError(
                f"the derivative of {what} is {slope:.6g} at {at}, and differences of its value give "
                f"{middle_slope:.6g}. One of the two functions is wrong; without a derivative, differences do"
            )
    if not usable:
        raise ValueError(f"{what} is not finite at any of the {len(points)} places where it was tried")


def _number(function: Function, point: Any, what: str, at: str) -> float:
    try:
        return float(_as_compiled(function)(*point))
    except Exception as error:
        raise ValueError(
            f"{what} fails at {at}: {type(error).__name__}: {error}. "
            "It is called with numbers and has to return one"
        ) from error


def _as_compiled(function: Function) -> Function:
    """Return the function, but with NaN where Python would raise because it is not defined for a number."""

    def without_errors(*numbers: float) -> float:
        try:
            return function(*numbers)
        except (ArithmeticError, ValueError):
            return math.nan

    return without_errors


def _kernel(pattern: Any, slope: Any, value: Function, derivative: Function | None, what: str) -> Any:
    """Return a copy of a kernel in which the functions replace ``value`` and ``derivative``.

    Without a derivative, ``slope`` is used, which takes differences of the value.
    """
    scope = {**pattern.__globals__, "value": kernel(_numbers_to_number(value))}
    if derivative is None:
        found = types.FunctionType(slope.__code__, scope, slope.__name__)
    else:
        found = _numbers_to_number(derivative)
    scope["derivative"] = kernel(found)
    made = kernel(types.FunctionType(pattern.__code__, scope, pattern.__name__))
    prints = [_fingerprint(function) for function in (value, derivative) if function is not None]
    digest, told = " ".join(digest for digest, _ in prints), all(told for _, told in prints)
    parts.describe(made, parts.Own(what, digest, told))
    return made


def _numbers_to_number(function: Function) -> Any:
    if numba.config.DISABLE_JIT:
        return _as_compiled(function)
    return types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )


def _fingerprint(function: Any) -> tuple[str, bool]:
    """Return a digest of what a function computes, and whether that depends only on numbers and known modules."""
    seen: list[Any] = []
    told = _tell(function, seen, ())
    return hashlib.sha256(repr(seen).encode()).hexdigest(), told


def _tell(found: Any, seen: list[Any], within: tuple[Any, ...]) -> bool:
    """Add to ``seen`` what is known of a value, such as a function; return whether nothing else matters.

    ``within`` are the functions that it was found in.
    """
    if found is None or isinstance(found, (int, float, str)):
        seen.append(found)
        return True
    if found is math or found is np or getattr(found, "__module__", None) in ("math", "numpy"):
        seen.append(getattr(found, "__name__", ""))
        return True
    found = getattr(found, "py_func", found)
    if isinstance(found, (np.ndarray, np.generic)):
        seen.append((found.dtype.str, found.shape, found.tobytes()))
    elif isinstance(found, (tuple, list)):
        seen.append(len(found))
        for each in found:
            _tell(each, seen, within)
    elif isinstance(found, types.CodeType):  # of a function within a function
        seen.append((found.co_code.hex(), found.co_names))
        for constant in found.co_consts:
            _tell(constant, seen, within)
    elif isinstance(found, types.FunctionType) and found not in within:
        code, inside = found.__code__, (*within, found)
        names = [name for name in code.co_names if name in found.__globals__]
        values = [*code.co_consts, *(found.__globals__[name] for name in names)]
        values += [cell.cell_contents for cell in found.__closure__ or ()]
        values += found.__defaults__ or ()
        seen.append(
            (code.co_code.hex(), code.co_varnames, code.co_argcount, code.co_names, code.co_freevars, names)
        )
        told = True
        for value in values:
            told &= _tell(value, seen, inside)
        return told and not within
    else:
        seen.append(type(found).__name__)
    return False
