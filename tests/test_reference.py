"""The reference itself: checked by hand, against central differences and against its own rules."""

from __future__ import annotations

import ast
import math
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

from reference import (
    SGD,
    Dense,
    Neuron,
    Sequential,
    check_gradients,
    datasets,
    mlp,
    numerical_diff,
    numerical_gradient,
)
from reference.activations import ACTIVATIONS, ROW_ACTIVATIONS, log_softmax, relu, softmax
from reference.initializers import INITIALIZERS, default_initializer
from reference.loss_choice import accepted_outputs
from reference.losses import LOGIT_LOSSES, LOSSES
from reference.random import GOLDEN, draw, key, mix, permutation

SOURCES = sorted(Path(__file__).parents[1].glob("reference/*.py"))


def problem(outputs=1, samples=7, inputs=2, seed=1):
    """Inputs in ±1.5, targets in 0 ... 1 and weights in 0.5 ... 2.5."""
    r = Random(seed)
    X = [[3 * r.random() - 1.5 for _ in range(inputs)] for _ in range(samples)]
    y = [[r.random() for _ in range(outputs)] for _ in range(samples)]
    return X, y, [0.5 + 2 * r.random() for _ in range(samples)]


# Its own rules


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_imports_only_the_standard_library_and_sums_in_plain_loops(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module.split(".")[0] in sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1  # a sibling: the package also lives inside another one
        # sum() of floats is compensated since Python 3.12: the oracle must not depend on that. math.fsum
        # rounds once, in any version; it is for metrics, which are one number of many rows.
        assert not (isinstance(node, ast.Name) and node.id in ("sum", "fsum"))
        assert path.name == "metrics.py" or not (isinstance(node, ast.Attribute) and node.attr == "fsum")


def test_all_files_were_read():
    assert len(SOURCES) == 24


# Activations

VALUES = {  # f(-2), f(0), f(1), from tables and a calculator of many digits
    "identity": (-2, 0, 1),
    "sigmoid": (0.11920292202211756, 0.5, 0.7310585786300049),
    "hard_sigmoid": (1 / 6, 0.5, 2 / 3),
    "tanh": (-0.9640275800758169, 0, 0.7615941559557649),
    "softsign": (-2 / 3, 0, 0.5),
    "relu": (0, 0, 1),
    "leaky_relu": (-0.02, 0, 1),
    "elu": (-0.8646647167633873, 0, 1),
    "selu": (-1.520166468595695, 0, 1.0507009873554805),
    "mish": (-0.2525014826957032, 0, 0.8650983882673103),
    "exponential": (0.1353352832366127, 1, 2.718281828459045),
    "sine": (-0.9092974268256817, 0, 0.8414709848078965),
    "softplus": (0.1269280110429725, 0.6931471805599453, 1.3132616875182228),
    "silu": (-0.23840584404423512, 0, 0.7310585786300049),
    "gelu": (-0.04550026389635842, 0, 0.8413447460685429),
    "step": (0, 0, 1),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_values(name):
    f, _ = ACTIVATIONS[name]
    assert [f(-2.0), f(0.0), f(1.0)] == pytest.approx(VALUES[name], rel=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("z", [-700.0, -3.1, -0.4, 0.3, 1.0, 5.0, 700.0])
def test_activation_derivative_is_the_slope(name, z):
    f, derivative = ACTIVATIONS[name]
    assert derivative(z, f(z)) == pytest.approx(numerical_diff(f, z), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("z", [-1e3, 1e3])
def test_activations_do_not_overflow(name, z):
    f, derivative = ACTIVATIONS[name]
    if name == "exponential" and z > 0:
        assert f(z) == derivative(z, f(z)) == math.inf  # what is too large is infinite, and no exception
    else:
        assert math.isfinite(f(z))
        assert math.isfinite(derivative(z, f(z)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_stays_visible(name):
    assert math.isnan(ACTIVATIONS[name][0](math.nan))


def test_infinity_is_no_exception():
    for f, derivative in ACTIVATIONS.values():
        for z in (-math.inf, math.inf):
            derivative(z, f(z))


def test_kinks():
    slopes = {name: ACTIVATIONS[name][1](0.0, 0.0) for name in ("relu", "leaky_relu", "elu", "selu")}
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    assert slopes == {"relu": 0.0, "leaky_relu": 0.01, "elu": 1.0, "selu": scale * alpha}
    derivative = ACTIVATIONS["hard_sigmoid"][1]
    assert [derivative(z, 0.0) for z in (-3.0, -2.9, 2.9, 3.0)] == [0.0, 1 / 6, 1 / 6, 0.0]


def test_softmax():
    assert softmax([0.0, math.log(3.0)]) == pytest.approx([0.25, 0.75], rel=1e-15)
    assert softmax([1000.0, -1000.0, 1000.0]) == [0.5, 0.0, 0.5]


@pytest.mark.parametrize("name", ROW_ACTIVATIONS)
def test_backward_of_a_row(name):
    of_row, backward = ROW_ACTIVATIONS[name]
    z, weights = [0.3, -1.2, 0.9], [0.7, -0.1, 2.0]  # L = Σ_k weights_k a_k

    def loss(z):
        return float(np.dot(weights, of_row(z)))

    assert backward(of_row(z), weights) == pytest.approx(numerical_gradient(loss, z))


def test_log_softmax():
    z = [0.3, -1.2, 0.9]
    assert log_softmax(z) == pytest.approx(np.log(softmax(z)), rel=1e-14)
    assert log_softmax([1000.0, -1000.0, 1000.0]) == [-math.log(2.0), -2000.0 - math.log(2.0), -math.log(2.0)]
    # of the largest it keeps the digits that 1 + 1e-20 has lost
    assert log_softmax([0.0, math.log(1e-20)])[0] == pytest.approx(-1e-20, rel=1e-14)
    assert all(math.isnan(a) for z in ([math.nan, 1.0], [1.0, math.nan, 1e3]) for a in log_softmax(z))


# Gradients of networks, by central differences of the reported loss

OUTPUTS = [*ACTIVATIONS, *ROW_ACTIVATIONS]
ANY_OUTPUT = [name for name in LOSSES if accepted_outputs(name) is None]
PLAIN = [(output, loss) for output in OUTPUTS for loss in ANY_OUTPUT]
PLAIN += [("softplus", "poisson"), ("softplus", "gamma"), ("identity", "hinge"), ("tanh", "hinge")]
FUSED = [(output, loss) for loss in LOGIT_LOSSES for output in LOGIT_LOSSES[loss]]


@pytest.mark.parametrize(("output", "loss"), PLAIN + FUSED)
@pytest.mark.parametrize("outputs", [1, 3])
def test_gradients_of_outputs_and_losses(output, loss, outputs):
    if output in ROW_ACTIVATIONS:
        outputs = max(outputs, 2)
    X, y, weights = problem(outputs)
    if loss == "hinge":
        y = [[float(t > 0.5) for t in row] for row in y]
    net = mlp([2, 3, outputs], activation="tanh", output=output, seed=3)
    before = net.parameters
    assert check_gradients(net, X, y, loss, weights) < 1e-6
    assert net.parameters == before
    assert any(net.gradients) == (output != "step")


@pytest.mark.parametrize("hidden", [name for name in ACTIVATIONS if name != "step"])
@pytest.mark.parametrize(("output", "loss"), [("identity", "mse"), *FUSED])
def test_gradients_of_hidden_activations(hidden, output, loss):
    X, y, weights = problem(outputs=2)
    net = mlp([2, 3, 2, 2], activation=hidden, output=output, seed=6)
    assert check_gradients(net, X, y, loss, weights) < 1e-6
    assert all(any(layer.gradients) for layer in net.layers)


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("softmax", "cross_entropy"),
        ("sigmoid", "cross_entropy"),
        ("log_softmax", "cross_entropy"),
        ("softmax", "focal"),
    ],
)
def test_labels_are_one_hot_rows(output, loss):
    X, _, _ = problem(samples=3)
    net = mlp([2, 3], output=output, seed=1)
    rows = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert net.loss_and_gradient(X, [2, 0, 1], loss) == net.loss_and_gradient(X, rows, loss)


def test_check_gradients_finds_a_wrong_activation_derivative(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "tanh", (math.tanh, lambda z, a: 1.0 - a))
    X, y, _ = problem()
    assert check_gradients(mlp([2, 3, 1], activation="tanh"), X, y) > 0.01


@pytest.mark.parametrize("slope", [math.nan, math.inf])
def test_check_gradients_finds_what_is_not_finite(monkeypatch, slope):
    monkeypatch.setitem(ACTIVATIONS, "tanh", (math.tanh, lambda z, a: slope))
    X, y, _ = problem()
    assert check_gradients(mlp([2, 3, 1], activation="tanh"), X, y) == math.inf


def test_check_gradients_finds_a_loss_that_is_not_the_differentiated_one(monkeypatch):
    monkeypatch.setitem(LOSSES, "mse", (LOSSES["mse"][0], LOSSES["half_sse"][1]))
    X, y, _ = problem(outputs=3)
    # with three outputs 2(p - t)/3 became p - t: a third too small, relative to the larger
    assert check_gradients(mlp([2, 3]), X, y) == pytest.approx(1 / 3, rel=1e-6)


def test_numerical_gradient_keeps_the_shape():
    gradient = numerical_gradient(lambda x: x[0][0] * x[1][0] + 3 * x[1][1], [[2, 5], [7, 1]])
    assert np.asarray(gradient) == pytest.approx(np.array([[7, 0], [2, 3]]), abs=1e-9)


# Neuron and layer


def test_neuron_by_itself():
    neuron = Neuron([0, 1], 4, "sigmoid")
    assert neuron.forward([2, 3]) == 0.9990889488055994
    slope = 0.9990889488055994 * (1 - 0.9990889488055994)
    assert neuron.backward(2.0) == pytest.approx([0.0, 2 * slope])
    assert neuron.d_weights == pytest.approx([4 * slope, 6 * slope])
    assert neuron.d_bias == pytest.approx(2 * slope)
    neuron.update(0.5)
    assert neuron.weights == pytest.approx([-2 * slope, 1 - 3 * slope])
    assert neuron.bias == pytest.approx(4 - slope)
    neuron.zero_grad()
    assert (neuron.d_weights, neuron.d_bias) == ([0.0, 0.0], 0.0)


def test_parameters_are_weights_by_inputs_then_bias_layer_by_layer():
    first = Dense(3, weights=[[1, 2, 3], [4, 5, 6]], bias=[7, 8, 9])
    second = Dense(1, weights=[[10], [11], [12]], bias=[13])
    net = Sequential([first, second], inputs=2)
    assert net.parameters == list(range(1, 14))
    net.parameters = [2 * value for value in net.parameters]
    assert first.weights == [[2, 4, 6], [8, 10, 12]]
    assert (second.weights, second.bias) == ([[20], [22], [24]], [26])
    # of mse at x = (1, 2) by hand: outputs of the first layer are 32, 40, 48
    _, gradient = net.loss_and_gradient([[1, 2]], [20 * 32 + 22 * 40 + 24 * 48 + 26 - 0.5])
    assert gradient == [20, 22, 24, 40, 44, 48, 20, 22, 24, 32, 40, 48, 1]


# Random numbers and initial values


def test_draws_are_those_of_splitmix64():
    # The first outputs of the published generator from state 0.
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    assert [draw(0, i) for i in range(4)] == published
    assert mix(GOLDEN) == published[0]


def test_keys():
    assert key(0, 0) == mix(mix(GOLDEN))
    assert key(0, 1) == mix((mix(GOLDEN) + GOLDEN) % 2**64)
    assert key(12345, 3) == 0x2D715E49A3B52F94
    assert [draw(key(0, 0), i) for i in range(2)] == [0x568A9B0B1A2C05EC, 0x44E5B8B147EF718B]
    assert key(-1, 0) == key(2**64 - 1, 0)


@pytest.mark.parametrize(
    ("seed", "epoch", "expected"),
    [
        (0, 0, [3, 8, 6, 7, 5, 9, 0, 1, 4, 2]),
        (0, 1, [2, 5, 0, 4, 3, 7, 9, 8, 1, 6]),
        (1, 0, [2, 4, 1, 8, 6, 0, 5, 3, 7, 9]),
    ],
)
def test_permutation_values(seed, epoch, expected):
    assert permutation(10, seed, epoch) == expected


@pytest.mark.parametrize("n", [1, 2, 3, 100, 1000])
def test_permutation_is_one(n):
    assert sorted(permutation(n, 5, 6)) == list(range(n))


def test_permutations_are_uniform():
    counts = {}
    for epoch in range(6000):
        order = tuple(permutation(3, 0, epoch))
        counts[order] = counts.get(order, 0) + 1
    # 1,000 each, standard deviation 29: bounds at five of them
    assert len(counts) == 6
    assert all(abs(count - 1000) < 145 for count in counts.values())


FIRST_DRAWS = {  # two weights of the one unit of a layer of two inputs, from Random(1)
    "uniform": [-0.3656357558875988, 0.3474337369372327],
    "normal": [0.30870889208024055, -0.054097154866100366],
    "glorot_uniform": [-1.034174089729561, 0.9826910056052013],
    "glorot_normal": [0.2520597548855027, -0.04417014197347776],
    "he_uniform": [-1.2665994125223445, 1.2035457692776135],
    "he_normal": [0.30870889208024055, -0.054097154866100366],
    "lecun_uniform": [-1.2665994125223445 / math.sqrt(2), 1.2035457692776135 / math.sqrt(2)],
    "lecun_normal": [0.30870889208024055 / math.sqrt(2), -0.054097154866100366 / math.sqrt(2)],
    "orthogonal": [0.9849908379496565, -0.17260663126089185],  # those of normal, with length 1
    "zeros": [0.0, 0.0],
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_first_draws(name):
    net = mlp([2, 1], initializer=name, seed=1)
    assert net.parameters == pytest.approx([*FIRST_DRAWS[name], 0.0], rel=1e-9)


def test_draws_come_layer_by_layer_neuron_by_neuron_input_by_input():
    r = Random(4)
    own = Dense(2, weights=[[1, 2], [3, 4]])  # draws nothing
    net = Sequential([Dense(2), own, Dense(1)], inputs=2, initializer="uniform", seed=4)
    drawn = [r.random() - 0.5 for _ in range(6)]
    assert [neuron.weights for neuron in net.layers[0].neurons] == [drawn[:2], drawn[2:4]]
    assert net.layers[2].neurons[0].weights == drawn[4:]


def test_default_and_own_initializers():
    he = ("relu", "leaky_relu", "elu", "gelu", "silu", "mish", "sine")
    for name in OUTPUTS:
        expected = "he_uniform" if name in he else "lecun_normal" if name == "selu" else "glorot_uniform"
        assert default_initializer(name) == expected
        net = mlp([3, 2], output=name, seed=2)
        assert net.parameters == mlp([3, 2], initializer=expected, seed=2).parameters
    layer = Dense(2, initializer="zeros")
    assert not any(Sequential([layer], inputs=3, initializer="normal").parameters)


def test_a_number_is_every_weight_and_draws_nothing():
    net = Sequential([Dense(2, initializer=0.25), Dense(2)], inputs=3, initializer="uniform", seed=3)
    assert net.layers[0].parameters == [0.25] * 6 + [0.0] * 2
    assert net.layers[1].neurons[0].weights[0] == Random(3).random() - 0.5
    assert mlp([2, 1], initializer=-1).parameters == [-1.0, -1.0, 0.0]


@pytest.mark.parametrize(("inputs", "outputs"), [(5, 3), (3, 5), (4, 4), (1, 1), (1, 3), (3, 1)])
def test_orthogonal(inputs, outputs):
    net = mlp([inputs, outputs], initializer="orthogonal", seed=8)
    Q = np.array(net.layers[0].weights).T  # (outputs, inputs)
    tall = Q.T if outputs <= inputs else Q  # its columns are orthonormal
    assert tall.T @ tall == pytest.approx(np.eye(min(inputs, outputs)), abs=1e-12)
    # it is the Q of A = Q R with a positive diagonal of R, of the same draws as normal's
    A = np.array(mlp([inputs, outputs], initializer="normal", seed=8).layers[0].weights).T
    expected, R = np.linalg.qr(A.T if outputs <= inputs else A)
    assert tall == pytest.approx(expected * np.sign(np.diag(R)), abs=1e-12)


# Training


def test_step_by_step_is_fit():
    X, y, _ = problem(outputs=2)
    by_hand, fitted = (mlp([2, 3, 2], activation="tanh", output="softmax") for _ in range(2))
    fitted.fit(X, y, epochs=3, optimizer=SGD(0.5))
    for _ in range(3):
        by_hand.zero_grad()
        d_output = (np.array(by_hand.forward(X)) - y) / len(X)  # of mse: 2 (p - t) / 2, averaged
        by_hand.backward(d_output)
        by_hand.update(0.5)
    assert by_hand.parameters == pytest.approx(fitted.parameters, rel=1e-12)


def test_backward_adds_and_does_not_mind_a_predict_in_between():
    X, _, _ = problem()
    net = mlp([2, 3, 1])
    net.forward(X)
    net.backward([[1.0]] * len(X))
    once = net.gradients
    net.predict([[0.0, 9.0]])
    net.backward([[1.0]] * len(X))
    assert net.gradients == pytest.approx([2 * g for g in once], rel=1e-12)


def by_hand(net, batches, optimizer_step):
    """One epoch of (X, y, weight) batches through loss_and_gradient; the loss of the epoch."""
    total = weight = 0.0
    for X, y, w in batches:
        loss, gradient = net.loss_and_gradient(X, y, "mse", w)
        net.parameters = optimizer_step(np.array(net.parameters), np.array(gradient))
        total += loss * np.sum(w)
        weight += np.sum(w)
    return total / weight


def test_mini_batches_are_taken_in_the_order_of_the_permutation():
    X, y, w = problem(samples=7)
    net, twin = (mlp([2, 3, 1]) for _ in range(2))
    history = net.fit(X, y, epochs=2, batch_size=3, optimizer=SGD(0.5), sample_weight=w, seed=9)
    losses = []
    for epoch in range(2):
        order = permutation(7, 9, epoch)
        parts = [order[:3], order[3:6], order[6:]]  # the last one is short
        batches = [([X[i] for i in p], [y[i] for i in p], [w[i] for i in p]) for p in parts]
        losses.append(by_hand(twin, batches, lambda p, g: p - 0.5 * g))
    assert history.loss == pytest.approx(losses, rel=1e-12)
    assert net.parameters == pytest.approx(twin.parameters, rel=1e-12)


def test_order_without_shuffling_and_the_seed_of_the_network():
    X, y, _ = problem(samples=7)
    runs = {}
    for name, options in {
        "full": {},
        "full, shuffle ignored": {"shuffle": False},
        "ordered": {"batch_size": 1, "shuffle": False},
        "shuffled": {"batch_size": 1},
        "shuffled, seed given": {"batch_size": 1, "seed": 5},
        "shuffled, other seed": {"batch_size": 1, "seed": 6},
    }.items():
        net = mlp([2, 3, 1], seed=5)
        net.fit(X, y, epochs=3, optimizer=SGD(0.5), **options)
        runs[name] = net.parameters
    assert runs["full"] == runs["full, shuffle ignored"]
    assert runs["shuffled"] == runs["shuffled, seed given"]
    different = [runs[name] for name in ("full", "ordered", "shuffled", "shuffled, other seed")]
    assert all(different.count(parameters) == 1 for parameters in different)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_by_hand(nesterov):
    # y = w x with x = 1, t = 0, half_sse: the gradient is w itself; the bias is the same.
    optimizer = SGD(0.1, momentum=0.5, nesterov=nesterov)
    optimizer.start(1)
    w = optimizer.update([1.0], [1.0], 0.1)  # v = 1, steps 1 or 1 + 0.5
    assert w == pytest.approx([0.85 if nesterov else 0.9])
    w = optimizer.update(w, [2.0], 0.1)  # v = 2.5, steps 2.5 or 2 + 1.25
    assert w == pytest.approx([0.85 - 0.325 if nesterov else 0.9 - 0.25])


def test_velocity_starts_at_0_for_each_fit():
    X, y, _ = problem()
    optimizer = SGD(0.5, momentum=0.9)
    runs = []
    for _ in range(2):
        net = mlp([2, 3, 1])
        net.fit(X, y, epochs=3, optimizer=optimizer)
        runs.append(net.parameters)
    assert runs[0] == runs[1]
    net = mlp([2, 3, 1])
    net.fit(X, y, epochs=3, optimizer=SGD(0.5))
    assert net.parameters != runs[0]


# Weights


@pytest.mark.parametrize("loss", [*ANY_OUTPUT, "binary_cross_entropy", "focal"])
def test_weight_2_is_the_row_twice_and_weight_0_the_row_left_out(loss):
    X, y, _ = problem(samples=4)
    weighted = [1.0, 2.0, 0.0, 1.0]
    rows = [0, 1, 1, 3]
    X_plain, y_plain = [X[i] for i in rows], [y[i] for i in rows]
    X[2] = [math.nan, math.inf]  # left out means not even looked at

    net, twin = (mlp([2, 3, 1], output="sigmoid") for _ in range(2))
    assert net.evaluate(X, y, loss, weighted) == pytest.approx(twin.evaluate(X_plain, y_plain, loss), rel=1e-12)
    history = net.fit(X, y, epochs=20, optimizer=SGD(0.5), loss=loss, sample_weight=weighted)
    plain = twin.fit(X_plain, y_plain, epochs=20, optimizer=SGD(0.5), loss=loss)
    assert history.loss == pytest.approx(plain.loss, rel=1e-12)
    assert net.parameters == pytest.approx(twin.parameters, rel=1e-12)


def test_a_batch_without_weight_does_nothing():
    X, y, _ = problem(samples=4)
    net, twin = (mlp([2, 3, 1]) for _ in range(2))
    optimizer = SGD(0.5, momentum=0.9)  # which would roll on if there were an update
    options = {"epochs": 3, "batch_size": 2, "optimizer": optimizer, "shuffle": False}
    history = net.fit(X, y, sample_weight=[1, 1, 0, 0], **options)
    assert history.loss == twin.fit(X[:2], y[:2], **options).loss
    assert net.parameters == twin.parameters


# Divergence


def test_divergence_keeps_the_last_parameters_whose_loss_was_finite():
    X, y = [[1.0], [2.0]], [1.0, 0.0]
    net, twin = (mlp([1, 1], seed=1) for _ in range(2))
    with pytest.warns(RuntimeWarning, match="smaller learning rate") as caught:
        history = net.fit(X, y, epochs=1000, optimizer=SGD(100.0), log_every=1000)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert history.status == "diverged"
    assert 2 < history.epochs == len(history.loss) < 1000
    assert all(math.isfinite(loss) for loss in history.loss)
    # the loss at the start of epoch k was finite up to k = history.epochs: k - 1 updates
    twin.fit(X, y, epochs=history.epochs - 1, optimizer=SGD(100.0))
    assert net.parameters == twin.parameters
    assert net.evaluate(X, y) == history.loss[-1]


def test_divergence_at_the_first_batch_keeps_the_initial_parameters():
    net = Sequential([Dense(1, weights=[[1e200]])], inputs=1)
    with pytest.warns(RuntimeWarning):
        history = net.fit([[1.0]], [0.0], epochs=5)
    assert (history.status, history.loss, history.epochs) == ("diverged", [], 0)
    assert net.parameters == [1e200, 0.0]


def test_a_gradient_that_overflows_is_divergence_though_the_loss_is_finite():
    layers = [Dense(1, weights=[[0.0]]), Dense(1, weights=[[1e200]])]
    net = Sequential(layers, inputs=1)
    with pytest.warns(RuntimeWarning):
        history = net.fit([[1e200]], [1.0], loss="mae")  # prediction 0, slope 1e200 * 1e200
    assert (history.status, history.loss) == ("diverged", [])
    assert net.parameters == [0.0, 0.0, 1e200, 0.0]


def test_divergence_in_the_last_update():
    net = Sequential([Dense(1, weights=[[2.0]])], inputs=1)
    with pytest.warns(RuntimeWarning):
        history = net.fit([[1.0]], [0.0], epochs=1, optimizer=SGD(1e308))
    assert (history.status, history.loss) == ("diverged", [])
    assert net.parameters == [2.0, 0.0]


def test_divergence_hidden_behind_a_relu_is_seen():
    assert math.isnan(relu(math.nan))
    net = Sequential([Dense(1, "relu", weights=[[1e200], [-1e200]]), Dense(1)], inputs=2)
    with pytest.warns(RuntimeWarning):
        assert net.fit([[1e200, 1e200]], [0.0]).status == "diverged"


# Reports


@pytest.mark.parametrize(
    ("epochs", "log_every", "expected"),
    [
        (25, 10, [1, 10, 20, 25]),
        (20, 10, [1, 10, 20]),
        (3, 1, [1, 2, 3]),
        (5, 100, [1, 5]),
        (1, 1, [1]),
        (5, None, []),
    ],
)
def test_log_lines(capsys, epochs, log_every, expected):
    X, y, _ = problem()
    history = mlp([2, 1]).fit(X, y, epochs=epochs, log_every=log_every)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{epoch} {history.loss[epoch - 1]:.4f}" for epoch in expected]
    assert (history.status, history.epochs) == ("finished", epochs)


def test_loss_of_a_full_batch_epoch_is_evaluate_before_it():
    X, y, w = problem()
    net = mlp([2, 3, 1])
    before = net.evaluate(X, y, "mae", w)
    assert net.fit(X, y, loss="mae", sample_weight=w).loss == [before]
    assert net.evaluate(X, y, "mae", w) < before


# Input


def test_arrays_and_nested_sequences_are_the_same():
    X, y, w = problem()
    runs = []
    for kind in (list, tuple, np.array):
        net = mlp([2, 3, 1])
        loss = net.fit(kind(X), kind(y), sample_weight=kind(w), epochs=2).loss
        runs.append((loss, net.parameters))
        assert all(type(value) is float for value in net.parameters)
    assert runs[0] == runs[1] == runs[2]


def test_circle_and_xor():
    X, y = datasets.circle(density=4)
    assert X[:6] == [[-2, -2], [-2, -1], [-2, 0], [-2, 1], [-2, 2], [-1, -2]]
    assert [x for x, t in zip(X, y, strict=True) if t == 1.0] == [[0, 0]]  # the circle itself is outside
    assert len(X) == len(y) == 25
    assert len(datasets.circle()[1]) == 121
    assert datasets.xor() == ([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])


X2, Y2 = [[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dense(2, "sigmoidal"), "sigmoidal.*known are identity, sigmoid,.*softmax"),
        (lambda: Neuron([1], 0, "softmax"), "softmax.*known are identity, sigmoid"),
        (lambda: Dense(2, initializer="he"), "'he'.*known are uniform, normal"),
        (lambda: mlp([2, 1], initializer="he"), "'he'.*known are uniform, normal"),
        (lambda: mlp([2, 1]).fit(X2, Y2, loss="l2"), "'l2'.*known are mse, half_sse"),
        (lambda: mlp([2, 1]).evaluate(X2, Y2, "l2"), "'l2'.*known are mse, half_sse"),
        (lambda: mlp([2, 1], output="softmax"), "softmax of one unit"),
        (lambda: mlp([2, 3, 1], activation="softmax"), "output layer only"),
        (lambda: mlp([2, 3, 1], activation="step").fit(X2, Y2), "derivative is 0"),
        (lambda: mlp([2, 1], output="log_softmax"), "log_softmax of one unit"),
        (lambda: mlp([2, 3, 1], activation="log_softmax"), "output layer only"),
        (lambda: mlp([2, 1], initializer=math.inf), "initializer is inf"),
        (lambda: mlp([2, 1]).fit(X2, Y2, loss="binary_cross_entropy"), "sigmoid.*identity"),
        (lambda: mlp([2, 2]).fit(X2, Y2, loss="cross_entropy"), "softmax or sigmoid.*identity"),
        (
            lambda: mlp([2, 2], output="softmax").evaluate(X2, X2, "binary_cross_entropy"),
            "needs sigmoid outputs; these are softmax",
        ),
        (
            lambda: mlp([2, 2], output="softmax").fit(X2, [0, 2], loss="cross_entropy"),
            "label 2; labels are 0 to 1",
        ),
        (
            lambda: mlp([2, 2], output="softmax").fit(X2, [0, 0.5], loss="cross_entropy"),
            "label 0.5",
        ),
        (lambda: mlp([2, 2]).fit(X2, Y2), "y has a row of 1 numbers for 2 outputs"),
        (lambda: mlp([3, 1]).predict(X2), "X has a row of 2 numbers; inputs is 3"),
        (lambda: mlp([2, 1]).fit(X2, [1.0]), "y has 1 rows, X has 2"),
        (lambda: mlp([2, 1]).fit([], []), "X has no rows"),
        (lambda: mlp([2, 1]).fit(X2, Y2, sample_weight=[0, 0]), "0 everywhere"),
        (lambda: mlp([2, 1]).evaluate(X2, Y2, "mse", [0, 0]), "0 everywhere"),
        (lambda: mlp([2, 1]).fit(X2, Y2, sample_weight=[1, -1]), "negative or not finite"),
        (lambda: mlp([2, 1]).fit(X2, Y2, sample_weight=[1]), "sample_weight has 1 entries"),
        (lambda: mlp([2, 1]).fit(X2, Y2, epochs=0), "epochs is 0"),
        (lambda: mlp([2, 1]).fit(X2, Y2, batch_size=0), "batch_size is 0"),
        (lambda: mlp([2, 1]).fit(X2, Y2, log_every=0), "log_every is 0"),
        (lambda: mlp([2, 1]).backward([[1.0]]), "last forward"),
        (lambda: SGD(0.0), "learning_rate is 0.0"),
        (lambda: SGD(math.inf), "learning_rate is inf"),
        (lambda: SGD(momentum=1.0), "momentum is 1.0"),
        (lambda: SGD(nesterov=True), "nesterov needs a momentum"),
        (lambda: datasets.circle(0), "density is 0"),
        (lambda: mlp([2]), "sizes has 1"),
        (lambda: Sequential([], inputs=2), "layers is empty"),
        (lambda: Dense(0), "units is 0"),
        (
            lambda: Sequential([Dense(2, weights=[[1, 2], [3]])], inputs=2),
            r"weights must be 2 rows \(inputs\) of 2 \(units\)",
        ),
        (lambda: Sequential([Dense(2, bias=[1])], inputs=2), "bias has 1 entries for 2 units"),
        (lambda: Sequential([Dense(1)] * 2, inputs=1), "already part of a network"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_step_and_hidden_step_still_predict():
    layers = [Dense(1, "step", weights=[[1], [1]], bias=[-1.5]), Dense(1, "step", weights=[[1]])]
    net = Sequential(layers, inputs=2)  # a logical and
    X, _ = datasets.xor()
    assert net.predict(X) == [[0.0], [0.0], [0.0], [1.0]]
