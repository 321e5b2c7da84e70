from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary_pipelines.analytics.volatility import (
    bipower_variation,
    jump_share,
    med_rv,
    min_rv,
    realized_variance,
)

#: The series of science.md 2, with the values computed there.
PRICES = np.array([0.500, 0.504, 0.498, 0.503, 0.507, 0.501, 0.512, 0.509, 0.515, 0.511, 0.520, 0.517])
#: Estimator, its value on PRICES, and the fewest prices it takes.
ESTIMATORS = [
    (realized_variance, 4.01e-4, 2),
    (bipower_variation, 5.218185397612655e-4, 3),
    (med_rv, 4.354275857648853e-4, 4),
    (min_rv, 5.085582151897844e-4, 3),
]
every = pytest.mark.parametrize(("estimate", "expected", "fewest"), ESTIMATORS)


@every
def test_value_is_the_independent_one(estimate, expected: float, fewest: int) -> None:
    assert estimate(PRICES) == pytest.approx(expected, rel=1e-9)


@every
def test_fewest_prices_give_a_number_and_one_less_gives_none(estimate, expected: float, fewest: int) -> None:
    assert estimate(PRICES[:fewest]) > 0
    assert np.isnan(estimate(PRICES[: fewest - 1]))
    assert np.isnan(estimate(PRICES[:0]))


@every
def test_constant_price_has_no_variance(estimate, expected: float, fewest: int) -> None:
    assert estimate(np.full(10, 0.4)) == 0


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_price_at_the_end_that_is_not_finite_is_left_out(estimate, expected: float, fewest: int, bad: float) -> None:
    assert estimate(np.append(PRICES, bad)) == pytest.approx(expected, rel=1e-9)


@every
def test_two_pieces_with_a_gap_weigh_by_their_moves(estimate, expected: float, fewest: int) -> None:
    assert estimate(np.r_[PRICES, np.nan, PRICES + 1]) == pytest.approx(2 * expected, rel=1e-9)


@every
def test_without_a_move_between_neighbours_nothing_is_known(estimate, expected: float, fewest: int) -> None:
    assert np.isnan(estimate(np.array([0.5, np.nan, 0.6, np.nan, 0.7])))


@every
def test_squares_that_overflow_give_no_number(estimate, expected: float, fewest: int) -> None:
    assert np.isnan(estimate(np.array([0.0, 1e200, 0.0, 1e200, 0.0])))


@every
@settings(deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(-10, 10))
def test_scale_enters_squared_and_level_does_not(
    estimate, expected: float, fewest: int, scale: float, level: float
) -> None:
    assert estimate(scale * PRICES + level) == pytest.approx(scale**2 * expected, rel=1e-6, abs=1e-10)


def test_bipower_means_over_products_of_moves_on_both_sides_of_a_gap() -> None:
    # Moves 1, 2, gap, 3: three moves, one product.
    prices = np.array([0.0, 1.0, 3.0, np.nan, 0.0, 3.0])
    assert bipower_variation(prices) == pytest.approx(pi / 2 * 3 * 2)


def test_one_jump_enters_realized_variance_and_not_the_others() -> None:
    rng = np.random.default_rng(3)
    smooth = np.cumsum(rng.standard_normal(2_000))
    jumped = smooth + np.where(np.arange(2_000) >= 1_000, 60.0, 0.0)
    assert realized_variance(jumped) / realized_variance(smooth) > 2.5
    assert bipower_variation(jumped) / bipower_variation(smooth) < 1.25
    for estimate in (med_rv, min_rv):
        assert estimate(jumped) / estimate(smooth) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("realized", "bipower", "expected"), [(4.0, 3.0, 0.25), (4.0, 5.0, 0.0), (4.0, 0.0, 1.0), (4.0, 4.0, 0.0)]
)
def test_jump_share_is_what_bipower_lacks(realized: float, bipower: float, expected: float) -> None:
    assert jump_share(realized, bipower) == expected


@pytest.mark.parametrize(("realized", "bipower"), [(0.0, 0.0), (np.nan, 1.0), (1.0, np.nan)])
def test_jump_share_is_unknown_without_a_move(realized: float, bipower: float) -> None:
    assert np.isnan(jump_share(realized, bipower))
