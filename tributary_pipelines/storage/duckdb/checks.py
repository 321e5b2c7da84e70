"""What ``store check`` verifies in the embedded store: tables, columns and keys."""

import duckdb

from tributary_pipelines.core.frames import RAW_FRAMES, Column, Frame
from tributary_pipelines.core.result_frames import RESULT_FRAMES
from tributary_pipelines.storage.base import Finding
from tributary_pipelines.storage.schema import (
    duckdb_type,
    lacking_message,
    listed,
    missing_columns,
    quoted,
    raw_columns,
)


def check_tables(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Return one finding a table: missing, other columns than expected, repeated keys, or in order."""
    wanted = [
        *((frame, raw_columns(frame)) for frame in RAW_FRAMES),
        *((frame, frame.columns) for frame in RESULT_FRAMES),
    ]
    findings = []
    for frame, columns in wanted:
        problem = _column_problem(connection, frame, columns)
        if problem is not None:
            findings.append(problem)
        if problem is not None and problem.severity == "error":
            continue
        n_rows, n_keys = _counts(connection, frame.name, frame.key)
        if n_keys < n_rows:
            findings.append(Finding("error", frame.name, f"{n_rows - n_keys} rows repeat a key; import the data anew"))
        elif problem is None:
            findings.append(Finding("ok", frame.name, f"{n_rows} rows"))
    return findings


def _column_problem(connection: duckdb.DuckDBPyConnection, frame: Frame, columns: tuple[Column, ...]) -> Finding | None:
    query = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?"
    held = dict(connection.execute(query, [frame.name]).fetchall())
    if not held:
        return Finding("error", frame.name, "is missing; run 'tributary store init'")
    lacking = missing_columns(frame, held)
    wrong = [
        f"{column.name} is {held.get(column.name, 'missing')}"
        for column in columns
        if column not in lacking and held.get(column.name) != duckdb_type(column)
    ]
    if wrong:
        fault = f"does not fit: {', '.join(wrong)}; export the data and import it into a new store"
        return Finding("error", frame.name, fault)
    return Finding("warning", frame.name, lacking_message(lacking)) if lacking else None


def _counts(connection: duckdb.DuckDBPyConnection, table: str, key: tuple[str, ...]) -> tuple[int, int]:
    keys = " ".join(("SELECT", listed(key), "FROM", quoted(table), "GROUP BY ALL"))
    query = " ".join(("SELECT (SELECT count(*) FROM", quoted(table), "), (SELECT count(*) FROM (", keys, "))"))
    ((n_rows, n_keys),) = connection.execute(query).fetchall()
    return int(n_rows), int(n_keys)
