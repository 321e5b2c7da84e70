"""Plans and replays that hold their conditions, and some that break them."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.defs.conditions.rows import DAY, frame
from tributary_pipelines.defs import conditions

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
