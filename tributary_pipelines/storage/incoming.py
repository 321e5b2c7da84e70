"""Rows on their way into a store: a pandas frame becomes an Arrow table of the stored types, or every fault is named.

Nothing is guessed: a naive or missing time, an empty key or a number that is none must stop here, because a database
would turn them into something else (QuestDB stores a missing time as its own "now"). NaN and infinity in nullable
columns become null, empty text becomes null, an unknown flag false: what both databases can hold alike.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES, Column, Frame
from tributary_pipelines.storage.arrow import LADDERS, stored_schema
from tributary_pipelines.storage.base import ResultDay
from tributary_pipelines.storage.schema import result_frame

_MAX_SHOWN = 10


def incoming_rows(frame: Frame, rows: pd.DataFrame) -> pa.Table:
    """Return rows as an Arrow table with every column of the frame, in its stored type.

    Columns that the rows lack are null (a frame without rows needs none); times may have any zone and are cut to
    microseconds.

    Raises
    ------
    ValidationError
        Unknown columns, naive or missing times, missing keys, values of another type, trades or book levels that are
        not finite and positive; all violations, the first rows of each.
    """
    faults = [
        f"unknown column {name!r}" for name in rows.columns.difference(list(frame.column_names), sort=False).tolist()
    ]
    arrays = [_checked(frame, column, rows, faults) for column in frame.columns]
    if not faults:
        faults += _rule_faults(frame, dict(zip(frame.column_names, arrays, strict=True)))
    if faults:
        more = f"; and {len(faults) - _MAX_SHOWN} more" if len(faults) > _MAX_SHOWN else ""
        raise ValidationError(f"{frame.name}: {'; '.join(faults[:_MAX_SHOWN])}{more}")
    return pa.table(arrays, schema=stored_schema(frame.columns))


def result_rows(frame: Frame, days: Sequence[ResultDay], rows: pd.DataFrame) -> pa.Table:
    """Return result rows that replace these days as an Arrow table, all in order.

    Raises
    ------
    StorageError
        The frame is no result table of the store.
    ValidationError
        As ``incoming_rows`` and ``check_days``.
    """
    table = incoming_rows(result_frame(frame), rows)
    check_days(frame, days, table)
    return table


def check_days(frame: Frame, days: Sequence[ResultDay], table: pa.Table) -> None:
    """Verify that result rows belong to the days they replace and that no key comes twice.

    Raises
    ------
    ValidationError
        A row lies outside every given day, or two rows share a key.
    """
    known = {(d.market_id, d.token_id, d.day.isoformat()) for d in days}
    given = pa.table(
        [table["market_id"], table["token_id"], pc.strftime(table["timestamp"], "%Y-%m-%d")], names=["m", "t", "d"]
    )
    for row in given.group_by(["m", "t", "d"]).aggregate([]).to_pylist():
        if (row["m"], row["t"], row["d"]) not in known:
            raise ValidationError(
                f"{frame.name}: rows of market {row['m']!r}, token {row['t']!r}, day {row['d']} are not among the "
                "days being replaced; name every day whose rows are given"
            )
    if table.group_by(list(frame.key)).aggregate([]).num_rows != table.num_rows:
        raise ValidationError(f"{frame.name}: two rows share the key ({', '.join(frame.key)}); keep one of them")


def _checked(frame: Frame, column: Column, rows: pd.DataFrame, faults: list[str]) -> pa.Array:
    wanted = stored_schema((column,)).field(0).type
    is_key = column.name in frame.key
    if column.name not in rows.columns:
        if is_key and len(rows):
            faults.append(f"column {column.name!r} is missing")
        empty = pa.nulls(len(rows), wanted)
        return empty.fill_null(False) if column.kind == "boolean" else empty
    try:
        array = _CONVERSIONS[column.kind](rows[column.name])
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        faults.append(f"column {column.name!r} is no {column.kind}: {' '.join(str(error).split())[:200]}")
        return pa.nulls(len(rows), wanted)
    if is_key and array.null_count:
        faults.append(f"column {column.name!r} is missing in {_where(pc.is_null(array))}")
    return array


def _times(values: Any) -> pa.Array:
    if not isinstance(values.dtype, pd.DatetimeTZDtype):
        missing = values.isna()
        if any(not isinstance(v, datetime) or v.tzinfo is None for v in values[~missing]):
            raise ValueError("times must be aware (UTC)")
        values = pd.to_datetime(values, utc=True)
    utc = values.dt.tz_convert("UTC").dt.tz_localize(None).dt.as_unit("us")
    return pa.array(utc.to_numpy(), pa.timestamp("us"), from_pandas=True)


def _texts(values: Any) -> pa.Array:
    texts = pa.array(values, pa.string(), from_pandas=True)
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if pc.any(pc.match_substring(texts, "\x00")).as_py():
        raise ValueError("text must not hold the character NUL")
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _doubles(values: Any) -> pa.Array:
    numbers = np.array(pd.to_numeric(values.astype(object) if values.dtype == bool else values), np.float64)
    return pa.array(np.where(np.isfinite(numbers), numbers, np.nan), pa.float64(), from_pandas=True)


def _longs(values: Any) -> pa.Array:
    return pa.array(values, from_pandas=True).cast(pa.int64())


def _flags(values: Any) -> pa.Array:
    return pa.array(values, pa.bool_(), from_pandas=True).fill_null(False)


def _lists(values: Any) -> pa.Array:
    lists = pa.array(values, pa.list_(pa.float64()), from_pandas=True)
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    numbers = lists.values
    if pc.all(pc.is_finite(numbers), min_count=0).as_py() in (True, None) and numbers.null_count == 0:
        return lists
    finite = pc.if_else(pc.fill_null(pc.is_finite(numbers), False), numbers, pa.scalar(None, pa.float64()))
    return pa.ListArray.from_arrays(lists.offsets, finite, mask=lists.is_null())


_CONVERSIONS: dict[str, Callable[[Any], pa.Array]] = {
    "timestamp": _times,
    "symbol": _texts,
    "string": _texts,
    "double": _doubles,
    "long": _longs,
    "boolean": _flags,
    "array": _lists,
}


def _rule_faults(frame: Frame, columns: dict[str, pa.Array]) -> list[str]:
    if frame == TRADES:
        checked = {name: pc.fill_null(pc.less_equal(columns[name], 0.0), True) for name in ("price", "size")}
        faults = [
            f"{name} is not finite and positive in {_where(bad)}"
            for name, bad in checked.items()
            if pc.any(bad).as_py()
        ]
        is_side = pc.is_in(columns["side"], pa.array(["buy", "sell", None], pa.string()))
        return (
            faults
            if pc.all(is_side).as_py() in (True, None)
            else [*faults, f"side is unknown in {_where(pc.invert(is_side))}"]
        )
    return _ladder_faults(columns) if frame == ORDERBOOK_SNAPSHOTS else []


def _ladder_faults(columns: dict[str, pa.Array]) -> list[str]:
    faults = []
    for name in LADDERS:
        values = columns[name].flatten()
        is_level = pc.and_(pc.is_finite(values), pc.greater(values, 0.0))
        if not pc.all(pc.fill_null(is_level, False), min_count=0).as_py():
            faults.append(f"{name} holds levels that are not finite and positive; leave such levels out")
    for prices, sizes in (LADDERS[:2], LADDERS[2:]):
        n_prices, n_sizes = (pc.fill_null(pc.list_value_length(columns[n]), 0) for n in (prices, sizes))
        unequal = pc.not_equal(n_prices, n_sizes)
        if pc.any(unequal).as_py():
            faults.append(f"{prices} and {sizes} differ in length in {_where(unequal)}")
    return faults


def _where(is_bad: pa.Array) -> str:
    rows = np.flatnonzero(is_bad.to_numpy(zero_copy_only=False))
    return f"{len(rows)} row{'s' if len(rows) > 1 else ''}, first row {rows[0]}"
