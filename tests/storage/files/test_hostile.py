"""More than 10,000 hostile rows and files: each ends stored, quarantined with a reason, or as one clear error.

Every generated cell comes with the verdict it deserves, so that the counts are known beforehand: nothing is lost,
nothing is executed, and what is stored is what the file says.
"""

import csv
import gzip
import io
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fakes import MemoryStore
from tests.storage.files.conftest import NOW
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import MARKETS, ORDERBOOK_SNAPSHOTS, QUARANTINE, TRADES
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import Settings, StorageSettings
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.files import ImportOptions, ImportSummary, import_files
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.questdb.server import ServerInfo

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD_NAMES = [
    "m",
    "'; DROP TABLE trades; --",
    '"; DELETE FROM markets; --',
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "a;b",
    'a"b',
    "a,b",
    "a'b''c",
    "名前市場",
    "🙂🙃",
    "\u202ertl",
    "$(touch owned)",
    "`touch owned`",
    "{{7*7}}",
    "%s%n%x",
    "=1+1|cmd",
    "NULL",
    "nan",
    "None",
    "true",
    "0",
    "-1",
    "<script>alert(1)</script>",
    " spaces ",
    "\\x00",
    "\\",
    "a\u00a0b",
    "İ",
    "x" * 512,
]
BAD_NAMES = ["", "   ", "a\nb", "a\tb", "a\rb", "\x00", "a\x00b", "\x1b[31m", "\x7f", "x" * 513]
GOOD_NUMBERS = ["0.5", "1", "1e-300", "1e150", " 3 ", "+2", "007", "5e-324", "1E2", ".5", "5.", "123456789.123456789"]
BAD_NUMBERS = [
    "",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "Infinity",
    "0",
    "-0",
    "0.0",
    "-1",
    "-1e308",
    "1e309",
    "1e-999",
    "abc",
    "0x10",
    "1_0",
    "1,5",
    "1 2",
    "\u0661",
    "--1",
    "1e",
    "e1",
    ".",
    "1;2",
    "'1'",
    "1\x00",
]
GOOD_TIMES = [
    ("2026-03-01T12:00:00Z", 0),
    ("2026-03-01T14:00:00+02:00", 0),
    ("2026-03-01 12:00:00+00", 0),
    ("2026-03-01T06:30:00-0530", 0),
    ("2026-03-01T12:00:01.000001Z", 1_000_001),
    ("2026-03-01T12:00:01,5Z", None),
    ("2026-02-28T12:00:00.999999999z", -86_399_000_001),
    ("2026-03-02T02:00:00+14:00", 0),
    ("2026-03-01 12:00:00 UTC", 0),
]
BAD_TIMES = [
    "",
    "2026-03-01T12:00:00",
    "2026-03-01",
    "1772366400",
    "-1",
    "1e300",
    "now",
    "2026-13-01T00:00:00Z",
    "NaT",
    "2026-02-30T00:00:00Z",
    "2026-03-01T24:00:00Z",
    "2026-03-01T12:60:00Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
    "2026-03-01T12:00:00+99:00",
    "2026-03-01T12:00:00 Mars/Olympus",
    "\x00",
]
SIDES = ["buy", "SELL", "b", "s", "bid", "ask", "", "?", "'; DROP", "0", "🙂", "x" * 1000]
FORMATS = ["csv", "csv.gz", "ndjson", "parquet"]
N_DAMAGED = {"csv": 60, "csv.gz": 150, "ndjson": 60, "parquet": 300}


def pick(rng: np.random.Generator, values: list[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def write(path: Path, rows: list[dict[str, str]]) -> None:
    if path.name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
        return
    if path.name.endswith("ndjson"):
        text = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = out.getvalue()
    path.write_bytes(gzip.compress(text.encode()) if path.name.endswith("gz") else text.encode())


def check_counts(summary: ImportSummary, store: MemoryStore, n_read: int | None = None) -> None:
    assert n_read in (None, summary.rows_read)
    assert min(summary.rows_stored, summary.rows_duplicate, summary.rows_quarantined) >= 0
    assert summary.rows_read == summary.rows_stored + summary.rows_duplicate + summary.rows_quarantined
    quarantined = store.rows(QUARANTINE)
    assert sum(row["n"] for row in quarantined) == summary.rows_quarantined
    assert sum(found.count for found in summary.quarantine) == summary.rows_quarantined
    for row in quarantined:
        assert row["reason"]
        assert json.loads(row["payload"])
    for row in store.rows(TRADES):
        assert math.isfinite(row["value"])
        assert min(row["price"], row["size"]) > 0


def hostile_trade(rng: np.random.Generator) -> tuple[dict[str, str], tuple[Any, ...] | None]:
    """Return a row and its key if it can be stored, else None."""
    bad = {
        "timestamp": BAD_TIMES,
        "market_id": BAD_NAMES,
        "token_id": BAD_NAMES,
        "price": BAD_NUMBERS,
        "size": BAD_NUMBERS,
    }
    text, offset_us = pick(rng, [time for time in GOOD_TIMES if time[1] is not None])
    row = {
        "timestamp": text,
        "market_id": pick(rng, GOOD_NAMES),
        "token_id": pick(rng, GOOD_NAMES),
        "side": pick(rng, SIDES),
        "trade_id": str(int(rng.integers(10**9))) + pick(rng, GOOD_NAMES)[:100],
        "price": pick(rng, GOOD_NUMBERS),
        "size": pick(rng, GOOD_NUMBERS),
    }
    broken = [name for name in bad if rng.random() < 0.1]
    row |= {name: pick(rng, bad[name]) for name in broken}
    overflows = not broken and not math.isfinite(float(row["price"]) * float(row["size"]))
    key = (NOON + timedelta(microseconds=offset_us), row["market_id"], row["token_id"], row["trade_id"])
    return row, None if broken or overflows else key


@pytest.mark.parametrize("seed", range(24))
def test_hostile_trades_end_where_they_belong(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cases = [hostile_trade(rng) for _ in range(400)]
    cases += [pick(rng, cases) for _ in range(30)]
    cases = [cases[index] for index in rng.permutation(len(cases))]
    path = tmp_path / f"{pick(rng, ['t', 'it;s', '名', '$(touch owned)', '[1]'])}.{FORMATS[seed % 4]}"
    write(path, [row for row, _ in cases])
    store = MemoryStore()
    options = ImportOptions(chunk_bytes=int(rng.choice([5_000, 20_000, 1 << 20])))
    summary = import_files(store, "trades", [path], options=options, now=NOW)
    check_counts(summary, store, n_read=len(cases))
    expected = {key for _, key in cases if key is not None}
    found = {tuple(row[name] for name in TRADES.key) for row in store.rows(TRADES)}
    assert found == expected
    assert summary.rows_quarantined == sum(key is None for _, key in cases)
    assert summary.rows_stored == len(expected)
    assert {(row["market_id"], row["token_id"]) for row in store.rows(MARKETS)} == {key[1:3] for key in expected}
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


LADDERS: list[tuple[str, str, bool]] = [
    ("[0.5, 0.4]", "[1, 2]", True),
    ("[0.4, 0.5]", "[1, 0]", True),
    ("[0, 0.5]", "[0, 1]", True),
    ("[]", "[]", True),
    ("", "", True),
    ('["0.5"]', '["1e3"]', True),
    ("[1e308]", "[1]", True),
    ("[0.5, 0.5]", "[1, 2]", True),
    ("[0.5]", "[]", False),
    ("[-0.5]", "[1]", False),
    ("[0.5]", "[-1]", False),
    ("[NaN]", "[1]", False),
    ("[0.5]", "[Infinity]", False),
    ("[1e999]", "[1]", False),
    ("[0.5, 0.4]", "[1e308, 1e308]", False),
    ("[0.5", "[1]", False),
    ("0.5", "1", False),
    ("null", "null", False),
    ("[[0.5, 1]]", "[1]", False),
    ("{}", "[]", False),
    ("__import__('os').system('touch owned')", "[1]", False),
    ("[0.5]; DROP TABLE trades", "[1]", False),
    ("[" * 2000, "[1]", False),
    ("[0.5,]", "[1]", False),
    ("\x00", "[1]", False),
]


@pytest.mark.parametrize("seed", range(8))
def test_hostile_books_end_where_they_belong(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, verdicts = [], []
    for index in range(250):
        bids, asks = pick(rng, LADDERS), pick(rng, LADDERS)
        name = pick(rng, BAD_NAMES if rng.random() < 0.1 else GOOD_NAMES)
        moment = NOON + timedelta(seconds=index)
        rows.append(
            {
                "timestamp": moment.isoformat(),
                "market_id": name,
                "token_id": "t",
                "bid_prices": bids[0],
                "bid_sizes": bids[1],
                "ask_prices": asks[0],
                "ask_sizes": asks[1],
            }
        )
        verdicts.append(bids[2] and asks[2] and name in GOOD_NAMES)
    path = tmp_path / f"b.{FORMATS[seed % 4]}"
    write(path, rows)
    store = MemoryStore()
    summary = import_files(store, "books", [path], options=ImportOptions(chunk_bytes=10_000), now=NOW)
    check_counts(summary, store, n_read=250)
    kept = {row["timestamp"].to_pydatetime() for row in store.rows(ORDERBOOK_SNAPSHOTS)}
    assert kept == {NOON + timedelta(seconds=index) for index, is_fine in enumerate(verdicts) if is_fine}
    for row in store.rows(ORDERBOOK_SNAPSHOTS):
        assert row["bid_prices"] == sorted(row["bid_prices"], reverse=True)
        assert row["ask_prices"] == sorted(row["ask_prices"])
        assert 0 not in row["bid_sizes"] + row["ask_sizes"]
        assert (row["best_bid"] is None) == (row["bid_prices"] == [])
    assert not (tmp_path / "owned").exists()


ENTRY_VALUES = [
    *GOOD_NAMES,
    *BAD_NAMES,
    *BAD_NUMBERS,
    5,
    -1,
    1e308,
    True,
    None,
    [1],
    {"a": 1},
    "none",
    "bps",
    "2026-03-01T12:00:00Z",
]


@pytest.mark.parametrize("seed", range(4))
def test_hostile_market_entries_are_lawful_or_quarantined(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    entries = []
    for _ in range(250):
        names = [name for name in Market.model_fields if rng.random() < 0.15]
        entry = {name: pick(rng, ENTRY_VALUES) for name in names}
        entries.append({"market_id": pick(rng, GOOD_NAMES), "token_id": pick(rng, GOOD_NAMES), **entry})
    path = tmp_path / "m.json"
    path.write_text(json.dumps(entries))
    store = MemoryStore()
    summary = import_files(store, "markets", [path], options=ImportOptions(), now=NOW)
    check_counts(summary, store, n_read=250)
    assert summary.rows_stored > 20
    for row in store.rows(MARKETS):
        Market.model_validate({name: value for name, value in row.items() if name != "timestamp"})


def good_rows(n: int = 40) -> list[dict[str, str]]:
    return [
        {
            "timestamp": (NOON + timedelta(seconds=index)).isoformat(),
            "market_id": "m",
            "token_id": "t",
            "side": "buy",
            "price": "0.5",
            "size": str(index + 1),
            "trade_id": f"id{index:04d}",
        }
        for index in range(n)
    ]


def import_damaged(path: Path, data: bytes, kind: str = "trades", **options: Any) -> tuple[MemoryStore, str | None]:
    """Import damaged bytes; return the store and the one-line error, if that is how it ended."""
    path.write_bytes(data)
    store, told = MemoryStore(), None
    try:
        summary = import_files(store, kind, [path], options=ImportOptions(chunk_bytes=4_000, **options), now=NOW)
        check_counts(summary, store)
    except ValidationError as error:
        told = str(error)
    assert told is None or (path.name in told and "\n" not in told)
    return store, told


@pytest.mark.parametrize("extension", FORMATS)
def test_files_cut_anywhere_never_leave_half_a_row(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"t.{extension}"
    write(path, good_rows())
    data = path.read_bytes()
    whole, error = import_damaged(path, data)
    originals = whole.rows(TRADES)
    assert (error, len(originals)) == (None, 40)
    rng = np.random.default_rng(7)
    for cut in rng.integers(0, len(data), N_DAMAGED[extension]).tolist():
        store, error = import_damaged(path, data[:cut])
        rows = store.rows(TRADES)
        if extension == "csv" and rows and rows[-1] not in originals:
            # The end of a cut line cannot be told from the end of a file: only its last field can be short.
            last = rows.pop()
            assert last["id_kind"] == "derived" or originals[len(rows)]["trade_id"].startswith(last["trade_id"])
        assert rows == originals[: len(rows)]
        assert error or extension in ("csv", "ndjson")


@pytest.mark.parametrize("extension", FORMATS)
def test_files_with_bytes_flipped_end_in_an_error_or_in_counts_that_add_up(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"t.{extension}"
    write(path, good_rows())
    data = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(11)
    n_errors = 0
    for _ in range(N_DAMAGED[extension]):
        damaged = data.copy()
        where = rng.integers(0, len(data), int(rng.integers(1, 8)))
        damaged[where] = rng.integers(0, 256, len(where))
        _, error = import_damaged(path, damaged.tobytes())
        n_errors += error is not None
    assert extension in ("csv", "ndjson") or n_errors > 30


def test_damaged_documents_and_recordings_end_in_an_error_or_in_counts_that_add_up(tmp_path: Path) -> None:
    markets = "".join(f"- {{market_id: m{n}, token_id: 't', tick_size: 0.0{n + 1}}}\n" for n in range(9)).encode()
    events = np.zeros(200, np.dtype("u8, i8, i8, f8, f8, u8, i8, f8"))
    events.dtype.names = ("ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval")
    events["ev"] = np.where(np.arange(200) % 2, 2, 1) | 1 << 31 | 1 << 29
    events["exch_ts"] = 1_700_000_000_000_000_000 + np.arange(200) * 100_000_000
    events["px"], events["qty"] = 100 + np.arange(200) % 3, 1
    np.savez_compressed(tmp_path / "e.npz", data=events)
    recording = (tmp_path / "e.npz").read_bytes()
    recorded = {"preset": "hftbacktest", "market": "m"}
    rng = np.random.default_rng(3)
    for round_ in range(100):
        for name, data, kind, options in (
            ("m.yaml", markets, "markets", {}),
            ("e.npz", recording, ("trades", "books")[round_ % 2], recorded),
        ):
            damaged = np.frombuffer(data, np.uint8).copy()
            damaged[rng.integers(0, len(data), 3)] = rng.integers(0, 256, 3)
            end = len(data) if round_ % 3 else int(rng.integers(len(data)))
            import_damaged(tmp_path / name, damaged[:end].tobytes(), kind, **options)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["e.npz", "m.yaml"]


def test_noise_is_refused_or_quarantined(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for extension in (*FORMATS, "npz", "txt"):
        for size in (0, 1, 2, 10, 100, 1_000, 5_000):
            noise = rng.integers(0, 256, size).astype(np.uint8).tobytes()
            store, error = import_damaged(tmp_path / f"n.{extension}", noise, market="m", token="t")
            assert store.rows(TRADES) == []
            assert error or extension == "ndjson"


@pytest.fixture(params=["duckdb", pytest.param("questdb", marks=pytest.mark.integration)])
def real_store(request: pytest.FixtureRequest, database: MarketStore) -> Iterator[MarketStore]:
    if request.param == "duckdb":
        yield database
        return
    server: ServerInfo = request.getfixturevalue("questdb_server")
    with open_store(Settings(storage=StorageSettings(**server.storage_settings()))) as store:
        yield store


def n_trades(store: MarketStore) -> int:
    return next(state.n_rows for state in store.reader.table_states() if state.table == TRADES.name)


def test_a_real_database_keeps_hostile_names_as_they_are_and_loses_nothing(
    real_store: MarketStore, tmp_path: Path
) -> None:
    rng = np.random.default_rng(99)
    real_store.writer.create_tables()
    write(tmp_path / "before.csv", good_rows(5))
    import_files(real_store, "trades", [tmp_path / "before.csv"], options=ImportOptions())
    n_before = n_trades(real_store)
    cases = [hostile_trade(rng) for _ in range(600)]
    write(tmp_path / "t.csv", [row for row, _ in cases])
    summary = import_files(real_store, "trades", [tmp_path / "t.csv"], options=ImportOptions())
    expected = {key for _, key in cases if key is not None}
    assert (summary.rows_stored, summary.rows_quarantined) == (len(expected), sum(key is None for _, key in cases))
    start, end = NOON - timedelta(days=2), NOON + timedelta(days=2)
    for name in GOOD_NAMES[1:8]:
        rows = [row for batch in real_store.reader.rows(TRADES, name, start, end) for row in batch.to_pylist()]
        assert {tuple(row[column] for column in TRADES.key) for row in rows} == {k for k in expected if k[1] == name}
    assert n_trades(real_store) == n_before + len(expected)
    known = {(entry.market_id, entry.token_id) for entry in real_store.reader.markets()}
    assert known >= {key[1:3] for key in expected} | {("m", "t")}
    assert {finding.severity for finding in real_store.reader.check()} == {"ok"}
    again = import_files(real_store, "trades", [tmp_path / "t.csv"], options=ImportOptions())
    assert (again.rows_stored, again.rows_duplicate) == (0, len(expected))
    assert n_trades(real_store) == n_before + len(expected)
