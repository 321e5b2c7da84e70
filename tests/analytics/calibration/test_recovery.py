"""The recommended recipe finds the truth of synthetic markets, and the tempting ones do not, on the same data."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.analytics.markets import START_US, calibrate_days, market_of, statistics_of, tape_of
from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
from tributary_pipelines.analytics.optimization.parameters import CalibrationGates
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticTape
from tributary_pipelines.core.units import US_PER_S

Tape = Callable[[str], SyntheticTape]
Days = Callable[[str], list[ImpactStatistics]]


def last_at(times: np.ndarray, values: np.ndarray, every_s: int) -> np.ndarray:
    at = START_US + np.arange(0, 30 * 86_400, every_s) * US_PER_S
    return values[np.maximum(np.searchsorted(times, at, side="right") - 1, 0)]


def flow_by(trades, every_s: int) -> np.ndarray:
    buckets = (trades.times - START_US) // (every_s * US_PER_S)
    return np.bincount(buckets, trades.signs * trades.sizes, minlength=30 * 86_400 // every_s)[:-1]


@pytest.mark.parametrize(
    ("scenario", "tick", "gamma_band"),
    [
        ("base", 0.001, 0.10),
        ("thin", 0.001, 0.10),
        ("coarse", 0.01, 0.10),
        ("late", 0.001, 0.10),
        ("weak", 0.001, 0.20),
    ],
)
def test_thirty_days_give_the_truth(
    scenario: str, tick: float, gamma_band: float, scenario_tape: Tape, scenario_days: Days
) -> None:
    truth = scenario_tape(scenario).truth
    found = calibrate_days(scenario_days(scenario), market=market_of(tick_size=tick), gates=CalibrationGates())
    assert found.status == "ok"
    assert found.value("sigma") == pytest.approx(truth["sigma"], rel=0.08)
    assert found.value("gamma") == pytest.approx(truth["gamma"], rel=gamma_band)
    assert found.value("book_slope") == pytest.approx(truth["book_slope"], rel=0.09)
    assert found.value("epsilon") == pytest.approx(truth["epsilon"], rel=1e-3)
    assert found.value("eta") == pytest.approx(found.value("book_slope") * 1_800 / 86_400, rel=1e-12)


def test_bounded_price_is_followed_to_its_last_mid(scenario_tape: Tape, scenario_days: Days) -> None:
    truth = scenario_tape("bounded").truth
    market = market_of(price_min=0, price_max=1)
    found = calibrate_days(scenario_days("bounded"), market=market, gates=CalibrationGates())
    assert found.value("sigma") == pytest.approx(truth["sigma"], rel=0.08)
    assert found.sigma_x == pytest.approx(0.03 / 0.21, rel=0.08)
    assert "sigma_unscaled" not in found.flags
    # The price has left its start: the plain average over the window is another number.
    plain = calibrate_days(scenario_days("bounded"), gates=CalibrationGates())
    assert abs(plain.value("sigma") / found.value("sigma") - 1) > 0.03


def test_realized_volatility_of_five_minutes_is_too_high(scenario_tape: Tape) -> None:
    books = scenario_tape("base").books
    moves = np.diff(last_at(books.times, books.mids, 300))
    assert np.sqrt(np.sum(moves**2) / 30) > 1.4 * 0.03


def test_bucket_regression_of_five_minutes_is_too_high(scenario_tape: Tape) -> None:
    tape = scenario_tape("base")
    moves = np.diff(last_at(tape.books.times, tape.books.mids, 300))
    flow = flow_by(tape.trades, 300)
    assert flow @ moves / (flow @ flow) > 1.7 * tape.truth["gamma"]


def test_regression_of_trade_prices_is_far_too_high(scenario_tape: Tape) -> None:
    trades = scenario_tape("base").trades
    signed = (trades.signs * trades.sizes)[1:]
    slope = np.polyfit(signed, np.diff(trades.prices), 1)[0]
    assert slope > 5 * scenario_tape("base").truth["gamma"]


def test_late_stamps_without_a_guard_are_too_low(scenario_tape: Tape, scenario_days: Days) -> None:
    tape = scenario_tape("late")
    guarded = calibrate_days(scenario_days("late")).value("gamma")
    unguarded = calibrate_days(statistics_of(tape.trades, tape.books, 30, stamp_guard_s=0.0)).value("gamma")
    assert unguarded < 0.94 * guarded


def test_five_minutes_are_too_short_for_a_coarse_tick(scenario_days: Days) -> None:
    fine = calibrate_days(scenario_days("coarse"), market=market_of(tick_size=1e-6))
    ruled = calibrate_days(scenario_days("coarse"), market=market_of(tick_size=0.01))
    assert (fine.lag_short_s, ruled.lag_short_s) == (300, 1_800)
    assert "tick_bound" in ruled.flags
    assert fine.value("sigma") > 1.02 * 0.03


def test_impact_that_fades_too_slowly_is_refused_and_not_called_permanent() -> None:
    tape = tape_of(1, half_life_s=600)
    found = calibrate_days(statistics_of(tape.trades, tape.books, 30))
    assert found.value("gamma") is None
    assert found.status == "refused"
    assert any("is not all permanent" in reason for reason in found.reasons)
    assert "slow_resilience" in found.flags


def test_signed_by_chance_flow_identifies_nothing(scenario_tape: Tape) -> None:
    tape = scenario_tape("base")
    signs = np.random.default_rng(1).permutation(tape.trades.signs)
    scrambled = type(tape.trades)(tape.trades.times, tape.trades.prices, tape.trades.sizes, signs)
    found = calibrate_days(statistics_of(scrambled, tape.books, 30))
    assert found.value("gamma") is None
    assert found.status == "refused"
