"""Schedules: learning rates that change during training, given to an optimizer as learning_rate.

s counts the updates of a fit from 0, B is the number of updates in an epoch, so T = s/B is the time in
epochs, a real number. rate(s, B) is the learning rate of update s.
"""

from __future__ import annotations

import math


class Schedule:
    """Base class of all schedules."""

    def start(self) -> None:
        """Before each fit: forget the losses of the last one."""

    def rate(self, s: int, B: int) -> float:
        """The learning rate of update s, with B updates in an epoch."""
        raise NotImplementedError

    def after_epoch(self, epoch: int, loss: float) -> None:
        """Take note of the loss of a finished epoch (counted from 0): val_loss, or loss without validation."""


def rate_of(learning_rate: float | Schedule, s: int, B: int) -> float:
    """The learning rate of update s, by a schedule or by a plain number, which is the rate of all updates."""
    return learning_rate.rate(s, B) if isinstance(learning_rate, Schedule) else learning_rate


def cosine(start: float, end: float, share: float) -> float:
    """The value between start and end as share goes from 0 to 1, along half a cosine wave."""
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0


class StepDecay(Schedule):
    """The rate is multiplied by factor every few epochs."""

    def __init__(self, initial: float, *, factor: float = 0.1, every: int = 10) -> None:
        self.initial = _positive("initial", initial)
        self.factor = _positive("factor", factor)
        self.every = _epochs("every", every)

    def rate(self, s: int, B: int) -> float:
        """Initial·factor^floor(s / (B·every))."""
        return self.initial * math.pow(self.factor, s // (B * self.every))


class ExponentialDecay(Schedule):
    """The rate is multiplied by factor in the course of each epoch, a little with each update."""

    def __init__(self, initial: float, *, factor: float = 0.96) -> None:
        self.initial = _positive("initial", initial)
        self.factor = _positive("factor", factor)

    def rate(self, s: int, B: int) -> float:
        """Initial·factor^T."""
        return self.initial * math.pow(self.factor, s / B)


class CosineDecay(Schedule):
    """The rate goes from initial to final within a number of epochs, along half a cosine wave."""

    def __init__(self, initial: float, *, epochs: int, final: float = 0.0) -> None:
        self.initial = _positive("initial", initial)
        self.epochs = _epochs("epochs", epochs)
        self.final = _not_negative("final", final)

    def rate(self, s: int, B: int) -> float:
        """Final + (initial - final)·(1 + cos(π·min(T/epochs, 1)))/2."""
        return cosine(self.initial, self.final, min(s / B / self.epochs, 1.0))


class CosineRestarts(Schedule):
    """Cosine decay with warm restarts (Loshchilov and Hutter, 2017).

    Each cycle is growth times as long as the one before, and starts decay times as high above final.
    """

    def __init__(
        self, initial: float, *, epochs: int, growth: float = 1.0, decay: float = 1.0, final: float = 0.0
    ) -> None:
        self.initial = _positive("initial", initial)
        self.epochs = _epochs("epochs", epochs)
        if not 1.0 <= growth < math.inf:
            raise ValueError(f"growth is {growth}; it must be at least 1 and finite")
        self.growth = growth
        self.decay = _positive("decay", decay)
        self.final = _not_negative("final", final)

    def rate(self, s: int, B: int) -> float:
        """The rate of cosine decay within the current cycle, whose time is T minus the cycles before it."""
        time = s / B
        length = float(self.epochs)
        height = self.initial - self.final
        while time >= length:
            time -= length
            length *= self.growth
            height *= self.decay
        return cosine(self.final + height, self.final, time / length)


class InverseScaling(Schedule):
    """The rate decreases with a power of time."""

    def __init__(self, initial: float, *, power: float = 0.5) -> None:
        self.initial = _positive("initial", initial)
        self.power = _positive("power", power)

    def rate(self, s: int, B: int) -> float:
        """Initial / (1 + T)^power."""
        return self.initial / math.pow(1.0 + s / B, self.power)


class OneCycle(Schedule):
    """Up to a maximum and down again, far below the start (Smith and Topin, 2019), as in PyTorch."""

    def __init__(
        self,
        maximum: float,
        *,
        epochs: int,
        warm_up: float = 0.3,
        initial_factor: float = 25.0,
        final_factor: float = 1e4,
    ) -> None:
        self.maximum = _positive("maximum", maximum)
        self.epochs = _epochs("epochs", epochs)
        if not 0.0 <= warm_up < 1.0:
            raise ValueError(f"warm_up is {warm_up}; it must be at least 0 and below 1")
        self.warm_up = warm_up
        self.initial_factor = _positive("initial_factor", initial_factor)
        self.final_factor = _positive("final_factor", final_factor)

    def rate(self, s: int, B: int) -> float:
        """Up until update a = warm_up·N - 1, down until b = N - 1, both by cosine; N = epochs·B."""
        a = self.warm_up * self.epochs * B - 1.0
        b = self.epochs * B - 1.0
        low = self.maximum / self.initial_factor
        least = low / self.final_factor
        if s >= b:
            return least
        if a > 0.0 and s <= a:
            return cosine(low, self.maximum, s / a)
        return cosine(self.maximum, least, (s - a) / (b - a))


class ReduceOnPlateau(Schedule):
    """The rate is multiplied by factor when the loss has not fallen by min_delta for `patience` epochs."""

    def __init__(
        self,
        initial: float,
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        least: float = 0.0,
    ) -> None:
        self.initial = _positive("initial", initial)
        if not 0.0 < factor < 1.0:
            raise ValueError(f"factor is {factor}; it must be above 0 and below 1")
        self.factor = factor
        self.patience = _epochs("patience", patience)
        self.min_delta = _not_negative("min_delta", min_delta)
        self.least = _not_negative("least", least)
        if self.least > self.initial:
            raise ValueError(f"least is {least}; it must not be above the initial rate {initial}")
        self.start()

    def start(self) -> None:
        """Before each fit: the rate is initial again, and no loss has been seen."""
        self.current = self.initial
        self.best = math.inf
        self.wait = 0

    def rate(self, s: int, B: int) -> float:
        """The current rate."""
        return self.current

    def after_epoch(self, epoch: int, loss: float) -> None:
        """Reduce the rate after `patience` epochs without a loss below best - min_delta."""
        if loss < self.best - self.min_delta:
            self.best = loss
            self.wait = 0
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.current = max(self.current * self.factor, self.least)
            self.wait = 0


class WarmUp(Schedule):
    """For some epochs the rate rises linearly to the first rate of what follows.

    after is a number or another schedule. Its time, and the losses that it sees, begin after the warm-up.
    """

    def __init__(self, after: float | Schedule, *, epochs: int) -> None:
        if isinstance(after, WarmUp):
            raise ValueError("after is a WarmUp; it needs a number or another schedule")
        if not isinstance(after, Schedule):
            _positive("after", after)
        self.after = after
        self.epochs = _epochs("epochs", epochs)

    def start(self) -> None:
        """Before each fit."""
        if isinstance(self.after, Schedule):
            self.after.start()

    def rate(self, s: int, B: int) -> float:
        """(s + 1)/N of the first rate for the first N = epochs·B updates."""
        updates = self.epochs * B
        if s < updates:
            return rate_of(self.after, 0, B) * ((s + 1) / updates)
        return rate_of(self.after, s - updates, B)

    def after_epoch(self, epoch: int, loss: float) -> None:
        """Pass the loss on to the schedule that follows, if the warm-up is over."""
        if isinstance(self.after, Schedule) and epoch >= self.epochs:
            self.after.after_epoch(epoch - self.epochs, loss)


def _positive(name: str, value: float) -> float:
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} is {value}; it must be positive and finite")
    return value


def _not_negative(name: str, value: float) -> float:
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} is {value}; it must be at least 0 and finite")
    return value


def _epochs(name: str, value: int) -> int:
    if not (isinstance(value, int) and value >= 1):
        raise ValueError(f"{name} is {value}; a whole number of at least 1 is needed")
    return value
