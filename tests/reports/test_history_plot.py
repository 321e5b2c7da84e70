"""The history: a panel for each parameter, refused days are marked gaps, borrowed values have marks of their own."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.reports.calibrations import VALUES, calibrated, estimate
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.core.units import PARAMETER_UNITS
from tributary_pipelines.reports.history_plot import parameter_history


def marked(axes: Axes, marker: str) -> list[float]:
    """Positions of the marks of a kind, in days from the first of March."""
    (line,) = [one for one in axes.lines if one.get_marker() == marker and one.get_linestyle() == "None"]
    days = np.asarray(line.get_xdata(), dtype="datetime64[us]") - np.datetime64("2026-03-01", "us")
    return (days / np.timedelta64(1, "D")).tolist()


def values_of(axes: Axes) -> np.ndarray:
    return np.asarray(axes.lines[0].get_ydata(), dtype=float)


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_panel_for_each_parameter_with_its_unit(drawn: list[Figure]) -> None:
    png = parameter_history([calibrated(day) for day in range(5)])
    assert png.startswith(b"\x89PNG")
    assert [axes.get_ylabel() for axes in drawn[0].axes] == list(PARAMETER_UNITS.values())
    assert "toy: 5 calibrations" in drawn[0].get_suptitle()
    assert legend_of(drawn[0]) == ["estimate, by the day it became usable (UTC)"]


def test_a_refused_day_is_a_marked_gap_and_never_a_zero(drawn: list[Figure]) -> None:
    parameter_history([calibrated(0), calibrated(1, is_refused=True), calibrated(2)])
    for axes, value in zip(drawn[0].axes, VALUES.values(), strict=True):
        values = values_of(axes)
        assert np.isnan(values).tolist() == [False, True, False]
        assert np.nanmin(values) == value
        assert marked(axes, "x") == [1]
    assert "1 refused" in drawn[0].get_suptitle()
    assert "refused" in legend_of(drawn[0])


def test_a_day_without_a_calibration_is_a_gap_without_a_mark(drawn: list[Figure]) -> None:
    parameter_history([calibrated(0), calibrated(1), calibrated(4)])
    axes = drawn[0].axes[0]
    assert np.isnan(values_of(axes)).tolist() == [False, False, True, True, False]
    assert marked(axes, "x") == []
    # The value beyond the gap has no line to either side, so it has a mark.
    assert marked(axes, "o") == [4]


def test_borrowed_values_have_marks_of_their_own(drawn: list[Figure]) -> None:
    rows = [calibrated(day, sources={"gamma": "pooled"} if day < 2 else None) for day in range(4)]
    parameter_history(rows)
    assert [marked(axes, "D") for axes in drawn[0].axes] == [[], [0, 1], [], [], [], []]
    assert "borrowed from the venue's pool" in legend_of(drawn[0])


def test_bands_are_the_intervals(drawn: list[Figure]) -> None:
    parameter_history([calibrated(day, width=0.1) for day in range(3)])
    sigma = drawn[0].axes[0]
    heights = sigma.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (pytest.approx(0.027), pytest.approx(0.033))
    assert "95 % interval" in legend_of(drawn[0])


def test_one_wide_interval_does_not_flatten_a_year(drawn: list[Figure]) -> None:
    rows = [calibrated(day, width=0.1) for day in range(365)]
    rows[100] = calibrated(100, width=50.0)
    parameter_history(rows)
    low, high = drawn[0].axes[0].get_ylim()
    assert 0.02 < low < 0.027 < 0.033 < high < 0.04
    assert values_of(drawn[0].axes[0]).size == 365
    assert drawn[0].axes[0].lines[0].get_marker() in ("", "None")


def test_a_value_that_never_changes_is_a_flat_line(drawn: list[Figure]) -> None:
    parameter_history([calibrated(day) for day in range(3)])
    low, high = drawn[0].axes[2].get_ylim()
    assert high - low > 0.02 * VALUES["epsilon"]


def without_resilience(day: int) -> AlmgrenChrissParameters:
    found = calibrated(day)
    estimates = {**found.estimates, "resilience_rate": estimate("resilience_rate", None)}
    return calibrated(day, estimates=estimates)


def test_a_parameter_that_no_day_has_is_named_and_has_no_panel(drawn: list[Figure]) -> None:
    parameter_history([without_resilience(0), without_resilience(1)])
    shown = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert len(shown) == 5
    assert "never known: resilience_rate" in drawn[0].get_suptitle()


def test_a_history_of_refusals_says_why(drawn: list[Figure]) -> None:
    parameter_history([calibrated(0, is_refused=True)])
    assert "too few trades" in drawn[0].axes[0].texts[0].get_text()
    assert "1 calibration, 1 refused" in drawn[0].get_suptitle()


def test_an_empty_history_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        parameter_history([])
