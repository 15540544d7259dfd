"""``fastnn train``: its options, and which of its two jobs they are for."""

from __future__ import annotations

import argparse

from fastnn.cli import circle, model, tabular
from fastnn.cli.options import Commands, formatter, names, positive, real, rows, whole, wholes

EXAMPLES = """\
examples:
  fastnn train circle
  fastnn train circle --density 300 --hidden 16,16 --learning-rate 1
  fastnn train circle --save circle.npz
  fastnn train flowers.csv --target species --save flowers.npz
  fastnn train houses.csv --target price --ignore id,address --epochs 500

A table has a line of column names. Its target decides what is trained: text,
true/false or a few whole numbers are classes (two: sigmoid outputs and
binary_cross_entropy; more: softmax and cross_entropy), other numbers are
predicted as numbers (identity and mse). --loss and --output choose otherwise.
"""

ACTIVATIONS = "identity, sigmoid, tanh, relu, leaky_relu, elu, softplus, silu, gelu"
LOSSES = "mse, half_sse, mae, binary_cross_entropy, cross_entropy"
INITIALIZERS = "uniform, normal, glorot_uniform, glorot_normal, he_uniform, he_normal, zeros"


def add(commands: Commands) -> None:
    """Declare the command."""
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
    option(
        "--activation",
        metavar="NAME",
        help=f"of the hidden layers: {ACTIVATIONS} (circle sigmoid, tables tanh)",
    )
    option("--output", metavar="NAME", help="activation of the output layer: one of those, or softmax")
    option(
        "--initializer",
        metavar="NAME",
        help=f"of the weights: {INITIALIZERS} (circle uniform, tables what suits the activation)",
    )
    option("--dtype", default="float64", metavar="NAME", help="float64 or float32 (float64)")
    option("--seed", type=whole, default=0, metavar="N", help="of the initial weights and of the shuffling (0)")

    option = parser.add_argument_group("training").add_argument
    option("--epochs", type=positive, metavar="N", help="passes over the data (circle 2000, tables 200)")
    option("--learning-rate", type=real, metavar="RATE", help="above 0 (circle 10, tables 0.05)")
    option("--momentum", type=real, default=0.0, metavar="M", help="from 0 to below 1 (0)")
    option("--nesterov", action="store_true", help="Nesterov's variant of momentum")
    option(
        "--batch-size",
        type=rows,
        metavar="ROWS",
        help='rows for one update; 1 is stochastic, "all" one update an epoch (circle all, tables 32)',
    )
    option("--loss", metavar="NAME", help=f"{LOSSES} (circle mse, tables what suits the target)")
    option(
        "--log-every", type=positive, metavar="N", help="epochs from one line to the next (circle 100, tables 20)"
    )
    option("--save", metavar="FILE", help='write the network to a file, for "fastnn predict" and fastnn.load')

    option = parser.add_argument_group("circle").add_argument
    option("--density", type=whole, metavar="N", help="steps of the grid along each axis (10)")

    option = parser.add_argument_group("tables").add_argument
    option("--target", metavar="COLUMN", help="the column that is to be predicted")
    option("--ignore", type=names, action="extend", metavar="COLUMN", help="a column to leave out; several: a,b,c")
    option("--separator", metavar="TEXT", help="what stands between columns (a comma; in .tsv files a tab)")
    option(
        "--scale",
        action=argparse.BooleanOptionalAction,
        help="train on columns of mean 0 and deviation 1; the saved network takes the columns as they are (on)",
    )


def run(options: argparse.Namespace) -> int:
    """Train as asked; the exit status."""
    model.refuse_unwritable(options.save)
    return circle.run(options) if options.data == "circle" else tabular.run(options)
