"""docker-compose.yml keeps the rules of a safe deployment, and is what the public schema and a real client accept."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deployment.compose_file import (
    ROOT,
    MissingVariableError,
    interpolate,
    read_compose_file,
    required_variables,
    variables,
)
from tests.what_cannot_run import need_program

FILE = read_compose_file()
REQUIRED = required_variables(FILE)
SERVICES: dict[str, dict[str, Any]] = interpolate(FILE, dict.fromkeys(REQUIRED, "given"))["services"]
SECRET_KEY = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL", re.IGNORECASE)


def _seconds(duration: str) -> float:
    (number, unit) = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr]
    return float(number) * {"s": 1, "m": 60}[unit]


def test_the_file_follows_the_compose_specification() -> None:
    schema = json.loads((ROOT / "tests/deployment/compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    model = interpolate(FILE, dict.fromkeys(REQUIRED, "given"))
    errors = [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(model)]
    assert errors == []
    broken = {**model, "services": {"daemon": {**SERVICES["daemon"], "comand": ["x"]}}}
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(broken))


def test_the_stack_is_what_the_deployment_needs() -> None:
    assert set(SERVICES) == {"questdb", "store-init", "postgres", "pgbouncer", "code-server", "webserver", "daemon"}


def test_there_is_exactly_one_daemon() -> None:
    daemons = [name for name, service in SERVICES.items() if service.get("command", [""])[0] == "dagster-daemon"]
    assert daemons == ["daemon"]
    assert SERVICES["daemon"].get("deploy", {}).get("replicas", 1) == 1
    assert "scale" not in SERVICES["daemon"]


@pytest.mark.parametrize("name", SERVICES)
def test_published_ports_bind_to_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert SERVICES[name].get("network_mode") is None


def test_the_bind_address_and_ports_can_be_set() -> None:
    given = {**dict.fromkeys(REQUIRED, "given"), "TRIBUTARY_BIND": "192.0.2.7", "TRIBUTARY_UI_PORT": "8080"}
    assert interpolate(FILE, given)["services"]["webserver"]["ports"] == ["192.0.2.7:8080:3000"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_by_a_version(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9/.-]+:v?\d+(\.\d+)+[a-z0-9.-]*", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_runs_as_root_or_gains_rights(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")


@pytest.mark.parametrize("name", SERVICES)
def test_every_password_comes_from_a_required_variable(name: str) -> None:
    for key, value in FILE["services"][name].get("environment", {}).items():
        if SECRET_KEY.search(key):
            assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), key


def test_no_variable_that_names_a_secret_has_a_default() -> None:
    assert {name for name, form in variables(FILE) if SECRET_KEY.search(name) and form != ":?"} == set()
    assert {form for _, form in variables(FILE)} == {":?", ":-"}


@pytest.mark.parametrize("missing", REQUIRED)
@pytest.mark.parametrize("how", ["unset", "empty"])
def test_a_missing_variable_is_a_clear_failure(missing: str, how: str) -> None:
    environment = dict.fromkeys(REQUIRED, "given")
    if how == "unset":
        del environment[missing]
    else:
        environment[missing] = ""
    with pytest.raises(
        MissingVariableError, match=rf"{missing} is missing a value: set {missing} in .env, see .env.example"
    ):
        interpolate(FILE, environment)


def test_the_example_names_every_variable_and_gives_none_a_value() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assignments = [line.removeprefix("#") for line in lines if re.match(r"#?[A-Z_]+=", line)]
    assert all(line.endswith("=") for line in assignments)
    assert {line.rstrip("=") for line in assignments} == {name for name, _ in variables(FILE)}
    assert {line.rstrip("=") for line in lines if re.match(r"[A-Z_]+=", line)} == set(REQUIRED)


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "store-init"])
def test_every_lasting_service_says_how_it_is_and_restarts(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert _seconds(check["timeout"]) <= _seconds(check["interval"])
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_daemons_costly_check_runs_at_most_once_a_minute() -> None:
    assert _seconds(SERVICES["daemon"]["healthcheck"]["interval"]) >= 60


@pytest.mark.parametrize(("name", "at_least_s"), [("questdb", 60), ("postgres", 60), ("code-server", 60)])
def test_what_holds_data_is_given_time_to_stop(name: str, at_least_s: float) -> None:
    assert _seconds(SERVICES[name]["stop_grace_period"]) >= at_least_s


def test_data_lives_in_named_volumes_and_configuration_is_read_only() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith("./")}
    assert named == set(FILE["volumes"])
    for mount in mounts:
        if mount.startswith("./"):
            assert mount.endswith(":ro")
            assert (ROOT / mount.split(":")[0]).is_file()


def test_questdb_has_files_enough_and_no_protocol_without_a_password() -> None:
    questdb = SERVICES["questdb"]
    assert questdb["ulimits"]["nofile"] == 1_048_576
    closed = {"QDB_LINE_TCP_ENABLED", "QDB_LINE_UDP_ENABLED", "QDB_TELEMETRY_ENABLED"}
    assert {key for key, value in questdb["environment"].items() if value == "false"} == closed


def test_pipelines_read_with_the_read_only_user_and_the_ui_knows_no_store_password() -> None:
    questdb, code_server = SERVICES["questdb"]["environment"], FILE["services"]["code-server"]["environment"]
    assert code_server["TRIBUTARY_QUESTDB_USER"] == questdb["QDB_PG_READONLY_USER"]
    assert questdb["QDB_PG_READONLY_USER_ENABLED"] == "true"
    assert (
        code_server["TRIBUTARY_QUESTDB_PASSWORD"]
        == FILE["services"]["questdb"]["environment"]["QDB_PG_READONLY_PASSWORD"]
    )
    for name in ("webserver", "daemon"):
        assert not [key for key in SERVICES[name]["environment"] if "QUESTDB" in key]


def test_the_pooler_keeps_sessions_because_the_event_log_listens() -> None:
    assert SERVICES["pgbouncer"]["environment"]["POOL_MODE"] == "session"
    assert SERVICES["code-server"]["environment"]["TRIBUTARY_PG_HOST"] == "pgbouncer"


def _compose_command() -> list[str]:
    """Return how a compose client is called on this machine."""
    docker = shutil.which("docker")
    if docker and not subprocess.run([docker, "compose", "version"], check=False, capture_output=True).returncode:
        return [docker, "compose"]
    return [need_program("docker-compose", reason="no compose client; install 'docker compose' or docker-compose")]


def _bound_address(port: str | dict[str, object]) -> object:
    """Return the address of a published port, in the long form of newer clients or the short one of older ones."""
    return port["host_ip"] if isinstance(port, dict) else port.split(":")[0]


def _resolved_by_a_client(folder: Path, given: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    env_file = folder / "variables"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in given.items()), encoding="utf-8")
    command = [*_compose_command(), "--file", "docker-compose.yml", "--env-file", str(env_file), "config"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def test_a_real_client_resolves_the_file(tmp_path: Path) -> None:
    result = _resolved_by_a_client(tmp_path, dict.fromkeys(REQUIRED, "given"))
    assert result.returncode == 0, result.stderr
    services = yaml.safe_load(result.stdout)["services"]
    assert set(services) == set(SERVICES)
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert [_bound_address(port) for port in published] == ["127.0.0.1"] * 3


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_real_client_refuses_a_missing_variable(missing: str, tmp_path: Path) -> None:
    result = _resolved_by_a_client(tmp_path, dict.fromkeys(set(REQUIRED) - {missing}, "given"))
    assert result.returncode != 0
    assert missing in result.stderr
