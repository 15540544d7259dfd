"""The main program: runs a command, and turns all errors into messages and exit statuses."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from fastnn._version import __version__
from fastnn.cli import bench, predict, train, validate, warmup
from fastnn.cli.options import Parser, formatter

# The exit statuses of shells for programs ended by Ctrl-C, and by a closed pipe.
INTERRUPTED, PIPE_CLOSED = 130, 141
USER_ERROR = 2  # the same as argparse's

EXAMPLES = """\
examples:
  fastnn train circle                              the textbook's first network, learnt
  fastnn train circle --density 300 --hidden 16,16 --learning-rate 1
  fastnn train flowers.csv --target species --save flowers.npz
  fastnn predict flowers.npz more-flowers.csv
  fastnn validate                                  check this machine against plain Python
  fastnn bench                                     how much faster it is than plain Python

"fastnn COMMAND --help" tells the options of a command.
"""


def make_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="fastnn",
        description="Trains small neural networks on a CPU, fast, and checks itself against plain Python.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (train, predict, validate, bench, warmup):
        module.add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    0: done. 1: training diverged, or a validation failed. 2: a user error, which is explained on stderr in a
    sentence. 130: Ctrl-C. 141: the reader of the output closed it.
    """
    parser = make_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:  # argparse's own error would refer to the help of the whole program
        parser.exit(
            USER_ERROR,
            f'fastnn: there is no {unknown[0]}; "fastnn {options.command} --help" tells what there is\n',
        )
    _let_every_character_through(sys.stdout, sys.stderr)
    try:
        with _warnings_as_sentences():
            status: int = options.run(options)
            print(end="", flush=True)  # flush here, where a closed pipe can still be handled
            return status
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of the output has closed it
        _give_up_output()
        return PIPE_CLOSED
    except OSError as error:
        _give_up_output()
        return _say(_of_file(error), USER_ERROR)
    except MemoryError:
        return _say("there is not enough memory for that; try fewer samples or a smaller network", USER_ERROR)
    except (ValueError, TypeError, ImportError) as error:
        return _say(str(error), USER_ERROR)


def _say(message: str, status: int) -> int:
    print(f"fastnn: {message}", file=sys.stderr)
    return status


def _give_up_output() -> None:
    """Drop the rest of the output if it cannot be written, so that Python's final flush does not fail."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_file(error: OSError) -> str:
    """Return the message of an OSError without "[Errno 2]"."""
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{os.fspath(error.filename)}: {error.strerror}"


def _let_every_character_through(*streams: TextIO) -> None:
    """Make streams show characters that their encoding lacks, as in names of tables, as escapes."""
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


@contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """Show fastnn's RuntimeWarnings like errors, without their place in the code."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def sentence(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
            if category is RuntimeWarning:
                _say(str(message), 0)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.filterwarnings("always", category=RuntimeWarning, module=r"fastnn\b")
        warnings.showwarning = sentence
        yield
