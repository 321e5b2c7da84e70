"""Every flag of a calibration: one window that raises it, and one, as alike as can be, that does not.

The short tape raises none of them (test_parameters.py), so that a change of one thing is the cause.
"""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from tests.analytics.conftest import SHORT_DAYS
from tests.analytics.markets import START, calibrate_days, market_of, statistics_of, tape_of, with_signs, with_sizes
from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
from tributary_pipelines.analytics.optimization.parameters import CalibrationGates
from tributary_pipelines.core.frames import OrderBooks, Trades

END = START + timedelta(days=SHORT_DAYS)


def flags_of(days: Sequence[ImpactStatistics], *, gates: CalibrationGates | None = None, **market) -> tuple[str, ...]:
    return calibrate_days(days, SHORT_DAYS, market=market_of(**market), gates=gates).flags


def days_of(trades: Trades, books: OrderBooks, **options) -> list[ImpactStatistics]:
    return statistics_of(trades, books, SHORT_DAYS, **options)


def days_like_the_short_ones(**options) -> list[ImpactStatistics]:
    tape = tape_of(2, n_days=SHORT_DAYS, **({"snapshot_s": 30, "levels": 30} | options))
    return days_of(tape.trades, tape.books, tick_size=options.get("tick", 0.001))


@pytest.mark.parametrize(("min_trades", "is_thin"), [(1_888, False), (1_889, True)])
def test_thin(short_days, min_trades: int, is_thin: bool) -> None:
    gates = CalibrationGates(min_trades=min_trades)
    assert ("thin" in flags_of(short_days, gates=gates)) == is_thin


@pytest.mark.parametrize(("share", "is_flagged"), [(0.005, False), (0.02, True), (1.0, True)])
def test_no_side(short_tape, share: float, is_flagged: bool) -> None:
    n = len(short_tape.trades)
    signs = np.where(np.arange(n) < round(share * n), 0, short_tape.trades.signs)
    flags = flags_of(days_of(with_signs(short_tape.trades, signs), short_tape.books))
    assert flags == (("no_side",) if is_flagged else ())


@pytest.mark.parametrize("direction", [1, -1])
def test_gamma_nonpos(short_tape, direction: int) -> None:
    flags = flags_of(days_of(with_signs(short_tape.trades, direction * short_tape.trades.signs), short_tape.books))
    assert ("gamma_nonpos" in flags) == (direction < 0)


@pytest.mark.parametrize(("deeper", "is_flagged"), [(1, False), (2, False), (8, True)])
def test_gamma_ge_2b(short_tape, deeper: float, is_flagged: bool) -> None:
    days = days_of(short_tape.trades, with_sizes(short_tape.books, deeper))
    found = calibrate_days(days, SHORT_DAYS)
    assert (found.gamma_own >= 2 * found.value("book_slope")) == is_flagged
    assert ("gamma_ge_2b" in found.flags) == is_flagged


@pytest.mark.parametrize(("deeper", "is_flagged"), [(1, False), (1.1, False), (2, True), (0.5, True)])
def test_kappa_mismatch(short_tape, deeper: float, is_flagged: bool) -> None:
    # The mids stay as they were; books that are deeper or shallower than the market promise another recovery.
    assert flags_of(days_of(short_tape.trades, with_sizes(short_tape.books, deeper))) == (
        ("kappa_mismatch",) if is_flagged else ()
    )


@pytest.mark.parametrize(("tick", "is_flagged", "lag_s"), [(0.001, False, 340), (0.01, True, 2_050)])
def test_tick_bound(tick: float, is_flagged: bool, lag_s: float) -> None:
    found = calibrate_days(days_like_the_short_ones(tick=tick), SHORT_DAYS, market=market_of(tick_size=tick))
    assert ("tick_bound" in found.flags) == is_flagged
    # tick^2 / (6 sigma^2) is 16 s and 1,600 s; five half-lives of a minute ask for 300 s.
    assert found.lag_short_s == lag_s


@pytest.mark.parametrize(("levels", "is_flagged"), [(10, True), (12, True), (13, False)])
def test_book_shallow(levels: int, is_flagged: bool) -> None:
    found = calibrate_days(days_like_the_short_ones(levels=levels), SHORT_DAYS)
    assert found.span_ticks == levels - 1
    assert found.flags == (("book_shallow",) if is_flagged else ())


@pytest.mark.parametrize(("days_left", "is_flagged"), [(30, False), (3_000, True), (0, False)])
def test_sigma_over_bound(short_tape, days_left: int, is_flagged: bool) -> None:
    bounds = {"price_min": 0.0, "price_max": 1.0}
    days = days_of(short_tape.trades, short_tape.books, **bounds)
    flags = flags_of(days, resolves_at=END + timedelta(days=days_left), **bounds)
    assert ("sigma_over_bound" in flags) == is_flagged


def test_sigma_over_bound_is_the_martingales(short_tape) -> None:
    # sigma^2 days may not exceed p (1 - p): the last day on which it does not, and the next.
    bounds = {"price_min": 0.0, "price_max": 1.0}
    days = days_of(short_tape.trades, short_tape.books, **bounds)
    found = calibrate_days(days, SHORT_DAYS, market=market_of(**bounds))
    allowed = found.last_mid * (1 - found.last_mid) / found.value("sigma") ** 2
    for days_left, is_flagged in ((allowed - 0.01, False), (allowed + 0.01, True)):
        flags = flags_of(days, resolves_at=END + timedelta(days=days_left), **bounds)
        assert ("sigma_over_bound" in flags) == is_flagged


def test_sigma_over_bound_needs_bounds_and_an_end(short_days, short_tape) -> None:
    assert flags_of(short_days, resolves_at=END + timedelta(days=3_000)) == ()
    bounds = {"price_min": 0.0, "price_max": 1.0}
    assert flags_of(days_of(short_tape.trades, short_tape.books, **bounds), **bounds) == ()


@pytest.mark.parametrize(("hours_left", "is_flagged"), [(-24, True), (24, True), (47, True), (49, False), (720, False)])
def test_near_resolution(short_days, hours_left: float, is_flagged: bool) -> None:
    flags = flags_of(short_days, resolves_at=END + timedelta(hours=hours_left))
    assert flags == (("near_resolution",) if is_flagged else ())


@pytest.mark.parametrize(("late_s", "is_flagged"), [(0, False), (10, False), (60, True), (120, True)])
def test_clock_lead(short_tape, late_s: int, is_flagged: bool) -> None:
    trades = short_tape.trades
    late = Trades(trades.times + late_s * 1_000_000, trades.prices, trades.sizes, trades.signs)
    found = calibrate_days(days_of(late, short_tape.books), SHORT_DAYS)
    assert (abs(found.lead_t) > 3) == is_flagged
    assert ("clock_lead" in found.flags) == is_flagged


@pytest.mark.parametrize(("chase", "is_flagged"), [(0, False), (2, True)])
def test_bucket_sensitive(chase: float, is_flagged: bool) -> None:
    # Who buys because the last minutes rose makes wide buckets see more impact than narrow ones.
    found = calibrate_days(days_like_the_short_ones(trades_per_hour=60, chase=chase), SHORT_DAYS)
    assert ("bucket_sensitive" in found.flags) == is_flagged
    assert (abs(found.gamma_wide / found.gamma_own - 1) > 0.1) == is_flagged


@pytest.mark.parametrize(("half_life_s", "is_flagged"), [(600, False), (2_400, True)])
def test_slow_resilience(half_life_s: float, is_flagged: bool) -> None:
    days = days_like_the_short_ones(trades_per_hour=60, r2=0.6, half_life_s=half_life_s)
    found = calibrate_days(days, SHORT_DAYS)
    # 7.2 half-lives are to fit into the three hours of flow that are kept.
    assert (7.2 * found.half_life_s > 180 * 60) == is_flagged
    assert ("slow_resilience" in found.flags) == is_flagged
    assert (found.value("gamma") is None) == is_flagged
    assert is_flagged == any("more than the 180 min that are kept" in reason for reason in found.reasons)


@pytest.mark.parametrize("half_life_s", [4 * 3_600, 8 * 3_600])
def test_a_book_slower_than_the_grid_gives_no_gamma_and_no_sigma(half_life_s: float) -> None:
    tape = tape_of(1, 30, half_life_s=half_life_s, snapshot_s=30)
    days = statistics_of(tape.trades, tape.books, 30)
    found = calibrate_days(days, 30)
    assert (found.status, found.value("gamma"), found.value("sigma")) == ("refused", None, None)
    assert "slow_resilience" in found.flags


@pytest.mark.parametrize(("declared", "is_flagged"), [({}, True), ({"price_min": 0.0, "price_max": 1.0}, False)])
def test_sigma_unscaled(short_tape, declared: dict[str, float], is_flagged: bool) -> None:
    # Bounds that were declared after the statistics were made cannot scale them.
    days = days_of(short_tape.trades, short_tape.books, **declared)
    found = calibrate_days(days, SHORT_DAYS, market=market_of(price_min=0.0, price_max=1.0))
    assert found.flags == (("sigma_unscaled",) if is_flagged else ())
    assert (found.sigma_x is None) == is_flagged
    if is_flagged:
        assert found.value("sigma") == calibrate_days(days, SHORT_DAYS).value("sigma")


@pytest.mark.parametrize(
    ("fee", "is_flagged"),
    [
        ({"fee_model": None}, True),
        ({"fee_model": "none"}, False),
        ({"fee_model": "per_contract", "fee_rate": 0.01}, False),
    ],
)
def test_fee_unknown(short_days, fee: dict[str, object], is_flagged: bool) -> None:
    assert flags_of(short_days, **fee) == (("fee_unknown",) if is_flagged else ())
