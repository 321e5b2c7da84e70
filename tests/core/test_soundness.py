from dataclasses import replace

import numpy as np
import pytest

from tests.analytics.markets import books_of, trades_of
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import OrderBooks, Trades, no_order_books, no_trades
from tributary_pipelines.core.soundness import sound_market_data

TRADES = trades_of((1, 0.5, 10, 1), (2, 0.51, 20, -1), (2, 0.49, 5, 0))
BOOKS = books_of(
    (0, [(0.49, 9), (0.48, 9)], [(0.51, 9), (0.52, 9)]),
    (10, [(0.55, 9)], [(0.51, 9)]),  # crossed
    (20, [], [(0.51, 9)]),
    (30, [], []),
)
FAR = 2**62


def check(
    trades: Trades = TRADES, books: OrderBooks = BOOKS, *, price_min: float | None = None
) -> tuple[Trades, OrderBooks]:
    return sound_market_data(trades, books, 0, FAR, where="market m, token t", price_min=price_min)


def with_value(rows, field: str, where, value: float):
    values = getattr(rows, field).copy()
    values[where] = value
    return replace(rows, **{field: values})


@pytest.mark.parametrize(("trades", "books"), [(TRADES, BOOKS), (no_trades(), no_order_books())])
def test_what_a_venue_shows_is_sound(trades: Trades, books: OrderBooks) -> None:
    found = check(trades, books)
    assert [len(rows) for rows in found] == [len(trades), len(books)]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        *(("prices", value, "prices are not finite and positive") for value in (np.nan, np.inf, -np.inf, 0.0, -0.5)),
        *(("sizes", value, "sizes are not finite and positive") for value in (np.nan, np.inf, -np.inf, 0.0, -1.0)),
        ("signs", 2, "signs are not -1, 0 or 1"),
        ("signs", -128, "signs are not -1, 0 or 1"),
    ],
)
def test_a_trade_that_breaks_the_promise_is_named(field: str, value: float, words: str) -> None:
    with pytest.raises(ValidationError, match=f"market m, token t: trades: {words} in 1 row, first row 1;"):
        check(with_value(TRADES, field, 1, value))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        *(("bid_prices", value, "bid prices are not finite and positive") for value in (np.inf, 0.0, -0.5)),
        *(("ask_prices", value, "ask prices are not finite and positive") for value in (np.inf, 0.0, -0.5)),
        *(("bid_sizes", value, "bid sizes are not finite and positive") for value in (np.inf, 0.0, -1.0)),
        *(("ask_sizes", value, "ask sizes are not finite and positive") for value in (np.inf, 0.0, -1.0)),
        *((name, np.nan, "levels lack a price or a size") for name in ("bid_prices", "ask_sizes")),
    ],
)
def test_a_level_that_breaks_the_promise_is_named(field: str, value: float, words: str) -> None:
    with pytest.raises(ValidationError, match=f"{words} in 1 row, first row 1"):
        check(books=with_value(BOOKS, field, (1, 0), value))


@pytest.mark.parametrize(("field", "value"), [("bid_prices", 0.6), ("ask_prices", 0.5)])
def test_a_ladder_that_is_not_best_first_is_named(field: str, value: float) -> None:
    with pytest.raises(ValidationError, match=f"{field[:3]} levels are not best first in 1 row, first row 0"):
        check(books=with_value(BOOKS, field, (0, 1), value))


def test_a_hole_inside_a_ladder_is_named() -> None:
    books = with_value(with_value(BOOKS, "bid_prices", (0, 0), np.nan), "bid_sizes", (0, 0), np.nan)
    with pytest.raises(ValidationError, match="bid levels lack a price or a size in 1 row, first row 0"):
        check(books=books)


def test_times_must_ascend_and_those_of_snapshots_must_differ() -> None:
    late = with_value(TRADES, "times", 0, TRADES.times[-1] + 1)
    twice = with_value(BOOKS, "times", 2, BOOKS.times[1])
    words = "trades: times go back in 1 row, first row 1; snapshots: times go back or repeat in 1 row, first row 2;"
    with pytest.raises(ValidationError, match=words):
        check(late, twice)


def test_every_kind_is_named_at_once_with_the_number_of_rows() -> None:
    trades = with_value(with_value(TRADES, "prices", slice(None), -1.0), "sizes", 2, np.nan)
    with pytest.raises(ValidationError) as raised:
        check(trades, with_value(BOOKS, "ask_sizes", (2, 0), 0.0))
    assert str(raised.value) == (
        "market m, token t: trades: prices are not finite and positive in 3 rows, first row 0; "
        "trades: sizes are not finite and positive in 1 row, first row 2; "
        "snapshots: ask sizes are not finite and positive in 1 row, first row 2; "
        "leave such rows out, readers and imports do"
    )


def test_a_price_of_zero_is_the_other_tokens_upper_bound() -> None:
    trades, books = with_value(TRADES, "prices", 1, 0.0), with_value(BOOKS, "bid_prices", (0, 1), 0.0)
    assert len(check(trades, books, price_min=0.0)[0]) == 3
    for price_min in (None, 0.1):
        with pytest.raises(ValidationError, match=r"trades: prices .* bid prices"):
            check(trades, books, price_min=price_min)


def test_rows_outside_the_stretch_are_not_looked_at() -> None:
    bad = with_value(TRADES, "sizes", 2, -1.0)
    last = int(TRADES.times[1])
    trades, books = sound_market_data(bad, BOOKS, 0, last, where="here")
    assert (trades.times.tolist(), books.times.tolist()) == ([TRADES.times[0]], [BOOKS.times[0]])
    with pytest.raises(ValidationError, match="here: trades: sizes"):
        sound_market_data(bad, BOOKS, 0, last + 1, where="here")
