"""A market entry at odds with its data: wrong bounds, a wrong tick. The result is flagged, and the rest stays right."""

from dataclasses import replace

import pytest

from tests.analytics.conftest import SHORT_DAYS
from tests.analytics.markets import calibrate_days, check_lawful, market_of, reason_of, statistics_of
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticTape


def calibrated(tape: SyntheticTape, **declared: float) -> AlmgrenChrissParameters:
    """Days and parameters of the tape by a market entry that declares this."""
    days = statistics_of(tape.trades, tape.books, SHORT_DAYS, **declared)
    found = calibrate_days(days, SHORT_DAYS, market=market_of(**declared))
    check_lawful(found)
    return found


@pytest.mark.parametrize(("price_min", "price_max"), [(0.0, 0.6), (0.6, 1.0), (0.0, 0.1), (2.0, 3.0)])
def test_prices_outside_the_declared_bounds_leave_sigma_unscaled(
    short_tape, short_days, price_min: float, price_max: float
) -> None:
    found = calibrated(short_tape, price_min=price_min, price_max=price_max)
    assert found.flags == ("sigma_unscaled",)
    assert found.sigma_x is None
    assert found.estimates["sigma"] == calibrate_days(short_days, SHORT_DAYS).estimates["sigma"]


def test_mid_at_a_bound_has_no_volatility(short_tape) -> None:
    days = statistics_of(short_tape.trades, short_tape.books, SHORT_DAYS, price_min=0.0, price_max=1.0)
    market = market_of(price_min=0.0, price_max=1.0)
    found = calibrate_days([*days[:-1], replace(days[-1], last_mid=1.0)], SHORT_DAYS, market=market)
    assert "stands at a price bound" in reason_of(found, "sigma")
    check_lawful(found)


#: The books quote in steps of 0.001. What a wrong declaration does to b, to sigma, and which flags say so.
TICKS = {
    0.00001: (None, 1.0, {"tick_mismatch", "book_shallow"}),
    0.0001: (1.09, 1.0, {"tick_mismatch"}),
    0.0005: (1.01, 1.0, {"tick_mismatch"}),
    0.001: (1.0, 1.0, set()),
    0.002: (1.0, 1.0, {"tick_mismatch"}),
    0.01: (1.0, 1.01, {"tick_mismatch", "tick_bound", "book_shallow"}),
    0.1: (1.0, None, {"tick_mismatch", "book_shallow"}),
}


@pytest.mark.parametrize("tick", TICKS)
def test_a_wrong_tick_is_flagged(short_tape, short_days, tick: float) -> None:
    slope, sigma, flags = TICKS[tick]
    right, found = calibrate_days(short_days, SHORT_DAYS), calibrated(short_tape, tick_size=tick)
    assert set(found.flags) == flags
    for name, factor in (("book_slope", slope), ("sigma", sigma)):
        expected = None if factor is None else pytest.approx(factor * right.value(name), rel=0.01)
        assert found.value(name) == expected
    assert found.estimates["gamma"] == right.estimates["gamma"]


def test_without_a_declared_tick_there_is_none_to_miss(short_tape) -> None:
    found = calibrated(short_tape, tick_size=None)
    assert found.flags == ()
    assert found.span_ticks == 25


def test_the_tick_of_a_market_may_change_within_the_window(short_days) -> None:
    # The venue made the tick finer: the newest entry holds, and earlier days stood on its multiples.
    coarser = [replace(day, price_step=0.01) for day in short_days[:2]]
    assert calibrate_days([*coarser, *short_days[2:]], SHORT_DAYS).flags == ()
    assert calibrate_days(coarser, SHORT_DAYS).flags == ("tick_mismatch",)
    unseen = [replace(day, price_step=None) for day in short_days]
    assert calibrate_days(unseen, SHORT_DAYS).flags == ()
