"""The image and the settings it runs with, as far as they can be judged without building it."""

import fnmatch
import re
from typing import Any

import pytest
import yaml

from tests.deployment.compose_file import ROOT, interpolate, read_compose_file, required_variables
from tributary_pipelines.core.settings import load_instruments, load_settings

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = [
    line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
]


def _instructions() -> list[tuple[str, str]]:
    lines = "\n".join(line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


def _reaches_the_build(path: str) -> bool:
    """Apply .dockerignore to a path of the top level: the last matching pattern decides."""
    verdict = True
    for pattern in IGNORED:
        if fnmatch.fnmatchcase(path, pattern.removeprefix("!")):
            verdict = pattern.startswith("!")
    return verdict


def test_the_base_image_is_pinned_to_a_patch_version() -> None:
    bases = [rest for word, rest in _instructions() if word == "FROM"]
    assert bases
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", base) for base in bases)


def test_the_last_user_is_the_one_that_compose_names() -> None:
    users = [rest for word, rest in _instructions() if word == "USER"]
    assert users == ["tributary"]
    (numbers,) = re.findall(r"--gid (\d+) tributary && useradd --uid (\d+)", DOCKERFILE.replace("\\\n    ", ""))
    assert ":".join(reversed(numbers)) == read_compose_file()["services"]["code-server"]["user"]


def test_versions_are_the_locked_ones() -> None:
    (install,) = [rest for word, rest in _instructions() if word == "RUN" and "pip install" in rest]
    assert "--constraint constraints.txt" in install


def test_what_is_copied_exists_and_reaches_the_build() -> None:
    copied = [path for word, rest in _instructions() if word == "COPY" for path in rest.split()[:-1]]
    assert "tributary_pipelines" in copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert _reaches_the_build(path), path


@pytest.mark.parametrize("path", [".env", ".git", ".venv", "demo", "tributary.yaml", "tests", "deploy"])
def test_nothing_private_or_needless_reaches_the_build(path: str) -> None:
    assert not _reaches_the_build(path)


def _code_server_environment() -> dict[str, str]:
    file = read_compose_file()
    given = {name: f"{name.lower()}-value" for name in required_variables(file)}
    environment: dict[str, str] = interpolate(file, given)["services"]["code-server"]["environment"]
    return environment


def test_the_settings_of_the_stack_load_with_the_variables_that_compose_gives() -> None:
    environment = _code_server_environment()
    settings = load_settings(ROOT / "deploy/tributary.yaml", environment)
    storage = settings.storage
    assert (storage.kind, storage.host, storage.user) == ("questdb", "questdb", "tributary_reader")
    assert storage.password is not None
    assert storage.http_password is not None
    assert storage.password.get_secret_value() == "tributary_questdb_password-value"
    assert storage.http_password.get_secret_value() == "tributary_questdb_http_password-value"
    assert load_instruments(settings, environment) == ()


@pytest.mark.parametrize("name", ["dagster.yaml", "workspace.yaml"])
def test_every_variable_that_dagster_reads_is_given_by_compose(name: str) -> None:
    wanted = set(re.findall(r"\{env: ([A-Z_]+)\}", (ROOT / name).read_text(encoding="utf-8")))
    services: dict[str, dict[str, Any]] = read_compose_file()["services"]
    assert wanted
    for service in ("code-server", "webserver", "daemon"):
        assert wanted <= set(services[service]["environment"])


def _values_of_secrets(tree: Any) -> list[Any]:
    if isinstance(tree, list):
        return [value for item in tree for value in _values_of_secrets(item)]
    if not isinstance(tree, dict):
        return []
    own = [value for key, value in tree.items() if "password" in key.lower()]
    return own + [value for item in tree.values() for value in _values_of_secrets(item)]


def test_every_password_of_the_deployment_comes_from_a_variable() -> None:
    files = ["docker-compose.yml", "dagster.yaml", "workspace.yaml", "deploy/tributary.yaml"]
    values = [value for name in files for value in _values_of_secrets(yaml.safe_load((ROOT / name).read_text()))]
    assert len(values) > 10
    for value in values:
        assert value == {"env": "TRIBUTARY_PG_PASSWORD"} or re.fullmatch(r"\$\{[A-Z_]+(:\?[^}]+)?\}", value)
    assert "password" not in DOCKERFILE.lower()
