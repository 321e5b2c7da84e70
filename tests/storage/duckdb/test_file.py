"""The DuckDB file: who else holds it, what is not there, what is damaged, and that a failed write leaves nothing."""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from tests.storage import market_tables as reference
from tributary_pipelines.core.errors import StorageError, ValidationError
from tributary_pipelines.core.frames import TRADES, Frame
from tributary_pipelines.core.result_frames import VWAP_BARS
from tributary_pipelines.core.settings import Settings, StorageSettings
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.duckdb.connection import DuckDBFile
from tributary_pipelines.storage.open import open_store

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
HOLDER = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(60)"


def trades(n: int) -> object:
    return reference.as_frame(TRADES, [reference.trade("m", k, 0.5, 1.0, "buy", f"t{k}") for k in range(n)])


def n_trades(store: MarketStore) -> int:
    return len(store.reader.trades("m", "m-yes", START, END))


@pytest.fixture
def patient(tmp_path: Path) -> MarketStore:
    """A store that waits half a second for a lock."""
    store = open_store(Settings(folder=tmp_path, storage=StorageSettings(lock_timeout=0.5)))
    store.writer.create_tables()
    return store


@pytest.fixture
def held(tmp_path: Path, patient: MarketStore) -> "subprocess.Popen[str]":
    """Another process that holds the file for writing."""
    assert patient.name.startswith("duckdb")
    path = str(tmp_path / ".tributary" / "market.duckdb")
    process = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_lock_held_elsewhere_is_waited_for_and_its_holder_named(
    patient: MarketStore, held: "subprocess.Popen[str]"
) -> None:
    started = time.monotonic()
    for ask in (lambda: n_trades(patient), lambda: patient.writer.write(TRADES, trades(1))):
        with pytest.raises(StorageError, match=rf"locked by process {held.pid} \(.*python.*\) .*for 0.5 s; wait until"):
            ask()
    assert time.monotonic() - started >= 1.0


def test_a_lock_that_goes_away_in_time_is_no_error(tmp_path: Path, held: "subprocess.Popen[str]") -> None:
    store = open_store(Settings(folder=tmp_path))
    ender = threading.Timer(0.3, held.kill)
    ender.start()
    assert store.writer.write(TRADES, trades(2)) == 2
    ender.join()
    assert n_trades(store) == 2


def test_threads_that_read_and_write_at_once_wait_for_each_other(duckdb_store: MarketStore) -> None:
    failures: list[StorageError] = []

    def work(number: int) -> None:
        try:
            for k in range(3):
                row = reference.trade("m", number * 10 + k, 0.5, 1.0, "buy", f"{number}-{k}")
                duckdb_store.writer.write(TRADES, reference.as_frame(TRADES, [row]))
                n_trades(duckdb_store)
        except StorageError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert n_trades(duckdb_store) == 9


def test_reading_what_does_not_exist_yet_says_what_to_do(tmp_path: Path) -> None:
    store = open_store(Settings(folder=tmp_path))
    with pytest.raises(StorageError, match=r"no market store at .*market.duckdb yet; import market data or run"):
        store.reader.markets()
    assert list(tmp_path.iterdir()) == []


def test_the_first_write_makes_folder_file_and_tables(tmp_path: Path) -> None:
    store = open_store(Settings(folder=tmp_path, storage=StorageSettings(path=Path("a/b/c.duckdb"))))
    assert store.writer.write(TRADES, trades(1)) == 1
    assert (tmp_path / "a" / "b" / "c.duckdb").is_file()
    assert {finding.severity for finding in store.reader.check()} == {"ok"}


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "market.duckdb"
    path.write_bytes(b"no database at all" * 1000)
    store = open_store(Settings(folder=tmp_path, storage=StorageSettings(path=path)))
    with pytest.raises(StorageError, match=r"market.duckdb cannot be opened: .*not a valid DuckDB"):
        store.reader.markets()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = open_store(Settings(folder=tmp_path, storage=StorageSettings(path=Path("file/market.duckdb"))))
    with pytest.raises(StorageError, match=r"folder of the market store .*file/market.duckdb cannot be made"):
        store.writer.create_tables()


def test_a_missing_table_names_the_command(tmp_path: Path, duckdb_store: MarketStore) -> None:
    with duckdb.connect(str(tmp_path / ".tributary" / "market.duckdb")) as connection:
        connection.execute("DROP TABLE trades")
    with pytest.raises(StorageError, match=r"lacks a table or column .*trades.* run 'tributary store init'"):
        n_trades(duckdb_store)
    (finding,) = [f for f in duckdb_store.reader.check() if f.subject == "trades"]
    assert (finding.severity, finding.message) == ("error", "is missing; run 'tributary store init'")
    assert duckdb_store.writer.write(TRADES, trades(1)) == 1


def test_check_finds_other_columns_and_repeated_keys(tmp_path: Path, duckdb_store: MarketStore) -> None:
    duckdb_store.writer.write(TRADES, trades(2))
    with duckdb.connect(str(tmp_path / ".tributary" / "market.duckdb")) as connection:
        connection.execute("INSERT INTO trades SELECT * FROM trades LIMIT 1")
        connection.execute("ALTER TABLE vwap_bars ALTER n_trades TYPE VARCHAR")
    errors = {f.subject: f.message for f in duckdb_store.reader.check() if f.severity == "error"}
    assert errors.keys() == {"trades", "vwap_bars"}
    assert errors["trades"].startswith("1 rows repeat a key")
    assert errors["vwap_bars"].startswith("does not fit: n_trades is VARCHAR; export the data")


def test_a_write_that_fails_in_the_middle_leaves_nothing(
    duckdb_store: MarketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb_store.writer.write(TRADES, trades(2))

    def fail(*_: object) -> None:
        raise duckdb.IOException("disk full")

    monkeypatch.setattr("tributary_pipelines.storage.duckdb.writer._upsert", fail)
    with pytest.raises(StorageError, match=r"disk full"):
        duckdb_store.writer.write(TRADES, trades(5))
    assert n_trades(duckdb_store) == 2


def test_frames_that_the_store_does_not_keep_are_refused(store: MarketStore) -> None:
    unknown = Frame("secrets", "none", ("timestamp",), TRADES.columns)
    with pytest.raises(StorageError, match=r"'secrets' is not a raw table"):
        store.writer.write(unknown, trades(1))
    with pytest.raises(StorageError, match=r"'trades' is not a result table"):
        store.results.read(TRADES, START, END)
    with pytest.raises(StorageError, match=r"'vwap_bars' is not a raw table"):
        list(store.reader.rows(VWAP_BARS, "m", START, END))
    with pytest.raises(ValidationError, match=r"no time zone"):
        store.results.read(VWAP_BARS, START.replace(tzinfo=None), END)


def test_a_reader_leaves_the_file_free_between_batches(duckdb_store: MarketStore) -> None:
    rows = [reference.trade("m", day * 86_400, 0.5, 1.0, "buy", f"t{day}") for day in range(3)]
    duckdb_store.writer.write(TRADES, reference.as_frame(TRADES, rows))
    batches = duckdb_store.reader.rows(TRADES, "m", START, datetime(2026, 4, 1, tzinfo=UTC))
    assert next(batches).num_rows == 1
    assert duckdb_store.writer.write(TRADES, trades(2)) == 1
    assert [batch.num_rows for batch in batches] == [1, 1]


def test_paths_are_resolved_from_the_settings_folder(tmp_path: Path) -> None:
    store = open_store(Settings(folder=tmp_path))
    assert store.name == f"duckdb {tmp_path / '.tributary' / 'market.duckdb'}"
    assert DuckDBFile(tmp_path).lock_timeout_s == 30.0
