"""What the UI shows of a calibration: pictures of the last window alone, with words for those who cannot see them."""

from tests.reports.calibrations import calibrated
from tributary_pipelines.defs.assets.parameter_metadata import describe_parameters
from tributary_pipelines.defs.metadata import to_metadata

WEEK = {"variance_profile": (1.0,) * 168, "volume_profile": (1.0,) * 168}


def test_only_the_last_window_has_pictures_with_their_words() -> None:
    first, last = describe_parameters([calibrated(0, **WEEK), calibrated(1, **WEEK)], with_picture=True).values()
    shown = {name: str(value.value) for name, value in to_metadata(last).items()}
    assert shown["impact_curve"].startswith("![Cost per share of one market order in toy against its size: epsilon")
    assert shown["week_profile"].startswith("![Variance and volume of toy by hour of the week")
    assert not {"impact_curve", "week_profile"} & first.keys()


def test_a_window_that_did_not_see_a_whole_week_has_no_profile_of_it() -> None:
    (shown,) = describe_parameters([calibrated(0, n_days=6, **WEEK)], with_picture=True).values()
    assert "impact_curve" in shown
    assert "week_profile" not in shown


def test_a_refused_window_and_a_large_run_have_no_picture() -> None:
    (refused,) = describe_parameters([calibrated(0, is_refused=True)], with_picture=True).values()
    (of_many,) = describe_parameters([calibrated(0)], with_picture=False).values()
    assert not {"impact_curve", "week_profile"} & (refused.keys() | of_many.keys())
