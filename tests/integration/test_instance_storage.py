"""One dagster.yaml for production and for a laptop: the environment decides, and half an address is an error."""

import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.errors import DagsterInvalidConfigError
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster_postgres import PostgresEventLogStorage

from tests.integration.postgresql import PostgresDatabase
from tests.integration.processes import clean_environment, wait_until
from tributary_pipelines.core.errors import ConfigurationError

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DAGSTER_HOME that holds the deployed file, and no address in the environment."""
    for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE"):
        monkeypatch.delenv(f"TRIBUTARY_PG_{name}", raising=False)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    return tmp_path


def test_without_an_address_records_are_files_in_dagster_home(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, SqliteEventLogStorage)
        assert instance.get_runs() == []
    assert (home / "history" / "runs.db").is_file()


def test_without_dagster_home_records_lie_where_init_puts_them(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    monkeypatch.chdir(tmp_path)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs() == []
    assert (tmp_path / ".tributary/dagster_home/history/runs.db").is_file()


def test_half_an_address_names_what_is_missing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIBUTARY_PG_HOST", "127.0.0.1")
    with pytest.raises(DagsterInvalidConfigError, match="TRIBUTARY_PG_PASSWORD"):
        dg.DagsterInstance.get()


def test_a_user_without_a_host_is_not_taken_for_a_laptop(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIBUTARY_PG_USER", "tributary")
    with pytest.raises(ConfigurationError, match="TRIBUTARY_PG_USER is set and TRIBUTARY_PG_HOST is not"):
        dg.DagsterInstance.get()


def test_other_variables_alone_change_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Dagster's commands load a .env file of the current folder, and the one of docker compose holds this.
    monkeypatch.setenv("TRIBUTARY_PG_PASSWORD", "secret")
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, SqliteEventLogStorage)


def test_commands_of_dagster_work_in_the_project_without_any_setting() -> None:
    environment = clean_environment()
    result = subprocess.run(
        ["dg", "check", "defs"], check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "All definitions loaded successfully" in result.stdout + result.stderr


def test_with_an_address_records_are_in_postgresql(
    home: Path, postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in postgres.environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
        assert instance.get_runs() == []
    assert not (home / "history").exists()


@pytest.fixture
def in_postgresql(home: Path, postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> PostgresDatabase:
    """The database that an instance made in this test keeps its records in."""
    for name, value in postgres.environment.items():
        monkeypatch.setenv(name, value)
    return postgres


def connections_to(postgres: PostgresDatabase) -> set[int]:
    """Process ids of the server for everybody who is connected but us."""
    with psycopg.connect(postgres.url) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        return {row[0] for row in connection.execute(f"SELECT pid FROM pg_stat_activity WHERE {others}".encode())}


def record(instance: dg.DagsterInstance) -> int:
    """Write an event and return how many are stored."""
    key = dg.AssetKey("bars")
    instance.report_runless_asset_event(dg.AssetMaterialization(key))
    return len(instance.fetch_materializations(key, limit=100).records)


def test_events_share_the_kept_connections_whatever_the_number_of_instances(in_postgresql: PostgresDatabase) -> None:
    with dg.DagsterInstance.get() as instance:
        assert record(instance) == 1
        kept = connections_to(in_postgresql)
        assert 1 <= len(kept) <= 2
        assert [record(instance) for _ in range(3)] == [2, 3, 4]
    for n in range(5, 8):
        with dg.DagsterInstance.get() as another:
            assert record(another) == n
    assert connections_to(in_postgresql) == kept


def test_a_server_that_dropped_the_connections_costs_no_event(in_postgresql: PostgresDatabase) -> None:
    with dg.DagsterInstance.get() as instance:
        assert record(instance) == 1
        kept = connections_to(in_postgresql)
        with psycopg.connect(in_postgresql.url, autocommit=True) as connection:
            for pid in kept:
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        wait_until(lambda: connections_to(in_postgresql).isdisjoint(kept), within_s=10)
        assert record(instance) == 2
        assert connections_to(in_postgresql).isdisjoint(kept)


_FORKED = """
import os, dagster as dg
def backend(instance):
    with instance.run_storage.connect() as connection:
        return connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
with dg.DagsterInstance.get() as instance:
    own = backend(instance)
    child = os.fork()
    if child == 0:
        os._exit(0 if backend(instance) != own else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert backend(instance) == own
"""


def test_a_forked_process_opens_connections_of_its_own(in_postgresql: PostgresDatabase, home: Path) -> None:
    environment = clean_environment(DAGSTER_HOME=str(home), **in_postgresql.environment)
    result = subprocess.run(
        [sys.executable, "-c", _FORKED], check=False, env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
