"""Conditions on what stands nearest to the market: raw tables, VWAP bars and daily statistics."""

from datetime import datetime
from math import isclose

import numpy as np
import pandas as pd

from tributary_pipelines.analytics import bars as analytics_bars
from tributary_pipelines.defs.conditions.violations import SUM_TOLERANCE, Violations
from tributary_pipelines.storage.base import TableState


def check_table(state: TableState) -> Violations:
    """Check one raw table: its WAL is applied and it holds rows."""
    found = Violations()
    found.expect(
        not state.is_suspended, f"table {state.table} is suspended: writes are accepted and not applied; resume its WAL"
    )
    found.prefer(
        state.n_rows > 0, f"table {state.table} is empty; data comes in by 'tributary import' or the collector"
    )
    return found


def check_bars(bars: pd.DataFrame, tape: pd.DataFrame, *, start: datetime, width_s: float) -> Violations:
    """Check stored bars against themselves and against the tape as it is now.

    Parameters
    ----------
    bars
        Rows of VWAP_BARS, one token; some days before ``start`` may come first.
    tape
        The same token's and days' bars of width 1d, made anew: late data shows up as a difference.
    start
        First moment of the days that are checked; of the days before, only those with stored bars are compared.
    width_s
        Width of the stored bars, s.
    """
    own = bars[bars["timestamp"] >= start]
    found = Violations(errors=analytics_bars.check_bars(own, width_s=width_s))
    stored, traded = _by_day(bars), _by_day(tape)
    first = f"{start:%Y-%m-%d}"
    for day in sorted(stored.keys() | traded.keys()):
        agrees = _equal_sums(stored.get(day), traded.get(day))
        message = f"{day}: the bars do not add up to the tape (late or removed trades); materialise the day again"
        if day >= first:
            found.expect(agrees, message)
        elif day in stored:
            found.prefer(agrees, message)
    found.prefer(any(day >= first for day in traded), "no trades in these days")
    return found


def _by_day(bars: pd.DataFrame) -> dict[str, tuple[int, float]]:
    sums = bars.groupby(bars["timestamp"].dt.strftime("%Y-%m-%d"))[["n_trades", "volume"]].sum()
    return {str(day): (int(n), float(volume)) for day, n, volume in sums.itertuples()}


def _equal_sums(stored: tuple[int, float] | None, tape: tuple[int, float] | None) -> bool:
    if stored is None or tape is None:
        return False
    return stored[0] == tape[0] and isclose(stored[1], tape[1], rel_tol=SUM_TOLERANCE)


def check_statistics(rows: pd.DataFrame, *, min_coverage: float, day_length_s: float) -> Violations:
    """Check stored daily statistics (rows of IMPACT_STATISTICS, one token)."""
    found = Violations()
    found.prefer(len(rows) > 0, "no statistics: these days hold no market data")
    for row in rows.to_dict("records"):
        day = f"{row['timestamp']:%Y-%m-%d}"
        found.expect(row["n_usable"] <= row["n_snapshots"], f"{day}: more usable snapshots than snapshots")
        found.expect(row["n_unsigned"] <= row["n_trades"], f"{day}: more unsigned trades than trades")
        found.expect(
            0 <= row["covered_s"] <= day_length_s, f"{day}: covered time {row['covered_s']} s is no part of a day"
        )
        found.expect(_all_at_least_zero(row["move_sq"]), f"{day}: a sum of squared moves is negative or not finite")
        found.expect(_all_at_least_zero(row["lag_yty"]), f"{day}: y'y is negative or not finite")
        found.prefer(
            row["covered_s"] >= min_coverage * day_length_s,
            f"{day}: order books cover {row['covered_s'] / day_length_s:.0%} of the day, less than {min_coverage:.0%}",
        )
        found.prefer(row["n_trades"] > 0, f"{day}: no trades")
    return found


def _all_at_least_zero(values: object) -> bool:
    numbers = np.asarray(values, dtype=float)
    return bool(np.all(np.isfinite(numbers) & (numbers >= 0)))
