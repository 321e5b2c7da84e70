"""What the rules of trades and of books share: time and ids of a row, the verdict on a chunk, counting equal rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tributary_pipelines.core.frames import Float64Array1D, Int64Array1D
from tributary_pipelines.storage.files.columns import (
    Problems,
    TimeUnit,
    to_identifiers,
    to_times,
    to_words,
    utc_timestamps,
)
from tributary_pipelines.storage.files.markets import KnownMarkets


@dataclass(frozen=True, slots=True)
class Judged:
    """A chunk after its rules.

    Parameters
    ----------
    rows
        The kept rows, in the columns of their frame.
    problems, times, market_ids
        Of every row of the chunk: what is wrong with it, its time (0 when it has none) and its market.
    """

    rows: pd.DataFrame
    problems: Problems
    times: Int64Array1D
    market_ids: pa.StringArray


@dataclass(frozen=True, slots=True)
class RowKeys:
    """Time, market and token of every row of a chunk, and the price bounds its market declares."""

    times: Int64Array1D
    market_ids: pa.StringArray
    token_ids: pa.StringArray
    lowest: Float64Array1D
    highest: Float64Array1D

    def frame(self, kept: NDArray[np.bool_]) -> pd.DataFrame:
        """Return the keys of the kept rows as the first three columns of their frame."""
        columns = (utc_timestamps(self.times), self.market_ids, self.token_ids)
        chosen = [values.filter(pa.array(kept)).to_pandas() for values in columns]
        return pd.DataFrame(dict(zip(("timestamp", "market_id", "token_id"), chosen, strict=True)))


def judge_keys(
    columns: Mapping[str, pa.Array], unit: TimeUnit | None, known: KnownMarkets, problems: Problems
) -> RowKeys:
    """Read what every row of market data needs, marking what is missing or unusable."""
    times = to_times(columns["timestamp"], unit, problems)
    market_ids = to_identifiers(columns["market_id"], "market_id", problems)
    token_ids = to_identifiers(columns["token_id"], "token_id", problems)
    return RowKeys(times, market_ids, token_ids, *known.bounds(market_ids, token_ids))


def carried_words(
    columns: Mapping[str, pa.Array], name: str, words: Sequence[str], kept: NDArray[np.bool_]
) -> pd.Series:
    """Return an optional column of a file of ours where it holds one of the words we write there, else null."""
    if name not in columns:
        return pd.Series(None, index=range(int(kept.sum())), dtype="str")
    return pd.Series(to_words(columns[name], words).filter(pa.array(kept)).to_pandas(), dtype="str")


def carried_times(
    columns: Mapping[str, pa.Array], name: str, unit: TimeUnit | None, kept: NDArray[np.bool_]
) -> pd.Series:
    """Return an optional column of times where it holds one, else NaT."""
    if name not in columns:
        return pd.Series(pd.NaT, index=range(int(kept.sum())), dtype="datetime64[us, UTC]")
    problems = Problems(len(kept))
    times = pd.Series(utc_timestamps(to_times(columns[name], unit, problems)).to_pandas())
    return times.where(problems.is_fine)[kept].reset_index(drop=True)


class Occurrences:
    """How often each row has been seen so far, in 12 bytes a distinct row, however the rows are cut into chunks.

    Rows are told apart by a 64-bit hash. A collision (one in 10^7 for a million rows) would only number a row 1 instead
    of 0, the same way each time.
    """

    def __init__(self) -> None:
        self._hashes = np.empty(0, np.uint64)
        self._counts = np.empty(0, np.int32)

    def count(self, rows: pd.DataFrame) -> Int64Array1D:
        """Return, for each row, how many equal rows came before it, and remember these."""
        hashes = pd.util.hash_pandas_object(rows, index=False).to_numpy()
        distinct, which, times = np.unique(hashes, return_inverse=True, return_counts=True)
        where = np.searchsorted(self._hashes, distinct)
        is_old = np.zeros(len(distinct), bool)
        if len(self._hashes):
            is_old = self._hashes[np.minimum(where, len(self._hashes) - 1)] == distinct
        before = np.zeros(len(distinct), np.int64)
        before[is_old] = self._counts[where[is_old]]
        self._counts[where[is_old]] += times[is_old].astype(np.int32)
        self._add(distinct[~is_old].astype(np.uint64), times[~is_old].astype(np.int32))
        within = pd.Series(which).groupby(which).cumcount().to_numpy()
        return np.asarray(before[which] + within, dtype=np.int64)

    def _add(self, hashes: NDArray[np.uint64], counts: NDArray[np.int32]) -> None:
        joined = np.concatenate([self._hashes, hashes])
        order = np.argsort(joined, kind="stable")
        self._hashes = joined[order]
        self._counts = np.concatenate([self._counts, counts])[order]
