"""The other libraries on the digits, in mini-batches, each as its users would write it who care for speed.

What was tried and kept is said at each. All draw a new order in each epoch while they are timed.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.handwriting import BATCH, BETA_1, BETA_2, EPSILON, NETWORK, RATE, Digits
from bench.rivals import torch_threads

FOREVER = 10**9  # epochs without improvement that are allowed
SKLEARN_ADAM: dict[str, Any] = {
    "alpha": 0.0,
    "learning_rate_init": RATE,
    "beta_1": BETA_1,
    "beta_2": BETA_2,
    "epsilon": EPSILON,
    "n_iter_no_change": FOREVER,
    "warm_start": True,
    "max_iter": 1,
    "random_state": 0,
}


def fused_adam(parameters: list[Any]) -> Callable[[Any], None]:
    """Adam's step, by PyTorch's kernel without the optimizer around it; it is given the gradients."""
    import torch

    m, v = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    updates = [torch.zeros(()) for _ in parameters]
    settings = {"lr": RATE, "beta1": BETA_1, "beta2": BETA_2, "eps": EPSILON}
    switches = {"weight_decay": 0.0, "amsgrad": False, "maximize": False}

    def step(gradients: Any) -> None:
        with torch.no_grad():
            torch._foreach_add_(updates, 1)
            torch._fused_adam_(parameters, gradients, m, v, [], updates, **settings, **switches)

    return step


def jax_adam(state: Any, gradient: Any) -> Any:
    """The state (layers, m, v, updates so far) after a step.

    1 - beta**t is written as expm1, since in float32 the difference itself is wrong by 3e-5 at first.
    """
    import jax

    layers, m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, m, gradient)
    v = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, v, gradient)
    of_m, of_v = (-jax.numpy.expm1(t * math.log(beta)) for beta in (BETA_1, BETA_2))
    rate, root = RATE / of_m, jax.numpy.sqrt(of_v)
    layers = jax.tree.map(lambda p, m, v: p - rate * m / (jax.numpy.sqrt(v) / root + EPSILON), layers, m, v)
    return layers, m, v, t


def jax_start(layers: Any, dtype: Any) -> Any:
    """The state at the start."""
    import jax

    zeros = jax.tree.map(jax.numpy.zeros_like, layers)
    return layers, zeros, zeros, jax.numpy.zeros((), dtype)


class MinibatchTrainer:
    """Trains from the same start, as often as it is asked to."""

    package = ""  # which it needs beside NumPy and fastnn
    compile_seconds = 0.0  # of the last compilation, which is not part of a timing
    # Adam's epsilon is added to √(v/(1 - beta_2**t)); or, as the paper's second form has it, to √v.
    epsilon_hat = False

    def __init__(self, problem: Digits, dtype: str, layout: str) -> None:
        raise NotImplementedError

    def run(self, epochs: int, shuffle: bool = True) -> Sequence[float]:
        """Train from the initial weights; the mean loss of each epoch's batches, before their updates."""
        raise NotImplementedError


class SklearnMinibatches(MinibatchTrainer):
    """scikit-learn's MLPClassifier without its penalty and its early end; "1 thread" is its BLAS on one."""

    package = "sklearn"
    epsilon_hat = True

    def __init__(self, problem: Digits, dtype: str, layout: str) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier
        from threadpoolctl import ThreadpoolController

        self.expected_warning = ConvergenceWarning  # "maximum iterations reached": as they should be
        self.threads = ThreadpoolController()
        self.limit = 1 if layout == "1 thread" else None
        X, self.y = problem.data
        self.X = X.astype(dtype)
        self.weights = problem.weights(dtype)
        self.net = MLPClassifier(hidden_layer_sizes=NETWORK[1:-1], batch_size=BATCH, **SKLEARN_ADAM)
        self._fit()  # makes the arrays that ``run`` then fills with the problem's weights

    def _fit(self) -> None:
        with warnings.catch_warnings(), self.threads.limit(limits=self.limit):
            warnings.simplefilter("ignore", self.expected_warning)
            self.net.fit(self.X, self.y)

    def run(self, epochs: int, shuffle: bool = True) -> Sequence[float]:
        """As MinibatchTrainer has it."""
        self.net.coefs_ = [weights.copy() for weights, _ in self.weights]
        self.net.intercepts_ = [bias.copy() for _, bias in self.weights]
        self.net.loss_curve_ = []
        self.net.set_params(max_iter=epochs, shuffle=shuffle)
        self._fit()
        return self.net.loss_curve_


class TorchMinibatches(MinibatchTrainer):
    """PyTorch, eager. All rows are put in order once an epoch, and batches are slices of that.

    "fused" and "foreach" are ``optim.Adam``; "direct" calls the fused kernel without it, a quarter to a half
    faster. Threads are of little use to batches of this size.
    """

    package = "torch"

    def __init__(self, problem: Digits, dtype: str, layout: str) -> None:
        import torch

        X, y = problem.data
        self.torch, self.problem = torch, problem
        self.adam, _, threads = layout.partition(", ")
        self.threads = 1 if threads == "1 thread" else torch.get_num_threads()
        self.X, self.y = torch.from_numpy(X.astype(dtype)), torch.from_numpy(y)
        # (out, in), as nn.Linear has it
        self.weights = [np.ascontiguousarray(array.T) for layer in problem.weights(dtype) for array in layer]

    def run(self, epochs: int, shuffle: bool = True) -> Sequence[float]:
        """As MinibatchTrainer has it."""
        with torch_threads(self.threads):
            return self._train(epochs, shuffle)

    def _train(self, epochs: int, shuffle: bool) -> Sequence[float]:
        torch, functional = self.torch, self.torch.nn.functional
        parameters = [torch.tensor(array, requires_grad=True) for array in self.weights]
        step = fused_adam(parameters) if self.adam == "direct" else self._optimizer(parameters)
        losses = []
        for _ in range(epochs):
            X, y = self.X, self.y
            if shuffle:
                order = torch.randperm(len(X))
                X, y = X[order], y[order]
            for rows, labels in zip(X.split(BATCH), y.split(BATCH), strict=True):
                hidden = torch.relu(functional.linear(rows, *parameters[:2]))
                loss = functional.cross_entropy(functional.linear(hidden, *parameters[2:]), labels)
                step(torch.autograd.grad(loss, parameters))
                losses.append(loss.detach())
        counts = torch.tensor(self.problem.counts, dtype=self.X.dtype)
        return (torch.stack(losses).reshape(epochs, -1) @ counts / len(self.X)).numpy()

    def _optimizer(self, parameters: list[Any]) -> Any:
        adam = self.torch.optim.Adam(parameters, lr=RATE, betas=(BETA_1, BETA_2), eps=EPSILON, **{self.adam: True})

        def step(gradients: Any) -> None:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            adam.step()

        return step


class JaxMinibatches(MinibatchTrainer):
    """JAX: all epochs with their orders and batches in one jitted ``scan`` of scans; Adam by hand.

    "once" puts all rows in order once an epoch, "each" fetches those of a batch (a tenth faster), "columns" as
    well, with the samples side by side. All parameters in one vector, unrolled steps, another generator of
    random numbers, labels in place of one-hot rows, and one thread for XLA did not help.
    """

    package = "jax"

    def __init__(self, problem: Digits, dtype: str, layout: str) -> None:
        import jax

        self.jax, self.problem, self.layout = jax, problem, layout
        self.double = dtype == "float64"
        self.programs: dict[tuple[int, bool], Any] = {}
        X, y = problem.data
        with jax.enable_x64(self.double):
            one_hot = np.eye(NETWORK[-1])[y]
            arrays = problem.weights(dtype), X.astype(dtype), one_hot.astype(dtype)
            self.arguments = (*jax.tree.map(jax.numpy.asarray, arrays), jax.random.key(0))

    def _loss(self, layers: Any, X: Any, y: Any) -> Any:
        jax, ((weights, bias), (out_weights, out_bias)) = self.jax, layers
        if self.layout == "columns":
            hidden = jax.nn.relu(weights.T @ X.T + bias[:, None])
            z, axis, y = out_weights.T @ hidden + out_bias[:, None], 0, y.T
        else:
            z, axis = jax.nn.relu(X @ weights + bias) @ out_weights + out_bias, 1
        return -(jax.nn.log_softmax(z, axis=axis) * y).sum() / len(X)

    def _step(self, state: Any, X: Any, y: Any) -> Any:
        loss, gradient = self.jax.value_and_grad(self._loss)(state[0], X, y)
        return jax_adam(state, gradient), loss

    def _epoch(self, state: Any, order: Any, X: Any, y: Any) -> Any:
        whole = len(X) // BATCH * BATCH
        if self.layout == "once":
            X, y = X[order], y[order]
            batches = (rows[:whole].reshape(-1, BATCH, rows.shape[1]) for rows in (X, y))
            state, losses = self.jax.lax.scan(lambda s, batch: self._step(s, *batch), state, tuple(batches))
            last = X[whole:], y[whole:]
        else:
            batches = order[:whole].reshape(-1, BATCH)
            state, losses = self.jax.lax.scan(lambda s, rows: self._step(s, X[rows], y[rows]), state, batches)
            last = X[order[whole:]], y[order[whole:]]
        loss = losses.sum() * BATCH
        if whole < len(X):
            state, of_last = self._step(state, *last)
            loss += of_last * (len(X) - whole)
        return state, loss / len(X)

    def _compiled(self, epochs: int, shuffle: bool) -> Any:
        jax = self.jax

        def train(layers: Any, X: Any, y: Any, key: Any) -> Any:
            def epoch(state: Any, key: Any) -> Any:
                rows = jax.numpy.arange(len(X))
                return self._epoch(state, jax.random.permutation(key, rows) if shuffle else rows, X, y)

            return jax.lax.scan(epoch, jax_start(layers, X.dtype), jax.random.split(key, epochs))

        start = time.perf_counter()
        program = jax.jit(train).lower(*self.arguments).compile()
        self.compile_seconds = time.perf_counter() - start
        return program

    def run(self, epochs: int, shuffle: bool = True) -> Sequence[float]:
        """As MinibatchTrainer has it."""
        with self.jax.enable_x64(self.double):
            if (epochs, shuffle) not in self.programs:
                self.programs = {(epochs, shuffle): self._compiled(epochs, shuffle)}
            _, losses = self.jax.block_until_ready(self.programs[epochs, shuffle](*self.arguments))
        return np.asarray(losses)
