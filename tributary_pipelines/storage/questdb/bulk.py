"""Many rows from QuestDB as arrays: Parquet over HTTP where credentials are set, else raw PostgreSQL cells.

The PostgreSQL path decodes PostgreSQL's binary cells in bulk: a double or long is 8 big-endian bytes, an array is a
header of 20 bytes and 12 bytes an element (length, value). No Python object is made per number.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tributary_pipelines.storage.arrow import LADDERS
from tributary_pipelines.storage.questdb.connection import Bound, QuestDBConnection
from tributary_pipelines.storage.questdb.http import QuestDBHttp

_HEADER, _COUNT_AT, _ELEMENT = 20, 12, 12
#: Rows whose cells are held as Python objects at a time.
_BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class BulkReader:
    """Reads queries without nulls into arrays, over the faster way that the settings allow."""

    connection: QuestDBConnection
    http: QuestDBHttp

    def numbers(self, query: str, bound: Bound, kinds: str) -> list[NDArray[Any]]:
        """Return the columns of a query of longs (``l``) and doubles (``d``), in order."""
        types = [np.dtype({"l": np.int64, "d": np.float64}[kind]) for kind in kinds]
        if self.http.has_credentials:
            table = self.http.table(query, bound)
            return [np.asarray(column.to_numpy(), kind) for column, kind in zip(table.columns, types, strict=True)]
        with self.connection.cells(query, bound) as rows:
            joined = b"".join(b"".join(chain.from_iterable(batch)) for batch in _batches(rows))
        cells = np.frombuffer(joined, ">i8").reshape(-1, len(types)).T
        return [_native(column, kind) for column, kind in zip(cells, types, strict=True)]

    def ladders(self, query: str, bound: Bound) -> pa.Table:
        """Return ``timestamp`` (microseconds) and the four ladders of a query with these columns."""
        if self.http.has_credentials:
            return self.http.table(query, bound)
        with self.connection.cells(query, bound) as rows:
            tables = [_snapshots([cell or b"" for cell in chain.from_iterable(batch)]) for batch in _batches(rows)]
        return pa.concat_tables(tables or [_snapshots([])])

    def rows(self, query: str, bound: Bound, schema: pa.Schema) -> pa.Table:
        """Return any rows in the types of ``schema``; times come as microseconds."""
        if self.http.has_credentials:
            table = self.http.table(query, bound)
            return pa.table([_cast(column, f.type) for column, f in zip(table.columns, schema, strict=True)], schema)
        columns = list(zip(*self.connection.stream(query, bound), strict=True)) or [()] * len(schema)
        return pa.table(
            [_cast(pa.array(column, _wire(f.type)), f.type) for column, f in zip(columns, schema, strict=True)], schema
        )


def _batches(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while batch := list(islice(rows, _BATCH_ROWS)):
        yield batch


def _snapshots(cells: list[bytes]) -> pa.Table:
    times = np.frombuffer(b"".join(cells[::5]), ">i8").astype(np.int64)
    return pa.table({"timestamp": times} | {name: _list_array(cells[k::5]) for k, name in enumerate(LADDERS, start=1)})


def _native(column: NDArray[Any], kind: "np.dtype[Any]") -> NDArray[Any]:
    return np.ascontiguousarray(column).view(kind.newbyteorder(">")).astype(kind)


def _wire(wanted: pa.DataType) -> pa.DataType:
    return pa.int64() if pa.types.is_timestamp(wanted) else wanted


def _cast(column: pa.ChunkedArray | pa.Array, wanted: pa.DataType) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_timestamp(wanted):
        column = column.cast(pa.int64())
    return column.cast(wanted)


def _list_array(cells: list[bytes]) -> pa.ListArray:
    lengths = np.fromiter(map(len, cells), np.int64, len(cells))
    joined = b"".join(cells)
    starts = np.cumsum(lengths) - lengths
    counts = np.zeros(len(cells), np.int64)
    counts[lengths >= _HEADER] = _at(joined, ">i4")[starts[lengths >= _HEADER] + _COUNT_AT]
    # A null element has no value bytes; the header's own flag for that is not to be relied on.
    if (lengths != np.where(lengths > 0, _HEADER + _ELEMENT * counts, 0)).any():
        return pa.array([_with_nulls(cell) for cell in cells], pa.list_(pa.float64()))
    positions = np.repeat(starts + _HEADER + 4, counts) + _ELEMENT * _ramp(counts)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(_at(joined, ">f8")[positions].astype(np.float64)))


def _at(joined: bytes, kind: str) -> NDArray[Any]:
    """Return the values that begin at every single byte."""
    return np.ndarray((max(len(joined) - np.dtype(kind).itemsize + 1, 0),), kind, joined, strides=(1,))


def _ramp(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _with_nulls(cell: bytes) -> list[float | None]:
    values: list[float | None] = []
    position = _HEADER
    while position < len(cell):
        (length,) = struct.unpack_from(">i", cell, position)
        values.append(struct.unpack_from(">d", cell, position + 4)[0] if length >= 0 else None)
        position += 4 + max(length, 0)
    return values
