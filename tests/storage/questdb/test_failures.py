"""What goes wrong with a server is said in one line: what, where and what to do, and never a password."""

import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pandas as pd
import pytest

from tests.storage import market_tables as reference
from tests.stores import Run
from tributary_pipelines.core.errors import StorageError
from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES
from tributary_pipelines.core.result_frames import VWAP_BARS
from tributary_pipelines.core.settings import Settings, StorageSettings
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.questdb.connection import QuestDBConnection
from tributary_pipelines.storage.questdb.server import ServerInfo
from tributary_pipelines.storage.questdb.wal import wait_applied

SECRET = "a-wrong-password-Zq9"
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
QUESTIONS: dict[str, Callable[[MarketStore], object]] = {
    "markets": lambda store: store.reader.markets(),
    "trades": lambda store: store.reader.trades("m", "t", START, END),
    "order_books": lambda store: store.reader.order_books("m", "t", START, END),
    "bars": lambda store: store.reader.bars("m", None, START, END, "1m"),
    "rows": lambda store: list(store.reader.rows(TRADES, "m", START, END)),
    "fingerprints": lambda store: store.reader.fingerprints("m", "t", START, END),
    "extent": lambda store: store.reader.extent("m", "t"),
    "table_states": lambda store: store.reader.table_states(),
    "write": lambda store: store.writer.write(TRADES, one_trade()),
    "read": lambda store: store.results.read(VWAP_BARS, START, END),
}


def one_trade() -> pd.DataFrame:
    return reference.as_frame(TRADES, [reference.trade("m", 1, 0.5, 1.0, "buy", "t")])


def opened(**storage: object) -> MarketStore:
    return open_store(Settings(storage=StorageSettings.model_validate({"kind": "questdb", **storage})))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=QUESTIONS)
def ask(request: pytest.FixtureRequest) -> Callable[[MarketStore], object]:
    return QUESTIONS[request.param]


def test_an_unreachable_server_is_named(ask: Callable[[MarketStore], object]) -> None:
    port = free_port()
    with (
        opened(user="reader", password=SECRET, pg_port=port, connect_timeout=2) as store,
        pytest.raises(StorageError, match=rf"127.0.0.1:{port} cannot be reached.*'tributary questdb start'") as caught,
    ):
        ask(store)
    assert SECRET not in str(caught.value)


@pytest.mark.integration
def test_a_wrong_password_is_said_at_once_and_not_repeated(
    questdb_server: ServerInfo, ask: Callable[[MarketStore], object]
) -> None:
    with (
        opened(**{**questdb_server.storage_settings(), "password": SECRET}) as store,
        pytest.raises(StorageError, match=r"refuses user 'reader' or its password; check storage.user") as caught,
    ):
        ask(store)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert all(SECRET not in f"{error} {error!r}" for error in chain)


@pytest.mark.integration
def test_wrong_http_credentials_are_a_401(questdb_server: ServerInfo, questdb_store: MarketStore) -> None:
    assert questdb_store.reader.markets() == []
    storage = {**questdb_server.storage_settings(), "http_password": SECRET}
    with opened(**storage) as store:
        for ask in (QUESTIONS["trades"], QUESTIONS["write"], lambda s: s.writer.write(TRADES, one_trade())):
            with pytest.raises(StorageError, match=r"credentials \(401\); check storage.http_user") as caught:
                ask(store)
            assert SECRET not in str(caught.value)
        assert [f.severity for f in store.reader.check() if f.subject == "http port"] == ["error"]


@pytest.mark.integration
def test_a_server_that_wants_http_credentials_is_not_written_without(
    questdb_server: ServerInfo, questdb_store: MarketStore, questdb_run: Run
) -> None:
    storage = {**questdb_server.storage_settings(), "http_user": None, "http_password": None}
    with opened(**storage) as store:
        with pytest.raises(StorageError, match=r"401"):
            store.writer.write(TRADES, one_trade())
        questdb_run("DROP TABLE vwap_bars")
        with pytest.raises(StorageError, match=r"401"):
            store.writer.create_tables()
    assert len(questdb_store.reader.trades("m", "m-yes", START, END)) == 0


@pytest.mark.integration
def test_a_missing_table_names_the_command(
    questdb_settings: Settings, questdb_run: Run, ask: Callable[[MarketStore], object]
) -> None:
    assert questdb_run("SELECT table_name FROM tables()") == []
    with (
        open_store(questdb_settings) as store,
        pytest.raises(StorageError, match=r"has no table '[a-z_]+'; run 'tributary store init'"),
    ):
        ask(store)


@pytest.mark.integration
def test_check_reports_every_missing_table(questdb_settings: Settings, questdb_run: Run) -> None:
    assert questdb_run("SELECT table_name FROM tables()") == []
    with open_store(questdb_settings) as store:
        findings = {finding.subject: finding for finding in store.reader.check()}
    assert findings["postgresql port"].severity == findings["http port"].severity == "ok"
    tables = [finding for subject, finding in findings.items() if "port" not in subject]
    assert {(f.severity, f.message) for f in tables} == {("error", "is missing; run 'tributary store init'")}


@pytest.mark.integration
def test_a_suspended_table_is_an_error_and_not_old_data(questdb_store: MarketStore, questdb_run: Run) -> None:
    questdb_store.writer.write(TRADES, one_trade())
    questdb_run("ALTER TABLE trades SUSPEND WAL")
    for name in ("trades", "bars", "rows", "fingerprints", "extent", "write"):
        with pytest.raises(
            StorageError, match=r"'trades' of QuestDB at .* is suspended.*ALTER TABLE trades RESUME WAL"
        ):
            QUESTIONS[name](questdb_store)
    assert {state.table: state.is_suspended for state in questdb_store.reader.table_states()}["trades"]
    findings = [f for f in questdb_store.reader.check() if f.subject == "trades" and f.severity == "error"]
    assert "is suspended" in findings[0].message
    questdb_run("ALTER TABLE trades RESUME WAL")
    assert len(questdb_store.reader.trades("m", "m-yes", START, END)) == 1


@pytest.mark.integration
def test_a_result_table_that_is_not_ours_is_an_error(questdb_store: MarketStore, questdb_run: Run) -> None:
    questdb_run("DROP TABLE vwap_bars")
    questdb_run(
        "CREATE TABLE vwap_bars (timestamp TIMESTAMP, market_id SYMBOL) TIMESTAMP(timestamp) PARTITION BY DAY WAL"
    )
    (finding,) = [f for f in questdb_store.reader.check() if f.subject == "vwap_bars"]
    assert finding.severity == "error"
    assert "token_id is absent" in finding.message


class LogOf:
    """A server whose write-ahead logs stand still where they are."""

    address = "far:8812"
    settings = StorageSettings(wal_timeout=0.05)

    def __init__(self, *states: tuple[object, ...]) -> None:
        self.states = states

    def rows(self, query: str) -> tuple[tuple[object, ...], ...]:
        assert "wal_tables()" in query
        return self.states


def test_the_log_is_waited_for_with_a_limit() -> None:
    behind, ready = ("trades", False, 3, 5, None), ("trades", False, 5, 5, None)
    suspended = ("markets", True, 0, 1, "no space")
    with pytest.raises(StorageError, match=r"not applied all writes within 0.05 s: trades \(3 of 5 transactions\)"):
        wait_applied(LogOf(behind, suspended), ["trades"])  # type: ignore[arg-type]
    with pytest.raises(StorageError, match=r"'markets' of QuestDB at far:8812 is suspended \(no space\): 1 trans"):
        wait_applied(LogOf(ready, suspended), ["trades", "markets"])  # type: ignore[arg-type]
    wait_applied(LogOf(ready, suspended), ["trades", "a table without a log"])  # type: ignore[arg-type]


@pytest.mark.integration
def test_the_read_only_user_is_enough_to_read_and_cannot_write(
    questdb_server: ServerInfo, questdb_store: MarketStore
) -> None:
    questdb_store.writer.write(TRADES, one_trade())
    storage = StorageSettings.model_validate(questdb_server.storage_settings())
    connection = QuestDBConnection(storage)
    for statement in (
        "DROP TABLE trades",
        "INSERT INTO trades (timestamp, price) VALUES (now(), 1)",
        "CREATE TABLE x (a INT)",
    ):
        with pytest.raises(StorageError, match=r"refuses a query: .*[Pp]ermission denied"):
            connection.rows(statement)
    connection.close()
    assert len(questdb_store.reader.trades("m", "m-yes", START, END)) == 1


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from tributary_pipelines.core.settings import Settings, StorageSettings
from tributary_pipelines.storage.open import open_store
open_store(Settings())
print("embedded opens")
open_store(Settings(storage=StorageSettings(kind="questdb", user="u", password="p")))
"""


@pytest.mark.parametrize("package", ["questdb", "httpx"])
def test_a_missing_extra_names_how_to_install_it(package: str) -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT, package], capture_output=True, text=True, check=False)
    assert ran.stdout == "embedded opens\n"
    said = ran.stderr.strip().splitlines()[-1]
    assert "ConfigurationError: storage.kind is questdb" in said
    assert f"package '{package}' is not installed; run: pip install 'tributary-pipelines[questdb]'" in said


def test_opening_connects_to_nothing() -> None:
    with opened(user="reader", password=SECRET, pg_port=free_port()) as store:
        assert store.name.startswith("questdb 127.0.0.1:")
    assert SECRET not in repr(store)


@pytest.mark.integration
def test_a_server_back_from_a_restart_is_used_again(questdb_server: ServerInfo, questdb_store: MarketStore) -> None:
    """The pool notices dead connections; nobody has to open the store anew."""
    questdb_store.writer.write(TRADES, one_trade())
    pool = questdb_store.reader._connection._pool  # type: ignore[attr-defined]
    with pool.connection() as connection:
        connection.execute("SELECT 1")
        connection.pgconn.finish()
    assert len(questdb_store.reader.trades("m", "m-yes", START, END)) == 1
    assert len(questdb_store.reader.order_books("m", "m-yes", START, END)) == 0
    assert questdb_server.http_port > 0
    assert ORDERBOOK_SNAPSHOTS.name in {state.table for state in questdb_store.reader.table_states()}
