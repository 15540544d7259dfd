"""What must not matter to training does not: batches for dropout, chunks, what is only watched, formats."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import plan, running
from tests.problems import EPSILON, HIDDEN, call, dropping, largest_error, made, problem


def fitted(p, **options):
    """History and network after a fit."""
    net = p.net
    options = {"epochs": 4, "optimizer": call("Adam", 0.02), "sample_weight": p.weights, **options}
    history = net.fit(*p.rows, loss=p.loss, **{name: made(value, fastnn) for name, value in options.items()})
    return history, net


def assert_same(one, other):
    """Bit for bit, in what both histories have."""
    assert_array_equal(one[1].parameters, other[1].parameters)
    assert_array_equal(one[0].loss, other[0].loss)
    assert_array_equal(one[0].learning_rate, other[0].learning_rate)


# Dropout ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [5, 41, 700])
@pytest.mark.parametrize("batch_size", [1, 4, 16, 300])
def test_masks_do_not_depend_on_batches(rng, dtype, samples, batch_size):
    def layers(library):  # without penalties, which are counted once a batch
        return [library.Dropout(0.2), library.Dense(9, "tanh"), library.Dropout(0.4), library.Dense(2)]

    p = problem(rng, (3, 2), samples, layers=layers, dtype=dtype, weighted=True)
    # At a rate that moves nothing, the loss of each epoch is that of the same rows with the same masks.
    still = call("SGD", 1e-30)
    one, other = fitted(p, optimizer=still), fitted(p, optimizer=still, batch_size=batch_size)
    bound = 4 * np.sqrt(samples) * EPSILON[dtype]  # other sums
    assert one[0].loss == pytest.approx(other[0].loss, rel=bound)
    assert len(set(one[0].loss)) == 4  # the masks are new in each epoch
    assert_array_equal(one[1].parameters, p.parameters)


@pytest.mark.parametrize("batch_size", [1, 4, 8])
def test_gradients_of_batches_add_up_to_that_of_all(rng, batch_size):
    p = problem(rng, (3, 2), 24, layers=dropping)
    rate = 1e-9  # so small that the place is the same for all batches of the epoch
    full = fitted(p, epochs=1, optimizer=call("SGD", rate))[1].parameters - p.parameters
    by_batch = fitted(p, epochs=1, optimizer=call("SGD", rate), batch_size=batch_size)[1].parameters - p.parameters
    # A difference of numbers of about 1 that is 1e-9 long has 7 digits left.
    assert largest_error(by_batch / (24 // batch_size) / rate, full / rate) < 1e-5


def test_masks_are_by_the_number_of_the_row(rng):
    p = problem(rng, (3, 2), 30, layers=dropping)
    still = call("SGD", 1e-30)
    whole = fitted(p, optimizer=still)[0].loss
    order = rng.permutation(30)
    assert abs(fitted(problem_with(p, X=p.X[order], y=p.y[order]), optimizer=still)[0].loss - whole).max() > 1e-6
    # Rows in front keep their numbers when others come behind them.
    weights = np.ones(30)
    weights[20:] = 0.0
    part = problem_with(p, X=p.X[:20], y=p.y[:20])
    assert fitted(part, optimizer=still)[0].loss == pytest.approx(
        fitted(p, optimizer=still, sample_weight=weights)[0].loss, rel=1e-14
    )


def problem_with(p, **changed):
    return type(p)(**{**vars(p), **changed})


# Chunks ----------------------------------------------------------------------------------------------

EVERYTHING = {
    "metrics": ("mse", "r2"),
    "validation_split": 0.3,
    "early_stopping": call("EarlyStopping", patience=3, min_delta=0.01),
    "optimizer": call("AdamW", call("schedules.WarmUp", call("schedules.CosineDecay", 0.05, epochs=3), epochs=1)),
}


@pytest.mark.parametrize("batch_size", [None, 1, 7])
@pytest.mark.parametrize("samples", [9, 700])
def test_chunks_do_not_matter(rng, monkeypatch, samples, batch_size, dtype):
    p = problem(rng, (3, 2), samples, layers=dropping, dtype=dtype, weighted=True)
    options = {**EVERYTHING, "batch_size": batch_size, "epochs": 3}
    whole = fitted(p, **options)
    monkeypatch.setattr(running, "CHUNK_SECONDS", 0.0)
    monkeypatch.setattr(running, "FIRST_CHUNK_OPERATIONS", 0.0)
    parts = fitted(p, **options)
    assert_same(whole, parts)
    assert_array_equal(whole[0].val_loss, parts[0].val_loss)
    for name, values in whole[0].metrics.items():
        assert_array_equal(values, parts[0].metrics[name])


@pytest.mark.parametrize("optimizer", ["LBFGS", "LevenbergMarquardt"])
def test_chunks_do_not_matter_to_a_line_search(rng, monkeypatch, optimizer):
    p = problem(rng, (3, 5, 2), 700)
    options = {"optimizer": call(optimizer), "epochs": 5, "metrics": ["r2"], "validation_split": 0.3}
    whole = fitted(p, **options)
    monkeypatch.setattr(running, "CHUNK_SECONDS", 0.0)
    monkeypatch.setattr(running, "FIRST_CHUNK_OPERATIONS", 0.0)
    assert_same(whole, fitted(p, **options))


# Tiles that are asked for before their turn -----------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"memory_limit": "100 KB"}, {"batch_size": 600, "shuffle": False}, {"threads": 2}], ids=str
)
def test_fetching_ahead_does_not_matter(rng, monkeypatch, options, dtype):
    def layers(library):  # of 17 units in groups of three, of two in groups of one, and of a softmax
        return [library.Dense(17, "tanh"), library.Dropout(0.2), library.Dense(2), library.Dense(3, "softmax")]

    p = problem(rng, (4, 3), 1800, layers=layers, loss="cross_entropy", dtype=dtype)
    X = p.rows[0]
    monkeypatch.setattr(plan, "CACHE_BYTES", 1 << 40)
    whole = fitted(p, epochs=2, **options)
    predictions = whole[1].predict(X)
    monkeypatch.setattr(plan, "CACHE_BYTES", 0)
    parts = fitted(p, epochs=2, **options)
    assert_same(whole, parts)
    assert_array_equal(parts[1].predict(X), predictions)


# What only looks on ----------------------------------------------------------------------------------

WATCHING = {
    "validation": {"validation_data": True},
    "metrics": {"metrics": ["mse", "mae", "rmse", "r2", "explained_variance"]},
    "both": {"validation_data": True, "metrics": ["mse"]},
    "early stopping": {"early_stopping": call("EarlyStopping", patience=99, restore_best=False)},
    "a callback": {"callbacks": [fastnn.Callback()]},
    "a constant schedule": {"optimizer": call("Adam", call("schedules.StepDecay", 0.02, every=99))},
    "a bound that is far away": {"optimizer": call("Adam", 0.02, clip_norm=1e30)},
    "another bound": {"optimizer": call("Adam", 0.02, clip_value=1e30)},
}


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("options", WATCHING.values(), ids=WATCHING)
def test_watching_changes_nothing(rng, options, batch_size, dtype):
    p = problem(rng, (3, 2), 41, layers=dropping, dtype=dtype, weighted=True)
    if "validation_data" in options:
        options = {**options, "validation_data": (p.X[:9], p.y[:9], p.weights[:9] + 1)}
    assert_same(fitted(p, batch_size=batch_size), fitted(p, batch_size=batch_size, **options))


@pytest.mark.parametrize("optimizer", fastnn.optimizers.OPTIMIZERS)
def test_watching_changes_no_optimizer(rng, optimizer):
    p = problem(rng, (3, 4, 2), 41)
    plain = fitted(p, optimizer=optimizer)
    watched = fitted(
        p, optimizer=optimizer, validation_data=p.rows, metrics=["mse"], callbacks=[fastnn.Callback()]
    )
    assert_same(plain, watched)
    assert watched[0].val_loss[:-1] == pytest.approx(watched[0].loss[1:], rel=1e-14)


def test_a_layer_that_does_nothing_changes_nothing(rng, dtype):
    def plain(library):
        return [library.Dense(5, "tanh"), library.Dense(2)]

    def with_nothing(library):
        return [library.Dense(5, "tanh", l1=0.0, l2=0.0, max_norm=1e30), library.Dropout(0.0), library.Dense(2)]

    p = problem(rng, (3, 2), 41, layers=plain, dtype=dtype)
    assert_same(fitted(p), fitted(problem_with(p, layers=with_nothing)))


@pytest.mark.parametrize("batch_size", [None, 7])
def test_dataset_for_validation_is_the_same_as_its_arrays(rng, batch_size, dtype):
    p = problem(rng, (3, 5, 2), 41, dtype=dtype, weighted=True)
    rows = (p.X, p.y, p.weights)
    one = fitted(p, validation_data=rows, metrics=["mse"], batch_size=batch_size)
    other = fitted(p, validation_data=fastnn.Dataset(*rows), metrics=["mse"], batch_size=batch_size)
    assert_same(one, other)
    assert_array_equal(one[0].val_loss, other[0].val_loss)
    assert_array_equal(one[0].metrics["val_mse"], other[0].metrics["val_mse"])


# Weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 6])
def test_rows_of_weight_0_count_for_nothing(rng, batch_size):
    p = problem(rng, (3, 2), 24, layers=dropping, weighted=True)
    assert not p.weights.all()
    spoilt = problem_with(p, X=p.X.copy(), y=p.y.copy())
    spoilt.X[p.weights == 0] = 3.0
    spoilt.y[p.weights == 0] = -7.0
    options = {"batch_size": batch_size, "metrics": ["mse", "r2"]}
    one, other = fitted(p, **options), fitted(spoilt, **options)
    assert_same(one, other)
    for name, values in one[0].metrics.items():
        assert_array_equal(values, other[0].metrics[name])


def test_val_loss_is_that_of_evaluate(rng, dtype):
    p = problem(rng, (3, 2), 24, layers=dropping, dtype=dtype, weighted=True)
    history, net = fitted(p, validation_data=(p.X, p.y, p.weights))
    assert net.evaluate(*p.rows, loss=p.loss, sample_weight=p.weights) == pytest.approx(
        history.val_loss[-1], rel=4 * EPSILON[dtype]
    )


@pytest.mark.parametrize("hidden", HIDDEN)
def test_restored_parameters_are_those_of_the_best_epoch(rng, hidden):
    p = problem(rng, (3, 5, 2), 24, hidden=hidden)
    options = {"optimizer": call("SGD", 0.2), "batch_size": 5, "validation_data": (p.X[:9], p.y[:9])}
    history, net = fitted(p, epochs=9, early_stopping=call("EarlyStopping", patience=4), **options)
    assert_array_equal(net.parameters, fitted(p, epochs=history.best_epoch, **options)[1].parameters)
