"""Ctrl-C ends a fit soon, with the parameters of the last finished update and a network that goes on working."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.compiled,
    pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself SIGINT there"),
]

# Processor time from the signal to KeyboardInterrupt. Not the clock's: on a loaded machine this process may
# wait for its turn, which is not its fault.
MOST_SECONDS = 0.2

FIT = """
import json, os, signal, sys, threading, time
import numpy as np
import fastnn

sizes, density, options, delay, dtype = json.loads(sys.argv[1])
X, y = fastnn.datasets.circle(density)
net = fastnn.mlp(sizes, activation="tanh", output="sigmoid", dtype=dtype)
twin = fastnn.mlp(sizes, activation="tanh", output="sigmoid", dtype=dtype)
initial = net.parameters.copy()
fastnn.mlp([2, 1], dtype=dtype).fit([[1, 2]], [1])  # compiled before
momentum = options.pop("momentum", 0.0)
options["optimizer"] = fastnn.SGD(0.01, momentum=momentum)

sent = []
def interrupt():
    sent.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)

threading.Timer(delay, interrupt).start()
try:
    net.fit(X, y, **options)
except KeyboardInterrupt:
    seconds = time.process_time() - sent[0]
else:
    sys.exit("was not interrupted")
epochs = net.history.epochs
interrupted = net.parameters.copy()
if epochs:
    twin.fit(X, y, **{**options, "epochs": epochs})
result = {
    "seconds": seconds,
    "epochs": epochs,
    "losses": len(net.history.loss),
    "losses finite": bool(np.isfinite(net.history.loss).all()),
    "status": net.history.status,
    "finite": bool(np.isfinite(interrupted).all()),
    "moved": bool((interrupted != initial).any()),
    "those of whole epochs": interrupted.tobytes() == twin.parameters.tobytes(),
}
again = net.fit(X[:50], y[:50], epochs=2)
result["usable"] = again.status == "finished" and again.epochs == 2 and net.history is again
print(json.dumps(result))
"""

CASES = {
    # sizes, density, options of fit, seconds to the signal
    # 3.5·10¹² multiplications and additions: 15 seconds even at 230 GFLOP/s
    "one epoch of many seconds": ([2, 512, 512, 1], 1500, {"epochs": 10, "threads": 2}, 1.5),
    "full batch of some tiles": ([2, 64, 64, 1], 300, {"epochs": 10**6}, 1.0),
    "full batch with momentum": ([2, 16, 1], 100, {"epochs": 10**6, "momentum": 0.9}, 0.7),
    "many epochs of a small net": ([2, 4, 1], 10, {"epochs": 10**8}, 0.5),
    "mini-batches": ([2, 16, 16, 1], 300, {"epochs": 10**6, "batch_size": 32}, 1.0),
    "one by one": ([2, 4, 1], 1000, {"epochs": 10**6, "batch_size": 1}, 0.5),
    "large mini-batches of a wide net": ([2, 512, 512, 1], 300, {"epochs": 100, "batch_size": 20_000}, 3.0),
    "wide layer in batches": ([2, 20_000, 1], 100, {"epochs": 1000, "batch_size": 256}, 1.0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_interrupted_fit(run_python, case, dtype):
    found = json.loads(run_python(FIT, json.dumps([*case, dtype])).stdout)
    assert found["seconds"] <= MOST_SECONDS
    assert found["status"] == "interrupted"
    assert found["finite"]
    assert found["usable"]
    assert found["losses"] == found["epochs"]
    assert found["losses finite"]
    if "batch_size" not in case[2]:
        # In full batch an update is an epoch.
        assert found["those of whole epochs"]
        assert found["moved"] == (found["epochs"] > 0)
    else:
        assert found["moved"]


def test_one_epoch_of_many_seconds_is_interrupted_within_it(run_python):
    found = json.loads(run_python(FIT, json.dumps([*CASES["one epoch of many seconds"], "float64"])).stdout)
    assert found["epochs"] == 0


OTHER = """
import json, os, signal, sys, threading, time
import numpy as np
import fastnn

net = fastnn.mlp([2, 256, 256, 1])
X, y = fastnn.datasets.circle(700)
def work(rows):
    if sys.argv[1] == "evaluate":
        net.evaluate(X[:rows], y[:rows])
    else:
        getattr(net, sys.argv[1])(X[:rows])
work(5)  # it compiles
sent = []
def interrupt():
    sent.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.5, interrupt).start()
before = net.parameters.copy()
try:
    while True:
        work(len(X))
except KeyboardInterrupt:
    seconds = time.process_time() - sent[0]
assert (net.parameters == before).all()
assert len(net.predict(X[:7])) == 7
print(seconds)
"""


@pytest.mark.parametrize("what", ["predict", "forward", "evaluate", "jacobian"])
def test_interrupted_prediction(run_python, what):
    assert float(run_python(OTHER, what).stdout) <= MOST_SECONDS


@pytest.mark.parametrize("work", ["lines", "batches", "windows", "many"])
def test_interrupted_anywhere(run_python, work):
    pytest.importorskip("tqdm")
    run_python(Path(__file__).with_name("interrupts.py"), work)
