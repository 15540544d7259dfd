"""Networks: parameters and views, step by step, whole runs, divergence, tables."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
import reference
from fastnn import Dense
from tests.problems import JIT, OUTPUTS, largest_error, problem


@pytest.fixture
def net():
    return fastnn.mlp([2, 3, 1], output="sigmoid")


# Parameters ------------------------------------------------------------------------------------------


def test_parameters_are_weights_by_inputs_then_bias_layer_by_layer():
    first = Dense(3, weights=[[1, 2, 3], [4, 5, 6]], bias=[7, 8, 9])
    second = Dense(1, weights=[[10], [11], [12]], bias=[13])
    net = fastnn.Sequential([first, second], inputs=2)
    assert_array_equal(net.parameters, range(1, 14))
    # of mse at x = (1, 2) by hand: outputs of the first layer are 16, 20, 24, target half a unit below
    target = 10 * 16 + 11 * 20 + 12 * 24 + 13 - 0.5
    _, gradient = net.loss_and_gradient([[1, 2]], [target])
    assert_array_equal(gradient, [10, 11, 12, 20, 22, 24, 10, 11, 12, 16, 20, 24, 1])


def test_everything_is_a_view_of_the_parameters(net, dtype):
    net = fastnn.mlp([2, 3, 1], dtype=dtype)
    assert (net.parameters.dtype, net.gradients.dtype, net.predict([[1, 2]]).dtype) == (dtype,) * 3
    net.layers[0].weights[1, 2] = 5
    net.layers[1].bias[0] = 6
    assert (net.parameters[5], net.parameters[12]) == (5, 6)
    net.parameters[:] = np.arange(13)
    assert_array_equal(net.layers[0].weights, [[0, 1, 2], [3, 4, 5]])
    view = net.parameters
    net.parameters = np.ones(13)
    net.layers[0].bias = [7, 8, 9]
    assert net.parameters is view
    assert_array_equal(view[6:9], [7, 8, 9])
    net.fit([[1, 2]], [3])
    assert net.parameters is view
    assert view[0] != 1  # trained


def test_predictions_follow_the_parameters(net):
    before = net.predict([[1, 2]])
    net.layers[1].bias += 1
    assert_array_equal(before.shape, (1, 1))
    assert net.predict([[1, 2]]) > before


def test_predictions_are_new_arrays(net):
    one, other = net.predict([[1, 2]]), net.predict([[1, 2]])
    one[:] = 7
    assert other[0, 0] != 7


@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs_are_those_of_the_reference(rng, output):
    p = problem(rng, (3, 7, 4), 23, output=output)
    assert_allclose(p.net.predict(p.X), p.twin.predict(p.X.tolist()), rtol=1e-12, atol=1e-14)


# Step by step ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 3])
def test_backward_is_the_gradient_of_fit(rng, outputs, dtype):
    p = problem(rng, (3, 5, outputs), 33, dtype=dtype)
    net = p.net
    net.zero_grad()
    error = net.forward(p.X) - p.y
    net.backward(2 * error / error.size)
    _, gradient = p.net.loss_and_gradient(*p.rows)
    # The same sums, divided before and after.
    assert largest_error(net.gradients, gradient) <= {"float64": 1e-14, "float32": 1e-6}[dtype]


@pytest.mark.parametrize("output", OUTPUTS)
def test_backward_through_each_output(rng, output):
    p = problem(rng, (3, 5, 2), 9, output=output)
    net, twin = p.net, p.twin
    d_output = rng.normal(size=(9, 2))
    for each, d in ((net, d_output), (twin, d_output.tolist())):
        each.forward(p.X.tolist())
        each.zero_grad()
        each.backward(d)
    assert largest_error(net.gradients, twin.gradients) <= 1e-12


def test_backward_adds_until_zero_grad(net):
    X, y = fastnn.datasets.xor()
    net.forward(X)
    net.backward(y)
    once = net.gradients.copy()
    assert once.any()
    net.backward(y)
    assert_array_equal(net.gradients, 2 * once)
    view = net.gradients
    net.zero_grad()
    assert view is net.gradients
    assert not view.any()


def test_backward_belongs_to_the_last_forward(net):
    """To its rows and to the parameters it saw, whatever happened since."""
    X, y = fastnn.datasets.xor()
    net.forward(X)
    net.backward(y)
    expected = net.gradients.copy()
    net.zero_grad()
    net.forward(X)
    X += 5
    net.predict(X)
    net.update(0.1)
    net.parameters += 1
    net.backward(y)
    assert_array_equal(net.gradients, expected)


def test_update_is_a_step_of_gradient_descent(net, dtype):
    net = fastnn.mlp([2, 3, 1], dtype=dtype)
    before = net.parameters.copy()
    net.gradients[:] = np.arange(13)
    net.update(0.5)
    assert_array_equal(net.parameters, before - np.arange(13, dtype=dtype) / 2)
    assert_array_equal(net.gradients, np.arange(13))


def test_update_leaves_alone_what_is_not_trainable(rng):
    net = problem(rng, (2, 4, 3, 1), 5).net
    net.layers[1].trainable = False
    before = [(layer.weights.copy(), layer.bias.copy()) for layer in net.layers]
    net.gradients[:] = 1.0
    net.update(0.5)
    for layer, old, moved in zip(net.layers, before, (0.5, 0.0, 0.5), strict=True):
        assert_array_equal(layer.weights, old[0] - moved)
        assert_array_equal(layer.bias, old[1] - moved)


@pytest.mark.parametrize("of", [lambda net: (net, "parameters"), lambda net: (net.layers[0], "bias")])
def test_a_single_number_that_is_none_is_refused(net, of):
    with pytest.raises(ValueError, match=f"{of(net)[1]} is nan; finite float64 numbers are needed"):
        setattr(*of(net), np.nan)


def test_step_by_step_is_a_fit(rng):
    p = problem(rng, (2, 4, 1), 50)
    by_step, by_fit = p.net, p.net
    for _ in range(5):
        error = by_step.forward(p.X) - p.y
        by_step.zero_grad()
        by_step.backward(2 * error / len(error))
        by_step.update(0.1)
    by_fit.fit(*p.rows, epochs=5, optimizer=fastnn.SGD(0.1))
    assert largest_error(by_step.parameters, by_fit.parameters) <= 1e-13  # sums divided before and after


def test_loss_and_gradient_for_other_peoples_optimizers(net):
    X, y = fastnn.datasets.xor()
    before = net.parameters.copy()
    gradients = net.gradients.copy()
    loss, gradient = net.loss_and_gradient(X, y)
    assert isinstance(loss, float)
    gradient[:] = 0  # is the caller's
    assert net.loss_and_gradient(X, y)[1].any()
    assert_array_equal(net.parameters, before)
    assert_array_equal(net.gradients, gradients)


# Whole runs ------------------------------------------------------------------------------------------


def test_fit_with_names_and_without(net):
    X, y = fastnn.datasets.xor()
    twin = fastnn.mlp([2, 3, 1], output="sigmoid")
    net.fit(X, y, epochs=3, optimizer="sgd", loss="mse")
    twin.fit(X, y, epochs=3, optimizer=fastnn.SGD(0.01))
    assert_array_equal(net.parameters, twin.parameters)


def test_an_optimizer_starts_anew_in_each_fit(net):
    X, y = fastnn.datasets.xor()
    optimizer = fastnn.SGD(0.5, momentum=0.9)
    start = net.parameters.copy()
    first = net.fit(X, y, epochs=9, optimizer=optimizer)
    net.parameters = start
    again = net.fit(X, y, epochs=9, optimizer=optimizer)
    assert_array_equal(first.loss, again.loss)


@pytest.mark.parametrize(
    ("epochs", "every", "expected"),
    [
        (1, 1, [1]),
        (5, 1, [1, 2, 3, 4, 5]),
        (7, 3, [1, 3, 6, 7]),
        (6, 3, [1, 3, 6]),
        (5, 100, [1, 5]),
        (9, None, []),
    ],
)
def test_log_lines(net, capsys, epochs, every, expected):
    X, y = fastnn.datasets.xor()
    history = net.fit(X, y, epochs=epochs, log_every=every)
    captured = capsys.readouterr()
    assert captured.out == "".join(f"{epoch} {history.loss[epoch - 1]:.4f}\n" for epoch in expected)


def test_log_lines_of_a_long_run_are_those_of_the_reference(capsys):
    X, y = reference.datasets.circle(4)
    for library in (fastnn, reference):
        net = library.mlp([2, 2, 1], output="sigmoid")
        net.fit(X, y, epochs=30, log_every=7, optimizer=library.SGD(1.0), batch_size=4)
    lines = capsys.readouterr().out.splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]


# Divergence ------------------------------------------------------------------------------------------

WAYS = {"full batch": {}, "batches": {"batch_size": 3}, "one by one": {"batch_size": 1, "momentum": 0.9}}


def fit_to_divergence(library, rate, scale, *, momentum=0.0, **options):
    X = [[scale * x, 1.0] for x in (1.0, -2.0, 3.0, 0.5, -1.5)]
    y = [2.0, -1.0, 0.0, 4.0, 1.0]
    net = library.mlp([2, 2, 1], activation="identity", seed=3)
    optimizer = library.SGD(rate, momentum=momentum)
    with pytest.warns(RuntimeWarning, match=r"(?s)finite.*(?i:try) a smaller learning rate") as caught:
        history = net.fit(X, y, epochs=1000, optimizer=optimizer, shuffle=False, **options)
    assert len(caught) == 1
    assert caught[0].filename == __file__  # the warning points at the caller
    return net, history, (X, y)


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("rate", "scale"), [(1.0, 1.0), (0.4, 10.0), (1e200, 1.0), (1e-3, 1e170)])
def test_divergence_keeps_the_last_finite_parameters(rate, scale, options):
    net, history, rows = fit_to_divergence(fastnn, rate, scale, **options)
    twin, expected, _ = fit_to_divergence(reference, rate, scale, **options)
    assert history.status == expected.status == "diverged"
    assert (history.epochs, net.history) == (expected.epochs, history)
    assert np.isfinite(history.loss).all()
    assert history.loss == pytest.approx(expected.loss, rel=1e-6)  # on its way to infinity it is chaotic
    assert np.isfinite(net.parameters).all()
    assert_allclose(net.parameters, twin.parameters, rtol=1e-6)
    if scale < 1e100:  # the loss at the kept parameters of a full batch is finite
        net.parameters = np.zeros(9)
        assert net.fit(*rows, optimizer=fastnn.SGD(1e-6)).status == "finished"


def test_divergence_at_once_keeps_the_initial_parameters():
    net = fastnn.mlp([1, 1])
    before = net.parameters.copy()
    with pytest.warns(RuntimeWarning, match="after epoch 0"):
        history = net.fit([[1.0]], [1e200])
    assert_array_equal(net.parameters, before)
    assert (history.epochs, history.status) == (0, "diverged")


def test_infinite_parameters_after_the_last_update_go_back():
    net = fastnn.Sequential([Dense(1, weights=[[1.0]])], inputs=1)
    with pytest.warns(RuntimeWarning, match="finite"):
        history = net.fit([[1e150]], [0.0], epochs=1, optimizer=fastnn.SGD(1e50), batch_size=None)
    assert history.status == "diverged"
    assert_array_equal(net.parameters, [1, 0])


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_saturated_outputs_do_not_diverge(loss, dtype):
    net = fastnn.mlp([1, 2], output="sigmoid", dtype=dtype)
    net.parameters = [1000, -1000, 0, 0]
    X, y = [[1.0], [-1.0]], [[0, 1], [1, 0]]
    assert net.evaluate(X, y, loss=loss) == pytest.approx(1000, rel=1e-6)
    history = net.fit(X, y, loss=loss, epochs=2)
    assert (history.status, np.isfinite(net.parameters).all()) == ("finished", True)


def test_saturated_softmax(dtype):
    net = fastnn.mlp([1, 3], output="softmax", dtype=dtype)
    net.parameters = [5e3, -5e3, 0, 0, 0, 0]
    assert net.evaluate([[1.0], [-1.0]], [1, 0], loss="cross_entropy") == 1e4
    assert net.fit([[1.0], [-1.0]], [1, 0], loss="cross_entropy").status == "finished"


def test_nothing_warns_on_the_way_to_divergence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "the loss was no longer finite")
        fastnn.mlp([1, 1]).fit([[1e100]], [1e100], epochs=5)


# Tables ----------------------------------------------------------------------------------------------


def test_repr():
    net = fastnn.mlp([2, 16, 3], activation="relu", output="softmax", dtype="float32")
    assert repr(net) == "<Sequential: 2 > 16 relu > 3 softmax, 99 parameters, float32>"


def test_summary():
    net = fastnn.Sequential([Dense(1000, "relu"), Dense(1, weights=np.ones((1000, 1)))], inputs=2)
    lines = net.summary().splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["layer", "weights", "activation", "initializer", "parameters"],
        ["dense", "1", "(2,", "1000)", "relu", "he_uniform", "3,000"],
        ["dense", "2", "(1000,", "1)", "identity", "own", "1,001"],
    ]
    assert lines[3] == "4,001 parameters, 32,008 bytes, float64, 2 inputs"
    assert len({len(line) for line in lines[:3]}) == 1  # columns line up


def test_a_network_of_many_layers(rng):
    sizes = [2, *[4] * (60 if JIT else 12), 1]
    p = problem(rng, sizes, 5, hidden="identity")
    assert_allclose(p.net.predict(p.X), p.twin.predict(p.X.tolist()), rtol=1e-9, atol=1e-12)


# Copies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_networks_of_their_own(how):
    layers = [fastnn.Dense(3, "tanh"), fastnn.LayerNormalization(), fastnn.Dropout(0.1), fastnn.Dense(1)]
    net = fastnn.Sequential(layers, inputs=2)
    X, y = fastnn.datasets.circle(4)
    net.fit(X, y, epochs=2)
    other = how(net)
    assert_array_equal(other.parameters, net.parameters)
    before = net.parameters.copy()
    other.fit(X, y, epochs=2)
    assert_array_equal(net.parameters, before)
    for layer in (other.layers[0], other.layers[3]):
        assert np.shares_memory(layer.weights, other.parameters)
        assert np.shares_memory(layer.bias, other.parameters)
    assert np.shares_memory(other.layers[1].gain, other.parameters)
    start = net.layers[0].weights.size
    assert_array_equal(other.layers[0].weights.reshape(-1), other.parameters[:start])
    other.layers[0].weights[:] = 0.0
    assert not other.parameters[:start].any()


def test_one_whose_arrays_cannot_be_written_to_learns():
    """As processes of joblib get large networks: mapped into memory, out of the pickle's band."""
    net = fastnn.mlp([2, 3, 1])
    buffers = []
    pickled = pickle.dumps(net, protocol=5, buffer_callback=buffers.append)
    other = pickle.loads(pickled, buffers=[bytes(buffer) for buffer in buffers])
    X, y = fastnn.datasets.circle(4)
    assert_array_equal(other.fit(X, y, epochs=3).loss, net.fit(X, y, epochs=3).loss)
    other.zero_grad()
    assert_array_equal(other.parameters, net.parameters)


@pytest.mark.parametrize(
    ("of", "name", "value"),
    [
        (lambda net: net, "l2", 1.0),
        (lambda net: net, "l1", 1.0),
        (lambda net: net, "inputs", 1),
        (lambda net: net, "layers", ()),
        (lambda net: net, "initializer", "zeros"),
        (lambda net: net, "dtype", "float32"),
        (lambda net: net.layers[0], "activation", "relu"),
        (lambda net: net.layers[0], "initializer", "zeros"),
        (lambda net: net.layers[0], "l1", 1.0),
        (lambda net: net.layers[0], "l2", None),
        (lambda net: net.layers[0], "max_norm", 2.0),
        (lambda net: net.layers[1], "epsilon", 0.1),
        (lambda net: net.layers[2], "rate", 0.2),
    ],
)
def test_what_has_been_noted_cannot_be_changed(of, name, value):
    layers = [fastnn.Dense(3, "tanh"), fastnn.LayerNormalization(), fastnn.Dropout(0.1), fastnn.Dense(1)]
    for net in (made := fastnn.Sequential(layers, inputs=2), copy.deepcopy(made)):
        before = getattr(of(net), name)
        with pytest.raises(AttributeError, match=f"^{name} of a .* cannot be changed; make another one"):
            setattr(of(net), name, value)
        assert getattr(of(net), name) == before
        with pytest.raises(AttributeError):
            net.layers[1].units = 2
        with pytest.raises(ValueError, match="seed is -1"):
            net.seed = -1
        assert net.seed == 0


def test_a_seed_can_be_set():
    X, y = fastnn.datasets.circle(4)
    net, other = fastnn.mlp([2, 3, 1]), fastnn.mlp([2, 3, 1])
    net.seed = 5
    assert_array_equal(net.fit(X, y, batch_size=4).loss, other.fit(X, y, batch_size=4, seed=5).loss)


def test_no_other_thread_trains_it_at_the_same_time():
    net = fastnn.mlp([2, 3, 1])
    X, y = fastnn.datasets.circle(4)
    found = []

    def said(call):
        try:
            return call(X, y).epochs
        except RuntimeError as error:
            return str(error)

    def try_all():
        calls = net.fit, lambda X, y: fastnn.fit_many([net], X, y)[0], copy.deepcopy(net).fit
        found.extend(said(call) for call in calls)

    def again(progress):
        thread = threading.Thread(target=try_all)
        thread.start()
        thread.join()

    assert net.fit(X, y, epochs=1, callbacks=[lambda _: net.fit(X, y), again]).epochs == 1
    assert "another thread is training this network" in found[0]
    assert found[0] == found[1]
    assert found[2] == 1
    try_all()
    assert found[3] == 1


def test_misspelt_attributes_of_layers_are_refused():
    for layer in (fastnn.Dense(2), fastnn.Dropout(0.1), fastnn.LayerNormalization()):
        with pytest.raises(AttributeError, match=f"a {type(layer).__name__} layer has no attribute 'trainabel'"):
            layer.trainabel = False
        layer.trainable = False


def test_what_python_says_of_a_misspelt_name():
    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'Sequental'") as caught:
        _ = fastnn.Sequental
    assert caught.value.name == "Sequental"
    assert caught.value.obj is fastnn
