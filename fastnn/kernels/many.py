"""Many runs, one after the other in each of several threads, which share a table of them.

A row of the table is a run: the addresses of what the loop works on, and a few numbers of its own. A thread
takes the next run that nobody has begun, stays with it to its end, and takes the next. Nothing that it writes to
is another run's, so that it does not matter who takes which.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels import clock, loop
from fastnn.kernels.atomics import add, read
from fastnn.kernels.jit import kernel
from fastnn.kernels.job import ADDRESSES, crew_of, job_of
from fastnn.kernels.layout import RUNNING, STATUS
from fastnn.kernels.simd import offset

# What stands in a row behind the addresses of ``kernels.job``: tiles of the first slice, how long the run took.
BUDGET, NANOSECONDS, COLUMNS = range(ADDRESSES, ADDRESSES + 3)

# What all threads look at.
NEXT = 0  # the first row that nobody has taken
ROWS = 1
STOP = 2  # 1: leave everything as it is
ENDED = 3  # runs that need no more work
CONTROL = 4

OF_ITSELF = -1  # in place of a thread's number: it takes runs of its own
SLICE = 10_000_000  # nanoseconds from one look at STOP to the next


@kernel
def train(table: Any, control: Any, scratch: Any, memory: tuple) -> None:
    """Run to their ends as many runs of the table as there are for this thread, or until control[STOP] is 1.

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
