"""The schedules: the daily recalibration of yesterday and an hourly look at the raw tables; all in UTC.

They run by themselves once a daemon runs, unless ``analytics.enabled`` is false; the UI can stop them.
"""

import dagster as dg
from dagster._core.definitions.partitions.partitioned_schedule import (
    UnresolvedPartitionedAssetScheduleDefinition as PartitionedSchedule,
)

from tributary_pipelines.core.settings import Settings
from tributary_pipelines.defs.jobs import AssetJob


def build_daily_recalibration(job: AssetJob, settings: Settings, suffix: str) -> PartitionedSchedule:
    """Return the schedule that recalibrates yesterday, every day at ``schedule.at`` UTC."""
    hour, minute = (int(part) for part in settings.schedule.at.split(":"))
    schedule = dg.build_schedule_from_partitioned_job(
        job,
        name=f"daily_recalibration{suffix}",
        description=f"Recalibrates every instrument with the day that ended, at {settings.schedule.at} UTC.",
        hour_of_day=hour,
        minute_of_hour=minute,
        default_status=_status(settings),
    )
    assert isinstance(schedule, PartitionedSchedule)
    return schedule


def build_hourly_observation(job: AssetJob, settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule that observes the raw tables every hour."""
    return dg.ScheduleDefinition(
        name="hourly_observation",
        description="Looks at the raw tables: rows, last time, instruments without data.",
        job=job,
        cron_schedule="45 * * * *",
        execution_timezone="UTC",
        default_status=_status(settings),
    )


def _status(settings: Settings) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if settings.analytics.enabled else dg.DefaultScheduleStatus.STOPPED
