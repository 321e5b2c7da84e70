"""The stage ``execution_plans``: trajectories of the standard orders from the parameters of the same day."""

import json
from collections.abc import Iterator, Sequence

import dagster as dg
import pandas as pd

from tributary_pipelines.core.result_frames import EXECUTION_PLANS
from tributary_pipelines.core.settings import Instrument, Settings
from tributary_pipelines.defs.metadata import over_markets
from tributary_pipelines.defs.resources import MarketStoreResource, SettingsResource
from tributary_pipelines.defs.stages import PLANS, instruments_by_key, stage_asset
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
from tributary_pipelines.flows.planning import plan_standard_orders

_SHOWN = ["order_id", "status", "expected_cost", "cost_std", "urgency", "risk_aversion"]


def build_execution_plans(instruments: Sequence[Instrument], settings: Settings, suffix: str) -> dg.AssetsDefinition:
    """Return the step that plans the standard orders of the chosen instruments and days."""
    by_key = instruments_by_key(instruments, PLANS)

    @stage_asset(PLANS, instruments, settings, suffix)
    def execution_plans(
        context: dg.AssetExecutionContext, store: MarketStoreResource, settings: SettingsResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        analytics = settings.load().analytics
        days, outcomes = days_of_run(context), Outcomes(context)
        known = known_markets(context, store.reader)
        for key, instrument in selected(context, by_key):
            with outcomes.of(key, instrument):
                markets = markets_of(known, instrument)
                planned = [
                    plan_standard_orders(store.opened, analytics, instrument, market, day)
                    for market in markets
                    for day in days
                ]
                plans = pd.concat(planned)
                store.results.replace_days(EXECUTION_PLANS, result_days(markets, days), plans)
                describe_days(context, key, {day: describe_plans(rows_of_day(plans, day)) for day in days})
                yield dg.MaterializeResult(key, data_version=data_version(plans["data_fingerprint"]))
        yield from outcomes.settle()

    return execution_plans


def describe_plans(plans: pd.DataFrame) -> dict[str, object]:
    """Return what the UI shows of one day's plans: each order's expected cost as a number, all of them as a table."""
    return over_markets(
        [
            {
                "status": "refused" if (own["status"] == "refused").all() else "ok",
                "market_id": market_id,
                "reasons": listed_reasons(own),
                "n_plans": len(own),
                "usable_from": own["usable_from"].iloc[0],
                "plans": own[_SHOWN],
                **{f"expected_cost {row.order_id}": row.expected_cost for row in own.itertuples()},
            }
            for market_id, own in plans.groupby("market_id", observed=True)
        ],
        absent="no standard orders are set",
    )


def listed_reasons(rows: pd.DataFrame) -> list[str] | None:
    """Return the reasons of result rows, each once, None when there are none."""
    reasons = [reason for listed in rows["reasons"] for reason in _as_list(listed)]
    return list(dict.fromkeys(reasons)) or None


def _as_list(listed: object) -> list[str]:
    if isinstance(listed, str):
        return [str(item) for item in json.loads(listed)]
    return [str(item) for item in listed] if isinstance(listed, list | tuple) else []
