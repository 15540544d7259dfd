"""The table of configurations: it covers all there is, it passes, and it fails where something is wrong."""

from __future__ import annotations

import math

import pytest

import fastnn
from fastnn import schedules, validation
from fastnn.activations import ACTIVATIONS
from fastnn.cli import main
from fastnn.configurations import CASES, Case, choice
from fastnn.initializers import INITIALIZERS
from fastnn.loss_kinds import ANY, LOSSES
from fastnn.metrics import METRICS
from fastnn.optimizers import OPTIMIZERS
from fastnn.validation import Deviation, compare
from tests.marks import core

PLAIN = validation.reference()


def loss_name(case):
    """The loss of a case by name, with settings or without."""
    return case.loss if isinstance(case.loss, str) else case.loss.of(fastnn).name


def optimizer_names(case):
    """Of its classes: the optimizer, and the schedules within it."""
    return [] if case.optimizer is None else case.optimizer.names


def test_the_table_covers_every_choice():
    assert {name for case in CASES for name in (*case.hidden, case.output)} == set(ACTIVATIONS)
    assert {case.initializer for case in CASES} == {None, 0.1, *INITIALIZERS}
    assert {case.dtype for case in CASES} == {"float64", "float32"}
    pairs = {(loss_name(case), case.output) for case in CASES}
    for name, loss in LOSSES.items():
        assert {(name, output) for output in loss.formulas if output != ANY} <= pairs
        assert (name, loss.natural) in pairs
        assert {1, 3} - {case.outputs for case in CASES if loss_name(case) == name} <= (
            {1} if name == "cross_entropy" else set()
        )
    double = [case for case in CASES if case.dtype == "float64"]
    assert {case.batch for case in double} >= {None, 1, 16}
    assert {case.weighted for case in double if case.batch} == {True, False}
    assert not all(case.shuffle for case in double)


def test_the_table_covers_every_way_of_training():
    settings = {name for case in CASES if case.optimizer is not None for name, _ in case.optimizer.settings}
    assert settings >= {"momentum", "nesterov", "clip_value", "clip_norm", "weight_decay", "centered"}
    used = {name for case in CASES for name in optimizer_names(case)}
    assert used >= {cls.__name__ for cls in OPTIMIZERS.values()}
    classes = [cls for cls in vars(schedules).values() if isinstance(cls, type)]
    assert used >= {cls.__name__ for cls in classes if issubclass(cls, schedules.Schedule)} - {"Schedule"}
    losses_with_settings = {case.loss.names[0] for case in CASES if not isinstance(case.loss, str)}
    assert losses_with_settings == {"Huber", "Quantile", "BinaryCrossEntropy", "CrossEntropy", "Focal"}


def test_the_table_covers_every_bound_and_what_is_kept_of_an_epoch():
    for name in (
        "l1",
        "l2",
        "max_norm",
        "dropout",
        "normalized",
        "frozen",
        "validation",
        "stopping",
        "class_weight",
    ):
        with_it = [case for case in CASES if getattr(case, name)]
        assert with_it, name
    assert {name for case in CASES for name in case.metrics} == set(METRICS)
    assert any(case.dropout and case.batch for case in CASES)
    assert any(case.validation and case.batch and case.metrics for case in CASES)


def test_names_tell_cases_apart():
    assert len({(case.name, case.dtype) for case in CASES}) == len(CASES)


@pytest.mark.compiled
@pytest.mark.parametrize("step", core([1, 8], 8))
def test_all_configurations_agree(monkeypatch, capsys, step):
    cases = CASES[::step]
    monkeypatch.setattr(validation, "CASES", cases)
    assert main(["validate"]) == 0
    out = capsys.readouterr().out
    assert f"All {len(cases)} configurations agree" in out
    assert len([line for line in out.splitlines() if line.count(" < ") == 2]) == len(cases)


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


@pytest.mark.parametrize("name", ["mse", "half_sse", "mae", "huber", "log_cosh", "quantile"])
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
        PLAIN.SGD, "update", lambda sgd, p, g, rate: [a - rate * b for a, b in zip(p, g, strict=True)]
    )
    optimizer = choice("SGD", learning_rate=0.1, **option)
    deviation = compare(Case(("tanh",), epochs=4, optimizer=optimizer))
    assert deviation.run > deviation.bound_of_run
    assert deviation.step <= deviation.bound_of_step


def test_another_order_of_the_rows_is_found(monkeypatch):
    monkeypatch.setattr(PLAIN.training, "permutation", lambda n, seed, epoch: list(range(n)))
    assert not compare(Case(("tanh",), epochs=2, batch=16)).within
    assert compare(Case(("tanh",), epochs=2, batch=16, shuffle=False)).within


def test_another_start_is_found(monkeypatch):
    draw = PLAIN.initializers.INITIALIZERS["uniform"]
    monkeypatch.setitem(PLAIN.initializers.INITIALIZERS, "uniform", lambda *a: draw(*a) + 1e-3)
    for dtype in ("float64", "float32"):
        assert not compare(Case(("tanh",), initializer="uniform", epochs=1, dtype=dtype)).within


def late(rate):
    return lambda schedule, s, B: rate(schedule, s + 1, B)


def next_sample(choose):
    return lambda layer, seed, epoch, number, sample: choose(layer, seed, epoch, number, sample + 1)


def more(function):
    return lambda *arguments: function(*arguments) * (1 + 1e-6)


INVERSE = choice("SGD", learning_rate=choice("schedules.InverseScaling", initial=0.1))
FAULTS = {
    "penalty": ({"l1": 0.1}, PLAIN.Dense, "penalty", more),
    "dropout": ({"dropout": 0.3}, PLAIN.Dropout, "choose", next_sample),
    "schedule": ({"optimizer": INVERSE}, PLAIN.schedules.InverseScaling, "rate", late),
    "validation": ({"validation": 0.3}, PLAIN.classes, "SPLIT_STREAM", lambda stream: stream + 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_training_is_found(monkeypatch, fault):
    options, module, name, spoil = FAULTS[fault]
    case = Case(("tanh",), epochs=3, **options)
    assert compare(case).within
    monkeypatch.setattr(module, name, spoil(getattr(module, name)))
    assert not compare(case).within


def test_a_wrong_metric_is_found(monkeypatch):
    case = Case(("tanh",), epochs=2, metrics=("mae",))
    assert compare(case).within
    monkeypatch.setitem(PLAIN.metrics.METRICS, "mae", more(PLAIN.metrics.METRICS["mae"]))
    assert not compare(case).within


def test_another_best_epoch_is_found(monkeypatch):
    case = Case(("tanh",), epochs=3, stopping=choice("EarlyStopping", patience=5))
    assert compare(case).within
    look = PLAIN.EarlyStopping.look
    monkeypatch.setattr(PLAIN.EarlyStopping, "look", lambda stopping, *at: look(stopping, *at) or True)
    assert compare(case).run == math.inf


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
