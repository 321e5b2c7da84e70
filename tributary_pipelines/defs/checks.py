"""The asset checks: one for each instrument and stage, and one for each raw table.

Each reads the stored rows of the run's days (the last 30 days when it is started by hand) and lists every violated
condition of conditions/. An error condition fails as ERROR, anything else as WARN.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import dagster as dg
import pandas as pd

from tributary_pipelines.core import result_frames
from tributary_pipelines.core.errors import DataError
from tributary_pipelines.core.frames import Frame
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import Instrument
from tributary_pipelines.core.units import PARAMETER_UNITS, SECONDS_PER_DAY, day_start, parse_duration
from tributary_pipelines.defs import conditions
from tributary_pipelines.defs.conditions import Violations
from tributary_pipelines.defs.conditions.drift import TRAILING_DAYS
from tributary_pipelines.defs.metadata import to_metadata
from tributary_pipelines.defs.resources import MarketStoreResource
from tributary_pipelines.defs.stages import (
    IMPACT_STATISTICS,
    PARAMETERS,
    PLANS,
    SIMULATIONS,
    TABLES,
    VWAP_BARS,
    Stage,
)
from tributary_pipelines.defs.steps import StageEvent, StageRun, markets_of, retried, subject_of_instrument

#: How far back each day's check looks for trades that came late.
_LATE_DAYS = 7
_PAGE = 500
#: Days of instruments whose rows are read together: they are small beside raw data.
_ROWS_TOGETHER = 64
_SHOWN_VIOLATIONS = 5
_COMPARED = ("status", *PARAMETER_UNITS)


@dataclass(frozen=True, slots=True)
class Subject:
    """What one check looks at: a token of an instrument over some days."""

    run: StageRun
    key: dg.AssetKey
    instrument: Instrument
    market: Market

    def rows(self, frame: Frame, days_before: int = 0) -> pd.DataFrame:
        """Return the stored rows of these days, and of some days before them."""
        start, end = self.window
        start -= timedelta(days=days_before)
        return self.run.store.results.read(frame, start, end, self.market.market_id, self.market.token_id)

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Start and end of these days."""
        return day_start(self.run.days[0]), day_start(self.run.days[-1]) + timedelta(days=1)


Question = Callable[[Subject], Violations]


def _bars(of: Subject) -> Violations:
    start, end = of.window
    since = start - timedelta(days=_LATE_DAYS)
    tape = of.run.store.reader.bars(of.market.market_id, of.market.token_id, since, end, "1d")
    stored = of.rows(result_frames.VWAP_BARS, days_before=_LATE_DAYS)
    width_s = parse_duration(of.run.settings.bar_width)
    return conditions.check_bars(stored, tape, start=start, width_s=width_s)


def _statistics(of: Subject) -> Violations:
    coverage = of.run.settings.calibration.min_coverage
    rows = of.rows(result_frames.IMPACT_STATISTICS)
    return conditions.check_statistics(rows, min_coverage=coverage, day_length_s=SECONDS_PER_DAY)


def _parameters(of: Subject) -> Violations:
    trailing = of.rows(result_frames.ALMGREN_CHRISS_PARAMETERS, days_before=TRAILING_DAYS)
    rows = trailing[trailing["timestamp"] >= of.window[0]]
    found = conditions.check_parameters(rows, trailing)
    shown = shown_parameters(of.run.context.instance, of.key, of.run.days)
    return joined([found, conditions.check_history(rows, shown)])


def _plans(of: Subject) -> Violations:
    return conditions.check_plans(of.rows(result_frames.EXECUTION_PLANS))


def _simulations(of: Subject) -> Violations:
    return conditions.check_simulations(of.rows(result_frames.EXECUTION_SIMULATIONS))


_QUESTIONS: dict[str, Question] = {
    VWAP_BARS.check: _bars,
    IMPACT_STATISTICS.check: _statistics,
    PARAMETERS.check: _parameters,
    PLANS.check: _plans,
    SIMULATIONS.check: _simulations,
}
#: Asked of a series as one, not of each of its markets.
_OF_SUBJECT = (_statistics, _parameters)


def conclude(run: StageRun, stage: Stage) -> Iterator[StageEvent]:
    """Yield a stage's refused assets and the results of its checks, then fail it when an instrument failed.

    Raises
    ------
    dagster.Failure
        At least one instrument failed.
    """
    yield from run.refusals()
    asked = {check.asset_key for check in run.context.selected_asset_check_keys}
    question = _QUESTIONS[stage.check]
    chosen = ((key, instrument) for key, instrument in run.instruments.items() if key in asked)
    for group in run.groups(chosen, most=_ROWS_TOGETHER):
        tokens = [(one.market_id, one.token_id) for _, of in group for one in _examined(run, of, question)]
        with run.together(tokens) as near:
            found = [(key, examine(near, key, instrument, question)) for key, instrument in group]
        for key, own in found:
            yield check_result(key, stage.check, own)
    run.raise_failures()


def examine(run: StageRun, key: dg.AssetKey, instrument: Instrument, question: Question) -> Violations:
    """Return what is wrong with an instrument's rows, over all its markets; a series is calibrated as one."""
    try:
        chosen = _markets(run, instrument, question)
        return joined([question(Subject(run, key, instrument, one)) for one in chosen])
    except DataError as error:
        return Violations(warnings=[f"refused: {error}"])


def _markets(run: StageRun, instrument: Instrument, question: Question) -> list[Market]:
    if question in _OF_SUBJECT:
        return [subject_of_instrument(run.known, instrument).market]
    return markets_of(run.known, instrument)


def _examined(run: StageRun, instrument: Instrument, question: Question) -> list[Market]:
    try:
        return _markets(run, instrument, question)
    except DataError:
        return []


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
