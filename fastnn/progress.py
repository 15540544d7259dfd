"""What a fit shows while it runs: log lines that were asked for, and its progress on a terminal."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from fastnn.running import Run

SECONDS_BEFORE_BAR = 1.0  # shorter fits need no bar
SECONDS_BETWEEN_SIGHTS = 0.2  # faster than people read
LEAST_CELLS, MOST_CELLS = 4, 20  # the width of the bar

logger = logging.getLogger("fastnn")


def decimals(value: float) -> str:
    """Return a number to four decimals or, where these would say too little or too much, to four digits."""
    return f"{value:.4f}" if value == 0.0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"


class Log:
    """Writes epoch and loss of the first epoch, of each multiple of ``every``, and of the last."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._logged = 0

    def begin(self, run: Run) -> None:
        """Start from the epochs that the run has already finished."""
        self._logged = run.epochs

    def look(self, run: Run) -> None:
        """Write the lines for epochs finished since the last call."""
        losses = run.losses
        for epoch in range(self._logged + 1, len(losses) + 1):
            if epoch == 1 or epoch % self._every == 0 or epoch == run.task.epochs:
                say(f"{epoch} {decimals(losses[epoch - 1])}")
        print(end="", flush=True)  # does nothing if there is no stdout
        self._logged = len(losses)

    def end(self, run: Run) -> None:
        """Do nothing: everything has been written."""


class Display(Protocol):
    """A display of a fit's progress."""

    def show(self, share: float, text: str) -> None:
        """Show the share that is done, from 0 to 1, with a text."""

    def close(self) -> None:
        """Restore the terminal."""


class Work(Protocol):
    """Work whose progress is displayed: one run, or many."""

    @property
    def samples(self) -> int:
        """How many samples have been trained on, counting repetitions."""

    @property
    def share(self) -> float:
        """The share of the work that is done, from 0 to 1."""

    @property
    def running(self) -> bool:
        """Whether there is work left to do."""

    def told(self) -> list[str]:
        """Return where the work has got, and then other texts about it."""


class Bar:
    """Shows a fit's progress on a terminal after the first second, so that short fits stay silent.

    It is a bar if tqdm is installed, else a line for each tenth, unless the fit writes log lines anyway.
    """

    def __init__(self, *, lines: bool = True) -> None:
        self._lines = lines
        self._display: Display | None = None
        self._next = 0.0

    def begin(self, run: Work) -> None:
        """Start the clock."""
        self._start = time.perf_counter()
        self._next = self._start + SECONDS_BEFORE_BAR
        self._samples, self._share = run.samples, run.share

    def look(self, run: Work) -> None:
        """Show the progress, but not too often."""
        now = time.perf_counter()
        last = self._display is not None and not run.running
        if now < self._next and not last:
            return
        self._next = now + SECONDS_BETWEEN_SIGHTS
        if self._display is None:
            self._display = _display(self._lines)
        self._display.show(run.share, self._text(run, now - self._start))

    def end(self, run: Work) -> None:
        """Remove the display."""
        if self._display is not None:
            self._display.close()

    def _text(self, run: Work, seconds: float) -> str:
        # The least important part comes last, since it may be cut off.
        where, *values = run.told()
        said = [where]
        share, done = run.share, run.samples - self._samples
        if share > self._share:
            said.append(f"{_clock(seconds * (1 - share) / (share - self._share))} left")
        said += values
        if done:
            said.append(f"{_short(done / seconds)} samples/s")
        return ", ".join(said)


def is_terminal(stream: Any) -> bool:
    """Whether a stream, which may be missing or closed, is a terminal."""
    try:
        return bool(stream is not None and stream.isatty())
    except ValueError:
        return False


def _display(lines: bool) -> Display:
    try:
        return _TqdmBar()
    except ImportError:
        return _Tenths(silent=not lines)


class _TqdmBar:
    """A tqdm bar that is removed at the end."""

    def __init__(self) -> None:
        class Bar(importlib.import_module("tqdm").tqdm):  # type: ignore[misc]
            monitor_interval = 0  # no monitor thread

        self._bar = Bar(
            total=1.0,
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
            delay=1e-9,  # nothing is drawn before the first call of show, not even an empty bar
        )
        self._width = 0  # of the longest line

    def show(self, share: float, text: str) -> None:
        with self._bar.get_lock():  # released on Ctrl-C too
            self._bar.n = share
            # Where there is little room, the text has priority over the bar.
            columns, rest = _columns(sys.stderr), len("100%|| ") + len(text)
            cells = max(LEAST_CELLS, min(columns - 1 - rest, MOST_CELLS))
            self._width = max(self._width, min(rest + cells, columns - 1))
            self._bar.bar_format = f"{{percentage:3.0f}}%|{{bar:{cells}}}| {{desc}}"
            self._bar.set_description_str(text, refresh=False)
            self._bar.refresh(nolock=True)

    def close(self) -> None:
        self._bar.close()
        # Ctrl-C while a line was written may have left more on the terminal than the bar knows of.
        sys.stderr.write(f"\r{' ' * self._width}\r")
        sys.stderr.flush()


def _columns(stream: Any) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80  # some terminals say 0
    except (OSError, ValueError):
        return 80


class _Tenths:
    """Writes a line for each tenth of the work."""

    def __init__(self, *, silent: bool) -> None:
        self._said = 10 if silent else 0

    def show(self, share: float, text: str) -> None:
        tenth = int(10 * share)
        if tenth > self._said:
            self._said = tenth
            _console("stderr", f"{10 * tenth:3d} %  {text}")

    def close(self) -> None:
        pass


def _short(number: float) -> str:
    """Return a number with three digits and a letter for the thousands."""
    for letter in ("", "k", "M"):
        if number < 999.5:
            return f"{number:.3g}{letter}"
        number /= 1000
    return f"{number:.3g}G"


def _clock(seconds: float) -> str:
    """Return seconds as minutes and seconds, with hours if there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class _Console(logging.Handler):
    """Writes to the current sys.stdout or sys.stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        stream = getattr(sys, record.name)
        if stream is not None:  # it is None in programs without a console
            stream.write(self.format(record) + "\n")


_handler = _Console()


def _console(stream: str, message: str) -> None:
    _handler.handle(logging.LogRecord(stream, logging.INFO, __file__, 0, message, (), None))


def say(message: str) -> None:
    """Write a line that was asked for to stdout, and to the logger "fastnn"."""
    with _without_bars():
        _console("stdout", message)
        _log(message)


def notify(message: str) -> None:
    """Write a notice that was not asked for to stderr, and to the logger "fastnn"."""
    _console("stderr", message)
    _log(message)


def _log(message: str) -> None:
    if logger.isEnabledFor(logging.INFO):
        logger.handle(logger.makeRecord(logger.name, logging.INFO, __file__, 0, message, (), None))


@contextmanager
def _without_bars() -> Iterator[None]:
    """Clear all tqdm bars from the terminal meanwhile, also those of users around several fits."""
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if tqdm is None:
        yield
        return
    # The lock is taken here: external_write_mode would on Ctrl-C release one that it does not have yet.
    with tqdm.get_lock(), tqdm.external_write_mode(sys.stdout, nolock=True):
        yield
