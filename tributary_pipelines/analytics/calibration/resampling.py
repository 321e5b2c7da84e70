"""Sampling error from sums by 2 h block: clusters of blocks, a vectorised block bootstrap, intervals.

Errors repeat within stretches of time, so whole stretches are drawn. Clusters are days from 21 days on, 4 h from 5
days on and 2 h below, and never shorter than twice the longest move an estimator looks at, up to a day. The 200 draws
are the same for every estimator of a window, which keeps their sampling errors joint, and they come from a fixed seed,
so that a calibration can be repeated to the bit.

Intervals are value +- t s, with s the standard deviation of the draws and t of Student's law with one degree of freedom
less than clusters: the outermost five of 200 draws are a noisier bound and fall short with few clusters (measured in
benchmarks/recovery.py). Positive parameters take it in logs. Source: Kuensch (1989), block bootstrap; Student's
quantile by the expansion of Fisher & Cornish (1960).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, isfinite, log, sqrt

import numpy as np

from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D, Int64Array1D

BLOCKS_PER_DAY = 12
BLOCK_S = 7_200
N_DRAWS = 200
FEWEST_CLUSTERS = 5
_SEED = 20_260_101
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Measured:
    """A value with its 95 % interval; the ends are None where too few clusters tell."""

    value: float
    ci_low: float | None
    ci_high: float | None

    def scaled(self, factor: float, shift: float = 0.0) -> "Measured":
        """Return ``factor`` (> 0) times the value plus ``shift``, interval included."""
        low, high = (None if end is None else end * factor + shift for end in (self.ci_low, self.ci_high))
        return Measured(self.value * factor + shift, low, high)


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """Which blocks stand together, and how often each cluster is drawn.

    Parameters
    ----------
    clusters : (n_blocks,) int64
        Cluster of each block, 0..n_clusters - 1; -1 for blocks without data.
    n_clusters : int
    n_effective : float
        Clusters of equal weight that would tell as much, (sum w)^2 / sum w^2 (Kish, 1965).
    """

    clusters: Int64Array1D
    n_clusters: int
    n_effective: float

    def sums(self, blocks: Float64Array2D) -> Float64Array2D:
        """Return the sums of (n_blocks, ...) values over clusters, (n_clusters, ...)."""
        sums = np.zeros((self.n_clusters, *blocks.shape[1:]))
        held = self.clusters >= 0
        np.add.at(sums, self.clusters[held], blocks[held])
        return sums

    def draws(self, blocks: Float64Array2D) -> Float64Array2D:
        """Return the window's sum in each draw, (200, ...)."""
        drawn: Float64Array2D = np.tensordot(draw_counts(self.n_clusters), self.sums(blocks), axes=1)
        return drawn

    def interval(self, value: float, draws: Float64Array1D) -> Measured:
        """Return a positive value with its interval in logs, from its draws; draws that are not positive are left out.

        With fewer than five (effective) clusters, or where a tenth of the draws has no value, there is no interval.
        """
        known = draws[np.isfinite(draws) & (draws > 0)]
        if self.n_effective < FEWEST_CLUSTERS or len(known) < 0.9 * N_DRAWS or not value > 0:
            return Measured(value, None, None)
        return log_interval(value, float(np.log(known).std(ddof=1)), self.n_effective)

    def ratio(self, numerator: Float64Array1D, denominator: Float64Array1D) -> Measured:
        """Return sum over sum, (n_blocks,) each, with the interval of cluster means that it amounts to.

        For a mean per snapshot this is Student's interval on the means of the clusters, weighted by their counts. Where
        it would reach below zero for a positive value it is taken in logs.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            above, below = self.sums(numerator), self.sums(denominator)
            total = float(below.sum())
            value = float(above.sum()) / total
            squares = float(((above - value * below) ** 2).sum())
        n = int(np.count_nonzero(below)) * self.n_effective / max(self.n_clusters, 1)
        if n < FEWEST_CLUSTERS or not isfinite(value) or not isfinite(squares):
            return Measured(value, None, None)
        error = sqrt(squares / (n - 1) * n) / total
        reach = student_t(n - 1) * error
        if 0 < value <= reach:
            return log_interval(value, error / value, n)
        return Measured(value, value - reach, value + reach)


def log_interval(value: float, log_error: float, n_clusters: float) -> Measured:
    """Return a positive value with the interval of its logarithm's standard error."""
    reach = student_t(n_clusters - 1) * log_error
    if not reach < log(1e3):
        return Measured(value, None, None)
    return Measured(value, value * exp(-reach), value * exp(reach))


def resample(
    block_days: Int64Array1D,
    has_data: Float64Array1D,
    *,
    weights: Float64Array1D | None = None,
    longest_s: float = 0.0,
) -> Resampling:
    """Return the clusters of a window.

    Parameters
    ----------
    block_days : (n_blocks,) int64
        Day of each 2 h block, any count of days; the blocks of a day in order, twelve at a time.
    has_data : (n_blocks,) float64
        Not zero where the block holds anything; NaN where it holds more than could be summed.
    weights : (n_blocks,) float64, optional
        Weight of each block's day; a window in which few days carry the weight is a short one. Equal without.
    longest_s : float
        Longest stretch one observation spans, s; clusters are at least twice as long, up to a day.

    Examples
    --------
    >>> resample(np.repeat(np.arange(5), 12), np.ones(60)).n_clusters
    30
    """
    weights = np.ones(len(block_days)) if weights is None else weights
    n_days = _effective(weights[np.unique(block_days, return_index=True)[1]])
    by_window = BLOCKS_PER_DAY if n_days >= 21 else 2 if n_days >= 5 else 1
    wanted = max(by_window, 2 * longest_s / BLOCK_S)
    # Only lengths that divide a day.
    per_cluster = next((length for length in (1, 2, 3, 4, 6) if length >= wanted), BLOCKS_PER_DAY)
    within_day = np.arange(len(block_days)) % BLOCKS_PER_DAY
    raw = block_days * BLOCKS_PER_DAY + within_day // per_cluster
    held = has_data != 0
    clusters = np.full(len(raw), -1, np.int64)
    names, clusters[held] = np.unique(raw[held], return_inverse=True)
    cluster_weights = np.zeros(len(names))
    cluster_weights[clusters[held]] = weights[held]
    return Resampling(clusters, len(names), _effective(cluster_weights))


def _effective(weights: Float64Array1D) -> float:
    """Return how many equal weights would tell as much."""
    squares = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / squares if squares > 0 else 0.0


@lru_cache(maxsize=64)
def draw_counts(n_clusters: int) -> Float64Array2D:
    """Return how often each cluster is drawn, (200, n_clusters); each row adds up to ``n_clusters``."""
    if not n_clusters:
        return np.zeros((N_DRAWS, 0))
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=N_DRAWS).astype(np.float64)


def student_t(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's law, to 1 % from two degrees of freedom on and 0.1 % from four.

    Examples
    --------
    >>> round(student_t(29), 3), round(student_t(4), 2)
    (2.045, 2.78)
    """
    z, v = _Z, max(freedom, 1.0)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92_160 * v**4)
    )
