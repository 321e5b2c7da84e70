"""Almgren-Chriss optimal execution: the trajectory, its expected cost and its risk.

Pure formulas for one parent order of X > 0 shares (a buy mirrors a sell), cut into N slices over T days, tau = T / N.
Units: price P, shares, days; so sigma is P/day^0.5, eta is P*day/share, kappa is 1/day and lambda 1/(P*share).

Source: R. Almgren and N. Chriss, "Optimal execution of portfolio transactions", J. Risk 3 (2000), sections 1-3.
Ours: closed forms written with exp(-x) so that nothing overflows, kappa by asinh (acosh loses its digits near 1),
costs as sums (any schedule, exact), and temporary impact as b = eta / tau per share, which may decay at a finite rate.
"""

from dataclasses import dataclass
from math import asinh, exp, isfinite, isinf, sqrt

import numpy as np

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Float64Array1D

#: Below this kappa T the trajectory is a straight line to the last digit.
_STRAIGHT = 1e-8


@dataclass(frozen=True, slots=True)
class ImpactModel:
    """What trading costs and risks in one market, for the side that is traded.

    Parameters
    ----------
    sigma : float
        Volatility of the mid, P/day^0.5, > 0.
    gamma : float
        Permanent impact, P/share, >= 0.
    eta : float or None
        Temporary impact, P*day/share, > 0; holds at one slicing interval only.
    epsilon : float
        Half-spread plus fee, P.
    fee_per_share : float
        The part of epsilon that is a fee, P.
    book_slope : float or None
        b = eta / tau, P/share, > 0; where given it rules, and eta is b tau at whatever interval is traded.
    resilience_rate : float or None
        rho, the rate at which displaced quotes come back, 1/day, >= 0; None when unknown.

    Raises
    ------
    ValidationError
        A value is not finite or has the wrong sign, or neither eta nor book_slope is given.
    """

    sigma: float
    gamma: float
    eta: float | None
    epsilon: float
    fee_per_share: float = 0.0
    book_slope: float | None = None
    resilience_rate: float | None = None

    def __post_init__(self) -> None:
        rules = (
            (isfinite(self.sigma) and self.sigma > 0, f"sigma must be a number above 0, got {self.sigma}"),
            (isfinite(self.gamma) and self.gamma >= 0, f"gamma must be a number of at least 0, got {self.gamma}"),
            (_is_positive(self.eta), f"eta must be a number above 0, got {self.eta}"),
            (_is_positive(self.book_slope), f"book_slope must be a number above 0, got {self.book_slope}"),
            (self.eta is not None or self.book_slope is not None, "one of eta and book_slope must be given"),
            (
                isfinite(self.epsilon) and isfinite(self.fee_per_share) and self.epsilon >= self.fee_per_share,
                f"epsilon must be a number of at least the fee {self.fee_per_share}, got {self.epsilon}",
            ),
            (
                self.resilience_rate is None or (isfinite(self.resilience_rate) and self.resilience_rate >= 0),
                f"resilience_rate must be a number of at least 0, got {self.resilience_rate}",
            ),
        )
        broken = [message for holds, message in rules if not holds]
        if broken:
            raise ValidationError("impact parameters: " + "; ".join(broken))

    def slope_at(self, interval_days: float) -> float:
        """Return b, the temporary impact of one slice per share of it, P/share."""
        if self.book_slope is not None:
            return self.book_slope
        assert self.eta is not None
        return self.eta / interval_days


def _is_positive(value: float | None) -> bool:
    return value is None or (isfinite(value) and value > 0)


@dataclass(frozen=True, slots=True)
class CostComponents:
    """Expected implementation shortfall by cause, in quote currency; they add up to ``total``."""

    spread: float
    permanent: float
    temporary: float
    fees: float

    @property
    def total(self) -> float:
        """Expected cost E."""
        return self.spread + self.permanent + self.temporary + self.fees


def net_temporary_impact(model: ImpactModel, interval_days: float) -> float:
    """Return eta~ = eta - gamma tau / 2, P*day/share: the part of temporary impact that slicing can avoid.

    Raises
    ------
    ValidationError
        eta~ is not above 0, so that cost falls without limit as slices grow and there is no optimum.

    Examples
    --------
    >>> round(net_temporary_impact(ImpactModel(0.95, 2.5e-7, 2.5e-6, 0.0625), 1.0), 12)
    2.375e-06
    """
    slope = model.slope_at(interval_days)
    net = (slope - model.gamma / 2) * interval_days
    if not net > 0:
        raise ValidationError(
            f"no optimal trajectory: temporary impact {slope:g} per share must exceed gamma / 2 = {model.gamma / 2:g}; "
            "give a larger eta, a smaller gamma, or a strategy without risk aversion (twap)"
        )
    return net


def decay_rate(risk_aversion: float, model: ImpactModel, interval_days: float) -> float:
    """Return kappa of the optimal trajectory, 1/day; infinite for infinite risk aversion.

    kappa = (2 / tau) asinh(kappa~ tau / 2), kappa~^2 = lambda sigma^2 / eta~.

    Raises
    ------
    ValidationError
        ``risk_aversion`` is negative or not a number, or there is no optimum (``net_temporary_impact``).

    Examples
    --------
    >>> round(decay_rate(1e-6, ImpactModel(0.95, 2.5e-7, 2.5e-6, 0.0625), 1.0), 12)
    0.607076163247
    """
    if not risk_aversion >= 0:
        raise ValidationError(f"risk aversion must be a number of at least 0, got {risk_aversion}")
    net = net_temporary_impact(model, interval_days)
    small_interval_rate = sqrt(risk_aversion / net) * model.sigma
    return 2 / interval_days * asinh(small_interval_rate * interval_days / 2)


def optimal_slices(shares: float, horizon_days: float, n_slices: int, kappa: float) -> Float64Array1D:
    """Return the (n_slices,) quantities of the optimal trajectory, in order; their sum is ``shares`` to rounding.

    n_j / X = e^(-kappa (j-1) tau) (1 - e^(-kappa tau)) (1 + e^(-2 kappa (T - t_(j-1/2)))) / (1 - e^(-2 kappa T)).

    Parameters
    ----------
    shares : float
        X >= 0.
    horizon_days : float
        T > 0, days.
    n_slices : int
        N >= 1.
    kappa : float
        Decay rate, 1/day, >= 0; 0 is the straight line, infinity everything in the first slice.

    Examples
    --------
    >>> optimal_slices(1e6, 5.0, 5, 0.60707616324706).round(3).tolist()
    [458044.446, 252101.335, 141956.732, 85755.686, 62141.802]
    """
    if isinf(kappa) or n_slices == 1:
        return np.concatenate(([shares], np.zeros(n_slices - 1)))
    if kappa * horizon_days < _STRAIGHT:
        return np.full(n_slices, shares / n_slices)
    interval = horizon_days / n_slices
    j = np.arange(1, n_slices + 1)
    mirrored = 1 + np.exp(-2 * kappa * interval * (n_slices - j + 0.5))
    scale = np.expm1(-kappa * interval) / np.expm1(-2 * kappa * horizon_days)
    slices: Float64Array1D = shares * scale * mirrored * np.exp(-kappa * interval * (j - 1))
    return slices


def holdings(slices: Float64Array1D) -> Float64Array1D:
    """Return the (N + 1,) shares still to trade before the first and after each slice; the last is exactly 0.

    Examples
    --------
    >>> holdings(np.array([3.0, 2.0, 1.0])).tolist()
    [6.0, 3.0, 1.0, 0.0]
    """
    # Summed from the end: a difference from X would lose the digits of a nearly finished order.
    return np.concatenate((np.cumsum(slices[::-1])[::-1], [0.0]))


def cost_components(slices: Float64Array1D, model: ImpactModel, interval_days: float) -> CostComponents:
    """Return the expected cost of any schedule with one slice per interval.

    E = epsilon X + b sum n_k^2 + sum_{i<k} n_i n_k (gamma + c e^(-rho (t_k - t_i))), c = 2b - gamma (0 where gamma is
    larger). Without rho the c term is absent and E is Almgren-Chriss':
    gamma X^2 / 2 + epsilon X + (eta~ / tau) sum n_k^2.

    Parameters
    ----------
    slices : (N,) float64
        Quantities, >= 0, in order.
    model : ImpactModel
    interval_days : float
        tau > 0, days.

    Examples
    --------
    >>> model = ImpactModel(0.95, 2.5e-7, 2.5e-6, 0.0625)
    >>> round(cost_components(np.full(5, 2e5), model, 1.0).total, 6)
    662500.0
    """
    total = float(slices.sum())
    squares = float(slices @ slices)
    slope = model.slope_at(interval_days)
    temporary = slope * squares
    if model.resilience_rate is not None:
        temporary += max(2 * slope - model.gamma, 0.0) * _carry(slices, exp(-model.resilience_rate * interval_days))
    return CostComponents(
        spread=(model.epsilon - model.fee_per_share) * total,
        permanent=model.gamma * (total * total - squares) / 2,
        temporary=temporary,
        fees=model.fee_per_share * total,
    )


def _carry(slices: Float64Array1D, decay: float) -> float:
    """Return sum_{i<k} n_i n_k decay^(k - i)."""
    displaced, carry = 0.0, 0.0
    for quantity in slices.tolist():
        carry += quantity * displaced
        displaced = (displaced + quantity) * decay
    return carry


def cost_variance(slices: Float64Array1D, sigma: float, interval_days: float) -> float:
    """Return V = sigma^2 tau sum_k x_k^2 (x_k after slice k), in squared quote currency.

    Examples
    --------
    >>> round(cost_variance(np.full(5, 2e5), 0.95, 1.0))
    1083000000000
    """
    after = holdings(slices)[1:]
    return sigma * sigma * interval_days * float(after @ after)
