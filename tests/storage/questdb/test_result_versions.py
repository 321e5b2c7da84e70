"""Days of results in QuestDB: replaced whole, by concurrent runs, by killed runs, and never written for nothing."""

import threading
from datetime import UTC, datetime

import pandas as pd
import pytest

from tests.storage.result_writers import DAY, ONE, OTHER, bars
from tests.stores import Run
from tributary_pipelines.core.result_frames import VWAP_BARS
from tributary_pipelines.core.settings import Settings
from tributary_pipelines.storage.base import MarketStore, ResultDay
from tributary_pipelines.storage.open import open_store

pytestmark = pytest.mark.integration

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)


def stored(store: MarketStore) -> pd.DataFrame:
    return store.results.read(VWAP_BARS, START, END)


def n_rows(run: Run) -> int:
    return int(run("SELECT count() FROM vwap_bars")[0][0])


def test_fewer_equal_and_no_rows(questdb_store: MarketStore, questdb_run: Run) -> None:
    replace = questdb_store.results.replace_days
    replace(VWAP_BARS, [ONE, OTHER], pd.concat([bars(5, 1.0), bars(4, 1.0, OTHER)]))
    replace(VWAP_BARS, [ONE], bars(3, 2.0))
    assert stored(questdb_store)["close"].tolist() == [2.0] * 3 + [1.0] * 4
    n_before = n_rows(questdb_run)
    replace(VWAP_BARS, [ONE, OTHER], pd.concat([bars(4, 1.0, OTHER), bars(3, 2.0).iloc[::-1]]))
    assert n_rows(questdb_run) == n_before
    replace(VWAP_BARS, [ONE], bars(0, 0.0))
    assert stored(questdb_store)["close"].tolist() == [1.0] * 4
    n_before = n_rows(questdb_run)
    replace(VWAP_BARS, [ONE], bars(0, 0.0))
    replace(VWAP_BARS, [ResultDay("never", "written", DAY)], bars(0, 0.0))
    assert n_rows(questdb_run) == n_before
    replace(VWAP_BARS, [ONE], bars(2, 1.0))
    assert stored(questdb_store)["close"].tolist() == [1.0] * 6


def test_only_changed_days_are_written(questdb_store: MarketStore, questdb_run: Run) -> None:
    questdb_store.results.replace_days(VWAP_BARS, [ONE, OTHER], pd.concat([bars(5, 1.0), bars(4, 1.0, OTHER)]))
    questdb_store.results.replace_days(VWAP_BARS, [ONE, OTHER], pd.concat([bars(5, 1.0), bars(4, 3.0, OTHER)]))
    assert n_rows(questdb_run) == 5 + 4 + 4


def test_bookkeeping_never_reaches_a_reader(questdb_store: MarketStore, questdb_run: Run) -> None:
    questdb_store.results.replace_days(VWAP_BARS, [ONE], bars(1, 1.0))
    assert stored(questdb_store).columns.tolist() == list(VWAP_BARS.column_names)
    names = {row[0] for row in questdb_run("SELECT \"column\" FROM table_columns('vwap_bars')")}
    assert names - set(VWAP_BARS.column_names) == {"run_version", "is_marker"}


def test_a_version_rises_even_when_the_clock_does_not(questdb_store: MarketStore) -> None:
    questdb_store.results.replace_days(VWAP_BARS, [ONE], bars(3, 1.0))
    stuck = type(questdb_store.results)(
        questdb_store.results.bulk,
        questdb_store.results.layouts,
        clock=lambda: 5,  # type: ignore[attr-defined]
    )
    for mark in (2.0, 3.0):
        stuck.replace_days(VWAP_BARS, [ONE], bars(2, mark))
        assert stored(questdb_store)["close"].tolist() == [mark] * 2


def test_more_rows_than_a_transaction_holds_are_split_between_days(
    questdb_store: MarketStore, questdb_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tributary_pipelines.storage.questdb.results._ROWS_PER_TRANSACTION", 6)
    days = [ResultDay("m", f"t{k}", DAY) for k in range(5)]
    questdb_store.results.replace_days(VWAP_BARS, days, pd.concat([bars(4, float(k), d) for k, d in enumerate(days)]))
    assert len(stored(questdb_store)) == 20
    assert questdb_run("SELECT sequencerTxn FROM wal_tables() WHERE name = 'vwap_bars'") == [(5,)]
    questdb_store.results.replace_days(VWAP_BARS, days, bars(0, 0.0))
    assert stored(questdb_store).empty
    assert questdb_run("SELECT sequencerTxn FROM wal_tables() WHERE name = 'vwap_bars'") == [(6,)]


def test_two_runs_at_once_leave_one_of_them_whole(questdb_settings: Settings, questdb_store: MarketStore) -> None:
    failures: list[BaseException] = []

    def write(mark: int) -> None:
        try:
            with open_store(questdb_settings) as store:
                for k in range(8):
                    store.results.replace_days(VWAP_BARS, [ONE], bars(10 + mark * 7 + k, float(100 * mark + k)))
        except BaseException as error:
            failures.append(error)
            raise

    writers = [threading.Thread(target=write, args=(mark,)) for mark in (1, 2)]
    for writer in writers:
        writer.start()
    seen = []
    while any(writer.is_alive() for writer in writers):
        seen.append(stored(questdb_store))
    for writer in writers:
        writer.join()
    seen.append(stored(questdb_store))
    assert failures == []
    assert len(seen) > 3
    for found in seen:
        marks = found["close"].unique().tolist()
        assert len(marks) <= 1
        if marks:
            assert len(found) == 10 + int(marks[0]) // 100 * 7 + int(marks[0]) % 100
    assert int(seen[-1]["close"].iloc[0]) % 100 == 7
