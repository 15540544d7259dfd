"""What a single answer costs, from Python: one row predicted, one loss and its gradient; and many rows at once.

Networks with hidden tanh and identity outputs, whose weights all libraries share. A call gets what the library
likes best, prepared beforehand (a tensor of PyTorch, an array on JAX's device), and is over when its result is
there; to make it an array of NumPy is not counted. ``fastnn.predict_one`` is called in a compiled loop, as
simulations do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from typing import Any

import numba
import numpy as np

import fastnn
from bench.handwriting import Array, flat, glorot
from bench.interleave import epochs_for, in_turns, median
from bench.rivals import torch_threads
from bench.subjects import DisagreementError

SECONDS = 0.02  # of one timing: thousands of calls
SIZES = ((2, 4, 1), (64, 64, 64, 10))
MANY = 10_000
OF_DATA_SET, ROWS_OF_DATA_SET = (24, 8, 2), 200  # the example of SimpleChains.jl's documentation: 5.66 µs there
ONE_ROW, IN_LOOP, MANY_ROWS, GRADIENT = "one row", "one row in @njit", "10,000 rows", "loss and gradient"
BOUNDS = {"float64": 1e-9, "float32": 1e-3}  # of what is compared, in parts of its greatest number

Call = Callable[[], Any]


@dataclass(frozen=True)
class Task:
    """What is asked of a network."""

    what: str
    network: tuple[int, ...]
    dtype: str

    @property
    def name(self) -> str:
        """As it stands in the results."""
        return "-".join(map(str, self.network))

    @cached_property
    def layers(self) -> list[tuple[Array, Array]]:
        """(weights (in, out), bias (out,)) of each layer."""
        return glorot(self.network, self.dtype)

    @cached_property
    def X(self) -> Array:  # noqa: N802
        """The rows."""
        rows = {MANY_ROWS: MANY, GRADIENT: ROWS_OF_DATA_SET}.get(self.what, 1)
        return np.random.default_rng(1).normal(size=(rows, self.network[0])).astype(self.dtype)

    @cached_property
    def y(self) -> Array:
        """Targets for the gradient."""
        return np.random.default_rng(2).normal(size=(len(self.X), self.network[-1])).astype(self.dtype)


@dataclass(frozen=True)
class OnThreads:
    """A call of PyTorch on so many threads, if it is ``repeated``."""

    call: Call
    count: int

    def __call__(self) -> Any:
        """What it answers."""
        return self.call()


@numba.njit
def _in_loop(handle: fastnn.handles.Handle, x: Array, out: Array, times: int) -> None:
    for _ in range(times):
        fastnn.predict_one(handle, x, out)


def _fastnn(task: Task) -> Iterator[tuple[str, Call]]:
    net = fastnn.mlp(task.network, activation="tanh", dtype=task.dtype)
    net.parameters = flat(task.layers)
    if task.what == GRADIENT:
        data = fastnn.Dataset(task.X, task.y)
        yield "", lambda: net.loss_and_gradient(data)
    else:
        yield "", partial(net.predict, task.X)


def _sklearn(task: Task) -> Iterator[tuple[str, Call]]:
    """MLPRegressor, with the weights put into it."""
    from sklearn.neural_network import MLPRegressor

    if task.what == GRADIENT:
        return
    net = MLPRegressor(hidden_layer_sizes=task.network[1:-1], activation="tanh", max_iter=1, solver="sgd")
    net.partial_fit(
        task.X, np.zeros((len(task.X), task.network[-1])) if task.network[-1] > 1 else np.zeros(len(task.X))
    )
    net.coefs_ = [weights.copy() for weights, _ in task.layers]
    net.intercepts_ = [bias.copy() for _, bias in task.layers]
    yield "", partial(net.predict, task.X)


def _torch(task: Task) -> Iterator[tuple[str, Call]]:
    """Eager calls of ``linear``, without a Module's; and traced, frozen and optimized.

    Both with and without inference mode; the gradient on one thread and on all.
    """
    import torch

    x = torch.from_numpy(task.X)
    weights = [torch.from_numpy(np.ascontiguousarray(w.T)) for w, _ in task.layers]
    biases = [torch.from_numpy(b) for _, b in task.layers]

    def forward(values: Any) -> Any:
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            values = torch.tanh(torch.nn.functional.linear(values, w, b))
        return torch.nn.functional.linear(values, weights[-1], biases[-1])

    if task.what == GRADIENT:
        y, parameters = torch.from_numpy(task.y), [p.requires_grad_() for p in (*weights, *biases)]

        def loss_and_gradient() -> Any:
            loss = torch.nn.functional.mse_loss(forward(x), y)
            return loss.detach(), torch.autograd.grad(loss, parameters)

        yield "eager", loss_and_gradient
        yield "eager, 1 thread", OnThreads(loss_and_gradient, 1)
        return

    def in_inference_mode(call: Call) -> Call:
        def asked() -> Any:
            with torch.inference_mode():
                return call()

        return asked

    yield "eager", partial(forward, x)
    yield "eager, inference mode", in_inference_mode(partial(forward, x))
    layers: list[Any] = []
    for w, b in zip(weights, biases, strict=True):
        linear = torch.nn.Linear(w.shape[1], w.shape[0], dtype=w.dtype)
        linear.weight.data, linear.bias.data = w, b
        layers += [linear, torch.nn.Tanh()]
    model = torch.nn.Sequential(*layers[:-1]).eval()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is to be replaced by what takes longer to call
        traced = torch.jit.freeze(torch.jit.trace(model, x))
        for _ in range(3):
            traced(x)

    yield "traced", partial(traced, x)
    yield "traced, inference mode", in_inference_mode(partial(traced, x))


def _jax(task: Task) -> Iterator[tuple[str, Call]]:
    """Jitted; the weights are constants of the program, or for the gradient its arguments, many or one."""
    import jax
    import jax.flatten_util

    double = jax.enable_x64(task.dtype == "float64")

    def forward(layers: Any, values: Any) -> Any:
        for weights, bias in layers[:-1]:
            values = jax.numpy.tanh(values @ weights + bias)
        return values @ layers[-1][0] + layers[-1][1]

    def loss(layers: Any, values: Any, targets: Any) -> Any:
        return jax.numpy.mean((forward(layers, values) - targets) ** 2)

    with double:
        x, y, layers = jax.device_put((task.X, task.y, task.layers))
        if task.what == GRADIENT:
            vector, unravel = jax.flatten_util.ravel_pytree(layers)
            of_vector = jax.value_and_grad(lambda vector, x, y: loss(unravel(vector), x, y))
            for layout, function, start in (
                ("", jax.value_and_grad(loss), layers),
                ("one vector", of_vector, vector),
            ):
                program = jax.jit(function).lower(start, x, y).compile()
                yield layout, lambda program=program, start=start: jax.block_until_ready(program(start, x, y))
        else:
            of_x = jax.jit(lambda values: forward(layers, values)).lower(x).compile()
            yield "", lambda: of_x(x).block_until_ready()


def onnx_model(layers: list[tuple[Array, Array]]) -> bytes:
    """A Gemm for each layer, and a Tanh behind each but the last."""
    from onnx import TensorProto, checker, helper, numpy_helper

    kind = helper.np_dtype_to_tensor_dtype(layers[0][0].dtype)
    assert kind in (TensorProto.FLOAT, TensorProto.DOUBLE)
    nodes, arrays, name = [], [], "x"
    for i, (weights, bias) in enumerate(layers):
        arrays += [numpy_helper.from_array(weights, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [f"z{i}"]))
        name = f"z{i}"
        if i < len(layers) - 1:
            nodes.append(helper.make_node("Tanh", [name], [f"y{i}"]))
            name = f"y{i}"
    ends = [
        helper.make_tensor_value_info(end, kind, [None, columns])
        for end, columns in (("x", layers[0][0].shape[0]), (name, len(layers[-1][1])))
    ]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _onnxruntime(task: Task) -> Iterator[tuple[str, Call]]:
    """On one thread; many rows on all cores too, and one row also with memory that is bound beforehand."""
    import onnxruntime

    if task.what == GRADIENT:
        return
    model = onnx_model(task.layers)
    for layout, threads in (("1 thread", 1), ("all threads", 0)):
        if threads == 0 and task.what != MANY_ROWS:
            continue
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        name = session.get_outputs()[0].name
        yield layout, lambda session=session, name=name: session.run([name], {"x": task.X})[0]
        if task.what == ONE_ROW:
            out = np.empty((1, task.network[-1]), task.dtype)
            binding = session.io_binding()
            binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(task.X))
            binding.bind_output(name, "cpu", 0, out.dtype, out.shape, out.ctypes.data)

            def bound(session: Any = session, binding: Any = binding, out: Array = out) -> Array:
                session.run_with_iobinding(binding)
                return out

            yield "bound memory", bound


LIBRARIES: dict[str, tuple[str, Callable[[Task], Iterator[tuple[str, Call]]]]] = {
    "fastnn": ("fastnn", _fastnn),
    "scikit-learn": ("sklearn", _sklearn),
    "PyTorch": ("torch", _torch),
    "JAX": ("jax", _jax),
    "onnxruntime": ("onnxruntime", _onnxruntime),
}


def calls(task: Task) -> dict[tuple[str, str], Call]:
    """The calls of all libraries that are installed, by library and layout."""
    found = {}
    for library, (package, make) in LIBRARIES.items():
        needed = (package, "onnx") if library == "onnxruntime" else (package,)
        if all(find_spec(name) is not None for name in needed):
            found.update({(library, layout): call for layout, call in make(task)})
    return found


def expected(task: Task) -> tuple[Any, ...]:
    """The outputs, or the loss and its gradient, in float64 and by NumPy."""
    values = [task.X.astype(np.float64)]
    for i, (weights, bias) in enumerate(task.layers):
        z = values[-1] @ weights.astype(np.float64) + bias
        values.append(np.tanh(z) if i < len(task.layers) - 1 else z)
    if task.what != GRADIENT:
        return (values[-1],)
    errors = values[-1] - task.y
    d, gradients = 2.0 * errors / errors.size, []
    for (weights, _), x in zip(task.layers[::-1], values[-2::-1], strict=True):
        gradients.append((x.T @ d, d.sum(axis=0)))
        d = (d @ weights.T.astype(np.float64)) * (1.0 - x * x)
    return (errors**2).mean(), flat(gradients[::-1])


def _as_one(library: str, gradient: Any) -> Array:
    """A library's gradient in the order in which fastnn has it."""
    if library == "PyTorch":  # weights (out, in) of all layers, then their biases
        half = len(gradient) // 2
        gradient = [(w.numpy().T, b.numpy()) for w, b in zip(gradient[:half], gradient[half:], strict=True)]
    return flat(gradient) if isinstance(gradient, list) else np.asarray(gradient)


def check(task: Task, who: tuple[str, str], answer: Any) -> None:
    """Raise unless an answer is the right one."""
    answers = (answer[0], _as_one(who[0], answer[1])) if task.what == GRADIENT else (answer,)
    for one, of_numpy in zip(answers, expected(task), strict=True):
        right = np.asarray(of_numpy)
        found = np.asarray(one, np.float64).reshape(right.shape)
        if not np.abs(found - right).max() <= BOUNDS[task.dtype] * np.abs(right).max():
            raise DisagreementError(
                f"{who[0]} {who[1]} has another answer: {task.what}, {task.name}, {task.dtype}"
            )


def repeated(call: Call, times: int) -> None:
    """As often as asked."""
    with torch_threads(call.count) if isinstance(call, OnThreads) else nullcontext():
        for _ in range(times):
            call()


def measure(task: Task, rounds: int, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """A row for each library and layout: µs a call, and how many times fastnn's."""
    runs: dict[tuple[str, str], Callable[[], object]] = {}
    times: dict[tuple[str, str], int] = {}
    for who, call in calls(task).items():
        check(task, who, call())
        run = partial(repeated, call)
        run(1)
        times[who] = epochs_for(run, seconds, 1)
        runs[who] = partial(run, times[who])
    return _rows(task, runs, times, rounds)


def measure_in_loop(task: Task, rounds: int, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """The same for fastnn in compiled code."""
    net = fastnn.mlp(task.network, activation="tanh", dtype=task.dtype)
    net.parameters = flat(task.layers)
    out = np.empty(task.network[-1], task.dtype)
    run = partial(_in_loop, net.handle, task.X[0], out)
    run(1)
    who = "fastnn", ""
    check(task, who, out)
    times = epochs_for(run, seconds, 1000)
    return _rows(task, {who: partial(run, times)}, {who: times}, rounds)


def _rows(
    task: Task,
    runs: dict[tuple[str, str], Callable[[], object]],
    times: dict[tuple[str, str], int],
    rounds: int,
) -> list[dict[str, Any]]:
    names = {" ".join(who): who for who in runs}
    taken = in_turns({name: runs[who] for name, who in names.items()}, rounds)
    us = {who: 1e6 * taken[name] / times[who] for name, who in names.items()}
    return [
        {
            "what": task.what,
            "network": task.name,
            "library": library,
            "dtype": task.dtype,
            "layout": layout,
            "us": median(us[library, layout]),
            "to_fastnn": median(us[library, layout] / us["fastnn", ""]),
        }
        for library, layout in us
    ]


def tasks(dtype: str) -> list[Task]:
    """All of them."""
    return [
        *(Task(what, network, dtype) for network in SIZES for what in (ONE_ROW, IN_LOOP)),
        Task(MANY_ROWS, SIZES[-1], dtype),
        Task(GRADIENT, OF_DATA_SET, dtype),
    ]


def measure_all(dtype: str, rounds: int, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """All rows."""
    found = []
    for task in tasks(dtype):
        found += (measure_in_loop if task.what == IN_LOOP else measure)(task, rounds, seconds)
    return found
