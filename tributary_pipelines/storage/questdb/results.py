"""The result tables of a QuestDB server, which has no DELETE: a day is replaced by a newer version of itself.

Every row carries the ``run_version`` of the call that wrote it, and the version is part of the DEDUP key, so no two
calls ever touch each other's rows. Of a (market, token, day) only the rows of the highest version count; a day that
became empty is one marker row. One transaction writes a whole version, so it is seen at once or not at all, also when
the process is killed or another run writes the same day: one of the two wins, complete. Equal days are not written
again. A version is a time in nanoseconds with random low bits, and above every version that it replaces.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tributary_pipelines.core.frames import Frame
from tributary_pipelines.core.units import US_PER_DAY, day_start, from_us, to_us
from tributary_pipelines.storage.arrow import split, stored_schema, to_pandas
from tributary_pipelines.storage.base import NearestDays, ResultDay, ResultStore, Token
from tributary_pipelines.storage.incoming import result_rows
from tributary_pipelines.storage.questdb.bulk import BulkReader
from tributary_pipelines.storage.questdb.connection import placeholders
from tributary_pipelines.storage.questdb.http import to_send
from tributary_pipelines.storage.questdb.layout import Layouts
from tributary_pipelines.storage.questdb.queries import MAX_NAMED
from tributary_pipelines.storage.questdb.versions import changed_days, new_version, transactions
from tributary_pipelines.storage.questdb.wal import wait_applied
from tributary_pipelines.storage.schema import IS_MARKER, RUN_VERSION, listed, quoted, result_frame, versioned_columns

_ROWS_PER_TRANSACTION = 500_000
_RANDOM_NS = 1024


def version_now() -> int:
    """Return the version of a call: nanoseconds since the epoch, of which the last ten bits are random."""
    return time.time_ns() // _RANDOM_NS * _RANDOM_NS + random.SystemRandom().randrange(_RANDOM_NS)


@dataclass(frozen=True, slots=True)
class QuestDBResults(ResultStore):
    """Results in a QuestDB server; ``clock`` gives the version of a call."""

    bulk: BulkReader
    layouts: Layouts
    clock: Callable[[], int] = version_now

    def replace_days(self, frame: Frame, days: Sequence[ResultDay], rows: pd.DataFrame) -> None:
        """Make ``rows`` the only rows of these days, each day in one transaction."""
        self.replace_checked(frame, days, result_rows(frame, days, rows))

    def replace_checked(self, frame: Frame, days: Sequence[ResultDay], rows: pa.Table) -> None:
        """Do the same with rows that are converted and in order."""
        if not days:
            return
        held = self._held(frame, days)
        changed = changed_days(frame, days, rows, held)
        version = max(self.clock(), (pc.max(held[RUN_VERSION.name]).as_py() or 0) + 1)
        columns = versioned_columns(frame)
        symbols = [column.name for column in columns if column.kind == "symbol"]
        for batch in transactions(changed, rows, _ROWS_PER_TRANSACTION):
            self.bulk.http.send(frame.name, to_send(new_version(frame, batch, rows, version), columns), symbols)
        if changed:
            wait_applied(self.bulk.connection, [frame.name])

    def read(
        self, frame: Frame, start: datetime, end: datetime, market_id: str | None = None, token_id: str | None = None
    ) -> pd.DataFrame:
        """Return result rows by time, of each day its newest version."""
        named = {
            name: [value] for name, value in (("market_id", market_id), ("token_id", token_id)) if value is not None
        }
        return to_pandas(frame, self._between(result_frame(frame), start, end, named))

    def read_of(
        self, frame: Frame, tokens: Sequence[Token], start: datetime, end: datetime
    ) -> dict[Token, pd.DataFrame]:
        """Return the rows of each of these tokens."""
        found: dict[tuple[str, ...], pa.Table] = {}
        nothing = stored_schema(versioned_columns(result_frame(frame))).empty_table()
        for first in range(0, len(tokens), MAX_NAMED):
            ids = zip(*tokens[first : first + MAX_NAMED], strict=True)
            named = {name: list(dict.fromkeys(of)) for name, of in zip(("market_id", "token_id"), ids, strict=True)}
            found |= split(self._between(frame, start, end, named), ("market_id", "token_id"))
        return {token: to_pandas(frame, found.get(token, nothing)) for token in tokens}

    def _between(self, frame: Frame, start: datetime, end: datetime, named: dict[str, list[str]]) -> pa.Table:
        """Return the newest rows of [start, end), with bookkeeping."""
        start_us, end_us = to_us(start), to_us(end)
        # A day's newest version shows only among all rows of the day.
        first, last = start_us // US_PER_DAY * US_PER_DAY, -(-end_us // US_PER_DAY) * US_PER_DAY
        table = self._newest(frame, from_us(first), from_us(last), named)
        us = table["timestamp"].cast(pa.int64())
        is_asked = pc.and_(pc.greater_equal(us, start_us), pc.less(us, end_us))
        return table.filter(pc.and_(is_asked, pc.invert(table[IS_MARKER.name])))

    def nearest_days(self, frame: Frame, market_id: str, token_id: str, day: date) -> NearestDays:
        """Return the newest day with rows before ``day``, and the oldest from ``day`` on."""
        self.layouts.require(result_frame(frame))
        wait_applied(self.bulk.connection, [frame.name])
        # A day whose newest version is a marker is empty, whatever its older versions hold.
        query = " ".join(
            (
                "SELECT max(CASE WHEN day < $3 THEN day END), min(CASE WHEN day >= $3 THEN day END) FROM",
                "(SELECT timestamp_floor('d', timestamp) AS day, max(run_version) AS newest,",
                "max(CASE WHEN is_marker THEN run_version END) AS emptied FROM", quoted(frame.name),
                "WHERE market_id = $1 AND token_id = $2 GROUP BY day) WHERE emptied IS NULL OR emptied < newest",
            )
        )  # fmt: skip
        bound = [market_id, token_id, day_start(day).replace(tzinfo=None)]
        ((before, after),) = self.bulk.connection.rows(query, bound)
        return NearestDays(*(None if at is None else at.date() for at in (before, after)))

    def _held(self, frame: Frame, days: Sequence[ResultDay]) -> pa.Table:
        first, last = min(day.day for day in days), max(day.day for day in days)
        markets = sorted({day.market_id for day in days})
        # Of more markets the time range alone narrows the question.
        named = {"market_id": markets} if len(markets) <= MAX_NAMED else {}
        return self._newest(frame, day_start(first), day_start(last) + timedelta(days=1), named)

    def _newest(self, frame: Frame, start: datetime, end: datetime, named: dict[str, list[str]]) -> pa.Table:
        layout = self.layouts.require(frame)
        wait_applied(self.bulk.connection, [frame.name])
        bound: list[object] = [start.replace(tzinfo=None), end.replace(tzinfo=None)]
        conditions = ["WHERE timestamp >= $1 AND timestamp < $2"]
        for name, values in named.items():
            conditions.append(" ".join((quoted(name), "IN (", placeholders(len(bound) + 1, len(values)), ")")))
            bound += values
        columns = versioned_columns(frame)
        query = " ".join(
            (
                "SELECT", layout.selected(columns), "FROM (SELECT *, max(run_version) OVER",
                "(PARTITION BY market_id, token_id, timestamp_floor('d', timestamp)) AS newest FROM",
                quoted(frame.name), " AND ".join(conditions), ") WHERE run_version = newest",
                "ORDER BY", listed(frame.key),
            )
        )  # fmt: skip
        return self.bulk.rows(query, bound, stored_schema(columns))
