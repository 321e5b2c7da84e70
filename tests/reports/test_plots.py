"""Plots: real PNGs, what is drawn is what the results say, refused values are gaps or words."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from matplotlib.figure import Figure

from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters, Estimate
from tributary_pipelines.analytics.optimization.plan import plan_order
from tributary_pipelines.analytics.optimization.strategies import ParentOrder
from tributary_pipelines.core.units import PARAMETER_UNITS
from tributary_pipelines.reports import plots

VALUES = {"sigma": 0.03, "gamma": 4e-6, "epsilon": 0.0055, "book_slope": 1e-5, "resilience_rate": None, "eta": 2e-7}
FIRST = datetime(2026, 3, 1, tzinfo=UTC)


def calibrated(day: int, *, is_refused: bool = False, width: float | None = None) -> AlmgrenChrissParameters:
    values = dict.fromkeys(VALUES) if is_refused else VALUES

    def estimate(name: str, value: float | None) -> Estimate:
        if value is None:
            return Estimate(None, PARAMETER_UNITS[name], None, None, "refused")
        low, high = (None, None) if width is None else (value * (1 - width), value * (1 + width))
        return Estimate(value, PARAMETER_UNITS[name], low, high, "own")

    end = FIRST + timedelta(days=day)
    return AlmgrenChrissParameters(
        market_id="toy",
        token_id="toy",
        status="refused" if is_refused else "ok",
        reasons=("too few trades: 12 of 200",) if is_refused else (),
        flags=(),
        window_start=end - timedelta(days=30),
        window_end=end,
        usable_from=end,
        n_days=30,
        n_trades=500,
        n_snapshots=1000,
        coverage=1.0,
        eta_interval_s=1800.0,
        last_mid=0.5,
        r2=0.3,
        gamma_t=9.0,
        lag_short_s=300.0,
        lag_long_s=3600.0,
        book_slope_buy=1e-5,
        book_slope_sell=1e-5,
        fee_per_share=0.0,
        estimates={name: estimate(name, value) for name, value in values.items()},
        code_version="test/1",
        data_fingerprint="",
    )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures as they are before they become pixels."""
    figures: list[Figure] = []
    to_png = plots._png

    def keep(figure: Figure) -> bytes:
        figures.append(figure)
        return to_png(figure)

    monkeypatch.setattr(plots, "_png", keep)
    yield figures
    assert len(figures) <= 1


def test_a_history_has_a_panel_for_each_parameter_with_its_unit(drawn: list[Figure]) -> None:
    png = plots.parameter_history([calibrated(day) for day in range(5)])
    assert png.startswith(b"\x89PNG")
    units = [axes.get_ylabel() for axes in drawn[0].axes]
    assert units == [PARAMETER_UNITS[name] for name, value in VALUES.items() if value is not None]
    assert "toy" in drawn[0].get_suptitle()


def test_a_refused_day_is_a_gap_not_a_zero(drawn: list[Figure]) -> None:
    plots.parameter_history([calibrated(0), calibrated(1, is_refused=True), calibrated(2)])
    values = np.asarray(drawn[0].axes[0].lines[0].get_ydata(), dtype=float)
    assert np.isnan(values).tolist() == [False, True, False]
    assert np.nanmin(values) == VALUES["sigma"]


def test_intervals_are_drawn_when_there_are_any(drawn: list[Figure]) -> None:
    plots.parameter_history([calibrated(day, width=0.1) for day in range(3)])
    assert [len(axes.collections) for axes in drawn[0].axes] == [1] * 5


def test_a_history_of_refusals_says_why(drawn: list[Figure]) -> None:
    plots.parameter_history([calibrated(0, is_refused=True)])
    assert "too few trades" in drawn[0].axes[0].texts[0].get_text()


def test_an_empty_history_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        plots.parameter_history([])


def test_the_impact_curve_is_epsilon_plus_b_n(drawn: list[Figure]) -> None:
    assert plots.impact_curve(calibrated(0)).startswith(b"\x89PNG")
    (axes,) = drawn[0].axes
    cost, _, permanent = axes.lines
    sizes = np.asarray(cost.get_xdata(), dtype=float)
    np.testing.assert_allclose(np.asarray(cost.get_ydata(), dtype=float), 0.0055 + 1e-5 * sizes, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(permanent.get_ydata(), dtype=float), 4e-6 * sizes, rtol=1e-12)
    assert "shares" in axes.get_xlabel()
    assert "toy" in axes.get_title()


def test_a_refused_impact_curve_says_why(drawn: list[Figure]) -> None:
    plots.impact_curve(calibrated(0, is_refused=True))
    assert "too few trades" in drawn[0].axes[0].texts[0].get_text()


def test_a_trajectory_starts_at_the_order_and_ends_at_zero(drawn: list[Figure]) -> None:
    order = ParentOrder("sell", 1e6, 432_000, 5)
    plan = plan_order(order, ImpactModel(0.95, 2.5e-7, 2.5e-6, 0.0625), strategy="ac")
    assert plots.trajectory(plan).startswith(b"\x89PNG")
    own, even = (np.asarray(line.get_ydata(), dtype=float) for line in drawn[0].axes[0].lines)
    assert (own[0], own[-1]) == (1e6, 0)
    assert np.all(np.diff(own) <= 0)
    np.testing.assert_allclose(even[1:6], [8e5, 6e5, 4e5, 2e5, 0], atol=1e-6)
    assert "1,000,000" in drawn[0].axes[0].get_title()
