"""Checks of arguments: they become arrays or numbers of the right kind, or an error that says what is wrong."""

from __future__ import annotations

import math
import numbers
import re
import reprlib
from collections.abc import Iterable, Sequence, Set
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn import memory

Array: TypeAlias = npt.NDArray[Any]

DTYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype(np.float32), "float64": np.dtype(np.float64)}
BYTES = {"B": 1, "BYTE": 1, "BYTES": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
BYTES |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
NUMBERS_AT_ONCE = 1 << 20  # how many are converted at a time, to save memory
CHECKED_AT_ONCE = 1 << 16  # how many are checked at a time, so that the results stay in the cache
MOST_SEED = 2**63 - 1
MOST_EPOCHS = 10**9  # the bound on all that is counted in epochs
NUMBER_KINDS = "biuf"  # booleans, whole and real numbers, as NumPy names kinds of dtypes


_shortener = reprlib.Repr()
_shortener.maxstring = _shortener.maxother = 80


def shown(value: Any) -> str:
    """Return ``repr(value)``, shortened and on one line, so that a message stays a sentence."""
    return re.sub(r"\s*\n\s*", " ", _shortener.repr(value))


def whole_number(value: Any, name: str, *, least: int, most: int | None = None) -> int:
    """Return ``value`` as an int; TypeError if it is not a whole number, ValueError if it is out of range."""
    accepted = f"a whole number from {least}" + (" on" if most is None else f" to {most}")
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} is {shown(value)}; {accepted} is needed")
    number = int(value)
    if number < least or (most is not None and number > most):
        raise ValueError(f"{name} is {shown(number)}; {accepted} is needed")
    return number


def byte_count(value: Any, name: str) -> int:
    """Return a number of bytes, given as a number or like "500 MB"; TypeError or ValueError for anything else."""
    sentence = (
        f'{name} is {shown(value)}; a number of bytes from 1 on, or a text like "500 MB" or "2 GiB", is needed'
    )
    number = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(number, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", number)
        if found is None or found[2].upper() not in BYTES:
            raise ValueError(sentence)
        number = float(found[1]) * BYTES[found[2].upper()]
        number = math.floor(number) if math.isfinite(number) else 0
    elif isinstance(number, (float, np.floating)) and float(number).is_integer():
        number = int(number)
    if isinstance(number, (bool, np.bool_)) or not isinstance(number, numbers.Integral):
        raise TypeError(sentence)
    if number < 1:
        raise ValueError(sentence)
    return int(number)


def real_number(
    value: Any,
    name: str,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
) -> float:
    """Return ``value`` as a finite float; TypeError if it is not a number, ValueError if it is out of range."""
    bounds = [
        f"{words} {bound:g}"
        for words, bound in (("above", above), ("at least", least), ("below", below))
        if bound is not None
    ]
    accepted = " ".join(["a finite number", " and ".join(bounds)]).strip()
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {shown(value)}; {accepted} is needed")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    inside = (
        (above is None or number > above)
        and (least is None or number >= least)
        and (below is None or number < below)
    )
    if not (math.isfinite(number) and inside):
        raise ValueError(f"{name} is {shown(value)}; {accepted} is needed")
    return number


def truth(value: Any, name: str) -> bool:
    """Return ``value`` as a bool; TypeError if it is something else."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {shown(value)}; True or False is needed")
    return bool(value)


def choice(value: Any, name: str, known: Iterable[str]) -> str:
    """Return ``value`` if it is one of the known names; else TypeError or ValueError with all of them."""
    names = list(known)
    if not isinstance(value, str):
        raise TypeError(f"{name} is {shown(value)}; one of these names is needed: {', '.join(names)}")
    if value not in names:
        raise ValueError(f"{name} is {shown(value)}; known are {', '.join(names)}{meant(value, names)}")
    return value


def meant(value: str, names: Iterable[str]) -> str:
    """Return a question like ". Is 'adam' meant?" if a name resembles one of those known, else ""."""
    import difflib  # seldom needed

    begin = [name for name in names if name.startswith(value.lower())] if value else []
    near = begin or difflib.get_close_matches(value.lower(), list(names), 1)
    return f". Is {near[0]!r} meant?" if near else ""


def dtype_of(value: Any) -> np.dtype[Any]:
    """Return the dtype float32 or float64, given by name or as a NumPy type; ValueError for anything else."""
    try:
        name = np.dtype(value).name
    except TypeError:
        name = str(value)
    if value is None or name not in DTYPES:
        raise ValueError(f"dtype is {shown(value)}; known are {', '.join(DTYPES)}")
    return DTYPES[name]


def numbers_of(value: Any, name: str) -> Array:
    """Return ``value`` as an array of real numbers of any type and shape; else TypeError or ValueError."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} is an array with masked entries; fill them or leave their rows out")
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(f"{name} is a sparse matrix; a dense array is needed: {name}.toarray()")
    if type(value).__module__.startswith("polars"):
        _refuse_times(value, name)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} is no array of numbers: its rows have different lengths") from error
    except RuntimeError as error:  # raised by some other libraries' arrays
        raise ValueError(f"{name} cannot be made a NumPy array: {error}") from error
    if array.dtype.kind == "O":
        array = _plain_numbers(array, name)
    if array.dtype.kind in "USTV":
        hint = f"; of names, np.unique({name}, return_inverse=True)[1] is the numbers" if name == "y" else ""
        raise TypeError(f"{name} holds text or records ({array.dtype}); real numbers are needed{hint}")
    if array.dtype.kind not in NUMBER_KINDS:
        raise TypeError(f"{name} holds values of type {array.dtype}; real numbers are needed")
    return array


def _refuse_times(value: Any, name: str) -> None:
    """Raise TypeError for a Polars frame with columns of dates or times, which it would give as numbers."""
    dtypes = getattr(value, "dtypes", None)
    for dtype in dtypes if isinstance(dtypes, Iterable) else [getattr(value, "dtype", None)]:
        is_temporal = getattr(dtype, "is_temporal", None)
        if callable(is_temporal) and is_temporal():
            raise TypeError(f"{name} holds values of type {dtype}; real numbers are needed")


def _plain_numbers(array: Array, name: str) -> Array:
    """Return an array of Python objects, all of them numbers, as float64 (mixed columns of tables give such)."""
    for i, item in enumerate(array.flat):
        if not isinstance(item, (numbers.Real, np.bool_)):
            held = f"{name} holds a value of type {type(item).__name__}"
            if array.ndim:
                at = tuple(map(int, np.unravel_index(i, array.shape)))
                held += f", {shown(item)} at [{place(at)}]"
            raise TypeError(f"{held}; real numbers in equal rows are needed")
    try:
        return array.astype(np.float64)
    except OverflowError:
        raise ValueError(f"{name} holds a whole number beyond the range of float64") from None


def place(at: Sequence[int]) -> str:
    """Return the index of a number in an array, as it is written between brackets."""
    return ", ".join(str(i) for i in at)


def said_of_whole(message: str, rows: int) -> str:
    """Turn a message about a slice into one about all ``rows`` rows: ``X[39:52][11, 1]`` becomes ``X[50, 1]``."""
    message = re.sub(r"\[(\d+):\d+\]\[(\d+)", lambda at: f"[{int(at[1]) + int(at[2])}", message, count=1)
    message = re.sub(r"\[\d+:\d+\] has shape \(\d+", f" has shape ({rows}", message, count=1)
    return re.sub(r"\[\d+:\d+\] has ", " has ", message, count=1)


def converted(array: Array, dtype: np.dtype[Any], name: str) -> Array:
    """Return the array in C order and the given dtype, copied only if necessary."""
    if array.dtype != dtype or not array.flags.c_contiguous:
        memory.refuse(array.size * dtype.itemsize, f"to copy {name}, {array.size:,} numbers, as {dtype}")
    with np.errstate(all="ignore"):
        return np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"])


def finite(array: Array, dtype: np.dtype[Any], name: str) -> Array:
    """Return the array like ``converted``; ValueError if it contains NaN or infinity."""
    checked = converted(array, dtype, name)
    flat = checked.reshape(-1)
    for first in range(0, flat.size, CHECKED_AT_ONCE):
        fine = np.isfinite(flat[first : first + CHECKED_AT_ONCE])
        if not fine.all():
            needed = f"finite {dtype} numbers are needed"
            if checked.ndim == 0:
                raise ValueError(f"{name} is {array}; {needed}")
            at = tuple(int(i) for i in np.unravel_index(first + int(fine.argmin()), checked.shape))
            raise ValueError(said_of_whole(f"{name}[{place(at)}] is {array[at]}; {needed}", len(checked)))
    return checked


def matrix(value: Any, name: str, dtype: np.dtype[Any], columns: int | None = None) -> Array:
    """Return ``value`` as finite numbers of shape (rows, columns), with at least one of each."""
    array = numbers_of(value, name)
    refuse_shape(array, name, columns)
    return finite(array, dtype, name)


def refuse_shape(array: Array, name: str, columns: int | None = None) -> None:
    """Raise ValueError unless an array has rows and columns, at least one of each."""
    needed = f"(rows, {'columns' if columns is None else columns})"
    if array.ndim != 2:
        hint = f"; one row is {name}.reshape(1, -1)" if array.ndim == 1 else ""
        raise ValueError(f"{name} has {array.ndim} dimension(s), {needed} is needed{hint}")
    if array.shape[0] == 0:
        raise ValueError(f"{name} has no rows; at least one is needed")
    if array.shape[1] == 0 or (columns is not None and array.shape[1] != columns):
        raise ValueError(f"{name} has {array.shape[1]} column(s); {needed} is needed")


def targets(value: Any, rows: int, outputs: int, dtype: np.dtype[Any], name: str = "y") -> Array:
    """Return ``value`` as finite numbers of shape (rows, outputs); (rows,) is accepted for one output."""
    array = numbers_of(value, name)
    if array.shape[1:] != (outputs,) and not (array.ndim == 1 and outputs == 1):
        either = "(rows,) or (rows, 1)" if outputs == 1 else f"(rows, {outputs})"
        hint = "; labels are for loss 'cross_entropy'" if array.ndim == 1 and name == "y" else ""
        raise ValueError(f"{name} has shape {np.shape(value)}; {either} is needed for {outputs} output(s){hint}")
    same_rows(array, rows, name)
    return finite(array, dtype, name).reshape(rows, outputs)


def labels(value: Array, classes: int, name: str = "y") -> npt.NDArray[np.intp]:
    """Return an array (rows,) of labels, whole numbers from 0 to classes - 1; ValueError for others."""
    numbers_ = finite(value, DTYPES["float64"], name)
    wrong = (numbers_ != np.floor(numbers_)) | (numbers_ < 0) | (numbers_ >= classes)
    if wrong.any():
        at = int(np.argmax(wrong))
        hint = "; for one output and labels 0 and 1 there is binary_cross_entropy" if classes == 1 else ""
        raise ValueError(f"{name}[{at}] is {value[at]}; a label is a whole number from 0 to {classes - 1}{hint}")
    return numbers_.astype(np.intp)


def class_targets(value: Any, rows: int, classes: int, dtype: np.dtype[Any], name: str = "y") -> Array:
    """Return labels (rows,), or rows of class shares that sum to 1, as shares (rows, classes)."""
    array = numbers_of(value, name)
    if array.ndim == 2 and array.shape[1] == 1 and classes > 1:
        array = array.reshape(-1)
    if array.ndim == 1:
        same_rows(array, rows, name)
        memory.refuse(rows * classes * dtype.itemsize, f"to make shares of {classes} classes from {name}")
        shares = np.zeros((rows, classes), dtype)
        shares[np.arange(rows), labels(array, classes, name)] = 1
        return shares
    shares = targets(array, rows, classes, dtype, name)
    wrong = (shares < 0).any(axis=1) | (np.abs(shares.sum(axis=1) - 1) > 1e-3)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"{name}[{at}] is {shares[at]}; shares of the classes are not negative and sum to 1")
    return shares


def sample_weights(value: Any, rows: int, dtype: np.dtype[Any], name: str = "sample_weight") -> Array | None:
    """Return ``value`` as numbers (rows,) that are not negative and not all 0; None stays None."""
    if value is None:
        return None
    given = _not_negative(value, rows, dtype, name)
    if not given.any():
        raise ValueError(f"{name} is 0 for every row; at least one is needed that counts")
    weights = without_subnormal(given)
    refuse_sum(_sum(weights), dtype, name)
    return weights


def refuse_sum(found: float, dtype: np.dtype[Any], name: str = "sample_weight") -> None:
    """Raise ValueError for a sum of weights so small or great that weighted losses lose digits, or overflow."""
    info = np.finfo(dtype)
    least, most = float(info.tiny / info.eps), float(info.max * info.eps)
    if not least <= found <= most:
        raise ValueError(f"{name} has the sum {found:g}; for {dtype} it has to be from {least:.0e} to {most:.0e}")


def _sum(weights: Array) -> float:
    with np.errstate(all="ignore"):
        return float(weights.sum(dtype=np.float64))


def row_weights(value: Any, rows: int, dtype: np.dtype[Any], name: str = "sample_weight") -> Array:
    """Return ``value`` as numbers (rows,) that are not negative."""
    return without_subnormal(_not_negative(value, rows, dtype, name))


def _not_negative(value: Any, rows: int, dtype: np.dtype[Any], name: str) -> Array:
    array = numbers_of(value, name)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimension(s); one number a row is needed")
    same_rows(array, rows, name)
    weights = finite(array, dtype, name)
    if (weights < 0).any():
        at = int(np.argmax(weights < 0))
        raise ValueError(f"{name}[{at}] is {weights[at]}; weights are 0 or more")
    return weights


def without_subnormal(weights: Array) -> Array:
    """Replace subnormal weights by 0: their reciprocals overflow, so a batch could not be divided by their sum."""
    subnormal = (weights > 0) & (weights < np.finfo(weights.dtype).tiny)
    return np.where(subnormal, weights.dtype.type(0), weights) if subnormal.any() else weights


def same_rows(array: Array, rows: int, name: str) -> None:
    """Raise ValueError unless an array has that many rows."""
    if len(array) != rows:
        raise ValueError(f"{name} has {len(array)} row(s) and X has {rows}; one for each row is needed")


def members(value: Any, name: str, kind: type) -> Sequence[Any]:
    """Return ``value`` as a list of at least one object of a type."""
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Set)):
        raise TypeError(f"{name} is {shown(value)}; a list of {kind.__name__} is needed")
    found = list(value)
    for i, item in enumerate(found):
        if not isinstance(item, kind):
            raise TypeError(f"{name}[{i}] is {shown(item)}; a {kind.__name__} is needed")
    if not found:
        raise ValueError(f"{name} is empty; at least one {kind.__name__} is needed")
    return found
