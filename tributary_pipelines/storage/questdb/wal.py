"""Waiting for QuestDB's write-ahead log: a write is stored at once and can be read only after it was applied."""

import time
from collections.abc import Sequence

from tributary_pipelines.core.errors import StorageError
from tributary_pipelines.storage.questdb.connection import QuestDBConnection

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.2
_STATES = "SELECT name, suspended, writerTxn, sequencerTxn, errorMessage FROM wal_tables()"


def wait_applied(connection: QuestDBConnection, tables: Sequence[str]) -> None:
    """Return when everything written to these tables before the call can be read.

    Raises
    ------
    StorageError
        A table is suspended, or is not up to date within ``storage.wal_timeout``.
    """
    timeout_s = connection.settings.wal_timeout
    deadline, pause = time.monotonic() + timeout_s, _FIRST_PAUSE_S
    wanted: dict[str, int] = {}
    while True:
        behind = []
        for name, is_suspended, applied, written, message in connection.rows(_STATES):
            if name not in tables:
                continue
            if is_suspended:
                raise StorageError(_suspended(connection.address, name, applied, written, message))
            if applied < wanted.setdefault(name, written):
                behind.append(f"{name} ({applied} of {wanted[name]} transactions)")
        if not behind:
            return
        if time.monotonic() >= deadline:
            raise StorageError(
                f"QuestDB at {connection.address} has not applied all writes within {timeout_s:g} s: "
                f"{', '.join(behind)}; try again, or raise storage.wal_timeout"
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def suspended_tables(connection: QuestDBConnection) -> set[str]:
    """Return the names of the tables whose log QuestDB stopped applying."""
    return {row[0] for row in connection.rows(_STATES) if row[1]}


def _suspended(address: str, name: str, applied: int, written: int, message: str | None) -> str:
    because = f" ({message})" if message else ""
    return (
        f"table {name!r} of QuestDB at {address} is suspended{because}: {written - applied} transactions cannot be "
        "read; free disk space or mend what the server's log names, then run 'ALTER TABLE "
        f"{name} RESUME WAL' in QuestDB"
    )
