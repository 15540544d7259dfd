"""First-order optimizers: how parameters are updated from the gradient g. Both are flat lists of P numbers.

`rate` is the learning rate η of this update: the optimizer's own, or that of its schedule. t counts the
updates of a fit from 1. The state of an optimizer is 0 when a fit starts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


class Optimizer:
    """Base class of all optimizers: a learning rate, and gradient clipping.

    learning_rate is a number or a schedule. clip_value bounds each number of the gradient, clip_norm its
    Euclidean norm; the training loop clips before the update.
    """

    full_batch = False  # True: every update needs all rows

    def __init__(
        self, learning_rate: Any, clip_value: float | None = None, clip_norm: float | None = None
    ) -> None:
        if isinstance(learning_rate, (int, float)):
            _positive("learning_rate", learning_rate)
        if clip_value is not None:
            _positive("clip_value", clip_value)
        if clip_norm is not None:
            _positive("clip_norm", clip_norm)
        if clip_value is not None and clip_norm is not None:
            raise ValueError("clip_value and clip_norm are both given; one of the two is enough")
        self.learning_rate = learning_rate
        self.clip_value = clip_value
        self.clip_norm = clip_norm

    def start(self, count: int) -> None:
        """Before each fit of `count` parameters: forget everything."""
        raise NotImplementedError

    def update(self, parameters: Sequence[float], gradients: Sequence[float], rate: float) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,)."""
        raise NotImplementedError


def _positive(name: str, value: float) -> None:
    if not (value > 0.0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value}; it must be positive and finite")


def _not_negative(name: str, value: float) -> None:
    if not (value >= 0.0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value}; it must be at least 0 and finite")


def _share(name: str, value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name} is {value}; it must be at least 0 and below 1")


def sign(x: float) -> float:
    """1, 0 or -1; NaN stays NaN."""
    if x > 0.0:
        return 1.0
    return -1.0 if x < 0.0 else x


class SGD(Optimizer):
    """Gradient descent, p -= η g, optionally with momentum.

    With momentum m the velocity v = m v + g replaces g; Nesterov's variant looks one step ahead and uses
    g + m v.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_value, clip_norm)
        _share("momentum", momentum)
        if nesterov and momentum == 0.0:
            raise ValueError("nesterov needs a momentum above 0")
        self.momentum = momentum
        self.nesterov = nesterov

    def start(self, count: int) -> None:
        """v = 0."""
        self.velocity = [0.0] * count

    def update(self, parameters: Sequence[float], gradients: Sequence[float], rate: float) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,)."""
        moved = []
        for i, (p, g) in enumerate(zip(parameters, gradients)):
            self.velocity[i] = self.momentum * self.velocity[i] + g
            step = g + self.momentum * self.velocity[i] if self.nesterov else self.velocity[i]
            moved.append(p - rate * step)
        return moved


class Adagrad(Optimizer):
    """Each parameter has a rate of its own, which decreases with the sum of its squared gradients.

    s = s + g², p -= η g / (√s + ε) (Duchi, Hazan, Singer, 2011).
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        *,
        epsilon: float = 1e-10,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_value, clip_norm)
        _positive("epsilon", epsilon)
        self.epsilon = epsilon

    def start(self, count: int) -> None:
        """s = 0."""
        self.squares = [0.0] * count

    def update(self, parameters: Sequence[float], gradients: Sequence[float], rate: float) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,)."""
        moved = []
        for i, (p, g) in enumerate(zip(parameters, gradients)):
            self.squares[i] += g * g
            moved.append(p - rate * g / (math.sqrt(self.squares[i]) + self.epsilon))
        return moved


class Adadelta(Optimizer):
    """The gradient is scaled by the ratio of past steps to past gradients, so that the step has the unit of p.

    s = ρ s + (1-ρ) g², d = g √(u+ε) / √(s+ε), u = ρ u + (1-ρ) d², p -= η d (Zeiler, 2012).
    """

    def __init__(
        self,
        learning_rate: Any = 1.0,
        *,
        rho: float = 0.9,
        epsilon: float = 1e-6,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_value, clip_norm)
        _share("rho", rho)
        _positive("epsilon", epsilon)
        self.rho = rho
        self.epsilon = epsilon

    def start(self, count: int) -> None:
        """s = 0, u = 0."""
        self.squares = [0.0] * count
        self.squared_steps = [0.0] * count

    def update(self, parameters: Sequence[float], gradients: Sequence[float], rate: float) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,)."""
        moved = []
        for i, (p, g) in enumerate(zip(parameters, gradients)):
            s = self.rho * self.squares[i] + (1.0 - self.rho) * g * g
            u = self.squared_steps[i]
            d = g * math.sqrt(u + self.epsilon) / math.sqrt(s + self.epsilon)
            self.squares[i] = s
            self.squared_steps[i] = self.rho * u + (1.0 - self.rho) * d * d
            moved.append(p - rate * d)
        return moved


class RMSprop(Optimizer):
    """The gradient divided by the root of the mean of its last squares (Hinton, 2012), as in PyTorch.

    s = ρ s + (1-ρ) g², r = √s + ε; centered (Graves, 2013): a = ρ a + (1-ρ) g, r = √(s - a²) + ε, where
    a variance below 0, which is due to rounding, counts as 0. p -= η g/r, or with momentum m
    b = m b + g/r, p -= η b.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        *,
        rho: float = 0.99,
        momentum: float = 0.0,
        centered: bool = False,
        epsilon: float = 1e-8,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_value, clip_norm)
        _share("rho", rho)
        _share("momentum", momentum)
        _positive("epsilon", epsilon)
        self.rho = rho
        self.momentum = momentum
        self.centered = centered
        self.epsilon = epsilon

    def start(self, count: int) -> None:
        """s = 0, a = 0, b = 0."""
        self.squares = [0.0] * count
        self.means = [0.0] * count
        self.velocity = [0.0] * count

    def update(self, parameters: Sequence[float], gradients: Sequence[float], rate: float) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,)."""
        moved = []
        for i, (p, g) in enumerate(zip(parameters, gradients)):
            self.squares[i] = self.rho * self.squares[i] + (1.0 - self.rho) * g * g
            self.means[i] = self.rho * self.means[i] + (1.0 - self.rho) * g
            variance = self.squares[i]
            if self.centered:
                variance = max(variance - self.means[i] * self.means[i], 0.0)
            step = g / (math.sqrt(variance) + self.epsilon)
            self.velocity[i] = self.momentum * self.velocity[i] + step
            moved.append(p - rate * self.velocity[i])  # without momentum, v is the step itself
        return moved


class Adam(Optimizer):
    """The mean gradient divided by the root of the mean of squares (Kingma, Ba, 2014).

    m = β₁ m + (1-β₁) g, v = β₂ v + (1-β₂) g². Both start at 0 and are therefore too small at first, by
    1 - β₁ᵗ and 1 - β₂ᵗ: p -= η/(1-β₁ᵗ) · m / (√v/√(1-β₂ᵗ) + ε).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_value, clip_norm)
        _share("beta_1", beta_1)
        _share("beta_2", beta_2)
        _positive("epsilon", epsilon)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def start(self, count: int) -> None:
        """t = 0, m = 0, v = 0."""
        self.t = 0
        self.m = [0.0] * count
        self.v = [0.0] * count

    def squares(self, i: int) -> float:
        """The expression under the root."""
        return self.v[i]

    def update(self, parameters: Sequence[float], gradients: Sequence[float], rate: float) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,)."""
        self.t += 1
        correction_1 = 1.0 - self.beta_1**self.t
        correction_2 = 1.0 - self.beta_2**self.t
        moved = []
        for i, (p, g) in enumerate(zip(parameters, gradients)):
            self.m[i] = self.beta_1 * self.m[i] + (1.0 - self.beta_1) * g
            self.v[i] = self.beta_2 * self.v[i] + (1.0 - self.beta_2) * g * g
            root = math.sqrt(self.squares(i)) / math.sqrt(correction_2)
            moved.append(p - rate / correction_1 * self.m[i] / (root + self.epsilon))
        return moved


class AMSGrad(Adam):
    """Adam, but with the greatest v so far under the root, so that rates never rise again.

    v_max = max(v_max, v) (Reddi, Kale, Kumar, 2018).
    """

    def start(self, count: int) -> None:
        """As in Adam, and v_max = 0."""
        super().start(count)
        self.greatest = [0.0] * count

    def squares(self, i: int) -> float:
        """The expression under the root."""
        self.greatest[i] = max(self.v[i], self.greatest[i])  # v first: a NaN stays one
        return self.greatest[i]


class AdamW(Adam):
    """Adam after decoupled weight decay: p -= η λ p with λ = weight_decay (Loshchilov, Hutter, 2019)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            clip_value=clip_value,
            clip_norm=clip_norm,
        )
        _not_negative("weight_decay", weight_decay)
        self.weight_decay = weight_decay

    def update(self, parameters: Sequence[float], gradients: Sequence[float], rate: float) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,)."""
        shrunk = [p - rate * self.weight_decay * p for p in parameters]
        return super().update(shrunk, gradients, rate)


class Nadam(Optimizer):
    """Adam with Nesterov momentum (Dozat, 2016), as PyTorch's NAdam.

    m and v as in Adam. μ_t = β₁ (1 - ½ 0.96**(t·momentum_decay)), M_t = μ_1 … μ_t,
    p -= η (1-μ_t)/(1-M_t) · g/r + η μ_{t+1}/(1-M_t μ_{t+1}) · m/r with r = √(v/(1-β₂ᵗ)) + ε.
    """

    def __init__(
        self,
        learning_rate: Any = 0.002,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        momentum_decay: float = 0.004,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_value, clip_norm)
        _share("beta_1", beta_1)
        _share("beta_2", beta_2)
        _positive("epsilon", epsilon)
        _not_negative("momentum_decay", momentum_decay)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.momentum_decay = momentum_decay

    def start(self, count: int) -> None:
        """t = 0, m = 0, v = 0, and the empty product M = 1."""
        self.t = 0
        self.m = [0.0] * count
        self.v = [0.0] * count
        self.product = 1.0

    def momentum(self, t: int) -> float:
        """μ_t."""
        power = math.pow(0.96, t * self.momentum_decay)
        return self.beta_1 * (1.0 - 0.5 * power)

    def update(self, parameters: Sequence[float], gradients: Sequence[float], rate: float) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,)."""
        self.t += 1
        now, ahead = self.momentum(self.t), self.momentum(self.t + 1)
        self.product *= now
        of_gradient = rate * (1.0 - now) / (1.0 - self.product)
        of_mean = rate * ahead / (1.0 - self.product * ahead)
        correction = 1.0 - self.beta_2**self.t
        moved = []
        for i, (p, g) in enumerate(zip(parameters, gradients)):
            self.m[i] = self.beta_1 * self.m[i] + (1.0 - self.beta_1) * g
            self.v[i] = self.beta_2 * self.v[i] + (1.0 - self.beta_2) * g * g
            root = math.sqrt(self.v[i] / correction) + self.epsilon
            moved.append(p - of_gradient * g / root - of_mean * self.m[i] / root)
        return moved


class Lion(Optimizer):
    """Only the sign counts: every parameter moves by the same amount (Chen and others, 2023).

    p -= η λ p with λ = weight_decay, p -= η sign(β₁ m + (1-β₁) g), and then m = β₂ m + (1-β₂) g.
    """

    def __init__(
        self,
        learning_rate: Any = 0.0001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_value, clip_norm)
        _share("beta_1", beta_1)
        _share("beta_2", beta_2)
        _not_negative("weight_decay", weight_decay)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.weight_decay = weight_decay

    def start(self, count: int) -> None:
        """m = 0."""
        self.m = [0.0] * count

    def update(self, parameters: Sequence[float], gradients: Sequence[float], rate: float) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,)."""
        moved = []
        for i, (p, g) in enumerate(zip(parameters, gradients)):
            shrunk = p - rate * self.weight_decay * p
            moved.append(shrunk - rate * sign(self.beta_1 * self.m[i] + (1.0 - self.beta_1) * g))
            self.m[i] = self.beta_2 * self.m[i] + (1.0 - self.beta_2) * g
        return moved


class Rprop(Optimizer):
    """Each parameter has a step size of its own, and only the gradient's sign counts (Riedmiller, Braun, 1993).

    As long as the sign stays the same, the step is multiplied by eta_plus; when it changes, the step is
    multiplied by eta_minus, and the parameter does not move in that update (as in PyTorch). learning_rate is
    the first step of all parameters. Signs from different batches cannot be compared, so all rows are needed.
    """

    full_batch = True

    def __init__(
        self,
        learning_rate: float = 0.01,
        *,
        eta_minus: float = 0.5,
        eta_plus: float = 1.2,
        step_min: float = 1e-6,
        step_max: float = 50.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        if not isinstance(learning_rate, (int, float)):
            raise TypeError(f"learning_rate is {learning_rate}; Rprop needs a number")
        super().__init__(learning_rate, clip_value, clip_norm)
        if not 0.0 < eta_minus < 1.0:
            raise ValueError(f"eta_minus is {eta_minus}; it must be above 0 and below 1")
        if not (eta_plus > 1.0 and math.isfinite(eta_plus)):
            raise ValueError(f"eta_plus is {eta_plus}; it must be above 1 and finite")
        _positive("step_min", step_min)
        if not (step_max >= step_min and math.isfinite(step_max)):
            raise ValueError(f"step_max is {step_max}; it must be at least step_min and finite")
        self.eta_minus = eta_minus
        self.eta_plus = eta_plus
        self.step_min = step_min
        self.step_max = step_max

    def start(self, count: int) -> None:
        """No sign yet; the steps are set by the first update."""
        self.signs = [0.0] * count
        self.steps: list[float] = []

    def update(self, parameters: Sequence[float], gradients: Sequence[float], rate: float) -> list[float]:
        """parameters (P,), gradients (P,) -> new parameters (P,)."""
        if not self.steps:
            self.steps = [rate] * len(self.signs)
        moved = []
        for i, (p, g) in enumerate(zip(parameters, gradients)):
            direction = sign(g)
            factor = 1.0
            if direction * self.signs[i] > 0.0:
                factor = self.eta_plus
            elif direction * self.signs[i] < 0.0:
                factor = self.eta_minus
                direction = 0.0
            self.steps[i] = min(max(self.steps[i] * factor, self.step_min), self.step_max)
            self.signs[i] = direction
            moved.append(p - direction * self.steps[i])
        return moved
