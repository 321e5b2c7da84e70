from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary_pipelines.analytics.seasonality import hourly_sums, variance_profile, volume_profile
from tributary_pipelines.core.frames import Trades, no_trades

START = 1_772_323_200_000_000  # 2026-03-01T00:00:00Z
MONDAY = date(2026, 3, 2)
NO_MIDS = np.full(8_640, np.nan)
ONES = np.ones((1, 24))


def trades_at(seconds: list[float], sizes: list[float]) -> Trades:
    times = START + np.round(np.array(seconds) * 1e6).astype(np.int64)
    return Trades(times, np.full(len(times), 0.5), np.array(sizes, float), np.zeros(len(times), np.int8))


def test_moves_belong_to_the_hour_where_they_start() -> None:
    grid = np.full(8_640, 0.5)
    grid[360:] = 0.7  # from 01:00:00, so that the move begins at 00:55
    sums = hourly_sums(grid, no_trades(), START)
    np.testing.assert_allclose(sums["hour_move_sq"], [0.04, *np.zeros(23)], atol=1e-15)
    np.testing.assert_array_equal(sums["hour_n_moves"], [12.0] * 23 + [11.0])


def test_missing_mid_takes_its_two_moves_with_it() -> None:
    grid = np.full(8_640, 0.5)
    grid[3 * 360 + 60] = np.nan  # 03:10
    sums = hourly_sums(grid, no_trades(), START)
    assert (sums["hour_n_moves"][3], sums["hour_n_moves"].sum()) == (10, 285)


def test_volume_belongs_to_the_hour_of_the_trade() -> None:
    sums = hourly_sums(NO_MIDS, trades_at([0, 3_599.999999, 3_600, 86_399.999999], [1, 2, 4, 8]), START)
    np.testing.assert_array_equal(sums["hour_volume"], [3, 4, *np.zeros(21), 8])


def test_empty_day_has_zero_moves_and_zero_volume() -> None:
    sums = hourly_sums(NO_MIDS, no_trades(), START)
    assert set(sums) == {"hour_move_sq", "hour_n_moves", "hour_volume"}
    for values in sums.values():
        np.testing.assert_array_equal(values, np.zeros(24))


def days_from(first: date, n: int) -> list[date]:
    return [first + timedelta(days=i) for i in range(n)]


def test_known_u_shape_is_recovered() -> None:
    rng = np.random.default_rng(2)
    hours = np.arange(24)
    shape = 1 + ((hours - 11.5) / 11.5) ** 2
    shape /= shape.mean()
    days, rows = days_from(MONDAY, 7 * 40), []
    for _ in days:
        steps = np.sqrt(np.repeat(shape, 360) / 8_640) * rng.standard_normal(8_640)
        sizes = shape * rng.uniform(50, 150, 24)
        rows.append(hourly_sums(np.cumsum(steps), trades_at([h * 3_600 + 60 for h in range(24)], sizes), START))
    move_sq, n_moves, volume = (np.array([r[k] for r in rows]) for k in ("hour_move_sq", "hour_n_moves", "hour_volume"))
    # 480 squared normal moves an hour of the week: 6.5 % of error each, 2.5 % on the mean of seven days.
    variance = variance_profile(days, move_sq, n_moves)
    np.testing.assert_allclose(variance, np.tile(shape, 7), rtol=0.3)
    np.testing.assert_allclose(variance.reshape(7, 24).mean(axis=0), shape, rtol=0.1)
    np.testing.assert_allclose(volume_profile(days, volume, n_moves), np.tile(shape, 7), rtol=0.2)


def test_hour_zero_is_monday_midnight() -> None:
    volume = ONES.copy()
    volume[0, 0] = 25.0
    monday, tuesday = (volume_profile([MONDAY + timedelta(days=i)], volume, ONES) for i in (0, 1))
    assert (np.nanargmax(monday), np.nanargmax(tuesday)) == (0, 24)


def test_one_day_knows_its_own_hours_alone() -> None:
    sunday = MONDAY + timedelta(days=6)
    profile = variance_profile([sunday], np.arange(24.0)[None], np.full((1, 24), 12.0))
    np.testing.assert_array_equal(np.isfinite(profile), np.arange(168) >= 144)
    np.testing.assert_allclose(profile[144:], np.arange(24) / 11.5)


def test_variance_is_the_ratio_of_the_sums_not_the_mean_of_ratios() -> None:
    move_sq, n_moves = np.zeros((2, 24)), np.zeros((2, 24))
    move_sq[:, 0], n_moves[:, 0] = [12.0, 6.0], [12, 1]  # 18/13, not (1 + 6)/2
    move_sq[:, 1], n_moves[:, 1] = [12.0, 12.0], [12, 12]
    profile = variance_profile([MONDAY, MONDAY + timedelta(days=7)], move_sq, n_moves)
    assert profile[0] / profile[1] == pytest.approx(18 / 13)


def test_volume_counts_quiet_hours_with_quotes_and_not_outages() -> None:
    days = days_from(MONDAY, 22)[::7]
    volume, n_moves = np.zeros((4, 24)), np.zeros((4, 24))
    volume[:, 0], n_moves[:, 0] = [6.0, 0.0, 0.0, 0.0], [12, 12, 12, 0]  # 6 shares in 3 observed hours
    volume[:, 1], n_moves[:, 1] = [4.0, 0.0, 0.0, 0.0], [0, 0, 0, 0]  # traded without quotes: 4 in 1
    profile = volume_profile(days, volume, n_moves)
    np.testing.assert_allclose(profile[:2], np.array([2.0, 4.0]) / 3)
    assert np.isnan(profile[2:]).all()


def test_days_count_by_their_weights() -> None:
    days = [MONDAY, MONDAY + timedelta(days=7)]
    values = np.array([[1.0, 3.0], [3.0, 1.0]]).repeat(12, axis=1)
    ones, weights = np.ones((2, 24)), np.array([3.0, 1.0])
    # Means 1.5 and 2.5 around 2.
    expected = np.array([0.75, 1.25]).repeat(12)
    np.testing.assert_allclose(variance_profile(days, values, ones, weights)[:24], expected)
    np.testing.assert_allclose(volume_profile(days, values, ones, weights)[:24], expected)


def test_day_of_weight_zero_is_not_there() -> None:
    days = [MONDAY, MONDAY + timedelta(days=1)]
    profile = variance_profile(days, np.ones((2, 24)), np.ones((2, 24)), np.array([1.0, 0.0]))
    assert np.isfinite(profile).sum() == 24


@pytest.mark.parametrize("profile_of", [variance_profile, volume_profile])
@pytest.mark.parametrize("n_days", [0, 7])
def test_nothing_observed_gives_no_profile(profile_of, n_days: int) -> None:
    nothing = np.zeros((n_days, 24))
    profile = profile_of(days_from(MONDAY, n_days), nothing, nothing)
    np.testing.assert_array_equal(profile, np.full(168, np.nan))


@pytest.mark.parametrize("profile_of", [variance_profile, volume_profile])
def test_nothing_that_moved_or_traded_gives_no_profile(profile_of) -> None:
    profile = profile_of([MONDAY], np.zeros((1, 24)), ONES)
    np.testing.assert_array_equal(profile, np.full(168, np.nan))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.booleans())
def test_profiles_have_mean_one_in_any_order_of_days(seed: int, n_days: int, is_weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    days = days_from(MONDAY + timedelta(days=int(rng.integers(7))), n_days)
    values = rng.exponential(size=(n_days, 24))
    counts = rng.integers(0, 13, (n_days, 24)).astype(float)
    values[counts == 0] = 0
    counts[0, 0], values[0, 0] = 12, 1
    weights = rng.uniform(0.1, 1, n_days) if is_weighted else None
    order = rng.permutation(n_days)
    for profile_of in (variance_profile, volume_profile):
        profile = profile_of(days, values, counts, weights)
        assert np.nanmean(profile) == pytest.approx(1)
        shuffled = profile_of(
            [days[i] for i in order], values[order], counts[order], None if weights is None else weights[order]
        )
        np.testing.assert_allclose(shuffled, profile)
