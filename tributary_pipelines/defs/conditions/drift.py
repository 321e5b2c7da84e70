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
from datetime import datetime, timedelta
from math import hypot

import numpy as np
import pandas as pd

from tributary_pipelines.core.units import PARAMETER_UNITS
from tributary_pipelines.defs.conditions.violations import Violations

TRAILING_DAYS = 60
FEWEST_DAYS = 5
#: Nobody trades differently for less, however narrow the intervals are.
_LEAST_CHANGE = 0.01
#: eta is book_slope times a setting: it says nothing of its own.
_COMPARED = tuple(name for name in PARAMETER_UNITS if name != "eta")
_ENDS = ["value", "low", "high"]


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
            is_before = (before["timestamp"] < at) & (before["timestamp"] >= at - timedelta(days=TRAILING_DAYS))
            known = before.loc[is_before & (before["compared"] == compared), _ENDS]
            if len(known) < FEWEST_DAYS:
                continue
            usual = Level(*(float(known[end].median()) for end in _ENDS))
            factor = f"is {now.value / usual.value:.3g} times" if usual.value > 0 else "left"
            found.prefer(
                not drifted(now, usual),
                f"{at:%Y-%m-%d}: drift: {compared} = {now} {factor} its trailing median {usual} over {len(known)} "
                "days: farther than both intervals explain",
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


def _each(levels: pd.DataFrame) -> Iterator[tuple[datetime, str, Level]]:
    for at, compared, *ends in levels.itertuples(index=False):
        yield at, compared, Level(*ends)


def _levels(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return timestamp, what is compared by its name, value, low and high, of the rows that have an interval.

    What the last price alone explains is taken out: between declared bounds sigma follows the last mid, and a fee may;
    the volatility of the state and the half-spread do not.
    """
    levels = rows[[name, f"{name}_ci_low", f"{name}_ci_high"]].astype(float).set_axis(_ENDS, axis=1)
    levels.insert(0, "timestamp", rows["timestamp"])
    levels.insert(1, "compared", name)
    if name == "sigma":
        state = rows["sigma_x"].astype(float)
        is_scaled = state.notna() & (levels["value"] > 0)
        scale = np.where(is_scaled, state / levels["value"], 1.0)
        levels[_ENDS] = levels[_ENDS].mul(scale, axis=0)
        levels.loc[is_scaled, "compared"] = "sigma_x"
    if name == "epsilon":
        fee = rows["fee_per_share"].astype(float).fillna(0.0)
        levels[_ENDS] = levels[_ENDS].sub(fee, axis=0)
        levels.loc[fee != 0, "compared"] = "epsilon without its fee"
    return levels.replace([np.inf, -np.inf], np.nan).dropna(subset=_ENDS)
