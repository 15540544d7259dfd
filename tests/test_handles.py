"""Networks in users' compiled code: the same bits, from any number of threads, and what is refused."""

from __future__ import annotations

import copy
import json
import pickle
import threading

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError
from numpy.testing import assert_array_equal

import fastnn
from fastnn.kernels import one_row
from tests.problems import EPSILON, JIT, problem


@numba.njit
def predict_each(handle, X, out):
    for i in range(len(X)):
        fastnn.predict_one(handle, X[i], out[i])


@numba.njit
def derive_each(handle, X, out):
    for i in range(len(X)):
        fastnn.gradient_one(handle, X[i], out[i])


@numba.njit
def one(handle, x, out):
    fastnn.predict_one(handle, x, out)


@numba.njit
def derivatives(handle, x, jacobian):
    fastnn.gradient_one(handle, x, jacobian)


def bent(z):
    return z / (1.0 + abs(z))


NETWORKS = {
    "smallest": lambda of: [of.Dense(1)],
    "softmax": lambda of: [of.Dense(4, "relu"), of.Dense(3, "softmax")],
    "normalization": lambda of: [of.Dense(9, "silu"), of.LayerNormalization(), of.Dense(2, "sine")],
    "dropout": lambda of: [of.Dropout(0.5), of.Dense(17, "gelu"), of.Dropout(0.2), of.Dense(1, "sigmoid")],
    "own": lambda of: [of.Dense(5, fastnn.own_activation(bent)), of.Dense(2)],
}


@pytest.fixture(params=NETWORKS)
def net(request, rng, dtype):
    net = fastnn.Sequential(NETWORKS[request.param](fastnn), inputs=3, dtype=dtype)
    net.parameters = rng.normal(size=len(net.parameters))
    return net


def test_bits_are_those_of_predict(rng, net):
    X = rng.normal(size=(23, 3)).astype(net.dtype)
    expected = net.predict(X)
    compiled, plain = np.full_like(expected, np.nan), np.full_like(expected, np.nan)
    predict_each(net.handle, X, compiled)
    for x, out in zip(X, plain, strict=True):
        fastnn.predict_one(net.handle, x, out)
    assert_array_equal(compiled, expected)
    assert_array_equal(plain, expected)


def test_plain_and_compiled_derivatives_are_the_same(rng, net):
    X = rng.normal(size=(5, 3)).astype(net.dtype)
    compiled = np.full((5, net.outputs, 3), np.nan, net.dtype)
    plain = compiled.copy()
    derive_each(net.handle, X, compiled)
    for x, jacobian in zip(X, plain, strict=True):
        fastnn.gradient_one(net.handle, x, jacobian)
    assert_array_equal(compiled, plain)
    assert np.isfinite(compiled).all()


@pytest.mark.compiled
def test_a_big_network_takes_its_memory_from_the_heap(rng, dtype):
    p = problem(rng, (3, 400, 300, 2), 1, dtype=dtype)
    net, x, out, jacobian = p.net, p.X[0], np.empty(2, dtype), np.empty((2, 3), dtype)
    assert net.handle.table[one_row.SCRATCH] > one_row.MOST_ON_STACK
    one(net.handle, x, out)
    assert_array_equal(out, net.predict(p.X)[0])
    derivatives(net.handle, x, jacobian)
    expected = net.jacobian(p.X)[0]
    # Sums of 300 and 400 products, in another order.
    np.testing.assert_allclose(jacobian, expected, atol=400 * EPSILON[dtype] * np.abs(expected).max(), rtol=0)


def test_handle_follows_the_network(rng):
    p = problem(rng, (3, 6, 2))
    net, out = p.net, np.empty(2)
    handle = net.handle
    assert np.shares_memory(handle.parameters, net.parameters)
    net.fit(p.X, p.y, epochs=3)
    one(handle, p.X[0], out)
    assert_array_equal(out, net.predict(p.X)[0])
    net.layers[1].bias += 1.0
    before = out.copy()
    one(handle, p.X[0], out)
    assert (out > before).all()


def test_handle_outlives_its_network(rng):
    p = problem(rng, (3, 6, 2))
    expected, handle, out = p.net.predict(p.X), p.net.handle, np.empty((len(p.X), 2))
    [np.empty(1000) for _ in range(100)]  # memory that is used again, if it can be
    predict_each(handle, p.X, out)
    assert_array_equal(out, expected)


def test_out_may_be_x(rng):
    p = problem(rng, (3, 6, 3))
    x = p.X[0].copy()
    one(p.net.handle, x, x)
    assert_array_equal(x, p.net.predict(p.X)[0])


def test_read_only_x_and_numbers_that_are_not_finite(rng):
    p = problem(rng, (3, 6, 2))
    x, out, jacobian = p.X[0].copy(), np.empty(2), np.empty((2, 3))
    x.flags.writeable = False
    for predict, derive in ((one, derivatives), (fastnn.predict_one, fastnn.gradient_one)):
        predict(p.net.handle, x, out)
        assert_array_equal(out, p.net.predict(p.X)[0])
        derive(p.net.handle, x, jacobian)
        predict(p.net.handle, np.full(3, np.nan), out)
        assert np.isnan(out).all()


# Many threads ----------------------------------------------------------------------------------------


@pytest.mark.compiled
def test_threads_share_a_handle(rng):
    p = problem(rng, (3, 33, 33, 2), 500)
    net = p.net
    expected, handle = net.predict(p.X), net.handle
    found = [np.zeros_like(expected) for _ in range(8)]
    predict_nogil = numba.njit(nogil=True)(predict_each.py_func)
    predict_nogil(handle, p.X[:1], found[0])

    def work(out):
        for _ in range(20):
            predict_nogil(handle, p.X, out)

    threads = [threading.Thread(target=work, args=(out,)) for out in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for out in found:
        assert_array_equal(out, expected)


PARALLEL = """
import numba, numpy as np, fastnn

@numba.njit(parallel=True)
def predict_each(handle, X, out):
    for i in numba.prange(len(X)):
        fastnn.predict_one(handle, X[i], out[i])

net = fastnn.mlp([3, 33, 2], activation="tanh", output="softmax")
X = np.random.default_rng(1).normal(size=(1000, 3))
out = np.zeros((1000, 2))
predict_each(net.handle, X, out)
assert (out == net.predict(X)).all()
"""


@pytest.mark.slow
@pytest.mark.compiled
def test_prange(run_python):
    run_python(PARALLEL)


CACHED = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, fastnn, simulation
net = fastnn.mlp([2, int(sys.argv[2]), 1], activation="tanh")
pad = [np.empty(1000 * i) for i in range(int(sys.argv[2]))]
out = np.empty(1)
simulation.one(net.handle, np.array([1.0, 2.0]), out)
assert out[0] == net.predict([[1.0, 2.0]])[0, 0]
print(sum(simulation.one.stats.cache_hits.values()))
"""


@pytest.mark.slow
@pytest.mark.compiled
def test_cached_function_of_another_process_finds_this_one_s_network(run_python, tmp_path):
    source = "import numba\nfrom fastnn import predict_one\n@numba.njit(cache=True)\ndef one(handle, x, out):\n"
    (tmp_path / "simulation.py").write_text(source + "    predict_one(handle, x, out)\n")
    hits = [int(run_python(CACHED, tmp_path, units, NUMBA_CACHE_DIR=str(tmp_path)).stdout) for units in (4, 9)]
    assert hits == [0, 1]


@pytest.mark.compiled
def test_nothing_is_compiled_for_a_second_network(rng):
    one_ = problem(rng, (3, 6, 2))
    other = problem(rng, (5, 2, 7, 1))
    one(one_.net.handle, one_.X[0], np.empty(2))
    count = len(one.signatures)
    one(other.net.handle, other.X[0], np.empty(1))
    assert len(one.signatures) == count


ALLOCATIONS = """
import json, numba, numpy as np, fastnn
from numba.core.runtime import rtsys

@numba.njit
def many(handle, x, out, jacobian, n):
    for _ in range(n):
        fastnn.predict_one(handle, x, out)
        fastnn.gradient_one(handle, x, jacobian)

net = fastnn.mlp([2, 16, 16, 3], activation="tanh", output="softmax")
x, out, jacobian = np.ones(2), np.empty(3), np.empty((3, 2))
handle = net.handle
many(handle, x, out, jacobian, 1)
found = []
for n in 1, 1000:
    before = rtsys.get_allocation_stats()
    many(handle, x, out, jacobian, n)
    after = rtsys.get_allocation_stats()
    found.append([after.alloc - before.alloc, after.mi_alloc - before.mi_alloc])
big = fastnn.mlp([2, 900, 900, 3]).handle  # whose memory does not fit on the stack
many(big, x, out, jacobian, 1)
before = rtsys.get_allocation_stats()
many(big, x, out, jacobian, 3)
after = rtsys.get_allocation_stats()
print(json.dumps([found, after.alloc - before.alloc, after.free - before.free]))
"""


@pytest.mark.slow
@pytest.mark.compiled
def test_a_call_allocates_nothing(run_python):
    found, taken, given_back = json.loads(run_python(ALLOCATIONS, NUMBA_NRT_STATS="1").stdout)
    assert found[0] == found[1]
    assert taken == given_back >= 6  # allocations are counted


# What is refused -------------------------------------------------------------------------------------


def test_copies_are_refused(rng):
    p = problem(rng, (3, 6, 2))
    handle, out = p.net.handle, np.empty(2)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="a handle holds addresses of this process: it can be neither copied"):
            copied(handle)
    forged = handle._replace(table=handle.table.copy())
    for function in (one, fastnn.predict_one):
        with pytest.raises(ValueError, match="the handle is not the one that the network gave"):
            function(forged, p.X[0], out)
    for function in (derivatives, fastnn.gradient_one):
        with pytest.raises(ValueError, match="the handle is not the one that the network gave"):
            function(forged, p.X[0], np.empty((2, 3)))


@pytest.mark.compiled
def test_global_handle_is_refused(rng):
    p = problem(rng, (3, 6, 2))
    handle = p.net.handle

    @numba.njit
    def frozen(x, out):
        fastnn.predict_one(handle, x, out)

    with pytest.raises(
        ValueError, match=r"or a global of a compiled function.* Hand net\.handle over as an argument"
    ):
        frozen(p.X[0], np.empty(2))


def test_wrong_lengths_are_refused(rng):
    p = problem(rng, (3, 6, 2))
    handle, x, out, jacobian = p.net.handle, p.X[0], np.empty(2), np.empty((2, 3))
    for length in (0, 2, 4):
        with pytest.raises(ValueError, match=r"x has shape \(\d,\); \(3,\) is needed|x does not have the length"):
            one(handle, np.ones(length), out)
        with pytest.raises(ValueError, match=r"x has shape \(\d,\); \(3,\) is needed|x does not have the length"):
            derivatives(handle, np.ones(length), jacobian)
        with pytest.raises(ValueError, match=rf"x has shape \({length},\); \(3,\) is needed"):
            fastnn.predict_one(handle, np.ones(length), out)
    for length in (0, 1, 3):
        with pytest.raises(ValueError, match=r"out has shape|out does not have the length"):
            one(handle, x, np.empty(length))
        with pytest.raises(ValueError, match=rf"out has shape \({length},\); \(2,\) is needed"):
            fastnn.predict_one(handle, x, np.empty(length))
    for shape in ((3, 2), (2, 2), (1, 3), (6, 1)):
        with pytest.raises(ValueError, match=r"jacobian has shape|jacobian does not have the shape"):
            derivatives(handle, x, np.empty(shape))
        with pytest.raises(ValueError, match=r"jacobian has shape"):
            fastnn.gradient_one(handle, x, np.empty(shape))


def read_only(numbers):
    numbers.flags.writeable = False
    return numbers


@pytest.mark.parametrize(
    ("x", "out", "said"),
    [
        (np.ones(3, "float32"), np.ones(2), "x is"),
        (np.ones(3, int), np.ones(2), "x is"),
        (np.ones((1, 3)), np.ones(2), "x is"),
        ((1.0, 2.0, 3.0), np.ones(2), "x is"),
        (None, np.ones(2), "x is"),
        (np.ones(6)[::2], np.ones(2), "x is"),
        (np.ones(3), np.ones(2, "float32"), "out is"),
        (np.ones(3), np.ones((2, 1)), "out is"),
        (np.ones(3), 1.0, "out is"),
        (np.ones(3), np.ones(4)[::2], "out is"),
        (np.ones(3), read_only(np.ones(2)), "out (is|cannot)"),
    ],
)
def test_other_kinds_of_arguments_are_refused(rng, x, out, said):
    handle = problem(rng, (3, 6, 2)).net.handle
    with pytest.raises(TypeError, match=f"^{said}"):
        fastnn.predict_one(handle, x, out)
    if JIT:
        with pytest.raises(TypingError, match=rf"TypingError: {said}.*; .* is needed"):
            one(handle, x, out)


def test_what_is_no_handle_is_refused(rng):
    p = problem(rng, (3, 6, 2))
    for handle in (p.net, tuple(p.net.handle), None):
        with pytest.raises(TypeError, match=r"(?s)handle is .*; the handle of a network is needed, net\.handle"):
            fastnn.predict_one(handle, p.X[0], np.empty(2))
        with pytest.raises(TypeError, match=r"(?s)handle is .*; the handle of a network is needed, net\.handle"):
            fastnn.gradient_one(handle, p.X[0], np.empty((2, 3)))
    if JIT:
        with pytest.raises(TypingError, match=r"handle is Tuple.*; the handle of a network, net\.handle, as"):
            one(tuple(p.net.handle), p.X[0], np.empty(2))


@pytest.mark.compiled
def test_a_network_in_place_of_its_handle():
    net = fastnn.mlp([2, 3, 1])
    with pytest.raises(TypeError, match=r"a network cannot be an argument of compiled code; net\.handle can"):
        numba.njit(lambda found: found)(net)


def test_a_handle_is_shown_in_a_line():
    assert repr(fastnn.mlp([3, 4, 2]).handle) == "<Handle: 3 inputs, 2 outputs, 26 parameters, float64>"
