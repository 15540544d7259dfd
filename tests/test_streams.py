"""Rows that are read in windows: the same bits as in memory, in bounded memory, and no thread left behind."""

from __future__ import annotations

import _thread
import re
import threading
import time
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import checks, memory, plan, running, streams, threads
from tests.helping import helpers_soon
from tests.problems import JIT, assert_same_history

ROWS = 600
LIMIT = 4000  # bytes: so that there are several windows of small tiles


@pytest.fixture(autouse=True)
def no_thread_left():
    yield
    readers = [thread for thread in threading.enumerate() if thread.name == "fastnn reader"]
    for reader in readers:  # after an error it may still wait for its next block
        reader.join(5)
        assert not reader.is_alive()


@pytest.fixture
def seen(monkeypatch):
    """The (first row, first row after it) of every window that a run was given."""
    windows = []
    window = streams.Windows.window

    def spy(self, passes):
        found = window(self, passes)
        windows.append(found[:2])
        return found

    monkeypatch.setattr(streams.Windows, "window", spy)
    return windows


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(plan, "MOST_ROW_BYTES", 128)
    monkeypatch.setattr(plan, "LEAST_ROW_BYTES", 128)


@pytest.fixture
def rows(rng, small_tiles):
    # Of the network's type, arrays would need no windows: rows are gathered where they are.
    X = rng.normal(size=(ROWS, 2)).astype("float16")
    return X, (X[:, 0] * X[:, 1] > 0) * 1.0


def new_net(dtype="float64", sizes=(2, 3, 1), output="sigmoid", **settings):
    return fastnn.mlp(list(sizes), output=output, dtype=dtype, **settings)


def assert_same(one, other):
    """Assert that two networks were trained alike, to the last bit."""
    assert_array_equal(one.parameters, other.parameters)
    assert_same_history(one.history, other.history)


class Blocks:
    """Blocks that are made anew each time they are gone through."""

    def __init__(self, *arrays, sizes=(70, 1, 0, 33)):
        self.arrays, self.sizes, self.passes, self.given, self.threads = arrays, sizes, 0, 0, set()

    def __iter__(self):
        self.passes += 1
        first = i = self.given = 0
        while first < len(self.arrays[0]):
            self.given += 1
            self.threads.add(threading.current_thread())
            stop = first + self.sizes[i % len(self.sizes)]
            yield tuple(array[first:stop] for array in self.arrays)
            first, i = stop, i + 1


@pytest.mark.parametrize(
    "options",
    [
        {"log_every": 0},
        {"verbose": 3},
        {"callbacks": 3},
        {"checkpoint_every": 3},
        {"checkpoint": "no/such/folder/run.npz"},
        {"checkpoint": "run.npz", "checkpoint_every": 0},
        {"resume": "no such file.npz"},
    ],
)
def test_what_can_be_refused_at_once_is_refused_before_blocks_are_read(rows, options):
    blocks = Blocks(*rows)
    with pytest.raises((TypeError, ValueError, OSError)):
        new_net().fit(blocks, **options)
    assert blocks.passes == 0


@pytest.mark.parametrize("weight", [1e-36, 1e36])
def test_weights_of_blocks_whose_sum_is_out_of_range(rows, weight):
    X, y = rows
    with pytest.raises(ValueError, match=r"sample_weight has the sum .*; for float32 it has to be from 1e-31 to"):
        new_net("float32").fit(Blocks(X, y, np.full(len(X), weight)), epochs=1)


# The same bits --------------------------------------------------------------------------------------

WAYS = {
    "sgd": {"optimizer": fastnn.SGD(1.0)},
    "adam, clipped": {"optimizer": fastnn.Adam(0.01, clip_norm=0.1)},
    "lbfgs": {"optimizer": "lbfgs"},
    "levenberg-marquardt": {"optimizer": fastnn.LevenbergMarquardt()},
    "mini-batches": {"batch_size": 37, "shuffle": False},
    "row by row": {"batch_size": 1, "shuffle": False},
    "batches of several tiles": {"batch_size": ROWS // 2 - 1, "shuffle": False},
    "schedule": {"optimizer": fastnn.SGD(fastnn.schedules.WarmUp(1.0, epochs=2))},
    "metrics": {"metrics": ["accuracy", "mae"]},
}


@pytest.mark.parametrize("way", WAYS)
def test_same_bits_as_in_memory(rows, dtype, seen, way):
    X, y = rows[0], rows[1].astype(dtype)
    limit = LIMIT + 7 * ROWS * y.itemsize * (way == "metrics")
    one, other = new_net(dtype), new_net(dtype)
    one.fit(X, y, epochs=3, **WAYS[way])
    assert not seen
    other.fit(X, y, epochs=3, memory_limit=limit, **WAYS[way])
    assert len(set(seen)) > 3
    assert sorted(set(seen))[0][0] == 0
    assert all(
        stop == start for (_, stop), (start, _) in zip(sorted(set(seen)), sorted(set(seen))[1:], strict=False)
    )
    assert_same(one, other)
    by_blocks = new_net(dtype)
    by_blocks.fit(Blocks(X, y), epochs=3, memory_limit=limit, **WAYS[way])
    assert_same(one, by_blocks)


@pytest.mark.parametrize("way", ["adam, clipped", "metrics", "batches of several tiles"])
def test_same_bits_in_several_threads(rows, seen, monkeypatch, way):
    monkeypatch.setattr(running, "SECONDS_OF_THREAD", 1e-12)
    monkeypatch.setattr(running, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(running, "MOST_SLOTS", 5)
    monkeypatch.setattr(threads, "cores", lambda: 64)
    names, counts, count, limit = set(), set(), 1, LIMIT + 7 * 8 * ROWS * (way == "metrics")

    def look(_):
        names.update(thread.name for thread in threading.enumerate())
        counts.add(helpers_soon(count - 1))

    options = WAYS[way] | {"callbacks": look}
    one, other = new_net(), new_net()
    one.fit(Blocks(*rows), epochs=3, threads=1, **options)
    for count in (2, 3) if JIT else (3,):
        seen.clear()
        other = new_net()
        other.fit(Blocks(*rows), epochs=3, threads=count, memory_limit=limit, **options)
        assert_same(one, other)
        assert "fastnn reader" in names
        assert count - 1 in counts
        assert len(set(seen)) > 3


def test_weights_and_rows_of_weight_0(rows, rng, dtype, seen):
    X, y = rows
    weights = rng.integers(3, size=ROWS) * 0.7
    assert (weights == 0).any()
    for net in (
        lambda: new_net(dtype),
        lambda: new_net(dtype, dropout=0.3),
    ):  # dropout knows rows by their numbers
        one, other, by_blocks = net(), net(), net()
        one.fit(X, y, epochs=3, sample_weight=weights)
        other.fit(X, y, epochs=3, sample_weight=weights, memory_limit=LIMIT)
        by_blocks.fit(Blocks(X, y, weights), epochs=3, memory_limit=LIMIT)
        assert len(set(seen)) > 3
        assert_same(one, other)
        assert_same(one, by_blocks)


def test_metrics_with_rows_of_weight_0(rows, rng):
    X, y = rows
    weights = rng.integers(2, size=ROWS)
    options = {"epochs": 2, "metrics": ["accuracy"]}
    one, other = new_net(), new_net()
    one.fit(X, y, sample_weight=weights, **options)
    other.fit(Blocks(X, y, weights), memory_limit=LIMIT + 100 * ROWS, **options)
    assert_same(one, other)


def test_labels_of_several_classes_smoothed(rows, dtype, seen):
    X, y = rows
    labels = y.astype(int) + (X[:, 0] > 1)
    options = {"epochs": 3, "loss": fastnn.losses.CrossEntropy(0.1)}
    one, other = (new_net(dtype, (2, 4, 3), "softmax") for _ in range(2))
    one.fit(X, labels, **options)
    other.fit(Blocks(X, labels), memory_limit=2 * LIMIT, **options)
    assert len(set(seen)) > 3
    assert_same(one, other)


def test_validation_early_stopping_and_callbacks(rows):
    X, y = rows
    held_out = X[:100] + 0.1, y[:100]
    epochs = []
    options = {
        "epochs": 9,
        "validation_data": held_out,
        "early_stopping": fastnn.EarlyStopping(patience=2, min_delta=0.003),
        "optimizer": fastnn.SGD(0.3),
        "callbacks": lambda progress: epochs.append(progress.epoch),
    }
    one, other = new_net(), new_net()
    one.fit(X, y, **options)
    assert one.history.status == "stopped"
    other.fit(X, y, memory_limit=LIMIT + 4000, **options)
    assert_same(one, other)
    assert epochs == 2 * list(range(1, len(one.history.loss) + 1))


@pytest.mark.parametrize("kind", ["memmap", "fortran", "whole numbers", "strided", "float32", "a data set"])
def test_arrays_of_all_kinds(rows, seen, tmp_path, kind):
    X, y = rows
    if kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    elif kind == "fortran":
        X = np.asfortranarray(X)
    elif kind == "whole numbers":
        X = (10 * X).astype(np.int8)
    elif kind == "strided":
        X = np.repeat(X, 3, axis=0)[::3]
    elif kind == "float32":
        X, y = X.astype(np.float32), y[:, np.newaxis]
    dtype = "float32" if kind == "a data set" else "float64"
    one, other = new_net(dtype), new_net(dtype)
    given = (fastnn.Dataset(X, y),) if kind == "a data set" else (X, y)
    one.fit(*given, epochs=2)
    other.fit(*given, epochs=2, memory_limit=LIMIT)
    assert len(set(seen)) > 3
    assert_same(one, other)
    del given, X  # a file that is mapped cannot be removed on Windows


def test_blocks_in_a_list_that_need_no_limit(rows):
    X, y = rows
    one, other = new_net(), new_net()
    one.fit(X, y, epochs=3)
    other.fit([(X[:399], y[:399]), (X[399:], y[399:])], epochs=3)
    assert_same(one, other)


def test_there_is_room_for_all(rows, seen):
    """Then blocks are read twice: to check them, and to pack them."""
    blocks = Blocks(*rows)
    new_net().fit(blocks, epochs=5, memory_limit="100 MB")
    assert seen == [(0, ROWS)]
    assert blocks.passes == 2
    new_net().fit(blocks, epochs=3, optimizer="lbfgs", memory_limit="100 MB")
    assert blocks.passes == 4


def test_read_once_in_each_epoch_and_once_before(rows):
    blocks = Blocks(*rows)
    new_net().fit(blocks, epochs=5, memory_limit=LIMIT)
    assert blocks.passes == 6
    assert {thread.name for thread in blocks.threads} == {"MainThread", "fastnn reader"}


def test_the_next_windows_are_read_while_the_present_one_is_worked_on(rows):
    """As long as a callback keeps a fit at the last window of an epoch, two of the next are read."""
    blocks = Blocks(*rows, sizes=(8,))

    def look(progress):
        end = time.monotonic() + 5
        while progress.epoch < 3 and (blocks.passes, blocks.given) < (progress.epoch + 2, 4):
            assert time.monotonic() < end
            time.sleep(0.001)

    new_net().fit(blocks, epochs=3, memory_limit=LIMIT, callbacks=look)


def test_evaluate(rows, rng, dtype, seen):
    X, y = rows
    weights = rng.random(ROWS)
    net = new_net(dtype, l2=0.01)
    expected = net.evaluate(X, y, sample_weight=weights)
    assert net.evaluate(X, y, sample_weight=weights, memory_limit=LIMIT) == expected
    assert net.evaluate(Blocks(X, y, weights), memory_limit=LIMIT) == expected
    assert net.evaluate([(X, y, weights)]) == expected
    assert len(set(seen)) > 3


def test_checkpoints_know_no_windows(rows, tmp_path):
    """A fit that was begun in memory goes on in windows, and the other way round."""
    X, y = rows
    whole = new_net()
    whole.fit(X, y, epochs=6, optimizer="adam")
    for before, after in (({}, {"memory_limit": LIMIT}), ({"memory_limit": LIMIT}, {})):
        net = new_net()
        net.fit(X, y, epochs=2, optimizer="adam", checkpoint=tmp_path / "c", **before)
        net.fit(X, y, epochs=6, optimizer="adam", resume=tmp_path / "c", **after)
        assert_same(whole, net)
    with pytest.raises(ValueError, match="X, y or weights differ"):
        new_net().fit(Blocks(X, 1 - y), epochs=6, optimizer="adam", resume=tmp_path / "c")


# Memory ---------------------------------------------------------------------------------------------


@pytest.mark.compiled
@pytest.mark.parametrize("kind", ["float64", "int16", "memmap", "blocks"])
def test_no_more_memory_than_allowed(tmp_path, kind):
    """A million rows in 2 MB; beside them there is half a MB of everything else, but no number for each row."""
    X = np.zeros((1_000_000, 2), "int16" if kind == "int16" else "float64")
    y = np.zeros(len(X))
    if kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    given = ([(X[:500_000], y[:500_000]), (X[500_000:], y[500_000:])],) if kind == "blocks" else (X, y)
    net = new_net()
    net.fit(X[:1000], y[:1000], memory_limit=40_000)  # all is compiled and imported
    for call in (net.fit, net.evaluate):
        tracemalloc.start()
        call(*given, memory_limit="2 MB")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 1e6 < peak < 2.5e6
    del given, X


@pytest.mark.compiled
@pytest.mark.parametrize(("given", "beside"), [("float64", 3e6), ("int16", 20e6)])  # of the latter 8 MB a piece
def test_predictions_need_no_copy_of_the_rows(given, beside):
    X = np.zeros((1_000_000, 8), given)
    net = new_net(sizes=(8, 3, 1))
    net.predict(X[:10])
    tracemalloc.start()
    net.predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 8e6 <= peak < 8e6 + beside


def test_predictions_piece_by_piece(rng, monkeypatch):
    X = rng.integers(-9, 9, size=(100, 2))
    net = new_net()
    expected = net.predict(X)
    monkeypatch.setattr("fastnn.checks.NUMBERS_AT_ONCE", 26)
    assert_array_equal(net.predict(X), expected)
    wrong = X.astype("float32")
    wrong[50, 1] = np.nan
    with pytest.raises(ValueError, match=r"X\[50, 1\] is nan; finite float64"):
        net.predict(wrong)
    with pytest.raises(ValueError, match=r"X\[50, 1\] is nan"):
        net.predict(wrong.astype("float64"))
    with pytest.raises(ValueError, match=r"^X has 1 column\(s\); \(rows, 2\) is needed"):
        net.predict(X[:, :1])


def test_refused_before_an_allocation_that_cannot_succeed(rows, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    monkeypatch.setattr(memory, "LEAST_LOOKED_AT", 0)
    X, y = rows[0].astype("float64"), rows[1]
    net = new_net()
    before = net.parameters.copy()
    sentence = r"to pack .* rows would take .* of memory, and 1 kB can be had; .*memory_limit"
    for call in (net.fit, net.evaluate, net.loss_and_gradient):
        with pytest.raises(MemoryError, match=sentence):
            call(X, y)
    with pytest.raises(MemoryError, match=r"to copy X, [\d,]+ numbers, as float64 would take"):
        net.fit(X.astype("float32"), y)
    with pytest.raises(MemoryError, match="to copy X"):
        fastnn.Dataset(X, y)
    with pytest.raises(MemoryError, match=r"shares of 2 classes from y"):
        new_net(sizes=(2, 2), output="softmax").fit(X, y, loss="cross_entropy")
    with pytest.raises(MemoryError, match=r"predictions for .* rows would take"):
        net.predict(X)
    assert_array_equal(net.parameters, before)
    assert net.history is None


@pytest.mark.compiled
@pytest.mark.skipif(memory.available() is None, reason="this system does not tell how much memory there is")
def test_refused_where_there_is_really_not_enough(run_python):
    pytest.importorskip("resource")
    source = """
import resource, fastnn, numpy as np
net = fastnn.mlp([2, 4, 1])
X, y = fastnn.datasets.circle(10)
net.fit(X, y)
net.fit(X, y, memory_limit=1_000_000)
pages = int(open("/proc/self/statm").read().split()[0])
X, y = np.zeros((4_000_000, 2)), np.zeros(4_000_000)
bound = pages * resource.getpagesize() + 150_000_000
resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
try:
    net.fit(X, y)
except MemoryError as error:
    print(error)
net.fit(X, y, memory_limit="10 MB")
print(net.history.status)
"""
    if not memory.MEMINFO.exists():
        pytest.skip("needs /proc")
    said = run_python(source).stdout.splitlines()
    assert said[0].startswith("to pack 4,000,000 rows would take 9")
    assert said[1] == "finished"


def test_what_the_system_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_of_address_space", lambda: iter(()))
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    memory.MEMINFO.write_text("MemTotal: 99 kB\nMemAvailable:   5000 kB\nSwapFree: 1000 kB\nHugePages_Free: 0\n")
    assert memory.available() == 6000 * 1024
    job = tmp_path / "job"  # the process is in a group within that
    job.mkdir()
    monkeypatch.setattr(memory, "CGROUP_OF_PROCESS", tmp_path / "process")
    (tmp_path / "process").write_text("0::/job/step\n")
    (job / "memory.max").write_text("3000000\n")
    (job / "memory.current").write_text("1000000\n")
    (job / "memory.stat").write_text("anon 5\ninactive_file 500\n")
    assert memory.available() == 2_000_500
    (job / "memory.max").write_text("max\n")
    assert memory.available() == 6000 * 1024
    old = tmp_path / "memory" / "job"
    old.mkdir(parents=True)
    (tmp_path / "process").write_text("7:cpu:/\n4:memory:/job\n")
    (old / "memory.limit_in_bytes").write_text("2000000\n")
    (old / "memory.usage_in_bytes").write_text("1000000\n")
    (old / "memory.stat").write_text("total_inactive_file 5\n")
    assert memory.available() == 1_000_005


def test_metrics_that_can_be_gone_through_once(rows):
    X, y = rows
    expected = new_net().fit(X, y, epochs=2, metrics=["mae", "r2"]).metrics
    for data, options in (((X, y), {}), ((X, y), {"memory_limit": "1 MB"}), (([(X, y)],), {})):
        found = new_net().fit(*data, epochs=2, metrics=(name for name in ("mae", "r2")), **options).metrics
        assert list(found) == ["mae", "r2"]
        assert all((found[name] == expected[name]).all() for name in expected)
        assert new_net().fit(*data, metrics=set(), **options).metrics == {}
    nets = [fastnn.mlp([X.shape[1], units, 1]) for units in (3, 4)]
    fits = fastnn.fit_many(nets, X, y, metrics=iter(["mae", "r2"]))
    assert all(list(history.metrics) == ["mae", "r2"] for history in fits)


# How it ends ----------------------------------------------------------------------------------------


class Broken(Blocks):
    """Blocks of which some pass ends with an error."""

    def __init__(self, *arrays, at, error):
        super().__init__(*arrays)
        self.at, self.error = at, error

    def __iter__(self):
        for i, block in enumerate(super().__iter__()):
            if self.passes == self.at and i == 3:
                raise self.error
            yield block


def test_an_error_in_the_blocks_ends_the_fit(rows):
    X, y = rows
    two = new_net()
    two.fit(X, y, epochs=2)
    net = new_net()
    with pytest.raises(OSError, match="the disk is gone") as caught:
        net.fit(Broken(X, y, at=4, error=OSError("the disk is gone")), epochs=5, memory_limit=LIMIT)
    assert caught.traceback[-1].name == "__iter__"
    assert_array_equal(net.parameters, two.parameters)
    assert_array_equal(net.history.loss, two.history.loss)
    assert net.history.status == "interrupted"


def test_an_error_in_the_first_pass_changes_nothing(rows):
    net = new_net()
    before = net.parameters.copy()
    with pytest.raises(OSError, match="gone"):
        net.fit(Broken(*rows, at=1, error=OSError("gone")), memory_limit=LIMIT)
    assert_array_equal(net.parameters, before)
    assert net.history is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_callback_that_raises(rows, error):
    def stop(progress):
        if progress.epoch == 2:
            raise error

    net = new_net()
    with pytest.raises(error):
        net.fit(*rows, epochs=100, memory_limit=LIMIT, callbacks=stop)
    assert len(net.history.loss) == 2


def test_ctrl_c_while_waiting_for_rows(rows):
    """The main thread waits for the reader, in which the interrupt is made."""

    class Slow(Blocks):
        def __iter__(self):
            for block in super().__iter__():
                if self.passes == 3:
                    self.passes += 1
                    _thread.interrupt_main()
                    time.sleep(0.3)
                yield block

    net = new_net()
    with pytest.raises(KeyboardInterrupt):
        net.fit(Slow(*rows), epochs=1000, memory_limit=LIMIT)
    assert len(net.history.loss) < 1000


@pytest.mark.parametrize("within", ["nothing", "an except clause"])
def test_ctrl_c_does_not_wait_for_a_block(rows, within):
    """The reader is left with the user's iterable, and ends when that goes on."""
    goes_on, ended = threading.Event(), threading.Event()

    class Stuck(Blocks):
        def __iter__(self):
            try:
                for i, block in enumerate(super().__iter__()):
                    if self.passes == 2 and i == 3:
                        _thread.interrupt_main()
                        goes_on.wait(20)
                    yield block
            finally:
                if self.passes == 2:
                    ended.set()

    net, blocks = new_net(), Stuck(*rows)
    start = time.monotonic()
    try:
        if within == "an except clause":
            raise OSError
        with pytest.raises(KeyboardInterrupt):
            net.fit(blocks, epochs=3)
    except OSError:
        with pytest.raises(KeyboardInterrupt):
            net.fit(blocks, epochs=3)
    assert time.monotonic() - start < 10
    (reader,) = (thread for thread in blocks.threads if thread.name == "fastnn reader")
    assert reader.daemon
    assert reader.is_alive()
    assert net.fit(*rows).status == "finished"
    goes_on.set()
    assert ended.wait(5)
    assert blocks.given == 4  # it takes no more than the block that it waited for


def test_a_normal_end_waits_for_the_reader(rows):
    """Also where an exception is being handled that has nothing to do with the fit."""

    class Slow(Blocks):
        def __iter__(self):
            for i, block in enumerate(super().__iter__()):
                if self.passes == 4 and i == 0:
                    time.sleep(0.2)
                yield block

    blocks = Slow(*rows)
    try:
        raise OSError
    except OSError:
        new_net().fit(blocks, epochs=9, memory_limit=LIMIT, callbacks=lambda progress: progress.epoch == 2)
    assert not any(thread.name == "fastnn reader" for thread in threading.enumerate())


def test_no_thread_is_left_to_read(rows, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    net = new_net()
    before = net.parameters.copy()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="a thread is needed to read the rows, and the system has none left"):
        net.fit([rows, rows], memory_limit=LIMIT)
    assert_array_equal(net.parameters, before)


def test_a_reader_that_is_gone(rows, monkeypatch):
    monkeypatch.setattr(streams.Windows, "_read", lambda self, passes: None)
    with pytest.raises(RuntimeError, match="the thread that reads the rows has ended"):
        new_net().fit(*rows, memory_limit=LIMIT)


def test_divergence(rows):
    X, y = rows
    one, other = new_net(output="identity"), new_net(output="identity")
    for net, options in ((one, {}), (other, {"memory_limit": LIMIT})):
        with pytest.warns(RuntimeWarning, match="no longer finite"):
            net.fit(X, y, epochs=400, optimizer=fastnn.SGD(1e6), **options)
    assert_same(one, other)


def test_rows_that_are_others_the_next_time(rows):
    X, y = rows

    class Shrinking(Blocks):
        def __iter__(self):
            for i, block in enumerate(super().__iter__()):
                if self.passes < 3 or i:
                    yield block

    class Growing(Blocks):
        def __iter__(self):
            yield from super().__iter__()
            if self.passes >= 3:
                yield X[:10], y[:10]

    class Weighing(Blocks):
        def __iter__(self):
            for X, y in super().__iter__():
                yield X, y, np.full(len(y), 1.0 if self.passes < 3 else 0.0)

    for kind, how in (
        (Shrinking, f"the first pass had {ROWS} rows, this one {ROWS - 70};"),
        (Growing, f"the first pass had {ROWS} rows, this one {ROWS + 10};"),
        (Weighing, f"the first pass had {ROWS} rows of a weight above 0, this one 0;"),
    ):
        net = new_net()
        with pytest.raises(ValueError, match=f"others than when they were read first: {how}"):
            net.fit(kind(X, y), epochs=5, memory_limit=LIMIT)
        assert 1 <= len(net.history.loss) < 5


class Changing:
    """Other blocks in each pass; those of the last in all that follow."""

    def __init__(self, *passes):
        self.passes = list(passes)

    def __iter__(self):
        return iter(self.passes.pop(0) if len(self.passes) > 1 else self.passes[0])


@pytest.mark.parametrize("limit", [None, LIMIT])
def test_rows_that_are_others_in_the_last_pass(rows, limit):
    """Nobody asks for what follows the last row, if not the reader."""
    X, y = rows
    one, two, net = (X[:500], y[:500]), (X[:200], y[:200]), new_net()
    before = net.parameters.copy()
    for passes, how in (
        (([one], [one, two]), "the first pass had 500 rows, this one 700;"),
        (([one, two], [one]), "the first pass had 700 rows, this one 500;"),
        (([one], [one, one, one]), r"the first pass had 500 rows, this one 1\d+ or more;"),
        (([one], [(*one, one[1] + 1)]), "this pass had sample weights, the first none"),
        (([(*one, one[1] + 1)], [one]), "the first pass had sample weights, this one none"),
        (([(*one, one[1] + 1)], [(*one, 0 * one[1])]), "500 rows of a weight above 0, this one 0"),
    ):
        for call in (net.fit, net.evaluate):
            with pytest.raises(ValueError, match=how):
                call(Changing(*passes), memory_limit=limit)
    assert_array_equal(net.parameters, before)


# Refused --------------------------------------------------------------------------------------------

OF_BYTES = 'a number of bytes from 1 on, or a text like "500 MB" or "2 GiB", is needed'


@pytest.mark.parametrize("limit", [1e9, np.float32(2.0**30), np.int64(10**9), np.array(1e9), "1 GB", " 1.5gib "])
def test_numbers_of_bytes(limit):
    assert 1e9 <= checks.byte_count(limit, "memory_limit") <= 1.5 * 2**30


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"memory_limit": 0}, ValueError, f"memory_limit is 0; {OF_BYTES}"),
        ({"memory_limit": -5.0}, ValueError, f"memory_limit is -5.0; {OF_BYTES}"),
        ({"memory_limit": 2.5}, TypeError, f"memory_limit is 2.5; {OF_BYTES}"),
        ({"memory_limit": np.inf}, TypeError, f"memory_limit is inf; {OF_BYTES}"),
        ({"memory_limit": True}, TypeError, f"memory_limit is True; {OF_BYTES}"),
        ({"memory_limit": b"5 MB"}, TypeError, f"memory_limit is b'5 MB'; {OF_BYTES}"),
        ({"memory_limit": "2 cows"}, ValueError, f"memory_limit is '2 cows'; {OF_BYTES}"),
        ({"memory_limit": "0.5 B"}, ValueError, f"memory_limit is '0.5 B'; {OF_BYTES}"),
        ({"memory_limit": "9" * 400 + "MB"}, ValueError, OF_BYTES),
        (
            {"memory_limit": 500},
            ValueError,
            r"memory_limit is 500 bytes, too little to read .* rows in windows; .* kB is enough",
        ),
        ({"memory_limit": LIMIT, "metrics": ["mae"]}, ValueError, "metrics and validation rows alone take"),
        (
            {"memory_limit": LIMIT, "validation_split": 0.2},
            ValueError,
            "too little to pack .* rows, which takes .* kB here, and validation_split is",
        ),
        (
            {"memory_limit": LIMIT, "class_weight": "balanced"},
            ValueError,
            "and class_weight is for rows in memory",
        ),
        ({"memory_limit": 900, "batch_size": 10}, ValueError, "draw .* rows in a new order each epoch takes"),
    ],
)
def test_options_refused(rows, options, error, sentence):
    net = new_net()
    with pytest.raises(error, match=sentence):
        net.fit(*rows, **options)
    assert net.history is None


@pytest.mark.parametrize(
    ("options", "refusals"),
    [
        ({}, 1),
        ({"batch_size": 1, "shuffle": False}, 1),
        ({"batch_size": 10, "shuffle": False}, 1),
        ({"batch_size": 10}, 1),
        ({"validation_split": 0.2}, 1),
        ({"validation_split": 0.2, "metrics": ["mae"]}, 1),
        ({"metrics": ["mae"]}, 2),  # what metrics alone take is said first
    ],
)
def test_a_limit_that_is_said_to_be_enough_is(rows, options, refusals):
    limit, net = "1 B", new_net()
    for _ in range(refusals):
        with pytest.raises(ValueError, match="memory_limit is") as refusal:
            net.fit(*rows, memory_limit=limit, **options)
        limit = re.search(r"[\d.]+ ([kM]B|bytes)(?= is enough| here|$)", str(refusal.value)).group()
    net.fit(*rows, memory_limit=limit, **options)


def test_few_bytes():
    assert [memory.shown(count) for count in (1, 2)] == ["1 byte", "2 bytes"]
    assert [checks.byte_count(text, "memory_limit") for text in ("1 byte", "2 bytes")] == [1, 2]


def test_enough_is_never_too_little():
    for count in (1, 999, 1000, 1234, 999_001, 1_234_567_890):
        assert count <= checks.byte_count(memory.enough(count), "memory_limit") <= 1.01 * count


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda X, y, w: (X[:, :1], y, w), r"X has 1 column\(s\); \(rows, 2\) is needed"),
        (lambda X, y, w: (X, X, w), r"y has shape \({n}, 2\); \(rows,\) or \(rows, 1\) is needed"),
        (lambda X, y, w: (X, y, X), r"sample_weight has 2 dimension\(s\); one number a row"),
    ],
)
def test_errors_are_on_the_whole_and_not_on_pieces(rows, change, sentence):
    X, y, w = change(*(array.astype("float32") for array in rows), np.ones(len(rows[0]), "float32"))
    sentence = sentence.replace("{n}", str(len(X)))
    with pytest.raises(ValueError, match="^" + sentence):
        new_net().fit(X, y, sample_weight=w, memory_limit=LIMIT)
    with pytest.raises(ValueError, match="^block 1: " + sentence):
        new_net().fit([(*rows, np.ones(len(X))), (X, y, w)], memory_limit=LIMIT)


@pytest.mark.parametrize(
    ("blocks", "error", "sentence"),
    [
        (
            lambda X, y: (block for block in [(X, y)]),
            TypeError,
            "can be gone through only once, and rows are read",
        ),
        (lambda X, y: iter([(X, y)]), TypeError, "can be gone through only once"),
        (lambda X, y: [(X, y), (X, y[1:])], ValueError, r"block 1: y has \d+ row\(s\) and X has \d+"),
        (
            lambda X, y: [(X, y), X],
            TypeError,
            r"(?s)block 1 is array.*\(X, y\) or \(X, y, sample_weight\) is needed",
        ),
        (
            lambda X, y: [(X, y), (X[:, :1], y)],
            ValueError,
            r"block 1: X.* has 1 column\(s\); \(rows, 2\) is needed",
        ),
        (lambda X, y: [(X, y), (X, y, y)], ValueError, "some blocks have sample weights"),
        (lambda X, y: [(X, y, 0 * y)], ValueError, "sample_weight is 0 for every row"),
        (lambda X, y: [(X[:0], y[:0])], ValueError, "X has no rows"),
        (lambda X, y: Blocks(X[:0], y[:0]), ValueError, "X has no rows"),
        (
            lambda X, y: [(X, y), (X, np.where(np.arange(len(y)) == 7, np.nan, y))],
            ValueError,
            r"block 1: y.*7.* is nan",
        ),
        (lambda X, y: [(X, y, -y)], ValueError, r"block 0: sample_weight.* weights are 0 or more"),
        (lambda X, y: [(X, 3.0)], ValueError, r"block 0: y has 0 dimension"),
    ],
)
def test_blocks_refused(rows, blocks, error, sentence):
    net = new_net()
    before = net.parameters.copy()
    with pytest.raises(error, match=sentence):
        net.fit(blocks(*rows), epochs=2)
    assert_array_equal(net.parameters, before)


def test_blocks_and_arguments_beside_them(rows):
    X, y = rows
    blocks, net = [(X, y)], new_net()
    with pytest.raises(TypeError, match="sample_weight is given beside blocks"):
        net.fit(blocks, sample_weight=y)
    with pytest.raises(ValueError, match="shuffle is True, as it is by default, and blocks are read in their"):
        net.fit(blocks, batch_size=10)
    with pytest.raises(ValueError, match="blocks are read in windows, and class_weight"):
        net.fit(blocks, class_weight="balanced")


class Getting:
    """Blocks by their numbers, and no __iter__."""

    def __getitem__(self, i):
        raise IndexError


def test_y_is_missing(rows):
    X, y = rows
    net = new_net()
    for given in ([(X,)], [], [X], (X, y), [(X, y, y, None)], lambda: iter([(X, y)]), Getting(), X, X.tolist()):
        for options in ({}, {"memory_limit": LIMIT}):
            for call in (net.fit, net.evaluate):
                with pytest.raises(
                    TypeError, match=r"^y is missing; .* a Dataset or blocks: an iterable of \(X, y\) or"
                ):
                    call(given, **options)


@pytest.mark.parametrize("flaw", ["X", "y", "target", "sample_weight", "negative weight", "label", "share"])
def test_where_a_flaw_is(rows, flaw):
    """Errors name the same position as for rows in memory, though these are read in pieces."""
    X, y = (array.copy() for array in rows)
    weights, loss, net = np.ones(ROWS), "binary_cross_entropy", new_net()
    if flaw in ("label", "share"):
        loss, net = "cross_entropy", new_net(sizes=(2, 2), output="softmax")
    if flaw == "share":
        y = np.stack([y, 1 - y], axis=1)
    if flaw == "X":
        X[456, 1] = np.inf
    elif "weight" in flaw:
        weights[456] = -1 if "negative" in flaw else np.nan
    else:
        y[456] = np.nan if flaw == "y" else 7
    with pytest.raises(ValueError, match=r"^(X|y|sample_weight)\[456") as expected:
        net.fit(X, y, sample_weight=weights, loss=loss)
    sentence = str(expected.value)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        net.fit(X, y, sample_weight=weights, loss=loss, memory_limit=LIMIT)
    with pytest.raises(ValueError, match=f"^block 1: {re.escape(sentence)}$"):
        net.fit([(X[:9], y[:9], weights[:9]), (X, y, weights)], loss=loss, memory_limit=LIMIT)


@pytest.mark.parametrize("kind", ["fortran", "strided", "byte-swapped"])
def test_what_takes_less(rows, kind):
    X, y = rows[0].astype("float64"), rows[1]
    given = {
        "fortran": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=0)[::2],
        "byte-swapped": X.astype(">f8"),
    }
    with pytest.raises(
        ValueError, match="and so do X, y and weights of type float64 in C order and native byte order"
    ):
        new_net().fit(given[kind], y, batch_size=10, memory_limit=LIMIT)


def test_signs_of_two_kinds_in_two_blocks(rows):
    X, y = rows
    signs = 2 * y - 1
    net = new_net(output="tanh")
    net.fit([(X, y), (X, y)], loss="hinge")
    net.fit([(X, signs), (X, signs)], loss="hinge")
    with pytest.raises(ValueError, match="y has -1 and 0; targets of loss 'hinge'"):
        net.fit([(X, y), (X, signs)], loss="hinge")


@pytest.mark.parametrize("batch_size", [None, 64])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_gathered_where_they_are(rows, rng, seen, dtype, batch_size, weighted):
    """Arrays of the network's type need no copy, in mini-batches shuffled or not, or all at once."""
    X, y = (array.astype(dtype) for array in rows)
    weights = (0.5 + rng.random(ROWS)).astype(dtype) if weighted else None
    for shuffle in (False, True):
        one, other = new_net(dtype), new_net(dtype)
        options = {"epochs": 2, "batch_size": batch_size, "shuffle": shuffle, "sample_weight": weights}
        one.fit(X, y, **options)
        other.fit(X, y, memory_limit=8 * ROWS if batch_size else LIMIT, **options)
        assert_same(one, other)
        assert one.evaluate(X, y, sample_weight=weights) == other.evaluate(
            X, y, sample_weight=weights, memory_limit=LIMIT
        )
    assert not seen
    if weighted:  # rows of weight 0 are left out where all are packed
        weights[::3] = 0.0
        one, other = new_net(dtype), new_net(dtype)
        one.fit(X, y, epochs=2, sample_weight=weights)
        other.fit(X, y, epochs=2, sample_weight=weights, memory_limit=LIMIT)
        assert_same(one, other)
        assert seen
