"""Ladders from Arrow lists to padded arrays and back, and stored columns as pandas columns."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary_pipelines.core.frames import TRADES
from tributary_pipelines.core.result_frames import EXECUTION_PLANS, VWAP_BARS
from tributary_pipelines.storage import arrow

ladders = st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e9)), max_size=6, unique_by=lambda level: level[0])


def snapshots(*books: tuple[list[float] | None, list[float] | None]) -> pa.Table:
    """Return snapshots one second apart, the same ladder of prices and sizes on both sides."""
    lists = pa.list_(pa.float64())
    prices, sizes = (pa.array([book[k] for book in books], lists) for k in (0, 1))
    times = pa.array([k * 1_000_000 for k in range(len(books))], pa.timestamp("us"))
    return pa.table([times, prices, sizes, prices, sizes], names=["timestamp", *arrow.LADDERS])


def test_ladders_are_padded_and_sorted_best_first() -> None:
    books = arrow.order_books(snapshots(([0.3, 0.5, 0.4], [3.0, 5.0, 4.0]), ([0.2], [2.0]), ([], []), (None, None)))
    nan = np.nan
    np.testing.assert_array_equal(books.bid_prices, [[0.5, 0.4, 0.3], [0.2, nan, nan], [nan] * 3, [nan] * 3])
    np.testing.assert_array_equal(books.bid_sizes, [[5, 4, 3], [2, nan, nan], [nan] * 3, [nan] * 3])
    np.testing.assert_array_equal(books.ask_prices[0], [0.3, 0.4, 0.5])
    np.testing.assert_array_equal(books.ask_sizes[0], [3, 4, 5])
    assert books.times.tolist() == [0, 1_000_000, 2_000_000, 3_000_000]


@pytest.mark.parametrize(
    ("prices", "sizes"),
    [
        ([0.5, 0.0, 0.4], [1.0, 9.0, 2.0]),
        ([0.5, 0.45, 0.4], [1.0, 0.0, 2.0]),
        ([0.5, np.nan, 0.4], [1.0, 9.0, 2.0]),
        ([0.5, 0.45, 0.4], [1.0, None, 2.0]),
        ([0.5, -0.1, 0.4], [1.0, 9.0, 2.0]),
        ([0.5, 0.4, 0.3], [1.0, 2.0]),
        ([0.5, np.inf, 0.4], [1.0, 9.0, 2.0]),
    ],
)
def test_what_makes_no_level_is_dropped_without_a_gap(prices: list[float], sizes: list[float]) -> None:
    books = arrow.order_books(snapshots((prices, sizes)))
    np.testing.assert_array_equal(books.bid_prices, [[0.5, 0.4]])
    np.testing.assert_array_equal(books.bid_sizes, [[1.0, 2.0]])


def test_of_equal_times_the_last_counts_and_levels_are_cut_after_sorting() -> None:
    table = snapshots(([0.1, 0.9], [1.0, 9.0]), ([0.2, 0.8], [2.0, 8.0]))
    table = table.set_column(0, "timestamp", pa.array([5, 5], pa.timestamp("us")))
    books = arrow.order_books(table, max_levels=1)
    assert books.times.tolist() == [5]
    assert (books.bid_prices.tolist(), books.ask_prices.tolist()) == ([[0.8]], [[0.2]])


def test_no_snapshots_are_one_level_wide() -> None:
    assert arrow.order_books(snapshots()).bid_prices.shape == (0, 1)


def test_a_slice_of_chunks_reads_as_itself() -> None:
    parts = [snapshots(([0.5], [1.0]), ([0.4, 0.3], [2.0, 3.0])), snapshots(([0.2], [4.0]))]
    books = arrow.order_books(pa.concat_tables(parts).slice(1))
    np.testing.assert_array_equal(books.bid_prices, [[0.4, 0.3], [0.2, np.nan]])


@given(st.lists(ladders, min_size=1, max_size=8))
def test_every_level_survives_and_comes_best_first(books: list[list[tuple[float, float]]]) -> None:
    found = arrow.order_books(snapshots(*([[p for p, _ in book], [z for _, z in book]] for book in books)))
    for k, book in enumerate(books):
        for prices, sizes, wanted in (
            (found.bid_prices[k], found.bid_sizes[k], sorted(book, reverse=True)),
            (found.ask_prices[k], found.ask_sizes[k], sorted(book)),
        ):
            kept = ~np.isnan(prices)
            assert list(zip(prices[kept], sizes[kept], strict=True)) == wanted


def test_missing_values_of_every_kind() -> None:
    nothing = {
        column.name: pa.nulls(1, arrow.stored_schema((column,)).field(0).type) for column in EXECUTION_PLANS.columns
    }
    row = arrow.to_pandas(EXECUTION_PLANS, pa.table(nothing)).iloc[0]
    assert row["timestamp"] is pd.NaT
    assert row["reasons"] is None
    assert row["slice_quantities"] is None
    assert np.isnan(row["n_slices"])
    assert np.isnan(row["cost_std"])


def test_whole_numbers_stay_whole_when_none_is_missing() -> None:
    empty = arrow.to_pandas(VWAP_BARS, arrow.stored_schema(VWAP_BARS.columns).empty_table())
    assert empty.dtypes["n_trades"] == np.int64
    assert str(empty.dtypes["timestamp"]) == "datetime64[us, UTC]"


def test_batches_leave_with_aware_times() -> None:
    (batch,) = arrow.stored_schema(TRADES.columns).empty_table().to_batches() or [
        pa.RecordBatch.from_pylist([], arrow.stored_schema(TRADES.columns))
    ]
    aware = arrow.with_aware_times(batch)
    assert aware.schema.field("received_at").type == pa.timestamp("us", "UTC")
    assert aware.schema.field("price").type == pa.float64()


def test_rows_are_split_by_the_values_of_columns_in_the_order_of_the_table() -> None:
    names = {"m": ["b", "a", "b", None, "b", "a"], "t": ["x", "x", "y", "x", "x", "x"], "n": range(6)}
    table = pa.table(names)
    wanted = {("b", "x"): [0, 4], ("a", "x"): [1, 5], ("b", "y"): [2], (None, "x"): [3]}
    for whole in (table, pa.concat_tables([table.slice(0, 2), table.slice(2)])):
        found = arrow.split(whole, ("m", "t"))
        assert {key: part["n"].to_pylist() for key, part in found.items()} == wanted
    assert arrow.split(table.slice(0, 0), ("m", "t")) == {}


def test_arrays_of_a_slice_are_its_own_and_may_be_changed() -> None:
    lists = pa.array([[1.0], None, [2.0, None], [], [3.0]], pa.list_(pa.float64()))
    column = {c.name: pa.nulls(5, arrow.stored_schema((c,)).field(0).type) for c in EXECUTION_PLANS.columns}
    table = pa.table(column | {"slice_quantities": lists}).slice(1, 3)
    first, second, third = arrow.to_pandas(EXECUTION_PLANS, table)["slice_quantities"]
    assert first is None
    np.testing.assert_array_equal(second, [2.0, np.nan])
    assert len(third) == 0
    second[0] = 7.0
    assert arrow.to_pandas(EXECUTION_PLANS, table)["slice_quantities"][1][0] == 2.0
