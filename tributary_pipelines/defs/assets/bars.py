"""The stage ``vwap_bars``: made in the database from the tape, kept in the result table of the same name."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import dagster as dg
import pandas as pd

from tributary_pipelines.core import result_frames
from tributary_pipelines.core.settings import Instrument, Settings
from tributary_pipelines.core.units import day_start
from tributary_pipelines.defs.checks import conclude
from tributary_pipelines.defs.metadata import over_markets
from tributary_pipelines.defs.resources import MarketStoreResource, SettingsResource
from tributary_pipelines.defs.stages import VWAP_BARS, instruments_by_key, stage_asset
from tributary_pipelines.defs.steps import StageEvent, begin, data_version, markets_of, rows_of_day
from tributary_pipelines.flows.market_data import build_bars


def build_vwap_bars(instruments: Sequence[Instrument], settings: Settings, suffix: str) -> dg.AssetsDefinition:
    """Return the step that makes the bars of the chosen instruments and days."""
    by_key = instruments_by_key(instruments, VWAP_BARS)

    @stage_asset(VWAP_BARS, instruments, settings, suffix)
    def vwap_bars(
        context: dg.AssetExecutionContext, store: MarketStoreResource, settings: SettingsResource
    ) -> Iterator[StageEvent]:
        run = begin(context, store, settings, by_key)
        start, end = day_start(run.days[0]), day_start(run.days[-1]) + timedelta(days=1)
        width = run.settings.bar_width
        for key, instrument in run.selected():
            with run.of(key, instrument):
                markets = markets_of(run.known, instrument)
                bars = pd.concat([build_bars(run.store, market, start, end, width) for market in markets])
                run.store.results.replace_days(result_frames.VWAP_BARS, run.result_days(markets), bars)
                run.describe(key, {day: describe_bars(rows_of_day(bars, day), width) for day in run.days})
                yield dg.MaterializeResult(key, data_version=data_version(bars.to_dict("records")))
        yield from conclude(run, VWAP_BARS)

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
