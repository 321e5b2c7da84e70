"""Execution strategies: how a parent order is cut into slices, and the registry that names them.

A strategy knows the impact model and the risk aversion it was made with, and answers two questions: the whole
trajectory up front, and the next slice from where the order stands. The second is by default the first slice of the
trajectory of what is left (a receding horizon), which returns the same path as long as nothing was missed.
A new strategy subclasses ``ExecutionStrategy`` and enters ``STRATEGIES``. No market data and no clock here.

Source: Almgren and Chriss (2000) for ``ac``; ``twap`` is its risk-neutral limit.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from difflib import get_close_matches
from math import floor, isfinite
from typing import ClassVar

import numpy as np

from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel, decay_rate, optimal_slices
from tributary_pipelines.analytics.optimization.lots import round_to_lots, sum_exactly
from tributary_pipelines.analytics.optimization.risk_aversion import (
    risk_aversion_from_lvar,
    risk_aversion_from_urgency,
)
from tributary_pipelines.core.errors import ConfigurationError, ValidationError
from tributary_pipelines.core.frames import Float64Array1D
from tributary_pipelines.core.models import Side
from tributary_pipelines.core.units import SECONDS_PER_DAY

MAX_SLICES = 100_000


@dataclass(frozen=True, slots=True)
class ParentOrder:
    """One order to be worked: slice k of N is released at the start of its interval, (k - 1) horizon / N.

    Parameters
    ----------
    side : "buy" or "sell"
    shares : float
        Quantity, > 0.
    horizon_s : float
        Seconds from the first release to the end, > 0.
    n_slices : int
        1 to ``MAX_SLICES``.
    start_us : int or None
        First release, microseconds since the epoch; None when the order has no place in time yet.

    Raises
    ------
    ValidationError
        A value breaks its rule; all are listed.
    """

    side: Side
    shares: float
    horizon_s: float
    n_slices: int
    start_us: int | None = None

    def __post_init__(self) -> None:
        rules = (
            (self.side in ("buy", "sell"), f"side must be buy or sell, got {self.side!r} (--side)"),
            (isfinite(self.shares) and self.shares > 0, f"shares must be above 0, got {self.shares} (--shares)"),
            (
                isfinite(self.horizon_s) and self.horizon_s > 0,
                f"horizon must be longer than 0s, got {self.horizon_s} (--horizon)",
            ),
            (1 <= self.n_slices <= MAX_SLICES, f"slices must be 1 to {MAX_SLICES}, got {self.n_slices} (--slices)"),
        )
        broken = [message for holds, message in rules if not holds]
        if broken:
            raise ValidationError("; ".join(broken))

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self.side == "buy" else -1

    @property
    def horizon_days(self) -> float:
        """T in days."""
        return self.horizon_s / SECONDS_PER_DAY

    @property
    def interval_days(self) -> float:
        """Tau in days."""
        return self.horizon_days / self.n_slices

    @property
    def slice_starts_s(self) -> Float64Array1D:
        """(n_slices,) releases in seconds after the first."""
        return np.arange(self.n_slices) * self.horizon_s / self.n_slices


@dataclass(frozen=True, slots=True)
class Risk:
    """How much risk to avoid, in one of three forms.

    Parameters
    ----------
    risk_aversion : float or None
        lambda, 1/quote currency, >= 0.
    urgency : float or None
        kappa T, >= 0.
    lvar_confidence : float or None
        Confidence of the L-VaR that the trajectory minimises, at least 0.5 and below 1.

    Raises
    ------
    ValidationError
        Not exactly one is given, or it is out of range.
    """

    risk_aversion: float | None = None
    urgency: float | None = None
    lvar_confidence: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.risk_aversion, self.urgency, self.lvar_confidence) if value is not None]
        if len(given) != 1:
            raise ValidationError("give exactly one of --risk-aversion, --urgency and --lvar-confidence")
        if self.lvar_confidence is not None and not 0.5 <= self.lvar_confidence < 1:
            raise ValidationError(
                f"L-VaR confidence must be at least 0.5 and below 1, got {given[0]} (--lvar-confidence)"
            )
        if not (isfinite(given[0]) and given[0] >= 0):
            name = "urgency" if self.urgency is not None else "risk aversion"
            raise ValidationError(f"{name} must be a number of at least 0, got {given[0]} (--{name.replace(' ', '-')})")

    def aversion_for(self, order: ParentOrder, model: ImpactModel) -> float:
        """Return lambda for an order; infinity where the L-VaR optimum is everything in the first slice.

        Raises
        ------
        ValidationError
            There is no optimum (temporary impact too small beside gamma), or the urgency is out of reach.
        """
        if self.urgency is not None:
            return risk_aversion_from_urgency(self.urgency, model, order.horizon_days, order.n_slices)
        if self.lvar_confidence is not None:
            return risk_aversion_from_lvar(
                self.lvar_confidence, order.shares, model, order.horizon_days, order.n_slices
            )
        assert self.risk_aversion is not None
        return self.risk_aversion


class ExecutionStrategy(ABC):
    """How a parent order is sliced.

    Parameters
    ----------
    model : ImpactModel or None
        Impact and risk of the traded side; None is enough for strategies that do not look at it.
    risk_aversion : float
        lambda, 1/quote currency; ignored where ``has_risk_aversion`` is False.
    """

    name: ClassVar[str]
    has_risk_aversion: ClassVar[bool] = False

    def __init__(self, model: ImpactModel | None = None, risk_aversion: float = 0.0) -> None:
        self.model = model
        self.risk_aversion = risk_aversion

    @abstractmethod
    def generate_schedule(self, order: ParentOrder) -> Float64Array1D:
        """Return the (n_slices,) quantities of the whole trajectory, in order, >= 0, before rounding to lots."""

    def next_slice(self, order: ParentOrder, now_s: float, remaining: float) -> float:
        """Return the quantity to trade now, from what is left of the order.

        Parameters
        ----------
        order : ParentOrder
            The whole order.
        now_s : float
            Seconds since the first release; the slice whose interval holds this moment is the one to trade.
        remaining : float
            Shares still to trade, >= 0.
        """
        interval_s = order.horizon_s / order.n_slices
        # A release computed in floats may fall a hair before its own interval.
        left = order.n_slices - floor(now_s / interval_s + 1e-9)
        if remaining <= 0 or left <= 0:
            return 0.0
        rest = ParentOrder(order.side, remaining, left * interval_s, left, order.start_us)
        return float(self.generate_schedule(rest)[0])


class TWAP(ExecutionStrategy):
    """Equal slices."""

    name = "twap"

    def generate_schedule(self, order: ParentOrder) -> Float64Array1D:
        """Return equal quantities."""
        return np.full(order.n_slices, order.shares / order.n_slices)


class AlmgrenChriss(ExecutionStrategy):
    """The trajectory that minimises E + lambda V, with eta = b tau at the order's own slicing interval."""

    name = "ac"
    has_risk_aversion = True

    def generate_schedule(self, order: ParentOrder) -> Float64Array1D:
        """Return the optimal quantities.

        Raises
        ------
        ValidationError
            The strategy was made without a model, or there is no optimum.
        """
        if self.model is None:
            raise ValidationError("strategy ac needs sigma, gamma, eta and epsilon; calibrate the market or give them")
        kappa = decay_rate(self.risk_aversion, self.model, order.interval_days)
        return optimal_slices(order.shares, order.horizon_days, order.n_slices, kappa)


#: Strategies by the name the command line and the settings use.
STRATEGIES: dict[str, type[ExecutionStrategy]] = {strategy.name: strategy for strategy in (TWAP, AlmgrenChriss)}


def strategy_named(name: str) -> type[ExecutionStrategy]:
    """Return a registered strategy.

    Raises
    ------
    ConfigurationError
        No strategy has this name; the message names the nearest one, or all.

    Examples
    --------
    >>> strategy_named("twap").__name__
    'TWAP'
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    near = get_close_matches(name, STRATEGIES, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known strategies: {', '.join(sorted(STRATEGIES))}"
    raise ConfigurationError(f"unknown strategy '{name}'; {hint} (--strategy)")


def slice_order(
    order: ParentOrder,
    strategy: str,
    *,
    model: ImpactModel | None = None,
    risk_aversion: float = 0.0,
    lot_size: float | None = None,
) -> Float64Array1D:
    """Return the (n_slices,) quantities of an order, exact in their sum and whole lots where there is a lot.

    Raises
    ------
    ConfigurationError
        Unknown strategy.
    ValidationError
        The order is no whole number of lots, the strategy needs a model and has none, or there is no optimum.

    Examples
    --------
    >>> slice_order(ParentOrder("buy", 10, 60.0, 4), "twap", lot_size=1.0).tolist()
    [3.0, 3.0, 2.0, 2.0]
    """
    slices = strategy_named(strategy)(model, risk_aversion).generate_schedule(order)
    return sum_exactly(slices, order.shares) if lot_size is None else round_to_lots(slices, order.shares, lot_size)
