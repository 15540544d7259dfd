"""The shared option parser of the commands: types of options, and errors for invalid values."""

from __future__ import annotations

import argparse
import csv
import importlib
import shlex
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


class Parser(argparse.ArgumentParser):
    """An argument parser with one-line errors that accepts no abbreviated options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        self.exit(2, f'fastnn: {message}. "{self.prog} --help" tells what there is\n')


class Names:
    """The names in one of fastnn's tables, which is imported only when they are shown."""

    def __init__(self, module: str, table: str, wanted: Callable[[Any], bool] = lambda entry: True) -> None:
        self._module, self._table, self._wanted = module, table, wanted

    def __str__(self) -> str:
        table = getattr(importlib.import_module(f"fastnn.{self._module}"), self._table)
        return ", ".join(name for name, entry in table.items() if self._wanted(entry))


def with_names(option: argparse.Action, names: Names) -> None:
    """Make ``%(names)s`` available in the help of an option."""
    vars(option)["names"] = names


def formatter(prog: str) -> argparse.HelpFormatter:
    """Return a help formatter that keeps the line breaks of examples."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28)


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too small; a whole number from 1 on is needed")
    return number


def whole(text: str) -> int:
    """Parse a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def real(text: str) -> float:
    """Parse a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def wholes(text: str) -> list[int]:
    """Parse whole numbers, separated by commas."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        message = f"{text!r} is no whole number, nor several with commas between them"
        raise argparse.ArgumentTypeError(message) from None


def rows(text: str) -> int | str:
    """Parse a number of rows, or the word "all"."""
    if text == "all":
        return text
    try:
        int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number, nor the word all") from None
    return positive(text)


def names(text: str) -> list[str]:
    """Parse names, separated by commas; a name that contains commas stands in double quotes."""
    try:
        return next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:  # a line break within a name
        return [text]


def quoted(name: str) -> str:
    """Return a name as it must be typed in a shell for ``names`` to parse it."""
    if "," in name or name.startswith('"'):
        name = '"' + name.replace('"', '""') + '"'
    return shlex.quote(name)


def dtypes(name: str | None) -> tuple[str, ...]:
    """Return the dtypes that a command runs with: the given one, or both."""
    return ("float64", "float32") if name is None else (name,)
