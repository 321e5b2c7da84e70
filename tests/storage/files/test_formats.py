"""Files as files: what can be opened, what is said when not, and that damage never leaves half a row."""

import csv
import gzip
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
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
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import QUARANTINE, TRADES
from tributary_pipelines.storage.files import ImportOptions, ImportSummary, import_files
from tributary_pipelines.storage.files.text_files import open_csv

HEADER = "timestamp,market_id,token_id,side,trade_id,price,size\n"
MOMENT = datetime(2026, 3, 1, tzinfo=UTC)


def lines(n: int, first: int = 0) -> str:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    times = [(start + timedelta(seconds=index)).isoformat() for index in range(first, first + n)]
    return "".join(f"{time},m,t,buy,{first + index},0.5,{index + 1}\n" for index, time in enumerate(times))


def run(store: MemoryStore, *paths: Path, kind: str = "trades", **options: Any) -> ImportSummary:
    return import_files(store, kind, list(paths), options=ImportOptions(**options), now=NOW)


def prices(store: MemoryStore) -> list[float]:
    return [row["price"] for row in store.rows(TRADES)]


def table(n: int = 3, **changes: pa.Array) -> pa.Table:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    columns = {
        "timestamp": pa.array([start + timedelta(seconds=index) for index in range(n)], pa.timestamp("us", "UTC")),
        "market_id": pa.array(["m"] * n),
        "token_id": pa.array(["t"] * n),
        "side": pa.array(["buy"] * n),
        "trade_id": pa.array([str(index) for index in range(n)]),
        "price": pa.array([0.5] * n),
        "size": pa.array([1.0] * n),
    }
    return pa.table({**columns, **changes})


# --- formats ---


@pytest.mark.parametrize(
    "name", ["t.csv", "t.CSV", "t.csv.gz", "t.ndjson", "t.jsonl", "t.ndjson.gz", "t.parquet", "t.pq"]
)
def test_every_format_gives_the_same_rows(store: MemoryStore, tmp_path: Path, name: str) -> None:
    rows = list(csv.DictReader(io.StringIO(HEADER + lines(5))))
    text = HEADER + lines(5) if "csv" in name.lower() else "".join(json.dumps(row) + "\n" for row in rows)
    path = tmp_path / name
    if name.endswith(("parquet", "pq")):
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    expected = MemoryStore()
    (tmp_path / "expected.csv").write_text(HEADER + lines(5))
    run(expected, tmp_path / "expected.csv")
    assert run(store, path).rows_stored == 5
    assert store.rows(TRADES) == expected.rows(TRADES)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + lines(3),
        (HEADER + lines(3)).replace("\n", "\r\n"),
        (HEADER + lines(3)).rstrip("\n"),
        HEADER + lines(1) + "\n\n" + lines(2, first=1),
        HEADER.replace(",", " , ") + lines(3),
        "".join(",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in (HEADER + lines(3)).splitlines()),
        HEADER.replace("size", "size,fee,note") + lines(3).replace("\n", ",0,x\n"),
    ],
    ids=["byte order mark", "CRLF", "no last newline", "blank lines", "spaces", "all quoted", "more columns"],
)
@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
def test_csv_as_people_write_it(import_text: ImportText, text: str, chunk_bytes: int) -> None:
    summary = import_text("trades", text, chunk_bytes=chunk_bytes)
    assert (summary.rows_read, summary.rows_stored) == (3, 3)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("1,2,3\n", "its number of fields is not the header's"),
        ("1,2,3,4,5,6,7,8\n", "its number of fields is not the header's"),
        (b"2026-03-01T00:00:00Z,\xff,t,buy,9,0.5,1\n", "not UTF-8 text"),
        ('2026-03-01T00:00:00Z,"m\nm",t,buy,9,0.5,1\n', "market_id holds control characters"),
        ("2026-03-01T00:00:00Z,m\0m,t,buy,9,0.5,1\n", "market_id holds control characters"),
        ('"' + "x" * 200_000 + '"\n', "field larger than field limit"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
def test_a_line_that_is_no_row_is_quarantined_and_the_next_one_read(
    store: MemoryStore, import_text: ImportText, bad: str | bytes, reason: str, chunk_bytes: int
) -> None:
    raw = bad if isinstance(bad, bytes) else bad.encode()
    text = (HEADER + lines(2)).encode() + raw + lines(2, first=2).encode()
    summary = import_text("trades", text, chunk_bytes=chunk_bytes)
    assert (summary.rows_stored, summary.rows_quarantined) == (4, 1)
    assert reason in summary.quarantine[0].reason
    assert summary.quarantine[0].first_row.endswith("file.csv line 4")
    assert len(store.rows(QUARANTINE)[0]["payload"]) > 5


@pytest.mark.parametrize("chunk_bytes", [1, 150, 1 << 20])
def test_an_open_quote_swallows_what_follows_into_one_quarantined_row(
    store: MemoryStore, import_text: ImportText, chunk_bytes: int
) -> None:
    damaged = '2026-03-01T00:00:09Z,m,t,buy,9,0.5,"1'
    for tail in ("\n" + lines(3, first=3), "", "\n"):
        summary = import_text("trades", HEADER + lines(3) + damaged + tail, chunk_bytes=chunk_bytes)
        assert (summary.rows_read, summary.rows_quarantined) == (4, 1)
    payloads = [row["payload"] for row in store.rows(QUARANTINE)]
    assert any("5,0.5,3" in payload for payload in payloads)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet='a1,"\n\r ', max_size=60), chunk_bytes=st.integers(1, 20))
def test_where_blocks_are_cut_never_changes_what_is_read(tmp_path: Path, text: str, chunk_bytes: int) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + text.encode())

    def read(size: int) -> list[tuple[int, Any]]:
        found: list[tuple[int, Any]] = []
        for chunk in open_csv(path, lambda _: None).read(size):
            found += [(at, chunk.payload(index)) for index, at in enumerate(chunk.positions.tolist())]
            found += [(row.position, row.text) for row in chunk.broken]
        return sorted(found, key=lambda entry: entry[0])

    assert read(chunk_bytes) == read(1 << 20)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("7", "not a JSON object"),
        ('{"market_id": "\\ud800"}', "not UTF-8 text"),
        ("[" * 100_000, "not JSON"),
        ('{"price": ' + "9" * 5000 + "}", "not JSON"),
        (b"\xff\xfe", "not UTF-8 text"),
        ("{}", "timestamp is missing"),
        ('{"timestamp": NaN}', "timestamp is not ISO-8601"),
    ],
)
def test_ndjson_lines_that_are_no_row_are_quarantined(import_text: ImportText, bad: str | bytes, reason: str) -> None:
    good = '{"timestamp":"2026-03-01T00:00:00Z","market_id":"m","token_id":"t","side":"b","price":0.5,"size":"1"}\n'
    raw = bad if isinstance(bad, bytes) else bad.encode()
    summary = import_text("trades", good.encode() + b"\n" + raw + b"\n", "t.ndjson")
    assert (summary.rows_stored, summary.rows_quarantined) == (1, 1)
    assert reason in summary.quarantine[0].reason
    assert summary.quarantine[0].first_row.endswith("line 3")


def test_ndjson_values_of_mixed_kinds_are_each_understood(store: MemoryStore, import_text: ImportText) -> None:
    row = {"timestamp": 1772366400, "market_id": "m", "token_id": "t", "side": "b"}
    cells = [(0.5, 1), ("0.25", "2"), (1, True), (None, 1), ([1], 1), (2**70, 1), (float("inf"), 1)]
    text = "".join(json.dumps(row | {"price": price, "size": size}) + "\n" for price, size in cells)
    summary = import_text("trades", text, "t.ndjson", time_unit="s")
    assert (summary.rows_stored, summary.rows_quarantined) == (3, 4)
    assert prices(store) == [0.5, 0.25, float(2**70)]


def test_ndjson_keys_nobody_asked_for_cost_nothing(import_text: ImportText) -> None:
    rows = [{"timestamp": "2026-03-01T00:00:00Z", "market_id": "m", "price": 1, f"k{n}": n} for n in range(5_000)]
    summary = import_text("trades", "".join(json.dumps(row) + "\n" for row in rows), "t.ndjson")
    assert summary.rows_quarantined == 5_000


@pytest.mark.parametrize(
    "changes",
    [
        {"price": pa.array([Decimal("0.5")] * 3)},
        {"price": pa.array([0.5] * 3, pa.float32())},
        {"price": pa.array(["0.5"] * 3, pa.large_string()).dictionary_encode()},
        {"side": pa.array(["b", "B", "Bid"]).dictionary_encode()},
        {"market_id": pa.array([b"m"] * 3)},
        {"market_id": pa.array(["m"] * 3, pa.string_view())},
        {"trade_id": pa.array([0, 1, 2])},
        {"timestamp": pa.array([1772323200 + n for n in range(3)], pa.uint32())},
        {"timestamp": pa.array([MOMENT + timedelta(seconds=n) for n in range(3)], pa.timestamp("ns", "+02:00"))},
        {"timestamp": pa.array([f"2026-03-01T00:00:0{n}Z" for n in range(3)])},
        {"extra": pa.array([{"a": [1]}] * 3)},
    ],
    ids=lambda changes: next(iter(changes)) + " " + str(next(iter(changes.values())).type)[:20],
)
def test_parquet_columns_of_many_types(store: MemoryStore, tmp_path: Path, changes: dict[str, pa.Array]) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(table(**changes), path)
    assert run(store, path, time_unit="s").rows_stored == 3
    expected = MemoryStore()
    pq.write_table(table(), path)
    run(expected, path)
    assert store.rows(TRADES) == expected.rows(TRADES)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timestamp": pa.array([0] * 3, pa.timestamp("us"))}, "no offset"),
        ({"timestamp": pa.array([date(2026, 3, 1)] * 3)}, "no offset"),
        ({"timestamp": pa.array([2**62] * 3, pa.timestamp("us", "UTC"))}, "outside 1970"),
        ({"timestamp": pa.array([True] * 3)}, "not a time"),
        ({"timestamp": pa.nulls(3)}, "timestamp is missing"),
        ({"price": pa.array([True] * 3)}, "price is not a finite number"),
        ({"price": pa.array([{"a": 1}] * 3)}, "price is not a finite number"),
        ({"market_id": pa.array([["m"]] * 3)}, "market_id is missing"),
        ({"market_id": pa.array([b"\xff"] * 2 + [None])}, "market_id is missing"),
    ],
)
def test_parquet_columns_that_hold_no_such_thing_are_quarantined(
    store: MemoryStore, tmp_path: Path, changes: dict[str, pa.Array], reason: str
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(table(**changes), path)
    summary = run(store, path)
    assert reason in [found.reason for found in summary.quarantine][-1]
    assert summary.rows_read == 3 == summary.rows_stored + summary.rows_quarantined
    assert sum(row["n"] for row in store.rows(QUARANTINE)) == summary.rows_quarantined
    assert all(json.loads(row["payload"]) for row in store.rows(QUARANTINE))


# --- files that cannot be used ---


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"\n", "is empty"),
        ("t.csv", b"time\rprice\n1,2\n", "the first line cannot be read as CSV: new-line character"),
        (
            "t.csv",
            b"timestamp,price\n",
            "column market_id, token_id, side, size is missing; the file has timestamp, price",
        ),
        ("t.csv", HEADER.replace("side", "price").encode(), "column price is there twice"),
        ("t.csv.gz", HEADER.encode(), "cannot be opened"),
        ("t.csv.gz", gzip.compress(HEADER.encode())[:8], "cannot be opened"),
        ("t.parquet", b"PAR1 this is not parquet PAR1", "cannot be opened"),
        ("t.parquet", b"", "cannot be opened"),
        ("t.txt", b"x", "unknown format"),
        ("t.yaml", b"[]", "unknown format"),
        ("t.npz", b"", "unknown format"),
        ("gone.csv", None, "cannot be opened"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_error_and_nothing_is_written(
    store: MemoryStore, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    (tmp_path / "good.csv").write_text(HEADER + lines(3))
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValidationError) as error:
        run(store, tmp_path / "good.csv", tmp_path / name)
    assert said in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert store.rows(TRADES) == []


def test_a_missing_id_column_says_which_option_gives_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("timestamp,side,price,size\n")
    with pytest.raises(ValidationError, match="--map theirs=market_id, or give --market and --token"):
        run(MemoryStore(), tmp_path / "t.csv")
    (tmp_path / "p.parquet").write_bytes(b"")
    twice = pa.table([pa.array([1]), pa.array([2])], names=["price", "price"])
    pq.write_table(twice, tmp_path / "p.parquet")
    with pytest.raises(ValidationError, match=r"p\.parquet: column price is there twice"):
        run(MemoryStore(), tmp_path / "p.parquet")
    wide = "\n".join([",".join(f"column{n}" for n in range(50))])
    (tmp_path / "t.csv").write_text(wide)
    with pytest.raises(ValidationError, match="column19 and 30 more"):
        run(MemoryStore(), tmp_path / "t.csv")


def test_folders_patterns_and_repeated_names(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        (tmp_path / f"day{n}.csv").write_text(HEADER + lines(2, first=2 * n))
    (tmp_path / "odd[1].csv").write_text(HEADER + lines(1, first=6))
    with pytest.raises(ValidationError, match="is a folder; name its files"):
        run(store, tmp_path)
    with pytest.raises(ValidationError, match=r"no file matches .*night\*"):
        run(store, tmp_path / "night*.csv")
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / "day*.csv", Path("day1.csv"), Path("odd[1].csv")]
    assert run(store, *paths).rows_read == 7


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"px": "prize"}, "--map px=prize: trades have no column 'prize'; did you mean 'price'?"),
        ({"price": "px"}, "theirs comes first: did you mean px=price?"),
        ({"px": "zzz"}, "they have timestamp, market_id"),
        ({"px": "price", "p": "price"}, "gives column 'price' twice"),
        ({"nothing": "price"}, "has no column 'nothing'; it has timestamp"),
    ],
)
def test_a_map_that_means_nothing_is_an_error(tmp_path: Path, mapping: dict[str, str], said: str) -> None:
    (tmp_path / "t.csv").write_text(HEADER)
    with pytest.raises(ValidationError) as error:
        run(MemoryStore(), tmp_path / "t.csv", mapping=mapping)
    assert said in str(error.value)


def test_options_and_kinds_that_do_not_exist_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEADER)
    with pytest.raises(ValidationError, match="time unit 'h' is not known; there are s, ms, us, ns"):
        run(MemoryStore(), path, time_unit="h")
    with pytest.raises(ValidationError, match="preset 'tardys' is not known; did you mean 'tardis'"):
        run(MemoryStore(), path, preset="tardys")
    with pytest.raises(ValidationError, match="there are tributary, binance, tardis, hftbacktest"):
        run(MemoryStore(), path, preset="")
    with pytest.raises(ValidationError, match="preset 'binance' reads trades, not books"):
        run(MemoryStore(), path, kind="books", preset="binance")
    with pytest.raises(ValidationError, match="'candles' cannot be imported; there are trades, books, markets"):
        run(MemoryStore(), path, kind="candles")


def test_a_mapped_column_wins_over_one_of_the_same_name(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("px," + HEADER + "9," + lines(1))
    run(store, tmp_path / "t.csv", mapping={"px": "price"})
    assert prices(store) == [9.0]


# --- damage ---


def test_a_cut_gzip_keeps_the_whole_rows_before_the_cut(tmp_path: Path) -> None:
    text = HEADER + "".join(lines(1, first=n) for n in range(3_000))
    packed = gzip.compress(text.encode())
    path = tmp_path / "t.csv.gz"
    for share in (0.3, 0.6, 0.999):
        store = MemoryStore()
        path.write_bytes(packed[: int(len(packed) * share)])
        with pytest.raises(ValidationError, match=r"t\.csv\.gz is damaged after line (\d+)") as error:
            run(store, path, chunk_bytes=10_000)
        n_lines = int(str(error.value).split("after line ")[1].split(":")[0])
        kept = store.rows(TRADES)
        assert len(kept) == n_lines - 1
        whole = MemoryStore()
        path.write_bytes(packed)
        run(whole, path)
        assert kept == whole.rows(TRADES)[: len(kept)]


def test_a_cut_ndjson_gzip_and_a_corrupt_one_do_the_same(tmp_path: Path) -> None:
    row = '{"timestamp":"2026-03-01T00:00:00Z","market_id":"m","token_id":"t","side":"b","price":0.5,"size":%d}\n'
    packed = bytearray(gzip.compress("".join(row % (n + 1) for n in range(5_000)).encode()))
    path = tmp_path / "t.ndjson.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValidationError, match="damaged after line"):
        run(MemoryStore(), path)
    packed[-6] ^= 0xFF
    path.write_bytes(packed)
    with pytest.raises(ValidationError, match="damaged after line"):
        run(MemoryStore(), path)


def test_a_corrupt_parquet_page_is_told(store: MemoryStore, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    big = table(20_000, price=pa.array(np.random.default_rng(1).random(20_000) + 0.1))
    pq.write_table(big, path, row_group_size=5_000, write_page_checksum=True, compression="zstd")
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4 : len(data) * 3 // 4 + 200] = b"\xab" * 200
    path.write_bytes(data)
    with pytest.raises(ValidationError, match=r"t\.parquet is damaged after row (\d+)"):
        run(store, path, chunk_bytes=50_000)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValidationError, match="cannot be opened"):
        run(store, path)


# --- progress and memory ---


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_progress_rises_to_one(tmp_path: Path, name: str) -> None:
    paths = []
    for part in range(2):
        path = tmp_path / f"{part}{name}"
        text = (HEADER + lines(400, first=400 * part)).encode()
        if name.endswith("parquet"):
            pq.write_table(table(400), path)
        else:
            path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
        paths.append(path)
    seen: list[tuple[int, float]] = []
    options = ImportOptions(chunk_bytes=2_000)
    import_files(MemoryStore(), "trades", paths, options=options, now=NOW, progress=lambda *done: seen.append(done))
    assert [fraction for _, fraction in seen] == sorted(fraction for _, fraction in seen)
    assert seen[-1] == (800, pytest.approx(1.0))
    assert len(seen) > 4


def test_chunks_bound_what_is_held_at_once(tmp_path: Path) -> None:
    class Largest(MemoryStore):
        most = 0

        def write(self, frame: Any, rows: pd.DataFrame) -> int:
            self.most = max(self.most, len(rows))
            return super().write(frame, rows)

    (tmp_path / "t.csv").write_text(HEADER + lines(2_000))
    pq.write_table(table(2_000), tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        store = Largest()
        assert run(store, tmp_path / name, chunk_bytes=10_000).rows_read == 2_000
        assert 10 < store.most < 1_000
