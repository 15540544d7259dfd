"""A network and what is to be done with it, as the rows of whole numbers that the kernels read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.kernels import layout
from fastnn.kernels.simd import LANES, VECTOR_BYTES

# Bytes of a row of a tile: long enough that the work on a tile outweighs its fixed costs, and
# short enough that all its rows stay in the cache. Measured from [2, 4, 1] to [2, 256, 256, 1].
MOST_ROW_BYTES, LEAST_ROW_BYTES = 3072, 512
TILE_BYTES = 2 << 20
# Packed data beyond this come from memory, tile by tile: it is worth asking for the next one early. For less it
# costs 5 % (all measured with [2, 4, 1], densities 30 to 1000).
CACHE_BYTES = 1 << 20


@dataclass(frozen=True)
class LayerShape:
    """What a plan says of a dense layer."""

    inputs: int
    units: int
    activation: int  # its kind

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return (self.inputs + 1) * self.units


@dataclass(frozen=True)
class Task:
    """What is to be done with a network and n rows."""

    loss: int = 0
    fused: bool = False
    optimizer: int = 0
    epochs: int = 1
    batch_size: int | None = None  # None: all rows at once, packed beforehand
    shuffled: bool = False
    seed: int = 0
    weighted: bool = False


@dataclass(frozen=True)
class Plan:
    """The numbers, and the sizes of the memory that goes with them."""

    numbers: npt.NDArray[np.int64]
    dtype: np.dtype[Any]
    scratch_rows: int

    @property
    def tile(self) -> int:
        """Samples of a tile."""
        return int(self.numbers[layout.TILE])

    @property
    def stride(self) -> int:
        """Distance between rows of a tile."""
        return int(self.numbers[layout.STRIDE])

    @property
    def vector_length(self) -> int:
        """Numbers of a parameter vector, in whole registers."""
        return int(self.numbers[layout.PARAMETERS])

    def scratch(self) -> npt.NDArray[Any]:
        """Memory for one tile's rows."""
        return aligned_zeros(self.scratch_rows * self.stride, self.dtype)


def aligned(count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Memory, holding anything, that starts where a vector register likes it to.

    From ``np.empty``, for which NumPy asks for huge pages: with small ones a million samples cost a third more.
    """
    memory = np.empty(count * dtype.itemsize + VECTOR_BYTES, np.uint8)
    start = -memory.ctypes.data % VECTOR_BYTES
    return memory[start : start + count * dtype.itemsize].view(dtype)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view that cannot be written to.

    Compiled code knows arrays that can and that cannot be written to as two types. What it only reads
    is always handed to it like this, so that it is compiled once.
    """
    view = array.view()
    view.flags.writeable = False
    return view


def aligned_zeros(count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Zeros that start where a vector register likes them to."""
    zeros = aligned(count, dtype)
    zeros[:] = 0
    return zeros


def whole_vectors(count: int, dtype: np.dtype[Any]) -> int:
    """``count`` rounded up to whole registers."""
    lanes = LANES[dtype]
    return -(-count // lanes) * lanes


def make_plan(
    layers: Sequence[LayerShape], inputs: int, outputs: int, rows: int, dtype: np.dtype[Any], task: Task
) -> Plan:
    """The plan for a task on ``rows`` rows with so many inputs and outputs each."""
    head = np.zeros(layout.HEAD, np.int64)
    batch = rows if task.batch_size is None else min(task.batch_size, rows)

    scratch_rows = 0

    def take(count: int) -> int:
        nonlocal scratch_rows
        scratch_rows += count
        return scratch_rows - count

    head[layout.INPUT_ROW] = take(inputs)
    head[layout.TARGET_ROW] = take(outputs)
    head[layout.WEIGHT_ROW] = take(1)
    head[layout.GRADIENT_ROW] = take(outputs)
    fields = []
    parameters = 0
    for i, layer in enumerate(layers):
        z = take(layer.units)
        # Only a loss that works from logits looks at z after the activation.
        y = take(layer.units) if task.fused and i == len(layers) - 1 else z
        d = take(layer.units)
        weights, bias = parameters, parameters + layer.inputs * layer.units
        parameters += layer.parameters
        fields.append([layer.inputs, layer.units, layer.activation, weights, bias, z, y, d])

    tile, stride = _tile_of(batch, scratch_rows, dtype)
    head[layout.LAYERS] = len(layers)
    head[layout.INPUTS] = inputs
    head[layout.OUTPUTS] = outputs
    head[layout.PARAMETERS] = whole_vectors(parameters, dtype)
    head[layout.SAMPLES] = rows
    head[layout.BATCH] = batch
    head[layout.TILE] = tile
    head[layout.STRIDE] = stride
    packed = task.batch_size is None
    head[layout.PACKED] = packed
    head[layout.FETCH_AHEAD] = packed and rows * (inputs + outputs) * dtype.itemsize > CACHE_BYTES
    head[layout.WEIGHTED] = task.weighted
    head[layout.SHUFFLED] = task.shuffled and not packed
    head[layout.SEED] = task.seed
    head[layout.EPOCHS] = task.epochs
    head[layout.LOSS] = task.loss
    head[layout.FUSED] = task.fused
    head[layout.OPTIMIZER] = task.optimizer
    return Plan(np.concatenate([head, np.array(fields, np.int64).ravel()]), dtype, scratch_rows)


def _tile_of(batch: int, scratch_rows: int, dtype: np.dtype[Any]) -> tuple[int, int]:
    """(samples of a tile, distance between its rows): a batch in tiles of nearly equal size."""
    row_bytes = min(MOST_ROW_BYTES, max(LEAST_ROW_BYTES, TILE_BYTES // scratch_rows))
    tiles = -(-batch // (row_bytes // dtype.itemsize))
    tile = whole_vectors(-(-batch // tiles), dtype)
    # Rows at a distance of an even number of registers compete for the same places in the cache.
    even = tile // LANES[dtype] % 2 == 0
    return tile, tile + (LANES[dtype] if even else 0)
