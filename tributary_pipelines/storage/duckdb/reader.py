"""Questions to the raw tables of the embedded store; every answer comes from one short read-only connection."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from tributary_pipelines.core.frames import MARKETS, ORDERBOOK_SNAPSHOTS, TRADES, Frame, OrderBooks, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.result_frames import VWAP_BARS
from tributary_pipelines.core.units import US_PER_DAY, to_us
from tributary_pipelines.storage import fingerprint
from tributary_pipelines.storage.arrow import order_books, to_pandas, with_aware_times
from tributary_pipelines.storage.base import DayFingerprint, Extent, Finding, MarketDataReader, TableState
from tributary_pipelines.storage.duckdb.checks import check_tables
from tributary_pipelines.storage.duckdb.connection import DuckDBFile, arrow_table
from tributary_pipelines.storage.market_entries import to_markets
from tributary_pipelines.storage.schema import bar_width, listed, quoted, raw_frame

_SIGN = "CASE side WHEN 'buy' THEN 1 WHEN 'sell' THEN -1 ELSE 0 END"
_WINDOW = (
    "WHERE market_id = $market AND ($token IS NULL OR token_id = $token)"
    " AND timestamp >= make_timestamp($start) AND timestamp < make_timestamp($end)"
)
_TRADES = " ".join(
    (
        "SELECT epoch_us(timestamp) AS us, price, size, CAST(", _SIGN, "AS TINYINT) AS sign FROM trades", _WINDOW,
    )
)  # fmt: skip
_BOOKS = " ".join(("SELECT timestamp, bid_prices, bid_sizes, ask_prices, ask_sizes FROM orderbook_snapshots", _WINDOW))
_BARS = " ".join(
    (
        "SELECT time_bucket(to_microseconds($width), timestamp, TIMESTAMP '1970-01-01') AS bar, market_id, token_id,",
        "arg_min(price, (timestamp, tie_rank)) AS open, max(price) AS high, min(price) AS low,",
        "arg_max(price, (timestamp, tie_rank)) AS close,",
        "CASE WHEN sum(size) > 0 THEN sum(price * size) / sum(size) END AS vwap, sum(size) AS volume,",
        "sum(price * size) AS notional, sum(size *", _SIGN, ") AS signed_volume, count(*) AS n_trades",
        "FROM trades", _WINDOW, "GROUP BY bar, market_id, token_id",
    )
)  # fmt: skip


class DuckDBReader(MarketDataReader):
    """Reads the DuckDB file."""

    def __init__(self, file: DuckDBFile) -> None:
        self._file = file

    def markets(self) -> list[Market]:
        """Return the newest entry of every token, in the order they were first stored."""
        entries = " ".join(("SELECT", listed(MARKETS.column_names), "FROM markets ORDER BY timestamp, tie_rank"))
        seen = (
            "SELECT market_id, token_id FROM (SELECT market_id, token_id, timestamp FROM trades UNION ALL"
            " SELECT market_id, token_id, timestamp FROM orderbook_snapshots)"
            " GROUP BY market_id, token_id ORDER BY min(timestamp), market_id, token_id"
        )
        with self._file.reading() as connection:
            return to_markets(arrow_table(connection, entries).to_pylist(), connection.execute(seen).fetchall())

    def trades(self, market_id: str, token_id: str, start: datetime, end: datetime) -> Trades:
        """Return the trades of one token, ties in arrival order."""
        query = " ".join((_TRADES, "ORDER BY timestamp, tie_rank"))
        with self._file.reading() as connection:
            columns = connection.execute(query, _bound(market_id, token_id, start, end)).fetchnumpy()
        return Trades(*(np.ascontiguousarray(columns[name]) for name in ("us", "price", "size", "sign")))

    def order_books(
        self, market_id: str, token_id: str, start: datetime, end: datetime, max_levels: int | None = None
    ) -> OrderBooks:
        """Return the snapshots of one token, best levels first."""
        query = " ".join((_BOOKS, "ORDER BY timestamp"))
        with self._file.reading() as connection:
            table = arrow_table(connection, query, _bound(market_id, token_id, start, end))
        return order_books(table, max_levels)

    def bars(self, market_id: str, token_id: str | None, start: datetime, end: datetime, width: str) -> pd.DataFrame:
        """Return VWAP bars; all tokens when ``token_id`` is None."""
        bound = _bound(market_id, token_id, start, end) | {"width": bar_width(width)[1]}
        query = " ".join(
            ("SELECT bar AS timestamp,", listed(VWAP_BARS.column_names[1:]), "FROM (", _BARS, ") ORDER BY ALL")
        )
        with self._file.reading() as connection:
            return to_pandas(VWAP_BARS, arrow_table(connection, query, bound))

    def rows(self, frame: Frame, market_id: str, start: datetime, end: datetime) -> Iterator[pa.RecordBatch]:
        """Stream rows day by day; the file is free between two batches, so the consumer may write to it."""
        table = quoted(raw_frame(frame).name)
        bound = _bound(market_id, None, start, end)
        days = " ".join(
            ("SELECT DISTINCT epoch_us(date_trunc('day', timestamp)) AS day FROM", table, _WINDOW, "ORDER BY day")
        )
        rows = " ".join(
            ("SELECT", listed(frame.column_names), "FROM", table, _WINDOW, "ORDER BY timestamp, token_id, tie_rank")
        )
        with self._file.reading() as connection:
            found = [row[0] for row in connection.execute(days, bound).fetchall()]
        for day in found:
            one_day = bound | {"start": max(day, bound["start"]), "end": min(day + US_PER_DAY, bound["end"])}
            with self._file.reading() as connection:
                batches = arrow_table(connection, rows, one_day).to_batches()
            yield from (with_aware_times(batch) for batch in batches)

    def fingerprints(self, market_id: str, token_id: str, start: datetime, end: datetime) -> list[DayFingerprint]:
        """Return one fingerprint for each UTC day of the window that holds data."""
        bound = _bound(market_id, token_id, start, end)
        books = " ".join(
            (
                "SELECT epoch_us(timestamp) AS us, bid_prices, bid_sizes, ask_prices, ask_sizes",
                "FROM orderbook_snapshots", _WINDOW,
            )
        )  # fmt: skip
        with self._file.reading() as connection:
            trades = connection.execute(fingerprint.trades_query(_TRADES, fingerprint.DUCKDB), bound).fetchall()
            snapshots = connection.execute(fingerprint.snapshots_query(books, fingerprint.DUCKDB), bound).fetchall()
        return fingerprint.fingerprints(trades, snapshots)

    def extent(self, market_id: str, token_id: str) -> Extent:
        """Return the first and last times of a token's data."""
        ends = [
            " ".join(
                (
                    "SELECT min(timestamp), max(timestamp) FROM", quoted(frame.name),
                    "WHERE market_id = $market AND token_id = $token",
                )
            )
            for frame in (TRADES, ORDERBOOK_SNAPSHOTS)
        ]  # fmt: skip
        bound = {"market": market_id, "token": token_id}
        with self._file.reading() as connection:
            (first_trade, last_trade), (first_book, last_book) = (_row(connection, q, bound) for q in ends)
        return Extent(_aware(first_trade), _aware(last_trade), _aware(first_book), _aware(last_book))

    def table_states(self) -> list[TableState]:
        """Return the state of trades, orderbook_snapshots and markets."""
        states = []
        with self._file.reading() as connection:
            for frame in (TRADES, ORDERBOOK_SNAPSHOTS, MARKETS):
                query = " ".join(("SELECT count(*), max(timestamp) FROM", quoted(frame.name)))
                n_rows, last = _row(connection, query, {})
                states.append(TableState(frame.name, int(n_rows), _aware(last), is_suspended=False))
        return states

    def check(self) -> list[Finding]:
        """Verify that the file opens and its tables are in order."""
        with self._file.reading() as connection:
            return [Finding("ok", str(self._file.path), "can be opened"), *check_tables(connection)]


def _bound(market_id: str, token_id: str | None, start: datetime, end: datetime) -> dict[str, Any]:
    return {"market": market_id, "token": token_id, "start": to_us(start), "end": to_us(end)}


def _row(connection: duckdb.DuckDBPyConnection, query: str, bound: dict[str, Any]) -> tuple[Any, ...]:
    (row,) = connection.execute(query, bound).fetchall()
    return tuple(row)


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
