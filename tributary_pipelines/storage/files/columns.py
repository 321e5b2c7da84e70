"""A file's column as numbers, times, texts or sides; what cannot be read is marked, never guessed.

Every conversion is whole-column (Arrow and NumPy) and depends on the value alone, so the same cell means the same thing
in any chunk of any file format.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tributary_pipelines.core.frames import Float64Array1D, Int64Array1D

TimeUnit = Literal["s", "ms", "us", "ns"]
TIME_UNITS: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns")

#: A decimal number as JSON and every exporter write it; what Arrow then parses to the nearest double.
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?"
IDENTIFIER = re.compile(r"[^\x00-\x1f\x7f]{1,512}")
_CALENDAR = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,12})?)?"
_OFFSET = r" ?(?:[Zz]|UTC|[+-]\d{2}(?::?\d{2})?)$"
_US_PER = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
_NAIVE = "timestamp has no offset; write it like 2026-03-01T12:00:00Z"
_NO_UNIT = "timestamp is a number; say its unit with --time-unit s, ms, us or ns"
_NO_TIME = np.iinfo(np.int64).min
#: 2255-06-05: up to here a double holds every microsecond, and a nanosecond time stamp every moment.
LAST_US = 2**53
_SIDES = {"buy": "buy", "b": "buy", "bid": "buy", "sell": "sell", "s": "sell", "ask": "sell"}


class Problems:
    """Why each row of a chunk cannot be kept; the first reason found stands."""

    def __init__(self, n_rows: int) -> None:
        self.reasons: NDArray[np.object_] = np.full(n_rows, None, dtype=object)

    @property
    def is_fine(self) -> NDArray[np.bool_]:
        """(n,) rows without a problem so far."""
        return np.asarray(pd.isna(self.reasons), dtype=bool)

    def mark(self, where: NDArray[np.bool_], reason: str) -> None:
        """Give a reason to the rows that have none yet."""
        self.reasons[where & self.is_fine] = reason

    def mark_where(self, where: NDArray[np.bool_], other: "Problems") -> None:
        """Take over the reasons that another look at the same rows found, for some of them."""
        self.reasons = np.where(self.is_fine & where, other.reasons, self.reasons)

    def mark_each(self, where: NDArray[np.bool_], part: "Problems") -> None:
        """Give the rows of ``where`` the reasons found in a part of their own."""
        reasons = np.full(len(self.reasons), None, dtype=object)
        reasons[where] = part.reasons
        self.reasons = np.where(self.is_fine, reasons, self.reasons)


def to_numbers(column: pa.Array) -> Float64Array1D:
    """Return a column as float64, NaN where it is missing or no decimal number."""
    column = _decoded(column)
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _to_numpy(column.cast(pa.float64(), safe=False))
    if not is_text(kind):
        return np.full(len(column), np.nan)
    text = pc.utf8_trim_whitespace(column)
    is_number = pc.match_substring_regex(text, f"^{NUMBER}$")
    plain = pc.replace_substring_regex(pc.if_else(is_number, text, None), r"^\+", "")
    return _to_numpy(plain.cast(pa.float64()))


def to_texts(column: pa.Array) -> pa.StringArray:
    """Return a column as text, null where it is missing or blank."""
    column = _decoded(column)
    if pa.types.is_nested(column.type) or pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.string())
    text = column.cast(pa.string(), safe=False)
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), None, text)


def to_identifiers(column: pa.Array, name: str, problems: Problems) -> pa.StringArray:
    """Return ids as text; a missing one, control characters and more than 512 characters are problems."""
    text = to_texts(column)
    problems.mark(_mask(pc.is_null(text)), f"{name} is missing")
    usable = pc.match_substring_regex(text, f"^{IDENTIFIER.pattern}$")
    problems.mark(~_mask(usable), f"{name} holds control characters or more than 512 characters")
    return text


def to_sides(column: pa.Array) -> pa.StringArray:
    """Return taker sides as buy, sell or null, from any case of buy/sell, b/s, bid/ask; the rest is unknown."""
    text = pc.utf8_lower(pc.utf8_trim_whitespace(to_texts(column)))
    which = pc.index_in(text, pa.array(list(_SIDES)))
    return pa.array(list(_SIDES.values())).take(which)


def to_words(column: pa.Array, words: Sequence[str]) -> pa.StringArray:
    """Return a column where it holds one of the words, else null."""
    allowed = pa.array(words, pa.string())
    return allowed.take(pc.index_in(to_texts(column), allowed))


def to_times(column: pa.Array, unit: TimeUnit | None, problems: Problems) -> Int64Array1D:
    """Return times in microseconds since the epoch, UTC; 0 where a problem was marked.

    Nanoseconds are cut to microseconds, fractions of a number rounded to them. Numbers need ``unit``; texts and Arrow
    timestamps need an offset.
    """
    column = _decoded(column)
    text = is_text(column.type)
    problems.mark(_mask(pc.is_null(to_texts(column) if text else column)), "timestamp is missing")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        times = _from_arrow_times(column, problems)
    elif text:
        times = _from_texts(column, unit, problems)
    else:
        times = _from_numbers(column, unit, problems)
    problems.mark((times < 0) | (times > LAST_US), "timestamp lies outside 1970 to 2255; check --time-unit")
    return np.where(problems.is_fine, times, 0)


def utc_timestamps(times: Int64Array1D) -> pa.Array:
    """Return microseconds since the epoch as an Arrow array of UTC timestamps."""
    return pa.array(times, pa.int64()).view(pa.timestamp("us", "UTC"))


def _from_arrow_times(column: pa.Array, problems: Problems) -> Int64Array1D:
    if getattr(column.type, "tz", None) is None:
        problems.mark(np.ones(len(column), bool), _NAIVE)
        return np.zeros(len(column), np.int64)
    us = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return _to_numpy(us.view(pa.int64()), fill=0)


def _from_numbers(column: pa.Array, unit: TimeUnit | None, problems: Problems) -> Int64Array1D:
    approximate = to_numbers(column)
    problems.mark(~np.isfinite(approximate), "timestamp is not a time")
    if unit is None:
        problems.mark(np.isfinite(approximate), _NO_UNIT)
        return np.zeros(len(column), np.int64)
    us = approximate * _US_PER[unit]
    in_range = (us >= 0) & (us <= LAST_US)
    if not pa.types.is_integer(column.type):
        return np.where(in_range, np.rint(np.where(in_range, us, 0)).astype(np.int64), -1)
    # In whole numbers: a nanosecond count has more digits than a double.
    exact = np.where(in_range, _to_numpy(column.cast(pa.int64(), safe=False), fill=0), 0)
    exact = exact // 1000 if unit == "ns" else exact * int(_US_PER[unit])
    return np.where(in_range, exact, -1)


def _from_texts(column: pa.Array, unit: TimeUnit | None, problems: Problems) -> Int64Array1D:
    text = pc.utf8_trim_whitespace(to_texts(column))
    is_integer = _mask(pc.match_substring_regex(text, r"^[0-9]{1,19}$"))
    is_number = _mask(pc.match_substring_regex(text, f"^{NUMBER}$"))
    is_naive = _mask(pc.match_substring_regex(text, f"{_CALENDAR}$"))
    is_time = _mask(pc.match_substring_regex(text, f"{_CALENDAR}{_OFFSET}"))
    problems.mark(is_naive, _NAIVE)
    problems.mark(~(is_number | is_time), "timestamp is not ISO-8601; write it like 2026-03-01T12:00:00Z")
    times = np.zeros(len(text), np.int64)
    for chosen, kind in ((is_integer, pa.uint64()), (is_number & ~is_integer, pa.float64())):
        if chosen.any():
            part = Problems(int(chosen.sum()))
            times[chosen] = _from_numbers(pc.filter(text, pa.array(chosen)).cast(kind), unit, part)
            problems.mark_each(chosen, part)
    if is_time.any():
        times[is_time] = _parse_iso(pc.filter(text, pa.array(is_time)))
        problems.mark(is_time & (times == _NO_TIME), "timestamp is no calendar time")
    return times


def _parse_iso(text: pa.StringArray) -> Int64Array1D:
    """Parse ISO-8601 texts with offsets; ``_NO_TIME`` where the calendar has no such time."""
    cut = pc.replace_substring_regex(text, r"(\.\d{6})\d+", r"\1")
    cut = pc.replace_substring_regex(cut, r" ?(?:[Zz]|UTC)$", "+00:00")
    parsed = pd.to_datetime(cut.to_pandas(), utc=True, format="ISO8601", errors="coerce")
    us = parsed.dt.as_unit("us").astype("int64").to_numpy()
    return np.where(parsed.isna(), _NO_TIME, us)


def _decoded(column: pa.Array) -> pa.Array:
    """Undo what only concerns how a column is stored: dictionaries, and bytes that are text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return column
    values = column.to_pylist()
    return pa.array([None if value is None else value.decode("utf-8", "backslashreplace") for value in values])


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a column holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _mask(column: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False), dtype=bool)


def _to_numpy(column: pa.Array, fill: float = np.nan) -> NDArray[Any]:
    return np.asarray(pc.fill_null(column, fill).to_numpy(zero_copy_only=False))
