"""The tables of both stores, generated from core/frames.py: a frame's kinds become the database's types.

Also the only place where an identifier or a bar width becomes SQL text: identifiers are known names of frames and
columns, a width must match a whitelist; every other value is bound. ``tie_rank`` and the versions of result rows are
bookkeeping of the stores and never reach a reader's answer.
"""

import re
from collections.abc import Collection, Iterable

from tributary_pipelines.core.errors import StorageError, ValidationError
from tributary_pipelines.core.frames import MARKETS, RAW_FRAMES, TRADES, Column, Frame
from tributary_pipelines.core.result_frames import RESULT_FRAMES
from tributary_pipelines.core.units import US_PER_S

#: Order of arrival among rows of equal time: a store may sort ties by key (QuestDB's DEDUP does), so it is kept apart.
TIE_RANK = Column("tie_rank", "long", "1", "order of arrival among rows of equal time")
#: Which run wrote a result row; only the rows of a day's highest version count (storage/questdb/results.py).
RUN_VERSION = Column("run_version", "long", "1", "rises with every replacement of a day")
IS_MARKER = Column("is_marker", "boolean", "flag", "says that the day was replaced by nothing")

FRAMES = {frame.name: frame for frame in (*RAW_FRAMES, *RESULT_FRAMES)}

_DUCKDB_TYPES = {
    "timestamp": "TIMESTAMP",
    "symbol": "VARCHAR",
    "string": "VARCHAR",
    "double": "DOUBLE",
    "long": "BIGINT",
    "boolean": "BOOLEAN",
    "array": "DOUBLE[]",
}
_QUESTDB_TYPES = {**_DUCKDB_TYPES, "symbol": "SYMBOL", "long": "LONG"}
_DAILY_PARTITIONS = frozenset({"trades", "orderbook_snapshots", "vwap_bars"})
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
_WIDTH = re.compile(r"([1-9][0-9]{0,3})([smhd])")
_WIDTH_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def raw_frame(frame: Frame) -> Frame:
    """Return a raw frame that the store knows.

    Raises
    ------
    StorageError
        The frame is no raw table of the store.
    """
    if frame not in RAW_FRAMES:
        raise StorageError(f"{frame.name!r} is not a raw table; raw tables: {', '.join(f.name for f in RAW_FRAMES)}")
    return frame


def result_frame(frame: Frame) -> Frame:
    """Return a result frame that the store knows.

    Raises
    ------
    StorageError
        The frame is no result table of the store.
    """
    if frame not in RESULT_FRAMES:
        known = ", ".join(f.name for f in RESULT_FRAMES)
        raise StorageError(f"{frame.name!r} is not a result table; result tables: {known}")
    return frame


def tie_group(frame: Frame) -> tuple[str, ...]:
    """Return the columns within which a row's ``tie_rank`` counts arrivals."""
    return {TRADES.name: ("timestamp", "market_id", "token_id"), MARKETS.name: ("timestamp",)}.get(
        frame.name, frame.key
    )


def quoted(name: str) -> str:
    """Return an identifier for use in SQL.

    Raises
    ------
    StorageError
        The name is not a plain lower-case identifier.

    Examples
    --------
    >>> quoted("best_bid")
    '"best_bid"'
    """
    if _IDENTIFIER.fullmatch(name) is None:
        raise StorageError(f"{name!r} cannot be a table or column name")
    return "".join(('"', name, '"'))


def listed(names: Iterable[str]) -> str:
    """Return identifiers for use in SQL, separated by commas."""
    return ", ".join(quoted(name) for name in names)


def bar_width(width: str) -> tuple[str, int]:
    """Return a bar width for use in SQL, and in microseconds.

    Raises
    ------
    ValidationError
        The width is not a whole number of 1 to 9999 followed by s, m, h or d.

    Examples
    --------
    >>> bar_width("7m")
    ('7m', 420000000)
    """
    match = _WIDTH.fullmatch(width)
    if match is None:
        raise ValidationError(f"bar width {width!r} is not understood; write 1 to 9999 and s, m, h or d, like 5m")
    return match[0], int(match[1]) * _WIDTH_S[match[2]] * US_PER_S


def raw_columns(frame: Frame) -> tuple[Column, ...]:
    """Return the stored columns of a raw frame."""
    return (*frame.columns, TIE_RANK)


def versioned_columns(frame: Frame) -> tuple[Column, ...]:
    """Return the stored columns of a result frame in a store that cannot delete."""
    return (*frame.columns, RUN_VERSION, IS_MARKER)


def duckdb_tables() -> list[tuple[str, str]]:
    """Return name and CREATE TABLE statement of every table of the embedded store."""
    raw = [(frame.name, raw_columns(frame)) for frame in RAW_FRAMES]
    results = [(frame.name, frame.columns) for frame in RESULT_FRAMES]
    return [(name, _create(name, columns, _DUCKDB_TYPES)) for name, columns in (*raw, *results)]


def questdb_tables() -> list[tuple[str, str]]:
    """Return name and CREATE TABLE statement of every table of a QuestDB server."""
    raw = [(frame, raw_columns(frame), frame.key) for frame in RAW_FRAMES]
    results = [(frame, versioned_columns(frame), (*frame.key, RUN_VERSION.name)) for frame in RESULT_FRAMES]
    return [
        (
            frame.name,
            " ".join(
                (
                    _create(frame.name, columns, _QUESTDB_TYPES),
                    "TIMESTAMP(timestamp) PARTITION BY",
                    "DAY" if frame.name in _DAILY_PARTITIONS else "MONTH",
                    "WAL DEDUP UPSERT KEYS",
                    "".join(("(", listed(key), ")")),
                )
            ),
        )
        for frame, columns, key in (*raw, *results)
    ]


def missing_columns(frame: Frame, held: Collection[str]) -> tuple[Column, ...]:
    """Return the columns that a result table of an earlier version lacks: null in its rows, and safe to add.

    None for a raw table, which stays as its user made it, and for one without the frame's key: whatever that is, no
    earlier version made it.
    """
    if frame not in RESULT_FRAMES or not set(frame.key) <= set(held):
        return ()
    return tuple(column for column in frame.columns if column.name not in held)


def creation_message(*, existed: bool, added: Collection[Column]) -> str:
    """Return what is said of a table that was looked for, created or extended."""
    if added:
        return f"added {', '.join(column.name for column in added)}"
    return "exists" if existed else "created"


def lacking_message(missing: Collection[Column]) -> str:
    """Return what is said of a result table that an earlier version made."""
    names = ", ".join(column.name for column in missing)
    return f"is an earlier version's and lacks {names}, which read as empty; 'tributary store init' adds them"


def duckdb_additions(frame: Frame, columns: Iterable[Column]) -> list[str]:
    """Return the statements that add columns to a table of the embedded store."""
    return [_add(frame.name, column, _DUCKDB_TYPES) for column in columns]


def questdb_additions(frame: Frame, columns: Iterable[Column]) -> list[str]:
    """Return the statements that add columns to a table of a QuestDB server."""
    return [_add(frame.name, column, _QUESTDB_TYPES) for column in columns]


def duckdb_selected(frame: Frame, held: Collection[str]) -> str:
    """Return the select list of a result frame over a table with these columns; what it lacks is null."""
    return ", ".join(
        quoted(column.name)
        if column.name in held
        else " ".join(("CAST(NULL AS", duckdb_type(column), ") AS", quoted(column.name)))
        for column in frame.columns
    )


def questdb_type(column: Column) -> str:
    """Return QuestDB's type of a column, as its catalogue spells it."""
    return _QUESTDB_TYPES[column.kind]


def duckdb_type(column: Column) -> str:
    """Return DuckDB's type of a column, as its catalogue spells it."""
    return _DUCKDB_TYPES[column.kind]


def _create(name: str, columns: Iterable[Column], types: dict[str, str]) -> str:
    body = ", ".join(" ".join((quoted(column.name), types[column.kind])) for column in columns)
    return " ".join(("CREATE TABLE IF NOT EXISTS", quoted(name), "".join(("(", body, ")"))))


def _add(name: str, column: Column, types: dict[str, str]) -> str:
    # Another process may add the same column at the same time.
    new = (quoted(column.name), types[column.kind])
    return " ".join(("ALTER TABLE", quoted(name), "ADD COLUMN IF NOT EXISTS", *new))
