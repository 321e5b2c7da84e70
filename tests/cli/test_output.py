"""What leaves as JSON and in tables."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from tributary_pipelines.cli.output import number, to_jsonable

NOON_IN_CAIRO = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (0.1 + 0.2, 0.30000000000000004),
        (float("nan"), None),
        (float("-inf"), None),
        (np.float64("nan"), None),
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([1.0, np.nan]), [1.0, None]),
        (NOON_IN_CAIRO, "2026-03-01T10:00:00Z"),
        (datetime(2026, 3, 1, 0, 0, 0, 5, tzinfo=UTC), "2026-03-01T00:00:00.000005Z"),
        (pd.Timestamp("2026-03-01", tz="UTC"), "2026-03-01T00:00:00Z"),
        (pd.NaT, None),
        (date(2026, 3, 1), "2026-03-01"),
        ({"a": (1, None)}, {"a": [1, None]}),
    ],
    ids=repr,
)
def test_every_value_has_one_plain_form(value: object, plain: object) -> None:
    found = to_jsonable(value)
    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (0.0, "0"),
        (1234567.4, "1,234,567"),
        (999999.0, "999999"),
        (4.54898e-6, "4.54898e-06"),
    ],
)
def test_people_get_six_digits_and_a_dash(value: float | None, shown: str) -> None:
    assert number(value) == shown
