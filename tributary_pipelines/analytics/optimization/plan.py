"""An execution plan: one parent order, sliced by a strategy, with what it should cost and how far that may be off.

Joins the strategies with the cost formulas and nothing else; the answer's keys are those of the command line's
``plan``. Costs are expected implementation shortfall in quote currency, positive = cost.

Source: Almgren and Chriss (2000); the sum with finite resilience is ``almgren_chriss.cost_components``.
"""

import json
from dataclasses import asdict, dataclass
from math import isinf, sqrt
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from tributary_pipelines.analytics.optimization.almgren_chriss import (
    CostComponents,
    ImpactModel,
    cost_components,
    cost_variance,
    decay_rate,
    holdings,
)
from tributary_pipelines.analytics.optimization.risk_aversion import implied_confidence
from tributary_pipelines.analytics.optimization.strategies import ParentOrder, Risk, slice_order, strategy_named
from tributary_pipelines.core.frames import Float64Array1D

CODE_VERSION = "execution_plans/1"

#: Urgency of a strategy with risk aversion when nobody says otherwise.
DEFAULT_RISK = Risk(urgency=1.0)


@dataclass(frozen=True, slots=True)
class RiskForms:
    """One choice of risk in all its forms; all None where the strategy does not weigh risk.

    Parameters
    ----------
    risk_aversion : float or None
        lambda, 1/quote currency; None at the L-VaR corner, where it is infinite.
    urgency, kappa_per_day : float or None
        kappa T and kappa; None at the corner.
    lvar_confidence : float or None
        Confidence at which the plan is the L-VaR optimum: as asked, else the one that lambda implies
        (quantile 2 lambda sqrt(V); 0.5 for a risk-neutral plan, whose L-VaR is its expected cost).
    lvar : float or None
        Expected cost plus that quantile of the risk, quote currency.
    """

    risk_aversion: float | None = None
    urgency: float | None = None
    kappa_per_day: float | None = None
    lvar_confidence: float | None = None
    lvar: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ExecutionPlan:
    """A trajectory with its expected cost and risk; every array is (n_slices,).

    Parameters
    ----------
    strategy : str
    order : ParentOrder
    start_s : float64 array
        Releases, seconds after the first.
    quantities, remaining : float64 array
        Shares of each slice and shares left after it; the quantities add up to the order exactly.
    components : CostComponents or None
    cost_variance : float or None
        Squared quote currency.
    risk : RiskForms
    flags, reasons : tuple of str
        Warnings; why a number is missing.
    status : "ok" or "refused"
        A refused plan has no slices and no costs.
    """

    strategy: str
    order: ParentOrder
    start_s: Float64Array1D
    quantities: Float64Array1D
    remaining: Float64Array1D
    components: CostComponents | None
    cost_variance: float | None
    risk: RiskForms
    flags: tuple[str, ...]
    status: Literal["ok", "refused"]
    reasons: tuple[str, ...]

    @property
    def expected_cost(self) -> float | None:
        """Expected implementation shortfall, quote currency."""
        return None if self.components is None else self.components.total

    @property
    def cost_std(self) -> float | None:
        """Standard deviation of the cost, quote currency."""
        return None if self.cost_variance is None else sqrt(self.cost_variance)

    def to_answer(self) -> dict[str, Any]:
        """Return the answer of the command line's ``plan``."""
        columns = zip(self.start_s.tolist(), self.quantities.tolist(), self.remaining.tolist(), strict=True)
        return {
            "strategy": self.strategy,
            "slices": [
                {"index": index, "start_s": start, "quantity": quantity, "remaining": remaining}
                for index, (start, quantity, remaining) in enumerate(columns, start=1)
            ],
            "expected_cost": self.expected_cost,
            "cost_std": self.cost_std,
            "cost_variance": self.cost_variance,
            **asdict(self.risk),
            "components": {part: self._cost_of(part) for part in ("permanent", "spread", "temporary", "fees")},
            "flags": list(self.flags),
            "status": self.status,
            "reasons": list(self.reasons),
        }

    def to_row(self) -> dict[str, Any]:
        """Return the row of EXECUTION_PLANS without what only the caller knows: day, token, order_id and data."""
        return {
            "strategy": self.strategy,
            "side": self.order.side,
            "shares": self.order.shares,
            "horizon_s": self.order.horizon_s,
            "n_slices": self.order.n_slices,
            "status": self.status,
            "reasons": json.dumps(self.reasons),
            "flags": json.dumps(self.flags),
            "slice_quantities": self.quantities,
            "expected_cost": self.expected_cost,
            "cost_std": self.cost_std,
            **{f"cost_{part}": self._cost_of(part) for part in ("permanent", "spread", "temporary", "fees")},
            **asdict(self.risk),
            "code_version": CODE_VERSION,
        }

    def _cost_of(self, part: str) -> float | None:
        return None if self.components is None else float(getattr(self.components, part))


def plan_order(
    order: ParentOrder,
    model: ImpactModel,
    *,
    strategy: str,
    risk: Risk | None = None,
    lot_size: float | None = None,
) -> ExecutionPlan:
    """Slice an order and say what it should cost.

    Parameters
    ----------
    order : ParentOrder
    model : ImpactModel
        Of the traded side. With a book slope b, eta is b tau at the order's interval; an eta alone is taken as it is.
    strategy : str
        A name of ``STRATEGIES``.
    risk : Risk or None
        None is ``DEFAULT_RISK`` for strategies that weigh risk; the others ignore it, with a flag when it is given.
    lot_size : float or None
        Size increment of the market, shares.

    Raises
    ------
    ConfigurationError
        Unknown strategy.
    ValidationError
        The order is no whole number of lots, or the strategy has no optimum with these parameters.

    Examples
    --------
    >>> model = ImpactModel(0.95, 2.5e-7, 2.5e-6, 0.0625)
    >>> plan_order(ParentOrder("sell", 1e6, 432_000, 5), model, strategy="twap").expected_cost
    662500.0
    """
    weighs_risk = strategy_named(strategy).has_risk_aversion
    chosen = (risk or DEFAULT_RISK) if weighs_risk else None
    risk_aversion = chosen.aversion_for(order, model) if chosen else 0.0
    quantities = slice_order(order, strategy, model=model, risk_aversion=risk_aversion, lot_size=lot_size)
    components = cost_components(quantities, model, order.interval_days)
    variance = cost_variance(quantities, model.sigma, order.interval_days)
    forms = RiskForms()
    if chosen is not None:
        kappa = decay_rate(risk_aversion, model, order.interval_days)
        forms = _risk_forms(
            chosen, risk_aversion, kappa, horizon_days=order.horizon_days, cost=components.total, variance=variance
        )
    return ExecutionPlan(
        strategy=strategy,
        order=order,
        start_s=order.slice_starts_s,
        quantities=quantities,
        remaining=holdings(quantities)[1:],
        components=components,
        cost_variance=variance,
        risk=forms,
        flags=tuple(_flags(order, model, is_risk_ignored=risk is not None and not weighs_risk)),
        status="ok",
        reasons=tuple(_reasons(strategy, weighs_risk, risk_aversion)),
    )


def refuse_plan(order: ParentOrder, *, strategy: str, reasons: tuple[str, ...]) -> ExecutionPlan:
    """Return the plan of an order that the data cannot plan: no slices, no costs, the reasons.

    Raises
    ------
    ConfigurationError
        Unknown strategy.

    Examples
    --------
    >>> refuse_plan(ParentOrder("buy", 1, 60.0, 1), strategy="ac", reasons=("not calibrated",)).to_answer()["slices"]
    []
    """
    strategy_named(strategy)
    empty = np.empty(0)
    return ExecutionPlan(strategy, order, empty, empty, empty, None, None, RiskForms(), (), "refused", reasons)


def _risk_forms(
    risk: Risk, risk_aversion: float, kappa: float, *, horizon_days: float, cost: float, variance: float
) -> RiskForms:
    if risk.lvar_confidence is not None:
        confidence = risk.lvar_confidence
        lvar = cost + NormalDist().inv_cdf(confidence) * sqrt(variance)
    else:
        confidence = implied_confidence(risk_aversion, variance)
        lvar = cost + 2 * risk_aversion * variance
    if isinf(risk_aversion):
        return RiskForms(lvar_confidence=confidence, lvar=lvar)
    urgency = kappa * horizon_days if risk.urgency is None else risk.urgency
    return RiskForms(risk_aversion, urgency, kappa, confidence, lvar)


def _flags(order: ParentOrder, model: ImpactModel, *, is_risk_ignored: bool) -> list[str]:
    flags = []
    if model.resilience_rate is not None and order.interval_days * model.resilience_rate < 5:
        flags.append("slices_faster_than_resilience")
    if model.gamma >= 2 * model.slope_at(order.interval_days):
        flags.append("gamma_ge_2b")
    if is_risk_ignored:
        flags.append("risk_options_ignored")
    return flags


def _reasons(strategy: str, weighs_risk: bool, risk_aversion: float) -> list[str]:
    if not weighs_risk:
        return [f"no_risk_aversion: strategy {strategy} does not weigh risk, so it has no kappa and no L-VaR"]
    return ["lvar_corner"] if isinf(risk_aversion) else []
