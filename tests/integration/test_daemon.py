"""Unattended, on PostgreSQL: the schedule recalibrates yesterday by itself, and plans and simulations follow."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from tests.defs.small_pipeline import DAGSTERS_OWN, load, opened, write_markets, write_settings
from tests.integration.postgresql import PostgresDatabase
from tests.integration.processes import clean_environment, running, wait_until
from tributary_pipelines.core.result_frames import EXECUTION_PLANS, EXECUTION_SIMULATIONS
from tributary_pipelines.core.units import day_start
from tributary_pipelines.defs.launch import run_range
from tributary_pipelines.defs.stages import PARAMETERS, PLANS, SIMULATIONS, asset_key

pytestmark = [pytest.mark.integration, *map(pytest.mark.filterwarnings, DAGSTERS_OWN)]

ROOT = Path(__file__).parents[2]
ONE_DAY = timedelta(days=1)
#: A loaded machine starts the daemon in this time, before the schedule's minute comes.
LEAD_S = 30
PATIENCE_S = 400.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """A folder with data, and the production instance on a real PostgreSQL."""

    folder: Path
    instance: dg.DagsterInstance
    environment: dict[str, str]
    yesterday: date


@pytest.fixture
def deployment(postgres: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    for name, value in postgres.environment.items():
        monkeypatch.setenv(name, value)
    yesterday = datetime.now(UTC).date() - ONE_DAY
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    file = write_settings(tmp_path, names=["alpha"], first_day=yesterday - 3 * ONE_DAY)
    with opened(file) as store:
        # Today too: should midnight pass during the test, yesterday still has data.
        write_markets(store, n_days=5, first_day=yesterday - 3 * ONE_DAY, names=["alpha"])
    environment = clean_environment(**postgres.environment, DAGSTER_HOME=str(tmp_path), TRIBUTARY_CONFIG=str(file))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield Deployment(tmp_path, instance, environment, yesterday)


def finished_runs(instance: dg.DagsterInstance, tag: str, value: str) -> list[dg.DagsterRun]:
    runs = instance.get_runs(dg.RunsFilter(tags={tag: value}))
    failed = [run.run_id for run in runs if run.status == dg.DagsterRunStatus.FAILURE]
    assert not failed, [str(event) for event in instance.all_logs(failed[0])][-5:]
    return [run for run in runs if run.status == dg.DagsterRunStatus.SUCCESS]


def test_yesterday_is_recalibrated_by_schedule_and_replayed_by_sensor(deployment: Deployment) -> None:
    instance, folder = deployment.instance, deployment.folder
    settings, instruments = load(folder / "tributary.yaml")
    earlier = run_range(
        settings,
        instruments,
        settings.schedule.first_day,
        deployment.yesterday,
        home=folder,
        settings_file=folder / "tributary.yaml",
    )
    assert earlier.is_success, earlier.failures
    at = datetime.now(UTC) + timedelta(seconds=60 + LEAD_S)
    first_day = settings.schedule.first_day
    write_settings(folder, names=["alpha"], first_day=first_day, schedule_at=f"{at:%H:%M}")
    command = ["dagster-daemon", "run", "-m", "tributary_pipelines.definitions"]
    with running(command, environment=deployment.environment, folder=folder) as daemon:
        wait_until(
            lambda: bool(finished_runs(instance, "dagster/schedule_name", "daily_recalibration")),
            within_s=PATIENCE_S,
            programs=[daemon],
        )
        wait_until(
            lambda: bool(finished_runs(instance, "dagster/sensor_name", "new_parameters")),
            within_s=PATIENCE_S,
            programs=[daemon],
        )
    (scheduled,) = finished_runs(instance, "dagster/schedule_name", "daily_recalibration")
    (followed,) = finished_runs(instance, "dagster/sensor_name", "new_parameters")
    day = date.fromisoformat(scheduled.tags["dagster/partition"])
    assert day == day_start(at.date()).date() - ONE_DAY
    assert followed.asset_selection == {asset_key("alpha", PLANS.name), asset_key("alpha", SIMULATIONS.name)}
    assert_followed(deployment, day)


def assert_followed(deployment: Deployment, day: date) -> None:
    """The day's plans use its parameters, its replays those of the day before, and Dagster has the history."""
    with opened(deployment.folder / "tributary.yaml") as store:
        window = (day_start(day), day_start(day) + ONE_DAY)
        plans = store.results.read(EXECUTION_PLANS, *window)
        replays = store.results.read(EXECUTION_SIMULATIONS, *window)
    assert set(plans["usable_from"]) == {day_start(day) + ONE_DAY}
    assert set(replays["usable_from"]) == {day_start(day)}
    assert set(plans["status"]) == {"ok"}
    records = deployment.instance.fetch_materializations(asset_key("alpha", PARAMETERS.name), limit=100).records
    first_day = deployment.yesterday - 3 * ONE_DAY
    days = {(first_day + n * ONE_DAY).isoformat() for n in range((day - first_day).days + 1)}
    assert {record.partition_key for record in records} == days
