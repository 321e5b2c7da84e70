"""Tempting estimators that are wrong, written out so that tests can show by how much. Not part of the package.

Each takes trades, or snapshot times and mids, of a whole window. What is wrong with each stands in its docstring.
"""

import numpy as np

from tributary_pipelines.core.frames import Trades
from tributary_pipelines.core.units import SECONDS_PER_DAY, US_PER_S

Values = np.ndarray


def last_at(times: Values, values: Values, n_days: int, every_s: int) -> Values:
    """Last value at or before 00:00, 00:00 + every_s, ... of the window; the first value before there is one."""
    start = times[0] - times[0] % (SECONDS_PER_DAY * US_PER_S)
    at = start + np.arange(0, n_days * SECONDS_PER_DAY + 1, every_s) * US_PER_S
    return values[np.maximum(np.searchsorted(times, at, side="right") - 1, 0)]


def signed_flow(trades: Trades, n_days: int, every_s: int) -> Values:
    """Bought minus sold shares of each bucket of the window."""
    start = trades.times[0] - trades.times[0] % (SECONDS_PER_DAY * US_PER_S)
    buckets = (trades.times - start) // (every_s * US_PER_S)
    return np.bincount(buckets, trades.signs * trades.sizes, minlength=n_days * SECONDS_PER_DAY // every_s)


def gamma_of_trade_prices(trades: Trades) -> float:
    """cov(price change from trade to trade, signed size) / var: takes the bounce between bid and ask for impact."""
    signed = (trades.signs * trades.sizes)[1:]
    return float(np.polyfit(signed, np.diff(trades.prices), 1)[0])


def gamma_of_buckets(trades: Trades, times: Values, mids: Values, n_days: int, bucket_s: int = 300) -> float:
    """Slope of mid moves on the flow of the same bucket: takes what will fade for permanent."""
    moves, flow = np.diff(last_at(times, mids, n_days, bucket_s)), signed_flow(trades, n_days, bucket_s)
    return float(flow @ moves / (flow @ flow))


def gamma_of_lags(trades: Trades, times: Values, mids: Values, n_days: int, n_lags: int = 11) -> float:
    """Sum of one-minute lag coefficients over a horizon fixed beforehand: right only if impact fades within it."""
    moves, flow = np.diff(last_at(times, mids, n_days, 60)), signed_flow(trades, n_days, 60)
    design = np.stack([flow[n_lags - 1 - lag : len(flow) - lag] for lag in range(n_lags)], axis=1)
    return float(np.linalg.lstsq(design, moves[n_lags - 1 :], rcond=None)[0].sum())


def gamma_of_propagator(trades: Trades, times: Values, mids: Values, n_days: int, half_life_s: float) -> float:
    """Permanent part of a propagator of known decay, fitted to 10 s moves: late stamps put flow after its move."""
    moves, flow = np.diff(last_at(times, mids, n_days, 10)), signed_flow(trades, n_days, 10)
    decay = 0.5 ** (10 / half_life_s)
    transient = np.zeros(len(flow) + 1)
    for k, pushed in enumerate(flow.tolist()):
        transient[k + 1] = transient[k] * decay + pushed * decay**0.5
    design = np.stack([flow, np.diff(transient)], axis=1)
    return float(np.linalg.lstsq(design, moves, rcond=None)[0][0])


def sigma_of_hourly_trades(trades: Trades) -> float:
    """Standard deviation of hourly last trade prices' changes, empty hours dropped, scaled by the root of 24.

    The bounce between bid and ask counts as volatility, and a change over several hours as one of an hour.
    """
    hours = trades.times // (3_600 * US_PER_S)
    is_last = np.append(hours[1:] != hours[:-1], True)
    return float(np.std(np.diff(trades.prices[is_last]), ddof=1) * np.sqrt(24))


def sigma_of_moves(times: Values, mids: Values, n_days: int, every_s: int = 300) -> float:
    """Root of the realized variance of mids a few minutes apart: takes what will fade, and the tick, for volatility."""
    return float(np.sqrt(np.sum(np.diff(last_at(times, mids, n_days, every_s)) ** 2) / n_days))


def sigma_of_two_scales(times: Values, mids: Values, n_days: int, short_s: int = 300, long_s: int = 3_600) -> float:
    """Two-scale slope at lags fixed beforehand: the noise of a coarse tick differs at the two, and stays."""
    grid = last_at(times, mids, n_days, 10)
    short, long = (float(np.mean((grid[lag // 10 :] - grid[: -lag // 10]) ** 2)) for lag in (short_s, long_s))
    return float(np.sqrt((long - short) / (long_s - short_s) * SECONDS_PER_DAY))
