import numpy as np
import pytest

from tributary_pipelines.analytics import noise_robust_volatility as robust
from tributary_pipelines.analytics import volatility
from tributary_pipelines.analytics.range_volatility import parkinson_variance, yang_zhang_variance
from tributary_pipelines.analytics.volatility_measures import (
    BAR_MEASURES,
    MAX_KERNEL_LAG,
    MEASURES,
    MID_MEASURES,
    TRADE_MEASURES,
    combine_measures,
    day_measures,
    jump_share,
    positions_at,
)
from tributary_pipelines.core.frames import Trades, no_trades

START = 1_772_323_200_000_000  # 2026-03-01T00:00:00Z
DAY_S = 86_400
NO_MIDS = np.full(8_640, np.nan)


def trades_at(seconds: np.ndarray, prices: np.ndarray) -> Trades:
    n = len(seconds)
    times = START + np.round(np.asarray(seconds) * 1e6).astype(np.int64)
    return Trades(times, np.asarray(prices, float), np.ones(n), np.ones(n, np.int8))


def named(grid: np.ndarray, trades: Trades) -> dict[str, float]:
    return dict(zip(MEASURES, day_measures(grid, trades, START), strict=True))


def path_of(rng: np.random.Generator, sigma: float, level: float) -> np.ndarray:
    """A price at every second of a day."""
    return level + np.cumsum(sigma / np.sqrt(DAY_S) * rng.standard_normal(DAY_S))


@pytest.fixture(scope="module")
def many_days() -> np.ndarray:
    """Forty days of sigma 0.01 P/day^0.5 at P = 0.5, 100 trades an hour with a half-spread of 0.002."""
    rng = np.random.default_rng(5)
    days = []
    for _ in range(40):
        path = path_of(rng, 0.01, 0.5)
        seconds = np.sort(rng.uniform(0, DAY_S, rng.poisson(2_400)))
        prices = path[seconds.astype(int)] + 0.002 * rng.choice([-1, 1], len(seconds))
        days.append(day_measures(path[::10], trades_at(seconds, prices), START))
    return np.array(days)


def test_every_measure_has_a_name_and_a_value(many_days: np.ndarray) -> None:
    assert many_days.shape == (40, len(MEASURES))
    assert len(set(MEASURES)) == 13
    assert np.isfinite(many_days).all()


def test_measures_recover_a_known_variance(many_days: np.ndarray) -> None:
    found = dict(zip(MEASURES, combine_measures(many_days), strict=True))
    for name in (*MID_MEASURES, "tsrv", "pre_averaged_variance"):
        assert found[name] == pytest.approx(1e-4, rel=0.08), name
    # The kernel keeps a little of the noise, as in the table of science.md 2: 1.05 to 1.07 in sigma.
    assert found["realized_kernel"] == pytest.approx(1.12e-4, rel=0.1)
    # Unbiased, but its standard error is 8e-5 over these forty days.
    assert found["zhou_variance"] == pytest.approx(1e-4, abs=2.5e-4)
    assert found["roll_half_spread"] == pytest.approx(0.002, rel=0.02)
    # Bounce widens hourly ranges two- to sevenfold here: the unit is right, the truth is not theirs.
    for name in BAR_MEASURES:
        assert 1e-4 < found[name] < 8e-4, name


def test_mids_of_a_whole_day_are_scaled_from_287_moves_to_288() -> None:
    mids = path_of(np.random.default_rng(1), 0.03, 0.5)[::10]
    found = named(mids, no_trades())
    assert found["realized_variance"] == pytest.approx(np.sum(np.diff(mids[::30]) ** 2) * 288 / 287, rel=1e-12)
    assert found["min_rv"] == pytest.approx(volatility.min_rv(mids[::30]) * 288 / 287, rel=1e-12)
    assert all(np.isnan(found[name]) for name in TRADE_MEASURES + BAR_MEASURES)


def test_mids_with_an_outage_are_scaled_by_the_known_moves() -> None:
    mids = path_of(np.random.default_rng(1), 0.03, 0.5)[::10]
    mids[2_000:4_000] = np.nan
    known = np.diff(mids[::30])
    known = known[np.isfinite(known)]
    assert named(mids, no_trades())["realized_variance"] == pytest.approx(np.sum(known**2) * 288 / len(known))
    assert len(known) < 230


@pytest.mark.parametrize(("n_mids", "is_known"), [(73, True), (72, False)])
def test_mids_must_cover_a_quarter_of_the_day(n_mids: int, is_known: bool) -> None:
    mids = NO_MIDS.copy()
    mids[: n_mids * 30 : 30] = np.linspace(0.4, 0.5, n_mids)
    assert np.isfinite(named(mids, no_trades())["realized_variance"]) == is_known


def test_trades_count_once_every_ten_seconds_by_the_last() -> None:
    rng = np.random.default_rng(2)
    used_s = np.arange(0, DAY_S, 40) + 9.0
    used = 0.5 + 0.01 * rng.standard_normal(len(used_s))
    # Another trade earlier in each ten seconds, far away in price, must not be seen.
    seconds, prices = np.sort(np.r_[used_s - 5, used_s]), np.empty(2 * len(used))
    prices[::2], prices[1::2] = 0.9, used
    found = named(NO_MIDS, trades_at(seconds, prices))
    covered = (used_s[-1] - used_s[0]) / DAY_S
    assert found["zhou_variance"] == pytest.approx(robust.zhou_variance(used) / covered, rel=1e-9)
    assert found["pre_averaged_variance"] == pytest.approx(robust.pre_averaged_variance(used) / covered, rel=1e-9)
    assert found["roll_half_spread"] == pytest.approx(robust.roll_half_spread(used), rel=1e-9)
    assert all(np.isnan(found[name]) for name in MID_MEASURES)


def test_lags_follow_their_rules_with_pre_averaging_for_the_signal() -> None:
    rng = np.random.default_rng(4)
    prices = 0.5 + np.cumsum(2e-4 * rng.standard_normal(2_160)) + 0.002 * rng.choice([-1, 1], 2_160)
    found = named(NO_MIDS, trades_at(np.arange(0, DAY_S, 40), prices))
    noise = volatility.realized_variance(prices) / (2 * 2_159)
    signal = robust.pre_averaged_variance(prices) ** 2
    covered = (DAY_S - 40) / DAY_S
    K = robust.optimal_tsrv_lag(noise, signal, 2_160)
    H = robust.optimal_kernel_lag(noise, signal, 2_160)
    assert 2 < K < 1_080
    assert 1 < H < MAX_KERNEL_LAG
    assert found["tsrv"] == pytest.approx(robust.tsrv(prices, K) / covered, rel=1e-9)
    assert found["realized_kernel"] == pytest.approx(robust.realized_kernel(prices, H) / covered, rel=1e-9)


def test_pure_bounce_takes_the_longest_lags() -> None:
    prices = 0.5 + 0.01 * np.tile([-1, 1], 4_320)
    found = named(NO_MIDS, trades_at(np.arange(0, DAY_S, 10), prices))
    to_a_day = DAY_S / (DAY_S - 10)
    assert found["pre_averaged_variance"] < 0
    assert found["tsrv"] == pytest.approx(robust.tsrv(prices, 4_320) * to_a_day, rel=1e-9)
    assert found["realized_kernel"] == pytest.approx(
        robust.realized_kernel(prices, MAX_KERNEL_LAG) * to_a_day, rel=1e-9
    )


@pytest.mark.parametrize(("last_s", "is_known"), [(21_600, True), (21_599, False)])
def test_trades_must_span_a_quarter_of_the_day(last_s: int, is_known: bool) -> None:
    prices = np.array([0.5, 0.52, 0.49, 0.51, 0.5, 0.52])
    found = named(NO_MIDS, trades_at(np.r_[0, 100, 200, 300, 400, last_s], prices))
    assert {np.isfinite(found[name]) for name in TRADE_MEASURES} == {is_known}


def test_two_trades_far_apart_give_nothing() -> None:
    found = named(NO_MIDS, trades_at(np.array([0, 80_000]), np.array([0.5, 0.6])))
    assert np.isnan(list(found.values())).all()


def test_a_million_trades_in_one_second_give_nothing() -> None:
    n = 1_000_000
    found = named(NO_MIDS, trades_at(40_000 + np.arange(n) / n, np.tile([0.49, 0.51], n // 2)))
    assert np.isnan(list(found.values())).all()


def test_empty_day_gives_nothing() -> None:
    assert np.isnan(day_measures(NO_MIDS, no_trades(), START)).all()


def test_constant_price_has_no_variance() -> None:
    found = day_measures(np.full(8_640, 0.5), trades_at(np.arange(0, DAY_S, 60), np.full(1_440, 0.5)), START)
    np.testing.assert_array_equal(found, np.zeros(13))


def test_prices_out_of_all_bounds_give_nothing_and_no_warning() -> None:
    wild = np.random.default_rng(3).choice([1e200, 1e-200, np.nan, np.inf, -1.0], 8_640)
    found = day_measures(wild, trades_at(np.arange(0, DAY_S, 60), wild[:1_440]), START)
    assert np.isnan(found).all()


def test_range_of_prices_whose_squares_overflow_gives_nothing() -> None:
    found = named(NO_MIDS, trades_at(np.arange(0, DAY_S, 60), np.tile([1e200, 2e200], 720)))
    assert all(np.isnan(found[name]) for name in BAR_MEASURES)


def test_ranges_are_of_hourly_bars_in_price_units() -> None:
    rng = np.random.default_rng(8)
    prices = np.exp(np.cumsum(0.01 * rng.standard_normal((24, 60))).reshape(24, 60))
    found = named(NO_MIDS, trades_at(np.arange(0, DAY_S, 60), prices.ravel()))
    bars = prices[:, 0], prices.max(axis=1), prices.min(axis=1), prices[:, -1]
    level = 24 * np.mean(prices[:, -1] ** 2)
    assert found["parkinson_variance"] == pytest.approx(level * parkinson_variance(bars[1], bars[2]), rel=1e-12)
    assert found["yang_zhang_variance"] == pytest.approx(level * yang_zhang_variance(*bars), rel=1e-12)


@pytest.mark.parametrize(("hours", "is_known"), [((0, 1, 2, 20, 21, 23), True), ((0, 1, 2, 20, 21), False)])
def test_ranges_need_six_hours_that_traded(hours: tuple[int, ...], is_known: bool) -> None:
    seconds = np.concatenate([3_600 * hour + np.array([0.0, 600, 3_599]) for hour in hours])
    prices = np.tile([0.5, 0.55, 0.52], len(hours))
    found = named(NO_MIDS, trades_at(seconds, prices))
    assert np.isfinite(found["parkinson_variance"]) == is_known
    if is_known:
        level = 24 * 0.52**2
        expected = level * parkinson_variance(np.array([0.55]), np.array([0.5]))
        assert found["parkinson_variance"] == pytest.approx(expected, rel=1e-9)


def test_positions_put_a_time_on_the_edge_into_the_step_it_begins() -> None:
    times = START + np.array([0, 43_199_999_999, 43_200_000_000, 86_399_999_999])
    np.testing.assert_array_equal(positions_at(times, START, 43_200), [0, 2, 4])


def test_mean_over_days_ignores_days_that_do_not_know() -> None:
    days = np.array([[1.0, np.nan, -3.0], [3.0, np.nan, np.nan], [5.0, np.nan, 1.0]])
    np.testing.assert_array_equal(combine_measures(days), [3.0, np.nan, -1.0])


def test_mean_of_no_days_is_unknown() -> None:
    np.testing.assert_array_equal(combine_measures(np.empty((0, 2))), [np.nan, np.nan])


def days_of(*pairs: tuple[float, float]) -> np.ndarray:
    days = np.full((len(pairs), len(MEASURES)), 7.0)
    days[:, :2] = np.array(pairs).reshape(-1, 2)
    return days


def test_jump_share_is_of_the_sums_of_days_that_know_both() -> None:
    assert jump_share(days_of((4.0, 1.0), (4.0, 5.0), (np.nan, 9.0), (90.0, np.nan))) == pytest.approx(0.25)


@pytest.mark.parametrize("days", [days_of(), days_of((np.nan, 1.0)), days_of((0.0, 0.0))])
def test_jump_share_without_a_known_move_is_unknown(days: np.ndarray) -> None:
    assert np.isnan(jump_share(days))


def test_jump_share_names_a_day_with_a_jump() -> None:
    rng = np.random.default_rng(9)
    smooth = [path_of(rng, 0.03, 0.5)[::10] for _ in range(10)]
    jumped = [day + np.where(np.arange(8_640) >= 4_000, 0.09, 0.0) for day in smooth]
    shares = [jump_share(np.array([day_measures(g, no_trades(), START) for g in d])) for d in (smooth, jumped)]
    # A jump of 3 sigma is 9 of 10 parts of its day.
    assert shares[0] < 0.1
    assert 0.75 < shares[1] < 0.95
