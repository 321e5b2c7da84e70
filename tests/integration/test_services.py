"""The commands of docker-compose.yml, started as they stand there but without containers, on a real PostgreSQL.

Only addresses, ports and paths are replaced. QuestDB is left out on purpose: the code location must load without it,
and a run that cannot reach it must fail without giving a password away.
"""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.deployment.compose_file import ROOT, interpolate, read_compose_file, required_variables
from tests.integration.postgresql import PostgresDatabase, new_database
from tests.integration.processes import Program, clean_environment, free_port, running, wait_until

pytestmark = pytest.mark.integration

_SECRETS = {name: f"secret-of-{name.lower().replace('_', '-')}" for name in required_variables(read_compose_file())}
_SERVICES: dict[str, dict[str, Any]] = interpolate(read_compose_file(), _SECRETS)["services"]
#: In the order in which compose starts them.
_STARTED = ("code-server", "webserver", "daemon")


@dataclass(frozen=True, slots=True)
class Stack:
    """The three Dagster services, up and healthy, and how to ask them."""

    database: PostgresDatabase
    programs: dict[str, Program]
    environments: dict[str, dict[str, str]]
    replaced: dict[str, str]

    def command(self, words: list[str]) -> list[str]:
        """Return a command of the compose file with this stack's addresses, ports and paths."""
        return [self._replace(word) for word in words]

    def _replace(self, word: str) -> str:
        for old, new in self.replaced.items():
            word = new if word == old else word.replace(f":{old}/", f":{new}/")
        return word

    def check(self, service: str) -> "subprocess.CompletedProcess[str]":
        """Run a service's health check once."""
        kind, *command = _SERVICES[service]["healthcheck"]["test"]
        assert kind == "CMD"
        environment = self.environments[service]
        return subprocess.run(
            self.command(command), check=False, env=environment, capture_output=True, text=True, timeout=60
        )

    def is_healthy(self, service: str) -> bool:
        """Return what the service's health check says now."""
        return self.check(service).returncode == 0

    def ask(self, query: str, **variables: Any) -> Any:
        """Return the data of a GraphQL answer of the webserver."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        address = f"http://127.0.0.1:{self.replaced['3000']}/graphql"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def everything_said(self) -> str:
        """Return all output of all services and every event that PostgreSQL holds."""
        with psycopg.connect(self.database.url) as connection:
            events = connection.execute("SELECT event FROM event_logs").fetchall()
            ticks = connection.execute("SELECT tick_body FROM job_ticks").fetchall()
        return "\n".join([*(program.output() for program in self.programs.values()), str(events), str(ticks)])


@pytest.fixture(scope="module")
def stack(postgres_server: PostgresDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The code server, the webserver and the daemon, started in the order in which compose starts them."""
    folder = tmp_path_factory.mktemp("stack")
    for name in ("dagster.yaml", "workspace.yaml", "deploy/tributary.yaml"):
        shutil.copy(ROOT / name, folder)
    (folder / "instruments.yaml").write_text("instruments:\n  - {name: alpha, market_id: ALPHA}\n", encoding="utf-8")
    replaced = {"0.0.0.0": "127.0.0.1", "4000": str(free_port()), "3000": str(free_port())}
    replaced["/opt/tributary/workspace.yaml"] = str(folder / "workspace.yaml")
    with ExitStack() as opened:
        database = opened.enter_context(new_database(postgres_server))
        here = {
            **database.environment,
            "DAGSTER_HOME": str(folder),
            "TRIBUTARY_CODE_SERVER_HOST": "127.0.0.1",
            "TRIBUTARY_CODE_SERVER_PORT": replaced["4000"],
        }
        store = {"TRIBUTARY_CONFIG": str(folder / "tributary.yaml"), "TRIBUTARY_QUESTDB_HOST": "127.0.0.1"}
        environments = {name: clean_environment(**{**_SERVICES[name]["environment"], **here}) for name in _STARTED}
        environments["code-server"] |= store
        stack = Stack(database, {}, environments, replaced)
        for name, environment in environments.items():
            command = stack.command(_SERVICES[name]["command"])
            stack.programs[name] = opened.enter_context(running(command, environment=environment, folder=folder))
            services = list(stack.programs.values())
            wait_until(lambda name=name: stack.is_healthy(name), within_s=90, programs=services)  # type: ignore[misc]
        yield stack


def test_every_service_comes_up_and_its_own_health_check_agrees(stack: Stack) -> None:
    for name in ("code-server", "webserver"):
        assert stack.is_healthy(name), stack.check(name).stderr
    wait_until(lambda: stack.is_healthy("daemon"), within_s=90, programs=list(stack.programs.values()))


def test_health_checks_can_fail(stack: Stack) -> None:
    nobody = Stack(stack.database, {}, stack.environments, {**stack.replaced, "4000": "1", "3000": "1"})
    assert not nobody.is_healthy("code-server")
    assert not nobody.is_healthy("webserver")


def test_the_webserver_shows_the_code_servers_pipelines(stack: Stack) -> None:
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } assetNodes { id } } } } }"
    (location,) = stack.ask(query)["repositoriesOrError"]["nodes"]
    assert location["location"]["name"] == "tributary"
    assert len(location["assetNodes"]) >= 5


_LAUNCH = """
mutation Launch($job: String!, $assets: [AssetKeyInput!]!, $day: String!) {
  launchPipelineExecution(executionParams: {
    mode: "default", selector: {repositoryLocationName: "tributary", repositoryName: "__repository__",
      pipelineName: $job, assetSelection: $assets, assetCheckSelection: []},
    executionMetadata: {tags: [{key: "dagster/partition", value: $day}]}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""


def test_no_password_is_said_when_the_store_is_away_or_the_login_is_wrong(stack: Stack, tmp_path: Path) -> None:
    mistyped = {**stack.environments["daemon"], "TRIBUTARY_PG_PASSWORD": "secret-mistyped"}
    check = _SERVICES["daemon"]["healthcheck"]["test"][1:]
    with running(check, environment=mistyped, folder=tmp_path) as refused:
        assets = [{"path": ["alpha", "vwap_bars"]}]
        launched = stack.ask(_LAUNCH, job="__ASSET_JOB", assets=assets, day="2024-03-01")["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        # Not until the run gives up: its retries are spread over half a minute, and each says the same.
        services = list(stack.programs.values())
        wait_until(lambda: "STEP_UP_FOR_RETRY" in stack.everything_said(), within_s=120, programs=services)
        assert refused.process.wait(timeout=60) != 0
    said = stack.everything_said()
    assert "QuestDB" in said
    assert "password authentication failed" in refused.output()
    for secret in (*_SECRETS.values(), stack.database.password, "secret-mistyped"):
        assert secret not in said + refused.output()
