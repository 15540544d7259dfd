"""``Sequential.fit``: what people ask for becomes a checked task, and the network is trained."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from fastnn import checks, splits, training
from fastnn.callbacks import Callbacks, EarlyStopping, callbacks_of
from fastnn.dataset import Dataset, Format, Kept, Rows, rows_of
from fastnn.history import History
from fastnn.kernels import layout
from fastnn.loss_kinds import Loss
from fastnn.optimizers import Optimizer, optimizer_of
from fastnn.plan import MetricPart, Monitor, Task
from fastnn.progress import Bar, Log, is_terminal
from fastnn.threads import allowed

if TYPE_CHECKING:
    from fastnn.checkpoints import Checkpoints, Resumption
    from fastnn.network import Sequential
    from fastnn.streams import Stream

MOST_FOR_NEWTON = 2000  # parameters: a table of 32 MB


def fit(
    self: Sequential,
    X: Any,
    y: Any = None,
    *,
    epochs: int = 1,
    batch_size: int | None = None,
    optimizer: Optimizer | str | None = None,
    loss: str | Loss = "mse",
    shuffle: bool = True,
    sample_weight: Any = None,
    class_weight: Any = None,
    validation_data: Any = None,
    validation_split: float | None = None,
    metrics: Any = (),
    early_stopping: EarlyStopping | None = None,
    seed: int | None = None,
    log_every: int | None = None,
    callbacks: Any = (),
    verbose: int = 1,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: str | PathLike[str] | None = None,
    threads: int | None = None,
    memory_limit: float | str | None = None,
) -> History:
    """Train the network.

    Ctrl-C ends it within a fraction of a second (once a metric of all rows, or a step of LevenbergMarquardt, is
    done); the parameters are then those of the last finished update, and ``history`` tells how far it got. If the
    loss is no longer finite, the fit ends with a warning and the last finite parameters.

    Parameters
    ----------
    X : (n, inputs) numbers, or a Dataset in place of X, y and sample_weight; or blocks: an iterable of (X, y) or
        (X, y, sample_weight), as many rows in each as one likes. It is gone through once before anything is
        changed, to check and to count the rows (once more for metrics, and for a checkpoint), and then in each
        epoch, by a thread of its own, or only once if there is room for all its rows; so its ``__iter__`` has to
        begin anew each time, with the same rows in the same order. With a ``batch_size`` blocks need
        ``shuffle=False``.
    y : (n,) or (n, outputs) targets; for loss "cross_entropy" labels (n,) or class shares (n, outputs).
    epochs : passes over the data. Of LBFGS and LevenbergMarquardt, iterations.
    batch_size : rows for one update. None is batch gradient descent: one update an epoch, with all rows;
        1 is stochastic gradient descent. A last batch may be short.
    optimizer : one of ``fastnn.optimizers``, like Adam(0.001), or its name; without one SGD(0.01).
    loss : a name or an object of ``fastnn.losses``.
    shuffle : whether mini-batches are drawn in a new order each epoch, as they are by default. Those of blocks are
        not: with blocks and a ``batch_size``, ``shuffle=False`` is needed.
    sample_weight : (n,) numbers, 0 or more. The loss of a batch is Σ w·l / Σ w: weight 2 counts as the row
        twice in its batch, weight 0 as the row left out of it. In a batch of one row no other weight than 0
        makes a difference.
    class_weight : what sample weights are multiplied by, for targets that are classes: a dictionary of labels and
        weights (of others 1), or "balanced", by which all classes count the same. Not for validation rows, nor
        for batches of one row.
    validation_data : (X, y), (X, y, sample_weight) or a Dataset, whose loss is taken after each epoch.
    validation_split : a share of the rows, above 0 and below 1, that is set apart as such; of each class alike,
        and always the same for a seed.
    metrics : names, see ``fastnn.metrics``; kept for each epoch in the history, of both kinds of rows.
    early_stopping : an EarlyStopping.
    seed : of the shuffling, of dropout and of the split; without one the network's.
    log_every : print epoch and loss for the first epoch, each multiple of this, and the last.
    callbacks : functions that are called after each epoch with a ``fastnn.Progress``, and end the fit by returning
        True, or objects with methods of ``fastnn.Callback``.
    verbose : 1 shows on a terminal (stderr) how far a fit has got that takes longer than a second: a bar if tqdm
        is installed (``pip install fastnn-jit[progress]``), else a line for each tenth. 0 does not.
    checkpoint : a file that all the fit needs to go on is written to while it runs and when it ends, always
        between two epochs and whole or not at all. When it is interrupted within an epoch, the file is of an
        earlier one.
    checkpoint_every : epochs from one writing to the next, a whole number from 1 on. Without it the file is
        written after an epoch when 30 s have passed since the last time.
    resume : a checkpoint of the same fit, to go on from; only ``epochs``, which counts from the very start, may
        have grown. Parameters and history are then, to the last bit, those of a fit that was never interrupted.
        What the network's parameters were before does not matter.
    threads : that work on it at most; fewer do where the work from one update to the next is not worth more.
        Where that is in doubt, it is tried out now and then as the fit goes on.
        Without a number, as many as FASTNN_NUM_THREADS says, or else as the process may use. The result does not
        depend on it, to the last bit.
    memory_limit : bytes, or a text like "500 MB", that may be taken for rows beside the arrays given: for packed
        copies, validation rows, and what metrics keep. Where it is too little to pack all rows, arrays of the
        network's dtype, in C order, are read where they are; others, and blocks, are read and packed in windows,
        the next while the present one is worked on. Every number stays, to the last bit, as it would be.
        (Parameters, the optimizer's state, the history and the user's own blocks do not count.)

    Returns
    -------
    History : with the loss of each epoch, before its updates. It is ``net.history`` too.

    Raises
    ------
    TypeError, ValueError
        If an argument is not that, before anything is changed; also if ``resume`` is broken or of another fit.
    OSError
        If a checkpoint cannot be read or written.
    MemoryError
        If rows would take more memory than there is; ``memory_limit`` is the way out.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.circle(density=100)
    >>> net = fastnn.mlp([2, 4, 1], output="sigmoid")
    >>> history = net.fit([(X[:5000], y[:5000]), (X[5000:], y[5000:])], epochs=3)
    >>> again = fastnn.mlp([2, 4, 1], output="sigmoid").fit(X, y, epochs=3, memory_limit="200 KB")
    >>> history.loss.tolist() == again.loss.tolist()
    True
    """
    # What can be refused at once comes first: rows may take long to read.
    every = None if log_every is None else checks.whole_number(log_every, "log_every", least=1)
    watchers: list[training.Watcher] = []
    if is_shown(verbose):
        watchers.append(Bar(lines=every is None))
    if every is not None:
        watchers.append(Log(every))
    called = callbacks_of(callbacks)
    writer, resumption = _checkpoints(checkpoint, checkpoint_every, resume)
    asked = ask(
        self,
        X,
        y,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        loss=loss,
        shuffle=shuffle,
        sample_weight=sample_weight,
        class_weight=class_weight,
        validation_data=validation_data,
        validation_split=validation_split,
        metrics=metrics,
        early_stopping=early_stopping,
        seed=seed,
        threads=threads,
        memory_limit=memory_limit,
    )
    pause_every = 0
    if writer is not None:
        pause_every = writer.every or 0
        watchers.insert(0, writer)
    if called:
        pause_every = 1
        watchers.append(Callbacks(self, called))
    asked = replace(asked, task=replace(asked.task, pause_every=pause_every))
    if writer is not None or resumption is not None:
        from fastnn import checkpoints

        described = checkpoints.describe(self, asked)
        if writer is not None:
            writer.fit = described
        if resumption is not None:
            asked = replace(asked, resume=resumption.of_fit(described, asked.task.epochs))

    def report(history: History) -> None:
        self.history = history

    with self.being_trained():
        training.train(asked, self.parameters, watchers, report)
    assert self.history is not None
    return self.history


def _checkpoints(path: Any, every: Any, resume: Any) -> tuple[Checkpoints | None, Resumption | None]:
    """What writes to a path, and what has read the file to go on from; None where there is none."""
    if path is None and every is not None:
        raise ValueError(f"checkpoint_every is {checks.shown(every)}; a checkpoint is needed with it")
    if path is None and resume is None:
        return None, None
    from fastnn import checkpoints

    writer = None if path is None else checkpoints.Checkpoints(path, every)
    return writer, None if resume is None else checkpoints.Resumption(resume)


def _bytes_beside(wanted: Format, names: Any, validation_data: Any, validation_split: Any, rows: int) -> int:
    """What a fit keeps beside its rows: what metrics compare, validation rows, and a split's copies."""
    from fastnn import streams

    needed = 0 if validation_split is None else rows * wanted.row_bytes
    apart = 0
    if isinstance(validation_data, Dataset):
        apart = len(validation_data)
    elif isinstance(validation_data, Sequence) and len(validation_data) in (2, 3):
        with _said_of_validation():
            block = streams.block_of("", *validation_data)
        apart = len(block.X)
        needed += streams.copied_bytes(block, wanted)
    if apart:
        needed += streams.packed_bytes(apart, wanted)
    if isinstance(names, (list, tuple)) and not names:
        return needed
    from fastnn.metrics import metrics_of

    work = max(metric.work_size(max(rows, apart), outputs=wanted.outputs) for metric in metrics_of(names))
    return needed + streams.compared_bytes(rows + apart, wanted) + 8 * work


def ask(
    net: Sequential,
    X: Any,
    y: Any,
    *,
    epochs: Any,
    batch_size: Any,
    optimizer: Any,
    loss: Any,
    shuffle: Any,
    sample_weight: Any,
    class_weight: Any,
    validation_data: Any,
    validation_split: Any,
    metrics: Any,
    early_stopping: Any,
    seed: Any,
    threads: Any,
    memory_limit: Any = None,
    kept: Kept | None = None,
) -> training.Fit:
    """Check what a fit is asked for; TypeError or ValueError.

    With ``kept`` all rows are to be in memory, and those that it has are not made again.
    """
    metrics = listed(metrics)
    chosen = optimizer_of(optimizer)
    rows_of_batch = None if batch_size is None else checks.whole_number(batch_size, "batch_size", least=1)
    most_epochs = checks.whole_number(epochs, "epochs", least=1, most=checks.MOST_EPOCHS)
    shuffled, own_seed = checks.truth(shuffle, "shuffle"), seed_of(net, seed)
    most_threads = allowed(threads)
    problem = net.problem(loss)
    _refuse_steps(net)
    _refuse_optimizer(net, chosen, rows_of_batch, problem.loss)
    if not any(shape.parameters and shape.trained for shape in net.shapes):
        raise ValueError("trainable is False for all layers; nothing is left to be trained")
    if class_weight is not None and rows_of_batch == 1:
        raise ValueError(
            f"class_weight is {checks.shown(class_weight)} and batch_size 1: a batch's loss is the weighted "
            "mean of its rows, and of a single row no weight makes a difference; larger batches are needed"
        )
    wanted = net.format(problem.loss)
    rows: Rows | Stream
    if kept is not None:
        rows, dataset = kept.once(rows_of, X, y, sample_weight, wanted)
    else:
        from fastnn import streams

        kept = Kept()

        def beside(count: int) -> int:
            return _bytes_beside(wanted, metrics, validation_data, validation_split, count)

        in_memory = ""
        if validation_split is not None:
            in_memory = "validation_split is for rows in memory; validation_data can be given instead"
        if class_weight is not None:
            in_memory = "class_weight is for rows in memory; sample_weight can be given instead"
        use = streams.Use(rows_of_batch is not None, shuffled, beside, in_memory)
        rows, dataset = streams.rows_of(X, y, sample_weight, wanted, memory_limit, use)
    validation = None
    if validation_data is not None and validation_split is not None:
        raise ValueError("validation_data and validation_split are both given; one of them is needed")
    if validation_data is not None:
        validation = kept.once(_validation_rows, validation_data, wanted)
    if validation_split is not None and isinstance(rows, Rows):
        rows, validation = kept.once(splits.split, rows, validation_split, problem.loss, own_seed)
        dataset = None
    weighted = rows
    if isinstance(rows, Rows):
        weighted = kept.once(splits.with_class_weights, class_weight, problem.loss, rows)
    dataset = dataset if weighted is rows else None
    measured = _metrics(net, metrics, problem.loss, weighted, validation)
    task = Task(
        what=layout.TRAIN,
        update=chosen.part(len(net.parameters)),
        epochs=most_epochs,
        batch_size=rows_of_batch,
        shuffled=shuffled,
        seed=own_seed,
        metrics=measured,
        validated=validation is not None,
        monitor=_monitor(early_stopping, measured, validation),
    )
    trained = replace(problem, layers=net.shapes)
    return training.Fit(trained, weighted, dataset, validation, chosen, task, most_threads)


def listed(names: Any) -> Any:
    """A list in place of what can be gone through only once, or in no order; else what is given."""
    return list(names) if isinstance(names, (Iterator, Set)) else names


def seed_of(net: Sequential, seed: Any) -> int:
    """That of a fit: the network's, if none is given."""
    return net.seed if seed is None else checks.whole_number(seed, "seed", least=0, most=checks.MOST_SEED)


def is_shown(verbose: Any) -> bool:
    """Whether people are to see how far it has got."""
    number = int(verbose) if isinstance(verbose, bool) else verbose
    return checks.whole_number(number, "verbose", least=0, most=1) == 1 and is_terminal(sys.stderr)


def _refuse_steps(net: Sequential) -> None:
    for i, layer in enumerate(net.layers):
        if layer.activation == "step":
            raise ValueError(
                f"activation of layers[{i}] is 'step', whose derivative is 0: nothing up to it would learn; "
                "train with 'sigmoid' and predict with 'step'"
            )


def _refuse_optimizer(net: Sequential, optimizer: Optimizer, batch_size: int | None, loss: Loss) -> None:
    """ValueError if an optimizer is not for what is asked."""
    name = type(optimizer).__name__
    if optimizer.full_batch and batch_size is not None:
        raise ValueError(
            f"batch_size is {batch_size}, and {name} compares one update with the next, for which it needs all "
            "rows in each; batch_size=None is needed"
        )
    if not optimizer.line_search:
        return
    for i, shape in enumerate(net.shapes):
        for what in ("dropout", "max_norm"):
            if getattr(shape, what):
                raise ValueError(
                    f"layers[{i}] has {what}, and {name} needs a loss that is the same function at each step; "
                    "Adam can do with both"
                )
        if optimizer.gauss_newton is not None and shape.l1 > 0.0:
            raise ValueError(f"l1 of layers[{i}] is {shape.l1:g}, and {name} is for squares; l2 is one, l1 is not")
    if optimizer.gauss_newton is not None:
        if not loss.squares:
            raise ValueError(f"loss is {loss!r}, and {name} is for squares: mse and half_sse")
        if len(net.parameters) > MOST_FOR_NEWTON:
            raise ValueError(
                f"the network has {len(net.parameters):,} parameters, and {name} works on a table of each with "
                f"each; at most {MOST_FOR_NEWTON:,} are taken. LBFGS is for more"
            )


def _validation_rows(given: Any, wanted: Format) -> Rows:
    """Checked, from (X, y), (X, y, sample_weight) or a Dataset."""
    if isinstance(given, Dataset):
        return given.rows(wanted)
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) not in (2, 3):
        raise TypeError(
            f"validation_data is {checks.shown(given)}; (X, y), (X, y, sample_weight) or a Dataset is needed"
        )
    X, y, *weight = given
    with _said_of_validation():
        return rows_of(X, y, weight[0] if weight else None, wanted)[0]


@contextlib.contextmanager
def _said_of_validation() -> Iterator[None]:
    """Errors say which rows they are about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_data: {error}") from None


def _metrics(
    net: Sequential, names: Any, loss: Loss, rows: Rows | Stream, validation: Rows | None
) -> tuple[MetricPart, ...]:
    if isinstance(names, (list, tuple)) and not names:
        return ()
    from fastnn.kernels import metrics as metric_kernels
    from fastnn.metrics import metrics_of

    found = []
    given = rows.given if isinstance(rows, Rows) else rows.compared().given
    for metric in metrics_of(names):
        settings = metric.settings(loss, net.layers[-1].activation, net.outputs, net.dtype)
        metric.check_targets(given, loss)
        if validation is not None:
            metric.check_targets(validation.given, loss, "y of the validation rows")
        # Which class outputs say is found tile by tile, and quicker.
        of_labels = metric.of_labels and settings[metric_kernels.MODE] == metric_kernels.GREATEST
        if of_labels:
            settings[metric_kernels.MODE] = metric_kernels.LABELS
        found.append(
            MetricPart(
                metric.name,
                getattr(metric_kernels, metric.kernel),
                tuple(settings.tolist()),
                metric.shape(net.outputs),
                of_labels,
                metric.greater_is_better,
                functools.partial(metric.work_size, outputs=net.outputs),
            )
        )
    return tuple(found)


def _monitor(
    given: EarlyStopping | None, metrics: Iterable[MetricPart], validation: Rows | None
) -> Monitor | None:
    if given is None:
        return None
    if not isinstance(given, EarlyStopping):
        raise TypeError(f"early_stopping is {checks.shown(given)}; an EarlyStopping is needed")
    senses = {"loss": False} | {m.name: m.greater for m in metrics if m.greater is not None}
    if validation is not None:
        senses |= {f"val_{name}": greater for name, greater in senses.items()}
    monitor = given.monitor
    if monitor is None:
        monitor = "loss" if validation is None else "val_loss"
    if any(monitor in (m.name, f"val_{m.name}") for m in metrics if m.greater is None):
        raise ValueError(f"early_stopping looks at {monitor!r}, which is more than one number")
    if monitor not in senses:
        raise ValueError(
            f"early_stopping looks at {monitor!r}, which this fit does not keep; it keeps {', '.join(senses)}"
        )
    return Monitor(monitor, senses[monitor], given.patience, given.min_delta, given.restore_best)
