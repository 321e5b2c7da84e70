"""The pipeline over a range of days as one run on a Dagster instance, in this process, for ``tributary run`` and demo.

The run is recorded like one started from the UI: its events, metadata, checks and plots are seen there. It does not
wait in the queue; the embedded store's own lock keeps writers apart.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator

from tributary_pipelines.core.errors import ConfigurationError
from tributary_pipelines.core.settings import Instrument, Settings
from tributary_pipelines.defs.component import build_definitions
from tributary_pipelines.defs.stages import STAGES, asset_keys

#: Called with (assets done, assets in all, what was done last).
Progress = Callable[[int, int, str], None]
#: Events reach the instance; on the terminal only the caller speaks.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(slots=True)
class RangeRun:
    """What became of a run over a range of days.

    Parameters
    ----------
    n_materialized, n_refused
        Materialisations (instrument, stage and day), and how many of them say that the data cannot answer.
    unanswered
        On how many days a stage had no answer, by stage, status (refused or no_data) and reason.
    failures
        One line for each step that failed.
    """

    run_id: str
    is_success: bool = False
    n_materialized: int = 0
    n_refused: int = 0
    unanswered: dict[tuple[str, str, str], int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def run_range(
    settings: Settings,
    instruments: Sequence[Instrument],
    start: date,
    end: date,
    *,
    home: Path,
    settings_file: Path | None = None,
    progress: Progress | None = None,
) -> RangeRun:
    """Run every stage for these instruments and the days of [start, end), as one run.

    Parameters
    ----------
    home
        The Dagster home (DAGSTER_HOME) whose instance records the run.
    settings_file
        The file that ``settings`` came from; those in force are read again when None.

    Raises
    ------
    ConfigurationError
        A day lies before the first partition or is not over yet, or there is no instrument.
    """
    _check_days(settings, instruments, start, end)
    with warnings.catch_warnings():
        # Windows before the first partition are a beta feature; it is tested here, and no user can act on the warning.
        warnings.simplefilter("ignore", dg.BetaWarning)
        file = None if settings_file is None else str(settings_file.resolve())
        job = build_definitions(settings, instruments, file=file).resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.from_config(str(home)) as instance:
            tags = {
                "dagster/asset_partition_range_start": start.isoformat(),
                "dagster/asset_partition_range_end": (end - timedelta(days=1)).isoformat(),
            }
            keys = frozenset(asset_keys(instruments, STAGES))
            run = instance.create_run_for_job(job_def=job, tags=tags, asset_selection=keys, run_config=_QUIET)
            return _follow(execute_run_iterator(InMemoryJob(job), run, instance), run.run_id, len(keys), progress)


def _check_days(settings: Settings, instruments: Sequence[Instrument], start: date, end: date) -> None:
    today = datetime.now(UTC).date()
    if not instruments:
        raise ConfigurationError("no instrument to run; name markets in the instruments file of the settings")
    if start >= end:
        raise ConfigurationError(f"the days from {start} to {end} (exclusive) are none; let end lie after start")
    if start < settings.schedule.first_day:
        raise ConfigurationError(
            f"{start} lies before the first partition {settings.schedule.first_day}; set schedule.first_day earlier"
        )
    if end > today:
        raise ConfigurationError(
            f"{end - timedelta(days=1)} is not over yet in UTC; the last day can be before {today}"
        )


def _follow(events: Iterator[dg.DagsterEvent], run_id: str, n_assets: int, progress: Progress | None) -> RangeRun:
    found, done = RangeRun(run_id), set()
    for event in events:
        if event.is_step_materialization and event.asset_key is not None:
            found.n_materialized += 1
            _count_unanswered(found, event.asset_key.path[-1], event.materialization.metadata)
            if event.asset_key not in done and progress is not None:
                done.add(event.asset_key)
                instrument, stage = event.asset_key.path
                progress(len(done), n_assets, f"{stage} of {instrument}")
        elif event.is_step_failure:
            found.failures.append(_reason(event))
        elif event.is_job_failure and not found.failures:
            # Before any step: the store's settings cannot be used, say.
            error = event.job_failure_data.error
            found.failures.append(_first_cause(error) if error else event.message or "the run failed")
        found.is_success |= event.is_job_success
    return found


def _count_unanswered(found: RangeRun, stage: str, told: Mapping[str, dg.MetadataValue]) -> None:
    status, reasons = (told[name].value if name in told else None for name in ("status", "reasons"))
    if status not in ("refused", "no_data"):
        return
    found.n_refused += status == "refused"
    key = (stage, status, str(reasons or "no reason given"))
    found.unanswered[key] = found.unanswered.get(key, 0) + 1


def _reason(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    told = data.user_failure_data.description if data.user_failure_data else None
    return f"{event.step_key}: {told or (_first_cause(data.error) if data.error else 'no reason given')}"


def _first_cause(error: Any) -> str:
    while error.cause is not None:
        error = error.cause
    return str(error.message).strip()
