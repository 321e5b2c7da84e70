"""Durations, times and days at the border."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.units import (
    PARAMETER_UNITS,
    day_start,
    from_us,
    iso_z,
    parse_day,
    parse_duration,
    parse_time,
    to_us,
)

NAIVE = datetime(2026, 3, 1)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1_800),
        ("1h", 3_600),
        ("5d", 432_000),
        ("0s", 0),
        (" 7s ", 7),
        ("9999999999s", 9_999_999_999),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "1", "1.5h", "-1h", "1 h", "1w", "01h", "1h30m", "1H", "inf", "٣s", "9" * 400 + "s", "1s\n2"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="write a whole number and s, m, h or d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00+02:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (" 2026-03-01 12:00:00.5-0030 ", datetime(2026, 3, 1, 12, 30, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_times_with_an_offset(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-03-01T12:00:00", "has no offset"),
        ("2026-03-01", "has no offset"),
        ("noon", "is not ISO-8601"),
        ("", "is not ISO-8601"),
        ("2026-02-30T12:00:00Z", "is not ISO-8601"),
        ("0001-01-01T00:00:00+02:00", "outside the years 1 to 9999"),
        ("9999-12-31T23:59:59-02:00", "outside the years 1 to 9999"),
    ],
)
def test_other_times_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        parse_time(text)


def test_days() -> None:
    assert parse_day(" 2026-03-01 ") == date(2026, 3, 1)
    assert day_start(date(2026, 3, 1)) == datetime(2026, 3, 1, tzinfo=UTC)
    for text in ("2026-02-30", "March", "", "2026-03-01T00:00:00Z"):
        with pytest.raises(ValidationError, match="write it like 2026-03-01"):
            parse_day(text)


OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1900, 1, 1), datetime(2300, 1, 1), timezones=OFFSETS))  # noqa: DTZ001
def test_microseconds_there_and_back(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment
    assert parse_time(iso_z(moment)) == moment
    assert iso_z(moment).endswith("Z")


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValidationError, match="2026-03-01T00:00:00 has no time zone"):
        to_us(NAIVE)
    with pytest.raises(ValidationError, match="has no time zone"):
        iso_z(NAIVE)


def test_the_six_parameters_have_their_units() -> None:
    assert PARAMETER_UNITS == {
        "sigma": "P/day^0.5",
        "gamma": "P/share",
        "epsilon": "P",
        "book_slope": "P/share",
        "resilience_rate": "1/day",
        "eta": "P*day/share",
    }
