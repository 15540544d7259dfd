"""``fastnn train FILE``: training on a table."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn.cli import job, model, scaling
from fastnn.cli.options import quoted
from fastnn.cli.table import Table
from fastnn.cli.words import count, significant, some

if TYPE_CHECKING:
    from fastnn import Sequential

Array = npt.NDArray[Any]

# Defaults of the options: they learn steadily from a few hundred scaled rows or more.
DEFAULTS: dict[str, Any] = {
    "hidden": [16],
    "activation": "tanh",
    "epochs": 200,
    "batch_size": 32,
    "learning_rate": 0.05,
    "log_every": 20,
    "scale": True,
}
OUTPUT_OF_CLASSES = {"binary_cross_entropy": "sigmoid", "cross_entropy": "softmax", "focal": "sigmoid"}
SOFTMAXES = ("softmax", "log_softmax")
FEWEST_NUMBERED = 10  # a column 1, 2, 3, … of so many rows is no accident
MOST_MOVED = 0.01  # how much folding may change predictions: a share of the target's deviation, or a class's share
MOST_CLASSES_ALL_DIFFERENT = 20  # more values than this, all different, are names of rows, not of classes


def run(options: argparse.Namespace) -> int:
    """Train, print how good the predictions are, and return the exit status."""
    if options.density is not None:
        raise ValueError("--density is for the circle; a table has the rows that it has")
    if not Path(options.data).exists():
        raise OSError(f'there is no file {options.data}; DATA is "circle" or a file with a table')
    if options.target is None:
        raise ValueError(f"--target is missing: which column of {options.data} is to be predicted?")
    job.fill_in(options, DEFAULTS)
    data = Table(options.data, options.separator)
    ignored = options.ignore or []
    data.need([options.target, *ignored])
    if options.target in ignored:
        raise ValueError(f"--ignore leaves out {options.target!r}, which is the --target")
    columns = [name for name in data.columns if name not in {options.target, *ignored}]
    if not columns:
        raise ValueError(f"{data.path} has no column left for inputs beside the target {options.target!r}")
    rows = data.inputs(columns, " (--ignore leaves a column out)")
    about = [f"Table     {data.path}: {count(len(rows), 'row')}, {count(len(columns), 'input')} ({some(columns)})"]
    about += _remark_on_numbering(columns, rows)

    classes, y = _target(options, data)
    if classes is None:
        about.append(f"Target    {options.target}: numbers from {y.min():g} to {y.max():g}")
    else:
        about.append(f"Target    {options.target}: {count(len(classes), 'class', 'classes')} ({some(classes)})")
    one_output = classes is None or (options.loss != "cross_entropy" and options.output not in SOFTMAXES)
    net = job.network(options, len(columns), 1 if one_output or classes is None else len(classes))

    # Other activations have a range that scaled targets may exceed, and hinge's targets are signs.
    scales_target = options.scale and classes is None and options.output == "identity" and options.loss != "hinge"
    X, t = rows, y
    if options.loss == "focal" and not one_output and classes is not None:
        t = np.eye(len(classes))[y]  # shares instead of labels
    aside = _rows_aside(options, net, X, t)
    if options.scale:  # mean and deviation of the training rows alone: the others are to judge
        of_inputs = scaling.Scale(rows[~aside], net.dtype)
        X = of_inputs.scaled(rows)
        which = "inputs and target" if scales_target else "inputs"
        about.append(f"Scaling   {which} to mean 0 and deviation 1; the trained network takes them as they are")
    if scales_target:
        of_target = scaling.Scale(y[~aside], net.dtype)
        t = of_target.scaled(y)
        about.append("          Losses and metrics on the way are those of the scaled target")

    seen = X[~aside], t[~aside]
    status = job.train(options, about, net, *seen, (X[aside], t[aside]) if aside.any() else None)
    diagnosis = job.diagnosis(options, net, *seen, status)
    if options.scale:
        trained = net.predict(X).astype(np.float64)
        scaling.fold_inputs(net, of_inputs)
    if scales_target:
        trained = of_target.unscaled(trained)
        scaling.fold_outputs(net, of_target)
    names = model.Names(columns, options.target, classes)
    if status == job.FINISHED:
        outputs = net.predict(rows)
        if options.scale:
            _remark_on_digits(options, outputs, trained, of_target.deviation if scales_target else 1.0)
        if aside.any():
            print(quality(names, outputs[aside], y[aside], "the rows aside"))
        print(quality(names, outputs[~aside], y[~aside], "the rows it was trained on"))
    job.say(None if diagnosis is None else _with_names(diagnosis, columns))
    job.save(options, net, names, status)
    return status


def _rows_aside(options: argparse.Namespace, net: Sequential, X: Array, t: Array) -> npt.NDArray[np.bool_]:
    """Return which rows (n,) are set apart for validation, the same that ``validation_split`` would."""
    if options.validation_split is None:
        return np.zeros(len(X), bool)
    from fastnn import splits
    from fastnn.dataset import rows_of

    loss = net.problem(options.loss).loss
    wanted = replace(net.format(loss), dtype=np.dtype(np.float64))  # the rows have not been scaled yet
    return splits.apart(rows_of(X, t, None, wanted)[0], options.validation_split, loss, net.seed)


def _remark_on_numbering(columns: list[str], rows: Array) -> list[str]:
    """Return a line about a column that only numbers the rows, if there is one."""
    if len(rows) < FEWEST_NUMBERED:
        return []
    steps = np.arange(len(rows))
    with np.errstate(over="ignore"):
        found = [name for name, column in zip(columns, rows.T, strict=True) if (column - column[0] == steps).all()]
    return [
        f"Remark    {name!r} only numbers the rows; --ignore {quoted(name)} leaves it out" for name in found[:1]
    ]


def _remark_on_digits(options: argparse.Namespace, outputs: Array, scaled: Array, deviation: float) -> None:
    """Print a remark if predictions from unscaled columns differ from those from scaled ones."""
    with np.errstate(invalid="ignore"):
        moved = float(np.abs(outputs - scaled).max())
    if not moved <= MOST_MOVED * deviation:
        print(
            f"fastnn: {options.dtype} has too few digits for these columns as they are: without scaling, "
            f"predictions move by up to {significant(moved)}; --dtype float64 or --no-scale is better here",
            file=sys.stderr,
        )


def _with_names(text: str, columns: list[str]) -> str:
    """Return a text with the names of columns in place of ``X[:, 0]`` and the like."""
    return re.sub(r"X\[:, (\d+)\]", lambda found: repr(columns[int(found[1])]), text)


def _target(options: argparse.Namespace, data: Table) -> tuple[list[str] | None, Array]:
    """Return names of classes or None, and numbers or numbers of classes (n,); choose loss and output for them."""
    name, loss, output = options.target, options.loss, options.output
    if loss is not None:
        as_classes = loss in OUTPUT_OF_CLASSES
    elif output is not None:
        as_classes = output in SOFTMAXES or (output == "sigmoid" and data.looks_like_classes(name))
    else:
        as_classes = data.looks_like_classes(name)
    if not as_classes:
        options.loss = loss or "mse"
        options.output = output or _natural_output(options.loss)
        *others, last = OUTPUT_OF_CLASSES
        numbers = data.numbers(name, f" ({', '.join(others)} and {last} are for classes)")
        if numbers.min() == numbers.max():
            raise ValueError(
                f"column {name!r} of {data.path} is {numbers[0]:g} in each row; nothing can be learnt"
            )
        return None, numbers

    classes, labels = data.classes(name)
    if len(classes) < 2:
        raise ValueError(f"column {name!r} of {data.path} is {classes[0]!r} in each row; nothing can be learnt")
    if len(classes) == len(labels) > MOST_CLASSES_ALL_DIFFERENT:
        raise ValueError(
            f"column {name!r} of {data.path} is different in each of its {len(labels):,} rows; a class has several"
        )
    if loss is None:
        by_sigmoid = len(classes) == 2 and output not in SOFTMAXES
        options.loss = "binary_cross_entropy" if by_sigmoid else "cross_entropy"
    if options.loss == "binary_cross_entropy" and len(classes) > 2:
        raise ValueError(
            f"loss 'binary_cross_entropy' is for two classes, and column {name!r} of {data.path} has "
            f"{len(classes):,}; 'cross_entropy' is for more"
        )
    several = options.loss == "focal" and len(classes) > 2
    options.output = output or ("softmax" if several else OUTPUT_OF_CLASSES[options.loss])
    return classes, labels


def _natural_output(loss: str) -> str:
    """Return the activation that suits a loss best; an unknown loss is refused later, by ``fit``."""
    from fastnn.loss_kinds import LOSSES

    return LOSSES[loss].natural if loss in LOSSES else "identity"


def quality(names: model.Names, outputs: Array, y: Array, which: str) -> str:
    """Return a line about how good outputs (n, K) are; y (n,) holds numbers, or numbers of classes."""
    if names.classes is not None:
        right = np.mean(names.classes_of(outputs) == y)
        return f"Accuracy  {100 * right:.1f} % of {which} are in the right class"
    squares = float(np.mean((outputs[:, 0] - y) ** 2))
    variance = float(np.var(y))
    share = f"; {100 * (1 - squares / variance):.1f} % of the variance is explained" if variance else ""
    return f"Error     {significant(squares**0.5)}, root of the mean square over {which}{share}"
