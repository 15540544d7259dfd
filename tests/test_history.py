"""The record of a fit."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

import fastnn
from tests.problems import JIT


@pytest.mark.parametrize("batch_size", [None, 7])
def test_fields(batch_size):
    net = fastnn.mlp([2, 4, 1])
    assert net.history is None
    X, y = fastnn.datasets.circle(10)
    epochs = 200 if JIT else 3
    start = time.perf_counter()
    history = net.fit(X, y, epochs=epochs, batch_size=batch_size)
    seconds = time.perf_counter() - start
    assert history is net.history
    assert (history.status, history.epochs) == ("finished", epochs)
    assert (history.loss.shape, history.loss.dtype) == ((epochs,), np.float64)
    assert history.compile_seconds >= 0
    assert history.run_seconds > 0
    assert history.compile_seconds + history.run_seconds <= seconds
    assert history.samples_per_second == pytest.approx(121 * epochs / history.run_seconds)


def test_rows_of_weight_0_are_no_samples_in_full_batch():
    history = fastnn.mlp([2, 1]).fit(np.ones((4, 2)), np.ones(4), sample_weight=[0, 1, 0, 1], epochs=5)
    assert history.samples_per_second * history.run_seconds == pytest.approx(2 * 5)


def test_is_a_record():
    history = fastnn.mlp([2, 1]).fit([[1, 2]], [3], epochs=4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        history.status = "better"
    before = history.loss.copy()
    fastnn.mlp([2, 1]).fit([[1, 2]], [3], epochs=4)
    assert history.loss.tolist() == before.tolist()  # nobody else's memory


def test_is_found_among_others():
    X, y = [[1, 2]], [3]
    fits = fastnn.fit_many([fastnn.mlp([2, 1]) for _ in range(3)], X, y, epochs=2)
    assert [fits.index(history) for history in fits] == [0, 1, 2]
    assert fits[1] in fits
    assert len(set(fits)) == 3
    assert fastnn.mlp([2, 1]).fit(X, y, epochs=2) not in fits


def test_repr():
    history = fastnn.History(np.array([1.0, 0.25]), "finished", 0.0, 0.5, 1234.0)
    assert repr(history) == "<History: 2 epochs, loss 0.25, finished, 0.5 s, 1.23e+03 samples/s>"
    assert repr(fastnn.History(np.array([]), "diverged", 0.0, 0.5, 0.0)).startswith("<History: 0 epochs, diverged")
