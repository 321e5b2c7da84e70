"""The one partitioning of every stage, daily in UTC, and how the days of two stages belong together.

Windows are said here and nowhere else: parameters of day D combine the statistics of D-29..D, a replay of day D uses
parameters of the days before D. Days before the first partition simply do not exist yet.
"""

from datetime import date, timedelta

import dagster as dg

#: The last day of a window is its partition, so a window of 30 days starts 29 before.
_ONE_DAY = timedelta(days=1)


def daily_partitions(first_day: date) -> dg.DailyPartitionsDefinition:
    """Return daily UTC partitions from the first day on; a day exists once it is over."""
    return dg.DailyPartitionsDefinition(start_date=first_day.isoformat())


def trailing_window(n_days: int) -> dg.TimeWindowPartitionMapping:
    """Return the mapping of day D to the ``n_days`` upstream days that end with D."""
    return dg.TimeWindowPartitionMapping(start_offset=1 - n_days, allow_nonexistent_upstream_partitions=True)


def day_before() -> dg.TimeWindowPartitionMapping:
    """Return the mapping of day D to upstream day D-1: what was known before D began."""
    return dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True)


def days_of(first_key: str, last_key: str) -> list[date]:
    """Return the days from one partition key to another, both included.

    Examples
    --------
    >>> [day.isoformat() for day in days_of("2026-02-28", "2026-03-01")]
    ['2026-02-28', '2026-03-01']
    """
    first, last = date.fromisoformat(first_key), date.fromisoformat(last_key)
    return [first + n * _ONE_DAY for n in range((last - first).days + 1)]
