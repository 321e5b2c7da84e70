import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.calibration.impact_reference import window_sums
from tests.analytics.markets import START, START_US, books_of, statistics_of, tape_of, trades_of
from tributary_pipelines.analytics.calibration.impact_statistics import OF_DAY, SHAPES, ImpactStatistics
from tributary_pipelines.analytics.calibration.lag_regression import LAG_EDGES, unpack
from tributary_pipelines.analytics.calibration.window_statistics import combine_impact_statistics
from tributary_pipelines.analytics.two_scale import LAG_LADDER_S
from tributary_pipelines.core.frames import OrderBooks, Trades, no_order_books, no_trades
from tributary_pipelines.core.result_frames import IMPACT_STATISTICS
from tributary_pipelines.core.units import US_PER_DAY

N_DAYS = 3
BIDS, ASKS = [(0.49, 100), (0.48, 100)], [(0.51, 100), (0.52, 100)]


def random_market(seed: int, max_gap_s: float = 40.0) -> tuple[Trades, OrderBooks]:
    """Three days with irregular snapshots, missing hours, one-sided and crossed books, unknown sides."""
    rng = np.random.default_rng(seed)
    n = int(N_DAYS * 86_400 / max_gap_s)
    times = START_US + np.unique(np.cumsum(rng.uniform(1e6, 2e6 * max_gap_s, n)).astype(np.int64))
    times = times[times < START_US + N_DAYS * US_PER_DAY]
    lost = START_US + rng.integers(0, N_DAYS * US_PER_DAY, 3)
    times = times[~((times[:, None] >= lost) & (times[:, None] < lost + 2 * 3_600_000_000)).any(axis=1)]
    n, levels = len(times), 6
    centre = np.round(50 + 5 * np.sin(np.cumsum(rng.normal(0, 0.05, n))))
    steps = np.cumsum(rng.integers(1, 8, (2, n, levels)), axis=2)
    bids, asks = (centre[:, None] - steps[0]) / 100, (centre[:, None] + steps[1]) / 100
    bid_sizes, ask_sizes = rng.lognormal(4, 1, (2, n, levels))
    bids[rng.uniform(size=n) < 0.05] = np.nan
    crossed = rng.uniform(size=n) < 0.05
    asks[crossed] += bids[crossed, :1] - asks[crossed, :1] - 0.01
    asks[:, 3:][rng.uniform(size=n) < 0.3] = np.nan
    bid_sizes, ask_sizes = np.where(np.isnan(bids), np.nan, bid_sizes), np.where(np.isnan(asks), np.nan, ask_sizes)
    m = int(rng.integers(0, 400))
    at = np.sort(rng.integers(START_US, START_US + N_DAYS * US_PER_DAY, m))
    trades = Trades(at, rng.uniform(0.3, 0.7, m), rng.lognormal(4, 1, m), rng.integers(-1, 2, m).astype(np.int8))
    return trades, OrderBooks(times, bids, bid_sizes, asks, ask_sizes)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([20.0, 300.0]), st.sampled_from([0.0, 10.0]))
def test_combining_days_equals_the_window_at_once(seed: int, max_gap_s: float, guard_s: float) -> None:
    trades, books = random_market(seed, max_gap_s)
    options = {"tick_size": 0.01, "stamp_guard_s": guard_s, "lot_size": 0.5, "price_min": 0.0, "price_max": 1.0}
    window = combine_impact_statistics(statistics_of(trades, books, N_DAYS, **options))
    expected = window_sums(trades, books, N_DAYS, 0.01, guard_s, 0.5)
    # The measures of volatility are the only columns that do not add up.
    assert set(expected) == set(SHAPES) - {"volatility_measures"}
    for name, value in expected.items():
        if name not in OF_DAY:
            found = window.blocks(name)
        else:
            found = window.by_day(name) if name.startswith("hour") else window.by_day(name).sum(axis=0)
        scale = float(np.max(np.abs(value)))
        np.testing.assert_allclose(found, value, rtol=1e-10, atol=1e-12 * scale, err_msg=name)
    assert window.covered_s == pytest.approx(expected["spread_s"].sum(), rel=1e-10)
    assert window.span_counts.sum() == expected["n_slopes"].sum()


def test_constant_book_gives_its_spread_slope_and_no_moves() -> None:
    books = books_of(*((10 * k, BIDS, ASKS) for k in range(8_640)))
    (day,) = statistics_of(no_trades(), books, 1, tick_size=0.01)
    assert day.covered_s == 86_400
    assert day.spread_time.sum() / day.spread_s.sum() == pytest.approx(0.01)
    assert (day.n_snapshots, day.n_usable, day.first_snapshot_s, day.last_mid) == (8_640, 8_640, 0, 0.5)
    assert day.move_sq.sum() < 1e-25
    np.testing.assert_array_equal(day.n_moves.sum(axis=0), 8_640 - np.array(LAG_LADDER_S) / 10)
    np.testing.assert_array_equal(day.move_scale_sq, day.n_moves)
    np.testing.assert_array_equal(day.n_slopes, np.full(12, 24))
    assert day.slope_sum.sum() / 288 == pytest.approx(2.4449e-5, rel=1e-4)
    assert day.span_counts[1] == 288


def test_one_jump_is_seen_at_every_lag_that_spans_it() -> None:
    low, high = ([(0.49, 1)], [(0.51, 1)]), ([(0.53, 1)], [(0.55, 1)])
    books = books_of(*((10 * k, *(low if k < 4_000 else high)) for k in range(8_640)))
    (day,) = statistics_of(no_trades(), books, 1, tick_size=0.01)
    lags = np.array(LAG_LADDER_S) / 10
    np.testing.assert_allclose(day.move_sq.sum(axis=0), np.minimum(lags, 4_000) * 0.04**2, rtol=1e-9)
    # Each move counts in the block where it begins: the jump is in the sixth, 30 steps are 5 minutes.
    assert day.move_sq[5, 0] == pytest.approx(30 * 0.04**2)


def test_scale_is_taken_at_the_start_of_a_move() -> None:
    low, high = ([(0.19, 1)], [(0.21, 1)]), ([(0.49, 1)], [(0.51, 1)])
    books = books_of(*((10 * k, *(low if k < 8_639 else high)) for k in range(8_640)))
    (day,) = statistics_of(no_trades(), books, 1, price_min=0.0, price_max=1.0)
    assert day.move_scale_sq[:, 0].sum() / day.n_moves[:, 0].sum() == pytest.approx(0.16**2)


def test_flow_is_counted_a_guard_earlier_and_not_before_midnight() -> None:
    books = books_of(*((10 * k, BIDS, ASKS) for k in range(8_640)))
    trades = trades_of((5, 0.5, 7, 1), (3_605, 0.5, 3, 1), (3_675, 0.5, 2, -1))
    (day,) = statistics_of(trades, books, 1)
    # 3605 s belongs to minute 59 (less the guard), 3675 s to minute 61; 5 s falls out of the day.
    xtx = unpack(day.lag_xtx[0], len(LAG_EDGES))
    assert xtx[1, 1] == pytest.approx(3**2 + 2**2)
    assert xtx[1, 3] == pytest.approx(3 * -2)
    # The lags 5 and 6 share a column: each trade stands in it twice.
    assert xtx[6, 6] == pytest.approx(2 * (3**2 + 2**2))


def test_trade_without_a_side_gets_the_side_of_the_quote_rule() -> None:
    books = books_of(*((10 * k, BIDS, ASKS) for k in range(8_640)))
    trades = trades_of((3_605, 0.49, 3, 0), (3_675, 0.51, 2, 0), (3_690, 0.51, 5, 1), (3_700, 0.51, 4, -1))
    (day,) = statistics_of(trades, books, 1)
    assert (day.n_trades, day.n_unsigned, day.n_side_checked, day.n_side_agreeing) == (4, 2, 2, 1)
    np.testing.assert_allclose(day.decay_base[:, 0].sum(), 3**2 + (2 + 5 - 4) ** 2)


def test_day_keeps_to_itself() -> None:
    tape = tape_of(5, n_days=2, snapshot_s=30)
    second = START_US + US_PER_DAY
    cut = statistics_of(tape.trades.between(second, 2 * second), tape.books.between(second, 2 * second), 2)[1]
    whole = statistics_of(tape.trades, tape.books, 2)[1]
    assert cut.to_row() == whole.to_row()


def test_rare_snapshots_reach_three_median_gaps() -> None:
    books = books_of(*((300 * k, BIDS, ASKS) for k in range(288) if not 100 <= k < 110))
    (day,) = statistics_of(no_trades(), books, 1)
    assert day.covered_s == 86_400 - (11 * 300 - 900)


@pytest.mark.parametrize(("limit_s", "n_moves"), [(300.0, 1), (299.0, 0)])
def test_mid_holds_up_to_its_reach_inclusive(limit_s: float, n_moves: int) -> None:
    (day,) = statistics_of(no_trades(), books_of((0, BIDS, ASKS)), 1, staleness_limit_s=limit_s)
    assert day.n_moves[0, 0] == n_moves


def test_frequent_snapshots_reach_the_limit() -> None:
    books = books_of(*((k, BIDS, ASKS) for k in range(100)))
    (day,) = statistics_of(no_trades(), books, 1, staleness_limit_s=45)
    assert day.covered_s == 99 + 45


def test_one_sided_and_crossed_books_are_counted_and_not_used() -> None:
    books = books_of((0, BIDS, ASKS), (10, BIDS, []), (20, [], ASKS), (50, [(0.6, 1)], [(0.5, 1)]))
    (day,) = statistics_of(no_trades(), books, 1)
    assert (day.n_snapshots, day.n_usable, day.covered_s) == (4, 1, 30)
    assert day.n_slopes.sum() == 1


def test_sampled_book_must_be_usable_and_counts_once() -> None:
    # Gaps of 10, 300 and 331 s: a book reaches 900 s. At 300 s the newest book is one-sided; the book of 600 s is
    # newest at 600 and at 900 s, that of 931 s at 1200, 1500 and 1800 s.
    books = books_of((290, BIDS, ASKS), (300, BIDS, []), (600, BIDS, ASKS), (931, BIDS, ASKS))
    assert statistics_of(no_trades(), books, 1)[0].n_slopes.sum() == 2


def test_stale_book_is_not_sampled() -> None:
    books = books_of((250, BIDS, ASKS), (251, BIDS, ASKS))
    assert statistics_of(no_trades(), books, 1)[0].n_slopes.sum() == 0


def test_empty_day_is_empty_not_wrong() -> None:
    (day,) = statistics_of(no_trades(), no_order_books(), 1, tick_size=None)
    assert not day.has_data
    assert (day.first_snapshot_s, day.last_mid, day.tick_size, day.covered_s) == (None, None, None, 0)
    assert all(not np.nan_to_num(getattr(day, name)).any() for name in SHAPES)


def test_tick_is_inferred_when_the_market_has_none() -> None:
    books = books_of((0, BIDS, ASKS))
    assert statistics_of(no_trades(), books, 1, tick_size=None)[0].tick_size == pytest.approx(0.01)


@pytest.mark.parametrize("size", [1e200, 1.7e308])
def test_huge_sizes_become_missing_not_errors(size: float) -> None:
    books = books_of(*((10 * k, [(0.49, size), (0.48, size)], [(0.51, size), (0.52, size)]) for k in range(8_640)))
    (day,) = statistics_of(trades_of(*((3_600 + k, 0.5, size, 1) for k in range(3))), books, 1)
    assert not any(np.isinf(getattr(day, name)).any() for name in SHAPES)
    assert np.isnan(day.lag_xtx).any()


def test_huge_prices_become_missing_not_errors() -> None:
    books = books_of(
        (0, [(1.0, 1)], [(1e200, 1)]), (3_600, [(1.0, 1)], [(3e200, 1)]), (7_200, [(1e308, 1)], [(1.7e308, 1)])
    )
    (day,) = statistics_of(no_trades(), books, 1)
    assert not any(np.isinf(getattr(day, name)).any() for name in SHAPES)
    assert np.isnan(day.move_sq).any()
    assert (day.n_snapshots, day.n_usable) == (3, 2)


def test_row_has_the_columns_of_its_frame_and_comes_back_the_same() -> None:
    tape = tape_of(3, n_days=1, snapshot_s=60)
    (day,) = statistics_of(tape.trades, tape.books, 1, data_fingerprint="abc", price_min=0.0, price_max=1.0)
    row = day.to_row()
    assert tuple(row) == IMPACT_STATISTICS.column_names
    # The stores hold arrays as doubles.
    assert 8 * sum(len(row[name]) for name in SHAPES) <= 64_000
    back = ImpactStatistics.from_row(row)
    assert json.dumps(back.to_row(), default=str) == json.dumps(row, default=str)
    for name, shape in SHAPES.items():
        assert getattr(back, name).shape == shape
    assert (back.day, back.data_fingerprint, back.price_max) == (START.date(), "abc", 1.0)


def test_row_survives_a_data_frame_with_missing_numbers() -> None:
    (empty,) = statistics_of(no_trades(), no_order_books(), 1, tick_size=None)
    (full,) = statistics_of(no_trades(), books_of((0, BIDS, ASKS)), 1)
    rows = pd.DataFrame([empty.to_row(), full.to_row()])
    rows["timestamp"] = pd.to_datetime(rows["timestamp"], utc=True)
    back = [ImpactStatistics.from_row(row) for row in rows.to_dict("records")]
    # As text, where a missing measure equals itself.
    assert [repr(day.to_row()) for day in back] == [repr(day.to_row()) for day in (empty, full)]


def test_row_of_another_shape_is_an_error() -> None:
    (day,) = statistics_of(no_trades(), no_order_books(), 1)
    with pytest.raises(ValueError, match="reshape"):
        ImpactStatistics.from_row(day.to_row() | {"move_sq": [0.0]})
