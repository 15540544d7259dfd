"""The blocks about whole training runs: the grid, the matrix exponential, threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bench.exponential import PUBLISHED
from bench.store import Results
from bench.tables import LOSES, OURS, Row, number, rows_of, span, table, times
from bench.threads import described


def _batch(batch: int | str) -> str:
    return "all rows" if batch == "full" else f"batch {batch}"


def closest(rows: Iterable[Row]) -> Row | None:
    """Of a cell's rows the fastest rival's."""
    return min((row for row in rows if row["library"] not in OURS), key=lambda row: row["to_fastnn"], default=None)


def by_cell(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by what they have under these names."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def _grid_cell(rows: list[Row]) -> str:
    ours = next((row for row in rows if row["library"] == "fastnn"), None)
    rival = closest(rows)
    if ours is None or rival is None:
        return ""
    if rival["to_fastnn"] < 1.0:
        return f"{number(ours['ns'])} (**{number(rival['to_fastnn'])}× {rival['library']}, {LOSES}**)"
    return f"**{number(ours['ns'])}** ({number(rival['to_fastnn'])}× {rival['library']})"


def crossover(rows: Iterable[Row]) -> tuple[int, list[str]] | None:
    """The width from which fastnn loses at all that were measured, and to whom; None if it wins at the widest."""
    rivals = {width: closest(here) for (width,), here in by_cell(rows, "width").items()}
    lost: list[Row] = []
    for width in sorted(rivals, reverse=True):
        rival = rivals[width]
        if rival is None or rival["to_fastnn"] >= 1.0:
            break
        lost.append(rival)
    return (lost[-1]["width"], list(dict.fromkeys(row["library"] for row in reversed(lost)))) if lost else None


def _crossovers(rows: list[Row]) -> str:
    """From which width on another library is the better choice, by samples and batch; a sentence, if none is."""
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    cells = by_cell(rows, "samples", "batch")
    lines = []
    for samples in sorted({row["samples"] for row in rows}):
        line = [f"{samples:,} samples"]
        for batch in batches:
            here = cells.get((samples, batch), [])
            found = crossover(here)
            widest = max((row["width"] for row in here), default=0)
            none = f"not up to {widest:,}" if here else ""
            line.append(f"from {found[0]:,}: {' or '.join(found[1])}" if found else none)
        lines.append(line)
    said = []
    for batch in batches:
        found_at = [f for samples, b in cells if b == batch and (f := crossover(cells[samples, b]))]
        who = list(dict.fromkeys(name for _, names in found_at for name in names))
        from_width = min((width for width, _ in found_at), default=0)
        if found_at:
            said.append(f"{_batch(batch)}, from {from_width:,} units a layer on ({', '.join(who)})")
        else:
            said.append(f"{_batch(batch)}, at none of the measured widths")
    if not any(crossover(here) for here in cells.values()):
        return f"With {rows[0]['dtype']}, a bigger framework is the better choice in none of these."
    head = ["a bigger framework is the better choice", *map(_batch, batches)]
    return table(head, lines) + f"\n\nThe crossover, at its earliest: {'; '.join(said)}."


def grid(results: Results) -> str:
    """Samples × width × batch: fastnn's time, the fastest rival, and from where on that is the better choice."""
    rows = rows_of(results, "grid")
    parts = []
    for (dtype,), of_dtype in sorted(by_cell(rows, "dtype").items()):
        batches = list(dict.fromkeys(row["batch"] for row in of_dtype))
        cells = by_cell(of_dtype, "samples", "width", "batch")
        lines = [
            [
                f"{samples:,} samples, {width:,} wide",
                *(_grid_cell(cells.get((samples, width, batch), [])) for batch in batches),
            ]
            for samples, width in sorted(by_cell(of_dtype, "samples", "width"))
        ]
        parts += [table([dtype, *map(_batch, batches)], lines), _crossovers(of_dtype)]
    rivals = [
        rival for here in by_cell(rows, "dtype", "samples", "width", "batch").values() if (rival := closest(here))
    ]
    lost = sum(rival["to_fastnn"] < 1.0 for rival in rivals)
    rounds = span([row["rounds"] for row in rows])
    compiled = span((row["compile_seconds"] for row in rows if row["library"] == "JAX"), " s") if rivals else ""
    parts.append(
        "fastnn's nanoseconds per sample and epoch; in brackets, how many times that the fastest of scikit-learn, "
        f"PyTorch and JAX takes there, each written in the way that is fastest in that cell (medians; timings of "
        f"each: {rounds}). fastnn loses in {lost} of {len(rivals)} cells. JAX compiles each loop in {compiled}, "
        "which is not counted."
    )
    return "\n\n".join(parts)


def exponential(results: Results) -> str:
    """The matrix exponential: measured here, and published elsewhere."""
    rows = sorted(rows_of(results, "exponential"), key=lambda row: row["seconds"])
    lines = []
    for row in rows:
        ours = row["library"] == "fastnn"
        seconds = number(row["seconds"])
        cells = [f"**{seconds}**" if ours else f"{seconds} ({times(row['to_fastnn'])})"]
        lines.append([f"**{row['library']}**" if ours else row["library"], "this one", *cells, f"{row['epochs']}"])
    lines += [[entry["library"], entry["machine"], number(entry["seconds"]), "published"] for entry in PUBLISHED]
    sources = "; ".join(dict.fromkeys(entry["source"] for entry in PUBLISHED))
    head = ["10,000 epochs of 10,000 samples", "machine", "seconds", "epochs timed and scaled"]
    return table(head, lines) + f"\n\nPublished in: {sources}."


def threads(results: Results) -> str:
    """Two threads against one."""
    rows = rows_of(results, "threads")
    kinds = by_cell(rows, "network", "dtype")
    densities = sorted({row["density"] for row in rows})
    lines = []
    for (network, dtype), here in kinds.items():
        faster = {row["density"]: f"{row['faster']:.2f} ({row['side_by_side']:.2f})" for row in here}
        name = f"[{network.replace('-', ', ')}] {dtype}"
        lines.append([name, *(faster.get(density, "") for density in densities)])
    head = ["two threads, times as fast as one", *(f"density {density}" for density in densities)]
    return table(head, lines) + (
        "\n\nIn brackets, how many times as fast two fits are that run side by side, on a thread each, and have "
        "nothing to do with each other: what the second core is worth on this machine."
    )


def sweep(results: Results) -> str:
    """All threads against one, over densities, batch sizes and networks."""
    rows = rows_of(results, "sweep")
    slowest = min(rows, key=lambda row: row["faster"])
    best = max(rows, key=lambda row: row["faster"])
    return (
        f"In {len(rows)} cells of density, batch size and network, fits on {slowest['threads']} threads take "
        f"{100 / best['faster']:.0f} % to {100 / slowest['faster']:.1f} % of the time on one; the worst is "
        f"{described(slowest)}."
    )


RUN_BLOCKS: dict[str, Callable[[Results], str]] = {
    "grid": grid,
    "exponential": exponential,
    "threads": threads,
    "sweep": sweep,
}
