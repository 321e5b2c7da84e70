"""Realized variance and its jump-robust kin, as diagnostics beside the two-scale slope (two_scale.py).

Each takes prices in time order, (n,), best mids some minutes apart, and returns the variance of the time they cover,
P^2 (of log prices: a fraction). ``r`` are the N = n - 1 price changes. None is robust to noise: for trade prices see
noise_robust_volatility.py. A price that is not finite is a gap: what needs it is left out and the mean of the rest
counts for all known changes. Too few prices give NaN, and so does a result that is not finite: never a warning.
"""

from collections.abc import Callable
from functools import wraps
from math import isfinite, nan, pi, sqrt
from typing import Concatenate, ParamSpec

import numpy as np

from tributary_pipelines.core.frames import Float64Array1D

P = ParamSpec("P")


def finite_or_nan(
    estimate: Callable[Concatenate[Float64Array1D, P], float],
) -> Callable[Concatenate[Float64Array1D, P], float]:
    """Let an estimator return NaN where numpy would overflow, and see every price that is not finite as NaN."""

    @wraps(estimate)
    def quiet(prices: Float64Array1D, /, *args: P.args, **kwargs: P.kwargs) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            value = float(estimate(np.where(np.isfinite(prices), prices, nan), *args, **kwargs))
        return value if isfinite(value) else nan

    return quiet


def _per_change(terms: Float64Array1D, changes: Float64Array1D) -> float:
    """Return the mean of the known terms times the number of known changes."""
    known = terms[~np.isnan(terms)]
    return float(np.count_nonzero(~np.isnan(changes)) * known.mean()) if len(known) else nan


@finite_or_nan
def realized_variance(prices: Float64Array1D) -> float:
    """Return RV = sum r^2; NaN below 2 prices. Noise adds 2 N omega^2.

    Parameters
    ----------
    prices : (n,) float64
        P; changes beside a price that is not finite are left out.

    Examples
    --------
    >>> round(realized_variance(np.array([0.50, 0.52, 0.51])), 12)
    0.0005
    """
    r = np.diff(prices)
    return _per_change(r * r, r)


@finite_or_nan
def bipower_variation(prices: Float64Array1D) -> float:
    """Return BV = (pi/2) N/(N-1) sum |r_i||r_{i-1}|; NaN below 3 prices in a row.

    Robust to jumps, not to noise; stale prices bias it to zero (Barndorff-Nielsen & Shephard, 2004).

    Parameters
    ----------
    prices : (n,) float64
        P; products that need a price that is not finite are left out: N counts known changes, N - 1 known products.

    Examples
    --------
    >>> round(bipower_variation(np.array([0.0, 1.0, 0.0])) / pi, 12)
    1.0
    """
    size = np.abs(np.diff(prices))
    return pi / 2 * _per_change(size[1:] * size[:-1], size)


@finite_or_nan
def med_rv(prices: Float64Array1D) -> float:
    """Return MedRV = pi/(6-4 sqrt3+pi) N/(N-2) sum med(|r_{i-1}|,|r_i|,|r_{i+1}|)^2; NaN below 4 prices in a row.

    Robust to jumps and less to stale prices than bipower variation is (Andersen, Dobrev & Schaumburg, 2012).

    Parameters
    ----------
    prices : (n,) float64
        P; gaps as in bipower_variation.

    Examples
    --------
    >>> round(med_rv(np.array([0.0, 1.0, 0.0, 9.0])), 4)
    4.2581
    """
    size = np.abs(np.diff(prices))
    low, middle, high = size[:-2], size[1:-1], size[2:]
    median = np.maximum(np.minimum(low, middle), np.minimum(np.maximum(low, middle), high))
    return pi / (6 - 4 * sqrt(3) + pi) * _per_change(median * median, size)


@finite_or_nan
def min_rv(prices: Float64Array1D) -> float:
    """Return MinRV = pi/(pi-2) N/(N-1) sum min(|r_i|,|r_{i+1}|)^2; NaN below 3 prices in a row.

    Source and gaps as for MedRV.

    Parameters
    ----------
    prices : (n,) float64
        P; gaps as in bipower_variation.

    Examples
    --------
    >>> round(min_rv(np.array([0.0, 1.0, 9.0])), 4)
    5.5039
    """
    size = np.abs(np.diff(prices))
    smaller = np.minimum(size[:-1], size[1:])
    return pi / (pi - 2) * _per_change(smaller * smaller, size)


def jump_share(realized: float, bipower: float) -> float:
    """Return the share of jumps in the variance, max(0, 1 - BV/RV); NaN when either is or nothing moved.

    Examples
    --------
    >>> jump_share(4.0, 3.0)
    0.25
    """
    return max(0.0, 1 - bipower / realized) if realized > 0 and not np.isnan(bipower) else nan
