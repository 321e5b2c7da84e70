"""Files of bad market data all the way: import, store, read, calibrate. Each ends quarantined, flagged or refused.

What is quarantined leaves the parameters of the good rows untouched, to the last digit.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.analytics.markets import START_US, check_lawful, reason_of, refused_of, tape_of
from tests.storage.files.conftest import NOW
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.core.frames import OrderBooks, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import AnalyticsSettings, Settings
from tributary_pipelines.core.units import PARAMETER_UNITS, US_PER_DAY
from tributary_pipelines.flows.calibration import calibrate_market
from tributary_pipelines.flows.subjects import find_subject
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.files import ImportOptions, ImportSummary, import_files
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.rows import book_rows, trade_rows

AS_OF = date(2026, 3, 4)
ENTRY = {"market_id": "m", "token_id": "t", "tick_size": 0.001, "fee_model": "none"}
TRADE_COLUMNS = ["timestamp", "market_id", "token_id", "side", "trade_id", "price", "size"]
BOOK_COLUMNS = ["timestamp", "market_id", "token_id", "bid_prices", "bid_sizes", "ask_prices", "ask_sizes"]
MARKET = Market(market_id="m", token_id="t")

#: Imports these tables into a store that holds everything else, and calibrates.
Run = Callable[..., tuple[dict[str, ImportSummary], AlmgrenChrissParameters]]


@cache
def tape() -> tuple[Trades, OrderBooks]:
    made = tape_of(2, n_days=3, snapshot_s=60, levels=14, trades_per_hour=30)
    return made.trades, made.books


@cache
def good_trades() -> pd.DataFrame:
    return trade_rows(MARKET, tape()[0], id_prefix="id")[TRADE_COLUMNS]


@cache
def good_books() -> pd.DataFrame:
    return book_rows(MARKET, tape()[1])[BOOK_COLUMNS]


def import_tables(store: MarketStore, folder: Path, tables: dict[str, pd.DataFrame]) -> dict[str, ImportSummary]:
    summaries = {}
    for kind, rows in tables.items():
        path = folder / f"{kind}.parquet"
        pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), path)
        summaries[kind] = import_files(store, kind, [path], options=ImportOptions(), now=NOW)
    return summaries


def declare(store: MarketStore, folder: Path, **declared: float) -> None:
    (folder / "markets.json").write_text(json.dumps([ENTRY | declared]))
    import_files(store, "markets", [folder / "markets.json"], options=ImportOptions(), now=NOW)


def calibrated(store: MarketStore) -> AlmgrenChrissParameters:
    found = calibrate_market(store, AnalyticsSettings(), find_subject(store.reader, "m"), as_of=AS_OF)
    check_lawful(found)
    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores with the good trades, the good books, or both, by what they hold."""
    made = {}
    for held in ("trades", "books", "both"):
        folder = made[held] = tmp_path_factory.mktemp(held)
        tables = {"trades": good_trades(), "books": good_books()}
        with open_store(Settings(folder=folder)) as store:
            declare(store, folder)
            import_tables(store, folder, tables if held == "both" else {held: tables[held]})
    return made


@pytest.fixture
def run(folders: dict[str, Path], tmp_path: Path) -> Run:
    def run(held: str, declared: dict[str, float] | None = None, **tables: pd.DataFrame) -> Any:
        copytree(folders[held], tmp_path, dirs_exist_ok=True)
        with open_store(Settings(folder=tmp_path)) as store:
            if declared is not None:
                declare(store, tmp_path, **declared)
            return import_tables(store, tmp_path, tables), calibrated(store)

    return run


@pytest.fixture(scope="module")
def good(folders: dict[str, Path]) -> AlmgrenChrissParameters:
    with open_store(Settings(folder=folders["both"])) as store:
        found = calibrated(store)
    assert (found.status, found.flags) == ("ok", ())
    return found


def reasons(summary: ImportSummary) -> dict[str, int]:
    return {found.reason: found.count for found in summary.quarantine}


def trades_of(*cells: dict[str, Any]) -> pd.DataFrame:
    """One trade a second from the second day's noon on, with these cells."""
    noon = pd.Timestamp("2026-03-02T12:00:00Z")
    rows = [
        {"timestamp": noon + pd.Timedelta(seconds=n), "side": "buy", "trade_id": f"bad{n}", "price": 0.5, "size": 100.0}
        | one
        for n, one in enumerate(cells)
    ]
    return pd.DataFrame(rows).assign(market_id="m", token_id="t")[TRADE_COLUMNS]


def books_as(**ladders: np.ndarray) -> pd.DataFrame:
    """The good snapshots with other ladders."""
    return book_rows(MARKET, replace(tape()[1], **ladders))[BOOK_COLUMNS]


def test_rows_in_any_order_and_twice_give_the_same_parameters(run: Run, good: AlmgrenChrissParameters) -> None:
    trades, books = (pd.concat([rows, rows]).sample(frac=1, random_state=3) for rows in (good_trades(), good_books()))
    assert not trades["timestamp"].is_monotonic_increasing
    summaries, _ = run("trades", books=books)
    assert (summaries["books"].rows_stored, summaries["books"].rows_duplicate) == (len(books) // 2,) * 2
    summaries, found = run("books", trades=trades)
    assert (summaries["trades"].rows_stored, summaries["trades"].rows_duplicate) == (len(trades) // 2,) * 2
    assert (found.estimates, found.flags) == (good.estimates, good.flags)


def test_bad_trades_are_quarantined_and_change_nothing(run: Run, good: AlmgrenChrissParameters) -> None:
    bad = [{name: x} for name in ("price", "size") for x in (np.nan, np.inf, -np.inf, 0.0, -0.5)]
    trades = trades_of(*bad, {"price": 1e200, "size": 1e200}, {"price": 1.2, "size": 1e6}, {"timestamp": pd.NaT})
    summaries, found = run("both", {"price_min": 0.0, "price_max": 1.0}, trades=trades)
    assert reasons(summaries["trades"]) == {
        "price is not a finite number above 0": 5,
        "size is not a finite number above 0": 5,
        "price times size is not a finite number": 1,
        "price is outside the declared bounds of its market": 1,
        "timestamp is missing": 1,
    }
    assert (found.status, found.flags, found.n_trades) == ("ok", (), good.n_trades)
    assert found.estimates["gamma"] == good.estimates["gamma"]


def test_a_trade_of_an_absurd_size_is_stored_and_gamma_refused(run: Run, good: AlmgrenChrissParameters) -> None:
    summaries, found = run("both", trades=trades_of({"size": 1e200}))
    assert summaries["trades"].rows_stored == 1
    assert refused_of(found) == {"gamma", "resilience_rate"}
    assert "too large to square" in reason_of(found, "gamma")
    assert found.estimates["book_slope"] == good.estimates["book_slope"]


def test_many_trades_of_one_second_do_not_pass_for_impact(run: Run) -> None:
    n = 10_000
    burst = trades_of(*[{}] * n)
    burst["timestamp"] = burst["timestamp"].iloc[0] + pd.to_timedelta(np.arange(n) * 20, unit="us")
    summaries, found = run("both", trades=burst)
    assert summaries["trades"].rows_stored == n
    assert "gamma" in refused_of(found)


def test_bad_snapshots_are_quarantined_and_the_rest_serves(run: Run, good: AlmgrenChrissParameters) -> None:
    books = good_books().copy()
    bad = {
        "bid_prices": ([np.nan] * 14, "a bid price is not a finite number above 0"),
        "ask_prices": ([np.inf] * 14, "a ask price is not a finite number above 0"),
        "bid_sizes": ([-1.0] * 14, "a bid size is not a finite number above 0"),
        "ask_sizes": ([1.0, 2.0], "ask_prices and ask_sizes have different lengths"),
    }
    for row, (name, (levels, _)) in enumerate(bad.items()):
        books[name] = [np.array(levels) if n == 500 + row else ladder for n, ladder in enumerate(books[name])]
    summaries, found = run("trades", books=books)
    assert reasons(summaries["books"]) == {reason: 1 for _, reason in bad.values()}
    assert (found.status, found.flags, found.n_snapshots) == ("ok", (), len(books) - 4)
    assert found.value("sigma") == pytest.approx(good.value("sigma"), rel=0.01)


def test_levels_without_size_and_in_any_order_are_put_right(run: Run, good: AlmgrenChrissParameters) -> None:
    books = good_books().copy()
    for name, empty in (("bid_prices", 0.9), ("bid_sizes", 0.0), ("ask_prices", 0.1), ("ask_sizes", 0.0)):
        books[name] = [np.append(ladder[::-1], empty) for ladder in books[name]]
    summaries, found = run("trades", books=books)
    assert summaries["books"].rows_quarantined == 0
    assert found.estimates == good.estimates


def test_crossed_snapshots_are_stored_and_missed_in_the_coverage(run: Run) -> None:
    books = tape()[1]
    is_first = books.times < START_US + US_PER_DAY
    summaries, found = run(
        "trades", books=books_as(ask_prices=np.where(is_first[:, None], books.ask_prices - 0.05, books.ask_prices))
    )
    assert summaries["books"].rows_quarantined == 0
    assert found.coverage == pytest.approx(2 / 3, abs=1e-3)
    assert refused_of(found) == set(PARAMETER_UNITS)
    assert "80% is needed" in found.reasons[0]


def test_books_of_one_level_refuse_the_slope(run: Run) -> None:
    books = tape()[1]
    names = ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")
    _, found = run("trades", books=books_as(**{name: getattr(books, name)[:, :1] for name in names}))
    assert refused_of(found) == {"book_slope", "eta"}
    assert "no depth beyond the best quotes" in reason_of(found, "book_slope")


def test_a_constant_price_is_refused(run: Run) -> None:
    books = tape()[1]
    still = {name: np.tile(getattr(books, name)[:1], (len(books), 1)) for name in ("bid_prices", "ask_prices")}
    _, found = run("trades", books=books_as(**still))
    assert refused_of(found) == {"sigma", "gamma", "resilience_rate"}
    assert "it did not move" in reason_of(found, "gamma")


def test_one_trade_is_too_few(run: Run) -> None:
    _, found = run("books", trades=good_trades().iloc[:1])
    assert (found.status, found.flags) == ("refused", ("thin",))
    assert "1 trades in the window; 200 are needed" in found.reasons[0]


def test_one_kind_alone_is_refused(run: Run) -> None:
    assert refused_of(run("books")[1]) == {"gamma", "resilience_rate"}
    assert refused_of(run("trades")[1]) == set(PARAMETER_UNITS)


@pytest.mark.parametrize(
    ("declared", "flags"),
    [
        ({"tick_size": 0.0001}, {"tick_mismatch"}),
        ({"tick_size": 0.01}, {"tick_mismatch", "tick_bound", "book_shallow"}),
        ({"price_min": 0.0, "price_max": 0.3}, {"sigma_unscaled"}),
    ],
)
def test_an_entry_at_odds_with_the_stored_data_is_flagged(
    run: Run, good: AlmgrenChrissParameters, declared: dict[str, float], flags: set[str]
) -> None:
    _, found = run("both", declared)
    assert set(found.flags) == flags
    assert found.estimates["gamma"] == good.estimates["gamma"]


def test_bounds_that_the_files_break_quarantine_them(tmp_path: Path) -> None:
    with open_store(Settings(folder=tmp_path)) as store:
        declare(store, tmp_path, price_min=0.0, price_max=0.3)
        tables = {"trades": good_trades().iloc[:50], "books": good_books().iloc[:50]}
        summaries = import_tables(store, tmp_path, tables)
        found = calibrated(store)
    assert [summary.rows_quarantined for summary in summaries.values()] == [50, 50]
    assert refused_of(found) == set(PARAMETER_UNITS)
