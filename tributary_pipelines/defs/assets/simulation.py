"""The stage ``execution_simulations``: standard orders replayed on the day's book with what was known before it."""

from collections.abc import Iterator, Sequence

import dagster as dg
import pandas as pd

from tributary_pipelines.core.result_frames import EXECUTION_SIMULATIONS
from tributary_pipelines.core.settings import Instrument, Settings
from tributary_pipelines.defs.assets.planning import listed_reasons
from tributary_pipelines.defs.metadata import over_markets
from tributary_pipelines.defs.resources import MarketStoreResource, SettingsResource
from tributary_pipelines.defs.stages import SIMULATIONS, instruments_by_key, stage_asset
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
from tributary_pipelines.flows.simulation import simulate_standard_orders

_SHOWN = ["order_id", "status", "filled", "unfilled", "average_price", "shortfall_total", "predicted_cost"]


def build_execution_simulations(
    instruments: Sequence[Instrument], settings: Settings, suffix: str
) -> dg.AssetsDefinition:
    """Return the step that replays the standard orders of the chosen instruments and days."""
    by_key = instruments_by_key(instruments, SIMULATIONS)

    @stage_asset(SIMULATIONS, instruments, settings, suffix)
    def execution_simulations(
        context: dg.AssetExecutionContext, store: MarketStoreResource, settings: SettingsResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        analytics = settings.load().analytics
        days, outcomes = days_of_run(context), Outcomes(context)
        known = known_markets(context, store.reader)
        for key, instrument in selected(context, by_key):
            with outcomes.of(key, instrument):
                markets = markets_of(known, instrument)
                replayed = [
                    simulate_standard_orders(store.opened, analytics, instrument, market, day)
                    for market in markets
                    for day in days
                ]
                results = pd.concat(replayed)
                store.results.replace_days(EXECUTION_SIMULATIONS, result_days(markets, days), results)
                describe_days(context, key, {day: describe_simulations(rows_of_day(results, day)) for day in days})
                yield dg.MaterializeResult(key, data_version=data_version(results["result_id"]))
        yield from outcomes.settle()

    return execution_simulations


def describe_simulations(results: pd.DataFrame) -> dict[str, object]:
    """Return what the UI shows of one day's replays: each order's shortfall as a number, all of them as a table."""
    return over_markets(
        [
            {
                "status": "refused" if (own["status"] == "refused").all() else "ok",
                "market_id": market_id,
                "reasons": listed_reasons(own),
                "n_simulations": len(own),
                "parameters_usable_from": own["usable_from"].iloc[0],
                "simulations": own[_SHOWN],
                **{f"shortfall {row.order_id}": row.shortfall_total for row in own.itertuples()},
                **{f"predicted {row.order_id}": row.predicted_cost for row in own.itertuples()},
            }
            for market_id, own in results.groupby("market_id", observed=True)
        ],
        absent="no standard orders are set",
    )
