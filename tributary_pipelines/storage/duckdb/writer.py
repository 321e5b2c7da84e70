"""Additions to the raw tables of the embedded store.

There is no PRIMARY KEY: one process writes at a time, in one transaction, and every write compares with what is stored
(storage/merge.py), so a key is stored once; an index would only cost memory and time. The tables are made on the way,
and result tables of an earlier version get the columns they lack.
"""

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tributary_pipelines.core.frames import MARKETS, Frame
from tributary_pipelines.storage.base import Finding, MarketDataWriter
from tributary_pipelines.storage.duckdb.connection import DuckDBFile
from tributary_pipelines.storage.incoming import incoming_rows
from tributary_pipelines.storage.merge import merge_rows
from tributary_pipelines.storage.schema import (
    FRAMES,
    creation_message,
    duckdb_additions,
    duckdb_tables,
    missing_columns,
    quoted,
    raw_frame,
)


class DuckDBWriter(MarketDataWriter):
    """Writes to the DuckDB file."""

    def __init__(self, file: DuckDBFile) -> None:
        self._file = file

    def create_tables(self) -> list[Finding]:
        """Create the missing tables and the missing columns of result tables; change nothing else that exists."""
        with self._file.writing() as connection:
            return make_tables(connection)

    def write(self, frame: Frame, rows: pd.DataFrame) -> int:
        """Upsert rows of a raw frame on its key; return how many changed the store."""
        raw_frame(frame)
        incoming = incoming_rows(frame, rows)
        if incoming.num_rows == 0:
            return 0
        with self._file.writing() as connection:
            make_tables(connection)
            _view_of_stored(connection, frame, incoming)
            merged = merge_rows(connection, frame, incoming, "stored")
            connection.execute("DROP VIEW stored")
            _upsert(connection, frame, merged.rows)
            return merged.n_changed


def make_tables(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Create the missing tables and the missing columns of result tables, one finding a table."""
    held: dict[str, set[str]] = {}
    for table, column in connection.execute("SELECT table_name, column_name FROM duckdb_columns()").fetchall():
        held.setdefault(table, set()).add(column)
    findings = []
    for name, statement in duckdb_tables():
        if name not in held:
            connection.execute(statement)
        added = missing_columns(FRAMES[name], held.get(name, ()))
        for addition in duckdb_additions(FRAMES[name], added):
            connection.execute(addition)
        findings.append(Finding("ok", name, creation_message(existed=name in held, added=added)))
    return findings


def _view_of_stored(connection: duckdb.DuckDBPyConnection, frame: Frame, incoming: pa.Table) -> None:
    view: tuple[str, ...] = ("CREATE TEMP VIEW stored AS SELECT * FROM", quoted(frame.name))
    if frame != MARKETS:
        ends = pc.min_max(incoming["timestamp"]).as_py()
        view += ("WHERE timestamp BETWEEN", _literal(ends["min"]), "AND", _literal(ends["max"]))
    connection.execute(" ".join(view))


def _literal(moment: object) -> str:
    return "".join(("TIMESTAMP '", str(moment), "'"))


def _upsert(connection: duckdb.DuckDBPyConnection, frame: Frame, rows: pa.Table) -> None:
    if rows.num_rows == 0:
        return
    connection.register("written", rows)
    table = quoted(frame.name)
    same_key = " AND ".join("".join(("t.", quoted(name), " = w.", quoted(name))) for name in frame.key)
    connection.execute(" ".join(("DELETE FROM", table, "AS t USING written AS w WHERE", same_key)))
    connection.execute(" ".join(("INSERT INTO", table, "BY NAME SELECT * FROM written")))
    connection.unregister("written")
