"""``tributary store`` and ``tributary questdb``: the tables, and a local server for development."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tributary_pipelines.cli.options import Command, Group, invocation, json_option
from tributary_pipelines.cli.output import answer

if TYPE_CHECKING:
    from rich.console import Console

    from tributary_pipelines.storage.base import Finding

store = Group(
    "store",
    commands={"init": "store:store_init", "check": "store:store_check"},
    help="Create or verify the tables of the store.",
)


@click.command("init", cls=Command, epilog="\b\nExample:\n  tributary store init")
@json_option
def store_init() -> None:
    """Create the tables that are missing; change nothing that exists."""
    from tributary_pipelines.storage.open import open_store

    with open_store(invocation().settings()) as opened:
        _report(opened.name, opened.writer.create_tables())


@click.command("check", cls=Command, epilog="\b\nExample:\n  tributary store check --json")
@json_option
def store_check() -> None:
    """Verify connection, tables, columns, keys and write-ahead logs; change nothing."""
    from tributary_pipelines.storage.open import open_store

    with open_store(invocation().settings()) as opened:
        _report(opened.name, opened.reader.check())


def _report(name: str, findings: Sequence["Finding"]) -> None:
    from tributary_pipelines.core.errors import StorageError

    errors = [finding for finding in findings if finding.severity == "error"]
    plain = {
        "store": name,
        "status": "error" if errors else "ok",
        "findings": [{"severity": f.severity, "subject": f.subject, "message": f.message} for f in findings],
    }
    answer(plain, lambda to: _print_findings(to, findings))
    if errors:
        first = errors[0]
        raise StorageError(
            f"{len(errors)} of {len(findings)} findings are errors, {name}; first: {first.subject}: {first.message}"
        )


def _print_findings(to: "Console", findings: Sequence["Finding"]) -> None:
    for finding in findings:
        to.print(f"{finding.severity:<8}{finding.subject}: {finding.message}", markup=False, soft_wrap=True)
