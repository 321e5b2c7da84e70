"""The interfaces of the market store: what every store can answer and keep, in the same words and to 1e-12.

Three roles over one database. ``MarketDataReader`` reads the raw tables as they are (never writes),
``MarketDataWriter`` adds to them, ``ResultStore`` keeps the result tables of core/result_frames.py. All times at this
border are aware datetimes; starts are inclusive, ends exclusive. "No rows" is an empty answer; a failed read is a
StorageError.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Self

import pandas as pd
import pyarrow as pa

from tributary_pipelines.core.frames import Frame, OrderBooks, Trades
from tributary_pipelines.core.models import Market

#: A market_id and a token_id.
Token = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DayFingerprint:
    """What the raw tables hold of one token and UTC day; equal digests mean equal data.

    ``digest`` covers trades and snapshots, does not depend on row order and is the same in every store.
    """

    day: date
    n_trades: int
    n_snapshots: int
    first_at: datetime | None
    last_at: datetime | None
    digest: str


@dataclass(frozen=True, slots=True)
class Extent:
    """First and last time of a token's trades and snapshots; None where there are none."""

    first_trade_at: datetime | None
    last_trade_at: datetime | None
    first_snapshot_at: datetime | None
    last_snapshot_at: datetime | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``store check``; ``error`` findings make the command exit 1."""

    severity: Literal["ok", "warning", "error"]
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class TableState:
    """Rows and last time of one raw table, for observing it; ``is_suspended`` is QuestDB's WAL state."""

    table: str
    n_rows: int
    last_at: datetime | None
    is_suspended: bool


@dataclass(frozen=True, slots=True)
class ResultDay:
    """One unit of replacement in a result table: a token and a UTC day."""

    market_id: str
    token_id: str
    day: date


@dataclass(frozen=True, slots=True)
class NearestDays:
    """The stored days of a token on both sides of a midnight; None where there is none."""

    before: date | None
    after: date | None


class MarketDataReader(ABC):
    """Read-only questions to the raw tables.

    Those that end with ``_of`` ask for several tokens at once, each answer what its token alone would get; a server is
    asked once for all of them.
    """

    @abstractmethod
    def markets(self) -> list[Market]:
        """Return the newest entry of every token, in the order they were first stored."""

    @abstractmethod
    def trades(self, market_id: str, token_id: str, start: datetime, end: datetime) -> Trades:
        """Return the trades of one token, duplicates by key removed, ties in arrival order."""

    @abstractmethod
    def order_books(
        self, market_id: str, token_id: str, start: datetime, end: datetime, max_levels: int | None = None
    ) -> OrderBooks:
        """Return the snapshots of one token, sorted ladders best first, at most ``max_levels`` a side."""

    @abstractmethod
    def bars(self, market_id: str, token_id: str | None, start: datetime, end: datetime, width: str) -> pd.DataFrame:
        """Return VWAP bars made in the database (frame VWAP_BARS); all tokens when ``token_id`` is None.

        Raises
        ------
        ValidationError
            ``width`` is not a whole number of 1 to 9999 followed by s, m, h or d.
        """

    @abstractmethod
    def rows(self, frame: Frame, market_id: str, start: datetime, end: datetime) -> Iterator[pa.RecordBatch]:
        """Stream TRADES or ORDERBOOK_SNAPSHOTS rows of one market as they are stored, for export and comparison."""

    @abstractmethod
    def fingerprints(self, market_id: str, token_id: str, start: datetime, end: datetime) -> list[DayFingerprint]:
        """Return one fingerprint for each UTC day of the window that holds data, in one query a table."""

    def trades_of(self, tokens: Sequence[Token], start: datetime, end: datetime) -> Mapping[Token, Trades]:
        """Return the trades of each of these tokens."""
        return {token: self.trades(*token, start, end) for token in tokens}

    def order_books_of(self, tokens: Sequence[Token], start: datetime, end: datetime) -> Mapping[Token, OrderBooks]:
        """Return the snapshots of each of these tokens."""
        return {token: self.order_books(*token, start, end) for token in tokens}

    def fingerprints_of(
        self, tokens: Sequence[Token], start: datetime, end: datetime
    ) -> Mapping[Token, list[DayFingerprint]]:
        """Return the fingerprints of each of these tokens."""
        return {token: self.fingerprints(*token, start, end) for token in tokens}

    @abstractmethod
    def extent(self, market_id: str, token_id: str) -> Extent:
        """Return the first and last times of a token's data."""

    @abstractmethod
    def table_states(self) -> list[TableState]:
        """Return the state of trades, orderbook_snapshots and markets."""

    @abstractmethod
    def check(self) -> list[Finding]:
        """Verify connection, tables, columns, keys and WAL state; one finding a line, nothing is changed."""


class MarketDataWriter(ABC):
    """Idempotent additions to the raw tables; every call returns after its rows can be read."""

    @abstractmethod
    def create_tables(self) -> list[Finding]:
        """Create the missing tables; change nothing that exists."""

    @abstractmethod
    def write(self, frame: Frame, rows: pd.DataFrame) -> int:
        """Upsert rows of a raw frame on its key; return how many changed the store (the rest were there already).

        Rows that repeat a key within the call: the last one wins, the others count as already there when equal and as
        changing when not.
        """


class ResultStore(ABC):
    """The result tables; a day of a token is replaced whole and atomically."""

    @abstractmethod
    def replace_days(self, frame: Frame, days: Sequence[ResultDay], rows: pd.DataFrame) -> None:
        """Make ``rows`` the only rows of these days; a day without rows becomes empty.

        Visible at once or not at all for each day, also when killed; the same rows again change nothing.
        """

    @abstractmethod
    def replace_checked(self, frame: Frame, days: Sequence[ResultDay], rows: pa.Table) -> None:
        """Do the same with rows that ``storage.incoming`` has converted and found in order."""

    @abstractmethod
    def read(
        self, frame: Frame, start: datetime, end: datetime, market_id: str | None = None, token_id: str | None = None
    ) -> pd.DataFrame:
        """Return result rows by time, every column of the frame, nulls as None/NaN/NaT."""

    def read_of(
        self, frame: Frame, tokens: Sequence[Token], start: datetime, end: datetime
    ) -> Mapping[Token, pd.DataFrame]:
        """Return the rows of each of these tokens, as ``read`` returns them; a server is asked once for all."""
        return {token: self.read(frame, start, end, *token) for token in tokens}

    @abstractmethod
    def nearest_days(self, frame: Frame, market_id: str, token_id: str, day: date) -> NearestDays:
        """Return which days next to 00:00 UTC of ``day`` hold rows: the newest before it, the oldest after it.

        ``day`` itself counts as after. The database answers with two days however long the history is; whoever wants
        their rows reads those days.
        """


@dataclass(frozen=True, slots=True)
class MarketStore:
    """One opened store: its three roles and a name for messages; as a context manager it closes its connections."""

    name: str
    reader: MarketDataReader
    writer: MarketDataWriter
    results: ResultStore
    close: Callable[[], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
