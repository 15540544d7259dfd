"""What a fit says: on a terminal how far it has got, elsewhere nothing, and the lines that were asked for."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest

import fastnn
from fastnn import progress
from fastnn.callbacks import EarlyStopping
from fastnn.optimizers import SGD
from fastnn.progress import _clock, _short
from tests.conftest import ROOT

X = np.linspace(-1, 1, 30).reshape(10, 3)
Y = X[:, 0] ** 2
BAR = re.compile(
    r" *\d+%\|[ █▏▎▍▌▋▊▉#0-9]+\| epoch \d+/\d+(, \d+:\d\d left)?(, loss [\d.e-]+)?(, val_loss [\d.e-]+)?"
    r"(, [\d.]+[kMG]? samples/s)?"
)


def network():
    return fastnn.mlp([3, 4, 1])


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    """Compile all that is needed, so that no message about it appears."""
    network().fit(X, Y)
    network().predict(X)


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self):
        return True

    def fit(self, net=None, X=X, y=Y, **options):
        """Train a network, with this in the place of stdout and stderr."""
        with redirect_stdout(self), redirect_stderr(self):
            return (net or network()).fit(X, y, **options)


def screen(text):
    """The lines that stand on a terminal after all that was written to it."""
    lines = []
    for line in text.split("\n"):
        cells = []
        for piece in line.split("\r"):
            cells[: len(piece)] = piece
        lines.append("".join(cells).rstrip())
    return lines


@pytest.fixture
def terminal(monkeypatch):
    """A terminal with a bar that is shown from the start and drawn at every look."""
    monkeypatch.setattr(progress, "SECONDS_BEFORE_BAR", 0.0)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_SIGHTS", 0.0)
    return Terminal()


@pytest.fixture
def without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)


def each_epoch(seen):
    """A callback, with which there is a look at every epoch."""


# The bar -------------------------------------------------------------------------------------------


def drawn(text):
    """The bars in what was written."""
    return [piece for piece in re.split(r"[\r\n]", text) if "%|" in piece]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.29186, "0.2919"),
        (0.00345678, "0.0035"),
        (0.0, "0.0000"),
        (0.000987654, "0.0009877"),
        (3.21e-9, "3.21e-09"),
        (-12.5, "-12.5000"),
        (7.5204069396e10, "7.52e+10"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_decimals(value, text):
    assert progress.decimals(value) == text


def test_bar(terminal):
    terminal.fit(epochs=4, validation_split=0.3, callbacks=each_epoch)
    bars = drawn(terminal.getvalue())
    assert [bar.split("|")[0].strip() for bar in bars] == ["25%", "50%", "75%", "100%"]
    assert all(BAR.fullmatch(bar.rstrip()) for bar in bars)
    assert [re.search(r"epoch (\d/4)", bar)[1] for bar in bars] == ["1/4", "2/4", "3/4", "4/4"]
    assert all(part in bar for bar in bars for part in (" left", " loss ", "val_loss ", " samples/s"))
    assert screen(terminal.getvalue()) == [""]


def test_bar_without_validation(terminal):
    history = terminal.fit(epochs=3, callbacks=each_epoch)
    bars = drawn(terminal.getvalue())
    assert [f"loss {loss:.4g}" in bar for bar, loss in zip(bars, history.loss, strict=True)] == [True] * 3
    assert "val_loss" not in terminal.getvalue()


def test_bar_within_the_first_epoch(terminal, monkeypatch, rng):
    monkeypatch.setattr("fastnn.running.FIRST_CHUNK_OPERATIONS", 1e5)
    monkeypatch.setattr("fastnn.running.CHUNK_SECONDS", 1e-4)
    terminal.fit(None, rng.normal(size=(3000, 3)), rng.normal(size=3000), epochs=2, batch_size=10)
    first = drawn(terminal.getvalue())[0]
    assert "epoch 0/2, " in first
    assert " left" in first
    assert "loss" not in first


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError])
def test_bar_goes_on_exceptions(terminal, kind):
    def fail(seen):
        if seen.epoch == 2:
            raise kind

    with pytest.raises(kind):
        # The second sight is after the exception.
        terminal.fit(epochs=4, callbacks=[each_epoch, fail])
    assert drawn(terminal.getvalue())
    assert screen(terminal.getvalue()) == [""]


def test_bar_is_gone_before_the_end_is_told(terminal):
    class Teller(fastnn.callbacks.Callback):
        def on_epoch_end(self, seen):
            """Do nothing: with a callback, there is a look at every epoch."""

        def on_train_end(self, seen):
            print("that was it")

    terminal.fit(epochs=4, callbacks=Teller())
    assert screen(terminal.getvalue()) == ["that was it", ""]


def test_bar_goes_on_early_stop(terminal):
    stop = EarlyStopping(patience=2, min_delta=10.0)
    history = terminal.fit(epochs=100, callbacks=each_epoch, early_stopping=stop)
    assert (history.status, history.epochs) == ("stopped", 3)
    assert len(drawn(terminal.getvalue())) == 3
    assert screen(terminal.getvalue()) == [""]


def test_bar_goes_on_divergence(terminal):
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        terminal.fit(fastnn.mlp([3, 1]), epochs=10**4, optimizer=SGD(50.0), callbacks=each_epoch)
    assert drawn(terminal.getvalue())
    assert screen(terminal.getvalue()) == [""]


def test_bar_of_a_resumed_run(terminal, tmp_path):
    path = tmp_path / "run.npz"
    terminal.fit(epochs=5, checkpoint=path, verbose=0)
    terminal.fit(epochs=10, resume=path, callbacks=each_epoch)
    assert drawn(terminal.getvalue())[0].startswith(" 60%|")


def test_bar_of_a_fit_within_a_fit(terminal):
    def fit_another(seen):
        terminal.fit(epochs=2, callbacks=each_epoch)

    terminal.fit(epochs=2, callbacks=fit_another)
    assert {re.search(r"epoch ./.", bar)[0] for bar in drawn(terminal.getvalue())} >= {"epoch 1/2", "epoch 2/2"}


def test_log_lines_and_a_bar(terminal):
    history = terminal.fit(epochs=5, log_every=2, callbacks=each_epoch)
    assert len(drawn(terminal.getvalue())) >= 5
    expected = [f"{epoch} {history.loss[epoch - 1]:.4f}" for epoch in (1, 2, 4, 5)]
    assert screen(terminal.getvalue()) == [*expected, ""]
    # Nor are they broken on the way: each line is whole, and nothing else is on it.
    whole = [line.split("\r")[-1] for line in terminal.getvalue().split("\n")[:-1]]
    assert whole == expected


def test_bar_leaves_no_thread(terminal):
    before = threading.active_count()
    terminal.fit(epochs=4, callbacks=lambda seen: seen.network.predict(X))
    assert threading.active_count() == before


# Without tqdm --------------------------------------------------------------------------------------


def test_line_for_each_tenth(terminal, without_tqdm):
    history = terminal.fit(epochs=100, callbacks=each_epoch)
    lines = terminal.getvalue().splitlines()
    assert [line.split(" %")[0].strip() for line in lines] == [str(10 * i) for i in range(1, 11)]
    for i, line in enumerate(lines, 1):
        assert re.fullmatch(
            rf" *{10 * i} %  epoch {10 * i}/100, 0:00 left, loss {history.loss[10 * i - 1]:.4g}, .* samples/s",
            line,
        )


def test_lines_of_few_epochs(terminal, without_tqdm):
    terminal.fit(epochs=3, callbacks=each_epoch)
    assert [line.split(",")[0] for line in terminal.getvalue().splitlines()] == [
        " 30 %  epoch 1/3",
        " 60 %  epoch 2/3",
        "100 %  epoch 3/3",
    ]


def test_no_tenths_beside_log_lines(terminal, without_tqdm):
    history = terminal.fit(epochs=20, log_every=10, callbacks=each_epoch)
    expected = [f"{epoch} {history.loss[epoch - 1]:.4f}" for epoch in (1, 10, 20)]
    assert terminal.getvalue().splitlines() == expected


# Silence -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [0, False])
def test_verbose_0(terminal, verbose):
    terminal.fit(epochs=20, callbacks=each_epoch, verbose=verbose)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("verbose", [1, True])
def test_verbose_1(terminal, verbose):
    terminal.fit(epochs=20, callbacks=each_epoch, verbose=verbose)
    assert drawn(terminal.getvalue())


class Closed(Terminal):
    def isatty(self):
        raise ValueError("I/O operation on closed file")


@pytest.mark.parametrize("stream", [io.StringIO(), None, Closed()], ids=["file", "none", "closed"])
def test_no_terminal(terminal, stream):
    with redirect_stdout(terminal), redirect_stderr(stream):
        network().fit(X, Y, epochs=20, callbacks=each_epoch)
    assert terminal.getvalue() == ""
    assert stream is None or stream.getvalue() == ""


def test_short_fits_are_silent(monkeypatch):
    monkeypatch.setattr(progress.Bar, "_text", None)  # nothing is even made ready
    terminal = Terminal()
    terminal.fit(epochs=50, callbacks=each_epoch)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("value", [2, -1, "1", None, 0.5])
def test_what_verbose_is_not(value):
    with pytest.raises((TypeError, ValueError), match=r"verbose is .*; a whole number from 0 to 1 is needed"):
        network().fit(X, Y, verbose=value)


# The logger ----------------------------------------------------------------------------------------


def test_lines_go_to_stdout_and_the_logger(capsys, caplog):
    with caplog.at_level(logging.INFO, "fastnn"):
        history = network().fit(X, Y, epochs=3, log_every=2)
    expected = [f"{epoch} {history.loss[epoch - 1]:.4f}" for epoch in (1, 2, 3)]
    said = capsys.readouterr()
    assert (said.out.splitlines(), said.err) == (expected, "")
    assert [(each.name, each.levelname, each.getMessage()) for each in caplog.records] == [
        ("fastnn", "INFO", line) for line in expected
    ]


def test_logging_stays_as_it_is(capsys):
    network().fit(X, Y, epochs=3, log_every=1)
    assert logging.getLogger("fastnn").handlers == []
    assert logging.getLogger("fastnn").level == logging.NOTSET


def test_nothing_is_said_unasked(capsys):
    network().fit(X, Y, epochs=3)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (90061, "25:01:01")]
)
def test_clock(seconds, text):
    assert _clock(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.5, "0.5"),
        (999.4, "999"),
        (999.6, "1k"),
        (12345, "12.3k"),
        (9.996e5, "1M"),
        (6.54e6, "6.54M"),
        (2e12, "2e+03G"),
    ],
)
def test_short_numbers(number, text):
    assert _short(number) == text


# On a real terminal --------------------------------------------------------------------------------

FIT = """
import json, sys, threading, os, signal
import fastnn
from fastnn.callbacks import EarlyStopping

options, interrupt, hidden = json.loads(sys.argv[1])
if hidden:
    sys.modules["tqdm"] = None
X, y = fastnn.datasets.circle(60)
net = fastnn.mlp([2, 8, 1], output="sigmoid")
try:
    net.fit(X, y, batch_size=16, **options)
except KeyboardInterrupt:
    print("interrupted")
print(net.history.status)
"""


def on_terminal(options, *, interrupt=None, hidden=False, columns=100):
    """What a process writes to a terminal that is its stdin, stdout and stderr."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", FIT, json.dumps([options, interrupt, hidden])],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
    )
    os.close(theirs)
    written, deadline = b"", time.perf_counter() + 100
    try:
        while time.perf_counter() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # nobody is at the other end any more
                break
            if not piece:
                break
            written += piece
            if interrupt and written.decode(errors="ignore").count("%|") >= interrupt:
                process.send_signal(signal.SIGINT)
                interrupt = None
        assert process.wait(timeout=10) == 0, written.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    text = written.decode().replace("\r\n", "\n")
    return "\n".join(line for line in text.split("\n") if not line.startswith("fastnn: compiling"))


def on_real_terminal(test):
    """Mark a test."""
    for mark in (
        pytest.mark.slow,
        pytest.mark.compiled,
        pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo terminals there"),
    ):
        test = mark(test)
    return test


LONG = {"epochs": 10**6, "validation_split": 0.2}


@on_real_terminal
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_ctrl_c_on_a_terminal(columns):
    text = on_terminal(LONG, interrupt=3, columns=columns)
    bars = drawn(text)
    assert len(bars) >= 3
    assert all(len(bar) <= columns for bar in bars)
    if columns >= 80:
        assert all(part in bars[1] for part in (" left", " loss ", "val_loss "))
    assert [line for line in screen(text) if line] == ["interrupted", "interrupted"]


@on_real_terminal
def test_lines_on_a_terminal():
    text = on_terminal({**LONG, "log_every": 20}, interrupt=10)
    lines = [line for line in screen(text) if line]
    assert lines[-2:] == ["interrupted", "interrupted"]
    assert [line.split()[0] for line in lines[:-2]] == ["1", *(str(20 * i) for i in range(1, len(lines) - 2))]
    assert all(re.fullmatch(r"\d+ \d\.\d{4}", line) for line in lines[:-2])


@on_real_terminal
@pytest.mark.parametrize("options", [{"epochs": 10}, {"epochs": 10, "verbose": 1}], ids=str)
def test_short_fit_on_a_terminal(options):
    assert on_terminal(options).split() == ["finished"]


@on_real_terminal
def test_without_tqdm_on_a_terminal():
    text = on_terminal({"epochs": 20_000}, hidden=True)
    lines = text.splitlines()
    assert lines[-1] == "finished"
    assert all(
        re.fullmatch(r" *\d+ %  epoch \d+/20000, \d+:\d\d left, loss .*, .* samples/s", x) for x in lines[:-1]
    )
    assert lines[-2].startswith("100 %")


# When -------------------------------------------------------------------------------------------------


def test_a_bar_comes_after_a_second_and_not_too_often(monkeypatch):
    class Shown:
        def show(self, share, text):
            shown.append(now)

    class Work:
        samples, share, running = 0, 0.5, True

        def told(self):
            return ["half"]

    now, shown = 100.0, []
    monkeypatch.setattr("fastnn.progress.time.perf_counter", lambda: now)
    monkeypatch.setattr("fastnn.progress._display", lambda lines: Shown())
    bar = progress.Bar()
    bar.begin(Work())
    for now in (100.0, 100.9, 101.1, 101.2, 101.4):  # noqa: B007 - the clock looks at it
        bar.look(Work())
    assert shown == [101.1, 101.4]
