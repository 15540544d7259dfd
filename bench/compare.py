"""Measure: ``python -m bench.compare`` answers all questions in half an hour and writes bench/results."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
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
from bench.subjects import DTYPES

Rows = list[dict[str, Any]]
# In parts, each with what its title is to say beside the question; the rows of a part are printed as they come.
Answer = Callable[[argparse.Namespace], Iterable[tuple[str, Rows]]]
GRID_ROUNDS = 3  # of its many cells each has a third of the rounds
OF_REAL_DATA = ("digits", "overhead", "lbfgs", "accuracy")  # scikit-learn has it


def _at_once(measure: Callable[[int], Rows]) -> Answer:
    """What is measured in so many rounds."""
    return lambda options: [("", measure(options.rounds))]


def _by_dtype(measure: Callable[[str, int], Rows]) -> Answer:
    """What is measured of one dtype and then of the other."""
    return _at_once(lambda rounds: [row for dtype in DTYPES for row in measure(dtype, rounds)])


def _by_density(question: str) -> Answer:
    def parts(options: argparse.Namespace) -> Iterator[tuple[str, Rows]]:
        for network in NETWORKS:
            for density in DENSITIES:
                problem = Problem(question, network, density)
                if problem.name in options.networks and density in options.densities:
                    yield f"{problem.name} density {density}", circle.measure(problem, options.rounds)

    return parts


def _grid(options: argparse.Namespace) -> Iterator[tuple[str, Rows]]:
    for problem, dtype in grid.cells():
        title = f"{problem.name}, {problem.samples} samples, batch {problem.batch or 'full'}, {dtype}"
        yield title, grid.measure(problem, dtype, max(1, options.rounds // GRID_ROUNDS))


def _sizes(dtype: str, rounds: int) -> Rows:
    rows = sizes.measure(dtype, rounds)
    if sizes.memory_known():
        rows.append({"density": sizes.DENSEST, "dtype": dtype, **sizes.memory(dtype)})
    return rows


def _lbfgs(rounds: int) -> Rows:
    return [row for task in lbfgs.TASKS.values() for row in lbfgs.measure(task(), rounds)]


def _stochastic(rounds: int) -> Rows:
    return [
        row
        for network in stochastic.NETWORKS
        for dtype in DTYPES
        for row in stochastic.measure(network, dtype, rounds)
    ]


# How each is answered, and what names its rows where they are printed.
QUESTIONS: dict[str, tuple[Answer, str]] = {
    "circle": (_by_density("circle"), "library dtype layout"),
    "regression": (_by_density("regression"), "library dtype layout"),
    "grid": (_grid, "library layout"),
    "exponential": (_at_once(exponential.measure), "library dtype layout"),
    "threads": (_by_dtype(threads.measure), "network density dtype"),
    "sweep": (_by_dtype(threads.sweep), "network density batch dtype"),
    "peak": (_by_dtype(peak.measure), "dtype what"),
    "sizes": (_by_dtype(_sizes), "dtype density"),
    "large": (_by_dtype(large.measure), "density dtype way"),
    "digits": (_at_once(digits.measure), "library dtype layout"),
    "overhead": (_by_dtype(overhead.measure), "batches dtype way"),
    "lbfgs": (_at_once(_lbfgs), "task start"),
    "stochastic": (_at_once(_stochastic), "network dtype library layout"),
    "accuracy": (_at_once(lambda rounds: accuracy.measure()), "library dtype seed"),
    "latency": (_by_dtype(latency.measure_all), "what network library dtype layout"),
    "many": (_by_dtype(many.measure), "who dtype layout"),
    "start": (_at_once(start.measure), "what"),
}


def _answer(question: str, options: argparse.Namespace) -> Rows:
    """All rows, each part of which is printed as it comes."""
    answer, names = QUESTIONS[question]
    rows: Rows = []
    for title, found in answer(options):
        print(f"{question} {title}".rstrip())
        for row in found:
            name = " ".join(str(row[key]) for key in names.split())
            numbers = {key: value for key, value in row.items() if isinstance(value, float)}
            print(f"  {name:28}", *(f"{key} {value:,.4g}" for key, value in numbers.items()), flush=True)
        rows += found
    return rows


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
        rows = _answer(question, options)
        seconds, others = time.perf_counter() - began, round(load.of_others, 3)
        print(f"{question}: {seconds:.0f} s, {others:.0%} of the machine went to others", file=sys.stderr)
        if whole:
            store.add(options.output, question, rows, rounds=options.rounds, others=others)
    print(f"written: {options.output}" if whole else "only a part was measured: nothing is written")


if __name__ == "__main__":
    main()
