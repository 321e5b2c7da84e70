"""Small market data for the analytics tests: books and trades by hand, and tapes of known truth."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite

import numpy as np

from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics, compute_impact_statistics
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters, CalibrationGates, calibrate
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticMarket, SyntheticTape, generate_tape
from tributary_pipelines.core.frames import OrderBooks, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import US_PER_S, to_us

START = datetime(2026, 3, 1, tzinfo=UTC)
START_US = to_us(START)

Ladder = Sequence[tuple[float, float]]


def books_of(*snapshots: tuple[float, Ladder, Ladder]) -> OrderBooks:
    """Snapshots given as (seconds after START, bids, asks), ladders best first."""
    width = max([1, *(len(side) for _, *sides in snapshots for side in sides)])
    arrays = np.full((4, len(snapshots), width), np.nan)
    for row, (_, bids, asks) in enumerate(snapshots):
        for column, side in ((0, bids), (2, asks)):
            for level, (price, size) in enumerate(side):
                arrays[column : column + 2, row, level] = price, size
    times = np.array([START_US + round(at * US_PER_S) for at, *_ in snapshots], np.int64)
    return OrderBooks(times, *arrays)


def trades_of(*rows: tuple[float, float, float, int]) -> Trades:
    """Trades given as (seconds after START, price, size, sign)."""
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    times = np.array([START_US + round(at * US_PER_S) for at in columns[0]], np.int64)
    return Trades(times, *(np.array(c, float) for c in columns[1:3]), np.array(columns[3], np.int8))


def tape_of(seed: int, n_days: int = 30, **options: float) -> SyntheticTape:
    return generate_tape(SyntheticMarket(**options), start=START, n_days=n_days, rng=np.random.default_rng(seed))


def statistics_of(trades: Trades, books: OrderBooks, n_days: int, **options) -> list[ImpactStatistics]:
    defaults = {"market_id": "m", "token_id": "t", "tick_size": 0.001}
    days = [(START + timedelta(days=i)).date() for i in range(n_days)]
    return [compute_impact_statistics(trades, books, day=day, **(defaults | options)) for day in days]


def market_of(**options) -> Market:
    return Market(**({"market_id": "m", "token_id": "t", "tick_size": 0.001, "fee_model": "none"} | options))


def calibrate_days(
    days: Sequence[ImpactStatistics],
    n_days: int = 30,
    market: Market | None = None,
    gates: CalibrationGates | None = None,
    **options,
) -> AlmgrenChrissParameters:
    """Calibrate over the ``n_days`` from START, with gates that let small windows pass unless given."""
    return calibrate(
        days,
        market=market or market_of(),
        window_start=START,
        window_end=START + timedelta(days=n_days),
        gates=gates or CalibrationGates(min_trades=1, min_days=1, min_coverage=0.0),
        **options,
    )


def reason_of(found: AlmgrenChrissParameters, name: str) -> str:
    """The reason why one parameter is missing."""
    return next(reason for reason in found.reasons if reason.startswith(f"{name}: "))


def with_signs(trades: Trades, signs: np.ndarray) -> Trades:
    return Trades(trades.times, trades.prices, trades.sizes, np.asarray(signs).astype(np.int8))


def with_sizes(books: OrderBooks, factor: float) -> OrderBooks:
    """The same books, this much deeper."""
    return OrderBooks(
        books.times, books.bid_prices, books.bid_sizes * factor, books.ask_prices, books.ask_sizes * factor
    )


def check_lawful(found: AlmgrenChrissParameters) -> None:
    """No infinity, no NaN, no interval without its value or beside it, and a reason for whatever is missing."""
    for name, cell in found.to_row().items():
        assert not isinstance(cell, float) or isfinite(cell), name
    for name, estimate in found.estimates.items():
        if estimate.value is None:
            assert (estimate.ci_low, estimate.ci_high, estimate.source) == (None, None, "refused")
            assert any(reason.startswith(f"{name}: ") or "needed" in reason for reason in found.reasons)
        elif estimate.ci_low is not None:
            assert estimate.ci_low <= estimate.value <= estimate.ci_high
    assert (found.status == "refused") == bool({"sigma", "gamma", "epsilon", "book_slope"} & refused_of(found))


def refused_of(found: AlmgrenChrissParameters) -> set[str]:
    """The parameters without a value."""
    return {name for name, estimate in found.estimates.items() if estimate.value is None}
