"""Trade, OrderBookSnapshot and Market as single rows."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tributary_pipelines.core.models import Market, OrderBookSnapshot, Trade

AT = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = {"timestamp": AT, "market_id": "m", "token_id": "t"}


def trade(**changes: Any) -> Trade:
    return Trade(**{**KEYS, "trade_id": "1", "price": 0.5, "size": 3, **changes})


def book(bids: Any = (), asks: Any = ()) -> OrderBookSnapshot:
    return OrderBookSnapshot(**KEYS, bids=bids, asks=asks)


def test_the_value_of_a_trade() -> None:
    assert trade().value == 1.5
    assert trade(side="sell").model_dump()["value"] == 1.5
    assert trade().side is None


@pytest.mark.parametrize(
    "changes",
    [
        {"price": 0},
        {"price": -1},
        {"price": math.nan},
        {"size": math.inf},
        {"size": 0},
        {"side": "BUY"},
        {"trade_id": ""},
        {"market_id": ""},
        {"token_id": ""},
        {"timestamp": datetime(2026, 3, 1)},  # noqa: DTZ001
        {"extra": 1},
    ],
)
def test_a_trade_that_breaks_a_rule_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        trade(**changes)


def test_rows_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        trade().price = 1.0


def test_a_book_is_sorted_best_first() -> None:
    found = book(bids=[(0.4, 4), [0.5, 5]], asks=[(0.8, 8), (0.6, 6)])
    assert found.bids == ((0.5, 5), (0.4, 4))
    assert found.asks == ((0.6, 6), (0.8, 8))
    assert (found.best_bid, found.best_ask) == (0.5, 0.6)
    assert found.mid == pytest.approx(0.55)
    assert found.spread == pytest.approx(0.1)
    assert found.spread_bps == pytest.approx(1e4 * 0.1 / 0.55)


@pytest.mark.parametrize(("bids", "asks"), [([], [(0.6, 6)]), ([(0.5, 5)], []), ([], [])])
def test_a_missing_side_gives_none_never_0_or_1(bids: list[Any], asks: list[Any]) -> None:
    found = book(bids, asks)
    assert (found.mid, found.spread, found.spread_bps) == (None, None, None)
    assert found.best_bid == (0.5 if bids else None)
    assert found.best_ask == (0.6 if asks else None)


def test_a_crossed_book_has_a_negative_spread() -> None:
    assert book([(0.6, 1)], [(0.5, 1)]).spread == pytest.approx(-0.1)


@pytest.mark.parametrize(
    "bids", [[(0, 1)], [(1, 0)], [(1, math.nan)], [1, 2], [(1,)], [(1, 2, 3)], [("a", 1)], 7, None]
)
def test_what_is_no_ladder_is_refused(bids: Any) -> None:
    with pytest.raises(ValidationError, match="bids"):
        book(bids=bids)


LADDER = st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)), max_size=8)


@given(bids=LADDER, asks=LADDER)
def test_sorting_keeps_every_level(bids: list[Any], asks: list[Any]) -> None:
    found = book(bids, asks)
    assert sorted(found.bids) == sorted(bids)
    assert list(found.asks) == sorted(asks)
    assert list(found.bids) == sorted(bids, reverse=True)


# --- markets ---


def market(**values: Any) -> Market:
    return Market(market_id="m", token_id="t", **values)


def test_only_ids_are_required_and_nothing_is_assumed() -> None:
    found = market()
    assert {value for name, value in found.model_dump().items() if name not in ("market_id", "token_id")} == {None}
    assert found.fee_per_share(0.5) == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"price_min": 0}, "must be declared together"),
        ({"price_max": 1}, "must be declared together"),
        ({"price_min": 1, "price_max": 1}, "price_min 1.0 must be below price_max 1.0"),
        ({"fee_model": "bps"}, "fee_model 'bps' needs fee_rate"),
        ({"fee_model": "percent"}, "fee_model"),
        ({"tick_size": 0}, "tick_size"),
        ({"lot_size": math.inf}, "lot_size"),
        ({"price_min": math.nan, "price_max": 1}, "price_min"),
        ({"resolves_at": "2026-01-01T00:00:00"}, "resolves_at"),
        ({"tick": 1}, "tick"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        market(**values)


@pytest.mark.parametrize(
    ("values", "price", "fee"),
    [
        ({"fee_model": "none"}, 0.5, 0),
        ({"fee_model": "none", "fee_rate": 9}, 0.5, 0),
        ({"fee_model": "bps", "fee_rate": 10}, 200.0, 0.2),
        ({"fee_model": "per_contract", "fee_rate": 0.02}, 0.5, 0.02),
        ({"fee_model": "quadratic", "fee_rate": 0.07}, 0.5, 0.0175),
        ({"fee_model": "quadratic", "fee_rate": 0.25, "fee_exponent": 2}, 0.5, 0.015625),
        ({"fee_model": "quadratic", "fee_rate": 0.07}, 1.0, 0),
        ({"fee_model": "quadratic", "fee_rate": 0.07, "fee_exponent": 0.5}, 1.2, 0),
    ],
)
def test_fees_by_hand(values: dict[str, Any], price: float, fee: float) -> None:
    assert market(**values).fee_per_share(price) == pytest.approx(fee, abs=1e-15)
