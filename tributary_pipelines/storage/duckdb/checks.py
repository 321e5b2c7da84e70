"""What ``store check`` verifies in the embedded store: tables, columns and keys."""

import duckdb

from tributary_pipelines.core.frames import RAW_FRAMES, Column
from tributary_pipelines.core.result_frames import RESULT_FRAMES
from tributary_pipelines.storage.base import Finding
from tributary_pipelines.storage.schema import duckdb_type, listed, quoted, raw_columns


def check_tables(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Return one finding a table: missing, other columns than expected, repeated keys, or in order."""
    wanted = [
        *((frame, raw_columns(frame)) for frame in RAW_FRAMES),
        *((frame, frame.columns) for frame in RESULT_FRAMES),
    ]
    findings = []
    for frame, columns in wanted:
        problems = _column_problems(connection, frame.name, columns)
        if problems:
            findings.append(Finding("error", frame.name, problems))
            continue
        n_rows, n_keys = _counts(connection, frame.name, frame.key)
        if n_keys < n_rows:
            findings.append(Finding("error", frame.name, f"{n_rows - n_keys} rows repeat a key; import the data anew"))
        else:
            findings.append(Finding("ok", frame.name, f"{n_rows} rows"))
    return findings


def _column_problems(connection: duckdb.DuckDBPyConnection, table: str, columns: tuple[Column, ...]) -> str:
    query = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?"
    held = dict(connection.execute(query, [table]).fetchall())
    if not held:
        return "is missing; run 'tributary store init'"
    wrong = [f"{c.name} is {held.get(c.name, 'missing')}" for c in columns if held.get(c.name) != duckdb_type(c)]
    return f"does not fit: {', '.join(wrong)}; export the data and import it into a new store" if wrong else ""


def _counts(connection: duckdb.DuckDBPyConnection, table: str, key: tuple[str, ...]) -> tuple[int, int]:
    keys = " ".join(("SELECT", listed(key), "FROM", quoted(table), "GROUP BY ALL"))
    query = " ".join(("SELECT (SELECT count(*) FROM", quoted(table), "), (SELECT count(*) FROM (", keys, "))"))
    ((n_rows, n_keys),) = connection.execute(query).fetchall()
    return int(n_rows), int(n_keys)
