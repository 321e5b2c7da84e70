"""The raw tables as external assets: filled by the collection layer or an import, observed here.

An observation says how many rows a table holds, when the last one was, and which instruments have waited longest for
data.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

import dagster as dg
import pandas as pd

from tributary_pipelines.core.errors import DataError
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import Instrument
from tributary_pipelines.core.units import iso_z
from tributary_pipelines.defs.metadata import Metadata, to_metadata
from tributary_pipelines.defs.resources import MarketStoreResource
from tributary_pipelines.defs.stages import OWNERS, TABLES
from tributary_pipelines.defs.steps import data_version, markets_of
from tributary_pipelines.storage.base import MarketDataReader, TableState

GROUP = "market_data"
_LEAST_HEALTHY = 10
_DESCRIPTIONS = {
    "trades": "**The tape**: one row a trade, taker's side where the venue says it. Filled by the collector or"
    " 'tributary import'.",
    "orderbook_snapshots": "**Full-depth order books**: one row a snapshot and token, ladders best first. Filled by the"
    " collector or 'tributary import'.",
    "markets": "**The markets**: one entry for each token with tick, lot, bounds and fees; the newest counts.",
}


def build_market_data(instruments: Sequence[Instrument], kind: str) -> dg.AssetsDefinition:
    """Return the observation of the raw tables.

    Parameters
    ----------
    kind
        The store's kind, shown on the assets.
    """
    # A tag, because an observable asset drops kinds silently.
    tags = {f"dagster/kind/{kind}": "", "dagster/kind/table": ""}
    specs = [
        dg.AssetSpec(name, description=_DESCRIPTIONS[name], group_name=GROUP, owners=OWNERS, tags=tags)
        for name in TABLES
    ]

    def observe_tables(context: dg.AssetExecutionContext, store: MarketStoreResource) -> Iterator[dg.ObserveResult]:
        waiting = least_healthy(store.reader, instruments, now=datetime.now(UTC))
        for state in store.reader.table_states():
            if dg.AssetKey(state.table) in context.selected_asset_keys:
                version = data_version([state.n_rows, state.last_at])
                yield dg.ObserveResult(state.table, metadata=describe_table(state, waiting), data_version=version)

    observed = dg.multi_observable_source_asset(name="observe_tables", specs=specs, can_subset=True)
    return cast("dg.AssetsDefinition", observed(observe_tables))


def describe_table(state: TableState, waiting: pd.DataFrame) -> Metadata:
    """Return what the UI shows of one raw table."""
    return to_metadata(
        {
            "n_rows": state.n_rows,
            "last_at": state.last_at,
            "is_suspended": state.is_suspended,
            "least_healthy": waiting if state.table != "markets" else None,
        }
    )


def least_healthy(reader: MarketDataReader, instruments: Sequence[Instrument], *, now: datetime) -> pd.DataFrame:
    """Return the ten instruments that have waited longest for data; those without any come first."""
    known = reader.markets()
    waits = []
    for instrument in instruments:
        trade_at, snapshot_at = _last_data(reader, known, instrument)
        newest = max([moment for moment in (trade_at, snapshot_at) if moment is not None], default=None)
        hours = None if newest is None else (now - newest).total_seconds() / 3_600
        waits.append((instrument.name, _said(trade_at), _said(snapshot_at), hours))
    waits.sort(key=lambda wait: (wait[3] is not None, -(wait[3] or 0.0), wait[0]))
    columns = ["instrument", "last_trade_at", "last_snapshot_at", "hours_without_data"]
    return pd.DataFrame(waits[:_LEAST_HEALTHY], columns=columns)


def _said(moment: datetime | None) -> str | None:
    return None if moment is None else iso_z(moment)


def _last_data(
    reader: MarketDataReader, known: Sequence[Market], instrument: Instrument
) -> tuple[datetime | None, datetime | None]:
    try:
        extents = [reader.extent(market.market_id, market.token_id) for market in markets_of(known, instrument)]
    except DataError:
        return None, None
    trades = [extent.last_trade_at for extent in extents if extent.last_trade_at is not None]
    books = [extent.last_snapshot_at for extent in extents if extent.last_snapshot_at is not None]
    return max(trades, default=None), max(books, default=None)
