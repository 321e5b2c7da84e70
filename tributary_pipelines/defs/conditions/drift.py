"""Drift: a calibrated parameter that left its trailing median by more than chance explains.

Value v with its 95 % interval [l, h] is compared with m, the median of the values of the days before, and with the
medians of their lower and upper ends, [l_m, h_m]. It drifted when

    v > m and v - m > sqrt((v - l)^2 + (h_m - m)^2),    or    v < m and m - v > sqrt((h - v)^2 + (m - l_m)^2):

each then lies outside the other's interval, and farther than both errors explain together. Outside of each other alone
would warn on 5 % of the days of a market where nothing changes, this on 0.7 % (30-day windows, 60 trailing days, 20,000
simulated histories). Source: propagation of independent errors; windows that overlap differ by less than that, so a
sudden change has to be large, and a slow one shows once the windows of half of the trailing days are left behind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D
from tributary_pipelines.core.units import PARAMETER_UNITS
from tributary_pipelines.defs.conditions.violations import Violations

TRAILING_DAYS = 60
FEWEST_DAYS = 5
#: Nobody trades differently for less, however narrow the intervals are.
_LEAST_CHANGE = 0.01
#: eta is book_slope times a setting: it says nothing of its own.
_COMPARED = tuple(name for name in PARAMETER_UNITS if name != "eta")
_TRAILING = np.timedelta64(TRAILING_DAYS, "D")


@dataclass(frozen=True, slots=True)
class Level:
    """A value with the ends of its 95 % interval, or the medians of several."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.6g} (95 % interval {self.low:.4g} to {self.high:.4g})"


def check_drift(found: Violations, rows: pd.DataFrame, trailing: pd.DataFrame) -> None:
    """Warn of the parameters of these rows that drifted from the 60 days before each.

    A value without an interval is neither compared nor part of a median: nothing says how much of its change is
    chance. Fewer than five days with intervals are no history yet.

    Parameters
    ----------
    found
        Takes the warnings.
    rows, trailing
        Rows of ALMGREN_CHRISS_PARAMETERS of one token; of ``trailing`` only what is older than a row counts for it.
    """
    for name in _COMPARED:
        before = _levels(name, trailing)
        for at, compared, now in _each(_levels(name, rows)):
            is_before = (before.at < at) & (before.at >= at - _TRAILING) & (before.compared == compared)
            n_days = np.count_nonzero(is_before)
            if n_days < FEWEST_DAYS:
                continue
            usual = Level(*np.median(before.ends[is_before], axis=0).tolist())
            factor = f"is {now.value / usual.value:.3g} times" if usual.value > 0 else "left"
            found.prefer(
                not drifted(now, usual),
                f"{at.astype('datetime64[D]')}: drift: {compared} = {now} {factor} its trailing median {usual} over "
                f"{n_days} days: farther than both intervals explain",
            )


def drifted(now: Level, usual: Level) -> bool:
    """Whether a value lies farther from the usual one than both intervals explain together, and by at least 1 %.

    Examples
    --------
    >>> usual = Level(10.0, 7.0, 13.0)
    >>> drifted(Level(14.9, 10.9, 18.9), usual), drifted(Level(15.1, 11.1, 19.1), usual)
    (False, True)
    """
    change = now.value - usual.value
    if change > 0:
        explained = hypot(now.value - now.low, usual.high - usual.value)
    else:
        explained = hypot(now.high - now.value, usual.value - usual.low)
    return abs(change) > max(explained, _LEAST_CHANGE * abs(usual.value))


@dataclass(frozen=True, slots=True)
class _Levels:
    """Days that have an interval: their time, what is compared by its name, and value, low and high, (n, 3)."""

    at: NDArray[np.datetime64]
    compared: NDArray[np.object_]
    ends: Float64Array2D


def _each(levels: _Levels) -> Iterator[tuple[np.datetime64, str, Level]]:
    for at, compared, ends in zip(levels.at, levels.compared, levels.ends.tolist(), strict=True):
        yield at, compared, Level(*ends)


def _levels(name: str, rows: pd.DataFrame) -> _Levels:
    """Return the rows that have an interval.

    What the last price alone explains is taken out: between declared bounds sigma follows the last mid, and a fee may;
    the volatility of the state and the half-spread do not.
    """
    # Plain arrays: as pandas columns this took longer than calibrating the market.
    ends = np.column_stack([_numbers(rows, key) for key in (name, f"{name}_ci_low", f"{name}_ci_high")])
    compared = np.full(len(rows), name, object)
    if name == "sigma":
        state = _numbers(rows, "sigma_x")
        is_scaled = ~np.isnan(state) & (ends[:, 0] > 0)
        ends[is_scaled] *= (state[is_scaled] / ends[is_scaled, 0])[:, None]
        compared[is_scaled] = "sigma_x"
    if name == "epsilon":
        fee = _numbers(rows, "fee_per_share")
        fee = np.where(np.isnan(fee), 0.0, fee)
        ends -= fee[:, None]
        compared[fee != 0] = "epsilon without its fee"
    is_known = np.isfinite(ends).all(axis=1)
    at = rows["timestamp"].dt.tz_convert(None).to_numpy()
    return _Levels(at[is_known], compared[is_known], ends[is_known])


def _numbers(rows: pd.DataFrame, name: str) -> Float64Array1D:
    return np.array(rows[name].astype(float))
