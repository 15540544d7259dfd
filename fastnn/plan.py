"""Plans: a network and a task for it, as the rows of numbers that the kernels read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import parts
from fastnn.activations import Activation
from fastnn.arrays import aligned_zeros, whole_vectors
from fastnn.kernels import bounds, dense, layout, regularizing_layers, stochastic, wide
from fastnn.kernels.simd import LANES

# Bytes of a row of a tile: large enough that the work on a tile outweighs its fixed costs, and small enough that
# all its rows stay in the cache. Measured from [2, 4, 1] to [64, 1024, 1024, 10], for which the rows do not stay
# in the cache, but each tile has to go through all the weights. Predictions and their derivatives use the least,
# so that threads share the tiles more evenly.
MOST_ROW_BYTES, LEAST_ROW_BYTES = 3072, 1024
TILE_BYTES = 2 << 20
# If rows take more than this and are used in order, they come from memory, tile by tile, and it is worth
# prefetching the next tile. For less, that costs some per cent (all measured with [2, 4, 1], densities 30 to
# 3000).
CACHE_BYTES = 1 << 20
# Groups of a layer's units, after each of which a part of that tile is prefetched.
MOST_GROUPS = 8

# Batches of up to this many rows are processed row by row, with lanes across units. In small networks, three rows
# take as long either way, and more are faster with lanes across samples (measured from [2, 4, 1] to [64, 64, 10]).
MOST_SINGLE = 2

# The time that training on one sample takes, in float64, for each unit's activation and for each weight.
SECONDS_OF_UNIT, SECONDS_OF_PRODUCT = 0.6e-9, 0.1e-9
# A batch that would be one tile becomes two, for two threads, if it takes more than that many seconds and each
# half has that many vectors. With eight vectors, one thread takes 1 to 3 % longer ([2, 4, 1]; with [24, 8, 2]
# 20 %), and two are half as fast again; with three vectors, one takes up to 11 % longer, and two take 16 to 40 %
# less (128 to 1,024 units wide).
WORTH_TWO = ((6e-6, 8), (5e-5, 3))


@dataclass(frozen=True)
class LayerShape:
    """A layer as a plan describes it: a dense one, which has an activation; dropout; or layer normalization."""

    inputs: int
    units: int
    activation: Activation | None = None
    dropout: float | None = None  # its rate
    epsilon: float | None = None  # of layer normalization
    trained: bool = True
    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None

    @property
    def parameters(self) -> int:
        """The number of parameters: weights and biases, or gains and biases."""
        if self.activation is not None:
            return (self.inputs + 1) * self.units
        return 0 if self.dropout is not None else 2 * self.units


@dataclass(frozen=True)
class LossPart:
    """A loss for a given number of outputs, as the kernels compute it."""

    pattern: Any
    kernel: Any
    settings: tuple[float, ...]
    fused: bool  # whether its derivative is with respect to the z of the outputs


@dataclass(frozen=True)
class UpdatePart:
    """How the parameters are updated from the gradient."""

    kernel: Any
    settings: tuple[float, ...]  # the learning rate first
    states: int
    clip_value: float = 0.0  # 0: none
    clip_norm: float = 0.0
    schedule: Any = None  # its kernel
    schedule_settings: tuple[float, ...] = ()
    warm_epochs: float = 0.0
    plateau: tuple[float, float, int, float] | None = None  # factor, least gain, patience, least rate
    line_search: bool = False
    gauss_newton: Any = None  # the kernel of a tile's part of the Gauss-Newton matrix, if needed


@dataclass(frozen=True)
class MetricPart:
    """A metric that is recorded for each epoch, as the kernels compute it."""

    name: str
    kernel: Any
    settings: tuple[float, ...]
    shape: tuple[int, ...] = ()
    of_labels: bool = False  # whether it compares labels: predicted and true ones
    greater: bool | None = False  # whether greater is better; None: the metric is several numbers
    work: Callable[[int], int] = lambda rows: 0  # numbers of memory needed for that many rows


@dataclass(frozen=True)
class Monitor:
    """What early stopping monitors, when it stops, and whether it restores the best parameters."""

    name: str
    greater: bool  # whether greater is better
    patience: int
    min_delta: float
    restore_best: bool


@dataclass(frozen=True)
class Task:
    """What to do with a network and n rows."""

    what: int = layout.EVALUATE
    loss: LossPart | None = None
    update: UpdatePart | None = None
    epochs: int = 1
    batch_size: int | None = None  # None: all rows at once
    packed: bool = True  # whether they are then packed beforehand
    shuffled: bool = False
    seed: int = 0
    weighted: bool = False
    metrics: tuple[MetricPart, ...] = ()
    validated: bool = False
    monitor: Monitor | None = None
    pause_every: int = 0

    @cached_property
    def columns(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        """Where each value begins in the record of an epoch, and its shape, by the names that users know."""
        update = self.update
        rate_changes = update is not None and (
            update.schedule is not None or update.plateau is not None or update.warm_epochs > 0
        )
        shapes: dict[str, tuple[int, ...]] = {"loss": ()}
        if rate_changes:
            shapes["learning_rate"] = ()
        if self.validated:
            shapes["val_loss"] = ()
        for prefix in ("", "val_") if self.validated else ("",):
            shapes |= {prefix + metric.name: metric.shape for metric in self.metrics}
        ends = itertools.accumulate(map(math.prod, shapes.values()), initial=0)
        return {name: (start, shape) for start, (name, shape) in zip(ends, shapes.items(), strict=False)}

    @property
    def width(self) -> int:
        """The number of numbers in the record of an epoch."""
        return sum(math.prod(shape) for _, shape in self.columns.values())

    def column(self, name: str) -> int:
        """Return where a value begins in the record of an epoch; -1 if it is not recorded."""
        return self.columns[name][0] if name in self.columns else -1

    def named(self, record: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        """Return the record of an epoch (width,), or of several (epochs, width), as arrays by name."""
        found = {}
        for name, (column, shape) in self.columns.items():
            values = record[..., column : column + math.prod(shape)]
            found[name] = values.reshape((*record.shape[:-1], *shape)).copy()
        return found


@dataclass(frozen=True)
class Plan:
    """A task as numbers for the kernels, and the sizes of the memory that it needs."""

    numbers: npt.NDArray[np.int64]
    reals: npt.NDArray[np.float64]
    dtype: np.dtype[Any]
    scratch_rows: int
    seconds_per_sample: float  # about how long training on one takes
    state_length: int = 0  # numbers that the optimizer remembers

    @property
    def tile(self) -> int:
        """The number of samples in a tile."""
        return int(self.numbers[layout.TILE])

    @property
    def stride(self) -> int:
        """The distance between rows of a tile."""
        return int(self.numbers[layout.STRIDE])

    @property
    def layers(self) -> npt.NDArray[np.int64]:
        """The layers: for each, a row of LAYER_FIELDS numbers."""
        count = int(self.numbers[layout.LAYERS])
        return self.numbers[layout.HEAD :][: count * layout.LAYER_FIELDS].reshape(count, layout.LAYER_FIELDS)

    @property
    def vector_length(self) -> int:
        """The length of a parameter vector, in whole registers."""
        return int(self.numbers[layout.PARAMETERS])

    @property
    def scratch_length(self) -> int:
        """The length of the memory for one tile's rows, in whole vectors."""
        return whole_vectors(self.scratch_rows * self.stride, self.dtype)

    def scratch(self) -> npt.NDArray[Any]:
        """Return memory for one tile's rows."""
        return aligned_zeros(self.scratch_length, self.dtype)


class _Scratch:
    """The allocation of rows of scratch memory."""

    def __init__(self) -> None:
        self.rows = 0

    def take(self, count: int) -> int:
        """Allocate that many rows and return the index of the first."""
        self.rows += count
        return self.rows - count


class _Lists:
    """Lists that follow the head and the layers of a plan, and its single real numbers."""

    def __init__(self, whole_start: int) -> None:
        self.whole: list[int] = []
        self.real: list[float] = []
        self._whole_start = whole_start

    def add_whole(self, *numbers: int) -> int:
        """Append numbers and return the position at which they will stand."""
        self.whole += numbers
        return self._whole_start + len(self.whole) - len(numbers)

    def add_real(self, *numbers: float) -> int:
        """Append numbers and return the position at which they will stand."""
        self.real += numbers
        return layout.NUMBERS + len(self.real) - len(numbers)


def make_plan(
    layers: Sequence[LayerShape], inputs: int, outputs: int, rows: int, dtype: np.dtype[Any], task: Task
) -> Plan:
    """Return the plan for a task on ``rows`` rows with the given numbers of inputs and outputs."""
    training = task.what == layout.TRAIN
    # Dropout acts only in training.
    numbered = [(i, layer) for i, layer in enumerate(layers) if training or layer.dropout is None]
    head = np.zeros(layout.HEAD, np.int64)
    reals = np.zeros(layout.NUMBERS)
    lists = _Lists(layout.HEAD + len(numbered) * layout.LAYER_FIELDS)
    batch = rows if task.batch_size is None else min(task.batch_size, rows)

    scratch = _Scratch()
    head[layout.INPUT_ROW] = scratch.take(inputs)
    head[layout.TARGET_ROW] = scratch.take(outputs)
    head[layout.WEIGHT_ROW] = scratch.take(1)
    head[layout.GRADIENT_ROW] = scratch.take(outputs)
    fused = task.loss is not None and task.loss.fused
    records = _records(numbered, scratch, lists, dtype, training, fused)
    single = task.batch_size is not None and batch <= min(MOST_SINGLE, LANES[dtype] - 1)
    if single:
        widest = max([inputs, outputs, *(layer.units for layer in layers)])
        head[layout.SINGLE_ROW], head[layout.SINGLE_ROWS] = scratch.take(2 * widest), widest
        if training:
            head[layout.FEW_ROWS] = parts.address_of(parts.descent, stochastic.row_by_row, dtype)
    seconds = _seconds_per_sample(
        np.array([(layer.inputs, layer.units) for layer in layers], np.int64).reshape(-1, 2), dtype
    )
    most_bytes = LEAST_ROW_BYTES if task.loss is None else MOST_ROW_BYTES
    tile, stride = _tile_of(batch, scratch.rows, most_bytes, dtype, seconds)

    head[layout.LAYERS] = len(numbered)
    head[layout.INPUTS] = inputs
    head[layout.OUTPUTS] = outputs
    head[layout.PARAMETERS] = whole_vectors(sum(layer.parameters for layer in layers), dtype)
    head[layout.SAMPLES] = rows
    head[layout.WINDOW_END] = rows
    head[layout.BATCH] = batch
    head[layout.TILE] = tile
    head[layout.STRIDE] = stride
    _put_task(head, lists, task, dtype)
    _put_fetching(head, records, task, dtype)
    trained = [place for place, record in enumerate(records) if record[layout.LAYER_TRAINED]]
    with_parameters = [place for place in trained if numbered[place][1].parameters]
    head[layout.FIRST_TRAINED] = with_parameters[0] if with_parameters else 0
    _pair(records[int(head[layout.FIRST_TRAINED]) :])
    if not single:
        _put_wide(records, head, task, dtype)
    head[layout.IDENTIFIED] = any(layer.dropout is not None for _, layer in numbered)
    _put_bounds(head, lists, layers, dtype, training)
    _put_metrics(head, lists, task, dtype)
    _put_update(head, reals, lists, task, dtype)
    state = 0 if task.update is None else task.update.states * int(head[layout.PARAMETERS])
    if task.update is not None and task.update.gauss_newton is not None:
        address = parts.address_of(parts.gauss_newton, task.update.gauss_newton, dtype)
        head[layout.GAUSS_NEWTON], head[layout.NEWTON_WORK] = address, state
        state += (int(head[layout.PARAMETERS]) + 1 + sum(layer.units for layer in layers)) * stride
    return Plan(
        np.concatenate([head, *records, np.array(lists.whole, np.int64)]),
        np.concatenate([reals, np.array(lists.real)]),
        dtype,
        scratch.rows,
        seconds,
        state,
    )


def plan_of_predictions(
    layers: Sequence[LayerShape], rows: int, dtype: np.dtype[Any], what: int = layout.EVALUATE
) -> Plan:
    """Return the plan for predictions, without dropout; for GRADIENT, also for their input derivatives."""
    return make_plan(layers, layers[0].inputs, layers[-1].units, rows, dtype, Task(what, packed=False))


def _records(
    numbered: Sequence[tuple[int, LayerShape]],
    scratch: _Scratch,
    lists: _Lists,
    dtype: np.dtype[Any],
    training: bool,
    fused: bool,
) -> list[npt.NDArray[np.int64]]:
    """Return the plan's numbers for each layer; layers are given with their indices."""
    records: list[npt.NDArray[np.int64]] = []
    parameters = 0
    for number, layer in numbered:
        record = np.zeros(layout.LAYER_FIELDS, np.int64)
        record[layout.LAYER_INPUTS] = layer.inputs
        record[layout.LAYER_OUTPUTS] = layer.units
        record[layout.LAYER_WEIGHTS] = parameters
        record[layout.LAYER_BIAS] = parameters + layer.inputs * layer.units
        record[layout.LAYER_TRAINED] = layer.trained or not training
        record[layout.LAYER_NUMBER] = number
        last = len(records) == len(numbered) - 1
        if layer.activation is not None:
            record[layout.LAYER_KIND] = layout.DENSE
            record[layout.LAYER_ACTIVATION] = layer.activation.address(dtype)
            record[layout.LAYER_COUPLED] = layer.activation.coupled
            record[layout.LAYER_GROUP] = layer.units
            record[layout.LAYER_Z] = z = scratch.take(layer.units)
            # Only a loss that works from logits reads z after the activation.
            record[layout.LAYER_Y] = scratch.take(layer.units) if fused and last else z
        else:
            record[layout.LAYER_KIND] = layout.OTHER
            record[layout.LAYER_FORWARD], record[layout.LAYER_BACKWARD] = _other(layer, dtype)
            record[layout.LAYER_SETTING] = lists.add_real(layer.dropout or layer.epsilon or 0.0)
            record[layout.LAYER_Z] = scratch.take(0 if layer.dropout is not None else layer.units + 1)
            record[layout.LAYER_Y] = scratch.take(layer.units)
        record[layout.LAYER_D] = scratch.take(layer.units)
        parameters += layer.parameters
        records.append(record)
    return records


def _put_wide(
    records: Sequence[npt.NDArray[np.int64]], head: npt.NDArray[np.int64], task: Task, dtype: np.dtype[Any]
) -> None:
    """Enter the parts for dense layers of many inputs or outputs, as far as the task needs them."""
    # Derivatives of predictions go back to the inputs of all layers, those of a loss only to what is trained.
    goes_back, of_loss = task.what != layout.EVALUATE, task.loss is not None
    first = head[layout.FIRST_TRAINED] + 1 if of_loss else 0
    for i, record in enumerate(records):
        if record[layout.LAYER_KIND] != layout.DENSE:
            continue
        inputs, outputs = record[layout.LAYER_INPUTS], record[layout.LAYER_OUTPUTS]
        if inputs >= wide.FORWARD_FROM_INPUTS:
            record[layout.LAYER_FORWARD] = parts.address_of(parts.wide_layer, wide.forward, dtype)
        if goes_back and i >= first and outputs >= wide.BACKWARD_FROM_OUTPUTS:
            record[layout.LAYER_BACKWARD] = parts.address_of(parts.wide_layer, wide.backward_inputs, dtype)
        many = inputs >= wide.GRADIENT_FROM_INPUTS and outputs >= wide.GRADIENT_FROM_VECTORS * LANES[dtype]
        wanted = goes_back and of_loss and record[layout.LAYER_TRAINED]
        paired = i + 1 < len(records) and records[i + 1][layout.LAYER_PAIRED]  # which then computes it
        if many and wanted and not paired:
            record[layout.LAYER_GRADIENT] = parts.address_of(parts.wide_gradient, wide.backward_weights, dtype)


def _pair(trained: Sequence[npt.NDArray[np.int64]]) -> None:
    """Mark the layers whose backward pass is done together with that of the layer before."""
    for before, record in itertools.pairwise(trained):
        record[layout.LAYER_PAIRED] = (
            record[layout.LAYER_KIND] == before[layout.LAYER_KIND] == layout.DENSE
            and record[layout.LAYER_OUTPUTS] == 1
            and before[layout.LAYER_INPUTS] <= dense.INPUT_BLOCK
            and before[layout.LAYER_OUTPUTS] % dense.PAIR_BLOCK == 0
            and bool(record[layout.LAYER_TRAINED] and before[layout.LAYER_TRAINED])
        )


def _put_task(head: npt.NDArray[np.int64], lists: _Lists, task: Task, dtype: np.dtype[Any]) -> None:
    """Enter how rows are processed, and the loss; ``head`` has the numbers of rows, inputs and outputs already."""
    packed = task.batch_size is None and task.packed
    head[layout.PACKED] = packed
    head[layout.WEIGHTED] = task.weighted
    head[layout.SHUFFLED] = task.shuffled and task.batch_size is not None
    head[layout.SEED] = task.seed
    head[layout.EPOCHS] = task.epochs
    head[layout.TASK] = task.what
    if task.loss is not None:
        head[layout.FUSED] = task.loss.fused
        head[layout.LOSS] = parts.address_of(task.loss.pattern, task.loss.kernel, dtype)
        head[layout.LOSS_SETTINGS] = lists.add_real(*task.loss.settings)


def _put_fetching(
    head: npt.NDArray[np.int64], records: Sequence[npt.NDArray[np.int64]], task: Task, dtype: np.dtype[Any]
) -> None:
    """Enter into how many parts the next tile is cut for prefetching, and how large they are."""
    numbers = int(head[layout.INPUTS] + head[layout.OUTPUTS]) * int(head[layout.SAMPLES])
    activated = [record for record in records if record[layout.LAYER_KIND] == layout.DENSE]
    if head[layout.SHUFFLED] or numbers * dtype.itemsize <= CACHE_BYTES or not activated:
        return
    for record in activated:
        if not record[layout.LAYER_COUPLED]:
            record[layout.LAYER_GROUP] = -(-record[layout.LAYER_OUTPUTS] // MOST_GROUPS)
    parts = sum(-(-record[layout.LAYER_OUTPUTS] // record[layout.LAYER_GROUP]) for record in activated)
    samples = head[layout.STRIDE if head[layout.PACKED] else layout.TILE]  # packed rows have gaps
    head[layout.FETCH_INPUTS] = -(-head[layout.INPUTS] * samples // parts)
    if task.loss is not None:
        head[layout.FETCH_TARGETS] = -(-head[layout.OUTPUTS] * samples // parts)


def _other(layer: LayerShape, dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the addresses of the forward and backward kernels of a layer that is not dense."""
    kernels: tuple[Any, Any] = regularizing_layers.normalize, regularizing_layers.normalize_backward
    if layer.dropout is not None:
        kernels = regularizing_layers.drop, regularizing_layers.drop_backward
    patterns = parts.layer_forward, parts.layer_backward
    forward, backward = (parts.address_of(*pair, dtype) for pair in zip(patterns, kernels, strict=True))
    return forward, backward


def _put_bounds(
    head: npt.NDArray[np.int64], lists: _Lists, layers: Sequence[LayerShape], dtype: np.dtype[Any], training: bool
) -> None:
    """Enter penalties; and in training, bounds on norms, and the parameters that are not trained."""
    starts = np.cumsum([0, *(layer.parameters for layer in layers)]).tolist()
    placed = list(zip(starts, layers, strict=False))
    penalized = [(start, layer) for start, layer in placed if layer.l1 or layer.l2]
    if penalized:
        head[layout.PENALTY] = parts.address_of(parts.penalty, bounds.penalty, dtype)
        head[layout.PENALTIES] = len(penalized)
        head[layout.PENALTY_LIST] = lists.add_whole(
            *(number for start, layer in penalized for number in (start, layer.inputs * layer.units))
        )
        head[layout.PENALTY_SETTINGS] = lists.add_real(
            *(
                number
                for _, layer in penalized
                for number in (layer.l1, layer.l2, float(layer.trained or not training))
            )
        )
    if not training:
        return
    bounded = [(start, layer) for start, layer in placed if layer.max_norm is not None and layer.trained]
    if bounded:
        head[layout.CONSTRAINT] = parts.address_of(parts.constraint, bounds.constraint, dtype)
        head[layout.CONSTRAINTS] = len(bounded)
        head[layout.CONSTRAINT_LIST] = lists.add_whole(
            *(number for start, layer in bounded for number in (start, layer.inputs, layer.units))
        )
        head[layout.CONSTRAINT_SETTINGS] = lists.add_real(*(layer.max_norm or 0.0 for _, layer in bounded))
    frozen = [(start, layer) for start, layer in placed if layer.parameters and not layer.trained]
    head[layout.FROZEN] = len(frozen)
    head[layout.FROZEN_LIST] = lists.add_whole(
        *(number for start, layer in frozen for number in (start, layer.parameters))
    )


def _put_metrics(head: npt.NDArray[np.int64], lists: _Lists, task: Task, dtype: np.dtype[Any]) -> None:
    """Enter what is recorded for each epoch."""
    head[layout.COLUMNS] = task.width
    head[layout.RATE_COLUMN] = task.column("learning_rate")
    head[layout.VALIDATION_COLUMN] = task.column("val_loss")
    head[layout.METRICS] = len(task.metrics)
    entries: list[int] = []
    for metric in task.metrics:
        column = task.column(metric.name if task.what == layout.TRAIN else f"val_{metric.name}")
        address = parts.address_of(parts.metric, metric.kernel, dtype)
        entries += [address, lists.add_real(*metric.settings), column, int(metric.of_labels)]
        head[layout.OF_LABELS if metric.of_labels else layout.OF_OUTPUTS] = 1
    head[layout.METRIC_LIST] = lists.add_whole(*entries)


def _put_update(
    head: npt.NDArray[np.int64],
    reals: npt.NDArray[np.float64],
    lists: _Lists,
    task: Task,
    dtype: np.dtype[Any],
) -> None:
    """Enter the optimizer, and when to stop."""
    head[layout.PAUSE_EVERY] = task.pause_every
    head[layout.MONITOR_COLUMN] = -1
    if task.monitor is not None:
        head[layout.MONITOR_COLUMN] = task.column(task.monitor.name)
        head[layout.PATIENCE] = task.monitor.patience
        reals[layout.MONITOR_SIGN] = -1.0 if task.monitor.greater else 1.0
        reals[layout.MONITOR_DELTA] = task.monitor.min_delta
    update = task.update
    if update is None:
        return
    head[layout.LINE_SEARCH] = update.line_search
    head[layout.OPTIMIZER] = parts.address_of(parts.optimizer, update.kernel, dtype)
    reals[: len(update.settings)] = update.settings
    if update.clip_value or update.clip_norm:
        head[layout.CLIP] = parts.address_of(parts.clip, bounds.clip, dtype)
        reals[layout.CLIP_VALUE], reals[layout.CLIP_NORM] = update.clip_value, update.clip_norm
    if update.schedule is not None:
        head[layout.SCHEDULE] = parts.address_of(parts.schedule, update.schedule, dtype)
        head[layout.SCHEDULE_SETTINGS] = lists.add_real(*update.schedule_settings)
    reals[layout.WARM_EPOCHS] = update.warm_epochs
    if update.plateau is not None:
        head[layout.PLATEAU] = 1
        factor, delta, patience, least = update.plateau
        head[layout.PLATEAU_PATIENCE] = patience
        reals[layout.PLATEAU_FACTOR], reals[layout.PLATEAU_DELTA] = factor, delta
        reals[layout.PLATEAU_LEAST] = least


def _seconds_per_sample(sizes: npt.NDArray[np.int64], dtype: np.dtype[Any]) -> float:
    """Return about how long training on a sample takes, for layers of these sizes (inputs, units)."""
    units, products = sizes[:, 1].sum(), sizes.prod(axis=1).sum()
    return float(SECONDS_OF_UNIT * units + SECONDS_OF_PRODUCT * products) * dtype.itemsize / 8


def _tile_of(
    batch: int, scratch_rows: int, most_bytes: int, dtype: np.dtype[Any], seconds: float
) -> tuple[int, int]:
    """Return (samples of a tile, distance between its rows), which cut a batch into tiles of nearly equal size.

    A row has at most ``most_bytes`` bytes; a sample takes ``seconds``.
    """
    row_bytes = min(most_bytes, max(LEAST_ROW_BYTES, TILE_BYTES // scratch_rows))
    tiles = -(-batch // (row_bytes // dtype.itemsize))
    worth_two = any(
        batch * seconds > taken and batch > (2 * vectors - 1) * LANES[dtype] for taken, vectors in WORTH_TWO
    )
    if tiles > 1 or worth_two:
        tiles += tiles % 2  # so that two threads have the same amount of work
    tile = whole_vectors(-(-batch // tiles), dtype)
    # Rows an even number of registers apart would compete for the same places in the cache.
    even = tile // LANES[dtype] % 2 == 0
    return tile, tile + (LANES[dtype] if even else 0)
