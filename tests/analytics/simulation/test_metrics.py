"""Mids, benchmarks and the split of the shortfall, by hand."""

import numpy as np
import pytest

from tests.analytics.simulation.recorded import MARKET, START_US, book, books_of, trades_of
from tributary_pipelines.analytics.simulation.events import FillEvent
from tributary_pipelines.analytics.simulation.metrics import (
    OrderMids,
    market_twap,
    market_vwap,
    measure_shortfall,
    mid_at,
)
from tributary_pipelines.core.frames import no_order_books, no_trades

TAPE = books_of(
    book(0, [(0.49, 10)], [(0.51, 10)]),
    book(10, [(0.50, 10)], [(0.52, 10)]),
    book(20, [(0.50, 10)], []),
    book(30, [(0.55, 10)], [(0.54, 10)]),
    book(100, [(0.57, 10)], [(0.59, 10)]),
)


def at(seconds):
    return START_US + round(seconds * 1e6)


@pytest.mark.parametrize(
    ("seconds", "mid"),
    [(-1, None), (0, 0.50), (9.999999, 0.50), (10, 0.51), (35, 0.51), (40, 0.51), (40.000001, None), (100, 0.58)],
)
def test_the_last_usable_mid_at_or_before(seconds, mid):
    assert mid_at(TAPE, at(seconds), 30.0) == (None if mid is None else pytest.approx(mid))


def test_a_locked_book_has_no_mid():
    locked = books_of(book(0, [(0.49, 1)], [(0.51, 1)]), book(5, [(0.6, 1)], [(0.6, 1)]))
    assert mid_at(locked, at(5), 30.0) == pytest.approx(0.5)


def test_nothing_recorded():
    assert mid_at(no_order_books(), at(0), 30.0) is None
    assert market_twap(no_order_books(), at(0), at(10), 30.0) is None
    assert market_vwap(no_trades(), at(0), at(10)) is None


def test_time_weighted_mid_leaves_stale_stretches_out():
    # .50 for 10 s, .51 for 30 s until it is stale, nothing until 100 s, .58 for 5 s
    assert market_twap(TAPE, at(0), at(105), 30.0) == pytest.approx((0.50 * 10 + 0.51 * 30 + 0.58 * 5) / 45)
    assert market_twap(TAPE, at(5), at(20), 30.0) == pytest.approx((0.50 * 5 + 0.51 * 10) / 15)
    assert market_twap(TAPE, at(12), at(15), 30.0) == pytest.approx(0.51)
    assert market_twap(TAPE, at(50), at(90), 30.0) is None


def test_volume_weighted_price_of_the_life():
    trades = trades_of((0, 0.5, 10, 1), (5, 0.6, 30, -1), (10, 0.9, 99, 1))
    assert market_vwap(trades, at(0), at(10)) == pytest.approx(0.575)
    assert market_vwap(trades, at(1), at(5)) is None


def fill(quantity, displayed, *, sign=1, best, mid, by_gamma=0.0, by_kappa=0.0):
    return FillEvent(at(0), 1, sign, 1, quantity, displayed, 1e9, 0.0, by_gamma, by_kappa, at(0), best, mid)


def test_perold_by_hand():
    """Buy 1000: decided at 100, released at 100.5, 600 @ 101 and 200 @ 101.5, end 102, fee .01 a share."""
    fills = [fill(600, 101.0, best=101.0, mid=100.8), fill(200, 101.5, best=101.2, mid=101.0)]
    market = MARKET.model_copy(update={"fee_model": "per_contract", "fee_rate": 0.01})
    parts = measure_shortfall(
        fills,
        sign=1,
        unfilled=200,
        mids=OrderMids(100.0, 100.5, 102.0),
        gamma=0.0,
        market=market,
        splits_impact=True,
    )
    assert parts.total == pytest.approx(1308)
    assert (parts.delay, parts.opportunity, parts.fees) == (500, 300, pytest.approx(8))
    assert parts.spread == pytest.approx(600 * 0.2 + 200 * 0.2)
    assert parts.temporary == pytest.approx(200 * 0.3)
    assert parts.permanent == 0
    assert parts.timing == pytest.approx(600 * 0.3 + 200 * 0.5)


def test_a_sell_by_hand():
    """Sell 1000: decided at 100, released at 99.6, 600 @ 99.2 and 200 @ 98.9, end 98.5, fee .01 a share."""
    fills = [fill(600, 99.2, sign=-1, best=99.2, mid=99.3), fill(200, 98.9, sign=-1, best=99.0, mid=99.1)]
    market = MARKET.model_copy(update={"fee_model": "per_contract", "fee_rate": 0.01})
    parts = measure_shortfall(
        fills,
        sign=-1,
        unfilled=200,
        mids=OrderMids(100.0, 99.6, 98.5),
        gamma=0.0,
        market=market,
        splits_impact=True,
    )
    assert parts.total == pytest.approx(1008)
    assert (parts.delay, parts.opportunity) == (pytest.approx(400), pytest.approx(220))
    assert parts.spread + parts.temporary + parts.timing == pytest.approx(380)


def test_what_stays_unsold_is_worth_less_after_own_sales():
    parts = measure_shortfall(
        [fill(200, 0.49, sign=-1, best=0.49, mid=0.50)],
        sign=-1,
        unfilled=50,
        mids=OrderMids(0.5, 0.5, 0.5),
        gamma=2e-5,
        market=MARKET,
        splits_impact=True,
    )
    assert parts.opportunity == pytest.approx(50 * 2e-5 * 200)


def test_own_impact_is_split_and_follows_the_unfilled_rest():
    fills = [fill(100, 0.51, best=0.51, mid=0.50), fill(100, 0.52, best=0.51, mid=0.50, by_gamma=0.002, by_kappa=0.003)]
    arguments = {"sign": 1, "unfilled": 50, "mids": OrderMids(0.5, 0.5, 0.49), "gamma": 2e-5, "market": MARKET}
    parts = measure_shortfall(fills, **arguments, splits_impact=True)
    assert parts.spread == pytest.approx(2.0)
    assert parts.temporary == pytest.approx(1.0 + 0.3)
    assert parts.permanent == pytest.approx(0.2)
    assert parts.timing == 0
    assert parts.opportunity == pytest.approx(50 * (0.49 + 2e-5 * 200 - 0.5))
    unsplit = measure_shortfall(fills, **arguments, splits_impact=False)
    assert (unsplit.temporary, unsplit.permanent) == (None, None)
    assert unsplit.timing == pytest.approx(1.5)
    assert unsplit.total == pytest.approx(parts.total)


@pytest.mark.parametrize(
    ("mids", "unfilled", "known"),
    [
        (OrderMids(None, 0.5, 0.5), 0.0, {"timing", "opportunity"}),
        (OrderMids(None, None, 0.5), 0.0, set()),
        (OrderMids(0.5, 0.5, None), 1.0, {"delay", "timing"}),
        (OrderMids(0.5, 0.5, None), 0.0, {"delay", "timing", "opportunity", "total"}),
    ],
)
def test_a_missing_mid_leaves_nulls_not_zeros(mids, unfilled, known):
    parts = measure_shortfall(
        [fill(100, 0.51, best=0.51, mid=0.50)],
        sign=1,
        unfilled=unfilled,
        mids=mids,
        gamma=0.0,
        market=MARKET,
        splits_impact=True,
    )
    assert {name for name in ("delay", "timing", "opportunity", "total") if getattr(parts, name) is not None} == known
    assert parts.spread == pytest.approx(1.0)


def test_fees_follow_the_fill_price():
    market = MARKET.model_copy(update={"fee_model": "quadratic", "fee_rate": 0.2})
    parts = measure_shortfall(
        [fill(100, 0.5, best=0.5, mid=0.5, by_gamma=0.1)],
        sign=1,
        unfilled=0.0,
        mids=OrderMids(0.5, 0.5, 0.5),
        gamma=0.0,
        market=market,
        splits_impact=True,
    )
    assert parts.fees == pytest.approx(100 * 0.2 * 0.6 * 0.4)
    assert np.isclose(parts.total, parts.fees + 10.0)
