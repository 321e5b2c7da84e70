"""Market data made and shown: ``synth`` and ``bars``."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from tributary_pipelines.cli.options import (
    DAY,
    Command,
    build_request,
    check_window,
    invocation,
    json_option,
    market_options,
    window_options,
)
from tributary_pipelines.cli.output import answer, days_of, note, print_table, progress

if TYPE_CHECKING:
    from rich.console import Console

_SYNTH_EXAMPLES = """
\b
Examples:
  tributary synth --market toy --days 30 --trades-per-hour 20 --seed 1
  tributary synth --market toy2 --days 5 --trades-per-hour 3 --seed 2 --start 2026-03-01 --set half_life_s=600 --json

\b
Names for --set: p0 sigma r2 gamma depth epsilon tick half_life_s depth_sd level_noise flow_phi chase stamp_delay_s
bounded levels snapshot_s. The same options again change nothing.
"""


@click.command("synth", cls=Command, epilog=_SYNTH_EXAMPLES)
@click.option("--market", required=True, metavar="M", help="Name of the market to make.")
@click.option("--days", type=int, required=True, metavar="N", help="Whole UTC days.")
@click.option("--trades-per-hour", type=float, required=True, metavar="R")
@click.option("--seed", type=int, required=True, metavar="S", help="The same seed makes the same data.")
@click.option("--start", type=DAY, metavar="DATE", help="First day; by default the last day is yesterday.")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the market; may be repeated.")
@json_option
def synth(
    *, market: str, days: int, trades_per_hour: float, seed: int, start: date | None, pairs: tuple[str, ...]
) -> None:
    """Write a synthetic market with known truth into the store."""
    from tributary_pipelines.core.requests import SyntheticRequest
    from tributary_pipelines.flows.market_data import synthesize
    from tributary_pipelines.storage.open import open_store

    request = build_request(
        SyntheticRequest,
        market_id=market,
        n_days=days,
        trades_per_hour=trades_per_hour,
        seed=seed,
        start=start or datetime.now(UTC).date() - timedelta(days=max(days, 1)),
        options=_read_pairs(pairs),
    )
    settings = invocation().settings()
    with open_store(settings) as store, progress(f"writing {days_of(days)} of {market}"):
        plain = synthesize(store, request)
    answer(plain, lambda to: _print_truth(to, plain))


def _read_pairs(pairs: tuple[str, ...]) -> dict[str, float]:
    from tributary_pipelines.core.errors import ValidationError

    options: dict[str, float] = {}
    problems = []
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            options[name.strip()] = _FLAGS[text.lower()] if text.lower() in _FLAGS else float(text)
        except ValueError:
            problems.append(f"--set {pair!r} is not understood; write NAME=NUMBER, such as --set half_life_s=600")
    if problems:
        raise ValidationError("; ".join(problems))
    return options


_FLAGS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


def _print_truth(to: "Console", plain: Mapping[str, Any]) -> None:
    title = f"{plain['market_id']}: {plain['start']} to {plain['end']}"
    print_table(to, title, ["parameter", "truth"], [[name, value] for name, value in plain["truth"].items()])


_BARS_EXAMPLES = """
\b
Examples:
  tributary bars --market demo_liquid --start 2026-03-01 --end 2026-03-02 --width 1h
  tributary bars --market M --start 2026-03-01T12:00:00Z --end 2026-03-01T13:00:00Z --width 5m --json

\b
Widths: a whole number up to 9999 and s, m, h or d. An interval without a trade has no bar.
"""

_BAR_COLUMNS = ("timestamp", "open", "high", "low", "close", "vwap", "volume", "signed_volume", "n_trades")


@click.command("bars", cls=Command, epilog=_BARS_EXAMPLES)
@market_options
@window_options
@click.option("--width", required=True, metavar="W", help="Width of a bar: 30s 5m 1h 1d.")
@json_option
def bars(market: str, token: str | None, start: datetime, end: datetime, width: str) -> None:
    """Show the VWAP bars of a market."""
    from tributary_pipelines.flows.market_data import build_bars, find_market
    from tributary_pipelines.storage.open import open_store

    check_window(start, end)
    settings = invocation().settings()
    with open_store(settings) as store:
        chosen = find_market(store.reader, market, token)
        found = build_bars(store, chosen, start, end, width).to_dict("records")
    title = f"{chosen.market_id}: bars of {width}"
    rows = [[_cell(bar, name) for name in _BAR_COLUMNS] for bar in found]
    answer(found, lambda to: print_table(to, title, [n.replace("_", " ") for n in _BAR_COLUMNS], rows))
    if not found:
        note(f"no trades of {chosen.market_id} in this window; 'tributary import' or 'tributary synth' bring them in")


def _cell(bar: Mapping[Any, Any], name: str) -> Any:
    value = bar[name]
    return value.isoformat(sep=" ", timespec="seconds")[:19] if name == "timestamp" else value
