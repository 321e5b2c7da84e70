"""Permanent impact from a distributed-lag regression of mid moves on signed flow, from additive sums.

One-minute buckets: dM_k = sum_{l=0..10} b_l F_{k-l} + e without intercept (the mid is a martingale), and
gamma = sum of b_l: the transient part of impact enters at lag 0 and leaves at the later lags, so that it cancels in
the sum when the horizon of 11 minutes exceeds 7.2 half-lives. Trade times are taken a guard earlier, because stamps
may lag the book. A regression with the flow of the minute to come (the lead) shows whether the clocks agree. Where
impact decays more slowly, the last coefficients are still negative: going on as they do from lags 5..7 to 8..10 they
say how much of the sum is yet to leave (our check; a geometric tail).

Standard errors are clustered by block of time, since errors repeat within one: V = A^-1 (sum_g u_g u_g') A^-1 with
A = X'X, u_g = X_g'y - X_g'X_g b and G / (G - 1) for few blocks (Liang & Zeger 1986). Blocks are days from 21 days on,
4 h from 5 days on, 2 h below.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D, Int64Array1D

N_LAGS = 11
#: Regressors: the lead, then lags 0 to 10.
N_REGRESSORS = 1 + N_LAGS
BUCKET_S = 60
BLOCKS_PER_DAY = 12
FEWEST_CLUSTERS = 5
CLEAR_T = 3.0
_WORST_CONDITION = 1e10


@dataclass(frozen=True, slots=True)
class LagFit:
    """Result of the lag regression.

    Parameters
    ----------
    gamma : float or None
        Sum of the lag coefficients, P/share; None when flow does not identify it.
    gamma_t, lead_t : float or None
        gamma and the lead coefficient over their clustered standard errors; None where the error is zero.
    r2 : float or None
        1 - SSE / sum dM^2; None when no mid moved.
    transient_share : float
        Part of gamma that would leave after the horizon; 0 unless the last coefficients are clearly negative.
    reason : str or None
        Why gamma is None.
    """

    gamma: float | None
    gamma_t: float | None
    lead_t: float | None
    r2: float | None
    transient_share: float
    reason: str | None


def _not_identified(reason: str) -> LagFit:
    return LagFit(None, None, None, None, 0.0, reason)


def lag_design(flow: Float64Array1D) -> Float64Array2D:
    """Return the rows [F_{k+1}, F_k, ..., F_{k-10}] of the buckets k that have them all, (n - 11, 12) shares.

    Examples
    --------
    >>> lag_design(np.arange(13.0))[0].tolist()
    [11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    """
    return np.lib.stride_tricks.sliding_window_view(flow, N_REGRESSORS)[:, ::-1]


def cluster_of_blocks(block_days: Int64Array1D, n_days: int) -> Int64Array1D:
    """Return the cluster of each 2 h block, (n_blocks,), by the number of days in the window.

    Parameters
    ----------
    block_days : (n_days * 12,) int64
        Position of each block's day; blocks of a day in order.
    n_days : int
    """
    within_day = np.arange(len(block_days)) % BLOCKS_PER_DAY
    if n_days >= 21:
        return block_days
    per_cluster = 2 if n_days >= 5 else 1
    return block_days * BLOCKS_PER_DAY + within_day // per_cluster


def fit_lags(xtx: Float64Array2D, xty: Float64Array2D, yty: Float64Array1D, clusters: Int64Array1D) -> LagFit:
    """Fit the regression from the sums of each block.

    Parameters
    ----------
    xtx : (n_blocks, 12, 12) float64
        X'X, shares^2.
    xty : (n_blocks, 12) float64
        X'y, P*shares.
    yty : (n_blocks,) float64
        y'y, P^2.
    clusters : (n_blocks,) int64
        Which blocks are one cluster.
    """
    if not all(np.isfinite(part).all() for part in (xtx, xty, yty)):
        return _not_identified("flow or mid moves are too large to square")
    has_flow = np.trace(xtx, axis1=1, axis2=2) > 0
    n_clusters = len(np.unique(clusters[has_flow]))
    if n_clusters < FEWEST_CLUSTERS:
        return _not_identified(
            f"signed trades lie in too few stretches of time: {n_clusters}; {FEWEST_CLUSTERS} are needed"
        )
    lags = slice(1, N_REGRESSORS)
    fitted = _solve(xtx[:, lags, lags], xty[:, lags], clusters)
    if fitted is None:
        return _not_identified("the flow of different minutes cannot be told apart")
    coefficients, covariance = fitted
    gamma = float(coefficients.sum())
    total = float(yty.sum())
    r2 = float(coefficients @ xty[:, lags].sum(axis=0)) / total if total > 0 else None
    with_lead = _solve(xtx, xty, clusters)
    lead_t = None if with_lead is None else _ratio(float(with_lead[0][0]), float(with_lead[1][0, 0]))
    left = _transient_share(coefficients, covariance)
    return LagFit(gamma, _ratio(gamma, float(covariance.sum())), lead_t, r2, left, None)


def _transient_share(coefficients: Float64Array1D, covariance: Float64Array2D) -> float:
    """Return the part of sum b that a geometric tail takes away after the last lag, 0..1."""
    before, last = float(coefficients[5:8].sum()), float(coefficients[8:].sum())
    last_t = _ratio(last, float(covariance[8:, 8:].sum()))
    if last_t is None or last_t > -CLEAR_T:
        return 0.0
    decay = last / before if before < last else 1.0
    gamma = float(coefficients.sum())
    return 1.0 if decay >= 1 or gamma <= 0 else min(1.0, -last * decay / (1 - decay) / gamma)


def _solve(
    xtx: Float64Array2D, xty: Float64Array2D, clusters: Int64Array1D
) -> tuple[Float64Array1D, Float64Array2D] | None:
    """Return coefficients and their clustered covariance; None when X'X is singular."""
    total = xtx.sum(axis=0)
    root = np.sqrt(np.diag(total))
    if not root.all() or np.linalg.cond(total / np.outer(root, root)) > _WORST_CONDITION:
        return None
    inverse = np.linalg.inv(total / np.outer(root, root)) / np.outer(root, root)
    coefficients = inverse @ xty.sum(axis=0)
    scores = xty - xtx @ coefficients
    _, cluster = np.unique(clusters, return_inverse=True)
    by_cluster = np.zeros((int(cluster.max()) + 1, scores.shape[1]))
    np.add.at(by_cluster, cluster, scores)
    n_clusters = len(by_cluster)
    covariance = inverse @ (by_cluster.T @ by_cluster) @ inverse * (n_clusters / (n_clusters - 1))
    return coefficients, covariance


def _ratio(value: float, variance: float) -> float | None:
    return value / sqrt(variance) if variance > 0 else None
