"""Which days of one stage stand on which days of another."""

from datetime import date

import dagster as dg
import pytest

from tributary_pipelines.defs.partitions import daily_partitions, day_before, days_of, trailing_window

PARTITIONS = daily_partitions(date(2026, 3, 1))


def upstream(mapping: dg.PartitionMapping, day: str) -> list[str]:
    """The upstream days of one day, through Dagster itself."""
    subset = PARTITIONS.empty_subset().with_partition_keys([day])
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, PARTITIONS, PARTITIONS)
    return sorted(found.partitions_subset.get_partition_keys())


def test_days_start_with_the_setting_and_are_utc() -> None:
    assert PARTITIONS.get_first_partition_key() == "2026-03-01"
    assert PARTITIONS.timezone == "UTC"


def test_a_window_of_thirty_days_ends_with_its_day() -> None:
    days = upstream(trailing_window(30), "2026-04-15")
    assert (len(days), days[0], days[-1]) == (30, "2026-03-17", "2026-04-15")


def test_a_window_before_the_first_partition_is_shorter() -> None:
    assert upstream(trailing_window(30), "2026-03-02") == ["2026-03-01", "2026-03-02"]


def test_a_replay_stands_on_the_day_before_and_never_on_its_own() -> None:
    assert upstream(day_before(), "2026-03-05") == ["2026-03-04"]
    assert upstream(day_before(), "2026-03-01") == []


@pytest.mark.parametrize(("last", "n"), [("2026-02-27", 1), ("2026-03-01", 3)])
def test_a_range_of_keys_holds_both_ends(last: str, n: int) -> None:
    days = days_of("2026-02-27", last)
    assert (len(days), days[0], days[-1]) == (n, date(2026, 2, 27), date.fromisoformat(last))
