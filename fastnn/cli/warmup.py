"""``fastnn warmup``: compiles in advance what would be compiled at the first use."""

from __future__ import annotations

import argparse
import io
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from multiprocessing import active_children, get_context

from fastnn.cli.options import Commands, formatter
from fastnn.cli.words import duration

EXAMPLES = """\
examples:
  fastnn warmup
  fastnn warmup --dtype float32

Compiled code is kept on disk, for this version of fastnn, of Numba and of Python, and
for this kind of processor. The folder can be chosen with NUMBA_CACHE_DIR.
"""

DTYPES = ("float64", "float32")
LOOPS, PARTS = "training and prediction", "common parts"  # the longer first, so that it does not finish last

# The parts of most networks; all others are compiled when they are first used.
COMMON_ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "softmax")
COMMON_LOSSES = ("mse", "half_sse", "cross_entropy", "binary_cross_entropy")
COMMON_OPTIMIZERS = ("sgd", "adam")
COMMON_METRICS = ("accuracy", "mae", "r2")


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "warmup",
        help="compile ahead",
        description="Compiles training, prediction, derivatives and all their common parts ahead, so that the "
        "first use does not wait for it. What is on disk already is left as it is.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--dtype", metavar="NAME", default="all", help="float64, float32 or all (default: all)")


@dataclass(frozen=True)
class Done:
    """The result of one piece of the work."""

    kind: str
    dtype: str
    seconds: float
    compiled: int  # the number of functions; 0 if all were on disk
    warning: str  # "" if there was none


def run(options: argparse.Namespace) -> int:
    """Compile or load, and return the exit status."""
    import numba

    from fastnn import compiled, threads

    if options.dtype not in (*DTYPES, "all"):
        raise ValueError(f"dtype is {options.dtype!r}; float64, float32 and all are known")
    if numba.config.DISABLE_JIT:
        print("Nothing to do: NUMBA_DISABLE_JIT is set, so nothing is compiled.")
        return 0
    folder = compiled.train.folder()
    wanted = [(kind, dtype) for kind in (LOOPS, PARTS) for dtype in DTYPES if options.dtype in (dtype, "all")]
    start = time.perf_counter()
    found = _all(wanted, min(threads.allowed(), len(wanted)))
    seconds = time.perf_counter() - start
    for message in dict.fromkeys(done.warning for done in found if done.warning):
        print(f"fastnn: {message}", file=sys.stderr)
    number = sum(done.compiled for done in found)
    how = "compiled" if number else "was ready; checked"
    print(f"All {how} in {duration(seconds)}; it is kept in {folder}")
    return 0


def _all(wanted: list[tuple[str, str]], processes: int) -> list[Done]:
    """Compile all in several processes, since each can use one thread only; print a line for each result."""
    found = []
    others = active_children()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            with _ctrl_c_held_back():
                futures = [pool.submit(prepare, kind, dtype) for kind, dtype in wanted]
            for future in as_completed(futures):
                done = future.result()
                found.append(done)
                how = "compiled" if done.compiled else "ready"
                of_all = f"{len(found)} of {len(wanted)}"
                print(f"{of_all}  {done.kind:27}  {done.dtype}  {how:8}  {duration(done.seconds):>7}", flush=True)
        except BrokenProcessPool:
            raise OSError("a process that compiled was ended from outside; was there too little memory?") from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                if process not in others:
                    process.terminate()  # otherwise it would first compile to the end
            raise
    return found


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Block Ctrl-C meanwhile; processes that are started here stay deaf to it, and this process ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare(kind: str, dtype: str) -> Done:
    """Compile or load everything of one kind, in a process of its own."""
    from numba.core import event

    start = time.perf_counter()
    # Notices about compiling are not needed here; warnings are printed at the end.
    with (
        redirect_stderr(io.StringIO()),
        warnings.catch_warnings(record=True) as caught,
        event.install_recorder("numba:compile") as recorder,
    ):
        warnings.simplefilter("always", RuntimeWarning)
        (_prepare_loops if kind == LOOPS else _prepare_parts)(dtype)
    warned = [str(one.message) for one in caught if issubclass(one.category, RuntimeWarning)]
    return Done(kind, dtype, time.perf_counter() - start, len(recorder.buffer) // 2, "; ".join(warned[:1]))


def _prepare_loops(dtype: str) -> None:
    import fastnn

    net = fastnn.mlp([1, 1], dtype=dtype)
    net.fit([[0.0], [1.0]], [0.0, 1.0], validation_split=0.5)
    net.predict([[0.0]])
    net.predict([[0.0], [1.0]])
    net.evaluate([[0.0], [1.0]], [0.0, 1.0])
    net.jacobian([[0.0]])


def _prepare_parts(dtype: str) -> None:
    import numpy as np

    from fastnn import parts
    from fastnn.activations import ACTIVATIONS
    from fastnn.kernels import metrics, stochastic, wide
    from fastnn.loss_kinds import LOSSES
    from fastnn.metrics import METRICS
    from fastnn.optimizers import OPTIMIZERS

    numbers = np.dtype(dtype)
    for name in COMMON_ACTIVATIONS:
        ACTIVATIONS[name].address(numbers)
    for name in COMMON_LOSSES:
        for formula in LOSSES[name].formulas.values():
            parts.address_of(formula.pattern, formula.kernel, numbers)
    for pattern, kernel in (
        (parts.wide_layer, wide.forward),
        (parts.wide_layer, wide.backward_inputs),
        (parts.wide_gradient, wide.backward_weights),
        (parts.descent, stochastic.row_by_row),
    ):
        parts.address_of(pattern, kernel, numbers)
    for name in COMMON_OPTIMIZERS:
        parts.address_of(parts.optimizer, OPTIMIZERS[name].kernel, numbers)
    for name in COMMON_METRICS:
        parts.address_of(parts.metric, getattr(metrics, METRICS[name].kernel), numbers)
