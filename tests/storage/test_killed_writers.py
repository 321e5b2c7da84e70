"""A writer killed with SIGKILL at any moment leaves whole days, in both stores."""

import multiprocessing
import random
import time
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from tests.storage.result_writers import ONE, bars, write_on_and_on
from tributary_pipelines.core.result_frames import VWAP_BARS
from tributary_pipelines.core.settings import Settings
from tributary_pipelines.storage.base import MarketStore


def stored(store: MarketStore) -> pd.DataFrame:
    return store.results.read(VWAP_BARS, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))


def test_a_killed_writer_leaves_whole_days_and_a_retry_gives_the_clean_result(
    store: MarketStore, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    is_embedded = store.name.startswith("duckdb")
    settings = Settings(folder=tmp_path) if is_embedded else request.getfixturevalue("questdb_settings")
    rng = random.Random(4)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.storage.result_writers"])
    n_progressed = 0
    for attempt in range(20):
        listening, saying = context.Pipe(duplex=False)
        process = context.Process(target=write_on_and_on, args=(settings, attempt * 100, saying), daemon=True)
        process.start()
        with listening, saying:
            time.sleep(2 * rng.random() * listening.recv())
            process.kill()
            process.join()
        found = stored(store)
        (mark,) = found["close"].unique().tolist()
        assert mark >= attempt * 100
        assert len(found) == 2_000 + int(mark)
        n_progressed += mark > attempt * 100
    assert n_progressed >= 5
    store.results.replace_days(VWAP_BARS, [ONE], bars(7, 0.5))
    assert stored(store)["close"].tolist() == [0.5] * 7
