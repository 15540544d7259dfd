"""The way from results to the README, with results that are made up."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from bench import plot, report, store
from bench.store import Results
from bench.subjects import DTYPES, SUBJECTS

Rows = list[dict[str, Any]]
NAME = "2026-01-02-some-cpu.json"


def made(names: str, *values: tuple[Any, ...], **same: Any) -> Rows:
    """A row for each tuple of values, which have these names; what is the same in all has its own."""
    return [{**same, **dict(zip(names.split(), row, strict=True))} for row in values]


def stored(folder: Path, **answers: Rows) -> Results:
    """The answers to questions as they come back from a file."""
    for question, found in answers.items():
        store.add(folder / NAME, question, found, rounds=7, others=0.1)
    return store.read(folder / NAME)


def missed(blocks: dict[str, str]) -> list[str]:
    """The promises that were not kept."""
    return [line.split("|")[1].strip() for line in blocks["promises"].splitlines() if "**missed**" in line]


def rows(speed: float = 1.0) -> Rows:
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
    """Of the grid, and of what a core can do."""
    peaks = [{"what": "peak", "dtype": dtype, "gflops": 100.0, "share": 1.0} for dtype in DTYPES]
    return stored(tmp_path, circle=rows(), peak=peaks)


def test_lost_rows_are_named(results: Results) -> None:
    """Both at their place and in the sum."""
    block = report.blocks(results, None)["circle"]
    assert block.count("0.5×, fastnn loses") == 2
    assert re.search(r"fastnn loses in 2 of \d+ comparisons", block)


def test_the_fastest_layout_is_shown(results: Results) -> None:
    """A rival appears once in a table, at its best."""
    lines = [line for line in report.blocks(results, None)["circle"].splitlines() if "PyTorch float32" in line]
    columns = next(i for i, subject in enumerate(SUBJECTS) if subject.name == "PyTorch-float32-columns, 1 thread")
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
    assert store.previous(tmp_path / NAME) == path
    assert store.previous(path) is None
    assert "Nothing moved" in report.moved(results, results)
    assert report.moved(results, None).startswith("There are no earlier results")
    assert "[2, 4, 1] float64, density 10" in report.moved(results, store.read(path))


def test_promises_name_the_missed(results: Results) -> None:
    """The JAX row that is lost is missed, and says where."""
    lines = report.blocks(results, None)["promises"].splitlines()
    small = [line for line in lines if "[2, 4, 1] float32, density 300: times as fast as JAX" in line]
    wide = [line for line in lines if "float32, at worst (density 300): times as fast as JAX" in line]
    assert (len(small), len(wide)) == (1, 1)
    assert all("**missed**" in line for line in small + wide)


def test_the_readme_has_the_missed_promises_and_counts_the_others(results: Results) -> None:
    """All of them stand on a page of their own."""
    found = report.blocks(results, None)
    every = found["promises"].splitlines()
    lost = [line for line in every if "**missed**" in line]
    assert lost
    first, *lines = found["missed"].splitlines()
    assert first == f"{len(every) - 2 - len(lost)} of {len(every) - 2} targets are held. These are missed:"
    assert lines[-len(lost) :] == lost


def test_bounds_of_the_circle(results: Results) -> None:
    """Each density has the bound that was set for it or for the ones from a lesser density on."""
    wanted = {}
    for line in report.blocks(results, None)["promises"].splitlines():
        name, bound, *_ = line.strip("| ").split(" | ")
        if name.startswith("[2, 4, 1] ") and ", density " in name:
            where, rival = name.removeprefix("[2, 4, 1] ").split(": times as fast as ")
            wanted[f"{where} {rival}"] = bound
    assert wanted == {
        "float64, density 10 plain Python": "at least 1,500",
        "float64, density 300 plain Python": "at least 3,000",
        "float32, density 300 plain Python": "at least 8,000",
        **{f"float{bits}, density 10 JAX": "at least 4" for bits in (64, 32)},
        **{f"float{bits}, density 300 JAX": "at least 8" for bits in (64, 32)},
        **{f"float{bits}, density 10 PyTorch": "at least 80" for bits in (64, 32)},
        **{f"float{bits}, density 300 PyTorch": "at least 15" for bits in (64, 32)},
    }


def test_one_thread_is_no_rival(results: Results) -> None:
    """fastnn on one thread has its line, and is neither compared nor counted."""
    block = report.blocks(results, None)["circle"]
    lines = [line for line in block.splitlines() if line.startswith("| **fastnn on 1 thread float64**")]
    assert len(lines) == 2
    assert all("×" not in line for line in lines)


def whole_runs(folder: Path) -> Results:
    """Of the questions about whole training runs; JAX is ahead from a width of 64 on in batches of 32."""
    cells = [
        {"samples": 1000, "width": width, "batch": batch, "dtype": "float32", "library": library, "rounds": 5}
        | {"ns": 50.0 * ratio, "to_fastnn": ratio, "compile_seconds": 1.0, "layout": ""}
        for batch, lost in ((32, (64, 256)), ("full", (16,)))
        for width in (16, 64, 256)
        for library, ratio in (("PyTorch", 4.0), ("JAX", 0.8 if width in lost else 1.5), ("fastnn", 1.0))
    ]
    exponentials = made(
        "library seconds to_fastnn",
        ("fastnn", 2.0, 1.0),
        ("JAX", 4.0, 2.0),
        dtype="float32",
        layout="",
        epochs=300,
    )
    threads = made(
        "network density batch faster side_by_side",
        ("2-4-1", 30, "full", 1.4, 1.55),
        ("2-4-1", 100, "full", 1.9, 1.98),
        ("2-1", 3, 1, 0.95, None),
        dtype="float64",
        threads=2,
    )
    return stored(folder, grid=cells, exponential=exponentials, threads=threads[:2], sweep=threads[1:])


def test_whole_runs(tmp_path: Path) -> None:
    """The fastest rival of each cell, the crossover of each batch, what is published, and what is missed."""
    found = report.blocks(whole_runs(tmp_path), None)
    grid = found["grid"].splitlines()
    assert "| 1,000 samples, 64 wide | 50 (**0.8× JAX, fastnn loses**) | **50** (1.5× JAX) |" in grid
    assert "| 1,000 samples | from 64: JAX | not up to 256 |" in grid
    assert "batch 32, from 64 units a layer on (JAX); all rows, at none of the measured widths." in found["grid"]
    assert "fastnn loses in 3 of 6 cells" in found["grid"]
    assert "| **fastnn** | this one | **2** | 300 |" in found["exponential"]
    assert "| JAX | this one | 4 (2×) | 300 |" in found["exponential"]
    assert "| SimpleChains | i9-10980XE, 18 cores | 0.41 | published |" in found["exponential"]
    assert "| [2, 4, 1] float64 | 1.40 (1.55) | 1.90 (1.98) |" in found["threads"]
    assert "the worst is [2, 1], density 3, batches of 1, float64" in found["sweep"]
    promises = [line.strip("| ").split(" | ") for line in found["promises"].splitlines()[2:]]
    assert [cells[-1] for cells in promises] == ["**missed**", "held", "**missed**", "**missed**"]
    assert promises[2][2] == "1.05"


def trained(folder: Path) -> Results:
    """Of the questions about training on real data, with JAX a little ahead in float32."""
    compared, single = [], []
    for dtype, ms in (("float64", 3.0), ("float32", 0.9)):
        same = {"network": "64-64-10", "dtype": dtype}
        compared += made(
            "library layout ms to_fastnn",
            ("scikit-learn", "all threads", 9.0, 9.0),
            ("scikit-learn", "1 thread", 7.0, 7.0),
            ("JAX", "each", ms, ms),
            ("fastnn", "", 1.0, 1.0),
            compile_seconds=1.0,
            **same,
        )
        single += made(
            "library layout ns to_fastnn",
            ("PyTorch", "", 19.0, 19.0),
            ("JAX", "dot", 3.0, 3.0),
            ("JAX", "sums", 2.0, 2.0),
            ("fastnn", "", 1.0, 1.0),
            **same,
        )
    watched = made(
        "way more_us more_forward",
        ("nothing", 0.0, 0.0),
        ("validation", 90.0, 0.9),
        ("validation, early stopping", 120.0, 1.2),
        batches="full batch",
        dtype="float64",
        us=300.0,
        forward_us=100.0,
    )
    descents = made(
        "start iterations to_fastnn",
        (0, 41, 6.0),
        (1, 39, 6.0),
        (2, 0, 0.0),
        task="digits",
        network="64-64-10",
        sklearn_iterations=40,
        ms=10.0,
        sklearn_ms=60.0,
    )
    right = made(
        "library seed accuracy",
        ("scikit-learn", 0, 0.96),
        ("scikit-learn", 1, 0.97),
        ("fastnn", 0, 0.966),
        ("fastnn", 1, 0.976),
        dtype="float64",
    )
    return stored(folder, stochastic=single, digits=compared, overhead=watched, lbfgs=descents, accuracy=right)


def test_training_on_real_data(tmp_path: Path) -> None:
    """The fastest way of each library; what is lost, not reached or missed says so."""
    found = report.blocks(trained(tmp_path), None)
    assert "| scikit-learn | 7 (7×) | 7 (7×) |" in found["digits"]
    assert "| JAX | 3 (3×) | 0.9 (0.9×, fastnn loses) |" in found["digits"]
    assert "| **fastnn** | **1** | **1** |" in found["digits"]
    assert "| more with validation | 90 (0.90) |" in found["overhead"]
    assert "6× (0 to 6)" in found["lbfgs"]
    assert "| JAX | 2 (2×) | 2 (2×) |" in found["stochastic"]
    assert "does not reach the loss on digits from start 2" in found["lbfgs"]
    assert "| **fastnn float64** | 96.60 | 97.60 | **97.10** |" in found["accuracy"]
    assert [promise.split(":")[0] for promise in missed(found)] == [
        "an epoch of digits, float32",
        "validation, early stopping, full batch float64",
        "an update for each sample, [64, 64, 10] float64",
        "an update for each sample, [64, 64, 10] float32",
        "accuracy on digits, float64",
    ]


def test_rows_in_windows(tmp_path: Path) -> None:
    """What density 3000 costs in parts of density 100, and what memory; windows are promised no speed."""
    found = []
    for dtype, packed in (("float64", 1.1), ("float32", 1.2)):
        found += made(
            "density way ns of_small",
            (100, "arrays, packed", 4.0, 1.0),
            (3000, "arrays, packed", 4.0 * packed, packed),
            (3000, "arrays, 64 MB", 8.0, 2.0),
            dtype=dtype,
        )
    found[2] |= {"memory": 25_000_000, "data": 216_000_000}
    found[5] |= {"memory": 95_000_000, "data": 108_000_000}
    blocks = report.blocks(stored(tmp_path, large=found), None)
    assert "| density 3000, arrays, 64 MB | 8 (2.00) | 8 (2.00) | 25 | 95 |" in blocks["large"]
    assert missed(blocks) == [
        "float32, density 3000: a sample over one of density 100",
        "float32, density 3000, arrays, 64 MB: MB beside the rows",
    ]


def test_many_networks(tmp_path: Path) -> None:
    """The faster way of JAX; it is that which the promise is measured by."""
    found = []
    for dtype, alone, columns in (("float64", 20.0, 65.0), ("float32", 25.0, 55.0)):
        timed = made(
            "who layout ns",
            ("fit_many", "", 10.0),
            ("fit_many, 1 thread", "", alone),
            ("jax.vmap", "rows", 90.0),
            ("jax.vmap", "columns", columns),
            ("one network alone", "", 19.0),
            dtype=dtype,
            networks=256,
            epochs=2000,
        )
        found += [{**row, "to_many": row["ns"] / 10.0, "to_alone": row["ns"] / 19.0} for row in timed]
    blocks = report.blocks(stored(tmp_path, many=found), None)
    assert "| `fit_many` | **10** | **10** |" in blocks["many"]
    assert "| `jax.vmap` | 65 (6.5×) | 55 (5.5×) |" in blocks["many"]
    assert "in 5 rounds" in blocks["many"]
    assert missed(blocks) == [
        "256 networks [2, 16, 1] float32, density 10: `fit_many` times as fast as `jax.vmap`",
        "256 networks [2, 16, 1] float32: `fit_many`'s rate on a core, of that of a network alone",
    ]


def test_plot_is_the_same_again(results: Results, tmp_path: Path) -> None:
    """No date, no random names: drawn twice, it is the same file."""
    pytest.importorskip("matplotlib")
    files = [plot.draw(results, tmp_path / f"{name}.svg") for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
