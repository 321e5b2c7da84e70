"""How much risk to avoid: lambda from an urgency or from an L-VaR confidence, and back.

lambda itself (1/(P*share)) means nothing without the market beside it, so a person gives urgency kappa T (0 is the
straight line, 1 front-loads gently, 5 hurries) or the confidence of a liquidity-adjusted value at risk.

Source: Almgren and Chriss (2000), sections 2.3 and 3.4; the corner where L-VaR has no interior optimum is ours.
"""

from math import inf, sinh, sqrt
from statistics import NormalDist

from tributary_pipelines.analytics.optimization.almgren_chriss import (
    ImpactModel,
    cost_variance,
    net_temporary_impact,
    optimal_slices,
)
from tributary_pipelines.core.errors import ValidationError

#: Beyond this kappa tau the L-VaR condition has reached its limit to the last digit.
_STEEPEST = 50.0


def risk_aversion_from_urgency(urgency: float, model: ImpactModel, horizon_days: float, n_slices: int) -> float:
    """Return the lambda at which kappa T equals ``urgency``, 1/(P*share).

    lambda = (eta~ / sigma^2) (2 / tau^2) (cosh(u / N) - 1), written with sinh^2 to keep its digits.

    Raises
    ------
    ValidationError
        ``urgency`` is negative, not a number, or so large that lambda is not finite; or there is no optimum.

    Examples
    --------
    >>> model = ImpactModel(0.95, 2.5e-7, 2.5e-6, 0.0625)
    >>> f"{risk_aversion_from_urgency(1.0, model, 5.0, 5):.8e}"
    '1.05614503e-07'
    """
    if not 0 <= urgency <= 700 * n_slices:
        raise ValidationError(f"urgency must be between 0 and 700 for each slice, got {urgency}")
    interval = horizon_days / n_slices
    net = net_temporary_impact(model, interval)
    return net * (2 * sinh(urgency / n_slices / 2) / (interval * model.sigma)) ** 2


def risk_aversion_from_lvar(
    confidence: float, shares: float, model: ImpactModel, horizon_days: float, n_slices: int
) -> float:
    """Return the lambda whose trajectory minimises E + lambda_v sqrt(V), with lambda_v the normal quantile.

    Solves lambda = lambda_v / (2 sqrt(V(lambda))) by bisection on kappa tau: 2 lambda sqrt(V) grows with it from 0
    to 2 eta~ X / (sigma tau^1.5). A larger lambda_v has no interior solution: everything goes in the first slice
    and the answer is infinity; so it is with a single slice.

    Parameters
    ----------
    confidence : float
        At least 0.5 (the straight line) and below 1.
    shares : float
        X > 0.
    model : ImpactModel
    horizon_days : float
        T > 0, days.
    n_slices : int
        N >= 1.

    Raises
    ------
    ValidationError
        ``confidence`` is outside [0.5, 1), or there is no optimum.

    Examples
    --------
    >>> model = ImpactModel(0.95, 2.5e-7, 2.5e-6, 0.0625)
    >>> f"{risk_aversion_from_lvar(0.95, 1e6, model, 5.0, 5):.8e}"
    '1.69411352e-06'
    """
    if not 0.5 <= confidence < 1:
        raise ValidationError(f"L-VaR confidence must be at least 0.5 and below 1, got {confidence}")
    interval = horizon_days / n_slices
    limit = 2 * net_temporary_impact(model, interval) * shares / (model.sigma * interval**1.5)
    quantile = NormalDist().inv_cdf(confidence)
    if quantile <= 0:
        return 0.0
    if n_slices == 1 or quantile >= limit:
        return inf

    def price_of_risk(kappa_tau: float) -> float:
        slices = optimal_slices(shares, horizon_days, n_slices, kappa_tau / interval)
        risk_aversion = risk_aversion_from_urgency(kappa_tau * n_slices, model, horizon_days, n_slices)
        return 2 * risk_aversion * sqrt(cost_variance(slices, model.sigma, interval))

    low, high = 1e-12, _STEEPEST
    middle = sqrt(low * high)
    while low < middle < high:
        low, high = (middle, high) if price_of_risk(middle) < quantile else (low, middle)
        middle = sqrt(low * high)
    return risk_aversion_from_urgency(middle * n_slices, model, horizon_days, n_slices)


def implied_confidence(risk_aversion: float, variance: float) -> float:
    """Return the confidence at which a trajectory with this lambda and V is the L-VaR optimum.

    lambda_v = 2 lambda sqrt(V); a risk-neutral trajectory gives 0.5, whose L-VaR is its expected cost.

    Examples
    --------
    >>> round(implied_confidence(1.69411352e-6, 485461.454**2), 6)
    0.95
    """
    return NormalDist().cdf(2 * risk_aversion * sqrt(variance))
