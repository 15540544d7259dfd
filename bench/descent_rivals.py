"""The other libraries on any network and batch size, each as its users would write it who care for speed.

Rows are not shuffled, so that all compute the same while they are timed. What was tried and kept is said at each.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.descent import Descent
from bench.minibatch_rivals import SKLEARN_ADAM, fused_adam, jax_adam, jax_start
from bench.rivals import torch_threads

ONE_VECTOR = 10_000  # parameters; with more JAX is faster layer by layer


class DescentTrainer:
    """Trains from the same start, as often as it is asked to."""

    package = ""  # which it needs beside NumPy and fastnn
    compile_seconds = 0.0  # of what it compiles, which is not part of a timing
    epsilon_hat = False  # as MinibatchTrainer has it
    problem: Descent

    def __init__(self, problem: Descent, dtype: str, layout: str) -> None:
        raise NotImplementedError

    def run(self, epochs: int, rows: int | None = None) -> Sequence[float]:
        """Train from the initial weights; the mean loss of each epoch's rows, before their updates.

        An epoch has all rows, or the first ``rows`` of them, which are whole batches.
        """
        raise NotImplementedError


class SklearnDescent(DescentTrainer):
    """scikit-learn's MLPRegressor without its penalty and its early end; "1 thread" is its BLAS on one."""

    package = "sklearn"
    epsilon_hat = True

    def __init__(self, problem: Descent, dtype: str, layout: str) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor
        from threadpoolctl import ThreadpoolController

        self.problem = problem
        self.expected_warning = ConvergenceWarning  # "maximum iterations reached": as they should be
        self.threads = ThreadpoolController()
        self.limit = 1 if layout == "1 thread" else None
        X, y = problem.data
        self.X, self.y = X.astype(dtype), y[:, 0].astype(dtype)
        self.weights = problem.weights(dtype)
        self.net = MLPRegressor(
            hidden_layer_sizes=problem.network[1:-1],
            activation="tanh",
            batch_size=problem.rows_of_batch,
            shuffle=False,
            **SKLEARN_ADAM,
        )
        self._fit(problem.head)  # makes the arrays that ``run`` then fills with the problem's weights

    def _fit(self, rows: int | None) -> None:
        with warnings.catch_warnings(), self.threads.limit(limits=self.limit):
            warnings.simplefilter("ignore", self.expected_warning)
            self.net.fit(self.X[:rows], self.y[:rows])

    def run(self, epochs: int, rows: int | None = None) -> Sequence[float]:
        """As DescentTrainer has it."""
        self.net.coefs_ = [weights.copy() for weights, _ in self.weights]
        self.net.intercepts_ = [bias.copy() for _, bias in self.weights]
        self.net.loss_curve_ = []
        self.net.max_iter = epochs
        self._fit(rows)
        return self.net.loss_curve_


class TorchDescent(DescentTrainer):
    """PyTorch, eager, batches as slices, Adam's fused kernel called without its optimizer (see TorchMinibatches).

    Samples in "columns" are often faster than in ``nn.Linear``'s "rows", and one thread than all in small batches.
    """

    package = "torch"

    def __init__(self, problem: Descent, dtype: str, layout: str) -> None:
        import torch

        order, _, threads = layout.partition(", ")
        X, y = (torch.from_numpy(values.astype(dtype)) for values in problem.data)
        self.torch, self.problem, self.columns = torch, problem, order == "columns"
        self.threads = 1 if threads == "1 thread" else torch.get_num_threads()
        self.axis = 1 if self.columns else 0
        self.X, self.y = (values.T.contiguous() if self.columns else values for values in (X, y))
        # (out, in), as nn.Linear has it
        self.weights = [np.ascontiguousarray(array.T) for layer in problem.weights(dtype) for array in layer]

    def _loss(self, parameters: list[Any], X: Any, y: Any) -> Any:
        torch, values = self.torch, X
        for weights, bias in zip(parameters[::2], parameters[1::2], strict=True):
            if values is not X:
                values = torch.tanh(values)
            if self.columns:
                values = torch.addmm(bias[:, None], weights, values)
            else:
                values = torch.nn.functional.linear(values, weights, bias)
        return torch.nn.functional.mse_loss(values, y) * (0.5 * self.problem.network[-1])

    def run(self, epochs: int, rows: int | None = None) -> Sequence[float]:
        """As DescentTrainer has it."""
        with torch_threads(self.threads):
            return self._train(epochs, rows or self.problem.samples)

    def _train(self, epochs: int, rows: int) -> Sequence[float]:
        torch = self.torch
        parameters = [torch.tensor(array, requires_grad=True) for array in self.weights]
        step = fused_adam(parameters)
        X, y = (values.narrow(self.axis, 0, rows) for values in (self.X, self.y))
        batch = min(self.problem.rows_of_batch, rows)
        batches = list(zip(X.split(batch, self.axis), y.split(batch, self.axis), strict=True))
        losses = []
        for _ in range(epochs):
            for of_batch in batches:
                loss = self._loss(parameters, *of_batch)
                step(torch.autograd.grad(loss, parameters))
                losses.append(loss.detach())
        counts = torch.tensor([part.shape[self.axis] for part, _ in batches], dtype=X.dtype)
        return (torch.stack(losses).reshape(epochs, -1) @ counts / rows).numpy()


class JaxDescent(DescentTrainer):
    """JAX, all epochs and batches in one jitted loop, on all cores.

    Samples in "columns" are often faster than in "rows"; "sums" spells the products out, so that XLA can fuse
    them. The parameters of small networks are one vector, which makes small batches up to four times as fast; in
    wide ones layer by layer is faster. How many epochs and batches is an argument, so that one compilation
    serves all timings; a ``scan`` of fixed length takes the same time.
    """

    package = "jax"
    room = 1 << 17  # for the losses of a run

    def __init__(self, problem: Descent, dtype: str, layout: str) -> None:
        import jax
        import jax.flatten_util

        self.jax, self.problem, self.layout = jax, problem, layout
        self.double = dtype == "float64"
        layers = problem.weights(dtype)
        self.unravel: Callable[[Any], Any] = lambda layers: layers
        with jax.enable_x64(self.double):
            start: Any = jax.tree.map(jax.numpy.asarray, layers)
            if problem.parameters < ONE_VECTOR:
                start, self.unravel = jax.flatten_util.ravel_pytree(start)
            arrays = [self._batches(values.astype(dtype)) for values in problem.data]
            self.arguments = (start, *jax.tree.map(jax.numpy.asarray, arrays))
            began = time.perf_counter()
            self.program = jax.jit(self._train).lower(*self.arguments, 1, 1, True).compile()
            self.compile_seconds = time.perf_counter() - began

    def _batches(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All whole batches (number, …) and the rows of the rest, as the layout has them."""
        size = self.problem.rows_of_batch
        whole = len(values) // size * size
        batches, rest = values[:whole].reshape(-1, size, values.shape[1]), values[whole:]
        if self.layout == "rows":
            return batches, rest
        return np.ascontiguousarray(batches.transpose(0, 2, 1)), np.ascontiguousarray(rest.T)

    def _loss(self, parameters: Any, X: Any, y: Any) -> Any:
        jax, values = self.jax, X
        for weights, bias in self.unravel(parameters):
            if values is not X:
                values = jax.numpy.tanh(values)
            if self.layout == "rows":
                values = values @ weights + bias
            elif self.layout == "columns":
                values = weights.T @ values + bias[:, None]
            else:
                values = (weights[:, :, None] * values[:, None, :]).sum(axis=0) + bias[:, None]
        samples = y.shape[0 if self.layout == "rows" else 1]
        return 0.5 * jax.numpy.sum((values - y) ** 2) / samples

    def _step(self, state: Any, X: Any, y: Any) -> Any:
        loss, gradient = self.jax.value_and_grad(self._loss)(state[0], X, y)
        return jax_adam(state, gradient), loss

    def _epoch(self, state: Any, X: Any, y: Any, count: Any, all_rows: Any) -> Any:
        jax, size = self.jax, self.problem.rows_of_batch
        if size == self.problem.samples:
            return self._step(state, X[0][0], y[0][0])

        def batch(k: Any, carried: Any) -> Any:
            state, total = carried
            rows = (
                jax.lax.dynamic_index_in_dim(batches, k, keepdims=False, allow_negative_indices=False)
                for batches in (X[0], y[0])
            )
            state, loss = self._step(state, *rows)
            return state, total + loss

        state, total = jax.lax.fori_loop(0, count, batch, (state, jax.numpy.zeros((), X[0].dtype)))
        total, rows, rest = total * size, count * size, self.problem.samples % size
        if rest:

            def last(state: Any) -> Any:
                state, loss = self._step(state, X[1], y[1])
                return state, total + loss * rest, rows + rest

            state, total, rows = jax.lax.cond(all_rows, last, lambda state: (state, total, rows), state)
        return state, total / rows

    def _train(self, start: Any, X: Any, y: Any, epochs: Any, count: Any, all_rows: Any) -> Any:
        jax = self.jax

        def epoch(i: Any, carried: Any) -> Any:
            state, losses = carried
            state, loss = self._epoch(state, X, y, count, all_rows)
            return state, losses.at[i].set(loss)

        losses = jax.numpy.zeros(self.room, X[0].dtype)
        return jax.lax.fori_loop(0, epochs, epoch, (jax_start(start, X[0].dtype), losses))

    def run(self, epochs: int, rows: int | None = None) -> Sequence[float]:
        """As DescentTrainer has it."""
        rows = rows or self.problem.samples
        with self.jax.enable_x64(self.double):
            count, all_rows = rows // self.problem.rows_of_batch, rows == self.problem.samples
            done = self.jax.block_until_ready(self.program(*self.arguments, epochs, count, all_rows))
        return np.asarray(done[1][:epochs])
