"""Model files of the command line: a network file with the names of columns and classes as an additional member.

``fastnn.load`` reads such a file like any other: it reads the network's members only. Scaling is not stored
separately, but folded into the network's weights.
"""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import numpy.typing as npt

from fastnn import files

if TYPE_CHECKING:
    from fastnn import Sequential

MEMBER = "table.json"
MOST_BYTES = 1 << 24  # the most that is read of the names: 16 bytes for each of a million columns

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Names:
    """The names of a network's inputs and outputs in a table."""

    columns: list[str]
    target: str
    classes: list[str] | None  # None: the output is a number

    def classes_of(self, outputs: Array) -> npt.NDArray[np.intp]:
        """Return the number of each row's class (n,), from outputs (n, K), or (n, 1) for two classes."""
        if outputs.shape[1] == 1:
            return (outputs[:, 0] > 0.5).astype(np.intp)
        largest: npt.NDArray[np.intp] = outputs.argmax(axis=1)
        return largest

    def predictions(self, outputs: Array) -> Any:
        """Return the values (n,) for the target's column, from outputs (n, K)."""
        if self.classes is None:
            return outputs[:, 0]
        return [self.classes[i] for i in self.classes_of(outputs)]


def refuse_unwritable(path: str | None, option: str, *read: str) -> None:
    """Raise OSError if a file cannot be written, ValueError if it is also read. Does nothing if path is None."""
    if path is None:
        return
    files.refuse_unwritable(path)
    for other in read:
        if Path(path).exists() and Path(other).exists() and Path(path).samefile(other):
            raise ValueError(f"{option} {path} is a file that is read; it would be overwritten")


def save(net: Sequential, path: str, names: Names | None) -> None:
    """Write a network, and its names if there are any, either completely or not at all."""
    with files.replacing(path) as part:
        net.save(part)
        if names is not None:
            with zipfile.ZipFile(part, "a") as archive:
                archive.writestr(MEMBER, json.dumps(asdict(names)))


def load(path: str) -> tuple[Sequential, Names | None]:
    """Read a network, and its names if it was trained on a table, else None.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If the file is broken, or was written by another program or a later version.
    """
    import fastnn

    net = fastnn.load(path)
    with zipfile.ZipFile(path) as archive:
        if MEMBER not in archive.namelist():
            return net, None
        names = None
        with suppress(ValueError, *files.BROKEN), archive.open(MEMBER) as member:
            names = _names(member.read(MOST_BYTES))
    if names is None or not _fit(names, net):
        raise ValueError(f"{path} is broken: its network is sound, but the names of its table do not belong to it")
    return net, names


def _names(text: bytes) -> Names | None:
    """Return the names in a JSON text; None if it holds something else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        return None
    columns, target, classes = found.get("columns"), found.get("target"), found.get("classes")
    if _are_texts(columns) and isinstance(target, str) and (classes is None or _are_texts(classes)):
        return Names(columns, target, classes)
    return None


def _are_texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _fit(names: Names, net: Sequential) -> bool:
    """Whether there is a name for each input, and for each output (one output tells two classes apart)."""
    outputs = {1} if names.classes is None else {len(names.classes)} - {1}
    if names.classes is not None and len(names.classes) == 2:
        outputs.add(1)
    return len(names.columns) == net.inputs and net.outputs in outputs
