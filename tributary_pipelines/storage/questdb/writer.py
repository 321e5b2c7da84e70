"""Additions to the raw tables of a QuestDB server, over HTTP.

A write fetches what is stored of the same markets and times, compares (storage/merge.py) and sends only what changes
the store, a transaction at a time; DEDUP makes a row that is sent twice harmless. It returns when its rows can be read.
A table of an earlier collector has no such DEDUP and is only ever read.
"""

from datetime import datetime

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tributary_pipelines.core.errors import StorageError
from tributary_pipelines.core.frames import MARKETS, Frame
from tributary_pipelines.storage.arrow import stored_schema
from tributary_pipelines.storage.base import Finding, MarketDataWriter
from tributary_pipelines.storage.incoming import incoming_rows
from tributary_pipelines.storage.merge import merge_rows
from tributary_pipelines.storage.questdb.connection import QuestDBConnection, placeholders
from tributary_pipelines.storage.questdb.http import QuestDBHttp, to_send
from tributary_pipelines.storage.questdb.layout import Layouts, TableLayout, probe
from tributary_pipelines.storage.questdb.wal import wait_applied
from tributary_pipelines.storage.schema import (
    FRAMES,
    creation_message,
    questdb_additions,
    questdb_tables,
    quoted,
    raw_columns,
    raw_frame,
)

_ROWS_PER_TRANSACTION = 250_000
#: More markets than this are not named in the question for what is stored; the time range alone narrows it.
_MAX_NAMED = 100


class QuestDBWriter(MarketDataWriter):
    """Writes to a QuestDB server."""

    def __init__(self, connection: QuestDBConnection, http: QuestDBHttp, layouts: Layouts) -> None:
        self._connection = connection
        self._http = http
        self._layouts = layouts

    def create_tables(self) -> list[Finding]:
        """Create the missing tables and the missing columns of result tables; change nothing else that exists."""
        held = {row[0] for row in self._connection.rows("SELECT table_name FROM tables()")}
        findings = []
        for name, statement in questdb_tables():
            if name not in held:
                self._http.run(statement)
            added = probe(self._connection, FRAMES[name]).missing() if name in held else ()
            for addition in questdb_additions(FRAMES[name], added):
                self._http.run(addition)
            if added:
                wait_applied(self._connection, [name])
            findings.append(Finding("ok", name, creation_message(existed=name in held, added=added)))
        return findings

    def write(self, frame: Frame, rows: pd.DataFrame) -> int:
        """Upsert rows of a raw frame on its key; return how many changed the store.

        Raises
        ------
        StorageError
            The table is an earlier collector's.
        """
        incoming = incoming_rows(raw_frame(frame), rows)
        if incoming.num_rows == 0:
            return 0
        layout = self._layouts.require(frame)
        self._refuse_foreign(layout)
        wait_applied(self._connection, [frame.name])
        with duckdb.connect(":memory:") as memory:
            memory.register("stored", self._stored(layout, incoming))
            merged = merge_rows(memory, frame, incoming, "stored")
        for first in range(0, merged.rows.num_rows, _ROWS_PER_TRANSACTION):
            self._send(layout, merged.rows.slice(first, _ROWS_PER_TRANSACTION))
        if merged.rows.num_rows:
            wait_applied(self._connection, [frame.name])
        return merged.n_changed

    def _refuse_foreign(self, layout: TableLayout) -> None:
        different = layout.differences(raw_columns(layout.frame))
        if different or layout.may_repeat_keys:
            raise StorageError(
                f"table {layout.frame.name!r} of QuestDB at {self._connection.address} is an earlier collector's "
                f"({different or 'no DEDUP on its key'}) and is only read; write into another database, or rename it "
                "and run 'tributary store init'"
            )

    def _stored(self, layout: TableLayout, incoming: pa.Table) -> pa.Table:
        frame, columns = layout.frame, raw_columns(layout.frame)
        query, bound = " ".join(("SELECT", layout.selected(columns), "FROM", quoted(frame.name))), []
        if frame != MARKETS:
            ends = pc.min_max(incoming["timestamp"]).as_py()
            bound = [_text(ends["min"]), _text(ends["max"])]
            query = " ".join((query, "WHERE timestamp >= $1 AND timestamp <= $2"))
            markets = pc.unique(incoming["market_id"]).to_pylist()
            if "market_id" in frame.key and len(markets) <= _MAX_NAMED:
                query = " ".join((query, "AND market_id IN (", placeholders(3, len(markets)), ")"))
                bound += markets
        held = self._http.table(query, bound)
        schema = stored_schema(columns)
        arrays = [
            (held.column(f.name).cast(pa.int64()) if pa.types.is_timestamp(f.type) else held.column(f.name)).cast(
                f.type
            )
            for f in schema
        ]
        return pa.table(arrays, schema=schema)

    def _send(self, layout: TableLayout, rows: pa.Table) -> None:
        columns = raw_columns(layout.frame)
        symbols = [column.name for column in columns if column.kind == "symbol"]
        self._http.send(layout.frame.name, to_send(rows, columns), symbols)


def _text(moment: datetime) -> str:
    return "".join((moment.isoformat(timespec="microseconds"), "Z"))
