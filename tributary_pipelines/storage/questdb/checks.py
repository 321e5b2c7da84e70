"""What ``store check`` verifies on a QuestDB server: both ports, every table's columns, keys and write-ahead log.

A raw table of an earlier collector is no fault: how it differs and is read all the same is said as a warning.
"""

from tributary_pipelines.core.errors import StorageError
from tributary_pipelines.core.frames import RAW_FRAMES, TRADES, Frame
from tributary_pipelines.core.result_frames import RESULT_FRAMES
from tributary_pipelines.storage.base import Finding
from tributary_pipelines.storage.questdb.connection import QuestDBConnection
from tributary_pipelines.storage.questdb.http import QuestDBHttp
from tributary_pipelines.storage.questdb.layout import TableLayout, probe
from tributary_pipelines.storage.questdb.queries import NO_TRADE_ID, SOUND_TRADE
from tributary_pipelines.storage.questdb.wal import suspended_tables
from tributary_pipelines.storage.schema import (
    RUN_VERSION,
    lacking_message,
    listed,
    quoted,
    raw_columns,
    versioned_columns,
)


def check_server(connection: QuestDBConnection, http: QuestDBHttp) -> list[Finding]:
    """Return the findings of both ports and of every table; stops after a port that cannot be used.

    Raises
    ------
    StorageError
        The server goes away in the middle.
    """
    try:
        ((version,),) = connection.rows("SELECT build()")
    except StorageError as error:
        return [Finding("error", "postgresql port", str(error))]
    findings = [Finding("ok", "postgresql port", f"{connection.address} answers: {version}"), _check_http(http)]
    suspended = suspended_tables(connection)
    for frame in (*RAW_FRAMES, *RESULT_FRAMES):
        layout = probe(connection, frame)
        findings += _check_raw(connection, layout) if frame in RAW_FRAMES else _check_result(connection, layout)
        if frame.name in suspended:
            findings.append(
                Finding(
                    "error", frame.name, f"is suspended; mend the cause, then run ALTER TABLE {frame.name} RESUME WAL"
                )
            )
    return findings


def _check_http(http: QuestDBHttp) -> Finding:
    try:
        http.run("SELECT 1")
    except StorageError as error:
        return Finding("error", "http port", str(error))
    return Finding("ok", "http port", f"{http.address} answers")


def _check_raw(connection: QuestDBConnection, layout: TableLayout) -> list[Finding]:
    if not layout.exists:
        return [_missing(layout.frame)]
    n_rows = _count(connection, layout.frame)
    different = layout.differences(raw_columns(layout.frame))
    if not different and not layout.may_repeat_keys:
        return [Finding("ok", layout.frame.name, f"{n_rows} rows")]
    found = (
        [Finding("warning", layout.frame.name, f"{n_rows} rows, read as they are; {different}")] if different else []
    )
    if layout.may_repeat_keys and set(layout.frame.key) <= layout.types.keys():
        n_repeated = n_rows - _count_keys(connection, layout.frame) - _count_unkeyed(connection, layout.frame)
        found.append(
            Finding("warning", layout.frame.name, f"has no DEDUP on its key; {n_repeated} repeated rows are left out")
        )
    n_unsound = n_rows - _count_where(connection, SOUND_TRADE) if layout.frame == TRADES else 0
    if n_unsound:
        unsound = f"{n_unsound} rows without a positive price and size are left out"
        found.append(Finding("warning", TRADES.name, unsound))
    return found


def _check_result(connection: QuestDBConnection, layout: TableLayout) -> list[Finding]:
    frame = layout.frame
    if not layout.exists:
        return [_missing(frame)]
    lacking = layout.missing()
    different = layout.differences(tuple(column for column in versioned_columns(frame) if column not in lacking))
    if different or layout.key != {*frame.key, RUN_VERSION.name}:
        return [
            Finding("error", frame.name, f"does not fit ({different or 'other DEDUP keys'}); rename it and initialise")
        ]
    if lacking:
        return [Finding("warning", frame.name, lacking_message(lacking))]
    return [Finding("ok", frame.name, f"{_count(connection, frame)} rows with superseded ones")]


def _missing(frame: Frame) -> Finding:
    return Finding("error", frame.name, "is missing; run 'tributary store init'")


def _count(connection: QuestDBConnection, frame: Frame) -> int:
    ((n_rows,),) = connection.rows(" ".join(("SELECT count() FROM", quoted(frame.name))))
    return int(n_rows)


def _count_keys(connection: QuestDBConnection, frame: Frame) -> int:
    keyed = () if frame != TRADES else ("WHERE NOT (", NO_TRADE_ID, ")")
    keys = " ".join(("SELECT DISTINCT", listed(frame.key), "FROM", quoted(frame.name), *keyed))
    ((n_keys,),) = connection.rows(" ".join(("SELECT count() FROM (", keys, ")")))
    return int(n_keys)


def _count_unkeyed(connection: QuestDBConnection, frame: Frame) -> int:
    return _count_where(connection, NO_TRADE_ID) if frame == TRADES else 0


def _count_where(connection: QuestDBConnection, condition: str) -> int:
    ((n_rows,),) = connection.rows(" ".join(("SELECT count() FROM trades WHERE", condition)))
    return int(n_rows)
