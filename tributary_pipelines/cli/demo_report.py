"""What the demo shows at its end: truth against estimate, simulated costs, and the recording's known answers.

Truth comes from the synthetic markets' own laws; whether a 95 % interval holds it is said for each, also where not.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from math import fsum, log
from typing import TYPE_CHECKING, Any

from tributary_pipelines.cli.output import number, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
    from tributary_pipelines.core.models import Market
    from tributary_pipelines.core.settings import Settings
    from tributary_pipelines.storage.base import MarketStore

RECORDED_MARKET = "binance:BTCUSDT"

#: Exact decimal arithmetic on the recording: trades, BTC and VWAP of each UTC day.
KNOWN_ANSWERS = {
    date(2024, 8, 8): (9_738, 211.86101, 61_707.699234),
    date(2024, 8, 9): (10_166, 226.05451, 61_637.673614),
}
#: Rounding alone puts the truth outside an interval without width.
_ROUNDING = 1e-9
_ORDER_AT = datetime(2024, 8, 9, 0, 0, 30, tzinfo=UTC)


def report(store: "MarketStore", settings: "Settings", truth: Mapping[str, Any], last_day: date) -> dict[str, Any]:
    """Return the demo's answer from what is stored."""
    from tributary_pipelines.flows.calibration import parameters_of_day
    from tributary_pipelines.flows.market_data import find_market

    markets = {name: find_market(store.reader, name) for name in (*truth, RECORDED_MARKET)}
    found = {name: parameters_of_day(store, markets[name], last_day) for name in truth}
    return {
        "last_day": last_day.isoformat(),
        "calibrations": [_calibration(name, one) for name, one in found.items()],
        "estimates": [row for name, one in found.items() for row in _estimates(name, one, truth[name])],
        "simulations": [row for name in truth for row in _simulations(store, markets[name], last_day)],
        "recording": _recording(store, settings, markets[RECORDED_MARKET]),
        "next": "tributary ui",
    }


def _calibration(market_id: str, found: "AlmgrenChrissParameters | None") -> dict[str, Any]:
    names = ("status", "n_trades", "n_days", "coverage", "reasons", "flags", "pool_weight", "pool_markets")
    return {"market_id": market_id, **{name: None if found is None else getattr(found, name) for name in names}}


def _estimates(
    market_id: str, found: "AlmgrenChrissParameters | None", truth: Mapping[str, float]
) -> list[dict[str, Any]]:
    from tributary_pipelines.core.units import PARAMETER_UNITS

    rows = []
    for name, unit in PARAMETER_UNITS.items():
        # eta is book_slope times the slicing interval: it has no truth of its own.
        if name not in truth:
            continue
        one = None if found is None else found.estimates[name]
        value, low, high = (None, None, None) if one is None else (one.value, one.ci_low, one.ci_high)
        rows.append(
            {
                "market_id": market_id,
                "parameter": name,
                "unit": unit,
                "truth": truth[name],
                "estimate": value,
                "ci_low": low,
                "ci_high": high,
                "relative_error": None if value is None else value / truth[name] - 1,
                "source": None if one is None else one.source,
                "holds_truth": _holds(low, truth[name], high),
            }
        )
    return rows


def _holds(low: float | None, true: float, high: float | None) -> bool | None:
    if low is None or high is None:
        return None
    margin = _ROUNDING * abs(true)
    return low - margin <= true <= high + margin


def _simulations(store: "MarketStore", market: "Market", day: date) -> list[dict[str, Any]]:
    from tributary_pipelines.core.result_frames import EXECUTION_PLANS, EXECUTION_SIMULATIONS
    from tributary_pipelines.core.units import day_start

    start, one_day = day_start(day), timedelta(days=1)
    token = (market.market_id, market.token_id)
    # The replay stands on the parameters of the day before, and so do that day's plans of the same orders.
    plans = store.results.read(EXECUTION_PLANS, start - one_day, start, *token).to_dict("records")
    stds = {plan["order_id"]: plan["cost_std"] for plan in plans}
    rows = store.results.read(EXECUTION_SIMULATIONS, start, start + one_day, *token).to_dict("records")
    names = ("market_id", "strategy", "side", "shares", "filled", "average_price", "shortfall_total", "predicted_cost")
    return [
        {
            **{name: row[name] for name in names},
            **{name: row[f"{name}_shortfall"] for name in ("full_refill", "no_refill")},
            "cost_std": stds.get(row["order_id"]),
        }
        for row in rows
    ]


def _recording(store: "MarketStore", settings: "Settings", market: "Market") -> dict[str, Any]:
    from tributary_pipelines.core.requests import SimulationRequest
    from tributary_pipelines.flows.calibration import parameters_of_day
    from tributary_pipelines.flows.simulation import simulate

    calibrated = parameters_of_day(store, market, max(KNOWN_ANSWERS))
    request = SimulationRequest(
        market=market.market_id, start=_ORDER_AT, side="buy", shares=0.5, horizon_s=240, n_slices=8, strategy="twap"
    )
    replayed = simulate(store, settings.analytics, request)
    return {
        "market_id": market.market_id,
        "bars": [_known(store, market, day) for day in KNOWN_ANSWERS],
        "calibration": {
            "status": None if calibrated is None else calibrated.status,
            "reasons": [] if calibrated is None else list(calibrated.reasons),
        },
        "order": {name: replayed[name] for name in ("order", "filled", "average_price", "arrival_mid", "shortfall")},
    }


def _known(store: "MarketStore", market: "Market", day: date) -> dict[str, Any]:
    from tributary_pipelines.core.units import day_start
    from tributary_pipelines.flows.market_data import build_bars

    start = day_start(day)
    bars = build_bars(store, market, start, start + timedelta(days=1), "1d").to_dict("records")
    trades, volume, vwap = KNOWN_ANSWERS[day]
    bar: dict[Any, Any] = bars[0] if bars else {"n_trades": 0, "volume": 0.0, "vwap": None}
    is_equal = (
        bar["n_trades"] == trades
        and abs(bar["volume"] - volume) < 1e-9 * volume
        and bar["vwap"] is not None
        and abs(bar["vwap"] - vwap) < 1e-6
    )
    return {
        "day": day.isoformat(),
        "n_trades": bar["n_trades"],
        "volume": bar["volume"],
        "vwap": bar["vwap"],
        "equals_known_answer": is_equal,
    }


def print_report(to: "Console", plain: Mapping[str, Any]) -> None:
    """Print the demo's answer for people."""
    print_estimates(to, plain["estimates"], plain["last_day"])
    _print_calibrations(to, plain["calibrations"])
    print_orders(to, plain["simulations"], plain["last_day"])
    _print_recording(to, plain["recording"])
    to.print(f"Open the UI: '{plain['next']}' in this folder (or 'make ui')", markup=False)


def print_estimates(to: "Console", estimates: Sequence[Mapping[str, Any]], last_day: str) -> None:
    """Print truth, estimate and interval of each parameter, and how many intervals hold the truth."""
    rows = []
    for row in estimates:
        name, unit, shown = row["parameter"], row["unit"], [row[key] for key in ("truth", "estimate")]
        ends = [row["ci_low"], row["ci_high"]]
        if name == "resilience_rate":
            # A half-life says more than a rate; a high rate is a short one, so the ends change places.
            name, unit = "half_life", "s"
            shown, ends = _half_lives(shown), _half_lives(ends[::-1])
        error = None if None in shown else shown[1] / shown[0] - 1
        source, holds = row["source"], row["holds_truth"]
        rows.append([row["market_id"], name, unit, *shown, *ends, _percent(error), source, holds])
    columns = ["market", "parameter", "unit", "truth", "estimate", "95 % from", "to", "error", "source", "holds truth"]
    print_table(to, f"Truth against estimate, 30 days up to {last_day}", columns, rows, digits=4)
    known = [row["holds_truth"] for row in estimates if row["holds_truth"] is not None]
    to.print(
        f"{sum(known)} of {len(known)} intervals hold the truth; over many markets 95 % should. half_life = "
        "ln 2 / resilience_rate: after that time half of the displaced book is back. pooled: borrowed from other "
        "markets of the venue. refused: the data cannot tell.\n",
        markup=False,
    )


def _print_calibrations(to: "Console", calibrations: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each market that was refused something, borrowed, or carries warnings."""
    for one in calibrations:
        told = [f"{one['market_id']} is {one['status']}", *(one["reasons"] or ())]
        told += [f"warnings: {', '.join(one['flags'])}"] if one["flags"] else []
        to.print("; ".join(told), markup=False)
    to.print("What that means, in words: 'tributary analytics calibrate --market demo_sparse'\n", markup=False)


def _half_lives(rates_per_day: Sequence[float | None]) -> list[float | None]:
    from tributary_pipelines.core.units import SECONDS_PER_DAY

    return [None if rate is None else log(2) * SECONDS_PER_DAY / rate for rate in rates_per_day]


def print_orders(to: "Console", replayed: Sequence[Mapping[str, Any]], day: str) -> None:
    """Print what the replayed orders cost, whether the book refills between slices or not."""
    rows = [
        [
            row["market_id"],
            f"{row['side']} {row['shares']:g}",
            row["strategy"],
            row["filled"],
            row["full_refill"],
            row["no_refill"],
            row["predicted_cost"],
            row["cost_std"],
        ]
        for row in replayed
    ]
    columns = ["market", "order", "strategy", "filled", "cost, book refills", "cost, it does not", "expected", "std"]
    print_table(to, f"Orders replayed on {day} by TWAP and Almgren-Chriss (ac)", columns, rows, digits=4)
    to.print(
        "One path: differences below about one std are noise. Almgren-Chriss buys lower risk, not a lower mean. "
        "Costs are in the quote currency; P is the price unit.\n",
        markup=False,
    )


def _percent(error: float | None) -> str:
    # Adding zero turns a rounded -0.0 into 0.0.
    return "-" if error is None else f"{round(error, 3) + 0.0:+.1%}"


def _print_recording(to: "Console", plain: Mapping[str, Any]) -> None:
    bars = [
        [bar["day"], bar["n_trades"], bar["volume"], f"{bar['vwap']:.6f}", bar["equals_known_answer"]]
        for bar in plain["bars"]
    ]
    columns = ["day", "trades", "volume", "VWAP", "equals known answer"]
    print_table(to, f"A real recording: {plain['market_id']}", columns, bars)
    for reason in plain["calibration"]["reasons"]:
        to.print(f"calibration {plain['calibration']['status']}: {reason}", markup=False)
    to.print()
    _print_order(to, plain["order"])


def _print_order(to: "Console", found: Mapping[str, Any]) -> None:
    asked, cost = found["order"], found["shortfall"]
    price, arrival = (number(found[name], digits=9) for name in ("average_price", "arrival_mid"))
    known = [cost[name] for name in ("spread", "temporary", "permanent") if cost[name] is not None]
    trading = fsum(known) if known else None
    to.print(
        f"replayed on its real book: {asked['side']} {asked['shares']:g} in {asked['slices']} slices from "
        f"{asked['start']}: filled {number(found['filled'])} at {price}, arrival mid {arrival}; "
        f"cost {number(cost['total'])} ({number(cost['total_bps'])} bps) = spread + temporary + permanent "
        f"{number(trading)}, timing {number(cost['timing'])} (the market's own move meanwhile; below 0 it helped)",
        markup=False,
    )
