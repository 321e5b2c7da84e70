"""The sensor that starts plans and simulations of a day once its parameters are there.

Parameters of day D start the plans of D, which use them, and the replay of D, whose book is then complete and which
uses parameters known before D. They never touch a replay that began before they were usable.

``@asset_sensor`` sees only the newest event of a tick and drops the rest (dagster#32853), and ``multi_asset_sensor``
stops at 25 unconsumed events an asset. This sensor reads every materialisation after its cursor, a storage id, page by
page for all assets at once: with PostgreSQL a query for each asset is a connection for each asset, 70 s a tick at a
thousand instruments where this takes one.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

from tributary_pipelines.core.settings import Instrument
from tributary_pipelines.defs.stages import PARAMETERS, PLANS, SIMULATIONS, asset_key, asset_keys

#: Events read in one tick, of all assets; what is left waits for the next tick.
MAX_EVENTS = 10_000
_PAGE = 1_000
#: A storage id is given before its event can be read; younger events are left for the next tick, so none is passed by.
SETTLE_S = 2.0
_INTERVAL_S = 30
_MATERIALIZATIONS = dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION)
_FOLLOWING = (PLANS.name, SIMULATIONS.name)
_RANGE_START_TAG = "dagster/asset_partition_range_start"
_RANGE_END_TAG = "dagster/asset_partition_range_end"


@dataclass(frozen=True, slots=True, order=True)
class NewParameters:
    """One materialisation of an instrument's parameters."""

    storage_id: int
    instrument: str
    day: date
    run_id: str


def build_parameters_sensor(
    instruments: Sequence[Instrument], suffix: str, *, is_running: bool, settle_s: float = SETTLE_S
) -> dg.SensorDefinition:
    """Return the sensor over the instruments' parameters.

    Parameters
    ----------
    settle_s
        Age from which an event is taken.
    """
    watched = {asset_key(instrument.name, PARAMETERS.name): instrument.name for instrument in instruments}

    @dg.sensor(
        name=f"new_parameters{suffix}",
        asset_selection=dg.AssetSelection.assets(*asset_keys(instruments, (PLANS, SIMULATIONS))),
        minimum_interval_seconds=_INTERVAL_S,
        description="New Almgren-Chriss parameters start the plans and the replay of that day and instrument.",
        default_status=dg.DefaultSensorStatus.RUNNING if is_running else dg.DefaultSensorStatus.STOPPED,
    )
    def new_parameters(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if context.cursor is None:
            context.update_cursor(str(newest_storage_id(context.instance)))
            return dg.SkipReason("first tick: parameters from now on start plans and simulations")
        before = time.time() - settle_s
        found, cursor = read_events(context.instance, watched, int(context.cursor), before=before)
        covered = covered_by_their_runs(context.instance, found)
        wanted = [event for event in found if event.instrument not in covered[event.run_id]]
        requests = list(run_requests(wanted))
        skipped = None if requests else "no new parameters"
        return dg.SensorResult(run_requests=requests, skip_reason=skipped, cursor=str(cursor))

    return new_parameters


def newest_storage_id(instance: dg.DagsterInstance) -> int:
    """Return the storage id of the newest materialisation of any asset, 0 when there is none."""
    newest = instance.event_log_storage.get_event_records(_MATERIALIZATIONS, limit=1)
    return newest[0].storage_id if newest else 0


def read_events(
    instance: dg.DagsterInstance,
    watched: Mapping[dg.AssetKey, str],
    cursor: int,
    *,
    before: float,
    limit: int = MAX_EVENTS,
) -> tuple[list[NewParameters], int]:
    """Return the watched events after the cursor, oldest first, and the cursor up to which everything was read.

    Parameters
    ----------
    watched
        Assets and their instruments' names.
    before
        Events from this moment on (seconds since the epoch) have not settled and are left.
    limit
        Events of any asset that are read at most.
    """
    found: list[NewParameters] = []
    for record in _records_after(instance, cursor, limit):
        if record.timestamp > before:
            break
        cursor = record.storage_id
        instrument = watched.get(record.asset_key) if record.asset_key else None
        if instrument is not None and record.partition_key is not None:
            found.append(NewParameters(cursor, instrument, date.fromisoformat(record.partition_key), record.run_id))
    return found, cursor


def _records_after(instance: dg.DagsterInstance, cursor: int, limit: int) -> Iterator[dg.EventLogRecord]:
    n_read = 0
    while n_read < limit:
        wanted = _MATERIALIZATIONS._replace(after_cursor=cursor)
        page = instance.event_log_storage.get_event_records(wanted, limit=min(_PAGE, limit - n_read), ascending=True)
        yield from page
        if len(page) < _PAGE:
            return
        n_read += len(page)
        cursor = page[-1].storage_id


def covered_by_their_runs(instance: dg.DagsterInstance, events: Sequence[NewParameters]) -> dict[str, frozenset[str]]:
    """Return, by run, the instruments whose plans and simulations that run makes itself; nothing follows for these."""
    names: dict[str, set[str]] = defaultdict(set)
    for event in events:
        names[event.run_id].add(event.instrument)
    return {run_id: _covered_by(instance.get_run_by_id(run_id), own) for run_id, own in names.items()}


def _covered_by(run: dg.DagsterRun | None, names: set[str]) -> frozenset[str]:
    # Plans that are made twice are the same plans; plans that nobody makes are missing. So only a run that names them,
    # and that has not failed or been cancelled, is trusted to make them.
    if run is None or run.asset_selection is None or run.is_failure_or_canceled:
        return frozenset()
    chosen = run.asset_selection
    return frozenset(name for name in names if all(asset_key(name, stage) in chosen for stage in _FOLLOWING))


def run_requests(events: Sequence[NewParameters]) -> Iterator[dg.RunRequest]:
    """Yield few runs for many events: instruments with the same stretch of days share one run over that stretch."""
    by_instrument: dict[str, dict[date, int]] = defaultdict(dict)
    for event in events:
        by_instrument[event.instrument][event.day] = event.storage_id
    by_stretch: dict[tuple[date, date], dict[str, list[int]]] = defaultdict(dict)
    for instrument, days in by_instrument.items():
        for stretch in stretches(list(days)):
            ids = [storage_id for day, storage_id in days.items() if stretch[0] <= day <= stretch[1]]
            by_stretch[stretch][instrument] = ids
    for (first, last), members in sorted(by_stretch.items()):
        ids = [storage_id for own in members.values() for storage_id in own]
        yield dg.RunRequest(
            run_key=f"parameters-{min(ids)}-{max(ids)}-{first}-{last}",
            asset_selection=[asset_key(name, stage) for name in members for stage in _FOLLOWING],
            tags={_RANGE_START_TAG: first.isoformat(), _RANGE_END_TAG: last.isoformat()},
        )


def stretches(days: Sequence[date]) -> list[tuple[date, date]]:
    """Return the unbroken stretches of days, each as its first and last day.

    Examples
    --------
    >>> stretches([date(2026, 3, 3), date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 5)])
    [(datetime.date(2026, 3, 1), datetime.date(2026, 3, 3)), (datetime.date(2026, 3, 5), datetime.date(2026, 3, 5))]
    """
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
