"""The PostgreSQL wire to QuestDB: a small pool of the read-only user, opened by the first question.

Values are bound as $1, $2, ...; every failure becomes a StorageError that says where and what to do, never a password.
Numbers travel as raw big-endian bytes (``cells``), which NumPy decodes a million rows at a time.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

import psycopg
from psycopg.types.string import ByteaBinaryLoader
from psycopg_pool import ConnectionPool, PoolTimeout

from tributary_pipelines.core.errors import StorageError
from tributary_pipelines.core.settings import StorageSettings

_MAX_CONNECTIONS = 4
_CHUNK_ROWS = 10_000
_DOUBLE = psycopg.adapters.types["float8"]
_RAW_OIDS = (psycopg.adapters.types["int8"].oid, _DOUBLE.oid, _DOUBLE.array_oid)

Bound = Sequence[object]
Connection = psycopg.Connection[tuple[Any, ...]]


def placeholders(first: int, count: int) -> str:
    """Return placeholders for ``count`` bound values, numbered from ``first``; QuestDB has no = ANY($1)."""
    return ", ".join("".join(("$", str(number))) for number in range(first, first + count))


class QuestDBConnection:
    """Questions over the PostgreSQL wire.

    Parameters
    ----------
    settings
        Host, port, database, the read-only user and the timeouts.
    """

    def __init__(self, settings: StorageSettings) -> None:
        self.settings = settings
        self.address = f"{settings.host}:{settings.pg_port}"
        self._pool: ConnectionPool[Connection] | None = None
        self._lock = Lock()

    def rows(self, query: str, bound: Bound = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query.

        Raises
        ------
        StorageError
            QuestDB cannot be reached or refuses the user or the query.
        """
        with self._cursor() as cursor:
            return cursor.execute(query.encode(), bound, binary=True).fetchall()

    def stream(self, query: str, bound: Bound = ()) -> Iterator[tuple[Any, ...]]:
        """Yield rows of a query as they arrive; raises as ``rows``."""
        with self._cursor() as cursor:
            yield from cursor.stream(query.encode(), bound, binary=True, size=_CHUNK_ROWS)

    @contextmanager
    def cells(self, query: str, bound: Bound = ()) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Give rows of longs, doubles and arrays of doubles as PostgreSQL's binary cells; raises as ``rows``."""
        with self._cursor() as cursor:
            for oid in _RAW_OIDS:
                cursor.adapters.register_loader(oid, ByteaBinaryLoader)
            # Not a generator of our own: it would cost as much per row as decoding the row.
            yield cursor.stream(query.encode(), bound, binary=True, size=_CHUNK_ROWS)

    def close(self) -> None:
        """Close the pool; the next question would open it again."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.RawCursor[tuple[Any, ...]]]:
        try:
            with self._borrowed() as connection, psycopg.RawCursor(connection) as cursor:
                yield cursor
        except psycopg.Error as error:
            raise StorageError(self._explain(error)) from error

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        with ExitStack() as held:
            pool = self._opened()
            try:
                connection = held.enter_context(pool.connection())
            except PoolTimeout as error:
                self._connect().close()
                if pool.get_stats().get("pool_size", 0) >= _MAX_CONNECTIONS:
                    raise StorageError(f"QuestDB at {self.address} has no free connection; try again") from error
                # The server was away and is back: this pool waits ever longer between attempts, a new one does not.
                self.close()
                connection = held.enter_context(self._opened().connection())
            yield connection

    def _opened(self) -> ConnectionPool[Connection]:
        with self._lock:
            if self._pool is None:
                # The pool retries behind our back; a first connection of our own tells at once what is wrong.
                self._connect().close()
                self._pool = ConnectionPool(
                    kwargs=self._arguments(),
                    min_size=0,
                    max_size=_MAX_CONNECTIONS,
                    timeout=self.settings.connect_timeout,
                    check=ConnectionPool.check_connection,
                    open=True,
                )
            return self._pool

    def _connect(self) -> Connection:
        try:
            return psycopg.connect(**self._arguments())
        except psycopg.Error as error:
            raise StorageError(self._explain(error)) from error

    def _arguments(self) -> dict[str, Any]:
        password = self.settings.password
        return {
            "host": self.settings.host,
            "port": self.settings.pg_port,
            "dbname": self.settings.database,
            "user": self.settings.user,
            "password": password.get_secret_value() if password else None,
            "autocommit": True,
            "prepare_threshold": None,
            "connect_timeout": max(2, int(self.settings.connect_timeout)),
            "tcp_user_timeout": 30_000,
        }

    def _explain(self, error: psycopg.Error) -> str:
        text = " ".join(str(error).split())[:500]
        if "invalid username/password" in text:
            return (
                f"QuestDB at {self.address} refuses user {self.settings.user!r} or its password; "
                "check storage.user and storage.password (the read-only user)"
            )
        if "does not exist" in text:
            return f"QuestDB at {self.address} lacks a table or column ({text}); run 'tributary store init'"
        if isinstance(error, psycopg.OperationalError):
            return (
                f"QuestDB at {self.address} cannot be reached: {text}; check storage.host and storage.pg_port, and "
                "that the server runs ('tributary questdb start' starts one for development)"
            )
        return f"QuestDB at {self.address} refuses a query: {text}"
