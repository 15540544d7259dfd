"""Accuracy on held-out rows: each library learns what can be learnt."""

from __future__ import annotations

import numpy as np
import pytest

from bench import accuracy
from bench.handwriting import thirds

pytestmark = pytest.mark.compiled


@pytest.mark.parametrize("one", accuracy.CLASSIFIERS, ids=lambda one: f"{one.library}-{one.dtype}")
def test_classifier(one: accuracy.Classifier) -> None:
    """Ten blots in 64 pixels, with noise: easy, and labels are not in the order of the rows."""
    if one.missing:
        pytest.skip(one.missing)
    stream = np.random.default_rng(0)
    blots = stream.random((10, 64))
    y, labels = stream.integers(0, 10, 400), stream.integers(0, 10, 100)
    X, held_out = (
        (blots[which] + 0.1 * stream.normal(size=(len(which), 64))).astype(one.dtype) for which in (y, labels)
    )
    said = one.classify(X, y, held_out, 0, 20)
    assert said.shape == labels.shape
    assert (said == labels).mean() > 0.95
    assert (said == one.classify(X, y, held_out, 0, 20)).all()
    assert (one.classify(X, y, held_out, 0, 1) == labels).mean() < 0.95


def test_thirds() -> None:
    """A third of each class is held out, and another one for another seed."""
    pytest.importorskip("sklearn", reason="scikit-learn, which has the digits, is not installed")
    X, held_out, y, labels = thirds(0)
    assert (len(X), len(held_out)) == (1198, 599)
    assert (np.abs(np.bincount(labels) - np.bincount(y) / 2) < 1.5).all()
    assert not np.array_equal(thirds(1)[3], labels)


def test_measure() -> None:
    """A row for each library, dtype and seed."""
    pytest.importorskip("sklearn", reason="scikit-learn, which has the digits, is not installed")
    rows = accuracy.measure(seeds=(0, 1), epochs=2)
    assert len(rows) == 2 * sum(not one.missing for one in accuracy.CLASSIFIERS)
    assert all(0.3 < row["accuracy"] < 1.0 for row in rows)
