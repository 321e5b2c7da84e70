"""Bad market data on its way through the day's sums and the calibration: an error in words, a flag or a refusal.

Warnings are errors in this suite, so that none of these cases may even make numpy complain.
"""

from dataclasses import replace
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.conftest import SHORT_DAYS
from tests.analytics.markets import (
    START_US,
    books_of,
    calibrate_days,
    check_lawful,
    reason_of,
    refused_of,
    statistics_of,
)
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters, CalibrationGates
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import OrderBooks, Trades, no_order_books, no_trades
from tributary_pipelines.core.units import PARAMETER_UNITS, US_PER_S

LADDERS = ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")
ALL = set(PARAMETER_UNITS)
NOON_US = 43_200 * US_PER_S


def calibrated(trades: Trades, books: OrderBooks, **options) -> AlmgrenChrissParameters:
    found = calibrate_days(statistics_of(trades, books, SHORT_DAYS), SHORT_DAYS, **options)
    check_lawful(found)
    return found


def with_value(rows, field: str, where, value: float):
    values = getattr(rows, field).copy()
    values[where] = value
    return replace(rows, **{field: values})


def with_ladders(books: OrderBooks, change) -> OrderBooks:
    return replace(books, **{name: change(getattr(books, name)) for name in LADDERS})


def crossed(books: OrderBooks, rows: slice) -> OrderBooks:
    """These rows with the asks moved below the bids."""
    asks = books.ask_prices.copy()
    asks[rows] -= 0.05
    return replace(books, ask_prices=asks)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -0.5])
@pytest.mark.parametrize("field", ["prices", "sizes"])
def test_trades_that_are_not_finite_and_positive_are_an_error(short_tape, field: str, value: float) -> None:
    trades = with_value(short_tape.trades, field, 100, value)
    words = f"market m, token t, 2026-03-01: trades: {field} are not finite and positive in 1 row, first row 100"
    with pytest.raises(ValidationError, match=words):
        statistics_of(trades, short_tape.books, SHORT_DAYS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -0.5])
@pytest.mark.parametrize("field", LADDERS)
def test_levels_that_are_not_finite_and_positive_are_an_error(short_tape, field: str, value: float) -> None:
    words = "lack a price or a size" if np.isnan(value) else "are not finite and positive"
    for level in (0, 7):
        books = with_value(short_tape.books, field, (100, level), value)
        with pytest.raises(ValidationError, match=f"2026-03-01: .*snapshots: {field[:3]} .*{words}.* first row 100"):
            statistics_of(short_tape.trades, books, SHORT_DAYS)


def test_times_that_go_back_are_an_error(short_tape) -> None:
    trades, books = short_tape.trades, short_tape.books
    with pytest.raises(ValidationError, match="trades: times go back in 1 row, first row 501"):
        statistics_of(with_value(trades, "times", 500, trades.times[501] + 1), books, SHORT_DAYS)
    with pytest.raises(ValidationError, match="snapshots: times go back or repeat in 1 row, first row 501"):
        statistics_of(trades, with_value(books, "times", 500, books.times[501]), SHORT_DAYS)


@settings(max_examples=25, deadline=None)
@given(
    field=st.sampled_from(["prices", "sizes", "bid_sizes", "ask_prices", "ask_sizes"]),
    value=st.one_of(st.floats(1e-320, 1e308), st.sampled_from([1e60, 1e77, 1e120, 1e153, 1e154, 1e155])),
    where=st.sampled_from([slice(100, 101), slice(100, None, 700), slice(None)]),
)
def test_any_positive_number_ends_in_a_lawful_result(short_tape, field: str, value: float, where: slice) -> None:
    trades, books = short_tape.trades, short_tape.books
    if field == "ask_prices":
        # A ladder far away from the market: its levels still rise.
        asks = books.ask_prices.copy()
        asks[where] = value * (1 + np.arange(asks.shape[1]) / 100)
        books = replace(books, ask_prices=asks)
        if not np.isfinite(asks).all():
            return
    elif field in LADDERS:
        books = with_value(books, field, where, value)
    else:
        trades = with_value(trades, field, where, value)
    assert calibrated(trades, books).n_trades == len(trades)


@pytest.mark.parametrize("size", [1e60, 1e120, 1e154, 1e308])
def test_absurd_trades_take_gamma_and_leave_the_books_figures(short_tape, short_days, size: float) -> None:
    # Three in two hours: at the largest size not even their sum is finite.
    found = calibrated(with_value(short_tape.trades, "sizes", slice(100, 103), size), short_tape.books)
    assert refused_of(found) == {"gamma", "resilience_rate"}
    expected = calibrate_days(short_days, SHORT_DAYS)
    for name in ("epsilon", "book_slope", "eta"):
        assert found.estimates[name] == expected.estimates[name]


def test_one_absurd_quote_shows_in_the_intervals(short_tape) -> None:
    asks = short_tape.books.ask_prices.copy()
    asks[100] += 1_000
    found = calibrated(short_tape.trades, replace(short_tape.books, ask_prices=asks))
    assert found.status == "refused"
    assert "flow does not explain" in reason_of(found, "gamma")
    for name, truth in (("sigma", 0.03), ("epsilon", 0.0055)):
        estimate = found.estimates[name]
        assert estimate.value > 5 * truth
        # A factor of more than sixty between the ends: nobody takes that for a measurement.
        assert estimate.ci_high is None or estimate.ci_high > 60 * estimate.ci_low > 0


def test_no_trades(short_tape) -> None:
    found = calibrated(no_trades(), short_tape.books)
    assert refused_of(found) == {"gamma", "resilience_rate"}
    assert "there are no trades" in reason_of(found, "gamma")
    assert found.flags == ("thin",)


def test_no_books(short_tape) -> None:
    found = calibrated(short_tape.trades, no_order_books())
    assert refused_of(found) == ALL
    for name in ("epsilon", "book_slope"):
        assert "there are no order-book snapshots" in reason_of(found, name)


def test_nothing_at_all() -> None:
    found = calibrated(no_trades(), no_order_books())
    assert refused_of(found) == ALL
    assert (found.n_days, found.coverage) == (0, 0)


def test_one_trade(short_tape) -> None:
    one = Trades(*(getattr(short_tape.trades, name)[50:51] for name in ("times", "prices", "sizes", "signs")))
    found = calibrated(one, short_tape.books)
    assert refused_of(found) == {"gamma", "resilience_rate"}
    for name in ("gamma", "resilience_rate"):
        assert "too few stretches of time: 1" in reason_of(found, name)


def test_one_book(short_tape) -> None:
    found = calibrated(short_tape.trades, short_tape.books.rows(slice(50, 51)))
    assert refused_of(found) == {"sigma", "gamma", "resilience_rate"}
    assert (found.estimates["book_slope"].ci_low, found.estimates["epsilon"].ci_low) == (None, None)
    gated = calibrated(short_tape.trades, short_tape.books.rows(slice(50, 51)), gates=CalibrationGates())
    assert refused_of(gated) == ALL
    assert "cover 0.0%" in gated.reasons[0]


def test_books_that_never_show_both_sides(short_tape) -> None:
    found = calibrated(short_tape.trades, with_value(with_value(short_tape.books, "ask_prices", slice(None), np.nan),
                                                     "ask_sizes", slice(None), np.nan))  # fmt: skip
    assert refused_of(found) == ALL
    for name in ("epsilon", "book_slope"):
        assert "none of the 11520 snapshots shows a bid below an ask" in reason_of(found, name)


def test_books_that_are_always_crossed(short_tape) -> None:
    found = calibrated(short_tape.trades, crossed(short_tape.books, slice(None)))
    assert refused_of(found) == ALL
    assert "none of the 11520 snapshots shows a bid below an ask" in reason_of(found, "epsilon")


def test_crossed_books_are_passed_over_and_missed_in_the_coverage(short_tape, short_days) -> None:
    a_day = crossed(short_tape.books, slice(0, 2_880))
    found = calibrated(short_tape.trades, a_day)
    assert found.coverage == pytest.approx(0.75)
    assert found.value("epsilon") == pytest.approx(0.0055, rel=1e-3)
    alone = calibrate_days(short_days[1:], SHORT_DAYS)
    for name in ("sigma", "epsilon", "book_slope"):
        assert found.value(name) == pytest.approx(alone.value(name), rel=1e-12)
    assert refused_of(calibrated(short_tape.trades, a_day, gates=CalibrationGates())) == ALL


def test_books_that_are_crossed_whenever_they_are_sampled(short_tape) -> None:
    found = calibrated(short_tape.trades, crossed(short_tape.books, slice(None, None, 2)))
    assert "none of the snapshots sampled every five minutes shows a bid below an ask" in reason_of(found, "book_slope")
    assert found.value("epsilon") == pytest.approx(0.0055, rel=1e-3)


def test_books_of_one_level(short_tape) -> None:
    found = calibrated(short_tape.trades, with_ladders(short_tape.books, lambda ladder: ladder[:, :1]))
    assert refused_of(found) == {"book_slope", "eta"}
    assert "no depth beyond the best quotes" in reason_of(found, "book_slope")
    assert found.flags == ("book_shallow",)


def test_one_side_of_one_level_is_flagged(short_tape) -> None:
    deep = np.arange(short_tape.books.ask_prices.shape[1]) > 0
    books = replace(
        short_tape.books,
        ask_prices=np.where(deep, np.nan, short_tape.books.ask_prices),
        ask_sizes=np.where(deep, np.nan, short_tape.books.ask_sizes),
    )
    found = calibrated(short_tape.trades, books)
    assert found.book_slope_buy == 0 < found.book_slope_sell
    assert "book_shallow" in found.flags


def test_constant_price(short_tape) -> None:
    ladders = ([(0.495, 9), (0.494, 9)], [(0.505, 9), (0.506, 9)])
    books = books_of(*((30 * k, *ladders) for k in range(SHORT_DAYS * 2_880)))
    found = calibrated(short_tape.trades, books)
    assert refused_of(found) == {"sigma", "gamma", "resilience_rate"}
    assert "do not grow" in reason_of(found, "sigma")
    assert "it did not move" in reason_of(found, "gamma")
    assert "gamma_nonpos" not in found.flags
    assert found.value("epsilon") == pytest.approx(0.005)
    assert found.r2 is None


def test_a_million_trades_in_one_second(short_tape) -> None:
    n = 1_000_000
    rng = np.random.default_rng(1)
    prices, sizes = 0.5 + rng.choice([-0.005, 0.005], n), rng.lognormal(3, 1, n)
    signs = rng.choice([-1, 1], n).astype(np.int8)
    began = process_time()
    for times in (np.full(n, US_PER_S), np.sort(rng.integers(0, US_PER_S, n))):
        found = calibrated(Trades(START_US + NOON_US + times, prices, sizes, signs), short_tape.books)
        assert found.n_trades == n
        assert "too few stretches of time: 1" in reason_of(found, "gamma")
        assert refused_of(found) == {"gamma", "resilience_rate"}
    assert process_time() - began < 10


def test_a_burst_among_ordinary_trades_does_not_pass_for_impact(short_tape) -> None:
    n = 300_000
    row = 900
    at = int(short_tape.trades.times[row])
    rng = np.random.default_rng(1)
    burst = (np.full(n, at), np.full(n, 0.5), np.full(n, 50.0), rng.choice([-1, 1], n).astype(np.int8))
    names = ("times", "prices", "sizes", "signs")
    columns = (
        np.insert(getattr(short_tape.trades, name), row, values) for name, values in zip(names, burst, strict=True)
    )
    found = calibrated(Trades(*columns), short_tape.books)
    assert "gamma" in refused_of(found)
    assert "flow does not explain" in reason_of(found, "gamma")
