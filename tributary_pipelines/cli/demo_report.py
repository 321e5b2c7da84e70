"""What the demo shows at its end: truth against estimate, simulated costs, and the recording's known answers."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tributary_pipelines.cli.output import number, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from tributary_pipelines.core.models import Market
    from tributary_pipelines.core.settings import Settings
    from tributary_pipelines.storage.base import MarketStore

RECORDED_MARKET = "binance:BTCUSDT"

#: Exact decimal arithmetic on the recording: trades, BTC and VWAP of each UTC day.
KNOWN_ANSWERS = {
    date(2024, 8, 8): (9_738, 211.86101, 61_707.699234),
    date(2024, 8, 9): (10_166, 226.05451, 61_637.673614),
}
_ORDER_AT = datetime(2024, 8, 9, 0, 0, 30, tzinfo=UTC)


def report(store: "MarketStore", settings: "Settings", truth: Mapping[str, Any], last_day: date) -> dict[str, Any]:
    """Return the demo's answer from what is stored."""
    from tributary_pipelines.flows.market_data import find_market

    markets = {name: find_market(store.reader, name) for name in (*truth, RECORDED_MARKET)}
    return {
        "last_day": last_day.isoformat(),
        "estimates": [row for name in truth for row in _estimates(store, markets[name], truth[name], last_day)],
        "simulations": [row for name in truth for row in _simulations(store, markets[name], last_day)],
        "recording": _recording(store, settings, markets[RECORDED_MARKET]),
        "next": "tributary ui",
    }


def _estimates(store: "MarketStore", market: "Market", truth: Mapping[str, float], day: date) -> list[dict[str, Any]]:
    from tributary_pipelines.flows.calibration import parameters_of_day

    found = parameters_of_day(store, market, day)
    rows = []
    for name, true in truth.items():
        estimate = None if found is None else found.estimates.get(name)
        value = None if estimate is None else estimate.value
        rows.append(
            {
                "market_id": market.market_id,
                "parameter": name,
                "unit": None if estimate is None else estimate.unit,
                "truth": true,
                "estimate": value,
                "relative_error": None if value is None else value / true - 1,
            }
        )
    return [row for row in rows if row["unit"] is not None]


def _simulations(store: "MarketStore", market: "Market", day: date) -> list[dict[str, Any]]:
    from tributary_pipelines.core.result_frames import EXECUTION_SIMULATIONS
    from tributary_pipelines.core.units import day_start

    start = day_start(day)
    rows = store.results.read(
        EXECUTION_SIMULATIONS, start, start + timedelta(days=1), market.market_id, market.token_id
    )
    names = ("market_id", "strategy", "side", "shares", "filled", "average_price", "shortfall_total", "predicted_cost")
    return [{name: row[name] for name in names} for row in rows.to_dict("records")]


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
    estimates = [
        [
            row["market_id"],
            row["parameter"],
            row["unit"],
            row["truth"],
            row["estimate"],
            _percent(row["relative_error"]),
        ]
        for row in plain["estimates"]
    ]
    columns = ["market", "parameter", "unit", "truth", "estimate", "error"]
    print_table(to, "Truth against estimate, 30 days", columns, estimates)
    simulations = [
        [
            row["market_id"],
            row["strategy"],
            f"{row['side']} {row['shares']:g}",
            row["filled"],
            row["average_price"],
            row["shortfall_total"],
            row["predicted_cost"],
        ]
        for row in plain["simulations"]
    ]
    columns = ["market", "strategy", "order", "filled", "average price", "simulated cost", "expected cost"]
    print_table(to, f"One order replayed on {plain['last_day']}: TWAP and Almgren-Chriss", columns, simulations)
    _print_recording(to, plain["recording"])
    to.print(f"Open the UI: '{plain['next']}' in this folder (or 'make ui')", markup=False)


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
    _print_order(to, plain["order"])


def _print_order(to: "Console", found: Mapping[str, Any]) -> None:
    asked, cost = found["order"], found["shortfall"]
    price, arrival = (number(found[name], digits=9) for name in ("average_price", "arrival_mid"))
    to.print(
        f"replayed on its real book: {asked['side']} {asked['shares']:g} in {asked['slices']} slices from "
        f"{asked['start']}: filled {number(found['filled'])} at {price}, arrival mid {arrival}, "
        f"cost {number(cost['total'])} ({number(cost['total_bps'])} bps)",
        markup=False,
    )
