"""Entries of markets: reading them from a file, and what is known of a market while its data comes in."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError as PydanticError

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import MARKETS, Float64Array1D
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import from_us
from tributary_pipelines.core.violations import explain_violations
from tributary_pipelines.storage.files.columns import IDENTIFIER, Problems, TimeUnit, to_times
from tributary_pipelines.storage.files.row_files import array_of

REQUIRED = ("market_id", "token_id")
OPTIONAL = tuple(name for name in Market.model_fields if name not in REQUIRED)
_TIMES = ("resolves_at", "valid_from")
_SEPARATOR = "\x1f"


class KnownMarkets:
    """The entries that a store has, by market and token; grows while an import meets new ones."""

    def __init__(self, entries: Iterable[Market]) -> None:
        self._entries = {(entry.market_id, entry.token_id): entry for entry in entries}

    def is_new(self, entry: Market) -> bool:
        """Tell whether an entry differs from the newest one, and remember it."""
        key = (entry.market_id, entry.token_id)
        if self._entries.get(key) == entry:
            return False
        self._entries[key] = entry
        return True

    def bounds(self, markets: pa.StringArray, tokens: pa.StringArray) -> tuple[Float64Array1D, Float64Array1D]:
        """Return (n,) lowest and highest allowed prices; infinite where a market declares none."""
        keys = pc.binary_join_element_wise(markets, tokens, _SEPARATOR).dictionary_encode()
        declared = [self._bounds_of(key) for key in keys.dictionary.to_pylist()]
        # The last row answers for rows without an id, whose index is -1.
        table = np.array([*declared, (-np.inf, np.inf)])
        index = pc.fill_null(keys.indices, -1).to_numpy(zero_copy_only=False)
        return table[index, 0], table[index, 1]

    def _bounds_of(self, key: str) -> tuple[float, float]:
        entry = self._entries.get(tuple(key.split(_SEPARATOR, 1)))  # type: ignore[arg-type]
        if entry is None or entry.price_min is None or entry.price_max is None:
            return (-np.inf, np.inf)
        return entry.price_min, entry.price_max

    def add_from(self, rows: pd.DataFrame) -> list[Market]:
        """Return entries of nulls for the tokens of some data that have none yet, and remember them."""
        pairs = rows[["market_id", "token_id"]].drop_duplicates().itertuples(index=False)
        missing = [Market(market_id=m, token_id=t) for m, t in pairs if (m, t) not in self._entries]
        self._entries.update({(entry.market_id, entry.token_id): entry for entry in missing})
        return missing


def market_rows(entries: Iterable[Market], stored_at: datetime) -> pd.DataFrame:
    """Return entries as rows of MARKETS; each is stamped a microsecond after the one before, so that order is kept."""
    rows = [
        {"timestamp": stored_at + timedelta(microseconds=index), **entry.model_dump()}
        for index, entry in enumerate(entries)
    ]
    frame = pd.DataFrame(rows, columns=list(MARKETS.column_names))
    for column in MARKETS.columns:
        if column.kind == "timestamp":
            frame[column.name] = pd.to_datetime(frame[column.name], utc=True).dt.as_unit("us")
        elif column.kind == "double":
            frame[column.name] = frame[column.name].astype("float64")
    return frame


def judge_market(row: Mapping[str, Any], unit: TimeUnit | None) -> Market | str:
    """Return the entry that a row of a file describes, or why it describes none.

    Columns that no market has are ignored, unless one looks like a misspelt one of ours.
    """
    for name, value in row.items():
        near = [] if value is None else get_close_matches(name, OPTIONAL, n=1, cutoff=0.8)
        if name not in Market.model_fields and near and row.get(near[0]) is None:
            return f"unknown column {name!r}; did you mean {near[0]!r}?"
    try:
        values = {name: _value(name, row.get(name), unit) for name in Market.model_fields}
        return Market.model_validate(values)
    except ValidationError as error:
        return str(error)
    except PydanticError as error:
        return explain_violations(Market, error)


def _value(name: str, value: Any, unit: TimeUnit | None) -> Any:
    """Return a cell as the model takes it: blank is null, ids and texts are text, times have an offset."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if name in _TIMES:
        return _time(name, value, unit)
    if name == "outcomes" and isinstance(value, list):
        return json.dumps(value)
    if isinstance(value, bool | list | dict):
        raise ValidationError(f"{name} is neither a text nor a number")
    text = str(value)
    if "\x00" in text or (name in REQUIRED and not IDENTIFIER.fullmatch(text)):
        raise ValidationError(f"{name} holds control characters or more than 512 characters")
    return text


def _time(name: str, value: Any, unit: TimeUnit | None) -> datetime:
    problems = Problems(1)
    times = to_times(array_of([value]), unit, problems)
    if not problems.is_fine.all():
        raise ValidationError(str(problems.reasons[0]).replace("timestamp", name))
    return from_us(int(times[0]))
