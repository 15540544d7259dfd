"""SGD by hand."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose

import fastnn
from fastnn import SGD


def line_after(updates, **options):
    """Weight and bias of y = w·x + b at x = 1 after some updates for target 0, from w = 2, b = 1."""
    net = fastnn.Sequential([fastnn.Dense(1, weights=[[2.0]], bias=[1.0])], inputs=1)
    net.fit([[1.0]], [0.0], epochs=updates, optimizer=SGD(0.1, **options), loss="half_sse")
    return net.parameters


def test_by_hand():
    # The gradient is the output p, for w and b alike; p falls by 2·rate·velocity.
    assert_allclose(line_after(1), [2 - 0.3, 1 - 0.3], rtol=1e-15)
    assert_allclose(line_after(2), [1.7 - 0.24, 0.7 - 0.24], rtol=1e-15)
    # v = 3, then 0.5·3 + 2.4
    assert_allclose(line_after(2, momentum=0.5), [1.7 - 0.39, 0.7 - 0.39], rtol=1e-14)
    # the first step is g + 0.5·v = 4.5, so p = 2.1, v = 0.5·3 + 2.1 = 3.6, and the step 2.1 + 0.5·3.6
    assert_allclose(line_after(2, momentum=0.5, nesterov=True), [2 - 0.45 - 0.39, 1 - 0.45 - 0.39], rtol=1e-14)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}], ids=str)
def test_parabola_is_descended(options, dtype):
    net = fastnn.mlp([1, 1], dtype=dtype)
    history = net.fit([[1.0], [-1.0]], [3.0, 1.0], epochs=300, optimizer=SGD(0.05, **options))
    assert_allclose(net.parameters, [1, 2], atol=1e-4)
    assert history.loss[-1] < 1e-8
    assert net.parameters.dtype == dtype


def test_repr_is_how_it_is_made():
    assert repr(SGD()) == "SGD(0.01)"
    assert repr(SGD(0.1, momentum=0.9, nesterov=True)) == "SGD(0.1, momentum=0.9, nesterov=True)"
    assert eval(repr(SGD(0.5, momentum=0.25))).momentum == 0.25
