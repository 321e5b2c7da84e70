"""Pictures of one calibration or plan: real PNGs, and what is drawn is what the results say."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tests.reports.calibrations import calibrated
from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.plan import plan_order
from tributary_pipelines.analytics.optimization.strategies import ParentOrder
from tributary_pipelines.reports import plots

NAN = float("nan")
SIZES = (100.0, 200.0, 400.0, 800.0, 1600.0)
MEASURED = {
    "cost_sizes": SIZES,
    "cost_buy": (0.0065, 0.0075, 0.0094, 0.0130, NAN),
    "cost_sell": (0.0066, 0.0076, 0.0096, NAN, NAN),
}


def line(axes: Axes, label: str) -> Line2D:
    (found,) = [one for one in axes.lines if label in str(one.get_label())]
    return found


def points(of: Line2D) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(of.get_xdata(), dtype=float), np.asarray(of.get_ydata(), dtype=float)


def test_the_impact_curve_is_the_half_spread_plus_b_n(drawn: list[Figure]) -> None:
    assert plots.impact_curve(calibrated(width=0.1, fee_per_share=0.0005, **MEASURED)).startswith(b"\x89PNG")
    (axes,) = drawn[0].axes
    sizes, costs = points(line(axes, "half-spread + b n"))
    # The fee is paid on top of what the book charges, so it is no part of what the book shows.
    np.testing.assert_allclose(costs, 0.005 + 1e-5 * sizes, rtol=1e-12)
    assert (sizes[0], sizes[-1]) == (0, 800)
    sizes, stays = points(line(axes, "gamma n"))
    np.testing.assert_allclose(stays, 4e-6 * sizes, rtol=1e-12)
    assert "shares" in axes.get_xlabel()
    assert axes.get_ylim()[0] == 0
    for said in ("toy", "2026-01-30 to 2026-03-01", "12,000 trades"):
        assert said in axes.get_title()


def test_measured_costs_are_points_of_both_sides_and_unknown_ones_are_none(drawn: list[Figure]) -> None:
    plots.impact_curve(calibrated(width=0.1, **MEASURED))
    (axes,) = drawn[0].axes
    for side, known in (("buying", 4), ("selling", 3)):
        marks = line(axes, side)
        sizes, costs = points(marks)
        assert sizes.tolist() == list(SIZES[:known])
        assert np.isfinite(costs).all()
        assert marks.get_linestyle() == "None"
    assert line(axes, "buying").get_marker() != line(axes, "selling").get_marker()


def test_the_far_levels_of_a_deep_book_are_left_out(drawn: list[Figure]) -> None:
    costs = (0.006, 0.02, 0.0549, 0.0551, 0.5)
    plots.impact_curve(calibrated(cost_sizes=SIZES, cost_buy=costs, cost_sell=costs))
    (axes,) = drawn[0].axes
    # Ten half-spreads of 0.0055 are 0.055.
    assert points(line(axes, "buying"))[0].tolist() == [100, 200, 400]
    assert points(line(axes, "b n"))[0][-1] == 400


def test_bands_are_the_intervals(drawn: list[Figure]) -> None:
    plots.impact_curve(calibrated(width=0.1, **MEASURED))
    (axes,) = drawn[0].axes
    corners = [band.get_paths()[0].vertices for band in axes.collections]
    at_end = [sorted({round(float(y), 9) for x, y in corner if x == 800}) for corner in corners]
    assert at_end[0][0] == pytest.approx(0.9 * (0.0055 + 0.008))
    assert at_end[0][-1] == pytest.approx(1.1 * (0.0055 + 0.008))
    assert (at_end[1][0], at_end[1][-1]) == (pytest.approx(0.9 * 0.0032), pytest.approx(1.1 * 0.0032))


def test_without_measured_costs_the_curve_goes_to_four_half_spreads(drawn: list[Figure]) -> None:
    plots.impact_curve(calibrated())
    assert points(drawn[0].axes[0].lines[0])[0][-1] == pytest.approx(4 * 0.0055 / 1e-5)


def test_a_borrowed_gamma_says_so_and_a_refused_one_has_no_line(drawn: list[Figure]) -> None:
    plots.impact_curve(calibrated(sources={"gamma": "pooled"}))
    assert "borrowed" in str(line(drawn[0].axes[0], "gamma n").get_label())
    drawn.clear()
    plots.impact_curve(calibrated(sources={"gamma": "refused"}))
    assert not any("gamma" in str(one.get_label()) for one in drawn[0].axes[0].lines)


def test_a_refused_impact_curve_says_why(drawn: list[Figure]) -> None:
    plots.impact_curve(calibrated(is_refused=True))
    assert "too few trades" in drawn[0].axes[0].texts[0].get_text()


def test_the_impact_curve_has_its_words() -> None:
    assert plots.impact_curve_text(calibrated(sources={"gamma": "refused"})) == (
        "Cost per share of one market order in toy against its size: epsilon 0.0055, book_slope 1e-05, gamma unknown"
    )


@pytest.mark.parametrize("market_id", ["fed-cut", "0x" + 64 * "7"])
def test_titles_fit_into_the_picture(drawn: list[Figure], market_id: str) -> None:
    plots.impact_curve(calibrated(market_id=market_id))
    drawn[0].draw_without_rendering()
    box = drawn[0].axes[0].title.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= drawn[0].bbox.width
    assert box.y1 <= drawn[0].bbox.height


def week(**at: float) -> tuple[float, ...]:
    profile = np.ones(168)
    for hour, value in at.items():
        profile[int(hour.removeprefix("h"))] = value
    return tuple(profile.tolist())


def test_a_week_has_a_row_for_each_day_and_one_for_all(drawn: list[Figure]) -> None:
    # Hour 26 is Tuesday 02:00.
    found = calibrated(variance_profile=week(h26=2.5, h5=NAN), volume_profile=week())
    assert plots.week_profile(found).startswith(b"\x89PNG")
    panels = [axes for axes in drawn[0].axes if axes.images]
    shown = np.ma.filled(panels[0].images[0].get_array().astype(float), np.nan)
    assert shown.shape == (9, 24)
    assert shown[1, 2] == 2.5
    assert np.isnan(shown[0, 5])
    assert shown[8].tolist() == [1.0] * 24
    assert [label.get_text() for label in panels[0].get_yticklabels()][0::7] == ["Mon", "all"]
    assert [len(axes.patches) for axes in panels] == [1, 0]


def test_a_week_of_which_nothing_is_known_says_so(drawn: list[Figure]) -> None:
    plots.week_profile(calibrated(variance_profile=week(), volume_profile=(NAN,) * 168))
    assert "traded volume" in drawn[0].axes[1].texts[0].get_text()
    drawn.clear()
    plots.week_profile(calibrated())
    assert [axes.texts[0].get_text()[:7] for axes in drawn[0].axes] == ["nothing"] * 2


def test_an_hour_that_no_day_saw_stays_unknown(drawn: list[Figure]) -> None:
    plots.week_profile(calibrated(variance_profile=week(**{f"h{24 * day + 3}": NAN for day in range(7)})))
    shown = np.ma.filled(drawn[0].axes[0].images[0].get_array().astype(float), np.nan)
    assert np.isnan(shown[:, 3]).all()
    assert np.isnan(shown[8]).sum() == 1


def test_a_trajectory_starts_at_the_order_and_ends_at_zero(drawn: list[Figure]) -> None:
    order = ParentOrder("sell", 1e6, 432_000, 5)
    plan = plan_order(order, ImpactModel(0.95, 2.5e-7, 2.5e-6, 0.0625), strategy="ac")
    assert plots.trajectory(plan).startswith(b"\x89PNG")
    own, even = (np.asarray(one.get_ydata(), dtype=float) for one in drawn[0].axes[0].lines)
    assert (own[0], own[-1]) == (1e6, 0)
    assert np.all(np.diff(own) <= 0)
    np.testing.assert_allclose(even[1:6], [8e5, 6e5, 4e5, 2e5, 0], atol=1e-6)
    assert "1,000,000" in drawn[0].axes[0].get_title()
