"""The real recording that ships with the package: imported and summed, it gives the figures of its README."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import tributary_pipelines
from tributary_pipelines.core.frames import TRADES
from tributary_pipelines.core.settings import Settings, StorageSettings
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.files import ImportOptions, import_files
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.questdb.server import ServerInfo

FOLDER = Path(tributary_pipelines.__file__).parent / "data" / "btcusdt-2024-08-08"
MARKET = "binance:BTCUSDT"
START, END = datetime(2024, 8, 8, tzinfo=UTC), datetime(2024, 8, 10, tzinfo=UTC)
DAYS = {
    date(2024, 8, 8): (9_738, Decimal("211.86101"), Decimal("61707.699234")),
    date(2024, 8, 9): (10_166, Decimal("226.05451"), Decimal("61637.673614")),
}


@pytest.fixture(scope="module", params=["duckdb", pytest.param("questdb", marks=pytest.mark.integration)])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarketStore]:
    settings = Settings(folder=tmp_path_factory.mktemp("recording"))
    if request.param == "questdb":
        server: ServerInfo = request.getfixturevalue("questdb_server")
        settings = Settings(storage=StorageSettings(**server.storage_settings()))
    opened = open_store(settings)
    for kind, name, n_rows in (
        ("markets", "markets.yaml", 1),
        ("trades", "trades.parquet", 19_904),
        ("books", "books.parquet", 650),
    ):
        summary = import_files(opened, kind, [FOLDER / name], options=ImportOptions())
        assert (summary.rows_read, summary.rows_stored, summary.rows_quarantined) == (n_rows, n_rows, 0)
        again = import_files(opened, kind, [FOLDER / name], options=ImportOptions())
        assert (again.rows_stored, again.rows_duplicate) == (0, n_rows)
    with opened:
        yield opened


def rows(store: MarketStore) -> list[dict[str, object]]:
    return pa.Table.from_batches(list(store.reader.rows(TRADES, MARKET, START, END))).to_pylist()


def test_daily_bars_give_the_known_answers(store: MarketStore) -> None:
    bars = store.reader.bars(MARKET, MARKET, START, END, "1d")
    found = {
        bar["timestamp"].date(): (bar["n_trades"], Decimal(f"{bar['volume']:.5f}"), Decimal(f"{bar['vwap']:.6f}"))
        for bar in bars.to_dict("records")
    }
    assert found == DAYS


def test_what_is_stored_sums_to_the_known_answers_in_exact_decimals(store: MarketStore) -> None:
    stored = rows(store)
    for day, (n_trades, volume, vwap) in DAYS.items():
        sizes = [Decimal(repr(row["size"])) for row in stored if row["timestamp"].date() == day]
        prices = [Decimal(repr(row["price"])) for row in stored if row["timestamp"].date() == day]
        assert (len(sizes), sum(sizes)) == (n_trades, volume)
        notional = sum(price * size for price, size in zip(prices, sizes, strict=True))
        assert (notional / volume).quantize(Decimal("0.000001")) == vwap


def test_minute_bars_conserve_the_volume(store: MarketStore) -> None:
    bars = store.reader.bars(MARKET, MARKET, START, END, "1m")
    assert bars["volume"].sum() == pytest.approx(211.86101 + 226.05451, rel=1e-12)
    assert bars["n_trades"].sum() == 19_904
    assert ((bars["low"] <= bars["vwap"]) & (bars["vwap"] <= bars["high"])).all()


def test_takers_bought_and_sold_the_known_amounts(store: MarketStore) -> None:
    bought = [Decimal(repr(row["size"])) for row in rows(store) if row["side"] == "buy"]
    sold = [Decimal(repr(row["size"])) for row in rows(store) if row["side"] == "sell"]
    assert (len(bought), sum(bought)) == (9_093, Decimal("204.49112"))
    assert (len(sold), sum(sold)) == (10_811, Decimal("233.42440"))


def test_trade_ids_run_without_a_hole(store: MarketStore) -> None:
    ids = sorted(int(str(row["trade_id"])) for row in rows(store))
    assert ids == list(range(3_735_683_259, 3_735_703_162 + 1))


def test_books_are_one_a_second_and_none_is_crossed(store: MarketStore) -> None:
    books = store.reader.order_books(MARKET, MARKET, START, END)
    assert len(books) == 650
    assert set(np.diff(books.times)) == {1_000_000}
    assert books.bid_prices.shape == (650, 20)
    assert books.is_usable.all()
    assert (np.diff(books.bid_prices, axis=1) < 0).all()
    assert (np.diff(books.ask_prices, axis=1) > 0).all()


def test_the_market_entry_is_the_recorded_one(store: MarketStore) -> None:
    (entry,) = [entry for entry in store.reader.markets() if entry.market_id == MARKET]
    assert (entry.market_id, entry.tick_size, entry.lot_size, entry.quote_currency) == (MARKET, 0.01, 0.00001, "USDT")
