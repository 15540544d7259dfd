"""The table of configurations: it covers all there is, it passes, and it fails where something is wrong."""

from __future__ import annotations

import math

import pytest

from fastnn import validation
from fastnn.activations import ACTIVATIONS
from fastnn.cli import main
from fastnn.initializers import INITIALIZERS
from fastnn.loss_kinds import LOSSES
from fastnn.validation import CASES, Case, Deviation, compare

PLAIN = validation.reference()


def test_the_table_covers_every_choice():
    assert {name for case in CASES for name in (*case.hidden, case.output)} == set(ACTIVATIONS)
    assert {case.initializer for case in CASES} == {None, *INITIALIZERS}
    assert {case.dtype for case in CASES} == {"float64", "float32"}
    pairs = {(case.loss, case.output) for case in CASES}
    for name, loss in LOSSES.items():
        outputs = loss.from_logits or {"identity": None}
        assert {(name, output) for output in outputs} <= pairs
        assert {case.outputs for case in CASES if case.loss == name} - {1} == {3}
    double = [case for case in CASES if case.dtype == "float64"]
    assert {case.batch for case in double} >= {None, 1, 16}
    assert {(case.momentum > 0, case.nesterov) for case in double} == {(False, False), (True, False), (True, True)}
    assert {case.weighted for case in double if case.batch} == {True, False}
    assert not all(case.shuffle for case in double)


def test_names_tell_cases_apart():
    assert len({(case.name, case.dtype) for case in CASES}) == len(CASES)


@pytest.mark.compiled
def test_all_configurations_agree(capsys):
    assert main(["validate"]) == 0
    out = capsys.readouterr().out
    assert f"All {len(CASES)} configurations agree" in out
    assert len([line for line in out.splitlines() if line.count(" < ") == 2]) == len(CASES)


def test_a_wrong_derivative_breaks_what_uses_it(monkeypatch, capsys):
    value, derivative = PLAIN.activations.ACTIVATIONS["gelu"]
    wrong = lambda z, a: derivative(z, a) * (1 + 1e-3)  # noqa: E731
    monkeypatch.setitem(PLAIN.activations.ACTIVATIONS, "gelu", (value, wrong))
    cases = (Case(("gelu",), epochs=3), Case(("tanh",), epochs=3), Case(("gelu",), epochs=3, dtype="float32"))
    monkeypatch.setattr(validation, "CASES", cases)
    assert main(["validate"]) == 1
    out = capsys.readouterr().out
    assert [line.endswith("BROKEN") for line in out.splitlines() if " > 1 identity" in line] == [True, False, True]
    assert "2 of 3 configurations are too far from plain Python" in out


@pytest.mark.parametrize("name", ["mse", "half_sse", "mae"])
def test_a_wrong_loss_is_found(monkeypatch, name):
    value, derivative = PLAIN.losses.LOSSES[name]
    case = Case(("tanh",), loss=name, epochs=2)
    assert compare(case).within
    monkeypatch.setitem(PLAIN.losses.LOSSES, name, (lambda p, t: value(p, t) * (1 + 1e-8), derivative))
    deviation = compare(case)
    assert deviation.run > deviation.bound_of_run
    assert deviation.step > deviation.bound_of_step


@pytest.mark.parametrize("option", [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
def test_a_forgotten_velocity_is_found(monkeypatch, option):
    monkeypatch.setattr(
        PLAIN.SGD, "update", lambda sgd, p, g: [a - sgd.learning_rate * b for a, b in zip(p, g, strict=True)]
    )
    deviation = compare(Case(("tanh",), epochs=4, **option))
    assert deviation.run > deviation.bound_of_run
    assert deviation.step <= deviation.bound_of_step


def test_another_order_of_the_rows_is_found(monkeypatch):
    monkeypatch.setattr(PLAIN.network, "permutation", lambda n, seed, epoch: list(range(n)))
    assert not compare(Case(("tanh",), epochs=2, batch=16)).within
    assert compare(Case(("tanh",), epochs=2, batch=16, shuffle=False)).within


def test_another_start_is_found(monkeypatch):
    draw = PLAIN.initializers.INITIALIZERS["uniform"]
    monkeypatch.setitem(PLAIN.initializers.INITIALIZERS, "uniform", lambda *a: draw(*a) + 1e-3)
    for dtype in ("float64", "float32"):
        assert not compare(Case(("tanh",), initializer="uniform", epochs=1, dtype=dtype)).within


@pytest.mark.parametrize(("run", "step"), [(math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0), (2.0, 0.0)])
def test_what_is_no_number_is_not_within(run, step):
    assert not Deviation(run, step, 1.0, 1.0).within


def test_deviations_are_relative_but_not_of_numbers_near_0():
    deviation = validation._deviation
    assert deviation([2.0, 4.0], [2.0, 5.0]) == pytest.approx(0.2)
    assert deviation([1.0, 1e-9], [1.0, 2e-9]) == pytest.approx(1e-6)
    assert deviation([0.0], [0.0]) == 0.0
    assert deviation([1.0], [1.0, 1.0]) == math.inf
    assert math.isnan(deviation([math.nan], [1.0]))
