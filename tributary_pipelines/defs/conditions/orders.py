"""Conditions on plans and replays: nothing is lost on the way, costs add up, and nothing looks ahead."""

from datetime import datetime, timedelta
from math import isclose

import numpy as np
import pandas as pd

from tributary_pipelines.core.units import iso_z
from tributary_pipelines.defs.conditions.violations import SUM_TOLERANCE, Violations, as_list


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
            isclose(quantities.sum(), row["shares"], rel_tol=SUM_TOLERANCE), f"{name}: slices do not sum to the order"
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
        whole = isclose(row["filled"] + row["unfilled"], row["shares"], rel_tol=SUM_TOLERANCE)
        found.expect(whole, f"{name}: filled and unfilled do not add up to the order")
        found.prefer(row["unfilled"] <= SUM_TOLERANCE * row["shares"], f"{name}: {row['unfilled']:.6g} shares unfilled")
    return found
