"""The rules of a trade: which rows of a file become rows of TRADES, and the id of a trade that has none."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tributary_pipelines.core.frames import TRADES
from tributary_pipelines.storage.files.columns import (
    Problems,
    TimeUnit,
    to_identifiers,
    to_numbers,
    to_sides,
)
from tributary_pipelines.storage.files.judging import Judged, Occurrences, carried_times, carried_words, judge_keys
from tributary_pipelines.storage.files.markets import KnownMarkets

REQUIRED = ("timestamp", "market_id", "token_id", "side", "price", "size")
OPTIONAL = ("trade_id", "received_at", "side_source", "id_kind")


def judge_trades(
    columns: Mapping[str, pa.Array], *, unit: TimeUnit | None, known: KnownMarkets, occurrences: Occurrences
) -> Judged:
    """Judge rows of the canonical columns of cli.md "Files"; those of ``OPTIONAL`` may be absent.

    Parameters
    ----------
    known
        Whose declared price bounds apply, inclusive.
    occurrences
        Counts equal rows over the whole import: a row without an id gets ``side:price:size:occurrence`` as its id, so
        the same file gives the same ids however it is cut.
    """
    problems = Problems(len(columns["timestamp"]))
    keys = judge_keys(columns, unit, known, problems)
    prices, sizes = to_numbers(columns["price"]), to_numbers(columns["size"])
    for name, values in (("price", prices), ("size", sizes)):
        problems.mark(~(np.isfinite(values) & (values > 0)), f"{name} is not a finite number above 0")
    with np.errstate(over="ignore", invalid="ignore"):
        values = prices * sizes
    problems.mark(~np.isfinite(values), "price times size is not a finite number")
    outside = (prices < keys.lowest) | (prices > keys.highest)
    problems.mark(outside, "price is outside the declared bounds of its market")
    ids = _trade_ids(columns, problems)
    kept = problems.is_fine
    rows = keys.frame(kept)
    rows["side"] = to_sides(columns["side"]).filter(pa.array(kept)).to_pandas()
    rows["trade_id"] = ids.filter(pa.array(kept)).to_pandas()
    rows["price"], rows["size"], rows["value"] = prices[kept], sizes[kept], values[kept]
    return Judged(_completed(rows, columns, unit, kept, occurrences), problems, keys.times, keys.market_ids)


def _trade_ids(columns: Mapping[str, pa.Array], problems: Problems) -> pa.StringArray:
    """Return the ids of a file, null where a row has none; only a given one can be unusable."""
    if "trade_id" not in columns:
        return pa.nulls(len(columns["timestamp"]), pa.string())
    given = Problems(len(columns["timestamp"]))
    ids = to_identifiers(columns["trade_id"], "trade_id", given)
    problems.mark_where(np.asarray(pc.is_valid(ids)), given)
    return ids


def _completed(
    rows: pd.DataFrame,
    columns: Mapping[str, pa.Array],
    unit: TimeUnit | None,
    kept: NDArray[np.bool_],
    occurrences: Occurrences,
) -> pd.DataFrame:
    """Add the columns of TRADES that follow from the others or that a file of ours carries."""
    is_derived = rows["trade_id"].isna()
    id_kinds = carried_words(columns, "id_kind", ("native", "derived"), kept)
    if is_derived.any():
        rows.loc[is_derived, "trade_id"] = _derived_ids(rows[is_derived], occurrences)
    rows["is_buyer_maker"] = rows["side"].eq("sell").fillna(False).astype(bool)
    rows["received_at"] = carried_times(columns, "received_at", unit, kept)
    sources = carried_words(columns, "side_source", ("venue", "order", "rule"), kept)
    rows["side_source"] = sources.where(sources.notna() | rows["side"].isna(), "venue")
    rows["id_kind"] = id_kinds.fillna("native").mask(is_derived, "derived")
    return rows[list(TRADES.column_names)]


def _derived_ids(rows: pd.DataFrame, occurrences: Occurrences) -> list[str]:
    counts = occurrences.count(rows[["timestamp", "market_id", "token_id", "side", "price", "size"]])
    sides = rows["side"].fillna("unknown")
    return [
        f"{side}:{price!r}:{size!r}:{count}"
        for side, price, size, count in zip(
            sides, rows["price"].tolist(), rows["size"].tolist(), counts.tolist(), strict=True
        )
    ]
