"""FANN, a library in C, by its own functions: ``fann_train_epoch`` updates after every sample.

It is no package of Python's: Debian, for one, has it as libfann2.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes.util import find_library
from typing import Any

import numpy as np

LIBRARIES = {"float64": "doublefann", "float32": "floatfann"}
INCREMENTAL, LINEAR_ERROR, LINEAR, SIGMOID = 0, 0, 0, 3  # of the enums in fann_data.h
STEEPNESS = {SIGMOID: 0.5, LINEAR: 1.0}  # FANN's sigmoid is 1/(1 + exp(-2·steepness·z))


class Head(ctypes.Structure):
    """How ``struct fann`` begins."""

    _fields_ = (
        ("errno", ctypes.c_int),
        ("error_log", ctypes.c_void_p),
        ("error", ctypes.c_void_p),
        ("learning_rate", ctypes.c_float),
        ("learning_momentum", ctypes.c_float),
        ("connection_rate", ctypes.c_float),
        ("network_type", ctypes.c_int),
        ("first_layer", ctypes.c_void_p),
        ("last_layer", ctypes.c_void_p),
        ("total_neurons", ctypes.c_uint),
        ("num_input", ctypes.c_uint),
        ("num_output", ctypes.c_uint),
        ("weights", ctypes.c_void_p),
    )


Data = tuple[np.ndarray, np.ndarray]
Weights = Sequence[tuple[np.ndarray, np.ndarray]]


def present(dtype: str) -> bool:
    """Whether the library for that dtype is installed."""
    return find_library(LIBRARIES[dtype]) is not None


def _network(library: Any, number: Any, sizes: Sequence[int], output: int) -> ctypes.c_void_p:
    library.fann_create_standard_array.restype = ctypes.c_void_p
    network = ctypes.c_void_p(library.fann_create_standard_array(len(sizes), (ctypes.c_uint * len(sizes))(*sizes)))
    library.fann_set_training_algorithm(network, INCREMENTAL)
    library.fann_set_train_error_function(network, LINEAR_ERROR)
    for layers, activation in (("hidden", SIGMOID), ("output", output)):
        getattr(library, f"fann_set_activation_function_{layers}")(network, activation)
        getattr(library, f"fann_set_activation_steepness_{layers}")(network, number(STEEPNESS[activation]))
    return network


def _rows(library: Any, number: Any, X: np.ndarray, y: np.ndarray) -> ctypes.c_void_p:
    """A copy of the rows as FANN keeps them."""
    place = ctypes.POINTER(number)

    @ctypes.CFUNCTYPE(None, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, place, place)
    def put(row: int, inputs: int, outputs: int, x: Any, t: Any) -> None:
        np.ctypeslib.as_array(x, (inputs,))[:] = X[row]
        np.ctypeslib.as_array(t, (outputs,))[:] = y[row]

    library.fann_create_train_from_callback.restype = ctypes.c_void_p
    return ctypes.c_void_p(library.fann_create_train_from_callback(len(X), X.shape[1], y.shape[1], put))


def trainer(data: Data, weights: Weights, rate: float, linear_output: bool) -> Callable[[int], np.ndarray]:
    """A function that trains with sigmoids and mse from these weights for so many epochs: the loss of each.

    The losses are of single precision in either dtype. FANN follows the error's half square summed over outputs,
    so that its rate is 2/outputs of that for mse.
    """
    X, y = data
    library = ctypes.CDLL(find_library(LIBRARIES[X.dtype.name]))
    library.fann_train_epoch.restype = ctypes.c_float
    number = ctypes.c_double if X.dtype == np.float64 else ctypes.c_float
    sizes = [X.shape[1], *(len(bias) for _, bias in weights)]
    network = _network(library, number, sizes, LINEAR if linear_output else SIGMOID)
    library.fann_set_learning_rate(network, ctypes.c_float(2 * rate / sizes[-1]))
    rows = _rows(library, number, X, y)
    # Unit by unit, each with its bias behind. fann_set_weight_array would take longer than some epochs.
    start = np.concatenate([np.vstack([layer, bias]).T.ravel() for layer, bias in weights])
    place = ctypes.cast(network, ctypes.POINTER(Head)).contents.weights

    def run(epochs: int) -> np.ndarray:
        ctypes.memmove(place, start.ctypes.data, start.nbytes)
        return np.array([library.fann_train_epoch(network, rows) for _ in range(epochs)])

    return run
