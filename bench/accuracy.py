"""How right the libraries are on the digits at the same settings, each in the way that its users write it.

Five seeds, each of which is that of a split, of initial weights and of the orders. Weights are Glorot's, uniform,
of each library's own making, and biases 0 (scikit-learn draws its biases like weights, which cannot be changed).
Hidden relu, softmax and cross entropy without a penalty, Adam(0.001), batches of 64, 60 epochs.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

import fastnn
from bench.handwriting import BATCH, NETWORK, RATE, thirds

SEEDS = (0, 1, 2, 3, 4)
EPOCHS = 60
Labels = np.ndarray


def by_fastnn(X: np.ndarray, y: Labels, held_out: np.ndarray, seed: int, epochs: int) -> Labels:
    """What fastnn says of held-out rows, in the dtype of X."""
    net = fastnn.mlp(
        NETWORK, activation="relu", output="softmax", initializer="glorot_uniform", seed=seed, dtype=X.dtype.name
    )
    net.fit(X, y, epochs=epochs, batch_size=BATCH, optimizer=fastnn.Adam(RATE), loss="cross_entropy", verbose=0)
    return net.predict(held_out).argmax(axis=1)


def by_sklearn(X: np.ndarray, y: Labels, held_out: np.ndarray, seed: int, epochs: int) -> Labels:
    """What scikit-learn says."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier(
        hidden_layer_sizes=NETWORK[1:-1],
        alpha=0.0,
        batch_size=BATCH,
        learning_rate_init=RATE,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # "maximum iterations reached": as they should be
        return np.asarray(net.fit(X, y).predict(held_out))


def by_torch(X: np.ndarray, y: Labels, held_out: np.ndarray, seed: int, epochs: int) -> Labels:
    """What PyTorch says."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    layers = [torch.nn.Linear(i, o) for i, o in itertools.pairwise(NETWORK)]
    for layer in layers:
        torch.nn.init.xavier_uniform_(layer.weight, generator=generator)
        torch.nn.init.zeros_(layer.bias)
    net = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
    adam = torch.optim.Adam(net.parameters(), lr=RATE)
    rows, labels = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(epochs):
        for batch in torch.randperm(len(rows), generator=generator).split(BATCH):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(net(rows[batch]), labels[batch]).backward()
            adam.step()
    with torch.no_grad():
        return net(torch.from_numpy(held_out)).argmax(dim=1).numpy()


@dataclass(frozen=True)
class Classifier:
    """A library in one dtype."""

    library: str
    dtype: str
    package: str
    classify: Callable[[np.ndarray, Labels, np.ndarray, int, int], Labels]

    @property
    def missing(self) -> str:
        """The reason why there cannot be this row here, if there is one."""
        return "" if find_spec(self.package) else f"{self.package} is not installed"


CLASSIFIERS = (
    Classifier("scikit-learn", "float64", "sklearn", by_sklearn),
    Classifier("PyTorch", "float32", "torch", by_torch),
    Classifier("fastnn", "float64", "fastnn", by_fastnn),
    Classifier("fastnn", "float32", "fastnn", by_fastnn),
)


def measure(seeds: tuple[int, ...] = SEEDS, epochs: int = EPOCHS) -> list[dict[str, Any]]:
    """A row for each library, dtype and seed: the share of held-out pictures whose label is right."""
    rows = []
    for seed in seeds:
        X, held_out, y, labels = thirds(seed)
        for one in CLASSIFIERS:
            if not one.missing:
                said = one.classify(X.astype(one.dtype), y, held_out.astype(one.dtype), seed, epochs)
                rows.append(
                    {
                        "library": one.library,
                        "dtype": one.dtype,
                        "seed": seed,
                        "epochs": epochs,
                        "held_out": len(labels),
                        "accuracy": round(float((said == labels).mean()), 6),
                    }
                )
    return rows
