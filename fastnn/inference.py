"""Predictions and derivatives, and fast paths for calls that are repeated many times, as in simulations."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import compiled, memory, parts
from fastnn.arrays import aligned, aligned_zeros, read_only
from fastnn.dataset import Data, Dataset
from fastnn.handles import Handle
from fastnn.kernels import layout, one_row
from fastnn.kernels.simd import LANES, address_of
from fastnn.loss_kinds import Loss
from fastnn.plan import LayerShape, Plan, Task, make_plan, plan_of_predictions
from fastnn.threads import share

Array = npt.NDArray[Any]

MOST_SECONDS = 1e-3  # of a ShortPass: longer ones are worth several threads, and have to react to Ctrl-C
MOST_KEPT = 4  # passes kept for a network: over its training and validation rows, with gradient and without

# The operations for which predict() and jacobian() stay in compiled code at a time: a tenth of a second for a big
# network.
PREDICTION_OPERATIONS = 1e9
LEAST_TOGETHER = 8  # outputs that jacobian() goes back for at a time, since each time it has to go forward first
SECONDS_OF_PREDICTION = 1.25e-3  # a pass is worth one thread for each so many seconds of training on its rows


class OneRow:
    """Predicts one row at a time with a network; any number of threads can use it at once."""

    def __init__(self, layers: Sequence[LayerShape], parameters: Array) -> None:
        dtype, inputs, outputs = parameters.dtype, layers[0].inputs, layers[-1].units
        plan = make_plan(layers, inputs, outputs, 1, dtype, Task(batch_size=1))
        table = np.concatenate([np.zeros(one_row.START, np.int64), plan.numbers])
        self._address = address_of(table)
        table[one_row.ITSELF] = self._address + one_row.FORM
        table[one_row.PREDICT] = parts.address_of(parts.row, one_row.predict, dtype)
        table[one_row.NUMBERS] = address_of(plan.reals)
        table[one_row.PARAMETERS] = address_of(parameters)
        table[one_row.FEATURES], table[one_row.UNITS] = inputs, outputs
        table[one_row.SCRATCH] = plan.scratch_rows * plan.stride
        self._table, self._numbers, self._parameters = table, plan.reals, parameters
        self._inputs, self._result = (1, inputs), ((1, outputs), dtype)
        nothing = np.empty((1, 0), dtype)
        compiled.row.prepare(dtype, self._address, one_row.PREDICT, nothing, nothing, True)
        self._call = compiled.row.direct

    def predict(self, X: Array) -> Array | None:
        """Return outputs (1, units) for a finite row (1, inputs) of the right dtype; None for anything else."""
        if X.shape != self._inputs or X.dtype != self._result[1] or not X.flags.carray:
            return None
        out = np.empty(*self._result)
        return out if self._call(self._address, one_row.PREDICT, X, out, True) else None

    @functools.cached_property
    def handle(self) -> Handle:
        """The handle of the network for the user's compiled code."""
        derive = parts.address_of(parts.row, one_row.derive, self._parameters.dtype)
        self._table[one_row.DERIVE] = derive
        return Handle(read_only(self._table), read_only(self._numbers), self._parameters)


class ShortPass:
    """Computes the loss of few rows and its gradient: a plan, and all the memory that goes with it.

    It can be used by one thread at a time, until ``alive``, which holds its memory, is cleared. ``weight`` is the
    sum of the rows' weights.
    """

    def __init__(self, plan: Plan, data: Data, parameters: Array, weight: float) -> None:
        self.parameters = parameters
        self._count = len(parameters)
        self._weight = float(plan.dtype.type(weight))
        sums = aligned_zeros(plan.vector_length + LANES[plan.dtype], plan.dtype)
        self.alive = [plan.numbers, plan.reals, *data, parameters, sums, plan.scratch()]
        self._table = np.array([address_of(array) for array in self.alive])
        self._address = address_of(self._table)
        self._dtype = plan.dtype
        self._nothing = np.empty(0, plan.dtype)
        entry = compiled.loss_and_gradient
        entry.prepare(plan.dtype, self._address, self._nothing, self._count, self._weight)
        self._call = entry.direct

    @staticmethod
    def holds(plan: Plan) -> bool:
        """Whether the rows of a plan are few enough, and packed."""
        return (
            bool(plan.numbers[layout.PACKED])
            and plan.seconds_per_sample * int(plan.numbers[layout.SAMPLES]) <= MOST_SECONDS
        )

    def loss(self) -> float:
        """Return the loss; the plan has to be for EVALUATE."""
        return self._call(self._address, self._nothing, 0, 1.0)  # type: ignore[no-any-return]

    def gradient(self) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        gradient = np.empty(self._count, self._dtype)
        return self._call(self._address, gradient, self._count, self._weight), gradient

    def summed_gradient(self) -> Array:
        """Return the gradient of the weighted sum of the rows' losses."""
        gradient = np.empty(self._count, self._dtype)
        self._call(self._address, gradient, self._count, 1.0)
        return gradient


class InferenceCache:
    """What a network keeps from call to call: passes over data sets, and plans and objects for predictions.

    A pass is taken out while it is in use, so that no two threads have the same one. The cache has only weak
    references to the data sets, and a copy of the network begins with an empty cache.
    """

    def __init__(self) -> None:
        self._passes: list[tuple[int, Any, weakref.ref[Dataset], ShortPass]] = []
        self.row: OneRow | None = None
        self._plans: dict[int, Plan] = {}  # for the last predictions and the last derivatives

    def plan_for(
        self, rows: int, layers: Sequence[LayerShape], dtype: np.dtype[Any], what: int = layout.EVALUATE
    ) -> Plan:
        """Return a plan to predict that many rows; with GRADIENT, also to derive the outputs by the inputs."""
        plan = self._plans.get(what)
        if plan is None or plan.numbers[layout.SAMPLES] != rows:
            plan = self._plans[what] = plan_of_predictions(layers, rows, dtype, what)
        return plan

    def __reduce__(self) -> tuple[Callable[[], InferenceCache], tuple[()]]:
        return InferenceCache, ()

    def take(self, what: int, loss: Any, dataset: Dataset, parameters: Array) -> Any:
        """Remove and return the pass for these arguments; None if there is none."""
        others = []
        found = None
        while found is None:
            try:
                entry = self._passes.pop()
            except IndexError:
                break
            if (
                entry[0] == what
                and entry[2]() is dataset
                and (entry[1] is loss or (isinstance(loss, (str, Loss)) and entry[1] == loss))
                and entry[3].parameters is parameters
            ):
                found = entry
            elif entry[2]() is not None:
                others.append(entry)
        if others:
            self._passes += others[::-1]
        return found

    def put(self, entry: Any) -> None:
        """Keep a pass (again) if it is a ShortPass; the MOST_KEPT that were used last are kept."""
        if not isinstance(entry[3], ShortPass):
            return
        self._passes.append(entry)
        if len(self._passes) > MOST_KEPT:
            with contextlib.suppress(IndexError):  # other threads have taken them all
                self._passes.pop(0)

    def new(self, what: int, loss: Any, dataset: Dataset, made: Any) -> Any:
        """Return an entry, as ``take`` does, with a pass that has just been made."""
        if not isinstance(made, ShortPass):
            return what, loss, None, made
        alive = made.alive
        return what, loss, weakref.ref(dataset, lambda _: alive.clear()), made


# Many rows, on several threads ------------------------------------------------------------------------


def _memory_of_derivatives(plan: Plan) -> tuple[Array, tuple[Array, ...]]:
    """Return the memory a thread needs to go back to the inputs: scratch, two layers' rows in turn, and a 0."""
    rows = int(plan.layers[:, layout.LAYER_INPUTS].max()) * plan.stride
    return plan.scratch(), tuple(aligned_zeros(numbers, plan.dtype) for numbers in (rows, rows, 1))


def _worth(most_threads: int, pieces: int, rows: int, plan: Plan) -> int:
    """Return how many threads are worthwhile for that many pieces and rows."""
    return max(1, min(most_threads, pieces, int(rows * plan.seconds_per_sample / SECONDS_OF_PREDICTION)))


def predict(plan: Plan, parameters: Array, rows: Array, most_threads: int = 1) -> tuple[Array, bool]:
    """Return the outputs (n, units) for rows (n, inputs), and whether all the rows are finite."""
    n, units = len(rows), int(plan.numbers[layout.OUTPUTS])
    memory.refuse(n * units * rows.dtype.itemsize, f"predictions for {n:,} rows")
    outputs = np.empty((n, units), rows.dtype)
    given = plan.numbers, plan.reals, parameters, read_only(rows.reshape(-1)), outputs.reshape(-1)
    tiles = -(-n // plan.tile)
    count = _worth(most_threads, tiles, n, plan)
    scratch = [aligned(plan.scratch_length, plan.dtype) for _ in range(count)]
    flaw = np.zeros(1, np.int64)
    at_once = max(1, int(PREDICTION_OPERATIONS / (2 * len(parameters) * plan.tile)))
    compiled.predict.prepare(rows.dtype, *given, scratch[0], flaw, flaw, 0)

    def work(thread: int, taken: npt.NDArray[np.int64]) -> None:
        compiled.predict(*given, scratch[thread], taken, flaw, at_once)

    share(tiles, count, work)
    return outputs, not flaw[0]


def jacobian(plan: Plan, parameters: Array, rows: Array, first: int, many: int, most_threads: int = 1) -> Array:
    """Return the derivatives (n, many, inputs) of outputs from ``first`` on, for checked rows (n, inputs)."""
    n, inputs = rows.shape
    memory.refuse(n * many * inputs * rows.dtype.itemsize, "the derivatives", "fewer rows at once take less")
    found = np.empty((n, many, inputs), rows.dtype)
    flat = read_only(rows.reshape(-1))
    given = plan.numbers, plan.reals, parameters, flat, found.reshape(-1)
    # Each piece goes forward once, and back for some of the outputs.
    passes = max(1, int(PREDICTION_OPERATIONS / (2 * len(parameters) * plan.tile)))
    together = min(many, max(LEAST_TOGETHER, passes))
    at_once = max(1, passes // (1 + together))
    pieces = -(-n // plan.tile) * -(-many // together)
    outputs = first, many, together
    memories = {0: _memory_of_derivatives(plan)}
    compiled.jacobian.prepare(rows.dtype, *given, *memories[0], outputs, np.zeros(1, np.int64), 0)

    def work(thread: int, taken: npt.NDArray[np.int64]) -> None:
        if thread not in memories:
            memories[thread] = _memory_of_derivatives(plan)
        compiled.jacobian(*given, *memories[thread], outputs, taken, at_once)

    share(pieces, _worth(most_threads, pieces, n * (1 + many), plan), work)
    return found
