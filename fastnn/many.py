"""``fit_many``: trains many networks at once, over all cores."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from fastnn import checks, compiled, training
from fastnn.arrays import aligned_zeros
from fastnn.callbacks import EarlyStopping
from fastnn.dataset import Dataset, Kept
from fastnn.fitting import ask, is_shown, listed, seed_of
from fastnn.history import History
from fastnn.kernels import layout
from fastnn.kernels import many as kernels
from fastnn.loss_kinds import Loss
from fastnn.network import Sequential
from fastnn.optimizers import Optimizer
from fastnn.progress import Bar
from fastnn.running import Run, memory_of_crew
from fastnn.threads import Helpers, allowed, reserve

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

SECONDS_BETWEEN_LOOKS = 0.05
MOST_NAMED = 5  # networks that a warning names


@dataclass(frozen=True)
class Each:
    """An argument of ``fit_many`` that differs from network to network."""

    values: tuple[Any, ...] = field(repr=False)

    def __repr__(self) -> str:
        return f"each({checks.shown(list(self.values))})"


def each(values: Iterable[Any]) -> Each:
    """Give each network its own value, in their order, for an argument of ``fit_many``.

    Raises
    ------
    TypeError
        If ``values`` is not a list, an array (whose rows are the values) or another ordered iterable.

    Examples
    --------
    >>> import fastnn
    >>> each([fastnn.SGD(0.1), fastnn.SGD(1.0)])
    each([SGD(0.1), SGD(1.0)])
    """
    unordered = isinstance(values, (str, bytes, Mapping, Set)) or getattr(values, "ndim", 1) == 0
    if not isinstance(values, Iterable) or unordered:
        raise TypeError(f"each() is given {checks.shown(values)}; a list with a value for each network is needed")
    return Each(tuple(values))


@dataclass(frozen=True, repr=False, eq=False)
class Fits(Sequence[History]):
    """The result of ``fit_many``: a sequence of the networks' histories, in their order.

    Attributes
    ----------
    networks : the networks, as they were given.
    histories : the History of each network, which is also its ``network.history``.
    values : (networks,) the loss by which the networks are compared: the validation loss if all of them have
        validation rows, else the training loss; of the last epoch, or of the best one if early stopping restored
        that. Infinite for a network that diverged, or whose validation loss is not finite. Not meaningful if
        networks have different rows.
    same_loss : whether all networks had the same loss function; if not, ``values`` cannot be compared.
    threads : the number of threads that worked.
    compile_seconds, run_seconds : seconds spent on compiling, and on everything else.
    """

    networks: tuple[Sequential, ...]
    histories: tuple[History, ...]
    values: Doubles
    same_loss: bool
    threads: int
    compile_seconds: float
    run_seconds: float

    def __len__(self) -> int:
        return len(self.histories)

    @overload
    def __getitem__(self, at: int) -> History: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[History]: ...

    def __getitem__(self, at: int | slice) -> History | Sequence[History]:
        return self.histories[at]

    @property
    def statuses(self) -> list[str]:
        """The status of each network's history."""
        return [history.status for history in self.histories]

    @property
    def diverged(self) -> list[int]:
        """The indices of the networks whose loss was no longer finite."""
        return [i for i, status in enumerate(self.statuses) if status == "diverged"]

    @property
    def best(self) -> int:
        """The index of the network with the smallest of ``values``.

        Raises
        ------
        ValueError
            If none of them is finite, or if the networks had different losses.
        """
        if not self.same_loss:
            raise ValueError("the networks had different losses, which say nothing of who is the best")
        if not np.isfinite(self.values).any():
            raise ValueError("no network has a finite loss; none is the best")
        return int(np.argmin(self.values))

    @property
    def samples_per_second(self) -> float:
        """The samples trained on each second, counted over all networks and epochs."""
        return sum(h.samples_per_second * h.run_seconds for h in self.histories) / self.run_seconds

    def __repr__(self) -> str:
        counts = [f"{self.statuses.count(status)} {status}" for status in dict.fromkeys(self.statuses)]
        known = self.same_loss and np.isfinite(self.values).any()
        best = f", best: {self.best} with {self.values[self.best]:.4g}" if known else ""
        return (
            f"<Fits: {', '.join(counts)}{best}, {self.run_seconds:.3g} s, {self.samples_per_second:.3g} samples/s>"
        )


# Arguments that are never lists themselves, so that a list is probably meant as each().
ONE_FOR_ALL = {
    "epochs",
    "batch_size",
    "optimizer",
    "loss",
    "shuffle",
    "validation_split",
    "early_stopping",
    "seed",
}


@dataclass(frozen=True)
class _Member:
    """A network with its loss and its run."""

    net: Sequential
    loss: Loss
    run: Run


def fit_many(
    networks: Iterable[Sequential],
    X: Any,
    y: Any = None,
    *,
    epochs: int | Each = 1,
    batch_size: int | Each | None = None,
    optimizer: Optimizer | str | Each | None = None,
    loss: str | Loss | Each = "mse",
    shuffle: bool | Each = True,
    sample_weight: Any = None,
    class_weight: Any = None,
    validation_data: Any = None,
    validation_split: float | Each | None = None,
    metrics: Any = (),
    early_stopping: EarlyStopping | Each | None = None,
    seed: int | Each | None = None,
    threads: int | None = None,
    verbose: int = 1,
) -> Fits:
    """Train many networks at once, each on one thread, over all cores.

    Each network gets, to the last bit, the parameters and the history that ``network.fit`` would give it alone,
    whatever the number of threads. Networks may differ in everything: layers, dtype, seed. All arguments except
    ``threads`` and ``verbose`` may differ too: ``each([...])`` gives a value for each network.

    Ctrl-C ends the training within a fraction of a second; all networks then have the parameters of their last
    finished update, and their histories tell how far they got. A network whose loss is no longer finite keeps its
    last finite parameters, while the others go on; one warning at the end names all such networks. What observes
    training (``log_every``, callbacks, checkpoints) is only for ``fit``, and so are ``memory_limit`` and blocks.

    Parameters
    ----------
    networks : Sequential networks, none of them twice.
    X, y : the rows, or a Dataset in place of both, as ``fit`` takes them; packed once for all networks.
    epochs, batch_size, optimizer, loss, shuffle, sample_weight, class_weight, validation_data, validation_split, \
metrics, early_stopping, seed : as ``fit`` takes them.
    threads : the number of threads, at most one for each network; None takes FASTNN_NUM_THREADS or, if that is not
        set, as many as the process may use.
    verbose : 1 shows on a terminal (stderr) how far the training has got if it takes longer than a second; 0 shows
        nothing.

    Returns
    -------
    Fits : the histories, in the order of the networks, and which network is the best.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value for any of the networks, before any of them is changed.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.circle(density=10)
    >>> networks = [fastnn.mlp([2, 4, 1], output="sigmoid", seed=seed) for seed in range(8)]
    >>> fits = fit_many(networks, X, y, epochs=2000, optimizer=fastnn.SGD(10.0))
    >>> len(fits), bool(fits[fits.best].loss[-1] < 0.01)
    (8, True)

    A different learning rate for each network:

    >>> rates = [fastnn.SGD(0.1 * 2**i) for i in range(8)]
    >>> fits = fit_many(networks, X, y, epochs=100, optimizer=fastnn.each(rates))
    """
    nets = checks.members(networks, "networks", Sequential)
    _refuse_twice(nets)
    most = allowed(threads)
    bar = Bar() if is_shown(verbose) else None
    arguments = {
        "X": X,
        "y": y,
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "loss": loss,
        "shuffle": shuffle,
        "sample_weight": sample_weight,
        "class_weight": class_weight,
        "validation_data": validation_data,
        "validation_split": validation_split,
        "metrics": listed(metrics),
        "early_stopping": early_stopping,
        "seed": seed,
    }
    for name, value in arguments.items():
        if isinstance(value, list) and name in ONE_FOR_ALL:
            raise TypeError(f"{name} is a list; fastnn.each([…]) gives each network a value of its own")
        if isinstance(value, Each) and len(value.values) != len(nets):
            raise ValueError(
                f"{name} is each() of {len(value.values)} value(s), and there are {len(nets)} networks"
            )
    compiling, start = compiled.seconds_spent(), time.perf_counter()
    with contextlib.ExitStack() as stack:
        for net in nets:
            stack.enter_context(net.being_trained())
        members = _members(nets, arguments)
        crew = _Crew([member.run for member in members], min(most, len(members)))
        crew.compile()
        compile_seconds = compiled.seconds_spent() - compiling
        _run(crew, members, bar, compile_seconds)
    histories = tuple(member.net.history for member in members if member.net.history is not None)
    seconds = time.perf_counter() - start - compile_seconds
    # Not compared with ==: "huber" and Huber() are of different classes.
    losses = {(member.loss.name, member.loss.settings, member.loss.smoothing) for member in members}
    values = _values(members, histories)
    fits = Fits(tuple(nets), histories, values, len(losses) == 1, crew.threads, compile_seconds, seconds)
    _warn(fits.diverged, len(fits))
    return fits


def _run(crew: _Crew, members: Sequence[_Member], bar: Bar | None, compile_seconds: float) -> None:
    """Train the networks; however that ends, they get their parameters and histories."""
    try:
        crew.work(bar)
    finally:
        for member, seconds in zip(members, crew.seconds(), strict=True):
            run = member.run
            run.compile_seconds = compile_seconds
            training.conclude(run, member.net.parameters, run.status not in ("diverged", "interrupted"))
            member.net.history = training.history_of(run, seconds)


def _refuse_twice(nets: Sequence[Sequential]) -> None:
    first: dict[int, int] = {}
    for i, net in enumerate(nets):
        if first.setdefault(id(net), i) != i:
            raise ValueError(f"networks[{i}] is networks[{first[id(net)]}], which cannot be trained twice at once")


def _refuse_blocks(X: Any, y: Any) -> None:
    """Raise TypeError for an iterable of blocks, which only ``network.fit`` takes."""
    from fastnn.streams import are_blocks

    if y is None and not isinstance(X, Dataset) and (isinstance(X, Iterator) or are_blocks(X)):
        raise TypeError(
            f"X is {checks.shown(X)}, an iterable of blocks, which fit_many does not take: its networks share "
            "rows that are in memory. X and y or a Dataset are needed; network.fit takes blocks, of one network"
        )


def _members(nets: Sequence[Sequential], arguments: dict[str, Any]) -> list[_Member]:
    """Return the networks with their runs: checks all, and allocates all memory; what they share is made once."""
    kept = Kept()
    made: dict[Any, tuple[Loss, training.Material]] = {}
    members = []
    for i, net in enumerate(nets):
        own = {name: value.values[i] if isinstance(value, Each) else value for name, value in arguments.items()}
        seed = own.pop("seed")
        try:
            seed = seed_of(net, seed)
            of_split = None if own["validation_split"] is None else seed
            key = net.inputs, net.shapes, net.dtype, of_split, *map(id, own.values())
            if key not in made:
                _refuse_blocks(own["X"], own["y"])
                asked = ask(net, **own, seed=seed, threads=1, kept=kept)
                made[key] = asked.problem.loss, training.prepare(asked, kept)
        except (TypeError, ValueError) as error:
            raise type(error)(f"networks[{i}]: {error}") from None
        loss, material = made[key]
        members.append(_Member(net, loss, material.run(net.parameters, seed)))
    return members


class _Table:
    """The runs of one dtype, as the compiled loop takes them."""

    def __init__(self, runs: Sequence[Run]) -> None:
        # The longest first: if a thread began one of them last, the others would wait for it.
        self.runs = sorted(runs, key=_cost, reverse=True)
        self.dtype = runs[0].plan.dtype
        rows = [[*run.addresses.tolist(), run.first_budget, 0] for run in self.runs]
        self.rows = np.array(rows, np.int64)
        self.control = np.zeros(kernels.CONTROL, np.int64)
        self.control[kernels.ROWS] = len(self.runs)
        self.scratch_length = max(run.scratch_length for run in self.runs)

    def arguments(self) -> tuple[Any, ...]:
        """Return the arguments of the compiled loop, with memory for one thread."""
        scratch = aligned_zeros(self.scratch_length, self.dtype)
        return self.rows.reshape(-1), self.control, scratch, memory_of_crew(1, 0, self.dtype), kernels.OF_ITSELF, 0


def _cost(run: Run) -> int:
    return run.task.epochs * int(run.numbers[layout.SAMPLES]) * run.plan.vector_length


class _Crew:
    """Threads that work on runs; a Bar can show their progress.

    Attributes
    ----------
    threads : the number of threads that worked.
    """

    threads = 0

    def __init__(self, runs: Sequence[Run], threads: int) -> None:
        self.runs = runs
        kinds = dict.fromkeys(run.plan.dtype for run in runs)
        self._tables = [_Table([run for run in runs if run.plan.dtype == kind]) for kind in kinds]
        self._arguments = [[table.arguments() for table in self._tables] for _ in range(threads)]

    def compile(self) -> None:
        """Compile the loop for these runs, or load it from disk."""
        for table, arguments in zip(self._tables, self._arguments[0], strict=True):
            compiled.train.prepare(table.dtype, *arguments)

    def work(self, bar: Bar | None) -> None:
        """Work on all runs to their ends, or until interrupted."""
        if bar is not None:
            bar.begin(self)
        try:
            with reserve(len(self._arguments)) as granted, Helpers() as helpers:
                try:
                    self.threads = helpers.start(granted, self._go_through, beside=False)
                    if self.threads == 0:
                        raise RuntimeError("fit_many needs at least one thread, and the system has none left")
                    working = True
                    while working:
                        working = helpers.wait(SECONDS_BETWEEN_LOOKS)
                        if bar is not None:
                            bar.look(self)
                finally:
                    for table in self._tables:
                        table.control[kernels.STOP] = 1
        finally:
            if bar is not None:
                bar.end(self)

    def _go_through(self, number: int) -> None:
        for arguments in self._arguments[number - 1]:
            compiled.train(*arguments)

    def seconds(self) -> Iterator[float]:
        """Return the seconds that each run took; 0 for runs that were not begun."""
        found = {
            id(run): row[kernels.NANOSECONDS]
            for table in self._tables
            for run, row in zip(table.runs, table.rows, strict=True)
        }
        return (1e-9 * int(found[id(run)]) for run in self.runs)

    @property
    def samples(self) -> int:
        """The number of samples trained on, counted once for each time."""
        return sum(run.samples for run in self.runs)

    @property
    def share(self) -> float:
        """The share of all the work that is done, from 0 to 1."""
        done = sum(_cost(run) * (run.share if run.running else 1.0) for run in self.runs)
        return done / sum(map(_cost, self.runs))

    @property
    def running(self) -> bool:
        """Whether there is anything left to do."""
        return sum(int(table.control[kernels.ENDED]) for table in self._tables) < len(self.runs)

    def told(self) -> list[str]:
        """Return texts for a progress display: how many networks are done."""
        return [f"{sum(not run.running for run in self.runs)}/{len(self.runs)} networks"]


def _values(members: Sequence[_Member], histories: Sequence[History]) -> Doubles:
    """Return the losses by which the networks are compared: see ``Fits.values``."""
    validated = all(history.val_loss is not None for history in histories)
    values = np.full(len(histories), np.inf)
    for i, (member, history) in enumerate(zip(members, histories, strict=True)):
        losses = history.val_loss if validated else history.loss
        monitor = member.run.task.monitor
        if history.status != "diverged" and losses is not None:
            restored = monitor is not None and monitor.restore_best and history.best_epoch
            values[i] = losses[restored - 1 if restored else -1]
    return np.where(np.isnan(values), np.inf, values)


def _warn(diverged: Sequence[int], count: int) -> None:
    if diverged:
        named = ", ".join(map(str, diverged[:MOST_NAMED])) + (", …" if len(diverged) > MOST_NAMED else "")
        warnings.warn(
            f"the loss of {len(diverged)} of {count} networks was no longer finite (networks {named}); they keep "
            "their last finite parameters. Try smaller learning rates, or scale inputs and targets to about 1",
            RuntimeWarning,
            stacklevel=_level_outside(),
        )


def _level_outside() -> int:
    """Return the ``stacklevel`` at which the caller's warning names the code that called fastnn.

    That code may have called ``Ensemble.fit``.
    """
    level, frame = 0, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        level, frame = level + 1, frame.f_back
    return level + 1
