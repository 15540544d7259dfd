"""Callbacks: what they see, how they end a fit, and that nothing they do harms it."""

from __future__ import annotations

import math
import os
import signal
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
from fastnn import schedules
from fastnn.callbacks import MOMENTS, Callback, EarlyStopping, StopTraining
from fastnn.optimizers import OPTIMIZERS, SGD, Adam
from fastnn.running import Run


class Diary(Callback):
    """Keeps all that it is told."""

    def __init__(self, name="", diary=None):
        self.name = name
        self.moments = [] if diary is None else diary
        self.seen = []
        self.parameters = []

    def note(self, moment, progress):
        self.moments.append(self.name + moment)
        self.seen.append(progress)
        self.parameters.append(progress.parameters.copy())

    def on_train_begin(self, progress):
        self.note("begin", progress)

    def on_epoch_end(self, progress):
        self.note(f"{progress.epoch}", progress)

    def on_train_end(self, progress):
        self.note("end", progress)


class Trouble(Exception):  # noqa: N818 - it is meant to be one
    pass


@pytest.fixture
def data(rng):
    X = rng.normal(size=(23, 3))
    return X, np.sin(X[:, 0]) * X[:, 1]


def network(dtype="float64", **options):
    return fastnn.mlp([3, 6, 1], activation="tanh", seed=1, dtype=dtype, **options)


# What they see -------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 5])
def test_moments(data, batch_size):
    diary = Diary()
    history = network().fit(*data, epochs=3, batch_size=batch_size, callbacks=[diary])
    assert diary.moments == ["begin", "1", "2", "3", "end"]
    assert [progress.epoch for progress in diary.seen] == [0, 1, 2, 3, 3]
    assert {progress.epochs for progress in diary.seen} == {3}
    assert [progress.status for progress in diary.seen] == ["running"] * 4 + ["finished"]
    assert math.isnan(diary.seen[0].loss)
    assert [progress.loss for progress in diary.seen[1:4]] == history.loss.tolist()
    assert diary.seen[4].loss == history.loss[-1]
    assert {progress.val_loss for progress in diary.seen} == {None}


@pytest.mark.parametrize("batch_size", [None, 5])
def test_same_fit_with_and_without(data, batch_size, dtype):
    options = {"epochs": 5, "batch_size": batch_size, "validation_split": 0.3, "metrics": ["mae"]}
    plain, watched = network(dtype), network(dtype)
    expected = plain.fit(*data, **options)
    found = watched.fit(*data, callbacks=Diary(), **options)
    assert_array_equal(found.loss, expected.loss)
    assert_array_equal(found.val_loss, expected.val_loss)
    assert_array_equal(watched.parameters, plain.parameters)


def test_validation_and_metrics(data):
    diary = Diary()
    history = network().fit(
        *data, epochs=3, batch_size=5, validation_split=0.3, metrics=["mae", "r2"], callbacks=diary
    )
    seen = diary.seen[1:4]
    assert [progress.val_loss for progress in seen] == history.val_loss.tolist()
    for name in ("mae", "val_mae", "r2", "val_r2"):
        assert [progress.metrics[name] for progress in seen] == history.metrics[name].tolist()
        assert math.isnan(diary.seen[0].metrics[name])
    assert all(type(progress.loss) is type(progress.val_loss) is float for progress in diary.seen)


def test_metric_of_several_numbers(rng):
    diary = Diary()
    X, y = rng.normal(size=(20, 2)), rng.integers(3, size=20)
    net = fastnn.mlp([2, 3], output="softmax")
    history = net.fit(X, y, epochs=3, loss="cross_entropy", metrics=["confusion_matrix"], callbacks=diary)
    found = np.array([progress.metrics["confusion_matrix"] for progress in diary.seen[1:4]])
    assert found.shape == (3, 3, 3)
    assert_array_equal(found, history.metrics["confusion_matrix"])
    assert (found.sum(axis=(1, 2)) == 20).all()


@pytest.mark.parametrize(
    "rate",
    [
        0.3,
        schedules.CosineDecay(0.3, epochs=4),
        schedules.WarmUp(0.3, epochs=2),
        schedules.OneCycle(0.3, epochs=4),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch_size", [None, 5])
def test_learning_rate(data, rate, batch_size):
    diary = Diary()
    history = network().fit(*data, epochs=4, batch_size=batch_size, optimizer=SGD(rate), callbacks=diary)
    found = [progress.learning_rate for progress in diary.seen]
    assert found[1:5] == history.learning_rate.tolist()
    assert_allclose(found[0], history.learning_rate[0], rtol=1e-15)


NETWORKS = {
    "plain": {},
    "penalties": {"l1": 0.01, "l2": 0.1},
}


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("name", [name for name, kind in OPTIMIZERS.items() if not kind.line_search])
def test_gradient_norm_in_full_batch(data, name, options, dtype):
    """It is that at the parameters before the update."""
    net, diary = network(dtype, **options), Diary()
    weights = np.arange(23) % 4
    net.fit(*data, epochs=4, optimizer=name, sample_weight=weights, callbacks=diary, validation_split=None)
    assert diary.seen[0].gradient_norm == 0
    twin = network(dtype, **options)
    for before, progress in zip(diary.parameters, diary.seen[1:5], strict=False):
        twin.parameters = before
        _, gradient = twin.loss_and_gradient(*data, sample_weight=weights)
        assert_allclose(
            progress.gradient_norm, np.linalg.norm(gradient), rtol=1e-5 if dtype == "float32" else 1e-12
        )


def test_gradient_norm_of_mini_batches_is_that_of_the_last(data):
    X, y = data
    net, diary = network(), Diary()
    net.fit(X, y, epochs=1, batch_size=20, shuffle=False, callbacks=diary)
    first, second = network(), network()
    first.fit(X[:20], y[:20], epochs=1)
    second.parameters = first.parameters
    _, gradient = second.loss_and_gradient(X[20:], y[20:])
    assert_allclose(diary.seen[1].gradient_norm, np.linalg.norm(gradient), rtol=1e-12)


def test_gradient_norm_with_clipping(data):
    diary = Diary()
    network().fit(*data, epochs=2, optimizer=SGD(0.1, clip_norm=1e-3), callbacks=diary)
    assert_allclose([progress.gradient_norm for progress in diary.seen[1:3]], 1e-3, rtol=1e-12)


def test_gradient_norm_with_frozen_layers(data):
    """Their gradient counts as 0."""
    layers = [fastnn.Dense(4, "tanh", trainable=False, l2=0.1), fastnn.Dense(1, l2=0.1)]
    net, diary = fastnn.Sequential(layers, inputs=3), Diary()
    before = net.parameters.copy()
    net.fit(*data, epochs=3, callbacks=diary)
    for parameters, progress in zip([before, *diary.parameters[1:]], diary.seen[1:4], strict=False):
        net.parameters = parameters
        _, gradient = net.loss_and_gradient(*data)
        assert_allclose(progress.gradient_norm, np.linalg.norm(gradient[16:]), rtol=1e-12)


def test_parameters(data):
    net, diary = network(), Diary()
    initial = net.parameters.copy()
    net.fit(*data, epochs=2, callbacks=diary)
    once = network()
    once.fit(*data, epochs=1)
    assert_array_equal(diary.parameters, [initial, once.parameters, net.parameters, net.parameters])


def test_parameters_cannot_be_written_to(data):
    def write(progress):
        with pytest.raises(ValueError, match="read-only"):
            progress.parameters[0] = 1
        with pytest.raises(AttributeError):
            progress.loss = 1
        return True

    assert network().fit(*data, callbacks=[write]).epochs == 1


def test_network_has_the_parameters_of_the_moment(data):
    net, losses = network(), []
    history = net.fit(*data, epochs=3, callbacks=lambda progress: losses.append(net.evaluate(*data)))
    assert losses[:2] == history.loss[1:].tolist()
    assert losses[2] == net.evaluate(*data)


def test_what_is_written_to_the_network_is_not_taken_over(data):
    def write(progress):
        progress.network.parameters = np.zeros(len(progress.parameters))

    net, plain = network(), network()
    net.fit(*data, epochs=3, callbacks=[write])
    plain.fit(*data, epochs=3)
    assert_array_equal(net.parameters, plain.parameters)


def test_best_parameters_at_the_end(data):
    """on_train_end finds the network as the fit leaves it."""
    net, diary = network(), Diary()
    stop = EarlyStopping(patience=3, min_delta=0.3)
    history = net.fit(*data, epochs=50, early_stopping=stop, callbacks=diary, batch_size=5)
    assert history.status == "stopped"
    assert diary.seen[-1].status == "stopped"
    assert_array_equal(diary.parameters[-1], net.parameters)
    assert_array_equal(diary.parameters[history.best_epoch], net.parameters)
    assert (diary.parameters[-2] != net.parameters).any()


# How they end a fit --------------------------------------------------------------------------------


def raising(progress):
    raise StopTraining


@pytest.mark.parametrize("answer", [True, np.True_])
@pytest.mark.parametrize("way", ["answer", "exception"])
def test_stop_after_an_epoch(data, way, answer):
    def stop(progress):
        if progress.epoch == 3:
            return answer if way == "answer" else raising(progress)
        return None

    net, plain, diary = network(), network(), Diary()
    history = net.fit(*data, epochs=10, callbacks=[stop, diary])
    assert (history.status, history.epochs) == ("stopped", 3)
    assert diary.moments == ["begin", "1", "2", "3", "end"]  # others have their turn
    assert diary.seen[-1].status == "stopped"
    plain.fit(*data, epochs=3)
    assert_array_equal(net.parameters, plain.parameters)


def test_stop_before_the_first_epoch(data):
    class Refusal(Callback):
        def on_train_begin(self, progress):
            raise StopTraining

    net, diary = network(), Diary()
    before = net.parameters.copy()
    history = net.fit(*data, epochs=10, callbacks=[Refusal(), diary])
    assert (history.status, history.epochs, len(history.loss)) == ("stopped", 0, 0)
    assert diary.moments == ["begin", "end"]
    assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("answer", [None, False, 1, "stop", 0.5, np.ones(3)], ids=str)
def test_other_answers_do_not_stop(data, answer):
    assert network().fit(*data, epochs=4, callbacks=lambda progress: answer).status == "finished"


def test_stop_in_the_last_epoch_is_none(data):
    assert network().fit(*data, epochs=2, callbacks=lambda progress: progress.epoch == 2).status == "finished"


def test_stop_at_the_end_does_nothing(data):
    class Late(Callback):
        on_train_end = staticmethod(raising)

    diary = Diary()
    assert network().fit(*data, epochs=2, callbacks=[Late(), diary]).status == "finished"
    assert diary.moments[-1] == "end"


def test_stopped_by_a_callback_restores_the_best(data):
    """Early stopping was asked for the best parameters, however the fit ends by itself."""
    net, diary = network(), Diary()
    stop = EarlyStopping(patience=100, min_delta=0.05)
    history = net.fit(
        *data, epochs=99, early_stopping=stop, callbacks=[diary, lambda p: p.epoch == 20], optimizer=SGD(0.001)
    )
    assert (history.status, history.epochs) == ("stopped", 20)
    assert history.best_epoch < 20
    assert_array_equal(net.parameters, diary.parameters[history.best_epoch])


def test_diverged_fit_has_its_end(data):
    diary = Diary()
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        fastnn.mlp([3, 1]).fit(*data, epochs=10**4, optimizer=SGD(3.0), callbacks=diary)
    assert diary.moments[-1] == "end"
    assert diary.seen[-1].status == "diverged"


# Exceptions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Trouble, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("batch_size", [None, 5])
def test_exception_after_an_epoch(data, kind, batch_size):
    def fail(progress):
        if progress.epoch == 3:
            raise kind("on purpose")

    net, plain, before, after = network(), network(), Diary(), Diary()
    with pytest.raises(kind, match="on purpose"):
        net.fit(*data, epochs=10, batch_size=batch_size, callbacks=[before, fail, after])
    assert (net.history.status, net.history.epochs) == ("interrupted", 3)
    expected = plain.fit(*data, epochs=3, batch_size=batch_size)
    assert_array_equal(net.parameters, plain.parameters)
    assert_array_equal(net.history.loss, expected.loss)
    assert before.moments == ["begin", "1", "2", "3", "end"]
    assert after.moments == ["begin", "1", "2", "end"]
    assert before.seen[-1].status == "interrupted"
    assert net.fit(*data, epochs=2).status == "finished"


def test_exception_before_the_first_epoch(data):
    class Broken(Diary):
        def on_train_begin(self, progress):
            super().on_train_begin(progress)
            raise Trouble

    net, first, broken, last = network(), Diary(), Broken(), Diary()
    before = net.parameters.copy()
    with pytest.raises(Trouble):
        net.fit(*data, callbacks=[first, broken, last])
    assert (first.moments, broken.moments, last.moments) == (["begin", "end"], ["begin"], [])
    assert_array_equal(net.parameters, before)
    assert (net.history.status, net.history.epochs) == ("interrupted", 0)


def test_exceptions_at_the_end(data):
    """Each is called, and the network has all that it should have."""

    class Broken(Diary):
        def on_train_end(self, progress):
            super().on_train_end(progress)
            assert progress.network.history.epochs == 2
            raise Trouble

    net, plain, diaries = network(), network(), [Broken(), Diary(), Broken()]
    with pytest.raises(Trouble):
        net.fit(*data, epochs=2, callbacks=diaries)
    assert [diary.moments[-1] for diary in diaries] == ["end"] * 3
    plain.fit(*data, epochs=2)
    assert_array_equal(net.parameters, plain.parameters)
    assert net.history.status == "finished"


def test_exception_and_another_at_the_end(data):
    class Broken(Callback):
        def on_epoch_end(self, progress):
            raise Trouble("first")

        def on_train_end(self, progress):
            raise Trouble("second")

    with pytest.raises(Trouble, match="second") as caught:
        network().fit(*data, callbacks=Broken())
    assert str(caught.value.__context__) == "first"


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself SIGINT there")
@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_inside_a_callback(data, moment):
    net, diary = network(), Diary()

    class Interrupted(Callback):
        pass

    def interrupt(self, progress):
        if moment != "on_epoch_end" or progress.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(10**6):
                pass  # the signal is handled between two lines of Python

    setattr(Interrupted, moment, interrupt)
    with pytest.raises(KeyboardInterrupt):
        net.fit(*data, epochs=4, callbacks=[diary, Interrupted()])
    assert diary.moments[-1] == "end"
    expected = {"on_train_begin": ("interrupted", 0), "on_epoch_end": ("interrupted", 2)}
    assert (net.history.status, net.history.epochs) == expected.get(moment, ("finished", 4))


# Several, and what they may do ---------------------------------------------------------------------


def test_order_of_several(data):
    moments = []
    network().fit(*data, epochs=2, callbacks=[Diary("a", moments), Diary("b", moments)])
    assert moments == ["abegin", "bbegin", "a1", "b1", "a2", "b2", "aend", "bend"]


def test_functions_and_objects_of_any_kind(data):
    called = []

    class OnlyOne:
        def on_train_end(self, progress):
            called.append("end")

    class Both:
        def __call__(self, progress):
            called.append("never")

        def on_epoch_end(self, progress):
            called.append("method")

    def function(progress):
        called.append("function")

    network().fit(*data, epochs=1, callbacks=(each for each in [OnlyOne(), Both(), function]))
    assert called == ["method", "function", "end"]
    network().fit(*data, epochs=1, callbacks=OnlyOne())
    assert called[3:] == ["end"]


def test_predicting_and_training_inside(data):
    other, diary = network(), Diary()

    def busy(progress):
        progress.network.predict(data[0])
        other.fit(*data, epochs=2, batch_size=5, optimizer=Adam(0.01), callbacks=diary)
        progress.network.loss_and_gradient(*data)

    net, plain = network(), network()
    found = net.fit(*data, epochs=3, batch_size=4, callbacks=[busy])
    expected = plain.fit(*data, epochs=3, batch_size=4)
    assert_array_equal(found.loss, expected.loss)
    assert_array_equal(net.parameters, plain.parameters)
    assert net.history is found
    assert other.history.epochs == 2
    assert diary.moments == ["begin", "1", "2", "end"] * 3


def test_training_the_same_network_inside(data):
    """The outer fit has the last word."""

    def fit_again(progress):
        if progress.epoch == 1:
            progress.network.fit(*data, epochs=5)

    net, plain = network(), network()
    found = net.fit(*data, epochs=3, callbacks=fit_again)
    assert_array_equal(found.loss, plain.fit(*data, epochs=3).loss)
    assert_array_equal(net.parameters, plain.parameters)
    assert net.history is found


def test_saving_inside(data, tmp_path):
    def save(progress):
        progress.network.save(tmp_path / f"{progress.epoch}.npz")

    net = network()
    net.fit(*data, epochs=2, callbacks=save)
    assert_array_equal(fastnn.load(tmp_path / "2.npz").parameters, net.parameters)
    once = network()
    once.fit(*data, epochs=1)
    assert_array_equal(fastnn.load(tmp_path / "1.npz").parameters, once.parameters)


def test_without_callbacks_python_is_not_entered_between_chunks(data, monkeypatch):
    """A thousand epochs of a small network are a handful of chunks, and with callbacks one each."""
    looks = []
    real = Run.chunks

    def chunks(run):
        for _ in real(run):
            looks.append(run.epochs)
            yield

    monkeypatch.setattr(Run, "chunks", chunks)
    network().fit(*data, epochs=1000)
    assert len(looks) < 50
    looks.clear()
    network().fit(*data, epochs=100, callbacks=Diary())
    assert looks == list(range(1, 101))


@pytest.mark.parametrize(
    "value", [3, "callback", None, Callback, [Callback], [3], [None], [lambda p: None, 3]], ids=str
)
def test_what_is_no_callback(data, value):
    net = network()
    before = net.parameters.copy()
    with pytest.raises(TypeError, match=r"callbacks.*needed"):
        net.fit(*data, callbacks=value)
    assert_array_equal(net.parameters, before)
    assert net.history is None


# EarlyStopping as an object ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind", "match"),
    [
        ({"monitor": 3}, TypeError, "monitor is 3; a name like"),
        ({"patience": 0}, ValueError, "patience is 0; a whole number from 1 to"),
        ({"patience": 2.0}, TypeError, "patience is 2.0"),
        ({"min_delta": -1}, ValueError, "min_delta is -1; a finite number at least 0"),
        ({"min_delta": "0"}, TypeError, "min_delta is '0'"),
        ({"restore_best": 1}, TypeError, "restore_best is 1; True or False"),
    ],
    ids=str,
)
def test_early_stopping_is_checked(options, kind, match):
    with pytest.raises(kind, match=match):
        EarlyStopping(**options)


def test_early_stopping_wants_a_single_number():
    net = fastnn.mlp([1, 2], output="softmax")
    with pytest.raises(ValueError, match="'confusion_matrix', which is more than one number"):
        net.fit(
            [[1.0], [2.0]],
            [0, 1],
            loss="cross_entropy",
            metrics=["confusion_matrix"],
            early_stopping=EarlyStopping("confusion_matrix"),
        )


def test_early_stopping_says_how_it_is_made():
    stop = EarlyStopping("val_loss", patience=3, min_delta=0.5, restore_best=False)
    assert repr(stop) == "EarlyStopping('val_loss', patience=3, min_delta=0.5, restore_best=False)"
    assert repr(eval(repr(stop))) == repr(stop)


def test_moments_that_there_are_not():
    class Diary(fastnn.Callback):
        def on_batch_end(self, progress):
            """Keras has it."""

    class Kept(fastnn.Callback):
        on_disk = True  # no method

    fastnn.mlp([1, 1]).fit([[1.0]], [1.0], callbacks=[Kept()])
    with pytest.raises(TypeError, match=r"callbacks\[0\] has on_batch_end, which is never called; on_train_begin"):
        fastnn.mlp([1, 1]).fit([[1.0]], [1.0], callbacks=[Diary()])
