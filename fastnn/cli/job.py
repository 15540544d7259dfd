"""The common parts of training on the circle and on a table."""

from __future__ import annotations

import argparse
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn.cli import learning, model
from fastnn.cli.learning import ALL_ROWS as ALL_ROWS
from fastnn.cli.words import count, duration, significant
from fastnn.progress import decimals

if TYPE_CHECKING:
    from fastnn import History, Sequential

Array = npt.NDArray[Any]

WIDTH = 100  # where long lines are wrapped
FINISHED, DIVERGED, INTERRUPTED = 0, 1, 130  # exit statuses; the last is the one of shells for Ctrl-C


def fill_in(options: argparse.Namespace, defaults: dict[str, Any]) -> None:
    """Set options that were not given to their defaults; the learning rate only for SGD, others have their own."""
    suiting = dict(defaults)
    if options.optimizer != "sgd":
        suiting["learning_rate"] = None
    from fastnn.optimizers import OPTIMIZERS

    kind = OPTIMIZERS.get(options.optimizer)  # an unknown one is refused where it is made
    if kind is not None and kind.full_batch:
        suiting["batch_size"] = ALL_ROWS
    for name, value in suiting.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def network(options: argparse.Namespace, inputs: int, outputs: int) -> Sequential:
    """Make the network that the options describe."""
    import fastnn

    hidden = [] if options.hidden == [0] else options.hidden
    return fastnn.mlp(
        [inputs, *hidden, outputs],
        activation=options.activation,
        output=options.output,
        initializer=options.initializer,
        seed=options.seed,
        l1=options.l1,
        l2=options.l2,
        dropout=options.dropout,
        dtype=options.dtype,
    )


class _EndsAtOnce:
    """A callback that ends a fit before its first epoch, after all arguments have been checked."""

    def on_train_begin(self, progress: Any) -> bool:
        return True


def train(
    options: argparse.Namespace,
    about: list[str],
    net: Sequential,
    X: Array,
    y: Array,
    aside: tuple[Array, Array] | None = None,
) -> int:
    """Print what is trained, train, print how long it took, and return the exit status.

    ``aside`` are rows that were set apart for validation already.
    """
    settings = learning.settings(options)
    if aside is not None:
        settings |= {"validation_data": aside, "validation_split": None}
    # Invalid arguments raise here, before anything is printed.
    ready = net.fit(X, y, **settings, verbose=0, callbacks=_EndsAtOnce()).compile_seconds
    net.history = None
    print("\n".join([*about, *_about(options, settings, net)]) + "\n", flush=True)
    try:
        history = net.fit(X, y, **settings, log_every=options.log_every)
    except KeyboardInterrupt:
        if net.history is None:  # nothing was trained yet
            raise
        return INTERRUPTED
    if history.status == "diverged":
        return DIVERGED
    print("\n" + "\n".join([*_pace(history, ready), *_how_it_ended(history), *_on_the_way(history)]))
    return FINISHED


def _about(options: argparse.Namespace, settings: dict[str, Any], net: Sequential) -> list[str]:
    """Return lines that describe a network and its training."""
    import fastnn

    layers = " > ".join(
        f"{layer.units} {layer.activation}" if isinstance(layer, fastnn.Dense) else repr(layer)
        for layer in net.layers
    )
    network = (
        f"Network   {count(net.inputs, 'input')} > {layers}, "
        f"{count(len(net.parameters), 'parameter')}, {net.dtype}, seed {net.seed}"
    )
    size, optimizer = settings["batch_size"], settings["optimizer"]
    kinds: dict[Any, str] = {None: "full batches", 1: "single rows"}
    if isinstance(optimizer, fastnn.SGD):
        kinds = {None: "batch gradient descent", 1: "stochastic gradient descent"}
    kind = kinds.get(size, f"mini-batches of {size} rows")
    penalties = "".join(f", {name} {getattr(net, name):g}" for name in ("l1", "l2") if getattr(net, name))
    weights = f", classes {options.class_weight}" if options.class_weight else ""
    epochs = count(options.epochs, "epoch")
    training = f"Training  {epochs} of {kind}, {optimizer}, loss {options.loss}{penalties}{weights}"
    lines = []
    for line in (network, training):
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=" " * 10, break_on_hyphens=False)
    if options.validation_split is not None:
        lines.append(f"Aside     {100 * options.validation_split:g} % of the rows, for validation")
    return lines


def _pace(history: History, ready: float) -> list[str]:
    before = history.compile_seconds + ready
    waited = f", after {duration(before)} to get the compiled code ready" if before else ""
    each = significant(1e9 / history.samples_per_second, 2)
    return [
        f"Time      {duration(history.run_seconds)} of training{waited}",
        f"Speed     {significant(history.samples_per_second)} samples a second, {each} ns for each",
    ]


def _how_it_ended(history: History) -> list[str]:
    best = f"; it has the parameters of epoch {history.best_epoch:,} again" if history.best_epoch else ""
    if history.status == "stopped":
        return [f"Stopped   after {count(history.epochs, 'epoch')}, since nothing got better{best}"]
    if history.status == "converged":
        return [f"Converged after {count(history.epochs, 'epoch')}{best}"]
    return [f"Best      epoch {history.best_epoch:,}, whose parameters it has again"] if best else []


def _on_the_way(history: History) -> list[str]:
    """Return lines with losses and metrics of the epoch whose parameters the network has."""
    at, lines = (history.best_epoch or history.epochs) - 1, []
    if history.val_loss is not None:
        low = int(history.val_loss.argmin())
        lowest = f", lowest {decimals(history.val_loss[low])} in epoch {low + 1:,}" if low != at else ""
        losses = f"{decimals(history.loss[at])}, and {decimals(history.val_loss[at])} of the rows aside"
        lines.append(f"Losses    {losses}{lowest}")
    values = {name: kept[at] for name, kept in history.metrics.items()}
    single = [f"{name} {decimals(value)}" for name, value in values.items() if np.ndim(value) == 0]
    if single:
        lines.append(f"Metrics   {', '.join(single)}")
    for name, value in values.items():
        if np.ndim(value):
            width = len(f"{np.max(value):g}")
            rows = [" ".join(f"{number:>{width}g}" for number in row) for row in value]
            lines.append("\n".join(f"{name if i == 0 else '':<22}{row}" for i, row in enumerate(rows)))
    return lines


def diagnosis(options: argparse.Namespace, net: Sequential, X: Array, y: Array, status: int) -> str | None:
    """Return the diagnosis if --diagnose was given and training was not interrupted, else None."""
    if not options.diagnose or status == INTERRUPTED:
        return None
    from fastnn.diagnosis import diagnose

    return str(diagnose(net, X, y, loss=options.loss))


def say(diagnosis: str | None) -> None:
    """Print a diagnosis, if there is one."""
    if diagnosis is not None:
        print(f"\nDiagnosis\n{diagnosis}")


def save(options: argparse.Namespace, net: Sequential, names: model.Names | None, status: int) -> None:
    """Save the network if --save was given, unless training diverged, and print what was done."""
    if status == INTERRUPTED:
        assert net.history is not None
        kept = "nothing was saved, since --save was not given"
        if options.save is not None:
            model.save(net, options.save, names)
            kept = f"{options.save} holds the network after its last update"
        print(f"\nfastnn: interrupted after {count(net.history.epochs, 'epoch')}; {kept}", file=sys.stderr)
    elif options.save is not None and status == DIVERGED:
        print(f"fastnn: {options.save} was not written, since training diverged", file=sys.stderr)
    elif options.save is not None:
        model.save(net, options.save, names)
        print(f"\nSaved to {options.save}")
