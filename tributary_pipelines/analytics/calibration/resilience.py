"""How fast the book recovers: the decay rate rho of transient impact by profile least squares, from additive sums.

Between minute boundaries the mid moves by dM = gamma F + kappa dY + e with F the minute's signed flow and
Y_t = sum_i s_i v_i exp(-rho (t - t_i)) the flow still felt. For each rho of a grid of half-lives from 10 s to 2 h the
regression is solved from its sums; rho is where the squared error is least, refined by a parabola in log half-life.
Trade times are taken as they are: a guard would destroy the fit. Y starts at 0 every midnight.

Source: Obizhaeva & Wang (2013) for the propagator; variable projection (Golub & Pereyra, 1973).
"""

from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from tributary_pipelines.analytics.calibration.resampling import FEWEST_CLUSTERS, N_DRAWS, Resampling
from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D, Int64Array1D
from tributary_pipelines.core.units import SECONDS_PER_DAY

HALF_LIVES_S = np.geomspace(10.0, 7_200.0, 40)
RATES_PER_S = log(2) / HALF_LIVES_S
N_RATES = len(HALF_LIVES_S)
LEAST_T = 2.0
#: Share of draws that may lie at an end of the grid before rho counts as not identified.
_MOST_AT_THE_ENDS = 0.1
#: Middle of the grid, s: tells its two ends apart.
_MIDDLE_S = 270.0


@dataclass(frozen=True, slots=True, eq=False)
class ResilienceFit:
    """Result of the profile.

    Parameters
    ----------
    half_life_s : float or None
        Of transient impact, s; None when the data does not show it.
    half_life_draws : (200,) float64
        The same in each bootstrap draw, s; empty when it is not identified.
    gamma, kappa : float or None
        Permanent and transient impact at that half-life, P/share: cross-checks of the lag regression and the book.
    kappa_se : float or None
        Bootstrap standard error of kappa.
    reason : str or None
        Why the half-life is None.
    is_slow : bool
        Impact is seen to fade, and so slowly that the half-life may lie beyond the 2 h of the grid.
    """

    half_life_s: float | None
    half_life_draws: Float64Array1D
    gamma: float | None
    kappa: float | None
    kappa_se: float | None
    reason: str | None
    is_slow: bool = False


def felt_flow(times_s: Float64Array1D, flow: Float64Array1D, n_buckets: int, bucket_s: float) -> Float64Array2D:
    """Return Y at the bucket boundaries 0..n, for each rate, (n_buckets + 1, 40) shares.

    Parameters
    ----------
    times_s : (n,) float64
        Trade times from the start of the day, ascending, s.
    flow : (n,) float64
        Signed shares.

    Examples
    --------
    >>> felt_flow(np.array([0.0]), np.array([1.0]), 1, 10.0)[:, 0].tolist()
    [0.0, 0.5]
    """
    buckets = np.minimum((times_s / bucket_s).astype(np.int64), n_buckets - 1)
    age_s = (buckets + 1) * bucket_s - times_s
    felt = np.zeros((n_buckets + 1, N_RATES))
    for column, rate in enumerate(RATES_PER_S):
        felt[1:, column] = np.bincount(buckets, flow * np.exp(-rate * age_s), minlength=n_buckets)
    # Y_k = a Y_{k-1} + c_k, solved by doubling the reach of each sum.
    reach = 1
    while reach <= n_buckets:
        felt[reach:] += np.exp(-RATES_PER_S * bucket_s * reach) * felt[:-reach]
        reach *= 2
    return felt


def resilience_sums(
    mids: Float64Array1D, times_s: Float64Array1D, flow: Float64Array1D, bucket_s: float, n_blocks: int
) -> dict[str, Float64Array2D]:
    """Return the sums of the regressions by block: F^2, F dM, dM^2 once and dY^2, F dY, dM dY for each rate.

    Parameters
    ----------
    mids : (n_buckets,) float64
        Mids at the start of each bucket, P, NaN where missing; a bucket without both mids is no row.
    """
    n = len(mids)
    moves = np.append(np.diff(mids), np.nan)
    is_known = np.isfinite(moves)
    moves = np.where(is_known, moves, 0.0)
    buckets = np.minimum((times_s / bucket_s).astype(np.int64), n - 1)
    own = np.where(is_known, np.bincount(buckets, flow, minlength=n), 0.0)
    change = np.diff(felt_flow(times_s, flow, n, bucket_s), axis=0) * is_known[:, None]

    def by_block(values: Float64Array2D) -> Float64Array2D:
        sums: Float64Array2D = values.reshape(n_blocks, -1, *values.shape[1:]).sum(axis=1)
        return sums

    base = np.column_stack([by_block(own * own), by_block(own * moves), by_block(moves * moves)])
    return {
        "decay_base": base,
        "decay_yy": by_block(change * change),
        "decay_fy": by_block(own[:, None] * change),
        "decay_my": by_block(moves[:, None] * change),
    }


def fit_resilience(
    base: Float64Array2D, yy: Float64Array2D, fy: Float64Array2D, my: Float64Array2D, *, resampling: Resampling
) -> ResilienceFit:
    """Fit rho from the sums of each block.

    Parameters
    ----------
    base : (n_blocks, 3) float64
        F^2, F dM, dM^2.
    yy, fy, my : (n_blocks, 40) float64
        dY^2, F dY and dM dY for each rate.
    resampling : Resampling
    """
    parts = np.concatenate([base, yy, fy, my], axis=1)
    if not np.isfinite(parts).all():
        return _not_identified("flow or mid moves are too large to square")
    fitted = _profile(parts.sum(axis=0)[None])
    half_life, gamma, kappa = (float(values[0]) for values in fitted)
    if not np.isfinite(half_life):
        return _not_identified("trades and moves of the mid do not share enough minutes")
    n_clusters = int(np.count_nonzero(resampling.sums(base[:, 0])))
    if n_clusters < FEWEST_CLUSTERS:
        few = f"signed trades lie in too few stretches of time: {n_clusters}; {FEWEST_CLUSTERS} are needed"
        return _not_identified(few, gamma, kappa)
    half_lives, _, kappas = _profile(resampling.draws(parts))
    error = float(np.nanstd(kappas, ddof=1)) if np.isfinite(kappas).sum() > 0.9 * N_DRAWS else None
    ends = _is_at_an_end(half_lives)
    if error is None or not kappa > LEAST_T * error:
        return _not_identified("no part of the impact is seen to fade", gamma, kappa, error)
    if _is_at_an_end(fitted[0])[0] or ends.mean() > _MOST_AT_THE_ENDS:
        is_slow = half_life > _MIDDLE_S
        slow = "the half-life may be beyond 2 h, where it cannot be measured"
        fast = "the half-life may be below 10 s, where it cannot be measured"
        return replace(_not_identified(slow if is_slow else fast, gamma, kappa, error), is_slow=is_slow)
    return ResilienceFit(half_life, half_lives, gamma, kappa, error, None)


def _is_at_an_end(half_lives_s: Float64Array1D) -> NDArray[np.bool_]:
    # Logs and back again cost the last bits.
    least, most = HALF_LIVES_S[0] * (1 + 1e-9), HALF_LIVES_S[-1] * (1 - 1e-9)
    is_inside: NDArray[np.bool_] = (half_lives_s > least) & (half_lives_s < most)
    return ~is_inside & np.isfinite(half_lives_s)


def _not_identified(
    reason: str, gamma: float | None = None, kappa: float | None = None, error: float | None = None
) -> ResilienceFit:
    return ResilienceFit(None, np.empty(0), gamma, kappa, error, reason)


def _profile(parts: Float64Array2D) -> tuple[Float64Array1D, Float64Array1D, Float64Array1D]:
    """Return half-life, gamma and kappa of each row of sums, (n,) each; NaN where nothing can be solved."""
    ff, fm, mm = (parts[:, i, None] for i in range(3))
    yy, fy, my = (parts[:, 3 + i * N_RATES : 3 + (i + 1) * N_RATES] for i in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = ff * yy - fy * fy
        determinant = np.where(determinant > 1e-9 * ff * yy, determinant, np.nan)
        gamma = (yy * fm - fy * my) / determinant
        kappa = (ff * my - fy * fm) / determinant
        error = mm - gamma * fm - kappa * my
    is_known = np.isfinite(error).any(axis=1)
    best = np.where(is_known, np.argmin(np.where(np.isfinite(error), error, np.inf), axis=1), 0)
    row = np.arange(len(parts))
    position = best + _parabola(error, best, row)
    half_life = np.where(is_known, np.exp(np.interp(position, np.arange(N_RATES), np.log(HALF_LIVES_S))), np.nan)
    at_best = (_between(values, position) for values in (gamma, kappa))
    return half_life, *(np.where(is_known, values, np.nan) for values in at_best)  # type: ignore[return-value]


def _parabola(error: Float64Array2D, best: Int64Array1D, row: Int64Array1D) -> Float64Array1D:
    """Return the step from the best grid point to the least of the parabola through it and its neighbours."""
    inside = np.clip(best, 1, N_RATES - 2)
    before, at, after = (error[row, inside + step] for step in (-1, 0, 1))
    curvature = before - 2 * at + after
    with np.errstate(divide="ignore", invalid="ignore"):
        step = 0.5 * (before - after) / curvature
    is_good = (best == inside) & np.isfinite(step) & (curvature > 0)
    return np.where(is_good, np.clip(np.nan_to_num(step), -0.5, 0.5), 0.0)


def _between(values: Float64Array2D, position: Float64Array1D) -> Float64Array1D:
    """Return each row's value at a position between two columns."""
    low = np.clip(position.astype(np.int64), 0, N_RATES - 2)
    row = np.arange(len(values))
    share = position - low
    mixed: Float64Array1D = (1 - share) * values[row, low] + share * values[row, low + 1]
    return mixed


def transient_eta(kappa: Float64Array1D, half_life_s: Float64Array1D, interval_s: float) -> Float64Array1D:
    """Return eta~(delta) = (kappa delta / 2) coth(rho delta / 2) for child orders every delta, P*day/share.

    The steady-state cost of a long order under exponential resilience; kappa / rho as delta goes to 0.

    Parameters
    ----------
    kappa : (n,) float64
        2 b - gamma, P/share.
    half_life_s : (n,) float64
        s.
    interval_s : float
        delta, s, > 0.

    Examples
    --------
    >>> transient_eta(np.ones(1), np.ones(1) * log(2) * 86_400, 86_400.0).round(10).tolist()
    [1.0819767069]
    """
    rho_delta = log(2) * interval_s / np.asarray(half_life_s)
    return np.asarray(kappa) * (interval_s / SECONDS_PER_DAY) / 2 / np.tanh(rho_delta / 2)
