from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary_pipelines.analytics.calibration.resampling import (
    N_DRAWS,
    Measured,
    Resampling,
    draw_counts,
    log_interval,
    resample,
    student_t,
)

#: 97.5 % quantiles of Student's law from a printed table.
QUANTILES = {2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 10: 2.2281, 29: 2.0452, 100: 1.9840}


def window_of(n_days: int, **options) -> Resampling:
    return resample(np.repeat(np.arange(n_days), 12), np.ones(12 * n_days), **options)


def alone(n: int) -> Resampling:
    return Resampling(np.arange(n), n, float(n))


@pytest.mark.parametrize(("n_days", "blocks_each"), [(1, 1), (4, 1), (5, 2), (20, 2), (21, 12), (30, 12)], ids=str)
def test_clusters_follow_the_length_of_the_window(n_days: int, blocks_each: int) -> None:
    found = window_of(n_days)
    np.testing.assert_array_equal(found.clusters, np.arange(12 * n_days) // blocks_each)
    assert (found.n_clusters, found.n_effective) == (12 * n_days // blocks_each, 12 * n_days // blocks_each)


@pytest.mark.parametrize(
    ("longest_s", "blocks_each"),
    [
        (0, 2),
        (7_200, 2),
        (7_201, 3),
        (10_800, 3),
        (14_400, 4),
        (14_401, 6),
        (21_600, 6),
        (21_601, 12),
        (43_200, 12),
        (86_400, 12),
    ],
)
def test_clusters_are_twice_as_long_as_an_observation_up_to_a_day(longest_s: float, blocks_each: int) -> None:
    assert window_of(7, longest_s=longest_s).n_clusters == 7 * 12 // blocks_each
    assert window_of(30, longest_s=longest_s).n_clusters == 30


def test_clusters_never_cross_midnight_nor_join_days_apart() -> None:
    found = resample(np.repeat([0, 9], 12), np.ones(24), longest_s=86_400)
    np.testing.assert_array_equal(found.clusters, np.repeat([0, 1], 12))


def test_blocks_without_data_stand_outside() -> None:
    has_data = np.ones(60)
    has_data[[0, 1, 2, 59]] = [0.0, 0.0, 0.0, np.nan]
    found = resample(np.repeat(np.arange(5), 12), has_data)
    # Of the pairs, the first is empty and the second half; what overflowed is data.
    assert found.n_clusters == 29
    assert found.clusters[:6].tolist() == [-1, -1, -1, 0, 1, 1]
    assert found.clusters[-2:].tolist() == [28, 28]


def test_a_window_without_data_has_no_clusters() -> None:
    for found in (resample(np.zeros(12, np.int64), np.zeros(12)), resample(np.empty(0, np.int64), np.empty(0))):
        assert (found.n_clusters, found.n_effective) == (0, 0)
        assert found.sums(np.ones((len(found.clusters), 3))).shape == (0, 3)
        np.testing.assert_array_equal(found.draws(np.ones((len(found.clusters), 3))), np.zeros((N_DRAWS, 3)))


def test_markets_of_one_day_share_its_clusters() -> None:
    found = resample(np.repeat([0, 0, 1], 12), np.ones(36))
    assert found.n_clusters == 24
    np.testing.assert_array_equal(found.clusters[:12], found.clusters[12:24])
    np.testing.assert_array_equal(found.sums(np.ones(36)), [2.0] * 12 + [1.0] * 12)


def test_days_of_little_weight_make_a_short_window() -> None:
    ages = np.arange(30)[::-1]
    effective_days = (0.5 ** (ages / 3)).sum() ** 2 / (0.25 ** (ages / 3)).sum()
    assert 5 < effective_days < 21
    found = window_of(30, weights=np.repeat(0.5 ** (ages / 3), 12))
    assert found.n_clusters == 30 * 6
    assert found.n_effective == pytest.approx(6 * effective_days)
    few = window_of(30, weights=np.repeat(0.5 ** (ages / 1), 12))
    assert few.n_clusters == 360
    # Three days' worth: (1 + r) / (1 - r) for weights r^age.
    assert few.n_effective == pytest.approx(36, rel=1e-6)


def test_sums_are_those_of_each_cluster() -> None:
    found = Resampling(np.array([0, 0, -1, 1]), 2, 2.0)
    np.testing.assert_array_equal(found.sums(np.array([1.0, 2.0, 99.0, 5.0])), [3, 5])
    np.testing.assert_array_equal(found.sums(np.arange(8.0).reshape(4, 2)), [[2, 4], [6, 7]])


@pytest.mark.parametrize("n_clusters", [1, 5, 30, 360])
def test_every_draw_takes_as_many_clusters_as_there_are(n_clusters: int) -> None:
    counts = draw_counts(n_clusters)
    assert counts.shape == (N_DRAWS, n_clusters)
    np.testing.assert_array_equal(counts.sum(axis=1), n_clusters)
    assert (counts == np.round(counts)).all()
    assert (counts >= 0).all()


def test_draws_repeat_to_the_bit_and_differ_from_each_other() -> None:
    first = draw_counts(12).copy()
    draw_counts.cache_clear()
    np.testing.assert_array_equal(draw_counts(12), first)
    assert len(np.unique(first, axis=0)) == N_DRAWS
    # Each cluster is drawn once on average: 200 draws know it to 0.07.
    np.testing.assert_allclose(first.mean(axis=0), 1, atol=0.3)


def test_draws_are_sums_over_the_drawn_clusters() -> None:
    rng = np.random.default_rng(1)
    clusters = Resampling(np.arange(24) // 2, 12, 12.0)
    blocks = rng.standard_normal((24, 3, 2))
    found = clusters.draws(blocks)
    assert found.shape == (N_DRAWS, 3, 2)
    for draw in (0, 117, 199):
        expected = sum(
            draw_counts(12)[draw, cluster] * blocks[2 * cluster : 2 * cluster + 2].sum(axis=0) for cluster in range(12)
        )
        np.testing.assert_allclose(found[draw], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n", [30, 100])
def test_bootstrap_error_of_a_mean_is_that_of_theory(n: int) -> None:
    # Over 25 windows, since 200 draws of one know it to 5 %; a bootstrap lacks the factor (n / (n - 1))^0.5.
    rng = np.random.default_rng(5)
    ratios = []
    for _ in range(25):
        blocks = rng.standard_normal(n)
        ratios.append(alone(n).draws(blocks).std(ddof=1) / (np.sqrt(n) * blocks.std(ddof=1)))
    assert np.mean(ratios) == pytest.approx(1, abs=0.05)
    assert ratios[0] == pytest.approx(1, abs=0.15)


def test_blocks_that_repeat_within_a_cluster_widen_the_error() -> None:
    days = np.random.default_rng(6).standard_normal(30)
    blocks = np.repeat(days, 12)
    apart = alone(360).draws(blocks).std()
    together = window_of(30).draws(blocks).std()
    assert together == pytest.approx(12 * np.sqrt(30) * days.std(), rel=0.15)
    assert together > 3 * apart


@pytest.mark.parametrize("freedom", QUANTILES)
def test_student_quantile_is_that_of_the_tables(freedom: int) -> None:
    assert student_t(freedom) == pytest.approx(QUANTILES[freedom], rel=1e-2 if freedom < 4 else 1e-3)


def test_student_quantile_falls_to_the_normal_one() -> None:
    quantiles = [student_t(freedom) for freedom in (0.5, 1, 2, 3.5, 4, 9, 1e9)]
    assert quantiles[0] == quantiles[1]
    assert all(np.diff(quantiles[1:]) < 0)
    assert quantiles[-1] == pytest.approx(1.959963984540054, rel=1e-8)


def test_ratio_is_the_t_interval_on_the_means_of_equal_clusters() -> None:
    means = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 3.0])
    found = alone(6).ratio(24 * means, np.full(6, 24.0))
    # Mean 3, s^2 = (4 + 0 + 1 + 4 + 1 + 0) / 5 = 2, error (2 / 6)^0.5, t of five degrees of freedom.
    assert found.value == pytest.approx(3)
    assert found.ci_high - found.value == pytest.approx(2.5706 * np.sqrt(1 / 3), rel=1e-3)
    assert found.value - found.ci_low == pytest.approx(found.ci_high - found.value)


def test_ratio_weighs_clusters_by_their_counts() -> None:
    counts, means = np.array([1.0, 2.0, 3.0, 4.0, 10.0]), np.array([5.0, 1.0, 2.0, 4.0, 3.0])
    found = alone(5).ratio(counts * means, counts)
    assert found.value == pytest.approx(59 / 20)
    deviations = counts * (means - 59 / 20)
    error = np.sqrt((deviations**2).sum() * 5 / 4) / 20
    assert found.ci_high - found.value == pytest.approx(student_t(4) * error, rel=1e-12)


def test_ratio_joins_blocks_before_it_compares_them() -> None:
    above = np.array([1.0, 5.0, 2.0, 4.0, 3.0, 3.0, 0.0, 6.0, 1.0, 5.0])
    found = Resampling(np.arange(10) // 2, 5, 5.0).ratio(above, np.ones(10))
    assert (found.value, found.ci_low, found.ci_high) == (3, 3, 3)


def test_ratio_counts_only_clusters_that_know_something() -> None:
    above, below = np.array([1.0, 2.0, 3.0, 4.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    assert alone(6).ratio(above, below) == Measured(2.5, None, None)
    five = alone(6).ratio(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0]))
    assert five.ci_high - 3 == pytest.approx(2.7764 * np.sqrt(2.5 / 5), rel=1e-3)


def test_ratio_of_sums_that_overflowed_has_no_interval() -> None:
    found = alone(6).ratio(np.array([np.nan, 1, 1, 1, 1, 1]), np.ones(6))
    assert np.isnan(found.value)
    assert (found.ci_low, found.ci_high) == (None, None)


def test_ratio_whose_deviations_overflow_has_no_interval() -> None:
    found = alone(6).ratio(1e200 * np.arange(1.0, 7.0), np.ones(6))
    assert (found.value, found.ci_low, found.ci_high) == (pytest.approx(3.5e200), None, None)


def test_ratio_too_uncertain_for_its_sign_has_its_interval_in_logs() -> None:
    above = np.array([10.0, 0.0, 0.0, 1.0, 0.0, 1.0])
    # Mean 2, s^2 = (64 + 3 * 4 + 2 * 1) / 5, error (s^2 / 6)^0.5 = 1.61: two would be left of zero.
    error = np.sqrt(78 / 5 / 6)
    found = alone(6).ratio(above, np.ones(6))
    reach = student_t(5) * error / 2
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((2, 2 * exp(-reach), 2 * exp(reach)))
    # What is not positive has no logs: its interval stays symmetric.
    mirrored = alone(6).ratio(-above, np.ones(6))
    assert (mirrored.ci_low, mirrored.ci_high) == pytest.approx((-2 - 2 * reach, -2 + 2 * reach))


def test_unequal_weights_widen_the_interval_of_a_ratio() -> None:
    above = np.random.default_rng(1).uniform(1, 2, 30)
    equal, unequal = (Resampling(np.arange(30), 30, n).ratio(above, np.ones(30)) for n in (30.0, 6.0))
    assert unequal.value == equal.value
    assert unequal.ci_high - unequal.value == pytest.approx(
        (equal.ci_high - equal.value) * student_t(5) / student_t(29) * np.sqrt(6 / 5 * 29 / 30), rel=1e-12
    )
    assert Resampling(np.arange(30), 30, 4.9).ratio(above, np.ones(30)).ci_low is None


def draws_of(log_error: float, n: int = N_DRAWS) -> np.ndarray:
    steps = np.linspace(-1, 1, n)
    return 2.0 * np.exp(log_error * steps / steps.std(ddof=1))


def test_interval_is_students_in_logs() -> None:
    found = alone(11).interval(2.0, draws_of(0.1))
    assert found.value == 2
    assert (log(found.ci_low / 2), log(found.ci_high / 2)) == (
        pytest.approx(-0.1 * QUANTILES[10], rel=1e-3),
        pytest.approx(0.1 * QUANTILES[10], rel=1e-3),
    )


@pytest.mark.parametrize(("n_clusters", "has_interval"), [(4, False), (5, True)])
def test_interval_needs_five_clusters(n_clusters: int, has_interval: bool) -> None:
    found = alone(n_clusters).interval(2.0, draws_of(0.1))
    assert (found.ci_low is not None, found.ci_high is not None) == (has_interval, has_interval)


@pytest.mark.parametrize(("n_lost", "has_interval"), [(20, True), (21, False)])
@pytest.mark.parametrize("lost", [np.nan, -1.0, 0.0, np.inf])
def test_interval_needs_nine_tenths_of_the_draws(lost: float, n_lost: int, has_interval: bool) -> None:
    draws = draws_of(0.1)
    draws[:n_lost] = lost
    assert (alone(11).interval(2.0, draws).ci_low is not None) == has_interval


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_what_is_not_positive_has_no_interval_in_logs(value: float) -> None:
    assert alone(11).interval(value, draws_of(0.1)).ci_low is None


def test_interval_without_draws_is_none() -> None:
    assert alone(11).interval(2.0, np.empty(0)) == Measured(2.0, None, None)


def test_interval_over_three_orders_of_magnitude_is_none() -> None:
    t = student_t(9)
    assert log_interval(1.0, log(999) / t, 10).ci_high == pytest.approx(999)
    for log_error in (log(1_001) / t, float("nan"), float("inf")):
        assert log_interval(1.0, log_error, 10) == Measured(1.0, None, None)


@settings(deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1.0), st.integers(5, 400))
def test_interval_holds_its_value_and_scales_with_it(value: float, log_error: float, n: int) -> None:
    found = log_interval(value, log_error, n)
    assert found.ci_low < value < found.ci_high
    assert found.ci_low * found.ci_high == pytest.approx(value**2, rel=1e-9)
    assert found.ci_high / value == pytest.approx(exp(student_t(n - 1) * log_error), rel=1e-9)


def test_measured_is_scaled_and_shifted_with_its_interval() -> None:
    assert Measured(2.0, 1.0, 4.0).scaled(3.0, 0.5) == Measured(6.5, 3.5, 12.5)
    assert Measured(2.0, None, None).scaled(3.0) == Measured(6.0, None, None)
