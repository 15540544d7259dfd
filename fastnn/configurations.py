"""The configurations in which ``fastnn validate`` compares fastnn with plain Python, and their names.

Each option that users can choose is in at least one of them; a test checks this.

>>> print(CASES[1].name)
identity > 1 identity, mse
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from fastnn.activations import ACTIVATIONS
from fastnn.initializers import INITIALIZERS


@dataclass(frozen=True)
class Choice:
    """An object that both libraries can make from the same name and settings, such as an Adam."""

    name: str
    settings: tuple[tuple[str, Any], ...] = ()

    def of(self, library: Any) -> Any:
        """Make the object with one of the libraries."""
        settings = {
            name: value.of(library) if isinstance(value, Choice) else value for name, value in self.settings
        }
        return operator.attrgetter(self.name)(library)(**settings)

    def __str__(self) -> str:
        shown = []
        for name, value in self.settings:
            if isinstance(value, Choice):
                shown += value.names
            elif name != "learning_rate":
                shown.append(name if value is True else f"{name} {value}")
        return f"{self.names[0]} ({', '.join(shown)})" if shown else self.names[0]

    @property
    def names(self) -> list[str]:
        """The names of the choice and of all choices in its settings."""
        found = [self.name.split(".")[-1]]
        for _, value in self.settings:
            if isinstance(value, Choice):
                found += value.names
        return found


def choice(name: str, **settings: Any) -> Choice:
    """Make a Choice from a name and settings."""
    return Choice(name, tuple(settings.items()))


@dataclass(frozen=True)
class Case:
    """One configuration: a network, a loss, and a training run."""

    hidden: tuple[str, ...] = ("sigmoid",)  # activations of the hidden layers
    output: str = "identity"
    outputs: int = 1
    loss: str | Choice = "mse"
    batch: int | None = None
    shuffle: bool = True
    optimizer: Choice | None = None  # None: gradient descent with learning rate ``rate``
    initializer: str | float | None = None
    weighted: bool = False
    dtype: str = "float64"
    epochs: int = 40  # 0: only the loss and its gradient, no training
    rate: float = 0.1
    samples: int = 61  # a prime, so that no batch size and no register divides it
    units: tuple[int, ...] = (5, 7)
    circle: bool = False
    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None  # of the hidden layers
    dropout: float | None = None  # after each hidden layer
    normalized: bool = False  # whether a LayerNormalization follows each hidden layer
    frozen: bool = False  # whether the first layer is not trained
    validation: float | None = None  # the share of the rows
    metrics: tuple[str, ...] = ()
    stopping: Choice | None = None
    class_weight: str | None = None

    @property
    def name(self) -> str:
        """A line with what is particular to the configuration."""
        layers = " > ".join([*self.hidden, f"{self.outputs} {self.output}"])
        parts = ["circle: " * self.circle + layers, str(self.loss)]
        if self.batch is not None:
            parts.append(f"batch {self.batch}" + ("" if self.shuffle else " in order"))
        if self.optimizer is not None:
            parts.append(str(self.optimizer))
        if self.initializer is not None:
            parts.append(f"{self.initializer}")
        parts += [
            word for word in ("l1", "l2", "max_norm", "dropout", "normalized", "frozen") if getattr(self, word)
        ]
        if self.validation is not None:
            parts.append("validation")
        if self.stopping is not None:
            parts.append(f"stopping {dict(self.stopping.settings).get('monitor', '')}".rstrip())
        if self.metrics:
            parts.append(f"{len(self.metrics)} metrics" if len(self.metrics) > 1 else self.metrics[0])
        if self.class_weight:
            parts.append(f"{self.class_weight} classes")
        if self.weighted:
            parts.append("weights")
        if self.samples > 100:
            parts.append(f"{self.samples} samples")
        if not self.epochs:
            parts.append("gradient only")
        return ", ".join(parts)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of inputs, then the units of each layer."""
        hidden = (4,) if self.circle else self.units[: len(self.hidden)]
        return (2 if self.circle else 3, *hidden, self.outputs)


SOFTMAX: dict[str, Any] = {"output": "softmax", "loss": "cross_entropy", "outputs": 3}
BINARY: dict[str, Any] = {"output": "sigmoid", "loss": "binary_cross_entropy"}
NESTEROV = choice("SGD", learning_rate=0.02, momentum=0.9, nesterov=True)
ADAM = choice("Adam", learning_rate=0.02)


def descent(schedule: str, **settings: Any) -> Choice:
    """Make gradient descent with a schedule."""
    first = "maximum" if schedule == "OneCycle" else "initial"
    return choice("SGD", learning_rate=choice(f"schedules.{schedule}", **{first: 0.1, **settings}))


OF_CLASSES = ("accuracy", "precision", "recall", "f1", "auc", "log_loss", "confusion_matrix", "top_k_accuracy")
OF_NUMBERS = ("mse", "rmse", "mae", "r2", "explained_variance")

CASES: tuple[Case, ...] = (
    Case(circle=True, output="sigmoid", initializer="uniform", rate=10.0, epochs=100),
    # each activation that can be trained with: at a small rate, since some are steep
    *(Case((name,), rate=0.01) for name, activation in ACTIVATIONS.items() if activation.hidden),
    # each initializer
    *(Case(("tanh",), initializer=name) for name in INITIALIZERS),
    Case(("softsign",), initializer=0.1),
    Case(("tanh",), output="step", epochs=0),
    Case(("tanh",), output="softmax", outputs=3, loss="half_sse"),
    Case(("tanh",), output="log_softmax", outputs=3, loss="mae", rate=0.01),
    # each loss with one output and with three
    Case(("tanh",), outputs=3),
    Case(("tanh",), loss="half_sse"),
    Case(("tanh",), loss="half_sse", outputs=3),
    Case(("tanh",), loss="mae"),
    Case(("tanh",), loss="mae", outputs=3),
    Case(("tanh",), loss="huber"),
    Case(("tanh",), loss=choice("losses.Huber", delta=0.1), outputs=3),
    Case(("tanh",), loss="log_cosh"),
    Case(("tanh",), loss="log_cosh", outputs=3),
    Case(("tanh",), loss="quantile"),
    Case(("tanh",), loss=choice("losses.Quantile", levels=(0.1, 0.5, 0.9)), outputs=3),
    Case(("tanh",), output="exponential", loss="poisson"),
    Case(("tanh",), output="softplus", loss="poisson", outputs=3),
    Case(("tanh",), output="exponential", loss="gamma", rate=0.01),
    Case(("tanh",), output="softplus", loss="gamma", outputs=3, rate=0.01),
    Case(("tanh",), **BINARY),
    Case(("tanh",), output="sigmoid", loss=choice("losses.BinaryCrossEntropy", label_smoothing=0.1), outputs=3),
    Case(("tanh",), **SOFTMAX),
    Case(("tanh",), output="sigmoid", loss="cross_entropy", outputs=3),
    Case(("tanh",), output="log_softmax", loss=choice("losses.CrossEntropy", label_smoothing=0.1), outputs=3),
    Case(("tanh",), output="identity", loss="hinge"),
    Case(("tanh",), output="tanh", loss="hinge", outputs=3),
    Case(("tanh",), output="sigmoid", loss=choice("losses.Focal", gamma=1.5, alpha=0.25)),
    Case(("tanh",), output="softmax", loss="focal", outputs=3),
    # depth, and no hidden layer at all
    Case((), **SOFTMAX),
    Case(("silu", "tanh"), **SOFTMAX),
    # batches: several tiles, mini-batches with a short last one, single samples
    Case(("tanh",), samples=1201, epochs=5),
    Case(("tanh",), samples=1201, epochs=5, batch=600),
    Case(("tanh",), batch=16, epochs=20),
    Case(("gelu",), batch=16, epochs=20, shuffle=False, outputs=3),
    Case(("sigmoid",), batch=1, epochs=5, rate=0.05),
    Case(("elu", "softplus"), batch=1, epochs=5, rate=0.05, **SOFTMAX),
    # weights
    Case(("tanh",), weighted=True),
    Case(("silu",), batch=16, epochs=20, weighted=True, **BINARY),
    Case(("silu",), batch=16, epochs=10, weighted=True, class_weight="balanced", **SOFTMAX),
    # each optimizer
    Case(("tanh",), optimizer=choice("SGD", learning_rate=0.02, momentum=0.9)),
    Case(("tanh",), batch=16, epochs=20, optimizer=NESTEROV, **SOFTMAX),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("SGD", learning_rate=0.1, clip_norm=0.1)),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("Adagrad")),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("Adadelta")),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("RMSprop")),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("RMSprop", momentum=0.5, centered=True)),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("Adam")),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("Adam", clip_value=0.01)),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("AMSGrad")),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("AdamW", weight_decay=0.1)),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("Nadam")),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("Lion")),
    Case(("tanh",), optimizer=choice("Rprop")),
    Case(("tanh",), epochs=15, optimizer=choice("LBFGS")),
    Case(("tanh",), epochs=6, optimizer=choice("LevenbergMarquardt"), l2=0.01),
    # each schedule
    Case(("tanh",), batch=16, epochs=12, optimizer=descent("StepDecay", every=5)),
    Case(("tanh",), batch=16, epochs=12, optimizer=descent("ExponentialDecay")),
    Case(("tanh",), batch=16, epochs=12, optimizer=descent("CosineDecay", epochs=12)),
    Case(("tanh",), batch=16, epochs=12, optimizer=descent("CosineRestarts", epochs=3, growth=1.5)),
    Case(("tanh",), batch=16, epochs=12, optimizer=descent("InverseScaling")),
    Case(("tanh",), batch=16, epochs=12, optimizer=descent("OneCycle", epochs=12)),
    Case(("tanh",), epochs=12, optimizer=descent("ReduceOnPlateau", patience=2, min_delta=0.01), validation=0.3),
    Case(
        ("tanh",),
        batch=16,
        epochs=12,
        optimizer=choice(
            "SGD",
            learning_rate=choice(
                "schedules.WarmUp", after=choice("schedules.CosineDecay", initial=0.1, epochs=8), epochs=4
            ),
        ),
    ),
    # regularization
    Case(("tanh",), l1=0.01, outputs=3),
    Case(("tanh", "silu"), l1=0.001, l2=0.01, batch=16, epochs=20),
    Case(("tanh",), max_norm=0.5, batch=16, epochs=20),
    Case(("silu",), dropout=0.2, outputs=3),
    Case(("silu", "tanh"), dropout=0.2, batch=16, epochs=20, weighted=True),
    Case(("silu",), normalized=True),
    Case(("silu", "tanh"), normalized=True, batch=16, epochs=20, optimizer=ADAM),
    Case(("tanh", "silu"), frozen=True, batch=16, epochs=20, optimizer=ADAM),
    # validation, metrics, early stopping
    Case(("tanh",), validation=0.3, metrics=OF_NUMBERS, epochs=20, outputs=3),
    Case(("tanh",), **{**SOFTMAX, "outputs": 6}, validation=0.3, metrics=OF_CLASSES, batch=16, epochs=20),
    Case(("tanh",), **BINARY, validation=0.3, metrics=OF_CLASSES[:7], epochs=20, weighted=True),
    Case(("tanh",), optimizer=ADAM, validation=0.3, stopping=choice("EarlyStopping", patience=2), batch=4),
    Case(
        ("tanh",),
        optimizer=ADAM,
        validation=0.3,
        metrics=("r2",),
        stopping=choice("EarlyStopping", monitor="val_r2", patience=3, min_delta=0.01),
        batch=4,
    ),
    # float32
    Case(circle=True, output="sigmoid", initializer="uniform", rate=10.0, epochs=100, dtype="float32"),
    Case(("relu",), outputs=3, dtype="float32"),
    Case(("gelu", "tanh"), batch=16, epochs=20, dtype="float32", **SOFTMAX),
    Case(("silu",), batch=1, epochs=5, rate=0.05, dtype="float32", **BINARY),
    Case(("softplus",), optimizer=NESTEROV, weighted=True, dtype="float32"),
    Case(("tanh",), batch=16, epochs=20, optimizer=choice("Adam"), validation=0.3, dtype="float32"),
    Case(("tanh", "silu"), dropout=0.2, l2=0.01, normalized=True, batch=16, epochs=10, dtype="float32"),
)
