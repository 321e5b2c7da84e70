"""Between Arrow tables and what the package works with: the columnar classes and pandas frames.

Every conversion is vectorised: ladders become padded 2-D arrays from their list offsets, never row by row. Times in
Arrow are naive UTC microseconds inside the stores, and aware at the border.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tributary_pipelines.core.frames import Column, Float64Array2D, Frame, Int64Array1D, OrderBooks, no_order_books

LADDERS = ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")

_TYPES = {
    "timestamp": pa.timestamp("us"),
    "symbol": pa.string(),
    "string": pa.string(),
    "double": pa.float64(),
    "long": pa.int64(),
    "boolean": pa.bool_(),
    "array": pa.list_(pa.float64()),
}
_AWARE = pa.timestamp("us", tz="UTC")


def stored_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """Return the Arrow schema in which the stores keep and exchange these columns: times are naive UTC."""
    return pa.schema([(column.name, _TYPES[column.kind]) for column in columns])


def with_aware_times(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose times are aware UTC."""
    fields = [(f.name, _AWARE if pa.types.is_timestamp(f.type) else f.type) for f in batch.schema]
    return batch.cast(pa.schema(fields))


def to_pandas(frame: Frame, table: pa.Table) -> pd.DataFrame:
    """Return a stored table as the frame it is: aware times, None for missing text, NaN for missing numbers.

    A column of whole numbers is int64 when none is missing, float64 otherwise; an array is a float64 ndarray.
    """
    values = {column.name: _values(column, table.column(column.name)) for column in frame.columns}
    # Columns of one type at a time: a pandas column each would take longer than fetching the rows.
    by_type: dict[Any, list[str]] = {}
    for name, own in values.items():
        by_type.setdefault(own.dtype, []).append(name)
    blocks = [_block(kind, {name: values[name] for name in names}) for kind, names in by_type.items()]
    return pd.concat(blocks, axis=1)[list(frame.column_names)]


def _block(kind: Any, columns: dict[str, Any]) -> pd.DataFrame:
    if not isinstance(kind, np.dtype):
        return pd.DataFrame(columns)
    block = np.empty((len(columns), len(next(iter(columns.values())))), kind)
    for place, values in zip(block, columns.values(), strict=True):
        place[:] = values
    return pd.DataFrame(block.T, columns=list(columns), dtype=kind)


def _values(column: Column, values: pa.ChunkedArray) -> Any:
    """Return a column as an array of pandas' type for its kind."""
    if column.kind == "timestamp":
        return pd.DatetimeIndex(values.cast(_TYPES["timestamp"]).to_numpy()).tz_localize("UTC").array
    if column.kind == "array":
        return _arrays(values.cast(_TYPES["array"]))
    if column.kind in ("symbol", "string"):
        return values.cast(pa.string()).to_numpy()
    if column.kind == "boolean":
        return values.fill_null(False).to_numpy()
    wanted = pa.int64() if column.kind == "long" and values.null_count == 0 else pa.float64()
    return values.cast(wanted).to_numpy()


def _arrays(column: pa.ChunkedArray) -> NDArray[np.object_]:
    lists = column.combine_chunks()
    lists = lists if isinstance(lists, pa.ListArray) else lists.chunk(0)
    offsets = lists.offsets.to_numpy()
    values = lists.values.slice(offsets[0], offsets[-1] - offsets[0])
    # A copy of our own, which whoever holds an array may change.
    numbers = np.array(values.to_numpy(zero_copy_only=False), np.float64)
    is_null = lists.is_null().to_numpy(zero_copy_only=False)
    arrays = np.empty(len(lists), object)
    for k, (first, last) in enumerate(pairwise(offsets - offsets[0])):
        arrays[k] = None if is_null[k] else numbers[first:last]
    return arrays


def split(table: pa.Table, names: Sequence[str]) -> dict[tuple[Any, ...], pa.Table]:
    """Return the rows of each combination of values in these columns, in the order of the table."""
    codes = np.zeros(table.num_rows, np.int64)
    for name in names:
        encoded = pa.chunked_array([table.column(name).combine_chunks()]).dictionary_encode().combine_chunks()
        codes = codes * (len(encoded.dictionary) + 1) + encoded.indices.fill_null(len(encoded.dictionary)).to_numpy()
    codes, found = pd.factorize(codes)
    # Of the smallest type that holds them codes are sorted without comparing.
    order = np.argsort(codes.astype(np.min_scalar_type(len(found))), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(codes, minlength=len(found)))[:-1]) if len(found) else []
    first = [table.select(names).slice(int(rows[0]), 1).to_pylist()[0] for rows in parts]
    return {tuple(key.values()): table.take(pa.array(rows)) for key, rows in zip(first, parts, strict=True)}


def microseconds(times: pa.ChunkedArray | pa.Array) -> Int64Array1D:
    """Return Arrow times as microseconds since the epoch."""
    return np.asarray(times.cast(_TYPES["timestamp"]).cast(pa.int64()).to_numpy())


def order_books(table: pa.Table, max_levels: int | None = None) -> OrderBooks:
    """Return snapshots from columns ``timestamp`` (ascending) and the four ladders; of equal times the last counts.

    Ladders may be null, in any order and of unequal length: what makes no level is dropped, the rest is sorted best
    first and cut to ``max_levels``.
    """
    if table.num_rows == 0:
        return no_order_books()
    times = microseconds(table.column("timestamp"))
    bids = _side(*(_padded(table.column(name)) for name in LADDERS[:2]), best_is_high=True)
    asks = _side(*(_padded(table.column(name)) for name in LADDERS[2:]), best_is_high=False)
    depth = min(max(_depth(bids[0]), _depth(asks[0]), 1), max_levels or bids[0].shape[1] + asks[0].shape[1])
    books = OrderBooks(times, *(_resized(ladder, depth) for ladder in (*bids, *asks)))
    is_last = np.append(times[1:] != times[:-1], True)
    return books if is_last.all() else books.rows(np.flatnonzero(is_last))


def lists(ladder: Float64Array2D) -> pa.Array:
    """Return a padded ladder as a list array without its padding."""
    is_level = ~np.isnan(ladder)
    offsets = np.concatenate([[0], np.cumsum(is_level.sum(axis=1))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(ladder[is_level]))


def _padded(column: pa.ChunkedArray) -> Float64Array2D:
    lengths = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    counts = np.asarray(lengths.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    padded = np.full((len(counts), max(int(counts.max(initial=0)), 1)), np.nan)
    values = lengths.flatten().to_numpy(zero_copy_only=False)
    padded[np.arange(padded.shape[1]) < counts[:, None]] = values
    return padded


def _side(
    prices: Float64Array2D, sizes: Float64Array2D, *, best_is_high: bool
) -> tuple[Float64Array2D, Float64Array2D]:
    width = max(prices.shape[1], sizes.shape[1])
    prices, sizes = _resized(prices, width), _resized(sizes, width)
    is_level = (prices > 0) & (sizes > 0) & np.isfinite(prices) & np.isfinite(sizes)
    if not np.array_equal(is_level, ~np.isnan(prices) | ~np.isnan(sizes)):
        prices, sizes = np.where(is_level, prices, np.nan), np.where(is_level, sizes, np.nan)
    rank = -prices if best_is_high else prices
    # NaN compares false, so a gap inside a ladder is looked for on its own.
    is_gap = ~is_level[:, :-1] & is_level[:, 1:]
    wrong = np.flatnonzero((np.diff(rank, axis=1) < 0).any(axis=1) | is_gap.any(axis=1))
    if len(wrong):
        order = np.argsort(rank[wrong], axis=1, kind="stable")
        prices, sizes = prices.copy(), sizes.copy()
        prices[wrong] = np.take_along_axis(prices[wrong], order, axis=1)
        sizes[wrong] = np.take_along_axis(sizes[wrong], order, axis=1)
    return prices, sizes


def _depth(prices: Float64Array2D) -> int:
    return int((~np.isnan(prices)).sum(axis=1).max(initial=0))


def _resized(ladder: Float64Array2D, width: int) -> Float64Array2D:
    missing = width - ladder.shape[1]
    if missing <= 0:
        return np.ascontiguousarray(ladder[:, :width])
    return np.pad(ladder, ((0, 0), (0, missing)), constant_values=np.nan)
