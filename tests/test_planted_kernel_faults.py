"""The oracle fails when something is wrong in the kernels, which run as plain Python here."""

from __future__ import annotations

KERNELS = """
import sys
import numpy as np
from fastnn.activations import ACTIVATIONS
from fastnn.kernels import activations, bounds, calls, dense, loop, metrics, passes, products, regularizing_layers
from fastnn.kernels import rows, stopping, wide
from fastnn.loss_kinds import LOSSES
from fastnn.optimizers import SGD
from fastnn.schedules import CosineDecay
from tests.oracle import compare_gradients, compare_runs
from tests.problems import call, problem

def compare():
    p = problem(np.random.default_rng(1), (3, 5, 3), 21, weighted=True)
    compare_gradients(p)
    compare_runs(p, 1e-9, epochs=2, batch_size=8, optimizer=call("SGD", 0.01, momentum=0.9))
    # More rows than a tile has; and layers of one unit, which go back with those before them.
    compare_gradients(problem(np.random.default_rng(1), (1, 3, 2), 900))
    compare_gradients(problem(np.random.default_rng(1), (3, 2, 4, 1), 900))

def layers(of):
    return [of.Dense(4, "tanh", l1=0.01, max_norm=0.9), of.LayerNormalization(0.01), of.Dropout(0.25),
            of.Dense(2, l2=0.05)]

def compare_all():
    p = problem(np.random.default_rng(1), (3, 2), 14, layers=layers)
    compare_runs(
        p, 1e-9, epochs=4, batch_size=5, metrics=["mse"], validation_split=0.3,
        optimizer=call("SGD", call("schedules.CosineDecay", 0.02, epochs=4), clip_norm=0.3),
        early_stopping=call("EarlyStopping", min_delta=0.05, patience=9),
    )

def compare_classes():
    # More features than a register has lanes, in batches that are laid out row by row.
    p = problem(np.random.default_rng(1), (19, 3), 23, output="softmax", loss="cross_entropy")
    compare_runs(p, 1e-9, epochs=2, batch_size=9, metrics=["accuracy"])

def compare_wide():
    # More rows than one sum goes over, and than a tile has.
    compare_gradients(problem(np.random.default_rng(1), (64, 19, 8, 1), 70))
    compare_gradients(problem(np.random.default_rng(1), (64, 17), 150))

def said(right):
    def wrong(y, stride, samples, outputs, out):
        right(y, stride, samples, outputs - 1, out)
    return wrong

def transposed(right):
    def wrong(source, places, step, target, stride):
        right(source, places, step, target, stride)
        target[stride] = target[0]
    return wrong

def activation(right):
    def wrong(z):
        value, slope = right(z)
        return value, slope * (1 + 1e-10)
    return wrong

def loss(right):
    def wrong(z, y, t, a, b):
        value, slope = right(z, y, t, a, b)
        return value * (1 + 1e-10), slope
    return wrong

def loss_slope(right):
    def wrong(z, y, t, a, b):
        value, slope = right(z, y, t, a, b)
        return value, slope * (1 + 1e-10)
    return wrong

def weight_gradient(right):
    def wrong(x, d, dw, db, shape, inputs, first, add):
        right(x, d, dw, db, shape, inputs, first, add)
        dw[shape[2] * inputs - 1] *= 1 + 1e-6
    return wrong

def bias_gradient(right):
    def wrong(x, d, dw, db, shape, inputs, first, add):
        right(x, d, dw, db, shape, inputs, first, add)
        db[shape[2] - 1] *= 1 + 1e-6
    return wrong

def added(right):
    return lambda *arguments: right(*arguments[:-1], False)

def of_two(number):
    def fault(right):
        def wrong(rows, weights, gradients, *others):
            right(rows, weights, gradients, *others)
            gradients[number][0] *= 1 + 1e-6
        return wrong
    return fault

def two_added(right):
    return lambda *arguments: right(*arguments[:-1], (False, arguments[-1][1]))

def one_product(right):
    def wrong(x, weights, start, out, shape, inputs):
        right(x, weights, start, out, shape, inputs)
        out[0] *= 1 + 1e-6
    return wrong

def wide_gradient(number):
    def fault(right):
        def wrong(x, d, gradients, *others):
            done = right(x, d, gradients, *others)
            gradients[number][done - 1] *= 1 + 1e-6
            return done
        return wrong
    return fault

def swapped(right):
    def wrong(source, stride, target, count):
        right(source, stride, target, count)
        target[count] = target[0]
    return wrong

def first_part_only(right):
    return lambda x, weights, start, out, shape, terms, mode: right(
        x, weights, start, out, shape, terms, products.OVERWRITE if mode == products.ADD else mode)

def two_not_kept(right):
    return lambda *arguments: right(*arguments[:-1], (arguments[-1][0], False))

def momentum(right):
    def wrong(given, memory, settings, *others):
        settings = settings * 1.0
        settings[1] *= 1 - 1e-6
        return right(given, memory, settings, *others)
    return staticmethod(wrong)

def shuffling(right):
    return lambda order, start, remaining, steps: right(order, start + np.uint64(1), remaining, steps)

def weights(right):
    def wrong(address, z, y, t, w, *others):
        return right(address, z, y, t, np.sign(w), *others)
    return wrong

def padding(right):
    def wrong(address, z, y, t, w, *others):
        return right(address, z, y, t, np.maximum(w, 1e-6), *others)
    return wrong

def penalty(right):
    def wrong(parameters, gradient, places, settings, count, weight):
        return right(parameters, gradient, places, settings, count, weight * (1 + 1e-3))
    return wrong

def clip(right):
    return lambda gradient, count, scale, value, norm: right(gradient, count, scale * (1 + 1e-6), value, norm)

def constraint(right):
    return lambda *arguments: None

def mask(right):
    def wrong(rows, weights, rate, at, *others):
        right(rows, weights, rate, (at[0], at[1] + 1), *others)
    return wrong

def mask_back(right):
    return lambda *arguments: None

def normalization_back(right):
    def wrong(rows, *others):
        right(rows, *others)
        rows[2][0] *= 1.01
    return wrong

def schedule(right):
    return staticmethod(lambda settings, updates, each_epoch: right(settings, updates + 1e-6, each_epoch))

def best(right):
    return lambda plan, numbers, row, sums, cursor: right(plan, numbers, row, sums, cursor) or True

def metric(right):
    def wrong(*arguments):
        right(*arguments)
        arguments[-1][0] *= 1 + 1e-6
    return wrong

MSE = LOSSES["mse"].formulas["any"]
FAULTS = [
    (activation, ACTIVATIONS["tanh"], "kernel"), (loss, MSE, "kernel"), (loss_slope, MSE, "kernel"),
    (weight_gradient, dense, "backward_weights"), (bias_gradient, dense, "backward_weights"),
    (one_product, dense, "forward"), (one_product, dense, "backward_inputs"),
    (added, dense, "backward_weights"), (momentum, SGD, "kernel"), (shuffling, loop, "shuffle"),
    (weights, calls, "loss"), (padding, calls, "loss"),
    *[(of_two(number), dense, "backward_two") for number in range(4)],
    (two_added, dense, "backward_two"), (two_not_kept, dense, "backward_two"),
]
OF_TRAINING = [
    (penalty, bounds, "penalty"), (clip, bounds, "clip"), (constraint, bounds, "constraint"),
    (mask, regularizing_layers, "drop"), (mask_back, regularizing_layers, "drop_backward"),
    (normalization_back, regularizing_layers, "normalize_backward"), (schedule, CosineDecay, "kernel"),
    (best, stopping, "better"), (metric, metrics, "mse"),
]
OF_CLASSES = [(said, passes, "predicted_class"), (transposed, rows, "transpose")]
OF_WIDE = [
    (one_product, wide, "forward"), (one_product, wide, "backward_inputs"), (added, wide, "backward_weights"),
    (wide_gradient(0), wide, "backward_weights"), (wide_gradient(1), wide, "backward_weights"),
    (swapped, wide, "transpose_rows"), (first_part_only, wide, "many"),
]
for compared, faults in (
    (compare, FAULTS), (compare_all, OF_TRAINING), (compare_classes, OF_CLASSES), (compare_wide, OF_WIDE)
):
    compared()
    for fault, module, name in faults:
        right = vars(module)[name]
        wrong = fault(getattr(module, name))
        # Classes and dictionaries of modules take anything, but for those that are frozen.
        (type if isinstance(module, type) else object).__setattr__(module, name, wrong)
        try:
            compared()
        except AssertionError as error:
            assert not str(error).startswith(("read past", "write past")), error
        else:
            sys.exit(f"nothing found the fault of {fault.__name__} in {name}")
        (type if isinstance(module, type) else object).__setattr__(module, name, right)
    compared()
print(len(FAULTS), len(OF_TRAINING), len(OF_CLASSES), len(OF_WIDE))
"""


def test_faults_in_the_kernels(run_python):
    assert run_python(KERNELS, NUMBA_DISABLE_JIT="1").stdout.split() == ["18", "9", "2", "7"]
