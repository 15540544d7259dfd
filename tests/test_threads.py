"""Many fits at once: in threads, in forked and in spawned processes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from tests.problems import JIT

EPOCHS = 300 if JIT else 3


def train(seed, data=None, **options):
    """A fit of its own, and its numbers."""
    X, y = fastnn.datasets.circle(10)
    net = fastnn.mlp([2, 5, 1], output="sigmoid", seed=seed, dtype=("float64", "float32")[seed % 2])
    given = (X, y) if data is None else (data,)
    history = net.fit(*given, epochs=EPOCHS, optimizer=fastnn.SGD(2.0), **options)
    return history.loss, net.parameters.copy(), net.predict(X)


@pytest.mark.parametrize("batch_size", [None, 16])
def test_eight_threads(batch_size):
    alone = [train(seed, batch_size=batch_size) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: train(seed, batch_size=batch_size), range(8)))
    for one, other in zip(alone, together, strict=True):
        for a, b in zip(one, other, strict=True):
            assert_array_equal(a, b)


def test_threads_share_a_dataset():
    alone = [train(seed) for seed in range(8)]
    data = fastnn.Dataset(*fastnn.datasets.circle(10))
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: train(seed, data), range(8)))
    for one, other in zip(alone, together, strict=True):
        assert_array_equal(one[1], other[1])


FIRST_USE = """
import threading, numpy as np, fastnn
from fastnn import compiled
X, y = fastnn.datasets.circle(10)
found, start = [], threading.Barrier(8)
def train():
    net = fastnn.mlp([2, 4, 1])
    start.wait()
    net.fit(X, y, epochs=20)
    found.append(net.parameters)
threads = [threading.Thread(target=train) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(found) == 8
assert all((each == found[0]).all() for each in found)
assert compiled.train.specialisations == 1
"""


@pytest.mark.compiled
def test_first_use_in_eight_threads_at_once(run_python):
    run_python(FIRST_USE)


FORK = """
import fastnn
from tests.forks import in_child
X, y = fastnn.datasets.circle(10)

def train():
    net = fastnn.mlp([2, 4, 1], output="sigmoid")
    net.fit(X, y, epochs=50, optimizer=fastnn.SGD(2.0))
    return net.parameters.tobytes() + net.predict(X).tobytes()

expected = train()
in_child(lambda: train() == expected)
assert train() == expected
"""


@pytest.mark.slow  # as within a team, whose test is in the core
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fit_in_a_forked_child_after_a_fit(run_python):
    run_python(FORK)


FORK_WHILE_COMPILING = """
import sys, threading, time
import numpy as np, fastnn
from numba.core import event
from tests.forks import in_child

X, y = fastnn.datasets.circle(10)
found = []

def train():
    net = fastnn.mlp([2, 4, 1], output="sigmoid")
    net.fit(X, y, epochs=5, optimizer=fastnn.SGD(2.0))
    found.append(net.parameters.tobytes())
    return found[-1]

class Started(event.Listener):
    def on_start(self, event):
        inside.set()
    def on_end(self, event):
        pass

inside = threading.Event()
thread = threading.Thread(target=train)
with event.install_listener("numba:compile", Started()):
    thread.start()
    inside.wait()
    in_child(lambda: len(train()) == 17 * 8)
thread.join()
assert train() == found[0]
"""


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_while_the_first_fit_compiles(run_python, tmp_path):
    run_python(FORK_WHILE_COMPILING, NUMBA_CACHE_DIR=str(tmp_path))


FORK_WHILE_TRAINING = """
import threading, fastnn
from tests.forks import in_child
X, y = fastnn.datasets.circle(10)
net = fastnn.mlp([2, 4, 1])
inside, end = threading.Event(), threading.Event()
fit = threading.Thread(target=net.fit, args=(X, y), kwargs={"callbacks": [lambda _: (inside.set(), end.wait())]})
fit.start()
inside.wait()
in_child(lambda: net.fit(X, y, epochs=2).epochs == 2)
end.set()
fit.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_may_train_what_a_thread_of_its_parent_trains(run_python):
    run_python(FORK_WHILE_TRAINING)


SPAWN = """
import multiprocessing, sys
import numpy as np, fastnn

def train(seed):
    X, y = fastnn.datasets.circle(10)
    net = fastnn.mlp([2, 4, 1], output="sigmoid", seed=seed)
    net.fit(X, y, epochs=20, optimizer=fastnn.SGD(2.0))
    return net.parameters.tobytes()

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(train, [0, 1])
    assert found == [train(0), train(1)]
    assert found[0] != found[1]
"""


@pytest.mark.slow  # three imports of numba
def test_spawned_processes(run_python, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SPAWN)
    run_python(script)


def test_python_goes_on_while_a_fit_runs():
    """The GIL is released: another thread counts while the loop runs."""
    if not JIT:
        pytest.skip("plain Python holds the GIL")
    X, y = fastnn.datasets.circle(300)
    net = fastnn.mlp([2, 32, 32, 1])
    net.fit(X[:9], y[:9])
    done, counted = [], 0
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(lambda: done.append(net.fit(X, y, epochs=8).run_seconds))
        while not future.done():
            counted += 1
            np.sqrt(2.0)
    # With the GIL held, this thread would only get a turn after each chunk, of 50 ms: a few dozen a second.
    least_each_second = 2000
    assert counted > least_each_second * done[0]


def test_two_fits_in_two_threads_overlap():
    """Two fits that share no data do not corrupt one another's scratch memory."""
    X = np.random.default_rng(0).normal(size=(2000 if JIT else 50, 3))

    def losses(seed):
        return fastnn.mlp([3, 20, 2], seed=seed).fit(X, X[:, :2], epochs=EPOCHS // 3, batch_size=64).loss

    alone = [losses(0), losses(1)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            for one, other in zip(alone, pool.map(losses, [0, 1]), strict=True):
                assert_array_equal(one, other)
