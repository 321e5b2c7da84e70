from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary_pipelines.analytics.two_scale import (
    GRID_S,
    LAG_LADDER_S,
    lag_pair,
    price_scale,
    two_scale_draws,
    two_scale_variance,
    two_scale_volatility,
)

LAGS = np.array(LAG_LADDER_S) / 86_400
HOUR = LAG_LADDER_S.index(3_600)
ONES = np.ones(len(LAGS))


def lags_of(pair: tuple[int, int] | None) -> tuple[int, int] | None:
    return pair and (LAG_LADDER_S[pair[0]], LAG_LADDER_S[pair[1]])


def test_price_scale_is_p_times_one_minus_p_for_bounds_zero_and_one() -> None:
    np.testing.assert_allclose(price_scale(np.array([0.1, 0.5]), 0.0, 1.0), [0.09, 0.25])


def test_price_scale_of_other_bounds_vanishes_at_both() -> None:
    np.testing.assert_allclose(price_scale(np.array([2.0, 4.0, 6.0]), 2.0, 6.0), [0.0, 1.0, 0.0])


def test_price_scale_without_bounds_is_one_where_there_is_a_price() -> None:
    np.testing.assert_array_equal(price_scale(np.array([3.0, np.nan]), None, None), [1.0, np.nan])


@pytest.mark.parametrize(
    ("required_s", "expected"),
    [
        (0, (300, 3_600)),
        (300, (300, 3_600)),
        (301, (340, 3_600)),
        (600, (600, 3_600)),
        (1_200, (1_360, 4_080)),
        (1_600, (1_790, 5_360)),
        (3_600, (3_600, 12_230)),
        (14_030, (14_030, 42_090)),
        (14_031, None),
        (1e9, None),
    ],
)
def test_lags_follow_the_rule(required_s: float, expected: tuple[int, int] | None) -> None:
    assert lags_of(lag_pair(required_s)) == expected


def test_ladder_rises_on_the_grid_and_holds_the_shortest_pair() -> None:
    assert all(later > earlier for earlier, later in pairwise(LAG_LADDER_S))
    assert all(lag % GRID_S == 0 for lag in LAG_LADDER_S)
    assert {300, 3_600} <= set(LAG_LADDER_S)
    # Two lags of one day, with room for a move of each to begin in every half of it.
    assert LAG_LADDER_S[-1] <= 43_200


@given(st.floats(0, 50_000))
def test_pair_keeps_its_distance(required_s: float) -> None:
    pair = lags_of(lag_pair(required_s))
    if pair is None:
        assert required_s > LAG_LADDER_S[-1] / 3.1
    else:
        assert pair[0] >= required_s
        assert pair[1] >= max(3_600, 2.95 * pair[0])


def test_slope_cancels_noise_of_any_size() -> None:
    noisy = two_scale_variance(0.0009 * LAGS + 0.5, ONES, ONES, (0, HOUR))
    assert noisy == pytest.approx(0.0009, rel=1e-9)


def test_slope_by_hand() -> None:
    move_sq, n_moves = np.zeros(len(LAGS)), np.zeros(len(LAGS))
    move_sq[[0, HOUR]], n_moves[[0, HOUR]] = [0.02, 0.06], [10, 4]
    assert two_scale_variance(move_sq, n_moves, n_moves, (0, HOUR)) == pytest.approx((0.015 - 0.002) * 86_400 / 3_300)


def test_slope_needs_moves_at_both_lags() -> None:
    n_moves = ONES.copy()
    n_moves[HOUR] = 0
    assert np.isnan(two_scale_variance(LAGS, n_moves, n_moves, (0, HOUR)))


def test_slope_needs_scales_that_grow_with_the_lag() -> None:
    assert np.isnan(two_scale_variance(LAGS, ONES, np.zeros(len(LAGS)), (0, HOUR)))


def test_draws_are_the_slopes_of_each_row() -> None:
    rng = np.random.default_rng(1)
    n_moves = rng.integers(50, 90, (6, len(LAGS))).astype(float)
    scale_sq = n_moves * rng.uniform(0.2, 0.25, n_moves.shape) ** 2
    move_sq = n_moves * (0.0009 * LAGS + 1e-5) * rng.uniform(0.8, 1.2, n_moves.shape)
    for pair in ((0, HOUR), (5, HOUR + 3)):
        found = two_scale_draws(*(part[:, pair] for part in (move_sq, n_moves, scale_sq)), pair=pair)
        expected = [two_scale_variance(*row, pair) for row in zip(move_sq, n_moves, scale_sq, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_draw_without_moves_at_a_lag_has_no_slope() -> None:
    move_sq, n_moves = np.array([[1.0, 2.0], [1.0, 0.0], [0.0, 0.0]]), np.array([[10.0, 10.0], [10.0, 0.0], [0.0, 0.0]])
    found = two_scale_draws(move_sq, n_moves, n_moves, pair=(0, HOUR))
    assert np.isfinite(found).tolist() == [True, False, False]
    assert found[0] == pytest.approx(0.1 * 86_400 / 3_300)


def test_fine_tick_is_measured_at_five_minutes_and_an_hour() -> None:
    found = two_scale_volatility(0.0009 * LAGS, ONES, ONES, tick_size=0.001)
    assert (found.sigma, found.state_sigma) == (pytest.approx(0.03), pytest.approx(0.03))
    assert (found.lag_short_s, found.lag_long_s, found.is_tick_bound, found.reason) == (300, 3_600, False, None)


def test_coarse_tick_lengthens_the_lags() -> None:
    # tick^2 / (6 sigma^2) = 1e-4 / (6 * 9e-4) of a day = 1,600 s, so J is the next lag of the ladder.
    found = two_scale_volatility(0.0009 * LAGS, ONES, ONES, tick_size=0.01)
    assert (found.lag_short_s, found.lag_long_s, found.is_tick_bound) == (1_790, 5_360, True)


def test_half_life_lengthens_the_lags() -> None:
    found = two_scale_volatility(0.0009 * LAGS, ONES, ONES, tick_size=None, half_life_s=600)
    assert (found.lag_short_s, found.lag_long_s, found.is_tick_bound) == (3_100, 9_290, False)


def test_lags_above_twelve_hours_are_refused() -> None:
    found = two_scale_volatility(0.0009 * LAGS, ONES, ONES, tick_size=0.1)
    assert found.sigma is None
    assert "more than 12 h" in found.reason


def test_constant_price_is_refused() -> None:
    found = two_scale_volatility(0 * LAGS, ONES, ONES, tick_size=0.01)
    assert (found.sigma, found.lag_short_s) == (None, None)
    assert "do not grow" in found.reason


def test_overflow_is_refused() -> None:
    found = two_scale_volatility(np.full(len(LAGS), np.inf), ONES, ONES, tick_size=0.01)
    assert found.sigma is None
    assert "not finite" in found.reason


def test_mids_too_close_together_are_refused() -> None:
    n_moves = np.where(np.array(LAG_LADDER_S) < 3_600, 1.0, 0.0)
    found = two_scale_volatility(LAGS * n_moves, n_moves, n_moves, tick_size=0.01)
    assert found.sigma is None
    assert "an hour apart" in found.reason


@settings(deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(0, 1.0))
def test_sigma_scales_with_the_price(scale: float, noise: float) -> None:
    base = two_scale_volatility(0.0009 * LAGS + noise, ONES, ONES, tick_size=0.001)
    scaled = two_scale_volatility(scale**2 * (0.0009 * LAGS + noise), ONES, ONES, tick_size=0.001 * scale)
    assert scaled.sigma == pytest.approx(scale * base.sigma, rel=1e-6)
