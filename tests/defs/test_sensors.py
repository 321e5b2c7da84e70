"""New parameters start plans and simulations: every event once, in few runs, and none of the past."""

import time
from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg
import pytest

from tributary_pipelines.core.settings import Instrument
from tributary_pipelines.defs import sensors
from tributary_pipelines.defs.sensors import (
    NewParameters,
    build_parameters_sensor,
    read_events,
    run_requests,
    stretches,
)
from tributary_pipelines.defs.stages import PARAMETERS, PLANS, SIMULATIONS, asset_key

DAY = date(2026, 3, 1)
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def instruments_named(*names: str) -> list[Instrument]:
    return [Instrument(name=name, market_id=name) for name in names]


def report(instance: dg.DagsterInstance, instrument: str, day: date) -> None:
    key = asset_key(instrument, PARAMETERS.name)
    instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day.isoformat()))


class Ticks:
    """A sensor evaluated tick by tick, each fed the cursor of the one before."""

    def __init__(self, instance: dg.DagsterInstance, names: Sequence[str], settle_s: float = 0.0) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self.sensor = build_parameters_sensor(instruments_named(*names), "", is_running=True, settle_s=settle_s)

    def next(self) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = self.sensor(context)
        self.cursor = result.cursor if isinstance(result, dg.SensorResult) else context.cursor
        return list(result.run_requests or []) if isinstance(result, dg.SensorResult) else []


def started(requests: Sequence[dg.RunRequest]) -> list[tuple[str, str, str]]:
    """Every (asset, first day, last day) that the requests start."""
    return sorted(
        (key.to_user_string(), request.tags[START], request.tags[END])
        for request in requests
        for key in request.asset_selection or []
    )


def test_the_first_tick_starts_nothing_of_the_past(instance: dg.DagsterInstance) -> None:
    report(instance, "btc", DAY)
    ticks = Ticks(instance, ["btc"])
    assert ticks.next() == []
    assert ticks.next() == []


def test_new_parameters_start_that_day_of_that_instrument(instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance, ["btc", "eth"])
    ticks.next()
    report(instance, "eth", DAY)
    assert started(ticks.next()) == [
        ("eth/execution_plans", "2026-03-01", "2026-03-01"),
        ("eth/execution_simulations", "2026-03-01", "2026-03-01"),
    ]
    assert ticks.next() == []


def test_a_thousand_events_in_one_tick_are_one_run_and_none_is_lost(instance: dg.DagsterInstance) -> None:
    names = [f"market_{n}" for n in range(1_000)]
    ticks = Ticks(instance, names)
    ticks.next()
    for name in names:
        report(instance, name, DAY)
    began = time.perf_counter()
    requests = ticks.next()
    assert time.perf_counter() - began < 10
    assert len(requests) == 1
    assert {key.path[0] for key in requests[0].asset_selection or []} == set(names)
    assert ticks.next() == []


def test_many_events_of_one_asset_are_all_read(instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance, ["btc"])
    ticks.next()
    for n in range(60):
        report(instance, "btc", DAY + timedelta(days=n))
    (request,) = ticks.next()
    assert (request.tags[START], request.tags[END]) == ("2026-03-01", "2026-04-29")


def test_events_beyond_the_limit_wait_for_the_next_tick(instance: dg.DagsterInstance) -> None:
    watched = {asset_key(name, PARAMETERS.name): name for name in ("a", "b")}
    for n in range(20):
        report(instance, "a", DAY + timedelta(days=n))
        instance.report_runless_asset_event(dg.AssetMaterialization("elsewhere"))
        if n % 5 == 0:
            report(instance, "b", DAY + timedelta(days=n))
    cursor, seen, n_ticks = 0, [], 0
    while True:
        batch, reached = read_events(instance, watched, cursor, before=time.time(), limit=6)
        if reached == cursor:
            break
        cursor, n_ticks = reached, n_ticks + 1
        seen += [(event.instrument, event.day) for event in batch]
    assert len(seen) == len(set(seen)) == 24
    assert n_ticks == 8


def test_pages_join_without_a_gap(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "_PAGE", 4)
    for n in range(12):
        report(instance, "a", DAY + timedelta(days=n))
    found, _ = read_events(instance, {asset_key("a", PARAMETERS.name): "a"}, 0, before=time.time())
    assert [(event.day - DAY).days for event in found] == list(range(12))


def test_an_event_is_left_until_it_has_settled_and_nothing_behind_it_is_passed_by(instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance, ["btc"], settle_s=60.0)
    ticks.next()
    report(instance, "btc", DAY)
    cursor = ticks.cursor
    assert ticks.next() == []
    assert ticks.cursor == cursor


def event(storage_id: int, instrument: str = "a", day: date = DAY) -> NewParameters:
    return NewParameters(storage_id, instrument, day, "run")


def test_nothing_follows_a_run_that_makes_the_plans_itself(instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance, ["btc"])
    ticks.next()
    partitions = dg.DailyPartitionsDefinition("2026-01-01")
    specs = [
        dg.AssetSpec(asset_key("btc", stage.name), partitions_def=partitions, skippable=True)
        for stage in (PARAMETERS, PLANS, SIMULATIONS)
    ]

    @dg.multi_asset(specs=specs, can_subset=True)
    def whole(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def]
        for key in context.selected_asset_keys:
            yield dg.MaterializeResult(key)

    job = dg.Definitions(assets=[whole]).resolve_implicit_global_asset_job_def()
    everything = [spec.key for spec in specs]
    job.execute_in_process(instance=instance, partition_key="2026-03-01", asset_selection=everything)
    assert ticks.next() == []
    job.execute_in_process(instance=instance, partition_key="2026-03-02", asset_selection=everything[:1])
    assert {(first, last) for _, first, last in started(ticks.next())} == {("2026-03-02", "2026-03-02")}


def test_instruments_with_the_same_days_share_a_run_and_the_key_names_storage_ids() -> None:
    events = [event(10, "a"), event(11, "b"), event(12, "a", DAY + timedelta(days=1)), event(13, "c", date(2026, 5, 1))]
    requests = list(run_requests(events))
    assert started(requests) == [
        ("a/execution_plans", "2026-03-01", "2026-03-02"),
        ("a/execution_simulations", "2026-03-01", "2026-03-02"),
        ("b/execution_plans", "2026-03-01", "2026-03-01"),
        ("b/execution_simulations", "2026-03-01", "2026-03-01"),
        ("c/execution_plans", "2026-05-01", "2026-05-01"),
        ("c/execution_simulations", "2026-05-01", "2026-05-01"),
    ]
    assert len({request.run_key for request in requests}) == 3
    assert "-10-12-" in str([request.run_key for request in requests])


@pytest.mark.parametrize(("offsets", "expected"), [([], []), ([0], [(0, 0)]), ([2, 0, 1, 5], [(0, 2), (5, 5)])])
def test_stretches_join_neighbouring_days(offsets: list[int], expected: list[tuple[int, int]]) -> None:
    found = stretches([DAY + timedelta(days=n) for n in offsets])
    assert [((first - DAY).days, (last - DAY).days) for first, last in found] == expected
