"""What one recalibration of many markets finds in the stores: a new day of raw data and the days before it.

One synthetic market goes through the package; the server copies its rows to the other markets, so that a thousand of
them are there in a minute. Earlier days are stored thinned (disk), with the statistics of whole days, which a
recalibration takes as they are stored, since they carry the mark of the present settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import psycopg

from tributary_pipelines.analytics.calibration.impact_statistics import compute_impact_statistics
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticMarket, SyntheticTape, generate_tape
from tributary_pipelines.core.frames import MARKETS, ORDERBOOK_SNAPSHOTS, TRADES, Frame
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, IMPACT_STATISTICS
from tributary_pipelines.core.settings import AnalyticsSettings
from tributary_pipelines.core.units import US_PER_DAY, day_start, to_us
from tributary_pipelines.flows.calibration import calibrate_windows, store_parameters
from tributary_pipelines.flows.statistics import _settings_mark, store_statistics
from tributary_pipelines.flows.subjects import subject_of
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.questdb.server import ServerInfo
from tributary_pipelines.storage.rows import book_rows, trade_rows
from tributary_pipelines.storage.schema import raw_columns, versioned_columns

FIRST_DAY, N_DAYS = date(2026, 1, 1), 30
NEW_DAY = FIRST_DAY + timedelta(days=N_DAYS - 1)
TRADES_A_DAY = 480
#: Days with stored parameters, for the check that looks at their drift.
N_CALIBRATED = 20
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is stored: markets, seconds between snapshots, and one row in how many of the earlier days."""

    n_markets: int
    snapshot_s: float
    thinned: int


def market_name(n: int) -> str:
    return f"market_{n}"


def write(store: MarketStore, info: ServerInfo, settings: AnalyticsSettings, size: Size) -> None:
    """Write everything that a recalibration of the new day finds."""
    spec = SyntheticMarket(bounded=True, trades_per_hour=TRADES_A_DAY / 24, snapshot_s=size.snapshot_s)
    first = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    tape = generate_tape(spec, start=first, n_days=N_DAYS, rng=np.random.default_rng(1))
    market = Market(
        market_id=market_name(0), token_id=market_name(0), tick_size=spec.tick, price_min=0.0, price_max=1.0,
        fee_model="none", venue="synthetic", quote_currency="USD",
    )  # fmt: skip
    store.writer.create_tables()
    _write_raw(store, market, tape, size)
    _write_earlier_results(store, settings, market, tape)
    copied = [(frame, raw_columns(frame)) for frame in (MARKETS, TRADES, ORDERBOOK_SNAPSHOTS)]
    copied += [(frame, versioned_columns(frame)) for frame in (IMPACT_STATISTICS, ALMGREN_CHRISS_PARAMETERS)]
    with psycopg.connect(
        host=info.host, port=info.pg_port, user=info.admin_user, password=info.admin_password, dbname="qdb",
        autocommit=True, prepare_threshold=None,
    ) as connection:  # fmt: skip
        for frame, columns in copied:
            _copy(connection, frame, [column.name for column in columns], size.n_markets)


def _write_raw(store: MarketStore, market: Market, tape: SyntheticTape, size: Size) -> None:
    rows = pd.DataFrame([{"timestamp": day_start(FIRST_DAY), **market.model_dump()}])[list(MARKETS.column_names)]
    store.writer.write(MARKETS, rows)
    trades = trade_rows(market, tape.trades, id_prefix="t")
    is_kept = _is_kept(tape.trades.times, size.thinned)
    store.writer.write(TRADES, trades[is_kept])
    books = tape.books.rows(np.flatnonzero(_is_kept(tape.books.times, size.thinned)))
    store.writer.write(ORDERBOOK_SNAPSHOTS, book_rows(market, books))


def _is_kept(
    times: "np.ndarray[tuple[int], np.dtype[np.int64]]", thinned: int
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    kept: np.ndarray[tuple[int], np.dtype[np.bool_]] = (times >= to_us(day_start(NEW_DAY))) | (
        np.arange(len(times)) % thinned == 0
    )
    return kept


def _write_earlier_results(
    store: MarketStore, settings: AnalyticsSettings, market: Market, tape: SyntheticTape
) -> None:
    """Store the statistics of the whole earlier days, and the parameters that follow from them."""
    found = []
    for day in (FIRST_DAY + k * _ONE_DAY for k in range(N_DAYS - 1)):
        start = to_us(day_start(day))
        found.append(
            compute_impact_statistics(
                tape.trades.between(start, start + US_PER_DAY),
                tape.books.between(start, start + US_PER_DAY),
                market_id=market.market_id,
                token_id=market.token_id,
                day=day,
                tick_size=market.tick_size,
                stamp_guard_s=settings.calibration.stamp_guard,
                staleness_limit_s=settings.simulation.staleness_limit,
                price_min=market.price_min,
                price_max=market.price_max,
                data_fingerprint=_settings_mark(settings),
            )
        )
    store_statistics(store, found)
    days = [NEW_DAY - k * _ONE_DAY for k in range(N_CALIBRATED, 0, -1)]
    store_parameters(store, calibrate_windows(store, settings, subject_of(market), days=days))


def _copy(
    connection: psycopg.Connection[tuple[object, ...]], frame: Frame, names: Sequence[str], n_markets: int
) -> None:
    if n_markets < 2:
        return
    ids = {"market_id", "token_id"}
    taken = ", ".join("concat('market_', x)" if name in ids else f'"{name}"' for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    # A day at a time: the server keeps what one statement inserts in memory.
    days = [row[0] for row in connection.execute(f"SELECT DISTINCT timestamp_floor('d', timestamp) FROM {frame.name}")]
    for day in days:
        ends = f"timestamp >= '{day:%Y-%m-%d}' AND timestamp < dateadd('d', 1, '{day:%Y-%m-%d}')"
        connection.execute(
            f"INSERT INTO {frame.name} ({listed}) SELECT {taken} FROM (SELECT * FROM {frame.name} "
            f"WHERE market_id = 'market_0' AND {ends}) "
            f"CROSS JOIN (SELECT x FROM long_sequence({n_markets - 1}))".encode()
        )
    connection.execute(f"SELECT wait_wal_table('{frame.name}')".encode())
