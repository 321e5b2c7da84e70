"""The command line called in-process, and what its answers and errors must look like."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.testing import CliRunner, Result

from tributary_pipelines.cli.main import cli

#: Days of the shared synthetic market, and options that make it small and quick to calibrate.
FIRST_DAY = "2026-03-01"
N_DAYS = 6


@contextmanager
def log_put_back() -> Iterator[None]:
    root, package = logging.getLogger(), logging.getLogger("tributary_pipelines")
    kept = [(logger, logger.handlers, logger.level, logger.propagate) for logger in (root, package)]
    try:
        yield
    finally:
        for logger, handlers, level, propagate in kept:
            logger.handlers, logger.level, logger.propagate = handlers, level, propagate


def call(*arguments: object) -> Result:
    with log_put_back():
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="tributary")


def answer_of(result: Result, status: int = 0) -> Any:
    """The one JSON document on stdout; anything that is not JSON, NaN included, fails."""

    def reject(text: str) -> None:
        raise AssertionError(f"{text} in an answer")

    assert result.exit_code == status, result.stderr
    return json.loads(result.stdout, parse_constant=reject)


def error_of(result: Result, status: int = 1) -> str:
    """The one line on stderr; nothing may be on stdout."""
    lines = result.stderr.splitlines()
    assert (result.exit_code, result.stdout, len(lines)) == (status, "", 1), result.output
    assert lines[0].startswith("error: ")
    assert "Traceback" not in lines[0]
    return lines[0]


def all_commands(group: click.Group | None = None, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    group = group or cli
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = all_commands(command, (*path, name)) if isinstance(command, click.Group) else []
        found += [(*path, name), *below]
    return found
