"""The stage ``vwap_bars``: made in the database from the tape, kept in the result table of the same name."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import dagster as dg
import pandas as pd

from tributary_pipelines.core import result_frames
from tributary_pipelines.core.settings import Instrument, Settings
from tributary_pipelines.core.units import day_start
from tributary_pipelines.defs.metadata import over_markets
from tributary_pipelines.defs.resources import MarketStoreResource, SettingsResource
from tributary_pipelines.defs.stages import VWAP_BARS, instruments_by_key, stage_asset
from tributary_pipelines.defs.steps import (
    Outcomes,
    data_version,
    days_of_run,
    describe_days,
    known_markets,
    markets_of,
    result_days,
    rows_of_day,
    selected,
)
from tributary_pipelines.flows.market_data import build_bars


def build_vwap_bars(instruments: Sequence[Instrument], settings: Settings, suffix: str) -> dg.AssetsDefinition:
    """Return the step that makes the bars of the chosen instruments and days."""
    by_key = instruments_by_key(instruments, VWAP_BARS)

    @stage_asset(VWAP_BARS, instruments, settings, suffix)
    def vwap_bars(
        context: dg.AssetExecutionContext, store: MarketStoreResource, settings: SettingsResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        width = settings.load().analytics.bar_width
        days, outcomes = days_of_run(context), Outcomes(context)
        known = known_markets(context, store.reader)
        start, end = day_start(days[0]), day_start(days[-1]) + timedelta(days=1)
        for key, instrument in selected(context, by_key):
            with outcomes.of(key, instrument):
                markets = markets_of(known, instrument)
                bars = pd.concat([build_bars(store.opened, market, start, end, width) for market in markets])
                store.results.replace_days(result_frames.VWAP_BARS, result_days(markets, days), bars)
                describe_days(context, key, {day: describe_bars(rows_of_day(bars, day), width) for day in days})
                yield dg.MaterializeResult(key, data_version=data_version(bars.to_dict("records")))
        yield from outcomes.settle()

    return vwap_bars


def describe_bars(bars: pd.DataFrame, width: str) -> dict[str, object]:
    """Return what the UI shows of one day's bars."""
    return over_markets(
        [
            {
                "status": "ok",
                "market_id": market_id,
                "bar_width": width,
                "n_bars": len(own),
                "n_trades": own["n_trades"].sum(),
                "volume": own["volume"].sum(),
                "notional": own["notional"].sum(),
                "vwap": own["notional"].sum() / own["volume"].sum(),
                "low": own["low"].min(),
                "high": own["high"].max(),
                "first_bar": own["timestamp"].min(),
                "last_bar": own["timestamp"].max(),
            }
            for market_id, own in bars.groupby("market_id", observed=True)
        ],
        absent="no trades on this day",
    )
