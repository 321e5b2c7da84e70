"""The state of the synthetic market: the efficient price, its displacement, the depth and who trades.

The law is the propagator model every estimator is measured against: an efficient price m moved by news and, for good,
by order flow (gamma); a transient displacement d that decays at rate rho; a book of density D that breathes. M = m + d
is the price the book is quoted around. Between two events m gains sigma_f sqrt(dt) N(0, 1), d decays, log-depth follows
an Ornstein-Uhlenbeck process; a trade of s v shares adds gamma s v to m and s v (1/D - gamma) to d. Quotes and fills
are in synthetic_books.py. The variant with prices in 0..1 moves as dp = sigma_x p (1 - p) dW: news and impact of m are
both scaled by p (1 - p) / (p0 (1 - p0)).

Source: Obizhaeva & Wang (2013), a propagator with exponential decay; Euler steps at the events for bounded prices.
"""

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from tributary_pipelines.analytics.simulation.synthetic_options import MEAN_SIZE, SIZE_LOG_SD, SyntheticMarket
from tributary_pipelines.core.frames import Float64Array1D, Int8Array1D
from tributary_pipelines.core.units import SECONDS_PER_DAY

DEPTH_MEMORY_S = 7_200.0
CHASE_MEMORY_S = 60.0


@dataclass(frozen=True, slots=True)
class MarketPath:
    """State just before each event: price M, density D, whether the event is a trade, its sign and size."""

    price: Float64Array1D
    density: Float64Array1D
    is_trade: NDArray[np.bool_]
    signs: Int8Array1D
    sizes: Float64Array1D
    last_scale: float
    mean_scale: float


def decayed_sums(times_s: Float64Array1D, impulses: Float64Array1D, rate_per_s: float) -> Float64Array1D:
    """Return y_i = sum over j <= i of impulses_j exp(-rate (t_i - t_j)), (n,).

    Works in stretches of 500 decay times, within which exp(rate t) neither overflows nor loses the sum.

    Parameters
    ----------
    times_s : (n,) float64
        Ascending, s.
    impulses : (n,) float64
    rate_per_s : float
        Decay rate, 1/s.

    Examples
    --------
    >>> decayed_sums(np.array([0.0, 1.0]), np.array([1.0, 1.0]), log(2)).round(12).tolist()
    [1.0, 1.5]
    """
    sums = np.empty_like(impulses)
    stretch = np.floor(times_s * (rate_per_s / 500.0))
    edges = np.flatnonzero(np.diff(stretch)) + 1
    carried, carried_at = 0.0, 0.0
    for lo, hi in zip(np.r_[0, edges], np.r_[edges, len(times_s)], strict=True):
        if lo == hi:
            continue
        age = rate_per_s * (times_s[lo:hi] - times_s[lo])
        carried *= exp(-rate_per_s * (float(times_s[lo]) - carried_at))
        sums[lo:hi] = np.exp(-age) * (carried + np.cumsum(impulses[lo:hi] * np.exp(age)))
        carried, carried_at = float(sums[hi - 1]), float(times_s[hi - 1])
    return sums


def simulate_path(
    spec: SyntheticMarket, trade_s: Float64Array1D, snapshot_s: Float64Array1D, rng: np.random.Generator
) -> MarketPath:
    """Draw the state just before every trade and snapshot.

    Parameters
    ----------
    spec : SyntheticMarket
    trade_s, snapshot_s : (n,) float64
        Times of the trades and the snapshots since the start, ascending, s.
    rng : numpy.random.Generator
    """
    # A stable sort keeps a snapshot before a trade of the same instant.
    merged = np.concatenate([snapshot_s, trade_s])
    order = np.argsort(merged, kind="stable")
    times = merged[order]
    is_trade = order >= len(snapshot_s)
    gaps = np.diff(times, prepend=0.0)
    news = spec.news_volatility * np.sqrt(gaps / SECONDS_PER_DAY) * rng.standard_normal(len(times))
    density = spec.density * np.exp(_log_depth(spec, gaps, times, rng) + spec.depth_sd**2 / 2)
    chased = decayed_sums(times, news, 1 / CHASE_MEMORY_S)[is_trade]
    chased /= spec.news_volatility * sqrt(CHASE_MEMORY_S / 2 / SECONDS_PER_DAY)
    signs = _draw_signs(spec, chased, rng)
    sizes = rng.lognormal(log(MEAN_SIZE) - SIZE_LOG_SD**2 / 2, SIZE_LOG_SD, len(trade_s))
    flow = np.zeros(len(times))
    flow[is_trade] = signs * sizes
    efficient, scale = _efficient_price(spec, news, flow)
    pushes = flow * (1 / density - spec.permanent_impact * scale)
    transient = decayed_sums(times, pushes, spec.resilience_rate / SECONDS_PER_DAY) - pushes
    price = efficient + transient
    if spec.bounded:
        price = np.clip(price, 0.0, 1.0)
    mean_scale = float(scale[is_trade].mean()) if len(trade_s) else float(scale[-1])
    return MarketPath(price, density, is_trade, signs, sizes, float(scale[-1]), mean_scale)


def _log_depth(
    spec: SyntheticMarket, gaps: Float64Array1D, times: Float64Array1D, rng: np.random.Generator
) -> Float64Array1D:
    """Return a stationary Ornstein-Uhlenbeck path with standard deviation depth_sd."""
    kicks = spec.depth_sd * np.sqrt(-np.expm1(-2 * gaps / DEPTH_MEMORY_S)) * rng.standard_normal(len(times))
    kicks[0] = spec.depth_sd * rng.standard_normal()
    return decayed_sums(times, kicks, 1 / DEPTH_MEMORY_S)


def _draw_signs(spec: SyntheticMarket, chased: Float64Array1D, rng: np.random.Generator) -> Int8Array1D:
    """Return the takers' sides; ``chased`` is the last minute's exogenous move in standard deviations."""
    tilt = log((1 + spec.flow_phi) / (1 - spec.flow_phi))
    # A buy needs logit(u) < chase * move + tilt * last sign, the logistic law written as a threshold.
    uniform = rng.uniform(size=len(chased))
    thresholds = (np.log(uniform) - np.log1p(-uniform) - spec.chase * chased).tolist()
    signs = np.empty(len(chased), np.int8)
    last = 1 if rng.uniform() < 0.5 else -1
    for i, threshold in enumerate(thresholds):
        last = 1 if threshold < tilt * last else -1
        signs[i] = last
    return signs


def _efficient_price(
    spec: SyntheticMarket, news: Float64Array1D, flow: Float64Array1D
) -> tuple[Float64Array1D, Float64Array1D]:
    """Return m just before each event and the factor its moves are scaled by there."""
    impact = spec.permanent_impact * flow
    if not spec.bounded:
        return spec.p0 + np.cumsum(news) + np.cumsum(impact) - impact, np.ones(len(news))
    before, scales = np.empty(len(news)), np.empty(len(news))
    at_p0 = spec.p0 * (1 - spec.p0)
    price = spec.p0
    for i, (step, push) in enumerate(zip(news.tolist(), impact.tolist(), strict=True)):
        price = min(max(price + step * price * (1 - price) / at_p0, 0.0), 1.0)
        scale = price * (1 - price) / at_p0
        before[i], scales[i] = price, scale
        price = min(max(price + push * scale, 0.0), 1.0)
    return before, scales
