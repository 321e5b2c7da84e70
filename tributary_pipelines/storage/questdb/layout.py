"""How a table of a QuestDB server is laid out, and how each column of the frame is read from it.

Tables of an earlier collector are read as they are: ladders as JSON text, sides in any case, best prices of 0 and 1
that stand for an empty side, nanosecond times, missing columns, no DEDUP. A table is probed once, a result table of an
earlier version until it has every column.
"""

from dataclasses import dataclass

from tributary_pipelines.core.errors import StorageError
from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES, Column, Frame
from tributary_pipelines.storage.questdb.connection import QuestDBConnection
from tributary_pipelines.storage.schema import IS_MARKER, RUN_VERSION, TIE_RANK, missing_columns, questdb_type, quoted

_NULLS = {
    "timestamp": "cast(null as long)",
    "symbol": "cast(null as string)",
    "string": "cast(null as string)",
    "double": "cast(null as double)",
    "long": "cast(null as long)",
    "boolean": "false",
    "array": "cast(null as double[])",
}
#: Times as microseconds whatever the resolution; text as plain strings (Parquet exports of symbols cannot be read).
_READ = {
    "timestamp": "cast(cast({} as timestamp) as long)",
    "symbol": "cast({} as string)",
    "string": "cast({} as string)",
    # Without spaces: QuestDB 9.3.4 casts some stored texts of numbers to null unless they pass through a function.
    "array": "cast(replace({}, ' ', '') as double[])",
}
#: What a missing side of a book was written as, and the columns that cannot be known then.
_STAND_INS = (("best_bid", "0.0", "bid_prices"), ("best_ask", "1.0", "ask_prices"))
_NEEDS_SIDE = {
    "best_bid": ("best_bid",),
    "bid_size": ("best_bid",),
    "best_ask": ("best_ask",),
    "ask_size": ("best_ask",),
    "mid_price": ("best_bid", "best_ask"),
    "spread": ("best_bid", "best_ask"),
    "spread_bps": ("best_bid", "best_ask"),
}


@dataclass(frozen=True, slots=True)
class TableLayout:
    """Columns of one table as they are.

    ``types`` is empty when there is no such table; ``key`` holds the DEDUP columns, empty without DEDUP.
    """

    frame: Frame
    types: dict[str, str]
    key: frozenset[str]

    @property
    def exists(self) -> bool:
        """Whether the server has the table."""
        return bool(self.types)

    @property
    def may_repeat_keys(self) -> bool:
        """Whether rows of one key may be stored more than once."""
        return self.key != frozenset(self.frame.key)

    def differences(self, columns: tuple[Column, ...]) -> str:
        """Return in words which of these columns the table has not as we would make them; empty when none."""
        return ", ".join(
            f"{column.name} is {self.types.get(column.name, 'absent')}"
            for column in columns
            if self.types.get(column.name) != questdb_type(column)
        )

    def missing(self) -> tuple[Column, ...]:
        """Return the columns that a result table of an earlier version lacks."""
        is_ours = self.key == {*self.frame.key, RUN_VERSION.name} and IS_MARKER.name in self.types
        return missing_columns(self.frame, self.types) if is_ours else ()

    @property
    def keeps_arrival(self) -> bool:
        """Whether the order of arrival among equal times is stored, and not the table's own order."""
        return TIE_RANK.name in self.types

    @property
    def us(self) -> str:
        """The row's time in microseconds, whatever the table's resolution."""
        return "cast(cast(timestamp as timestamp) as long)"

    def selected(self, columns: tuple[Column, ...]) -> str:
        """Return the select list of these columns, each under its own name, times as microseconds."""
        return ", ".join(" AS ".join((self.read(column), quoted(column.name))) for column in columns)

    def read(self, column: Column) -> str:
        """Return the expression that reads one column."""
        if column.name not in self.types:
            return _NULLS[column.kind]
        if column.name == "side" and self.frame == TRADES:
            return "CASE WHEN lower(side) = 'buy' THEN 'buy' WHEN lower(side) = 'sell' THEN 'sell' END"
        if self.frame == ORDERBOOK_SNAPSHOTS and column.name in _NEEDS_SIDE:
            return self._unless_missing(column.name)
        if column.kind == "array" and self.types[column.name] == "DOUBLE[]":
            return quoted(column.name)
        return _READ.get(column.kind, "{}").replace("{}", quoted(column.name))

    @property
    def sign(self) -> str:
        """+1 where the taker bought, -1 where it sold, 0 where the side is unknown."""
        if "side" not in self.types:
            return "0"
        # Our own writer knows one spelling; comparing symbols as they are is a third faster.
        side = "side" if self.keeps_arrival else "lower(side)"
        return " ".join(("CASE WHEN", side, "= 'buy' THEN 1 WHEN", side, "= 'sell' THEN -1 ELSE 0 END"))

    def _unless_missing(self, name: str) -> str:
        missing = [
            "".join(("(", quoted(best), " = ", stand_in, " AND ", self._is_empty(ladder), ")"))
            for best, stand_in, ladder in _STAND_INS
            if best in _NEEDS_SIDE[name] and best in self.types
        ]
        if not missing:
            return quoted(name)
        return " ".join(("CASE WHEN", " OR ".join(missing), "THEN cast(null as double) ELSE", quoted(name), "END"))

    def _is_empty(self, ladder: str) -> str:
        column = next(c for c in self.frame.columns if c.name == ladder)
        return "".join(("coalesce(array_count(", self.read(column), "), 0) = 0"))


def probe(connection: QuestDBConnection, frame: Frame) -> TableLayout:
    """Ask the server how a table is laid out."""
    if not connection.rows("SELECT table_name FROM tables() WHERE table_name = $1", [frame.name]):
        return TableLayout(frame, {}, frozenset())
    query = "".join(('SELECT "column", type, upsertKey FROM table_columns(', "'", frame.name, "')"))
    found = connection.rows(query)
    return TableLayout(
        frame, {name: kind for name, kind, _ in found}, frozenset(name for name, _, is_key in found if is_key)
    )


class Layouts:
    """The layouts of a server's tables; a table that exists and misses no column is probed once."""

    def __init__(self, connection: QuestDBConnection) -> None:
        self._connection = connection
        self._known: dict[str, TableLayout] = {}

    def find(self, frame: Frame) -> TableLayout:
        """Return a table's layout, whether or not the table exists."""
        layout = self._known.get(frame.name) or probe(self._connection, frame)
        # The first write of the present version adds the columns, maybe from another process.
        if layout.exists and not layout.missing():
            self._known[frame.name] = layout
        return layout

    def require(self, frame: Frame) -> TableLayout:
        """Return a table's layout.

        Raises
        ------
        StorageError
            The server has no such table.
        """
        layout = self.find(frame)
        if not layout.exists:
            raise StorageError(
                f"QuestDB at {self._connection.address} has no table {frame.name!r}; run 'tributary store init'"
            )
        return layout
