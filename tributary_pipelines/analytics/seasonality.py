"""The hour-of-week profiles of variance and volume, from sums that add up over days.

A profile w(h) has mean 1 over the hours it knows; hour 0 is Monday 00:00 UTC. It scales the day's figures to an hour:
sigma^2(h) = w_variance(h) sigma^2 and eta(h) = eta / w_volume(h) (Almgren & Chriss, 2000, with parameters that vary
in time). The moves are over 5 minutes, where tick and transient impact add to the variance: only the shape is used,
never the level. Give past days only: a profile that has seen the day it plans for looks ahead.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np

from tributary_pipelines.analytics.two_scale import GRID_S
from tributary_pipelines.analytics.volatility_measures import MID_STEP_S, positions_at
from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D, Trades
from tributary_pipelines.core.units import SECONDS_PER_DAY

HOURS_PER_DAY = 24
HOURS_PER_WEEK = 7 * HOURS_PER_DAY


def hourly_sums(grid: Float64Array1D, trades: Trades, start: int) -> dict[str, Float64Array1D]:
    """Return the squared 5-min moves of the mid, their number and the traded shares of each UTC hour.

    A move counts in the hour where it starts; the one across midnight is left out, so that the last hour has at most
    11 and days add up without knowing their neighbours.

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
    dict of (24,) float64
        ``hour_move_sq`` P^2, ``hour_n_moves``, ``hour_volume`` shares. Zero moves mean that none is known.
    """
    moves = np.append(np.diff(grid[:: MID_STEP_S // GRID_S]), np.nan)
    is_known = np.isfinite(moves)
    bounds = positions_at(trades.times, start, SECONDS_PER_DAY // HOURS_PER_DAY)
    traded = np.flatnonzero(np.diff(bounds))
    volume = np.zeros(HOURS_PER_DAY)
    volume[traded] = np.add.reduceat(trades.sizes[: bounds[-1]], bounds[traded])
    return {
        "hour_move_sq": np.square(np.where(is_known, moves, 0.0)).reshape(HOURS_PER_DAY, -1).sum(axis=1),
        "hour_n_moves": is_known.reshape(HOURS_PER_DAY, -1).sum(axis=1).astype(np.float64),
        "hour_volume": volume,
    }


def variance_profile(
    days: Sequence[date], move_sq: Float64Array2D, n_moves: Float64Array2D, weights: Float64Array1D | None = None
) -> Float64Array1D:
    """Return w(h) of the variance: mean squared 5-min move of each hour of the week over the mean of these.

    Parameters
    ----------
    days : sequence of date
        (n_days,) UTC days of the rows, in any order.
    move_sq, n_moves : (n_days, 24) float64
        ``hour_move_sq`` and ``hour_n_moves`` of each day.
    weights : (n_days,) float64, optional
        How much each day counts, not negative; equally without.

    Returns
    -------
    (168,) float64
        Mean 1 over the known hours; NaN for an hour without a move, and for all when the price never moved.
    """
    return _normalise(*(_by_hour_of_week(days, values, weights) for values in (move_sq, n_moves)))


def volume_profile(
    days: Sequence[date],
    volume: Float64Array2D,
    n_moves: Float64Array2D,
    weights: Float64Array1D | None = None,
) -> Float64Array1D:
    """Return w(h) of the volume: mean shares of each hour of the week, over its observed hours, over the mean of these.

    An hour of a day is observed when it knows a move or traded. A quiet hour with quotes thus counts with zero shares;
    one that knows neither may be an outage of the collection, and says nothing.

    Parameters
    ----------
    days : sequence of date
        (n_days,) UTC days of the rows, in any order.
    volume, n_moves : (n_days, 24) float64
        ``hour_volume`` and ``hour_n_moves`` of each day.
    weights : (n_days,) float64, optional
        How much each day counts, not negative; equally without.

    Returns
    -------
    (168,) float64
        Mean 1 over the known hours; NaN for an hour never observed, and for all when nothing traded.
    """
    is_observed = ((n_moves > 0) | (volume > 0)).astype(np.float64)
    return _normalise(*(_by_hour_of_week(days, values, weights) for values in (volume, is_observed)))


def _by_hour_of_week(days: Sequence[date], values: Float64Array2D, weights: Float64Array1D | None) -> Float64Array1D:
    sums = np.zeros((7, HOURS_PER_DAY))
    weighted = values if weights is None else values * weights[:, None]
    # add.at, since a weekday occurs more than once.
    np.add.at(sums, np.array([day.weekday() for day in days], np.int64), weighted)
    return sums.ravel()


def _normalise(sums: Float64Array1D, counts: Float64Array1D) -> Float64Array1D:
    is_known = counts > 0
    profile = np.full(HOURS_PER_WEEK, np.nan)
    means = sums[is_known] / counts[is_known]
    if means.sum() > 0:
        profile[is_known] = means / means.mean()
    return profile
