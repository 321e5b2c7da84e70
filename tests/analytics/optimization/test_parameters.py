from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.markets import START, START_US, books_of, calibrate_days, market_of, statistics_of, tape_of
from tributary_pipelines.analytics.optimization.parameters import (
    AlmgrenChrissParameters,
    CalibrationGates,
    calibrate,
)
from tributary_pipelines.core.errors import CalibrationError, ValidationError
from tributary_pipelines.core.frames import OrderBooks, Trades, no_order_books, no_trades
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS
from tributary_pipelines.core.units import PARAMETER_UNITS, US_PER_DAY

N_DAYS = 4
NAMES = tuple(PARAMETER_UNITS)


@pytest.fixture(scope="module")
def tape():
    return tape_of(2, n_days=N_DAYS, snapshot_s=30, levels=30)


@pytest.fixture(scope="module")
def days(tape):
    return statistics_of(tape.trades, tape.books, N_DAYS)


def reason_of(found: AlmgrenChrissParameters, name: str) -> str:
    return next(reason for reason in found.reasons if reason.startswith(f"{name}: "))


def with_signs(trades: Trades, signs: np.ndarray) -> Trades:
    return Trades(trades.times, trades.prices, trades.sizes, signs.astype(np.int8))


def test_good_window_is_calibrated(days) -> None:
    found = calibrate_days(days, N_DAYS, gates=CalibrationGates())
    assert found.status == "ok"
    assert set(found.estimates) == set(NAMES)
    assert [found.value(name) is None for name in NAMES] == [name == "resilience_rate" for name in NAMES]
    assert {estimate.source for estimate in found.estimates.values()} == {"own", "refused"}
    assert all(found.estimates[name].unit == unit for name, unit in PARAMETER_UNITS.items())
    assert (found.window_start, found.window_end, found.usable_from) == (
        START,
        START + timedelta(4),
        START + timedelta(4),
    )
    assert (found.n_days, found.n_snapshots, found.coverage) == (4, 4 * 2_880, 1.0)
    assert found.reasons == ("resilience_rate: not estimated by this version",)
    assert found.flags == ()
    assert found.gamma_t > 2
    assert (found.book_slope_buy + found.book_slope_sell) / 2 == pytest.approx(found.value("book_slope"))
    assert found.span_ticks == 25


def test_span_is_the_median_of_the_sampled_books(days) -> None:
    counts = np.zeros(26)
    counts[[3, 14, 25]] = 40, 30, 30
    found = calibrate_days([replace(day, span_counts=counts) for day in days], N_DAYS)
    assert (found.span_ticks, found.flags) == (14, ())


def test_eta_is_the_slope_times_the_interval_in_days(days) -> None:
    found = calibrate_days(days, N_DAYS, eta_interval_s=43_200)
    assert found.value("eta") == pytest.approx(found.value("book_slope") / 2)
    assert found.eta_interval_s == 43_200


def test_a_fee_that_nobody_declared_is_flagged_and_not_taken_for_none(days) -> None:
    assert "fee_unknown" in calibrate_days(days, N_DAYS, market=market_of(fee_model=None)).flags
    assert "fee_unknown" not in calibrate_days(days, N_DAYS, market=market_of(fee_model="none")).flags


def test_epsilon_holds_the_fee_at_the_last_mid(days) -> None:
    free = calibrate_days(days, N_DAYS)
    paid = calibrate_days(days, N_DAYS, market=market_of(fee_model="bps", fee_rate=50))
    assert (free.fee_per_share, paid.fee_per_share) == (0, pytest.approx(0.005 * paid.last_mid))
    assert paid.value("epsilon") == pytest.approx(free.value("epsilon") + paid.fee_per_share)


@pytest.mark.parametrize(
    ("gates", "reason", "flags"),
    [
        (CalibrationGates(min_trades=10**6), "trades in the window; 1000000 are needed", ("thin",)),
        (CalibrationGates(min_days=5), "data on 4 of the window's days; 5 are needed", ()),
        (
            CalibrationGates(min_coverage=1.01),
            "cover 100.0% of the time since 2026-03-01T00:00:00Z; 101% is needed",
            (),
        ),
    ],
)
def test_too_little_data_refuses_every_parameter(days, gates: CalibrationGates, reason: str, flags) -> None:
    found = calibrate_days(days, N_DAYS, gates=gates)
    assert found.status == "refused"
    assert reason in found.reasons[0]
    assert found.flags == flags
    assert all((e.value, e.source) == (None, "refused") for e in found.estimates.values())


def test_empty_window_says_everything_that_is_missing() -> None:
    found = calibrate_days([], 30, gates=CalibrationGates())
    assert found.status == "refused"
    assert (found.n_days, found.n_trades, found.coverage, found.last_mid) == (0, 0, 0, None)
    assert "data on 0 of" in found.reasons[0]
    assert "0 trades" in found.reasons[1]
    assert "cover 0.0%" in found.reasons[2]
    assert "no trades in the window" in reason_of(found, "gamma")
    for name in ("epsilon", "book_slope"):
        assert "no order-book snapshots" in reason_of(found, name)
    assert "an hour apart" in reason_of(found, "sigma")


def test_coverage_counts_from_the_first_snapshot(tape) -> None:
    late = START_US + 2 * US_PER_DAY
    missing = late + US_PER_DAY
    books = tape.books.rows(np.flatnonzero((tape.books.times >= late) & (tape.books.times < missing)))
    found = calibrate_days(statistics_of(tape.trades, books, N_DAYS), N_DAYS, gates=CalibrationGates())
    assert found.coverage == pytest.approx(0.5)
    assert "cover 50.0% of the time since 2026-03-03T00:00:00Z; 80% is needed" in found.reasons[0]


def test_trades_without_books_are_refused(tape) -> None:
    found = calibrate_days(statistics_of(tape.trades, no_order_books(), N_DAYS), N_DAYS)
    assert found.status == "refused"
    assert "no order-book snapshots" in reason_of(found, "book_slope")
    assert "made from book_slope" in reason_of(found, "eta")


def test_books_that_never_show_both_sides_are_refused() -> None:
    books = books_of(*((30 * k, [(0.5, 1)], []) for k in range(2_880)))
    found = calibrate_days(statistics_of(no_trades(), books, 1), 1)
    assert "none of the 2880 snapshots shows a bid below an ask" in reason_of(found, "epsilon")
    assert "none of the 2880 snapshots shows a bid below an ask" in reason_of(found, "book_slope")


def test_books_of_one_level_identify_no_slope(tape) -> None:
    books = OrderBooks(
        tape.books.times,
        *(a[:, :1] for a in (tape.books.bid_prices, tape.books.bid_sizes, tape.books.ask_prices, tape.books.ask_sizes)),
    )
    found = calibrate_days(statistics_of(tape.trades, books, N_DAYS), N_DAYS)
    assert found.status == "refused"
    assert found.value("sigma") is not None
    assert "no depth beyond the best quotes" in reason_of(found, "book_slope")
    assert "book_shallow" in found.flags


def test_trades_without_any_side_are_refused(tape) -> None:
    unsigned = with_signs(tape.trades, np.zeros(len(tape.trades)))
    found = calibrate_days(statistics_of(unsigned, tape.books, N_DAYS), N_DAYS)
    assert found.status == "refused"
    assert f"none of the {len(unsigned)} trades names the taker's side" in reason_of(found, "gamma")
    assert "no_side" in found.flags


def test_trades_without_a_side_are_left_out_of_the_flow(tape) -> None:
    half = np.where(np.arange(len(tape.trades)) % 2 == 0, tape.trades.signs, 0)
    kept = tape.trades.times[::2]
    only = Trades(kept, tape.trades.prices[::2], tape.trades.sizes[::2], tape.trades.signs[::2])
    some = calibrate_days(statistics_of(with_signs(tape.trades, half), tape.books, N_DAYS), N_DAYS)
    alone = calibrate_days(statistics_of(only, tape.books, N_DAYS), N_DAYS)
    assert some.value("gamma") == alone.value("gamma")
    assert some.n_trades == len(tape.trades)


def test_flow_against_the_price_is_refused(tape) -> None:
    found = calibrate_days(statistics_of(with_signs(tape.trades, -tape.trades.signs), tape.books, N_DAYS), N_DAYS)
    assert found.value("gamma") is None
    assert "is not positive" in reason_of(found, "gamma")
    assert "gamma_nonpos" in found.flags


def test_flow_that_explains_nothing_is_refused(tape) -> None:
    random = np.random.default_rng(5).choice([-1, 1], len(tape.trades))
    found = calibrate_days(statistics_of(with_signs(tape.trades, random), tape.books, N_DAYS), N_DAYS)
    assert 0 < found.gamma_t < 2
    assert f"t is {found.gamma_t:.2f}, 2 is needed" in reason_of(found, "gamma")


def test_gamma_above_twice_the_slope_is_refused(tape, days) -> None:
    deep = OrderBooks(
        tape.books.times,
        tape.books.bid_prices,
        tape.books.bid_sizes * 100,
        tape.books.ask_prices,
        tape.books.ask_sizes * 100,
    )
    found = calibrate_days(statistics_of(tape.trades, deep, N_DAYS), N_DAYS)
    assert found.status == "refused"
    assert "is not below twice the book slope" in reason_of(found, "gamma")
    assert found.flags == ("gamma_ge_2b",)
    assert found.value("book_slope") == pytest.approx(calibrate_days(days, N_DAYS).value("book_slope") / 100)


def test_constant_price_is_refused() -> None:
    books = books_of(*((10 * k, [(0.49, 9), (0.48, 9)], [(0.51, 9), (0.52, 9)]) for k in range(8_640)))
    found = calibrate_days(statistics_of(tape_of(1, n_days=1).trades, books, 1), 1)
    assert found.status == "refused"
    assert "do not grow" in reason_of(found, "sigma")
    assert found.value("gamma") is None
    assert found.value("epsilon") == pytest.approx(0.01)


def test_one_trade_is_refused(tape) -> None:
    one = tape.trades.between(int(tape.trades.times[50]), int(tape.trades.times[51]))
    found = calibrate_days(statistics_of(one, tape.books, N_DAYS), N_DAYS)
    assert "too few stretches of time: 1" in reason_of(found, "gamma")


def test_huge_trade_is_refused_and_the_rest_stays(tape) -> None:
    sizes = tape.trades.sizes.copy()
    sizes[100] = 1e200
    trades = Trades(tape.trades.times, tape.trades.prices, sizes, tape.trades.signs)
    found = calibrate_days(statistics_of(trades, tape.books, N_DAYS), N_DAYS)
    assert "too large to square" in reason_of(found, "gamma")
    assert found.value("sigma") is not None


def test_huge_spread_is_refused(days) -> None:
    broken = replace(days[0], spread_time=np.full(12, np.nan))
    found = calibrate_days([broken, *days[1:]], N_DAYS)
    assert "too large to sum" in reason_of(found, "epsilon")


def test_coarse_tick_with_little_movement_refuses_sigma(days) -> None:
    found = calibrate_days(days, N_DAYS, market=market_of(tick_size=0.2))
    assert found.value("sigma") is None
    assert "more than 12 h" in reason_of(found, "sigma")


def test_tick_of_the_books_serves_when_the_market_has_none(tape) -> None:
    days = statistics_of(tape.trades, tape.books, N_DAYS, tick_size=None)
    assert {day.tick_size for day in days} == {0.001}
    found = calibrate_days(days, N_DAYS, market=market_of(tick_size=None))
    assert found.value("sigma") == calibrate_days(days, N_DAYS).value("sigma")


def test_clocks_that_disagree_are_flagged(tape) -> None:
    late = Trades(tape.trades.times + 120_000_000, tape.trades.prices, tape.trades.sizes, tape.trades.signs)
    found = calibrate_days(statistics_of(late, tape.books, N_DAYS), N_DAYS)
    assert abs(found.lead_t) > 3
    assert "clock_lead" in found.flags


def test_bounds_declared_after_the_statistics_are_flagged(days) -> None:
    plain = calibrate_days(days, N_DAYS)
    bounded = calibrate_days(days, N_DAYS, market=market_of(price_min=0, price_max=1))
    assert bounded.value("sigma") == plain.value("sigma")
    assert "sigma_unscaled" in bounded.flags
    assert (plain.sigma_x, bounded.sigma_x) == (None, None)


def test_more_movement_than_the_bounds_allow_is_flagged(tape) -> None:
    days = statistics_of(tape.trades, tape.books, N_DAYS, price_min=0.0, price_max=1.0)
    end = START + timedelta(days=N_DAYS)
    soon = market_of(price_min=0, price_max=1, resolves_at=end + timedelta(days=30))
    later = market_of(price_min=0, price_max=1, resolves_at=end + timedelta(days=3_000))
    past = market_of(price_min=0, price_max=1, resolves_at=end)
    assert [
        "sigma_over_bound" in calibrate_days(days, N_DAYS, market=market).flags for market in (soon, later, past)
    ] == [False, True, False]


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan"), float("inf")])
def test_eta_interval_must_be_positive(interval: float) -> None:
    with pytest.raises(ValidationError, match="eta_interval_s"):
        calibrate_days([], eta_interval_s=interval)


def test_window_must_not_be_empty() -> None:
    with pytest.raises(ValidationError, match="window is empty"):
        calibrate([], market=market_of(), window_start=START, window_end=START, gates=CalibrationGates())


def test_days_outside_the_window_are_an_error(days) -> None:
    with pytest.raises(CalibrationError, match="2026-03-04 lie outside"):
        calibrate_days(days, 3)
    with pytest.raises(CalibrationError, match="outside"):
        calibrate(
            days,
            market=market_of(),
            window_start=START + timedelta(1),
            window_end=START + timedelta(4),
            gates=CalibrationGates(),
        )


def test_days_of_another_token_are_an_error(days) -> None:
    with pytest.raises(CalibrationError, match="token u"):
        calibrate_days(days, N_DAYS, market=market_of(token_id="u"))


def test_fingerprint_follows_the_data_and_not_the_order(tape, days) -> None:
    base = calibrate_days(days, N_DAYS).data_fingerprint
    assert len(base) == 64
    assert calibrate_days(days[::-1], N_DAYS).data_fingerprint == base
    assert calibrate_days([replace(days[0], data_fingerprint="x"), *days[1:]], N_DAYS).data_fingerprint != base


@pytest.mark.parametrize("n_days", [1, N_DAYS])
def test_row_has_the_columns_of_its_frame_and_comes_back_the_same(days, n_days: int) -> None:
    found = calibrate_days(days[:n_days], N_DAYS, gates=CalibrationGates())
    row = found.to_row()
    assert set(row) == set(ALMGREN_CHRISS_PARAMETERS.column_names)
    assert row["timestamp"] == datetime(2026, 3, 4, tzinfo=UTC)
    assert AlmgrenChrissParameters.from_row(row) == found


def test_row_survives_a_data_frame(days) -> None:
    both = [calibrate_days(days, N_DAYS), calibrate_days([], N_DAYS)]
    rows = pd.DataFrame([found.to_row() for found in both])
    assert [AlmgrenChrissParameters.from_row(row) for row in rows.to_dict("records")] == both


def test_answer_has_the_keys_of_the_contract(days) -> None:
    answer = calibrate_days(days, N_DAYS).to_answer()
    assert list(answer) == [
        "market_id", "token_id", "status", "reasons", "window_start", "window_end", "usable_from", "n_trades",
        "n_snapshots", "coverage", "eta_interval_s", "parameters", "flags", "code_version", "data_fingerprint",
    ]  # fmt: skip
    assert answer["usable_from"] == "2026-03-05T00:00:00Z"
    assert list(answer["parameters"]) == list(NAMES)
    assert list(answer["parameters"]["sigma"]) == ["value", "unit", "ci_low", "ci_high", "source"]


def changed(trades: Trades, books: OrderBooks, *, price: float = 1.0, shares: float = 1.0) -> tuple[Trades, OrderBooks]:
    return (
        Trades(trades.times, trades.prices * price, trades.sizes * shares, trades.signs),
        OrderBooks(
            books.times,
            books.bid_prices * price,
            books.bid_sizes * shares,
            books.ask_prices * price,
            books.ask_sizes * shares,
        ),
    )


@settings(max_examples=10, deadline=None)
@given(price=st.floats(1e-3, 1e4), shares=st.floats(1e-6, 1e6))
def test_parameters_follow_the_units_of_price_and_shares(tape, days, price: float, shares: float) -> None:
    base = calibrate_days(days, N_DAYS)
    trades, books = changed(tape.trades, tape.books, price=price, shares=shares)
    tick = 0.001 * price
    found = calibrate_days(
        statistics_of(trades, books, N_DAYS, tick_size=tick), N_DAYS, market=market_of(tick_size=tick)
    )
    factors = {"sigma": price, "epsilon": price, "gamma": price / shares, "book_slope": price / shares}
    for name, factor in (factors | {"eta": price / shares}).items():
        assert found.value(name) == pytest.approx(base.value(name) * factor, rel=1e-7)
    assert found.gamma_t == pytest.approx(base.gamma_t, rel=1e-6)
    assert found.r2 == pytest.approx(base.r2, rel=1e-6)


def test_other_token_of_the_market_has_the_same_parameters(tape) -> None:
    # p becomes 1 - p, a buy of one is a sale of the other.
    mirror = OrderBooks(
        tape.books.times,
        1 - tape.books.ask_prices,
        tape.books.ask_sizes,
        1 - tape.books.bid_prices,
        tape.books.bid_sizes,
    )
    flipped = Trades(tape.trades.times, 1 - tape.trades.prices, tape.trades.sizes, -tape.trades.signs)
    market = market_of(price_min=0, price_max=1)
    bounds = {"price_min": 0.0, "price_max": 1.0}
    yes = calibrate_days(statistics_of(tape.trades, tape.books, N_DAYS, **bounds), N_DAYS, market=market)
    no = calibrate_days(statistics_of(flipped, mirror, N_DAYS, **bounds), N_DAYS, market=market)
    for name in ("sigma", "gamma", "epsilon", "book_slope", "eta"):
        assert no.value(name) == pytest.approx(yes.value(name), rel=1e-9)
    assert (no.book_slope_buy, no.book_slope_sell) == pytest.approx((yes.book_slope_sell, yes.book_slope_buy), rel=1e-9)
    assert no.last_mid == pytest.approx(1 - yes.last_mid)
