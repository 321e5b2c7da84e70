"""plan and simulate: every key, the numbers of the paper, refusals, and what bad input is told."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from tests.builders import (
    BRACKET_KEYS,
    FILL_KEYS,
    PAPER_MODEL,
    PAPER_ORDER,
    PAPER_RISK_AVERSION,
    PLAN_KEYS,
    PREDICTED_KEYS,
    REPLAY_KEYS,
    SHORTFALL_KEYS,
    assert_is_the_papers_plan,
    model_options,
    order_options,
)
from tests.cli.calling import answer_of, call, error_of
from tributary_pipelines.cli.output import number

PLAN = ("analytics", "plan", *order_options(PAPER_ORDER), *model_options(PAPER_MODEL))
SMALL = ("--shares", "600", "--side", "buy", "--horizon", "1h", "--slices", "6")
START = ("--start", "2026-03-06T12:00:00Z")
SIMULATE = ("analytics", "simulate", "--market", "toy", *SMALL, *START, "--as-of", "2026-03-06")
SIMULATION_KEYS = ("order", *REPLAY_KEYS, "result_id")


def plan(*changes: object, status: int = 0) -> Any:
    return answer_of(call(*PLAN, *changes, "--json"), status)


@pytest.mark.usefixtures("empty")
def test_a_plan_has_every_key_and_the_papers_numbers() -> None:
    assert_is_the_papers_plan(plan("--risk-aversion", PAPER_RISK_AVERSION))


@pytest.mark.usefixtures("empty")
def test_slices_start_at_their_interval_and_add_up() -> None:
    slices = plan("--urgency", "3")["slices"]
    assert [part["index"] for part in slices] == [1, 2, 3, 4, 5]
    assert [part["start_s"] for part in slices] == [86_400.0 * k for k in range(5)]
    assert math.fsum(part["quantity"] for part in slices) == 1_000_000
    assert slices[-1]["remaining"] == 0


@pytest.mark.usefixtures("empty")
def test_urgency_1_is_the_default() -> None:
    assert plan() == plan("--urgency", "1")
    assert plan()["urgency"] == 1


@pytest.mark.usefixtures("empty")
def test_risk_is_told_in_all_its_forms() -> None:
    plain = plan("--lvar-confidence", "0.95")
    assert plain["lvar"] == pytest.approx(1_877_135.64566, rel=1e-9)
    assert plain["risk_aversion"] == pytest.approx(1.69411352e-6, rel=1e-7)
    assert plain["lvar_confidence"] == 0.95


@pytest.mark.usefixtures("empty")
def test_twap_ignores_risk_options_with_a_warning() -> None:
    result = call(*PLAN, "--strategy", "twap", "--urgency", "3", "--json")
    plain = answer_of(result)
    assert "--urgency" in result.stderr
    assert plain["expected_cost"] == pytest.approx(662_500, rel=1e-12)
    assert plain["kappa_per_day"] is None
    quiet = call(*PLAN, "--strategy", "twap", "--json")
    assert quiet.stderr == ""
    assert answer_of(quiet)["slices"] == plain["slices"]


@pytest.mark.usefixtures("empty")
def test_an_explicit_plan_needs_no_store() -> None:
    plan()
    assert not Path(".tributary").exists()


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--shares", "-5"), "--shares"),
        (("--shares", "0"), "--shares"),
        (("--shares", "nan"), "--shares"),
        (("--shares", "inf"), "--shares"),
        (("--sigma", "nan"), "--sigma"),
        (("--sigma", "-1"), "--sigma"),
        (("--eta", "0"), "--eta"),
        (("--epsilon", "inf"), "--epsilon"),
        (("--resilience-rate", "0"), "--resilience-rate"),
        (("--slices", "0"), "--slices"),
        (("--horizon", "0s"), "--horizon"),
        (("--horizon", "1 fortnight"), "--horizon"),
        (("--urgency", "-1"), "--urgency"),
        (("--urgency", "nan"), "--urgency"),
        (("--lvar-confidence", "95"), "--lvar-confidence"),
        (("--strategy", "twapp"), "twap"),
        (("--start", "2026-03-01T12:00:00"), "no offset"),
    ],
    ids=str,
)
def test_bad_orders_are_named(changes: tuple[str, ...], said: str) -> None:
    assert said in error_of(call(*PLAN, *changes, "--json"))


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    "changes",
    [
        ("--risk-aversion", "1e-6", "--urgency", "1"),
        ("--as-of", "2026-03-01"),
        ("--slices", "five"),
        ("--shares", "many"),
    ],
    ids=str,
)
def test_options_that_contradict_are_wrong_usage(changes: tuple[str, ...]) -> None:
    error_of(call(*PLAN, *changes), status=2)


@pytest.mark.usefixtures("stocked")
def test_a_plan_from_stored_parameters() -> None:
    plain = answer_of(call("analytics", "plan", "--market", "toy", *SMALL, "--json"))
    assert plain["status"] == "ok"
    assert plain["expected_cost"] > 0


@pytest.mark.usefixtures("stocked")
def test_a_market_without_parameters_is_refused_with_the_way_out() -> None:
    result = call("analytics", "plan", "--market", "toy", *SMALL, "--as-of", "2026-03-02", "--json")
    plain = answer_of(result, status=3)
    assert tuple(plain) == PLAN_KEYS
    assert plain["status"] == "refused"
    assert any("tributary analytics calibrate" in reason for reason in plain["reasons"])
    assert plain["expected_cost"] is None
    assert re.search(r"usable from 2026-03-0[3-6], after as of 2026-03-02", plain["reasons"][0])


@pytest.mark.usefixtures("stocked")
def test_people_are_told_a_refusal_first_and_a_way_out() -> None:
    result = call("analytics", "plan", "--market", "toy", *SMALL, "--as-of", "2026-03-02")
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert lines[0].startswith("refused: parameters of toy are usable from")
    assert " - " not in result.stdout
    assert "--sigma" in result.stdout
    assert "simulate" in result.stdout


@pytest.mark.usefixtures("empty")
def test_the_liquidity_at_risk_is_shown_to_those_who_asked() -> None:
    assert "lvar" not in call(*PLAN).stdout
    assert "lvar 1,877,136" in " ".join(call(*PLAN, "--lvar-confidence", "0.95").stdout.split())


def simulate(*changes: object, strategy: str = "ac", status: int = 0) -> Any:
    return answer_of(call(*SIMULATE, "--strategy", strategy, *changes, "--json"), status)


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("strategy", ["twap", "ac"])
def test_a_simulation_has_every_key_and_conserves(strategy: str) -> None:
    plain = simulate(strategy=strategy)
    assert tuple(plain) == SIMULATION_KEYS
    assert tuple(plain["shortfall"]) == SHORTFALL_KEYS
    assert tuple(plain["bracket"]) == BRACKET_KEYS
    assert tuple(plain["predicted"] or PREDICTED_KEYS) == PREDICTED_KEYS
    assert set(plain["benchmarks"]) == {"market_vwap", "market_twap", "arrival"}
    assert plain["fills"]
    assert all(tuple(fill) == FILL_KEYS for fill in plain["fills"])
    assert math.fsum(fill["quantity"] for fill in plain["fills"]) == pytest.approx(plain["filled"], rel=1e-12)
    assert plain["filled"] + plain["unfilled"] == pytest.approx(600, rel=1e-12)
    parts = [value for name, value in plain["shortfall"].items() if name not in ("total", "total_bps")]
    if None not in parts:
        assert math.fsum(parts) == pytest.approx(plain["shortfall"]["total"], abs=1e-9)


@pytest.mark.usefixtures("stocked")
def test_the_same_order_again_has_the_same_id() -> None:
    assert simulate()["result_id"] == simulate()["result_id"]
    assert simulate()["result_id"] != simulate("--shares", "500")["result_id"]


@pytest.mark.usefixtures("stocked")
def test_without_parameters_the_book_is_still_walked() -> None:
    plain = simulate("--as-of", "2026-03-02")
    assert "no_own_impact" in plain["flags"]
    assert plain["bracket"]["calibrated"] is None
    assert plain["bracket"]["full_refill"]["filled"] == pytest.approx(600)
    assert any(re.search("usable from 2026-03-0[3-6], after --as-of 2026-03-02", reason) for reason in plain["reasons"])
    shown = call(*SIMULATE, "--strategy", "ac", "--as-of", "2026-03-02").stdout
    assert shown.startswith("warning: slices: strategy ac needs parameters")
    assert "note: parameters of toy are usable from" in shown
    assert "ok:" not in shown


@pytest.mark.usefixtures("stocked")
def test_where_no_book_is_nothing_fills_and_it_is_refused() -> None:
    plain = simulate("--start", "2026-03-20T00:00:00Z", status=3)
    assert tuple(plain) == SIMULATION_KEYS
    assert plain["status"] == "refused"
    assert plain["fills"] == []
    assert [entry["slice"] for entry in plain["no_fill_reasons"]] == [1, 2, 3, 4, 5, 6]
    shown = call(*SIMULATE, "--strategy", "ac", "--start", "2026-03-20T00:00:00Z").stdout
    assert "slices 1-6 not filled: no_book" in shown
    assert shown.count("not filled") == 1


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--market", "tooy"), "toy"),
        (("--as-of", "2026-03-08"), "future"),
        (("--strategy", "twapp"), "twap"),
        (("--latency", "-1s"), "--latency"),
        (("--start", "noon"), "--start"),
    ],
    ids=str,
)
def test_bad_replays_are_named(changes: tuple[str, ...], said: str) -> None:
    assert said in error_of(call(*SIMULATE, "--strategy", "ac", *changes))


@pytest.mark.usefixtures("stocked")
def test_people_get_tables() -> None:
    shown = call(*SIMULATE, "--strategy", "ac")
    assert shown.exit_code == 0
    assert all(word in shown.stdout for word in ("fills", "shortfall", "bracket", "arrival mid"))
    plain = simulate()
    sides = (number(plain["bracket"][name]["shortfall"]) for name in ("full_refill", "no_refill"))
    said = "cost, book refills: {}   cost, it does not: {}   expected: ".format(*sides)
    headline = shown.stdout.splitlines()[0]
    assert headline.startswith(said + number(plain["predicted"]["cost"]))
    assert re.search(r"\+- \d", headline)
    assert "expected cost" in call(*PLAN).stdout
