"""An update after every sample."""

from __future__ import annotations

from functools import partial

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import stochastic
from bench.interleave import SECONDS, epochs_for
from bench.subjects import DisagreementError

pytestmark = pytest.mark.compiled


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("network", stochastic.NETWORKS, ids=lambda sizes: "-".join(map(str, sizes)))
def test_epoch(benchmark: BenchmarkFixture, network: tuple[int, ...], dtype: str) -> None:
    """All libraries find the same losses; then fastnn's time is taken."""
    problem = stochastic.Problem(network, dtype, 961 if benchmark.enabled else 20)
    run = stochastic.agreed(problem)["fastnn", ""]
    epochs = epochs_for(run, SECONDS, 1) if benchmark.enabled else 1
    benchmark.group = "stochastic"
    benchmark.pedantic(partial(run, epochs), rounds=10, warmup_rounds=1)
    benchmark.extra_info["updates"] = epochs * problem.rows


def test_another_descent_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate that is not the same."""
    made = stochastic.of_c

    def wrong(problem: stochastic.Problem) -> stochastic.Run:
        run = made(problem)

        def faster(epochs: int) -> object:
            with monkeypatch.context() as patch:
                patch.setattr(stochastic, "RATE", 1.001 * stochastic.RATE)
                return run(epochs)

        return faster

    if not stochastic.shutil.which("cc"):
        pytest.skip("there is no C compiler")
    monkeypatch.setattr(stochastic, "of_c", wrong)
    with pytest.raises(DisagreementError, match="plain C"):
        stochastic.agreed(stochastic.Problem((2, 4, 1), "float64", 20))
