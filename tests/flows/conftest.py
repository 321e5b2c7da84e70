"""One small synthetic market in an embedded store, shared by the tests of the flows, and a way to add others."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from shutil import copytree

import pandas as pd
import pytest

from tributary_pipelines.core.frames import MARKETS, ORDERBOOK_SNAPSHOTS, TRADES, OrderBooks, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.requests import SyntheticRequest
from tributary_pipelines.core.settings import AnalyticsSettings, Settings
from tributary_pipelines.flows.market_data import find_market, synthesize
from tributary_pipelines.flows.subjects import Subject, subject_of
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.rows import book_rows, trade_rows

REQUEST = SyntheticRequest(
    market_id="thin",
    n_days=4,
    trades_per_hour=60,
    seed=7,
    start=date(2026, 3, 1),
    options={"levels": 20, "snapshot_s": 30, "r2": 0.6},
)


@dataclass(frozen=True)
class Desk:
    """A store with one market in it."""

    store: MarketStore
    settings: AnalyticsSettings
    market: Market

    @property
    def subject(self) -> Subject:
        """The market as what is calibrated."""
        return subject_of(self.market)


def write_entry(store: MarketStore, market: Market, stored_at: str = "2026-03-01") -> None:
    """Write the entry of a market; a later one counts."""
    row = {"timestamp": pd.Timestamp(stored_at, tz="UTC"), **market.model_dump()}
    store.writer.write(MARKETS, pd.DataFrame([row])[list(MARKETS.column_names)])


def write_market(store: MarketStore, market: Market, trades: Trades, books: OrderBooks) -> None:
    """Write the entry, trades and snapshots of one token; further days of it can follow."""
    write_entry(store, market)
    # Ids count up from nought in each call, and must not repeat.
    for frame, rows in (
        (TRADES, trade_rows(market, trades, id_prefix=f"{market.token_id}-{trades.times[:1]}-")),
        (ORDERBOOK_SNAPSHOTS, book_rows(market, books)),
    ):
        if len(rows):
            store.writer.write(frame, rows)


def open_desk(folder: Path) -> Desk:
    store = open_store(Settings(folder=folder))
    return Desk(store, AnalyticsSettings(), find_market(store.reader, REQUEST.market_id))


@pytest.fixture(scope="session")
def desk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    with open_store(Settings(folder=folder)) as store:
        synthesize(store, REQUEST)
    return folder


@pytest.fixture
def desk(desk_folder: Path) -> Iterator[Desk]:
    """A market of four days, not to be written to."""
    made = open_desk(desk_folder)
    with made.store:
        yield made


@pytest.fixture
def own_desk(desk_folder: Path, tmp_path: Path) -> Iterator[Desk]:
    """The same market for one test alone."""
    copytree(desk_folder, tmp_path, dirs_exist_ok=True)
    made = open_desk(tmp_path)
    with made.store:
        yield made
