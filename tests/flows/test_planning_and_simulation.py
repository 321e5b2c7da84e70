"""Plans and replays through the store: which parameters they use, and what they say when there are none."""

import dataclasses
import json
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from tests.flows.conftest import Desk
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters
from tributary_pipelines.core.errors import ConfigurationError, DataError
from tributary_pipelines.core.frames import Frame
from tributary_pipelines.core.requests import ExplicitParameters, PlanRequest, RiskChoice, SimulationRequest
from tributary_pipelines.core.settings import AnalyticsSettings, Instrument, SimulationSettings, StandardOrder
from tributary_pipelines.flows.calibration import calibrate_market, store_parameters
from tributary_pipelines.flows.planning import plan, plan_standard_orders
from tributary_pipelines.flows.simulation import simulate, simulate_standard_orders
from tributary_pipelines.storage.duckdb.results import DuckDBResults

NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = datetime(2026, 3, 4, 12, tzinfo=UTC)
ORDER = {"side": "buy", "shares": 500, "horizon_s": 3_600, "n_slices": 6}
GIVEN = ExplicitParameters(sigma=0.03, gamma=1e-6, eta=1e-7, epsilon=0.005)
INSTRUMENT = Instrument(
    name="thin", market_id="thin", orders=(StandardOrder(side="sell", shares=300, horizon=3_600, slices=4),)
)


def calibrated(desk: Desk, *, as_of: date) -> AlmgrenChrissParameters:
    return calibrate_market(desk.store, desk.settings, desk.subject, as_of=as_of)


def replay(desk: Desk, **changes: object) -> dict[str, object]:
    request = SimulationRequest.model_validate({"market": "thin", "start": START, **ORDER, **changes})
    return simulate(desk.store, desk.settings, request)


def test_a_plan_needs_no_store_when_parameters_are_given() -> None:
    planned = plan(None, PlanRequest(**ORDER, parameters=GIVEN), now=NOW)
    assert planned.status == "ok"
    assert planned.quantities.sum() == 500
    assert planned.expected_cost == pytest.approx(planned.to_answer()["components"]["spread"], rel=0.5)


def test_a_plan_uses_the_parameters_of_its_day(own_desk: Desk) -> None:
    calibrated(own_desk, as_of=date(2026, 3, 5))
    assert plan(own_desk.store, PlanRequest(**ORDER, market="thin"), now=NOW).status == "ok"
    early = PlanRequest(**ORDER, market="thin", as_of=date(2026, 3, 4))
    refused = plan(own_desk.store, early, now=NOW)
    assert refused.status == "refused"
    assert "usable from 2026-03-05, after as of 2026-03-04" in refused.reasons[0]
    assert "tributary analytics calibrate --market thin --as-of 2026-03-04" in refused.reasons[0]


def test_the_first_usable_day_is_named_and_nothing_later_is_read(
    own_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (5, 4):
        calibrated(own_desk, as_of=date(2026, 3, day))
    read, ends = DuckDBResults.read, []

    def noted(results: DuckDBResults, frame: Frame, start: datetime, end: datetime, *token: str) -> pd.DataFrame:
        ends.append(end)
        return read(results, frame, start, end, *token)

    monkeypatch.setattr(DuckDBResults, "read", noted)
    answer = replay(own_desk, start=datetime(2026, 3, 3, 23, tzinfo=UTC))
    assert any("are usable from 2026-03-04, after the start 2026-03-03T23:00:00Z" in said for said in answer["reasons"])
    assert [end for end in ends if end > datetime(2026, 3, 3, tzinfo=UTC)] == []


def test_parameters_by_hand_win_over_stored_ones(own_desk: Desk) -> None:
    calibrated(own_desk, as_of=date(2026, 3, 5))
    by_hand = plan(own_desk.store, PlanRequest(**ORDER, market="thin", parameters=GIVEN), now=NOW)
    alone = plan(None, PlanRequest(**ORDER, parameters=GIVEN), now=NOW)
    assert by_hand.to_answer() == alone.to_answer()


def test_refused_parameters_give_a_refused_plan_with_their_reasons(own_desk: Desk) -> None:
    refused = calibrated(own_desk, as_of=date(2026, 3, 3))
    assert refused.status == "refused"
    planned = plan(own_desk.store, PlanRequest(**ORDER, market="thin", as_of=date(2026, 3, 3)), now=NOW)
    assert planned.reasons[1:] == refused.reasons
    assert "usable from 2026-03-03 are refused" in planned.reasons[0]


def test_a_replay_without_parameters_walks_the_book_and_says_what_is_missing(own_desk: Desk) -> None:
    answer = replay(own_desk, strategy="ac")
    assert answer["status"] == "ok"
    assert answer["filled"] == 500
    assert answer["predicted"] is None
    assert "no_own_impact" in answer["flags"]
    assert any("strategy ac needs parameters" in reason for reason in answer["reasons"])
    assert any("no parameters are stored for thin" in reason for reason in answer["reasons"])
    quantities = [fill["quantity"] for fill in answer["fills"]]
    assert sum(quantities) == pytest.approx(500, rel=1e-12)


@pytest.mark.parametrize("source", ["own", "pooled"])
def test_a_borrowed_gamma_is_told_wherever_it_is_used(own_desk: Desk, source: str) -> None:
    found = calibrated(own_desk, as_of=date(2026, 3, 4))
    gamma = dataclasses.replace(found.estimates["gamma"], source=source)
    store_parameters(own_desk.store, [dataclasses.replace(found, estimates=found.estimates | {"gamma": gamma})])
    told = [
        plan(own_desk.store, PlanRequest(**ORDER, market="thin", as_of=date(2026, 3, 4)), now=NOW).flags,
        replay(own_desk)["flags"],
        *(
            json.loads(flags)
            for rows in (
                plan_standard_orders(own_desk.store, own_desk.settings, INSTRUMENT, own_desk.market, date(2026, 3, 3)),
                simulate_standard_orders(
                    own_desk.store, own_desk.settings, INSTRUMENT, own_desk.market, date(2026, 3, 4)
                ),
            )
            for flags in rows["flags"]
        ),
    ]
    assert len(told) == 6
    assert {"gamma_pooled" in flags for flags in told} == {source == "pooled"}
    assert {"parameters_of_series" in flags for flags in told} == {False}
    by_hand = PlanRequest(**ORDER, market="thin", parameters=GIVEN)
    assert "gamma_pooled" not in plan(own_desk.store, by_hand, now=NOW).flags


def test_a_slippage_multiplier_is_not_ignored_in_silence(own_desk: Desk) -> None:
    scaled = AnalyticsSettings(simulation=SimulationSettings(slippage_multiplier=2.0))
    answer = replay(dataclasses.replace(own_desk, settings=scaled))
    assert any("slippage_multiplier 2 is not applied" in reason for reason in answer["reasons"])


def test_an_unknown_strategy_is_an_error_even_without_parameters(own_desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="twapp"):
        replay(own_desk, strategy="twapp")


def test_a_replay_of_an_unknown_market_names_it(desk: Desk) -> None:
    with pytest.raises(DataError, match="'nothing' is not in the store"):
        replay(desk, market="nothing")


def test_a_result_id_follows_from_what_was_asked_and_found(own_desk: Desk) -> None:
    first, again, other = replay(own_desk), replay(own_desk), replay(own_desk, shares=501)
    assert first["result_id"] == again["result_id"] != other["result_id"]


def test_the_risk_that_was_chosen_shapes_the_slices(own_desk: Desk) -> None:
    patient = plan(None, PlanRequest(**ORDER, parameters=GIVEN, risk=RiskChoice(urgency=0.0)), now=NOW)
    hasty = plan(None, PlanRequest(**ORDER, parameters=GIVEN, risk=RiskChoice(urgency=5.0)), now=NOW)
    assert patient.quantities[0] == pytest.approx(500 / 6)
    assert hasty.quantities[0] > 2 * patient.quantities[0]


def test_standard_orders_are_planned_from_the_days_own_parameters(own_desk: Desk) -> None:
    calibrated(own_desk, as_of=date(2026, 3, 5))
    rows = plan_standard_orders(own_desk.store, own_desk.settings, INSTRUMENT, own_desk.market, date(2026, 3, 4))
    assert list(rows["order_id"]) == ["sell-300-3600s-4-at43200s-twap", "sell-300-3600s-4-at43200s-ac"]
    assert set(rows["status"]) == {"ok"}
    assert set(rows["usable_from"]) == {datetime(2026, 3, 5, tzinfo=UTC)}


def test_parameters_of_the_day_itself_never_reach_its_replay(own_desk: Desk) -> None:
    day = date(2026, 3, 4)
    known = calibrated(own_desk, as_of=day)
    before = simulate_standard_orders(own_desk.store, own_desk.settings, INSTRUMENT, own_desk.market, day)
    leaked = calibrated(own_desk, as_of=day + timedelta(days=1))
    store_parameters(own_desk.store, [leaked])
    after = simulate_standard_orders(own_desk.store, own_desk.settings, INSTRUMENT, own_desk.market, day)
    assert list(before["result_id"]) == list(after["result_id"])
    assert set(after["usable_from"]) == {known.usable_from}


def test_an_order_that_does_not_fit_the_lot_is_refused_and_costs_the_others_nothing(own_desk: Desk) -> None:
    calibrated(own_desk, as_of=date(2026, 3, 4))
    lots = own_desk.market.model_copy(update={"lot_size": 0.7})
    orders = tuple(StandardOrder(side="buy", shares=shares, horizon=3_600, slices=2) for shares in (70, 100))
    instrument = INSTRUMENT.model_copy(update={"orders": orders})
    day = date(2026, 3, 4)
    replays = simulate_standard_orders(own_desk.store, own_desk.settings, instrument, lots, day)
    plans = plan_standard_orders(own_desk.store, own_desk.settings, instrument, lots, date(2026, 3, 3))
    for rows in (replays, plans):
        assert list(rows["status"]) == ["ok", "ok", "refused", "refused"]
        assert "lot" in rows["reasons"].iloc[-1]


def test_a_replay_displaces_quotes_by_the_slope_of_the_side_it_takes_from(own_desk: Desk) -> None:
    found = calibrated(own_desk, as_of=date(2026, 3, 4))
    steep = dataclasses.replace(found, book_slope_buy=1e-3, book_slope_sell=found.value("book_slope"))
    brackets = {}
    for side in ("buy", "sell"):
        store_parameters(own_desk.store, [found])
        before = replay(own_desk, side=side)["bracket"]["no_refill"]["shortfall"]
        store_parameters(own_desk.store, [steep])
        brackets[side] = replay(own_desk, side=side)["bracket"]["no_refill"]["shortfall"] - before
    assert brackets["buy"] > 1
    assert abs(brackets["sell"]) < 0.5


def test_the_first_slice_of_a_day_sees_the_book_before_midnight(own_desk: Desk) -> None:
    at_midnight = StandardOrder(side="buy", shares=100, horizon=3_600, slices=1, start=0)
    instrument = INSTRUMENT.model_copy(update={"orders": (at_midnight,)})
    rows = simulate_standard_orders(own_desk.store, own_desk.settings, instrument, own_desk.market, date(2026, 3, 2))
    answer = replay(own_desk, start=datetime(2026, 3, 2, tzinfo=UTC), shares=100, n_slices=1, strategy="twap")
    assert list(rows["average_price"]) == [answer["average_price"]] * 2
