"""A market whose trades come in on two tokens is one market: the same sums however its trades are split."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from tests.analytics.markets import tape_of
from tests.flows.conftest import write_entry, write_market
from tributary_pipelines.analytics.calibration.impact_statistics import SHAPES, ImpactStatistics
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticTape
from tributary_pipelines.core.frames import TRADES, OrderBooks, Trades, no_order_books, no_trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import AnalyticsSettings, CalibrationSettings
from tributary_pipelines.flows.calibration import calibrate_market
from tributary_pipelines.flows.statistics import ensure_statistics
from tributary_pipelines.flows.subjects import subject_of
from tributary_pipelines.storage.base import DayFingerprint, MarketDataReader, MarketStore
from tributary_pipelines.storage.rows import trade_rows

SETTINGS = AnalyticsSettings()
FIRST, END = date(2026, 3, 1), date(2026, 3, 3)
#: Left open, the numbers are compared to this relative difference.
SAME = 1e-10
YES = Market(
    market_id="m",
    token_id="yes",
    complement_token_id="no",
    venue="venue",
    tick_size=0.001,
    price_min=0.0,
    price_max=1.0,
    fee_model="none",
)
NO = YES.model_copy(update={"token_id": "no", "complement_token_id": "yes"})


@pytest.fixture(scope="module")
def tape() -> SyntheticTape:
    return tape_of(4, 2, snapshot_s=60, levels=12)


@pytest.fixture(scope="module")
def is_no(tape: SyntheticTape) -> np.ndarray:
    return np.random.default_rng(1).random(len(tape.trades)) < 0.4


def chosen(trades: Trades, which: np.ndarray) -> Trades:
    return Trades(trades.times[which], trades.prices[which], trades.sizes[which], trades.signs[which])


def mirrored(trades: Trades) -> Trades:
    """The same trades as the other token's: buying YES at p is selling NO at 1 - p."""
    return Trades(trades.times, 1 - trades.prices, trades.sizes, -trades.signs)


def mirrored_books(books: OrderBooks) -> OrderBooks:
    return OrderBooks(books.times, 1 - books.ask_prices, books.ask_sizes, 1 - books.bid_prices, books.bid_sizes)


def days_of(
    store: MarketStore, market: Market = YES, *, read: Callable[[date], None] | None = None
) -> list[ImpactStatistics]:
    return ensure_statistics(store, SETTINGS, subject_of(market), FIRST, END, progress=read)


def assert_same(found: list[ImpactStatistics], wanted: list[ImpactStatistics], **counts: int) -> None:
    """Every sum to ten digits, and every other column but the fingerprint and the given counts of all days."""
    assert len(found) == len(wanted) == 2
    for one, other in zip(found, wanted, strict=True):
        for name in SHAPES:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=SAME, atol=1e-14, err_msg=name)
        for name in ImpactStatistics.__slots__:
            if name not in {*SHAPES, *counts, "data_fingerprint"}:
                value = getattr(other, name)
                wished = pytest.approx(value, rel=SAME) if isinstance(value, float) else value
                assert getattr(one, name) == wished, name
    assert {name: sum(getattr(day, name) for day in found) for name in counts} == counts


@pytest.fixture
def unsplit(duckdb_store: MarketStore, tape: SyntheticTape) -> list[ImpactStatistics]:
    """The days of the market when all is reported on one token, under an id of its own in the same store."""
    alone = YES.model_copy(update={"market_id": "alone", "complement_token_id": None})
    write_market(duckdb_store, alone, tape.trades, tape.books)
    days = [replace(day, market_id="m") for day in days_of(duckdb_store, alone)]
    assert all(day.n_other_token == day.n_mirrored == 0 for day in days)
    return days


def test_trades_split_over_both_tokens_give_the_sums_of_one(
    duckdb_store: MarketStore, tape: SyntheticTape, is_no: np.ndarray, unsplit: list[ImpactStatistics]
) -> None:
    write_market(duckdb_store, YES, chosen(tape.trades, ~is_no), tape.books)
    write_market(duckdb_store, NO, mirrored(chosen(tape.trades, is_no)), no_order_books())
    assert 0.3 < is_no.mean() < 0.5
    assert_same(days_of(duckdb_store), unsplit, n_other_token=is_no.sum())


def test_all_of_a_markets_data_may_be_on_the_other_token(
    duckdb_store: MarketStore, tape: SyntheticTape, unsplit: list[ImpactStatistics]
) -> None:
    write_entry(duckdb_store, YES)
    write_market(duckdb_store, NO, mirrored(tape.trades), mirrored_books(tape.books))
    assert_same(days_of(duckdb_store), unsplit, n_other_token=len(tape.trades))


def test_a_complement_that_never_trades_changes_nothing(
    duckdb_store: MarketStore, tape: SyntheticTape, unsplit: list[ImpactStatistics]
) -> None:
    write_market(duckdb_store, YES, tape.trades, tape.books)
    write_market(duckdb_store, NO, no_trades(), mirrored_books(tape.books))
    assert_same(days_of(duckdb_store), unsplit, n_other_token=0)


def test_a_trade_reported_on_both_tokens_counts_once(
    duckdb_store: MarketStore, tape: SyntheticTape, is_no: np.ndarray, unsplit: list[ImpactStatistics]
) -> None:
    write_market(duckdb_store, YES, tape.trades, tape.books)
    write_market(duckdb_store, NO, mirrored(chosen(tape.trades, is_no)), no_order_books())
    assert_same(days_of(duckdb_store), unsplit, n_other_token=is_no.sum(), n_mirrored=is_no.sum())


def test_without_declared_bounds_tokens_stay_apart_and_that_is_flagged(
    duckdb_store: MarketStore, tape: SyntheticTape, is_no: np.ndarray
) -> None:
    write_market(duckdb_store, YES, chosen(tape.trades, ~is_no), tape.books)
    write_market(duckdb_store, NO, mirrored(chosen(tape.trades, is_no)), no_order_books())
    settings = AnalyticsSettings(calibration=CalibrationSettings(min_trades_required=1, min_days=1))
    found = {}
    for name, changes in {
        "declared": {},
        "unbounded": {"price_min": None, "price_max": None},
        "alone": {"price_min": None, "price_max": None, "complement_token_id": None},
        "its own complement": {"price_min": None, "price_max": None, "complement_token_id": "yes"},
    }.items():
        market = YES.model_copy(update=changes)
        found[name] = calibrate_market(duckdb_store, settings, subject_of(market), as_of=END, lookback_days=2)
    assert [name for name, one in found.items() if "complement_apart" in one.flags] == ["unbounded"]
    assert found["declared"].n_trades == len(tape.trades)
    assert {one.n_trades for name, one in found.items() if name != "declared"} == {np.count_nonzero(~is_no)}
    # What four tenths of the flow do is noise to the rest: it explains less, and its own steps stay.
    assert found["unbounded"].r2 < found["declared"].r2


def test_a_late_trade_of_the_complement_makes_its_day_be_read_again(
    duckdb_store: MarketStore, tape: SyntheticTape
) -> None:
    write_market(duckdb_store, YES, tape.trades, tape.books)
    write_entry(duckdb_store, NO)
    before = days_of(duckdb_store)
    late = chosen(mirrored(tape.trades), tape.trades.times > tape.trades.times[-1] - 1)
    late = Trades(late.times, late.prices, late.sizes + 1, late.signs)
    assert len(late) == 1
    duckdb_store.writer.write(TRADES, trade_rows(NO, late, id_prefix="late-"))
    read: list[date] = []
    after = days_of(duckdb_store, read=read.append)
    assert read == [END - timedelta(days=1)]
    assert [one.data_fingerprint == other.data_fingerprint for one, other in zip(before, after, strict=True)] == [
        True,
        False,
    ]
    unbounded = YES.model_copy(update={"price_min": None, "price_max": None})
    assert len({day.data_fingerprint for day in (*days_of(duckdb_store, unbounded), *before, *after)}) == 5


def test_the_same_rows_on_the_other_token_are_other_data(
    duckdb_store: MarketStore, tape: SyntheticTape, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A digest does not name its token: rows that were imported under the wrong one and moved are read again."""
    write_market(duckdb_store, YES, tape.trades, tape.books)
    assert len(days_of(duckdb_store)) == 2
    reader = type(duckdb_store.reader)
    honest, other = reader.fingerprints, {"yes": "no", "no": "yes"}

    def moved(self: MarketDataReader, market_id: str, token_id: str, *window: datetime) -> list[DayFingerprint]:
        return honest(self, market_id, other[token_id], *window)

    monkeypatch.setattr(reader, "fingerprints", moved)
    read: list[date] = []
    days_of(duckdb_store, read=read.append)
    assert len(read) == 2
