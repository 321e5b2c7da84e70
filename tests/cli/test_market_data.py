"""synth, bars, import and export as a program meets them: keys, exit statuses, what bad input is told."""

import csv
import math
from pathlib import Path

import pytest

from tests.cli.calling import FIRST_DAY, N_DAYS, answer_of, call, error_of
from tributary_pipelines.cli import files
from tributary_pipelines.storage.files import presets

BAR_KEYS = {
    "timestamp",
    "market_id",
    "token_id",
    "open",
    "high",
    "low",
    "close",
    "vwap",
    "volume",
    "notional",
    "signed_volume",
    "n_trades",
}
TRUTH = {"sigma", "gamma", "epsilon", "book_slope", "resilience_rate", "kappa"}
SYNTH = ("synth", "--market", "other", "--days", 1, "--trades-per-hour", 20, "--seed", 3)
TRADES = ("import", "trades", "trades.csv", "--market", "m", "--token", "t")
IMPORT_KEYS = {"rows_read", "rows_stored", "rows_duplicate", "rows_quarantined", "quarantine", "first_at", "last_at"}


def write_trades(rows: list[dict[str, object]], path: str = "trades.csv") -> None:
    with Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=["timestamp", "side", "price", "size"])
        writer.writeheader()
        writer.writerows(rows)


def trade(second: int, **changes: object) -> dict[str, object]:
    return {"timestamp": f"2026-03-01T12:00:{second:02d}Z", "side": "BUY", "price": 0.5, "size": 10, **changes}


@pytest.mark.usefixtures("empty")
def test_synth_answers_with_the_truth() -> None:
    plain = answer_of(call(*SYNTH, "--start", FIRST_DAY, "--set", "half_life_s=600", "--set", "p0=0.4", "--json"))
    assert set(plain) == {"market_id", "token_id", "start", "end", "truth"}
    assert set(plain["truth"]) == TRUTH
    assert (plain["start"], plain["end"]) == ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    assert plain["truth"]["sigma"] == 0.03
    assert plain["truth"]["resilience_rate"] == pytest.approx(math.log(2) * 86_400 / 600, rel=1e-12)
    assert Path(".tributary/market.duckdb").is_file()


@pytest.mark.usefixtures("empty")
def test_synth_ends_yesterday_by_default_and_repeats_itself() -> None:
    first = answer_of(call(*SYNTH, "--json"))
    assert first == answer_of(call(*SYNTH, "--json"))
    bars = ("bars", "--market", "other", "--start", first["start"], "--end", first["end"], "--width", "1d", "--json")
    assert len(answer_of(call(*bars))) == 1


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--set", "half_lif_s=3"), "did you mean 'half_life_s'"),
        (("--set", "tick"), "NAME=NUMBER"),
        (("--set", "tick=abc"), "NAME=NUMBER"),
        (("--set", "sigma=nan"), "sigma"),
        (("--set", "sigma=-1"), "sigma"),
        (("--days", "0"), "--days"),
        (("--trades-per-hour", "inf"), "--trades-per-hour"),
        (("--seed", "-1"), "--seed"),
        (("--start", "yesterday"), "--start"),
        (("--start", "2026-03-01T12:00:00Z"), "whole UTC day"),
    ],
    ids=str,
)
def test_synth_refuses_what_it_cannot_make(changes: tuple[str, ...], said: str) -> None:
    assert said in error_of(call(*SYNTH, *changes))
    assert not Path(".tributary/market.duckdb").exists()


@pytest.mark.usefixtures("stocked")
def test_bars_have_every_key_and_add_up() -> None:
    window = ("--market", "toy", "--start", FIRST_DAY, "--end", "2026-03-02", "--json")
    hours = answer_of(call("bars", *window, "--width", "1h"))
    (day,) = answer_of(call("bars", *window, "--width", "1d"))
    assert all(set(bar) == BAR_KEYS for bar in hours)
    assert day["timestamp"] == "2026-03-01T00:00:00Z"
    assert sum(bar["n_trades"] for bar in hours) == day["n_trades"]
    assert math.fsum(bar["volume"] for bar in hours) == pytest.approx(day["volume"], rel=1e-12)
    assert day["vwap"] == pytest.approx(day["notional"] / day["volume"], rel=1e-12)


@pytest.mark.usefixtures("stocked")
def test_an_offset_means_the_same_moment() -> None:
    plain = answer_of(
        call("bars", "--market", "toy", "--start", FIRST_DAY, "--end", "2026-03-02", "--width", "6h", "--json")
    )
    window = ("--start", "2026-03-01T02:00:00+02:00", "--end", "2026-03-01T19:00:00-05:00")
    assert answer_of(call("bars", "--market", "toy", *window, "--width", "6h", "--json")) == plain


@pytest.mark.usefixtures("stocked")
def test_a_window_without_trades_is_an_empty_answer_with_a_hint() -> None:
    result = call("bars", "--market", "toy", "--start", "2020-01-01", "--end", "2020-01-02", "--width", "1h", "--json")
    assert answer_of(result) == []
    assert "tributary import" in result.stderr


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--market", "toi"), "toy"),
        (("--token", "none"), "'none'"),
        (("--start", "2026-03-01T00:00:00"), "no offset"),
        (("--start", "2026-13-01"), "--start"),
        (("--end", FIRST_DAY), "not after"),
        (("--end", "2026-02-01"), "not after"),
        (("--width", "5x"), "5x"),
        (("--width", "0m"), "0m"),
        (("--width", "1m; DROP TABLE trades"), "width"),
    ],
    ids=str,
)
def test_bars_name_what_is_wrong(changes: tuple[str, ...], said: str) -> None:
    options = ("--market", "toy", "--start", FIRST_DAY, "--end", "2026-03-02", "--width", "1h")
    assert said in error_of(call("bars", *options, *changes, "--json"))


@pytest.mark.usefixtures("empty")
def test_an_empty_store_says_how_data_comes_in() -> None:
    line = error_of(call("bars", "--market", "m", "--start", FIRST_DAY, "--end", "2026-03-02", "--width", "1h"))
    assert "tributary import" in line or "tributary store init" in line


@pytest.mark.usefixtures("empty")
def test_import_adds_up_and_repeats_without_change() -> None:
    write_trades([trade(1), trade(2, price=-1), trade(3, side="?"), trade(4, size="nan"), trade(5, timestamp="")])
    plain = answer_of(call(*TRADES, "--json"))
    assert set(plain) == IMPORT_KEYS
    assert (plain["rows_read"], plain["rows_stored"], plain["rows_quarantined"]) == (5, 2, 3)
    assert sum(entry["count"] for entry in plain["quarantine"]) == 3
    assert all(set(entry) == {"reason", "count", "first_row"} for entry in plain["quarantine"])
    assert (plain["first_at"], plain["last_at"]) == ("2026-03-01T12:00:01Z", "2026-03-01T12:00:03Z")
    again = answer_of(call(*TRADES, "--json"))
    assert (again["rows_stored"], again["rows_duplicate"], again["rows_quarantined"]) == (0, 2, 3)


@pytest.mark.usefixtures("empty")
def test_columns_can_be_named_otherwise() -> None:
    Path("trades.csv").write_text("t,px,qty,side\n1772366401000,0.5,3,sell\n")
    renamed = ("--map", "t=timestamp", "--map", "px=price", "--map", "qty=size", "--time-unit", "ms")
    assert answer_of(call(*TRADES, *renamed, "--json"))["rows_stored"] == 1
    bars = ("bars", "--market", "m", "--start", FIRST_DAY, "--end", "2026-03-02", "--width", "1d", "--json")
    (bar,) = answer_of(call(*bars))
    assert (bar["volume"], bar["signed_volume"], bar["token_id"]) == (3, -3, "t")


@pytest.mark.usefixtures("empty")
def test_a_file_of_bad_rows_alone_exits_1_and_still_answers() -> None:
    write_trades([trade(1, price=0), trade(2, price="inf")])
    result = call(*TRADES, "--json")
    assert answer_of(result, status=1)["rows_quarantined"] == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("content", "changes", "said"),
    [
        (None, (), "trades.csv"),
        (b"\x00\xff\xfe garbage", (), "trades.csv"),
        (b"timestamp,price\n2026-03-01T00:00:00Z,1\n", (), "size"),
        (b"timestamp,side,price,size\n1,buy,1,1\n", (), "--time-unit"),
        (b"timestamp,side,price,size\n", ("--map", "px"), "--map"),
    ],
    ids=["missing", "garbage", "no column", "no unit", "bad map"],
)
def test_a_file_that_cannot_be_read_is_one_line(content: bytes | None, changes: tuple[str, ...], said: str) -> None:
    if content is not None:
        Path("trades.csv").write_bytes(content)
    result = call(*TRADES, *changes)
    assert result.exit_code == 1
    assert said in result.stderr.splitlines()[-1]


@pytest.mark.usefixtures("empty")
def test_presets_are_named_where_one_chooses() -> None:
    assert tuple(presets.PRESETS) == files.PRESET_NAMES
    line = error_of(call(*TRADES, "--preset", "tradis"), status=2)
    assert all(name in line for name in presets.PRESETS)


def test_the_help_of_import_names_every_column_that_is_needed() -> None:
    shown = call("import", "--help").stdout.replace(",", " ").split()
    assert set(presets.CANONICAL["trades"][:6]) | set(presets.REQUIRED["books"]) <= set(shown)


@pytest.mark.usefixtures("empty")
def test_a_market_entry_is_used() -> None:
    Path("markets.yaml").write_text("- {market_id: m, token_id: t, slug: pretty, tick_size: 0.01}\n")
    plain = answer_of(call("import", "markets", "markets.yaml", "--json"))
    assert (plain["rows_read"], plain["rows_stored"]) == (1, 1)
    write_trades([trade(1)])
    call(*TRADES)
    bars = ("bars", "--market", "pretty", "--start", FIRST_DAY, "--end", "2026-03-02", "--width", "1d", "--json")
    assert answer_of(call(*bars))[0]["market_id"] == "m"


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("what", ["trades", "books", "bars", "parameters"])
def test_export_writes_parquet_that_says_what_it_holds(tmp_path: Path, what: str) -> None:
    import pyarrow.parquet as pq

    out = tmp_path / f"{what}.parquet"
    options = ("--market", "toy", "--start", FIRST_DAY, "--end", f"2026-03-{N_DAYS + 1:02d}", "--out", out)
    plain = answer_of(call("export", what, *options, "--json"))
    assert plain["file"] == str(out)
    table = pq.read_table(out)
    assert plain["rows"] == len(table) > 0
    assert table.column_names[:3] == ["timestamp", "market_id", "token_id"]


@pytest.mark.usefixtures("stocked")
def test_an_export_comes_back_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    window = ("--market", "toy", "--start", FIRST_DAY, "--end", "2026-03-02")
    exported = answer_of(call("export", "trades", *window, "--out", tmp_path / "t.parquet", "--json"))
    before = answer_of(call("bars", *window, "--width", "1h", "--json"))
    monkeypatch.chdir(tmp_path)
    assert answer_of(call("import", "trades", "t.parquet", "--json"))["rows_stored"] == exported["rows"]
    assert answer_of(call("bars", *window, "--width", "1h", "--json")) == before


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("what", ["trades", "books"])
def test_an_export_into_its_own_store_changes_nothing(tmp_path: Path, what: str) -> None:
    window = ("--market", "toy", "--start", FIRST_DAY, "--end", "2026-03-02")
    exported = answer_of(call("export", what, *window, "--out", tmp_path / "rows.parquet", "--json"))
    again = answer_of(call("import", what, tmp_path / "rows.parquet", "--json"))
    assert (again["rows_stored"], again["rows_duplicate"]) == (0, exported["rows"])


@pytest.mark.usefixtures("stocked")
def test_an_export_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    options = ("--market", "toy", "--start", FIRST_DAY, "--end", "2026-03-02", "--out", tmp_path / "file" / "x.parquet")
    assert "x.parquet" in error_of(call("export", "trades", *options))
