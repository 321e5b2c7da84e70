"""Reading and writing market data: rows a second in each store, and what our reader adds to the bare query.

A real QuestDB is started in a temporary folder. "bare" is the same SQL fetched with psycopg and nothing made of it.
"""

import io
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psycopg
import pyarrow.parquet as pq

from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES
from tributary_pipelines.core.settings import Settings, StorageSettings
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.questdb import server
from tributary_pipelines.storage.questdb.layout import Layouts
from tributary_pipelines.storage.questdb.queries import bars_query

N_TRADES, N_BOOKS, N_LEVELS = 2_000_000, 259_200, 10
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)
WINDOW = ("m", "t", START, END)
REPEATS = 4


def trades(rng: np.random.Generator) -> pd.DataFrame:
    seconds = np.sort(rng.integers(0, 30 * 86_400 * 10**6, N_TRADES))
    prices, sizes = np.round(rng.uniform(0.01, 0.99, N_TRADES), 4), np.round(rng.exponential(100, N_TRADES) + 0.01, 2)
    return pd.DataFrame(
        {
            "timestamp": pd.Timestamp(START) + pd.to_timedelta(seconds, unit="us"),
            "market_id": "m",
            "token_id": "t",
            "side": rng.choice(np.array(["buy", "sell"], object), N_TRADES),
            "trade_id": [f"t{k}" for k in range(N_TRADES)],
            "price": prices,
            "size": sizes,
            "value": prices * sizes,
        }
    )


def books(rng: np.random.Generator) -> pd.DataFrame:
    middle = 0.5 + 1e-5 * np.cumsum(rng.standard_normal(N_BOOKS))[:, None]
    steps = 0.01 * np.arange(1, N_LEVELS + 1)
    sizes = np.round(rng.exponential(1000, (2, N_BOOKS, N_LEVELS)) + 0.01, 2)
    return pd.DataFrame(
        {
            "timestamp": pd.date_range(START, periods=N_BOOKS, freq="10s"),
            "market_id": "m",
            "token_id": "t",
            "bid_prices": list(np.round(middle - steps, 4)),
            "bid_sizes": list(sizes[0]),
            "ask_prices": list(np.round(middle + steps, 4)),
            "ask_sizes": list(sizes[1]),
        }
    )


def best_s(ask: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the shortest of a few runs; the first warms caches and does not count."""
    if repeats > 1:
        ask()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - started)
    return min(taken)


def show(what: str, seconds: float, n: int, bare_s: float | None = None) -> None:
    ratio = "" if bare_s is None else f"{seconds / bare_s:8.2f} x bare"
    print(f"{what:<58}{seconds:8.3f} s{n / seconds / 1e6:8.2f} M rows/s{ratio}", flush=True)


def measure(name: str, store: MarketStore, bare: dict[str, float]) -> None:
    reader = store.reader
    n_bars = len(reader.bars(*WINDOW, "1m"))
    show(f"{name}: trades", best_s(lambda: reader.trades(*WINDOW)), N_TRADES, bare.get("trades"))
    show(
        f"{name}: order books, {N_LEVELS} levels",
        best_s(lambda: reader.order_books(*WINDOW)),
        N_BOOKS,
        bare.get("books"),
    )
    show(f"{name}: bars of 1m (rows are bars)", best_s(lambda: reader.bars(*WINDOW, "1m")), n_bars, bare.get("bars"))
    show(f"{name}: fingerprints of 30 days", best_s(lambda: reader.fingerprints(*WINDOW)), N_TRADES + N_BOOKS)
    shortest = (*WINDOW[:2], START, datetime(2026, 1, 2, tzinfo=UTC))
    show(f"{name}: fingerprint of one day", best_s(lambda: reader.fingerprints(*shortest)), (N_TRADES + N_BOOKS) // 30)


def bare_times(info: server.ServerInfo, store: MarketStore) -> dict[str, dict[str, float]]:
    layout = Layouts(store.reader._connection).require(TRADES)  # noqa: SLF001
    window = "WHERE market_id = $1 AND token_id = $2 AND timestamp >= $3 AND timestamp < $4"
    queries = {
        "trades": f"SELECT timestamp, price, size, side FROM trades {window}",
        "books": f"SELECT timestamp, bid_prices, bid_sizes, ask_prices, ask_sizes FROM orderbook_snapshots {window}",
        "bars": bars_query(layout, window, "1m", 60_000_000),
    }
    bound = ("m", "t", START.replace(tzinfo=None), END.replace(tzinfo=None))
    with psycopg.connect(
        host=info.host, port=info.pg_port, user=info.user, password=info.password, dbname="qdb", autocommit=True
    ) as connection:

        def fetch(name: str) -> int:
            cursor = psycopg.RawCursor(connection)
            return len(cursor.execute(queries[name].encode(), bound, binary=True).fetchall())

        wire = {name: best_s(lambda name=name: fetch(name), 2) for name in queries}
    literal = window.replace("$1", "'m'").replace("$2", "'t'")
    literal = literal.replace("$3", f"'{START:%Y-%m-%dT%H:%M:%SZ}'").replace("$4", f"'{END:%Y-%m-%dT%H:%M:%SZ}'")

    def export(name: str) -> int:
        query = queries[name].replace(window, literal).replace("side FROM", "cast(side as string) FROM")
        answer = httpx.get(
            f"http://{info.host}:{info.http_port}/exp",
            params={"query": query, "fmt": "parquet", "compression_codec": "ZSTD"},
            auth=(info.http_user, info.http_password),
            timeout=60,
        )
        return int(pq.read_table(io.BytesIO(answer.content)).num_rows)

    parquet = {name: best_s(lambda name=name: export(name), 2) for name in ("trades", "books")}
    return {"wire": wire, "parquet": {**parquet, "bars": wire["bars"]}}


def main() -> None:
    rng = np.random.default_rng(7)
    tape, snapshots = trades(rng), books(rng)
    with tempfile.TemporaryDirectory() as folder:
        info = server.start(Path(folder) / "questdb", memory_mb=1024)
        storage = info.storage_settings()
        without_http = {**storage, "http_user": None, "http_password": None}
        try:
            with (
                open_store(Settings(folder=Path(folder))) as embedded,
                open_store(Settings(storage=StorageSettings.model_validate(storage))) as questdb,
                open_store(Settings(storage=StorageSettings.model_validate(without_http))) as read_only,
            ):
                for store in (embedded, questdb):
                    store.writer.create_tables()
                    name = store.name.split()[0]
                    for frame, rows in ((TRADES, tape), (ORDERBOOK_SNAPSHOTS, snapshots)):
                        for again in ("write", "write again, nothing changes"):
                            seconds = best_s(lambda s=store, f=frame, r=rows: s.writer.write(f, r), 1)
                            show(f"{name}: {again}, {frame.name}", seconds, len(rows))
                bare = bare_times(info, questdb)
                measure("duckdb", embedded, {})
                measure("questdb over HTTP", questdb, bare["parquet"])
                measure("questdb, read-only user", read_only, bare["wire"])
        finally:
            server.stop(Path(folder) / "questdb")


if __name__ == "__main__":
    main()
