"""Many rows from QuestDB as arrays: Parquet over HTTP where credentials are set, else raw PostgreSQL cells.

The PostgreSQL path decodes PostgreSQL's binary cells in bulk: a double or long is 8 big-endian bytes, an array is a
header of 20 bytes and 12 bytes an element (length, value). No Python object is made per number.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tributary_pipelines.storage.arrow import LADDERS
from tributary_pipelines.storage.questdb.connection import Bound, QuestDBConnection
from tributary_pipelines.storage.questdb.http import QuestDBHttp

_HEADER, _ELEMENT = 20, 12


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
        joined = b"".join(chain.from_iterable(self._cells(query, bound)))
        cells = np.frombuffer(joined, ">i8").reshape(-1, len(types)).T
        return [_native(column, kind) for column, kind in zip(cells, types, strict=True)]

    def ladders(self, query: str, bound: Bound) -> pa.Table:
        """Return ``timestamp`` (microseconds) and the four ladders of a query with these columns."""
        if self.http.has_credentials:
            return self.http.table(query, bound)
        cells = [cell or b"" for cell in chain.from_iterable(self._cells(query, bound))]
        times = np.frombuffer(b"".join(cells[::5]), ">i8").astype(np.int64)
        sides = {name: _list_array(cells[k::5]) for k, name in enumerate(LADDERS, start=1)}
        return pa.table({"timestamp": times, **sides})

    def rows(self, query: str, bound: Bound, schema: pa.Schema) -> pa.Table:
        """Return any rows in the types of ``schema``; times come as microseconds."""
        if self.http.has_credentials:
            table = self.http.table(query, bound)
            return pa.table([_cast(column, f.type) for column, f in zip(table.columns, schema, strict=True)], schema)
        columns = list(zip(*self.connection.stream(query, bound), strict=True)) or [()] * len(schema)
        return pa.table(
            [_cast(pa.array(column, _wire(f.type)), f.type) for column, f in zip(columns, schema, strict=True)], schema
        )

    def _cells(self, query: str, bound: Bound) -> Iterable[tuple[Any, ...]]:
        return self.connection.stream_cells(query, bound)


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
    # Byte 7 of the header says whether an element is null; such elements have no value bytes.
    if np.frombuffer(joined, np.uint8)[starts[lengths > _HEADER] + 7].any():
        return pa.array([_with_nulls(cell) for cell in cells], pa.list_(pa.float64()))
    counts = np.maximum(lengths - _HEADER, 0) // _ELEMENT
    positions = np.repeat(starts + _HEADER + 4, counts) + _ELEMENT * _ramp(counts)
    at_any_byte = np.ndarray((max(len(joined) - 7, 0),), ">f8", joined, strides=(1,))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(at_any_byte[positions].astype(np.float64)))


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
