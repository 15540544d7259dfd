"""What is asked again and again: the same bits as the long way, nothing shared, nothing kept too long."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import inference, training
from fastnn.inference import ShortPass
from tests.problems import HIDDEN, JIT, OUTPUTS, PAIRS, problem

# One row --------------------------------------------------------------------------------------------


def one_by_one(net, X):
    return np.concatenate([net.predict(X[i : i + 1].copy()) for i in range(len(X))])


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_row_alone_has_the_bits_that_it_has_among_others(rng, hidden, dtype):
    sizes = (3, 17, 5, 33, 2) if JIT else (3, 5, 2)
    p = problem(rng, sizes, 9, hidden=hidden, dtype=dtype)
    assert_array_equal(one_by_one(p.net, p.X), p.net.predict(p.X))


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_row_alone_has_the_same_output(rng, output, dtype):
    p = problem(rng, (3, 7, 4), 9, output=output, dtype=dtype)
    assert_array_equal(one_by_one(p.net, p.X), p.net.predict(p.X))


def test_predictions_for_any_number_of_rows_after_each_other(rng, dtype):
    p = problem(rng, (2, 7, 3), 300, dtype=dtype)
    net, X = p.net, p.X
    expected = net.predict(X)
    for n in (7, 7, 299, 2, 7, 300):
        for either in (net, copy.copy(net), pickle.loads(pickle.dumps(net))):
            assert_array_equal(either.predict(X[:n]), expected[:n])
    net.parameters *= 2.0
    assert_array_equal(net.predict(X), copy.copy(net).predict(X))
    assert not np.array_equal(net.predict(X), expected)


def test_a_row_may_come_in_any_form(rng, dtype):
    p = problem(rng, (2, 7, 3), 5, dtype=dtype)
    p.X[0] = 1.0, 2.0
    net = p.net
    expected = net.predict(p.X)[:1]
    row = p.X[:1].copy()
    read_only = row.copy()
    read_only.flags.writeable = False
    forms = [
        row,
        read_only,
        row.tolist(),
        [[1, 2]],
        ((1, 2),),
        [[True, 2]],
        row.astype(int),
        np.asfortranarray(row),
    ]
    forms += [row.astype("f4"), row.astype("f8"), row.astype(">f8"), np.ones((2, 4))[:1, ::2] * [1, 2], [row[0]]]
    forms += [row.view(type("Own", (np.ndarray,), {})), np.ma.array(row), p.X[::5], [[np.float32(1), 2.0]]]
    for _ in range(2):  # what is kept since the first time
        for form in forms:
            found = net.predict(form)
            assert (type(found), found.dtype, found.shape) == (np.ndarray, dtype, (1, 3))
            assert_array_equal(found, expected)
        assert_array_equal(net.forward(row), expected)


@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        ([[1.0, np.nan]], ValueError, r"X\[0, 1\] is nan; finite float64 numbers are needed"),
        (np.array([[-np.inf, 1.0]]), ValueError, r"X\[0, 0\] is -inf"),
        ([1.0, 2.0], ValueError, r"X has 1 dimension\(s\)"),
        (np.ones((1, 3)), ValueError, r"X has 3 column\(s\)"),
        ([[1.0]], ValueError, r"X has 1 column\(s\)"),
        ([[]], ValueError, r"X has 0 column\(s\)"),
        ([], ValueError, r"X has 1 dimension\(s\)"),
        ([[1.0, "2"]], TypeError, "X holds text"),
        ([[1.0, 2j]], TypeError, "X holds values of type complex128"),
        ([[1.0, None]], TypeError, "X holds a value of type NoneType"),
        ([[1.0, [2.0]]], ValueError, "its rows have different lengths"),
        (np.ma.array([[1.0, 2.0]], mask=[[False, True]]), ValueError, "masked"),
    ],
)
def test_what_is_refused_is_refused_the_second_time_too(X, error, match):
    net = fastnn.mlp([2, 3, 1])
    with pytest.raises(error, match=match):
        net.predict(X)
    net.predict([[1.0, 2.0]])
    with pytest.raises(error, match=match):
        net.predict(X)


def test_a_row_sees_the_parameters_of_now(rng):
    p = problem(rng, (2, 3, 1))
    net, row = p.net, p.X[:1].copy()
    for _ in range(2):
        before = net.predict(row)
        net.fit(p.X, p.y, epochs=2)
        assert_array_equal(net.predict(row), net.predict(p.X)[:1])
        assert net.predict(row) != before


def test_copies_predict_with_their_own_parameters(rng):
    p = problem(rng, (2, 3, 1))
    net, row = p.net, p.X[:1].copy()
    expected = net.predict(row)
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert_array_equal(copied.predict(row), expected)
        copied.parameters[:] = 0.0
        assert copied.predict(row) == 0.0
        assert_array_equal(net.predict(row), expected)


# Loss and gradient of a data set ------------------------------------------------------------------------


def the_long_way(monkeypatch, ask):
    """The answer of a run of one epoch, which many rows get."""
    with monkeypatch.context() as patch:
        patch.setattr(ShortPass, "holds", lambda plan: False)
        return ask()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("output", "loss"), PAIRS if JIT else PAIRS[:4])
def test_short_passes_have_the_bits_of_a_run(rng, monkeypatch, output, loss, weighted, dtype):
    p = problem(rng, (3, 5, 2), 19, output=output, loss=loss, dtype=dtype, weighted=weighted, l1=0.01, l2=0.1)
    net, options = p.net, {"loss": p.loss, "sample_weight": p.weights}
    expected, of_run = the_long_way(monkeypatch, lambda: net.loss_and_gradient(*p.rows, **options))
    data = fastnn.Dataset(p.X, p.y, p.weights)
    for _ in range(2):
        found, gradient = net.loss_and_gradient(*p.rows, **options)
        assert (found, type(found), gradient.dtype) == (expected, float, dtype)
        assert_array_equal(gradient, of_run)
        found, gradient = net.loss_and_gradient(data, loss=p.loss)
        assert found == expected
        assert_array_equal(gradient, of_run)
        assert net.evaluate(data, loss=p.loss) == the_long_way(
            monkeypatch, lambda: net.evaluate(*p.rows, **options)
        )
        assert net.evaluate(*p.rows, **options) == net.evaluate(data, loss=p.loss)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("samples", [640, 769, 1300])
def test_passes_over_several_tiles_have_the_bits_of_a_run(rng, monkeypatch, samples, weighted, dtype):
    p = problem(rng, (3, 5, 2), samples, dtype=dtype, weighted=weighted, l2=0.1)
    net, data = p.net, fastnn.Dataset(p.X, p.y, p.weights)
    found, gradient = net.loss_and_gradient(data)
    expected, of_run = the_long_way(monkeypatch, lambda: p.net.loss_and_gradient(data))
    assert found == expected == net.evaluate(data)
    assert_array_equal(gradient, of_run)


def test_backward_has_the_bits_of_a_run(rng, monkeypatch, dtype):
    p = problem(rng, (3, 5, 2), 19, dtype=dtype)
    net = p.net
    net.forward(p.X)
    net.backward(p.y)
    found = net.gradients.copy()
    net.zero_grad()
    the_long_way(monkeypatch, lambda: net.backward(p.y))
    assert_array_equal(found, net.gradients)


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_loss_that_is_not_finite_is_told(rng, monkeypatch):
    p = problem(rng, (3, 5, 2), 19, output="exponential", l2=0.1)
    net = p.net
    net.layers[-1].bias += 1e3
    data = fastnn.Dataset(*p.rows)
    for _ in range(2):
        assert net.loss_and_gradient(data)[0] == np.inf
        assert net.evaluate(data) == np.inf
    assert the_long_way(monkeypatch, lambda: net.evaluate(data)) == np.inf


def test_answers_are_of_the_parameters_the_rows_and_the_loss_of_now(rng):
    p, q = problem(rng, (3, 5, 2), 19), problem(rng, (3, 5, 2), 7)
    net = p.net
    one, other = fastnn.Dataset(*p.rows), fastnn.Dataset(*q.rows)
    for _ in range(3):
        for loss in ("mse", "mae", fastnn.losses.Huber(0.1), fastnn.losses.Huber(0.5)):
            for data, rows in 2 * ((one, p.rows), (other, q.rows)):
                expected, gradient = net.loss_and_gradient(*rows, loss=loss)
                found, of_data = net.loss_and_gradient(data, loss=loss)
                assert found == expected == net.evaluate(data, loss=loss)
                assert_array_equal(of_data, gradient)
        net.parameters[:] *= 1.1


def test_gradients_are_the_caller_s_own(rng):
    p = problem(rng, (3, 5, 2), 19)
    net, data = p.net, fastnn.Dataset(*p.rows)
    one = net.loss_and_gradient(data)[1]
    before = one.copy()
    one[:] = 7.0
    other = net.loss_and_gradient(data)[1]
    assert_array_equal(other, before)
    assert (one == 7.0).all()


@pytest.mark.parametrize("loss", ["mean", 3, None, ["mse"], np.ones(2), "cross_entropy"])
def test_a_loss_that_is_none_is_refused_each_time(rng, loss):
    p = problem(rng, (3, 5, 2), 19)
    net, data = p.net, fastnn.Dataset(*p.rows)
    for _ in range(2):
        net.loss_and_gradient(data)
        with pytest.raises((TypeError, ValueError), match=r"loss|cross_entropy"):
            net.loss_and_gradient(data, loss=loss)


def test_few_passes_are_kept_and_no_data_sets(rng):
    p = problem(rng, (3, 5, 2), 19)
    net = p.net
    many = [fastnn.Dataset(*p.rows) for _ in range(3 * inference.MOST_KEPT)]
    for data in many:
        net.evaluate(data)
    assert len(net._kept._passes) == inference.MOST_KEPT
    held = [weakref.ref(data) for data in many]
    memory = [kept[-1].alive for kept in net._kept._passes]
    assert all(memory)
    del many, data
    gc.collect()
    assert not any(ref() for ref in held)
    assert not any(memory)
    assert np.isfinite(net.evaluate(fastnn.Dataset(*p.rows)))


def test_a_pass_is_made_once(rng, monkeypatch):
    p = problem(rng, (3, 5, 2), 19)
    net, data = p.net, fastnn.Dataset(*p.rows)
    made = []
    whole_pass = training.whole_pass
    monkeypatch.setattr(training, "whole_pass", lambda *given: made.append(given) or whole_pass(*given))
    for _ in range(5):
        net.loss_and_gradient(data)
        net.evaluate(data)
    assert len(made) == 2


def test_copies_keep_nothing_of_the_network(rng):
    p = problem(rng, (3, 5, 2), 19)
    net, data = p.net, fastnn.Dataset(*p.rows)
    expected = net.evaluate(data)
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert copied.evaluate(data) == expected
        copied.parameters[:] = 0.0
        assert copied.evaluate(data) != expected
    assert net.evaluate(data) == expected


def test_a_pass_in_use_is_nobody_else_s(rng, monkeypatch):
    p = problem(rng, (3, 5, 2), 19)
    net, data = p.net, fastnn.Dataset(*p.rows)
    net.loss_and_gradient(data)
    used, gradient = [], ShortPass.gradient

    def interrupted(self):
        used.append(self)
        if len(used) == 1:
            net.loss_and_gradient(data)
        return gradient(self)

    monkeypatch.setattr(ShortPass, "gradient", interrupted)
    net.loss_and_gradient(data)
    assert used[0] is not used[1]


def test_threads_get_the_right_answers(rng):
    rows = [problem(rng, (24, 8, 2), 200) for _ in range(2)]
    net = rows[0].net
    data = [fastnn.Dataset(*p.rows) for p in rows]
    expected = [net.loss_and_gradient(each) for each in data]
    wrong = []

    def work(which):
        for _ in range(500 if JIT else 3):
            loss, gradient = net.loss_and_gradient(data[which])
            if loss != expected[which][0] or not np.array_equal(gradient, expected[which][1]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(i % 2,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(net._kept._passes) <= inference.MOST_KEPT
