"""A deployment of the earlier collector is read as it is: JSON ladders, stand-ins, sides in any case, no DEDUP."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tests.stores import Run
from tributary_pipelines.core.errors import StorageError
from tributary_pipelines.core.frames import MARKETS, ORDERBOOK_SNAPSHOTS, TRADES
from tributary_pipelines.core.settings import Settings, StorageSettings
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.questdb.server import ServerInfo

pytestmark = pytest.mark.integration

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
TRADE_ROWS = (
    "('2026-01-01T10:00:01.000001Z', 'm', 't', 'BUY', 'z', 0.50, 1.0, 0.50)",
    "('2026-01-01T10:00:01.000001Z', 'm', 't', 'Sell', 'a', 0.60, 2.0, 1.20)",
    "('2026-01-01T10:00:02.500000Z', 'm', 't', 'sell', 'b', 0.70, 3.0, 2.10)",
    "('2026-01-01T10:00:01.000001Z', 'm', 't', 'buy', 'z', 0.55, 1.5, 0.825)",  # 'z' once more, corrected
    "('2026-01-01T10:00:02.500000Z', 'm', 't', 'sell', 'b', 0.70, 3.0, 2.10)",  # 'b' once more
    "('2026-01-02T00:00:00.000000Z', 'm', 't', null, 'c', 0.65, 4.0, 2.60)",
    "('2026-01-01T12:00:00.000000Z', 'm', 'other', 'buy', 'z', 0.30, 1.0, 0.30)",
)
# best_bid, best_ask, bid_size, ask_size, mid_price, then the four ladders as text.
BOOK_ROWS = (
    "('2026-01-01T10:00:00Z', 'm', 't', 0.4, 0.6, 5, 7, 0.5, 0.2, '[0.3, 0.4]', '[9, 5]', '[0.7,0.6]', '[1, 7]')",
    "('2026-01-01T10:00:10Z', 'm', 't', 0.0, 0.6, 0, 7, 0.3, 0.6, '[]', '[]', '[0.6]', '[7]')",
    "('2026-01-01T10:00:20Z', 'm', 't', 0.4, 1.0, 5, 0, 0.7, 0.6, '[\"0.4\"]', '[\"5\"]', null, null)",
    "('2026-01-01T10:00:30Z', 'm', 't', 0.99, 1.0, 5, 8, 0.995, 0.01, '[0.99]', '[5]', '[1.0]', '[8]')",
    "('2026-01-01T10:00:40Z', 'm', 't', 0.4, 0.6, 5, 7, 0.5, 0.2, 'damaged', '[5]', '[0.6, 0.7]', '[7]')",
    "('2026-01-01T10:00:30Z', 'm', 't', 0.98, 1.0, 6, 8, 0.99, 0.02, '[0.98]', '[6]', '[1.0]', '[8]')",  # once more
)


def _make_tables(run: Run, time_type: str, *, is_buyer_maker: str = "") -> None:
    run(
        f"CREATE TABLE trades (timestamp {time_type}, market_id SYMBOL, token_id SYMBOL, side SYMBOL, trade_id VARCHAR,"
        f" price DOUBLE, size DOUBLE, value DOUBLE{is_buyer_maker}) TIMESTAMP(timestamp) PARTITION BY DAY WAL"
    )
    run(
        f"CREATE TABLE orderbook_snapshots (timestamp {time_type}, market_id SYMBOL, token_id SYMBOL, best_bid DOUBLE,"
        " best_ask DOUBLE, bid_size DOUBLE, ask_size DOUBLE, mid_price DOUBLE, spread DOUBLE, bid_prices VARCHAR,"
        " bid_sizes VARCHAR, ask_prices VARCHAR, ask_sizes VARCHAR) TIMESTAMP(timestamp) PARTITION BY DAY WAL"
    )
    columns = "(timestamp, market_id, token_id, side, trade_id, price, size, value)"
    for row in TRADE_ROWS:
        run(f"INSERT INTO trades {columns} VALUES {row}")
    for row in BOOK_ROWS:
        run(f"INSERT INTO orderbook_snapshots VALUES {row}")


@pytest.fixture(
    params=[("TIMESTAMP", True), ("TIMESTAMP_NS", True), ("TIMESTAMP", False)],
    ids=["microseconds", "nanoseconds", "read-only user"],
)
def legacy(request: pytest.FixtureRequest, questdb_run: Run, questdb_server: ServerInfo) -> Iterator[MarketStore]:
    """The store of such a deployment, read with and without HTTP."""
    time_type, over_http = request.param
    _make_tables(questdb_run, time_type)
    storage = questdb_server.storage_settings()
    storage |= {} if over_http else {"http_user": None, "http_password": None}
    with open_store(Settings(storage=StorageSettings(**storage))) as store:
        yield store


def test_trades_lose_their_repetitions_and_the_last_values_stand_where_the_first_came(legacy: MarketStore) -> None:
    found = legacy.reader.trades("m", "t", START, END)
    assert found.prices.tolist() == [0.55, 0.6, 0.7, 0.65]
    assert found.sizes.tolist() == [1.5, 2.0, 3.0, 4.0]
    assert found.signs.tolist() == [1, -1, -1, 0]
    seconds = (found.times - found.times[0]) / 1e6
    assert seconds[:3].tolist() == [0.0, 0.0, 1.499999]
    assert found.times[-1] == int(datetime(2026, 1, 2, tzinfo=UTC).timestamp() * 1e6)


def test_a_border_inside_a_microsecond_is_kept(legacy: MarketStore) -> None:
    edge = START + timedelta(hours=10, seconds=1, microseconds=1)
    assert len(legacy.reader.trades("m", "t", edge, END)) == 4
    assert len(legacy.reader.trades("m", "t", START, edge)) == 0


def test_ladders_of_text_are_sorted_and_broken_ones_are_missing(legacy: MarketStore) -> None:
    books = legacy.reader.order_books("m", "t", START, END)
    assert len(books) == 5
    np.testing.assert_array_equal(books.best_bids, [0.4, np.nan, 0.4, 0.98, np.nan])
    np.testing.assert_array_equal(books.best_asks, [0.6, 0.6, np.nan, 1.0, 0.6])
    np.testing.assert_array_equal(books.bid_prices[0], [0.4, 0.3])
    np.testing.assert_array_equal(books.bid_sizes[0], [5.0, 9.0])
    np.testing.assert_array_equal(books.ask_sizes[4], [7.0, np.nan])


def test_rows_read_stand_ins_as_missing_and_displayed_quotes_as_quotes(legacy: MarketStore) -> None:
    rows = [row for batch in legacy.reader.rows(ORDERBOOK_SNAPSHOTS, "m", START, END) for row in batch.to_pylist()]
    assert [row["best_bid"] for row in rows] == [0.4, None, 0.4, 0.98, 0.4]
    assert [row["best_ask"] for row in rows] == [0.6, 0.6, None, 1.0, 0.6]
    assert [row["mid_price"] for row in rows] == [0.5, None, None, 0.99, 0.5]
    assert [row["bid_size"] for row in rows] == [5.0, None, 5.0, 6.0, 5.0]
    assert [row["spread_bps"] for row in rows] == [None] * 5
    assert rows[0]["bid_prices"] == [0.3, 0.4]
    assert rows[0]["timestamp"] == START + timedelta(hours=10)
    assert rows[0].keys() == {column.name for column in ORDERBOOK_SNAPSHOTS.columns}


def test_trade_rows_have_every_column(legacy: MarketStore) -> None:
    rows = [row for batch in legacy.reader.rows(TRADES, "m", START, END) for row in batch.to_pylist()]
    assert [(row["trade_id"], row["side"], row["price"]) for row in rows] == [
        ("z", "buy", 0.55), ("a", "sell", 0.6), ("b", "sell", 0.7), ("z", "buy", 0.3), ("c", None, 0.65),
    ]  # fmt: skip
    assert not any(row["is_buyer_maker"] for row in rows)
    assert rows[0].keys() == {column.name for column in TRADES.columns}


def test_bars_leave_repetitions_out(legacy: MarketStore) -> None:
    bars = legacy.reader.bars("m", "t", START, END, "1h")
    assert bars["n_trades"].tolist() == [3, 1]
    assert bars["open"].tolist() == [0.55, 0.65]
    assert bars["close"].tolist() == [0.7, 0.65]
    assert bars["volume"].tolist() == [6.5, 4.0]
    assert bars["signed_volume"].tolist() == [1.5 - 5.0, 0.0]
    assert bars["timestamp"].iloc[0] == START + timedelta(hours=10)
    assert legacy.reader.bars("m", None, START, END, "1d")["token_id"].tolist() == ["other", "t", "t"]


def test_fingerprints_leave_repetitions_out_and_notice_a_change(legacy: MarketStore, questdb_run: Run) -> None:
    first, second = legacy.reader.fingerprints("m", "t", START, END)
    assert (first.n_trades, first.n_snapshots, second.n_trades, second.n_snapshots) == (3, 5, 1, 0)
    assert first.last_at == START + timedelta(hours=10, seconds=40)
    questdb_run("INSERT INTO trades (timestamp, market_id, token_id, side, trade_id, price, size, value) VALUES"
                + TRADE_ROWS[3])  # fmt: skip
    assert legacy.reader.fingerprints("m", "t", START, END) == [first, second]
    changed = BOOK_ROWS[0].replace("'[9, 5]'", "'[9, 6]'")
    questdb_run(f"INSERT INTO orderbook_snapshots VALUES {changed}")
    now = legacy.reader.fingerprints("m", "t", START, END)
    assert (now[0].digest != first.digest, now[0].n_snapshots, now[1]) == (True, 5, second)


def test_markets_come_from_the_data_when_there_is_no_markets_table(legacy: MarketStore) -> None:
    assert [(m.market_id, m.token_id, m.slug) for m in legacy.reader.markets()] == [
        ("m", "t", None), ("m", "other", None),
    ]  # fmt: skip


def test_a_markets_table_with_other_columns_gives_what_it_has(legacy: MarketStore, questdb_run: Run) -> None:
    questdb_run("CREATE TABLE markets (timestamp TIMESTAMP, market_id SYMBOL, token_id SYMBOL, slug VARCHAR,"
                " active BOOLEAN, tick_size DOUBLE) TIMESTAMP(timestamp) PARTITION BY MONTH WAL")  # fmt: skip
    questdb_run("INSERT INTO markets VALUES ('2026-01-01T00:00:00Z', 'm', 'other', 'a-slug', true, 0.0)")
    found = {market.token_id: market for market in legacy.reader.markets()}
    assert list(found) == ["other", "t"]
    assert (found["other"].slug, found["other"].tick_size) == ("a-slug", None)


def test_a_markets_table_without_tokens_is_not_used(legacy: MarketStore, questdb_run: Run) -> None:
    questdb_run("CREATE TABLE markets (updated_at TIMESTAMP, condition_id SYMBOL) TIMESTAMP(updated_at)")
    assert [market.token_id for market in legacy.reader.markets()] == ["t", "other"]


def test_check_says_how_the_tables_differ_and_counts_repetitions(legacy: MarketStore) -> None:
    findings = {(f.subject, f.severity): f.message for f in legacy.reader.check() if f.subject in ("trades", "markets")}
    assert findings["markets", "error"] == "is missing; run 'tributary store init'"
    messages = [f.message for f in legacy.reader.check() if f.subject == "trades"]
    assert "read as they are; is_buyer_maker is absent" in messages[0] or "timestamp is TIMESTAMP_NS" in messages[0]
    assert messages[1] == "has no DEDUP on its key; 2 repeated rows are left out"
    books = [f.message for f in legacy.reader.check() if f.subject == "orderbook_snapshots"]
    assert "bid_prices is VARCHAR" in books[0]
    assert "1 repeated rows" in books[1]


def test_initialising_beside_it_changes_nothing_that_exists(questdb_settings: Settings, questdb_run: Run) -> None:
    _make_tables(questdb_run, "TIMESTAMP", is_buyer_maker=", is_buyer_maker BOOLEAN")
    # Not the whole row: the size of a symbol table is counted while the write-ahead log is applied.
    columns = """SELECT "column", "type", indexed, designated, upsertKey FROM table_columns('trades')"""
    before = questdb_run(columns)
    with open_store(questdb_settings) as store:
        made = {finding.subject: finding.message for finding in store.writer.create_tables()}
        assert (made["trades"], made["orderbook_snapshots"], made["markets"]) == ("exists", "exists", "created")
        assert questdb_run(columns) == before
        assert len(store.reader.trades("m", "t", START, END)) == 4


def test_its_tables_are_only_read(questdb_settings: Settings, questdb_run: Run) -> None:
    _make_tables(questdb_run, "TIMESTAMP_NS")
    with open_store(questdb_settings) as store:
        store.writer.create_tables()
        for frame in (TRADES, ORDERBOOK_SNAPSHOTS):
            before = questdb_run(f"SELECT count() FROM {frame.name}")
            rows = pa.Table.from_batches(list(store.reader.rows(frame, "m", START, END))).to_pandas().iloc[:2]
            with pytest.raises(StorageError, match=f"'{frame.name}' .* is an earlier collector's .* is only read"):
                store.writer.write(frame, rows.assign(market_id="copy"))
            assert questdb_run(f"SELECT count() FROM {frame.name}") == before
        assert MARKETS.name in {state.table for state in store.reader.table_states()}


@pytest.mark.parametrize("over_http", [True, False], ids=["http", "read-only user"])
def test_trades_without_an_id_all_count_and_broken_ones_never(
    questdb_server: ServerInfo, questdb_run: Run, over_http: bool
) -> None:
    _make_tables(questdb_run, "TIMESTAMP")
    for trade in (
        "null, 0.50, 10.0",
        "null, 0.50, 20.0",
        "'', 0.50, 30.0",
        "'n', null, 5.0",
        "'o', 0.50, 0.0",
        "'p', 0.50, null",
        "'q', -0.50, 7.0",
    ):
        columns = "(timestamp, market_id, token_id, side, trade_id, price, size)"
        questdb_run(f"INSERT INTO trades {columns} VALUES ('2026-01-01T11:00:00Z', 'm', 'bare', 'BUY', {trade})")
    storage = questdb_server.storage_settings()
    storage |= {} if over_http else {"http_user": None, "http_password": None}
    with open_store(Settings(storage=StorageSettings(**storage))) as store:
        assert store.reader.trades("m", "bare", START, END).sizes.tolist() == [10.0, 20.0, 30.0]
        (bar,) = store.reader.bars("m", "bare", START, END, "1d").to_dict("records")
        assert (bar["volume"], bar["n_trades"], bar["vwap"], bar["low"]) == (60.0, 3, 0.5, 0.5)
        (held,) = store.reader.fingerprints("m", "bare", START, END)
        assert held.n_trades == 3
        messages = [found.message for found in store.reader.check() if found.subject == "trades"]
        assert "has no DEDUP on its key; 2 repeated rows are left out" in messages
        assert "4 rows without a positive price and size are left out" in messages


def test_every_ladder_of_text_is_read_whatever_its_digits(questdb_settings: Settings, questdb_run: Run) -> None:
    _make_tables(questdb_run, "TIMESTAMP")
    rng = np.random.default_rng(5)
    ladders = [[(rng.random(10) * 60).tolist() for _ in range(4)] for _ in range(1_500)]
    for first in range(0, len(ladders), 100):
        values = ", ".join(
            f"({n * 1_000_000}::timestamp, 'random', 't', 1, 2, "
            + ", ".join(f"'{json.dumps(side)}'" for side in sides)
            + ")"
            for n, sides in enumerate(ladders[first : first + 100], start=first)
        )
        columns = "timestamp, market_id, token_id, best_bid, best_ask, bid_prices, bid_sizes, ask_prices, ask_sizes"
        questdb_run(f"INSERT INTO orderbook_snapshots ({columns}) VALUES {values}")
    with open_store(questdb_settings) as store:
        start = datetime(1970, 1, 1, tzinfo=UTC)
        books = store.reader.order_books("random", "t", start, start + timedelta(days=1))
    for n, (bid_prices, bid_sizes, ask_prices, ask_sizes) in enumerate(ladders):
        bids, asks = (
            sorted(zip(bid_prices, bid_sizes, strict=True))[::-1],
            sorted(zip(ask_prices, ask_sizes, strict=True)),
        )
        assert list(zip(books.bid_prices[n], books.bid_sizes[n], strict=True)) == bids
        assert list(zip(books.ask_prices[n], books.ask_sizes[n], strict=True)) == asks
