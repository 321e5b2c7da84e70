"""The result of a calibration: its six parameters, what the gates refuse, its row, and what must not change it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.conftest import SHORT_DAYS
from tests.analytics.markets import START, START_US, calibrate_days, market_of, reason_of, statistics_of
from tributary_pipelines.analytics.optimization.parameters import (
    NEED_TRADES,
    AlmgrenChrissParameters,
    CalibrationGates,
    calibrate,
)
from tributary_pipelines.core.errors import CalibrationError, ValidationError
from tributary_pipelines.core.frames import OrderBooks, Trades
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS
from tributary_pipelines.core.units import PARAMETER_UNITS, US_PER_DAY

NAMES = tuple(PARAMETER_UNITS)


def test_good_window_is_calibrated(short_days) -> None:
    found = calibrate_days(short_days, SHORT_DAYS, gates=CalibrationGates())
    assert (found.status, found.reasons, found.flags) == ("ok", (), ())
    assert set(found.estimates) == set(NAMES)
    end = START + timedelta(SHORT_DAYS)
    assert (found.window_start, found.window_end, found.usable_from) == (START, end, end)
    assert (found.n_days, found.n_snapshots, found.coverage) == (4, 4 * 2_880, 1.0)
    assert (found.n_trades, found.trades_per_day) == (1_888, 472)
    assert found.side_attenuation == 1
    assert found.gamma_t > 2
    assert found.gamma_own == found.value("gamma")
    assert (found.book_slope_buy + found.book_slope_sell) / 2 == pytest.approx(found.value("book_slope"))
    assert found.span_ticks == 25


def test_every_parameter_has_value_unit_interval_and_source(short_days) -> None:
    found = calibrate_days(short_days, SHORT_DAYS)
    for name, unit in PARAMETER_UNITS.items():
        estimate = found.estimates[name]
        assert (estimate.unit, estimate.source) == (unit, "own")
        assert 0 < estimate.ci_low < estimate.value < estimate.ci_high


def test_transient_cost_is_stated_with_its_interval(short_days) -> None:
    found = calibrate_days(short_days, SHORT_DAYS)
    assert found.kappa_book == pytest.approx(2 * found.value("book_slope") - found.value("gamma"))
    # eta~ (delta) = (kappa delta / 2) coth(rho delta / 2) for orders a minute apart.
    delta = 60 / 86_400
    expected = found.kappa_book * delta / 2 / np.tanh(found.value("resilience_rate") * delta / 2)
    assert found.transient_eta == pytest.approx(expected)
    assert 0 < found.transient_eta_ci_low < found.transient_eta < found.transient_eta_ci_high


@pytest.mark.parametrize(
    ("gates", "reason"),
    [
        (CalibrationGates(min_days=5), "data on 4 of the window's days; 5 are needed"),
        (CalibrationGates(min_coverage=1.01), "cover 100.0% of the time since 2026-03-01T00:00:00Z; 101% is needed"),
    ],
)
def test_too_little_of_the_window_refuses_every_parameter(short_days, gates: CalibrationGates, reason: str) -> None:
    found = calibrate_days(short_days, SHORT_DAYS, gates=gates)
    assert (found.status, found.flags) == ("refused", ())
    assert reason in found.reasons[0]
    assert all(
        (e.value, e.ci_low, e.ci_high, e.source) == (None, None, None, "refused") for e in found.estimates.values()
    )
    assert (found.transient_eta, found.transient_eta_ci_low) == (None, None)


def test_too_few_trades_refuse_what_needs_them(short_days) -> None:
    found = calibrate_days(short_days, SHORT_DAYS, gates=CalibrationGates(min_trades=10**6))
    assert (found.status, found.flags) == ("refused", ("thin",))
    assert "1888 trades in the window; 1000000 are needed" in found.reasons[0]
    assert {name for name in NAMES if found.value(name) is None} == set(NEED_TRADES) == {"gamma", "resilience_rate"}
    assert found.half_life_s is None
    assert found.transient_eta is None
    # What its own trades say is kept for the pool.
    assert found.gamma_own == calibrate_days(short_days, SHORT_DAYS).value("gamma")
    assert found.gamma_se > 0


def test_empty_window_says_everything_that_is_missing() -> None:
    found = calibrate_days([], 30, gates=CalibrationGates())
    assert found.status == "refused"
    assert (found.n_days, found.n_trades, found.coverage, found.last_mid) == (0, 0, 0, None)
    assert [text.split()[0] for text in found.reasons[:3]] == ["there", "usable", "0"]
    assert "data on 0 of" in found.reasons[0]
    assert "cover 0.0%" in found.reasons[1]
    assert "0 trades" in found.reasons[2]
    assert "no trades in the window" in reason_of(found, "gamma")
    assert "do not share enough minutes" in reason_of(found, "resilience_rate")
    for name in ("epsilon", "book_slope"):
        assert "no order-book snapshots" in reason_of(found, name)
    assert "an hour apart" in reason_of(found, "sigma")
    assert "made from book_slope" in reason_of(found, "eta")


def test_coverage_counts_from_the_first_snapshot(short_tape) -> None:
    late = START_US + 2 * US_PER_DAY
    books = short_tape.books.between(late, late + US_PER_DAY)
    found = calibrate_days(statistics_of(short_tape.trades, books, SHORT_DAYS), SHORT_DAYS, gates=CalibrationGates())
    assert found.coverage == pytest.approx(0.5)
    assert "cover 50.0% of the time since 2026-03-03T00:00:00Z; 80% is needed" in found.reasons[0]


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["eta_interval_s", "half_life_days"])
def test_times_must_be_positive(name: str, number: float) -> None:
    with pytest.raises(ValidationError, match=name):
        calibrate_days([], **{name: number})


def test_window_must_not_be_empty() -> None:
    with pytest.raises(ValidationError, match="window is empty"):
        calibrate([], market=market_of(), window_start=START, window_end=START, gates=CalibrationGates())


def test_days_outside_the_window_are_an_error(short_days) -> None:
    with pytest.raises(CalibrationError, match="2026-03-04 lie outside"):
        calibrate_days(short_days, 3)
    with pytest.raises(CalibrationError, match="2026-03-01 lie outside"):
        calibrate(
            short_days,
            market=market_of(),
            window_start=START + timedelta(1),
            window_end=START + timedelta(4),
            gates=CalibrationGates(),
        )


def test_days_of_another_token_are_an_error(short_days) -> None:
    with pytest.raises(CalibrationError, match="token u"):
        calibrate_days(short_days, SHORT_DAYS, market=market_of(token_id="u"))


def test_fingerprint_follows_the_data_and_not_the_order(short_days) -> None:
    base = calibrate_days(short_days, SHORT_DAYS).data_fingerprint
    assert len(base) == 64
    assert calibrate_days(short_days[::-1], SHORT_DAYS).data_fingerprint == base
    changed_days = [replace(short_days[0], data_fingerprint="x"), *short_days[1:]]
    assert calibrate_days(changed_days, SHORT_DAYS).data_fingerprint != base


@pytest.mark.parametrize("n_days", [1, SHORT_DAYS])
def test_row_has_the_columns_of_its_frame_and_comes_back_the_same(short_days, n_days: int) -> None:
    found = calibrate_days(short_days[:n_days], SHORT_DAYS, gates=CalibrationGates())
    row = found.to_row()
    assert set(row) == set(ALMGREN_CHRISS_PARAMETERS.column_names)
    assert row["timestamp"] == datetime(2026, 3, 4, tzinfo=UTC)
    assert AlmgrenChrissParameters.from_row(row) == found


def test_row_survives_a_data_frame(short_days) -> None:
    both = [calibrate_days(short_days, SHORT_DAYS), calibrate_days([], SHORT_DAYS)]
    rows = pd.DataFrame([found.to_row() for found in both])
    assert [AlmgrenChrissParameters.from_row(row) for row in rows.to_dict("records")] == both


@pytest.mark.parametrize("nothing", [None, float("nan")], ids=["None", "NaN"])
def test_lists_and_arrays_that_an_earlier_version_did_not_know_are_empty(short_days, nothing: object) -> None:
    row = calibrate_days(short_days, SHORT_DAYS).to_row()
    arrays = dict.fromkeys(("volatility_measures", "variance_profile", "volume_profile", "cost_sizes", "cost_buy"))
    found = AlmgrenChrissParameters.from_row({**row, **arrays, "pool_markets": nothing, "gamma_own": nothing})
    assert (found.pool_markets, found.gamma_own) == ((), None)
    assert all(getattr(found, name) == () for name in arrays)
    assert found.cost_sell == tuple(row["cost_sell"]) != ()


def test_answer_has_the_keys_of_the_contract(short_days) -> None:
    answer = calibrate_days(short_days, SHORT_DAYS).to_answer()
    assert list(answer) == [
        "market_id", "token_id", "status", "reasons", "window_start", "window_end", "usable_from", "n_trades",
        "n_snapshots", "coverage", "eta_interval_s", "parameters", "flags", "code_version", "data_fingerprint",
    ]  # fmt: skip
    assert answer["usable_from"] == "2026-03-05T00:00:00Z"
    assert list(answer["parameters"]) == list(NAMES)
    assert list(answer["parameters"]["sigma"]) == ["value", "unit", "ci_low", "ci_high", "source"]


def changed(trades: Trades, books: OrderBooks, *, price: float, shares: float) -> tuple[Trades, OrderBooks]:
    ladders = (
        books.bid_prices * price,
        books.bid_sizes * shares,
        books.ask_prices * price,
        books.ask_sizes * shares,
    )
    return Trades(trades.times, trades.prices * price, trades.sizes * shares, trades.signs), OrderBooks(
        books.times, *ladders
    )


@settings(max_examples=10, deadline=None)
@given(price=st.floats(1e-3, 1e4), shares=st.floats(1e-6, 1e6))
def test_parameters_follow_the_units_of_price_and_shares(short_tape, short_days, price: float, shares: float) -> None:
    base = calibrate_days(short_days, SHORT_DAYS)
    tick = 0.001 * price
    days = statistics_of(*changed(short_tape.trades, short_tape.books, price=price, shares=shares), 4, tick_size=tick)
    found = calibrate_days(days, SHORT_DAYS, market=market_of(tick_size=tick))
    factors = dict.fromkeys(("sigma", "epsilon"), price)
    factors |= dict.fromkeys(("gamma", "book_slope", "eta"), price / shares) | {"resilience_rate": 1.0}
    for name, factor in factors.items():
        for end in ("value", "ci_low", "ci_high"):
            expected = getattr(base.estimates[name], end) * factor
            assert getattr(found.estimates[name], end) == pytest.approx(expected, rel=1e-6)
    assert found.gamma_t == pytest.approx(base.gamma_t, rel=1e-6)
    assert found.r2 == pytest.approx(base.r2, rel=1e-6)
    assert found.flags == base.flags


def test_other_token_of_the_market_has_the_same_parameters(short_tape) -> None:
    # p becomes 1 - p, a buy of one is a sale of the other.
    trades, books = short_tape.trades, short_tape.books
    mirror = OrderBooks(books.times, 1 - books.ask_prices, books.ask_sizes, 1 - books.bid_prices, books.bid_sizes)
    flipped = Trades(trades.times, 1 - trades.prices, trades.sizes, -trades.signs)
    market = market_of(price_min=0, price_max=1)
    bounds = {"price_min": 0.0, "price_max": 1.0}
    yes = calibrate_days(statistics_of(trades, books, SHORT_DAYS, **bounds), SHORT_DAYS, market=market)
    no = calibrate_days(statistics_of(flipped, mirror, SHORT_DAYS, **bounds), SHORT_DAYS, market=market)
    for name in NAMES:
        assert no.value(name) == pytest.approx(yes.value(name), rel=1e-9)
        assert no.estimates[name].ci_low == pytest.approx(yes.estimates[name].ci_low, rel=1e-9)
    assert (no.book_slope_buy, no.book_slope_sell) == pytest.approx((yes.book_slope_sell, yes.book_slope_buy), rel=1e-9)
    assert no.last_mid == pytest.approx(1 - yes.last_mid)
