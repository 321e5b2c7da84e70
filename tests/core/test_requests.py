"""Requests: what can be asked, and what is refused before anything is read."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from tributary_pipelines.core.requests import (
    ExplicitParameters,
    PlanRequest,
    RiskChoice,
    SimulationRequest,
    SyntheticRequest,
)
from tributary_pipelines.core.violations import explain_violations

ORDER = {"side": "buy", "shares": 100, "horizon_s": 3600, "n_slices": 4}
EXPLICIT = {"sigma": 1, "gamma": 0, "eta": 1e-6, "epsilon": 0.01}
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_plan_needs_a_market_or_parameters() -> None:
    assert PlanRequest(**ORDER, market="m").strategy == "ac"
    assert PlanRequest(**ORDER, parameters=EXPLICIT).parameters == ExplicitParameters(**EXPLICIT)
    with pytest.raises(ValidationError, match="give a market, or sigma, gamma, eta and epsilon"):
        PlanRequest(**ORDER)


@pytest.mark.parametrize(
    "changes",
    [
        {"shares": 0},
        {"shares": float("nan")},
        {"horizon_s": -1},
        {"n_slices": 0},
        {"side": "hold"},
        {"slices": 3},
        {"parameters": EXPLICIT | {"eta": 0}},
        {"risk": {"lvar_confidence": 0.5}},
    ],
)
def test_an_order_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        PlanRequest(**{**ORDER, "market": "m", **changes})


def test_risk_is_chosen_in_at_most_one_way() -> None:
    assert not RiskChoice().is_given
    assert RiskChoice(urgency=0).is_given
    with pytest.raises(ValidationError, match="not risk_aversion and urgency"):
        RiskChoice(risk_aversion=1, urgency=1)


def test_a_simulation_cannot_use_parameters_from_the_future() -> None:
    request = {**ORDER, "market": "m", "start": START}
    assert SimulationRequest(**request).refill == "calibrated"
    assert SimulationRequest(**request, as_of=date(2026, 3, 1)).as_of == date(2026, 3, 1)
    with pytest.raises(ValidationError, match="parameters from the future"):
        SimulationRequest(**request, as_of=date(2026, 3, 2))
    east = datetime(2026, 3, 2, 1, tzinfo=timezone(timedelta(hours=9)))
    with pytest.raises(ValidationError, match="parameters from the future"):
        SimulationRequest(**{**request, "start": east}, as_of=date(2026, 3, 2))
    with pytest.raises(ValidationError, match="timezone"):
        SimulationRequest(**{**request, "start": datetime(2026, 3, 1)})  # noqa: DTZ001


def test_a_synthetic_market_needs_a_name_days_and_a_seed() -> None:
    values = {"market_id": "m", "n_days": 1, "trades_per_hour": 3, "seed": 0, "start": date(2026, 3, 1)}
    assert SyntheticRequest(**values).options == {}
    for changes in ({"market_id": ""}, {"n_days": 0}, {"trades_per_hour": 0}, {"seed": -1}):
        with pytest.raises(ValidationError, match=next(iter(changes))):
            SyntheticRequest(**{**values, **changes})


def test_violations_are_all_told_without_the_values() -> None:
    with pytest.raises(ValidationError) as error:
        PlanRequest(**{**ORDER, "shares": -12345, "market": "m", "parameters": EXPLICIT | {"sigmma": 54321}, "zz": 1})
    told = explain_violations(PlanRequest, error.value)
    assert "shares: Input should be greater than 0" in told
    assert "unknown key 'parameters.sigmma'; did you mean 'sigma'?" in told
    assert "unknown key 'zz'; known keys: as_of, " in told
    assert "12345" not in told
    assert "54321" not in told
