"""The ``tributary`` command: its tree of commands, and the one edge where errors become a line and an exit status.

Commands are named here and imported when they run, so that ``tributary --help`` answers at once. Exit status: 0 done,
1 an error, 2 wrong usage, 3 refused. Nothing is computed here.
"""

import sys
from collections.abc import Sequence
from typing import Any

import click

from tributary_pipelines.cli.options import Group, Invocation
from tributary_pipelines.core.errors import TributaryError

_COMMANDS = {
    "init": "folder:init",
    "demo": "demo:demo",
    "ui": "pipeline:ui",
    "run": "pipeline:run",
    "synth": "market_data:synth",
    "import": "files:import_",
    "export": "files:export",
    "store": "store:store",
    "questdb": "store:questdb",
    "bars": "market_data:bars",
    "analytics": "analytics:analytics",
}

_EPILOG = """
\b
Examples:
  tributary demo                                  see everything work, in an empty folder
  tributary init                                  start with your own data
  tributary import trades trades.csv --market M
  tributary analytics calibrate --market M --json

\b
Exit status: 0 done, 1 an error, 2 wrong usage, 3 refused (the data cannot answer).
Shell completion: eval "$(_TRIBUTARY_COMPLETE=bash_source tributary)", or zsh_source, fish_source.
"""


class _Root(Group):
    def main(  # type: ignore[override] # always the edge of a program: there is no other mode to choose
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run the command line; every error leaves as one line on stderr and an exit status."""
        invocation = Invocation()
        extra.update(standalone_mode=False, obj=invocation)
        try:
            status = super().main(args, prog_name, **extra)
        except click.UsageError as error:
            _complain(_usage(error))
            status = 2
        except (KeyboardInterrupt, click.Abort):
            _complain("interrupted; what was done before is kept, and the same command goes on from there")
            status = 1
        except Exception as error:  # noqa: BLE001 the edge of the program: reports every failure, hides none
            status = _report(error, invocation)
        sys.exit(status if isinstance(status, int) else 0)


def _usage(error: click.UsageError) -> str:
    where = error.ctx.command_path if error.ctx else "tributary"
    message = error.format_message().rstrip(".").replace("\n", " ")
    return f"{message}, in '{where}'; see '{where} --help'"


def _report(error: Exception, invocation: Invocation) -> int:
    if invocation.debug:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    message = _explain(error, with_traceback=invocation.debug)
    if isinstance(error, TributaryError):
        from tributary_pipelines.cli.store import hint_of_local_server

        message += hint_of_local_server(message, invocation.config)
    _complain(message)
    return 1


def _explain(error: Exception, *, with_traceback: bool) -> str:
    if isinstance(error, TributaryError):
        return str(error)
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.filename is not None:
        return (
            f"{(error.strerror or 'input/output error').lower()}, {error.filename}; check the path and its permissions"
        )
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    where = f"{frames.tb_frame.f_code.co_filename} line {frames.tb_lineno}" if frames else "an unknown place"
    hint = "please report it" if with_traceback else "run it again with --debug and report what it prints"
    return f"unexpected {type(error).__name__}: {error}, in {where}; {hint}"


def _complain(message: str) -> None:
    click.echo(f"error: {' '.join(message.split())}", err=True)


cli = _Root(
    "tributary",
    commands=_COMMANDS,
    epilog=_EPILOG,
    help="Market data to execution decisions: bars, calibrated impact parameters, plans and simulations.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``tributary`` and exit with its status."""
    cli.main(arguments, prog_name="tributary")
