"""Arrow rows as the QuestDB client takes them: a pandas frame of its own nullable types and float64 arrays."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tributary_pipelines.core.frames import Column


def to_send(rows: pa.Table, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return the rows' columns; missing text is None, missing numbers NaN or NA, an array an ndarray or None.

    A column without any value is left out: the client cannot tell its type, and the server stores null.
    """
    return pd.DataFrame(
        {
            column.name: _values(column, rows.column(column.name))
            for column in columns
            if rows.column(column.name).null_count < rows.num_rows
        }
    )


def _values(column: Column, values: pa.ChunkedArray) -> Any:
    if column.kind == "array":
        return _arrays(values)
    if column.kind in ("symbol", "string"):
        return pd.Series(values.to_numpy(), dtype=object)
    if column.kind == "long":
        return values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    if column.kind == "boolean":
        return values.fill_null(False).to_numpy()
    return values.to_numpy()


def _arrays(values: pa.ChunkedArray) -> Any:
    lists = values.combine_chunks()
    lists = lists if isinstance(lists, pa.ListArray) else lists.chunk(0)
    numbers = lists.values.to_numpy(zero_copy_only=False)
    offsets, is_null = lists.offsets.to_numpy(), lists.is_null().to_numpy(zero_copy_only=False)
    found = np.empty(len(lists), object)
    for k, (first, last) in enumerate(pairwise(offsets)):
        found[k] = None if is_null[k] else numbers[first:last]
    return pd.Series(found)
