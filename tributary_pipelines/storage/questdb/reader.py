"""Questions to the raw tables of a QuestDB server, as the read-only user; no statement here writes.

Every answer waits until what was written before is applied. Ties are ordered by ``tie_rank``, because DEDUP sorts rows
of equal time by their key; a table of an earlier collector has no such column and keeps its own order.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tributary_pipelines.core.frames import (
    MARKETS,
    ORDERBOOK_SNAPSHOTS,
    TRADES,
    Float64Array1D,
    Frame,
    Int64Array1D,
    OrderBooks,
    Trades,
    no_order_books,
    no_trades,
)
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.result_frames import VWAP_BARS
from tributary_pipelines.core.units import US_PER_DAY, from_us, to_us
from tributary_pipelines.storage import fingerprint
from tributary_pipelines.storage.arrow import LADDERS, order_books, split, stored_schema, to_pandas, with_aware_times
from tributary_pipelines.storage.base import DayFingerprint, Extent, Finding, MarketDataReader, TableState, Token
from tributary_pipelines.storage.market_entries import to_markets
from tributary_pipelines.storage.questdb.bulk import BulkReader
from tributary_pipelines.storage.questdb.checks import check_server
from tributary_pipelines.storage.questdb.connection import QuestDBConnection
from tributary_pipelines.storage.questdb.layout import Layouts, TableLayout
from tributary_pipelines.storage.questdb.queries import (
    bars_query,
    distinct_snapshots,
    distinct_trades,
    last_of_each_key,
    windows_of,
)
from tributary_pipelines.storage.questdb.wal import suspended_tables, wait_applied
from tributary_pipelines.storage.schema import TIE_RANK, bar_width, quoted, raw_frame

_BY_IDS = "WHERE market_id = $1 AND token_id = $2"
_IN_TIME = "AND timestamp >= $3 AND timestamp < $4"
_WINDOW = " ".join((_BY_IDS, _IN_TIME))
#: Without a token its place is taken by the market once more.
_MARKET_WINDOW = " ".join(("WHERE market_id = $1 AND market_id = $2", _IN_TIME))
_KEY = ("market_id", "token_id")
#: As plain strings: Parquet exports of symbols cannot be read.
_IDS = "".join(", ".join(("", *("".join(("cast(", name, " as string) AS ", name)) for name in _KEY))))
_TRADES_OF = pa.schema(
    [("us", pa.int64()), ("price", pa.float64()), ("size", pa.float64()), ("rank", pa.int64())]
    + [(name, pa.string()) for name in _KEY]
)


class QuestDBReader(MarketDataReader):
    """Reads a QuestDB server."""

    def __init__(self, connection: QuestDBConnection, bulk: BulkReader, layouts: Layouts) -> None:
        self._connection = connection
        self._bulk = bulk
        self._layouts = layouts

    def markets(self) -> list[Market]:
        """Return the newest entry of every token, in the order they were first stored."""
        first_seen: dict[tuple[str, str], datetime] = {}
        for frame in (TRADES, ORDERBOOK_SNAPSHOTS):
            self._ready(frame)
            query = (
                "SELECT market_id, token_id, min(timestamp) FROM",
                quoted(frame.name),
                "GROUP BY market_id, token_id",
            )
            for market_id, token_id, first in self._connection.rows(" ".join(query)):
                if market_id and token_id:
                    first_seen[market_id, token_id] = min(first, first_seen.get((market_id, token_id), first))
        seen = sorted(first_seen, key=lambda token: (first_seen[token], token))
        return to_markets(self._market_entries(), seen)

    def trades(self, market_id: str, token_id: str, start: datetime, end: datetime) -> Trades:
        """Return the trades of one token, duplicates by key removed, ties in arrival order."""
        layout = self._ready(TRADES)
        query = _trades_query(layout, _WINDOW)
        return _in_order(*self._bulk.numbers(query, _bound(market_id, token_id, start, end), "lddl"))

    def trades_of(self, tokens: Sequence[Token], start: datetime, end: datetime) -> dict[Token, Trades]:
        """Return the trades of each of these tokens."""
        layout = self._ready(TRADES)
        found: dict[Token, Trades] = {}
        for window, named in windows_of(tokens):
            query = _trades_query(layout, window, more=_IDS)
            table = self._bulk.rows(query, [*named, *_span(start, end)], _TRADES_OF)
            for token, rows in split(table, _KEY).items():
                found[token] = _in_order(*(column.to_numpy() for column in rows.columns[: -len(_KEY)]))
        return {token: found.get(token, no_trades()) for token in tokens}

    def order_books(
        self, market_id: str, token_id: str, start: datetime, end: datetime, max_levels: int | None = None
    ) -> OrderBooks:
        """Return the snapshots of one token, sorted ladders best first, at most ``max_levels`` a side."""
        layout = self._ready(ORDERBOOK_SNAPSHOTS)
        query = _books_query(layout, _WINDOW)
        return order_books(self._bulk.ladders(query, _bound(market_id, token_id, start, end)), max_levels)

    def order_books_of(self, tokens: Sequence[Token], start: datetime, end: datetime) -> Mapping[Token, OrderBooks]:
        """Return the snapshots of each of these tokens."""
        if not self._bulk.http.has_credentials:
            # The wire's cells hold numbers alone; ladders beside names would become Python objects.
            return super().order_books_of(tokens, start, end)
        layout = self._ready(ORDERBOOK_SNAPSHOTS)
        found: dict[Token, OrderBooks] = {}
        for window, named in windows_of(tokens):
            query = _books_query(layout, window, more=_IDS)
            table = self._bulk.http.table(query, [*named, *_span(start, end)])
            found |= {token: order_books(rows) for token, rows in split(table, _KEY).items()}
        return {token: found.get(token, no_order_books()) for token in tokens}

    def bars(self, market_id: str, token_id: str | None, start: datetime, end: datetime, width: str) -> pd.DataFrame:
        """Return VWAP bars made in the database; all tokens when ``token_id`` is None."""
        width, width_us = bar_width(width)
        layout = self._ready(TRADES)
        window = _MARKET_WINDOW if token_id is None else _WINDOW
        query = bars_query(layout, window, width, width_us)
        bound = _bound(market_id, market_id if token_id is None else token_id, start, end)
        return to_pandas(VWAP_BARS, self._bulk.rows(query, bound, stored_schema(VWAP_BARS.columns)))

    def rows(self, frame: Frame, market_id: str, start: datetime, end: datetime) -> Iterator[pa.RecordBatch]:
        """Stream rows of one market day by day, of repeated keys the last."""
        layout = self._ready(raw_frame(frame))
        bound = _bound(market_id, market_id, start, end)
        floor = "timestamp_floor('d', timestamp)"
        days = " ".join(
            (
                "SELECT DISTINCT cast(cast(",
                floor,
                "as timestamp) as long) AS day FROM",
                quoted(frame.name),
                _MARKET_WINDOW,
            )
        )
        tie = TIE_RANK.name if layout.keeps_arrival else "token_id"
        rows = " ".join(
            (
                "SELECT", layout.selected(frame.columns), "FROM", quoted(frame.name), _MARKET_WINDOW,
                "ORDER BY timestamp, token_id,", tie,
            )
        )  # fmt: skip
        for (day,) in sorted(self._connection.rows(days, bound)):
            first, last = max(day, to_us(start)), min(day + US_PER_DAY, to_us(end))
            table = self._bulk.rows(rows, [*bound[:2], _naive(first), _naive(last)], stored_schema(frame.columns))
            distinct = last_of_each_key(frame, table) if layout.may_repeat_keys else table
            yield from (with_aware_times(batch) for batch in distinct.to_batches())

    def fingerprints(self, market_id: str, token_id: str, start: datetime, end: datetime) -> list[DayFingerprint]:
        """Return one fingerprint for each UTC day of the window that holds data."""
        return self.fingerprints_of([(market_id, token_id)], start, end)[market_id, token_id]

    def fingerprints_of(
        self, tokens: Sequence[Token], start: datetime, end: datetime
    ) -> dict[Token, list[DayFingerprint]]:
        """Return the fingerprints of each of these tokens."""
        trades, books = self._ready(TRADES), self._ready(ORDERBOOK_SNAPSHOTS)
        found: dict[Token, tuple[list[fingerprint.DayRow], list[fingerprint.DayRow]]] = {t: ([], []) for t in tokens}
        for window, named in windows_of(tokens):
            tape = " ".join(
                (
                    "SELECT",
                    trades.us,
                    "AS us, price, size, sign, market_id, token_id FROM (",
                    distinct_trades(trades, window),
                    ")",
                )
            )
            queries = (
                fingerprint.trades_query(tape, fingerprint.QUESTDB, _KEY),
                fingerprint.snapshots_query(distinct_snapshots(books, window), fingerprint.QUESTDB, _KEY),
            )
            for which, query in enumerate(queries):
                for market_id, token_id, *day in self._connection.rows(query, [*named, *_span(start, end)]):
                    if (market_id, token_id) in found:
                        found[market_id, token_id][which].append(day)
        return {token: fingerprint.fingerprints(*days) for token, days in found.items()}

    def extent(self, market_id: str, token_id: str) -> Extent:
        """Return the first and last times of a token's data."""
        ends: list[datetime | None] = []
        for frame in (TRADES, ORDERBOOK_SNAPSHOTS):
            self._ready(frame)
            query = " ".join(("SELECT min(timestamp), max(timestamp) FROM", quoted(frame.name), _BY_IDS))
            ((first, last),) = self._connection.rows(query, [market_id, token_id])
            ends += [_aware(first), _aware(last)]
        return Extent(*ends)

    def table_states(self) -> list[TableState]:
        """Return the state of trades, orderbook_snapshots and markets."""
        suspended = suspended_tables(self._connection)
        states = []
        for frame in (TRADES, ORDERBOOK_SNAPSHOTS, MARKETS):
            self._layouts.require(frame)
            query = " ".join(("SELECT count(), max(timestamp) FROM", quoted(frame.name)))
            ((n_rows, last),) = self._connection.rows(query)
            states.append(TableState(frame.name, n_rows, _aware(last), frame.name in suspended))
        return states

    def check(self) -> list[Finding]:
        """Verify connection, tables, columns, keys and the state of the write-ahead log."""
        return check_server(self._connection, self._bulk.http)

    def _ready(self, frame: Frame) -> TableLayout:
        layout = self._layouts.require(frame)
        wait_applied(self._connection, [frame.name])
        return layout

    def _market_entries(self) -> list[dict[str, Any]]:
        layout = self._layouts.find(MARKETS)
        if not {"market_id", "token_id"} <= layout.types.keys():
            return []
        wait_applied(self._connection, [MARKETS.name])
        order = [name for name in ("timestamp", TIE_RANK.name) if name in layout.types]
        query = " ".join(("SELECT", layout.selected(MARKETS.columns), "FROM markets"))
        ordered = " ".join((query, "ORDER BY", ", ".join(order))) if order else query
        rows = self._bulk.rows(ordered, [], stored_schema(MARKETS.columns)).to_pylist()
        return [row for row in rows if row["market_id"] and row["token_id"]]


def _trades_query(layout: TableLayout, window: str, more: str = "") -> str:
    return " ".join(
        (
            "SELECT", layout.us, "AS us, price, size, cast(tie_rank * 4 + sign + 1 as long) AS rank", more, "FROM (",
            distinct_trades(layout, window), ") ORDER BY timestamp",
        )
    )  # fmt: skip


def _in_order(times: Int64Array1D, prices: Float64Array1D, sizes: Float64Array1D, ranks: Int64Array1D) -> Trades:
    """Return trades by time, ties by their rank; a rank also holds the sign, in its last two bits."""
    trades = Trades(times, prices, sizes, ((ranks & 3) - 1).astype(np.int8))
    is_in_order = (times[1:] > times[:-1]) | ((times[1:] == times[:-1]) & (ranks[1:] >> 2 >= ranks[:-1] >> 2))
    if is_in_order.all():
        return trades
    order = np.lexsort((ranks >> 2, times))
    return Trades(times[order], prices[order], sizes[order], trades.signs[order])


def _books_query(layout: TableLayout, window: str, more: str = "") -> str:
    ladders = layout.selected(tuple(c for c in ORDERBOOK_SNAPSHOTS.columns if c.name in LADDERS))
    return " ".join(("SELECT", layout.us, "AS timestamp,", ladders, more, "FROM orderbook_snapshots", window))


def _bound(market_id: str, token_id: str, start: datetime, end: datetime) -> list[object]:
    return [market_id, token_id, *_span(start, end)]


def _span(start: datetime, end: datetime) -> list[object]:
    return [_naive(to_us(start)), _naive(to_us(end))]


def _naive(us: int) -> datetime:
    # QuestDB's times have no zone and are UTC.
    return from_us(us).replace(tzinfo=None)


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
