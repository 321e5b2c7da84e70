from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from tests.analytics.markets import START, START_US, books_of, statistics_of, trades_of
from tributary_pipelines.analytics.calibration.impact_statistics import OF_DAY, SHAPES, ImpactStatistics
from tributary_pipelines.analytics.calibration.window_statistics import WindowStatistics, combine_impact_statistics
from tributary_pipelines.core.errors import CalibrationError
from tributary_pipelines.core.frames import no_order_books, no_trades
from tributary_pipelines.core.units import US_PER_DAY

BIDS, ASKS = [(0.49, 100), (0.48, 100)], [(0.51, 100), (0.52, 100)]
DAY_S = 86_400


def days_of(n_days: int) -> list[ImpactStatistics]:
    """Days of two snapshots and one trade; the trade of day i is i + 1 shares."""
    books = books_of(*((day * DAY_S + at, BIDS, ASKS) for day in range(n_days) for at in (3_600, 50_000)))
    trades = trades_of(*((day * DAY_S + 4_000, 0.5, day + 1, 1) for day in range(n_days)))
    return statistics_of(trades, books, n_days, tick_size=0.01)


def empty_day(n: int = 0) -> ImpactStatistics:
    return statistics_of(no_trades(), no_order_books(), n + 1, tick_size=None)[n]


def test_blocks_stand_side_by_side_in_time_whatever_the_order_given() -> None:
    days = days_of(3)
    window = combine_impact_statistics([days[2], days[0], days[1]])
    assert window.dates == [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)]
    # The trade is in the first block of each day.
    assert window.blocks("traded").tolist() == [1, *[0] * 11, 2, *[0] * 11, 3, *[0] * 11]
    assert window.blocks("lag_xtx").shape == (36, 136)
    assert window.total("traded") == 6
    np.testing.assert_array_equal(window.total("decay_base"), sum(day.decay_base.sum(axis=0) for day in days))


def test_columns_of_the_day_come_by_day_and_counts_add_up() -> None:
    window = combine_impact_statistics(days_of(3))
    assert window.by_day("hour_volume")[:, 1].tolist() == [1, 2, 3]
    for name in OF_DAY:
        assert window.by_day(name).shape == (3, *SHAPES[name])
    assert (window.count("n_trades"), window.count("n_snapshots"), window.n_days) == (3, 6, 3)
    assert window.span_counts[1] == 6


def test_older_days_lose_half_their_weight_every_half_life() -> None:
    days = days_of(5)
    window = combine_impact_statistics([days[0], days[2], days[4]], half_life_days=2.0)
    assert window.weights.tolist() == [0.25, 0.5, 1.0]
    assert window.blocks("traded")[[0, 12, 24]].tolist() == [0.25 * 1, 0.5 * 3, 5]
    assert window.total("traded") == 6.75
    plain = combine_impact_statistics([days[0], days[2], days[4]])
    for name in SHAPES:
        if name not in OF_DAY:
            expected = plain.blocks(name) * np.repeat([0.25, 0.5, 1.0], 12).reshape(-1, *[1] * (len(SHAPES[name]) - 1))
            np.testing.assert_array_equal(window.blocks(name), expected)


def test_weights_leave_counts_times_and_columns_of_the_day_alone() -> None:
    plain, weighted = (combine_impact_statistics(days_of(3), half_life_days=half_life) for half_life in (None, 1.0))
    assert weighted.count("n_trades") == 3
    assert (weighted.covered_s, weighted.n_days) == (plain.covered_s, 3)
    np.testing.assert_array_equal(weighted.by_day("hour_volume"), plain.by_day("hour_volume"))


def test_without_a_half_life_all_days_count_the_same() -> None:
    assert combine_impact_statistics(days_of(4)).weights.tolist() == [1, 1, 1, 1]
    assert combine_impact_statistics([], half_life_days=3.0).weights.tolist() == []


def test_blocks_know_their_day_across_a_gap() -> None:
    days = days_of(6)
    window = combine_impact_statistics([days[1], days[5]])
    np.testing.assert_array_equal(window.block_days, np.repeat([0, 4], 12))


def test_clusters_are_the_blocks_that_hold_something() -> None:
    quiet = replace(empty_day(1), timestamp=START + timedelta(days=1))
    window = combine_impact_statistics([days_of(1)[0], quiet])
    # Snapshots in the blocks 0 and 6 of the first day, the trade in block 0 as well.
    found = window.resampling()
    assert np.flatnonzero(found.clusters >= 0).tolist() == [0, 6]
    assert (found.n_clusters, found.n_effective) == (2, 2)
    assert window.resampling(longest_s=43_200).n_clusters == 1


def test_trades_alone_make_a_cluster_too() -> None:
    (day,) = statistics_of(trades_of((30_000, 0.5, 1, 1)), no_order_books(), 1)
    assert np.flatnonzero(combine_impact_statistics([day]).resampling().clusters >= 0).tolist() == [4]


def test_weighted_days_tell_less_than_their_number() -> None:
    window = combine_impact_statistics(days_of(3), half_life_days=1.0)
    # Two blocks a day, of weights 1/4, 1/2 and 1.
    assert window.resampling().n_clusters == 6
    assert window.resampling().n_effective == pytest.approx(3.5**2 / (2 * (1 / 16 + 1 / 4 + 1)))


def test_window_of_no_days_is_empty() -> None:
    window = combine_impact_statistics([])
    assert (window.n_days, window.covered_s, window.first_snapshot_at, window.newest("last_mid")) == (0, 0, None, None)
    assert window.total("lag_xtx").shape == (136,)
    assert window.blocks("curve_sum").shape == (0, 6)
    assert window.by_day("hour_volume").shape == (0, 24)
    assert window.span_counts.sum() == 0
    assert (window.resampling().n_clusters, window.dates) == (0, [])


def test_window_knows_its_first_snapshot_and_newest_mid() -> None:
    later = START_US + US_PER_DAY
    books = books_of((DAY_S + 120, BIDS, ASKS))
    days = statistics_of(no_trades(), books, 3)
    window = combine_impact_statistics(days[::-1])
    assert window.first_snapshot_at == START + timedelta(days=1, seconds=120)
    assert (window.n_days, window.newest("last_mid"), window.count("n_snapshots")) == (1, 0.5, 1)
    assert later in books.times - 120_000_000


def test_newest_is_that_of_the_last_day_that_has_it() -> None:
    days = [replace(day, last_mid=mid) for day, mid in zip(days_of(3), (0.1, 0.2, None), strict=True)]
    assert combine_impact_statistics(days).newest("last_mid") == 0.2


def test_days_that_do_not_belong_together_are_refused() -> None:
    day = empty_day()
    with pytest.raises(CalibrationError, match="2026-03-01 more than once"):
        combine_impact_statistics([day, day])
    for other in (replace(day, token_id="u"), replace(day, market_id="n", timestamp=START + timedelta(days=1))):
        with pytest.raises(CalibrationError, match="several tokens"):
            combine_impact_statistics([day, other])
    with pytest.raises(CalibrationError, match="versions"):
        combine_impact_statistics([day, replace(day, timestamp=START + timedelta(days=1), code_version="old")])


def test_window_is_the_plain_holder_of_its_days() -> None:
    days = tuple(days_of(2))
    window = WindowStatistics(days, np.array([0.5, 1.0]))
    assert window.total("traded") == 0.5 * 1 + 2
