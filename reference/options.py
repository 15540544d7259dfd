"""The arguments of fit: their checks, and the samples that they describe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import metrics
from .classes import split, weigh_classes
from .dropout import Dropout
from .layers import Dense
from .lbfgs import LBFGS
from .levenberg_marquardt import LevenbergMarquardt
from .losses import Loss, name_and_settings
from .optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, AMSGrad, Lion, Nadam, RMSprop, Rprop
from .stopping import EarlyStopping

if TYPE_CHECKING:
    from .network import Sample, Sequential

OPTIMIZERS: dict[str, Any] = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "adam": Adam,
    "amsgrad": AMSGrad,
    "adamw": AdamW,
    "nadam": Nadam,
    "lion": Lion,
    "rprop": Rprop,
    "lbfgs": LBFGS,
    "levenberg_marquardt": LevenbergMarquardt,
}

MOST_PARAMETERS = 2000  # for Levenberg-Marquardt, whose matrix has the square of this number


@dataclass
class Options:
    """The arguments of fit."""

    epochs: int
    batch_size: int | None
    optimizer: Any
    loss: str | Loss
    shuffle: bool
    sample_weight: Iterable[float] | None
    class_weight: dict[int, float] | str | None
    validation_data: Sequence[Any] | None
    validation_split: float | None
    metrics: list[str]
    early_stopping: EarlyStopping | None
    seed: int
    log_every: int | None


def check_options(net: Sequential, options: Options) -> None:
    """Raise an error if an argument is invalid."""
    numbers = {"epochs": options.epochs, "batch_size": options.batch_size, "log_every": options.log_every}
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name} is {number}; it must be at least 1")
    for layer in net.layers:
        if isinstance(layer, Dense) and layer.activation == "step":
            raise ValueError(
                "a network with step cannot be trained: its derivative is 0, so nothing up to it "
                "would learn; use sigmoid"
            )
    if options.validation_data is not None and options.validation_split is not None:
        raise ValueError("validation_data and validation_split are both given; one of the two is enough")
    for name in options.metrics:
        if name not in metrics.METRICS and not re.fullmatch("top_[1-9][0-9]*_accuracy", name):
            known = ", ".join(metrics.METRICS)
            raise ValueError(f"metric is {name!r}; known are {known}, and top_3_accuracy and the like")
        if options.metrics.count(name) > 1:
            raise ValueError(f"metric {name!r} is named twice")
    optimizer = options.optimizer
    if optimizer.full_batch and options.batch_size is not None:
        kind = type(optimizer).__name__
        raise ValueError(f"batch_size is {options.batch_size}; {kind} needs all rows at once, None")
    if isinstance(optimizer, LevenbergMarquardt):
        check_least_squares(net, options.loss)


def check_least_squares(net: Sequential, loss: str | Loss) -> None:
    """Raise ValueError for losses and networks that Levenberg-Marquardt cannot train."""
    if loss not in ("mse", "half_sse"):
        raise ValueError(f"LevenbergMarquardt needs the loss mse or half_sse, not {name_and_settings(loss)[0]}")
    if len(net.parameters) > MOST_PARAMETERS:
        raise ValueError(
            f"the network has {len(net.parameters)} parameters; LevenbergMarquardt takes {MOST_PARAMETERS} at most"
        )
    for layer in net.layers:
        if isinstance(layer, Dropout):
            raise ValueError("LevenbergMarquardt needs a network without Dropout")
        if isinstance(layer, Dense) and (layer.l1 or layer.max_norm is not None):
            raise ValueError("LevenbergMarquardt needs a network without l1 and max_norm; l2 will do")


def training_and_validation(
    net: Sequential, X: Iterable[Iterable[float]], y: Iterable[Any], options: Options
) -> tuple[list[Sample], list[Sample] | None]:
    """The samples to train on and, if asked for, those to validate with."""
    loss = options.loss
    samples = net._samples(X, y, loss, options.sample_weight)
    validation = None
    if options.validation_split is not None:
        samples, validation = split(samples, loss, options.validation_split, options.seed)
    elif options.validation_data is not None:
        if len(options.validation_data) not in (2, 3):
            raise ValueError("validation_data must be (X, y) or (X, y, sample_weight)")
        X, y, *weights = options.validation_data
        validation = net._samples(X, y, loss, weights[0] if weights else None)
    if options.class_weight is not None:
        samples = weigh_classes(samples, loss, options.class_weight)
    for part, some in (("training", samples), ("validation", validation)):
        if some is not None and not any(weight for _, _, weight in some):
            raise ValueError(f"the weights of all rows for {part} are 0; no row is left")
    return samples, validation


def optimizer_of(optimizer: Any) -> Any:
    """An optimizer, given as an object, or by name for its default settings."""
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer is {optimizer!r}; known are {', '.join(OPTIMIZERS)}")
        return OPTIMIZERS[optimizer]()
    return SGD() if optimizer is None else optimizer
