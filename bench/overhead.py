"""What it costs to watch a training: validation rows, accuracy and early stopping, beside the forward pass.

The digits, two thirds for training and one for validation. The forward pass is what ``evaluate`` takes for the
validation rows, output activation and loss included. It is given them several times over in one ``Dataset``, and
its time divided by that: so its call, which a fit does not make, does not count. Accuracy is that of both kinds
of rows; for the training rows it needs no forward pass but the one that is there. The best parameters are kept in
each epoch that has a smaller validation loss, which here are nearly all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fastnn
from bench.handwriting import BATCH, NETWORK, RATE, flat, glorot, thirds
from bench.interleave import epochs_for, in_turns, median
from bench.subjects import BOUNDS, DisagreementError

SECONDS = 0.2  # of one timing; what is looked for is a small difference of two
REPEATS = 10  # of the validation rows: 6,000, which still lie in the cache
BATCHES: dict[str, int | None] = {"full batch": None, "mini-batches": BATCH}
Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Watched:
    """One network that is trained from the same start, watched in one of several ways or not at all."""

    def __init__(self, dtype: str, batch_size: int | None, rows: Rows) -> None:
        X, held_out, y, labels = rows
        self.net = fastnn.mlp(NETWORK, activation="relu", output="softmax", dtype=dtype)
        self.start = flat(glorot(NETWORK, dtype))
        self.batch_size = batch_size
        self.data = fastnn.Dataset(X.astype(dtype), y)
        self.held_out, self.labels = held_out.astype(dtype), labels
        self.validation = fastnn.Dataset(self.held_out, labels)
        self.repeated = fastnn.Dataset(np.tile(self.held_out, (REPEATS, 1)), np.tile(labels, REPEATS))

    def ways(self, epochs: int) -> dict[str, dict[str, Any]]:
        """What ``fit`` is asked for, more from one to the next."""
        validation = {"validation_data": self.validation}
        accuracy = {**validation, "metrics": ["accuracy"]}
        stopping = fastnn.EarlyStopping(patience=epochs, restore_best=False)
        return {
            "nothing": {},
            "validation": validation,
            "validation, accuracy": accuracy,
            "validation, accuracy, early stopping": {**accuracy, "early_stopping": stopping},
        }

    def fit(self, way: str, epochs: int) -> fastnn.History:
        """Train from the start."""
        self.net.parameters = self.start
        history = self.net.fit(
            self.data,
            epochs=epochs,
            batch_size=self.batch_size,
            optimizer=fastnn.Adam(RATE),
            loss="cross_entropy",
            verbose=0,
            **self.ways(epochs)[way],
        )
        assert history.status == "finished"
        return history

    def forward(self, times: int) -> None:
        """As often as asked, REPEATS forward passes of the validation rows."""
        for _ in range(times):
            self.net.evaluate(self.repeated, loss="cross_entropy")


def check(watched: Watched, epochs: int = 3) -> None:
    """Raise unless all ways train alike, and see what there is to be seen."""
    bound = BOUNDS[watched.net.dtype.name]
    losses = watched.fit("nothing", epochs).loss
    for way in watched.ways(epochs):
        history = watched.fit(way, epochs)
        if not np.array_equal(history.loss, losses):
            raise DisagreementError(f"the losses are others with {way}")
        if history.val_loss is not None:
            loss = watched.net.evaluate(watched.validation, loss="cross_entropy")
            if not abs(history.val_loss[-1] / loss - 1.0) <= bound:
                raise DisagreementError(f"the last validation loss is not that of the parameters, with {way}")
        if "val_accuracy" in history.metrics:
            right = watched.net.predict(watched.held_out).argmax(axis=1) == watched.labels
            if not abs(history.metrics["val_accuracy"][-1] - right.mean()) <= bound:
                raise DisagreementError(f"the last accuracy is not that of the parameters, with {way}")


def measure(dtype: str, rounds: int, seconds: float = SECONDS, rows: Rows | None = None) -> list[dict[str, Any]]:
    """A row for each kind of batches and each way: µs an epoch, more than without, and in forward passes."""
    found = []
    for batches, batch_size in BATCHES.items():
        watched = Watched(dtype, batch_size, thirds(0) if rows is None else rows)
        check(watched)
        epochs = epochs_for(partial(watched.fit, "nothing"), seconds, 3)
        times = epochs_for(watched.forward, seconds, 3)
        runs: dict[str, Callable[[], object]] = {
            way: partial(watched.fit, way, epochs) for way in watched.ways(epochs)
        }
        for run in runs.values():
            run()
        taken = in_turns({**runs, "forward": partial(watched.forward, times)}, rounds)
        forward = 1e6 * taken["forward"] / (times * REPEATS)
        for way in runs:
            us, more = (1e6 * t / epochs for t in (taken[way], taken[way] - taken["nothing"]))
            found.append(
                {
                    "batches": batches,
                    "dtype": dtype,
                    "way": way,
                    "epochs": epochs,
                    "us": median(us),
                    "forward_us": median(forward),
                    "more_us": median(more),
                    "more_forward": median(more / forward),
                }
            )
    return found
