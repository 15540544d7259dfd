"""How many threads there may be, and the threads that help with a run.

They are plain Python threads in compiled code that needs no interpreter lock. They live as long as one fit does,
so that a process can be forked, and can end, at any time.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba

from fastnn import checks

MOST_THREADS = 1024
VARIABLE = "FASTNN_NUM_THREADS"
# Set to 1 in the worker processes of joblib and Dask, by which they tell libraries that all cores are busy.
OF_OTHERS = "OMP_NUM_THREADS"


def allowed(threads: Any = None, name: str = "threads") -> int:
    """As many as are asked for, or without a number as many as this process may use.

    That is what FASTNN_NUM_THREADS says, or else the number of cores within the process's affinity and its
    control group's quota, but not more than OMP_NUM_THREADS.
    """
    if threads is not None:
        return checks.whole_number(threads, name, least=1, most=MOST_THREADS)
    given = os.environ.get(VARIABLE)
    if given:
        return _from_environment(given)
    if numba.config.DISABLE_JIT:
        return 1  # plain Python has no use for them
    first = os.environ.get(OF_OTHERS, "").split(",")[0].strip()
    bound = int(first) if first.isdecimal() and int(first) > 0 else MOST_THREADS
    return max(1, min(cores(), bound))


def _from_environment(given: str) -> int:
    if not given.strip().isdecimal() or not 1 <= int(given) <= MOST_THREADS:
        raise ValueError(f"{VARIABLE} is {given!r}; a whole number from 1 to {MOST_THREADS} is needed")
    return int(given)


def cores() -> int:
    """How many this process may use, by its affinity and its control group's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, _quota()))


@functools.cache
def _quota() -> int:
    """Cores of the control group's quota, rounded up; MOST_THREADS where there is none."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return MOST_THREADS
    return min([MOST_THREADS, *_quotas(lines, Path("/sys/fs/cgroup"))])


def _quotas(lines: list[str], root: Path) -> Iterator[int]:
    """Those of a process's control groups, given as in /proc/self/cgroup, and of all groups around them."""
    for line in lines:
        _, controllers, inner = line.split(":", 2)
        mounted = root if controllers == "" else root / controllers
        if controllers != "" and "cpu" not in controllers.split(","):
            continue
        folder = mounted / inner.lstrip("/")
        for place in (folder, *folder.parents):
            if not place.is_relative_to(mounted):
                break
            with contextlib.suppress(OSError, ValueError, IndexError, ZeroDivisionError):
                yield _quota_of(place)


def _quota_of(folder: Path) -> int:
    """Raises OSError or ValueError where there is none."""
    unified = folder / "cpu.max"
    if unified.exists():
        quota, period = unified.read_text().split()
    else:
        quota = (folder / "cpu.cfs_quota_us").read_text()
        period = (folder / "cpu.cfs_period_us").read_text()
    microseconds = int(quota)
    if microseconds <= 0:
        raise ValueError("no quota")
    return -(-microseconds // int(period))


class _InUse:
    """Threads of all fits of this process that run at present."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = threading.Lock()
        self.count = 0


_in_use = _InUse()


@contextmanager
def reserve(wanted: int) -> Iterator[int]:
    """As many threads of those wanted as other fits leave: fits side by side share the cores."""
    global _in_use
    if _in_use.process != os.getpid():  # forked: the fits of the other process are not here
        _in_use = _InUse()
    used = _in_use
    with used.lock:
        granted = max(1, min(wanted, max(cores(), wanted) - used.count))
        used.count += granted
    try:
        yield granted
    finally:
        with used.lock:
            used.count -= granted


class Helpers:
    """Threads that end by themselves when they are told to, and do not keep the interpreter from ending."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def start(self, count: int, work: Callable[[int], None]) -> int:
        """Call ``work(number)`` in as many threads, numbered from 1, or as many as can be had; their number."""
        for number in range(1, count + 1):
            thread = threading.Thread(target=self._go, args=(work, number), name=f"fastnn-{number}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has none left, or the interpreter is about to end
                break
            self._threads.append(thread)
        return len(self._threads)

    def wait(self, seconds: float) -> bool:
        """Wait until they have ended, but not much longer than that; whether some still work."""
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                return True
        return False

    def _go(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # compiled code raises none; plain Python may
            self._errors.append(error)

    def complain(self) -> None:
        """Raise the first error of any of them."""
        if self._errors:
            raise self._errors[0]

    def join(self) -> None:
        """Wait until they have ended."""
        for thread in self._threads:
            thread.join()


def share(pieces: int, count: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(thread, piece)`` for each piece, in at most ``count`` threads; the caller's is number 0."""
    taken, ended, lock = 0, False, threading.Lock()

    def go(thread: int) -> None:
        nonlocal taken, ended
        try:
            while not ended:
                with lock:
                    piece, taken = taken, taken + 1
                if piece >= pieces:
                    return
                work(thread, piece)
        finally:
            ended = True  # of all pieces, or by an exception: nobody is to begin another

    with reserve(min(count, pieces)) as granted:
        helpers = Helpers()
        try:
            helpers.start(granted - 1, go)
            go(0)
        finally:
            helpers.join()
        helpers.complain()
