"""fastnn against the reference: whole runs with each optimizer, schedule, bound and regularizer."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn
import reference
from tests.oracle import compare_runs, gradient_bound
from tests.problems import EPSILON, JIT, call, largest_error, made, problem

EPOCHS = 12 if JIT else 5

OPTIMIZERS = {
    "SGD": call("SGD", 0.02),
    "SGD, momentum": call("SGD", 0.02, momentum=0.9),
    "SGD, Nesterov": call("SGD", 0.02, momentum=0.9, nesterov=True),
    "Adagrad": call("Adagrad", 0.05),
    "Adagrad, epsilon": call("Adagrad", 0.05, epsilon=0.1),
    "Adadelta": call("Adadelta", 1.0),
    "Adadelta, settings": call("Adadelta", 0.5, rho=0.8, epsilon=1e-4),
    "RMSprop": call("RMSprop", 0.01),
    "RMSprop, settings": call("RMSprop", 0.01, rho=0.9, momentum=0.5, epsilon=1e-4),
    "RMSprop, centered": call("RMSprop", 0.01, centered=True),
    "Adam": call("Adam", 0.01),
    "Adam, settings": call("Adam", 0.02, beta_1=0.8, beta_2=0.95, epsilon=1e-4),
    "AMSGrad": call("AMSGrad", 0.02),
    "AMSGrad, settings": call("AMSGrad", 0.02, beta_1=0.8, beta_2=0.9, epsilon=1e-4),
    "AdamW": call("AdamW", 0.02),
    "AdamW, settings": call("AdamW", 0.02, beta_1=0.8, beta_2=0.9, epsilon=1e-4, weight_decay=0.5),
    "Nadam": call("Nadam", 0.01),
    "Nadam, settings": call("Nadam", 0.01, beta_1=0.8, beta_2=0.9, epsilon=1e-4, momentum_decay=0.1),
    "Lion": call("Lion", 0.002),
    "Lion, settings": call("Lion", 0.002, beta_1=0.8, beta_2=0.9, weight_decay=0.5),
    "Rprop": call("Rprop", 0.01),
    "Rprop, settings": call("Rprop", 0.01, eta_minus=0.4, eta_plus=1.3, step_min=1e-4, step_max=0.02),
    "LBFGS": call("LBFGS"),
    "LBFGS, settings": call("LBFGS", memory=2, tolerance=0.05, decrease=0.01, curvature=0.5, evaluations=4),
    "LevenbergMarquardt": call("LevenbergMarquardt"),
    "LevenbergMarquardt, settings": call("LevenbergMarquardt", damping=0.1, tolerance=0.01),
}
FULL_BATCH = ("Rprop", "LBFGS", "LevenbergMarquardt")


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizer(rng, optimizer, weighted):
    p = problem(rng, (2, 5, 2), 21, weighted=weighted, l2=0.01)
    batch_size = None if optimizer.name in FULL_BATCH else 8
    learnt, _ = compare_runs(p, 1e-9, optimizer=optimizer, epochs=EPOCHS, batch_size=batch_size)
    assert learnt > 1e-3


@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt"])
@pytest.mark.parametrize("loss", ["mse", "half_sse"])
@pytest.mark.parametrize("options", [{}, {"l2": 0.01}], ids=str)
def test_optimizer_that_tries(rng, optimizer, loss, options):
    X, weights = rng.normal(size=(40, 2)), rng.choice([0, 1, 2.0], 40)
    y = np.stack([np.sin(2 * X[:, 0]), X[:, 0] * X[:, 1]], axis=1)
    net = fastnn.mlp([2, 4, 2], activation="tanh", **options)
    twin = reference.mlp([2, 4, 2], activation="tanh", **options)
    twin.parameters = net.parameters.tolist()
    how = {"optimizer": optimizer, "epochs": 12, "loss": loss}
    history = net.fit(X, y, sample_weight=weights, **how)
    expected = twin.fit(X.tolist(), y.tolist(), sample_weight=weights.tolist(), **how)
    assert_allclose(history.loss, expected.loss, rtol=1e-9)
    assert_allclose(net.parameters, twin.parameters, rtol=1e-8)
    # It ends with what was accepted, not with a trial: from there the next fit begins.
    assert net.evaluate(X, y, sample_weight=weights, loss=loss) < history.loss[-1]


# In float32 a step of these is a division by about the gradient's length, or a decision that may be another one.
STEEP = ("Rprop", "Lion", "LBFGS", "LevenbergMarquardt", "Adadelta")


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if OPTIMIZERS[name].name not in STEEP])
def test_optimizer_in_float32(rng, name):
    p = problem(rng, (2, 5, 2), 21, dtype="float32", weighted=True)
    # 36 updates, of which each rounds the parameters and goes by a rounded gradient. Where this is nearly 0, those
    # that divide by its length go a whole step of rate on its rounding's word: a factor of 30 for that.
    bound = 30 * np.sqrt(3 * EPOCHS) * (EPSILON["float32"] + gradient_bound(p) / 10)
    compare_runs(p, bound, optimizer=OPTIMIZERS[name], epochs=EPOCHS, batch_size=8)


@pytest.mark.parametrize("name", STEEP)
def test_steep_optimizer_in_float32_comes_as_far(rng, name):
    p = problem(rng, (2, 5, 2), 21, dtype="float32")
    optimizer = OPTIMIZERS.get(name, call(name))
    net, twin = p.net, p.twin
    start = twin.evaluate(*p.row_lists)
    net.fit(*p.rows, epochs=4 * EPOCHS, optimizer=made(optimizer, fastnn))
    twin.fit(*p.row_lists, epochs=4 * EPOCHS, optimizer=made(optimizer, reference))
    gained = start - twin.evaluate(*p.row_lists)
    assert gained > 0.05 * start
    assert start - net.evaluate(*p.rows) == pytest.approx(gained, rel=0.01)


def test_every_optimizer_has_its_name(rng):
    p = problem(rng, (2, 3, 1), 9)
    for name, cls in fastnn.optimizers.OPTIMIZERS.items():
        by_name, by_class = p.net, p.net
        by_name.fit(*p.rows, epochs=3, optimizer=name)
        by_class.fit(*p.rows, epochs=3, optimizer=cls())
        assert (by_name.parameters == by_class.parameters).all()
        compare_runs(p, 1e-9, epochs=3, optimizer=name)


# Schedules -------------------------------------------------------------------------------------------

SCHEDULES = {
    "StepDecay": call("schedules.StepDecay", 0.05, factor=0.5, every=3),
    "ExponentialDecay": call("schedules.ExponentialDecay", 0.05, factor=0.9),
    "CosineDecay": call("schedules.CosineDecay", 0.05, epochs=7, final=0.001),
    "CosineRestarts": call("schedules.CosineRestarts", 0.05, epochs=2, growth=1.5, decay=0.8, final=0.001),
    "InverseScaling": call("schedules.InverseScaling", 0.05, power=0.7),
    "OneCycle": call("schedules.OneCycle", 0.05, epochs=9, warm_up=0.4, initial_factor=10.0, final_factor=100.0),
    "OneCycle without a rise": call("schedules.OneCycle", 0.05, epochs=12, warm_up=0.0),
    "ReduceOnPlateau": call("schedules.ReduceOnPlateau", 0.05, factor=0.5, patience=1, min_delta=0.1, least=0.01),
    "WarmUp": call("schedules.WarmUp", 0.05, epochs=3),
    "WarmUp, then another": call("schedules.WarmUp", call("schedules.StepDecay", 0.05, every=2), epochs=3),
    "WarmUp, then a plateau": call(
        "schedules.WarmUp", call("schedules.ReduceOnPlateau", 0.05, patience=2, min_delta=0.1), epochs=2
    ),
    "WarmUp, then a cycle": call("schedules.WarmUp", call("schedules.OneCycle", 0.05, epochs=6), epochs=2),
    "WarmUp, then a cycle without a rise": call(
        "schedules.WarmUp", call("schedules.OneCycle", 0.05, epochs=6, warm_up=0.0), epochs=2
    ),
    "CosineRestarts of equal cycles": call("schedules.CosineRestarts", 0.05, epochs=2, decay=0.8),
}


@pytest.mark.parametrize("batch_size", [None, 8])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_schedule(rng, schedule, batch_size):
    p = problem(rng, (2, 4, 1), 21)
    _, history = compare_runs(p, 1e-9, optimizer=call("SGD", schedule), epochs=12, batch_size=batch_size)
    assert len(set(history.learning_rate)) > 1  # it does change


@pytest.mark.parametrize("optimizer", ["Adam", "Lion", "Nadam", "RMSprop", "AdamW"])
def test_schedule_of_other_optimizers(rng, optimizer, dtype):
    p = problem(rng, (2, 4, 1), 21, dtype=dtype)
    schedule = call("schedules.WarmUp", call("schedules.CosineDecay", 0.005, epochs=4), epochs=2)
    bound = 1e-9 if dtype == "float64" else 1e-3  # one of Lion's signs may be another
    compare_runs(p, bound, optimizer=call(optimizer, schedule), epochs=6, batch_size=8)


def test_plateau_looks_at_the_validation_loss(rng):
    p, other = problem(rng, (2, 4, 1), 21), problem(rng, (2, 4, 1), 9)
    schedule = call("schedules.ReduceOnPlateau", 0.5, factor=0.5, patience=1)
    options = {"optimizer": call("SGD", schedule), "epochs": 8}
    _, one = compare_runs(p, 1e-9, **options)
    _, two = compare_runs(p, 1e-9, validation_data=other.rows, **options)
    assert one.learning_rate.tolist() != two.learning_rate.tolist()


def test_batches_of_weight_0_count_for_the_time(rng):
    p = problem(rng, (2, 4, 1), 12, weighted=True)
    p.weights[4:8] = 0.0
    for schedule in (SCHEDULES["ExponentialDecay"], SCHEDULES["WarmUp"]):
        options = {"epochs": 4, "batch_size": 4, "shuffle": False}
        compare_runs(p, 1e-9, optimizer=call("SGD", schedule), **options)


# Bounds and layers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [{"clip_value": 0.03}, {"clip_norm": 0.2}, {"clip_norm": 1e9}], ids=str)
@pytest.mark.parametrize("optimizer", ["SGD", "Adagrad", "RMSprop", "Adam", "Lion", "Rprop"])
def test_clipping(rng, optimizer, bound):
    p = problem(rng, (2, 5, 2), 21, weighted=True, l2=0.1)
    compare_runs(p, 1e-9, optimizer=call(optimizer, 0.01, **bound), epochs=6)


LAYERS = {
    "l1": lambda of: [of.Dense(6, "tanh", l1=0.02), of.Dense(2, l1=0.01)],
    "l2": lambda of: [of.Dense(6, "tanh", l2=0.1), of.Dense(2)],
    "max_norm": lambda of: [of.Dense(6, "tanh", max_norm=0.5), of.Dense(2, max_norm=1.0)],
    "frozen first": lambda of: [of.Dense(6, "tanh", trainable=False, l2=0.1, max_norm=0.1), of.Dense(2)],
    "frozen in the middle": lambda of: [of.Dense(4, "tanh"), of.Dense(5, "silu", trainable=False), of.Dense(2)],
    "frozen last": lambda of: [of.Dense(6, "tanh"), of.Dense(2, trainable=False, l1=0.1)],
    "dropout": lambda of: [of.Dense(9, "tanh"), of.Dropout(0.3), of.Dense(2)],
    "dropout of inputs": lambda of: [of.Dropout(0.2), of.Dense(6, "tanh"), of.Dense(2)],
    "dropout twice": lambda of: [of.Dense(9, "relu"), of.Dropout(0.5), of.Dropout(0.1), of.Dense(2)],
    "normalization": lambda of: [of.Dense(6, "tanh"), of.LayerNormalization(), of.Dense(2)],
    "normalization first": lambda of: [of.LayerNormalization(0.1), of.Dense(6, "tanh"), of.Dense(2)],
    "frozen normalization": lambda of: [of.LayerNormalization(trainable=False), of.Dense(6, "tanh"), of.Dense(2)],
    "all of it": lambda of: [
        of.Dense(6, "silu", l1=0.01, max_norm=0.8),
        of.LayerNormalization(0.01),
        of.Dropout(0.2),
        of.Dense(7, "tanh", trainable=False),
        of.Dropout(0.1),
        of.Dense(2, l2=0.1),
    ],
}
WAYS = {
    "SGD": {"optimizer": call("SGD", 0.02, momentum=0.9)},
    "Adam in batches": {"optimizer": call("Adam", 0.01), "batch_size": 8},
    "AdamW, clipped": {"optimizer": call("AdamW", 0.01, clip_norm=0.2), "batch_size": 1},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_layers(rng, layers, way, dtype):
    p = problem(rng, (3, 2), 21, layers=layers, dtype=dtype, weighted=True, l2=0.01)
    epochs = 6 if JIT else 3
    # float32: as above, with the norms of layers, by which roundings are divided too.
    bound = 1e-9 if dtype == "float64" else 1e-3
    assert compare_runs(p, bound, epochs=epochs, **way)[0] > 0


@pytest.mark.parametrize("layers", ["l2", "normalization", "frozen first"])
@pytest.mark.parametrize("optimizer", ["LBFGS", "LevenbergMarquardt"])
def test_layers_with_a_line_search(rng, layers, optimizer):
    def unbounded(of):
        made = LAYERS[layers](of)
        for layer in made:
            vars(layer)["max_norm"] = None  # as if made without it
        return made

    p = problem(rng, (3, 2), 21, layers=unbounded, weighted=True, l2=0.01)
    compare_runs(p, 1e-9, epochs=6, optimizer=call(optimizer))


def test_frozen_layers_stay(rng, dtype):
    p = problem(rng, (3, 2), 21, layers=LAYERS["frozen in the middle"], dtype=dtype)
    for optimizer in fastnn.optimizers.OPTIMIZERS.values():
        net = p.net
        frozen = net.layers[1]
        before = frozen.weights.copy(), frozen.bias.copy()
        net.fit(*p.rows, epochs=3, optimizer=optimizer())
        assert (frozen.weights == before[0]).all()
        assert (frozen.bias == before[1]).all()
        assert largest_error(net.parameters, p.parameters) > 0


def test_nothing_to_train_is_refused(rng):
    p = problem(rng, (3, 2), layers=lambda of: [of.Dropout(0.1), of.Dense(2, trainable=False)])
    with pytest.raises(ValueError, match="trainable is False for all layers"):
        p.net.fit(*p.rows)


def test_seeds_of_dropout(rng):
    p = problem(rng, (3, 2), 21, layers=LAYERS["dropout"])
    runs = [compare_runs(p, 1e-9, epochs=3, seed=seed)[1].loss.tolist() for seed in (0, 1, 2**63 - 1)]
    assert runs[0] != runs[1] != runs[2]
