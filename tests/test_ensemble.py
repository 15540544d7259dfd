"""Ensembles: the mean and the spread of what networks predict."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
from fastnn import Ensemble, each
from tests.problems import EPSILON, JIT

X, Y = fastnn.datasets.circle(10)


def networks(count=5, dtype="float64", outputs=1, **options):
    return [fastnn.mlp([2, 4, outputs], seed=seed, dtype=dtype, **options) for seed in range(count)]


def mean_and_spread(nets, rows):
    """In plain Python, number by number."""
    predictions = [net.predict(rows).tolist() for net in nets]
    means, spreads = [], []
    for i in range(len(rows)):
        columns = list(zip(*(p[i] for p in predictions), strict=True))
        means.append([sum(column) / len(column) for column in columns])
        spreads.append(
            [
                (sum((p - mean) ** 2 for p in column) / len(column)) ** 0.5
                for column, mean in zip(columns, means[-1], strict=True)
            ]
        )
    return means, spreads


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("outputs", [1, 3])
def test_mean_and_spread(count, outputs, dtype):
    ensemble = Ensemble(networks(count, dtype, outputs))
    mean, spread = ensemble.predict(X, return_std=True)
    expected, expected_spread = mean_and_spread(ensemble, X)
    assert mean.dtype == spread.dtype == np.float64
    assert mean.shape == spread.shape == (len(X), outputs)
    assert_allclose(mean, expected, rtol=0, atol=count * EPSILON["float64"])
    assert_allclose(spread, expected_spread, rtol=1e-12, atol=count * EPSILON["float64"])
    assert_array_equal(ensemble.predict(X), mean)


def test_threads_change_no_bit(dtype):
    ensemble = Ensemble(networks(3, dtype, 2))
    rows = np.tile(X, (200 if JIT else 2, 1))
    both = [ensemble.predict(rows, return_std=True, threads=count) for count in (1, 3)]
    assert_array_equal(both[1], both[0])
    assert_array_equal(ensemble.predict(rows, threads=2), both[0][0])
    assert_array_equal(ensemble.predict(rows), both[0][0])


def test_the_spread_of_one_is_zero():
    assert_array_equal(Ensemble(networks(1)).predict(X, return_std=True)[1], 0)


def test_spread_of_close_predictions():
    """No digits are lost where the mean is a million times the spread."""
    nets = networks(3)
    for shift, net in zip((0.0, 1.0, 2.0), nets, strict=True):
        net.parameters = np.zeros(len(net.parameters))
        net.layers[-1].bias[:] = 1e6 + shift
    assert_allclose(Ensemble(nets).predict(X, return_std=True)[1], (2 / 3) ** 0.5, rtol=1e-12)


def test_probabilities_stay_such():
    ensemble = Ensemble(networks(4, outputs=3, output="softmax"))
    mean = ensemble.predict(X)
    assert (mean >= 0).all()
    assert_allclose(mean.sum(axis=1), 1, rtol=1e-14)


def test_fit():
    """As fit_many does it."""
    ensemble, twins = Ensemble(networks()), networks()
    rates = each([fastnn.SGD(0.1 * (1 + i)) for i in range(5)])
    fits = ensemble.fit(X, Y, epochs=3, optimizer=rates, threads=2)
    fastnn.fit_many(twins, X, Y, epochs=3, optimizer=rates)
    assert fits.networks == tuple(ensemble)
    for net, twin in zip(ensemble, twins, strict=True):
        assert_array_equal(net.parameters, twin.parameters)


def test_a_sequence_of_networks():
    nets = networks(3)
    ensemble = Ensemble(iter(nets))
    assert len(ensemble) == 3
    assert list(ensemble) == nets
    assert ensemble[1] is nets[1]
    assert ensemble[1:] == tuple(nets[1:])
    assert repr(ensemble) == "<Ensemble: 3 networks, 2 inputs, 1 outputs>"


def test_networks_may_differ_within():
    nets = [fastnn.mlp([2, 3, 1]), fastnn.mlp([2, 9, 9, 1], dtype="float32")]
    assert_allclose(Ensemble(nets).predict(X), mean_and_spread(nets, X)[0], rtol=1e-12)


NET = fastnn.mlp([2, 1])
REFUSED = {
    "none": ([], ValueError, "networks is empty"),
    "no network": ([NET, 3], TypeError, "networks[1] is 3; a Sequential is needed"),
    "inputs": (
        [NET, fastnn.mlp([3, 1])],
        ValueError,
        "networks[1] has 3 input(s) and 1 output(s), and networks[0] 2 and 1; they have to be the same",
    ),
    "outputs": ([NET, fastnn.mlp([2, 2])], ValueError, "networks[1] has 2 input(s) and 2 output(s)"),
    "twice": ([NET, fastnn.mlp([2, 1]), NET], ValueError, "networks[2] stands in the ensemble twice"),
}


@pytest.mark.parametrize(("nets", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(nets, error, message):
    with pytest.raises(error, match=re.escape(message)):
        Ensemble(nets)


def test_refused_predictions():
    ensemble = Ensemble(networks(2))
    with pytest.raises(ValueError, match=re.escape("X has 3 column(s); (rows, 2) is needed")):
        ensemble.predict(np.ones((2, 3)))
    for given in (X, X[:1]):
        with pytest.raises(ValueError, match="threads is 0; a whole number from 1 to 1024 is needed"):
            ensemble.predict(given, threads=0)
    with pytest.raises(TypeError, match="return_std is 1; True or False is needed"):
        ensemble.predict(X, return_std=1)
