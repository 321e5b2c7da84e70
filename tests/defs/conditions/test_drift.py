"""Drift on hand-made histories: what intervals explain passes, what they do not warns with every number."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.defs.conditions.rows import DAY, earlier, frame, parameters
from tributary_pipelines.defs.conditions import Violations
from tributary_pipelines.defs.conditions.drift import Level, check_drift, drifted


def warnings_of(trailing: pd.DataFrame, **changes: Any) -> list[str]:
    found = Violations()
    check_drift(found, frame(parameters(**changes)), trailing)
    assert found.errors == []
    return found.warnings


def moved(name: str, value: float, half_width: float) -> dict[str, float]:
    """Return the changed cells of one parameter."""
    return {name: value, f"{name}_ci_low": value - half_width, f"{name}_ci_high": value + half_width}


def test_the_message_holds_every_number() -> None:
    said = warnings_of(earlier(10), **moved("sigma", 0.06, 0.004))
    assert said == [
        (
            "2026-03-05: drift: sigma = 0.06 (95 % interval 0.056 to 0.064) is 2 times its trailing median 0.03 "
            "(95 % interval 0.027 to 0.033) over 10 days: farther than both intervals explain"
        )
    ]


# The median's interval reaches 3 to each side, the value's own 4: together they explain 5.
@pytest.mark.parametrize(("value", "is_drift"), [(14.99, False), (15.01, True), (5.01, False), (4.99, True)])
def test_both_intervals_explain_together(value: float, is_drift: bool) -> None:
    assert drifted(Level(value, value - 4, value + 4), Level(10.0, 7.0, 13.0)) is is_drift


def test_only_the_ends_that_face_each_other_count() -> None:
    usual = Level(10.0, 7.0, 10.0)
    assert drifted(Level(14.5, 10.5, 99.0), usual)
    assert not drifted(Level(14.5, 10.5, 99.0), Level(10.0, 10.0, 13.0))


def test_less_than_one_per_cent_is_no_drift_however_narrow_the_intervals_are() -> None:
    exact = Level(1.0, 1.0, 1.0)
    assert not drifted(Level(1.0099, 1.0099, 1.0099), exact)
    assert drifted(Level(1.0101, 1.0101, 1.0101), exact)


def test_drift_needs_five_days_with_intervals() -> None:
    change = moved("sigma", 0.1, 0.001)
    assert warnings_of(earlier(4), **change) == []
    assert len(warnings_of(earlier(5), **change)) == 1
    with_four = pd.concat([earlier(4), earlier(9, sigma_ci_low=float("nan")).tail(5)])
    assert warnings_of(with_four, **change) == []


def test_a_value_without_an_interval_does_not_drift() -> None:
    assert warnings_of(earlier(10), sigma=0.1, sigma_ci_low=None, sigma_ci_high=None) == []


def test_only_the_sixty_days_before_count() -> None:
    days = earlier(62, **moved("sigma", 0.1, 0.001))
    now = moved("sigma", 0.03, 0.001)
    assert "over 60 days" in warnings_of(days, **now)[0]
    assert warnings_of(days[days["timestamp"] < DAY - timedelta(days=60)], **now) == []
    later = days.assign(timestamp=days["timestamp"] + timedelta(days=62))
    assert warnings_of(later, **now) == []


def test_each_row_is_compared_with_what_came_before_it() -> None:
    changed = [moved("gamma", 3e-6 if n < 7 else 5e-6, 2e-7) for n in range(10)]
    rows = frame(*({**parameters(**one), "timestamp": DAY + timedelta(days=n)} for n, one in enumerate(changed)))
    found = Violations()
    check_drift(found, rows, rows)
    assert [warning[:10] for warning in found.warnings] == ["2026-03-12", "2026-03-13", "2026-03-14"]


def test_the_median_is_not_moved_by_one_wild_day() -> None:
    wild = earlier(6, **moved("gamma", 1.0, 0.1)).tail(1)
    assert warnings_of(pd.concat([earlier(5), wild])) == []


def test_eta_is_left_to_the_book_slope() -> None:
    assert warnings_of(earlier(10), **moved("eta", 3e-7, 1e-9)) == []
    assert len(warnings_of(earlier(10), **moved("book_slope", 3e-5, 1e-7))) == 1


def test_between_bounds_a_sigma_that_follows_the_price_is_no_drift() -> None:
    # sigma = sigma_x p (1 - p): from p = 0.5 to p = 0.1 it falls from 0.03 to 0.0108.
    state = 0.12
    change = moved("sigma", state * 0.09, 0.0005)
    assert warnings_of(earlier(10, sigma_x=state), sigma_x=state, **change) == []
    assert "sigma_x = 0.24" in warnings_of(earlier(10, sigma_x=state), sigma_x=2 * state, **change)[0]
    # Bounds that were declared only now: nothing that can be compared came before.
    assert warnings_of(earlier(10), sigma_x=state, **change) == []


def test_a_fee_that_follows_the_price_is_no_drift() -> None:
    before = earlier(10, fee_per_share=0.01, **moved("epsilon", 0.015, 0.0001))
    assert warnings_of(before, fee_per_share=0.003, **moved("epsilon", 0.008, 0.0001)) == []
    wider = warnings_of(before, fee_per_share=0.003, **moved("epsilon", 0.013, 0.0001))
    assert "epsilon without its fee = 0.01 " in wider[0]
    assert "is 2 times its trailing median 0.005 " in wider[0]


def test_a_median_of_zero_gives_no_factor() -> None:
    before = earlier(10, **moved("gamma", 0.0, 0.0))
    assert "left its trailing median 0 " in warnings_of(before)[0]


def test_a_market_where_nothing_changes_is_left_alone() -> None:
    # Means of 30 days out of one law, as rolling windows make them, with the interval of such a mean.
    days = np.random.default_rng(7).normal(1.0, 0.1, (400, 121))
    sums = np.cumsum(days, axis=1)
    windows = (sums[:, 30:] - sums[:, :-30]) / 30
    half = 2.045 * 0.1 / np.sqrt(30)
    drifts = [
        drifted(Level(one[-1], one[-1] - half, one[-1] + half), Level(usual, usual - half, usual + half))
        for one in windows
        for usual in [float(np.median(one[-61:-1]))]
    ]
    assert np.mean(drifts) < 0.02
