"""The Lee-Ready rule by hand and on a market whose sides are known, and what its mistakes do to a slope."""

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.analytics.markets import START_US, books_of, tape_of, trades_of
from tributary_pipelines.analytics.calibration.signing import SideCounts, attenuation, sign_trades
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import OrderBooks, Trades, no_order_books, no_trades

REACH_US = 30e6
BOOK = ([(0.49, 100.0)], [(0.51, 100.0)])


def signs_of(trades: Trades, books: OrderBooks) -> list[int]:
    return sign_trades(trades, books, REACH_US)[0].signs.tolist()


def hidden(trades: Trades) -> Trades:
    return replace(trades, signs=np.zeros(len(trades), np.int8))


def test_the_quote_decides_and_the_tick_test_at_the_mid() -> None:
    trades = trades_of((1, 0.51, 10, 0), (2, 0.50, 10, 0), (3, 0.49, 10, 0), (4, 0.50, 10, 0), (5, 0.50, 10, 0))
    assert signs_of(trades, books_of((0, *BOOK))) == [1, -1, -1, 1, 1]


def test_without_quotes_the_last_change_decides_and_the_first_trade_is_a_buy() -> None:
    prices = (0.50, 0.50, 0.49, 0.49, 0.52, 0.52, 0.51)
    trades = trades_of(*((i, price, 10, 0) for i, price in enumerate(prices)))
    assert signs_of(trades, no_order_books()) == [1, 1, -1, -1, 1, 1, -1]


def test_a_quote_counts_only_strictly_before_the_trade() -> None:
    later = ([(0.55, 100.0)], [(0.57, 100.0)])
    books = books_of((0, *BOOK), (1, *later))
    assert signs_of(trades_of((1, 0.53, 10, 0)), books) == [1]
    assert signs_of(trades_of((1.000001, 0.53, 10, 0)), books) == [-1]


def test_an_old_quote_does_not_count() -> None:
    books = books_of((0, *BOOK))
    assert signs_of(trades_of((30, 0.40, 10, 0)), books) == [-1]
    assert signs_of(trades_of((30.000001, 0.40, 10, 0)), books) == [1]


def test_one_sided_and_crossed_books_are_passed_over() -> None:
    books = books_of((0, *BOOK), (1, [(0.30, 1.0)], []), (2, [(0.60, 1.0)], [(0.20, 1.0)]))
    assert signs_of(trades_of((3, 0.49, 10, 0)), books) == [-1]


def test_rounding_is_neither_a_move_nor_a_distance_from_the_mid() -> None:
    books = books_of((0, [(0.1, 1.0)], [(0.2, 1.0)]))
    assert (0.1 + 0.2) / 2 > 0.15
    moved = trades_of((1, 0.2, 1, 0), (2, 0.15, 1, 0), (3, 0.15, 1, 0))
    assert signs_of(moved, books) == [1, -1, -1]
    assert signs_of(trades_of((1, 0.56, 1, 0), (2, 0.57, 1, 0), (3, 1 - 0.43 - 2e-16, 1, 0)), no_order_books())[2] == 1


def test_ticks_of_very_cheap_and_very_dear_prices_are_seen() -> None:
    cheap = trades_of((1, 3e-8, 1, 0), (2, 2e-8, 1, 0))
    dear = trades_of((1, 100_000.02, 1, 0), (2, 100_000.01, 1, 0))
    assert signs_of(cheap, no_order_books()) == signs_of(dear, no_order_books()) == [1, -1]


def test_the_venues_sides_stay_and_are_what_the_rule_is_checked_on() -> None:
    trades = trades_of((1, 0.51, 10, -1), (2, 0.49, 10, -1), (3, 0.51, 10, 0), (60, 0.51, 10, 1), (61, 0.40, 10, 0))
    signed, counts = sign_trades(trades, books_of((0, *BOOK)), REACH_US)
    assert signed.signs.tolist() == [-1, -1, 1, 1, -1]
    assert counts == SideCounts(n_unsigned=2, n_checked=3, n_agreeing=2)
    assert counts.misclassification_rate == pytest.approx(1 / 3)
    assert trades.signs.tolist() == [-1, -1, 0, 1, 0]


def test_the_buy_at_the_beginning_is_no_evidence() -> None:
    counts = sign_trades(trades_of((1, 0.5, 10, 1), (2, 0.5, 10, 1)), no_order_books(), REACH_US)[1]
    assert counts == SideCounts(n_unsigned=0, n_checked=0, n_agreeing=0)
    assert counts.misclassification_rate is None


def test_no_trades() -> None:
    signed, counts = sign_trades(no_trades(), books_of((0, *BOOK)), REACH_US)
    assert len(signed) == 0
    assert signed.signs.dtype == np.int8
    assert counts == SideCounts(0, 0, 0)


def sign_one_by_one(trades: Trades, books: OrderBooks) -> list[int]:
    """The rule as it is told, a trade at a time."""
    signs: list[int] = []
    tick = 1
    for i, (at, price, sign) in enumerate(zip(trades.times, trades.prices, trades.signs, strict=True)):
        if i and price != trades.prices[i - 1]:
            tick = 1 if price > trades.prices[i - 1] else -1
        mids = [m for t, m in zip(books.times, books.mids, strict=True) if at - REACH_US <= t < at]
        by_quote = int(np.sign(price - mids[-1])) if mids else 0
        signs.append(int(sign) or by_quote or tick)
    return signs


@given(st.integers(0, 10_000))
def test_it_equals_the_rule_applied_trade_by_trade(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = rng.integers(0, 25, 2)
    # Prices in eighths are exact, so that the plain comparison of the reference is too.
    trades = Trades(
        START_US + np.sort(rng.integers(0, 200, n)) * 1_000_000,
        rng.integers(2, 7, n) / 8,
        np.ones(n),
        rng.integers(-1, 2, n).astype(np.int8),
    )
    bids = rng.integers(1, 6, (m, 1)) / 8
    at = START_US + np.sort(rng.choice(200, m, replace=False)) * 1_000_000
    books = OrderBooks(at, bids, np.ones((m, 1)), bids + rng.integers(1, 3, (m, 1)) / 8, np.ones((m, 1)))
    assert signs_of(trades, books) == sign_one_by_one(trades, books)


def test_accuracy_on_a_market_whose_sides_are_known() -> None:
    tape = tape_of(1, n_days=7)
    usable = tape.books.rows(np.flatnonzero(tape.books.is_usable))
    with_quotes = np.mean(signs_of(hidden(tape.trades), usable) == tape.trades.signs)
    tick_alone = np.mean(signs_of(hidden(tape.trades), no_order_books()) == tape.trades.signs)
    assert with_quotes >= 0.99
    assert 0.80 < tick_alone < 0.92


def test_the_check_on_signed_trades_tells_the_accuracy_on_the_others() -> None:
    tape = tape_of(2, n_days=7)
    is_hidden = np.random.default_rng(3).uniform(size=len(tape.trades)) < 0.5
    half = replace(tape.trades, signs=np.where(is_hidden, 0, tape.trades.signs).astype(np.int8))
    signed, counts = sign_trades(half, no_order_books(), REACH_US)
    wrong = np.mean(signed.signs[is_hidden] != tape.trades.signs[is_hidden])
    assert counts.n_unsigned == is_hidden.sum()
    assert counts.n_checked + counts.n_unsigned >= len(half) - 2
    assert counts.misclassification_rate == pytest.approx(wrong, abs=0.03)


def test_a_million_trades_take_well_under_a_second() -> None:
    rng = np.random.default_rng(0)
    n = 1_000_000
    trades = Trades(np.arange(n) * 86_400, 0.5 + rng.integers(-3, 4, n) / 100, np.ones(n), np.zeros(n, np.int8))
    bids = 0.5 + rng.integers(-3, 4, (8_640, 1)) / 100
    books = OrderBooks(np.arange(8_640) * 10_000_000, bids, bids, bids + 0.01, bids)
    began = perf_counter()
    signed, _ = sign_trades(trades, books, REACH_US)
    assert perf_counter() - began < 0.9
    assert np.all(signed.signs != 0)


def test_attenuation_by_hand() -> None:
    counts = SideCounts(n_unsigned=100, n_checked=200, n_agreeing=172)
    assert attenuation(counts, 1.0) == pytest.approx(0.72)
    assert attenuation(counts, 0.25) == pytest.approx(0.93)


def test_attenuation_is_unknown_when_nothing_was_checked_and_none_when_nothing_was_guessed() -> None:
    unchecked = SideCounts(n_unsigned=100, n_checked=0, n_agreeing=0)
    assert attenuation(unchecked, 1.0) is None
    assert attenuation(unchecked, 0.0) == 1.0


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_fraction(share: float) -> None:
    with pytest.raises(ValidationError, match="share of trades signed by rule is"):
        attenuation(SideCounts(1, 1, 1), share)


def test_wrong_sides_shrink_a_slope_by_the_attenuation() -> None:
    rng = np.random.default_rng(5)
    n = 200_000
    flow = rng.choice([-1, 1], n) * rng.lognormal(4, 0.5, n)
    is_rule, is_wrong = rng.uniform(size=n) < 0.6, rng.uniform(size=n) < 0.15
    seen = np.where(is_rule & is_wrong, -flow, flow)
    slope_ratio = float(seen @ flow / (seen @ seen))
    checked = ~is_rule
    counts = SideCounts(is_rule.sum(), checked.sum(), (checked & ~is_wrong).sum())
    assert slope_ratio == pytest.approx(attenuation(counts, float(is_rule.mean())), abs=0.01)
