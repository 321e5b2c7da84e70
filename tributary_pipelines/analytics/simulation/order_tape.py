"""What one parent order sees of the recorded tape: the snapshot each slice meets, or why it meets none.

A slice trades against the newest snapshot at or before its arrival and no other: when that one is stale, one-sided or
crossed the slice is refused, since an older book would show depth that is known to be gone. Found by bisection, so
the length of the tape does not matter. Mids follow the rule of metrics.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from tributary_pipelines.analytics.optimization.strategies import ParentOrder
from tributary_pipelines.analytics.simulation.events import MarketEvent, OrderEvent
from tributary_pipelines.analytics.simulation.metrics import OrderMids, mid_at
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Float64Array1D, OrderBooks
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import US_PER_S


@dataclass(frozen=True, slots=True)
class OrderTape:
    """What every replay of one order shares: its slices in time and what each meets.

    Parameters
    ----------
    order : ParentOrder
    orders : sequence of OrderEvent
        One a slice that trades, in time.
    markets : sequence of MarketEvent or str
        The snapshot each of them meets, or the reason why it cannot fill.
    mids : OrderMids
    market : Market
    """

    order: ParentOrder
    orders: Sequence[OrderEvent]
    markets: Sequence[MarketEvent | str]
    mids: OrderMids
    market: Market


def life_of(order: ParentOrder) -> tuple[int, int]:
    """Return start and end of an order, microseconds since the epoch.

    Raises
    ------
    ValidationError
        The order has no start.
    """
    if order.start_us is None:
        raise ValidationError("an order needs a start to be replayed (--start)")
    return order.start_us, order.start_us + round(order.horizon_s * US_PER_S)


def look_up(
    order: ParentOrder,
    quantities: Float64Array1D,
    books: OrderBooks,
    market: Market,
    *,
    staleness_limit_s: float,
    latency_s: float,
) -> OrderTape:
    """Find the snapshot that every slice with a quantity meets, and the mids of the order.

    Parameters
    ----------
    order : ParentOrder
        With ``start_us``.
    quantities : (n_slices,) float64
        Shares, >= 0; a slice of 0 sends nothing.
    books : OrderBooks
    market : Market
    staleness_limit_s, latency_s : float
        Seconds; a slice arrives ``latency_s`` after its release.

    Raises
    ------
    ValidationError
        The order has no start, or an option is out of range.
    """
    if not (isfinite(latency_s) and latency_s >= 0):
        raise ValidationError(f"latency must be at least 0s, got {latency_s} (--latency)")
    if not (isfinite(staleness_limit_s) and staleness_limit_s > 0):
        raise ValidationError(f"the staleness limit must be longer than 0s, got {staleness_limit_s}")
    start_us, end_us = life_of(order)
    latency_us = round(latency_s * US_PER_S)
    indices = np.flatnonzero(quantities > 0)
    arrivals = start_us + latency_us + np.round(order.slice_starts_s[indices] * US_PER_S).astype(np.int64)
    rows = np.searchsorted(books.times, arrivals, side="right") - 1
    limit_us = round(staleness_limit_s * US_PER_S)
    orders = [
        OrderEvent(at_us, index + 1, order.sign, quantity)
        for at_us, index, quantity in zip(
            arrivals.tolist(), indices.tolist(), quantities[indices].tolist(), strict=True
        )
    ]
    markets = [
        _see(books, row, event.at_us, limit_us)
        if event.at_us < end_us
        else "after_end: it arrives after the order's end"
        for event, row in zip(orders, rows.tolist(), strict=True)
    ]
    mids = OrderMids(
        mid_at(books, start_us, staleness_limit_s),
        mid_at(books, min(start_us + latency_us, end_us), staleness_limit_s),
        mid_at(books, end_us, staleness_limit_s),
    )
    return OrderTape(order, orders, markets, mids, market)


def _see(books: OrderBooks, row: int, at_us: int, limit_us: int) -> MarketEvent | str:
    """Return the newest snapshot as a slice meets it, or why it cannot be traded on."""
    if row < 0:
        return "no_book: no snapshot within the staleness limit before it"
    snapshot_us = int(books.times[row])
    if at_us - snapshot_us > limit_us:
        age_s = (at_us - snapshot_us) / US_PER_S
        return f"stale_book: the newest snapshot is {age_s:.6g} s old, the limit is {limit_us / US_PER_S:.6g} s"
    bid, ask = books.bid_prices[row, 0], books.ask_prices[row, 0]
    if np.isnan(bid) or np.isnan(ask):
        return f"one_sided_book: the newest snapshot has no {'bids' if np.isnan(bid) else 'asks'}"
    if bid >= ask:
        return f"crossed_book: best bid {bid:g} is not below best ask {ask:g}"
    return MarketEvent(
        at_us, snapshot_us, books.bid_prices[row], books.bid_sizes[row], books.ask_prices[row], books.ask_sizes[row]
    )
