"""Checkpoints: files from which a fit goes on as if it had never been interrupted.

A file has a header, which describes the fit, and all that the compiled loop keeps from one epoch to the next: the
parameters, those before the last update, the best ones, the optimizer's state, sums and counters, and the record
of the epochs so far. Randomness depends only on the seed and on counters. Like the files of networks, checkpoints
may come from anywhere: see ``files``.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import checks, files, parts
from fastnn._version import __version__
from fastnn.kernels import layout, lbfgs
from fastnn.kernels.simd import LANES
from fastnn.layers import Dense

if TYPE_CHECKING:
    import zipfile

    from fastnn.dataset import Rows
    from fastnn.network import Sequential
    from fastnn.running import Run
    from fastnn.streams import Stream
    from fastnn.training import Fit

KIND, VERSION = "checkpoint", 3
SECONDS_BETWEEN = 30.0  # without checkpoint_every: little work to lose, and a thousand times what writing takes
DIGESTS = {
    "own functions": "own activations or the own loss",
    "data": "X, y or weights",
    "validation_data": "the validation rows",
}

Array = npt.NDArray[Any]


# What a checkpoint is of ---------------------------------------------------------------------------


def describe(net: Sequential, fit: Fit) -> dict[str, Any]:
    """Return all that the results of a fit depend on, except the number of epochs, as read back from JSON."""
    task, loss = fit.task, fit.problem.loss
    update = task.update
    assert update is not None
    layers = [layer.describe() for layer in net.layers]
    for layer in layers:
        layer.pop("initializer", None)  # its parameters come from the checkpoint
    kernels = [layer.function.kernel for layer in net.layers if isinstance(layer, Dense)]
    kernels += [formula.kernel for formula in loss.formulas.values()]
    found = {
        "fastnn": __version__,
        "network": {"inputs": net.inputs, "l1": net.l1, "l2": net.l2, "layers": layers},
        "dtype": net.dtype.name,
        "numbers of a vector register": LANES[net.dtype],
        "loss": {"name": loss.name, "settings": loss.settings, "smoothing": loss.smoothing},
        "own functions": [digest for digest in map(parts.digest_of, kernels) if digest],
        "optimizer": {
            "name": repr(fit.optimizer),
            "settings": update.settings,  # exactly; a name may be rounded
            "clipping": [update.clip_value, update.clip_norm],
            "schedule": getattr(update.schedule, "__name__", None),
            "schedule's settings": [update.warm_epochs, update.schedule_settings, update.plateau],
        },
        "batch_size": task.batch_size,
        "shuffle": task.shuffled,
        "seed": task.seed,
        "metrics": [{"name": metric.name, "settings": metric.settings} for metric in task.metrics],
        "early_stopping": None if task.monitor is None else asdict(task.monitor),
        "rows": len(fit.rows),
        "validation rows": 0 if fit.validation is None else len(fit.validation),
        "data": _digest(fit.rows),
        "validation_data": None if fit.validation is None else _digest(fit.validation),
    }
    as_read: dict[str, Any] = json.loads(json.dumps(found))
    return as_read


def _digest(rows: Rows | Stream) -> str:
    """Return a digest of rows, which is the same whether they are in memory or read piece by piece."""
    digests = [hashlib.sha256() for _ in range(4)]
    for piece in rows.pieces():
        for array, digest in zip((piece.X, piece.y, piece.weights, piece.labels), digests, strict=True):
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
    described = f"{rows.dtype} {len(rows)} {rows.features} {rows.outputs} {rows.is_weighted}"
    return hashlib.sha256(b"".join([described.encode(), *(digest.digest() for digest in digests)])).hexdigest()


def _differences(name: str, here: Any, there: Any) -> Iterator[str]:
    """Yield what differs, in words; for nested parts, only the first difference."""
    if here == there:
        return
    if isinstance(here, dict) and isinstance(there, dict) and here.keys() == there.keys():
        for key in here:
            inner = name if key == "name" else f"{name} {key}"
            if here[key] != there[key]:
                yield from _differences(inner, here[key], there[key])
                return
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        at = next(i for i in range(len(here)) if here[i] != there[i])
        yield from _differences(f"{name}[{at}]", here[at], there[at])
    else:
        yield f"{name} is {_shown(here)} here and {_shown(there)} there"


def _shown(value: Any) -> str:
    as_it_is = isinstance(value, str) and len(value) < 80 and value.isprintable()
    return str(value) if as_it_is else checks.shown(value)


# Reading -------------------------------------------------------------------------------------------


class Resumption:
    """A checkpoint from which a fit is resumed. Its header is read at once.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is broken, of another program, or of a later version.
    """

    def __init__(self, path: Any) -> None:
        self._path = files.path_of(path, "resume")
        with files.reading(self._path, KIND) as archive:
            self._header = _header(archive)

    def of_fit(self, described: dict[str, Any], epochs: int) -> Callable[[Run], None]:
        """Return a function that restores a run; ValueError if this is of another fit, or has got further."""
        there = self._header["fit"]
        found: list[str] = []
        for name in described:
            if name not in DIGESTS:
                found += _differences(name, described[name], there.get(name))
        if not found:
            found = [f"{what} differ" for name, what in DIGESTS.items() if described[name] != there.get(name)]
        if found:
            raise ValueError(f"{self._path} is the checkpoint of another fit: {'; '.join(found[:3])}")
        if self._header["epoch"] > epochs:
            raise ValueError(f"epochs is {epochs}; {self._path} has got to epoch {self._header['epoch']} already")
        return functools.partial(_restore, self._path, described)


def _header(archive: zipfile.ZipFile) -> dict[str, Any]:
    header = files.header_of(archive, KIND, VERSION)
    if not isinstance(header.get("fit"), dict):
        raise ValueError("its header does not say of which fit it is")
    checks.whole_number(header.get("epoch"), "its epoch", least=0)
    checks.real_number(header.get("seconds"), "its seconds", least=0.0)
    checks.real_number(header.get("learning_rate"), "its learning_rate", least=0.0)
    return header


def _restore(path: Path, described: dict[str, Any], run: Run) -> None:
    """Restore a run to the state in the file."""
    with files.reading(path, KIND) as archive:
        header = _header(archive)
        if header["fit"] != described or header["epoch"] > run.task.epochs:
            raise ValueError("it has changed meanwhile")
        cursor = np.zeros_like(run.cursor)
        arrays = _arrays(run, cursor, header["epoch"])
        for name, array in arrays.items():
            _overwrite(array, archive, name)
        for name in ("parameters", "previous", "best"):
            if not np.isfinite(arrays[name]).all():
                raise ValueError(f"its {name} are not finite")
        _check_counters(run, cursor, header["epoch"])
    run.cursor[:] = cursor
    run.cursor[layout.STATUS] = _status(run)
    run.reals[0] = header["learning_rate"]
    run.seconds_before = header["seconds"]


def _arrays(run: Run, cursor: Array, epoch: int) -> dict[str, Array]:
    """Return the arrays of a file, by name."""
    parameters, _, previous, state, best = run.vectors  # each batch computes its gradient anew
    record, sums = run.records
    return {
        "parameters": parameters,
        "previous": previous,
        "state": state,
        "best": best,
        "record": record[: (epoch + 1) * run.task.width],  # the next one may have been begun
        "sums": sums,
        "cursor": cursor,
    }


def _overwrite(array: Array, archive: zipfile.ZipFile, name: str) -> None:
    found = files.array_of(archive, name, array.nbytes)
    if found.shape != array.shape or found.dtype.newbyteorder("=") != array.dtype:
        raise ValueError(
            f"its {name} are {found.shape} numbers of type {found.dtype}; "
            f"{array.shape} of type {array.dtype} are needed"
        )
    array[:] = found


def _check_counters(run: Run, cursor: Array, epoch: int) -> None:
    """Raise ValueError for counters that would make the compiled loop read or write where it should not."""
    fixed = {
        layout.EPOCH: epoch,
        layout.FIRST: 0,
        layout.DONE: 0,
        layout.TO_SHUFFLE: -1,
        layout.VALIDATED: -1,
    }
    sound = all(cursor[at] == number for at, number in fixed.items())
    sound &= bool((cursor[[layout.UPDATES, layout.WAITED, layout.PLATEAU_WAITED]] >= 0).all())
    sound &= 0 <= cursor[layout.BEST_EPOCH] <= epoch
    sound &= cursor[layout.STATUS] in (layout.RUNNING, layout.FINISHED, layout.STOPPED, layout.CONVERGED)
    if run.task.update is not None and run.task.update.kernel is lbfgs.lbfgs:
        memory, kept = run.records[1][layout.MEMORY :], run.task.update.settings[lbfgs.PAIRS_KEPT]
        sound &= bool(0 <= memory[lbfgs.NEXT] < kept and 0 <= memory[lbfgs.PAIRS] <= kept)
    if not sound:
        raise ValueError("its counters do not fit together")


def _status(run: Run) -> int:
    """Return the status of a run that may now have more epochs; one that a callback stopped goes on."""
    status = int(run.cursor[layout.STATUS])
    monitor = run.task.monitor
    early = monitor is not None and run.cursor[layout.WAITED] >= monitor.patience
    if status == layout.CONVERGED or (status == layout.STOPPED and early):
        return status
    return layout.FINISHED if run.epochs == run.task.epochs else layout.RUNNING


# Writing -------------------------------------------------------------------------------------------


class Checkpoints:
    """The writer of checkpoints: every ``every`` epochs or, without that, at intervals of time; and at the end.

    Attributes
    ----------
    every : the number of epochs from one writing to the next, or None.
    fit : the description of the fit, set before it begins.
    """

    fit: dict[str, Any]

    def __init__(self, path: Any, every: Any) -> None:
        self._path = files.path_of(path, "checkpoint")
        files.refuse_unwritable(self._path)
        self.every = (
            None
            if every is None
            else checks.whole_number(every, "checkpoint_every", least=1, most=checks.MOST_EPOCHS)
        )
        self._start = self._when = time.perf_counter()
        self._epoch = 0
        self._written: tuple[int, str] | None = None

    def begin(self, run: Run) -> None:
        """Start the clock."""
        files.remove_leftovers(self._path)
        self._start = self._when = time.perf_counter()
        self._epoch = run.epochs

    def look(self, run: Run) -> None:
        """Write if it is time, and if the run is between two epochs: only there can it be resumed."""
        if self.every is not None:
            due = run.epochs // self.every > self._epoch // self.every
        else:
            due = run.epochs > self._epoch and time.perf_counter() - self._when >= SECONDS_BETWEEN
        if due and run.between_epochs:
            self._write(run)
            due = False
        if self.every is None:
            run.pause_after_epoch(due)

    def end(self, run: Run) -> None:
        """Write, unless the run ended within an epoch, as it does if it diverged."""
        if run.between_epochs and self._written != (run.epochs, run.status):
            self._write(run)

    def _write(self, run: Run) -> None:
        if not np.isfinite(run.vectors[0]).all():  # a trial of a line search; the accepted ones are elsewhere
            return
        cursor = run.cursor.copy()
        cursor[layout.TO_SHUFFLE] = -1  # shuffling begins anew
        header = {
            "format": f"fastnn {KIND}",
            "version": VERSION,
            "fit": self.fit,
            "epoch": run.epochs,
            "seconds": run.seconds_before + time.perf_counter() - self._start,
            "learning_rate": run.learning_rate,
        }
        files.write_arrays(self._path, header, _arrays(run, cursor, run.epochs))
        self._epoch, self._when, self._written = run.epochs, time.perf_counter(), (run.epochs, run.status)
