"""YAML text as a mapping, with ``${VAR}`` (required) and ``${VAR:default}`` filled in from a given environment.

Variables are filled in after parsing, so what they hold is never read as YAML. A key that is given twice is an error,
for one of its values would be lost. Errors say where and why and never quote a value: it may be a password.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tributary_pipelines.core.errors import ConfigurationError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


class _UniqueKeys(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse a key that this mapping has already; keys that another one lends it may be overridden."""
        node = super().compose_mapping_node(anchor)
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if key.value in seen:
                    raise ConfigurationError(
                        f"gives the key {key.value!r} twice, lines {seen[key.value]} and {line}; keep one of them"
                    )
                seen[key.value] = line
        return node


def parse_yaml(text: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the mapping that a YAML text holds; an empty text is an empty mapping.

    Raises
    ------
    ConfigurationError
        The text is no YAML, gives a key twice, holds something else than a mapping, or needs variables that are not
        set.
    """
    missing: set[str] = set()
    try:
        expanded = _expand(_UniqueKeys(text).get_single_data(), environment, missing)
    except yaml.MarkedYAMLError as error:
        raise ConfigurationError(f"cannot be read as YAML: {_without_content(error)}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"cannot be read as YAML: {' '.join(str(error).split())}") from None
    except (ValueError, LookupError, AttributeError):
        # What PyYAML lets through when a text that looks like a date or a tagged number is none.
        raise ConfigurationError("cannot be read as YAML: a date, time or tagged value does not exist") from None
    except RecursionError:
        raise ConfigurationError("cannot be read as YAML: it nests without end") from None
    if expanded is None:
        return {}
    if not isinstance(expanded, dict):
        raise ConfigurationError(f"must hold a mapping of settings, not a {type(expanded).__name__}")
    if missing:
        raise ConfigurationError(f"needs the environment variables {', '.join(sorted(missing))}; set them")
    return expanded


def _without_content(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    if any(word in problem for word in ("alias", "anchor", "tag")):
        problem = "a text that begins with *, & or ! must be in quotes"
    at = error.problem_mark
    return f"{problem}, line {at.line + 1} column {at.column + 1}" if at else problem


def _expand(value: Any, environment: Mapping[str, str], missing: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, environment, missing) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, environment, missing) for item in value]
    if not isinstance(value, str):
        return value

    def substitute(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name not in environment and default is None:
            missing.add(name)
        return environment.get(name, default or "")

    return _VARIABLE.sub(substitute, value)
