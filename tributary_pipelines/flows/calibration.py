"""Daily impact statistics and the Almgren-Chriss parameters that are combined from them.

The raw tables are read one day at a time and only for days whose data, settings or code changed since their statistics
were stored; parameters combine stored days and never read raw data.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import pandas as pd

from tributary_pipelines.analytics.calibration import impact_statistics
from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics, compute_impact_statistics
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters, CalibrationGates, calibrate
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, IMPACT_STATISTICS
from tributary_pipelines.core.settings import AnalyticsSettings
from tributary_pipelines.core.units import day_start
from tributary_pipelines.storage.base import DayFingerprint, MarketStore, ResultDay

_ONE_DAY = timedelta(days=1)
_RECENT = timedelta(days=45)
_FIRST_DAY = datetime(1970, 1, 1, tzinfo=UTC)


def fingerprint_of(*inputs: object) -> str:
    """Return the sha256 of inputs through their JSON form."""
    return sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


def ensure_statistics(
    store: MarketStore,
    settings: AnalyticsSettings,
    market: Market,
    start: date,
    end: date,
    *,
    progress: Callable[[date], None] | None = None,
) -> list[ImpactStatistics]:
    """Return the statistics of every day of [start, end) that holds data, computing and storing only what changed.

    Parameters
    ----------
    progress
        Called with each day that had to be read.
    """
    first, last = day_start(start), day_start(end)
    stored = {day.data_fingerprint: day for day in stored_statistics(store, market, start, end)}
    days, fresh = [], []
    for held in store.reader.fingerprints(market.market_id, market.token_id, first, last):
        known = stored.get(_inputs_fingerprint(settings, market, held))
        if known is not None:
            days.append(known)
            continue
        if progress is not None:
            progress(held.day)
        fresh.append(_compute(store, settings, market, held))
        days.append(fresh[-1])
    store_statistics(store, fresh)
    return days


def stored_statistics(store: MarketStore, market: Market, start: date, end: date) -> list[ImpactStatistics]:
    """Return the stored statistics of [start, end) that the present code made, oldest first."""
    rows = store.results.read(IMPACT_STATISTICS, day_start(start), day_start(end), market.market_id, market.token_id)
    # Rows of other code may have arrays of other shapes; they count as missing and are computed anew.
    own = rows[rows["code_version"] == impact_statistics.CODE_VERSION]
    return [ImpactStatistics.from_row(row) for row in own.to_dict("records")]


def store_statistics(store: MarketStore, days: Sequence[ImpactStatistics]) -> None:
    """Replace the stored statistics of these days."""
    if not days:
        return
    rows = pd.DataFrame([day.to_row() for day in days])
    store.results.replace_days(IMPACT_STATISTICS, [ResultDay(d.market_id, d.token_id, d.day) for d in days], rows)


def _compute(store: MarketStore, settings: AnalyticsSettings, market: Market, held: DayFingerprint) -> ImpactStatistics:
    start = day_start(held.day)
    token = (market.market_id, market.token_id)
    return compute_impact_statistics(
        store.reader.trades(*token, start, start + _ONE_DAY),
        store.reader.order_books(*token, start, start + _ONE_DAY),
        market_id=market.market_id,
        token_id=market.token_id,
        day=held.day,
        tick_size=market.tick_size,
        stamp_guard_s=settings.calibration.stamp_guard,
        staleness_limit_s=settings.simulation.staleness_limit,
        price_min=market.price_min,
        price_max=market.price_max,
        data_fingerprint=_inputs_fingerprint(settings, market, held),
    )


def _inputs_fingerprint(settings: AnalyticsSettings, market: Market, held: DayFingerprint) -> str:
    grids = (settings.calibration.stamp_guard, settings.simulation.staleness_limit)
    return fingerprint_of(held.day, held.digest, market.tick_size, market.price_min, market.price_max, *grids)


def calibrate_market(
    store: MarketStore,
    settings: AnalyticsSettings,
    market: Market,
    *,
    as_of: date,
    lookback_days: int | None = None,
    progress: Callable[[date], None] | None = None,
) -> AlmgrenChrissParameters:
    """Calibrate one token from the window that ends at ``as_of`` 00:00 UTC, and store the result.

    Days whose statistics are stored and still true are not read again.
    """
    lookback = lookback_days or settings.calibration.default_lookback_days
    days = ensure_statistics(store, settings, market, as_of - timedelta(days=lookback), as_of, progress=progress)
    parameters = _calibrate(settings, market, days, as_of, lookback)
    store_parameters(store, [parameters])
    return parameters


def calibrate_windows(
    store: MarketStore, settings: AnalyticsSettings, market: Market, *, days: Sequence[date]
) -> dict[date, AlmgrenChrissParameters]:
    """Calibrate one token for windows that end with each of these days, reading their statistics once.

    Every day of the windows that holds data counts, as in ``calibrate_market``: statistics that are missing, or were
    made from other data, settings or code, are made anew.

    Parameters
    ----------
    days
        Last days of the windows, ascending; at least one.
    """
    lookback = settings.calibration.default_lookback_days
    end = days[-1] + _ONE_DAY
    known = ensure_statistics(store, settings, market, days[0] + _ONE_DAY - timedelta(days=lookback), end)
    found = {}
    for day in days:
        as_of = day + _ONE_DAY
        own = [one for one in known if as_of - timedelta(days=lookback) <= one.day < as_of]
        found[day] = _calibrate(settings, market, own, as_of, lookback)
    return found


def _calibrate(
    settings: AnalyticsSettings, market: Market, days: Sequence[ImpactStatistics], as_of: date, lookback: int
) -> AlmgrenChrissParameters:
    chosen = settings.calibration
    return calibrate(
        days,
        market=market,
        window_start=day_start(as_of - timedelta(days=lookback)),
        window_end=day_start(as_of),
        gates=CalibrationGates(chosen.min_trades_required, chosen.min_days, chosen.min_coverage),
        eta_interval_s=chosen.eta_interval,
    )


def store_parameters(store: MarketStore, found: Sequence[AlmgrenChrissParameters]) -> None:
    """Replace the stored parameters of these windows' last days."""
    days = [ResultDay(p.market_id, p.token_id, (p.window_end - _ONE_DAY).date()) for p in found]
    store.results.replace_days(ALMGREN_CHRISS_PARAMETERS, days, pd.DataFrame([p.to_row() for p in found]))


def parameters_as_of(store: MarketStore, market: Market, moment: datetime) -> AlmgrenChrissParameters | None:
    """Return the newest stored parameters usable at a moment (usable_from <= moment), None when there are none."""
    before = day_start(moment.astimezone(UTC).date())
    # Nearly always the newest is days old: years of history are read only where they are all there is.
    for earliest in (before - _RECENT, _FIRST_DAY):
        found = _read_parameters(store, market, earliest, before)
        if found:
            return found[-1]
    return None


def parameters_of_day(store: MarketStore, market: Market, day: date) -> AlmgrenChrissParameters | None:
    """Return the stored parameters whose window ends with this day, None when there are none."""
    found = _read_parameters(store, market, day_start(day), day_start(day) + _ONE_DAY)
    return found[-1] if found else None


def parameter_history(store: MarketStore, market: Market, *, end: date, days: int) -> list[AlmgrenChrissParameters]:
    """Return the stored parameters whose windows end within the ``days`` before ``end``, oldest first."""
    return _read_parameters(store, market, day_start(end - timedelta(days=days)), day_start(end))


def _read_parameters(
    store: MarketStore, market: Market, start: datetime, end: datetime
) -> list[AlmgrenChrissParameters]:
    rows = store.results.read(ALMGREN_CHRISS_PARAMETERS, start, end, market.market_id, market.token_id)
    return [AlmgrenChrissParameters.from_row(row) for row in rows.to_dict("records")]
