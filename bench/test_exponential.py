"""The matrix exponential of SimpleChains, with pytest-benchmark."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import exponential
from bench.descent import MatrixExponential, exponentials
from bench.descent_subjects import DESCENT_SUBJECTS, DescentSubject, agreed
from bench.timing import divide_times

pytestmark = pytest.mark.compiled
SUBJECTS = [s for s in DESCENT_SUBJECTS if s.library in exponential.TIMED and s.dtype == exponential.DTYPE]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_epochs(benchmark: BenchmarkFixture, subject: DescentSubject) -> None:
    """Its losses are those of all, with four outputs too; then, and only then, its time is taken."""
    if subject.missing:
        pytest.skip(subject.missing)
    problem = MatrixExponential() if benchmark.enabled else MatrixExponential(samples=40)
    trainer = agreed(problem, subject)
    epochs = exponential.TIMED[subject.library] if benchmark.enabled else 1
    benchmark.group = "matrix exponential"
    benchmark.pedantic(trainer.run, args=(epochs,), rounds=5, warmup_rounds=1)
    divide_times(benchmark, epochs / exponential.EPOCHS)


def test_exponentials() -> None:
    """Are those of the power series, whether the eigenvalues are real or not."""
    X, y = MatrixExponential(samples=200).data
    discriminant = (X[:, 0] - X[:, 3]) ** 2 + 4.0 * X[:, 1] * X[:, 2]
    assert 20 < (discriminant < 0.0).sum() < 180
    matrices = X.reshape(-1, 2, 2)
    term = series = np.broadcast_to(np.eye(2), matrices.shape)
    for k in range(1, 60):
        term = term @ matrices / k
        series = series + term
    np.testing.assert_allclose(y, series.reshape(-1, 4), rtol=1e-9, atol=1e-9)
    rotation = exponentials(np.array([[0.0, -math.pi / 2, math.pi / 2, 0.0]]))
    np.testing.assert_allclose(rotation, [[0.0, -1.0, 1.0, 0.0]], atol=1e-15)


def test_seconds_are_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the epochs that were timed to 10,000."""
    monkeypatch.setattr(exponential, "in_turns", lambda runs, rounds: dict.fromkeys(runs, np.array([0.3])))
    epochs = {"fastnn": 300, "PyTorch": 100}
    rows = exponential.measure(1, MatrixExponential(samples=40), epochs)
    assert rows[0]["library"] == "fastnn"
    assert rows[0]["seconds"] == pytest.approx(10.0)
    if len(rows) > 1:  # PyTorch is installed
        assert rows[1]["seconds"] == pytest.approx(30.0)
        assert rows[1]["to_fastnn"] == pytest.approx(3.0)
