"""Files in and out: ``import`` and ``export``."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from tributary_pipelines.cli.options import FILE, Command, check_window, invocation, json_option, window_options
from tributary_pipelines.cli.output import answer, print_table, progress

if TYPE_CHECKING:
    from rich.console import Console

#: Of storage.files.presets, which is too heavy to import for a help.
PRESET_NAMES = ("tributary", "binance", "tardis", "hftbacktest")

_IMPORT_EXAMPLES = """
\b
Examples:
  tributary import trades day1.csv day2.csv --market M --token M
  tributary import books 'books/*.parquet' --market M --token M --time-unit us
  tributary import trades dump.csv --market M --token M --map px=price --map qty=size
  tributary import trades BTCUSDT-trades-2026-03-01.csv --preset binance --market BTCUSDT
  tributary import markets markets.yaml

\b
Columns of trades: timestamp market_id token_id side price size (and trade_id where known)
  of books: timestamp market_id token_id bid_prices bid_sizes ask_prices ask_sizes
  of markets: market_id token_id, and if known complement_token_id slug series_id venue quote_currency tick_size
    lot_size min_order_size price_min price_max fee_model fee_rate fee_exponent resolves_at

\b
side is the taker's: buy/sell, b/s or bid/ask in any case; another one is kept as unknown. Ladders are lists,
JSON text in CSV. Times: ISO-8601 with offset, or integers with --time-unit.

\b
CSV, CSV.gz, Parquet and NDJSON; markets also YAML and JSON. Twice the same file changes nothing. Rows that break a
rule are quarantined with the reason; exit status 1 when all of them do.
"""


@click.command("import", cls=Command, epilog=_IMPORT_EXAMPLES)
@click.argument("stream", type=click.Choice(["trades", "books", "markets"]))
@click.argument("sources", metavar="FILE...", nargs=-1, required=True)
@click.option("--market", metavar="M", help="Market id of rows without that column.")
@click.option("--token", metavar="ID", help="Token id of rows without that column.")
@click.option(
    "--map", "pairs", multiple=True, metavar="THEIRS=OURS", help="Rename a column, such as px=price; may be repeated."
)
@click.option("--preset", type=click.Choice(PRESET_NAMES), help="A known public layout.")
@click.option("--time-unit", type=click.Choice(["s", "ms", "us", "ns"]), help="Unit of integer timestamps.")
@json_option
def import_(
    stream: Literal["trades", "books", "markets"], sources: tuple[str, ...], pairs: tuple[str, ...], **given: Any
) -> None:
    """Bring trades, books or market entries in from files."""
    from tributary_pipelines.core.errors import ValidationError
    from tributary_pipelines.storage.files.importing import import_files
    from tributary_pipelines.storage.files.summary import ImportOptions
    from tributary_pipelines.storage.open import open_store

    options = ImportOptions(mapping=_read_mapping(pairs), **{name: value for name, value in given.items() if value})
    settings = invocation().settings()
    with open_store(settings) as store, progress(f"importing {stream}") as step:
        store.writer.create_tables()
        found = import_files(
            store,
            stream,
            [Path(source) for source in sources],
            options=options,
            progress=lambda n_rows, fraction: step(f"{n_rows:,} rows, {fraction:.0%}"),
        )
    plain = found.to_answer()
    answer(plain, lambda to: _print_summary(to, plain))
    if found.is_all_quarantined:
        first = found.quarantine[0]
        raise ValidationError(f"no row could be stored, {', '.join(sources)}; first: {first.reason}, {first.first_row}")


def _read_mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    from tributary_pipelines.core.errors import ValidationError

    split = [pair.partition("=") for pair in pairs]
    wrong = [theirs for theirs, _, ours in split if not (theirs and ours)]
    if wrong:
        raise ValidationError(f"--map {wrong[0]!r} is not understood; write THEIRS=OURS, such as --map px=price")
    return {theirs: ours for theirs, _, ours in split}


def _print_summary(to: "Console", plain: Mapping[str, Any]) -> None:
    counts = ("rows_read", "rows_stored", "rows_duplicate", "rows_quarantined", "first_at", "last_at")
    for name in counts:
        value = "-" if plain[name] is None else plain[name]
        to.print(f"{name.replace('_', ' '):<18}{value}", markup=False, soft_wrap=True)
    if plain["quarantine"]:
        rows = [[entry["count"], entry["reason"], entry["first_row"]] for entry in plain["quarantine"]]
        print_table(to, "quarantined", ["rows", "reason", "first"], rows)


_EXPORT_EXAMPLES = """
\b
Examples:
  tributary export trades --market M --start 2026-03-01 --end 2026-03-08 --out trades.parquet
  tributary export parameters --market M --start 2026-01-01 --end 2026-04-01 --out parameters.parquet

\b
Parameters belong to the last day of their window.
"""


@click.command("export", cls=Command, epilog=_EXPORT_EXAMPLES)
@click.argument("what", type=click.Choice(["trades", "books", "bars", "parameters"]))
@click.option("--market", required=True, metavar="M", help="Market id, slug or series id.")
@click.option("--token", metavar="ID", help="Only this token; default all of the market's.")
@window_options
@click.option("--width", metavar="W", help="Of bars; default analytics.bar_width of the settings.")
@click.option("--out", type=FILE, required=True, metavar="FILE.parquet", help="The file to write.")
@json_option
def export(
    *,
    what: Literal["trades", "books", "bars", "parameters"],
    market: str,
    token: str | None,
    start: datetime,
    end: datetime,
    **given: Any,
) -> None:
    """Write stored data or results to a Parquet file."""
    from tributary_pipelines.flows.market_data import find_market
    from tributary_pipelines.storage.files.exporting import export_table
    from tributary_pipelines.storage.open import open_store

    check_window(start, end)
    settings = invocation().settings()
    path, width = given["out"], given["width"] or settings.analytics.bar_width
    with open_store(settings) as store, progress(f"writing {path}"):
        market_id = find_market(store.reader, market, token).market_id
        n_rows = export_table(
            store, what, market_id=market_id, token_id=token, start=start, end=end, path=path, width=width
        )
    plain = {"file": str(path), "market_id": market_id, "start": start, "end": end, "rows": n_rows}
    answer(plain, lambda to: to.print(f"wrote {n_rows:,} rows to {path}", markup=False, soft_wrap=True))
