from math import e, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary_pipelines.analytics.range_volatility import (
    garman_klass_variance,
    parkinson_variance,
    rogers_satchell_variance,
    yang_zhang_variance,
)

#: Open, high, low, close of the bars of science.md 2, with the values computed there.
BARS = np.array(
    [[100, 101, 100.5, 102], [102, 101.8, 102.6, 103], [99.5, 100, 100.2, 101], [101.2, 100.4, 102.1, 101.7]]
)


def parkinson(opens, highs, lows, closes) -> float:
    return parkinson_variance(highs, lows)


ESTIMATORS = [
    (parkinson, 1.694088468185e-4, 1),
    (garman_klass_variance, 1.927492494073e-4, 1),
    (rogers_satchell_variance, 1.847432321574e-4, 1),
    (yang_zhang_variance, 1.655715071811e-4, 3),
]
every = pytest.mark.parametrize(("estimate", "expected", "fewest"), ESTIMATORS)


@every
def test_value_is_the_independent_one(estimate, expected: float, fewest: int) -> None:
    assert estimate(*BARS) == pytest.approx(expected, rel=1e-9)


@every
def test_fewest_bars_give_a_number_and_one_less_gives_none(estimate, expected: float, fewest: int) -> None:
    assert estimate(*BARS[:, :fewest]) > 0
    assert np.isnan(estimate(*BARS[:, : fewest - 1]))


@every
def test_flat_bars_have_no_variance(estimate, expected: float, fewest: int) -> None:
    assert estimate(*np.full((4, 5), 0.4)) == 0


@every
def test_bars_without_trades_at_the_ends_change_nothing(estimate, expected: float, fewest: int) -> None:
    missing = np.full((4, 1), np.nan)
    assert estimate(*np.hstack([missing, BARS, missing])) == pytest.approx(expected, rel=1e-9)


#: A bar that breaks one rule each: prices not finite, not positive, low above high, open or close outside.
BROKEN = [
    (1, np.inf, 1, 1),
    (np.nan, 2, 1, 1),
    (0, 1, 0, 1),
    (1, 2, -1, 1),
    (1, 1, 2, 1),
    (3, 2, 1, 1),
    (1, 2, 1, 0.5),
]


@pytest.mark.parametrize("bar", BROKEN)
def test_broken_bar_does_not_count(bar: tuple[float, ...]) -> None:
    with_broken = np.hstack([BARS, np.array(bar, float)[:, None]])
    for estimate in (garman_klass_variance, rogers_satchell_variance, yang_zhang_variance):
        assert estimate(*with_broken) == pytest.approx(estimate(*BARS), rel=1e-12)


@pytest.mark.parametrize(("high", "low"), [(1.0, 2.0), (1.0, 0.0), (np.inf, 1.0), (np.nan, 1.0)])
def test_broken_range_does_not_count(high: float, low: float) -> None:
    assert parkinson_variance(np.array([4.0, high]), np.array([2.0, low])) == pytest.approx(log(2) / 4)
    assert np.isnan(parkinson_variance(np.array([high]), np.array([low])))


def test_single_bars_by_hand() -> None:
    # ln H/L = 2, ln C/O = 1, ln H/C = 1, ln H/O = 2, L = O.
    bar = np.array([[1.0], [e**2], [1.0], [e]])
    assert parkinson(*bar) == pytest.approx(4 / (4 * log(2)))
    assert garman_klass_variance(*bar) == pytest.approx(2 - (2 * log(2) - 1))
    assert rogers_satchell_variance(*bar) == pytest.approx(2)


def test_yang_zhang_counts_bars_whose_bar_before_counts() -> None:
    # Flat bars: only the gaps between neighbours vary, here ln 2, 0 before and 0 after the missing bar.
    prices = np.array([1.0, 2.0, 2.0, np.nan, 8.0, 8.0])
    assert yang_zhang_variance(*np.tile(prices, (4, 1))) == pytest.approx(np.var([log(2), 0, 0], ddof=1))


@every
@settings(deadline=None)
@given(st.floats(1e-6, 1e6))
def test_price_unit_does_not_matter(estimate, expected: float, fewest: int, scale: float) -> None:
    assert estimate(*(BARS * scale)) == pytest.approx(expected, rel=1e-6)
