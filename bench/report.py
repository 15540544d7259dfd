"""Report: ``python -m bench.report`` writes the newest results into README and TARGETS.md, and draws the plot.

A block of a page stands between ``<!-- bench: NAME -->`` and ``<!-- bench end -->``; what is measured and has no
block anywhere is only printed.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from bench import plot, store
from bench.promises import missed, promises
from bench.run_tables import RUN_BLOCKS
from bench.store import Results
from bench.tables import BLOCKS, OURS, best_layouts, machine, number, rows_of, table

PAGES = Path(__file__).parents[1] / "README.md", Path(__file__).with_name("TARGETS.md")
BLOCK = re.compile(r"(<!-- bench: ([\w-]+) -->\n).*?(<!-- bench end -->)", re.DOTALL)
MOVE = 0.1  # what moved by less is noise of the machine


def margins(results: Results) -> dict[tuple[Any, ...], float]:
    """How many times as fast as its fastest rival fastnn is, for each cell."""
    best: dict[tuple[Any, ...], float] = {}
    for question in ("circle", "regression"):
        for row in best_layouts(rows_of(results, question)):
            key = question, row["network"], row["density"], row["dtype"]
            if row["library"] not in OURS:
                best[key] = min(best.get(key, row["to_fastnn"]), row["to_fastnn"])
    return best


def moved(now: Results, before: Results | None) -> str:
    """What is faster or slower than in the results before, on the same CPU."""
    if before is None:
        return "There are no earlier results of this CPU."
    old, new = margins(before), margins(now)
    lines = [
        [
            f"{key[0]} [{key[1].replace('-', ', ')}] {key[3]}, density {key[2]}",
            number(old[key]),
            number(value),
        ]
        for key, value in new.items()
        if key in old and abs(value / old[key] - 1.0) > MOVE
    ]
    if not lines:
        return f"Nothing moved by more than {MOVE:.0%} since the results before."
    return table(["times as fast as the fastest rival", "before", "now"], lines)


def blocks(results: Results, before: Results | None) -> dict[str, str]:
    """All that can be said, by name."""
    made_by = BLOCKS | RUN_BLOCKS
    measured = {name: make(results) for name, make in made_by.items() if name in results["questions"]}
    about = {"machine": machine(results), "moved": moved(results, before)}
    return {**measured, **about, "promises": promises(results), "missed": missed(results)}


def written_into(text: str, found: dict[str, str]) -> str:
    """The text with its blocks renewed; a block that was not measured stays as it is."""

    def renewed(block: re.Match[str]) -> str:
        return f"{block[1]}{found[block[2]]}\n{block[3]}" if block[2] in found else block[0]

    return BLOCK.sub(renewed, text)


def main() -> None:
    """Read the command line and report."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="default: the newest of bench/results")
    parser.add_argument("--print", action="store_true", help="change no file")
    options = parser.parse_args()
    path = options.file or store.newest()
    earlier = store.previous(path)
    results = store.read(path)
    found = blocks(results, earlier and store.read(earlier))
    for name, text in found.items():
        print(f"## {name}\n\n{text}\n")
    if options.print:
        return
    absent = set(found)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(written_into(text, found), encoding="utf-8")
        absent -= {block[2] for block in BLOCK.finditer(text)}
    names = " and ".join(page.name for page in PAGES)
    print(f"{path.name} is in {names}, which have no block for: {', '.join(sorted(absent)) or 'nothing'}")
    if "circle" in found:
        print(f"drawn: {plot.draw(results)}")


if __name__ == "__main__":
    main()
