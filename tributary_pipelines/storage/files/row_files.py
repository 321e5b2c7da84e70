"""A file of rows, whatever its format: column names, and chunks of raw columns in bounded memory.

Nothing is judged here beyond "is this a row at all": a line that is none becomes a ``BrokenRow``. A file that is
damaged part-way yields every whole row before the damage and then raises; no row is ever delivered by half.
"""

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Int64Array1D

#: What a damaged or unreadable file raises while its bytes are read.
DAMAGE = (EOFError, OSError, zlib.error, UnicodeDecodeError)
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A line that is no row: where it is, what it says and why it cannot be read."""

    position: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class RawChunk:
    """Some rows of a file, unjudged.

    Parameters
    ----------
    columns
        Arrow arrays of equal length by the file's own column names.
    positions : (n,) int64
        Line (text) or row number in the file, from 1.
    broken
        Lines of the same stretch that are no rows.
    fraction
        How much of the file has been read, 0 to 1.
    payload
        Returns one row by its index, as the file has it.
    """

    columns: Mapping[str, pa.Array]
    positions: Int64Array1D
    broken: Sequence[BrokenRow]
    fraction: float
    payload: Callable[[int], Any]


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file of rows that was found readable.

    Parameters
    ----------
    names
        Its columns; None when every row names its own.
    counts
        What a position counts: line, row, entry or event.
    read
        Yields its chunks, each of about so many bytes.
    """

    path: Path
    names: tuple[str, ...] | None
    counts: str
    read: Callable[[int], Iterator[RawChunk]]


def chunk_of(
    columns: Mapping[str, pa.Array],
    positions: Sequence[int] | Int64Array1D,
    broken: Sequence[BrokenRow],
    fraction: float,
) -> RawChunk:
    """Return a chunk whose rows are what its columns say."""

    def payload(index: int) -> dict[str, Any]:
        return {name: cell(values, index) for name, values in columns.items()}

    return RawChunk(columns, np.asarray(positions, np.int64), broken, fraction, payload)


def cell(values: pa.Array, index: int) -> Any:
    """Return one value as a Python object, or as text when Python has no such time."""
    try:
        return values[index].as_py()
    except (OverflowError, ValueError):
        return " ".join(str(values.slice(index, 1)).split())


@contextmanager
def open_text(path: Path) -> Iterator[tuple[BinaryIO, Callable[[], float]]]:
    """Open a text file, unzipped when it is gzipped, and a function that tells how much of it has been read."""
    with path.open("rb") as raw:
        size = max(os.fstat(raw.fileno()).st_size, 1)
        stream: Any = raw
        if path.name.lower().endswith(".gz"):
            # Not buffered again: a larger buffer would lose what was read before the damage of a cut file.
            stream = gzip.GzipFile(fileobj=raw)
        if stream.peek(3)[:3] == _UTF8_MARK:
            stream.read(3)
        yield stream, lambda: min(raw.tell() / size, 1.0)


def take_lines(stream: BinaryIO, n_bytes: int) -> tuple[list[bytes], Exception | None]:
    """Read whole lines of about so many bytes, and the damage that stopped the reading, if any."""
    lines: list[bytes] = []
    size = 0
    try:
        for line in stream:
            lines.append(line)
            size += len(line)
            if size >= n_bytes:
                break
    except DAMAGE as error:
        return lines, error
    return lines, None


def damaged(path: Path, counts: str, position: int, error: Exception) -> ValidationError:
    """Say that a file is damaged after a position and what to do."""
    return ValidationError(
        f"{path} is damaged after {counts} {position}: {in_one_line(error)}; the rows before it are stored. Import the "
        "whole file again once it is complete: rows that are stored already count as duplicates"
    )


def in_one_line(error: BaseException) -> str:
    """Return an error's message without line breaks, or its name when it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def array_of(values: Sequence[Any]) -> pa.Array:
    """Return Python values as one Arrow array: as they are when of one kind, else each as its JSON text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())
