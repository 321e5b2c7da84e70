"""The asset checks: one for each instrument and stage, and one for each raw table.

Each reads the stored rows of the run's days (the last 30 days when it is started by hand) and lists every violated
condition of conditions.py. An error condition fails as ERROR, anything else as WARN.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

import dagster as dg
import pandas as pd

from tributary_pipelines.core import result_frames
from tributary_pipelines.core.errors import DataError
from tributary_pipelines.core.frames import Frame
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import AnalyticsSettings, Instrument
from tributary_pipelines.core.units import PARAMETER_UNITS, SECONDS_PER_DAY, day_start
from tributary_pipelines.defs import conditions
from tributary_pipelines.defs.conditions import Violations
from tributary_pipelines.defs.metadata import to_metadata
from tributary_pipelines.defs.partitions import days_of
from tributary_pipelines.defs.resources import MarketStoreResource, SettingsResource
from tributary_pipelines.defs.stages import (
    IMPACT_STATISTICS,
    PARAMETERS,
    PLANS,
    SIMULATIONS,
    TABLES,
    VWAP_BARS,
    Stage,
    asset_key,
)
from tributary_pipelines.defs.steps import known_markets, markets_of, retried
from tributary_pipelines.storage.base import MarketStore

_ONE_DAY = timedelta(days=1)
_DAYS_BY_HAND = 30
_TRAILING_DAYS = 60
_PAGE = 500
_SHOWN_VIOLATIONS = 5
_COMPARED = ("status", *PARAMETER_UNITS)


@dataclass(frozen=True, slots=True)
class Subject:
    """What one check looks at: a token of an instrument over some days."""

    store: MarketStore
    settings: AnalyticsSettings
    instance: dg.DagsterInstance
    key: dg.AssetKey
    instrument: Instrument
    days: list[date]
    market: Market

    def rows(self, frame: Frame, days_before: int = 0) -> pd.DataFrame:
        """Return the stored rows of these days, and of some days before them."""
        start, end = day_start(self.days[0] - days_before * _ONE_DAY), day_start(self.days[-1]) + _ONE_DAY
        return self.store.results.read(frame, start, end, self.market.market_id, self.market.token_id)


Question = Callable[[Subject], Violations]


def _bars(of: Subject) -> Violations:
    start, end = day_start(of.days[0]), day_start(of.days[-1]) + _ONE_DAY
    tape = of.store.reader.bars(of.market.market_id, of.market.token_id, start, end, "1d")
    return conditions.check_bars(of.rows(result_frames.VWAP_BARS), tape)


def _statistics(of: Subject) -> Violations:
    coverage = of.settings.calibration.min_coverage
    rows = of.rows(result_frames.IMPACT_STATISTICS)
    return conditions.check_statistics(rows, min_coverage=coverage, day_length_s=SECONDS_PER_DAY)


def _parameters(of: Subject) -> Violations:
    trailing = of.rows(result_frames.ALMGREN_CHRISS_PARAMETERS, days_before=_TRAILING_DAYS)
    rows = trailing[trailing["timestamp"] >= day_start(of.days[0])]
    found = conditions.check_parameters(rows, trailing)
    if of.instrument.market_id is None:
        # The history of a series is a table of its markets, not numbers that could be compared.
        return found
    return joined([found, conditions.check_history(rows, shown_parameters(of.instance, of.key, of.days))])


def _plans(of: Subject) -> Violations:
    return conditions.check_plans(of.rows(result_frames.EXECUTION_PLANS))


def _simulations(of: Subject) -> Violations:
    return conditions.check_simulations(of.rows(result_frames.EXECUTION_SIMULATIONS))


_QUESTIONS: dict[Stage, tuple[str, Question, str]] = {
    VWAP_BARS: ("bars_add_up", _bars, "VWAP within low..high; volume and trades equal the tape's; late data"),
    IMPACT_STATISTICS: ("day_is_covered", _statistics, "Sums are finite and of the right sign; coverage of the day"),
    PARAMETERS: (
        "parameters_are_sound",
        _parameters,
        "Identified, finite, positive, gamma below 2 b, interval width, drift; history here equals the result table",
    ),
    PLANS: ("plans_sum_to_the_order", _plans, "Slices sum to the order, cost parts add up, nothing looks ahead"),
    SIMULATIONS: ("replays_conserve", _simulations, "Fills, filled and ordered agree; parameters known before the day"),
}


def build_stage_checks(stage: Stage, instruments: Sequence[Instrument], suffix: str) -> dg.AssetChecksDefinition:
    """Return the check of every instrument of a stage, as one step."""
    name, question, description = _QUESTIONS[stage]
    by_key = {asset_key(instrument.name, stage.name): instrument for instrument in instruments}
    specs = [dg.AssetCheckSpec(name, asset=key, description=description) for key in by_key]

    @dg.multi_asset_check(name=f"{stage.name}_checks{suffix}", specs=specs, can_subset=True)
    def stage_checks(
        context: dg.AssetCheckExecutionContext, store: MarketStoreResource, settings: SettingsResource
    ) -> Iterator[dg.AssetCheckResult]:
        analytics = settings.load().analytics
        days = checked_days(context.run, today=datetime.now(UTC).date())
        known = known_markets(context.op_execution_context, store.reader)
        asked = {check.asset_key for check in context.selected_asset_check_keys}
        for key, instrument in by_key.items():
            if key not in asked:
                continue
            looked_at = partial(Subject, store.opened, analytics, context.instance, key, instrument, days)
            with retried(context.op_execution_context):
                found = examine(known, instrument, looked_at, question)
            yield check_result(key, name, found)

    return stage_checks


def build_table_checks() -> dg.AssetChecksDefinition:
    """Return the checks of the raw tables, as one step."""
    specs = [
        dg.AssetCheckSpec("table_is_live", asset=table, description="Holds rows; its write-ahead log is applied")
        for table in TABLES
    ]

    @dg.multi_asset_check(name="table_checks", specs=specs, can_subset=True)
    def table_checks(
        context: dg.AssetCheckExecutionContext, store: MarketStoreResource
    ) -> Iterator[dg.AssetCheckResult]:
        asked = {check.asset_key for check in context.selected_asset_check_keys}
        with retried(context.op_execution_context):
            states = store.reader.table_states()
        for state in states:
            if dg.AssetKey(state.table) in asked:
                yield check_result(dg.AssetKey(state.table), "table_is_live", conditions.check_table(state))

    return table_checks


def checked_days(run: dg.DagsterRun, *, today: date) -> list[date]:
    """Return the days of the run, or the last 30 complete ones when it has none (a check started by hand)."""
    tags = run.tags
    first = tags.get("dagster/partition") or tags.get("dagster/asset_partition_range_start")
    last = tags.get("dagster/partition") or tags.get("dagster/asset_partition_range_end")
    if first and last:
        return days_of(first, last)
    return [today - n * _ONE_DAY for n in range(_DAYS_BY_HAND, 0, -1)]


def examine(
    known: Sequence[Market], instrument: Instrument, looked_at: Callable[[Market], Subject], question: Question
) -> Violations:
    """Return what is wrong with an instrument's rows, over all its markets."""
    try:
        return joined([question(looked_at(market)) for market in markets_of(known, instrument)])
    except DataError as error:
        return Violations(warnings=[f"refused: {error}"])


def joined(parts: Sequence[Violations]) -> Violations:
    """Return the violations of several parts as one."""
    return Violations([e for part in parts for e in part.errors], [w for part in parts for w in part.warnings])


def shown_parameters(
    instance: dg.DagsterInstance, key: dg.AssetKey, days: Sequence[date]
) -> dict[str, dict[str, float | str]]:
    """Return status and parameters by day as Dagster's newest materialisations show them."""
    shown: dict[str, dict[str, float | str]] = {}
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[day.isoformat() for day in days])
    page = instance.fetch_materializations(wanted, limit=_PAGE)
    while True:
        for record in page.records:
            event = record.asset_materialization
            if event is not None and event.partition is not None and event.partition not in shown:
                shown[event.partition] = {
                    name: _plain(event.metadata[name]) for name in _COMPARED if name in event.metadata
                }
        if not page.has_more or len(shown) == len(days):
            return shown
        page = instance.fetch_materializations(wanted, limit=_PAGE, cursor=page.cursor)


def _plain(value: dg.MetadataValue) -> float | str:
    return value.value if isinstance(value.value, float | str) else str(value.value)


def check_result(key: dg.AssetKey, name: str, found: Violations) -> dg.AssetCheckResult:
    """Return the result of one check; every violation is listed."""
    every = [*found.errors, *found.warnings]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=found.are_none,
        severity=dg.AssetCheckSeverity.ERROR if found.errors else dg.AssetCheckSeverity.WARN,
        description="; ".join(every[:_SHOWN_VIOLATIONS]) or None,
        metadata=to_metadata(
            {
                "n_errors": len(found.errors),
                "n_warnings": len(found.warnings),
                "violations": pd.DataFrame({"violation": every}) if every else None,
            }
        ),
    )
