"""The stages ``impact_statistics`` and ``almgren_chriss_parameters``: one new day is read, the window is combined."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from math import log

import dagster as dg
import pandas as pd

from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters
from tributary_pipelines.core.settings import Instrument, Settings
from tributary_pipelines.core.units import SECONDS_PER_DAY
from tributary_pipelines.defs.checks import conclude
from tributary_pipelines.defs.metadata import over_markets
from tributary_pipelines.defs.resources import MarketStoreResource, SettingsResource
from tributary_pipelines.defs.stages import IMPACT_STATISTICS, PARAMETERS, instruments_by_key, stage_asset
from tributary_pipelines.defs.steps import StageEvent, begin, data_version, markets_of
from tributary_pipelines.flows.calibration import calibrate_windows, ensure_statistics, store_parameters
from tributary_pipelines.reports.plots import impact_curve


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
                found = [
                    statistics
                    for market in markets_of(run.known, instrument)
                    for statistics in ensure_statistics(run.store, run.settings, market, run.days[0], end)
                ]
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
        for key, instrument in run.selected():
            with run.of(key, instrument):
                of_markets = [
                    calibrate_windows(run.store, run.settings, market, days=run.days)
                    for market in markets_of(run.known, instrument)
                ]
                found = {day: [by_day[day] for by_day in of_markets] for day in run.days}
                everything = [one for own in found.values() for one in own]
                store_parameters(run.store, everything)
                run.describe(key, describe_parameters(found, with_picture=run.is_small))
                yield dg.MaterializeResult(key, data_version=data_version(one.data_fingerprint for one in everything))
        yield from conclude(run, PARAMETERS)

    return almgren_chriss_parameters


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


def describe_parameters(
    found: dict[date, list[AlmgrenChrissParameters]], *, with_picture: bool
) -> dict[date, dict[str, object]]:
    """Return what the UI shows of each day's parameters; the last day can also show its impact curve as an image."""
    described = {
        day: over_markets([parameter_values(one) for one in own], absent="no market") for day, own in found.items()
    }
    last = max(found)
    if with_picture and len(found[last]) == 1 and found[last][0].status != "refused":
        described[last]["impact_curve"] = impact_curve(found[last][0])
    return described


def parameter_values(found: AlmgrenChrissParameters) -> dict[str, object]:
    """Return a calibration's numbers by name; a refused one has reasons and counts, and no parameter."""
    window: dict[str, object] = {
        "status": found.status,
        "market_id": found.market_id,
        "token_id": found.token_id,
        "reasons": found.reasons or None,
        "flags": found.flags or None,
        "window_start": found.window_start,
        "window_end": found.window_end,
        "usable_from": found.usable_from,
        "n_days": found.n_days,
        "n_trades": found.n_trades,
        "n_snapshots": found.n_snapshots,
        "coverage": found.coverage,
        "code_version": found.code_version,
        "data_fingerprint": found.data_fingerprint,
    }
    if found.status == "refused":
        return window
    numbers: dict[str, object] = {
        "r2": found.r2,
        "gamma_t": found.gamma_t,
        "eta_interval_s": found.eta_interval_s,
        "last_mid": found.last_mid,
        "fee_per_share": found.fee_per_share,
        "half_life_s": half_life_s(found.value("resilience_rate")),
        "parameters": estimates_table(found),
    }
    for name, estimate in found.estimates.items():
        numbers |= {name: estimate.value, f"{name}_ci_low": estimate.ci_low, f"{name}_ci_high": estimate.ci_high}
    return {**window, **numbers}


def half_life_s(resilience_rate: float | None) -> float | None:
    """Return the half-life in seconds of a resilience rate per day."""
    return None if resilience_rate is None else log(2) / resilience_rate * SECONDS_PER_DAY


def estimates_table(found: AlmgrenChrissParameters) -> pd.DataFrame:
    """Return a calibration's estimates with unit, interval and source, one row each."""
    return pd.DataFrame(
        [(name, one.value, one.unit, one.ci_low, one.ci_high, one.source) for name, one in found.estimates.items()],
        columns=["parameter", "value", "unit", "ci_low", "ci_high", "source"],
    )
