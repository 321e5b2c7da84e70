"""Tables are made from frames, and nothing but known names becomes SQL text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary_pipelines.core.errors import StorageError, ValidationError
from tributary_pipelines.core.frames import RAW_FRAMES, Frame
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, RESULT_FRAMES, VWAP_BARS
from tributary_pipelines.storage import schema


def test_every_frame_has_a_table_in_both_stores() -> None:
    names = [frame.name for frame in (*RAW_FRAMES, *RESULT_FRAMES)]
    assert [name for name, _ in schema.duckdb_tables()] == names
    assert [name for name, _ in schema.questdb_tables()] == names


def test_the_trades_table_of_questdb() -> None:
    assert dict(schema.questdb_tables())["trades"] == (
        'CREATE TABLE IF NOT EXISTS "trades" ("timestamp" TIMESTAMP, "market_id" SYMBOL, "token_id" SYMBOL, '
        '"side" SYMBOL, "trade_id" VARCHAR, "price" DOUBLE, "size" DOUBLE, "value" DOUBLE, "is_buyer_maker" BOOLEAN, '
        '"received_at" TIMESTAMP, "side_source" SYMBOL, "id_kind" SYMBOL, "tie_rank" LONG) '
        "TIMESTAMP(timestamp) PARTITION BY DAY WAL "
        'DEDUP UPSERT KEYS ("timestamp", "market_id", "token_id", "trade_id")'
    )


def test_results_of_questdb_carry_their_version_in_the_key() -> None:
    for name, statement in schema.questdb_tables()[len(RAW_FRAMES) :]:
        assert statement.endswith('"run_version")'), name
        assert '"is_marker" BOOLEAN' in statement


def test_no_frame_uses_a_name_of_the_bookkeeping() -> None:
    names = {column.name for frame in (*RAW_FRAMES, *RESULT_FRAMES) for column in frame.columns}
    assert not names & {"tie_rank", "run_version", "is_marker", "position", "content", "arrived", "newest"}


def test_a_result_table_misses_the_columns_that_it_has_not_and_gets_them_typed() -> None:
    frame = ALMGREN_CHRISS_PARAMETERS
    later = ("horizon_s", "pool_markets", "cost_buy", "status", "n_days")
    missing = schema.missing_columns(frame, set(frame.column_names) - set(later))
    assert {column.name for column in missing} == set(later)
    assert schema.missing_columns(frame, frame.column_names) == ()
    start = 'ALTER TABLE "almgren_chriss_parameters" ADD COLUMN IF NOT EXISTS'
    of_duckdb = [
        '"status" VARCHAR',
        '"n_days" BIGINT',
        '"horizon_s" DOUBLE',
        '"cost_buy" DOUBLE[]',
        '"pool_markets" VARCHAR',
    ]
    assert schema.duckdb_additions(frame, missing) == [f"{start} {column}" for column in of_duckdb]
    of_questdb = ['"status" SYMBOL', '"n_days" LONG', *of_duckdb[2:]]
    assert schema.questdb_additions(frame, missing) == [f"{start} {column}" for column in of_questdb]


@pytest.mark.parametrize("frame", [*RAW_FRAMES, ALMGREN_CHRISS_PARAMETERS], ids=lambda frame: frame.name)
def test_a_raw_table_and_a_table_of_something_else_are_never_extended(frame: Frame) -> None:
    held = frame.key if frame in RAW_FRAMES else frame.key[1:]
    assert set(frame.column_names) > set(held)
    assert schema.missing_columns(frame, held) == ()


def test_what_a_table_lacks_is_selected_as_null_of_its_type() -> None:
    held = set(VWAP_BARS.column_names) - {"n_trades"}
    *others, last = schema.duckdb_selected(VWAP_BARS, held).split(", ")
    assert others == [f'"{name}"' for name in VWAP_BARS.column_names[:-1]]
    assert last == 'CAST(NULL AS BIGINT ) AS "n_trades"'


@given(st.text())
def test_only_plain_identifiers_are_quoted(name: str) -> None:
    if name.isascii() and name.isidentifier() and name == name.lower() and name[0] != "_" and len(name) <= 63:
        assert schema.quoted(name) == f'"{name}"'
    else:
        with pytest.raises(StorageError, match="cannot be a table or column name"):
            schema.quoted(name)


@given(st.integers(1, 9999), st.sampled_from("smhd"))
def test_every_allowed_width_is_itself(count: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit]
    assert schema.bar_width(f"{count}{unit}") == (f"{count}{unit}", count * seconds * 1_000_000)


@given(st.text(max_size=8))
def test_any_other_width_is_refused(width: str) -> None:
    is_allowed = width[:-1].isascii() and width[:-1].isdigit() and width[0] != "0" and len(width) <= 5
    if not (is_allowed and width[-1] in "smhd"):
        with pytest.raises(ValidationError, match="bar width"):
            schema.bar_width(width)
