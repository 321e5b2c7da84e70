"""``tributary ui`` and ``tributary run``: the Dagster instance of this folder, seen and used."""

import signal
import socket
import subprocess
import sys
import time

import click

from tributary_pipelines.cli.folder import dagster_home
from tributary_pipelines.cli.options import Command, invocation
from tributary_pipelines.cli.output import note

LOOPBACK = "127.0.0.1"
_DEFAULT_PORT = 3000
_START_LIMIT_S = 120.0
_STOP_LIMIT_S = 60.0

_UI_EXAMPLES = """
\b
Examples:
  tributary ui
  tributary ui --port 3100
\b
Webserver and daemon of this folder's instance, on loopback only; Ctrl-C stops both.
"""


@click.command("ui", cls=Command, epilog=_UI_EXAMPLES)
@click.option("--port", type=click.IntRange(1, 65_535), help="Default 3000, or a free one when it is taken.")
def ui(port: int | None) -> None:
    """Open the Dagster UI of this folder, with its schedule and sensor."""
    from tributary_pipelines.core.settings import child_environment, find_settings_file

    settings = invocation().settings()
    chosen = _free_port(port)
    variables = {"DAGSTER_HOME": str(dagster_home(settings))}
    config = find_settings_file(invocation().config)
    if config is not None:
        variables["TRIBUTARY_CONFIG"] = str(config.resolve())
    level = invocation().log_level or "warning"
    arguments = [
        "dev",
        "-m",
        "tributary_pipelines.definitions",
        "-h",
        LOOPBACK,
        "-p",
        str(chosen),
        "--log-level",
        level,
    ]
    # A session of its own: Ctrl-C reaches us alone, and we stop the services once and in order.
    process = subprocess.Popen(  # noqa: S603 our own interpreter and arguments
        [sys.executable, "-W", "ignore", "-m", "dagster", *arguments],
        env=child_environment(**variables),
        cwd=settings.folder,
        start_new_session=True,
    )
    _serve(process, chosen)


def _free_port(wanted: int | None) -> int:
    from tributary_pipelines.core.errors import ConfigurationError

    for port in (wanted or _DEFAULT_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                if wanted is not None:
                    raise ConfigurationError(
                        f"port {wanted} on {LOOPBACK} is taken; choose another with --port"
                    ) from None
                continue
            return int(probe.getsockname()[1])
    raise ConfigurationError(f"no free port on {LOOPBACK}; name one with --port")


def _serve(process: subprocess.Popen[bytes], port: int) -> None:
    from tributary_pipelines.core.errors import ConfigurationError

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        note("starting webserver and daemon ...")
        _wait_until_it_answers(process, port)
        click.echo(f"Tributary UI: http://{LOOPBACK}:{port}   (Ctrl-C stops it)")
        status = process.wait()
        raise ConfigurationError(f"the Dagster services ended with status {status}; their messages are above")
    except KeyboardInterrupt:
        note("stopping ...")
    finally:
        _stop(process)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    from tributary_pipelines.core.errors import ConfigurationError

    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ConfigurationError("the Dagster services did not start; their messages are above")
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.3)
        else:
            return
    raise ConfigurationError(
        f"the Dagster UI did not answer within {_START_LIMIT_S:.0f} s; run it again with --log-level debug"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
