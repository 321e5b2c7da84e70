"""Every column of every table says what it is; the columnar classes cut windows and choose rows."""

import numpy as np
import pytest

from tributary_pipelines.core.frames import (
    MARKETS,
    RAW_FRAMES,
    TRADES,
    Frame,
    OrderBooks,
    Trades,
    no_order_books,
    no_trades,
)
from tributary_pipelines.core.models import Market, Trade
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, RESULT_FRAMES
from tributary_pipelines.core.units import PARAMETER_UNITS

FRAMES = [*RAW_FRAMES, *RESULT_FRAMES]
KINDS = {"timestamp", "symbol", "string", "double", "long", "boolean", "array"}
NAN = np.nan


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_a_frame_is_documented_whole(frame: Frame) -> None:
    assert frame.meaning
    assert frame.name == frame.name.lower()
    for column in frame.columns:
        assert column.unit.strip(), column.name
        assert column.meaning.strip(), column.name
        assert column.kind in KINDS
    assert len(set(frame.column_names)) == len(frame.columns)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_a_frame_begins_with_its_time_and_its_key_is_among_its_columns(frame: Frame) -> None:
    assert frame.columns[0].name == "timestamp"
    assert (frame.columns[0].kind, frame.columns[0].unit) == ("timestamp", "UTC")
    assert frame.key[0] == "timestamp"
    assert set(frame.key) <= set(frame.column_names)
    assert {column.kind for column in frame.columns if column.name in frame.key} <= {"timestamp", "symbol", "string"}


def test_names_of_tables_are_unique_and_results_belong_to_a_token() -> None:
    names = [frame.name for frame in FRAMES]
    assert len(set(names)) == len(names)
    for frame in RESULT_FRAMES:
        assert frame.key[:3] == ("timestamp", "market_id", "token_id")


def test_models_and_frames_name_the_same_things() -> None:
    assert set(MARKETS.column_names) - {"timestamp"} == set(Market.model_fields)
    assert set(Trade.model_fields) <= set(TRADES.column_names)
    for name in PARAMETER_UNITS:
        columns = {column.name: column for column in ALMGREN_CHRISS_PARAMETERS.columns}
        assert columns[name].unit == PARAMETER_UNITS[name]
        assert {f"{name}_ci_low", f"{name}_ci_high", f"{name}_source"} <= columns.keys()


def trades() -> Trades:
    return Trades(
        np.array([1, 2, 2, 5], np.int64), np.array([1.0, 2, 3, 4]), np.ones(4), np.array([1, -1, 0, 1], np.int8)
    )


def test_trades_of_a_window_include_its_start_and_not_its_end() -> None:
    found = trades().between(2, 5)
    assert found.times.tolist() == [2, 2]
    assert found.prices.tolist() == [2, 3]
    assert found.signs.tolist() == [-1, 0]
    assert len(found) == 2
    assert np.shares_memory(found.prices, found.prices.base)
    assert len(trades().between(6, 9)) == len(no_trades()) == len(no_trades().between(0, 9)) == 0


def books() -> OrderBooks:
    return OrderBooks(
        np.array([1, 2, 3, 4], np.int64),
        np.array([[0.4, 0.3], [NAN, NAN], [0.6, NAN], [0.5, 0.4]]),
        np.ones((4, 2)),
        np.array([[0.6, 0.7], [0.6, NAN], [0.5, NAN], [0.5, 0.6]]),
        np.ones((4, 2)),
    )


def test_only_two_sided_books_that_are_not_crossed_have_a_mid() -> None:
    found = books()
    assert found.is_usable.tolist() == [True, False, False, False]
    np.testing.assert_array_equal(found.mids, [0.5, NAN, NAN, NAN])
    np.testing.assert_array_equal(found.best_bids, [0.4, NAN, 0.6, 0.5])
    assert found.best_asks.tolist() == [0.6, 0.6, 0.5, 0.5]


def test_books_of_a_window_and_by_number() -> None:
    assert books().between(2, 4).times.tolist() == [2, 3]
    chosen = books().rows(np.array([3, 0]))
    assert chosen.times.tolist() == [4, 1]
    assert chosen.ask_prices[0].tolist() == [0.5, 0.6]
    assert len(no_order_books()) == len(no_order_books().between(0, 9)) == 0
    assert no_order_books().mids.shape == (0,)
