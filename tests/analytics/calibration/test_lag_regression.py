import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary_pipelines.analytics.calibration.lag_regression import (
    BUCKET_S,
    LAG_EDGES,
    WIDE_BUCKET_S,
    WIDE_LAG_EDGES,
    LagFit,
    fit_lags,
    lag_design,
    lag_sums,
    n_groups,
    n_packed,
    newey_west,
    pack,
    unpack,
)
from tributary_pipelines.analytics.calibration.resampling import Resampling

P = len(LAG_EDGES)
N_BLOCKS, ROWS_PER_BLOCK = 20, 100


def sums_of(x: np.ndarray, moves: np.ndarray, n_blocks: int = N_BLOCKS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Packed X'X, X'y and y'y by block of the regression of moves on the rows of x."""
    blocks = list(zip(np.array_split(x, n_blocks), np.array_split(moves, n_blocks), strict=True))
    return (
        np.stack([pack(a.T @ a) for a, _ in blocks]),
        np.stack([a.T @ b for a, b in blocks]),
        np.array([b @ b for _, b in blocks]),
    )


def each_alone(n_blocks: int = N_BLOCKS) -> Resampling:
    return Resampling(np.arange(n_blocks), n_blocks, float(n_blocks))


def fit(x: np.ndarray, moves: np.ndarray, n_blocks: int = N_BLOCKS, **options) -> LagFit:
    return fit_lags(*sums_of(x, moves, n_blocks), resampling=each_alone(n_blocks), **options)


@pytest.fixture
def design() -> np.ndarray:
    """Rows [lead, grouped lags] of sparse random flow, shares."""
    rng = np.random.default_rng(7)
    n = N_BLOCKS * ROWS_PER_BLOCK + 11
    return lag_design(rng.standard_normal(n) * (rng.uniform(size=n) < 0.4) * 100, LAG_EDGES, 10)


@pytest.fixture
def moves(design: np.ndarray) -> np.ndarray:
    """Moves with a gamma of 6e-6 P/share, P."""
    coefficients = np.r_[0.0, 9e-6, -2e-6, -1e-6, np.zeros(P - 4)]
    return design @ coefficients + 1e-4 * np.random.default_rng(8).standard_normal(len(design))


def test_design_rows_are_the_lead_and_the_sums_of_each_group() -> None:
    flow = np.array([1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0])
    np.testing.assert_array_equal(
        lag_design(flow, (0, 1, 2, 4), 3),
        [[10_000, 1_000, 100, 11], [100_000, 10_000, 1_000, 110]],
    )


def test_flow_before_midnight_counts_as_none() -> None:
    flow = np.ones(200)
    first = lag_design(flow, LAG_EDGES, 10)[0]
    # The eleventh minute has 11 minutes of flow, itself included: lags 0..10.
    np.testing.assert_array_equal(first, [1, 1, 1, 1, 1, 1, 2, 4, *[0] * 8])


def test_every_lag_belongs_to_one_group() -> None:
    for edges in (LAG_EDGES, WIDE_LAG_EDGES):
        rng = np.random.default_rng(1)
        flow = rng.standard_normal(400)
        rows = lag_design(flow, edges, 200)
        expected = [flow[k - edges[-1] + 1 : k + 1].sum() for k in range(200, 399)]
        np.testing.assert_allclose(rows[:, 1:].sum(axis=1), expected, atol=1e-12)


def test_packing_keeps_every_element() -> None:
    matrix = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])
    assert pack(matrix).tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(unpack(np.stack([pack(matrix)] * 2), 3), [matrix, matrix])
    assert n_packed(3) == 6


def test_sums_leave_out_the_first_ten_minutes_the_last_and_unknown_moves() -> None:
    mids, flow = np.arange(24.0) ** 2, np.zeros(24)
    flow[12] = 2.0
    mids[20] = np.nan
    xtx, xty, yty, n_rows = lag_sums(mids, flow, (0, 1, 3), BUCKET_S, 2)
    # Rows 10..22 but 19 and 20; the move of minute k is 2 k + 1.
    assert n_rows.tolist() == [2, 9]
    assert yty[0] == 21**2 + 23**2
    # In row 11 the flow is the lead; in row 12 it is lag 0, in 13 and 14 it is in the second group.
    np.testing.assert_array_equal(xty, [[2 * 23, 0, 0], [0, 2 * 25, 2 * (27 + 29)]])
    np.testing.assert_array_equal(unpack(xtx, 3)[1], np.diag([0.0, 4.0, 8.0]))


@pytest.mark.parametrize(
    ("half_life_s", "narrow", "wide"),
    [
        (None, 7, 2),
        (0.0, 7, 2),
        (83.3, 7, 2),  # 9.996 min
        (91.6, 7, 3),  # 10.992 min
        (91.7, 8, 3),  # 11.004 min
        (125.0, 8, 3),  # 15 min to the bucket
        (125.1, 9, 4),
        (1_500.0, 15, 10),  # 180 min to the bucket
        (1_501.0, None, None),
        (7_200.0, None, None),
    ],
)
def test_groups_reach_ten_minutes_and_seven_half_lives(half_life_s, narrow, wide) -> None:
    assert n_groups(half_life_s, LAG_EDGES, BUCKET_S) == narrow
    assert n_groups(half_life_s, WIDE_LAG_EDGES, WIDE_BUCKET_S) == wide


@pytest.mark.parametrize(
    ("half_life_s", "groups", "horizon_s"), [(None, 7, 660), (200.0, 10, 1_800), (1_500, 15, 10_800)]
)
def test_fit_is_least_squares_on_the_chosen_groups(design, moves, half_life_s, groups: int, horizon_s: float) -> None:
    found = fit(design, moves, half_life_s=half_life_s)
    x = design[:, 1 : groups + 1]
    expected, sse, *_ = np.linalg.lstsq(x, moves, rcond=None)
    assert found.gamma == pytest.approx(expected @ np.diff(LAG_EDGES[: groups + 1]), rel=1e-9)
    assert found.r2 == pytest.approx(1 - sse[0] / (moves @ moves), rel=1e-9)
    assert (found.horizon_s, found.reason) == (horizon_s, None)


def test_fit_recovers_what_the_moves_are_made_of(design, moves) -> None:
    found = fit(design, moves)
    assert abs(found.gamma - 6e-6) < 3 * found.se
    assert found.gamma_t == found.gamma / found.se > 10


def test_gamma_counts_a_coefficient_once_for_each_lag_of_its_group(design) -> None:
    # 5 at lag 0, and -0.25 at each of the lags 7..10.
    coefficients = np.zeros(P)
    coefficients[1], coefficients[7] = 5.0, -0.25
    assert fit(design, design @ coefficients).gamma == pytest.approx(5 - 4 * 0.25, rel=1e-9)


def test_wide_buckets_are_fitted_with_their_own_groups(design) -> None:
    rng = np.random.default_rng(3)
    x = lag_design(rng.standard_normal(2_003), WIDE_LAG_EDGES, 2)
    coefficients = np.r_[0.0, 3.0, -0.5, -0.5, np.zeros(len(WIDE_LAG_EDGES) - 4)]
    found = fit(x, x @ coefficients, edges=WIDE_LAG_EDGES, bucket_s=WIDE_BUCKET_S, half_life_s=100.0)
    assert found.gamma == pytest.approx(2.0, rel=1e-9)
    assert found.horizon_s == 900


def test_draws_are_the_fits_of_drawn_clusters(design, moves) -> None:
    xtx, xty, yty = sums_of(design, moves)
    resampling = Resampling(np.arange(N_BLOCKS) // 2, N_BLOCKS // 2, N_BLOCKS / 2)
    found = fit_lags(xtx, xty, yty, resampling=resampling)
    drawn_xtx, drawn_xty = unpack(resampling.draws(xtx), P)[:, 1:8, 1:8], resampling.draws(xty)[:, 1:8]
    expected = [np.diff(LAG_EDGES[:8]) @ np.linalg.solve(a, b) for a, b in zip(drawn_xtx, drawn_xty, strict=True)]
    np.testing.assert_allclose(found.draws, expected, rtol=1e-8)
    assert found.se == pytest.approx(np.std(expected, ddof=1), rel=1e-8)


def test_bootstrap_and_newey_west_errors_agree_on_independent_rows(design, moves) -> None:
    x = design[:, 1:8]
    widths = np.diff(LAG_EDGES[:8])
    theory = 1e-4 * np.sqrt(widths @ np.linalg.inv(x.T @ x) @ widths)
    found = fit(design, moves)
    # Twenty blocks know the error of a mean to 16 %.
    assert found.se == pytest.approx(theory, rel=0.35)
    assert found.hac_se == pytest.approx(theory, rel=0.5)


def test_newey_west_error_is_the_sandwich_of_block_scores(design, moves) -> None:
    x, widths = design[:, 1:8], np.diff(LAG_EDGES[:8])
    errors = moves - x @ np.linalg.lstsq(x, moves, rcond=None)[0]
    scores = (x * errors[:, None]).reshape(N_BLOCKS, ROWS_PER_BLOCK, -1).sum(axis=1)
    # B = floor(4 (20 / 100)^(2/9)) = 2.
    inner = scores.T @ scores
    for lag, weight in ((1, 2 / 3), (2, 1 / 3)):
        inner = inner + weight * (scores[lag:].T @ scores[:-lag] + scores[:-lag].T @ scores[lag:])
    bread = np.linalg.inv(x.T @ x)
    assert fit(design, moves).hac_se == pytest.approx(np.sqrt(widths @ bread @ inner @ bread @ widths), rel=1e-8)


FLOW = np.array([120.0, -80, 30, 0, -150, 200, 60, -40, 10, -90, 140, -20])
MOVES = 1e-4 * np.array([11.0, -6, 4, -2, -12, 17, 3, -5, 2, -7, 13, 1])


def test_newey_west_gives_the_published_error() -> None:
    x = np.column_stack([FLOW, np.ones(12)])
    slope, const = np.linalg.lstsq(x, MOVES, rcond=None)[0]
    assert (slope, const) == (pytest.approx(8.41166232e-6, rel=1e-8), pytest.approx(3.21583986e-5, rel=1e-8))
    errors = MOVES - x @ [slope, const]
    assert 1 - errors @ errors / np.sum((MOVES - MOVES.mean()) ** 2) == pytest.approx(0.9714075428659376, rel=1e-12)
    bread = np.linalg.inv(x.T @ x)
    variance = (bread @ newey_west(x * errors[:, None], 2) @ bread)[0, 0]
    assert np.sqrt(variance) == pytest.approx(1.25249416e-7, rel=1e-8)
    assert np.sqrt(variance * 12 / 10) == pytest.approx(1.37203861e-7, rel=1e-8)


def test_newey_west_without_lags_is_the_sum_of_squares() -> None:
    scores = np.random.default_rng(2).standard_normal((9, 3))
    np.testing.assert_array_equal(newey_west(scores, 0), scores.T @ scores)


def test_newey_west_asks_for_no_lag_beyond_the_series() -> None:
    scores = np.array([[1.0], [2.0]])
    # Two rows have one lag: 1 + 4 + 2 * (1 - 1/8) * 2.
    assert newey_west(scores, 7)[0, 0] == pytest.approx(5 + 2 * 7 / 8 * 2)


def test_flow_that_follows_the_move_shows_in_the_lead(design, moves) -> None:
    assert abs(fit(design, moves).lead_t) < 3
    assert fit(design, moves + 9e-6 * design[:, 0]).lead_t > 10
    assert fit(design, moves - 9e-6 * design[:, 0]).lead_t < -10


def test_lead_is_fitted_beside_the_lags(design, moves) -> None:
    xtx, xty, yty = sums_of(design, moves)
    found = fit_lags(xtx, xty, yty, resampling=each_alone())
    drawn_xtx, drawn_xty = unpack(each_alone().draws(xtx), P)[:, :8, :8], each_alone().draws(xty)[:, :8]
    leads = [np.linalg.solve(a, b)[0] for a, b in zip(drawn_xtx, drawn_xty, strict=True)]
    lead = np.linalg.lstsq(design[:, :8], moves, rcond=None)[0][0]
    assert found.lead_t == pytest.approx(lead / np.std(leads, ddof=1), rel=1e-8)


def test_impact_too_slow_for_the_lags_is_not_identified(design, moves) -> None:
    found = fit(design, moves, half_life_s=3_600.0)
    assert (found.gamma, found.gamma_t, found.horizon_s) == (None, None, 10_800)
    assert "half-life of 60 min" in found.reason
    assert "more than the 180 min" in found.reason


def test_collinear_lags_are_not_identified() -> None:
    x = lag_design(np.ones(211), LAG_EDGES, 200)
    found = fit(x, np.ones(len(x)), 5)
    assert found.gamma is None
    assert "cannot be told apart" in found.reason


def test_lags_that_never_traded_are_not_identified(design, moves) -> None:
    x = design.copy()
    x[:, 3] = 0.0
    assert "cannot be told apart" in fit(x, moves).reason


def test_a_lead_that_repeats_a_lag_leaves_gamma_identified(design, moves) -> None:
    x = design.copy()
    x[:, 0] = x[:, 1]
    found = fit(x, moves)
    assert found.gamma == pytest.approx(fit(design, moves).gamma, rel=1e-9)
    assert found.lead_t is None


@pytest.mark.parametrize("n_clusters", [0, 1, 4])
def test_flow_in_few_clusters_identifies_nothing(design, moves, n_clusters: int) -> None:
    x = design.copy()
    x[n_clusters * ROWS_PER_BLOCK :] = 0.0
    found = fit(x, moves)
    assert (found.gamma, found.gamma_t, found.se, found.hac_se, len(found.draws)) == (None, None, None, None, 0)
    assert f"too few stretches of time: {n_clusters}; 5 are needed" in found.reason


def test_five_clusters_of_flow_are_enough(design, moves) -> None:
    x = design.copy()
    x[5 * ROWS_PER_BLOCK :] = 0.0
    assert fit(x, moves).gamma is not None


@pytest.mark.parametrize("part", [0, 1, 2])
def test_sums_that_overflowed_identify_nothing(design, moves, part: int) -> None:
    sums = sums_of(design, moves)
    sums[part][3] = np.nan
    found = fit_lags(*sums, resampling=each_alone())
    assert found.gamma is None
    assert "too large to square" in found.reason


def test_price_that_never_moves_has_gamma_zero_and_no_t(design) -> None:
    found = fit(design, np.zeros(len(design)))
    assert (found.gamma, found.gamma_t, found.hac_se, found.lead_t, found.r2) == (0, None, None, None, None)


@settings(deadline=None, max_examples=20)
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_gamma_scales_with_price_over_shares(prices: float, shares: float) -> None:
    rng = np.random.default_rng(4)
    x = lag_design(rng.standard_normal(511), LAG_EDGES, 10)
    y = x[:, 1] + rng.standard_normal(len(x))
    base, scaled = fit(x, y, 10), fit(shares * x, prices * y, 10)
    assert scaled.gamma == pytest.approx(base.gamma * prices / shares, rel=1e-6)
    assert scaled.gamma_t == pytest.approx(base.gamma_t, rel=1e-6)
