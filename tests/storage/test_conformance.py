"""Same question, same answer: every reader, writer and result method on both stores against plain Python.

Each case is written once into each store; the third store is QuestDB read by the read-only user alone, without HTTP.
What was compared is listed at the end of the run (methods by cases).
"""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.storage import market_tables as reference
from tests.storage.market_tables import END, START, Case
from tributary_pipelines.core.errors import StorageError, ValidationError
from tributary_pipelines.core.frames import MARKETS, ORDERBOOK_SNAPSHOTS, QUARANTINE, TRADES, Frame
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, RESULT_FRAMES
from tributary_pipelines.core.settings import Settings, StorageSettings
from tributary_pipelines.storage import schema
from tributary_pipelines.storage.base import Extent, Finding, MarketStore, NearestDays, ResultDay
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.questdb.server import ServerInfo

CASES = {case.name: case for case in reference.all_cases()}
WIDTHS = {"30s": 30, "1m": 60, "5m": 300, "7m": 420, "1h": 3600, "1d": 86_400, "3d": 3 * 86_400}
DAY = timedelta(days=1)
WINDOWS = {
    "all": (START - DAY, END + DAY),
    "one day": (START + DAY, START + 2 * DAY),
    "unaligned": (START + timedelta(seconds=45.5), START + timedelta(days=1, microseconds=1)),
    "an instant": (START + timedelta(seconds=5), START + timedelta(seconds=5, microseconds=1)),
    "nothing": (END + 100 * DAY, END + 101 * DAY),
    "other offset": tuple(t.astimezone(datetime.fromisoformat("2026-01-01T00:00+05:30").tzinfo) for t in (START, END)),
}
Record = Callable[[str, str], None]


@pytest.fixture(scope="module")
def duckdb_filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarketStore]:
    with open_store(Settings(folder=tmp_path_factory.mktemp("conformance"))) as store:
        _fill(store)
        yield store


@pytest.fixture(scope="module")
def questdb_filled(questdb_server: ServerInfo) -> Iterator[MarketStore]:
    with open_store(Settings(storage=StorageSettings(**questdb_server.storage_settings()))) as store:
        store.writer.create_tables()
        _fill(store)
        yield store


@pytest.fixture(scope="module")
def questdb_read_only_filled(questdb_filled: MarketStore, questdb_server: ServerInfo) -> Iterator[MarketStore]:
    assert questdb_filled.reader.markets()
    storage = {**questdb_server.storage_settings(), "http_user": None, "http_password": None}
    with open_store(Settings(storage=StorageSettings(**storage))) as store:
        yield store


def _fill(store: MarketStore) -> None:
    """Write the cases round by round: the first write of every case in one call, then the second, and so on."""
    store.writer.create_tables()
    for frame in (TRADES, ORDERBOOK_SNAPSHOTS):
        writes = [[rows for written, rows in case.writes if written == frame] for case in CASES.values()]
        for turn in zip_longest(*writes, fillvalue=()):
            store.writer.write(frame, reference.as_frame(frame, [row for rows in turn for row in rows]))


@pytest.fixture(
    params=[
        "duckdb",
        pytest.param("questdb", marks=pytest.mark.integration),
        pytest.param("questdb_read_only", marks=pytest.mark.integration),
    ]
)
def filled(request: pytest.FixtureRequest) -> MarketStore:
    store: MarketStore = request.getfixturevalue(f"{request.param}_filled")
    return store


@pytest.fixture(params=CASES.values(), ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_trades(filled: MarketStore, case: Case, compared: Record) -> None:
    compared("trades", case.name)
    for window in WINDOWS.values():
        found = filled.reader.trades(case.market_id, case.token_id, *window)
        wanted = reference.in_window(case.stored(TRADES), *window)
        assert found.times.tolist() == [reference.us(row["timestamp"]) for row in wanted]
        assert found.prices.tolist() == [row["price"] for row in wanted]
        assert found.sizes.tolist() == [row["size"] for row in wanted]
        assert found.signs.tolist() == [reference.sign(row) for row in wanted]
        assert (found.times.dtype, found.prices.dtype, found.signs.dtype) == (np.int64, np.float64, np.int8)


@pytest.mark.parametrize("max_levels", [None, 1, 3, 1000])
def test_order_books(filled: MarketStore, case: Case, max_levels: int | None, compared: Record) -> None:
    compared("order_books", case.name)
    for window in WINDOWS.values() if max_levels is None else (WINDOWS["all"],):
        found = filled.reader.order_books(case.market_id, case.token_id, *window, max_levels)
        wanted = reference.in_window(case.stored(ORDERBOOK_SNAPSHOTS), *window)
        assert found.times.tolist() == [reference.us(row["timestamp"]) for row in wanted]
        deepest = max((len(row[name]) for row in wanted for name in ("bid_prices", "ask_prices")), default=1)
        for name in ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes"):
            ladder = getattr(found, name)
            assert ladder.shape == (len(wanted), max(min(deepest, max_levels or deepest), 1))
            assert ladder.dtype == np.float64
            for k, row in enumerate(wanted):
                assert ladder[k][~np.isnan(ladder[k])].tolist() == row[name][:max_levels]
                assert not np.isnan(ladder[k][: min(len(row[name]), ladder.shape[1])]).any()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("all_tokens", [False, True], ids=["token", "market"])
def test_bars(filled: MarketStore, case: Case, width: str, all_tokens: bool, compared: Record) -> None:
    compared(f"bars {width}", case.name)
    for window in (WINDOWS["unaligned"],) if all_tokens else (WINDOWS["all"], WINDOWS["one day"]):
        found = filled.reader.bars(case.market_id, None if all_tokens else case.token_id, *window, width)
        tokens = [c for c in CASES.values() if c.market_id == case.market_id] if all_tokens else [case]
        trades = [row for token in tokens for row in reference.in_window(token.stored(TRADES), *window)]
        wanted = reference.bars(trades, WIDTHS[width] * 1_000_000)
        assert found.columns.tolist() == wanted.columns.tolist()
        for name in ("timestamp", "market_id", "token_id", "open", "high", "low", "close", "n_trades"):
            assert found[name].tolist() == wanted[name].tolist(), name
        for name in ("vwap", "volume", "notional"):
            np.testing.assert_allclose(found[name], wanted[name].to_numpy(np.float64), rtol=1e-12, atol=0)
        scale = wanted["volume"].to_numpy(np.float64) if len(wanted) else np.empty(0)
        off = found["signed_volume"].to_numpy() - wanted["signed_volume"].to_numpy(np.float64)
        assert (np.abs(off) <= 1e-12 * scale).all()


@pytest.mark.parametrize("frame", [TRADES, ORDERBOOK_SNAPSHOTS], ids=lambda frame: frame.name)
def test_rows(filled: MarketStore, case: Case, frame: Frame, compared: Record) -> None:
    compared(f"rows {frame.name}", case.name)
    for window in WINDOWS.values():
        batches = list(filled.reader.rows(frame, case.market_id, *window))
        assert all(batch.schema.field("timestamp").type == pa.timestamp("us", "UTC") for batch in batches)
        found = [row for batch in batches for row in batch.to_pylist() if row["token_id"] == case.token_id]
        wanted = reference.in_window(case.stored(frame), *window)
        assert [{**row, **_no_nulls(row)} for row in found] == [dict(row) for row in wanted]


def _no_nulls(row: dict[str, Any]) -> dict[str, Any]:
    # A missing side is an empty ladder, in a store that keeps null for it as well.
    return {name: row[name] or [] for name in row if name.endswith(("_prices", "_sizes"))}


def test_fingerprints(filled: MarketStore, case: Case, compared: Record) -> None:
    compared("fingerprints", case.name)
    for window in WINDOWS.values():
        found = filled.reader.fingerprints(case.market_id, case.token_id, *window)
        held = [reference.in_window(case.stored(frame), *window) for frame in (TRADES, ORDERBOOK_SNAPSHOTS)]
        assert [dataclasses.astuple(day) for day in found] == reference.fingerprints(*held)


@pytest.mark.parametrize("window", WINDOWS)
def test_many_tokens_are_answered_as_each_alone(filled: MarketStore, window: str, compared: Record) -> None:
    compared("trades_of, order_books_of, fingerprints_of", window)
    held = [(case.market_id, case.token_id) for case in CASES.values()]
    # A market and a token of it that were not asked for together come along, as do more of them than are named at once.
    unknown = [(held[0][0], held[1][1]), *((f"m{n}", "t") for n in range(101)), ("gaps", "")]
    tokens, span = [*held[:3], *unknown, *held[3:]], WINDOWS[window]
    trades, books = filled.reader.trades_of(tokens, *span), filled.reader.order_books_of(tokens, *span)
    assert list(trades) == list(books) == tokens
    for token in held:
        _assert_same_arrays(trades[token], filled.reader.trades(*token, *span))
        _assert_same_arrays(books[token], filled.reader.order_books(*token, *span))
    assert [len(trades[token]) + len(books[token]) for token in unknown] == [0] * len(unknown)
    alone = {token: filled.reader.fingerprints(*token, *span) for token in held}
    assert filled.reader.fingerprints_of(tokens, *span) == {**{token: [] for token in unknown}, **alone}


def _assert_same_arrays(found: Any, wanted: Any) -> None:
    for field in dataclasses.fields(wanted):
        a, b = getattr(found, field.name), getattr(wanted, field.name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_extent(filled: MarketStore, case: Case, compared: Record) -> None:
    compared("extent", case.name)
    trades, books = (
        [row["timestamp"] for row in case.stored(frame)] or [None] for frame in (TRADES, ORDERBOOK_SNAPSHOTS)
    )
    wanted = Extent(trades[0], trades[-1], books[0], books[-1])
    assert filled.reader.extent(case.market_id, case.token_id) == wanted


def test_markets_with_data_but_no_entry_are_listed_with_nulls(filled: MarketStore, compared: Record) -> None:
    held = [case for case in CASES.values() if case.name != "empty"]
    for case in held:
        compared("markets", case.name)
    found = [(market.market_id, market.token_id) for market in filled.reader.markets()]
    assert sorted(found) == sorted((case.market_id, case.token_id) for case in held)
    assert all(market.tick_size is None and market.slug is None for market in filled.reader.markets())


def test_table_states_and_check(filled: MarketStore, compared: Record) -> None:
    compared("table_states", "all")
    compared("check", "all")
    states = {state.table: state for state in filled.reader.table_states()}
    for frame in (TRADES, ORDERBOOK_SNAPSHOTS):
        held = [row for case in CASES.values() for row in case.stored(frame)]
        assert states[frame.name].n_rows == len(held)
        assert states[frame.name].last_at == max(row["timestamp"] for row in held)
        assert not states[frame.name].is_suspended
    assert (states["markets"].n_rows, states["markets"].last_at) == (0, None)
    findings = filled.reader.check()
    tables = [finding for finding in findings if "port" not in finding.subject]
    assert {finding.severity for finding in tables} == {"ok"}, findings


def test_unknown_tokens_have_nothing(filled: MarketStore) -> None:
    window = (START, END)
    assert len(filled.reader.trades("gaps", "no such token", *window)) == 0
    assert len(filled.reader.order_books("no such market", "gaps-yes", *window)) == 0
    assert filled.reader.bars("no such market", None, *window, "1m").empty
    assert list(filled.reader.rows(TRADES, "no such market", *window)) == []
    assert filled.reader.fingerprints("gaps", "", *window) == []
    assert filled.reader.extent("gaps", "no such token") == Extent(None, None, None, None)


@pytest.mark.parametrize("width", ["", "0m", "1", "m", "10000m", "1M", "1m; DROP TABLE trades", "1m\n", "-1m", "1.5h"])
def test_other_widths_are_refused(filled: MarketStore, width: str) -> None:
    with pytest.raises(ValidationError, match="bar width"):
        filled.reader.bars("gaps", None, START, END, width)


def test_naive_times_are_refused(filled: MarketStore) -> None:
    with pytest.raises(ValidationError, match="no time zone"):
        filled.reader.trades("gaps", "gaps-yes", START.replace(tzinfo=None), END)


def test_writing_everything_again_changes_nothing(duckdb_filled: MarketStore, case: Case, compared: Record) -> None:
    _write_again(duckdb_filled, case, compared)


@pytest.mark.integration
def test_writing_everything_again_changes_nothing_in_questdb(
    questdb_filled: MarketStore, case: Case, compared: Record
) -> None:
    _write_again(questdb_filled, case, compared)


def _write_again(store: MarketStore, case: Case, compared: Record) -> None:
    for frame in (TRADES, ORDERBOOK_SNAPSHOTS):
        compared(f"write {frame.name}", case.name)
        rows = reference.as_frame(frame, case.stored(frame))
        before = list(store.reader.rows(frame, case.market_id, START, END))
        assert store.writer.write(frame, rows) == 0
        assert store.writer.write(frame, rows.iloc[::-1]) == 0
        assert list(store.reader.rows(frame, case.market_id, START, END)) == before


def test_write_counts_what_changes(store: MarketStore, compared: Record) -> None:
    compared("write", "counts")
    first, second, third = (reference.trade("m", k, 0.5, 1.0, "buy", f"t{k}") for k in range(3))
    other = {**first, "price": 0.6}
    count = lambda *rows: store.writer.write(TRADES, reference.as_frame(TRADES, list(rows)))  # noqa: E731
    assert count(first, second) == 2
    assert count(first, second, third) == 1
    assert count(other) == 1
    assert count(other, other, other) == 0
    assert count(first, other) == 2
    assert count({**first, "side": None}) == 1
    assert count({**first, "side": None, "received_at": START}) == 0
    assert count() == 0
    assert store.reader.trades("m", "m-yes", START, END).prices.tolist() == [0.5, 0.5, 0.5]
    assert store.reader.trades("m", "m-yes", START, END).signs.tolist() == [0, 1, 1]


def test_write_takes_any_column_order_zone_and_missing_optional_columns(store: MarketStore) -> None:
    full = reference.as_frame(TRADES, [reference.trade("m", 5, 0.5, 2.0, "buy", "a")])
    few = full[["size", "price", "trade_id", "token_id", "market_id"]].assign(
        timestamp=full["timestamp"].dt.tz_convert("Asia/Kolkata")
    )
    assert store.writer.write(TRADES, few) == 1
    (batch,) = store.reader.rows(TRADES, "m", START, END)
    (row,) = batch.to_pylist()
    assert row["timestamp"] == START + timedelta(seconds=5)
    assert (row["side"], row["value"], row["is_buyer_maker"]) == (None, None, False)
    assert store.writer.write(TRADES, full) == 1


BAD_TRADES = {
    "price is not finite and positive": [{"price": 0.0}, {"price": -1.0}, {"price": np.nan}, {"price": np.inf}],
    "size is not finite and positive": [{"size": 0.0}, {"size": None}, {"size": -np.inf}],
    "'timestamp' is missing": [{"timestamp": None}],
    "'market_id' is missing": [{"market_id": None}, {"market_id": ""}],
    "'trade_id' is missing": [{"trade_id": ""}],
    "must not hold the character NUL": [{"token_id": "a\x00b"}],
    "side is unknown": [{"side": "BUY"}, {"side": "b"}],
    "'price' is no double": [{"price": "much"}],
    "'market_id' is no symbol": [{"market_id": 7}],
}


@pytest.mark.parametrize(
    ("fault", "change"), [(fault, change) for fault, changes in BAD_TRADES.items() for change in changes]
)
def test_bad_trades_are_refused_and_nothing_is_stored(
    store: MarketStore, fault: str, change: dict[str, object]
) -> None:
    good = reference.trade("m", 1, 0.5, 1.0, "buy", "good")
    bad = {**reference.trade("m", 2, 0.5, 1.0, "buy", "bad"), **change}
    with pytest.raises(ValidationError, match=fault):
        store.writer.write(TRADES, reference.as_frame(TRADES, [good, bad]))
    assert len(store.reader.trades("m", "m-yes", START, END)) == 0


def test_naive_missing_and_unknown_columns_are_refused(store: MarketStore) -> None:
    rows = reference.as_frame(TRADES, [reference.trade("m", 1, 0.5, 1.0, "buy", "a")])
    with pytest.raises(ValidationError, match="must be aware"):
        store.writer.write(TRADES, rows.assign(timestamp=rows["timestamp"].dt.tz_localize(None)))
    with pytest.raises(ValidationError, match="'token_id' is missing; column 'trade_id' is missing"):
        store.writer.write(TRADES, rows.drop(columns=["trade_id", "token_id"]))
    with pytest.raises(ValidationError, match="unknown column 'sizes'"):
        store.writer.write(TRADES, rows.assign(sizes=1.0))


@pytest.mark.parametrize(
    ("ladders", "fault"),
    [
        ({"bid_sizes": [0.0]}, "bid_sizes holds levels that are not finite and positive"),
        ({"ask_prices": [np.nan]}, "ask_prices holds levels"),
        ({"ask_prices": [0.6, 0.7]}, "ask_prices and ask_sizes differ in length"),
        ({"bid_prices": None}, "bid_prices and bid_sizes differ in length"),
    ],
)
def test_bad_ladders_are_refused(store: MarketStore, ladders: dict[str, object], fault: str) -> None:
    row = {**reference.book("m", 1, [(0.4, 1.0)], [(0.6, 1.0)]), **ladders}
    with pytest.raises(ValidationError, match=fault):
        store.writer.write(ORDERBOOK_SNAPSHOTS, reference.as_frame(ORDERBOOK_SNAPSHOTS, [row]))


def test_every_change_of_a_day_changes_its_digest_and_nothing_else_does(store: MarketStore) -> None:
    trades = [reference.trade("m", k, 0.5 + k / 100, 2.0 + k, "buy", f"t{k}") for k in range(4)]
    books = [reference.book("m", k, [(0.4, 5.0), (0.3, 6.0), (0.2, 7.0)], [(0.6, 8.0)]) for k in range(4)]
    seen: dict[str, str] = {}

    def digest(**changed: Any) -> str:
        for frame, rows in ((TRADES, trades), (ORDERBOOK_SNAPSHOTS, books)):
            first = {**rows[0], **{n: v for n, v in changed.items() if n in frame.column_names}}
            store.writer.write(frame, reference.as_frame(frame, [first, *rows[1:]]))
        ((day),) = store.reader.fingerprints("m", "m-yes", START, END)
        return day.digest

    plain = digest()
    for name, value in {
        "price": 0.5 + 1e-12, "size": 2.0 + 1e-9, "side": "sell", "bid_prices": [0.4, 0.3 + 1e-12, 0.2],
        "bid_sizes": [4.0, 8.0, 6.0], "ask_prices": [0.6 - 1e-12], "ask_sizes": [8.0 + 1e-9],
    }.items():  # fmt: skip
        seen[name] = digest(**{name: value})
        assert digest() == plain
    assert len({plain, *seen.values()}) == len(seen) + 1
    assert digest(received_at=START, source="file", trade_id="t0") == plain
    swapped = [{**trades[0], "size": trades[1]["size"]}, {**trades[1], "size": trades[0]["size"]}]
    store.writer.write(TRADES, reference.as_frame(TRADES, swapped))
    assert store.reader.fingerprints("m", "m-yes", START, END)[0].digest not in {plain, *seen.values()}


def test_moving_a_row_changes_the_digest(store: MarketStore) -> None:
    digests = set()
    for k, microseconds in enumerate((0, 1, 2147483647, 2147483629, 2 * 2147483647)):
        row = reference.trade("m", 0, 0.5, 1.0, "buy", "t", token_id=f"token {k}")
        row["timestamp"] = START + timedelta(microseconds=microseconds)
        store.writer.write(TRADES, reference.as_frame(TRADES, [row]))
        digests.add(store.reader.fingerprints("m", f"token {k}", START, END)[0].digest)
    assert len(digests) == 5


def _entry(market_id: str, token_id: str, second: float, **known: Any) -> dict[str, Any]:
    return {"timestamp": START + timedelta(seconds=second), "market_id": market_id, "token_id": token_id, **known}


def test_markets_keep_the_order_of_their_first_entry_and_the_newest_values(
    store: MarketStore, compared: Record
) -> None:
    compared("markets", "entries")
    write = lambda *rows: store.writer.write(MARKETS, reference.as_frame(MARKETS, list(rows)))  # noqa: E731
    assert write(_entry("z", "yes", 0, tick_size=0.1), _entry("z", "no", 0, tick_size=0.1)) == 2
    assert write(_entry("a", "yes", 0, tick_size=None)) == 1
    assert write(_entry("z", "yes", 5, tick_size=0.01)) == 1
    assert write(_entry("z", "yes", 50, tick_size=0.01)) == 0
    resolves = datetime(2026, 11, 3, 12, tzinfo=UTC)
    assert write(_entry("a", "yes", 60, fee_model="bps", fee_rate=2.5, resolves_at=resolves, question="Über?")) == 1
    store.writer.write(TRADES, reference.as_frame(TRADES, [reference.trade("late", 1, 0.5, 1.0, None, "t")]))
    found = store.reader.markets()
    assert [(m.market_id, m.token_id) for m in found] == [("z", "yes"), ("z", "no"), ("a", "yes"), ("late", "late-yes")]
    assert [m.tick_size for m in found] == [0.01, 0.1, None, None]
    assert (found[2].resolves_at, found[2].question, found[2].fee_rate) == (resolves, "Über?", 2.5)


def test_an_entry_that_breaks_a_rule_keeps_its_token(store: MarketStore, caplog: pytest.LogCaptureFixture) -> None:
    row = _entry("m", "yes", 0, tick_size=0.0, price_min=1.0, price_max=0.0, fee_model="bps", slug="kept")
    store.writer.write(MARKETS, reference.as_frame(MARKETS, [row]))
    (market,) = store.reader.markets()
    assert (market.slug, market.tick_size, market.price_min, market.fee_model) == ("kept", None, None, None)
    assert "ignoring" in caplog.text


def test_quarantine_is_an_upsert_like_any_other(store: MarketStore, compared: Record) -> None:
    compared("write quarantine", "all")
    row = _entry("m", "", 0, payload_sha256="abc", reason="no price", payload='{"a": 1}', n=3, stream="trades")
    del row["token_id"]
    frame = reference.as_frame(QUARANTINE, [row])
    assert [store.writer.write(QUARANTINE, frame) for _ in range(2)] == [1, 0]
    assert store.writer.write(QUARANTINE, frame.assign(n=4)) == 1


def test_create_tables_twice_creates_once(store: MarketStore, compared: Record) -> None:
    compared("create_tables", "twice")
    assert {finding.message for finding in store.writer.create_tables()} == {"exists"}


def _result_rows(frame: Frame, days: list[ResultDay], n: int, seed: int) -> pd.DataFrame:
    """Return n generated rows a day, with nulls, every kind of value, and keys that do not repeat."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in days:
        for k in range(n):
            row: dict[str, Any] = {c.name: _value(c.kind, c.name, rng) for c in frame.columns}
            start = datetime(day.day.year, day.day.month, day.day.day, tzinfo=UTC)
            row |= {"timestamp": start + timedelta(seconds=0 if n == 1 else 86_399 * k / max(n - 1, 1)),
                    "market_id": day.market_id, "token_id": day.token_id}  # fmt: skip
            if "order_id" in row:
                row["order_id"] = f"order {k}"
            rows.append(row)
    return pd.DataFrame(rows, columns=list(frame.column_names))


def _value(kind: str, name: str, rng: np.random.Generator) -> Any:
    if rng.random() < 0.2 and kind != "boolean":
        return pd.NaT if kind == "timestamp" else np.nan if kind in ("double", "long") else None
    return {
        "timestamp": pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(int(rng.integers(10**12)), "us"),
        "symbol": str(rng.choice(["ok", "it's", 'q"', "ü🎲"])),
        "string": '["a;b", "\\n"]',
        "double": float(rng.normal() * 10.0 ** rng.integers(-12, 12)),
        "long": int(rng.integers(-(2**50), 2**50)),
        "boolean": bool(rng.random() < 0.5),
        "array": np.where(rng.random(int(rng.integers(0, 5))) < 0.2, np.nan, 1.5),
    }[kind]


def _assert_same(found: pd.DataFrame, wanted: pd.DataFrame, frame: Frame) -> None:
    assert found.columns.tolist() == list(frame.column_names)
    assert len(found) == len(wanted)
    wanted = wanted.sort_values(list(frame.key), kind="stable")
    for column in frame.columns:
        pairs = zip(found[column.name], wanted[column.name], strict=True)
        assert all(_is_equal(a, b) for a, b in pairs), (
            column.name,
            found[column.name].tolist(),
            wanted[column.name].tolist(),
        )


def _is_equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=True)
    if not isinstance(b, np.ndarray) and pd.isna(b):
        return not isinstance(a, np.ndarray) and bool(pd.isna(a))
    return bool(a == b)


@pytest.mark.parametrize("frame", RESULT_FRAMES, ids=lambda frame: frame.name)
def test_results_are_replaced_by_day(store: MarketStore, frame: Frame, compared: Record) -> None:
    compared("replace_days", frame.name)
    compared("results.read", frame.name)
    tokens = [("m", "yes"), ("m", "no"), ("it's; DROP TABLE x --", "ü")]
    days = [ResultDay(*token, date(2026, 3, d)) for token in tokens for d in (1, 2, 3)]
    n = 1 if frame.key[-1] == "token_id" and frame.name != "vwap_bars" else 4
    whole = _result_rows(frame, days, n, seed=1)
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)
    read = lambda **named: store.results.read(frame, start, end, **named)  # noqa: E731

    assert read().empty
    store.results.replace_days(frame, days, whole.sample(frac=1, random_state=0))
    _assert_same(read(), whole, frame)
    of_token = (whole["market_id"] == "m") & (whole["token_id"] == "no")
    _assert_same(read(market_id="m", token_id="no"), whole[of_token], frame)
    asked = [*tokens, ("m", "ü"), *((f"m{n}", "t") for n in range(101))]
    of_each = store.results.read_of(frame, asked, start, end)
    assert list(of_each) == asked
    for token, own in of_each.items():
        pd.testing.assert_frame_equal(own, read(market_id=token[0], token_id=token[1]))
    late = whole["timestamp"] >= pd.Timestamp("2026-03-02 12:00", tz="UTC")
    _assert_same(store.results.read(frame, datetime(2026, 3, 2, 12, tzinfo=UTC), end), whole[late], frame)

    fewer = _result_rows(frame, days[1:2], max(n - 2, 1), seed=2)
    store.results.replace_days(frame, days[1:2], fewer)
    others = whole[~_in_days(whole, days[1:2])]
    _assert_same(read(), pd.concat([others, fewer]), frame)

    store.results.replace_days(frame, days[:2], whole.iloc[:0])
    _assert_same(read(), whole[~_in_days(whole, days[:2])], frame)
    store.results.replace_days(frame, days[:2], whole[_in_days(whole, days[:2])])
    _assert_same(read(), whole, frame)
    store.results.replace_days(frame, [], whole.iloc[:0])
    _assert_same(read(), whole, frame)


#: One column of every kind that a later version has added; whole numbers and times are not among them.
LATER = ("horizon_s", "pool_markets", "cost_buy", "gamma_source")


@pytest.fixture(params=["duckdb", pytest.param("questdb", marks=pytest.mark.integration)])
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> MarketStore:
    """Each store with a parameter table that an earlier version made and wrote one row into."""
    opened: MarketStore = request.getfixturevalue(f"{request.param}_store")
    is_server = request.param == "questdb"
    run = request.getfixturevalue("questdb_run") if is_server else _duckdb_run(tmp_path)
    settings = request.getfixturevalue("questdb_settings") if is_server else Settings(folder=tmp_path)
    frame = ALMGREN_CHRISS_PARAMETERS
    old = dataclasses.replace(frame, columns=tuple(c for c in frame.columns if c.name not in LATER))
    # A store of its own: an earlier version ran in another process.
    with pytest.MonkeyPatch.context() as patch, open_store(settings) as before:
        patch.setattr(schema, "RESULT_FRAMES", tuple(old if one == frame else one for one in RESULT_FRAMES))
        run(f"DROP TABLE {frame.name}")
        run(dict(schema.questdb_tables() if is_server else schema.duckdb_tables())[frame.name])
        before.results.replace_days(old, [EARLY], _earlier_row())
    return opened


def _duckdb_run(folder: Path) -> Callable[[str], object]:
    def run(statement: str) -> None:
        with duckdb.connect(str(folder / ".tributary" / "market.duckdb")) as connection:
            connection.execute(statement)

    return run


EARLY, LATE = (ResultDay("m", "yes", date(2026, 3, day)) for day in (1, 2))


def _earlier_row() -> pd.DataFrame:
    rows = _result_rows(ALMGREN_CHRISS_PARAMETERS, [EARLY], 1, seed=5)
    return rows.drop(columns=list(LATER)).assign(window_start=rows["timestamp"], status="ok")


def _later_row() -> pd.DataFrame:
    rows = _result_rows(ALMGREN_CHRISS_PARAMETERS, [LATE], 1, seed=6)
    return rows.assign(horizon_s=60.0, pool_markets='["a"]', cost_buy=[np.array([0.5, 1.5])], gamma_source="own")


def _read_parameters(store: MarketStore) -> pd.DataFrame:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    return store.results.read(ALMGREN_CHRISS_PARAMETERS, start, start + 2 * DAY)


def _with_nulls(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.reindex(columns=list(ALMGREN_CHRISS_PARAMETERS.column_names)).astype(dict.fromkeys(LATER, object))


def _finding(findings: list[Finding]) -> Finding:
    (found,) = [finding for finding in findings if finding.subject == ALMGREN_CHRISS_PARAMETERS.name]
    return found


@pytest.mark.parametrize("initialise", [True, False], ids=["initialised", "only written"])
def test_a_table_of_an_earlier_version(earlier: MarketStore, initialise: bool, compared: Record) -> None:
    compared("table of an earlier version", "initialised" if initialise else "only written")
    frame = ALMGREN_CHRISS_PARAMETERS
    old, new = _with_nulls(_earlier_row()), _later_row()
    _assert_same(_read_parameters(earlier), old, frame)
    assert earlier.results.nearest_days(frame, "m", "yes", LATE.day) == NearestDays(EARLY.day, None)
    lacking = _finding(earlier.reader.check())
    assert (lacking.severity, sorted(set(LATER) - set(lacking.message.replace(",", "").split()))) == ("warning", [])
    assert "'tributary store init' adds them" in lacking.message
    if initialise:
        said = _finding(earlier.writer.create_tables())
        in_order = [name for name in frame.column_names if name in LATER]
        assert (said.severity, said.message) == ("ok", f"added {', '.join(in_order)}")
        assert _finding(earlier.writer.create_tables()).message == "exists"
        _assert_same(_read_parameters(earlier), old, frame)
    earlier.results.replace_days(frame, [LATE], new)
    _assert_same(_read_parameters(earlier), pd.concat([old, _with_nulls(new)]), frame)
    # Also by the types that the columns got.
    assert _finding(earlier.reader.check()).severity == "ok"
    earlier.results.replace_days(frame, [EARLY, LATE], pd.concat([new.assign(timestamp=old["timestamp"]), new]))
    assert _read_parameters(earlier)["horizon_s"].tolist() == [60.0, 60.0]


def test_a_raw_table_of_another_shape_stays_as_it_is(
    store: MarketStore, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    is_server = store.name.startswith("questdb")
    run = request.getfixturevalue("questdb_run") if is_server else _duckdb_run(tmp_path)
    run("ALTER TABLE trades DROP COLUMN side_source")
    assert {finding.message for finding in store.writer.create_tables()} == {"exists"}
    said = " ".join(finding.message for finding in store.reader.check() if finding.subject == "trades")
    assert "side_source is" in said


def _in_days(rows: pd.DataFrame, days: list[ResultDay]) -> "pd.Series[bool]":
    keys = {(d.market_id, d.token_id, d.day) for d in days}
    held = zip(rows["market_id"], rows["token_id"], rows["timestamp"].dt.date, strict=True)
    return pd.Series([key in keys for key in held], index=rows.index)


@pytest.mark.parametrize("frame", RESULT_FRAMES, ids=lambda frame: frame.name)
def test_nearest_days(store: MarketStore, frame: Frame, compared: Record) -> None:
    compared("nearest_days", frame.name)
    token, hostile = ("m", "yes"), ("it's; DROP TABLE x --", "ü")
    held = {date(2025, 12, 31), date(2026, 3, 1), date(2026, 3, 3), date(2026, 4, 1)}
    days = [ResultDay(*token, day) for day in sorted(held)]
    others = [ResultDay(*other, date(2026, 3, 2)) for other in (("m", "no"), ("n", "yes"), hostile)]
    n = 1 if frame.key[-1] == "token_id" and frame.name != "vwap_bars" else 4
    rows = _result_rows(frame, [*days, *others], n, seed=4)

    def assert_nearest(wanted: set[date]) -> None:
        around = [start + shift * DAY for start in held for shift in (-1, 0, 1)]
        for asked in (date.min, *around, date.max):
            before = max((day for day in wanted if day < asked), default=None)
            after = min((day for day in wanted if day >= asked), default=None)
            assert store.results.nearest_days(frame, *token, asked) == NearestDays(before, after)

    assert_nearest(set())
    store.results.replace_days(frame, [*days, *others], rows)
    assert_nearest(held)
    for _ in range(2):
        # Emptied days count no more, and again once they are filled anew.
        store.results.replace_days(frame, days[1:3], rows.iloc[:0])
        assert_nearest({days[0].day, days[3].day})
        store.results.replace_days(frame, days[1:3], rows[_in_days(rows, days[1:3])])
        assert_nearest(held)
    found = store.results.nearest_days(frame, *hostile, date(2026, 3, 2))
    assert found == NearestDays(None, date(2026, 3, 2))
    store.results.replace_days(frame, days, rows.iloc[:0])
    assert_nearest(set())


def test_only_result_tables_have_nearest_days(store: MarketStore) -> None:
    with pytest.raises(StorageError, match="'trades' is not a result table"):
        store.results.nearest_days(TRADES, "m", "yes", date(2026, 3, 2))


def test_rows_outside_the_days_and_repeated_keys_are_refused(store: MarketStore) -> None:
    frame = RESULT_FRAMES[0]
    day = ResultDay("m", "yes", date(2026, 3, 1))
    rows = _result_rows(frame, [day], 2, seed=3)
    with pytest.raises(ValidationError, match="day 2026-03-01 are not among the days being replaced"):
        store.results.replace_days(frame, [ResultDay("m", "yes", date(2026, 3, 2))], rows)
    with pytest.raises(ValidationError, match="two rows share the key"):
        store.results.replace_days(frame, [day], pd.concat([rows, rows]))
    assert store.results.read(frame, START, END).empty
