"""``tributary store`` and ``tributary questdb``: the tables, and a local server for development."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tributary_pipelines.cli.options import Command, Group, invocation, json_option
from tributary_pipelines.cli.output import answer, progress

if TYPE_CHECKING:
    from rich.console import Console

    from tributary_pipelines.storage.base import Finding
    from tributary_pipelines.storage.questdb.server import ServerInfo

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
    """Verify connection, tables, columns and keys; change nothing."""
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


questdb = Group(
    "questdb",
    commands={"start": "store:questdb_start", "stop": "store:questdb_stop", "status": "store:questdb_status"},
    help="A local QuestDB server for development.",
)

_START_EXAMPLES = """
\b
Example:
  tributary questdb start

\b
Needs the extra 'questdb' and no root; the server listens on loopback and outlives the command. Its passwords are
random, are never shown, and stand in a file that only you can read, to be sourced by the shell.
"""


_STATUS_EXAMPLES = """
\b
Example:
  tributary questdb status --json

\b
Exit status 0 also when no server runs: that is an answer.
"""


@click.command("start", cls=Command, epilog=_START_EXAMPLES)
@json_option
def questdb_start() -> None:
    """Start a local server, or find the one that runs."""
    from tributary_pipelines.storage.questdb.server import start

    with progress("starting QuestDB"):
        info = start(_root())
    environment = Path(info.root) / "environment"
    environment.unlink(missing_ok=True)
    environment.touch(mode=0o600)
    environment.write_text(
        f"export QUESTDB_PASSWORD={info.password}\nexport QUESTDB_HTTP_PASSWORD={info.http_password}\n",
        encoding="utf-8",
    )
    plain = _describe(info)
    answer(plain, lambda to: _print_server(to, plain))


@click.command("stop", cls=Command, epilog="\b\nExample:\n  tributary questdb stop")
@json_option
def questdb_stop() -> None:
    """Stop the local server in good order; its data stays."""
    from tributary_pipelines.storage.questdb.server import stop

    was_running = stop(_root())
    said = "stopped" if was_running else "no server was running"
    answer({**_describe(None), "was_running": was_running}, lambda to: to.print(said))


@click.command("status", cls=Command, epilog=_STATUS_EXAMPLES)
@json_option
def questdb_status() -> None:
    """Tell whether the local server runs, and where."""
    from tributary_pipelines.storage.questdb.server import status

    plain = _describe(status(_root()))
    answer(plain, lambda to: _print_server(to, plain))


def _root() -> Path:
    from tributary_pipelines.core.settings import find_settings_file

    # Not the settings themselves: they may need the passwords that only a started server has.
    found = find_settings_file(invocation().config)
    return _root_beside(found)


def _root_beside(found: Path | None) -> Path:
    return (Path() if found is None else found.parent) / ".tributary" / "questdb"


def hint_of_local_server(problem: str, config: Path | None) -> str:
    """Return where this folder's server runs when a problem says that the settings lead to none; else nothing."""
    lacks_variables = "needs the environment variables" in problem and "QUESTDB" in problem
    is_elsewhere = "QuestDB" in problem and ("cannot be reached" in problem or "refuses user" in problem)
    if not (lacks_variables or is_elsewhere):
        return ""
    from tributary_pipelines.core.errors import TributaryError
    from tributary_pipelines.core.settings import find_settings_file

    try:
        from tributary_pipelines.storage.questdb.server import status

        info = status(_root_beside(find_settings_file(config)))
    except (TributaryError, ModuleNotFoundError):
        # A hint beside an error that is told anyway.
        return ""
    if info is None:
        return ""
    return (
        f"; a server of this folder runs on {info.host}, PostgreSQL wire {info.pg_port}, HTTP {info.http_port}: "
        "put the block that 'tributary questdb start' prints into tributary.yaml, and load its passwords: "
        f". {Path(info.root) / 'environment'}"
    )


def _describe(info: "ServerInfo | None") -> dict[str, Any]:
    names = ("root", "host", "pg_port", "http_port", "user", "http_user")
    return {
        "status": "stopped" if info is None else "running",
        **{name: getattr(info, name, None) for name in names},
        "environment": None if info is None else str(Path(info.root) / "environment"),
    }


def _print_server(to: "Console", plain: Mapping[str, Any]) -> None:
    if plain["status"] == "stopped":
        to.print("no server runs here; 'tributary questdb start' starts one", markup=False)
        return
    lines = [
        f"QuestDB runs on {plain['host']}: PostgreSQL wire {plain['pg_port']}, HTTP {plain['http_port']}",
        "to use it, put this into tributary.yaml:",
        "storage:",
        "  kind: questdb",
        *(f"  {name}: {plain[name]}" for name in ("host", "pg_port", "http_port", "user", "http_user")),
        "  password: ${QUESTDB_PASSWORD}",
        "  http_password: ${QUESTDB_HTTP_PASSWORD}",
        f"and load the passwords into the shell: . {plain['environment']}",
    ]
    to.print("\n".join(lines), markup=False, soft_wrap=True)
