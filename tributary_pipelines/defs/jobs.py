"""The jobs: what runs every day, and the observation of the raw tables.

Never a job for each market, and none for what "Materialize" in the UI, the sensor and ``tributary run`` start as
well: each job of a thousand instruments costs a second of load time. A range of days is one run
(BackfillPolicy.single_run).
"""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

from tributary_pipelines.core.settings import Instrument
from tributary_pipelines.defs.stages import IMPACT_STATISTICS, PARAMETERS, TABLES, VWAP_BARS, asset_keys

RECALIBRATION = "recalibration"

__all__ = ["RECALIBRATION", "AssetJob", "build_observation", "build_recalibration"]


def build_recalibration(instruments: Sequence[Instrument], suffix: str) -> AssetJob:
    """Return the daily job: bars, statistics and parameters of one day; plans and replays follow by sensor."""
    return dg.define_asset_job(
        f"{RECALIBRATION}{suffix}",
        dg.AssetSelection.assets(*asset_keys(instruments, (VWAP_BARS, IMPACT_STATISTICS, PARAMETERS))),
        description="Bars, impact statistics and parameters of the day; plans and replays follow by sensor.",
    )


def build_observation() -> AssetJob:
    """Return the job that looks at the raw tables: rows, last time, health."""
    return dg.define_asset_job(
        "observe_market_data",
        dg.AssetSelection.assets(*TABLES),
        description="Rows and last time of the raw tables, the instruments that wait longest for data, table checks.",
    )
