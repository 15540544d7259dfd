"""The helper threads, which are started below the threading module and not listed by it."""

from __future__ import annotations

import _thread
import threading
import time


def helpers() -> int:
    """Return the number of helpers, without threads that threading has started or only knows of (dummies)."""
    listed = [thread for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)]
    return 1 + _thread._count() - len(listed)


def helpers_soon(wanted: int, seconds: float = 10.0) -> int:
    """How many there are, once they are as many as wanted; but after so long, in any case.

    One that has just been started may not have begun, and one that has told of its end may not have left.
    """
    deadline = time.perf_counter() + seconds
    while helpers() != wanted and time.perf_counter() < deadline:
        time.sleep(1e-4)
    return helpers()


def all_gone() -> bool:
    """Return whether there are no helpers left."""
    return helpers_soon(0) == 0
