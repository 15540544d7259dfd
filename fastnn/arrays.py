"""Memory as the kernels want it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.kernels.simd import LANES, VECTOR_BYTES


def aligned(count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Memory, holding anything, that starts where a vector register likes it to.

    From ``np.empty``, for which NumPy asks for huge pages: with small ones a million samples cost a third more.
    """
    memory = np.empty(count * dtype.itemsize + VECTOR_BYTES, np.uint8)
    start = -memory.ctypes.data % VECTOR_BYTES
    return memory[start : start + count * dtype.itemsize].view(dtype)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view that cannot be written to, or the array itself if it cannot be.

    Compiled code knows arrays that can and that cannot be written to as two types. What it only reads
    is always handed to it like this, so that it is compiled once.
    """
    if not array.flags.writeable:
        return array
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
