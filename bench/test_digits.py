"""An epoch of mini-batches with pytest-benchmark: a row a library, dtype and way to write it."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import reference
from bench import digits
from bench.handwriting import BATCH, BETA_1, BETA_2, EPSILON, NETWORK, RATE, Digits, MadeUp, flat
from bench.minibatch_subjects import (
    MINIBATCH_FASTNN,
    MINIBATCH_SUBJECTS,
    FastnnMinibatches,
    NumpyMinibatches,
    NumpyOfSecondForm,
    agreed,
    check,
    expected_losses,
)
from bench.subjects import DisagreementError, Subject
from bench.timing import time_epochs

pytestmark = pytest.mark.compiled
SMALL = MadeUp(rows=3 * BATCH + 8)


@pytest.mark.parametrize("subject", MINIBATCH_SUBJECTS, ids=lambda subject: subject.name)
def test_epoch(benchmark: BenchmarkFixture, subject: Subject) -> None:
    """Its losses without shuffling are those of all; then, and only then, its time with shuffling is taken."""
    if subject.missing:
        pytest.skip(subject.missing)
    if benchmark.enabled:
        pytest.importorskip("sklearn", reason="scikit-learn, which has the digits, is not installed")
    problem = digits.WHOLE if benchmark.enabled else SMALL
    run = agreed(problem, subject).run
    time_epochs(benchmark, "digits", run, digits.SECONDS, problem.epochs_to_agree)
    if benchmark.enabled:
        benchmark.extra_info["ms"] = 1e3 * benchmark.stats.stats.median  # of an epoch


@pytest.mark.parametrize("subject", MINIBATCH_SUBJECTS, ids=lambda subject: subject.name)
def test_shuffling_shuffles(subject: Subject) -> None:
    """With another order other losses, and all the same learning."""
    if subject.missing:
        pytest.skip(subject.missing)
    trainer = subject.trainer(SMALL, subject.dtype, subject.layout)
    losses, in_order = np.asarray(trainer.run(5)), np.asarray(trainer.run(5, shuffle=False))
    assert losses[-1] < losses[0]
    assert np.abs(losses / in_order - 1.0).max() > 1e-4


def test_plain_python_is_compared() -> None:
    """The losses that all are compared with are plain Python's."""
    problem = MadeUp(rows=BATCH + 8, epochs_to_agree=2)
    X, y = problem.data
    net = reference.mlp(NETWORK, activation="relu", output="softmax")
    net.parameters = flat(problem.weights("float64")).tolist()
    history = net.fit(
        X.tolist(),
        y.tolist(),
        epochs=2,
        batch_size=BATCH,
        optimizer=reference.Adam(RATE, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON),
        loss="cross_entropy",
        shuffle=False,
    )
    np.testing.assert_allclose(expected_losses(problem, False), history.loss, rtol=1e-13)


class Elsewhere(MadeUp):
    """A start in which one weight is a little larger."""

    def weights(self, dtype: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """As Digits has it."""
        layers = super().weights(dtype)
        layers[0][0][0, 0] += 1e-6
        return layers


class Backwards(MadeUp):
    """The same rows in another order."""

    @property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """As Digits has it."""
        X, y = super().data
        return X[::-1], y[::-1]


def _losses(problem: Digits, trainer: type[NumpyMinibatches] = NumpyMinibatches) -> list[float]:
    return list(trainer(problem, "float64", "").run(SMALL.epochs_to_agree, shuffle=False))


FAULTS = {
    "a start": lambda: _losses(Elsewhere(SMALL.rows)),
    "an order": lambda: _losses(Backwards(SMALL.rows)),
    "the other epsilon": lambda: _losses(SMALL, NumpyOfSecondForm),
    "shuffled": lambda: FastnnMinibatches(SMALL, "float64", "").run(SMALL.epochs_to_agree),
    "float32": lambda: FastnnMinibatches(SMALL, "float32", "").run(SMALL.epochs_to_agree, shuffle=False),
    "an epoch less": lambda: _losses(SMALL)[1:],
    "not a number": lambda: [float("nan")] * SMALL.epochs_to_agree,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_disagreement_is_seen(fault: str) -> None:
    """Planted faults, each in what would else pass."""
    subject = MINIBATCH_FASTNN["float64"]
    agreed(SMALL, subject)
    with pytest.raises(DisagreementError):
        check(FAULTS[fault](), SMALL, subject)


def test_measure_takes_all_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every subject that can be here has a row; fastnn's ratio to itself is 1."""
    monkeypatch.setattr(digits, "MINIBATCH_SUBJECTS", [s for s in MINIBATCH_SUBJECTS if s.library != "JAX"])
    rows = digits.measure(2, SMALL, seconds=1e-4)
    assert len(rows) == sum(not s.missing for s in MINIBATCH_SUBJECTS if s.library != "JAX")
    assert all(row["ms"] > 0 and row["to_fastnn"] > 0 for row in rows)
    assert {row["to_fastnn"] for row in rows if row["library"] == "fastnn"} == {1.0}
