"""Schedules: formulas at chosen times, arguments, how they are shown. Whole runs: test_oracle_training.py."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import fastnn
import reference
from fastnn import schedules
from fastnn.schedules import (
    CosineDecay,
    CosineRestarts,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
)
from tests.problems import made
from tests.test_oracle_training import SCHEDULES


def rates(schedule, epochs, rows=4, batch_size=None):
    """The rate of each epoch's first update."""
    X = np.linspace(-1, 1, rows)[:, np.newaxis]
    net = fastnn.mlp([1, 1])
    options = {"epochs": epochs, "batch_size": batch_size, "optimizer": fastnn.SGD(schedule)}
    return net.fit(X, X[:, 0], **options).learning_rate.tolist()


def test_formulas_by_hand():
    assert rates(StepDecay(1.0, factor=0.5, every=2), 5) == [1.0, 1.0, 0.5, 0.5, 0.25]
    assert rates(ExponentialDecay(1.0, factor=0.5), 4) == [1.0, 0.5, 0.25, 0.125]
    assert rates(InverseScaling(1.0, power=1), 4) == pytest.approx([1.0, 1 / 2, 1 / 3, 1 / 4])
    assert rates(CosineDecay(1.0, epochs=2, final=0.5), 4) == pytest.approx([1.0, 0.75, 0.5, 0.5])
    restarts = CosineRestarts(1.0, epochs=2, growth=2, decay=0.5)
    assert rates(restarts, 7) == pytest.approx(
        [1.0, 0.5, 0.5, *(0.25 * (1 + math.cos(math.pi * r)) for r in (0.25, 0.5, 0.75)), 0.25]
    )
    assert rates(WarmUp(1.0, epochs=4), 6) == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])
    after = WarmUp(StepDecay(1.0, factor=0.1, every=1), epochs=2)
    assert rates(after, 5) == pytest.approx([0.5, 1.0, 1.0, 0.1, 0.01])


def test_equal_ones_are_equal():
    for make in (
        lambda: CosineDecay(0.1, epochs=5),
        lambda: WarmUp(ReduceOnPlateau(0.1), epochs=2),
        lambda: fastnn.SGD(OneCycle(0.1, epochs=5), momentum=0.9),
        lambda: fastnn.EarlyStopping(patience=3),
    ):
        assert make() == make()
        assert len({make(), make()}) == 1
    assert CosineDecay(0.1, epochs=5) != CosineDecay(0.1, epochs=6)
    assert fastnn.EarlyStopping(patience=3) != fastnn.EarlyStopping(patience=4)


def test_cannot_be_changed():
    for given, name in ((CosineDecay(0.1, epochs=5), "epochs"), (fastnn.EarlyStopping(), "patience")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(given, name, -1)


def test_time_goes_on_within_an_epoch():
    # 5 updates an epoch, of which the rate of the first is kept: a fifth of the way by the second epoch.
    rising = rates(WarmUp(1.0, epochs=2), 3, rows=10, batch_size=2)
    assert rising == pytest.approx([0.1, 0.6, 1.0])
    assert rates(OneCycle(1.0, epochs=1, warm_up=0.5), 3, rows=10, batch_size=1)[0] == pytest.approx(1 / 25)


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("name", SCHEDULES)
def test_each_fit_begins_anew(name, batch_size):
    schedule = made(SCHEDULES[name], fastnn)
    assert rates(schedule, 5, batch_size=batch_size) == rates(schedule, 5, batch_size=batch_size)


@pytest.mark.parametrize("warm_up", [0.0, 0.3])
@pytest.mark.parametrize(("rows", "batch_size"), [(12, 4), (12, None), (3, 1)])
def test_one_cycle_is_pytorch_s(rows, batch_size, warm_up):
    torch = pytest.importorskip("torch")
    batches = 1 if batch_size is None else rows // batch_size
    found = rates(OneCycle(0.3, epochs=9, warm_up=warm_up), 9, rows, batch_size)
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.3, total_steps=9 * batches, pct_start=warm_up or 1e-9
    )
    expected = []
    for _ in range(9 * batches):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(expected) < 9 * batches:
            theirs.step()
    assert found[1:] == pytest.approx(expected[::batches][1:], rel=1e-6)


def test_plateau():
    X, y = [[0.0], [0.0]], [1.0, 1.0]
    net = fastnn.Sequential([fastnn.Dense(1, bias=[1.0])], inputs=1)  # the loss is 0 and stays
    schedule = ReduceOnPlateau(1.0, factor=0.5, patience=2, least=0.2)
    assert net.fit(X, y, epochs=9, optimizer=fastnn.SGD(schedule)).learning_rate.tolist() == [
        1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2,
    ]  # fmt: skip


BAD = {
    "initial 0": (lambda s: s.StepDecay(0.0), "initial is 0"),
    "initial infinite": (lambda s: s.ExponentialDecay(math.inf), "initial is inf"),
    "initial NaN": (lambda s: s.CosineDecay(math.nan, epochs=3), "initial is nan"),
    "factor 0": (lambda s: s.StepDecay(1.0, factor=0), "factor is 0"),
    "every 0": (lambda s: s.StepDecay(1.0, every=0), "every is 0"),
    "epochs 0": (lambda s: s.CosineDecay(1.0, epochs=0), "epochs is 0"),
    "final negative": (lambda s: s.CosineDecay(1.0, epochs=1, final=-1), "final is -1"),
    "growth below 1": (lambda s: s.CosineRestarts(1.0, epochs=1, growth=0.5), "growth is 0.5"),
    "decay 0": (lambda s: s.CosineRestarts(1.0, epochs=1, decay=0), "decay is 0"),
    "power 0": (lambda s: s.InverseScaling(1.0, power=0), "power is 0"),
    "maximum negative": (lambda s: s.OneCycle(-1.0, epochs=1), "maximum is -1"),
    "warm_up 1": (lambda s: s.OneCycle(1.0, epochs=1, warm_up=1.0), "warm_up is 1"),
    "initial_factor 0": (lambda s: s.OneCycle(1.0, epochs=1, initial_factor=0), "initial_factor is 0"),
    "plateau factor 1": (lambda s: s.ReduceOnPlateau(1.0, factor=1.0), "factor is 1"),
    "patience 0": (lambda s: s.ReduceOnPlateau(1.0, patience=0), "patience is 0"),
    "min_delta negative": (lambda s: s.ReduceOnPlateau(1.0, min_delta=-1), "min_delta is -1"),
    "least negative": (lambda s: s.ReduceOnPlateau(1.0, least=-1), "least is -1"),
    "least above the first": (lambda s: s.ReduceOnPlateau(1.0, least=1.5), "least is 1.5"),
    "warm-up of a warm-up": (lambda s: s.WarmUp(s.WarmUp(1.0, epochs=1), epochs=1), "after is "),
    "after 0": (lambda s: s.WarmUp(0, epochs=1), "after is 0"),
    "warm-up of 0 epochs": (lambda s: s.WarmUp(1.0, epochs=0), "epochs is 0"),
}


@pytest.mark.parametrize("library", [schedules, reference.schedules], ids=["fastnn", "reference"])
@pytest.mark.parametrize(("make", "match"), BAD.values(), ids=BAD)
def test_bad_arguments(make, match, library):
    with pytest.raises(ValueError, match=match):
        make(library)


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepDecay("0.1"),
        lambda: StepDecay(0.1, every=2.5),
        lambda: CosineDecay(0.1, epochs=True),
        lambda: OneCycle(0.1, epochs=3, warm_up=None),
        lambda: ReduceOnPlateau(0.1, patience="3"),
        lambda: WarmUp("0.1", epochs=3),
    ],
)
def test_arguments_of_other_types(make):
    with pytest.raises(TypeError, match=r" is .*; .* is needed"):
        make()


@pytest.mark.parametrize("name", SCHEDULES)
def test_shown_as_it_is_made(name):
    schedule = made(SCHEDULES[name], fastnn)
    again = eval(repr(schedule), vars(schedules))
    assert repr(again) == repr(schedule)
    assert (again.initial, again.numbers, again.plateau, again.warm_epochs) == (
        schedule.initial,
        schedule.numbers,
        schedule.plateau,
        schedule.warm_epochs,
    )


def test_optimizer_shows_its_schedule():
    assert repr(fastnn.Adam(StepDecay(0.1))) == "Adam(StepDecay(0.1, factor=0.1, every=10))"


def test_rprop_takes_a_plain_number():
    with pytest.raises((TypeError, ValueError), match="learning_rate is StepDecay"):
        fastnn.Rprop(StepDecay(0.1))


def test_times_that_no_fit_reaches():
    with pytest.raises(ValueError, match=r"every is 1000.*; a whole number from 1 to 1000000000"):
        schedules.StepDecay(1.0, every=10**30)
