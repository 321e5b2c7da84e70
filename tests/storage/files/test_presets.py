"""Known public layouts, each from a few rows written by hand as its source writes them."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.fakes import MemoryStore
from tests.storage.files.conftest import NOW, ImportText
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES
from tributary_pipelines.storage.files import ImportOptions, ImportSummary, import_files

MS = 1_723_161_255_342
AT = pd.Timestamp(MS, unit="ms", tz="UTC")

# --- binance ---

SPOT = f"3735683259,61837.63000000,0.02000000,1236.75260000,{MS},True,True\n"
SPOT_US = f"3735683260,61837.64000000,0.04800000,2968.20672000,{MS}001,False,True\n"
FUTURES = f"id,price,qty,quote_qty,time,is_buyer_maker\n5,61837.6,0.02,1236.7,{MS},true\n"


def test_a_binance_dump_without_a_header(store: MemoryStore, import_text: ImportText) -> None:
    summary = import_text("trades", SPOT + SPOT_US, preset="binance", market="binance:BTCUSDT")
    assert (summary.rows_read, summary.rows_stored) == (2, 2)
    first, second = store.rows(TRADES)
    assert (first["timestamp"], first["market_id"], first["token_id"]) == (AT, "binance:BTCUSDT", "binance:BTCUSDT")
    assert (first["trade_id"], first["price"], first["size"]) == ("3735683259", 61837.63, 0.02)
    assert (first["side"], first["is_buyer_maker"], second["side"]) == ("sell", True, "buy")
    assert second["timestamp"] == AT + pd.Timedelta(1, "us")


def test_a_binance_dump_with_a_header(store: MemoryStore, import_text: ImportText) -> None:
    import_text("trades", FUTURES, preset="binance", market="m", token="t")
    (row,) = store.rows(TRADES)
    assert (row["timestamp"], row["token_id"], row["side"], row["trade_id"]) == (AT, "t", "sell", "5")


def test_a_binance_dump_with_its_unit_given_and_a_bad_row(store: MemoryStore, import_text: ImportText) -> None:
    bad = SPOT.replace(str(MS), "soon") + SPOT.replace(str(MS), "9e18") + SPOT.replace("True,True", "maybe,True")
    summary = import_text("trades", SPOT + bad, preset="binance", market="m")
    assert (summary.rows_stored, summary.rows_quarantined) == (2, 2)
    assert store.rows(TRADES)[-1]["side"] is None


def test_columns_that_are_ours_already_win_over_the_dump(store: MemoryStore, import_text: ImportText) -> None:
    ours = FUTURES.replace("is_buyer_maker", "is_buyer_maker,side,timestamp").replace(
        "true", "true,buy,2026-03-01T00:00:00Z"
    )
    import_text("trades", ours, preset="binance", market="m")
    (row,) = store.rows(TRADES)
    assert (row["side"], row["timestamp"]) == ("buy", pd.Timestamp("2026-03-01T00:00:00Z"))


def test_what_is_no_binance_dump_is_said(import_text: ImportText) -> None:
    with pytest.raises(ValidationError, match=r"file\.csv: a Binance trade dump has 6 or 7 columns, this file has 3"):
        import_text("trades", "1,2,3\n", preset="binance", market="m")
    with pytest.raises(ValidationError, match=r"column market_id, token_id is missing.* or give --market"):
        import_text("trades", SPOT, preset="binance")


# --- tardis ---

TARDIS_TRADES = (
    "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    f"bitmex,XBTUSD,{MS}000,{MS}900,a-1,buy,61837.5,300\n"
    f"bitmex,XBTUSD,{MS}001,{MS}901,,unknown,61837.0,10\n"
)
TARDIS_BOOKS = (
    "exchange,symbol,timestamp,local_timestamp,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount,"
    "asks[1].price,asks[1].amount,bids[1].price,bids[1].amount\n"
    f"bitmex,XBTUSD,{MS}000,{MS}900,101,1,100,2,102,3,99,4\n"
    f"bitmex,XBTUSD,{MS}001,{MS}901,101,1,,,,,,\n"
    f"bitmex,XBTUSD,{MS}002,{MS}902,101,1,100,2,102,,99,4\n"
    f"bitmex,XBTUSD,{MS}003,{MS}903,101,1,100,2,102,0,99,oops\n"
)


def test_tardis_trades(store: MemoryStore, import_text: ImportText) -> None:
    assert import_text("trades", TARDIS_TRADES, preset="tardis").rows_stored == 2
    first, second = store.rows(TRADES)
    assert (first["market_id"], first["token_id"], first["trade_id"]) == ("bitmex:XBTUSD", "bitmex:XBTUSD", "a-1")
    assert (first["timestamp"], first["side"], first["size"]) == (AT, "buy", 300.0)
    assert (second["side"], second["id_kind"]) == (None, "derived")


def test_tardis_wide_books(store: MemoryStore, import_text: ImportText) -> None:
    summary = import_text("books", TARDIS_BOOKS, preset="tardis")
    assert (summary.rows_stored, summary.rows_quarantined) == (2, 2)
    first, second = store.rows(ORDERBOOK_SNAPSHOTS)
    assert (first["bid_prices"], first["bid_sizes"]) == ([100, 99], [2, 4])
    assert (first["ask_prices"], first["ask_sizes"]) == ([101, 102], [1, 3])
    assert first["market_id"] == "bitmex:XBTUSD"
    assert (second["bid_prices"], second["ask_prices"], second["mid_price"]) == ([], [101], None)


def test_wide_books_of_others_take_their_market_from_the_options(tmp_path: Path) -> None:
    wide = pd.DataFrame({"timestamp": [f"{MS}000"], "bids[0].price": [1.5], "bids[0].amount": [2.0]})
    wide = wide.assign(**{"asks[0].price": [np.nan], "asks[0].amount": [np.nan]})
    wide.to_parquet(tmp_path / "b.parquet")
    store = MemoryStore()
    options = ImportOptions(market="m", token="t", preset="tardis", mapping={"timestamp": "timestamp"})
    assert import_files(store, "books", [tmp_path / "b.parquet"], options=options, now=NOW).rows_stored == 1
    (row,) = store.rows(ORDERBOOK_SNAPSHOTS)
    assert (row["market_id"], row["token_id"], row["bid_prices"], row["ask_prices"]) == ("m", "t", [1.5], [])
    wide.drop(columns=["asks[0].price", "asks[0].amount"]).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(ValidationError, match="column ask_prices, ask_sizes is missing"):
        import_files(store, "books", [tmp_path / "b.parquet"], options=options, now=NOW)


# --- hftbacktest ---

EVENT = np.dtype("u8, i8, i8, f8, f8, u8, i8, f8")
EVENT.names = ("ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval")
DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
BUY, SELL, EXCHANGE, LOCAL = 1 << 29, 1 << 28, 1 << 31, 1 << 30
BOTH = EXCHANGE | LOCAL
S = 1_000_000_000


def event(kind: int, at_s: float, px: float, qty: float, flags: int = BOTH) -> tuple[Any, ...]:
    ns = 1_700_000_000 * S + round(at_s * S)
    return (kind | flags, ns, ns + 5, px, qty, 0, 0, 0.0)


EVENTS = [
    event(CLEAR, 0.0, 0, 0, BOTH | BUY),
    event(SNAPSHOT, 0.0, 100, 1, BOTH | BUY),
    event(SNAPSHOT, 0.0, 99, 2, BOTH | BUY),
    event(SNAPSHOT, 0.0, 101, 3, BOTH | SELL),
    event(DEPTH, 0.5, 100, 0, BOTH | BUY),
    event(TRADE, 0.6, 101, 0.5, BOTH | SELL),
    event(TRADE, 0.6, 101, 0.5, LOCAL | SELL),
    event(DEPTH, 0.9, 100, 7, BOTH | BUY),
    event(DEPTH, 1.2, 102, 4, BOTH | SELL),
    event(DEPTH, 1.3, 98, 4, LOCAL | BUY),
    event(TRADE, 4.0, 100, 2, BOTH | BUY),
    event(TRADE, 4.0, 100, 2, BOTH),
    event(CLEAR, 4.1, 99, 0, BOTH | BUY),
    event(DEPTH, 4.2, 97, 9, BOTH | BUY),
    event(CLEAR, 6.0, np.nan, 0, BOTH),
    event(DEPTH, 6.5, 103, 1, BOTH | SELL),
]


def import_events(
    path: Path, kind: str, events: list[Any] | np.ndarray, **options: Any
) -> tuple[MemoryStore, ImportSummary]:
    array = np.array(events, EVENT) if isinstance(events, list) else events
    np.savez_compressed(path, data=array)
    store = MemoryStore()
    chosen = ImportOptions(preset="hftbacktest", market="m", **options)
    return store, import_files(store, kind, [path], options=chosen, now=NOW)


@pytest.mark.parametrize("chunk_bytes", [1, 200, 1 << 20])
def test_hftbacktest_trades(tmp_path: Path, chunk_bytes: int) -> None:
    store, summary = import_events(tmp_path / "e.npz", "trades", EVENTS, chunk_bytes=chunk_bytes)
    assert (summary.rows_read, summary.rows_stored) == (3, 3)
    sold, bought, unknown = store.rows(TRADES)
    assert (sold["timestamp"], sold["side"], sold["price"], sold["size"]) == (
        pd.Timestamp("2023-11-14T22:13:20.6Z"),
        "sell",
        101,
        0.5,
    )
    assert (bought["side"], unknown["side"], bought["token_id"]) == ("buy", None, "m")


@pytest.mark.parametrize("chunk_bytes", [1, 200, 1 << 20])
def test_hftbacktest_books_are_rebuilt_at_the_end_of_each_second_that_moved(tmp_path: Path, chunk_bytes: int) -> None:
    store, summary = import_events(tmp_path / "e.npz", "books", EVENTS, chunk_bytes=chunk_bytes)
    assert (summary.rows_read, summary.rows_stored) == (6, 6)
    rows = store.rows(ORDERBOOK_SNAPSHOTS)
    zero = pd.Timestamp("2023-11-14T22:13:20Z")
    assert [(row["timestamp"] - zero).total_seconds() for row in rows] == [0, 1, 2, 5, 6, 7]
    assert [row["bid_prices"] for row in rows] == [[100, 99], [100, 99], [100, 99], [97], [], []]
    assert [row["bid_sizes"] for row in rows] == [[1, 2], [7, 2], [7, 2], [9], [], []]
    assert [row["ask_prices"] for row in rows] == [[101], [101], [101, 102], [101, 102], [], [103]]


def test_hftbacktest_files_that_are_none_are_said(tmp_path: Path) -> None:
    path = tmp_path / "e.npz"
    options = ImportOptions(preset="hftbacktest", market="m")
    path.write_bytes(b"PK nothing")
    with pytest.raises(ValidationError, match="is no hftbacktest recording"):
        import_files(MemoryStore(), "trades", [path], options=options)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ValidationError, match="is no hftbacktest recording"):
        import_files(MemoryStore(), "trades", [path], options=options)
    with pytest.raises(ValidationError, match="not the event layout of hftbacktest version 2"):
        import_events(path, "trades", np.zeros((3, 6)))
    np.savez(path, data=np.array([object()], dtype=object))
    with pytest.raises(ValidationError, match="not the event layout"):
        import_files(MemoryStore(), "trades", [path], options=options)
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("data.npy", b"\x93NUMPY\x01\x00\x10\x00" + b"{'descr': \x00   " + b"x" * 10)
    with pytest.raises(ValidationError, match="not the event layout"):
        import_files(MemoryStore(), "trades", [tmp_path / "z.npz"], options=options)
    with pytest.raises(ValidationError, match="reads trades and books, not markets"):
        import_files(MemoryStore(), "markets", [path], options=options)


@pytest.mark.parametrize(("px", "qty"), [(np.nan, 1), (np.inf, 1), (0, 1), (1, -1), (1, np.nan)])
def test_a_depth_event_that_is_no_level_stops_the_rebuilding(tmp_path: Path, px: float, qty: float) -> None:
    with pytest.raises(ValidationError, match=r"e\.npz event 2: price or quantity"):
        import_events(tmp_path / "e.npz", "books", [EVENTS[1], event(DEPTH, 1, px, qty, BOTH | BUY)])


def test_a_recording_that_ends_early_keeps_what_came_before(tmp_path: Path) -> None:
    raw = io.BytesIO()
    np.lib.format.write_array(raw, np.array(EVENTS, EVENT))
    with zipfile.ZipFile(tmp_path / "e.npz", "w") as archive:
        archive.writestr("data.npy", raw.getvalue()[:-100])
    store = MemoryStore()
    options = ImportOptions(preset="hftbacktest", market="m", chunk_bytes=64)
    with pytest.raises(ValidationError, match=r"e\.npz is damaged after event 14: the recording ends early"):
        import_files(store, "trades", [tmp_path / "e.npz"], options=options)
    assert len(store.rows(TRADES)) == 3
