"""fastnn against the reference: batches smaller than a vector; the smallest are gone through row by row."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
import reference
from fastnn.kernels.simd import LANES
from fastnn.loss_kinds import Kind, loss_of
from tests.oracle import compare_runs
from tests.problems import JIT, call, losses_for, problem
from tests.test_oracle_training import FULL_BATCH, LAYERS, OPTIMIZERS, SCHEDULES

EPOCHS = 4 if JIT else 2
MOST = LANES[np.dtype("float64")]


@pytest.mark.parametrize("batch_size", sorted({1, 2, 3, 7, MOST - 1, MOST, MOST + 1}))
@pytest.mark.parametrize("sizes", [(2, 4, 1), (3, 17, 2), (3, 5, 1, 9, 4)], ids=str)
def test_batch_size(rng, sizes, batch_size, dtype):
    p = problem(rng, sizes, 22, dtype=dtype)
    bound = 1e-9 if dtype == "float64" else 1e-4
    assert compare_runs(p, bound, epochs=EPOCHS, batch_size=batch_size)[0] > 1e-3


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if OPTIMIZERS[name].name not in FULL_BATCH])
def test_optimizer(rng, name, weighted):
    p = problem(rng, (2, 5, 2), 11, weighted=weighted)
    compare_runs(p, 1e-9, optimizer=OPTIMIZERS[name], epochs=EPOCHS, batch_size=1)


OUTPUTS = [(o, loss, n) for o in ("identity", "sigmoid") for loss in losses_for(o) for n in (1, 3)]
OUTPUTS += [(o, loss, 3) for o in ("softmax", "log_softmax") for loss in losses_for(o)]


@pytest.mark.parametrize(("output", "loss", "outputs"), OUTPUTS)
def test_output_and_loss(rng, output, loss, outputs):
    if outputs == 1 and loss_of(loss).kind is Kind.LABELS:
        pytest.skip("one class is none")
    p = problem(rng, (3, 4, outputs), 9, output=output, loss=loss)
    compare_runs(p, 1e-9, epochs=EPOCHS, batch_size=1, optimizer=call("SGD", 1e-3))


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_layers(rng, layers, batch_size):
    p = problem(rng, (3, 2), 11, layers=layers, weighted=batch_size > 1)
    compare_runs(p, 1e-9, epochs=EPOCHS, batch_size=batch_size, optimizer=call("AdamW", 0.01))


@pytest.mark.parametrize("name", ["StepDecay", "WarmUp", "ReduceOnPlateau"])
def test_schedule(rng, name):
    p = problem(rng, (2, 4, 1), 11)
    compare_runs(p, 1e-9, optimizer=call("SGD", SCHEDULES[name]), epochs=5, batch_size=1)


@pytest.mark.parametrize("bound", [{"clip_value": 0.03}, {"clip_norm": 0.2}], ids=str)
def test_clipping(rng, bound):
    p = problem(rng, (2, 5, 2), 11)
    compare_runs(p, 1e-9, optimizer=call("SGD", 0.1, **bound), epochs=EPOCHS, batch_size=1)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_metrics_validation_and_clipping(rng, batch_size):
    p, other = problem(rng, (2, 5, 3), 11, output="softmax", loss="cross_entropy"), problem(rng, (2, 5, 3), 9)
    labels = rng.integers(3, size=9)
    compare_runs(
        p,
        1e-9,
        optimizer=call("AdamW", 0.01, clip_norm=0.1),
        epochs=EPOCHS,
        batch_size=batch_size,
        metrics=["accuracy"],
        validation_data=(other.X, labels),
    )


@pytest.mark.parametrize("options", [{}, {"metrics": ["mae"]}], ids=["quick", "with metrics"])
@pytest.mark.parametrize("rate", [1e3, 1.7e308])  # a loss is infinite at last; a parameter is at once
def test_divergence(rng, rate, options):
    p = problem(rng, (2, 4, 1), 11, hidden="relu")
    p.y[:] *= 10.0
    net = p.net
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        history = net.fit(*p.rows, epochs=9, batch_size=1, optimizer=fastnn.SGD(rate), verbose=0, **options)
    twin = p.twin
    with pytest.warns(RuntimeWarning, match="diverged"):
        expected = twin.fit(*p.row_lists, epochs=9, batch_size=1, optimizer=reference.SGD(rate), **options)
    assert (history.status, history.epochs) == (expected.status, expected.epochs) == ("diverged", expected.epochs)
    assert np.allclose(net.parameters, twin.parameters, rtol=1e-9)


def test_the_quick_way_has_the_same_bits(rng, dtype):
    for batch_size in (1, 2):
        p = problem(rng, (2, 4, 3), 23, dtype=dtype)
        options = {"epochs": 5, "batch_size": batch_size, "optimizer": fastnn.Adam(0.01), "verbose": 0}
        quick, slow = p.net, p.net
        one = quick.fit(*p.rows, **options)
        other = slow.fit(*p.rows, metrics=["mae"], **options)  # keeps it from the quick way
        assert (quick.parameters == slow.parameters).all()
        assert (one.loss == other.loss).all()


def test_first_batch_has_the_bits_of_lanes_of_samples(rng, dtype):
    p = problem(rng, (2, 4, 1), 1, dtype=dtype)  # one unit after the hidden layer: nothing is summed over units
    row_by_row, in_lanes = p.net, p.net
    one = row_by_row.fit(*p.rows, epochs=20, batch_size=1, verbose=0)
    other = in_lanes.fit(*p.rows, epochs=20, batch_size=None, verbose=0)
    assert (one.loss == other.loss).all()
    assert (row_by_row.parameters == in_lanes.parameters).all()
