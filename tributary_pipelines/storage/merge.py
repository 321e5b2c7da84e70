"""What a write changes: incoming rows against stored ones, decided by one DuckDB query for every store.

A row changes the store when its key is new or a value differs; rows that repeat a key within a write are taken one
after the other, so the last one wins. ``received_at`` is not compared: seeing a row again is no change. Runs on the
embedded store's own tables, and for QuestDB in memory on the stored rows of the same time range.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from tributary_pipelines.core.frames import MARKETS, Frame
from tributary_pipelines.storage.schema import TIE_RANK, listed, quoted, tie_group


@dataclass(frozen=True, slots=True)
class Merge:
    """Rows that have to be written, with their ``tie_rank``, and how many incoming rows change the store."""

    rows: pa.Table
    n_changed: int


def merge_rows(connection: duckdb.DuckDBPyConnection, frame: Frame, incoming: pa.Table, stored: str) -> Merge:
    """Compare incoming rows with the relation ``stored``, which has the frame's columns and ``tie_rank``.

    ``stored`` need only hold what lies within the incoming rows' times; for markets it is the whole table.
    """
    key = _merge_key(frame)
    connection.register("incoming", incoming.append_column("position", pa.array(np.arange(incoming.num_rows))))
    try:
        repeats = connection.execute(_repeats(key)).fetchall()
        connection.execute(_compared(frame, key, stored, has_repeats=bool(repeats)))
        ((n_changed,),) = connection.execute("SELECT count_if(is_change) FROM compared").fetchall()
        rows = connection.sql(_written(frame, stored)).to_arrow_table()
    finally:
        connection.execute("DROP TABLE IF EXISTS compared")
        connection.unregister("incoming")
    return Merge(rows, int(n_changed))


def _merge_key(frame: Frame) -> tuple[str, ...]:
    # An entry of markets is there already when it repeats the newest one of its token, whenever that was stored.
    return ("market_id", "token_id") if frame == MARKETS else frame.key


def _repeats(key: tuple[str, ...]) -> str:
    return " ".join(("SELECT 1 FROM incoming GROUP BY", listed(key), "HAVING count(*) > 1 LIMIT 1"))


def _compared(frame: Frame, key: tuple[str, ...], stored: str, *, has_repeats: bool) -> str:
    newest = (
        ("QUALIFY row_number() OVER (PARTITION BY", listed(key), "ORDER BY timestamp DESC, tie_rank DESC) = 1")
        if frame == MARKETS
        else ()
    )
    on = " AND ".join("".join(("a.", quoted(name), " = s.", quoted(name))) for name in key)
    order = (
        "row_number() OVER w = 1 AS is_first, lead(position) OVER w IS NULL AS is_last,"
        " lag(content) OVER w AS previous, min(position) OVER w AS arrived"
        if has_repeats
        else "true AS is_first, true AS is_last, content AS previous, position AS arrived"
    )
    window = ("WINDOW w AS (PARTITION BY", listed(key), "ORDER BY position)") if has_repeats else ()
    return " ".join(
        (
            "CREATE OR REPLACE TEMP TABLE compared AS WITH",
            "valued AS (SELECT *,", _content(frame), "AS content FROM incoming),",
            "arrivals AS (SELECT *,", order, "FROM valued", *window, "),",
            "held AS (SELECT *,", _content(frame), "AS content FROM", stored, *newest, ")",
            "SELECT a.*, s.tie_rank AS stored_rank, s.timestamp AS stored_timestamp,",
            "CASE WHEN a.is_first THEN s.timestamp IS NULL OR a.content IS DISTINCT FROM s.content",
            "ELSE a.content IS DISTINCT FROM a.previous END AS is_change,",
            "a.is_last AND (s.timestamp IS NULL OR a.content IS DISTINCT FROM s.content) AS is_written",
            "FROM arrivals a LEFT JOIN held s ON", on,
        )
    )  # fmt: skip


def _content(frame: Frame) -> str:
    compared = (c for c in frame.columns if c.name not in (*frame.key, "received_at"))
    parts = ("".join(("coalesce(", quoted(c.name), ", [])")) if c.kind == "array" else quoted(c.name) for c in compared)
    return "".join(("row(", ", ".join(parts), ")"))


def _written(frame: Frame, stored: str) -> str:
    group = tie_group(frame)
    columns = ", ".join("".join(("c.", quoted(name))) for name in frame.column_names)
    return " ".join(
        (
            "WITH ranks AS (SELECT", listed(group), ", max(tie_rank) AS top FROM", stored,
            "GROUP BY", listed(group), ")",
            "SELECT", columns, ", CASE WHEN c.stored_timestamp = c.timestamp THEN c.stored_rank",
            "ELSE coalesce(r.top, -1) + row_number() OVER",
            "(PARTITION BY", _prefixed("c", group), ", c.stored_timestamp = c.timestamp ORDER BY c.arrived)",
            "END AS", quoted(TIE_RANK.name),
            "FROM compared c LEFT JOIN ranks r ON",
            " AND ".join("".join(("c.", quoted(name), " = r.", quoted(name))) for name in group),
            "WHERE c.is_written ORDER BY c.position",
        )
    )  # fmt: skip


def _prefixed(alias: str, names: Iterable[str]) -> str:
    return ", ".join("".join((alias, ".", quoted(name))) for name in names)
