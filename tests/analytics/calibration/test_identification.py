"""What each parameter needs, and the words of its refusal; the others stay."""

from dataclasses import replace

import numpy as np
import pytest

from tests.analytics.conftest import SHORT_DAYS
from tests.analytics.markets import (
    calibrate_days,
    market_of,
    reason_of,
    statistics_of,
    with_signs,
    with_sizes,
)
from tributary_pipelines.core.frames import Trades, no_order_books, no_trades
from tributary_pipelines.core.units import PARAMETER_UNITS


def test_span_is_the_median_of_the_sampled_books(short_days) -> None:
    counts = np.zeros(26)
    counts[[3, 14, 25]] = 40, 30, 30
    found = calibrate_days([replace(day, span_counts=counts) for day in short_days], SHORT_DAYS)
    assert (found.span_ticks, found.flags) == (14, ())


def test_eta_and_its_interval_are_the_slopes_times_the_interval_in_days(short_days) -> None:
    found = calibrate_days(short_days, SHORT_DAYS, eta_interval_s=43_200)
    eta, slope = found.estimates["eta"], found.estimates["book_slope"]
    for end in ("value", "ci_low", "ci_high"):
        assert getattr(eta, end) == pytest.approx(getattr(slope, end) / 2, rel=1e-12)
    assert found.eta_interval_s == 43_200


def test_epsilon_holds_the_fee_at_the_last_mid_and_its_interval_shifts_by_it(short_days) -> None:
    free = calibrate_days(short_days, SHORT_DAYS)
    paid = calibrate_days(short_days, SHORT_DAYS, market=market_of(fee_model="bps", fee_rate=50))
    assert (free.fee_per_share, paid.fee_per_share) == (0, pytest.approx(0.005 * paid.last_mid))
    for end in ("value", "ci_low", "ci_high"):
        expected = getattr(free.estimates["epsilon"], end) + paid.fee_per_share
        assert getattr(paid.estimates["epsilon"], end) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("fee", "expected"),
    [
        ({"fee_model": "per_contract", "fee_rate": 0.02}, 0.02),
        ({"fee_model": "quadratic", "fee_rate": 0.07}, 0.07 * 0.6485 * 0.3515),
    ],
)
def test_fee_follows_the_markets_model(short_days, fee, expected: float) -> None:
    found = calibrate_days(short_days, SHORT_DAYS, market=market_of(**fee))
    assert found.last_mid == pytest.approx(0.6485)
    assert found.fee_per_share == pytest.approx(expected)


def test_trades_without_books_identify_nothing(short_tape) -> None:
    found = calibrate_days(statistics_of(short_tape.trades, no_order_books(), SHORT_DAYS), SHORT_DAYS)
    assert found.status == "refused"
    assert all(found.value(name) is None for name in PARAMETER_UNITS)
    assert "no order-book snapshots" in reason_of(found, "book_slope")
    assert "made from book_slope" in reason_of(found, "eta")
    assert found.last_mid is None


def test_books_without_trades_give_volatility_and_cost(short_tape) -> None:
    found = calibrate_days(statistics_of(no_trades(), short_tape.books, SHORT_DAYS), SHORT_DAYS)
    assert found.status == "refused"
    assert {name for name in PARAMETER_UNITS if found.value(name) is None} == {"gamma", "resilience_rate"}
    assert "no trades in the window" in reason_of(found, "gamma")
    assert (found.r2, found.lead_t, found.side_attenuation) == (None, None, 1)


def test_flow_against_the_price_is_refused(short_tape) -> None:
    against = with_signs(short_tape.trades, -short_tape.trades.signs)
    found = calibrate_days(statistics_of(against, short_tape.books, SHORT_DAYS), SHORT_DAYS)
    assert found.value("gamma") is None
    assert found.gamma_own < 0
    assert "is not positive" in reason_of(found, "gamma")
    assert "no part of the impact is seen to fade" in reason_of(found, "resilience_rate")


def test_flow_that_explains_nothing_is_refused(short_tape) -> None:
    random = np.random.default_rng(5).choice([-1, 1], len(short_tape.trades))
    found = calibrate_days(
        statistics_of(with_signs(short_tape.trades, random), short_tape.books, SHORT_DAYS), SHORT_DAYS
    )
    assert 0 < found.gamma_t < 2
    assert f"t is {found.gamma_t:.2f}, 2 is needed" in reason_of(found, "gamma")
    assert "gamma_nonpos" not in found.flags


def test_gamma_above_twice_the_slope_is_refused(short_tape, short_days) -> None:
    deep = with_sizes(short_tape.books, 100)
    found = calibrate_days(statistics_of(short_tape.trades, deep, SHORT_DAYS), SHORT_DAYS)
    assert found.status == "refused"
    assert "is not below twice the book slope" in reason_of(found, "gamma")
    assert found.value("book_slope") == pytest.approx(calibrate_days(short_days, SHORT_DAYS).value("book_slope") / 100)
    assert (found.kappa_book, found.transient_eta) == (None, None)


def test_sides_of_the_rule_stand_in_for_missing_ones(short_tape, short_days) -> None:
    unsigned = with_signs(short_tape.trades, np.zeros(len(short_tape.trades)))
    found = calibrate_days(statistics_of(unsigned, short_tape.books, SHORT_DAYS), SHORT_DAYS)
    assert found.status == "ok"
    assert found.value("gamma") == pytest.approx(calibrate_days(short_days, SHORT_DAYS).value("gamma"), rel=0.05)
    # Without one trade whose side is known nothing says how often the rule is right.
    assert found.side_attenuation is None


def test_attenuation_is_measured_on_the_sides_that_are_known(short_tape) -> None:
    trades = short_tape.trades
    rng = np.random.default_rng(4)
    # A tenth of the venue's sides contradict the rule, and half of the trades have none: 1 - 2 * 0.1 * 0.5.
    signs = np.where(rng.uniform(size=len(trades)) < 0.1, -trades.signs, trades.signs)
    signs = np.where(rng.uniform(size=len(trades)) < 0.5, signs, 0)
    found = calibrate_days(statistics_of(with_signs(trades, signs), short_tape.books, SHORT_DAYS), SHORT_DAYS)
    assert found.side_attenuation == pytest.approx(0.9, abs=0.02)


def test_huge_trade_is_refused_and_the_rest_stays(short_tape) -> None:
    sizes = short_tape.trades.sizes.copy()
    sizes[100] = 1e200
    trades = Trades(short_tape.trades.times, short_tape.trades.prices, sizes, short_tape.trades.signs)
    found = calibrate_days(statistics_of(trades, short_tape.books, SHORT_DAYS), SHORT_DAYS)
    assert "too large to square" in reason_of(found, "gamma")
    assert "too large to square" in reason_of(found, "resilience_rate")
    assert found.value("sigma") is not None


def test_huge_spread_is_refused(short_days) -> None:
    broken = replace(short_days[0], spread_time=np.full(12, np.nan))
    found = calibrate_days([broken, *short_days[1:]], SHORT_DAYS)
    assert "too large to sum" in reason_of(found, "epsilon")


def test_coarse_tick_with_little_movement_refuses_sigma(short_days) -> None:
    found = calibrate_days(short_days, SHORT_DAYS, market=market_of(tick_size=0.2))
    assert found.value("sigma") is None
    assert "more than 12 h" in reason_of(found, "sigma")


def test_tick_of_the_books_serves_when_the_market_has_none(short_tape, short_days) -> None:
    days = statistics_of(short_tape.trades, short_tape.books, SHORT_DAYS, tick_size=None)
    assert {day.tick_size for day in days} == {0.001}
    found = calibrate_days(days, SHORT_DAYS, market=market_of(tick_size=None))
    assert found.value("sigma") == calibrate_days(short_days, SHORT_DAYS).value("sigma")


def test_volatility_of_a_bounded_price_is_that_of_its_state_at_the_last_mid(short_tape, short_days) -> None:
    bounds = {"price_min": 0.0, "price_max": 1.0}
    days = statistics_of(short_tape.trades, short_tape.books, SHORT_DAYS, **bounds)
    found = calibrate_days(days, SHORT_DAYS, market=market_of(**bounds))
    scale = found.last_mid * (1 - found.last_mid)
    sigma = found.estimates["sigma"]
    assert sigma.value == pytest.approx(found.sigma_x * scale, rel=1e-12)
    # Twice the scale is twice the interval: the same days, had they ended elsewhere.
    elsewhere = [*days[:-1], replace(days[-1], last_mid=0.5)]
    moved = calibrate_days(elsewhere, SHORT_DAYS, market=market_of(**bounds)).estimates["sigma"]
    for end in ("value", "ci_low", "ci_high"):
        assert getattr(moved, end) == pytest.approx(getattr(sigma, end) * 0.25 / scale, rel=1e-12)
    plain = calibrate_days(short_days, SHORT_DAYS)
    assert plain.sigma_x is None
    assert plain.value("sigma") != pytest.approx(sigma.value, rel=1e-3)
