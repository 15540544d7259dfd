"""Optimizers: how the parameters are updated from the gradient g.

Each is a description, which a fit reads and never changes: an optimizer's state, what it remembers of past
gradients, begins at 0 in every fit. η is the learning rate, a number or a schedule (``fastnn.schedules``); t
counts updates from 1. All but L-BFGS and Levenberg-Marquardt can clip the gradient: ``clip_value`` clips each
number of it, ``clip_norm`` its Euclidean norm.

>>> import fastnn
>>> X, y = fastnn.datasets.circle(density=10)
>>> net = fastnn.mlp([2, 8, 1], activation="tanh", output="sigmoid")
>>> history = net.fit(X, y, epochs=300, optimizer=fastnn.optimizers.Adam(0.05, clip_norm=1.0))
>>> bool(history.loss[-1] < 0.02)
True
"""

from __future__ import annotations

import importlib
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastnn import checks
from fastnn.kernels.layout import MOST_PAIRS
from fastnn.kernels.simd import LANES
from fastnn.plan import UpdatePart
from fastnn.settings import Description, Schedule, above_0, from_0, setting, share, whole


class _Kernel:
    """A kernel whose module is imported when it is first used, since few programs need them all."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __get__(self, instance: object, owner: type) -> Any:
        return getattr(importlib.import_module(f"fastnn.kernels.{self._module}"), self._name)


OF_ALL = ("learning_rate", "clip_value", "clip_norm")  # settings that are not an update kernel's


@dataclass(frozen=True, repr=False)
class Optimizer(Description):
    """Base class of all optimizers.

    Attributes
    ----------
    name : the name by which ``fit`` knows it.
    full_batch : whether it needs all rows in every update.
    line_search : whether it tries several points before it moves. An epoch is then one move, however often the
        loss was evaluated for it, and its loss is the one from which it started.
    """

    name: ClassVar[str]
    full_batch: ClassVar[bool] = False
    line_search: ClassVar[bool] = False
    gauss_newton: ClassVar[Any] = None
    kernel: ClassVar[Any]  # a plain function, not a method

    @property
    def first_rate(self) -> float:
        """The learning rate of the first update (without a warm-up); 1 for optimizers with a line search."""
        return 1.0

    def settings(self) -> npt.NDArray[np.float64]:
        """Return what its kernel is given: the first learning rate, then its own settings in class order."""
        own = [getattr(self, field.name) for field in fields(self) if field.name not in OF_ALL]
        return np.array([self.first_rate, *own])

    def states(self, parameters: int) -> int:
        """Return how many vectors of that many numbers its state has."""
        raise NotImplementedError

    def part(self, parameters: int) -> UpdatePart:
        """Return what the compiled loop needs to know about the optimizer."""
        return UpdatePart(
            self.kernel,
            tuple(self.settings().tolist()),
            self.states(parameters),
            line_search=self.line_search,
            gauss_newton=self.gauss_newton,
        )

    def __repr__(self) -> str:
        """The constructor call, with the learning rate and all settings that are not the default."""
        shown = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "learning_rate":
                shown.append(repr(value))
            elif value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _rate(value: Any, name: str) -> float | Schedule:
    return value if isinstance(value, Schedule) else above_0(value, name)


def _bound(value: Any, name: str) -> float | None:
    return None if value is None else above_0(value, name)


@dataclass(frozen=True, repr=False)
class _FirstOrder(Optimizer):
    """Base class of optimizers whose update uses one gradient: a learning rate, and gradient clipping."""

    learning_rate: float | Schedule = setting(_rate)
    _: KW_ONLY
    clip_value: float | None = setting(_bound, None)
    clip_norm: float | None = setting(_bound, None)

    def _check_together(self) -> None:
        if self.clip_value is not None and self.clip_norm is not None:
            raise ValueError(
                f"clip_value is {self.clip_value:g} and clip_norm {self.clip_norm:g}; one of the two at most"
            )

    @property
    def first_rate(self) -> float:
        """The learning rate of the first update (without a warm-up)."""
        rate = self.learning_rate
        return rate.initial if isinstance(rate, Schedule) else rate

    def part(self, parameters: int) -> UpdatePart:
        """Return what the compiled loop needs to know about the optimizer."""
        bounded = replace(
            super().part(parameters), clip_value=self.clip_value or 0.0, clip_norm=self.clip_norm or 0.0
        )
        rate = self.learning_rate
        if not isinstance(rate, Schedule):
            return bounded
        return replace(
            bounded,
            schedule=rate.kernel,
            schedule_settings=rate.numbers,
            warm_epochs=float(rate.warm_epochs),
            plateau=rate.plateau,
        )


@dataclass(frozen=True, repr=False)
class SGD(_FirstOrder):
    """Stochastic gradient descent, with momentum (B. Polyak, 1964) and Nesterov's variant (1983).

    With velocity v: v = momentum·v + g, and the parameters change by -η·v, or with ``nesterov`` by
    -η·(g + momentum·v).

    Parameters
    ----------
    learning_rate : above 0, or a schedule.
    momentum : from 0 to below 1.
    nesterov : whether to use Nesterov's variant, which needs a momentum above 0.
    clip_value, clip_norm : a bound on each number of the gradient, or on its Euclidean norm; at most one of them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9)
    SGD(0.1, momentum=0.9)
    """

    name: ClassVar[str] = "sgd"
    kernel: ClassVar[Any] = _Kernel("optimizers", "sgd")

    learning_rate: float | Schedule = setting(_rate, 0.01)
    _: KW_ONLY
    momentum: float = setting(share, 0.0)
    nesterov: bool = setting(checks.truth, False)

    def _check_together(self) -> None:
        super()._check_together()
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("nesterov is True and momentum 0; Nesterov's variant needs a momentum above 0")

    def states(self, parameters: int) -> int:
        """Return 1, for the velocity, if there is momentum, else 0."""
        return int(self.momentum > 0.0)


@dataclass(frozen=True, repr=False)
class Adagrad(_FirstOrder):
    """Adagrad (J. Duchi, E. Hazan, Y. Singer, 2011): rates that decrease with the sum of all squared gradients.

    s = s + g², and the parameters change by -η·g/(√s + epsilon).

    Parameters
    ----------
    learning_rate : above 0, or a schedule.
    epsilon : above 0.
    clip_value, clip_norm : a bound on each number of the gradient, or on its Euclidean norm; at most one of them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> Adagrad(0.1)
    Adagrad(0.1)
    """

    name: ClassVar[str] = "adagrad"
    kernel: ClassVar[Any] = _Kernel("optimizers", "adagrad")

    learning_rate: float | Schedule = setting(_rate, 0.01)
    _: KW_ONLY
    epsilon: float = setting(above_0, 1e-10)

    def states(self, parameters: int) -> int:
        """Return 1, for the sums s."""
        return 1


@dataclass(frozen=True, repr=False)
class Adadelta(_FirstOrder):
    """Adadelta (M. Zeiler, 2012): the gradient, scaled by the ratio of past steps to past gradients.

    s = rho·s + (1-rho)·g², d = g·√(u + epsilon)/√(s + epsilon), u = rho·u + (1-rho)·d², and the parameters change
    by -η·d.

    Parameters
    ----------
    learning_rate : above 0, or a schedule.
    rho : from 0 to below 1.
    epsilon : above 0.
    clip_value, clip_norm : a bound on each number of the gradient, or on its Euclidean norm; at most one of them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> Adadelta(rho=0.95)
    Adadelta(1.0, rho=0.95)
    """

    name: ClassVar[str] = "adadelta"
    kernel: ClassVar[Any] = _Kernel("optimizers", "adadelta")

    learning_rate: float | Schedule = setting(_rate, 1.0)
    _: KW_ONLY
    rho: float = setting(share, 0.9)
    epsilon: float = setting(above_0, 1e-6)

    def states(self, parameters: int) -> int:
        """Return 2, for the means s and u."""
        return 2


@dataclass(frozen=True, repr=False)
class RMSprop(_FirstOrder):
    """RMSprop (T. Hinton, 2012; centered: A. Graves, 2013), as in PyTorch.

    s = rho·s + (1-rho)·g² and r = √s + epsilon; if centered, a = rho·a + (1-rho)·g and r = √(s - a²) + epsilon.
    The parameters change by -η·g/r, or with momentum by -η·b, where b = momentum·b + g/r.

    Parameters
    ----------
    learning_rate : above 0, or a schedule.
    rho, momentum : from 0 to below 1.
    centered : whether the squared mean of the gradients is subtracted from the mean of their squares.
    epsilon : above 0.
    clip_value, clip_norm : a bound on each number of the gradient, or on its Euclidean norm; at most one of them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> RMSprop(0.001, momentum=0.9)
    RMSprop(0.001, momentum=0.9)
    """

    name: ClassVar[str] = "rmsprop"
    kernel: ClassVar[Any] = _Kernel("optimizers", "rmsprop")

    learning_rate: float | Schedule = setting(_rate, 0.01)
    _: KW_ONLY
    rho: float = setting(share, 0.99)
    momentum: float = setting(share, 0.0)
    centered: bool = setting(checks.truth, False)
    epsilon: float = setting(above_0, 1e-8)

    def states(self, parameters: int) -> int:
        """Return 1 for the mean s, plus 1 for a if it is centered, plus 1 for b if there is momentum."""
        return 1 + int(self.centered) + int(self.momentum > 0.0)


@dataclass(frozen=True, repr=False)
class Adam(_FirstOrder):
    """Adam (D. Kingma, J. Ba, 2014): the mean gradient, divided by the root of the mean squared gradient.

    m = beta_1·m + (1-beta_1)·g, v = beta_2·v + (1-beta_2)·g², and the parameters change by
    -η/(1-beta_1**t)·m/(√v/√(1-beta_2**t) + epsilon).

    Parameters
    ----------
    learning_rate : above 0, or a schedule.
    beta_1, beta_2 : from 0 to below 1.
    epsilon : above 0.
    clip_value, clip_norm : a bound on each number of the gradient, or on its Euclidean norm; at most one of them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> Adam(0.01)
    Adam(0.01)
    """

    name: ClassVar[str] = "adam"
    kernel: ClassVar[Any] = _Kernel("optimizers", "adam")

    learning_rate: float | Schedule = setting(_rate, 0.001)
    _: KW_ONLY
    beta_1: float = setting(share, 0.9)
    beta_2: float = setting(share, 0.999)
    epsilon: float = setting(above_0, 1e-8)

    def states(self, parameters: int) -> int:
        """Return 2, for the means m and v."""
        return 2


@dataclass(frozen=True, repr=False)
class AMSGrad(Adam):
    """AMSGrad (S. Reddi, S. Kale, S. Kumar, 2018): Adam with the greatest v so far in place of v.

    So the rate of a parameter never rises again after it has fallen.

    Parameters
    ----------
    learning_rate : above 0, or a schedule.
    beta_1, beta_2 : from 0 to below 1.
    epsilon : above 0.
    clip_value, clip_norm : a bound on each number of the gradient, or on its Euclidean norm; at most one of them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> AMSGrad(beta_2=0.99)
    AMSGrad(0.001, beta_2=0.99)
    """

    name: ClassVar[str] = "amsgrad"
    kernel: ClassVar[Any] = _Kernel("optimizers", "amsgrad")

    def states(self, parameters: int) -> int:
        """Return 3, for the means m and v, and the greatest v."""
        return 3


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """AdamW (I. Loshchilov, F. Hutter, 2019): Adam with decoupled weight decay.

    Before each update of Adam, all parameters p change by -η·weight_decay·p. This includes biases. An ``l2`` of
    layers leaves biases out, but goes through Adam's scaling.

    Parameters
    ----------
    learning_rate : above 0, or a schedule.
    beta_1, beta_2 : from 0 to below 1.
    epsilon : above 0.
    weight_decay : 0 or more.
    clip_value, clip_norm : a bound on each number of the gradient, or on its Euclidean norm; at most one of them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> AdamW(0.01, weight_decay=0.1)
    AdamW(0.01, weight_decay=0.1)
    """

    name: ClassVar[str] = "adamw"
    kernel: ClassVar[Any] = _Kernel("optimizers", "adamw")

    _: KW_ONLY
    weight_decay: float = setting(from_0, 0.01)


@dataclass(frozen=True, repr=False)
class Nadam(_FirstOrder):
    """Nadam (T. Dozat, 2016): Adam with Nesterov momentum, as PyTorch's NAdam.

    m and v are as in Adam. With μ_t = beta_1·(1 - 0.96**(t·momentum_decay)/2) and M_t = μ_1·…·μ_t the parameters
    change by -η·((1-μ_t)/(1-M_t)·g + μ_{t+1}/(1-M_t·μ_{t+1})·m)/(√(v/(1-beta_2**t)) + epsilon).

    Parameters
    ----------
    learning_rate : above 0, or a schedule.
    beta_1, beta_2 : from 0 to below 1.
    epsilon : above 0.
    momentum_decay : 0 or more.
    clip_value, clip_norm : a bound on each number of the gradient, or on its Euclidean norm; at most one of them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> Nadam()
    Nadam(0.002)
    """

    name: ClassVar[str] = "nadam"
    kernel: ClassVar[Any] = _Kernel("optimizers", "nadam")

    learning_rate: float | Schedule = setting(_rate, 0.002)
    _: KW_ONLY
    beta_1: float = setting(share, 0.9)
    beta_2: float = setting(share, 0.999)
    epsilon: float = setting(above_0, 1e-8)
    momentum_decay: float = setting(from_0, 0.004)

    def states(self, parameters: int) -> int:
        """Return 2, for the means m and v."""
        return 2


@dataclass(frozen=True, repr=False)
class Lion(_FirstOrder):
    """Lion (X. Chen and others, 2023): only the sign of a mean gradient is used, so all parameters move alike.

    They change by -η·weight_decay·p, then by -η·sign(beta_1·m + (1-beta_1)·g); then m = beta_2·m + (1-beta_2)·g.
    Its authors advise a third to a tenth of Adam's learning rate.

    Parameters
    ----------
    learning_rate : above 0, or a schedule.
    beta_1, beta_2 : from 0 to below 1.
    weight_decay : 0 or more.
    clip_value, clip_norm : a bound on each number of the gradient, or on its Euclidean norm; at most one of them.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> Lion(weight_decay=0.1)
    Lion(0.0001, weight_decay=0.1)
    """

    name: ClassVar[str] = "lion"
    kernel: ClassVar[Any] = _Kernel("optimizers", "lion")

    learning_rate: float | Schedule = setting(_rate, 0.0001)
    _: KW_ONLY
    beta_1: float = setting(share, 0.9)
    beta_2: float = setting(share, 0.99)
    weight_decay: float = setting(from_0, 0.0)

    def states(self, parameters: int) -> int:
        """Return 1, for the mean m."""
        return 1


def _first_step(value: Any, name: str) -> float:
    if isinstance(value, Schedule):
        raise TypeError(
            f"{name} is {value!r}; Rprop finds its steps itself and needs a finite number above 0 for the first"
        )
    return above_0(value, name)


@dataclass(frozen=True, repr=False)
class Rprop(_FirstOrder):
    """Rprop (M. Riedmiller, H. Braun, 1993): a step size for each parameter, and only the gradient's sign.

    A step is multiplied by ``eta_plus`` as long as the sign stays the same. When the sign changes, the step is
    multiplied by ``eta_minus``, and the parameter does not move in that update (as in PyTorch). Full batch only.

    Parameters
    ----------
    learning_rate : the first step; a number above 0.
    eta_minus : above 0 and below 1.
    eta_plus : above 1.
    step_min, step_max : the bounds of the steps; above 0.
    clip_value, clip_norm : as for the other optimizers, but they change no sign.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> Rprop(0.1)
    Rprop(0.1)
    """

    name: ClassVar[str] = "rprop"
    full_batch: ClassVar[bool] = True
    kernel: ClassVar[Any] = _Kernel("optimizers", "rprop")

    learning_rate: float = setting(_first_step, 0.01)
    _: KW_ONLY
    eta_minus: float = setting(checks.real_number, 0.5, above=0.0, below=1.0)
    eta_plus: float = setting(checks.real_number, 1.2, above=1.0)
    step_min: float = setting(above_0, 1e-6)
    step_max: float = setting(above_0, 50.0)

    def _check_together(self) -> None:
        super()._check_together()
        checks.real_number(self.step_max, "step_max", least=self.step_min)

    def states(self, parameters: int) -> int:
        """Return 2, for the signs and the steps."""
        return 2


@dataclass(frozen=True, repr=False)
class LBFGS(Optimizer):
    """L-BFGS (D. Liu, J. Nocedal, 1989) with a line search for the strong Wolfe conditions.

    A quasi-Newton method, with a Hessian estimated from the last steps, for smooth problems and full batch. An
    epoch is one iteration: a direction, and the search for a step α along it with
    φ(α) <= φ(0) + decrease·α·φ'(0) and |φ'(α)| <= curvature·|φ'(0)|, where φ(α) is the loss there. It may evaluate
    the loss several times; the epoch's loss is the one from which it started. There is no learning rate.

    A fit ends as "converged" when no number of the gradient is beyond ±tolerance, or when no step is found that
    lowers the loss. J. Nocedal, S. Wright, Numerical Optimization, 2006: algorithms 3.5, 3.6, 7.4.

    Parameters
    ----------
    memory : the number of past steps from which the Hessian is estimated; a whole number from 1 to 20.
    tolerance : 0 or more.
    decrease, curvature : 0 < decrease < curvature < 1.
    evaluations : the greatest number of evaluations in a line search, after which its best step is taken; a whole
        number from 2 on.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> LBFGS(memory=5)
    LBFGS(memory=5)
    """

    name: ClassVar[str] = "lbfgs"
    full_batch: ClassVar[bool] = True
    line_search: ClassVar[bool] = True
    kernel: ClassVar[Any] = _Kernel("lbfgs", "lbfgs")

    _: KW_ONLY
    memory: int = setting(whole, 10, most=MOST_PAIRS)
    tolerance: float = setting(from_0, 1e-5)
    decrease: float = setting(checks.real_number, 1e-4, above=0.0, below=1.0)
    curvature: float = setting(checks.real_number, 0.9, above=0.0, below=1.0)
    evaluations: int = setting(whole, 25, least=2)

    def _check_together(self) -> None:
        checks.real_number(self.curvature, "curvature", above=self.decrease)

    def states(self, parameters: int) -> int:
        """Return the number of vectors for direction, gradient, and past changes of parameters and gradient."""
        return 2 + 2 * self.memory


@dataclass(frozen=True, repr=False)
class LevenbergMarquardt(Optimizer):
    """Levenberg-Marquardt (K. Levenberg, 1944; D. Marquardt, 1963) with Nielsen's damping (1999).

    For small networks and the losses mse and half_sse: steps h with (H + μ·1)·h = -g, where H is the Gauss-Newton
    matrix of the loss. μ is at first ``damping`` times the greatest number on the diagonal of H. A step that
    lowers the loss is accepted, and μ becomes μ·max(1/3, 1 - (2ρ-1)³), where ρ is the ratio of the actual to the
    predicted reduction; if it does not, μ grows and another step is tried. An epoch is one accepted step, and its
    loss is the one from which it started. There is no learning rate. Memory grows with the square of the number of
    parameters, time with its cube.

    A fit ends as "converged" when no number of the gradient is beyond ±tolerance, or when the predicted reduction
    is less than the last digit of the loss.

    Parameters
    ----------
    damping : above 0; more makes the first steps smaller.
    tolerance : 0 or more.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it and its value.

    Examples
    --------
    >>> LevenbergMarquardt(0.01)
    LevenbergMarquardt(damping=0.01)
    """

    name: ClassVar[str] = "levenberg_marquardt"
    full_batch: ClassVar[bool] = True
    line_search: ClassVar[bool] = True
    kernel: ClassVar[Any] = _Kernel("levenberg_marquardt", "levenberg_marquardt")
    gauss_newton: ClassVar[Any] = _Kernel("levenberg_marquardt", "tile")

    damping: float = setting(above_0, 1e-3)
    _: KW_ONLY
    tolerance: float = setting(from_0, 1e-7)

    def states(self, parameters: int) -> int:
        """Return the number of vectors for two matrices, their rows padded, and for gradient and step."""
        widest = max(LANES.values())
        return 2 * (-(-parameters // widest) * widest) + 2


OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.name: optimizer
    for optimizer in (
        SGD,
        Adagrad,
        Adadelta,
        RMSprop,
        Adam,
        AMSGrad,
        AdamW,
        Nadam,
        Lion,
        Rprop,
        LBFGS,
        LevenbergMarquardt,
    )
}


def optimizer_of(value: Any) -> Optimizer:
    """Return an optimizer, given as an object or by name; SGD() for None."""
    if isinstance(value, Optimizer):
        return value
    if value is None:
        return SGD()
    if isinstance(value, type) and issubclass(value, Optimizer):
        raise TypeError(
            f"optimizer is the class {value.__name__}; an object of it is needed, like {value.__name__}()"
        )
    if not isinstance(value, str):
        raise TypeError(f"optimizer is {value!r}; an optimizer like SGD(0.1) or a name is needed")
    return OPTIMIZERS[checks.choice(value, "optimizer", OPTIMIZERS)]()
