"""What a writing process runs, importable by the server that forks it (quicker than a new interpreter each time)."""

import time
from datetime import date
from multiprocessing.connection import Connection

import pandas as pd

from tributary_pipelines.core.result_frames import VWAP_BARS
from tributary_pipelines.core.settings import Settings
from tributary_pipelines.storage.base import ResultDay
from tributary_pipelines.storage.open import open_store

DAY = date(2026, 3, 1)
ONE, OTHER = ResultDay("m", "yes", DAY), ResultDay("m", "yes", date(2026, 3, 2))


def bars(n: int, mark: float, day: ResultDay = ONE) -> pd.DataFrame:
    """Return n bars of a day that carry a mark, so that a mixture of two writes would show."""
    times = pd.Timestamp(day.day, tz="UTC") + pd.to_timedelta(range(n), unit="s")
    return pd.DataFrame({"timestamp": times, "market_id": day.market_id, "token_id": day.token_id, "close": mark})


def write_on_and_on(settings: Settings, first: int, said: Connection) -> None:
    """Replace one day again and again, each time by other rows; say how long the first time took."""
    with open_store(settings) as store:
        started = time.monotonic()
        store.results.replace_days(VWAP_BARS, [ONE], bars(2_000 + first, float(first)))
        said.send(time.monotonic() - started)
        for mark in range(first + 1, first + 10_000):
            store.results.replace_days(VWAP_BARS, [ONE], bars(2_000 + mark, float(mark)))
