"""Tables from files: reads columns, or raises errors with the column's name and the row."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import files
from fastnn.cli.words import count, some

Doubles = npt.NDArray[np.float64]

MOST_CLASSES_OF_NUMBERS = 20  # whole numbers with more different values than this are not taken for classes


class Table:
    """The columns of a file; messages count rows from 1 below the line of names."""

    def __init__(self, path: str, separator: str | None = None) -> None:
        self.path = path
        pandas = _pandas()
        if separator is None:
            separator = "\t" if Path(path).suffix == ".tsv" else ","
        separator = "\t" if separator == r"\t" else separator
        if len(separator) != 1:
            raise ValueError(f"--separator is {separator!r}; a single character, or \\t for a tab, is needed")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pandas.errors.ParserWarning)
                # Without index_col=False, rows that are longer than the line of names would shift all names.
                self.frame = pandas.read_csv(path, sep=separator, index_col=False, low_memory=False)
        except pandas.errors.EmptyDataError:
            raise ValueError(f"{path} is empty; a table with a line of column names is needed") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path} is no text in UTF-8; a table as text is needed") from None
        except pandas.errors.ParserWarning:
            hint = _hint_of_separator(_first_line(path, separator))
            raise ValueError(f"{path} has rows that are longer than its line of column names{hint}") from None
        except pandas.errors.ParserError as error:
            reason = " ".join(str(error).removeprefix("Error tokenizing data. C error:").split())
            raise ValueError(f"{path} is no table: {reason}") from None
        except files.BROKEN:
            raise ValueError(f"{path} is broken: it could not be unpacked to its end") from None
        names = [str(name).strip() for name in self.frame.columns]
        self.frame.columns = names
        if any(re.fullmatch(r".*\.\d+", name) for name in names):  # pandas renames duplicate columns like this
            names = [name.strip() for name in _first_line(path, separator)] or names
        twice = [name for i, name in enumerate(names) if name and name in names[:i]]
        if twice:
            raise ValueError(f"{path} has more than one column {twice[0]!r}; each needs a name of its own")
        if len(self.frame) == 0:
            raise ValueError(f"{path} has no rows below its line of column names")

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.frame.columns)

    def need(self, names: Sequence[str]) -> None:
        """Raise ValueError if one of the columns is missing."""
        missing = [repr(name) for name in names if name not in self.columns]
        if not missing:
            return
        hint = _hint_of_separator(self.columns)
        known = some([repr(name) for name in self.columns])
        raise ValueError(f"{self.path} has no column {some(missing)}; it has {known}{hint}")

    def need_names(self) -> None:
        """Raise ValueError if the line of names holds numbers: then it is the first row, and names are missing."""
        if all(_is_number(name) for name in self.columns):
            raise ValueError(f"the first line of {self.path} holds numbers; a line of column names is needed")

    def inputs(self, names: Sequence[str], hint: str = "") -> Doubles:
        """Return columns of finite numbers as (rows, columns); ValueError names those that hold anything else."""
        found, errors = [], {}
        for name in names:
            try:
                found.append(self.numbers(name, hint))
            except ValueError as error:  # noqa: PERF203 - the message names all of them
                errors[name] = error
        if errors:
            first, *others = errors
            also = f". Nor can {some([repr(name) for name in others])} be used" if others else ""
            raise ValueError(f"{errors[first]}{also}")
        return np.stack(found, axis=1)

    def numbers(self, name: str, hint: str = "") -> Doubles:
        """Return a column of finite numbers (rows,); ValueError if it holds anything else."""
        self._refuse_gaps(name, hint)
        try:
            numbers = np.array(self.frame[name], np.float64)
        except (ValueError, TypeError):
            text, row = self._first_text(name)
            raise ValueError(
                f"column {name!r} of {self.path} holds {text!r} in row {row}; only numbers can be used here{hint}"
            ) from None
        except OverflowError:
            raise ValueError(f"column {name!r} of {self.path} holds numbers too large for float64{hint}") from None
        if not np.isfinite(numbers).all():
            row = int(np.argmin(np.isfinite(numbers)))
            raise ValueError(f"column {name!r} of {self.path} holds {numbers[row]} in row {row + 1}{hint}")
        return numbers

    def classes(self, name: str) -> tuple[list[str], npt.NDArray[np.intp]]:
        """Return the names of a column's classes in order, and the number of each row's class (rows,)."""
        self._refuse_gaps(name)
        values = self.frame[name].unique()
        in_order = [_class_name(value) for value in sorted(values, key=str if self._is_text(name) else None)]
        number_of = {class_name: number for number, class_name in enumerate(in_order)}
        return in_order, np.array([number_of[text] for text in self.class_names(name)], np.intp)

    def class_names(self, name: str) -> list[str]:
        """Return a column as names of classes (rows,)."""
        return [_class_name(value) for value in self.frame[name]]

    def looks_like_classes(self, name: str) -> bool:
        """Whether a column holds text, booleans, or a few different whole numbers."""
        kind = self._kind(name)
        few = kind in "iu" and self.frame[name].nunique() <= MOST_CLASSES_OF_NUMBERS
        return self._is_text(name) or kind == "b" or few

    def has_gaps(self, name: str) -> bool:
        """Whether a column has missing values."""
        return bool(self.frame[name].isna().any())

    def _kind(self, name: str) -> str:
        """Return the kind of a column's dtype, as NumPy abbreviates it; "O" for dtypes unknown to NumPy."""
        return getattr(self.frame[name].dtype, "kind", "O")

    def _is_text(self, name: str) -> bool:
        return self._kind(name) not in "biuf"

    def _refuse_gaps(self, name: str, hint: str = "") -> None:
        if self.has_gaps(name):
            gaps = np.array(self.frame[name].isna(), bool)
            raise ValueError(
                f"column {name!r} of {self.path} has {count(int(gaps.sum()), 'missing value')}, the first in row "
                f"{int(np.argmax(gaps)) + 1}; fill them or remove those rows{hint}. Missing is what is empty or "
                "says so, like NA, None or null"
            )

    def _first_text(self, name: str) -> tuple[str, int]:
        """Return the first value of a column that is not a number, and its row."""
        values = self.frame[name]
        row = int(np.argmax(np.array(_pandas().to_numeric(values, errors="coerce").isna())))
        return str(values.iloc[row]), row + 1


def _first_line(path: str, separator: str) -> list[str]:
    """Return the column names as they are in the file; none if it can be read only once, like a pipe."""
    if not Path(path).is_file():
        return []
    line = _pandas().read_csv(path, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False)
    return [str(name) for name in line.iloc[0]]


def _hint_of_separator(names: Sequence[str]) -> str:
    found = [mark for mark in ";\t|," if len(names) == 1 and mark in names[0]]
    return f"; --separator {found[0]!r} may be what stands between them" if found else ""


def write(columns: Mapping[str, Any], target: Any) -> None:
    """Write columns (n,) by their names to a path or an open file, as comma-separated values."""
    _pandas().DataFrame(columns).to_csv(target, index=False, lineterminator="\n")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _class_name(value: Any) -> str:
    """Return a class's name, the same for 2 and 2.0: 2 is read as 2.0 if other rows are empty or fractions."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _pandas() -> Any:
    """Import pandas, only when there is a table to read, since that takes half a second."""
    try:
        return importlib.import_module("pandas")
    except ImportError:
        raise ImportError(
            "reading tables needs pandas, which is not there; pip install 'fastnn-jit[cli]'"
        ) from None
