"""Windows of all shapes: their length, their gaps, the weight of their days, and what the intervals say of each."""

from dataclasses import replace
from datetime import datetime, timedelta
from math import log

import numpy as np
import pytest

from tests.analytics.conftest import SHORT_DAYS
from tests.analytics.markets import START, calibrate_days, market_of, statistics_of, tape_of
from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
from tributary_pipelines.analytics.calibration.tokens import merge_tokens
from tributary_pipelines.analytics.calibration.window_statistics import combine_impact_statistics
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters, CalibrationGates
from tributary_pipelines.core.errors import CalibrationError
from tributary_pipelines.core.frames import Trades, no_order_books, no_trades
from tributary_pipelines.core.settings import AnalyticsSettings
from tributary_pipelines.core.units import PARAMETER_UNITS

MONTH = 30
GATES = CalibrationGates()


@pytest.fixture(scope="module")
def month() -> list[ImpactStatistics]:
    tape = tape_of(3, n_days=MONTH, snapshot_s=30, levels=14)
    return statistics_of(tape.trades, tape.books, MONTH)


def at_day(day: ImpactStatistics, n: int) -> ImpactStatistics:
    """The same statistics, as if of the n-th day after START."""
    return replace(day, timestamp=START + timedelta(days=n))


def width(found: AlmgrenChrissParameters, name: str) -> float:
    """Length of an interval in logs, which is about its length relative to the value."""
    estimate = found.estimates[name]
    return log(estimate.ci_high / estimate.ci_low)


def test_the_default_window_is_thirty_days_of_equal_weight() -> None:
    chosen = AnalyticsSettings().calibration
    assert (chosen.default_lookback_days, chosen.weight_half_life_days) == (MONTH, None)


def test_a_month_has_narrow_intervals_around_the_truth(month) -> None:
    found = calibrate_days(month, MONTH, gates=GATES)
    assert (found.status, found.flags, found.n_days) == ("ok", (), MONTH)
    truth = {"sigma": 0.03, "gamma": 4.548980e-6, "book_slope": 1.010884e-5, "resilience_rate": 998.132}
    for name, value in truth.items():
        assert found.estimates[name].ci_low < value < found.estimates[name].ci_high
        assert width(found, name) < 0.25


@pytest.mark.parametrize("name", ["sigma", "gamma", "book_slope"])
def test_intervals_widen_with_less_data(month, name: str) -> None:
    widths = [width(calibrate_days(month[-n:], MONTH), name) for n in (30, 7, 3)]
    assert widths == sorted(widths)
    # Ten times the data is about three times the precision; the bands allow for the noise of the widths.
    assert 2 < widths[2] / widths[0] < 8


@pytest.mark.parametrize(("half_life_days", "weights"), [(None, [1, 1, 1]), (2.0, [2**-1.5, 2**-0.5, 1])])
def test_a_day_older_by_the_half_life_counts_half(short_days, half_life_days, weights: list[float]) -> None:
    days = [at_day(short_days[0], 0), at_day(short_days[1], 2), at_day(short_days[2], 3)]
    window = combine_impact_statistics(days, half_life_days=half_life_days)
    assert window.weights.tolist() == pytest.approx(weights)
    expected = sum(weight * day.move_sq.sum() for weight, day in zip(weights, days, strict=True))
    assert window.total("move_sq").sum() == pytest.approx(expected)
    # Counts and coverage say what there is, not how much of it counts.
    assert window.count("n_trades") == sum(day.n_trades for day in days)
    assert window.covered_s == 3 * 86_400


def test_weighted_slope_is_the_weighted_mean_of_the_books(short_days) -> None:
    days = [at_day(short_days[0], 0), at_day(short_days[1], 5)]
    sums = [(day.slope_sum.sum(), day.n_slopes.sum()) for day in days]
    expected = (sums[0][0] / 2 + sums[1][0]) / (sums[0][1] / 2 + sums[1][1])
    found = calibrate_days(days, 6, half_life_days=5.0)
    assert found.value("book_slope") == pytest.approx(expected, rel=1e-12)


def test_change_of_regime_shows_sooner_with_weights() -> None:
    calm, wild = (
        statistics_of(tape.trades, tape.books, 8)
        for tape in (tape_of(4, n_days=8, snapshot_s=30, sigma=0.02), tape_of(5, n_days=8, snapshot_s=30, sigma=0.06))
    )
    days = calm + [at_day(day, 8 + n) for n, day in enumerate(wild)]
    now, equal, weighted, turned = (
        calibrate_days(chosen, 16, half_life_days=half_life).value("sigma")
        for chosen, half_life in (
            (days[8:], None),
            (days, None),
            (days, 2.0),
            ([at_day(day, 15 - n) for n, day in enumerate(days)], 2.0),
        )
    )
    # Equal days give the middle in variance; weights nearly forget the first half, whichever it is.
    assert equal == pytest.approx(np.sqrt((0.02**2 + 0.06**2) / 2), rel=0.15)
    assert abs(weighted - now) < 0.3 * abs(equal - now)
    assert turned < 0.7 * equal


@pytest.mark.parametrize("name", ["sigma", "gamma", "book_slope"])
def test_weights_widen_the_interval_as_a_shorter_window_does(month, name: str) -> None:
    equal = calibrate_days(month, MONTH)
    # (1 + q)/(1 - q) days tell as much, with q the daily factor: 2.9 days.
    weighted, alike = calibrate_days(month, MONTH, half_life_days=1.0), calibrate_days(month[-3:], MONTH)
    assert weighted.status == "ok"
    assert width(weighted, name) > 1.5 * width(equal, name)
    assert width(weighted, name) == pytest.approx(width(alike, name), rel=0.5)


def test_equal_weights_and_nearly_equal_ones_agree(month) -> None:
    equal, nearly = calibrate_days(month, MONTH), calibrate_days(month, MONTH, half_life_days=1e9)
    for name in PARAMETER_UNITS:
        for end in ("value", "ci_low", "ci_high"):
            assert getattr(nearly.estimates[name], end) == pytest.approx(getattr(equal.estimates[name], end), rel=1e-6)


def test_weights_that_vanish_leave_the_newest_day(short_days) -> None:
    found = calibrate_days(short_days, SHORT_DAYS, half_life_days=1e-6)
    alone = calibrate_days(short_days[-1:], SHORT_DAYS)
    for name in PARAMETER_UNITS:
        assert found.value(name) == alone.value(name)


@pytest.mark.parametrize(("n_days", "status"), [(2, "refused"), (3, "ok")])
def test_too_few_days_are_refused(month, n_days: int, status: str) -> None:
    found = calibrate_days(month[-n_days:], MONTH, gates=GATES)
    assert (found.status, found.n_days) == (status, n_days)
    assert any("data on 2 of the window's days; 3 are needed" in reason for reason in found.reasons) == (n_days == 2)


def test_days_without_data_do_not_count(month) -> None:
    empty = statistics_of(no_trades(), no_order_books(), MONTH)
    found = calibrate_days([*empty[:-2], *month[-2:]], MONTH, gates=GATES)
    assert found.n_days == 2
    assert found.status == "refused"


@pytest.mark.parametrize(("missing", "status"), [(range(10, 13), "ok"), (range(10, 18), "refused")])
def test_window_with_a_gap(month, missing: range, status: str) -> None:
    held = [day for n, day in enumerate(month) if n not in missing]
    found = calibrate_days(held, MONTH, gates=GATES)
    assert (found.status, found.n_days) == (status, MONTH - len(missing))
    assert found.coverage == pytest.approx(1 - len(missing) / MONTH)
    assert (status == "refused") == any("80% is needed" in reason for reason in found.reasons)


def test_nothing_is_compared_across_a_gap(month) -> None:
    held = month[:5] + month[-5:]
    closed = [at_day(day, n) for n, day in enumerate(held)]
    apart, together = calibrate_days(held, MONTH), calibrate_days(closed, MONTH)
    for name in PARAMETER_UNITS:
        assert apart.value(name) == together.value(name)


def test_market_that_opened_last_week_is_judged_by_its_own_time(month) -> None:
    found = calibrate_days(month[-7:], MONTH, gates=GATES)
    assert (found.status, found.n_days, found.coverage) == ("ok", 7, 1.0)
    assert found.window_start == START
    # It opened within a day: coverage counts from its first snapshot on.
    opened = replace(month[-7], first_snapshot_s=43_200.0, covered_s=43_200.0)
    assert calibrate_days([opened, *month[-6:]], MONTH, gates=GATES).coverage == 1.0


@pytest.mark.parametrize("hours_left", [1, 24])
def test_market_that_resolves_tomorrow_is_calibrated_with_a_flag(month, hours_left: int) -> None:
    end = START + timedelta(days=MONTH)
    market = market_of(resolves_at=end + timedelta(hours=hours_left))
    found = calibrate_days(month, MONTH, market=market, gates=GATES)
    assert (found.status, found.flags) == ("ok", ("near_resolution",))
    assert found.value("sigma") == calibrate_days(month, MONTH).value("sigma")


def test_market_of_which_one_token_never_trades_has_the_others_impact(short_tape, short_days) -> None:
    trades = short_tape.trades
    # All trades are reported on the other token: at 1 - p, and a buy of this one is a sale of that.
    other = Trades(trades.times, np.round(1 - trades.prices, 12), trades.sizes, -trades.signs)
    merged = merge_tokens(no_trades(), other, 0.0, 1.0)
    days = statistics_of(merged.trades, short_tape.books, SHORT_DAYS)
    found, expected = calibrate_days(days, SHORT_DAYS), calibrate_days(short_days, SHORT_DAYS)
    assert found.status == "ok"
    for name in PARAMETER_UNITS:
        assert found.value(name) == pytest.approx(expected.value(name), rel=1e-9)


def test_days_of_different_tokens_twice_the_same_and_of_other_versions_do_not_combine(short_days) -> None:
    with pytest.raises(CalibrationError, match="of several tokens"):
        combine_impact_statistics([short_days[0], replace(short_days[1], token_id="u")])
    with pytest.raises(CalibrationError, match="2026-03-01 more than once"):
        combine_impact_statistics([short_days[0], short_days[0]])
    with pytest.raises(CalibrationError, match="made by versions"):
        combine_impact_statistics([short_days[0], replace(short_days[1], code_version="impact_statistics/0")])


def test_window_knows_its_first_snapshot_and_last_mid(short_days) -> None:
    quiet = replace(short_days[0], first_snapshot_s=None, last_mid=None)
    last = replace(at_day(short_days[3], 3), last_mid=None)
    window = combine_impact_statistics([last, quiet, at_day(short_days[2], 2)])
    assert window.first_snapshot_at == datetime.combine(START.date() + timedelta(2), datetime.min.time(), START.tzinfo)
    assert window.newest("last_mid") == short_days[2].last_mid
    assert combine_impact_statistics([quiet]).newest("last_mid") is None
    assert combine_impact_statistics([]).first_snapshot_at is None
