"""``fastnn predict``: predictions of a saved network for a table."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from fastnn.cli import model, table
from fastnn.cli.options import Commands, formatter
from fastnn.cli.tabular import quality
from fastnn.cli.words import count

EXAMPLES = """\
examples:
  fastnn predict flowers.npz more-flowers.csv
  fastnn predict flowers.npz more-flowers.csv --output species.csv

The table needs the columns that the network was trained on, in any order; others
are left aside. If the target is among them, stderr tells how good it is.
"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "predict",
        help="predict with a saved network",
        description="Predicts a number or a class for each row of a table.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("model", metavar="MODEL", help='a file that "fastnn train --save" or net.save wrote')
    parser.add_argument(
        "data", metavar="FILE", help="a file of comma-separated values with a line of column names"
    )
    parser.add_argument("--output", metavar="OUT", help="write the predictions to a file (to stdout)")
    parser.add_argument(
        "--separator", metavar="TEXT", help="what stands between columns of FILE (a comma; in .tsv files a tab)"
    )


def run(options: argparse.Namespace) -> int:
    """Predict, write the predictions, and return the exit status."""
    model.refuse_unwritable(options.output, "--output", options.model, options.data)
    net, names = model.load(options.model)
    data = table.Table(options.data, options.separator)
    predictions: dict[str, Any]
    if names is None:  # a network that was not saved by this program takes all columns, in their order
        data.need_names()
        if len(data.columns) != net.inputs:
            raise ValueError(
                f"{options.model} has {count(net.inputs, 'input')} without names, and {data.path} has "
                f"{count(len(data.columns), 'column')}; as many are needed"
            )
        outputs = net.predict(data.inputs(data.columns))
        predictions = {f"output {k + 1}": outputs[:, k] for k in range(net.outputs)}
    else:
        data.need(names.columns)
        outputs = net.predict(data.inputs(names.columns))
        predictions = {names.target: names.predictions(outputs)}
    if options.output is None and sys.stdout is None:
        raise OSError("there is no stdout to write predictions to; --output writes them to a file")
    table.write(predictions, options.output or sys.stdout)
    if options.output is not None:
        print(f"{count(len(outputs), 'prediction')} written to {options.output}")
    if names is not None and names.target in data.columns and not data.has_gaps(names.target):
        print(end="", flush=True)
        try:
            said = quality(names, outputs, _known(names, data), f"the rows of {data.path}")
        except ValueError as error:  # predictions do not need the target
            said = f"fastnn: how good that is cannot be told: {error}"
        print(said, file=sys.stderr)
    return 0


def _known(names: model.Names, data: table.Table) -> Any:
    """Return the target's column (n,): numbers, or numbers of classes, -1 for an unknown class."""
    if names.classes is None:
        return data.numbers(names.target)
    number_of = {name: number for number, name in enumerate(names.classes)}
    return np.array([number_of.get(name, -1) for name in data.class_names(names.target)])
