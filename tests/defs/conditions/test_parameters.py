"""Parameters that hold their conditions, and some that break them; the history as Dagster shows it."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.defs.conditions.rows import DAY, VALUES, earlier, frame, parameters
from tributary_pipelines.defs import conditions

POOLED = {"status": "pooled", "gamma_source": "pooled", "pool_weight": 0.8}


def check(**changes: Any) -> conditions.Violations:
    return conditions.check_parameters(frame(parameters(**changes)), earlier(10))


@pytest.mark.parametrize("change", [{}, POOLED, {**POOLED, "pool_weight": 1.0}, {"epsilon_ci_low": 0.0055}])
def test_good_parameters_pass(change: dict[str, Any]) -> None:
    assert check(**change).are_none


def test_an_interval_without_width_may_miss_its_value_by_rounding() -> None:
    above = 0.0055 * (1 + 1e-15)
    assert check(epsilon_ci_low=above, epsilon_ci_high=above).are_none


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gamma": 1.4e-5, "gamma_ci_high": 1.5e-5}, "not below 2 b"),
        ({"gamma": 1.4e-5, "gamma_ci_high": 1.5e-5, **POOLED}, "not below 2 b"),
        ({"sigma": None}, "sigma is missing and the status is ok"),
        ({"sigma": None}, "sigma = None and its source is own"),
        ({"sigma": None}, "sigma has an interval and no value"),
        ({"eta_source": "refused"}, "eta = 1.5e-07 and its source is refused"),
        ({"sigma": -0.1}, "must be positive"),
        ({"eta": 0.0}, "eta = 0 must be positive"),
        ({"epsilon": float("inf")}, "epsilon is not finite"),
        ({"sigma_ci_high": float("inf")}, "the interval of sigma is not finite"),
        ({"gamma_ci_low": float("-inf")}, "the interval of gamma is not finite"),
        ({"sigma_ci_low": 0.031}, "sigma = 0.03 lies outside its interval 0.031 to 0.033"),
        ({"sigma_ci_high": 0.029}, "sigma = 0.03 lies outside its interval 0.027 to 0.029"),
        ({"sigma_ci_low": None}, "the interval of sigma has one end only"),
        ({"sigma_ci_high": None}, "the interval of sigma has one end only"),
        ({"book_slope_source": "pooled"}, "book_slope is pooled, only gamma may be"),
        ({"status": "pooled"}, "the status is pooled and gamma's source own"),
        ({**POOLED, "status": "ok"}, "the status is ok and gamma's source pooled"),
        ({**POOLED, "pool_weight": None}, "pooled with a weight of None"),
        ({**POOLED, "pool_weight": 0.0}, "pooled with a weight of 0.0"),
        ({**POOLED, "pool_weight": 1.01}, "pooled with a weight of 1.01"),
        ({"usable_from": DAY}, "usable before its window ends"),
    ],
)
def test_bad_parameters_are_errors(change: dict[str, Any], said: str) -> None:
    found = check(**change)
    assert any(said in error for error in found.errors), found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "refused", "reasons": json.dumps(["too few trades"])}, "2026-03-05: refused: too few trades"),
        ({"sigma_ci_low": 0.0, "sigma_ci_high": 0.05}, "interval of sigma is wider than its value"),
        ({"sigma_ci_low": None, "sigma_ci_high": None}, "sigma has no interval: how sure it is, is not known"),
        ({"sigma": 0.1, "sigma_ci_low": 0.09, "sigma_ci_high": 0.11}, "drift: sigma = 0.1"),
    ],
)
def test_parameters_to_look_at_are_warnings(change: dict[str, Any], said: str) -> None:
    found = check(**change)
    assert not found.errors
    assert any(said in warning for warning in found.warnings), found


def test_a_refused_row_is_not_held_to_the_rest() -> None:
    found = check(status="refused", sigma=0.1, sigma_ci_low=0.09, sigma_ci_high=0.11, gamma=1.0)
    assert (found.errors, found.warnings) == ([], ["2026-03-05: refused: no reason given"])


def test_days_without_parameters_are_an_error() -> None:
    assert conditions.check_parameters(frame(parameters()).head(0), earlier(3)).errors


SHOWN: dict[str, dict[str, float | str]] = {
    "2026-03-05": {"status": "ok", **{name: value for name, value in VALUES.items() if value is not None}}
}


def test_a_history_equal_to_the_table_passes() -> None:
    assert conditions.check_history(frame(parameters()), SHOWN).are_none


def test_the_history_of_a_series_is_compared_like_any_other() -> None:
    rows = frame(*(parameters(token_id="*", timestamp=DAY - timedelta(days=n)) for n in range(2)))
    shown = {"2026-03-05": SHOWN["2026-03-05"], "2026-03-04": {**SHOWN["2026-03-05"], "gamma": 4e-6}}
    found = conditions.check_history(rows, shown)
    assert found.errors == ["2026-03-04: Dagster's history and the result table differ in gamma"]


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
    found = conditions.check_history(frame(parameters(**change)), SHOWN)
    assert any(said in error for error in found.errors), found


def test_a_day_that_only_one_side_knows_is_a_warning() -> None:
    assert "only in the result table" in conditions.check_history(frame(parameters()), {}).warnings[0]
    other = conditions.check_history(frame(parameters()).head(0), SHOWN)
    assert "only in Dagster's history" in other.warnings[0]
