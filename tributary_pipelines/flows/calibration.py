"""The Almgren-Chriss parameters of a market or a series, from stored daily statistics, and their history.

Parameters combine stored days (flows/statistics.py) and never read raw data. A gamma that a market's own trades do not
identify is borrowed from its venue's pool (flows/pooling.py) after the market's own calibration.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
from tributary_pipelines.analytics.calibration.series import SERIES_TOKEN
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters, CalibrationGates, calibrate
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS
from tributary_pipelines.core.settings import AnalyticsSettings
from tributary_pipelines.core.units import day_start
from tributary_pipelines.flows.pooling import VenuePools
from tributary_pipelines.flows.statistics import complete_statistics, ensure_statistics, leaves_complement_apart
from tributary_pipelines.flows.subjects import Subject
from tributary_pipelines.storage.base import MarketStore, ResultDay

_ONE_DAY = timedelta(days=1)


def calibrate_market(
    store: MarketStore,
    settings: AnalyticsSettings,
    subject: Subject,
    *,
    as_of: date,
    lookback_days: int | None = None,
    progress: Callable[[date], None] | None = None,
) -> AlmgrenChrissParameters:
    """Calibrate a subject from the window that ends at ``as_of`` 00:00 UTC, and store the result.

    Days whose statistics are stored and still true are not read again.
    """
    lookback = lookback_days or settings.calibration.default_lookback_days
    days = ensure_statistics(store, settings, subject, as_of - timedelta(days=lookback), as_of, progress=progress)
    parameters = _calibrate(settings, subject, days, as_of, lookback)
    parameters = VenuePools(store, store.reader.markets(), [parameters]).lend(subject.market, [parameters])[0]
    store_parameters(store, [parameters])
    return parameters


def calibrate_windows(
    store: MarketStore, settings: AnalyticsSettings, subject: Subject, *, days: Sequence[date]
) -> list[AlmgrenChrissParameters]:
    """Calibrate a subject by itself for windows that end with each of these days, reading their statistics once.

    Every day of the windows that holds data counts; statistics that are missing, or were made by other code, are made.
    Nothing is borrowed and nothing stored.

    Parameters
    ----------
    days
        Last days of the windows, ascending; at least one.
    """
    lookback = settings.calibration.default_lookback_days
    end = days[-1] + _ONE_DAY
    known = complete_statistics(store, settings, subject, days[0] + _ONE_DAY - timedelta(days=lookback), end)
    found = []
    for day in days:
        as_of = day + _ONE_DAY
        own = [one for one in known if as_of - timedelta(days=lookback) <= one.day < as_of]
        found.append(_calibrate(settings, subject, own, as_of, lookback))
    return found


def _calibrate(
    settings: AnalyticsSettings, subject: Subject, days: Sequence[ImpactStatistics], as_of: date, lookback: int
) -> AlmgrenChrissParameters:
    chosen = settings.calibration
    found = calibrate(
        days,
        market=subject.market,
        window_start=day_start(as_of - timedelta(days=lookback)),
        window_end=day_start(as_of),
        gates=CalibrationGates(chosen.min_trades_required, chosen.min_days, chosen.min_coverage),
        eta_interval_s=chosen.eta_interval,
        half_life_days=chosen.weight_half_life_days,
    )
    if any(leaves_complement_apart(member) for member in subject.members):
        # What flow of one token alone explains is a part of what the market's flow does.
        return replace(found, flags=(*found.flags, "complement_apart"))
    return found


def store_parameters(store: MarketStore, found: Sequence[AlmgrenChrissParameters]) -> None:
    """Replace the stored parameters of these windows' last days."""
    if not found:
        return
    days = [ResultDay(p.market_id, p.token_id, p.last_day) for p in found]
    store.results.replace_days(ALMGREN_CHRISS_PARAMETERS, days, pd.DataFrame([p.to_row() for p in found]))


def parameters_as_of(store: MarketStore, market: Market, moment: datetime) -> AlmgrenChrissParameters | None:
    """Return the newest stored parameters usable at a moment (usable_from <= moment), None when there are none.

    A market of a series whose own gamma is not of its own trades stands on its series', unless that is refused.
    """
    return _own_or_series(market, lambda market_id, token_id: _newest(store, market_id, token_id, moment))


def parameters_of_day(store: MarketStore, market: Market, day: date) -> AlmgrenChrissParameters | None:
    """Return the stored parameters whose window ends with this day; the series' unless its own are ok."""
    return _own_or_series(market, lambda market_id, token_id: _of_day(store, market_id, token_id, day))


def _own_or_series(
    market: Market, read: Callable[[str, str], AlmgrenChrissParameters | None]
) -> AlmgrenChrissParameters | None:
    own = read(market.market_id, market.token_id)
    if market.series_id is None or market.token_id == SERIES_TOKEN or (own is not None and own.status == "ok"):
        return own
    common = read(market.series_id, SERIES_TOKEN)
    if own is None or common is None:
        return own or common
    # Trades of the series say more of this market than other markets of its venue do, but a refusal says nothing.
    return own if common.status == "refused" and own.status == "pooled" else common


def _newest(store: MarketStore, market_id: str, token_id: str, moment: datetime) -> AlmgrenChrissParameters | None:
    as_of = moment.astimezone(UTC).date()
    # Parameters are stored for the last day of their window and usable from its end.
    last = store.results.nearest_days(ALMGREN_CHRISS_PARAMETERS, market_id, token_id, as_of).before
    return None if last is None else _of_day(store, market_id, token_id, last)


def _of_day(store: MarketStore, market_id: str, token_id: str, day: date) -> AlmgrenChrissParameters | None:
    found = read_parameters(store, market_id, token_id, day_start(day), day_start(day) + _ONE_DAY)
    return found[-1] if found else None


def parameter_history(store: MarketStore, market: Market, *, days: int) -> list[AlmgrenChrissParameters]:
    """Return the newest stored parameters and those within the ``days`` up to them, oldest first."""
    token = (market.market_id, market.token_id)
    last = store.results.nearest_days(ALMGREN_CHRISS_PARAMETERS, *token, date.max).before
    if last is None:
        return []
    end = day_start(last) + _ONE_DAY
    return read_parameters(store, *token, end - timedelta(days=days), end)


def read_parameters(
    store: MarketStore, market_id: str, token_id: str, start: datetime, end: datetime
) -> list[AlmgrenChrissParameters]:
    """Return the stored parameters whose windows end with the days of [start, end), oldest first."""
    rows = store.results.read(ALMGREN_CHRISS_PARAMETERS, start, end, market_id, token_id)
    return [AlmgrenChrissParameters.from_row(row) for row in rows.to_dict("records")]
