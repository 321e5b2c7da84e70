"""The QuestDB service of docker-compose.yml and the store-init that follows it, against a real server."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.compose_file import ROOT, interpolate, read_compose_file, required_variables
from tests.integration.processes import clean_environment, free_port
from tributary_pipelines.storage.questdb.server import ServerInfo

pytestmark = pytest.mark.integration

_FILE = read_compose_file()
_SERVICES: dict[str, dict[str, Any]] = interpolate(_FILE, dict.fromkeys(required_variables(_FILE), "given"))["services"]


def _health(**environment: str) -> int:
    kind, *command = _SERVICES["questdb"]["healthcheck"]["test"]
    assert kind == "CMD"
    return subprocess.run(
        command, check=False, env=clean_environment(**environment), capture_output=True, timeout=30
    ).returncode


def test_the_health_check_logs_in_and_can_fail(questdb_server: ServerInfo) -> None:
    given = {
        "QDB_HTTP_MIN_NET_BIND_TO": f"127.0.0.1:{questdb_server.health_port}",
        "QDB_HTTP_USER": questdb_server.http_user,
        "QDB_HTTP_PASSWORD": questdb_server.http_password,
    }
    assert _health(**given) == 0
    assert _health(**{**given, "QDB_HTTP_PASSWORD": "wrong"}) != 0
    assert _health(**{**given, "QDB_HTTP_MIN_NET_BIND_TO": f"127.0.0.1:{free_port()}"}) != 0


def test_store_init_makes_the_tables_and_may_run_again(questdb_server: ServerInfo, tmp_path: Path) -> None:
    ports = f"\n  pg_port: {questdb_server.pg_port}\n  http_port: {questdb_server.http_port}"
    settings = (
        (ROOT / "deploy/tributary.yaml").read_text(encoding="utf-8").replace("kind: questdb", "kind: questdb" + ports)
    )
    (tmp_path / "tributary.yaml").write_text(settings, encoding="utf-8")
    environment = clean_environment(
        TRIBUTARY_CONFIG=str(tmp_path / "tributary.yaml"),
        TRIBUTARY_QUESTDB_HOST=questdb_server.host,
        TRIBUTARY_QUESTDB_USER=questdb_server.user,
        TRIBUTARY_QUESTDB_PASSWORD=questdb_server.password,
        TRIBUTARY_QUESTDB_HTTP_USER=questdb_server.http_user,
        TRIBUTARY_QUESTDB_HTTP_PASSWORD=questdb_server.http_password,
    )
    assert set(environment) >= {name for name in _SERVICES["store-init"]["environment"] if "QUESTDB" in name}
    for command in (
        _SERVICES["store-init"]["command"],
        _SERVICES["store-init"]["command"],
        ["tributary", "store", "check"],
    ):
        result = subprocess.run(
            command, check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert questdb_server.password not in result.stdout + result.stderr
        assert questdb_server.http_password not in result.stdout + result.stderr
