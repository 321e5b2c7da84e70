"""Whole days of result rows: which changed, what a new version of them holds, and how they share transactions."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tributary_pipelines.core.frames import Frame, Int64Array1D
from tributary_pipelines.core.units import day_start, to_us
from tributary_pipelines.storage.arrow import stored_schema
from tributary_pipelines.storage.base import ResultDay
from tributary_pipelines.storage.schema import IS_MARKER, RUN_VERSION, versioned_columns

#: Positions of a day's rows in a table; a day without rows has no entry.
Positions = Mapping[ResultDay, Int64Array1D]


def by_day(table: pa.Table) -> Positions:
    """Return the positions of each day's rows."""
    if table.num_rows == 0:
        return {}
    keys = pd.DataFrame(
        {
            "market_id": table["market_id"].to_numpy(),
            "token_id": table["token_id"].to_numpy(),
            "day": table["timestamp"].to_numpy().astype("datetime64[D]").astype(object),
        }
    )
    grouped = keys.groupby(["market_id", "token_id", "day"], sort=False).indices
    return {ResultDay(*cast(tuple[str, str, date], key)): np.asarray(rows) for key, rows in grouped.items()}


def changed_days(frame: Frame, days: Sequence[ResultDay], rows: pa.Table, held: pa.Table) -> list[ResultDay]:
    """Return the days whose ``rows`` are not exactly those that are ``held`` (newest version, with bookkeeping)."""
    held = held.filter(pc.invert(held[IS_MARKER.name])).select(list(frame.column_names))
    given, stored = by_day(rows), by_day(held)
    return [
        day
        for day in dict.fromkeys(days)
        if not _taken(frame, rows, given.get(day)).equals(_taken(frame, held, stored.get(day)))
    ]


def new_version(frame: Frame, days: Sequence[ResultDay], rows: pa.Table, version: int) -> pa.Table:
    """Return what is stored for these days: their rows, and a marker for each day that has none."""
    given = by_day(rows)
    kept = [given[day] for day in days if day in given]
    taken = rows.take(pa.array(np.concatenate(kept))) if kept else rows.slice(0, 0)
    empty = [day for day in days if day not in given]
    markers = {
        "timestamp": pa.array([to_us(day_start(day.day)) for day in empty], pa.int64()).cast(pa.timestamp("us")),
        "market_id": pa.array([day.market_id for day in empty], pa.string()),
        "token_id": pa.array([day.token_id for day in empty], pa.string()),
    }
    schema = stored_schema(versioned_columns(frame))
    parts = []
    for part, is_marker in ((taken, False), (pa.table(markers), True)):
        book = {RUN_VERSION.name: version, IS_MARKER.name: is_marker}
        columns = {
            field.name: part[field.name]
            if field.name in part.column_names
            else pa.array([book.get(field.name)] * part.num_rows, field.type)
            for field in schema
        }
        parts.append(pa.table(columns, schema=schema))
    return pa.concat_tables(parts)


def transactions(days: Sequence[ResultDay], rows: pa.Table, limit: int) -> Iterator[list[ResultDay]]:
    """Yield days that share a transaction: whole days, together at most ``limit`` rows unless one day has more."""
    given = by_day(rows)
    batch: list[ResultDay] = []
    n_rows = 0
    for day in days:
        size = max(len(given.get(day, ())), 1)
        if batch and n_rows + size > limit:
            yield batch
            batch, n_rows = [], 0
        batch.append(day)
        n_rows += size
    if batch:
        yield batch


def _taken(frame: Frame, table: pa.Table, positions: Int64Array1D | None) -> pa.Table:
    if positions is None:
        return table.slice(0, 0).combine_chunks()
    ordered = table.take(pa.array(positions)).sort_by([(name, "ascending") for name in frame.key])
    return ordered.combine_chunks()
