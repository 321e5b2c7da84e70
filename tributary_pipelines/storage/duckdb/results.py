"""The result tables of the embedded store: a day is replaced by delete and insert in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta

import duckdb
import pandas as pd
import pyarrow as pa

from tributary_pipelines.core.frames import Frame
from tributary_pipelines.core.units import day_start, to_us
from tributary_pipelines.storage.arrow import to_pandas
from tributary_pipelines.storage.base import NearestDays, ResultDay, ResultStore
from tributary_pipelines.storage.duckdb.connection import DuckDBFile, arrow_table
from tributary_pipelines.storage.duckdb.writer import make_tables
from tributary_pipelines.storage.incoming import result_rows
from tributary_pipelines.storage.schema import duckdb_selected, listed, quoted, result_frame


class DuckDBResults(ResultStore):
    """Results in the DuckDB file."""

    def __init__(self, file: DuckDBFile) -> None:
        self._file = file

    def replace_days(self, frame: Frame, days: Sequence[ResultDay], rows: pd.DataFrame) -> None:
        """Make ``rows`` the only rows of these days, in one transaction."""
        self.replace_checked(frame, days, result_rows(frame, days, rows))

    def replace_checked(self, frame: Frame, days: Sequence[ResultDay], rows: pa.Table) -> None:
        """Do the same with rows that are converted and in order."""
        if not days:
            return
        with self._file.writing() as connection:
            make_tables(connection)
            connection.register("days", _days_table(days))
            connection.register("written", rows)
            connection.execute(
                " ".join(
                    (
                        "DELETE FROM", quoted(frame.name), "AS t USING days AS d",
                        "WHERE t.market_id = d.market_id AND t.token_id = d.token_id",
                        "AND t.timestamp >= d.start AND t.timestamp < d.stop",
                    )
                )
            )  # fmt: skip
            connection.execute(" ".join(("INSERT INTO", quoted(frame.name), "BY NAME SELECT * FROM written")))

    def read(
        self, frame: Frame, start: datetime, end: datetime, market_id: str | None = None, token_id: str | None = None
    ) -> pd.DataFrame:
        """Return result rows by time."""
        result_frame(frame)
        bound = {"start": to_us(start), "end": to_us(end), "market": market_id, "token": token_id}
        with self._file.reading() as connection:
            return to_pandas(frame, _read(connection, frame, bound))

    def nearest_days(self, frame: Frame, market_id: str, token_id: str, day: date) -> NearestDays:
        """Return the newest day with rows before ``day``, and the oldest from ``day`` on."""
        query = " ".join(
            (
                "SELECT max(timestamp) FILTER (timestamp < make_timestamp($start)),",
                "min(timestamp) FILTER (timestamp >= make_timestamp($start)) FROM", quoted(result_frame(frame).name),
                "WHERE market_id = $market AND token_id = $token",
            )
        )  # fmt: skip
        bound = {"start": to_us(day_start(day)), "market": market_id, "token": token_id}
        with self._file.reading() as connection:
            found = connection.execute(query, bound).fetchone() or (None, None)
        return NearestDays(*(None if at is None else at.date() for at in found))


def _days_table(days: Sequence[ResultDay]) -> pa.Table:
    starts = [datetime.combine(d.day, time()) for d in days]
    return pa.table(
        {
            "market_id": [d.market_id for d in days],
            "token_id": [d.token_id for d in days],
            "start": pa.array(starts, pa.timestamp("us")),
            "stop": pa.array([start + timedelta(days=1) for start in starts], pa.timestamp("us")),
        }
    )


def _read(connection: duckdb.DuckDBPyConnection, frame: Frame, bound: Mapping[str, object]) -> pa.Table:
    # A read cannot add the columns that a file of an earlier version lacks.
    selected = duckdb_selected(frame, connection.table(frame.name).columns)
    query = " ".join(
        (
            "SELECT", selected, "FROM", quoted(frame.name),
            "WHERE timestamp >= make_timestamp($start) AND timestamp < make_timestamp($end)",
            "AND ($market IS NULL OR market_id = $market) AND ($token IS NULL OR token_id = $token)",
            "ORDER BY", listed(frame.key),
        )
    )  # fmt: skip
    return arrow_table(connection, query, bound)
