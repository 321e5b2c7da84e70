"""Replays of one parent order on the recorded book, with the parameters known before it."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.strategies import ParentOrder, Risk, strategy_named
from tributary_pipelines.analytics.simulation import engine
from tributary_pipelines.analytics.simulation.engine import SimulationResult, simulate_order
from tributary_pipelines.analytics.simulation.result import refuse_replay
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import OrderBooks, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.requests import FillModelName, RefillName, SimulationRequest
from tributary_pipelines.core.result_frames import EXECUTION_SIMULATIONS
from tributary_pipelines.core.settings import AnalyticsSettings, Instrument, SimulationSettings
from tributary_pipelines.core.units import day_start, from_us, iso_z, to_us
from tributary_pipelines.flows.calibration import parameters_as_of
from tributary_pipelines.flows.market_data import find_market
from tributary_pipelines.flows.planning import (
    KnownImpact,
    explicit_model,
    parent_order,
    plan_known,
    risk_of,
    standard_order_id,
    standard_orders,
    standard_risk,
    stored_impact,
    usable_impact,
)
from tributary_pipelines.flows.statistics import fingerprint_of
from tributary_pipelines.storage.base import MarketStore


@dataclass(frozen=True, slots=True)
class _Tape:
    """What was recorded of one token around its orders."""

    market: Market
    books: OrderBooks
    trades: Trades


@dataclass(frozen=True, slots=True)
class _Manner:
    """How an order is replayed: what cuts it into slices, and what fills them when they arrive."""

    strategy: str
    risk: Risk | None
    refill: RefillName
    fill_model: FillModelName
    latency_s: float


def simulate(store: MarketStore, settings: AnalyticsSettings, request: SimulationRequest) -> dict[str, Any]:
    """Replay one order and return the answer of ``tributary analytics simulate``.

    Parameters given by hand win over stored ones; without any the book is still walked, with equal slices, and
    everything that needs parameters is null with the reason.

    Raises
    ------
    DataError
        The market is not in the store.
    """
    market = find_market(store.reader, request.market, request.token)
    order = ParentOrder(
        request.side, request.shares, request.horizon_s, request.n_slices, start_us=to_us(request.start)
    )
    if request.parameters is not None:
        known = KnownImpact(explicit_model(request.parameters, order))
    else:
        usable_at = request.start if request.as_of is None else day_start(request.as_of)
        role = f"the start {iso_z(request.start)}" if request.as_of is None else f"--as-of {request.as_of}"
        known = usable_impact(store, market, order, moment=usable_at, role=role)
    rules = settings.simulation
    tape = _read_tape(store, market, _released_at(order), _end_of(order) + timedelta(seconds=1), rules)
    result = _replay(tape, order, known, _manner_asked_for(request, rules), rules)
    answer = {"order": _describe(request, market, order), **result.to_answer()}
    start = day_start(request.start.astimezone(UTC).date())
    held = store.reader.fingerprints(market.market_id, market.token_id, start, _end_of(order))
    data = [day.digest for day in held]
    stood_on = None if known.parameters is None else (known.parameters.usable_from, known.parameters.data_fingerprint)
    answer["result_id"] = fingerprint_of(answer, data, stood_on, engine.CODE_VERSION)[:16]
    return answer


def _manner_asked_for(request: SimulationRequest, settings: SimulationSettings) -> _Manner:
    return _Manner(
        strategy=request.strategy,
        risk=risk_of(request.risk),
        refill=request.refill,
        fill_model=request.fill_model or settings.default_fill_model,
        latency_s=settings.latency if request.latency_s is None else request.latency_s,
    )


def _describe(request: SimulationRequest, market: Market, order: ParentOrder) -> dict[str, Any]:
    return {
        "market_id": market.market_id,
        "token_id": market.token_id,
        "side": order.side,
        "shares": order.shares,
        "strategy": request.strategy,
        "start": iso_z(request.start),
        "horizon_s": order.horizon_s,
        "slices": order.n_slices,
        "refill": request.refill,
    }


def _end_of(order: ParentOrder) -> datetime:
    return _released_at(order) + timedelta(seconds=order.horizon_s)


def _released_at(order: ParentOrder) -> datetime:
    return from_us(order.start_us or 0)


def _read_tape(
    store: MarketStore, market: Market, start: datetime, end: datetime, settings: SimulationSettings
) -> _Tape:
    token = (market.market_id, market.token_id)
    earliest = start - timedelta(seconds=settings.staleness_limit)
    return _Tape(market, store.reader.order_books(*token, earliest, end), store.reader.trades(*token, start, end))


def _replay(
    tape: _Tape, order: ParentOrder, known: KnownImpact, manner: _Manner, settings: SimulationSettings
) -> SimulationResult:
    planned, reasons = None, known.reasons
    if settings.slippage_multiplier != 1:
        given = settings.slippage_multiplier
        reasons = (*reasons, f"slippage_multiplier {given:g} is not applied by this version; slippage is as replayed")
    if known.model is None and strategy_named(manner.strategy).has_risk_aversion:
        reasons = (*reasons, f"slices: strategy {manner.strategy} needs parameters, so they are equal")
    if known.model is not None:
        lot = tape.market.lot_size
        planned = plan_known(order, known, strategy=manner.strategy, risk=manner.risk, lot_size=lot)
    return simulate_order(
        order,
        planned,
        tape.books,
        tape.trades,
        model=_of_traded_side(known, order),
        market=tape.market,
        staleness_limit_s=settings.staleness_limit,
        latency_s=manner.latency_s,
        refill=manner.refill,
        fill_model=manner.fill_model,
        reasons=reasons,
    )


def _of_traded_side(known: KnownImpact, order: ParentOrder) -> ImpactModel | None:
    """Return the model with the book slope of the side that the order takes from; plans use the mean of both."""
    if known.model is None or known.parameters is None:
        return known.model
    slope = known.parameters.book_slope_buy if order.side == "buy" else known.parameters.book_slope_sell
    return known.model if slope is None else replace(known.model, book_slope=slope)


def simulate_standard_orders(
    store: MarketStore, settings: AnalyticsSettings, instrument: Instrument, market: Market, day: date
) -> pd.DataFrame:
    """Replay every standard order with every strategy on one day (frame EXECUTION_SIMULATIONS).

    The parameters are the newest of windows that end before or at 00:00 UTC of the day: nothing of the day itself.
    """
    start, end = day_start(day), day_start(day) + timedelta(days=1)
    parameters = parameters_as_of(store, market, start)
    held = store.reader.fingerprints(market.market_id, market.token_id, start, end)
    data = held[0].digest if held else None
    tape = _read_tape(store, market, start, end, settings.simulation)
    # What is stored for later days must not change the answer of this one.
    missing = f"{market.market_id} has no parameters from before this day"
    rows = []
    for standard in standard_orders(settings, instrument):
        order = parent_order(standard, day)
        known = stored_impact(parameters, order, missing=missing)
        for strategy in settings.planning.strategies:
            row = {
                **_replay_or_refuse(tape, order, known, strategy, settings).to_row(),
                "timestamp": _released_at(order),
                "market_id": market.market_id,
                "token_id": market.token_id,
                "order_id": standard_order_id(standard, strategy),
                "strategy": strategy,
                "usable_from": None if parameters is None else parameters.usable_from,
                "data_fingerprint": fingerprint_of(data, None if parameters is None else parameters.data_fingerprint),
            }
            row["result_id"] = fingerprint_of(row, engine.CODE_VERSION)[:16]
            rows.append(row)
    return pd.DataFrame(rows, columns=list(EXECUTION_SIMULATIONS.column_names))


def _replay_or_refuse(
    tape: _Tape, order: ParentOrder, known: KnownImpact, strategy: str, settings: AnalyticsSettings
) -> SimulationResult:
    manner = _Manner(
        strategy=strategy,
        risk=standard_risk(strategy, settings.planning.urgency),
        refill="calibrated",
        fill_model=settings.simulation.default_fill_model,
        latency_s=settings.simulation.latency,
    )
    try:
        return _replay(tape, order, known, manner, settings.simulation)
    except ValidationError as error:
        # One order that does not fit this market (its lot, say) must not cost the others their replays.
        return refuse_replay(order, reasons=(str(error),))
