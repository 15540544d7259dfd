"""The other libraries, each as its users would write it who care for speed.

What was tried and kept is said at each; a rival that is held back would make every ratio worthless.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from bench.problems import Problem


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give PyTorch that many threads, and afterwards as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Trainer:
    """Trains from the same start, as often as it is asked to."""

    package = ""  # which it needs beside NumPy and fastnn
    compile_seconds = 0.0  # of the last compilation, which is not part of a timing

    def __init__(self, problem: Problem, dtype: str, layout: str) -> None:
        raise NotImplementedError

    def run(self, epochs: int) -> Sequence[float]:
        """Train from the initial weights; the loss of each epoch, before its update."""
        raise NotImplementedError


class TorchTrainer(Trainer):
    """PyTorch, eager, on as many threads as it takes by default or on one.

    The update is one ``_foreach_add_``, a fifth to a third faster for small networks than ``optim.SGD`` with
    ``foreach`` or without. Samples in "columns" are often faster than ``nn.Linear``'s "rows". ``torch.compile`` of
    the loss was tried and left out: it takes longer for up to some thousand samples and about as long for more.
    """

    package = "torch"

    def __init__(self, problem: Problem, dtype: str, layout: str) -> None:
        import torch

        order, _, threads = layout.partition(", ")
        X, y = (torch.from_numpy(values.astype(dtype)) for values in problem.data)
        self.torch, self.problem, self.columns = torch, problem, order == "columns"
        self.threads = 1 if threads == "1 thread" else torch.get_num_threads()
        self.X = X.T.contiguous() if self.columns else X
        self.y = y.reshape(1, -1) if self.columns else y.reshape(-1, 1)
        # (out, in), as nn.Linear has it
        self.weights = [np.ascontiguousarray(array.T) for layer in problem.weights(dtype) for array in layer]

    def _loss(self, parameters: list[Any]) -> Any:
        torch, values = self.torch, self.X
        for weights, bias in zip(parameters[::2], parameters[1::2], strict=True):
            if self.columns:
                z = torch.addmm(bias[:, None], weights, values)
            else:
                z = torch.nn.functional.linear(values, weights, bias)
            values = torch.sigmoid(z)
        return torch.nn.functional.mse_loss(values, self.y)

    def run(self, epochs: int) -> Sequence[float]:
        """As Trainer has it."""
        with torch_threads(self.threads):
            return self._train(epochs)

    def _train(self, epochs: int) -> Sequence[float]:
        torch = self.torch
        parameters = [torch.tensor(array, requires_grad=True) for array in self.weights]
        losses = []
        for _ in range(epochs):
            loss = self._loss(parameters)
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                torch._foreach_add_(parameters, gradients, alpha=-self.problem.rate)
            losses.append(loss.detach())
        return torch.stack(losses).numpy()


class JaxTrainer(Trainer):
    """JAX, all epochs in one jitted ``scan``, on all cores.

    Samples in "columns" are up to twice as fast as in "rows"; "sums" spells the products out, so that XLA can
    fuse them, which at low densities is a little faster with all parameters in "one vector", updated at once.
    Buffers are not donated: the loop works in place anyway, and the weights are a few kilobytes.
    """

    package = "jax"

    def __init__(self, problem: Problem, dtype: str, layout: str) -> None:
        import jax
        import jax.flatten_util

        self.jax, self.problem = jax, problem
        self.layout, _, vector = layout.partition(", ")
        self.double = dtype == "float64"
        self.programs: dict[int, Any] = {}
        X, y = (values.astype(dtype) for values in problem.data)
        with jax.enable_x64(self.double):
            X = X if layout == "rows" else np.ascontiguousarray(X.T)
            start, X, y = jax.tree.map(jax.numpy.asarray, (problem.weights(dtype), X, y))
            self.unravel: Callable[[Any], Any] = lambda layers: layers
            if vector:
                start, self.unravel = jax.flatten_util.ravel_pytree(start)
            self.arguments = start, X, y

    def _loss(self, parameters: Any, X: Any, y: Any) -> Any:
        jax, values = self.jax, X
        for weights, bias in self.unravel(parameters):
            if self.layout == "rows":
                z = values @ weights + bias
            elif self.layout == "columns":
                z = weights.T @ values + bias[:, None]
            else:
                z = (weights[:, :, None] * values[:, None, :]).sum(axis=0) + bias[:, None]
            values = jax.nn.sigmoid(z)
        return jax.numpy.mean((values.reshape(-1) - y) ** 2)

    def _compiled(self, epochs: int) -> Any:
        jax, rate = self.jax, self.problem.rate
        loss_and_gradient = jax.value_and_grad(self._loss)

        def train(parameters: Any, X: Any, y: Any) -> Any:
            def step(parameters: Any, _: None) -> Any:
                loss, gradient = loss_and_gradient(parameters, X, y)
                return jax.tree.map(lambda p, g: p - rate * g, parameters, gradient), loss

            return jax.lax.scan(step, parameters, length=epochs)

        start = time.perf_counter()
        program = jax.jit(self._of_all(train)).lower(*self.arguments).compile()
        self.compile_seconds = time.perf_counter() - start
        return program

    def _of_all(self, train: Callable[..., Any]) -> Callable[..., Any]:
        """The training of all networks there are: of one, here."""
        return train

    def run(self, epochs: int) -> Sequence[float]:
        """As Trainer has it."""
        with self.jax.enable_x64(self.double):
            if epochs not in self.programs:
                self.programs = {epochs: self._compiled(epochs)}
            _, losses = self.jax.block_until_ready(self.programs[epochs](*self.arguments))
        return np.asarray(losses)


class SklearnTrainer(Trainer):
    """scikit-learn's MLPRegressor with all that is not plain gradient descent switched off."""

    package = "sklearn"

    def __init__(self, problem: Problem, dtype: str, layout: str) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor

        self.expected_warning = ConvergenceWarning  # "maximum iterations reached": as they should be
        self.X, self.y = (values.astype(dtype) for values in problem.data)
        self.weights = problem.weights(dtype)
        self.net = MLPRegressor(
            hidden_layer_sizes=problem.network[1:-1],
            activation="logistic",
            solver="sgd",
            alpha=0.0,
            batch_size=problem.samples,
            learning_rate="constant",
            learning_rate_init=problem.rate,
            momentum=0.0,
            shuffle=False,
            n_iter_no_change=10**9,
            warm_start=True,
            max_iter=1,
            random_state=0,
        )
        self._fit()  # makes the arrays that ``run`` then fills with the problem's weights

    def _fit(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self.expected_warning)
            self.net.fit(self.X, self.y)

    def run(self, epochs: int) -> Sequence[float]:
        """As Trainer has it."""
        self.net.coefs_ = [weights.copy() for weights, _ in self.weights]
        self.net.intercepts_ = [bias.copy() for _, bias in self.weights]
        self.net.loss_curve_ = []
        self.net.max_iter = epochs
        self._fit()
        return self.net.loss_curve_
