"""Many runs, one after the other in each of several threads, which share a table of them.

A row of the table is a run: the addresses of what ``loop.run`` works on, and a few numbers of its own. A thread
takes the next run that nobody has begun, stays with it to its end, and takes the next. Nothing that it writes to
is another run's, so that it does not matter who takes which.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels import clock, loop
from fastnn.kernels.atomics import add, read
from fastnn.kernels.jit import kernel
from fastnn.kernels.layout import RUNNING, STATUS
from fastnn.kernels.simd import at_address, offset

# What stands in a row of the table: addresses, by the names that loop.run has for what is there,
(
    PLAN,
    NUMBERS,
    INPUTS,
    TARGETS,
    WEIGHTS,
    ORDER,
    PARAMETERS,
    GRADIENT,
    PREVIOUS,
    STATE,
    BEST,
    HISTORY,
    SUMS,
    CURSOR,
    VALIDATION_PLAN,
    VALIDATION_NUMBERS,
    VALIDATION_INPUTS,
    VALIDATION_TARGETS,
    VALIDATION_WEIGHTS,
    TRAINED_TARGETS,
    TRAINED_WEIGHTS,
    TRAINED_PREDICTIONS,
    VALIDATED_TARGETS,
    VALIDATED_WEIGHTS,
    VALIDATED_PREDICTIONS,
    WORK,
    BUDGET,  # then the tiles of the first slice,
    NANOSECONDS,  # and how long it took
    COLUMNS,
) = range(29)

# What all threads look at.
NEXT = 0  # the first row that nobody has taken
ROWS = 1
STOP = 2  # 1: leave everything as it is
ENDED = 3  # runs that need no more work
CONTROL = 4

SLICE = 10_000_000  # nanoseconds from one look at STOP to the next


@kernel
def _go_on(row: Any, whole: Any, real: Any, scratch: Any, crew: tuple, budget: int) -> None:
    """Let a run work on ``budget`` tiles; ``whole`` and ``real`` are any pointers to numbers of these types."""
    job = (
        at_address(row[PLAN], whole),
        at_address(row[NUMBERS], real),
        (
            at_address(row[INPUTS], scratch),
            at_address(row[TARGETS], scratch),
            at_address(row[WEIGHTS], scratch),
        ),
        at_address(row[ORDER], whole),
        (
            at_address(row[PARAMETERS], scratch),
            at_address(row[GRADIENT], scratch),
            at_address(row[PREVIOUS], scratch),
            at_address(row[STATE], scratch),
            at_address(row[BEST], scratch),
        ),
        scratch,
        at_address(row[CURSOR], whole),
        (
            at_address(row[VALIDATION_PLAN], whole),
            at_address(row[VALIDATION_NUMBERS], real),
            (
                at_address(row[VALIDATION_INPUTS], scratch),
                at_address(row[VALIDATION_TARGETS], scratch),
                at_address(row[VALIDATION_WEIGHTS], scratch),
            ),
        ),
        (
            (
                at_address(row[TRAINED_TARGETS], scratch),
                at_address(row[TRAINED_WEIGHTS], scratch),
                at_address(row[TRAINED_PREDICTIONS], scratch),
            ),
            (
                at_address(row[VALIDATED_TARGETS], scratch),
                at_address(row[VALIDATED_WEIGHTS], scratch),
                at_address(row[VALIDATED_PREDICTIONS], scratch),
            ),
        ),
    )
    together = (crew[0], crew[1], crew[2], crew[3], at_address(row[SUMS], real))
    loop.run(job, at_address(row[HISTORY], real), at_address(row[WORK], real), together, budget)


@kernel
def train(table: Any, control: Any, scratch: Any, crew: tuple) -> None:
    """Run to their ends as many runs of the table as there are for this thread, or until control[STOP] is 1.

    Overwrites what the rows point to, their NANOSECONDS, and the thread's own memory: scratch, and that of a crew
    of one.
    """
    while read(control, STOP) == 0:
        number = add(control, NEXT, 1)
        if number >= control[ROWS]:
            return
        row = offset(table, number * COLUMNS)
        cursor, budget = at_address(row[CURSOR], table), row[BUDGET]
        start = clock.now()
        before = start
        while cursor[STATUS] == RUNNING and read(control, STOP) == 0:
            _go_on(row, table, crew[2], scratch, crew, budget)
            time = clock.now()
            row[NANOSECONDS] = time - start
            budget = max(1, min(8 * budget, budget * SLICE // max(1, time - before)))
            before = time
        if cursor[STATUS] != RUNNING:
            add(control, ENDED, 1)
