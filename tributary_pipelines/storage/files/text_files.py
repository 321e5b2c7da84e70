"""CSV and NDJSON in chunks, and the short YAML or JSON documents that list markets.

CSV is what Python's csv module reads (RFC 4180, lenient about quotes inside a field). Blocks of lines that are one
record each go through Arrow, which reads them alike and ten times as fast; a block with anything peculiar (open quotes,
wrong field counts, blank lines, text that is not UTF-8) is read record by record. Where blocks are cut never changes
what is read. YAML scalars are all text: ``NO`` is a token, not false, and a token of 77 digits keeps every one of them.
"""

import csv
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import yaml

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.storage.files.row_files import (
    DAMAGE,
    BrokenRow,
    RawChunk,
    RowFile,
    array_of,
    chunk_of,
    damaged,
    in_one_line,
    open_text,
    take_lines,
)

_log = logging.getLogger(__name__)

_YAML_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


def open_csv(path: Path, header: Callable[[Sequence[str]], Sequence[str] | None]) -> RowFile:
    """Open a CSV file, gzipped or not.

    Parameters
    ----------
    header
        Given the first row, returns the column names when that row is data already, else None.

    Raises
    ------
    ValidationError
        The file is empty or names a column twice.
    """
    with open_text(path) as (stream, _):
        lines, damage = take_lines(stream, 1)
    if damage:
        raise damage
    try:
        first = next(csv.reader(line.decode("utf-8", "replace") for line in lines), None)
    except csv.Error as error:
        raise ValidationError(f"{path}: the first line cannot be read as CSV: {_csv_fault(error)}") from None
    if not first:
        raise ValidationError(f"{path} is empty; a header line is needed")
    try:
        given = header(first)
    except ValidationError as error:
        raise ValidationError(f"{path}: {error}") from None
    names = tuple(name.strip() for name in first) if given is None else tuple(given)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValidationError(f"{path}: column {', '.join(twice)} is there twice; rename or remove one")
    return RowFile(path, names, "line", lambda size: _read_csv(path, names, size, skip=0 if given else 1))


def _read_csv(path: Path, names: tuple[str, ...], n_bytes: int, skip: int) -> Iterator[RawChunk]:
    with open_text(path) as (stream, fraction):
        n_before = len(take_lines(stream, 1)[0]) if skip else 0
        while True:
            lines, damage = take_lines(stream, n_bytes)
            if lines:
                chunk = _parse_plain(lines, names, n_before, fraction())
                if chunk is None:
                    chunk, n_before = _parse_any(_Lines(lines, stream), names, n_before, fraction())
                else:
                    n_before += len(lines)
                yield chunk
            if damage:
                raise damaged(path, "line", n_before, damage)
            if not lines:
                return
            if not lines[-1].endswith(b"\n"):
                _log.warning("%s does not end with a line break; if it was cut, its last row may be short", path)


def _parse_plain(lines: list[bytes], names: tuple[str, ...], n_before: int, fraction: float) -> RawChunk | None:
    """Parse lines that are one row each; None when any is not, or a quote is open at the end."""
    block = b"".join(lines)
    block += b"" if block.endswith(b"\n") else b"\n"
    has_bare_returns = block.count(b"\r") != block.count(b"\r\n")
    if has_bare_returns or block.count(b'"') % 2:
        return None
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(block),
            arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
            arrow_csv.ParseOptions(newlines_in_values=True),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except (pa.ArrowException, OverflowError):
        return None
    if table.num_rows != len(lines) or "\n" in table.column(len(names) - 1)[-1].as_py():
        return None
    columns = {name: table.column(index).combine_chunks() for index, name in enumerate(names)}
    return chunk_of(columns, np.arange(n_before + 1, n_before + 1 + len(lines)), [], fraction)


def _parse_any(lines: "_Lines", names: tuple[str, ...], n_before: int, fraction: float) -> tuple[RawChunk, int]:
    """Parse lines record by record, and on to the end of a record that is still open after the last of them."""
    reader = csv.reader(lines)
    rows: list[list[str]] = []
    positions: list[int] = []
    broken: list[BrokenRow] = []
    while reader.line_num < lines.n_first:
        position = n_before + reader.line_num + 1
        lines.taken.clear()
        try:
            row = next(reader, None)
            reason = _why_no_row(row, len(names)) if row else None
        except csv.Error as error:
            row, reason = [], f"unreadable row: {_csv_fault(error)}"
        if row is None:
            break
        if reason:
            broken.append(BrokenRow(position, "".join(lines.taken), reason))
        elif row:
            rows.append(row)
            positions.append(position)
    columns = {name: pa.array([row[index] for row in rows], pa.string()) for index, name in enumerate(names)}
    return chunk_of(columns, positions, broken, fraction), n_before + reader.line_num


def _csv_fault(error: csv.Error) -> str:
    return str(error).split(" - ", maxsplit=1)[0]


class _Lines:
    """Decoded lines for the csv module: first those given, then the stream's; remembers what was taken."""

    def __init__(self, first: list[bytes], stream: BinaryIO) -> None:
        self.n_first = len(first)
        self.taken: list[str] = []
        self._source = chain(first, stream)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = next(self._source).decode("utf-8", "surrogateescape")
        except DAMAGE:
            raise StopIteration from None
        self.taken.append(line)
        # A quote that is still open at the end of the file then has a line break in its field.
        return line if line.endswith("\n") else line + "\n"


def _why_no_row(row: list[str], n_names: int) -> str | None:
    if row[-1].endswith(("\n", "\r")):
        return "unreadable row: a quote is opened and not closed"
    if len(row) != n_names:
        return "unreadable row: its number of fields is not the header's"
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return "unreadable row: not UTF-8 text"
    return None


def open_json_lines(path: Path, wants: Callable[[str], bool]) -> RowFile:
    """Open a file of one JSON object a line; only the keys that ``wants`` accepts become columns."""
    with open_text(path):
        return RowFile(path, None, "line", lambda size: _read_json_lines(path, wants, size))


def _read_json_lines(path: Path, wants: Callable[[str], bool], n_bytes: int) -> Iterator[RawChunk]:
    n_before = 0
    with open_text(path) as (stream, fraction):
        while True:
            lines, damage = take_lines(stream, n_bytes)
            if lines:
                yield _parse_lines(lines, wants, n_before, fraction())
            n_before += len(lines)
            if damage:
                raise damaged(path, "line", n_before, damage)
            if not lines:
                return


def _parse_lines(lines: list[bytes], wants: Callable[[str], bool], n_before: int, fraction: float) -> RawChunk:
    rows: list[dict[str, Any]] = []
    positions: list[int] = []
    broken: list[BrokenRow] = []
    for position, line in enumerate(lines, start=n_before + 1):
        if not line.strip():
            continue
        row = _parse_object(line)
        if isinstance(row, dict):
            rows.append(row)
            positions.append(position)
        else:
            broken.append(BrokenRow(position, line.decode("utf-8", "backslashreplace"), row))
    names = dict.fromkeys(name for row in rows for name in row if wants(name))
    columns = {name: array_of([row.get(name) for row in rows]) for name in names}
    return RawChunk(columns, np.array(positions, np.int64), broken, fraction, rows.__getitem__)


def _parse_object(line: bytes) -> dict[str, Any] | str:
    """Return the object on a line, or why there is none."""
    try:
        row = json.loads(line.decode("utf-8"))
        # Half characters (\\ud800) pass the parser and can neither be stored nor compared.
        if b"\\u" in line:
            json.dumps(row, ensure_ascii=False).encode("utf-8")
    except (UnicodeDecodeError, UnicodeEncodeError):
        return "unreadable row: not UTF-8 text"
    except (ValueError, RecursionError):
        return "unreadable row: not JSON"
    return row if isinstance(row, dict) else "unreadable row: not a JSON object"


def open_document(path: Path) -> RowFile:
    """Open a YAML or JSON document: a list of entries, or a mapping with one under ``markets``.

    Raises
    ------
    ValidationError
        The document cannot be parsed or holds no list of entries.
    """
    with open_text(path) as (stream, _):
        data = stream.read()
    try:
        text = data.decode("utf-8")
        loaded = json.loads(text) if path.name.lower().endswith(".json") else _parse_yaml(text)
        json.dumps(loaded, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValidationError(f"{path} cannot be read: {in_one_line(error)}") from None
    entries = loaded.get("markets") if isinstance(loaded, dict) else loaded
    if not isinstance(entries, list):
        raise ValidationError(f"{path} must hold a list of markets, or a mapping with one under 'markets'")
    return RowFile(path, None, "entry", lambda _: iter([_document_chunk(entries)]))


def _parse_yaml(text: str) -> Any:
    loader = yaml.BaseLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _document_chunk(entries: list[Any]) -> RawChunk:
    rows: list[dict[str, Any]] = []
    positions: list[int] = []
    broken: list[BrokenRow] = []
    for position, entry in enumerate(entries, start=1):
        if isinstance(entry, dict):
            rows.append({str(key): None if _is_null(value) else value for key, value in entry.items()})
            positions.append(position)
        else:
            broken.append(BrokenRow(position, json.dumps(entry), "unreadable row: not a mapping"))
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: array_of([row.get(name) for row in rows]) for name in names}
    return RawChunk(columns, np.array(positions, np.int64), broken, 1.0, rows.__getitem__)


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in _YAML_NULLS)
