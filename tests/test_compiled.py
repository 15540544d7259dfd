"""What is compiled, when, how often, where it is kept, and what importing fastnn leaves alone."""

from __future__ import annotations

import gc
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import compiled, kernels
from fastnn.kernels.random import mix

PACKAGE = Path(fastnn.__file__).parent
KERNELS = Path(kernels.__path__[0])
FILES = sorted(path.relative_to(KERNELS).as_posix() for path in KERNELS.rglob("*.py"))

# Importing -------------------------------------------------------------------------------------------

IMPORT = """
import sys, json
import numba, numpy
from numba.core import event
before = set(sys.modules)
with event.install_recorder("numba:compile") as recorder:
    import fastnn
    found = len(recorder.buffer)
    names = {name.split(".")[0] for name in set(sys.modules) - before}
    numba.njit(lambda x: x + 1)(1)
    control = len(recorder.buffer)
print(json.dumps([found, control, sorted(names - set(sys.stdlib_module_names) - {"fastnn"})]))
"""


@pytest.mark.compiled
def test_import_compiles_nothing_and_loads_no_extra(run_python):
    found, control, modules = json.loads(run_python(IMPORT).stdout)
    assert found == 0
    assert control > 0  # the recorder does record
    assert set(modules) <= {"numba", "numpy", "llvmlite"}  # parts of them that were not loaded yet


STATE = """
import os, random, signal, sys, threading, warnings, locale
import numba, numpy as np

def state():
    config = {name: repr(getattr(numba.config, name)) for name in dir(numba.config) if name.isupper()}
    handlers = [signal.getsignal(s) for s in signal.valid_signals()]
    return [config, dict(os.environ), random.getstate(), repr(np.random.get_state()), list(warnings.filters),
            np.geterr(), np.get_printoptions(), handlers, threading.active_count(), list(sys.path), os.getcwd()]

before = state()
import fastnn
assert state() == before, "import"
net = fastnn.mlp([2, 3, 1])
net.fit(*fastnn.datasets.xor(), batch_size=2)
net.predict([[1, 2]])
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(1)  # the clock of the notice, which is stopped and about to end
after = state()
for one, other in zip(before, after, strict=True):
    assert one == other, (one, other)
"""


def test_import_and_fit_leave_the_process_as_it_was(run_python):
    run_python(STATE)


def test_import_loads_nothing_that_most_programs_do_not_need(run_python):
    """What it costs beside importing Numba is measured by ``python -m bench.compare start``."""
    later = {"checkpoints", "cli", "diagnosis", "ensemble", "many", "metrics", "reference", "schedules", "streams"}
    loaded = run_python("import sys, fastnn\nprint(*(n for n in sys.modules if n.startswith('fastnn.')))").stdout
    names = {name.split(".")[1] for name in loaded.split()}
    assert {"network", "training", "kernels"} <= names  # these are needed to make a network
    assert not names & later


# How often -------------------------------------------------------------------------------------------

MANY_KINDS = """
import json, pathlib, sys, tempfile
import numpy as np
import fastnn
from fastnn import compiled

def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a

def unaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)
    view = memory[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view

def mapped(a):
    path = pathlib.Path(tempfile.mkdtemp()) / "a.npy"
    np.save(path, a)
    return np.load(path, mmap_mode="r")

X, y = np.arange(10.0).reshape(5, 2), np.arange(5.0)
kinds = {
    "plain": np.array, "list": np.ndarray.tolist, "Fortran": np.asfortranarray, "reversed": lambda a: a[::-1],
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2], "big-endian": lambda a: a.astype(">f8"),
    "int": lambda a: a.astype(int), "bool": lambda a: a > 3, "half": lambda a: a.astype("f2"),
    "float32": lambda a: a.astype("f4"), "read-only": read_only,
    "read-only single": lambda a: read_only(a.astype("f4")), "unaligned": unaligned, "mapped": mapped,
    "subclass": lambda a: a.view(type("A", (np.ndarray,), {})),
}
found = {}
for dtype in sys.argv[1:]:
    for name, kind in kinds.items():
        for sizes in [2, 1], [2, 5, 4, 3, 1]:
            net = fastnn.mlp(sizes, activation="gelu", dtype=dtype)
            for batch_size in None, 2:
                for weights in None, kind(y):
                    net.fit(kind(X), kind(y), batch_size=batch_size, sample_weight=weights)
                    net.fit(fastnn.Dataset(kind(X), kind(y), weights), batch_size=batch_size)
            net.predict(kind(X))
            net.forward(kind(X))
            net.backward(kind(y))
            net.loss_and_gradient(kind(X), kind(y))
            fastnn.losses.mse(kind(X), kind(X))
        found[dtype, name] = compiled.train.specialisations, compiled.predict.specialisations
print(json.dumps([[*key, *count] for key, count in found.items()]))
"""


@pytest.mark.compiled
def test_one_specialisation_for_each_dtype(run_python):
    dtypes = ["float64", "float32"]
    for dtype, kind, *counts in json.loads(run_python(MANY_KINDS, *dtypes).stdout):
        # A loss of plain predictions is computed in float64.
        assert max(counts) <= 1 + dtypes.index(dtype), f"{dtype} {kind}: {counts}"


ALLOCATIONS = """
import json
import numba, numpy as np
from numba.core.runtime import rtsys
import fastnn
from fastnn import running

running.FIRST_CHUNK_OPERATIONS = 1e15  # all in one call
X, y = fastnn.datasets.circle(30)

def allocations(run):
    before = rtsys.get_allocation_stats()
    run()
    after = rtsys.get_allocation_stats()
    return after.alloc - before.alloc, after.mi_alloc - before.mi_alloc

@numba.njit
def control(n):
    return sum([np.zeros(3 + i)[0] for i in range(n)])

found = []
for dtype in "float64", "float32":
    for options in {}, {"batch_size": 7}, {"sample_weight": y + 1}, {"optimizer": fastnn.SGD(0.01, momentum=0.9)}:
        net = fastnn.mlp([2, 9, 3, 1], activation="gelu", dtype=dtype)
        net.fit(X, y, **options)
        found.append([allocations(lambda: net.fit(X, y, epochs=n, **options)) for n in (1, 20)])
control(1)
print(json.dumps([found, [allocations(lambda: control(n)) for n in (1, 20)]]))
"""


@pytest.mark.compiled
def test_an_epoch_allocates_nothing(run_python):
    found, control = json.loads(run_python(ALLOCATIONS, NUMBA_NRT_STATS="1").stdout)
    assert control[1] > control[0]  # allocations are counted
    for one_epoch, many in found:
        assert many == one_epoch


@pytest.mark.compiled
def test_kernel_refuses_to_be_called_from_python():
    with pytest.raises(TypeError, match="mix is a kernel: only compiled code can call it"):
        mix(np.uint64(1))


def test_compile_time_is_told_apart():
    net = fastnn.mlp([2, 3, 1])
    X, y = fastnn.datasets.xor()
    net.fit(X, y)
    assert net.fit(X, y).compile_seconds == 0.0  # ready by now


# The cache -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_every_kernel_source_is_part_of_the_key(tmp_path, monkeypatch, name):
    copy = tmp_path / "kernels"
    shutil.copytree(KERNELS, copy)
    monkeypatch.setattr(kernels, "__path__", [str(copy)])
    digest = compiled.digest_of_sources.__wrapped__
    before = digest()
    assert before == compiled.digest_of_sources()
    with (copy / name).open("a") as file:
        file.write("# edited\n")
    assert digest() != before


PREDICT = """
import sys, fastnn
from fastnn import compiled
net = fastnn.Sequential([fastnn.Dense(1, "leaky_relu", weights=[[1.0]])], inputs=1, dtype="float32")
X = [[-4.0], [-4.0]]  # more than one row, which would go another way
print(fastnn.__file__, net.predict(X)[0, 0], sum(compiled.predict._function.stats.cache_hits.values()))
"""


@pytest.mark.slow
@pytest.mark.compiled
def test_edited_kernel_is_compiled_anew(run_python, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(PACKAGE, root / "fastnn", ignore=shutil.ignore_patterns("__pycache__"))

    def predict():
        file, value, hits = run_python(PREDICT, root=root, NUMBA_CACHE_DIR=str(tmp_path / "cache")).stdout.split()
        assert file.startswith(str(root))
        return float(value), int(hits)

    assert predict() == (pytest.approx(-0.04), 0)
    assert predict() == (pytest.approx(-0.04), 1)
    path = root / "fastnn" / "kernels" / "activations.py"  # not the file of the entry function
    source = path.read_text(encoding="utf-8")
    edited = re.sub(r"^LEAKY_SLOPE = 0\.01$", "LEAKY_SLOPE = 0.5", source, flags=re.MULTILINE)
    assert edited != source
    path.write_text(edited, encoding="utf-8")
    assert predict() == (-2.0, 0)


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_collected_as_before_once_things_are_compiled(collects):
    def interrupted():
        with compiled.preparing("this", np.dtype("float64"), "long"):
            with compiled.preparing("that", np.dtype("float64"), "long"):
                assert not gc.isenabled()
            assert not gc.isenabled()
            raise KeyboardInterrupt

    try:
        if not collects:
            gc.disable()
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert gc.isenabled() == collects
    finally:
        gc.enable()


FIT = """
import json, warnings
import numpy as np
import fastnn
from fastnn import compiled
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    net = fastnn.mlp([2, 3, 1], dtype="float32")
    history = net.fit(*fastnn.datasets.xor(), epochs=2)
    net.fit(*fastnn.datasets.xor(), epochs=2)
stats = compiled.train._function.stats
print(json.dumps([history.compile_seconds, history.run_seconds, sum(stats.cache_hits.values()),
                  sum(stats.cache_misses.values()), [str(w.message) for w in caught]]))
"""


@pytest.mark.slow
@pytest.mark.compiled
def test_second_process_finds_the_first_ones_code(run_python, tmp_path):
    first, second = (run_python(FIT, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    compile_seconds, run_seconds, *counts = json.loads(first.stdout)
    assert counts == [0, 1, []]
    assert compile_seconds > 10 * run_seconds
    # A line for each thing that is compiled, and not on stdout.
    notice = r"fastnn: compiling (.*) for float32; this takes .*once on this machine \(the result is kept .*"
    told = [re.fullmatch(notice, line)[1] for line in first.stderr.splitlines()]
    assert len(set(told)) == len(told)
    assert "the training loop" in told
    used = {"elementwise activation sigmoid", "elementwise activation identity", "optimizer sgd"}
    assert {part for part in told if "activation" in part or "optimizer" in part} <= used

    again_seconds, _, *counts = json.loads(second.stdout)
    assert counts == [1, 0, []]
    assert again_seconds < compile_seconds / 2
    assert second.stderr == ""


@pytest.mark.slow
@pytest.mark.compiled
def test_without_a_folder_for_the_cache_it_works_with_one_warning(run_python, tmp_path):
    # Root may write to every folder, but not into what is no folder.
    shutil.copytree(PACKAGE, tmp_path / "fastnn", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "fastnn" / "__pycache__").write_text("no folder")
    nowhere = dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME"), "/dev/null/x")
    finished = run_python(FIT, root=tmp_path, PYTHONDONTWRITEBYTECODE="1", **nowhere)
    *_, warnings = json.loads(finished.stdout)
    assert len(warnings) == 1
    assert re.match(
        r"fastnn cannot keep compiled code on disk \(.*NUMBA_CACHE_DIR names a folder to use", warnings[0]
    )


NO_LOCATOR = (
    """
from numba.core import caching
caching.CacheImpl._locator_classes = []
"""
    + FIT
)


@pytest.mark.slow
@pytest.mark.compiled
def test_in_a_zip_or_without_a_home_it_works_with_one_warning(run_python):
    *_, warnings = json.loads(run_python(NO_LOCATOR).stdout)
    assert len(warnings) == 1
    assert "fastnn cannot keep compiled code on disk" in warnings[0]


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_with_damaged_files_it_works_with_one_warning(run_python, tmp_path, kind):
    run_python(FIT, NUMBA_CACHE_DIR=str(tmp_path))
    damaged = list(tmp_path.rglob(f"*.{kind}"))
    assert damaged
    for file in damaged:
        file.write_bytes(file.read_bytes()[:-20])
    *_, warnings = json.loads(run_python(FIT, NUMBA_CACHE_DIR=str(tmp_path)).stdout)
    assert len(warnings) == 1
    assert "fastnn cannot keep compiled code on disk (what is there is damaged: " in warnings[0]


def test_ctrl_c_that_the_compiler_loses_is_not_lost():
    def make(**cache):
        raise RuntimeError("no compiled object yet for <Library 'part' at 0x7f3d20259890>")

    with pytest.raises(KeyboardInterrupt):
        compiled.kept_on_disk(make)


FULL_DISK = (
    """
from numba.core import caching
def fail(*arguments):
    raise OSError(28, "No space left on device")
caching.IndexDataCacheFile.save = fail
"""
    + FIT
)


@pytest.mark.slow
@pytest.mark.compiled
def test_on_a_full_disk_it_works_with_one_warning(run_python, tmp_path):
    *_, warnings = json.loads(run_python(FULL_DISK, NUMBA_CACHE_DIR=str(tmp_path)).stdout)
    assert len(warnings) == 1
    assert "No space left on device" in warnings[0]
