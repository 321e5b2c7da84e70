"""One dagster.yaml for production and for a laptop: the environment decides, and half an address is an error."""

import shutil
import subprocess
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterInvalidConfigError
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster_postgres import PostgresEventLogStorage

from tests.integration.postgresql import PostgresDatabase
from tests.integration.processes import clean_environment
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
