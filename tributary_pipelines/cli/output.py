"""How answers leave: one JSON document on stdout for programs, tables for people; nothing else goes to stdout.

Numbers keep their full precision in JSON; a number that is not finite becomes null, times end in Z. Tables show six
significant digits and a dash for what is missing.
"""

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from tributary_pipelines.cli.options import invocation

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PIPED_WIDTH = 220
#: Texts up to here, a day say, are never folded; longer ones are, down to this, before a table outgrows the screen.
_SHORT_TEXT = 12
#: Up to here a header stays on one line, however narrow its column.
_HEADER = 10
_LOG = logging.getLogger(__name__)


def to_jsonable(value: Any) -> Any:
    """Return a value as plain JSON types: arrays as lists, times with Z, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(item) for item in value]
    if hasattr(value, "tolist"):
        return to_jsonable(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _time_as_text(value) if isinstance(value, date) else value


def _time_as_text(value: date) -> str | None:
    from tributary_pipelines.core.units import iso_z

    if not isinstance(value, datetime):
        return value.isoformat()
    # pandas' missing time is a datetime that does not equal itself.
    return iso_z(value) if value == value else None  # noqa: PLR0124


def answer(value: Any, for_people: Callable[["Console"], None]) -> None:
    """Print an answer: the JSON document when ``--json`` was given, else what ``for_people`` prints.

    Exits 3 when the answer's status is ``refused``, after printing it.
    """
    plain = to_jsonable(value)
    if invocation().as_json:
        click.echo(json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False))
    else:
        for_people(console())
    if isinstance(plain, dict) and plain.get("status") == "refused":
        click.get_current_context().exit(3)


def console(*, stderr: bool = False) -> "Console":
    """Return a console for people; piped output is wide, so that tables are not folded."""
    from rich.console import Console

    made = Console(stderr=stderr, no_color=invocation().no_color or None, highlight=False, emoji=False)
    if not made.is_terminal:
        made.width = _PIPED_WIDTH
    return made


@contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr how far something is: one moving line on a terminal, log lines (info) otherwise."""
    where = console(stderr=True)
    if not where.is_terminal:
        yield lambda step: _LOG.info("%s: %s", title, step, extra={"is_progress": True})
        return
    with where.status(title) as line:
        yield lambda step: line.update(f"{title}: {step}")


def days_of(n_days: int) -> str:
    """Write a number of days.

    Examples
    --------
    >>> days_of(1), days_of(35)
    ('1 day', '35 days')
    """
    return f"{n_days} day" if n_days == 1 else f"{n_days} days"


def note(message: str) -> None:
    """Tell a person something beside the answer, on stderr."""
    click.echo(message, err=True)


def number(value: float | None, *, digits: int = 6) -> str:
    """Write a number for people; a dash when it is missing.

    Examples
    --------
    >>> number(0.000123456789), number(None)
    ('0.000123457', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def print_table(
    to: "Console", title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, digits: int = 6
) -> None:
    """Print a table; numbers to the right and never folded, missing values as dashes."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    to.print(Text(title, style="bold"), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    body = [list(row) for row in rows]
    needed = 0
    for index, column in enumerate(columns):
        values = [row[index] for row in body if row[index] is not None]
        is_numeric = bool(values) and all(isinstance(value, (int, float)) for value in values)
        width = max((len(_cell(row[index], digits)) for row in body), default=0)
        is_whole = is_numeric or width <= _SHORT_TEXT
        header = _fold_words(column, width) if is_whole else column
        table.add_column(header, justify="right" if is_numeric else "left", overflow="fold", no_wrap=is_whole)
        needed += 2 + (max(width, *map(len, header.split("\n"))) if is_whole else _SHORT_TEXT)
    for row in body:
        table.add_row(*(Text(_cell(value, digits)) for value in row))
    _print_wide(to, table, needed)
    to.print()


def _fold_words(header: str, width: int) -> str:
    """Return a header in lines about as wide as its column's numbers."""
    import textwrap

    return "\n".join(textwrap.wrap(header, max(width, _HEADER), break_long_words=False))


def _print_wide(to: "Console", table: "Table", needed: int) -> None:
    """Print a table on a screen that may be too narrow: long lines are bad, numbers cut in two are worse."""
    width = to.width
    to.width = max(width, needed)
    try:
        to.print(table)
    finally:
        to.width = width


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value, digits=digits) if isinstance(value, float) else str(value)
