"""SQL over a raw table as it is laid out: trades and snapshots without repeated keys, and bars.

A table with DEDUP on the frame's key has nothing to remove. Without it the last row of a key counts, at the place of
the first, as an upsert would have left it.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES, Frame
from tributary_pipelines.storage.arrow import LADDERS
from tributary_pipelines.storage.questdb.layout import TableLayout
from tributary_pipelines.storage.schema import listed

#: Ties of one microsecond that a bar's open and close still tell apart.
_MAX_TIES = 8192


def distinct_trades(layout: TableLayout, window: str) -> str:
    """Return a query of timestamp, market_id, token_id, price, size, sign and tie_rank."""
    tie = "tie_rank" if layout.keeps_arrival else "0"
    plain = " ".join(
        ("timestamp, market_id, token_id, price, size,", layout.sign, "AS sign, coalesce(", tie, ", 0) AS tie_rank")
    )
    if not layout.may_repeat_keys or "trade_id" not in layout.types:
        return " ".join(("SELECT", plain, "FROM trades", window))
    over = "".join(("OVER (PARTITION BY ", listed(TRADES.key), ")"))
    last = (" ".join(("last_value(", name, ")", over, "AS", name)) for name in ("price", "size", "sign"))
    return " ".join(
        (
            "SELECT timestamp, market_id, token_id, price, size, sign, tie_rank FROM (",
            "SELECT timestamp, market_id, token_id,", ", ".join(last), ", tie_rank,",
            "row_number()", over, "AS occurrence FROM (",
            "SELECT trade_id,", plain, "FROM trades", window, ")) WHERE occurrence = 1",
        )
    )  # fmt: skip


def distinct_snapshots(layout: TableLayout, window: str) -> str:
    """Return a query of ``us`` and the four ladders of one token."""
    columns = [column for column in ORDERBOOK_SNAPSHOTS.columns if column.name in LADDERS]
    plain = " ".join(
        ("SELECT", layout.us, "AS us,", layout.selected(tuple(columns)), "FROM orderbook_snapshots", window)
    )
    if not layout.may_repeat_keys:
        return plain
    last = (" ".join(("last(", name, ") AS", name)) for name in LADDERS)
    return " ".join(("SELECT us,", ", ".join(last), "FROM (", plain, ") GROUP BY us"))


def bars_query(layout: TableLayout, window: str, width: str, width_us: int) -> str:
    """Return the query of bars with the columns of VWAP_BARS, times as datetimes; ``width`` is whitelisted."""
    # Where the order of arrival is stored, a tie is broken by it; else the table's own order is the order of arrival.
    rank = " ".join(
        (
            "(", layout.us, "%", str(width_us), ") *", str(_MAX_TIES), "+ CASE WHEN tie_rank <", str(_MAX_TIES),
            "THEN tie_rank ELSE", str(_MAX_TIES - 1), "END",
        )
    )  # fmt: skip
    ends = (
        (" ".join(("arg_min(price,", rank, ")")), " ".join(("arg_max(price,", rank, ")")))
        if layout.keeps_arrival
        else ("first(price)", "last(price)")
    )
    return " ".join(
        (
            "SELECT cast(timestamp as timestamp) AS timestamp, market_id, token_id, open, high, low, close,",
            "notional / volume AS vwap, volume, notional, signed_volume, n_trades FROM (",
            "SELECT timestamp, market_id, token_id,", ends[0], "AS open, max(price) AS high, min(price) AS low,",
            ends[1], "AS close, sum(size) AS volume, sum(price * size) AS notional,",
            "sum(size * sign) AS signed_volume, count() AS n_trades FROM (", distinct_trades(layout, window),
            ") SAMPLE BY", width, "ALIGN TO CALENDAR) ORDER BY timestamp, market_id, token_id",
        )
    )  # fmt: skip


def last_of_each_key(frame: Frame, table: pa.Table) -> pa.Table:
    """Return a table with the last row of every key, at the place of the first."""
    codes, uniques = pd.factorize(pd.MultiIndex.from_frame(table.select(list(frame.key)).to_pandas()))
    if len(uniques) == table.num_rows:
        return table
    last = np.empty(len(uniques), np.int64)
    last[codes] = np.arange(table.num_rows)
    return table.take(pa.array(last))
