"""Questions to the raw tables: which market is meant, how far its data reaches, its bars; and synthetic markets."""

from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticMarket, SyntheticTape, generate_tape
from tributary_pipelines.core.errors import ConfigurationError, DataError
from tributary_pipelines.core.frames import MARKETS, ORDERBOOK_SNAPSHOTS, TRADES
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.requests import SyntheticRequest
from tributary_pipelines.core.units import day_start, iso_z
from tributary_pipelines.storage.base import MarketDataReader, MarketStore
from tributary_pipelines.storage.rows import book_rows, trade_rows

_SNAPSHOTS_A_WRITE = 50_000
_END_OF_DAY = timedelta(minutes=5)


def find_market(reader: MarketDataReader, market: str, token: str | None = None) -> Market:
    """Return the token that a market_id, slug or series id means; the market's first token when none is named.

    Raises
    ------
    DataError
        Nothing is stored under the name, the market has no such token, or a series id means several markets.
    """
    known = reader.markets()
    for field in ("market_id", "slug", "series_id"):
        tokens = [entry for entry in known if getattr(entry, field) == market]
        if tokens:
            return _choose_token(tokens, market, token)
    names = [name for entry in known for name in (entry.market_id, entry.slug, entry.series_id) if name]
    near = get_close_matches(market, names, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(dict.fromkeys(near))}?" if near else f"{len(set(names))} names are stored."
    raise DataError(
        f"market {market!r} is not in the store; {hint} Data comes in by 'tributary import' or 'tributary synth'"
    )


def _choose_token(tokens: list[Market], market: str, token: str | None) -> Market:
    market_ids = list(dict.fromkeys(entry.market_id for entry in tokens))
    if len(market_ids) > 1:
        raise DataError(
            f"{market!r} is a series of {len(market_ids)} markets; name one of them: {', '.join(market_ids[:5])}"
        )
    if token is None:
        return tokens[0]
    for entry in tokens:
        if entry.token_id == token:
            return entry
    raise DataError(f"market {market!r} has no token {token!r}; it has {', '.join(entry.token_id for entry in tokens)}")


def last_complete_day(reader: MarketDataReader, market: Market, *, now: datetime) -> date | None:
    """Return the last UTC day with data that is over and whose data reach its end, None when no day is over.

    Where no day's data reach its end, it is the last one with data: the calibration says what is missing.
    """
    extent = reader.extent(market.market_id, market.token_id)
    last = [moment for moment in (extent.last_trade_at, extent.last_snapshot_at) if moment is not None]
    if not last:
        return None
    moments = (extent.first_trade_at, extent.first_snapshot_at)
    first = min(moment for moment in moments if moment is not None).astimezone(UTC).date()
    end = min(max(last), day_start(now.astimezone(UTC).date()))
    # The last record before midnight is rarely at midnight.
    complete = (end + _END_OF_DAY).astimezone(UTC).date() - timedelta(days=1)
    over = min(max(last).astimezone(UTC).date(), now.astimezone(UTC).date() - timedelta(days=1))
    day = complete if complete >= first else over
    return day if day >= first else None


def default_as_of(reader: MarketDataReader, market: Market, *, now: datetime) -> date:
    """Return the day after the market's last complete UTC day of data.

    Raises
    ------
    DataError
        The market has no complete day of data.
    """
    day = last_complete_day(reader, market, now=now)
    if day is None:
        raise DataError(
            f"market {market.market_id!r}, token {market.token_id!r} has no complete UTC day of data yet; import more"
        )
    return day + timedelta(days=1)


def build_bars(store: MarketStore, market: Market, start: datetime, end: datetime, width: str) -> pd.DataFrame:
    """Return the VWAP bars of one token over [start, end) (frame VWAP_BARS)."""
    return store.reader.bars(market.market_id, market.token_id, start, end, width)


def synthesize(store: MarketStore, request: SyntheticRequest) -> dict[str, Any]:
    """Write a synthetic market with known truth into the store; the same request again changes nothing.

    Returns
    -------
    dict
        The answer of ``tributary synth``: market_id, token_id, start, end and the truth.

    Raises
    ------
    ValidationError
        An option is unknown or out of range.
    ConfigurationError
        The market already holds data that this request would not make.
    """
    spec = SyntheticMarket.from_options({**request.options, "trades_per_hour": request.trades_per_hour})
    start = day_start(request.start)
    end = start + timedelta(days=request.n_days)
    tape = generate_tape(spec, start=start, n_days=request.n_days, rng=np.random.default_rng(request.seed))
    market = _synthetic_entry(request.market_id, spec)
    store.writer.create_tables()
    _refuse_other_data(store.reader, market, tape)
    store.writer.write(MARKETS, _market_rows(market, start))
    store.writer.write(TRADES, trade_rows(market, tape.trades, id_prefix=f"{request.seed}-"))
    for first in range(0, len(tape.books), _SNAPSHOTS_A_WRITE):
        books = tape.books.rows(slice(first, first + _SNAPSHOTS_A_WRITE))
        store.writer.write(ORDERBOOK_SNAPSHOTS, book_rows(market, books))
    return {
        "market_id": market.market_id,
        "token_id": market.token_id,
        "start": iso_z(start),
        "end": iso_z(end),
        "truth": tape.truth,
    }


def _synthetic_entry(market_id: str, spec: SyntheticMarket) -> Market:
    bounds = (0.0, 1.0) if spec.bounded else (None, None)
    return Market(
        market_id=market_id,
        token_id=market_id,
        slug=market_id,
        venue="synthetic",
        quote_currency="USD",
        tick_size=spec.tick,
        price_min=bounds[0],
        price_max=bounds[1],
        fee_model="none",
    )


def _refuse_other_data(reader: MarketDataReader, market: Market, tape: SyntheticTape) -> None:
    extent = reader.extent(market.market_id, market.token_id)
    if extent.first_trade_at is None or extent.last_trade_at is None:
        return
    end = extent.last_trade_at + timedelta(microseconds=1)
    stored = reader.trades(market.market_id, market.token_id, extent.first_trade_at, end)
    same = set(zip(tape.trades.times.tolist(), tape.trades.prices.tolist(), tape.trades.sizes.tolist(), strict=True))
    if not set(zip(stored.times.tolist(), stored.prices.tolist(), stored.sizes.tolist(), strict=True)) <= same:
        raise ConfigurationError(
            f"market {market.market_id!r} already holds other trades than this seed, start and options make;"
            " choose another name"
        )


def _market_rows(market: Market, stored_at: datetime) -> pd.DataFrame:
    return pd.DataFrame([{"timestamp": stored_at, **market.model_dump()}])[list(MARKETS.column_names)]
