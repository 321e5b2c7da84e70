from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary_pipelines.analytics.noise_robust_volatility import (
    optimal_kernel_lag,
    optimal_tsrv_lag,
    pre_averaged_variance,
    realized_kernel,
    roll_half_spread,
    tsrv,
    zhou_variance,
)
from tributary_pipelines.analytics.volatility import realized_variance
from tributary_pipelines.core.errors import ValidationError

#: The series of science.md 2, with the values computed there.
PRICES = np.array([0.500, 0.504, 0.498, 0.503, 0.507, 0.501, 0.512, 0.509, 0.515, 0.511, 0.520, 0.517])
#: Estimator, its value on PRICES, its relative tolerance by the digits given, and the fewest prices it takes.
ESTIMATORS = [
    pytest.param(zhou_variance, -1.23e-4, 1e-9, 3, id="zhou"),
    pytest.param(partial(tsrv, K=3, J=1), 4.6076923076923e-5, 1e-9, 4, id="tsrv"),
    pytest.param(partial(realized_kernel, H=2), 1.353703703703706e-4, 1e-9, 4, id="kernel"),
    pytest.param(pre_averaged_variance, -1.2277777777778e-5, 1e-9, 5, id="pre-averaging"),
    pytest.param(roll_half_spread, 0.011313708498984769 / 2, 1e-9, 4, id="roll"),
]
every = pytest.mark.parametrize(("estimate", "expected", "tolerance", "fewest"), ESTIMATORS)


@every
def test_value_is_the_independent_one(estimate, expected: float, tolerance: float, fewest: int) -> None:
    assert estimate(PRICES) == pytest.approx(expected, rel=tolerance)


@every
def test_fewest_prices_give_a_number_and_one_less_gives_none(estimate, expected, tolerance, fewest: int) -> None:
    assert np.isfinite(estimate(PRICES[:fewest]))
    assert all(np.isnan(estimate(PRICES[:n])) for n in range(fewest))


@every
def test_constant_price_has_no_variance(estimate, expected, tolerance, fewest: int) -> None:
    assert estimate(np.full(10, 0.5)) == 0


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 5, 11])
def test_one_price_that_is_not_finite_gives_no_number(estimate, expected, tolerance, fewest, bad: float, at: int):
    prices = PRICES.copy()
    prices[at] = bad
    assert np.isnan(estimate(prices))


@every
def test_squares_that_overflow_give_no_number(estimate, expected, tolerance, fewest) -> None:
    assert np.isnan(estimate(np.tile([1e200, 0.0, -1e200], 4)))


@every
@settings(deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(-10, 10))
def test_price_scale_enters_and_level_does_not(estimate, expected, tolerance, fewest, scale: float, level: float):
    power = 1 if estimate is roll_half_spread else 2
    assert estimate(scale * PRICES + level) == pytest.approx(scale**power * expected, rel=1e-5, abs=1e-8)


@pytest.fixture(scope="module")
def bouncing() -> np.ndarray:
    """4,000 trades of a variance of 4e-4 with a half-spread of 0.25 %: bounce is 125 times the variance."""
    rng = np.random.default_rng(11)
    return np.cumsum(0.02 / np.sqrt(4_000) * rng.standard_normal(4_000)) + 0.0025 * rng.choice([-1, 1], 4_000)


def test_bounce_swamps_realized_variance_and_spares_the_others(bouncing: np.ndarray) -> None:
    K, H = (rule(0.0025**2, 4e-4**2, 4_000) for rule in (optimal_tsrv_lag, optimal_kernel_lag))
    assert realized_variance(bouncing) > 100 * 4e-4
    assert tsrv(bouncing, K) == pytest.approx(4e-4, rel=0.35)
    assert realized_kernel(bouncing, H) == pytest.approx(4e-4, rel=0.35)
    assert pre_averaged_variance(bouncing) == pytest.approx(4e-4, rel=0.35)
    assert roll_half_spread(bouncing) == pytest.approx(0.0025, rel=0.02)


def test_roll_is_zero_when_moves_follow_each_other() -> None:
    assert roll_half_spread(np.array([0.0, 1.0, 3.0, 6.0, 8.0, 9.0])) == 0


def test_kernel_without_autocovariances_is_realized_variance() -> None:
    assert realized_kernel(PRICES, 0) == pytest.approx(4.01e-4, rel=1e-12)


def test_kernel_by_hand_uses_both_branches_of_parzen() -> None:
    # r = 1, 1, 1: g = 3, 2, 1; k(1/3) = 1 - 6/9 + 6/27 = 5/9, k(2/3) = 2/27.
    assert realized_kernel(np.arange(4.0), 2) == pytest.approx(3 + 2 * (5 / 9 * 2 + 2 / 27))


def test_tsrv_by_hand_at_a_fast_scale_of_two() -> None:
    # Moves of 3 and of 2 over a straight line: a = 9 * 3 / 3, b = 4 * 4 / 2; n_K = 4/3, n_J = 5/2.
    assert tsrv(np.arange(6.0), 3, 2) == pytest.approx((9 - 8 / 15 * 8) / (1 - 8 / 15))


def test_pre_averaging_by_hand_with_the_shortest_window() -> None:
    # n = 5, k = 3: every Z = 2/3 of 1/4, psi1 = 2/3, psi2 = 2/27, c = 1/2, RV = 1/4.
    assert pre_averaged_variance(np.linspace(0, 1, 5)) == pytest.approx((0.5 - 0.5 * 0.25) / 0.5)


@pytest.mark.parametrize(("K", "J"), [(1, 1), (2, 3), (3, 0), (3, -1)])
def test_scales_of_tsrv_out_of_order_are_an_error(K: int, J: int) -> None:
    with pytest.raises(ValidationError, match=rf"K={K}, J={J} of TSRV.*1 <= J < K"):
        tsrv(PRICES, K, J)


def test_kernel_of_a_negative_number_of_lags_is_an_error() -> None:
    with pytest.raises(ValidationError, match=r"-1 autocovariances.*give 0 or more"):
        realized_kernel(PRICES, -1)


@pytest.mark.parametrize(
    ("noise", "quarticity", "n", "expected"),
    [
        (1e-4, 1.2e-7, 1_000, 100),  # 12 * 1e-8 / 1.2e-7 = 1, and 1000^(2/3) = 100
        (1e-4, 1.2e-7, 1_001, 101),
        (0.0, 1e-8, 1_000, 2),
        (np.nan, 1e-8, 1_000, 2),
        (1e-4, 1e-30, 1_000, 500),
        (1e-4, 0.0, 1_000, 500),
        (0.0, 0.0, 1_000, 2),
        (1e-4, 0.0, 3, 2),
        (1e200, 1e-300, 1_000, 500),
    ],
)
def test_optimal_tsrv_lag_follows_the_rule_within_its_bounds(noise, quarticity, n: int, expected: int) -> None:
    assert optimal_tsrv_lag(noise, quarticity, n) == expected


@pytest.mark.parametrize(
    ("noise", "quarticity", "n", "expected"),
    [
        (1e-4, 1e-8, 1_000, 222),  # 3.5134 * 1000^0.6 = 221.7
        (1e-6, 1e-8, 1_000, 36),  # times 100^-0.4: 35.1
        (0.0, 1e-8, 1_000, 1),
        (np.nan, 1e-8, 1_000, 1),
        (1e-4, 0.0, 1_000, 500),
        (1e-4, 0.0, 2, 1),
    ],
)
def test_optimal_kernel_lag_follows_the_rule_within_its_bounds(noise, quarticity, n: int, expected: int) -> None:
    assert optimal_kernel_lag(noise, quarticity, n) == expected
