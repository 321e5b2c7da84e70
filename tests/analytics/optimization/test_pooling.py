"""Gamma from a venue's pool: the arithmetic by hand, who may lend and who may borrow, and what the result says."""

from dataclasses import replace
from math import exp, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.analytics.markets import START
from tests.analytics.optimization.lenders import SCALE, VALUES, calibration, members
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.analytics.optimization.pooling import Pool, borrow_gamma, make_pool, may_borrow

#: Student's 97.5 % quantile at two degrees of freedom, from tables.
T_2 = 4.302653


def pool() -> Pool:
    made = make_pool("venue", members())
    assert made is not None
    return made


def test_mean_and_spread_of_the_pool_by_hand() -> None:
    made = pool()
    assert made.markets == ("a", "b", "c")
    assert made.mean == pytest.approx(-2 * log(2), rel=1e-12)
    # sd of 1, 2, 3 is 1; a fourth market scatters around a mean that is itself known to 1/sqrt(3) only.
    assert made.sd == pytest.approx(log(2) * sqrt(4 / 3), rel=1e-12)


def test_without_an_estimate_of_its_own_a_market_gets_the_pools_at_its_own_scale() -> None:
    lent = borrow_gamma(calibration(sigma=0.06, flow_sq_per_day=3_600.0), pool())
    assert lent.value("gamma") == pytest.approx(0.25 * 0.06 / 60, rel=1e-12)
    assert lent.pool_weight == 1
    assert lent.kappa_book == pytest.approx(2e-3 - 0.25 * 0.06 / 60, rel=1e-12)


def test_what_its_own_trades_say_is_weighed_in_by_precision_in_logs() -> None:
    lent = borrow_gamma(calibration(gamma_own=1e-3, gamma_se=5e-4), pool())
    # Relative error 1/2: weight 4. The pool's: 1 / (ln 2 sqrt(4/3))^2.
    from_pool = 1 / (log(2) ** 2 * 4 / 3)
    share = from_pool / (from_pool + 4)
    assert lent.value("gamma") == pytest.approx(exp((1 - share) * log(1e-3) + share * log(0.25e-3)), rel=1e-12)
    assert lent.pool_weight == pytest.approx(share, rel=1e-12)


def test_the_interval_is_students_in_logs() -> None:
    estimate = borrow_gamma(calibration(gamma_own=1e-3, gamma_se=5e-4), pool()).estimates["gamma"]
    error = 1 / sqrt(4 + 1 / (log(2) ** 2 * 4 / 3))
    assert log(estimate.ci_high / estimate.value) == pytest.approx(T_2 * error, rel=0.01)
    assert estimate.ci_low * estimate.ci_high == pytest.approx(estimate.value**2, rel=1e-12)


def test_the_error_of_the_markets_own_scale_is_part_of_the_interval() -> None:
    estimate = borrow_gamma(calibration(flow_sq_error=0.6), pool()).estimates["gamma"]
    error = sqrt(log(2) ** 2 * 4 / 3 + 0.3**2)
    assert log(estimate.ci_high / estimate.value) == pytest.approx(T_2 * error, rel=0.01)


def test_scales_are_of_the_window_and_not_of_the_last_mid() -> None:
    ended_near_a_bound = [replace(members()[0], estimates=calibration("a", 0.5 * SCALE, sigma=0.003).estimates)]
    assert make_pool("venue", [*ended_near_a_bound, *members()[1:]]) == pool()
    thin = replace(calibration(sigma=0.003), sigma_window=0.03)
    assert borrow_gamma(thin, pool()).value("gamma") == pytest.approx(0.25 * SCALE, rel=1e-12)


def test_trades_that_clearly_move_the_price_the_wrong_way_are_a_fault_that_no_pool_mends() -> None:
    assert not may_borrow(calibration(gamma_own=-5e-4, gamma_se=1e-4, gamma_t=-5.0))
    assert may_borrow(calibration(gamma_own=-1e-4, gamma_se=1e-4, gamma_t=-1.0))


@pytest.mark.parametrize(
    "own",
    [(-1e-3, 1e-4), (0.0, 1e-4), (None, None), (1e-3, None)],
    ids=["negative", "zero", "unknown", "without error"],
)
def test_an_own_estimate_that_has_no_logarithm_or_no_error_does_not_count(own: tuple[float | None, ...]) -> None:
    lent = borrow_gamma(calibration(gamma_own=own[0], gamma_se=own[1]), pool())
    assert (lent.value("gamma"), lent.pool_weight) == (pytest.approx(0.25 * SCALE, rel=1e-12), 1)


@given(own=st.floats(-1, 1), se=st.floats(1e-9, 1))
def test_gamma_is_never_negative_and_lies_between_the_pool_and_what_is_known_of_the_market(
    own: float, se: float
) -> None:
    lent = borrow_gamma(calibration(gamma_own=own, gamma_se=se, book_slope=10.0), pool()).estimates["gamma"]
    ends = sorted((0.25 * SCALE, own if own > 0 else 0.25 * SCALE))
    assert ends[0] * (1 - 1e-9) <= lent.value <= ends[1] * (1 + 1e-9)
    assert 0 < lent.ci_low <= lent.value <= lent.ci_high


def test_source_weight_and_lenders_are_stated() -> None:
    own = calibration()
    lent = borrow_gamma(own, pool())
    assert (lent.status, lent.estimates["gamma"].source) == ("pooled", "pooled")
    assert lent.estimates["gamma"].unit == "P/share"
    assert lent.pool_markets == ("a", "b", "c")
    assert lent.reasons == (*own.reasons, "gamma: 3 markets of venue lend 100% of it (a, b, c)")
    assert lent.flags == own.flags
    assert {name: lent.estimates[name] for name in VALUES} == {name: own.estimates[name] for name in VALUES}


def test_of_many_lenders_five_are_named() -> None:
    made = make_pool("venue", [calibration(name, 1e-4) for name in "gfedcba"])
    assert made is not None
    assert (
        borrow_gamma(calibration(), made)
        .reasons[-1]
        .endswith("7 markets of venue lend 100% of it (a, b, c, d, e, ...)")
    )


def test_a_gamma_that_is_not_below_twice_the_slope_stays_refused_with_a_flag() -> None:
    own = calibration(book_slope=0.125 * SCALE, flags=("thin", "no_side"))
    kept = borrow_gamma(own, pool())
    assert (kept.status, kept.value("gamma"), kept.kappa_book) == ("refused", None, None)
    # In this order, whatever the order of a set of texts is in this process.
    assert kept.flags == ("thin", "no_side", "gamma_ge_2b")
    assert "0.00025 P/share is not below twice the book slope 0.000125" in kept.reasons[-1]
    assert borrow_gamma(replace(own, flags=("gamma_ge_2b",)), pool()).flags == ("gamma_ge_2b",)
    assert kept.data_fingerprint != own.data_fingerprint
    steeper = calibration(book_slope=0.126 * SCALE)
    assert borrow_gamma(steeper, pool()).status == "pooled"


def test_two_markets_are_no_pool() -> None:
    assert make_pool("venue", members()[:2]) is None
    assert make_pool("venue", []) is None


@pytest.mark.parametrize(
    "unfit",
    [
        calibration("d", None),
        replace(calibration("d", 1e-3), estimates=borrow_gamma(calibration(), pool()).estimates, status="pooled"),
        calibration("d", 1e-3, sigma=None),
        calibration("d", 1e-3, flow_sq_per_day=None),
        calibration("d", 1e-3, flow_sq_per_day=0.0),
    ],
    ids=["refused", "borrowed itself", "no volatility", "flow unknown", "no flow"],
)
def test_who_has_no_gamma_of_its_own_or_no_scale_does_not_lend(unfit: AlmgrenChrissParameters) -> None:
    assert make_pool("venue", [*members(), unfit]) == pool()
    assert make_pool("venue", [*members()[:2], unfit]) is None


def test_the_fingerprint_follows_the_members_and_not_their_order() -> None:
    assert make_pool("venue", members()[::-1]) == pool()
    changed = [replace(members()[0], data_fingerprint="of more data"), *members()[1:]]
    later = [replace(members()[0], usable_from=START), *members()[1:]]
    prints = [made.fingerprint for made in (make_pool("venue", m) for m in (members(), changed, later)) if made]
    assert len(set(prints)) == 3
    lent = [borrow_gamma(calibration(), replace(pool(), fingerprint=one)).data_fingerprint for one in prints]
    assert len({*lent, calibration().data_fingerprint}) == 4


@pytest.mark.parametrize("missing", ["sigma", "epsilon", "book_slope"])
def test_who_misses_more_than_gamma_may_not_borrow(missing: str) -> None:
    found = calibration(**{missing: None})
    assert not may_borrow(found)
    assert borrow_gamma(found, pool()) is found


def test_who_has_a_gamma_or_never_trades_may_not_borrow() -> None:
    assert may_borrow(calibration())
    for found in (calibration(gamma=1e-3), calibration(flow_sq_per_day=0.0), calibration(flow_sq_per_day=None)):
        assert not may_borrow(found)
        assert borrow_gamma(found, pool()) is found


def test_markets_that_agree_exactly_lend_without_a_division_by_zero() -> None:
    made = make_pool("venue", [calibration(name, 1e-4) for name in "abc"])
    assert made is not None
    assert borrow_gamma(calibration(gamma_own=1e-3, gamma_se=1e-4), made).value("gamma") == pytest.approx(
        1e-4, rel=1e-6
    )
