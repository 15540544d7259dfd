"""Network files: bit for bit there and back, whole or not at all, and nothing believed that they say."""

from __future__ import annotations

import errno
import io
import json
import os
import threading
import time
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn
from fastnn import Dense
from tests.problems import JIT, OUTPUTS


@pytest.fixture
def net():
    """A network with all that a file has to keep."""
    layers = [
        Dense(3, "relu", initializer="he_normal"),
        Dense(2, "tanh", weights=np.ones((3, 2))),
        Dense(4, "softmax"),
    ]
    return fastnn.Sequential(layers, inputs=2, initializer="uniform", seed=77)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.npz"


def test_an_error_of_the_system_names_the_file(net, path, monkeypatch):
    def fail(file, **members):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("numpy.savez", fail)
    with pytest.raises(OSError, match=r"No space left on device, in writing: .*net\.npz") as caught:
        net.save(path)
    assert (caught.value.errno, os.listdir(path.parent)) == (errno.ENOSPC, [])


def write(path, header=None, parameters=None):
    """A file with this header and these parameters, as another program might write it."""
    arrays = {}
    if header is not None:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        arrays["header"] = np.frombuffer(text, np.uint8)
    if parameters is not None:
        arrays["parameters"] = parameters
    np.savez(path, **arrays)


def good_header(**changes):
    header = {
        "format": "fastnn network",
        "version": 1,
        "inputs": 2,
        "seed": 0,
        "initializer": None,
        "layers": [
            {"units": 3, "activation": "tanh", "initializer": None},
            {"units": 1, "activation": "sigmoid", "initializer": None},
        ],
    }
    return {**header, **changes}


def refuses(path, match="."):
    """ValueError of one or two sentences that names the file, soon and with little memory."""
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            fastnn.load(path)
        # The messages' length grows with the path only; a second is a hundred times what it takes.
        assert str(path) in str(caught.value)
        assert len(str(caught.value)) < 300 + len(str(path))
        assert "\n" not in str(caught.value)
        assert time.perf_counter() - start < 1
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_header_of_this_file_is_good(path):
    """What the tests below spoil is accepted unspoilt."""
    write(path, good_header(), np.arange(13.0))
    net = fastnn.load(path)
    assert_array_equal(net.parameters, np.arange(13.0))
    assert repr(net) == "<Sequential: 2 > 3 tanh > 1 sigmoid, 13 parameters, float64>"


# There and back --------------------------------------------------------------------------------------


def test_round_trip(net, path, rng, dtype):
    net = fastnn.mlp([3, 5, 2], activation="gelu", seed=2**63 - 1, dtype=dtype)
    X, y = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    net.fit(X, y, epochs=3)
    net.save(path)
    again = fastnn.load(path)
    assert again.dtype == dtype
    assert again.seed == net.seed
    assert_array_equal(again.parameters.view(np.uint8), net.parameters.view(np.uint8))
    assert_array_equal(again.predict(X), net.predict(X))
    assert again.summary() == net.summary()
    histories = [each.fit(X, y, epochs=3, batch_size=2) for each in (net, again)]
    assert_array_equal(histories[0].loss, histories[1].loss)
    assert_array_equal(again.parameters, net.parameters)


def test_all_that_is_known_of_a_network_comes_back(net, path):
    net.save(path)
    again = fastnn.load(path)
    assert (again.inputs, again.seed, again.initializer) == (2, 77, "uniform")
    assert [layer.initializer for layer in again.layers] == ["he_normal", None, "uniform"]
    assert (repr(again), again.summary()) == (repr(net), net.summary())


@pytest.mark.parametrize("output", OUTPUTS)
def test_round_trip_of_each_activation(path, output):
    net = fastnn.mlp([2, 3], output=output)
    net.save(path)
    assert_array_equal(fastnn.load(path).predict([[1, 2]]), net.predict([[1, 2]]))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_extreme_numbers(path, dtype):
    net = fastnn.mlp([5, 1], dtype=dtype)
    info = np.finfo(dtype)
    net.parameters = [info.max, info.min, info.tiny, info.smallest_subnormal, -0.0, 0.1]
    net.save(path)
    assert fastnn.load(path).parameters.tobytes() == net.parameters.tobytes()


@pytest.mark.parametrize("name", ["net.npz", "net", "net.v1.npz", "Netz wörk.npz"])
def test_names(net, tmp_path, name):
    net.save(str(tmp_path / name))
    assert os.listdir(tmp_path) == [name]
    fastnn.load(str(tmp_path / name))


def test_file_is_an_npz_without_pickle(net, path):
    net.save(path)
    with np.load(path, allow_pickle=False) as arrays:
        assert_array_equal(arrays["parameters"], net.parameters)
        header = json.loads(arrays["header"].tobytes())
    assert (header["format"], header["version"]) == ("fastnn network", 1)


def test_compressed_by_another_program(net, path):
    net.save(path)
    with np.load(path) as arrays:
        np.savez_compressed(path, **dict(arrays))
    assert_array_equal(fastnn.load(path).parameters, net.parameters)


# Whole or not at all ---------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["numpy.savez", "os.fsync", "pathlib.Path.replace"])
def test_failure_leaves_the_old_file_and_nothing_else(net, path, monkeypatch, place):
    fastnn.mlp([2, 1]).save(path)
    old = path.read_bytes()

    def fail(*arguments, **options):
        if place == "numpy.savez":
            arguments[0].write(b"half of i")
        raise OSError("disk full")

    monkeypatch.setattr(place, fail)
    with pytest.raises(OSError, match="disk full"):
        net.save(path)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


def test_places_that_cannot_be_written_to(net, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        net.save(tmp_path / "nowhere" / "net.npz")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        net.save(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_threads_that_write_one_file(tmp_path):
    """Each load finds one of the networks, whole."""
    path = tmp_path / "net.npz"
    nets = [fastnn.mlp([16, 32, 16], seed=seed) for seed in (1, 2)]
    known = [net.parameters.tobytes() for net in nets]
    nets[0].save(path)
    failed = []

    def save(net):
        try:
            for _ in range(50):
                net.save(path)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=save, args=(net,)) for net in nets]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert fastnn.load(path).parameters.tobytes() in known
    assert not failed
    assert os.listdir(tmp_path) == ["net.npz"]


@pytest.mark.skipif(os.name == "nt", reason="links and modes are POSIX")
def test_links_and_modes_stay(net, tmp_path):
    path, link = tmp_path / "net.npz", tmp_path / "link.npz"
    fastnn.mlp([2, 1]).save(path)
    path.chmod(0o600)
    link.symlink_to("net.npz")
    net.save(link)
    assert link.is_symlink()
    assert_array_equal(fastnn.load(path).parameters, net.parameters)
    assert path.stat().st_mode & 0o777 == 0o600
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe cannot be written: it is no regular file"):
        net.save(tmp_path / "pipe")
    assert not (tmp_path / "pipe").is_file()


HEADERS = ["{'descr':'<f8','fortran_order':False,'shape':(17,)", "'" * 3, "{'descr': " + "(" * 90 + ")" * 90 + "}"]


@pytest.mark.parametrize("header", HEADERS)
def test_headers_of_arrays_that_are_no_python(path, header):
    text = header.encode() + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(136)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", array)
    with pytest.raises(ValueError, match="is no network file"):
        fastnn.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        fastnn.load(tmp_path / "missing.npz")


# Broken, foreign, hostile ----------------------------------------------------------------------------


def test_truncated_anywhere(net, path):
    net.save(path)
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        refuses(path)


def test_one_byte_changed_anywhere(net, path):
    net.save(path)
    data = path.read_bytes()
    refused = 0
    for at in range(0, len(data), 5):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        try:
            again = fastnn.load(path)
        except ValueError:
            refused += 1
        else:
            # Names, dates and the like; what counts stands under a check sum.
            assert_array_equal(again.parameters, net.parameters)
            assert repr(again) == repr(net)
    assert refused > len(data) / 10


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x93NUMPY\x01\x00", bytes(1000)],
    ids=["empty", "text", "start of a zip", "zip of nothing", "npy", "zeros"],
)
def test_not_a_zip_of_ours(path, content):
    path.write_bytes(content)
    refuses(path)


def test_foreign_archives(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refuses(path, "holds no header.npy")
    np.savez(path, weights=np.ones(3))
    refuses(path, "holds no header.npy")
    write(path, {"format": "something else", "version": 1}, np.ones(3))
    refuses(path, "header is not that of a network")
    write(path, good_header())
    refuses(path, "holds no parameters.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", "text")
        archive.writestr("parameters.npy", "text")
    refuses(path)


def test_encrypted_and_unknown_compression(net, path):
    net.save(path)
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    for at, value in ((8, 1), (10, 99)):  # flag "encrypted"; an unknown method
        first = data.index(b"PK\x01\x02")
        broken = bytearray(data)
        for start in (first, central):
            broken[start + at] = value
        path.write_bytes(broken)
        refuses(path)


@pytest.mark.parametrize("version", [2, 0, 99, "1", None, 1.5, [1]])
def test_other_versions(path, version):
    write(path, good_header(version=version), np.zeros(13))
    refuses(path, "version is .*; this fastnn reads version 1")


class Explosive:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


def test_pickles_are_not_run(path):
    write(path, good_header(), np.array([Explosive()] * 13, object))
    refuses(path)
    np.savez(path, header=np.array(Explosive(), object), parameters=np.zeros(13))
    refuses(path)


def npy(descr, shape, data=b""):
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about versions of the format
        np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def archive_of(path, header, parameters):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        text = json.dumps(header).encode()
        archive.writestr("header.npy", npy("|u1", (len(text),), text))
        archive.writestr("parameters.npy", parameters)


@pytest.mark.parametrize(
    "shape", [(10**12,), (2**62, 2**62), (0,), (-1,), (12,), (14,), (13, 1), (1, 13), ()], ids=str
)
def test_sizes_in_the_array_are_not_believed(path, shape):
    archive_of(path, good_header(), npy("<f8", shape, bytes(13 * 8)))
    refuses(path)


def test_zip_bombs(path):
    archive_of(path, good_header(), npy("<f8", (1 << 24,), bytes(8 << 24)))
    assert path.stat().st_size < 1 << 20
    refuses(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", npy("|u1", (1 << 27,), b" " * (1 << 27)))
    refuses(path)


@pytest.mark.parametrize(
    "layers",
    [
        [{"units": 10**9, "activation": "tanh"}],
        [{"units": 10**6, "activation": "tanh"}] * 2,
        [{"units": 10**6, "activation": "tanh"}] * 1000,
        [{"units": 10**30, "activation": "tanh"}],
        [{"units": 1, "activation": "tanh"}] * 10_000,
    ],
    ids=["wide", "quadratic", "many", "beyond 64 bits", "deep"],
)
def test_sizes_in_the_header_are_not_believed(path, layers):
    write(path, good_header(layers=layers), np.zeros(13))
    refuses(path)


@pytest.mark.parametrize(
    "parameters",
    [
        np.zeros(13, "f2"),
        np.zeros(13, "i8"),
        np.zeros(13, "c16"),
        np.zeros(13, "M8[s]"),
        np.zeros(13, "S8"),
        np.zeros(13, [("a", "f4"), ("b", "f4")]),
        np.zeros((13, 1)),
        np.zeros(12),
        np.zeros(14),
        np.zeros(0),
        np.full(13, np.nan),
        np.full(13, -np.inf, "f4"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}{array.flat[0] if array.size else ''}",
)
def test_wrong_parameters(path, parameters):
    write(path, good_header(), parameters)
    refuses(path)


@pytest.mark.parametrize("parameters", [np.arange(13, dtype=">f8"), np.arange(13, dtype=">f4")], ids=["f8", "f4"])
def test_parameters_of_another_byte_order(path, parameters):
    write(path, good_header(), parameters)
    net = fastnn.load(path)
    assert_array_equal(net.parameters, np.arange(13))
    assert net.dtype.isnative


LAYER = {"units": 3, "activation": "tanh", "initializer": None}
LAST = {"units": 1, "activation": "sigmoid", "initializer": None}


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": {}},
        {"layers": LAYER},
        {"layers": None},
        {"layers": "3 tanh"},
        {"layers": 3},
        {"layers": []},
        {"layers": [3, 1]},
        {"layers": [[LAYER], LAST]},
        {"layers": [None, LAST]},
        {"layers": [{}, LAST]},
        *[{"layers": [{**LAYER, "units": bad}, LAST]} for bad in ("3", -3, 0, 3.0, None, True, [3], {}, 1e300)],
        *[
            {"layers": [{**LAYER, "activation": bad}, LAST]}
            for bad in ("tan", None, 3, ["tanh"], {}, "", "softmax")
        ],
        *[{"layers": [{**LAYER, "kind": bad}, LAST]} for bad in ("convolution", None, 3, ["dense"], {}, "")],
        *[{"layers": [{**LAYER, "initializer": bad}, LAST]} for bad in ("he", True, ["zeros"], {}, "")],
        {"layers": [LAYER, {**LAST, "activation": "softmax"}]},
        *[{"inputs": bad} for bad in ("2", -2, 0, 2.0, None, True, [2], {}, 10**18)],
        *[{"seed": bad} for bad in ("0", -1, 0.5, None, True, [0], 2**63)],
        *[{"initializer": bad} for bad in ("he", True, ["zeros"], {}, "")],
        *[{"format": bad} for bad in (None, 3, ["fastnn network"], "Fastnn network")],
    ],
    ids=lambda changes: str(changes).replace(str(LAST), "last")[:70],
)
def test_header_with_wrong_fields(path, changes):
    write(path, good_header(**changes), np.zeros(13))
    refuses(path)


@pytest.mark.parametrize("missing", ["format", "version", "inputs", "seed", "layers"])
def test_header_with_missing_fields(path, missing):
    header = good_header()
    del header[missing]
    write(path, header, np.zeros(13))
    refuses(path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"3",
        b'"fastnn network"',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 100_000,
        b'{"format": "fastnn network", "version": 1, "inputs": ' + b"9" * 10_000 + b"}",
        json.dumps(good_header()).encode()[:-1],
        json.dumps(good_header(inputs=float("nan"))).encode(),
    ],
    ids=[
        "empty",
        "open",
        "null",
        "list",
        "number",
        "text",
        "no text",
        "deep list",
        "deep",
        "digits",
        "inputs",
        "cut",
        "NaN",
    ],
)
def test_header_that_is_no_json_of_ours(path, text):
    write(path, text, np.zeros(13))
    refuses(path)


def test_header_of_wrong_types(path):
    for header in (np.zeros((2, 3)), np.array("text"), np.array(3), np.zeros(0, np.uint8)):
        np.savez(path, header=header, parameters=np.zeros(13))
        refuses(path)


def test_largest_header_is_read(path):
    count = 2000 if JIT else 200
    net = fastnn.mlp([1] * count)
    net.save(path)
    assert len(fastnn.load(path).layers) == count - 1


@pytest.mark.parametrize("place", [3, None, [], object()])
def test_path_of_wrong_type(net, place):
    with pytest.raises(TypeError):
        net.save(place)
    if place != 3:  # a number is an open file to Python
        with pytest.raises(TypeError):
            fastnn.load(place)
