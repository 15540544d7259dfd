"""Predictions, and what is asked of a network again and again, as simulations and other optimizers do."""

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

MOST_SECONDS = 1e-3  # of a pass: more than that is worth several threads, and is to be interrupted by Ctrl-C
MOST_KEPT = 4  # passes of a network: over its training and validation rows, with gradient and without

# For so many, predict() and jacobian() stay in compiled code at a time: a tenth of a second for a big network.
PREDICTION_OPERATIONS = 1e9
LEAST_TOGETHER = 8  # outputs that jacobian() goes back for at a time, as each time it has to go forward first
SECONDS_OF_PREDICTION = 1.25e-3  # of training on some rows are worth another thread for a pass through them


class OneRow:
    """A network for one row at a time, for any number of threads at once."""

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
        """The outputs (1, units) for finite numbers (1, inputs) of the network's dtype; None for anything else."""
        if X.shape != self._inputs or X.dtype != self._result[1] or not X.flags.carray:
            return None
        out = np.empty(*self._result)
        return out if self._call(self._address, one_row.PREDICT, X, out, True) else None

    @functools.cached_property
    def handle(self) -> Handle:
        """For compiled code of other people."""
        derive = parts.address_of(parts.row, one_row.derive, self._parameters.dtype)
        self._table[one_row.DERIVE] = derive
        return Handle(read_only(self._table), read_only(self._numbers), self._parameters)


class ShortPass:
    """The loss of few rows, and its gradient: a plan, and all the memory that goes with it.

    It is for one thread at a time, and until ``alive``, which holds its memory, is cleared. ``weight`` is the sum
    of the rows' weights.
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
        """Whether the rows of a plan are so few, and packed."""
        return (
            bool(plan.numbers[layout.PACKED])
            and plan.seconds_per_sample * int(plan.numbers[layout.SAMPLES]) <= MOST_SECONDS
        )

    def loss(self) -> float:
        """The loss, for a plan that is to evaluate."""
        return self._call(self._address, self._nothing, 0, 1.0)  # type: ignore[no-any-return]

    def gradient(self) -> tuple[float, Array]:
        """The loss and its gradient."""
        gradient = np.empty(self._count, self._dtype)
        return self._call(self._address, gradient, self._count, self._weight), gradient

    def summed_gradient(self) -> Array:
        """The gradient of the weighted sum of the losses."""
        gradient = np.empty(self._count, self._dtype)
        self._call(self._address, gradient, self._count, 1.0)
        return gradient


class InferenceCache:
    """What is kept with a network from call to call: passes over data sets, and what predicts rows.

    A pass is taken out while it is in use, so that no two threads have the same one. The data sets are held
    weakly, and copies of the network begin with nothing.
    """

    def __init__(self) -> None:
        self._passes: list[tuple[int, Any, weakref.ref[Dataset], ShortPass]] = []
        self.row: OneRow | None = None
        self._plans: dict[int, Plan] = {}  # of the last predictions, and of the last derivatives

    def plan_for(
        self, rows: int, layers: Sequence[LayerShape], dtype: np.dtype[Any], what: int = layout.EVALUATE
    ) -> Plan:
        """For the network's predictions for so many rows; GRADIENT: and for their derivatives by the inputs."""
        plan = self._plans.get(what)
        if plan is None or plan.numbers[layout.SAMPLES] != rows:
            plan = self._plans[what] = plan_of_predictions(layers, rows, dtype, what)
        return plan

    def __reduce__(self) -> tuple[Callable[[], InferenceCache], tuple[()]]:
        return InferenceCache, ()

    def take(self, what: int, loss: Any, dataset: Dataset, parameters: Array) -> Any:
        """The pass that is for these, which is then not kept any more; None if there is none."""
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
        """Keep it (again), if it is a short one; and at most MOST_KEPT, those that were used last."""
        if not isinstance(entry[3], ShortPass):
            return
        self._passes.append(entry)
        if len(self._passes) > MOST_KEPT:
            with contextlib.suppress(IndexError):  # other threads have taken them all
                self._passes.pop(0)

    def new(self, what: int, loss: Any, dataset: Dataset, made: Any) -> Any:
        """What ``take`` would have found, with a pass that has just been made."""
        if not isinstance(made, ShortPass):
            return what, loss, None, made
        alive = made.alive
        return what, loss, weakref.ref(dataset, lambda _: alive.clear()), made


# Many rows, on several threads ------------------------------------------------------------------------


def _memory_of_derivatives(plan: Plan) -> tuple[Array, tuple[Array, ...]]:
    """What a thread needs to go back to the inputs: scratch, two layers' rows in turn, and a 0."""
    rows = int(plan.layers[:, layout.LAYER_INPUTS].max()) * plan.stride
    return plan.scratch(), tuple(aligned_zeros(numbers, plan.dtype) for numbers in (rows, rows, 1))


def _worth(most_threads: int, pieces: int, rows: int, plan: Plan) -> int:
    """How many threads are worth while for so many pieces, with passes through the network for so many rows."""
    return max(1, min(most_threads, pieces, int(rows * plan.seconds_per_sample / SECONDS_OF_PREDICTION)))


def predict(plan: Plan, parameters: Array, rows: Array, most_threads: int = 1) -> tuple[Array, bool]:
    """The outputs (n, units) for rows (n, inputs), and whether all the rows are finite."""
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
    """The derivatives (n, many, inputs) of outputs, from the first wanted on, by checked rows (n, inputs)."""
    n, inputs = rows.shape
    memory.refuse(n * many * inputs * rows.dtype.itemsize, "the derivatives", "fewer rows at once take less")
    found = np.empty((n, many, inputs), rows.dtype)
    flat = read_only(rows.reshape(-1))
    given = plan.numbers, plan.reals, parameters, flat, found.reshape(-1)
    # A piece goes forward once, and back for some of the outputs.
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
