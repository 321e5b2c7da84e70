"""The stage ``execution_simulations``: standard orders replayed on the day's book with what was known before it."""

from collections.abc import Iterator, Sequence

import dagster as dg
import pandas as pd

from tributary_pipelines.core.result_frames import EXECUTION_SIMULATIONS
from tributary_pipelines.core.settings import Instrument, Settings
from tributary_pipelines.defs.assets.standard_orders import describe_orders, replace_orders
from tributary_pipelines.defs.checks import conclude
from tributary_pipelines.defs.resources import MarketStoreResource, SettingsResource
from tributary_pipelines.defs.stages import SIMULATIONS, instruments_by_key, stage_asset
from tributary_pipelines.defs.steps import StageEvent, begin, data_version, rows_of_day
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
    ) -> Iterator[StageEvent]:
        run = begin(context, store, settings, by_key)
        for key, instrument in run.selected():
            with run.of(key, instrument):
                results = replace_orders(run, instrument, EXECUTION_SIMULATIONS, simulate_standard_orders)
                run.describe(key, {day: describe_simulations(rows_of_day(results, day)) for day in run.days})
                yield dg.MaterializeResult(key, data_version=data_version(results["result_id"]))
        yield from conclude(run, SIMULATIONS)

    return execution_simulations


def describe_simulations(results: pd.DataFrame) -> dict[str, object]:
    """Return what the UI shows of one day's replays: each order's shortfall as a number, all of them as a table."""
    return describe_orders(
        results,
        lambda own: {
            "n_simulations": len(own),
            "parameters_usable_from": own["usable_from"].iloc[0],
            "simulations": own[_SHOWN],
            **{f"shortfall {row.order_id}": row.shortfall_total for row in own.itertuples()},
            **{f"predicted {row.order_id}": row.predicted_cost for row in own.itertuples()},
        },
    )
