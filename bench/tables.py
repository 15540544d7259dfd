"""Results as Markdown: a function for each block of the README."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

from bench.many import MOST_ROUNDS
from bench.store import Results

Row = dict[str, Any]

OURS = ("fastnn on 1 thread", "fastnn")
ORDER = ("reference", "NumPy", "scikit-learn", "FANN", "plain C", "PyTorch", "JAX", "onnxruntime", *OURS)
LOSES = "fastnn loses"
BUSY = 0.02  # what a system does by itself


def rows_of(results: Results, question: str) -> list[Row]:
    """The rows of a question; none, if it was not measured."""
    return list(results["questions"].get(question, {"rows": []})["rows"])


def cost(row: Row) -> float:
    """What a row of a comparison took."""
    return float(next(row[unit] for unit in ("ns", "us", "ms") if unit in row))


def best_layouts(rows: Iterable[Row]) -> list[Row]:
    """Of each library and dtype in a cell, the row with the fastest layout."""
    best: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(row.get(name) for name in ("what", "network", "density", "library", "dtype"))
        if key not in best or cost(row) < cost(best[key]):
            best[key] = row
    return sorted(best.values(), key=lambda row: (ORDER.index(row["library"]), row["dtype"] == "float32"))


def table(head: list[str], lines: Iterable[list[str]]) -> str:
    """Markdown; all columns but the first are set flush right."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def number(value: float) -> str:
    """Three digits, or whole with commas."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(ratio: float) -> str:
    """A ratio, and the word for it where fastnn is the slower one."""
    return f"{number(ratio)}×" + (f", {LOSES}" if ratio < 1.0 else "")


def label(row: Row) -> str:
    """Who it is, for people."""
    return "plain Python" if row["library"] == "reference" else f"{row['library']} {row['dtype']}"


def span(values: Iterable[float], unit: str = "") -> str:
    """From the least to the greatest."""
    found = sorted(values)
    low, high = number(found[0]), number(found[-1])
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def quoted(what: str) -> str:
    """As code, if it is a command and not a description."""
    return what if "," in what else f"`{what}`"


def _cell(row: Row) -> str:
    if row["library"] in OURS:
        return f"**{number(cost(row))}**"
    return f"{number(cost(row))} ({times(row['to_fastnn'])})"


def _grid(results: Results, question: str) -> str:
    rows = best_layouts(rows_of(results, question))
    densities = sorted({row["density"] for row in rows})
    head = [f"density {density}<br>{(density + 1) ** 2:,} samples" for density in densities]
    parts = []
    for network in dict.fromkeys(row["network"] for row in rows_of(results, question)):
        here = [row for row in rows if row["network"] == network]
        lines = []
        for name in dict.fromkeys(map(label, here)):
            cells = {row["density"]: _cell(row) for row in here if label(row) == name}
            strong = f"**{name}**" if name.startswith("fastnn") else name
            lines.append([strong, *(cells.get(density, "") for density in densities)])
        parts.append(table([f"[{network.replace('-', ', ')}]", *head], lines))
    rivals = [row for row in rows if row["library"] not in OURS]
    lost = sum(row["to_fastnn"] < 1.0 for row in rivals)
    answer = results["questions"][question]
    notes = (
        "Nanoseconds per sample and epoch; in brackets, how many times fastnn's time in the same dtype (median "
        f"of the ratios in {answer['rounds']} rounds, in each of which everybody has a turn). All are on as "
        f"many threads as they like, if nothing else is said. fastnn loses in {lost} of {len(rivals)} comparisons."
    )
    layouts = sorted({row["library"] for row in rivals if row["layout"]}, key=ORDER.index)
    names = " and ".join(filter(None, [", ".join(layouts[:-1]), *layouts[-1:]]))
    notes += f" Of {names}, the fastest of several memory layouts is shown."
    python = [row["epochs"] for row in rivals if row["library"] == "reference"]
    if python:
        notes += f" Plain Python was timed on {span(python)} epochs a round and scaled."
    compiled = [row["compile_seconds"] for row in rivals if row["library"] == "JAX"]
    if compiled:
        notes += f" JAX compiles a loop in {span(compiled, ' s')}, which is not counted."
    return "\n\n".join([*parts, notes])


def circle(results: Results) -> str:
    """Batch gradient descent on the circle: sigmoid outputs, mse."""
    return _grid(results, "circle")


def regression(results: Results) -> str:
    """The same with identity outputs and half_sse, which is what scikit-learn can do too."""
    return _grid(results, "regression")


def digits(results: Results) -> str:
    """An epoch of mini-batches, by library and dtype."""
    rows = best_layouts(rows_of(results, "digits"))
    dtypes = ("float64", "float32")
    lines = []
    for library in dict.fromkeys(row["library"] for row in rows):
        cells = {row["dtype"]: _cell(row) for row in rows if row["library"] == library}
        lines.append([f"**{library}**" if library == "fastnn" else library, *(cells.get(d, "") for d in dtypes)])
    rivals = [row for row in rows if row["library"] != "fastnn"]
    variants = [f"{label(row)} {row['layout']}" for row in rivals if row["layout"]]
    rounds = results["questions"]["digits"]["rounds"]
    note = (
        "In brackets, how many times fastnn's time in the same dtype (median of the ratios in "
        f"{rounds} rounds). All are on as many threads as they like. Of several ways to write it, the fastest "
        f"is shown: {'; '.join(variants)}."
    )
    compiled = [row["compile_seconds"] for row in rivals if row["library"] == "JAX"]
    if compiled:
        note += f" JAX compiles its loop in {span(compiled, ' s')}, which is not counted."
    return table(["ms an epoch", *dtypes], lines) + f"\n\n{note}"


def overhead(results: Results) -> str:
    """What watching costs, in forward passes of the validation rows."""
    rows = rows_of(results, "overhead")
    kinds = list(dict.fromkeys((row["batches"], row["dtype"]) for row in rows))
    lines = []
    for way in dict.fromkeys(row["way"] for row in rows):
        here = {(row["batches"], row["dtype"]): row for row in rows if row["way"] == way}
        if way == "nothing":
            lines.append(["µs an epoch, unwatched", *(number(here[kind]["us"]) for kind in kinds)])
            lines.append(["µs a forward pass", *(number(here[kind]["forward_us"]) for kind in kinds)])
        else:
            more = (here[kind] for kind in kinds)
            cells = (f"{number(row['more_us'])} ({row['more_forward']:.2f})" for row in more)
            lines.append([f"more with {way}", *cells])
    return table(["", *(f"{batches}<br>{dtype}" for batches, dtype in kinds)], lines)


def latency(results: Results) -> str:
    """µs a call, by library and dtype."""
    rows = rows_of(results, "latency")
    best = best_layouts(rows)
    lines = []
    for what, network in dict.fromkeys((row["what"], row["network"]) for row in rows):
        here = [row for row in best if (row["what"], row["network"]) == (what, network)]
        for library in dict.fromkeys(row["library"] for row in here):
            cells = {row["dtype"]: _cell(row) for row in here if row["library"] == library}
            name = f"**{library}**" if library == "fastnn" else library
            about = f"{what}, [{network.replace('-', ', ')}]"
            lines.append([about, name, *(cells.get(dtype, "") for dtype in ("float64", "float32"))])
    layouts = {
        f"{row['library']} {row['layout']}"
        for row in best
        if row["layout"] and len({r["layout"] for r in rows if r["library"] == row["library"]}) > 1
    }
    note = (
        "In brackets, how many times fastnn's time in the same dtype (median of the ratios in "
        f"{results['questions']['latency']['rounds']} rounds). Of several ways to ask a library, the fastest is "
        f"shown{': ' * bool(layouts)}{'; '.join(sorted(layouts))}."
    )
    return table(["µs a call", "", "float64", "float32"], lines) + f"\n\n{note}"


def lbfgs(results: Results) -> str:
    """To the same loss, over several starts."""
    rows = rows_of(results, "lbfgs")
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        here = [row for row in rows if row["task"] == task]
        lines.append(
            [
                f"{task}, [{here[0]['network'].replace('-', ', ')}]",
                *(span(row[name] for row in here) for name in ("sklearn_iterations", "iterations")),
                number(statistics.median(row["sklearn_ms"] for row in here)),
                f"**{number(statistics.median(row['ms'] for row in here))}**",
                f"{times(statistics.median(row['to_fastnn'] for row in here))}"
                f" ({span(row['to_fastnn'] for row in here)})",
            ]
        )
    head = ["", "iterations, scikit-learn", "fastnn", "ms, scikit-learn", "fastnn", "times as fast"]
    lost = [f"{row['task']} from start {row['start']}" for row in rows if not row["iterations"]]
    failed = f"\n\nfastnn does not reach the loss on {', '.join(lost)}." if lost else ""
    return table(head, lines) + failed


def accuracies(results: Results) -> dict[tuple[str, str], list[float]]:
    """Percent of the held-out rows, for each seed, by library and dtype."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows_of(results, "accuracy"):
        found.setdefault((row["library"], row["dtype"]), []).append(100.0 * row["accuracy"])
    return found


def accuracy(results: Results) -> str:
    """On the digits, by seed."""
    found = accuracies(results)
    seeds = dict.fromkeys(row["seed"] for row in rows_of(results, "accuracy"))
    lines = []
    for (library, dtype), values in found.items():
        name = f"**{library} {dtype}**" if library == "fastnn" else f"{library} {dtype}"
        mean = f"{statistics.mean(values):.2f}"
        lines.append([name, *(f"{value:.2f}" for value in values), f"**{mean}**" if library == "fastnn" else mean])
    return table(["% right", *(f"seed {seed}" for seed in seeds), "mean"], lines)


def stochastic(results: Results) -> str:
    """An update after every sample, by library."""
    rows = best_layouts(rows_of(results, "stochastic"))
    kinds = [(network, d) for network in dict.fromkeys(r["network"] for r in rows) for d in ("float64", "float32")]
    lines = []
    for library in dict.fromkeys(row["library"] for row in rows):
        cells = {(row["network"], row["dtype"]): _cell(row) for row in rows if row["library"] == library}
        lines.append([f"**{library}**" if library == "fastnn" else library, *(cells.get(k, "") for k in kinds)])
    note = (
        "In brackets, how many times fastnn's time. Of several ways to write it, the fastest is shown. Plain C is "
        "the textbook's loops (bench/plain.c) with -O3 -march=native -ffast-math; FANN is the system's library "
        "(bench/fann.py)."
    )
    head = [f"[{network.replace('-', ', ')}]<br>{dtype}" for network, dtype in kinds]
    return table(["ns an update", *head], lines) + f"\n\n{note}"


def best_of_many(rows: Iterable[Row]) -> list[Row]:
    """Of each who trains many networks, in each dtype, the row with the fastest layout."""
    best: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row["who"], row["dtype"]
        if key not in best or row["ns"] < best[key]["ns"]:
            best[key] = row
    return list(best.values())


def many(results: Results) -> str:
    """Many networks at once, by who trains them and dtype."""
    rows = best_of_many(rows_of(results, "many"))
    dtypes = ("float64", "float32")
    lines = []
    for who in dict.fromkeys(row["who"] for row in rows):
        cells = {
            row["dtype"]: f"{number(row['ns'])} ({times(row['to_many'])})"
            if row["to_many"] != 1.0
            else f"**{number(row['ns'])}**"
            for row in rows
            if row["who"] == who
        }
        lines.append([f"`{who}`" if "." in who or who == "fit_many" else who, *(cells.get(d, "") for d in dtypes)])
    answer = results["questions"]["many"]
    rounds = min(answer["rounds"], MOST_ROUNDS)
    note = (
        f"{rows[0]['networks']} networks [2, 16, 1], density 10, {rows[0]['epochs']:,} epochs of batch gradient "
        "descent each; nanoseconds per sample, epoch and network, and in brackets how many times those of "
        f"`fit_many` on all threads (median of the ratios in {rounds} rounds). Of two memory layouts of JAX the "
        "faster one is shown."
    )
    return table(["ns", *dtypes], lines) + f"\n\n{note}"


def start(results: Results) -> str:
    """Whole processes."""
    return table(
        ["a whole process", "seconds", "more than `import numba`"],
        [
            [
                quoted(row["what"]),
                f"{row['seconds']:.2f}",
                "" if row["over_numba"] is None else f"{row['over_numba']:+.2f}",
            ]
            for row in rows_of(results, "start")
        ],
    )


def sizes_in_words(what: str) -> str:
    """Of a network's sizes in one word, and what may follow: for people."""
    network, _, rest = what.partition(" ")
    return f"[{network.replace('-', ', ')}] {rest}".strip()


def peak(results: Results) -> str:
    """GFLOP/s beside what one core can do at most."""
    rows = {(row["what"], row["dtype"]): row for row in rows_of(results, "peak")}
    lines = []
    for what in dict.fromkeys(what for what, _ in rows):
        name = "multiply and add alone" if what == "peak" else f"training {sizes_in_words(what)}"
        found = [rows[what, dtype] for dtype in ("float64", "float32")]
        lines.append([name, *(f"{number(row['gflops'])} ({100 * row['share']:.0f} %)" for row in found)])
    return table(["GFLOP/s on one core", "float64", "float32"], lines)


def sizes(results: Results) -> str:
    """Cost over density, and memory."""
    rows = rows_of(results, "sizes")
    densities = sorted({row["density"] for row in rows})
    lines = [
        [f"fastnn {dtype}", *(number(row["ns"]) for row in rows if row["dtype"] == dtype and "ns" in row)]
        for dtype in dict.fromkeys(row["dtype"] for row in rows)
    ]
    head = ["ns per sample and epoch, [2, 4, 1], one thread", *(f"density {density}" for density in densities)]
    memory = [
        f"{row['dtype']} {row['memory'] / 1e6:.0f} MB for {row['data'] / 1e6:.0f} MB of data"
        for row in rows
        if "memory" in row
    ]
    note = f"Memory at density {densities[-1]}, data included, at its highest: {'; '.join(memory)}."
    return table(head, lines) + (f"\n\n{note}" if memory else "")


def large(results: Results) -> str:
    """Cost and memory of many rows, packed and in windows."""
    rows = rows_of(results, "large")
    dtypes = list(dict.fromkeys(row["dtype"] for row in rows))
    lines = []
    for density, way in dict.fromkeys((row["density"], row["way"]) for row in rows):
        here = {row["dtype"]: row for row in rows if (row["density"], row["way"]) == (density, way)}
        cells = [f"{number(here[dtype]['ns'])} ({here[dtype]['of_small']:.2f})" for dtype in dtypes]
        more = [f"{here[dtype]['memory'] / 1e6:.0f}" if "memory" in here[dtype] else "" for dtype in dtypes]
        lines.append([f"density {density}, {way}", *cells, *more])
    heads = [f"ns per sample and epoch<br>{dtype}" for dtype in dtypes]
    return table(["[2, 4, 1]", *heads, *(f"MB beside the rows<br>{dtype}" for dtype in dtypes)], lines)


def machine(results: Results) -> str:
    """Where and with what."""
    about = dict(results["machine"])
    cpu, cores, system = (about.pop(key) for key in ("cpu", "cores", "system"))
    versions = ", ".join(f"{name} {version}" for name, version in about.items())
    others = max((answer["others"] for answer in results["questions"].values()), default=0.0)
    busy = f" Other programs had {others:.0%} of the machine meanwhile." if others > BUSY else ""
    return f"{cpu}, {cores} cores, {system}; {versions}.{busy}"


BLOCKS: dict[str, Callable[[Results], str]] = {
    "circle": circle,
    "regression": regression,
    "digits": digits,
    "overhead": overhead,
    "lbfgs": lbfgs,
    "stochastic": stochastic,
    "accuracy": accuracy,
    "latency": latency,
    "many": many,
    "start": start,
    "peak": peak,
    "sizes": sizes,
    "large": large,
}
