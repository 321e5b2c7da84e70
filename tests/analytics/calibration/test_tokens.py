"""Two tokens as one market: what is mirrored, what counts once, and whose book is used."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.analytics.markets import books_of, tape_of, trades_of
from tributary_pipelines.analytics.calibration.tokens import choose_books, merge_tokens, mirror_books
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import OrderBooks, Trades, no_order_books, no_trades
from tributary_pipelines.core.units import SECONDS_PER_DAY

# Few distinct values, so that ties and second reports are frequent.
ROW = st.tuples(
    st.integers(0, 3), st.sampled_from([0.07, 0.43, 0.57, 0.93]), st.sampled_from([5.0, 7.5]), st.integers(-1, 1)
)
TRADES = st.lists(ROW, max_size=12).map(lambda rows: trades_of(*sorted(rows, key=lambda row: row[0])))


def rows_of(trades: Trades) -> list[tuple[int, float, float, int]]:
    columns = (trades.times, trades.prices.round(9), trades.sizes, trades.signs)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def mirrored(trades: Trades) -> Trades:
    return replace(trades, prices=1 - trades.prices, signs=-trades.signs)


def assert_same_books(actual: OrderBooks, expected: OrderBooks) -> None:
    for field in fields(OrderBooks):
        np.testing.assert_array_equal(getattr(actual, field.name), getattr(expected, field.name), err_msg=field.name)


def test_buying_the_other_token_is_selling_the_own() -> None:
    own = trades_of((1, 0.60, 10, 1), (5, 0.61, 10, 0))
    other = trades_of((2, 0.43, 20, 1), (3, 0.38, 30, -1), (4, 0.41, 40, 0))
    merged = merge_tokens(own, other, 0.0, 1.0)
    expected = trades_of((1, 0.60, 10, 1), (2, 0.57, 20, -1), (3, 0.62, 30, 1), (4, 0.59, 40, 0), (5, 0.61, 10, 0))
    assert merged.trades.prices.tolist() == expected.prices.tolist()
    assert rows_of(merged.trades) == rows_of(expected)
    assert (merged.n_other, merged.n_mirrored) == (3, 0)
    assert merged.trades.signs.dtype == np.int8
    assert merged.trades.times.dtype == np.int64


def test_the_bounds_set_the_scale() -> None:
    merged = merge_tokens(no_trades(), trades_of((1, 30, 10, 1)), 20.0, 100.0)
    assert merged.trades.prices.tolist() == [90.0]


def test_at_equal_times_the_own_trades_come_first_and_keep_their_order() -> None:
    own = trades_of((1, 0.60, 1, 1), (1, 0.59, 2, 1))
    other = trades_of((0, 0.5, 3, 1), (1, 0.30, 4, 1), (1, 0.20, 5, 1))
    assert merge_tokens(own, other, 0.0, 1.0).trades.sizes.tolist() == [3, 1, 2, 4, 5]


def test_a_trade_reported_on_both_tokens_counts_once() -> None:
    own = trades_of((1, 0.57, 10, 1), (2, 0.57, 10, 1))
    merged = merge_tokens(own, trades_of((1, 1 - 0.57, 10, -1)), 0.0, 1.0)
    assert rows_of(merged.trades) == rows_of(own)
    assert (merged.n_other, merged.n_mirrored) == (1, 1)


def test_rounding_does_not_make_a_second_report_another_trade() -> None:
    merged = merge_tokens(trades_of((1, 0.57, 10, 1)), trades_of((1, 0.43 + 5e-10, 10, -1)), 0.0, 1.0)
    assert (len(merged.trades), merged.n_mirrored) == (1, 1)


@pytest.mark.parametrize(
    "other",
    [(1.000001, 0.43, 10, -1), (1, 0.43, 10.5, -1), (1, 0.44, 10, -1), (1, 0.43 + 2e-9, 10, -1), (1, 0.43, 10, 1)],
    ids=["time", "size", "price", "price by 2e-9", "sign"],
)
def test_a_trade_that_differs_is_another_trade(other: tuple[float, float, float, int]) -> None:
    merged = merge_tokens(trades_of((1, 0.57, 10, 1)), trades_of(other), 0.0, 1.0)
    assert (len(merged.trades), merged.n_mirrored) == (2, 0)


def test_equal_trades_pair_one_to_one() -> None:
    own = trades_of(*[(1, 0.57, 10, 1)] * 2, (1, 0.6, 10, 1))
    other = trades_of(*[(1, 0.43, 10, -1)] * 5, (2, 0.43, 10, -1))
    merged = merge_tokens(own, other, 0.0, 1.0)
    assert (len(merged.trades), merged.n_other, merged.n_mirrored) == (7, 6, 2)
    assert merged.trades.times[-1] - merged.trades.times[0] == 1_000_000


def test_repeats_within_one_token_are_left_alone() -> None:
    twice = trades_of(*[(1, 0.57, 10, 1)] * 2)
    assert rows_of(merge_tokens(twice, no_trades(), 0.0, 1.0).trades) == rows_of(twice)
    assert len(merge_tokens(no_trades(), twice, 0.0, 1.0).trades) == 2


def test_nothing_on_either_token() -> None:
    merged = merge_tokens(no_trades(), no_trades(), 0.0, 1.0)
    assert (len(merged.trades), merged.n_other, merged.n_mirrored) == (0, 0, 0)


@given(TRADES, TRADES)
def test_size_is_conserved_but_for_second_reports(own: Trades, other: Trades) -> None:
    merged = merge_tokens(own, other, 0.0, 1.0)
    assert len(merged.trades) == len(own) + merged.n_other - merged.n_mirrored
    left, seen = rows_of(own), rows_of(mirrored(other))
    # One to one, by hand: strike each of the other's trades off the own token's list.
    struck = [row for row in seen if row in left and (left.remove(row) or True)]
    assert merged.n_mirrored == len(struck)
    total = own.sizes.sum() + other.sizes.sum() - sum(size for _, _, size, _ in struck)
    assert merged.trades.sizes.sum() == pytest.approx(total)
    assert np.all(np.diff(merged.trades.times) >= 0)


@given(TRADES, TRADES)
def test_seen_from_the_other_token_it_is_the_same_market_mirrored(own: Trades, other: Trades) -> None:
    here, there = merge_tokens(own, other, 0.0, 1.0), merge_tokens(other, own, 0.0, 1.0)
    assert sorted(rows_of(here.trades)) == sorted(rows_of(mirrored(there.trades)))
    assert here.n_mirrored == there.n_mirrored


@given(TRADES)
def test_mirroring_trades_twice_changes_nothing(trades: Trades) -> None:
    once = merge_tokens(no_trades(), trades, 0.0, 1.0).trades
    twice = merge_tokens(no_trades(), once, 0.0, 1.0).trades
    for column in ("times", "prices", "sizes", "signs"):
        np.testing.assert_array_equal(getattr(twice, column), getattr(trades, column))


@given(TRADES)
def test_a_market_reported_wholly_on_both_tokens_is_itself(trades: Trades) -> None:
    assume(len(trades))
    merged = merge_tokens(trades, mirrored(trades), 0.0, 1.0)
    assert rows_of(merged.trades) == rows_of(trades)
    assert merged.n_mirrored == merged.n_other == len(trades)


def test_a_market_split_over_two_tokens_is_put_together_again() -> None:
    trades = tape_of(4, n_days=2).trades
    is_own = np.random.default_rng(6).uniform(size=len(trades)) < 0.5
    parts = [Trades(*(getattr(trades, f.name)[which] for f in fields(Trades))) for which in (is_own, ~is_own)]
    merged = merge_tokens(parts[0], mirrored(parts[1]), 0.0, 1.0)
    np.testing.assert_allclose(merged.trades.prices, trades.prices, rtol=0, atol=1e-12)
    for column in ("times", "sizes", "signs"):
        np.testing.assert_array_equal(getattr(merged.trades, column), getattr(trades, column))


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (1.0, 0.0), (0.0, float("inf")), (float("nan"), 1.0)])
def test_mirroring_needs_bounds(low: float, high: float) -> None:
    with pytest.raises(ValidationError, match=r"price bounds .*declare finite price_min"):
        merge_tokens(no_trades(), no_trades(), low, high)
    with pytest.raises(ValidationError, match=r"price bounds .*declare finite price_min"):
        mirror_books(no_order_books(), low, high)


BOOKS = books_of(
    (0, [(0.40, 10), (0.37, 20), (0.36, 30)], [(0.43, 40), (0.50, 50)]),
    (10, [(0.41, 10)], []),
    (20, [], [(0.43, 40), (0.44, 50)]),
)
TURNED = books_of(
    (0, [(0.57, 40), (0.50, 50)], [(0.60, 10), (0.63, 20), (0.64, 30)]),
    (10, [], [(0.59, 10)]),
    (20, [(0.57, 40), (0.56, 50)], []),
)


def test_bids_of_the_other_token_are_asks_best_first() -> None:
    assert_same_books(mirror_books(BOOKS, 0.0, 1.0), TURNED)
    assert mirror_books(no_order_books(), 0.0, 1.0).mids.tolist() == []


def test_mirroring_books_twice_changes_nothing() -> None:
    assert_same_books(mirror_books(mirror_books(BOOKS, 0.0, 1.0), 0.0, 1.0), BOOKS)


def test_a_mirrored_mid_is_the_mid_mirrored() -> None:
    books = tape_of(4, n_days=1).books
    turned = mirror_books(books, 0.0, 1.0)
    np.testing.assert_allclose(turned.mids, 1 - books.mids, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(turned.is_usable, books.is_usable)


def day_books(*days: int, levels: int = 1) -> OrderBooks:
    """Two snapshots a day; the number of levels and the prices tell where they are from."""
    bids, asks = ([(0.5 + side * (0.1 + i / 100), levels) for i in range(levels)] for side in (-1, 1))
    return books_of(*((day * SECONDS_PER_DAY + second, bids, asks) for day in days for second in (0, 86_399)))


def test_each_day_has_one_recording_of_the_book() -> None:
    chosen = choose_books(day_books(1, 4, levels=2), day_books(0, 1, 2, levels=3))
    assert chosen.bid_sizes[:, 0].tolist() == [3, 3, 2, 2, 3, 3, 2, 2]
    assert np.all(np.diff(chosen.times) > 0)
    assert chosen.bid_prices.shape == (8, 3)
    assert np.isnan(chosen.ask_prices[2]).tolist() == [False, False, True]
    assert not np.isnan(chosen.ask_prices[0]).any()


def test_one_snapshot_of_the_own_token_is_a_recording() -> None:
    own = day_books(0, levels=2).rows(slice(1, 2))
    assert_same_books(choose_books(own, day_books(0)), own)


def test_a_token_without_books_takes_the_others() -> None:
    assert_same_books(choose_books(no_order_books(), BOOKS), BOOKS)
    assert_same_books(choose_books(BOOKS, no_order_books()), BOOKS)
    assert len(choose_books(no_order_books(), no_order_books())) == 0
