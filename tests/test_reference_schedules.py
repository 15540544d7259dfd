"""The schedules of the reference: against PyTorch's where it has the same, else by hand."""

from __future__ import annotations

import math

import pytest

from reference import SGD, mlp
from reference.schedules import (
    CosineDecay,
    CosineRestarts,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
    rate_of,
)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def of_torch(torch, scheduler, updates, initial=0.3, **settings):
    """The rates of PyTorch's scheduler that steps after each update."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=initial)
    schedule = getattr(torch.optim.lr_scheduler, scheduler)(optimizer, **settings)
    rates = []
    for _ in range(updates):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def rates(schedule, B, updates):
    schedule.start()
    return [schedule.rate(s, B) for s in range(updates)]


BATCHES = pytest.mark.parametrize("B", [1, 3, 7])


@BATCHES
def test_step_decay(torch, B):
    expected = of_torch(torch, "StepLR", 9 * B, step_size=2 * B, gamma=0.4)
    assert rates(StepDecay(0.3, factor=0.4, every=2), B, 9 * B) == pytest.approx(expected, rel=1e-13)


@BATCHES
def test_exponential_decay(torch, B):
    expected = of_torch(torch, "ExponentialLR", 5 * B, gamma=0.8 ** (1 / B))
    assert rates(ExponentialDecay(0.3, factor=0.8), B, 5 * B) == pytest.approx(expected, rel=1e-12)


@BATCHES
def test_cosine_decay(torch, B):
    expected = of_torch(torch, "CosineAnnealingLR", 5 * B, T_max=5 * B, eta_min=0.02)
    found = rates(CosineDecay(0.3, epochs=5, final=0.02), B, 9 * B)
    assert found[: 5 * B] == pytest.approx(expected, rel=1e-12)
    assert found[5 * B :] == [0.02] * (4 * B)


@BATCHES
@pytest.mark.parametrize("growth", [1, 2])
def test_cosine_restarts(torch, B, growth):
    settings = {"T_0": 3 * B, "T_mult": growth, "eta_min": 0.02}
    expected = of_torch(torch, "CosineAnnealingWarmRestarts", 21 * B, **settings)
    found = rates(CosineRestarts(0.3, epochs=3, growth=growth, final=0.02), B, 21 * B)
    assert found == pytest.approx(expected, rel=1e-12)


def test_cosine_restarts_from_lower_and_lower():
    schedule = CosineRestarts(0.32, epochs=2, growth=1.5, decay=0.5, final=0.02)
    found = rates(schedule, 1, 10)  # cycles of 2, 3 and 4.5 epochs: they begin at 0, 2, 5 and 9.5
    assert [found[0], found[2], found[5]] == pytest.approx([0.32, 0.17, 0.095])
    assert found[1] == pytest.approx(0.17)  # the middle of the first
    assert found[9] == pytest.approx(0.02 + 0.075 * (1 + math.cos(math.pi * 4 / 4.5)) / 2)
    assert schedule.rate(19, 2) == pytest.approx(0.02 + 0.0375)


@BATCHES
@pytest.mark.parametrize("warm_up", [0.3, 0.5, 0.0])
def test_one_cycle(torch, B, warm_up):
    N = 4 * B
    expected = of_torch(
        torch,
        "OneCycleLR",
        N,
        max_lr=0.5,
        total_steps=N,
        pct_start=warm_up,
        div_factor=10.0,
        final_div_factor=100.0,
    )
    schedule = OneCycle(0.5, epochs=4, warm_up=warm_up, initial_factor=10.0, final_factor=100.0)
    # from -1 on, where there is no warm-up: PyTorch divides by that -1 and starts a step later
    first = 1 if warm_up == 0.0 else 0
    assert rates(schedule, B, N)[first:] == pytest.approx(expected[first:], rel=1e-12)
    assert schedule.rate(N + 5, B) == schedule.rate(N - 1, B) == pytest.approx(0.5 / 10 / 100)


def test_one_cycle_whose_warm_up_is_less_than_an_update():
    # N = 2, a = -0.4, b = 1: the first update is a share 0.4/1.4 of the way down
    low = 1.0 / 25.0 / 1e4
    share = 0.4 / 1.4
    expected = low + (1.0 - low) * (1.0 + math.cos(math.pi * share)) / 2.0
    assert rates(OneCycle(1.0, epochs=2), 1, 2) == pytest.approx([expected, low])
    assert rates(OneCycle(1.0, epochs=1), 1, 1) == [low]


@BATCHES
def test_inverse_scaling(B):
    found = rates(InverseScaling(0.3, power=0.7), B, 4 * B)
    assert found == pytest.approx([0.3 / (1 + s / B) ** 0.7 for s in range(4 * B)], rel=1e-14)


@pytest.mark.parametrize("patience", [1, 3])
def test_reduce_on_plateau(torch, patience):
    losses = [1.0, 0.9, 0.95, 0.9, 0.8, 0.8, 0.7999, 0.81, 0.85, math.nan, 0.9, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    # PyTorch's patience is the number of epochs it lets go by, ours that after which it acts
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.3, patience=patience - 1, threshold=0.001, threshold_mode="abs", min_lr=0.01, eps=0.0
    )
    schedule = ReduceOnPlateau(0.3, factor=0.3, patience=patience, min_delta=0.001, least=0.01)
    schedule.start()
    for epoch, loss in enumerate(losses):
        assert schedule.rate(3 * epoch, 3) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-14)
        schedule.after_epoch(epoch, loss)
        theirs.step(loss)
    assert schedule.rate(99, 3) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-14)
    assert schedule.rate(99, 3) < 0.3
    schedule.start()
    assert schedule.rate(0, 3) == 0.3


@BATCHES
def test_warm_up(B):
    N = 2 * B
    for after in (0.4, CosineDecay(0.4, epochs=3), OneCycle(0.4, epochs=3)):
        first = rate_of(after, 0, B)
        found = rates(WarmUp(after, epochs=2), B, 6 * B)
        assert found[:N] == pytest.approx([first * (s + 1) / N for s in range(N)], rel=1e-14)
        assert found[N:] == [rate_of(after, s, B) for s in range(4 * B)]
    assert found[N - 1] == found[N]


def test_a_plateau_after_a_warm_up_begins_to_look_when_that_is_over():
    schedule = WarmUp(ReduceOnPlateau(0.4, factor=0.5, patience=2), epochs=3)
    schedule.start()
    found = []
    for epoch in range(7):
        found.append(schedule.rate(epoch, 1))
        schedule.after_epoch(epoch, 1.0)
    # epochs 0 to 2 are not looked at; 3 is the best, 4 and 5 are waited for
    assert found == pytest.approx([0.4 / 3, 0.8 / 3, 0.4, 0.4, 0.4, 0.4, 0.2])
    schedule.start()
    assert schedule.rate(3, 1) == 0.4


@BATCHES
def test_fit_follows_the_schedule(B):
    X, y = [[0.1 * i, 1.0] for i in range(3 * B)], [0.3 * i for i in range(3 * B)]
    schedule = WarmUp(ExponentialDecay(0.1, factor=0.5), epochs=2)
    net, twin = mlp([2, 1]), mlp([2, 1])
    history = net.fit(X, y, epochs=4, batch_size=3, shuffle=False, optimizer=SGD(schedule))
    for s in range(4 * B):
        start = 3 * (s % B)
        part = slice(start, start + 3)
        twin.fit(X[part], y[part], optimizer=SGD(schedule.rate(s, B)))
    assert net.parameters == twin.parameters
    assert history.learning_rate == [schedule.rate(epoch * B, B) for epoch in range(4)]


def test_a_batch_without_weight_takes_its_time_but_makes_no_update():
    X, y = [[1.0], [2.0], [3.0], [4.0]], [1.0, 0.0, 2.0, 1.0]
    schedule = ExponentialDecay(0.01, factor=0.5)
    net, twin = mlp([1, 1]), mlp([1, 1])
    options = {"batch_size": 2, "shuffle": False}
    net.fit(X, y, epochs=2, sample_weight=[0, 0, 1, 1], optimizer=SGD(schedule), **options)
    for s in (1, 3):
        twin.fit(X[2:], y[2:], optimizer=SGD(schedule.rate(s, 2)))
    assert net.parameters == twin.parameters


def test_fit_reduces_the_rate_on_a_plateau_of_validation_or_else_of_training():
    X, y = [[0.0], [0.0]], [1.0, 1.0]
    schedule = ReduceOnPlateau(0.1, factor=0.5, patience=1, min_delta=1e-4)
    optimizer = SGD(schedule)
    history = mlp([1, 1]).fit(X, y, epochs=5, optimizer=optimizer)
    assert history.learning_rate == [0.1] * 5  # the loss falls
    # the loss falls, but that of validation, whose target is on the other side, grows
    history = mlp([1, 1]).fit(X, y, epochs=5, optimizer=optimizer, validation_data=(X, [-1.0, -1.0]))
    assert history.learning_rate == [0.1, 0.1, 0.05, 0.025, 0.0125]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: StepDecay(0.0), "initial is 0.0"),
        (lambda: StepDecay(0.1, factor=0.0), "factor is 0.0"),
        (lambda: StepDecay(0.1, every=0), "every is 0"),
        (lambda: ExponentialDecay(0.1, factor=math.inf), "factor is inf"),
        (lambda: CosineDecay(0.1, epochs=0), "epochs is 0"),
        (lambda: CosineDecay(0.1, epochs=1.5), "epochs is 1.5; a whole number"),
        (lambda: CosineDecay(0.1, epochs=3, final=-1.0), "final is -1.0"),
        (lambda: CosineRestarts(0.1, epochs=3, growth=0.9), "growth is 0.9"),
        (lambda: CosineRestarts(0.1, epochs=3, decay=0.0), "decay is 0.0"),
        (lambda: InverseScaling(0.1, power=-0.5), "power is -0.5"),
        (lambda: OneCycle(math.nan, epochs=3), "maximum is nan"),
        (lambda: OneCycle(0.1, epochs=3, warm_up=1.0), "warm_up is 1.0"),
        (lambda: ReduceOnPlateau(0.1, factor=1.0), "factor is 1.0"),
        (lambda: ReduceOnPlateau(0.1, patience=0), "patience is 0"),
        (lambda: WarmUp(WarmUp(0.1, epochs=1), epochs=1), "after is a WarmUp"),
        (lambda: WarmUp(-0.1, epochs=1), "after is -0.1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
