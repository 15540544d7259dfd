"""The comparison of fastnn with its reference: one gradient, and a whole run."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn
import reference
from tests.problems import EPSILON, call, largest_error, made


def gradient_bound(p):
    """Of the gradient of one step, relative to its largest entry.

    In float64 the 1e-12 that the project promises. In float32 the rounding of sums, which grows with the
    root of their length, once a layer forward and once back; 8 for what cancels in the sum over samples.
    """
    if p.dtype == "float64":
        return 1e-12
    longest = max(*p.sizes, len(p.X))
    return 8 * EPSILON["float32"] * len(p.sizes) * np.sqrt(longest)


def compare_gradients(p):
    """One gradient and its loss in both libraries."""
    found, gradient = p.net.loss_and_gradient(*p.rows, loss=p.loss, sample_weight=p.weights)
    expected, of_twin = p.twin.loss_and_gradient(*p.row_lists, p.twin_loss, p.weight_list)
    bound = gradient_bound(p)
    assert gradient.dtype == p.dtype
    assert_allclose(found, expected, rtol=bound)
    assert largest_error(gradient, of_twin) <= bound


def assert_close(found, expected, bound):
    """Each number relative to itself; but what is small beside the others of its run has their rounding."""
    twins = np.asarray(expected, float)
    greatest = np.abs(twins[np.isfinite(twins)]).max(initial=0.0)
    assert_allclose(found, twins, rtol=bound, atol=bound * greatest)


def compare_histories(found, expected, bound):
    """All that both histories have, epoch by epoch; NaN stands beside NaN."""
    assert (found.status, found.epochs) == (expected.status, expected.epochs)
    assert found.best_epoch == expected.best_epoch
    assert_close(found.loss, expected.loss, bound)
    # A rate is computed in float64 whatever the dtype.
    assert found.learning_rate == pytest.approx(expected.learning_rate, rel=1e-13)
    assert (found.val_loss is None) == (expected.val_loss is None)
    if found.val_loss is not None:
        assert_close(found.val_loss, expected.val_loss, bound)
    assert list(found.metrics) == list(expected.metrics)
    for name, values in found.metrics.items():
        assert_close(values, expected.metrics[name], bound)


def compare_runs(p, bound, *, optimizer=None, **options):
    """A whole fit in both libraries: what there is in the histories, and the parameters at the end.

    Returns how far it learnt, and the history of fastnn.
    """
    net, twin = p.net, p.twin
    optimizer = call("SGD", 0.01) if optimizer is None else optimizer
    given, plainly = (
        {name: made(value, library) for name, value in {**options, "optimizer": optimizer}.items()}
        for library in (fastnn, reference)
    )
    found = net.fit(*p.rows, loss=p.loss, sample_weight=p.weights, verbose=0, **given)
    expected = twin.fit(*p.row_lists, loss=p.twin_loss, sample_weight=p.weight_list, **plainly)
    compare_histories(found, expected, bound)
    assert largest_error(net.parameters, twin.parameters) <= bound
    return largest_error(p.parameters, twin.parameters), found
