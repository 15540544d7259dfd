"""Files: zip archives of arrays like NumPy's .npz, without pickle; networks here, runs in ``checkpoints``.

``header.npy`` holds bytes of JSON: format, version and a description. A network file also has ``parameters.npy``,
the flat vector. Files may come from untrusted sources: what they contain is checked before memory is allocated.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import secrets
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import checks

FORMAT, VERSION = "fastnn network", 1
MOST_HEADER_BYTES = 1 << 20
MOST_PARAMETERS = 10**9
PART_SUFFIX = ".part"
NPY_OVERHEAD = 1024  # an upper bound on the header of a .npy file

# The exceptions of Python's and NumPy's readers for broken archives, besides ValueError and TypeError.
BROKEN: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    IndexError,
    tokenize.TokenError,
)
with suppress(ImportError):  # some builds of Python lack it
    import lzma

    BROKEN += (lzma.LZMAError,)

Array = npt.NDArray[Any]


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[Path]:
    """Yield a new file beside ``path`` for the caller to write, which then replaces ``path`` atomically."""
    target = _end_of_links(path)
    # Others may write the same file: threads, and processes with the same id in other containers.
    part = target.with_name(f"{part_prefix(target)}{os.getpid()}.{secrets.token_hex(4)}{PART_SUFFIX}")
    try:
        yield part
        with part.open("rb+") as file:  # it has to be on disk before the old file is replaced
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            part.chmod(stat.S_IMODE(target.stat().st_mode))
        part.replace(target)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def remove_leftovers(path: str | PathLike[str]) -> None:
    """Remove the unfinished files of processes that were killed while they wrote ``path``."""
    target = _end_of_links(path)
    # The pattern excludes those of other files whose names begin with this one's.
    part = re.compile(rf"{re.escape(part_prefix(target))}\d+\.[0-9a-f]+{re.escape(PART_SUFFIX)}")
    for name in os.listdir(target.parent):
        if part.fullmatch(name):
            with suppress(FileNotFoundError):
                target.with_name(name).unlink()


def _end_of_links(path: str | PathLike[str]) -> Path:
    """Return the file a path stands for, with links resolved; OSError if something else than a file is there."""
    target = path_of(path)
    if target.is_symlink():
        target = target.resolve()
    if target.exists() and not target.is_file():
        raise OSError(f"{path} cannot be written: it is {'a folder' if target.is_dir() else 'no regular file'}")
    return target


def part_prefix(target: Path) -> str:
    """Return the prefix of the names of unfinished files; its dot hides them."""
    return f".{target.name}."


def refuse_unwritable(path: str | PathLike[str]) -> None:
    """Raise OSError if a file cannot be written, before hours of work go into its contents."""
    target = _end_of_links(path)
    folder = target.parent
    if not folder.is_dir():
        raise OSError(f"{path} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise OSError(f"{path} cannot be written: the folder {folder} takes no new files")


def write(path: str | PathLike[str], description: dict[str, Any], parameters: Array) -> None:
    """Write a network file."""
    write_arrays(path, {"format": FORMAT, "version": VERSION, **description}, {"parameters": parameters})


def write_arrays(path: str | PathLike[str], header: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Write a header and arrays."""
    members: dict[str, Any] = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays}
    try:
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, **members)
    except OSError as error:
        if error.errno is None:  # it already says which file
            raise
        raise OSError(error.errno, f"{error.strerror or error}, in writing", os.fspath(path)) from None


def path_of(value: Any, name: str = "path") -> Path:
    """Return ``value`` as a path; TypeError if it is not one."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} is {checks.shown(value)}; the name of a file is needed")
    return Path(value)


def read(path: str | PathLike[str]) -> tuple[dict[str, Any], Array]:
    """Return the description and the parameters in a network file.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If the file is broken, or was written by another program or a later version.
    """
    with reading(path, "network") as archive:
        description = _description(archive)
        count = _parameter_count(description)
        parameters = array_of(archive, "parameters", count * 8)
    if parameters.shape != (count,) or parameters.dtype.name not in checks.DTYPES:
        raise ValueError(
            f"{os.fspath(path)} is broken: it holds parameters of shape {parameters.shape} and type "
            f"{parameters.dtype}, and its layers have {count} in float32 or float64"
        )
    return description, parameters


@contextmanager
def reading(path: str | PathLike[str], kind: str) -> Iterator[zipfile.ZipFile]:
    """Open an archive; errors in it become a ValueError that says it is not a file of that kind."""
    place = path_of(path)
    try:
        with zipfile.ZipFile(place) as archive:
            yield archive
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: a broken archive refers to an offset outside of the file
            raise
        raise ValueError(f"{os.fspath(path)} is no {kind} file: {error}") from None
    except BROKEN as error:
        raise ValueError(f"{os.fspath(path)} is no {kind} file: {error}") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{os.fspath(path)} is no {kind} file of fastnn: {error}") from None


def array_of(archive: zipfile.ZipFile, name: str, most_bytes: int) -> Array:
    """Return an array of the archive; ValueError if it is missing or larger than it should be."""
    member_name = f"{name}.npy"
    if member_name not in archive.namelist():
        raise ValueError(f"it holds no {member_name}")
    with archive.open(member_name) as member:
        data = member.read(most_bytes + NPY_OVERHEAD + 1)
    if len(data) > most_bytes + NPY_OVERHEAD:
        raise ValueError(f"its {member_name} is larger than it should be")
    # The size in the array's header is accepted only if it agrees with the number of bytes.
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in reader:
        raise ValueError(f"its {member_name} has version {version} of NumPy's format")
    shape, _, dtype = reader[version](stream)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"its {member_name} holds other than {shape} numbers of type {dtype}")
    return np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape)


def header_of(archive: zipfile.ZipFile, kind: str, version: int) -> dict[str, Any]:
    """Return the JSON of the header; ValueError unless it has this format and version."""
    found = json.loads(array_of(archive, "header", MOST_HEADER_BYTES).tobytes())
    if not isinstance(found, dict) or found.get("format") != f"fastnn {kind}":
        other = found.get("format") if isinstance(found, dict) else None
        uses = {"fastnn checkpoint": "a checkpoint, for fit(…, resume=…)", "fastnn network": "a network, for load"}
        what = f"it is {uses[other]}" if isinstance(other, str) and other in uses else ""
        raise ValueError(what or f"its header is not that of a {kind}")
    given = found.get("version")
    if given is True or given != version:
        raise ValueError(
            f"its version is {checks.shown(given)}; this fastnn reads version {version}, a later one may read it"
        )
    return found


def _description(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return the header of a network file; ValueError if it has no list of layers."""
    found = header_of(archive, "network", VERSION)
    layers = found.get("layers")
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise ValueError("its header has no list of layers")
    return found


def _parameter_count(description: dict[str, Any]) -> int:
    """Return the number of parameters of all layers."""
    count, inputs = 0, checks.whole_number(description.get("inputs"), "inputs", least=1)
    for i, layer in enumerate(description["layers"]):
        kind = layer.get("kind", "dense")
        if kind == "dense":
            units = checks.whole_number(layer.get("units"), f"layers[{i}] units", least=1)
            count, inputs = count + (inputs + 1) * units, units
        elif kind == "layer_normalization":
            count += 2 * inputs
        elif kind != "dropout":
            raise ValueError(f"its layer {i + 1} is of a kind {checks.shown(kind)} that is not known")
    if count > MOST_PARAMETERS:
        raise ValueError(f"its layers have {count} parameters; at most {MOST_PARAMETERS} are read")
    return count
