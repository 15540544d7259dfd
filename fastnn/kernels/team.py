"""Threads that work on one run: a leader, who runs the loop, and helpers.

The leader shares out rounds of items: tiles of a batch, or stretches of the parameter vector. Each thread has its
own share, so that the same data stay in the same core's cache, and takes from the shares of others when its own is
used up. So nobody waits for a thread that the system does not run: others do its work. The results do not depend
on which thread does what.

If a step takes only some microseconds, synchronization may take longer than the helpers save. How long it takes
differs from machine to machine and, on shared cores, from minute to minute; the leader therefore tries out both.

The threads communicate over the board, a row of whole numbers; those that change during work are on cache lines of
their own.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels import clock
from fastnn.kernels.atomics import add, give_way, pause, read, sleep, write
from fastnn.kernels.jit import inlined, kernel

LINE = 16  # numbers of two cache lines: processors fetch them in pairs

# The fields of the board.
THREADS = 0  # the number of threads
SLOTS = 1  # the most items of a round
KIND = 2  # what the items of this round are: TILES, VALIDATION_TILES, STRETCHES or UPDATE_STRETCHES
FIRST_ITEM = 3  # the number from which items are counted
ITEMS = 4  # the number of items
SCRATCH = 5  # the size of each thread's scratch memory, in numbers
SETTING = 6  # STRETCHES: how many slots are summed; UPDATE_STRETCHES: the length of a stretch
ADDED = 7  # 1: the slots are added to the gradient, which is not overwritten
ROUND = LINE  # the number of the round; LEAVE: there will be no more
HELPED = 2 * LINE  # items of this round that helpers have done
# Fields that only the leader uses:
TRIAL = 3 * LINE  # the steps of a trial; 0: no trials, since helpers are always worthwhile
ALONE = TRIAL + 1  # 1: at present the leader works without helpers
PHASE = TRIAL + 2  # SETTLED, CALLING, TRYING_TOGETHER or TRYING_ALONE
STEPS_LEFT = TRIAL + 3  # the steps left in this phase
SINCE = TRIAL + 4  # when the phase began, in nanoseconds, not counting time outside of compiled code
TOOK_TOGETHER = TRIAL + 5  # how long a trial with helpers took, counted likewise
LEFT_AT = TRIAL + 6  # when compiled code was left
SHARES = 4 * LINE  # for each thread, how many items of its share are left, and then where the share ends

TILES, VALIDATION_TILES, STRETCHES, UPDATE_STRETCHES = range(4)
LEAVE = -1
ALL = 1 << 40  # as the value of HELPED: nobody needs to wait for any item
STRETCH = 1024  # numbers of the parameter vector
LEAST_SHARED = 1 << 15  # numbers: the leader sums or updates fewer than this in less time than a round takes
UPDATES_EACH = 4  # stretches for each thread

PAUSES = 4000  # pauses before a waiting thread yields its core: some ten microseconds
TURNS = 4000  # yields before a helper sleeps: a millisecond, which Python may need between two chunks
NAP = 50  # microseconds

SETTLED, CALLING, TRYING_TOGETHER, TRYING_ALONE = range(4)
# In units of a trial: how long to wait for called helpers at most, and how long the result is relied on.
CALLS, BELIEVED = 8, 256


def board_length(threads: int) -> int:
    """Return the length of a board."""
    return SHARES + LINE * threads


@inlined
def is_alone(board: Any) -> bool:
    """Return whether the leader does the current step without helpers."""
    return board[THREADS] == 1 or board[ALONE] != 0


@kernel
def choose(board: Any) -> None:
    """As the leader, choose before a step to work with helpers or alone: whichever took less time in a trial.

    The helpers are called until one has come, since helpers without work for long are asleep; then both ways are
    timed.
    """
    if board[TRIAL] == 0 or board[THREADS] == 1:
        return
    phase = board[PHASE]
    board[STEPS_LEFT] -= 1
    if board[STEPS_LEFT] >= 0 and (phase != CALLING or read(board, HELPED) == 0):
        return
    time = clock.now()
    took = time - board[SINCE]
    board[SINCE] = time
    if phase == SETTLED:
        write(board, HELPED, 0)
        board[PHASE], board[STEPS_LEFT], board[ALONE] = CALLING, CALLS * board[TRIAL] - 1, 0
    elif phase == CALLING:
        board[PHASE], board[STEPS_LEFT] = TRYING_TOGETHER, board[TRIAL] - 1
    elif phase == TRYING_TOGETHER:
        board[TOOK_TOGETHER] = took
        board[PHASE], board[STEPS_LEFT], board[ALONE] = TRYING_ALONE, board[TRIAL] - 1, 1
    else:
        board[PHASE], board[STEPS_LEFT] = SETTLED, BELIEVED * board[TRIAL] - 1
        board[ALONE] = 1 if took < board[TOOK_TOGETHER] else 0


@kernel
def enter(board: Any) -> None:
    """As the leader, continue after time outside of compiled code, which trials do not count."""
    if board[TRIAL] != 0:
        board[SINCE] += clock.now() - board[LEFT_AT]


@kernel
def leave(board: Any) -> None:
    """As the leader, note the time before leaving compiled code."""
    if board[TRIAL] != 0:
        board[LEFT_AT] = clock.now()


@kernel
def begin(board: Any, kind: int, first: int, count: int) -> None:
    """Share out a round of ``count`` items."""
    threads = board[THREADS]
    board[KIND] = kind
    board[FIRST_ITEM] = first
    board[ITEMS] = count
    write(board, HELPED, 0)
    for thread in range(threads):
        share, end = SHARES + LINE * thread, count * (thread + 1) // threads
        board[share + 1] = end
        write(board, share, end - count * thread // threads)
    write(board, ROUND, board[ROUND] + 1)


@kernel
def claim(board: Any, thread: int) -> int:
    """Return the number, from 0, of an item that nobody else does; -1 if none is left.

    The board's fields for the round must be read after a claim: the round cannot end before that item is done.
    """
    threads = board[THREADS]
    whose = thread
    for _ in range(threads):
        share = SHARES + LINE * whose
        if read(board, share) > 0:
            left = add(board, share, -1)
            if left > 0:
                return board[share + 1] - left
        whose = whose + 1 if whose + 1 < threads else 0
    return -1


@kernel
def most_items(board: Any, budget: int) -> int:
    """Return the most items of a round, if the current chunk is to do ``budget`` more."""
    return min(board[SLOTS], max(budget, board[THREADS]))


@kernel
def finish(board: Any, done_by_leader: int) -> None:
    """As the leader, wait until helpers have done the items they claimed."""
    waited = 0
    while read(board, HELPED) < board[ITEMS] - done_by_leader:
        waited += 1
        if waited < PAUSES:
            pause()
        else:
            give_way()


@kernel
def report(board: Any, done: int) -> None:
    """As a helper, tell the leader how many items have been done since the last report."""
    if done > 0:
        add(board, HELPED, done)


@kernel
def wait(board: Any, seen: int) -> int:
    """As a helper, wait for another round than the one seen, and return its number."""
    waited = 0
    while True:
        number = read(board, ROUND)
        if number != seen:
            return number
        waited += 1
        if waited < PAUSES:
            pause()
        elif waited < PAUSES + TURNS:
            give_way()
        else:
            sleep(NAP)
