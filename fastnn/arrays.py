"""Arrays as the kernels need them: aligned, read-only, in whole registers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.kernels.simd import LANES, VECTOR_BYTES


def aligned(count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return uninitialized memory that is aligned for vector registers.

    It comes from ``np.empty``, for which NumPy asks for huge pages: with small ones, a million samples cost a
    third more.
    """
    memory = np.empty(count * dtype.itemsize + VECTOR_BYTES, np.uint8)
    start = -memory.ctypes.data % VECTOR_BYTES
    return memory[start : start + count * dtype.itemsize].view(dtype)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view, or the array itself if it is read-only.

    To compiled code, writable and read-only arrays are two types. Arrays that it only reads are always passed like
    this, so that it is compiled once.
    """
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def aligned_zeros(count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return zeros that are aligned for vector registers."""
    zeros = aligned(count, dtype)
    zeros[:] = 0
    return zeros


def whole_vectors(count: int, dtype: np.dtype[Any]) -> int:
    """Return ``count`` rounded up to whole registers."""
    lanes = LANES[dtype]
    return -(-count // lanes) * lanes
