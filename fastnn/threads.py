"""Threads: how many may be used, and the helper threads of a run.

They are plain Python threads in compiled code that does not hold the interpreter lock. They live as long as one
fit, so that a process can be forked, and can end, at any time.
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
# Joblib and Dask set this to 1 in their worker processes, to tell libraries that all cores are busy.
OF_OTHERS = "OMP_NUM_THREADS"


def allowed(threads: Any = None, name: str = "threads") -> int:
    """Return how many threads may be used: ``threads``, or if it is None, as many as the process may use.

    That is the value of FASTNN_NUM_THREADS, or else the number of cores within the process's affinity and its
    control group's quota, but not more than OMP_NUM_THREADS.
    """
    of_environment = from_environment()
    if threads is not None:
        return checks.whole_number(threads, name, least=1, most=MOST_THREADS)
    if of_environment is not None:
        return of_environment
    if numba.config.DISABLE_JIT:
        return 1  # threads do not speed up plain Python
    first = os.environ.get(OF_OTHERS, "").split(",")[0].strip()
    bound = int(first) if first.isdecimal() and int(first) > 0 else MOST_THREADS
    return max(1, min(cores(), bound))


def from_environment() -> int | None:
    """Return the value of FASTNN_NUM_THREADS; None if it is not set, ValueError if it is invalid."""
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    if not given.strip().isdecimal() or not 1 <= int(given) <= MOST_THREADS:
        raise ValueError(f"{VARIABLE} is {given!r}; a whole number from 1 to {MOST_THREADS} is needed")
    return int(given)


def cores() -> int:
    """Return how many cores this process may use, by its affinity and its control group's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, _quota()))


@functools.cache
def _quota() -> int:
    """Return the cores of the control group's quota, rounded up; MOST_THREADS if there is no quota."""
    return min([MOST_THREADS, *_quotas(memory.CGROUP_OF_PROCESS, memory.CGROUP)])


def _quotas(process: Path, root: Path) -> Iterator[int]:
    """Yield the quotas of a process's control groups, which a file lists, and of all groups around them."""
    for folder in memory.control_groups("cpu", process, root):
        with contextlib.suppress(OSError, ValueError, IndexError, ZeroDivisionError):
            yield _quota_of(folder)


def _quota_of(folder: Path) -> int:
    """Return the quota of a control group in cores; OSError or ValueError if there is none."""
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
    """The number of threads of all fits that are running in this process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = threading.Lock()
        self.count = 0


_in_use = _InUse()


@contextmanager
def reserve(wanted: int) -> Iterator[int]:
    """Reserve up to ``wanted`` threads, as many as other running fits leave: fits side by side share the cores."""
    global _in_use
    if _in_use.process != os.getpid():  # after a fork: the parent's fits do not run here
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
    """System calls that ask which core a thread is on, and set the cores that it may use."""

    def __init__(self, library: Any) -> None:
        self.in_use = library.sched_getcpu  # the core of the calling thread
        self._set = library.pthread_setaffinity_np
        self._set.argtypes = ctypes.c_ulong, ctypes.c_size_t, ctypes.c_char_p

    def bind(self, thread: int, usable: set[int], but: set[int]) -> None:
        """Bind a thread to the usable cores without those in ``but``, if any are left."""
        left = usable - but
        if left:
            mask = sum(1 << core for core in left)
            length = max(left) // 64 * 8 + 8
            self._set(thread, length, mask.to_bytes(length, sys.byteorder))  # has no effect if it is not allowed


@functools.cache
def _cores() -> _Cores | None:
    """Return the system calls; None where the core in use is not known, or threads cannot be bound."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return _Cores(ctypes.PyDLL(None))  # these calls are too short to release the interpreter lock
    except (OSError, AttributeError):
        return None


def started(thread: threading.Thread) -> bool:
    """Start a thread; return False if the system has none left, or the interpreter is about to end."""
    try:
        thread.start()
    except RuntimeError as error:
        # Ctrl-C between two of Python's own locks makes it release one that it does not hold.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        return False
    return True


class Helpers:
    """Helper threads that end by themselves when they are told to, and do not keep the interpreter from ending.

    They are used as a context manager, which waits for their end, and then raises the first error of any of them.

    ``threading`` would make the caller wait until each has begun, for a tenth of a millisecond or more, in which
    it can work. Each thread begins on a core of its own, as far as there are any: some systems put a thread that
    wakes up behind another one for milliseconds while other cores are idle. Once it runs, the system may move it.
    """

    def __init__(self) -> None:
        self._count = 0
        self._ended: list[int] = []
        self._bell = _thread.allocate_lock()  # released by each thread that ends, acquired by the one that waits
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
        """Call ``work(number)`` in ``count`` threads, numbered from 1, or in as many as can be started.

        Returns their number. ``beside`` says that the caller works too, and needs the core that it is on.
        """
        cores = _cores()
        if cores is not None:
            self._usable = os.sched_getaffinity(0)
        for number in range(1, count + 1):
            gate = _thread.allocate_lock()
            with gate:  # the thread waits until it is bound
                try:
                    thread = _thread.start_new_thread(self._go, (work, number, gate))
                except RuntimeError:  # no thread is left, or the interpreter is about to end
                    break
                self._count = number
                if beside and cores is not None:
                    cores.bind(thread, self._usable, {cores.in_use()})
        return self._count

    def wait(self, seconds: float = -1.0) -> bool:
        """Wait until a thread has ended, at most that long (-1: without limit); return whether some still work."""
        if len(self._ended) < self._count:
            self._bell.acquire(timeout=seconds)
        return len(self._ended) < self._count

    def _go(self, work: Callable[[int], None], number: int, gate: _thread.LockType) -> None:
        try:
            with gate:
                pass
            self._settle()
            work(number)
        except BaseException as error:  # compiled code does not raise; plain Python may
            self._errors.append(error)
        finally:
            self._ended.append(number)
            with contextlib.suppress(RuntimeError):  # another thread has just released it
                self._bell.release()

    def _settle(self) -> None:
        """Move away from the cores of threads that began before, then allow all cores again."""
        cores = _cores()
        if cores is not None:
            this = _thread.get_ident()
            if cores.in_use() in self._taken:
                cores.bind(this, self._usable, self._taken)
            self._taken.add(cores.in_use())
            cores.bind(this, self._usable, set())


def share(pieces: int, count: int, work: Callable[[int, npt.NDArray[np.int64]], None]) -> None:
    """Call ``work(thread, taken)`` in at most ``count`` threads until all pieces are taken.

    The caller's thread has number 0. ``taken`` (1,) is the number of the next piece; ``work`` increases it by the
    pieces that it takes.
    """
    taken = np.zeros(1, np.int64)

    def go(thread: int) -> None:
        try:
            while taken[0] < pieces:
                work(thread, taken)
        finally:
            taken[0] = pieces  # after an exception no thread begins another piece

    with reserve(min(count, pieces)) as granted, Helpers() as helpers:
        helpers.start(granted - 1, go)
        go(0)
