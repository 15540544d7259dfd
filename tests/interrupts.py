"""A program that trains with Ctrl-C at each place around a fit where the interpreter looks for signals.

It is a process of its own, for an interrupted ``Thread.start`` leaves a thread that has not begun among Python's.
Its argument is what works: lines, batches, windows or many.
"""

from __future__ import annotations

import contextlib
import gc
import io
import sys
import threading
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

import fastnn
from fastnn import progress, threads
from tests.helping import helpers

# Python looks for signals where a function begins, and where a built-in one has returned.
EVENTS = ("call", "c_return")
OURS = ("callbacks.py", "many.py", "progress.py", "running.py", "streams.py", "threads.py")
OTHERS = ("std.py", "threading.py")  # tqdm's bars, Python's threads
LONGEST = 10  # seconds that a thread may take to end
X, Y = fastnn.datasets.circle(20)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def network():
    return fastnn.mlp([2, 8, 1], output="sigmoid", seed=3)


def lines():
    net = network()
    net.fit(X, Y, epochs=400, log_every=100, threads=2)
    return net


def batches():
    net = network()
    net.fit(X, Y, epochs=5, batch_size=32, threads=2, validation_split=0.2, callbacks=lambda progress: None)
    return net


def windows():
    net = network()
    net.fit([(X[:300], Y[:300]), (X[300:], Y[300:])], epochs=3, threads=1)
    return net


def many():
    nets = [network(), *(fastnn.mlp([2, 8, 1], output="sigmoid", seed=seed) for seed in range(3))]
    fastnn.fit_many(nets, X, Y, epochs=20, threads=2)
    return nets[0]


def finalizes(frame):
    """Whether a finalizer is at work: what it raises goes nowhere."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def watched(work, stop=None):
    """The places where Python looks for signals while this works; with Ctrl-C at one of them, the first time."""
    places = {}

    def look(frame, event, _):
        name = Path(frame.f_code.co_filename).name
        if event in EVENTS and name in OURS + OTHERS and not finalizes(frame):
            place = name, frame.f_lineno, event, frame.f_back.f_lineno  # of the caller
            places[place] = None
            if place == stop:
                sys.setprofile(None)
                raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(None)
    return places


def outcome(work, place):
    """What comes of Ctrl-C at this place, if it is reached: what a thread is late for differs from run to run."""
    try:
        places = watched(work, place)
    except BaseException as error:
        return repr(error)
    return "nothing" if place in places else "not reached"


def let_go_of_bars():
    """Ctrl-C within the with statement of tqdm's lock keeps it, and the next one would let go of that."""
    for lock in tqdm.get_lock().locks:
        with contextlib.suppress(AssertionError, RuntimeError):  # when it is free
            while True:
                lock.release()


def all_have_ended():
    deadline = time.perf_counter() + LONGEST
    while helpers() > 0 or any(
        thread.name.startswith("fastnn") and thread.is_alive() for thread in threading.enumerate()
    ):
        if time.perf_counter() > deadline:
            return False
    return True


def main():
    work = {"lines": lines, "batches": batches, "windows": windows, "many": many}[sys.argv[1]]
    progress.SECONDS_BEFORE_BAR = progress.SECONDS_BETWEEN_SIGHTS = 0.0
    with contextlib.redirect_stdout(Terminal()), contextlib.redirect_stderr(Terminal()):
        tqdm.get_lock()  # is made at its first use
        wanted = work().parameters
        places = watched(work)
        reached = 0
        gc.collect()
        gc.freeze()  # what exists already is not looked at again
        for place in places:
            came = outcome(work, place)
            assert came in ("KeyboardInterrupt()", "not reached"), (place, came)
            reached += came != "not reached"
            let_go_of_bars()
            gc.collect()  # generators that an exception has left are finished now
            assert threads._in_use.count == 0, place
            assert all_have_ended(), place
            assert np.array_equal(work().parameters, wanted), place
        assert reached > 100


if __name__ == "__main__":
    main()
