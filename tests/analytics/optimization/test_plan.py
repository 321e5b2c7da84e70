"""A plan says what the command line's contract promises: keys, sums, forms of risk, flags."""

import json
from dataclasses import replace
from math import exp, log, sqrt
from statistics import NormalDist

import numpy as np
import pytest

from tests.builders import (
    PAPER_MODEL,
    PAPER_ORDER,
    PAPER_RISK_AVERSION,
    PLAN_KEYS,
    RISK_KEYS,
    assert_is_the_papers_plan,
)
from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.plan import CODE_VERSION, plan_order, refuse_plan
from tributary_pipelines.analytics.optimization.strategies import ParentOrder, Risk
from tributary_pipelines.core.errors import ConfigurationError, ValidationError
from tributary_pipelines.core.result_frames import EXECUTION_PLANS


def test_the_paper_as_an_answer():
    answer = plan_order(PAPER_ORDER, PAPER_MODEL, strategy="ac", risk=Risk(PAPER_RISK_AVERSION)).to_answer()
    assert_is_the_papers_plan(answer)
    json.dumps(answer, allow_nan=False)


def test_buy_and_sell_plan_alike():
    sell = plan_order(PAPER_ORDER, PAPER_MODEL, strategy="ac").to_answer()
    assert plan_order(replace(PAPER_ORDER, side="buy"), PAPER_MODEL, strategy="ac").to_answer() == sell


def test_urgency_is_the_default_and_implies_a_confidence():
    plan = plan_order(PAPER_ORDER, PAPER_MODEL, strategy="ac")
    assert plan.risk.urgency == 1
    assert plan.risk.risk_aversion == pytest.approx(1.05614503e-7, rel=1e-8)
    quantile = 2 * plan.risk.risk_aversion * sqrt(plan.cost_variance)
    assert plan.risk.lvar_confidence == pytest.approx(NormalDist().cdf(quantile), rel=1e-12)
    assert plan.risk.lvar == pytest.approx(plan.expected_cost + quantile * plan.cost_std, rel=1e-14)
    again = plan_order(PAPER_ORDER, PAPER_MODEL, strategy="ac", risk=Risk(lvar_confidence=plan.risk.lvar_confidence))
    np.testing.assert_allclose(again.quantities, plan.quantities, rtol=1e-9)


def test_risk_neutral_lvar_is_the_expected_cost():
    plan = plan_order(PAPER_ORDER, PAPER_MODEL, strategy="ac", risk=Risk(risk_aversion=0.0))
    assert plan.quantities.tolist() == [2e5] * 5
    assert (plan.risk.kappa_per_day, plan.risk.urgency, plan.risk.lvar_confidence) == (0, 0, 0.5)
    assert plan.risk.lvar == plan.expected_cost == pytest.approx(662_500)


def test_lvar_optimum():
    plan = plan_order(PAPER_ORDER, PAPER_MODEL, strategy="ac", risk=Risk(lvar_confidence=0.95))
    assert plan.risk.lvar == pytest.approx(1_877_135.64566, rel=1e-11)
    assert plan.risk.risk_aversion == pytest.approx(1.69411352e-6, rel=3e-9)
    assert plan.risk.lvar_confidence == 0.95


def test_lvar_corner():
    plan = plan_order(replace(PAPER_ORDER, shares=1e5), PAPER_MODEL, strategy="ac", risk=Risk(lvar_confidence=0.95))
    assert plan.quantities.tolist() == [1e5, 0, 0, 0, 0]
    assert (plan.risk.risk_aversion, plan.risk.urgency, plan.risk.kappa_per_day) == (None, None, None)
    assert plan.reasons == ("lvar_corner",)
    assert plan.status == "ok"
    assert plan.risk.lvar_confidence == 0.95
    assert plan.risk.lvar == plan.expected_cost
    assert plan.cost_variance == 0


def test_a_strategy_without_risk_aversion_says_when_it_ignores_one():
    plan = plan_order(PAPER_ORDER, PAPER_MODEL, strategy="twap")
    assert plan.expected_cost == pytest.approx(662_500, rel=1e-14)
    assert plan.flags == ()
    assert plan.reasons[0].startswith("no_risk_aversion")
    assert {plan.to_answer()[key] for key in RISK_KEYS} == {None}
    assert plan_order(PAPER_ORDER, PAPER_MODEL, strategy="twap", risk=Risk(urgency=2.0)).flags == (
        "risk_options_ignored",
    )


def test_eta_grows_with_the_interval_when_the_book_slope_is_known():
    known = ImpactModel(sigma=0.95, gamma=2.5e-7, eta=None, epsilon=0.0625, book_slope=2.5e-6)
    by_hour = ParentOrder("sell", 1e6, 5 * 3600.0, 5)
    plan = plan_order(by_hour, known, strategy="twap")
    assert plan.components.temporary == pytest.approx(2.5e-6 * 5 * 2e5**2)
    explicit = replace(known, eta=2.5e-6 / 24, book_slope=None)
    assert plan_order(by_hour, explicit, strategy="ac").expected_cost == pytest.approx(
        plan_order(by_hour, known, strategy="ac").expected_cost, rel=1e-12
    )


def test_fees_stand_apart_from_the_spread():
    plan = plan_order(PAPER_ORDER, replace(PAPER_MODEL, fee_per_share=0.0125), strategy="twap")
    assert plan.components.fees == pytest.approx(12_500)
    assert plan.components.spread == pytest.approx(50_000)
    assert plan.expected_cost == pytest.approx(662_500)


def test_the_exact_sum_with_resilience():
    rho = log(2) * 1440
    model = ImpactModel(0.03, 4e-6, None, 0.005, book_slope=1e-5, resilience_rate=rho)
    order = ParentOrder("buy", 4000.0, 480.0, 4)
    plan = plan_order(order, model, strategy="ac", risk=Risk(urgency=3.0), lot_size=1.0)
    n, t = plan.quantities, np.arange(4) * 120 / 86_400
    expected = 0.005 * 4000 + 1e-5 * (n @ n)
    for k in range(4):
        for i in range(k):
            expected += n[i] * n[k] * (4e-6 + (2e-5 - 4e-6) * exp(-rho * (t[k] - t[i])))
    assert plan.expected_cost == pytest.approx(expected, rel=1e-13)
    assert plan.flags == ("slices_faster_than_resilience",)
    assert n.sum() == 4000
    assert (n == np.round(n)).all()


@pytest.mark.parametrize(("rate", "flags"), [(5.0, ()), (4.999, ("slices_faster_than_resilience",))])
def test_slices_faster_than_resilience(rate, flags):
    assert plan_order(PAPER_ORDER, replace(PAPER_MODEL, resilience_rate=rate), strategy="twap").flags == flags


@pytest.mark.parametrize(
    ("n_slices", "interval_s", "shares", "cost"),
    [(60, 60, 5000, 93.94), (10, 5, 2000, 46.23), (12, 1800, 5000, 100.68)],
)
def test_costs_measured_in_the_synthetic_market(n_slices, interval_s, shares, cost):
    depth = 49_461.638
    model = ImpactModel(0.03, 4.54898e-6, None, 0.0055, book_slope=1 / (2 * depth), resilience_rate=log(2) * 1440)
    if n_slices == 10:
        model = replace(model, epsilon=0.0055)
    order = ParentOrder("buy", float(shares), float(n_slices * interval_s), n_slices)
    assert plan_order(order, model, strategy="twap").expected_cost == pytest.approx(cost, abs=0.01)


def test_impact_without_an_optimum_is_an_error_for_ac_and_a_flag_for_twap():
    steep = replace(PAPER_MODEL, gamma=5e-6)
    with pytest.raises(ValidationError, match="no optimal trajectory"):
        plan_order(PAPER_ORDER, steep, strategy="ac")
    assert plan_order(PAPER_ORDER, steep, strategy="twap").flags == ("gamma_ge_2b",)


def test_lots_must_divide_the_order():
    with pytest.raises(ValidationError, match="whole number of lots"):
        plan_order(replace(PAPER_ORDER, shares=100.5), PAPER_MODEL, strategy="twap", lot_size=1.0)


def test_unknown_strategies():
    with pytest.raises(ConfigurationError, match="did you mean 'twap'"):
        plan_order(PAPER_ORDER, PAPER_MODEL, strategy="twop")
    with pytest.raises(ConfigurationError, match="did you mean 'twap'"):
        refuse_plan(PAPER_ORDER, strategy="twop", reasons=())


def test_a_refused_plan_has_every_key_and_no_number():
    plan = refuse_plan(PAPER_ORDER, strategy="ac", reasons=("too few trades",))
    answer = plan.to_answer()
    assert tuple(answer) == PLAN_KEYS
    assert (answer["status"], answer["reasons"], answer["slices"]) == ("refused", ["too few trades"], [])
    assert {answer[key] for key in ("expected_cost", "cost_std", "cost_variance", *RISK_KEYS)} == {None}
    assert set(answer["components"].values()) == {None}


def test_rows_fill_the_table():
    plan = plan_order(PAPER_ORDER, PAPER_MODEL, strategy="ac")
    row = plan.to_row()
    from_the_caller = {"timestamp", "market_id", "token_id", "order_id", "usable_from", "data_fingerprint"}
    assert set(row) | from_the_caller == set(EXECUTION_PLANS.column_names)
    assert not set(row) & from_the_caller
    assert row["code_version"] == CODE_VERSION
    assert row["reasons"] == "[]"
    assert row["slice_quantities"] is plan.quantities
    assert row["cost_temporary"] == plan.components.temporary
    assert set(refuse_plan(PAPER_ORDER, strategy="ac", reasons=()).to_row()) == set(row)
