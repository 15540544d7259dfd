"""The matrix exponential of SimpleChains: 4 numbers, 32 tanh, 16 tanh, 4 numbers; 10,000 samples, float32.

Its documentation has 10,000 steps of Adam on all samples at once. Here some hundreds are timed and scaled, since
all steps cost the same. What others published, on their machines, stands beside it. The loss is the same but for
a constant factor that changes no time.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.descent import Descent, MatrixExponential
from bench.grid import fastest
from bench.interleave import in_turns, median, spread

EPOCHS = 10_000  # which the seconds are for
TIMED = {"fastnn": 300, "JAX": 300, "PyTorch": 60}
DTYPE = "float32"

# Seconds for 10,000 epochs, as published.
DOCUMENTATION = "SimpleChains' documentation, Small Multi-Layer Perceptron"
THREAD = "readers' comparisons, as discussed with SimpleChains (JuliaLang/www.julialang.org, #1661), 2022"
PUBLISHED: tuple[dict[str, Any], ...] = (
    {"library": "SimpleChains", "machine": "not named", "seconds": 0.48, "source": DOCUMENTATION},
    {"library": "SimpleChains", "machine": "i9-10980XE, 18 cores", "seconds": 0.41, "source": THREAD},
    {"library": "SimpleChains", "machine": "EPYC 7513, 32 cores", "seconds": 0.72, "source": THREAD},
    {"library": "SimpleChains", "machine": "i7-1165G7, 4 cores", "seconds": 1.64, "source": THREAD},
    {"library": "JAX", "machine": "i9-10980XE, 18 cores", "seconds": 9.0, "source": THREAD},
    {"library": "PyTorch", "machine": "i9-10980XE, 18 cores", "seconds": 15.2, "source": THREAD},
    {"library": "PyTorch", "machine": "EPYC 7513, 32 cores", "seconds": 70.0, "source": THREAD},
)


def measure(
    rounds: int, problem: Descent | None = None, epochs: dict[str, int] | None = None
) -> list[dict[str, Any]]:
    """A row for each library that is installed: seconds for 10,000 epochs, and in times of fastnn's."""
    problem, epochs = problem or MatrixExponential(), epochs or TIMED
    runs, rows = {}, {}
    for library, count in epochs.items():
        for subject, trainer in fastest(problem, DTYPE, library):
            trainer.run(count)
            runs[library] = partial(trainer.run, count)
            rows[library] = {"library": library, "dtype": DTYPE, "layout": subject.layout, "epochs": count}
    seconds = {name: taken * EPOCHS / epochs[name] for name, taken in in_turns(runs, rounds).items()}
    for name, row in rows.items():
        row["seconds"] = median(seconds[name])
        row["spread"] = spread(seconds[name])
        row["to_fastnn"] = median(seconds[name] / seconds["fastnn"])
    return list(rows.values())
