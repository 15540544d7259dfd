"""Stochastic descent: an update after every sample, beside JAX's scan, PyTorch's eager loop, FANN and plain C."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from bench import fann
from bench.handwriting import flat, glorot
from bench.interleave import SECONDS, epochs_for, in_turns, median
from bench.subjects import DisagreementError
from fastnn import datasets

NETWORKS = ((2, 4, 1), (64, 64, 10))
EPOCHS_TO_AGREE = 3
BOUNDS = {"float64": 1e-9, "float32": 1e-4}  # of the losses, relative
FANN_BOUND = 1e-5  # it tells losses in float32 only
RATE = 0.05
UNROLLED = (1, 4)  # steps of JAX's scan in one turn of its loop
PRODUCTS = ("dot", "sums")  # of JAX: with "sums", products are spelled out, so that XLA can fuse them


@dataclass(frozen=True)
class Problem:
    """[2, 4, 1] on the circle with sigmoids; [64, 64, 10] on random rows, its outputs linear. The loss is mse.

    Rows are taken in their order, so that all see the same.
    """

    network: tuple[int, ...]
    dtype: str
    rows: int = 961

    @property
    def linear(self) -> bool:
        """Whether the outputs are."""
        return self.network[-1] > 1

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """X (rows, inputs), y (rows, outputs)."""
        if not self.linear:
            X, y = datasets.circle(density=30)
            order = np.random.default_rng(0).permutation(len(X))[: self.rows]
            return X[order].astype(self.dtype), y[order, np.newaxis].astype(self.dtype)
        rng = np.random.default_rng(0)
        sizes = self.network[0], self.network[-1]
        X, y = (rng.normal(size=(self.rows, size)).astype(self.dtype) for size in sizes)
        return X, y

    @cached_property
    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Initial weights (in, out) and biases of each layer."""
        return glorot(self.network, self.dtype, 0)


Run = Callable[[int], Any]  # trains from the start for so many epochs; the loss of each


def of_fastnn(problem: Problem) -> Run:
    """``fit`` with ``batch_size=1``."""
    output = "identity" if problem.linear else "sigmoid"
    net = fastnn.mlp(problem.network, activation="sigmoid", output=output, dtype=problem.dtype)
    start = flat(problem.weights)

    def run(epochs: int) -> Any:
        net.parameters = start
        options = {"batch_size": 1, "shuffle": False, "optimizer": fastnn.SGD(RATE), "verbose": 0}
        return net.fit(*problem.data, epochs=epochs, loss="mse", **options).loss

    return run


def jax_step(problem: Problem, products: str, layers: Any, row: Any) -> Any:
    """An update after one row, and its loss before."""
    import jax

    def loss_of(layers: Any, x: Any, t: Any) -> Any:
        for i, (weights, bias) in enumerate(layers):
            x = (x @ weights if products == "dot" else (x[:, None] * weights).sum(axis=0)) + bias
            if not (problem.linear and i == len(layers) - 1):
                x = jax.nn.sigmoid(x)
        return jax.numpy.mean((x - t) ** 2)

    loss, gradient = jax.value_and_grad(loss_of)(layers, *row)
    return jax.tree.map(lambda p, g: p - RATE * g, layers, gradient), loss


def of_jax(problem: Problem, products: str, unroll: int) -> Run:
    """All epochs in one jitted program: a scan over rows in a scan over epochs."""
    import jax

    programs: dict[int, Any] = {}
    with jax.enable_x64(problem.dtype == "float64"):
        arguments = jax.tree.map(jax.numpy.asarray, (problem.weights, problem.data))

    def run(epochs: int) -> Any:
        with jax.enable_x64(problem.dtype == "float64"):

            def train(layers: Any, data: Any) -> Any:
                def epoch(layers: Any, _: None) -> Any:
                    layers, losses = jax.lax.scan(
                        partial(jax_step, problem, products), layers, data, unroll=unroll
                    )
                    return layers, losses.mean()

                return jax.lax.scan(epoch, layers, length=epochs)

            if epochs not in programs:
                programs[epochs] = jax.jit(train).lower(*arguments).compile()
            _, losses = jax.block_until_ready(programs[epochs](*arguments))
        return np.asarray(losses)

    return run


def of_jax_by_epochs(problem: Problem, products: str) -> Run:
    """An epoch in one jitted program, a scan over rows, called for each: a scan within a scan may be slower."""
    import jax

    with jax.enable_x64(problem.dtype == "float64"):
        start, data = jax.tree.map(jax.numpy.asarray, (problem.weights, problem.data))

        @jax.jit
        def epoch(layers: Any, data: Any) -> Any:
            layers, losses = jax.lax.scan(partial(jax_step, problem, products), layers, data)
            return layers, losses.mean()

    def run(epochs: int) -> Any:
        with jax.enable_x64(problem.dtype == "float64"):
            layers, losses = start, []
            for _ in range(epochs):
                layers, loss = epoch(layers, data)
                losses.append(loss)
            return np.asarray(jax.numpy.stack(losses))

    return run


def of_torch(problem: Problem) -> Run:
    """Eager, on one thread, which is faster here than several; the update is one ``_foreach_add_``."""
    import torch

    X, y = map(torch.from_numpy, problem.data)
    rows = list(zip(X.unbind(), y.unbind(), strict=True))

    def run(epochs: int) -> Any:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        arrays = [np.ascontiguousarray(array.T) for layer in problem.weights for array in layer]
        parameters = [torch.tensor(array, requires_grad=True) for array in arrays]
        means = []
        for _ in range(epochs):
            losses = []
            for x, t in rows:
                for i in range(0, len(parameters), 2):
                    x = torch.nn.functional.linear(x, parameters[i], parameters[i + 1])
                    if not (problem.linear and i == len(parameters) - 2):
                        x = torch.sigmoid(x)
                loss = torch.nn.functional.mse_loss(x, t)
                gradients = torch.autograd.grad(loss, parameters)
                with torch.no_grad():
                    torch._foreach_add_(parameters, gradients, alpha=-RATE)
                losses.append(loss.detach())
            means.append(torch.stack(losses).mean().item())
        torch.set_num_threads(threads)
        return np.array(means)

    return run


def of_c(problem: Problem) -> Run:
    """The textbook's loops of ``plain.c``, by the system's compiler with -O3 -march=native -ffast-math."""
    number, exp = ("double", "exp") if problem.dtype == "float64" else ("float", "expf")
    kind = ctypes.c_double if problem.dtype == "float64" else ctypes.c_float
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "plain.so"
        flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", f"-DNUMBER={number}", f"-DEXP={exp}"]
        source = str(Path(__file__).with_name("plain.c"))
        subprocess.run(["cc", *flags, source, "-o", str(library), "-lm"], check=True)
        train = ctypes.CDLL(str(library)).train
    sizes = (ctypes.c_long * len(problem.network))(*problem.network)
    start, (X, y) = flat(problem.weights), problem.data

    def run(epochs: int) -> Any:
        parameters, losses = start.copy(), np.zeros(epochs)
        places = [ctypes.c_void_p(array.ctypes.data) for array in (parameters, X, y)]
        counts = [ctypes.c_long(count) for count in (len(X), epochs)]
        layers, rate = ctypes.c_long(len(sizes) - 1), kind(RATE)
        train(*places, *counts, sizes, layers, int(problem.linear), rate, ctypes.c_void_p(losses.ctypes.data))
        return losses

    return run


def of_fann(problem: Problem) -> Run:
    """Its own ``fann_train_epoch`` for each epoch."""
    return fann.trainer(problem.data, problem.weights, RATE, problem.linear)


def subjects(problem: Problem) -> dict[tuple[str, str], Run]:
    """Those that can be had here, by (library, way)."""
    found: dict[tuple[str, str], Run] = {("fastnn", ""): of_fastnn(problem)}
    if find_spec("jax"):
        for products in PRODUCTS:
            for unroll in UNROLLED:
                found["JAX", f"{products}, unroll={unroll}"] = of_jax(problem, products, unroll)
            found["JAX", f"{products}, epoch by epoch"] = of_jax_by_epochs(problem, products)
    if find_spec("torch"):
        found["PyTorch", ""] = of_torch(problem)
    if fann.present(problem.dtype):
        found["FANN", ""] = of_fann(problem)
    if shutil.which("cc"):
        found["plain C", ""] = of_c(problem)
    return found


def agreed(problem: Problem) -> dict[tuple[str, str], Run]:
    """The subjects; raise if the losses of their first epochs are not the same."""
    runs = subjects(problem)
    expected = runs["fastnn", ""](EPOCHS_TO_AGREE)
    for (library, way), run in runs.items():
        deviation = float(np.abs(np.asarray(run(EPOCHS_TO_AGREE)) / expected - 1.0).max())
        bound = FANN_BOUND if library == "FANN" else BOUNDS[problem.dtype]
        if not deviation <= bound:
            raise DisagreementError(f"{library} {way} on {problem}: losses deviate by {deviation:.1e}")
    return runs


def measure(network: tuple[int, ...], dtype: str, rounds: int, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """A row for each subject: ns an update, and the ratio to fastnn."""
    problem = Problem(network, dtype)
    runs, work = {}, {}
    agreed_runs = agreed(problem)
    for subject, run in agreed_runs.items():
        epochs = epochs_for(run, seconds, 1)
        runs[str(subject)], work[str(subject)] = partial(run, epochs), epochs * problem.rows
    taken = in_turns(runs, rounds)
    ns = {subject: 1e9 * taken[subject] / work[subject] for subject in runs}
    ours = ns[str(("fastnn", ""))]
    return [
        {
            "network": "-".join(map(str, network)),
            "dtype": dtype,
            "library": library,
            "layout": way,
            "ns": median(ns[str((library, way))]),
            "to_fastnn": median(ns[str((library, way))] / ours),
        }
        for library, way in agreed_runs
    ]
