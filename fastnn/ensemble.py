"""Ensembles of networks, whose predictions are averaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from fastnn import checks
from fastnn.many import Fits, fit_many
from fastnn.network import Sequential

Array = npt.NDArray[Any]


class Ensemble(Sequence[Sequential]):
    """An ensemble: networks whose predictions are averaged, and whose spread is an estimate of the uncertainty.

    It is enough that the networks differ in their initial weights (Lakshminarayanan, Pritzel and Blundell, 2017,
    "Simple and scalable predictive uncertainty estimation using deep ensembles"). If the outputs are
    probabilities, so is their mean.

    Parameters
    ----------
    networks : Sequential networks with the same numbers of inputs and outputs, none of them twice.

    Raises
    ------
    TypeError, ValueError
        If networks has the wrong type or value.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.circle(density=10)
    >>> ensemble = Ensemble(fastnn.mlp([2, 8, 1], output="sigmoid", seed=seed) for seed in range(5))
    >>> fits = ensemble.fit(X, y, epochs=500, optimizer=fastnn.Adam(0.05), loss="binary_cross_entropy")
    >>> mean, spread = ensemble.predict([[0.0, 0.0], [9.0, 9.0]], return_std=True)
    >>> mean.shape, bool(mean[0, 0] > 0.9)
    ((2, 1), True)
    """

    def __init__(self, networks: Iterable[Sequential]) -> None:
        self.networks: Sequence[Sequential] = tuple(checks.members(networks, "networks", Sequential))
        first = self.networks[0]
        for i, net in enumerate(self.networks):
            if (net.inputs, net.outputs) != (first.inputs, first.outputs):
                raise ValueError(
                    f"networks[{i}] has {net.inputs} input(s) and {net.outputs} output(s), and networks[0] "
                    f"{first.inputs} and {first.outputs}; they have to be the same for all"
                )
            if any(net is other for other in self.networks[:i]):
                raise ValueError(f"networks[{i}] stands in the ensemble twice; it would count double")

    def __len__(self) -> int:
        return len(self.networks)

    @overload
    def __getitem__(self, at: int) -> Sequential: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Sequential]: ...

    def __getitem__(self, at: int | slice) -> Sequential | Sequence[Sequential]:
        return self.networks[at]

    def __iter__(self) -> Iterator[Sequential]:
        return iter(self.networks)

    def __repr__(self) -> str:
        first = self.networks[0]
        return f"<Ensemble: {len(self)} networks, {first.inputs} inputs, {first.outputs} outputs>"

    def fit(self, X: Any, y: Any = None, **options: Any) -> Fits:
        """Train all networks at once.

        Parameters
        ----------
        X, y, options : as for ``fit_many``; ``each([...])`` gives each network a value of its own.

        Returns
        -------
        Fits : the histories, in the order of the networks, and which network is the best.

        Raises
        ------
        TypeError, ValueError
            As for ``fit_many``.
        """
        return fit_many(self.networks, X, y, **options)

    @overload
    def predict(self, X: Any, *, return_std: Literal[False] = False, threads: int | None = None) -> Array: ...

    @overload
    def predict(self, X: Any, *, return_std: Literal[True], threads: int | None = None) -> tuple[Array, Array]: ...

    def predict(
        self, X: Any, *, return_std: bool = False, threads: int | None = None
    ) -> Array | tuple[Array, Array]:
        """Return the mean of the networks' predictions.

        Parameters
        ----------
        X : (n, inputs) numbers.
        return_std : whether to return the spread too.
        threads : the greatest number of threads to use, as in ``Sequential.predict``; the result does not depend
            on it.

        Returns
        -------
        (n, outputs) float64, the mean over the networks; with return_std a tuple (mean, spread), where the spread
        is the standard deviation over the networks, √(Σ(p - mean)²/m) for m of them, so that it is 0 for one.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or value.
        """
        wanted = checks.truth(return_std, "return_std")
        # Welford's algorithm: it does not keep all predictions, and loses no digits where they are close.
        mean = self.networks[0].predict(X, threads=threads).astype(np.float64)
        squares = np.zeros_like(mean)
        for count, net in enumerate(self.networks[1:], 2):
            before = net.predict(X, threads=threads) - mean
            mean += before / count
            if wanted:
                squares += before * before * ((count - 1) / count)
        return (mean, np.sqrt(squares / len(self))) if wanted else mean
