"""Parquet exports: what they hold, that they come back exactly, and that a failed one leaves nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES, Frame
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, VWAP_BARS
from tributary_pipelines.core.settings import Settings
from tributary_pipelines.storage.base import MarketStore, ResultDay
from tributary_pipelines.storage.files import ImportOptions, export_table, import_files
from tributary_pipelines.storage.open import open_store

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(days=3)


def trades(n: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    side = np.array(["buy", "sell", None], dtype=object)[rng.integers(0, 3, n)]
    prices, sizes = rng.uniform(0.01, 0.99, n), rng.exponential(10, n)
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime([START + timedelta(seconds=600 * (k // 2)) for k in range(n)], utc=True),
            "market_id": "m",
            "token_id": np.where(np.arange(n) % 5 == 0, "no", "yes"),
            "side": side,
            "trade_id": [f"id {k}; DROP TABLE trades" for k in range(n)],
            "price": prices,
            "size": sizes,
            "value": prices * sizes,
            "is_buyer_maker": side == "sell",
            "received_at": pd.to_datetime([START if k % 2 else pd.NaT for k in range(n)], utc=True),
            "side_source": np.where(side == None, None, "order"),  # noqa: E711
            "id_kind": np.where(np.arange(n) % 3 == 0, "derived", "native"),
        }
    )


def write_books(store: MarketStore, path: Path) -> None:
    levels = [[0.5, 0.4, 0.1], [], [1 / 3]]
    rows = [
        {
            "timestamp": START + timedelta(seconds=index),
            "market_id": "m",
            "token_id": "yes",
            "bid_prices": bids,
            "bid_sizes": [1 / (1 + index + k) for k in range(len(bids))],
            "ask_prices": asks,
            "ask_sizes": [0.1 + k for k in range(len(asks))],
            "source": "ws",
            "received_at": START,
        }
        for index, (bids, asks) in enumerate((b, a) for b in levels for a in levels)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert import_files(store, "books", [path], options=ImportOptions()).rows_stored == 9


def export(store: MarketStore, what: str, path: Path, **options: object) -> int:
    return export_table(store, what, market_id="m", start=START, end=END, path=path, **options)


def test_trades_come_back_exactly(database: MarketStore, tmp_path: Path) -> None:
    database.writer.write(TRADES, trades())
    assert export(database, "trades", tmp_path / "t.parquet") == 500
    other = open_store(Settings(folder=tmp_path / "other"))
    summary = import_files(other, "trades", [tmp_path / "t.parquet"], options=ImportOptions())
    assert (summary.rows_read, summary.rows_stored) == (500, 500)
    export(other, "trades", tmp_path / "again.parquet")
    assert pq.read_table(tmp_path / "again.parquet").equals(pq.read_table(tmp_path / "t.parquet"))
    assert other.reader.fingerprints("m", "yes", START, END) == database.reader.fingerprints("m", "yes", START, END)
    here = import_files(database, "trades", [tmp_path / "t.parquet"], options=ImportOptions())
    assert (here.rows_stored, here.rows_duplicate) == (0, 500)


def test_books_come_back_exactly(database: MarketStore, tmp_path: Path) -> None:
    write_books(database, tmp_path / "source.parquet")
    assert export(database, "books", tmp_path / "b.parquet") == 9
    other = open_store(Settings(folder=tmp_path / "other"))
    assert import_files(other, "books", [tmp_path / "b.parquet"], options=ImportOptions()).rows_stored == 9
    export(other, "books", tmp_path / "again.parquet")
    exported = pq.read_table(tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "again.parquet").equals(exported)
    assert set(exported["source"].to_pylist()) == {"ws"}
    here = import_files(database, "books", [tmp_path / "b.parquet"], options=ImportOptions())
    assert (here.rows_stored, here.rows_duplicate) == (0, 9)


@pytest.mark.parametrize(
    ("what", "frame"),
    [
        ("trades", TRADES),
        ("books", ORDERBOOK_SNAPSHOTS),
        ("bars", VWAP_BARS),
        ("parameters", ALMGREN_CHRISS_PARAMETERS),
    ],
)
def test_a_file_has_the_columns_of_its_frame_with_utc_times(
    database: MarketStore, tmp_path: Path, what: str, frame: Frame
) -> None:
    database.writer.create_tables()
    assert export(database, what, tmp_path / "x.parquet") == 0
    schema = pq.read_schema(tmp_path / "x.parquet")
    assert tuple(schema.names) == frame.column_names
    assert schema.field("timestamp").type == pa.timestamp("us", "UTC")
    kinds = {column.name: column.kind for column in frame.columns}
    lists = {name for name in schema.names if pa.types.is_list(schema.field(name).type)}
    assert lists == {name for name, kind in kinds.items() if kind == "array"}


def test_a_token_a_window_and_a_width_can_be_chosen(database: MarketStore, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    database.writer.write(TRADES, trades())
    assert export(database, "trades", path, token_id="no") == 100
    assert set(pq.read_table(path)["token_id"].to_pylist()) == {"no"}
    assert (
        export_table(database, "trades", market_id="m", start=START, end=START + timedelta(seconds=600), path=path) == 2
    )
    assert export(database, "bars", path, token_id="yes", width="1d") == 2
    assert pq.read_table(path)["n_trades"].to_pylist() == [230, 170]


def test_parameters_are_exported(database: MarketStore, tmp_path: Path) -> None:
    values = {column.name: None for column in ALMGREN_CHRISS_PARAMETERS.columns}
    row = values | {"timestamp": START, "market_id": "m", "token_id": "yes", "sigma": 0.5, "n_days": 3, "status": "ok"}
    day = ResultDay("m", "yes", START.date())
    database.results.replace_days(ALMGREN_CHRISS_PARAMETERS, [day], pd.DataFrame([row]))
    assert export(database, "parameters", tmp_path / "p.parquet") == 1
    (found,) = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert (found["timestamp"], found["sigma"], found["gamma"], found["n_days"]) == (START, 0.5, None, 3)


def test_what_cannot_be_exported_is_one_clear_error_and_leaves_no_file(database: MarketStore, tmp_path: Path) -> None:
    database.writer.write(TRADES, trades())
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ValidationError, match=r"file/x\.parquet cannot be written: Not a directory"):
        export(database, "trades", tmp_path / "file" / "x.parquet")
    with pytest.raises(
        ValidationError, match="'candles' cannot be exported; there are trades, books, bars, parameters"
    ):
        export(database, "candles", tmp_path / "x.parquet")
    with pytest.raises(ValidationError, match="width"):
        export(database, "bars", tmp_path / "x.parquet", width="1 minute")
    assert not list(tmp_path.glob("*.parquet*")) + list(tmp_path.glob(".*.part"))
