"""The volatility diagnostics of one UTC day, each scaled to a full day, and their mean over days.

Three inputs: mids every 5 minutes, the last trade price of every 10 s that traded, and hourly bars of trades. Each
must cover a quarter of the day, else its measures are NaN: one short stretch scaled to a day looks like a number and
is none (our choice). The default sigma is not among them: it is the two-scale slope of two_scale.py.
"""

import numpy as np

from tributary_pipelines.analytics import noise_robust_volatility as robust
from tributary_pipelines.analytics import range_volatility as ranges
from tributary_pipelines.analytics import volatility
from tributary_pipelines.analytics.two_scale import GRID_S
from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D, Int64Array1D, Trades
from tributary_pipelines.core.units import SECONDS_PER_DAY, US_PER_DAY, US_PER_S

MID_STEP_S = 300
MID_MEASURES = ("realized_variance", "bipower_variation", "med_rv", "min_rv")
TRADE_MEASURES = ("zhou_variance", "tsrv", "realized_kernel", "pre_averaged_variance", "roll_half_spread")
BAR_MEASURES = ("parkinson_variance", "garman_klass_variance", "rogers_satchell_variance", "yang_zhang_variance")

#: Names of the measures of a day, in order: P^2/day, and P for roll_half_spread.
MEASURES: tuple[str, ...] = MID_MEASURES + TRADE_MEASURES + BAR_MEASURES

MIN_DAY_SHARE = 0.25
#: Bounds the time a day takes; only a bounce above half a day's sigma asks for more, on 8,640 prices.
MAX_KERNEL_LAG = 500

_HOUR_S = 3_600
_HOURS = SECONDS_PER_DAY // _HOUR_S


def day_measures(grid: Float64Array1D, trades: Trades, start: int) -> Float64Array1D:
    """Return the variance of the mid of one UTC day by each measure, and Roll's half-spread.

    Of 5-min mids, a gap is left out and the rest speaks for the day: times 288 over the number of known moves. Of
    trades, times a day over the time from the first to the last price used. Of ranges, the mean of the hours that
    traded times 24, and times the mean squared close of these hours, since ranges are relative.

    Parameters
    ----------
    grid : (8640,) float64
        Mids at 00:00:00, 00:00:10, ... of the day, P, NaN where missing.
    trades : Trades
        Of the day alone.
    start : int
        00:00 of the day, us.

    Returns
    -------
    (13,) float64
        In the order of MEASURES, P^2/day, half-spread in P; NaN where the day cannot give it. Zhou, TSRV, kernel and
        pre-averaging may be negative: noise hides the variance. Keep the sign, so that the mean over days is unbiased.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.concatenate([_of_mids(grid), _of_trades(trades, start), _of_bars(trades, start)])
    return np.where(np.isfinite(values), values, np.nan)


def combine_measures(days: Float64Array2D) -> Float64Array1D:
    """Return the mean over days of each measure, NaN where no day gave it.

    Parameters
    ----------
    days : (n_days, n_measures) float64
        Rows of day_measures.

    Examples
    --------
    >>> combine_measures(np.array([[1.0, np.nan], [3.0, np.nan]])).tolist()
    [2.0, nan]
    """
    is_known = ~np.isnan(days)
    n_known = is_known.sum(axis=0)
    sums = np.where(is_known, days, 0.0).sum(axis=0)
    return np.where(n_known > 0, sums / np.maximum(n_known, 1), np.nan)


def jump_share(days: Float64Array2D) -> float:
    """Return max(0, 1 - BV/RV) of the sums over the days that know both; NaN without any or without a move.

    Parameters
    ----------
    days : (n_days, 13) float64
        Rows of day_measures.
    """
    pair = days[:, [MEASURES.index("realized_variance"), MEASURES.index("bipower_variation")]]
    realized, bipower = pair[~np.isnan(pair).any(axis=1)].sum(axis=0)
    return volatility.jump_share(float(realized), float(bipower))


def positions_at(times: Int64Array1D, start: int, step_s: int) -> Int64Array1D:
    """Return how many times lie before each whole step of the day, midnight to midnight, (steps + 1,).

    Parameters
    ----------
    times : (n,) int64
        Ascending, us.
    start : int
        00:00 of the day, us.
    step_s : int
        Width of a step, s; divides the day.

    Examples
    --------
    >>> positions_at(np.array([5, 6, 50_000_000_000]), 0, 43_200).tolist()
    [0, 2, 3]
    """
    # Searched rather than divided by: the cost hardly grows with a million trades a second.
    edges = start + np.arange(SECONDS_PER_DAY // step_s + 1) * (step_s * US_PER_S)
    return np.searchsorted(times, edges).astype(np.int64)


def _unknown(names: tuple[str, ...]) -> Float64Array1D:
    return np.full(len(names), np.nan)


def _of_mids(grid: Float64Array1D) -> Float64Array1D:
    mids = grid[:: MID_STEP_S // GRID_S]
    known_share = np.count_nonzero(np.isfinite(np.diff(mids))) * MID_STEP_S / SECONDS_PER_DAY
    if known_share < MIN_DAY_SHARE:
        return _unknown(MID_MEASURES)
    estimators = (volatility.realized_variance, volatility.bipower_variation, volatility.med_rv, volatility.min_rv)
    return np.array([estimate(mids) for estimate in estimators]) / known_share


def _of_trades(trades: Trades, start: int) -> Float64Array1D:
    bounds = positions_at(trades.times, start, GRID_S)
    last = bounds[1:][np.diff(bounds) > 0] - 1
    times, prices = trades.times[last], trades.prices[last]
    covered = (times[-1] - times[0]) / US_PER_DAY if len(last) else 0.0
    if covered < MIN_DAY_SHARE:
        return _unknown(TRADE_MEASURES)
    noise = volatility.realized_variance(prices) / (2 * (len(prices) - 1))
    pre_averaged = robust.pre_averaged_variance(prices)
    # Squared, the one estimate that needs no lag stands in for the quarticity that the two lags need.
    quarticity = float(np.square(max(pre_averaged, 0.0)))
    K = robust.optimal_tsrv_lag(noise, quarticity, len(prices))
    H = min(robust.optimal_kernel_lag(noise, quarticity, len(prices)), MAX_KERNEL_LAG)
    variances = (robust.zhou_variance(prices), robust.tsrv(prices, K), robust.realized_kernel(prices, H), pre_averaged)
    return np.append(np.array(variances) / covered, robust.roll_half_spread(prices))


def _of_bars(trades: Trades, start: int) -> Float64Array1D:
    bounds = positions_at(trades.times, start, _HOUR_S)
    traded = np.flatnonzero(np.diff(bounds))
    if len(traded) < MIN_DAY_SHARE * _HOURS:
        return _unknown(BAR_MEASURES)
    prices = trades.prices[: bounds[-1]]
    bars = np.full((4, _HOURS), np.nan)
    bars[0, traded] = prices[bounds[traded]]
    bars[1, traded] = np.maximum.reduceat(prices, bounds[traded])
    bars[2, traded] = np.minimum.reduceat(prices, bounds[traded])
    bars[3, traded] = prices[bounds[traded + 1] - 1]
    estimates = [ranges.parkinson_variance(bars[1], bars[2])] + [
        estimate(*bars)
        for estimate in (ranges.garman_klass_variance, ranges.rogers_satchell_variance, ranges.yang_zhang_variance)
    ]
    return np.array(estimates) * _HOURS * float(np.mean(bars[3, traded] ** 2))
