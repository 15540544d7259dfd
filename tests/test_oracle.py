"""fastnn against the reference: one gradient, whole runs, and differences of the reported loss.

The reference is checked by central differences in test_reference.py, so that every number here hangs on
a chain: differences, reference, kernels, compiled loop, whole runs.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import fastnn
import reference
from tests.problems import (
    EPSILON,
    HIDDEN,
    JIT,
    KINKED,
    OUTPUT_AND_LOSS,
    OUTPUTS,
    largest_error,
    losses_for,
    problem,
)

# Samples times parameters (times epochs): the reference needs about half a microsecond for each.
WORK = 40_000 if JIT else 4_000
RUN_WORK = 160_000 if JIT else 10_000


def gradient_bound(p):
    """Of the gradient of one step, relative to its largest entry.

    In float64 the 1e-12 that the project promises. In float32 the rounding of sums, which grows with the
    root of their length, once a layer forward and once back; 8 for what cancels in the sum over samples.
    """
    if p.dtype == "float64":
        return 1e-12
    longest = max(*p.sizes, len(p.X))
    return 8 * EPSILON["float32"] * len(p.sizes) * np.sqrt(longest)


def compare_gradients(p):
    """One gradient and its loss in both libraries."""
    found, gradient = p.net.loss_and_gradient(*p.rows, loss=p.loss, sample_weight=p.weights)
    expected, of_twin = p.twin.loss_and_gradient(*p.row_lists, p.loss, p.weight_list)
    bound = gradient_bound(p)
    assert gradient.dtype == p.dtype
    # The loss of well fitted classes is a small difference of logits of about 1: hence the absolute part.
    assert found == pytest.approx(expected, rel=bound, abs=bound / 10)
    assert largest_error(gradient, of_twin) <= bound


def compare_runs(p, bound, *, momentum=0.0, nesterov=False, rate=0.01, **options):
    """A whole fit in both libraries: the loss of each epoch and the parameters at the end."""
    net, twin = p.net, p.twin
    settings = {"momentum": momentum, "nesterov": nesterov}
    found = net.fit(
        *p.rows, loss=p.loss, sample_weight=p.weights, optimizer=fastnn.SGD(rate, **settings), **options
    )
    expected = twin.fit(
        *p.row_lists,
        loss=p.loss,
        sample_weight=p.weight_list,
        optimizer=reference.SGD(rate, **settings),
        **options,
    )
    assert (found.status, found.epochs) == (expected.status, expected.epochs) == ("finished", options["epochs"])
    assert found.loss == pytest.approx(expected.loss, rel=bound, abs=bound / 10)
    assert largest_error(net.parameters, twin.parameters) <= bound
    return largest_error(p.parameters, twin.parameters)  # how far it learnt


# Every public choice by name ------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("outputs", [1, 3])
def test_gradient_for_each_hidden_activation(rng, hidden, outputs, dtype):
    compare_gradients(problem(rng, (3, 9, 6, outputs), 21, hidden=hidden, dtype=dtype, weighted=True))


@pytest.mark.parametrize(("output", "loss"), OUTPUT_AND_LOSS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_gradient_for_each_output_and_loss(rng, output, loss, outputs, dtype):
    if output == "softmax" and outputs == 1:
        outputs = 2  # softmax over one unit is refused
    compare_gradients(problem(rng, (3, 5, outputs), 21, output=output, loss=loss, dtype=dtype, weighted=True))


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_gradient_for_shares_of_classes(rng, output, dtype):
    compare_gradients(problem(rng, (3, 5, 4), 21, output=output, loss="cross_entropy", dtype=dtype, labels=False))


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
    "momentum": {"momentum": 0.9},
    "momentum in batches": {"momentum": 0.9, "batch_size": 8},
    "nesterov": {"momentum": 0.9, "nesterov": True, "batch_size": 5},
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_run_for_each_way_of_training(rng, options, weighted):
    p = problem(rng, (2, 5, 2), 21, weighted=weighted)
    # 1e-9: what the project promises of runs that are not chaotic.
    assert compare_runs(p, 1e-9, epochs=12, **options) > 1e-3


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_run_in_float32(rng, options):
    p = problem(rng, (2, 5, 2), 21, dtype="float32", weighted=True)
    # Each of at most 12·21 updates rounds once; their errors add up like a random walk, with a factor
    # of 10 for how momentum and the gradient carry them on.
    assert compare_runs(p, 10 * np.sqrt(12 * 21) * EPSILON["float32"], epochs=12, **options) > 1e-3


@pytest.mark.parametrize("hidden", HIDDEN)
def test_run_for_each_hidden_activation(rng, hidden):
    p = problem(rng, (2, 9, 3), 40, hidden=hidden)
    assert compare_runs(p, 1e-9, epochs=10, batch_size=16) > 1e-3


@pytest.mark.parametrize(("output", "loss"), OUTPUT_AND_LOSS)
def test_run_for_each_output_and_loss(rng, output, loss):
    p = problem(rng, (2, 4, 3), 30, output=output, loss=loss)
    assert compare_runs(p, 1e-9, epochs=10, batch_size=16) > 1e-3


def test_no_batch_of_weight_0_makes_an_update(rng):
    p = problem(rng, (2, 4, 1), 12, weighted=True)
    p.weights[:8] = 0.0  # two whole batches
    # With momentum an update without a gradient would still move the parameters.
    assert compare_runs(p, 1e-9, epochs=3, batch_size=4, shuffle=False, momentum=0.9) > 0


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


# Any combination ------------------------------------------------------------------------------------

# Widths around the sizes of blocks and vectors, up to 67.
WIDTH = st.one_of(st.integers(1, 9), st.sampled_from([15, 16, 17, 31, 32, 33, 64, 65, 67]))
SAMPLES = st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 127, 129, 255, 257, 511, 513, 1000]))


@st.composite
def problems(draw, work=WORK, kinks=True):
    """Networks of 1 to 5 layers with 1 to 5 outputs, and 1 to 1,000 rows, of limited work."""
    dtype = draw(st.sampled_from(["float64", "float32"]))
    # One in a million numbers lies so close to a kink that float32 rounds it to the other side.
    smooth = [] if kinks and dtype == "float64" else KINKED
    hidden = draw(st.sampled_from([name for name in HIDDEN if name not in smooth]))
    output = draw(st.sampled_from([name for name in OUTPUTS if name not in smooth]))
    loss = draw(st.sampled_from([name for name in losses_for(output) if name not in smooth]))
    sizes = draw(st.lists(WIDTH, min_size=1, max_size=5))
    sizes = [*sizes, draw(st.integers(2 if output == "softmax" else 1, 5))]
    samples = draw(SAMPLES)
    parameters = sum((a + 1) * b for a, b in pairwise(sizes))
    assume(parameters <= work)
    samples = max(1, min(samples, work // parameters))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return problem(
        rng,
        sizes,
        samples,
        hidden=hidden,
        output=output,
        loss=loss,
        dtype=dtype,
        weighted=draw(st.booleans()),
        labels=draw(st.booleans()),
    )


@given(problems())
def test_gradient_of_any_network(p):
    compare_gradients(p)


@st.composite
def ways_of_training(draw):
    """Options of fit."""
    momentum = draw(st.sampled_from([0.0, 0.5, 0.9]))
    return {
        "epochs": draw(st.integers(1, 4)),
        "batch_size": draw(st.one_of(st.none(), st.just(1), st.integers(2, 70))),
        "shuffle": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "momentum": momentum,
        "nesterov": momentum > 0 and draw(st.booleans()),
    }


@given(problems(RUN_WORK // 8), ways_of_training())
def test_any_run(p, options):
    if p.dtype == "float64":
        bound = 1e-9
    else:
        updates = options["epochs"] * -(-len(p.X) // (options["batch_size"] or len(p.X)))
        # A random walk of rounded updates, and the rounding of one gradient, both carried on by momentum.
        bound = 10 * (np.sqrt(updates) * EPSILON["float32"] + gradient_bound(p))
    # A small rate: wide networks of softplus and gelu are steep, and chaos is not what is tested.
    compare_runs(p, bound, rate=0.001, **options)


@given(problems(WORK // 20, kinks=False))
def test_reported_loss_is_the_differentiated_one(p):
    assume(len(p.parameters) <= (200 if JIT else 40))
    error = fastnn.check_gradients(p.net, *p.rows, loss=p.loss, sample_weight=p.weights)
    # h² = 1e-10 times third derivatives, and 1e-16/h = 1e-11 times the loss, both against a thousandth of
    # the largest gradient. float32: the gradient's rounding against that thousandth.
    assert error <= (1e-5 if p.dtype == "float64" else 1e3 * gradient_bound(p))


@pytest.mark.parametrize(("output", "loss"), OUTPUT_AND_LOSS)
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
