"""The HTTP port of QuestDB: table definitions, bulk reads as Parquet, and rows in (ILP over HTTP).

A request of rows is one transaction of one table: all of it is stored or nothing. /exp takes no bound values, so they
are written into the query as quoted literals here and nowhere else (in QuestDB only the quote itself is special).
"""

import io
import re
from collections.abc import Mapping
from itertools import pairwise
from threading import Lock
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from questdb import Protocol, QuestDBError, Sender

from tributary_pipelines.core.errors import StorageError
from tributary_pipelines.core.frames import Column
from tributary_pipelines.core.settings import StorageSettings
from tributary_pipelines.storage.questdb.connection import Bound

_PLACEHOLDER = re.compile(r"\$([1-9][0-9]*)")
_RETRY_MS, _REQUEST_MS, _READ_S = 10_000, 60_000, 300.0
_BUFFER_BYTES = 2**30


class QuestDBHttp:
    """Requests to the HTTP port.

    Parameters
    ----------
    settings
        Host, port and credentials; without credentials the server must ask for none.
    """

    def __init__(self, settings: StorageSettings) -> None:
        self._settings = settings
        self._client: httpx.Client | None = None
        self._sender: Sender | None = None
        self._sending = Lock()
        self.address = f"{settings.host}:{settings.http_port}"

    @property
    def has_credentials(self) -> bool:
        """Whether bulk reads can go over HTTP."""
        return self._settings.http_user is not None

    def run(self, statement: str) -> None:
        """Run a statement that defines a table.

        Raises
        ------
        StorageError
            QuestDB cannot be reached, or refuses the user or the statement.
        """
        self._get("/exec", {"query": statement})

    def table(self, query: str, bound: Bound = ()) -> pa.Table:
        """Return the answer of a query, fetched as Parquet; raises as ``run``."""
        content = self._get("/exp", {"query": inlined(query, bound), "fmt": "parquet", "compression_codec": "ZSTD"})
        try:
            return pq.read_table(io.BytesIO(content))
        except pa.ArrowException as error:
            raise StorageError(f"QuestDB at {self.address} sent a broken answer: {error}; try again") from error

    def send(self, table: str, rows: pd.DataFrame, symbols: list[str]) -> None:
        """Send rows as one transaction; ``timestamp`` must be complete, or the server would fill in its own time.

        Raises
        ------
        StorageError
            QuestDB cannot be reached, or refuses the user or the rows; nothing of them was stored.
        """
        present = [name for name in symbols if name in rows.columns]
        with self._sending:
            try:
                with self._connected().transaction(table) as transaction:
                    transaction.dataframe(rows, at="timestamp", symbols=present)
            except QuestDBError as error:
                self._disconnect()
                raise StorageError(self._explain(" ".join(str(error).split())[:500])) from error

    def close(self) -> None:
        """Close the connections."""
        with self._sending:
            self._disconnect()
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> Sender:
        if self._sender is None:
            password = self._settings.http_password
            sender = Sender(
                Protocol.Http,
                self._settings.host,
                self._settings.http_port,
                username=self._settings.http_user,
                password=password.get_secret_value() if password else None,
                auto_flush=False,
                retry_timeout=_RETRY_MS,
                request_timeout=_REQUEST_MS,
                max_buf_size=_BUFFER_BYTES,
            )
            sender.establish()  # type: ignore[no-untyped-call]
            self._sender = sender
        return self._sender

    def _disconnect(self) -> None:
        if self._sender is not None:
            self._sender.close(flush=False)
            self._sender = None

    def _get(self, path: str, parameters: Mapping[str, str]) -> bytes:
        try:
            response = self._opened().get(path, params=dict(parameters))
        except httpx.HTTPError as error:
            raise StorageError(self._explain(f"Could not connect: {error}")) from error
        if response.status_code != httpx.codes.OK:
            raise StorageError(self._explain(f"{response.status_code} {response.text[:500]}"))
        return response.content

    def _opened(self) -> httpx.Client:
        if self._client is None:
            user, password = self._settings.http_user, self._settings.http_password
            self._client = httpx.Client(
                base_url=f"http://{self.address}",
                auth=httpx.BasicAuth(user, password.get_secret_value()) if user and password else None,
                timeout=httpx.Timeout(_READ_S, connect=self._settings.connect_timeout),
                trust_env=False,
            )
        return self._client

    def _explain(self, text: str) -> str:
        where = f"QuestDB's HTTP port {self.address}"
        if any(mark in text for mark in ("401", "authentication", "Unauthorized")):
            return f"{where} asks for other credentials (401); check storage.http_user and storage.http_password"
        if "Could not connect" in text or "Connection refused" in text:
            return (
                f"{where} cannot be reached ({text}); check storage.host and storage.http_port, and that the server "
                "runs ('tributary questdb start' starts one for development)"
            )
        if "does not exist" in text:
            return f"{where}: a table or column is missing ({text}); run 'tributary store init'"
        return f"{where} refuses a request: {text}"


def inlined(query: str, bound: Bound) -> str:
    """Return a query with its bound values written in as literals.

    Examples
    --------
    >>> inlined("SELECT * FROM trades WHERE market_id = $1", ["it's"])
    "SELECT * FROM trades WHERE market_id = 'it''s'"
    """
    return _PLACEHOLDER.sub(lambda match: _literal(bound[int(match[1]) - 1]), query)


def _literal(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return "".join(("'", str(value).replace("'", "''"), "'"))


def to_send(rows: pa.Table, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return rows as the client takes them: missing text is None, a missing number NaN or NA, an array an ndarray.

    A column without any value is left out: the client cannot tell its type, and the server stores null.
    """
    return pd.DataFrame(
        {
            column.name: _values(column, rows.column(column.name))
            for column in columns
            if rows.column(column.name).null_count < rows.num_rows
        }
    )


def _values(column: Column, values: pa.ChunkedArray) -> Any:
    if column.kind == "array":
        return _arrays(values)
    if column.kind in ("symbol", "string"):
        return pd.Series(values.to_numpy(), dtype=object)
    if column.kind == "long":
        return values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    if column.kind == "boolean":
        return values.fill_null(False).to_numpy()
    return values.to_numpy()


def _arrays(values: pa.ChunkedArray) -> Any:
    lists = values.combine_chunks()
    lists = lists if isinstance(lists, pa.ListArray) else lists.chunk(0)
    numbers = lists.values.to_numpy(zero_copy_only=False)
    offsets, is_null = lists.offsets.to_numpy(), lists.is_null().to_numpy(zero_copy_only=False)
    found = np.empty(len(lists), object)
    for k, (first, last) in enumerate(pairwise(offsets)):
        found[k] = None if is_null[k] else numbers[first:last]
    return pd.Series(found)
