"""A store for some tokens together: what one is asked for is read for all of them, what is stored is sent at the end.

A server answers for sixteen tokens nearly as quickly as for one, and a write costs the same for one day as for sixteen
(benchmarks/recalibration.py). Whoever computes token by token keeps doing so, with this store in the place of the
other. It holds what it read until the token comes that it is for, so tokens together should be few.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import Any, Generic, TypeVar

import pandas as pd
import pyarrow as pa

from tributary_pipelines.core.frames import Frame, OrderBooks, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.storage.base import (
    DayFingerprint,
    Extent,
    Finding,
    MarketDataReader,
    MarketStore,
    NearestDays,
    ResultDay,
    ResultStore,
    TableState,
    Token,
)
from tributary_pipelines.storage.incoming import result_rows

T = TypeVar("T")


@contextmanager
def together(store: MarketStore, tokens: Sequence[Token]) -> Iterator[MarketStore]:
    """Give a store that reads ahead for these tokens and writes results when the block ends.

    Results are written all or, when the block or the writing fails, in part or not at all; what is written is whole
    days. Closing is left to the store itself.

    Parameters
    ----------
    tokens
        Each once. A single one is answered as by the store itself, except that results are written at the end.

    Raises
    ------
    StorageError
        Results cannot be written.
    """
    results = _Results(store.results, tokens)
    yield replace(store, reader=_Reader(store.reader, tokens), results=results, close=_leave_open)
    results.flush()


def _leave_open() -> None:
    """Close nothing: the connections belong to the store underneath."""


@dataclass(frozen=True, slots=True)
class _Ahead(Generic[T]):
    """Answers for all tokens, each handed out once; a token that asks again, or was not named, is asked for alone.

    Parameters
    ----------
    ask : callable
        Returns the answers for tokens and the rest of a question.
    """

    tokens: Sequence[Token]
    ask: Callable[..., Mapping[Token, T]]
    held: dict[tuple[Any, ...], dict[Token, T]] = field(default_factory=dict)

    def answer(self, token: Token, *question: Any) -> T:
        """Return what a token gets for a question."""
        if token in self.tokens and question not in self.held:
            self.held[question] = dict(self.ask(self.tokens, *question))
        waiting = self.held.get(question, {})
        return waiting.pop(token) if token in waiting else self.ask([token], *question)[token]

    def forget(self, token: Token) -> None:
        """Drop the answers that wait for a token: they are no longer true."""
        for waiting in self.held.values():
            waiting.pop(token, None)


class _Reader(MarketDataReader):
    def __init__(self, reader: MarketDataReader, tokens: Sequence[Token]) -> None:
        self._reader = reader
        self._trades = _Ahead(tokens, reader.trades_of)
        self._books = _Ahead(tokens, reader.order_books_of)
        self._fingerprints = _Ahead(tokens, reader.fingerprints_of)

    def markets(self) -> list[Market]:
        return self._reader.markets()

    def trades(self, market_id: str, token_id: str, start: datetime, end: datetime) -> Trades:
        return self._trades.answer((market_id, token_id), start, end)

    def order_books(
        self, market_id: str, token_id: str, start: datetime, end: datetime, max_levels: int | None = None
    ) -> OrderBooks:
        if max_levels is not None:
            return self._reader.order_books(market_id, token_id, start, end, max_levels)
        return self._books.answer((market_id, token_id), start, end)

    def bars(self, market_id: str, token_id: str | None, start: datetime, end: datetime, width: str) -> pd.DataFrame:
        return self._reader.bars(market_id, token_id, start, end, width)

    def rows(self, frame: Frame, market_id: str, start: datetime, end: datetime) -> Iterator[pa.RecordBatch]:
        return self._reader.rows(frame, market_id, start, end)

    def fingerprints(self, market_id: str, token_id: str, start: datetime, end: datetime) -> list[DayFingerprint]:
        return self._fingerprints.answer((market_id, token_id), start, end)

    def extent(self, market_id: str, token_id: str) -> Extent:
        return self._reader.extent(market_id, token_id)

    def table_states(self) -> list[TableState]:
        return self._reader.table_states()

    def check(self) -> list[Finding]:
        return self._reader.check()


@dataclass(frozen=True, slots=True)
class _Writes:
    """Rows of a table that wait to be written, and the days they replace."""

    frame: Frame
    days: list[ResultDay] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)

    def has(self, token: Token) -> bool:
        """Whether a day of the token waits."""
        return any((day.market_id, day.token_id) == token for day in self.days)


class _Results(ResultStore):
    def __init__(self, results: ResultStore, tokens: Sequence[Token]) -> None:
        self._results = results
        self._tokens = tokens
        self._ahead: dict[str, _Ahead[pd.DataFrame]] = {}
        self._waiting: dict[str, _Writes] = {}

    def replace_days(self, frame: Frame, days: Sequence[ResultDay], rows: pd.DataFrame) -> None:
        # What is wrong with rows must be said to whom they belong.
        self.replace_checked(frame, days, result_rows(frame, days, rows))

    def replace_checked(self, frame: Frame, days: Sequence[ResultDay], rows: pa.Table) -> None:
        for token in dict.fromkeys((day.market_id, day.token_id) for day in days):
            self._send(frame, token)
            self._ahead_of(frame).forget(token)
        writes = self._waiting.setdefault(frame.name, _Writes(frame))
        writes.days.extend(days)
        writes.tables.append(rows)

    def read(
        self, frame: Frame, start: datetime, end: datetime, market_id: str | None = None, token_id: str | None = None
    ) -> pd.DataFrame:
        if market_id is None or token_id is None:
            self._send(frame)
            return self._results.read(frame, start, end, market_id, token_id)
        self._send(frame, (market_id, token_id))
        return self._ahead_of(frame).answer((market_id, token_id), start, end)

    def nearest_days(self, frame: Frame, market_id: str, token_id: str, day: date) -> NearestDays:
        self._send(frame, (market_id, token_id))
        return self._results.nearest_days(frame, market_id, token_id, day)

    def flush(self) -> None:
        """Write what waits."""
        for writes in list(self._waiting.values()):
            self._send(writes.frame)

    def _send(self, frame: Frame, token: Token | None = None) -> None:
        """Write what waits of a table, of a token only when something waits for that token."""
        writes = self._waiting.get(frame.name)
        if writes is None or (token is not None and not writes.has(token)):
            return
        del self._waiting[frame.name]
        self._results.replace_checked(frame, writes.days, pa.concat_tables(writes.tables))

    def _ahead_of(self, frame: Frame) -> _Ahead[pd.DataFrame]:
        return self._ahead.setdefault(frame.name, _Ahead(self._tokens, partial(self._results.read_of, frame)))
