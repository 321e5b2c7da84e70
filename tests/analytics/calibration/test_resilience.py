from math import exp, log

import numpy as np
import pytest

from tributary_pipelines.analytics.calibration.resampling import Resampling, resample
from tributary_pipelines.analytics.calibration.resilience import (
    HALF_LIVES_S,
    RATES_PER_S,
    ResilienceFit,
    felt_flow,
    fit_resilience,
    resilience_sums,
    transient_eta,
)

GAMMA, KAPPA = 4e-6, 1.6e-5
N_DAYS = 6


def day_of(rng: np.random.Generator, half_life_s: float, kappa: float, noise: float) -> dict[str, np.ndarray]:
    """Sums of a day of 300 trades, with minute mids made from the propagator itself, trade by trade."""
    times = np.sort(rng.uniform(0, 86_400, 300))
    flow = rng.choice([-1.0, 1.0], 300) * rng.lognormal(4, 1, 300)
    age_s = 60.0 * np.arange(1_440)[:, None] - times
    kept = np.where(age_s > 0, np.exp(-log(2) * np.maximum(age_s, 0) / half_life_s), 0.0)
    news = noise * np.cumsum(rng.standard_normal(1_440))
    return resilience_sums(0.5 + (GAMMA * (age_s > 0) + kappa * kept) @ flow + news, times, flow, 60.0, 12)


def fit_of(half_life_s: float, kappa: float = KAPPA, noise: float = 0.0, seed: int = 1) -> ResilienceFit:
    rng = np.random.default_rng(seed)
    return fit_days([day_of(rng, half_life_s, kappa, noise) for _ in range(N_DAYS)])


def fit_days(days: list[dict[str, np.ndarray]], resampling: Resampling | None = None) -> ResilienceFit:
    parts = (np.concatenate([day[f"decay_{name}"] for day in days]) for name in ("base", "yy", "fy", "my"))
    each_day = np.repeat(np.arange(len(days)), 12)
    return fit_resilience(*parts, resampling=resampling or resample(each_day, np.ones(len(each_day))))


def test_grid_runs_from_ten_seconds_to_two_hours_evenly_in_logs() -> None:
    assert (len(HALF_LIVES_S), HALF_LIVES_S[0]) == (40, 10)
    assert HALF_LIVES_S[-1] == pytest.approx(7_200)
    np.testing.assert_allclose(np.diff(np.log(HALF_LIVES_S)), log(720) / 39)
    np.testing.assert_allclose(np.exp(-RATES_PER_S * HALF_LIVES_S), 0.5)


@pytest.mark.parametrize("n_buckets", [1, 7, 8, 9])
def test_felt_flow_is_the_sum_over_the_trades_before(n_buckets: int) -> None:
    rng = np.random.default_rng(3)
    times, flow = np.sort(rng.uniform(0, 60 * n_buckets, 25)), rng.standard_normal(25)
    found = felt_flow(times, flow, n_buckets, 60.0)
    assert found.shape == (n_buckets + 1, 40)
    for k in range(n_buckets + 1):
        for column, rate in enumerate(RATES_PER_S):
            felt = sum(f * exp(-rate * (60 * k - t)) for t, f in zip(times, flow, strict=True) if t < 60 * k)
            assert found[k, column] == pytest.approx(felt, rel=1e-12, abs=1e-13)


def test_trade_at_a_boundary_is_felt_from_the_next_on() -> None:
    # A bucket holds its start: the trade at 60 s is the second bucket's, one half-life of 60 s old at its end.
    found = felt_flow(np.array([60.0]), np.array([8.0]), 3, 60.0)
    np.testing.assert_allclose(found[:, -1], 8 * np.array([0, 0, 1, 1]) * 0.5 ** (np.array([0, 0, 60, 120]) / 7_200))


def test_nothing_traded_is_nothing_felt() -> None:
    assert not felt_flow(np.empty(0), np.empty(0), 5, 60.0).any()


def test_sums_by_hand() -> None:
    # Two blocks of two buckets of 10 s; the half-life of the first rate is a bucket.
    sums = resilience_sums(np.array([1.0, 1.5, 1.25, 1.25]), np.array([0.0, 10.0]), np.array([4.0, -2.0]), 10.0, 2)
    # F = 4, -2, 0, 0; Y = 0, 2, 0, 0, 0 so that dY = 2, -2, 0, 0; dM = 0.5, -0.25, 0 and unknown.
    np.testing.assert_allclose(sums["decay_base"], [[20, 2.5, 0.3125], [0, 0, 0]])
    np.testing.assert_allclose(sums["decay_yy"][:, 0], [8, 0], atol=1e-15)
    np.testing.assert_allclose(sums["decay_fy"][:, 0], [12, 0], atol=1e-15)
    np.testing.assert_allclose(sums["decay_my"][:, 0], [1.5, 0], atol=1e-15)


def test_minute_without_both_mids_counts_nowhere_but_its_flow_is_felt_later() -> None:
    mids = np.array([np.nan, 1.5, 1.25, 1.25])
    sums = resilience_sums(mids, np.array([0.0]), np.array([4.0]), 10.0, 1)
    # dY = 2, -1, -0.5, -0.25: the first has no move, the last is midnight's.
    np.testing.assert_allclose(sums["decay_base"], [[0, 0, 0.0625]])
    np.testing.assert_allclose([sums[f"decay_{name}"][0, 0] for name in ("yy", "fy", "my")], [1.25, 0, 0.25])


@pytest.mark.parametrize("half_life_s", [20.0, 60.0, float(HALF_LIVES_S[20]), 600.0, 1_800.0, 5_000.0])
def test_noise_free_minutes_give_back_all_three(half_life_s: float) -> None:
    # The grid is 17 % apart: what the parabola and the straight line between its points leave is below half a per cent.
    found = fit_of(half_life_s)
    assert found.half_life_s == pytest.approx(half_life_s, rel=2e-3)
    assert (found.gamma, found.kappa) == (pytest.approx(GAMMA, rel=6e-3), pytest.approx(KAPPA, rel=2e-3))
    assert found.reason is None


def test_at_a_point_of_the_grid_the_regression_itself_is_exact() -> None:
    rng = np.random.default_rng(2)
    day = {name: values.sum(axis=0) for name, values in day_of(rng, float(HALF_LIVES_S[11]), KAPPA, 0.0).items()}
    ff, fm, mm = day["decay_base"]
    yy, fy, my = (day[f"decay_{name}"][11] for name in ("yy", "fy", "my"))
    gamma, kappa = np.linalg.solve([[ff, fy], [fy, yy]], [fm, my])
    assert (gamma, kappa) == (pytest.approx(GAMMA, rel=1e-9), pytest.approx(KAPPA, rel=1e-9))
    assert mm - gamma * fm - kappa * my < 1e-12 * mm


def test_noise_is_covered_by_the_draws() -> None:
    found = fit_of(60.0, noise=3e-4)
    spread = np.log(found.half_life_draws).std()
    assert len(found.half_life_draws) == 200
    assert 0.002 < spread < 0.1
    assert abs(log(found.half_life_s / 60)) < 3 * spread
    assert abs(found.kappa - KAPPA) < 3 * found.kappa_se


def test_impact_that_stays_has_no_half_life() -> None:
    found = fit_of(60.0, kappa=0.0, noise=3e-4)
    assert (found.half_life_s, len(found.half_life_draws)) == (None, 0)
    assert "no part of the impact is seen to fade" in found.reason


def test_price_that_falls_back_too_little_is_no_resilience() -> None:
    # Impact that grows after the trade: kappa is negative.
    found = fit_of(60.0, kappa=-KAPPA / 4, noise=3e-4)
    assert found.kappa < 0
    assert "no part of the impact is seen to fade" in found.reason


@pytest.mark.parametrize(
    ("half_life_s", "is_slow", "side"), [(3.0, False, "below 10 s"), (20_000.0, True, "beyond 2 h")]
)
def test_half_life_beyond_the_grid_is_refused(half_life_s: float, is_slow: bool, side: str) -> None:
    found = fit_of(half_life_s)
    assert (found.half_life_s, found.is_slow) == (None, is_slow)
    assert found.kappa > 0
    assert f"may be {side}" in found.reason


def test_half_life_that_a_tenth_of_the_draws_place_beyond_the_grid_is_refused() -> None:
    rng = np.random.default_rng(1)
    days = [day_of(rng, 12.0, 5e-6, 6e-4) for _ in range(N_DAYS)]
    # Drawn from five copies of the window, every draw is the window itself: it lies within the grid.
    copies = Resampling(np.repeat(np.arange(5), 12 * N_DAYS), 5, 5.0)
    assert 10 < fit_days(days * 5, copies).half_life_s < 20
    found = fit_days(days)
    assert found.kappa > 2 * found.kappa_se
    assert "may be below 10 s" in found.reason


@pytest.mark.parametrize("what", ["decay_base", "decay_my"])
def test_sums_that_overflowed_are_refused(what: str) -> None:
    days = [day_of(np.random.default_rng(1), 60.0, KAPPA, 0.0)]
    days[0][what][3] = np.nan
    assert "too large to square" in fit_days(days).reason


@pytest.mark.parametrize(("n_clusters", "is_enough"), [(1, False), (4, False), (5, True)])
def test_flow_in_few_clusters_has_no_half_life(n_clusters: int, is_enough: bool) -> None:
    day = day_of(np.random.default_rng(1), 60.0, KAPPA, 0.0)
    for values in day.values():
        values[n_clusters:] = 0.0
    found = fit_days([day])
    assert (found.half_life_s is not None) == is_enough
    if not is_enough:
        assert f"too few stretches of time: {n_clusters}; 5 are needed" in found.reason


def test_without_trades_nothing_is_identified() -> None:
    quiet = resilience_sums(np.linspace(0.4, 0.6, 1_440), np.empty(0), np.empty(0), 60.0, 12)
    for n_days in (0, 1):
        parts = [values[: 12 * n_days] for values in quiet.values()]
        found = fit_resilience(*parts, resampling=resample(np.zeros(12 * n_days, np.int64), np.ones(12 * n_days)))
        assert (found.half_life_s, found.gamma, found.kappa) == (None, None, None)
        assert "do not share enough minutes" in found.reason


def test_price_that_never_moves_has_no_half_life() -> None:
    days = [day_of(np.random.default_rng(1), 60.0, 0.0, 0.0) for _ in range(5)]
    for day in days:
        day["decay_base"][:, 1:] = 0.0
        day["decay_my"][:] = 0.0
    found = fit_days(days)
    assert (found.half_life_s, found.kappa) == (None, 0)
    assert "no part of the impact" in found.reason


def at(rho_per_day: float, delta_days: float, kappa: float = 1.0) -> float:
    half_life_s = np.array([log(2) / rho_per_day * 86_400])
    return float(transient_eta(np.array([kappa]), half_life_s, delta_days * 86_400)[0])


@pytest.mark.parametrize(
    ("rho", "delta", "eta"),
    [(1, 0.1, 1.0008331945), (1, 1, 1.0819767069), (1, 5, 2.5339182745), (0.2, 10, 6.5651764275)],
)
def test_transient_eta_of_the_published_cases(rho: float, delta: float, eta: float) -> None:
    assert at(rho, delta) == pytest.approx(eta, rel=1e-10)


def test_transient_eta_goes_from_continuous_trading_to_full_recovery() -> None:
    assert at(3.0, 1e-6, kappa=6.0) == pytest.approx(2.0, rel=1e-9)
    assert at(3.0, 20.0, kappa=6.0) == pytest.approx(60.0, rel=1e-9)


def test_transient_eta_is_proportional_to_kappa_and_elementwise() -> None:
    found = transient_eta(np.array([1.0, -2.0, np.nan]), np.array([60.0, 60.0, 60.0]), 60.0)
    assert found[1] == -2 * found[0]
    assert np.isnan(found[2])
