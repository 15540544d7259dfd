"""``fastnn bench``: measures how much faster fastnn is than plain Python, for several densities of the circle."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from fastnn.cli.options import Commands, dtypes, formatter, wholes
from fastnn.cli.words import significant

EXAMPLES = """\
examples:
  fastnn bench
  fastnn bench --densities 10,30,100,300 --network 2,16,16,1 --dtype float32

Plain Python takes minutes where wide networks meet high densities.
"""

ROUNDS = 5
# The duration of a measurement: long enough for the clock and for the turbo frequency to settle, but still short.
SECONDS_OF_PYTHON, SECONDS_OF_FASTNN = 0.2, 0.1
EPOCHS_TO_AGREE = 3
TEXTBOOK, ITS_RATE, OTHER_RATE = [2, 4, 1], 10.0, 1.0  # wider networks would be saturated by the textbook's rate


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "bench",
        help="measure the speed-up over plain Python",
        description="Measures what a sample costs in a step of batch gradient descent on the circle, in plain "
        "Python and in fastnn on one thread.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    parser.set_defaults(run=run)
    option = parser.add_argument
    option("--densities", type=wholes, default=[10, 30, 100], metavar="N,N,...", help="of the circle (10,30,100)")
    option(
        "--network",
        type=wholes,
        default=TEXTBOOK,
        metavar="N,N,...",
        help="inputs (2), units of hidden layers, outputs (1) of a network of sigmoids (2,4,1)",
    )
    option("--dtype", metavar="NAME", help="float64 or float32 (both)")


def run(options: argparse.Namespace) -> int:
    """Measure, print a row for each density, and return the exit status."""
    sizes = options.network
    if len(sizes) < 2 or sizes[0] != 2 or sizes[-1] != 1:
        raise ValueError(f"--network is {','.join(map(str, sizes))}; 2 inputs first and 1 output last are needed")
    rate = ITS_RATE if sizes == TEXTBOOK else OTHER_RATE
    kinds = dtypes(options.dtype)
    races = [(density, *_subjects(density, sizes, rate, kinds)) for density in options.densities]

    print(f"Circle, network {' > '.join(map(str, sizes))} of sigmoids, batch gradient descent, one thread.")
    print("Nanoseconds for a sample in a step, and how many times plain Python's speed that is.\n")
    print(f"density    samples  plain Python{''.join(f'  {kind:>18}' for kind in kinds)}")
    epochs_of_python = []
    for density, samples, subjects in races:
        _check(subjects)
        epochs = [
            _epochs(subject, seconds)
            for subject, seconds in zip(
                subjects, [SECONDS_OF_PYTHON] + [SECONDS_OF_FASTNN] * len(kinds), strict=True
            )
        ]
        epochs_of_python.append(epochs[0])
        # In turns, so that other load on the machine affects all of them.
        rounds = [
            [1e9 * _seconds(subject, n) / (n * samples) for subject, n in zip(subjects, epochs, strict=True)]
            for _ in range(ROUNDS)
        ]
        costs = [statistics.median(column) for column in zip(*rounds, strict=True)]
        ratios = [statistics.median(row[0] / row[i] for row in rounds) for i in range(1, len(subjects))]
        cells = "".join(
            f"  {significant(cost):>8} {significant(ratio):>7} x"
            for cost, ratio in zip(costs[1:], ratios, strict=True)
        )
        print(f"{density:>7}  {samples:>9,}  {significant(costs[0]):>12}{cells}", flush=True)
    print(
        f"\nMedians of {ROUNDS} rounds, taken in turns, after the losses of the first epochs were found equal.\n"
        f"Plain Python ran {', '.join(f'{n:,}' for n in epochs_of_python)} epochs a round, since more would take "
        "long; its cost is divided by their number."
    )
    return 0


Subject = Callable[[int], Any]  # trains from the start for that many epochs, and returns the loss of each


def _subjects(density: int, sizes: list[int], rate: float, kinds: tuple[str, ...]) -> tuple[int, list[Subject]]:
    """Return the number of samples, and plain Python and then fastnn in each dtype, ready to train."""
    import fastnn
    from fastnn.validation import reference

    X, y = fastnn.datasets.circle(density=density)
    plain = reference()
    rows, targets = X.tolist(), y.tolist()
    settings: dict[str, Any] = {"output": "sigmoid", "initializer": "uniform"}

    def python(epochs: int) -> Any:
        net = plain.mlp(sizes, **settings)
        return net.fit(rows, targets, epochs=epochs, optimizer=plain.SGD(rate)).loss

    def compiled(kind: str) -> Subject:
        net = fastnn.mlp(sizes, dtype=kind, **settings)
        start = net.parameters.copy()
        data = fastnn.Dataset(X, y)

        def train(epochs: int) -> Any:
            net.parameters = start
            return net.fit(data, epochs=epochs, optimizer=fastnn.SGD(rate)).loss

        return train

    return len(X), [python, *(compiled(kind) for kind in kinds)]


def _check(subjects: list[Subject]) -> None:
    """Raise ValueError unless all have the same losses in the first epochs; else their speeds mean nothing."""
    from fastnn.validation import BOUND_OF_RUN

    expected, *others = (subject(EPOCHS_TO_AGREE) for subject in subjects)
    for losses in others:
        for found, wanted in zip(losses, expected, strict=True):
            if not abs(found - wanted) <= BOUND_OF_RUN["float32"] * wanted:
                raise ValueError(f'the losses do not agree ({found} and {wanted}); "fastnn validate" tells more')


def _epochs(subject: Subject, seconds: float) -> int:
    """Return how many epochs take about that many seconds."""
    epochs = 1
    while (spent := _seconds(subject, epochs)) < seconds / 4 and epochs < 10**7:
        epochs *= 4
    return max(1, round(epochs * seconds / spent))


def _seconds(subject: Subject, epochs: int) -> float:
    start = time.perf_counter()
    subject(epochs)
    return time.perf_counter() - start
