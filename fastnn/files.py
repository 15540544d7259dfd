"""Network files: a zip archive of two arrays, as NumPy's .npz is, without pickle.

``header.npy`` holds bytes of JSON: format, version and the network's description. ``parameters.npy`` is the flat
vector. Files may come from anywhere: whatever they say is checked before memory is taken for it.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
import zlib
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import checks

FORMAT, VERSION = "fastnn network", 1
MOST_HEADER_BYTES = 1 << 20
MOST_PARAMETERS = 10**9
NPY_OVERHEAD = 1024  # more than the text that stands before the numbers in a .npy file

Array = npt.NDArray[Any]


def write(path: str | PathLike[str], description: dict[str, Any], parameters: Array) -> None:
    """Write a network file beside its place and then move it there."""
    target = path_of(path)
    header = json.dumps({"format": FORMAT, "version": VERSION, **description})
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, header=np.frombuffer(header.encode(), np.uint8), parameters=parameters)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def path_of(value: Any) -> Path:
    """``value`` as a path; TypeError if it is none."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"path is {value!r}; the name of a file is needed")
    return Path(value)


def read(path: str | PathLike[str]) -> tuple[dict[str, Any], Array]:
    """The description and the parameters in a network file.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is broken, of another program, or of a later version.
    """
    place = path_of(path)
    try:
        with zipfile.ZipFile(place) as archive:
            description = _description(_array(archive, "header.npy", MOST_HEADER_BYTES))
            count = _parameter_count(description)
            parameters = _array(archive, "parameters.npy", count * 8)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{os.fspath(path)} is no network file: {error}") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{os.fspath(path)} is no network file of fastnn: {error}") from None
    if parameters.shape != (count,) or parameters.dtype.name not in checks.DTYPES:
        raise ValueError(
            f"{os.fspath(path)} is broken: it holds parameters of shape {parameters.shape} and type "
            f"{parameters.dtype}, and its layers have {count} in float32 or float64"
        )
    return description, parameters


def _array(archive: zipfile.ZipFile, name: str, most_bytes: int) -> Array:
    """An array of the archive; ValueError if it is not there or larger than it should be."""
    if name not in archive.namelist():
        raise ValueError(f"it holds no {name}")
    with archive.open(name) as member:
        data = member.read(most_bytes + NPY_OVERHEAD + 1)
    if len(data) > most_bytes + NPY_OVERHEAD:
        raise ValueError(f"its {name} is larger than its layers are")
    # What the array says of its own size is believed only as far as there are bytes.
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in reader:
        raise ValueError(f"its {name} has version {version} of NumPy's format")
    shape, _, dtype = reader[version](stream)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"its {name} holds other than {shape} numbers of type {dtype}")
    return np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape)


def _description(header: Array) -> dict[str, Any]:
    """The header's JSON, of this format and version and with the fields that belong to it."""
    found = json.loads(header.tobytes())
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError("its header is not that of a network")
    version = found.get("version")
    if version is True or version != VERSION:
        raise ValueError(
            f"its version is {version!r}; this fastnn reads version {VERSION}, a later one may read it"
        )
    layers = found.get("layers")
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise ValueError("its header has no list of layers")
    return found


def _parameter_count(description: dict[str, Any]) -> int:
    """Of all layers."""
    count, inputs = 0, checks.whole_number(description.get("inputs"), "inputs", least=1)
    for i, layer in enumerate(description["layers"]):
        units = checks.whole_number(layer.get("units"), f"layers[{i}] units", least=1)
        count, inputs = count + (inputs + 1) * units, units
    if count > MOST_PARAMETERS:
        raise ValueError(f"its layers have {count} parameters; at most {MOST_PARAMETERS} are read")
    return count
