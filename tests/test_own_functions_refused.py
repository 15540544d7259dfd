"""What is wrong with functions that people write themselves is said before training, in two sentences."""

from __future__ import annotations

import math

import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import own_activation, own_loss
from tests.problems import problem
from tests.test_own_functions import my_relu, my_relu_slope, my_tanh, my_tanh_slope, square, with_hidden


def two_sentences(caught):
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    assert "Traceback" not in text
    return text


WRONG_SLOPES = [
    lambda z: my_tanh_slope(z) * (1 + 1e-3),
    lambda z: 1.0 - math.tanh(z),
    lambda z: 1.0,
    lambda z: math.nan,
]


@pytest.mark.parametrize("slope", WRONG_SLOPES[:3])
def test_wrong_derivative(slope):
    with pytest.raises(
        ValueError, match=r"the derivative of activation 'my_tanh' is .* at z = .*, and differences"
    ) as caught:
        own_activation(my_tanh, slope)
    two_sentences(caught)


def test_derivative_that_is_no_number():
    with pytest.raises(ValueError, match=r"the derivative of activation 'my_tanh' is nan"):
        own_activation(my_tanh, WRONG_SLOPES[3])


def test_wrong_derivative_of_a_loss():
    with pytest.raises(ValueError, match=r"the derivative of loss 'square' is .* at p = .*, t = ") as caught:
        own_loss(square, lambda p, t: p - t)
    two_sentences(caught)


def test_arguments_by_name_only():
    def scaled(z, *, by=2.0):
        return by * z

    with pytest.raises(ValueError, match="value is scaled, which has arguments that can be given by name only"):
        own_activation(scaled)


def test_kinks_are_no_faults():
    own_activation(my_relu, my_relu_slope)
    own_loss(lambda p, t: abs(p - t), lambda p, t: math.copysign(1.0, p - t) if p != t else 0.0, name="distance")
    own_activation(lambda z: float(z > 0.0), lambda z: 0.0, name="my_step")


def test_a_function_that_is_defined_for_some_numbers_only():
    own = own_activation(lambda z: math.sqrt(z), lambda z: 0.5 / math.sqrt(z), name="root")
    net = fastnn.Sequential([fastnn.Dense(1, own, weights=[[1.0]])], inputs=1)
    assert_array_equal(net.predict([[4.0], [-4.0], [0.0]]), [[2.0], [math.nan], [0.0]])


FAILING = {
    "fails": (lambda z: undefined, "activation 'own' fails at z = .*NameError: name 'undefined'"),  # noqa: F821
    "returns None": (lambda z: None, "activation 'own' fails at z = .*TypeError"),
    "returns text": (lambda z: "a", "activation 'own' fails at z = .*ValueError"),
    "raises always": (lambda z: math.sqrt(-1.0), "activation 'own' is not finite at any of the 81 places"),
    "takes two": (lambda z, a: z, "activation 'own' fails at z = .*TypeError"),
    "never finite": (lambda z: math.inf, "activation 'own' is not finite at any of the 81 places"),
}


@pytest.mark.parametrize(("function", "match"), FAILING.values(), ids=FAILING)
def test_a_function_that_fails(function, match):
    with pytest.raises(ValueError, match=match) as caught:
        own_activation(function, name="own")
    two_sentences(caught)


UNCOMPILED = {
    "an import": lambda z: __import__("math").tanh(z),
    "text": lambda z: float(str(z)),
    "a class": lambda z: Number(z).value,
}


class Number:
    def __init__(self, value):
        self.value = value


@pytest.mark.compiled
@pytest.mark.parametrize("name", UNCOMPILED)
def test_what_cannot_be_compiled(rng, name):
    p = problem(rng, (3, 6, 2), 9)
    net = with_hidden(p, own_activation(UNCOMPILED[name], name="own"))
    with pytest.raises(
        ValueError, match=r"activation 'own' cannot be compiled: .*A function of numbers may use"
    ) as caught:
        net.fit(*p.rows)
    two_sentences(caught)


def printing(z):
    print(z)
    return z


BAD = {
    "no function": (lambda: own_activation(3), TypeError, "value is 3; a function written in Python"),
    "a builtin": (lambda: own_activation(math.tanh), TypeError, "value is <built-in function tanh>"),
    "that prints": (lambda: own_activation(printing), ValueError, "value is printing, which prints"),
    "derivative": (lambda: own_activation(my_tanh, 3), TypeError, "derivative is 3"),
    "name of fastnn": (
        lambda: own_activation(my_tanh, name="tanh"),
        ValueError,
        "name is 'tanh', which fastnn has",
    ),
    "a lambda": (lambda: own_activation(lambda z: z), ValueError, "name is missing, .*; a lambda has none"),
    "name of a loss": (
        lambda: own_loss(square, name="mse"),
        ValueError,
        "name is 'mse', which fastnn has already",
    ),
    "initializer": (lambda: own_activation(my_tanh, initializer="he"), ValueError, "initializer is 'he'"),
    "natural": (lambda: own_loss(square, natural="linear"), ValueError, "natural is 'linear'"),
}


@pytest.mark.parametrize(("make", "error", "match"), BAD.values(), ids=BAD)
def test_bad_arguments(make, error, match):
    with pytest.raises(error, match=match):
        make()
