"""Replays by hand, and what the answer says when something is missing."""

import json
from dataclasses import replace
from math import fsum, inf, log, nan

import numpy as np
import pytest

from tests.analytics.simulation.recorded import (
    BOUNDED,
    MARKET,
    START_US,
    book,
    books_of,
    steady_books,
    trades_of,
)
from tests.builders import BRACKET_KEYS, FILL_KEYS, REPLAY_KEYS, SHORTFALL_KEYS
from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.plan import plan_order
from tributary_pipelines.analytics.optimization.strategies import ParentOrder, Risk
from tributary_pipelines.analytics.simulation.engine import CODE_VERSION, simulate_order
from tributary_pipelines.analytics.simulation.fill_model import FILL_MODELS, OrderBookFillModel
from tributary_pipelines.core.errors import ConfigurationError, SimulationError, ValidationError
from tributary_pipelines.core.frames import no_order_books, no_trades
from tributary_pipelines.core.result_frames import EXECUTION_SIMULATIONS

ASKS = [(0.51, 100), (0.52, 100), (0.53, 100)]
BIDS = [(0.49, 100), (0.48, 100), (0.47, 100)]
STEADY = steady_books(range(0, 200, 10), BIDS, ASKS)
MODEL = ImpactModel(0.03, 2e-5, None, 0.01, book_slope=5e-5, resilience_rate=log(2) * 1440)
TRADES = trades_of((-5, 0.9, 50, 1), (0, 0.50, 10, 1), (30, 0.52, 30, -1), (90, 0.9, 50, 1))
ORDER = ParentOrder("buy", 120.0, 60.0, 3, START_US)


def replay(order=ORDER, plan=None, books=STEADY, trades=TRADES, **options):
    return simulate_order(order, plan, books, trades, **{"model": MODEL, "market": MARKET, **options})


def quantities_at(n_slices, **at):
    """Quantities by slice number, 0 elsewhere."""
    quantities = np.zeros(n_slices)
    for index, quantity in at.items():
        quantities[int(index.removeprefix("slice_")) - 1] = quantity
    return quantities


def test_bracket_vector():
    order = ParentOrder("buy", 300.0, 70.0, 14, START_US)
    quantities = quantities_at(14, slice_1=150, slice_13=100, slice_14=50)
    books = steady_books([0, 60], BIDS, ASKS)
    expected = {"no_refill": (0.525, 0.535), "calibrated": (0.519, 0.528663), "full_refill": (0.513, 0.523)}
    for refill, (first, second) in expected.items():
        result = replay(order, quantities, books, refill=refill)
        prices = [fill.price for fill in result.fills]
        assert prices == pytest.approx([0.51, 0.52, first, second], abs=5e-7)
        assert result.bracket[refill].shortfall == result.shortfall.total
        assert result.bracket[refill].filled == 300
    costs = [result.bracket[name].shortfall for name in ("full_refill", "calibrated", "no_refill")]
    assert costs == sorted(costs)


def test_an_answer_in_full():
    plan = plan_order(ORDER, MODEL, strategy="ac", risk=Risk(urgency=1.0))
    answer = replay(plan=plan, refill="full_refill").to_answer()
    json.dumps(answer, allow_nan=False)
    assert tuple(answer) == REPLAY_KEYS
    assert (answer["status"], answer["filled"], answer["unfilled"]) == ("ok", 120, 0)
    assert tuple(answer["fills"][0]) == FILL_KEYS
    assert answer["fills"][0]["at"] == "2026-01-01T00:00:00Z"
    assert [fill["slice"] for fill in answer["fills"]] == [1, 2, 3]
    n = plan.quantities
    prices = [0.51, 0.51 + 2e-5 * n[0], 0.51 + 2e-5 * (n[0] + n[1])]
    assert [fill["price"] for fill in answer["fills"]] == pytest.approx(prices, rel=1e-12)
    assert answer["average_price"] == pytest.approx(np.array(prices) @ n / 120, rel=1e-12)
    assert answer["arrival_mid"] == answer["benchmarks"]["arrival"] == 0.5
    assert tuple(answer["shortfall"]) == SHORTFALL_KEYS
    parts = answer["shortfall"]
    assert parts["total"] == pytest.approx(120 * (answer["average_price"] - 0.5), rel=1e-12)
    assert parts["spread"] == pytest.approx(1.2)
    assert parts["permanent"] == pytest.approx(2e-5 * (n[0] * n[1] + n[0] * n[2] + n[1] * n[2]))
    assert (parts["delay"], parts["opportunity"], parts["fees"]) == (0, 0, 0)
    assert parts["total_bps"] == pytest.approx(1e4 * parts["total"] / (120 * 0.5))
    assert answer["predicted"] == {"cost": pytest.approx(plan.expected_cost), "cost_low": None, "cost_high": None}
    assert answer["benchmarks"]["market_vwap"] == pytest.approx((0.50 * 10 + 0.52 * 30) / 40)
    assert answer["benchmarks"]["market_twap"] == pytest.approx(0.5)
    assert tuple(answer["bracket"]) == BRACKET_KEYS
    assert set(answer["bracket"]["calibrated"]) == {"shortfall", "filled"}
    assert answer["no_fill_reasons"] == []
    assert answer["flags"] == ["slices_faster_than_resilience"]
    assert answer["reasons"] == ["predicted.cost_low and cost_high: the parameters have no intervals yet"]


def test_selling_no_mirrors_buying_yes():
    mirrored = steady_books(range(0, 200, 10), [(1 - p, v) for p, v in ASKS], [(1 - p, v) for p, v in BIDS])
    bought, sold = replay(), replay(replace(ORDER, side="sell"), books=mirrored)
    assert [fill.price for fill in sold.fills] == pytest.approx([1 - fill.price for fill in bought.fills], abs=1e-12)
    assert sold.shortfall.total == pytest.approx(bought.shortfall.total, rel=1e-9)


def test_without_a_resilience_rate_full_refill_is_the_headline():
    result = replay(model=replace(MODEL, resilience_rate=None))
    assert result.bracket["calibrated"] is None
    assert result.bracket["no_refill"] is not None
    assert result.shortfall.total == result.bracket["full_refill"].shortfall
    assert result.flags == ("headline_full_refill",)
    assert "bracket.calibrated: no resilience rate" in result.reasons
    assert replay(model=replace(MODEL, resilience_rate=None), refill="no_refill").flags == ()


def test_without_parameters_the_book_is_still_walked():
    result = replay(ParentOrder("buy", 450.0, 60.0, 3, START_US), model=None, reasons=("nothing is stored",))
    answer = result.to_answer()
    assert (answer["status"], answer["filled"]) == ("ok", 450)
    assert answer["predicted"] is None
    assert (answer["bracket"]["calibrated"], answer["bracket"]["no_refill"]) == (None, None)
    assert (answer["shortfall"]["temporary"], answer["shortfall"]["permanent"]) == (None, None)
    walked = 3 * (100 * 0.01 + 50 * 0.02)
    assert answer["shortfall"]["total"] == answer["bracket"]["full_refill"]["shortfall"] == pytest.approx(walked)
    assert answer["shortfall"]["spread"] + answer["shortfall"]["timing"] == pytest.approx(walked)
    assert answer["flags"] == ["no_own_impact"]
    assert answer["reasons"][0] == "nothing is stored"
    assert any("no impact parameters" in reason for reason in answer["reasons"])


def test_equal_slices_keep_the_lot():
    market = MARKET.model_copy(update={"lot_size": 50.0})
    result = replay(ParentOrder("buy", 250.0, 60.0, 3, START_US), market=market)
    assert [sum(f.quantity for f in result.fills if f.slice_index == k) for k in (1, 2, 3)] == [100, 100, 50]


@pytest.mark.parametrize(
    ("last_book", "reason"),
    [
        (book(20, BIDS, []), "one_sided_book: the newest snapshot has no asks"),
        (book(20, [], ASKS), "one_sided_book: the newest snapshot has no bids"),
        (book(20, [(0.51, 5)], ASKS), "crossed_book: best bid 0.51 is not below best ask 0.51"),
        (book(-10.5, BIDS, ASKS), "stale_book: the newest snapshot is 30.5 s old, the limit is 30 s"),
        (book(30, BIDS, ASKS), "no_book: no snapshot within the staleness limit before it"),
    ],
)
def test_books_that_cannot_fill(last_book, reason):
    order = ParentOrder("buy", 10.0, 10.0, 1, START_US + 20_000_000)
    result = replay(order, books=books_of(last_book))
    assert result.no_fill_reasons == ((1, reason),)
    assert (result.status, result.filled, result.unfilled) == ("refused", 0, 10)
    answer = result.to_answer()
    assert answer["average_price"] is None
    assert set(answer["shortfall"].values()) == {None}
    assert answer["bracket"]["full_refill"] == {"shortfall": None, "filled": 0}
    assert answer["reasons"][0] == "no slice of 1 could be filled; see no_fill_reasons"


def test_a_bad_snapshot_refuses_its_slices_and_no_others():
    books = books_of(book(0, BIDS, ASKS), book(20, BIDS, []), book(40, BIDS, ASKS))
    result = replay(books=books)
    assert [fill.slice_index for fill in result.fills] == [1, 3]
    assert [index for index, _ in result.no_fill_reasons] == [2]
    assert (result.filled, result.unfilled, result.status) == (80, 40, "ok")
    end_mid = 0.5 + 2e-5 * 80
    assert result.shortfall.opportunity == pytest.approx(40 * (end_mid - 0.5))


def test_a_snapshot_is_fresh_up_to_the_limit():
    books = books_of(book(0, BIDS, ASKS))
    order = ParentOrder("buy", 10.0, 10.0, 1, START_US + 30_000_000)
    assert replay(order, books=books).status == "ok"
    assert replay(order, books=books, staleness_limit_s=29.9).status == "refused"


def test_missing_mids_are_null_with_reasons():
    books = books_of(book(-40, BIDS, ASKS), book(15, BIDS, ASKS), book(35, BIDS, ASKS))
    result = replay(replace(ORDER, shares=900.0), books=books, staleness_limit_s=20.0)
    answer = result.to_answer()
    assert answer["arrival_mid"] is None
    parts = answer["shortfall"]
    assert (parts["total"], parts["delay"], parts["timing"], parts["opportunity"]) == (None,) * 4
    assert parts["total_bps"] is None
    assert parts["spread"] > 0
    assert [reason.split(":")[0] for reason in answer["reasons"][:3]] == [
        "shortfall",
        "arrival_mid",
        "shortfall.opportunity",
    ]


def test_missing_benchmarks_are_null_with_reasons():
    result = replay(trades=no_trades())
    assert result.benchmarks.market_vwap is None
    assert any(reason.startswith("benchmarks.market_vwap") for reason in result.reasons)
    assert any(reason.startswith("benchmarks.market_twap") for reason in replay(books=no_order_books()).reasons)


def test_latency_moves_arrivals_and_shows_as_delay():
    books = books_of(
        book(0, BIDS, ASKS),
        book(5, [(0.59, 100)], [(0.61, 100)]),
        book(20, BIDS, ASKS),
        book(40, BIDS, ASKS),
        book(60, BIDS, ASKS),
    )
    result = replay(books=books, latency_s=5.0, refill="full_refill", model=replace(MODEL, gamma=0.0))
    assert [fill.at_us - START_US for fill in result.fills] == [5_000_000, 25_000_000, 45_000_000]
    assert [fill.displayed_price for fill in result.fills] == [0.61, 0.51, 0.51]
    assert result.arrival_mid == 0.6
    assert result.shortfall.delay == pytest.approx(120 * 0.1)
    assert result.shortfall.timing == pytest.approx(80 * -0.1)
    assert result.shortfall.total == pytest.approx(40 * 0.11 + 80 * 0.01)


def test_a_slice_that_arrives_after_the_end_is_not_sent():
    result = replay(latency_s=20.0)
    assert result.no_fill_reasons == ((3, "after_end: it arrives after the order's end"),)
    assert result.unfilled == 40


def test_slices_of_nothing_send_nothing():
    result = replay(plan=np.array([0.0, 120.0, 0.0]))
    assert {fill.slice_index for fill in result.fills} == {2}
    assert result.no_fill_reasons == ()
    assert result.unfilled == 0


def test_flattering_fill_models_say_so():
    assert replay(fill_model="midpoint", model=None).flags == ("no_own_impact", "fill_model_flatters")
    assert replay(fill_model="midpoint", model=None).shortfall.total == pytest.approx(0)
    result = replay(replace(ORDER, shares=900.0), fill_model="spread", refill="full_refill")
    assert result.unfilled == 0
    assert result.shortfall.spread == pytest.approx(900 * 0.01)
    assert result.shortfall.temporary == pytest.approx(0, abs=1e-12)


def test_fees_and_bounds_come_from_the_market():
    market = BOUNDED.model_copy(update={"fee_model": "per_contract", "fee_rate": 0.01})
    books = steady_books([0], [(0.9, 100)], [(0.98, 30), (1.0, 70)])
    result = replay(ParentOrder("buy", 50.0, 10.0, 1, START_US), books=books, market=market)
    assert result.shortfall.fees == pytest.approx(0.3)
    assert result.unfilled == 20
    assert result.no_fill_reasons[0][1].startswith("outside_price_bounds")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": replace(ORDER, start_us=None)}, "--start"),
        ({"latency_s": -1.0}, "--latency"),
        ({"latency_s": nan}, "--latency"),
        ({"staleness_limit_s": 0.0}, "staleness limit"),
        ({"staleness_limit_s": inf}, "staleness limit"),
        ({"plan": np.array([120.0])}, "the plan has 1 slices and the order 3"),
        ({"plan": np.array([60.0, 60.0, 1.0])}, "add up to 120, not 121"),
        ({"plan": np.array([130.0, -10.0, 0.0])}, "at least 0"),
        ({"plan": np.array([nan, 60.0, 60.0])}, "at least 0"),
    ],
)
def test_refused_arguments(options, message):
    with pytest.raises(ValidationError, match=message):
        replay(**options)


def test_unknown_fill_model():
    with pytest.raises(ConfigurationError, match="unknown fill model 'queue'"):
        replay(fill_model="queue")


def test_a_fill_model_that_invents_depth_is_caught(monkeypatch):
    class Generous(OrderBookFillModel):
        def fill(self, order, market):
            outcome = super().fill(order, market)
            return replace(outcome, fills=tuple(replace(fill, quantity=200.0) for fill in outcome.fills))

    monkeypatch.setitem(FILL_MODELS, "orderbook", Generous)
    with pytest.raises(SimulationError, match="showed 100 and gave 200"):
        replay()


def test_rows_fill_the_table():
    result = replay(replace(ORDER, shares=450.0))
    row = result.to_row()
    from_the_caller = {
        "timestamp",
        "market_id",
        "token_id",
        "order_id",
        "strategy",
        "usable_from",
        "result_id",
        "data_fingerprint",
    }
    assert set(row) | from_the_caller == set(EXECUTION_SIMULATIONS.column_names)
    assert not set(row) & from_the_caller
    assert row["code_version"] == CODE_VERSION
    assert fsum(row["fill_quantities"]) == pytest.approx(450)
    assert row["fill_times"][0] == START_US
    assert row["fill_slices"].tolist() == [1, 1, 2, 2, 3, 3]
    assert row["shortfall_total"] == row["calibrated_shortfall"] == result.shortfall.total
    refused = replay(books=no_order_books(), model=None).to_row()
    assert set(refused) == set(row)
    assert refused["shortfall_total"] is None
    assert refused["no_refill_shortfall"] is None
    assert refused["fill_prices"].size == 0
