"""What is shown in the UI: one conversion to metadata that Dagster accepts, and the metadata of each stage's day.

Dagster fails a step on ``np.float64``, ``Decimal``, ``pd.Timestamp`` and tuples; everything passes through
``to_metadata``. A missing number has no entry: a gap in the plot, never a zero.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.units import iso_z

#: Longer tables make events large and the page slow.
MAX_TABLE_ROWS = 50

Metadata = dict[str, dg.MetadataValue]


def to_metadata(values: Mapping[str, object]) -> Metadata:
    """Convert plain values to metadata; None and numbers that are not finite are left out.

    Parameters
    ----------
    values
        Texts, flags, numbers of any kind, times, days, sequences of texts, frames (shown as a table of at most 50
        rows), PNG bytes (shown as an image) and ready metadata values.

    Raises
    ------
    ValidationError
        A value is of another kind; its key is named.
    """
    converted = {key: _convert(key, value) for key, value in values.items()}
    return {key: value for key, value in converted.items() if value is not None}


def _convert(key: str, value: object) -> dg.MetadataValue | None:
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    return None if value is None else dg.MetadataValue.text(_text(key, value))


def _number(value: float | np.number | Decimal) -> dg.MetadataValue | None:
    return dg.MetadataValue.float(float(value)) if isfinite(value) else None


def _text(key: str, value: object) -> str:
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, datetime):
        return iso_z(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Sequence):
        return "; ".join(str(item) for item in value)
    raise ValidationError(f"metadata {key!r} cannot show a {type(value).__name__}; convert it to a number or a text")


def image(png: bytes, alt: str = "") -> dg.MarkdownMetadataValue:
    """Return a PNG as an image inside markdown, so that it shows without a file server.

    Parameters
    ----------
    png
    alt
        What the picture shows, for those who cannot see it.
    """
    text = alt.replace("[", "(").replace("]", ")").replace("\n", " ")
    return dg.MetadataValue.md(f"![{text}](data:image/png;base64,{base64.b64encode(png).decode()})")


def table(frame: pd.DataFrame) -> dg.MarkdownMetadataValue:
    """Return a frame as a markdown table of at most 50 rows; the last line says how many are left out."""
    shown = frame.head(MAX_TABLE_ROWS)
    lines = ["| " + " | ".join(str(name) for name in frame.columns) + " |", "|" + " --- |" * len(frame.columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in shown.itertuples(index=False)]
    if len(frame) > len(shown):
        lines.append(f"\nand {len(frame) - len(shown)} more")
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and not isfinite(value)):
        return ""
    text = f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


#: Tried in this order: a bool is an int too, and NaT is a datetime.
_CONVERSIONS: tuple[tuple[Any, Callable[[Any], dg.MetadataValue | None]], ...] = (
    (dg.MetadataValue, lambda value: value),
    (type(pd.NaT), lambda _: None),
    (bytes, image),
    (pd.DataFrame, table),
    ((bool, np.bool_), lambda value: dg.MetadataValue.bool(bool(value))),
    ((int, np.integer), lambda value: dg.MetadataValue.int(int(value))),
    ((float, np.floating, Decimal), _number),
)


def over_markets(of_each: Sequence[Mapping[str, object]], absent: str) -> dict[str, object]:
    """Join the numbers of an instrument's markets: one market's as they are, a series' as a table.

    Parameters
    ----------
    of_each
        What is to be shown of each market, with its ``market_id``.
    absent
        Why there is nothing to show when there is no market.
    """
    if not of_each:
        return {"status": "no_data", "reasons": absent}
    if len(of_each) == 1:
        return dict(of_each[0])
    plain = [
        {key: value for key, value in one.items() if not isinstance(value, bytes | pd.DataFrame)} for one in of_each
    ]
    return {"status": "series", "n_markets": len(of_each), "markets": pd.DataFrame(plain)}
