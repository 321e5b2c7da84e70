"""calibrate and history: every key, refusals, plots."""

import json
from pathlib import Path

import pytest

from tests.cli.calling import answer_of, call, error_of

CALIBRATE = ("analytics", "calibrate", "--market", "toy")
HISTORY = ("analytics", "history", "--market", "toy")
KEYS = {
    "market_id",
    "token_id",
    "status",
    "reasons",
    "window_start",
    "window_end",
    "usable_from",
    "n_trades",
    "n_snapshots",
    "coverage",
    "eta_interval_s",
    "parameters",
    "flags",
    "code_version",
    "data_fingerprint",
}
UNITS = {
    "sigma": "P/day^0.5",
    "gamma": "P/share",
    "epsilon": "P",
    "book_slope": "P/share",
    "resilience_rate": "1/day",
    "eta": "P*day/share",
}


@pytest.mark.usefixtures("stocked")
def test_calibrate_has_every_key_and_unit() -> None:
    plain = answer_of(call(*CALIBRATE, "--json"))
    assert set(plain) == KEYS
    assert {name: found["unit"] for name, found in plain["parameters"].items()} == UNITS
    assert all(set(found) == {"value", "unit", "ci_low", "ci_high", "source"} for found in plain["parameters"].values())
    assert (plain["status"], plain["eta_interval_s"]) == ("ok", 1800)
    assert plain["window_end"] == plain["usable_from"] == "2026-03-07T00:00:00Z"
    assert plain["window_start"] == "2026-02-05T00:00:00Z"
    found = plain["parameters"]
    assert found["eta"]["value"] == pytest.approx(found["book_slope"]["value"] * 1800 / 86_400, rel=1e-12)
    assert found["sigma"]["value"] == pytest.approx(0.03, rel=0.2)


@pytest.mark.usefixtures("stocked")
def test_a_short_window_is_refused_with_the_reasons() -> None:
    plain = answer_of(call(*CALIBRATE, "--lookback", "1", "--as-of", "2026-03-03", "--json"), status=3)
    assert set(plain) == KEYS
    assert plain["status"] == "refused"
    assert plain["reasons"]
    assert {found["value"] for found in plain["parameters"].values()} == {None} or plain["reasons"]
    shown = call(*CALIBRATE, "--lookback", "1", "--as-of", "2026-03-03")
    assert shown.exit_code == 3
    assert plain["reasons"][0] in " ".join(shown.stdout.split())


@pytest.mark.usefixtures("stocked")
def test_history_is_one_row_a_day() -> None:
    answer_of(call(*CALIBRATE, "--as-of", "2026-03-06", "--json"))
    rows = answer_of(call(*HISTORY, "--json"))
    assert [row["usable_from"] for row in rows][-2:] == ["2026-03-06T00:00:00Z", "2026-03-07T00:00:00Z"]
    assert all(set(row) == KEYS for row in rows)
    assert len(answer_of(call(*HISTORY, "--days", "1", "--json"))) == 1
    shown = call(*HISTORY)
    assert "2026-03-07" in shown.stdout


@pytest.mark.usefixtures("stocked")
def test_history_is_drawn(tmp_path: Path) -> None:
    result = call(*HISTORY, "--plot", tmp_path / "h.png", "--json")
    assert answer_of(result)
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
    assert "h.png" in result.stderr
    assert "below/h.png" in error_of(call(*HISTORY, "--plot", tmp_path / "h.png" / "below" / "h.png"))


@pytest.mark.usefixtures("empty")
def test_a_market_without_history_says_what_makes_one() -> None:
    call("synth", "--market", "new", "--days", 1, "--trades-per-hour", 5, "--seed", 1)
    result = call("analytics", "history", "--market", "new", "--json")
    assert answer_of(result) == []
    assert "tributary analytics calibrate --market new" in result.stderr
    assert "tributary analytics calibrate" in error_of(
        call("analytics", "history", "--market", "new", "--plot", "x.png")
    )
    assert not Path("x.png").exists()


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--market", "toi"), "toy"),
        (("--token", "yes"), "toy"),
        (("--as-of", "2026-02-30"), "--as-of"),
    ],
    ids=str,
)
def test_calibrate_names_what_is_wrong(changes: tuple[str, ...], said: str) -> None:
    assert said in error_of(call(*CALIBRATE, *changes))


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("value", ["0", "-3", "thirty"])
def test_a_lookback_is_a_number_of_days(value: str) -> None:
    assert "--lookback" in error_of(call(*CALIBRATE, "--lookback", value), status=2)


@pytest.mark.usefixtures("empty")
def test_a_series_is_calibrated_as_one_market_with_the_token_star() -> None:
    """Two markets of three days each, entered as one series."""
    made = {}
    for seed, (name, start) in enumerate({"first": "2026-03-01", "second": "2026-03-04"}.items()):
        options = ("--days", 3, "--trades-per-hour", 20, "--seed", seed, "--start", start, "--set", "snapshot_s=30")
        made[name] = answer_of(call("synth", "--market", name, *options, "--json"))["truth"]
    entries = [
        {
            "market_id": name,
            "token_id": name,
            "series_id": "weekly",
            "venue": "v",
            "tick_size": 0.001,
            "fee_model": "none",
        }
        for name in made
    ]
    Path("markets.json").write_text(json.dumps(entries))
    call("import", "markets", "markets.json")
    plain = answer_of(call("analytics", "calibrate", "--market", "weekly", "--json"))
    assert set(plain) == KEYS
    assert (plain["market_id"], plain["token_id"], plain["status"]) == ("weekly", "*", "ok")
    assert plain["window_end"] == "2026-03-07T00:00:00Z"
    assert plain["parameters"]["sigma"]["value"] == pytest.approx(made["first"]["sigma"], rel=0.2)
    assert plain["parameters"]["gamma"]["value"] == pytest.approx(made["first"]["gamma"], rel=0.25)
    alone = answer_of(call("analytics", "calibrate", "--market", "second", "--json"))
    assert alone["n_trades"] < plain["n_trades"]
    assert [row["token_id"] for row in answer_of(call("analytics", "history", "--market", "weekly", "--json"))] == ["*"]
    assert "series of 2 markets" in error_of(call("analytics", "calibrate", "--market", "weekly", "--token", "first"))
