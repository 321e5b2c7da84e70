"""Windows as they come in a store: with gaps, just begun, completed late, calibrated again."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from tests.analytics.markets import START_US, tape_of
from tests.flows.conftest import Desk, write_market
from tributary_pipelines.analytics.optimization import parameters
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticTape
from tributary_pipelines.core.frames import TRADES, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, IMPACT_STATISTICS
from tributary_pipelines.core.settings import AnalyticsSettings
from tributary_pipelines.core.units import US_PER_DAY, day_start, to_us
from tributary_pipelines.flows.calibration import (
    calibrate_market,
    calibrate_windows,
    parameter_history,
    read_parameters,
    store_parameters,
)
from tributary_pipelines.flows.statistics import ensure_statistics, store_statistics, stored_statistics
from tributary_pipelines.flows.subjects import subject_of
from tributary_pipelines.storage.base import MarketStore, ResultDay
from tributary_pipelines.storage.rows import trade_rows

FIRST = date(2026, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]
END = DAYS[-1] + timedelta(days=1)
SETTINGS = AnalyticsSettings()
GAPPY = Market(market_id="gappy", token_id="t", tick_size=0.001, fee_model="none")
N_GAPPY = 6


@pytest.fixture(scope="module")
def tape() -> SyntheticTape:
    return tape_of(7, N_GAPPY, trades_per_hour=60, levels=20, snapshot_s=60, r2=0.6)


def write_days(store: MarketStore, tape: SyntheticTape, days: Iterable[int]) -> None:
    """Write some days of the tape, counted from 0."""
    for day in days:
        start = START_US + day * US_PER_DAY
        window = (start, start + US_PER_DAY)
        write_market(store, GAPPY, tape.trades.between(*window), tape.books.between(*window))


def calibrated(store: MarketStore, n_days: int = N_GAPPY) -> AlmgrenChrissParameters:
    as_of = FIRST + timedelta(days=n_days)
    return calibrate_market(store, SETTINGS, subject_of(GAPPY), as_of=as_of, lookback_days=n_days)


def test_a_day_without_data_is_left_out_and_lowers_coverage(duckdb_store: MarketStore, tape: SyntheticTape) -> None:
    write_days(duckdb_store, tape, [0, 1, 2, 4, 5])
    found = calibrated(duckdb_store)
    assert (found.status, found.n_days) == ("ok", 5)
    assert found.coverage == pytest.approx(5 / 6, rel=1e-3)
    assert found.value("sigma") == pytest.approx(0.03, rel=0.2)
    write_days(duckdb_store, tape, [3])
    assert calibrated(duckdb_store).n_days == 6


def test_too_many_gaps_refuse_and_say_how_much_is_covered(duckdb_store: MarketStore, tape: SyntheticTape) -> None:
    write_days(duckdb_store, tape, [0, 2, 3, 5])
    found = calibrated(duckdb_store)
    assert (found.status, found.n_days, found.value("sigma")) == ("refused", 4, None)
    assert found.reasons[0] == (
        "usable snapshots cover 66.7% of the time since 2026-03-01T00:00:00Z; 80% is needed (min_coverage)"
    )


def test_a_market_that_opened_last_week_is_not_missing_the_weeks_before(own_desk: Desk) -> None:
    found = calibrate_market(own_desk.store, own_desk.settings, own_desk.subject, as_of=END)
    assert (found.status, found.n_days, found.coverage) == ("ok", 4, pytest.approx(1, rel=1e-3))
    assert found.window_end - found.window_start == timedelta(days=30)


class Reads:
    """Which days of trades were read, and which stretches were asked for fingerprints."""

    def __init__(self, store: MarketStore, monkeypatch: pytest.MonkeyPatch) -> None:
        reader = type(store.reader)
        trades, fingerprints = reader.trades, reader.fingerprints
        self.days: list[date] = []
        self.stretches: list[tuple[date, date]] = []

        def noted_trades(reader: object, market_id: str, token_id: str, start: datetime, end: datetime) -> Trades:
            self.days.append(start.date())
            return trades(reader, market_id, token_id, start, end)

        def noted(reader: object, market_id: str, token_id: str, start: datetime, end: datetime) -> object:
            self.stretches.append((start.date(), end.date()))
            return fingerprints(reader, market_id, token_id, start, end)

        monkeypatch.setattr(reader, "trades", noted_trades)
        monkeypatch.setattr(reader, "fingerprints", noted)


def forget(desk: Desk, days: Iterable[date]) -> None:
    """Remove the stored statistics of these days."""
    keys = [ResultDay(desk.market.market_id, desk.market.token_id, day) for day in days]
    nothing = pd.DataFrame(columns=list(IMPACT_STATISTICS.column_names))
    desk.store.results.replace_days(IMPACT_STATISTICS, keys, nothing)


def test_statistics_that_are_missing_in_the_middle_are_completed(
    own_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_statistics(own_desk.store, own_desk.settings, own_desk.subject, FIRST, END)
    (wanted,) = calibrate_windows(own_desk.store, own_desk.settings, own_desk.subject, days=DAYS[-1:])
    forget(own_desk, DAYS[1:2])
    reads = Reads(own_desk.store, monkeypatch)
    (found,) = calibrate_windows(own_desk.store, own_desk.settings, own_desk.subject, days=DAYS[-1:])
    assert reads.days == DAYS[1:2]
    # Only where no row is stored, never over what is trusted.
    assert reads.stretches == [(FIRST - timedelta(days=26), FIRST), (DAYS[1], DAYS[2])]
    assert as_text(found) == as_text(wanted)
    assert [day.day for day in stored_statistics(own_desk.store, own_desk.market, FIRST, END)] == DAYS


def as_text(found: AlmgrenChrissParameters) -> str:
    return json.dumps(found.to_row(), default=str, sort_keys=True)


def test_a_day_that_arrives_late_is_counted_by_the_next_calibration(
    duckdb_store: MarketStore, tape: SyntheticTape
) -> None:
    days = [FIRST + timedelta(days=N_GAPPY - 1)]
    write_days(duckdb_store, tape, [0, 1, 2, 4, 5])
    (before,) = calibrate_windows(duckdb_store, SETTINGS, subject_of(GAPPY), days=days)
    write_days(duckdb_store, tape, [3])
    (after,) = calibrate_windows(duckdb_store, SETTINGS, subject_of(GAPPY), days=days)
    assert (before.n_days, after.n_days) == (5, 6)
    assert before.data_fingerprint != after.data_fingerprint


def write_late_trade(desk: Desk) -> None:
    times = np.array([to_us(datetime(2026, 3, 2, 12, tzinfo=UTC))])
    late = Trades(times, np.array([0.5]), np.array([10.0]), np.array([1], np.int8))
    desk.store.writer.write(TRADES, trade_rows(desk.market, late, id_prefix="late-"))


def test_stored_days_are_trusted_until_they_are_made_again(own_desk: Desk) -> None:
    given = (own_desk.store, own_desk.settings, own_desk.subject)
    ensure_statistics(*given, FIRST, END)
    (before,) = calibrate_windows(*given, days=DAYS[-1:])
    write_late_trade(own_desk)
    (trusting,) = calibrate_windows(*given, days=DAYS[-1:])
    assert as_text(trusting) == as_text(before)
    ensure_statistics(*given, DAYS[1], DAYS[2])
    (after,) = calibrate_windows(*given, days=DAYS[-1:])
    assert after.n_trades == before.n_trades + 1
    assert after.data_fingerprint != before.data_fingerprint


def test_a_day_whose_data_are_gone_loses_its_row_and_leaves_the_window(own_desk: Desk) -> None:
    given = (own_desk.store, own_desk.settings, own_desk.subject)
    made = ensure_statistics(*given, FIRST, END)[0]
    before = [day_start(FIRST - timedelta(days=n)) for n in (1, 2, 3)]
    ghosts = [replace(made, timestamp=at) for at in before]
    # The code that made a row does not matter, and neither does a day that is not asked for.
    ghosts[1] = replace(ghosts[1], code_version="impact_statistics/0")
    store_statistics(own_desk.store, ghosts)
    (haunted,) = calibrate_windows(*given, days=DAYS[-1:])
    assert haunted.n_days == 6
    assert [one.day for one in ensure_statistics(*given, FIRST - timedelta(days=2), DAYS[1])] == DAYS[:1]
    rows = own_desk.store.results.read(IMPACT_STATISTICS, before[2], day_start(END))
    assert [at.date() for at in rows["timestamp"]] == [before[2].date(), *DAYS]
    (found,) = calibrate_windows(*given, days=DAYS[-1:])
    assert found.n_days == 5


@pytest.mark.parametrize(
    ("changes", "n_read"),
    [
        ({"tick_size": 0.002}, 4),
        ({"lot_size": 5.0}, 4),
        ({"price_min": -1.0, "price_max": 2.0}, 4),
        ({"price_min": 0.0, "price_max": 1.0, "complement_token_id": "other"}, 4),
        ({"question": "Will it?"}, 0),
    ],
    ids=["tick", "lot", "bounds", "merged tokens", "what changes no sum"],
)
def test_rows_made_with_other_properties_of_the_market_are_made_anew(
    own_desk: Desk, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], n_read: int
) -> None:
    ensure_statistics(own_desk.store, own_desk.settings, own_desk.subject, FIRST, END)
    other = subject_of(own_desk.market.model_copy(update=changes))
    reads = Reads(own_desk.store, monkeypatch)
    (found,) = calibrate_windows(own_desk.store, own_desk.settings, other, days=DAYS[-1:])
    assert len(set(reads.days)) == n_read
    reads.days.clear()
    assert as_text(calibrate_windows(own_desk.store, own_desk.settings, other, days=DAYS[-1:])[0]) == as_text(found)
    assert reads.days == []
    assert as_text(calibrate_market(own_desk.store, own_desk.settings, other, as_of=END)) == as_text(found)


def test_a_rerun_replaces_the_days_row_and_tells_data_from_code(
    own_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (own_desk.store, own_desk.settings, own_desk.subject)

    def version() -> tuple[str, str]:
        calibrate_market(*given, as_of=END)
        (row,) = parameter_history(own_desk.store, own_desk.market, days=30)
        return row.code_version, row.data_fingerprint

    first, again = version(), version()
    write_late_trade(own_desk)
    new_data = version()
    monkeypatch.setattr(parameters, "CODE_VERSION", "almgren_chriss_parameters/next")
    new_code = version()
    assert first == again
    assert new_data[0] == first[0]
    assert new_data[1] != first[1]
    assert new_code == ("almgren_chriss_parameters/next", new_data[1])
    rows = own_desk.store.results.read(ALMGREN_CHRISS_PARAMETERS, day_start(FIRST), day_start(END))
    assert len(rows) == 1


def test_history_reaches_back_from_the_newest_row(own_desk: Desk) -> None:
    given = (own_desk.store, own_desk.settings, own_desk.subject)
    assert parameter_history(own_desk.store, own_desk.market, days=30) == []
    store_parameters(own_desk.store, calibrate_windows(*given, days=DAYS))
    assert [one.last_day for one in parameter_history(own_desk.store, own_desk.market, days=2)] == DAYS[2:]
    assert [one.last_day for one in parameter_history(own_desk.store, own_desk.market, days=400)] == DAYS
    token = (own_desk.market.market_id, own_desk.market.token_id)
    two = read_parameters(own_desk.store, *token, day_start(DAYS[1]), day_start(DAYS[3]))
    assert [one.last_day for one in two] == DAYS[1:3]
    assert [one.status for one in parameter_history(own_desk.store, own_desk.market, days=4)] == [
        *["refused"] * 2,
        *["ok"] * 2,
    ]
