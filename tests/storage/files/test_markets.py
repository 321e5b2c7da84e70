"""Market entries from files: every format, what is refused, and that entries are kept once and in order."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes import MemoryStore
from tests.storage.files.conftest import NOW, ImportText
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import MARKETS, QUARANTINE
from tributary_pipelines.core.models import Market
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.files import ImportOptions, import_files

ENTRY = {
    "market_id": "0xabc",
    "token_id": "12345678901234567890123456789012345678901234567890123456789012345678901234567",
    "complement_token_id": "2",
    "slug": "will-it",
    "series_id": "weekly",
    "venue": "polymarket",
    "quote_currency": "USDC",
    "tick_size": 0.01,
    "lot_size": 1,
    "min_order_size": 5,
    "price_min": 0,
    "price_max": 1,
    "fee_model": "quadratic",
    "fee_rate": 0.07,
    "fee_exponent": 1,
    "resolves_at": "2026-12-31T00:00:00+01:00",
}
EXPECTED = Market(**(ENTRY | {"resolves_at": datetime(2026, 12, 30, 23, tzinfo=UTC)}))


def as_yaml(entry: dict[str, object]) -> str:
    return "".join(f"{'-' if n == 0 else ' '} {key}: {value}\n" for n, (key, value) in enumerate(entry.items()))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.yaml", as_yaml(ENTRY)),
        ("m.yml", "markets:\n" + as_yaml(ENTRY)),
        ("m.json", json.dumps([ENTRY])),
        ("m.json", json.dumps({"markets": [ENTRY | {"question": None}]})),
        ("m.csv", ",".join(ENTRY) + "\n" + ",".join(map(str, ENTRY.values())) + "\n"),
        ("m.ndjson", json.dumps(ENTRY)),
    ],
)
def test_an_entry_from_every_format(database: MarketStore, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    summary = import_files(database, "markets", [tmp_path / name], options=ImportOptions(), now=NOW)
    assert (summary.rows_read, summary.rows_stored, summary.first_at) == (1, 1, None)
    assert database.reader.markets() == [EXPECTED]
    again = import_files(database, "markets", [tmp_path / name], options=ImportOptions())
    assert (again.rows_stored, again.rows_duplicate) == (0, 1)


def test_only_ids_are_required_and_yaml_words_stay_words(store: MemoryStore, import_text: ImportText) -> None:
    import_text(
        "markets",
        "- {market_id: 0123, token_id: NO, slug: null, venue: ~}\n- {market_id: 0123, token_id: yes}",
        "m.yaml",
    )
    first, second = store.rows(MARKETS)
    assert (first["market_id"], first["token_id"], second["token_id"]) == ("0123", "NO", "yes")
    assert {first[name] for name in MARKETS.column_names[3:]} == {None}


def test_entries_keep_the_order_of_the_file_and_the_newest_counts(database: MarketStore, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        "- {market_id: m, token_id: z}\n- {market_id: m, token_id: a}\n- {market_id: m, token_id: z, slug: s}\n"
    )
    assert import_files(database, "markets", [path], options=ImportOptions(), now=NOW).rows_stored == 2
    assert [(entry.token_id, entry.slug) for entry in database.reader.markets()] == [("z", "s"), ("a", None)]
    again = import_files(database, "markets", [path], options=ImportOptions())
    assert (again.rows_stored, again.rows_duplicate) == (0, 3)
    path.write_text("- {market_id: m, token_id: a, slug: new}\n")
    assert import_files(database, "markets", [path], options=ImportOptions()).rows_stored == 1
    assert [(entry.token_id, entry.slug) for entry in database.reader.markets()] == [("z", "s"), ("a", "new")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"market_id": ""}, "market_id"),
        ({"token_id": "a\tb"}, "token_id holds control characters"),
        ({"tick_size": -1}, "tick_size: Input should be greater than 0"),
        ({"tick_size": "x"}, "tick_size: Input should be a valid number"),
        ({"lot_size": "NaN"}, "lot_size: Input should be a finite number"),
        ({"tick_size": [1]}, "tick_size is neither a text nor a number"),
        ({"price_max": None}, "price_min and price_max must be declared together"),
        ({"fee_model": "percent"}, "fee_model: Input should be"),
        ({"fee_rate": None}, "fee_model 'quadratic' needs fee_rate"),
        ({"resolves_at": "2026-12-31T00:00:00"}, "resolves_at has no offset"),
        ({"resolves_at": 1700000000}, "resolves_at is a number; say its unit"),
        ({"tick_sice": 1}, "unknown column 'tick_sice'; did you mean 'tick_size'?"),
        ({"question": "what\0?"}, "question holds control characters"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_quarantined(
    store: MemoryStore, import_text: ImportText, changes: dict[str, object], reason: str
) -> None:
    entry = {k: v for k, v in (ENTRY | changes).items() if k != "tick_size" or "tick_sice" not in changes}
    summary = import_text("markets", json.dumps([{"market_id": "m", "token_id": "t"}, entry, 7]), "m.json")
    assert (summary.rows_read, summary.rows_stored, summary.rows_quarantined) == (3, 1, 2)
    assert reason in summary.quarantine[1].reason
    assert summary.quarantine[1].first_row.endswith("m.json entry 2")
    assert len(store.rows(QUARANTINE)) == 2


def test_times_with_a_unit_columns_to_ignore_and_lists_of_outcomes(store: MemoryStore, import_text: ImportText) -> None:
    entry = {"market_id": 5, "token_id": 6, "resolves_at": 86400, "volume_24h": 3, "outcomes": ["Yes", "No"]}
    import_text("markets", json.dumps([entry]), "m.json", time_unit="s")
    (row,) = store.rows(MARKETS)
    assert (row["market_id"], row["token_id"], row["outcomes"]) == ("5", "6", '["Yes", "No"]')
    assert row["resolves_at"] == datetime(1970, 1, 2, tzinfo=UTC)


def test_defaults_and_maps_apply(store: MemoryStore, import_text: ImportText) -> None:
    import_text(
        "markets", "tok,min_tick\nt,0.5\n", "m.csv", market="m", mapping={"tok": "token_id", "min_tick": "tick_size"}
    )
    (row,) = store.rows(MARKETS)
    assert (row["market_id"], row["token_id"], row["tick_size"]) == ("m", "t", 0.5)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.yaml", "a: [1"),
        ("m.yaml", "just words"),
        ("m.yaml", b"\xff\xfe\x00"),
        ("m.json", "{}"),
        ("m.json", "[1,"),
        ("m.json", "[" * 100_000),
        ("m.yaml", ""),
    ],
)
def test_a_document_that_is_none_is_one_clear_error(import_text: ImportText, name: str, text: str | bytes) -> None:
    with pytest.raises(ValidationError, match=r"m\.(yaml|json)"):
        import_text("markets", text, name)
