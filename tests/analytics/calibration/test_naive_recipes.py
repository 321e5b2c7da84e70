"""Tempting recipes miss the truth by the factor stated; on the same data the recommended one finds it."""

import numpy as np
import pytest

from tests.analytics.calibration import naive_recipes as naive


def test_regression_of_trade_prices_is_six_times_too_high(case) -> None:
    base = case("base")
    assert naive.gamma_of_trade_prices(base.trades) > 6 * base.truth["gamma"]
    assert base.ratio("gamma") == pytest.approx(1, abs=0.1)


def test_regression_of_trade_prices_is_three_times_too_high_in_thin_trading(case) -> None:
    thin = case("thin")
    assert naive.gamma_of_trade_prices(thin.trades) > 3 * thin.truth["gamma"]
    assert thin.ratio("gamma") == pytest.approx(1, abs=0.1)


def test_regression_of_five_minutes_is_nearly_twice_too_high(case) -> None:
    base = case("base")
    assert naive.gamma_of_buckets(base.trades, *base.mids) > 1.8 * base.truth["gamma"]
    assert base.ratio("gamma") == pytest.approx(1, abs=0.1)


def test_buckets_are_biased_by_what_has_not_faded_at_their_end(case) -> None:
    base = case("base")
    # kappa / gamma (1 - e^(-rho D)) / (rho D) with 1 / gamma D = 1 / 0.225 and a half-life of a fifth of D.
    decayed = np.log(2) * 5
    expected = 1 + (1 / 0.225 - 1) * -np.expm1(-decayed) / decayed
    found = naive.gamma_of_buckets(base.trades, *base.mids) / base.truth["gamma"]
    assert found == pytest.approx(expected, rel=0.1)


def test_realized_variance_of_five_minutes_is_too_high_by_half(case) -> None:
    base = case("base")
    assert naive.sigma_of_moves(*base.mids) > 1.5 * base.truth["sigma"]
    assert base.ratio("sigma") == pytest.approx(1, abs=0.08)


def test_hourly_trade_prices_are_too_volatile_by_half(case) -> None:
    base = case("base")
    assert naive.sigma_of_hourly_trades(base.trades) > 1.5 * base.truth["sigma"]
    assert base.ratio("sigma") == pytest.approx(1, abs=0.08)


def test_hourly_trade_prices_are_twice_too_volatile_in_thin_trading(case) -> None:
    thin = case("thin")
    assert naive.sigma_of_hourly_trades(thin.trades) > 1.9 * thin.truth["sigma"]
    assert thin.ratio("sigma") == pytest.approx(1, abs=0.08)


def test_five_minutes_are_too_short_for_a_coarse_tick(case) -> None:
    coarse = case("coarse")
    assert naive.sigma_of_two_scales(*coarse.mids) > 1.03 * coarse.truth["sigma"]
    assert coarse.ratio("sigma") == pytest.approx(1, abs=0.08)
    assert (coarse.found.lag_short_s, coarse.found.lag_long_s) == (1_560, 4_680)


def test_two_fixed_scales_are_right_where_the_tick_is_fine(case) -> None:
    base = case("base")
    assert naive.sigma_of_two_scales(*base.mids) == pytest.approx(base.truth["sigma"], rel=0.08)


def test_eleven_minutes_are_too_short_for_slow_resilience(case) -> None:
    slow = case("slow")
    assert naive.gamma_of_lags(slow.trades, *slow.mids) > 2.4 * slow.truth["gamma"]
    assert slow.ratio("gamma") == pytest.approx(1, abs=0.2)
    assert slow.found.horizon_s >= 7.2 * 600 * 0.8


def test_five_minutes_are_too_short_for_slow_resilience(case) -> None:
    slow = case("slow")
    assert naive.sigma_of_two_scales(*slow.mids) > 1.3 * slow.truth["sigma"]
    assert naive.sigma_of_moves(*slow.mids) > 2.2 * slow.truth["sigma"]
    assert slow.ratio("sigma") == pytest.approx(1, abs=0.16)


def test_eleven_minutes_are_enough_for_fast_resilience(case) -> None:
    base = case("base")
    assert naive.gamma_of_lags(base.trades, *base.mids) == pytest.approx(base.truth["gamma"], rel=0.1)


def test_propagator_of_ten_seconds_is_ruined_by_late_stamps(case) -> None:
    base, late = case("base"), case("late")
    on_time, ruined = (naive.gamma_of_propagator(one.trades, *one.mids, half_life_s=60) for one in (base, late))
    assert on_time == pytest.approx(base.truth["gamma"], rel=0.1)
    assert ruined < 0.5 * late.truth["gamma"]
    assert late.ratio("gamma") == pytest.approx(1, abs=0.1)


def test_lags_without_a_guard_are_too_low_with_late_stamps(case) -> None:
    late = case("late")
    assert naive.gamma_of_lags(late.trades, *late.mids) < 0.9 * late.truth["gamma"]
    assert late.ratio("gamma") == pytest.approx(1, abs=0.1)
