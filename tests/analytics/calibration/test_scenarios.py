"""What befalls a recording, and what calibration makes of it: a stated band or a refusal, and the flag that warns."""

import numpy as np
import pytest

from benchmarks._recovery_changes import (
    OTHER_TOKEN_SHARE,
    US_PER_HOUR,
    Recording,
    add_jump,
    empty_a_side_two_hours_a_day,
    lose_half_of_the_sides,
    lose_six_hours,
    lose_the_other_token,
    repeat_every_trade,
    report_half_on_the_other_token,
)
from benchmarks.recovery_scenarios import BY_NAME, SCENARIOS, Scenario, draw_recording, flow_feedback, transient_eta
from tributary_pipelines.analytics.calibration.tokens import merge_tokens


@pytest.fixture(scope="module")
def two_days() -> Recording:
    return draw_recording(Scenario("two_days", "", {"levels": 3, "p0": 0.5}, n_days=2), 5)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(6)


def test_jump_moves_every_later_price_and_belongs_to_sigma(two_days: Recording, rng) -> None:
    jumped = add_jump(two_days, rng)
    moved = np.round(jumped.books.mids - two_days.books.mids, 9)
    assert set(np.abs(moved)) == {0.0, 0.09}
    at = jumped.books.times[np.flatnonzero(moved)[0]]
    assert (np.round(jumped.trades.prices - two_days.trades.prices, 9)[jumped.trades.times >= at] == moved[-1]).all()
    assert jumped.truth["sigma"] == pytest.approx(0.03 * np.sqrt(1 + 9 / 2))


def test_outage_is_one_gap_of_six_hours(two_days: Recording, rng) -> None:
    lost = lose_six_hours(two_days, rng)
    gaps = np.diff(lost.books.times)
    assert (gaps > 10_000_000).sum() == 1
    assert gaps.max() == pytest.approx(6 * US_PER_HOUR, abs=20_000_000)
    (begin,) = lost.books.times[:-1][gaps > 10_000_000]
    assert not ((lost.trades.times > begin + 10_000_000) & (lost.trades.times < begin + 6 * US_PER_HOUR)).any()
    assert 0.8 * len(two_days.trades) < len(lost.trades) < len(two_days.trades)


def test_half_of_the_sides_are_lost_and_no_trade(two_days: Recording, rng) -> None:
    lost = lose_half_of_the_sides(two_days, rng).trades
    assert len(lost) == len(two_days.trades)
    assert np.mean(lost.signs == 0) == pytest.approx(0.5, abs=0.06)
    assert (lost.signs[lost.signs != 0] == two_days.trades.signs[lost.signs != 0]).all()


def test_every_trade_is_repeated_in_order(two_days: Recording, rng) -> None:
    doubled = repeat_every_trade(two_days, rng).trades
    np.testing.assert_array_equal(doubled.times[::2], two_days.trades.times)
    np.testing.assert_array_equal(doubled.sizes[1::2], two_days.trades.sizes)


def test_two_hours_of_each_day_are_one_sided(two_days: Recording, rng) -> None:
    books = empty_a_side_two_hours_a_day(two_days, rng).books
    is_gone = np.isnan(books.mids)
    assert is_gone.sum() == 2 * 2 * 360
    assert (np.isnan(books.best_bids[is_gone]) ^ np.isnan(books.best_asks[is_gone])).all()
    assert (np.isnan(books.bid_prices) == np.isnan(books.bid_sizes)).all()


def test_tokens_merged_give_back_the_tape(two_days: Recording, rng) -> None:
    split = report_half_on_the_other_token(two_days, rng)
    assert split.other_trades is not None
    assert len(split.other_trades) == pytest.approx(OTHER_TOKEN_SHARE * len(two_days.trades), rel=0.15)
    merged = merge_tokens(split.trades, split.other_trades, 0.0, 1.0).trades
    np.testing.assert_array_equal(merged.times, two_days.trades.times)
    np.testing.assert_array_equal(merged.signs, two_days.trades.signs)
    np.testing.assert_allclose(merged.prices, two_days.trades.prices, atol=1e-9)


def test_the_other_token_is_gone(two_days: Recording, rng) -> None:
    alone = lose_the_other_token(two_days, rng)
    assert alone.other_trades is None
    assert len(alone.trades) == pytest.approx((1 - OTHER_TOKEN_SHARE) * len(two_days.trades), rel=0.15)


def test_names_and_seeds_of_scenarios_are_their_own() -> None:
    assert len(BY_NAME) == len(SCENARIOS) == 21
    states = {tuple(s.seed(n).generate_state(4)) for s in SCENARIOS for n in range(3)}
    assert len(states) == 3 * 21


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_books_span_twenty_levels_and_flow_is_the_recipes(scenario: Scenario) -> None:
    market = scenario.market
    assert market.levels == 20
    assert market.permanent_impact * market.density == pytest.approx(0.225)


def test_gamma_and_depth_are_those_of_the_reference() -> None:
    assert BY_NAME["base"].market.permanent_impact == pytest.approx(4.54898e-6, rel=1e-6)
    assert BY_NAME["base"].market.density == pytest.approx(49_461.638, rel=1e-6)
    assert BY_NAME["thin"].market.permanent_impact == pytest.approx(1.174542e-5, rel=1e-6)


@pytest.mark.parametrize(("slice_days", "expected"), [(0.1, 1.0008331945), (1.0, 1.0819767069), (5.0, 2.5339182745)])
def test_transient_eta_is_that_of_the_reference(slice_days: float, expected: float) -> None:
    assert transient_eta(1.0, 1.0, slice_s=86_400 * slice_days) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "share"), [("base", 0.0), ("autocorrelated", 0.3 * 2 * np.exp(-1)), ("chasing", 0.11)]
)
def test_sides_that_depend_on_something_add_to_the_variance(name: str, share: float) -> None:
    assert flow_feedback(BY_NAME[name].market) == pytest.approx(share, abs=0.003)


#: Where estimates lie, as multiples of the truth: the middle and half-width of each band at one fixed seed.
USUAL = {
    "sigma": (1.0, 0.08),
    "gamma": (1.0, 0.10),
    "book_slope": (1.0, 0.09),
    "resilience_rate": (1.0, 0.20),
    "transient_eta": (1.0, 0.25),
}
BANDS = {
    "autocorrelated": USUAL,
    # Trades that follow the move take part of it for their own.
    "chasing": USUAL | {"gamma": (1.09, 0.08)},
    # The guard holds for half of the delay; decay is fitted without one.
    "later": USUAL | {"gamma": (0.82, 0.10), "resilience_rate": (1.4, 0.3)},
    "jump": USUAL,
    "outage": USUAL,
    "half_signed": USUAL,
    # Twice the flow for the same moves.
    "duplicated": USUAL | {"gamma": (0.5, 0.05), "transient_eta": (1.15, 0.2)},
    "one_sided": USUAL,
    # The tick is a third of a day's volatility: longer lags.
    "low_price": USUAL | {"sigma": (1.0, 0.16), "gamma": (1.0, 0.15)},
    "two_tokens": USUAL,
    "one_of_two_tokens": USUAL,
}


@pytest.mark.parametrize(("scenario", "name"), [(scenario, name) for scenario in BANDS for name in BANDS[scenario]])
def test_estimate_lies_within_its_band(case, scenario: str, name: str) -> None:
    middle, width = BANDS[scenario][name]
    assert case(scenario).ratio(name) == pytest.approx(middle, abs=width)


@pytest.mark.parametrize("scenario", [s.name for s in SCENARIOS if s.warnings])
def test_a_flag_warns(case, scenario: str) -> None:
    assert set(BY_NAME[scenario].warnings) & set(case(scenario).found.flags)
    assert case(scenario).found.status == "ok"


@pytest.mark.parametrize("scenario", ["base", "thin", "late", "slow", "week", "autocorrelated", "outage", "two_tokens"])
def test_nothing_warns_where_nothing_is_wrong(case, scenario: str) -> None:
    assert case(scenario).found.flags == ()


def test_share_of_jumps_tells_of_the_jump(case) -> None:
    # 9 of the 30 + 9 daily variances of the window, seen through moves of five minutes that hold noise as well.
    assert case("jump").found.jump_share > case("base").found.jump_share + 0.07


def test_duplicates_leave_the_profile_at_odds_with_the_book(case) -> None:
    found = case("duplicated").found
    assert found.kappa_profile / found.kappa_book < 0.6
    base = case("base").found
    assert base.kappa_profile / base.kappa_book == pytest.approx(1, abs=0.2)


def test_rule_signs_the_missing_sides_rightly(case) -> None:
    assert case("half_signed").found.side_attenuation == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("scenario", "share"), [("outage", 1 - 6 / 720), ("one_sided", 1 - 2 / 24), ("base", 1.0)])
def test_coverage_says_what_is_missing(case, scenario: str, share: float) -> None:
    assert case(scenario).found.coverage == pytest.approx(share, abs=2e-3)


def test_flow_of_one_token_alone_explains_half_as_much(case) -> None:
    both, alone = case("two_tokens").found, case("one_of_two_tokens").found
    assert alone.r2 / both.r2 == pytest.approx(0.5, abs=0.12)
