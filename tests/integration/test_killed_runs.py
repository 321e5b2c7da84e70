"""A run killed at any point and tried again leaves the rows of one clean run; so do two runs at once."""

import random
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from tests.defs.small_pipeline import DAGSTERS_OWN, DUCKDB, FIRST_DAY, opened, write_markets, write_settings
from tests.integration.killed_runs import start_run
from tributary_pipelines.core.result_frames import RESULT_FRAMES
from tributary_pipelines.core.units import day_start
from tributary_pipelines.storage.base import ResultDay
from tributary_pipelines.storage.questdb import server
from tributary_pipelines.storage.questdb.server import ServerInfo

pytestmark = [pytest.mark.integration, *map(pytest.mark.filterwarnings, DAGSTERS_OWN)]

N_DAYS = 3
#: Twenty kills; each round begins with nothing stored, so that its kills meet writes.
N_ROUNDS, KILLS_A_ROUND = 4, 5
LAST_DAY = FIRST_DAY + timedelta(days=N_DAYS - 1)
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A folder with market data, and its market's id."""

    file: Path
    market_id: str

    def rows(self) -> dict[str, pd.DataFrame]:
        """Every stored result row, by table."""
        with opened(self.file) as store:
            window = (day_start(FIRST_DAY), day_start(LAST_DAY) + timedelta(days=1))
            return {frame.name: store.results.read(frame, *window, self.market_id) for frame in RESULT_FRAMES}

    def forget(self) -> None:
        """Empty every result day."""
        days = [ResultDay(self.market_id, self.market_id, FIRST_DAY + timedelta(days=n)) for n in range(N_DAYS)]
        with opened(self.file) as store:
            for frame in RESULT_FRAMES:
                store.results.replace_days(frame, days, pd.DataFrame(columns=list(frame.column_names)))
        assert all(rows.empty for rows in self.rows().values())

    def run(self) -> float:
        """Run everything to the end; return the seconds."""
        began = time.monotonic()
        process = start_run(self.file, FIRST_DAY, LAST_DAY)
        process.join(PATIENCE_S)
        assert process.exitcode == 0
        return time.monotonic() - began


@pytest.fixture(params=["duckdb", "questdb"])
def storage(request: pytest.FixtureRequest) -> Mapping[str, object]:
    """The settings of either store."""
    if request.param == "duckdb":
        return DUCKDB
    running: ServerInfo = request.getfixturevalue("questdb_server")
    return running.storage_settings()


@pytest.fixture
def subjects(storage: Mapping[str, object], tmp_path: Path) -> tuple[Subject, Subject]:
    """Two folders with equal data under market ids of their own: one for a clean run, one for the others."""
    return make_subject(tmp_path / "clean", storage), make_subject(tmp_path / "killed", storage)


def make_subject(folder: Path, storage: Mapping[str, object]) -> Subject:
    folder.mkdir()
    prefix = f"{folder.name}_{secrets.token_hex(4)}_"
    file = write_settings(folder, storage, names=["alpha"], prefix=prefix)
    with opened(file) as store:
        write_markets(store, N_DAYS, names=["alpha"], prefix=prefix)
    return Subject(file, f"{prefix}alpha")


def comparable(subject: Subject) -> dict[str, pd.DataFrame]:
    """The rows without what names the market; fingerprints and result ids hold its name."""
    hidden = ["market_id", "token_id", "data_fingerprint", "result_id"]
    tables = {name: rows.drop(columns=hidden, errors="ignore") for name, rows in subject.rows().items()}
    for rows in tables.values():
        if "reasons" in rows:
            rows["reasons"] = rows["reasons"].str.replace(subject.market_id, "MARKET")
    return tables


def test_a_run_killed_at_twenty_points_and_tried_again_leaves_the_rows_of_a_clean_run(
    subjects: tuple[Subject, Subject],
) -> None:
    clean, killed = subjects
    duration_s = clean.run()
    wanted = comparable(clean)
    assert all(len(rows) for rows in wanted.values())
    chosen = random.Random(20260301)
    for _ in range(N_ROUNDS):
        killed.forget()
        n_killed = 0
        while n_killed < KILLS_A_ROUND:
            process = start_run(killed.file, FIRST_DAY, LAST_DAY)
            process.join(chosen.uniform(0.05, 1.0) * duration_s)
            if process.exitcode is None:
                process.kill()
                n_killed += 1
            process.join()
            assert_days_are_whole_or_absent(comparable(killed), wanted)
        killed.run()
        found = comparable(killed)
        for name, rows in wanted.items():
            pd.testing.assert_frame_equal(found[name], rows, obj=name)


def assert_days_are_whole_or_absent(found: Mapping[str, pd.DataFrame], wanted: Mapping[str, pd.DataFrame]) -> None:
    """No day of a table shows a part of its rows."""
    for name, rows in found.items():
        seen, whole = (frame.groupby(frame["timestamp"].dt.date).size() for frame in (rows, wanted[name]))
        assert (seen == whole.reindex(seen.index)).all(), name


def test_two_runs_at_once_leave_the_rows_of_one(subjects: tuple[Subject, Subject]) -> None:
    clean, doubled = subjects
    clean.run()
    processes = [start_run(doubled.file, FIRST_DAY, LAST_DAY) for _ in range(2)]
    for process in processes:
        process.join(PATIENCE_S)
    assert [process.exitcode for process in processes] == [0, 0]
    found = comparable(doubled)
    for name, rows in comparable(clean).items():
        pd.testing.assert_frame_equal(found[name], rows, obj=name)


def test_a_questdb_that_restarts_in_the_middle_of_a_run_is_waited_for(tmp_path: Path) -> None:
    root = tmp_path / "questdb"
    storage = server.start(root).storage_settings()
    try:
        clean, disturbed = make_subject(tmp_path / "clean", storage), make_subject(tmp_path / "disturbed", storage)
        duration_s = clean.run()
        process = start_run(disturbed.file, FIRST_DAY, LAST_DAY)
        process.join(0.4 * duration_s)
        assert process.exitcode is None
        assert server.stop(root)
        # Long enough for the run to meet the gap.
        process.join(0.4 * duration_s)
        assert process.exitcode is None
        server.start(root)
        process.join(PATIENCE_S)
        assert process.exitcode == 0
        found = comparable(disturbed)
        for name, rows in comparable(clean).items():
            pd.testing.assert_frame_equal(found[name], rows, obj=name)
    finally:
        server.stop(root)
