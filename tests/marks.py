"""Marks for the cases of a test: a cheap one of each kind is in the core; the others are slow."""

from __future__ import annotations

import pytest


def core(cases, *quick):
    """The cases for ``parametrize``, of which all but the ``quick`` ones are marked slow."""
    cases = list(cases)
    assert all(case in cases for case in quick)
    return [case if case in quick else slow(case) for case in cases]


def slow(case):
    """One case that is marked slow; the values of several arguments are a tuple."""
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)


float64_in_the_core = pytest.mark.parametrize("dtype", core(["float64", "float32"], "float64"))
