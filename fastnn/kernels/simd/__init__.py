"""Lanes: a Numba type for a SIMD register, and the operations that the kernels are written with.

A lane is a sample. A value of type ``Lanes`` holds one number for each of ``LANES[dtype]`` samples side by
side; ``Pointer`` is the start of a run of numbers in memory; a block is a tuple of ``Lanes``. Every
operation is a plain Python function with a NumPy meaning (a pointer is an array, lanes are a short array),
so that kernels run, slowly, under ``NUMBA_DISABLE_JIT=1``; what it compiles to is below it.

No instruction has a fast-math flag, and where a multiplication and an addition become one instruction,
the source says ``fma``. A lane therefore goes through the same roundings wherever it sits:
the same row gives the same bits alone, in a batch, in training and in prediction.
"""

from fastnn.kernels.simd.addresses import address as address
from fastnn.kernels.simd.addresses import address_of as address_of
from fastnn.kernels.simd.addresses import at_address as at_address
from fastnn.kernels.simd.addresses import on_heap as on_heap
from fastnn.kernels.simd.addresses import on_stack as on_stack
from fastnn.kernels.simd.addresses import release as release
from fastnn.kernels.simd.arithmetic import absolute as absolute
from fastnn.kernels.simd.arithmetic import all_zero as all_zero
from fastnn.kernels.simd.arithmetic import copy_sign as copy_sign
from fastnn.kernels.simd.arithmetic import fill as fill
from fastnn.kernels.simd.arithmetic import fma as fma
from fastnn.kernels.simd.arithmetic import maximum as maximum
from fastnn.kernels.simd.arithmetic import minimum as minimum
from fastnn.kernels.simd.arithmetic import polynomial as polynomial
from fastnn.kernels.simd.arithmetic import select as select
from fastnn.kernels.simd.arithmetic import square_root as square_root
from fastnn.kernels.simd.arithmetic import total as total
from fastnn.kernels.simd.bits import exponent as exponent
from fastnn.kernels.simd.bits import is_double as is_double
from fastnn.kernels.simd.bits import looks_up as looks_up
from fastnn.kernels.simd.bits import magic as magic
from fastnn.kernels.simd.bits import power_of_two as power_of_two
from fastnn.kernels.simd.bits import significand as significand
from fastnn.kernels.simd.bits import sixteenth_power as sixteenth_power
from fastnn.kernels.simd.blocks import EIGHT as EIGHT
from fastnn.kernels.simd.blocks import FOUR as FOUR
from fastnn.kernels.simd.blocks import ONE as ONE
from fastnn.kernels.simd.blocks import SIX as SIX
from fastnn.kernels.simd.blocks import TWO as TWO
from fastnn.kernels.simd.blocks import add_outer as add_outer
from fastnn.kernels.simd.blocks import add_outer_spread as add_outer_spread
from fastnn.kernels.simd.blocks import add_rows as add_rows
from fastnn.kernels.simd.blocks import load_block as load_block
from fastnn.kernels.simd.blocks import load_columns as load_columns
from fastnn.kernels.simd.blocks import load_rows as load_rows
from fastnn.kernels.simd.blocks import load_rows_part as load_rows_part
from fastnn.kernels.simd.blocks import put_totals as put_totals
from fastnn.kernels.simd.blocks import spread_rows as spread_rows
from fastnn.kernels.simd.blocks import store_block as store_block
from fastnn.kernels.simd.blocks import times_stored as times_stored
from fastnn.kernels.simd.blocks import transpose as transpose
from fastnn.kernels.simd.blocks import transpose_rows as transpose_rows
from fastnn.kernels.simd.blocks import unzip as unzip
from fastnn.kernels.simd.blocks import zeros as zeros
from fastnn.kernels.simd.memory import load as load
from fastnn.kernels.simd.memory import load_first as load_first
from fastnn.kernels.simd.memory import load_part as load_part
from fastnn.kernels.simd.memory import offset as offset
from fastnn.kernels.simd.memory import pointer as pointer
from fastnn.kernels.simd.memory import prefetch as prefetch
from fastnn.kernels.simd.memory import room as room
from fastnn.kernels.simd.memory import store as store
from fastnn.kernels.simd.memory import store_first as store_first
from fastnn.kernels.simd.memory import width as width
from fastnn.kernels.simd.types import LANES as LANES
from fastnn.kernels.simd.types import VECTOR_BYTES as VECTOR_BYTES
from fastnn.kernels.simd.types import Lanes as Lanes
from fastnn.kernels.simd.types import Mask as Mask
from fastnn.kernels.simd.types import Pointer as Pointer
