"""Execution plans: parameters from the store or by hand and an order in, a trajectory with its cost out."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from tributary_pipelines.analytics.calibration.series import SERIES_TOKEN
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

    @property
    def flags(self) -> tuple[str, ...]:
        """Return what to beware of in the stored parameters that the model is made of."""
        flags: list[str] = []
        if self.model is None or self.parameters is None:
            return ()
        if self.parameters.estimates["gamma"].source == "pooled":
            flags.append("gamma_pooled")
        if self.parameters.token_id == SERIES_TOKEN:
            flags.append("parameters_of_series")
        return tuple(flags)


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
    return plan_known(order, known, strategy=request.strategy, risk=risk, lot_size=market.lot_size)


def plan_known(
    order: ParentOrder, known: KnownImpact, *, strategy: str, risk: Risk | None, lot_size: float | None
) -> ExecutionPlan:
    """Plan an order with what is known of its impact; refused, with the reasons, when that is no model.

    Raises
    ------
    ValidationError
        The order does not fit the market, or the strategy has no optimum (``plan_order``).
    """
    if known.model is None:
        return refuse_plan(order, strategy=strategy, reasons=known.reasons)
    planned = plan_order(order, known.model, strategy=strategy, risk=risk, lot_size=lot_size)
    return replace(planned, flags=(*planned.flags, *known.flags))


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
    refused = f"the parameters of {parameters.market_id} that are usable from {day} are refused"
    return replace(known, reasons=(refused, *known.reasons))


def _why_there_are_none(store: MarketStore, market: Market, moment: datetime, role: str) -> str:
    as_of = moment.astimezone(UTC).date()
    stands_on = [(market.market_id, market.token_id)]
    if market.series_id is not None:
        stands_on.append((market.series_id, SERIES_TOKEN))
    later = {
        name: day
        for name, token in stands_on
        if (day := store.results.nearest_days(ALMGREN_CHRISS_PARAMETERS, name, token, as_of).after) is not None
    }
    # A market of a series is seldom open for long enough to have parameters of its own.
    command = f"tributary analytics calibrate --market {stands_on[-1][0]}"
    if not later:
        names = " or its series ".join(name for name, _ in stands_on)
        return f"no parameters are stored for {names}; run '{command}'"
    name = min(later, key=lambda name: later[name])
    # Parameters are stored for the last day of their window and usable from its end.
    return (
        f"parameters of {name} are usable from {later[name] + timedelta(days=1)}, after {role}; "
        f"run '{command} --as-of {as_of}', or choose a later time"
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
    risk = standard_risk(strategy, urgency)
    try:
        return plan_known(order, known, strategy=strategy, risk=risk, lot_size=market.lot_size)
    except ValidationError as error:
        # One order that does not fit this market (its lot, say) must not cost the others their plans.
        return refuse_plan(order, strategy=strategy, reasons=(str(error),))
