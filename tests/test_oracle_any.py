"""fastnn against the reference: any network, any way of training, drawn by hypothesis."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

import fastnn
from fastnn.activations import ACTIVATIONS
from tests.oracle import compare_gradients, compare_runs, gradient_bound
from tests.problems import EPSILON, HIDDEN, JIT, KINKED, OUTPUTS, call, largest_error, losses_for, made, problem

# Samples times parameters (times epochs): the reference needs about half a microsecond for each.
WORK = 40_000 if JIT else 4_000
RUN_WORK = 160_000 if JIT else 10_000

# Widths around the sizes of blocks and vectors, up to 67.
WIDTH = st.one_of(st.integers(1, 9), st.sampled_from([15, 16, 17, 31, 32, 33, 64, 65, 67]))
SAMPLES = st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 127, 129, 255, 257, 511, 513, 1000]))


@st.composite
def problems(draw, work=WORK, kinks=True):
    """Networks of 1 to 5 layers with 1 to 5 outputs, and 1 to 1,000 rows, of limited work."""
    dtype = draw(st.sampled_from(["float64", "float32"]))
    # One in a million numbers lies so close to a kink that float32 rounds it to the other side.
    smooth = [] if kinks and dtype == "float64" else [*KINKED]
    # e**z of wide layers grows beyond bounds; it has cases of its own.
    wild = ["exponential"]
    hidden = draw(st.sampled_from([name for name in HIDDEN if name not in smooth + wild]))
    output = draw(st.sampled_from([name for name in OUTPUTS if name not in smooth + wild]))
    loss = draw(st.sampled_from([name for name in losses_for(output) if name not in smooth]))
    sizes = draw(st.lists(WIDTH, min_size=1, max_size=5))
    sizes = [*sizes, draw(st.integers(2 if ACTIVATIONS[output].coupled else 1, 5))]
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
        layers=draw(layers_of(sizes, hidden, output)),
        l1=draw(st.sampled_from([0.0, 0.0, 0.01])),
        l2=draw(st.sampled_from([0.0, 0.0, 0.02])),
    )


@st.composite
def layers_of(draw, sizes, hidden, output):
    """Dense layers with bounds of their own, and others between them."""
    plan = []
    for units in sizes[1:-1]:
        own = {
            "l1": draw(st.sampled_from([None, None, 0.03])),
            "l2": draw(st.sampled_from([None, None, 0.0, 0.04])),
            "max_norm": draw(st.sampled_from([None, None, 0.8])),
            "trainable": draw(st.sampled_from([True, True, True, False])),
        }
        plan.append(call("Dense", units, hidden, **own))
        others = [None, call("Dropout", 0.25), call("LayerNormalization", 0.01)]
        # The normalization of one or two units is steep.
        plan.append(draw(st.sampled_from(others[: 3 if units > 4 else 2])))
    plan.append(call("Dense", sizes[-1], output))
    return lambda library: [made(layer, library) for layer in plan if layer is not None]


def is_steady(p):
    """Whether the gradient stays when parameters are rounded; that of a unit of silu near its minimum does not."""
    gradients, signs = [], np.where(np.arange(len(p.parameters)) % 2, 1.0, -1.0)
    for change in (0.0, EPSILON[p.dtype], EPSILON[p.dtype] * signs):
        twin = p.twin
        twin.parameters = (p.parameters.astype(float) * (1.0 + change)).tolist()
        gradients.append(np.array(twin.loss_and_gradient(*p.row_lists, p.twin_loss, p.weight_list)[1]))
    return max(largest_error(other, gradients[0]) for other in gradients[1:]) <= gradient_bound(p) / 2


@given(problems())
def test_gradient_of_any_network(p):
    assume(p.dtype == "float64" or is_steady(p))
    compare_gradients(p)


@st.composite
def ways_of_training(draw):
    """Options of fit."""
    bounds = [{}, {}, {"clip_norm": 0.5}, {"clip_value": 0.05}]
    # A small rate: wide networks of softplus and gelu are steep, and chaos is not what is tested. Other optimizers
    # divide by the gradient, which for a rounded 0 is chaos too: they have cases of their own.
    rate = draw(
        st.sampled_from(
            [
                0.001,
                call("schedules.CosineDecay", 0.001, epochs=3),
                call("schedules.WarmUp", call("schedules.ExponentialDecay", 0.001, factor=0.5), epochs=2),
            ]
        )
    )
    momentum = draw(st.sampled_from([0.0, 0.5, 0.9]))
    nesterov = momentum > 0 and draw(st.booleans())
    return {
        "epochs": draw(st.integers(1, 4)),
        "batch_size": draw(st.one_of(st.none(), st.just(1), st.integers(2, 70))),
        "shuffle": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "optimizer": call("SGD", rate, momentum=momentum, nesterov=nesterov, **draw(st.sampled_from(bounds))),
        "metrics": draw(st.sampled_from([(), ("mse", "r2"), ("mae",)])),
        "validation_split": draw(st.sampled_from([None, None, 0.3])),
        "early_stopping": draw(st.sampled_from([None, call("EarlyStopping", patience=1, min_delta=0.01)])),
    }


@given(problems(RUN_WORK // 8), ways_of_training())
def test_any_run(p, options):
    if options["validation_split"] is not None:
        assume(len(p.X) > 1)
        assume(p.weights is None or len(p.X) > 30)  # so that both parts have some weight
    if p.dtype == "float64":
        bound = 1e-9
    else:
        assume(options["early_stopping"] is None)  # a rounding may decide which epoch is better
        updates = options["epochs"] * -(-len(p.X) // (options["batch_size"] or len(p.X)))
        # A random walk of rounded updates, and the rounding of one gradient, both carried on by momentum.
        bound = 10 * (np.sqrt(updates) * EPSILON["float32"] + gradient_bound(p))
    compare_runs(p, bound, **options)


@given(problems(WORK // 20, kinks=False))
def test_reported_loss_is_the_differentiated_one(p):
    assume(len(p.parameters) <= (200 if JIT else 40))
    error = fastnn.check_gradients(p.net, *p.rows, loss=p.loss, sample_weight=p.weights)
    # h² = 1e-10 times third derivatives, and 1e-16/h = 1e-11 times the loss, both against a thousandth of
    # the largest gradient. float32: the gradient's rounding against that thousandth.
    assert error <= (1e-5 if p.dtype == "float64" else 1e3 * gradient_bound(p))
