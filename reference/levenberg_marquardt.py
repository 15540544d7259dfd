"""Levenberg-Marquardt: the damped Gauss-Newton method for sums of squares.

A problem returns the loss, its gradient and its Gauss-Newton matrix at a point:
problem.normal_equations(parameters) -> (L, g (P,), H (P, P)), where H = Σ c·J Jᵀ is the second derivative of L
without the second derivatives of the network itself, J being the gradient of one output of one sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .lbfgs import dot
from .optimizers import _positive

Matrix = list[list[float]]

EPSILON = 2.0**-52  # of float64


class LevenbergMarquardt:
    """Steps h that solve (H + μ·1) h = -g (Levenberg, 1944; Marquardt, 1963).

    The damping μ is at first `damping` times the greatest number on the diagonal of H; then it follows
    H. B. Nielsen (1999). The predicted reduction of the loss by a step is h·(μh - g)/2. If the loss does fall, by
    ρ times the predicted reduction, the step is accepted, and μ becomes μ·max(1/3, 1 - (2ρ - 1)³). If not, μ
    becomes μ·ν and another h is tried, with ν = 2, 4, 8, … until a step is accepted.

    The method has converged when no number of the gradient is beyond `tolerance`, or when the predicted
    reduction is less than the last digit of the loss.
    """

    full_batch = True
    learning_rate = 1.0  # the whole step is taken
    clip_value = None
    clip_norm = None

    def __init__(self, damping: float = 1e-3, *, tolerance: float = 1e-7) -> None:
        _positive("damping", damping)
        if not (tolerance >= 0.0 and math.isfinite(tolerance)):
            raise ValueError(f"tolerance is {tolerance}; it must be at least 0 and finite")
        self.damping = damping
        self.tolerance = tolerance

    def start(self, count: int) -> None:
        """Before each fit of `count` parameters: μ is not known yet."""
        self.mu = 0.0

    def step(self, parameters: Sequence[float], problem: Any) -> tuple[float, list[float], bool]:
        """One accepted step: (loss at `parameters`, new parameters (P,), whether the method has converged).

        The loss is NaN, and nothing moves, if the loss or the gradient is not finite.
        """
        loss, gradient, hessian = problem.normal_equations(parameters)
        if not math.isfinite(loss + dot(gradient, gradient)):
            return math.nan, list(parameters), False
        if self._is_small(gradient):
            return loss, list(parameters), True
        greatest = max(hessian[i][i] for i in range(len(gradient)))
        if self.mu == 0.0:
            self.mu = self.damping * (greatest if greatest > 0.0 else 1.0)
        self.mu = max(self.mu, EPSILON * greatest)  # anything smaller would be lost by rounding in the sum
        nu = 2.0
        while math.isfinite(self.mu):
            h = solve(hessian, self.mu, [-g for g in gradient])
            if h is not None:
                promised = 0.5 * dot(h, [self.mu * h_i - g for h_i, g in zip(h, gradient)])
                if not promised > EPSILON * abs(loss):
                    break
                moved = [p + h_i for p, h_i in zip(parameters, h)]
                new_loss, new_gradient, _ = problem.normal_equations(moved)
                gained = loss - new_loss
                finite = math.isfinite(new_loss + dot(new_gradient, new_gradient)) and all(
                    map(math.isfinite, moved)
                )
                if finite and gained > 0.0:
                    surprise = 2.0 * gained / promised - 1.0
                    self.mu *= max(1.0 / 3.0, 1.0 - surprise * surprise * surprise)
                    return loss, moved, self._is_small(new_gradient)
            self.mu *= nu
            nu *= 2.0
        return loss, list(parameters), True

    def _is_small(self, gradient: Sequence[float]) -> bool:
        return max(abs(g) for g in gradient) <= self.tolerance


def solve(hessian: Matrix, mu: float, right: Sequence[float]) -> list[float] | None:
    """The x with (H + μ·1) x = right, by Cholesky's L Lᵀ = H + μ·1; None if that is not positive definite."""
    count = len(right)
    L: Matrix = [[0.0] * count for _ in range(count)]
    for i in range(count):
        for j in range(i + 1):
            rest = hessian[i][j] - dot(L[i][:j], L[j][:j])
            if i == j:
                rest += mu
                if not rest > 0.0:
                    return None
                L[i][i] = math.sqrt(rest)
            else:
                L[i][j] = rest / L[j][j]
    x = list(right)
    for i in range(count):  # L z = right
        x[i] = (x[i] - dot(L[i][:i], x[:i])) / L[i][i]
    for i in reversed(range(count)):  # Lᵀ x = z
        x[i] /= L[i][i]
        for k in range(i):
            x[k] -= L[i][k] * x[i]
    return x
