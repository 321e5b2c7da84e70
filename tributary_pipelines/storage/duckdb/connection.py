"""Short-lived connections to the DuckDB file: opened for one read or one write, then closed.

DuckDB lets one process hold the file for writing and then no other may even read it, so a lock held elsewhere is waited
for with growing pauses and named when it does not go away. Reads are read-only: they share the file with each other.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import duckdb
import pyarrow as pa

from tributary_pipelines.core.errors import StorageError

_LOG = logging.getLogger(__name__)
_HOLDER = re.compile(r"lock is held in (.+?) \(PID (\d+)\)")
#: One thread at a time opens or closes: a file that another thread is just closing is neither free nor open.
_SWITCHING = Lock()
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.5


@dataclass(frozen=True, slots=True)
class DuckDBFile:
    """Where the file is and how long a lock held elsewhere is waited for.

    Parameters
    ----------
    path
        The file; it exists once something was written.
    lock_timeout_s
        Seconds after which a held lock is an error.
    """

    path: Path
    lock_timeout_s: float = 30.0

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file read-only.

        Raises
        ------
        StorageError
            There is no file, it is locked for too long, it cannot be read, or a statement failed.
        """
        if not self.path.exists():
            raise StorageError(
                f"there is no market store at {self.path} yet; import market data or run 'tributary store init'"
            )
        with self._opened(read_only=True) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file in one transaction: committed at the end, undone when anything is raised.

        Raises
        ------
        StorageError
            The file is locked for too long, it cannot be written, or a statement failed.
        """
        self._make_folder()
        with self._opened(read_only=False) as connection:
            connection.begin()
            yield connection
            connection.commit()

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the folder of the market store {self.path} cannot be made: {error}") from error

    @contextmanager
    def _opened(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._connect(read_only=read_only)
        try:
            # Closing without a commit undoes what was begun.
            yield connection
        except duckdb.CatalogException as error:
            raise StorageError(
                f"the market store {self.path} lacks a table or column ({_line(error)}); run 'tributary store init'"
            ) from error
        except duckdb.Error as error:
            raise StorageError(f"the market store {self.path} failed: {_line(error)}") from error
        finally:
            with _SWITCHING:
                connection.close()

    def _connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        try:
            return _patiently(lambda: _connect(self.path, read_only=read_only), self.lock_timeout_s, str(self.path))
        except duckdb.Error as error:
            raise StorageError(self._explain(error)) from error

    def _explain(self, error: duckdb.Error) -> str:
        if not _is_lock(error):
            return f"the market store {self.path} cannot be opened: {_line(error)}; check storage.path"
        holder = _HOLDER.search(str(error))
        by = f"process {holder[2]} ({holder[1]})" if holder else "another connection of this process"
        return (
            f"the market store {self.path} is locked by {by} and stayed so for {self.lock_timeout_s:g} s; "
            "wait until it is done or end it, or raise storage.lock_timeout"
        )


def arrow_table(
    connection: duckdb.DuckDBPyConnection, query: str, bound: Mapping[str, object] | None = None
) -> pa.Table:
    """Return the answer of a query as an Arrow table."""
    return connection.sql(query, params=dict(bound) if bound else None).to_arrow_table()


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    with _SWITCHING:
        return duckdb.connect(str(path), read_only=read_only)


def _patiently(
    connect: Callable[[], duckdb.DuckDBPyConnection], timeout_s: float, name: str
) -> duckdb.DuckDBPyConnection:
    deadline, pause = time.monotonic() + timeout_s, _FIRST_PAUSE_S
    while True:
        try:
            return connect()
        except duckdb.Error as error:
            if not _is_lock(error) or time.monotonic() >= deadline:
                raise
            _LOG.debug("waiting for the lock of %s: %s", name, _line(error))
        time.sleep(min(pause, max(deadline - time.monotonic(), 0.0)))
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _is_lock(error: duckdb.Error) -> bool:
    # A thread of this process that opens or holds the file is a lock as well, only worded differently.
    wordings = ("lock on file", "different configuration", "is already attached")
    return any(wording in str(error) for wording in wordings)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
