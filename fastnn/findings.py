"""Findings: for each problem seen in measurements and curves, a sentence that says what it is and what helps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn.inspection import LayerDiagnosis, Reach
from fastnn.layers import Dense

if TYPE_CHECKING:
    from fastnn.dataset import Rows
    from fastnn.history import History
    from fastnn.loss_kinds import Loss
    from fastnn.network import Sequential

Array = npt.NDArray[Any]

# Rules of thumb. Each lies well beyond what the healthy networks of the tests show.
LARGE = 10.0  # numbers of this size drive sigmoids into saturation, and make gradients as large
SMALL = 0.01  # if all numbers are smaller, they hardly move the units that see them
OFFSET = 5.0  # how many standard deviations a mean may be away from 0
GRADIENTS_APART = 100.0  # the factor by which gradient norms of layers may differ,
SHALLOW_APART = 1e4  # and in a network with one hidden layer, which is stuck for other reasons
GRADIENT_OVER_PARAMETERS = 100.0  # norm of the gradient, divided by that of the parameters
DEAD, SPARE_DEAD = 0.4, 0.6  # shares of units; the latter in a network that fits well all the same
SATURATED = 0.5  # a share of a hidden layer's outputs
WRONGLY_SATURATED = 0.1  # a share of the network's outputs
GOOD, POOR = 0.9, 0.25  # shares of the targets' variance that are explained
OSCILLATION = 0.1  # a share of the reduction of the loss
RISE, GAP = 0.2, 0.5  # of a validation loss, as shares of the reduction of the loss,
LEARNT = 0.5  # if that is at least this share of the loss to begin with
FEWEST_EPOCHS = 10  # the length from which a curve is judged
MOST_NAMED = 3


@dataclass(frozen=True)
class Facts:
    """All the facts that the sentences are made from."""

    net: Sequential
    rows: Rows  # those of weight above 0
    loss: Loss
    loss_now: float
    fused: bool  # whether the loss is computed from logits
    reach: Reach  # that of the output layer's activation
    layers: tuple[LayerDiagnosis, ...]
    outputs: Array
    saturated: npt.NDArray[np.bool_] | None  # which outputs are
    explained: float | None
    guessing: float | None  # the loss of the best constant outputs, if it is known
    rate: float | None
    loss_after_step: float | None
    fitting_rate: float | None  # a rate that lowers the loss, if ``rate`` does not

    @property
    def does_its_work(self) -> bool:
        """Whether the network fits so well that there is little left to criticize."""
        return self.explained is not None and self.explained >= GOOD


def advice(facts: Facts) -> list[str]:
    """Return a sentence for each problem that was found, causes before effects."""
    found = [*_of_numbers(facts), *_of_rate(facts)]
    unscaled = [*_of_inputs(facts.rows.X), *_of_targets(facts)]
    found += unscaled
    found += [*_of_alike_units(facts), *_of_dead_units(facts), *_of_saturation(facts)]
    found += _of_gradients(facts, bool(unscaled))
    if facts.net.history is not None:
        found += _of_curves(facts, facts.net.history)
    return found


def figure(number: float) -> str:
    """Return a number to three digits."""
    if not np.isfinite(number):
        return str(number)
    rounded = float(f"{number:.3g}")
    return f"{rounded:,.0f}" if 100 <= abs(rounded) < 1e6 else f"{rounded:g}"


def percent(share: float) -> str:
    """Return a share in percent; nothing below 1 is rounded to 100 %."""
    if share == 1:
        return "100 %"
    return f"{100 * share:.2g} %" if share < 0.99 else f"{min(99.9, 100 * share):.3g} %"


def _of_numbers(facts: Facts) -> Iterator[str]:
    if not np.isfinite(facts.loss_now):
        yield (
            f"the loss is {facts.loss_now}: outputs are too large to be computed with; start again from new "
            "initial values, with scaled inputs and a smaller learning rate"
        )


# Learning rates -----------------------------------------------------------------------------------------


def _of_rate(facts: Facts) -> Iterator[str]:
    history = facts.net.history
    if history is not None:
        yield from _of_training_loss(history)
    after = facts.loss_after_step
    if after is None or after <= facts.loss_now:
        return
    hint = "no smaller one that was tried lowers it"
    if facts.fitting_rate is not None:
        hint = f"{figure(facts.fitting_rate)} would lower it"
    yield (
        f"a step of gradient descent with learning rate {facts.rate:g} takes the loss from "
        f"{figure(facts.loss_now)} to {figure(after)}: the rate is too large; {hint}"
    )


def _of_training_loss(history: History) -> Iterator[str]:
    losses = history.loss
    rate = f" than {history.learning_rate[-1]:g}" if len(history.learning_rate) else ""
    if history.status == "diverged":
        yield (
            f"the fit diverged after epoch {history.epochs}: the loss was no longer finite; use a smaller "
            f"learning rate{rate}, or bound the gradient (clip_norm=1)"
        )
    elif len(losses) >= FEWEST_EPOCHS:
        best = int(losses.argmin())
        gained = losses[0] - losses[best]
        risen = losses[-1] - losses[best]
        if risen > 0.5 * gained and risen > 0.05 * abs(losses[best]):
            yield (
                f"the loss rose from {figure(losses[best])} in epoch {best + 1} to {figure(losses[-1])} in epoch "
                f"{len(losses)}: use a smaller learning rate{rate}, or a schedule that lowers it"
            )
        elif _oscillates(losses, gained):
            yield (
                f"the loss goes up and down, at the end between {figure(losses[-5:].min())} and "
                f"{figure(losses[-5:].max())}: use a smaller learning rate{rate}, or a schedule that lowers it"
            )


def _oscillates(losses: Array, gained: float) -> bool:
    """Whether in the second half the loss rises noticeably in at least every fourth epoch."""
    tail = losses[len(losses) // 2 :]
    steps = np.diff(tail)
    rises = steps[steps > 0]
    if len(rises) < len(steps) / 4:
        return False
    typical = float(np.median(rises))
    return typical > OSCILLATION * gained and typical > 0.05 * abs(float(np.median(tail)))


# Inputs and targets -------------------------------------------------------------------------------------


def _unscaled(mean: Array, spread: Array, largest: Array) -> Array:
    """Return which columns are far from mean 0 and deviation 1; constant ones are handled elsewhere."""
    size = np.hypot(mean, spread)
    off = (np.abs(mean) > OFFSET * spread) & (np.abs(mean) >= 1.0)
    found: Array = ((size > LARGE) | off | (largest < SMALL)) & (spread > 0)
    return found


def _columns(values: Array) -> tuple[Array, Array, Array]:
    """Return mean, deviation (exactly 0 if constant) and greatest absolute value of each column."""
    exact = values.astype(np.float64)
    constant = (values == values[0]).all(axis=0)
    return exact.mean(axis=0), np.where(constant, 0.0, exact.std(axis=0)), np.abs(exact).max(axis=0)


def _named(columns: Array) -> str:
    """Return the names of columns, like "X[:, 0], X[:, 3] and 5 more"."""
    shown = [f"X[:, {i}]" for i in columns[:MOST_NAMED]]
    if len(columns) > MOST_NAMED:
        return f"{', '.join(shown)} and {len(columns) - MOST_NAMED:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]


def _of_inputs(X: Array) -> Iterator[str]:
    if len(X) < 2:
        return
    mean, spread, largest = _columns(X)
    constant = np.flatnonzero(spread == 0)
    if len(constant) == 1:
        yield (
            f"{_named(constant)} is {figure(X[0, constant[0]])} in every row: a constant column tells the network "
            "nothing; leave it out"
        )
    elif len(constant):
        yield (
            f"{len(constant):,} of {X.shape[1]:,} columns of X are the same in every row ({_named(constant)}): "
            "constant columns tell the network nothing; leave them out"
        )
    unscaled = np.flatnonzero(_unscaled(mean, spread, largest))
    if len(unscaled):
        worst = unscaled[np.argmax(np.abs(np.log(np.hypot(mean, spread)[unscaled])))]
        others = f" ({len(unscaled):,} of {X.shape[1]:,} columns are far from that)" if len(unscaled) > 1 else ""
        yield (
            f"inputs are unscaled: X[:, {worst}] has mean {figure(mean[worst])} and deviation "
            f"{figure(spread[worst])}; bring columns to mean 0 and deviation 1{others}"
        )


def _of_targets(facts: Facts) -> Iterator[str]:
    targets = facts.rows.given
    if len(targets) > 1 and (targets == targets[0]).all():
        yield f"y is {_shown(targets[0])} in every row: there is nothing to be learnt from it"
        return
    if facts.loss.of_classes:  # their range is checked elsewhere
        return
    reach, name = facts.reach, facts.net.layers[-1].activation
    low, high = float(targets.min()), float(targets.max())
    slack = SMALL * (reach.high - reach.low if np.isfinite(reach.high - reach.low) else 1.0)
    if low < reach.low - slack or high > reach.high + slack:
        bounds = f"from {figure(reach.low)} to {figure(reach.high)}"
        if np.isinf(reach.high):
            bounds = f"from {figure(reach.low)} on"
        if np.isinf(reach.low):
            bounds = f"up to {figure(reach.high)}"
        yield (
            f"y goes from {figure(low)} to {figure(high)}, and {name} outputs {bounds}: scale y into that range, "
            "or use identity outputs"
        )
    elif np.isinf(reach.high) and name != "exponential":
        mean, spread, largest = _columns(targets)
        unscaled = np.flatnonzero(_unscaled(mean, spread, largest))
        if len(unscaled):
            k = unscaled[0]
            which = "y" if targets.shape[1] == 1 else f"y[:, {k}]"
            yield (
                f"targets are unscaled: {which} has mean {figure(mean[k])} and deviation {figure(spread[k])}; "
                "bring it to mean 0 and deviation 1, and predictions back"
            )


def _shown(row: Array) -> str:
    return figure(row[0]) if len(row) == 1 else "[" + ", ".join(figure(value) for value in row) + "]"


# Units --------------------------------------------------------------------------------------------------


def _of_alike_units(facts: Facts) -> Iterator[str]:
    dense = [(i, layer) for i, layer in enumerate(facts.net.layers) if isinstance(layer, Dense)]
    for (i, layer), (_, after) in pairwise(dense):
        alike = (layer.weights == layer.weights[:, :1]).all() and (layer.bias == layer.bias[0]).all()
        if layer.units > 1 and alike and (after.weights == after.weights[:1]).all():
            yield (
                f"all {layer.units} units of layers[{i}] have the same weights, so they learn the same and count "
                "as one; use random initial values"
            )


def _of_dead_units(facts: Facts) -> Iterator[str]:
    told = SPARE_DEAD if facts.does_its_work else DEAD
    for layer, measured in zip(facts.net.layers, facts.layers, strict=True):
        if measured.dead is None or measured.dead < told:
            continue
        units = round(measured.dead * layer.units)
        all_ = "all " if units == layer.units > 1 else f"{units} of "
        of_all = f"{all_}{layer.units} unit{'s' * (layer.units > 1)}"
        what = f"{of_all} of {measured.name} ({layer.activation})"
        if layer.activation == "step":
            yield f"{what} have derivative 0: nothing up to there can learn; train with sigmoid instead of step"
        elif layer is facts.net.layers[-1]:
            yield (
                f"{what} {_are(units)} dead, with derivative 0 for every row: start again from other initial "
                "values, with outputs that have no flat side, like identity or softplus"
            )
        else:
            yield (
                f"{what} {_are(units)} dead, with derivative 0 for every row: start again with a smaller learning "
                "rate and He initial values, or use leaky_relu or elu"
            )


def _are(units: int) -> str:
    return "is" if units == 1 else "are"


def _of_saturation(facts: Facts) -> Iterator[str]:
    if facts.does_its_work:
        return
    for layer, measured in zip(facts.net.layers[:-1], facts.layers[:-1], strict=True):
        if measured.saturated is not None and measured.saturated > SATURATED:
            yield (
                f"{percent(measured.saturated)} of the outputs of {measured.name} ({layer.activation}) are "
                "saturated, so that hardly any gradient gets through: scale the inputs, begin with smaller "
                "weights (Glorot), or use relu"
            )
    if facts.saturated is None or facts.fused:
        return
    low, high = facts.reach.low, facts.reach.high
    wrong = facts.saturated & (np.abs(facts.outputs - facts.rows.given) > 0.5 * (high - low))
    share = float(wrong.mean())
    if share > WRONGLY_SATURATED:
        name = facts.net.layers[-1].activation
        remedy = "identity outputs, or start again from smaller weights"
        if low >= 0:
            remedy = (
                f"loss {'cross_entropy' if name == 'softmax' else 'binary_cross_entropy with sigmoid outputs'}"
            )
        yield (
            f"{percent(share)} of the outputs ({name}) are saturated at the wrong end, where loss "
            f"{facts.loss.name} has hardly any gradient: use {remedy}"
        )


# Gradients ----------------------------------------------------------------------------------------------


def _of_gradients(facts: Facts, unscaled: bool) -> Iterator[str]:
    dense = [
        (measured, layer.activation)
        for layer, measured in zip(facts.net.layers, facts.layers, strict=True)
        if isinstance(layer, Dense)
    ]
    first = dense[0][0]
    norms = [measured.gradient_norm for measured, _ in dense]
    if not all(np.isfinite(norms)):
        worst = next(measured for measured, _ in dense if not np.isfinite(measured.gradient_norm))
        yield (
            f"the gradient of {worst.name} is not finite: start again with a smaller learning rate and scaled "
            "inputs"
        )
        return
    # A network that fits well may have small gradients, and one that has converged any gradients.
    if facts.does_its_work or (facts.net.history is not None and facts.net.history.status == "converged"):
        return
    greatest = dense[int(np.argmax(norms))][0]
    apart = GRADIENTS_APART if len(dense) > 2 else SHALLOW_APART
    # If all units of a layer are dead, that is reported already, and it stops the gradient.
    through = all(measured.dead != 1 for measured, _ in dense)
    if not any(norms) and through:
        yield (
            "the gradient is 0 in every layer, and the targets are not met: start again from other initial values"
        )
    elif greatest.gradient_norm > apart * first.gradient_norm and through:
        bounded = [name for measured, name in dense[:-1] if measured.saturated is not None]
        remedy = f"use relu with He initial values instead of {bounded[0]}" if bounded else "use He initial values"
        less = "no gradient at all, and"
        compared = f"{greatest.name} one of norm {figure(greatest.gradient_norm)}"
        if first.gradient_norm:
            less = f"a gradient {figure(greatest.gradient_norm / first.gradient_norm)} times smaller than"
            compared = greatest.name
        yield (
            f"{first.name} gets {less} {compared}: gradients vanish; {remedy}, LayerNormalization, or fewer layers"
        )
    elif not unscaled:
        last = dense[-1][0]
        if last.gradient_norm and first.gradient_norm > apart * last.gradient_norm:
            yield (
                f"{first.name} gets a gradient {figure(first.gradient_norm / last.gradient_norm)} times larger "
                f"than {last.name}: gradients explode; begin with smaller weights (Glorot or He), or bound the "
                "gradient (clip_norm=1)"
            )
        else:
            yield from _of_long_gradient(facts)


def _of_long_gradient(facts: Facts) -> Iterator[str]:
    # The gradient of a layer whose parameters are all 0 cannot be compared with them.
    finite = [layer for layer in facts.layers if np.isfinite(layer.relative_gradient)]
    worst = max(finite, key=lambda layer: layer.relative_gradient, default=None)
    if worst is not None and worst.relative_gradient > GRADIENT_OVER_PARAMETERS:
        yield (
            f"the gradient of {worst.name} is {figure(worst.relative_gradient)} times as long as its parameters: "
            "gradients explode; use a small learning rate, bound the gradient (clip_norm=1), or begin with "
            "smaller weights"
        )


# Curves -------------------------------------------------------------------------------------------------


def _of_curves(facts: Facts, history: History) -> Iterator[str]:
    if history.status == "diverged" or history.epochs < FEWEST_EPOCHS:
        return
    losses = history.loss
    overfits = list(_of_overfitting(history, facts.guessing))
    yield from overfits
    if overfits or facts.explained is None or facts.explained >= POOR:
        return
    ends = losses[-1] if history.val_loss is None else max(losses[-1], history.val_loss[-1])
    if facts.loss_now > ends + 0.5 * abs(ends):
        return  # these are not the rows that the curves are about
    late = losses[-1 - len(losses) // 4]
    both = f"the loss is {figure(losses[-1])}"
    if history.val_loss is not None:
        both += f" and val_loss {figure(history.val_loss[-1])}"
    known = f"only {percent(max(0.0, facts.explained))} of the targets' variance is explained"
    if late - losses[-1] > 0.01 * abs(losses[-1]):
        yield (
            f"{both}, {known}, and the loss was still falling: the network underfits; train for more epochs, or "
            "with a larger learning rate"
        )
    else:
        yield (
            f"{both}, {known}, and the loss no longer falls: the network underfits; use more units or layers, "
            "less regularization, or inputs that tell more"
        )


def _of_overfitting(history: History, guessing: float | None) -> Iterator[str]:
    """Find overfitting: what was learnt from the training rows does not hold for those of validation."""
    loss, seen = history.loss, history.val_loss
    if seen is None or not np.isfinite(seen).all():
        return
    kept = (history.best_epoch or history.epochs) - 1  # the epoch whose parameters the network usually has
    low = int(seen.argmin())
    # A fit may continue with a trained network, and then there is little left to gain at its start.
    start = max(loss[0], -np.inf if guessing is None else guessing)
    gained = start - loss[kept]
    remedy = "the network overfits; use early_stopping, l2 or dropout, fewer units, or more rows"
    rise = seen[kept] - seen[low]
    if rise > RISE * gained and loss[kept] < loss[low]:
        yield (
            f"val_loss was lowest in epoch {low + 1} ({figure(seen[low])}) and rose to {figure(seen[kept])}, "
            f"while the loss fell to {figure(loss[kept])}: {remedy}"
        )
    elif seen[kept] - loss[kept] > GAP * gained and gained > LEARNT * abs(start):
        yield f"val_loss is {figure(seen[kept])} and the loss {figure(loss[kept])}: {remedy}"
