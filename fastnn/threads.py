"""How many threads there may be, and the threads that help with a run.

They are plain Python threads in compiled code that needs no interpreter lock. They live as long as one fit does,
so that a process can be forked, and can end, at any time.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from fastnn import checks, memory

MOST_THREADS = 1024
VARIABLE = "FASTNN_NUM_THREADS"
# Set to 1 in the worker processes of joblib and Dask, by which they tell libraries that all cores are busy.
OF_OTHERS = "OMP_NUM_THREADS"


def allowed(threads: Any = None, name: str = "threads") -> int:
    """As many as are asked for, or without a number as many as this process may use.

    That is what FASTNN_NUM_THREADS says, or else the number of cores within the process's affinity and its
    control group's quota, but not more than OMP_NUM_THREADS.
    """
    of_environment = from_environment()
    if threads is not None:
        return checks.whole_number(threads, name, least=1, most=MOST_THREADS)
    if of_environment is not None:
        return of_environment
    if numba.config.DISABLE_JIT:
        return 1  # plain Python has no use for them
    first = os.environ.get(OF_OTHERS, "").split(",")[0].strip()
    bound = int(first) if first.isdecimal() and int(first) > 0 else MOST_THREADS
    return max(1, min(cores(), bound))


def from_environment() -> int | None:
    """What FASTNN_NUM_THREADS says; None if it is not set. ValueError if it is no number of threads."""
    given = os.environ.get(VARIABLE)
    if not given:
        return None
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
    return min([MOST_THREADS, *_quotas(memory.CGROUP_OF_PROCESS, memory.CGROUP)])


def _quotas(process: Path, root: Path) -> Iterator[int]:
    """Those of a process's control groups, which a file tells, and of all groups around them."""
    for folder in memory.control_groups("cpu", process, root):
        with contextlib.suppress(OSError, ValueError, IndexError, ZeroDivisionError):
            yield _quota_of(folder)


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
    used, granted = _in_use, 0
    try:
        with used.lock:
            granted = max(1, min(wanted, max(cores(), wanted) - used.count))
            used.count += granted
        yield granted
    finally:
        with used.lock:
            used.count -= granted


class _Cores:
    """What the system tells of the cores that threads are on, and how it is told where they may be."""

    def __init__(self, library: Any) -> None:
        self.in_use = library.sched_getcpu  # by the calling thread
        self._set = library.pthread_setaffinity_np
        self._set.argtypes = ctypes.c_ulong, ctypes.c_size_t, ctypes.c_char_p

    def bind(self, thread: int, usable: set[int], but: set[int]) -> None:
        """Have a thread run on the usable cores, but not on some of them, if any others are left."""
        left = usable - but
        if left:
            mask = sum(1 << core for core in left)
            length = max(left) // 64 * 8 + 8
            self._set(thread, length, mask.to_bytes(length, sys.byteorder))  # unless that is not allowed here


@functools.cache
def _cores() -> _Cores | None:
    """None where the core in use cannot be had, or threads cannot be moved."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return _Cores(ctypes.PyDLL(None))  # these calls are too short to let go of the interpreter lock
    except (OSError, AttributeError):
        return None


def started(thread: threading.Thread) -> bool:
    """Start a thread; whether there was one left, and the interpreter is not about to end."""
    try:
        thread.start()
    except RuntimeError as error:
        # Ctrl-C between two of Python's own locks makes it let go of one that it does not have.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        return False
    return True


class Helpers:
    """Threads that end by themselves when they are told to, and do not keep the interpreter from ending.

    The context they are used in ends when they have ended, and raises the first error of any of them.

    ``threading`` would have the caller wait until each has begun, for a tenth of a millisecond or more; the caller
    has better things to do. Each begins on a core of its own, as far as there are any. Some systems put a thread
    that wakes up behind another one for milliseconds while other cores are idle; once it runs, they may move it as
    they like.
    """

    def __init__(self) -> None:
        self._count = 0
        self._ended: list[int] = []
        self._bell = _thread.allocate_lock()  # opened by each that ends, and closed by who waits for them
        self._bell.acquire()
        self._errors: list[BaseException] = []
        self._usable: set[int] = set()  # cores
        self._taken: set[int] = set()

    def __enter__(self) -> Helpers:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        while self.wait():
            pass
        if error is None and self._errors:
            raise self._errors[0]

    def start(self, count: int, work: Callable[[int], None], beside: bool = True) -> int:
        """Call ``work(number)`` in as many threads, numbered from 1, or as many as can be had; their number.

        ``beside`` says that the caller works too, and needs the core that it is on.
        """
        cores = _cores()
        if cores is not None:
            self._usable = os.sched_getaffinity(0)
        for number in range(1, count + 1):
            gate = _thread.allocate_lock()
            with gate:  # until it is bound
                try:
                    thread = _thread.start_new_thread(self._go, (work, number, gate))
                except RuntimeError:  # there is none left, or the interpreter is about to end
                    break
                self._count = number
                if beside and cores is not None:
                    cores.bind(thread, self._usable, {cores.in_use()})
        return self._count

    def wait(self, seconds: float = -1.0) -> bool:
        """Wait until one has ended, for so long at most (-1: however long that takes); whether some still work."""
        if len(self._ended) < self._count:
            self._bell.acquire(timeout=seconds)
        return len(self._ended) < self._count

    def _go(self, work: Callable[[int], None], number: int, gate: _thread.LockType) -> None:
        try:
            with gate:
                pass
            self._settle()
            work(number)
        except BaseException as error:  # compiled code raises none; plain Python may
            self._errors.append(error)
        finally:
            self._ended.append(number)
            with contextlib.suppress(RuntimeError):  # another has just opened it
                self._bell.release()

    def _settle(self) -> None:
        """Leave the cores of those that began before, and then be bound to none."""
        cores = _cores()
        if cores is not None:
            this = _thread.get_ident()
            if cores.in_use() in self._taken:
                cores.bind(this, self._usable, self._taken)
            self._taken.add(cores.in_use())
            cores.bind(this, self._usable, set())


def share(pieces: int, count: int, work: Callable[[int, npt.NDArray[np.int64]], None]) -> None:
    """Call ``work(thread, taken)`` in at most ``count`` threads until all pieces are; the caller's is number 0.

    taken (1,) is the number of the next piece, which those who take some count up.
    """
    taken = np.zeros(1, np.int64)

    def go(thread: int) -> None:
        try:
            while taken[0] < pieces:
                work(thread, taken)
        finally:
            taken[0] = pieces  # after an exception nobody is to begin another

    with reserve(min(count, pieces)) as granted, Helpers() as helpers:
        helpers.start(granted - 1, go)
        go(0)
