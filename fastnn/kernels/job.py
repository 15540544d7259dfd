"""The data of the training loop, by name: a run, and the crew that works on it.

Python passes the loop a row of addresses of a run's arrays, in a fixed order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn.kernels.jit import inlined
from fastnn.kernels.simd import at_address

# The order of the addresses in the row.
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
    ADDRESSES,
) = range(27)


class Data(NamedTuple):
    """Rows, packed in tiles or row after row."""

    inputs: Any
    targets: Any
    weights: Any


class Vectors(NamedTuple):
    """Parameter vectors, in whole vectors of the machine; the gradient is followed by a 0."""

    parameters: Any
    gradient: Any
    previous: Any  # the parameters before the last update
    state: Any  # of the optimizer
    best: Any  # the best parameters


class Measured(NamedTuple):
    """What metrics compare, row by row; predictions are followed by the predicted classes."""

    targets: Any
    weights: Any
    predictions: Any


class Validation(NamedTuple):
    """Validation rows, evaluated after each epoch, and their plan."""

    plan: Any
    numbers: Any
    data: Data


class Job(NamedTuple):
    """A run.

    ``plan`` and ``cursor`` are whole numbers (``kernels.layout``); ``numbers`` are the settings of losses,
    optimizer and the rest. ``order`` has the indices of the rows in shuffled order, followed by room for those of
    a tile's rows for each thread; ``history`` has a row of COLUMNS numbers for each epoch, and one more. ``work``
    is memory for the metrics, and ``scratch`` that of all threads.
    """

    plan: Any
    numbers: Any
    data: Data
    order: Any
    vectors: Vectors
    history: Any
    cursor: Any
    validation: Validation
    trained: Measured
    validated: Measured
    work: Any
    scratch: Any


class Crew(NamedTuple):
    """What the threads that work on a run share.

    This is the board of ``kernels.team``; for each item of a round a gradient, (loss, weight), and a copy of the
    optimizer's memory; and the run's sums.
    """

    board: Any
    slots: Any
    slot_sums: Any
    memories: Any
    sums: Any


@inlined
def job_of(row: Any, scratch: Any) -> Job:
    """Return the run of a row of addresses; numbers of the network's dtype are of the type of scratch."""
    return Job(
        at_address(row[PLAN], np.int64),
        at_address(row[NUMBERS], np.float64),
        Data(
            at_address(row[INPUTS], scratch),
            at_address(row[TARGETS], scratch),
            at_address(row[WEIGHTS], scratch),
        ),
        at_address(row[ORDER], np.int64),
        Vectors(
            at_address(row[PARAMETERS], scratch),
            at_address(row[GRADIENT], scratch),
            at_address(row[PREVIOUS], scratch),
            at_address(row[STATE], scratch),
            at_address(row[BEST], scratch),
        ),
        at_address(row[HISTORY], np.float64),
        at_address(row[CURSOR], np.int64),
        Validation(
            at_address(row[VALIDATION_PLAN], np.int64),
            at_address(row[VALIDATION_NUMBERS], np.float64),
            Data(
                at_address(row[VALIDATION_INPUTS], scratch),
                at_address(row[VALIDATION_TARGETS], scratch),
                at_address(row[VALIDATION_WEIGHTS], scratch),
            ),
        ),
        Measured(
            at_address(row[TRAINED_TARGETS], scratch),
            at_address(row[TRAINED_WEIGHTS], scratch),
            at_address(row[TRAINED_PREDICTIONS], scratch),
        ),
        Measured(
            at_address(row[VALIDATED_TARGETS], scratch),
            at_address(row[VALIDATED_WEIGHTS], scratch),
            at_address(row[VALIDATED_PREDICTIONS], scratch),
        ),
        at_address(row[WORK], np.float64),
        scratch,
    )


@inlined
def crew_of(row: Any, memory: tuple) -> Crew:
    """Return the crew of the run of a row of addresses, with this memory for everything but the sums."""
    board, slots, slot_sums, memories = memory
    return Crew(board, slots, slot_sums, memories, at_address(row[SUMS], np.float64))
