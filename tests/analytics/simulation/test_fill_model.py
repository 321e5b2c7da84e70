"""Fills by hand: depth walked exactly, own trades remembered once, bounds kept."""

from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.analytics.simulation.recorded import BOUNDED, MARKET, START_US
from tributary_pipelines.analytics.simulation.events import MarketEvent, OrderEvent
from tributary_pipelines.analytics.simulation.fill_model import (
    FILL_MODELS,
    MidpointFillModel,
    OrderBookFillModel,
    OwnImpact,
    SpreadFillModel,
    fill_model_named,
)
from tributary_pipelines.core.errors import ConfigurationError

ASKS = [(0.51, 100), (0.52, 100), (0.53, 100)]
BIDS = [(0.49, 100), (0.48, 100), (0.47, 100)]
HALF_LIFE_60_S = log(2) * 1440


def market_at(at_s, *, snapshot_s=None, bids=BIDS, asks=ASKS):
    ladders = [np.array(column, dtype=float) for side in (bids, asks) for column in zip(*side, strict=True)]
    at_us = START_US + round(at_s * 1e6)
    return MarketEvent(at_us, at_us if snapshot_s is None else START_US + round(snapshot_s * 1e6), *ladders)


def order_at(at_s, quantity, sign=1, index=1):
    return OrderEvent(START_US + round(at_s * 1e6), index, sign, quantity)


def take(model, at_s, quantity, *, sign=1, **market):
    """(level, price, quantity) of each fill, and the reason."""
    outcome = model.fill(order_at(at_s, quantity, sign), market_at(at_s, **market))
    return [(fill.level, round(fill.price, 9), fill.quantity) for fill in outcome.fills], outcome.reason


@pytest.mark.parametrize(
    ("rate", "kappa", "first", "second"),
    [(0.0, 8e-5, 0.525, 0.535), (HALF_LIFE_60_S, 8e-5, 0.519, 0.528663), (0.0, 0.0, 0.513, 0.523)],
    ids=["no_refill", "calibrated", "full_refill"],
)
def test_bracket_vector(rate, kappa, first, second):
    model = OrderBookFillModel(OwnImpact(2e-5, kappa, rate), MARKET)
    assert take(model, 0, 150)[0] == [(1, 0.51, 100), (2, 0.52, 50)]
    assert take(model, 60, 100)[0] == [(1, pytest.approx(first, abs=1e-9), 100)]
    assert take(model, 65, 50, snapshot_s=60)[0] == [(2, pytest.approx(second, abs=5e-7), 50)]


def test_a_sell_mirrors_a_buy():
    model = OrderBookFillModel(OwnImpact(2e-5, 8e-5, HALF_LIFE_60_S), MARKET)
    assert take(model, 0, 150, sign=-1)[0] == [(1, 0.49, 100), (2, 0.48, 50)]
    assert take(model, 60, 100, sign=-1)[0] == [(1, pytest.approx(0.481), 100)]


def test_a_fill_explains_itself():
    model = OrderBookFillModel(OwnImpact(1e-4), MARKET)
    model.fill(order_at(0, 40), market_at(0))
    (fill,) = model.fill(order_at(5, 10, index=2), market_at(5, snapshot_s=0)).fills
    assert (fill.slice_index, fill.level, fill.quantity, fill.sign) == (2, 1, 10, 1)
    assert (fill.displayed_price, fill.displayed_size, fill.depleted) == (0.51, 100, 40)
    assert (fill.gamma_shift, fill.kappa_shift, fill.price) == (0, 0, 0.51)
    assert (fill.best, fill.mid, fill.snapshot_age_s) == (0.51, 0.5, 5)
    (later,) = model.fill(order_at(10, 10), market_at(10)).fills
    assert later.gamma_shift == pytest.approx(50 * 1e-4)
    assert later.depleted == 0


def test_depth_runs_out():
    fills, reason = take(OrderBookFillModel(OwnImpact(), MARKET), 0, 301)
    assert sum(quantity for *_, quantity in fills) == 300
    assert reason == "depth_exhausted: the book showed no more (300 of 301 shares filled)"
    model = OrderBookFillModel(OwnImpact(), MARKET)
    assert take(model, 0, 300)[1] is None
    assert take(model, 5, 1, snapshot_s=0) == ([], "depth_exhausted: the book showed no more (0 of 1 shares filled)")
    assert take(model, 10, 1)[0] == [(1, 0.51, 1)]


def test_levels_beyond_the_ladder_and_empty_ones_are_no_depth():
    asks = [(0.51, 100), (0.52, 0), (np.nan, np.nan)]
    fills, reason = take(OrderBookFillModel(OwnImpact(), MARKET), 0, 150, asks=asks)
    assert fills == [(1, 0.51, 100)]
    assert reason is not None


def test_eaten_to_the_last_digit_is_eaten():
    model = OrderBookFillModel(OwnImpact(), MARKET)
    for _ in range(10):
        take(model, 0, 0.1, snapshot_s=0, asks=[(0.51, 1.0), (0.52, 5.0)])
    fills, _ = take(model, 0, 1.0, snapshot_s=0, asks=[(0.51, 1.0), (0.52, 5.0)])
    assert fills == [(2, 0.52, 1.0)]


def test_rounding_of_a_sum_fills_no_further_level():
    assert 0.7 + 0.1 < 0.8
    fills, reason = take(OrderBookFillModel(OwnImpact(), MARKET), 0, 0.8, asks=[(0.51, 0.7), (0.52, 0.1), (0.53, 9.0)])
    assert [level for level, *_ in fills] == [1, 2]
    assert reason is None


def test_price_bounds():
    edge = [(0.98, 10), (0.99, 10), (1.0, 10)]
    low = [(0.02, 10), (0.01, 10), (0.005, 10)]
    fills, reason = take(OrderBookFillModel(OwnImpact(), BOUNDED), 0, 30, asks=edge)
    assert [level for level, *_ in fills] == [1, 2]
    assert reason == "outside_price_bounds: own impact moved the rest (20 of 30 shares filled)"
    fills, _ = take(OrderBookFillModel(OwnImpact(), BOUNDED), 0, 30, sign=-1, bids=low, asks=ASKS)
    assert [level for level, *_ in fills] == [1, 2]
    shifted = OrderBookFillModel(OwnImpact(gamma=1e-3), BOUNDED)
    assert take(shifted, 0, 10, asks=edge)[0] == [(1, 0.98, 10)]
    assert take(shifted, 10, 30, asks=edge)[0] == [(1, 0.99, 10)]
    assert take(shifted, 20, 30, asks=edge)[0] == []


def test_without_a_tick_the_bounds_themselves_can_be_traded():
    market = BOUNDED.model_copy(update={"tick_size": None})
    edge = [(0.99, 10), (1.0, 10)]
    assert len(take(OrderBookFillModel(OwnImpact(), market), 0, 30, asks=edge)[0]) == 2


def test_prices_never_reach_zero_where_no_bounds_are_declared():
    model = OrderBookFillModel(OwnImpact(gamma=1e-3), MARKET)
    bids = [(0.02, 30), (0.01, 30)]
    take(model, 0, 15, sign=-1, bids=bids)
    assert take(model, 10, 60, sign=-1, bids=bids)[0] == [(1, 0.005, 30)]


def test_flattering_models_know_no_depth():
    assert take(SpreadFillModel(OwnImpact(), MARKET), 0, 1e6) == ([(1, 0.51, 1e6)], None)
    assert take(SpreadFillModel(OwnImpact(), MARKET), 0, 1e6, sign=-1) == ([(1, 0.49, 1e6)], None)
    for sign in (1, -1):
        assert take(MidpointFillModel(OwnImpact(), MARKET), 0, 1e6, sign=sign) == ([(1, 0.5, 1e6)], None)
    model = SpreadFillModel(OwnImpact(gamma=1e-4), MARKET)
    take(model, 0, 100)
    assert take(model, 10, 100)[0] == [(1, 0.52, 100)]
    assert model.fill(order_at(20, 1), market_at(20)).fills[0].displayed_size == inf


def test_names():
    assert set(FILL_MODELS) == {"orderbook", "midpoint", "spread"}
    assert fill_model_named("orderbook") is OrderBookFillModel
    with pytest.raises(ConfigurationError, match="unknown fill model 'limit'; known fill models: orderbook"):
        fill_model_named("limit")


levels = st.lists(st.floats(0, 1e4), min_size=1, max_size=8)


@given(levels, st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=6), st.sampled_from([1, -1]))
def test_fills_never_exceed_depth_and_nothing_gets_lost(sizes, slices, sign):
    """All slices meet one snapshot: together they get what they ask or what it shows."""
    asks = [(0.51 + 0.01 * level, size) for level, size in enumerate(sizes)]
    bids = [(1 - price, size) for price, size in asks]
    model = OrderBookFillModel(OwnImpact(1e-5, 1e-5, 1.0), MARKET)
    taken = np.zeros(len(sizes))
    for at_s, quantity in enumerate(slices):
        outcome = model.fill(order_at(at_s, quantity, sign), market_at(at_s, snapshot_s=0, bids=bids, asks=asks))
        for fill in outcome.fills:
            taken[fill.level - 1] += fill.quantity
    assert (taken <= np.array(sizes) * (1 + 1e-12)).all()
    assert taken.sum() == pytest.approx(min(sum(slices), sum(sizes)), rel=1e-9, abs=1e-6)


@given(levels, st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6), st.booleans())
def test_buying_yes_is_selling_no(sizes, slices, is_same_snapshot):
    asks = [(0.51 + 0.01 * level, size) for level, size in enumerate(sizes)]
    mirrored = [(1 - price, size) for price, size in asks]
    impact = OwnImpact(1e-6, 1e-6, 100.0)
    buys, sells = OrderBookFillModel(impact, BOUNDED), OrderBookFillModel(impact, BOUNDED)
    for at_s, quantity in enumerate(slices):
        when = {"snapshot_s": 0 if is_same_snapshot else None}
        bought, _ = take(buys, at_s, quantity, asks=asks, **when)
        sold, _ = take(sells, at_s, quantity, sign=-1, bids=mirrored, asks=[(0.6, 1)], **when)
        assert [(level, pytest.approx(1 - price, abs=2e-9), amount) for level, price, amount in bought] == sold
