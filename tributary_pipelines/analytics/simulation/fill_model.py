"""How a market slice fills against a recorded snapshot that does not know of our earlier trades.

Own trades count once. Fills against the snapshot S that a slice meets have eaten its levels; fills against earlier
snapshots shift every quote of S by gamma sum q_i + kappa sum q_i e^(-rho (t - t_i)), because S was recorded without
them. Eating a level and shifting by kappa at age 0 are the same displacement, so no fill does both.

Source: linear propagator with exponential decay (Obizhaeva and Wang 2013; Gatheral 2010); the bookkeeping over
snapshots is ours and is checked against a market that feels the trades.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import exp, inf

import numpy as np

from tributary_pipelines.analytics.simulation.events import FillEvent, MarketEvent, OrderEvent
from tributary_pipelines.core.errors import ConfigurationError
from tributary_pipelines.core.frames import Float64Array1D
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import US_PER_DAY

#: Smaller than this share of a level or of a slice is rounding, not quantity.
_DUST = 1e-12


@dataclass(frozen=True, slots=True)
class OwnImpact:
    """What own trades do to later quotes.

    Parameters
    ----------
    gamma : float
        Stays, P/share.
    kappa : float
        Decays, P/share, >= 0.
    rate_per_day : float
        rho, 1/day; 0 never decays.
    """

    gamma: float = 0.0
    kappa: float = 0.0
    rate_per_day: float = 0.0


class OwnTrades:
    """Memory of own trades over one replay: what they ate of the snapshot in view, what they shift from before it."""

    def __init__(self, impact: OwnImpact) -> None:
        self._impact = impact
        self._at_us = 0
        self._snapshot_us: int | None = None
        self._earlier = self._earlier_decayed = 0.0
        self._current = self._current_decayed = 0.0
        self.depleted: Float64Array1D = np.empty(0)

    def advance(self, at_us: int, snapshot_us: int, n_levels: int) -> tuple[float, float]:
        """Move to a slice's time and snapshot; return the shifts of its quotes by gamma and by kappa, signed, P."""
        decay = exp(-self._impact.rate_per_day * (at_us - self._at_us) / US_PER_DAY)
        self._at_us = at_us
        self._earlier_decayed *= decay
        self._current_decayed *= decay
        if snapshot_us != self._snapshot_us:
            self._snapshot_us = snapshot_us
            self._earlier += self._current
            self._earlier_decayed += self._current_decayed
            self._current = self._current_decayed = 0.0
            self.depleted = np.zeros(n_levels)
        return self._impact.gamma * self._earlier, self._impact.kappa * self._earlier_decayed

    def record(self, sign: int, taken: Float64Array1D) -> None:
        """Remember what a slice took of each level of the snapshot in view."""
        self.depleted = self.depleted + taken
        bought = sign * float(taken.sum())
        self._current += bought
        self._current_decayed += bought


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fills of one slice; ``reason`` says why something stayed unfilled, None when nothing did."""

    fills: tuple[FillEvent, ...]
    reason: str | None


class FillModel(ABC):
    """Turns slices into fills, one after the other; made anew for every replay, as it remembers.

    Parameters
    ----------
    impact : OwnImpact
    market : Market
        For the price bounds and the tick.
    """

    def __init__(self, impact: OwnImpact, market: Market) -> None:
        self._own = OwnTrades(impact)
        self._lowest, self._highest = _tradable_range(market)

    @abstractmethod
    def ladder(self, market: MarketEvent, sign: int) -> tuple[Float64Array1D, Float64Array1D]:
        """Return the prices and sizes, best first, that a buy (+1) or a sell (-1) can take."""

    def fill(self, order: OrderEvent, market: MarketEvent) -> Outcome:
        """Walk the ladder level by level until the slice is done or nothing is left."""
        prices, sizes = self.ladder(market, order.sign)
        by_gamma, by_kappa = self._own.advance(order.at_us, market.snapshot_us, len(prices))
        depleted = self._own.depleted
        shifted = prices + by_gamma + by_kappa
        left = sizes - depleted
        has_left = left > _DUST * np.minimum(sizes, order.quantity)
        is_tradable = (shifted >= self._lowest) & (shifted <= self._highest)
        left = np.where(has_left & is_tradable, left, 0.0)
        before = np.concatenate(([0.0], np.cumsum(left[:-1])))
        taken = np.clip(order.quantity - before, 0.0, left)
        taken[taken <= _DUST * order.quantity] = 0.0
        self._own.record(order.sign, taken)
        fills = tuple(
            FillEvent(
                at_us=order.at_us,
                slice_index=order.slice_index,
                sign=order.sign,
                level=int(level) + 1,
                quantity=float(taken[level]),
                displayed_price=float(prices[level]),
                displayed_size=float(sizes[level]),
                depleted=float(depleted[level]),
                gamma_shift=by_gamma,
                kappa_shift=by_kappa,
                snapshot_us=market.snapshot_us,
                best=float(prices[0]),
                mid=market.mid,
            )
            for level in np.flatnonzero(taken)
        )
        return Outcome(fills, _explain(order, float(taken.sum()), is_barred=bool((has_left & ~is_tradable).any())))


class OrderBookFillModel(FillModel):
    """Displayed depth, exactly: partial fills, never more than a level shows."""

    def ladder(self, market: MarketEvent, sign: int) -> tuple[Float64Array1D, Float64Array1D]:
        """Return the displayed ladder of the other side."""
        return (market.ask_prices, market.ask_sizes) if sign > 0 else (market.bid_prices, market.bid_sizes)


class SpreadFillModel(FillModel):
    """Any size at the best quote: knows the spread and forgets the depth, so it flatters large slices."""

    def ladder(self, market: MarketEvent, sign: int) -> tuple[Float64Array1D, Float64Array1D]:
        """Return the best quote of the other side, bottomless."""
        prices = market.ask_prices if sign > 0 else market.bid_prices
        return prices[:1], np.array([inf])


class MidpointFillModel(FillModel):
    """Any size at the mid: forgets spread and depth, so it flatters every slice."""

    def ladder(self, market: MarketEvent, sign: int) -> tuple[Float64Array1D, Float64Array1D]:  # noqa: ARG002
        """Return the mid, bottomless; the same for both sides."""
        return np.array([market.mid]), np.array([inf])


FILL_MODELS: dict[str, type[FillModel]] = {
    "orderbook": OrderBookFillModel,
    "midpoint": MidpointFillModel,
    "spread": SpreadFillModel,
}


def fill_model_named(name: str) -> type[FillModel]:
    """Return a fill model by its name.

    Raises
    ------
    ConfigurationError
        No fill model has this name.
    """
    if name not in FILL_MODELS:
        raise ConfigurationError(
            f"unknown fill model '{name}'; known fill models: {', '.join(FILL_MODELS)} (--fill-model)"
        )
    return FILL_MODELS[name]


def _tradable_range(market: Market) -> tuple[float, float]:
    """Return the lowest and highest price that can be traded, with a hair for rounding."""
    if market.price_min is None or market.price_max is None:
        return np.nextafter(0.0, 1.0), inf
    tick = market.tick_size or 0.0
    hair = 1e-9 * (tick or market.price_max - market.price_min)
    return max(market.price_min + tick - hair, np.nextafter(0.0, 1.0)), market.price_max - tick + hair


def _explain(order: OrderEvent, taken: float, *, is_barred: bool) -> str | None:
    if taken >= order.quantity * (1 - 1e-9):
        return None
    cause = (
        "outside_price_bounds: own impact moved the rest" if is_barred else "depth_exhausted: the book showed no more"
    )
    return f"{cause} ({taken:.12g} of {order.quantity:.12g} shares filled)"
