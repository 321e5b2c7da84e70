"""In a market of known parameters a replay costs what theory says; the tape's own mid takes out the price risk."""

from datetime import UTC, datetime

import numpy as np
import pytest

from tests.analytics.simulation.recorded import MARKET
from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.plan import plan_order
from tributary_pipelines.analytics.optimization.strategies import ParentOrder
from tributary_pipelines.analytics.simulation.engine import simulate_order
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticMarket, generate_tape
from tributary_pipelines.core.units import US_PER_DAY, US_PER_S, to_us

START = datetime(2026, 1, 1, tzinfo=UTC)
N_DAYS = 7


@pytest.fixture(scope="module")
def tape():
    return generate_tape(SyntheticMarket(levels=40), start=START, n_days=N_DAYS, rng=np.random.default_rng(5))


@pytest.mark.parametrize(
    ("shares", "n_slices", "interval_s", "n_orders", "theory"),
    [(5000, 12, 1800, 27, 100.68), (5000, 60, 60, 80, 93.94), (2000, 60, 10, 120, 27.85), (2000, 60, 5, 120, 33.13)],
)
def test_replayed_cost_agrees_with_theory(tape, shares, n_slices, interval_s, n_orders, theory):
    truth = tape.truth
    model = ImpactModel(
        truth["sigma"],
        truth["gamma"],
        None,
        truth["epsilon"],
        book_slope=truth["book_slope"],
        resilience_rate=truth["resilience_rate"],
    )
    horizon_s = n_slices * interval_s
    starts = to_us(START) + 60 * US_PER_S + np.linspace(0, N_DAYS * US_PER_DAY - (horizon_s + 120) * US_PER_S, n_orders)
    costs = []
    for k, start_us in enumerate(starts.astype(np.int64).tolist()):
        order = ParentOrder("buy" if k % 2 else "sell", float(shares), float(horizon_s), n_slices, start_us)
        plan = plan_order(order, model, strategy="twap")
        result = simulate_order(order, plan, tape.books, tape.trades, model=model, market=MARKET)
        assert result.unfilled == 0
        costs.append(result.shortfall.total - result.shortfall.timing)
    assert plan.expected_cost == pytest.approx(theory, abs=0.006)
    standard_error = np.std(costs) / np.sqrt(n_orders)
    assert abs(np.mean(costs) - plan.expected_cost) < 3 * standard_error + 0.01 * plan.expected_cost
