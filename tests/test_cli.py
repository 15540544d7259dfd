"""The command line: what it prints, what it says of mistakes, and with which status it ends."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import zipfile
from multiprocessing import active_children

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn
from fastnn import compiled, schedules, splits
from fastnn.activations import ACTIVATIONS
from fastnn.cli import learning, main, model, scaling, table, train, warmup
from fastnn.cli.picture import picture
from fastnn.cli.words import count, duration, significant, some
from fastnn.dataset import Rows
from fastnn.initializers import INITIALIZERS
from fastnn.loss_kinds import LOSSES
from fastnn.metrics import METRICS
from fastnn.optimizers import OPTIMIZERS

FLOWERS = """\
width,height,species,name
1,1,iris,a
1,2,iris,b
5,1,rose,c
5,2,rose,d
1,8,lily,e
2,8,lily,f
"""
HOUSES = "area,rooms,price\n50,2,100.5\n80,3,160\n100,4,200.25\n120,4,240\n60,2,121\n"


@pytest.fixture(scope="module", autouse=True)
def _compiled_before():
    """What is compiled at the first use would be told on stderr, whichever test comes first."""
    for dtype in ("float64", "float32"):
        net = fastnn.mlp([1, 1], dtype=dtype)
        net.fit([[0.0]], [0.0])
        net.predict([[0.0]])


@pytest.fixture
def run(capsys):
    """A function that runs the program: (exit status, stdout, stderr). Texts are split at blanks, paths not."""

    def run_program(*given):
        arguments = [word for one in given for word in (one.split() if isinstance(one, str) else [str(one)])]
        try:
            status = main(arguments)
        except SystemExit as leaving:  # argparse's way
            status = leaving.code
        out, err = capsys.readouterr()
        # Whichever test is the first to use a part may have to wait until it is compiled, and is told so.
        return status, out, re.sub(r"fastnn: compiling .*\n", "", err)

    return run_program


@pytest.fixture
def file(tmp_path):
    """A function that writes a text file."""

    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def pandas():
    """For tests of tables."""
    return pytest.importorskip("pandas")


def program(*arguments, **settings):
    """The program in a process of its own, to be waited for."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "fastnn", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **settings,
    )


# The circle


@pytest.mark.compiled
def test_the_circle_is_trained_as_in_the_textbook_and_drawn(run):
    status, out, err = run("train", "circle")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Circle    density 10: 121 grid points, 21 of them inside"
    assert "2 inputs > 4 sigmoid > 1 sigmoid, 17 parameters, float64" in lines[1]
    assert "2,000 epochs of batch gradient descent, SGD(10.0), loss mse" in lines[2]
    log = [line for line in lines if re.fullmatch(r"\d+ \d\.\d{4}", line)]
    assert [int(line.split()[0]) for line in log] == [1, *range(100, 2001, 100)]
    assert {"1 0.2919", "100 0.1420", "200 0.0663", "500 0.0202", "1000 0.0103", "2000 0.0035"} <= set(log)
    assert "Accuracy  100.0 % of the grid points" in out
    assert max(map(len, lines)) <= 79


def test_options_of_the_circle_reach_the_training(run):
    status, out, err = run(
        "train circle --density 2 --hidden 3,4 --hidden 5 --activation tanh --output sigmoid --dtype float32 "
        "--loss binary_cross_entropy --initializer zeros --epochs 2 --batch-size 9 --learning-rate 0.5 --seed 3 "
        "--momentum 0.9 --nesterov --log-every 1"
    )
    assert (status, err) == (0, "")
    out = out.replace("\n          ", " ")  # where a line was too long
    assert "density 2: 9 grid points, 1 of them inside" in out
    assert "2 inputs > 3 tanh > 4 tanh > 5 tanh > 1 sigmoid, 56 parameters, float32, seed 3" in out
    assert "mini-batches of 9 rows, SGD(0.5, momentum=0.9, nesterov=True), loss binary_cross_entropy" in out
    assert "\n1 0.6931\n" in out  # log 2: zeros predict one half
    assert "\n2 " in out


def test_no_hidden_layer_and_stochastic(run):
    status, out, _ = run("train circle --density 2 --hidden 0 --batch-size 1 --epochs 1")
    assert status == 0
    assert "2 inputs > 1 sigmoid, 3 parameters" in out
    assert "1 epoch of stochastic gradient descent" in out


def test_a_saved_circle_is_the_trained_network(run, tmp_path):
    path = tmp_path / "circle.npz"
    status, out, _ = run("train", "circle", "--epochs", 5, "--save", path)
    assert status == 0
    assert out.endswith(f"Saved to {path}\n")
    expected = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform")
    expected.fit(*fastnn.datasets.circle(density=10), epochs=5, optimizer=fastnn.SGD(10.0))
    assert_allclose(fastnn.load(path).parameters, expected.parameters, rtol=0)
    assert os.listdir(tmp_path) == ["circle.npz"]


def test_divergence_is_told_in_a_sentence_and_nothing_is_saved(run, tmp_path):
    options = "train circle --density 3 --output identity --learning-rate 1e308 --save"
    status, out, err = run(options, tmp_path / "circle.npz")
    assert status == 1
    assert err.startswith("fastnn: the loss was no longer finite after epoch")
    assert "Try a smaller learning rate than 1e+308" in err
    assert "was not written, since training diverged" in err
    assert "Accuracy" not in out
    assert not list(tmp_path.iterdir())


# How it learns


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_trains_with_its_own_learning_rate(run, name):
    status, out, err = run("train circle --density 3 --epochs 2 --optimizer", name)
    assert (status, err) == (0, "")
    shown = "SGD(10.0)" if name == "sgd" else repr(OPTIMIZERS[name]())
    assert f", {shown}, loss mse" in out


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("--optimizer adam --learning-rate 0.01", "of full batches, Adam(0.01), loss"),
        ("--optimizer adam --batch-size 1", "of single rows, Adam(0.001), loss"),
        ("--optimizer adam --batch-size 5", "of mini-batches of 5 rows, Adam(0.001), loss"),
        ("--optimizer rmsprop --momentum 0.5", "RMSprop(0.01, momentum=0.5)"),
        ("--momentum 0.5 --nesterov", "SGD(10.0, momentum=0.5, nesterov=True)"),
        ("--schedule cosine", "SGD(CosineDecay(10, epochs=21, final=0.0))"),
        ("--schedule step", "SGD(StepDecay(10, factor=0.1, every=7))"),
        ("--schedule cosine_restarts", "SGD(CosineRestarts(10, epochs=3, growth=2.0, decay=1.0, final=0.0))"),
        ("--schedule one_cycle --optimizer adam --learning-rate 0.1", "Adam(OneCycle(0.1, epochs=21, "),
        ("--schedule warm_up", "SGD(WarmUp(10, epochs=3))"),
        ("--schedule plateau", "SGD(ReduceOnPlateau(10, factor=0.1, patience=2, "),
        ("--l1 0.001 --l2 0.01", "loss mse, l1 0.001, l2 0.01"),
        ("--dropout 0.25 --hidden 3,3", "3 sigmoid > Dropout(0.25) > 3 sigmoid > Dropout(0.25) > 1 sigmoid"),
        ("--class-weight balanced --loss binary_cross_entropy", "loss binary_cross_entropy, classes balanced"),
        ("--validation-split 0.3", "Aside     30 % of the rows, for validation"),
    ],
)
def test_how_it_learns_is_said(run, arguments, shown):
    status, out, err = run("train circle --density 3 --epochs 21", arguments)
    assert (status, err) == (0, "")
    assert shown in out.replace("\n          ", " ")
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("name", train.SCHEDULES.split(", "))
def test_schedules_change_the_rate(name):
    X, y = fastnn.datasets.circle(3)
    net = fastnn.mlp([2, 4, 1], output="sigmoid")
    rates = net.fit(X, y, epochs=70, optimizer=fastnn.SGD(learning.schedule(name, 1e-9, 70))).learning_rate
    assert len(set(rates)) > 1
    assert rates.max() <= 1e-9 * (1 + 1e-12)


def test_options_reach_the_fit(run, tmp_path):
    """What the program trains is what the library trains with the same arguments."""
    saved = tmp_path / "net.npz"
    status, _, err = run(
        "train circle --density 5 --hidden 6 --epochs 30 --optimizer adam --learning-rate 0.02 --batch-size 8 "
        "--l1 0.0001 --l2 0.001 --dropout 0.1 --validation-split 0.25 --schedule exponential "
        "--loss binary_cross_entropy --class-weight balanced --patience 3 --seed 4 --save",
        saved,
    )
    assert (status, err) == (0, "")
    expected = fastnn.mlp(
        [2, 6, 1], output="sigmoid", initializer="uniform", seed=4, l1=0.0001, l2=0.001, dropout=0.1
    )
    expected.fit(
        *fastnn.datasets.circle(5),
        epochs=30,
        batch_size=8,
        optimizer=fastnn.Adam(schedules.ExponentialDecay(0.02, factor=0.01 ** (1 / 30))),
        loss="binary_cross_entropy",
        class_weight="balanced",
        validation_split=0.25,
        early_stopping=fastnn.EarlyStopping(patience=3),
    )
    loaded = fastnn.load(saved)
    assert_allclose(loaded.parameters, expected.parameters, rtol=0)
    assert (loaded.l1, loaded.l2, loaded.layers[1].rate) == (0.0001, 0.001, 0.1)


def test_metrics_and_losses_of_both_kinds_of_rows_are_told(run):
    status, out, err = run(
        "train circle --density 5 --epochs 40 --validation-split 0.3 --metric accuracy --metric auc "
        "--metric confusion_matrix"
    )
    assert (status, err) == (0, "")
    net = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform")
    history = net.fit(
        *fastnn.datasets.circle(5),
        epochs=40,
        optimizer=fastnn.SGD(10.0),
        validation_split=0.3,
        metrics=["accuracy", "auc", "confusion_matrix"],
    )
    assert f"Losses    {history.loss[-1]:.4f}, and {history.val_loss[-1]:.4f} of the rows aside" in out
    told = [f"{name} {history.metrics[name][-1]:.4f}" for name in ("accuracy", "auc", "val_accuracy", "val_auc")]
    assert f"Metrics   {', '.join(told)}\n" in out
    matrix = history.metrics["val_confusion_matrix"][-1].astype(int)
    found = re.search(r"\nval_confusion_matrix +(\d+) +(\d+)\n +(\d+) +(\d+)\n", out)
    assert [int(number) for number in found.groups()] == matrix.ravel().tolist()


def test_patience_ends_it_early(run):
    status, out, err = run(
        "train circle --density 5 --epochs 5000 --optimizer adam --validation-split 0.3 --patience 5"
    )
    assert (status, err) == (0, "")
    found = re.search(
        r"Stopped   after ([\d,]+) epochs, since nothing got better; it has the .* epoch ([\d,]+) again", out
    )
    stopped, best = (int(number.replace(",", "")) for number in found.groups())
    assert stopped == best + 5 < 5000


def test_convergence_is_told(run):
    status, out, _ = run("train circle --density 3 --epochs 3000 --optimizer lbfgs")
    assert status == 0
    assert re.search(r"\nConverged after [\d,]+ epochs\n", out)


def test_a_diagnosis_is_printed_in_the_end(run):
    status, out, err = run("train circle --diagnose")
    assert (status, err) == (0, "")
    told = out.split("\nDiagnosis\n")[1]
    assert told.startswith("layer  ")
    assert told.endswith("\n- nothing found\n")
    status, out, err = run("train circle --initializer zeros --epochs 20 --diagnose")
    assert "- all 4 units of layers[0] have the same weights, so they learn the same and" in out


def test_a_diagnosis_tells_why_it_diverged(run):
    status, out, err = run("train circle --density 3 --output identity --learning-rate 1e308 --diagnose")
    assert status == 1
    assert "the loss was no longer finite after epoch" in err
    assert "- the fit diverged after epoch" in out


def test_a_diagnosis_names_columns_of_a_table(pandas, run, file):
    status, out, _ = run("train", file(HOUSES), "--target price --epochs 3 --no-scale --diagnose")
    assert status == 0
    assert "inputs are unscaled: 'area' has mean 82 and deviation 25.6" in out.replace("\n  ", " ")


def test_focal_loss_of_several_classes(pandas, run, file, tmp_path):
    saved = tmp_path / "net.npz"
    options = "--target species --ignore name --epochs 200 --learning-rate 0.5 --loss focal --save"
    status, out, err = run("train", file(FLOWERS), options, saved)
    assert (status, err) == (0, "")
    assert "> 3 softmax" in out
    assert "Accuracy  100.0 % of the rows" in out
    assert run("predict", saved, file("height,width\n1,5\n8,1\n", "new.csv"))[1] == "species\nrose\nlily\n"
    text = "x,sold\n1,True\n2,True\n8,False\n9,False\n"
    assert "> 1 sigmoid" in run("train", file(text), "--target sold --epochs 2 --loss focal")[1]


@pytest.mark.parametrize(
    ("loss", "output"),
    [("poisson", "exponential"), ("gamma", "exponential"), ("huber", "identity"), ("hinge", "identity")],
)
def test_losses_bring_the_outputs_that_suit_them(pandas, run, file, loss, output):
    text = file("x,t\n1,1\n2,1\n3,0\n") if loss == "hinge" else file(HOUSES.replace("price", "t"))
    status, out, err = run("train", text, "--target t --epochs 2 --loss", loss)
    assert (status, err) == (0, "")
    assert f"> 1 {output}" in out
    assert ("inputs and target" in out) == (loss == "huber")


# Pictures


def test_a_picture_of_the_unit_disc_is_round(monkeypatch):
    drawn = picture(lambda points: (points**2).sum(axis=1) < 1, plain=True).splitlines()
    inside = np.array([[character == "@" for character in line[5:-1]] for line in drawn[1:-2]])
    assert inside.shape == (24, 48)
    width, height = inside.any(axis=0).sum(), inside.any(axis=1).sum()
    assert (width, height) == (24, 12)  # half of the square each; a character is twice as high as wide
    assert np.array_equal(inside, inside[::-1])
    assert np.array_equal(inside, inside[:, ::-1])


def test_a_picture_has_x_to_the_right_and_y_up():
    drawn = picture(lambda points: (points > 0).all(axis=1), plain=True).splitlines()
    full = [i for i, line in enumerate(drawn) if "@" in line]
    assert full == list(range(1, 13))
    assert all(line.rstrip("|").endswith("@" * 24) for line in drawn[1:13])
    assert drawn[0].startswith("  2 +")
    assert drawn[25].startswith(" -2 +")
    assert drawn[26].split() == ["-2", "0", "2"]


def test_shades_go_from_0_to_1_and_what_is_outside_is_cut():
    values = np.linspace(-1, 2, 48 * 24)
    drawn = "".join(line[5:-1] for line in picture(lambda points: values, plain=True).splitlines()[1:-2])
    assert list(dict.fromkeys(drawn)) == list(" .:-=+*#%@")


@pytest.mark.parametrize(("encoding", "plain"), [("ascii", True), ("latin-1", True), ("utf-8", False)])
def test_a_picture_takes_what_stdout_can_show(monkeypatch, encoding, plain):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    drawn = picture(lambda points: points[:, 0])
    assert drawn.isascii() == plain


# Tables


def test_classes_are_learnt_saved_and_predicted(pandas, run, file, tmp_path):
    flowers, saved, out_file = file(FLOWERS), tmp_path / "flowers.npz", tmp_path / "out.csv"
    options = "--target species --ignore name --epochs 60 --learning-rate 0.5 --save"
    status, out, err = run("train", flowers, options, saved)
    assert (status, err) == (0, "")
    assert "6 rows, 2 inputs (width, height)" in out
    assert "Target    species: 3 classes (iris, lily, rose)" in out
    assert "2 inputs > 16 tanh > 3 softmax" in out
    assert "loss cross_entropy" in out
    assert "Accuracy  100.0 % of the rows it was trained on" in out

    # Other columns around them, in another order, without the target.
    new = file("height,weight,width\n1,7,5\n8,7,1\n", "new.csv")
    assert run("predict", saved, new) == (0, "species\nrose\nlily\n", "")
    status, out, _ = run("predict", saved, new, "--output", out_file)
    assert (status, out) == (0, f"2 predictions written to {out_file}\n")
    assert out_file.read_text() == "species\nrose\nlily\n"
    # With the target, the predictions are judged, on stderr.
    status, out, err = run("predict", saved, file("height,width,species\n1,5,rose\n8,1,tulip\n", "judged.csv"))
    assert out == "species\nrose\nlily\n"
    assert err.startswith("Accuracy  50.0 % of the rows of")


def test_two_classes_have_one_output(pandas, run, file, tmp_path):
    text = "x,sold\n1,True\n2,True\n8,False\n9,False\n"
    status, out, _ = run("train", file(text), "--target sold --epochs 50 --save", tmp_path / "net.npz")
    assert status == 0
    assert "2 classes (False, True)" in out
    assert "1 sigmoid" in out
    assert "loss binary_cross_entropy" in out
    assert run("predict", tmp_path / "net.npz", file("x\n0\n10\n"))[1] == "sold\nTrue\nFalse\n"


@pytest.mark.parametrize("scale", ["--scale", "--no-scale"])
def test_numbers_are_learnt_saved_and_predicted(pandas, run, file, tmp_path, scale):
    saved = tmp_path / "houses.npz"
    options = ["--target", "price", "--epochs", 40, "--learning-rate", 0.01, "--hidden", "4", scale, "--save"]
    status, out, err = run("train", file(HOUSES), *options, saved)
    assert (status, err) == (0, "")
    assert "Target    price: numbers from 100.5 to 240" in out
    assert "1 identity" in out
    assert "loss mse" in out
    assert ("Scaling   inputs and target" in out) == (scale == "--scale")
    assert re.search(r"Error     [\d.]+, root of the mean square .*% of the variance is explained", out)
    # The file takes the columns as they are, in Python too.
    status, printed, err = run("predict", saved, file(HOUSES))
    rows = np.array([[50, 2], [80, 3], [100, 4], [120, 4], [60, 2]])
    assert_allclose([float(line) for line in printed.split()[1:]], fastnn.load(saved).predict(rows)[:, 0])
    assert err.split(",")[0] == re.search("Error .*", out)[0].split(",")[0]


@pytest.mark.parametrize("hidden", [[], [5]])
def test_folded_scales_change_no_prediction(rng, hidden):
    rows, y = rng.normal([1e3, -2.0, 7.0], [10.0, 1e-3, 0.0], (20, 3)), rng.normal(500.0, 40.0, 20)
    of_inputs, of_target = (scaling.Scale(values, np.dtype(np.float64)) for values in (rows, y))
    scaled = of_inputs.scaled(rows)
    assert_allclose(scaled.mean(axis=0), 0, atol=1e-10)
    assert_allclose(scaled.std(axis=0), [1, 1, 0], rtol=1e-10)
    net = fastnn.mlp([3, *hidden, 1], seed=4)
    expected = net.predict(scaled)[:, 0] * y.std() + y.mean()
    scaling.fold_inputs(net, of_inputs)
    scaling.fold_outputs(net, of_target)
    assert_allclose(net.predict(rows)[:, 0], expected, rtol=1e-11)


def test_a_constant_column_says_nothing_later_either(pandas, run, file, tmp_path):
    table_ = file("x,same,y\n1,4.1,1.5\n2,4.1,2.5\n3,4.1,3\n")
    run("train", table_, "--target y --epochs 3 --save", tmp_path / "net.npz")
    net = fastnn.load(tmp_path / "net.npz")
    assert_allclose(net.predict([[2, 4.1]]), net.predict([[2, 99.0]]), rtol=0)


def test_the_target_and_the_options_decide_what_is_trained(pandas, run, file):
    rows = [f"{i},{i / 7},{i % 3},{i // 2}" for i in range(50)]
    numbers = file("x,real,few,many\n" + "\n".join(rows) + "\n")

    def trained(*options):
        status, out, err = run("train", numbers, "--epochs", 1, *options)
        assert (status, err) == (0, "")
        return re.search(r"> (\d+ \w+),", out)[1], re.search(r"loss (\w+)", out)[1]

    assert trained("--target", "real") == ("1 identity", "mse")
    assert trained("--target", "many") == ("1 identity", "mse")
    assert trained("--target", "few") == ("3 softmax", "cross_entropy")
    assert trained("--target", "few", "--loss", "mae") == ("1 identity", "mae")
    assert trained("--target", "few", "--output", "tanh") == ("1 tanh", "mse")
    assert trained("--target", "few", "--output", "sigmoid") == ("3 sigmoid", "cross_entropy")
    assert trained("--target", "real", "--output", "sigmoid") == ("1 sigmoid", "mse")
    assert trained("--target", "many", "--output", "softmax", "--no-scale") == ("25 softmax", "cross_entropy")


def test_tabs_and_other_separators(pandas, run, file):
    tabs, semicolons = file("a\tb\n1\t2.5\n2\t3.5\n", "table.tsv"), file("a;b\n1;2.5\n2;3.5\n")
    assert run("train", tabs, "--target", "b", "--epochs", 1)[0] == 0
    assert run("train", semicolons, "--target", "b", "--epochs", 1, "--separator", ";")[0] == 0


@pytest.mark.slow
def test_letters_that_stdout_cannot_show_are_escaped(pandas, file):
    text = "größe,art\n1,ä\n9,b\n1,ä\n8,b\n"
    arguments = ["train", str(file(text)), "--target", "art", "--epochs", "2"]
    with program(*arguments, env={**os.environ, "PYTHONIOENCODING": "ascii"}) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "1 input (gr\\xf6\\xdfe)" in out


def test_a_network_without_names_takes_all_columns(pandas, run, file, tmp_path):
    net = fastnn.mlp([2, 3, 2], dtype="float32")
    net.save(tmp_path / "net.npz")
    status, out, err = run("predict", tmp_path / "net.npz", file("p,q\n1,2\n3,4\n"))
    assert (status, err) == (0, "")
    header, *rows = out.splitlines()
    assert header == "output 1,output 2"
    assert_allclose([[float(cell) for cell in row.split(",")] for row in rows], net.predict([[1, 2], [3, 4]]))
    status, _, err = run("predict", tmp_path / "net.npz", file("p\n1\n"))
    assert status == 2
    assert "has 2 inputs without names, and" in err
    assert "has 1 column;" in err


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({"columns": ["a"], "target": "t", "classes": None}).encode(),
        json.dumps({"columns": ["a", 1], "target": "t", "classes": None}).encode(),
        json.dumps({"columns": ["a", "b"], "target": None, "classes": None}).encode(),
        json.dumps({"columns": ["a", "b"], "target": "t", "classes": ["x"]}).encode(),
        json.dumps({"columns": ["a", "b"], "target": "t", "classes": ["x", "y", "z"]}).encode(),
    ],
)
def test_names_that_do_not_belong_to_the_network_are_refused(run, tmp_path, member):
    path = tmp_path / "net.npz"
    fastnn.mlp([2, 1]).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(model.MEMBER, member)
    status, _, err = run("predict", path, "any.csv")
    assert status == 2
    assert "the names of its table do not belong to it" in err


def in_a_shell(line, status):
    """stderr of a line in which $FASTNN is the program, without what is told of compiling."""
    found = subprocess.run(
        ["bash", "-c", line],
        # With output that is held back, as it is by default: the last of it is written when Python ends.
        env={**os.environ, "FASTNN": f"{sys.executable} -W error -m fastnn", "PYTHONUNBUFFERED": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == status
    return re.sub(r"fastnn: compiling .*\n", "", found.stderr)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("output", "status", "said"),
    [
        ("| head -1; exit ${PIPESTATUS[0]}", 141, ""),
        ("> /dev/full", 2, "fastnn: [Errno 28] No space left on device\n"),
        (">&-", 0, ""),
    ],
    ids=["closed", "full", "none"],
)
def test_the_network_is_saved_whoever_reads_the_output(tmp_path, output, status, said):
    path = tmp_path / "net.npz"
    # More lines than a pipe takes when nobody reads.
    line = f"$FASTNN train circle --epochs 8000 --log-every 1 --save {path} {output}"
    assert in_a_shell(line, status) == said
    assert fastnn.load(path).inputs == 2


def test_names_that_look_like_those_of_repeated_columns(pandas, tmp_path):
    path = tmp_path / "spectra.csv"
    path.write_text(",400.1,400.2,,y\n0,1,2,3,4\n1,2,3,4,5\n")  # as a frame with an index is written
    assert table.Table(str(path)).columns == ["Unnamed: 0", "400.1", "400.2", "Unnamed: 3", "y"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_a_pipe_is_read_once(pandas, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("a,b.1\n1,2\n3,4\n",), daemon=True)
    writer.start()
    assert table.Table(str(path)).columns == ["a", "b.1"]
    writer.join(10)


def test_without_stdout(tmp_path, pandas):
    assert in_a_shell("$FASTNN train circle --epochs 3 >&-", 0) == ""
    net, rows = tmp_path / "net.npz", tmp_path / "rows.csv"
    rows.write_text("a,b\n1,2\n")
    fastnn.mlp([2, 1]).save(net)
    assert "there is no stdout" in in_a_shell(f"$FASTNN predict {net} {rows} >&-", 2)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("twice.csv", b"a, a,t\n1,2,.5\n2,4,1\n", "has more than one column 'a'"),
        ("twice.csv", b"a,t, t\n1,2,.5\n2,4,1\n", "has more than one column 't'"),
        ("twice.csv", b"a,t,t\n1,2,.5\n2,4,1\n", "has more than one column 't'"),
        ("twice.csv", b'"a",a,t,a.1\n1,2,.5,3\n2,4,1,3\n', "has more than one column 'a'"),
        ("cut.csv.gz", gzip.compress(b"a,t\n1,2\n" * 100)[:30], "is broken: it could not be unpacked"),
        ("text.csv.zip", b"a,t\n1,2\n", "is broken: it could not be unpacked"),
        ("text.csv.xz", b"a,t\n1,2\n", "is broken: it could not be unpacked"),
        ("great.csv", b"a,t\n1" + b"0" * 400 + b",.5\n2,1\n", "numbers too large for float64"),
    ],
    ids=["inputs alike", "target alike", "target twice", "input twice", "cut", "no zip", "no xz", "great numbers"],
)
def test_tables_that_cannot_be_read(run, pandas, file, name, content, match):
    status, out, err = run("train", file(content, name), "--target t")
    assert (status, out) == (2, "")
    assert re.fullmatch(rf"fastnn: .*{match}.*\n", err)


def test_separators(run, pandas, file):
    path = file("a\tt\n1\t.5\n2\t1\n")
    assert run("train", path, "--target t --epochs 1 --separator", r"\t")[0] == 0
    assert "a single character, or \\t for a tab, is needed" in run("train", path, "--target t --separator ||")[2]


def test_files_that_are_read_are_not_written(run, pandas, file, tmp_path):
    path, net = file("a,t\n1,.5\n2,1\n"), tmp_path / "net.npz"
    assert run("train", path, "--target t --epochs 1 --save", net)[0] == 0
    before = path.read_bytes(), net.read_bytes()
    for *words, option, name in (
        ("train", path, "--target t", "--save", path),
        ("predict", net, path, "--output", path),
        ("predict", net, path, "--output", net),
    ):
        status, _, err = run(*words, option, name)
        assert (status, err) == (2, f"fastnn: {option} {name} is a file that is read; it would be overwritten\n")
    assert (path.read_bytes(), net.read_bytes()) == before


def test_a_first_row_is_not_taken_for_names(run, pandas, file, tmp_path):
    fastnn.mlp([2, 1]).save(tmp_path / "net.npz")
    status, out, err = run("predict", tmp_path / "net.npz", file("1,2\n3,4\n"))
    assert (status, out) == (2, "")
    assert "the first line of" in err


def test_a_target_that_is_no_number_does_not_matter_to_predictions(run, pandas, file, tmp_path):
    net = tmp_path / "net.npz"
    assert run("train", file("a,t\n1,.5\n2,1\n"), "--target t --epochs 1 --save", net)[0] == 0
    status, out, err = run("predict", net, file("a,t\n1,foo\n2,1\n"))
    assert (status, out.count("\n")) == (0, 3)
    assert "how good that is cannot be told: column 't'" in err


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_digits_that_scaling_hid_are_remarked_on(run, pandas, file, rng, dtype):
    x = rng.normal(size=50)
    rows = "".join(f"{a},{1e9 + a}\n" for a in x.tolist())
    status, _, err = run("train", file("a,t\n" + rows), "--target t --epochs 3 --dtype", dtype)
    assert status == 0
    assert (f"{dtype} has too few digits for these columns" in err) == (dtype == "float32")


def test_names_whose_compression_is_broken_are_refused(run, tmp_path):
    path = tmp_path / "net.npz"
    fastnn.mlp([2, 1]).save(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr(model.MEMBER, b"{" * 1000)
        at = archive.getinfo(model.MEMBER).header_offset
    content = bytearray(path.read_bytes())
    begin = at + 30 + len(model.MEMBER) + 9  # behind the member's header and that of its compression
    content[begin : begin + 8] = b"\xff" * 8
    path.write_bytes(content)
    status, _, err = run("predict", path, "any.csv")
    assert status == 2
    assert "the names of its table do not belong to it" in err


def test_without_pandas_the_extra_is_named(run, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    status, out, err = run("train", file(HOUSES), "--target", "price")
    assert (status, out) == (2, "")
    assert err == "fastnn: reading tables needs pandas, which is not there; pip install 'fastnn-jit[cli]'\n"


def test_a_circle_needs_no_pandas(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert run("train", "circle", "--epochs", 1)[0] == 0


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "COMMAND"),
        ("trian circle", "'trian'"),
        ("train", "DATA"),
        ("train circle --hiden 3", "there is no --hiden"),
        ("train circle --epoch 3", "there is no --epoch"),
        ("train circle --density x", "--density: 'x' is no whole number"),
        ("train circle --density 1.5", "--density: '1.5' is no whole number"),
        ("train circle --density 0", "density is 0; a whole number from 1"),
        ("train circle --density 10001", "density is 10001; a whole number from 1"),
        ("train circle --hidden 4,x", "--hidden: '4,x' is no whole number"),
        ("train circle --hidden -4", "sizes[1] is -4"),
        ("train circle --epochs 0", "--epochs: 0 is too small"),
        ("train circle --log-every 0", "--log-every: 0 is too small"),
        ("train circle --batch-size q", "--batch-size: 'q' is no whole number"),
        ("train circle --batch-size 0", "--batch-size: 0 is too small"),
        ("train circle --learning-rate fast", "--learning-rate: 'fast' is no number"),
        ("train circle --learning-rate nan", "learning_rate is nan; a finite number above 0"),
        ("train circle --learning-rate -1", "learning_rate is -1.0; a finite number above 0"),
        ("train circle --momentum 1", "momentum is 1.0"),
        ("train circle --nesterov", "needs a momentum above 0"),
        ("train circle --optimizer adamx", "optimizer is 'adamx'; known are sgd, adagrad"),
        ("train circle --optimizer adam --momentum 0.5", "--momentum is for sgd and rmsprop; adam has none"),
        ("train circle --optimizer rmsprop --nesterov", "--nesterov is for sgd; rmsprop has none"),
        ("train circle --optimizer lbfgs --learning-rate 1", "--learning-rate is not for lbfgs, which finds"),
        ("train circle --optimizer lbfgs --schedule step", "--schedule is not for lbfgs, which finds"),
        ("train circle --optimizer rprop --schedule step", "--schedule is not for rprop"),
        ("train circle --schedule linear", "schedule is 'linear'; known are step, exponential"),
        ("train circle --schedule step --learning-rate 0", "learning_rate is 0.0; a finite number above 0"),
        ("train circle --l1 -1", "l1 is -1.0; a finite number at least 0"),
        ("train circle --l2 nan", "l2 is nan; a finite number at least 0"),
        ("train circle --dropout 1", "dropout is 1.0; a finite number at least 0 and below 1"),
        ("train circle --validation-split 1", "validation_split is 1.0; a finite number above 0 and below 1"),
        ("train circle --patience 0", "--patience: 0 is too small"),
        ("train circle --metric f2", "metrics[0] is 'f2'; known are accuracy"),
        ("train circle --metric f1 --metric f1", "metrics[1] is 'f1', which is there already"),
        ("train circle --class-weight even", "class_weight is 'even', and targets"),
        (
            "train circle --class-weight even --loss binary_cross_entropy",
            "class_weight is 'even'; known are balanced",
        ),
        ("train circle --class-weight balanced", "targets of loss 'mse' are no classes here"),
        ("train circle --activation sigmod", "'sigmod'; known are identity, sigmoid"),
        ("train circle --activation softmax", "'softmax', which is for the output layer only"),
        ("train circle --activation step", "'step', whose derivative is 0"),
        ("train circle --output softmax", "softmax over one unit is always 1"),
        ("train circle --initializer one", "initializer is 'one'; known are"),
        ("train circle --loss mss", "'mss'; known are mse"),
        ("train circle --loss cross_entropy --output identity", "needs softmax or sigmoid or log_softmax outputs"),
        ("train circle --dtype int8", "dtype is 'int8'; known are float32, float64"),
        ("train circle --seed -1", "seed is -1"),
        ("train circle --target x", "--target is for tables"),
        ("train circle --no-scale", "--scale is for tables"),
        ("train circle --save no/where.npz", "there is no folder no"),
        ("train circle --save .", "it is a folder"),
        ("train circel", "there is no file circel"),
        ("predict no.npz no.csv", "no.npz: No such file"),
        ("bench --network 3,1", "--network is 3,1; 2 inputs first and 1 output last"),
        ("bench --densities 10,0", "density is 0"),
        ("bench --dtype half", "dtype is 'half'"),
        ("warmup --dtype half", "dtype is 'half'"),
        ("validate all", "there is no all"),
    ],
)
def test_mistakes_are_told_in_a_sentence(run, arguments, message):
    status, out, err = run(arguments)
    assert (status, out) == (2, "")  # nothing was printed before the mistake was seen
    assert err.startswith("fastnn: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", "--target y", "is empty"),
        ("x,y\n", "--target y", "has no rows"),
        (b"\xff\xfe\x00\x01", "--target y", "is no text in UTF-8"),
        ("x,y\n1,2,3\n1,2,3\n", "--target y", "rows that are longer than its line of column names"),
        ("x;y\n1,5;2\n1,5;3\n", "--target y", "than its line of column names; --separator ';' may be"),
        ("x,y\n1,2\n", "--target y --ignore y", "--ignore leaves out 'y', which is the --target"),
        ("x,y\n1,2\n", "--target y --separator=", "--separator is ''; a single character"),
        ("x,y\n1,2\n1,2,3\n", "--target y", "Expected 2 fields in line 3, saw 3"),
        ("x,y\n1,2\n", "", "--target is missing"),
        ("x,y\n1,2\n", "--target z", "has no column 'z'; it has 'x', 'y'"),
        ("x,y\n1,2\n", "--target y --ignore z", "has no column 'z'"),
        ("x,y\n1,2\n", "--target y --ignore x", "has no column left for inputs"),
        ("x;y\n1;2\n", "--target y", "--separator ';'"),
        ("x,y\n1,2\n,3\n", "--target y", "column 'x' of TABLE has 1 missing value, the first in row 2"),
        ("x,y\n1,2\nNone,3\n", "--target y", "Missing is what is empty or says so, like NA, None or null"),
        ("x,y\n1,2.5\n2,\n3,\n", "--target y", "column 'y' of TABLE has 2 missing values, the first in row 2"),
        ("x,y\n1,a\n2,\n", "--target y", "column 'y' of TABLE has 1 missing value"),
        ("x,y\n1,2\ntwo,3\n", "--target y", "column 'x' of TABLE holds 'two' in row 2; only numbers"),
        ("x,y\n1,2\ninf,3\n", "--target y", "column 'x' of TABLE holds inf in row 2"),
        (
            "x,y\n1,a\n2,b\n",
            "--target y --loss mse",
            "(binary_cross_entropy, cross_entropy and focal are for classes)",
        ),
        ("x,y\n1,a\n2,a\n", "--target y", "is 'a' in each row; nothing can be learnt"),
        ("x,y\n1,2.5\n2,2.5\n", "--target y", "is 2.5 in each row; nothing can be learnt"),
        ("x,y\n1,a\n2,b\n3,c\n", "--target y --loss binary_cross_entropy", "is for two classes"),
        ("x,y\n" + "".join(f"{i},n{i}\n" for i in range(30)), "--target y", "different in each of its 30 rows"),
        ("x,y\n1e300,1.5\n-1e300,2.5\n", "--target y", "too large to be scaled"),
        (
            "x,y\n1e39,1.5\n2e39,2.5\n",
            "--target y --dtype float32",
            "holds 2e+39, which is too large",
        ),
        (
            "x,y\n" + "1e39,1.5\n2e39,2.5\n" * 5,
            "--target y --dtype float32 --validation-split 0.3",
            "holds 2e+39, which is too large",
        ),
        ("x,y\n1e-39,1.5\n2e-39,2.5\n", "--target y --dtype float32", "deviation 5e-40, which is too little"),
        ("x,y\n1.5,1e-39\n2.5,2e-39\n", "--target y --dtype float32", "deviation 5e-40, which is too little"),
        ("x,y\n1,2\n", "--target y --density 3", "--density is for the circle"),
    ],
)
def test_tables_that_cannot_be_used_are_told_in_a_sentence(pandas, run, file, text, arguments, message):
    path = file(text)
    status, out, err = run("train", path, arguments)
    assert (status, out) == (2, "")
    assert err.startswith("fastnn: ")
    assert message.replace("TABLE", str(path)) in err
    assert err.count("\n") == 1


def test_all_columns_that_cannot_be_used_are_told_of(pandas, run, file):
    path = file("a,city,b,built,y\n1,Rome,2,,5\n2,Oslo,3,1999,6\n")
    _, _, err = run("train", path, "--target y")
    assert "column 'city' of" in err
    assert err.endswith("(--ignore leaves a column out). Nor can 'built' be used\n")


def test_a_column_with_a_comma_in_its_name_is_left_out(pandas, run, file):
    path = file('a,"b, c",y\n1,x,5\n2,y,6.5\n')
    assert main(["train", str(path), "--target", "y", "--epochs", "1", "--ignore", '"b, c"']) == 0


def test_the_advice_on_a_column_that_numbers_the_rows_works(pandas, run, file):
    for name in ("no", "no, x", '"no"', "no 'x'"):
        line = '"' + name.replace('"', '""') + '"' + ",x,y\n"
        path = file(line + "\n".join(f"{i},{(i * 7) % 5},{i / 3}" for i in range(1, 13)))
        _, out, _ = run("train", path, "--target y --epochs 1")
        advice = shlex.split(out[out.index("--ignore") :].split(" leaves it out")[0])
        assert main(["train", str(path), "--target", "y", "--epochs", "1", *advice]) == 0
    assert main(["train", str(path), "--target", "y", "--epochs", "1", "--ignore", "a\nb"]) == 2


def test_numbers_near_the_end_of_float64_get_one_sentence(pandas, run, file):
    rows = "\n".join(f"{(-1) ** i * 1.7e308},{i}" for i in range(12))
    _, _, err = run("train", file(f"x,y\n{rows}\n"), "--target y --epochs 1")
    assert err.count("\n") == 1
    assert "is too large to be scaled" in err


def test_a_column_that_numbers_the_rows_is_told_of(pandas, run, file):
    rows = [f"{i},{(i * 7) % 5},{i / 3}" for i in range(1, 13)]
    _, out, _ = run("train", file("no 1,x,y\n" + "\n".join(rows)), "--target y --epochs 1")
    assert "\nRemark    'no 1' only numbers the rows; --ignore 'no 1' leaves it out\n" in out
    _, out, _ = run("train", file("no 1,x,y\n" + "\n".join(rows[:8] + rows[9:])), "--target y --epochs 1")
    assert "Remark" not in out


def test_rows_set_apart_are_judged_by_themselves(pandas, run, file, rng):
    """Nor does the scaling know of them. They are those of ``validation_split``."""
    x, noise = rng.normal(5.0, 3.0, (2, 40))
    rows = "\n".join(f"{a:.9f},{b:.9f}" for a, b in zip(x, 2.0 * x + noise, strict=True))
    path = file("x,y\n" + rows + "\n")
    options = "--target y --epochs 3 --hidden 3 --validation-split 0.25 --learning-rate 0.1 --save"
    status, out, _ = run("train", path, options, path.with_name("net.npz"))
    assert status == 0
    X, y = np.loadtxt(path, delimiter=",", skiprows=1).T
    numbered = fastnn.mlp([1, 1])
    chosen = splits.apart(Rows(X[:, None], y[:, None], None), 0.25, numbered.problem("mse").loss, 0)
    seen = X[~chosen], y[~chosen]
    mean, deviation = np.mean(seen, axis=1), np.std(seen, axis=1)
    net = fastnn.mlp([1, 3, 1], activation="tanh")
    net.fit(
        ((seen[0] - mean[0]) / deviation[0])[:, None],
        (seen[1] - mean[1]) / deviation[1],
        epochs=3,
        batch_size=32,
        optimizer=fastnn.SGD(0.1),
    )
    saved = fastnn.load(path.with_name("net.npz"))
    expected = net.predict(((X - mean[0]) / deviation[0])[:, None])[:, 0] * deviation[1] + mean[1]
    assert_allclose(saved.predict(X[:, None])[:, 0], expected, rtol=1e-12)
    errors = [significant(float(np.sqrt(np.mean((expected - y)[which] ** 2)))) for which in (chosen, ~chosen)]
    assert re.findall(r"Error     (\S+), root of the mean square over (.*);", out) == [
        (errors[0], "the rows aside"),
        (errors[1], "the rows it was trained on"),
    ]


def test_rows_that_cannot_be_predicted(pandas, run, file, tmp_path):
    saved = tmp_path / "net.npz"
    run("train", file(HOUSES), "--target price --epochs 1 --save", saved)
    for text, message in [
        ("area\n1\n", "has no column 'rooms'; it has 'area'"),
        ("area,rooms\n1,\n", "column 'rooms' of"),
        ("area,rooms\nbig,1\n", "holds 'big' in row 1"),
    ]:
        status, out, err = run("predict", saved, file(text, "new.csv"))
        assert (status, out) == (2, "")
        assert message in err


def test_a_foreign_file_is_no_model(run, file):
    status, _, err = run("predict", file(HOUSES), file(HOUSES))
    assert status == 2
    assert "is no network file" in err


def test_too_little_memory_is_no_traceback(run, monkeypatch):
    def fail(density):
        raise MemoryError

    monkeypatch.setattr(fastnn.datasets, "circle", fail)
    status, _, err = run("train", "circle")
    assert (status, err.count("\n")) == (2, 1)
    assert "not enough memory" in err


# How it ends otherwise


def interrupt_after_an_epoch(net, X, y, **options):
    """What fit does at Ctrl-C; before that, the program has it end before its first epoch."""
    history = train_as_ever(net, X, y, **{**options, "epochs": 1})
    if history.epochs:
        raise KeyboardInterrupt
    return history


train_as_ever = fastnn.Sequential.fit


def test_an_interrupted_training_is_saved(run, tmp_path, monkeypatch):
    monkeypatch.setattr(fastnn.Sequential, "fit", interrupt_after_an_epoch)
    status, _, err = run("train", "circle")
    assert status == 130
    assert "interrupted after 1 epoch; nothing was saved" in err
    status, _, err = run("train", "circle", "--save", tmp_path / "net.npz")
    assert status == 130
    assert "interrupted after 1 epoch" in err
    assert "net.npz holds the network after its last update" in err
    expected = fastnn.mlp([2, 4, 1], output="sigmoid", initializer="uniform")
    train_as_ever(expected, *fastnn.datasets.circle(10), optimizer=fastnn.SGD(10.0))
    assert_allclose(fastnn.load(tmp_path / "net.npz").parameters, expected.parameters, rtol=0)


def test_an_interruption_elsewhere_is_one_word(run, monkeypatch):
    def fail(density):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastnn.datasets, "circle", fail)
    assert run("train", "circle") == (130, "", "fastnn: interrupted\n")


@pytest.mark.compiled
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_ctrl_c_in_a_long_training(tmp_path):
    saved = tmp_path / "net.npz"
    with program("train", "circle", "--epochs", "100000000", "--save", str(saved)) as process:
        while process.stdout.readline() != "1 0.2919\n":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.fullmatch(r"\nfastnn: interrupted after [\d,]+ epochs; \S+ holds the network .*\n", err)
    X, y = fastnn.datasets.circle(10)
    assert fastnn.load(saved).evaluate(X, y) < 0.29


@pytest.mark.compiled
@pytest.mark.skipif(os.name == "nt", reason="pipes are closed otherwise there")
def test_a_reader_that_has_seen_enough_is_no_error():
    with program("train", "circle", "--epochs", "3000000", "--log-every", "1") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 141


# The other commands


def test_version_and_help(run):
    assert run("--version") == (0, f"fastnn {fastnn.__version__}\n", "")
    status, out, _ = run("--help")
    assert status == 0
    for command in ("train", "predict", "validate", "bench", "warmup"):
        assert command in out
        status, help_, _ = run(command, "--help")
        assert status == 0
        assert f"examples:\n  fastnn {command}" in help_


def test_the_help_of_train_names_all_there_is(run):
    _, help_, _ = run("train", "--help")
    words = " ".join(help_.split())
    trainable = [name for name in ACTIVATIONS if name != "step" and not ACTIVATIONS[name].coupled]
    for names in (trainable, LOSSES, INITIALIZERS, OPTIMIZERS, METRICS):
        assert ", ".join(names) in words


def test_every_schedule_can_be_named():
    made = [learning.schedule(name, 0.1, 30) for name in train.SCHEDULES.split(", ")]
    assert {type(schedule) for schedule in made} == set(schedules.Schedule.__subclasses__())
    with pytest.raises(ValueError, match=f"schedule is 'linear'; known are {train.SCHEDULES}"):
        learning.schedule("linear", 0.1, 30)
    for epochs in (1, 2, 7):  # they make sense for few epochs as well
        for name in train.SCHEDULES.split(", "):
            learning.schedule(name, 0.1, epochs)


def test_help_needs_neither_pandas_nor_the_reference(run_python):
    run_python(
        "import sys\nfrom fastnn.cli import main\n"
        "try:\n    main(['train', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "loaded = {'pandas', 'reference', 'fastnn.reference', 'fastnn.validation'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )


@pytest.mark.compiled
@pytest.mark.slow
def test_warmup_compiles_what_later_processes_need(run_python, tmp_path):
    warm = "from fastnn.cli import main; raise SystemExit(main(['warmup', '--dtype', 'float32']))"
    first, second = (run_python(warm, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert re.fullmatch(
        r"(\d of 2  (training and prediction|common parts) +float32  compiled +[\d.]+ (s|ms)\n){2}"
        rf"All compiled in [\d.]+ s; it is kept in {re.escape(str(tmp_path))}.*\n",
        first.stdout,
    )
    assert (first.stderr, second.stderr) == ("", "")
    assert second.stdout.count("ready  ") == 2
    assert "All was ready; checked in " in second.stdout
    used = run_python(
        "import fastnn\n"
        "from numba.core import event\n"
        "net = fastnn.mlp([1, 3, 2], activation='tanh', output='softmax', dtype='float32')\n"
        "with event.install_recorder('numba:compile') as recorder:\n"
        "    net.fit([[1.0], [2.0]], [0, 1], loss='cross_entropy', optimizer='adam', metrics=['accuracy'])\n"
        "    net.predict([[1.0]]), net.predict([[1.0], [2.0]])\n"
        "    net.evaluate([[1.0], [2.0]], [0, 1], loss='cross_entropy')\n"
        "    wide = fastnn.mlp([64, 64, 64, 1], dtype='float32')\n"
        "    wide.fit([[0.0] * 64] * 3, [0.0, 1.0, 2.0])\n"
        "    wide.fit([[0.0] * 64] * 3, [0.0, 1.0, 2.0], batch_size=1)\n"
        "    fastnn.fit_many([wide], [[0.0] * 64] * 3, [0.0, 1.0, 2.0])\n"
        "    wide.jacobian([[0.0] * 64]), wide.input_gradient([[0.0] * 64] * 3)\n"
        "    wide.loss_and_gradient(fastnn.Dataset([[0.0] * 64] * 3, [0.0, 1.0, 2.0]))\n"
        "print(len(recorder.buffer))\n",
        NUMBA_CACHE_DIR=str(tmp_path),
    )
    assert used.stdout == "0\n"


def test_warmup_without_compilation(run, monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    status, out, _ = run("warmup")
    assert (status, out.split(":")[0]) == (0, "Nothing to do")


@pytest.mark.compiled
def test_warmup_compiles_nothing_that_cannot_be_kept(run, monkeypatch):
    def refuse(self, **cache):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiled, "train", compiled.EntryFunction(lambda digest: None, "nothing", "no time"))
    monkeypatch.setattr(compiled.EntryFunction, "_compiler", refuse)
    status, out, err = run("warmup")
    assert (status, out) == (2, "")
    assert err.startswith("fastnn: compiled code cannot be kept on disk (cannot cache function")
    assert err.endswith("NUMBA_CACHE_DIR names a folder\n")


@pytest.mark.compiled
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupted_warmup_waits_for_no_compilation(monkeypatch, capfd, threads):
    monkeypatch.setenv("FASTNN_NUM_THREADS", str(threads))
    begun = []

    def interrupt(futures):
        begun.extend(active_children())
        for process in begun:  # as a terminal does
            os.kill(process.pid, signal.SIGINT)
        time.sleep(0.3)  # they are importing
        raise KeyboardInterrupt

    monkeypatch.setattr(warmup, "as_completed", interrupt)
    assert main(["warmup", "--dtype", "float32"]) == 130
    give_up = time.monotonic() + 60
    while any(process.exitcode is None for process in begun) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert [process.exitcode for process in begun] == [-signal.SIGTERM] * threads
    assert capfd.readouterr() == ("", "fastnn: interrupted\n")  # of them all


@pytest.mark.compiled
@pytest.mark.slow
def test_bench_prints_a_row_for_each_density(run):
    status, out, err = run("bench", "--densities", "3,10")
    assert (status, err) == (0, "")
    rows = [line for line in out.splitlines() if re.match(r" +\d+  ", line)]
    assert [row.split()[:2] for row in rows] == [["3", "16"], ["10", "121"]]
    assert all(row.count(" x") == 2 for row in rows)
    assert "Medians of 5 rounds" in out


@pytest.mark.compiled
def test_bench_measures_nothing_that_computes_something_else(run, monkeypatch):
    fit = fastnn.Sequential.fit

    def wrong(net, *arguments, **options):
        history = fit(net, *arguments, **options)
        history.loss[:] *= 1.01
        return history

    monkeypatch.setattr(fastnn.Sequential, "fit", wrong)
    status, _, err = run("bench", "--densities", "3", "--dtype", "float64")
    assert status == 2
    assert "the losses do not agree" in err


# Words


def test_numbers_as_people_read_them():
    assert [count(n, "class", "classes") for n in (0, 1, 2000)] == ["0 classes", "1 class", "2,000 classes"]
    assert [duration(s) for s in (5e-6, 0.0123, 2.34, 1234.5)] == ["5 us", "12.3 ms", "2.3 s", "1,234 s"]
    assert [significant(x) for x in (7e-9, 0.25, 2.6, 26, 345.6, 1234567)] == [
        "7.00e-09",
        "0.250",
        "2.60",
        "26.0",
        "346",
        "1,230,000",
    ]
    assert some(["a", "b", "c"], most=2) == "a, b and 1 more"
    assert some(["a", "b"], most=2) == "a, b"


def test_names_of_classes_are_whole_where_the_numbers_are(pandas, file):
    whole, broken = table.Table(file("t\n1\n2\n", "a.csv")), table.Table(file("t\n1.0\n2.5\n", "b.csv"))
    assert whole.classes("t")[0] == ["1", "2"]
    assert broken.classes("t")[0] == ["1", "2.5"]
