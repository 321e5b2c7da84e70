"""Recalibration reads one new day; parameters are known from the day after their window and never before."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from tests.flows.conftest import Desk
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.core.frames import TRADES, Trades
from tributary_pipelines.core.settings import AnalyticsSettings, CalibrationSettings
from tributary_pipelines.core.units import to_us
from tributary_pipelines.flows import statistics
from tributary_pipelines.flows.calibration import (
    calibrate_market,
    calibrate_windows,
    parameter_history,
    parameters_as_of,
    parameters_of_day,
)
from tributary_pipelines.flows.statistics import ensure_statistics
from tributary_pipelines.storage.rows import trade_rows

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 4)


def assert_same(one: AlmgrenChrissParameters, other: AlmgrenChrissParameters) -> None:
    """Equal to the last digit; what is not known counts as equal."""
    rows = [json.dumps(found.to_row(), default=str, sort_keys=True) for found in (one, other)]
    assert rows[0] == rows[1]


def days_read(desk: Desk, end: date, settings: AnalyticsSettings | None = None) -> list[date]:
    read: list[date] = []
    ensure_statistics(desk.store, settings or desk.settings, desk.subject, FIRST, end, progress=read.append)
    return read


def test_a_new_day_is_the_only_one_read(own_desk: Desk) -> None:
    assert days_read(own_desk, LAST) == [date(2026, 3, day) for day in (1, 2, 3)]
    assert days_read(own_desk, LAST + timedelta(days=1)) == [LAST]
    assert days_read(own_desk, LAST + timedelta(days=1)) == []


def test_a_late_trade_makes_its_day_be_read_again(own_desk: Desk) -> None:
    end = LAST + timedelta(days=1)
    days_read(own_desk, end)
    late = Trades(
        np.array([to_us(datetime(2026, 3, 2, 12, tzinfo=UTC))]),
        np.array([0.5]),
        np.array([10.0]),
        np.array([1], np.int8),
    )
    own_desk.store.writer.write(TRADES, trade_rows(own_desk.market, late, id_prefix="late-"))
    assert days_read(own_desk, end) == [date(2026, 3, 2)]


def test_another_guard_makes_every_day_be_read_again(own_desk: Desk) -> None:
    end = LAST + timedelta(days=1)
    days_read(own_desk, end)
    other = AnalyticsSettings(calibration=CalibrationSettings(stamp_guard=5.0))
    assert len(days_read(own_desk, end, other)) == 4


def test_other_code_makes_every_day_be_read_again(own_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    end = LAST + timedelta(days=1)
    days_read(own_desk, end)
    monkeypatch.setattr(statistics.impact_statistics, "CODE_VERSION", "impact_statistics/next")
    assert len(days_read(own_desk, end)) == 4


def test_stored_windows_equal_a_calibration_from_raw_data(own_desk: Desk) -> None:
    direct = calibrate_market(own_desk.store, own_desk.settings, own_desk.subject, as_of=LAST + timedelta(days=1))
    combined = calibrate_windows(own_desk.store, own_desk.settings, own_desk.subject, days=[date(2026, 3, 3), LAST])
    assert_same(combined[1], direct)
    assert (combined[0].last_day, combined[0].n_days) == (date(2026, 3, 3), 3)


def test_parameters_are_known_from_the_day_after_their_window(own_desk: Desk) -> None:
    found = calibrate_market(own_desk.store, own_desk.settings, own_desk.subject, as_of=LAST)
    last_moment = datetime(2026, 3, 3, 23, 59, 59, tzinfo=UTC)
    assert found.usable_from == datetime(2026, 3, 4, tzinfo=UTC)
    assert parameters_as_of(own_desk.store, own_desk.market, last_moment) is None
    known = parameters_as_of(own_desk.store, own_desk.market, found.usable_from)
    assert known is not None
    assert_same(known, found)
    assert parameters_of_day(own_desk.store, own_desk.market, date(2026, 3, 3)) is not None
    assert parameters_of_day(own_desk.store, own_desk.market, LAST) is None


def test_history_keeps_every_day_once(own_desk: Desk) -> None:
    for as_of in (LAST, LAST + timedelta(days=1), LAST):
        calibrate_market(own_desk.store, own_desk.settings, own_desk.subject, as_of=as_of)
    history = parameter_history(own_desk.store, own_desk.market, days=30)
    assert [one.usable_from.date() for one in history] == [LAST, LAST + timedelta(days=1)]


def test_a_window_without_data_is_refused_and_kept(own_desk: Desk) -> None:
    found = calibrate_market(own_desk.store, own_desk.settings, own_desk.subject, as_of=FIRST)
    assert found.status == "refused"
    assert "0 trades in the window" in " ".join(found.reasons)
    assert parameters_of_day(own_desk.store, own_desk.market, date(2026, 2, 28)) is not None


def test_progress_is_told_in_order(own_desk: Desk) -> None:
    told: list[date] = []
    teller: Callable[[date], None] = told.append
    calibrate_market(own_desk.store, own_desk.settings, own_desk.subject, as_of=LAST, progress=teller)
    assert told == sorted(told)
    assert pd.Index(told).is_unique


def test_a_window_is_calibrated_from_statistics_of_the_settings_in_force_alone(own_desk: Desk) -> None:
    end = LAST + timedelta(days=1)
    days_read(own_desk, end)
    other = AnalyticsSettings(calibration=CalibrationSettings(stamp_guard=5.0))
    (combined,) = calibrate_windows(own_desk.store, other, own_desk.subject, days=[LAST])
    assert_same(combined, calibrate_market(own_desk.store, other, own_desk.subject, as_of=end))
    assert combined.n_days == 4
    assert days_read(own_desk, end, other) == []
