"""A series of short-lived markets as one: its days by hand, and known truth from forty markets of six hours."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise, permutations
from math import sqrt

import numpy as np
import pytest

from tests.analytics.markets import START, START_US, books_of, calibrate_days, market_of, tape_of, trades_of
from tributary_pipelines.analytics.calibration.impact_statistics import (
    SHAPES,
    ImpactStatistics,
    compute_impact_statistics,
)
from tributary_pipelines.analytics.calibration.series import SERIES_TOKEN, add_statistics
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticTape
from tributary_pipelines.analytics.two_scale import LAG_LADDER_S
from tributary_pipelines.core.errors import CalibrationError
from tributary_pipelines.core.frames import OrderBooks, Trades
from tributary_pipelines.core.units import US_PER_DAY, US_PER_S

DAY = START.date()
LIFE_US = 6 * 3_600 * US_PER_S
N_DAYS, LIVES_A_DAY = 10, 4
HOUR = 3_600.0


def one_market(market_id: str, began_s: float, mid: float = 0.5, **options: object) -> ImpactStatistics:
    """A market with a book every 10 s for an hour, a half-spread of 1 cent and one trade of 40 shares."""
    books = [
        (began_s + 10.0 * k, [(mid - 0.01, 100.0), (mid - 0.02, 100.0)], [(mid + 0.01, 100.0), (mid + 0.02, 100.0)])
        for k in range(360)
    ]
    defaults = {"tick_size": 0.01, "price_min": 0.0, "price_max": 1.0}
    trades = trades_of((began_s + 60, mid + 0.01, 40.0, 1))
    return compute_impact_statistics(
        trades, books_of(*books), market_id=market_id, token_id="up", day=DAY, **(defaults | options)
    )


def added(parts: Sequence[ImpactStatistics]) -> ImpactStatistics:
    return add_statistics(parts, series_id="hourly", data_fingerprint="of all")


def test_a_day_of_two_markets_by_hand() -> None:
    found = added([one_market("m1", 0.0, 0.2), one_market("m2", 4 * HOUR, 0.5, tick_size=0.005)])
    assert (found.market_id, found.token_id, found.timestamp) == ("hourly", SERIES_TOKEN, START)
    assert (found.n_trades, found.n_snapshots, found.n_usable) == (2, 720, 720)
    # The last snapshot speaks for 30 s; each hour lies in its own block.
    assert found.covered_s == 2 * (HOUR + 20)
    assert found.spread_s.tolist() == [HOUR + 20, 0, HOUR + 20, *[0] * 9]
    assert found.spread_time.sum() == pytest.approx(0.01 * found.covered_s, rel=1e-12)
    assert found.traded.sum() == 80
    assert (found.first_snapshot_s, found.tick_size) == (0, 0.005)
    assert (found.price_min, found.price_max, found.data_fingerprint) == (0, 1, "of all")


def test_every_sum_is_the_sum_of_the_markets() -> None:
    parts = [one_market(f"m{k}", 4 * HOUR * k, mid) for k, mid in enumerate((0.2, 0.5, 0.7))]
    found = added(parts)
    for name in SHAPES:
        if name != "volatility_measures":
            np.testing.assert_allclose(getattr(found, name), sum(getattr(part, name) for part in parts), rtol=1e-12)
    counts = [name for name in ImpactStatistics.__slots__ if name.startswith("n_") and name not in SHAPES]
    assert {name: getattr(found, name) for name in counts} == {
        name: sum(getattr(part, name) for part in parts) for name in counts
    }
    assert "n_other_token" in counts


def test_volatility_measures_are_the_mean_of_the_markets_that_know_them() -> None:
    first, second, third = (one_market(f"m{k}", 4 * HOUR * k) for k in range(3))
    known = np.arange(len(first.volatility_measures), dtype=float)
    parts = [
        replace(first, volatility_measures=known),
        replace(second, volatility_measures=known + 2),
        replace(third, volatility_measures=np.full(len(known), np.nan)),
    ]
    assert added(parts).volatility_measures.tolist() == (known + 1).tolist()


def test_the_order_of_the_markets_does_not_matter() -> None:
    parts = [one_market("m1", 0.0, 0.2), one_market("m2", 4 * HOUR), one_market("m3", 4 * HOUR, 0.7, tick_size=None)]
    rows = [added(order).to_row() for order in permutations(parts)]
    for one, other in pairwise(rows):
        for name, value in one.items():
            assert value == (pytest.approx(other[name], rel=1e-12, nan_ok=True) if name in SHAPES else other[name])


def test_markets_open_at_the_same_time_do_not_cover_more_than_there_is() -> None:
    at_once = [one_market(f"m{k}", 0.0) for k in range(5)]
    found = added(at_once)
    assert found.covered_s == 2 * HOUR
    assert found.spread_s[0] == 5 * (HOUR + 20)


def test_a_typical_price_stands_for_markets_that_ended_anywhere() -> None:
    found = added([one_market("m1", 0.0, 0.2), one_market("m2", 4 * HOUR, 0.5)])
    # p (1 - p) is 0.16 and 0.25, for as many moves each.
    scale = sqrt((0.16**2 + 0.25**2) / 2)
    assert found.last_mid is not None
    assert found.last_mid * (1 - found.last_mid) == pytest.approx(scale, rel=1e-12)
    assert found.last_mid > 0.5


def test_without_common_bounds_the_last_mid_is_that_of_the_market_that_began_last() -> None:
    late, early = one_market("m1", 4 * HOUR, 0.7), one_market("m2", 0.0, 0.2, price_min=None, price_max=None)
    found = added([late, early])
    assert (found.price_min, found.price_max, found.last_mid) == (None, None, 0.7)
    unseen = replace(early, market_id="m3", first_snapshot_s=None, last_mid=None)
    assert added([late, early, unseen]).last_mid == 0.7
    assert added([unseen]).last_mid is None


def test_without_a_move_there_is_no_typical_price() -> None:
    bounds = {"price_min": 0.0, "price_max": 1.0}
    still = compute_impact_statistics(
        trades_of((5, 0.5, 1.0, 1)), books_of(), market_id="m", token_id="up", day=DAY, tick_size=0.01, **bounds
    )
    assert (added([still]).last_mid, added([still]).first_snapshot_s, added([still]).n_trades) == (None, None, 1)


def test_a_market_too_short_for_a_move_lends_its_mid() -> None:
    short = replace(one_market("m1", 0.0, mid=0.4), n_moves=np.zeros((12, len(LAG_LADDER_S))), last_mid=0.4)
    assert added([short]).last_mid == 0.4


def test_cost_curves_of_other_sizes_are_left_out_and_nothing_else_is() -> None:
    large, small = one_market("m1", 0.0, lot_size=5.0), one_market("m2", 4 * HOUR, lot_size=1.0)
    found = added([large, small])
    assert found.cost_unit == small.cost_unit != large.cost_unit
    assert found.n_cost_buy.tolist() == small.n_cost_buy.tolist()
    assert found.n_slopes.sum() == large.n_slopes.sum() + small.n_slopes.sum()


def test_no_statistics_or_those_of_several_days_or_versions_are_no_day_of_a_series() -> None:
    one = one_market("m1", 0.0)
    with pytest.raises(CalibrationError, match=r"series hourly: statistics of one day and version .* are none"):
        added([])
    with pytest.raises(CalibrationError, match=r"m1 2026-03-01 .*m2 2026-03-02"):
        added([one, replace(one, market_id="m2", timestamp=START + timedelta(days=1))])
    with pytest.raises(CalibrationError, match="impact_statistics/next"):
        added([one, replace(one, market_id="m2", code_version="impact_statistics/next")])


def lives_of(tape: SyntheticTape, day: int, raised: float, **options: object) -> list[ImpactStatistics]:
    """A day of a tape as four markets of six hours, every other one priced higher."""
    parts = []
    for n in range(LIVES_A_DAY):
        began = START_US + day * US_PER_DAY + n * LIFE_US
        trades, books = tape.trades.between(began, began + LIFE_US), tape.books.between(began, began + LIFE_US)
        more = raised * (n % 2)
        trades = Trades(trades.times, trades.prices + more, trades.sizes, trades.signs)
        prices = (books.bid_prices + more, books.bid_sizes, books.ask_prices + more, books.ask_sizes)
        parts.append(
            compute_impact_statistics(
                trades,
                OrderBooks(books.times, *prices),
                market_id=f"m{LIVES_A_DAY * day + n}",
                token_id="up",
                day=(START + timedelta(days=day)).date(),
                tick_size=0.001,
                **options,
            )
        )
    return parts


SERIES = market_of(market_id="hourly", token_id=SERIES_TOKEN)


def test_forty_markets_of_six_hours_give_the_truth_of_their_law() -> None:
    """Prices jump by 20 cents from one market to the next: a move across two of them would be seen at once."""
    tape = tape_of(1, N_DAYS, snapshot_s=30, levels=30)
    days = [added(lives_of(tape, day, raised=0.2)) for day in range(N_DAYS)]
    found = calibrate_days(days, N_DAYS, SERIES)
    assert (found.status, found.market_id, found.token_id) == ("ok", "hourly", SERIES_TOKEN)
    assert found.coverage == pytest.approx(1, rel=1e-9)
    # Between the bands of 7 and 30 days of science.md 8.2.
    for name, band in {"sigma": 0.12, "gamma": 0.15, "book_slope": 0.13, "resilience_rate": 0.3}.items():
        assert found.value(name) == pytest.approx(tape.truth[name], rel=band), name
    assert found.value("epsilon") == pytest.approx(0.0055, rel=1e-3)


def test_volatility_of_a_bounded_series_is_that_of_its_markets_on_the_whole() -> None:
    """The last market ends beside its bound, where nothing moves; the next one will not begin there."""
    bounds = {"price_min": 0.0, "price_max": 1.0}
    days = []
    for day, seed in enumerate([*range(N_DAYS), 5]):
        tape = tape_of(seed, 1, snapshot_s=30, bounded=1, sigma=0.5, r2=0.05)
        part = compute_impact_statistics(
            tape.trades, tape.books, market_id=f"m{day}", token_id="up", day=DAY, tick_size=0.001, **bounds
        )
        days.append(replace(added([part]), timestamp=START + timedelta(days=day)))
    found = calibrate_days(days, N_DAYS + 1, market_of(market_id="hourly", token_id=SERIES_TOKEN, **bounds))
    assert part.last_mid > 0.98
    # sigma is stated at 0.5, where p (1 - p) is a quarter.
    assert found.sigma_x == pytest.approx(2.0, rel=0.2)
    as_moved = calibrate_days(days, N_DAYS + 1, SERIES).value("sigma")
    assert found.value("sigma") == pytest.approx(as_moved, rel=0.25)
    assert found.value("sigma") > 10 * found.sigma_x * part.last_mid * (1 - part.last_mid)
