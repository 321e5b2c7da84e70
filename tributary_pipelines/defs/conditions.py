"""The conditions that the rows of each stage must hold, as plain functions from rows to what they violate.

Errors would make downstream wrong; warnings are for a person to look at. No Dagster and no reading here, so that a
good and a bad frame are all a test needs. Thresholds are our choice, with the reason beside each.
"""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isclose, isfinite
from typing import Any

import numpy as np
import pandas as pd

from tributary_pipelines.analytics import bars as analytics_bars
from tributary_pipelines.core.units import PARAMETER_UNITS, iso_z
from tributary_pipelines.storage.base import TableState

#: Sums of doubles over a day differ by rounding alone.
_SUM_TOLERANCE = 1e-9
#: A 95 % interval wider than the estimate itself says little more than its sign.
_WIDEST_INTERVAL = 1.0
#: A window of 30 days moves slowly: a parameter three times off its trailing median means new data or a fault.
_DRIFT_FACTOR = 3.0
_FEWEST_FOR_DRIFT = 5
_POSITIVE = ("sigma", "epsilon", "book_slope", "eta", "resilience_rate")

#: One result row by column name.
Row = Mapping[Hashable, Any]


@dataclass(slots=True)
class Violations:
    """What was found, in words."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def are_none(self) -> bool:
        """Whether every condition holds."""
        return not self.errors and not self.warnings

    def expect(self, holds: bool, message: str) -> None:
        """Record an error unless the condition holds."""
        if not holds:
            self.errors.append(message)

    def prefer(self, holds: bool, message: str) -> None:
        """Record a warning unless the condition holds."""
        if not holds:
            self.warnings.append(message)


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
    return stored[0] == tape[0] and isclose(stored[1], tape[1], rel_tol=_SUM_TOLERANCE)


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


def check_parameters(rows: pd.DataFrame, trailing: pd.DataFrame) -> Violations:
    """Check stored parameters (rows of ALMGREN_CHRISS_PARAMETERS, one token) and their drift against earlier rows."""
    found = Violations()
    found.expect(len(rows) > 0, "no parameters are stored for these days; materialise them")
    for row in rows.to_dict("records"):
        day = f"{row['timestamp']:%Y-%m-%d}"
        found.expect(
            row["usable_from"] >= row["timestamp"] + timedelta(days=1), f"{day}: usable before its window ends"
        )
        if row["status"] == "refused":
            found.warnings.append(f"{day}: refused: {'; '.join(as_list(row['reasons'])) or 'no reason given'}")
            continue
        _check_values(found, day, row)
        _check_drift(found, day, row, trailing[trailing["timestamp"] < row["timestamp"]])
    return found


def _check_values(found: Violations, day: str, row: Row) -> None:
    values = {name: _number(row[name]) for name in PARAMETER_UNITS}
    for name in ("sigma", "gamma", "epsilon", "book_slope"):
        found.expect(values[name] is not None, f"{day}: {name} is missing and the status is {row['status']}")
    for name, value in values.items():
        if value is None:
            continue
        found.expect(isfinite(value), f"{day}: {name} is not finite")
        found.expect(value > 0 or name not in _POSITIVE, f"{day}: {name} = {value:.6g} must be positive")
        low, high = _number(row[f"{name}_ci_low"]), _number(row[f"{name}_ci_high"])
        if low is not None and high is not None:
            width = high - low
            found.prefer(
                width <= _WIDEST_INTERVAL * abs(value), f"{day}: the interval of {name} is wider than its value"
            )
    gamma, slope = values["gamma"], values["book_slope"]
    if gamma is not None and slope is not None:
        found.expect(gamma < 2 * slope, f"{day}: gamma {gamma:.6g} is not below 2 b = {2 * slope:.6g}")


def _check_drift(found: Violations, day: str, row: Row, earlier: pd.DataFrame) -> None:
    for name in PARAMETER_UNITS:
        value, known = _number(row[name]), earlier[name].dropna().astype(float)
        if value is None or len(known) < _FEWEST_FOR_DRIFT:
            continue
        median = float(known.median())
        within = median / _DRIFT_FACTOR <= value <= median * _DRIFT_FACTOR
        found.prefer(
            median <= 0 or within, f"{day}: {name} = {value:.6g} drifted from its trailing median {median:.6g}"
        )


def check_history(rows: pd.DataFrame, shown: Mapping[str, Mapping[str, float | str]]) -> Violations:
    """Check that the parameter history in Dagster's metadata equals the result table.

    Parameters
    ----------
    rows
        Rows of ALMGREN_CHRISS_PARAMETERS, one token.
    shown
        Newest metadata by day (``YYYY-MM-DD``): status and the parameters as numbers.
    """
    found = Violations()
    stored = {f"{row['timestamp']:%Y-%m-%d}": row for row in rows.to_dict("records")}
    for day in sorted(stored.keys() | shown.keys()):
        if day not in stored or day not in shown:
            where = "in the result table" if day in stored else "in Dagster's history"
            found.prefer(False, f"{day}: parameters are only {where}; materialise the day again")
            continue
        differing = [key for key in ("status", *PARAMETER_UNITS) if not _same(stored[day], shown[day], key)]
        found.expect(not differing, f"{day}: Dagster's history and the result table differ in {', '.join(differing)}")
    return found


def _same(row: Row, shown: Mapping[str, float | str], key: str) -> bool:
    if key == "status":
        return bool(row[key] == shown.get(key))
    stored = None if row["status"] == "refused" else _number(row[key])
    return stored == shown.get(key)


def check_plans(rows: pd.DataFrame) -> Violations:
    """Check stored plans (rows of EXECUTION_PLANS, one token): they sum to the order and their costs add up."""
    found = Violations()
    found.prefer(len(rows) > 0, "no plans are stored for these days; materialise them")
    for row in rows.to_dict("records"):
        name = f"{row['timestamp']:%Y-%m-%d} {row['order_id']}"
        if row["status"] == "refused":
            found.warnings.append(f"{name}: refused: {'; '.join(as_list(row['reasons']))}")
            continue
        quantities = np.asarray(row["slice_quantities"], dtype=float)
        found.expect(
            isclose(quantities.sum(), row["shares"], rel_tol=_SUM_TOLERANCE), f"{name}: slices do not sum to the order"
        )
        found.expect(bool((quantities >= 0).all()), f"{name}: a slice is negative")
        parts = sum(row[f"cost_{part}"] for part in ("permanent", "spread", "temporary", "fees"))
        found.expect(
            isclose(parts, row["expected_cost"], rel_tol=1e-9, abs_tol=1e-9), f"{name}: cost parts do not add up"
        )
        known_in_time = row["usable_from"] <= row["timestamp"] + timedelta(days=1)
        found.expect(bool(known_in_time), f"{name}: made from parameters of a later day")
    return found


def check_simulations(rows: pd.DataFrame) -> Violations:
    """Check stored replays (rows of EXECUTION_SIMULATIONS, one token): conservation, and nothing looks ahead."""
    found = Violations()
    found.prefer(len(rows) > 0, "no simulations are stored for these days; materialise them")
    for row in rows.to_dict("records"):
        day: datetime = row["timestamp"].normalize()
        name = f"{day:%Y-%m-%d} {row['order_id']}"
        usable_from = row["usable_from"]
        if not pd.isna(usable_from):
            found.expect(usable_from <= day, f"{name}: parameters usable from {iso_z(usable_from)} look ahead")
        if row["status"] == "refused":
            found.warnings.append(f"{name}: refused: {'; '.join(as_list(row['reasons']))}")
            continue
        fills = np.asarray(row["fill_quantities"], dtype=float)
        found.expect(
            isclose(fills.sum(), row["filled"], rel_tol=1e-9, abs_tol=1e-9), f"{name}: fills do not sum to filled"
        )
        whole = isclose(row["filled"] + row["unfilled"], row["shares"], rel_tol=_SUM_TOLERANCE)
        found.expect(whole, f"{name}: filled and unfilled do not add up to the order")
        found.prefer(
            row["unfilled"] <= _SUM_TOLERANCE * row["shares"], f"{name}: {row['unfilled']:.6g} shares unfilled"
        )
    return found


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


def as_list(listed: object) -> Sequence[str]:
    """Return the texts of a result column that holds a JSON list."""
    if isinstance(listed, str):
        return [str(item) for item in json.loads(listed)]
    return [str(item) for item in listed] if isinstance(listed, list | tuple) else []


def _number(value: Any) -> float | None:
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    number = float(value)
    return None if np.isnan(number) else number
