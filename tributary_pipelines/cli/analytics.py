"""The group ``tributary analytics``: calibrate and history."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tributary_pipelines.cli.options import DAY, FILE, Command, Group, invocation, json_option, market_options
from tributary_pipelines.cli.output import answer, note, print_table, progress

if TYPE_CHECKING:
    from rich.console import Console

    from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters, Estimate

analytics = Group(
    "analytics",
    commands={
        "calibrate": "analytics:calibrate",
        "history": "analytics:history",
        "plan": "orders:plan",
        "simulate": "orders:simulate",
    },
    help="Calibrated parameters, execution plans and simulated orders.",
)

_CALIBRATE_EXAMPLES = """
\b
Examples:
  tributary analytics calibrate --market demo_liquid
  tributary analytics calibrate --market M --lookback 14 --as-of 2026-03-01 --json

\b
Only days whose data changed since the last calibration are read. The answer is stored for the day its window ends
with: a run with another --lookback replaces that day's parameters, and plans and simulations then use the new ones.
Exit status 3 when the market is refused; the answer then names the reasons.
"""

_HISTORY_EXAMPLES = """
\b
Examples:
  tributary analytics history --market demo_liquid --days 30
  tributary analytics history --market M --plot history.png
  tributary analytics history --market M --json
"""


@click.command("calibrate", cls=Command, epilog=_CALIBRATE_EXAMPLES)
@market_options
@click.option("--lookback", type=click.IntRange(1, 3650), metavar="DAYS", help="Days of the window; default 30.")
@click.option("--as-of", type=DAY, metavar="DATE", help="End of the window; default after the last complete day.")
@json_option
def calibrate(market: str, token: str | None, lookback: int | None, as_of: date | None) -> None:
    """Estimate a market's impact parameters, and store them."""
    from tributary_pipelines.flows.calibration import calibrate_market
    from tributary_pipelines.flows.subjects import default_window_end, find_subject
    from tributary_pipelines.storage.open import open_store

    settings = invocation().settings()
    with open_store(settings) as store:
        chosen = find_subject(store.reader, market, token)
        window_end = as_of or default_window_end(store.reader, chosen, now=datetime.now(UTC))
        with progress("reading days") as step:
            found = calibrate_market(
                store,
                settings.analytics,
                chosen,
                as_of=window_end,
                lookback_days=lookback,
                progress=lambda day: step(day.isoformat()),
            )
    answer(found.to_answer(), lambda to: _print_parameters(to, found))


def _print_parameters(to: "Console", found: "AlmgrenChrissParameters") -> None:
    window = f"{found.window_start:%Y-%m-%d} to {found.window_end:%Y-%m-%d}"
    has_interval = any(one.ci_low is not None for one in found.estimates.values())
    interval = ["95 % low", "95 % high"] if has_interval else []
    coverage = "-" if found.coverage is None else f"{found.coverage:.1%}"
    print_table(
        to,
        f"{found.market_id}: {found.status}, window {window}, {found.n_trades} trades, coverage {coverage}",
        ["parameter", "value", "unit", *interval, "source"],
        [
            [name, one.value, one.unit, *([one.ci_low, one.ci_high] if interval else []), _source(name, one)]
            for name, one in found.estimates.items()
        ],
    )
    for reason in found.reasons:
        # What no version estimates yet refuses nothing.
        is_refusal = found.status == "refused" and not reason.startswith("resilience_rate")
        to.print(f"{'refused' if is_refusal else 'note'}: {reason}", markup=False)
    if found.flags:
        to.print(f"flags: {', '.join(found.flags)}", markup=False)


def _source(name: str, estimate: "Estimate") -> str:
    is_later = name == "resilience_rate" and estimate.value is None
    return "not estimated yet" if is_later else estimate.source


@click.command("history", cls=Command, epilog=_HISTORY_EXAMPLES)
@market_options
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Days back from the newest.")
@click.option("--plot", type=FILE, metavar="FILE.png", help="Also draw the history.")
@json_option
def history(market: str, token: str | None, days: int, plot: Path | None) -> None:
    """Show the stored parameters of a market, one row a day."""
    from tributary_pipelines.flows.calibration import parameter_history
    from tributary_pipelines.flows.subjects import find_subject
    from tributary_pipelines.storage.open import open_store

    settings = invocation().settings()
    with open_store(settings) as store:
        chosen = find_subject(store.reader, market, token).market
        rows = parameter_history(store, chosen, days=days)
    if plot is not None:
        _draw_history(rows, chosen.market_id, plot)
    answer([row.to_answer() for row in rows], lambda to: _print_history(to, chosen.market_id, rows))
    if not rows:
        note(
            f"no parameters are stored for {chosen.market_id}; "
            f"make them with 'tributary analytics calibrate --market {market}' or 'tributary run'"
        )


def _draw_history(rows: list["AlmgrenChrissParameters"], market_id: str, plot: Path) -> None:
    from tributary_pipelines.core.errors import DataError
    from tributary_pipelines.reports.plots import parameter_history

    if not rows:
        raise DataError(
            f"there is no history of {market_id} to draw; "
            "make one with 'tributary analytics calibrate' or 'tributary run'"
        )
    plot.write_bytes(parameter_history(rows))
    note(f"wrote {plot}")


def _print_history(to: "Console", market_id: str, rows: list["AlmgrenChrissParameters"]) -> None:
    names = [name for name in (rows[-1].estimates if rows else ()) if any(row.value(name) is not None for row in rows)]
    print_table(
        to,
        f"{market_id}: parameters by day",
        ["usable from", "status", "trades", *(name.replace("_", " ") for name in names)],
        [
            [f"{row.usable_from:%Y-%m-%d}", row.status, row.n_trades, *(row.value(name) for name in names)]
            for row in rows
        ],
        digits=4,
    )
