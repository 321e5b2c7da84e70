"""Numbers in words: digits that tell, cents for probabilities, round sizes that suit a market."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.calibrations import CENTS, DOLLARS, calibrated
from tributary_pipelines.core.models import Market
from tributary_pipelines.reports.plain_numbers import (
    PriceUnit,
    RoundSizes,
    digits_that_tell,
    duration,
    largest_fillable,
    plain,
    round_down,
)

NAN = float("nan")
POSITIVE = st.floats(1e-12, 1e12)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0301, 2, "0.030"),
        (0.999, 2, "1.0"),
        (61_707.7, 2, "62,000"),
        (-0.0045, 2, "-0.0045"),
        (1234.5, 4, "1,234"),
        (4.549e-9, 3, "4.55e-09"),
        (inf, 2, "inf"),
    ],
)
def test_a_number_has_the_digits_asked_for(value: float, digits: int, text: str) -> None:
    assert plain(value, digits) == text


@given(POSITIVE, st.integers(2, 4))
def test_what_is_written_is_the_number_rounded(value: float, digits: int) -> None:
    assert float(plain(value, digits).replace(",", "")) == pytest.approx(float(f"{value:.{digits}g}"), rel=1e-12)


@given(POSITIVE)
def test_a_round_size_is_below_and_near(size: float) -> None:
    rounded = round_down(size)
    assert size / 2.5 * (1 - 1e-9) <= rounded <= size * (1 + 1e-9)
    assert f"{rounded:.0e}"[0] in "125"


@pytest.mark.parametrize("exact", [1e-3, 0.2, 5.0, 1000.0, 1e6])
def test_a_round_size_stays(exact: float) -> None:
    assert round_down(exact) == exact


def test_digits_are_added_until_the_interval_shows() -> None:
    assert digits_that_tell(100.0, 99.9, 100.1) == 4
    assert digits_that_tell(100.0, 99.99, 100.01) is None


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0.4 s"), (179, "180 s"), (180, "3 min"), (1800, "30 min")])
def test_a_time_span_has_a_unit_of_its_size(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("market", "text"),
    [
        (CENTS, "0.40 cents"),
        (DOLLARS, "0.0040 USD"),
        (Market(market_id="m", token_id="t"), "0.0040 price units"),
        (Market(market_id="m", token_id="t", price_min=0, price_max=100), "0.0040 price units"),
    ],
    ids=["0 to 1", "currency", "nothing declared", "0 to 100"],
)
def test_a_price_has_its_markets_unit(market: Market, text: str) -> None:
    assert PriceUnit.of(market).amount(0.004) == text


def test_an_interval_says_how_much_is_known() -> None:
    unit = PriceUnit.of(CENTS)
    assert unit.with_interval(0.004, 0.003, 0.005) == ("0.40 cents", ", between 0.30 and 0.50")
    assert unit.with_interval(0.004, 0.004, 0.004) == ("0.400 cents", ", known to the digits shown")
    assert unit.with_interval(0.004, None, None) == ("0.40 cents", ", how surely is not known")


def test_an_order_is_about_a_tenth_of_a_days_volume() -> None:
    # 400 trades of 100 shares are 40,000 a day.
    assert RoundSizes.of(calibrated()) == RoundSizes(2000.0, 2000.0)


def test_an_order_at_once_is_no_larger_than_what_the_book_shows() -> None:
    book = {"cost_sizes": (400.0, 800.0, 1600.0), "cost_buy": (0.01, 0.02, 0.03), "cost_sell": (0.01, 0.02, NAN)}
    assert largest_fillable(calibrated(**book)) == 800
    assert RoundSizes.of(calibrated(**book)) == RoundSizes(2000.0, 500.0)
    # Without trades the book alone says what is ordinary.
    assert RoundSizes.of(calibrated(**book, trades_per_day=None)) == RoundSizes(200.0, 200.0)


def test_a_market_without_trades_and_books_has_a_size_too() -> None:
    assert RoundSizes.of(calibrated(trades_per_day=0.0, flow_sq_per_day=0.0)) == RoundSizes(20.0, 20.0)
