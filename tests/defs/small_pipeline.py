"""A small but whole pipeline folder: settings, instruments and an embedded store with synthetic markets."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from tributary_pipelines.core.requests import SyntheticRequest
from tributary_pipelines.core.settings import Instrument, Settings, load_instruments, load_settings
from tributary_pipelines.defs.component import build_definitions
from tributary_pipelines.defs.stages import STAGES, Stage, asset_keys
from tributary_pipelines.flows.market_data import synthesize
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.open import open_store

FIRST_DAY = date(2026, 3, 1)
N_DAYS = 5
LAST_DAY = FIRST_DAY + timedelta(days=N_DAYS - 1)
START_TAG, END_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
#: Trades an hour: enough to calibrate, too few, and a market that nobody has stored.
MARKETS = {"alpha": 40.0, "thin": 0.5}
_SETTINGS = """
storage: {storage}
instruments: instruments.yaml
schedule: {{first_day: {first_day}}}
analytics:
  calibration: {{default_lookback_days: 4, min_days: 2}}
  planning: {{orders: [{{side: buy, shares: 200, horizon: 1h, slices: 4}}]}}
"""
_INSTRUMENTS = """
instruments:
- {name: alpha, market_id: alpha}
- {name: thin, market_id: thin}
- {name: ghost, market_id: ghost}
"""


def write_settings(folder: Path, storage: str = "{kind: duckdb, path: market.duckdb}") -> Path:
    """Write tributary.yaml and instruments.yaml; return the settings file."""
    (folder / "instruments.yaml").write_text(_INSTRUMENTS, encoding="utf-8")
    file = folder / "tributary.yaml"
    file.write_text(_SETTINGS.format(storage=storage, first_day=FIRST_DAY), encoding="utf-8")
    return file


def write_markets(store: MarketStore, n_days: int = N_DAYS, first_day: date = FIRST_DAY) -> None:
    """Write the synthetic markets; the same each time."""
    for seed, (name, rate) in enumerate(MARKETS.items()):
        request = SyntheticRequest(
            market_id=name,
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
