"""``fastnn warmup``: compile now what would be compiled at the first use."""

from __future__ import annotations

import argparse
import time

from fastnn.cli.options import Commands, dtypes, formatter
from fastnn.cli.words import duration

EXAMPLES = """\
examples:
  fastnn warmup
  fastnn warmup --dtype float32

Compiled code is kept on disk, for this version of fastnn, of Numba and of Python, and
for this kind of processor. The folder can be chosen with NUMBA_CACHE_DIR.
"""

SECONDS_OF_LOADING = 1.0  # at most; what took longer was compiled


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "warmup",
        help="compile ahead",
        description="Compiles training and prediction ahead, so that the first use does not wait for it.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--dtype", metavar="NAME", help="float64 or float32 (both)")


def run(options: argparse.Namespace) -> int:
    """Compile or load; the exit status."""
    import numba

    import fastnn

    nets = [fastnn.mlp([1, 1], dtype=dtype) for dtype in dtypes(options.dtype)]
    if numba.config.DISABLE_JIT:
        print("Nothing to do: NUMBA_DISABLE_JIT is set, so nothing is compiled.")
        return 0
    compiled = 0
    for net in nets:
        training = net.fit([[0.0]], [0.0]).compile_seconds
        start = time.perf_counter()
        net.predict([[0.0]])
        prediction = time.perf_counter() - start
        for what, seconds in (("training", training), ("prediction", prediction)):
            how = "compiled" if seconds > SECONDS_OF_LOADING else "ready"
            compiled += how == "compiled"
            print(f"{what:10}  {net.dtype}  {how:8}  {duration(seconds):>7}", flush=True)
    if compiled:
        print("What was compiled is kept on disk; from now on it is only loaded.")
    return 0
