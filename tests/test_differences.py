"""Derivatives by differences, and the check of gradients, which must find what is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn
import reference
from fastnn import check_gradients, numerical_diff, numerical_gradient, tangent_line
from tests.problems import problem


def test_numerical_diff_of_arrays_is_element_by_element():
    x = np.array([1.0, 2.0])
    assert numerical_diff(lambda z: z * z, x).tolist() == [numerical_diff(lambda z: z * z, each) for each in x]
    assert tangent_line(lambda z: z * z, x)(x).tolist() == [1.0, 4.0]


def test_numerical_diff_is_the_reference_s():
    for f, x in ((math.sin, 0.7), (math.exp, -2.0), (lambda x: x**3, 5)):
        assert numerical_diff(f, x) == reference.numerical_diff(f, x)
        assert numerical_diff(f, x, h=1e-2) == reference.numerical_diff(f, x, 1e-2)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1, 2)], ids=str)
def test_numerical_gradient_keeps_the_shape(rng, shape):
    x = rng.normal(size=shape)
    factors = rng.normal(size=shape)
    before = x.copy()
    gradient = numerical_gradient(lambda x: float((factors * x**2).sum()), x)
    assert_allclose(gradient, 2 * factors * x, rtol=1e-6, atol=1e-9)
    assert np.shape(gradient) == shape
    assert_array_equal(x, before)


def test_numerical_gradient_of_lists_is_the_reference_s():
    def f(x):
        return x[0][0] * x[1][0] + 3 * x[1][1] ** 2

    x = [[2, 5], [7, 1]]
    assert_allclose(numerical_gradient(f, x), reference.numerical_gradient(f, x), rtol=1e-15)


@pytest.mark.parametrize(
    ("x", "h", "error", "match"),
    [
        ([1, math.nan], 1e-4, ValueError, r"x\[1\] is nan"),
        (["a"], 1e-4, TypeError, "x holds text"),
        ([1.0], 0, ValueError, "h is 0; a finite number above 0"),
        ([1.0], "small", TypeError, "h is 'small'"),
    ],
)
def test_numerical_gradient_refuses(x, h, error, match):
    with pytest.raises(error, match=match):
        numerical_gradient(lambda x: 0.0, x, h)


def test_tangent_line():
    line = tangent_line(math.exp, 0.0)
    assert [line(0.0), line(1.0)] == pytest.approx([1.0, 2.0], rel=1e-8)


def test_check_leaves_the_network_alone(rng, dtype):
    p = problem(rng, (2, 3, 1), 9, dtype=dtype, weighted=True)
    net = p.net
    net.gradients[:] = 5
    before = net.parameters.copy()
    error = check_gradients(net, *p.rows, sample_weight=p.weights)
    assert error < {"float64": 1e-7, "float32": 1e-3}[dtype]
    assert_array_equal(net.parameters, before)
    assert (net.gradients == 5).all()


def test_check_takes_a_dataset(rng):
    p = problem(rng, (2, 3, 1), 9)
    assert check_gradients(p.net, fastnn.Dataset(*p.rows)) == check_gradients(p.net, *p.rows)


def test_check_is_the_reference_s(rng):
    p = problem(rng, (2, 3, 2), 9)
    found, expected = (
        check_gradients(p.net, *p.rows, h=1e-2),
        reference.check_gradients(p.twin, *p.row_lists, h=1e-2),
    )
    # With so large an h what is measured is the third derivative, which both have.
    assert found == pytest.approx(expected, rel=1e-6)
    assert found > 1e-7


@pytest.mark.parametrize("factor", [1.001, -1.0, 0.0])
def test_check_finds_a_wrong_gradient(rng, monkeypatch, factor):
    right = fastnn.Sequential.loss_and_gradient

    def wrong(self, *arguments, **options):
        loss, gradient = right(self, *arguments, **options)
        gradient[4] *= factor
        return loss, gradient

    p = problem(rng, (2, 3, 1), 9)
    monkeypatch.setattr(fastnn.Sequential, "loss_and_gradient", wrong)
    assert check_gradients(p.net, *p.rows) > 0.5e-3


def test_check_wants_finite_parameters(rng):
    p = problem(rng, (2, 3, 1), 9)
    net = p.net
    net.parameters[2] = math.nan
    with pytest.raises(ValueError, match=r"^parameters\[2\] is nan"):
        check_gradients(net, *p.rows)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_check_finds_what_is_not_finite(rng, monkeypatch, value):
    p = problem(rng, (2, 3, 1), 9)
    monkeypatch.setattr(fastnn.Sequential, "loss_and_gradient", lambda *a, **o: (1.0, np.full(13, value)))
    assert check_gradients(p.net, *p.rows) == math.inf
