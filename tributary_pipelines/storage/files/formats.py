"""Opening the files of an import: which reader a file needs, told by its ending, and whether its columns will do.

Everything that is wrong with a file as a whole is found here, before a row is read. Also Parquet, in batches of rows.
"""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from glob import glob, has_magic
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.storage.files.columns import TIME_UNITS
from tributary_pipelines.storage.files.hftbacktest import open_events
from tributary_pipelines.storage.files.presets import CANONICAL, REQUIRED, Kind, Preset, to_canonical
from tributary_pipelines.storage.files.row_files import DAMAGE, RawChunk, RowFile, chunk_of, damaged, in_one_line
from tributary_pipelines.storage.files.summary import ImportOptions
from tributary_pipelines.storage.files.text_files import open_csv, open_document, open_json_lines

_MOST_ROWS = 500_000


def check_options(kind: Kind, options: ImportOptions) -> None:
    """Refuse options that cannot mean anything.

    Raises
    ------
    ValidationError
        ``mapping`` names a column that these rows do not have, or one twice; ``time_unit`` is no unit.
    """
    ours = list(options.mapping.values())
    for name, target in options.mapping.items():
        if target not in CANONICAL[kind]:
            near = get_close_matches(target, CANONICAL[kind], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"they have {_listed(CANONICAL[kind])}"
            if name in CANONICAL[kind]:
                hint = f"theirs comes first: did you mean {target}={name}?"
            raise ValidationError(f"--map {name}={target}: {kind} have no column {target!r}; {hint}")
        if ours.count(target) > 1:
            raise ValidationError(f"--map gives column {target!r} twice")
    if options.time_unit is not None and options.time_unit not in TIME_UNITS:
        raise ValidationError(f"time unit {options.time_unit!r} is not known; there are {', '.join(TIME_UNITS)}")


def open_all(paths: Sequence[Path], kind: Kind, preset: Preset, options: ImportOptions) -> list[RowFile]:
    """Open every file that the paths and patterns name, each once, in order.

    Raises
    ------
    ValidationError
        A file is missing, cannot be opened or lacks a column.
    """
    files = []
    for path in _expanded(paths):
        file = _open(path, kind, preset)
        _check_columns(file, kind, preset, options)
        files.append(file)
    return files


def _expanded(paths: Sequence[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in paths:
        matches = [path]
        if has_magic(str(path)) and not path.exists():
            matches = [Path(name) for name in sorted(glob(str(path), recursive=True))]
            if not matches:
                raise ValidationError(f"no file matches {path}; quote the pattern or name the files")
        for match in matches:
            found.setdefault(match.resolve(), match)
    return list(found.values())


def _open(path: Path, kind: Kind, preset: Preset) -> RowFile:
    if path.is_dir():
        raise ValidationError(f"{path} is a folder; name its files, or a pattern such as '{path}/*.csv'")
    name = path.name.lower()
    text = name.removesuffix(".gz")
    try:
        if text.endswith(".csv"):
            return open_csv(path, preset.header)
        if text.endswith((".ndjson", ".jsonl")):
            return open_json_lines(path, preset.wants if kind != "markets" else CANONICAL[kind].__contains__)
        if name.endswith((".parquet", ".pq")):
            return _open_parquet(path)
        if name.endswith(".npz") and preset.name == "hftbacktest":
            return open_events(path, kind)
        if name.endswith((".yaml", ".yml", ".json")) and kind == "markets":
            return open_document(path)
    except (*DAMAGE, pa.ArrowException) as error:
        raise ValidationError(f"{path} cannot be opened: {in_one_line(error)}") from None
    raise ValidationError(
        f"{path}: unknown format; files of {kind} end in .csv, .ndjson or .jsonl (each also .gz) or .parquet"
        + (", .yaml or .json" if kind == "markets" else ", with the preset hftbacktest in .npz")
    )


def _check_columns(file: RowFile, kind: Kind, preset: Preset, options: ImportOptions) -> None:
    if file.names is None:
        return
    for theirs in options.mapping:
        if theirs not in file.names:
            raise ValidationError(f"--map: {file.path} has no column {theirs!r}; it has {_listed(file.names)}")
    empty = {name: pa.array([], pa.string()) for name in file.names}
    ours = to_canonical(empty, preset, options.mapping, options.market, options.token)
    missing = [name for name in REQUIRED[kind] if name not in ours]
    if missing:
        options_too = [f"--{name[:-3]}" for name in missing if name in ("market_id", "token_id")]
        raise ValidationError(
            f"{file.path}: column {', '.join(missing)} is missing; the file has {_listed(file.names)}. "
            f"Say which of them it is with --map theirs={missing[0]}"
            + (f", or give {' and '.join(options_too)}" if options_too else "")
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown


def _open_parquet(path: Path) -> RowFile:
    with pq.ParquetFile(path) as file:
        names = tuple(file.schema_arrow.names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValidationError(f"{path}: column {', '.join(twice)} is there twice; rename or remove one")
    return RowFile(path, names, "row", lambda size: _read_parquet(path, size))


def _read_parquet(path: Path, n_bytes: int) -> Iterator[RawChunk]:
    n_before = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            n_rows = max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(_rows_of(file.metadata, n_bytes)):
                batch.validate(full=True)
                positions = np.arange(n_before + 1, n_before + 1 + batch.num_rows)
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                n_before += batch.num_rows
                yield chunk_of(columns, positions, [], n_before / n_rows)
    except (*DAMAGE, pa.ArrowException) as error:
        raise damaged(path, "row", n_before, error) from None


def _rows_of(metadata: pq.FileMetaData, n_bytes: int) -> int:
    """Return how many rows hold about so many bytes."""
    size = sum(int(metadata.row_group(index).total_byte_size) for index in range(metadata.num_row_groups))
    return min(max(n_bytes * int(metadata.num_rows) // max(size, 1), 1), _MOST_ROWS)
