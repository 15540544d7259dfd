"""``fastnn train``: its options, and the choice between its two jobs."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from typing import TextIO, cast

from fastnn.cli import circle, model, tabular
from fastnn.cli.options import Commands, Names, formatter, names, positive, real, rows, whole, wholes, with_names
from fastnn.cli.output import Output

EXAMPLES = """\
examples:
  fastnn train circle
  fastnn train circle --density 300 --hidden 16,16 --learning-rate 1
  fastnn train circle --save circle.npz
  fastnn train flowers.csv --target species --save flowers.npz
  fastnn train houses.csv --target price --ignore id,address --epochs 500
  fastnn train flowers.csv --target species --optimizer adam --validation-split 0.3 --patience 20
  fastnn train circle --activation relu --learning-rate 1 --diagnose

A table has a line of column names. Its target decides what is trained: text,
true/false or a few whole numbers are classes (two: sigmoid outputs and
binary_cross_entropy; more: softmax and cross_entropy), other numbers are
predicted as numbers (identity and mse). --loss and --output choose otherwise.
"""

# Looked up only when help is printed, since importing their modules takes time.
ACTIVATIONS = Names("activations", "ACTIVATIONS", lambda activation: activation.hidden)
LOSSES = Names("loss_kinds", "LOSSES")
INITIALIZERS = Names("initializers", "INITIALIZERS")
OPTIMIZERS = Names("optimizers", "OPTIMIZERS")
METRICS = Names("metrics", "METRICS")
SCHEDULES = "step, exponential, cosine, cosine_restarts, inverse_scaling, one_cycle, plateau, warm_up"


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a network on the circle or on a table",
        description="Trains a network and tells what it has learnt.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "data", metavar="DATA", help='"circle", the built-in data set, or a file of comma-separated values'
    )

    option = parser.add_argument_group("network").add_argument
    option(
        "--hidden",
        metavar="UNITS",
        type=wholes,
        action="extend",
        help="units of a hidden layer; of several: 16,16 or the option again; 0: none (circle 4, tables 16)",
    )
    with_names(
        option(
            "--activation",
            metavar="NAME",
            help="of the hidden layers: %(names)s (circle sigmoid, tables tanh)",
        ),
        ACTIVATIONS,
    )
    option("--output", metavar="NAME", help="activation of the output layer: one of those, softmax or log_softmax")
    with_names(
        option(
            "--initializer",
            metavar="NAME",
            help="of the weights: %(names)s (circle uniform, tables what suits the activation)",
        ),
        INITIALIZERS,
    )
    option("--dtype", default="float64", metavar="NAME", help="float64 or float32 (float64)")
    option("--seed", type=whole, default=0, metavar="N", help="of the initial weights and of the shuffling (0)")

    option = parser.add_argument_group("training").add_argument
    option("--epochs", type=positive, metavar="N", help="passes over the data (circle 2000, tables 200)")
    with_names(option("--optimizer", default="sgd", metavar="NAME", help="%(names)s (sgd)"), OPTIMIZERS)
    option(
        "--learning-rate",
        type=real,
        metavar="RATE",
        help="above 0 (sgd: circle 10, tables 0.05; others their own)",
    )
    option(
        "--schedule",
        metavar="NAME",
        help=f"how the rate changes over the epochs: {SCHEDULES} (not at all)",
    )
    option("--momentum", type=real, metavar="M", help="of sgd and rmsprop, from 0 to below 1 (0)")
    option("--nesterov", action="store_true", help="Nesterov's variant of sgd's momentum")
    option(
        "--batch-size",
        type=rows,
        metavar="ROWS",
        help='rows for one update; 1 is stochastic, "all" one update an epoch (circle all, tables 32)',
    )
    with_names(
        option("--loss", metavar="NAME", help="%(names)s (circle mse, tables what suits the target)"), LOSSES
    )
    option(
        "--class-weight", metavar="HOW", help='"balanced": all classes count the same, however many rows they have'
    )
    option(
        "--log-every", type=positive, metavar="N", help="epochs from one line to the next (circle 100, tables 20)"
    )
    option(
        "--threads", type=positive, metavar="N", help="at most (all cores); the result is the same for any number"
    )
    option("--save", metavar="FILE", help='write the network to a file, for "fastnn predict" and fastnn.load')

    option = parser.add_argument_group("what keeps it honest").add_argument
    option("--l1", type=real, default=0.0, metavar="L", help="a penalty: L times the size of all weights (0)")
    option("--l2", type=real, default=0.0, metavar="L", help="a penalty: L times their squares (0)")
    option(
        "--dropout",
        type=real,
        default=0.0,
        metavar="RATE",
        help="the share of each hidden layer's outputs that an update leaves out (0)",
    )
    option(
        "--validation-split", type=real, metavar="SHARE", help="of the rows, to be set apart and looked at only"
    )
    option(
        "--patience",
        type=positive,
        metavar="N",
        help="stop when the loss (of rows set apart, if any) got no better for N epochs, and take the best",
    )
    with_names(
        option("--metric", action="append", metavar="NAME", help="to be told in the end, also several: %(names)s"),
        METRICS,
    )
    option(
        "--diagnose",
        action="store_true",
        help="tell what keeps it from learning: dead units, vanishing gradients, overfitting and the like",
    )

    option = parser.add_argument_group("circle").add_argument
    option("--density", type=whole, metavar="N", help="steps of the grid along each axis (10)")

    option = parser.add_argument_group("tables").add_argument
    option("--target", metavar="COLUMN", help="the column that is to be predicted")
    option(
        "--ignore",
        type=names,
        action="extend",
        metavar="COLUMN",
        help='a column to leave out; several: a,b,"c, too"',
    )
    option("--separator", metavar="TEXT", help="what stands between columns (a comma; in .tsv files a tab)")
    option(
        "--scale",
        action=argparse.BooleanOptionalAction,
        help="train on columns of mean 0 and deviation 1; the saved network takes the columns as they are (on)",
    )


def run(options: argparse.Namespace) -> int:
    """Train on the circle or on a table, and return the exit status."""
    of_circle = options.data == "circle"
    model.refuse_unwritable(options.save, "--save", *([] if of_circle else [options.data]))
    job_of_it = circle.run if of_circle else tabular.run
    if options.save is None:
        return job_of_it(options)
    # The network is saved even if the reader of the output closes it, or its disk is full.
    output = Output(sys.stdout)
    with redirect_stdout(cast(TextIO, output)):
        status = job_of_it(options)
    if output.error is not None:
        raise output.error
    return status
