"""The stages ``impact_statistics`` and ``almgren_chriss_parameters``: one new day is read, the window is combined."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import dagster as dg

from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters
from tributary_pipelines.analytics.optimization.pooling import may_borrow
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import Instrument, Settings
from tributary_pipelines.core.units import SECONDS_PER_DAY
from tributary_pipelines.defs.assets.parameter_metadata import describe_parameters
from tributary_pipelines.defs.checks import conclude
from tributary_pipelines.defs.metadata import over_markets
from tributary_pipelines.defs.resources import MarketStoreResource, SettingsResource
from tributary_pipelines.defs.stages import IMPACT_STATISTICS, PARAMETERS, instruments_by_key, stage_asset
from tributary_pipelines.defs.steps import Chosen, StageEvent, StageRun, begin, data_version, subject_of_instrument
from tributary_pipelines.flows.calibration import calibrate_windows, store_parameters
from tributary_pipelines.flows.pooling import VenuePools
from tributary_pipelines.flows.statistics import ensure_statistics

#: An instrument with windows that may borrow: what is calibrated of it, and all its windows.
_Thin = tuple[Chosen, Market, list[AlmgrenChrissParameters]]


def build_impact_statistics(instruments: Sequence[Instrument], settings: Settings, suffix: str) -> dg.AssetsDefinition:
    """Return the step that makes the daily statistics of the chosen instruments and days."""
    by_key = instruments_by_key(instruments, IMPACT_STATISTICS)

    @stage_asset(IMPACT_STATISTICS, instruments, settings, suffix)
    def impact_statistics(
        context: dg.AssetExecutionContext, store: MarketStoreResource, settings: SettingsResource
    ) -> Iterator[StageEvent]:
        run = begin(context, store, settings, by_key)
        end = run.days[-1] + timedelta(days=1)
        for key, instrument in run.selected():
            with run.of(key, instrument):
                subject = subject_of_instrument(run.known, instrument)
                found = ensure_statistics(run.store, run.settings, subject, run.days[0], end)
                by_day = {day: [one for one in found if one.day == day] for day in run.days}
                run.describe(key, {day: describe_statistics(own) for day, own in by_day.items()})
                yield dg.MaterializeResult(key, data_version=data_version(one.data_fingerprint for one in found))
        yield from conclude(run, IMPACT_STATISTICS)

    return impact_statistics


def build_parameters(instruments: Sequence[Instrument], settings: Settings, suffix: str) -> dg.AssetsDefinition:
    """Return the step that calibrates the chosen instruments, for windows that end with the chosen days."""
    by_key = instruments_by_key(instruments, PARAMETERS)

    @stage_asset(PARAMETERS, instruments, settings, suffix)
    def almgren_chriss_parameters(
        context: dg.AssetExecutionContext, store: MarketStoreResource, settings: SettingsResource
    ) -> Iterator[StageEvent]:
        run = begin(context, store, settings, by_key)
        thin: list[_Thin] = []
        for key, instrument in run.selected():
            with run.of(key, instrument):
                subject = subject_of_instrument(run.known, instrument)
                found = calibrate_windows(run.store, run.settings, subject, days=run.days)
                store_parameters(run.store, [one for one in found if not may_borrow(one)])
                if any(may_borrow(one) for one in found):
                    thin.append(((key, instrument), subject.market, found))
                    continue
                yield materialize_parameters(run, key, found)
        yield from lend(run, thin)
        yield from conclude(run, PARAMETERS)

    return almgren_chriss_parameters


def lend(run: StageRun, thin: Sequence[_Thin]) -> Iterator[StageEvent]:
    """Let the thin instruments borrow, and store what was held back of them.

    Only now is everyone's own calibration there to borrow from, whatever the order of the instruments.
    """
    pools = VenuePools(run.store, run.known, [one for *_, found in thin for one in found])
    for chosen, market, found in thin:
        with run.of(*chosen):
            lent = pools.lend(market, found)
            held = [after for before, after in zip(found, lent, strict=True) if may_borrow(before)]
            store_parameters(run.store, held)
            yield materialize_parameters(run, chosen[0], lent)


def materialize_parameters(
    run: StageRun, key: dg.AssetKey, found: Sequence[AlmgrenChrissParameters]
) -> dg.MaterializeResult[None]:
    """Return one instrument's materialisation, its metadata given day by day."""
    run.describe(key, describe_parameters(found, with_picture=run.is_small))
    return dg.MaterializeResult(key, data_version=data_version(one.data_fingerprint for one in found))


def describe_statistics(found: Sequence[ImpactStatistics]) -> dict[str, object]:
    """Return what the UI shows of one day's statistics."""
    return over_markets(
        [
            {
                "status": "ok",
                "market_id": one.market_id,
                "n_trades": one.n_trades,
                "n_unsigned": one.n_unsigned,
                "n_snapshots": one.n_snapshots,
                "n_usable": one.n_usable,
                "covered_fraction": one.covered_s / SECONDS_PER_DAY,
                "last_mid": one.last_mid,
                "code_version": one.code_version,
                "data_fingerprint": one.data_fingerprint,
            }
            for one in found
        ],
        absent="no market data on this day",
    )
