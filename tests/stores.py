"""A pytest plugin: real market stores. One QuestDB server a session, started only when a test asks for it."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tributary_pipelines.core.settings import Settings, StorageSettings
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.questdb import server

Run = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def questdb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.ServerInfo]:
    """A QuestDB server for the whole session."""
    root = tmp_path_factory.mktemp("questdb")
    # Only in this mode a table can be suspended on request.
    yield server.start(root, more_settings={"dev.mode.enabled": "true"})
    server.stop(root)


@pytest.fixture
def questdb_run(questdb_server: server.ServerInfo) -> Iterator[Run]:
    """Runs a statement as the server's administrator, on a server without tables."""
    info = questdb_server
    with psycopg.connect(
        host=info.host,
        port=info.pg_port,
        user=info.admin_user,
        password=info.admin_password,
        dbname="qdb",
        autocommit=True,
        prepare_threshold=None,
    ) as connection:

        def run(statement: str) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

        for (name,) in run("SELECT table_name FROM tables()"):
            run(f'DROP TABLE "{name}"')
        yield run


@pytest.fixture
def questdb_settings(questdb_server: server.ServerInfo) -> Settings:
    """Settings of the session's server, bulk reads over HTTP."""
    return Settings(storage=StorageSettings(**questdb_server.storage_settings()))


@pytest.fixture
def questdb_store(questdb_settings: Settings, questdb_run: Run) -> Iterator[MarketStore]:
    """A QuestDB store with empty tables of its own."""
    assert questdb_run("SELECT 1") == [(1,)]
    with open_store(questdb_settings) as store:
        store.writer.create_tables()
        yield store


@pytest.fixture
def duckdb_store(tmp_path: Path) -> Iterator[MarketStore]:
    """An embedded store with empty tables, in the test's folder."""
    with open_store(Settings(folder=tmp_path)) as store:
        store.writer.create_tables()
        yield store


@pytest.fixture(params=["duckdb", pytest.param("questdb", marks=pytest.mark.integration)])
def store(request: pytest.FixtureRequest) -> MarketStore:
    """Each store in turn, with empty tables."""
    opened: MarketStore = request.getfixturevalue(f"{request.param}_store")
    return opened


_COMPARED: pytest.StashKey[dict[str, Counter[str]]] = pytest.StashKey()


@pytest.fixture
def compared(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Notes that a method was compared on a case; the run lists all of them at its end."""
    noted = request.config.stash.setdefault(_COMPARED, {})

    def note(method: str, case: str) -> None:
        noted.setdefault(method, Counter())[case] += 1

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List which methods of the stores were compared on which cases, and how often."""
    noted = terminalreporter.config.stash.get(_COMPARED, {})
    if noted:
        terminalreporter.section("methods of the stores by cases, comparisons")
    for method, cases in sorted(noted.items()):
        listed = ", ".join(f"{case} {count}" for case, count in sorted(cases.items()))
        terminalreporter.write_line(f"{method}: {listed}")
