"""Small recorded tapes for the replay's tests, written as lists."""

import numpy as np

from tributary_pipelines.core.frames import OrderBooks, Trades
from tributary_pipelines.core.models import Market

START_US = 1_767_225_600_000_000
MARKET = Market(market_id="m", token_id="yes")
BOUNDED = Market(market_id="m", token_id="yes", tick_size=0.01, price_min=0.0, price_max=1.0)


def book(at_s, bids, asks):
    """One snapshot: seconds after START_US and (price, size) ladders, best first."""
    return at_s, bids, asks


def books_of(*snapshots):
    width = max([1, *(len(side) for _, *sides in snapshots for side in sides)])

    def column(side, part):
        values = np.full((len(snapshots), width), np.nan)
        for row, snapshot in enumerate(snapshots):
            for level, pair in enumerate(snapshot[side]):
                values[row, level] = pair[part]
        return values

    times = np.array([START_US + round(at_s * 1e6) for at_s, _, _ in snapshots], dtype=np.int64)
    return OrderBooks(times, column(1, 0), column(1, 1), column(2, 0), column(2, 1))


def trades_of(*rows):
    """Trades from (seconds, price, size, sign)."""
    at, prices, sizes, signs = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return Trades((START_US + at * 1e6).astype(np.int64), prices, sizes, signs.astype(np.int8))


def steady_books(seconds, bids, asks):
    """The same book at every one of these times."""
    return books_of(*(book(at_s, bids, asks) for at_s in seconds))
