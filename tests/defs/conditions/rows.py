"""Result rows for the tests of conditions: a good one of each kind, and frames of them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

DAY = datetime(2026, 3, 5, tzinfo=UTC)


def frame(*rows: Mapping[str, Any]) -> pd.DataFrame:
    made = pd.DataFrame(list(rows))
    made["timestamp"] = pd.to_datetime(made["timestamp"], utc=True)
    return made


VALUES = {"sigma": 0.03, "gamma": 3e-6, "epsilon": 0.0055, "book_slope": 7e-6, "eta": 1.5e-7, "resilience_rate": None}


def parameters(**changes: Any) -> dict[str, Any]:
    """Return a sound row of parameters, with an interval of 10 % to each side, and some cells changed."""
    known = {name: value for name, value in VALUES.items() if value is not None}
    return {
        "timestamp": DAY,
        "usable_from": DAY + timedelta(days=1),
        "status": "ok",
        "reasons": "[]",
        "sigma_x": None,
        "fee_per_share": 0.0,
        "pool_weight": None,
        **VALUES,
        **{f"{name}_ci_low": 0.9 * known[name] if name in known else None for name in VALUES},
        **{f"{name}_ci_high": 1.1 * known[name] if name in known else None for name in VALUES},
        **{f"{name}_source": "own" if name in known else "refused" for name in VALUES},
        **changes,
    }


def earlier(n: int, **changes: Any) -> pd.DataFrame:
    """Return the rows of the n days before DAY."""
    return frame(*({**parameters(**changes), "timestamp": DAY - timedelta(days=k + 1)} for k in range(n)))
