"""``Sequential.fit``: turns its arguments into a checked task, and trains the network."""

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
    """Train the network on rows of inputs and targets.

    Every fit begins with fresh optimizer state and, for the same seed, with the same shuffles and dropout masks: a
    loop of ``fit(epochs=1)`` repeats them unless ``seed`` changes. To continue a fit, resume it from a checkpoint.

    Ctrl-C ends the fit within a fraction of a second (a metric over all rows, or a step of LevenbergMarquardt, is
    finished first); the parameters are then those of the last finished update, and ``history`` tells how far the
    fit got. Ctrl-C reaches a fit only in the main thread; in another thread, a callback that returns True when a
    ``threading.Event`` is set ends it. Predictions made by other threads during a fit use the parameters from
    before it or, with callbacks, those that the last callback was shown. If the loss is no longer finite, the fit
    ends with a warning and keeps the last finite parameters.

    Parameters
    ----------
    X : (n, inputs) numbers, or a Dataset in place of X, y and sample_weight; or blocks: an iterable of (X, y) or
        (X, y, sample_weight), each with any number of rows. The blocks are read once before anything is changed,
        to check and count the rows (and once more for metrics, and for a checkpoint). They are then read in every
        epoch by a separate thread, or only once if there is room for all their rows. So each call of ``__iter__``
        must start again, with the same rows in the same order. With a ``batch_size``, blocks need
        ``shuffle=False``.
    y : (n,) or (n, outputs) targets; for loss "cross_entropy" labels (n,) or class shares (n, outputs).
    epochs : the number of passes over the data; for LBFGS and LevenbergMarquardt, of iterations.
    batch_size : the number of rows for each update. None is batch gradient descent: one update an epoch, with all
        rows; 1 is stochastic gradient descent. The last batch of an epoch may be smaller.
    optimizer : one of ``fastnn.optimizers``, like Adam(0.001), or its name; SGD(0.01) if it is None.
    loss : a name or an object of ``fastnn.losses``.
    shuffle : whether mini-batches are drawn in a new order each epoch; True by default. Blocks are never shuffled:
        with blocks and a ``batch_size``, ``shuffle=False`` is needed.
    sample_weight : (n,) numbers, 0 or more. The loss of a batch is Σ w·l / Σ w: a row of weight 2 counts like two
        equal rows in its batch, and a row of weight 0 as if it were left out. In a batch of one row, all weights
        other than 0 are equivalent.
    class_weight : factors for the sample weights of each class, if targets are classes: a dictionary of labels and
        weights (1 for labels not in it), or "balanced", which makes all classes count the same. It does not
        apply to validation rows, and is not accepted with batches of one row.
    validation_data : (X, y), (X, y, sample_weight) or a Dataset, whose loss is computed after each epoch.
    validation_split : a share of the rows, above 0 and below 1, that is set apart for validation: the same share
        of each class, and always the same rows for the same seed.
    metrics : names, see ``fastnn.metrics``; the history keeps their values for each epoch, for both training and
        validation rows.
    early_stopping : an EarlyStopping.
    seed : the seed of the shuffling, of dropout and of the split; the network's seed if it is None.
    log_every : print epoch and loss for the first epoch, each multiple of this, and the last.
    callbacks : functions that are called after each epoch with a ``fastnn.Progress`` and end the fit by returning
        True, or objects with methods of ``fastnn.Callback``.
    verbose : 1 shows on a terminal (stderr) how far a fit that takes longer than a second has got: a bar if tqdm
        is installed (``pip install fastnn-jit[progress]``), else a line for each tenth. 0 shows nothing.
    checkpoint : the file to which all that is needed to resume the fit is written, while it runs and when it ends,
        always between two epochs and either completely or not at all. If the fit is interrupted within an epoch,
        the file holds the state after an earlier one.
    checkpoint_every : write the checkpoint every this many epochs, a whole number from 1 on. If it is None, the
        file is written after an epoch once 30 s have passed since it was last written.
    resume : a checkpoint of the same fit, to continue from; only ``epochs``, which counts from the very start, may
        have grown. Parameters and history are then, to the last bit, those of a fit that was never interrupted.
        The network's parameters before the call do not matter.
    threads : the greatest number of threads to use; None takes FASTNN_NUM_THREADS or, if that is not set, as many
        as the process may use. Fewer work where there is too little to do between two updates; if that is in
        doubt, it is tried out now and then during the fit. The result does not depend on the number of threads,
        to the last bit.
    memory_limit : how many bytes (a number, or a text like "500 MB") may be used for rows, beside the given
        arrays: for packed copies, validation rows, and what metrics keep. If that is too little to pack all rows,
        arrays in C order of the network's dtype are read in place; other arrays, and blocks, are read and packed
        in windows, the next one while the current one is being worked on. The results are the same to the last
        bit. (Parameters, the optimizer's state, the history and the user's own blocks do not count.)

    Returns
    -------
    History : the loss of each epoch, taken before its updates, and more. ``net.history`` is the same object.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value, before anything is changed; also if the file ``resume`` is
        broken or belongs to another fit.
    OSError
        If a checkpoint cannot be read or written.
    MemoryError
        If the rows would need more memory than is available; ``memory_limit`` makes do with less.

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
    # Arguments that can be checked at once come first: reading rows may take long.
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
    """Return the writer of checkpoints and the checkpoint to resume from; None for each that is not asked for."""
    if path is None and every is not None:
        raise ValueError(f"checkpoint_every is {checks.shown(every)}; a checkpoint is needed with it")
    if path is None and resume is None:
        return None, None
    from fastnn import checkpoints

    writer = None if path is None else checkpoints.Checkpoints(path, every)
    return writer, None if resume is None else checkpoints.Resumption(resume)


def _bytes_beside(wanted: Format, names: Any, validation_data: Any, validation_split: Any, rows: int) -> int:
    """Return the bytes a fit needs beside its rows: for metrics, validation rows, and the copies of a split."""
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
    """Return the checked fit that these arguments ask for; TypeError or ValueError if one is invalid.

    With ``kept``, all rows must be in memory, and rows that it already holds are not made again.
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
        use = streams.Use(
            mini_batches=rows_of_batch is not None,
            shuffled=shuffled,
            beside=functools.partial(_bytes_beside, wanted, metrics, validation_data, validation_split),
            in_memory=_why_in_memory(validation_split, class_weight),
        )
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


def _why_in_memory(validation_split: Any, class_weight: Any) -> str:
    """Return why rows must be in memory, or "" if they need not be."""
    if class_weight is not None:
        return "class_weight is for rows in memory; sample_weight can be given instead"
    if validation_split is not None:
        return "validation_split is for rows in memory; validation_data can be given instead"
    return ""


def listed(names: Any) -> Any:
    """Return an iterator or a set as a list, and anything else as it is."""
    return list(names) if isinstance(names, (Iterator, Set)) else names


def seed_of(net: Sequential, seed: Any) -> int:
    """Return the checked seed of a fit: the network's if none is given."""
    return net.seed if seed is None else checks.whole_number(seed, "seed", least=0, most=checks.MOST_SEED)


def is_shown(verbose: Any) -> bool:
    """Return whether progress is shown: if ``verbose`` is 1 and stderr is a terminal."""
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
    """Raise ValueError if an optimizer cannot train this network with this loss and batch size."""
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
    """Return checked validation rows, given as (X, y), (X, y, sample_weight) or a Dataset."""
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
    """Make TypeErrors and ValueErrors say that they are about validation_data."""
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
        # The predicted classes are found tile by tile, which is quicker.
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
