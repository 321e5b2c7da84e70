"""The laws every replay must obey, checked on every run by sums that share no code with the replay.

Nothing is made or lost: fills and remainder make the order, no level gives more than it shows, nothing fills outside
the order's life or against a book from its future, money paid is price times quantity, and the parts of the shortfall
add up to its definition.
"""

from collections.abc import Sequence

import numpy as np

from tributary_pipelines.analytics.optimization.strategies import ParentOrder
from tributary_pipelines.analytics.simulation.events import FillEvent
from tributary_pipelines.analytics.simulation.metrics import OrderMids, Shortfall
from tributary_pipelines.analytics.simulation.order_tape import life_of
from tributary_pipelines.core.errors import SimulationError
from tributary_pipelines.core.models import Market

_TOLERANCE = 1e-9


def verify_replay(
    order: ParentOrder,
    fills: Sequence[FillEvent],
    *,
    unfilled: float,
    shortfall: Shortfall,
    mids: OrderMids,
    gamma: float,
    market: Market,
) -> None:
    """Check a replay against its laws.

    Raises
    ------
    SimulationError
        A law is broken; all breaches are named.
    """
    quantities = np.array([fill.quantity for fill in fills])
    filled = float(quantities.sum())
    breaches = []
    if abs(filled + unfilled - order.shares) > _TOLERANCE * order.shares:
        breaches.append(f"filled {filled:.12g} + unfilled {unfilled:.12g} is not ordered {order.shares:.12g}")
    if (quantities <= 0).any() or unfilled < 0:
        breaches.append("a quantity is not positive")
    breaches += _overdrawn_levels(fills)
    if any(fill.snapshot_us > fill.at_us for fill in fills):
        breaches.append("a fill used a snapshot from its future")
    start, end = life_of(order)
    if not all(start <= fill.at_us < end for fill in fills):
        breaches.append("a fill lies outside the order's life")
    expected = _shortfall_by_definition(order, fills, unfilled=unfilled, mids=mids, gamma=gamma, market=market)
    total = shortfall.total
    scale = order.shares * max((abs(fill.price) for fill in fills), default=1.0)
    if expected is not None and (total is None or not abs(total - expected) <= _TOLERANCE * scale):
        breaches.append(f"the parts of the shortfall add up to {total}, not to {expected:.12g}")
    if breaches:
        raise SimulationError(
            f"replay of {order.side} {order.shares:.12g} at {order.start_us} us broke a law: {'; '.join(breaches)}; "
            "this is a fault of the simulator: please report it with the order and the day"
        )


def _overdrawn_levels(fills: Sequence[FillEvent]) -> list[str]:
    taken: dict[tuple[int, int], float] = {}
    breaches = []
    for fill in fills:
        level = (fill.snapshot_us, fill.level)
        taken[level] = taken.get(level, 0.0) + fill.quantity
        if taken[level] > fill.displayed_size * (1 + _TOLERANCE):
            breaches.append(f"level {fill.level} showed {fill.displayed_size:.12g} and gave {taken[level]:.12g} shares")
    return breaches


def _shortfall_by_definition(
    order: ParentOrder,
    fills: Sequence[FillEvent],
    *,
    unfilled: float,
    mids: OrderMids,
    gamma: float,
    market: Market,
) -> float | None:
    """Return s (sum q p - Q P_d) + s (S - Q)(P_n - P_d) + fees from the cash account, None where a mid is missing."""
    if mids.decision is None or mids.arrival is None or (unfilled > 0 and mids.end is None):
        return None
    cash = fees = filled = 0.0
    for fill in fills:
        cash += fill.price * fill.quantity
        fees += market.fee_per_share(fill.price) * fill.quantity
        filled += fill.quantity
    missed = 0.0
    if unfilled > 0 and mids.end is not None:
        missed = unfilled * (mids.end + gamma * order.sign * filled - mids.decision)
    return order.sign * (cash - filled * mids.decision + missed) + fees
