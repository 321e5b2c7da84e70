"""Columnar market data of one token as rows of the raw tables, for writing what was computed rather than imported."""

import numpy as np
import pandas as pd

from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D, OrderBooks, Trades
from tributary_pipelines.core.models import Market


def trade_rows(market: Market, trades: Trades, *, id_prefix: str) -> pd.DataFrame:
    """Return columnar trades as rows of the TRADES frame; ids count up behind the prefix."""
    n = len(trades)
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(trades.times, unit="us", utc=True),
            "market_id": market.market_id,
            "token_id": market.token_id,
            "side": np.array(["sell", None, "buy"], dtype=object)[trades.signs + 1],
            "trade_id": [f"{id_prefix}{index}" for index in range(n)],
            "price": trades.prices,
            "size": trades.sizes,
            "value": trades.prices * trades.sizes,
            "is_buyer_maker": trades.signs < 0,
            "received_at": pd.Series([pd.NaT] * n, dtype="datetime64[us, UTC]"),
            "side_source": "venue",
            "id_kind": "derived",
        }
    )


def book_rows(market: Market, books: OrderBooks) -> pd.DataFrame:
    """Return columnar snapshots as rows of the ORDERBOOK_SNAPSHOTS frame."""
    mids = (books.best_bids + books.best_asks) / 2
    spreads = books.best_asks - books.best_bids
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(books.times, unit="us", utc=True),
            "market_id": market.market_id,
            "token_id": market.token_id,
            "best_bid": books.best_bids,
            "best_ask": books.best_asks,
            "bid_size": books.bid_sizes[:, 0],
            "ask_size": books.ask_sizes[:, 0],
            "mid_price": mids,
            "spread": spreads,
            "spread_bps": 1e4 * spreads / mids,
            "total_bid_volume": _totals(books.bid_sizes),
            "total_ask_volume": _totals(books.ask_sizes),
            "bid_prices": _ladders(books.bid_prices),
            "bid_sizes": _ladders(books.bid_sizes),
            "ask_prices": _ladders(books.ask_prices),
            "ask_sizes": _ladders(books.ask_sizes),
            "received_at": pd.Series([pd.NaT] * len(books), dtype="datetime64[us, UTC]"),
            "source": "file",
        }
    )


def _ladders(padded: Float64Array2D) -> pd.Series:
    shown = ~np.isnan(padded)
    ends = np.cumsum(shown.sum(axis=1))
    pieces = np.split(padded[shown], ends[:-1])
    ladders = np.empty(len(padded), dtype=object)
    ladders[:] = pieces
    return pd.Series(ladders)


def _totals(padded: Float64Array2D) -> Float64Array1D:
    shown = ~np.isnan(padded)
    counts = shown.sum(axis=1)
    is_there = counts > 0
    totals = np.full(len(padded), np.nan)
    if is_there.any():
        # Added in the order an import adds, so that an exported snapshot comes back bit for bit.
        totals[is_there] = np.add.reduceat(padded[shown], (np.cumsum(counts) - counts)[is_there])
    return totals
