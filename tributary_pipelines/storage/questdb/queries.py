"""SQL over a raw table as it is laid out: trades and snapshots without repeated keys, and bars.

A table with DEDUP on the frame's key has nothing to remove. Without it the last row of a key counts, at the place of
the first, as an upsert would have left it; a trade without an id has no key and stands for itself. Trades whose price
or size is null or not positive are left out, in every question alike; ``store check`` counts them.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES, Frame
from tributary_pipelines.storage.arrow import LADDERS
from tributary_pipelines.storage.base import Token
from tributary_pipelines.storage.questdb.connection import placeholders
from tributary_pipelines.storage.questdb.layout import TableLayout
from tributary_pipelines.storage.schema import listed

#: What makes a stored trade usable; null compares as false. QuestDB takes doubles within 1e-10 for equal, so that
#: ``price > 0`` would lose small prices; the sign is exact.
SOUND_TRADE = "sign(price) = 1 AND sign(size) = 1"
#: More markets or tokens than this are not named in one question.
MAX_NAMED = 100
NO_TRADE_ID = "trade_id IS NULL OR trade_id = ''"
#: Ties of one microsecond that a bar's open and close still tell apart.
_MAX_TIES = 8192


def windows_of(tokens: Sequence[Token]) -> Iterator[tuple[str, list[object]]]:
    """Yield conditions that name these tokens, a hundred at a time, and what to bind; times are bound after it.

    A market and a token that were not asked for together may come along.
    """
    for first in range(0, len(tokens), MAX_NAMED):
        named = [list(dict.fromkeys(ids)) for ids in zip(*tokens[first : first + MAX_NAMED], strict=True)]
        n_markets, n_tokens = map(len, named)
        condition = (
            "WHERE market_id IN (", placeholders(1, n_markets), ")",
            "AND token_id IN (", placeholders(n_markets + 1, n_tokens), ")",
            "AND timestamp >=", placeholders(n_markets + n_tokens + 1, 1),
            "AND timestamp <", placeholders(n_markets + n_tokens + 2, 1),
        )  # fmt: skip
        yield " ".join(condition), [*named[0], *named[1]]


def distinct_trades(layout: TableLayout, window: str) -> str:
    """Return a query of timestamp, market_id, token_id, price, size, sign and tie_rank."""
    tie = "tie_rank" if layout.keeps_arrival else "0"
    plain = " ".join(
        ("timestamp, market_id, token_id, price, size,", layout.sign, "AS sign, coalesce(", tie, ", 0) AS tie_rank")
    )
    sound = " ".join(("FROM trades", window, "AND", SOUND_TRADE))
    if not layout.may_repeat_keys or "trade_id" not in layout.types:
        return " ".join(("SELECT", plain, sound))
    over = "".join(("OVER (PARTITION BY ", listed(TRADES.key), ")"))
    numbers = ("price", "size", "sign")
    last = (" ".join(("last_value(", name, ")", over, "AS", "".join(("last_", name)))) for name in numbers)
    own = (
        " ".join(("CASE WHEN is_keyed THEN", "".join(("last_", name)), "ELSE", name, "END AS", name))
        for name in numbers
    )
    return " ".join(
        (
            "SELECT timestamp, market_id, token_id,", ", ".join(own), ", tie_rank FROM (",
            "SELECT timestamp, market_id, token_id, price, size, sign, is_keyed,", ", ".join(last), ", tie_rank,",
            "row_number()", over, "AS occurrence FROM (",
            "SELECT trade_id, NOT (", NO_TRADE_ID, ") AS is_keyed,", plain, sound,
            ")) WHERE occurrence = 1 OR NOT is_keyed",
        )
    )  # fmt: skip


def distinct_snapshots(layout: TableLayout, window: str) -> str:
    """Return a query of market_id, token_id, ``us`` and the four ladders."""
    columns = [column for column in ORDERBOOK_SNAPSHOTS.columns if column.name in LADDERS]
    plain = " ".join(
        (
            "SELECT market_id, token_id,", layout.us, "AS us,", layout.selected(tuple(columns)),
            "FROM orderbook_snapshots", window,
        )
    )  # fmt: skip
    if not layout.may_repeat_keys:
        return plain
    key = "market_id, token_id, us"
    last = (" ".join(("last(", name, ") AS", name)) for name in LADDERS)
    return " ".join(("SELECT", key, ",", ", ".join(last), "FROM (", plain, ") GROUP BY", key))


def bars_query(layout: TableLayout, window: str, width: str, width_us: int) -> str:
    """Return the query of bars with the columns of VWAP_BARS, times as microseconds; ``width`` is whitelisted."""
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
            "SELECT", layout.us, "AS timestamp, cast(market_id as string) AS market_id,",
            "cast(token_id as string) AS token_id, open, high, low, close,",
            "notional / volume AS vwap, volume, notional, signed_volume, n_trades FROM (",
            "SELECT timestamp, market_id, token_id,", ends[0], "AS open, max(price) AS high, min(price) AS low,",
            ends[1], "AS close, sum(size) AS volume, sum(price * size) AS notional,",
            "sum(size * sign) AS signed_volume, count() AS n_trades FROM (", distinct_trades(layout, window),
            ") SAMPLE BY", width, "ALIGN TO CALENDAR) ORDER BY timestamp, market_id, token_id",
        )
    )  # fmt: skip


def last_of_each_key(frame: Frame, table: pa.Table) -> pa.Table:
    """Return a table with the last row of every key, at the place of the first; trades without an id all stay."""
    keys = table.select(list(frame.key)).to_pandas()
    if "trade_id" in keys:
        has_none = keys["trade_id"].isna() | (keys["trade_id"] == "")
        keys["unkeyed"] = np.where(has_none, np.arange(len(keys)), -1)
    codes, uniques = pd.factorize(pd.MultiIndex.from_frame(keys))
    if len(uniques) == table.num_rows:
        return table
    last = np.empty(len(uniques), np.int64)
    last[codes] = np.arange(table.num_rows)
    return table.take(pa.array(last))
