"""Variance of a bar from its open, high, low and close, as diagnostics beside the two-scale slope.

Each takes bars in time order, (n,) arrays of P, and returns the mean variance of the log price over one bar. A bar
counts when its prices are finite, positive and in order (open and close within low..high); others, such as hours
without a trade, are left out, and NaN is returned when none is left. On trades the bounce widens the range and few
trades narrow it. Sources: Parkinson (1980), Garman & Klass (1980), Rogers & Satchell (1991), Yang & Zhang (2000).
"""

from math import log, nan

import numpy as np

from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D


def parkinson_variance(highs: Float64Array1D, lows: Float64Array1D) -> float:
    """Return mean (ln H/L)^2 / (4 ln 2).

    Parameters
    ----------
    highs, lows : (n,) float64
        P.

    Examples
    --------
    >>> round(parkinson_variance(np.array([4.0]), np.array([2.0])) / log(2), 12)
    0.25
    """
    _, high, low, _ = _log_bars(lows, highs, lows, lows)
    return _mean((high - low) ** 2 / (4 * log(2)))


def garman_klass_variance(
    opens: Float64Array1D, highs: Float64Array1D, lows: Float64Array1D, closes: Float64Array1D
) -> float:
    """Return mean of 0.5 (ln H/L)^2 - (2 ln 2 - 1)(ln C/O)^2.

    Parameters
    ----------
    opens, highs, lows, closes : (n,) float64
        P.

    Examples
    --------
    >>> one = np.array([1.0])
    >>> round(garman_klass_variance(one, np.e * one, one, one), 12)
    0.5
    """
    open_, high, low, close = _log_bars(opens, highs, lows, closes)
    return _mean(0.5 * (high - low) ** 2 - (2 * log(2) - 1) * (close - open_) ** 2)


def rogers_satchell_variance(
    opens: Float64Array1D, highs: Float64Array1D, lows: Float64Array1D, closes: Float64Array1D
) -> float:
    """Return mean of ln(H/C) ln(H/O) + ln(L/C) ln(L/O), which no drift disturbs.

    Parameters
    ----------
    opens, highs, lows, closes : (n,) float64
        P.

    Examples
    --------
    >>> one = np.array([1.0])
    >>> round(rogers_satchell_variance(one, np.e * one, one, one), 12)
    1.0
    """
    return _mean(_rogers_satchell(_log_bars(opens, highs, lows, closes)))


def yang_zhang_variance(
    opens: Float64Array1D, highs: Float64Array1D, lows: Float64Array1D, closes: Float64Array1D
) -> float:
    """Return var(o) + k var(c) + (1-k) RS, o = ln O_t/C_{t-1}, c = ln C/O, k = .34/(1.34 + (m+1)/(m-1)).

    Counts the m bars whose bar before counts as well; the variances are sample variances. NaN below m = 2.

    Parameters
    ----------
    opens, highs, lows, closes : (n,) float64
        P.

    Examples
    --------
    >>> flat = np.array([1.0, 2.0, 4.0])
    >>> round(yang_zhang_variance(flat, flat, flat, flat), 12)
    0.0
    """
    bars = _log_bars(opens, highs, lows, closes)
    gaps = bars[0, 1:] - bars[3, :-1]
    counts = ~np.isnan(gaps)
    m = int(np.count_nonzero(counts))
    if m < 2:
        return nan
    later = bars[:, 1:][:, counts]
    k = 0.34 / (1.34 + (m + 1) / (m - 1))
    within = float(np.var(later[3] - later[0], ddof=1))
    return float(np.var(gaps[counts], ddof=1)) + k * within + (1 - k) * _mean(_rogers_satchell(later))


def _rogers_satchell(bars: Float64Array2D) -> Float64Array1D:
    open_, high, low, close = bars
    terms: Float64Array1D = (high - close) * (high - open_) + (low - close) * (low - open_)
    return terms


def _log_bars(
    opens: Float64Array1D, highs: Float64Array1D, lows: Float64Array1D, closes: Float64Array1D
) -> Float64Array2D:
    """Return the logs of open, high, low, close, (4, n), NaN in all four where a bar does not count."""
    bars = np.stack([opens, highs, lows, closes])
    # Comparing with NaN is False, so that a missing price disqualifies its bar.
    counts = (lows > 0) & (lows <= np.minimum(opens, closes)) & (np.maximum(opens, closes) <= highs) & (highs < np.inf)
    return np.log(np.where(counts, bars, np.nan))


def _mean(terms: Float64Array1D) -> float:
    known = terms[~np.isnan(terms)]
    return float(known.mean()) if len(known) else nan
