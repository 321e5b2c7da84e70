"""Every condition, on rows that hold it and on rows that break it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tributary_pipelines.defs import conditions
from tributary_pipelines.storage.base import TableState

DAY = datetime(2026, 3, 5, tzinfo=UTC)
DAY_S = 86_400.0


def frame(*rows: Mapping[str, Any]) -> pd.DataFrame:
    made = pd.DataFrame(list(rows))
    made["timestamp"] = pd.to_datetime(made["timestamp"], utc=True)
    return made


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


VALUES = {"sigma": 0.03, "gamma": 3e-6, "epsilon": 0.0055, "book_slope": 7e-6, "eta": 1.5e-7, "resilience_rate": None}
PARAMETERS: dict[str, Any] = {
    "timestamp": DAY,
    "usable_from": DAY + timedelta(days=1),
    "status": "ok",
    "reasons": "[]",
    **VALUES,
    **{f"{name}_ci_low": None for name in VALUES},
    **{f"{name}_ci_high": None for name in VALUES},
}


def earlier(n: int, **values: float) -> pd.DataFrame:
    return frame(*({**PARAMETERS, **values, "timestamp": DAY - timedelta(days=k + 1)} for k in range(n)))


def test_good_parameters_pass() -> None:
    assert conditions.check_parameters(frame(PARAMETERS), earlier(10)).are_none


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gamma": 1.4e-5}, "not below 2 b"),
        ({"sigma": None}, "sigma is missing"),
        ({"sigma": -0.1}, "must be positive"),
        ({"eta": 0.0}, "eta = 0 must be positive"),
        ({"epsilon": float("inf")}, "epsilon is not finite"),
        ({"usable_from": DAY}, "usable before its window ends"),
    ],
)
def test_bad_parameters_are_errors(change: dict[str, Any], said: str) -> None:
    found = conditions.check_parameters(frame({**PARAMETERS, **change}), earlier(10))
    assert any(said in error for error in found.errors), found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "refused", "reasons": json.dumps(["too few trades"])}, "refused: too few trades"),
        ({"sigma_ci_low": 0.0, "sigma_ci_high": 0.05}, "interval of sigma is wider than its value"),
        ({"sigma": 0.1}, "sigma = 0.1 drifted from its trailing median 0.03"),
        ({"gamma": 0.9e-6}, "gamma = 9e-07 drifted"),
    ],
)
def test_parameters_to_look_at_are_warnings(change: dict[str, Any], said: str) -> None:
    found = conditions.check_parameters(frame({**PARAMETERS, **change}), earlier(10))
    assert not found.errors
    assert any(said in warning for warning in found.warnings), found


def test_drift_needs_a_history() -> None:
    assert conditions.check_parameters(frame({**PARAMETERS, "sigma": 0.1}), earlier(4)).are_none


def test_days_without_parameters_are_an_error() -> None:
    assert conditions.check_parameters(frame(PARAMETERS).head(0), earlier(3)).errors


SHOWN = {"2026-03-05": {"status": "ok", **{name: value for name, value in VALUES.items() if value is not None}}}


def test_a_history_equal_to_the_table_passes() -> None:
    assert conditions.check_history(frame(PARAMETERS), SHOWN).are_none  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sigma": 0.031}, "differ in sigma"),
        ({"sigma": 0.030000000000000002}, "differ in sigma"),
        ({"status": "pooled"}, "differ in status"),
        ({"status": "refused"}, "differ in status, sigma, gamma, epsilon, book_slope, eta"),
        ({"resilience_rate": 3.0}, "differ in resilience_rate"),
    ],
)
def test_a_history_that_differs_is_an_error(change: dict[str, Any], said: str) -> None:
    found = conditions.check_history(frame({**PARAMETERS, **change}), SHOWN)  # type: ignore[arg-type]
    assert any(said in error for error in found.errors), found


def test_a_day_that_only_one_side_knows_is_a_warning() -> None:
    assert "only in the result table" in conditions.check_history(frame(PARAMETERS), {}).warnings[0]
    other = conditions.check_history(frame(PARAMETERS).head(0), SHOWN)  # type: ignore[arg-type]
    assert "only in Dagster's history" in other.warnings[0]


PLAN: dict[str, Any] = {
    "timestamp": DAY,
    "order_id": "buy-100",
    "status": "ok",
    "reasons": "[]",
    "shares": 100.0,
    "slice_quantities": np.array([60.0, 40.0]),
    "expected_cost": 10.0,
    "cost_permanent": 4.0,
    "cost_spread": 3.0,
    "cost_temporary": 2.0,
    "cost_fees": 1.0,
    "usable_from": DAY + timedelta(days=1),
}


def test_good_plans_pass() -> None:
    assert conditions.check_plans(frame(PLAN)).are_none


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"slice_quantities": np.array([60.0, 39.0])}, "do not sum to the order"),
        ({"slice_quantities": np.array([140.0, -40.0])}, "a slice is negative"),
        ({"cost_fees": 2.0}, "cost parts do not add up"),
        ({"usable_from": DAY + timedelta(days=2)}, "parameters of a later day"),
    ],
)
def test_bad_plans_are_errors(change: dict[str, Any], said: str) -> None:
    assert any(said in error for error in conditions.check_plans(frame({**PLAN, **change})).errors)


def test_refused_and_missing_plans_are_warnings() -> None:
    refused = conditions.check_plans(frame({**PLAN, "status": "refused", "reasons": '["no parameters"]'}))
    assert refused.warnings == ["2026-03-05 buy-100: refused: no parameters"]
    assert conditions.check_plans(frame(PLAN).head(0)).warnings


REPLAY: dict[str, Any] = {
    "timestamp": DAY + timedelta(hours=12),
    "order_id": "buy-100",
    "status": "ok",
    "reasons": "[]",
    "shares": 100.0,
    "filled": 100.0,
    "unfilled": 0.0,
    "fill_quantities": np.array([50.0, 50.0]),
    "usable_from": DAY,
}


def test_good_replays_pass_with_and_without_parameters() -> None:
    assert conditions.check_simulations(frame(REPLAY)).are_none
    assert conditions.check_simulations(frame({**REPLAY, "usable_from": None})).are_none


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fill_quantities": np.array([50.0, 49.0])}, "fills do not sum to filled"),
        ({"shares": 101.0}, "do not add up to the order"),
        ({"usable_from": DAY + timedelta(days=1)}, "look ahead"),
        ({"usable_from": DAY + timedelta(days=1), "status": "refused"}, "look ahead"),
    ],
)
def test_bad_replays_are_errors(change: dict[str, Any], said: str) -> None:
    assert any(said in error for error in conditions.check_simulations(frame({**REPLAY, **change})).errors)


def test_an_unfilled_rest_is_a_warning() -> None:
    row = {**REPLAY, "filled": 90.0, "unfilled": 10.0, "fill_quantities": np.array([90.0])}
    found = conditions.check_simulations(frame(row))
    assert (found.errors, found.warnings) == ([], ["2026-03-05 buy-100: 10 shares unfilled"])


def test_a_live_table_passes_and_a_suspended_or_empty_one_does_not() -> None:
    assert conditions.check_table(TableState("trades", 5, DAY, is_suspended=False)).are_none
    assert "suspended" in conditions.check_table(TableState("trades", 5, DAY, is_suspended=True)).errors[0]
    assert "is empty" in conditions.check_table(TableState("trades", 0, None, is_suspended=False)).warnings[0]


@pytest.mark.parametrize(("listed", "texts"), [('["a", "b"]', ["a", "b"]), (["a"], ["a"]), (None, [])])
def test_reasons_are_read_from_json_and_lists(listed: object, texts: list[str]) -> None:
    assert list(conditions.as_list(listed)) == texts
