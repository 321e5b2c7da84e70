"""Strategies slice exactly, in order, and know their names."""

from decimal import Decimal
from math import fsum, inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.lots import round_to_lots, sum_exactly
from tributary_pipelines.analytics.optimization.strategies import (
    STRATEGIES,
    TWAP,
    AlmgrenChriss,
    ParentOrder,
    Risk,
    slice_order,
    strategy_named,
)
from tributary_pipelines.core.errors import ConfigurationError, ValidationError

PAPER = ImpactModel(sigma=0.95, gamma=2.5e-7, eta=None, epsilon=0.0625, book_slope=2.5e-6)
ORDER = ParentOrder("sell", 1e6, 5 * 86_400.0, 5)


def test_an_order_knows_its_times_and_sign():
    assert ORDER.sign == -1
    assert ParentOrder("buy", 1, 60.0, 3).sign == 1
    assert ORDER.horizon_days == 5
    assert ORDER.interval_days == 1
    assert ParentOrder("buy", 1, 60.0, 3).slice_starts_s.tolist() == [0, 20, 40]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"side": "long"}, "side must be buy or sell"),
        ({"shares": 0.0}, "--shares"),
        ({"shares": -1.0}, "--shares"),
        ({"shares": nan}, "--shares"),
        ({"shares": inf}, "--shares"),
        ({"horizon_s": 0.0}, "--horizon"),
        ({"horizon_s": nan}, "--horizon"),
        ({"n_slices": 0}, "--slices"),
        ({"n_slices": 100_001}, "--slices"),
        ({"shares": 0.0, "n_slices": 0}, "--shares.*--slices"),
    ],
)
def test_orders_that_make_no_sense(change, message):
    good = {"side": "buy", "shares": 1.0, "horizon_s": 60.0, "n_slices": 1}
    with pytest.raises(ValidationError, match=message):
        ParentOrder(**{**good, **change})


@pytest.mark.parametrize(
    ("given_forms", "message"),
    [
        ({}, "exactly one"),
        ({"urgency": 1.0, "risk_aversion": 1e-6}, "exactly one"),
        ({"urgency": -1.0}, "--urgency"),
        ({"urgency": nan}, "--urgency"),
        ({"risk_aversion": -1e-6}, "--risk-aversion"),
        ({"risk_aversion": inf}, "--risk-aversion"),
        ({"lvar_confidence": 0.4}, "--lvar-confidence"),
        ({"lvar_confidence": 1.0}, "--lvar-confidence"),
        ({"lvar_confidence": nan}, "--lvar-confidence"),
    ],
)
def test_risks_that_make_no_sense(given_forms, message):
    with pytest.raises(ValidationError, match=message):
        Risk(**given_forms)


def test_risk_becomes_risk_aversion():
    assert Risk(risk_aversion=3e-6).aversion_for(ORDER, PAPER) == 3e-6
    assert Risk(urgency=1.0).aversion_for(ORDER, PAPER) == pytest.approx(1.05614503e-7, rel=1e-8)
    assert Risk(lvar_confidence=0.95).aversion_for(ORDER, PAPER) == pytest.approx(1.69411352e-6, rel=3e-9)
    tiny = ParentOrder("buy", 1.0, 5 * 86_400.0, 5)
    assert Risk(lvar_confidence=0.95).aversion_for(tiny, PAPER) == inf


def test_trajectories():
    assert TWAP().generate_schedule(ORDER).tolist() == [2e5] * 5
    quantities = AlmgrenChriss(PAPER, 1e-6).generate_schedule(ORDER)
    np.testing.assert_allclose(
        quantities, [458044.44562608, 252101.33496399, 141956.73158821, 85755.686215957, 62141.801605766], rtol=1e-12
    )
    np.testing.assert_array_equal(AlmgrenChriss(PAPER, 0.0).generate_schedule(ORDER), [2e5] * 5)
    with pytest.raises(ValidationError, match="strategy ac needs sigma"):
        AlmgrenChriss().generate_schedule(ORDER)


@pytest.mark.parametrize("strategy", [TWAP(), AlmgrenChriss(PAPER, 1e-6), AlmgrenChriss(PAPER, inf)])
def test_slice_after_slice_is_the_whole_trajectory(strategy):
    remaining, taken = ORDER.shares, []
    for now_s in ORDER.slice_starts_s:
        taken.append(strategy.next_slice(ORDER, now_s, remaining))
        remaining -= taken[-1]
    np.testing.assert_allclose(taken, strategy.generate_schedule(ORDER), rtol=1e-9)
    assert strategy.next_slice(ORDER, ORDER.horizon_s, 10.0) == 0
    assert strategy.next_slice(ORDER, 0.0, 0.0) == 0


@pytest.mark.parametrize(("horizon_s", "n_slices"), [(7.0, 6), (3600.0, 14), (0.7, 4)])
def test_a_release_belongs_to_its_own_slice_however_it_is_rounded(horizon_s, n_slices):
    order = ParentOrder("buy", 1.0, horizon_s, n_slices)
    found = [TWAP().next_slice(order, now_s, 1.0) for now_s in order.slice_starts_s]
    assert found == [1.0 / left for left in range(n_slices, 0, -1)]


def test_a_missed_slice_is_caught_up():
    assert TWAP().next_slice(ORDER, 4 * 86_400.0, 6e5) == 6e5
    assert TWAP().next_slice(ORDER, 3.5 * 86_400.0, 6e5) == 3e5


def test_names():
    assert {"twap": TWAP, "ac": AlmgrenChriss} == STRATEGIES
    assert strategy_named("ac") is AlmgrenChriss
    with pytest.raises(ConfigurationError, match=r"unknown strategy 'twpa'; did you mean 'twap'\?"):
        strategy_named("twpa")
    with pytest.raises(ConfigurationError, match="known strategies: ac, twap"):
        strategy_named("iceberg")


def test_lots_by_largest_remainder():
    assert round_to_lots(np.array([3.3, 3.3, 3.4]), 10.0, 1.0).tolist() == [3, 3, 4]
    assert round_to_lots(np.full(12, 5 / 12), 5.0, 1.0).tolist() == [1] * 5 + [0] * 7
    assert round_to_lots(np.full(40, 0.625), 25.0, 1.0).tolist() == [1] * 25 + [0] * 15
    assert round_to_lots(np.array([0.14, 0.16]), 0.3, 0.1).tolist() == [0.1, 0.2]
    for shares in (10.5, 0.4):
        with pytest.raises(ValidationError, match="whole number of lots of 1"):
            round_to_lots(np.array([shares]), shares, 1.0)


def test_orders_are_sliced_into_lots_or_exactly():
    order = ParentOrder("buy", 1000.0, 3600.0, 7)
    assert sorted(slice_order(order, "twap", lot_size=10.0).tolist()) == [140.0] * 5 + [150.0] * 2
    exact = slice_order(order, "ac", model=PAPER, risk_aversion=1e-2)
    assert fsum(exact) == 1000.0
    with pytest.raises(ConfigurationError, match="unknown strategy"):
        slice_order(order, "nothing")


weights = st.lists(st.floats(0, 1e3), min_size=1, max_size=50).filter(lambda values: sum(values) > 1e-3)


@given(weights, st.integers(1, 10**7), st.sampled_from([1.0, 0.1, 0.01, 5.0, 0.25, 100.0]))
def test_lots_add_up_and_stay_within_one_lot_of_ideal(values, n_lots, lot_size):
    shares = float(Decimal(repr(lot_size)) * n_lots)
    ideal = np.array(values) * (shares / sum(values))
    rounded = round_to_lots(ideal, shares, lot_size)
    assert sum(Decimal(repr(quantity)) for quantity in rounded.tolist()) == Decimal(repr(shares))
    assert (rounded >= 0).all()
    assert (np.abs(rounded - ideal) < lot_size * (1 + 1e-6)).all()
    np.testing.assert_allclose(rounded / lot_size, np.round(rounded / lot_size), rtol=1e-9)


@given(weights, st.floats(1e-6, 1e12))
def test_exact_sums(values, shares):
    slices = np.array(values) * (shares / sum(values))
    exact = sum_exactly(slices, shares)
    assert fsum(exact) == sum(exact.tolist()) == sum(reversed(exact.tolist())) == shares
    np.testing.assert_allclose(exact, slices, rtol=1e-12, atol=1e-14 * shares)
