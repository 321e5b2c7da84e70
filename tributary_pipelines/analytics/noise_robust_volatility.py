"""Variance from prices with noise on them, such as trades that bounce, as diagnostics beside the two-scale slope.

Each takes prices in time order, (n,), and returns the variance of the time they cover, P^2 (of log prices: a fraction).
``r`` are the N = n - 1 price changes, omega^2 the variance of the noise (bounce: the squared half-spread), IQ the
integrated quarticity. The estimates are unbiased, not positive: a negative one says that noise hides the variance. Too
few prices give NaN, and so does any price or result that is not finite: never a warning.
"""

from math import ceil, inf, isfinite, nan, sqrt

import numpy as np

from tributary_pipelines.analytics.volatility import finite_or_nan
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Float64Array1D


@finite_or_nan
def zhou_variance(prices: Float64Array1D) -> float:
    """Return AC1 = RV + 2 sum r_i r_{i-1}, free of bounce (Zhou, 1996); may be negative; NaN below 3 prices.

    Parameters
    ----------
    prices : (n,) float64
        P; one that is not finite makes the result NaN.

    Examples
    --------
    >>> round(zhou_variance(np.array([0.50, 0.52, 0.50, 0.52])), 12)
    -0.0004
    """
    r = np.diff(prices)
    return float(r @ r + 2 * (r[1:] @ r[:-1])) if len(r) > 1 else nan


@finite_or_nan
def roll_half_spread(prices: Float64Array1D) -> float:
    """Return Roll's half-spread sqrt(-cov(r_i, r_{i-1})), P, with the sample covariance; 0 when it is not negative.

    Parameters
    ----------
    prices : (n,) float64
        P; at least 4, else NaN. One that is not finite makes the result NaN.

    Examples
    --------
    >>> round(roll_half_spread(np.array([0.50, 0.52, 0.50, 0.52, 0.50])), 12)
    0.023094010768
    """
    r = np.diff(prices)
    if len(r) < 3:
        return nan
    later, earlier = r[1:], r[:-1]
    covariance = float((later - later.mean()) @ (earlier - earlier.mean())) / (len(later) - 1)
    return sqrt(max(-covariance, 0.0)) if isfinite(covariance) else nan


@finite_or_nan
def tsrv(prices: Float64Array1D, K: int, J: int = 1) -> float:
    """Return the two-scale realized variance of Zhang, Mykland & Ait-Sahalia (2005); may be negative.

    a = (1/K) sum (x_{i+K} - x_i)^2, b likewise with J, n_K = (n-K+1)/K, n_J = (n-J+1)/J:
    TSRV = (a - n_K/n_J b) / (1 - n_K/n_J).

    Parameters
    ----------
    prices : (n,) float64
        P; more than K, else NaN. One that is not finite makes the result NaN.
    K, J : int
        The slow and the fast scale, in prices; 1 <= J < K.

    Raises
    ------
    ValidationError
        The scales are not 1 <= J < K.

    Examples
    --------
    >>> round(tsrv(np.array([0.50, 0.52, 0.51, 0.53]), 2), 12)
    -0.00038
    """
    if not 1 <= J < K:
        raise ValidationError(f"scales K={K}, J={J} of TSRV cannot be used; give whole numbers with 1 <= J < K")
    n = len(prices)
    if n <= K:
        return nan
    slow, fast = (float(np.sum((prices[lag:] - prices[:-lag]) ** 2)) / lag for lag in (K, J))
    share = ((n - K + 1) / K) / ((n - J + 1) / J)
    return (slow - share * fast) / (1 - share)


def optimal_tsrv_lag(noise_variance: float, quarticity: float, n_prices: int) -> int:
    """Return K for J = 1, ceil((12 omega^4/IQ)^(1/3) n^(2/3)), within 2 and half of the prices.

    Parameters
    ----------
    noise_variance : float
        omega^2, P^2.
    quarticity : float
        IQ of the time covered, P^4; where it is not positive any noise asks for the longest lag.
    n_prices : int
        n.

    Examples
    --------
    >>> optimal_tsrv_lag(1e-6, 1e-8, 1_000)
    11
    """
    wanted = (12 * _ratio(noise_variance * noise_variance, quarticity)) ** (1 / 3) * n_prices ** (2 / 3)
    return _lag_within(wanted, 2, n_prices // 2)


@finite_or_nan
def realized_kernel(prices: Float64Array1D, H: int) -> float:
    """Return g_0 + 2 sum_{h=1..H} k(h/(H+1)) g_h with Parzen's k, g_h = sum r_i r_{i-h}; NaN up to H + 1 prices.

    k(z) = 1 - 6z^2 + 6z^3 up to 1/2, then 2(1-z)^3 (Barndorff-Nielsen, Hansen, Lunde & Shephard, 2008).

    Parameters
    ----------
    prices : (n,) float64
        P; at least 2. One that is not finite makes the result NaN.
    H : int
        Number of autocovariances; 0 gives the realized variance.

    Raises
    ------
    ValidationError
        H is negative.

    Examples
    --------
    >>> round(realized_kernel(np.array([0.50, 0.52, 0.50, 0.52]), 1), 12)
    0.0008
    """
    if H < 0:
        raise ValidationError(f"{H} autocovariances of a realized kernel cannot be used; give 0 or more")
    r = np.diff(prices)
    if len(r) <= H:
        return nan
    z = np.arange(H + 1) / (H + 1)
    weights = np.where(z <= 0.5, 1 - 6 * z**2 + 6 * z**3, 2 * (1 - z) ** 3)
    sums = np.array([r[h:] @ r[: len(r) - h] for h in range(H + 1)])
    return float(2 * (weights @ sums) - sums[0])


def optimal_kernel_lag(noise_variance: float, quarticity: float, n_prices: int) -> int:
    """Return H = ceil(3.5134 (omega^2/sqrt IQ)^(2/5) n^(3/5)), within 1 and half of the prices.

    Parameters
    ----------
    noise_variance, quarticity, n_prices : float, float, int
        As for optimal_tsrv_lag.

    Examples
    --------
    >>> optimal_kernel_lag(1e-6, 1e-8, 1_000)
    36
    """
    wanted = 3.5134 * _ratio(noise_variance * noise_variance, quarticity) ** (1 / 5) * n_prices ** (3 / 5)
    return _lag_within(wanted, 1, n_prices // 2)


def _ratio(noise: float, signal: float) -> float:
    return noise / signal if signal > 0 else inf if noise > 0 else 0.0


def _lag_within(wanted: float, low: int, high: int) -> int:
    # A wish that is not a number (no noise measured) is none: the shortest.
    return ceil(min(wanted, high)) if low < wanted and low < high else low


@finite_or_nan
def pre_averaged_variance(prices: Float64Array1D) -> float:
    """Return the pre-averaging estimate of Jacod et al. (2009), theta = 1; may be negative; NaN below 5 prices.

    k = ceil(sqrt n), g(u) = min(u, 1-u), Z_i = sum_{j=1..k-1} g(j/k) r_{i+j}, psi1 = k sum (g(j/k) - g((j-1)/k))^2,
    psi2 = (1/k) sum g(j/k)^2, c = psi1/(2 k^2 psi2): PAV = ((N/#Z) sum Z^2/(k psi2) - c RV) / (1 - c).

    Parameters
    ----------
    prices : (n,) float64
        P. One that is not finite makes the result NaN.

    Examples
    --------
    >>> round(pre_averaged_variance(np.linspace(0.0, 1.0, 5)), 12)
    0.75
    """
    r = np.diff(prices)
    k = ceil(sqrt(len(prices)))
    # With k = 2 the correction for noise takes everything: c = 1.
    if k < 3:
        return nan
    u = np.arange(k + 1) / k
    g = np.minimum(u, 1 - u)
    psi1, psi2 = k * float(np.sum(np.diff(g) ** 2)), float(np.sum(g**2)) / k
    averaged = np.convolve(r, g[1:-1], mode="valid")
    c = psi1 / (2 * k**2 * psi2)
    return (len(r) * float(np.mean(averaged**2)) / (k * psi2) - c * float(r @ r)) / (1 - c)
