"""What an executed order cost, against what it met: shortfall by cause, mids and market benchmarks.

Positive = cost. The split is exact: the parts add up to the implementation shortfall with no residual. Mids follow one
rule: for an order's times the last usable mid at or before, null once it is older than the staleness limit. Market
benchmarks use the recorded tape alone, without our fills or their impact.

Source: Perold (1988), expanded implementation shortfall; the split of a simulated fill is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np

from tributary_pipelines.analytics.bars import vwap
from tributary_pipelines.analytics.simulation.events import FillEvent
from tributary_pipelines.core.frames import OrderBooks, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import US_PER_S

PARTS = ("delay", "spread", "temporary", "permanent", "timing", "opportunity", "fees")


@dataclass(frozen=True, slots=True)
class OrderMids:
    """The mids an order is measured against, P; None where no fresh usable book was recorded."""

    decision: float | None
    arrival: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Implementation shortfall on the ordered shares, quote currency, + is a cost; None where a mid is missing.

    Parameters
    ----------
    delay : float or None
        Mid move between decision and arrival, on all shares.
    spread, temporary, permanent : float or None
        Half-spread met; depth walked and own displacement still decaying; own permanent impact.
    timing : float or None
        Mid move between arrival and the slices; without a split of the impact, all that is left of trading.
    opportunity : float or None
        Mid move, own permanent impact included, on what stayed unfilled.
    fees : float
    """

    delay: float | None
    spread: float
    temporary: float | None
    permanent: float | None
    timing: float | None
    opportunity: float | None
    fees: float

    @property
    def total(self) -> float | None:
        """Sum of the parts; None where delay, timing or opportunity is."""
        if self.delay is None or self.timing is None or self.opportunity is None:
            return None
        impact = (self.temporary or 0.0) + (self.permanent or 0.0)
        return self.delay + self.spread + impact + self.timing + self.opportunity + self.fees


def measure_shortfall(
    fills: Sequence[FillEvent],
    *,
    sign: int,
    unfilled: float,
    mids: OrderMids,
    gamma: float,
    market: Market,
    splits_impact: bool,
) -> Shortfall:
    """Return the shortfall of one replayed order, split by cause.

    For a fill q at displayed price r against best a and mid m, with shifts g and h: spread = s q (a - m), temporary =
    s q (r - a + h), permanent = s q g, timing = s q (m - P_0); the rest is the expanded identity of Perold.

    Parameters
    ----------
    fills : sequence of FillEvent
    sign : int
        s, +1 for a buy, -1 for a sell.
    unfilled : float
        Shares, >= 0.
    mids : OrderMids
    gamma : float
        Own permanent impact used in the replay, P/share: what was bought also moved the price of the rest.
    market : Market
        For its fees.
    splits_impact : bool
        False where no impact is known: temporary and permanent are None and timing holds what they would.
    """
    filled = fsum(fill.quantity for fill in fills)
    spread = sign * fsum(fill.quantity * (fill.best - fill.mid) for fill in fills)
    temporary = sign * fsum(fill.quantity * (fill.displayed_price - fill.best + fill.kappa_shift) for fill in fills)
    permanent = sign * fsum(fill.quantity * fill.gamma_shift for fill in fills)
    fees = fsum(fill.quantity * market.fee_per_share(fill.price) for fill in fills)
    delay = timing = opportunity = None
    arrival = mids.arrival
    if arrival is not None:
        timing = sign * fsum(fill.quantity * (fill.mid - arrival) for fill in fills)
        timing += 0.0 if splits_impact else temporary + permanent
        if mids.decision is not None:
            delay = sign * (filled + unfilled) * (arrival - mids.decision)
        if unfilled == 0:
            opportunity = 0.0
        elif mids.end is not None:
            opportunity = sign * unfilled * (mids.end + gamma * sign * filled - arrival)
    if not splits_impact:
        return Shortfall(delay, spread, None, None, timing, opportunity, fees)
    return Shortfall(delay, spread, temporary, permanent, timing, opportunity, fees)


def mid_at(books: OrderBooks, at_us: int, staleness_limit_s: float) -> float | None:
    """Return the last usable mid at or before a time; None when it is older than the limit or there is none."""
    row = int(np.searchsorted(books.times, at_us, side="right")) - 1
    oldest_us = at_us - round(staleness_limit_s * US_PER_S)
    while row >= 0 and books.times[row] >= oldest_us:
        bid, ask = float(books.bid_prices[row, 0]), float(books.ask_prices[row, 0])
        if bid < ask:
            return (bid + ask) / 2
        row -= 1
    return None


def market_twap(books: OrderBooks, start_us: int, end_us: int, staleness_limit_s: float) -> float | None:
    """Return the time-weighted mid over [start, end), a step function whose stale stretches are left out, or None."""
    limit_us = round(staleness_limit_s * US_PER_S)
    seen = books.between(start_us - limit_us, end_us)
    mids = seen.mids
    is_usable = ~np.isnan(mids)
    times, mids = seen.times[is_usable], mids[is_usable]
    ends = np.minimum(np.append(times[1:], end_us), np.minimum(times + limit_us, end_us))
    lasting = np.maximum(ends - np.maximum(times, start_us), 0)
    covered = lasting.sum()
    return float(mids @ lasting / covered) if covered > 0 else None


def market_vwap(trades: Trades, start_us: int, end_us: int) -> float | None:
    """Return the size-weighted price of the tape over [start, end), or None when nothing traded."""
    return vwap(trades.between(start_us, end_us))
