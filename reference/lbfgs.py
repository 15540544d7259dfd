"""L-BFGS: a quasi-Newton method, with a Hessian estimated from the last few steps (Liu, Nocedal, 1989).

Formulas and names of algorithms are those of J. Nocedal and S. Wright, Numerical Optimization, 2nd edition,
2006. A problem returns the loss and its gradient at a point: problem.loss_and_gradient(parameters).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from .optimizers import _positive

LEAST_CURVATURE = 2.0**-52  # pairs with a smaller s·y / y·y are dominated by rounding


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """Σ a_i b_i."""
    total = 0.0
    for x, y in zip(a, b):
        total += x * y
    return total


class Place(NamedTuple):
    """A point on the line: its distance, the loss φ there, and its slope φ' along the line."""

    step: float
    loss: float
    slope: float


class LBFGS:
    """Limited-memory BFGS with a line search for the strong Wolfe conditions.

    An iteration moves along d = -H g. H is never formed: it is the matrix that BFGS would make from γ·1 with the
    last `memory` pairs of s = change of parameters and y = change of gradient (algorithm 7.4). A step α along
    d is accepted if, with φ(α) the loss at parameters + α d,

        φ(α) <= φ(0) + decrease·α·φ'(0)  and  |φ'(α)| <= curvature·|φ'(0)|.
    """

    full_batch = True
    learning_rate = 1.0  # the step that is tried first
    clip_value = None
    clip_norm = None

    def __init__(
        self,
        *,
        memory: int = 10,
        tolerance: float = 1e-5,
        decrease: float = 1e-4,
        curvature: float = 0.9,
        evaluations: int = 25,
    ) -> None:
        if not 1 <= memory <= 20:
            raise ValueError(f"memory is {memory}; it must be from 1 to 20")
        if not (tolerance >= 0.0 and math.isfinite(tolerance)):
            raise ValueError(f"tolerance is {tolerance}; it must be at least 0 and finite")
        _positive("decrease", decrease)
        if not decrease < curvature < 1.0:
            raise ValueError(f"curvature is {curvature}; it must be above decrease and below 1")
        if evaluations < 2:
            raise ValueError(f"evaluations is {evaluations}; a line search needs at least 2")
        self.memory = memory
        self.tolerance = tolerance
        self.decrease = decrease
        self.curvature = curvature
        self.evaluations = evaluations

    def start(self, count: int) -> None:
        """Before each fit of `count` parameters: no pairs yet."""
        self.pairs: list[tuple[list[float], list[float]]] = []  # (s, y), the oldest first

    def step(self, parameters: Sequence[float], problem: Any) -> tuple[float, list[float], bool]:
        """One iteration: (loss at `parameters`, new parameters (P,), whether the method has converged).

        The loss is NaN, and nothing moves, if the loss or the gradient is not finite.
        """
        loss, gradient = problem.loss_and_gradient(parameters)
        if not math.isfinite(loss + dot(gradient, gradient)):
            return math.nan, list(parameters), False
        if self._is_small(gradient):
            return loss, list(parameters), True
        while True:
            direction = self._direction(gradient)
            line = Line(problem, parameters, direction, self)
            slope = dot(gradient, direction)
            alpha = 0.0
            if slope < 0.0:
                alpha = line.search(Place(0.0, loss, slope), self._first_step(gradient))
            if alpha > 0.0:
                break
            if not self.pairs:
                return loss, list(parameters), True  # the loss is not lower even along the negative gradient
            self.pairs = []
        moved = line.at(alpha)
        _, new_gradient = problem.loss_and_gradient(moved)
        s = [new - old for new, old in zip(moved, parameters)]
        y = [new - old for new, old in zip(new_gradient, gradient)]
        if dot(s, y) > LEAST_CURVATURE * dot(y, y):
            self.pairs = [*self.pairs, (s, y)][-self.memory :]
        return loss, moved, self._is_small(new_gradient)

    def _is_small(self, gradient: Sequence[float]) -> bool:
        return max(abs(g) for g in gradient) <= self.tolerance

    def _first_step(self, gradient: Sequence[float]) -> float:
        """The first step to try: 1, as in Newton's method; without pairs, at most a change of parameters by 1."""
        length = math.sqrt(dot(gradient, gradient))
        return 1.0 if self.pairs or length <= 1.0 else 1.0 / length

    def _direction(self, gradient: Sequence[float]) -> list[float]:
        """-H g by algorithm 7.4, the two loops."""
        q = list(gradient)
        alphas = []
        for s, y in reversed(self.pairs):
            alpha = dot(s, q) / dot(s, y)
            alphas.append(alpha)
            q = [q_i - alpha * y_i for q_i, y_i in zip(q, y)]
        if self.pairs:
            s, y = self.pairs[-1]
            gamma = dot(s, y) / dot(y, y)
            q = [gamma * q_i for q_i in q]
        for (s, y), alpha in zip(self.pairs, reversed(alphas)):
            beta = dot(y, q) / dot(s, y)
            q = [q_i + (alpha - beta) * s_i for q_i, s_i in zip(q, s)]
        return [-q_i for q_i in q]


class Line:
    """The loss along parameters + α direction, and the search for a good α."""

    def __init__(
        self, problem: Any, parameters: Sequence[float], direction: Sequence[float], options: LBFGS
    ) -> None:
        self.problem = problem
        self.parameters = parameters
        self.direction = direction
        self.options = options
        self.left = options.evaluations

    def at(self, alpha: float) -> list[float]:
        """The parameters at step α."""
        return [p + alpha * d for p, d in zip(self.parameters, self.direction)]

    def look(self, alpha: float) -> Place:
        """φ and φ' at step α; if anything is not finite, φ = ∞: too far."""
        self.left -= 1
        moved = self.at(alpha)
        loss, gradient = self.problem.loss_and_gradient(moved)
        slope = dot(gradient, self.direction)
        if not (math.isfinite(loss + slope + dot(gradient, gradient)) and all(map(math.isfinite, moved))):
            return Place(alpha, math.inf, 0.0)
        return Place(alpha, loss, slope)

    def is_low(self, place: Place) -> bool:
        """The first Wolfe condition: the loss decreases enough for the length of the step."""
        return place.loss <= self.start.loss + self.options.decrease * place.step * self.start.slope

    def is_flat(self, place: Place) -> bool:
        """The second, strong Wolfe condition: the slope is small compared with the initial one."""
        return abs(place.slope) <= -self.options.curvature * self.start.slope

    def search(self, start: Place, alpha: float) -> float:
        """Algorithm 3.5: go on until a step is good, or the last interval contains a good one.

        When `evaluations` are used up: the step of the lowest loss so far that decreases enough, 0 if none does.
        """
        self.start = start
        before = start
        while self.left > 0:
            place = self.look(alpha)
            if not self.is_low(place) or (before is not start and place.loss >= before.loss):
                return self.zoom(before, place)
            if self.is_flat(place):
                return place.step
            if place.slope >= 0.0:
                return self.zoom(place, before)
            gap = place.step - before.step
            ahead = cubic_minimum(before, place) - place.step
            if ahead <= 0.0:
                ahead = 4.0 * gap  # the cubic has no minimum
            before = place
            alpha = place.step + min(max(ahead, 1.1 * gap), 4.0 * gap)
        return before.step

    def zoom(self, low: Place, high: Place) -> float:
        """Algorithm 3.6: narrow down an interval that contains a good step; `low` is its end of lower loss."""
        while self.left > 0:
            gap = high.step - low.step
            share = (cubic_minimum(low, high) - low.step) / gap
            # Far enough from both ends to be sure that the interval shrinks.
            alpha = low.step + min(max(share, 0.1), 0.9) * gap
            if alpha in (low.step, high.step):
                break  # there are no numbers between them
            place = self.look(alpha)
            if not self.is_low(place) or place.loss >= low.loss:
                high = place
                continue
            if self.is_flat(place):
                return place.step
            if place.slope * gap >= 0.0:
                high = low
            low = place
        return low.step


def cubic_minimum(a: Place, b: Place) -> float:
    """The minimum of the cubic through both losses with both slopes (equation 3.59).

    The midpoint if there is none; `a` itself if the loss at b is infinite.
    """
    if math.isinf(b.loss):
        return a.step
    d1 = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if square >= 0.0:
        d2 = math.copysign(math.sqrt(square), b.step - a.step)
        bottom = b.slope - a.slope + 2.0 * d2
        if bottom != 0.0 and math.isfinite(bottom):
            return b.step - (b.step - a.step) * (b.slope + d2 - d1) / bottom
    return 0.5 * (a.step + b.step)
