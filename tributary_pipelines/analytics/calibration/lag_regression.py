"""Permanent impact from a distributed-lag regression of mid moves on signed flow, from additive sums.

dM_k = sum_l b_l F_{k-l} + e without intercept (the mid is a martingale), and gamma = sum of b_l: the transient part of
impact enters at lag 0 and leaves at the later lags, so that it cancels in the sum once the horizon exceeds 7.2
half-lives. Trade times are taken a guard earlier, because stamps may lag the book. Lags share a coefficient in groups
that widen with the lag (our choice: a restricted design, so that one set of sums serves horizons from 11 to 180
minutes); the horizon is chosen when days are combined, from the measured half-life. The flow of the minute to come (the
lead) shows whether the clocks agree or traders chase the price. The same in 5-minute buckets shows whether the answer
depends on the bucket.

Source: Hasbrouck (1991) for the distributed lag; Newey & West (1987) for the second standard error.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from tributary_pipelines.analytics.calibration.resampling import FEWEST_CLUSTERS, N_DRAWS, Resampling
from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D

#: Seconds of a bucket, and the first lag of each group of lags and the one after the last, in buckets.
BUCKET_S = 60
LAG_EDGES = (0, 1, 2, 3, 4, 5, 7, 11, 15, 21, 30, 45, 60, 90, 120, 180)
WIDE_BUCKET_S = 300
WIDE_LAG_EDGES = (0, 1, 2, 3, 4, 6, 9, 12, 18, 24, 36)

#: A row needs the flow of this time before it; earlier flow that lies before midnight counts as none.
LEAST_HORIZON_S = 600.0
HALF_LIVES = 7.2
#: The longest half-life whose horizon the lags still reach, s.
LONGEST_HALF_LIFE_S = LAG_EDGES[-1] * BUCKET_S / HALF_LIVES
_LEAST_EIGENVALUE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class LagFit:
    """Result of the lag regression.

    Parameters
    ----------
    gamma : float or None
        Sum of the lag coefficients, P/share; None when flow does not identify it.
    draws : (200,) float64
        gamma in each bootstrap draw; empty when there are too few clusters.
    se, hac_se : float or None
        Standard errors by bootstrap, and by Newey & West over the blocks' scores, P/share.
    lead_t : float or None
        Coefficient of the lead over its bootstrap standard error.
    r2 : float or None
        1 - SSE / sum dM^2; None when no mid moved.
    horizon_s : float
        Reach of the lags, s.
    reason : str or None
        Why gamma is None.
    """

    gamma: float | None
    draws: Float64Array1D
    se: float | None
    hac_se: float | None
    lead_t: float | None
    r2: float | None
    horizon_s: float
    reason: str | None

    @property
    def gamma_t(self) -> float | None:
        """Gamma over its standard error; None where the error is zero or unknown."""
        return None if self.gamma is None or not self.se else self.gamma / self.se


def n_packed(n_regressors: int) -> int:
    """Return how many numbers a symmetric matrix of this size holds."""
    return n_regressors * (n_regressors + 1) // 2


def pack(matrices: Float64Array2D) -> Float64Array2D:
    """Return the upper triangles of (..., p, p) symmetric matrices, (..., p (p + 1) / 2)."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    return matrices[..., rows, columns]


def unpack(packed: Float64Array2D, n_regressors: int) -> Float64Array2D:
    """Return the symmetric matrices of packed triangles.

    Examples
    --------
    >>> unpack(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    rows, columns = np.triu_indices(n_regressors)
    matrices = np.empty((*packed.shape[:-1], n_regressors, n_regressors))
    matrices[..., rows, columns] = packed
    matrices[..., columns, rows] = packed
    return matrices


def lag_design(flow: Float64Array1D, edges: tuple[int, ...], first: int) -> Float64Array2D:
    """Return the rows [F_{k+1}, sums of F over each group of lags] of the buckets first..n-2, shares.

    Parameters
    ----------
    flow : (n,) float64
        Bought minus sold shares of each bucket of a day.
    edges : tuple of int
        First lag of each group, and the lag after the last group.
    first : int
        First bucket that is a row.

    Examples
    --------
    >>> lag_design(np.arange(6.0), (0, 1, 3), 2).tolist()
    [[3.0, 2.0, 1.0], [4.0, 3.0, 3.0], [5.0, 4.0, 5.0]]
    """
    until = np.concatenate(([0.0], np.cumsum(flow)))
    k = np.arange(first, len(flow) - 1)
    ends = [until[np.maximum(k + 1 - edge, 0)] for edge in edges]
    return np.column_stack([flow[k + 1], *(newer - older for newer, older in pairwise(ends))])


def lag_sums(
    mids: Float64Array1D, flow: Float64Array1D, edges: tuple[int, ...], bucket_s: int, n_blocks: int
) -> tuple[Float64Array2D, Float64Array2D, Float64Array1D, Float64Array1D]:
    """Return packed X'X, X'y, y'y and the number of rows of each block; a bucket without both mids is no row.

    Parameters
    ----------
    mids, flow : (n,) float64
        Mids at the start of each bucket of a day, P, NaN where missing, and bought minus sold shares within it.
    """
    n, first = len(flow), round(LEAST_HORIZON_S / bucket_s)
    design = np.zeros((n, len(edges)))
    moves = np.full(n, np.nan)
    design[first:-1] = lag_design(flow, edges, first)
    moves[first:-1] = np.diff(mids)[first:]
    is_known = np.isfinite(moves)
    design[~is_known], moves[~is_known] = 0.0, 0.0
    x, y = design.reshape(n_blocks, -1, len(edges)), moves.reshape(n_blocks, -1)
    x_transposed = x.transpose(0, 2, 1)
    return (
        pack(x_transposed @ x),
        (x_transposed @ y[:, :, None])[:, :, 0],
        (y * y).sum(axis=1),
        is_known.reshape(n_blocks, -1).sum(axis=1).astype(np.float64),
    )


def n_groups(half_life_s: float | None, edges: tuple[int, ...], bucket_s: int) -> int | None:
    """Return how many groups of lags reach max(10 min, 7.2 half-lives); None when that is beyond the last.

    Examples
    --------
    >>> [n_groups(half_life, LAG_EDGES, BUCKET_S) for half_life in (None, 60.0, 600.0, 7_200.0)]
    [7, 7, 13, None]
    """
    wanted = max(LEAST_HORIZON_S, HALF_LIVES * (half_life_s or 0.0)) / bucket_s
    return next((i for i, edge in enumerate(edges) if i and edge >= wanted), None)


def fit_lags(
    xtx: Float64Array2D,
    xty: Float64Array2D,
    yty: Float64Array1D,
    *,
    resampling: Resampling,
    edges: tuple[int, ...] = LAG_EDGES,
    bucket_s: int = BUCKET_S,
    half_life_s: float | None = None,
) -> LagFit:
    """Fit the regression from the sums of each block.

    Parameters
    ----------
    xtx : (n_blocks, p (p + 1) / 2) float64
        Packed X'X, shares^2.
    xty : (n_blocks, p) float64
        X'y, P*shares.
    yty : (n_blocks,) float64
        y'y, P^2.
    resampling : Resampling
    half_life_s : float, optional
        Of the transient impact, s; decides the horizon.
    """
    groups = n_groups(half_life_s, edges, bucket_s)
    horizon_s = float(edges[groups or -1] * bucket_s)
    problem = _problem(xtx, xty, yty, resampling, len(edges))
    if groups is None:
        problem = (
            f"impact fades with a half-life {_in_words(half_life_s or 0.0)}: telling the permanent part apart "
            f"takes {HALF_LIVES:g} half-lives of flow, more than the {horizon_s / 60:.0f} min that are kept"
        )
    if problem is not None or groups is None:
        return _not_identified(problem, horizon_s)
    widths = np.diff(edges[: groups + 1]).astype(np.float64)
    sums = np.concatenate([xtx, xty], axis=1)
    total, drawn = sums.sum(axis=0)[None], resampling.draws(sums)
    lags = slice(1, groups + 1)
    coefficients = _solve(total, len(edges), lags)[0]
    if not np.isfinite(coefficients).all():
        return _not_identified("the flow of different minutes cannot be told apart", horizon_s)
    gamma = float(widths @ coefficients)
    draws = _solve(drawn, len(edges), lags) @ widths
    explained, moved = float(coefficients @ xty[:, lags].sum(axis=0)), float(yty.sum())
    return LagFit(
        gamma,
        draws,
        _spread(draws),
        _newey_west_error(xtx, xty, coefficients, lags, widths),
        _lead_t(total, drawn, len(edges), groups),
        explained / moved if moved > 0 else None,
        horizon_s,
        None,
    )


def _in_words(half_life_s: float) -> str:
    return f"of {half_life_s / 60:.0f} min" if half_life_s < inf else "that may be beyond 2 h"


def _not_identified(reason: str | None, horizon_s: float) -> LagFit:
    return LagFit(None, np.empty(0), None, None, None, None, horizon_s, reason)


def _problem(
    xtx: Float64Array2D, xty: Float64Array2D, yty: Float64Array1D, resampling: Resampling, n_regressors: int
) -> str | None:
    if not all(np.isfinite(part).all() for part in (xtx, xty, yty)):
        return "flow or mid moves are too large to square"
    # The second diagonal element is the flow of the bucket itself.
    flow_sq = resampling.sums(xtx[:, n_regressors])
    n_clusters = int(np.count_nonzero(flow_sq))
    if n_clusters < FEWEST_CLUSTERS:
        return f"signed trades lie in too few stretches of time: {n_clusters}; {FEWEST_CLUSTERS} are needed"
    return None


def _solve(sums: Float64Array2D, n_regressors: int, chosen: slice) -> Float64Array2D:
    """Return the coefficients of each row of packed sums, (n, chosen); NaN where X'X is singular."""
    packed = n_packed(n_regressors)
    xtx = unpack(sums[:, :packed], n_regressors)[:, chosen, chosen]
    xty = sums[:, packed:][:, chosen]
    root = np.sqrt(np.diagonal(xtx, axis1=1, axis2=2))
    solved = np.full(xty.shape, np.nan)
    has_flow: NDArray[np.bool_] = np.all(root > 0, axis=1)
    if not has_flow.any():
        return solved
    root = root[has_flow]
    scaled = xtx[has_flow] / (root[:, :, None] * root[:, None, :])
    # With ones on the diagonal the least eigenvalue is the inverse condition, up to the size of the matrix.
    is_regular = np.linalg.eigvalsh(scaled)[:, 0] > _LEAST_EIGENVALUE
    which = np.flatnonzero(has_flow)[is_regular]
    right = (xty[has_flow] / root)[is_regular]
    solved[which] = np.linalg.solve(scaled[is_regular], right[:, :, None])[:, :, 0] / root[is_regular]
    return solved


def _spread(draws: Float64Array1D) -> float | None:
    known = draws[np.isfinite(draws)]
    return float(known.std(ddof=1)) if len(known) >= 0.9 * N_DRAWS else None


def _lead_t(total: Float64Array2D, drawn: Float64Array2D, n_regressors: int, groups: int) -> float | None:
    lead = float(_solve(total, n_regressors, slice(0, groups + 1))[0, 0])
    error = _spread(_solve(drawn, n_regressors, slice(0, groups + 1))[:, 0])
    return lead / error if error and np.isfinite(lead) else None


def newey_west(scores: Float64Array2D, n_lags: int) -> Float64Array2D:
    """Return S = G_0 + sum_{l<=B} (1 - l / (B + 1)) (G_l + G_l'), with G_l = sum_t u_t u_{t-l}'.

    Parameters
    ----------
    scores : (n, p) float64
        u_t, a row of regressors times its residual, in time order.
    n_lags : int
        B, from 0 on.
    """
    covariance: Float64Array2D = scores.T @ scores
    for lag in range(1, min(n_lags, len(scores) - 1) + 1):
        crossed = scores[lag:].T @ scores[:-lag]
        covariance = covariance + (1 - lag / (n_lags + 1)) * (crossed + crossed.T)
    return covariance


def _newey_west_error(
    xtx: Float64Array2D, xty: Float64Array2D, coefficients: Float64Array1D, lags: slice, widths: Float64Array1D
) -> float | None:
    """Return the error of gamma with the 2 h blocks' scores as the series, B = floor(4 (n / 100)^(2/9)) blocks."""
    by_block = unpack(xtx, xty.shape[1])[:, lags, lags]
    scores = xty[:, lags] - by_block @ coefficients
    inner = newey_west(scores, int(4 * (len(scores) / 100) ** (2 / 9)))
    # A singular X'X has been sorted out before.
    outer = np.linalg.solve(by_block.sum(axis=0), widths)
    variance = float(outer @ inner @ outer)
    return sqrt(variance) if variance > 0 else None
