import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.markets import books_of
from tributary_pipelines.analytics.book_costs import FRACTIONS, measure_book_slopes
from tributary_pipelines.analytics.calibration.cost_curves import (
    N_SIZES,
    SMALLEST_SIZE,
    display_sizes,
    display_sums,
    mean_curve,
    power_law_exponent,
)
from tributary_pipelines.core.frames import no_order_books

PUBLISHED = books_of((0, [(0.50, 150), (0.49, 250), (0.47, 300)], [(0.52, 100), (0.53, 200), (0.55, 400)]))

#: Cost per share of buying and of selling at once from the published book.
COSTS = {
    50: (0.01, 0.01),
    100: (0.01, 0.01),
    200: (0.015, 0.0125),
    300: (0.016666667, 0.015),
    500: (0.026, 0.021),
    700: (0.03, 0.026428571),
}


def test_sizes_double_from_the_lot() -> None:
    sizes = display_sizes(0.25)
    assert len(sizes) == N_SIZES
    assert sizes[:4].tolist() == [0.25, 0.5, 1.0, 2.0]
    # Without a lot the sizes are powers of two: from about a thousandth of a share to two million.
    assert (display_sizes(SMALLEST_SIZE)[0], display_sizes(SMALLEST_SIZE)[-1]) == (2.0**-10, 2.0**21)


@pytest.mark.parametrize("size", COSTS)
def test_costs_of_the_published_book(size: int) -> None:
    sums = display_sums(PUBLISHED, float(size))
    assert (sums["cost_buy_sum"][0], sums["cost_sell_sum"][0]) == pytest.approx(COSTS[size], rel=1e-7)
    assert (sums["n_cost_buy"][0], sums["n_cost_sell"][0]) == (1, 1)


def test_size_beyond_the_displayed_depth_is_no_cost_and_no_count() -> None:
    sums = display_sums(PUBLISHED, 350.0)
    # 350 and 700 can be filled, 1400 cannot.
    assert sums["n_cost_buy"].tolist() == [1, 1, *[0] * 30]
    assert sums["n_cost_sell"].tolist() == [1, 1, *[0] * 30]
    assert not sums["cost_buy_sum"][2:].any()


def test_sums_run_over_the_books_that_can_fill_each_side() -> None:
    deep = (0, [(0.49, 10)], [(0.51, 1)])
    shallow = (10, [(0.48, 2)], [(0.52, 10)])
    sums = display_sums(books_of(deep, shallow), 1.0)
    assert sums["n_cost_buy"][:5].tolist() == [2, 1, 1, 1, 0]
    assert sums["n_cost_sell"][:5].tolist() == [2, 2, 1, 1, 0]
    np.testing.assert_allclose(sums["cost_buy_sum"][:4], [0.03, 0.02, 0.02, 0.02])
    np.testing.assert_allclose(sums["cost_sell_sum"][:4], [0.03, 0.03, 0.01, 0.01])


def test_no_books_have_no_costs() -> None:
    sums = display_sums(no_order_books(), 0.5)
    assert sums.pop("cost_unit") == 0.5
    assert set(sums) == {"cost_buy_sum", "cost_sell_sum", "n_cost_buy", "n_cost_sell"}
    for values in sums.values():
        np.testing.assert_array_equal(values, np.zeros(N_SIZES))


@pytest.mark.parametrize(("counts", "known"), [([30, 20, 19, 0], [0, 1]), ([1_000, 500, 499, 20], [0, 1])])
def test_mean_needs_twenty_books_and_half_of_them(counts: list[int], known: list[int]) -> None:
    n = np.array([*counts, *[0] * 28], dtype=float)
    mean = mean_curve(0.01 * n, n)
    assert np.flatnonzero(np.isfinite(mean)).tolist() == known
    np.testing.assert_allclose(mean[known], 0.01)


def test_mean_of_nothing_is_missing() -> None:
    assert np.isnan(mean_curve(np.zeros(N_SIZES), np.zeros(N_SIZES))).all()


@settings(deadline=None)
@given(st.integers(10, 400), st.floats(1e-4, 1.0), st.floats(1e-3, 10.0))
def test_exact_power_laws_give_back_their_exponent(hundredths: int, intercept: float, slope: float) -> None:
    beta = hundredths / 100
    assert power_law_exponent(intercept + slope * FRACTIONS**beta) == pytest.approx(beta, abs=1e-9)


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.4])
def test_noise_moves_the_exponent_a_little(beta: float) -> None:
    noise = 1e-5 * np.array([1, -1, 1, -1, 1, -1])
    assert power_law_exponent(0.005 + 0.01 * FRACTIONS**beta + noise) == pytest.approx(beta, abs=0.03)


def test_exponents_beyond_the_grid_are_its_ends() -> None:
    assert power_law_exponent(FRACTIONS**0.02) == 0.1
    assert power_law_exponent(FRACTIONS**6.0) == 4.0


@pytest.mark.parametrize(
    "costs",
    [
        np.full(6, 0.01),
        np.linspace(0.02, 0.01, 6),
        0.01 + 1e-16 * np.arange(6),
        np.array([0.01, 0.02, np.nan, 0.04, 0.05, 0.06]),
        np.full(6, np.nan),
        np.array([0.0, 0.0, 0.0, 0.0, 0.0, np.inf]),
    ],
    ids=["flat", "falling", "flat but for rounding", "missing", "no book", "overflowed"],
)
def test_costs_that_do_not_rise_have_no_exponent(costs: np.ndarray) -> None:
    assert power_law_exponent(costs) is None


@pytest.mark.parametrize(("grows", "low", "high"), [(0.0, 0.99, 1.05), (1.0, 0.45, 0.6), (-0.9, 1.1, 4.0)])
def test_book_that_deepens_away_from_the_touch_is_concave(grows: float, low: float, high: float) -> None:
    # Sizes of 25 levels: even; growing with the distance, cost ~ n^(1/2); thinning out.
    sizes = 10 * np.linspace(1, 25, 25) ** grows
    asks = [(0.5 + 0.01 * (i + 1), size) for i, size in enumerate(sizes)]
    bids = [(0.5 - 0.01 * (i + 1), size) for i, size in enumerate(sizes)]
    costs = measure_book_slopes(books_of((0, bids, asks)), 0.01).costs[0]
    assert low <= power_law_exponent(costs) <= high
