"""Writing stored data and results to Parquet: one row a row, ladders as lists, times in UTC.

The file appears whole or not at all: rows are streamed into a hidden neighbour that takes its name at the end.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES, Frame
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, VWAP_BARS
from tributary_pipelines.storage.base import MarketStore

_FRAMES = {
    "trades": TRADES,
    "books": ORDERBOOK_SNAPSHOTS,
    "bars": VWAP_BARS,
    "parameters": ALMGREN_CHRISS_PARAMETERS,
}
_TYPES = {
    "timestamp": pa.timestamp("us", "UTC"),
    "symbol": pa.string(),
    "string": pa.string(),
    "double": pa.float64(),
    "long": pa.int64(),
    "boolean": pa.bool_(),
    "array": pa.list_(pa.float64()),
}


def export_table(
    store: MarketStore,
    what: str,
    *,
    market_id: str,
    token_id: str | None = None,
    start: datetime,
    end: datetime,
    path: Path,
    width: str = "1m",
) -> int:
    """Write the rows of a market in [start, end) to a Parquet file and return how many there are.

    Parameters
    ----------
    what
        trades, books, bars or parameters.
    token_id
        Only this token; None takes all of the market.
    width
        Of the bars.

    Raises
    ------
    ValidationError
        There is no such table, the file cannot be written, or ``width`` is no width.
    StorageError
        The store cannot be read.
    """
    if what not in _FRAMES:
        raise ValidationError(f"{what!r} cannot be exported; there are {', '.join(_FRAMES)}")
    frame = _FRAMES[what]
    schema = pa.schema([pa.field(column.name, _TYPES[column.kind]) for column in frame.columns])
    tables: Iterable[pa.Table]
    if what == "bars":
        tables = [_to_arrow(frame, store.reader.bars(market_id, token_id, start, end, width))]
    elif what == "parameters":
        tables = [_to_arrow(frame, store.results.read(frame, start, end, market_id, token_id))]
    else:
        tables = _of_token(store.reader.rows(frame, market_id, start, end), token_id)
    part = path.with_name(f".{path.name}.part")
    n_rows = 0
    try:
        with (
            part.open("wb") as file,
            pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            for table in tables:
                writer.write_table(table.select(schema.names).cast(schema))
                n_rows += table.num_rows
        part.replace(path)
    except OSError as error:
        raise ValidationError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            part.unlink()
    return n_rows


def _of_token(batches: Iterable[pa.RecordBatch], token_id: str | None) -> Iterator[pa.Table]:
    for batch in batches:
        table = pa.Table.from_batches([batch])
        yield table if token_id is None else table.filter(pc.field("token_id") == token_id)


def _to_arrow(frame: Frame, rows: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(rows[list(frame.column_names)], preserve_index=False)
