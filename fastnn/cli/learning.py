"""The arguments of ``fit``, made from the options of the command line."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn.optimizers import Optimizer
    from fastnn.schedules import Schedule

ALL_ROWS = "all"  # a batch size; None means that the option was not given


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of ``fit`` except the rows."""
    import fastnn

    stopping = None if options.patience is None else fastnn.EarlyStopping(patience=options.patience)
    return {
        "epochs": options.epochs,
        "batch_size": None if options.batch_size == ALL_ROWS else options.batch_size,
        "optimizer": optimizer(options),
        "loss": options.loss,
        "class_weight": options.class_weight,
        "validation_split": options.validation_split,
        "metrics": options.metric or (),
        "early_stopping": stopping,
        "threads": options.threads,
    }


def optimizer(options: argparse.Namespace) -> Optimizer:
    """Return the optimizer that was asked for; ValueError for options that it does not have."""
    from fastnn.checks import choice
    from fastnn.optimizers import OPTIMIZERS

    known: dict[str, dict[str, Any]] = {
        name: {field.name: field.default for field in fields(kind)} for name, kind in OPTIMIZERS.items()
    }
    name = choice(options.optimizer, "optimizer", OPTIMIZERS)
    given = {"momentum": options.momentum, "nesterov": options.nesterov or None}
    for argument, value in given.items():
        if value is not None and argument not in known[name]:
            having = " and ".join(other for other in known if argument in known[other])
            raise ValueError(f"--{argument} is for {having}; {name} has none")
    chosen: dict[str, Any] = {argument: value for argument, value in given.items() if value is not None}
    rate = options.learning_rate
    if "learning_rate" not in known[name]:
        for argument in ("learning-rate", "schedule"):
            if getattr(options, argument.replace("-", "_")) is not None:
                raise ValueError(f"--{argument} is not for {name}, which finds the length of its steps itself")
        return OPTIMIZERS[name](**chosen)
    if options.schedule is not None and name == "rprop":
        raise ValueError("--schedule is not for rprop, whose steps have lengths of their own")
    rate = known[name]["learning_rate"] if rate is None else rate
    if options.schedule is not None:
        rate = schedule(options.schedule, rate, options.epochs)
    chosen["learning_rate"] = rate
    return OPTIMIZERS[name](**chosen)


def schedule(name: str, rate: float, epochs: int) -> Schedule:
    """Return a schedule for that many epochs that begins at a rate (one_cycle and warm_up: rises to it)."""
    from fastnn import schedules
    from fastnn.checks import choice, real_number

    rate = real_number(rate, "learning_rate", above=0.0)

    def share(of: int) -> int:
        return -(-epochs // of)

    made: dict[str, Schedule] = {
        "step": schedules.StepDecay(rate, every=share(3)),
        "exponential": schedules.ExponentialDecay(rate, factor=0.01 ** (1 / epochs)),
        "cosine": schedules.CosineDecay(rate, epochs=epochs),
        "cosine_restarts": schedules.CosineRestarts(rate, epochs=share(7), growth=2.0),  # 1/7, 2/7 and 4/7 of them
        "inverse_scaling": schedules.InverseScaling(rate),
        "one_cycle": schedules.OneCycle(rate, epochs=epochs),
        "plateau": schedules.ReduceOnPlateau(rate, patience=share(20)),
        "warm_up": schedules.WarmUp(rate, epochs=share(10)),
    }
    return made[choice(name, "schedule", made)]
