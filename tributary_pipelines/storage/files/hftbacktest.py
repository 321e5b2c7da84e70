"""Event recordings of hftbacktest (version 2, .npz): their trades, or the book rebuilt from its depth events.

Source: the event layout and flags of hftbacktest's documentation. The array is streamed out of the archive, never
loaded whole. Only events with the exchange flag count, by exchange time. A snapshot is taken at the end of each second
in which the book moved, so a hole in the recording stays a hole; it shows the best 50 levels a side (our choice: enough
to walk, at a bounded size a row).
"""

import zipfile
import zlib
from collections.abc import Iterator
from heapq import nlargest, nsmallest
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Int64Array1D
from tributary_pipelines.core.units import US_PER_S
from tributary_pipelines.storage.files.columns import utc_timestamps
from tributary_pipelines.storage.files.row_files import DAMAGE, RawChunk, RowFile, chunk_of, damaged, in_one_line

_EVENT = np.dtype(
    [
        ("ev", "u8"),
        ("exch_ts", "i8"),
        ("local_ts", "i8"),
        ("px", "f8"),
        ("qty", "f8"),
        ("order_id", "u8"),
        ("ival", "i8"),
        ("fval", "f8"),
    ]
)
_DEPTH, _TRADE, _CLEAR, _SNAPSHOT = 1, 2, 3, 4
_AT_EXCHANGE, _BUY, _SELL = 1 << 31, 1 << 29, 1 << 28
_LEVELS = 50
_TRADE_COLUMNS = ("timestamp", "side", "price", "size")
_BOOK_COLUMNS = ("timestamp", "bid_prices", "bid_sizes", "ask_prices", "ask_sizes")
_Events = NDArray[np.void]


def open_events(path: Path, kind: str) -> RowFile:
    """Open a recording for its trades or its books.

    Raises
    ------
    ValidationError
        The file is no such recording.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open("data.npy") as stream:
            _read_header(path, stream)
    except (*DAMAGE, zipfile.BadZipFile, KeyError) as error:
        raise ValidationError(f"{path} is no hftbacktest recording (.npz with 'data'): {in_one_line(error)}") from None
    if kind == "trades":
        return RowFile(path, _TRADE_COLUMNS, "event", lambda size: _read_trades(path, size))
    return RowFile(path, _BOOK_COLUMNS, "event", lambda size: _read_books(path, size))


def _read_header(path: Path, stream: IO[bytes]) -> int:
    """Return how many events follow."""
    wrong = f"{path}: not the event layout of hftbacktest version 2 ({', '.join(_EVENT.names or ())})"
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, TypeError, LookupError, SyntaxError, TokenError, OverflowError):
        # The header is a Python literal; a damaged one fails in any of the ways in which parsing one can.
        raise ValidationError(wrong) from None
    if dtype != _EVENT or len(shape) != 1 or shape[0] < 0:
        raise ValidationError(wrong)
    return int(shape[0])


def _read_events(path: Path, n_bytes: int) -> Iterator[tuple[int, _Events, float]]:
    """Yield the number of events before, the next events, and the fraction read."""
    n_before = 0
    try:
        with zipfile.ZipFile(path) as archive, archive.open("data.npy") as stream:
            n_events = _read_header(path, stream)
            while n_before < n_events:
                wanted = min(max(n_bytes // _EVENT.itemsize, 1), n_events - n_before)
                data = stream.read(wanted * _EVENT.itemsize)
                events = np.frombuffer(data[: len(data) // _EVENT.itemsize * _EVENT.itemsize], _EVENT)
                if len(events) < wanted:
                    raise EOFError("the recording ends early")
                yield n_before, events, (n_before + wanted) / n_events
                n_before += wanted
    except (*DAMAGE, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, "event", n_before, error) from None


def _of_type(events: _Events, *types: int) -> NDArray[np.bool_]:
    return np.asarray(np.isin(events["ev"] & 0xFF, types) & ((events["ev"] & _AT_EXCHANGE) != 0))


def _read_trades(path: Path, n_bytes: int) -> Iterator[RawChunk]:
    for n_before, events, fraction in _read_events(path, n_bytes):
        chosen = np.flatnonzero(_of_type(events, _TRADE))
        trades = events[chosen]
        side = np.select([(trades["ev"] & _BUY) != 0, (trades["ev"] & _SELL) != 0], ["buy", "sell"], "")
        columns = {
            "timestamp": utc_timestamps(trades["exch_ts"] // 1000),
            "side": pa.array(side.tolist(), pa.string()),
            "price": pa.array(trades["px"]),
            "size": pa.array(trades["qty"]),
        }
        yield chunk_of(columns, chosen + n_before + 1, [], fraction)


class _Book:
    """The rebuilt book: sizes by price of each side."""

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}

    def apply(self, events: _Events) -> None:
        """Apply depth, snapshot and clear events in their order."""
        clears = np.flatnonzero((events["ev"] & 0xFF) == _CLEAR)
        start = 0
        for clear in clears:
            self._set_levels(events[start:clear])
            self._clear(events[clear])
            start = int(clear) + 1
        self._set_levels(events[start:])

    def _set_levels(self, events: _Events) -> None:
        for ladder, flag in ((self.bids, _BUY), (self.asks, _SELL)):
            side = events[(events["ev"] & flag) != 0]
            ladder.update(zip(side["px"].tolist(), side["qty"].tolist(), strict=True))
            for price in side["px"][side["qty"] == 0].tolist():
                # A later event of the same second may have filled the level again.
                if ladder.get(price) == 0:
                    del ladder[price]

    def _clear(self, event: np.void) -> None:
        """Remove a side's levels from the best up to the event's price; all of them when it names none."""
        price = float(event["px"])
        is_limited = np.isfinite(price) and price > 0
        if event["ev"] & _BUY or not event["ev"] & _SELL:
            self.bids = {p: q for p, q in self.bids.items() if is_limited and p < price}
        if event["ev"] & _SELL or not event["ev"] & _BUY:
            self.asks = {p: q for p, q in self.asks.items() if is_limited and p > price}

    def ladders(self) -> tuple[list[float], list[float], list[float], list[float]]:
        """Return bid prices, bid sizes, ask prices and ask sizes, best first."""
        bids, asks = nlargest(_LEVELS, self.bids), nsmallest(_LEVELS, self.asks)
        return bids, [self.bids[price] for price in bids], asks, [self.asks[price] for price in asks]


def _read_books(path: Path, n_bytes: int) -> Iterator[RawChunk]:
    book, open_second = _Book(), None
    for n_before, events, fraction in _read_events(path, n_bytes):
        chosen = np.flatnonzero(_of_type(events, _DEPTH, _CLEAR, _SNAPSHOT))
        _check_levels(path, events[chosen], chosen + n_before + 1)
        snapshots: list[tuple[int, int, tuple[list[float], ...]]] = []
        seconds = -(-(events["exch_ts"][chosen] // 1000) // US_PER_S)
        for rows in np.split(chosen, np.flatnonzero(np.diff(seconds)) + 1) if len(chosen) else []:
            second = int(-(-(int(events["exch_ts"][rows[0]]) // 1000) // US_PER_S))
            if open_second is not None and second != open_second:
                snapshots.append((open_second, n_before + int(rows[0]), book.ladders()))
            book.apply(events[rows])
            open_second = second
        if fraction >= 1 and open_second is not None:
            snapshots.append((open_second, n_before + len(events), book.ladders()))
        yield _snapshot_chunk(snapshots, fraction)


def _check_levels(path: Path, events: _Events, positions: Int64Array1D) -> None:
    """A level that is no number would stay in the book unseen; such a recording is damaged."""
    is_level = (events["ev"] & 0xFF) != _CLEAR
    usable = np.isfinite(events["px"]) & (events["px"] > 0) & np.isfinite(events["qty"]) & (events["qty"] >= 0)
    bad = np.flatnonzero(is_level & ~usable)
    if len(bad):
        raise ValidationError(
            f"{path} event {positions[bad[0]]}: price or quantity of a depth event is not a finite number above 0; the "
            "book cannot be rebuilt past it. Snapshots before it may be stored; mend the recording and import it again"
        )


def _snapshot_chunk(snapshots: list[tuple[int, int, tuple[list[float], ...]]], fraction: float) -> RawChunk:
    times = np.array([second * US_PER_S for second, _, _ in snapshots], np.int64)
    ladders = {
        name: pa.array([snapshot[2][index] for snapshot in snapshots], pa.list_(pa.float64()))
        for index, name in enumerate(_BOOK_COLUMNS[1:])
    }
    columns = {"timestamp": utc_timestamps(times), **ladders}
    return chunk_of(columns, [position for _, position, _ in snapshots], [], fraction)
