"""Book snapshots from files: sorted ladders, derived columns, and what is dropped, kept or quarantined."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import MemoryStore
from tests.storage.files.conftest import NOW, ImportText
from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS
from tributary_pipelines.core.models import Market, OrderBookSnapshot
from tributary_pipelines.storage.files import ImportOptions, import_files

AT = "2026-03-01T12:00:00Z"
LADDERS = {
    "bid_prices": [0.4, 0.5, 0.3],
    "bid_sizes": [4, 5, 3],
    "ask_prices": [0.8, 0.6],
    "ask_sizes": [8, 6],
}


def book(**changes: Any) -> dict[str, Any]:
    return {"timestamp": AT, "market_id": "m", "token_id": "t", **LADDERS, **changes}


def as_ndjson(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_csv(*rows: dict[str, Any]) -> str:
    cells = [{k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]
    return pd.DataFrame(cells).to_csv(index=False)


def only_row(store: MemoryStore) -> dict[str, Any]:
    (row,) = store.rows(ORDERBOOK_SNAPSHOTS)
    return row


@pytest.mark.parametrize("name", ["b.csv", "b.ndjson", "b.parquet"])
def test_every_column_of_a_stored_book_from_every_format(store: MemoryStore, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        row = book(timestamp=datetime(2026, 3, 1, 12, tzinfo=UTC))
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        path.write_text(as_csv(book()) if name.endswith("csv") else as_ndjson(book()))
    summary = import_files(store, "books", [path], options=ImportOptions(), now=NOW)
    assert (summary.rows_read, summary.rows_stored) == (1, 1)
    row = only_row(store)
    assert row["bid_prices"] == [0.5, 0.4, 0.3]
    assert row["bid_sizes"] == [5, 4, 3]
    assert (row["ask_prices"], row["ask_sizes"]) == ([0.6, 0.8], [6, 8])
    assert (row["best_bid"], row["bid_size"], row["best_ask"], row["ask_size"]) == (0.5, 5, 0.6, 6)
    assert row["mid_price"] == pytest.approx(0.55)
    assert row["spread"] == pytest.approx(0.1)
    assert row["spread_bps"] == pytest.approx(1e4 * 0.1 / 0.55)
    assert (row["total_bid_volume"], row["total_ask_volume"]) == (12, 14)
    assert (row["source"], row["received_at"]) == ("file", None)
    assert row["timestamp"] == pd.Timestamp(AT)


@pytest.mark.parametrize("empty", [[], None])
def test_a_missing_side_is_null_and_an_empty_ladder(
    store: MemoryStore, import_text: ImportText, empty: list[float] | None
) -> None:
    import_text(
        "books", as_ndjson(book(), book(timestamp="2026-03-01T12:00:01Z", bid_prices=empty, bid_sizes=empty)), "b.jsonl"
    )
    row = store.rows(ORDERBOOK_SNAPSHOTS)[1]
    assert (row["bid_prices"], row["bid_sizes"]) == ([], [])
    names = ("best_bid", "bid_size", "mid_price", "spread", "spread_bps", "total_bid_volume")
    assert {row[name] for name in names} == {None}
    assert (row["best_ask"], row["total_ask_volume"]) == (0.6, 14)


def test_one_sided_and_crossed_books_are_kept_and_told(
    store: MemoryStore, import_text: ImportText, caplog: pytest.LogCaptureFixture
) -> None:
    crossed = book(ask_prices=[0.45, 0.6])
    one_sided = book(timestamp="2026-03-01T12:00:01Z", ask_prices=[], ask_sizes=[])
    with caplog.at_level(logging.WARNING):
        assert import_text("books", as_ndjson(crossed, one_sided), "b.ndjson").rows_stored == 2
    assert store.rows(ORDERBOOK_SNAPSHOTS)[0]["spread"] == pytest.approx(-0.05)
    assert "1 one-sided and 1 crossed" in caplog.text


def test_levels_of_size_zero_are_dropped_whatever_their_price(store: MemoryStore, import_text: ImportText) -> None:
    padded = book(bid_prices=[0, 0.5, 0.4], bid_sizes=[0, 5, 0.0])
    assert import_text("books", as_csv(padded)).rows_quarantined == 0
    assert (only_row(store)["bid_prices"], only_row(store)["bid_sizes"]) == ([0.5], [5])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bid_prices": [0.4, 0.5]}, "bid_prices and bid_sizes have different lengths"),
        ({"ask_sizes": [1, -1]}, "a ask size is not a finite number above 0"),
        ({"ask_sizes": [1, "1e999"]}, "a ask size is not a finite number above 0"),
        ({"ask_prices": [0.6, 0]}, "a ask price is not a finite number above 0"),
        ({"bid_prices": [0.4, -0.5, 0.3]}, "a bid price is not a finite number above 0"),
        ({"ask_sizes": ["1e308", "1e308"]}, "the ask sizes add up to no finite number"),
        ({"bid_prices": "[0.4, 0.5"}, "bid_prices is not a list of numbers"),
        ({"bid_prices": "[0.4, NaN, 1]"}, "bid_prices is not a list of numbers"),
        ({"bid_prices": "[[0.4], 0.5, 1]"}, "bid_prices is not a list of numbers"),
        ({"bid_prices": "[0.4,, 1]"}, "bid_prices is not a list of numbers"),
        ({"bid_prices": "0.4"}, "bid_prices is not a list of numbers"),
        ({"bid_prices": '{"0": 1}'}, "bid_prices is not a list of numbers"),
        ({"timestamp": ""}, "timestamp is missing"),
        ({"market_id": ""}, "market_id is missing"),
    ],
)
@pytest.mark.parametrize("name", ["b.csv", "b.ndjson"])
def test_a_book_that_breaks_a_rule_is_quarantined_with_the_reason(
    import_text: ImportText, changes: dict[str, Any], reason: str, name: str
) -> None:
    rows = (book(), book(**changes))
    summary = import_text("books", as_csv(*rows) if name == "b.csv" else as_ndjson(*rows), name)
    assert (summary.rows_stored, summary.rows_quarantined) == (1, 1)
    assert [found.reason for found in summary.quarantine] == [reason]


@pytest.mark.parametrize("value", [[[1, 2]], {"a": 1}, 5, True, [True], [None], [{}]])
def test_other_json_in_place_of_a_ladder_is_quarantined(import_text: ImportText, value: object) -> None:
    summary = import_text("books", as_ndjson(book(bid_prices=value, bid_sizes=[1])), "b.ndjson")
    assert summary.is_all_quarantined


def test_levels_outside_the_declared_bounds_quarantine_the_book(tmp_path: Path) -> None:
    path = tmp_path / "b.ndjson"
    path.write_text(as_ndjson(book(ask_prices=[0.6, 1.2]), book(timestamp="2026-03-01T12:00:01Z")))
    store = MemoryStore([Market(market_id="m", token_id="t", price_min=0, price_max=1)])
    summary = import_files(store, "books", [path], options=ImportOptions(), now=NOW)
    assert summary.rows_stored == 1
    assert summary.quarantine[0].reason == "a ask price is outside the declared bounds of its market"


def test_ladders_as_repeated_texts_in_parquet(store: MemoryStore, tmp_path: Path) -> None:
    columns = {name: pa.array([json.dumps(value)]).dictionary_encode() for name, value in LADDERS.items()}
    keys = {name: pa.array([value]) for name, value in book().items() if name not in LADDERS}
    pq.write_table(pa.table({**keys, **columns}), tmp_path / "b.parquet")
    import_files(store, "books", [tmp_path / "b.parquet"], options=ImportOptions(), now=NOW)
    assert only_row(store)["bid_prices"] == [0.5, 0.4, 0.3]


def test_decimals_in_quotes_are_numbers(store: MemoryStore, import_text: ImportText) -> None:
    import_text("books", as_csv(book(bid_prices=["0.5"], bid_sizes=["1e1"])))
    assert (only_row(store)["bid_prices"], only_row(store)["bid_sizes"]) == ([0.5], [10])


PRICES = st.floats(min_value=1e-6, max_value=1e6)
LADDER = st.lists(st.tuples(PRICES, st.floats(min_value=1e-6, max_value=1e9)), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(books=st.lists(st.tuples(LADDER, LADDER), min_size=1, max_size=8), in_csv=st.booleans())
def test_ladders_are_those_of_the_model(tmp_path: Path, books: list[Any], in_csv: bool) -> None:
    moments = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(len(books))]
    rows = [
        book(
            timestamp=moment.isoformat(),
            bid_prices=[price for price, _ in bids],
            bid_sizes=[size for _, size in bids],
            ask_prices=[price for price, _ in asks],
            ask_sizes=[size for _, size in asks],
        )
        for moment, (bids, asks) in zip(moments, books, strict=True)
    ]
    path = tmp_path / ("b.csv" if in_csv else "b.ndjson")
    path.write_text(as_csv(*rows) if in_csv else as_ndjson(*rows))
    store = MemoryStore()
    assert import_files(store, "books", [path], options=ImportOptions(chunk_bytes=500), now=NOW).rows_stored == len(
        books
    )
    for row, moment, (bids, asks) in zip(store.rows(ORDERBOOK_SNAPSHOTS), moments, books, strict=True):
        model = OrderBookSnapshot(timestamp=moment, market_id="m", token_id="t", bids=bids, asks=asks)
        assert row["bid_prices"] == [price for price, _ in model.bids]
        assert row["ask_prices"] == [price for price, _ in model.asks]
        assert sorted(zip(row["bid_prices"], row["bid_sizes"], strict=True), reverse=True) == list(model.bids)
        assert sorted(zip(row["ask_prices"], row["ask_sizes"], strict=True)) == list(model.asks)
        assert (row["best_bid"], row["best_ask"]) == (model.best_bid, model.best_ask)
        assert row["mid_price"] == (None if model.mid is None else pytest.approx(model.mid, rel=1e-15))
        assert row["total_bid_volume"] == (pytest.approx(np.sum([q for _, q in bids])) if bids else None)
