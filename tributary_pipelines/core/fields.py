"""The checked types of fields that settings, requests and models share: numbers with a range, durations, bar widths."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.units import SECONDS_PER_DAY, parse_duration


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except ValidationError as error:
        raise ValueError(str(error)) from None


def _divides_the_day(width: str) -> str:
    seconds = _seconds(width)
    if not isinstance(seconds, float) or seconds <= 0 or SECONDS_PER_DAY % seconds:
        raise ValueError(f"{width!r} does not divide a day; stored bars must not cross 00:00 UTC, like 1m 5m 1h")
    return width


def _all_different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = [value for n, value in enumerate(values) if value in values[:n]]
    if twice:
        raise ValueError(f"given twice: {'; '.join(str(value) for value in twice)}")
    return values


_WRITTEN = WithJsonSchema({"type": ["number", "string"], "pattern": "^[0-9]+[smhd]$"})
#: A duration in seconds, written ``90s 30m 1h 5d`` in YAML.
Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False), _WRITTEN]
#: A duration that is longer than nothing.
LastingDuration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False), _WRITTEN]
#: The width of stored bars: whole bars make a UTC day.
BarWidth = Annotated[str, AfterValidator(_divides_the_day)]
#: For tuples whose entries must differ.
AllDifferent = AfterValidator(_all_different)
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Port = Annotated[int, Field(ge=1, le=65_535)]
