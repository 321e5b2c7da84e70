"""The daily schedule recalibrates yesterday at the set time; the hourly one looks at the tables."""

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from tests.defs.small_pipeline import opened
from tributary_pipelines.core.settings import Instrument, ScheduleSettings, Settings
from tributary_pipelines.defs.assets.market_data import least_healthy
from tributary_pipelines.defs.component import build_definitions
from tributary_pipelines.defs.stages import TABLES
from tributary_pipelines.defs.steps import days_of_run

NOW = datetime(2026, 3, 6, 12, tzinfo=UTC)


def repository(at: str) -> dg.RepositoryDefinition:
    settings = Settings(schedule=ScheduleSettings(at=at, first_day=date(2026, 1, 1)))
    return build_definitions(settings, [Instrument(name="alpha", market_id="A")]).get_repository_def()


@pytest.mark.parametrize(("at", "cron"), [("01:15", "15 1 * * *"), ("23:05", "5 23 * * *"), ("00:00", "0 0 * * *")])
def test_it_ticks_daily_at_the_setting_in_utc_for_yesterday(at: str, cron: str, instance: dg.DagsterInstance) -> None:
    loaded = repository(at)
    schedule = loaded.get_schedule_def("daily_recalibration")
    assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "UTC")
    hour, minute = (int(part) for part in at.split(":"))
    tick = datetime(2026, 3, 6, hour, minute, tzinfo=UTC)
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=tick, repository_def=loaded)
    (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.tags["dagster/partition"] == "2026-03-05"
    assert schedule.job_name == "recalibration"


def test_the_daily_job_stops_at_parameters() -> None:
    nodes = {node.name for node in repository("01:15").get_job("recalibration").nodes}
    stages = {"vwap_bars", "impact_statistics", "almgren_chriss_parameters"}
    assert nodes == stages


def test_the_tables_are_observed_and_checked(market_data: Path, instance: dg.DagsterInstance) -> None:
    settings_file = market_data
    result = observe(settings_file, instance)
    assert result.success
    for table in TABLES:
        record = instance.fetch_observations(dg.AssetKey(table), limit=1).records[0]
        assert record.asset_observation is not None
        shown = {key: value.value for key, value in record.asset_observation.metadata.items()}
        assert type(shown["n_rows"]) is int
        assert shown["n_rows"] > 0
        assert shown["is_suspended"] is False
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True] * 3


def observe(file: Path, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    from tests.defs.small_pipeline import QUIET, load

    settings, instruments = load(file)
    job = build_definitions(settings, instruments, file=str(file)).resolve_job_def("observe_market_data")
    return job.execute_in_process(instance=instance, run_config=QUIET)


def test_the_least_healthy_come_first_and_those_without_data_before_all(market_data: Path) -> None:
    instruments = [Instrument(name=name, market_id=name) for name in ("alpha", "thin", "ghost")]
    with opened(market_data) as store:
        found = least_healthy(store.reader, instruments, now=NOW)
    assert found["instrument"].iloc[0] == "ghost"
    assert found.set_index("instrument").loc["alpha", "hours_without_data"] == pytest.approx(12, abs=0.1)


def test_a_check_by_hand_looks_at_the_last_thirty_complete_days(instance: dg.DagsterInstance) -> None:
    days = days_of_run({}, today=date(2026, 3, 31))
    assert (len(days), days[0], days[-1]) == (30, date(2026, 3, 1), date(2026, 3, 30))
    tags = {"dagster/partition": "2026-03-05"}
    assert days_of_run(tags, today=NOW.date()) == [date(2026, 3, 5)]
