"""What training on the circle and on a table have in common."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from fastnn.cli import model
from fastnn.cli.words import count, duration, significant

if TYPE_CHECKING:
    from fastnn import History, Sequential

Array = npt.NDArray[Any]

ALL_ROWS = "all"  # as a batch size: None is an option that was not given
FINISHED, DIVERGED, INTERRUPTED = 0, 1, 130  # exit statuses; the last is what shells give to Ctrl-C


def fill_in(options: argparse.Namespace, defaults: dict[str, Any]) -> None:
    """Take the defaults for whatever was not given."""
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def network(options: argparse.Namespace, inputs: int, outputs: int) -> Sequential:
    """The network that was asked for; also settle whether its outputs suit the loss."""
    import fastnn
    from fastnn.checks import choice
    from fastnn.loss_kinds import LOSSES

    hidden = [] if options.hidden == [0] else options.hidden
    net = fastnn.mlp(
        [inputs, *hidden, outputs],
        activation=options.activation,
        output=options.output,
        initializer=options.initializer,
        seed=options.seed,
        dtype=options.dtype,
    )
    # fit would refuse it too, but after the first lines were printed.
    LOSSES[choice(options.loss, "loss", LOSSES)].kind_for(options.loss, options.output)
    return net


def train(options: argparse.Namespace, about: list[str], net: Sequential, X: Array, y: Array) -> int:
    """Say what is trained, train, and say how long it took; the exit status."""
    import fastnn

    optimizer = fastnn.SGD(options.learning_rate, momentum=options.momentum, nesterov=options.nesterov)
    batch_size = None if options.batch_size == ALL_ROWS else options.batch_size
    kind = {None: "batch gradient descent", 1: "stochastic gradient descent"}.get(
        batch_size, f"mini-batches of {batch_size} rows"
    )
    layers = " > ".join(f"{layer.units} {layer.activation}" for layer in net.layers)
    print("\n".join(about))
    print(
        f"Network   {count(net.inputs, 'input')} > {layers}, "
        f"{count(len(net.parameters), 'parameter')}, {net.dtype}, seed {net.seed}"
    )
    print(f"Training  {count(options.epochs, 'epoch')} of {kind}, {optimizer}, loss {options.loss}\n", flush=True)
    try:
        history = net.fit(
            X,
            y,
            epochs=options.epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            loss=options.loss,
            log_every=options.log_every,
        )
    except KeyboardInterrupt:
        if net.history is None:  # nothing was trained yet
            raise
        return INTERRUPTED
    if history.status == "diverged":
        return DIVERGED
    print("\n" + _pace(history))
    return FINISHED


def _pace(history: History) -> str:
    before = history.compile_seconds
    ready = f", after {duration(before)} to get the compiled code ready" if before else ""
    each = significant(1e9 / history.samples_per_second, 2)
    return (
        f"Time      {duration(history.run_seconds)} of training{ready}\n"
        f"Speed     {significant(history.samples_per_second)} samples a second, {each} ns for each"
    )


def save(options: argparse.Namespace, net: Sequential, names: model.Names | None, status: int) -> None:
    """Write the network if that was asked for, unless training has spoilt it; say what was done."""
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
