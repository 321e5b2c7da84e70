"""A store for some tokens together: same answers, few questions, and results that are written when the block ends."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from tests.storage.market_tables import START, as_frame, book, trade
from tributary_pipelines.core.errors import StorageError, ValidationError
from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES
from tributary_pipelines.core.result_frames import EXECUTION_PLANS, VWAP_BARS
from tributary_pipelines.storage.base import MarketStore, ResultDay
from tributary_pipelines.storage.together import together

NAMES = ("a", "b", "c")
TOKENS = [(name, f"{name}-yes") for name in NAMES]
END = START + timedelta(days=1)
ONE = date(2026, 3, 1)
SPAN = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))


@pytest.fixture
def filled(store: MarketStore) -> MarketStore:
    """A store with three trades and a snapshot of each of three markets."""
    trades = [trade(name, k, 0.5 + k / 100, 1.0 + k, "buy", f"{name}{k}") for name in NAMES for k in range(3)]
    store.writer.write(TRADES, as_frame(TRADES, trades))
    books = [book(name, 1, [(0.4, 5.0)], [(0.6, 6.0)]) for name in NAMES]
    store.writer.write(ORDERBOOK_SNAPSHOTS, as_frame(ORDERBOOK_SNAPSHOTS, books))
    return store


@pytest.fixture
def asked(filled: MarketStore) -> Iterator[list[tuple[str, Any]]]:
    """Notes which questions for many the store underneath is asked, and for whom."""
    noted: list[tuple[str, Any]] = []
    methods = [(filled.reader, name) for name in ("trades_of", "order_books_of", "fingerprints_of")]
    methods += [(filled.results, "read_of"), (filled.results, "replace_checked")]

    def watch(owner: Any, name: str) -> Any:
        method = getattr(type(owner), name)

        def call(self: Any, first: Any, *more: Any) -> Any:
            noted.append((name, list(more[0] if isinstance(more[0], list) else first)))
            return method(self, first, *more)

        return patch.object(type(owner), name, call)

    watches = [watch(*method) for method in methods]
    for one in watches:
        one.start()
    yield noted
    for one in watches:
        one.stop()


def bars(market_id: str, mark: float, day: date = ONE) -> tuple[list[ResultDay], pd.DataFrame]:
    """Return a day of one bar."""
    at = pd.Timestamp(day, tz="UTC")
    row = {"timestamp": at, "market_id": market_id, "token_id": f"{market_id}-yes", "close": mark}
    return [ResultDay(market_id, f"{market_id}-yes", day)], pd.DataFrame([row])


def closes(store: MarketStore, market_id: str) -> list[float]:
    """Return the closes that a store answers with."""
    return list(store.results.read(VWAP_BARS, *SPAN, market_id, f"{market_id}-yes")["close"])


def test_each_token_gets_its_own_answer_from_one_question(filled: MarketStore, asked: list[tuple[str, Any]]) -> None:
    with together(filled, TOKENS) as near:
        trades = [near.reader.trades(*token, START, END) for token in TOKENS]
        books = [near.reader.order_books(*token, START, END) for token in TOKENS]
        days = [near.reader.fingerprints(*token, START, END) for token in TOKENS]
    assert asked == [(name, TOKENS) for name in ("trades_of", "order_books_of", "fingerprints_of")]
    for token, tape, ladder, held in zip(TOKENS, trades, books, days, strict=True):
        np.testing.assert_array_equal(tape.times, filled.reader.trades(*token, START, END).times)
        np.testing.assert_array_equal(ladder.bid_sizes, filled.reader.order_books(*token, START, END).bid_sizes)
        assert held == filled.reader.fingerprints(*token, START, END)
    assert [len(tape) for tape in trades] == [3, 3, 3]


def test_another_span_another_token_and_a_second_time_are_questions_of_their_own(
    filled: MarketStore, asked: list[tuple[str, Any]]
) -> None:
    with together(filled, TOKENS[:2]) as near:
        assert len(near.reader.trades(*TOKENS[0], START, END)) == 3
        assert len(near.reader.trades(*TOKENS[0], START, START + timedelta(seconds=1))) == 1
        assert len(near.reader.trades(*TOKENS[0], START, END)) == 3
        assert len(near.reader.trades(*TOKENS[2], START, END)) == 3
        assert len(near.reader.order_books(*TOKENS[0], START, END, max_levels=1)) == 1
    alone = [("trades_of", [TOKENS[0]]), ("trades_of", [TOKENS[2]])]
    assert asked == [("trades_of", TOKENS[:2]), ("trades_of", TOKENS[:2]), *alone]


def test_results_are_written_at_the_end_in_one_call(filled: MarketStore, asked: list[tuple[str, Any]]) -> None:
    with together(filled, TOKENS) as near:
        for k, name in enumerate(NAMES):
            assert closes(near, name) == []
            near.results.replace_days(VWAP_BARS, *bars(name, k + 0.5))
        assert closes(filled, "a") == []
    assert [name for name, _ in asked] == ["read_of", "replace_checked"]
    assert [closes(filled, name) for name in NAMES] == [[0.5], [1.5], [2.5]]


def test_whoever_asks_sees_what_waits_to_be_written(filled: MarketStore) -> None:
    with together(filled, TOKENS) as near:
        assert closes(near, "b") == []
        near.results.replace_days(VWAP_BARS, *bars("a", 0.5))
        near.results.replace_days(VWAP_BARS, *bars("c", 0.7))
        assert closes(near, "a") == [0.5]
        near.results.replace_days(VWAP_BARS, *bars("b", 0.6))
        assert near.results.nearest_days(VWAP_BARS, "b", "b-yes", ONE).after == ONE
        near.results.replace_days(VWAP_BARS, *bars("b", 0.8))
        assert near.results.read(VWAP_BARS, *SPAN)["close"].tolist() == [0.5, 0.8, 0.7]
        near.results.replace_days(VWAP_BARS, *bars("b", 0.9))
        near.results.replace_days(VWAP_BARS, bars("b", 0.0)[0], bars("b", 0.0)[1].iloc[:0])
    assert [closes(filled, name) for name in NAMES] == [[0.5], [], [0.7]]


def test_an_answer_read_ahead_is_not_given_after_its_token_was_written(filled: MarketStore) -> None:
    with together(filled, TOKENS) as near:
        assert closes(near, "a") == []
        near.results.replace_days(VWAP_BARS, *bars("b", 0.6))
        assert closes(near, "b") == [0.6]
        assert closes(near, "c") == []


def test_wrong_rows_are_refused_where_they_are_given_and_the_others_are_written(filled: MarketStore) -> None:
    with together(filled, TOKENS) as near:
        near.results.replace_days(VWAP_BARS, *bars("a", 0.5))
        with pytest.raises(ValidationError, match="not among the days"):
            near.results.replace_days(VWAP_BARS, bars("b", 0.6)[0], bars("c", 0.6)[1])
        with pytest.raises(StorageError, match="'trades' is not a result table"):
            near.results.replace_days(TRADES, *bars("b", 0.6))
        near.results.replace_days(EXECUTION_PLANS, [], pd.DataFrame())
    assert [closes(filled, name) for name in NAMES] == [[0.5], [], []]


def test_nothing_is_written_when_the_block_fails(filled: MarketStore) -> None:
    def fail() -> None:
        with together(filled, TOKENS) as near:
            near.results.replace_days(VWAP_BARS, *bars("a", 0.5))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert closes(filled, "a") == []


def test_every_other_question_is_the_stores_own(filled: MarketStore) -> None:
    with together(filled, TOKENS) as near:
        own, same = near.reader, filled.reader
        assert own.markets() == same.markets()
        assert own.extent(*TOKENS[0]) == same.extent(*TOKENS[0])
        assert own.table_states() == same.table_states()
        assert own.check() == same.check()
        pd.testing.assert_frame_equal(own.bars("a", None, START, END, "1d"), same.bars("a", None, START, END, "1d"))
        assert list(own.rows(TRADES, "a", START, END)) == list(same.rows(TRADES, "a", START, END))
        assert (near.name, near.writer) == (filled.name, filled.writer)
        near.close()
    assert closes(filled, "a") == []
