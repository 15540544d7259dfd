"""The textbooks' data sets."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
import reference


@pytest.mark.parametrize("density", [1, 2, 3, 7, 10, 30])
def test_circle_is_the_reference_s(density):
    for found, expected in zip(fastnn.datasets.circle(density), reference.datasets.circle(density), strict=True):
        assert found.dtype == np.float64
        assert found.flags.c_contiguous
        assert_array_equal(found, expected)


def test_circle_by_hand():
    X, y = fastnn.datasets.circle(density=4)
    assert_array_equal(X[:6], [[-2, -2], [-2, -1], [-2, 0], [-2, 1], [-2, 2], [-1, -2]])
    assert y.tolist() == [0.0] * 12 + [1.0] + [0.0] * 12  # only the middle: the rim does not count
    assert fastnn.datasets.circle()[0].shape == (121, 2)


def test_xor_is_the_reference_s():
    for found, expected in zip(fastnn.datasets.xor(), reference.datasets.xor(), strict=True):
        assert_array_equal(found, expected)
    fastnn.datasets.xor()[1][:] = 7  # each call makes its own
    assert fastnn.datasets.xor()[1].tolist() == [0, 1, 1, 0]
