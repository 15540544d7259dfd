"""The operations on lanes: what they compile to against what they mean in NumPy.

Each operation is a plain Python function with a NumPy meaning; here both run on the same numbers.
"""

from __future__ import annotations

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastnn.arrays import aligned, aligned_zeros
from fastnn.kernels import simd
from fastnn.kernels.jit import FLAGS, inlined, kernel
from fastnn.kernels.rows import FEW_COLUMNS, lay_out
from fastnn.kernels.simd import (
    FOUR,
    LANES,
    ONE,
    TWO,
    VECTOR_BYTES,
    fill,
    load,
    offset,
    pointer,
    select,
    store,
    width,
)
from tests.marks import core
from tests.problems import EPSILON

pytestmark = pytest.mark.compiled  # without machine code there is nothing to compare


def run_compiled(program, *arrays):
    """Run a program, which takes pointers, on arrays; it is compiled as kernels are."""
    names = [f"a{i}" for i in range(len(arrays))]
    places = ", ".join(f"pointer({name})" for name in names)
    scope = {"program": kernel(program), "pointer": pointer}
    # A function of just as many arguments, as compiled code has no *arguments of several dtypes.
    exec(f"def entry({', '.join(names)}):\n    program({places})", scope)
    numba.njit(**FLAGS)(scope["entry"])(*arrays)


# Lane by lane ----------------------------------------------------------------------------------------

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.25, 1e30, -1e-30, np.inf, -np.inf, np.nan, 3.0]

OPERATIONS = {
    "negative": lambda a, b: -a,
    "absolute": lambda a, b: simd.absolute(a),
    "fill": lambda a, b: fill(a, 2.5),
    "plus a number": lambda a, b: a + 1.5,
    "number minus": lambda a, b: 2.0 - a,
    "times a whole number": lambda a, b: 3 * a,
    "over a number": lambda a, b: a / 7.0,
    "magic": lambda a, b: simd.magic(a),
    "is_double": lambda a, b: a if simd.is_double(a) else b,
    "looks_up": lambda a, b: a if simd.looks_up(a) else b,
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "maximum": lambda a, b: simd.maximum(a, b),
    "minimum": lambda a, b: simd.minimum(a, b),
    "maximum of a number": lambda a, b: simd.maximum(0.25, b),
    "minimum of a number": lambda a, b: simd.minimum(a, 0.25),
    "square_root": lambda a, b: simd.square_root(a),
    "copy_sign": lambda a, b: simd.copy_sign(a, b),
    "greater": lambda a, b: select(a > b, 1.0, b),
    "greater or equal": lambda a, b: select(a >= b, a, -1.0),
    "less": lambda a, b: select(a < b, a, b),
    "less or equal": lambda a, b: select(a <= b, b, a),
    "equal": lambda a, b: select(a == b, fill(a, 1.0), 0.0),
    "compared with a number": lambda a, b: select(a > 0.5, a, b),
}


def lane_by_lane(operations, a, b):
    """Operations on two arrays, vector by vector: of each (name, compiled, meant).

    They are compiled as one program: most of the time goes into a program's entry, not into an operation.
    """
    count, lanes = len(a), LANES[a.dtype]
    scope = {"store": store, "offset": offset, "load": load, "width": width}
    source = f"def program(p, q, out):\n    for i in range(0, {count}, width(p)):\n"
    for k, operation in enumerate(operations.values()):
        scope[f"of_lanes_{k}"] = inlined(operation)
        source += f"        store(offset(out, {k * count}), i, of_lanes_{k}(load(p, i), load(q, i)))\n"
    exec(source, scope)
    compiled = np.full(len(operations) * count, 77, a.dtype)
    run_compiled(scope["program"], a, b, compiled)
    for (name, operation), found in zip(operations.items(), np.split(compiled, len(operations)), strict=True):
        with np.errstate(all="ignore"):
            parts = [operation(a[i : i + lanes], b[i : i + lanes]) for i in range(0, count, lanes)]
        meant = np.concatenate(parts)
        assert meant.dtype == a.dtype, name
        yield name, found, meant


@pytest.fixture
def pairs(rng, dtype):
    """Two arrays of whole vectors of any machine: special numbers against one another, and random ones."""
    special = np.array([(a, b) for a in SPECIAL for b in SPECIAL]).T
    return [np.concatenate([row, rng.normal(size=64 - len(row) % 64)]).astype(dtype) for row in special]


def test_operations(pairs):
    for name, compiled, meant in lane_by_lane(OPERATIONS, *pairs):
        assert_array_equal(compiled, meant, name)
        known = ~np.isnan(meant)  # the sign of NaN means nothing
        assert_array_equal(np.signbit(compiled)[known], np.signbit(meant)[known], name)


ROUNDED_ONCE = {
    "fma": lambda a, b: simd.fma(a, b, 1.0),
    "polynomial": lambda a, b: simd.polynomial(a, (0.5, -1.0, 2.0, 0.25)),
}


def test_fused_operations(rng, dtype):
    # Small whole numbers: their products are exact, so that one rounding is as good as two.
    whole = rng.integers(-50, 50, size=(2, 64))
    a, b = np.concatenate([whole, rng.uniform(1, 2, size=(2, 640))], axis=1).astype(dtype)
    for name, compiled, meant in lane_by_lane(ROUNDED_ONCE, a, b):
        assert_array_equal(compiled[:64], meant[:64], name)
        # Of three roundings, each of half an ulp, those of the terms count up to 8 times in the smaller result.
        assert_allclose(compiled[64:], meant[64:], rtol=16 * EPSILON[dtype], err_msg=name)


BITS = {
    "exponent": lambda a, b: simd.exponent(a),
    "significand": lambda a, b: simd.significand(a),
    "power_of_two": lambda a, b: simd.power_of_two(simd.magic(b) + b),
}


def test_bits_of_normal_numbers(rng, dtype):
    info = np.finfo(dtype)
    with np.errstate(over="ignore"):
        a = np.exp(rng.uniform(np.log(float(info.tiny)), np.log(float(info.max)), 64)).astype(dtype)
    a[:4] = info.tiny, info.max, 1.0, np.nextafter(info.dtype.type(2), info.dtype.type(0))
    b = rng.integers(info.minexp, info.maxexp, size=64).astype(dtype)
    b[:2] = info.minexp, info.maxexp - 1
    for name, compiled, meant in lane_by_lane(BITS, a, b):
        assert_array_equal(compiled, meant, name)
        if name == "power_of_two":
            assert_array_equal(meant, np.ldexp(np.ones(64, dtype), b.astype(int)))


@pytest.mark.skipif(VECTOR_BYTES < 64, reason="needs AVX-512")
def test_sixteenth_power(dtype):
    table = tuple(1.0 + j**2 / 256 for j in range(16))
    programs = {"sixteenth_power": lambda a, b: simd.sixteenth_power(simd.magic(a) + a, table)}
    info = np.finfo(dtype)
    n = np.concatenate([np.arange(-40, 40), np.linspace(16 * info.minexp, 16 * info.maxexp - 1, 128).round()])
    for _, compiled, meant in lane_by_lane(programs, n.astype(dtype), n.astype(dtype)):
        assert_array_equal(compiled, meant)
        assert_array_equal(meant, np.ldexp(1.0 + (n % 16) ** 2 / 256, (n // 16).astype(int)))


def test_total(rng, dtype):
    lanes = LANES[np.dtype(dtype)]

    def program(p, out):
        out[0] = simd.total(load(p, 0))

    a, compiled, meant = rng.normal(size=lanes).astype(dtype), np.zeros(1, dtype), np.zeros(1, dtype)
    run_compiled(program, a, compiled)
    program(a, meant)
    assert_array_equal(compiled, meant)  # the same tree of sums
    assert compiled[0] == pytest.approx(float(a.sum()), rel=1e-5)


def test_all_zero(dtype):
    lanes = LANES[np.dtype(dtype)]

    def program(p, out):
        out[0] = 1.0 if simd.all_zero(load(p, 0)) else 0.0

    for number in (0.0, -0.0, 1e-45, -1.0, np.inf, np.nan):
        for lane in (0, lanes - 1):
            a, compiled, meant = np.zeros(lanes, dtype), np.zeros(1, dtype), np.zeros(1, dtype)
            a[lane] = number
            run_compiled(program, a, compiled)
            program(a, meant)
            assert compiled[0] == meant[0] == (a[lane] == 0.0), (number, lane)


# Memory and blocks -----------------------------------------------------------------------------------

CELLS = 4096  # more than any program below looks at


def same_both_ways(program, rng, dtype):
    """Run a program of (p, q, out) compiled and in Python; both must write the same to out, and nothing else."""
    # Whole numbers, so that no sum or product is rounded and the order of fma does not matter.
    p, q = rng.integers(-9, 9, size=(2, CELLS)).astype(dtype)
    before = p.copy(), q.copy()
    compiled = rng.integers(-9, 9, size=CELLS).astype(dtype)
    start, meant = compiled.copy(), compiled.copy()
    run_compiled(program, p, q, compiled)
    program(p, q, meant)
    assert_array_equal(compiled, meant)
    assert_array_equal([p, q], before)
    return compiled, start


def test_memory(rng, dtype):
    def program(p, q, out):
        store(offset(out, 3), 5, load(offset(p, 7), 2) + load(q, 1))  # places that are not aligned
        out[0] = p[4] * 2
        offset(out, 1)[1] = offset(p, 9)[2]
        out[1] = width(p)
        simd.prefetch(p, 64)

    compiled, start = same_both_ways(program, rng, dtype)
    lanes = LANES[np.dtype(dtype)]
    assert compiled[1] == lanes
    assert_array_equal(compiled[3:8], start[3:8])
    assert_array_equal(compiled[8 + lanes :], start[8 + lanes :])


# Rows and columns of a block; in the core each number of either.
SIZES = core(
    [(rows, columns) for rows in (ONE, TWO, FOUR) for columns in (ONE, TWO, FOUR)],
    (ONE, ONE),
    (TWO, FOUR),
    (FOUR, TWO),
)
each_size = pytest.mark.parametrize(("rows", "columns"), SIZES, ids=lambda size: str(len(size)))
SECOND = 1024  # where the programs below write their second results


@each_size
def test_blocks_of_outputs(rng, dtype, rows, columns):
    """As the forward pass has them: numbers times consecutive vectors."""

    def program(p, q, out):
        for second in range(2):
            stride, place = 64 + 16 * second, offset(out, SECOND * second)
            block = simd.spread_rows(p, 3, rows, columns)
            for k in range(5):
                block = simd.add_outer_spread(
                    block, offset(p, 100 + k), 7, rows, simd.load_columns(q, k * stride, columns)
                )
            block = simd.times_stored(block, place, stride, rows)
            simd.store_block(place, stride, block, rows)

    compiled, start = same_both_ways(program, rng, dtype)
    for part in (slice(SECOND), slice(SECOND, 2 * SECOND)):
        assert (compiled[part] != start[part]).any()
    untouched = np.ones(CELLS, bool)
    for first, stride in ((0, 64), (SECOND, 80)):
        for at in range(first, first + len(rows) * stride, stride):
            untouched[at : at + len(columns) * LANES[np.dtype(dtype)]] = False
    assert_array_equal(compiled[untouched], start[untouched])


@each_size
def test_blocks_of_gradients(rng, dtype, rows, columns):
    """As the weight gradient has them: products of rows, summed over the lanes; put there, and added."""

    def program(p, q, out):
        block, sums = simd.zeros(p, rows, columns), simd.zeros(p, ONE, columns)
        for t in range(0, 4 * width(p), width(p)):
            of_columns = simd.load_rows(q, t, 96, columns)
            block = simd.add_outer(block, simd.load_rows(p, t, 80, rows), of_columns)
            sums = simd.add_rows(sums, of_columns)
        for add in range(2):
            place = offset(out, SECOND * add)
            simd.put_totals(place, 11, block, rows, add == 1)
            simd.put_totals(offset(place, 100), 11, sums, ONE, add == 1)

    compiled, start = same_both_ways(program, rng, dtype)
    changed = {*range(100, 100 + len(columns))}
    changed |= {11 * r + c for r in range(len(rows)) for c in range(len(columns))}
    assert set(np.flatnonzero(compiled != start)) <= changed | {SECOND + cell for cell in changed}


def test_transpose(rng, dtype):
    lanes = LANES[np.dtype(dtype)]
    stride = lanes + 3
    source, places = rng.normal(size=600).astype(dtype), rng.integers((600 - lanes) // 3, size=lanes)
    targets = np.full((2, lanes * stride), 7, dtype)

    def program(source, places, targets):
        simd.transpose(pointer(source), pointer(places), 3, pointer(targets[0]), stride)
        simd.transpose_rows(pointer(source), 5, pointer(targets[1]), stride)

    numba.njit(**FLAGS)(program)(source, places, targets)
    for target, starts in zip(targets, (3 * places, 5 * np.arange(lanes)), strict=True):
        rows = target.reshape(lanes, stride)
        assert_array_equal(rows[:, :lanes], np.stack([source[at : at + lanes] for at in starts], axis=1))
        assert (rows[:, lanes:] == 7).all()


@pytest.mark.parametrize("run", [0, 3, 50, 75, 77])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 17])
def test_rows_one_after_the_other_are_laid_out_like_any(rng, dtype, count, run):
    lanes, rows, first = LANES[np.dtype(dtype)], 77, 11
    samples = -(-rows // lanes) * lanes
    stride = samples + lanes + 1
    source, places = rng.normal(size=(200, count)).astype(dtype), rng.integers(200, size=samples)
    places[:run] = first + np.arange(run)
    target = np.full(count * stride, 7, dtype)
    wanted = source[places].T
    if count in FEW_COLUMNS and count < lanes:
        places[1 : run // lanes * lanes] = -1  # nobody asks

    def program(source, places, target):
        lay_out(pointer(source), pointer(places), run, count, pointer(target), stride, samples)

    numba.njit(**FLAGS)(program)(source.ravel(), places, target)
    laid_out = target.reshape(count, stride)
    assert_array_equal(laid_out[:, :samples], wanted)
    assert (laid_out[:, samples:] == 7).all()


def test_unzip(rng, dtype):
    def program(p, q, out):
        simd.store_block(out, 64, simd.unzip(simd.load_columns(p, 3, TWO)), TWO)

    same_both_ways(program, rng, dtype)


def test_zeros_and_rows(rng, dtype):
    def program(p, q, out):
        simd.store_block(out, 64, simd.zeros(p, TWO, ONE), TWO)
        simd.store_block(offset(out, 256), 64, simd.load_rows(p, 5, 70, FOUR), FOUR)
        simd.store_block(offset(out, 512), 64, simd.load_columns(q, 3, TWO), ONE)

    same_both_ways(program, rng, dtype)


def test_python_meaning_refuses_to_leave_the_array(dtype):
    a = np.zeros(3, dtype)
    with pytest.raises(AssertionError, match="past the end"):
        load(a, 1)
    with pytest.raises(AssertionError, match="past the end"):
        store(a, 2, np.zeros(LANES[a.dtype], dtype))


def test_lanes_fill_a_register():
    for dtype, lanes in LANES.items():
        assert lanes * dtype.itemsize == simd.VECTOR_BYTES
        assert lanes in (2, 4, 8, 16)


@pytest.mark.parametrize("make", [aligned, aligned_zeros])
def test_memory_for_whole_registers(make, dtype):
    for count in (1, 7, 100, 5000):
        memory = make(count, np.dtype(dtype))
        assert (memory.size, memory.dtype, memory.ctypes.data % VECTOR_BYTES) == (count, dtype, 0)
