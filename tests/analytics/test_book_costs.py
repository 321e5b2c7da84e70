import numpy as np
import pytest

from tests.analytics.markets import books_of
from tributary_pipelines.analytics.book_costs import cost_curve, infer_tick, measure_book_slopes
from tributary_pipelines.core.frames import no_order_books

ASKS = [(0.52, 100), (0.53, 200), (0.55, 400)]
BIDS = [(0.50, 150), (0.49, 250), (0.47, 300)]
VECTOR = books_of((0, BIDS, ASKS))


def linear_books(density: float, levels: int, tick: float = 0.01):
    """A book of uniform density around 0.5 whose first levels are whole."""
    asks = [(0.5 + tick * (j + 1), density * tick) for j in range(levels)]
    bids = [(0.5 - tick * (j + 1), density * tick) for j in range(levels)]
    return books_of((0, bids, asks))


def test_cost_curve_of_the_published_book() -> None:
    buy, sell = cost_curve(VECTOR, np.array([[50, 100, 200, 300, 500, 700.0]]))
    np.testing.assert_allclose(buy[0], [0.01, 0.01, 0.015, 0.0166666667, 0.026, 0.03], rtol=1e-8)
    np.testing.assert_allclose(sell[0], [0.01, 0.01, 0.0125, 0.015, 0.021, 0.0264285714], rtol=1e-8)


def test_regression_on_the_published_sizes() -> None:
    sizes = np.array([50, 100, 200, 300, 500.0])
    buy, sell = cost_curve(VECTOR, sizes[None])
    slope, intercept = np.polyfit(np.tile(sizes, 2), np.r_[buy[0], sell[0]], 1)
    assert intercept == pytest.approx(7.53548177e-3, rel=1e-8)
    assert slope == pytest.approx(3.07877604e-5, rel=1e-8)


def test_size_beyond_displayed_depth_has_no_cost() -> None:
    buy, sell = cost_curve(VECTOR, np.array([[700.0, 701.0]]))
    assert np.isfinite(buy[0, 0])
    assert np.isnan(buy[0, 1])
    assert np.isnan(sell[0, 1])


def test_slope_is_the_regression_over_the_books_own_depth() -> None:
    sizes = 700 * 2.0 ** np.arange(-5, 1)
    buy, sell = cost_curve(VECTOR, sizes[None])
    expected = np.polyfit(np.tile(sizes, 2), np.r_[buy[0], sell[0]], 1)[0]
    found = measure_book_slopes(VECTOR, 0.01)
    assert found.both[0] == pytest.approx(expected, rel=1e-12)
    assert found.buy[0] == pytest.approx(np.polyfit(sizes, buy[0], 1)[0], rel=1e-12)
    assert found.sell[0] == pytest.approx(np.polyfit(sizes, sell[0], 1)[0], rel=1e-12)
    assert found.spans[0] == pytest.approx(3)


def test_depth_costs_and_intercept_are_those_of_the_fit() -> None:
    # Both sides display 700 shares: costs at 700 / 32 .. 700, and the line through those of both sides.
    sizes = 700 * 2.0 ** np.arange(-5, 1)
    buy, sell = cost_curve(VECTOR, sizes[None])
    found = measure_book_slopes(VECTOR, 0.01)
    assert found.depths[0] == 700
    np.testing.assert_allclose(found.costs[0], (buy[0] + sell[0]) / 2, rtol=1e-12)
    slope, intercept = np.polyfit(np.tile(sizes, 2), np.r_[buy[0], sell[0]], 1)
    assert found.intercepts[0] == pytest.approx(intercept, rel=1e-12)
    np.testing.assert_allclose(found.costs[0].mean(), intercept + slope * sizes.mean(), rtol=1e-12)


def test_depth_is_the_smaller_sides_within_25_ticks() -> None:
    asks = [(0.51, 100), (0.76, 30), (0.77, 1e6)]
    bids = [(0.49, 1_000), (0.24, 1_000), (0.23, 1e6)]
    assert measure_book_slopes(books_of((0, bids, asks)), 0.01).depths[0] == 130
    assert measure_book_slopes(books_of((0, bids, asks)), None).depths[0] == 1_000_130


def test_intercept_of_an_even_book_is_half_a_tick_above_its_mid() -> None:
    # Whole levels 1..m of 5 shares cost 0.0001 (m + 1) / 2 on average, and hold 5 m.
    found = measure_book_slopes(linear_books(50_000, 320, tick=0.0001), None)
    assert found.depths[0] == pytest.approx(1_600)
    assert found.intercepts[0] == pytest.approx(0.00005, rel=1e-9)
    assert found.both[0] == pytest.approx(1 / (2 * 50_000), rel=1e-9)


def test_book_of_one_price_costs_the_half_spread_at_any_size() -> None:
    found = measure_book_slopes(books_of((0, [(0.333, 70)], [(0.347, 30)])), 0.001)
    assert found.depths[0] == 30
    np.testing.assert_allclose(found.costs[0], 0.007, rtol=1e-12)
    assert found.intercepts[0] == pytest.approx(0.007, rel=1e-12)


def test_slope_of_a_linear_book_is_half_over_density() -> None:
    found = measure_book_slopes(linear_books(50_000, 25), 0.01)
    assert found.both[0] == pytest.approx(1 / (2 * 50_000), rel=0.01)


def test_smaller_side_decides_the_range() -> None:
    books = books_of((0, [(0.49, 100), (0.48, 100)], [(0.51, 100), (0.52, 1e6)]))
    found = measure_book_slopes(books, 0.01)
    assert found.buy[0] == pytest.approx(found.sell[0], rel=1e-12)


def test_levels_beyond_25_ticks_do_not_count() -> None:
    near = linear_books(50_000, 26)
    far = linear_books(50_000, 60)
    assert measure_book_slopes(far, 0.01).both[0] == pytest.approx(measure_book_slopes(near, 0.01).both[0], rel=1e-12)
    assert measure_book_slopes(far, 0.01).spans[0] == pytest.approx(25)


def test_without_a_tick_all_levels_count() -> None:
    far = linear_books(50_000, 60)
    assert measure_book_slopes(far, None).both[0] == pytest.approx(1e-5, rel=0.01)
    assert measure_book_slopes(far, None).both[0] != measure_book_slopes(far, 0.01).both[0]
    assert measure_book_slopes(far, None).spans[0] == 0


def test_only_the_touch_has_slope_exactly_zero() -> None:
    found = measure_book_slopes(books_of((0, [(0.333, 70)], [(0.347, 30)])), 0.001)
    assert (found.buy[0], found.sell[0], found.spans[0]) == (0, 0, 0)


def test_ladders_of_different_length_are_padded_harmlessly() -> None:
    both = books_of((0, BIDS, ASKS), (10, BIDS[:2], ASKS[:2]))
    alone = measure_book_slopes(books_of((0, BIDS[:2], ASKS[:2])), 0.01)
    assert measure_book_slopes(both, 0.01).both[1] == pytest.approx(alone.both[0], rel=1e-12)


def test_no_displayed_size_has_no_slope() -> None:
    books = books_of((0, [(0.49, np.nan)], [(0.51, 10)]))
    found = measure_book_slopes(books, 0.01)
    assert np.isnan([found.both[0], found.depths[0], found.intercepts[0]]).all()
    assert np.isnan(found.costs).all()


def test_no_books_have_no_slopes() -> None:
    found = measure_book_slopes(no_order_books(), 0.01)
    assert [part.shape for part in (found.both, found.depths, found.intercepts)] == [(0,)] * 3
    assert found.costs.shape == (0, 6)


def test_tick_is_the_smallest_step_between_prices() -> None:
    assert infer_tick(VECTOR) == pytest.approx(0.01)


def test_tick_is_not_fooled_by_rounding() -> None:
    books = books_of((0, [(0.1 + 0.2, 1), (0.2, 1)], [(0.4, 1)]), (10, [(0.3, 1)], [(0.5, 1)]))
    assert infer_tick(books) == pytest.approx(0.1)


def test_tick_of_one_price_is_unknown() -> None:
    assert infer_tick(books_of((0, [(0.5, 1)], []))) is None
    assert infer_tick(no_order_books()) is None
