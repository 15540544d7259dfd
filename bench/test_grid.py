"""Samples × width × batch, with pytest-benchmark: a row a library, dtype and way to write it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import reference
from bench import grid
from bench.descent import Descent
from bench.descent_rivals import DescentTrainer
from bench.descent_subjects import (
    DESCENT_SUBJECTS,
    DescentSubject,
    FastnnDescent,
    NumpyDescent,
    agreed,
    check,
    expected_losses,
)
from bench.handwriting import BETA_1, BETA_2, EPSILON, RATE, flat
from bench.interleave import SECONDS
from bench.subjects import DisagreementError
from bench.timing import time_epochs

pytestmark = pytest.mark.compiled
SMALL = Descent((8, 4, 3, 1), samples=25, batch=7)  # the last batch is short
FULL = Descent((8, 4, 3, 1), samples=25)
TIMED = Descent((8, 16, 16, 1), samples=1000, batch=32)
OURS = next(s for s in DESCENT_SUBJECTS if s.library == "fastnn" and s.dtype == "float64")


@pytest.mark.parametrize("subject", DESCENT_SUBJECTS, ids=lambda subject: subject.name)
def test_epoch(benchmark: BenchmarkFixture, subject: DescentSubject) -> None:
    """Its losses are those of all, of a part of the rows too; then, and only then, its time is taken."""
    if subject.missing:
        pytest.skip(subject.missing)
    problem = TIMED if benchmark.enabled else SMALL
    trainer = agreed(problem, subject)
    part = Descent(problem.network, 2 * problem.rows_of_batch, problem.batch)
    check(trainer.run(part.epochs_to_agree, part.samples), part, subject)
    time_epochs(benchmark, "grid", trainer.run, SECONDS, 3)
    if benchmark.enabled:
        benchmark.extra_info["ns"] = 1e9 * benchmark.stats.stats.median / problem.samples


@pytest.mark.parametrize("library", grid.LIBRARIES)
def test_full_batch(library: str) -> None:
    """Is one batch of all rows."""
    subject = next(s for s in DESCENT_SUBJECTS if s.library == library and s.dtype == "float64")
    if subject.missing:
        pytest.skip(subject.missing)
    agreed(FULL, subject)


@pytest.mark.parametrize("problem", [SMALL, FULL], ids=["batches", "full batch"])
def test_plain_python_is_compared(problem: Descent) -> None:
    """The losses that all are compared with are plain Python's."""
    X, y = problem.data
    net = reference.mlp(problem.network, activation="tanh")
    net.parameters = flat(problem.weights("float64")).tolist()
    history = net.fit(
        X.tolist(),
        y.tolist(),
        epochs=problem.epochs_to_agree,
        batch_size=problem.batch,
        optimizer=reference.Adam(RATE, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON),
        loss="half_sse",
        shuffle=False,
    )
    np.testing.assert_allclose(expected_losses(problem, False), history.loss, rtol=1e-13)


class Elsewhere(Descent):
    """A start in which one weight is a little larger."""

    def weights(self, dtype: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """As Descent has it."""
        layers = super().weights(dtype)
        layers[0][0][0, 0] += 1e-6
        return layers


class Backwards(Descent):
    """The same rows in another order."""

    @property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """As Descent has it."""
        X, y = super().data
        return X[::-1], y[::-1]


SHAPE = (SMALL.network, SMALL.samples)
EPOCHS = SMALL.epochs_to_agree
FAULTS = {
    "a start": lambda: NumpyDescent(Elsewhere(*SHAPE, 7), False).run(EPOCHS, shuffle=False),
    "an order": lambda: NumpyDescent(Backwards(*SHAPE, 7), False).run(EPOCHS, shuffle=False),
    "the other epsilon": lambda: NumpyDescent(SMALL, True).run(EPOCHS, shuffle=False),
    "a batch": lambda: FastnnDescent(Descent(*SHAPE, 8), "float64", "").run(EPOCHS),
    "a row less": lambda: FastnnDescent(SMALL, "float64", "").run(EPOCHS, 24),
    "float32": lambda: FastnnDescent(SMALL, "float32", "").run(EPOCHS),
    "an epoch less": lambda: FastnnDescent(SMALL, "float64", "").run(EPOCHS - 1),
    "not a number": lambda: [float("nan")] * EPOCHS,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_disagreement_is_seen(fault: str) -> None:
    """Planted faults, each in what would else pass."""
    agreed(SMALL, OURS)
    with pytest.raises(DisagreementError):
        check(FAULTS[fault](), SMALL, OURS)


def test_cells() -> None:
    """Each once; every sample count and batch has all widths up to 256, a full batch what can be afforded."""
    found = [(p.samples, p.network[1], p.batch, dtype) for p, dtype in grid.cells()]
    assert len(set(found)) == len(found)
    single = {cell[:3] for cell in found if cell[3] == "float32"}
    for width in (4, 16, 64, 256):
        assert {(100_000, width, batch) for batch in (1, 32, 256)} <= single
        assert {(1000, width, batch) for batch in grid.BATCHES} <= single
    assert (1000, 1024, None) in single
    assert not any(batch == 256 and samples == 100 for samples, _, batch in single)
    assert {cell[0] for cell in found if cell[3] == "float64"} == {grid.DOUBLE_SAMPLES}


class Sleeper(DescentTrainer):
    """Takes a known time for a row."""

    def __init__(self, problem: Descent, seconds: float) -> None:
        self.problem, self.seconds = problem, seconds

    def run(self, epochs: int, rows: int | None = None) -> Sequence[float]:
        """As DescentTrainer has it."""
        time.sleep(epochs * (rows or self.problem.samples) * self.seconds)
        return [1.0] * epochs


def test_portion() -> None:
    """Several whole epochs of what is fast, whole batches of what is slow, and a full batch always whole."""
    epochs, rows = grid.portion(Sleeper(Descent((8, 1), 1000, 10), 2e-6), 0.02)
    assert rows == 1000
    assert 3 <= epochs <= 20
    epochs, rows = grid.portion(Sleeper(Descent((8, 1), 100_000, 10), 2e-5), 0.02)
    assert epochs == 1
    assert rows % 10 == 0
    assert 200 <= rows <= 2000
    assert grid.portion(Sleeper(Descent((8, 1), 1000), 1e-4), 0.02) == (1, 1000)


def test_measure() -> None:
    """A row for each library that can be here, by its fastest way; fastnn's ratio to itself is 1."""
    libraries = ("scikit-learn", "PyTorch", "fastnn")
    rows = grid.measure(SMALL, "float32", 2, seconds=1e-3, libraries=libraries)
    installed = {s.library for s in DESCENT_SUBJECTS if s.library in libraries and not s.missing}
    assert {row["library"] for row in rows} == installed
    assert len(rows) == len(installed)
    assert all(row["ns"] > 0 and row["to_fastnn"] > 0 and row["rounds"] == 2 for row in rows)
    assert {row["to_fastnn"] for row in rows if row["library"] == "fastnn"} == {1.0}


def test_the_fastest_way_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """And hopeless ones are looked at no more."""
    speeds = {"slow": 1e-3, "fast": 2e-5, "middling": 3e-5}
    ways = [DescentSubject("asleep", "float64", DescentTrainer, layout) for layout in speeds]
    monkeypatch.setattr(grid, "DESCENT_SUBJECTS", ways)
    monkeypatch.setattr(grid, "agreed", lambda problem, subject: Sleeper(problem, speeds[subject.layout]))
    found = grid.fastest(SMALL, "float64", "asleep", seconds=0.02)
    assert [subject.layout for subject, _ in found] == ["fast"]
