"""Replays of one parent order on the recorded book, with the parameters known before it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters
from tributary_pipelines.analytics.optimization.plan import ExecutionPlan, plan_order
from tributary_pipelines.analytics.optimization.strategies import ParentOrder, Risk, strategy_named
from tributary_pipelines.analytics.simulation import engine
from tributary_pipelines.analytics.simulation.engine import SimulationResult, simulate_order
from tributary_pipelines.analytics.simulation.result import refuse_replay
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import OrderBooks, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.requests import FillModelName, RefillName, SimulationRequest
from tributary_pipelines.core.result_frames import EXECUTION_SIMULATIONS
from tributary_pipelines.core.settings import AnalyticsSettings, Instrument, StandardOrder
from tributary_pipelines.core.units import day_start, from_us, iso_z, to_us
from tributary_pipelines.flows.calibration import fingerprint_of, parameters_as_of
from tributary_pipelines.flows.market_data import find_market
from tributary_pipelines.flows.planning import (
    explicit_model,
    parent_order,
    risk_of,
    standard_order_id,
    standard_orders,
    standard_risk,
    stored_model,
    usable_model,
)
from tributary_pipelines.storage.base import MarketStore


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
    parameters = None
    if request.parameters is not None:
        model: ImpactModel | None = explicit_model(request.parameters, order)
        reasons: tuple[str, ...] = ()
    else:
        usable_at = request.start if request.as_of is None else day_start(request.as_of)
        role = f"the start {iso_z(request.start)}" if request.as_of is None else f"--as-of {request.as_of}"
        parameters, model, reasons = usable_model(store, market, order, moment=usable_at, role=role)
    result = _replay(
        *_read_tape(store, settings, market, order),
        settings=settings,
        market=market,
        order=order,
        model=model,
        parameters=parameters,
        reasons=reasons,
        strategy=request.strategy,
        risk=risk_of(request.risk),
        refill=request.refill,
        fill_model=request.fill_model or settings.simulation.default_fill_model,
        latency_s=settings.simulation.latency if request.latency_s is None else request.latency_s,
    )
    answer = {"order": _describe(request, market, order), **result.to_answer()}
    start = day_start(request.start.astimezone(UTC).date())
    held = store.reader.fingerprints(market.market_id, market.token_id, start, _end_of(order))
    data = [day.digest for day in held]
    known = None if parameters is None else (parameters.usable_from, parameters.data_fingerprint)
    answer["result_id"] = fingerprint_of(answer, data, known, engine.CODE_VERSION)[:16]
    return answer


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
    store: MarketStore, settings: AnalyticsSettings, market: Market, order: ParentOrder
) -> tuple[OrderBooks, Trades]:
    token = (market.market_id, market.token_id)
    released, end = _released_at(order), _end_of(order) + timedelta(seconds=1)
    earliest = released - timedelta(seconds=settings.simulation.staleness_limit)
    return store.reader.order_books(*token, earliest, end), store.reader.trades(*token, released, end)


def _replay(
    books: OrderBooks,
    trades: Trades,
    *,
    settings: AnalyticsSettings,
    market: Market,
    order: ParentOrder,
    model: ImpactModel | None,
    parameters: AlmgrenChrissParameters | None,
    reasons: tuple[str, ...],
    strategy: str,
    risk: Risk | None,
    refill: RefillName,
    fill_model: FillModelName,
    latency_s: float,
) -> SimulationResult:
    planned: ExecutionPlan | None = None
    if settings.simulation.slippage_multiplier != 1:
        given = settings.simulation.slippage_multiplier
        reasons = (*reasons, f"slippage_multiplier {given:g} is not applied by this version; slippage is as replayed")
    if model is None and strategy_named(strategy).has_risk_aversion:
        reasons = (*reasons, f"slices: strategy {strategy} needs parameters, so they are equal")
    if model is not None:
        planned = plan_order(order, model, strategy=strategy, risk=risk, lot_size=market.lot_size)
    return simulate_order(
        order,
        planned,
        books,
        trades,
        model=_of_traded_side(model, parameters, order),
        market=market,
        staleness_limit_s=settings.simulation.staleness_limit,
        latency_s=latency_s,
        refill=refill,
        fill_model=fill_model,
        reasons=reasons,
    )


def _of_traded_side(
    model: ImpactModel | None, parameters: AlmgrenChrissParameters | None, order: ParentOrder
) -> ImpactModel | None:
    """Return the model with the book slope of the side that the order takes from; plans use the mean of both."""
    if model is None or parameters is None:
        return model
    slope = parameters.book_slope_buy if order.side == "buy" else parameters.book_slope_sell
    return model if slope is None else replace(model, book_slope=slope)


def simulate_standard_orders(
    store: MarketStore, settings: AnalyticsSettings, instrument: Instrument, market: Market, day: date
) -> pd.DataFrame:
    """Replay every standard order with every strategy on one day (frame EXECUTION_SIMULATIONS).

    The parameters are the newest of windows that end before or at 00:00 UTC of the day: nothing of the day itself.
    """
    start, end = day_start(day), day_start(day) + timedelta(days=1)
    earliest = start - timedelta(seconds=settings.simulation.staleness_limit)
    parameters = parameters_as_of(store, market, start)
    held = store.reader.fingerprints(market.market_id, market.token_id, start, end)
    data = held[0].digest if held else None
    books = store.reader.order_books(market.market_id, market.token_id, earliest, end)
    trades = store.reader.trades(market.market_id, market.token_id, start, end)
    rows = []
    for standard in standard_orders(settings, instrument):
        for strategy in settings.planning.strategies:
            row = _simulate_standard(
                books,
                trades,
                settings=settings,
                market=market,
                parameters=parameters,
                standard=standard,
                strategy=strategy,
                day=day,
            )
            row |= {"market_id": market.market_id, "token_id": market.token_id}
            row["usable_from"] = None if parameters is None else parameters.usable_from
            row["data_fingerprint"] = fingerprint_of(data, None if parameters is None else parameters.data_fingerprint)
            row["result_id"] = fingerprint_of(row, engine.CODE_VERSION)[:16]
            rows.append(row)
    return pd.DataFrame(rows, columns=list(EXECUTION_SIMULATIONS.column_names))


def _simulate_standard(
    books: OrderBooks,
    trades: Trades,
    *,
    settings: AnalyticsSettings,
    market: Market,
    parameters: AlmgrenChrissParameters | None,
    standard: StandardOrder,
    strategy: str,
    day: date,
) -> dict[str, Any]:
    order = parent_order(standard, day)
    # What is stored for later days must not change the answer of this one.
    missing = f"{market.market_id} has no parameters from before this day"
    model, reasons = stored_model(parameters, order, missing=missing)
    try:
        result = _replay(
            books,
            trades,
            settings=settings,
            market=market,
            order=order,
            model=model,
            parameters=parameters,
            reasons=reasons,
            strategy=strategy,
            risk=standard_risk(strategy, settings.planning.urgency),
            refill="calibrated",
            fill_model=settings.simulation.default_fill_model,
            latency_s=settings.simulation.latency,
        )
    except ValidationError as error:
        # One order that does not fit this market (its lot, say) must not cost the others their replays.
        result = refuse_replay(order, reasons=(str(error),))
    return {
        **result.to_row(),
        "timestamp": _released_at(order),
        "order_id": standard_order_id(standard, strategy),
        "strategy": strategy,
    }
