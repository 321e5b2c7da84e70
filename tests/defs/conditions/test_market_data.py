"""Raw tables, bars and daily statistics that hold their conditions, and some that break them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.defs.conditions.rows import DAY, frame
from tributary_pipelines.defs import conditions
from tributary_pipelines.storage.base import TableState

DAY_S = 86_400.0

BAR = {
    "timestamp": DAY + timedelta(hours=1),
    "market_id": "m",
    "token_id": "t",
    "open": 0.5,
    "high": 0.6,
    "low": 0.4,
    "close": 0.55,
    "vwap": 0.5,
    "volume": 10.0,
    "notional": 5.0,
    "signed_volume": 2.0,
    "n_trades": 3,
}
TAPE = frame({"timestamp": DAY, "volume": 10.0, "n_trades": 3})
EARLIER = frame({"timestamp": DAY - timedelta(days=1), "volume": 10.0, "n_trades": 3})
YESTERDAYS_BAR = {**BAR, "timestamp": BAR["timestamp"] - timedelta(days=1)}


def check_bars(bars: pd.DataFrame, tape: pd.DataFrame) -> conditions.Violations:
    return conditions.check_bars(bars, tape, start=DAY, width_s=60.0)


def test_good_bars_pass() -> None:
    assert check_bars(frame(BAR), TAPE).are_none
    assert check_bars(frame(BAR, YESTERDAYS_BAR), pd.concat([EARLIER, TAPE])).are_none


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vwap": 0.61, "notional": 6.1}, "open, close and vwap lie within low..high"),
        ({"open": 0.39}, "open, close and vwap lie within low..high"),
        ({"close": 0.7}, "open, close and vwap lie within low..high"),
        ({"volume": 0.0, "notional": 0.0}, "volume > 0"),
        ({"n_trades": 0}, "at least one trade"),
        ({"notional": 4.0}, "notional equals vwap times volume"),
        ({"timestamp": DAY + timedelta(seconds=30)}, "start on whole multiples of 60 s"),
        ({"volume": 9.0, "notional": 4.5}, "2026-03-05: the bars do not add up to the tape"),
        ({"n_trades": 2}, "2026-03-05: the bars do not add up to the tape"),
    ],
)
def test_bad_bars_fail(change: dict[str, Any], said: str) -> None:
    found = check_bars(frame({**BAR, **change}), TAPE)
    assert any(said in error for error in found.errors), found


def test_late_trades_of_the_days_before_are_a_warning() -> None:
    late = EARLIER.assign(n_trades=4)
    found = check_bars(frame(BAR, YESTERDAYS_BAR), pd.concat([late, TAPE]))
    assert found.errors == []
    assert found.warnings == [
        "2026-03-04: the bars do not add up to the tape (late or removed trades); materialise the day again"
    ]


def test_days_before_that_were_never_made_are_not_missed() -> None:
    assert check_bars(frame(BAR), pd.concat([EARLIER, TAPE])).are_none


def test_days_without_trades_are_a_warning() -> None:
    found = check_bars(frame(BAR).head(0), TAPE.head(0))
    assert (found.errors, found.warnings) == ([], ["no trades in these days"])


STATISTICS = {
    "timestamp": DAY,
    "n_trades": 100,
    "n_unsigned": 1,
    "n_snapshots": 1_440,
    "n_usable": 1_430,
    "covered_s": 80_000.0,
    "move_sq": np.array([0.0, 1e-6]),
    "lag_yty": np.array([1e-6]),
}


def check_statistics(row: Mapping[str, Any]) -> conditions.Violations:
    return conditions.check_statistics(frame(row), min_coverage=0.8, day_length_s=DAY_S)


def test_good_statistics_pass() -> None:
    assert check_statistics(STATISTICS).are_none


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_usable": 1_441}, "more usable snapshots"),
        ({"n_unsigned": 101}, "more unsigned trades"),
        ({"covered_s": 90_000.0}, "no part of a day"),
        ({"move_sq": np.array([-1.0])}, "squared moves"),
        ({"lag_yty": np.array([np.nan])}, "y'y"),
    ],
)
def test_wrong_statistics_are_errors(change: dict[str, Any], said: str) -> None:
    assert any(said in error for error in check_statistics({**STATISTICS, **change}).errors)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"covered_s": 40_000.0}, "cover 46% of the day, less than 80%"), ({"n_trades": 0, "n_unsigned": 0}, "no trades")],
)
def test_poor_days_are_warnings(change: dict[str, Any], said: str) -> None:
    found = check_statistics({**STATISTICS, **change})
    assert not found.errors
    assert any(said in warning for warning in found.warnings)


def test_a_live_table_passes_and_a_suspended_or_empty_one_does_not() -> None:
    assert conditions.check_table(TableState("trades", 5, DAY, is_suspended=False)).are_none
    assert "suspended" in conditions.check_table(TableState("trades", 5, DAY, is_suspended=True)).errors[0]
    assert "is empty" in conditions.check_table(TableState("trades", 0, None, is_suspended=False)).warnings[0]
