"""``fastnn train circle``: training on the circle."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fastnn.cli import job
from fastnn.cli.picture import picture
from fastnn.cli.words import count

# Defaults of the options: the textbook's.
DEFAULTS: dict[str, Any] = {
    "density": 10,
    "hidden": [4],
    "activation": "sigmoid",
    "output": "sigmoid",
    "loss": "mse",
    "initializer": "uniform",
    "epochs": 2000,
    "batch_size": job.ALL_ROWS,
    "learning_rate": 10.0,
    "log_every": 100,
}


def run(options: argparse.Namespace) -> int:
    """Train, draw what has been learnt, and return the exit status."""
    for name in ("target", "ignore", "separator", "scale"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} is for tables; the circle has no columns to choose")
    job.fill_in(options, DEFAULTS)
    import fastnn

    X, y = fastnn.datasets.circle(density=options.density)
    net = job.network(options, X.shape[1], 1)
    about = f"Circle    density {options.density}: {count(len(X), 'grid point')}, {int(y.sum()):,} of them inside"
    status = job.train(options, [about], net, X, y)
    diagnosis = job.diagnosis(options, net, X, y, status)
    if status == job.FINISHED:
        right = np.mean((net.predict(X)[:, 0] > 0.5) == (y > 0.5))
        print(f"Accuracy  {100 * right:.1f} % of the grid points are on the right side of 0.5")
        print("\nThe learnt function, from 0 (blank) to 1 (full):\n")
        print(picture(lambda points: net.predict(points)[:, 0]))
    job.say(diagnosis)
    job.save(options, net, None, status)
    return status
