"""One fit in several threads: the same bits, no thread left over, and who works at all."""

from __future__ import annotations

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import inference, plan, running, threads
from fastnn.kernels import layout, passes, team
from fastnn.kernels.jit import FLAGS
from fastnn.kernels.simd import LANES, pointer
from fastnn.optimizers import OPTIMIZERS
from tests.helping import all_gone, helpers, helpers_soon
from tests.marks import core
from tests.problems import JIT, assert_same_history, call, dropping, made, problem

COUNTS = (2, 3, 4, 7) if JIT else (3,)


@pytest.fixture
def many_tiles(monkeypatch):
    """Small tiles, each of them worth a thread, in rounds of a few."""
    monkeypatch.setattr(plan, "MOST_ROW_BYTES", 128)
    monkeypatch.setattr(plan, "LEAST_ROW_BYTES", 128)
    monkeypatch.setattr(running, "SECONDS_OF_THREAD", 1e-12)
    monkeypatch.setattr(running, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(running, "MOST_SLOTS", 9)
    monkeypatch.setattr(threads, "cores", lambda: 64)


def fitted(p, count, **options):
    """History and parameters after a fit in so many threads; and that there were so many."""
    net = p.net
    seen = []
    options = {"epochs": 3, "optimizer": call("Adam", 0.02), "sample_weight": p.weights, **options}
    options = {name: made(value, fastnn) for name, value in options.items()}
    callback = fastnn.Callback()
    callback.on_epoch_end = lambda progress: seen.append(helpers_soon(count - 1))
    history = net.fit(*p.rows, loss=p.loss, threads=count, callbacks=[callback], **options)
    assert set(seen) == {count - 1}
    assert all_gone()
    return history, net.parameters


def assert_same(one, other):
    """Bit for bit."""
    assert_same_history(one[0], other[0])
    assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("batch_size", [None, 300])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_same_bits_with_all_kinds_of_layers(rng, many_tiles, batch_size, weighted, dtype):
    p = problem(rng, (3, 2), 700 if JIT else 160, layers=dropping, dtype=dtype, weighted=weighted)
    alone = fitted(p, 1, batch_size=batch_size)
    for count in COUNTS:
        assert_same(alone, fitted(p, count, batch_size=batch_size))


FULL_BATCH = [name for name, cls in OPTIMIZERS.items() if cls.full_batch]


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "levenberg_marquardt"])
def test_same_bits_with_every_optimizer(rng, many_tiles, name):
    p = problem(rng, (3, 6, 2), 500 if JIT else 100)
    options = {"optimizer": call(OPTIMIZERS[name].__name__), "epochs": 6}
    if name not in FULL_BATCH:
        options["batch_size"] = 200
    alone = fitted(p, 1, **options)
    for count in COUNTS:
        assert_same(alone, fitted(p, count, **options))


def test_one_thread_for_what_adds_to_one_matrix(rng, many_tiles):
    p = problem(rng, (3, 6, 2), 500 if JIT else 100)
    net = p.net
    seen = []
    net.fit(*p.rows, optimizer="levenberg_marquardt", threads=4, callbacks=[lambda *_: seen.append(helpers())])
    assert set(seen) == {0}


def test_same_bits_with_validation_and_metrics(rng, many_tiles):
    p = problem(rng, (3, 6, 3), 500 if JIT else 100)
    options = {
        "validation_split": 0.4,
        "metrics": ["mae", "r2"],
        "early_stopping": fastnn.EarlyStopping(patience=2),
        "epochs": 5,
    }
    alone = fitted(p, 1, **options)
    for count in COUNTS:
        assert_same(alone, fitted(p, count, **options))


def test_same_bits_where_gradients_are_summed_together(rng, many_tiles):
    """With enough parameters threads share the adding up of the tiles' gradients, too."""
    width = 64
    p = problem(rng, (3, width, width, 2), 300 if JIT else 80)
    assert 9 * len(p.net.parameters) > team.LEAST_SHARED
    alone = fitted(p, 1)
    for count in COUNTS:
        assert_same(alone, fitted(p, count))


@pytest.mark.compiled  # plain Python would take its time for so many parameters
@pytest.mark.parametrize("name", [name for name, cls in OPTIMIZERS.items() if not cls.line_search])
def test_same_bits_where_parameters_are_updated_together(rng, many_tiles, name):
    p = problem(rng, (3, 180, 180, 2), 100)
    assert len(p.net.parameters) > team.LEAST_SHARED
    alone = fitted(p, 1, optimizer=call(OPTIMIZERS[name].__name__))
    for count in (2, 7):
        assert_same(alone, fitted(p, count, optimizer=call(OPTIMIZERS[name].__name__)))


@pytest.mark.compiled
def test_divergence_where_parameters_are_updated_together(rng, many_tiles):
    p = problem(rng, (3, 180, 180, 2), 100)
    alone, together = p.net, fastnn.Sequential([layer.copy() for layer in p.net.layers], inputs=3)
    for net, count in ((alone, 1), (together, 4)):
        with pytest.warns(RuntimeWarning, match="no longer finite"):
            net.fit(*p.rows, optimizer=fastnn.SGD(1e300), epochs=3, threads=count)
    assert_array_equal(alone.parameters, together.parameters)
    assert alone.history.epochs == together.history.epochs


@pytest.mark.parametrize(
    ("rows", "seconds", "tiles"),
    [(100, 1e-8, 1), (100, 1e-6, 2), (48, 1e-5, 2), (40, 1e-5, 1), (160, 3e-8, 1), (160, 5e-8, 2), (4, 1.0, 1)],
)
def test_a_batch_is_cut_in_two_where_its_halves_are_worth_a_thread(rows, seconds, tiles):
    lanes = 8
    for dtype in (np.dtype("f8"), np.dtype("f4")):
        rows_of_dtype = rows * LANES[dtype] // lanes  # as many vectors
        tile, _ = plan._tile_of(rows_of_dtype, 20, plan.MOST_ROW_BYTES, dtype, seconds * lanes / LANES[dtype])
        assert -(-rows_of_dtype // tile) == tiles


# Other passes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_no_thread_overlooks_a_number_that_is_not_finite(rng, monkeypatch, count, number):
    monkeypatch.setattr(inference, "SECONDS_OF_PREDICTION", 1e-12)
    net = fastnn.mlp([3, 4, 2], seed=0)
    good = rng.standard_normal((1001 if JIT else 301, 3))
    expected = net.predict(good, threads=count)
    for row, column in (0, 0), (0, 2), (len(good) // 2, 1), (len(good) - 1, 0), (len(good) - 1, 2):
        X = good.copy()
        X[row, column] = number
        with pytest.raises(
            ValueError, match=rf"^X\[{row}, {column}\] is {number}; finite float64 numbers are needed"
        ):
            net.predict(X, threads=count)
    assert_array_equal(net.predict(good, threads=count), expected)
    net.parameters = np.full(len(net.parameters), 1e308)  # what comes out need not be finite
    assert not np.isfinite(net.predict(good, threads=count)).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_predictions_derivatives_and_losses_in_threads(rng, many_tiles, monkeypatch, dtype):
    monkeypatch.setattr(inference, "SECONDS_OF_PREDICTION", 1e-12)
    monkeypatch.setattr(inference, "MOST_SECONDS", 0.0)
    p = problem(rng, (3, 6, 2), 1000 if JIT else 150, dtype=dtype)
    found = []
    counted, start = [], threads.Helpers.start

    def count(self, number, work, **options):
        counted.append(number)
        return start(self, number, work, **options)

    monkeypatch.setattr(threads.Helpers, "start", count)
    for number in (1, *COUNTS):
        monkeypatch.setenv("FASTNN_NUM_THREADS", str(number))
        net = p.net
        predictions = net.predict(p.rows[0]), net.predict(p.rows[0], threads=2)
        assert_array_equal(*predictions)
        passed = net.evaluate(*p.rows), *net.loss_and_gradient(*p.rows)
        assert max(counted) == max(2, number) - 1
        counted.clear()
        derivatives = net.jacobian(p.rows[0]), net.jacobian(p.rows[0], threads=2)
        assert_array_equal(*derivatives)
        assert_array_equal(net.input_gradient(p.rows[0], 1, threads=3), derivatives[0][:, 1])
        assert counted == [number - 1, 1, 2]
        counted.clear()
        found.append((predictions[0], derivatives[0], *passed))
        assert all_gone()
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert_array_equal(one, two)


def test_an_interrupted_piece_ends_all():
    done = []

    def work(thread, taken):
        done.append(int(taken[0]))
        taken[0] += 1
        if done[-1] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        threads.share(10**9, 1, work)
    assert done == list(range(6))


@pytest.mark.parametrize("thread", [0, 1])
def test_an_error_in_a_piece_is_raised(thread):
    both = threading.Barrier(2, timeout=60)

    def work(number, taken):
        taken[0] += 1
        both.wait()
        if number == thread:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        threads.share(2, 2, work)
    assert all_gone()


def test_an_error_of_the_caller_is_the_one_that_is_raised():
    def work(number):
        raise LookupError("a helper's")

    def both():
        with threads.Helpers() as helping:
            helping.start(1, work)
            raise KeyError("the caller's")

    with pytest.raises(KeyError):
        both()
    assert all_gone()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or threads.cores() < 2, reason="two cores are needed")
@pytest.mark.parametrize("beside", [True, False])
def test_helpers_begin_on_cores_of_their_own(beside, monkeypatch):
    """And are bound to none when they work."""
    usable, kept_off, bind = os.sched_getaffinity(0), [], threads._Cores.bind

    def spy(cores, thread, usable, but):
        kept_off.append((thread, but))
        bind(cores, thread, usable, but)

    monkeypatch.setattr(threads._Cores, "bind", spy)
    seen, begun, count = [], set(), min(len(usable), 4) - beside
    together = threading.Barrier(count + beside, timeout=60)
    with threads.Helpers() as helping:

        def work(number):
            seen.append(os.sched_getaffinity(0))
            begun.add(threading.get_ident())
            together.wait()

        assert helping.start(count, work, beside=beside) == count
        if beside:
            together.wait()
            assert os.sched_getaffinity(0) == usable
            assert begun <= {thread for thread, but in kept_off if len(but) == 1}  # the caller's core
    assert seen == count * [usable]
    assert len(helping._taken) == count  # where they were before they could be moved again


@pytest.mark.skipif(JIT, reason="compiled code raises nothing")
def test_an_error_in_a_helper_ends_the_fit(rng, many_tiles, monkeypatch):
    right = passes.of_batch

    def wrong(*arguments):
        if threading.get_ident() != threading.main_thread().ident:
            raise LookupError("enough")
        right(*arguments)

    monkeypatch.setattr(passes, "of_batch", wrong)
    p = problem(rng, (3, 6, 2), 300)
    with pytest.raises(LookupError, match="enough"):
        p.net.fit(*p.rows, epochs=50, threads=2)
    assert all_gone()


# The board --------------------------------------------------------------------------------------------


@numba.njit(**FLAGS)
def lead(board, rounds, count, done):
    board = pointer(board)
    for _ in range(rounds):
        team.begin(board, team.TILES, 0, count)
        mine = take(board, 0, done)
        team.finish(board, mine)


@numba.njit(**FLAGS)
def take(board, thread, done):
    mine = 0
    while True:
        item = team.claim(board, thread)
        if item < 0:
            return mine
        done[board[team.ROUND] % len(done), item] += 1
        mine += 1


@numba.njit(**FLAGS)
def assist(board, thread, done):
    board, seen = pointer(board), 0
    while True:
        seen = team.wait(board, seen)
        if seen == team.LEAVE:
            return
        team.report(board, take(board, thread, done))


@pytest.mark.parametrize("count", [1, 2, 5, 64])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_every_item_is_done_once(count, size):
    rounds = 20_000 if JIT else 50
    board = np.zeros(team.board_length(size), np.int64)
    board[team.THREADS] = size
    done = np.zeros((1 << 15, count), np.int64)
    crew = [threading.Thread(target=assist, args=(board, k, done)) for k in range(1, size)]
    for thread in crew:
        thread.start()
    lead(board, rounds, count, done)
    board[team.ROUND] = team.LEAVE
    for thread in crew:
        thread.join(60)
        assert not thread.is_alive()
    # Round numbers begin at 1, and an item is claimed before the number goes up.
    assert done.sum() == rounds * count
    assert done.max() <= 2


# Whether helpers are worth while ----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "batch_size"), [("sgd", 120), ("adam", None), ("lbfgs", None)])
def test_same_bits_where_helpers_are_tried_out(rng, many_tiles, monkeypatch, name, batch_size):
    """With trials of one step: now together, now alone."""
    monkeypatch.setattr(running, "LEAST_TRIAL", 1)
    monkeypatch.setattr(running, "MOST_TRIAL", 1)
    monkeypatch.setattr(running, "TRIALS_WORTH", 1)
    p = problem(rng, (3, 6, 2), 500 if JIT else 100)
    options = {"optimizer": call(OPTIMIZERS[name].__name__), "epochs": 400 if JIT else 12, "validation_split": 0.3}
    if batch_size is not None:
        options["batch_size"] = batch_size
    alone = fitted(p, 1, **options)
    for count in COUNTS:
        assert_same(alone, fitted(p, count, **options))


@pytest.mark.parametrize("faster", ["together", "alone"])
@pytest.mark.parametrize("late", [0, 3])
def test_helpers_are_tried_out(monkeypatch, faster, late):
    """By a clock of our own: a step takes 4 alone, and 3 or 5 with the helpers, who come after some steps."""
    choose, trial = getattr(team.choose, "py_func", team.choose), 7
    board = np.zeros(team.board_length(2), np.int64)
    board[team.THREADS], board[team.TRIAL] = 2, trial
    time, phases = 1000, []
    monkeypatch.setattr(team.clock, "now", lambda: time)
    called = 0
    for _ in range(2 * (1 + (2 + team.BELIEVED) * trial)):
        choose(board)
        phases.append((int(board[team.PHASE]), bool(board[team.ALONE])))
        if board[team.ALONE]:
            time += 4
            called = 0
        else:
            called += 1
            helped = called > late
            board[team.HELPED] = int(helped)
            time += 4 if not helped else 3 if faster == "together" else 5
    settled = (team.SETTLED, faster == "alone")
    calls = [(team.CALLING, False)] * (late + 1)
    tried = [(team.TRYING_TOGETHER, False)] * trial + [(team.TRYING_ALONE, True)] * trial
    believed = [settled] * (team.BELIEVED * trial)
    # Who still works together is not asleep: one call is enough.
    expected = calls + tried + believed + (calls if faster == "alone" else calls[:1]) + tried + believed
    assert phases == expected[: len(phases)]


@pytest.mark.parametrize(
    ("step", "batches", "epochs", "trial"),
    [
        (1e-6, 1, 1600, 32),
        (1e-6, 1, 1599, 0),  # too few steps to try anything
        (1e-6, 16, 100, 32),
        (10e-6, 1, 300, 6),
        (99e-6, 7, 29, 4),
        (101e-6, 7, 1000, 0),  # long steps are worth it
    ],
)
def test_steps_of_a_trial(step, batches, epochs, trial):
    numbers = np.zeros(layout.HEAD, np.int64)
    numbers[layout.SAMPLES], numbers[layout.BATCH] = 100 * batches - 99, 100  # the last one of a single row
    kept = SimpleNamespace(numbers=numbers, seconds_per_sample=step / 100)
    assert running._trial(kept, SimpleNamespace(what=layout.TRAIN, epochs=epochs)) == trial


def test_helpers_that_never_come_are_not_waited_for(monkeypatch):
    choose, trial = getattr(team.choose, "py_func", team.choose), 7
    board = np.zeros(team.board_length(2), np.int64)
    board[team.THREADS], board[team.TRIAL] = 2, trial
    monkeypatch.setattr(team.clock, "now", lambda: 0)
    for _ in range(team.CALLS * trial):
        choose(board)
        assert board[team.PHASE] == team.CALLING
    choose(board)
    assert board[team.PHASE] == team.TRYING_TOGETHER


def test_a_trial_does_not_count_what_is_done_in_python(monkeypatch):
    board = np.zeros(team.board_length(2), np.int64)
    board[team.THREADS], board[team.TRIAL], board[team.SINCE] = 2, 7, 100
    leave, enter = (getattr(each, "py_func", each) for each in (team.leave, team.enter))
    monkeypatch.setattr(team.clock, "now", lambda: 130)
    leave(board)
    monkeypatch.setattr(team.clock, "now", lambda: 1130)
    enter(board)
    assert board[team.SINCE] == 1100


# How many ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [0, -1, 1.5, "2", True, 10**6])
def test_bad_numbers_of_threads(given):
    net = fastnn.mlp([2, 2, 1])
    before = net.parameters.copy()
    with pytest.raises((TypeError, ValueError), match="threads is"):
        net.fit([[1, 2]], [1], threads=given)
    assert_array_equal(net.parameters, before)


def test_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("FASTNN_NUM_THREADS", "5")
    assert threads.allowed() == 5
    assert threads.allowed(3) == 3  # an argument goes before it
    monkeypatch.setenv("FASTNN_NUM_THREADS", "")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 8)
    assert threads.allowed() == (8 if JIT else 1)
    monkeypatch.setenv("FASTNN_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="FASTNN_NUM_THREADS is 'many'; a whole number from 1 to 1024 is needed"):
        fastnn.mlp([2, 1]).fit([[1, 2]], [1])


@pytest.mark.parametrize(
    "call",
    [
        lambda net, X, y: net.fit(X, y, threads=2),
        lambda net, X, y: net.fit([(X, y)]),
        lambda net, X, y: fastnn.fit_many([net], X, y),
        lambda net, X, y: fastnn.fit_many([net], X, y, threads=1),
        lambda net, X, y: net.predict(X),
        lambda net, X, y: net.predict(X, threads=1),
        lambda net, X, y: net.predict(X[:1]),
        lambda net, X, y: fastnn.Ensemble([net]).predict(X),
        lambda net, X, y: net.forward(X),
        lambda net, X, y: net.jacobian(X),
        lambda net, X, y: net.input_gradient(X),
        lambda net, X, y: net.evaluate(X, y),
        lambda net, X, y: net.evaluate(fastnn.Dataset(X, y)),
        lambda net, X, y: net.loss_and_gradient(X, y),
        lambda net, X, y: net.loss_and_gradient(fastnn.Dataset(X, y)),
    ],
)
def test_a_wrong_environment_is_always_refused(monkeypatch, call):
    """However little there is to do, and before anything is done: not after hours, where rows get many."""
    net = fastnn.mlp([2, 1])
    before = net.parameters.copy()
    monkeypatch.setenv("FASTNN_NUM_THREADS", "0")
    with pytest.raises(ValueError, match="FASTNN_NUM_THREADS is '0'; a whole number from 1 to 1024 is needed"):
        call(net, *fastnn.datasets.xor())
    assert_array_equal(net.parameters, before)


@pytest.mark.compiled
def test_other_libraries_variable(monkeypatch):
    """joblib's loky and Dask set it in their workers."""
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 8)
    for given, expected in {"1": 1, "3": 3, "4,2": 4, "": 8, "x": 8, "0": 8}.items():
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert threads.allowed() == expected, given
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads.allowed() == 8


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_affinity(run_python):
    source = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    source += "from fastnn import threads; print(threads.allowed())"
    assert run_python(source, OMP_NUM_THREADS="").stdout.strip() == "1"


def test_quota_of_control_groups(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "a" / "b" / "cpu.max").write_text("max 100000\n")
    process = tmp_path / "process"
    process.write_text("0::/a/b\n")
    assert list(threads._quotas(process, tmp_path)) == [2]  # of the group around it, rounded up
    old = tmp_path / "cpu,cpuacct" / "job"
    old.mkdir(parents=True)
    (old / "cpu.cfs_quota_us").write_text("300000")
    (old / "cpu.cfs_period_us").write_text("100000")
    process.write_text("4:cpu,cpuacct:/job\n3:memory:/job\n")
    assert list(threads._quotas(process, tmp_path)) == [3]
    (old / "cpu.cfs_quota_us").write_text("-1")
    assert list(threads._quotas(process, tmp_path)) == []
    assert list(threads._quotas(tmp_path / "none", tmp_path)) == []


def test_fits_side_by_side_share_the_cores(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 4)
    with threads.reserve(3) as first, threads.reserve(3) as second, threads.reserve(3) as third:
        assert (first, second, third) == (3, 1, 1)
    with threads.reserve(3) as again:
        assert again == 3


def test_little_work_wakes_nobody():
    X, y = fastnn.datasets.circle(10)
    seen = []
    fastnn.mlp([2, 4, 1]).fit(X, y, epochs=3, threads=4, callbacks=[lambda *_: seen.append(helpers())])
    assert set(seen) == {0}


# Safety -----------------------------------------------------------------------------------------------

WORK = {"epochs": 40, "threads": 3} if JIT else {"epochs": 2, "threads": 3}


def train(seed):
    X, y = fastnn.datasets.circle(60 if JIT else 12)
    net = fastnn.mlp([2, 16, 16, 1], seed=seed)
    net.fit(X, y, optimizer=fastnn.SGD(2.0), **WORK)
    return net.parameters.tobytes()


def test_eight_at_once(many_tiles):
    alone = [train(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(train, range(8))) == alone
    assert all_gone()


def test_exception_in_a_callback(many_tiles):
    X, y = fastnn.datasets.circle(30 if JIT else 10)
    net = fastnn.mlp([2, 16, 16, 1])
    seen = []

    def refuse(progress):
        seen.append(helpers_soon(3))
        if progress.epoch == 3:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        net.fit(X, y, epochs=10, threads=4, callbacks=[refuse])
    assert set(seen) == {3}
    assert all_gone()
    assert net.history.epochs == 3
    net.fit(X, y, epochs=2, threads=4)


def test_no_thread_can_be_started(many_tiles, monkeypatch):
    """The system has none left: the fit is done with those there are, and the result is the same."""
    expected = train(0)

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads._thread, "start_new_thread", refuse)
    assert train(0) == expected


COMMON = """
import gc, json, multiprocessing, os, signal, sys, threading, time, warnings
from concurrent.futures import ProcessPoolExecutor
import numpy as np, fastnn
from fastnn import compiled
from tests.helping import all_gone, helpers, helpers_soon
warnings.simplefilter("ignore")  # of Python 3.12 on, about forking with threads
X, y = fastnn.datasets.circle(100)

def train(seed, **options):
    net = fastnn.mlp([2, 16, 16, 1], seed=seed)
    net.fit(X, y, **{"epochs": 30, "optimizer": fastnn.SGD(2.0), "threads": 3, **options})
    return net.parameters.tobytes()
"""

FORK = """
from tests.forks import in_child
expected = train(0)
in_child(lambda: train(0) == expected)
assert train(0) == expected

# While another thread is within a fit.
inside = threading.Event()
fit = threading.Thread(target=train, args=(1,), kwargs={"epochs": 400, "callbacks": [lambda *_: inside.set()]})
fit.start()
inside.wait()
in_child(lambda: train(0) == expected)
fit.join()
assert all_gone()

# While another thread is compiling: that is waited for, but not for ever.
compiled.SECONDS_BEFORE_FORK = 0.1
inside, end = threading.Event(), threading.Event()

def compile():
    with compiled.preparing("nothing", np.dtype("float64"), "long"):
        inside.set()
        end.wait()

thread = threading.Thread(target=compile)
thread.start()
inside.wait()
in_child(lambda: gc.isenabled() and train(0, optimizer=fastnn.Adam()))
end.set()
thread.join()
"""

PROCESSES = """
if __name__ == "__main__":
    expected = [train(0), train(1)]
    for method in sys.argv[1:]:
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(train, [0, 1]) == expected
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            assert list(pool.map(train, [0, 1])) == expected
    assert all_gone()
"""

INTERRUPT = """
train(0, epochs=1)
seen = []
timer = threading.Timer(0.5, lambda: (seen.append(helpers()), os.kill(os.getpid(), signal.SIGINT)))
timer.start()
start = time.perf_counter()
net = fastnn.mlp([2, 16, 16, 1])
try:
    net.fit(X, y, epochs=10**7, threads=3)
except KeyboardInterrupt:
    pass
else:
    sys.exit("was not interrupted")
assert seen == [2], seen
assert all_gone()
assert net.history.status == "interrupted" and net.history.epochs > 0
assert np.isfinite(net.parameters).all()
"""

LEAVE = """
started = threading.Event()
net = fastnn.mlp([2, 16, 16, 1])
arguments = {"epochs": 10**8, "threads": 3, "callbacks": [lambda *_: started.set()] if sys.argv[1] == "1" else []}
threading.Thread(target=net.fit, args=(X, y), kwargs=arguments, daemon=True).start()
if sys.argv[1] == "1":
    started.wait()
else:
    while not helpers():
        time.sleep(0.01)
print("leaving", flush=True)
"""


def safety(test):
    """Mark a test that forks, or sends itself SIGINT."""
    there = pytest.mark.skipif(sys.platform == "win32", reason="no fork, no SIGINT to oneself")
    return pytest.mark.compiled(there(test))


def separately(run_python, source, *arguments):
    return run_python(COMMON + source, *arguments)


@safety
def test_forked_processes(run_python):
    separately(run_python, FORK)


@pytest.mark.slow
@safety
def test_process_pools(run_python, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(COMMON + PROCESSES)
    run_python(script, "fork", "spawn")


@safety
def test_interrupt(run_python):
    separately(run_python, INTERRUPT)


@pytest.mark.parametrize("watched", core([0, 1], 0))
@safety
def test_interpreter_ends_during_a_fit_in_a_daemon_thread(run_python, watched):
    assert separately(run_python, LEAVE, watched).stdout == "leaving\n"


WORKERS = """
import json, sys
import joblib
from fastnn import threads
with joblib.parallel_config(backend="loky", n_jobs=2, inner_max_num_threads=1):
    print(joblib.Parallel()(joblib.delayed(threads.allowed)() for _ in range(2)))
"""


@pytest.mark.slow
@pytest.mark.compiled
def test_in_workers_of_joblib(run_python):
    pytest.importorskip("joblib")
    assert json.loads(run_python(WORKERS).stdout) == [1, 1]
