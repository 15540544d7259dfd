"""The files of bench/results: one for a day and a CPU, medians only.

``{"machine": {…}, "questions": {name: {"at", "commit", "rounds", "others", "rows": [{…}, …]}}}``: a question that
is measured anew replaces its older answer of the same day, and says of which commit it is, how many rounds were
taken, and what share of the machine other programs had meanwhile.
"""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

from bench import machine

FOLDER = Path(__file__).parent / "results"
Results = dict[str, Any]


def path_of_today(folder: Path = FOLDER) -> Path:
    """Named by date and CPU."""
    cpu = re.sub(r"[^a-z0-9]+", "-", machine.cpu_name().lower()).strip("-")
    return folder / f"{datetime.date.today().isoformat()}-{cpu}.json"


def read(path: Path) -> Results:
    """The results of a file; none yet, if there is no file."""
    if not path.exists():
        return {"machine": machine.describe(), "questions": {}}
    results: Results = json.loads(path.read_text(encoding="utf-8"))
    return results


def add(path: Path, question: str, rows: list[dict[str, Any]], **about: Any) -> None:
    """Write the answer to a question into a file, and leave the others in it."""
    results = read(path)
    results["machine"] = machine.describe()
    now = datetime.datetime.now().isoformat(timespec="minutes")
    results["questions"][question] = {"at": now, "commit": machine.commit(), **about, "rows": rows}
    path.parent.mkdir(exist_ok=True)
    path.write_text(_text(results), encoding="utf-8")


def _text(results: Results) -> str:
    """JSON with a line for each row, so that a change is a line in a diff."""
    parts = []
    for name, answer in results["questions"].items():
        rows = ",\n  ".join(json.dumps(row) for row in answer["rows"])
        head = json.dumps({key: value for key, value in answer.items() if key != "rows"})
        parts.append(f' "{name}": {head[:-1]}, "rows": [\n  {rows}]}}')
    body = ",\n".join(parts)
    return f'{{"machine": {json.dumps(results["machine"])},\n"questions": {{\n{body}}}}}\n'


def newest(folder: Path = FOLDER) -> Path:
    """The file to report."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise SystemExit(f"there are no results in {folder} yet; python -m bench.compare makes them")
    return files[-1]


def previous(path: Path) -> Path | None:
    """The file before this one, of the same CPU."""
    cpu = path.name[len("2026-01-01") :]
    earlier = [file for file in sorted(path.parent.glob(f"*{cpu}")) if file.name < path.name]
    return earlier[-1] if earlier else None
