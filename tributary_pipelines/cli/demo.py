"""``tributary demo``: four synthetic markets of known truth and one real recording, through the whole pipeline.

Everything happens by the same functions that other commands and Dagster use. The folder remembers in
``.tributary/demo.json`` which days it made and from what it computed, so a second run changes nothing.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tributary_pipelines.cli.demo_report import KNOWN_ANSWERS, RECORDED_MARKET, print_report, report
from tributary_pipelines.cli.folder import write_folder
from tributary_pipelines.cli.options import Command, invocation, json_option
from tributary_pipelines.cli.output import answer, note

if TYPE_CHECKING:
    from tributary_pipelines.core.settings import Settings
    from tributary_pipelines.storage.base import MarketStore

N_DAYS = 35
RECORDING = "btcusdt-2024-08-08"
_ONE_DAY = timedelta(days=1)
_EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
_STATE = Path(".tributary/demo.json")
_SETTINGS = Path("tributary.yaml")
_STORE = Path(".tributary/market.duckdb")


@dataclass(frozen=True)
class SyntheticChoice:
    """One synthetic market of the demo."""

    market_id: str
    trades_per_hour: float
    seed: int
    options: dict[str, float] = field(default_factory=dict)


SYNTHETIC = (
    SyntheticChoice("demo_liquid", 20, 1),
    SyntheticChoice("demo_thin", 3, 2),
    # Prices in whole cents, as prediction markets quote them.
    SyntheticChoice("demo_coarse", 20, 5, {"tick": 0.01}),
    # Too few trades for a gamma of its own: it borrows from the other three.
    SyntheticChoice("demo_sparse", 0.2, 3),
)

_EXAMPLES = """
\b
Examples:
  mkdir demo && cd demo && tributary demo
  tributary demo --json

\b
Needs an empty folder, no server and no network; takes a few minutes. Again in the same folder it changes nothing.
"""


@click.command("demo", cls=Command, epilog=_EXAMPLES)
@json_option
def demo() -> None:
    """Show everything at work, on markets whose truth is known."""
    from tributary_pipelines.storage.open import open_store

    state = _open_folder(datetime.now(UTC))
    settings = _own_settings()
    with open_store(settings) as store:
        _bring_in_data(store, state)
        wanted = _fingerprint(settings, store)
    is_new = state["computed"] != wanted
    if is_new:
        _compute(settings, state)
        _save({**state, "computed": wanted})
    with open_store(settings) as store:
        found = report(store, settings, state["truth"], date.fromisoformat(state["end"]) - _ONE_DAY)
    plain = {"changed": is_new, **found}
    answer(plain, lambda to: print_report(to, plain))
    if not is_new:
        note("nothing was computed: data, settings and code are those of the last run")


def _open_folder(now: datetime) -> dict[str, Any]:
    from tributary_pipelines.core.errors import ConfigurationError
    from tributary_pipelines.core.settings import find_settings_file

    in_force = find_settings_file(invocation().config)
    if in_force is not None and in_force.resolve() != _SETTINGS.resolve():
        raise ConfigurationError(
            f"--config or $TRIBUTARY_CONFIG names other settings, {in_force}; the demo brings its own: "
            "run it without them, in an empty folder"
        )
    if _STATE.is_file():
        state: dict[str, Any] = json.loads(_STATE.read_text(encoding="utf-8"))
        write_folder(Path(), instruments="demo_instruments.yaml")
        return state
    taken = [path for path in (_SETTINGS, Path("instruments.yaml"), _STORE) if path.exists()]
    if taken:
        raise ConfigurationError(
            f"{taken[0]} is there, {Path.cwd()}; the demo brings its own settings and data: run it in an empty folder"
        )
    state = {"end": now.date().isoformat(), "truth": {}, "computed": None}
    _save(state)
    write_folder(Path(), instruments="demo_instruments.yaml")
    return state


def _own_settings() -> "Settings":
    """Return what this folder's file says, which is then the one in force, also for the run."""
    from tributary_pipelines.core.errors import ConfigurationError

    invocation().config = _SETTINGS
    settings = invocation().settings()
    storage = settings.storage
    if storage.kind != "duckdb" or settings.resolve(storage.path) != _STORE.resolve():
        raise ConfigurationError(
            f"storage of {_SETTINGS.resolve()} is no longer the demo's own; synthetic markets are written only to "
            f"{_STORE}: put it back, or run the demo in an empty folder"
        )
    return settings


def _save(state: dict[str, Any]) -> None:
    _STATE.parent.mkdir(parents=True, exist_ok=True)
    _STATE.write_text(json.dumps(state, indent=2), encoding="utf-8")


def _bring_in_data(store: "MarketStore", state: dict[str, Any]) -> None:
    from tributary_pipelines.core.requests import SyntheticRequest
    from tributary_pipelines.flows.market_data import synthesize
    from tributary_pipelines.storage.files.importing import import_files
    from tributary_pipelines.storage.files.summary import ImportOptions

    store.writer.create_tables()
    known = {market.market_id for market in store.reader.markets()}
    for choice in SYNTHETIC:
        if choice.market_id in known and choice.market_id in state["truth"]:
            continue
        note(f"making {choice.market_id}: {N_DAYS} days, {choice.trades_per_hour:g} trades an hour")
        since = time.monotonic()
        request = SyntheticRequest(
            market_id=choice.market_id,
            n_days=N_DAYS,
            trades_per_hour=choice.trades_per_hour,
            seed=choice.seed,
            start=date.fromisoformat(state["end"]) - timedelta(days=N_DAYS),
            options=choice.options,
        )
        state["truth"][choice.market_id] = synthesize(store, request)["truth"]
        note(f"made {choice.market_id} in {time.monotonic() - since:.0f} s")
        # A store that lacked data, perhaps because its file was deleted, lacks the results too.
        state["computed"] = None
        _save(state)
    folder = files("tributary_pipelines") / "data" / RECORDING
    for stream, name in (("markets", "markets.yaml"), ("trades", "trades.parquet"), ("books", "books.parquet")):
        with as_file(folder / name) as path:
            import_files(store, stream, [path], options=ImportOptions())


def _fingerprint(settings: "Settings", store: "MarketStore") -> str:
    from tributary_pipelines.analytics.calibration import impact_statistics
    from tributary_pipelines.analytics.optimization import parameters, plan
    from tributary_pipelines.analytics.simulation import engine
    from tributary_pipelines.flows.statistics import fingerprint_of

    data = [
        (market.market_id, [day.digest for day in store.reader.fingerprints(market.market_id, market.token_id, *_EVER)])
        for market in sorted(store.reader.markets(), key=lambda market: market.market_id)
    ]
    code = [module.CODE_VERSION for module in (impact_statistics, parameters, plan, engine)]
    return fingerprint_of(data, code, settings.analytics.model_dump(mode="json"))


def _compute(settings: "Settings", state: Mapping[str, Any]) -> None:
    from tributary_pipelines.cli.pipeline import run_days
    from tributary_pipelines.core.errors import DataError
    from tributary_pipelines.core.settings import load_instruments

    instruments = load_instruments(settings)
    names = {choice.market_id for choice in SYNTHETIC}
    synthetic = [instrument for instrument in instruments if instrument.market_id in names]
    recorded = [instrument for instrument in instruments if instrument.market_id == RECORDED_MARKET]
    end = date.fromisoformat(state["end"])
    windows = (
        (synthetic, end - timedelta(days=N_DAYS), end),
        (recorded, min(KNOWN_ANSWERS), max(KNOWN_ANSWERS) + _ONE_DAY),
    )
    for chosen, first, last in windows:
        note(f"running {', '.join(instrument.name for instrument in chosen)}: {first} to {last}")
        since = time.monotonic()
        found = run_days(settings, chosen, first, last)
        note(f"ran for {time.monotonic() - since:.0f} s")
        if not found.is_success:
            raise DataError(
                f"the demo's run failed: {'; '.join(found.failures)}; 'tributary ui' shows run {found.run_id}"
            )
