"""What the project wants of its speed, beside what was measured. Missed ones are shown like the others."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bench import threads
from bench.large import SMALL
from bench.many import ON_ONE, VMAP
from bench.start import FIRST_TIME, FIT_NAME
from bench.store import Results
from bench.tables import (
    ORDER,
    Row,
    accuracies,
    best_layouts,
    best_of_many,
    number,
    quoted,
    rows_of,
    sizes_in_words,
    table,
)

OVER_DIGITS = {("scikit-learn", "float64"): 6.0, ("PyTorch", "float32"): 15.0, ("JAX", "float32"): 1.8}
OVER_NUMBA = {"import fastnn": 0.1, "fastnn train circle": 0.7, FIT_NAME: 0.8}
FIRST = {"fastnn train circle": 8.0, FIT_NAME: 10.0}
OVER_JAX = {"2-16-16-1": 2.0, "2-64-64-1": 1.1}
# Of [2, 4, 1], from that density on.
OVER_REFERENCE = {"float64": {10: 1500.0, 30: 3000.0}, "float32": {100: 8000.0}}
SMALL_OVER_JAX = {10: 4.0, 100: 8.0}
SMALL_OVER_TORCH = {10: 80.0, 300: 15.0}  # at these alone
OVER_STOCHASTIC = {
    ("2-4-1", "JAX", "float32"): 1.0,
    ("2-4-1", "FANN", "float32"): 1.2,
    ("64-64-10", "PyTorch", "float64"): 20.0,
    ("64-64-10", "PyTorch", "float32"): 20.0,
}
MOST_US = {
    ("one row", "2-4-1"): 3.0,
    ("one row", "64-64-64-10"): 8.0,
    ("one row in @njit", "2-4-1"): 0.2,
    ("one row in @njit", "64-64-64-10"): 2.0,
    ("loss and gradient", "24-8-2"): 6.0,
}


class Promise(NamedTuple):
    """A figure and its bound."""

    what: str
    found: float
    bound: float
    at_least: bool = True

    @property
    def held(self) -> bool:
        """Whether it is so."""
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    def line(self) -> list[str]:
        """For a table."""
        wanted = f"{'at least' if self.at_least else 'at most'} {number(self.bound)}"
        found = number(self.found)
        if found == number(self.bound):  # the digits that tell whether it is held
            found = f"{self.found:.4g}"
        return [self.what, wanted, found, "held" if self.held else "**missed**"]


def _from(bounds: Mapping[int, float], density: int) -> float | None:
    """The bound of the greatest density that is not greater."""
    return bounds[max(reached)] if (reached := [least for least in bounds if least <= density]) else None


def _small(row: Row) -> Iterator[Promise]:
    """Of a row of [2, 4, 1]."""
    density, dtype = row["density"], row["dtype"]
    where = f"[2, 4, 1] {dtype}, density {density}: times as fast as"
    if row["library"] == "fastnn":
        bound = _from(OVER_REFERENCE[dtype], density)
        if bound and row["to_reference"]:
            yield Promise(f"{where} plain Python", row["to_reference"], bound)
    elif row["library"] == "JAX":
        bound = _from(SMALL_OVER_JAX, density)
        if bound:
            yield Promise(f"{where} JAX", row["to_fastnn"], bound)
    elif row["library"] == "PyTorch" and density in SMALL_OVER_TORCH:
        yield Promise(f"{where} PyTorch", row["to_fastnn"], SMALL_OVER_TORCH[density])


def _circle(results: Results) -> Iterator[Promise]:
    rows = best_layouts(rows_of(results, "circle"))
    small = [row for row in rows if row["network"] == "2-4-1"]
    for row in sorted(small, key=lambda row: (ORDER.index(row["library"]), row["density"])):
        yield from _small(row)
    halves = [
        1.0 / row["to_fastnn64"]
        for row in small
        if row["library"] == "fastnn" and row["dtype"] == "float32" and row["density"] >= 30
    ]
    if halves:
        yield Promise("[2, 4, 1] float32 from density 30: times as fast as float64", min(halves), 2.0)
    for network, bound in OVER_JAX.items():
        jax = [row for row in rows if row["network"] == network and row["library"] == "JAX"]
        for dtype in ("float64", "float32"):
            least = min(
                (row for row in jax if row["dtype"] == dtype), key=lambda row: row["to_fastnn"], default=None
            )
            if least:
                where = f"[{network.replace('-', ', ')}] {dtype}, at worst (density {least['density']})"
                yield Promise(f"{where}: times as fast as JAX", least["to_fastnn"], bound)


def _threads(results: Results) -> Iterator[Promise]:
    for row in rows_of(results, "threads"):
        bound = threads.wanted(row["network"], row["density"]) if row["batch"] == "full" else None
        if bound and row["threads"] >= 2:
            name = f"[{row['network'].replace('-', ', ')}] {row['dtype']}, density {row['density']}"
            yield Promise(f"{name}: two threads, times as fast as one", row["faster"], bound)
    swept = rows_of(results, "sweep")
    if swept:
        worst = min(swept, key=lambda row: row["faster"])
        name = f"all threads, time in times of one thread's, at worst ({threads.described(worst)})"
        yield Promise(name, 1.0 / worst["faster"], threads.SLOWER, False)


def _exponential(results: Results) -> Iterator[Promise]:
    for row in rows_of(results, "exponential"):
        if row["library"] == "JAX":
            yield Promise("the matrix exponential of SimpleChains: times as fast as JAX", row["to_fastnn"], 2.5)


def _training(results: Results) -> Iterator[Promise]:
    for row in best_layouts(rows_of(results, "digits")):
        bound = OVER_DIGITS.get((row["library"], row["dtype"]))
        if bound:
            name = f"an epoch of digits, {row['dtype']}: times as fast as {row['library']}"
            yield Promise(name, row["to_fastnn"], bound)
    watched = [row for row in rows_of(results, "overhead") if row["way"].endswith("early stopping")]
    for row in watched:
        name = f"{row['way']}, {row['batches']} {row['dtype']}: forward passes of the validation rows"
        yield Promise(name, row["more_forward"], 1.0, False)
    descents = rows_of(results, "lbfgs")
    for task in dict.fromkeys(row["task"] for row in descents):
        ratios = [row["to_fastnn"] for row in descents if row["task"] == task]
        name = f"L-BFGS on {task} to the same loss, median of {len(ratios)} starts: times as fast as scikit-learn"
        yield Promise(name, statistics.median(ratios), 5.0)
    for row in best_layouts(rows_of(results, "stochastic")):
        bound = OVER_STOCHASTIC.get((row["network"], row["library"], row["dtype"]))
        if bound:
            network = row["network"].replace("-", ", ")
            name = f"an update for each sample, [{network}] {row['dtype']}: times as fast as {row['library']}"
            yield Promise(name, row["to_fastnn"], bound)
    means = {who: statistics.mean(values) for who, values in accuracies(results).items()}
    ours = {dtype: mean for (library, dtype), mean in means.items() if library == "fastnn"}
    for (library, dtype), mean in means.items():
        if library != "fastnn":
            name = f"accuracy on digits, {dtype}: points from {library}'s, either way"
            yield Promise(name, round(abs(ours[dtype] - mean), 3), 0.5, False)


def _latency(results: Results) -> Iterator[Promise]:
    rows = best_layouts(rows_of(results, "latency"))
    for row in rows:
        bound = MOST_US.get((row["what"], row["network"]))
        where = f"{row['what']}, [{row['network'].replace('-', ', ')}] {row['dtype']}"
        if (
            row["library"] == "fastnn"
            and bound
            and (row["what"] != "loss and gradient" or row["dtype"] == "float64")
        ):
            yield Promise(f"{where}: µs", row["us"], bound, False)
        many = row["what"] == "10,000 rows" and row["dtype"] == "float32"
        if row["library"] == "onnxruntime" and many:
            yield Promise(f"{where}: times as fast as onnxruntime", row["to_fastnn"], 1.2)


def _many(results: Results) -> Iterator[Promise]:
    rows = {(row["who"], row["dtype"]): row for row in best_of_many(rows_of(results, "many"))}
    for dtype in ("float64", "float32"):
        if (VMAP, dtype) in rows:
            name = f"256 networks [2, 16, 1] {dtype}, density 10: `fit_many` times as fast as `jax.vmap`"
            yield Promise(name, rows[VMAP, dtype]["to_many"], 6.0)
        if (ON_ONE, dtype) in rows:
            name = f"256 networks [2, 16, 1] {dtype}: `fit_many`'s rate on a core, of that of a network alone"
            yield Promise(name, 1.0 / rows[ON_ONE, dtype]["to_alone"], 0.9)


def _others(results: Results) -> Iterator[Promise]:
    for row in rows_of(results, "peak"):
        if row["what"] != "peak" and row["dtype"] == "float64":
            yield Promise(f"{sizes_in_words(row['what'])} float64: share of FMA peak", row["share"], 0.5)
    start = {row["what"]: row for row in rows_of(results, "start")}
    for what, bound in OVER_NUMBA.items():
        if what in start:
            name = f"{quoted(what)}: seconds more than `import numba`"
            yield Promise(name, start[what]["over_numba"], bound, False)
    for what, bound in FIRST.items():
        if what + FIRST_TIME in start:
            name = f"{quoted(what)}{FIRST_TIME}: seconds"
            yield Promise(name, start[what + FIRST_TIME]["seconds"], bound, False)
    sizes = rows_of(results, "sizes")
    for dtype in dict.fromkeys(row["dtype"] for row in sizes):
        cost = [row["of_100"] for row in sizes if row["dtype"] == dtype and "of_100" in row]
        name = f"{dtype}, density 30 to 1000: dearest sample over cheapest"
        yield Promise(name, max(cost) / min(cost), 1.2, False)
    for row in rows_of(results, "large"):
        if row["way"] == "arrays, packed" and row["density"] > SMALL:
            name = f"{row['dtype']}, density {row['density']}: a sample over one of density {SMALL}"
            yield Promise(name, row["of_small"], 1.15, False)
        if "memory" in row and "MB" in row["way"]:
            name = f"{row['dtype']}, density {row['density']}, {row['way']}: MB beside the rows"
            yield Promise(name, row["memory"] / 1e6, 64.0 + 16.0, False)
    for row in sizes:
        if "memory" in row:
            name = f"{row['dtype']}, density {row['density']}: MB of memory"
            yield Promise(name, row["memory"] / 1e6, (2 * row["data"] + (64 << 20)) / 1e6, False)


KINDS = (_circle, _threads, _exponential, _training, _latency, _many, _others)


def promises(results: Results) -> str:
    """Return a table of all targets."""
    return _table([promise for kind in KINDS for promise in kind(results)])


def missed(results: Results) -> str:
    """Return how many targets are held, and a table of the others."""
    found = [promise for kind in KINDS for promise in kind(results)]
    others = [promise for promise in found if not promise.held]
    held = f"{len(found) - len(others)} of {len(found)} targets are held"
    return f"{held}. These are missed:\n\n{_table(others)}" if others else f"{held}."


def _table(found: list[Promise]) -> str:
    return table(["", "wanted", "measured", ""], [promise.line() for promise in found])
