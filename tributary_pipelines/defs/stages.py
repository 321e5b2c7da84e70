"""The stages of the pipeline as asset specs: one asset for each instrument and stage, keyed [instrument, stage].

What a trader reads in the UI, what depends on what, and how fresh it must be. Grouped by stage, so that a thousand
instruments are still one box a stage. How a stage is computed is in assets/.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg

from tributary_pipelines.analytics.calibration import impact_statistics
from tributary_pipelines.analytics.optimization import parameters, plan
from tributary_pipelines.analytics.simulation import engine
from tributary_pipelines.core.settings import Instrument, Settings
from tributary_pipelines.defs.partitions import daily_partitions, day_before, trailing_window

#: The raw tables, which the collection layer or an import fills; Dagster only observes them.
TABLES = ("trades", "orderbook_snapshots", "markets")
OWNERS = ["team:execution-research"]
BARS_CODE_VERSION = "vwap_bars/1"
#: How long after the schedule a stage may take before it counts as stale.
_PATIENCE = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Stage:
    """One computing stage, the stage and the tables it stands on, and its check."""

    name: str
    description: str
    kinds: frozenset[str]
    code_version: str
    check: str
    check_description: str
    tables: tuple[str, ...] = ()
    upstream: str | None = None


VWAP_BARS = Stage(
    "vwap_bars",
    "**VWAP bars of the day**, one row for each bar that traded (open, high, low, close, VWAP, volume, notional, signed"
    " volume, number of trades). Made in the database from the tape of the instrument's token; YES and NO are never"
    " blended. An interval without a trade has no row; a day without trades has no bars.",
    frozenset({"table"}),
    BARS_CODE_VERSION,
    "bars_add_up",
    "VWAP within low..high; volume and trades equal the tape's, also of the week before (late data)",
    tables=("trades", "markets"),
)
IMPACT_STATISTICS = Stage(
    "impact_statistics",
    "**What the day says about price impact**, as sums that add over days: moves of the mid at a ladder of lags, signed"
    " flow against later moves, slopes of the displayed book, spreads. From trades and order books of one UTC day;"
    " nothing crosses midnight. A day is read once and again only when its data or the code changed. A day without"
    " data has no row.",
    frozenset({"numpy"}),
    impact_statistics.CODE_VERSION,
    "day_is_covered",
    "Sums are finite and of the right sign; coverage of the day",
    tables=("trades", "orderbook_snapshots", "markets"),
)
PARAMETERS = Stage(
    "almgren_chriss_parameters",
    "**Almgren-Chriss parameters** from the window of days that ends with this one (30 by default): volatility sigma,"
    " permanent impact gamma, half-spread and fee epsilon, book slope b, temporary impact eta, resilience rho, each"
    " with unit, interval and source. Usable from the next day 00:00 UTC. `status = refused` with the reasons when the"
    " data cannot identify them: then there are no numbers, and a warning check says so.",
    frozenset({"numpy"}),
    parameters.CODE_VERSION,
    "parameters_are_sound",
    "Identified, finite, positive, gamma below 2 b, interval width, drift; history here equals the result table",
    upstream="impact_statistics",
)
PLANS = Stage(
    "execution_plans",
    "**Trajectories of the standard orders** (size, horizon and slices from the settings) by each strategy, from the"
    " parameters of the same day: slice quantities, expected cost and its parts, risk. For use on the next day."
    " Refused parameters give refused plans with the same reasons.",
    frozenset({"numpy"}),
    plan.CODE_VERSION,
    "plans_sum_to_the_order",
    "Slices sum to the order, cost parts add up, nothing looks ahead",
    upstream="almgren_chriss_parameters",
)
SIMULATIONS = Stage(
    "execution_simulations",
    "**Replay of the standard orders on the day's recorded book**, with the parameters known before the day began:"
    " fills, shortfall and its parts, the bracket over how quickly displaced quotes recover, predicted against"
    " simulated cost. Without parameters the book is still walked, and what needs them is null.",
    frozenset({"numpy"}),
    engine.CODE_VERSION,
    "replays_conserve",
    "Fills, filled and ordered agree; parameters known before the day",
    tables=("trades", "orderbook_snapshots", "markets"),
    upstream="almgren_chriss_parameters",
)
STAGES = (VWAP_BARS, IMPACT_STATISTICS, PARAMETERS, PLANS, SIMULATIONS)


def asset_key(instrument: str, stage: str) -> dg.AssetKey:
    """Return the key of one instrument's asset in a stage."""
    return dg.AssetKey([instrument, stage])


def asset_keys(instruments: Sequence[Instrument], stages: Sequence[Stage]) -> list[dg.AssetKey]:
    """Return the keys of these instruments in these stages, stage by stage."""
    return [asset_key(instrument.name, stage.name) for stage in stages for instrument in instruments]


def instruments_by_key(instruments: Sequence[Instrument], stage: Stage) -> Mapping[dg.AssetKey, Instrument]:
    """Return the instruments of a stage's assets."""
    return {asset_key(instrument.name, stage.name): instrument for instrument in instruments}


def stage_asset(
    stage: Stage, instruments: Sequence[Instrument], settings: Settings, suffix: str
) -> Callable[[Callable[..., object]], dg.AssetsDefinition]:
    """Return the decorator that makes a function the one step of a stage, over any of its instruments and days."""
    return dg.multi_asset(
        name=f"{stage.name}{suffix}",
        specs=stage_specs(stage, instruments, settings),
        # In the same step: Dagster copies a step of checks alone once for each of its checks when it loads.
        check_specs=[
            dg.AssetCheckSpec(stage.check, asset=key, description=stage.check_description)
            for key in asset_keys(instruments, [stage])
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )


def stage_specs(stage: Stage, instruments: Sequence[Instrument], settings: Settings) -> list[dg.AssetSpec]:
    """Return the specs of one stage, one for each instrument."""
    partitions = daily_partitions(settings.schedule.first_day)
    freshness = _freshness(settings.schedule.at)
    tables = [dg.AssetDep(name) for name in stage.tables]
    mapping = _mapping(stage, settings)
    return [
        dg.AssetSpec(
            asset_key(instrument.name, stage.name),
            deps=[*tables, *_upstream(stage, instrument, mapping)],
            description=stage.description,
            group_name=stage.name,
            owners=OWNERS,
            kinds={*stage.kinds, settings.storage.kind},
            tags={"instrument": instrument.name},
            code_version=stage.code_version,
            partitions_def=partitions,
            freshness_policy=freshness,
            # An instrument that fails has no output; the step itself then fails with the list of them.
            skippable=True,
        )
        for instrument in instruments
    ]


def _upstream(stage: Stage, instrument: Instrument, mapping: dg.PartitionMapping) -> list[dg.AssetDep]:
    if stage.upstream is None:
        return []
    return [dg.AssetDep(asset_key(instrument.name, stage.upstream), partition_mapping=mapping)]


def _mapping(stage: Stage, settings: Settings) -> dg.PartitionMapping:
    if stage is PARAMETERS:
        return trailing_window(settings.analytics.calibration.default_lookback_days)
    return day_before() if stage is SIMULATIONS else dg.TimeWindowPartitionMapping()


def _freshness(scheduled_at: str) -> dg.FreshnessPolicy:
    hour, minute = (int(part) for part in scheduled_at.split(":"))
    deadline = (hour + int(_PATIENCE.total_seconds()) // 3_600) % 24
    return dg.FreshnessPolicy.cron(deadline_cron=f"{minute} {deadline} * * *", lower_bound_delta=_PATIENCE)
