"""The group ``tributary analytics``: calibrate and history.

People get tables and a trader's words (reports/plain_words.py), programs the answers of the contract; nothing is
computed here.
"""

from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tributary_pipelines.cli.options import DAY, FILE, Command, Group, invocation, json_option, market_options
from tributary_pipelines.cli.output import answer, days_of, note, number, print_table, progress

if TYPE_CHECKING:
    from rich.console import Console

    from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters, Estimate
    from tributary_pipelines.core.models import Market

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
People also read each number in words, what flags mean and what would help (docs/calibration.md explains them).
Exit status 3 when the market is refused; the answer then names the reasons.
"""

_HISTORY_EXAMPLES = """
\b
Examples:
  tributary analytics history --market demo_liquid --days 30
  tributary analytics history --market M --plot history.png
  tributary analytics history --market M --json

\b
In the table, 0.0308±7% has a 95 % interval 7 % to either side, * is borrowed from the venue's pool, - is refused. The
picture has bands for intervals, crosses for refused days and diamonds for borrowed values.
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
    answer(found.to_answer(), lambda to: _print_parameters(to, found, chosen.market))


def _print_parameters(to: "Console", found: "AlmgrenChrissParameters", market: "Market") -> None:
    window = f"{found.window_start:%Y-%m-%d} to {found.window_end:%Y-%m-%d}"
    print_table(
        to,
        f"{found.market_id}: {found.status}, window {window}, {found.n_trades} trades, coverage {found.coverage:.1%}",
        ["parameter", "value", "unit", "95 % low", "95 % high", "source"],
        [[name, one.value, one.unit, one.ci_low, one.ci_high, one.source] for name, one in found.estimates.items()],
    )
    _print_words(to, found, market)


def _print_words(to: "Console", found: "AlmgrenChrissParameters", market: "Market") -> None:
    """Say what each parameter means, why others are missing, what to beware of and what would help."""
    from tributary_pipelines.reports.plain_words import describe, flag_lines, missing, unexplained, window_reasons
    from tributary_pipelines.reports.warning_words import advice

    sentences = describe(found, market) | missing(found)
    unsaid = unexplained(found)
    groups = (
        [f"{'refused' if found.status == 'refused' else 'note'}: {reason}" for reason in window_reasons(found)],
        [f"not known for that reason: {', '.join(unsaid)}"] if unsaid else [],
        [f"{name}: {sentences[name]}" for name in found.estimates if name in sentences],
        [f"flag {line}" for line in flag_lines(found)],
        [f"what helps: {step}" for step in advice(found.reasons, found.flags)],
    )
    for line in chain.from_iterable(groups):
        to.print(line, markup=False)


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
    from tributary_pipelines.reports.history_plot import parameter_history

    if not rows:
        raise DataError(
            f"there is no history of {market_id} to draw; "
            "make one with 'tributary analytics calibrate' or 'tributary run'"
        )
    plot.write_bytes(parameter_history(rows))
    note(f"wrote {plot}")


def _print_history(to: "Console", market_id: str, rows: list["AlmgrenChrissParameters"]) -> None:
    known = [name for name in (rows[-1].estimates if rows else ()) if any(row.value(name) is not None for row in rows)]
    # eta is book_slope times the slicing interval: a column of it would say nothing new.
    names = [name for name in known if name != "eta"]
    print_table(
        to,
        f"{market_id}: parameters by day, with half the width of their 95 % interval",
        ["usable from", "status", *(name.replace("_", " ") for name in names)],
        [
            [f"{row.usable_from:%Y-%m-%d}", row.status, *(_compact(row.estimates[name]) for name in names)]
            for row in rows
        ],
    )
    if any(one.source == "pooled" for row in rows for one in row.estimates.values()):
        to.print("* borrowed from the venue's pool", markup=False)
    refused = [row for row in rows if row.status == "refused"]
    if refused:
        days = days_of(len(refused))
        to.print(f"refused on {days}, last on {refused[-1].usable_from:%Y-%m-%d}:", markup=False)
        for reason in refused[-1].reasons:
            to.print(f"  {reason}", markup=False)


def _compact(estimate: "Estimate") -> str | None:
    """Return an estimate as in ``0.0308±7%``, with a star when it is borrowed."""
    value, low, high = estimate.value, estimate.ci_low, estimate.ci_high
    if value is None:
        return None
    reach = "" if low is None or high is None or not value else f"±{(high - low) / 2 / abs(value):.0%}"
    return number(value, digits=3) + reach.replace("±0%", "") + ("*" if estimate.source == "pooled" else "")
