"""What people hand in: what simply works, and what is refused in a sentence before anything changes."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import Dense

NAN, INF = float("nan"), float("inf")
ROWS = 6


@pytest.fixture
def net():
    """A network with 2 inputs and 1 sigmoid output."""
    return fastnn.mlp([2, 3, 1], output="sigmoid")


@pytest.fixture(name="X")
def inputs(rng):
    return rng.normal(size=(ROWS, 2))


@pytest.fixture(name="y")
def targets(rng):
    return rng.integers(2, size=ROWS) * 1.0


class Table:
    """Like a table of pandas: no sequence, but it knows how to become an array."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


class Sparse:
    """Like a matrix of scipy.sparse."""

    nnz, shape = 0, (ROWS, 2)

    def toarray(self):
        raise AssertionError("is not to be called: the matrix may be huge")


# What simply works -----------------------------------------------------------------------------------


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    wide = np.full((2 * array.shape[0], *(3 * n for n in array.shape[1:])), NAN)
    view = wide[tuple(slice(None, None, 2 if axis == 0 else 3) for axis in range(array.ndim))]
    view[...] = array
    return view


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


SAME = {
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(map(tuple, a.tolist())) if a.ndim == 2 else tuple(a.tolist()),
    "list of arrays": list,
    "fractions": lambda a: [[Fraction(v) for v in np.ravel(row)] for row in a],
    "objects": lambda a: a.astype(object),
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "negative strides": lambda a: a[::-1].copy()[::-1],
    "read-only": read_only,
    "unaligned": unaligned,
    "big-endian": lambda a: a.astype(">f8"),
    "long double": lambda a: a.astype(np.longdouble),
    "table": Table,
    "masked array without masks": np.ma.MaskedArray,
    "matrix": lambda a: a.view(type("Subclass", (np.ndarray,), {})),
    "column": lambda a: a.reshape(len(a), -1),
}


@pytest.mark.parametrize("given", SAME.values(), ids=SAME)
@pytest.mark.parametrize("batch_size", [None, 4])
def test_same_numbers_in_any_form_give_the_same_bits(X, y, given, batch_size, dtype):
    net, twin = (fastnn.mlp([2, 3, 1], output="sigmoid", dtype=dtype) for _ in range(2))
    history = net.fit(X, y, epochs=2, batch_size=batch_size)
    other = twin.fit(given(X), given(y), epochs=2, batch_size=batch_size)
    assert_array_equal(history.loss, other.loss)
    assert_array_equal(twin.parameters, net.parameters)
    assert_array_equal(net.predict(given(X)), net.predict(X))
    assert net.evaluate(given(X), given(y)) == net.evaluate(X, y)
    assert net.evaluate(fastnn.Dataset(given(X), given(y))) == net.evaluate(X, y)


@pytest.mark.parametrize("form", [form for form in SAME if form not in ("fractions", "column")])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_weights_in_any_form(net, X, y, form, batch_size):
    weights = np.array([1.0, 0.0, 2.0, 0.5, 3.0, 1.0])
    expected = net.evaluate(X, y, sample_weight=weights)
    assert net.evaluate(X, y, sample_weight=SAME[form](weights)) == expected
    history = net.fit(X, y, sample_weight=SAME[form](weights), batch_size=batch_size, optimizer=fastnn.SGD(1e-30))
    assert history.loss[0] == pytest.approx(expected, rel=1e-14)  # batches are summed in another order


@pytest.mark.parametrize("kind", ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", ">i4", ">f2"])
def test_all_kinds_of_numbers(net, rng, kind, dtype):
    X = rng.integers(2, size=(ROWS, 2))
    y = rng.integers(2, size=ROWS)
    net = fastnn.mlp([2, 3, 1], output="sigmoid", dtype=dtype)
    expected = net.evaluate(X * 1.0, y * 1.0, sample_weight=y + 1.0)
    weights = (y + 1).astype(kind) if kind != "bool" else y + 1
    assert net.evaluate(X.astype(kind), y.astype(kind), sample_weight=weights) == expected
    net.fit(X.astype(kind), y.astype(kind))


def test_memory_map(net, X, y, tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert net.evaluate(mapped, y) == net.evaluate(X, y)
    net.fit(mapped, y, batch_size=2)


def test_given_arrays_are_never_written_to(net, X, y):
    weights = np.arange(ROWS) * 1.0
    before = X.copy(), y.copy(), weights.copy()
    net.fit(X, y, epochs=3, sample_weight=weights, batch_size=2)
    net.fit(X, y, epochs=3, sample_weight=weights)
    net.forward(X)
    net.backward(y)
    for array, copy in zip((X, y, weights), before, strict=True):
        assert_array_equal(array, copy)


def test_numpy_scalars_are_numbers(net, X, y):
    net.fit(
        X, y, epochs=np.int32(2), batch_size=np.array(3), optimizer=fastnn.SGD(np.float32(0.5)), seed=np.uint8(3)
    )
    assert fastnn.mlp(np.array([2, 3, 1])).parameters.shape == (13,)
    assert fastnn.Sequential((Dense(np.int64(2)) for _ in range(2)), inputs=np.int16(3)).outputs == 2


@pytest.mark.parametrize("form", ["labels", "floats", "column", "one-hot", "shares"])
def test_forms_of_class_targets(rng, form):
    net = fastnn.mlp([2, 3], output="softmax")
    X, labels = rng.normal(size=(5, 2)), np.array([0, 2, 1, 2, 0])
    forms = {
        "labels": labels.tolist(),
        "floats": labels * 1.0,
        "column": labels[:, np.newaxis],
        "one-hot": np.eye(3, dtype=bool)[labels],
        "shares": np.eye(3)[labels].tolist(),
    }
    expected = net.evaluate(X, labels, loss="cross_entropy")
    assert net.evaluate(X, forms[form], loss="cross_entropy") == expected


# What is refused -------------------------------------------------------------------------------------


def refuses(error, match, function, *arguments, **options):
    """The error has a message of one or two sentences with the words of ``match`` in that order."""
    with pytest.raises(error, match=match) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message.strip()
    assert len(message) < 400
    assert len(re.findall(r"[.;:] ", message)) <= 4


def spoilt(array, value, at=(3, 1)):
    array = np.array(array)
    array[at] = value
    return array


GOOD_X, GOOD_Y = np.arange(2.0 * ROWS).reshape(ROWS, 2), np.array([0.0, 1.0] * (ROWS // 2))

BAD_X = {
    "NaN": (spoilt(GOOD_X, NAN), ValueError, r"X\[3, 1\] is nan; finite"),
    "infinity": (spoilt(GOOD_X, INF), ValueError, r"X\[3, 1\] is inf; finite"),
    "beyond the dtype": (
        spoilt(GOOD_X.astype(np.longdouble), np.longdouble(10) ** 400),
        ValueError,
        r"X\[3, 1\]",
    ),
    "huge whole number": ([[10**309, 1]] * ROWS, ValueError, "X"),
    "no rows": (np.empty((0, 2)), ValueError, "X has no rows"),
    "empty list": ([], ValueError, "X"),
    "no columns": (np.empty((ROWS, 0)), ValueError, r"X has 0 column\(s\); \(rows, 2\)"),
    "3 columns": (np.ones((ROWS, 3)), ValueError, r"X has 3 column\(s\); \(rows, 2\)"),
    "one dimension": (np.ones(2), ValueError, r"X has 1 dimension.*\(rows, 2\).*reshape"),
    "three dimensions": (np.ones((ROWS, 2, 1)), ValueError, r"X has 3 dimension.*\(rows, 2\)"),
    "a number": (3.0, ValueError, "X has 0 dimension"),
    "None": (None, TypeError, "X holds a value of type NoneType; real"),
    "text": ("text", TypeError, "X holds text"),
    "rows of text": ([["a", "b"]] * ROWS, TypeError, "X holds text"),
    "numbers in text": ([["1", "2"]] * ROWS, TypeError, "X holds text"),
    "bytes": (np.array([[b"a", b"b"]] * ROWS), TypeError, "X holds text"),
    "objects": ([[object(), 1]] * ROWS, TypeError, "X holds a value of type object"),
    "dictionaries": ([{}] * ROWS, TypeError, "X holds a value of type dict"),
    "missing value": (
        [[2.0, 1.0], [3.0, None]] * ROWS,
        TypeError,
        r"X holds a value of type NoneType, None at \[1, 1\]; real numbers in equal rows are needed",
    ),
    "a column of text": (
        np.array([[1.0, "red"]] * ROWS, object),
        TypeError,
        r"X holds a value of type str, 'red' at \[0, 1\]; real",
    ),
    "complex": (GOOD_X * 1j, TypeError, "X holds values of type complex128; real numbers"),
    "complex objects": ([[1j, Fraction(1)]] * ROWS, TypeError, "X holds a value of type complex"),
    "dates": (np.full((ROWS, 2), np.datetime64("2020-01-01")), TypeError, "X holds values of type datetime64"),
    "records": (np.zeros((ROWS, 2), [("a", float)]), TypeError, "X holds text or records"),
    "sparse": (Sparse(), TypeError, r"X is a sparse matrix; .*X\.toarray\(\)"),
    "ragged": ([[1, 2]] * (ROWS - 1) + [[1]], ValueError, "X is no array of numbers: its rows"),
    "masked": (np.ma.array(GOOD_X, mask=GOOD_X == 3), ValueError, "X is an array with masked entries"),
    "set": ({1, 2}, TypeError, "X holds a value of type set"),
    "generator": ((row for row in GOOD_X), TypeError, "X holds a value of type generator"),
}


@pytest.mark.parametrize(("bad", "error", "match"), BAD_X.values(), ids=BAD_X)
def test_bad_inputs(net, bad, error, match):
    before = net.parameters.copy()
    for call in (net.predict, net.forward):
        refuses(error, match, call, bad)
    for call in (net.fit, net.evaluate, net.loss_and_gradient):
        refuses(error, match, call, bad, GOOD_Y)
    if not isinstance(bad, np.ndarray) or bad.shape != (ROWS, 3):  # a data set does not know the network
        refuses(
            error,
            match.replace("2", "(2|columns)")
            if "columns" in match
            else match.replace(r"\(rows, 2\)", r"\(rows, "),
            fastnn.Dataset,
            bad,
            GOOD_Y,
        )
    assert_array_equal(net.parameters, before)
    assert net.history is None
    net.fit(GOOD_X, GOOD_Y)


@pytest.mark.parametrize("dtype", ["float32"])
def test_numbers_too_large_for_float32(dtype):
    net = fastnn.mlp([2, 1], dtype=dtype)
    refuses(ValueError, r"X\[3, 1\] is 1e\+39; finite float32", net.predict, spoilt(GOOD_X, 1e39))
    refuses(ValueError, r"y\[.*3.*\] is 1e\+39; finite float32", net.fit, GOOD_X, spoilt(GOOD_Y, 1e39, 3))


BAD_Y = {
    "NaN": (spoilt(GOOD_Y, NAN, 3), ValueError, r"y\[.*3.*\] is nan; finite"),
    "infinity": (spoilt(GOOD_Y, -INF, 3), ValueError, r"y\[.*3.*\] is -inf; finite"),
    "too short": (GOOD_Y[:-1], ValueError, r"y has 5 row\(s\) and X has 6"),
    "too long": ([1.0] * 7, ValueError, r"y has 7 row\(s\) and X has 6"),
    "one row": (GOOD_Y[np.newaxis], ValueError, r"y has shape \(1, 6\); \(rows,\) or \(rows, 1\)"),
    "too wide": (np.ones((ROWS, 2)), ValueError, r"y has shape \(6, 2\); \(rows,\) or \(rows, 1\)"),
    "no columns": (np.ones((ROWS, 0)), ValueError, r"y has shape \(6, 0\)"),
    "three dimensions": (np.ones((ROWS, 1, 1)), ValueError, r"y has shape \(6, 1, 1\)"),
    "a number": (1.0, ValueError, r"y has shape \(\)"),
    "text": (["a"] * ROWS, TypeError, "y holds text"),
    "objects": ([object()] * ROWS, TypeError, "y holds a value of type object"),
    "complex": (GOOD_Y * 1j, TypeError, "y holds values of type complex128"),
    "sparse": (Sparse(), TypeError, "y is a sparse matrix"),
    "missing": (None, TypeError, "y is missing"),
}


@pytest.mark.parametrize(("bad", "error", "match"), BAD_Y.values(), ids=BAD_Y)
def test_bad_targets(net, bad, error, match):
    before = net.parameters.copy()
    for call in (net.fit, net.evaluate, net.loss_and_gradient):
        refuses(error, match, call, GOOD_X, bad)
    assert_array_equal(net.parameters, before)
    net.fit(GOOD_X, GOOD_Y)


def test_targets_of_the_wrong_width():
    net = fastnn.mlp([2, 3])
    refuses(ValueError, r"y has shape \(6,\); \(rows, 3\) is needed for 3 output", net.fit, GOOD_X, GOOD_Y)
    refuses(ValueError, r"y has shape \(6, 1\)", net.fit, GOOD_X, GOOD_Y[:, np.newaxis])
    refuses(ValueError, r"y has shape \(3, 6\)", net.fit, GOOD_X, np.ones((3, ROWS)))


def test_labels_for_one_output():
    net, y = fastnn.mlp([2, 1], output="sigmoid"), [0, 1, 0, 1, 0, 1]
    match = r"y\[1\] is 1; .* from 0 to 0; for one output .* there is binary_cross_entropy"
    refuses(ValueError, match, net.fit, GOOD_X, y, loss="cross_entropy")
    net.fit(GOOD_X, y, loss="binary_cross_entropy")


BAD_LABELS = {
    "out of range": ([0, 1, 2, 3, 0, 0], ValueError, r"y\[3\] is 3; a label is a whole number from 0 to 2"),
    "negative": ([0, 1, -1, 0, 0, 0], ValueError, r"y\[2\] is -1; a label"),
    "not whole": ([0, 1, 0.5, 0, 0, 0], ValueError, r"y\[2\] is 0\.5; a label"),
    "NaN": ([0, 1, NAN, 0, 0, 0], ValueError, r"y\[2\] is nan"),
    "huge": ([0, 1, 10**25, 0, 0, 0], ValueError, r"y\[2\] is .*; a label"),
    "text": (["a", "b", "c", "a", "b", "c"], TypeError, "y holds text"),
    "shares that do not sum to 1": ([[0.5, 0.5, 0.5]] * ROWS, ValueError, r"y\[0\] is .*; shares.* sum to 1"),
    "negative shares": ([[-0.5, 1.0, 0.5]] * ROWS, ValueError, r"y\[0\] is .*; shares.* not negative"),
    "too few columns": ([[0.5, 0.5]] * ROWS, ValueError, r"y has shape \(6, 2\); \(rows, 3\)"),
    "too many rows": ([0] * 7, ValueError, r"y has 7 row\(s\) and X has 6"),
}


@pytest.mark.parametrize(("bad", "error", "match"), BAD_LABELS.values(), ids=BAD_LABELS)
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_bad_class_targets(bad, error, match, output):
    net = fastnn.mlp([2, 3], output=output)
    before = net.parameters.copy()
    refuses(error, match, net.fit, GOOD_X, bad, loss="cross_entropy")
    refuses(error, match, lambda: net.fit(fastnn.Dataset(GOOD_X, bad), loss="cross_entropy"))
    assert_array_equal(net.parameters, before)
    net.fit(GOOD_X, [0, 1, 2, 0, 1, 2], loss="cross_entropy")


@pytest.mark.parametrize("value", [-0.25, 1.5])
def test_binary_cross_entropy_wants_probabilities(net, value):
    bad = spoilt(GOOD_Y, value, 3)
    refuses(ValueError, rf"y\[3\] is {value}; .* from 0 to 1", net.fit, GOOD_X, bad, loss="binary_cross_entropy")


BAD_WEIGHTS = {
    "infinite sum": (np.full(ROWS, 1e308), ValueError, "sample_weight has the sum inf; for float64 it has"),
    "great sum": (np.full(ROWS, 1e300), ValueError, "has the sum .*e.30.; .* from 1e-292 to 4e.292"),
    "small sum": (
        np.full(ROWS, 1e-300),
        ValueError,
        "has the sum 6e-300; .* from 1e-292 to 4e.292",
    ),
    "tiny sum": (np.full(ROWS, 1e-320), ValueError, "sample_weight has the sum 0; for float64"),
    "negative": (spoilt(GOOD_Y, -1, 3), ValueError, r"sample_weight\[3\] is -1\.0; weights are 0 or more"),
    "NaN": (spoilt(GOOD_Y, NAN, 3), ValueError, r"sample_weight\[3\] is nan"),
    "infinity": (spoilt(GOOD_Y, INF, 3), ValueError, r"sample_weight\[3\] is inf"),
    "all 0": (np.zeros(ROWS), ValueError, "sample_weight is 0 for every row"),
    "too short": ([1, 1], ValueError, r"sample_weight has 2 row\(s\) and X has 6"),
    "a number": (1.0, ValueError, "sample_weight has 0 dimension"),
    "a column": (np.ones((ROWS, 1)), ValueError, "sample_weight has 2 dimension"),
    "text": ("balanced", TypeError, "sample_weight holds text"),
    "by class": ({0: 1.0}, TypeError, "sample_weight holds a value of type dict"),
}


@pytest.mark.parametrize(("bad", "error", "match"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights(net, bad, error, match):
    before = net.parameters.copy()
    for call in (net.fit, net.evaluate, net.loss_and_gradient):
        refuses(error, match, call, GOOD_X, GOOD_Y, sample_weight=bad)
    refuses(error, match, fastnn.Dataset, GOOD_X, GOOD_Y, bad)
    assert_array_equal(net.parameters, before)


@pytest.mark.parametrize(("dtype", "hardly"), [("float32", 1e-39), ("float64", 1e-320)])
@pytest.mark.parametrize("batch_size", [1, 2, None])
def test_weights_too_small_to_be_divided_by_are_0(dtype, hardly, batch_size):
    def trained(weight):
        net = fastnn.mlp([2, 3, 1], dtype=dtype)
        weights = np.array([weight, weight, 1.0, 1.0, weight, 1.0])
        rows = np.arange(12.0).reshape(6, 2) / 12, np.arange(6.0) / 6
        net.fit(*rows, epochs=3, batch_size=batch_size, shuffle=False, sample_weight=weights)
        assert net.history.status == "finished"
        return net.parameters

    assert (trained(hardly) == trained(0.0)).all()


def test_class_weights_of_single_rows_are_refused(net):
    given = {"loss": "binary_cross_entropy", "batch_size": 1, "class_weight": "balanced"}
    rows = GOOD_X, [0, 1] * (ROWS // 2)
    with pytest.raises(ValueError, match="class_weight is 'balanced' and batch_size 1"):
        net.fit(*rows, **given)
    with pytest.raises(ValueError, match=r"networks\[0\]: class_weight is 'balanced' and batch_size 1"):
        fastnn.fit_many([net], *rows, **given)


class Frame:
    """Like a table of Polars, whose own conversion makes numbers of dates."""

    __module__ = "polars.dataframe.frame"

    class Date:
        def is_temporal(self):
            return True

        def __str__(self):
            return "Date"

    class Float64:
        def is_temporal(self):
            return False

    def __init__(self, *dtypes):
        self.dtypes = list(dtypes)

    def __array__(self, dtype=None, copy=None):
        return np.ones((ROWS, len(self.dtypes)))


def test_dates_of_another_library_are_no_numbers(net):
    with pytest.raises(TypeError, match="X holds values of type Date; real numbers are needed"):
        net.fit(Frame(Frame.Float64(), Frame.Date()), GOOD_Y)
    net.fit(Frame(Frame.Float64(), Frame.Float64()), GOOD_Y)


class OfAnotherLibrary:
    """Like a tensor that is needed for a gradient."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach() first")


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda net: net.predict(OfAnotherLibrary()), ValueError, "X cannot be made .*: call detach"),
        (lambda net: fastnn.load("net.npz", activations=5), TypeError, "activations is 5; a list"),
        (lambda net: fastnn.LBFGS(evaluations=10**400), ValueError, "evaluations is 10+"),
        (lambda net: fastnn.check_gradients(5, GOOD_X, GOOD_Y), TypeError, "net is 5; a network"),
        (lambda net: net.fit(GOOD_X, GOOD_Y, optimizer="Adam"), ValueError, r"known are .*\. Is 'adam' meant\?"),
        (
            lambda net: net.fit(GOOD_X, GOOD_Y, loss="binary_crossentropy"),
            ValueError,
            "Is 'binary_cross_ent",
        ),
        (
            lambda net: net.fit(GOOD_X, GOOD_Y, metrics=["acc"]),
            ValueError,
            r"metrics\[0\] is 'acc'; .*'accuracy'",
        ),
        (lambda net: fastnn.Dense(2, "ReLU"), ValueError, r"known are .*\. Is 'relu' meant\?"),
        (
            lambda net: fastnn.Dense(2, abs),
            TypeError,
            "activation is <built-in .*; fastnn.own_activation",
        ),
        (
            lambda net: fastnn.Dense(2, weights=[[1, 2], [3]]),
            ValueError,
            "weights is no array of numbers: its rows",
        ),
        (
            lambda net: fastnn.Dense(2, weights=np.zeros((2, 3))),
            ValueError,
            r"\(inputs, 2\) is .*weights\.T",
        ),
        (
            lambda net: net.fit(GOOD_X, ["a", "b"] * (ROWS // 2)),
            TypeError,
            "y holds text .*; of names, np.unique",
        ),
        (
            lambda net: fastnn.mlp([2, 3], output="softmax").fit(GOOD_X, GOOD_Y),
            ValueError,
            r"y has shape \(6,\); \(rows, 3\) is needed .*; labels are for loss 'cross_entropy'",
        ),
        (
            lambda net: net.fit(GOOD_X, GOOD_Y, callbacks=[fastnn.EarlyStopping()]),
            TypeError,
            r"callbacks\[0\] is EarlyStopping.*, which is given as early_stopping",
        ),
        (
            lambda net: fastnn.fit_many([net], GOOD_X, GOOD_Y, optimizer=["sgd"]),
            TypeError,
            r"optimizer is a list; fastnn.each\(\[…\]\) gives each network",
        ),
        (
            lambda net: fastnn.metrics.precision([0, 1], [[0.2, 0.8], [0.4, 0.6]]),
            ValueError,
            "predictions are labels, and targets shares of classes; predictions come first",
        ),
        (lambda net: fastnn.numerical_diff(3, 3.0), TypeError, "f is 3; a function"),
        (lambda net: fastnn.numerical_diff(abs, "3"), TypeError, "x holds text"),
        (lambda net: fastnn.numerical_diff(abs, 3.0, h=0), ValueError, "h is 0; a finite number above 0"),
        (lambda net: fastnn.tangent_line(abs, np.inf), ValueError, "x is inf; finite float64 numbers"),
        (lambda net: fastnn.numerical_gradient(3, [3.0]), TypeError, "f is 3; a function"),
        (lambda net: net.fit(GOOD_X, GOOD_Y, metrics=b"mae"), TypeError, "metrics is b'mae'; a list of names"),
        (
            lambda net: net.fit(GOOD_X, GOOD_Y, early_stopping=fastnn.EarlyStopping("")),
            ValueError,
            "early_stopping looks at ''",
        ),
        (lambda net: fastnn.mlp([10**6, 10**6, 1]), MemoryError, "parameters and their gradients would take"),
    ],
)
def test_what_is_wrong_is_named(net, call, error, match):
    with pytest.raises(error, match=match):
        call(net)


def test_errors_that_the_caller_wants_of_numpy_are_none_here():
    """Numbers that are rounded to 0 or to infinity on the way are ordinary."""
    X, y = np.asarray(GOOD_X), [0.0, 1.0] * (ROWS // 2)
    small = fastnn.mlp([2, 3, 1], output="sigmoid", dtype="float32")
    tiny = [1e-50, 1.0] * (ROWS // 2)
    with np.errstate(all="raise"):
        small.fit(X * 1e-45, y, sample_weight=tiny, epochs=2, metrics=["mae"], validation_split=0.5)
        small.fit(X, y, loss="binary_cross_entropy", class_weight={0: 1e-42}, optimizer="adam", batch_size=2)
        assert np.isfinite(small.predict(X * 1e-45)).all()
        small.jacobian(X * 1e-45)
        small.evaluate(X, y, sample_weight=tiny)
        small.loss_and_gradient(X, y, sample_weight=tiny)
        fastnn.diagnose(fastnn.mlp([2, 8, 1], activation="tanh"), 1e200 * X, y)
        with pytest.warns(RuntimeWarning, match="no longer finite"):
            fastnn.mlp([2, 3, 1], activation="relu").fit(1e100 * X, y, optimizer=fastnn.SGD(1e100), epochs=5)
        fastnn.fit_many([small], X, y, sample_weight=tiny)
        # Gradients, of which one is very much smaller than the others.
        columns = np.stack([X[:, 0], 1e-170 * X[:, 1]], axis=1)
        fastnn.mlp([2, 1]).fit(columns, y, epochs=2, callbacks=lambda progress: None)
        small.gradients[:] = 1e-44
        small.update(0.1)
        smoothing = fastnn.losses.CrossEntropy(label_smoothing=0.1)
        fastnn.mlp([2, 2], output="softmax").evaluate(X, [[5e-324, 1.0]] * ROWS, loss=smoothing)
        fastnn.Sequential([Dense(1, weights=[[1e-50], [1.0]], bias=[1e-50])], inputs=2, dtype="float32")
        fastnn.mlp([2, 1], initializer=1e-45, dtype="float32")
        assert fastnn.losses.focal([[1e-200]], [[1.0]], gamma=3.0) > 0


def test_negative_weight_in_a_table_is_named(net):
    weights = Table(spoilt(GOOD_Y, -1, 3))
    refuses(ValueError, r"sample_weight\[3\] is -1\.0", net.fit, GOOD_X, GOOD_Y, sample_weight=weights)


BAD_OPTIONS = {
    "no epochs": ({"epochs": 0}, ValueError, "epochs is 0; a whole number from 1 to"),
    "negative epochs": ({"epochs": -3}, ValueError, "epochs is -3; a whole number"),
    "half an epoch": ({"epochs": 0.5}, TypeError, r"epochs is 0\.5; a whole number"),
    "epochs in text": ({"epochs": "10"}, TypeError, "epochs is '10'; a whole number"),
    "epochs None": ({"epochs": None}, TypeError, "epochs is None; a whole number"),
    "epochs True": ({"epochs": True}, TypeError, "epochs is True; a whole number"),
    "too many epochs": ({"epochs": 10**30}, ValueError, "epochs is 1000.*; a whole number from 1 to"),
    "batch of 0": ({"batch_size": 0}, ValueError, "batch_size is 0; a whole number from 1"),
    "negative batch": ({"batch_size": -1}, ValueError, "batch_size is -1; a whole number from 1"),
    "batch of 1.5": ({"batch_size": 1.5}, TypeError, r"batch_size is 1\.5; a whole number"),
    "batch in words": ({"batch_size": "full"}, TypeError, "batch_size is 'full'; a whole number"),
    "batch of no words": ({"batch_size": ""}, TypeError, "batch_size is ''; a whole number"),
    "batch False": ({"batch_size": False}, TypeError, "batch_size is False; a whole number"),
    "unknown optimizer": ({"optimizer": "adamax"}, ValueError, "optimizer is 'adamax'; known are sgd"),
    "rate for optimizer": ({"optimizer": 0.1}, TypeError, r"optimizer is 0\.1; an optimizer like SGD"),
    "class for optimizer": (
        {"optimizer": fastnn.SGD},
        TypeError,
        "optimizer is the class SGD; an object of it is needed, like SGD",
    ),
    "unknown loss": ({"loss": "hing"}, ValueError, "loss is 'hing'; known are mse, half_sse, mae"),
    "loss None": ({"loss": None}, TypeError, "loss is None; one of these names.*mse"),
    "loss as function": ({"loss": fastnn.losses.mse}, TypeError, "loss is <function.*fastnn.own_loss makes"),
    "shuffle in words": ({"shuffle": "yes"}, TypeError, "shuffle is 'yes'; True or False"),
    "shuffle None": ({"shuffle": None}, TypeError, "shuffle is None; True or False"),
    "negative seed": ({"seed": -1}, ValueError, "seed is -1; a whole number from 0"),
    "huge seed": ({"seed": 2**63}, ValueError, "seed is 9223372036854775808; a whole number from 0"),
    "real seed": ({"seed": 0.0}, TypeError, r"seed is 0\.0; a whole number"),
    "log every 0": ({"log_every": 0}, ValueError, "log_every is 0; a whole number from 1"),
    "log every True": ({"log_every": True}, TypeError, "log_every is True; a whole number"),
    "unknown option": ({"learning_rate": 1.0}, TypeError, "learning_rate"),
}


@pytest.mark.parametrize(("options", "error", "match"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options_of_fit(net, options, error, match):
    before = net.parameters.copy()
    refuses(error, match, net.fit, GOOD_X, GOOD_Y, **options)
    assert_array_equal(net.parameters, before)
    assert net.history is None
    net.fit(GOOD_X, GOOD_Y)


def test_dataset_brings_its_own_targets(net):
    data = fastnn.Dataset(GOOD_X, GOOD_Y)
    refuses(TypeError, "X is a Dataset", net.fit, data, GOOD_Y)
    refuses(TypeError, "X is a Dataset", net.evaluate, data, sample_weight=GOOD_Y)


@pytest.mark.parametrize(
    ("output", "loss", "match"),
    [
        ("tanh", "binary_cross_entropy", "loss 'binary_cross_entropy' needs sigmoid outputs.*'tanh'"),
        ("softmax", "binary_cross_entropy", "needs sigmoid outputs.*'softmax'"),
        ("identity", "cross_entropy", "'cross_entropy' needs softmax or sigmoid or log_softmax .*.*'identity'"),
    ],
)
def test_loss_that_does_not_fit_the_outputs(output, loss, match):
    net = fastnn.mlp([2, 2], output=output)
    refuses(ValueError, match, net.fit, GOOD_X, GOOD_X, loss=loss)
    refuses(ValueError, match, net.evaluate, GOOD_X, GOOD_X, loss=loss)


@pytest.mark.parametrize("where", ["activation", "output"])
def test_step_is_not_trained(where):
    net = fastnn.mlp([2, 3, 1], **{where: "step"})
    before = net.parameters.copy()
    refuses(ValueError, r"activation of layers\[\d\] is 'step', whose derivative is 0", net.fit, GOOD_X, GOOD_Y)
    assert_array_equal(net.parameters, before)
    assert set(np.unique(fastnn.mlp([2, 9], output="step").predict(GOOD_X - 6))) == {0.0, 1.0}


# Construction ----------------------------------------------------------------------------------------

KNOWN_ACTIVATIONS = "identity, sigmoid, hard_sigmoid, tanh, .*softmax, log_softmax"
KNOWN_INITIALIZERS = "uniform, normal, glorot_uniform, .*zeros"
BAD_NETWORKS = {
    "no units": (lambda: Dense(0), ValueError, "units is 0; a whole number from 1"),
    "negative units": (lambda: Dense(-4), ValueError, "units is -4"),
    "too many units": (lambda: Dense(10**12), ValueError, "units is 1000000000000; a whole number from 1 to"),
    "real units": (lambda: Dense(4.0), TypeError, r"units is 4\.0; a whole number"),
    "unknown activation": (
        lambda: Dense(4, "rleu"),
        ValueError,
        f"activation is 'rleu'; known are {KNOWN_ACTIVATIONS}",
    ),
    "activation None": (lambda: Dense(4, None), TypeError, f"activation is None; .*{KNOWN_ACTIVATIONS}"),
    "unknown initializer": (
        lambda: Dense(4, initializer="xavier"),
        ValueError,
        f"initializer is 'xavier'; known are {KNOWN_INITIALIZERS}",
    ),
    "softmax over one": (lambda: Dense(1, "softmax"), ValueError, "softmax over one unit is always 1"),
    "weights and initializer": (
        lambda: Dense(1, weights=[[1]], initializer="zeros"),
        ValueError,
        "initializer is 'zeros' and weights are given",
    ),
    "weights of another width": (lambda: Dense(2, weights=[[1, 2, 3]]), ValueError, r"weights has 3 column"),
    "weights with NaN": (lambda: Dense(1, weights=[[NAN]]), ValueError, r"weights\[0, 0\] is nan"),
    "bias too long": (lambda: Dense(1, bias=[1, 2]), ValueError, r"bias has shape \(2,\); \(1,\) is needed"),
    "bias text": (lambda: Dense(1, bias=["a"]), TypeError, "bias holds text"),
    "weights for other inputs": (
        lambda: fastnn.Sequential([Dense(1, weights=[[1]])], inputs=2),
        ValueError,
        r"weights of layers\[0\] have shape \(1, 1\); \(2, 1\) is needed",
    ),
    "no layers": (lambda: fastnn.Sequential([], inputs=2), ValueError, "layers is empty; at least one Layer"),
    "one layer, no list": (
        lambda: fastnn.Sequential(Dense(1), inputs=2),
        TypeError,
        "layers is Dense.*a list of Layer",
    ),
    "sizes for layers": (lambda: fastnn.Sequential([4, 1], inputs=2), TypeError, r"layers\[0\] is 4; a Layer"),
    "no inputs": (
        lambda: fastnn.Sequential([Dense(1)], inputs=0),
        ValueError,
        "inputs is 0; a whole number from 1",
    ),
    "hidden softmax": (
        lambda: fastnn.mlp([2, 3, 1], activation="softmax"),
        ValueError,
        r"activation of layers\[0\] is 'softmax'",
    ),
    "layer twice": (
        lambda: fastnn.Sequential([Dense(2)] * 2, inputs=2),
        ValueError,
        r"layers\[1\] stands in the network twice",
    ),
    "layer of another network": (
        lambda: fastnn.Sequential(fastnn.mlp([2, 1]).layers, inputs=2),
        ValueError,
        r"layers\[0\] belongs to another",
    ),
    "half precision": (
        lambda: fastnn.mlp([2, 1], dtype="float16"),
        ValueError,
        "dtype is 'float16'; known are float32, float64",
    ),
    "dtype no type": (
        lambda: fastnn.mlp([2, 1], dtype="double trouble"),
        ValueError,
        "dtype is 'double trouble'; known",
    ),
    "dtype None": (lambda: fastnn.mlp([2, 1], dtype=None), ValueError, "dtype is None; known"),
    "negative seed": (lambda: fastnn.mlp([2, 1], seed=-1), ValueError, "seed is -1; a whole number from 0"),
    "one size": (lambda: fastnn.mlp([2]), ValueError, r"sizes is \[2\]; at least"),
    "sizes a number": (lambda: fastnn.mlp(2), TypeError, "sizes is 2; a list"),
    "sizes text": (lambda: fastnn.mlp("2,4,1"), TypeError, "sizes is '2,4,1'; a list"),
    "size of 0": (lambda: fastnn.mlp([2, 0, 1]), ValueError, r"sizes\[1\] is 0; a whole number from 1"),
    "real size": (lambda: fastnn.mlp([2, 1.5]), TypeError, r"sizes\[1\] is 1\.5; a whole number"),
    "unknown output": (
        lambda: fastnn.mlp([2, 1], output="linear"),
        ValueError,
        f"output is 'linear'; known are {KNOWN_ACTIVATIONS}",
    ),
    "unknown default": (
        lambda: fastnn.mlp([2, 1], initializer="he"),
        ValueError,
        f"initializer is 'he'; known are {KNOWN_INITIALIZERS}",
    ),
    "rate 0": (lambda: fastnn.SGD(0), ValueError, "learning_rate is 0; a finite number above 0"),
    "negative rate": (lambda: fastnn.SGD(-0.1), ValueError, r"learning_rate is -0\.1; a finite number above 0"),
    "infinite rate": (lambda: fastnn.SGD(INF), ValueError, "learning_rate is inf; a finite number above 0"),
    "rate NaN": (lambda: fastnn.SGD(NAN), ValueError, "learning_rate is nan; a finite number above 0"),
    "rate in text": (lambda: fastnn.SGD("0.1"), TypeError, r"learning_rate is '0\.1'; a finite number"),
    "huge rate": (lambda: fastnn.SGD(10**309), ValueError, "learning_rate is .*; a finite number above 0"),
    "momentum 1": (lambda: fastnn.SGD(momentum=1.0), ValueError, r"momentum is 1\.0; .*at least 0 and below 1"),
    "negative momentum": (
        lambda: fastnn.SGD(momentum=-0.1),
        ValueError,
        r"momentum is -0\.1; .*at least 0 and below 1",
    ),
    "nesterov in words": (lambda: fastnn.SGD(nesterov="no"), TypeError, "nesterov is 'no'; True or False"),
    "nesterov alone": (lambda: fastnn.SGD(nesterov=True), ValueError, "nesterov is True and momentum 0"),
    "density 0": (lambda: fastnn.datasets.circle(0), ValueError, "density is 0; a whole number from 1 to"),
    "negative density": (
        lambda: fastnn.datasets.circle(-1),
        ValueError,
        "density is -1; a whole number from 1 to",
    ),
    "real density": (lambda: fastnn.datasets.circle(10.5), TypeError, r"density is 10\.5; a whole number"),
    "huge density": (
        lambda: fastnn.datasets.circle(10**6),
        ValueError,
        "density is 1000000; a whole number from 1 to",
    ),
}


@pytest.mark.parametrize(("make", "error", "match"), BAD_NETWORKS.values(), ids=BAD_NETWORKS)
def test_bad_construction(make, error, match):
    refuses(error, match, make)


def test_layers_of_a_refused_network_can_be_used_again():
    first, second = Dense(3, "softmax"), Dense(1)
    refuses(ValueError, "softmax", fastnn.Sequential, [first, second], inputs=2)
    fastnn.Sequential([second], inputs=2)
    refuses(AttributeError, "once it belongs to a network", lambda: first.weights)


def test_a_network_too_large_for_memory_says_so():
    layers = [Dense(1_000_000), Dense(1_000_000)]
    refuses((ValueError, MemoryError), r".", fastnn.Sequential, layers, inputs=1_000_000)


# Step by step ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        (np.ones((ROWS, 2)), ValueError, r"d_output has shape \(6, 2\); \(rows,\) or \(rows, 1\)"),
        (np.ones(5), ValueError, r"d_output has 5 row\(s\)"),
        (spoilt(np.ones(ROWS), NAN, 3), ValueError, r"d_output\[.*3.*\] is nan"),
        ("text", TypeError, "d_output holds text"),
    ],
)
def test_bad_output_gradient(net, bad, error, match):
    net.forward(GOOD_X)
    net.backward(GOOD_Y)
    before = net.gradients.copy()
    refuses(error, match, net.backward, bad)
    assert_array_equal(net.gradients, before)


def test_backward_before_forward(net):
    refuses(RuntimeError, "backward needs a forward before it", net.backward, GOOD_Y)


@pytest.mark.parametrize("bad", [0, -1.0, NAN, INF])
def test_bad_rate_of_update(net, bad):
    refuses(ValueError, f"learning_rate is {bad}; a finite number above 0", net.update, bad)
    refuses(TypeError, "learning_rate is None", net.update, None)


@pytest.mark.parametrize(
    ("name", "bad", "match"),
    [
        ("parameters", np.ones(12), r"parameters have shape \(12,\); \(13,\) is needed"),
        ("parameters", [NAN] * 13, r"parameters\[0\] is nan"),
    ],
)
def test_bad_parameters(net, name, bad, match):
    before = net.parameters.copy()
    refuses(ValueError, match, setattr, net, name, bad)
    assert_array_equal(net.parameters, before)


def test_bad_weights_and_bias_of_a_layer(net):
    before = net.parameters.copy()
    layer = net.layers[0]
    refuses(
        ValueError, r"weights have shape \(3, 3\); \(2, 3\) is needed", setattr, layer, "weights", np.ones((3, 3))
    )
    refuses(ValueError, r"weights has 2 column", setattr, layer, "weights", np.ones((2, 2)))
    refuses(ValueError, r"bias have shape|bias has shape \(2,\); \(3,\) is needed", setattr, layer, "bias", [1, 2])
    refuses(ValueError, r"bias\[1\] is inf", setattr, layer, "bias", [1, INF, 2])
    refuses(TypeError, r"bias holds text", setattr, layer, "bias", ["a", "b", "c"])
    assert_array_equal(net.parameters, before)
