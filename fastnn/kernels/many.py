"""Many runs in several threads, which take them one after the other from a shared table.

A row of the table is a run: the addresses of what the loop works on, and a few numbers of its own. A thread takes
the next run that nobody has begun, finishes it, and takes the next. Runs share no memory that is written to, so
that it does not matter which thread takes which.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels import clock, loop
from fastnn.kernels.atomics import add, read
from fastnn.kernels.jit import kernel
from fastnn.kernels.job import ADDRESSES, crew_of, job_of
from fastnn.kernels.layout import RUNNING, STATUS
from fastnn.kernels.simd import offset

# Fields of a row after the addresses of ``kernels.job``: tiles of the first slice, how long the run took.
BUDGET, NANOSECONDS, COLUMNS = range(ADDRESSES, ADDRESSES + 3)

# Fields that all threads read.
NEXT = 0  # the first row that nobody has taken
ROWS = 1
STOP = 2  # 1: leave everything as it is
ENDED = 3  # the number of runs that need no more work
CONTROL = 4

OF_ITSELF = -1  # in place of a thread's number: the thread takes runs by itself
SLICE = 10_000_000  # nanoseconds from one look at STOP to the next


@kernel
def train(table: Any, control: Any, scratch: Any, memory: tuple) -> None:
    """Take runs from the table and finish them, until none is left or control[STOP] is 1.

    Overwrites what the rows point to, their NANOSECONDS, and the thread's own scratch and memory of a crew of one.
    """
    while read(control, STOP) == 0:
        number = add(control, NEXT, 1)
        if number >= control[ROWS]:
            return
        row = offset(table, number * COLUMNS)
        job, own, budget = job_of(row, scratch), crew_of(row, memory), row[BUDGET]
        start = clock.now()
        before = start
        while job.cursor[STATUS] == RUNNING and read(control, STOP) == 0:
            loop.run(job, own, budget)
            time = clock.now()
            row[NANOSECONDS] = time - start
            budget = max(1, min(8 * budget, budget * SLICE // max(1, time - before)))
            before = time
        if job.cursor[STATUS] != RUNNING:
            add(control, ENDED, 1)
