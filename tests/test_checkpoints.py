"""Checkpoints: a fit that was interrupted and resumed is, to the last bit, one that was not."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import checkpoints, files, parts, schedules
from fastnn.callbacks import EarlyStopping, StopTraining
from fastnn.layers import Dropout, LayerNormalization
from fastnn.optimizers import LBFGS, OPTIMIZERS, SGD, Adam
from tests.conftest import ROOT
from tests.marks import core

EPOCHS = 12


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.npz"


def rows(rng, count=21):
    X = rng.normal(size=(count, 3))
    return X, np.sin(X[:, 0]) * X[:, 1]


def network(seed=1, dtype="float64", layers=None, **options):
    layers = layers or [fastnn.Dense(6, "tanh"), fastnn.Dense(1)]
    return fastnn.Sequential(layers, inputs=3, seed=seed, dtype=dtype, **options)


def same_history(found, expected):
    """Return whether histories are equal bit for bit, except for the times."""
    assert found.status == expected.status
    assert found.best_epoch == expected.best_epoch
    assert found.metrics.keys() == expected.metrics.keys()
    for one, other in [
        (found.loss, expected.loss),
        (found.val_loss, expected.val_loss),
        (found.learning_rate, expected.learning_rate),
        *((found.metrics[name], expected.metrics[name]) for name in expected.metrics),
    ]:
        assert (one is None) == (other is None)
        if one is not None:
            assert one.shape == other.shape
            assert one.tobytes() == other.tobytes()


def resumed_equals_uninterrupted(path, data, make, options, interrupted_after, epochs=EPOCHS):
    """Train a network in one go, and another in several fits; the history."""
    options = {"seed": 5, **options}
    whole = make()
    expected = whole.fit(*data, epochs=epochs, **options)
    resume = None
    for until in [*interrupted_after, epochs]:
        net = make() if resume is None else make(seed=100 + until)  # other initial parameters
        found = net.fit(*data, epochs=until, checkpoint=path, resume=resume, **options)
        resume = path
    same_history(found, expected)
    assert net.parameters.tobytes() == whole.parameters.tobytes()
    assert net.history is found
    return found


MINI_BATCHES = {"batch_size": 4}
OPTIONS = {
    "full batch": {},
    "mini-batches": MINI_BATCHES,
    "mini-batches in order": {**MINI_BATCHES, "shuffle": False},
    "one by one": {"batch_size": 1},
    "weights": {**MINI_BATCHES, "sample_weight": np.arange(21) % 3},
    "validation": {**MINI_BATCHES, "validation_split": 0.3, "metrics": ["mae", "r2"]},
    "metrics": {"metrics": ["mae"], "optimizer": SGD(0.3, momentum=0.9, nesterov=True)},
    "momentum": {**MINI_BATCHES, "optimizer": SGD(0.05, momentum=0.9)},
    "clipping": {**MINI_BATCHES, "optimizer": Adam(0.05, clip_norm=0.1)},
    "early stopping": {
        **MINI_BATCHES,
        "validation_split": 0.3,
        "optimizer": SGD(0.3),
        "early_stopping": EarlyStopping(patience=3, min_delta=0.05),
    },
    "early stopping that does not come": {
        "validation_split": 0.3,
        "early_stopping": EarlyStopping("val_mae", patience=50, restore_best=False),
        "metrics": ["mae"],
    },
    "another loss": {**MINI_BATCHES, "loss": "mae"},
}
SCHEDULES = [
    schedules.StepDecay(0.1, factor=0.5, every=3),
    schedules.ExponentialDecay(0.1),
    schedules.CosineDecay(0.1, epochs=10),
    schedules.CosineRestarts(0.1, epochs=3, growth=1.5),
    schedules.InverseScaling(0.1),
    schedules.OneCycle(0.1, epochs=EPOCHS),
    schedules.ReduceOnPlateau(0.3, patience=2, min_delta=0.02),
    schedules.WarmUp(schedules.ReduceOnPlateau(0.3, patience=1, min_delta=0.05), epochs=4),
]
LAYERS = {
    "dropout": lambda: [fastnn.Dense(8, "relu"), Dropout(0.4), fastnn.Dense(1)],
    "dropout of inputs": lambda: [Dropout(0.2), fastnn.Dense(8, "relu"), fastnn.Dense(1)],
    "normalization": lambda: [fastnn.Dense(8, "relu"), LayerNormalization(), fastnn.Dense(1)],
    "bounds": lambda: [fastnn.Dense(8, "tanh", l1=0.01, max_norm=0.5), fastnn.Dense(1, l2=0.1)],
    "frozen": lambda: [fastnn.Dense(8, "tanh", initializer=0.3, trainable=False), fastnn.Dense(1)],
}


@pytest.mark.parametrize("legs", [[5], [1, 2, 11]], ids=str)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_resumed_equals_uninterrupted(path, rng, options, legs):
    resumed_equals_uninterrupted(path, rows(rng), network, options, legs)


@pytest.mark.parametrize("dtype", ["float32"])
def test_of_each_dtype(path, rng, dtype):
    def make(seed=1):
        return network(seed, dtype)

    resumed_equals_uninterrupted(path, rows(rng), make, OPTIONS["validation"], [5])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_of_each_optimizer(path, rng, name):
    batch_size = None if OPTIMIZERS[name].full_batch else 5
    options = {"optimizer": name, "batch_size": batch_size, "validation_split": 0.3, "metrics": ["mae"]}
    resumed_equals_uninterrupted(path, rows(rng), network, options, [3, 7])


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_of_each_schedule(path, rng, schedule):
    options = {**MINI_BATCHES, "optimizer": SGD(schedule, momentum=0.5), "validation_split": 0.3}
    history = resumed_equals_uninterrupted(path, rows(rng), network, options, [2, 7])
    assert len(set(history.learning_rate)) > 1


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("batch_size", [None, 5])
def test_of_each_layer(path, rng, layers, batch_size):
    def make(seed=1):
        return network(seed, layers=layers())

    resumed_equals_uninterrupted(path, rows(rng), make, {"batch_size": batch_size}, [4])


def test_of_several_outputs_and_a_matrix_a_epoch(path, rng):
    def make(seed=1):
        return fastnn.mlp([3, 5, 4], activation="tanh", output="softmax", seed=seed)

    X, labels = rng.normal(size=(21, 3)), rng.integers(4, size=21)
    options = {"loss": "cross_entropy", "metrics": ["confusion_matrix", "accuracy"], "class_weight": "balanced"}
    options |= {"validation_split": 0.3, "batch_size": 4}
    history = resumed_equals_uninterrupted(path, (X, labels), make, options, [5])
    assert history.metrics["val_confusion_matrix"].shape == (EPOCHS, 4, 4)


class Interruption(Exception):  # noqa: N818 - it is none
    pass


@pytest.mark.parametrize("kind", [Interruption, KeyboardInterrupt])
@pytest.mark.parametrize("every", [1, 3, None])
def test_interrupted_in_a_callback(path, rng, kind, every):
    def interrupt(progress):
        if progress.epoch == 7:
            raise kind

    data, options = rows(rng), {**OPTIONS["momentum"], "epochs": EPOCHS, "checkpoint_every": every}
    with pytest.raises(kind):
        network().fit(*data, callbacks=interrupt, checkpoint=path, **options)
    resumed, whole = network(), network()
    seen = []
    found = resumed.fit(
        *data, callbacks=lambda progress: seen.append(progress.epoch), checkpoint=path, resume=path, **options
    )
    expected = whole.fit(*data, epochs=EPOCHS, **OPTIONS["momentum"])
    same_history(found, expected)
    assert_array_equal(resumed.parameters, whole.parameters)
    assert seen == list(range(8, EPOCHS + 1))  # that of epoch 7 is written when the fit ends


@pytest.mark.compiled
def test_interrupted_within_an_epoch(path, rng, monkeypatch):
    """The file is of an epoch before, and nothing of the one under way is in it."""
    data = rng.normal(size=(3000, 3)), rng.normal(size=3000)
    options = {"batch_size": 10, "optimizer": "adam", "seed": 3, "checkpoint_every": 2}
    sights = []

    def look(watcher, run):
        real(watcher, run)
        sights.append(run.between_epochs)
        if run.epochs >= 5 and not run.between_epochs:
            raise Interruption

    real = checkpoints.Checkpoints.look
    monkeypatch.setattr(checkpoints.Checkpoints, "look", look)
    monkeypatch.setattr("fastnn.running.FIRST_CHUNK_OPERATIONS", 2e5)
    monkeypatch.setattr("fastnn.running.CHUNK_SECONDS", 1e-4)
    net = network()
    with pytest.raises(Interruption):
        net.fit(*data, epochs=9, checkpoint=path, **options)
    assert net.history.epochs == 5
    assert not sights[-1]
    monkeypatch.undo()
    assert epoch_of(path) == 4
    resumed, whole = network(), network()
    same_history(
        resumed.fit(*data, epochs=9, resume=path, **options | {"checkpoint_every": None}),
        whole.fit(*data, epochs=9, **options | {"checkpoint_every": None}),
    )
    assert_array_equal(resumed.parameters, whole.parameters)


@pytest.mark.compiled
def test_interrupted_while_shuffling(path, monkeypatch):
    data = np.linspace(-1, 1, 60_000).reshape(20_000, 3), np.linspace(0, 1, 20_000)
    options = {"batch_size": 10_000, "epochs": 3, "seed": 1}
    monkeypatch.setattr("fastnn.running.FIRST_CHUNK_OPERATIONS", 1)
    monkeypatch.setattr("fastnn.running.CHUNK_SECONDS", 1e-9)

    def look(watcher, run):
        real(watcher, run)
        if run.epochs == 1 and run.between_epochs and run.cursor[checkpoints.layout.TO_SHUFFLE] > 0:
            raise Interruption

    real = checkpoints.Checkpoints.look
    monkeypatch.setattr(checkpoints.Checkpoints, "look", look)
    resumed, whole = network(), network()
    with pytest.raises(Interruption):
        resumed.fit(*data, checkpoint=path, **options)
    assert epoch_of(path) == 1
    same_history(resumed.fit(*data, resume=path, **options), whole.fit(*data, **options))
    assert_array_equal(resumed.parameters, whole.parameters)


@pytest.mark.parametrize("optimizer", [SGD(0.1), LBFGS()], ids=str)
def test_interrupted_at_any_chunk(path, rng, monkeypatch, optimizer):
    """Also between two trials of a line search, which are part of one epoch."""
    data = rows(rng)
    options = {"epochs": EPOCHS, "optimizer": optimizer, "metrics": ["mae"], "seed": 1}
    whole = network()
    expected = whole.fit(*data, **options)
    monkeypatch.setattr("fastnn.running.FIRST_CHUNK_OPERATIONS", 1)
    monkeypatch.setattr("fastnn.running.CHUNK_SECONDS", 1e-9)
    real = checkpoints.Checkpoints.look

    def look(watcher, run):
        real(watcher, run)
        raise Interruption

    monkeypatch.setattr(checkpoints.Checkpoints, "look", look)
    resume, chunks = None, 0
    while True:
        net = network(seed=50 + chunks if resume else 1)
        try:
            found = net.fit(*data, checkpoint=path, resume=resume, **options)
        except Interruption:
            resume, chunks = path, chunks + 1
            assert chunks < 100
        else:
            break
    assert chunks >= EPOCHS
    same_history(found, expected)
    assert_array_equal(net.parameters, whole.parameters)


def test_a_checkpoint_changes_nothing(path, rng):
    data = rows(rng)
    plain, watched = network(), network()
    expected = plain.fit(*data, epochs=EPOCHS, **OPTIONS["validation"])
    found = watched.fit(*data, epochs=EPOCHS, checkpoint=path, checkpoint_every=2, **OPTIONS["validation"])
    same_history(found, expected)
    assert_array_equal(watched.parameters, plain.parameters)


# How a run goes on ---------------------------------------------------------------------------------


def test_finished_run_gives_its_network(path, rng):
    data, net, other = rows(rng), network(), network()
    history = net.fit(*data, epochs=EPOCHS, checkpoint=path)
    again = other.fit(*data, epochs=EPOCHS, resume=path)
    same_history(again, history)
    assert_array_equal(other.parameters, net.parameters)
    assert again.run_seconds > contents(path)[0]["seconds"] > 0.0  # of both


def test_stopped_early_stays_so(path, rng):
    """More epochs would not have changed that either."""
    data, options = rows(rng), {**OPTIONS["early stopping"], "seed": 5}
    net, other = network(), network()
    history = net.fit(*data, epochs=500, checkpoint=path, **options)
    assert history.status == "stopped"
    found = other.fit(*data, epochs=1000, resume=path, **options)
    same_history(found, history)
    assert_array_equal(other.parameters, net.parameters)


def test_stopped_by_a_callback_goes_on(path, rng):
    data, whole, net = rows(rng), network(), network()

    def stop(progress):
        if progress.epoch == 4:
            raise StopTraining

    assert net.fit(*data, epochs=EPOCHS, checkpoint=path, callbacks=stop).status == "stopped"
    assert epoch_of(path) == 4
    same_history(net.fit(*data, epochs=EPOCHS, resume=path), whole.fit(*data, epochs=EPOCHS))
    assert_array_equal(net.parameters, whole.parameters)


def test_log_goes_on(path, rng, capsys):
    data = rows(rng)
    network().fit(*data, epochs=5, checkpoint=path, log_every=2)
    network().fit(*data, epochs=9, resume=path, log_every=2)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "1",
        "2",
        "4",
        "5",
        "6",
        "8",
        "9",
    ]


# When it is written --------------------------------------------------------------------------------


def epoch_of(path):
    with np.load(path, allow_pickle=False) as arrays:
        header = json.loads(arrays["header"].tobytes())
        assert arrays["cursor"][0] == header["epoch"]
        return header["epoch"]


@pytest.fixture
def written(monkeypatch):
    """The epochs after which checkpoints are written."""
    epochs = []
    real = files.write_arrays

    def write(path, header, arrays):
        epochs.append(header["epoch"])
        assert arrays["cursor"][[1, 2, 3, 6]].tolist() == [0, 0, -1, -1]  # nothing of the next epoch
        real(path, header, arrays)

    monkeypatch.setattr(files, "write_arrays", write)
    return epochs


@pytest.mark.parametrize("callbacks", [[], [lambda progress: None]], ids=["alone", "with callbacks"])
@pytest.mark.parametrize(
    ("every", "expected"), [(1, list(range(1, 13))), (5, [5, 10, 12]), (6, [6, 12]), (99, [12]), (None, [12])]
)
def test_every(path, rng, written, every, expected, callbacks):
    network().fit(*rows(rng), epochs=12, checkpoint=path, checkpoint_every=every, callbacks=callbacks)
    assert written == expected


def test_every_counts_from_the_start(path, rng, written):
    data = rows(rng)
    network().fit(*data, epochs=7, checkpoint=path, checkpoint_every=5)
    network().fit(*data, epochs=16, checkpoint=path, checkpoint_every=5, resume=path)
    assert written == [5, 7, 10, 15, 16]


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("batch_size", "watched"),
    core([(None, False), (None, True), (10, False), (10, True)], (None, False), (10, True)),
)
def test_without_every_it_goes_by_the_clock(path, rng, written, monkeypatch, batch_size, watched):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.05)
    data = rng.normal(size=(3000, 3)), rng.normal(size=3000)
    net, start = network(), time.perf_counter()

    def look(watcher, run):
        real(watcher, run)
        if time.perf_counter() - start > 1:
            run.stop()

    real = checkpoints.Checkpoints.look
    monkeypatch.setattr(checkpoints.Checkpoints, "look", look)
    callbacks = [lambda progress: None] if watched else []
    net.fit(*data, epochs=10**5, batch_size=batch_size, checkpoint=path, callbacks=callbacks)
    assert 2 <= len(written) <= 22
    assert sorted(written) == written


def test_diverged_run_leaves_the_last_good_state(path, rng):
    X, y = rows(rng)
    net = network(layers=[fastnn.Dense(1)])
    options = {"optimizer": SGD(3.0), "checkpoint": path, "checkpoint_every": 10}
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        history = net.fit(X, y, epochs=10**4, **options)
    assert history.status == "diverged"
    assert epoch_of(path) == history.epochs // 10 * 10 > 0
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        again = network(layers=[fastnn.Dense(1)]).fit(X, y, epochs=10**4, resume=path, optimizer=SGD(3.0))
    same_history(again, history)


def test_diverged_in_an_epochs_first_update_leaves_no_file(path, rng):
    net = network(layers=[fastnn.Dense(1)])
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        history = net.fit(*rows(rng), epochs=5, optimizer=SGD(1e308), checkpoint=path)
    assert (history.status, history.epochs) == ("diverged", 0)
    assert not path.exists()


def test_leftovers_of_killed_processes_are_removed(path, rng):
    own = [".run.npz.123.0a1b2c3d.part", ".run.npz.4567.89abcdef.part"]
    others = [".run.npz.npz.5.0a1b2c3d.part", ".run2.npz.5.0a1b2c3d.part", "run.npz.part"]
    for name in own + others:
        path.with_name(name).write_bytes(b"half")
    network().fit(*rows(rng), epochs=2, checkpoint=path)
    assert sorted(os.listdir(path.parent)) == sorted([*others, "run.npz"])


def test_full_disk(path, rng, monkeypatch):
    data, net = rows(rng), network()
    network().fit(*data, epochs=3, checkpoint=path)
    old = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half of i")
        raise OSError("disk full")

    monkeypatch.setattr("numpy.savez", fail)
    with pytest.raises(OSError, match="disk full"):
        net.fit(*data, epochs=9, checkpoint=path, checkpoint_every=4)
    assert net.history.status == "interrupted"
    assert net.history.epochs == 4
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == ["run.npz"]


# What is refused -----------------------------------------------------------------------------------

FIT = {"epochs": EPOCHS, "batch_size": 4, "optimizer": Adam(0.01), "seed": 7, "validation_split": 0.3}


@pytest.fixture
def data(rng):
    return rows(rng)


@pytest.fixture
def checkpoint(path, data):
    """The file of a fit with options FIT that has got half way."""
    network().fit(*data, **FIT | {"epochs": 6, "checkpoint": path})
    return path


def refused(net, data, path, match, kind=ValueError, **options):
    """Before anything has changed."""
    parameters, history = net.parameters.copy(), net.history
    with pytest.raises(kind, match=match) as caught:
        net.fit(*data, **{**FIT, "resume": path, **options})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert_array_equal(net.parameters, parameters)
    assert net.history is history


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"seed": 8}, "of another fit: seed is 8 here and 7 there"),
        ({"batch_size": 5}, "batch_size is 5 here and 4 there"),
        ({"batch_size": None}, "batch_size is None here and 4 there"),
        ({"shuffle": False}, "shuffle is False here and True there"),
        ({"optimizer": SGD(0.01)}, r"optimizer is SGD\(0.01\) here and Adam\(0.01\) there"),
        ({"optimizer": Adam(0.01, clip_norm=2.0)}, r"optimizer is Adam\(0.01, clip_norm=2.0\) here"),
        ({"optimizer": Adam(0.01, beta_1=0.8)}, r"beta_1=0.8\) here and Adam\(0.01\) there"),
        ({"optimizer": Adam(schedules.CosineDecay(0.01, epochs=3))}, "CosineDecay"),
        ({"loss": "mae"}, "loss is mae here and mse there"),
        ({"metrics": ["mae"]}, "metrics is .*mae.* here"),
        ({"early_stopping": EarlyStopping()}, "early_stopping is .* here and None there"),
        ({"validation_split": None}, "rows is 21 here and 15 there; validation rows is 0 here and 6 there"),
        ({"validation_split": 0.4}, "rows is 13 here and 15 there"),
        ({"sample_weight": np.arange(21)}, "X, y or weights differ"),
        ({"epochs": 5}, "epochs is 5; .*run.npz has got to epoch 6 already"),
        ({"seed": 8, "batch_size": 5}, "batch_size is 5 here and 4 there; seed is 8 here and 7 there"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, dict) else "",
)
def test_another_fit(checkpoint, data, options, match):
    refused(network(), data, checkpoint, match, **options)


def test_own_functions_of_the_same_name(path, data):
    def loss(power):
        return fastnn.own_loss(lambda p, t: abs(p - t) ** power, name="mine")

    def layers(slope):
        bent = fastnn.own_activation(lambda z: max(z, slope * z), name="bent")
        return [fastnn.Dense(6, bent), fastnn.Dense(1)]

    net, options = network(layers=layers(0.1)), {"loss": loss(2.0)}
    net.fit(*data, **FIT | options | {"resume": None, "epochs": 3, "checkpoint": path})
    refused(network(layers=layers(0.1)), data, path, "own activations or the own loss differ", loss=loss(1.5))
    refused(network(layers=layers(0.2)), data, path, "own activations or the own loss differ", **options)
    again = network(layers=layers(0.1)).fit(*data, **FIT | {"loss": loss(2.0), "resume": path, "epochs": 4})
    assert again.epochs == 4


@pytest.mark.parametrize(
    "made",
    [np.float32, lambda k: np.array([0.0, k]), lambda k: (1.0, k), lambda k: lambda z: k * z],
    ids=["NumPy's number", "array", "tuple", "helper"],
)
def test_own_functions_that_differ_in_what_they_refer_to(made):
    def described(k):
        held = made(k)

        def bent(z):
            return held(z) if callable(held) else z * (held if isinstance(held, np.float32) else held[1])

        return parts.digest_of(fastnn.own_activation(bent).kernel)

    assert described(0.1) == described(0.1)
    assert described(0.1) != described(0.5)


def test_schedules_that_look_alike(path, data):
    def options(rate):
        return {"optimizer": SGD(schedules.CosineDecay(rate, epochs=5)), "resume": None}

    network().fit(*data, **FIT | options(0.1) | {"epochs": 3, "checkpoint": path})
    refused(network(), data, path, "optimizer settings", optimizer=options(0.1 + 1e-12)["optimizer"])


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (lambda: network(layers=[fastnn.Dense(7, "tanh"), fastnn.Dense(1)]), "units is 7 here and 6 there"),
        (lambda: network(layers=[fastnn.Dense(6, "relu"), fastnn.Dense(1)]), "activation is relu here and tanh"),
        (lambda: network(layers=[fastnn.Dense(1)]), "network layers is .* here"),
        (lambda: network(l2=0.5), "network l2 is 0.5 here and 0.0 there"),
        (lambda: network(dtype="float32"), "dtype is float32 here and float64 there"),
    ],
    ids=["units", "activation", "layers", "l2", "dtype"],
)
def test_another_network(checkpoint, data, other, match):
    refused(other(), data, checkpoint, match)


def test_other_data(checkpoint, data):
    X, y = data
    for changed in ((X * (1 + 1e-12), y), (X, -y), (X[::-1], y[::-1])):
        refused(network(), changed, checkpoint, "X, y or weights differ")
    refused(network(), (X[:20], y[:20]), checkpoint, "rows is 14 here and 15 there")


def test_same_fit_given_otherwise(checkpoint, data):
    """What makes no difference may differ."""
    X, y = data
    net = network(seed=9, initializer="zeros")
    found = net.fit(
        np.asfortranarray(X),
        y.reshape(-1, 1).tolist(),
        log_every=100,
        callbacks=[print],
        verbose=0,
        resume=str(checkpoint),
        **FIT,
    )
    whole = network()
    same_history(found, whole.fit(X, y, **FIT))
    assert_array_equal(net.parameters, whole.parameters)


@pytest.mark.parametrize("value", [3, None, [], b"run.npz"])
def test_places_of_wrong_type(data, value):
    for name in ("checkpoint", "resume"):
        if value is not None:
            refused(network(), data, None, f"{name} is ", TypeError, **{name: value})


def test_places_that_cannot_be_used(data, tmp_path):
    refused(network(), data, tmp_path / "missing.npz", "missing.npz", FileNotFoundError)
    refused(network(), data, tmp_path, ".", OSError)
    refused(network(), data, None, "there is no folder", OSError, checkpoint=tmp_path / "nowhere" / "run.npz")
    refused(network(), data, None, "it is a folder", OSError, checkpoint=tmp_path)


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_every_is_a_whole_number(data, path, value):
    kind = ValueError if type(value) is int else TypeError
    refused(network(), data, None, "checkpoint_every is", kind, checkpoint=path, checkpoint_every=value)


@pytest.mark.parametrize("resumed", [False, True])
def test_every_needs_a_file(checkpoint, data, resumed):
    message = "checkpoint_every is 3; a checkpoint is needed with it"
    refused(network(), data, checkpoint if resumed else None, message, checkpoint_every=3)


# Broken, foreign, hostile --------------------------------------------------------------------------


def broken(path, data, match="."):
    """Refused in a sentence that names the file, with little memory."""
    tracemalloc.start()
    try:
        refused(network(), data, path, match)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def contents(path):
    with np.load(path, allow_pickle=False) as arrays:
        found = dict(arrays)
    return json.loads(found.pop("header").tobytes()), found


def rewrite(path, header, arrays):
    np.savez(path, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)


def test_rewritten_file_is_good(checkpoint, data):
    """What the tests below spoil is accepted unspoilt."""
    rewrite(checkpoint, *contents(checkpoint))
    assert network().fit(*data, resume=checkpoint, **FIT).epochs == EPOCHS


def test_file_is_an_npz_without_pickle(checkpoint):
    header, arrays = contents(checkpoint)
    assert (header["format"], header["version"], header["epoch"]) == ("fastnn checkpoint", 3, 6)
    assert all(not array.dtype.hasobject for array in arrays.values())


def test_truncated_anywhere(checkpoint, data):
    content = checkpoint.read_bytes()
    for length in range(0, len(content), 97):
        checkpoint.write_bytes(content[:length])
        refused(network(), data, checkpoint, "run.npz")


def test_one_byte_changed_anywhere(checkpoint, data):
    expected = network().fit(*data, resume=checkpoint, **FIT)
    content = checkpoint.read_bytes()
    count = 0
    for at in range(0, len(content), 61):
        checkpoint.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            found = network().fit(*data, resume=checkpoint, **FIT)
        except ValueError:
            count += 1
        else:
            same_history(found, expected)  # a name, a date and the like
    assert count > len(content) / 61 / 2


def test_networks_and_checkpoints_are_told_apart(checkpoint, data, tmp_path):
    with pytest.raises(ValueError, match=r"it is a checkpoint, for fit\(…, resume=…\)"):
        fastnn.load(checkpoint)
    network().save(tmp_path / "net.npz")
    broken(tmp_path / "net.npz", data, "it is a network, for load")


@pytest.mark.parametrize(
    "changes",
    [
        *[{"format": bad} for bad in (None, 3, "fastnn network")],
        *[{"version": bad} for bad in (0, 1, 2, 4, True, None, "2")],
        *[{"fit": bad} for bad in (None, [], {}, "fit", 3)],
        *[{"epoch": bad} for bad in (-1, 5, 7, 10**30, 6.0, None, "6", True)],
        *[{"seconds": bad} for bad in (-1.0, None, "1", float("nan"), float("inf"))],
        *[{"learning_rate": bad} for bad in (-1.0, None, "1", float("nan"))],
    ],
    ids=str,
)
def test_header_with_wrong_fields(checkpoint, data, changes):
    header, arrays = contents(checkpoint)
    rewrite(checkpoint, {**header, **changes}, arrays)
    broken(checkpoint, data)
    rewrite(checkpoint, {name: header[name] for name in header if name not in changes}, arrays)
    broken(checkpoint, data)


ARRAYS = ["parameters", "previous", "state", "best", "record", "sums", "cursor"]


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_wrong_size_or_type(checkpoint, data, name):
    header, arrays = contents(checkpoint)
    assert sorted(arrays) == sorted(ARRAYS)
    right = arrays[name]
    for wrong in (right[:-1], np.append(right, right[:1]), right.reshape(1, -1), right.astype("f2"), np.zeros(0)):
        rewrite(checkpoint, header, {**arrays, name: wrong})
        broken(checkpoint, data, name)
    rewrite(checkpoint, header, {other: arrays[other] for other in arrays if other != name})
    broken(checkpoint, data, f"it holds no {name}.npy")
    rewrite(checkpoint, header, {**arrays, name: np.array([Explosive()] * len(right), object)})
    broken(checkpoint, data)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_another_byte_order(checkpoint, data, name):
    header, arrays = contents(checkpoint)
    other = arrays[name].astype(arrays[name].dtype.newbyteorder())
    rewrite(checkpoint, header, {**arrays, name: other})
    assert network().fit(*data, resume=checkpoint, **FIT).epochs == EPOCHS


class Explosive:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


@pytest.mark.parametrize("name", ["parameters", "previous", "best"])
def test_parameters_that_are_not_finite(checkpoint, data, name):
    header, arrays = contents(checkpoint)
    arrays[name][0] = np.nan
    rewrite(checkpoint, header, arrays)
    broken(checkpoint, data, f"its {name} are not finite")


@pytest.mark.parametrize("at", range(10))
@pytest.mark.parametrize("number", [-(2**63), -2, 7, 2**62])
def test_counters_that_do_not_fit(checkpoint, data, at, number):
    """Invalid counters never make the compiled loop read or write where it should not."""
    header, arrays = contents(checkpoint)
    arrays["cursor"][at] = number
    rewrite(checkpoint, header, arrays)
    if at in (5, 8, 9) and number > 0:  # updates and epochs waited, which are only counted
        network().fit(*data, resume=checkpoint, **FIT)
    else:
        broken(checkpoint, data, "its counters do not fit together")


def test_places_that_lbfgs_remembers(path, data):
    options = {"optimizer": LBFGS(memory=3), "batch_size": None}
    network().fit(*data, **FIT | options | {"epochs": 6, "checkpoint": path})
    header, arrays = contents(path)
    for at in (checkpoints.lbfgs.NEXT, checkpoints.lbfgs.PAIRS):
        for number in (-1.0, 4.0, 1e300, np.nan, np.inf):
            sums = arrays["sums"].copy()
            sums[checkpoints.layout.MEMORY + at] = number
            rewrite(path, header, {**arrays, "sums": sums})
            refused(network(), data, path, "its counters do not fit together", **options)


def test_zip_bomb(checkpoint, data):
    header, _ = contents(checkpoint)
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (1 << 23,)})
    with zipfile.ZipFile(checkpoint, "w", zipfile.ZIP_DEFLATED) as archive:
        text = io.BytesIO()
        np.lib.format.write_array(text, np.frombuffer(json.dumps(header).encode(), np.uint8))
        archive.writestr("header.npy", text.getvalue())
        with archive.open("parameters.npy", "w") as member:
            member.write(stream.getvalue())
            for _ in range(64):
                member.write(bytes(1 << 20))
    assert checkpoint.stat().st_size < 1 << 20
    broken(checkpoint, data, "parameters.npy is larger than it should be")


# Killed --------------------------------------------------------------------------------------------

TRAIN = """
import sys
from pathlib import Path
import numpy as np
import fastnn
from fastnn.callbacks import EarlyStopping
from fastnn.optimizers import Adam
from fastnn.schedules import CosineDecay

path = Path(sys.argv[1])
rng = np.random.default_rng(3)
X = rng.normal(size=(400, 5))
y = np.sin(X[:, 0]) * X[:, 1]
seed = int(sys.argv[2]) if path.exists() else 1  # what is resumed had other initial parameters
net = fastnn.mlp([5, 16, 16, 1], activation="tanh", dropout=0.1, seed=seed)
options = dict(
    batch_size=32, optimizer=Adam(CosineDecay(0.01, epochs=500)), seed=1,
    validation_split=0.25, metrics=["mae"], early_stopping=EarlyStopping(patience=10**6),
)
net.fit(X, y, **options)  # all that is compiled is there now
net.parameters = fastnn.mlp([5, 16, 16, 1], activation="tanh", dropout=0.1, seed=seed).parameters
print("ready", flush=True)
history = net.fit(
    X, y, epochs=int(sys.argv[3]), checkpoint=path, checkpoint_every=int(sys.argv[4]),
    resume=path if path.exists() else None, **options
)
print(history.run_seconds)
np.savez(sys.argv[5], parameters=net.parameters, loss=history.loss, val_loss=history.val_loss,
         mae=history.metrics["mae"], rate=history.learning_rate, best=history.best_epoch)
"""


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL there")
def test_killed_fifty_times(run_python, tmp_path, rng):
    epochs, every, kills = 6000, 7, 50
    arguments = [epochs, every]
    path, result, expected = tmp_path / "run.npz", tmp_path / "result.npz", tmp_path / "expected.npz"
    said = run_python(TRAIN, tmp_path / "whole.npz", 1, *arguments, expected).stdout
    seconds = float(said.split()[1])
    reached = [0]
    for kill in range(kills):
        command = [sys.executable, "-W", "error", "-c", TRAIN, path, 100 + kill, *arguments, result]
        process = subprocess.Popen(
            [str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        # So that much of the fit is left for the last kill.
        time.sleep(rng.uniform(0, 1.2 * seconds / kills))
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, errors or "it was over before"
        assert all(line.startswith("fastnn: compiling") for line in errors.splitlines())
        if path.exists():
            reached.append(epoch_of(path))
        assert len([name for name in os.listdir(tmp_path) if name.endswith(".part")]) <= 1
    assert reached == sorted(reached)  # nothing that was written is lost
    assert len(set(reached)) > kills / 4
    assert reached[-1] < epochs
    assert all(epoch % every == 0 for epoch in reached)
    run_python(TRAIN, path, 1, *arguments, result)
    assert sorted(os.listdir(tmp_path)) == ["expected.npz", "result.npz", "run.npz", "whole.npz"]
    with np.load(expected) as whole, np.load(result) as resumed:
        assert sorted(whole) == sorted(resumed)
        for name in whole:
            assert whole[name].tobytes() == resumed[name].tobytes(), name
