"""Numerical derivatives by differences, as in textbooks, and a gradient check based on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import checks
from fastnn.loss_kinds import Loss
from fastnn.network import Sequential

Doubles = npt.NDArray[np.float64]


def numerical_diff(f: Callable[[Any], Any], x: Any, h: float = 1e-4) -> Any:
    """Return the derivative of f at x by central differences: (f(x + h) - f(x - h))/(2h).

    Parameters
    ----------
    f : a function of a number, or of an array element by element.
    x : a finite number, or an array of them.
    h : half the distance between the two points, above 0.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 5)
    0.1999999999990898
    """
    _refuse_no_function(f)
    given = checks.finite(checks.numbers_of(x, "x"), checks.DTYPES["float64"], "x")
    point = given if np.ndim(x) else float(given)
    step = checks.real_number(h, "h", above=0.0)
    return (f(point + step) - f(point - step)) / (2 * step)


def numerical_gradient(f: Callable[[Any], float], x: Any, h: float = 1e-4) -> Doubles:
    """Return the partial derivatives of f at x, by central differences, one coordinate after the other.

    Parameters
    ----------
    f : a function that takes an array like x and returns a number.
    x : numbers of any shape.
    h : half the distance between the two points.

    Returns
    -------
    An array like x, which is itself left unchanged.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> numerical_gradient(lambda x: (x**2).sum(), [3.0, 4.0]).round(6)
    array([6., 8.])
    """
    _refuse_no_function(f)
    double = checks.DTYPES["float64"]
    point = checks.finite(checks.numbers_of(x, "x"), double, "x").reshape(np.shape(x)).copy()
    step = checks.real_number(h, "h", above=0.0)
    gradient = np.empty_like(point)
    for at in np.ndindex(point.shape):
        here = point[at]
        point[at] = here + step
        above = float(f(point))
        point[at] = here - step
        below = float(f(point))
        point[at] = here
        gradient[at] = (above - below) / (2 * step)
    return gradient


def tangent_line(f: Callable[[Any], Any], x: Any) -> Callable[[Any], Any]:
    """Return the straight line that touches f at x, as a function.

    Its slope is the derivative that ``numerical_diff`` returns.

    Parameters
    ----------
    f : a function of a number, or of an array element by element.
    x : a finite number, or an array of them.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> line = tangent_line(lambda x: x**2, 1.0)
    >>> round(line(3.0), 6)
    5.0
    """
    slope, value = numerical_diff(f, x), f(x)
    return lambda t: value + slope * (t - x)


def _refuse_no_function(f: Any) -> None:
    if not callable(f):
        raise TypeError(f"f is {checks.shown(f)}; a function is needed")


def check_gradients(
    net: Sequential, X: Any, y: Any = None, *, loss: str | Loss = "mse", sample_weight: Any = None, h: float = 1e-5
) -> float:
    """Return how far ``loss_and_gradient`` is from central differences of the loss that ``evaluate`` reports.

    Parameters
    ----------
    net : the network, which is left unchanged. Differences are taken in float64, also for a float32 network.
    X, y, loss, sample_weight : as ``Sequential.loss_and_gradient`` takes them.
    h : half the distance between the two points.

    Returns
    -------
    The largest relative error |a - n| / max(|a|, |n|) over the parameters, where a is the gradient and n the
    difference; infinity if one of them is not finite. A parameter whose gradient is less than a thousandth of the
    largest is measured against that thousandth, so that the rounding of numbers near 0 does not count. About 1e-7
    and less is good (1e-4 in float32); kinks like relu's within h of 0 give more (A. Karpathy, notes for CS231n).

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.xor()
    >>> net = fastnn.mlp([2, 3, 1], output="sigmoid")
    >>> fastnn.check_gradients(net, X, y, loss="binary_cross_entropy") < 1e-7
    True
    """
    if not isinstance(net, Sequential):
        raise TypeError(f"net is {checks.shown(net)}; a network is needed")
    checks.finite(net.parameters, net.dtype, "parameters")
    analytic = net.loss_and_gradient(X, y, loss=loss, sample_weight=sample_weight)[1].astype(np.float64)
    twin = Sequential(
        [layer.copy() for layer in net.layers], inputs=net.inputs, l1=net.l1, l2=net.l2, dtype="float64"
    )

    def reported(parameters: Doubles) -> float:
        twin.parameters = parameters
        return twin.evaluate(X, y, loss=loss, sample_weight=sample_weight)

    numeric = numerical_gradient(reported, net.parameters.astype(np.float64), h)
    if not (np.isfinite(analytic).all() and np.isfinite(numeric).all()):
        return float("inf")
    magnitude = np.maximum(np.abs(analytic), np.abs(numeric))
    floor = max(float(magnitude.max()) * 1e-3, 1e-12)
    return float((np.abs(analytic - numeric) / np.maximum(magnitude, floor)).max())
