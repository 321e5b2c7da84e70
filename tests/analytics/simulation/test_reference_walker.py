"""The engine against a plain walker that shares no code with it, on random tapes; and nothing looks ahead."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.analytics.simulation.recorded import START_US, trades_of
from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.strategies import ParentOrder
from tributary_pipelines.analytics.simulation import order_tape
from tributary_pipelines.analytics.simulation.engine import simulate_order
from tributary_pipelines.core.errors import SimulationError
from tributary_pipelines.core.frames import OrderBooks
from tributary_pipelines.core.models import Market

TRADES = trades_of((1, 0.5, 10, 1))


@dataclass
class Case:
    order: ParentOrder
    quantities: np.ndarray
    books: OrderBooks
    model: ImpactModel
    market: Market
    latency_s: float
    limit_s: float


def random_case(rng):
    """A short tape with gaps, one-sided and crossed books, and an order of a few slices on it."""
    n, levels, tick = int(rng.integers(1, 25)), int(rng.integers(1, 6)), 0.01
    times = START_US - 10_000_000 + np.cumsum(rng.choice([1, 2_500_000, 10_000_000, 45_000_000], n)).astype(np.int64)
    middle = rng.uniform(0.05, 0.95, n)
    gaps = rng.integers(1, 4, (2, n, levels)).cumsum(axis=2) * tick
    bid_prices, ask_prices = middle[:, None] - gaps[0], middle[:, None] + gaps[1]
    bid_sizes, ask_sizes = rng.choice([0.0, 5.0, 40.0, 100.0], (2, n, levels)) + rng.uniform(0, 9, (2, n, levels))
    for prices, sizes in ((bid_prices, bid_sizes), (ask_prices, ask_sizes)):
        depth = rng.integers(0 if rng.random() < 0.3 else 1, levels + 1, n)
        beyond = np.arange(levels) >= depth[:, None]
        prices[beyond] = np.nan
        sizes[beyond] = np.nan
    crossed = rng.random(n) < 0.1
    bid_prices[crossed] += 0.2
    n_slices = int(rng.integers(1, 9))
    weights = rng.choice([0.0, 1.0, 3.0], n_slices) + (np.arange(n_slices) == 0)
    shares = float(rng.choice([10.0, 150.0, 900.0]))
    order = ParentOrder(
        str(rng.choice(["buy", "sell"])), shares, float(rng.choice([7.0, 60.0, 300.0])), n_slices, START_US
    )
    gamma = float(rng.choice([0.0, 1e-5, 3e-4]))
    model = ImpactModel(
        0.03, gamma, None, 0.01, book_slope=float(rng.choice([1e-5, 2e-4])), resilience_rate=float(rng.choice([0, 900]))
    )
    bounds = {"price_min": 0.0, "price_max": 1.0, "tick_size": tick} if rng.random() < 0.7 else {}
    return Case(
        order,
        weights * (shares / weights.sum()),
        OrderBooks(times, bid_prices, bid_sizes, ask_prices, ask_sizes),
        model,
        Market(market_id="m", token_id="t", **bounds),
        float(rng.choice([0.0, 0.0, 3.0])),
        float(rng.choice([5.0, 30.0])),
    )


def walk(case, kappa, rho):
    """Fills as (slice, level, price, quantity): loops over everything, remembers every fill it made."""
    sign = 1 if case.order.side == "buy" else -1
    books, fills, own, eaten = case.books, [], [], {}
    for k, quantity in enumerate(case.quantities):
        now = START_US + round((k * case.order.horizon_s / case.order.n_slices + case.latency_s) * 1e6)
        if quantity <= 0 or now >= START_US + round(case.order.horizon_s * 1e6):
            continue
        newest = None
        for row in range(len(books.times)):
            if books.times[row] <= now:
                newest = row
        if newest is None or now - books.times[newest] > case.limit_s * 1e6:
            continue
        bid, ask = books.bid_prices[newest][0], books.ask_prices[newest][0]
        if math.isnan(bid) or math.isnan(ask) or bid >= ask:
            continue
        shift = 0.0
        for when, row, amount in own:
            if row != newest:
                shift += case.model.gamma * amount
                shift += kappa * amount * math.exp(-rho * (now - when) / 86_400e6)
        prices, sizes = (
            (books.ask_prices[newest], books.ask_sizes[newest])
            if sign > 0
            else (books.bid_prices[newest], books.bid_sizes[newest])
        )
        wanted = float(quantity)
        for level, (price, size) in enumerate(zip(prices, sizes, strict=True)):
            shown = price + shift
            if math.isnan(price) or shown <= 0:
                continue
            if case.market.price_max is not None and not 0.01 - 1e-9 <= shown <= 0.99 + 1e-9:
                continue
            amount = min(wanted, size - eaten.get((newest, price), 0.0))
            if amount <= 1e-9:
                continue
            fills.append((k + 1, level + 1, shown, amount))
            own.append((now, newest, sign * amount))
            eaten[newest, price] = eaten.get((newest, price), 0.0) + amount
            wanted -= amount
    return fills


def replay(case, refill, books=None, trades=TRADES):
    return simulate_order(
        case.order,
        case.quantities,
        case.books if books is None else books,
        trades,
        model=case.model,
        market=case.market,
        staleness_limit_s=case.limit_s,
        latency_s=case.latency_s,
        refill=refill,
    )


def test_every_fill_equals_the_plain_walk():
    rng = np.random.default_rng(20260101)
    n_fills = n_empty = n_short = n_costed = 0
    for _ in range(1_200):
        case = random_case(rng)
        kappa = max(2 * case.model.book_slope - case.model.gamma, 0.0)
        for refill, k, rho in (
            ("no_refill", kappa, 0.0),
            ("calibrated", kappa, case.model.resilience_rate),
            ("full_refill", 0.0, 0.0),
        ):
            expected = walk(case, k, rho)
            result = replay(case, refill)
            found = [(fill.slice_index, fill.level, fill.price, fill.quantity) for fill in result.fills]
            assert [row[:2] for row in found] == [row[:2] for row in expected]
            np.testing.assert_allclose([row[2:] for row in found], [row[2:] for row in expected], rtol=1e-9, atol=1e-9)
            assert result.filled + result.unfilled == pytest.approx(case.order.shares, rel=1e-12)
            n_fills += len(found)
            n_empty += not found
            n_short += bool(found) and result.unfilled > 0
            n_costed += result.unfilled > 0 and result.shortfall is not None and result.shortfall.total is not None
    assert n_fills > 4_000
    assert min(n_empty, n_short, n_costed) > 300


def outcome(result):
    return (
        [(fill.at_us, fill.level, fill.price, fill.quantity) for fill in result.fills],
        result.benchmarks,
        result.shortfall,
    )


def later_changed(books, from_us):
    """The same tape with another future."""
    after = books.times >= from_us
    return OrderBooks(
        books.times,
        np.where(after[:, None], books.bid_prices - 0.005, books.bid_prices),
        np.where(after[:, None], books.bid_sizes * 3, books.bid_sizes),
        np.where(after[:, None], books.ask_prices + 0.005, books.ask_prices),
        np.where(after[:, None], books.ask_sizes / 3, books.ask_sizes),
    )


def test_the_future_changes_nothing():
    rng = np.random.default_rng(7)
    n_changed = 0
    for _ in range(200):
        case = random_case(rng)
        end_us = START_US + round(case.order.horizon_s * 1e6)
        plain = replay(case, "calibrated")
        future = replay(
            case, "calibrated", later_changed(case.books, end_us + 1), trades_of((1, 0.5, 10, 1), (301, 0.9, 5, 1))
        )
        assert outcome(future) == outcome(plain)
        for fill in plain.fills:
            cut = replay(case, "calibrated", later_changed(case.books, fill.at_us + 1))
            known = [row for row in outcome(plain)[0] if row[0] <= fill.at_us]
            assert outcome(cut)[0][: len(known)] == known
            n_changed += outcome(cut)[0] != outcome(plain)[0]
    assert n_changed > 50


def test_a_snapshot_from_the_future_is_refused(monkeypatch):
    honest = order_tape._see
    monkeypatch.setattr(
        order_tape,
        "_see",
        lambda books, row, at_us, limit_us: honest(books, min(row + 1, len(books) - 1), at_us, limit_us),
    )
    with pytest.raises(SimulationError, match="snapshot from its future"):
        test_the_future_changes_nothing()


def test_a_hidden_leak_is_seen(monkeypatch):
    """The test above can fail: an engine that shows the next snapshot's sizes under this one's time is found out."""

    honest = order_tape._see

    def peek(books, row, at_us, limit_us):
        seen = honest(books, row, at_us, limit_us)
        if isinstance(seen, str) or row + 1 == len(books):
            return seen
        return replace(seen, ask_sizes=books.ask_sizes[row + 1], bid_sizes=books.bid_sizes[row + 1])

    monkeypatch.setattr(order_tape, "_see", peek)
    with pytest.raises(AssertionError):
        test_the_future_changes_nothing()
