"""The oracle fails when something is wrong: faults planted in the reference.

A check that has never failed is not known to be one.
"""

from __future__ import annotations

import importlib
import math

import pytest

import reference
from reference import activations, layers, losses, network, optimizers, training
from tests.oracle import compare_gradients, compare_runs
from tests.problems import LOSSES_WITH_SETTINGS, OUTPUT_AND_LOSS, call, problem

# `reference.random` and the like are modules whose names functions may hide.
random = importlib.import_module("reference.random")

SMALL = 1 + 1e-10  # a hundred times the bound on gradients, and less than that on runs


def compare_all(rng, **options):
    """A gradient with three outputs and weights, and a run in shuffled batches with momentum."""
    p = problem(rng, (3, 5, 3), 21, weighted=True, **options)
    compare_gradients(p)
    for nesterov in (False, True):
        optimizer = call("SGD", 0.01, momentum=0.9, nesterov=nesterov)
        compare_runs(p, 1e-9, epochs=6, batch_size=8, optimizer=optimizer)


def test_without_a_fault_it_passes(rng):
    compare_all(rng)
    compare_all(rng, output="softmax", loss="cross_entropy")


def fails(rng, **options):
    with pytest.raises(AssertionError):
        compare_all(rng, **options)


@pytest.mark.parametrize(
    "pair",
    [
        (math.tanh, lambda z, a: SMALL * (1 - a * a)),
        (math.tanh, lambda z, a: 1 - a),
        (math.tanh, lambda z, a: 1.0),
        (lambda z: SMALL * math.tanh(z), lambda z, a: 1 - a * a),
    ],
    ids=["derivative a little off", "wrong derivative", "derivative forgotten", "value a little off"],
)
def test_activation(rng, monkeypatch, pair):
    monkeypatch.setitem(activations.ACTIVATIONS, "tanh", pair)
    fails(rng, hidden="tanh")


OF_PREDICTIONS = [
    ("mse", "identity"),
    ("half_sse", "identity"),
    ("mae", "identity"),
    ("huber", "identity"),
    ("log_cosh", "identity"),
    ("quantile", "identity"),
    ("hinge", "identity"),
]


@pytest.mark.parametrize(("name", "output"), OF_PREDICTIONS)
@pytest.mark.parametrize("part", ["value", "derivative"])
def test_loss(rng, monkeypatch, name, output, part):
    value, derivative = losses.LOSSES[name]
    if part == "value":
        wrong = (lambda p, t: SMALL * value(p, t), derivative)
    else:
        wrong = (value, lambda p, t: [SMALL * d for d in derivative(p, t)])
    monkeypatch.setitem(losses.LOSSES, name, wrong)
    fails(rng, loss=name, output=output)


@pytest.mark.parametrize(("output", "loss", "outputs"), LOSSES_WITH_SETTINGS, ids=str)
def test_settings_of_a_loss_forgotten(rng, monkeypatch, output, loss, outputs):
    p = problem(rng, (3, 5, outputs), 21, output=output, loss=loss)
    compare_gradients(p)
    usual = call(loss.name)
    wrong = type(p)(**{**vars(p), "asked": usual})
    monkeypatch.setattr(type(p), "twin_loss", wrong.twin_loss)
    with pytest.raises(AssertionError):
        compare_gradients(p)


def test_mean_over_outputs_is_not_their_sum(rng, monkeypatch):
    monkeypatch.setitem(losses.LOSSES, "mse", (losses.mse, losses.half_sse_derivative))
    fails(rng)


FROM_LOGITS = [(loss, output) for loss, by_output in losses.LOGIT_LOSSES.items() for output in by_output]


@pytest.mark.parametrize(("loss", "output"), FROM_LOGITS)
def test_derivative_by_logits(rng, monkeypatch, loss, output):
    assert (output, loss) in OUTPUT_AND_LOSS
    value, derivative = losses.LOGIT_LOSSES[loss][output]
    wrong = {**losses.LOGIT_LOSSES[loss], output: (value, lambda z, t: [*derivative(z, t)[:-1], 0.0])}
    monkeypatch.setitem(losses.LOGIT_LOSSES, loss, wrong)
    fails(rng, loss=loss, output=output)


def backward_z(self, d_z, *, weights=1.0, bias=1.0, inputs=1.0):
    """As Neuron has it, with a factor to each of its results."""
    for i, x in enumerate(self.inputs):
        self.d_weights[i] += weights * d_z * x
    self.d_bias += bias * d_z
    return [inputs * d_z * weight for weight in self.weights]


@pytest.mark.parametrize("what", ["weights", "bias", "inputs"])
@pytest.mark.parametrize("factor", [SMALL, 0.0, -1.0])
def test_gradient_of_a_neuron(rng, monkeypatch, what, factor):
    monkeypatch.setattr(layers.Neuron, "backward_z", lambda self, d_z: backward_z(self, d_z, **{what: factor}))
    fails(rng)


@pytest.mark.parametrize("gradient", ["one", "two"])
def test_gradient_overwritten_where_it_should_be_added(rng, monkeypatch, gradient):
    right = layers.Neuron.backward_z

    def overwrite(self, d_z):
        if gradient == "one":
            self.d_bias = 0.0
        else:
            self.d_weights = [0.0] * len(self.weights)
        return right(self, d_z)

    monkeypatch.setattr(layers.Neuron, "backward_z", overwrite)
    fails(rng)


def test_momentum(rng, monkeypatch):
    start = optimizers.SGD.start

    def forget(self, count):
        start(self, count)
        self.momentum *= 1 - 1e-6

    monkeypatch.setattr(optimizers.SGD, "start", forget)
    fails(rng)


def test_nesterov(rng, monkeypatch):
    update = optimizers.SGD.update

    def plain(self, parameters, gradients, rate):
        self.nesterov = False
        return update(self, parameters, gradients, rate)

    monkeypatch.setattr(optimizers.SGD, "update", plain)
    fails(rng)


@pytest.mark.parametrize("fault", ["in order", "another epoch", "one draw further"])
def test_shuffling(rng, monkeypatch, fault):
    permutation, draw = random.permutation, random.draw
    if fault == "in order":
        monkeypatch.setattr(training, "permutation", lambda n, seed, epoch: list(range(n)))
    elif fault == "another epoch":
        monkeypatch.setattr(training, "permutation", lambda n, seed, epoch: permutation(n, seed, epoch + 1))
    else:
        monkeypatch.setattr(random, "draw", lambda key, i: draw(key, i + 1))
    fails(rng)


@pytest.mark.parametrize("fault", ["ignored", "a little off", "0 counts"])
def test_weights(rng, monkeypatch, fault):
    samples = network.Sequential._samples
    wrong = {
        "ignored": lambda i, w: 1.0 if w else 0.0,
        "a little off": lambda i, w: SMALL * w if i == 3 else w,
        "0 counts": lambda i, w: w or 1e-9,
    }[fault]

    def spoilt(self, *arguments):
        return [(row, target, wrong(i, w)) for i, (row, target, w) in enumerate(samples(self, *arguments))]

    monkeypatch.setattr(network.Sequential, "_samples", spoilt)
    fails(rng)


def test_short_last_batch_dropped(rng, monkeypatch):
    batches = training.batches_of
    monkeypatch.setattr(training, "batches_of", lambda *arguments: batches(*arguments)[:-1])
    fails(rng)


# Training: regularization, schedules, validation, stopping -----------------------------------------------


def regularized(library):
    """Layers with everything that regularizes."""
    return [
        library.Dense(6, "tanh", l1=0.01, max_norm=0.9),
        library.LayerNormalization(0.01),
        library.Dropout(0.25),
        library.Dense(5, "softplus", trainable=False),
        library.Dense(2, l2=0.05),
    ]


def compare_regularized(rng, **optimizer):
    """A run with all that there is."""
    p = problem(rng, (3, 2), 30, layers=regularized, weighted=True)
    rate = call("schedules.WarmUp", call("schedules.CosineDecay", 0.02, epochs=6), epochs=2)
    compare_runs(
        p,
        1e-9,
        epochs=8,
        batch_size=7,
        optimizer=call("Adam", rate, **(optimizer or {"clip_norm": 0.3})),
        validation_split=0.3,
        metrics=("mse", "r2"),
        early_stopping=call("EarlyStopping", min_delta=0.05, patience=20),  # so that an early epoch is the best
    )


def test_without_a_fault_regularized_training_passes(rng):
    compare_regularized(rng)
    compare_regularized(rng, clip_value=0.01)


def scaled(function, factor=1 + 1e-6):
    return lambda *arguments, **settings: factor * function(*arguments, **settings)


def forget(*arguments):
    """Do nothing, in place of what should be done."""


choose, rise, start = reference.Dropout.choose, reference.schedules.WarmUp.rate, reference.EarlyStopping.start


def one_epoch_on(self, seed, epoch, layer, sample):
    choose(self, seed, epoch + 1, layer, sample)


def one_sample_on(self, seed, epoch, layer, sample):
    choose(self, seed, epoch, layer, sample + 1)


def keep_last(self, history):
    start(self, history)
    self.restore_best = False


PLANTED = {
    "penalty": (layers.Dense, "penalty", scaled(layers.Dense.penalty)),
    "derivative of the penalty": (layers.Dense, "backward_penalty", forget),
    "max_norm": (layers.Dense, "limit_norms", forget),
    "masks of another sample": (reference.Dropout, "choose", one_sample_on),
    "masks of another epoch": (reference.Dropout, "choose", one_epoch_on),
    "dropout in validation": (network.Sequential, "drop_nothing", forget),
    "schedule": (reference.schedules.CosineDecay, "rate", scaled(reference.schedules.CosineDecay.rate)),
    "warm-up": (reference.schedules.WarmUp, "rate", lambda self, s, B: rise(self, s + 1, B)),
    "clipping": (training, "clipped", lambda gradient, optimizer: gradient),
    "frozen layers": (training, "without", lambda frozen, gradient: gradient),
    "normalization": (reference.LayerNormalization, "forward", lambda self, x: scaled_row(normalize(self, x))),
    "best parameters": (reference.EarlyStopping, "start", keep_last),
}
normalize = reference.LayerNormalization.forward


def scaled_row(row):
    return [(1 + 1e-6) * value for value in row]


@pytest.mark.parametrize("fault", PLANTED)
def test_regularized_training(rng, monkeypatch, fault):
    monkeypatch.setattr(*PLANTED[fault])
    with pytest.raises(AssertionError):
        compare_regularized(rng)


@pytest.mark.parametrize("name", ["mse", "r2"])
def test_metrics(rng, monkeypatch, name):
    monkeypatch.setitem(reference.metrics.METRICS, name, scaled(reference.metrics.METRICS[name]))
    with pytest.raises(AssertionError):
        compare_regularized(rng)


def test_the_names_of_this_file_are_the_reference_s():
    """A fault planted where nobody looks would prove nothing."""
    assert training.permutation is random.permutation
    assert reference.Neuron is layers.Neuron
