"""Known public layouts, and how any file's columns become the canonical ones of cli.md "Files".

    tributary     our own columns; what ``export`` writes
    binance       the venue's public trade dumps, with or without a header line; times in ms or us are told apart
    tardis        trades, and wide books ``bids[0].price, bids[0].amount, ..``; the market is ``exchange:symbol``
    hftbacktest   event recordings (.npz, version 2): their trades, or the book rebuilt each second

The user's ``--map`` comes first, then the preset's renames, then ``--market`` and ``--token`` for what is missing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.storage.files import books, markets, trades
from tributary_pipelines.storage.files.columns import TimeUnit, is_text, to_numbers, to_texts, utc_timestamps

Kind = Literal["trades", "books", "markets"]
KINDS: tuple[Kind, ...] = ("trades", "books", "markets")
Columns = dict[str, pa.Array]

REQUIRED = {"trades": trades.REQUIRED, "books": books.REQUIRED, "markets": markets.REQUIRED}
CANONICAL = {
    "trades": trades.REQUIRED + trades.OPTIONAL,
    "books": books.REQUIRED + books.OPTIONAL,
    "markets": markets.REQUIRED + markets.OPTIONAL,
}
_WIDE = re.compile(r"(bid|ask)s\[(\d{1,4})\]\.(price|amount)")


def _has_header(_first_row: Sequence[str]) -> None:
    return None


def _as_it_is(columns: Columns) -> Columns:
    return columns


@dataclass(frozen=True, slots=True)
class Preset:
    """One layout.

    Parameters
    ----------
    renames
        Theirs to ours.
    header
        Given the first row of a CSV file, the column names when that row is data already, else None.
    reshape
        Makes canonical columns of columns that only this layout has.
    time_unit
        Of its integer times.
    is_single_token
        The token is called like its market.
    """

    name: str
    kinds: tuple[Kind, ...]
    renames: Mapping[str, str] = field(default_factory=dict)
    header: Callable[[Sequence[str]], Sequence[str] | None] = _has_header
    reshape: Callable[[Columns], Columns] = _as_it_is
    time_unit: TimeUnit | None = None
    is_single_token: bool = True

    def wants(self, name: str) -> bool:
        """Tell whether a column may matter to this layout."""
        known = (*CANONICAL["trades"], *CANONICAL["books"], *self.renames, "exchange", "symbol")
        return name in known or _WIDE.fullmatch(name) is not None


def kind_named(name: str) -> Kind:
    """Return the kind of rows that a name means.

    Raises
    ------
    ValidationError
        There is no such kind.
    """
    for kind in KINDS:
        if kind == name:
            return kind
    raise ValidationError(f"{name!r} cannot be imported; there are {', '.join(KINDS)}")


def preset_named(name: str, kind: Kind) -> Preset:
    """Return a preset that can read this kind of rows.

    Raises
    ------
    ValidationError
        There is no such preset, or it has no such rows.
    """
    preset = PRESETS.get(name)
    if preset is None:
        near = get_close_matches(name, PRESETS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(PRESETS)}"
        raise ValidationError(f"preset {name!r} is not known; {hint}")
    if kind not in preset.kinds:
        raise ValidationError(f"preset {name!r} reads {' and '.join(preset.kinds)}, not {kind}")
    return preset


def to_canonical(
    columns: Mapping[str, pa.Array],
    preset: Preset,
    mapping: Mapping[str, str],
    market: str | None,
    token: str | None,
) -> Columns:
    """Return a chunk's columns under our names, with the defaults filled in; columns we do not know stay."""
    mapped = {mapping[name]: values for name, values in columns.items() if name in mapping}
    others = {name: values for name, values in columns.items() if name not in mapping and name not in mapped}
    renamed = {**others, **{preset.renames[name]: values for name, values in others.items() if name in preset.renames}}
    ours = preset.reshape({**renamed, **mapped})
    _fill(ours, "market_id", market)
    _fill(ours, "token_id", token)
    if preset.is_single_token and "token_id" not in ours and "market_id" in ours:
        ours["token_id"] = ours["market_id"]
    return ours


def _fill(columns: Columns, name: str, default: str | None) -> None:
    if default is None:
        return
    n_rows = len(next(iter(columns.values()), ()))
    given = to_texts(columns[name]) if name in columns else pa.nulls(n_rows, pa.string())
    columns[name] = pc.fill_null(given, default)


_BINANCE = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match")
_FIRST_US = 1e14  # in ms the year 5138, in us 1973


def _binance_header(first_row: Sequence[str]) -> Sequence[str] | None:
    if not first_row[0].strip().isdigit():
        return None
    if len(first_row) not in (6, 7):
        raise ValidationError(f"a Binance trade dump has 6 or 7 columns, this file has {len(first_row)}")
    return _BINANCE[: len(first_row)]


def _binance_trades(columns: Columns) -> Columns:
    if "side" not in columns and "is_buyer_maker" in columns:
        is_maker = pc.utf8_lower(to_texts(columns["is_buyer_maker"]))
        columns["side"] = pa.array(["sell", "buy"]).take(pc.index_in(is_maker, pa.array(["true", "false"])))
    if "timestamp" not in columns and "time" in columns:
        times = to_numbers(columns["time"])
        us = np.where(times >= _FIRST_US, times, times * 1e3)
        known = np.isfinite(us) & (us >= 0) & (us <= 2**53)
        stamps = utc_timestamps(np.where(known, us, 0).astype(np.int64))
        columns["timestamp"] = pc.if_else(pa.array(known), stamps, pa.scalar(None, stamps.type))
    return columns


def _tardis(columns: Columns) -> Columns:
    if "market_id" not in columns and {"exchange", "symbol"} <= columns.keys():
        columns["market_id"] = pc.binary_join_element_wise(
            to_texts(columns["exchange"]), to_texts(columns["symbol"]), ":"
        )
    for side in ("bid", "ask"):
        levels = sorted(
            int(m[2]) for name in columns if (m := _WIDE.fullmatch(name)) and m[1] == side and m[3] == "price"
        )
        if levels:
            columns |= _ladder_columns(columns, side, levels)
    return columns


def _ladder_columns(columns: Columns, side: str, levels: Sequence[int]) -> Columns:
    """Gather a side's price and amount columns into lists, leaving out the levels that are blank."""
    names = [(f"{side}s[{level}].price", f"{side}s[{level}].amount") for level in levels]
    pairs = [(columns[price], columns.get(size, pa.nulls(len(columns[price])))) for price, size in names]
    is_there = np.column_stack([~(_is_blank(price) & _is_blank(size)) for price, size in pairs])
    offsets = pa.array(np.concatenate([[0], np.cumsum(is_there.sum(axis=1))]), pa.int32())
    lists = {}
    for name, which in (("prices", 0), ("sizes", 1)):
        values = np.column_stack([to_numbers(pair[which]) for pair in pairs])
        lists[f"{side}_{name}"] = pa.ListArray.from_arrays(offsets, pa.array(values[is_there]))
    return lists


def _is_blank(column: pa.Array) -> np.ndarray:
    return np.asarray(pc.is_null(to_texts(column))) if is_text(column.type) else np.isnan(to_numbers(column))


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("tributary", ("trades", "books", "markets"), is_single_token=False),
        Preset(
            "binance",
            ("trades",),
            renames={"id": "trade_id", "qty": "size", "isBuyerMaker": "is_buyer_maker"},
            header=_binance_header,
            reshape=_binance_trades,
        ),
        Preset(
            "tardis",
            ("trades", "books"),
            renames={"id": "trade_id", "amount": "size"},
            reshape=_tardis,
            time_unit="us",
        ),
        Preset("hftbacktest", ("trades", "books")),
    )
}
