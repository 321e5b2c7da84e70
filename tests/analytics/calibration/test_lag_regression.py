import numpy as np
import pytest

from tributary_pipelines.analytics.calibration.lag_regression import (
    N_REGRESSORS,
    cluster_of_blocks,
    fit_lags,
    lag_design,
)

LAGS = slice(1, N_REGRESSORS)


def sums_of(flow: np.ndarray, moves: np.ndarray, n_blocks: int):
    """X'X, X'y, y'y by block of a regression of moves (those of the rows of the design) on flow."""
    x = np.array_split(lag_design(flow), n_blocks)
    y = np.array_split(moves, n_blocks)
    return (
        np.stack([a.T @ a for a in x]),
        np.stack([a.T @ b for a, b in zip(x, y, strict=True)]),
        np.array([b @ b for b in y]),
    )


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    flow = rng.standard_normal(2_011) * (rng.uniform(size=2_011) < 0.4) * 100
    coefficients = np.r_[0.0, 9e-6, -2e-6, -1e-6, np.zeros(8)]
    moves = lag_design(flow) @ coefficients + 1e-4 * rng.standard_normal(2_000)
    return flow, moves


def test_design_rows_run_from_the_lead_back_to_lag_ten() -> None:
    flow = np.arange(20.0)
    np.testing.assert_array_equal(lag_design(flow)[3], np.arange(14.0, 2.0, -1))


def test_fit_is_least_squares(data) -> None:
    flow, moves = data
    found = fit_lags(*sums_of(flow, moves, 20), np.arange(20))
    x = lag_design(flow)[:, LAGS]
    expected, sse, *_ = np.linalg.lstsq(x, moves, rcond=None)
    assert found.gamma == pytest.approx(expected.sum(), rel=1e-9)
    assert found.r2 == pytest.approx(1 - sse[0] / (moves @ moves), rel=1e-9)
    assert found.gamma == pytest.approx(6e-6, rel=0.1)


def test_standard_errors_are_the_clustered_sandwich(data) -> None:
    flow, moves = data
    clusters = np.arange(20) // 2
    found = fit_lags(*sums_of(flow, moves, 20), clusters)
    x = lag_design(flow)
    rows = np.repeat(clusters, 100)

    def t_of(design: np.ndarray, weights: np.ndarray) -> float:
        b = np.linalg.lstsq(design, moves, rcond=None)[0]
        bread = np.linalg.inv(design.T @ design)
        errors = moves - design @ b
        scores = np.array([(design * errors[:, None])[rows == g].sum(axis=0) for g in range(10)])
        covariance = bread @ scores.T @ scores @ bread * 10 / 9
        return float(weights @ b / np.sqrt(weights @ covariance @ weights))

    assert found.gamma_t == pytest.approx(t_of(x[:, LAGS], np.ones(11)), rel=1e-9)
    assert found.lead_t == pytest.approx(t_of(x, np.r_[1.0, np.zeros(11)]), rel=1e-9)


def test_flow_that_follows_the_move_shows_in_the_lead(data) -> None:
    flow, _ = data
    rng = np.random.default_rng(8)
    moves = lag_design(flow)[:, 0] * 9e-6 + 1e-4 * rng.standard_normal(2_000)
    assert fit_lags(*sums_of(flow, moves, 20), np.arange(20)).lead_t > 10


def test_collinear_lags_are_not_identified() -> None:
    flow = np.ones(111)
    found = fit_lags(*sums_of(flow, np.ones(100), 10), np.arange(10))
    assert found.gamma is None
    assert "cannot be told apart" in found.reason


def test_flow_in_few_blocks_identifies_nothing(data) -> None:
    flow, moves = data
    found = fit_lags(*sums_of(flow, moves, 4), np.arange(4))
    assert (found.gamma, found.gamma_t) == (None, None)
    assert "too few stretches of time: 4" in found.reason


def test_no_flow_identifies_nothing() -> None:
    found = fit_lags(*sums_of(np.zeros(111), np.ones(100), 10), np.arange(10))
    assert found.gamma is None
    assert "too few stretches of time: 0" in found.reason


def test_sums_that_overflowed_identify_nothing(data) -> None:
    xtx, xty, yty = sums_of(*data, 20)
    xtx[3] = np.nan
    found = fit_lags(xtx, xty, yty, np.arange(20))
    assert found.gamma is None
    assert "too large to square" in found.reason


def test_price_that_never_moves_has_no_t(data) -> None:
    flow, _ = data
    found = fit_lags(*sums_of(flow, np.zeros(2_000), 20), np.arange(20))
    assert (found.gamma, found.gamma_t, found.lead_t, found.r2) == (0, None, None, None)


def test_a_lead_that_repeats_the_lags_leaves_gamma_identified(data) -> None:
    xtx, xty, yty = sums_of(*data, 20)
    xtx[:, 0, :], xtx[:, :, 0] = xtx[:, 1, :].copy(), xtx[:, :, 1].copy()
    xtx[:, 0, 0] = xtx[:, 1, 1]
    found = fit_lags(xtx, xty, yty, np.arange(20))
    assert found.gamma is not None
    assert found.lead_t is None


@pytest.mark.parametrize(("n_days", "n_clusters"), [(1, 12), (4, 48), (5, 30), (20, 120), (21, 21), (30, 30)])
def test_clusters_follow_the_length_of_the_window(n_days: int, n_clusters: int) -> None:
    clusters = cluster_of_blocks(np.repeat(np.arange(n_days), 12), n_days)
    assert len(clusters) == 12 * n_days
    assert len(np.unique(clusters)) == n_clusters
    assert (np.diff(clusters) >= 0).all()


def fit_of(coefficients: list[float], flow: np.ndarray):
    moves = lag_design(flow) @ np.r_[0.0, coefficients] + 1e-6 * np.random.default_rng(8).standard_normal(2_000)
    return fit_lags(*sums_of(flow, moves, 20), np.arange(20))


@pytest.mark.parametrize("decay", [0.7, 0.8, 0.9])
def test_impact_that_would_fade_after_the_last_lag_is_foreseen(data, decay: float) -> None:
    # Half of an impact of 2e-5 fades by this factor a minute: decay^10 of the half is left at the end.
    fading = 1e-5 * decay ** np.arange(11.0)
    found = fit_of([2e-5, *np.diff(fading)], data[0])
    assert found.gamma == pytest.approx(1e-5 * (1 + decay**10), rel=0.01)
    assert found.transient_share == pytest.approx(decay**10 / (1 + decay**10), rel=0.1)


@pytest.mark.parametrize("coefficients", [[2e-5, *[-1e-6] * 5, *[-1.1e-6] * 5], [0.9e-5, *[-1e-6] * 10]])
def test_impact_that_does_not_fade_more_slowly_is_all_transient(data, coefficients: list[float]) -> None:
    assert fit_of(coefficients, data[0]).transient_share == 1


def test_noise_at_the_last_lags_is_no_fading(data) -> None:
    assert fit_lags(*sums_of(*data, 20), np.arange(20)).transient_share == 0
