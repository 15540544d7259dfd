"""Many networks at once: the same bits as one by one, all checks before any change, failures beside successes."""

from __future__ import annotations

import _thread
import io
import os
import re
import signal
import sys
import threading
from contextlib import redirect_stderr

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import compiled, each, fit_many, many, progress, running
from fastnn.dataset import Rows
from fastnn.kernels import job
from fastnn.kernels import many as kernels
from tests.helping import all_gone
from tests.problems import JIT, assert_same_history

EPOCHS = 40 if JIT else 3
X, Y = fastnn.datasets.circle(10)
LABELS = Y.astype(int)


def net(sizes=(2, 4, 1), **options):
    return fastnn.mlp(list(sizes), **{"output": "sigmoid", **options})


def zoo():
    """Networks that have nothing in common, and what is asked of each."""
    folds = [fastnn.Dataset(X[i::3], Y[i::3], np.linspace(0, 1, len(X))[i::3]) for i in range(3)]
    cases = [
        (net(), {"X": X, "y": Y}),
        (net(seed=3), {"X": X, "y": Y}),
        (net(seed=3, dtype="float32"), {"X": X, "y": Y, "batch_size": 16, "seed": 9}),
        (net((2, 7, 5, 1), seed=1, activation="tanh"), {"X": X, "y": Y, "batch_size": 10, "epochs": EPOCHS + 2}),
        (net((2, 6, 1), dropout=0.3, seed=2), {"X": X, "y": Y, "batch_size": 32, "shuffle": False}),
        (
            net((2, 6, 1), dropout=0.3, dtype="float32", l2=0.01),
            {"X": X, "y": 1 - Y, "optimizer": fastnn.Adam(0.05)},
        ),
        (net((2, 3, 1)), {"X": folds[0], "y": None, "validation_data": folds[1], "metrics": ["mae", "r2"]}),
        (net((2, 3, 1)), {"X": folds[1], "y": None, "validation_data": (X[:9], Y[:9]), "metrics": ["accuracy"]}),
        (net((2, 9, 2), output="softmax"), {"y": LABELS, "loss": "cross_entropy", "class_weight": "balanced"}),
        (
            net((2, 9, 2), output="softmax"),
            {"y": LABELS, "loss": "cross_entropy", "metrics": ["confusion_matrix"]},
        ),
        (net(seed=5), {"y": Y, "validation_split": 0.3, "early_stopping": fastnn.EarlyStopping(patience=2)}),
        (net(seed=6), {"y": Y, "validation_split": 0.3, "early_stopping": fastnn.EarlyStopping(patience=2)}),
        (net(), {"y": Y, "optimizer": fastnn.LBFGS()}),
        (net(), {"y": Y, "optimizer": fastnn.LevenbergMarquardt()}),
        (net(), {"y": Y, "optimizer": fastnn.SGD(fastnn.schedules.ReduceOnPlateau(1.0, patience=1))}),
        (net(), {"y": Y, "sample_weight": np.arange(len(X)) % 3, "optimizer": fastnn.Adam(0.05, clip_norm=0.1)}),
    ]
    usual = {
        "X": X,
        "epochs": EPOCHS,
        "batch_size": None,
        "optimizer": fastnn.SGD(2.0),
        "loss": "mse",
        "shuffle": True,
        "sample_weight": None,
        "class_weight": None,
        "validation_data": None,
        "validation_split": None,
        "metrics": (),
        "early_stopping": None,
        "seed": None,
    }
    return [network for network, _ in cases], [{**usual, **own} for _, own in cases]


@pytest.fixture(scope="module")
def alone():
    nets, given = zoo()
    for network, own in zip(nets, given, strict=True):
        network.fit(**own)
    return nets


@pytest.mark.parametrize("threads", [1, 2, 3, 7, None])
def test_the_same_bits_as_alone(alone, threads):
    """For all that can differ, at once, and whatever the number of threads."""
    nets, given = zoo()
    data = each([own.pop("X") for own in given])
    fits = fit_many(nets, data, **{name: each([own[name] for own in given]) for name in given[0]}, threads=threads)
    assert len(fits) == len(nets)
    for i, (network, expected) in enumerate(zip(nets, alone, strict=True)):
        assert fits[i] is network.history
        assert_array_equal(network.parameters, expected.parameters, err_msg=str(i))
        assert_same_history(network.history, expected.history)
    assert {"finished", "stopped"} <= set(fits.statuses) or not JIT


def test_the_same_bits_while_they_take_turns(alone, monkeypatch):
    """Slices of a tile or two."""
    monkeypatch.setattr("fastnn.running.FIRST_CHUNK_OPERATIONS", 1)
    nets = [net(seed=seed) for seed in (0, 3)]
    fit_many(nets, X, Y, epochs=EPOCHS, optimizer=fastnn.SGD(2.0), threads=2)
    for network, expected in zip(nets, alone, strict=False):
        assert_array_equal(network.parameters, expected.parameters)


@pytest.mark.parametrize("batch_size", [None, 32])
def test_more_networks_than_threads(batch_size, dtype):
    """Equal ones: what they share is nothing that is written to."""

    def networks():
        return [net((2, 5, 1), seed=seed, dropout=0.2, dtype=dtype) for seed in range(40 if JIT else 4)]

    together, one_by_one = networks(), networks()
    fits = fit_many(together, X, Y, epochs=EPOCHS, batch_size=batch_size, threads=3)
    for network, expected in zip(together, one_by_one, strict=True):
        expected.fit(X, Y, epochs=EPOCHS, batch_size=batch_size)
        assert_array_equal(network.parameters, expected.parameters)
        assert_array_equal(network.history.loss, expected.history.loss)
    assert fits.threads == 3


def test_each_is_taken_once():
    """Where there is nothing to do but to take the next, by threads that all begin at once."""
    crew = many._Crew([member.run for member in many._members([net()], arguments())], 4)
    crew.compile()
    crew.work(None)
    (table,), count = crew._tables, 20_000 if JIT else 50
    rows = np.repeat(table.rows, count, axis=0).reshape(-1)
    for _ in range(100 if JIT else 5):
        table.control[:] = 0
        table.control[kernels.ROWS] = count
        start = threading.Barrier(4)

        def take(own, start=start):
            start.wait()
            compiled.train(rows, *own[1:])

        threads = [threading.Thread(target=take, args=own) for own in crew._arguments]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert table.control[kernels.ENDED] == count


def test_each_seed_has_its_own_split():
    """And where one seed is given, all have the same."""
    for seed in (None, 4):
        nets, twins = ([net(seed=i) for i in range(3)] for _ in range(2))
        fit_many(nets, X, Y, epochs=2, validation_split=0.3, seed=seed)
        for network, twin in zip(nets, twins, strict=True):
            twin.fit(X, Y, epochs=2, validation_split=0.3, seed=seed)
            assert_same_history(network.history, twin.history)


def test_data_are_packed_once(monkeypatch):
    """And checked once, also where networks differ, and for validation rows."""
    packed, checked = [], []
    pack, check = Rows.packed, fastnn.checks.matrix
    monkeypatch.setattr(Rows, "packed", lambda rows, plan: packed.append(rows) or pack(rows, plan))
    monkeypatch.setattr("fastnn.checks.matrix", lambda *given: checked.append(given) or check(*given))
    nets = [net((2, 3 + seed % 2, 1), seed=seed) for seed in range(6)]
    optimizers = each([fastnn.SGD(0.1 * (1 + i)) for i in range(6)])
    fit_many(nets, X, Y, optimizer=optimizers, validation_data=(X[:50], Y[:50]), metrics=["mae"])
    assert len(packed) == len(checked) == 2


def test_the_callers_rows_stay():
    before = X.copy(), Y.copy()
    fit_many([net(), net(seed=1)], X, Y, epochs=2, batch_size=3)
    assert_array_equal(X, before[0])
    assert_array_equal(Y, before[1])


# What is refused -----------------------------------------------------------------------------------

REFUSED = {
    "no list": (3, {}, TypeError, "networks is 3; a list of Sequential is needed"),
    "none": ([], {}, ValueError, "networks is empty"),
    "no network": ([net(), "net"], {}, TypeError, "networks[1] is 'net'; a Sequential is needed"),
    "inputs": ([net(), net((3, 1))], {}, ValueError, "networks[1]: X has 2 column(s); (rows, 3) is needed"),
    "one of the optimizers": (
        [net(), net()],
        {"optimizer": each(["sgd", 0.1])},
        TypeError,
        "networks[1]: optimizer is 0.1",
    ),
    "one of the losses": (
        [net(), net()],
        {"loss": each(["mse", "cross_entropy"])},
        ValueError,
        "networks[1]: y[37] is 1.0; a label is a whole number from 0 to 0",
    ),
    "for all": ([net(), net()], {"epochs": 0}, ValueError, "networks[0]: epochs is 0"),
    "too few": (
        [net(), net()],
        {"epochs": each([1])},
        ValueError,
        "epochs is each() of 1 value(s), and there are 2 networks",
    ),
    "threads": ([net()], {"threads": 0}, ValueError, "threads is 0; a whole number from 1 to 1024 is needed"),
    "verbose": ([net()], {"verbose": 2}, ValueError, "verbose is 2"),
    "seed": ([net(), net()], {"seed": each([1, -1])}, ValueError, "networks[1]: seed is -1"),
    "stopping": (
        [net()],
        {"early_stopping": fastnn.EarlyStopping("val_loss")},
        ValueError,
        "networks[0]: early_stopping looks at 'val_loss'",
    ),
}


@pytest.mark.parametrize(("nets", "options", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_is_changed(nets, options, error, message):
    networks = [n for n in nets if isinstance(n, fastnn.Sequential)] if isinstance(nets, list) else []
    before = [n.parameters.copy() for n in networks]
    with pytest.raises(error, match=re.escape(message)):
        fit_many(nets, X, Y, **{"epochs": 2, **options})
    for network, parameters in zip(networks, before, strict=True):
        assert_array_equal(network.parameters, parameters)
        assert network.history is None


def test_blocks_are_not_taken():
    blocks = [(X[:60], Y[:60]), (X[60:], Y[60:])]
    sentence = "an iterable of blocks, which fit_many does not take: its networks share rows that are in memory"
    for given in (blocks, iter(blocks), dict(enumerate(blocks)).values(), each([blocks])):
        with pytest.raises(TypeError, match=rf"networks\[0\]: X is .*, {sentence}"):
            fit_many([net()], given)
    with pytest.raises(TypeError, match="y is missing"):
        fit_many([net()], X)


def test_the_same_network_twice():
    network = net()
    with pytest.raises(ValueError, match=re.escape("networks[2] is networks[0], which cannot be trained twice")):
        fit_many([network, net(), network], X, Y)


@pytest.mark.parametrize("given", [3, "abc", {"a": 1}])
def test_each_of_no_list(given):
    with pytest.raises(TypeError, match=r"each\(\) is given .*; a list with a value for each network is needed"):
        each(given)


def test_each_takes_the_rows_of_an_array():
    """As targets of two networks."""
    nets, twins = ([net(seed=seed) for seed in range(2)] for _ in range(2))
    fit_many(nets, X, each(np.stack([Y, 1 - Y])), epochs=EPOCHS)
    for network, twin, y in zip(nets, twins, (Y, 1 - Y), strict=True):
        twin.fit(X, y, epochs=EPOCHS)
        assert_array_equal(network.parameters, twin.parameters)


# How it ends ---------------------------------------------------------------------------------------


def diverging(count=4):
    """Networks of which number 1 and number 3 do, and their learning rates."""
    nets = [fastnn.mlp([2, 3, 1], activation="identity", seed=seed) for seed in range(count)]
    return nets, each([fastnn.SGD(1e200 if i in (1, 3) else 0.01) for i in range(count)])


def test_the_warning_points_at_the_caller():
    nets, optimizers = diverging()
    with pytest.warns(RuntimeWarning) as warned:
        fastnn.Ensemble(nets).fit(X, Y, epochs=EPOCHS, optimizer=optimizers)
    assert warned[0].filename == __file__


def test_diverged_ones_beside_the_others():
    nets, optimizers = diverging()
    with pytest.warns(RuntimeWarning) as warned:
        fits = fit_many(nets, X, Y, epochs=EPOCHS, optimizer=optimizers)
    assert len(warned) == 1
    assert str(warned[0].message).startswith(
        "the loss of 2 of 4 networks was no longer finite (networks 1, 3); they keep their last finite parameters"
    )
    assert warned[0].filename == __file__
    assert fits.statuses == ["finished", "diverged", "finished", "diverged"]
    assert fits.diverged == [1, 3]
    assert all(np.isfinite(network.parameters).all() for network in nets)
    assert_array_equal(np.isinf(fits.values), [False, True, False, True])
    assert fits.best in (0, 2)
    twins, optimizers = diverging()
    for network, twin, optimizer in zip(nets, twins, optimizers.values, strict=True):
        try:
            twin.fit(X, Y, epochs=EPOCHS, optimizer=optimizer)
        except RuntimeWarning:
            assert twin.history.status == "diverged"
        assert_array_equal(network.parameters, twin.parameters)
        assert_same_history(network.history, twin.history)


def test_all_diverged():
    nets, optimizers = diverging(2)
    with pytest.warns(RuntimeWarning, match=re.escape("of 1 networks was no longer finite (networks 0)")):
        fits = fit_many(nets[1:], X, Y, epochs=EPOCHS, optimizer=optimizers.values[1])
    assert "1 diverged" in repr(fits)
    with pytest.raises(ValueError, match="no network has a finite loss"):
        _ = fits.best


def test_validation_that_is_not_finite_is_not_the_best():
    nets = [net(), net((2, 8, 1), activation="exponential", output="identity")]
    far = np.full((2, 2), 1e6), np.zeros((2, 1))
    fits = fit_many(nets, X, Y, epochs=2, validation_data=far)
    assert np.isnan(fits[1].val_loss[-1])
    assert np.isinf(fits.values[1])
    assert fits.best == 0


def test_different_losses_have_no_best():
    fits = fit_many([net(), net()], X, Y, epochs=2, loss=each(["mse", "mae"]))
    assert repr(fits).startswith("<Fits: 2 finished, ")
    assert "best" not in repr(fits)
    with pytest.raises(ValueError, match="the networks had different losses"):
        _ = fits.best
    same = fit_many([net(), net()], X, Y, epochs=2, loss=each(["huber", fastnn.losses.Huber()]))
    assert same.best in (0, 1)


def test_best():
    """By the loss at the end; by that of validation rows if all have it; at the epoch that was gone back to."""
    rates = [0.01, 3.0, 0.1]
    fits = fit_many([net() for _ in rates], X, Y, epochs=EPOCHS, optimizer=each([fastnn.SGD(r) for r in rates]))
    assert_array_equal(fits.values, [history.loss[-1] for history in fits])
    assert fits.best == int(np.argmin(fits.values))
    assert repr(fits).startswith(f"<Fits: 3 finished, best: {fits.best} with {fits.values[fits.best]:.4g}, ")
    validation = (X[::2], 1 - Y[::2])  # the more is learnt, the worse
    fits = fit_many([net() for _ in rates], X, Y, epochs=EPOCHS, validation_data=validation, optimizer="adam")
    assert_array_equal(fits.values, [history.val_loss[-1] for history in fits])
    stopping = fastnn.EarlyStopping(patience=2)
    worse = [fastnn.SGD(rate) for rate in rates]
    fits = fit_many(
        [net() for _ in rates], X, Y, epochs=EPOCHS, validation_data=validation, early_stopping=stopping,
        optimizer=each(worse),
    )  # fmt: skip
    assert_array_equal(fits.values, [history.val_loss[history.best_epoch - 1] for history in fits])
    some = each([None, validation, validation])
    fits = fit_many([net() for _ in rates], X, Y, epochs=2, validation_data=some)
    assert_array_equal(fits.values, [history.loss[-1] for history in fits])


def test_times():
    """Each network has its own, and together they are no longer than the threads had."""
    nets = [net(seed=seed) for seed in range(5)] + [net(dtype="float32")]
    fits = fit_many(nets, X, Y, epochs=10 * EPOCHS, threads=2)
    assert all(history.run_seconds > 0 for history in fits)
    assert sum(history.run_seconds for history in fits) <= 2 * fits.run_seconds
    assert fits.samples_per_second == pytest.approx(6 * 10 * EPOCHS * len(X) / fits.run_seconds)
    assert all(history.samples_per_second >= fits.samples_per_second / 20 for history in fits)


def test_no_thread_is_left():
    before = threading.active_count()
    fit_many([net(seed=seed) for seed in range(4)], X, Y, threads=4)
    assert all_gone()
    assert threading.active_count() == before


def test_a_thread_that_cannot_start(monkeypatch):
    """Those that can do all the work; if none can, that is an error, and nothing is lost."""
    start, started = _thread.start_new_thread, []

    def no_more(function, arguments):
        if len(started) == most:
            raise RuntimeError("can't start new thread")
        started.append(function)
        return start(function, arguments)

    monkeypatch.setattr(_thread, "start_new_thread", no_more)
    most, nets = 1, [net(seed=seed) for seed in range(3)]
    assert fit_many(nets, X, Y, threads=3).statuses == ["finished"] * 3
    most, started = 0, []
    with pytest.raises(RuntimeError, match="needs at least one thread"):
        fit_many(nets, X, Y, threads=3)
    assert [network.history.status for network in nets] == ["interrupted"] * 3


# Ctrl-C --------------------------------------------------------------------------------------------


@pytest.fixture
def _sigint():
    """As an interactive program has it; a process in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_sigint")
def test_interrupted(monkeypatch):
    """All have the parameters of their last update, and a history; also those that nobody has begun."""
    nets = [net(seed=seed) for seed in range(3)]
    initial = nets[2].parameters.copy()
    looked = []

    def look(bar, crew):
        if crew.runs[0].epochs >= 2 and not looked:
            looked.append(crew)
            _thread.interrupt_main()

    monkeypatch.setattr("fastnn.running.FIRST_CHUNK_OPERATIONS", 1)
    monkeypatch.setattr(many, "SECONDS_BETWEEN_LOOKS", 1e-3)
    monkeypatch.setattr(progress.Bar, "look", look)
    monkeypatch.setattr(many, "is_shown", lambda verbose: True)
    with pytest.raises(KeyboardInterrupt):
        fit_many(nets, X, Y, epochs=10**7, threads=1, optimizer=fastnn.SGD(2.0))
    histories = [network.history for network in nets]
    assert [history.status for history in histories] == ["interrupted"] * 3
    assert histories[0].epochs >= 2
    assert [history.epochs for history in histories[1:]] == [0, 0]
    assert_array_equal(nets[2].parameters, initial)
    if JIT:
        twin = net(seed=0)
        twin.fit(X, Y, epochs=histories[0].epochs, optimizer=fastnn.SGD(2.0))
        assert_array_equal(nets[0].parameters, twin.parameters)
        assert_array_equal(nets[0].history.loss, twin.history.loss)
    assert all_gone()
    assert fit_many(nets, X, Y, epochs=2).statuses == ["finished"] * 3


INTERRUPT = """
import os, signal, threading, time
import fastnn
X, y = fastnn.datasets.circle(100)
nets = [fastnn.mlp([2, 64, 64, 1], seed=seed) for seed in range(16)]
fastnn.fit_many(nets[:1], X[:9], y[:9])
sent = []
def interrupt():
    sent.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.7, interrupt).start()
try:
    fastnn.fit_many(nets, X, y, epochs=10**5, batch_size=256, threads=4)
except KeyboardInterrupt:
    seconds = time.process_time() - sent[0]
assert seconds < 0.4, seconds  # of processor time, by all threads
assert {net.history.status for net in nets} == {"interrupted"}
assert sum(net.history.epochs > 0 for net in nets) >= 1
"""


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself SIGINT there")
def test_ctrl_c_with_all_threads_running(run_python):
    run_python(INTERRUPT)


# Among others --------------------------------------------------------------------------------------


def test_in_several_threads_at_once():
    """They share nothing, not even where nothing is compiled."""

    def train(seed, found):
        nets = [net(seed=seed + i) for i in range(3)]
        fit_many(nets, X, Y, epochs=EPOCHS, threads=2)
        found[seed] = [network.parameters.copy() for network in nets]

    together, alone = {}, {}
    threads = [threading.Thread(target=train, args=(10 * i, together)) for i in range(4)]
    for thread in threads:
        thread.start()
    for i in range(4):
        train(10 * i, alone)
    for thread in threads:
        thread.join()
    for seed, parameters in alone.items():
        for one, other in zip(parameters, together[seed], strict=True):
            assert_array_equal(one, other)


def test_an_error_in_a_thread_is_raised(monkeypatch):
    """Compiled code raises none, but memory for it may be missing, and plain Python may be what runs."""

    class Wrong:
        def prepare(self, *arguments):
            pass

        def __call__(self, *arguments):
            raise LookupError("enough")

    monkeypatch.setattr("fastnn.compiled.train", Wrong())
    nets = [fastnn.mlp([2, 4, 1], seed=seed) for seed in range(3)]
    with pytest.raises(LookupError, match="enough"):
        fastnn.fit_many(nets, *fastnn.datasets.circle(10), epochs=2, threads=2)


FORK = """
import fastnn
from tests.forks import in_child
X, y = fastnn.datasets.circle(10)

def train():
    nets = [fastnn.mlp([2, 4, 1], seed=seed) for seed in range(4)]
    fastnn.fit_many(nets, X, y, epochs=20, threads=2)
    return b"".join(net.parameters.tobytes() for net in nets)

expected = train()
in_child(lambda: train() == expected)
assert train() == expected
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_in_a_forked_child(run_python):
    run_python(FORK)


EXIT = """
import threading, time
import fastnn
X, y = fastnn.datasets.circle(10)
nets = [fastnn.mlp([2, 4, 1], seed=seed) for seed in range(4)]
fastnn.fit_many(nets, X, y)
threading.Thread(target=fastnn.fit_many, args=(nets, X, y), kwargs={"epochs": 10**8}, daemon=True).start()
time.sleep(0.2)
"""


@pytest.mark.slow
@pytest.mark.compiled
def test_the_interpreter_ends_meanwhile(run_python):
    run_python(EXIT, timeout=60)


# What people see -----------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """People look at it."""

    def isatty(self):
        return True


@pytest.mark.parametrize("tqdm", [True, False], ids=["tqdm", "lines"])
def test_progress(monkeypatch, tqdm):
    monkeypatch.setattr(progress, "SECONDS_BEFORE_BAR", 0.0)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_SIGHTS", 0.0)
    monkeypatch.setattr(many, "SECONDS_BETWEEN_LOOKS", 1e-3)
    if not tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    nets = [net(seed=seed) for seed in range(4)]
    fit_many(nets, X, Y)  # so that nothing is said of compiling
    terminal = Terminal()
    with redirect_stderr(terminal):
        fit_many(nets, X, Y, epochs=50_000 if JIT else 10, threads=2)
    lines = [line for line in re.split(r"[\r\n]", terminal.getvalue()) if "networks" in line]
    assert lines
    said = re.compile(r".*[0-4]/4 networks(, \d+:\d\d left)?(, [\d.]+[kMG]? samples/s)? *")
    assert all(said.fullmatch(line) for line in lines)
    assert any(" left, " in line for line in lines)
    assert "4/4 networks" in lines[-1]


@pytest.mark.parametrize("verbose", [0, 1])
def test_silent_where_nobody_looks(monkeypatch, capsys, verbose):
    monkeypatch.setattr(progress, "SECONDS_BEFORE_BAR", 0.0)
    stream = Terminal() if verbose == 0 else io.StringIO()
    nets = [net(seed=seed) for seed in range(2)]
    fit_many(nets, X, Y)
    with redirect_stderr(stream):
        fit_many(nets, X, Y, epochs=EPOCHS, verbose=verbose)
    assert stream.getvalue() == capsys.readouterr().out == ""


# Inside --------------------------------------------------------------------------------------------


def test_the_longest_first():
    """Of one dtype, in the table that threads go through; results stay in the networks' order."""
    sizes = [3, 50, 7]
    nets = [net((2, units, 1)) for units in sizes]
    crew = many._Crew([member.run for member in many._members(nets, arguments())], 1)
    counts = [run.count for run in crew._tables[0].runs]
    assert counts == sorted(counts, reverse=True)


def arguments():
    """Of the usual kind."""
    _, given = zoo()
    return given[0]


def test_networks_share_their_data():
    runs = [member.run for member in many._members([net(seed=0), net(seed=1)], arguments())]
    assert all(a is b for a, b in zip(runs[0].data, runs[1].data, strict=True))
    assert not np.shares_memory(runs[0].vectors[0], runs[1].vectors[0])
    assert "scratch" not in vars(runs[0])  # threads have theirs


@pytest.mark.compiled
def test_one_machine_code_for_a_dtype():
    """With which networks are trained alone as well."""
    nets = [net(), net((2, 9, 9, 1), dropout=0.1)]
    fit_many(nets, X, Y, validation_split=0.5, metrics=["mae"], batch_size=7)
    fit_many([net(dtype="float32")], X, Y)
    net().fit(X, Y, threads=2)
    net(dtype="float32").fit(X, Y, validation_data=(X, Y), metrics=["mae"])
    assert compiled.train.specialisations == 2


def test_rows_of_the_table():
    """An address for each name that the kernel has, of numbers as it reads them: it cannot tell any more."""
    whole = {job.PLAN, job.ORDER, job.CURSOR, job.VALIDATION_PLAN}
    real = {job.NUMBERS, job.HISTORY, job.SUMS, job.VALIDATION_NUMBERS, job.WORK}
    there = 0
    for dtype in ("float64", "float32"):
        for options in (
            {"batch_size": 4},
            {"validation_split": 0.5, "metrics": ["mae"], "sample_weight": np.ones(2 * len(X))[::2]},
        ):
            given = {**arguments(), "X": np.asfortranarray(X), "y": Y, **options}
            run = many._members([net(dtype=dtype)], given)[0].run
            assert len(run.addresses) == len(run._arrays) == job.ADDRESSES
            for at, array in enumerate(run._arrays):
                assert run.addresses[at] == array.ctypes.data
                kind = np.int64 if at in whole else np.float64 if at in real else np.dtype(dtype)
                if array is not running.NOTHING:
                    there += 1
                    assert (array.dtype, array.flags.c_contiguous, array.flags.aligned) == (kind, True, True)
            assert run.addresses[job.PREVIOUS] == run.vectors[2].ctypes.data
            assert run.addresses[job.HISTORY] == run.records[0].ctypes.data
    assert there == 2 * (job.ADDRESSES - 11 + job.ADDRESSES)


@pytest.mark.parametrize("given", [{1, 2}, {1: 2}, np.array(3), "ab", 3])
def test_each_wants_an_order(given):
    with pytest.raises(TypeError, match=r"each\(\) is given .*; a list with a value for each network is needed"):
        fastnn.each(given)
    with pytest.raises(TypeError, match=r"networks is .*; a list of Sequential is needed"):
        fit_many({net()}, X, Y)


def test_nobody_else_trains_them_from_the_first_look_on(monkeypatch):
    X, y = fastnn.datasets.circle(4)
    net, found, compile_all = fastnn.mlp([2, 3, 1]), [], many._Crew.compile

    def fit():
        try:
            found.append(net.fit(X, y))
        except RuntimeError as error:
            found.append(str(error))

    def compile_slowly(crew):
        thread = threading.Thread(target=fit)
        thread.start()
        thread.join()
        compile_all(crew)

    monkeypatch.setattr(many._Crew, "compile", compile_slowly)
    fastnn.fit_many([net], X, y)
    assert found[0].startswith("another thread is training this network")
    with pytest.raises(ValueError, match="epochs"):
        fastnn.fit_many([net], X, y, epochs=0)
    assert net.fit(X, y).epochs == 1  # what is refused leaves it free
