"""The way from results to the README, with results that are made up."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from bench import plot, report, store
from bench.store import Results
from bench.subjects import SUBJECTS


def rows(speed: float = 1.0) -> list[dict[str, Any]]:
    """A grid in which the subjects come in a fixed order; JAX float32 beats fastnn at density 300."""
    found = []
    for network, density in itertools.product(["2-4-1", "2-64-64-1"], [10, 300]):
        for place, subject in enumerate(SUBJECTS):
            if subject.library == "scikit-learn" or (subject.library == "reference" and density > 10):
                continue
            ns = 10.0 * (len(SUBJECTS) - place)
            lost = subject.name == "JAX-float32-sums" and density == 300
            found.append(
                {
                    "network": network,
                    "density": density,
                    "library": subject.library,
                    "dtype": subject.dtype,
                    "layout": subject.layout,
                    "epochs": 3,
                    "compile_seconds": 0.2,
                    "ns": 1.0 if lost else ns,
                    "to_fastnn": 0.5 if lost else speed * ns / 10.0,
                    "to_fastnn64": 0.5,
                    "to_reference": 100.0 / ns if density == 10 or network == "2-4-1" else None,
                }
            )
    return found


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """As they come back from a file."""
    path = tmp_path / "2026-01-02-some-cpu.json"
    store.add(path, "circle", rows(), rounds=7, others=0.1)
    store.add(
        path,
        "peak",
        [{"what": "peak", "dtype": d, "gflops": 100.0, "share": 1.0} for d in ("float64", "float32")],
        rounds=7,
        others=0.1,
    )
    return store.read(path)


def test_lost_rows_are_named(results: Results) -> None:
    """Both at their place and in the sum."""
    block = report.blocks(results, None)["circle"]
    assert block.count("0.5×, fastnn loses") == 2
    assert re.search(r"fastnn loses in 2 of \d+ comparisons", block)


def test_the_fastest_layout_is_shown(results: Results) -> None:
    """A rival appears once in a table, at its best."""
    lines = [line for line in report.blocks(results, None)["circle"].splitlines() if "PyTorch float32" in line]
    columns = next(i for i, subject in enumerate(SUBJECTS) if subject.name == "PyTorch-float32-columns")
    assert len(lines) == 2  # one in each network's table
    assert all(f"| {10 * (len(SUBJECTS) - columns)} (" in line for line in lines)


def test_readme_is_renewed_between_its_marks() -> None:
    """Nothing else is touched, and what was not measured stays."""
    text = (
        "a\n<!-- bench: circle -->\nold\n<!-- bench end -->\nb\n<!-- bench: start -->\nkept\n<!-- bench end -->\n"
    )
    new = report.written_into(text, {"circle": "| new \\1 |"})
    assert new == text.replace("old", "| new \\1 |")
    assert report.written_into(new, {"circle": "| new \\1 |"}) == new


def test_moves(results: Results, tmp_path: Path) -> None:
    """Of the file before, on the same CPU; less than a tenth is noise."""
    path = tmp_path / "2026-01-01-some-cpu.json"
    store.add(path, "circle", rows(speed=2.0), rounds=7, others=0.1)
    store.add(tmp_path / "2026-01-01-another-cpu.json", "circle", rows(), rounds=7, others=0.1)
    assert store.previous(tmp_path / "2026-01-02-some-cpu.json") == path
    assert store.previous(path) is None
    assert "Nothing moved" in report.moved(results, results)
    assert report.moved(results, None).startswith("There are no earlier results")
    assert "[2, 4, 1] float64, density 10" in report.moved(results, store.read(path))


def test_promises_name_the_missed(results: Results) -> None:
    """The JAX row that is lost is missed, and says where."""
    lines = report.blocks(results, None)["promises"].splitlines()
    missed = [line for line in lines if "float32, at worst (density 300): times as fast as JAX" in line]
    assert len(missed) == 2
    assert all("**missed**" in line for line in missed)


def trained(path: Path) -> Results:
    """Of the questions about training on real data, with JAX a little ahead in float32."""
    compared = [
        {
            "network": "64-64-10",
            "library": library,
            "dtype": dtype,
            "layout": layout,
            "ms": ms,
            "to_fastnn": ms,
            "compile_seconds": 1.0,
        }
        for dtype in ("float64", "float32")
        for library, layout, ms in (
            ("scikit-learn", "all threads", 9.0),
            ("scikit-learn", "1 thread", 7.0),
            ("JAX", "each", 3.0 if dtype == "float64" else 0.9),
            ("fastnn", "", 1.0),
        )
    ]
    watched = [
        {"batches": "full batch", "dtype": "float64", "way": way, "us": 300.0, "forward_us": 100.0}
        | {"more_us": 100.0 * more, "more_forward": more}
        for way, more in (("nothing", 0.0), ("validation", 0.9), ("validation, early stopping", 1.2))
    ]
    descents = [
        {"task": "digits", "network": "64-64-10", "start": start, "iterations": count, "sklearn_iterations": 40}
        | {"ms": 10.0, "sklearn_ms": 60.0, "to_fastnn": 6.0 if count else 0.0}
        for start, count in enumerate((41, 39, 0))
    ]
    right = [
        {"library": library, "dtype": "float64", "seed": seed, "accuracy": share + 0.01 * seed}
        for library, share in (("scikit-learn", 0.96), ("fastnn", 0.966))
        for seed in (0, 1)
    ]
    answers = {"digits": compared, "overhead": watched, "lbfgs": descents, "accuracy": right}
    for question, found in answers.items():
        store.add(path, question, found, rounds=7, others=0.0)
    return store.read(path)


def test_training_on_real_data(tmp_path: Path) -> None:
    """The fastest way of each library; what is lost, not reached or missed says so."""
    found = report.blocks(trained(tmp_path / "2026-01-02-some-cpu.json"), None)
    assert "| scikit-learn | 7 (7×) | 7 (7×) |" in found["digits"]
    assert "| JAX | 3 (3×) | 0.9 (0.9×, fastnn loses) |" in found["digits"]
    assert "| **fastnn** | **1** | **1** |" in found["digits"]
    assert "| more with validation | 90 (0.90) |" in found["overhead"]
    assert "6× (0 to 6)" in found["lbfgs"]
    assert "does not reach the loss on digits from start 2" in found["lbfgs"]
    assert "| **fastnn float64** | 96.60 | 97.60 | **97.10** |" in found["accuracy"]
    missed = [line for line in found["promises"].splitlines() if "**missed**" in line]
    assert [line.split(":")[0].strip("| ") for line in missed] == [
        "an epoch of digits, float32",
        "validation, early stopping, full batch float64",
        "accuracy on digits, float64",
    ]


def test_rows_in_windows(tmp_path: Path) -> None:
    """What density 3000 costs in parts of density 100, and what memory; windows are promised no speed."""
    path = tmp_path / "2026-01-02-some-cpu.json"
    found = [
        {"density": density, "dtype": dtype, "way": way, "ns": 4.0 * part, "of_small": part}
        for dtype in ("float64", "float32")
        for density, way, part in (
            (100, "arrays, packed", 1.0),
            (3000, "arrays, packed", 1.1 if dtype == "float64" else 1.2),
            (3000, "arrays, 64 MB", 2.0),
        )
    ]
    found[2] |= {"memory": 25_000_000, "data": 216_000_000}
    found[5] |= {"memory": 95_000_000, "data": 108_000_000}
    store.add(path, "large", found, rounds=7, others=0.0)
    blocks = report.blocks(store.read(path), None)
    assert "| density 3000, arrays, 64 MB | 8 (2.00) | 8 (2.00) | 25 | 95 |" in blocks["large"]
    missed = [line.split("|")[1].strip() for line in blocks["promises"].splitlines() if "**missed**" in line]
    assert missed == [
        "float32, density 3000: a sample over one of density 100",
        "float32, density 3000, arrays, 64 MB: MB beside the rows",
    ]


def test_plot_is_the_same_again(results: Results, tmp_path: Path) -> None:
    """No date, no random names: drawn twice, it is the same file."""
    pytest.importorskip("matplotlib")
    files = [plot.draw(results, tmp_path / f"{name}.svg") for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
