"""The oracle fails when something is wrong: faults planted in the reference, and in the kernels.

A check that has never failed is not known to be one.
"""

from __future__ import annotations

import importlib
import math

import pytest

import reference
from reference import activations, layers, losses, network, optimizers
from tests.problems import problem
from tests.test_oracle import compare_gradients, compare_runs

# `reference.random` and the like are modules whose names functions may hide.
random = importlib.import_module("reference.random")

SMALL = 1 + 1e-10  # a hundred times the bound on gradients, and less than that on runs


def compare_all(rng, **options):
    """A gradient with three outputs and weights, and a run in shuffled batches with momentum."""
    p = problem(rng, (3, 5, 3), 21, weighted=True, **options)
    compare_gradients(p)
    compare_runs(p, 1e-9, epochs=6, batch_size=8, momentum=0.9)
    compare_runs(p, 1e-9, epochs=6, batch_size=8, momentum=0.9, nesterov=True)


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


@pytest.mark.parametrize("name", ["mse", "half_sse", "mae"])
def test_loss_derivative(rng, monkeypatch, name):
    value, derivative = losses.LOSSES[name]
    monkeypatch.setitem(losses.LOSSES, name, (value, lambda p, t: [SMALL * d for d in derivative(p, t)]))
    fails(rng, loss=name)


@pytest.mark.parametrize("name", ["mse", "half_sse", "mae"])
def test_loss_value(rng, monkeypatch, name):
    value, derivative = losses.LOSSES[name]
    monkeypatch.setitem(losses.LOSSES, name, (lambda p, t: SMALL * value(p, t), derivative))
    fails(rng, loss=name)


def test_mean_over_outputs_is_not_their_sum(rng, monkeypatch):
    monkeypatch.setitem(losses.LOSSES, "mse", (losses.mse, losses.half_sse_derivative))
    fails(rng)


@pytest.mark.parametrize(
    ("loss", "output"),
    [("cross_entropy", "softmax"), ("cross_entropy", "sigmoid"), ("binary_cross_entropy", "sigmoid")],
)
def test_derivative_by_logits(rng, monkeypatch, loss, output):
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

    def plain(self, parameters, gradients):
        self.nesterov = False
        return update(self, parameters, gradients)

    monkeypatch.setattr(optimizers.SGD, "update", plain)
    fails(rng)


@pytest.mark.parametrize("fault", ["in order", "another epoch", "one draw further"])
def test_shuffling(rng, monkeypatch, fault):
    permutation, draw = random.permutation, random.draw
    if fault == "in order":
        monkeypatch.setattr(network, "permutation", lambda n, seed, epoch: list(range(n)))
    elif fault == "another epoch":
        monkeypatch.setattr(network, "permutation", lambda n, seed, epoch: permutation(n, seed, epoch + 1))
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
    batches = network._batches
    monkeypatch.setattr(network, "_batches", lambda *arguments: batches(*arguments)[:-1])
    fails(rng)


# Faults in the kernels, as plain Python ----------------------------------------------------------------

KERNELS = """
import sys
import numpy as np
from fastnn.kernels import activations, dense, losses, loop, optimizers, tile
from tests.problems import problem
from tests.test_oracle import compare_gradients, compare_runs

def compare():
    p = problem(np.random.default_rng(1), (3, 5, 3), 21, weighted=True)
    compare_gradients(p)
    compare_runs(p, 1e-9, epochs=2, batch_size=8, momentum=0.9)
    # More rows than a tile has.
    compare_gradients(problem(np.random.default_rng(1), (1, 3, 1), 900))

def activation(right):
    def wrong(z):
        value, slope = right(z)
        return value, slope * (1 + 1e-10)
    return wrong

def loss(right):
    return lambda z, y, t: right(z, y, t) * (1 + 1e-10)

def weight_gradient(right):
    def wrong(x, d, dw, db, shape, inputs, add):
        right(x, d, dw, db, shape, inputs, add)
        dw[shape[2] * inputs - 1] *= 1 + 1e-6
    return wrong

def bias_gradient(right):
    def wrong(x, d, dw, db, shape, inputs, add):
        right(x, d, dw, db, shape, inputs, add)
        db[shape[2] - 1] *= 1 + 1e-6
    return wrong

def added(right):
    return lambda x, d, dw, db, shape, inputs, add: right(x, d, dw, db, shape, inputs, False)

def momentum(right):
    def wrong(parameters, gradient, velocity, previous, count, scale, numbers):
        numbers = numbers * 1.0
        numbers[1] *= 1 - 1e-6
        return right(parameters, gradient, velocity, previous, count, scale, numbers)
    return wrong

def shuffling(right):
    return lambda order, start, remaining, steps: right(order, start + np.uint64(1), remaining, steps)

def weights(right):
    def wrong(kind, rows, shape):
        z, y, targets, w, d = rows
        return right(kind, (z, y, targets, np.sign(w), d), shape)
    return wrong

def padding(right):
    def wrong(kind, rows, shape):
        z, y, targets, w, d = rows
        return right(kind, (z, y, targets, np.maximum(w, 1e-6), d), shape)
    return wrong

FAULTS = [
    (activation, activations, "tanh"), (loss, losses, "squared_error"), (loss, losses, "squared_error_slope"),
    (weight_gradient, dense, "backward_weights"), (bias_gradient, dense, "backward_weights"),
    (added, dense, "backward_weights"), (momentum, optimizers, "sgd"), (shuffling, loop, "shuffle"),
    (weights, tile, "loss_and_slope"), (padding, tile, "loss_and_slope"),
]
compare()
for fault, module, name in FAULTS:
    right = getattr(module, name)
    setattr(module, name, fault(right))
    try:
        compare()
    except AssertionError as error:
        assert not str(error).startswith(("read past", "write past")), error
    else:
        sys.exit(f"nothing found the fault of {fault.__name__} in {name}")
    setattr(module, name, right)
compare()
print(len(FAULTS))
"""


def test_faults_in_the_kernels(run_python):
    assert run_python(KERNELS, NUMBA_DISABLE_JIT="1").stdout.split() == ["10"]


def test_the_names_of_this_file_are_the_reference_s():
    """A fault planted where nobody looks would prove nothing."""
    assert network.permutation is random.permutation
    assert reference.Neuron is layers.Neuron
