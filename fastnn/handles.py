"""Networks in the user's compiled code: a handle, and functions that take it and predict one row.

The work is done by parts that are compiled once for all networks; the handle has their addresses. Only a few
checks and a call are compiled into the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import overload

from fastnn import checks, compiled
from fastnn.kernels import calls, one_row
from fastnn.kernels.simd import address, address_of, pointer

Array = npt.NDArray[Any]

NOT_ITSELF = (
    "the handle is not the one that the network gave: it is a copy, or a global of a compiled function, or the "
    "function was compiled for another version of fastnn. Hand net.handle over as an argument"
)
WRONG_X = "x does not have the length that is needed: one number for each of the network's inputs"
WRONG_OUT = "out does not have the length that is needed: one number for each of the network's outputs"
WRONG_JACOBIAN = "jacobian does not have the shape that is needed, which is (outputs, inputs) of the network"


class Handle(NamedTuple):
    """A network as an argument of compiled code; ``net.handle`` returns it, see ``fastnn.predict_one``.

    It is valid in one process only, and can be neither copied nor sent to another.

    Attributes
    ----------
    table : what compiled code has to know.
    numbers : settings of the layers.
    parameters : (P,) the network's parameters, a view: writing to it changes the network.
    """

    table: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.float64]
    parameters: Array

    def __repr__(self) -> str:
        numbers = f"{len(self.parameters)} parameters, {self.parameters.dtype}"
        return f"<Handle: {self.table[one_row.FEATURES]} inputs, {self.table[one_row.UNITS]} outputs, {numbers}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "a handle holds addresses of this process: it can be neither copied nor sent to another one; send the "
            "network, and ask it for its handle there"
        )


def predict_one(handle: Handle, x: Array, out: Array) -> None:
    """Predict one row: overwrite ``out`` with the network's outputs for ``x``.

    It is meant for functions that you compile with Numba's ``@njit``, with any options: there a call takes a tenth
    of a microsecond for a small network, allocates nothing, and may be made by any number of threads at once. It
    also works in plain Python. The result has the same bits as ``net.predict``. Dropout is not applied.

    Parameters
    ----------
    handle : ``net.handle``. Pass it to your compiled function as an argument too, not as a global, which Numba
        would freeze. A handle made before ``net.fit`` uses the new parameters afterwards.
    x : (inputs,) numbers of the network's dtype, contiguous. Numbers that are not finite are not refused.
    out : (outputs,) array of the same dtype, contiguous; may be x.

    Raises
    ------
    TypeError
        If an argument has the wrong type; in compiled code it is Numba's TypingError, before anything runs.
    ValueError
        If a length is wrong, or the handle is a copy. Numba does not pass exceptions out of ``prange`` unchanged.

    Examples
    --------
    A mass on a spring whose force is a network, by Verlet integration:

    >>> import numba, numpy as np, fastnn
    >>> spring = fastnn.Sequential([fastnn.Dense(1, weights=[[-1.0]])], inputs=1)
    >>> @numba.njit
    ... def swing(handle, position, velocity, dt, steps):
    ...     x, force = np.array([position]), np.empty(1)
    ...     fastnn.predict_one(handle, x, force)
    ...     for _ in range(steps):
    ...         velocity += dt / 2 * force[0]
    ...         x[0] += dt * velocity
    ...         fastnn.predict_one(handle, x, force)
    ...         velocity += dt / 2 * force[0]
    ...     return x[0]
    >>> bool(abs(swing(spring.handle, 1.0, 0.0, 0.001, 1000) - np.cos(1.0)) < 1e-6)
    True
    """
    _check(handle, x, out, "out", one_row.UNITS)
    _run(handle, one_row.PREDICT, x, out.reshape(1, -1))


def gradient_one(handle: Handle, x: Array, jacobian: Array) -> None:
    """Differentiate one row: overwrite ``jacobian`` with the derivatives of the outputs by the inputs at ``x``.

    Like ``predict_one`` it is meant for functions that you compile with Numba. ``net.jacobian`` sums in another
    order, so its last bits may differ.

    Parameters
    ----------
    handle : ``net.handle``.
    x : (inputs,) numbers of the network's dtype, contiguous.
    jacobian : (outputs, inputs) of the same dtype, contiguous: ``[k, j]`` becomes dy_k/dx_j.

    Raises
    ------
    TypeError, ValueError
        As for ``predict_one``.

    Examples
    --------
    >>> import numba, numpy as np, fastnn
    >>> net = fastnn.Sequential([fastnn.Dense(1, "exponential", weights=[[2.0]])], inputs=1)
    >>> @numba.njit
    ... def slope(handle, x):
    ...     jacobian = np.empty((1, 1))
    ...     fastnn.gradient_one(handle, np.array([x]), jacobian)
    ...     return jacobian[0, 0]
    >>> slope(net.handle, 0.0)
    2.0
    """
    _check(handle, x, jacobian, "jacobian", one_row.UNITS, one_row.FEATURES)
    _run(handle, one_row.DERIVE, x, jacobian)


def _check(handle: Any, x: Any, out: Any, name: str, *sizes: int) -> None:
    """Check arguments as compiled code does; ``sizes`` are the places in the table of the sizes of ``out``."""
    if getattr(handle, "_fields", None) != Handle._fields:  # whether it is a handle, its table will tell
        raise TypeError(f"handle is {checks.shown(handle)}; the handle of a network is needed, net.handle")
    if handle.table[one_row.ITSELF] != address_of(handle.table) + one_row.FORM:
        raise ValueError(NOT_ITSELF)
    dtype = handle.parameters.dtype
    for array, what, places in ((x, "x", (one_row.FEATURES,)), (out, name, sizes)):
        needed = tuple(handle.table[list(places)].tolist())
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != len(needed):
            raise TypeError(f"{what} is {checks.shown(array)}; an array {needed} of {dtype} is needed")
        if array.shape != needed:
            raise ValueError(f"{what} has shape {array.shape}; {needed} is needed")
        if not (array.flags.c_contiguous and array.flags.aligned):
            kind = "contiguous" if array.flags.aligned else "aligned"
            raise TypeError(f"{what} is not {kind}; numpy.require(…, requirements='CA') makes a copy that is")
    if not out.flags.writeable:
        raise TypeError(f"{name} cannot be written to")


def _run(handle: Handle, which: int, x: Array, out: Array) -> None:
    row = x.reshape(1, -1)
    if not row.flags.writeable:  # a read-only array would be another type to compile for
        row = row.copy()
    compiled.row.prepare(x.dtype, 0, which, row, out, False)
    compiled.row(address_of(handle.table), which, row, out, False)


# The same in compiled code ------------------------------------------------------------------------------------


def _refuse(name: str, kind: Any, needed: str) -> None:
    raise TypingError(f"{name} is {kind}; {needed} is needed")


def _check_types(handle: Any, x: Any, out: Any, name: str, dimensions: int) -> None:
    if getattr(handle, "fields", None) != Handle._fields:
        _refuse("handle", handle, "the handle of a network, net.handle, as an argument of the compiled function")
    number = handle.types[Handle._fields.index("parameters")].dtype
    for kind, what, ndim in ((x, "x", 1), (out, name, dimensions)):
        suits = isinstance(kind, types.Array) and kind.dtype == number and kind.ndim == ndim
        if not (suits and kind.layout == "C"):
            _refuse(what, kind, f"a contiguous array of {number} with {ndim} dimension(s)")
    if not out.mutable:
        _refuse(name, out, "an array that can be written to")


@overload(predict_one)  # type: ignore[untyped-decorator]
def _predict_one(handle: Any, x: Any, out: Any) -> Callable[..., None]:
    _check_types(handle, x, out, "out", 1)

    def run(handle: Any, x: Any, out: Any) -> None:
        table = handle.table
        if table[one_row.ITSELF] != address(pointer(table)) + one_row.FORM:
            raise ValueError(NOT_ITSELF)
        if len(x) != table[one_row.FEATURES]:
            raise ValueError(WRONG_X)
        if len(out) != table[one_row.UNITS]:
            raise ValueError(WRONG_OUT)
        calls.row(table[one_row.PREDICT], pointer(table), pointer(x), pointer(out))

    return run


@overload(gradient_one)  # type: ignore[untyped-decorator]
def _gradient_one(handle: Any, x: Any, jacobian: Any) -> Callable[..., None]:
    _check_types(handle, x, jacobian, "jacobian", 2)

    def run(handle: Any, x: Any, jacobian: Any) -> None:
        table = handle.table
        if table[one_row.ITSELF] != address(pointer(table)) + one_row.FORM:
            raise ValueError(NOT_ITSELF)
        if len(x) != table[one_row.FEATURES]:
            raise ValueError(WRONG_X)
        if jacobian.shape[0] != table[one_row.UNITS] or jacobian.shape[1] != table[one_row.FEATURES]:
            raise ValueError(WRONG_JACOBIAN)
        calls.row(table[one_row.DERIVE], pointer(table), pointer(x), pointer(jacobian))

    return run
