"""``tributary ui`` and ``tributary run``: the Dagster instance of this folder, seen and used."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tributary_pipelines.cli.folder import dagster_home
from tributary_pipelines.cli.options import DAY, Command, check_window, invocation, json_option
from tributary_pipelines.cli.output import answer, days_of, note, progress

if TYPE_CHECKING:
    from rich.console import Console

    from tributary_pipelines.core.settings import Instrument, Settings
    from tributary_pipelines.defs.launch import RangeRun

LOOPBACK = "127.0.0.1"
_DEFAULT_PORT = 3000
_START_LIMIT_S = 120.0
_STOP_LIMIT_S = 60.0
#: The services log to their stdout; ours is for the address alone.
_STDERR = 2

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
    """Open the Dagster UI of this folder; run its schedule and sensor."""
    from tributary_pipelines.core.settings import child_environment, find_settings_file

    settings = invocation().settings()
    chosen = _free_port(port)
    variables = {"DAGSTER_HOME": str(dagster_home(settings))}
    if not invocation().debug:
        # Dagster warns of each of its beta features in each of its processes; no user can act on that.
        variables["PYTHONWARNINGS"] = "ignore"
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
        [sys.executable, "-m", "dagster", *arguments],
        env=child_environment(**variables),
        cwd=settings.folder,
        stdout=_STDERR,
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


_RUN_EXAMPLES = """
\b
Examples:
  tributary run --market demo_liquid --start 2026-03-01 --end 2026-03-08
  tributary run --market M --start 2026-03-01 --end 2026-03-02 --json

\b
Days are UTC, --end is exclusive; parameters of a day stand on the stored statistics of the window before it.
"""


@click.command("run", cls=Command, epilog=_RUN_EXAMPLES)
@click.option("--market", required=True, metavar="M", help="Instrument name, market id, slug or series id.")
@click.option("--start", type=DAY, required=True, help="First UTC day.")
@click.option("--end", type=DAY, required=True, help="Last UTC day, exclusive.")
@json_option
def run(market: str, start: date, end: date) -> None:
    """Run the pipeline for these days, as one run of Dagster."""
    check_window(start, end)
    settings = invocation().settings()
    instrument = _instrument_of(settings, market)
    found = run_days(settings, [instrument], start, end)
    plain = {
        "instrument": instrument.name,
        "market_id": instrument.market_id,
        "series_id": instrument.series_id,
        "start": start,
        "end": end,
        "run_id": found.run_id,
        "status": "ok" if found.is_success else "failed",
        "n_materialized": found.n_materialized,
        "n_refused": found.n_refused,
        "failures": found.failures,
    }
    answer(plain, lambda to: _print_run(to, plain, found.unanswered))
    if not found.is_success:
        _fail(found.failures)


def run_days(settings: "Settings", instruments: "Sequence[Instrument]", start: date, end: date) -> "RangeRun":
    """Run every stage for the days of [start, end) on this folder's Dagster instance, with progress."""
    from tributary_pipelines.core.settings import find_settings_file
    from tributary_pipelines.defs.launch import run_range

    since = time.monotonic()

    with progress(f"running {days_of((end - start).days)}") as step:

        def tell(done: int, n_all: int, what: str) -> None:
            nonlocal since
            now = time.monotonic()
            step(f"{done} of {n_all}, {what} ({now - since:.0f} s)")
            since = now

        return run_range(
            settings,
            instruments,
            start,
            end,
            home=dagster_home(settings),
            settings_file=find_settings_file(invocation().config),
            progress=tell,
        )


def _fail(failures: Sequence[str]) -> NoReturn:
    from tributary_pipelines.core.errors import DataError

    raise DataError(f"the run failed: {'; '.join(failures) or 'no step says why'}; 'tributary ui' shows the run")


def _instrument_of(settings: "Settings", name: str) -> "Instrument":
    """Return the instrument that a name means; a stored market that is none becomes one for this run."""
    from tributary_pipelines.core.settings import Instrument, load_instruments
    from tributary_pipelines.flows.market_data import find_market
    from tributary_pipelines.storage.open import open_store

    known = load_instruments(settings)
    for instrument in known:
        if name in (instrument.name, instrument.market_id, instrument.series_id):
            return instrument
    with open_store(settings) as store:
        market_id = find_market(store.reader, name).market_id
        others = {market.market_id for market in store.reader.markets()} - {market_id}
    for instrument in known:
        if instrument.market_id == market_id:
            return instrument
    note(f"{market_id} is no instrument: its results are stored; add it to the instruments file to see it in the UI")
    taken = {instrument.name for instrument in known} | {_plain_name(other) for other in others}
    return Instrument(name=_free_name(market_id, taken), market_id=market_id)


def _plain_name(market_id: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", market_id.lower())


def _free_name(market_id: str, taken: set[str]) -> str:
    """Return a name for a market's assets that no other market's have: two would share one history."""
    name = _plain_name(market_id)
    return f"{name}_{sha256(market_id.encode()).hexdigest()[:8]}" if name in taken else name


def _print_run(to: "Console", plain: Mapping[str, Any], unanswered: Mapping[tuple[str, str, str], int]) -> None:
    refused = f", {plain['n_refused']} of them refused by the data" if plain["n_refused"] else ""
    to.print(
        f"{plain['status']}: {plain['n_materialized']} materialisations of {plain['instrument']}{refused}; "
        f"run {plain['run_id']}",
        markup=False,
        soft_wrap=True,
    )
    said = {"refused": "refused", "no_data": "no data on these days"}
    stages = {(stage, status) for stage, status, _ in unanswered}
    for stage, status in sorted(stages):
        days = {why: n_days for (*of, why), n_days in unanswered.items() if (stage, status) == tuple(of)}
        others = f" (and {len(days) - 1} more reasons on other days)" if len(days) > 1 else ""
        line = f"{said[status]}: {stage}, {days_of(sum(days.values()))}: {next(iter(days))}{others}"
        to.print(line, markup=False, soft_wrap=True)
