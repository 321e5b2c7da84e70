"""What columnar market data promises (frames.py), checked: all breaches at once, in words.

Imports quarantine, writers refuse and readers leave out what breaks these promises. Data that breaks them here was
made by the caller, and numbers computed from it would look fine and be wrong.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Float64Array2D, OrderBooks, Trades

_Flags = NDArray[np.bool_]


def sound_market_data(
    trades: Trades, books: OrderBooks, start_us: int, end_us: int, *, where: str, price_min: float | None = None
) -> tuple[Trades, OrderBooks]:
    """Return the trades and snapshots of [start, end), as views, after verifying them and the order of all.

    Parameters
    ----------
    trades, books : Trades, OrderBooks
        Crossed, one-sided and empty books are sound: they show what the venue showed.
    start_us, end_us : int
        Microseconds since the epoch, UTC.
    where : str
        Begins the message: market, token and day.
    price_min : float, optional
        Declared lower price bound. At a bound of 0 a price of 0 is sound: it is the other token's price_max.

    Raises
    ------
    ValidationError
        Times that go back; else prices or sizes that are not finite and positive, unknown signs, levels without price
        or size, ladders that are not best first; every kind, with its first row.
    """
    faults = [
        *_fault("trades: times go back", np.diff(trades.times) < 0, offset=1),
        *_fault("snapshots: times go back or repeat", np.diff(books.times) <= 0, offset=1),
    ]
    # Rows of a stretch of time can be found only where times ascend.
    if not faults:
        is_zero_sound = price_min is not None and price_min <= 0
        trades, books = trades.between(start_us, end_us), books.between(start_us, end_us)
        faults = [*_trade_faults(trades, is_zero_sound), *_book_faults(books, is_zero_sound)]
    if faults:
        raise ValidationError(f"{where}: {'; '.join(faults)}; leave such rows out, readers and imports do")
    return trades, books


def _trade_faults(trades: Trades, is_zero_sound: bool) -> Iterator[str]:
    yield from _fault("trades: prices are not finite and positive", ~_are_prices(trades.prices, is_zero_sound))
    yield from _fault("trades: sizes are not finite and positive", ~_are_prices(trades.sizes, False))
    yield from _fault("trades: signs are not -1, 0 or 1", (trades.signs < -1) | (trades.signs > 1))


def _book_faults(books: OrderBooks, is_zero_sound: bool) -> Iterator[str]:
    sides = (("bid", books.bid_prices, books.bid_sizes), ("ask", books.ask_prices, books.ask_sizes))
    for side, prices, sizes in sides:
        is_level = ~np.isnan(prices)
        torn = is_level == np.isnan(sizes)
        torn[:, 1:] |= is_level[:, 1:] & ~is_level[:, :-1]
        yield from _fault(f"snapshots: {side} levels lack a price or a size", _rows_with(torn))
        bad_price = is_level & ~_are_prices(prices, is_zero_sound)
        yield from _fault(f"snapshots: {side} prices are not finite and positive", _rows_with(bad_price))
        bad_size = ~np.isnan(sizes) & ~_are_prices(sizes, False)
        yield from _fault(f"snapshots: {side} sizes are not finite and positive", _rows_with(bad_size))
        yield from _fault(f"snapshots: {side} levels are not best first", _is_unsorted(prices, side == "bid"))


def _are_prices(values: Float64Array2D, is_zero_sound: bool) -> _Flags:
    is_above = values >= 0 if is_zero_sound else values > 0
    sound: _Flags = is_above & (values < np.inf)
    return sound


def _is_unsorted(prices: Float64Array2D, best_is_high: bool) -> _Flags:
    better, worse = (prices[:, 1:], prices[:, :-1]) if best_is_high else (prices[:, :-1], prices[:, 1:])
    return _rows_with(better > worse)


def _rows_with(is_bad: _Flags) -> _Flags:
    rows: _Flags = np.any(is_bad, axis=1)
    return rows


def _fault(what: str, is_bad: _Flags, *, offset: int = 0) -> Iterator[str]:
    rows = np.flatnonzero(is_bad)
    if len(rows):
        yield f"{what} in {len(rows)} row{'s' if len(rows) > 1 else ''}, first row {rows[0] + offset}"
