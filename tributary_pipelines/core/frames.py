"""What every table and array holds: name, kind, unit and meaning of each column, said once.

storage/schema.py makes the tables of both stores from these frames; results carry the same names. Bulk market data
travels as the two columnar classes at the end, one token each: no object per trade or snapshot.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float64Array1D = NDArray[np.float64]
Float64Array2D = NDArray[np.float64]
Int64Array1D = NDArray[np.int64]
Int8Array1D = NDArray[np.int8]

Kind = Literal["timestamp", "symbol", "string", "double", "long", "boolean", "array"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``array`` is a list of doubles, ``symbol`` a string with few distinct values."""

    name: str
    kind: Kind
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A table: its columns, the key that makes a row unique, and the meaning of a row.

    The first column is always ``timestamp``, the time the table is ordered and partitioned by.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)


_MARKET = Column("market_id", "symbol", "id", "the venue's market")
_TOKEN = Column("token_id", "symbol", "id", "the token of the market that is traded")

TRADES = Frame(
    "trades",
    "one fill on the tape, seen from the taker",
    ("timestamp", "market_id", "token_id", "trade_id"),
    (
        Column("timestamp", "timestamp", "UTC", "time of the trade by the venue's clock"),
        _MARKET,
        _TOKEN,
        Column("side", "symbol", "buy|sell", "the taker's side; null when the venue does not say"),
        Column("trade_id", "string", "id", "the venue's id, or one derived from the row"),
        Column("price", "double", "P", "price per share"),
        Column("size", "double", "shares", "shares traded"),
        Column("value", "double", "quote", "price times size"),
        Column("is_buyer_maker", "boolean", "flag", "the buyer was resting; false also when unknown"),
        Column("received_at", "timestamp", "UTC", "when we saw it; null for imported files"),
        Column("side_source", "symbol", "venue|order|rule", "where the side comes from"),
        Column("id_kind", "symbol", "native|derived", "where trade_id comes from"),
    ),
)

ORDERBOOK_SNAPSHOTS = Frame(
    "orderbook_snapshots",
    "one full-depth snapshot of a token's book; a missing side is null and an empty ladder",
    ("timestamp", "market_id", "token_id"),
    (
        Column("timestamp", "timestamp", "UTC", "time of the snapshot"),
        _MARKET,
        _TOKEN,
        Column("best_bid", "double", "P", "highest bid"),
        Column("best_ask", "double", "P", "lowest ask"),
        Column("bid_size", "double", "shares", "size at the highest bid"),
        Column("ask_size", "double", "shares", "size at the lowest ask"),
        Column("mid_price", "double", "P", "middle of the best quotes; null when one-sided"),
        Column("spread", "double", "P", "best ask minus best bid; null when one-sided"),
        Column("spread_bps", "double", "bps", "spread over mid"),
        Column("total_bid_volume", "double", "shares", "sum of bid sizes"),
        Column("total_ask_volume", "double", "shares", "sum of ask sizes"),
        Column("bid_prices", "array", "P", "bid ladder, best first"),
        Column("bid_sizes", "array", "shares", "sizes along the bid ladder"),
        Column("ask_prices", "array", "P", "ask ladder, best first"),
        Column("ask_sizes", "array", "shares", "sizes along the ask ladder"),
        Column("received_at", "timestamp", "UTC", "when we saw it; null for imported files"),
        Column("source", "symbol", "rest|ws|rebuilt|file", "how the snapshot was obtained"),
    ),
)

MARKETS = Frame(
    "markets",
    "one token of a market; the newest entry per (market_id, token_id) counts",
    ("timestamp", "market_id", "token_id"),
    (
        Column("timestamp", "timestamp", "UTC", "when the entry was stored; earlier entries rank first"),
        _MARKET,
        _TOKEN,
        Column("complement_token_id", "string", "id", "the other token of a two-outcome market"),
        Column("slug", "string", "name", "the venue's readable name"),
        Column("series_id", "string", "id", "the series a short-lived market belongs to"),
        Column("venue", "symbol", "name", "the venue"),
        Column("quote_currency", "symbol", "code", "currency of prices and costs"),
        Column("tick_size", "double", "P", "price increment"),
        Column("lot_size", "double", "shares", "size increment"),
        Column("min_order_size", "double", "shares", "smallest order"),
        Column("price_min", "double", "P", "declared lower price bound"),
        Column("price_max", "double", "P", "declared upper price bound"),
        Column("fee_model", "symbol", "none|bps|per_contract|quadratic", "how the taker fee is made"),
        Column("fee_rate", "double", "by fee_model", "rate of the taker fee"),
        Column("fee_exponent", "double", "1", "exponent of the quadratic fee"),
        Column("resolves_at", "timestamp", "UTC", "when the market resolves"),
        Column("question", "string", "text", "the question the market asks"),
        Column("outcomes", "string", "text", "its outcomes"),
        Column("resolution", "string", "text", "the outcome it resolved to"),
        Column("valid_from", "timestamp", "UTC", "from when these properties hold"),
    ),
)

QUARANTINE = Frame(
    "quarantine",
    "a row that broke a rule, kept with the reason",
    ("timestamp", "payload_sha256"),
    (
        Column("timestamp", "timestamp", "UTC", "time of the row when it has one, else the epoch"),
        Column("payload_sha256", "string", "hash", "of stream and payload"),
        Column("venue", "symbol", "name", "the venue, or 'file'"),
        Column("market_id", "symbol", "id", "the market, when the row names one"),
        Column("stream", "symbol", "trades|books|markets", "what the row was meant to be"),
        Column("reason", "string", "text", "the rule it broke"),
        Column("payload", "string", "text", "the row as JSON"),
        Column("n", "long", "rows", "how many equal rows"),
    ),
)

RAW_FRAMES = (TRADES, ORDERBOOK_SNAPSHOTS, MARKETS, QUARANTINE)


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of one token in ascending time; ties keep arrival order.

    Parameters
    ----------
    times : (n,) int64
        Microseconds since the epoch, UTC.
    prices, sizes : (n,) float64
        Price units and shares; finite and positive.
    signs : (n,) int8
        +1 the taker bought, -1 the taker sold, 0 unknown.
    """

    times: Int64Array1D
    prices: Float64Array1D
    sizes: Float64Array1D
    signs: Int8Array1D

    def __len__(self) -> int:
        return len(self.times)

    def between(self, start_us: int, end_us: int) -> "Trades":
        """Return the trades of [start, end), as views."""
        lo, hi = np.searchsorted(self.times, [start_us, end_us])
        return Trades(self.times[lo:hi], self.prices[lo:hi], self.sizes[lo:hi], self.signs[lo:hi])


@dataclass(frozen=True, slots=True)
class OrderBooks:
    """Full-depth snapshots of one token in ascending time, one row a snapshot, padded with NaN.

    Parameters
    ----------
    times : (n,) int64
        Microseconds since the epoch, UTC; strictly ascending.
    bid_prices, bid_sizes, ask_prices, ask_sizes : (n, levels) float64
        Ladders best first; NaN beyond a snapshot's depth. A missing side is a row of NaN.
    """

    times: Int64Array1D
    bid_prices: Float64Array2D
    bid_sizes: Float64Array2D
    ask_prices: Float64Array2D
    ask_sizes: Float64Array2D

    def __len__(self) -> int:
        return len(self.times)

    @property
    def best_bids(self) -> Float64Array1D:
        """(n,) highest bids, NaN where the side is missing."""
        return self.bid_prices[:, 0]

    @property
    def best_asks(self) -> Float64Array1D:
        """(n,) lowest asks, NaN where the side is missing."""
        return self.ask_prices[:, 0]

    @property
    def mids(self) -> Float64Array1D:
        """(n,) middles of the best quotes, NaN where a side is missing or the book is crossed."""
        mids = (self.best_bids + self.best_asks) / 2
        return np.where(self.is_usable, mids, np.nan)

    @property
    def is_usable(self) -> NDArray[np.bool_]:
        """(n,) two-sided and not crossed: best bid below best ask."""
        return self.best_bids < self.best_asks

    def between(self, start_us: int, end_us: int) -> "OrderBooks":
        """Return the snapshots of [start, end), as views."""
        lo, hi = np.searchsorted(self.times, [start_us, end_us])
        return self.rows(slice(lo, hi))

    def rows(self, which: slice | Int64Array1D) -> "OrderBooks":
        """Return the chosen snapshots."""
        return OrderBooks(
            self.times[which],
            self.bid_prices[which],
            self.bid_sizes[which],
            self.ask_prices[which],
            self.ask_sizes[which],
        )


def no_trades() -> Trades:
    """Return an empty set of trades."""
    return Trades(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, np.int8))


def no_order_books() -> OrderBooks:
    """Return an empty set of snapshots, one level wide."""
    return OrderBooks(np.empty(0, np.int64), *(np.empty((0, 1)) for _ in range(4)))
