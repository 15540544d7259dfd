"""The loss functions that a network can be trained with: their kernels, and the outputs and targets they need."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn import checks, parts
from fastnn.kernels import losses as kernels
from fastnn.kernels import row_losses
from fastnn.plan import LossPart


@dataclass(frozen=True)
class Formula:
    """A loss kernel, and what its derivative is taken by."""

    kernel: Any
    fused: bool = False  # whether the derivative is by the logits z of the outputs
    coupled: bool = False  # whether it needs all outputs of a sample

    @property
    def pattern(self) -> Any:
        """The pattern of the part that is compiled from the kernel."""
        return parts.row_loss if self.coupled else parts.elementwise_loss


ANY = "any"  # stands for all activations


class Kind(enum.Enum):
    """The kinds of targets that losses have."""

    NUMBERS = "numbers, which may be 0 and 1 too, or rows with a single 1"
    AMOUNTS = "numbers that say no class"
    YES_OR_NO = "of each output whether a class of its own is there"
    LABELS = "labels, or shares of classes"


@dataclass(frozen=True)
class Loss:
    """What the rest of the package needs to know about a loss function.

    ``settings`` has the two numbers that the kernel is given, one pair for all outputs or a pair for each.
    """

    name: str
    formulas: dict[str, Formula] = field(hash=False)  # by the activation of the outputs
    natural: str = "identity"  # the activation of the outputs that suits it best
    scale: float | None = None  # multiplies the sum over a sample's outputs; None: their mean is taken
    kind: Kind = Kind.NUMBERS  # the kind of targets
    labels: bool = False  # whether labels are accepted as well, for several outputs
    squares: bool = False  # whether it is a sum of squares, one for each output
    least: float | None = None  # the least target,
    above: float | None = None  # or a number that targets have to be above
    most: float | None = None  # the greatest target
    signs: bool = False  # whether targets are -1 and 1, or 0 and 1
    settings: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    smoothing: float = 0.0  # label smoothing
    # For predictions from any source, where all formulas above need what an activation was given.
    of_numbers: Formula | None = field(default=None, hash=False)

    def part(self, activation: str, outputs: int) -> LossPart:
        """Return the kernel for that many outputs of an activation; ValueError if they do not suit the loss."""
        formula = self.formulas.get(activation, self.formulas.get(ANY))
        if self.name == "focal" and activation == "softmax" and self.settings[0][1] >= 0.0:
            raise ValueError(f"alpha is {self.settings[0][1]:g}, which is for sigmoid outputs; these are softmax")
        if formula is None:
            fitting = " or ".join(self.formulas)
            raise ValueError(
                f"loss {self.name!r} needs {fitting} outputs; the last layer's activation is {activation!r}"
            )
        if len(self.settings) not in (1, outputs):
            raise ValueError(f"loss {self!r} is for {len(self.settings)} outputs; the network has {outputs}")
        scale = 1.0 / outputs if self.scale is None else self.scale
        pairs = self.settings * outputs if len(self.settings) == 1 else self.settings
        numbers = (scale, *(number for pair in pairs for number in pair))
        return LossPart(formula.pattern, formula.kernel, numbers, formula.fused)

    @property
    def of_predictions(self) -> Loss:
        """The same loss as a function of predictions from any source."""
        formula = self.of_numbers or next(formula for formula in self.formulas.values() if not formula.fused)
        return Loss(self.name, {ANY: formula}, scale=self.scale, settings=self.settings)

    @property
    def of_classes(self) -> bool:
        """Whether targets are always classes."""
        return self.kind in (Kind.YES_OR_NO, Kind.LABELS)

    def takes_labels(self, outputs: int) -> bool:
        """Whether a target may be a label, the number of a class, for that many outputs."""
        return self.kind is Kind.LABELS or (self.labels and outputs > 1)

    def targets(self, value: Any, rows: int, outputs: int, dtype: np.dtype[Any], name: str = "y") -> checks.Array:
        """Return targets as numbers (rows, outputs), before smoothing; TypeError or ValueError if invalid."""
        if self.kind is Kind.LABELS or (np.ndim(value) == 1 and self.takes_labels(outputs)):
            return checks.class_targets(value, rows, outputs, dtype, name)
        if len(self.settings) > 1:
            value = _for_each_level(value, outputs, name)
        found = checks.targets(value, rows, outputs, dtype, name)
        self.refuse_out_of_range(found, name)
        if self.signs:
            self.refuse_mixture(bool((found == -1).any()), bool((found == 0).any()), name)
        return found

    def refuse_out_of_range(self, numbers: checks.Array, name: str) -> None:
        """Raise ValueError for a number (rows, outputs) that is no target of this loss."""
        wrong = np.zeros(numbers.shape, bool)
        if self.least is not None:
            wrong |= numbers < self.least
        if self.above is not None:
            wrong |= numbers <= self.above
        if self.most is not None:
            wrong |= numbers > self.most
        if self.signs:
            wrong |= ~np.isin(numbers, (-1, 0, 1))
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            what = "predictions" if name == "predictions" else "targets"
            raise ValueError(
                f"{name}[{at[0]}] is {numbers[at]}; {what} of loss {self.name!r} are {self._accepted}"
            )

    def refuse_mixture(self, minus: bool, zero: bool, name: str = "y") -> None:
        """Raise ValueError if the targets contain both -1 and 0."""
        if minus and zero:
            raise ValueError(f"{name} has -1 and 0; targets of loss {self.name!r} are -1 and 1, or 0 and 1")

    @property
    def _accepted(self) -> str:
        if self.signs:
            return "-1 and 1, or 0 and 1"
        if self.above is not None:
            return f"above {self.above:g}"
        return f"{self.least:g} or more" if self.most is None else f"from {self.least:g} to {self.most:g}"

    @property
    def of_targets(self) -> tuple[Any, ...]:
        """Everything that determines which targets are accepted and how they are converted.

        Losses that agree in it can share rows.
        """
        bounds = self.least, self.above, self.most
        return self.kind, self.labels, self.signs, *bounds, len(self.settings), self.smoothing

    def smoothed(self, targets: checks.Array) -> checks.Array:
        """Return targets after label smoothing, as the kernel is given them."""
        if self.smoothing == 0.0:
            return targets
        share = 1.0 / targets.shape[1] if self.kind is Kind.LABELS else 0.5
        with np.errstate(all="ignore"):  # a share may be rounded to 0
            return (targets * (1.0 - self.smoothing) + self.smoothing * share).astype(targets.dtype)

    def __repr__(self) -> str:
        return self.name


def _for_each_level(value: Any, outputs: int, name: str) -> Any:
    """Repeat a single target per row for all outputs."""
    given = checks.numbers_of(value, name)
    if given.ndim == 1:
        given = given[:, np.newaxis]
    return np.repeat(given, outputs, axis=1) if given.ndim == 2 and given.shape[1] == 1 else given


LINEAR = Loss("linear", {ANY: Formula(kernels.linear)}, scale=1.0)
OF_PROBABILITIES = Loss("cross_entropy", {ANY: Formula(kernels.cross_entropy_of_probabilities)}, scale=1.0)

NUMBERS = ("identity", "tanh")

_ALL: Iterable[Loss] = (
    Loss("mse", {ANY: Formula(kernels.squared_error)}, squares=True),
    Loss("half_sse", {ANY: Formula(kernels.squared_error)}, scale=0.5, squares=True),
    Loss("mae", {ANY: Formula(kernels.absolute_error)}),
    Loss("huber", {ANY: Formula(kernels.huber)}, settings=((1.0, 0.0),)),
    Loss("log_cosh", {ANY: Formula(kernels.log_cosh)}),
    Loss("quantile", {ANY: Formula(kernels.quantile)}, kind=Kind.AMOUNTS, settings=((0.5, 0.0),)),
    Loss(
        "poisson",
        {
            "exponential": Formula(kernels.poisson_of_exponential, fused=True),
            "softplus": Formula(kernels.poisson_of_softplus, fused=True),
        },
        of_numbers=Formula(kernels.poisson),
        natural="exponential",
        kind=Kind.AMOUNTS,
        least=0.0,
    ),
    Loss(
        "gamma",
        {
            "exponential": Formula(kernels.gamma_of_exponential, fused=True),
            "softplus": Formula(kernels.gamma_of_softplus, fused=True),
        },
        of_numbers=Formula(kernels.gamma),
        natural="exponential",
        kind=Kind.AMOUNTS,
        above=0.0,
    ),
    Loss(
        "binary_cross_entropy",
        {"sigmoid": Formula(kernels.binary_cross_entropy, fused=True)},
        natural="sigmoid",
        kind=Kind.YES_OR_NO,
        least=0.0,
        most=1.0,
    ),
    Loss(
        "cross_entropy",
        {
            "softmax": Formula(row_losses.cross_entropy_of_softmax, fused=True, coupled=True),
            "sigmoid": Formula(kernels.cross_entropy_of_sigmoid, fused=True),
            "log_softmax": Formula(row_losses.cross_entropy_of_log_softmax, fused=True, coupled=True),
        },
        natural="softmax",
        scale=1.0,
        kind=Kind.LABELS,
    ),
    Loss("hinge", dict.fromkeys(NUMBERS, Formula(kernels.hinge)), kind=Kind.YES_OR_NO, signs=True),
    Loss(
        "focal",
        {
            "sigmoid": Formula(kernels.focal_of_sigmoid, fused=True),
            "softmax": Formula(row_losses.focal_of_softmax, fused=True, coupled=True),
        },
        natural="sigmoid",
        kind=Kind.YES_OR_NO,
        labels=True,
        least=0.0,
        most=1.0,
        settings=((2.0, -1.0),),
    ),
)
LOSSES = {loss.name: loss for loss in _ALL}


def loss_of(value: Any) -> Loss:
    """Return a loss, given as an object or by name."""
    if isinstance(value, Loss):
        return value
    if callable(value):
        raise TypeError(f"loss is {checks.shown(value)}; fastnn.own_loss makes a loss of a function")
    return LOSSES[checks.choice(value, "loss", LOSSES)]
