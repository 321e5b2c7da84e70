"""Bringing files of trades, books or market entries into a store.

Files are read in chunks of bounded memory, judged whole-column and upserted, so importing twice changes nothing. Every
row read ends in exactly one of three counts: stored, duplicate (it was there already) or quarantined; the last are also
written to the table ``quarantine`` with the reason and the row as JSON. What is wrong with a file as a whole (it cannot
be opened, a column is missing, an option is misspelt) is found before anything is written; a file that turns out to be
damaged part-way keeps the rows before the damage and raises.
"""

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tributary_pipelines.core.frames import MARKETS, ORDERBOOK_SNAPSHOTS, QUARANTINE, TRADES
from tributary_pipelines.core.models import Market
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.files.books import judge_books
from tributary_pipelines.storage.files.columns import IDENTIFIER
from tributary_pipelines.storage.files.formats import check_options, open_all
from tributary_pipelines.storage.files.judging import Judged, Occurrences
from tributary_pipelines.storage.files.markets import KnownMarkets, judge_market, market_rows
from tributary_pipelines.storage.files.presets import (
    REQUIRED,
    Columns,
    Kind,
    Preset,
    kind_named,
    preset_named,
    to_canonical,
)
from tributary_pipelines.storage.files.row_files import RawChunk, RowFile, cell
from tributary_pipelines.storage.files.summary import ImportOptions, ImportSummary, Tally
from tributary_pipelines.storage.files.trades import judge_trades

_log = logging.getLogger(__name__)

#: Called with the rows read so far and the fraction of all bytes, 0 to 1.
Progress = Callable[[int, float], None]


def import_files(
    store: MarketStore,
    kind: str,
    paths: Sequence[Path],
    *,
    options: ImportOptions,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> ImportSummary:
    """Import files of one kind of rows.

    Parameters
    ----------
    kind
        trades, books or markets.
    paths
        Files, or glob patterns; each file is read once.
    now
        Stamped on the market entries that are added; by default the time of the call.

    Raises
    ------
    ValidationError
        An option, a file or its columns cannot be used (nothing was written), or a file is damaged part-way (the rows
        before the damage are stored).
    StorageError
        The store cannot be read or written.
    """
    known_kind = kind_named(kind)
    check_options(known_kind, options)
    preset = preset_named(options.preset, known_kind)
    files = open_all(paths, known_kind, preset, options)
    store.writer.create_tables()
    run = _Import(store, known_kind, preset, options, now or datetime.now(UTC))
    sizes = [max(file.path.stat().st_size, 1) for file in files]
    for index, file in enumerate(files):
        for chunk in file.read(options.chunk_bytes):
            run.take(file, chunk)
            if progress:
                done = sum(sizes[:index]) + sizes[index] * chunk.fraction
                progress(run.tally.rows_read, done / sum(sizes))
    return run.finish()


@dataclass(frozen=True, slots=True)
class _BadRow:
    """A row for the quarantine; ``time_us`` is 0 when it has no time."""

    position: int
    reason: str
    payload: Any
    time_us: int = 0
    market_id: str | None = None


class _Import:
    """One import while it runs."""

    def __init__(self, store: MarketStore, kind: Kind, preset: Preset, options: ImportOptions, now: datetime) -> None:
        self.tally = Tally()
        self._store = store
        self._preset = preset
        self._kind = kind
        self._options = options
        self._unit = options.time_unit or self._preset.time_unit
        self._now = now
        self._known = KnownMarkets(store.reader.markets())
        self._entries: dict[tuple[str, str], Market] = {}
        self._n_written_entries = 0
        self._equal_trades = Occurrences()
        self._equal_quarantined = Occurrences()
        self._n_one_sided = self._n_crossed = 0

    def take(self, file: RowFile, chunk: RawChunk) -> None:
        """Judge and write one chunk."""
        bad = [_BadRow(row.position, row.reason, {"text": row.text}) for row in chunk.broken]
        if len(chunk.positions):
            columns = self._canonical(chunk)
            bad += self._take_entries(chunk, columns) if self._kind == "markets" else self._take_data(chunk, columns)
        for row in bad:
            self.tally.add_quarantined(row.reason, f"{file.path} {file.counts} {row.position}")
        if bad:
            self._store.writer.write(QUARANTINE, self._quarantine_rows(bad))

    def finish(self) -> ImportSummary:
        """Write the market entries that are new and return the answer."""
        new = [entry for entry in self._entries.values() if self._known.is_new(entry)]
        self._write_entries(new)
        self.tally.add_kept(0, len(new))
        if self._n_one_sided or self._n_crossed:
            _log.warning("%d one-sided and %d crossed books were kept", self._n_one_sided, self._n_crossed)
        return self.tally.summary()

    def _canonical(self, chunk: RawChunk) -> Columns:
        columns = to_canonical(
            chunk.columns, self._preset, self._options.mapping, self._options.market, self._options.token
        )
        absent = [name for name in REQUIRED[self._kind] if name not in columns]
        return columns | {name: pa.nulls(len(chunk.positions), pa.string()) for name in absent}

    def _take_data(self, chunk: RawChunk, columns: Columns) -> list[_BadRow]:
        """Write the trades or snapshots that can be kept and return the rows that cannot."""
        if self._kind == "trades":
            frame = TRADES
            judged = judge_trades(columns, unit=self._unit, known=self._known, occurrences=self._equal_trades)
        else:
            frame = ORDERBOOK_SNAPSHOTS
            judged = judge_books(columns, unit=self._unit, known=self._known)
            self._count_odd_books(judged.rows)
        if len(judged.rows):
            n_stored = self._store.writer.write(frame, judged.rows)
            self.tally.add_kept(len(judged.rows), n_stored)
            self.tally.add_times(judged.times[judged.problems.is_fine])
            self._write_entries(self._known.add_from(judged.rows))
        return list(_bad_rows(chunk, judged))

    def _take_entries(self, chunk: RawChunk, columns: Columns) -> list[_BadRow]:
        """Collect the market entries of a chunk, of each token the last, and return the rows that are none."""
        bad = []
        for index, position in enumerate(chunk.positions.tolist()):
            row = {name: cell(values, index) for name, values in columns.items()}
            entry = judge_market(row, self._unit)
            if isinstance(entry, Market):
                self._entries[entry.market_id, entry.token_id] = entry
                self.tally.add_kept(1, 0)
            else:
                bad.append(_BadRow(position, entry, chunk.payload(index)))
        return bad

    def _write_entries(self, entries: Sequence[Market]) -> None:
        if entries:
            # Each entry has a stamp of its own, so that which token came first stays known.
            stored_at = self._now + timedelta(microseconds=self._n_written_entries)
            self._store.writer.write(MARKETS, market_rows(entries, stored_at))
            self._n_written_entries += len(entries)

    def _count_odd_books(self, rows: pd.DataFrame) -> None:
        self._n_one_sided += int(rows["mid_price"].isna().sum())
        self._n_crossed += int((rows["best_bid"] >= rows["best_ask"]).sum())

    def _quarantine_rows(self, bad: Iterable[_BadRow]) -> pd.DataFrame:
        """Return rows of QUARANTINE; equal ones become one, ``n`` counts them over the whole import."""
        payloads = [json.dumps(_plain(row.payload)) for row in bad]
        hashes = [hashlib.sha256(f"{self._kind}\n{payload}".encode()).hexdigest() for payload in payloads]
        rows = pd.DataFrame(
            {
                "timestamp": pd.to_datetime([row.time_us for row in bad], unit="us", utc=True).as_unit("us"),
                "payload_sha256": hashes,
                "venue": "file",
                "market_id": pd.Series([row.market_id for row in bad], dtype="str"),
                "stream": self._kind,
                "reason": [row.reason for row in bad],
                "payload": payloads,
            }
        )
        rows["n"] = self._equal_quarantined.count(rows[["timestamp", "payload_sha256"]]) + 1
        return rows.drop_duplicates(["timestamp", "payload_sha256"], keep="last")[list(QUARANTINE.column_names)]


def _bad_rows(chunk: RawChunk, judged: Judged) -> Iterable[_BadRow]:
    for index in np.flatnonzero(~judged.problems.is_fine).tolist():
        market = judged.market_ids[index].as_py()
        yield _BadRow(
            position=int(chunk.positions[index]),
            reason=str(judged.problems.reasons[index]),
            payload=chunk.payload(index),
            time_us=int(judged.times[index]),
            market_id=market if market and IDENTIFIER.fullmatch(market) else None,
        )


def _plain(value: Any) -> Any:
    """Return a cell as strict JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)
