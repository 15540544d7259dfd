"""The loss as a function of the parameters, for optimizers that evaluate several points before they move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .layers import Dense
from .losses import Loss

if TYPE_CHECKING:
    from .network import Sample, Sequential


class Problem:
    """The samples and the loss of a fit, in one epoch.

    frozen (P,) says which parameters are not trained: their gradients count as 0.
    """

    def __init__(
        self,
        net: Sequential,
        samples: list[Sample],
        loss: str | Loss,
        dropout: tuple[int, int],
        frozen: list[bool],
    ) -> None:
        self.net = net
        self.samples = samples
        self.loss = loss
        self.dropout = dropout  # seed and epoch
        self.frozen = frozen

    def loss_and_gradient(self, parameters: list[float]) -> tuple[float, list[float]]:
        """L and dL/dparameters (P,) at the given parameters, which the network has afterwards."""
        self.net.parameters = parameters
        batch = range(len(self.samples))
        total, weight, self.outputs = self.net._backpropagate(
            self.samples, batch, self.loss, self.dropout, keep_outputs=True
        )
        return total / weight, without(self.frozen, self.net.gradients)

    def normal_equations(self, parameters: list[float]) -> tuple[float, list[float], list[list[float]]]:
        """L, dL/dparameters (P,) and the Gauss-Newton matrix (P, P) at the given parameters.

        L is a sum of c (w / Σ w) (p_k - t_k)² over samples and outputs, with c = 1/K for mse and 1/2 for
        half_sse. With J (P,) the gradient of output k of a sample, its second derivative is
        2 c (w / Σ w) (J Jᵀ + (p_k - t_k) d²p_k); the matrix has the first part only. An l2 penalty adds
        its own second derivative, 2 l2 on the diagonal.
        """
        loss, gradient = self.loss_and_gradient(parameters)
        K = self.net.last.units
        factor = 2.0 / K if self.loss == "mse" else 1.0
        total_weight = 0.0
        for _, _, weight in self.samples:
            total_weight += weight
        matrix = [[0.0] * len(parameters) for _ in parameters]
        for row, _, weight in self.samples:
            if weight == 0.0:
                continue
            for k in range(K):
                self.net.zero_grad()
                self.net.forward_row(row)
                self.net.backward_row([1.0 if j == k else 0.0 for j in range(K)])
                J = without(self.frozen, self.net.gradients)
                for i, J_i in enumerate(J):
                    for j, J_j in enumerate(J):
                        matrix[i][j] += factor * weight / total_weight * J_i * J_j
        for i, curvature in enumerate(without(self.frozen, self._curvature_of_penalties())):
            matrix[i][i] += curvature
        return loss, gradient, matrix

    def _curvature_of_penalties(self) -> list[float]:
        """2 l2 for each weight, 0 for all other parameters."""
        curvature: list[float] = []
        for layer in self.net.layers:
            if isinstance(layer, Dense):
                curvature += [2.0 * (layer.l2 or 0.0)] * (layer.inputs * layer.units) + [0.0] * layer.units
            else:
                curvature += [0.0] * len(layer.parameters)
        return curvature


def without(frozen: list[bool], gradient: list[float]) -> list[float]:
    """The gradient, with 0 for parameters that are frozen."""
    if not any(frozen):
        return gradient
    return [0.0 if still else g for still, g in zip(frozen, gradient)]
