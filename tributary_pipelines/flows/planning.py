"""Execution plans: parameters from the store or by hand and an order in, a trajectory with its cost out."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters
from tributary_pipelines.analytics.optimization.plan import ExecutionPlan, plan_order, refuse_plan
from tributary_pipelines.analytics.optimization.strategies import ParentOrder, Risk, strategy_named
from tributary_pipelines.core.errors import ConfigurationError, ValidationError
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.requests import ExplicitParameters, PlanRequest, RiskChoice
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, EXECUTION_PLANS
from tributary_pipelines.core.settings import AnalyticsSettings, Instrument, StandardOrder
from tributary_pipelines.core.units import SECONDS_PER_DAY, US_PER_S, day_start, to_us
from tributary_pipelines.flows.calibration import parameters_as_of, parameters_of_day
from tributary_pipelines.flows.market_data import default_as_of, find_market
from tributary_pipelines.storage.base import MarketStore


@dataclass(frozen=True, slots=True)
class KnownImpact:
    """What is known of a market's impact before an order: a model, or the reasons why there is none.

    ``parameters`` are the stored ones it stands on, usable or refused; None when nothing is stored or the model was
    given by hand.
    """

    model: ImpactModel | None
    reasons: tuple[str, ...] = ()
    parameters: AlmgrenChrissParameters | None = None


def plan(store: MarketStore | None, request: PlanRequest, *, now: datetime) -> ExecutionPlan:
    """Plan one order; parameters given by hand win over stored ones.

    Returns
    -------
    ExecutionPlan
        Refused, with the reason, when the market has no usable stored parameters.

    Raises
    ------
    DataError
        The market is not in the store.
    """
    order = ParentOrder(request.side, request.shares, request.horizon_s, request.n_slices)
    risk = risk_of(request.risk)
    if request.market is None or store is None:
        if request.parameters is None:
            raise ConfigurationError("a plan needs a market in a store, or sigma, gamma, eta and epsilon")
        return plan_order(order, explicit_model(request.parameters, order), strategy=request.strategy, risk=risk)
    market = find_market(store.reader, request.market, request.token)
    if request.parameters is not None:
        known = KnownImpact(explicit_model(request.parameters, order))
    else:
        as_of = request.as_of or default_as_of(store.reader, market, now=now)
        known = usable_impact(store, market, order, moment=day_start(as_of), role=f"as of {as_of}")
    if known.model is None:
        return refuse_plan(order, strategy=request.strategy, reasons=known.reasons)
    return plan_order(order, known.model, strategy=request.strategy, risk=risk, lot_size=market.lot_size)


def risk_of(choice: RiskChoice) -> Risk | None:
    """Return the risk that was chosen; None leaves it to the strategy, which warns only of a choice it ignores."""
    if not choice.is_given:
        return None
    return Risk(choice.risk_aversion, choice.urgency, choice.lvar_confidence)


def standard_risk(strategy: str, urgency: float) -> Risk | None:
    """Return the settings' urgency for strategies that weigh risk, None for the others."""
    return Risk(urgency=urgency) if strategy_named(strategy).has_risk_aversion else None


def explicit_model(given: ExplicitParameters, order: ParentOrder) -> ImpactModel:
    """Return the model of parameters given by hand: eta holds at tau = horizon / slices, so b = eta / tau."""
    tau_days = order.horizon_s / order.n_slices / SECONDS_PER_DAY
    return ImpactModel(
        sigma=given.sigma,
        gamma=given.gamma,
        eta=given.eta,
        epsilon=given.epsilon,
        book_slope=given.eta / tau_days,
        resilience_rate=given.resilience_rate,
    )


def usable_impact(
    store: MarketStore, market: Market, order: ParentOrder, *, moment: datetime, role: str
) -> KnownImpact:
    """Return what the newest parameters usable at a moment say of an order's impact.

    Parameters
    ----------
    role
        What the moment is to the order, for the reasons, such as "the start 2026-03-01T12:00:00Z".
    """
    parameters = parameters_as_of(store, market, moment)
    if parameters is None:
        return KnownImpact(None, (_why_there_are_none(store, market, moment, role),))
    known = stored_impact(parameters, order, missing="")
    if known.model is not None:
        return known
    day = f"{parameters.usable_from:%Y-%m-%d}"
    refused = f"the parameters of {market.market_id} that are usable from {day} are refused"
    return replace(known, reasons=(refused, *known.reasons))


def _why_there_are_none(store: MarketStore, market: Market, moment: datetime, role: str) -> str:
    name, as_of = market.market_id, moment.astimezone(UTC).date()
    later = store.results.nearest_days(ALMGREN_CHRISS_PARAMETERS, name, market.token_id, as_of).after
    if later is None:
        return f"no parameters are stored for {name}; run 'tributary analytics calibrate --market {name}'"
    # Parameters are stored for the last day of their window and usable from its end.
    return (
        f"parameters of {name} are usable from {later + timedelta(days=1)}, after {role}; "
        f"run 'tributary analytics calibrate --market {name} --as-of {as_of}', or choose a later time"
    )


def stored_impact(parameters: AlmgrenChrissParameters | None, order: ParentOrder, *, missing: str) -> KnownImpact:
    """Return what stored parameters say of an order's impact.

    Parameters
    ----------
    missing
        The reason when there are no parameters.
    """
    if parameters is None:
        return KnownImpact(None, (missing,))
    values = {name: parameters.value(name) for name in ("sigma", "gamma", "epsilon", "book_slope")}
    sigma, gamma, epsilon, slope = values.values()
    if parameters.status == "refused" or sigma is None or gamma is None or epsilon is None or slope is None:
        return KnownImpact(None, parameters.reasons, parameters)
    model = ImpactModel(
        sigma=sigma,
        gamma=gamma,
        eta=slope * order.horizon_s / order.n_slices / SECONDS_PER_DAY,
        epsilon=epsilon,
        fee_per_share=parameters.fee_per_share or 0.0,
        book_slope=slope,
        resilience_rate=parameters.value("resilience_rate"),
    )
    return KnownImpact(model, parameters=parameters)


def standard_orders(settings: AnalyticsSettings, instrument: Instrument) -> tuple[StandardOrder, ...]:
    """Return the standard orders of an instrument: its own, else those of the settings."""
    return settings.planning.orders if instrument.orders is None else instrument.orders


def standard_order_id(standard: StandardOrder, strategy: str) -> str:
    """Return the name of a standard order and strategy, unique within a day.

    Examples
    --------
    >>> standard_order_id(StandardOrder(side="buy", shares=1000, horizon="6h", slices=12), "twap")
    'buy-1000-21600s-12-at43200s-twap'
    """
    order = f"{standard.side}-{standard.shares:.12g}-{standard.horizon:.12g}s-{standard.slices}"
    return f"{order}-at{standard.start:.12g}s-{strategy}"


def parent_order(standard: StandardOrder, day: date) -> ParentOrder:
    """Return a standard order as it is released on a day."""
    released = to_us(day_start(day)) + round(standard.start * US_PER_S)
    return ParentOrder(standard.side, standard.shares, standard.horizon, standard.slices, start_us=released)


def plan_standard_orders(
    store: MarketStore, settings: AnalyticsSettings, instrument: Instrument, market: Market, day: date
) -> pd.DataFrame:
    """Plan every standard order with every strategy from the parameters of this day (frame EXECUTION_PLANS)."""
    parameters = parameters_of_day(store, market, day)
    rows = []
    for standard in standard_orders(settings, instrument):
        for strategy in settings.planning.strategies:
            planned = _plan_standard(parameters, market, standard, strategy, settings.planning.urgency)
            identity = {
                "timestamp": day_start(day),
                "market_id": market.market_id,
                "token_id": market.token_id,
                "order_id": standard_order_id(standard, strategy),
                "usable_from": None if parameters is None else parameters.usable_from,
                "data_fingerprint": None if parameters is None else parameters.data_fingerprint,
            }
            rows.append({**planned.to_row(), **identity})
    return pd.DataFrame(rows, columns=list(EXECUTION_PLANS.column_names))


def _plan_standard(
    parameters: AlmgrenChrissParameters | None, market: Market, standard: StandardOrder, strategy: str, urgency: float
) -> ExecutionPlan:
    order = ParentOrder(standard.side, standard.shares, standard.horizon, standard.slices)
    known = stored_impact(parameters, order, missing=f"{market.market_id} has no parameters of this day")
    if known.model is None:
        return refuse_plan(order, strategy=strategy, reasons=known.reasons)
    risk = standard_risk(strategy, urgency)
    try:
        return plan_order(order, known.model, strategy=strategy, risk=risk, lot_size=market.lot_size)
    except ValidationError as error:
        # One order that does not fit this market (its lot, say) must not cost the others their plans.
        return refuse_plan(order, strategy=strategy, reasons=(str(error),))
