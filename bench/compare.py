"""Measure: ``python -m bench.compare`` answers all questions in half an hour and writes bench/results."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import (
    accuracy,
    circle,
    digits,
    exponential,
    grid,
    large,
    latency,
    lbfgs,
    machine,
    many,
    overhead,
    peak,
    sizes,
    start,
    stochastic,
    store,
    threads,
)
from bench.interleave import ROUNDS
from bench.problems import DENSITIES, NETWORKS, Problem

Rows = list[dict[str, Any]]
DTYPES = ("float64", "float32")
GRID_ROUNDS = 3  # of its many cells each has a third of the rounds
OF_REAL_DATA = ("digits", "overhead", "lbfgs", "accuracy")  # scikit-learn has it


def _density(question: str, options: argparse.Namespace) -> Rows:
    rows: Rows = []
    for network in NETWORKS:
        for density in DENSITIES:
            problem = Problem(question, network, density)
            if problem.name in options.networks and density in options.densities:
                found = circle.measure(problem, options.rounds)
                _say(found, f"{question} {problem.name} density {density}", "library", "dtype", "layout")
                rows += found
    return rows


def _grid(options: argparse.Namespace) -> Rows:
    rows: Rows = []
    for problem, dtype in grid.cells():
        found = grid.measure(problem, dtype, max(1, options.rounds // GRID_ROUNDS))
        title = f"grid {problem.name}, {problem.samples} samples, batch {problem.batch or 'full'}, {dtype}"
        _say(found, title, "library", "layout")
        rows += found
    return rows


def _exponential(options: argparse.Namespace) -> Rows:
    rows = exponential.measure(options.rounds)
    _say(rows, "exponential", "library", "dtype", "layout")
    return rows


def _threads(options: argparse.Namespace) -> Rows:
    rows = [row for dtype in DTYPES for row in threads.measure(dtype, options.rounds)]
    _say(rows, "threads", "network", "density", "dtype")
    return rows


def _sweep(options: argparse.Namespace) -> Rows:
    rows = [row for dtype in DTYPES for row in threads.sweep(options.rounds, dtype)]
    _say(rows, "sweep", "network", "density", "batch", "dtype")
    return rows


def _sizes(options: argparse.Namespace) -> Rows:
    rows = []
    for dtype in DTYPES:
        rows += sizes.measure(dtype, options.rounds)
        if sizes.memory_known():
            rows.append({"density": sizes.DENSEST, "dtype": dtype, **sizes.memory(dtype)})
    _say(rows, "sizes", "dtype", "density")
    return rows


def _large(options: argparse.Namespace) -> Rows:
    rows = [row for dtype in DTYPES for row in large.measure(dtype, options.rounds)]
    _say(rows, "large", "density", "dtype", "way")
    return rows


def _peak(options: argparse.Namespace) -> Rows:
    rows = [row for dtype in DTYPES for row in peak.measure(dtype, options.rounds)]
    _say(rows, "peak", "dtype", "what")
    return rows


def _start(options: argparse.Namespace) -> Rows:
    rows = start.measure(options.rounds)
    _say(rows, "start", "what")
    return rows


def _digits(options: argparse.Namespace) -> Rows:
    rows = digits.measure(options.rounds)
    _say(rows, "digits", "library", "dtype", "layout")
    return rows


def _overhead(options: argparse.Namespace) -> Rows:
    rows = [row for dtype in DTYPES for row in overhead.measure(dtype, options.rounds)]
    _say(rows, "overhead", "batches", "dtype", "way")
    return rows


def _latency(options: argparse.Namespace) -> Rows:
    rows = [row for dtype in DTYPES for row in latency.measure_all(dtype, options.rounds)]
    _say(rows, "latency", "what", "network", "library", "dtype", "layout")
    return rows


def _lbfgs(options: argparse.Namespace) -> Rows:
    rows = [row for task in lbfgs.TASKS.values() for row in lbfgs.measure(task(), options.rounds)]
    _say(rows, "lbfgs", "task", "start")
    return rows


def _many(options: argparse.Namespace) -> Rows:
    rows = [row for dtype in DTYPES for row in many.measure(dtype, options.rounds)]
    _say(rows, "many", "who", "dtype", "layout")
    return rows


def _accuracy(options: argparse.Namespace) -> Rows:
    rows = accuracy.measure()
    _say(rows, "accuracy", "library", "dtype", "seed")
    return rows


def _stochastic(options: argparse.Namespace) -> Rows:
    rows = [
        row
        for network in stochastic.NETWORKS
        for dtype in DTYPES
        for row in stochastic.measure(network, dtype, options.rounds)
    ]
    _say(rows, "stochastic", "network", "dtype", "library", "layout")
    return rows


QUESTIONS: dict[str, Callable[[argparse.Namespace], Rows]] = {
    "circle": partial(_density, "circle"),
    "regression": partial(_density, "regression"),
    "grid": _grid,
    "exponential": _exponential,
    "threads": _threads,
    "sweep": _sweep,
    "peak": _peak,
    "sizes": _sizes,
    "large": _large,
    "digits": _digits,
    "overhead": _overhead,
    "lbfgs": _lbfgs,
    "stochastic": _stochastic,
    "accuracy": _accuracy,
    "latency": _latency,
    "many": _many,
    "start": _start,
}


def _say(rows: Rows, title: str, *names: str) -> None:
    """Print rows as they come."""
    print(title)
    for row in rows:
        name = " ".join(str(row[key]) for key in names)
        numbers = {key: value for key, value in row.items() if isinstance(value, float)}
        print(f"  {name:28}", *(f"{key} {value:,.4g}" for key, value in numbers.items()), flush=True)


def main() -> None:
    """Read the command line and measure."""
    names = ["-".join(map(str, network)) for network in NETWORKS]
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("questions", nargs="*", help=f"some of {', '.join(QUESTIONS)}; all without any")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each subject has its turn")
    parser.add_argument("--densities", type=int, nargs="+", default=DENSITIES, help="only these; saves nothing")
    parser.add_argument("--networks", nargs="+", default=names, help="only these; saves nothing")
    parser.add_argument("--output", type=Path, default=store.path_of_today(), help="default: %(default)s")
    options = parser.parse_args()
    unknown = [name for name in options.questions if name not in QUESTIONS]
    if unknown:
        parser.error(f"there is no question {unknown[0]!r}; there are {', '.join(QUESTIONS)}")
    whole = tuple(options.densities) == DENSITIES and options.networks == names
    for question in options.questions or QUESTIONS:
        if question in OF_REAL_DATA and not find_spec("sklearn"):
            print(f"{question}: left out, for its data scikit-learn is needed", file=sys.stderr)
            continue
        began, load = time.perf_counter(), machine.Load()
        rows = QUESTIONS[question](options)
        seconds, others = time.perf_counter() - began, round(load.of_others, 3)
        print(f"{question}: {seconds:.0f} s, {others:.0%} of the machine went to others", file=sys.stderr)
        if whole:
            store.add(options.output, question, rows, rounds=options.rounds, others=others)
    print(f"written: {options.output}" if whole else "only a part was measured: nothing is written")


if __name__ == "__main__":
    main()
