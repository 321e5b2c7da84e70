"""Units and the borders of time.

Inside the package a time is an int64 count of microseconds since 1970-01-01 UTC (``*_us`` or an array named
``times``), a day is a ``datetime.date`` in UTC, a duration is a float of seconds (``*_s``). Aware datetimes are
accepted at the borders and converted here, and only here; a naive one is an error. The day is the unit of time of
every rate and volatility (24/7 markets: one calendar day = 86 400 s).
"""

import re
from datetime import UTC, date, datetime, timedelta

from tributary_pipelines.core.errors import ValidationError

SECONDS_PER_DAY = 86_400
US_PER_S = 1_000_000
US_PER_DAY = SECONDS_PER_DAY * US_PER_S

#: Units of the calibrated parameters; P is the market's price unit.
PARAMETER_UNITS = {
    "sigma": "P/day^0.5",
    "gamma": "P/share",
    "epsilon": "P",
    "book_slope": "P/share",
    "resilience_rate": "1/day",
    "eta": "P*day/share",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"([1-9][0-9]{0,9}|0)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": SECONDS_PER_DAY}


def parse_duration(text: str) -> float:
    """Read a duration such as ``90s``, ``30m``, ``1h`` or ``5d``, in seconds.

    Raises
    ------
    ValidationError
        The text is not a whole number of at most ten digits followed by s, m, h or d.

    Examples
    --------
    >>> parse_duration("30m")
    1800.0
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValidationError(
            f"duration {text!r} is not understood; write a whole number and s, m, h or d, like 90s or 1h"
        )
    return float(int(match[1]) * _SECONDS[match[2]])


def parse_time(text: str) -> datetime:
    """Read an ISO-8601 time with an offset, as an aware UTC datetime.

    Raises
    ------
    ValidationError
        The text is no ISO-8601 time, or it has no offset.

    Examples
    --------
    >>> parse_time("2026-03-01T12:00:00+02:00").isoformat()
    '2026-03-01T10:00:00+00:00'
    """
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValidationError(f"time {text!r} is not ISO-8601; write it like 2026-03-01T12:00:00Z") from None
    if parsed.tzinfo is None:
        raise ValidationError(f"time {text!r} has no offset; write it like 2026-03-01T12:00:00Z")
    try:
        return parsed.astimezone(UTC)
    except OverflowError:
        raise ValidationError(f"time {text!r} lies outside the years 1 to 9999 in UTC") from None


def parse_day(text: str) -> date:
    """Read a UTC day such as ``2026-03-01``.

    Raises
    ------
    ValidationError
        The text is not a calendar day.

    Examples
    --------
    >>> parse_day("2026-03-01")
    datetime.date(2026, 3, 1)
    """
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ValidationError(f"day {text!r} is not understood; write it like 2026-03-01") from None


def to_us(moment: datetime) -> int:
    """Return an aware datetime as microseconds since the epoch.

    Raises
    ------
    ValidationError
        The datetime is naive.

    Examples
    --------
    >>> to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    if moment.tzinfo is None:
        raise ValidationError(f"time {moment.isoformat()} has no time zone; times must be aware (UTC)")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """Return microseconds since the epoch as an aware UTC datetime.

    Examples
    --------
    >>> from_us(1_000_000).isoformat()
    '1970-01-01T00:00:01+00:00'
    """
    return _EPOCH + timedelta(microseconds=int(us))


def day_start(day: date) -> datetime:
    """Return 00:00 UTC of a day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def iso_z(moment: datetime) -> str:
    """Write an aware datetime as ISO-8601 UTC with Z.

    Raises
    ------
    ValidationError
        The datetime is naive.

    Examples
    --------
    >>> iso_z(datetime(2026, 3, 1, tzinfo=UTC))
    '2026-03-01T00:00:00Z'
    """
    return from_us(to_us(moment)).isoformat().replace("+00:00", "Z")
