"""PyTorch and scikit-learn as second, independent oracles, where they are installed."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from tests.problems import HIDDEN, PAIRS, largest_error, problem

pytestmark = pytest.mark.slow  # they are long in being imported


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def torch_loss(torch, p):
    """Loss and gradient of a problem by PyTorch's automatic differentiation, from its own definitions."""
    functional = torch.nn.functional
    activate = {
        "identity": lambda z: z,
        "sigmoid": torch.sigmoid,
        "hard_sigmoid": lambda z: torch.clamp(z / 6 + 0.5, 0, 1),  # its own has 1/6 in float32
        "tanh": torch.tanh,
        "softsign": functional.softsign,
        "relu": torch.relu,
        "leaky_relu": lambda z: functional.leaky_relu(z, 0.01),
        "elu": functional.elu,
        "selu": functional.selu,
        "gelu": functional.gelu,
        "silu": functional.silu,
        "mish": functional.mish,
        "softplus": functional.softplus,
        "exponential": torch.exp,
        "sine": torch.sin,
        "softmax": lambda z: torch.softmax(z, dim=1),
        "log_softmax": lambda z: torch.log_softmax(z, dim=1),
    }
    flat = torch.tensor(p.parameters, requires_grad=True)
    y, start = torch.tensor(p.X), 0
    for i, (inputs, units) in enumerate(zip(p.sizes, p.sizes[1:], strict=False)):
        weights = flat[start : start + inputs * units].reshape(inputs, units)
        bias = flat[start + inputs * units : start + (inputs + 1) * units]
        start += (inputs + 1) * units
        z = y @ weights + bias
        y = activate[p.output if i == len(p.sizes) - 2 else p.hidden](z)
    t = torch.tensor(p.y)
    if p.loss == "cross_entropy":
        logarithms = y if p.output == "log_softmax" else torch.log(y)
        each = -logarithms[torch.arange(len(t)), t]
    elif p.loss == "focal" and p.output == "softmax":
        each = -(t * (1 - y) ** 2 * torch.log(y)).sum(dim=1)
    elif p.loss == "half_sse":
        each = ((y - t) ** 2).sum(dim=1) / 2
    else:
        of_outputs = {
            "mse": lambda: (y - t) ** 2,
            "mae": lambda: (y - t).abs(),
            "huber": lambda: functional.huber_loss(y, t, reduction="none"),
            "log_cosh": lambda: torch.log(torch.cosh(y - t)),
            "quantile": lambda: torch.maximum(0.5 * (t - y), -0.5 * (t - y)),
            "poisson": lambda: functional.poisson_nll_loss(y, t, log_input=False, eps=0.0, reduction="none"),
            "gamma": lambda: t / y + torch.log(y),
            "binary_cross_entropy": lambda: functional.binary_cross_entropy(y, t, reduction="none"),
            "hinge": lambda: torch.clamp(1 - torch.where(t == 0, -1.0, t) * y, min=0),
            "focal": lambda: -t * (1 - y) ** 2 * torch.log(y) - (1 - t) * y**2 * torch.log(1 - y),
        }
        each = of_outputs[p.loss]().mean(dim=1)
    weights = torch.ones(len(t)) if p.weights is None else torch.tensor(p.weights)
    loss = (weights * each).sum() / weights.sum()
    loss.backward()
    return float(loss.detach()), flat.grad.numpy()


def compare(torch, p):
    found, gradient = p.net.loss_and_gradient(*p.rows, loss=p.loss, sample_weight=p.weights)
    expected, of_torch = torch_loss(torch, p)
    # The rounding of some tens of summands, and of torch.log(sigmoid) in place of our logits.
    assert found == pytest.approx(expected, rel=1e-12)
    assert largest_error(gradient, of_torch) <= 1e-12


@pytest.mark.parametrize("hidden", HIDDEN)
def test_torch_hidden_activations(rng, torch, hidden):
    compare(torch, problem(rng, (3, 7, 5, 2), 21, hidden=hidden, weighted=True))


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_torch_outputs_and_losses(rng, torch, output, loss):
    compare(torch, problem(rng, (3, 7, 4), 21, output=output, loss=loss, weighted=True))


@pytest.mark.parametrize("nesterov", [False, True])
def test_torch_momentum(rng, torch, nesterov):
    p = problem(rng, (3, 1), 21)
    net = p.net
    net.fit(*p.rows, epochs=20, optimizer=fastnn.SGD(0.01, momentum=0.9, nesterov=nesterov))
    flat = torch.tensor(p.parameters, requires_grad=True)
    optimizer = torch.optim.SGD([flat], lr=0.01, momentum=0.9, nesterov=nesterov)
    X, t = torch.tensor(p.X), torch.tensor(p.y)
    for _ in range(20):
        optimizer.zero_grad()
        ((X @ flat[:3].reshape(3, 1) + flat[3:] - t) ** 2).mean().backward()
        optimizer.step()
    assert largest_error(net.parameters, flat.detach().numpy()) <= 1e-12


@pytest.mark.parametrize("activation", ["identity", "tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sklearn_steps_of_batch_gradient_descent(rng, activation, momentum):
    neural_network = pytest.importorskip("sklearn.neural_network")
    p = problem(rng, (3, 6, 1), 40, hidden=activation, loss="half_sse")
    regressor = neural_network.MLPRegressor(
        hidden_layer_sizes=[6],
        activation="logistic" if activation == "sigmoid" else activation,
        solver="sgd",
        alpha=0.0,
        batch_size=40,
        learning_rate_init=0.01,
        momentum=momentum,
        nesterovs_momentum=False,
        shuffle=False,
    )
    X, y = p.X, p.y[:, 0]
    regressor.partial_fit(X, y)  # makes its arrays, which are then overwritten
    net = p.net
    regressor.coefs_ = [layer.weights.copy() for layer in net.layers]
    regressor.intercepts_ = [layer.bias.copy() for layer in net.layers]
    del regressor._optimizer  # the next step makes one, for these arrays and with velocity 0
    losses = []
    for _ in range(5):
        regressor.partial_fit(X, y)
        losses.append(regressor.loss_)
    history = net.fit(X, y, epochs=5, loss="half_sse", optimizer=fastnn.SGD(0.01, momentum=momentum))
    assert history.loss == pytest.approx(losses, rel=1e-12)
    found = np.concatenate(
        [np.append(w.ravel(), b) for w, b in zip(regressor.coefs_, regressor.intercepts_, strict=True)]
    )
    assert largest_error(net.parameters, found) <= 1e-12
