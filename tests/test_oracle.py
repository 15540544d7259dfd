"""fastnn against the reference: one gradient, whole runs, and differences of the reported loss.

The reference is checked by central differences in test_reference.py, so that every number here hangs on
a chain: differences, reference, kernels, compiled loop, whole runs.
"""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
import reference
from fastnn.activations import ACTIVATIONS
from tests.oracle import compare_gradients, compare_runs
from tests.problems import (
    EPSILON,
    HIDDEN,
    JIT,
    LOSSES_WITH_SETTINGS,
    OUTPUT_AND_LOSS,
    PAIRS,
    call,
    largest_error,
    problem,
)

# Every public choice by name ------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("outputs", [1, 3])
def test_gradient_for_each_hidden_activation(rng, hidden, outputs, dtype):
    compare_gradients(problem(rng, (3, 9, 6, outputs), 21, hidden=hidden, dtype=dtype, weighted=True))


@pytest.mark.parametrize(("output", "loss"), OUTPUT_AND_LOSS)
def test_gradient_for_each_output_and_loss(rng, output, loss, dtype):
    compare_gradients(problem(rng, (3, 5, 3), 21, output=output, loss=loss, dtype=dtype, weighted=True))


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_gradient_for_one_output(rng, output, loss, dtype):
    outputs = 2 if ACTIVATIONS[output].coupled else 1  # softmax over one unit is refused
    compare_gradients(problem(rng, (3, 5, outputs), 21, output=output, loss=loss, dtype=dtype, weighted=True))


@pytest.mark.parametrize(("output", "loss", "outputs"), LOSSES_WITH_SETTINGS, ids=str)
def test_gradient_for_settings_of_losses(rng, output, loss, outputs, dtype):
    compare_gradients(problem(rng, (3, 5, outputs), 21, output=output, loss=loss, dtype=dtype, weighted=True))


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "log_softmax"])
@pytest.mark.parametrize("loss", ["cross_entropy", call("losses.CrossEntropy", 0.1)], ids=str)
def test_gradient_for_shares_of_classes(rng, output, loss, dtype):
    compare_gradients(problem(rng, (3, 5, 4), 21, output=output, loss=loss, dtype=dtype, labels=False))


@pytest.mark.parametrize("labels", [False, True], ids=["-1 and 1", "0 and 1"])
def test_gradient_for_signs(rng, labels, dtype):
    compare_gradients(problem(rng, (3, 5, 2), 21, output="tanh", loss="hinge", dtype=dtype, labels=labels))


LAYERS = {
    "l1": lambda of: [of.Dense(5, "tanh", l1=0.02), of.Dense(2)],
    "l2": lambda of: [of.Dense(5, "tanh"), of.Dense(2, l2=0.03)],
    "both, and frozen": lambda of: [of.Dense(5, "tanh", l1=0.02, l2=0.1, trainable=False), of.Dense(2, l1=0.1)],
    "dropout does nothing": lambda of: [of.Dropout(0.5), of.Dense(5, "tanh"), of.Dropout(0.5), of.Dense(2)],
    "normalization": lambda of: [of.Dense(5, "tanh"), of.LayerNormalization(), of.Dense(2)],
    "normalization first": lambda of: [of.LayerNormalization(0.1), of.Dense(5, "gelu"), of.Dense(2)],
    "normalization, frozen": lambda of: [of.Dense(3), of.LayerNormalization(trainable=False), of.Dense(2)],
    "of one unit": lambda of: [of.Dense(1, "tanh"), of.LayerNormalization(), of.Dense(2)],
    "one after the other": lambda of: [
        of.Dense(9, "silu"),
        of.LayerNormalization(),
        of.Dropout(0.3),
        of.LayerNormalization(1e-3),
        of.Dense(2),
    ],
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_gradient_for_layers(rng, layers, dtype):
    compare_gradients(problem(rng, (3, 2), 21, layers=layers, dtype=dtype, weighted=True, l1=0.01, l2=0.02))


@pytest.mark.parametrize(
    ("sizes", "samples"),
    [
        ((1, 1), 1),
        ((2, 4, 1), 121),
        ((1, 67, 5), 9),
        ((67, 1, 3), 33),
        ((5, 4, 3, 2, 2, 3), 65),
        pytest.param((16, 16, 16, 4), 257, marks=pytest.mark.compiled),
        pytest.param((67, 66, 5), 70, marks=pytest.mark.compiled),
        pytest.param((2, 3, 1), 1000, marks=pytest.mark.compiled),
    ],
    ids=str,
)
def test_gradient_for_shapes(rng, sizes, samples, dtype):
    compare_gradients(problem(rng, sizes, samples, hidden="silu", dtype=dtype, weighted=samples > 100))


RUNS = {
    "full batch": {},
    "batches of 8": {"batch_size": 8},
    "batches of 8 in order": {"batch_size": 8, "shuffle": False},
    "one by one": {"batch_size": 1},
    "batch larger than the data": {"batch_size": 99},
    "another seed": {"batch_size": 4, "seed": 2**63 - 1},
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_run_for_each_way_of_training(rng, options, weighted):
    p = problem(rng, (2, 5, 2), 21, weighted=weighted)
    # 1e-9: what the project promises of runs that are not chaotic.
    assert compare_runs(p, 1e-9, epochs=12, **options)[0] > 1e-3


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_run_in_float32(rng, options):
    p = problem(rng, (2, 5, 2), 21, dtype="float32", weighted=True)
    # Each of at most 12·21 updates rounds once; their errors add up like a random walk, with a factor
    # of 10 for how the gradient carries them on.
    assert compare_runs(p, 10 * np.sqrt(12 * 21) * EPSILON["float32"], epochs=12, **options)[0] > 1e-3


@pytest.mark.parametrize("hidden", HIDDEN)
def test_run_for_each_hidden_activation(rng, hidden):
    p = problem(rng, (2, 9, 3), 40, hidden=hidden)
    assert compare_runs(p, 1e-9, epochs=10, batch_size=16)[0] > 1e-3


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_run_for_each_output_and_loss(rng, output, loss):
    p = problem(rng, (2, 4, 3), 30, output=output, loss=loss)
    assert compare_runs(p, 1e-9, epochs=10, batch_size=16)[0] > 1e-3


@pytest.mark.parametrize(("output", "loss", "outputs"), LOSSES_WITH_SETTINGS, ids=str)
def test_run_for_settings_of_losses(rng, output, loss, outputs):
    p = problem(rng, (2, 4, outputs), 30, output=output, loss=loss)
    assert compare_runs(p, 1e-9, epochs=10, batch_size=16)[0] > 1e-3


def test_no_batch_of_weight_0_makes_an_update(rng):
    p = problem(rng, (2, 4, 1), 12, weighted=True, l2=0.1)
    p.weights[:8] = 0.0  # two whole batches
    # With momentum an update without a gradient would still move the parameters.
    momentum = call("SGD", 0.01, momentum=0.9)
    assert compare_runs(p, 1e-9, epochs=3, batch_size=4, shuffle=False, optimizer=momentum)[0] > 0


def test_circle_of_300_epochs(dtype):
    X, y = reference.datasets.circle(10)
    epochs = 300 if JIT else 20
    net = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform", dtype=dtype)
    twin = reference.mlp([2, 4, 1], output="sigmoid", initializer="uniform")
    found = net.fit(X, y, epochs=epochs, optimizer=fastnn.SGD(10.0))
    expected = twin.fit(X, y, epochs=epochs, optimizer=reference.SGD(10.0))
    # float32: 300 updates whose roundings add up like a random walk, times 100 as the rate is 10 and the
    # path of this problem bends sharply.
    bound = 1e-9 if dtype == "float64" else 100 * np.sqrt(epochs) * EPSILON[dtype]
    assert found.loss == pytest.approx(expected.loss, rel=bound)
    assert largest_error(net.parameters, twin.parameters) <= bound


# Differences of the reported loss --------------------------------------------------------------------


@pytest.mark.parametrize(("output", "loss"), PAIRS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_differences_for_each_output_and_loss(rng, output, loss, weighted):
    p = problem(rng, (2, 3, 3), 9, output=output, loss=loss, weighted=weighted)
    error = fastnn.check_gradients(p.net, *p.rows, loss=loss, sample_weight=p.weights)
    # 1e-16/h = 1e-11 times the loss against a thousandth of the largest gradient.
    assert error <= 1e-6


@pytest.mark.parametrize("hidden", HIDDEN)
def test_differences_for_each_hidden_activation(rng, hidden):
    p = problem(rng, (2, 3, 3, 1), 9, hidden=hidden)
    assert fastnn.check_gradients(p.net, *p.rows) <= 1e-6  # as above
