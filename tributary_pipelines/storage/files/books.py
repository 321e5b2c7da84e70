"""The rules of a book snapshot: ladders as a file has them become sorted, positive ladders and their derived columns.

A ladder is a list of numbers (Parquet, NDJSON) or its JSON text (CSV); numbers may be quoted, as venues write decimals.
All levels of a chunk are handled as one flat array each of prices, sizes and row numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, Float64Array1D, Int64Array1D
from tributary_pipelines.storage.files.columns import NUMBER, Problems, TimeUnit, is_text, to_numbers, to_texts
from tributary_pipelines.storage.files.judging import Judged, RowKeys, carried_times, carried_words, judge_keys
from tributary_pipelines.storage.files.markets import KnownMarkets

REQUIRED = ("timestamp", "market_id", "token_id", "bid_prices", "bid_sizes", "ask_prices", "ask_sizes")
OPTIONAL = ("received_at", "source")
_JSON_NUMBER = f'"?{NUMBER}"?'
_JSON_LADDER = rf"^\[(?:\s*{_JSON_NUMBER}\s*(?:,\s*{_JSON_NUMBER}\s*)*)?\]$"


@dataclass(frozen=True, slots=True)
class _Levels:
    """(m,) levels of one side of every row: row number, price, size; sorted by row, best price first."""

    rows: Int64Array1D
    prices: Float64Array1D
    sizes: Float64Array1D


def judge_books(columns: Mapping[str, pa.Array], *, unit: TimeUnit | None, known: KnownMarkets) -> Judged:
    """Judge rows of the canonical columns of cli.md "Files"; those of ``OPTIONAL`` may be absent.

    A level of size 0 is dropped whatever its price. One-sided, empty and crossed books are kept.
    """
    problems = Problems(len(columns["timestamp"]))
    keys = judge_keys(columns, unit, known, problems)
    sides = {side: _judge_side(columns, side, keys, problems) for side in ("bid", "ask")}
    kept = problems.is_fine
    rows = keys.frame(kept)
    for side, levels in sides.items():
        for name, values in _side_columns(levels, side, kept).items():
            rows[name] = values
    rows["received_at"] = carried_times(columns, "received_at", unit, kept)
    rows["source"] = carried_words(columns, "source", ("rest", "ws", "rebuilt", "file"), kept).fillna("file")
    return Judged(_with_spreads(rows), problems, keys.times, keys.market_ids)


def _judge_side(columns: Mapping[str, pa.Array], side: str, keys: RowKeys, problems: Problems) -> _Levels:
    """Return the usable levels of one side, marking the rows with a level that breaks a rule."""
    prices = _ladder(columns[f"{side}_prices"], f"{side}_prices", problems)
    sizes = _ladder(columns[f"{side}_sizes"], f"{side}_sizes", problems)
    n_prices, n_sizes = _lengths(prices), _lengths(sizes)
    same = n_prices == n_sizes
    problems.mark(~same, f"{side}_prices and {side}_sizes have different lengths")
    rows = np.repeat(np.arange(len(same)), np.where(same, n_prices, 0))
    levels = _Levels(rows, _flat(prices, same), _flat(sizes, same))
    levels = _chosen(levels, levels.sizes != 0)
    for name, values in (("price", levels.prices), ("size", levels.sizes)):
        bad = ~(np.isfinite(values) & (values > 0))
        problems.mark(_rows_with(bad, levels.rows, len(same)), f"a {side} {name} is not a finite number above 0")
    outside = (levels.prices < keys.lowest[levels.rows]) | (levels.prices > keys.highest[levels.rows])
    is_outside = _rows_with(outside, levels.rows, len(same))
    problems.mark(is_outside, f"a {side} price is outside the declared bounds of its market")
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.bincount(levels.rows, levels.sizes, minlength=len(same))
    problems.mark(~np.isfinite(total), f"the {side} sizes add up to no finite number")
    return _chosen(levels, np.lexsort([levels.prices if side == "ask" else -levels.prices, levels.rows]))


def _ladder(column: pa.Array, name: str, problems: Problems) -> pa.ListArray:
    """Return a column of ladders as lists of doubles; NaN where a level is no number, null ladders empty."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        listed = column.cast(pa.list_(kind.value_type))
    else:
        text = pc.utf8_trim_whitespace(to_texts(column))
        is_ladder = pc.fill_null(pc.match_substring_regex(text, _JSON_LADDER), False)
        blank = pc.is_null(text) if is_text(kind) else pc.is_null(column)
        problems.mark(~np.asarray(pc.or_(is_ladder, blank)), f"{name} is not a list of numbers")
        listed = _split(pc.if_else(is_ladder, text, "[]"))
    offsets = np.concatenate([[0], np.cumsum(_lengths(listed))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(to_numbers(listed.flatten())))


def _split(text: pa.StringArray) -> pa.ListArray:
    """Split JSON texts of numbers into lists of number texts."""
    inside = pc.utf8_trim(text, "[]")
    empty = pc.equal(pc.utf8_trim_whitespace(inside), "")
    return pc.split_pattern(pc.if_else(empty, None, pc.replace_substring(inside, '"', "")), ",")


def _lengths(listed: pa.ListArray) -> Int64Array1D:
    return np.asarray(pc.fill_null(pc.list_value_length(listed), 0), dtype=np.int64)


def _flat(listed: pa.ListArray, rows: np.ndarray) -> Float64Array1D:
    return np.asarray(listed.filter(pa.array(rows)).flatten().to_numpy(zero_copy_only=False), dtype=float)


def _chosen(levels: _Levels, which: np.ndarray) -> _Levels:
    return _Levels(levels.rows[which], levels.prices[which], levels.sizes[which])


def _rows_with(bad: np.ndarray, rows: Int64Array1D, n_rows: int) -> np.ndarray:
    return np.bincount(rows[bad], minlength=n_rows) > 0


def _side_columns(levels: _Levels, side: str, kept: np.ndarray) -> dict[str, "Float64Array1D | pd.Series[Any]"]:
    """Return the ladder columns of the kept rows, the best level and the total; NaN where the side is missing."""
    counts = np.bincount(levels.rows, minlength=len(kept))[kept]
    levels = _chosen(levels, kept[levels.rows])
    ends = np.cumsum(counts)
    is_there = counts > 0
    first = (ends - counts)[is_there]
    best, size, total = (np.full(len(counts), np.nan) for _ in range(3))
    best[is_there], size[is_there] = levels.prices[first], levels.sizes[first]
    if len(first):
        total[is_there] = np.add.reduceat(levels.sizes, first)
    return {
        f"best_{side}": best,
        f"{side}_size": size,
        f"total_{side}_volume": total,
        f"{side}_prices": _pieces(levels.prices, ends),
        f"{side}_sizes": _pieces(levels.sizes, ends),
    }


def _pieces(values: Float64Array1D, ends: Int64Array1D) -> "pd.Series[Any]":
    pieces = np.empty(len(ends), dtype=object)
    pieces[:] = np.split(values, ends[:-1]) if len(ends) else []
    return pd.Series(pieces, dtype=object)


def _with_spreads(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the columns of ORDERBOOK_SNAPSHOTS that follow from the best quotes."""
    bid, ask = rows["best_bid"], rows["best_ask"]
    # Halved first: two prices near the largest double have a middle, though no sum.
    rows["mid_price"] = bid / 2 + ask / 2
    rows["spread"] = ask - bid
    rows["spread_bps"] = (1e4 * rows["spread"] / rows["mid_price"]).replace([np.inf, -np.inf], np.nan)
    return rows[list(ORDERBOOK_SNAPSHOTS.column_names)]
