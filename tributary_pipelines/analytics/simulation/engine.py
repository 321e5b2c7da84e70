"""Replays one parent order on recorded books: slices meet snapshots, fill, and are measured.

The engine visits the snapshots that a slice meets and no other, so its cost grows with slices, not with the tape.
Nothing after the order's end can change a fill. Every replay is checked against its laws before it is returned.

A run answers with a bracket, each member a full replay: displaced quotes never come back (``no_refill``), come back at
the calibrated rate (``calibrated``), or at once (``full_refill``). Source: our choice, as sparse snapshots cannot tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel, cost_components
from tributary_pipelines.analytics.optimization.plan import ExecutionPlan
from tributary_pipelines.analytics.optimization.strategies import ParentOrder, slice_order
from tributary_pipelines.analytics.simulation.conservation import verify_replay
from tributary_pipelines.analytics.simulation.events import FillEvent
from tributary_pipelines.analytics.simulation.fill_model import FillModel, OwnImpact, fill_model_named
from tributary_pipelines.analytics.simulation.metrics import Shortfall, market_twap, market_vwap, measure_shortfall
from tributary_pipelines.analytics.simulation.order_tape import OrderTape, life_of, look_up
from tributary_pipelines.analytics.simulation.result import CODE_VERSION, Benchmarks, BracketMember, SimulationResult
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Float64Array1D, OrderBooks, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.requests import FillModelName, RefillName

__all__ = ["CODE_VERSION", "SimulationResult", "simulate_order"]


@dataclass(frozen=True, slots=True)
class _Replay:
    fills: tuple[FillEvent, ...]
    unfilled: float
    no_fill_reasons: tuple[tuple[int, str], ...]
    shortfall: Shortfall

    def as_member(self) -> BracketMember:
        return BracketMember(self.shortfall.total if self.fills else None, fsum(f.quantity for f in self.fills))


def simulate_order(
    order: ParentOrder,
    plan: ExecutionPlan | Float64Array1D | None,
    books: OrderBooks,
    trades: Trades,
    *,
    model: ImpactModel | None,
    market: Market,
    staleness_limit_s: float = 30.0,
    latency_s: float = 0.0,
    refill: RefillName = "calibrated",
    fill_model: FillModelName = "orderbook",
    reasons: Sequence[str] = (),
) -> SimulationResult:
    """Replay one parent order.

    Parameters
    ----------
    order : ParentOrder
        With ``start_us``.
    plan : ExecutionPlan, (n_slices,) quantities, or None
        What to trade when, and warnings to pass on; None is equal slices.
    books : OrderBooks
        From ``staleness_limit_s`` before the start; what lies beyond the order's end is not looked at.
    trades : Trades
        For the market's VWAP alone.
    model : ImpactModel or None
        Impact of the traded side, known before the order; None replays without own impact.
    market : Market
        For fees, price bounds and lot.
    staleness_limit_s : float
        Oldest snapshot that may fill or give a mid, seconds, > 0.
    latency_s : float
        From the decision of each slice to its arrival at the market, seconds, >= 0.
    refill : "no_refill", "calibrated" or "full_refill"
        The member of the bracket that is the headline; where its parameters are unknown it is full_refill.
    fill_model : "orderbook", "midpoint" or "spread"
    reasons : sequence of str
        Why there is no model, for the answer.

    Raises
    ------
    ValidationError
        The order has no start, an option is out of range, or the quantities are not those of the order.
    ConfigurationError
        Unknown fill model.
    SimulationError
        The replay broke one of its laws.
    """
    quantities = _quantities_of(order, plan, market)
    tape = look_up(order, quantities, books, market, staleness_limit_s=staleness_limit_s, latency_s=latency_s)
    kind = fill_model_named(fill_model)
    replays: dict[RefillName, _Replay | None] = {
        name: None if impact is None else _replay(tape, kind, impact, splits_impact=model is not None)
        for name, impact in _bracket_of(model, order.interval_days).items()
    }
    lifetime = life_of(order)
    benchmarks = Benchmarks(
        market_vwap(trades, *lifetime), market_twap(books, *lifetime, staleness_limit_s), tape.mids.arrival
    )
    warnings = (
        (model is None, "no_own_impact"),
        (model is not None and replays[refill] is None, "headline_full_refill"),
        (fill_model != "orderbook", "fill_model_flatters"),
    )
    flags = (*(plan.flags if isinstance(plan, ExecutionPlan) else ()), *(flag for holds, flag in warnings if holds))
    predicted = None if model is None else cost_components(quantities, model, order.interval_days).total
    if isinstance(plan, ExecutionPlan):
        predicted = plan.expected_cost
    headline = replays[refill] or replays["full_refill"]
    assert headline is not None
    return _conclude(tape, replays, headline, benchmarks, predicted_cost=predicted, flags=flags, reasons=reasons)


def _quantities_of(order: ParentOrder, plan: ExecutionPlan | Float64Array1D | None, market: Market) -> Float64Array1D:
    if plan is None:
        return slice_order(order, "twap", lot_size=market.lot_size)
    quantities = plan.quantities if isinstance(plan, ExecutionPlan) else plan
    if quantities.shape != (order.n_slices,):
        raise ValidationError(f"the plan has {quantities.size} slices and the order {order.n_slices}")
    if not (quantities >= 0).all() or not abs(quantities.sum() - order.shares) <= 1e-9 * order.shares:
        raise ValidationError(
            f"the plan's quantities must be at least 0 and add up to {order.shares:.12g}, not {quantities.sum():.12g}"
        )
    return quantities


def _bracket_of(model: ImpactModel | None, interval_days: float) -> Mapping[RefillName, OwnImpact | None]:
    if model is None:
        return {"no_refill": None, "calibrated": None, "full_refill": OwnImpact()}
    gamma, rate = model.gamma, model.resilience_rate
    kappa = max(2 * model.slope_at(interval_days) - gamma, 0.0)
    return {
        "no_refill": OwnImpact(gamma, kappa, 0.0),
        "calibrated": None if rate is None else OwnImpact(gamma, kappa, rate),
        "full_refill": OwnImpact(gamma),
    }


def _replay(tape: OrderTape, kind: type[FillModel], impact: OwnImpact, *, splits_impact: bool) -> _Replay:
    model = kind(impact, tape.market)
    fills: list[FillEvent] = []
    no_fill_reasons: list[tuple[int, str]] = []
    unfilled = 0.0
    for event, seen in zip(tape.orders, tape.markets, strict=True):
        if isinstance(seen, str):
            no_fill_reasons.append((event.slice_index, seen))
            unfilled += event.quantity
            continue
        outcome = model.fill(event, seen)
        fills += outcome.fills
        if outcome.reason is not None:
            no_fill_reasons.append((event.slice_index, outcome.reason))
            unfilled += event.quantity - fsum(fill.quantity for fill in outcome.fills)
    shortfall = measure_shortfall(
        fills,
        sign=tape.order.sign,
        unfilled=unfilled,
        mids=tape.mids,
        gamma=impact.gamma,
        market=tape.market,
        splits_impact=splits_impact,
    )
    verify_replay(
        tape.order,
        fills,
        unfilled=unfilled,
        shortfall=shortfall,
        mids=tape.mids,
        gamma=impact.gamma,
        market=tape.market,
    )
    return _Replay(tuple(fills), unfilled, tuple(no_fill_reasons), shortfall)


def _conclude(
    tape: OrderTape,
    replays: Mapping[RefillName, _Replay | None],
    headline: _Replay,
    benchmarks: Benchmarks,
    *,
    predicted_cost: float | None,
    flags: tuple[str, ...],
    reasons: Sequence[str],
) -> SimulationResult:
    missing = _missing(tape, replays, headline, benchmarks)
    return SimulationResult(
        order=tape.order,
        status="ok" if headline.fills else "refused",
        reasons=(*reasons, *missing),
        flags=flags,
        fills=headline.fills,
        unfilled=headline.unfilled,
        shortfall=headline.shortfall if headline.fills else None,
        bracket={name: None if replay is None else replay.as_member() for name, replay in replays.items()},
        predicted_cost=predicted_cost,
        benchmarks=benchmarks,
        decision_mid=tape.mids.decision,
        no_fill_reasons=headline.no_fill_reasons,
    )


def _missing(
    tape: OrderTape, replays: Mapping[RefillName, _Replay | None], headline: _Replay, benchmarks: Benchmarks
) -> list[str]:
    """Say why each null of the answer is null."""
    no_book = "no usable order book within the staleness limit"
    has_impact = replays["no_refill"] is not None
    rules = (
        (not headline.fills, f"no slice of {len(tape.orders)} could be filled; see no_fill_reasons"),
        (tape.mids.decision is None, f"shortfall: {no_book} before the start"),
        (tape.mids.arrival is None, f"arrival_mid: {no_book} before the arrival"),
        (headline.unfilled > 0 and tape.mids.end is None, f"shortfall.opportunity: {no_book} before the end"),
        (benchmarks.market_vwap is None, "benchmarks.market_vwap: no trade was recorded over the order's life"),
        (benchmarks.market_twap is None, "benchmarks.market_twap: no usable order book over the order's life"),
        (not has_impact, "predicted, bracket.no_refill, shortfall.temporary and permanent: no impact parameters"),
        (replays["calibrated"] is None, "bracket.calibrated: no resilience rate"),
        (has_impact, "predicted.cost_low and cost_high: the parameters have no intervals yet"),
    )
    return [reason for is_missing, reason in rules if is_missing]
