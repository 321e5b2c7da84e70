"""The sensor that starts plans and simulations of a day once its parameters are there.

Parameters of day D start the plans of D, which use them, and the replay of D, whose book is then complete and which
uses parameters known before D. They never touch a replay that began before they were usable.

``@asset_sensor`` sees only the newest event of a tick and drops the rest (dagster#32853), and ``multi_asset_sensor``
stops at 25 unconsumed events an asset. This sensor reads every materialisation after its cursor, a storage id, in
pages, and batches what a tick found into few runs.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

from tributary_pipelines.core.settings import Instrument
from tributary_pipelines.defs.jobs import RECALIBRATION
from tributary_pipelines.defs.stages import PARAMETERS, PLANS, SIMULATIONS, asset_key, asset_keys

#: Events of one tick; a tick stays below 10 s, and what is left waits for the next.
MAX_EVENTS = 5_000
#: A storage id is given before its event can be read; younger events are left for the next tick, so none is passed by.
SETTLE_S = 2.0
_INTERVAL_S = 30
_LARGEST_PAGE = 500
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
    timestamp: float


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
        newest = newest_storage_ids(context.instance, list(watched))
        if context.cursor is None:
            context.update_cursor(str(max(newest.values(), default=0)))
            return dg.SkipReason("first tick: parameters from now on start plans and simulations")
        cursor = int(context.cursor)
        waiting = {key: watched[key] for key, newest_id in newest.items() if newest_id > cursor}
        found = settled(read_events(context.instance, waiting, cursor), before=time.time() - settle_s)
        if not found:
            return dg.SkipReason("no new parameters")
        covered = covered_by_their_runs(context.instance, found)
        wanted = [event for event in found if event.instrument not in covered[event.run_id]]
        return dg.SensorResult(run_requests=list(run_requests(wanted)), cursor=str(found[-1].storage_id))

    return new_parameters


def newest_storage_ids(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> dict[dg.AssetKey, int]:
    """Return the storage id of each asset's newest materialisation, in one query."""
    entries = [record.asset_entry for record in instance.get_asset_records(keys)]
    return {entry.asset_key: entry.last_materialization_storage_id or 0 for entry in entries}


def read_events(
    instance: dg.DagsterInstance, waiting: Mapping[dg.AssetKey, str], cursor: int, limit: int = MAX_EVENTS
) -> list[NewParameters]:
    """Return the events after the cursor by storage id: all of them, or the oldest ones once ``limit`` is passed.

    Parameters
    ----------
    waiting
        Assets with newer events, and their instruments' names.
    """
    size = max(1, min(_LARGEST_PAGE, limit // max(len(waiting), 1)))
    found: list[NewParameters] = []
    unread = dict.fromkeys(waiting, cursor)
    while unread and (len(found) < limit or min(unread.values()) == cursor):
        # The asset that was read least far holds everybody up: beyond it, older events may still be unread.
        key = min(unread, key=unread.__getitem__)
        events, last_read = _read_page(instance, key, waiting[key], unread.pop(key), size)
        found += events
        if last_read is not None:
            unread[key] = last_read
    horizon = min(unread.values(), default=None)
    return sorted(event for event in found if horizon is None or event.storage_id <= horizon)


def _read_page(
    instance: dg.DagsterInstance, key: dg.AssetKey, instrument: str, after: int, size: int
) -> tuple[list[NewParameters], int | None]:
    """Return one page of an asset's events, and up to which storage id it reaches when there are more."""
    page = instance.fetch_materializations(
        dg.AssetRecordsFilter(key, after_storage_id=after), limit=size, ascending=True
    )
    events = [
        NewParameters(one.storage_id, instrument, date.fromisoformat(one.partition_key), one.run_id, one.timestamp)
        for one in page.records
        if one.partition_key is not None
    ]
    return events, page.records[-1].storage_id if page.has_more else None


def settled(events: Sequence[NewParameters], *, before: float) -> list[NewParameters]:
    """Return the events up to the first that is younger than ``before`` (seconds since the epoch)."""
    for n, event in enumerate(events):
        if event.timestamp > before:
            return list(events[:n])
    return list(events)


def covered_by_their_runs(instance: dg.DagsterInstance, events: Sequence[NewParameters]) -> dict[str, frozenset[str]]:
    """Return, by run, the instruments whose plans and simulations that run makes itself; nothing follows for these."""
    names: dict[str, set[str]] = defaultdict(set)
    for event in events:
        names[event.run_id].add(event.instrument)
    return {run_id: _covered_by(instance.get_run_by_id(run_id), own) for run_id, own in names.items()}


def _covered_by(run: dg.DagsterRun | None, names: set[str]) -> frozenset[str]:
    if run is None:
        return frozenset()
    if run.asset_selection is None:
        # The whole of a job: the recalibration stops at parameters, any other job over these assets goes on.
        return frozenset() if run.job_name.startswith(RECALIBRATION) else frozenset(names)
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
