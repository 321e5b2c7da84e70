"""Almgren and Chriss' own case (section 4 of the paper) to 1e-9, and what must hold for every case."""

from dataclasses import replace
from math import cosh, exp, inf, nan, sinh, sqrt, tanh
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary_pipelines.analytics.optimization.almgren_chriss import (
    ImpactModel,
    cost_components,
    cost_variance,
    decay_rate,
    holdings,
    net_temporary_impact,
    optimal_slices,
)
from tributary_pipelines.analytics.optimization.risk_aversion import (
    implied_confidence,
    risk_aversion_from_lvar,
    risk_aversion_from_urgency,
)
from tributary_pipelines.core.errors import ValidationError

PAPER = ImpactModel(sigma=0.95, gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625)
X, T, N = 1e6, 5.0, 5


def solve(risk_aversion, model=PAPER, shares=X, horizon=T, n_slices=N):
    """Trajectory, E and V of one case."""
    interval = horizon / n_slices
    slices = optimal_slices(shares, horizon, n_slices, decay_rate(risk_aversion, model, interval))
    return slices, cost_components(slices, model, interval).total, cost_variance(slices, model.sigma, interval)


@pytest.mark.parametrize(
    ("risk_aversion", "kappa", "expected", "variance", "deviation"),
    [
        (0.0, 0.0, 662_500, 1.083e12, 1_040_672.8592598),
        (1e-7, 0.19462855046748, 670_057.46004451, 924_718_606_139.84, 961_622.90225423),
        (1e-6, 0.60707616324706, 911_226.98630379, 364_128_572_058.14, 603_430.66880806),
        (2e-6, 0.84629713450126, 1_140_715.1670498, 201_931_287_150.52, 449_367.65254135),
        (1e-5, 1.7267108656229, 1_845_211.2616246, 29_485_150_288.267, 171_712.40574946),
        (1e-3, 5.9454137556538, 2_550_097.8264578, 6_184_853.4483891, 2_486.9365589796),
    ],
)
def test_paper_frontier(risk_aversion, kappa, expected, variance, deviation):
    _, cost, risk = solve(risk_aversion)
    assert decay_rate(risk_aversion, PAPER, 1.0) == pytest.approx(kappa, rel=1e-12)
    assert cost == pytest.approx(expected, rel=1e-12)
    assert risk == pytest.approx(variance, rel=1e-12)
    assert sqrt(risk) == pytest.approx(deviation, rel=1e-12)


@pytest.mark.parametrize(
    ("risk_aversion", "quantities"),
    [
        (1e-6, (458044.44562608, 252101.33496399, 141956.73158821, 85755.686215957, 62141.801605766)),
        (2e-6, (571401.15425298, 245666.03148525, 106637.09264631, 48652.344218555, 27643.377396906)),
    ],
)
def test_paper_trajectories(risk_aversion, quantities):
    slices, _, _ = solve(risk_aversion)
    np.testing.assert_allclose(slices, quantities, rtol=1e-12)


def test_costs_of_given_schedules():
    risk_loving = np.array([89943.563091574, 159107.85229661, 216179.94472711, 256822.36135835, 277946.27852635])
    assert cost_components(risk_loving, PAPER, 1.0).total == pytest.approx(717_958.10427316, rel=1e-12)
    assert cost_variance(risk_loving, 0.95, 1.0) == pytest.approx(1_584_210_709_653.4, rel=1e-12)
    at_once = np.array([X, 0, 0, 0, 0])
    assert cost_components(at_once, PAPER, 1.0).total == pytest.approx(2_562_500, rel=1e-12)
    assert cost_variance(at_once, 0.95, 1.0) == 0


def test_unrounded_volatility():
    slices, cost, risk = solve(1e-6, replace(PAPER, sigma=sqrt(0.9)))
    assert decay_rate(1e-6, replace(PAPER, sigma=sqrt(0.9)), 1.0) == pytest.approx(0.60625962841919, rel=1e-12)
    assert cost == pytest.approx(910_477.84425039, rel=1e-12)
    assert risk == pytest.approx(363_868_009_302.52, rel=1e-12)
    assert slices.sum() == pytest.approx(X, rel=1e-15)


def test_one_slice_and_no_shares():
    slices, cost, risk = solve(1e-6, n_slices=1)
    assert slices.tolist() == [X]
    assert cost == pytest.approx(562_500, rel=1e-12)
    assert risk == 0
    assert solve(1e-6, shares=0.0)[0].tolist() == [0.0] * 5
    assert solve(1e-6, shares=0.0)[1:] == (0.0, 0.0)


@pytest.mark.parametrize("risk_aversion", [1e-7, 1e-6, 1e-5, 1e-3])
@pytest.mark.parametrize("n_slices", [2, 5, 40])
def test_sums_equal_the_closed_forms(risk_aversion, n_slices):
    tau = T / n_slices
    _, cost, risk = solve(risk_aversion, n_slices=n_slices)
    k, net = decay_rate(risk_aversion, PAPER, tau), net_temporary_impact(PAPER, tau)
    shape = tanh(k * tau / 2) * (tau * sinh(2 * k * T) + 2 * T * sinh(k * tau)) / (2 * tau**2 * sinh(k * T) ** 2)
    assert cost == pytest.approx(PAPER.gamma * X**2 / 2 + PAPER.epsilon * X + net * X**2 * shape, rel=1e-11)
    shape = (tau * sinh(k * T) * cosh(k * (T - tau)) - T * sinh(k * tau)) / (sinh(k * T) ** 2 * sinh(k * tau))
    assert risk == pytest.approx(PAPER.sigma**2 * X**2 / 2 * shape, rel=1e-9)


def test_naive_variance_in_closed_form():
    slices = np.full(7, X / 7)
    expected = 0.95**2 * X**2 * T / 3 * (1 - 1 / 7) * (1 - 1 / 14)
    assert cost_variance(slices, 0.95, T / 7) == pytest.approx(expected, rel=1e-13)


def test_kappa_keeps_its_digits_where_acosh_would_not():
    model = replace(PAPER, gamma=0.0, eta=1.0, sigma=1.0)
    assert decay_rate((6.164e-8) ** 2, model, 1.0) == pytest.approx(6.164e-8, rel=1e-12)


def test_extreme_risk_aversion_does_not_overflow():
    for risk_aversion in (1e3, 1e150, 1e300, inf):
        slices, cost, risk = solve(risk_aversion, n_slices=200, horizon=500.0)
        assert slices[0] == pytest.approx(X, rel=1e-6)
        assert np.isfinite([cost, risk]).all()
    assert optimal_slices(X, T, N, 1e6).tolist() == [X, 0, 0, 0, 0]
    np.testing.assert_array_equal(optimal_slices(X, T, N, 1e-10), np.full(N, X / N))
    np.testing.assert_allclose(optimal_slices(X, T, N, 1.01e-8 / T), X / N, rtol=1e-7)


@pytest.mark.parametrize(
    ("urgency", "risk_aversion", "first_slice"),
    [
        (1, 1.05614503e-7, 0.2443),
        (2, 4.26696694e-7, 0.3450),
        (3, 9.76132728e-7, 0.4544),
        (5, 2.85831913e-6, 0.6322),
    ],
)
def test_urgency_vectors(urgency, risk_aversion, first_slice):
    found = risk_aversion_from_urgency(urgency, PAPER, T, N)
    assert found == pytest.approx(risk_aversion, rel=1e-8)
    assert decay_rate(found, PAPER, T / N) * T == pytest.approx(urgency, rel=1e-12)
    assert solve(found)[0][0] / X == pytest.approx(first_slice, abs=5e-5)


def test_urgency_zero_is_risk_neutral():
    assert risk_aversion_from_urgency(0.0, PAPER, T, N) == 0


@pytest.mark.parametrize(
    ("confidence", "risk_aversion", "lvar"),
    [(0.95, 1.69411352e-6, 1_877_135.64566), (0.99, 3.41085544e-6, 2_156_398.90635)],
)
def test_lvar_vectors(confidence, risk_aversion, lvar):
    found = risk_aversion_from_lvar(confidence, X, PAPER, T, N)
    _, cost, risk = solve(found)
    assert found == pytest.approx(risk_aversion, rel=3e-9)
    assert cost + NormalDist().inv_cdf(confidence) * sqrt(risk) == pytest.approx(lvar, rel=1e-11)
    assert implied_confidence(found, risk) == pytest.approx(confidence, rel=1e-12)


def test_lvar_at_95_percent_in_full():
    _, cost, risk = solve(risk_aversion_from_lvar(0.95, X, PAPER, T, N))
    assert cost == pytest.approx(1_078_622.612, rel=1e-9)
    assert sqrt(risk) == pytest.approx(485_461.454, rel=2e-9)


def test_lvar_corners():
    limit = 2 * net_temporary_impact(PAPER, 1.0) * X / 0.95
    just_below, just_above = NormalDist().cdf(limit * (1 - 1e-4)), NormalDist().cdf(limit * (1 + 1e-4))
    assert risk_aversion_from_lvar(just_above, X, PAPER, T, N) == inf
    inside = risk_aversion_from_lvar(just_below, X, PAPER, T, N)
    assert 1e-3 < inside < inf
    assert risk_aversion_from_lvar(0.95, X, PAPER, T, 1) == inf
    assert risk_aversion_from_lvar(0.6, X, PAPER, T, 1) == inf
    assert risk_aversion_from_lvar(0.5, X, PAPER, T, N) == 0
    assert implied_confidence(0.0, 1e12) == 0.5


@pytest.mark.parametrize("confidence", [0.6, 0.95, 0.999])
def test_lvar_optimum_beats_every_other_risk_aversion(confidence):
    quantile = NormalDist().inv_cdf(confidence)

    def lvar(risk_aversion):
        _, cost, risk = solve(risk_aversion)
        return cost + quantile * sqrt(risk)

    best = risk_aversion_from_lvar(confidence, X, PAPER, T, N)
    assert all(lvar(best) < lvar(best * factor) for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decay_rate(-1e-9, PAPER, 1.0), "risk aversion must be"),
        (lambda: decay_rate(nan, PAPER, 1.0), "risk aversion must be"),
        (lambda: decay_rate(1e-6, replace(PAPER, gamma=5e-6), 1.0), "no optimal trajectory"),
        (lambda: decay_rate(1e-6, replace(PAPER, gamma=6e-6), 1.0), "no optimal trajectory"),
        (lambda: risk_aversion_from_urgency(-1.0, PAPER, T, N), "urgency must be"),
        (lambda: risk_aversion_from_urgency(nan, PAPER, T, N), "urgency must be"),
        (lambda: risk_aversion_from_urgency(1e4, PAPER, T, N), "urgency must be"),
        (lambda: risk_aversion_from_lvar(0.49, X, PAPER, T, N), "confidence must be"),
        (lambda: risk_aversion_from_lvar(1.0, X, PAPER, T, N), "confidence must be"),
        (lambda: risk_aversion_from_lvar(nan, X, PAPER, T, N), "confidence must be"),
    ],
)
def test_refused_arguments(call, message):
    with pytest.raises(ValidationError, match=message):
        call()


@pytest.mark.parametrize(
    "change",
    [
        {"sigma": 0.0},
        {"sigma": nan},
        {"gamma": -1e-9},
        {"gamma": inf},
        {"eta": 0.0},
        {"eta": None},
        {"epsilon": -0.1},
        {"epsilon": nan},
        {"fee_per_share": 0.1},
        {"book_slope": 0.0},
        {"resilience_rate": -1.0},
        {"resilience_rate": inf},
    ],
)
def test_models_that_make_no_sense(change):
    with pytest.raises(ValidationError, match=next(iter(change)).replace("fee_per_share", "epsilon")):
        replace(PAPER, **change)


def test_every_violation_of_a_model_is_listed():
    with pytest.raises(ValidationError, match=r"sigma .*; gamma .*; epsilon"):
        ImpactModel(sigma=-1.0, gamma=-1.0, eta=1.0, epsilon=nan)


def test_book_slope_rules_at_every_interval():
    model = replace(PAPER, eta=None, book_slope=5e-7)
    assert model.slope_at(0.25) == 5e-7
    assert replace(PAPER, book_slope=5e-7).slope_at(0.25) == 5e-7
    assert PAPER.slope_at(0.25) == 1e-5


def test_components_by_hand():
    model = ImpactModel(sigma=1.0, gamma=0.1, eta=None, epsilon=0.5, fee_per_share=0.2, book_slope=0.3)
    parts = cost_components(np.array([3.0, 1.0, 2.0]), model, 0.5)
    assert parts.spread == pytest.approx(1.8)
    assert parts.fees == pytest.approx(1.2)
    assert parts.permanent == pytest.approx(0.1 * (3 + 6 + 2))
    assert parts.temporary == pytest.approx(0.3 * 14)
    slow = cost_components(np.array([3.0, 1.0, 2.0]), replace(model, resilience_rate=2.0), 0.5)
    assert slow.temporary == pytest.approx(0.3 * 14 + 0.5 * (3 * exp(-1) + 6 * exp(-2) + 2 * exp(-1)))
    assert slow.total == pytest.approx(slow.spread + slow.permanent + slow.temporary + slow.fees)


def test_permanent_impact_beyond_the_book_leaves_nothing_to_decay():
    model = ImpactModel(sigma=1.0, gamma=0.9, eta=None, epsilon=0.5, book_slope=0.3, resilience_rate=2.0)
    assert cost_components(np.array([3.0, 1.0]), model, 0.5).temporary == pytest.approx(0.3 * 10)


@pytest.mark.parametrize(
    ("n_slices", "interval_s", "cost"), [(10, 1800, 95.00000003), (300, 60, 76.991111), (1800, 10, 76.916492)]
)
def test_costs_with_finite_resilience(n_slices, interval_s, cost):
    """Depth 50 000 shares a price unit, gamma 4e-6, half-life 60 s, 5 000 shares."""
    model = ImpactModel(0.03, 4e-6, None, 0.005, book_slope=1e-5, resilience_rate=np.log(2) * 1440)
    parts = cost_components(np.full(n_slices, 5000 / n_slices), model, interval_s / 86_400)
    assert parts.total == pytest.approx(cost, rel=1e-8)


models = st.builds(
    ImpactModel,
    sigma=st.floats(1e-3, 10),
    gamma=st.floats(0, 1e-7),
    eta=st.none(),
    epsilon=st.floats(0, 1),
    book_slope=st.floats(1e-7, 1e-3),
)
cases = st.tuples(
    models,
    st.floats(1, 1e7),
    st.floats(1e-3, 30),
    st.integers(1, 60),
    st.floats(0, 30).filter(lambda u: u == 0 or u > 1e-3),
)


@given(cases)
def test_trajectories_start_full_end_empty_and_only_fall(case):
    model, shares, horizon, n_slices, urgency = case
    slices, _, _ = solve(
        risk_aversion_from_urgency(urgency, model, horizon, n_slices), model, shares, horizon, n_slices
    )
    held = holdings(slices)
    assert held[0] == pytest.approx(shares, rel=1e-12)
    assert held[-1] == 0
    assert (np.diff(held) <= 0).all()
    assert (np.diff(slices) <= 1e-12 * shares).all()
    if urgency == 0:
        assert (slices == shares / n_slices).all()


@given(cases, st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_units_do_not_matter(case, price_scale, share_scale):
    model, shares, horizon, n_slices, urgency = case
    risk_aversion = risk_aversion_from_urgency(urgency, model, horizon, n_slices)
    slices, cost, risk = solve(risk_aversion, model, shares, horizon, n_slices)
    day = 86_400.0
    seconds = ImpactModel(model.sigma / sqrt(day), model.gamma, None, model.epsilon, book_slope=model.book_slope)
    prices = ImpactModel(
        model.sigma * price_scale,
        model.gamma * price_scale,
        None,
        model.epsilon * price_scale,
        book_slope=model.book_slope * price_scale,
    )
    lots = ImpactModel(
        model.sigma, model.gamma / share_scale, None, model.epsilon, book_slope=model.book_slope / share_scale
    )
    rescaled = (
        (solve(risk_aversion, seconds, shares, horizon * day, n_slices), 1.0, 1.0),
        (solve(risk_aversion / price_scale, prices, shares, horizon, n_slices), price_scale, 1.0),
        (solve(risk_aversion / share_scale, lots, shares * share_scale, horizon, n_slices), share_scale, share_scale),
    )
    for (other, other_cost, other_risk), money, size in rescaled:
        np.testing.assert_allclose(other / size, slices, rtol=1e-9, atol=1e-12 * shares)
        assert other_cost / money == pytest.approx(cost, rel=1e-9)
        assert other_risk / money**2 == pytest.approx(risk, rel=1e-8, abs=1e-300)


@settings(max_examples=60)
@given(cases, st.integers(0, 2**32 - 1))
def test_optimum_beats_random_feasible_schedules(case, seed):
    model, shares, horizon, n_slices, urgency = case
    interval = horizon / n_slices
    risk_aversion = risk_aversion_from_urgency(urgency, model, horizon, n_slices)
    slices, cost, risk = solve(risk_aversion, model, shares, horizon, n_slices)
    best = cost + risk_aversion * risk
    rng = np.random.default_rng(seed)
    for scale in (1e-3, 1e-1, 1.0):
        other = np.abs(slices + scale * shares / n_slices * rng.standard_normal(n_slices))
        other *= shares / other.sum()
        found = cost_components(other, model, interval).total + risk_aversion * cost_variance(
            other, model.sigma, interval
        )
        assert found >= best * (1 - 1e-12)


@given(cases, st.integers(1, 59))
def test_solving_again_from_where_one_stands_returns_the_same_path(case, done):
    model, shares, horizon, n_slices, urgency = case
    done = min(done, n_slices - 1)
    interval = horizon / n_slices
    kappa = decay_rate(risk_aversion_from_urgency(urgency, model, horizon, n_slices), model, interval)
    slices = optimal_slices(shares, horizon, n_slices, kappa)
    rest = optimal_slices(holdings(slices)[done], horizon - done * interval, n_slices - done, kappa)
    np.testing.assert_allclose(rest, slices[done:], rtol=1e-7, atol=1e-12 * shares)
