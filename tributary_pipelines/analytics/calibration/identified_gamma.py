"""Permanent impact: the lag regression of a window, and what must hold before its answer is used.

A gamma that is not positive, not clear of zero (t < 2) or not below 2 b is never used; the market may then borrow from
its pool (optimization/pooling.py).
"""

from math import inf

import numpy as np

from tributary_pipelines.analytics.calibration.findings import Findings
from tributary_pipelines.analytics.calibration.lag_regression import (
    BUCKET_S,
    HALF_LIVES,
    LAG_EDGES,
    LONGEST_HALF_LIFE_S,
    WIDE_BUCKET_S,
    WIDE_LAG_EDGES,
    LagFit,
    fit_lags,
    n_groups,
)
from tributary_pipelines.analytics.calibration.resampling import Measured, Resampling, student_t
from tributary_pipelines.analytics.calibration.resilience import ResilienceFit
from tributary_pipelines.analytics.calibration.signing import SideCounts, attenuation
from tributary_pipelines.analytics.calibration.window_statistics import WindowStatistics
from tributary_pipelines.core.frames import Float64Array1D

LEAST_T = 2.0
SUSPICIOUS_T = 3.0
#: Buckets of 1 and 5 minutes may disagree this much before the bucket decides the answer.
MOST_BUCKET_GAP = 0.1
#: Share of trades signed by rule from which on it is flagged.
MOST_RULE_SIGNED = 0.01


def find_gamma(found: Findings, window: WindowStatistics, resilience: ResilienceFit) -> Float64Array1D:
    """Estimate gamma into ``found`` and return its bootstrap draws, (200,) P/share; empty when there are none."""
    resampling = window.resampling()
    half_life_s = inf if resilience.is_slow else resilience.half_life_s
    fit = fit_lags(*_sums(window, "lag"), resampling=resampling, half_life_s=half_life_s)
    wide = fit_lags(
        *_sums(window, "wide"),
        resampling=resampling,
        edges=WIDE_LAG_EDGES,
        bucket_s=WIDE_BUCKET_S,
        half_life_s=half_life_s,
    )
    _note_sides(found, window)
    found.diagnostics |= {
        "r2": fit.r2,
        "gamma_own": fit.gamma,
        "gamma_se": fit.se,
        "gamma_hac_se": fit.hac_se,
        "gamma_t": fit.gamma_t,
        "gamma_wide": wide.gamma,
        "lead_t": fit.lead_t,
        "horizon_s": fit.horizon_s,
    }
    found.flag("clock_lead", when=fit.lead_t is not None and abs(fit.lead_t) > SUSPICIOUS_T)
    found.flag("bucket_sensitive", when=_depends_on_bucket(fit, wide))
    is_slow = n_groups(half_life_s, LAG_EDGES, BUCKET_S) is None
    _judge(found, window, fit, resampling, is_slow=is_slow)
    if "gamma" in found.values and resilience.half_life_s is None and _still_fades(window, fit, resampling):
        hours = LONGEST_HALF_LIFE_S * HALF_LIVES / 3_600
        found.refuse(
            "gamma", f"it shrinks as up to {hours:g} h of flow are counted: part of it fades", "slow_resilience"
        )
        found.refuse("sigma", "part of the impact fades over more than the moves it is measured on")
    return fit.draws


def _sums(window: WindowStatistics, design: str) -> list[Float64Array1D]:
    return [window.blocks(f"{design}_{name}") for name in ("xtx", "xty", "yty")]


def _note_sides(found: Findings, window: WindowStatistics) -> None:
    n_trades, n_unsigned = window.count("n_trades"), window.count("n_unsigned")
    share = n_unsigned / n_trades if n_trades else 0.0
    counts = SideCounts(n_unsigned, window.count("n_side_checked"), window.count("n_side_agreeing"))
    found.diagnostics["side_attenuation"] = attenuation(counts, share)
    found.flag("no_side", when=share > MOST_RULE_SIGNED)


def _depends_on_bucket(fit: LagFit, wide: LagFit) -> bool:
    """Whether 5-minute buckets give clearly another gamma: traders who chase the price do that."""
    if fit.gamma is None or wide.gamma is None or not len(fit.draws):
        return False
    gap = wide.gamma - fit.gamma
    return abs(gap) > MOST_BUCKET_GAP * abs(fit.gamma) and abs(gap) > SUSPICIOUS_T * float(
        np.nanstd(wide.draws - fit.draws, ddof=1)
    )


def _still_fades(window: WindowStatistics, fit: LagFit, resampling: Resampling) -> bool:
    """Whether gamma is clearly smaller once three hours of flow are counted: then impact that fades is among it."""
    longest = fit_lags(*_sums(window, "lag"), resampling=resampling, half_life_s=LONGEST_HALF_LIFE_S)
    if fit.gamma is None or longest.gamma is None or not len(longest.draws):
        return False
    gap = fit.gamma - longest.gamma
    return gap > MOST_BUCKET_GAP * abs(fit.gamma) and gap > SUSPICIOUS_T * float(
        np.nanstd(fit.draws - longest.draws, ddof=1)
    )


def _judge(found: Findings, window: WindowStatistics, fit: LagFit, resampling: Resampling, *, is_slow: bool) -> None:
    if not window.count("n_trades"):
        found.refuse("gamma", "there are no trades in the window")
    elif fit.gamma is None:
        found.refuse("gamma", fit.reason or "not identified", "slow_resilience" if is_slow else None)
    elif (problem := _problem(found, fit, fit.gamma, max(LEAST_T, student_t(resampling.n_effective - 1)))) is not None:
        found.refuse("gamma", *problem)
    else:
        assert fit.se is not None
        reach = student_t(resampling.n_effective - 1) * fit.se
        found.values["gamma"] = Measured(fit.gamma, fit.gamma - reach, fit.gamma + reach)


def _problem(found: Findings, fit: LagFit, gamma: float, least_t: float) -> tuple[str, str | None] | None:
    """Return why an estimate of gamma must not be used, and its flag; its interval must lie above zero."""
    if fit.r2 is None:
        return "flow does not explain the moves of the mid: it did not move", None
    if gamma <= 0:
        return f"the estimate {gamma:.3g} P/share is not positive", "gamma_nonpos"
    if fit.gamma_t is None or fit.gamma_t < least_t:
        t = "unknown" if fit.gamma_t is None else f"{fit.gamma_t:.2f}"
        return f"flow does not explain the moves of the mid: t is {t}, {least_t:.2g} is needed", None
    slope = found.values.get("book_slope")
    if slope is not None and gamma >= 2 * slope.value:
        text = f"{gamma:.3g} P/share is not below twice the book slope {slope.value:.3g}: no schedule would be optimal"
        return text, "gamma_ge_2b"
    return None
