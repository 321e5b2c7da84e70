"""The stage ``execution_plans``: trajectories of the standard orders from the parameters of the same day."""

from collections.abc import Iterator, Sequence

import dagster as dg
import numpy as np
import pandas as pd

from tributary_pipelines.analytics.optimization.plan import ExecutionPlan, RiskForms
from tributary_pipelines.analytics.optimization.strategies import ParentOrder
from tributary_pipelines.core.result_frames import EXECUTION_PLANS
from tributary_pipelines.core.settings import Instrument, Settings
from tributary_pipelines.defs.assets.standard_orders import describe_orders, replace_orders
from tributary_pipelines.defs.checks import conclude
from tributary_pipelines.defs.resources import MarketStoreResource, SettingsResource
from tributary_pipelines.defs.stages import PLANS, instruments_by_key, stage_asset
from tributary_pipelines.defs.steps import StageEvent, begin, data_version, rows_of_day
from tributary_pipelines.flows.planning import plan_standard_orders
from tributary_pipelines.reports.plots import trajectory

_SHOWN = ["order_id", "status", "expected_cost", "cost_std", "urgency", "risk_aversion"]


def build_execution_plans(instruments: Sequence[Instrument], settings: Settings, suffix: str) -> dg.AssetsDefinition:
    """Return the step that plans the standard orders of the chosen instruments and days."""
    by_key = instruments_by_key(instruments, PLANS)

    @stage_asset(PLANS, instruments, settings, suffix)
    def execution_plans(
        context: dg.AssetExecutionContext, store: MarketStoreResource, settings: SettingsResource
    ) -> Iterator[StageEvent]:
        run = begin(context, store, settings, by_key)
        for key, instrument in run.selected():
            with run.of(key, instrument):
                plans = replace_orders(run, instrument, EXECUTION_PLANS, plan_standard_orders)
                described = {day: describe_plans(rows_of_day(plans, day)) for day in run.days}
                if run.is_small:
                    described[run.days[-1]] |= trajectory_picture(rows_of_day(plans, run.days[-1]))
                run.describe(key, described)
                yield dg.MaterializeResult(key, data_version=data_version(plans["data_fingerprint"]))
        yield from conclude(run, PLANS)

    return execution_plans


def describe_plans(plans: pd.DataFrame) -> dict[str, object]:
    """Return what the UI shows of one day's plans: each order's expected cost as a number, all of them as a table."""
    return describe_orders(
        plans,
        lambda own: {
            "n_plans": len(own),
            "usable_from": own["usable_from"].iloc[0],
            "plans": own[_SHOWN],
            **{f"expected_cost {row.order_id}": row.expected_cost for row in own.itertuples()},
        },
    )


def trajectory_picture(plans: pd.DataFrame) -> dict[str, object]:
    """Return the picture of one planned trajectory, of a strategy that weighs risk where there is one; {} without."""
    planned = plans[plans["status"] != "refused"].sort_values("urgency", na_position="first")
    if planned["market_id"].nunique() != 1:
        return {}
    row = planned.iloc[-1]
    order = ParentOrder(row["side"], row["shares"], row["horizon_s"], int(row["n_slices"]))
    quantities = np.asarray(row["slice_quantities"], dtype=float)
    drawn = ExecutionPlan(
        strategy=row["strategy"],
        order=order,
        start_s=np.arange(order.n_slices) * order.horizon_s / order.n_slices,
        quantities=quantities,
        remaining=order.shares - np.cumsum(quantities),
        components=None,
        cost_variance=None,
        risk=RiskForms(),
        flags=(),
        status="ok",
        reasons=(),
    )
    return {"trajectory": trajectory(drawn)}
