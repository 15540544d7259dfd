"""Epochs of a single tile are done many at once, to the bits that they have one by one."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from tests.marks import slow

Dense = fastnn.Dense
PLAIN = (Dense(4, "tanh"), Dense(1))
# What they are done at once with; and what the loop has more to do for.
AT_ONCE = {
    "sgd": (PLAIN, {"optimizer": fastnn.SGD(0.1)}),
    "momentum": (PLAIN, {"optimizer": fastnn.SGD(0.1, momentum=0.9)}),
    "adam": (PLAIN, {"optimizer": fastnn.Adam(0.01)}),
    "weights": (PLAIN, {"sample_weight": np.linspace(0.0, 2.0, 21)}),
    "threads": (PLAIN, {"threads": 3}),
    "normalization": ((Dense(4), fastnn.LayerNormalization(), Dense(1)), {}),
}
ONE_BY_ONE = {
    "metrics": (PLAIN, {"metrics": ["mae"]}),
    "validation": (PLAIN, {"validation_split": 0.3}),
    "early stopping": (PLAIN, {"early_stopping": fastnn.EarlyStopping(monitor="loss", patience=2)}),
    "a large batch, not packed": (PLAIN, {"batch_size": 30, "shuffle": False}),
    "batches": (PLAIN, {"batch_size": 7}),
    "two rows": (PLAIN, {"batch_size": 2}),
    "clipping": (PLAIN, {"optimizer": fastnn.SGD(0.1, clip_norm=0.1)}),
    "a schedule": (PLAIN, {"optimizer": fastnn.SGD(fastnn.schedules.ExponentialDecay(0.1))}),
    "a plateau": (PLAIN, {"optimizer": fastnn.SGD(fastnn.schedules.ReduceOnPlateau(0.1, patience=1))}),
    "a line search": (PLAIN, {"optimizer": fastnn.LBFGS()}),
    "a matrix": (PLAIN, {"optimizer": fastnn.LevenbergMarquardt()}),
    "a penalty": ((Dense(4, "tanh", l2=0.1), Dense(1)), {}),
    "a bound": ((Dense(4, "tanh", max_norm=0.5), Dense(1)), {}),
    "a frozen layer": ((Dense(4, "tanh", trainable=False), Dense(1)), {}),
    "dropout": ((Dense(4, "tanh"), fastnn.Dropout(0.5), Dense(1)), {}),
}


def train(case, dtype="float64", one_by_one=False, epochs=12, rows=21, size=1.0):
    """The history and the parameters; a pause after each epoch is what keeps them from being done at once."""
    layers, options = case
    net = fastnn.Sequential([layer.copy() for layer in layers], inputs=2, dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((rows, 2)), size * rng.standard_normal(rows)
    callbacks = [lambda *_: None] if one_by_one else ()
    return net.fit(X, y, epochs=epochs, callbacks=callbacks, **options), net.parameters


def assert_same(found, expected):
    (history, parameters), (expected_history, expected_parameters) = found, expected
    assert history.status == expected_history.status
    np.testing.assert_array_equal(history.loss, expected_history.loss)
    np.testing.assert_array_equal(parameters, expected_parameters)


@pytest.mark.parametrize("dtype", ["float64", slow("float32")])
@pytest.mark.parametrize("name", [*AT_ONCE, *ONE_BY_ONE])
def test_they_have_the_same_bits(name, dtype):
    case = (AT_ONCE | ONE_BY_ONE)[name]
    assert_same(train(case, dtype), train(case, dtype, one_by_one=True))


def test_few_rows_and_many():
    """Less than a vector, and several tiles."""
    for rows in (1, 3, 5000):
        assert_same(*(train((PLAIN, {}), one_by_one=way, rows=rows) for way in (False, True)))


def test_streams_and_one_epoch(rng):
    X, y = rng.standard_normal((21, 2)), rng.standard_normal(21)
    found = []
    for data in ((X, y), ([(X[:5], y[:5]), (X[5:], y[5:])],)):
        for epochs in (1, 2, 40):
            net = fastnn.mlp([2, 4, 1], seed=1)
            found.append((net.fit(*data, epochs=epochs), net.parameters))
            assert len(net.history.loss) == epochs
    for of_array, of_blocks in zip(found[:3], found[3:], strict=True):
        assert_same(of_array, of_blocks)


@pytest.mark.parametrize("size", [1.0, 1e3])
def test_what_diverges_keeps_the_last_finite_parameters(size):
    """With the greater targets the first update is not finite, with the others the loss after it."""
    case = PLAIN, {"optimizer": fastnn.SGD(1e307)}
    found = []
    for one_by_one in (False, True):
        with pytest.warns(RuntimeWarning, match="finite"):
            found.append(train(case, one_by_one=one_by_one, size=size))
    assert_same(*found)
    assert found[0][0].status == "diverged"
    assert np.isfinite(found[0][1]).all()


COUNT = """
from fastnn.kernels import loop
from tests.test_whole_epochs import AT_ONCE, ONE_BY_ONE, PLAIN, train
right = loop._whole_epochs
done = []
loop._whole_epochs = lambda *arguments: done.append(right(*arguments)) or done[-1]
for cases, expected in (AT_ONCE, 11), (ONE_BY_ONE, 0):
    for name, case in cases.items():
        done.clear()
        train(case)
        assert sum(done) == expected, (name, done)
for rows, expected in (1, 11), (5000, 0):
    done.clear()
    train((PLAIN, {}), rows=rows)
    assert sum(done) == expected, (rows, done)
"""


def test_which_are_done_at_once(run_python):
    """In plain Python, where kernels can be watched: all but the last, or none."""
    run_python(COUNT, NUMBA_DISABLE_JIT="1")
