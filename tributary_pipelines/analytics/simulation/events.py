"""What passes between the parts of a replay: the market a slice meets, the order it sends, the fills that come back.

One event a slice or a fill, never one a snapshot. Times are microseconds since the epoch (``*_us``), prices P, sizes
shares; ``sign`` is +1 for a buy and -1 for a sell.
"""

from dataclasses import dataclass

from tributary_pipelines.core.frames import Float64Array1D
from tributary_pipelines.core.units import US_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class MarketEvent:
    """The newest snapshot when a slice reaches the market: fresh, two-sided and not crossed.

    Parameters
    ----------
    at_us, snapshot_us : int
        When the slice arrives, and the snapshot's own time, at or before it.
    bid_prices, bid_sizes, ask_prices, ask_sizes : (levels,) float64
        Ladders best first, NaN beyond their depth.
    """

    at_us: int
    snapshot_us: int
    bid_prices: Float64Array1D
    bid_sizes: Float64Array1D
    ask_prices: Float64Array1D
    ask_sizes: Float64Array1D

    @property
    def mid(self) -> float:
        """Middle of the best quotes, P."""
        return float(self.bid_prices[0] + self.ask_prices[0]) / 2


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One market slice; ``quantity`` is positive for both sides, ``slice_index`` starts at 1."""

    at_us: int
    slice_index: int
    sign: int
    quantity: float


@dataclass(frozen=True, slots=True)
class FillEvent:
    """One fill at one displayed level, with everything that explains its price.

    Parameters
    ----------
    at_us, slice_index, sign
        As in the order.
    level : int
        Level of the snapshot's ladder, 1 is the best.
    quantity : float
        Shares, positive.
    displayed_price, displayed_size, depleted : float
        The level as the snapshot shows it, and how much of it earlier slices of this order had eaten.
    gamma_shift, kappa_shift : float
        What own earlier trades moved the quotes by: for good, and still decaying; signed, P.
    snapshot_us : int
        Time of the snapshot.
    best, mid : float
        The snapshot's best price of the side that is eaten, and its mid; both as displayed.
    """

    at_us: int
    slice_index: int
    sign: int
    level: int
    quantity: float
    displayed_price: float
    displayed_size: float
    depleted: float
    gamma_shift: float
    kappa_shift: float
    snapshot_us: int
    best: float
    mid: float

    @property
    def price(self) -> float:
        """Price paid or received, P: the displayed price and both shifts, not rounded to the tick."""
        return self.displayed_price + self.gamma_shift + self.kappa_shift

    @property
    def snapshot_age_s(self) -> float:
        """Age of the snapshot at the fill, seconds."""
        return (self.at_us - self.snapshot_us) / US_PER_S
