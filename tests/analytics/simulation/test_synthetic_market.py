import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.markets import START, START_US, tape_of
from tributary_pipelines.analytics.book_costs import cost_curve
from tributary_pipelines.analytics.simulation.synthetic_books import display_books, walk_density
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticMarket, generate_tape
from tributary_pipelines.analytics.simulation.synthetic_path import decayed_sums
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.units import US_PER_DAY

QUIET = {"depth_sd": 0.0, "level_noise": 0.0}


def test_base_scenario_has_the_published_parameters() -> None:
    base = SyntheticMarket()
    assert base.permanent_impact == pytest.approx(4.54898e-6, rel=1e-6)
    assert base.density == pytest.approx(49_461.638, rel=1e-6)
    assert SyntheticMarket(trades_per_hour=3).permanent_impact == pytest.approx(1.174542e-5, rel=1e-6)


def test_truth_follows_from_the_options() -> None:
    truth = tape_of(1, n_days=1, depth=50_000, gamma=4e-6, tick=0.002, half_life_s=120).truth
    assert truth == {
        "sigma": 0.03,
        "gamma": 4e-6,
        "epsilon": 0.006,
        "book_slope": pytest.approx(1e-5),
        "resilience_rate": pytest.approx(86_400 * np.log(2) / 120),
        "kappa": pytest.approx(1.6e-5),
    }


def test_gamma_wins_over_r2_and_keeps_sigma() -> None:
    market = SyntheticMarket(gamma=4e-6, r2=0.9)
    assert market.permanent_impact == 4e-6
    assert market.news_volatility**2 + market.flow_variance == pytest.approx(0.03**2)


def test_same_seed_gives_the_same_tape_and_another_does_not() -> None:
    first, again, other = tape_of(3, n_days=1), tape_of(3, n_days=1), tape_of(4, n_days=1)
    np.testing.assert_array_equal(first.trades.prices, again.trades.prices)
    np.testing.assert_array_equal(first.books.ask_sizes, again.books.ask_sizes)
    assert len(first.trades) != len(other.trades) or (first.trades.prices != other.trades.prices).any()


def test_tape_is_sorted_and_inside_its_window() -> None:
    tape = tape_of(1, n_days=2, stamp_delay_s=600.0)
    assert (np.diff(tape.trades.times) >= 0).all()
    assert tape.trades.times[0] >= START_US
    assert tape.trades.times[-1] < START_US + 2 * US_PER_DAY
    assert (np.diff(tape.books.times) == 10_000_000).all()
    assert (tape.books.times[0], len(tape.books)) == (START_US, 2 * 8_640)


def test_books_are_ladders_best_first_on_the_tick_grid() -> None:
    books = tape_of(1, n_days=1, levels=7).books
    assert books.ask_prices.shape == (8_640, 7)
    np.testing.assert_allclose(np.diff(books.ask_prices, axis=1), 0.001, atol=1e-9)
    np.testing.assert_allclose(np.diff(books.bid_prices, axis=1), -0.001, atol=1e-9)
    assert books.is_usable.all()
    assert (books.ask_sizes > 0).all()
    assert (np.round(books.bid_prices, 3) == books.bid_prices).all()


def test_trades_pay_the_half_spread_and_half_their_size_over_density() -> None:
    price, sizes = np.full(3, 0.50037), np.array([40.0, 400.0, 4_000.0])
    density = np.full(3, 50_000.0)
    bought = walk_density(price, np.ones(3, np.int8), sizes, density, epsilon=0.005, tick=1e-6)
    sold = walk_density(price, -np.ones(3, np.int8), sizes, density, epsilon=0.005, tick=1e-6)
    np.testing.assert_allclose(bought - price, 0.005 + sizes / 1e5, atol=1e-6)
    np.testing.assert_allclose(price - sold, 0.005 + sizes / 1e5, atol=1e-6)


def test_trade_walks_the_levels_that_the_book_displays() -> None:
    rng = np.random.default_rng(0)
    price, density = rng.uniform(0.3, 0.7, 50), rng.uniform(1e4, 1e5, 50)
    books = display_books(
        np.arange(50), price, density, epsilon=0.004, tick=0.01, levels=30, level_noise=0.0, price_max=np.inf, rng=rng
    )
    sizes = rng.uniform(10, 2_000, 50)
    buy, sell = cost_curve(books, sizes[:, None])
    for sign, costs in ((1, buy), (-1, sell)):
        fills = walk_density(price, np.full(50, sign, np.int8), sizes, density, epsilon=0.004, tick=0.01)
        np.testing.assert_allclose(sign * (fills - books.mids), costs[:, 0], atol=1e-9)


@pytest.mark.parametrize(("half_life_s", "per_share"), [(1.0, 1.0), (1e7, 1 / 0.225)])
def test_flow_moves_the_price_by_gamma_for_good_and_by_one_over_density_at_once(
    half_life_s: float, per_share: float
) -> None:
    # Nearly no news: the price ends where the net flow has put it, with or without the part that fades.
    tape = tape_of(1, n_days=1, p0=5.0, r2=0.99, trades_per_hour=2, half_life_s=half_life_s, tick=1e-6, **QUIET)
    flow = float(tape.trades.signs @ tape.trades.sizes)
    assert abs(flow) > 500
    assert tape.books.mids[-1] - 5 == pytest.approx(per_share * tape.truth["gamma"] * flow, abs=3 * 0.003)


def test_half_spread_is_the_stated_one() -> None:
    books = tape_of(1, n_days=1, tick=0.01).books
    assert np.mean(books.best_asks - books.best_bids) / 2 == pytest.approx(0.01, rel=1e-2)


def test_mean_inverse_depth_is_one_over_density() -> None:
    tape = tape_of(2, n_days=30, snapshot_s=300, level_noise=0.0, levels=2)
    per_level = tape.books.ask_sizes[:, 1]
    assert np.mean(0.001 / per_level) == pytest.approx(2 * tape.truth["book_slope"], rel=0.05)
    assert np.std(np.log(per_level)) == pytest.approx(0.3, rel=0.1)


def test_level_noise_has_mean_one() -> None:
    sizes = tape_of(2, n_days=1, depth_sd=0.0).books.ask_sizes[:, 1:]
    assert sizes.mean() == pytest.approx(49.461638, rel=0.01)
    assert np.log(sizes).std() == pytest.approx(0.5, rel=0.02)


def test_flow_phi_makes_signs_persist() -> None:
    signs = tape_of(1, n_days=10, flow_phi=0.6).trades.signs
    assert np.mean(signs[1:] == signs[:-1]) == pytest.approx(0.8, abs=0.02)
    fair = tape_of(1, n_days=10).trades.signs
    assert np.mean(fair) == pytest.approx(0, abs=0.03)
    assert np.mean(fair[1:] == fair[:-1]) == pytest.approx(0.5, abs=0.02)


def test_chasing_traders_buy_after_a_rise() -> None:
    def correlation(chase: float) -> float:
        tape = tape_of(1, n_days=10, chase=chase, r2=0.01)
        last = np.searchsorted(tape.books.times, tape.trades.times) - 1
        rise = tape.books.mids[last] - tape.books.mids[np.maximum(last - 6, 0)]
        return float(np.corrcoef(rise, tape.trades.signs)[0, 1])

    assert correlation(2.0) > 0.3
    assert abs(correlation(0.0)) < 0.1


def test_late_stamps_are_late_by_their_delay() -> None:
    prompt, late = tape_of(1, n_days=1), tape_of(1, n_days=1, stamp_delay_s=5.0)
    exact = dict(zip(prompt.trades.sizes.tolist(), prompt.trades.times.tolist(), strict=True))
    delays = [t - exact[s] for s, t in zip(late.trades.sizes.tolist(), late.trades.times.tolist(), strict=True)]
    assert min(delays) >= 0
    assert max(delays) <= 5_000_000
    assert np.mean(delays) == pytest.approx(2.5e6, rel=0.1)


def test_bounded_market_stays_between_its_bounds_and_loses_levels_near_them() -> None:
    tape = tape_of(4, n_days=30, bounded=True, p0=0.02, sigma=0.002, snapshot_s=300)
    ladders = np.concatenate([tape.books.bid_prices, tape.books.ask_prices])
    assert np.nanmin(ladders) >= 0.001 - 1e-12
    assert np.nanmax(ladders) <= 0.999 + 1e-12
    assert np.isnan(tape.books.bid_prices).any()
    assert np.array_equal(np.isnan(tape.books.bid_prices), np.isnan(tape.books.bid_sizes))
    assert tape.trades.prices.min() >= 0.001
    last = tape.books.mids[~np.isnan(tape.books.mids)][-1]
    state = 0.002 / (0.02 * 0.98)
    assert tape.truth["sigma"] == pytest.approx(state * last * (1 - last), rel=0.1)


def test_price_that_reaches_zero_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ValidationError, match=r"reached zero .*raise p0, lower sigma"):
        tape_of(1, n_days=10, p0=0.05)


def test_market_with_hardly_a_trade_is_a_tape_too() -> None:
    tape = tape_of(1, n_days=1, trades_per_hour=1e-9, gamma=1e-6, depth=1e5, bounded=True)
    assert len(tape.trades) == 0
    assert len(tape.books) == 8_640
    assert tape.truth["gamma"] > 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1, 1)), min_size=1, max_size=30), st.floats(1e-4, 10))
def test_decayed_sums_equal_their_definition(rows: list[tuple[float, float]], rate: float) -> None:
    rows = sorted(rows)
    times, impulses = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    expected = [float(np.sum(impulses[: i + 1] * np.exp(-rate * (t - times[: i + 1])))) for i, t in enumerate(times)]
    np.testing.assert_allclose(decayed_sums(times, impulses, rate), expected, atol=1e-9)


def test_decayed_sums_of_nothing_are_nothing() -> None:
    assert len(decayed_sums(np.empty(0), np.empty(0), 1.0)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trades_per_hour": 0.0}, "trades_per_hour is 0.0; allowed: above 0 up to 100000"),
        ({"p0": -1.0}, "p0 is -1.0; allowed: above 0"),
        ({"sigma": float("nan")}, "sigma is nan; allowed"),
        ({"r2": 1.0}, "r2 is 1.0; allowed: from 0 up to 0.99"),
        ({"gamma": -1e-6}, "gamma is -1e-06; allowed: from 0"),
        ({"gamma": 1.0}, "gamma is 1.0; allowed at this sigma and trade rate: below 8.3"),
        ({"depth": float("inf")}, "depth is inf; allowed"),
        ({"depth": 1e6}, "depth is 1000000.0; allowed at this gamma: below 219"),
        ({"r2": 0.0}, "depth is not given"),
        ({"tick": 0.0}, "tick is 0.0; allowed: from 1e-08"),
        ({"half_life_s": 0.0}, "half_life_s is 0.0"),
        ({"flow_phi": 1.0}, "flow_phi is 1.0; allowed: from -0.99 up to 0.99"),
        ({"levels": 0}, "levels is 0; allowed: from 1 up to 500"),
        ({"levels": 2.5}, "levels is 2.5; allowed: a whole number"),
        ({"snapshot_s": 0.0}, "snapshot_s is 0.0; allowed: from 0.1"),
        ({"bounded": True, "p0": 1.5}, "p0 is 1.5; allowed with bounded: tick to 1 - tick"),
    ],
)
def test_bad_options_name_the_option_its_value_and_what_is_allowed(options, message: str) -> None:
    with pytest.raises(ValidationError) as error:
        SyntheticMarket(**options)
    assert message in str(error.value)


def test_all_bad_options_are_named_at_once() -> None:
    with pytest.raises(ValidationError, match=r"p0 is 0\.0.*; sigma is -1"):
        SyntheticMarket(p0=0.0, sigma=-1.0)


def test_zero_r2_works_with_a_depth() -> None:
    assert SyntheticMarket(r2=0.0, depth=5e4).permanent_impact == 0


@pytest.mark.parametrize("n_days", [0, -1, 1.5])
def test_days_must_be_whole_and_positive(n_days: float) -> None:
    with pytest.raises(ValidationError, match="n_days is"):
        generate_tape(SyntheticMarket(), start=START, n_days=n_days, rng=np.random.default_rng(1))


def test_tape_too_large_for_memory_is_refused() -> None:
    with pytest.raises(ValidationError, match="too large"):
        generate_tape(SyntheticMarket(levels=500), start=START, n_days=3_000, rng=np.random.default_rng(1))


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("False", False), (0, False), (1.0, True)])
def test_options_are_read_from_text(text: object, value: bool) -> None:
    market = SyntheticMarket.from_options({"p0": "0.25", "levels": "5", "snapshot_s": 20, "bounded": text})
    assert (market.p0, market.levels, market.snapshot_s, market.bounded) == (0.25, 5, 20.0, value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigm": "1"}, "unknown option 'sigm'; did you mean 'sigma'"),
        ({"xyzzy": "1"}, "unknown option 'xyzzy'; known names: trades_per_hour, p0"),
        ({"sigma": "much"}, "sigma is 'much'; allowed: a number"),
        ({"bounded": "perhaps"}, "bounded is 'perhaps'; allowed: true or false"),
        ({"levels": "2.5"}, "levels is 2.5; allowed: a whole number"),
    ],
)
def test_bad_named_options_are_explained(options, message: str) -> None:
    with pytest.raises(ValidationError) as error:
        SyntheticMarket.from_options(options)
    assert message in str(error.value)
