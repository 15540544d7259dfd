"""``fastnn validate``: compares fastnn with plain Python on this machine."""

from __future__ import annotations

import argparse
import time

from fastnn.cli.options import Commands, formatter
from fastnn.cli.words import duration

EXAMPLES = """\
examples:
  fastnn validate

A line for each configuration: hidden layers > outputs, loss, and what else it is
about. Then the largest relative deviation from the reference, and its bound: of the
loss of every epoch and the final parameters of a whole run, and of the loss and the
gradient of a single step.
"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "validate",
        help="check the numbers against plain Python",
        description="Trains small networks of all kinds with fastnn and with its reference in plain Python, from "
        "the same start, and compares. The exit status is 1 if any is too far off.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compare all configurations, and return the exit status."""
    from fastnn.validation import CASES, compare

    start = time.perf_counter()
    broken, dtype = 0, ""
    width = max(len(case.name) for case in CASES) + 2
    for case in CASES:
        if case.dtype != dtype:
            dtype = case.dtype
            print(f"{dtype:{width + 2}}{'whole run':17}single step")
        deviation = compare(case)
        run_ = _beside(deviation.run, deviation.bound_of_run)
        step = _beside(deviation.step, deviation.bound_of_step)
        print(f"  {case.name:{width}}{run_}  {step}{'' if deviation.within else '  BROKEN'}", flush=True)
        broken += not deviation.within
    seconds = duration(time.perf_counter() - start)
    if broken:
        print(f"\n{broken} of {len(CASES)} configurations are too far from plain Python ({seconds}).")
        return 1
    print(f"\nAll {len(CASES)} configurations agree with plain Python ({seconds}).")
    return 0


def _beside(deviation: float, bound: float) -> str:
    """Return a deviation with its bound, like "1.2e-15 < 1e-09"."""
    return f"{deviation:7.1e} {'<' if deviation <= bound else '>'} {bound:5.0e}"
