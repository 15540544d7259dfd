"""Entry functions, which are compiled as a whole and called from Python, and their cache on disk."""

from __future__ import annotations

import functools
import gc
import hashlib
import importlib
import os
import pickle
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import event

from fastnn import kernels
from fastnn.kernels import calls, job, loop, many, random, rows, short_pass, team
from fastnn.kernels.jit import FLAGS
from fastnn.kernels.simd import at_address, pointer
from fastnn.threads import started

# Loading from the cache takes less time, compiling takes more.
SECONDS_BEFORE_NOTICE = 1.0
# Numba's message after Ctrl-C in a function that LLVM calls, which cannot pass exceptions on.
LOST_INTERRUPT = "no compiled object yet"
SECONDS_BEFORE_FORK = 60.0  # how long a fork waits for another thread's compilation at most


def _training_loop(sources: str) -> Callable[..., None]:
    def train(table: Any, control: Any, scratch: Any, memory: Any, thread: int, budget: int) -> None:
        _ = sources
        row, own = pointer(table), pointer(scratch)
        shared = pointer(memory[0]), pointer(memory[1]), pointer(memory[2]), pointer(memory[3])
        if thread == many.OF_ITSELF:
            many.train(row, pointer(control), own, shared)
            return
        work, crew = job.job_of(row, own), job.crew_of(row, shared)
        if thread == 0:
            team.enter(crew.board)
            loop.run(work, crew, budget)
            team.leave(crew.board)
        else:
            loop.assist(work, crew, thread)

    return train


def _prediction(sources: str) -> Callable[..., None]:
    def predict(
        plan: Any,
        numbers: Any,
        parameters: Any,
        inputs: Any,
        outputs: Any,
        scratch: Any,
        taken: Any,
        flaw: Any,
        most: int,
    ) -> None:
        _ = sources
        rows.predict(
            pointer(plan),
            pointer(numbers),
            pointer(parameters),
            pointer(inputs),
            pointer(outputs),
            pointer(scratch),
            pointer(taken),
            pointer(flaw),
            most,
        )

    return predict


def _row(sources: str) -> Callable[..., bool]:
    def row(table: int, which: int, x: Any, out: Any, refused: bool) -> bool:
        _ = sources
        if refused:
            for i in range(x.shape[1]):
                if not np.isfinite(x[0, i]):
                    return False
        found = at_address(table, np.int64)
        calls.row(found[which], found, pointer(x), pointer(out))
        return True

    return row


def _jacobian(sources: str) -> Callable[..., None]:
    def jacobian(
        plan: Any,
        numbers: Any,
        parameters: Any,
        inputs: Any,
        out: Any,
        scratch: Any,
        work: Any,
        outputs: Any,
        taken: Any,
        most: int,
    ) -> None:
        _ = sources
        rows.jacobian(
            pointer(plan),
            pointer(numbers),
            pointer(parameters),
            pointer(inputs),
            pointer(out),
            pointer(scratch),
            (pointer(work[0]), pointer(work[1]), pointer(work[2])),
            outputs,
            pointer(taken),
            most,
        )

    return jacobian


def _loss_and_gradient(sources: str) -> Callable[..., float]:
    def loss_and_gradient(table: int, gradient: Any, count: int, divisor: float) -> float:
        _ = sources
        found = at_address(table, np.int64)
        return short_pass.loss_and_gradient(found, pointer(gradient), count, divisor)

    return loss_and_gradient


def _permutation(sources: str) -> Callable[..., None]:
    def permute(order: Any, seed: int, stream: int) -> None:
        _ = sources
        random.shuffle(pointer(order), random.key(seed, stream), len(order), len(order))

    return permute


def _measurement(sources: str) -> Callable[..., None]:
    def measure(
        address: int,
        predictions: Any,
        targets: Any,
        weights: Any,
        n: int,
        outputs: int,
        settings: Any,
        work: Any,
        out: Any,
    ) -> None:
        _ = sources
        calls.metric(
            address,
            pointer(predictions),
            pointer(targets),
            pointer(weights),
            n,
            outputs,
            pointer(settings),
            pointer(work),
            pointer(out),
        )

    return measure


@functools.cache
def digest_of_sources() -> str:
    """Return a digest of the kernels' sources.

    Numba's cache looks at the file of the entry function only. The digest is a closure variable of the entry
    functions, and thereby part of the cache's key: after an edit in any kernel they are compiled anew.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(kernels.__path__[0]).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _Preparations:
    """The state of compilations in a process: only one thread at a time may compile."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.under_way = False
        self.collected = False  # whether garbage collection was enabled before

    def pause_collection(self) -> None:
        """Disable garbage collection: it took a tenth of the compiler's time, whose many objects stay in use."""
        self.collected = gc.isenabled()
        gc.disable()

    def resume_collection(self) -> None:
        """Enable garbage collection again if it was enabled before."""
        if self.collected:
            self.collected = False
            gc.enable()


_preparations = _Preparations()
_spent = threading.local()
_forking = threading.local()


def _wait_for_others() -> None:
    """Before a fork, wait for threads that compile: the child could never release their Numba locks."""
    _forking.has_lock = _preparations.lock.acquire(timeout=SECONDS_BEFORE_FORK)


def _go_on() -> None:
    """After a fork, release the lock in the parent."""
    if getattr(_forking, "has_lock", False):  # the fork may have begun before this was registered
        _preparations.lock.release()


def _begin_anew() -> None:
    """After a fork, start with a new state in the child."""
    global _preparations
    _preparations.resume_collection()
    _preparations = _Preparations()


@functools.cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_wait_for_others, after_in_parent=_go_on, after_in_child=_begin_anew)


def seconds_spent() -> float:
    """Return the seconds that this thread has spent on compiling and loading compiled code."""
    return getattr(_spent, "seconds", 0.0)


class _Notice(event.Listener):  # type: ignore[misc]
    """Says on stderr what is being compiled, once, if it takes long; loading from disk does not count."""

    def __init__(self, message: str) -> None:
        self._message: str | None = message
        self._compiling = self._late = False
        self._timer = threading.Timer(SECONDS_BEFORE_NOTICE, self._time_is_up)
        self._timer.daemon = True
        started(self._timer)  # if the system has no thread left, there is no notice

    def on_start(self, event: Any) -> None:
        """Note that a compilation begins."""
        self._compiling = True
        self._say()

    def on_end(self, event: Any) -> None:
        """Do nothing when a compilation ends."""

    def _time_is_up(self) -> None:
        self._late = True
        self._say()

    def _say(self) -> None:
        if self._compiling and self._late and self._message is not None:
            message, self._message = self._message, None
            progress = importlib.import_module("fastnn.progress")  # few programs compile for long
            progress.notify(message)

    def stop(self) -> None:
        """Cancel the notice if it has not been shown."""
        self._message = None
        self._timer.cancel()


@contextmanager
def preparing(what: str, dtype: np.dtype[Any], usual: str) -> Iterator[None]:
    """Let one thread compile at a time, and if that takes long, say on stderr what is going on."""
    _watch_forks()
    mine = _preparations
    start = time.perf_counter()
    with mine.lock:
        if mine.under_way:  # one notice is enough
            yield
            return
        notice = _Notice(
            f"fastnn: compiling {what} for {dtype}; "
            f"this takes {usual}, once on this machine (the result is kept on disk)"
        )
        try:
            mine.under_way = True
            mine.pause_collection()
            with event.install_listener("numba:compile", notice):
                yield
        finally:
            mine.resume_collection()
            mine.under_way = False
            notice.stop()
            _spent.seconds = seconds_spent() + time.perf_counter() - start


def kept_on_disk(make: Callable[..., Any]) -> Any:
    """Return ``make(cache=True)``; if the cache cannot be written or read, warn and return ``make()``."""
    try:
        return make(cache=True)
    except (EOFError, pickle.UnpicklingError) as error:
        _warn_of_no_cache(f"what is there is damaged: {error}; fastnn warmup says where it is, to be deleted")
        return make()
    except (RuntimeError, OSError) as error:  # "cannot cache function"; the folder is full, or no longer writable
        if str(error).startswith(LOST_INTERRUPT):
            raise KeyboardInterrupt from None
        _warn_of_no_cache(str(error))
        return make()


_warned = False


def _warn_of_no_cache(reason: str) -> None:
    """Warn that compiled code is not cached, once in a process."""
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"fastnn cannot keep compiled code on disk ({reason}) and will compile in each process; "
            "NUMBA_CACHE_DIR names a folder to use",
            RuntimeWarning,
            stacklevel=2,
        )


class EntryFunction:
    """A function that is compiled once for each dtype, at its first use, and kept on disk."""

    def __init__(self, make: Callable[[str], Callable[..., Any]], what: str, usual: str) -> None:
        self._make = make
        self._what = what
        self._usual = usual  # the usual time to compile it
        self._ready: set[np.dtype[Any]] = set()

    @functools.cached_property
    def _function(self) -> Any:
        return self._compiler(cache=True)

    def _compiler(self, **cache: bool) -> Any:
        return numba.njit(**cache, **FLAGS)(self._make(digest_of_sources()))

    def prepare(self, dtype: np.dtype[Any], *arguments: Any) -> None:
        """Compile for arguments of these types, or load the compiled code from disk."""
        if dtype in self._ready or numba.config.DISABLE_JIT:
            return
        with preparing(self._what, dtype, self._usual):
            signature = tuple(numba.typeof(argument) for argument in arguments)

            def compiled(**cache: bool) -> Any:
                function = self._function if cache else self._compiler()
                function.compile(signature)
                return function

            made = kept_on_disk(compiled)
            if made is not vars(self).get("_function"):  # a new one without a cache, compiled for this dtype only
                self._ready.clear()
            self._function = made
            self._ready.add(dtype)

    def folder(self) -> str:
        """Return the folder of its compiled code; OSError if no folder can be written to."""
        try:
            return str(self._function.stats.cache_path)
        except RuntimeError as error:
            raise OSError(
                f"compiled code cannot be kept on disk ({error}); NUMBA_CACHE_DIR names a folder"
            ) from None

    @property
    def specialisations(self) -> int:
        """The number of argument types for which there is machine code in this process."""
        return len(self._function.signatures)

    @property
    def direct(self) -> Callable[..., Any]:
        """The compiled function itself, once prepared; calling it saves about a tenth of a microsecond."""
        if numba.config.DISABLE_JIT:
            return self
        function: Callable[..., Any] = self._function
        return function

    def __call__(self, *arguments: Any) -> Any:
        """Run the function; which arguments it overwrites depends on how it was made."""
        if numba.config.DISABLE_JIT:
            with np.errstate(all="ignore"):  # compiled code does not warn either
                return self._function(*arguments)
        return self._function(*arguments)


train = EntryFunction(_training_loop, "the training loop", "3 to 10 s")
predict = EntryFunction(_prediction, "the prediction", "1 to 3 s")
row = EntryFunction(_row, "the prediction of one row", "1 to 3 s")
jacobian = EntryFunction(_jacobian, "the derivatives by the inputs", "1 to 3 s")
loss_and_gradient = EntryFunction(_loss_and_gradient, "the loss and its gradient", "2 to 5 s")
permute = EntryFunction(_permutation, "the split", "1 to 3 s")
measure = EntryFunction(_measurement, "the metrics", "1 to 3 s")
