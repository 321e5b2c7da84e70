"""Trades from files: what is stored, what is quarantined, and that importing again changes nothing."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import MemoryStore
from tests.storage.files.conftest import NOW, ImportText
from tributary_pipelines.core.frames import MARKETS, QUARANTINE, TRADES
from tributary_pipelines.core.models import Market
from tributary_pipelines.storage.files import ImportOptions, import_files

HEADER = "timestamp,market_id,token_id,side,trade_id,price,size\n"
BAD_NUMBERS = ("", "nan", "inf", "-inf", "0", "-1", "-0.0", "1e999", "abc", "0x1", "1_0", "1 0", "NULL")


def values(store: MemoryStore, column: str) -> list[object]:
    return [row[column] for row in store.rows(TRADES)]


def line(**changes: object) -> str:
    row = {
        "timestamp": "2026-03-01T12:00:00Z",
        "market_id": "m",
        "token_id": "t",
        "side": "buy",
        "trade_id": "1",
        "price": 0.5,
        "size": 3,
    } | changes
    return ",".join(str(value) for value in row.values()) + "\n"


def test_every_column_of_a_stored_trade(store: MemoryStore, import_text: ImportText) -> None:
    summary = import_text("trades", HEADER + line(timestamp="2026-03-01T14:00:00.5+02:00", side="Ask"))
    (row,) = store.rows(TRADES)
    assert row["timestamp"] == pd.Timestamp("2026-03-01T12:00:00.5Z")
    assert (row["side"], row["trade_id"], row["price"], row["size"], row["value"]) == ("sell", "1", 0.5, 3.0, 1.5)
    assert (row["is_buyer_maker"], row["side_source"], row["id_kind"]) == (True, "venue", "native")
    assert row["received_at"] is None
    assert summary.to_answer() == {
        "rows_read": 1,
        "rows_stored": 1,
        "rows_duplicate": 0,
        "rows_quarantined": 0,
        "quarantine": [],
        "first_at": "2026-03-01T12:00:00.500000Z",
        "last_at": "2026-03-01T12:00:00.500000Z",
    }


@pytest.mark.parametrize(
    ("text", "side"),
    [("buy", "buy"), ("B", "buy"), ("BID", "buy"), ("Sell", "sell"), ("s", "sell"), (" ask ", "sell")]
    + [(text, None) for text in ("", "x", "1", "unknown", "buyer", "None")],
)
def test_sides_in_any_case_and_unknown_ones_are_null(
    store: MemoryStore, import_text: ImportText, text: str, side: str | None
) -> None:
    import_text("trades", HEADER + line(side=text))
    (row,) = store.rows(TRADES)
    assert (row["side"], row["side_source"]) == (side, side and "venue")
    assert row["is_buyer_maker"] == (side == "sell")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timestamp": ""}, "timestamp is missing"),
        ({"timestamp": "2026-03-01T12:00:00"}, "no offset"),
        ({"timestamp": "1772366400"}, "--time-unit"),
        ({"timestamp": "yesterday"}, "ISO-8601"),
        ({"timestamp": "2026-02-30T12:00:00Z"}, "no calendar time"),
        ({"timestamp": "1969-12-31T23:59:59Z"}, "outside 1970"),
        ({"timestamp": "9999-12-31T23:59:59Z"}, "outside 1970"),
        ({"market_id": ""}, "market_id is missing"),
        ({"token_id": "  "}, "token_id is missing"),
        ({"token_id": "a\x01b"}, "token_id holds control characters"),
        ({"market_id": "m" * 513}, "more than 512"),
        ({"trade_id": "\x7f"}, "trade_id holds control characters"),
        *(({"price": value}, "price is not a finite number above 0") for value in BAD_NUMBERS),
        *(({"size": value}, "size is not a finite number above 0") for value in BAD_NUMBERS),
        ({"price": "1e300", "size": "1e300"}, "price times size"),
    ],
)
def test_a_row_that_breaks_a_rule_is_quarantined_with_the_reason(
    import_text: ImportText, changes: dict[str, str], reason: str
) -> None:
    summary = import_text("trades", HEADER + line() + line(**changes))
    assert (summary.rows_read, summary.rows_stored, summary.rows_quarantined) == (2, 1, 1)
    (found,) = summary.quarantine
    assert reason in found.reason
    assert found.count == 1
    assert found.first_row.endswith("file.csv line 3")
    assert not summary.is_all_quarantined


def test_a_quarantined_row_keeps_its_payload_time_and_market(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + line(price=-1) * 3 + line(timestamp="x"))
    store = MemoryStore()
    for _ in range(2):
        import_files(store, "trades", [path], options=ImportOptions(chunk_bytes=60), now=NOW)
    negative, timeless = store.rows(QUARANTINE)
    assert negative["n"] == 3
    assert negative["timestamp"] == pd.Timestamp("2026-03-01T12:00:00Z")
    assert (negative["market_id"], negative["stream"], negative["venue"]) == ("m", "trades", "file")
    assert json.loads(negative["payload"])["price"] == "-1"
    assert timeless["timestamp"] == pd.Timestamp(0, tz="UTC")
    assert len(timeless["payload_sha256"]) == 64


def test_prices_outside_the_declared_bounds_are_quarantined(store: MemoryStore, import_text: ImportText) -> None:
    store.known = [Market(market_id="m", token_id="t", price_min=0, price_max=1)]
    rows = [line(price=price, trade_id=price) for price in (0.0001, 1, 1.0001, 7)]
    summary = import_text("trades", HEADER + "".join(rows) + line(market_id="other", price=7))
    assert (summary.rows_stored, summary.rows_quarantined) == (3, 2)
    assert summary.quarantine[0].reason == "price is outside the declared bounds of its market"
    assert values(store, "price") == [0.0001, 1.0, 7.0]


def test_missing_ids_come_from_the_row_and_its_occurrence(store: MemoryStore, import_text: ImportText) -> None:
    rows = [line(trade_id=""), line(trade_id="", price=0.6), line(trade_id=""), line(trade_id="", side="?")]
    assert import_text("trades", HEADER + "".join(rows)).rows_stored == 4
    assert sorted(values(store, "trade_id")) == ["buy:0.5:3.0:0", "buy:0.5:3.0:1", "buy:0.6:3.0:0", "unknown:0.5:3.0:0"]
    assert set(values(store, "id_kind")) == {"derived"}
    without = "timestamp,market_id,token_id,side,price,size\n2026-03-01T12:00:00Z,m,t,B,5e-1,3.0\n"
    assert import_text("trades", without).rows_duplicate == 1


def test_the_same_file_twice_changes_nothing_however_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + "".join(line(trade_id="", price=1 + n % 3) for n in range(40)))
    whole, cut = MemoryStore(), MemoryStore()
    first = import_files(whole, "trades", [path], options=ImportOptions(), now=NOW)
    assert import_files(cut, "trades", [path], options=ImportOptions(chunk_bytes=1), now=NOW) == first
    assert cut.rows(TRADES) == whole.rows(TRADES)
    again = import_files(cut, "trades", [path], options=ImportOptions(chunk_bytes=300), now=NOW)
    assert (again.rows_stored, again.rows_duplicate) == (0, 40)
    assert cut.rows(TRADES) == whole.rows(TRADES)


def test_a_stored_key_with_other_values_is_replaced_and_counts_as_stored(
    store: MemoryStore, import_text: ImportText
) -> None:
    import_text("trades", HEADER + line())
    summary = import_text("trades", HEADER + line(price=0.7) + line(trade_id="2"))
    assert (summary.rows_stored, summary.rows_duplicate) == (2, 0)
    assert values(store, "price") == [0.7, 0.5]


def test_defaults_fill_what_a_file_does_not_say(store: MemoryStore, import_text: ImportText) -> None:
    text = "timestamp,token_id,side,price,size\n1772366400,,b,1,1\n1772366401,u,b,1,1\n"
    assert import_text("trades", text, market="m", token="t", time_unit="s").rows_stored == 2
    assert values(store, "token_id") == ["t", "u"]


@pytest.mark.parametrize(
    ("unit", "number"),
    [
        ("s", "1772366400"),
        ("s", "1772366400.0000004"),
        ("ms", "1772366400000"),
        ("us", "1772366400000000"),
        ("ns", "1772366400000000999"),
    ],
)
def test_integer_times_in_every_unit(store: MemoryStore, import_text: ImportText, unit: str, number: str) -> None:
    import_text("trades", HEADER + line(timestamp=number), time_unit=unit)
    assert values(store, "timestamp") == [pd.Timestamp("2026-03-01T12:00:00Z")]


def test_a_market_with_data_and_no_entry_gets_one_of_nulls(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + line() + line(token_id="u", trade_id="2") + line(token_id="bad", price=0))
    store = MemoryStore([Market(market_id="m", token_id="t", tick_size=0.01)])
    import_files(store, "trades", [path], options=ImportOptions(), now=NOW)
    (entry,) = store.rows(MARKETS)
    assert (entry["market_id"], entry["token_id"], entry["timestamp"]) == ("m", "u", pd.Timestamp(NOW))
    assert all(entry[name] is None for name in MARKETS.column_names[3:])


def test_entries_are_stamped_in_the_order_in_which_tokens_came(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + "".join(line(token_id=token, trade_id=token) for token in "zyxa"))
    store = MemoryStore()
    import_files(store, "trades", [path], options=ImportOptions(chunk_bytes=80), now=NOW)
    entries = store.rows(MARKETS)
    assert [entry["token_id"] for entry in entries] == list("zyxa")
    assert [entry["timestamp"] for entry in entries] == [NOW + timedelta(microseconds=n) for n in range(4)]


def test_all_rows_quarantined_is_told_apart(import_text: ImportText) -> None:
    summary = import_text("trades", HEADER + line(price=0) + line(price="x"))
    assert summary.is_all_quarantined
    assert (summary.first_at, summary.last_at) == (None, None)
    assert summary.quarantine[0].count == 2
    assert not import_text("trades", HEADER).is_all_quarantined


def test_first_and_last_time_are_those_of_kept_rows(import_text: ImportText) -> None:
    times = ["2026-03-01T12:00:05Z", "2026-03-01T12:00:01Z", "2026-03-01T12:00:03Z"]
    bad = line(timestamp="2020-01-01T00:00:00Z", price=0)
    summary = import_text("trades", HEADER + "".join(line(timestamp=time, trade_id=time) for time in times) + bad)
    first = datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)
    assert (summary.first_at, summary.last_at) == (first, first + timedelta(seconds=4))


CELLS = st.sampled_from(["1", "0", "-1", "nan", "", "0.5", "x", "1e308", '"1"', "2026-03-01T12:00:00Z", "2026-03-01"])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELLS, min_size=6, max_size=8), max_size=20), chunk_bytes=st.sampled_from([100, 10**6]))
def test_counts_add_up_for_any_rows(tmp_path: Path, rows: list[list[str]], chunk_bytes: int) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + "".join(",".join(row) + "\n" for row in rows))
    store = MemoryStore()
    summary = import_files(store, "trades", [path], options=ImportOptions(chunk_bytes=chunk_bytes), now=NOW)
    assert summary.rows_read == len(rows)
    assert summary.rows_read == summary.rows_stored + summary.rows_duplicate + summary.rows_quarantined
    assert summary.rows_quarantined == sum(reason.count for reason in summary.quarantine)
    assert summary.rows_quarantined == sum(row["n"] for row in store.rows(QUARANTINE))
    assert len(store.rows(TRADES)) <= summary.rows_stored
    assert all(np.isfinite(row["value"]) for row in store.rows(TRADES))
