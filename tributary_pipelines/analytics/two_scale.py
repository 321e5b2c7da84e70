"""Volatility of the mid: the two-scale slope, from sums of squared mid moves at a ladder of lags.

The target is the total long-run standard deviation in P/day^0.5, news and order flow together. Squared moves at two
lags J < K share the same noise (tick, transient impact), which cancels in the difference:

    sigma^2 = (<d_K^2> - <d_J^2>) / ((K - J) delta)

with <d_l^2> the mean over all overlapping moves of l grid steps and delta = 10 s in days (our recommended form of the
two-scale estimator of Zhang, Mykland & Ait-Sahalia, 2005; means in place of sums have no edge bias). For a price with
declared bounds a < b the state volatility of dp = sigma_x (p - a)(b - p)/(b - a) dW divides instead by the mean squared
scale at the start of the moves, K <w_K> - J <w_J>.
"""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D
from tributary_pipelines.core.units import SECONDS_PER_DAY

#: Spacing of the grid of mids, s.
GRID_S = 10

SHORTEST_SHORT_S = 300.0
SHORTEST_LONG_S = 3_600.0
LONG_TO_SHORT = 3

#: Lags at which squared moves are summed, s, from 5 min to 11.7 h: eight for each factor of three, so that three times
#: a lag up to 3.9 h is there as well (to the 10 s of the grid), and the shortest K itself. A coarser ladder would round
#: K up further, and the error of sigma grows with the root of K.
LAG_LADDER_S = tuple(sorted({round(30 * LONG_TO_SHORT ** (i / 8)) * 10 for i in range(37)} | {round(SHORTEST_LONG_S)}))
_ROUNDING = 0.99


@dataclass(frozen=True, slots=True)
class TwoScaleVolatility:
    """Volatility with the lags it was measured at.

    Parameters
    ----------
    sigma : float or None
        P/day^0.5, on average over the window; None when refused.
    state_sigma : float or None
        The same per unit of price scale (sigma_x); equals ``sigma`` when every scale is 1.
    lag_short_s, lag_long_s : float or None
        J and K, s.
    is_tick_bound : bool
        The tick, not the five minutes, decided J.
    reason : str or None
        Why it is refused.
    """

    sigma: float | None
    state_sigma: float | None
    lag_short_s: float | None
    lag_long_s: float | None
    is_tick_bound: bool
    reason: str | None


def price_scale(prices: Float64Array1D, price_min: float | None, price_max: float | None) -> Float64Array1D:
    """Return (p - a)(b - p)/(b - a) for declared bounds, else 1, (n,); NaN where the price is, or breaks the bounds.

    Examples
    --------
    >>> price_scale(np.array([0.25, 0.5]), 0.0, 1.0).tolist()
    [0.1875, 0.25]
    """
    if price_min is None or price_max is None:
        return np.where(np.isnan(prices), np.nan, 1.0)
    is_inside = (prices >= price_min) & (prices <= price_max)
    return np.where(is_inside, (prices - price_min) * (price_max - prices) / (price_max - price_min), np.nan)


def lag_pair(required_short_s: float) -> tuple[int, int] | None:
    """Return the positions in the ladder of J and K for the least J that is allowed; None when K exceeds 12 h.

    J is the first lag of the ladder at or above the requirement, K the first at or above max(1 h, 3 J).

    Examples
    --------
    >>> [LAG_LADDER_S[i] for i in lag_pair(300.0)]
    [300, 3600]
    """
    short = int(np.searchsorted(LAG_LADDER_S, required_short_s))
    if short == len(LAG_LADDER_S):
        return None
    long = int(np.searchsorted(LAG_LADDER_S, max(SHORTEST_LONG_S, _ROUNDING * LONG_TO_SHORT * LAG_LADDER_S[short])))
    return None if long == len(LAG_LADDER_S) else (short, long)


def two_scale_variance(
    move_sq: Float64Array1D, n_moves: Float64Array1D, scale_sq: Float64Array1D, pair: tuple[int, int]
) -> float:
    """Return the two-scale slope at two lags of the ladder, P^2/day over the unit of ``scale_sq``.

    Parameters
    ----------
    move_sq, n_moves, scale_sq : (n_lags,) float64
        Sums over the moves at each lag: squared moves, ones, squared price scales at their start.
    pair : tuple of int
        Positions of J and K in the ladder.

    Returns
    -------
    float
        May be negative; NaN when a lag has no moves.

    Examples
    --------
    >>> days = np.array(LAG_LADDER_S) / 86_400
    >>> ones = np.ones(len(days))
    >>> round(two_scale_variance(0.0009 * days + 0.1, ones, ones, (0, 7)), 12)
    0.0009
    """
    if not all(n_moves[lag] > 0 for lag in pair):
        return float("nan")
    short, long = (float(move_sq[lag] / n_moves[lag]) for lag in pair)
    elapsed = [LAG_LADDER_S[lag] / SECONDS_PER_DAY * float(scale_sq[lag] / n_moves[lag]) for lag in pair]
    span = elapsed[1] - elapsed[0]
    return (long - short) / span if span > 0 else float("nan")


def two_scale_draws(
    move_sq: Float64Array2D, n_moves: Float64Array2D, scale_sq: Float64Array2D, *, pair: tuple[int, int]
) -> Float64Array1D:
    """Return the two-scale slope of many sums at once, (n,) P^2/day over the unit of ``scale_sq``.

    Parameters
    ----------
    move_sq, n_moves, scale_sq : (n, 2) float64
        As for two_scale_variance, at the lags J and K alone.
    pair : tuple of int
        Positions of J and K in the ladder.
    """
    lags_days = np.array([LAG_LADDER_S[lag] for lag in pair]) / SECONDS_PER_DAY
    with np.errstate(divide="ignore", invalid="ignore"):
        means, elapsed = move_sq / n_moves, lags_days * (scale_sq / n_moves)
        slopes: Float64Array1D = (means[:, 1] - means[:, 0]) / (elapsed[:, 1] - elapsed[:, 0])
    return slopes


def two_scale_volatility(
    move_sq: Float64Array1D,
    n_moves: Float64Array1D,
    scale_sq: Float64Array1D,
    *,
    tick_size: float | None,
    half_life_s: float | None = None,
) -> TwoScaleVolatility:
    """Measure sigma at the shortest lags the noise allows.

    J >= max(5 min, 5 half-lives, tick^2 / (6 sigma^2)) and K >= max(1 h, 3 J), from the ladder. The tick rule needs
    sigma itself: J starts at the least the other rules allow and rises until sigma at J agrees.

    Parameters
    ----------
    move_sq, n_moves, scale_sq : (n_lags,) float64
        As for two_scale_variance, summed over the window.
    tick_size : float, optional
        P; without it the tick rule is left out.
    half_life_s : float, optional
        Of the transient impact, s.
    """
    floor_s = max(SHORTEST_SHORT_S, 5 * (half_life_s or 0.0))
    required_s = floor_s
    variance = float("nan")
    while (pair := lag_pair(required_s)) is not None:
        short_s, long_s = (float(LAG_LADDER_S[lag]) for lag in pair)
        variance = two_scale_variance(move_sq, n_moves, n_moves, pair)
        required_s = _tick_rule_s(variance, tick_size)
        if required_s <= short_s:
            state = two_scale_variance(move_sq, n_moves, scale_sq, pair)
            is_tick_bound = required_s > floor_s
            return TwoScaleVolatility(_root(variance), _root(state), short_s, long_s, is_tick_bound, None)
        # A slope that is not positive says nothing of the lag it needs: try the next.
        required_s = required_s if np.isfinite(required_s) else short_s + 1
    return TwoScaleVolatility(None, None, None, None, False, _refusal(variance, n_moves))


def _tick_rule_s(variance: float, tick_size: float | None) -> float:
    if not 0 < variance < inf:
        return inf
    return (tick_size or 0.0) ** 2 / (6 * variance) * SECONDS_PER_DAY


def _refusal(variance: float, n_moves: Float64Array1D) -> str:
    if not n_moves[LAG_LADDER_S.index(int(SHORTEST_LONG_S))]:
        return "no two usable mids of one day lie an hour apart"
    if variance > 0:
        return "tick or transient impact is so large that moves over more than 12 h would be needed"
    return "squared moves of the mid do not grow with the lag, or are not finite"


def _root(variance: float) -> float | None:
    return sqrt(variance) if 0 < variance < inf else None
