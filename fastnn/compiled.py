"""The functions that are compiled as a whole and called from Python, and their cache on disk."""

from __future__ import annotations

import functools
import hashlib
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np

from fastnn import kernels
from fastnn.kernels import loop, rows
from fastnn.kernels.jit import FLAGS
from fastnn.kernels.simd import pointer

# A load from the cache is over by then, a compilation is not.
SECONDS_BEFORE_NOTICE = 1.0


def _training_loop(sources: str) -> Callable[..., None]:
    def train(
        plan: Any,
        numbers: Any,
        data: Any,
        order: Any,
        vectors: Any,
        scratch: Any,
        records: Any,
        cursor: Any,
        budget: int,
    ) -> None:
        _ = sources
        inputs, targets, weights = data
        parameters, gradient, previous, velocity = vectors
        loop.run(
            pointer(plan),
            pointer(numbers),
            (pointer(inputs), pointer(targets), pointer(weights)),
            pointer(order),
            (pointer(parameters), pointer(gradient), pointer(previous), pointer(velocity)),
            pointer(scratch),
            pointer(records[0]),
            pointer(records[1]),
            pointer(cursor),
            budget,
        )

    return train


def _prediction(sources: str) -> Callable[..., None]:
    def predict(
        plan: Any, parameters: Any, inputs: Any, outputs: Any, scratch: Any, first: int, count: int
    ) -> None:
        _ = sources
        rows.predict(
            pointer(plan),
            pointer(parameters),
            pointer(inputs),
            pointer(outputs),
            pointer(scratch),
            first,
            count,
        )

    return predict


@functools.cache
def _digest_of_sources() -> str:
    """A digest of the kernels' sources.

    Numba's cache looks at the file of the entry function only. The digest is a closure variable of the entry
    functions, which is part of the cache's key: after an edit in any kernel they are compiled anew.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(kernels.__path__[0]).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class EntryFunction:
    """A function that is compiled once for each dtype, at its first use, and kept on disk."""

    def __init__(self, make: Callable[[str], Callable[..., None]], what: str) -> None:
        self._make = make
        self._what = what
        self._ready: set[np.dtype[Any]] = set()
        self._lock = threading.RLock()

    @functools.cached_property
    def _function(self) -> Any:
        function = self._make(_digest_of_sources())
        try:
            return numba.njit(cache=True, **FLAGS)(function)
        except RuntimeError as error:  # "cannot cache function": no folder that can be written to
            return self._without_cache(error)

    def _without_cache(self, error: Exception) -> Any:
        warnings.warn(
            f"fastnn cannot keep compiled code on disk ({error}) and will compile in each process; "
            "NUMBA_CACHE_DIR names a folder to use",
            RuntimeWarning,
            stacklevel=2,
        )
        return numba.njit(**FLAGS)(self._make(_digest_of_sources()))

    def prepare(self, dtype: np.dtype[Any], *arguments: Any) -> float:
        """Compile for arguments like these, or load what is on disk; the seconds it took."""
        if dtype in self._ready or numba.config.DISABLE_JIT:
            return 0.0
        start = time.perf_counter()
        with self._lock:
            signature = tuple(numba.typeof(argument) for argument in arguments)
            with self._notice(dtype):
                try:
                    self._function.compile(signature)
                except OSError as error:  # the folder is full, or not ours any more
                    self._function = self._without_cache(error)
                    self._function.compile(signature)
            self._ready.add(dtype)
        return time.perf_counter() - start

    @contextmanager
    def _notice(self, dtype: np.dtype[Any]) -> Iterator[None]:
        """Say on stderr what is going on, if it takes long."""
        message = (
            f"fastnn: compiling {self._what} for {dtype}; "
            "this takes 5 to 10 s, once on this machine (the result is kept on disk)"
        )
        timer = threading.Timer(SECONDS_BEFORE_NOTICE, lambda: print(message, file=sys.stderr, flush=True))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @property
    def specialisations(self) -> int:
        """For how many kinds of arguments there is machine code in this process."""
        return len(self._function.signatures)

    def __call__(self, *arguments: Any) -> None:
        """Run it; what it overwrites is said where it is made."""
        if numba.config.DISABLE_JIT:
            with np.errstate(all="ignore"):  # compiled code does not warn either
                self._function(*arguments)
        else:
            self._function(*arguments)


train = EntryFunction(_training_loop, "the training loop")
predict = EntryFunction(_prediction, "the prediction")
