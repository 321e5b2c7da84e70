"""Reads docker-compose.yml as a compose client does: merge keys, then ``${VAR}`` in its four forms, then ``$$``."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Z_]+)(?:(?P<form>:[-?])(?P<rest>[^}]*))?\})")


class MissingVariableError(Exception):
    """A ``${VAR:?message}`` whose variable is unset or empty."""


def read_compose_file() -> dict[str, Any]:
    """Return the file with its merge keys resolved and its variables as they are written."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    return loaded


def interpolate(value: Any, environment: Mapping[str, str]) -> Any:
    """Return a tree with its variables replaced.

    Raises
    ------
    MissingVariableError
        A required variable is unset or empty; the text is what a client would say.
    """
    if isinstance(value, dict):
        return {key: interpolate(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, environment) for item in value]
    if not isinstance(value, str):
        return value

    def substitute(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        given = environment.get(match["name"], "")
        if not given and match["form"] == ":?":
            raise MissingVariableError(f"required variable {match['name']} is missing a value: {match['rest']}")
        return given or (match["rest"] if match["form"] == ":-" else "")

    return _VARIABLE.sub(substitute, value)


def variables(value: Any) -> Iterator[tuple[str, str | None]]:
    """Yield every variable of a tree with its form: ``:?`` required, ``:-`` with a default, None bare."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from variables(item)
    elif isinstance(value, str):
        yield from ((match["name"], match["form"]) for match in _VARIABLE.finditer(value) if not match["dollar"])


def required_variables(file: Mapping[str, Any]) -> list[str]:
    """Return the names of the variables that have no default."""
    return sorted({name for name, form in variables(file) if form == ":?"})
