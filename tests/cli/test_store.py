"""store init and check, and stores that cannot be used: one clear line each, nothing half-written."""

from dataclasses import fields
from pathlib import Path

import pytest

from tests.cli.calling import FIRST_DAY, answer_of, call, error_of
from tributary_pipelines.storage.questdb import server

BARS = ("bars", "--market", "m", "--start", FIRST_DAY, "--end", "2026-03-02", "--width", "1h")
TABLES = {
    "trades",
    "orderbook_snapshots",
    "markets",
    "quarantine",
    "vwap_bars",
    "impact_statistics",
    "almgren_chriss_parameters",
    "execution_plans",
    "execution_simulations",
}


@pytest.mark.usefixtures("empty")
def test_init_creates_every_table_once_and_check_finds_them() -> None:
    created = answer_of(call("store", "init", "--json"))
    assert set(created) == {"store", "status", "findings"}
    assert all(set(finding) == {"severity", "subject", "message"} for finding in created["findings"])
    assert {finding["subject"] for finding in created["findings"]} >= TABLES
    assert call("store", "init").exit_code == 0
    checked = call("store", "check")
    assert checked.exit_code == 0
    assert all(any(table in line for line in checked.stdout.splitlines()) for table in TABLES)


@pytest.mark.usefixtures("empty")
def test_check_of_no_store_is_an_error_that_says_what_to_do() -> None:
    result = call("store", "check")
    assert result.exit_code == 1
    assert "tributary store init" in result.stderr
    assert not Path(".tributary").exists()


@pytest.mark.parametrize(
    "command",
    [
        BARS,
        ("store", "init"),
        ("store", "check"),
        ("synth", "--market", "m", "--days", "1", "--trades-per-hour", "2", "--seed", "1"),
        ("analytics", "calibrate", "--market", "m"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
@pytest.mark.usefixtures("empty")
def test_a_file_that_is_no_store_is_left_as_it_is(command: tuple[str, ...]) -> None:
    path = Path(".tributary/market.duckdb")
    path.parent.mkdir()
    path.write_bytes(b"not a database")
    result = call(*command)
    assert result.exit_code == 1
    assert "market.duckdb" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert path.read_bytes() == b"not a database"


@pytest.mark.usefixtures("empty")
def test_a_place_where_no_store_can_be_made_is_named() -> None:
    Path(".tributary").write_text("")
    assert ".tributary" in error_of(call("store", "init"))
    assert ".tributary" in error_of(call("synth", "--market", "m", "--days", 1, "--trades-per-hour", 2, "--seed", 1))


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    "password", ["s3cret-pass", "'${QUESTDB_PASSWORD_NOBODY_SET}'"], ids=["other ports", "no variables"]
)
def test_settings_that_miss_the_server_of_the_folder_are_shown_the_way(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {field.name: "s3cret" for field in fields(server.ServerInfo)}
    known |= {"root": "here/questdb", "host": "127.0.0.1", "pg_port": 18812, "http_port": 19000}
    running = server.ServerInfo(**known)
    monkeypatch.setattr(server, "status", lambda root: running if root == Path(".tributary/questdb") else None)
    where = "host: 127.0.0.1, pg_port: 1, http_port: 1, connect_timeout: 1s, wal_timeout: 1s"
    Path("tributary.yaml").write_text(f"storage: {{kind: questdb, {where}, user: reader, password: {password}}}\n")
    line = error_of(call(*BARS))
    assert "PostgreSQL wire 18812, HTTP 19000" in line
    assert line.endswith(". here/questdb/environment")
    assert "s3cret" not in line
    monkeypatch.setattr(server, "status", lambda _root: None)
    assert "18812" not in error_of(call(*BARS))


@pytest.mark.usefixtures("empty")
def test_an_unreachable_server_is_one_line_without_its_password() -> None:
    where = "host: 127.0.0.1, pg_port: 1, http_port: 1, connect_timeout: 1s, wal_timeout: 1s"
    secrets = "user: reader, password: s3cret-pass, http_user: writer, http_password: s3cret-http"
    Path("tributary.yaml").write_text(f"storage: {{kind: questdb, {where}, {secrets}}}\n")
    for command in (BARS, ("store", "init"), ("store", "check"), (*BARS, "--debug")):
        result = call(*command)
        assert result.exit_code == 1
        assert "127.0.0.1:1" in result.stderr.splitlines()[-1]
        assert "s3cret" not in result.output
