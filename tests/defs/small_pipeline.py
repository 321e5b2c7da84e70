"""A small but whole pipeline folder: settings, instruments and an embedded store with synthetic markets."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

import dagster as dg

from tributary_pipelines.core.requests import SyntheticRequest
from tributary_pipelines.core.settings import Instrument, Settings, load_instruments, load_settings
from tributary_pipelines.defs.component import build_definitions
from tributary_pipelines.defs.stages import STAGES, Stage, asset_keys
from tributary_pipelines.flows.market_data import synthesize
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.open import open_store

#: What Dagster says of itself; warnings of ours are errors all the same.
DAGSTERS_OWN = (
    # Windows before the first partition are a beta feature that the pipeline stands on.
    "ignore::dagster.BetaWarning",
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning",
    "ignore:Function `JobDefinition.run_request_for_partition` is deprecated:DeprecationWarning",
    "ignore:`parse_obj_as` is deprecated",
)

FIRST_DAY = date(2026, 3, 1)
N_DAYS = 5
LAST_DAY = FIRST_DAY + timedelta(days=N_DAYS - 1)
START_TAG, END_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
#: Trades an hour: enough to calibrate, too few, and a market that nobody has stored.
MARKETS = {"alpha": 40.0, "thin": 0.5}
DUCKDB = {"kind": "duckdb", "path": "market.duckdb"}


def write_settings(
    folder: Path,
    storage: Mapping[str, object] = MappingProxyType(DUCKDB),
    *,
    names: Sequence[str] = (*MARKETS, "ghost"),
    prefix: str = "",
    first_day: date = FIRST_DAY,
    schedule_at: str = "01:15",
) -> Path:
    """Write tributary.yaml and instruments.yaml; return the settings file.

    Parameters
    ----------
    prefix
        Of the markets' ids, so that several tests can share a server.
    """
    instruments = [{"name": name, "market_id": prefix + name} for name in names]
    (folder / "instruments.yaml").write_text(json.dumps({"instruments": instruments}), encoding="utf-8")
    settings = {
        "storage": dict(storage),
        "instruments": "instruments.yaml",
        "schedule": {"first_day": first_day.isoformat(), "at": schedule_at},
        "analytics": {
            "calibration": {"default_lookback_days": 4, "min_days": 2},
            "planning": {"orders": [{"side": "buy", "shares": 200, "horizon": "1h", "slices": 4}]},
        },
    }
    file = folder / "tributary.yaml"
    # JSON is YAML, and quotes whatever a password may hold.
    file.write_text(json.dumps(settings), encoding="utf-8")
    file.chmod(0o600)
    return file


def write_markets(
    store: MarketStore,
    n_days: int = N_DAYS,
    first_day: date = FIRST_DAY,
    *,
    names: Sequence[str] = tuple(MARKETS),
    prefix: str = "",
) -> None:
    """Write the synthetic markets; the same each time."""
    for seed, (name, rate) in enumerate(MARKETS.items()):
        if name not in names:
            continue
        request = SyntheticRequest(
            market_id=prefix + name,
            n_days=n_days,
            trades_per_hour=rate,
            seed=seed,
            start=first_day,
            options={"snapshot_s": 60},
        )
        synthesize(store, request)


def load(file: Path) -> tuple[Settings, tuple[Instrument, ...]]:
    """Return the settings and instruments of a folder."""
    settings = load_settings(file)
    return settings, load_instruments(settings)


def opened(file: Path) -> MarketStore:
    """Return the folder's store, opened."""
    return open_store(load_settings(file))


def run(
    file: Path,
    instance: dg.DagsterInstance,
    first: date = FIRST_DAY,
    last: date = LAST_DAY,
    *,
    stages: Sequence[Stage] = STAGES,
    only: Sequence[str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run stages over a range of days, as one run; failures are in the result."""
    settings, instruments = load(file)
    chosen = [instrument for instrument in instruments if only is None or instrument.name in only]
    job = build_definitions(settings, instruments, file=str(file)).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        asset_selection=asset_keys(chosen, stages),
        tags={START_TAG: first.isoformat(), END_TAG: last.isoformat()},
        run_config=QUIET,
        raise_on_error=False,
    )
