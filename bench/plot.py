"""The picture: speed in times of plain Python's, over density."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.store import FOLDER, Results
from bench.tables import best_layouts, label, rows_of

FILE = FOLDER / "speedup.svg"

# Of Paul Tol's "bright" scheme, which colour-blind people can tell apart.
COLOURS = {"NumPy": "#777777", "PyTorch": "#EE6677", "JAX": "#4477AA", "fastnn": "#228833"}
STYLES = {"float64": "-", "float32": "--"}
LEAST_GAP = 0.055  # between labels, in parts of the height


def speedups(results: Results, network: str) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """(density, speed in times of plain Python's) by (library, dtype).

    Wider networks have plain Python at density 10 only; its cost of a sample there is taken for all.
    """
    rows = [row for row in best_layouts(rows_of(results, "circle")) if row["network"] == network]
    base = min((r for r in rows if r["library"] == "reference"), key=lambda row: row["density"])["ns"]
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in sorted(rows, key=lambda row: row["density"]):
        if row["library"] in COLOURS:
            value = row["to_reference"] or base / row["ns"]
            lines.setdefault((row["library"], row["dtype"]), []).append((row["density"], value))
    return lines


def _spread_out(heights: list[float]) -> list[float]:
    """The heights (rising, 0 to 1) moved as little as keeps them apart."""
    placed = list(heights)
    for _ in range(200):  # neighbours push each other away until none is too near
        for i in range(len(placed) - 1):
            lack = LEAST_GAP - (placed[i + 1] - placed[i])
            if lack > 0:
                placed[i] -= lack / 2
                placed[i + 1] += lack / 2
    return placed


def _panel(axes: Any, results: Results, network: str, limits: tuple[float, float]) -> None:
    import math

    lines = speedups(results, network)
    for (library, dtype), points in lines.items():
        width = 2.4 if library == "fastnn" else 1.4
        x, y = zip(*points, strict=True)
        axes.plot(x, y, STYLES[dtype], color=COLOURS[library], linewidth=width, marker="o", markersize=4)
    low, high = (math.log(limit) for limit in limits)
    ends = sorted(((math.log(p[-1][1]) - low) / (high - low), key) for key, p in lines.items())
    for height, (_, (library, dtype)) in zip(_spread_out([end[0] for end in ends]), ends, strict=True):
        axes.annotate(
            label({"library": library, "dtype": dtype}),
            (1.03, height),
            xycoords="axes fraction",
            color=COLOURS[library],
            fontsize=9,
            fontweight="bold" if library == "fastnn" else "normal",
            verticalalignment="center",
        )
    densities = sorted({density for points in lines.values() for density, _ in points})
    axes.set(xscale="log", yscale="log", ylim=limits)
    axes.set_xticks(densities, [f"{density}\n{(density + 1) ** 2:,}" for density in densities])
    axes.minorticks_off()
    axes.set_title(f"[{network.replace('-', ', ')}]", loc="left", fontweight="bold")
    axes.set_xlabel("density, and samples")
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _caption(results: Results) -> str:
    about = results["machine"]
    return (
        f"{about['cpu']}, {about['cores']} cores. "
        "In the wider networks plain Python's cost of a sample is that at density 10."
    )


def draw(results: Results, file: Path = FILE) -> Path:
    """Draw a panel for each network; the file says how by its ending."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    networks = list(dict.fromkeys(row["network"] for row in rows_of(results, "circle")))
    values = [v for n in networks for points in speedups(results, n).values() for _, v in points]
    limits = min(values) / 1.4, max(values) * 1.4
    # A fixed salt and no date: the same results give the same file. Letters stay letters: half the size.
    with pyplot.rc_context({"svg.hashsalt": "fastnn", "svg.fonttype": "none"}):
        figure, panels = pyplot.subplots(
            1, len(networks), figsize=(4.7 * len(networks), 4.6), sharey=True, squeeze=False
        )
        for axes, network in zip(panels[0], networks, strict=True):
            _panel(axes, results, network, limits)
        panels[0][0].set_ylabel("times as fast as plain Python")
        ticks = [10**k for k in range(7) if limits[0] <= 10**k <= limits[1]]
        panels[0][0].set_yticks(ticks, [f"{tick:,}" for tick in ticks])
        figure.suptitle("Batch gradient descent on the circle: speed over density", x=0.01, ha="left")
        figure.text(0.01, 0.02, _caption(results), fontsize=8, color="#555555")
        figure.tight_layout(rect=(0, 0.04, 1, 1), w_pad=1.0)
        figure.savefig(file, facecolor="white", dpi=110, metadata={"Date": None} if file.suffix == ".svg" else {})
        pyplot.close(figure)
    return file
