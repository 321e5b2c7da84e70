"""The result of a replay, and its forms for the command line and for the result table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any, Literal

import numpy as np

from tributary_pipelines.analytics.optimization.strategies import ParentOrder
from tributary_pipelines.analytics.simulation.events import FillEvent
from tributary_pipelines.analytics.simulation.metrics import PARTS, Shortfall
from tributary_pipelines.core.requests import RefillName
from tributary_pipelines.core.units import from_us, iso_z

CODE_VERSION = "execution_simulations/1"


@dataclass(frozen=True, slots=True)
class BracketMember:
    """One assumption about how fast displaced quotes come back, fully replayed."""

    shortfall: float | None
    filled: float


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """Prices of the recorded tape over the order's life, P; None where nothing was recorded."""

    market_vwap: float | None
    market_twap: float | None
    arrival: float | None


@dataclass(frozen=True, slots=True, eq=False)
class SimulationResult:
    """One parent order replayed on recorded books.

    Parameters
    ----------
    order : ParentOrder
    status : "ok" or "refused"
        Refused when no slice could be filled; then there is no shortfall.
    reasons, flags : tuple of str
        Why numbers are missing; warnings.
    fills : tuple of FillEvent
        Of the headline member of the bracket.
    unfilled : float
        Shares that no slice could trade.
    shortfall : Shortfall or None
    bracket : mapping
        Member by name; None where its parameters are unknown.
    predicted_cost : float or None
        Expected cost of the plan, quote currency.
    benchmarks : Benchmarks
    decision_mid : float or None
        Mid at the order's start, P: the base of bps.
    no_fill_reasons : tuple of (slice, reason)
        Every slice of which something stayed unfilled.
    """

    order: ParentOrder
    status: Literal["ok", "refused"]
    reasons: tuple[str, ...]
    flags: tuple[str, ...]
    fills: tuple[FillEvent, ...]
    unfilled: float
    shortfall: Shortfall | None
    bracket: Mapping[RefillName, BracketMember | None]
    predicted_cost: float | None
    benchmarks: Benchmarks
    decision_mid: float | None
    no_fill_reasons: tuple[tuple[int, str], ...]

    @property
    def filled(self) -> float:
        """Filled shares."""
        return fsum(fill.quantity for fill in self.fills)

    @property
    def average_price(self) -> float | None:
        """Size-weighted fill price, P; None when nothing filled."""
        return fsum(fill.price * fill.quantity for fill in self.fills) / self.filled if self.fills else None

    @property
    def arrival_mid(self) -> float | None:
        """Mid when the order reached the market, P."""
        return self.benchmarks.arrival

    def shortfall_parts(self) -> dict[str, float | None]:
        """Return total, the parts and the total in bps of shares times decision mid; all None when refused."""
        total = None if self.shortfall is None else self.shortfall.total
        bps = None
        if total is not None and self.decision_mid is not None:
            bps = 1e4 * total / (self.order.shares * self.decision_mid)
        return {"total": total, **{part: getattr(self.shortfall, part, None) for part in PARTS}, "total_bps": bps}

    def to_answer(self) -> dict[str, Any]:
        """Return the answer of the command line's ``simulate`` without ``order`` and ``result_id``."""
        return {
            "status": self.status,
            "reasons": list(self.reasons),
            "flags": list(self.flags),
            "fills": [_answer_fill(fill) for fill in self.fills],
            "filled": self.filled,
            "unfilled": self.unfilled,
            "average_price": self.average_price,
            "arrival_mid": self.arrival_mid,
            "shortfall": self.shortfall_parts(),
            "bracket": {
                name: None if member is None else {"shortfall": member.shortfall, "filled": member.filled}
                for name, member in self.bracket.items()
            },
            "predicted": None
            if self.predicted_cost is None
            else {"cost": self.predicted_cost, "cost_low": None, "cost_high": None},
            "benchmarks": {
                "market_vwap": self.benchmarks.market_vwap,
                "market_twap": self.benchmarks.market_twap,
                "arrival": self.benchmarks.arrival,
            },
            "no_fill_reasons": [{"slice": index, "reason": reason} for index, reason in self.no_fill_reasons],
        }

    def to_row(self) -> dict[str, Any]:
        """Return the row of EXECUTION_SIMULATIONS without what only the caller knows.

        That is timestamp, token, order_id, strategy, usable_from, result_id and data_fingerprint.
        """
        parts = self.shortfall_parts()
        bps = parts.pop("total_bps")
        return {
            "side": self.order.side,
            "shares": self.order.shares,
            "horizon_s": self.order.horizon_s,
            "n_slices": self.order.n_slices,
            "status": self.status,
            "reasons": json.dumps(self.reasons),
            "flags": json.dumps(self.flags),
            "filled": self.filled,
            "unfilled": self.unfilled,
            "average_price": self.average_price,
            "arrival_mid": self.arrival_mid,
            **{f"shortfall_{part}": value for part, value in parts.items()},
            "shortfall_bps": bps,
            **{
                f"{name}_shortfall": None if member is None else member.shortfall
                for name, member in self.bracket.items()
            },
            "predicted_cost": self.predicted_cost,
            "fill_times": np.array([fill.at_us for fill in self.fills], dtype=np.float64),
            "fill_prices": np.array([fill.price for fill in self.fills], dtype=np.float64),
            "fill_quantities": np.array([fill.quantity for fill in self.fills], dtype=np.float64),
            "fill_slices": np.array([fill.slice_index for fill in self.fills], dtype=np.float64),
            "code_version": CODE_VERSION,
        }


def refuse_replay(order: ParentOrder, *, reasons: Sequence[str]) -> SimulationResult:
    """Return the result of an order that cannot be replayed, with the reasons."""
    return SimulationResult(
        order=order,
        status="refused",
        reasons=tuple(reasons),
        flags=(),
        fills=(),
        unfilled=order.shares,
        shortfall=None,
        bracket=dict.fromkeys(("no_refill", "calibrated", "full_refill")),
        predicted_cost=None,
        benchmarks=Benchmarks(None, None, None),
        decision_mid=None,
        no_fill_reasons=(),
    )


def _answer_fill(fill: FillEvent) -> dict[str, Any]:
    return {
        "at": iso_z(from_us(fill.at_us)),
        "price": fill.price,
        "quantity": fill.quantity,
        "slice": fill.slice_index,
        "level": fill.level,
        "snapshot_at": iso_z(from_us(fill.snapshot_us)),
        "snapshot_age_s": fill.snapshot_age_s,
    }
