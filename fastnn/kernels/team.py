"""Threads that work on one run: a leader, who runs the loop, and helpers.

The leader shares out rounds of items: tiles of a batch, or stretches of the parameter vector. Each thread has a
share of its own, so that the same data stay in the same core's cache, and when that is used up it takes from the
others'. So nobody waits for a thread that the system has not let run: what it would have done is done by others.
Who does what decides nothing about the results.

Where a step takes some microseconds only, meeting may take longer than the helpers save: how long it takes differs
from machine to machine and, where cores are lent, from minute to minute. There the leader tries out both.

All that they tell each other stands on the board, a row of whole numbers; what changes while they work stands on
cache lines of its own.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels import clock
from fastnn.kernels.atomics import add, give_way, pause, read, sleep, write
from fastnn.kernels.jit import inlined, kernel

LINE = 16  # numbers of two cache lines: processors fetch them in pairs

# What stands on the board.
THREADS = 0  # how many they are
SLOTS = 1  # items of a round at most
KIND = 2  # what the items of this round are: TILES, VALIDATION_TILES, STRETCHES or UPDATE_STRETCHES
FIRST_ITEM = 3  # what the number of an item is counted from
ITEMS = 4  # how many there are
SCRATCH = 5  # numbers of each thread's scratch memory
SETTING = 6  # STRETCHES: slots that are summed up; UPDATE_STRETCHES: numbers of a stretch
ADDED = 7  # 1: they are added to what is there already
ROUND = LINE  # its number; LEAVE: there will be none any more
HELPED = 2 * LINE  # items of this round that helpers have done
# What the leader alone looks at:
TRIAL = 3 * LINE  # steps that a trial takes; 0: there are none, helpers are worth their meetings
ALONE = TRIAL + 1  # 1: at present the leader works without helpers
PHASE = TRIAL + 2  # SETTLED, CALLING, TRYING_TOGETHER or TRYING_ALONE,
STEPS_LEFT = TRIAL + 3  # for so many steps
SINCE = TRIAL + 4  # when it began, and how long it took together: nanoseconds, without those spent outside
TOOK_TOGETHER = TRIAL + 5
LEFT_AT = TRIAL + 6  # when compiled code was left
SHARES = 4 * LINE  # for each thread, how many items of its share are left, and behind that where the share ends

TILES, VALIDATION_TILES, STRETCHES, UPDATE_STRETCHES = range(4)
LEAVE = -1
ALL = 1 << 40  # in place of the items helped with: nobody need wait for any
STRETCH = 1024  # numbers of the parameter vector
LEAST_SHARED = 1 << 15  # numbers: to sum up or update fewer takes the leader less time than a round would
UPDATES_EACH = 4  # stretches for each thread

PAUSES = 4000  # some ten microseconds of waiting before others are let on the core,
TURNS = 4000  # and how often they are before a helper sleeps: a millisecond, for which Python may look at a chunk
NAP = 50  # microseconds

SETTLED, CALLING, TRYING_TOGETHER, TRYING_ALONE = range(4)
# In trials: called helpers wake up in so many at most, and what has been found is believed for so many.
CALLS, BELIEVED = 8, 256


def board_length(threads: int) -> int:
    """Numbers of a board."""
    return SHARES + LINE * threads


@inlined
def is_alone(board: Any) -> bool:
    """Whether the leader does the present step without helpers."""
    return board[THREADS] == 1 or board[ALONE] != 0


@kernel
def choose(board: Any) -> None:
    """As the leader, before a step: with the helpers, or alone; whichever took less time when it was tried.

    They are called until one has come, since helpers that have had nothing to do for long are asleep; then both
    are timed.
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
    """As the leader, go on after some time outside of compiled code, which a trial is not to count."""
    if board[TRIAL] != 0:
        board[SINCE] += clock.now() - board[LEFT_AT]


@kernel
def leave(board: Any) -> None:
    """As the leader, before going outside."""
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
    """The number of an item that nobody else does, from 0; -1 if none is left.

    What the board says of a round is to be read after a claim: the round cannot end before that item is done.
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
    """Of a round, when the chunk under way is to do ``budget`` more."""
    return min(board[SLOTS], max(budget, board[THREADS]))


@kernel
def finish(board: Any, done_by_leader: int) -> None:
    """Wait for what helpers have claimed."""
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
    """As a helper, wait for another round than the one seen; its number."""
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
